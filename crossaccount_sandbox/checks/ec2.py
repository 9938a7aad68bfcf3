"""What AWS checks for the reads of Amazon EC2: they name no resource.

Source: "Actions, resources, and condition keys for Amazon EC2" in the Service Authorization Reference.
"""

from collections.abc import Iterator

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check, Rule


def _read(call: Call) -> Iterator[Check]:
    yield Check(f"ec2:{call.operation}", "*", call.account, context={"ec2:Region": call.region})


RULES: dict[str, Rule] = dict.fromkeys(("DescribeSubnets", "DescribeVpcs"), _read)
