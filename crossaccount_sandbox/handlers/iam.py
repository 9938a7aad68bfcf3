"""IAM: trust policies, what AWS alone may change, its texts where moto has others. Not here: simulations (``simulation``)."""

import json
import re
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from moto.core.serialize import never_return, url_encode
from moto.iam.models import iam_backends
from moto.iam.responses import IamResponse

from crossaccount_sandbox.attached import load, statements, unknown_service
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.principals import adopt, find_user, managed_document, principal_arn, user_id
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import Handler, World

# A document is URL-encoded in every answer that has one; of the answers about versions of a policy, one alone has it.
# Source: "GetPolicyVersion", "ListRoles" and "PolicyVersion" in the IAM API reference.
IamResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER |= {
    "CreatePolicyVersionResponse.PolicyVersion.Document": never_return,
    "GetPolicyVersionResponse.PolicyVersion.Document": url_encode,
    "ListPolicyVersionsResponse.Versions.PolicyVersion.Document": never_return,
    "ListRolesResponse.Roles.Role.AssumeRolePolicyDocument": url_encode,
}


def check_trust(world: World, call: Call) -> Response:
    """CreateRole and UpdateAssumeRolePolicy: a trust policy names living principals, and no one by exception.

    Source: recordings of IAM by localstack for what is no JSON and for a Resource; "IAM JSON policy elements:
    NotPrincipal" in the IAM user guide says that trust policies do not take one, its text is the Resource's.

    Raises:
        AwsError: ``MalformedPolicyDocument``; ``InvalidInput`` for a path that AWS keeps for itself, whose text is not
            recorded anywhere.
    """
    if str(call.params.get("Path", "/")).startswith(_RESERVED):
        text = f"The path {call.params['Path']} is reserved: AWS alone makes roles under it."
        raise AwsError("InvalidInput", text)
    text = call.params.get("AssumeRolePolicyDocument") or call.params.get("PolicyDocument") or ""
    if not _is_json(text):
        raise _malformed("This policy contains invalid Json")
    document = load(text, lambda why: _malformed(f"The trust policy cannot be used: {why}"))
    for statement in statements(document):
        for field in ("NotPrincipal", "Resource", "NotResource"):
            if field in statement:
                raise _malformed(f"Has prohibited field {field}")
        if not all(_begins_session(action) for action in _texts(statement.get("Action"))):
            raise _malformed("AssumeRole policy may only specify STS AssumeRole actions.")
    if service := unknown_service(document):
        raise _malformed(f'Invalid principal in policy: "SERVICE":"{service}"')
    unknown = 'Invalid principal in policy: "AWS":"{}"'
    world.attached.check_principals(document, lambda name: _malformed(unknown.format(name)))
    return _in_iam_words(call, call.forward(call.account))


def _texts(element: object) -> list[str]:
    return [element] if isinstance(element, str) else [str(each) for each in element or ()]  # type: ignore[attr-defined]


def _begins_session(action: str) -> bool:
    """True for what a trust policy may speak of: sessions of the role, and what they bring."""
    return action.lower().startswith("sts:") and any(
        fnmatchcase(name, action.lower().removeprefix("sts:")) for name in _OF_SESSIONS
    )


_OF_SESSIONS = (
    *("assumerole", "assumerolewithsaml", "assumerolewithwebidentity"),
    *("tagsession", "setsourceidentity", "setcontext"),
)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


_RESERVED = ("/aws-reserved/", "/aws-service-role/")


def unprotected(handler: Handler) -> Handler:
    """The handler of a change to a role, which AWS refuses for the roles that it alone may change.

    Source: the text of IAM, as users of IAM Identity Center and of service-linked roles report it.
    """

    def checked(world: World, call: Call) -> Response:
        name = call.params["RoleName"]
        if principal_arn("role", name, call.account).split(":role")[-1].startswith(_RESERVED):
            text = f"Cannot perform the operation on the protected role '{name}' - this role is only modifiable by AWS"
            raise AwsError("UnmodifiableEntity", text)
        return handler(world, call)

    return checked


def on_role(world: World, call: Call) -> Response:
    """What moto answers well, but for IAM's texts, a policy that is named by no ARN, and a boundary that is not there.

    Source: recordings of IAM by cloud-custodian and localstack; the boundary's text as users of IAM report it.
    """
    if "PolicyArn" in call.params:
        if not str(call.params["PolicyArn"]).startswith("arn:"):
            raise AwsError("ValidationError", "Invalid ARN:  Could not be parsed!")
        adopt(call.account, call.params["PolicyArn"])
    _check_boundary(call)
    _check_identity_policy(call)
    return _in_iam_words(call, call.forward(call.account))


def _check_identity_policy(call: Call) -> None:
    """Refuse a policy of a user, a role or a managed one that names a principal: its own is meant.

    Source: the text of IAM, as its users report it.
    """
    try:
        document = json.loads(str(call.params.get("PolicyDocument") or "{}"))
    except ValueError:
        return  # moto refuses it
    listed = document.get("Statement", []) if isinstance(document, dict) else []
    for statement in [listed] if isinstance(listed, dict) else listed:
        if isinstance(statement, dict) and ("Principal" in statement or "NotPrincipal" in statement):
            raise _malformed("Policy document should not specify a principal.")


def _check_boundary(call: Call) -> None:
    boundary = call.params.get("PermissionsBoundary")
    if not boundary:
        return
    owner = str(boundary).split(":")[4] if str(boundary).count(":") >= 5 else ""
    if owner not in ("aws", call.account) or managed_document(str(boundary)) is None:
        raise AwsError("NoSuchEntity", f"Scope ARN: {boundary} does not exist or is not attachable.", 404)


_TEXTS = (
    (r"Role ([^\s<]+) not found", r"The role with name \1 cannot be found."),
    (
        r"Policy Document ([^\s<]+) not attached to role [^\s<]+",
        r"The role policy with name \1 cannot be found.",
    ),
    (r"User ([^\s<]+) already exists", r"User with name \1 already exists."),
    (r"(The Access Key with id [^\s<]+ cannot be found)(?=<)", r"\1."),
)


def _in_iam_words(call: Call, response: Response) -> Response:
    """A refusal of moto's, with IAM's text."""
    if response.status < 400:
        return response
    texts = list(_TEXTS)
    if call.params.get("VersionId"):
        gone = f"Policy {call.params['PolicyArn']} version {call.params['VersionId']} does not exist or is not attachable."
        texts.append((r"(?<=<Message>)Policy [^<]*not found", gone))
    texts += [
        (r"Policy (arn:[^\s<]+) not found", r"Policy \1 was not found."),
        (r"(?<=<Message>)Policy ([^\s<]+) not found", r"The user policy with name \1 cannot be found."),
    ]
    body = response.body.decode()
    for pattern, said in texts:
        body = re.sub(pattern, said, body)
    return replace(response, body=body.encode())


def create_role(world: World, call: Call) -> Response:
    """CreateRole: what GetRole alone shows is not in its answer."""
    _check_boundary(call)
    response = check_trust(world, call)
    hidden = (
        rb"<(MaxSessionDuration|Description)>[^<]*</\1>|<RoleLastUsed\s*/>|<RoleLastUsed>\s*</RoleLastUsed>"
    )
    return replace(response, body=re.sub(hidden, b"", response.body)) if response.status < 300 else response


def _adopt(call: Call) -> None:
    """Have AWS's own managed policies at hand that a call is about; refuse a change of one."""
    arn = str(call.params.get("PolicyArn", ""))
    if call.operation in _CHANGES_OF_POLICIES and arn.startswith("arn:aws:iam::aws:policy/"):
        raise AwsError("AccessDenied", "Policy is outside your own account.", 403)
    if arn:
        adopt(call.account, arn)
    elif (
        call.operation == "ListPolicies"
        and call.params.get("Scope") != "Local"
        and not call.params.get("OnlyAttached")
    ):
        adopt(call.account)


def create_user(world: World, call: Call) -> Response:
    """CreateUser: its unique id is one of IAM's form wherever it is shown, and its boundary holds."""
    _check_boundary(call)
    response = _in_iam_words(call, call.forward(call.account))
    user = find_user(principal_arn("user", call.params["UserName"], call.account))
    if response.status >= 300 or user is None:
        return response
    before, user.id = str(user.id), user_id(user)
    user.permissions_boundary_arn = call.params.get("PermissionsBoundary")
    return _bounded(
        user, replace(response, body=response.body.replace(before.encode(), str(user.id).encode()))
    )


def get_user(world: World, call: Call) -> Response:
    """GetUser: with the boundary."""
    response = _in_iam_words(call, call.forward(call.account))
    name = call.params.get("UserName")
    arn = call.caller.arn if name is None else principal_arn("user", name, call.account)
    return _bounded(find_user(arn), response) if response.status < 300 else response


def _bounded(user: Any, response: Response) -> Response:
    boundary = getattr(user, "permissions_boundary_arn", None)
    if not boundary:
        return response
    shown = (
        "<PermissionsBoundary><PermissionsBoundaryType>PermissionsBoundaryPolicy</PermissionsBoundaryType>"
        f"<PermissionsBoundaryArn>{boundary}</PermissionsBoundaryArn></PermissionsBoundary></User>"
    )
    return replace(response, body=response.body.replace(b"</User>", shown.encode()))


def on_policy(world: World, call: Call) -> Response:
    """What there is of managed policies: IAM's ids and counts, and no document beside a version that is made or listed.

    Source: recordings of IAM by localstack.
    """
    _adopt(call)
    _check_identity_policy(call)
    response = _in_iam_words(call, call.forward(call.account))
    body = re.sub(
        rb"<PolicyId>[^<]{4}([^<]*)</PolicyId>",
        lambda match: b"<PolicyId>ANPA" + match[1] + b"</PolicyId>",
        response.body,
    )
    if b"PermissionsBoundaryUsageCount" not in body:
        count = rb"\1<PermissionsBoundaryUsageCount>0</PermissionsBoundaryUsageCount>"
        body = re.sub(rb"(<AttachmentCount>\d+</AttachmentCount>)", count, body)
    if call.operation in ("CreatePolicyVersion", "ListPolicyVersions"):
        body = re.sub(rb"<Document>.*?</Document>", b"", body, flags=re.DOTALL)
    return replace(response, body=body)


def delete_policy(world: World, call: Call) -> Response:
    """DeletePolicy: not while it is attached, nor while it has further versions.

    Source: "Delete IAM policies" in the IAM user guide; the first text as its users report it.

    Raises:
        AwsError: ``DeleteConflict``; ``AccessDenied`` for one of AWS's own.
    """
    _adopt(call)
    policy = iam_backends[call.account]["aws"].managed_policies.get(call.params["PolicyArn"])
    if policy is not None and policy.attachment_count:
        raise AwsError("DeleteConflict", "Cannot delete a policy attached to entities.", 409)
    if policy is not None and len(policy.versions) > 1:
        text = (
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The "
            "default version is deleted with the policy."
        )
        raise AwsError("DeleteConflict", text, 409)
    return _in_iam_words(call, call.forward(call.account))


def create_provider(world: World, call: Call) -> Response:
    """CreateOpenIDConnectProvider: of an https URL, once.

    Source: recordings of IAM by localstack.
    """
    url = str(call.params["Url"])
    if not url.startswith("https://"):
        raise AwsError("ValidationError", "Invalid Open ID Connect Provider URL")
    if _provider_arn(call, url) in iam_backends[call.account]["aws"].open_id_providers:
        raise AwsError("EntityAlreadyExists", f"Provider with url {url} already exists.", 409)
    return call.forward(call.account)


def _provider_arn(call: Call, url: str) -> str:
    return f"arn:aws:iam::{call.account}:oidc-provider/{url.partition('://')[2]}"


def delete_provider(world: World, call: Call) -> Response:
    """DeleteOpenIDConnectProvider: one that is there."""
    arn = call.params["OpenIDConnectProviderArn"]
    if arn not in iam_backends[call.account]["aws"].open_id_providers:
        raise AwsError("NoSuchEntity", f"OpenId connect Provider {arn} cannot be found.", 404)
    return call.forward(call.account)


def _malformed(text: str) -> AwsError:
    return AwsError("MalformedPolicyDocument", text)


_CHANGES = (
    "DeleteRole UpdateRole TagRole UntagRole PutRolePolicy DeleteRolePolicy AttachRolePolicy DetachRolePolicy "
    "PutRolePermissionsBoundary DeleteRolePermissionsBoundary"
)
_READS = (
    "GetRole GetRolePolicy ListRolePolicies ListAttachedRolePolicies ListRoleTags DeleteUser PutUserPolicy "
    "GetUserPolicy DeleteUserPolicy AttachUserPolicy DetachUserPolicy DeleteAccessKey UpdateAccessKey"
)
_OF_POLICIES = "CreatePolicy GetPolicy ListPolicies CreatePolicyVersion GetPolicyVersion ListPolicyVersions DeletePolicyVersion"
_CHANGES_OF_POLICIES = ("CreatePolicyVersion", "DeletePolicy", "DeletePolicyVersion")
HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_CHANGES.split(), unprotected(on_role)),
    **dict.fromkeys(_READS.split(), on_role),
    **dict.fromkeys(_OF_POLICIES.split(), on_policy),
    "CreateOpenIDConnectProvider": create_provider,
    "CreateRole": create_role,
    "CreateUser": create_user,
    "GetUser": get_user,
    "DeleteOpenIDConnectProvider": delete_provider,
    "DeletePolicy": delete_policy,
    "UpdateAssumeRolePolicy": unprotected(check_trust),
}
