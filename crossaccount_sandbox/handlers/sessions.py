"""A session that STS begins: its key, which the sandbox keeps, and how the answer shows it.

Not here: who may have one (``sts``, ``web_identity``).
"""

import base64
import json
import secrets
from datetime import datetime
from typing import Any

from crossaccount_sandbox.callers import Caller, Key
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.principals import managed_document
from crossaccount_sandbox.wire import AwsError
from crossaccount_sandbox.world import World

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_CHAINED_SECONDS = 3600
_MANAGED_POLICIES = 10


def begin(world: World, session: Caller) -> dict[str, Any]:
    """A new key of a session that has an end, as ``Credentials`` show it."""
    key_id = "ASIA" + "".join(secrets.choice(_ALPHABET) for _ in range(16))
    secret = base64.b64encode(secrets.token_bytes(30)).decode()
    token = "IQoJ" + base64.b64encode(secrets.token_bytes(258)).decode()
    world.keys.add_session(key_id, Key(session, secret, token))
    assert session.session_expires is not None
    return {
        "AccessKeyId": key_id,
        "SecretAccessKey": secret,
        "SessionToken": token,
        "Expiration": session.session_expires,
    }


def role_end(world: World, call: Call, role: Any) -> datetime:
    """When a session of a role ends.

    Raises:
        AwsError: ``ValidationError`` for a duration over an hour in role chaining, or over the role's maximum.
    """
    seconds = int(call.params.get("DurationSeconds") or 3600)
    if call.caller.chained and seconds > _CHAINED_SECONDS:
        text = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        raise AwsError("ValidationError", text)
    if seconds > int(role.max_session_duration or 3600):
        text = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        raise AwsError("ValidationError", text)
    return end(world, seconds)


def end(world: World, seconds: int) -> datetime:
    """When a session that begins now ends, in whole seconds."""
    return world.session_end(seconds).replace(microsecond=0)


def session_policy(text: str | None) -> dict[str, Any] | None:
    """The policy that narrows a session; ``MalformedPolicyDocument`` for one that is none."""
    if not text:
        return None
    try:
        document = json.loads(text)
    except ValueError:
        raise AwsError("MalformedPolicyDocument", "The session policy is not JSON") from None
    if not isinstance(document, dict) or not document.get("Statement"):
        raise AwsError("MalformedPolicyDocument", "The session policy has no Statement")
    return document


def managed_policies(call: Call, account: str) -> tuple[str, ...]:
    """The managed policies that narrow the session: at most ten, of the session's account or AWS's own.

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


def packed(session: Caller) -> dict[str, int]:
    """``PackedPolicySize``, where something was packed: a percentage of what a session may carry."""
    given = [json.dumps(session.session_policy or ""), *session.session_policy_arns, *session.tags]
    size = sum(map(len, given)) if session.session_policy or len(given) > 1 else 0
    return {"PackedPolicySize": min(100, 1 + size * 100 // 4096)} if size else {}
