"""Expectations: which answers are right."""

from __future__ import annotations

from typing import Any

import pytest

from crossaccount.config.smoke import Smoke
from crossaccount.proof.expectations import expectation as expected
from crossaccount.proof.expectations import same_answer

NAN, INFINITY = float("nan"), float("inf")


# Equal answers.


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        ([0], [0]),
        (0, 0),
        (1, 1.0),
        (1.0, 1),
        ([1.0, 2], [1, 2.0]),
        (0.1 + 0.2, 0.3),
        (1.0000009, 1.0),
        (1_000_000, 1_000_001),
        (-1.0000009, -1.0),
        (1e300, 1.0000001e300),
        (0.0, -0.0),
        (0.0, 1e-13),
        ("setosa", "setosa"),
        ("", ""),
        (None, None),
        (True, True),
        (False, False),
        ([], []),
        ({}, {}),
        ({"a": 1, "b": [1, {"c": None}]}, {"b": [1.0, {"c": None}], "a": 1.0}),
        ([[0.1, 0.9], [0.8, 0.2]], [[0.1, 0.9], [0.8, 0.2]]),
        (
            {"predictions": [{"label": "x", "score": 0.99999999}]},
            {"predictions": [{"label": "x", "score": 1}]},
        ),
        (INFINITY, INFINITY),
    ],
)
def test_answers_that_are_the_same(got: Any, expected: Any) -> None:
    assert same_answer(got, expected) is True
    assert same_answer(expected, got) is True


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        ([0], [1]),
        (0, 1),
        (1.00001, 1.0),
        (1.000002, 1.0),
        (1.0, -1.0),
        (0.0, 1e-9),
        (0, None),
        (0, ""),
        (0, False),
        (0.0, False),
        (1, True),
        (1.0, True),
        ([1], [True]),
        (True, False),
        (True, "true"),
        (None, False),
        (None, "null"),
        (None, []),
        ("1", 1),
        ("1.0", "1"),
        ("setosa", "Setosa"),
        ("setosa", "setosa "),
        ("setosa", ["setosa"]),
        ([0], 0),
        ([0], "[0]"),
        ([0], [[0]]),
        ([0], [0, 0]),
        ([0, 0], [0]),
        ([], [None]),
        ([1, 2], [2, 1]),
        ([], {}),
        ({}, None),
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"A": 1}),
        ({"a": 1}, {}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": None}, {}),
        ({"a": {"b": [0]}}, {"a": {"b": [1]}}),
        ([[0.1, 0.9]], [[0.9, 0.1]]),
        (NAN, NAN),
        (NAN, 0),
        (INFINITY, -INFINITY),
        (INFINITY, 1e308),
        ("ModelError: no", [0]),
    ],
)
def test_answers_that_differ(got: Any, expected: Any) -> None:
    assert same_answer(got, expected) is False
    assert same_answer(expected, got) is False


@pytest.mark.parametrize(
    ("got", "expected", "same"), [(10**400, 1.0, False), (10**400, 10**400, True), (1.0, 10**400, False)]
)
def test_a_number_of_any_size_is_compared(got: Any, expected: Any, same: Any) -> None:
    assert same_answer(got, expected) is same


# Expectations: what a payload in a config takes for right.


def judged(got: Any, **expectation: Any) -> bool:
    _, right = expected(Smoke(content_type="text/csv", body="1", **expectation))
    return right(got)


def near(value: Any, **tolerance: float) -> dict[str, Any]:
    return {"expect_within": {"value": value, "tolerance": tolerance}}


def at(path: str, value: Any, **tolerance: float) -> dict[str, Any]:
    return {
        "expect_json_path": {"path": path, "value": value, **({"tolerance": tolerance} if tolerance else {})}
    }


SCORES = {"predictions": [{"label": "setosa", "score": 0.5}, {"label": "virginica", "score": 0.25}], "n": 2}
LIST = {"type": "array", "minItems": 1, "items": {"type": "integer"}}
IN_A_CIRCLE = {"$ref": "#"}


@pytest.mark.parametrize(
    ("got", "expectation"),
    [
        ([0], {"expect": [0]}),
        (None, {"expect": None}),
        ([0.1], near([0.11], absolute=0.02)),
        ([0.1], near([0.2], absolute=0.1)),
        (0.3, near(0.2, absolute=0.1)),
        (95, near(100, relative=0.05)),
        (-95, near(-100, relative=0.05)),
        ({"a": [1.01, "x"]}, near({"a": [1, "x"]}, absolute=0.02)),
        (True, near(True, absolute=1)),
        (SCORES, at("n", 2)),
        (SCORES, at("$.n", 2)),
        (SCORES, at("predictions[0].label", "setosa")),
        (SCORES, at("$.predictions[1].score", 0.24, absolute=0.02)),
        (SCORES, at("$", SCORES)),
        ([[1, 2], [3, 4]], at("[1][0]", 3)),
        ({"a": None}, at("a", None)),
        ({"1": "x"}, at("1", "x")),
        ([0, 2], {"expect_schema": LIST}),
        ("anything", {"expect_schema": True}),
        (
            {"a": 1},
            {
                "expect_schema": {
                    "$defs": {"n": {"type": "integer"}},
                    "properties": {"a": {"$ref": "#/$defs/n"}},
                }
            },
        ),
        ("setosa", {"expect_label": ["setosa", "virginica"]}),
        (["setosa", "virginica", "setosa"], {"expect_label": ["setosa", "virginica"]}),
        ([0, 2], {"expect_label": [0, 1, 2]}),
        (1.0, {"expect_label": [1]}),
        (True, {"expect_label": [True]}),
    ],
)
def test_an_answer_that_is_right(got: Any, expectation: dict[str, Any]) -> None:
    assert judged(got, **expectation) is True


@pytest.mark.parametrize(
    ("got", "expectation"),
    [
        ([1], {"expect": [0]}),
        (0, {"expect": None}),
        ([0.1], near([0.2], absolute=0.0999)),
        (94.9, near(100, relative=0.05)),
        (0.001, near(0, relative=0.5)),
        ([0.1], near(0.1, absolute=1)),
        ([0.1, 0.1], near([0.1], absolute=1)),
        ({"a": 1}, near({"b": 1}, absolute=1)),
        ("x", near("y", absolute=9)),
        (True, near(1, absolute=1)),
        (10**400, near(1, absolute=1)),
        (None, near(0, absolute=1)),
        (SCORES, at("n", 3)),
        (SCORES, at("m", 2)),
        (SCORES, at("predictions[2].label", "setosa")),
        (SCORES, at("predictions[0].score", 0.51)),
        (SCORES, at("predictions[0].score", 0.6, absolute=0.05)),
        (SCORES, at("predictions.label", "setosa")),
        (SCORES, at("[0]", 1)),
        (SCORES, at("m", None)),
        ("n", at("n", "n")),
        ([1], at("1", 1)),
        ([], {"expect_schema": LIST}),
        (["x"], {"expect_schema": LIST}),
        ("setosa", {"expect_schema": LIST}),
        ("anything", {"expect_schema": False}),
        ([0], {"expect_schema": {"$ref": "#/nowhere"}}),
        ([0], {"expect_schema": IN_A_CIRCLE}),
        ("versicolor", {"expect_label": ["setosa", "virginica"]}),
        (["setosa", "versicolor"], {"expect_label": ["setosa", "virginica"]}),
        ([], {"expect_label": ["setosa"]}),
        ([["setosa"]], {"expect_label": ["setosa"]}),
        ({"label": "setosa"}, {"expect_label": ["setosa"]}),
        (None, {"expect_label": ["setosa"]}),
        (True, {"expect_label": [1]}),
        (1, {"expect_label": [True]}),
        ("1", {"expect_label": [1]}),
    ],
)
def test_an_answer_that_is_wrong(got: Any, expectation: dict[str, Any]) -> None:
    assert judged(got, **expectation) is False


@pytest.mark.parametrize(
    ("expectation", "shown"),
    [
        ({"expect": [0]}, [0]),
        (near([1], absolute=0.5), {"value": [1], "tolerance": {"absolute": 0.5}}),
        (at("a[0]", 1), {"path": "a[0]", "value": 1}),
        (at("a", 1, relative=0.1), {"path": "a", "value": 1, "tolerance": {"relative": 0.1}}),
        ({"expect_schema": LIST}, {"schema": LIST}),
        ({"expect_label": ["a", 1]}, {"labels": ["a", 1]}),
    ],
)
def test_what_was_expected_is_plain_data(expectation: dict[str, Any], shown: Any) -> None:
    assert expected(Smoke(content_type="text/csv", body="1", **expectation))[0] == shown
