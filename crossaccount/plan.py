"""What would change, as data: one change for each policy document, decided by pure functions from what was read.

A plan refuses what is never right. Not here: reading AWS (``gather``), changing it (``apply``), showing a plan (``show.plans``).

Source: sizes from the S3 user guide (bucket policies), botocore's models (ECR, SageMaker), the KMS developer guide.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from crossaccount import grants, policies
from crossaccount.arns import group_arn, package_arn, root_arn
from crossaccount.errors import Finding, InputError, PlanRefused, Severity
from crossaccount.grants import Audience, Organization
from crossaccount.policies import Document, Statement, statements

if TYPE_CHECKING:
    from crossaccount.config.model import Sharing
    from crossaccount.packages import Needs


Verb = Literal["create", "update", "delete", "keep"]


class Kind(StrEnum):
    """The kinds of resources whose policies are changed."""

    GROUP = "model-package-group"
    REPOSITORY = "repository"
    BUCKET = "bucket"
    KEY = "key"


LIMITS = {Kind.GROUP: 20_480, Kind.REPOSITORY: 10_240, Kind.BUCKET: 20_480, Kind.KEY: 32_768}
_ENDS_SOON = timedelta(days=14)


@dataclass(frozen=True)
class Resource:
    """A resource that carries a policy: its kind, its name (a key's is its ARN), and the account that owns it."""

    kind: Kind
    name: str
    account: str

    def __str__(self) -> str:
        """For messages."""
        return f"{self.kind} {self.name} (account {self.account})"


@dataclass(frozen=True)
class Change:
    """One document as it stands and as it should stand; None is no document. The rest follows from the two."""

    resource: Resource
    existing: Document | None
    desired: Document | None

    @cached_property
    def verb(self) -> Verb:
        """What has to be done; documents that mean the same are kept."""
        if policies.same(self.existing, self.desired):
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
        return tuple(policies.difference(self.existing, self.desired))

    @cached_property
    def removed(self) -> tuple[Statement, ...]:
        """What the document loses, in the same way."""
        return tuple(policies.difference(self.desired, self.existing))

    @cached_property
    def changed(self) -> tuple[str, ...]:
        """The Sids of statements that stand before and after, and say something else or to someone else."""
        before = {
            one["Sid"]: policies.canonical_statement(one) for one in statements(self.existing) if "Sid" in one
        }
        return tuple(
            one["Sid"]
            for one in statements(self.desired)
            if "Sid" in one
            and before.get(one["Sid"], policies.canonical_statement(one)) != policies.canonical_statement(one)
        )


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
            (str(one.resource), policies.canonical(one.existing), policies.canonical(one.desired))
            for one in self.changes
        ]
        return hashlib.sha256(json.dumps(meaning).encode()).hexdigest()[:16]


Existing = Mapping[Resource, Document | None]


def audiences(sharing: Sharing, now: datetime) -> list[Audience]:
    """Whom the config lets in: consumers with the same terms together, those whose access has ended left out."""
    if sharing.organization is not None:
        one = sharing.organization
        roles = [f"arn:{sharing.partition}:iam::*:role/{name}" for name in one.role_names]
        return [Audience(organization=Organization(one.id, one.paths, tuple(roles)))]
    by_end: dict[str | None, list[Any]] = {}
    for consumer in sharing.consumers.values():
        if consumer.expires is None or consumer.expires > now:
            by_end.setdefault(consumer.until, []).append(consumer)
    return [
        Audience(
            roots=tuple(sorted({root_arn(sharing.partition, one.account) for one in found})),
            roles=tuple(sorted({arn for one in found for arn in (one.role, one.execution_role)}))
            if sharing.principals == "roles"
            else (),
            until=until,
        )
        for until, found in sorted(by_end.items(), key=lambda item: item[0] or "")
    ]


def share_plan(
    sharing: Sharing,
    needs: Needs,
    existing: Existing,
    now: datetime,
    prune: bool = False,
    found: Iterable[Finding] = (),
    only: str | None = None,
) -> Plan:
    """The plan that gives every consumer of the config what it needs; arguments as for `propose_share`.

    Raises:
        PlanRefused: with every reason at once, when a finding is an error.
    """
    return _accepted(propose_share(sharing, needs, existing, now, prune, found, only))


def propose_share(
    sharing: Sharing,
    needs: Needs,
    existing: Existing,
    now: datetime,
    prune: bool = False,
    found: Iterable[Finding] = (),
    only: str | None = None,
) -> Plan:
    """What a share would change, with everything that stands in its way.

    Args:
        sharing: the config.
        needs: what the shared versions need.
        existing: the documents as they stand, by resource; keys are those of encrypted artifacts.
        now: what has expired by then is taken out, and not granted again.
        prune: take out everyone whom the config does not name, as far as statements of ours let them in.
        found: what was found while reading.
        only: the name of the one consumer who is let in; what the others have stays. Without it, all are.
    """
    group, named = group_arn(sharing), _named(sharing)
    everyone = audiences(sharing, now)
    let_in = everyone if only is None else audiences(_with_only(sharing, only), now)

    ended = set(named) - {member for audience in everyone for member in audience.members}

    def desired(resource: Resource, some: Sequence[Audience]) -> Document | None:
        wanted = _statements(sharing, needs, resource, some)
        moving = ended | {member for audience in some for member in audience.members}
        return policies.granted(existing[resource], wanted, group, moving, now, prune)

    ours = {resource: _statements(sharing, needs, resource, let_in) for resource in existing}
    plan = Plan(tuple(Change(one, document, desired(one, let_in)) for one, document in existing.items()))
    collisions = list(_collisions(plan, ours, group))
    findings = [*found, *collisions, *_ends(sharing, now)]
    if not collisions:
        findings += _objections(plan, ours, sharing)
        findings += [
            _too_large(change, lambda some, at=change.resource: desired(at, some), let_in)  # type: ignore[misc]
            for change in plan.changes
            if _oversize(change)
        ]
    findings += [
        *_dead(plan),
        *_strangers_findings(plan, ours, group, named),
        *_unnamed(plan, ours, group, sharing),
    ]
    return replace(plan, findings=tuple(findings))


def revoke_plan(
    sharing: Sharing,
    needs: Needs,
    existing: Existing,
    leaving: Collection[str] | None,
    now: datetime,
    found: Iterable[Finding] = (),
) -> Plan:
    """The plan that takes back what was given; other members and strangers' statements stay.

    Args:
        sharing: the config.
        needs: what the versions of the group need.
        existing: the documents as they stand.
        leaving: accounts (12 digits), or an organization's id; None is everyone whom statements of ours let in.
        now: as for `share_plan`.
        found: what was found while reading.

    Raises:
        PlanRefused: with every reason at once.
    """
    group = group_arn(sharing)
    let_in = audiences(sharing, now)
    ours = {resource: _statements(sharing, needs, resource, let_in) for resource in existing}
    plan = Plan(
        tuple(
            Change(resource, document, policies.revoked(document, ours[resource], group, leaving))
            for resource, document in existing.items()
        )
    )
    gone = _named(sharing) if leaving is None else leaving
    findings = [
        *found,
        *_objections(plan, ours, sharing),
        *_dead(plan),
        *_strangers_findings(plan, ours, group, gone),
    ]
    return _accepted(replace(plan, findings=tuple(findings)))


def narrow_plan(
    sharing: Sharing, needs: Needs, existing: Existing, now: datetime, found: Iterable[Finding] = ()
) -> Plan:
    """The plan that leaves those who have access by this config with what fewer versions need.

    Args:
        sharing: the config, with the versions that stay.
        needs: what those need.
        existing: the documents as they stand, also of resources that are needed no more.
        now: as for `share_plan`.
        found: what was found while reading.

    Raises:
        PlanRefused: with every reason at once.
    """
    group = group_arn(sharing)
    inside = {
        member
        for document in existing.values()
        for one in statements(document)
        if policies.is_owned(one, group)
        for member in policies.members(one)
    }
    if not inside & set(_named(sharing)):
        return _accepted(
            Plan(tuple(Change(one, document, document) for one, document in existing.items()), tuple(found))
        )
    staying = {name: one for name, one in sharing.consumers.items() if one.account in inside}
    narrowed = sharing if sharing.organization else sharing.model_copy(update={"consumers": staying})
    return share_plan(narrowed, needs, existing, now, found=found)


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
    others = [name for name, one in sharing.consumers.items() if name != consumer and one.account == account]
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
        listed = ", ".join(str(one) for one in sorted(sharing.versions))
        raise InputError(f"The config does not share version {version}: versions has {listed}.")
    left = tuple(one for one in sharing.versions if one != version)
    if not left:
        raise InputError(
            f"Version {version} is the only one that the config shares. Take back everything with --all instead."
        )
    return sharing.model_copy(update={"versions": left})


def _with_only(sharing: Sharing, name: str) -> Sharing:
    return sharing.model_copy(update={"consumers": {name: sharing.consumers[name]}})


def _named(sharing: Sharing) -> list[str]:
    """Everyone whom the config names: accounts, or an organization."""
    if sharing.organization is not None:
        return [sharing.organization.id]
    return sorted({one.account for one in sharing.consumers.values()})


def _accepted(plan: Plan) -> Plan:
    if any(finding.severity is Severity.ERROR for finding in plan.findings):
        raise PlanRefused(plan.findings)
    return plan


def resources(sharing: Sharing, needs: Needs) -> tuple[Resource, ...]:
    """Every resource whose policy a plan for these needs is about."""
    owner = sharing.producer.account
    return (
        *(Resource(Kind.REPOSITORY, name, owner) for name in needs.repositories),
        *(Resource(Kind.BUCKET, name, owner) for name in needs.buckets),
        *(Resource(Kind.KEY, arn, owner) for arn in needs.keys),
        # The registry last: a consumer that sees the version can also reach what it needs.
        Resource(Kind.GROUP, sharing.model_package_group, owner),
    )


def _statements(
    sharing: Sharing, needs: Needs, resource: Resource, let_in: Sequence[Audience]
) -> list[Statement]:
    return [one for audience in let_in for one in _for_audience(sharing, needs, resource, audience)]


def _for_audience(sharing: Sharing, needs: Needs, resource: Resource, audience: Audience) -> list[Statement]:
    group, docs = group_arn(sharing), sharing.preset == "aws-docs"
    match resource.kind:
        case Kind.GROUP if docs:
            return grants.docs_group_statements(group, audience)
        case Kind.GROUP:
            versions = (
                ["*"] if sharing.versions == "approved" else [str(one) for one in sorted(sharing.versions)]
            )
            return grants.group_statements(group, [package_arn(sharing, one) for one in versions], audience)
        case Kind.REPOSITORY if resource.name not in needs.repositories:
            return []
        case Kind.REPOSITORY if docs:
            return grants.docs_repository_statements(audience)
        case Kind.REPOSITORY:
            service = (
                grants.service_statements(group, audience) if sharing.sagemaker_service_principal else []
            )
            return [*grants.repository_statements(group, audience), *service]
        case Kind.BUCKET if resource.name not in needs.buckets:
            return []
        case Kind.BUCKET:
            bucket = f"arn:{sharing.partition}:s3:::{resource.name}"
            if docs:
                return grants.docs_bucket_statements(bucket, audience)
            return grants.bucket_statements(group, bucket, needs.buckets[resource.name], audience)
        case Kind.KEY if resource.name not in needs.keys:
            return []
        case Kind.KEY:
            return grants.key_statements(group, audience)


# What is never right.


def _collisions(plan: Plan, ours: Mapping[Resource, list[Statement]], group: str) -> Iterator[Finding]:
    for change in plan.changes:
        for sid in policies.collisions(change.existing, ours[change.resource], group):
            yield Finding(
                Severity.ERROR,
                f"policy of {change.resource}",
                f"It has a statement with the Sid {sid} that differs from the one to be added.",
                "Rename or remove it, or use the preset least-privilege.",
            )


def _objections(plan: Plan, ours: Mapping[Resource, list[Statement]], sharing: Sharing) -> Iterator[Finding]:
    """What is never right, whatever computed it."""
    named = _named(sharing)
    allowed = {f"organization {one}" if one.startswith("o-") else one for one in named}
    if sharing.sagemaker_service_principal:
        allowed |= {f"{grants.SERVICE} for {one}" for one in allowed}
    for change in plan.changes:
        for text, way_out in _wrong(change, ours[change.resource], group_arn(sharing), allowed):
            yield Finding(Severity.ERROR, f"policy of {change.resource}", text, way_out)


def _wrong(change: Change, ours: list[Statement], group: str, allowed: set[str]) -> Iterator[tuple[str, str]]:
    if change.resource.kind is Kind.KEY:
        owner = change.resource.account
        if change.desired is None:
            yield "It would be removed, and a key without a policy is lost.", ""
        elif policies.administered(change.existing, owner) and not policies.administered(
            change.desired, owner
        ):
            yield (
                f"Nobody of account {owner}, its owner, could change it any more.",
                "Give the owner's administrators a statement of their own, without a Sid of ours.",
            )
    by_hand = "Take that statement out by hand, then run this again."
    for name in change.gained:
        if name == "*":
            yield "It would allow everyone (*).", ""
        elif name not in allowed:
            text = f"It would allow {name}, whom the config does not name: a statement of ours was changed by hand."
            yield text, by_hand
    if "*" not in change.gained and any(
        "*" in policies.beneficiaries(one)
        for one in statements(change.desired)
        if policies.is_ours(one, ours, group)
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
    return [one for one in statements(document) if not policies.is_ours(one, ours, group)]


def _oversize(change: Change) -> bool:
    return (
        change.verb != "keep"
        and change.desired is not None
        and policies.size(change.desired) > LIMITS[change.resource.kind]
    )


def _too_large(
    change: Change, desired: Callable[[Sequence[Audience]], Document | None], let_in: Sequence[Audience]
) -> Finding:
    """A document past its service's limit, with how many consumers would fit."""
    kind = change.resource.kind
    limit, length = LIMITS[kind], policies.size(change.desired or {})
    roots = [root for audience in let_in for root in audience.roots]

    def fits(count: int) -> bool:
        document = desired(_first(let_in, count))
        return document is None or policies.size(document) <= limit

    low, high = -1, len(roots)  # the first `high` consumers never fit, the first `low` do
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    text = f"It would have {length} bytes, and AWS takes {limit}."
    if roots:
        text += f" {max(low, 0)} of the {len(roots)} consumers fit."
    taken = policies.size(change.existing) if change.existing else 0
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
    found = []
    for audience in let_in:
        roots = audience.roots[:count]
        count -= len(roots)
        accounts = {policies.account_of(root) for root in roots}
        roles = tuple(arn for arn in audience.roles if policies.account_of(arn) in accounts)
        if roots:
            found.append(replace(audience, roots=roots, roles=roles))
    return found


def room(change: Change) -> int | None:
    """How many more consumers of the kind that is in it would fit into the document; None where it does not grow with them."""
    each = sum(_bytes_each(one) for one in statements(change.desired) if policies.is_marked(one))
    if change.desired is None or not each:
        return None
    return max(0, LIMITS[change.resource.kind] - policies.size(change.desired)) // each


def _bytes_each(statement: Statement) -> int:
    """How much a statement of ours grows with one more account: by its root, and as many roles as each has now."""
    if sources := policies.condition(statement, policies.BY_SOURCE):
        return len(f'"{sources[0]}",')
    roots = [name for name in policies.principals(statement) if name != "*"]
    if not roots:
        return 0
    roles = policies.condition(statement, policies.BY_ROLE)
    return len(f'"{roots[0]}",') + -(-sum(len(f'"{arn}",') for arn in roles) // len(roots))


# What else a person should know.


def _ends(sharing: Sharing, now: datetime) -> Iterator[Finding]:
    for name, consumer in sharing.consumers.items():
        if consumer.expires is None:
            continue
        subject = f"consumers.{name}.expires"
        if consumer.expires <= now:
            yield Finding(
                Severity.WARNING,
                subject,
                f"The access of {name} ended at {consumer.until}.",
                "Write a later time and share again, or take the consumer out of the config.",
            )
        elif consumer.expires - now <= _ENDS_SOON:
            days = (consumer.expires - now).days
            yield Finding(
                Severity.WARNING,
                subject,
                f"The access of {name} ends at {consumer.until}, in {days} days.",
                "Write a later time and share again if it is still needed.",
            )


def _dead(plan: Plan) -> Iterator[Finding]:
    for change in plan.changes:
        ids = policies.dead(change.existing)
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
        wanted = [action for one in ours[change.resource] for action in policies.listed(one["Action"])]
        for one in _strangers(change.desired, ours[change.resource], group):
            sid = one.get("Sid", "without a Sid")
            subject = f"policy of {change.resource}"
            if one.get("Effect") == "Allow":
                who = sorted(set(named) & set(policies.beneficiaries(one)))
                if who:
                    hint = "The preset aws-docs manages it." if sid in policies.DOCS_SIDS else ""
                    text = f"{', '.join(who)} also has access by a statement that is not ours: {sid}."
                    yield Finding(Severity.NOTE, subject, text, hint)
            elif out := _kept_out(one, named, wanted):
                sure = "Condition" not in one and "NotPrincipal" not in one
                verb = "keeps" if sure else "may keep"
                yield Finding(
                    Severity.WARNING if sure else Severity.NOTE,
                    subject,
                    f"The statement {sid} denies, and {verb} {out} out.",
                    "See that it lets the consumers through.",
                )


def _kept_out(statement: Statement, named: Collection[str], wanted: Sequence[str]) -> str:
    """Whom of these a Deny may keep from what is wanted; empty for nobody."""
    if not policies.touches(statement, wanted) or policies.about_transport(statement):
        return ""
    if "NotPrincipal" in statement or "*" in policies.principals(statement):
        return "everyone"
    accounts = {policies.account_of(name) for name in policies.principals(statement)}
    return ", ".join(sorted(set(named) & accounts))


def _unnamed(
    plan: Plan, ours: Mapping[Resource, list[Statement]], group: str, sharing: Sharing
) -> Iterator[Finding]:
    """Members of our statements whom this config does not name: another config's, or nobody's any more."""
    named = set(_named(sharing))
    for change in plan.changes:
        inside = {
            member
            for one in statements(change.desired)
            if policies.is_ours(one, ours[change.resource], group)
            for member in policies.members(one)
        }
        if extra := sorted(inside - named):
            yield Finding(
                Severity.NOTE,
                f"policy of {change.resource}",
                f"{', '.join(extra)} has access by a statement of ours, and this config does not name it.",
                "If no other config does: crossaccount revoke CONFIG --account ACCOUNT, or crossaccount share CONFIG --prune.",
            )


def _difference(one: Document | None, other: Document | None) -> tuple[str, ...]:
    """Who is allowed something in one document that the other does not allow them."""
    shared = {
        id(statement) for statement in statements(other)
    }  # most are strangers' that a plan leaves as they are
    more = _allowances(statement for statement in statements(one) if id(statement) not in shared)
    names = {name for name, _ in more}
    same = (each for each in statements(other) if names and names & set(policies.beneficiaries(each)))
    return tuple(sorted({name for name, _ in more - _allowances(same)}))


def _allowances(found_in: Iterable[Statement]) -> set[tuple[str, str]]:
    """Each beneficiary with the terms of each statement that allows it."""
    found = set()
    for statement in found_in:
        if statement.get("Effect") == "Allow":
            terms, roles = policies.terms(statement), policies.roles_of(statement)
            for name in policies.beneficiaries(statement):
                found.add((name, json.dumps([terms, roles.get(name, [])])))
    return found
