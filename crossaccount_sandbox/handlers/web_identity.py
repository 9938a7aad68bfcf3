"""AssumeRoleWithWebIdentity: a role's session for who has the token of an OpenID Connect provider that the account knows.

The keys with which a provider signs are arranged (``control``): nothing is fetched, and no token passes unverified.

Source: the STS API reference for the codes; "Available keys for AWS OIDC federation" in the IAM user guide; texts as users
of STS and tests of its clients report them.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from moto.iam.models import iam_backends

from crossaccount_sandbox.answers import result
from crossaccount_sandbox.callers import Caller
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check
from crossaccount_sandbox.checks.decisions import decide
from crossaccount_sandbox.handlers.sessions import begin, managed_policies, packed, role_end, session_policy
from crossaccount_sandbox.judging.decision import Result
from crossaccount_sandbox.principals import find_role
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import Handler, World

_ALGORITHMS = [f"{family}{bits}" for family in ("RS", "ES") for bits in (256, 384, 512)]
_UNREADABLE = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
_NO_KEY = (
    "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity "
    "documentation for requirements"
)
_EARLY = 300  # how many seconds ahead a provider's clock may be
_TAGS = "https://aws.amazon.com/tags"


def assume_with_token(world: World, call: Call) -> Response:
    """The session, once token and trust policy hold.

    Raises:
        AwsError: ``InvalidIdentityToken`` for a token of no provider of the account, that its keys did not sign, or for
            another audience; ``ExpiredTokenException``; ``IDPCommunicationError`` where the provider was arranged to be
            out of reach; ``AccessDenied`` where the role does not trust it; what AssumeRole has for durations and policies.
    """
    account = str(call.params["RoleArn"]).split(":")[4]
    provider, claims = _verified(world, account, call.params["WebIdentityToken"])
    keys = _keys(provider, claims)
    tags, transitive = _tags(claims)
    role = find_role(call.params["RoleArn"])
    if role is None or not _trusted(world, call, provider.arn, keys, tags, transitive):
        raise AwsError("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403)
    name = call.params["RoleSessionName"]
    session = Caller(
        arn=f"arn:aws:sts::{account}:assumed-role/{role.name}/{name}",
        account=account,
        unique_id=f"{role.id}:{name}",
        role_arn=role.arn,
        session_policy=session_policy(call.params.get("Policy")),
        session_policy_arns=managed_policies(call, account),
        session_began=world.clock(),
        session_expires=role_end(world, call, role),
        tags=tags,
        transitive=frozenset(key.lower() for key in transitive),
        federation=keys,
    )
    return result(
        call,
        {
            "Credentials": begin(world, session),
            "SubjectFromWebIdentityToken": claims["sub"],
            "AssumedRoleUser": {"AssumedRoleId": session.unique_id, "Arn": session.arn},
            "Provider": provider.arn,
            "Audience": keys[f"{provider.url}:aud"],
            **packed(session),
        },
    )


def _verified(world: World, account: str, token: str) -> tuple[Any, dict[str, Any]]:
    """The provider of a token, and what the token claims, once it is what the provider signed, for it, and not over."""
    issuer = str(_unverified(token).get("iss", ""))
    host = issuer.removeprefix("https://")
    held = iam_backends[account]["aws"].open_id_providers if account in world.accounts else {}
    provider = held.get(f"arn:aws:iam::{account}:oidc-provider/{host}")
    if provider is None or not issuer.startswith("https://"):
        raise _invalid(f"No OpenIDConnect provider found in your account for {issuer}")
    if issuer not in world.issuers:
        raise _invalid(_NO_KEY)
    jwks = world.issuers[issuer]
    if jwks is None:
        raise AwsError("IDPCommunicationError", f"The identity provider {issuer} could not be reached.")
    claims = _signed(token, jwks)
    if not _audiences(claims) & set(provider.client_id_list):
        raise _invalid("Incorrect token audience")
    _check_times(claims, int(world.clock().timestamp()))
    if not isinstance(claims.get("sub"), str):
        raise _invalid(_UNREADABLE)
    return provider, claims


def _unverified(token: str) -> dict[str, Any]:
    """What a token says of itself, to find its provider by."""
    parts = token.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (IndexError, binascii.Error, ValueError):
        raise _invalid(_UNREADABLE) from None
    if len(parts) != 3 or not isinstance(claims, dict):
        raise _invalid(_UNREADABLE)
    return claims


def _signed(token: str, jwks: Mapping[str, Any]) -> dict[str, Any]:
    from joserfc import jwt  # few runs have a token to verify
    from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
    from joserfc.jwk import KeySet

    try:
        keys = KeySet.import_key_set({"keys": list(jwks["keys"])})
        return dict(jwt.decode(token, keys, algorithms=_ALGORITHMS).claims)
    except BadSignatureError:
        raise _invalid("Token signature invalid") from None
    except InvalidKeyIdError:
        raise _invalid(_NO_KEY) from None
    except (JoseError, ValueError):
        raise _invalid(_UNREADABLE) from None


def _check_times(claims: Mapping[str, Any], now: int) -> None:
    ends = claims.get("exp")
    if not isinstance(ends, int | float):
        raise _invalid(_UNREADABLE)
    if ends <= now:
        text = f"Token expired: current date/time {now} must be before the expiration date/time {int(ends)}"
        raise AwsError("ExpiredTokenException", text)
    for name in ("nbf", "iat"):
        begins = claims.get(name, now)
        if not isinstance(begins, int | float) or begins > now + _EARLY:
            raise _invalid(f"The token is not valid before {begins}")


def _audiences(claims: Mapping[str, Any]) -> set[str]:
    given = claims.get("azp") or claims.get("aud") or []
    return {given} if isinstance(given, str) else {str(each) for each in given}


def _keys(provider: Any, claims: Mapping[str, Any]) -> dict[str, Any]:
    """The condition keys of a token: of the request for a session, and of what the session asks."""
    known = sorted(_audiences(claims) & set(provider.client_id_list))
    keys = {"aud": known[0], "sub": claims["sub"]}
    for name in ("amr", "email", "oaud"):
        if claims.get(name):
            keys[name] = claims[name]
    return {
        "aws:FederatedProvider": provider.arn,
        **{f"{provider.url}:{name}": value for name, value in keys.items()},
    }


def _tags(claims: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """The session's tags that a token brings, and which of them are transitive; ``InvalidIdentityToken`` for what is none."""
    given = claims.get(_TAGS)
    if given is None:
        return {}, []
    named = given.get("principal_tags", {}) if isinstance(given, dict) else None
    listed = given.get("transitive_tag_keys", []) if isinstance(given, dict) else None
    if not isinstance(named, dict) or not isinstance(listed, list):
        raise _invalid(_UNREADABLE)
    values = {str(key): value if isinstance(value, list) else [value] for key, value in named.items()}
    if any(len(value) != 1 or not isinstance(value[0], str) for value in values.values()):
        raise _invalid(_UNREADABLE)
    return {key: value[0] for key, value in values.items()}, [str(key) for key in listed]


def _trusted(
    world: World, call: Call, provider: str, keys: dict[str, Any], tags: dict[str, str], transitive: list[str]
) -> bool:
    """Whether the role trusts the provider with all that the session brings."""
    role = str(call.params["RoleArn"])
    context = {**keys, "sts:RoleSessionName": call.params["RoleSessionName"]}
    context |= {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    if tags:
        context["aws:TagKeys"] = list(tags)
    if transitive:
        context["sts:TransitiveTagKeys"] = transitive
    actions = ["sts:AssumeRoleWithWebIdentity", *(["sts:TagSession"] if tags else [])]
    checks = [Check(action, role, role.split(":")[4], role=role, context=context) for action in actions]
    return all(decide(world, provider, check, call).result is Result.ALLOWED for check in checks)


def _invalid(text: str) -> AwsError:
    return AwsError("InvalidIdentityToken", text)


HANDLERS: dict[str, Handler] = {"AssumeRoleWithWebIdentity": assume_with_token}
