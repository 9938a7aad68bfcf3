"""What others' statements let each account do that a plan concerns, at every door, once the plan is carried out.

It puts together what was read; the judgement is ``policy.standing``'s. Not here: how it is said (``findings``, ``show.plans``).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from crossaccount import doors
from crossaccount.arns import root_arn
from crossaccount.aws.sessions import SESSION_NAME
from crossaccount.config.model import Sharing
from crossaccount.doors.base import Resource, Surroundings
from crossaccount.policy import documents
from crossaccount.policy import standing as judging
from crossaccount.policy.audience import Audience
from crossaccount.policy.callers import Caller
from crossaccount.policy.documents import Document, Statement, listed, statements
from crossaccount.policy.standing import Clause, Doorway, Passage
from crossaccount.sharing.changes import Basis, Change, Plan, Standing, Standings

_NOBODY_S_ACCOUNT = "000000000000"
_EXECUTION_SESSION = "SageMaker"  # the name of the sessions in which SageMaker acts with an execution role


def with_standing(
    sharing: Sharing,
    basis: Basis,
    plan: Plan,
    ours: dict[Resource, list[Statement]],
    leaving: Iterable[str] = (),
) -> Plan:
    """The plan with what others' statements let everybody do whom it concerns.

    Args:
        sharing: the config.
        basis: what was read.
        plan: the plan, with its group.
        ours: the statements of ours by which others' are told apart, by resource.
        leaving: members that the plan takes out, beside those whom the config or a statement of ours names.
    """
    found = [
        each
        for change in plan.changes
        for each in _of_change(sharing, basis, plan, change, ours[change.resource], leaving)
    ]
    return replace(plan, standing=Standings(found))


def _of_change(
    sharing: Sharing,
    basis: Basis,
    plan: Plan,
    change: Change,
    ours: Sequence[Statement],
    leaving: Iterable[str],
) -> Iterator[Standing]:
    members = _members(sharing, plan, change, ours, leaving)
    judged = judging.judge(
        members, strangers(basis, plan.group, change, ours), doorway(sharing, basis, change)
    )
    granted = {
        name
        for each in statements(change.desired)
        if documents.is_ours(each, ours, plan.group)
        for name in documents.beneficiaries(each)
    }
    for member, each in judged.items():
        labels, through = tuple(clause.label for clause in each.by), tuple(map(str, each.by))
        said = (each.answer, labels, through, each.terms, each.reason)
        yield Standing(member, change.resource, *said, member in granted)


def _members(
    sharing: Sharing, plan: Plan, change: Change, ours: Sequence[Statement], leaving: Iterable[str]
) -> list[str]:
    """Everybody whom a change concerns: by the config, by a statement of ours, or because the change allows it more or less."""
    named = {consumer.account for consumer in sharing.consumers.values()}
    named |= {sharing.organization.id} if sharing.organization else set()
    inside = {
        name
        for each in statements(change.existing)
        if documents.is_ours(each, ours, plan.group)
        for name in documents.beneficiaries(each)
    }
    shown = {f"organization {name}" if name.startswith("o-") else name for name in (*named, *leaving)}
    return sorted(shown | inside | {*change.gained, *change.deprived})


def strangers(basis: Basis, group: str, change: Change, ours: Sequence[Statement]) -> list[Clause]:
    """The statements that are not ours: of the resource's own policy, and of those that hold beside it."""
    beside = basis.beside.get(change.resource, Surroundings())
    own = [each for each in _clauses(change.existing) if not documents.is_ours(each.body, ours, group)]
    return [*own, *(each for name, policy in beside.policies.items() for each in _clauses(policy, name))]


def _clauses(document: Document | None, policy: str = "") -> Iterator[Clause]:
    variables = (document or {}).get("Version") == "2012-10-17"
    for place, each in enumerate(statements(document), 1):
        yield Clause(str(each.get("Sid") or f"statement {place}"), each, policy, variables)


def doorway(sharing: Sharing, basis: Basis, change: Change) -> Doorway:
    """The door of a change's resource, with what was read about it."""
    resource = change.resource
    beside = basis.beside.get(resource, Surroundings())
    return Doorway(
        _passages(sharing, basis, resource),
        resource.account,
        sharing.partition,
        sharing.region,
        basis.now,
        doors.door_of(resource.kind).services,
        sharing.organization.id if sharing.organization else "",
        beside.cut_off,
        beside.doubtful,
        beside.unread,
    )


def _passages(sharing: Sharing, basis: Basis, resource: Resource) -> tuple[Passage, ...]:
    """What a door is for: what the least that a share can grant would allow, on the resource itself where it names no other."""
    door = doors.door_of(resource.kind)
    arn = door.arn(sharing, resource.name)
    parts = basis.needs.get(resource.kind, {}).get(resource.name, ())
    anybody = Audience((root_arn(sharing.partition, _NOBODY_S_ACCOUNT),))
    least = sharing.model_copy(update={"preset": "least-privilege"})
    found = [
        Passage(str(action), arn if name == "*" else name)
        for each in door.statements(least, resource.name, parts, anybody)
        for action in listed(each["Action"])
        for name in _resources(each, arn)
    ]
    return tuple(dict.fromkeys(found))


def _resources(statement: Statement, arn: str) -> list[str]:
    """The resources of a statement of ours; all that lies in the resource, where it is not known any more what was needed of it."""
    named: list[Any] = listed(statement.get("Resource", arn))
    return [str(name) for name in named] or [f"{arn}/*"]


def callers_of_member(sharing: Sharing, member: str) -> list[Caller]:
    """The roles by which an account of the config comes; for any other account, or an organization, a role that nobody names."""
    organization = sharing.organization.id if sharing.organization else ""
    if member.startswith("o-"):
        return [Caller("", "", organization=member)]
    roles = dict.fromkeys(
        role
        for consumer in sharing.consumers.values()
        if consumer.account == member
        for role in ((consumer.role, SESSION_NAME), (consumer.execution_role, _EXECUTION_SESSION))
    )
    other = root_arn(sharing.partition, member).replace(":root", ":role/any-other")
    return [Caller(member, arn, session, organization) for arn, session in roles or [(other, "")]]


def kept_out(
    sharing: Sharing, basis: Basis, plan: Plan, change: Change, member: str
) -> tuple[bool | None, str]:
    """Whether others keep a member out of what our statements open to it, and how, in a few words.

    Args:
        sharing: the config.
        basis: what was read.
        plan: the plan, with its group.
        change: the change of the door's document.
        member: an account, or an organization's id.

    Returns:
        True where every caller that the config names for the member is denied a part of what the door is for, or everybody is cut off;
        None where one of them is, where it hangs on what cannot be known from here, or where a policy could not be read.
    """
    way, callers = doorway(sharing, basis, change), callers_of_member(sharing, member)
    if way.cut_off:
        return True, way.cut_off
    doubts = [
        *([way.doubtful] if way.doubtful else []),
        *(f"the {name} could not be read" for name in way.unread),
    ]
    for clause in strangers(basis, plan.group, change, ()):
        if clause.body.get("Effect") != "Deny":
            continue
        verdicts = judging.shut_out(clause, callers, way)
        if verdicts and all(verdict is True for verdict in verdicts.values()):
            return True, f"the statement {clause} denies"
        denied = [caller.arn for caller, verdict in verdicts.items() if verdict is not False]
        doubts += [f"the statement {clause} may deny {', '.join(denied)}"] if denied else []
    return (None, doubts[0]) if doubts else (False, "")
