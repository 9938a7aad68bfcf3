"""The promotion's flows: bring a version into the consumers' own endpoints, stage by stage, and go back.

Not here: the move of one endpoint (``crossaccount.promotion``).
"""

import getpass
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prefect.exceptions import Pause
from prefect.runtime import deployment, flow_run
from prefect.task_runners import ThreadPoolTaskRunner

from crossaccount.aws import sessions
from crossaccount.config.model import Sharing
from crossaccount.errors import CrossAccountError, InputError, PromotionFailed
from crossaccount.hosting.preflight import check_shared
from crossaccount.promotion import foreseen
from crossaccount.promotion.foreseen import Foreseen
from crossaccount.promotion.moving import stages
from crossaccount.promotion.outcome import ConsumerOutcome, Result, not_begun, not_moved
from crossaccount.promotion.records import Record
from crossaccount.proof.questions import check_files
from crossaccount.registry.lifecycle import Told
from crossaccount.sharing.changes import Plan
from crossaccount.sharing.gather import Gathered
from crossaccount.sharing.plan import plan_share
from crossaccount.show.markdown import cell
from crossaccount.text import first_line
from flows import approval, forms
from flows.operations import operation
from flows.producer import refuse_other
from tasks import dashboard, delegation, ending, recalled, summaries
from tasks import producer as sharing_steps
from tasks import promotion as steps
from tasks.reaper import clean_up_run
from tasks.steps import name_run

AT_ONCE = 32  # consumers of a stage


@dataclass(frozen=True)
class Promotion:
    """The outcomes of a promotion or a rollback; ``record`` is where it lies, empty when nothing was done.

    ``lifecycle`` is what the registry was told of the version.
    """

    version: int
    consumers: tuple[ConsumerOutcome, ...]
    record: str
    lifecycle: tuple[Told, ...] = ()

    def table(self) -> str:
        """One line for each consumer."""
        rows = [*map(_row, self.consumers), *map(str, self.lifecycle)]
        return "\n".join([*rows, f"record: {self.record or 'none, nothing was done'}"])

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "version": self.version,
            "consumers": [outcome.to_json() for outcome in self.consumers],
            "record": self.record,
            "lifecycle": [told.to_json() for told in self.lifecycle],
        }


def _row(outcome: ConsumerOutcome) -> str:
    left = f" LEFT BEHIND: {', '.join(outcome.left)}" if outcome.left else ""
    return f"stage {outcome.stage}  {outcome.what:<9}  {outcome.consumer} ({outcome.account})  {outcome.text}{left}"


_RUNNER: Any = ThreadPoolTaskRunner(max_workers=AT_ONCE)


@operation("promote-model", task_runner=_RUNNER, on_crashed=[clean_up_run], on_cancellation=[clean_up_run])
def promote_model(
    config: forms.ConfigFile,
    version: forms.Version = None,
    approve: bool = False,
    approval_seconds: forms.Seconds = 86_400,
    dry_run: bool = False,
    agreed: forms.PlanHash = None,
    agreed_version: forms.Version = None,
) -> Promotion:
    """Share a version, then bring every consumer's endpoint to it, stage by stage, each proved before the next.

    A stage that fails stops the promotion: later stages stay as they are, and earlier ones are not undone.

    Args:
        config: The reviewed file that names the consumers, their endpoints and their stages.
        version: The version to promote. Leave it empty for the newest approved one, found once.
        approve: Wait for a person's answer before each stage but the first.
        approval_seconds: How long to wait for it. Then the run fails, and the later stages stay as they are.
        dry_run: Show the plan and the stages, and change nothing.
        agreed: The hash of the sharing plan that was agreed to (16 characters). Any other plan is refused.
        agreed_version: The version that was the newest approved one when it was agreed to. Another one is refused.
    """
    sharing = forms.loaded(config)
    # Whoever does a consumer's part in a run of its own has the files, and looks for them there.
    check_files(sharing, [name for name, each in sharing.consumers.items() if each.run_deployment is None])
    started, run = datetime.now(UTC), str(flow_run.get_id())
    outcomes: list[ConsumerOutcome] = []
    told: list[Told] = []
    came_to, waiting = "stopped", False
    reason: str | None = None
    with sessions.reuse():
        try:
            pinned, gathered, plan = _planned(sharing, version, dry_run)
        except CrossAccountError as error:
            if version is None:  # there may be none to promote just because the one that is live was recalled
                steps.note_recalled(sharing, error)
            raise
        approval.refuse_newer(pinned, agreed_version)
        refuse_other(plan, agreed)
        if dry_run:
            past = steps.look_back(sharing, pinned, version is not None)
            pin = {"agreed_version" if version is None else "version": pinned}
            return _foreseen(sharing, pinned, plan, pin, past, steps.foresee(sharing, pinned, past.held))
        prepared = sharing_steps.prepare_releases(sharing, gathered, plan)
        sharing_steps.apply_plan(sharing, plan, exactly=agreed is not None)
        releases = sharing_steps.publish_releases(sharing, prepared, plan)
        ending.see(sharing, dashboard.of_share(sharing, plan, releases))
        if sharing.producer.discoverable and plan.writes:
            sharing_steps.make_discoverable(sharing)
        past = steps.look_back(sharing, pinned, version is not None)
        held = past.held
        try:
            for number, of_stage in stages(sharing):
                names = [name for name in of_stage if name not in held]
                reason = _stopped_before(outcomes, told)
                asks = reason is None and approve and outcomes and names
                if asks and steps.has_work(sharing, names, releases, pinned):
                    reason = approval.ask(sharing, number, names, pinned, outcomes, approval_seconds)
                outcomes += [
                    not_moved(sharing, name, pinned, Result.HELD, held[name])
                    for name in of_stage
                    if name in held
                ]
                if reason:
                    outcomes += [not_moved(sharing, name, pinned, Result.SKIPPED, reason) for name in names]
                    continue
                for outcome in _stage(sharing, config, names, pinned, run):
                    outcomes.append(outcome)  # those of a stage that is cancelled stay
                if number in sharing.lifecycle:
                    told.append(steps.tell_registry(sharing, pinned, number, outcomes))
            outcomes[:] = recalled.with_recalled(sharing, outcomes, past.serving, pinned)
            if not _stopped_before(outcomes, told):
                came_to = "succeeded"
            elif any(outcome.result is Result.FAILED or outcome.left for outcome in outcomes) or not all(
                each.went_well for each in told
            ):
                came_to = "failed"
        except Pause:
            waiting = True  # for an answer: the run begins anew with it, and is put on record at its end
            raise
        finally:
            worked = any(map(_did_something, outcomes)) or any(each.result == "written" for each in told)
            idle = came_to == "succeeded" and not plan.writes and not worked
            if idle:
                unchanged = [outcome.consumer for outcome in outcomes if outcome.result is Result.UNCHANGED]
                idle = steps.is_recorded(sharing, unchanged, pinned)
            facts: dict[str, Any] = {
                "kind": "promotion",
                "version": pinned,
                "outcome": came_to,
                "plan": plan.digest,
            }
            facts |= {"reason": reason or "", "lifecycle": [each.to_json() for each in told]}
            record = _record(sharing, started, outcomes, **facts)
            _see(sharing, outcomes)
            if not idle and not waiting:
                ending.see(sharing, dashboard.of_record(record))
                _tell(sharing, record, outcomes)
            where = "" if idle or waiting else steps.keep_record(sharing, record)
    if idle:
        _tell(sharing, record, outcomes)
    return _accepted(Promotion(pinned, tuple(outcomes), where, tuple(told)))


def _see(sharing: Sharing, outcomes: Sequence[ConsumerOutcome]) -> None:
    """Note the outcomes for the dashboard; those of consumers whose turn did not come say nothing of their endpoints."""
    for outcome in outcomes:
        ending.see(sharing, dashboard.of_outcome(sharing, outcome))


def _tell(sharing: Sharing, record: Record, outcomes: Sequence[ConsumerOutcome]) -> None:
    """Note the summary of a promotion or a rollback."""
    count = sum(outcome.result is Result.PROMOTED for outcome in outcomes)
    went_well = record.outcome == "succeeded"
    head = f"{record.kind} of {sharing.model_package_group} to version {record.version} {record.outcome}: {count} of {len(outcomes)} endpoints moved."
    why = f"Why: {cell(first_line(record.reason))}" if record.reason else ""
    now = (
        "Nothing."
        if went_well
        else "See why the first one failed, mend that, and promote again: what is done is found done."
    )
    summaries.tell_promotion(sharing, head.capitalize(), outcomes, [now], why)


def _planned(sharing: Sharing, version: int | None, dry_run: bool) -> tuple[int, Gathered, Plan]:
    """The version of this run, what was read for its share, and the plan of that, which is shown.

    Raises:
        Failed: when there is no such version to share.
        PlanRefused: when something stands in the way of the share.
    """
    pinned = steps.pin_version(sharing, version)
    check_shared(sharing, pinned)
    name_run(f"{'plan of: ' if dry_run else ''}promote {sharing.model_package_group} to version {pinned}")
    gathered = sharing_steps.read_registry(sharing)
    if pinned not in {described.version for described in gathered.versions}:
        steps.refuse_unshared(sharing, gathered, pinned)
    plan = plan_share(sharing, gathered)
    sharing_steps.show_plan(sharing, plan)
    return pinned, gathered, plan


def _foreseen(
    sharing: Sharing,
    version: int,
    plan: Plan,
    pin: dict[str, int],
    past: steps.Past,
    moves: Sequence[Foreseen],
) -> Promotion:
    """The promotion of a dry run: the consumers in the order of their turns, and where each endpoint would go."""
    outcomes = foreseen.outcomes(sharing, moves)
    outcomes = recalled.with_recalled(sharing, outcomes, past.serving, version)
    summaries.tell_promotion_plan(sharing, version, plan, pin, outcomes)
    return Promotion(version, tuple(outcomes), "", steps.foresee_registry(sharing, version))


@operation("rollback-model")
def rollback_model(
    config: forms.ConfigFile,
    consumer: forms.ConsumerName,
    reason: forms.Reason,
    version: forms.Version = None,
) -> Promotion:
    """Move a consumer's endpoint back to the version before that proved itself, prove it again, and note why.

    Args:
        config: The reviewed file that names the consumer.
        consumer: The consumer of the endpoint that goes back.
        reason: The reason, for the record.
        version: An earlier version that proved itself and is still kept. Leave it empty for the one before the live one.
    """
    sharing = forms.loaded(config)
    target = sharing.consumer(consumer)
    name_run(f"roll back {sharing.model_package_group} in {consumer} ({target.account})")
    if not reason.strip():
        raise InputError("reason: say why the endpoint is rolled back. It goes into the record.")
    started = datetime.now(UTC)
    with sessions.reuse():
        if sharing.consumers[consumer].run_deployment:
            run = str(flow_run.get_id())
            future = delegation.move_elsewhere.submit(sharing, config, consumer, version, run, back=True)
            (outcome,) = _outcomes([future], run)
        else:
            last = steps.read_last_move(sharing, consumer)
            outcome = steps.roll_back_consumer(sharing, consumer, version, last, reason)
        came_to = "succeeded" if outcome.went_well else "failed"
        facts = {"kind": "rollback", "version": outcome.version, "outcome": came_to}
        record = _record(sharing, started, [outcome], reason=reason, **facts)
        _see(sharing, [outcome])
        _tell(sharing, record, [outcome])
        if outcome.result is not Result.UNCHANGED:
            ending.see(sharing, dashboard.of_record(record))
        where = "" if outcome.result is Result.UNCHANGED else steps.keep_record(sharing, record)
    return _accepted(Promotion(outcome.version, (outcome,), where))


@operation("move-endpoint", task_runner=_RUNNER, on_crashed=[clean_up_run], on_cancellation=[clean_up_run])
def move_endpoint(
    config: forms.ConfigFile, consumer: forms.ConsumerName, version: forms.Version = None, back: bool = False
) -> Promotion:
    """Do one consumer's part of a promotion or a rollback, with only that consumer's credentials.

    `promote_model` and `rollback_model` run it where the config names a deployment of it; they keep the record. The outcome is
    an artifact of the run, outcome-CONSUMER, which exists before the run ends, also where it ends Failed.

    Args:
        config: The reviewed file that names the consumer.
        consumer: The consumer of the endpoint to move.
        version: The version. For a rollback it may stay empty: the one before the live one.
        back: Roll back rather than promote.
    """
    sharing = forms.loaded(config)
    target = sharing.consumer(consumer)
    where = f"version {version}" if version else "the version before"
    name_run(f"move {sharing.model_package_group} to {where} in {consumer} ({target.account})")
    outcomes: list[ConsumerOutcome] = []
    with sessions.reuse():
        try:
            if back:
                outcomes.append(_rolled_back(sharing, consumer, version))
            elif version is None:
                raise InputError("version: name the version. Only a rollback (back) finds one by itself.")
            else:
                check_shared(sharing, version)
                run = str(flow_run.get_id())
                future = steps.promote_consumer.submit(sharing, consumer, version, run)
                for outcome in _outcomes([future], run):
                    outcomes.append(outcome)
        finally:
            for outcome in outcomes:
                delegation.leave_outcome(outcome)
            _see(sharing, outcomes)
            head = f"Moved {sharing.model_package_group} in {consumer} to {where}: {', '.join(str(each.result) for each in outcomes) or 'nothing'}."
            summaries.tell_promotion(
                sharing, head, outcomes, ["The run that asked for it goes on with this outcome."]
            )
    return _accepted(Promotion(outcomes[0].version, tuple(outcomes), ""))


def _rolled_back(sharing: Sharing, consumer: str, version: int | None) -> ConsumerOutcome:
    """A rollback's outcome, also of one that failed before it began; version 0 where there is none to go back to."""
    try:
        return steps.roll_back_consumer(sharing, consumer, version)
    except CrossAccountError as error:
        return not_begun(sharing, consumer, version or 0, error)


def _stage(
    sharing: Sharing, config: str, names: list[str], version: int, run: str
) -> Iterator[ConsumerOutcome]:
    """Promote all consumers of a stage at once, each here or, where the config says so, by a run of its deployment."""
    futures = [
        delegation.move_elsewhere.submit(sharing, config, name, version, run)
        if sharing.consumers[name].run_deployment
        else steps.promote_consumer.submit(sharing, name, version, run)
        for name in names
    ]
    return _outcomes(futures, run)


def _outcomes(futures: Sequence[Any], run: str) -> Iterator[ConsumerOutcome]:
    """The outcome of each consumer; when this run is cancelled, they end and clean up first, and their outcomes come before its end."""
    try:
        outcomes = [future.result() for future in futures]
    except BaseException:
        delegation.stop_of(run).set()
        for future in futures:
            future.wait()
        results = [future.result(raise_on_failure=False) for future in futures]
        yield from (result for result in results if isinstance(result, ConsumerOutcome))
        raise
    yield from outcomes


def _stopped_before(outcomes: Sequence[ConsumerOutcome], told: Sequence[Told]) -> str | None:
    """The reason to skip the stages after one that did not succeed, or of which the registry could not be told; None when all did."""
    for each in told:
        if not each.went_well:
            return f"The registry could not be told that stage {each.promotion_stage} is done."
    stage = next((outcome.stage for outcome in outcomes if not outcome.went_well), None)
    return None if stage is None else f"Stage {stage} did not succeed."


def _did_something(outcome: ConsumerOutcome) -> bool:
    return outcome.result not in (Result.UNCHANGED, Result.HELD)


def _record(sharing: Sharing, started: datetime, outcomes: Sequence[ConsumerOutcome], **facts: Any) -> Record:
    """The record of this run; ``facts`` are the other fields of `Record`."""
    author = f"deployment {deployment.get_name()}" if deployment.get_id() else f"user {getpass.getuser()}"
    parts = [outcome.to_json() for outcome in outcomes]
    for proof in (proof for part in parts for proof in part["proofs"]):
        proof["answers"] = proof["answers"][:20]
    return Record(
        run=str(flow_run.get_id()),
        model_package_group=sharing.model_package_group,
        started_by=f"{author}, flow run {flow_run.get_name()}",
        started=started,
        ended=datetime.now(UTC),
        consumers=parts,
        **facts,
    )


def _accepted(promotion: Promotion) -> Promotion:
    """The promotion, unless a consumer did not come to serve the version, or the registry could not be told.

    Raises:
        PromotionFailed: with every consumer's outcome.
    """
    failed = [str(outcome) for outcome in promotion.consumers if not outcome.went_well]
    failed += [str(told) for told in promotion.lifecycle if not told.went_well]
    if reasons := tuple(failed):
        raise PromotionFailed(reasons, promotion.table(), promotion.to_json())
    return promotion
