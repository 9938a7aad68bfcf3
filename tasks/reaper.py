"""Removing what dead runs left: on a schedule, and as the hook of a run that crashed or was cancelled.

A hook is run by Prefect in another process than the run's, after SIGKILL for one, with nothing but the run's parameters. The
loss of a host runs no hook: that is what the schedule is for.

Source: "State change hooks" in the Prefect documentation.
"""

from __future__ import annotations

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

from crossaccount import reaper
from crossaccount.aws import sessions
from crossaccount.config.loading import load_config
from crossaccount.config.model import Sharing
from crossaccount.errors import CrossAccountError
from crossaccount.reaper import Fate, Leftover, Swept
from tasks import reviewed, runs

_ENDPOINT_SECONDS = (
    900.0  # a hook keeps its worker from ending; what is still Creating then, the schedule removes
)


@runs.step("look through {name}")
def sweep(sharing: Sharing, name: str, older_than: timedelta, dry_run: bool) -> Swept:
    """Remove what dead runs left in one consumer's account; what goes wrong is part of what it returns."""
    consumer = sharing.consumers[name]
    try:
        session = sessions.consumer_session(sharing, name, consumer)
        found = reaper.find(session, sharing, name, consumer)
        old = reaper.expired(found, datetime.now(UTC), older_than)
        going = _going_on(one.flow_run for one in old)
        used = {one.name: going[one.flow_run] for one in old if one.flow_run in going}
        dead = [one for one in old if one.name not in used]
        fates = [
            _fate(one, "young", f"since {one.created:%Y-%m-%d %H:%MZ}") for one in found if one not in old
        ]
        fates += [_fate(one, "in use", used[one.name]) for one in old if one.name in used]
        if dry_run:
            fates += [_fate(one, "would be removed", _of(one)) for one in dead]
        else:
            fates += _removed(sharing, name, dead)
        swept = Swept(name, consumer.account, tuple(fates))
    except CrossAccountError as error:
        swept = Swept(name, consumer.account, (), str(error))
    bad = swept.error or swept.left
    (get_run_logger().error if bad else get_run_logger().info)("%s", "\n".join(swept.lines))
    return swept


def _fate(one: Leftover, outcome: str, reason: str) -> Fate:
    return Fate(one.kind, one.name, outcome, reason)


def _of(one: Leftover) -> str:
    return f"flow run {one.flow_run}" if one.flow_run else "of no flow run"


def _removed(sharing: Sharing, name: str, dead: Sequence[Leftover]) -> list[Fate]:
    consumer = sharing.consumers[name]
    session = sessions.consumer_session(sharing, name, consumer)
    removals = reaper.reap(session, sharing, consumer, dead, _ENDPOINT_SECONDS)
    return [Fate(one.kind, one.name, one.outcome, one.reason) for one in removals]


def _going_on(wanted: Iterable[str | None]) -> dict[str | None, str]:
    """Those of these flow runs that this server knows and that have not ended, and what it says of each."""
    found: dict[str | None, str] = {}
    with get_client(sync_client=True) as client:
        for run in {run for run in wanted if run is not None}:
            try:
                known = client.read_flow_run(UUID(run))
            except (ObjectNotFound, ValueError):  # another server's, or no run at all
                continue
            if known.state is None or not known.state.is_final():
                state = known.state.name if known.state else "about to begin"
                found[run] = f"flow run {known.name} ({run}) is {state}"
    return found


@runs.step("list what was left")
def report(sharing: Sharing, swept: Sequence[Swept]) -> None:
    """Put what was removed, what was too young or in use, and what could not be removed, into an artifact of the run."""
    create_markdown_artifact(
        key=_key(sharing),
        markdown=reaper.markdown(swept),
        description=f"What runs left of {sharing.model_package_group}",
    )


def _key(sharing: Sharing) -> str:
    return runs.key_of("leftovers", sharing.model_package_group)


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
            for name, one in sharing.consumers.items()
            if not (flow.name == "promote-model" and one.run_deployment)
        ]
        names = [str(wanted)] if wanted is not None else here
        for name in names:
            sharing.consumer(name)
    except CrossAccountError as error:
        logger.error("What this run left cannot be looked for: %s", str(error).partition("\n")[0])
        return
    with sessions.reuse():
        swept = [_swept_of(sharing, name, str(flow_run.id)) for name in names]
    for one in swept:
        level = logger.error if one.left else logger.info
        for line in one.lines:
            level("%s", line)
    left = [one for one in swept if one.left]
    if left:
        _list_left(sharing, flow_run, left)


def _swept_of(sharing: Sharing, name: str, run: str) -> Swept:
    consumer = sharing.consumers[name]
    try:
        session = sessions.consumer_session(sharing, name, consumer)
        found = reaper.find(session, sharing, name, consumer)
        fates = _removed(sharing, name, [one for one in found if one.flow_run == run])
        return Swept(name, consumer.account, tuple(fates))
    except CrossAccountError as error:
        return Swept(name, consumer.account, (), str(error))


def _list_left(sharing: Sharing, flow_run: FlowRun, left: Sequence[Swept]) -> None:
    artifact = ArtifactCreate(
        key=_key(sharing),
        type="markdown",
        data=reaper.markdown(left),
        description=f"What {flow_run.name} left and could not be removed",
        flow_run_id=flow_run.id,
    )
    with get_client(sync_client=True) as client:
        client.create_artifact(artifact)
