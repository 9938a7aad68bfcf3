"""The leftovers of runs and the fate of each, as Markdown. Not here: how they are found and removed (``hosting``)."""

from collections.abc import Sequence

from crossaccount.hosting.leftovers import Swept
from crossaccount.show.markdown import cell
from crossaccount.text import first_line


def markdown(swept: Sequence[Swept]) -> str:
    """A table for a Prefect artifact, with a row for each leftover."""
    rows = ["| consumer | leftover | outcome | because |", "|---|---|---|---|"]
    for account in swept:
        if account.error:
            why = cell(first_line(account.error))
            rows.append(f"| {account.where} | everything | **could not be looked through** | {why} |")
        for fate in account.fates:
            outcome = f"**{fate.outcome}**" if fate.outcome == "left" else fate.outcome
            why = cell(first_line(fate.reason))
            rows.append(f"| {account.where} | {fate.kind} `{fate.name}` | {outcome} | {why} |")
    return "\n".join(rows) if len(rows) > 2 else "Nothing was left."
