"""IAM: trust policies, and the roles that AWS alone may change. Not here: the simulation of policies (``simulation``)."""

import json
import re
from dataclasses import replace

from crossaccount_sandbox.attached import load, statements
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.principals import adopt, find_user, principal_arn, user_id
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import Handler, World


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
    unknown = 'Invalid principal in policy: "AWS":"{}"'
    world.attached.check_principals(document, lambda name: _malformed(unknown.format(name)))
    return call.forward(call.account)


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
    """What moto answers well, but for the text about a role that is not there, and for a policy that is named by no ARN.

    Source: recordings of IAM by cloud-custodian and localstack.
    """
    if "PolicyArn" in call.params:
        if not str(call.params["PolicyArn"]).startswith("arn:"):
            raise AwsError("ValidationError", "Invalid ARN:  Could not be parsed!")
        adopt(call.account, call.params["PolicyArn"])
    response = call.forward(call.account)
    if response.status != 404:
        return response
    absent = re.sub(rb"Role (\S+) not found", rb"The role with name \1 cannot be found.", response.body)
    return replace(response, body=absent)


def on_policy(world: World, call: Call) -> Response:
    """GetPolicy and its like, also of AWS's own managed policies, and ListPolicies, which names them all.

    Raises:
        AwsError: ``AccessDenied`` for a change of one of AWS's own.
    """
    arn = str(call.params.get("PolicyArn", ""))
    if call.operation in _POLICY_CHANGES.split() and arn.startswith("arn:aws:iam::aws:policy/"):
        raise AwsError("AccessDenied", "Policy is outside your own account.", 403)
    if call.operation != "ListPolicies":
        adopt(call.account, arn)
    elif call.params.get("Scope") != "Local" and not call.params.get("OnlyAttached"):
        adopt(call.account)
    return call.forward(call.account)


def create_user(world: World, call: Call) -> Response:
    """CreateUser: its unique id is one of IAM's form wherever it is shown."""
    response = call.forward(call.account)
    user = find_user(principal_arn("user", call.params["UserName"], call.account))
    if response.status >= 300 or user is None:
        return response
    before, user.id = str(user.id), user_id(user)
    return replace(response, body=response.body.replace(before.encode(), str(user.id).encode()))


def _malformed(text: str) -> AwsError:
    return AwsError("MalformedPolicyDocument", text)


_CHANGES = (
    "DeleteRole UpdateRole TagRole UntagRole PutRolePolicy DeleteRolePolicy AttachRolePolicy DetachRolePolicy "
    "PutRolePermissionsBoundary DeleteRolePermissionsBoundary"
)
_ON_POLICIES = "AttachUserPolicy GetPolicy GetPolicyVersion ListPolicies ListPolicyVersions"
_POLICY_CHANGES = "CreatePolicyVersion DeletePolicy DeletePolicyVersion"
_READS = "GetRole GetRolePolicy ListRolePolicies ListAttachedRolePolicies ListRoleTags"
HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_CHANGES.split(), unprotected(on_role)),
    **dict.fromkeys(_READS.split(), on_role),
    "CreateRole": check_trust,
    "CreateUser": create_user,
    **dict.fromkeys((*_ON_POLICIES.split(), *_POLICY_CHANGES.split()), on_policy),
    "UpdateAssumeRolePolicy": unprotected(check_trust),
}
