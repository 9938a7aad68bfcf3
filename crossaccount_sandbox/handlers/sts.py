"""STS: sessions of roles and of users, with AWS's limits on how long they last, and what narrows and describes them.

Not here: sessions for who has another provider's token (``web_identity``).

Source: the STS API reference; "Compare AWS STS credentials" in the IAM user guide; answers as localstack and
cloud-custodian recorded them, and a public test that runs against AWS's STS.
"""

from crossaccount_sandbox.answers import result
from crossaccount_sandbox.callers import Caller
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.handlers.sessions import (
    begin,
    end,
    managed_policies,
    packed,
    role_end,
    session_policy,
)
from crossaccount_sandbox.principals import find_role
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import Handler, World

_HALF_A_DAY = 43_200


def assume_role(world: World, call: Call) -> Response:
    """AssumeRole: a session with its own expiry, narrowed by its session policies, with its tags and source identity.

    Raises:
        AwsError: ``ValidationError`` for a duration over the role's maximum, or over an hour in role chaining;
            ``MalformedPolicyDocument`` for a session policy that is none; ``AccessDenied`` for another source identity
            than the one that the caller's session has, and for MFA, whose devices nobody has here.
    """
    role = find_role(call.params["RoleArn"])
    assert role is not None  # without a role there is no trust policy, and the guard has refused
    ends = role_end(world, call, role)
    identity = _source_identity(call)
    _check_mfa(call)
    name = call.params["RoleSessionName"]
    tags = {tag["Key"]: tag["Value"] for tag in call.params.get("Tags") or ()}
    session = Caller(
        arn=f"arn:aws:sts::{role.account_id}:assumed-role/{role.name}/{name}",
        account=role.account_id,
        unique_id=f"{role.id}:{name}",
        role_arn=role.arn,
        session_policy=session_policy(call.params.get("Policy")),
        session_policy_arns=managed_policies(call, role.account_id),
        session_began=world.clock(),
        session_expires=ends,
        tags={**call.caller.inherited, **tags},
        transitive=call.caller.transitive
        | {str(key).lower() for key in call.params.get("TransitiveTagKeys") or ()},
        source_identity=identity,
    )
    return result(
        call,
        {
            "AssumedRoleUser": {"AssumedRoleId": session.unique_id, "Arn": session.arn},
            "Credentials": begin(world, session),
            **packed(session),
            **({} if identity is None else {"SourceIdentity": identity}),
        },
    )


def _source_identity(call: Call) -> str | None:
    """The session's source identity: once set, it stays along a chain of roles.

    Source: "Monitor and control actions taken with assumed roles" in the IAM user guide, which does not give the error's
    code and text.
    """
    held, wanted = call.caller.source_identity, call.params.get("SourceIdentity")
    if held is not None and wanted not in (None, held):
        text = "The source identity of the calling session cannot be changed along a chain of roles."
        raise AwsError("AccessDenied", text, 403)
    return held or wanted


def _check_mfa(call: Call) -> None:
    if call.params.get("SerialNumber") or call.params.get("TokenCode"):
        text = (
            "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid "
            "and associated with this user."
        )
        raise AwsError("AccessDenied", text, 403)


def get_session_token(world: World, call: Call) -> Response:
    """GetSessionToken: a session of the user itself, without MFA."""
    _check_mfa(call)
    caller = call.caller
    seconds = int(call.params.get("DurationSeconds") or _HALF_A_DAY)
    session = Caller(
        arn=caller.arn,
        account=caller.account,
        unique_id=caller.unique_id,
        session_began=world.clock(),
        session_expires=end(world, seconds),
    )
    return result(call, {"Credentials": begin(world, session)})


def get_federation_token(world: World, call: Call) -> Response:
    """GetFederationToken: a session that may do what both its policies and its user's allow."""
    caller, name = call.caller, call.params["Name"]
    seconds = int(call.params.get("DurationSeconds") or _HALF_A_DAY)
    session = Caller(
        arn=f"arn:aws:sts::{caller.account}:federated-user/{name}",
        account=caller.account,
        unique_id=f"{caller.account}:{name}",
        user_arn=caller.arn,
        session_policy=session_policy(call.params.get("Policy")),
        session_policy_arns=managed_policies(call, caller.account),
        session_began=world.clock(),
        session_expires=end(world, seconds),
        tags={tag["Key"]: tag["Value"] for tag in call.params.get("Tags") or ()},
    )
    return result(
        call,
        {
            "Credentials": begin(world, session),
            "FederatedUser": {"FederatedUserId": session.unique_id, "Arn": session.arn},
            "PackedPolicySize": packed(session).get("PackedPolicySize", 0),
        },
    )


def get_caller_identity(world: World, call: Call) -> Response:
    """GetCallerIdentity: who the guard took the caller for."""
    caller = call.caller
    return result(call, {"UserId": caller.unique_id, "Account": caller.account, "Arn": caller.arn})


def get_access_key_info(world: World, call: Call) -> Response:
    """GetAccessKeyInfo: the account of a key that exists; of any other the sandbox cannot tell, where AWS reads it off the id."""
    key = world.keys.find(call.params["AccessKeyId"])
    if key is None:
        raise AwsError("ValidationError", f"{call.params['AccessKeyId']} is invalid")
    return result(call, {"Account": key.caller.account})


def decode_message(world: World, call: Call) -> Response:
    """DecodeAuthorizationMessage: no service of the sandbox encodes what it says, so there is no message to decode."""
    raise AwsError("InvalidAuthorizationMessageException", "Message is not valid")


HANDLERS: dict[str, Handler] = {
    "AssumeRole": assume_role,
    "GetAccessKeyInfo": get_access_key_info,
    "GetCallerIdentity": get_caller_identity,
    "GetFederationToken": get_federation_token,
    "GetSessionToken": get_session_token,
    "DecodeAuthorizationMessage": decode_message,
}
