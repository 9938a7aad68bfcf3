"""What AWS checks for the operations of STS, IAM and CloudFormation: sessions, roles, and the stacks that make roles.

IAM's and CloudFormation's are administrators' operations, in the caller's own account.
"""

from collections.abc import Iterator

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check, Rule


def _assume_role(call: Call) -> Iterator[Check]:
    role = str(call.params.get("RoleArn", ""))
    owner = role.split(":")[4] if role.count(":") >= 5 else call.account
    context = {"sts:RoleSessionName": call.params.get("RoleSessionName", "")}
    if call.params.get("ExternalId"):
        context["sts:ExternalId"] = call.params["ExternalId"]
    yield Check("sts:AssumeRole", role, owner, role=role, context=context)


def _nothing(call: Call) -> Iterator[Check]:
    """GetCallerIdentity needs no permission."""
    return iter(())


_IAM_RESOURCES = (
    ("PolicySourceArn", ""),
    ("PolicyArn", ""),
    ("RoleName", "role"),
    ("UserName", "user"),
    ("GroupName", "group"),
)
_IAM_OPERATIONS = frozenset(
    f"{verb}{noun}"
    for noun, verbs in {
        "Role": "Create Get Delete Update Tag Untag",
        "RolePolicy": "Put Get Delete Attach Detach",
        "RolePermissionsBoundary": "Put Delete",
        "AssumeRolePolicy": "Update",
        "RolePolicies": "List",
        "AttachedRolePolicies": "List",
        "Roles": "List",
        "RoleTags": "List",
        "User": "Create Get Delete",
        "UserPolicy": "Put Get Delete Attach Detach",
        "UserPolicies": "List",
        "AttachedUserPolicies": "List",
        "Users": "List",
        "AccessKey": "Create Delete Update",
        "AccessKeys": "List",
        "Policy": "Create Get Delete",
        "PolicyVersion": "Create Get Delete",
        "PolicyVersions": "List",
        "PrincipalPolicy": "Simulate",
        "Policies": "List",
    }.items()
    for verb in verbs.split()
)


def _administration(call: Call) -> Iterator[Check]:
    for parameter, kind in _IAM_RESOURCES:
        if value := call.params.get(parameter):
            path = call.params.get("Path", "/")
            arn = f"arn:aws:iam::{call.account}:{kind}{path}{value}" if kind else str(value)
            yield Check(f"iam:{call.operation}", arn, _owner_in_iam(arn, call.account))
            return
    yield Check(f"iam:{call.operation}", "*", call.account)


def _owner_in_iam(arn: str, account: str) -> str:
    """The account that an ARN of IAM names; the caller's own for what AWS keeps for everyone (``iam::aws:policy/...``)."""
    named = arn.split(":")[4] if arn.count(":") >= 5 else ""
    return named if named.isdigit() else account


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


STS_RULES: dict[str, Rule] = {"AssumeRole": _assume_role, "GetCallerIdentity": _nothing}
IAM_RULES: dict[str, Rule] = dict.fromkeys(_IAM_OPERATIONS, _administration)
STACK_RULES: dict[str, Rule] = dict.fromkeys((*_STACK_WRITES, *_STACK_READS.split()), _stack)
