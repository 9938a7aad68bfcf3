"""What stands in an account for a group already: the stack of the templates, roles of their names, and the account's organization.

It reads only. Not here: the group itself (``group``).

Source: DescribeStacks in the CloudFormation API reference; ListRoles, ListRolePolicies and GetRolePolicy in the IAM API reference;
DescribeOrganization in the AWS Organizations API reference.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from crossaccount.errors import Failed
from crossaccount.regions import partitions
from crossaccount.setup.asking import Asked, Side

PRODUCER, CONSUMER = "producer", "consumer"
# The roles that a template makes, by the ends of their names, with the outputs of its stack that name them.
ROLES: dict[str, dict[str, str]] = {
    PRODUCER: {"producer": "Role"},
    CONSUMER: {"deployer": "DeployerRole", "execution": "ExecutionRole"},
}
_PREFIX = "crossaccount"
_LONGEST = 53  # with the longest end, -execution, within the 64 characters of a role's name
_GONE = ("DELETE_COMPLETE", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")


@dataclass(frozen=True)
class Standing:
    """What stands for a group in an account, or is to be made.

    ``stack`` is the name of the stack, ``is_deployed`` whether it is there, and ``parameters`` what it was told then; ``roles`` are ARNs by the ends of the roles' names, and
    ``external_id`` the one that their trust asks for, None where none is known. ``is_by_hand`` is whether the roles are there without
    a stack.
    """

    stack: str
    roles: Mapping[str, str]
    external_id: str | None = None
    is_deployed: bool = False
    is_by_hand: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Known:
    stacks: Sequence[Mapping[str, Any]] | None = None
    roles: Mapping[str, Mapping[str, Any]] | None = field(default=None)


def look(asked: Asked, side: Side, kind: str, group: str, producer: str, demanded: bool = False) -> Standing:
    """What stands for the group in an account.

    Args:
        asked: takes the findings.
        side: the account.
        kind: `PRODUCER` or `CONSUMER`.
        group: the group's name.
        producer: the account id of the producer.
        demanded: whether a deployed stack is asked for (``--from-stacks``).

    Raises:
        Failed: a stack is demanded, and there is none; or AWS cannot be reached.
    """
    where = f"account {side.account}"
    stacks = _stacks(asked, side)
    ours = [each for each in stacks or () if _is_ours(each, kind, group, producer)]
    if len(ours) == 1:
        return _deployed(ours[0], kind)
    if demanded:
        what = f"it has {len(ours)}" if ours else "it has none"
        cannot = "its stacks could not be read" if stacks is None else what
        raise Failed(
            f"--from-stacks: no one stack of deployments/iam/{kind}.yaml for {group} in {where}, {side.region}: {cannot}. Deploy it, or leave "
            "--from-stacks out."
        )
    if ours:
        asked.warn(
            f"stacks of {where}",
            f"{', '.join(each['StackName'] for each in ours)} are all for {group}: which one's roles the config means cannot be told.",
            "Correct role and external_id in the config.",
        )
    roles = asked.read(
        side,
        f"roles of {where}",
        "Whether a role of the name that the stack gives is there already is not known: the stack fails if it is.",
        lambda: _all(side, "iam", "list_roles", "Roles"),
    )
    known = _Known(stacks, None if roles is None else {each["RoleName"]: each for each in roles})
    return _planned(asked, side, kind, (producer, group), known)


def find_deployed(
    asked: Asked, side: Side, kind: str, group: str, producer: str
) -> tuple[Standing, ...] | None:
    """The deployed stacks of a kind for the group in an account; None where they may not be read. Takes and raises what `look` does."""
    stacks = _stacks(asked, side)
    if stacks is None:
        return None
    return tuple(_deployed(each, kind) for each in stacks if _is_ours(each, kind, group, producer))


def _stacks(asked: Asked, side: Side) -> list[Any] | None:
    return asked.read(
        side,
        f"stacks of account {side.account}",
        "Whether the roles' stack is deployed is not known.",
        lambda: _all(side, "cloudformation", "describe_stacks", "Stacks"),
    )


def _all(side: Side, service: str, operation: str, key: str) -> list[Any]:
    return [each for page in side.client(service).get_paginator(operation).paginate() for each in page[key]]


def _parameters(stack: Mapping[str, Any]) -> dict[str, str]:
    return {each["ParameterKey"]: each.get("ParameterValue", "") for each in stack.get("Parameters", ())}


def _outputs(stack: Mapping[str, Any]) -> dict[str, str]:
    return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", ())}


def _is_ours(stack: Mapping[str, Any], kind: str, group: str, producer: str) -> bool:
    given, outputs = _parameters(stack), _outputs(stack)
    return (
        given.get("ModelPackageGroupName") == group
        and given.get("ProducerAccount", producer) == producer
        and set(ROLES[kind].values()) <= set(outputs)
        and stack["StackStatus"] not in _GONE
    )


def _deployed(stack: Mapping[str, Any], kind: str) -> Standing:
    outputs = _outputs(stack)
    roles = {end: outputs[output] for end, output in ROLES[kind].items()}
    given = _parameters(stack)
    return Standing(stack["StackName"], roles, given.get("ExternalId"), is_deployed=True, parameters=given)


def _planned(asked: Asked, side: Side, kind: str, owned: tuple[str, str], known: _Known) -> Standing:
    """The names of a stack that is to be deployed, or the roles that somebody made without one; ``owned`` is the group by its owner and name."""
    _, group = owned
    partition, taken = partitions()[side.region], {each["StackName"] for each in known.stacks or ()}
    last = ""
    for prefix in (_PREFIX, f"{_PREFIX}-{group}"[:_LONGEST].rstrip("-")):
        names = {end: f"{prefix}-{end}" for end in ROLES[kind]}
        there = [known.roles[name] for name in names.values() if known.roles and name in known.roles]
        roles = {end: f"arn:{partition}:iam::{side.account}:role/{name}" for end, name in names.items()}
        if len(there) == len(names) and _serves(asked, side, there[0], owned):
            asked.note(
                f"roles of account {side.account}",
                f"{', '.join(names.values())} are there for {group} without a stack that can be seen: the config names them as they are.",
            )
            roles = {end: role["Arn"] for end, role in zip(names, there, strict=True)}
            return Standing(prefix, roles, external_id_of(there[0]), is_by_hand=True)
        if not there and prefix not in taken:
            return Standing(prefix, roles)
        last = ", ".join(role["RoleName"] for role in there) or f"the stack {prefix}"
    asked.warn(
        f"roles of account {side.account}",
        f"{last} is there already, and not for {group}: the stack cannot make what is there.",
        "Choose another NamePrefix, in the parameters and the config, or remove what is there.",
    )
    return Standing(prefix, roles)


def _serves(asked: Asked, side: Side, role: Mapping[str, Any], owned: tuple[str, str]) -> bool:
    """Whether a role's own policies name the group."""
    iam, named = side.client("iam"), {"RoleName": role["RoleName"]}
    producer, group = owned
    wanted = f':{side.region}:{producer}:model-package-group/{group}"'

    def read() -> bool:
        for page in iam.get_paginator("list_role_policies").paginate(**named):
            for policy in page["PolicyNames"]:
                document = iam.get_role_policy(**named, PolicyName=policy)["PolicyDocument"]
                if wanted in json.dumps(document):
                    return True
        return False

    subject = f"role {role['RoleName']} of account {side.account}"
    return bool(asked.read(side, subject, "Whether it is for the group is not known.", read))


def external_id_of(role: Mapping[str, Any]) -> str | None:
    """The one external id that a role's trust asks for; None where it asks for none, or for several."""
    found = set()
    statements = role.get("AssumeRolePolicyDocument", {}).get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        wanted = statement.get("Condition", {}).get("StringEquals", {}).get("sts:ExternalId", [])
        found |= set([wanted] if isinstance(wanted, str) else wanted)
    return found.pop() if len(found) == 1 else None


def organization_of(asked: Asked, side: Side) -> str | None:
    """The id of the organization that an account is in; None for none, and where that may not be asked."""

    def read() -> str | None:
        try:
            return str(side.client("organizations").describe_organization()["Organization"]["Id"])
        except ClientError as error:
            if error.response["Error"]["Code"] != "AWSOrganizationsNotInUseException":
                raise
            return None

    matters = "Whether the accounts are of one organization is not known; nothing in the config needs it."
    return asked.read(side, f"organization of account {side.account}", matters, read)
