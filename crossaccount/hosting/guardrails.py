"""The guardrails of an update: whether the alarms that roll it back are there, and how long it may take with them.

Source: DescribeAlarms in the CloudWatch API reference; "Deployment guardrails" in the SageMaker developer guide.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from crossaccount.errors import Failed
from crossaccount.hosting.gateway import HOST_SECONDS, Patience

if TYPE_CHECKING:
    from crossaccount.aws.access import Target
    from crossaccount.config.model import ConsumerConfig


def check_alarms(target: Target) -> None:
    """See that every alarm that is to roll an update back is there: one that is not would never ring.

    Raises:
        Failed: with those that are missing.
        ClientError: when CloudWatch refuses.
    """
    names = list(target.consumer.endpoint.deployment.alarms)
    if not names:
        return
    paginator = target.client("cloudwatch").get_paginator("describe_alarms")
    pages = paginator.paginate(AlarmNames=names, AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    present = {
        alarm["AlarmName"]
        for page in pages
        for alarm in [*page.get("MetricAlarms", []), *page.get("CompositeAlarms", [])]
    }
    if missing := [name for name in names if name not in present]:
        raise Failed(
            f"Account {target.account} has no CloudWatch alarm {', '.join(missing)} in {target.region}. Make it, or correct "
            "endpoint.deployment.alarms."
        )


def patience(consumer: ConsumerConfig) -> Patience:
    """How long a shift may take: an hour for instances, and the waits of the config's guardrails beside."""
    wanted = consumer.endpoint.deployment
    size = wanted.linear_percent or wanted.batch_percent
    steps = math.ceil(100 / size) if size else 2
    waits = steps * wanted.wait_seconds + wanted.termination_wait_seconds
    return Patience(HOST_SECONDS + max(waits, wanted.maximum_seconds or 0))
