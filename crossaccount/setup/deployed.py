"""A role as it is deployed: its trust policy, its own and its attached policies, and its permissions boundary.

It only reads, with whatever credentials it is given. Not here: what it is compared with (``differences``).

Source: GetRole, ListRolePolicies, GetRolePolicy, ListAttachedRolePolicies, GetPolicy and GetPolicyVersion in the IAM API reference.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from crossaccount import parallel
from crossaccount.setup.differences import Deployed
from crossaccount.setup.templates import EDITION, Policy


def look(iam: Any, name: str) -> Any:
    """The role as GetRole describes it; None where there is no such role.

    Raises:
        ClientError: when AWS refuses.
    """
    try:
        return iam.get_role(RoleName=name)["Role"]
    except iam.exceptions.NoSuchEntityException:
        return None


def edition_of(role: Any) -> str:
    """The edition of the template that made a role, by its tag; empty where it has none."""
    return next((str(tag["Value"]) for tag in role.get("Tags", ()) if tag["Key"] == EDITION), "")


def read(iam: Any, name: str) -> Deployed | None:
    """The role of a name, with every policy; None where there is no such role.

    Raises:
        ClientError: when AWS refuses a part of it.
    """
    role = look(iam, name)
    if role is None:
        return None
    inline, attached = parallel.run_both(
        lambda: [*_pages(iam, "list_role_policies", "PolicyNames", RoleName=name)],
        lambda: [*_pages(iam, "list_attached_role_policies", "AttachedPolicies", RoleName=name)],
    )
    calls = [partial(_inline, iam, name, each) for each in inline]
    calls += [partial(_managed, iam, each["PolicyArn"]) for each in attached]
    limit = role.get("PermissionsBoundary")
    boundary = _managed(iam, limit["PermissionsBoundaryArn"]) if limit else None
    policies = tuple(parallel.run_all(calls))
    return Deployed(name, role["AssumeRolePolicyDocument"], policies, edition_of(role), boundary)


def _pages(iam: Any, operation: str, key: str, **given: Any) -> Iterator[Any]:
    for page in iam.get_paginator(operation).paginate(**given):
        yield from page[key]


def _inline(iam: Any, role: str, name: str) -> Policy:
    return Policy(name, iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"])


def _managed(iam: Any, arn: str) -> Policy:
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    return Policy(arn, iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"])
