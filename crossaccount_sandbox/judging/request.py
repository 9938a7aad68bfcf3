"""A request to be judged: who asks, for what, with which condition keys, and the policies that apply to it.

Not here: what the policies say of it (``statements``, ``decision``).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

Document = Mapping[str, Any]


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
        session: the session policy, or a list of several, one of which must allow; None without one.
        scps: per level of the caller's organization, from root to account, its service control policies.
        rcps: the same for the resource's account and its resource control policies.
        further: policies that hold for the resource beside its own, as that of its whole registry.
    """

    identity: Sequence[Document] = ()
    resource: Document | None = None
    boundaries: Sequence[Document] | None = None
    session: Document | Sequence[Document] | None = None
    scps: Sequence[Sequence[Document]] = ()
    rcps: Sequence[Sequence[Document]] = ()
    further: Sequence[Document] = ()


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


@dataclass(frozen=True)
class Subject:
    """A principal, taken apart; ``role`` is the ARN of the role behind it, of a session without the path."""

    kind: Kind
    arn: str
    partition: str = ""
    account: str = ""
    name: str = ""
    role: str = ""


class Question(NamedTuple):
    """A request as the judge reads it: everything that policies compare, in the form in which they do."""

    subject: Subject
    role: str  # with its path, when the request's context knows it
    operation: str  # the action as the request spells it
    action: str  # in lower case
    resource: str
    context: dict[str, tuple[str, ...]]
    bounded: bool


def question_of(request: Request, bounded: bool) -> Question:
    """A request taken apart; ``bounded`` when permissions boundaries apply to its caller."""
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
    owner = request.resource_account or account_in(request.resource) or subject.account
    if owner:
        context.setdefault("aws:resourceaccount", (owner,))
    return Question(subject, role, request.action, action, request.resource, context, bounded)


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


def is_service_linked(subject: Subject) -> bool:
    """True for a role that is linked to an AWS service, and for its sessions."""
    if subject.kind is Kind.ROLE:
        return ":role/aws-service-role/" in subject.arn
    return subject.kind is Kind.SESSION and subject.name.startswith("AWSServiceRoleFor")


def account_in(resource: str) -> str:
    """The account that an ARN names; empty when it names none."""
    parts = resource.split(":", 5)
    return parts[4] if len(parts) == 6 and _ACCOUNT.fullmatch(parts[4]) else ""


def _context_values(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, (list, tuple, set, frozenset)):
        return tuple(scalar_text(item) for item in value if item is not None)
    return () if value is None else (scalar_text(value),)


def scalar_text(value: object) -> str:
    """A JSON scalar as policies write it."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
