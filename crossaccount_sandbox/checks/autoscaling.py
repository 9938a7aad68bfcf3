"""What AWS checks for the operations of Application Auto Scaling.

Source: the Service Authorization Reference.
"""

from __future__ import annotations

from collections.abc import Iterator

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check, Rule, own


def _scalable_target(call: Call) -> Iterator[Check]:
    arn = f"arn:aws:application-autoscaling:{call.region}:{call.account}:scalable-target/*"
    yield Check(f"application-autoscaling:{call.operation}", arn, call.account)


RULES: dict[str, Rule] = {
    "RegisterScalableTarget": _scalable_target,
    "DeregisterScalableTarget": _scalable_target,
    "DescribeScalableTargets": own("application-autoscaling:DescribeScalableTargets"),
}
