"""The plans of a share, a revoke and a narrower share, decided by pure functions from what was read.

A plan refuses what is never right. Not here: reading AWS (``gather``), changing it (``apply``), showing a plan (``show.plans``).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from crossaccount import doors
from crossaccount.arns import group_arn, root_arn
from crossaccount.config.model import ConsumerConfig, Sharing
from crossaccount.doors import Needs
from crossaccount.doors.base import Resource
from crossaccount.errors import Finding, PlanRefused, Severity
from crossaccount.policy import documents
from crossaccount.policy.audience import Audience, Organization
from crossaccount.policy.documents import Document, statements
from crossaccount.sharing.capacity import is_oversize, too_large
from crossaccount.sharing.changes import Change, Existing, Plan
from crossaccount.sharing.findings import (
    find_collisions,
    find_dead_principals,
    find_ending,
    find_objections,
    find_strangers,
    find_unnamed_members,
    named_members,
)


def audiences(sharing: Sharing, now: datetime) -> list[Audience]:
    """Whom the config lets in: consumers with the same terms together, those whose access has ended left out."""
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


def share_plan(
    sharing: Sharing,
    needs: Needs,
    existing: Existing,
    now: datetime,
    prune: bool = False,
    findings: Iterable[Finding] = (),
    only: str | None = None,
) -> Plan:
    """The plan that gives every consumer of the config what it needs; arguments as for `propose_share`.

    Raises:
        PlanRefused: with every reason at once, when a finding is an error.
    """
    return accepted(propose_share(sharing, needs, existing, now, prune, findings, only))


def propose_share(
    sharing: Sharing,
    needs: Needs,
    existing: Existing,
    now: datetime,
    prune: bool = False,
    findings: Iterable[Finding] = (),
    only: str | None = None,
) -> Plan:
    """The plan of a share, with everything that stands in its way.

    Args:
        sharing: the config.
        needs: those of the shared versions.
        existing: the documents as they stand, by resource.
        now: statements that have expired by then are taken out, and not granted again.
        prune: take out everyone whom the config does not name, as far as statements of ours let them in.
        findings: those of the reading.
        only: the name of the one consumer who is let in; what the others have stays. Without it, all are.
    """
    group, named = group_arn(sharing), named_members(sharing)
    everyone = audiences(sharing, now)
    lone = {"consumers": {name: each for name, each in sharing.consumers.items() if name == only}}
    let_in = everyone if only is None else audiences(sharing.model_copy(update=lone), now)
    ended = set(named) - {member for audience in everyone for member in audience.members}

    def desired(resource: Resource, let_in: Sequence[Audience]) -> Document | None:
        wanted = doors.statements(sharing, needs, resource, let_in)
        moving = ended | {member for audience in let_in for member in audience.members}
        return documents.granted(existing[resource], wanted, group, moving, now, prune)

    ours = {resource: doors.statements(sharing, needs, resource, let_in) for resource in existing}
    plan = Plan(
        tuple(
            Change(resource, document, desired(resource, let_in)) for resource, document in existing.items()
        )
    )
    collisions = list(find_collisions(plan, ours, group))
    objections: list[Finding] = []
    if not collisions:
        objections += find_objections(plan, ours, sharing)
        objections += [
            too_large(change, partial(desired, change.resource), let_in)
            for change in plan.changes
            if is_oversize(change)
        ]
    everything = [
        *findings,
        *collisions,
        *find_ending(sharing, now),
        *objections,
        *find_dead_principals(plan),
        *find_strangers(plan, ours, group, named),
        *find_unnamed_members(plan, ours, group, sharing),
    ]
    return replace(plan, findings=tuple(everything))


def revoke_plan(
    sharing: Sharing,
    needs: Needs,
    existing: Existing,
    leaving: Collection[str] | None,
    now: datetime,
    findings: Iterable[Finding] = (),
) -> Plan:
    """The plan that takes back what was given; other members and strangers' statements stay.

    Args as for `propose_share`, and ``leaving``: accounts (12 digits), or an organization's id; None is everyone whom
    statements of ours let in.

    Raises:
        PlanRefused: with every reason at once.
    """
    group = group_arn(sharing)
    let_in = audiences(sharing, now)
    ours = {resource: doors.statements(sharing, needs, resource, let_in) for resource in existing}
    plan = Plan(
        tuple(
            Change(resource, document, documents.revoked(document, ours[resource], group, leaving))
            for resource, document in existing.items()
        )
    )
    gone = named_members(sharing) if leaving is None else leaving
    everything = [
        *findings,
        *find_objections(plan, ours, sharing),
        *find_dead_principals(plan),
        *find_strangers(plan, ours, group, gone),
    ]
    return accepted(replace(plan, findings=tuple(everything)))


def narrow_plan(
    sharing: Sharing, needs: Needs, existing: Existing, now: datetime, findings: Iterable[Finding] = ()
) -> Plan:
    """The plan that leaves those who have access by this config with the needs of fewer versions.

    Args as for `propose_share`, of the versions that stay; ``existing`` also has resources that are needed no more.

    Raises:
        PlanRefused: with every reason at once.
    """
    group = group_arn(sharing)
    inside = {
        member
        for document in existing.values()
        for statement in statements(document)
        if documents.is_owned(statement, group)
        for member in documents.members(statement)
    }
    if not inside & set(named_members(sharing)):
        kept = tuple(Change(resource, document, document) for resource, document in existing.items())
        return accepted(Plan(kept, tuple(findings)))
    staying = {name: consumer for name, consumer in sharing.consumers.items() if consumer.account in inside}
    narrowed = sharing if sharing.organization else sharing.model_copy(update={"consumers": staying})
    return share_plan(narrowed, needs, existing, now, findings=findings)


def accepted(plan: Plan) -> Plan:
    """The plan itself, when none of its findings is an error.

    Raises:
        PlanRefused: with every finding, when one is.
    """
    if any(finding.severity is Severity.ERROR for finding in plan.findings):
        raise PlanRefused(plan.findings)
    return plan
