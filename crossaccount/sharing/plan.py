"""Pure functions that decide the plans of a share, a revoke and a narrower share from what was read.

A plan refuses what is never right. Not here: reading AWS (``gather``), changing it (``apply``), showing a plan (``show.plans``).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from crossaccount import doors
from crossaccount.arns import group_arn, root_arn
from crossaccount.config.model import ConsumerConfig, Sharing
from crossaccount.doors.base import Resource
from crossaccount.errors import PlanRefused, Refused, Severity, Unread
from crossaccount.policy import documents
from crossaccount.policy.audience import Audience, Organization
from crossaccount.policy.documents import Document, statements
from crossaccount.sharing.capacity import is_oversize, too_large
from crossaccount.sharing.changes import Basis, Change, Plan
from crossaccount.sharing.discovery import find_unpromotable
from crossaccount.sharing.findings import (
    find_collisions,
    find_dead_principals,
    find_denials,
    find_ending,
    find_objections,
    find_openings,
    find_unnamed_members,
    find_unwritable,
    named_members,
)
from crossaccount.sharing.standing import with_standing
from crossaccount.sharing.staying import find_staying, statements_keeping
from crossaccount.sharing.writes import find_refused_writes


def audiences(sharing: Sharing, now: datetime) -> list[Audience]:
    """The audiences of the config: one for all consumers with the same terms; none for those whose access has ended."""
    if (scope := sharing.organization) is not None:
        roles = tuple(f"arn:{sharing.partition}:iam::*:role/{name}" for name in scope.role_names)
        return [Audience(organization=Organization(scope.id, scope.paths, roles))]
    by_end: dict[str | None, list[ConsumerConfig]] = {}
    for consumer in sharing.consumers.values():
        if consumer.expires is None or consumer.expires > now:
            by_end.setdefault(consumer.until, []).append(consumer)
    return [
        Audience(
            roots=tuple(sorted({root_arn(sharing.partition, each.account) for each in consumers})),
            roles=tuple(sorted({arn for each in consumers for arn in (each.role, each.execution_role)}))
            if sharing.principals == "roles"
            else (),
            until=until,
        )
        for until, consumers in sorted(by_end.items(), key=lambda item: item[0] or "")
    ]


def plan_share(sharing: Sharing, basis: Basis, prune: bool = False, only: str | None = None) -> Plan:
    """The plan that gives every consumer of the config what it needs; arguments as for `propose_share`.

    Raises:
        PlanRefused: with every reason at once, when a finding is an error.
    """
    return accepted(propose_share(sharing, basis, prune, only))


def propose_share(
    sharing: Sharing, basis: Basis, prune: bool = False, only: str | None = None, exactly: bool = False
) -> Plan:
    """The plan of a share, with everything that stands in its way. Whoever is let in keeps what statements of ours let it in to.

    Args:
        sharing: the config.
        basis: what was read; statements that have expired by then are taken out, and not granted again.
        prune: take out everyone whom the config does not name, as far as statements of ours let them in, what nothing needs, and what
            ``exactly`` does.
        only: the name of the one consumer who is let in; what the others have stays. Without it, all are.
        exactly: whoever is let in keeps nothing that no shared version needs any more.
    """
    if prune:
        basis = replace(basis, existing={**basis.existing, **basis.stale})
    existing, now, exactly = basis.existing, basis.now, prune or exactly
    group, named = group_arn(sharing), named_members(sharing)
    everyone = audiences(sharing, now)
    lone = {"consumers": {name: each for name, each in sharing.consumers.items() if name == only}}
    let_in = everyone if only is None else audiences(sharing.model_copy(update=lone), now)
    ended = set(named) - {member for audience in everyone for member in audience.members}

    def desired(resource: Resource, let_in: Sequence[Audience]) -> Document | None:
        granted = _ours(sharing, basis, let_in, exactly, [resource])[resource]
        moving = ended | {member for audience in let_in for member in audience.members}
        return documents.granted(existing[resource], granted, group, moving, now, prune)

    ours = _ours(sharing, basis, let_in, exactly)
    changes = tuple(Change(each, document, desired(each, let_in)) for each, document in existing.items())
    plan = with_standing(sharing, basis, Plan(changes, group=group), ours)
    collisions = list(find_collisions(plan, ours, group))
    oversize = [change for change in plan.changes if not collisions and is_oversize(change)]
    findings = [
        *basis.findings,
        *collisions,
        *find_ending(sharing, now),
        *(() if collisions else find_objections(plan, ours, sharing)),
        *(too_large(change, partial(desired, change.resource), let_in) for change in oversize),
        *find_dead_principals(plan),
        *find_openings(plan),
        *find_refused_writes(sharing, basis, plan, ours),
        *find_denials(sharing, basis, plan, ours, named),
        *find_unnamed_members(plan, ours, group, sharing),
        *find_unpromotable(sharing.producer.discoverable, plan),
        *(() if exactly else find_staying(sharing, basis, let_in)),
    ]
    return replace(plan, findings=tuple(findings))


def _ours(
    sharing: Sharing,
    basis: Basis,
    let_in: Sequence[Audience],
    exactly: bool = True,
    resources: Iterable[Resource] | None = None,
) -> dict[Resource, list[documents.Statement]]:
    """The statements of ours that let these audiences in, by resource: to what is needed exactly, or also to what they have."""
    wanted = basis.existing if resources is None else resources
    if exactly:
        return {each: doors.statements_for(sharing, basis.needs, each, let_in) for each in wanted}
    return {each: statements_keeping(sharing, basis, each, let_in) for each in wanted}


def plan_revoke(sharing: Sharing, basis: Basis, leaving: Collection[str] | None) -> Plan:
    """The plan that takes back what was given; other members and strangers' statements stay.

    Args:
        sharing: the config.
        basis: what was read.
        leaving: accounts (12 digits), or an organization's id; None is everyone whom statements of ours let in.

    Raises:
        PlanRefused: with every reason at once.
    """
    group = group_arn(sharing)
    ours = _ours(sharing, basis, audiences(sharing, basis.now))
    changes = tuple(
        Change(resource, document, documents.revoked(document, ours[resource], group, leaving))
        for resource, document in basis.existing.items()
    )
    gone = named_members(sharing) if leaving is None else leaving
    plan = with_standing(sharing, basis, Plan(changes, group=group), ours, gone)
    findings = [
        *basis.findings,
        *find_objections(plan, ours, sharing),
        *find_dead_principals(plan),
        *find_unwritable(plan, basis),
        *find_refused_writes(sharing, basis, plan, ours),
        *find_openings(plan),
        *find_denials(sharing, basis, plan, ours, gone),
    ]
    return accepted(replace(plan, findings=tuple(findings)))


def plan_narrower(sharing: Sharing, basis: Basis) -> Plan:
    """The plan that leaves those who have access by this config with the needs of fewer versions.

    Args:
        sharing: the config without the versions that leave.
        basis: the needs of the versions that stay; its ``existing`` also has resources that are needed no more.

    Raises:
        PlanRefused: with every reason at once.
    """
    group = group_arn(sharing)
    inside = {
        member
        for document in basis.existing.values()
        for statement in statements(document)
        if documents.is_owned(statement, group)
        for member in documents.members(statement)
    }
    if not inside & set(named_members(sharing)):
        unchanged = tuple(
            Change(resource, document, document) for resource, document in basis.existing.items()
        )
        plan = Plan(unchanged, basis.findings, group)
        return accepted(with_standing(sharing, basis, plan, _ours(sharing, basis, ())))
    staying = {name: consumer for name, consumer in sharing.consumers.items() if consumer.account in inside}
    narrowed = sharing if sharing.organization else sharing.model_copy(update={"consumers": staying})
    return accepted(propose_share(narrowed, basis, exactly=True))


def accepted(plan: Plan) -> Plan:
    """The plan itself, when none of its findings is an error.

    Raises:
        Refused: with every finding, when AWS refused a read that the plan needs.
        PlanRefused: with every finding, when another one is an error.
    """
    errors = [finding for finding in plan.findings if finding.severity is Severity.ERROR]
    for finding in errors:
        if isinstance(finding, Unread) and finding.refusal is not None:
            raise Refused(finding.refusal, plan.findings)
    if errors:
        raise PlanRefused(plan.findings)
    return plan
