"""What the statements of others let an account do, whatever ours say: a door still stands open for it, is shut, or cannot be told.

A door is the actions that it is for, each on its resources. Every request that the statements could treat differently is made up
(a caller, an action, a resource) and judged by all of them: an Allow opens, a Deny shuts, and what neither is known nor can be
known from here (an address, a tag, who is in an organization) leaves a doubt. Not here: the account's own policies, KMS grants,
S3 access points and access control lists, and what its organization forbids.

Source: "Policy evaluation logic" in the IAM user guide.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from crossaccount.policy.callers import Caller, callers_of, may_reach, reaches
from crossaccount.policy.conditions import Doubt, Known, Verdict, every, holds, negated, some
from crossaccount.policy.documents import Statement, account_of, listed, principal_key
from crossaccount.policy.globs import Glob, Values, examples, glob


class Answer(StrEnum):
    """Whether others' statements let an account in."""

    OPEN = "still open"
    SHUT = "shut"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, eq=False)
class Clause:
    """A statement that is not ours: its Sid or place, the policy that it stands in where that is not the resource's own, and itself.

    Two of them are never the same, whatever they say.
    """

    label: str
    body: Statement
    policy: str = ""
    variables: bool = True

    def __str__(self) -> str:
        """For messages."""
        return f"{self.label} of the {self.policy}" if self.policy else self.label


@dataclass(frozen=True)
class Passage:
    """An action that a door is for, and the resources: an ARN, or a pattern of them as policies write it."""

    action: str
    resource: str


@dataclass(frozen=True)
class Doorway:
    """A door of one resource, as others' statements see it.

    ``services`` are AWS's services that come through it on behalf of an account; ``organization`` is the one that the accounts of
    the config are known to be in; ``cut_off`` says why no other account comes through whatever is allowed, ``doubtful`` what could
    not be asked about that; ``unread`` names the policies that could not be read.
    """

    passages: tuple[Passage, ...]
    owner: str
    partition: str
    region: str
    now: datetime
    services: tuple[str, ...] = ()
    organization: str = ""
    cut_off: str = ""
    doubtful: str = ""
    unread: tuple[str, ...] = ()

    def known(self, caller: Caller) -> Known:
        """What is known of a request of this caller, made as AWS's clients do."""
        of_request = {
            "aws:resourceaccount": ((self.owner,),),
            "s3:resourceaccount": ((self.owner,),),
            "aws:requestedregion": ((self.region,),),
            "aws:securetransport": (("true",),),
            "s3:tlsversion": (("1.2",), ("1.3",)),
            "kms:viaservice": ((f"s3.{self.region}.amazonaws.com",),),
        }
        service = next((each.action.partition(":")[0] for each in self.passages), "")
        return Known({**of_request, **caller.keys()}, self.now, service)


@dataclass(frozen=True)
class Judgement:
    """The answer about one member: by which statements, on which terms (empty for all of it), and the reason in a few words."""

    answer: Answer
    by: tuple[Clause, ...]
    terms: str
    reason: str


class _Found(NamedTuple):
    verdict: Verdict
    doubts: tuple[Doubt, ...]


class _Try(NamedTuple):
    """A request that was made up, what becomes of it, and the statements that say so."""

    caller: Caller
    action: str
    verdict: Verdict
    clauses: tuple[Clause, ...]
    doubts: tuple[tuple[Clause, Doubt | None], ...]


_NOBODY = "no statement of others lets it in"


def judge(members: Iterable[str], clauses: Sequence[Clause], way: Doorway) -> dict[str, Judgement]:
    """What others' statements let each member do: an account, an organization, a principal or a service, see `callers_of`."""
    touching = [each for each in clauses if any(touches(each.body, one.action) for one in way.passages)]
    return {member: _judged(member, touching, way) for member in members}


def _judged(member: str, clauses: Sequence[Clause], way: Doorway) -> Judgement:
    if way.cut_off:
        return Judgement(Answer.SHUT, (), "", way.cut_off)
    account = account_of(member)
    concerned = [each for each in clauses if account is None or may_reach(each.body, account)]
    allowing = [each for each in concerned if each.body.get("Effect") == "Allow"]
    bodies = [each.body for each in concerned]
    callers = callers_of(member, bodies, way.partition, way.services, way.organization) if allowing else []
    if callers is None:
        reason = "the statements of others are too many or too wild to go through"
        return Judgement(Answer.CANNOT_TELL, tuple(allowing), "", reason)
    tries = list(_tries(callers, concerned, way))
    if any(each.verdict for each in tries):
        opened = _open(member, callers, tries, way)
        return (
            replace(opened, answer=Answer.CANNOT_TELL, reason=f"{opened.reason}, but {way.doubtful}")
            if way.doubtful
            else opened
        )
    if doubts := list(dict.fromkeys(pair for each in tries if each.verdict is None for pair in each.doubts)):
        by = tuple(dict.fromkeys(clause for clause, _ in doubts))
        reasons = dict.fromkeys(_doubtful(*pair) for pair in doubts)
        return Judgement(Answer.CANNOT_TELL, by, "", "; ".join(reasons))
    if way.unread:
        return Judgement(Answer.CANNOT_TELL, (), "", f"the {' and the '.join(way.unread)} could not be read")
    denying = tuple(dict.fromkeys(clause for each in tries for clause in each.clauses))
    return Judgement(Answer.SHUT, denying, "", f"{_listed(denying)} denies it" if denying else _NOBODY)


def _tries(callers: Sequence[Caller], clauses: Sequence[Clause], way: Doorway) -> Iterator[_Try]:
    """Every request that the statements could treat differently."""
    for caller in callers:
        known = way.known(caller)
        concerned = [each for each in clauses if reaches(each.body, caller) is not False]
        if not any(each.body.get("Effect") == "Allow" for each in concerned):
            continue
        for passage in way.passages:
            about = [each for each in concerned if touches(each.body, passage.action)]
            for resource in _resources(passage.resource, about, known):
                yield _tried(caller, passage.action, resource, about, known)


def _tried(
    caller: Caller, action: str, resource: str | None, clauses: Iterable[Clause], known: Known
) -> _Try:
    found = {each: _applies(each, caller, resource, known) for each in clauses}
    allows = {each: one for each, one in found.items() if each.body.get("Effect") == "Allow"}
    denies = {each: one for each, one in found.items() if each not in allows}
    allowed, denied = (some(one.verdict for one in side.values()) for side in (allows, denies))
    verdict = every([allowed, negated(denied)])
    said = allows if verdict else denies
    return _Try(
        caller,
        action,
        verdict,
        tuple(each for each, one in said.items() if one.verdict and (verdict or allowed is not False)),
        tuple(
            (each, doubt)
            for each, one in found.items()
            if one.verdict is None
            for doubt in one.doubts or (None,)
        ),
    )


def _applies(clause: Clause, caller: Caller, resource: str | None, known: Known) -> _Found:
    """Whether a statement about the action applies to the caller and the resource too."""
    body, denies = clause.body, clause.body.get("Effect") == "Deny"
    values = known.value if clause.variables else None
    verdict, doubts = holds(body.get("Condition") or {}, known, denies=denies, variables=clause.variables)
    return _Found(every([reaches(body, caller), _on(body, resource, values), verdict]), doubts)


def _on(statement: Statement, resource: str | None, values: Values | None) -> Verdict:
    """Whether a statement is about a resource; one without Resource is about the one that it is attached to."""
    for element in ("Resource", "NotResource"):
        if element in statement:
            if resource is None:
                return None
            verdict = some(each.fits(resource) for each in _patterns(statement[element], values))
            return verdict if element == "Resource" else negated(verdict)
    return True


def _patterns(value: object, values: Values | None) -> list[Glob]:
    return [glob(str(text), values) for text in listed(value)]


def _resources(pattern: str, clauses: Iterable[Clause], known: Known) -> tuple[str | None, ...]:
    """Resources within a pattern, one for each set of them that the statements treat alike; None alone where nobody can tell which."""
    telling = [
        each
        for clause in clauses
        for element in ("Resource", "NotResource")
        if element in clause.body
        for each in _patterns(clause.body[element], known.value if clause.variables else None)
    ]
    return examples(glob(pattern, known.value), telling) or (None,)


def _open(member: str, callers: Sequence[Caller], tries: Sequence[_Try], way: Doorway) -> Judgement:
    opened = [each for each in tries if each.verdict]
    by = tuple(dict.fromkeys(clause for each in opened for clause in each.clauses))
    terms = [*_as_whom(member, callers, opened, by), *_for_what(opened, tries, way)]
    text = f", {', '.join(terms)}" if terms else ""
    return Judgement(Answer.OPEN, by, text, f"{_listed(by)} lets it in{text}")


def _as_whom(
    member: str, callers: Sequence[Caller], opened: Sequence[_Try], by: Iterable[Clause]
) -> Iterator[str]:
    """The principals that come through, where not every role of the account does."""
    through = {each.caller for each in opened}
    if all(each.is_service for each in through):
        yield f"through {', '.join(sorted({each.arn for each in through}))}"
        return
    roles = {each for each in callers if ":role/" in each.arn}
    if not roles or roles <= through:
        return
    account = account_of(member)
    if named := sorted({text for clause in by for text in _narrowed(clause.body, account)}):
        yield f"as {', '.join(named)}"
    else:
        yield "not for every principal of it"


def _names(statement: Statement) -> list[str]:
    """The AWS principals that a statement names."""
    principal = statement.get("Principal")
    return [str(name) for name in listed(principal.get("AWS", []))] if isinstance(principal, dict) else []


def _narrowed(statement: Statement, account: str | None) -> Iterator[str]:
    """The principals of an account, and the patterns of them, that a statement is narrowed to."""
    for name in _names(statement):
        if account_of(name) == account and principal_key(name) != account:
            yield name
    for operator, keys in (statement.get("Condition") or {}).items():
        if "not" not in operator.lower() and "null" not in operator.lower():
            for key, value in keys.items():
                if key.lower() == "aws:principalarn":
                    yield from (str(text) for text in listed(value))


def _for_what(opened: Sequence[_Try], tries: Sequence[_Try], way: Doorway) -> Iterator[str]:
    """What comes through, where it is not all that the door is for."""
    actions = list(dict.fromkeys(each.action for each in opened))
    if set(actions) != {each.action for each in way.passages}:
        yield f"for {', '.join(actions)} alone"
    through = {(each.caller, each.action) for each in opened}
    if any(not each.verdict and (each.caller, each.action) in through for each in tries):
        yield "for a part of the resources"


def _doubtful(clause: Clause, doubt: Doubt | None) -> str:
    """Why a statement cannot be judged."""
    denies = clause.body.get("Effect") == "Deny"
    if doubt is None:
        return f"{clause} {'denies' if denies else 'lets in'} principals or resources that cannot be told from here"
    key, values = doubt.key.lower(), ", ".join(doubt.values)
    if key == "aws:principalorgid" and not denies:
        return f"{clause} lets in organization {values}, whose members are not ours to list"
    if key == "aws:principalorgpaths" and not denies:
        return f"{clause} lets in {values} of an organization, whose members are not ours to list"
    return f"{clause} {'denies' if denies else 'lets in'} by a condition on {doubt.key} ({values}), which cannot be judged from here"


def _listed(clauses: Iterable[Clause]) -> str:
    return ", ".join(str(each) for each in clauses)


def shut_out(clause: Clause, callers: Sequence[Caller], way: Doorway) -> dict[Caller, Verdict]:
    """What a Deny does to each of some callers: it keeps them from something that the door is for, it does not, or nobody can tell."""
    found: dict[Caller, Verdict] = {}
    for caller in callers:
        known = way.known(caller)
        verdicts: list[Verdict] = []
        for passage in way.passages:
            if touches(clause.body, passage.action):
                resources = _resources(passage.resource, [clause], known)
                verdicts += [_applies(clause, caller, each, known).verdict for each in resources]
        found[caller] = some(verdicts)
    return found


def touches(statement: Statement, action: str) -> bool:
    """Whether a statement is about an action."""
    for element in ("Action", "NotAction"):
        if element in statement:
            patterns = listed(statement[element])
            return any(_action(str(each).lower(), action.lower()) for each in patterns) is (
                element == "Action"
            )
    return False


@lru_cache(maxsize=16384)
def _action(pattern: str, action: str) -> bool:
    return glob(pattern).fits(action) is True
