"""Patterns that look at a text for ever are given up; those that end, however long the text, are decided."""

from __future__ import annotations

import time
from typing import Any

import pytest

from crossaccount.proof.patterns import Patterns, Undecided, is_quick
from crossaccount.proof.schemas import misfit


@pytest.mark.parametrize(
    ("pattern", "length", "quick"),
    [
        ("Paris", 6_000_000, True),
        ("^(setosa|virginica)$", 6_000_000, True),
        (r"^\d{3}$", 3, True),
        ("^a+$", 3_000, True),
        (r"\s+$", 200_000, False),
        (".*.*=", 5_000, False),
        ("(a+)+$", 30, False),
        ("(a|aa)*$", 40, False),
        ("a?" * 30 + "a" * 30, 30, False),
    ],
)
def test_a_pattern_is_quick_by_its_repetitions(pattern: str, length: int, quick: bool) -> None:
    assert is_quick(pattern, length) is quick


@pytest.mark.parametrize(
    ("pattern", "text", "decided"),
    [
        ("Paris", "x" * 6_000_000, True),
        ("^x*.*(Paris|Rome)$", "x" * 5_200, True),
        ("^(ab)*$", "ab" * 100_000, True),
        ("(a+)+$", "a" * 60 + "b", False),
        (r"\s+$", " " * 200_000 + "x", False),
    ],
)
def test_a_pattern_is_decided_or_given_up_in_time(pattern: str, text: str, decided: bool) -> None:
    started = time.monotonic()
    with Patterns(time.monotonic() + (20 if decided else 0.3)) as patterns:
        for _ in range(2):
            if decided:
                patterns.check(pattern, text)
            else:
                with pytest.raises(Undecided, match=f"on a text of {len(text)} characters"):
                    patterns.check(pattern, text)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("schema", "got"),
    [
        ({"pattern": "(a+)+$"}, "a" * 60 + "b"),
        ({"patternProperties": {"(a+)+$": False}}, {"a" * 60 + "b": 1}),
        ({"patternProperties": {"(a+)+$": {}}, "additionalProperties": False}, {"a" * 60 + "b": 1}),
        (
            {"allOf": [{"patternProperties": {"(a+)+$": {}}}], "unevaluatedProperties": False},
            {"a" * 60 + "b": 1},
        ),
        ({"propertyNames": {"pattern": "(a+)+$"}}, {"a" * 60 + "b": 1}),
    ],
)
def test_a_schema_says_which_pattern_it_gave_up(schema: Any, got: Any) -> None:
    started = time.process_time()
    assert 'the pattern "(a+)+$" was not decided in time' in misfit(got, schema, seconds=0.3)
    assert time.process_time() - started < 2
