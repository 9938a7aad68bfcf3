"""A consumer's part of a promotion, done by a run of its deployment, which ends when the promotion's run is cancelled.

Not here: the part itself (``tasks.promotion``).
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from prefect import get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey
from prefect.client.schemas.sorting import ArtifactSort
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Cancelling

from crossaccount.config.model import Sharing
from crossaccount.errors import CrossAccountError, Failed
from crossaccount.hosting import guardrails
from crossaccount.promotion.outcome import ConsumerOutcome, Result, mismatch, not_begun, read_outcome
from crossaccount.strict_json import parse_json
from tasks import steps

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

_FIRST_ASK, _LONGEST_ASK = 0.5, 10.0  # seconds between two looks at a run elsewhere
_PICKUP_SECONDS = 600.0  # how long a run elsewhere may stay without a worker
_ENDING_SECONDS = 25.0  # for a cancelled run to end: a worker kills a cancelled run, this one too, after 30 s
_SILENT_SECONDS = 300.0  # how long the Prefect server may not answer
_WAITS = 8  # of one consumer's part, one after the other, each no longer than `guardrails.patience`
_SUBMITTING = threading.Lock()  # Prefect counts a flow run's subflows without one


class Stopped(CrossAccountError):
    """A promotion was cancelled."""


class Stop(threading.Event):
    """Once set, the consumers that are being promoted in other threads end, and clean up."""

    def check(self) -> None:
        """End here, if it is set.

        Raises:
            Stopped: then.
        """
        if self.is_set():
            raise Stopped("The run was cancelled.")


_STOPS: dict[str, Stop] = {}


def stop_of(run: str) -> Stop:
    """The stop of a flow run, one for each."""
    return _STOPS.setdefault(run, Stop())


def log_outcome(outcome: ConsumerOutcome) -> None:
    """Log an outcome: at the level error when it failed."""
    level = logging.ERROR if outcome.result is Result.FAILED else logging.INFO
    get_run_logger().log(level, "%s", outcome)


@steps.step("leave the outcome of {outcome.consumer}")
def leave_outcome(outcome: ConsumerOutcome) -> None:
    """Put a consumer's outcome where the run that waits for it finds it: in an artifact of this run."""
    create_table_artifact(
        key=_outcome_key(outcome.consumer),
        table=[outcome.to_json()],
        description=str(outcome),
    )


def _outcome_key(name: str) -> str:
    return f"outcome-{name}"


@steps.step("have {name} moved by its deployment")
def move_elsewhere(
    sharing: Sharing, config: str, name: str, version: int | None, run: str, back: bool = False
) -> ConsumerOutcome:
    """Have one consumer's part done by a run of its deployment; an error is part of the outcome.

    Args:
        sharing: the config.
        config: its path; the other run reads the reviewed file of that name.
        name: the consumer.
        version: the version; None, only for a rollback, is the one before the live one.
        run: the flow run that asks for it; when it is cancelled, so is the other run.
        back: roll back rather than promote.
    """
    # A run of a deployment takes the name of a reviewed file, not its path.
    parameters = {"config": Path(config).name, "consumer": name, "version": version, "back": back}
    try:
        with get_client(sync_client=True) as client:
            child = _ended(client, sharing, name, _submitted(sharing, name, parameters, run), stop_of(run))
            outcome = _outcome_of(client, sharing, name, child, parameters)
    except CrossAccountError as error:
        outcome = not_begun(sharing, name, version or 0, error)
    except httpx.HTTPError as error:
        text = f"The Prefect server does not answer: {error}. Look at the run for {name} in Prefect, then run this again."
        outcome = not_begun(sharing, name, version or 0, Failed(text))
    log_outcome(outcome)
    return outcome


def _submitted(sharing: Sharing, name: str, parameters: dict[str, Any], run: str) -> FlowRun:
    """A run of the consumer's deployment: the one that this run has started already, or a new one."""
    deployment = str(sharing.consumers[name].run_deployment)
    version = parameters["version"]
    options: dict[str, Any] = {
        "parameters": {key: value for key, value in parameters.items() if value is not None},
        "timeout": 0,
        "as_subflow": True,
        "tags": ["crossaccount", f"consumer:{name}"],
        "flow_run_name": f"{name} {'back ' if parameters['back'] else ''}to {f'version {version}' if version else 'the version before'}",
    }
    key = f"{run}-{name}-{version}"
    try:
        with _SUBMITTING:
            child: Any = run_deployment(deployment, idempotency_key=key, **options)
            if child.state and child.state.is_final():
                # This run was begun anew, after an approval or by a person, so the endpoint's part is done anew too.
                again = f"{key}-{flow_run.get_run_count()}"
                child = run_deployment(deployment, idempotency_key=again, **options)
    except ObjectNotFound:
        raise Failed(
            f"There is no deployment {deployment} on this Prefect server: prefect deploy --name {deployment.partition('/')[2]!r}, or take "
            f"consumers.{name}.run_deployment out of the config."
        ) from None
    except httpx.HTTPStatusError as error:
        raise Failed(
            f"The Prefect server takes no run of {deployment}: {_short(error.response.text)}. It must be a deployment of the flow "
            "move-endpoint, as it is in this version."
        ) from None
    get_run_logger().info("%s: flow run %s of %s", name, child.name, deployment)
    submitted: FlowRun = child
    return submitted


def _ended(client: SyncPrefectClient, sharing: Sharing, name: str, child: FlowRun, stop: Stop) -> FlowRun:
    """The run when it has ended; one that no worker takes, or that lasts too long, is cancelled.

    Raises:
        Failed: for these, and for one that goes on although this run was cancelled.
    """
    deployment, pause = sharing.consumers[name].run_deployment, _FIRST_ASK
    longest = _WAITS * guardrails.patience(sharing.consumers[name]).seconds
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
            start = (
                f"prefect worker start --pool {pool!r}" if pool else f"the process that serves {deployment}"
            )
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
    """Whether no worker has taken it; one that waits for the deployment's other runs, or for a retry, has been taken."""
    state = child.state
    return (
        state is None
        or state.is_pending()
        or (state.is_scheduled() and state.name not in ("AwaitingConcurrencySlot", "AwaitingRetry"))
    )


def _called_off(client: SyncPrefectClient, child: FlowRun, why: str) -> FlowRun:
    """Cancel a run; the run, once it has ended.

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
                f"{why} Flow run {child.name} was cancelled, and has not ended yet. Look at it in Prefect."
            )
        time.sleep(_FIRST_ASK)


def _outcome_of(
    client: SyncPrefectClient, sharing: Sharing, name: str, child: FlowRun, parameters: dict[str, Any]
) -> ConsumerOutcome:
    """The outcome that a run has left.

    Raises:
        Failed: when it has left none, or one that does not answer the request.
    """
    where = f"Flow run {child.name} of {sharing.consumers[name].run_deployment}"
    artifacts = client.read_artifacts(
        artifact_filter=ArtifactFilter(
            flow_run_id=ArtifactFilterFlowRunId(any_=[child.id]),
            key=ArtifactFilterKey(any_=[_outcome_key(name)]),
        ),
        sort=ArtifactSort.CREATED_DESC,
        limit=1,
    )
    if not artifacts:
        final = child.state
        message = f": {_short(final.message)}" if final and final.message else ""
        raise Failed(f"{where} ended {final.name if final else 'nowhere'} and left no outcome{message}")
    try:
        (row,) = parse_json(str(artifacts[0].data))
        outcome = read_outcome(row)
    except (TypeError, ValueError, RecursionError) as error:
        raise Failed(f"{where} left an outcome that cannot be read: {_short(str(error))}") from None
    if why := mismatch(outcome, sharing, name, parameters["version"], parameters["back"]):
        raise Failed(f"{where} left an outcome that is not believed: {why}. Look at the endpoint.")
    return outcome


def _short(text: str) -> str:
    """A text of others in a line that moves no terminal, cut to 1000 characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:1000]
