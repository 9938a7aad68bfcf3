"""The expectations of answers: each is the expected value, as plain data, and the judge of an answer.

A judge gives the reason why an answer is wrong, in a few words, or an empty text for a right one. Pure functions. Not here: putting
a question to an endpoint (``asking``), reading its answer (``reading``).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from crossaccount.config.smoke import JsonPath, Smoke, Tolerance
from crossaccount.json_match import follow_path, parse_path
from crossaccount.proof.arrays import Array
from crossaccount.proof.reading import Bytes, Cell, Lines, Table, data_of, plain
from crossaccount.proof.schemas import misfit
from crossaccount.strict_json import finite
from crossaccount.text import quote

Judge = Callable[[Any], str]
Expectation = tuple[Any, Judge]

# Keys of objects under which model servers write a label, without case, blanks, dashes and underscores.
_LABEL_KEYS = frozenset(
    f"{kind}{word}{end}"
    for kind in ("", "predicted")
    for word, end in (("label", ""), ("label", "s"), ("class", ""), ("class", "es"), ("class", "name"))
) | {"prediction", "predictions"}


def expectation(smoke: Smoke) -> Expectation:
    """The expectation of a configured payload; bytes that no reader has made data of satisfy none of those of data."""
    expected, judge = _of_data(smoke)
    return expected, lambda got: unread(got) if isinstance(got, Bytes) else judge(got)


def unread(got: Bytes) -> str:
    """What is wrong with an answer that no reader has made data of, and the way out."""
    return f"it is {got}, which nothing here reads: expect_sha256 judges it, or read_as names a reader"


def _of_data(smoke: Smoke) -> Expectation:
    if smoke.expect_within is not None:
        return within(smoke.expect_within.value, smoke.expect_within.tolerance)
    if smoke.expect_json_path is not None:
        return at_path(smoke.expect_json_path)
    if smoke.expect_schema is not None:
        return fitting(smoke.expect_schema)
    if smoke.expect_label is not None:
        return labelled(smoke.expect_label)
    return exactly(smoke.expect)


def exactly(value: Any) -> Expectation:
    """Exactly this value: whole numbers and texts to the last digit, fractions to six significant digits."""
    return finite(value), lambda got: difference(got, value)


def within(value: Any, tolerance: Tolerance) -> Expectation:
    """A value of the same shape, whose numbers differ by no more than the tolerance."""
    near = _near(tolerance)
    shown = {"value": finite(value), "tolerance": _measure(tolerance)}
    return shown, lambda got: difference(got, value, near)


def at_path(wanted: JsonPath) -> Expectation:
    """A value at one place of the answer, within the tolerance; without one, as `exactly`."""
    tolerance = wanted.tolerance
    shown: dict[str, Any] = {"path": wanted.path, "value": finite(wanted.value)}
    if tolerance is not None:
        shown["tolerance"] = _measure(tolerance)
    near = _six_digits if tolerance is None else _near(tolerance)
    steps = parse_path(wanted.path)

    def judge(got: Any) -> str:
        found = follow_path(data_of(got), steps)
        if len(found) == 1:
            return difference(found[0], wanted.value, near)
        if not found:
            return f"there is nothing at {quote(wanted.path)}"
        return f"{quote(wanted.path)} leads to {len(found)} places: put keys with dots in quotes"

    return shown, judge


def fitting(schema: Any) -> Expectation:
    """An answer that satisfies a JSON schema."""
    return {"schema": finite(schema)}, lambda got: misfit(plain(got), schema)


def labelled(labels: Sequence[Any]) -> Expectation:
    """One of these labels, to the last digit: alone, in a list, or in objects under a key such as ``label``.

    Of several labels in an answer each must be one of these.
    """
    allowed = list(labels)

    def judge(got: Any) -> str:
        # A server may end its text with a line break.
        for label in [got.removesuffix("\n").removesuffix("\r")] if isinstance(got, str) else _labels(got):
            if isinstance(label, _NoLabel):
                return f"there is no label in {quote(finite(plain(label.part)))}"
            if all(difference(label, each, _equal) for each in allowed):
                return f"{_written(label)} is none of the labels"
        return ""

    return {"labels": finite(allowed)}, judge


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


Near = Callable[[int | float, int | float], bool]
_EXACT = 2**53  # from here on a float stands for several whole numbers


def _near(tolerance: Tolerance) -> Near:
    absolute, relative = tolerance.absolute or 0.0, tolerance.relative or 0.0

    def near(got: int | float, expected: int | float) -> bool:
        # A thousand-millionth more: 0.3 - 0.2 is more than 0.1 to a computer, and not to the author of a config.
        if max(abs(got), abs(expected)) < _EXACT:
            return abs(got - expected) <= (absolute + relative * abs(expected)) * (1 + 1e-9)
        distance, allowed = (
            abs(Fraction(got) - Fraction(expected)),
            Fraction(relative) * abs(Fraction(expected)),
        )
        return distance <= (Fraction(absolute) + allowed) * (1 + Fraction(1, 10**9))

    return near


def _equal(got: int | float, expected: int | float) -> bool:
    return got == expected


def _six_digits(got: int | float, expected: int | float) -> bool:
    """Equal to six significant digits, where one of the two is no whole number: that may not be nearer to another whole one."""
    whole = [
        _is_whole(number, isinstance(other, int)) for number, other in ((got, expected), (expected, got))
    ]
    if all(whole) or (any(whole) and abs(got - expected) >= 0.5):
        return False
    return math.isclose(got, expected, rel_tol=1e-6, abs_tol=1e-12)


def _is_whole(number: int | float, beside_whole: bool) -> bool:
    """Whether a number is meant to be whole: a large float always is, so that says something beside a whole number only."""
    if isinstance(number, int):
        return True
    return number.is_integer() and (beside_whole or abs(number) < _EXACT)


def _same_number(got: int | float, expected: int | float, near: Near) -> bool:
    if got == expected or (got != got and expected != expected):  # NaN is not equal to itself
        return True
    if any(isinstance(number, float) and not math.isfinite(number) for number in (got, expected)):
        return False
    try:
        return near(got, expected)
    except OverflowError:  # an integer that no float can hold, beside a float
        return False


def difference(got: Any, expected: Any, near: Near = _six_digits, place: str = "") -> str:
    """The first difference of an answer from the expected one, in a few words; empty when they are equal in shape and content.

    Args:
        got: the answer, or a part of it.
        expected: the expected value. A cell of CSV is held against it as a text, a number or a truth value, whichever that is.
        near: whether two numbers that are not equal are near enough.
        place: of the part in the answer.
    """
    if isinstance(got, Array):
        return difference(got.value, expected, near, place)
    if isinstance(got, Table | Lines):
        found = [difference(form, expected, near, place) for form in got.forms]
        return found[0] if all(found) else ""
    if isinstance(got, list) and isinstance(expected, list):
        if len(got) != len(expected):
            return f"{_at(place)}has {len(got)} items, not {len(expected)}"
        pairs = (
            difference(*pair, near, f"{place}[{at}]")
            for at, pair in enumerate(zip(got, expected, strict=True))
        )
        return next(filter(None, pairs), "")
    if isinstance(got, dict) and isinstance(expected, dict):
        if missing := expected.keys() - got.keys():
            return f"{_at(place)}has no key {quote(min(missing))}"
        if more := got.keys() - expected.keys():
            return f"{_at(place)}has the key {quote(min(more))}, which is not expected"
        parts = (difference(got[key], expected[key], near, f"{place}.{key}") for key in expected)
        return next(filter(None, parts), "")
    same = _same_cell(got, expected, near) if isinstance(got, Cell) else _same_value(got, expected, near)
    return "" if same else f"{_at(place)}is {_written(got)}, not {_written(expected)}"


def _same_value(got: Any, expected: Any, near: Near) -> bool:
    if isinstance(got, bool) or isinstance(expected, bool):
        return got is expected
    if isinstance(got, int | float) and isinstance(expected, int | float):
        return _same_number(got, expected, near)
    return type(got) is type(expected) and bool(got == expected)


def _same_cell(got: Cell, expected: Any, near: Near) -> bool:
    if isinstance(expected, bool):
        return got.truth is expected
    if isinstance(expected, int | float):
        return got.number is not None and _same_number(got.number, expected, near)
    return isinstance(expected, str) and got.text == expected


def _at(place: str) -> str:
    return f"at {quote(place)} it " if place else "it "


def _written(value: Any) -> str:
    """A value with its kind to be seen: NaN is a number, "NaN" a text."""
    return quote(value.text if isinstance(value, Cell) else value)
