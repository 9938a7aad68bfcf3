"""Removing what dead runs left: on a schedule, and as the hook of a run that crashed or was cancelled.

A hook is run by Prefect in another process than the run's, after SIGKILL for one, with nothing but the run's parameters. The
loss of a host runs no hook: that is what the schedule is for.

Source: "State change hooks" in the Prefect documentation.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect import Flow, State, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound
from prefect.logging.loggers import flow_run_logger

from crossaccount.aws import sessions
from crossaccount.aws.access import Target, open_target
from crossaccount.config.loading import load_config
from crossaccount.config.model import Sharing
from crossaccount.errors import CrossAccountError
from crossaccount.hosting import leftovers
from crossaccount.hosting.gateway import Patience
from crossaccount.hosting.leftovers import Leftover, Swept
from crossaccount.hosting.resources import Fate
from crossaccount.show import leftovers as pages
from tasks import reviewed, steps

_PATIENCE_SECONDS = 900.0  # a hook keeps its worker from ending; what is Creating then, the schedule removes


@steps.step("look through {name}")
def sweep(sharing: Sharing, name: str, older_than: timedelta, dry_run: bool) -> Swept:
    """Remove what dead runs left in one consumer's account; what goes wrong is part of what it returns."""
    account = sharing.consumers[name].account
    try:
        target = open_target(sharing, name)
        every = leftovers.find(target)
        old = leftovers.expired(every, datetime.now(UTC), older_than)
        going = _going_on(leftover.flow_run for leftover in old)
        used = {leftover.name: going[leftover.flow_run] for leftover in old if leftover.flow_run in going}
        dead = [leftover for leftover in old if leftover.name not in used]
        fates = [
            _fate(leftover, "young", f"since {leftover.created:%Y-%m-%d %H:%MZ}")
            for leftover in every
            if leftover not in old
        ]
        fates += [_fate(leftover, "in use", used[leftover.name]) for leftover in old if leftover.name in used]
        if dry_run:
            fates += [_fate(leftover, "would be removed", _of(leftover)) for leftover in dead]
        else:
            fates += _removed(target, dead)
        swept = Swept(name, account, tuple(fates))
    except CrossAccountError as error:
        swept = Swept(name, account, (), str(error))
    bad = swept.error or swept.left
    (get_run_logger().error if bad else get_run_logger().info)("%s", "\n".join(swept.lines))
    return swept


def _fate(leftover: Leftover, outcome: str, reason: str) -> Fate:
    return Fate(leftover.kind, leftover.name, outcome, reason)


def _of(leftover: Leftover) -> str:
    return f"flow run {leftover.flow_run}" if leftover.flow_run else "of no flow run"


def _removed(target: Target, dead: Sequence[Leftover]) -> list[Fate]:
    removals = leftovers.reap(target, dead, Patience(_PATIENCE_SECONDS))
    return [Fate(removal.kind, removal.name, removal.outcome, removal.reason) for removal in removals]


def _going_on(wanted: Iterable[str | None]) -> dict[str | None, str]:
    """Those of these flow runs that this server knows and that have not ended, and what it says of each."""
    going: dict[str | None, str] = {}
    with get_client(sync_client=True) as client:
        for run in {run for run in wanted if run is not None}:
            try:
                known = client.read_flow_run(UUID(run))
            except (ObjectNotFound, ValueError):  # another server's, or no run at all
                continue
            if known.state is None or not known.state.is_final():
                state = known.state.name if known.state else "about to begin"
                going[run] = f"flow run {known.name} ({run}) is {state}"
    return going


@steps.step("list what was left")
def report(sharing: Sharing, swept: Sequence[Swept]) -> None:
    """Put what was removed, what was too young or in use, and what could not be removed, into an artifact of the run."""
    create_markdown_artifact(
        key=_key(sharing),
        markdown=pages.markdown(swept),
        description=f"What runs left of {sharing.model_package_group}",
    )


def _key(sharing: Sharing) -> str:
    return steps.key_of("leftovers", sharing.model_package_group)


def clean_up_run(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Remove what a run made for a while, after it crashed or was cancelled: a hook for both.

    The run's ``finally`` may have done it already. Nothing is raised for what cannot be removed: it is logged, and listed in
    an artifact of the run.

    Args:
        flow: the run's.
        flow_run: the run; its parameters ``config`` and, for a flow of one consumer, ``consumer`` are used.
        state: that it came to.
    """
    logger, wanted = flow_run_logger(flow_run, flow), flow_run.parameters.get("consumer")
    try:
        given = str(flow_run.parameters.get("config", ""))
        sharing = load_config(reviewed.locate(given, flow_run.deployment_id is not None))
        # A part that a promotion has done elsewhere is cleaned up there, by the hook of that run.
        here = [
            name
            for name, consumer in sharing.consumers.items()
            if not (flow.name == "promote-model" and consumer.run_deployment)
        ]
        names = [str(wanted)] if wanted is not None else here
        for name in names:
            sharing.consumer(name)
    except CrossAccountError as error:
        logger.error("What this run left cannot be looked for: %s", str(error).partition("\n")[0])
        return
    with sessions.reuse():
        swept = [_swept_of(sharing, name, str(flow_run.id)) for name in names]
    for account in swept:
        level = logger.error if account.left else logger.info
        for line in account.lines:
            level("%s", line)
    if incomplete := [account for account in swept if account.left]:
        _list_left(sharing, flow_run, incomplete)


def _swept_of(sharing: Sharing, name: str, run: str) -> Swept:
    account = sharing.consumers[name].account
    try:
        target = open_target(sharing, name)
        of_run = [leftover for leftover in leftovers.find(target) if leftover.flow_run == run]
        return Swept(name, account, tuple(_removed(target, of_run)))
    except CrossAccountError as error:
        return Swept(name, account, (), str(error))


def _list_left(sharing: Sharing, flow_run: FlowRun, swept: Sequence[Swept]) -> None:
    artifact = ArtifactCreate(
        key=_key(sharing),
        type="markdown",
        data=pages.markdown(swept),
        description=f"What {flow_run.name} left and could not be removed",
        flow_run_id=flow_run.id,
    )
    with get_client(sync_client=True) as client:
        client.create_artifact(artifact)
