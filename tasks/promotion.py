"""The promotion's steps: each opens an account, calls the library, logs one line, returns plain data.

Not here: the order of the consumers (``flows.promotion``), and a part done by a deployment (``tasks.delegation``).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from prefect import get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import get_client

from crossaccount import arns
from crossaccount.aws.access import Target, open_target, producing
from crossaccount.config.model import Sharing
from crossaccount.errors import CrossAccountError, PlanRefused, Severity
from crossaccount.hosting import guardrails, preflight, requests, state
from crossaccount.promotion import back, foreseen, history, moving, records
from crossaccount.promotion.foreseen import Foreseen
from crossaccount.promotion.history import Move
from crossaccount.promotion.outcome import ConsumerOutcome, Result, not_begun, not_moved
from crossaccount.promotion.records import Record
from crossaccount.registry import chosen, lifecycle
from crossaccount.registry.lifecycle import Told
from crossaccount.release.manifest import Release
from crossaccount.sharing import gather
from crossaccount.sharing.gather import Gathered
from crossaccount.text import first_line
from tasks import locks, recalled, steps
from tasks.consumer import publish_proof
from tasks.delegation import log_outcome, stop_of

_PINNED = "crossaccount.version"
_REMEMBERED = 200  # records that are looked through for a move or a rollback
_RECORD_COLUMNS = ("stage", "consumer", "account", "result", "before", "live", "seconds")


@steps.step("find the version of {sharing.model_package_group}")
def pin_version(sharing: Sharing, version: int | None) -> int:
    """The version of this run: the newest approved one when it is left out, found once and kept as a label of the flow run.

    A run that is suspended for an approval begins anew when it is resumed; it goes on with the version that it had.
    """
    run = steps.run_id()
    with get_client(sync_client=True) as client:
        label = client.read_flow_run(run).labels.get(_PINNED)
        if label is not None:
            return int(label)
        pinned = version if version is not None else _newest(sharing)
        client.update_flow_run_labels(run, {_PINNED: pinned})
    get_run_logger().info("version %d of %s", pinned, sharing.model_package_group)
    return pinned


def _newest(sharing: Sharing) -> int:
    with producing(sharing) as producer:
        found = chosen.read_versions(producer.sagemaker, sharing)
    if not found.versions:
        raise PlanRefused(tuple(replace(each, severity=Severity.ERROR) for each in found.left_out.values()))
    return found.versions[-1].version


@steps.step("look why version {version} is not shared")
def refuse_unshared(sharing: Sharing, gathered: Gathered, version: int) -> None:
    """Refuse a version that the config does not share; raises as `gather.require_version` does."""
    gather.require_version(sharing, gathered, version)


def _history(sharing: Sharing) -> Sequence[Record]:
    with producing(sharing) as producer:
        return records.read(producer, _REMEMBERED)


@dataclass(frozen=True)
class Past:
    """What is on record of the consumers: who is held from a version and why, and the version that each one's endpoint serves."""

    held: dict[str, str] = field(default_factory=dict)
    serving: dict[str, int] = field(default_factory=dict)


@steps.step("look back at the moves to version {version}")
def look_back(sharing: Sharing, version: int, named: bool) -> Past:
    """Who was rolled back from the version and stays so, and who serves what; nothing when a person named the version."""
    if named:
        return Past()
    known = _history(sharing)
    reasons = history.rolled_back_from(known, version)
    for name, why in reasons.items():
        get_run_logger().warning("%s is held: %s", name, why)
    return Past(reasons, recalled.on_record(sharing, known))


@steps.step("look where version {version} would go")
def foresee(sharing: Sharing, version: int, held: dict[str, str]) -> list[Foreseen]:
    """Where a promotion would take each endpoint; what cannot be told from here is said."""
    found = foreseen.foresee(sharing, version, held)
    for each in found:
        get_run_logger().info("%s", each)
    return found


@steps.step("look whether what is live was recalled")
def note_recalled(sharing: Sharing, error: CrossAccountError) -> None:
    """Note on the error that ends a promotion before its first stage each version on record that was recalled."""
    try:
        serving = recalled.on_record(sharing, _history(sharing))
        found = recalled.find_recalled(sharing, serving.values())
    except CrossAccountError as other:
        if str(other) != str(error):  # which is said at the end
            get_run_logger().warning(
                "whether live versions were recalled cannot be told: %s", first_line(other)
            )
        return
    for sentence in recalled.sentences(sharing, serving, found).values():
        error.add_note(f"{sentence} It was left as it is, and no access was narrowed.")


@steps.step("tell the registry that stage {number} serves version {version}")
def tell_registry(sharing: Sharing, version: int, number: int, outcomes: Sequence[ConsumerOutcome]) -> Told:
    """Write what the config says of a stage that is done to the version; an error is part of what came of it."""
    others = [
        each.consumer
        for each in outcomes
        if each.stage == number and not (each.went_well and each.live == version)
    ]
    if others:
        text = (
            f"It is told once all of stage {number} serve version {version}, and {', '.join(others)} do not."
        )
        told = lifecycle.not_told(sharing, number, "left", text)
    else:
        try:
            with producing(sharing) as producer:
                told = lifecycle.tell(producer.sagemaker, sharing, version, number)
        except CrossAccountError as error:
            text = f"The endpoints serve version {version} and stay. {error}"
            told = lifecycle.not_told(sharing, number, "failed", text)
    get_run_logger().log(logging.INFO if told.went_well else logging.ERROR, "%s", told)
    return told


@steps.step("look what the registry would be told of version {version}")
def foresee_registry(sharing: Sharing, version: int) -> tuple[Told, ...]:
    """What the registry would be told at the end of each stage."""
    if not sharing.lifecycle:
        return ()
    with producing(sharing) as producer:
        told = tuple(
            lifecycle.foresee(producer.sagemaker, sharing, version, number) for number in sharing.lifecycle
        )
    for each in told:
        get_run_logger().info("%s", each)
    return told


@steps.step("look whether there is work for {names}")
def has_work(sharing: Sharing, names: Sequence[str], releases: Sequence[Release], version: int) -> bool:
    """Whether any of these consumers' endpoints does not serve the version yet, as far as can be seen.

    The endpoint of a consumer whose part is done by a deployment cannot: only its own worker has its credentials.
    """
    if any(sharing.consumers[name].run_deployment for name in names):
        return True
    release = next(release for release in releases if release.version == version)
    for name in names:
        consumer = sharing.consumers[name]
        try:
            target = open_target(sharing, name)
            with target.explained("sagemaker:DescribeEndpoint", consumer.endpoint.name):
                if not moving.serves_proven(state.look(target), consumer, release):
                    return True
        except CrossAccountError as error:  # its own promotion fails with it, and is reported
            get_run_logger().warning("%s: %s", name, error)
            return True
    return False


@steps.step("promote {name} to version {version}")
def promote_consumer(sharing: Sharing, name: str, version: int, run: str) -> ConsumerOutcome:
    """Bring one consumer's endpoint to the version; an error is part of the outcome."""
    consumer, logger, stop = sharing.consumers[name], get_run_logger(), stop_of(run)
    progress = steps.Progress(f"{name} to version {version}")

    def report(line: str) -> None:
        stop.check()
        if progress.show(line):
            logger.info("%s: %s", name, line)

    try:
        target = open_target(sharing, name)
        release = _release(target, version, deploys=True)
        arn = arns.endpoint_arn(sharing, consumer)
        with locks.writing([arn, f"{arn}-v{version}"]):  # the endpoint, and its trial endpoint
            moving_run = moving.Run(report, stop.check, run)
            outcome = moving.promote(target, release, guardrails.patience(consumer), moving_run)
    except CrossAccountError as error:
        outcome = not_begun(sharing, name, version, error)
    log_outcome(outcome)
    progress.show(str(outcome.result), 100.0)
    for proof in outcome.proofs:
        publish_proof(proof, stays=proof.endpoint == consumer.endpoint.name)
    return outcome


def _release(target: Target, version: int, deploys: bool = False) -> Release:
    """The Release, as the consumer sees it, held against the registry and against the artifacts; a licence only where a model is made."""
    described = preflight.find_version(target, version)
    if deploys:
        requests.check_licence(target.consumer, described)
    release = preflight.read_release(target, described)
    preflight.check_artifacts(target, release)
    return release


@steps.step("read the last move of {name}")
def read_last_move(sharing: Sharing, name: str) -> Move | None:
    """The last move of a consumer's endpoint on record; None when there is none."""
    return history.last_move(_history(sharing), name)


@steps.step("look whether version {version} is on record for {names}")
def is_recorded(sharing: Sharing, names: Sequence[str], version: int) -> bool:
    """Whether it is on record that all of these consumers' endpoints serve the version: a run may have died before that."""
    known = _history(sharing)
    moves = [history.last_move(known, name) for name in names]
    return all(move is not None and move.live == version for move in moves)


@steps.step("roll back {name}")
def roll_back_consumer(
    sharing: Sharing, name: str, version: int | None, last: Move | None = None, reason: str = ""
) -> ConsumerOutcome:
    """Move one consumer's endpoint back to the version before, or to an earlier one, and prove it.

    Args:
        sharing: the config.
        name: the consumer.
        version: the earlier version; None is the one before the live one.
        last: the last move on record; it shows a rollback that a dead run has begun, or made.
        reason: for the rollback, as it will be on record.
    """
    consumer, logger = sharing.consumers[name], get_run_logger()
    target = open_target(sharing, name)
    way = back.find(target, version, last, reason)
    if way.to is None:
        text = f"The endpoint {way.endpoint} was rolled back to version {way.live} for this reason already. To go further, name the version."
        logger.info("%s: %s", name, text)
        unchanged = not_moved(sharing, name, int(way.live or 0), Result.UNCHANGED, text)
        return replace(unchanged, before=way.live, live=way.live)
    to = way.to
    with target.explained("sagemaker:DescribeModel", "*"):
        target = state.as_deployed(target, to)
    release = _release(target, to.version)
    with locks.writing([arns.endpoint_arn(sharing, consumer)]):
        run = moving.Run(lambda line: logger.info("%s: %s", name, line))
        outcome = moving.go_back(target, to, release, guardrails.patience(consumer), run, way.before)
    log_outcome(outcome)
    return outcome


@steps.step("keep the record of version {record.version}")
def keep_record(sharing: Sharing, record: Record) -> str:
    """Write the record beside the Releases, and into an artifact of the run; where it lies."""
    with producing(sharing) as producer:
        where = records.write(producer, record)
    get_run_logger().info("record: %s", where)
    create_table_artifact(
        key=steps.key_of(record.kind, sharing.model_package_group),
        table=[
            *(
                {**{key: part[key] for key in _RECORD_COLUMNS}, "because": part["text"]}
                for part in record.consumers
            ),
            *(
                {
                    **dict.fromkeys(_RECORD_COLUMNS),
                    "stage": told["promotion_stage"],
                    "consumer": "registry",
                    "result": told["result"],
                    "because": told["text"],
                }
                for told in record.lifecycle
            ),
        ],
        description=f"{record.kind} of version {record.version}: {record.outcome}. {where}",
    )
    return where
