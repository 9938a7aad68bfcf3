"""What AWS checks for the operations of IAM, which are administrators' operations in the caller's own account.

Source: the Service Authorization Reference.
"""

from __future__ import annotations

from collections.abc import Iterator

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check, Rule

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


RULES: dict[str, Rule] = dict.fromkeys(_IAM_OPERATIONS, _administration)
