"""The summaries of the flows' results, noted for the run's end: what happened, to whom, and what now.

Not here: their texts' form (``crossaccount.show.summaries``), and a failed run's summary (``tasks.ending``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from prefect.runtime import deployment

from crossaccount.config.model import Sharing
from crossaccount.doors import door_of
from crossaccount.show import plans
from crossaccount.show.dashboard import key_of
from crossaccount.show.markdown import cell, wrapped
from crossaccount.show.summaries import Summary, named
from crossaccount.text import first_line
from tasks import ending

if TYPE_CHECKING:
    from crossaccount.audit.answers import Audit
    from crossaccount.hosting.leftovers import Swept
    from crossaccount.hosting.resources import Removal
    from crossaccount.promotion.outcome import ConsumerOutcome
    from crossaccount.proof.proof import Proof
    from crossaccount.release.manifest import Release
    from crossaccount.sharing.changes import Plan


def names_of(sharing: Sharing) -> dict[str, str]:
    """The consumers' names, and the producer's, by account."""
    return {sharing.producer.account: "producer"} | {
        each.account: name for name, each in sharing.consumers.items()
    }


def _whole(sharing: Sharing) -> str:
    """The last step: where the whole group is seen."""
    key = key_of(sharing.model_package_group)
    return f"[Everything about {sharing.model_package_group}](../../artifacts/key/{key}): who serves what, and who has access."


def _changes(sharing: Sharing, plan: Plan) -> tuple[tuple[str, str], ...]:
    """For each account what it gains and loses, by door."""
    told: dict[str, list[str]] = {}
    for change in plan.changes:
        door = door_of(change.resource.kind).name
        for account in change.gained:
            told.setdefault(account, []).append(f"gains {door}")
        for each in plan.leaving(change):
            verb = "loses" if each.is_shut_out else "keeps, or may keep,"
            told.setdefault(each.member, []).append(f"{verb} {door}")
    names = names_of(sharing)
    return tuple((named([account], names), ", ".join(lines)) for account, lines in sorted(told.items()))


def _count(number: int, of: str, noun: str) -> str:
    return f"{number} of {of} {noun}"


def tell_plan(sharing: Sharing, plan: Plan, what: str) -> None:
    """A dry run: its plan, and a link to the run that carries out exactly that."""
    ending.tell(_planned(sharing, plan, what))


def _planned(sharing: Sharing, plan: Plan, what: str) -> Summary:
    total = f"{plan.writes} of {len(plan.changes)} policies would change. Nothing was changed."
    if not plan.writes:
        total = "nothing to do, every policy is as it should be."
    steps = [ending.agreed_step(dry_run=False, agreed=plan.digest)] if plan.writes else []
    page = ending.in_form(plans.markdown(plan, names_of(sharing)))
    return Summary(f"Plan of {what}: {total}", _changes(sharing, plan), (*steps, _whole(sharing)), page)


def tell_share(sharing: Sharing, plan: Plan, releases: Sequence[Release], new: int) -> None:
    """A share that was made."""
    versions = ", ".join(str(release.version) for release in releases)
    head = (
        f"Shared version {versions} of {sharing.model_package_group}: {plan.writes} of {len(plan.changes)} policies changed, "
        f"{new} of {len(releases)} Releases new."
    )
    quiet = tuple((f"{name} ({each.account})", "as before") for name, each in sharing.consumers.items())
    now = "See that every door is open: run check-access. Prove a version: deploy-model, or promote-model."
    ending.tell(Summary(head, _changes(sharing, plan) or quiet, (now, _whole(sharing))))


def tell_revoke(sharing: Sharing, plan: Plan, what: str) -> None:
    """A revoke that was made."""
    head = f"Revoked {what} from {sharing.model_package_group}: {plan.writes} of {len(plan.changes)} policies changed, each read back."
    steps = ("To give it back, share again. Whoever still has access is on the dashboard.", _whole(sharing))
    ending.tell(Summary(head, _changes(sharing, plan), steps))


def tell_groups(shared: Mapping[str, tuple[Sharing, Plan]], dry_run: bool) -> None:
    """A share of many groups: a line for each."""
    writes = sum(plan.writes for _, plan in shared.values())
    rows = tuple(
        (sharing.model_package_group, f"{plan.writes} of {len(plan.changes)} policies")
        for sharing, plan in shared.values()
    )
    if dry_run:
        head = (
            f"Plan of a share of {len(shared)} groups: {writes} policies would change. Nothing was changed."
        )
        hashes = [plan.digest for _, plan in shared.values()]
        ending.tell(Summary(head, rows, (ending.agreed_step(dry_run=False, agreed=hashes),)))
    else:
        head = f"Shared {len(shared)} groups: {writes} policies changed."
        ending.tell(Summary(head, rows, ("See that every door is open: run check-access for each.",)))


def tell_audit(sharing: Sharing, wanted: Iterable[str], audit: Audit) -> None:
    """A check: each consumer's doors."""
    rows = []
    for name in wanted:
        answers = [each for each in audit.answers if each.consumer == name]
        shut = [f"**no**: {each.door} {wrapped(each.resource)}" for each in answers if each.verdict == "no"]
        doubtful = [each.door for each in answers if each.verdict == "cannot tell"]
        lines = [*shut, *([f"cannot tell: {', '.join(dict.fromkeys(doubtful))}"] if doubtful else [])]
        passed = sum(each.verdict == "yes" for each in answers)
        if passed or not lines:
            lines.append(f"yes: {passed} of {len(answers)} doors")
        rows.append((f"{name} ({sharing.consumers[name].account})", "; ".join(lines)))
    group = sharing.model_package_group
    told = f"Access to {group}: "
    if audit.missing:
        told += f"{len(audit.missing)} of what the config promises is missing."
        now = "Repair it: run share-models for this config, look at the plan, and apply it."
    elif audit.recalled:
        told += "all there; a version that was recalled is live."
        now = "Promote another version, or roll back."
    elif audit.is_conclusive:
        told, now = f"{told}nothing is missing.", "Nothing."
    else:
        told, now = (
            f"{told}nothing could be told from here.",
            "Run it where a consumer's or the producer's AWS profile is.",
        )
    ending.tell(Summary(told, tuple(rows), (now, _whole(sharing))))


def tell_deployment(sharing: Sharing, proof: Proof, removals: Sequence[Removal]) -> None:
    """A deployment and its proof."""
    verdict = "proved" if proof.verified else "NOT proved"
    head = f"Version {proof.version} of {sharing.model_package_group} is {verdict} in {proof.consumer} ({proof.account}): {proof.right} of {len(proof.answers)} answers as expected, median {proof.median_latency_ms:.1f} ms."
    left = [each.name for each in removals if each.outcome == "left"]
    kept = [each.name for each in removals if each.outcome == "kept"]
    fate = f"LEFT BEHIND: {', '.join(left)}" if left else ("stays" if kept else "removed")
    now = (
        "Bring it to the consumer's own endpoint: promote-model."
        if proof.verified
        else "See the answers in the proof."
    )
    row = (f"{proof.consumer} ({proof.account})", f"endpoint {wrapped(proof.endpoint)}: {fate}")
    ending.tell(Summary(head, (row,), (now, _whole(sharing))))


def tell_promotion(
    sharing: Sharing, what: str, outcomes: Sequence[ConsumerOutcome], now: Sequence[str], more: str = ""
) -> None:
    """A promotion, a rollback, or the move of one endpoint: each consumer's outcome."""
    rows = tuple(
        (
            f"{each.consumer} ({each.account})",
            f"{'**failed**' if each.result == 'failed' else each.result}: {ending.in_form(cell(first_line(each.text), 400))}"
            + (f" **Left behind: {', '.join(each.left)}**" if each.left else ""),
        )
        for each in outcomes
    )
    ending.tell(Summary(what, rows, (*now, _whole(sharing)), more))


def tell_promotion_plan(
    sharing: Sharing, version: int, plan: Plan, pin: dict[str, int], outcomes: Sequence[ConsumerOutcome]
) -> None:
    """A promotion's dry run: the stages and the sharing plan; ``pin`` is the parameter that holds the agreed run to this version."""
    planned = _planned(sharing, plan, f"a promotion to version {version}")
    total = f"{plan.writes} of {len(plan.changes)} policies would change; the endpoints in their stages, below. Nothing was changed."
    rows = tuple(
        (f"{each.consumer} ({each.account})", f"stage {each.stage}: {cell(each.text, 400)}")
        for each in outcomes
    )
    step = ending.agreed_step(dry_run=False, **pin, agreed=plan.digest)
    ending.tell(
        Summary(
            f"Plan of a promotion to version {version}: {total}", rows, (step, _whole(sharing)), planned.more
        )
    )


def tell_hand_off(sharing: Sharing, parts: Sequence[tuple[str, str, str, bool]]) -> None:
    """A hand-off: each consumer's part, as name, account, text and whether it was deployed."""
    done = sum(deployed for *_, deployed in parts)
    head = f"Handed {sharing.model_package_group} to {done} of {len(parts)} consumers."
    if not done:
        head = f"Nothing to hand off of {sharing.model_package_group}."
    rows = tuple((f"{name} ({account})", cell(first_line(text), 400)) for name, account, text, _ in parts)
    ending.tell(Summary(head, rows, (_whole(sharing),)))


def tell_reaped(sharing: Sharing, swept: Sequence[Swept], dry_run: bool) -> None:
    """What the reaper found."""
    found = sum(len(each.fates) for each in swept)
    head = (
        f"Plan of a reaping: {found} leftovers would be looked at. Nothing was removed."
        if dry_run
        else f"{found} leftovers of dead runs of {sharing.model_package_group}."
    )
    rows = tuple(
        (
            each.where,
            "; ".join(f"{fate.kind} {wrapped(fate.name)}: {fate.outcome}" for fate in each.fates)
            or cell(first_line(each.error or "nothing was left")),
        )
        for each in swept
    )
    steps = ("Remove what is left behind, or run this again.",) if any(each.left for each in swept) else ()
    if dry_run and found and deployment.get_id():
        steps = (ending.agreed_step(dry_run=False),)
    ending.tell(Summary(head, rows, steps))
