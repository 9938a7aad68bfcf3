"""What a deployed role differs in from the one that is needed, statement by statement.

Pure. A statement is found again by what it says, or else by its Sid. What lacks is told from what is merely wider: a wider statement, or
several together, may contain what is needed. Not here: reading a role (``deployed``), and making the needed one (``templates``).

Source: "IAM JSON policy elements reference" and "Policy evaluation logic" in the IAM user guide.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from crossaccount.policy import documents
from crossaccount.policy.documents import Statement
from crossaccount.policy.globs import examples, glob
from crossaccount.setup.templates import Policy, Role

_TRUST = "trust policy"
_SAID = 4  # permissions that are named of those that lack


class Kind(StrEnum):
    """How a statement differs."""

    MISSING = "missing"
    DIFFERENT = "different"
    DENIED = "denied"
    WIDER = "allows more"
    ADDITIONAL = "additional"


# What is needed is there all the same.
CONTAINING = (Kind.WIDER, Kind.ADDITIONAL)


@dataclass(frozen=True)
class Difference:
    """A statement that differs: of which policy of the role (``trust policy`` for its trust), its Sid, how, and in what."""

    policy: str
    sid: str
    kind: Kind
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.sid} of {self.policy}: {self.text}"


@dataclass(frozen=True)
class Deployed:
    """A role as it is: ``edition`` is that of the template that made it, empty where it says none; ``boundary`` its permissions boundary."""

    name: str
    trust: Mapping[str, Any]
    policies: tuple[Policy, ...]
    edition: str = ""
    boundary: Policy | None = None


@dataclass(frozen=True)
class _Part:
    """A statement with the policy that it stands in."""

    policy: str
    statement: Statement

    @property
    def sid(self) -> str:
        return str(self.statement.get("Sid", "a statement without Sid"))

    @property
    def allows(self) -> bool:
        return self.statement.get("Effect") == "Allow"

    def same(self, other: "_Part") -> bool:
        return _meaning(self.statement) == _meaning(other.statement)


def differences(needed: Role, deployed: Deployed) -> tuple[Difference, ...]:
    """What the deployed role differs in; nothing where every statement is as needed."""
    trust = [_Part(_TRUST, each) for each in documents.statements(needed.trust)]
    trusted = [_Part(_TRUST, each) for each in documents.statements(dict(deployed.trust))]
    wanted, held = list(_parts(needed.policies)), list(_parts(deployed.policies))
    return (
        *_compared(trust, trusted),
        *_compared(wanted, held),
        *(_bounded(wanted, deployed.boundary) if deployed.boundary else ()),
    )


def _parts(policies: Iterable[Policy]) -> Iterator[_Part]:
    for policy in policies:
        for statement in documents.statements(policy.document):
            yield _Part(f"policy {policy.name}", statement)


def _meaning(statement: Statement) -> str:
    return documents.canonical_statement({key: value for key, value in statement.items() if key != "Sid"})


def _compared(wanted: Sequence[_Part], held: Sequence[_Part]) -> Iterator[Difference]:
    rest, unmatched = list(held), list[_Part]()
    for part in wanted:
        same = next((each for each in rest if part.same(each)), None)
        if same is None:
            unmatched.append(part)
        else:
            rest.remove(same)
    for part in unmatched:
        other = _of_sid(part, rest)
        if other is not None:
            rest.remove(other)
        yield _differing(part, other, held)
    for part in rest:
        if part.allows:
            yield Difference(
                part.policy, part.sid, Kind.ADDITIONAL, f"allows more: {_summary(part.statement)}."
            )
    for part in held:
        if not part.allows and (
            denied := [each for each in _needs(wanted) if _touches(part.statement, each)]
        ):
            yield Difference(
                part.policy, part.sid, Kind.DENIED, f"denies {_listed(denied)}{_if(part.statement)}."
            )


def _of_sid(part: _Part, rest: Sequence[_Part]) -> _Part | None:
    """The statement that stands in a needed one's place: of its Sid, first in the policy of its name; a trust policy's are without Sid."""
    if part.policy == _TRUST:
        return next((each for each in rest if each.allows), None)
    named = [each for each in rest if each.allows and each.sid == part.sid]
    return next((each for each in named if each.policy == part.policy), named[0] if named else None)


def _differing(part: _Part, other: _Part | None, held: Sequence[_Part]) -> Difference:
    lacking = [need for need in _needs([part]) if not any(_covers(each.statement, need) for each in held)]
    place = part if other is None else other
    if not lacking:
        where = "it" if other is not None else "what stands elsewhere"
        text = f"{where} contains what is needed, and more: {_summary(place.statement)}."
        return Difference(place.policy, place.sid, Kind.WIDER, text)
    if part.policy == _TRUST:
        text = f"it lets in {_trusted(other.statement) if other else 'nobody'}; needed is {_trusted(part.statement)}."
        return Difference(part.policy, part.sid, Kind.DIFFERENT if other else Kind.MISSING, text)
    if other is None:
        return Difference(part.policy, part.sid, Kind.MISSING, f"it must allow {_summary(part.statement)}.")
    return Difference(other.policy, other.sid, Kind.DIFFERENT, f"it lacks {_listed(lacking)}.")


def _bounded(wanted: Sequence[_Part], boundary: Policy) -> Iterator[Difference]:
    """What a permissions boundary keeps from the role."""
    held = list(_parts([boundary]))
    for part in wanted:
        outside = [
            need
            for need in _needs([part])
            if not any(_covers(each.statement, need) for each in held)
            or any(not each.allows and _touches(each.statement, need) for each in held)
        ]
        if outside:
            text = f"the role's permissions boundary {boundary.name} does not allow {_listed(outside)}."
            yield Difference(part.policy, part.sid, Kind.DENIED, text)


@dataclass(frozen=True)
class _Need:
    """One permission that a statement gives: an action on a resource, or of a trust policy for a principal."""

    action: str
    resource: str
    principal: tuple[str, str]
    conditions: Mapping[str, Any]

    def __str__(self) -> str:
        where = self.resource or self.principal[1]
        return (
            f"{self.action} {'on' if self.resource else 'for'} {where}{_if({'Condition': self.conditions})}"
        )


def _needs(parts: Iterable[_Part]) -> Iterator[_Need]:
    for part in parts:
        statement = part.statement
        named = [
            (kind, str(name))
            for kind, names in dict(statement.get("Principal") or {"": [""]}).items()
            for name in documents.listed(names)
        ]
        for action in documents.listed(statement["Action"]):
            for resource in documents.listed(statement.get("Resource", "")):
                for principal in named:
                    yield _Need(action, resource, principal, statement.get("Condition") or {})


def _covers(statement: Statement, need: _Need) -> bool:
    """Whether an Allow gives all of a permission, wherever the permission applies."""
    return (
        statement.get("Effect") == "Allow"
        and _on_action(statement, need.action)
        and _named(statement, need.principal)
        and _on_resource(statement, need.resource, whole=True)
        and _conditions_cover(statement.get("Condition") or {}, need.conditions)
    )


def _touches(statement: Statement, need: _Need) -> bool:
    """Whether a Deny may take some of a permission away."""
    return (
        _on_action(statement, need.action)
        and _named(statement, need.principal, in_part=True)
        and _on_resource(statement, need.resource, whole=False)
    )


def _on_action(statement: Statement, action: str) -> bool:
    if "NotAction" in statement:
        return not any(
            glob(str(each).lower()).fits(action.lower()) for each in documents.listed(statement["NotAction"])
        )
    return any(
        glob(str(each).lower()).fits(action.lower()) for each in documents.listed(statement.get("Action"))
    )


def _on_resource(statement: Statement, resource: str, whole: bool) -> bool:
    """Whether a statement is about a resource, a pattern: about all that fits it, or about some of it."""
    if not resource:  # of a trust policy
        return True
    excepted = "NotResource" in statement
    patterns = documents.listed(statement["NotResource" if excepted else "Resource"])
    if excepted:
        touched = any(_some(str(each), resource) for each in patterns)
        return not touched if whole else not any(_all(str(each), resource) for each in patterns)
    return any((_all if whole else _some)(str(each), resource) for each in patterns)


def _all(wide: str, narrow: str) -> bool:
    """Whether every text that fits the one pattern fits the other; False where there are too many to tell."""
    texts = examples(glob(narrow), [glob(wide)])
    return wide == narrow or (texts is not None and all(glob(wide).fits(text) for text in texts))


def _some(pattern: str, other: str) -> bool:
    """Whether a text fits both patterns; True where there are too many to tell."""
    texts = examples(glob(other), [glob(pattern)])
    return texts is None or any(glob(pattern).fits(text) for text in texts)


def _named(statement: Statement, principal: tuple[str, str], in_part: bool = False) -> bool:
    kind, name = principal
    if not kind:  # of a permission policy
        return True
    principals = statement.get("Principal")
    if principals is None:
        return in_part  # NotPrincipal
    if principals == "*":
        return True
    names = documents.listed(dict(principals).get(kind))
    return any(
        each == "*" or documents.principal_key(str(each)) == documents.principal_key(name) for each in names
    )


# Operators whose further values let more in.
_POSITIVE = (
    "StringEquals",
    "StringEqualsIgnoreCase",
    "StringLike",
    "ArnEquals",
    "ArnLike",
    "Bool",
    "Null",
    "IpAddress",
)


def _conditions_cover(wide: Mapping[str, Any], narrow: Mapping[str, Any]) -> bool:
    """Whether the conditions of one statement hold wherever those of the other do, as far as equal operators and keys show it."""
    given = {
        (operator, key.lower()): set(map(str, documents.listed(values)))
        for operator, keys in narrow.items()
        for key, values in keys.items()
    }
    for operator, keys in wide.items():
        for key, values in keys.items():
            wanted = given.get((operator, key.lower()))
            allowed = set(map(str, documents.listed(values)))
            if wanted is None or not (wanted == allowed or (operator in _POSITIVE and wanted <= allowed)):
                return False
    return True


def _summary(statement: Statement) -> str:
    named = "NotAction" if "NotAction" in statement else "Action"
    actions = [str(each) for each in documents.listed(statement.get(named))]
    if "Principal" in statement:
        return _trusted(statement)
    places = "NotResource" if "NotResource" in statement else "Resource"
    resources = [str(each) for each in documents.listed(statement.get(places))]
    first = f"{'all but ' if named == 'NotAction' else ''}{_joined(actions)}"
    second = f"{'all but ' if places == 'NotResource' else ''}{_joined(resources)}"
    return f"{first} on {second}{_if(statement)}"


def _trusted(statement: Statement) -> str:
    principals = statement.get("Principal", "*")
    names = (
        ["*"]
        if principals == "*"
        else [str(n) for each in dict(principals).values() for n in documents.listed(each)]
    )
    return f"{_joined(names)}{_if(statement) or ' on no condition'}"


def _if(statement: Mapping[str, Any]) -> str:
    conditions = [
        f"{key} {operator} {_joined([str(each) for each in documents.listed(values)])}"
        for operator, keys in (statement.get("Condition") or {}).items()
        for key, values in keys.items()
    ]
    return f" if {' and '.join(conditions)}" if conditions else ""


def _joined(words: Sequence[str]) -> str:
    rest = len(words) - _SAID
    return ", ".join(words[:_SAID]) + (f" and {rest} more" if rest > 0 else "")


def _listed(needs: Iterable[_Need]) -> str:
    return _joined(list(dict.fromkeys(map(str, needs))))
