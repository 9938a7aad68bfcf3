"""The types of IAM: roles, users, access keys, and the policies in them or attached to them.

Not here: groups, instance profiles and login profiles, which the sandbox's IAM does not have.

Source: the types ``AWS::IAM::...`` in the AWS CloudFormation template reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from crossaccount_sandbox.cloudformation.kinds import (
    Ask,
    Begun,
    Held,
    Kind,
    Properties,
    Wanted,
    changed_properties,
    gone,
    random_suffix,
    tag_changes,
    text_of,
)
from crossaccount_sandbox.wire import AwsError

_ABSENT = "NoSuchEntity"
_NO_ONE = "At least one of [Groups,Roles,Users] must be non-empty."
_VERSIONS = 5  # of a managed policy
_HOLDERS = {
    "Role": "Roles",
    "User": "Users",
    "Group": "Groups",
}  # groups are asked for too: IAM says that it has none


def _iam(ask: Ask, operation: str, **params: Any) -> dict[str, Any]:
    return ask("iam", operation, params)


def _inline(properties: Properties) -> dict[str, Any]:
    return {str(each["PolicyName"]): each["PolicyDocument"] for each in properties.get("Policies", ())}


def _fill(ask: Ask, kind: str, name: str, before: Properties, after: Properties) -> None:
    """Bring the policies of a role or user from those of some properties to those of others."""
    key = {f"{kind}Name": name}
    old, new = _inline(before), _inline(after)
    for policy, document in new.items():
        if old.get(policy) != document:
            _iam(ask, f"Put{kind}Policy", **key, PolicyName=policy, PolicyDocument=text_of(document))
    for policy in old.keys() - new.keys():
        gone(partial(_iam, ask, f"Delete{kind}Policy", **key, PolicyName=policy), _ABSENT)
    attached, wanted = before.get("ManagedPolicyArns", []), after.get("ManagedPolicyArns", [])
    for arn in [arn for arn in wanted if arn not in attached]:
        _iam(ask, f"Attach{kind}Policy", **key, PolicyArn=arn)
    for arn in [arn for arn in attached if arn not in wanted]:
        gone(partial(_iam, ask, f"Detach{kind}Policy", **key, PolicyArn=arn), _ABSENT)


def _empty(ask: Ask, kind: str, held: Held) -> None:
    """Take out of a role or user what its properties put in, and remove it."""
    key = {f"{kind}Name": held.physical_id}
    _fill(ask, kind, held.physical_id, held.properties, {})
    gone(partial(_iam, ask, f"Delete{kind}", **key), _ABSENT)


def _plain(properties: Properties, *names: str) -> dict[str, Any]:
    return {name: properties[name] for name in names if name in properties}


def _tags(wanted: Wanted) -> dict[str, Any]:
    return {"Tags": wanted.tagged()} if wanted.tagged() else {}


def _role_made(role: Mapping[str, Any]) -> dict[str, str]:
    return {"Arn": role["Arn"], "RoleId": role["RoleId"]}


def _create_role(ask: Ask, wanted: Wanted, begun: Begun) -> None:
    given = wanted.properties
    params = _plain(given, "Path", "Description", "MaxSessionDuration", "PermissionsBoundary") | _tags(wanted)
    trust = text_of(given["AssumeRolePolicyDocument"])
    name = wanted.name("RoleName")
    if "MaxSessionDuration" in params:
        params["MaxSessionDuration"] = int(params["MaxSessionDuration"])
    role = _iam(ask, "CreateRole", RoleName=name, AssumeRolePolicyDocument=trust, **params)["Role"]
    begun(name, _role_made(role))
    _fill(ask, "Role", name, {}, given)


def _update_role(ask: Ask, held: Held, wanted: Wanted, begun: Begun) -> None:
    name, before, after = held.physical_id, held.properties, wanted.properties
    changed = changed_properties(before, after)
    if "AssumeRolePolicyDocument" in changed:
        trust = text_of(after["AssumeRolePolicyDocument"])
        _iam(ask, "UpdateAssumeRolePolicy", RoleName=name, PolicyDocument=trust)
    if {"Description", "MaxSessionDuration"} & set(changed):
        seconds = int(after.get("MaxSessionDuration", 3600))
        description = after.get("Description", "")
        _iam(ask, "UpdateRole", RoleName=name, Description=description, MaxSessionDuration=seconds)
    if "PermissionsBoundary" in changed and "PermissionsBoundary" in after:
        _iam(
            ask,
            "PutRolePermissionsBoundary",
            RoleName=name,
            PermissionsBoundary=after["PermissionsBoundary"],
        )
    elif "PermissionsBoundary" in changed:
        _iam(ask, "DeleteRolePermissionsBoundary", RoleName=name)
    _fill(ask, "Role", name, before, after)
    _retag(ask, "Role", held, wanted)
    begun(name, held.attributes)


def _retag(ask: Ask, kind: str, held: Held, wanted: Wanted) -> None:
    key = {f"{kind}Name": held.physical_id}
    added, removed = tag_changes(held, wanted)
    if added:
        _iam(ask, f"Tag{kind}", **key, Tags=added)
    if removed:
        _iam(ask, f"Untag{kind}", **key, TagKeys=removed)


def _create_user(ask: Ask, wanted: Wanted, begun: Begun) -> None:
    name = wanted.name("UserName")
    params = _plain(wanted.properties, "Path", "PermissionsBoundary") | _tags(wanted)
    user = _iam(ask, "CreateUser", UserName=name, **params)["User"]
    begun(name, {"Arn": user["Arn"]})
    _fill(ask, "User", name, {}, wanted.properties)


def _update_user(ask: Ask, held: Held, wanted: Wanted, begun: Begun) -> None:
    _fill(ask, "User", held.physical_id, held.properties, wanted.properties)
    _retag(ask, "User", held, wanted)
    begun(held.physical_id, held.attributes)


def _create_key(ask: Ask, wanted: Wanted, begun: Begun) -> None:
    user = str(wanted.properties["UserName"])
    key = _iam(ask, "CreateAccessKey", UserName=user)["AccessKey"]
    begun(key["AccessKeyId"], {"SecretAccessKey": key["SecretAccessKey"]})
    if wanted.properties.get("Status", "Active") != "Active":
        _iam(ask, "UpdateAccessKey", UserName=user, AccessKeyId=key["AccessKeyId"], Status="Inactive")


def _update_key(ask: Ask, held: Held, wanted: Wanted, begun: Begun) -> None:
    status = wanted.properties.get("Status", "Active")
    user = wanted.properties["UserName"]
    _iam(ask, "UpdateAccessKey", UserName=user, AccessKeyId=held.physical_id, Status=status)
    begun(held.physical_id, held.attributes)


def _delete_key(ask: Ask, held: Held) -> None:
    user = held.properties["UserName"]
    gone(partial(_iam, ask, "DeleteAccessKey", UserName=user, AccessKeyId=held.physical_id), _ABSENT)


def _holders(properties: Properties) -> list[tuple[str, str]]:
    """Whom a policy is for, each with its kind."""
    return [(kind, str(name)) for kind, listed in _HOLDERS.items() for name in properties.get(listed, ())]


def _put(ask: Ask, properties: Properties) -> None:
    """Put an inline policy into its holders.

    Raises:
        AwsError: ``InvalidRequest`` for a policy of no one.
    """
    if not _holders(properties):
        raise AwsError("InvalidRequest", _NO_ONE)
    for kind, name in _holders(properties):
        document = text_of(properties["PolicyDocument"])
        key = {f"{kind}Name": name, "PolicyName": properties["PolicyName"]}
        _iam(ask, f"Put{kind}Policy", **key, PolicyDocument=document)


def _take(ask: Ask, properties: Properties, kept: Properties) -> None:
    """Take an inline policy out of its holders, but for those where another set of properties has it too.

    Raises:
        AwsError: ``InvalidRequest`` for a policy of no one.
    """
    if not _holders(properties):
        raise AwsError("InvalidRequest", _NO_ONE)
    stays = set(_holders(kept)) if kept.get("PolicyName") == properties["PolicyName"] else set()
    for kind, name in _holders(properties):
        if (kind, name) not in stays:
            key = {f"{kind}Name": name, "PolicyName": properties["PolicyName"]}
            gone(partial(_iam, ask, f"Delete{kind}Policy", **key), _ABSENT)


def _create_policy(ask: Ask, wanted: Wanted, begun: Begun) -> None:
    name = f"{wanted.stack[:5]}-{wanted.logical_id[:4]}-{random_suffix()}"
    begun(name, {"Id": name})
    _put(ask, wanted.properties)


def _update_policy(ask: Ask, held: Held, wanted: Wanted, begun: Begun) -> None:
    _put(ask, wanted.properties)
    _take(ask, held.properties, wanted.properties)
    begun(held.physical_id, held.attributes)


def _delete_policy(ask: Ask, held: Held) -> None:
    _take(ask, held.properties, {})


def _one(kind: str, properties: Properties) -> dict[str, Any]:
    """The properties of a RolePolicy or UserPolicy as those of a Policy."""
    return {**properties, _HOLDERS[kind]: [properties[f"{kind}Name"]]}


def _create_one(kind: str, ask: Ask, wanted: Wanted, begun: Begun) -> None:
    begun(f"{wanted.properties['PolicyName']}|{wanted.properties[f'{kind}Name']}", {})
    if "PolicyDocument" in wanted.properties:
        _put(ask, _one(kind, wanted.properties))


def _update_one(kind: str, ask: Ask, held: Held, wanted: Wanted, begun: Begun) -> None:
    if "PolicyDocument" in wanted.properties:
        _put(ask, _one(kind, wanted.properties))
    begun(held.physical_id, {})


def _delete_one(kind: str, ask: Ask, held: Held) -> None:
    _take(ask, _one(kind, held.properties), {})


def _create_managed(ask: Ask, wanted: Wanted, begun: Begun) -> None:
    given = wanted.properties
    policy = _iam(
        ask,
        "CreatePolicy",
        PolicyName=wanted.name("ManagedPolicyName", 128),
        PolicyDocument=text_of(given["PolicyDocument"]),
        **_plain(given, "Path", "Description"),
    )["Policy"]
    begun(policy["Arn"], _managed_made(policy))
    _attach(ask, policy["Arn"], {}, given)


def _managed_made(policy: Mapping[str, Any]) -> dict[str, Any]:
    shown = ("PolicyId", "DefaultVersionId", "AttachmentCount", "IsAttachable", "CreateDate", "UpdateDate")
    return {"PolicyArn": policy["Arn"], **{name: str(policy[name]) for name in shown if name in policy}}


def _attach(ask: Ask, arn: str, before: Properties, after: Properties) -> None:
    old, new = _holders(before), _holders(after)
    for kind, name in [each for each in new if each not in old]:
        _iam(ask, f"Attach{kind}Policy", **{f"{kind}Name": name}, PolicyArn=arn)
    for kind, name in [each for each in old if each not in new]:
        gone(partial(_iam, ask, f"Detach{kind}Policy", **{f"{kind}Name": name}, PolicyArn=arn), _ABSENT)


def _update_managed(ask: Ask, held: Held, wanted: Wanted, begun: Begun) -> None:
    arn = held.physical_id
    if held.properties.get("PolicyDocument") != wanted.properties["PolicyDocument"]:
        others = [version for version in _versions(ask, arn) if not version["IsDefaultVersion"]]
        for version in others[_VERSIONS - 2 :]:  # the oldest make room
            _iam(ask, "DeletePolicyVersion", PolicyArn=arn, VersionId=version["VersionId"])
        document = text_of(wanted.properties["PolicyDocument"])
        _iam(ask, "CreatePolicyVersion", PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)
    _attach(ask, arn, held.properties, wanted.properties)
    begun(arn, held.attributes)


def _versions(ask: Ask, arn: str) -> list[dict[str, Any]]:
    """The versions of a managed policy, the newest first."""
    listed = _iam(ask, "ListPolicyVersions", PolicyArn=arn)["Versions"]
    return sorted(listed, key=lambda version: -int(version["VersionId"][1:]))


def _delete_managed(ask: Ask, held: Held) -> None:
    arn = held.physical_id
    _attach(ask, arn, held.properties, {})
    try:
        for version in _versions(ask, arn):
            if not version["IsDefaultVersion"]:
                _iam(ask, "DeletePolicyVersion", PolicyArn=arn, VersionId=version["VersionId"])
        _iam(ask, "DeletePolicy", PolicyArn=arn)
    except AwsError as error:
        if error.code != _ABSENT:
            raise


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _policy_of(kind: str) -> Kind:
    return Kind(
        properties=_set(f"PolicyName PolicyDocument {kind}Name"),
        required=_set(f"PolicyName {kind}Name"),
        replacing=_set(f"PolicyName {kind}Name"),
        attributes=frozenset(),
        create=partial(_create_one, kind),
        update=partial(_update_one, kind),
        delete=partial(_delete_one, kind),
        of_iam=True,
    )


KINDS: dict[str, Kind] = {
    "AWS::IAM::Role": Kind(
        properties=_set(
            "RoleName Path AssumeRolePolicyDocument Description MaxSessionDuration PermissionsBoundary Policies "
            "ManagedPolicyArns Tags"
        ),
        required=_set("AssumeRolePolicyDocument"),
        replacing=_set("RoleName Path"),
        attributes=_set("Arn RoleId"),
        named_by="RoleName",
        create=_create_role,
        update=_update_role,
        delete=lambda ask, held: _empty(ask, "Role", held),
        of_iam=True,
    ),
    "AWS::IAM::User": Kind(
        properties=_set("UserName Path PermissionsBoundary Policies ManagedPolicyArns Tags"),
        required=frozenset(),
        replacing=_set("UserName Path PermissionsBoundary"),
        attributes=_set("Arn"),
        named_by="UserName",
        create=_create_user,
        update=_update_user,
        delete=lambda ask, held: _empty(ask, "User", held),
        of_iam=True,
    ),
    "AWS::IAM::AccessKey": Kind(
        properties=_set("UserName Status Serial"),
        required=_set("UserName"),
        replacing=_set("UserName Serial"),
        attributes=_set("SecretAccessKey"),
        create=_create_key,
        update=_update_key,
        delete=_delete_key,
        of_iam=True,
    ),
    "AWS::IAM::Policy": Kind(
        properties=_set("PolicyName PolicyDocument Roles Users Groups"),
        required=_set("PolicyName PolicyDocument"),
        replacing=frozenset(),
        attributes=_set("Id"),
        create=_create_policy,
        update=_update_policy,
        delete=_delete_policy,
        of_iam=True,
    ),
    "AWS::IAM::RolePolicy": _policy_of("Role"),
    "AWS::IAM::UserPolicy": _policy_of("User"),
    "AWS::IAM::ManagedPolicy": Kind(
        properties=_set("ManagedPolicyName Path Description PolicyDocument Roles Users Groups"),
        required=_set("PolicyDocument"),
        replacing=_set("ManagedPolicyName Path Description"),
        attributes=_set(
            "PolicyArn PolicyId DefaultVersionId AttachmentCount IsAttachable CreateDate UpdateDate"
        ),
        named_by="ManagedPolicyName",
        create=_create_managed,
        update=_update_managed,
        delete=_delete_managed,
        of_iam=True,
    ),
}
