"""What `revoke` says an account loses is what its identities can then no longer do, tried with their credentials."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import commands
from commands import GUEST, KIND, Said, Tried, guest
from tables import rows
from worlds import BESIDE, DOORS, STAGING, changed, documents_kept, named, theirs_in

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
    world: list[list[Any]] = field(default_factory=list)
    beside: bool = True

    @property
    def places(self) -> list[str]:
        """Where the statements stand: a policy beside one of the four takes what is about nothing particular."""
        return [*self.documents, *(BESIDE if self.beside and self.documents == list(DOORS) else [])]


TABLE = rows("taking_away.yaml", Row)
CASES = [(row, place) for row in TABLE for place in row.places]


@dataclass(frozen=True)
class State:
    """What was said in a state, and through which documents' doors the account still gets afterwards."""

    said: Said
    opens: dict[str, bool]


@pytest.fixture(scope="module")
def states(shared: Any) -> Iterator[Any]:
    """The states of the table, each gone through once for the four documents, and once for the policies beside them."""
    seen: dict[tuple[str, bool], State] = {}
    with guest(shared, "staging"), changed(shared, [["public access unblocked"]]):
        tried = Tried(shared)
        assert all(tried.opens("staging", kind) for kind in DOORS), "what is taken away is there before"

        def state(row: Row, place: str) -> State:
            key = (row.state, place in BESIDE)
            if key not in seen:
                places = [each for each in row.places if (each in BESIDE) == (place in BESIDE)]
                seen[key] = gone_through(shared, row, places, tried)
            return seen[key]

        yield state


def gone_through(aws: Any, row: Row, places: list[str], tried: Tried) -> State:
    theirs = [named(each) for each in row.theirs]
    kinds = [BESIDE.get(place, place) for place in places]
    world = [*row.world, *(theirs_in(place, theirs) for place in places)]
    with changed(aws, world), documents_kept(aws, *kinds):
        said = commands.revoke(aws.config, consumer="staging")
        assert said.ending == "planned", said.text
        for change in said.data["changes"]:
            if (kind := KIND[change["kind"]]) in kinds:
                assert change["verb"] in ("update", "delete")
                aws.put(kind, change["desired"])
        return State(
            said, {place: tried.opens("staging", kind) for place, kind in zip(places, kinds, strict=True)}
        )


@pytest.mark.parametrize(("row", "place"), CASES, ids=[f"{row.state}: {place}" for row, place in CASES])
def test_an_account_loses_what_it_is_said_to_lose(
    states: Any, row: Row, place: str, record_property: Any
) -> None:
    state, kind = states(row, place), BESIDE.get(place, place)
    truth = row.truth or {"still open": "open", "shut": "shut"}.get(row.answer)
    if truth is not None:
        assert state.opens[place] == (truth == "open"), "the table is wrong: its own try says otherwise"
    loses = state.said.loses(STAGING, kind)
    assert row.answer == "shut" or not loses, "a false `loses access`"
    answers = state.said.standing(STAGING, DOORS[kind]) or {"shut"}
    right = {row.answer, *row.also}
    if "cannot tell" in answers and "cannot tell" not in right:
        record_property("needless", f"revoke: {row.state}: {place}")
        right.add("cannot tell")
    assert answers <= right
    if answers == {"shut"}:
        assert loses
