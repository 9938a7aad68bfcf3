"""STS: sessions of roles, with AWS's limits on how long they last, and what narrows and describes them."""

import json
import re
from typing import Any
from uuid import uuid4
from xml.sax.saxutils import escape

from moto.sts.models import sts_backends

from crossaccount_sandbox.callers import Caller, Key
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.principals import find_role, managed_document
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import Handler, World

_CHAINED_SECONDS = 3600
_MANAGED_POLICIES = 10


def assume_role(world: World, call: Call) -> Response:
    """AssumeRole: a session with its own expiry, narrowed by its session policies, with its tags and source identity.

    Raises:
        AwsError: ``ValidationError`` for a duration over the role's maximum, or over an hour in role chaining;
            ``MalformedPolicyDocument`` for a session policy that is none; ``AccessDenied`` for another source identity
            than the one that the caller's session has.
    """
    role = find_role(call.params["RoleArn"])
    assert role is not None  # without a role there is no trust policy, and the guard has refused
    seconds = int(call.params.get("DurationSeconds") or 3600)
    if call.caller.chained and seconds > _CHAINED_SECONDS:
        text = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        raise AwsError("ValidationError", text)
    if seconds > int(role.max_session_duration or 3600):
        text = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        raise AwsError("ValidationError", text)
    identity = _source_identity(call)
    policy = _session_policy(call.params.get("Policy"))
    managed = _managed_policies(call, role.account_id)
    response = call.forward(call.account)
    match = re.search(rb"<AccessKeyId>(\w+)</AccessKeyId>", response.body)
    sts = sts_backends[role.account_id]["aws"]
    assumed = sts.get_assumed_role_from_access_key(match[1].decode()) if match else None
    if assumed is None:
        return response
    tags = {tag["Key"]: tag["Value"] for tag in call.params.get("Tags") or ()}
    session = Caller(
        arn=assumed.arn,
        account=role.account_id,
        unique_id=f"{role.id}:{assumed.session_name}",
        role_arn=role.arn,
        session_policy=policy,
        session_policy_arns=managed,
        session_began=world.clock(),
        session_expires=world.session_end(seconds),
        tags={**call.caller.inherited, **tags},
        transitive=call.caller.transitive
        | {str(key).lower() for key in call.params.get("TransitiveTagKeys") or ()},
        source_identity=identity,
    )
    key = Key(session, assumed.secret_access_key, assumed.session_token)
    world.keys.add_session(assumed.access_key_id, key)
    return _answered(response, identity, packed=bool(policy or managed or tags))


def _answered(response: Response, identity: str | None, *, packed: bool) -> Response:
    """The answer with the source identity, and with PackedPolicySize only where something was packed.

    Source: recordings of STS by localstack and cloud-custodian.
    """
    body = response.body
    if not packed:
        body = re.sub(rb"\s*<PackedPolicySize>\d*</PackedPolicySize>", b"", body)
    if identity is not None:
        member = f"<SourceIdentity>{identity}</SourceIdentity>".encode()
        body = body.replace(b"</AssumeRoleResult>", member + b"</AssumeRoleResult>")
    return Response(response.status, body, response.headers)


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


def _managed_policies(call: Call, account: str) -> tuple[str, ...]:
    """The managed policies that narrow the session: at most ten, of the role's account or AWS's own.

    Source: AssumeRole in the STS API reference, which gives no text for a policy that is not there; IAM's own text for
    attaching one stands for it.

    Raises:
        AwsError: ``ValidationError`` for too many, ``MalformedPolicyDocument`` for one that does not exist or is another
            account's.
    """
    arns = tuple(str(given.get("arn")) for given in call.params.get("PolicyArns") or ())
    if len(arns) > _MANAGED_POLICIES:
        text = (
            "1 validation error detected: Value at 'policyArns' failed to satisfy constraint: Member must have length "
            f"less than or equal to {_MANAGED_POLICIES}"
        )
        raise AwsError("ValidationError", text)
    for arn in arns:
        owner = arn.split(":")[4] if arn.count(":") >= 5 else ""
        if owner not in ("aws", account) or managed_document(arn) is None:
            raise AwsError("MalformedPolicyDocument", f"Policy {arn} does not exist or is not attachable.")
    return arns


def _session_policy(text: str | None) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        document = json.loads(text)
    except ValueError:
        raise AwsError("MalformedPolicyDocument", "The session policy is not JSON") from None
    if not isinstance(document, dict) or not document.get("Statement"):
        raise AwsError("MalformedPolicyDocument", "The session policy has no Statement")
    return document


def get_caller_identity(world: World, call: Call) -> Response:
    """GetCallerIdentity: who the guard took the caller for."""
    caller = call.caller
    text = (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        f"<Arn>{escape(caller.arn)}</Arn><UserId>{escape(caller.unique_id)}</UserId><Account>{caller.account}</Account>"
        f"</GetCallerIdentityResult><ResponseMetadata><RequestId>{uuid4()}</RequestId></ResponseMetadata>"
        "</GetCallerIdentityResponse>"
    )
    return Response(200, text.encode(), (("Content-Type", "text/xml"),))


HANDLERS: dict[str, Handler] = {"AssumeRole": assume_role, "GetCallerIdentity": get_caller_identity}
