"""Answers that are no plain JSON: lines, arrays, tensors, records, bytes; what is read of them, and what is refused."""

from __future__ import annotations

import io
import json
import math
import pickle
import struct
import time
from typing import Any

import numpy
import pytest

from crossaccount.proof.arrays import Array, nested, nested_shape
from crossaccount.proof.reading import BODY_LIMIT, Bytes, Lines, plain, read_answer, reader_of, shown

NPY = "application/x-npy"
LINES = "application/jsonlines"
RECORDS = "application/x-recordio-protobuf"
TRITON = "application/vnd.sagemaker-triton.binary+json"


def npy(array: Any, **more: Any) -> bytes:
    out = io.BytesIO()
    numpy.save(out, numpy.asarray(array, **more))
    return out.getvalue()


def header(text: str, body: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text))
    return b"\x93NUMPY" + version + length + text.encode("latin-1") + body


def described(shape: str, dtype: str = "'<f4'", order: str = "False", body: bytes = b"") -> bytes:
    return header(f"{{'descr': {dtype}, 'fortran_order': {order}, 'shape': {shape}, }}\n", body)


# NPY


@pytest.mark.parametrize(
    ("raw", "dtype", "shape", "value"),
    [
        (npy([0, 1], dtype="int64"), "int64", (2,), [0, 1]),
        (npy([[0.5, 0.25]], dtype="float32"), "float32", (1, 2), [[0.5, 0.25]]),
        (npy([[0.5, 0.25]], dtype=">f4"), "float32", (1, 2), [[0.5, 0.25]]),
        (npy([0.5], dtype="float16"), "float16", (1,), [0.5]),
        (npy(7), "int64", (), 7),
        (npy([255], dtype="uint8"), "uint8", (1,), [255]),
        (npy([2**64 - 1], dtype="uint64"), "uint64", (1,), [2**64 - 1]),
        (npy([True, False]), "bool", (2,), [True, False]),
        (npy(["setosa", "\u00e4"]), "str", (2,), ["setosa", "\u00e4"]),
        (npy([b"setosa", "\u00e4".encode()]), "bytes", (2,), ["setosa", "\u00e4"]),
        (npy([]), "float64", (0,), []),
        (npy([[]]), "float64", (1, 0), [[]]),
        (npy(numpy.zeros((0, 3))), "float64", (0, 3), []),
        (npy(numpy.asfortranarray([[1, 2], [3, 4]])), "int64", (2, 2), [[1, 2], [3, 4]]),
        (npy([[[1], [2]], [[3], [4]]]), "int64", (2, 2, 1), [[[1], [2]], [[3], [4]]]),
    ],
)
def test_an_array_is_read_with_its_type_and_shape(
    raw: bytes, dtype: str, shape: tuple[int, ...], value: Any
) -> None:
    for content_type in (NPY, "Application/X-NPY; v=1", f"text/weird, {NPY}"):
        array = read_answer(raw, content_type)
        assert isinstance(array, Array)
        assert (array.dtype, array.shape, array.value) == (dtype, shape, value)
        assert json.dumps(plain(array)) == json.dumps(value)


def test_numbers_that_json_has_not_are_numbers_of_an_array() -> None:
    array = read_answer(npy([math.nan, math.inf, -math.inf, -0.0], dtype="float32"), NPY)
    assert json.dumps(array.value) == "[NaN, Infinity, -Infinity, -0.0]"
    assert shown(array) == ["NaN", "Infinity", "-Infinity", -0.0]


class Trap:
    def __reduce__(self) -> Any:
        return (print, ("unpickled",))


OBJECTS = io.BytesIO()
numpy.save(OBJECTS, numpy.array([Trap()], dtype=object), allow_pickle=True)
GOOD = npy([[0.5, 0.25]], dtype="float32")
NOT_NPY: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "no NPY array"),
    "JSON": (b"[0]", "no NPY array"),
    "the magic alone": (b"\x93NUMPY", "no NPY array"),
    "another version": (header("{}", version=b"\x03\x00"), "version 3.0"),
    "a version of no kind": (b"\x93NUMPY\x09\x09" + GOOD[8:], "version 9.9"),
    "one byte too few": (GOOD[:-1], "8 bytes, of which 7 are there"),
    "one byte too many": (GOOD + b"\0", "8 bytes, of which 9 are there"),
    "half a header": (GOOD[:40], "no NPY array"),
    "a huge shape": (described("(1000000, 1000000)"), "of which 0 are there"),
    "a shape past all counting": (described(f"(1{'0' * 300},)"), "of which 0 are there"),
    "a huge type": (described("()", "'S2000000000'"), "2000000000 bytes, of which 0"),
    "very many empty rows": (described("(1000000000000, 0)"), "too many to be read"),
    "very many rows of a byte": (
        described("(6000000, 1)", "'|i1'", body=bytes(6_000_000)),
        "too many to be read",
    ),
    "rows in rows in rows": (
        described("(100000," + "1," * 59 + ")", "'|i1'", body=bytes(100_000)),
        "too many to be read",
    ),
    "no rows of more than can be": (described(f"(0, 1{'0' * 30})"), "no NPY array"),
    "a negative shape": (described("(-1, -2)", body=bytes(8)), "negative"),
    "a shape of words": (described("('a',)"), "no NPY array"),
    "a header that nests": (header("(" * 5_000), "no NPY array"),
    "a header that calls": (header("__import__('os').abort()"), "no NPY array"),
    "a header too long": (header(" " * 60_000), "no NPY array"),
    "a header of half a text": (header("{'descr': '"), "no NPY array"),
    "a key too many": (
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (), 'x': 1}", bytes(4)),
        "no NPY array",
    ),
    "objects": (OBJECTS.getvalue(), "no plain values"),
    "objects that are announced": (described("(1,)", "'|O'", body=pickle.dumps([Trap()])), "no plain values"),
    "complex numbers": (npy([1j]), "array of complex128, which has no plain values"),
    "times": (npy(["2026-01-01"], dtype="datetime64[s]"), "no plain values"),
    "numbers that Python has not": (npy([1], dtype="longdouble"), "no plain values"),
    "columns": (npy([(1, 2.0)], dtype=[("a", "<i4"), ("b", "<f4")]), "no plain values"),
    "bytes that are no text": (npy([b"\xff\xfe"]), "codec can't decode"),
    "half a character": (described("(1,)", "'<U1'", body=b"\x00\xd8\x00\x00"), "surrogates not allowed"),
    "no character": (described("(1,)", "'<U1'", body=b"\xff\xff\xff\x7f"), ""),
}


@pytest.mark.parametrize("name", NOT_NPY)
def test_what_is_no_array_is_unreadable_in_a_moment(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    raw, words = NOT_NPY[name]
    started = time.process_time()
    with pytest.raises(ValueError, match=r".") as caught:
        read_answer(raw, NPY)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400
    assert time.process_time() - started < 2
    assert "unpickled" not in capsys.readouterr().out


def test_a_large_array_is_shown_by_its_beginning() -> None:
    text = shown(read_answer(npy(numpy.full((2, 1_000_000), 0.5, dtype="float16")), NPY))
    assert text.startswith("array of float16, shape [2, 1000000], that begins [0.5, 0.5,")
    assert len(text) < 300


# JSON lines


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        (b'{"a": 1}\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        (b'{"a": 1}\r\n{"a": 2}', [{"a": 1}, {"a": 2}]),
        (b"", []),
        (b"\n \n", []),
        (b"1\n\n[2]\nnull\n", [1, [2], None]),
        (b"\xef\xbb\xbf[NaN]\n", [[math.nan]]),
        ('"a\u2028b"\n'.encode(), ["a\u2028b"]),
        (b"9007199254740993.0", [9007199254740993]),
    ],
)
@pytest.mark.parametrize(
    "media", [LINES, "application/x-ndjson", "application/jsonl; charset=utf-8", "application/x-jsonlines"]
)
def test_json_lines_are_a_list(raw: bytes, values: list[Any], media: str) -> None:
    lines = read_answer(raw, media)
    assert isinstance(lines, Lines)
    assert json.dumps(plain(lines)) == json.dumps(values)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"1\n2,3\n", "line 2: Extra data"),
        (b"[1\n2]\n", "line 1: Expecting"),
        (b'{"a": 1}{"a": 2}\n', "line 1: Extra data"),
        (b'{"a": 1, "a": 2}\n', "line 1: the key 'a' is written twice"),
        (b"setosa\n", "line 1"),
        (b"[" * 100_000, "nested"),
        (b"[" * 80 + b"]" * 80, "nested more than 64"),
        (b'"\\ud800"', "surrogates"),
        (b"\xff", "codec"),
    ],
)
def test_what_is_no_json_lines_is_unreadable(raw: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read_answer(raw, LINES)
    assert words in str(caught.value)


def test_very_many_lines_are_read_in_time() -> None:
    started = time.process_time()
    assert len(read_answer(b"1\n" * (BODY_LIMIT // 2), LINES).values) == BODY_LIMIT // 2
    assert time.process_time() - started < 20


# Triton's binary+json


def triton(outputs: list[Any], *tensors: bytes, size: int | None = None, **more: Any) -> tuple[bytes, str]:
    head = json.dumps({"model_name": "m", "model_version": "1", "outputs": outputs, **more}).encode()
    return head + b"".join(tensors), f"{TRITON};json-header-size={len(head) if size is None else size}"


def output(datatype: str, shape: list[Any], size: Any, name: str = "p", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "datatype": datatype,
        "shape": shape,
        "parameters": {"binary_data_size": size},
        **more,
    }


PAIR = struct.pack("<2f", 0.5, 0.25)


@pytest.mark.parametrize(
    ("datatype", "raw", "data"),
    [
        ("FP32", PAIR, [0.5, 0.25]),
        ("FP64", struct.pack("<2d", 0.1, -2), [0.1, -2.0]),
        ("FP16", struct.pack("<2e", 0.5, 2), [0.5, 2.0]),
        ("BF16", b"\x00\x3f\x80\x3e", [0.5, 0.25]),
        ("INT8", b"\xff\x01", [-1, 1]),
        ("UINT8", b"\xff\x01", [255, 1]),
        ("INT16", struct.pack("<2h", -2, 3), [-2, 3]),
        ("UINT16", struct.pack("<2H", 2, 65535), [2, 65535]),
        ("INT32", struct.pack("<2i", -2, 3), [-2, 3]),
        ("UINT32", struct.pack("<2I", 2, 2**32 - 1), [2, 2**32 - 1]),
        ("INT64", struct.pack("<2q", -(2**62), 3), [-(2**62), 3]),
        ("UINT64", struct.pack("<2Q", 2**64 - 1, 3), [2**64 - 1, 3]),
        ("BOOL", b"\x01\x00", [True, False]),
        ("BYTES", b"\x03\0\0\0cat\x00\0\0\0", ["cat", ""]),
        ("BYTES", b"\x02\0\0\0" + "\u00e4".encode() + b"\x01\0\0\0x", ["\u00e4", "x"]),
    ],
)
def test_tensors_become_the_data_of_the_header(datatype: str, raw: bytes, data: list[Any]) -> None:
    got = read_answer(*triton([output(datatype, [1, 2], len(raw))], raw))
    (one,) = got["outputs"]
    assert json.dumps(one) == json.dumps({"name": "p", "datatype": datatype, "shape": [1, 2], "data": data})
    assert got["model_name"] == "m"


def test_outputs_in_the_header_and_behind_it_stand_in_their_order() -> None:
    first, second = output("INT8", [1], 1, "a"), output("INT8", [2], 2, "c")
    inside = {"name": "b", "datatype": "INT8", "shape": [1], "data": [9]}
    kept = {**second, "parameters": {"binary_data_size": 2, "classification": 3}}
    got = read_answer(*triton([first, inside, kept], b"\x01", b"\x02\x03"))
    assert [each["data"] for each in got["outputs"]] == [[1], [9], [2, 3]]
    assert [each.get("parameters") for each in got["outputs"]] == [None, None, {"classification": 3}]
    assert read_answer(*triton([]))["outputs"] == []
    assert read_answer(*triton([output("FP32", [0, 4], 0)]))["outputs"][0]["data"] == []


def test_the_length_of_the_header_may_be_missing_or_in_quotes() -> None:
    raw, media = triton([output("FP32", [2], 8)], PAIR)
    quoted = media.replace("size=", 'size="') + '"; v=1'
    for content_type, read_as in (
        (media, ""),
        (quoted, ""),
        (TRITON, ""),
        ("application/octet-stream", "triton"),
    ):
        assert read_answer(raw, content_type, read_as)["outputs"][0]["data"] == [0.5, 0.25]


HUGE = 10**30
NOT_TRITON: dict[str, tuple[tuple[bytes, str], str]] = {
    "nothing": ((b"", f"{TRITON};json-header-size=0"), "Expecting value"),
    "a header behind the end": (triton([], size=10_000), "its JSON header has 10000 bytes"),
    "a header too short": (triton([], size=5), ""),
    "a header too long": (triton([output("FP32", [2], 8)], PAIR, size=190), ""),
    "a header of no object": ((b"[0]", f"{TRITON};json-header-size=3"), "no outputs"),
    "outputs of no list": (triton({"a": 1}), "no outputs"),  # type: ignore[arg-type]
    "very many outputs": (triton([{}] * 1001), "no outputs"),
    "too few bytes": (triton([output("FP32", [2], 8)], PAIR[:-1]), "8 bytes is announced, and 7 are left"),
    "too many bytes": (triton([output("FP32", [2], 8)], PAIR + b"\0"), "1 bytes stand behind"),
    "a shape of more": (triton([output("FP32", [3], 8)], PAIR), "takes 12 bytes, and has 8"),
    "a huge shape": (triton([output("FP32", [HUGE, HUGE], 8)], PAIR), "and has 8"),
    "a negative shape": (triton([output("FP32", [-2], 8)], PAIR), "negative"),
    "a shape of fractions": (triton([output("FP32", [2.0], 8)], PAIR), "whole number"),
    "a shape of truth": (triton([output("INT8", [True], 1)], b"\1"), "whole number"),
    "no shape": (triton([{**output("FP32", [2], 8), "shape": None}], PAIR), "no shape"),
    "very many dimensions": (triton([output("FP32", [1] * 33, 4)], PAIR[:4]), "no shape"),
    "a size of text": (triton([output("FP32", [2], "8")], PAIR), "whole number"),
    "a negative size": (triton([output("FP32", [2], -8)], PAIR), "fewer bytes than none"),
    "a huge size": (triton([output("FP32", [2], HUGE)], PAIR), "are left"),
    "data twice": (triton([output("FP32", [2], 8, data=[1, 2])], PAIR), "has data in the header"),
    "an unknown datatype": (triton([output("FP8", [8], 8)], PAIR), "not known here"),
    "a datatype of a list": (triton([{**output("", [8], 8), "datatype": ["FP32"]}], PAIR), "not known here"),
    "a text past the end": (triton([output("BYTES", [1], 8)], b"\xff\xff\xff\xffabcd"), "ends behind"),
    "a text too many": (triton([output("BYTES", [1], 8)], bytes(8)), "has 2 texts"),
    "half a length": (triton([output("BYTES", [1], 2)], b"\x01\0"), "ends behind"),
    "a text of no encoding": (triton([output("BYTES", [1], 5)], b"\x01\0\0\0\xff"), "codec"),
    "a deep header": ((b"[" * 100_000, f"{TRITON};json-header-size=100000"), "nested"),
    "a deep header without its length": ((b"[" * 100_000, TRITON), "nested"),
    "no JSON at all": ((b"\x93NUMPY", TRITON), "Expecting value"),
}


@pytest.mark.parametrize("name", NOT_TRITON)
def test_what_is_not_the_announced_tensors_is_unreadable(name: str) -> None:
    (raw, media), words = NOT_TRITON[name]
    with pytest.raises(ValueError, match=r".") as caught:
        read_answer(raw, media)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400


# recordio-protobuf, written here by hand: field numbers and wire types of the message Record.


def field(number: int, payload: bytes, wire: int = 2) -> bytes:
    head = bytes([number << 3 | wire])
    return head + bytes([len(payload)]) + payload if wire == 2 else head + payload


def tensor(kind: int, values: bytes, keys: bytes = b"", shape: bytes = b"") -> bytes:
    parts = [field(number, part) for number, part in ((1, values), (2, keys), (3, shape)) if part]
    return field(kind, b"".join(parts))


def entry(part: int, name: str, value: bytes) -> bytes:
    return field(part, field(1, name.encode()) + field(2, value))


def frame(record: bytes) -> bytes:
    return struct.pack("<II", 0xCED7230A, len(record)) + record + bytes(-len(record) % 4)


SCORE = entry(2, "score", tensor(2, struct.pack("<2f", 0.5, 0.25)))
CLUSTER = entry(2, "closest_cluster", tensor(7, b"\x03"))


@pytest.mark.parametrize(
    ("raw", "records"),
    [
        (b"", []),
        (frame(b""), [{}]),
        (frame(SCORE), [{"label": {"score": [0.5, 0.25]}}]),
        (frame(SCORE + CLUSTER), [{"label": {"closest_cluster": [3], "score": [0.5, 0.25]}}]),
        (frame(SCORE) * 2, [{"label": {"score": [0.5, 0.25]}}] * 2),
        (frame(entry(2, "score", tensor(3, struct.pack("<d", 0.1)))), [{"label": {"score": [0.1]}}]),
        (
            frame(entry(1, "values", tensor(2, struct.pack("<f", 2), b"\x05", b"\x09"))),
            [{"features": {"values": {"values": [2.0], "keys": [5], "shape": [9]}}}],
        ),
        (frame(entry(2, "image", field(9, field(1, b"\xff\x00")))), [{"label": {"image": ["/wA="]}}]),
        (frame(entry(2, "none", b"")), [{"label": {"none": []}}]),
        (
            frame(SCORE + field(3, b"a") + field(4, b"{}")),
            [{"label": {"score": [0.5, 0.25]}, "uid": "a", "metadata": "{}"}],
        ),
        (frame(entry(2, "score", field(2, b"\x0d" + struct.pack("<f", 0.5)))), [{"label": {"score": [0.5]}}]),
    ],
)
def test_records_are_objects_of_tensors(raw: bytes, records: list[Any]) -> None:
    assert json.dumps(read_answer(raw, RECORDS)) == json.dumps(records)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        pytest.param(b"[0]", "within the head", id="JSON"),
        pytest.param(b"[0]             ", "no RecordIO", id="longer JSON"),
        pytest.param(frame(SCORE)[:-1], "within", id="one byte too few"),
        pytest.param(frame(SCORE) + b"\0", "within the head", id="one byte too many"),
        pytest.param(frame(SCORE)[:6], "within the head", id="half a head"),
        pytest.param(struct.pack("<II", 0xCED7230A, 2**28), "within a record of", id="a huge length"),
        pytest.param(
            struct.pack("<II", 0xCED7230A, 1 << 29 | 4) + bytes(4), "no whole record", id="a part of a record"
        ),
        pytest.param(frame(b"\xff\xff\xff"), "record 0 is no record", id="no protobuf"),
        pytest.param(frame(SCORE) + frame(b"\x12\x7f"), "record 1 is no record", id="the second is none"),
        pytest.param(frame(b"\x0b" * 1000), "no record of protobuf", id="deep groups"),
        pytest.param(frame(field(3, b"\xff")), "", id="a text of no encoding"),
    ],
)
def test_what_is_no_record_is_unreadable(raw: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read_answer(raw, RECORDS)
    assert words in str(caught.value)


# What has no reader, and what a question reads it as.


@pytest.mark.parametrize(
    ("raw", "media", "answer"),
    [
        (b"\x89PNG\r\n\x1a\n\xff", "image/png", Bytes),
        (b"\xff\xd8\xff", "application/octet-stream", Bytes),
        (b"\xff", "", Bytes),
        (b"\xe4", "text/plain", Bytes),
        (b"cat", "application/octet-stream", "cat"),
        (b"<svg/>", "image/svg+xml", "<svg/>"),
        (b"[0]", "csv", "[0]"),
    ],
)
def test_what_has_no_reader_is_text_or_bytes(raw: bytes, media: str, answer: Any) -> None:
    got = read_answer(raw, media)
    if answer is Bytes:
        assert got == Bytes(raw, media)
        assert shown(got) == plain(got) == f"{len(raw)} bytes of {media or 'no type'}, SHA-256 {got.sha256}"
    else:
        assert got == answer


@pytest.mark.parametrize(
    ("read_as", "raw", "media", "answer"),
    [
        ("json", b"[0]", "text/html; charset=utf-8", [0]),
        ("json", b"[0]", "text/plain", [0]),
        ("json", b"[0]", "", [0]),
        ("json", b"[0]", "text/csv", [0]),
        ("json", b"[0]", "image/png", [0]),
        ("jsonlines", b"1\n2\n", "application/json", [1, 2]),
        ("csv", b"a,1\n", "text/plain", [["a", 1]]),
        ("npy", npy([1, 2]), "application/octet-stream", [1, 2]),
        ("recordio", frame(CLUSTER), "application/octet-stream", [{"label": {"closest_cluster": [3]}}]),
        ("text", b"[0]", "application/json", "[0]"),
        ("text", b"1\n", LINES, "1\n"),
    ],
)
def test_a_question_says_what_its_answer_is_read_as(
    read_as: str, raw: bytes, media: str, answer: Any
) -> None:
    assert json.dumps(plain(read_answer(raw, media, read_as))) == json.dumps(answer)


@pytest.mark.parametrize(
    ("read_as", "raw"),
    [("json", b"0,1"), ("json", b""), ("json", b"\xff"), ("jsonlines", b"a"), ("npy", b"[0]"), ("text", b"\xff"),
     ("recordio", b"[0]"), ("triton", b"\x93"), ("csv", b"\xff"), ("csv", b"a" * 200_000)],
)  # fmt: skip
def test_what_is_not_what_the_question_says_is_unreadable(read_as: str, raw: bytes) -> None:
    for media in ("application/json", "text/plain", ""):
        with pytest.raises(ValueError, match=r"."):
            read_answer(raw, media, read_as)


def test_bytes_are_bytes_whatever_they_say() -> None:
    assert read_answer(b"[0]", "application/json", "bytes") == Bytes(b"[0]", "application/json")
    with pytest.raises(ValueError, match="larger than"):
        read_answer(bytes(BODY_LIMIT + 1), "", "bytes")


@pytest.mark.parametrize(
    ("media", "reader"),
    [
        ("application/json", "json"),
        ("application/problem+json", "json"),
        (f"{TRITON};json-header-size=3", "triton"),
        ("application/x-parquet", "parquet"),
        ("application/vnd.apache.parquet", "parquet"),
        ("APPLICATION/JSON ; a=b", "json"),
        ("text/json", ""),
        ("application/octet-stream", ""),
        ("", ""),
    ],
)
def test_a_media_type_has_one_reader_or_none(media: str, reader: str) -> None:
    assert reader_of(media) == reader


# Shapes


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (0, ()),
        ([], (0,)),
        ([1, 2], (2,)),
        ([[1], [2]], (2, 1)),
        ([[], []], (2, 0)),
        ("ab", ()),
        ({"a": [1]}, ()),
    ],
)
def test_nested_lists_have_the_shape_of_an_array(value: Any, shape: tuple[int, ...]) -> None:
    assert nested_shape(value) == shape


@pytest.mark.parametrize("value", [[1, [2]], [[1], [2, 3]], [[[1]], [2]], [[], [1]]])
def test_ragged_lists_have_no_shape(value: Any) -> None:
    with pytest.raises(ValueError, match="not all of one shape"):
        nested_shape(value)


@pytest.mark.parametrize("shape", [(), (1,), (6,), (2, 3), (3, 2, 1), (0,), (0, 3), (3, 0), (1, 1, 1)])
def test_items_are_nested_as_numpy_does(shape: tuple[int, ...]) -> None:
    array = numpy.arange(math.prod(shape)).reshape(shape)
    assert nested(array.flatten().tolist(), shape) == array.tolist()


@pytest.mark.parametrize(("count", "shape"), [(3, (2,)), (0, ()), (4, (2, 3)), (0, (10**12, 0))])
def test_items_are_not_nested_in_another_shape(count: int, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        nested([0] * count, shape)
