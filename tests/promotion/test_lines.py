"""The record of a promotion or a rollback as a line that a person reads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from crossaccount.config.loading import load_config
from crossaccount.errors import AccessMissing, Failed
from crossaccount.promotion.foreseen import Foreseen, text
from crossaccount.promotion.records import Record
from crossaccount.show import plans

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
BACK = {"consumer": "staging", "result": "promoted", "before": 2, "live": 1}


def line(kind: Any, *parts: dict[str, Any], reason: str = "", outcome: Any = "succeeded") -> str:
    facts = {"kind": kind, "version": 1, "outcome": outcome, "reason": reason, "consumers": list(parts)}
    known = {
        "run": "r",
        "model_package_group": "trees",
        "started_by": "user me",
        "started": NOON,
        "ended": NOON,
    }
    return Record.model_validate({**facts, **known}).line()


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (
            line("rollback", BACK, reason="drift"),
            "rollback to version 1 succeeded: staging went back from version 2 to version 1. Reason: drift  (user me)",
        ),
        (line("rollback", BACK, reason="It drifted."), "version 1. Reason: It drifted  (user me)"),
        (
            line("promotion", {**BACK, "before": None}, {"consumer": "b", "result": "unchanged", "live": 1}),
            "promotion of version 1 succeeded: staging promoted, b unchanged  (user me)",
        ),
        (
            line(
                "promotion",
                {**BACK, "result": "failed", "live": 2},
                reason="Stage 1 did not succeed.",
                outcome="failed",
            ),
            "promotion of version 1 failed: staging failed, serving version 2. It stopped: Stage 1 did not succeed  (user me)",
        ),
    ],
)
def test_a_record_reads_as_what_happened(given: str, meant: str) -> None:
    assert given.endswith(meant)


@pytest.mark.parametrize(
    ("live", "more", "move"),
    [
        (2, {}, "MOVES BACK from version 2 to version 1"),
        (1, {}, "stays at version 1"),
        (None, {"is_there": False}, "is made, with version 1"),
        (None, {}, "comes to version 1, from a mix or something else"),
        (None, {"unknown": "no profile", "is_there": False}, "from which version cannot be told: no profile"),
        (2, {"held": "It was rolled back."}, "stays as it is. It was rolled back."),
    ],
)
def test_a_move_is_foreseen_in_words(live: int | None, more: dict[str, Any], move: str) -> None:
    given = {"is_there": True, **more}
    foreseen = Foreseen(1, "staging", "222222222222", "trees", live, 1, **given)
    assert move in str(foreseen)
    warned = "BACK to an earlier version" in text([foreseen], "trees")
    assert warned is (live == 2 and "held" not in more)


def test_a_sentence_within_another_ends_once() -> None:
    assert str(Failed("It failed: Ask.. Then go on..")) == "It failed: Ask. Then go on."
    assert str(Failed("a... and ../b and s3://b/..")) == "a... and ../b and s3://b/.."
    assert (
        str(AccessMissing(("x is shut.",), "", {}))
        == "Access that the config promises is missing: x is shut."
    )


def test_an_account_is_named_by_its_consumers() -> None:
    sharing = load_config("configs/sandbox.yaml")
    assert plans.names_of(sharing) == {"222222222222": "staging", "333333333333": "production"}
