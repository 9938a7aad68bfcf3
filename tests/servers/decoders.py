"""The values that a model server's answer may stand for, read without the product's readers.

Not here: judging them (``oracle.py``).

Source: RFC 8259, RFC 4180; numpy.lib.format; protobuf's wire format; Triton's "Binary Tensor Data Extension".
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

_TENSORS = {"INT64": "<i8", "FP32": "<f4", "FP64": "<f8", "BOOL": "?"}
_BINARY = re.compile(r"json-header-size=(\d+)")


class Unsure(Exception):
    """The answer lies at a bound, or is of a kind that the oracle does not read."""


def decoded(raw: bytes, content_type: str, read_as: str) -> Iterator[Any]:
    """The values that an answer may stand for; cells of CSV are `Text`."""
    media = content_type.partition(";")[0].partition(",")[0].strip().lower()
    kind = read_as or ("json" if media.endswith(("/json", "+json")) else media.rpartition("/")[2])
    if kind in ("vnd.sagemaker-triton.binary+json", "triton") or media.endswith("triton.binary+json"):
        yield _tensors(raw, content_type)
    elif kind == "json":
        yield _json(raw.decode("utf-8-sig"))
    elif kind == "jsonlines":
        text = raw.decode("utf-8-sig")
        values = [_json(line) for line in text.splitlines() if line.strip()]
        yield values
        if len(values) == 1:
            yield values[0]
        yield text
    elif kind in ("csv", "text/csv"):
        rows = [
            [Text(cell) for cell in row] for row in csv.reader(io.StringIO(raw.decode("utf-8-sig"))) if row
        ]
        yield rows
        if all(len(row) == 1 for row in rows):
            yield [row[0] for row in rows]
        if len(rows) == 1:
            yield rows[0]
    elif kind in ("x-npy", "npy"):
        yield _npy(raw)
    elif kind == "x-recordio-protobuf":
        yield list(_records(raw))
    elif kind in ("x-parquet", "vnd.apache.parquet", "parquet"):
        raise Unsure
    else:
        yield raw.decode("utf-8-sig")


class Text(str):
    """A cell of CSV: a text that may be meant as a number."""


def _json(text: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError("a key stands twice")
        return dict(pairs)

    return json.loads(text, object_pairs_hook=once)


def _npy(raw: bytes) -> Any:
    file = io.BytesIO(raw)
    array = np.load(file, allow_pickle=False)
    if file.read():
        raise ValueError("more than the array")
    items = array.tolist()
    if array.dtype.kind == "U":
        json.dumps(items, ensure_ascii=False).encode()
    return items


def _tensors(raw: bytes, content_type: str) -> Any:
    size = int(_BINARY.search(content_type)[1])  # type: ignore[index]
    head, rest = _json(raw[:size].decode()), raw[size:]
    for output in head["outputs"]:
        length = output.get("parameters", {}).pop("binary_data_size", None)
        if length is None:
            continue
        if not output["parameters"]:
            del output["parameters"]
        part, rest = rest[:length], rest[length:]
        if len(part) != length:
            raise ValueError("it breaks off")
        data = _strings(part) if output["datatype"] == "BYTES" else _numbers(part, output["datatype"])
        if len(data) != math.prod(output["shape"]):
            raise ValueError("another number of items")
        output["data"] = data
    if rest:
        raise ValueError("more than the outputs")
    return head


def _numbers(part: bytes, datatype: str) -> list[Any]:
    if datatype not in _TENSORS:
        raise Unsure
    return np.frombuffer(part, _TENSORS[datatype]).tolist()


def _strings(part: bytes) -> list[str]:
    found = []
    while part:
        (length,) = struct.unpack_from("<I", part)
        if len(part) < 4 + length:
            raise ValueError("it breaks off")
        found.append(part[4 : 4 + length].decode())
        part = part[4 + length :]
    return found


def _records(raw: bytes) -> Iterator[dict[str, Any]]:
    """Records with tensors of features: a magic number, a length, the message, padding."""
    while raw:
        magic, length = struct.unpack_from("<II", raw)
        whole = 8 + length + -length % 4
        if magic != 0xCED7230A or len(raw) < whole:
            raise ValueError("it is no record")
        record: dict[str, Any] = {}
        for number, entry in _fields(raw[8 : 8 + length]):
            if number != 1:
                raise Unsure
            parts = dict(_fields(entry))
            record.setdefault("features", {})[parts[1].decode()] = _values(parts[2])
        yield record
        raw = raw[whole:]


def _values(value: bytes) -> list[Any]:
    ((number, tensor),) = _fields(value)
    ((first, packed),) = _fields(tensor)
    if first != 1 or number not in (2, 3, 7):
        raise Unsure
    if number != 7:
        return np.frombuffer(packed, "<f4" if number == 2 else "<f8").tolist()
    found = []
    while packed:
        one, packed = _varint(packed)
        found.append(one)
    return found


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    while message:
        key, message = _varint(message)
        if key & 7 != 2:
            raise Unsure
        length, message = _varint(message)
        if length > len(message):
            raise ValueError("it breaks off")
        yield key >> 3, message[:length]
        message = message[length:]


def _varint(raw: bytes) -> tuple[int, bytes]:
    number = 0
    for at in range(10):
        number |= (raw[at] & 0x7F) << 7 * at
        if raw[at] < 0x80:
            if number >= 1 << 31:
                raise Unsure
            return number, raw[at + 1 :]
    raise ValueError("it is no number")
