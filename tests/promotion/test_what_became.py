"""What became of an endpoint, in the words of a person: where it went, and from which version."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from crossaccount.promotion.outcome import ConsumerOutcome, Result
from crossaccount.promotion.records import Record

MOVES = [
    (Result.PROMOTED, 2, None, "It serves it.", "promoted"),
    (Result.PROMOTED, 2, 1, "It serves it.", "promoted from version 1"),
    (Result.PROMOTED, 1, 2, "It serves it.", "moved back from version 2"),
    (Result.PROMOTED, 2, 1, "Rolled back: it serves it.", "moved back from version 1"),
    (Result.UNCHANGED, 2, 2, "It did before.", "unchanged"),
    (Result.FAILED, 2, 1, "It does not.", "failed"),
    (Result.HELD, 2, 1, "It was rolled back from it.", "held"),
    (Result.SKIPPED, 2, None, "Its turn did not come.", "skipped"),
]


@pytest.mark.parametrize(("result", "version", "before", "text", "what"), MOVES)
def test_a_row_says_where_an_endpoint_went(
    result: Result, version: int, before: int | None, text: str, what: str
) -> None:
    live = version if result in (Result.PROMOTED, Result.UNCHANGED) else before
    outcome = ConsumerOutcome("staging", "222222222222", 1, result, version, before, live, text)
    assert outcome.what == what
    assert str(outcome) == f"staging: {what}. {text}"
    assert outcome.to_json()["result"] == str(result)


@pytest.mark.parametrize(
    ("kind", "version", "before", "said"),
    [
        ("promotion", 2, 1, "staging promoted from version 1"),
        ("promotion", 1, 2, "staging moved back from version 2"),
        ("promotion", 1, None, "staging promoted"),
        ("rollback", 1, 2, "staging went back from version 2 to version 1"),
    ],
)
def test_the_history_says_it_too(kind: Any, version: int, before: int | None, said: str) -> None:
    part = {"consumer": "staging", "result": "promoted", "before": before, "live": version}
    now = datetime(2026, 12, 1, tzinfo=UTC)
    fields: dict[str, Any] = dict.fromkeys(Record.model_fields, "x")
    given = {
        "kind": kind,
        "version": version,
        "consumers": [part],
        "started": now,
        "ended": now,
        "reason": "",
    }
    line = Record.model_construct(**{**fields, **given, "lifecycle": []}).line()
    assert f": {said}  (" in line, line
