"""The summary of a run: what happened, to whom, and what now, in the order in which a person asks. Not here: where it is put (``tasks``)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from crossaccount.show.markdown import cell

_MOST_ROWS = 60  # of a table; a run of forty groups says the rest in its other artifacts


@dataclass(frozen=True)
class Summary:
    """What a run has to tell at its end.

    Args:
        headline: what happened, in a line: the message of the run's state too.
        rows: to whom, and what: Markdown, as it may stand in a cell.
        next_steps: what now, each a sentence in Markdown.
        more: further Markdown below, a plan for one.
    """

    headline: str
    rows: tuple[tuple[str, str], ...] = ()
    next_steps: tuple[str, ...] = ()
    more: str = ""

    def short(self) -> str:
        """For the card on the run's page."""
        lines = [f"**{_text(self.headline)}**"]
        lines += [f"- {who}: {what}" for who, what in self.rows[:_MOST_ROWS]]
        return "\n".join([*lines, "", *self._now()]).strip()

    def markdown(self) -> str:
        """For the artifact's own page."""
        table = [
            "| to whom | what |",
            "|---|---|",
            *(f"| {who} | {what} |" for who, what in self.rows[:_MOST_ROWS]),
        ]
        blocks = [
            f"**{_text(self.headline)}**",
            "\n".join(table) if self.rows else "",
            "\n".join(self._now()),
            self.more,
        ]
        return "\n\n".join(block for block in blocks if block)

    def _now(self) -> list[str]:
        return ["**What now**", "", *(f"- {step}" for step in self.next_steps)] if self.next_steps else []


def _text(line: str) -> str:
    """A line of others that ends no emphasis."""
    return cell(line).replace("*", "\\*")


def named(accounts: Iterable[str], names: Mapping[str, str]) -> str:
    """Accounts and other principals, each with the consumer's name where it is known."""
    return ", ".join(f"{names[each]} ({each})" if each in names else each for each in accounts)
