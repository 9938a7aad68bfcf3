"""The reaper's flow: remove the leftovers of dead runs in the consumers' accounts, on a schedule.

Not here: the removal after a crashed or cancelled run (``tasks.reaper``).
"""

from dataclasses import dataclass
from typing import Any

from crossaccount.aws import sessions
from crossaccount.errors import Failed
from crossaccount.hosting import leftovers
from crossaccount.hosting.leftovers import Swept
from flows import forms
from flows.operations import operation
from tasks import reaper as steps
from tasks import summaries
from tasks.steps import name_run


@dataclass(frozen=True)
class Reaped:
    """The leftovers in every consumer's account, and the fate of each."""

    consumers: tuple[Swept, ...]
    dry_run: bool

    @property
    def left(self) -> tuple[str, ...]:
        """The resources that could not be removed, and the accounts that could not be looked through, each in a line with the reason."""
        return tuple(line for swept in self.consumers for line in swept.left)

    def table(self) -> str:
        """For a terminal."""
        return "\n".join(line for swept in self.consumers for line in swept.lines)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "consumers": [swept.to_json() for swept in self.consumers],
            "left": list(self.left),
            "dry_run": self.dry_run,
        }


@operation("reap-leftovers")
def reap_leftovers(
    config: forms.ConfigFile,
    consumer: forms.OneConsumer = None,
    older_than_minutes: forms.Minutes = 180,
    dry_run: bool = False,
    run: forms.RunId = None,
) -> Reaped:
    """Remove the leftovers of dead runs: temporary endpoints, their endpoint configs, and models.

    A kept resource stays, and so does one of a run that has not ended on this Prefect server.

    Args:
        config: The reviewed file that names the consumers.
        consumer: The only consumer to look at. Leave it empty for all.
        older_than_minutes: How old a leftover must be: 90 or more.
        dry_run: List the leftovers that would be removed, and change nothing.
        run: Only the leftovers of this flow run, whatever their age. It must have ended on this Prefect server.
    """
    older_than = leftovers.age(older_than_minutes)
    leftovers.check_run(run)
    sharing = forms.loaded(config)
    wanted = sharing.select(consumer)
    of_run = f" that flow run {run} made" if run else ""
    name_run(
        f"{'plan of: ' if dry_run else ''}reap leftovers of {sharing.model_package_group}{of_run} in {', '.join(wanted)}"
    )
    if run is not None:
        steps.require_ended(run)
    with sessions.reuse():
        swept = [steps.sweep(sharing, name, older_than, dry_run, run) for name in wanted]
        steps.report(sharing, swept)
    summaries.tell_reaped(sharing, swept, dry_run)
    reaped = Reaped(tuple(swept), dry_run)
    if reaped.left:
        lines = "\n".join(reaped.left)
        raise Failed(f"Not every leftover of a dead run could be removed. Remove what is left.\n{lines}")
    return reaped
