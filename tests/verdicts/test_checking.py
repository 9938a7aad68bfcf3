"""`check` finds what is broken and names it: the door, the resource or the cause. A world with something broken is never all yes."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import commands
from commands import Said, has, verdicts, with_names
from tables import rows
from worlds import changed


@dataclass(frozen=True)
class Row:
    """A state, and what is to be said of it; see the head of the table."""

    state: str
    world: list[list[Any]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    probe: bool = True
    sound: bool = False
    broken: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)
    says: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    standing: list[list[str]] = field(default_factory=list)


TABLE = rows("checking.yaml", Row)


def ids(row: Row) -> str:
    if "consumers__staging__profile" in row.config:
        return f"{row.state}, the consumer out of reach"
    return row.state if row.probe else f"{row.state}, without a model"


def lines(said: Said) -> list[str]:
    """Everything that is said: each answer, and each finding."""
    answers = [
        f"{each['door']} {each['resource']} {each['reason']}"
        for each in said.data["answers"]
        if str(each["verdict"]) != "yes"
    ]
    return [*answers, *(text for _, text in said.findings)]


def is_all_yes(said: Said) -> bool:
    every = {str(each["verdict"]) for each in said.data["answers"]}
    return said.ending == "yes" and every == {"yes"} and not said.severities([])


@pytest.mark.parametrize("row", TABLE, ids=[ids(row) for row in TABLE])
def test_what_is_broken_is_found_and_named(shared: Any, row: Row, edited: Any, record_property: Any) -> None:
    with changed(shared, row.world):
        of_row = with_names(shared)
        path = (
            edited(**{key: of_row(value) for key, value in row.config.items()})
            if row.config
            else shared.config
        )
        said = commands.check(path, "staging", probe=row.probe)
        says, silent = of_row(row.says), of_row(row.silent)
    answers = verdicts(said, "staging")
    for account, door, answer in of_row(row.standing):
        assert said.standing(account, door) == {answer}, said.data["standing"]
    if row.sound:
        if row.probe:
            assert {word for words in answers.values() for word in words} == {"yes"}, said.text
        assert said.ending == "yes", said.text
        assert not said.severities([]) & {"warning", "error"}, said.findings
        return
    assert not is_all_yes(said), said.text
    assert not any(answers.get(door) == {"yes"} for door in [*row.broken, *row.unsure]), (
        f"a false yes: {said.text}"
    )
    if row.broken:
        found = {word for door in row.broken for word in answers.get(door, set())}
        if "no" not in found and "cannot tell" in found:
            record_property("needless", f"check: {ids(row)}: {', '.join(row.broken)}")
        assert found & {"no", "cannot tell"}, said.text
    if says:
        assert [one for one in lines(said) if all(has(one, word) for word in says)], said.text
    for word in silent:
        assert not [one for one in lines(said) if word.lower() in one.lower()], said.text
    assert not any(shared.hosted("staging").values())
