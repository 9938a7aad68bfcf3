"""The guardrails of an update: whether the alarms that roll it back exist, and how long the update may take.

Not here: its parameters (``requests``).

Source: DescribeAlarms in the CloudWatch API reference; "Deployment guardrails" in the SageMaker developer guide.
"""

import math

from crossaccount.aws.access import Target
from crossaccount.config.model import ConsumerConfig
from crossaccount.errors import Failed
from crossaccount.hosting.capacity import slow_seconds
from crossaccount.hosting.gateway import HOST_SECONDS, Patience

_ALARM_TYPES = (
    "MetricAlarm",
    "CompositeAlarm",
    "LogAlarm",
)  # AWS names metric alarms alone unless asked for the others


def check_alarms(target: Target) -> None:
    """See that every alarm that is to roll an update back exists: a missing one would never ring.

    Raises:
        Failed: with the missing alarms.
        ClientError: when CloudWatch refuses.
    """
    names = list(target.consumer.endpoint.deployment.alarms)
    if not names:
        return
    paginator = target.client("cloudwatch").get_paginator("describe_alarms")
    present = {
        alarm["AlarmName"]
        for page in paginator.paginate(AlarmNames=names, AlarmTypes=_ALARM_TYPES)
        for kind in _ALARM_TYPES
        for alarm in page.get(f"{kind}s", [])
    }
    if missing := [name for name in names if name not in present]:
        raise Failed(
            f"Account {target.account} has no CloudWatch alarm {', '.join(missing)} in {target.region}. Make it, or correct "
            "endpoint.deployment.alarms."
        )


def patience(consumer: ConsumerConfig) -> Patience:
    """How long a shift may take: an hour for instances, what they may take beyond it, and the waits of the consumer's guardrails."""
    wanted = consumer.endpoint.deployment
    percent = wanted.linear_percent or wanted.batch_percent
    steps = math.ceil(100 / percent) if percent else 2
    waits = steps * wanted.wait_seconds + wanted.termination_wait_seconds
    return Patience(HOST_SECONDS + slow_seconds(consumer.endpoint) + max(waits, wanted.maximum_seconds or 0))
