"""What AWS checks for the operations of CloudFormation.

Source: the Service Authorization Reference.
"""

from __future__ import annotations

from collections.abc import Iterator

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check, Rule

_STACK_WRITES = frozenset({"CreateStack", "UpdateStack", "DeleteStack", "ExecuteChangeSet"})
_STACK_READS = (
    "CreateChangeSet DeleteChangeSet DescribeChangeSet DescribeStackEvents DescribeStackResources DescribeStacks "
    "GetTemplate GetTemplateSummary ListStackResources ListStacks ValidateTemplate"
)


def _stack(call: Call) -> Iterator[Check]:
    name = str(call.params.get("StackName") or "*")
    arn = f"arn:aws:cloudformation:{call.region}:{call.account}:stack/{name}/*"
    yield Check(f"cloudformation:{call.operation}", name if name.startswith("arn:") else arn, call.account)
    if call.operation in _STACK_WRITES:
        # The emulation makes a stack's resources without asking again, so whoever makes a stack must be able
        # to make what ours hold: roles with policies.
        yield Check("iam:CreateRole", f"arn:aws:iam::{call.account}:role/*", call.account)
        yield Check("iam:PutRolePolicy", f"arn:aws:iam::{call.account}:role/*", call.account)


RULES: dict[str, Rule] = dict.fromkeys((*_STACK_WRITES, *_STACK_READS.split()), _stack)
