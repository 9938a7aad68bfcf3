"""Findings beside a plan: what is never right, who else gets in or is kept out, and what ends soon.

Not here: what stands in the way of reading (``obstacles``).
"""

import json
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta

from crossaccount.arns import group_arn
from crossaccount.config.model import Sharing
from crossaccount.doors import door_of
from crossaccount.doors.base import Resource, Surroundings
from crossaccount.errors import Finding, Severity
from crossaccount.policy import documents
from crossaccount.policy.audience import SERVICE
from crossaccount.policy.callers import Caller
from crossaccount.policy.documents import Document, Statement, statements
from crossaccount.policy.standing import Answer, Clause, shut_out
from crossaccount.sharing.changes import Basis, Change, Plan, Standing
from crossaccount.sharing.standing import callers_of_member, doorway, strangers

_ENDS_SOON = timedelta(days=14)


def named_members(sharing: Sharing) -> list[str]:
    """The members that the config names: accounts, or an organization's id."""
    if sharing.organization is not None:
        return [sharing.organization.id]
    return sorted({consumer.account for consumer in sharing.consumers.values()})


def find_collisions(plan: Plan, ours: Mapping[Resource, list[Statement]], group: str) -> Iterator[Finding]:
    """Statements of others that have the Sid of one to be added."""
    for change in plan.changes:
        for sid in documents.collisions(change.existing, ours[change.resource], group):
            text = f"It has a statement with the Sid {sid} that differs from the one to be added."
            way_out = "Rename or remove it, or use the preset least-privilege."
            yield Finding(Severity.ERROR, f"policy of {change.resource}", text, way_out)


def find_objections(
    plan: Plan, ours: Mapping[Resource, list[Statement]], sharing: Sharing
) -> Iterator[Finding]:
    """Changes that are never right, whatever computed them."""
    named = named_members(sharing)
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
    old = change.existing and change.existing.get("Version", "2008-10-17") != "2012-10-17"
    if old and "${" in json.dumps(ours):
        yield (
            "Its Version is 2008-10-17, which has no way to write a key with one of the characters * ? $.",
            "Set its Version to 2012-10-17, after looking at what that changes in the statements that are there.",
        )
    before, after = (_others(document, ours, group) for document in (change.existing, change.desired))
    if before != after:
        yield "It would lose or change a statement that is not ours.", ""


def _others(document: Document | None, ours: list[Statement], group: str) -> list[Statement]:
    return [each for each in statements(document) if not documents.is_ours(each, ours, group)]


def find_ending(sharing: Sharing, now: datetime) -> Iterator[Finding]:
    """Consumers whose access has ended, or ends within two weeks."""
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


def find_dead_principals(plan: Plan) -> Iterator[Finding]:
    """Documents that name a role or user that no longer exists."""
    for change in plan.changes:
        ids = documents.unique_ids(change.existing)
        if ids:
            yield Finding(
                Severity.WARNING if change.verb == "keep" else Severity.ERROR,
                f"policy of {change.resource}",
                f"It names {', '.join(ids)}, a role or user that no longer exists; AWS refuses the whole document as long as it does.",
                "Remove it from the statement it stands in.",
            )


def find_openings(plan: Plan) -> Iterator[Finding]:
    """Members that others' statements let in too, and those of whom that cannot be told."""
    alike: dict[tuple[Resource, Answer, str], list[Standing]] = {}
    for each in plan.standing:
        if each.answer is not Answer.SHUT and each.by:
            alike.setdefault((each.resource, each.answer, each.reason), []).append(each)
    for (resource, answer, reason), found in alike.items():
        who, first = ", ".join(each.member for each in found), found[0]
        subject = f"policy of {resource}"
        if answer is Answer.CANNOT_TELL:
            text = f"Whether {who} also has access by a statement that is not ours cannot be told: {reason}."
            yield Finding(Severity.NOTE, subject, text)
            continue
        for label, statement in zip(first.by, first.through, strict=True):
            hint = "The preset aws-docs manages it." if label in documents.DOCS_SIDS else ""
            terms = first.terms if len(first.by) == 1 else ""
            text = f"{who} also has access by a statement that is not ours: {statement}{terms}."
            yield Finding(Severity.NOTE, subject, text, hint)


def find_denials(
    sharing: Sharing,
    basis: Basis,
    plan: Plan,
    ours: Mapping[Resource, list[Statement]],
    named: Collection[str],
) -> Iterator[Finding]:
    """Statements of others that keep members out of what a share opens, whatever allows it."""
    for change in plan.changes:
        way = doorway(sharing, basis, change)
        for clause in strangers(basis, plan.group, change, ours[change.resource]):
            if clause.body.get("Effect") != "Deny":
                continue
            verdicts = {name: shut_out(clause, callers_of_member(sharing, name), way) for name in named}
            kept = _kept(clause, verdicts, True)
            if out := kept or _kept(clause, verdicts, None):
                text = f"The statement {clause} denies, and {'keeps' if kept else 'may keep'} {out} out."
                severity = Severity.WARNING if kept else Severity.NOTE
                yield Finding(
                    severity, f"policy of {change.resource}", text, "See that it lets the consumers through."
                )


def _kept(clause: Clause, verdicts: Mapping[str, Mapping[Caller, bool | None]], verdict: bool | None) -> str:
    """Those to whom a Deny does this: everyone, members, or roles of them; empty for nobody."""
    whole = [name for name, found in verdicts.items() if all(each is verdict for each in found.values())]
    anybody = "NotPrincipal" in clause.body or "*" in documents.principals(clause.body)
    if whole and len(whole) == len(verdicts) and anybody:
        return "everyone"
    roles = [
        caller.arn
        for name, found in verdicts.items()
        if name not in whole
        for caller, each in found.items()
        if each is verdict
    ]
    return ", ".join(sorted({*whole, *roles}))


def find_unwritable(plan: Plan, basis: Basis) -> Iterator[Finding]:
    """Policies that would be written, and that AWS then refuses whatever is written."""
    for change in plan.changes:
        if change.verb in ("create", "update"):
            yield from basis.beside.get(change.resource, Surroundings()).unwritable


def find_unnamed_members(
    plan: Plan, ours: Mapping[Resource, list[Statement]], group: str, sharing: Sharing
) -> Iterator[Finding]:
    """Members of our statements whom this config does not name: another config's, or nobody's any more."""
    named = set(named_members(sharing))
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
