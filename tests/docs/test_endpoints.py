"""The page of endpoints says what the checks of a config refuse, and each yes in its table is a test that runs a real process."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crossaccount.config.kinds import EXCLUSIONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "endpoints.md").read_text(encoding="utf-8")
# What the name of a test has that shows a column of the table.
SHOWN = {
    "deploy": "deployed",
    "promote": "promoted",
    "roll back": "rolled_back|rollback",
    "prove": "proved|answered",
    "guardrail": "guardrail",
    "retire": "retires|goes",
    "rehearse": "",
}


def rows(first: str) -> list[list[str]]:
    """The cells of the table whose head begins with a word, its head first."""
    table = next(part for part in PAGE.split("\n\n") if part.startswith(f"| {first}"))
    lines = [line for line in table.splitlines() if not line.startswith("|---")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


HEAD, *KINDS = rows("endpoint")


def test_the_table_has_every_column() -> None:
    assert HEAD[1:-1] == list(SHOWN)


@pytest.mark.parametrize("row", KINDS, ids=lambda row: row[0])
def test_each_yes_is_a_test(row: list[str]) -> None:
    assert len(row) == len(HEAD)
    link = re.fullmatch(r"\[(test_\w+\.py)\]\(\.\./(tests/kinds/\1)\)", row[-1])
    assert link is not None, row[-1]
    names = re.findall(r"^def (test_\w+)", (ROOT / link[2]).read_text(encoding="utf-8"), re.MULTILINE)
    for column, cell in zip(SHOWN, row[1:-1], strict=True):
        if cell == "yes":
            assert any(re.search(SHOWN[column], name) for name in names), f"{row[0]}: {column}"
        else:
            assert len(cell.split()) > 3, f"{row[0]}: {column}: say why not"


def test_the_page_has_what_the_checks_refuse() -> None:
    shown = [tuple(row) for row in rows("kind")[1:]]
    refused = [
        (
            each.kind,
            f"`{each.key.removeprefix('consumer.').replace('.*', '')}{'' if each.value in (None, True) else f': {each.value}'}`",
            each.why,
        )
        for each in EXCLUSIONS
    ]
    assert shown == list(dict.fromkeys(refused))
