"""Questions and expectations: which answers are right, how answers are read, and how fast they came."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crossaccount.config.smoke import Latency, Smoke
from crossaccount.json_match import parse_path, schema_fault
from crossaccount.proof.asking import read_answer, speed
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


# Answers as data.


@pytest.mark.parametrize(
    ("raw", "content_type", "answer"),
    [
        (b"[0]", "application/json", [0]),
        (b' {"a": [1.5, null, true]} ', "application/json", {"a": [1.5, None, True]}),
        (b"0", "application/json", 0),
        (b'"x"', "application/json; charset=utf-8", "x"),
        (b"[0]", "Application/JSON", [0]),
        (b"[0]", " application/json ;x=y", [0]),
        ('"\u00e4"'.encode(), "application/json", "\u00e4"),
        (b"0", "text/csv", [0]),
        (b"0\n1\n2\n", "text/csv", [0, 1, 2]),
        (b"0\r\n1\r\n", "text/csv; charset=utf-8", [0, 1]),
        (b"0,1,2", "text/csv", [[0, 1, 2]]),
        (b"0.1,0.9\n0.8,0.2\n", "text/csv", [[0.1, 0.9], [0.8, 0.2]]),
        (b"setosa\nvirginica\n", "text/csv", ["setosa", "virginica"]),
        (b'"a,b",1\n', "text/csv", [["a,b", 1]]),
        (b'"a\nb"\n', "text/csv", ["a\nb"]),
        (b"setosa,0.5\n", "text/csv", [["setosa", 0.5]]),
        (b"1.0\n", "text/csv", [1]),
        (b"-1e-3\n", "text/csv", [-0.001]),
        (b"", "text/csv", []),
        (b"\n\n", "text/csv", []),
        (b"0\n\n1\n", "text/csv", [0, 1]),
        (b"0\n1,2\n", "text/csv", [[0], [1, 2]]),
        (b",\n", "text/csv", [["", ""]]),
        (b"[0]", "text/plain", "[0]"),
        (b"[0]", "", "[0]"),
        (b"", "text/plain", ""),
        (b"[0]", "application/jsonlines", "[0]"),
        ("\u00e4".encode(), "text/html", "\u00e4"),
    ],
)
def test_an_answer_is_read_by_its_content_type(raw: bytes, content_type: str, answer: Any) -> None:
    found = read_answer(raw, content_type)
    assert found == answer
    assert json.dumps(found) == json.dumps(answer), "1 is not 1.0, and true is not 1"


@pytest.mark.parametrize(
    ("raw", "content_type"),
    [
        pytest.param(b"", "application/json", id="nothing"),
        pytest.param(b"0,1", "application/json", id="CSV as JSON"),
        pytest.param(b"{'a': 1}", "application/json", id="almost JSON"),
        pytest.param(b"[0] [1]", "application/json", id="two answers"),
        pytest.param(b"1" * 5_000, "application/json", id="an endless number"),
        pytest.param(b"\xff\xfe[0]", "application/json", id="no UTF-8, as JSON"),
        pytest.param("[0]".encode("utf-16"), "application/json", id="UTF-16"),
        pytest.param(b"\xe4\n", "text/csv", id="no UTF-8, as CSV"),
        pytest.param(b"\x93NUMPY\x01", "application/x-npy", id="bytes that are no text"),
        pytest.param(b" " * 6_291_457, "text/plain", id="one byte too many"),
        pytest.param(b"[" + b"0," * 4_000_000 + b"0]", "application/json", id="far too large"),
    ],
)
def test_an_unreadable_answer_is_a_value_error(raw: bytes, content_type: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whichever it is, it becomes the answer's text
        read_answer(raw, content_type)


def test_the_largest_answer_is_read() -> None:
    assert len(read_answer(b" " * 6_291_456, "text/plain")) == 6_291_456


@pytest.mark.parametrize(
    ("got", "expected", "same"), [(10**400, 1.0, False), (10**400, 10**400, True), (1.0, 10**400, False)]
)
def test_a_number_of_any_size_is_compared(got: Any, expected: Any, same: Any) -> None:
    assert same_answer(got, expected) is same


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"a" * 200_000, "text/csv"),
        (b"[" * 100_000, "application/json"),
        (b"NaN", "application/json"),
        (b"1e999", "application/json"),
        (b'"\\ud800"', "application/json"),
    ],
)
def test_an_answer_that_cannot_be_carried_is_unreadable(raw: Any, kind: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_answer(raw, kind)


@pytest.mark.parametrize(
    ("raw", "answer"),
    [(b"0\r1\r", [0, 1]), (b"1_000\n", ["1_000"]), (b"nan\n", ["nan"]), (b"Infinity\n", ["Infinity"])],
)
def test_csv_cells_are_numbers_only_where_a_model_would_say_so(raw: Any, answer: Any) -> None:
    assert read_answer(raw, "text/csv") == answer


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


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("a", ("a",)),
        ("$", ()),
        ("$.a", ("a",)),
        ("$[0]", (0,)),
        ("[0][12]", (0, 12)),
        ("a.b-c.d_e[3].f", ("a", "b-c", "d_e", 3, "f")),
        ("a.0", ("a", "0")),
    ],
)
def test_a_path_is_names_and_places(path: str, steps: tuple[Any, ...]) -> None:
    assert parse_path(path) == steps


@pytest.mark.parametrize(
    "path", ["", ".a", "$a", "a.", "a..b", "a[", "a[]", "a[-1]", "a[*]", "a[0]b", "a b", "..a", "$..a", "a[0:1]", "a['b']", "*", "a[?(@.x)]"]
)  # fmt: skip
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_path(path)


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        (LIST, None),
        (True, None),
        (IN_A_CIRCLE, None),
        ([], "neither a mapping"),
        ("array", "neither a mapping"),
        ({"type": "list"}, "list"),
        ({"minItems": -1}, "-1"),
        ({"$ref": "https://example.com/schema.json"}, "leads out of it"),
        ({"items": {"$ref": "file:///etc/passwd"}}, "leads out of it"),
        ({"properties": {"a": {"$ref": "other.json#/a"}}}, "leads out of it"),
    ],
)
def test_a_schema_is_checked_and_leads_nowhere_else(schema: Any, fault: str | None) -> None:
    found = schema_fault(schema)
    assert (found is None) == (fault is None)
    assert (fault or "") in (found or "")


# Speed.


@pytest.mark.parametrize(
    ("latencies", "p50", "p95"),
    [
        ([7.0], 7.0, 7.0),
        ([1.0, 9.0], 1.0, 9.0),
        ([float(one) for one in range(1, 21)], 10.0, 19.0),
        ([float(one) for one in range(1, 101)], 50.0, 95.0),
        ([1.0] * 19 + [500.0], 1.0, 1.0),
        ([1.0] * 9 + [500.0], 1.0, 500.0),
    ],
)
def test_percentiles(latencies: list[float], p50: float, p95: float) -> None:

    found = speed(latencies[::-1], Latency(p50_ms=1000))
    assert (found.calls, found.p50_ms, found.p95_ms) == (len(latencies), p50, p95)


@pytest.mark.parametrize(
    ("p50", "p95", "ok"),
    [(5, None, True), (5, 9, True), (None, 9, True), (4.9, None, False), (None, 8.9, False), (5, 8, False), (4, 9, False)],
)  # fmt: skip
def test_an_endpoint_is_fast_when_it_passes_no_limit(p50: Any, p95: Any, ok: bool) -> None:
    assert speed([5.0] * 10 + [9.0] * 9, Latency(p50_ms=p50, p95_ms=p95)).ok is ok


def test_nothing_measured_is_not_fast() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        speed([], Latency(p50_ms=1))
