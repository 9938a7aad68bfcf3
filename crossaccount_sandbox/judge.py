"""Decides one request under IAM's rules: a caller, an action, a resource and policies in, one Decision out.

Not here, and not modelled: where policies are kept and who is calling (the guard), VPC endpoint policies, S3
access control lists and object ownership, KMS grants, which services honour a resource control policy (those
given are applied to every resource), canonical user ids, the IAM user behind a federated session (its own ARN
is all that is seen), which key is single-valued, and the checks with which AWS refuses a malformed document
when it is stored. Such a document, like an operator or a global key that nobody knows, allows nothing here;
its Deny applies in doubt.

Source: "Policy evaluation logic" and "IAM JSON policy elements" in the IAM user guide, "SCP evaluation" and
"RCP evaluation" in the Organizations user guide, "Key policies" in the KMS developer guide.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

Document = Mapping[str, Any]


class Result(StrEnum):
    """What becomes of a request."""

    ALLOWED = "Allowed"
    IMPLICITLY_DENIED = "ImplicitlyDenied"
    EXPLICITLY_DENIED = "ExplicitlyDenied"


class PolicyType(StrEnum):
    """Which kind of policy decided; NONE when no policy was asked."""

    IDENTITY = "identity"
    RESOURCE = "resource"
    BOUNDARY = "boundary"
    SESSION = "session"
    SCP = "scp"
    RCP = "rcp"
    NONE = "none"


@dataclass(frozen=True)
class Request:
    """One question.

    Args:
        principal: an ARN (user, role, assumed-role session, federated user, account root, identity provider)
            or the name of a service or web identity provider.
        action: ``service:Operation``.
        resource: the ARN that the action checks, or ``*`` for actions that check none.
        resource_account: who owns the resource; None takes it from the ARN, and failing that from the
            principal.
        context: condition keys of the request; they win over the keys that the principal implies.
    """

    principal: str
    action: str
    resource: str
    resource_account: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Policies:
    """Every document that applies.

    Args:
        identity: the caller's own policies.
        resource: the policy on the resource (bucket, repository or key policy, trust policy); None without
            one.
        boundaries: permissions boundaries, each of which must allow; None without one, empty allows nothing.
        session: the session policy; None without one.
        scps: per level of the caller's organization, from root to account, its service control policies.
        rcps: the same for the resource's account and its resource control policies.
    """

    identity: Sequence[Document] = ()
    resource: Document | None = None
    boundaries: Sequence[Document] | None = None
    session: Document | None = None
    scps: Sequence[Sequence[Document]] = ()
    rcps: Sequence[Sequence[Document]] = ()


@dataclass(frozen=True)
class Decision:
    """The answer: the result, the kind of policy and statement (Sid or index) that decided, a sentence."""

    result: Result
    policy_type: PolicyType
    statement: str | int | None
    why: str


class Kind(StrEnum):
    """What a principal is."""

    USER = "User"
    ROLE = "AssumedRole"
    SESSION = "Session"
    FEDERATED = "FederatedUser"
    ROOT = "Account"
    SERVICE = "Service"
    PROVIDER = "Provider"
    UNKNOWN = "Unknown"


class Grant(IntEnum):
    """How closely a resource policy names the caller: the closer, the less do other policies limit it."""

    NONE = 0
    ACCOUNT = 1
    ROLE = 2
    DIRECT = 3


@dataclass(frozen=True)
class Subject:
    """A principal, taken apart; ``role`` is the ARN of the role behind it, of a session without the path."""

    kind: Kind
    arn: str
    partition: str = ""
    account: str = ""
    name: str = ""
    role: str = ""


class _Asks(NamedTuple):
    subject: Subject
    role: str  # with its path, when the request's context knows it
    asked: str  # the action as it was asked for
    action: str  # in lower case
    resource: str
    context: dict[str, tuple[str, ...]]
    bounded: bool


class _Verdict(NamedTuple):
    denied: bool
    grant: Grant
    statement: str | int | None


_SILENT = _Verdict(False, Grant.NONE, None)


def judge(request: Request, policies: Policies) -> Decision:
    """Decide one request.

    Within an account the identity's policy or the resource's suffices; across accounts both must allow. A KMS
    key's policy and a role's trust policy must allow in every case. A Deny anywhere wins.

    Source: "Determining whether a request is allowed or denied within an account" and "Cross-account policy
    evaluation logic" in the IAM user guide.
    """
    asks = _prepare(request, policies.boundaries is not None)
    settled = _settled(asks)
    if settled is not None:
        return settled
    found = _scan_all(asks, policies)
    for kind, verdicts in found.items():
        for verdict in verdicts:
            if verdict.denied:
                return _decide(asks, Result.EXPLICITLY_DENIED, kind, verdict.statement)
    if any(level.grant is Grant.NONE for level in found[PolicyType.SCP]):
        return _decide(asks, Result.IMPLICITLY_DENIED, PolicyType.SCP, None)
    # RCPFullAWSAccess cannot be detached: a resource control policy denies, it never lacks an Allow.
    attached = found[PolicyType.RESOURCE][0]
    if asks.subject.kind in (Kind.SERVICE, Kind.PROVIDER):
        return _by_resource(asks, attached)
    owner = request.resource_account or _account_in(request.resource) or asks.subject.account
    if owner != asks.subject.account:
        lacking = _lacking(asks, found)
        return _by_resource(asks, attached) if lacking is None else _refuse(asks, lacking)
    return _within_account(asks, found, attached)


def _within_account(asks: _Asks, found: dict[PolicyType, list[_Verdict]], attached: _Verdict) -> Decision:
    if attached.grant is Grant.DIRECT:
        return _by_resource(asks, attached)
    if attached.grant is Grant.ROLE:
        # A grant to the role's ARN needs no identity policy, and is limited by boundary and session policy.
        limit = _limit(asks, found)
        return _by_resource(asks, attached) if limit is None else _refuse(asks, limit)
    if attached.grant is Grant.NONE and _must_be_named(asks.action, asks.resource):
        return _refuse(asks, PolicyType.RESOURCE)
    lacking = _lacking(asks, found)
    if lacking is not None:
        return _refuse(asks, lacking)
    return _decide(asks, Result.ALLOWED, PolicyType.IDENTITY, found[PolicyType.IDENTITY][0].statement)


def _by_resource(asks: _Asks, attached: _Verdict) -> Decision:
    if attached.grant is Grant.NONE:
        return _refuse(asks, PolicyType.RESOURCE)
    return _decide(asks, Result.ALLOWED, PolicyType.RESOURCE, attached.statement)


def _lacking(asks: _Asks, found: dict[PolicyType, list[_Verdict]]) -> PolicyType | None:
    """The first kind of policy on the caller's side that does not allow."""
    if asks.subject.kind is Kind.ROOT:  # the root user may do everything but what an SCP withholds
        return None
    if found[PolicyType.IDENTITY][0].grant is Grant.NONE:
        return PolicyType.IDENTITY
    return _limit(asks, found)


def _limit(asks: _Asks, found: dict[PolicyType, list[_Verdict]]) -> PolicyType | None:
    boundaries = found[PolicyType.BOUNDARY]
    if asks.bounded and (not boundaries or any(boundary.grant is Grant.NONE for boundary in boundaries)):
        return PolicyType.BOUNDARY
    session = found[PolicyType.SESSION]
    if session:
        return PolicyType.SESSION if session[0].grant is Grant.NONE else None
    # GetFederationToken without a policy makes a session that may do only what resource policies grant it.
    return PolicyType.SESSION if asks.subject.kind is Kind.FEDERATED else None


def _scan_all(asks: _Asks, policies: Policies) -> dict[PolicyType, list[_Verdict]]:
    kind = asks.subject.kind
    # Services and identity providers are principals of no account: only the resource's side applies.
    foreign = kind in (Kind.SERVICE, Kind.PROVIDER)
    linked = _is_service_linked(asks.subject)  # service-linked roles are exempt from SCPs and RCPs
    retires = asks.action == "kms:retiregrant"  # which RCPs cannot restrict
    scps = () if foreign or linked else policies.scps
    rcps = () if linked or retires else policies.rcps
    boundaries = () if foreign else policies.boundaries or ()
    return {
        PolicyType.SCP: [_scan(level, asks) for level in scps],
        PolicyType.RCP: [_scan(level, asks, control=True) for level in rcps],
        PolicyType.RESOURCE: [
            _SILENT if policies.resource is None else _scan((policies.resource,), asks, attached=True)
        ],
        PolicyType.IDENTITY: [_SILENT if foreign else _scan(policies.identity, asks)],
        PolicyType.BOUNDARY: [_scan((document,), asks) for document in boundaries],
        PolicyType.SESSION: [] if foreign or policies.session is None else [_scan((policies.session,), asks)],
    }


def _settled(asks: _Asks) -> Decision | None:
    """The answer where no policy can change it."""
    subject, action = asks.subject, asks.action
    if subject.kind is Kind.UNKNOWN:
        return _none(asks, Result.IMPLICITLY_DENIED, "it is no principal that can make a request")
    if action == "sts:getcalleridentity" and subject.account:
        return _none(asks, Result.ALLOWED, "the operation needs no permission")
    if action == "sts:getsessiontoken" and subject.kind in (Kind.USER, Kind.ROOT):
        return _none(asks, Result.ALLOWED, "the operation needs no permission")
    if subject.kind is Kind.ROOT and action == "sts:assumerole":
        return _none(asks, Result.IMPLICITLY_DENIED, "an account's root user cannot assume roles")
    if (
        subject.partition
        and asks.resource.startswith("arn:")
        and asks.resource.split(":", 2)[1] != subject.partition
    ):
        return _none(asks, Result.IMPLICITLY_DENIED, "permissions do not reach into another partition")
    return None


def _must_be_named(action: str, resource: str) -> bool:
    """True where the resource's own policy must allow: a KMS key, and a role that is to be assumed."""
    parts = resource.split(":", 5)
    if len(parts) < 6:
        return False
    if action.startswith("kms:"):
        return parts[2] == "kms" and parts[5].startswith("key/")
    return action.startswith("sts:") and parts[2] == "iam" and parts[5].startswith("role/")


def _refuse(asks: _Asks, kind: PolicyType) -> Decision:
    return _decide(asks, Result.IMPLICITLY_DENIED, kind, None)


_NAMES = {
    PolicyType.IDENTITY: "an identity-based policy",
    PolicyType.RESOURCE: "the resource-based policy",
    PolicyType.BOUNDARY: "the permissions boundary",
    PolicyType.SESSION: "the session policy",
    PolicyType.SCP: "a service control policy",
    PolicyType.RCP: "a resource control policy",
}
_LACKS = {
    PolicyType.IDENTITY: "no identity-based policy allows it",
    PolicyType.RESOURCE: "no resource-based policy allows it",
    PolicyType.BOUNDARY: "the permissions boundary does not allow it",
    PolicyType.SESSION: "no session policy allows it",
    PolicyType.SCP: "a level of the organization has no service control policy that allows it",
}


def _decide(asks: _Asks, result: Result, kind: PolicyType, statement: str | int | None) -> Decision:
    where = "" if statement is None else f", statement {statement}"
    if kind is PolicyType.IDENTITY and asks.subject.kind is Kind.ROOT and result is Result.ALLOWED:
        return _none(asks, result, "an account's root user has every permission in it")
    if result is Result.ALLOWED:
        reason = f"{_NAMES[kind]} allows it{where}"
    elif result is Result.EXPLICITLY_DENIED:
        reason = f"{_NAMES[kind]} denies it{where}"
    else:
        reason = _LACKS[kind]
    return Decision(result, kind, statement, _sentence(asks, result, reason))


def _none(asks: _Asks, result: Result, reason: str) -> Decision:
    return Decision(result, PolicyType.NONE, None, _sentence(asks, result, reason))


def _sentence(asks: _Asks, result: Result, reason: str) -> str:
    may = "may" if result is Result.ALLOWED else "may not"
    return f"{asks.subject.arn} {may} {asks.asked} on {asks.resource}: {reason}."


def _prepare(request: Request, bounded: bool) -> _Asks:
    action = request.action.lower()
    subject = _subject(request.principal)
    if subject.kind is Kind.SERVICE and action in ("sts:assumerolewithwebidentity", "sts:assumerolewithsaml"):
        subject = Subject(Kind.PROVIDER, subject.arn)
    context = {key.lower(): _context_values(value) for key, value in request.context.items()}
    role = subject.role
    if role:
        # Sessions lose the role's path; the context may know it. A name is unique in its account, whatever
        # the path.
        known = context.get("aws:principalarn", ("",))
        prefix = f"arn:{subject.partition}:iam::{subject.account}:role/"
        if len(known) == 1 and known[0].startswith(prefix) and known[0].rsplit("/", 1)[-1] == subject.name:
            role = known[0]
    for key, implied in _implied(subject):
        context.setdefault(key, implied)
    owner = request.resource_account or _account_in(request.resource) or subject.account
    if owner:
        context.setdefault("aws:resourceaccount", (owner,))
    return _Asks(subject, role, request.action, action, request.resource, context, bounded)


@lru_cache(maxsize=4096)
def _implied(subject: Subject) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The condition keys that follow from who is calling."""
    if subject.kind is Kind.SERVICE:
        return (
            ("aws:principalisawsservice", ("true",)),
            ("aws:principalservicename", (subject.arn,)),
            ("aws:principalservicenameslist", (subject.arn,)),
        )
    if not subject.account:
        return (("aws:principalisawsservice", ("false",)),)
    kind = Kind.ROLE if subject.kind is Kind.SESSION else subject.kind
    return (
        ("aws:principalarn", (subject.role or subject.arn,)),
        ("aws:principalaccount", (subject.account,)),
        ("aws:principaltype", (kind.value,)),
        ("aws:principalisawsservice", ("false",)),
        *((("aws:username", (subject.name,)),) if subject.kind is Kind.USER else ()),
    )


_SERVICE = re.compile(r"[a-z0-9.-]+\.(amazonaws\.com|amazonaws\.com\.cn|aws\.internal)")


@lru_cache(maxsize=4096)
def _subject(principal: str) -> Subject:
    if not principal.startswith("arn:"):
        if "." not in principal or any(character in principal for character in "*? "):
            return Subject(Kind.UNKNOWN, principal)
        return Subject(Kind.SERVICE if _SERVICE.fullmatch(principal) else Kind.PROVIDER, principal)
    parts = principal.split(":", 5)
    if len(parts) < 6 or not _ACCOUNT.fullmatch(parts[4]):
        return Subject(Kind.UNKNOWN, principal)
    _, partition, service, _, account, rest = parts
    kind, _, path = rest.partition("/")
    name = path.rsplit("/", 1)[-1]
    if (service, rest) == ("iam", "root"):
        return Subject(Kind.ROOT, principal, partition, account)
    if (service, kind) in (("iam", "saml-provider"), ("iam", "oidc-provider")) and path:
        return Subject(Kind.PROVIDER, principal)
    if (service, kind) == ("iam", "user") and name:
        return Subject(Kind.USER, principal, partition, account, name)
    if (service, kind) == ("iam", "role") and name:
        return Subject(Kind.ROLE, principal, partition, account, name, principal)
    if (service, kind) == ("sts", "federated-user") and path:
        return Subject(Kind.FEDERATED, principal, partition, account, path)
    if (
        (service, kind) == ("sts", "assumed-role")
        and path.count("/") == 1
        and not path.startswith("/")
        and name
    ):
        role = path.split("/")[0]
        return Subject(
            Kind.SESSION, principal, partition, account, role, f"arn:{partition}:iam::{account}:role/{role}"
        )
    return Subject(Kind.UNKNOWN, principal)


_ACCOUNT = re.compile(r"\d{12}")


def _is_service_linked(subject: Subject) -> bool:
    if subject.kind is Kind.ROLE:
        return ":role/aws-service-role/" in subject.arn
    return subject.kind is Kind.SESSION and subject.name.startswith("AWSServiceRoleFor")


def _account_in(resource: str) -> str:
    parts = resource.split(":", 5)
    return parts[4] if len(parts) == 6 and _ACCOUNT.fullmatch(parts[4]) else ""


def _context_values(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, (list, tuple, set, frozenset)):
        return tuple(_text(item) for item in value if item is not None)
    return () if value is None else (_text(value),)


def _text(value: object) -> str:
    """A JSON scalar as policies write it."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


_ELEMENTS = frozenset(
    (
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    )
)


def _scan(
    documents: Iterable[Document], asks: _Asks, *, attached: bool = False, control: bool = False
) -> _Verdict:
    """What documents of one kind say: the first Deny that applies, else the closest Allow.

    Args:
        documents: the documents.
        asks: the request.
        attached: they are resource policies: a statement names its principals, and may leave out the
            resource.
        control: they are resource control policies, which may name principals, in effect ``*``.
    """
    best = _SILENT
    for document in documents:
        if not isinstance(document, Mapping):
            continue
        version = document.get("Version", "2008-10-17")
        for index, statement in enumerate(_statements(document)):
            effect = statement.get("Effect")
            deny = isinstance(effect, str) and effect.lower() == "deny"
            if not deny and (effect != "Allow" or version not in ("2012-10-17", "2008-10-17")):
                continue
            grant = _applies(statement, asks, deny, version == "2012-10-17", attached, control)
            if grant <= best.grant and not (deny and grant):
                continue
            sid = statement.get("Sid")
            verdict = _Verdict(deny, grant, sid if isinstance(sid, str) and sid else index)
            if deny:
                return verdict
            best = verdict
    return best


def _statements(document: Document) -> Iterator[Mapping[str, Any]]:
    found = document.get("Statement")
    for statement in found if isinstance(found, list) else (found,):
        # An unreadable statement has no effect that could be known; its place still counts.
        yield statement if isinstance(statement, Mapping) else {}


def _applies(
    statement: Mapping[str, Any], asks: _Asks, deny: bool, variables: bool, attached: bool, control: bool
) -> Grant:
    """How closely a statement reaches the request; or NONE. In doubt Deny does, Allow does not."""
    if not deny and not statement.keys() <= _ELEMENTS:
        return Grant.NONE
    if not _action_matches(statement, asks.action, deny):
        return Grant.NONE
    named = "Principal" in statement or "NotPrincipal" in statement
    if attached or (control and named):
        grant = _names_caller(statement, asks, deny)
    else:
        # Only policies on a resource name principals.
        grant = Grant.NONE if named and not deny else Grant.DIRECT
    if grant is Grant.NONE or not _resource_matches(statement, asks, deny, variables, attached):
        return Grant.NONE
    condition = statement.get("Condition")
    if condition is None and "Condition" not in statement:
        return grant
    return grant if _condition_holds(condition, asks, deny, variables) else Grant.NONE


def _pair(statement: Mapping[str, Any], positive: str, negative: str) -> tuple[Sequence[str] | None, bool]:
    """The texts of an element or its negation, and which it was; none when both stand or are malformed."""
    if positive in statement:
        return (None if negative in statement else _texts(statement[positive])), False
    return _texts(statement.get(negative)), True


def _texts(value: object) -> Sequence[str] | None:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return value
    return None


def _action_matches(statement: Mapping[str, Any], action: str, deny: bool) -> bool:
    patterns, negated = _pair(statement, "Action", "NotAction")
    if patterns is None:
        return deny
    # A malformed pattern counts against the caller: it widens what a statement denies or leaves out.
    strict = deny == negated
    return any(_action_like(pattern, action, strict) for pattern in patterns) != negated


@lru_cache(maxsize=65536)
def _action_like(pattern: str, action: str, strict: bool) -> bool:
    if strict and pattern not in ("*", "*:*"):
        service, colon, name = pattern.partition(":")
        if not colon or not name or "*" in service or "?" in service:
            return False
    return _glob(pattern.lower())(action)


def _resource_matches(
    statement: Mapping[str, Any], asks: _Asks, deny: bool, variables: bool, attached: bool
) -> bool:
    if attached and "Resource" not in statement and "NotResource" not in statement:
        return True  # the resource that the policy is attached to
    patterns, negated = _pair(statement, "Resource", "NotResource")
    if patterns is None:
        return deny
    hit = False
    for pattern in patterns:
        if variables and "${" in pattern:
            # Variables may stand only in the last part of an ARN.
            legal = pattern[: pattern.index("${")].count(":") >= 5
            resolved = _resolve(pattern, asks.context, escape=True) if legal or deny else None
            if resolved is None:
                if not deny:
                    return False
                continue
            pattern = resolved
        hit = hit or _resource_like(pattern, asks.resource)
    return hit != negated


def _names_caller(statement: Mapping[str, Any], asks: _Asks, deny: bool) -> Grant:
    doubt = Grant.DIRECT if deny else Grant.NONE
    if "NotPrincipal" not in statement:
        # Without either element a statement names nobody.
        grant = _closest(statement["Principal"], asks) if "Principal" in statement else Grant.NONE
        return doubt if grant is None else grant
    if "Principal" in statement:
        return doubt
    excepted = _closest(statement["NotPrincipal"], asks)
    if excepted is None or _has_wildcard(statement["NotPrincipal"]):
        return doubt
    if not deny:
        # The grant is to nobody in particular, so boundary and session policy keep their say.
        return Grant.ROLE if excepted is Grant.NONE else Grant.NONE
    # With a permissions boundary the caller is denied whatever the exception says. The account's ARN alone
    # excepts its root user only: each user or role must be named as well.
    spared = excepted >= Grant.ROLE or (excepted is Grant.ACCOUNT and asks.subject.kind is Kind.ROOT)
    return Grant.NONE if spared and not asks.bounded else Grant.DIRECT


def _has_wildcard(block: object) -> bool:
    """True for a wildcard within a name, which AWS does not know: ``*`` stands alone or not at all."""
    values = block.values() if isinstance(block, Mapping) else (block,)
    return any("*" in name and name != "*" for names in values for name in _texts(names) or ())


def _closest(block: object, asks: _Asks) -> Grant | None:
    """The closest way in which a Principal element names the caller; None when it cannot be read."""
    if isinstance(block, str):
        return _aws_name(block, asks)
    if not isinstance(block, Mapping) or not block:
        return None
    best = Grant.NONE
    for kind, value in block.items():
        names = _texts(value)
        if names is None or kind not in ("AWS", "Service", "Federated", "CanonicalUser"):
            return None
        for name in names:
            if kind == "AWS":
                grant = _aws_name(name, asks)
            else:
                wanted = Kind.SERVICE if kind == "Service" else Kind.PROVIDER if kind == "Federated" else None
                same = asks.subject.kind is wanted and asks.subject.arn == name
                grant = Grant.DIRECT if same else Grant.NONE
            best = max(best, grant)
    return best


def _aws_name(name: str, asks: _Asks) -> Grant:
    subject = asks.subject
    if name == "*":
        return Grant.DIRECT
    if not subject.account:
        return Grant.NONE
    if name in (subject.account, f"arn:{subject.partition}:iam::{subject.account}:root"):
        return Grant.ACCOUNT
    if subject.role and name == asks.role:
        return Grant.ROLE
    if name == subject.arn and subject.kind is not Kind.ROLE:
        return Grant.DIRECT
    if name[:4] in ("AROA", "AIDA"):
        # What is left in place of an ARN once its role or user is gone.
        user_id = asks.context.get("aws:userid", ())
        if len(user_id) == 1 and user_id[0].split(":", 1)[0] == name:
            return Grant.ROLE if name.startswith("AROA") else Grant.DIRECT
    return Grant.NONE


# Stand-ins for * and ? that are meant as they are written.
_STAR, _MARK = "\x00", "\x01"


@lru_cache(maxsize=16384)
def _glob(pattern: str) -> Callable[[str], bool]:
    """A test whether a whole text fits a pattern of ``*`` and ``?``."""
    expression = re.compile(_unbounded(pattern), re.DOTALL)
    return lambda text: expression.fullmatch(text) is not None


def _unbounded(pattern: str) -> str:
    first, *rest = [_characters(chunk, ".") for chunk in re.split(r"\*+", pattern)]
    if not rest:
        return first
    # The earliest place for a chunk is always right, so none is tried twice: time stays in proportion.
    return first + "".join(f"(?>.*?{chunk})" for chunk in rest[:-1]) + ".*" + rest[-1]


def _characters(text: str, any_one: str) -> str:
    escaped = re.escape(text).replace(r"\?", any_one)
    return escaped.replace(re.escape(_STAR), r"\*").replace(re.escape(_MARK), r"\?")


@lru_cache(maxsize=65536)
def _resource_like(pattern: str, resource: str) -> bool:
    return pattern == "*" or _arn_pattern(pattern).fullmatch(resource) is not None


@lru_cache(maxsize=16384)
def _arn_pattern(pattern: str) -> re.Pattern[str]:
    """A Resource pattern: wildcards stay within a segment, but ``*`` at its end may reach past the colon.

    Source: "Using wildcards in resource ARNs" in "IAM JSON policy elements: Resource".
    """
    parts = pattern.split(":", 5)
    tail = ":" + _unbounded(parts.pop()) if len(parts) == 6 else ""
    segments = []
    for part in parts:
        body, star = (part.rstrip("*"), ".*") if part.endswith("*") else (part, "")
        segments.append("[^:]*".join(_characters(chunk, "[^:]") for chunk in re.split(r"\*+", body)) + star)
    return re.compile(":".join(segments) + tail, re.DOTALL)


@lru_cache(maxsize=65536)
def _arn_like(pattern: str, value: str) -> bool | None:
    if pattern == "*":
        return True
    wanted, given = pattern.split(":", 5), value.split(":", 5)
    if len(wanted) < 6 or not _glob(wanted[0])("arn"):
        return None
    return len(given) == 6 and all(_glob(want)(have) for want, have in zip(wanted, given, strict=True))


_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_WITH_DEFAULT = re.compile(r"\s*([^,'\s]+)\s*,\s*'([^']*)'\s*")


def _resolve(text: str, context: Mapping[str, tuple[str, ...]], *, escape: bool) -> str | None:
    """A text with its policy variables filled in; None when one has no value.

    Args:
        text: what the policy says.
        context: the request's keys, in lower case.
        escape: the text is a pattern: what is filled in stands for itself.
    """
    pieces, position = [], 0
    for found in _VARIABLE.finditer(text):
        value = _variable(found[1], context)
        if value is None:
            return None
        if escape:
            value = value.replace("*", _STAR).replace("?", _MARK)
        pieces += [text[position : found.start()], value]
        position = found.end()
    rest = text[position:]
    return None if "${" in rest else "".join(pieces) + rest


def _variable(inner: str, context: Mapping[str, tuple[str, ...]]) -> str | None:
    if inner in ("*", "?", "$"):
        return inner
    defaulted = _WITH_DEFAULT.fullmatch(inner)
    values = context.get((defaulted[1] if defaulted else inner).lower(), ())
    if len(values) == 1:  # a key with several values cannot be a variable
        return values[0]
    return defaulted[2] if defaulted and not values else None


# Every comparison: the policy's value, the request's value -> equal or not; None when either cannot be read.
_Compare = Callable[[str, str], bool | None]


@dataclass(frozen=True)
class _Operator:
    compare: _Compare
    negated: bool = False
    pattern: bool = False
    variables: bool = False


def _numbers(compare: Callable[[Any, Any], bool], read: Callable[[str], Any]) -> _Compare:
    def compared(wanted: str, given: str) -> bool | None:
        left, right = read(given), read(wanted)
        return None if left is None or right is None else compare(left, right)

    return compared


@lru_cache(maxsize=4096)
def _number(text: str) -> Decimal | None:
    return Decimal(text) if re.fullmatch(r"[+-]?\d{1,300}(\.\d{1,300})?", text, re.ASCII) else None


_DATE = re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII)


@lru_cache(maxsize=4096)
def _date(text: str) -> Decimal | None:
    """A moment in seconds since 1970: ISO 8601 (UTC where no zone is given), or that number itself."""
    if re.fullmatch(r"-?\d{5,15}(\.\d{1,9})?", text, re.ASCII):
        return Decimal(text)
    if not _DATE.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text + {4: "-01-01", 7: "-01"}.get(len(text), ""))
        return Decimal(str((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))
    except (ValueError, OverflowError):
        return None


def _truth(wanted: str, given: str) -> bool | None:
    wanted = wanted.lower()
    return given.lower() == wanted if wanted in ("true", "false") else None


def _bytes(wanted: str, given: str) -> bool | None:
    try:
        return base64.b64decode(wanted, validate=True) == base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        return None


@lru_cache(maxsize=65536)
def _address(wanted: str, given: str) -> bool | None:
    try:
        return ipaddress.ip_address(given) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return None


def _operators() -> dict[str, _Operator]:
    found = {"bool": _Operator(_truth, variables=True), "binaryequals": _Operator(_bytes)}
    for name, negation, compare, pattern in (
        ("stringequals", "stringnotequals", lambda wanted, given: wanted == given, False),
        (
            "stringequalsignorecase",
            "stringnotequalsignorecase",
            lambda wanted, given: wanted.casefold() == given.casefold(),
            False,
        ),
        ("stringlike", "stringnotlike", lambda wanted, given: _glob(wanted)(given), True),
        ("arnequals", "arnnotequals", _arn_like, True),
        ("arnlike", "arnnotlike", _arn_like, True),
    ):
        found[name] = _Operator(compare, False, pattern, True)
        found[negation] = _Operator(compare, True, pattern, True)
    found["ipaddress"], found["notipaddress"] = _Operator(_address), _Operator(_address, negated=True)
    for family, read in (("numeric", _number), ("date", _date)):
        equal = _numbers(lambda left, right: left == right, read)
        found[f"{family}equals"], found[f"{family}notequals"] = (
            _Operator(equal),
            _Operator(equal, negated=True),
        )
        found[f"{family}lessthan"] = _Operator(_numbers(lambda left, right: left < right, read))
        found[f"{family}lessthanequals"] = _Operator(_numbers(lambda left, right: left <= right, read))
        found[f"{family}greaterthan"] = _Operator(_numbers(lambda left, right: left > right, read))
        found[f"{family}greaterthanequals"] = _Operator(_numbers(lambda left, right: left >= right, read))
    return found


_OPERATORS = _operators()


class _Test(NamedTuple):
    operator: _Operator | None  # None is the Null test
    over: str  # "forallvalues", "foranyvalue" or nothing
    if_exists: bool


@lru_cache(maxsize=1024)
def _test(name: str) -> _Test | None:
    """An operator by the name that a policy gives it; None when there is none."""
    over, colon, rest = name.lower().rpartition(":")
    if rest == "null" and not colon:
        return _Test(None, "", False)
    if colon and over not in ("forallvalues", "foranyvalue"):
        return None
    operator = _OPERATORS.get(rest.removesuffix("ifexists"))
    return None if operator is None else _Test(operator, over, rest.endswith("ifexists"))


def _condition_holds(condition: object, asks: _Asks, deny: bool, variables: bool) -> bool:
    """Every key of every operator must hold; what cannot be read holds for a Deny and fails for an Allow."""
    if not isinstance(condition, Mapping):
        return deny
    for name, keys in condition.items():
        test = _test(name) if isinstance(name, str) else None
        if test is None or not isinstance(keys, Mapping) or not keys:
            if deny:
                continue
            return False
        for key, value in keys.items():
            if not _key_holds(test, key, value, asks, deny, variables):
                return False
    return True


def _key_holds(test: _Test, key: object, value: object, asks: _Asks, deny: bool, variables: bool) -> bool:
    values = _policy_values(value)
    if not isinstance(key, str) or not 0 < key.find(":") < len(key) - 1 or values is None:
        return deny
    name = key.lower()
    given = asks.context.get(name, ())
    if not given and not deny and not _is_known(name):
        return False  # a key that nobody knows never turns into an Allow
    operator = test.operator
    if operator is None:
        wanted = [_truth(item, "false" if given else "true") for item in values]
        return deny if None in wanted and True not in wanted else True in wanted
    if given and test.over:
        given = tuple(item for item in given if item)  # a set of empty texts is an empty set
    if not given:
        return test.if_exists or (test.over == "forallvalues" if test.over else operator.negated)
    if variables and operator.variables:
        resolved = [
            _resolve(item, asks.context, escape=operator.pattern) if "${" in item else item for item in values
        ]
        if None in resolved and not deny:
            return False  # a variable without a value makes the statement invalid
        values = [item for item in resolved if item is not None]
    outcomes = (_value_holds(operator, values, item, deny) for item in given)
    # Without a set operator several values are one too many to be sure: they count against the caller.
    every = test.over == "forallvalues" if test.over else not deny
    return all(outcomes) if every else any(outcomes)


def _value_holds(operator: _Operator, values: Sequence[str], given: str, deny: bool) -> bool:
    unsure = False
    for wanted in values:
        equal = operator.compare(wanted, given)
        if equal:
            return not operator.negated
        unsure = unsure or equal is None
    return deny if unsure else operator.negated


def _policy_values(value: object) -> Sequence[str] | None:
    if isinstance(value, str):
        return (value,)
    items = value if isinstance(value, list) else [value]
    if not items or not all(isinstance(item, (str, bool, int, float)) for item in items):
        return None
    return [_text(item) for item in items]


# Source: "AWS global condition context keys" in the IAM user guide.
_GLOBAL_NAMES = """
    assumedroot calledvia calledviaawsmcp calledviafirst calledvialast chatbotsourcearn currenttime
    ec2instancesourceprivateipv4 ec2instancesourcevpc epochtime federatedprovider multifactorauthage
    multifactorauthpresent principalaccount principalarn principalisawsservice principalorgid
    principalorgpaths principalservicename principalservicenameslist principaltype referer requestedregion
    resourceaccount resourceorgid resourceorgpaths securetransport signinsessionarn sourceaccount sourcearn
    sourceidentity sourceip sourceorgid sourceorgpaths sourcevpc sourcevpcarn sourcevpce tagkeys
    tokenissuetime useragent userid username viaawsmcpservice viaawsservice vpceaccount vpceorgid vpceorgpaths
    vpcsourceip
"""
_GLOBAL_KEYS = frozenset(f"aws:{name}" for name in _GLOBAL_NAMES.split())
_TAG_KEYS = ("aws:principaltag/", "aws:requesttag/", "aws:resourcetag/")


def _is_known(key: str) -> bool:
    """True for a global key that AWS has, and for every key of a service, whose keys are not listed here."""
    return not key.startswith("aws:") or key in _GLOBAL_KEYS or (key.startswith(_TAG_KEYS) and key[-1] != "/")


class MalformedCase(ValueError):
    """A file of cases that cannot be read; the message says which case and what is wrong with it."""


def main(arguments: Sequence[str]) -> int:
    """Judge every case of the given JSON files, one line of JSON each.

    Returns:
        0 when every answer is the expected one, 1 when one differs, 2 when a file or case cannot be read.
    """
    if not arguments:
        sys.stderr.write("usage: python -m crossaccount_sandbox.judge CASES.json [MORE.json ...]\n")
        return 2
    try:
        cases = [case for path in arguments for case in _read_cases(path)]
    except MalformedCase as error:
        sys.stderr.write(f"{error}\n")
        return 2
    same = True
    for name, request, policies, expected in cases:
        decision = judge(request, policies)
        ok = decision.result.value == expected
        same = same and ok
        line = {
            "name": name,
            "got": decision.result.value,
            "expected": expected,
            "ok": ok,
            "why": decision.why,
        }
        sys.stdout.write(json.dumps(line) + "\n")
    return 0 if same else 1


def _read_cases(path: str) -> list[tuple[str, Request, Policies, str]]:
    try:
        with open(path, encoding="utf-8") as file:
            cases = json.load(file)
    except OSError as error:
        raise MalformedCase(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise MalformedCase(f"{path}: is not JSON: {error}") from error
    if not isinstance(cases, list):
        raise MalformedCase(f"{path}: must hold a list of cases")
    read = []
    for index, case in enumerate(cases):
        try:
            read.append(read_case(case))
        except MalformedCase as error:
            raise MalformedCase(f"{path}: case {index}: {error}") from error
    return read


def read_case(case: object) -> tuple[str, Request, Policies, str]:
    """One case as data: its name, the request, the policies, the expected result.

    Raises:
        MalformedCase: a field is missing or of another type.
    """
    whole = _mapping(case, "the case")
    request = _mapping(whole.get("request"), "request")
    resource = _mapping(request.get("resource"), "request.resource")
    context = _mapping(request.get("context") or {}, "request.context")
    for key, value in context.items():
        if not all(isinstance(item, (str, bool, int, float, type(None))) for item in _as_list(value)):
            raise MalformedCase(f"request.context[{key!r}] must be a text or a list of texts")
    owner = resource.get("accountId")
    if owner is not None and not isinstance(owner, str):
        raise MalformedCase("request.resource.accountId must be a text")
    asked = Request(
        _string(request, "principal", "request.principal"),
        _string(request, "action", "request.action"),
        _string(resource, "resource", "request.resource.resource"),
        owner or None,
        context,
    )
    policies = Policies(
        identity=_list(whole, "identityPolicies"),
        resource=whole.get("resourcePolicy"),
        boundaries=_list(whole, "permissionBoundaries") or None,
        session=whole.get("sessionPolicy"),
        scps=_levels(whole, "serviceControlPolicies"),
        rcps=_levels(whole, "resourceControlPolicies"),
    )
    expected = _mapping(whole.get("expected"), "expected")
    return _string(whole, "name", "name"), asked, policies, _string(expected, "response", "expected.response")


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise MalformedCase(f"{where} must be an object")
    return value


def _string(holder: Mapping[str, Any], key: str, where: str) -> str:
    value = holder.get(key)
    if not isinstance(value, str) or not value:
        raise MalformedCase(f"{where} must be a text")
    return value


def _list(holder: Mapping[str, Any], key: str) -> list[Any]:
    value = holder.get(key)
    if value is not None and not isinstance(value, list):
        raise MalformedCase(f"{key} must be a list")
    return value or []


def _levels(holder: Mapping[str, Any], key: str) -> list[list[Any]]:
    return [_list(_mapping(level, f"each level of {key}"), "policies") for level in _list(holder, key)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
