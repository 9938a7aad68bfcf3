"""Answers of every kind held against every expectation: right ones pass, and each change of a right one is caught."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import math
import struct
import time
from collections.abc import Iterator
from typing import Any

import numpy
import pytest

from crossaccount.config.expectations import TextOf
from crossaccount.config.smoke import Smoke
from crossaccount.proof.bodies import text_of
from crossaccount.proof.expectations import expectation, reader
from crossaccount.proof.reading import read_answer

NAN = math.nan
NPY, CSV, JSON, LINES, TEXT = (
    "application/x-npy",
    "text/csv",
    "application/json",
    "application/jsonlines",
    "text/plain",
)
TRITON = "application/vnd.sagemaker-triton.binary+json"
PNG = b"\x89PNG\r\n\x1a\n\x00\xff"


def npy(array: Any, **more: Any) -> bytes:
    out = io.BytesIO()
    numpy.save(out, numpy.asarray(array, **more))
    return out.getvalue()


def triton(numbers: list[float], shape: list[int]) -> tuple[bytes, str]:
    raw = struct.pack(f"<{len(numbers)}f", *numbers)
    output = {"name": "p", "datatype": "FP32", "shape": shape, "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"model_name": "m", "outputs": [output]}).encode()
    return head + raw, f"{TRITON};json-header-size={len(head)}"


def judged(raw: bytes, media: str, **expected: Any) -> str:
    """What is wrong with an answer, as a proof says it."""
    smoke = Smoke.model_validate({"content_type": "text/csv", "body": "1", **expected})
    shown, judge = expectation(smoke)
    json.dumps(shown, allow_nan=False)
    try:
        got = read_answer(raw, media, reader(smoke))
    except ValueError as error:
        return f"unreadable answer: {error}"
    return judge(got)


SPECIES = json.dumps({"results": [{"species": "setosa"}, {"species": "virginica"}]}).encode()
LLM = json.dumps([{"generated_text": "The capital of France is Paris. " * 40}]).encode()
V2 = {"model_name": "m", "outputs": [{"name": "p", "datatype": "FP32", "shape": [1, 2], "data": [0.5, 0.25]}]}
TENSOR = {"path": "outputs[0].data", "value": [0.5, 0.25], "tolerance": {"absolute": 0.01}}
HUNDRED = [number / 100 for number in range(100)]
NEAR = {"value": HUNDRED, "tolerance": {"absolute": 0.001, "share": 0.02}}


def drifted(*places: int, by: float = 0.5) -> bytes:
    return npy([number + by * (place in places) for place, number in enumerate(HUNDRED)])


RIGHT: list[tuple[str, bytes, str, dict[str, Any]]] = [
    ("an array", npy([[0.5, 0.25]], dtype="float32"), NPY, {"expect": [[0.5, 0.25]]}),
    ("an array of whole numbers", npy([1, 2]), NPY, {"expect": [1, 2]}),
    ("an array of truth", npy([True, False]), NPY, {"expect": [True, False]}),
    ("an array of texts", npy(["a", "b"]), NPY, {"expect": ["a", "b"]}),
    ("an array of nothing", npy([]), NPY, {"expect": []}),
    ("an array of one", npy(0.5), NPY, {"expect": 0.5}),
    ("an array with NaN", npy([NAN, 1.0]), NPY, {"expect": [NAN, 1]}),
    ("an array with NaN that is near", npy([NAN, 1.0]), NPY, {"expect_within": {"value": [NAN, 1.01], "tolerance": {"absolute": 0.1}}}),
    ("a float16", npy([0.1], dtype="float16"), NPY, {"expect_within": {"value": [0.1], "tolerance": {"relative": 0.001}}}),
    ("an array by its schema", npy([0.5]), NPY, {"expect_schema": {"type": "array", "items": {"maximum": 1}}}),
    ("a place in an array", npy([[0.5, 0.25]]), NPY, {"expect_json_path": {"path": "[0][1]", "value": 0.25}}),
    ("labels in an array", npy(["a", "b"]), NPY, {"expect_label": ["a", "b", "c"]}),
    ("whole labels in an array", npy([0, 2]), NPY, {"expect_label": [0, 1, 2]}),
    ("a share of none", drifted(), NPY, {"expect_within": NEAR}),
    ("a share of all that may be", drifted(3, 98), NPY, {"expect_within": NEAR}),
    ("a share of a table", "\n".join(map(str, HUNDRED)).encode(), CSV, {"expect_within": NEAR}),
    ("a share at a place", json.dumps({"p": [0.5, 9]}).encode(), JSON, {"expect_json_path": {"path": "p", "value": [0.5, 1], "tolerance": {"absolute": 0.1, "share": 0.5}}}),
    ("the shape", npy(numpy.zeros((1, 3, 4), "float32")), NPY, {"expect_array": {"shape": [1, None, 4], "dtype": "float32"}}),
    ("the shape of a scalar", npy(1), NPY, {"expect_array": {"shape": []}}),
    ("the bounds", npy([0.0, 1.0]), NPY, {"expect_array": {"minimum": 0, "maximum": 1}}),
    ("the shape of lists", b"[[1, 2], [3, 4]]", JSON, {"expect_array": {"shape": [2, 2], "minimum": 1}}),
    ("the shape at a place", b'{"p": [[1, 2]]}', JSON, {"expect_array": {"path": "p", "shape": [1, 2]}}),
    ("the shape at every place", b'[{"p": [1, 2]}, {"p": [3, 4]}]', JSON, {"expect_array": {"path": "[*].p", "shape": [2]}}),
    ("the shape of a table", b"1,2\n3,4\n", CSV, {"expect_array": {"shape": [2, 2], "maximum": 4}}),
    ("the shape of a column", b"1\n2\n", CSV, {"expect_array": {"shape": [2]}}),
    ("the shape of a column as a table", b"1\n2\n", CSV, {"expect_array": {"shape": [2, 1]}}),
    ("the shape of lines", b"[1, 2]\n[3, 4]\n", LINES, {"expect_array": {"shape": [2, 2]}}),
    ("tensors", *triton([0.5, 0.25], [1, 2]), {"expect": V2}),
    ("tensors in JSON alone", json.dumps(V2).encode(), JSON, {"expect": V2}),
    ("a tensor", *triton([0.501, 0.25], [1, 2]), {"expect_json_path": TENSOR}),
    ("the shape of a tensor", *triton([0.5, 0.25], [1, 2]), {"expect_array": {"shape": [1, None], "dtype": "float32", "maximum": 0.5}}),
    ("the shape of a tensor at its place", *triton([0.5], [1]), {"expect_array": {"path": "outputs[0]", "shape": [1]}}),
    ("the shape of a tensor in JSON", json.dumps(V2).encode(), JSON, {"expect_array": {"shape": [1, 2], "dtype": "float32"}}),
    ("lines", b'{"a": 1}\n{"a": 2}\n', LINES, {"expect": [{"a": 1}, {"a": 2}]}),
    ("a line", b'{"a": 1}\n', LINES, {"expect": {"a": 1}}),
    ("lines as the text they are", b'{"a": 1}\n', LINES, {"expect": '{"a": 1}\n'}),
    ("labels in lines", b'{"label": "a"}\n{"label": "b"}\n', LINES, {"expect_label": ["a", "b"]}),
    ("JSON under text/html", b"[0]", "text/html; charset=utf-8", {"expect": [0], "read_as": "json"}),
    ("JSON under text/plain", b'{"a": 1}', TEXT, {"expect_json_path": {"path": "a", "value": 1}, "read_as": "json"}),
    ("JSON under no type", b"[0]", "", {"expect": [0], "read_as": "json"}),
    ("JSON under CSV", b"[0]", CSV, {"expect": [0], "read_as": "json"}),
    ("JSON under two types", b"[0]", "application/json, text/csv", {"expect": [0]}),
    ("text that looks like JSON", b"[0]", TEXT, {"expect": "[0]"}),
    ("an array under no type", npy([1]), "application/octet-stream", {"expect": [1], "read_as": "npy"}),
    ("a hash", PNG, "image/png", {"expect_sha256": hashlib.sha256(PNG).hexdigest()}),
    ("a hash in capitals", PNG, "image/png", {"expect_sha256": hashlib.sha256(PNG).hexdigest().upper()}),
    ("a hash of JSON", b" [0]", JSON, {"expect_sha256": hashlib.sha256(b" [0]").hexdigest()}),
    ("a hash of what cannot be read", b"[0", JSON, {"expect_sha256": hashlib.sha256(b"[0").hexdigest()}),
    ("a length", PNG, "image/png", {"expect_length": 10}),
    ("a length within bounds", PNG, "image/png", {"expect_length": {"least": 9, "most": 10}}),
    ("a length of JSON", b"[0]", JSON, {"expect_length": {"most": 3}}),
    ("labels anywhere", SPECIES, JSON, {"expect_label": {"path": "results[*].species", "labels": ["setosa", "virginica"]}}),
    ("a label at a place", SPECIES, JSON, {"expect_label": {"path": "results[1].species", "labels": ["virginica"]}}),
    ("labels in a table's column", b"setosa,0.5\nvirginica,0.25\n", CSV, {"expect_label": {"path": "[*][0]", "labels": ["setosa", "virginica"]}}),
    ("labels under a strange key", b'{"a b": {"c.d": ["x"]}}', JSON, {"expect_label": {"path": '"a b"["c.d"][*]', "labels": ["x"]}}),
    ("labels in a list at a place", b'{"y": ["x", "x"]}', JSON, {"expect_label": {"path": "y", "labels": ["x"]}}),
    ("a tensor's labels", *triton([1.0, 2.0], [2]), {"expect_label": {"path": "outputs[*].data[*]", "labels": [1, 2]}}),
    ("a text in a text", b"The capital is Paris.", TEXT, {"expect_text": {"contains": "Paris"}}),
    ("texts in a text", b"The capital is Paris.", TEXT, {"expect_text": {"contains": ["capital", "Paris"]}}),
    ("a pattern in a text", b"The capital is Paris.", TEXT, {"expect_text": {"matches": r"\bParis\b"}}),
    ("a text at a place", LLM, JSON, {"expect_text": {"path": "[*].generated_text", "contains": "Paris", "matches": "^The"}}),
    ("a text in JSON as it came", LLM, JSON, {"expect_text": {"contains": '"generated_text"'}}),
    ("a text in what is no JSON", b"{Paris", JSON, {"expect_text": {"contains": "Paris"}}),
    ("a text that JSON is", b'"It is Paris"', JSON, {"expect_text": {"matches": "^It"}, "read_as": "json"}),
    ("a cell's text", b"Paris,1\n", CSV, {"expect_text": {"path": "[0][0]", "contains": "Paris"}}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "media", "expected"), [row[1:] for row in RIGHT], ids=[row[0] for row in RIGHT]
)
def test_a_right_answer_is_right(raw: bytes, media: str, expected: dict[str, Any]) -> None:
    assert judged(raw, media, **expected) == ""


WRONG: list[tuple[str, bytes, str, dict[str, Any], str]] = [
    ("another shape", npy([0.5, 0.25]), NPY, {"expect": [[0.5, 0.25]]}, "has 2 items, not 1"),
    ("the shape turned", npy([[0.5], [0.25]]), NPY, {"expect": [[0.5, 0.25]]}, "has 2 items, not 1"),
    ("a number where a list is expected", npy(0.5), NPY, {"expect": [0.5]}, "it is 0.5"),
    ("a list where a number is expected", npy([0.5]), NPY, {"expect": 0.5}, "not 0.5"),
    ("truth for numbers", npy([True]), NPY, {"expect": [1]}, "is true, not 1"),
    ("numbers for truth", npy([1]), NPY, {"expect": [True]}, "is 1, not true"),
    ("numbers for texts", npy([1]), NPY, {"expect": ["1"]}, "is 1, not '1'"),
    ("NaN for a number", npy([NAN]), NPY, {"expect": [0.5]}, "is NaN, not 0.5"),
    ("a number for NaN", npy([0.5]), NPY, {"expect": [NAN]}, "is 0.5, not NaN"),
    ("NaN is not near", npy([NAN]), NPY, {"expect_within": {"value": [0.5], "tolerance": {"absolute": 1e200}}}, "is NaN"),
    ("a number is not near NaN", npy([0.5]), NPY, {"expect_within": {"value": [NAN], "tolerance": {"absolute": 1e200}}}, "not NaN"),
    ("too far", npy([0.52]), NPY, {"expect_within": {"value": [0.5], "tolerance": {"absolute": 0.01}}}, "is 0.52, not 0.5"),
    ("one too many of a share", drifted(3, 50, 98), NPY, {"expect_within": NEAR}, "3 of its 100 numbers are too far away, and 2 may be"),
    ("one NaN within a share", drifted(3, by=NAN), NPY, {"expect_within": NEAR}, "at '[0]' it is NaN, not 0.0"),
    ("one infinite number within a share", drifted(3, by=math.inf), NPY, {"expect_within": NEAR}, "NaN, not 0.0"),
    ("one text within a share", b'["x", 1]', JSON, {"expect_within": {"value": [1, 1], "tolerance": {"absolute": 1, "share": 0.5}}}, "is 'x'"),
    ("one truth within a share", b"[true, 1]", JSON, {"expect_within": {"value": [1, 1], "tolerance": {"absolute": 1, "share": 0.5}}}, "is true"),
    ("a share of fewer than one", b"[9]", JSON, {"expect_within": {"value": [1], "tolerance": {"absolute": 1, "share": 0.99}}}, "1 of its 1 numbers are too far away, and 0"),
    ("a share counts no texts", b'["a", "a", 9]', JSON, {"expect_within": {"value": ["a", "a", 1], "tolerance": {"absolute": 1, "share": 0.5}}}, "1 of its 1"),
    ("a longer array within a share", npy([*HUNDRED, 1]), NPY, {"expect_within": NEAR}, "has 101 items"),
    ("another length", npy(numpy.zeros((1, 3, 5))), NPY, {"expect_array": {"shape": [1, None, 4]}}, "its shape is [1, 3, 5], not [1, null, 4]"),
    ("a dimension too few", npy([1, 2]), NPY, {"expect_array": {"shape": [2, None]}}, "its shape is [2]"),
    ("a dimension too many", npy([[1, 2]]), NPY, {"expect_array": {"shape": [None]}}, "its shape is [1, 2]"),
    ("another dtype", npy([1.0]), NPY, {"expect_array": {"dtype": "float32"}}, "its dtype is float64, not float32"),
    ("no dtype", b"[1.0]", JSON, {"expect_array": {"dtype": "float32"}}, "its dtype is not known"),
    ("below the minimum", npy([0.5, -0.1]), NPY, {"expect_array": {"minimum": 0}}, "-0.1 in it is not 0 or more"),
    ("above the maximum", npy([0.5, 1.1]), NPY, {"expect_array": {"maximum": 1}}, "1.1 in it is not 1 or less"),
    ("NaN within bounds", npy([NAN]), NPY, {"expect_array": {"minimum": 0}}, "NaN in it is not 0 or more"),
    ("NaN below a maximum", npy([NAN]), NPY, {"expect_array": {"maximum": 0}}, "NaN in it"),
    ("texts within bounds", b'["a"]', JSON, {"expect_array": {"minimum": 0}}, "'a' in it is no number"),
    ("truth within bounds", npy([True]), NPY, {"expect_array": {"minimum": 0}}, "true in it is no number"),
    ("ragged lists", b"[[1], [2, 3]]", JSON, {"expect_array": {"shape": [2, None]}}, "not all of one shape"),
    ("a ragged table", b"1\n2,3\n", CSV, {"expect_array": {"shape": [2, None]}}, "not all of one shape"),
    ("an object for an array", b'{"p": [1]}', JSON, {"expect_array": {"shape": [1]}}, "write a path"),
    ("a text for an array", b"abc", TEXT, {"expect_array": {"shape": []}}, "it is 'abc'"),
    ("nothing for an array", b"null", JSON, {"expect_array": {"shape": []}}, "it is null"),
    ("no array at the place", b'{"q": [1]}', JSON, {"expect_array": {"path": "p", "shape": [1]}}, "there is nothing at .p"),
    ("one wrong array of several", b'[{"p": [1]}, {"p": [1, 2]}]', JSON, {"expect_array": {"path": "[*].p", "shape": [1]}}, "at '[1].p' its shape is [2]"),
    ("a tensor of two outputs", b'{"outputs": [1, 2]}', JSON, {"expect_array": {"shape": [1]}}, "write a path such as outputs[0]"),
    ("a tensor with too few data", json.dumps({**V2["outputs"][0], "data": [1]}).encode(), JSON, {"expect_array": {"shape": [1, 2]}}, "takes 2 items, and it has 1"),  # type: ignore[index]
    ("a tensor of no shape", json.dumps({**V2["outputs"][0], "shape": "x"}).encode(), JSON, {"expect_array": {"shape": [1, 2]}}, "no shape"),  # type: ignore[index]
    ("a tensor of another type", *triton([1.0], [1]), {"expect_array": {"dtype": "float64"}}, "its dtype is float32"),
    ("another tensor", *triton([0.5, 0.26], [1, 2]), {"expect": V2}, "is 0.25999999046325684, not 0.25"),
    ("a line too many", b"1\n2\n", LINES, {"expect": [1]}, "has 2 items"),
    ("a line too few", b"1\n", LINES, {"expect": [1, 2]}, "has 1 items"),
    ("a list in a line", b"[1]\n", LINES, {"expect": [1]}, "is [1], not 1"),
    ("JSON under text/plain", b"[0]", TEXT, {"expect": [0]}, "read as json it is right: write read_as: json"),
    ("JSON under text/html at a place", b'{"a": 1}', "text/html", {"expect_json_path": {"path": "a", "value": 1}}, "read_as: json"),
    ("JSON under no type", b'{"label": "a"}', "", {"expect_label": ["a"]}, "read_as: json"),
    ("JSON lines under text/plain", b"1\n2\n", TEXT, {"expect": [1, 2]}, "write read_as: jsonlines"),
    ("CSV under text/plain", b"a,1\nb,2\n", TEXT, {"expect": [["a", 1], ["b", 2]]}, "write read_as: csv"),
    ("an array under no type of its own", npy([1]), "application/octet-stream", {"expect": [1]}, "write read_as: npy"),
    ("wrong JSON under text/plain", b"[1]", TEXT, {"expect": [0]}, "it is '[1]', not [0]"),
    ("no JSON where it is asked for", b"0,", TEXT, {"expect": [0], "read_as": "json"}, "unreadable answer"),
    ("JSON where text is asked for", b"[0]", JSON, {"expect": [0], "read_as": "text"}, "it is '[0]', not [0]"),
    ("no array where it is asked for", b"[1]", JSON, {"expect": [1], "read_as": "npy"}, "no NPY array"),
    ("bytes for a value", PNG, "image/png", {"expect": "x"}, "nothing here reads: expect_sha256"),
    ("bytes for a schema", PNG, "image/png", {"expect_schema": {"type": "string"}}, "nothing here reads"),
    ("bytes for a schema of anything", PNG, "image/png", {"expect_schema": True}, "nothing here reads"),
    ("bytes for a label", PNG, "image/png", {"expect_label": ["x"]}, "nothing here reads"),
    ("bytes for an array", PNG, "image/png", {"expect_array": {"shape": []}}, "nothing here reads"),
    ("bytes for a text", PNG, "image/png", {"expect_text": {"contains": "PNG"}}, "unreadable answer"),
    ("bytes for a text at a place", PNG, "image/png", {"expect_text": {"path": "[0]", "contains": "PNG"}}, "nothing at [0]"),
    ("another hash", PNG, "image/png", {"expect_sha256": "0" * 64}, "its SHA-256 is "),
    ("the hash of what JSON means", b"[ 0]", JSON, {"expect_sha256": hashlib.sha256(b"[0]").hexdigest()}, "its SHA-256"),
    ("a byte too many", PNG + b"\0", "image/png", {"expect_length": 10}, "it has 11 bytes, not 10"),
    ("a byte too few", PNG, "image/png", {"expect_length": {"least": 11, "most": 12}}, "it has 10 bytes, not 11 to 12"),
    ("one wrong label of several", SPECIES, JSON, {"expect_label": {"path": "results[*].species", "labels": ["setosa"]}}, "at '.results[1].species' 'virginica' is none"),
    ("a label without its key", b'{"results": [{"species": "a"}, {}]}', JSON, {"expect_label": {"path": "results[*].species", "labels": ["a"]}}, "there is nothing at .results[1].species"),
    ("no labels at all", b'{"results": []}', JSON, {"expect_label": {"path": "results[*].species", "labels": ["a"]}}, "there is no list of items at .results"),
    ("an object for a list", b'{"results": {"a": 1}}', JSON, {"expect_label": {"path": "results[*]", "labels": [1]}}, "no list of items"),
    ("a label of another kind", b'{"y": "1"}', JSON, {"expect_label": {"path": "y", "labels": [1]}}, "'1' is none"),
    ("a text that has it not", b"The capital is Rome.", TEXT, {"expect_text": {"contains": "Paris"}}, "'Paris' is not in it"),
    ("a text that has one of two", b"It is Paris", TEXT, {"expect_text": {"contains": ["Paris", "capital"]}}, "'capital' is not in it"),
    ("a text in other letters", b"paris", TEXT, {"expect_text": {"contains": "Paris"}}, "not in it"),
    ("a pattern that is not there", b"Parisian", TEXT, {"expect_text": {"matches": r"\bParis\b"}}, "is not found in it"),
    ("a text with no such pattern", LLM, JSON, {"expect_text": {"path": "[0].generated_text", "contains": "Paris", "matches": "Rome"}}, "at '[0].generated_text' the pattern 'Rome'"),
    ("no text at the place", b'[{"generated_text": 1}]', JSON, {"expect_text": {"path": "[0].generated_text", "contains": "1"}}, "it is no text"),
    ("a text at no place", b'[{"text": "a"}]', JSON, {"expect_text": {"path": "[*].generated_text", "contains": "a"}}, "there is nothing at [0].generated_text"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "media", "expected", "words"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG]
)
def test_a_wrong_answer_is_wrong_and_says_why(
    raw: bytes, media: str, expected: dict[str, Any], words: str
) -> None:
    assert words in judged(raw, media, **expected)


# Every change of a right answer is caught.


def changed(value: Any) -> Iterator[Any]:
    """Every value that differs from this one in one place."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield {other: each for other, each in value.items() if other != key}
            yield {f"{other}x" if other == key else other: each for other, each in value.items()}
            for other_item in changed(item):
                yield {**value, key: other_item}
        yield {**value, "more": 0}
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield value[:place] + value[place + 1 :]
            yield [*value[:place], item, *value[place:]]
            for other in changed(item):
                yield [*value[:place], other, *value[place + 1 :]]
            if place and value[place] != value[place - 1]:
                yield [*value[: place - 1], item, value[place - 1], *value[place + 1 :]]
        yield [value]
    elif isinstance(value, bool) or value is None:
        yield from (0, "true", not value)
    elif isinstance(value, int):
        yield from (value + 1, value - 1, -value - 1, str(value), NAN, None, value + 0.25)
    elif isinstance(value, float):
        yield from (value * 1.0001 + 1e-6, -value - 1, str(value), NAN, math.inf, None, [value])
    else:
        yield from (f"{value}x", value[:-1] if value else "x", value.swapcase() + "_", f" {value}", None)


ANSWERS: list[Any] = [
    [0, 1, 2],
    [[0.5, 0.25], [0.125, 0.875]],
    {"predictions": [{"label": "setosa", "score": 0.9876}, {"label": "virginica", "score": 0.5}]},
    ["setosa", "versicolor"],
    {"ok": True, "n": None, "id": 9007199254740993},
    V2,
    "a text",
    0.5,
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: json.dumps(answer)[:40])
def test_every_change_of_an_answer_in_json_is_caught(answer: Any) -> None:
    def write(value: Any) -> bytes:
        return json.dumps(value).encode()

    near = {"value": answer, "tolerance": {"absolute": 1e-9}}
    assert judged(write(answer), JSON, expect=answer) == judged(write(answer), JSON, expect_within=near) == ""
    assert judged(write(answer), TEXT, expect=answer, read_as="json") == ""
    others = list(changed(copy.deepcopy(answer)))
    for other in others:
        assert judged(write(other), JSON, expect=answer), other
        assert judged(write(other), JSON, expect_within=near), other
        assert judged(write(other), TEXT, expect=answer, read_as="json"), other
        assert judged(write(other) + b"\n", LINES, expect=[answer]), other
    assert len(others) >= 5


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8", "int64", "uint8", "bool"])
def test_every_change_of_an_element_of_an_array_is_caught(dtype: str) -> None:
    array = numpy.arange(6).reshape(2, 3).astype(dtype)
    expected = array.tolist()
    assert judged(npy(array), NPY, expect=expected) == ""
    for at in numpy.ndindex(array.shape):
        other = array.copy()
        other[at] = 7 if dtype != "bool" else not other[at]
        assert judged(npy(other), NPY, expect=expected)
    for other in (array.T, array.flatten(), array[:1], array[:, :2], array[::-1], array[:, ::-1], [array]):
        if not numpy.array_equal(numpy.asarray(other), array):
            assert judged(npy(other), NPY, expect=expected)


def test_every_byte_of_an_array_s_numbers_counts() -> None:
    right = npy(numpy.array([1, 256, 65536], dtype="int32"))
    for at in range(len(right) - 12, len(right)):
        broken = bytearray(right)
        broken[at] ^= 0x55
        assert judged(bytes(broken), NPY, expect=[1, 256, 65536]), at


@pytest.mark.parametrize("raw", [PNG, b"[0]", b"The capital is Paris.", npy([1, 2])])
def test_every_byte_counts_for_a_hash(raw: bytes) -> None:
    sha256 = hashlib.sha256(raw).hexdigest()
    for at in range(len(raw)):
        broken = bytearray(raw)
        broken[at] ^= 1
        for other in (bytes(broken), raw[:at] + raw[at + 1 :], raw[:at] + b"\0" + raw[at:]):
            assert judged(other, "image/png", expect_sha256=sha256)
            if len(other) != len(raw):
                assert judged(other, "image/png", expect_length=len(raw))


def test_every_byte_of_tensors_counts() -> None:
    raw, media = triton([1.0, 2.0], [1, 2])
    expected = {"expect": {**V2, "outputs": [{**V2["outputs"][0], "data": [1.0, 2.0]}]}}  # type: ignore[index,dict-item]
    assert judged(raw, media, **expected) == ""
    for at in range(len(raw)):
        broken = bytearray(raw)
        broken[at] ^= 0x55
        low_digits = at >= len(raw) - 8 and (len(raw) - at) % 4 == 0  # of a float32's, beyond six
        assert low_digits or judged(bytes(broken), media, **expected), at


# Hostile answers against patient expectations.


def test_a_reader_that_makes_nothing_right_is_not_named() -> None:
    for raw, media in (
        (b"[1]", TEXT),
        (npy([1]), "application/octet-stream"),
        (PNG, "image/png"),
        (b"[0", TEXT),
    ):
        assert "it is right" not in judged(raw, media, expect=[0])
    assert "it is right" not in judged(b"[0]", JSON, expect="[0]")


def test_a_pattern_that_never_ends_is_given_up() -> None:
    started = time.monotonic()
    _, judge = text_of(TextOf(path="[*]", matches="(a+)+$"), seconds=0.3)
    assert "was not decided in time" in judge(["aaa", "a" * 60 + "!"])
    assert judge(["aaa"]) == ""
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "expected",
    [
        {"expect": [0]},
        {"expect_within": {"value": [0], "tolerance": {"absolute": 1, "share": 0.1}}},
        {"expect_json_path": {"path": "[0]", "value": 2}},
        {"expect_label": {"path": "[*]", "labels": [1]}},
        {"expect_label": ["a"]},
        {"expect_array": {"shape": [1], "minimum": 2}},
        {"expect_text": {"contains": "zz"}},
        {"expect_schema": {"type": "object"}},
    ],
)
def test_the_largest_array_is_judged_in_time(expected: dict[str, Any]) -> None:
    raw = npy(numpy.ones(6_000_000 if "*" not in str(expected) else 600_000, "int8"))
    started = time.process_time()
    why = judged(raw, NPY, **expected)
    assert bool(why) is ("expect_label" not in expected or "path" not in expected["expect_label"])
    assert time.process_time() - started < 40
