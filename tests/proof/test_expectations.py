"""Expectations: which answers are right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from crossaccount.config.smoke import Smoke
from crossaccount.proof.differences import difference
from crossaccount.proof.expectations import expectation as expected
from crossaccount.proof.reading import read_answer

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
        (10234567.0, 10234567),
        (2**53 + 1, 2**53 + 1),
        (10**400, 10**400),
        (float(2**60), 2**60),
        (1234567.25, 1234567.5),
        (1234567.25, 1234567),
        (0.99999999, 1),
        (-1.0000009, -1.0),
        (1e300, 1.0000001e300),
        (0.0, -0.0),
        (0.0, 1e-13),
        (1e-20, 1.0000001e-20),
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
        (-INFINITY, -INFINITY),
        (NAN, NAN),
        ({"p": [NAN, 0.5]}, {"p": [NAN, 0.5]}),
    ],
)
def test_answers_that_are_the_same(got: Any, expected: Any) -> None:
    assert difference(got, expected) == ""
    assert difference(expected, got) == ""


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        ([0], [1]),
        (0, 1),
        (1.00001, 1.0),
        (1_000_000, 1_000_001),
        (10234568, 10234567),
        (10234568.0, 10234567),
        (10234568.0, 10234567.0),
        (10234568.3, 10234567),
        (1764500000, 1764500060),
        (2**53 + 1, 2**53),
        (float(2**53), 2**53 + 1),
        (2**60 + 1, float(2**60)),
        (1.0000001e20, 10**20),
        (10**400, 10**400 + 1),
        (10**400, 1.0),
        (10**400, 0.5),
        (10**400, INFINITY),
        (1.000002, 1.0),
        (1.0, -1.0),
        (0.0, 1e-9),
        (1e-13, 2e-13),
        (1.5e-13, -1.5e-13),
        (1e-20, 1.00001e-20),
        (2.0e-308, 2.1e-308),
        ([5e-324], [1e-323]),
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
        (NAN, 0),
        (NAN, 0.5),
        (NAN, None),
        (NAN, "NaN"),
        (NAN, INFINITY),
        (INFINITY, "Infinity"),
        (INFINITY, -INFINITY),
        (INFINITY, 1e308),
        ("ModelError: no", [0]),
    ],
)
def test_answers_that_differ(got: Any, expected: Any) -> None:
    assert difference(got, expected)
    assert difference(expected, got)


@pytest.mark.parametrize(
    ("got", "expected", "words"),
    [
        ([0, 1], [0, 2], "at '[1]' it is 1, not 2"),
        ({"a": [{"b": 1}]}, {"a": [{"b": "1"}]}, "at '.a[0].b' it is 1, not '1'"),
        ([NAN], ["NaN"], "at '[0]' it is NaN, not 'NaN'"),
        ([0], [0, 0], "it has 1 items, not 2"),
        ({}, {"a": 0}, "it has no key 'a'"),
        ({"a": 0}, {}, "it has the key 'a', which is not expected"),
        ("\x1b[2J" * 1000, 0, "it is '\\x1b[2J"),
    ],
)
def test_the_first_difference_is_told_in_a_few_words(got: Any, expected: Any, words: str) -> None:
    told = difference(got, expected)
    assert told.startswith(words)
    assert len(told) < 300


@pytest.mark.parametrize(
    ("raw", "content_type", "keys", "words"),
    [
        ("1,3\n", "text/csv", {"expect": [1, 2]}, "at '[1]' it is '3', not 2"),
        ("1,3\n", "text/csv", {"expect": [[1, 2]]}, "at '[0][1]' it is '3', not 2"),
        ("1,3\n", "text/csv", {"expect": [1, 2, 3]}, "it has 1 items, not 3"),
        ("1\n3\n", "text/csv", {"expect": [[1], [2]]}, "at '[1][0]' it is '3', not 2"),
        ("8\n", "text/csv", {"expect": 7}, "it is '8', not 7"),
        ("a,c\n", "text/csv", {"expect": ["a", "b"]}, "at '[1]' it is 'c', not 'b'"),
        (
            "0.5,0.9\n",
            "text/csv",
            {"expect_within": {"value": [0.5, 0.7], "tolerance": {"absolute": 0.1}}},
            "at '[1]' it is '0.9', not 0.7",
        ),
        (
            "0.5,0.9\n",
            "text/csv",
            {"expect_within": {"value": [0.5, 0.7], "tolerance": {"absolute": 0.1, "share": 0.1}}},
            "1 of its 2 numbers",
        ),
        (
            "0.5,-1,2\n",
            "text/csv",
            {"expect_array": {"shape": [3], "minimum": 0}},
            "-1.0 in it is not 0 or more",
        ),
        (
            "0.5,-1,2\n",
            "text/csv",
            {"expect_array": {"shape": [4], "minimum": 0}},
            "its shape is [1, 3], not [4]",
        ),
        ('{"a": 1}\n', "application/jsonlines", {"expect": {"a": 2}}, "at '.a' it is 1, not 2"),
        ('{"a": 1}\n', "application/jsonlines", {"expect": [{"a": 2}]}, "at '[0].a' it is 1, not 2"),
    ],
)
def test_a_wrong_answer_is_told_by_its_place_in_the_form_that_is_expected(
    raw: str, content_type: str, keys: Any, words: str
) -> None:
    _, judge = expected(Smoke(content_type="text/csv", body="x", **keys))
    assert judge(read_answer(raw.encode(), content_type)).startswith(words)


# Answers in CSV: a cell is what is expected of it.


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("001\n", ["001"]),
        ("1e5\n", ["1e5"]),
        ("1e5\n", [100000]),
        ("001\n", [1]),
        ("0\n1\n2\n", [0, 1, 2]),
        ("0\n1\n2\n", ["0", "1", "2"]),
        ("0\n1\n2\n", [[0], [1], [2]]),
        ("0,1,2\n", [[0, 1, 2]]),
        ("0,1,2\n", [0, 1, 2]),
        ("0", 0),
        ("0", "0"),
        ("setosa\n", "setosa"),
        ('"setosa"\r\n"a, b"\r\n', ["setosa", "a, b"]),
        ("True\nfalse\n", [True, False]),
        ("True\n", ["True"]),
        ("\ufeffsetosa,0.5\n", [["setosa", 0.5]]),
        ("setosa,0.5\nvirginica,001\n", [["setosa", 0.5], ["virginica", "001"]]),
        ("10234567\n", [10234567]),
        ("10234567.0\n", [10234567]),
        ("9007199254740993\n", [2**53 + 1]),
        ("nan\n", [NAN]),
        ("nan\n", ["nan"]),
        ("-inf\n", [-INFINITY]),
        ("0.1,0.2\n", [[0.1000000001, 0.2]]),
        ("", []),
    ],
)
def test_a_cell_is_right(raw: str, expected: Any) -> None:
    assert difference(read_answer(raw.encode(), "text/csv"), expected) == ""


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("1\n", ["001"]),
        ("001\n", ["1"]),
        ("100000\n", ["1e5"]),
        ("1e6\n", ["1e5"]),
        ("1.0\n", ["1"]),
        ("10234568\n", [10234567]),
        ("10234568.0\n", [10234567]),
        ("9007199254740992\n", [2**53 + 1]),
        ("9007199254740993.0\n", [2**53]),
        ("1\n", [True]),
        ("True\n", [1]),
        ("True\n", ["true"]),
        ("true\n", [False]),
        ("yes\n", [True]),
        ("1_000\n", [1000]),
        ("\u0661\u0662\n", [12]),
        ("setosa\n", ["setosa "]),
        (" setosa\n", ["setosa"]),
        ("0\n1\n", [0, 2]),
        ("0\n1\n", [[0, 1]]),
        ("0\n1\n", [0]),
        ("0,1\n2,3\n", [0, 1, 2, 3]),
        ("0,1\n", [[0], [1]]),
        ("nan\n", [0]),
        ("setosa\n", [NAN]),
        ("nan\n", [INFINITY]),
        ("0\n", {"0": 0}),
        ("0\n", [None]),
        ("", [0]),
        ("", ""),
    ],
)
def test_a_cell_is_wrong(raw: str, expected: Any) -> None:
    assert difference(read_answer(raw.encode(), "text/csv"), expected)


# Expectations: what a payload in a config takes for right.


def judged(got: Any, **expectation: Any) -> bool:
    return not fault(got, **expectation)


def fault(got: Any, **expectation: Any) -> str:
    _, judge = expected(Smoke(content_type="text/csv", body="1", **expectation))
    return judge(got)


def csv(text: str) -> Any:
    return read_answer(text.encode(), "text/csv")


QUANTILES = {
    "quantiles": {"0.5": [1.5], "0": {"9": 2}, "0.9": 3},
    "mean value": 4,
    "a": {"b.c": 5},
    "a.b": {"c": 6},
}
LABELS = {"expect_label": ["setosa", "virginica"]}


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
        (QUANTILES, at("quantiles.0.5[0]", 1.5)),
        (QUANTILES, at('quantiles."0.5"[0]', 1.5)),
        (QUANTILES, at('quantiles["0.5"][0]', 1.5)),
        (QUANTILES, at("$.quantiles['0.5'][0]", 1.5)),
        (QUANTILES, at("quantiles.0.9", 2)),
        (QUANTILES, at('quantiles."0.9"', 3)),
        (QUANTILES, at('"mean value"', 4)),
        (QUANTILES, at('a["b.c"]', 5)),
        (QUANTILES, at('"a.b".c', 6)),
        ([{"label": "a", "p": NAN}], at("[0].label", "a")),
        ([{"label": "a", "p": NAN}], at("[0].p", NAN)),
        (INFINITY, near(INFINITY, relative=0.1)),
        (NAN, near(NAN, absolute=1)),
        (10234568, near(10234567, absolute=1)),
        (2**60 + 1, near(2**60, absolute=1)),
        (10**400 + 1, near(10**400, absolute=1)),
        (csv("setosa,0.5\n"), at("[0][0]", "setosa")),
        (csv("001\n2\n"), at("[0]", "001")),
        (csv("001\n2\n"), at("[0]", 1)),
        (csv("0.51\n"), near([0.5], absolute=0.02)),
        ([0, 2], {"expect_schema": LIST}),
        (csv("0\n2\n"), {"expect_schema": LIST}),
        (csv("001\n"), {"expect_schema": {"items": {"pattern": "^[0-9]{3}$"}}}),
        (
            {"label": "a", "p": NAN},
            {"expect_schema": {"required": ["label"], "properties": {"label": {"const": "a"}}}},
        ),
        ({"p": NAN}, {"expect_schema": {"properties": {"p": {"const": NAN}}}}),
        ([NAN, 1], {"expect_schema": {"items": {"enum": [1, NAN]}}}),
        ("x" * 5_200 + "Paris", {"expect_schema": {"type": "string", "pattern": "Paris"}}),
        ("x" * 5_200 + "Paris", {"expect_schema": {"type": "string", "pattern": "^x*.*(Paris|Rome)$"}}),
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
        ("setosa\n", LABELS),
        ("setosa\r\n", LABELS),
        ([["setosa"]], LABELS),
        ({"label": "setosa"}, LABELS),
        ({"label": "setosa", "score": 0.9}, LABELS),
        ({"predicted_label": "setosa"}, LABELS),
        ({"Predicted-Label": "setosa"}, LABELS),
        ([{"label": "setosa"}, {"label": "virginica"}], LABELS),
        ({"predictions": [{"predicted_label": "setosa", "probability": 0.9}]}, LABELS),
        ({"predictions": ["setosa", "virginica"]}, LABELS),
        ({"label": ["setosa"], "prob": [NAN]}, LABELS),
        ({"label": "setosa", "class": "virginica"}, LABELS),
        (csv("setosa\nvirginica\n"), LABELS),
        (csv("setosa,virginica\n"), LABELS),
        (csv("001\n"), {"expect_label": ["001"]}),
        (csv("1\n"), {"expect_label": [1]}),
        (csv("True\n"), {"expect_label": [True]}),
        (10234567, {"expect_label": [10234567]}),
        (NAN, {"expect_label": [NAN]}),
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
        (QUANTILES, at('quantiles.0."5"', 1.5)),
        (QUANTILES, at("quantiles.0.5", 1.5)),
        (QUANTILES, at('"quantiles.0.5"', [1.5])),
        ({"quantiles": {"0.5": 1}}, at('quantiles."0"."5"', 1)),
        (QUANTILES, at("a.b.c", 5)),
        (QUANTILES, at("a.b.c", 6)),
        (QUANTILES, at("quantiles.0.9", 3)),
        ([{"p": NAN}], at("[0].p", 0.5, absolute=1)),
        ([{"p": 0.5}], at("[0].p", NAN)),
        (5, near(INFINITY, relative=0.1)),
        (INFINITY, near(5, absolute=1)),
        (NAN, near(5, absolute=1)),
        (10234568, near(10234567, absolute=0.5)),
        (2**60 + 1, near(2**60, absolute=0.5)),
        (10**400 + 2, near(10**400, absolute=1)),
        (csv("1\n2\n"), at("[0]", "001")),
        (csv("0.53\n"), near([0.5], absolute=0.02)),
        ([1], at("1", 1)),
        ([], {"expect_schema": LIST}),
        (["x"], {"expect_schema": LIST}),
        ("setosa", {"expect_schema": LIST}),
        ("anything", {"expect_schema": False}),
        ([NAN], {"expect_schema": {"items": {"type": "number"}}}),
        ([NAN], {"expect_schema": {"items": {"minimum": 0}}}),
        ([NAN], {"expect_schema": {"items": {"maximum": 1}}}),
        ([INFINITY], {"expect_schema": {"items": {"type": "number", "minimum": 1}}}),
        ([0.5], {"expect_schema": {"items": {"const": NAN}}}),
        (["NaN"], {"expect_schema": {"items": {"const": NAN}}}),
        ([True], {"expect_schema": {"items": {"const": 1}}}),
        ("x" * 5_200 + "Rome", {"expect_schema": {"type": "string", "pattern": "Paris"}}),
        ("x" * 5_200 + "Rom", {"expect_schema": {"type": "string", "pattern": "^x*.*(Paris|Rome)$"}}),
        ([0], {"expect_schema": {"$ref": "#/nowhere"}}),
        ([0], {"expect_schema": IN_A_CIRCLE}),
        ("versicolor", {"expect_label": ["setosa", "virginica"]}),
        (["setosa", "versicolor"], {"expect_label": ["setosa", "virginica"]}),
        ([], {"expect_label": ["setosa"]}),
        ({"label": "versicolor"}, LABELS),
        ({"other": "setosa"}, LABELS),
        ({}, LABELS),
        ([[]], LABELS),
        ([["setosa"], []], LABELS),
        ([{"label": "setosa"}, {"score": 1}], LABELS),
        ({"label": "setosa", "predicted_label": "versicolor"}, LABELS),
        ({"label": []}, LABELS),
        ({"setosa": 1}, LABELS),
        ("setosa\n\n", LABELS),
        (" setosa", LABELS),
        ("Setosa", LABELS),
        (csv("setosa,0.9\n"), LABELS),
        (csv("setosa\nversicolor\n"), LABELS),
        (csv(""), LABELS),
        (csv("1\n"), {"expect_label": ["001"]}),
        (csv("1\n"), {"expect_label": [True]}),
        (csv("True\n"), {"expect_label": [1]}),
        (10234568, {"expect_label": [10234567]}),
        (0.30000001, {"expect_label": [0.3]}),
        (NAN, {"expect_label": [0]}),
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
        ({"expect": [NAN, -INFINITY]}, ["NaN", "-Infinity"]),
        (near([1], absolute=0.5), {"value": [1], "tolerance": {"absolute": 0.5}}),
        (at("a[0]", 1), {"path": "a[0]", "value": 1}),
        (at("a", 1, relative=0.1), {"path": "a", "value": 1, "tolerance": {"relative": 0.1}}),
        ({"expect_schema": LIST}, {"schema": LIST}),
        ({"expect_label": ["a", 1]}, {"labels": ["a", 1]}),
    ],
)
def test_what_was_expected_is_plain_data(expectation: dict[str, Any], shown: Any) -> None:
    assert expected(Smoke(content_type="text/csv", body="1", **expectation))[0] == shown


@pytest.mark.parametrize(
    ("got", "expectation", "words"),
    [
        (SCORES, at("predictions[2].label", "setosa"), "there is nothing at 'predictions[2].label'"),
        (QUANTILES, at("a.b.c", 5), "leads to 2 places: put keys with dots in quotes"),
        ({"score": 1}, LABELS, "there is no label in"),
        ("versicolor", LABELS, "'versicolor' is none of the labels"),
        ([0, "a"], {"expect_schema": LIST}, "at '[1]' it does not fit type: 'integer'"),
        ([0], {"expect_schema": {"$ref": "#/nowhere"}}, "leads nowhere"),
        ([0], {"expect_schema": IN_A_CIRCLE}, "in a circle"),
    ],
)
def test_what_is_wrong_is_told(got: Any, expectation: dict[str, Any], words: str) -> None:
    assert words in fault(got, **expectation)


# Near misses: nothing that is almost the expected answer is taken for it.

ANSWERS: list[Any] = [
    *(
        0,
        1,
        7,
        10234567,
        1764500000,
        2**31,
        2**53,
        2**53 + 1,
        10**18,
        -3,
        0.5,
        -0.25,
        1e-3,
        123.456,
        1e9 + 0.5,
    ),
    *("setosa", "001", "1e5", "True", "", "NaN", True, False, None, NAN, INFINITY, -INFINITY),
    *([0, 1, 2], [[0.1, 0.9], [0.8, 0.2]], {"label": "setosa", "p": 0.5}, [{"a": [NAN, 1]}], ["001", 1], []),
]


def near_misses(value: Any) -> Iterator[Any]:
    """Values that differ from this one by little: another digit, another kind, another shape."""
    yield from (None, "", [value], {"value": value}, [], {})
    if isinstance(value, bool):
        yield from (not value, int(value), float(value), str(value), str(value).lower())
    elif isinstance(value, int):
        yield from (
            value + 1,
            value - 1,
            -value or 1,
            str(value),
            float(value + 1 + abs(value) // 10**6),
            value + 0.5,
        )
        yield from (value == 1, f"0{value}", NAN, INFINITY, value * 10 or 10)
    elif isinstance(value, float):
        yield from (NAN, INFINITY, -INFINITY, 0, str(value), json.dumps(value))
        yield from (value * (1 + 2e-6), value * 1.001, -value, value * 10)
    elif isinstance(value, str):
        yield from (value + " ", " " + value, value.swapcase(), value + "0", value[:-1], "0" + value)
        yield from (0, 1, 100000, True, NAN)
    elif isinstance(value, list):
        yield from (value + value[:1] or [0], value[1:], value[::-1])
        yield from (
            [*value[:at], miss, *value[at + 1 :]]
            for at, item in enumerate(value)
            for miss in near_misses(item)
        )
    elif isinstance(value, dict):
        yield from ({**value, "more": 0}, {key.upper(): item for key, item in value.items()})
        yield from ({**value, key: miss} for key, item in value.items() for miss in near_misses(item))
        yield from ({other: item for other, item in value.items() if other != key} for key in value)


def differs(one: Any, other: Any) -> bool:
    """Whether two values are not written the same, but for whole numbers with and without a point, and for zeros."""
    return _written(one) != _written(other)


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps({key: _written(item) for key, item in sorted(value.items())})
    if isinstance(value, list):
        return json.dumps([_written(item) for item in value])
    whole = isinstance(value, float) and value.is_integer()
    return json.dumps(int(value) if whole else value)


@pytest.mark.parametrize("value", ANSWERS, ids=repr)
def test_an_answer_is_right_and_nothing_near_it_is(value: Any) -> None:
    expectations = [{"expect": value}, at("a", value), near(value, absolute=1e-9)]
    if isinstance(value, str | int | float):
        expectations.append({"expect_label": [value]})
    for expectation in expectations:
        wrapped = "expect_json_path" in expectation
        assert judged({"a": value} if wrapped else value, **expectation), expectation
        for miss in near_misses(value):
            if not differs(miss, value) or ("expect_label" in expectation and miss == [value]):
                continue
            assert not judged({"a": miss} if wrapped else miss, **expectation), (expectation, miss)


@pytest.mark.parametrize("value", [each for each in ANSWERS if isinstance(each, str | int | float)], ids=repr)
def test_a_cell_is_right_and_nothing_near_it_is(value: Any) -> None:
    written = {True: "True", False: "False"}.get(value) if isinstance(value, bool) else str(value)
    assert judged(csv(f'"{written}"\n'), expect=[value])
    for miss in near_misses(value):
        if isinstance(miss, str | int | float) and str(miss) != str(value) and differs(miss, value):
            same_number = not isinstance(value, str | bool) and csv(f'"{miss}"\n').rows[0][0].number == value
            if (
                not same_number
                and str(miss).lower() != str(value).lower()
                and str(miss) not in (json.dumps(value),)
            ):
                assert not judged(csv(f'"{miss}"\n'), expect=[value]), miss
