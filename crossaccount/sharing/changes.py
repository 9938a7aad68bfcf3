"""A plan as data: what it is made from, and one change for each policy document as it stands and as it should stand.

Not here: how it is decided (``plan``), what a person should know beside it (``findings``), and how it is made (``apply``).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal

from crossaccount.doors import Needs
from crossaccount.doors.base import Resource, Surroundings
from crossaccount.errors import Finding
from crossaccount.policy import documents
from crossaccount.policy.documents import Document, Statement, statements
from crossaccount.policy.standing import Answer
from crossaccount.text import harmless

Verb = Literal["create", "update", "delete", "keep"]


@dataclass(frozen=True)
class Basis:
    """The state that a plan is made from.

    ``needs`` are those of the shared versions; ``existing`` has every policy that the plan is about, None for no policy; ``now``
    is when they were read; ``findings`` are the obstacles, and what else should be known; ``beside`` is what decides beside those
    policies. ``stale`` has the policies with statements of ours that were opened before and that nothing shared needs any more.
    ``withdrawn`` has the versions that were published and are no longer shared, each with what became of it, where a part of
    a resource stays open that no shared version needs. ``publishing`` are the versions that have no Release yet.
    """

    needs: Needs
    existing: Mapping[Resource, Document | None]
    now: datetime
    findings: tuple[Finding, ...] = ()
    beside: Mapping[Resource, Surroundings] = field(default_factory=dict)
    withdrawn: Mapping[int, str] = field(default_factory=dict)
    stale: Mapping[Resource, Document | None] = field(default_factory=dict)
    publishing: tuple[int, ...] = ()


@dataclass(frozen=True)
class Change:
    """One document as it stands and as it should stand; None is no document. The rest follows from the two."""

    resource: Resource
    existing: Document | None
    desired: Document | None

    @cached_property
    def verb(self) -> Verb:
        """The verb that follows from the two documents; documents that mean the same are kept."""
        if documents.same(self.existing, self.desired):
            return "keep"
        if self.existing is None:
            return "create"
        return "delete" if self.desired is None else "update"

    @cached_property
    def gained(self) -> tuple[str, ...]:
        """The accounts and other principals that are allowed something more than before."""
        return _difference(self.desired, self.existing)

    @cached_property
    def lost(self) -> tuple[str, ...]:
        """The accounts and other principals that are allowed something less than before."""
        return _difference(self.existing, self.desired)

    @cached_property
    def deprived(self) -> tuple[str, ...]:
        """The accounts and other principals from whom a statement is taken, whatever else allows them the same."""
        return tuple(sorted({name for each in self.removed for name in documents.beneficiaries(each)}))

    @cached_property
    def added(self) -> tuple[Statement, ...]:
        """The statements that the document gets: whole, or with their new members alone."""
        return tuple(documents.difference(self.existing, self.desired))

    @cached_property
    def removed(self) -> tuple[Statement, ...]:
        """The statements that the document loses, in the same way."""
        return tuple(documents.difference(self.desired, self.existing))

    @cached_property
    def changed(self) -> tuple[str, ...]:
        """The Sids of statements that stand before and after, and say something else or to someone else."""
        before, after = (
            {
                each["Sid"]: documents.canonical_statement(each)
                for each in statements(document)
                if "Sid" in each
            }
            for document in (self.existing, self.desired)
        )
        return tuple(sid for sid, meaning in after.items() if before.get(sid, meaning) != meaning)


@dataclass(frozen=True)
class Standing:
    """What the statements of others let a member do at the door of a resource, once the plan is carried out.

    Args:
        member: an account (12 digits), ``organization ID``, or another principal as a plan names it.
        resource: the resource.
        answer: whether they let it in.
        by: the Sids, or the places, of the statements that do, or that leave it in doubt, or that deny.
        through: the same statements for messages, with the policy where that is not the resource's own.
        terms: a text of how far they let it in, to be put behind them; empty for all of it.
        reason: the same as a sentence without its end.
        granted: whether statements of ours let it in then.
    """

    member: str
    resource: Resource
    answer: Answer
    by: tuple[str, ...]
    through: tuple[str, ...]
    terms: str
    reason: str
    granted: bool

    @property
    def is_shut_out(self) -> bool:
        """Whether nothing lets the member in, neither ours nor others'."""
        return not self.granted and self.answer is Answer.SHUT

    @property
    def line(self) -> str:
        """What becomes of the access of a member that loses statements of ours; a Sid of others moves no terminal."""
        return harmless(self._line()).replace("\n", "\\n").replace("\0", "\\x00")

    def _line(self) -> str:
        if self.granted:
            return f"keeps access: {self.member} on other terms"
        if self.answer is Answer.OPEN:
            return f"keeps access: {self.member} by {', '.join(self.through)} (not ours){self.terms}"
        if self.answer is Answer.CANNOT_TELL:
            return f"cannot tell whether {self.member} loses access: {self.reason}"
        return f"loses access: {self.member}"


class Standings:
    """All of them. Not a list: Prefect walks through every list and dataclass that a step is given, several times over."""

    def __init__(self, found: Iterable[Standing] = ()) -> None:
        self._found = tuple(found)

    def __iter__(self) -> Iterator[Standing]:
        return iter(self._found)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Standings) and self._found == other._found

    def __hash__(self) -> int:
        return hash(self._found)


@dataclass(frozen=True)
class Plan:
    """All changes of one run, in the order they are made, and what a person should know beside them.

    ``group`` is the ARN of the group that it is about; ``standing`` has, for each member that it concerns and each resource,
    what others' statements let it do; ``takes_back`` is whether it takes access back: what it has taken is granted again only
    after a refusal.
    """

    changes: tuple[Change, ...]
    findings: tuple[Finding, ...] = ()
    group: str = ""
    standing: Standings = field(default_factory=Standings)
    takes_back: bool = False

    @property
    def writes(self) -> int:
        """The number of documents that would be written or removed."""
        return sum(change.verb != "keep" for change in self.changes)

    def leaving(self, change: Change) -> tuple[Standing, ...]:
        """What becomes of those from whom a change takes statements."""
        found = {each.member: each for each in self.standing if each.resource == change.resource}
        return tuple(found[name] for name in change.deprived if name in found)

    @property
    def digest(self) -> str:
        """A short hash of what the plan is made from and what it would make: equal plans have equal ones."""
        meaning = [
            (str(change.resource), documents.canonical(change.existing), documents.canonical(change.desired))
            for change in self.changes
        ]
        return hashlib.sha256(json.dumps(meaning).encode()).hexdigest()[:16]


def _difference(document: Document | None, other: Document | None) -> tuple[str, ...]:
    """The principals that one document allows something that the other does not allow them."""
    # Most statements are strangers', which a plan leaves as they are: the very same objects.
    shared = {id(statement) for statement in statements(other)}
    more = _allowances(each for each in statements(document) if id(each) not in shared)
    names = {name for name, _ in more}
    alike = (each for each in statements(other) if names and names & set(documents.beneficiaries(each)))
    return tuple(sorted({name for name, _ in more - _allowances(alike)}))


def _allowances(allowing: Iterable[Statement]) -> set[tuple[str, str]]:
    """Each beneficiary with the terms of each statement that allows it."""
    allowances = set()
    for statement in allowing:
        if statement.get("Effect") == "Allow":
            terms, roles = documents.terms(statement), documents.roles_of(statement)
            for name in documents.beneficiaries(statement):
                allowances.add((name, json.dumps([terms, roles.get(name, [])])))
    return allowances
