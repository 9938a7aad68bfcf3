"""What would change, as data: one change for each policy document, decided by pure functions from what was read.

A plan refuses what is never right. Not here: reading AWS (``gather``), changing it (``apply``), showing a plan (``render``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal

from crossaccount import doors
from crossaccount.arns import group_arn, root_arn
from crossaccount.doors import door_of
from crossaccount.doors.base import Resource
from crossaccount.errors import Finding, InputError, PlanRefused, Severity
from crossaccount.policy import documents
from crossaccount.policy.audience import SERVICE, Audience, Organization
from crossaccount.policy.documents import Document, Statement, statements
from crossaccount.policy.strangers import kept_out

if TYPE_CHECKING:
    from crossaccount.config.model import ConsumerConfig, Sharing
    from crossaccount.doors import Needs


Verb = Literal["create", "update", "delete", "keep"]


_ENDS_SOON = timedelta(days=14)


@dataclass(frozen=True)
class Change:
    """One document as it stands and as it should stand; None is no document. The rest follows from the two."""

    resource: Resource
    existing: Document | None
    desired: Document | None

    @cached_property
    def verb(self) -> Verb:
        """What has to be done; documents that mean the same are kept."""
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
    def added(self) -> tuple[Statement, ...]:
        """What the document gets: whole statements, or one with its new members alone."""
        return tuple(documents.difference(self.existing, self.desired))

    @cached_property
    def removed(self) -> tuple[Statement, ...]:
        """What the document loses, in the same way."""
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
class Plan:
    """All changes of one run, in the order they are made, and what a person should know beside them."""

    changes: tuple[Change, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def writes(self) -> int:
        """How many documents would be written or removed."""
        return sum(change.verb != "keep" for change in self.changes)

    @property
    def digest(self) -> str:
        """A short hash of what the plan is made from and what it would make: equal plans have equal ones."""
        meaning = [
            (str(change.resource), documents.canonical(change.existing), documents.canonical(change.desired))
            for change in self.changes
        ]
        return hashlib.sha256(json.dumps(meaning).encode()).hexdigest()[:16]


Existing = Mapping[Resource, Document | None]


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
    return _accepted(propose_share(sharing, needs, existing, now, prune, findings, only))


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
    group, named = group_arn(sharing), _named(sharing)
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
    collisions = list(_collisions(plan, ours, group))
    objections: list[Finding] = []
    if not collisions:
        objections += _objections(plan, ours, sharing)
        objections += [
            _too_large(change, partial(desired, change.resource), let_in)
            for change in plan.changes
            if _oversize(change)
        ]
    everything = [
        *findings,
        *collisions,
        *_ends(sharing, now),
        *objections,
        *_dead(plan),
        *_strangers_findings(plan, ours, group, named),
        *_unnamed(plan, ours, group, sharing),
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
    gone = _named(sharing) if leaving is None else leaving
    everything = [
        *findings,
        *_objections(plan, ours, sharing),
        *_dead(plan),
        *_strangers_findings(plan, ours, group, gone),
    ]
    return _accepted(replace(plan, findings=tuple(everything)))


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
    if not inside & set(_named(sharing)):
        kept = tuple(Change(resource, document, document) for resource, document in existing.items())
        return _accepted(Plan(kept, tuple(findings)))
    staying = {name: consumer for name, consumer in sharing.consumers.items() if consumer.account in inside}
    narrowed = sharing if sharing.organization else sharing.model_copy(update={"consumers": staying})
    return share_plan(narrowed, needs, existing, now, findings=findings)


def accounts_of(sharing: Sharing, consumer: str) -> frozenset[str]:
    """Whose access ends when a consumer's is revoked.

    Raises:
        InputError: when the access is not its alone: another consumer has the account, or it is the whole organization's.
    """
    if sharing.organization is not None:
        raise InputError(
            f"Access is given to the whole organization {sharing.organization.id}, not to {consumer} alone. Take back everything (--all), or "
            "change principals in the config, share, and revoke then."
        )
    account = sharing.consumers[consumer].account
    others = [
        name for name, other in sharing.consumers.items() if name != consumer and other.account == account
    ]
    if others:
        raise InputError(
            f"Account {account} of {consumer} is also that of {', '.join(others)}, and access is given to accounts. Take {consumer} out of "
            "the config instead: the others keep their access."
        )
    return frozenset({account})


def without_version(sharing: Sharing, version: int) -> Sharing:
    """The config as it is once a version is no longer shared.

    Raises:
        InputError: when the config does not list its versions, does not list this one, or lists no other.
    """
    group = sharing.model_package_group
    if sharing.versions == "approved" or sharing.preset == "aws-docs":
        raise InputError(
            f"The config shares every version of {group} with one statement, so version {version} cannot be taken out of it. Reject "
            "the version in the registry (it can then not be deployed), or list the versions to share in the config."
        )
    if version not in sharing.versions:
        listed = ", ".join(str(number) for number in sorted(sharing.versions))
        raise InputError(f"The config does not share version {version}: versions has {listed}.")
    left = tuple(number for number in sharing.versions if number != version)
    if not left:
        raise InputError(
            f"Version {version} is the only one that the config shares. Take back everything with --all instead."
        )
    return sharing.model_copy(update={"versions": left})


def _named(sharing: Sharing) -> list[str]:
    """Everyone whom the config names: accounts, or an organization."""
    if sharing.organization is not None:
        return [sharing.organization.id]
    return sorted({consumer.account for consumer in sharing.consumers.values()})


def _accepted(plan: Plan) -> Plan:
    if any(finding.severity is Severity.ERROR for finding in plan.findings):
        raise PlanRefused(plan.findings)
    return plan


def _collisions(plan: Plan, ours: Mapping[Resource, list[Statement]], group: str) -> Iterator[Finding]:
    for change in plan.changes:
        for sid in documents.collisions(change.existing, ours[change.resource], group):
            text = f"It has a statement with the Sid {sid} that differs from the one to be added."
            way_out = "Rename or remove it, or use the preset least-privilege."
            yield Finding(Severity.ERROR, f"policy of {change.resource}", text, way_out)


def _objections(plan: Plan, ours: Mapping[Resource, list[Statement]], sharing: Sharing) -> Iterator[Finding]:
    """What is never right, whatever computed it."""
    named = _named(sharing)
    allowed = {f"organization {member}" if member.startswith("o-") else member for member in named}
    if sharing.sagemaker_service_principal:
        allowed |= {f"{SERVICE} for {member}" for member in allowed}
    for change in plan.changes:
        for text, way_out in _wrong(change, ours[change.resource], group_arn(sharing), allowed):
            yield Finding(Severity.ERROR, f"policy of {change.resource}", text, way_out)


def _wrong(change: Change, ours: list[Statement], group: str, allowed: set[str]) -> Iterator[tuple[str, str]]:
    yield from door_of(change.resource.kind).objections(change.resource, change.existing, change.desired)
    by_hand = "Take that statement out by hand, then run this again."
    for name in change.gained:
        if name == "*":
            yield "It would allow everyone (*).", ""
        elif name not in allowed:
            text = f"It would allow {name}, whom the config does not name: a statement of ours was changed by hand."
            yield text, by_hand
    if "*" not in change.gained and any(
        "*" in documents.beneficiaries(statement)
        for statement in statements(change.desired)
        if documents.is_ours(statement, ours, group)
    ):
        yield "It allows everyone (*) in a statement of ours.", "Take the * out of it by hand."
    if (
        (change.existing or {}).get("Version", "2008-10-17") != "2012-10-17"
        and change.existing
        and "${" in json.dumps(ours)
    ):
        yield (
            "Its Version is 2008-10-17, which has no way to write a key with one of the characters * ? $.",
            "Set its Version to 2012-10-17, after looking at what that changes in the statements that are there.",
        )
    before, after = (_strangers(document, ours, group) for document in (change.existing, change.desired))
    if before != after:
        yield "It would lose or change a statement that is not ours.", ""


def _strangers(document: Document | None, ours: list[Statement], group: str) -> list[Statement]:
    return [each for each in statements(document) if not documents.is_ours(each, ours, group)]


def _oversize(change: Change) -> bool:
    return (
        change.verb != "keep"
        and change.desired is not None
        and documents.size(change.desired) > door_of(change.resource.kind).limit
    )


def _too_large(
    change: Change, desired: Callable[[Sequence[Audience]], Document | None], let_in: Sequence[Audience]
) -> Finding:
    """A document past its service's limit, with how many consumers would fit."""
    limit, length = door_of(change.resource.kind).limit, documents.size(change.desired or {})
    roots = [root for audience in let_in for root in audience.roots]

    def fits(count: int) -> bool:
        document = desired(_first(let_in, count))
        return document is None or documents.size(document) <= limit

    low, high = -1, len(roots)  # the first `high` consumers never fit, the first `low` do
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    text = f"It would have {length} bytes, and AWS takes {limit}."
    if roots:
        text += f" {max(low, 0)} of the {len(roots)} consumers fit."
    taken = documents.size(change.existing) if change.existing else 0
    if taken > limit // 2:
        text += f" The document has {taken} bytes already."
    way_out = "Share with fewer consumers or versions in this config, or shorten the statements that others have put there"
    if roots:
        way_out += (
            "; with principals: organization the document does not grow with the consumers (organization.role_names then says which of "
            "their roles)"
        )
    return Finding(Severity.ERROR, f"policy of {change.resource}", text, f"{way_out}.")


def _first(let_in: Sequence[Audience], count: int) -> list[Audience]:
    """The audiences cut to their first accounts."""
    cut = []
    for audience in let_in:
        roots = audience.roots[:count]
        count -= len(roots)
        accounts = {documents.account_of(root) for root in roots}
        roles = tuple(arn for arn in audience.roles if documents.account_of(arn) in accounts)
        if roots:
            cut.append(replace(audience, roots=roots, roles=roles))
    return cut


def room(change: Change) -> int | None:
    """How many more consumers of the kind that is in it would fit into the document; None where it does not grow with them."""
    each = sum(_bytes_each(ours) for ours in statements(change.desired) if documents.is_marked(ours))
    if change.desired is None or not each:
        return None
    return max(0, door_of(change.resource.kind).limit - documents.size(change.desired)) // each


def _bytes_each(statement: Statement) -> int:
    """How much a statement of ours grows with one more account: by its root, and as many roles as each has now."""
    if sources := documents.condition(statement, documents.BY_SOURCE):
        return len(f'"{sources[0]}",')
    roots = [name for name in documents.principals(statement) if name != "*"]
    if not roots:
        return 0
    roles = documents.condition(statement, documents.BY_ROLE)
    return len(f'"{roots[0]}",') + -(-sum(len(f'"{arn}",') for arn in roles) // len(roots))


def _ends(sharing: Sharing, now: datetime) -> Iterator[Finding]:
    for name, consumer in sharing.consumers.items():
        if consumer.expires is None:
            continue
        subject = f"consumers.{name}.expires"
        if consumer.expires <= now:
            text = f"The access of {name} ended at {consumer.until}."
            way_out = "Write a later time and share again, or take the consumer out of the config."
            yield Finding(Severity.WARNING, subject, text, way_out)
        elif consumer.expires - now <= _ENDS_SOON:
            text = f"The access of {name} ends at {consumer.until}, in {(consumer.expires - now).days} days."
            way_out = "Write a later time and share again if it is still needed."
            yield Finding(Severity.WARNING, subject, text, way_out)


def _dead(plan: Plan) -> Iterator[Finding]:
    for change in plan.changes:
        ids = documents.dead(change.existing)
        if ids:
            yield Finding(
                Severity.WARNING if change.verb == "keep" else Severity.ERROR,
                f"policy of {change.resource}",
                f"It names {', '.join(ids)}: a role or user that no longer exists, and AWS refuses to take the whole document again while it does.",
                "Remove it from the statement it stands in.",
            )


def _strangers_findings(
    plan: Plan, ours: Mapping[Resource, list[Statement]], group: str, named: Collection[str]
) -> Iterator[Finding]:
    """Statements that are not ours to change and that let the same accounts in, or keep them out."""
    for change in plan.changes:
        actions = [
            action for statement in ours[change.resource] for action in documents.listed(statement["Action"])
        ]
        for stranger in _strangers(change.desired, ours[change.resource], group):
            sid = stranger.get("Sid", "without a Sid")
            subject = f"policy of {change.resource}"
            if stranger.get("Effect") == "Allow":
                who = sorted(set(named) & set(documents.beneficiaries(stranger)))
                if who:
                    hint = "The preset aws-docs manages it." if sid in documents.DOCS_SIDS else ""
                    text = f"{', '.join(who)} also has access by a statement that is not ours: {sid}."
                    yield Finding(Severity.NOTE, subject, text, hint)
            elif out := kept_out(stranger, named, actions):
                sure = "Condition" not in stranger and "NotPrincipal" not in stranger
                verb = "keeps" if sure else "may keep"
                severity = Severity.WARNING if sure else Severity.NOTE
                text = f"The statement {sid} denies, and {verb} {out} out."
                yield Finding(severity, subject, text, "See that it lets the consumers through.")


def _unnamed(
    plan: Plan, ours: Mapping[Resource, list[Statement]], group: str, sharing: Sharing
) -> Iterator[Finding]:
    """Members of our statements whom this config does not name: another config's, or nobody's any more."""
    named = set(_named(sharing))
    for change in plan.changes:
        inside = {
            member
            for statement in statements(change.desired)
            if documents.is_ours(statement, ours[change.resource], group)
            for member in documents.members(statement)
        }
        if extra := sorted(inside - named):
            yield Finding(
                Severity.NOTE,
                f"policy of {change.resource}",
                f"{', '.join(extra)} has access by a statement of ours, and this config does not name it.",
                "If no other config does: crossaccount revoke CONFIG --account ACCOUNT, or crossaccount share CONFIG --prune.",
            )


def _difference(document: Document | None, other: Document | None) -> tuple[str, ...]:
    """Who is allowed something in one document that the other does not allow them."""
    # Most statements are strangers', which a plan leaves as they are: the very same objects.
    shared = {id(statement) for statement in statements(other)}
    more = _allowances(each for each in statements(document) if id(each) not in shared)
    names = {name for name, _ in more}
    same = (each for each in statements(other) if names and names & set(documents.beneficiaries(each)))
    return tuple(sorted({name for name, _ in more - _allowances(same)}))


def _allowances(statements: Iterable[Statement]) -> set[tuple[str, str]]:
    """Each beneficiary with the terms of each statement that allows it."""
    allowances = set()
    for statement in statements:
        if statement.get("Effect") == "Allow":
            terms, roles = documents.terms(statement), documents.roles_of(statement)
            for name in documents.beneficiaries(statement):
                allowances.add((name, json.dumps([terms, roles.get(name, [])])))
    return allowances
