"""What the history and an endpoint together say of a run that died: what it had moved, and what was moved before."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from crossaccount.hosting.state import LiveEndpoint, VersionConfig
from crossaccount.promotion.history import (
    Move,
    is_rolled_back,
    last_move,
    rolled_back_from,
    unrecorded_rollback,
)
from crossaccount.records import Record

NOW = datetime(2026, 11, 24, tzinfo=UTC)
WHY = "answers drifted"


def record(kind: str, version: int, result: str, before: int | None, live: int | None) -> Record:
    one = {"consumer": "staging", "result": result, "before": before, "live": live}
    return Record(
        kind=kind,  # type: ignore[arg-type]
        run="r",
        model_package_group="g",
        version=version,
        outcome="succeeded",
        started_by="somebody",
        reason=WHY if kind == "rollback" else "",
        started=NOW,
        ended=NOW,
        consumers=[one],
    )


FIRST = record("promotion", 1, "promoted", None, 1)
SECOND = record("promotion", 2, "promoted", 1, 2)
BACK = record("rollback", 1, "promoted", 2, 1)
FOUND = record("promotion", 2, "unchanged", 2, 2)
STAYED = record("promotion", 1, "unchanged", 1, 1)
FAILED = record("promotion", 2, "failed", 1, 1)


@pytest.mark.parametrize(
    ("newest_first", "move"),
    [
        ([], None),
        ([FAILED], None),
        ([SECOND, FIRST], Move("promotion", "", 1, 2)),
        ([FAILED, FIRST], Move("promotion", "", None, 1)),
        ([BACK, SECOND, FIRST], Move("rollback", WHY, 2, 1)),
        ([FOUND, BACK], Move("promotion", "", 2, 2)),
        ([record("rollback", 1, "unchanged", 1, 1), SECOND], Move("promotion", "", 1, 2)),
        ([record("promotion", 2, "unchanged", 1, 1), FIRST], Move("promotion", "", None, 1)),
    ],
)
def test_the_last_move_is_the_newest_one_that_came_to_something(newest_first: Any, move: Any) -> None:
    assert last_move(newest_first, "staging") == move
    assert last_move(newest_first, "production") is None


@pytest.mark.parametrize(
    ("newest_first", "is_held"),
    [
        ([BACK, SECOND], True),
        ([FOUND, BACK, SECOND], False),  # brought there again by a run that died before it said so
        ([SECOND, BACK, SECOND], False),
        ([STAYED, BACK, SECOND], True),  # somebody asked for what was live anyway
        ([FAILED, BACK, SECOND], True),
    ],
)
def test_who_was_rolled_back_is_held_until_the_version_is_there_again(
    newest_first: Any, is_held: bool
) -> None:
    assert ("staging" in rolled_back_from(newest_first, 2)) is is_held


def live(version: int | None, proven: str | None = "t", status: str = "InService") -> LiveEndpoint:
    config = f"n-v{version}-0000" if version else "theirs"
    return LiveEndpoint("n", "arn", status, config, version, "p", proven, (), 1, None, None, (), (), True)


def earlier(version: int, proven: str | None) -> VersionConfig:
    return VersionConfig(f"n-v{version}-0000", version, "p", NOW, proven)


ROLLED_BACK, PROMOTED = Move("rollback", WHY, 2, 1), Move("promotion", "", 1, 2)


@pytest.mark.parametrize(
    ("now", "last", "version", "reason", "is_done"),
    [
        (live(1), ROLLED_BACK, None, WHY, True),
        (live(1), ROLLED_BACK, 1, WHY, True),
        (live(1), ROLLED_BACK, None, "another reason", False),
        (live(1), ROLLED_BACK, 3, WHY, False),
        (live(2), ROLLED_BACK, None, WHY, False),
        (live(1, proven=None), ROLLED_BACK, None, WHY, False),
        (live(1, status="Updating"), ROLLED_BACK, None, WHY, False),
        (None, ROLLED_BACK, None, WHY, False),
        (live(2), PROMOTED, None, "", False),
        (live(1), None, None, WHY, False),
    ],
)
def test_a_rollback_that_is_on_record_is_made_once(
    now: Any, last: Any, version: Any, reason: Any, is_done: bool
) -> None:
    assert is_rolled_back(now, last, version, reason) is is_done


@pytest.mark.parametrize(
    ("now", "known", "last", "version"),
    [
        (live(1), [earlier(1, "a"), earlier(2, None)], PROMOTED, 2),
        (live(1, proven=None), [earlier(1, None), earlier(2, None)], PROMOTED, 2),
        (live(2), [earlier(1, "a"), earlier(2, None)], PROMOTED, None),  # not moved yet
        (live(1), [earlier(1, "a"), earlier(2, "b")], PROMOTED, None),  # moved by somebody else
        (live(1), [earlier(1, "a")], PROMOTED, None),
        (live(None), [earlier(1, "a"), earlier(2, None)], PROMOTED, None),  # serves what is not ours
        (None, [earlier(2, None)], PROMOTED, None),
        (live(1), [earlier(1, "a"), earlier(2, None)], None, None),
        (live(1), [earlier(1, "a"), earlier(2, None)], ROLLED_BACK, None),  # on record
    ],
)
def test_what_a_dead_rollback_has_left_is_what_the_history_says_and_has_lost_its_proof(
    now: Any, known: Any, last: Any, version: Any
) -> None:
    assert unrecorded_rollback(now, known, last) == version
