"""Expectations of answers as bytes and as long texts: a hash, a length, contained texts, a pattern.

Not here: expectations of data (``expectations``, ``shapes``).
"""

import re
import time
from collections.abc import Iterator
from typing import Any

from crossaccount.config.expectations import ByteLength, TextOf
from crossaccount.json_match import follow_paths, parse_paths
from crossaccount.proof.judging import Expectation, found_by
from crossaccount.proof.patterns import Patterns, Undecided
from crossaccount.proof.reading import Bytes, Cell, data_of
from crossaccount.text import quote


def hashed(sha256: str) -> Expectation:
    """Bytes with this SHA-256, in lower-case hexadecimal digits."""

    def judge(got: Bytes) -> str:
        return "" if got.sha256 == sha256 else f"its SHA-256 is {got.sha256}, not {sha256}"

    return {"sha256": sha256}, judge


def long(length: ByteLength) -> Expectation:
    """So many bytes."""

    def judge(got: Bytes) -> str:
        size = len(got.content)
        if length.least <= size <= length.most:
            return ""
        wanted = str(length.least) if length.least == length.most else f"{length.least} to {length.most}"
        return f"it has {size} bytes, not {wanted}"

    return {"bytes": length.model_dump()}, judge


def text_of(wanted: TextOf, seconds: float = 20.0) -> Expectation:
    """A text, or each text at a path, that has all of these in it, and in which the pattern is found, within so many seconds."""
    shown = {key: value for key, value in wanted.model_dump(mode="json").items() if value is not None}

    def judge(got: Any) -> str:
        try:
            with Patterns(time.monotonic() + seconds) as tried:
                for place, part in _parts(got, wanted.path):
                    if why := _misses(part, wanted, tried):
                        return f"at {quote(place)} {why}" if place else why
        except Undecided as undecided:
            return f"{undecided} ({seconds:g} s)"
        return ""

    return shown, found_by(judge)


def _parts(got: Any, path: str | None) -> Iterator[tuple[str, Any]]:
    if path is None:
        yield "", got
    else:
        yield from follow_paths(data_of(got), parse_paths(path))


def _misses(part: Any, wanted: TextOf, tried: Patterns) -> str:
    if isinstance(part, Cell):
        part = part.text
    if not isinstance(part, str):
        return f"it is no text but {quote(str(part))}"
    for text in wanted.contains or ():
        if text not in part:
            return f"{quote(text)} is not in it"
    if wanted.matches is None:
        return ""
    tried.check(wanted.matches, part)
    return (
        "" if re.search(wanted.matches, part) else f"the pattern {quote(wanted.matches)} is not found in it"
    )
