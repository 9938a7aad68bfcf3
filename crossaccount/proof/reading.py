"""The answers of models as data: JSON as it is, CSV as a table of cells, anything else as text.

Not here: getting an answer (``asking``), and judging it (``expectations``).

Source: "Common data formats for inference" in the SageMaker developer guide; RFC 4180. Model servers write NaN and Infinity bare
into JSON, and some send back a whole list of types as the content type of one of them.
"""

import csv
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from crossaccount.strict_json import exact_number, finite, parse_model_json

BODY_LIMIT = 6_291_456  # botocore, sagemaker-runtime: BodyBlob
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


def read_answer(raw: bytes, content_type: str) -> Any:
    """An endpoint's answer as data: JSON as it is, CSV as a `Table`, anything else as text.

    Of a list of content types the first one counts in which the body can be read.

    Raises:
        ValueError: when the body is larger than an endpoint's may be, or does not fit its content type.
    """
    if len(raw) > BODY_LIMIT:
        raise ValueError(f"it is larger than {BODY_LIMIT} bytes")
    text, faults = raw.decode("utf-8-sig"), list[ValueError]()
    for part in content_type.split(","):
        media = part.split(";")[0].strip().lower()
        try:
            if media == "application/json" or media.endswith("+json"):
                return parse_model_json(text)
            if media == "text/csv":
                return _table(text)
        except ValueError as error:
            faults.append(error)
    if faults:
        raise faults[0]
    return text


def _table(text: str) -> Table:
    try:
        rows = csv.reader(io.StringIO(text, newline=""))
        return Table(tuple(tuple(map(Cell, row)) for row in rows if row))
    except csv.Error as error:
        raise ValueError(str(error)) from None


def plain(answer: Any) -> Any:
    """An answer, or a part of one, as data of JSON: cells that are most likely numbers as numbers."""
    if isinstance(answer, Table):
        return plain(answer.value)
    if isinstance(answer, Cell):
        return answer.plain
    if isinstance(answer, list) and any(isinstance(item, Cell | list) for item in answer[:1]):
        return [plain(item) for item in answer]
    return answer


def shown(answer: Any) -> Any:
    """An answer as a proof shows it: data that JSON can carry, NaN and Infinity as texts."""
    return finite(plain(answer))
