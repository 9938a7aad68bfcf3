"""The expectations of answers: each is the expected value, as plain data, and the judge of an answer.

Pure functions. Not here: putting a question to an endpoint (``asking``).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from crossaccount.config.smoke import JsonPath, Smoke, Tolerance
from crossaccount.json_match import fits_schema, follow_path, parse_path

Judge = Callable[[Any], bool]


def expectation(smoke: Smoke) -> tuple[Any, Judge]:
    """The expectation of a configured payload."""
    if smoke.expect_within is not None:
        return within(smoke.expect_within.value, smoke.expect_within.tolerance)
    if smoke.expect_json_path is not None:
        return at_path(smoke.expect_json_path)
    if smoke.expect_schema is not None:
        return fitting(smoke.expect_schema)
    if smoke.expect_label is not None:
        return labelled(smoke.expect_label)
    return exactly(smoke.expect)


def exactly(value: Any) -> tuple[Any, Judge]:
    """Exactly this value, with numbers compared to six significant digits."""
    return value, lambda got: same_answer(got, value)


def within(value: Any, tolerance: Tolerance) -> tuple[Any, Judge]:
    """A value of the same shape, whose numbers differ by no more than the tolerance."""
    shown = {"value": value, "tolerance": _measure(tolerance)}
    return shown, lambda got: same_answer(got, value, _near(tolerance))


def at_path(wanted: JsonPath) -> tuple[Any, Judge]:
    """A value at one place of the answer, within the tolerance; without one, to six significant digits."""
    tolerance = wanted.tolerance
    shown: dict[str, Any] = {"path": wanted.path, "value": wanted.value}
    if tolerance is not None:
        shown["tolerance"] = _measure(tolerance)
    near = _six_digits if tolerance is None else _near(tolerance)
    steps = parse_path(wanted.path)
    return shown, lambda got: any(same_answer(value, wanted.value, near) for value in follow_path(got, steps))


def fitting(schema: Any) -> tuple[Any, Judge]:
    """An answer that satisfies a JSON schema."""
    return {"schema": schema}, lambda got: fits_schema(got, schema)


def labelled(labels: Sequence[Any]) -> tuple[Any, Judge]:
    """One of these labels, or a list of them that is not empty."""
    allowed = list(labels)

    def right(got: Any) -> bool:
        values = got if isinstance(got, list) else [got]
        return bool(values) and all(any(same_answer(value, label) for label in allowed) for value in values)

    return {"labels": allowed}, right


def _measure(tolerance: Tolerance) -> dict[str, float]:
    return {key: value for key, value in tolerance.model_dump().items() if value is not None}


Near = Callable[[float, float], bool]


def _near(tolerance: Tolerance) -> Near:
    absolute, relative = tolerance.absolute or 0.0, tolerance.relative or 0.0

    def near(got: float, expected: float) -> bool:
        # A thousand-millionth more: 0.3 - 0.2 is more than 0.1 to a computer, and not to the author of a config.
        return abs(got - expected) <= (absolute + relative * abs(expected)) * (1 + 1e-9)

    return near


def _six_digits(got: float, expected: float) -> bool:
    return math.isclose(got, expected, rel_tol=1e-6, abs_tol=1e-12)


def same_answer(got: Any, expected: Any, near: Near = _six_digits) -> bool:
    """Whether an answer is equal in shape and content; its numbers need only be near: by default to six significant digits."""
    if isinstance(got, bool) or isinstance(expected, bool):
        return got is expected
    if isinstance(got, int | float) and isinstance(expected, int | float):
        if isinstance(got, int) and isinstance(expected, int) and got == expected:
            return True
        try:
            return near(float(got), float(expected))
        except OverflowError:  # an integer that no float can hold
            return False
    if isinstance(got, list) and isinstance(expected, list):
        pairs = zip(got, expected, strict=False)
        return len(got) == len(expected) and all(same_answer(*pair, near) for pair in pairs)
    if isinstance(got, dict) and isinstance(expected, dict):
        return got.keys() == expected.keys() and all(
            same_answer(got[key], expected[key], near) for key in expected
        )
    return bool(got == expected)
