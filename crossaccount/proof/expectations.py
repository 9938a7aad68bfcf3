"""The expectations of answers: each is the expected value, as plain data, and the judge of an answer.

A judge gives the reason why an answer is wrong, in a few words, or an empty text for a right one. Pure functions. Not here: putting
a question to an endpoint (``asking``), reading its answer (``reading``).
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from crossaccount.config.expectations import JsonPath, Tolerance
from crossaccount.config.smoke import Smoke
from crossaccount.json_match import follow_path, follow_paths, parse_path, parse_paths
from crossaccount.proof.arrays import Array
from crossaccount.proof.bodies import hashed, long, text_of
from crossaccount.proof.differences import difference, equal, far_apart, written
from crossaccount.proof.judging import Expectation, Judge, found_by
from crossaccount.proof.reading import Bytes, Lines, Table, data_of, plain, read_answer
from crossaccount.proof.schemas import misfit
from crossaccount.proof.shapes import shaped
from crossaccount.strict_json import finite
from crossaccount.text import quote

# Keys of objects under which model servers write a label, without case, blanks, dashes and underscores.
_LABEL_KEYS = frozenset(
    f"{kind}{word}{end}"
    for kind in ("", "predicted")
    for word, end in (("label", ""), ("label", "s"), ("class", ""), ("class", "es"), ("class", "name"))
) | {"prediction", "predictions"}


def expectation(smoke: Smoke) -> Expectation:
    """The expectation of a configured payload; bytes that no reader has made data of satisfy none of those of data."""
    if smoke.expect_sha256 is not None:
        return hashed(smoke.expect_sha256)
    if smoke.expect_length is not None:
        return long(smoke.expect_length)
    if smoke.expect_text is not None:
        return text_of(smoke.expect_text)
    expected, judge = _of_data(smoke)
    return expected, judge if smoke.read_as else lambda got: _with_reader(got, judge)


def reader(smoke: Smoke) -> str:
    """The reader of the answer to a configured payload, see `reading.read_answer`; empty for that of its content type."""
    if smoke.expect_sha256 is not None or smoke.expect_length is not None:
        return "bytes"
    if smoke.expect_text is not None and smoke.expect_text.path is None:
        return smoke.read_as or "text"
    return smoke.read_as or ""


def _with_reader(got: Any, judge: Judge) -> str:
    """What is wrong with an answer, and the reader that would make it right."""
    readers: tuple[str, ...] = ("json", "jsonlines", "csv")
    if isinstance(got, Bytes):
        why = (
            f"it is {got}, which nothing here reads: expect_sha256 can judge it, or read_as names what it is"
        )
        raw, readers = got.content, ("npy", "recordio")
    else:
        why = judge(got)
        raw = got.encode() if isinstance(got, str) else b""
    if why and raw:
        for reader in readers:
            with suppress(ValueError):
                if not judge(read_answer(raw, "", reader)):
                    return f"{why}; read as {reader} it is right: write read_as: {reader}"
    return why


def _of_data(smoke: Smoke) -> Expectation:
    if smoke.expect_within is not None:
        return within(smoke.expect_within.value, smoke.expect_within.tolerance)
    if smoke.expect_json_path is not None:
        return at_path(smoke.expect_json_path)
    if smoke.expect_schema is not None:
        return fitting(smoke.expect_schema)
    if smoke.expect_label is not None:
        return labelled(smoke.expect_label.labels, smoke.expect_label.path)
    if smoke.expect_array is not None:
        return shaped(smoke.expect_array)
    return exactly(smoke.expect)


def exactly(value: Any) -> Expectation:
    """Exactly this value: whole numbers and texts to the last digit, fractions to six significant digits."""
    return finite(value), lambda got: difference(got, value)


def within(value: Any, tolerance: Tolerance) -> Expectation:
    """A value of the same shape, whose numbers differ by no more than the tolerance."""
    shown = {"value": finite(value), "tolerance": _measure(tolerance)}
    return shown, lambda got: far_apart(got, value, tolerance)


def at_path(wanted: JsonPath) -> Expectation:
    """A value at one place of the answer, within the tolerance; without one, as `exactly`."""
    tolerance = wanted.tolerance
    shown: dict[str, Any] = {"path": wanted.path, "value": finite(wanted.value)}
    if tolerance is not None:
        shown["tolerance"] = _measure(tolerance)
    steps = parse_path(wanted.path)

    def judge(got: Any) -> str:
        found = follow_path(data_of(got), steps)
        if len(found) == 1:
            if tolerance is None:
                return difference(found[0], wanted.value)
            return far_apart(found[0], wanted.value, tolerance)
        if not found:
            return f"there is nothing at {quote(wanted.path)}"
        return f"{quote(wanted.path)} leads to {len(found)} places: put keys with dots in quotes"

    return shown, judge


def fitting(schema: Any) -> Expectation:
    """An answer that satisfies a JSON schema."""
    return {"schema": finite(schema)}, lambda got: misfit(plain(got), schema)


def labelled(labels: Sequence[Any], path: str | None = None) -> Expectation:
    """One of these labels, to the last digit: at a path, or alone, in a list, or in objects under a key such as ``label``.

    Of several labels in an answer each must be one of these.
    """
    allowed = list(labels)
    shown = {"labels": finite(allowed)} if path is None else {"path": path, "labels": finite(allowed)}

    def judge(got: Any) -> str:
        right = set[tuple[type, Any]]()  # an answer has the same few labels millions of times
        # A server may end its text with a line break.
        got = got.removesuffix("\n").removesuffix("\r") if isinstance(got, str) else got
        for place, part in [("", got)] if path is None else follow_paths(data_of(got), parse_paths(path)):
            for label in _labels(part):
                if (type(label), label) in right:
                    continue
                if isinstance(label, _NoLabel):
                    return f"there is no label in {quote(finite(plain(label.part)))}"
                if all(difference(label, each, equal) for each in allowed):
                    return f"{f'at {quote(place)} ' if place else ''}{written(label)} is none of the labels"
                right.add((type(label), label))
        return ""

    return shown, found_by(judge)


class _NoLabel:
    """A part of an answer in which there is no label."""

    def __init__(self, part: Any) -> None:
        self.part = part


def _labels(got: Any) -> Iterator[Any]:
    """The labels of an answer, with the parts of it that have none."""
    if isinstance(got, Table | Lines | Array):
        yield from _labels(data_of(got))
    elif isinstance(got, dict):
        values = [value for key, value in got.items() if _plain_key(key) in _LABEL_KEYS]
        for value in values:
            yield from _labels(value)
        if not values:
            yield _NoLabel(got)
    elif isinstance(got, list):
        for value in got:
            yield from _labels(value)
        if not got:
            yield _NoLabel(got)
    else:
        yield got


def _plain_key(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "").replace(" ", "")


def _measure(tolerance: Tolerance) -> dict[str, float]:
    return {key: value for key, value in tolerance.model_dump().items() if value is not None}
