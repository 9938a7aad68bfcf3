"""Who is calling: access keys and sessions, and the Signature Version 4 that proves them.

Not here: what the caller may do (``judge``), how a session comes to be (``sts``), what is said to whom it refuses
(``refusals``).

Source: "Signature Version 4 for API requests" and "Temporary security credentials" in the IAM user guide.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from moto.iam.models import iam_backends

from crossaccount_sandbox import refusals
from crossaccount_sandbox.principals import find_role, find_user, user_id
from crossaccount_sandbox.protocols import Spoken
from crossaccount_sandbox.signatures import chunks_hold, declared_payload, sign, unsigned_headers
from crossaccount_sandbox.wire import Scope

_CLOCK_SKEW = timedelta(minutes=15)


@dataclass(frozen=True)
class Caller:
    """The identity behind a request.

    Args:
        arn: the principal's ARN: a user, or a session of a role.
        account: 12 digits.
        unique_id: AIDA... of a user, AROA...:SESSION of a role session.
        role_arn: the role of a session, with its path; None for a user.
        user_arn: the user behind a federated user's session; None for anyone else.
        session_policy: the policy that narrows the session; None without one.
        session_policy_arns: the managed policies that narrow it, each looked up anew for each request.
        session_began: begin of the session; None where nobody asked for it.
        session_expires: end of the session; None for a user.
        tags: the session's own tags and those it inherited; a key in another case is the same key.
        transitive: the keys, in lower case, of the tags that the next role in a chain inherits.
        source_identity: who is behind the session; it cannot be changed along a chain.
        federation: the condition keys of the token for which a provider's user has the session.
    """

    arn: str
    account: str
    unique_id: str
    role_arn: str | None = None
    user_arn: str | None = None
    session_policy: dict[str, Any] | None = None
    session_policy_arns: tuple[str, ...] = ()
    session_began: datetime | None = None
    session_expires: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive: frozenset[str] = frozenset()
    source_identity: str | None = None
    federation: Mapping[str, Any] = field(default_factory=dict)

    @property
    def holder(self) -> str:
        """The ARN of the role or user whose policies hold for the caller."""
        return self.role_arn or self.user_arn or self.arn

    @property
    def by_token(self) -> bool:
        """True for a session that a user has for itself or for a federated user, which may do less with IAM and STS."""
        return self.role_arn is None and self.session_began is not None

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


NOBODY = Caller("anonymous", "", "anonymous")  # who asks for a session with a provider's token
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
    spoken: Spoken,
    scope: Scope | None,
    environ: Mapping[str, Any],
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
) -> Caller:
    """The caller of a request, once its signature, clock and session hold.

    Raises:
        AwsError: the service's own error for an unsigned request, an unknown key, a session that has ended, a clock that
            is wrong, and anything that the key did not sign.
    """
    if scope is None:
        header = environ.get("HTTP_AUTHORIZATION", "")
        signed = header or "Signature=" in environ.get("QUERY_STRING", "")
        raise refusals.ill_signed(spoken, header) if signed else refusals.unsigned(spoken)
    key = keys.find(scope.access_key_id)
    if key is None:
        raise refusals.unknown_key(spoken, scope.access_key_id)
    if not hmac.compare_digest((key.token or "").encode(), scope.token.encode()):
        told = scope.token or scope.service != "s3"
        raise refusals.wrong_token(spoken) if told else refusals.unknown_key(spoken, scope.access_key_id)
    if key.caller.session_expires is not None and now >= key.caller.session_expires:
        raise refusals.expired(spoken)
    if not _lives(key.caller):
        raise refusals.unknown_key(spoken, scope.access_key_id)
    _check_clock(spoken, scope, now)
    _check_signature(spoken, key, scope, environ, headers, body)
    _check_payload(spoken, key, scope, environ, headers, body)
    return key.caller


def _lives(caller: Caller) -> bool:
    """Whether the role or user is still there that a session is of, and not another that has its name by now.

    Source: "IAM identifiers", on unique ids, in the IAM user guide; that STS then calls the token invalid from public reports.
    """
    if caller.session_began is None or caller.user_arn is not None:
        return True
    if caller.role_arn is None:
        user = find_user(caller.arn)
        return user is not None and user_id(user) == caller.unique_id
    role = find_role(caller.role_arn)
    return role is not None and role.id == caller.unique_id.partition(":")[0]


def _check_signature(
    spoken: Spoken,
    key: Key,
    scope: Scope,
    environ: Mapping[str, Any],
    headers: Mapping[str, str],
    body: bytes,
) -> None:
    """Refuse what the key did not sign; S3 shows what it would have signed, here without the session's token.

    Source: recordings of S3 by localstack.
    """
    if scope.version == 4 and scope.date != scope.stamp[:8]:
        raise refusals.wrong_day(spoken, scope.date, scope.stamp, in_url=scope.expires is not None)
    if scope.service != "s3" and "host" not in scope.signed_headers:
        raise refusals.unsigned_host(spoken)
    signed = sign(key.secret, scope, environ, headers, body)
    if not hmac.compare_digest(signed.signature.encode(), scope.signature.encode()):
        refusal = refusals.mismatch(spoken)
        if scope.service == "s3":
            refusal.extra = {"AWSAccessKeyId": scope.access_key_id, "SignatureProvided": scope.signature}
            for name, shown in (("StringToSign", signed.to_sign), ("CanonicalRequest", signed.canonical)):
                if shown:
                    shown = _without(key.token, shown)
                    refusal.extra |= {name: shown, f"{name}Bytes": shown.encode().hex(" ")}
        raise refusal
    if scope.service == "s3" and (left := unsigned_headers(scope, headers)):
        raise refusals.unsigned_headers(left)


def _without(token: str | None, text: str) -> str:
    """The text without a session's token, however it is written."""
    for written in (token, quote(token, safe="-_.~")) if token else ():
        text = text.replace(written, "...")
    return text


_UNSIGNED = ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
_CHUNKED = ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER")


def _check_payload(
    spoken: Spoken,
    key: Key,
    scope: Scope,
    environ: Mapping[str, Any],
    headers: Mapping[str, str],
    body: bytes,
) -> None:
    """Refuse a body that is not what was signed; S3 alone takes one that is not, or is signed in chunks."""
    declared = declared_payload(scope, environ, headers)
    if scope.service == "s3":
        if declared is None:
            raise refusals.no_payload()
        if declared in _UNSIGNED:
            return
        if declared in _CHUNKED:
            if not chunks_hold(key.secret, scope, body):
                raise refusals.mismatch(spoken)
            return
        if not re.fullmatch("[0-9a-fA-F]{64}", declared):
            raise refusals.unknown_payload(declared)
    if declared is None:
        return
    computed = hashlib.sha256(body).hexdigest()
    if not hmac.compare_digest(declared.encode(), computed.encode()):
        raise refusals.wrong_payload(spoken, declared, computed)


def _check_clock(spoken: Spoken, scope: Scope, now: datetime) -> None:
    signed = scope.signed
    if signed is None:
        raise refusals.mismatch(spoken)
    if scope.expires is not None and now - signed > timedelta(seconds=scope.expires):
        raise refusals.overdue(spoken, signed, scope.expires if scope.version == 4 else None, now)
    early = scope.version == 4 and signed - now > _CLOCK_SKEW
    if early and scope.expires is not None and scope.service == "s3":
        raise refusals.too_early(signed, scope.expires, now)
    if early or (scope.expires is None and now - signed > _CLOCK_SKEW):
        raise refusals.skewed(spoken, signed, now, _CLOCK_SKEW)
