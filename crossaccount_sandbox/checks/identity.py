"""What AWS checks for the operations of STS and IAM: sessions, and the principals they are of.

IAM's are administrators' operations, in the caller's own account.

Source: the Service Authorization Reference; for tags and source identities of sessions "Pass session tags in AWS STS" and
"Monitor and control actions taken with assumed roles" in the IAM user guide.
"""

import re
from collections.abc import Iterator
from typing import Any

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check, Rule, own
from crossaccount_sandbox.checks.tagging import request_tags, tag_keys
from crossaccount_sandbox.principals import boundary_of, principal_arn
from crossaccount_sandbox.wire import AwsError

_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):.+", re.DOTALL)


def _assume_role(call: Call) -> Iterator[Check]:
    """AssumeRole; what a session brings with it is asked too, also what it has from the session before in a chain.

    Raises:
        AwsError: ``ValidationError`` for a role that is named by no ARN, ``InvalidParameterValue`` for tags that STS does
            not take.
    """
    role = str(call.params["RoleArn"])
    match = _ROLE_ARN.fullmatch(role)
    if match is None:
        raise AwsError("ValidationError", f"{role} is invalid")
    _check_session_tags(call)
    tags, transitive = request_tags(call.params.get("Tags")), call.params.get("TransitiveTagKeys")
    if transitive:
        tags["sts:TransitiveTagKeys"] = transitive
    identity = call.params.get("SourceIdentity") or call.caller.source_identity
    source = {"sts:SourceIdentity": identity} if identity else {}
    context = {"sts:RoleSessionName": call.params.get("RoleSessionName", ""), **tags, **source}
    if call.params.get("ExternalId"):
        context["sts:ExternalId"] = call.params["ExternalId"]
    yield Check("sts:AssumeRole", role, match[1], role=role, context=context)
    if tags or call.caller.inherited:
        yield Check("sts:TagSession", role, match[1], role=role, context=tags)
    if source:
        yield Check("sts:SetSourceIdentity", role, match[1], role=role, context=source)


def _with_token(call: Call) -> Iterator[Check]:
    """AssumeRoleWithWebIdentity: who has a token is judged by the role's trust policy once the token was verified.

    Raises:
        AwsError: ``ValidationError`` for a role that is named by no ARN.
    """
    role = str(call.params["RoleArn"])
    if _ROLE_ARN.fullmatch(role) is None:
        raise AwsError("ValidationError", f"{role} is invalid")
    return iter(())


def _session_token(call: Call) -> Iterator[Check]:
    """GetSessionToken: no policy is asked, but a user must ask for itself."""
    _check_own_key(call)
    return iter(())


def _federation_token(call: Call) -> Iterator[Check]:
    _check_own_key(call)
    _check_session_tags(call)
    arn = f"arn:aws:sts::{call.account}:federated-user/{call.params['Name']}"
    tags = request_tags(call.params.get("Tags"))
    yield Check("sts:GetFederationToken", arn, call.account, context=tags)
    if tags:
        yield Check("sts:TagSession", arn, call.account, context=tags)


def _check_own_key(call: Call) -> None:
    if call.caller.session_began is not None:
        raise AwsError("AccessDenied", f"Cannot call {call.operation} with session credentials", 403)


def _check_session_tags(call: Call) -> None:
    """Refuse a session's tags as STS does; all keys are compared without regard to case.

    Source: "Pass session tags in AWS STS" in the IAM user guide; the texts from localstack's recordings of STS, but
    for the beginning that is AWS's own, whose text is the sandbox's.
    """
    keys = [str(tag["Key"]).lower() for tag in call.params.get("Tags") or ()]
    if any(key.startswith("aws:") for key in keys):
        raise _bad_tags("Tag keys that begin with aws: are reserved for AWS.")
    if len(set(keys)) < len(keys):
        raise _bad_tags("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if call.caller.transitive & set(keys):
        raise _bad_tags(
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from "
            "the calling session."
        )
    if not {str(key).lower() for key in call.params.get("TransitiveTagKeys") or ()} <= set(keys):
        raise _bad_tags("The specified transitive tag key must be included in the requested tags.")


def _bad_tags(text: str) -> AwsError:
    return AwsError("InvalidParameterValue", text)


def _nothing(call: Call) -> Iterator[Check]:
    """GetCallerIdentity needs no permission."""
    return iter(())


_ON_ROLES = (
    "CreateRole GetRole DeleteRole UpdateRole TagRole UntagRole ListRoleTags PutRolePolicy GetRolePolicy DeleteRolePolicy "
    "AttachRolePolicy DetachRolePolicy ListRolePolicies ListAttachedRolePolicies PutRolePermissionsBoundary "
    "DeleteRolePermissionsBoundary UpdateAssumeRolePolicy"
)
_ON_USERS = (
    "CreateUser GetUser DeleteUser PutUserPolicy GetUserPolicy DeleteUserPolicy AttachUserPolicy DetachUserPolicy "
    "ListUserPolicies ListAttachedUserPolicies CreateAccessKey DeleteAccessKey UpdateAccessKey ListAccessKeys"
)
_ON_POLICIES = "CreatePolicy GetPolicy DeletePolicy CreatePolicyVersion GetPolicyVersion DeletePolicyVersion ListPolicyVersions"
_ON_NOTHING = "ListRoles ListUsers ListPolicies ListOpenIDConnectProviders"
# Where iam:PermissionsBoundary is a key. PutRolePermissionsBoundary and the two that create have it of the request.
_BOUNDED = frozenset(
    [
        *("CreateRole", "GetRole", "DeleteRole", "UpdateRole", "PutRolePolicy", "DeleteRolePolicy"),
        *(
            "AttachRolePolicy",
            "DetachRolePolicy",
            "PutRolePermissionsBoundary",
            "DeleteRolePermissionsBoundary",
        ),
        *("UpdateAssumeRolePolicy", "CreateUser", "PutUserPolicy", "DeleteUserPolicy", "AttachUserPolicy"),
        "DetachUserPolicy",
    ]
)
_TAGGED_BY = {
    "CreateOpenIDConnectProvider": "TagOpenIDConnectProvider",
    "CreateRole": "TagRole",
    "CreateUser": "TagUser",
    "CreatePolicy": "TagPolicy",
}


def _on_principal(kind: str, parameter: str) -> Rule:
    """A role or user of the caller's account, by its whole ARN: with the path that it has or is about to get."""

    def rule(call: Call) -> Iterator[Check]:
        name = call.params.get(parameter)
        if name is None:  # GetUser, CreateAccessKey and ListAccessKeys are then about the caller
            arn = call.caller.role_arn or call.caller.arn
        elif call.operation.startswith("Create") and "Path" in call.params:
            arn = f"arn:aws:iam::{call.account}:{kind}{call.params['Path']}{name}"
        else:
            arn = principal_arn(kind, str(name), call.account)
        yield from _with_tags(call, arn, _iam_context(call, arn))

    return rule


def _iam_context(call: Call, arn: str) -> dict[str, Any]:
    context: dict[str, Any] = {}
    if call.operation in _BOUNDED:
        new = call.operation.startswith("Create")
        boundary = call.params.get("PermissionsBoundary") or (None if new else boundary_of(arn))
        if boundary:
            context["iam:PermissionsBoundary"] = boundary
    if call.operation.startswith(("Attach", "Detach")):
        context["iam:PolicyARN"] = str(call.params["PolicyArn"])
    return context


def _with_tags(call: Call, arn: str, context: dict[str, Any]) -> Iterator[Check]:
    owner = _owner_in_iam(arn, call.account)
    tags = request_tags(call.params.get("Tags")) or tag_keys(call.params.get("TagKeys"))
    yield Check(f"iam:{call.operation}", arn, owner, context={**context, **tags})
    if tags and call.operation in _TAGGED_BY:
        yield Check(f"iam:{_TAGGED_BY[call.operation]}", arn, owner, context=tags)


def _on_policy(call: Call) -> Iterator[Check]:
    arn = call.params.get("PolicyArn")
    if arn is None:
        arn = f"arn:aws:iam::{call.account}:policy{call.params.get('Path', '/')}{call.params['PolicyName']}"
    yield from _with_tags(call, str(arn), {})


_ON_PROVIDERS = (
    "CreateOpenIDConnectProvider GetOpenIDConnectProvider DeleteOpenIDConnectProvider ListOpenIDConnectProviderTags "
    "TagOpenIDConnectProvider UntagOpenIDConnectProvider UpdateOpenIDConnectProviderThumbprint"
)


def _on_provider(call: Call) -> Iterator[Check]:
    """An OpenID Connect provider of the caller's account, by the host and path of its URL."""
    host = str(call.params.get("Url", "")).partition("://")[2]
    arn = call.params.get("OpenIDConnectProviderArn") or f"arn:aws:iam::{call.account}:oidc-provider/{host}"
    yield from _with_tags(call, str(arn), {})


def _simulation(call: Call) -> Iterator[Check]:
    arn = str(call.params["PolicySourceArn"])
    yield Check("iam:SimulatePrincipalPolicy", arn, _owner_in_iam(arn, call.account))


def _everything(call: Call) -> Iterator[Check]:
    yield Check(f"iam:{call.operation}", "*", call.account)


def _owner_in_iam(arn: str, account: str) -> str:
    """The account that an ARN of IAM names; the caller's own for what AWS keeps for everyone (``iam::aws:policy/...``)."""
    named = arn.split(":")[4] if arn.count(":") >= 5 else ""
    return named if named.isdigit() else account


STS_RULES: dict[str, Rule] = {
    "AssumeRole": _assume_role,
    "AssumeRoleWithWebIdentity": _with_token,
    "DecodeAuthorizationMessage": own("sts:DecodeAuthorizationMessage"),
    "GetAccessKeyInfo": own("sts:GetAccessKeyInfo"),
    "GetCallerIdentity": _nothing,
    "GetFederationToken": _federation_token,
    "GetSessionToken": _session_token,
}
IAM_RULES: dict[str, Rule] = {
    **dict.fromkeys(_ON_ROLES.split(), _on_principal("role", "RoleName")),
    **dict.fromkeys(_ON_USERS.split(), _on_principal("user", "UserName")),
    **dict.fromkeys(_ON_POLICIES.split(), _on_policy),
    **dict.fromkeys(_ON_PROVIDERS.split(), _on_provider),
    **dict.fromkeys(_ON_NOTHING.split(), _everything),
    "SimulatePrincipalPolicy": _simulation,
}
