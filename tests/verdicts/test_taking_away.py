"""What `revoke` says an account loses is what its identities can then no longer do, tried with their credentials."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import commands
from commands import GUEST, KIND, Said, Tried, guest
from tables import rows
from worlds import DOORS, STAGING, changed, named

assert GUEST == "verdicts-guest", "the table names it"


@dataclass(frozen=True)
class Row:
    """A state, what others wrote, the right answer, answers that are right too, and the truth where the answer does not say it."""

    state: str
    theirs: list[dict[str, Any]]
    answer: str
    documents: list[str] = field(default_factory=lambda: list(DOORS))
    also: list[str] = field(default_factory=list)
    truth: str = ""


TABLE = rows("taking_away.yaml", Row)
CASES = [(row, kind) for row in TABLE for kind in row.documents]


@dataclass(frozen=True)
class State:
    """What was said in a state, and through which documents' doors the account still gets afterwards."""

    said: Said
    opens: dict[str, bool]


@pytest.fixture(scope="module")
def states(shared: Any) -> Iterator[Any]:
    """The states of the table, each gone through once for all its documents."""
    seen: dict[str, State] = {}
    with guest(shared, "staging"), changed(shared, [["public access unblocked"]]):
        tried = Tried(shared)
        assert all(tried.opens("staging", kind) for kind in DOORS), "what is taken away is there before"

        def state(row: Row) -> State:
            if row.state not in seen:
                seen[row.state] = gone_through(shared, row, tried)
            return seen[row.state]

        yield state


def gone_through(aws: Any, row: Row, tried: Tried) -> State:
    theirs = [named(each) for each in row.theirs]
    with ExitStack() as stack:
        stack.enter_context(changed(aws, [["theirs", kind, *theirs] for kind in row.documents]))
        said = commands.revoke(aws.config, consumer="staging")
        assert said.ending == "planned", said.text
        for change in said.data["changes"]:
            kind = KIND[change["kind"]]
            if kind in row.documents:
                assert change["verb"] in ("update", "delete")
                aws.put(kind, change["desired"])
        return State(said, {kind: tried.opens("staging", kind) for kind in row.documents})


@pytest.mark.parametrize(("row", "kind"), CASES, ids=[f"{row.state}: {kind}" for row, kind in CASES])
def test_an_account_loses_what_it_is_said_to_lose(
    states: Any, row: Row, kind: str, record_property: Any
) -> None:
    state, door = states(row), DOORS[kind]
    truth = row.truth or {"still open": "open", "shut": "shut"}.get(row.answer)
    if truth is not None:
        assert state.opens[kind] == (truth == "open"), "the table is wrong: its own try says otherwise"
    loses = state.said.loses(STAGING, kind)
    assert row.answer == "shut" or not loses, "a false `loses access`"
    answers = state.said.standing(STAGING, door) or {"shut"}
    right = {row.answer, *row.also}
    if "cannot tell" in answers and "cannot tell" not in right:
        record_property("needless", f"revoke: {row.state}: {door}")
        right.add("cannot tell")
    assert answers <= right
    if answers == {"shut"}:
        assert loses
