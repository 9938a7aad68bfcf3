"""Answers of models as data: JSON as servers write it, cells of CSV, text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crossaccount.proof.reading import Cell, Table, plain, read_answer, shown


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
        (b"[0]", "application/jsonlines", [[0]]),
        (b"[0]", "application/vnd.model+json", [0]),
        (b"[0]", "application/json, text/csv", [0]),
        (b"setosa", "application/json, text/csv", ["setosa"]),
        (b"[0]", "text/plain, application/json", [0]),
        (b"\xef\xbb\xbf[0]", "application/json", [0]),
        (b"\xef\xbb\xbfsetosa\n", "text/csv", ["setosa"]),
        (b"\xef\xbb\xbfsetosa", "text/plain", "setosa"),
        (b"9007199254740993.0", "application/json", 9007199254740993),
        (b"1e22", "application/json", 1e22),
        ("\u00e4".encode(), "text/html", "\u00e4"),
    ],
)
def test_an_answer_is_read_by_its_content_type(raw: bytes, content_type: str, answer: Any) -> None:
    found = plain(read_answer(raw, content_type))
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
    ("raw", "kind"),
    [
        (b"a" * 200_000, "text/csv"),
        (b"[" * 100_000, "application/json"),
        (b'"\\ud800"', "application/json"),
    ],
)
def test_an_answer_that_cannot_be_carried_is_unreadable(raw: Any, kind: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_answer(raw, kind)


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        (b"001\n", ["001"]),
        (b"-00.5\n", ["-00.5"]),
        (b"0.5\n", [0.5]),
        (b"True\n", ["True"]),
        (b"10234567890123456789\n", [10234567890123456789]),
        (b"0\r1\r", [0, 1]),
        (b"1_000\n", ["1_000"]),
        (b"nan\n", ["nan"]),
        (b"Infinity\n", ["Infinity"]),
    ],
)
def test_csv_cells_are_numbers_only_where_a_model_would_say_so(raw: Any, answer: Any) -> None:
    assert plain(read_answer(raw, "text/csv")) == answer


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        (b"[NaN]", ["NaN"]),
        (b"[Infinity, -Infinity, 0.5]", ["Infinity", "-Infinity", 0.5]),
        (b'{"predictions":[{"label":"a","p":NaN}]}', {"predictions": [{"label": "a", "p": "NaN"}]}),
        (b"NaN", "NaN"),
        (b"1e999", "Infinity"),
    ],
)
def test_numbers_that_json_has_not_are_read_and_are_shown_as_texts(raw: bytes, seen: Any) -> None:
    found = shown(read_answer(raw, "application/json"))
    assert json.dumps(found, allow_nan=False) == json.dumps(seen)


@pytest.mark.parametrize("raw", [b"nan", b"[NAN]", b"[inf]", b"[+Infinity]", b"[NaN", b"[1.]", b"[01]"])
def test_what_no_server_writes_as_json_is_unreadable(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_answer(raw, "application/json")


def test_a_cell_is_text_and_a_number_where_it_reads_as_one() -> None:
    table = read_answer(b"001,1e5\n True ,setosa\n", "text/csv")
    assert isinstance(table, Table)
    cells = [cell for row in table.rows for cell in row]
    assert [cell.text for cell in cells] == ["001", "1e5", " True ", "setosa"]
    assert [cell.number for cell in cells] == [1, 1e5, None, None]
    assert [Cell(text).truth for text in ("True", "true", "FALSE", "1", "yes")] == [
        True,
        True,
        False,
        None,
        None,
    ]
