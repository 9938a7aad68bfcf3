"""The answers of models as data, by their media type or as a question says: JSON, tables of CSV, arrays, records, text, bytes.

Not here: getting an answer (``asking``), judging it (``expectations``), and the readers of binary answers (``arrays``, ``tensors``,
``records``, ``parquet``).

Source: "Common data formats for inference" in the SageMaker developer guide; RFC 4180. Model servers write NaN and Infinity bare
into JSON, and some send back a whole list of types as the content type of one of them.
"""

import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from crossaccount.proof.arrays import Array, read_npy
from crossaccount.proof.parquet import read_parquet
from crossaccount.proof.records import read_records
from crossaccount.proof.tensors import read_tensors
from crossaccount.strict_json import exact_number, finite, parse_model_json, parse_model_lines

BODY_LIMIT = 6_291_456  # botocore, sagemaker-runtime: BodyBlob
_MOST_SHOWN = 5_000  # items of an array
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]")


@dataclass(frozen=True)
class Cell:
    """A cell of CSV: text, and a number too where it reads as one. CSV does not say which of the two is meant."""

    text: str

    @cached_property
    def number(self) -> int | float | None:
        """The number that the text stands for, also NaN or an infinite one; None for any other text."""
        if (
            "_" in self.text or not self.text.isascii()
        ):  # 1_000 and other alphabets' digits are numbers to Python, and to no model
            return None
        try:
            return exact_number(self.text.strip())
        except ValueError:
            return None

    @property
    def truth(self) -> bool | None:
        """The truth value that the text stands for; None for any other text."""
        return {"true": True, "false": False}.get(self.text.lower())

    @property
    def plain(self) -> str | int | float:
        """The number, of a cell that is most likely meant as one; else the text: ``001`` is a label, and so is ``nan``."""
        number = self.number
        if number is None or _LEADING_ZERO.match(self.text.strip()):
            return self.text
        if isinstance(number, int) or not number.is_integer():
            return number if isinstance(number, int) or math.isfinite(number) else self.text
        return int(number)


@dataclass(frozen=True)
class Table:
    """An answer in CSV: rows of cells."""

    rows: tuple[tuple[Cell, ...], ...]

    @property
    def value(self) -> list[Any]:
        """The list of the cells where each row has one, else the list of rows."""
        if all(len(row) == 1 for row in self.rows):
            return [row[0] for row in self.rows]
        return [list(row) for row in self.rows]

    @property
    def forms(self) -> Iterator[Any]:
        """The values that the table may stand for: a column and a row are lists too, a lone cell is a value."""
        yield self.value
        yield [list(row) for row in self.rows]
        if len(self.rows) == 1:
            yield list(self.rows[0])
            if len(self.rows[0]) == 1:
                yield self.rows[0][0]


@dataclass(frozen=True)
class Lines:
    """An answer in JSON lines: the value of each line. The whole is a text too, as which it may be expected."""

    values: list[Any]
    text: str

    @property
    def forms(self) -> Iterator[Any]:
        """The values that the lines may stand for: their list, a lone one that is no list itself, the text as it came."""
        yield self.values
        if len(self.values) == 1 and not isinstance(self.values[0], list):
            yield self.values[0]
        yield self.text


@dataclass(frozen=True)
class Bytes:
    """An answer that no reader has made data of: it can be judged by its hash and its length."""

    content: bytes
    content_type: str

    @property
    def sha256(self) -> str:
        """Its SHA-256, in hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()

    def __str__(self) -> str:
        return f"{len(self.content)} bytes of {self.content_type[:80] or 'no type'}, SHA-256 {self.sha256}"


def read_answer(raw: bytes, content_type: str, read_as: str = "") -> Any:
    """An endpoint's answer as data.

    Of a list of content types the first one counts in which the body can be read. What is of no type that has a reader is text, or
    `Bytes` where it is none.

    Args:
        raw: the body.
        content_type: of it, as the endpoint says.
        read_as: the reader to use whatever the type, one of `READERS`; by the type when it is left out.

    Raises:
        ValueError: when the body is larger than an endpoint's may be, or does not fit its content type.
    """
    if len(raw) > BODY_LIMIT:
        raise ValueError(f"it is larger than {BODY_LIMIT} bytes")
    if read_as:
        return READERS[read_as](raw, content_type)
    faults = list[ValueError]()
    for part in content_type.split(","):
        reader = reader_of(part)
        try:
            if reader:
                return READERS[reader](raw, part)
        except ValueError as error:
            faults.append(error)
    if faults:
        raise faults[0]
    try:
        return _text(raw, content_type)
    except ValueError:
        return Bytes(raw, content_type)


def reader_of(content_type: str) -> str:
    """The reader for answers of one media type, one of `READERS`; empty where there is none for it."""
    media = content_type.split(";")[0].strip().lower()
    return _BY_TYPE.get(media) or ("json" if media.endswith("+json") else "")


def _text(raw: bytes, _: str) -> str:
    return raw.decode("utf-8-sig")


def _json(raw: bytes, _: str) -> Any:
    return parse_model_json(raw.decode("utf-8-sig"))


def _lines(raw: bytes, _: str) -> Lines:
    text = raw.decode("utf-8-sig")
    return Lines(parse_model_lines(text), text)


def _table(raw: bytes, _: str) -> Table:
    text = raw.decode("utf-8-sig")
    try:
        rows = csv.reader(io.StringIO(text, newline=""))
        return Table(tuple(tuple(map(Cell, row)) for row in rows if row))
    except csv.Error as error:
        raise ValueError(str(error)) from None


# The names are those of `read_as` in the config.
READERS: Mapping[str, Callable[[bytes, str], Any]] = {
    "json": _json,
    "jsonlines": _lines,
    "csv": _table,
    "npy": lambda raw, _: read_npy(raw),
    "parquet": lambda raw, _: read_parquet(raw),
    "recordio": lambda raw, _: read_records(raw),
    "triton": read_tensors,
    "text": _text,
    "bytes": Bytes,
}
_BY_TYPE = {
    "application/json": "json",
    "text/csv": "csv",
    **{
        f"application/{name}": "jsonlines"
        for name in ("jsonlines", "x-jsonlines", "jsonl", "x-jsonl", "json-lines", "ndjson", "x-ndjson")
    },
    "application/x-npy": "npy",
    **{f"application/{name}": "parquet" for name in ("x-parquet", "parquet", "vnd.apache.parquet")},
    "application/x-recordio-protobuf": "recordio",
    "application/vnd.sagemaker-triton.binary+json": "triton",
}


def plain(answer: Any) -> Any:
    """An answer, or a part of one, as data of JSON: cells that are most likely numbers as numbers, bytes as what is known of them."""
    if isinstance(answer, Table | Array | Lines):
        return plain(data_of(answer))
    if isinstance(answer, Bytes):
        return str(answer)
    if isinstance(answer, Cell):
        return answer.plain
    if isinstance(answer, list) and any(isinstance(item, Cell | list) for item in answer[:1]):
        return [plain(item) for item in answer]
    return answer


def data_of(answer: Any) -> Any:
    """The lists that a table, an array or lines stand for; any other answer as it is."""
    if isinstance(answer, Lines):
        return answer.values
    return answer.value if isinstance(answer, Table | Array) else answer


def shown(answer: Any) -> Any:
    """An answer as a proof shows it: data that JSON can carry, NaN and Infinity as texts; of a large array the beginning, as text."""
    if isinstance(answer, Array) and answer.size > _MOST_SHOWN:
        begun = answer.value
        while isinstance(begun[0], list):
            begun = begun[0]
        items = json.dumps(finite(begun[:_MOST_SHOWN]))[:200]
        return f"array of {answer.dtype}, shape {list(answer.shape)}, that begins {items}..."
    return finite(plain(answer))
