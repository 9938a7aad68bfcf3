"""Who is held back from a version that it was rolled back from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crossaccount.promotion import history
from crossaccount.promotion.records import Record
from crossaccount_sandbox import accounts

BEGUN = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def record(kind: str, version: int, at: int = 0, **more: Any) -> Record:
    began = BEGUN + timedelta(seconds=at)
    given = {"run": f"run-{at}", "outcome": "succeeded", "started_by": "a test", "consumers": [], **more}
    return Record(
        kind=kind, version=version, model_package_group=accounts.GROUP, started=began, ended=began, **given
    )


def moved(
    kind: str, before: int | None, live: int, result: str = "promoted", name: str = "staging"
) -> Record:
    one = {"consumer": name, "result": result, "before": before, "live": live}
    return record(kind, live, consumers=[one], reason="it was slow")


BACK_FROM_3 = moved("rollback", 3, 2)


@pytest.mark.parametrize(
    ("newest_first", "held"),
    [
        ([], set()),
        ([BACK_FROM_3], {"staging"}),
        ([moved("rollback", 4, 3)], set()),
        ([moved("rollback", None, 3)], set()),
        ([moved("rollback", 3, 3, "failed")], set()),
        ([moved("promotion", 3, 4)], set()),
        ([moved("promotion", 2, 3), BACK_FROM_3], set()),
        ([moved("promotion", 2, 4), BACK_FROM_3], set()),
        ([moved("promotion", 2, 2, "failed"), BACK_FROM_3], {"staging"}),
        ([moved("promotion", 2, 2, "unchanged"), BACK_FROM_3], {"staging"}),
        ([moved("promotion", None, 3, "held"), BACK_FROM_3], {"staging"}),
        ([moved("promotion", 2, 3, name="production"), BACK_FROM_3], {"staging"}),
        ([BACK_FROM_3, moved("promotion", 2, 3)], {"staging"}),
        ([moved("rollback", 2, 1), BACK_FROM_3], {"staging"}),  # and further back still
        ([moved("promotion", 1, 3), moved("rollback", 2, 1), BACK_FROM_3], set()),
        ([BACK_FROM_3, moved("rollback", 3, 2, name="production")], {"staging", "production"}),
        ([record("rollback", 2, consumers=[{}])], set()),
    ],
)
def test_who_is_held(newest_first: list[Record], held: set[str]) -> None:
    found = history.rolled_back_from(newest_first, 3)
    assert set(found) == held
    for why in found.values():
        assert "rolled back from version 3 at 2026-11-24 12:00Z: it was slow." in why
