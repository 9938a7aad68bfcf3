"""The reaper: removes what dead runs left in the consumers' accounts; made for a schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crossaccount.aws import sessions
from crossaccount.errors import Failed
from crossaccount.hosting import leftovers
from crossaccount.hosting.leftovers import Swept
from flows import forms
from flows.operations import operation
from tasks import reaper as steps
from tasks.steps import name_run


@dataclass(frozen=True)
class Reaped:
    """What was found in every consumer's account, and what became of it."""

    consumers: tuple[Swept, ...]
    dry_run: bool

    @property
    def left(self) -> tuple[str, ...]:
        """What could not be removed or looked at, and why, each in a line."""
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
) -> Reaped:
    """Remove what runs that died left behind: temporary endpoints, their endpoint configs, and models.

    What is kept stays, and so does what belongs to a run that this Prefect server says is still going on.

    Args:
        config: The reviewed file that names the consumers.
        consumer: The only consumer to look at. Leave it empty for all.
        older_than_minutes: How old it must be: 90 or more.
        dry_run: Only say what would be removed.
    """
    older_than = leftovers.age(older_than_minutes)
    sharing = forms.loaded(config)
    wanted = sharing.select(consumer)
    name_run(f"reap what runs of {sharing.model_package_group} left in {', '.join(wanted)}")
    with sessions.reuse():
        swept = [steps.sweep(sharing, name, older_than, dry_run) for name in wanted]
        steps.report(sharing, swept)
    return _accepted(Reaped(tuple(swept), dry_run))


def _accepted(reaped: Reaped) -> Reaped:
    """What was reaped, unless something is left.

    Raises:
        Failed: with what is left, and why.
    """
    if reaped.left:
        lines = "\n".join(reaped.left)
        raise Failed(f"Not everything that dead runs left could be removed. Remove what is left.\n{lines}")
    return reaped
