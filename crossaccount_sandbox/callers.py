"""Who is calling: access keys and sessions, and the Signature Version 4 that proves them.

Not here: how a signature is computed (``signatures``), what the caller may do (``judge``), how a session comes to be (``sts``).

Source: "Signature Version 4 for API requests" and "Temporary security credentials" in the IAM user guide.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from moto.iam.models import iam_backends

from crossaccount_sandbox.principals import user_id
from crossaccount_sandbox.signatures import check_presigned, sign, unsigned_headers
from crossaccount_sandbox.wire import AwsError, Scope

_CLOCK_SKEW = timedelta(minutes=15)
_QUERY = ("sts", "iam", "cloudformation")


@dataclass(frozen=True)
class Caller:
    """The identity behind a request.

    Args:
        arn: the principal's ARN: a user, or a session of a role.
        account: 12 digits.
        unique_id: AIDA... of a user, AROA...:SESSION of a role session.
        role_arn: the role of a session, with its path; None for a user.
        session_policy: the policy that narrows the session; None without one.
        session_policy_arns: the managed policies that narrow it, each looked up anew for each request.
        session_began: begin of the session; None where nobody asked for it.
        session_expires: end of the session; None for a user.
        tags: the session's own tags and those it inherited; a key in another case is the same key.
        transitive: the keys, in lower case, of the tags that the next role in a chain inherits.
        source_identity: who is behind the session; it cannot be changed along a chain.
    """

    arn: str
    account: str
    unique_id: str
    role_arn: str | None = None
    session_policy: dict[str, Any] | None = None
    session_policy_arns: tuple[str, ...] = ()
    session_began: datetime | None = None
    session_expires: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive: frozenset[str] = frozenset()
    source_identity: str | None = None

    @property
    def chained(self) -> bool:
        """True for a role's session: a role it assumes in turn is role chaining."""
        return self.role_arn is not None

    @property
    def inherited(self) -> dict[str, str]:
        """The tags that the next role in a chain inherits."""
        return {key: value for key, value in self.tags.items() if key.lower() in self.transitive}

    def until(self, expires: datetime) -> Caller:
        """The same caller in a session that ends then."""
        return replace(self, session_expires=expires)


@dataclass(frozen=True)
class Key:
    """An access key as the sandbox keeps it; its secret shows in no text."""

    caller: Caller
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


Issued = Callable[[str, Key], None]


class Keys:
    """Every access key: users' from the IAM emulation, sessions' from the roles that were assumed.

    Args:
        issued: is told the id and the key of each session, before the session has it; called from several threads.
    """

    def __init__(self, issued: Issued | None = None) -> None:
        """Start with no session."""
        self._sessions: dict[str, Key] = {}
        self._issued = issued

    def add_session(self, access_key_id: str, key: Key) -> None:
        """Keep the temporary key of a session."""
        if self._issued is not None:
            self._issued(access_key_id, key)
        self._sessions[access_key_id] = key

    def expire(self, caller: Caller, now: datetime) -> None:
        """End every session of this caller."""
        for key_id, key in list(self._sessions.items()):
            if key.caller.arn == caller.arn and key.caller.unique_id == caller.unique_id:
                self._sessions[key_id] = replace(key, caller=key.caller.until(now))

    def find(self, access_key_id: str) -> Key | None:
        """The key with this id; None when no one has it."""
        return self._sessions.get(access_key_id) or _user_key(access_key_id)


def _user_key(access_key_id: str) -> Key | None:
    for account, partitions in list(iam_backends.items()):
        for user in list(partitions["aws"].users.values()):
            for key in user.access_keys:
                if key.access_key_id == access_key_id and key.status == "Active":
                    return Key(Caller(user.arn, account, user_id(user)), key.secret_access_key)
    return None


def authenticate(
    keys: Keys,
    scope: Scope | None,
    environ: Mapping[str, Any],
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
) -> Caller:
    """The caller of a request, once its signature, clock and session hold.

    Raises:
        AwsError: ``MissingAuthenticationToken`` for an unsigned request, ``UnrecognizedClientException`` for an
            unknown key, ``ExpiredToken`` for a session that has ended, ``InvalidSignatureException`` or
            ``SignatureDoesNotMatch`` for anything that the key did not sign.
    """
    service = scope.service if scope else _guess(environ)
    if scope is None:
        raise _unsigned(service)
    key = keys.find(scope.access_key_id)
    _check_key(service, key, scope, headers)
    assert key is not None  # it would have been refused
    if scope.presigned is not None:
        _check_presigned(service, scope.presigned, now)
    if key.caller.session_expires is not None and now >= key.caller.session_expires:
        raise expired(service)
    if scope.presigned is None:
        _check_clock(service, headers.get("X-Amz-Date", ""), now)
    _check_signature(service, key, scope, environ, headers, body)
    _check_payload(service, scope, headers, body)
    return key.caller


def _guess(environ: Mapping[str, Any]) -> str:
    if environ.get("HTTP_X_AMZ_TARGET"):
        return "json"
    return "sts" if environ.get("REQUEST_METHOD") == "POST" else "s3"


def _check_key(service: str, key: Key | None, scope: Scope, headers: Mapping[str, str]) -> None:
    given = headers.get("X-Amz-Security-Token", "")
    if scope.presigned is not None:
        given = scope.presigned.get("X-Amz-Security-Token", given)
    if key is not None and hmac.compare_digest((key.token or "").encode(), given.encode()):
        return
    if service == "s3" and key is not None and given:
        raise AwsError("InvalidToken", "The provided token is malformed or otherwise invalid.", 400)
    raise _unknown_key(service, scope.access_key_id)


def _check_presigned(service: str, given: Mapping[str, str], now: datetime) -> None:
    try:
        check_presigned(given, now)
    except AwsError as error:
        if service == "s3":
            raise
        raise _not_signed(service, f"Signature expired: {error.message}") from None


def _check_signature(
    service: str,
    key: Key,
    scope: Scope,
    environ: Mapping[str, Any],
    headers: Mapping[str, str],
    body: bytes,
) -> None:
    """Refuse what the key did not sign; S3 shows what it would have signed, here without the session's token.

    Source: recordings of S3 by localstack.
    """
    signed = sign(key.secret, scope, environ, headers, body)
    if not hmac.compare_digest(signed.signature.encode(), scope.signature.encode()):
        text = "The request signature we calculated does not match the signature you provided. Check your key and signing method."
        if service != "s3":
            raise _not_signed(service, text)
        extra = {"AWSAccessKeyId": scope.access_key_id, "SignatureProvided": scope.signature}
        for name, shown in (("StringToSign", signed.to_sign), ("CanonicalRequest", signed.canonical)):
            if shown:
                shown = _without(key.token, shown)
                extra |= {name: shown, f"{name}Bytes": shown.encode().hex(" ")}
        raise AwsError("SignatureDoesNotMatch", text, 403, extra)
    if service == "s3" and (left := unsigned_headers(scope, headers)):
        text = "There were headers present in the request which were not signed"
        raise AwsError("AccessDenied", text, 403, {"HeadersNotSigned": ", ".join(left)})


def _without(token: str | None, text: str) -> str:
    """The text without a session's token, however it is written."""
    for written in (token, quote(token, safe="-_.~")) if token else ():
        text = text.replace(written, "...")
    return text


def _check_payload(service: str, scope: Scope, headers: Mapping[str, str], body: bytes) -> None:
    declared = headers.get("X-Amz-Content-SHA256")
    if scope.presigned is not None:
        declared = scope.presigned.get("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
    if declared is None and service == "s3":
        raise AwsError("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
    if declared is None or declared.startswith(("UNSIGNED-PAYLOAD", "STREAMING-")):
        return
    computed = hashlib.sha256(body).hexdigest()
    if not hmac.compare_digest(declared.encode(), computed.encode()):
        text = "The provided 'x-amz-content-sha256' header does not match what was computed."
        if service != "s3":
            raise AwsError("InvalidSignatureException", text)
        shown = {"ClientComputedContentSHA256": declared, "S3ComputedContentSHA256": computed}
        raise AwsError("XAmzContentSHA256Mismatch", text, 400, shown)


def _check_clock(service: str, stamp: str, now: datetime) -> None:
    try:
        signed = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        if service == "s3":
            raise AwsError(
                "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header", 403
            ) from None
        raise _not_signed(service, "Date must be in ISO-8601 'basic format'.") from None
    if abs(signed - now) > _CLOCK_SKEW:
        if service == "s3":
            text = "The difference between the request time and the current time is too large."
            raise AwsError("RequestTimeTooSkewed", text, 403)
        text = f"Signature expired: {stamp} is not within 15 minutes of {now}"
        raise AwsError("InvalidSignatureException", text, 403)


def _unsigned(service: str) -> AwsError:
    if service == "s3":
        return AwsError("AccessDenied", "Access Denied", 403)
    code = "MissingAuthenticationTokenException" if service == "json" else "MissingAuthenticationToken"
    return AwsError(code, "Missing Authentication Token", 403)


def _unknown_key(service: str, access_key_id: str) -> AwsError:
    if service == "s3":
        text = "The AWS Access Key Id you provided does not exist in our records."
        return AwsError("InvalidAccessKeyId", text, 403, {"AWSAccessKeyId": access_key_id})
    code = "InvalidClientTokenId" if service in _QUERY else "UnrecognizedClientException"
    return AwsError(code, "The security token included in the request is invalid.", 403)


def expired(service: str) -> AwsError:
    """AWS's error for a session that has ended."""
    if service == "s3":
        return AwsError("ExpiredToken", "The provided token has expired.", 400)
    code = "ExpiredToken" if service in _QUERY else "ExpiredTokenException"
    return AwsError(code, "The security token included in the request is expired", 403)


def _not_signed(service: str, text: str) -> AwsError:
    return AwsError("SignatureDoesNotMatch" if service in _QUERY else "InvalidSignatureException", text, 403)
