"""Answers held against expected values: the first difference, and whether two numbers are near enough.

Pure functions. Not here: the expectations of a config (``expectations``), reading an answer (``reading``).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from crossaccount.config.expectations import Tolerance
from crossaccount.proof.arrays import Array
from crossaccount.proof.reading import Cell, Lines, Table, data_of
from crossaccount.text import quote

Near = Callable[[int | float, int | float], bool]
_EXACT = 2**53  # from here on a float stands for several whole numbers


def nearness(tolerance: Tolerance) -> Near:
    """Whether two numbers differ by no more than the tolerance, its share left aside."""
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


def far_apart(got: Any, expected: Any, tolerance: Tolerance) -> str:
    """What keeps an answer from being near to the expected one, in a few words; empty when it is near.

    With a share, so many of the numbers may be farther away, but none where the other is NaN or infinite.
    """
    near = nearness(tolerance)
    if tolerance.share is None:
        return difference(got, expected, near)
    return _fault_of(
        [(form, _spared(form, expected, near, tolerance.share or 0.0)) for form in forms(got)], expected
    )


def _spared(got: Any, expected: Any, near: Near, share: float) -> str:
    numbers = far = 0

    def spare(one: int | float, other: int | float) -> bool:
        nonlocal far
        far += not near(one, other)
        return True

    if first := difference(got, expected, spare):
        return first
    numbers = _count_numbers(expected)
    allowed = math.floor(share * numbers * (1 + 1e-9))
    if far <= allowed:
        return ""
    return f"{far} of its {numbers} numbers are too far away, and {allowed} may be: first, {difference(got, expected, near)}"


def _count_numbers(value: Any) -> int:
    if isinstance(value, list | tuple | dict):
        return sum(map(_count_numbers, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def forms(got: Any) -> Iterator[Any]:
    """The values that an answer may stand for, of which one must be the expected one."""
    if isinstance(got, Table | Lines):
        yield from got.forms
    else:
        yield data_of(got)


def _fault_of(judged: Sequence[tuple[Any, str]], expected: Any) -> str:
    """What is wrong with the form that is most like the expected value; empty where a form is right."""
    if not all(why for _, why in judged):
        return ""
    return max(judged, key=lambda each: _likeness(each[0], expected))[1]


def _likeness(form: Any, expected: Any) -> int:
    """How many levels of lists are as long in a form as they are in the expected value, their kinds counted."""
    if not isinstance(form, list) or not isinstance(expected, list):
        return type(form) is type(expected) or (
            isinstance(form, Cell) and not isinstance(expected, list | dict)
        )
    if len(form) != len(expected):
        return 0
    return 2 + (_likeness(form[0], expected[0]) if form else 0)


def equal(got: int | float, expected: int | float) -> bool:
    """Equal to the last digit."""
    return got == expected


def six_digits(got: int | float, expected: int | float) -> bool:
    """Equal to six significant digits, where one of the two is no whole number: that may not be nearer to another whole one.

    Beside 0, which has no digits, what is left of a sum that a computer makes of it is 0 too.
    """
    whole = [
        _is_whole(number, isinstance(other, int)) for number, other in ((got, expected), (expected, got))
    ]
    if all(whole) or (any(whole) and abs(got - expected) >= 0.5):
        return False
    return math.isclose(got, expected, rel_tol=1e-6, abs_tol=0.0 if got and expected else 1e-12)


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


def difference(got: Any, expected: Any, near: Near = six_digits, place: str = "") -> str:
    """The first difference of an answer from the expected one, in a few words; empty when they are equal in shape and content.

    Args:
        got: the answer, or a part of it.
        expected: the expected value. A cell of CSV is held against it as a text, a number or a truth value, whichever that is.
        near: whether two numbers that are not equal are near enough.
        place: of the part in the answer.
    """
    if isinstance(got, Array | Table | Lines):
        return _fault_of([(form, difference(form, expected, near, place)) for form in forms(got)], expected)
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
    return "" if same else f"{_at(place)}is {written(got)}, not {written(expected)}"


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


def written(value: Any) -> str:
    """A value with its kind to be seen: NaN is a number, "NaN" a text."""
    return quote(value.text if isinstance(value, Cell) else value)
