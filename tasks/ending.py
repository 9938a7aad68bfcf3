"""What a run tells at its end: its summary and its groups' dashboards, in artifacts that are written together once the work is done.

Steps note what they see as they see it; nothing is sent before the end. Not here: the texts (``crossaccount.show``), and what is
noted of which result (``tasks.dashboard``).
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote
from uuid import UUID

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.runtime import deployment, flow_run

from crossaccount.arns import group_arn
from crossaccount.config.model import Sharing
from crossaccount.errors import CrossAccountError, Refused
from crossaccount.show.dashboard import Part
from crossaccount.show.summaries import Summary
from crossaccount.text import first_line
from tasks import dashboard
from tasks.alerts import Alert


@dataclass
class _Noted:
    """What one run has noted: parts by the ARN of their group, and its summary."""

    boards: dict[str, dict[str, Part]] = field(default_factory=dict)
    alerts: dict[str, list[Alert]] = field(default_factory=dict)
    summary: Summary | None = None


# Options of this project's command; those of a whole command that a text tells are left as they are.
_OPTION = re.compile(
    r"((?:crossaccount|aws) [^.;:]*?)?--(force|prune|all|version|consumer|account|reason|dry-run)\b"
)
_NOTED: dict[str, _Noted] = {}


def _of_run() -> _Noted:
    return _NOTED.setdefault(str(flow_run.get_id()), _Noted())


def see(sharing: Sharing, facts: dashboard.Facts) -> None:
    """Note what this run sees of a group, for its dashboard."""
    noted = dashboard.parts(facts, UUID(str(flow_run.get_id())))
    _of_run().boards.setdefault(group_arn(sharing), {}).update(noted)


def alert(sharing: Sharing, alerts: Iterable[Alert]) -> None:
    """Note the alerts of this run about a group."""
    _of_run().boards.setdefault(group_arn(sharing), {})
    _of_run().alerts.setdefault(group_arn(sharing), []).extend(alerts)


def tell(summary: Summary) -> None:
    """Note the summary of this run; the last one stands."""
    _of_run().summary = summary


def headline() -> str | None:
    """What happened, in a line, as far as it was noted."""
    summary = _of_run().summary
    return summary.headline if summary else None


def close(key: str, error: CrossAccountError | None = None) -> None:
    """Write what was noted: the dashboards, then the summary, which the run's page then shows first.

    A page that cannot be written is told in the log, and fails nothing: the run's work is done.

    Args:
        key: of the summary.
        error: the end of the run.
    """
    noted = _NOTED.pop(str(flow_run.get_id()), _Noted())
    summary = _of_error(error, noted.summary) if error is not None else noted.summary
    if not noted.boards and summary is None:
        return
    run = UUID(str(flow_run.get_id()))
    try:
        with get_client(sync_client=True) as client:
            if noted.boards:
                dashboard.put(client, run, noted.boards, noted.alerts)
            if summary is not None:
                page = ArtifactCreate(
                    key=key,
                    type="markdown",
                    description=summary.short(),
                    data=summary.markdown(),
                    flow_run_id=run,
                )
                client.create_artifact(page)
    except Exception as problem:  # whatever it is: the run's own outcome stands
        get_run_logger().warning(
            "The pages of this run could not be written: %s: %s", type(problem).__name__, first_line(problem)
        )


def _of_error(error: CrossAccountError, noted: Summary | None) -> Summary:
    """The summary of a run that failed: the reason first, then what it had come to."""
    first, *rest = str(error).splitlines() or [type(error).__name__]
    steps = [error.refusal.next_step] if isinstance(error, Refused) else []
    steps += getattr(error, "__notes__", [])
    rows = noted.rows if noted else ()
    more = "\n".join(["```text", *(line.replace("```", "'''") for line in rest), "```"]) if rest else ""
    way_out = (
        tuple(steps)
        or (noted.next_steps if noted else ())
        or ("Mend what the first line names, and run this again.",)
    )
    return Summary(f"Failed: {in_form(first)}", rows, tuple(in_form(step) for step in way_out), more)


def in_form(text: str) -> str:
    """A text whose options of the command are named as the fields of the form, for a run that a form has started."""
    return _OPTION.sub(_as_field, text) if deployment.get_id() else text


def _as_field(found: re.Match[str]) -> str:
    if found[1]:
        return found[0]
    return f"the field {'everything' if found[2] == 'all' else found[2].replace('-', '_')}"


def agreed_step(**agreed: object) -> str:
    """The next step after a dry run: a link to the form of the run that does what was shown and nothing else, or the words for it.

    Args:
        agreed: the parameters that differ from this run's.
    """
    of_deployment = deployment.get_id()
    given = {name: value for name, value in (flow_run.get_parameters() or {}).items() if value is not None}
    if not of_deployment:
        return "Run it again without the dry run: it shows this plan and asks."
    parameters = quote(json.dumps({**given, **agreed}, default=str), safe="")
    return (
        f"[Apply exactly this plan](../../deployments/deployment/{of_deployment}/run?parameters={parameters}): the form opens filled in, "
        "and Submit applies it. It is refused if anything has changed since."
    )
