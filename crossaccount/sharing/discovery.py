"""Discoverability: whether the accounts that a group is shared with find it in their own lists, and the promotion that makes it so.

A group's policy makes a share in AWS RAM that its owner alone sees; once that is promoted, the accounts see it. What a later put of
the policy does to a promoted share is not documented, so it is read after each share. Not here: access, which does not need it.

Source: "Set up discoverability" in the SageMaker developer guide; PromotePermissionCreatedFromPolicy,
PromoteResourceShareCreatedFromPolicy and ResourceShare (featureSet) in the AWS RAM API reference.
"""

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from crossaccount.arns import group_arn
from crossaccount.aws.access import Producer
from crossaccount.errors import Failed, Finding, Severity
from crossaccount.policy import documents
from crossaccount.policy.documents import Document, listed, statements
from crossaccount.sharing.changes import Plan

_STANDARD, _FROM_POLICY = "STANDARD", "CREATED_FROM_POLICY"
_PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)  # RAM follows a put, and a promotion, after a while


def unpromotable(document: Document | None) -> str | None:
    """Why AWS RAM does not promote what a group's policy made, after "because"; None where nothing that is documented speaks against it."""
    for statement in statements(document):
        sid = f"its statement {statement.get('Sid', 'without a Sid')}"
        if "NotPrincipal" in statement or "NotAction" in statement:
            return f"{sid} says who or what is left out, not who may what"
        if "*" in listed(statement.get("Action", [])):
            return f"{sid} has the action *"
        principal = statement.get("Principal")
        if isinstance(principal, dict) and set(principal) - {"AWS"}:
            return f"{sid} names a principal that is no account"
        for name in documents.principals(statement):
            if name != "*" and not re.fullmatch(r"\d{12}", documents.principal_key(name)):
                return f"{sid} names {name}, which is neither an account nor an organization"
    return None


def find_unpromotable(discoverable: bool, plan: Plan) -> list[Finding]:
    """The finding of a plan that would leave a group's policy such that AWS RAM cannot promote it, where it is to be discoverable."""
    found = []
    for change in plan.changes if discoverable else ():
        if change.resource.kind == "model-package-group" and (why := unpromotable(change.desired)):
            text = f"AWS RAM cannot make the group discoverable with it, because {why}."
            way_out = "Name accounts or an organization, and each action; or take producer.discoverable out of the config."
            found.append(Finding(Severity.ERROR, f"policy of {change.resource}", text, way_out))
    return found


@dataclass(frozen=True)
class Discovery:
    """Whether a group is discoverable: True, False, or None where that cannot be told; the reason, and RAM's share."""

    is_on: bool | None
    reason: str
    share: str | None = None


def look(producer: Producer) -> Discovery:
    """Whether the group is discoverable, by its share in AWS RAM.

    Raises:
        ClientError: when AWS refuses.
    """
    ram, of_group = producer.ram, {"associationType": "RESOURCE", "resourceArn": group_arn(producer.config)}
    associations = _all(ram.get_resource_share_associations, "resourceShareAssociations", **of_group)
    arns = [each["resourceShareArn"] for each in associations if each.get("status") != "DISASSOCIATED"]
    if not arns:
        return Discovery(False, "AWS RAM has no share of it")
    shares = _all(ram.get_resource_shares, "resourceShares", resourceOwner="SELF", resourceShareArns=arns)
    active = [each for each in shares if each.get("status", "ACTIVE") == "ACTIVE"]
    if any(each.get("featureSet") == _STANDARD for each in active):
        if others := [each for each in active if each.get("featureSet") == _FROM_POLICY]:
            return Discovery(
                False, "its policy was written after AWS RAM promoted it", others[0]["resourceShareArn"]
            )
        return Discovery(True, "AWS RAM has promoted its share", active[0]["resourceShareArn"])
    made = [each for each in active if each.get("featureSet") == _FROM_POLICY]
    if made:
        return Discovery(False, "AWS RAM has not promoted its share", made[0]["resourceShareArn"])
    state = ", ".join(str(each.get("featureSet")) for each in active) or "not active"
    return Discovery(None, f"its share in AWS RAM is {state}", arns[0])


def make_discoverable(producer: Producer, tell: Callable[[str], None] = lambda text: None) -> Discovery:
    """Have AWS RAM promote what the group's policy made, unless it has; and look again until it shows.

    Raises:
        Failed: when it does not come about, with what stands.
        ClientError: when AWS refuses.
    """
    seen = _wait(producer, lambda found: found.is_on is True or found.share is not None)
    if seen.is_on:
        return seen
    if seen.share is None:
        raise Failed(_not_made(producer, seen.reason))
    try:
        _promote(producer, seen.share, tell)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code not in ("InvalidPolicyException", "UnmatchedPolicyPermissionException"):
            raise
        raise Failed(_not_made(producer, error.response["Error"].get("Message", code))) from None
    done = _wait(producer, lambda found: found.is_on is True)
    if not done.is_on:
        raise Failed(_not_made(producer, done.reason))
    return done


def _not_made(producer: Producer, reason: str) -> str:
    return (
        f"The group {producer.config.model_package_group} is shared, and not discoverable: {reason.rstrip('.')}. Look at its share in AWS RAM, "
        "or take producer.discoverable out of the config."
    )


def _wait(producer: Producer, enough: Callable[[Discovery], bool]) -> Discovery:
    for pause in _PAUSES:
        time.sleep(pause)
        found = look(producer)
        if enough(found):
            break
    return found


def _promote(producer: Producer, share: str, tell: Callable[[str], None]) -> None:
    ram = producer.ram
    for permission in _all(ram.list_resource_share_permissions, "permissions", resourceShareArn=share):
        if permission.get("featureSet") == _FROM_POLICY:
            promoted = _name_of(producer, permission)
            ram.promote_permission_created_from_policy(permissionArn=permission["arn"], name=promoted)
            tell(f"AWS RAM: promoted the permission of the group's policy as {promoted}")
    ram.promote_resource_share_created_from_policy(resourceShareArn=share)
    tell(f"AWS RAM: promoted {share}")


def _name_of(producer: Producer, permission: dict[str, Any]) -> str:
    """A name of up to 36 characters, the same for the same permission: a run that died is gone on with."""
    text = f"{group_arn(producer.config)} {permission['arn']}"
    return f"crossaccount-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


def _all(call: Callable[..., Any], key: str, **params: Any) -> list[dict[str, Any]]:
    """Everything that a call of RAM lists; a page of it may be empty before the last."""
    found: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        answer = call(**params, **token)
        found += answer[key]
        if not answer.get("nextToken"):
            return found
        token = {"nextToken": answer["nextToken"]}
