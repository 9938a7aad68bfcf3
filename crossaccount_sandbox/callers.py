"""Who is calling: access keys and sessions, and the Signature Version 4 that proves them.

Not here: what the caller may do (``judge``), how a session comes to be (``sts``), what is said to whom it refuses
(``refusals``).

Source: "Signature Version 4 for API requests" and "Temporary security credentials" in the IAM user guide.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from moto.iam.models import iam_backends

from crossaccount_sandbox import refusals
from crossaccount_sandbox.principals import user_id
from crossaccount_sandbox.protocols import Spoken
from crossaccount_sandbox.signatures import signatures
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
        raise refusals.unknown_key(spoken)
    if not hmac.compare_digest(key.token or "", scope.token):
        raise refusals.wrong_token(spoken)
    if key.caller.session_expires is not None and now >= key.caller.session_expires:
        raise refusals.expired(spoken)
    _check_clock(spoken, scope, now)
    own = signatures(key.secret, scope, environ, headers, body)
    if not any(hmac.compare_digest(signature, scope.signature) for signature in own):
        raise refusals.mismatch(spoken)
    _check_payload(spoken, headers, body)
    return key.caller


def _check_payload(spoken: Spoken, headers: Mapping[str, str], body: bytes) -> None:
    declared = headers.get("X-Amz-Content-SHA256")
    if declared is None or declared.startswith(("UNSIGNED-PAYLOAD", "STREAMING-")):
        return
    if not hmac.compare_digest(declared, hashlib.sha256(body).hexdigest()):
        raise refusals.wrong_payload(spoken)


def _check_clock(spoken: Spoken, scope: Scope, now: datetime) -> None:
    signed = scope.signed
    if signed is None:
        raise refusals.mismatch(spoken)
    if scope.expires is not None and now - signed > timedelta(seconds=scope.expires):
        raise refusals.overdue(spoken, signed, scope.expires, now)
    early = scope.version == 4 and signed - now > _CLOCK_SKEW
    if early or (scope.expires is None and now - signed > _CLOCK_SKEW):
        raise refusals.skewed(spoken, signed, now, _CLOCK_SKEW)
