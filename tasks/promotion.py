"""The promotion's steps: each opens a session, calls the library, logs one line, returns plain data."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey
from prefect.client.schemas.sorting import ArtifactSort
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Cancelling

from crossaccount import arns, packages, preflight, promotion, records, rollout, serving
from crossaccount.aws import sessions
from crossaccount.aws.access import producing
from crossaccount.config.model import Sharing
from crossaccount.errors import CrossAccountError, DoorName, Failed
from crossaccount.promotion import Move, Promoted, Result
from crossaccount.records import Record
from crossaccount.release import Release
from crossaccount.strict_json import parse_json
from tasks import alone, runs

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun


_PINNED = "crossaccount.version"
_REMEMBERED = 200  # records that are looked through for rollbacks
_FIRST_ASK, _LONGEST_ASK = 0.5, 10.0  # how often a run elsewhere is asked after
_PICKUP_SECONDS = 600.0  # how long a run elsewhere may stay without a worker
_ENDING_SECONDS = (
    25.0  # for a run that was told to end: a worker kills what it cancels after 30 s, this run too
)
_SILENT_SECONDS = 300.0  # how long the Prefect server may not answer
_WAITS = 8  # of one consumer's part, one after the other, each no longer than `rollout.patience`
_SUBMITTING = threading.Lock()  # Prefect counts a flow run's subflows without one


class Stopped(CrossAccountError):
    """A promotion was told to end."""


class Stop:
    """Tells the consumers that are being promoted in other threads to end, and to clean up."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """End."""
        self._event.set()

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until it is set; True when it is."""
        return self._event.wait(seconds)

    def check(self) -> None:
        """End here, if it was set.

        Raises:
            Stopped: then.
        """
        if self._event.is_set():
            raise Stopped("The run was cancelled.")


_STOPS: dict[str, Stop] = {}


def stop_of(run: str) -> Stop:
    """The stop of a flow run, one for each."""
    return _STOPS.setdefault(run, Stop())


@runs.step("find the version of {sharing.model_package_group}")
def pin_version(sharing: Sharing, version: int | None) -> int:
    """The version of this run: the one asked for, or the newest approved one, found once and kept with the flow run.

    A run that is suspended for an approval begins anew when it is resumed; it goes on with the version that it had.
    """
    run = UUID(str(flow_run.get_id()))
    with get_client(sync_client=True) as client:
        kept = client.read_flow_run(run).labels.get(_PINNED)
        if kept is not None:
            return int(kept)
        found = version if version is not None else _newest(sharing)
        client.update_flow_run_labels(run, {_PINNED: found})
    get_run_logger().info("version %d of %s", found, sharing.model_package_group)
    return found


def _newest(sharing: Sharing) -> int:
    with producing(sharing) as producer:
        return packages.read_versions(producer.sagemaker, sharing)[-1].version


@runs.step("look who is held")
def find_held(sharing: Sharing, version: int, named: bool) -> dict[str, str]:
    """The consumers that were rolled back from the version and stay so, and why; nobody when the version was asked for."""
    if named:
        return {}
    with producing(sharing) as producer:
        found = promotion.held(records.read(producer, _REMEMBERED), version)
    for name, why in found.items():
        get_run_logger().warning("%s is held: %s", name, why)
    return found


@runs.step("look whether there is work for {names}")
def has_work(sharing: Sharing, names: Sequence[str], releases: Sequence[Release], version: int) -> bool:
    """Whether any of these consumers' endpoints does not serve the version yet; one that may not be looked at does not.

    One whose part is done by a deployment cannot be looked at from here: only its own worker has its credentials.
    """
    if any(sharing.consumers[name].run_deployment for name in names):
        return True
    release = next(one for one in releases if one.version == version)
    for name in names:
        consumer = sharing.consumers[name]
        asked = ("sagemaker:DescribeEndpoint", consumer.endpoint.name)
        try:
            session = sessions.consumer_session(sharing, name, consumer)
            with preflight.explained(session, sharing, name, consumer, DoorName.CALLER_POLICY, asked):
                there = promotion.stands(rollout.look(session, sharing, consumer), consumer, release)
        except CrossAccountError as error:
            get_run_logger().warning(
                "%s: %s", name, error
            )  # its own promotion fails with it, and is reported
            there = False
        if not there:
            return True
    return False


@runs.step("promote {name} to version {version}")
def promote_consumer(sharing: Sharing, name: str, version: int, run: str) -> Promoted:
    """Bring one consumer's endpoint to the version; what goes wrong is part of what it returns."""
    consumer, logger, stop = sharing.consumers[name], get_run_logger(), stop_of(run)
    progress = runs.Progress(f"{name} to version {version}")

    def tell(text: str) -> None:
        stop.check()
        if text and progress.tell(text):
            logger.info("%s: %s", name, text)

    try:
        session = sessions.consumer_session(sharing, name, consumer)
        release = _release(session, sharing, name, version)
        arn = arns.endpoint_arn(sharing, consumer)
        with alone.writing([arn, f"{arn}-v{version}"]):  # its own, and the one that it is tried out on
            found = promotion.promote(session, sharing, name, release, rollout.patience(consumer), tell, run)
    except CrossAccountError as error:
        found = Promoted(
            name, consumer.account, consumer.stage, Result.FAILED, version, None, None, str(error)
        )
    level = logger.error if found.result is Result.FAILED else logger.info
    level("%s: %s. %s", name, found.result, found.text)
    progress.tell(str(found.result), 100.0)
    for proof in found.proofs:
        create_markdown_artifact(
            key=runs.key_of("proof", proof.endpoint),
            markdown=serving.proof_markdown(proof),
            description=f"Version {proof.version} in account {proof.account}",
        )
    return found


def _release(session: Any, sharing: Sharing, name: str, version: int) -> Release:
    """The Release, as the consumer sees it, held against the registry and against the artifacts."""
    consumer = sharing.consumers[name]
    asked = ("sagemaker:DescribeModelPackage", sharing.model_package_group)
    with preflight.explained(session, sharing, name, consumer, DoorName.REGISTRY, asked):
        described = preflight.find_version(session, sharing, version)
    asked = preflight.reading_release(sharing, version)
    with preflight.explained(session, sharing, name, consumer, DoorName.BUCKET, asked):
        release = preflight.read_release(session, sharing, described)
    asked = preflight.reading_artifacts(sharing, release)
    with preflight.explained(session, sharing, name, consumer, DoorName.BUCKET, asked):
        preflight.check_artifacts(session, sharing, release)
    return release


@runs.step("read what the history says of {name}")
def read_last_move(sharing: Sharing, name: str) -> Move | None:
    """How a consumer's endpoint came to where the history says that it is; None when that says nothing of it."""
    with producing(sharing) as producer:
        return promotion.last_move(records.read(producer, _REMEMBERED), name)


@runs.step("look whether the history says where {names} are")
def is_recorded(sharing: Sharing, names: Sequence[str], version: int) -> bool:
    """Whether the history says that all of these consumers' endpoints serve the version: a run may have died before it did."""
    with producing(sharing) as producer:
        known = records.read(producer, _REMEMBERED)
    moves = [promotion.last_move(known, name) for name in names]
    return all(move is not None and move.live == version for move in moves)


@runs.step("roll back {name}")
def roll_back_consumer(
    sharing: Sharing, name: str, version: int | None, last: Move | None = None, reason: str = ""
) -> Promoted:
    """Move one consumer's endpoint back to the version before, or to an earlier one, and prove it.

    Args:
        sharing: the config.
        name: the consumer.
        version: the earlier version; None is the one before the live one.
        last: what the history says of the consumer; a rollback that a dead run has begun, or made, is told by it.
        reason: why, as it will be on record.
    """
    consumer, logger = sharing.consumers[name], get_run_logger()
    session = sessions.consumer_session(sharing, name, consumer)
    asked = ("sagemaker:ListEndpointConfigs", "*")
    with preflight.explained(session, sharing, name, consumer, DoorName.CALLER_POLICY, asked):
        live = rollout.look(session, sharing, consumer)
        if last and live and promotion.is_back(live, last, version, reason):
            text = f"The endpoint {live.endpoint} was rolled back to version {last.live} for this reason already. To go further, name --version."
            logger.info("%s: %s", name, text)
            done = promotion.untouched(sharing, name, int(last.live or 0), Result.UNCHANGED, text)
            return replace(done, before=last.live, live=last.live)
        known = rollout.earlier(session, sharing, consumer)
        left = promotion.left(live, known, last)
        if left is not None and live is not None and version in (None, live.version):
            to = next(one for one in known if one.config == live.config)
        else:
            left, to = None, _earlier(session, sharing, name, version)
    release = _release(session, sharing, name, to.version)

    def tell(text: str) -> None:
        if text:
            logger.info("%s: %s", name, text)

    with alone.writing([arns.endpoint_arn(sharing, consumer)]):
        patience = rollout.patience(consumer)
        found = promotion.go_back(session, sharing, name, to, release, patience, tell, left)
    (logger.error if found.result is Result.FAILED else logger.info)("%s: %s", name, found.text)
    return found


def _earlier(session: Any, sharing: Sharing, name: str, version: int | None) -> rollout.Earlier:
    consumer = sharing.consumers[name]
    if version is None:
        found = rollout.previous(session, sharing, consumer)
    else:
        known = rollout.earlier(session, sharing, consumer)
        found = next((one for one in known if one.version == version and one.proven), None)
    if found is None:
        what = "earlier version" if version is None else f"version {version}"
        raise Failed(
            f"The endpoint {consumer.endpoint.name} of {name} has no {what} that proved itself and is still kept. Promote one: crossaccount "
            "promote CONFIG --version N."
        )
    return found


@runs.step("leave the outcome of {outcome.consumer}")
def leave_outcome(outcome: Promoted) -> None:
    """Put a consumer's outcome where the run that waits for it finds it: in an artifact of this run."""
    create_table_artifact(
        key=_outcome_key(outcome.consumer),
        table=[outcome.to_json()],
        description=f"{outcome.consumer}: {outcome.result}. {outcome.text}",
    )


def _outcome_key(name: str) -> str:
    return f"outcome-{name}"


@runs.step("have {name} moved by its deployment")
def move_elsewhere(
    sharing: Sharing, config: str, name: str, version: int | None, run: str, back: bool = False
) -> Promoted:
    """Have one consumer's part done by a run of its deployment; what goes wrong is part of what this returns.

    Args:
        sharing: the config.
        config: its path; the other run is given the reviewed file of that name.
        name: the consumer.
        version: the version; None, for a rollback alone, is the one before the live one.
        run: the flow run that asks for it, whose end is the other's too.
        back: roll back rather than promote.
    """
    logger = get_run_logger()
    # A run of a deployment is given the name of a reviewed file, not its path.
    asked = {"config": Path(config).name, "consumer": name, "version": version, "back": back}
    try:
        with get_client(sync_client=True) as client:
            child = _ended(client, sharing, name, _submitted(sharing, name, asked, run), stop_of(run))
            found = _believed(client, sharing, name, child, asked)
    except CrossAccountError as error:
        found = promotion.untouched(sharing, name, version or 0, Result.FAILED, str(error))
    except httpx.HTTPError as error:
        text = f"The Prefect server does not answer: {error}. What became of {name} is to be seen in Prefect, then run this again."
        found = promotion.untouched(sharing, name, version or 0, Result.FAILED, text)
    level = logger.error if found.result is Result.FAILED else logger.info
    level("%s: %s. %s", name, found.result, found.text)
    return found


def _submitted(sharing: Sharing, name: str, asked: dict[str, Any], run: str) -> FlowRun:
    """A run of the consumer's deployment: the one that this run has under way already, or a new one."""
    deployment = str(sharing.consumers[name].run_deployment)
    version = asked["version"]
    given: dict[str, Any] = {
        "parameters": {key: value for key, value in asked.items() if value is not None},
        "timeout": 0,
        "as_subflow": True,
        "tags": ["crossaccount", f"consumer:{name}"],
        "flow_run_name": f"{name} {'back ' if asked['back'] else ''}to {f'version {version}' if version else 'the version before'}",
    }
    key = f"{run}-{name}-{version}"
    try:
        with _SUBMITTING:
            found: Any = run_deployment(deployment, idempotency_key=key, **given)
            if found.state and found.state.is_final():
                # This run was begun anew, after an approval or by a person. What the endpoint is now is asked anew too.
                again = f"{key}-{flow_run.get_run_count()}"
                found = run_deployment(deployment, idempotency_key=again, **given)
    except ObjectNotFound:
        raise Failed(
            f"There is no deployment {deployment} on this Prefect server: prefect deploy --name {deployment.partition('/')[2]!r}, or take "
            f"consumers.{name}.run_deployment out of the config."
        ) from None
    except httpx.HTTPStatusError as error:
        raise Failed(
            f"The Prefect server takes no run of {deployment} for this: {_short(error.response.text)}. It must be a deployment of the flow "
            "move-endpoint, as it is in this version."
        ) from None
    get_run_logger().info("%s: flow run %s of %s", name, found.name, deployment)
    asked_for: FlowRun = found
    return asked_for


def _ended(client: SyncPrefectClient, sharing: Sharing, name: str, child: FlowRun, stop: Stop) -> FlowRun:
    """The run when it has ended; one that nobody takes, or that lasts too long, is told to end.

    Raises:
        Failed: for these, and for one that goes on although this run was cancelled.
    """
    deployment, pause = sharing.consumers[name].run_deployment, _FIRST_ASK
    longest = _WAITS * rollout.patience(sharing.consumers[name]).seconds
    heard = taken = waited = time.monotonic()
    while not _is_final(child):
        if stop.wait(pause):
            return _called_off(client, child, "The run that asked for it was cancelled.")
        pause = min(pause * 1.3, _LONGEST_ASK)
        now = time.monotonic()
        try:
            child, heard = client.read_flow_run(child.id), now
        except httpx.HTTPError:
            if now - heard > _SILENT_SECONDS:
                raise
            continue
        if not _unclaimed(child):
            taken = now
        if not (child.state and child.state.is_running()):
            waited = now
        if now - taken > _PICKUP_SECONDS:
            _called_off(client, child, "No worker took it.")
            pool = child.work_pool_name
            start = f"prefect worker start --pool {pool!r}" if pool else f"whatever serves {deployment}"
            raise Failed(
                f"Flow run {child.name} of {deployment} was cancelled: no worker took it in {_PICKUP_SECONDS:.0f} s. Start one: {start}."
            )
        if now - waited > longest:
            _called_off(client, child, "It has been running for too long.")
            raise Failed(
                f"Flow run {child.name} of {deployment} was cancelled: it ran for more than {longest:.0f} s."
            )
    return child


def _is_final(child: FlowRun) -> bool:
    return child.state is not None and child.state.is_final()


def _unclaimed(child: FlowRun) -> bool:
    """Whether no worker has it; one that waits for the deployment's other runs, or to be tried again, has been taken."""
    state = child.state
    return (
        state is None
        or state.is_pending()
        or (state.is_scheduled() and state.name not in ("AwaitingConcurrencySlot", "AwaitingRetry"))
    )


def _called_off(client: SyncPrefectClient, child: FlowRun, why: str) -> FlowRun:
    """Tell a run to end; it, once it has.

    Raises:
        Failed: when it does not end in time.
    """
    client.set_flow_run_state(child.id, Cancelling(message=why))
    until = time.monotonic() + _ENDING_SECONDS
    while True:
        child = client.read_flow_run(child.id)
        if _is_final(child):
            return child
        if time.monotonic() > until:
            raise Failed(
                f"{why} Flow run {child.name} was told to end, and has not yet. Look at it in Prefect."
            )
        time.sleep(_FIRST_ASK)


def _believed(
    client: SyncPrefectClient, sharing: Sharing, name: str, child: FlowRun, asked: dict[str, Any]
) -> Promoted:
    """The outcome that a run has left.

    Raises:
        Failed: when it has left none, or one that cannot be its.
    """
    who = f"Flow run {child.name} of {sharing.consumers[name].run_deployment}"
    kept = client.read_artifacts(
        artifact_filter=ArtifactFilter(
            flow_run_id=ArtifactFilterFlowRunId(any_=[child.id]),
            key=ArtifactFilterKey(any_=[_outcome_key(name)]),
        ),
        sort=ArtifactSort.CREATED_DESC,
        limit=1,
    )
    if not kept:
        state = child.state
        told = f": {_short(state.message)}" if state and state.message else ""
        raise Failed(f"{who} ended {state.name if state else 'nowhere'} and left no outcome{told}")
    try:
        (row,) = parse_json(str(kept[0].data))
        found = promotion.from_json(row)
    except (TypeError, ValueError, RecursionError) as error:
        raise Failed(f"{who} left an outcome that is none: {_short(str(error))}") from None
    strange = promotion.unlike(found, sharing, name, asked["version"], asked["back"])
    if strange:
        raise Failed(f"{who} left an outcome that is not believed: {strange}. Look at the endpoint.")
    return found


def _short(text: str) -> str:
    """What others say, in a line that moves no terminal."""
    return "".join(one if one.isprintable() else " " for one in text)[:1000]


@runs.step("keep the record of version {record.version}")
def keep_record(sharing: Sharing, record: Record) -> str:
    """Write the record beside the Releases, and into an artifact of the run; where it lies."""
    with producing(sharing) as producer:
        where = records.write(producer, record)
    get_run_logger().info("record: %s", where)
    create_table_artifact(
        key=runs.key_of(record.kind, sharing.model_package_group),
        table=[
            {
                "stage": one["stage"],
                "consumer": one["consumer"],
                "account": one["account"],
                "result": one["result"],
                "before": one["before"],
                "live": one["live"],
                "seconds": one["seconds"],
                "because": one["text"],
            }
            for one in record.consumers
        ],
        description=f"{record.kind} of version {record.version}: {record.outcome}. {where}",
    )
    return where
