"""The reaper's steps: remove the leftovers of dead runs, on a schedule, and as the hook of a run that crashed or was cancelled.

Not here: finding and removing them in an account (``hosting.leftovers``).

Prefect runs a hook in another process than the run's, for example after SIGKILL, with only the run's parameters. The loss of
a host runs no hook: the schedule removes the leftovers then.

Source: "State change hooks" in the Prefect documentation.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect import Flow, State, get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound
from prefect.logging.loggers import flow_run_logger

from crossaccount.aws import sessions
from crossaccount.aws.access import open_target
from crossaccount.config.loading import load_config
from crossaccount.config.model import Sharing
from crossaccount.errors import CrossAccountError, Failed
from crossaccount.hosting import leftovers
from crossaccount.hosting.gateway import Patience
from crossaccount.hosting.leftovers import Leftover, Swept
from crossaccount.hosting.resources import Fate
from crossaccount.show import leftovers as pages
from crossaccount.text import first_line
from tasks import reviewed, steps

_PATIENCE_SECONDS = 900.0  # a hook keeps its worker from ending; the schedule removes what is Creating then


@steps.step("look through {name}")
def sweep(sharing: Sharing, name: str, older_than: timedelta, dry_run: bool, run: str | None = None) -> Swept:
    """Remove the leftovers of dead runs in one consumer's account; an error is part of the result.

    With ``run`` those that carry its tag, and no others: it has ended, see `require_ended`, so their age does not matter.
    """
    account = sharing.consumers[name].account
    try:
        target = open_target(sharing, name)
        listed = leftovers.find(target)
        if run is not None:
            listed, older_than = tuple(each for each in listed if each.flow_run == run), timedelta()
        old = leftovers.expired(listed, datetime.now(UTC), older_than)
        living = _find_living(leftover.flow_run for leftover in old)
        used = {leftover.name: living[leftover.flow_run] for leftover in old if leftover.flow_run in living}
        dead = [leftover for leftover in old if leftover.name not in used]
        young = [leftover for leftover in listed if leftover not in old]
        fates = [_fate(leftover, "young", f"since {leftover.created:%Y-%m-%d %H:%MZ}") for leftover in young]
        fates += [_fate(leftover, "in use", used[leftover.name]) for leftover in old if leftover.name in used]
        if dry_run:
            fates += [
                _fate(item, "would be removed", f"flow run: {item.flow_run or 'none'}") for item in dead
            ]
        else:
            fates += leftovers.reap(target, dead, Patience(_PATIENCE_SECONDS))
        swept = Swept(name, account, tuple(fates))
    except CrossAccountError as error:
        swept = Swept(name, account, (), str(error))
    get_run_logger().log(logging.ERROR if swept.left else logging.INFO, "%s", "\n".join(swept.lines))
    return swept


@steps.step("see that {run} has ended")
def require_ended(run: str) -> None:
    """See that a flow run has ended: what it made is a leftover then, however young.

    Raises:
        Failed: when it has not, or this server does not know it.
    """
    later = (
        "Its leftovers can be told once they are 90 minutes old: crossaccount reap CONFIG --older-than 90."
    )
    with get_client(sync_client=True) as client:
        try:
            known = client.read_flow_run(UUID(run))
        except ObjectNotFound:
            raise Failed(
                f"This Prefect server knows no flow run {run}, so whether it goes on cannot be told. Name the server that it ran on in "
                f"PREFECT_API_URL. {later}"
            ) from None
    if known.state is None or not known.state.is_final():
        state = known.state.name if known.state else "about to begin"
        raise Failed(
            f"Flow run {known.name} ({run}) is {state}: what it made may be in use. If its process is gone, set its state to Crashed in "
            f"Prefect's UI. {later}"
        )


def _fate(leftover: Leftover, outcome: str, reason: str) -> Fate:
    return Fate(leftover.kind, leftover.name, outcome, reason)


def _find_living(flow_runs: Iterable[str | None]) -> dict[str | None, str]:
    """The flow runs that this server knows and that have not ended, each with its state in a few words."""
    living: dict[str | None, str] = {}
    with get_client(sync_client=True) as client:
        for run in {run for run in flow_runs if run is not None}:
            try:
                known = client.read_flow_run(UUID(run))
            except (ObjectNotFound, ValueError):  # another server's, or no run at all
                continue
            if known.state is None or not known.state.is_final():
                state = known.state.name if known.state else "about to begin"
                living[run] = f"flow run {known.name} ({run}) is {state}"
    return living


@steps.step("list the leftovers")
def report(sharing: Sharing, swept: Sequence[Swept]) -> None:
    """Put the leftovers, and the fate of each, into an artifact of the run."""
    group = sharing.model_package_group
    steps.put_page("leftovers", group, pages.markdown(swept), f"Leftovers of runs of {group}")


def clean_up_run(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Remove a run's temporary resources, after it crashed or was cancelled: a hook for both.

    The run's ``finally`` may have done it already. A resource that cannot be removed raises nothing: it is logged, and listed
    in an artifact of the run.

    Args:
        flow: the run's.
        flow_run: the run; its parameters ``config`` and, for a flow of one consumer, ``consumer`` are used.
        state: that it came to.
    """
    logger, wanted = flow_run_logger(flow_run, flow), flow_run.parameters.get("consumer")
    try:
        config = str(flow_run.parameters.get("config", ""))
        sharing = load_config(reviewed.locate(config, flow_run.deployment_id is not None))
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
        logger.error("The leftovers of this run cannot be looked for: %s", first_line(error))
        return
    with sessions.reuse():
        swept = [_swept_of(sharing, name, str(flow_run.id)) for name in names]
    for account in swept:
        for line in account.lines:
            logger.log(logging.ERROR if account.left else logging.INFO, "%s", line)
    if incomplete := [account for account in swept if account.left]:
        _list_left(sharing, flow_run, incomplete)


def _swept_of(sharing: Sharing, name: str, run: str) -> Swept:
    account = sharing.consumers[name].account
    try:
        target = open_target(sharing, name)
        own = [leftover for leftover in leftovers.find(target) if leftover.flow_run == run]
        return Swept(name, account, leftovers.reap(target, own, Patience(_PATIENCE_SECONDS)))
    except CrossAccountError as error:
        return Swept(name, account, (), str(error))


def _list_left(sharing: Sharing, flow_run: FlowRun, swept: Sequence[Swept]) -> None:
    artifact = ArtifactCreate(
        key=steps.key_of("leftovers", sharing.model_package_group),
        type="markdown",
        data=pages.markdown(swept),
        description=f"Leftovers of {flow_run.name} that could not be removed",
        flow_run_id=flow_run.id,
    )
    with get_client(sync_client=True) as client:
        client.create_artifact(artifact)
