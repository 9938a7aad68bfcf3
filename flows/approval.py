"""The question that a promotion asks a person between two stages, and the answer. Not here: when it is asked (``flows.promotion``)."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

from prefect import get_run_logger
from prefect.events import emit_event
from prefect.exceptions import FlowPauseTimeout, Pause
from prefect.flow_runs import pause_flow_run, suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment, flow_run
from pydantic import Field

from crossaccount.config.model import Sharing
from crossaccount.errors import Conflict
from crossaccount.promotion.outcome import ConsumerOutcome
from crossaccount.show.dashboard import key_of as dashboard_key
from crossaccount.text import first_line
from tasks import summaries
from tasks.steps import go_on, key_of, set_message

WAITING = "crossaccount.promotion.waiting"
_LOOK_SECONDS = 5  # how often a run that waits in its own process looks for its answer


class Approval(RunInput):
    """A person's answer that a promotion waits for between two stages.

    The button of Prefect's page says Resume, so an answer that nobody changes goes on.
    """

    decision: Literal["approve", "stop"] = Field(default="approve", title="Go on to the next stage?")
    reason: str = Field(default="", title="Why, for the record")


def ask(
    sharing: Sharing,
    number: int,
    names: Sequence[str],
    version: int,
    outcomes: Sequence[ConsumerOutcome],
    seconds: int,
) -> str | None:
    """Ask a person before a stage; the reason to skip it, or None when it is approved.

    Args:
        sharing: the config.
        number: of the stage.
        names: of its consumers.
        version: of the promotion.
        outcomes: of the stages before.
        seconds: how long to wait for an answer.
    """
    question = _question(sharing, number, names, version, outcomes, seconds)
    form = Approval.with_initial_data(description=question)
    where = f"Waits for an answer: stage {number} ({', '.join(names)}), version {version}. Answer in the menu at the top right: Resume."
    suspends = bool(deployment.get_id())
    wait: Any = suspend_flow_run if suspends else partial(pause_flow_run, poll_interval=_LOOK_SECONDS)
    if not suspends:
        _announce(sharing, number, version, where)
    try:
        answer: Any = wait(wait_for_input=form, timeout=seconds, key=f"stage-{number}")
    except FlowPauseTimeout:
        go_on()
        return f"Nobody approved stage {number} within {seconds} s."
    except Pause as pause:
        if pause.state is not None:
            set_message(pause.state, where)
        _announce(sharing, number, version, where)
        now = (
            "In the menu at the top right choose Resume. Resume goes on; to stop, choose `stop` there first.",
        )
        summaries.tell_promotion(sharing, where, outcomes, now)
        raise
    if answer.decision == "approve":
        return None
    return f"Stage {number} was not approved{f': {answer.reason}' if answer.reason else ''}."


def _announce(sharing: Sharing, number: int, version: int, where: str) -> None:
    """Emit the event that a promotion waits for an answer: whoever is to be told is told by it."""
    group, run = sharing.model_package_group, str(flow_run.get_id())
    get_run_logger().info("%s", where)
    name = f"{group}: version {version} waits for approval of stage {number}"
    resource = {
        "prefect.resource.id": f"prefect.flow-run.{run}.stage-{number}",
        "prefect.resource.name": name,
    }
    emit_event(WAITING, resource=resource, payload={"text": f"{group}: {where}", "run": run})


def _question(
    sharing: Sharing,
    number: int,
    names: Sequence[str],
    version: int,
    outcomes: Sequence[ConsumerOutcome],
    seconds: int,
) -> str:
    """The question first and short; the proofs are behind links."""
    head = f"**Promote version {version} to stage {number}: {', '.join(names)}?** Resume goes on. To stop, choose `stop` below."
    rows = "\n".join(f"- {_row(outcome)}" for outcome in outcomes)
    whole = dashboard_key(sharing.model_package_group)
    bound = f"Without an answer within {seconds} s the run fails, and the stages that are left stay as they are. [The whole group](../../artifacts/key/{whole})."
    return "\n\n".join([head, rows, bound])


def _row(outcome: ConsumerOutcome) -> str:
    proofs = [
        f"[proof: {proof.right} of {len(proof.answers)} as expected, median {proof.median_latency_ms:.0f} ms](../../artifacts/key/{key_of('proof', proof.endpoint)})"
        for proof in outcome.proofs
    ]
    where = f"{outcome.consumer} ({outcome.account}), stage {outcome.stage}: {outcome.what}"
    return ". ".join([where, *(proofs or [first_line(outcome.text)])])


def refuse_newer(pinned: int, agreed: int | None) -> None:
    """Refuse another version than the one that was the newest when it was agreed to.

    Raises:
        Conflict: with both.
    """
    if agreed is not None and pinned != agreed:
        raise Conflict(
            f"The newest approved version is {pinned} now, and {agreed} was agreed to. Nothing was changed. Look at the plan again "
            "(crossaccount plan CONFIG), or name the version."
        )
