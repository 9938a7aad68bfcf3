"""Leftovers and what became of them, for a Prefect artifact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from crossaccount.hosting.leftovers import first_line
from crossaccount.show.markdown import cell

if TYPE_CHECKING:
    from crossaccount.hosting.leftovers import Swept


def markdown(swept: Sequence[Swept]) -> str:
    """For a Prefect artifact: a row for everything that was found."""
    rows = ["| consumer | what | became of it | because |", "|---|---|---|---|"]
    for account in swept:
        where = f"{account.consumer} ({account.account})"
        if account.error:
            rows.append(
                f"| {where} | everything | **could not be looked through** | {cell(first_line(account.error))} |"
            )
        for fate in account.fates:
            outcome = f"**{fate.outcome}**" if fate.outcome == "left" else fate.outcome
            rows.append(
                f"| {where} | {fate.kind} `{fate.name}` | {outcome} | {cell(first_line(fate.reason))} |"
            )
    return "\n".join(rows) if len(rows) > 2 else "Nothing was left."
