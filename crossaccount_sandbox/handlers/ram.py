"""AWS RAM, as far as it is about the policies of model package groups: the shares that they make, and the promotion of these.

A group with a policy is in a share of featureSet CREATED_FROM_POLICY, which its owner alone sees. Promoted, the group is seen by the
accounts that the policy names. A policy that says something else than the promoted one makes the share CREATED_FROM_POLICY again:
what AWS does then is not documented. Invitations are not modelled: whoever is named sees a promoted share.

Source: PromotePermissionCreatedFromPolicy and PromoteResourceShareCreatedFromPolicy in the AWS RAM API reference; "Set up
discoverability" in the SageMaker developer guide.
"""

import hashlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from crossaccount_sandbox.attached import named_principals, statements
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.principals import Document
from crossaccount_sandbox.wire import AwsError, Response, json_response
from crossaccount_sandbox.world import Handler, Record, World

_TYPE = "sagemaker:ModelPackageGroup"


@dataclass(frozen=True)
class Share:
    """The share that a group's policy makes."""

    group: str
    owner: str
    region: str
    document: Document

    @property
    def arn(self) -> str:
        """The share's ARN."""
        return f"arn:aws:ram:{self.region}:{self.owner}:resource-share/{uuid.uuid5(uuid.NAMESPACE_URL, self.group)}"

    @property
    def content(self) -> str:
        """The content of the policy, by which a permission is known again."""
        return hashlib.sha256(json.dumps(self.document, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def permission(self) -> str:
        """The ARN of the permission that RAM makes from the policy."""
        return f"arn:aws:ram:{self.region}:{self.owner}:permission/{self.content}"


def shares(world: World, region: str) -> Iterator[Share]:
    """The shares of every account in a region."""
    for (place, _), group in list(world.registry.groups.items()):
        arn = group["ModelPackageGroupArn"]
        document = world.attached.get(("group", arn))
        if place[1] == region and document is not None:
            yield Share(arn, place[0], region, document)


def is_standard(world: World, share: Share) -> bool:
    """Whether a share is promoted, with the policy that stands now."""
    return world.promoted.shares.get(share.arn) == share.content


def unpromotable(document: Document) -> str | None:
    """Why RAM does not take a policy for a permission of its own; None for one that it takes.

    Source: "Set up discoverability" in the SageMaker developer guide and "Terms and concepts" in the AWS RAM user guide: a share
    is with accounts and organizations, and a permission names its actions.
    """
    for statement in statements(document):
        actions = statement.get("Action", [])
        if "NotAction" in statement or "*" in ([actions] if isinstance(actions, str) else actions):
            return "its actions are not named"
        for name in named_principals(statement):
            if ":role/" in name or ":user/" in name or ":sts:" in name or name.startswith(("AROA", "AIDA")):
                return f"{name} is neither an account nor an organization"
    return None


def members(world: World, share: Share) -> set[str]:
    """The accounts that a share's policy names, by themselves or by their organization."""
    found: set[str] = set()
    for statement in statements(share.document):
        if statement["Effect"] == "Allow":
            named = named_principals(statement)
            found |= {name.split(":")[4] if ":" in name else name for name in named if name != "*"}
            wanted = json.dumps(statement.get("Condition", {}))
            found |= {
                account.id
                for account in world.accounts.values()
                if "*" in named and account.organization and f'"{account.organization}"' in wanted
            }
    return found - {share.owner}


def discoverable_groups(world: World, account: str, region: str) -> list[Record]:
    """The records of the groups of other accounts that an account may discover."""
    visible = {
        share.group
        for share in shares(world, region)
        if is_standard(world, share) and account in members(world, share)
    }
    return [group for group in world.registry.groups.values() if group["ModelPackageGroupArn"] in visible]


def _visible(world: World, call: Call, owner: str) -> list[Share]:
    found = list(shares(world, call.region))
    if owner == "SELF":
        return [share for share in found if share.owner == call.account]
    return [each for each in found if is_standard(world, each) and call.account in members(world, each)]


def get_shares(world: World, call: Call) -> Response:
    """GetResourceShares: one's own, or those of others that are promoted."""
    wanted = call.params.get("resourceShareArns")
    found = [
        {
            "resourceShareArn": share.arn,
            "name": share.group.rpartition("/")[2],
            "owningAccountId": share.owner,
            "allowExternalPrincipals": True,
            "status": "ACTIVE",
            "featureSet": "STANDARD" if is_standard(world, share) else "CREATED_FROM_POLICY",
        }
        for share in _visible(world, call, call.params["resourceOwner"])
        if wanted is None or share.arn in wanted
    ]
    name = call.params.get("name")
    return json_response({"resourceShares": [each for each in found if name in (None, each["name"])]})


def get_associations(world: World, call: Call) -> Response:
    """GetResourceShareAssociations of one's own shares."""
    of_principals = call.params["associationType"] == "PRINCIPAL"
    wanted, arns = call.params.get("resourceArn"), call.params.get("resourceShareArns")
    found: list[dict[str, Any]] = []
    for share in _visible(world, call, "SELF"):
        if (wanted is None or share.group == wanted) and (arns is None or share.arn in arns):
            entities = sorted(members(world, share)) if of_principals else [share.group]
            found += [
                {
                    "resourceShareArn": share.arn,
                    "associatedEntity": entity,
                    "associationType": call.params["associationType"],
                    "status": "ASSOCIATED",
                }
                for entity in entities
            ]
    return json_response({"resourceShareAssociations": found})


def list_resources(world: World, call: Call) -> Response:
    """ListResources: the groups in one's own shares, or in those of others."""
    found = [
        {"arn": share.group, "type": _TYPE, "resourceShareArn": share.arn, "status": "AVAILABLE"}
        for share in _visible(world, call, call.params["resourceOwner"])
        if call.params.get("resourceType") in (None, _TYPE)
    ]
    wanted = call.params.get("resourceArns")
    return json_response({"resources": [each for each in found if wanted is None or each["arn"] in wanted]})


def _own(world: World, call: Call) -> Share:
    arn = call.params["resourceShareArn"]
    for share in _visible(world, call, "SELF"):
        if share.arn == arn:
            return share
    raise AwsError("UnknownResourceException", f"ResourceShare {arn} could not be found.")


def list_permissions(world: World, call: Call) -> Response:
    """ListResourceSharePermissions of one's own share."""
    share = _own(world, call)
    standard = is_standard(world, share)
    name = world.promoted.permissions.get(share.permission)
    arn = f"{share.permission.rpartition('/')[0]}/{name}" if standard and name else share.permission
    permission = {
        "arn": arn,
        "version": "1",
        "defaultVersion": True,
        "name": name if standard and name else share.content,
        "resourceType": _TYPE,
        "status": "ASSOCIATED",
        "permissionType": "CUSTOMER_MANAGED",
        "featureSet": "STANDARD" if standard else "CREATED_FROM_POLICY",
    }
    return json_response({"permissions": [permission]})


def promote_permission(world: World, call: Call) -> Response:
    """PromotePermissionCreatedFromPolicy.

    Raises:
        AwsError: ``InvalidPolicyException`` for a policy that no permission can be made of, ``UnknownResourceException`` for a
            permission that is none of a standing policy, ``InvalidParameterException`` for a name that is taken.
    """
    arn, name = call.params["permissionArn"], call.params["name"]
    share = next((each for each in _visible(world, call, "SELF") if each.permission == arn), None)
    if share is None:
        raise AwsError("UnknownResourceException", f"Permission {arn} could not be found.")
    if why := unpromotable(share.document):
        raise AwsError("InvalidPolicyException", f"The policy cannot be promoted: {why}.")
    if any(taken == name and of != arn for of, taken in world.promoted.permissions.items()):
        raise AwsError("InvalidParameterException", f"A permission with the name {name} already exists.")
    world.promoted.permissions[arn] = name
    promoted = {
        "arn": f"{arn.rpartition('/')[0]}/{name}",
        "version": "1",
        "name": name,
        "resourceType": _TYPE,
        "status": "ATTACHABLE",
        "permissionType": "CUSTOMER_MANAGED",
        "featureSet": "STANDARD",
    }
    return json_response({"permission": promoted})


def promote_share(world: World, call: Call) -> Response:
    """PromoteResourceShareCreatedFromPolicy.

    Raises:
        AwsError: ``UnmatchedPolicyPermissionException`` where no promoted permission says what the policy does,
            ``InvalidStateTransitionException`` for a share that is promoted already.
    """
    share = _own(world, call)
    if is_standard(world, share):
        text = f"ResourceShare {share.arn} is not of featureSet CREATED_FROM_POLICY."
        raise AwsError("InvalidStateTransitionException", text)
    if share.permission not in world.promoted.permissions:
        text = f"No managed permission has the permissions of the policy of {share.group}."
        raise AwsError("UnmatchedPolicyPermissionException", text)
    world.promoted.shares[share.arn] = share.content
    return json_response({"returnValue": True})


HANDLERS: dict[str, Handler] = {
    "GetResourceShareAssociations": get_associations,
    "GetResourceShares": get_shares,
    "ListResources": list_resources,
    "ListResourceSharePermissions": list_permissions,
    "PromotePermissionCreatedFromPolicy": promote_permission,
    "PromoteResourceShareCreatedFromPolicy": promote_share,
}
