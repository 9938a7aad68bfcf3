"""What was measured, as a file that grows, as a table for a terminal, and as one for a page."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.rows import ROWS, Result, result

_HEAD = ("row", "measured", "target", "met", "made of")
_WHOLE = ("writes", "a second", "MB")  # units whose numbers have no decimals

Measured = dict[str, dict[str, Any]]  # by the measurement's name: the ``machine``, and what was ``found``


def read(files: Sequence[Path]) -> Measured:
    """Put together what files say; where two have a measurement, the later file's counts.

    Raises:
        ValueError, OSError: for one that cannot be read.
    """
    measured: Measured = {}
    for file in files:
        try:
            measured |= json.loads(file.read_bytes())["measurements"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{file} was not written by this program: {error!r}") from None
    return measured


def write(file: Path, measured: Measured) -> None:
    """Write all that was measured, and the rows that are made from it; the file is the old one or the new one, never half."""
    whole = {"rows": [one.to_json() for one in results(measured)], "measurements": measured}
    unfinished = file.with_name(f"{file.name}.unfinished")
    unfinished.write_text(json.dumps(whole, indent=1) + "\n")
    os.replace(unfinished, file)


def results(measured: Mapping[str, Mapping[str, Any]]) -> list[Result]:
    """The rows that can be made from this."""
    return [result(row, measured[row.measurement]["found"]) for row in ROWS if row.measurement in measured]


def table(results: Sequence[Result]) -> str:
    """The results in columns, for a terminal."""
    lines = [_HEAD, *map(_cells, results)]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    aligned = (
        [
            line[0].ljust(widths[0]),
            line[1].rjust(widths[1]),
            line[2].rjust(widths[2]),
            line[3].ljust(widths[3]),
            line[4],
        ]
        for line in lines
    )
    return "\n".join("  ".join(line).rstrip() for line in aligned)


def markdown(results: Sequence[Result]) -> str:
    """The results as a table of Markdown."""
    head = [f"| {' | '.join(_HEAD)} |", "|---|---:|---:|---|---|"]
    # A bar would end its cell.
    rows = ([cell.replace("|", "\\|") for cell in _cells(one)] for one in results)
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])


def _cells(one: Result) -> tuple[str, str, str, str, str]:
    row = one.row
    return (
        f"{row.name}: {row.what}",
        "-" if one.measured is None else _number(one.measured, row.unit),
        f"{row.is_to_be} {_number(row.target, row.unit)}",
        "yes" if one.met else "NO",
        one.made_of,
    )


def _number(number: float, unit: str) -> str:
    digits = 0 if unit in _WHOLE else 1 if unit == "calls" else 2
    text = f"{number:,.{digits}f}"
    return f"{text} {unit}".rstrip()
