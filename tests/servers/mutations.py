"""Answers as they would be with one thing changed: a digit, a letter, an element, a byte; cut off, doubled, or an error in their place.

Whether a change makes an answer wrong is not said here (``oracle.py``): 0.10 is 0.1, and a blank at the end is nothing.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

MOST = 20  # of the places where a long answer is cut off, or has a byte changed
ERRORS = (
    b"",
    b" ",
    b"null",
    b"[]",
    b"{}",
    b"0",
    b'""',
    b"Internal Server Error",
    b'{"error": "out of memory"}',
    b'{"detail": "Internal server error"}',
    b'{"error_code": "BAD_REQUEST", "message": "invalid input"}',
    b"<!doctype html>\n<title>500 Internal Server Error</title>\n",
    b"prediction failed\n",
)
_OTHERS: tuple[Any, ...] = (None, True, "other", 8.75, [], {}, float("nan"))
Mutation = tuple[str, bytes]


def mutations(raw: bytes) -> Iterator[Mutation]:
    """Each change of an answer with what it is, without those that change nothing."""
    seen = {raw}
    for what, changed in _all(raw):
        if changed not in seen:
            seen.add(changed)
            yield what, changed


def _all(raw: bytes) -> Iterator[Mutation]:
    for error in ERRORS:
        yield "another answer", error
    for at in _places(len(raw)):
        yield "cut off", raw[:at]
    yield "doubled", raw + raw
    for more in (b"0", b"\n0\n", b"\x00", b" x"):
        yield "something behind it", raw + more
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        yield from _bytes(raw)
        return
    if "\x00" in text:
        yield from _bytes(raw)
        return
    for what, changed in (*_characters(text), *_lines(text), *_cells(text), *_elements(text)):
        yield what, changed.encode()


def _places(length: int) -> list[int]:
    return sorted(
        {number * length // MOST for number in range(MOST)} | set(range(max(length - 8, 0), length))
    )


def _bytes(raw: bytes) -> Iterator[Mutation]:
    for at in sorted({*_places(len(raw)), *range(max(len(raw) - MOST, 0), len(raw))}):
        for bit in (1, 0x80):
            yield "a byte", raw[:at] + bytes([raw[at] ^ bit]) + raw[at + 1 :]


def _characters(text: str) -> Iterator[tuple[str, str]]:
    for at, character in enumerate(text):
        before, after = text[:at], text[at + 1 :]
        if character.isdigit():
            yield "a digit", f"{before}{(int(character) + 1) % 10}{after}"
            yield "a digit less", before + after
            if not (before and (before[-1].isdigit() or before[-1] in ".-+eE_")):
                yield "a sign", f"{before}-{text[at:]}"
        elif character.isalpha():
            yield "a letter", f"{before}{chr(ord(character) ^ 1)}{after}"
            yield "a letter's case", before + character.swapcase() + after
        elif character in ".-,":
            yield "a mark less", before + after


def _lines(text: str) -> Iterator[tuple[str, str]]:
    lines = text.splitlines(keepends=True)
    for at in range(min(len(lines), 20)):
        yield "a line less", "".join(lines[:at] + lines[at + 1 :])
        yield "a line more", "".join([*lines[: at + 1], *lines[at:]])
        if at:
            yield (
                "lines in another order",
                "".join([*lines[: at - 1], lines[at], lines[at - 1], *lines[at + 1 :]]),
            )


def _cells(text: str) -> Iterator[tuple[str, str]]:
    lines = text.splitlines(keepends=True)
    for at, line in enumerate(lines[:20]):
        cells = line.rstrip("\r\n").split(",")
        if len(cells) > 1:
            for cell in range(len(cells) - 1):
                cells[cell], cells[cell + 1] = cells[cell + 1], cells[cell]
                yield (
                    "cells in another order",
                    "".join([*lines[:at], ",".join(cells) + "\n", *lines[at + 1 :]]),
                )
                cells[cell], cells[cell + 1] = cells[cell + 1], cells[cell]


def _elements(text: str) -> Iterator[tuple[str, str]]:
    try:
        data = json.loads(text)
    except ValueError:
        return
    for path in list(_paths(data))[:24]:
        for what, changed in _changed(data, path):
            yield what, json.dumps(changed)


def _paths(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from _paths(item, (*path, key))


def _changed(data: Any, path: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """The data with the item at a path changed in each way."""
    *above, last = path

    def holder() -> tuple[Any, Any]:
        whole = copy.deepcopy(data)
        part = whole
        for key in above:
            part = part[key]
        return whole, part

    whole, part = holder()
    del part[last]
    yield "an element less", whole
    for other in _OTHERS:
        whole, part = holder()
        part[last] = other
        yield "another element", whole
    whole, part = holder()
    if isinstance(part, dict):
        part[f"{last}x"] = part.pop(last)
        yield "another key", whole
    else:
        part.insert(last, part[last])
        yield "an element more", whole
        if last:
            whole, part = holder()
            part[last - 1], part[last] = part[last], part[last - 1]
            yield "elements in another order", whole
    whole, part = holder()
    part[last] = [part[last]]
    yield "an element in a list", whole
