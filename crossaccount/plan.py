"""What would change, as data: one change for each policy document, decided by pure functions from what was read.

A plan refuses what is never right. Rendering it is reading it once more; a dry run is nothing else. Not here: reading
AWS (``gather``) and changing it (``apply``).

Source: sizes from the S3 user guide (bucket policies), botocore's models (ECR, SageMaker), the KMS developer guide.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from crossaccount import policies
from crossaccount.errors import InputError, PlanRefused
from crossaccount.names import group_arn, package_arn, root_arn
from crossaccount.policies import Document, Statement, principal_key, statements

if TYPE_CHECKING:
    from crossaccount.config import Sharing
    from crossaccount.packages import Needs

Verb = Literal["create", "update", "delete", "keep"]


class Kind(StrEnum):
    """The kinds of resources whose policies are changed."""

    GROUP = "model-package-group"
    REPOSITORY = "repository"
    BUCKET = "bucket"
    KEY = "key"


LIMITS = {Kind.GROUP: 20_480, Kind.REPOSITORY: 10_240, Kind.BUCKET: 20_480, Kind.KEY: 32_768}


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
    """One document as it stands and as it should stand; None is no document. The verb follows from the two."""

    resource: Resource
    existing: Document | None
    desired: Document | None

    @property
    def verb(self) -> Verb:
        """What has to be done; documents that mean the same are kept."""
        if policies.same(self.existing, self.desired):
            return "keep"
        if self.existing is None:
            return "create"
        return "delete" if self.desired is None else "update"

    @property
    def gained(self) -> tuple[str, ...]:
        """The accounts and other principals that are allowed something more than before."""
        return _difference(self.desired, self.existing)

    @property
    def lost(self) -> tuple[str, ...]:
        """The accounts and other principals that are allowed something less than before."""
        return _difference(self.existing, self.desired)


@dataclass(frozen=True)
class Plan:
    """All changes of one run, in the order they are made, and what a person should know beside them."""

    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()

    @property
    def writes(self) -> int:
        """How many documents would be written or removed."""
        return sum(change.verb != "keep" for change in self.changes)


Existing = Mapping[Resource, Document | None]


def share_plan(sharing: Sharing, needs: Needs, existing: Existing) -> Plan:
    """The plan that gives every consumer of the config what it needs.

    Args:
        sharing: the config.
        needs: what the shared versions need.
        existing: the documents as they stand, by resource; keys are those of encrypted artifacts.

    Raises:
        PlanRefused: with every reason at once.
    """
    group = group_arn(sharing)
    named = sorted({root_arn(sharing.partition, one.account) for one in sharing.consumers.values()})
    ours = {resource: _statements(sharing, needs, resource, named) for resource in existing}
    plan = Plan(
        tuple(
            Change(resource, document, policies.granted(document, ours[resource], group))
            for resource, document in existing.items()
        )
    )
    _refuse_collisions(plan, ours, group)
    refuse_wrong(plan, ours, group, named)
    return replace(plan, notes=_notes(plan, ours, group, named))


def revoke_plan(sharing: Sharing, needs: Needs, existing: Existing, consumer: str) -> Plan:
    """The plan that takes back what one consumer was given; other principals and strangers' statements stay.

    Raises:
        InputError: when another consumer of the config has the same account: access is given to accounts.
        PlanRefused: with every reason at once.
    """
    group = group_arn(sharing)
    account = sharing.consumers[consumer].account
    others = [name for name, one in sharing.consumers.items() if name != consumer and one.account == account]
    if others:
        raise InputError(
            f"Account {account} of {consumer} is also that of {', '.join(others)}, and access is given to accounts. Take {consumer} out of "
            "the config instead: the others keep their access."
        )
    leaving = [root_arn(sharing.partition, account)]
    named = sorted({root_arn(sharing.partition, one.account) for one in sharing.consumers.values()})
    ours = {resource: _statements(sharing, needs, resource, named) for resource in existing}

    def without(resource: Resource, document: Document | None) -> Document | None:
        return policies.revoked(document, ours[resource], group, leaving)

    plan = Plan(
        tuple(
            Change(resource, document, without(resource, document)) for resource, document in existing.items()
        )
    )
    refuse_wrong(plan, ours, group, named)
    return replace(plan, notes=_notes(plan, ours, group, leaving))


def _notes(
    plan: Plan, ours: Mapping[Resource, list[Statement]], group: str, named: Sequence[str]
) -> tuple[str, ...]:
    """Access that a consumer has by statements that are not ours to change: it would outlive a revoke unseen."""
    keys = {principal_key(name) for name in named}
    found = []
    for change in plan.changes:
        for one in _strangers(change.desired, ours[change.resource], group):
            who = sorted(keys & {principal_key(name) for name in policies.beneficiaries(one)})
            if who and one.get("Effect") == "Allow":
                sid = one.get("Sid", "without a Sid")
                hint = (
                    " (the AWS page's; the preset aws-docs manages it)" if sid in policies.DOCS_SIDS else ""
                )
                found.append(
                    f"{', '.join(who)} also has access to {change.resource} by a statement that is not ours: {sid}{hint}."
                )
    return tuple(found)


def resources(sharing: Sharing, needs: Needs, keys: Iterable[str]) -> tuple[Resource, ...]:
    """Every resource whose policy a plan for these needs is about.

    Args:
        sharing: the config.
        needs: what the shared versions need.
        keys: the ARNs of the KMS keys that their artifacts are encrypted under.
    """
    owner = sharing.producer.account
    return (
        *(Resource(Kind.REPOSITORY, name, owner) for name in needs.repositories),
        *(Resource(Kind.BUCKET, name, owner) for name in needs.buckets),
        *(Resource(Kind.KEY, arn, owner) for arn in sorted(keys)),
        # The registry last: a consumer that sees the version can also reach what it needs.
        Resource(Kind.GROUP, sharing.model_package_group, owner),
    )


def _statements(sharing: Sharing, needs: Needs, resource: Resource, named: Sequence[str]) -> list[Statement]:
    group, docs = group_arn(sharing), sharing.preset == "aws-docs"
    match resource.kind:
        case Kind.GROUP if docs:
            return policies.docs_group_statements(group, named)
        case Kind.GROUP:
            versions = (
                ["*"] if sharing.versions == "approved" else [str(one) for one in sorted(sharing.versions)]
            )
            return policies.group_statements(group, [package_arn(sharing, one) for one in versions], named)
        case Kind.REPOSITORY:
            return (
                policies.docs_repository_statements(named)
                if docs
                else policies.repository_statements(group, named)
            )
        case Kind.BUCKET:
            bucket = f"arn:{sharing.partition}:s3:::{resource.name}"
            if docs:
                return policies.docs_bucket_statements(bucket, named)
            return policies.bucket_statements(group, bucket, needs.buckets[resource.name], named)
        case Kind.KEY:
            return policies.key_statements(group, named)


def _refuse_collisions(plan: Plan, ours: Mapping[Resource, list[Statement]], group: str) -> None:
    reasons = [
        f"The policy of {change.resource} has a statement with the Sid {sid} that differs from the one to be added. Rename or remove "
        "it, or use the preset least-privilege."
        for change in plan.changes
        for sid in policies.collisions(change.existing, ours[change.resource], group)
    ]
    if reasons:
        raise PlanRefused(tuple(reasons))


def refuse_wrong(
    plan: Plan, ours: Mapping[Resource, list[Statement]], group: str, named: Sequence[str]
) -> None:
    """Refuse what is never right, whatever computed it.

    Raises:
        PlanRefused: when a document is too large, someone gains access whom the config does not name, a public principal is
            added, a stranger's statement is touched, or a key would be left without a policy.
    """
    reasons = [
        reason
        for change in plan.changes
        for reason in _wrong(change, ours[change.resource], group, set(named))
    ]
    if reasons:
        raise PlanRefused(tuple(reasons))


def _wrong(change: Change, ours: list[Statement], group: str, named: set[str]) -> Iterator[str]:
    if change.desired is None:
        if change.resource.kind is Kind.KEY:
            yield f"The policy of {change.resource} would be removed, and a key without a policy is lost."
    elif (length := policies.size(change.desired)) > LIMITS[change.resource.kind] and change.verb != "keep":
        yield (
            f"The policy of {change.resource} would have {length} bytes, and AWS takes {LIMITS[change.resource.kind]}. Share with fewer "
            "consumers or versions in this config, or shorten the statements that others have put there."
        )
    allowed = {principal_key(name) for name in named}
    for name in change.gained:
        if name == "*":
            yield f"The policy of {change.resource} would allow everyone (*)."
        elif name not in allowed:
            yield (
                f"The policy of {change.resource} would allow {name}, whom the config does not name: a statement of ours was changed by "
                "hand. Take that statement out by hand, then run this again."
            )
    if "*" not in change.gained and any(
        "*" in policies.beneficiaries(one)
        for one in statements(change.desired)
        if policies.is_ours(one, ours, group)
    ):
        yield f"The policy of {change.resource} allows everyone (*) in a statement of ours. Take the * out of it by hand."
    before, after = (_strangers(document, ours, group) for document in (change.existing, change.desired))
    if before != after:
        yield f"The policy of {change.resource} would lose or change a statement that is not ours."


def _strangers(document: Document | None, ours: list[Statement], group: str) -> list[Statement]:
    return [one for one in statements(document) if not policies.is_ours(one, ours, group)]


def _difference(one: Document | None, other: Document | None) -> tuple[str, ...]:
    """Who is allowed something in one document that the other does not allow them."""
    return tuple(sorted({name for name, _ in _allowances(one) - _allowances(other)}))


def _allowances(document: Document | None) -> set[tuple[str, str]]:
    """Each principal with the terms of each statement that allows it."""
    found = set()
    for statement in statements(document):
        if statement.get("Effect") == "Allow":
            terms = {key: value for key, value in statement.items() if key not in ("Sid", "Principal")}
            found |= {
                (principal_key(name), policies.canonical({"Statement": terms}))
                for name in policies.beneficiaries(statement)
            }
    return found


# Three readers of a plan.


def render_text(plan: Plan, colour: bool = False) -> str:
    """The plan for a terminal: a diff of every document that would change."""
    paint = _paint if colour else _plain
    blocks = [_block(change, paint) for change in plan.changes]
    total = (
        f"{plan.writes} of {len(plan.changes)} policies would change."
        if plan.writes
        else "Nothing to do: every policy is as it should be."
    )
    return "\n".join([*blocks, *(f"note: {note}" for note in plan.notes), total])


def render_markdown(plan: Plan) -> str:
    """The plan for a Prefect artifact."""
    rows = ["| policy of | change | gains access | loses access |", "|---|---|---|---|"]
    rows += [
        f"| {change.resource} | {change.verb} | {', '.join(change.gained)} | {', '.join(change.lost)} |"
        for change in plan.changes
    ]
    diffs = [
        f"\n**{change.resource}**\n\n```diff\n{chr(10).join(_diff(change))}\n```"
        for change in plan.changes
        if change.verb != "keep"
    ]
    return "\n".join([*rows, *diffs, *(f"\n> {note}" for note in plan.notes)])


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan for a machine."""
    changes = [
        {
            "kind": str(change.resource.kind),
            "resource": change.resource.name,
            "account": change.resource.account,
            "verb": change.verb,
            "existing": change.existing,
            "desired": change.desired,
            "gained": list(change.gained),
            "lost": list(change.lost),
        }
        for change in plan.changes
    ]
    return {"changes": changes, "writes": plan.writes, "notes": list(plan.notes)}


_Paint = Callable[[str], str]
_COLOURS = {"+": "\033[32m", "-": "\033[31m", "@": "\033[36m"}


def _plain(line: str) -> str:
    return line


def _paint(line: str) -> str:
    colour = _COLOURS.get(line[:1])
    return f"{colour}{line}\033[0m" if colour else line


def _block(change: Change, paint: _Paint) -> str:
    lines = [f"{change.verb}: policy of {change.resource}"]
    if change.verb != "keep":
        lines += [f"  {paint(line)}" for line in _diff(change)]
        lines += [f"  gains access: {name}" for name in change.gained]
        lines += [f"  loses access: {name}" for name in change.lost]
    return "\n".join(lines)


def _diff(change: Change) -> list[str]:
    before, after = (
        json.dumps(document, indent=2).splitlines() if document is not None else []
        for document in (change.existing, change.desired)
    )
    return list(difflib.unified_diff(before, after, lineterm="", n=2))[2:]
