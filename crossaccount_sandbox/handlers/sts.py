"""STS: sessions of roles, with AWS's limits on how long they last."""

import json
import re
from typing import Any

from moto.sts.models import sts_backends

from crossaccount_sandbox.callers import Caller, Key
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.principals import find_role
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import Handler, World

_CHAINED_SECONDS = 3600


def assume_role(world: World, call: Call) -> Response:
    """AssumeRole: a session with its own expiry, narrowed by its session policy.

    Raises:
        AwsError: ``ValidationError`` for a duration over the role's maximum, or over an hour in role chaining;
            ``MalformedPolicyDocument`` for a session policy that is none.
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
    policy = _session_policy(call.params.get("Policy"))
    response = call.forward(call.account)
    match = re.search(rb"<AccessKeyId>(\w+)</AccessKeyId>", response.body)
    sts = sts_backends[role.account_id]["aws"]
    assumed = sts.get_assumed_role_from_access_key(match[1].decode()) if match else None
    if assumed is None:
        return response
    session = Caller(
        arn=assumed.arn,
        account=role.account_id,
        unique_id=f"{role.id}:{assumed.session_name}",
        role_arn=role.arn,
        session_policy=policy,
        session_expires=world.session_end(seconds),
    )
    key = Key(session, assumed.secret_access_key, assumed.session_token)
    world.keys.add_session(assumed.access_key_id, key)
    return response


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


HANDLERS: dict[str, Handler] = {"AssumeRole": assume_role}
