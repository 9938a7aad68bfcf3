"""A group's dashboard as plain data: parts that are merged, verdicts that are never a wrong yes, and the page."""

from __future__ import annotations

import base64
import zlib
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from crossaccount.show import dashboard
from crossaccount.show.dashboard import Part
from crossaccount.show.markdown import wrapped

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
ARN = "arn:aws:sagemaker:us-east-1:111111111111:model-package-group/trees"
STAGING = "staging@222222222222"
RUN = "0d9a4b6e-0000-4000-8000-000000000001"


def part(minutes_ago: float = 0, **facts: Any) -> Part:
    return Part(seen=NOW - timedelta(minutes=minutes_ago), run=RUN, facts=facts)


def page(board: dict[str, Part]) -> str:
    return dashboard.page({ARN: board}, NOW)


def test_two_groups_never_have_one_key() -> None:
    letters = ["".join(each) for size in (1, 2, 3, 4) for each in product("aA-1f", repeat=size)]
    groups = [each for each in letters if each[0] != "-" and each[-1] != "-"]
    keys = {dashboard.key_of(group) for group in groups}
    assert len(keys) == len(groups)
    assert all(set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for key in keys)
    assert dashboard.key_of("decision-trees-sample") == "crossaccount-decision-trees-sample"


def test_of_each_part_the_newer_one_stays_in_whatever_order_the_boards_come() -> None:
    one = {"a/live": part(5, version=1), "b/live": part(1, version=2)}
    other = {"a/live": part(2, version=3), "c/live": part(3, version=4)}
    for boards in ([one, other], [other, one], [one, other, one]):
        merged = dashboard.merged(boards, NOW)
        assert {place: each.facts["version"] for place, each in merged.items()} == {
            "a/live": 3,
            "b/live": 2,
            "c/live": 4,
        }


def test_a_try_is_outdated_once_its_door_was_shut_and_stays_so_when_it_is_opened_again() -> None:
    """Also when the page with the try is looked at again, of a run that wrote at the same time."""
    place, policy = f"{STAGING}/door/bucket b", "222222222222/door/bucket b"
    tried = {place: part(9, **YES), policy: part(9, **SAYS)}
    shut = dashboard.merged([tried, {policy: part(5, **NO)}], NOW)
    opened = dashboard.merged([tried, shut, {policy: part(2, **GRANTED)}], NOW)
    assert dashboard.door_verdict(opened[place], opened[policy]) == ("granted", "read back")
    assert "not since it was shut" in page(opened)
    again = dashboard.merged([tried, shut, opened, {place: part(1, **YES)}], NOW)
    assert dashboard.door_verdict(again[place], again[policy])[0] == "yes"


def test_what_nobody_has_seen_for_long_is_forgotten_and_so_are_all_but_the_last_moves() -> None:
    old = {"x/live": part(91 * 24 * 60), "y/live": part(89 * 24 * 60)}
    moves = {f"move/staging {minute}": part(minute) for minute in range(60)}
    kept = dashboard.merged([old, moves], NOW)
    assert set(kept) == {"y/live", *(f"move/staging {minute}" for minute in range(40))}


def test_a_page_carries_its_parts_where_nobody_sees_them() -> None:
    board = {
        f"{STAGING}/live": part(3, version=2, endpoint="trees-staging"),
        "group/shared": part(versions=[1, 2]),
    }
    shown = page(board)
    assert dashboard.read(shown) == {ARN: board}
    assert shown.count("<!--") == 1
    assert shown.splitlines()[-1].startswith("<!-- crossaccount:")


def packed(data: bytes) -> str:
    return f"<!-- crossaccount:{base64.b64encode(data).decode()} -->"


@pytest.mark.parametrize(
    "tampered",
    [
        "",
        "a page of others",
        "<!-- crossaccount:AAAA -->",
        packed(b"no zlib"),
        packed(zlib.compress(b"no json")),
        packed(zlib.compress(b"[1, 2]")),
        packed(zlib.compress(b'{"arn": {"a/live": {"seen": "yesterday"}}}')),
        packed(zlib.compress(b'{"arn": {"a/live": {"seen": "2026-01-01T00:00:00Z", "run": "](http://x)"}}}')),
        packed(zlib.compress(b"[" * 100_000)),
        packed(zlib.compress(b" " * 50_000_000)),
        packed(zlib.compress(b"{}")[:-3]),
    ],
)
def test_a_page_that_was_tampered_with_carries_nothing(tampered: str) -> None:
    assert dashboard.read(tampered) == {}


YES, NO = {"verdict": "yes", "reason": "tried"}, {"verdict": "no", "reason": "refused"}
SAYS, GRANTED = {"verdict": "yes", "reason": "says so"}, {"verdict": "granted", "reason": "read back"}
DOUBT, ODD = {"verdict": "cannot tell", "reason": "unread"}, {"verdict": "of course", "reason": ""}


@pytest.mark.parametrize(
    ("tried", "documents", "verdict"),
    [
        (None, None, "cannot tell"),
        ((5, YES), None, "yes"),
        ((5, NO), None, "no"),
        (None, (5, SAYS), "granted"),  # a policy alone is no yes
        (None, (5, GRANTED), "granted"),
        (None, (5, NO), "no"),
        (None, (5, DOUBT), "cannot tell"),
        (None, (5, ODD), "cannot tell"),
        ((5, YES), (1, SAYS), "yes"),
        ((5, YES), (1, NO), "no"),  # shut since it was tried
        ((5, YES), (1, DOUBT), "cannot tell"),
        ((5, NO), (1, GRANTED), "granted"),  # opened since, and not tried
        ((5, NO), (1, SAYS), "granted"),
        ((5, DOUBT), (1, SAYS), "granted"),
        ((1, NO), (5, SAYS), "no"),  # its own try counts more than the policy
        ((1, YES), (5, NO), "yes"),
        ((1, DOUBT), (5, SAYS), "cannot tell"),
    ],
)
def test_whether_a_door_is_open(tried: Any, documents: Any, verdict: str) -> None:
    parts = [None if each is None else part(each[0], **each[1]) for each in (tried, documents)]
    assert dashboard.door_verdict(*parts)[0] == verdict


@pytest.mark.parametrize(
    ("doors", "shown"),
    [
        ({}, "not known"),
        ({"registry": YES, "bucket": YES}, "yes<br>"),
        ({"registry": YES, "bucket": NO, "key": DOUBT}, "**no**: bucket<br>"),
        ({"registry": YES, "bucket": DOUBT}, "cannot tell: bucket<br>"),
    ],
)
def test_the_access_of_a_consumer_in_a_word(doors: dict[str, Any], shown: str) -> None:
    board = {f"{STAGING}/door/{door} x": part(2, **facts) for door, facts in doors.items()}
    board[f"{STAGING}/config"] = part(stage=1, expires=None)
    (row,) = [line for line in page(board).splitlines() if line.startswith("| staging (222222222222)")]
    assert f"| {shown}" in row


def test_a_grant_that_has_expired_is_no_yes_whatever_was_seen_before() -> None:
    """A consumer whose grant has expired is not looked at any more."""
    board = {f"{STAGING}/door/bucket x": part(90, **YES)}
    board[f"{STAGING}/config"] = part(90, stage=1, expires=(NOW - timedelta(minutes=1)).isoformat())
    shown = page(board)
    assert "| **no**: the grant has expired<br>" in shown
    assert "| bucket<br>`x` | **no**<br>the grant has expired | yes, " in shown


def test_what_no_run_has_seen_is_never_blank() -> None:
    (row,) = [
        line
        for line in page({f"{STAGING}/config": part(stage=1)}).splitlines()
        if line.startswith("| staging")
    ]
    assert row == "| staging (222222222222) | not known | not known | not known |"
    assert "**Last promotion:** not known" in page({})
    assert "**Next expiry:** not known" in page({})


@pytest.mark.parametrize(
    ("days", "shown"),
    [
        ([None], "no grant expires"),
        ([30, 3], "production (333333333333) on 2026-12-03 12:00Z, in 3 days"),
        ([-1, None], "**staging (222222222222) has expired** on 2026-11-29 12:00Z"),
    ],
)
def test_the_next_expiry(days: list[int | None], shown: str) -> None:
    subjects = [STAGING, "production@333333333333"]
    board = {
        f"{subject}/config": part(
            stage=1, expires=None if ahead is None else (NOW + timedelta(days=ahead)).isoformat()
        )
        for subject, ahead in zip(subjects, days, strict=False)
    }
    assert f"**Next expiry:** {shown}" in page(board)


def test_a_page_links_its_runs_and_the_console_and_draws_the_latencies() -> None:
    board = {
        f"{STAGING}/live": part(7, version=2, endpoint="trees-staging"),
        f"{STAGING}/result": part(1, result="failed", version=3),
        f"{STAGING}/proved": part(7, version=2, median_ms=61.2),
        "group/moved": part(1, kind="promotion", version=3, outcome="failed", reason="a | pipe"),
        "move/staging 1": part(9, consumer="staging", version=1, median_ms=50.0),
        "move/staging 2": part(7, consumer="staging", version=2, median_ms=61.2),
    }
    shown = page(board)
    assert f"[2026-11-30 11:53Z](../../runs/flow-run/{RUN})" in shown
    assert (
        "us-east-1.console.aws.amazon.com/sagemaker/home?region=us-east-1#/endpoints/trees-staging" in shown
    )
    assert "**failed: version 3**" in shown
    assert "promotion of version 3: failed" in shown
    assert "a \\| pipe" in shown
    assert "![2 proofs, 50.0 to 61.2 ms](data:image/svg+xml;base64," in shown


@pytest.mark.parametrize(
    "name",
    [
        "trees",
        "a" * 63,
        "arn:aws:iam::222222222222:role/service-role/AmazonSageMaker-ExecutionRole-20260101T000001",
    ],
)
def test_a_long_name_is_broken_and_nothing_of_it_is_lost(name: str) -> None:
    lines = wrapped(name).split("<br>")
    assert "".join(line.strip("`") for line in lines) == name
    assert max(map(len, lines)) <= 36 + 2
