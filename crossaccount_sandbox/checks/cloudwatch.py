"""What AWS checks for the operations of CloudWatch.

Source: the Service Authorization Reference.
"""

from __future__ import annotations

from collections.abc import Iterator

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check, Rule
from crossaccount_sandbox.resources import alarm_arn


def _alarms(call: Call) -> Iterator[Check]:
    """Alarm operations name one alarm, several, or with neither all of them."""
    one = call.params.get("AlarmName")
    for name in [one] if one else call.params.get("AlarmNames") or ["*"]:
        yield Check(
            f"cloudwatch:{call.operation}", alarm_arn(call.region, call.account, str(name)), call.account
        )


RULES: dict[str, Rule] = dict.fromkeys(
    ("PutMetricAlarm", "DescribeAlarms", "SetAlarmState", "DeleteAlarms"), _alarms
)
