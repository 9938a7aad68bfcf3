"""JSON held against a JSON schema, within bounds of time: the schema is the config's and to be trusted, the answer is anybody's.

Not here: whether a schema can be used (``json_match``).

Source: JSON Schema, draft 2020-12. NaN and the infinities are no numbers of JSON: they have no type, and only ``const`` and
``enum`` can name them.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from crossaccount.proof.patterns import Patterns, Undecided
from crossaccount.text import quote

_BY_NAME = frozenset({"patternProperties", "additionalProperties", "unevaluatedProperties"})
_OF_NUMBERS = ("type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")


class _TooLong(Exception):
    """An answer that takes longer to judge than anybody waits."""


def misfit(data: Any, schema: Any, seconds: float = 20.0) -> str:
    """The reason why data does not satisfy a JSON schema, or was not seen to in so many seconds; empty when it does."""
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    registry: Any = Registry()  # knows nothing, and fetches nothing
    deadline = time.monotonic() + seconds
    try:
        with Patterns(deadline) as tried:
            judge = _patient(deadline, tried, sorted(set(_names(schema))))(schema, registry=registry)
            error = next(judge.iter_errors(data), None)
            return "" if error is None else _told(error)
    except Unresolvable as unresolvable:
        return f"the schema's $ref {quote(str(unresolvable.ref))} leads nowhere"
    except RecursionError:
        return "the schema goes around in a circle"
    except _TooLong:
        return f"it was not held against the schema within {seconds:g} s"
    except Undecided as undecided:
        return f"{undecided} ({seconds:g} s)"
    except OverflowError as impossible:  # a number that no float can hold is a multiple of nothing
        return f"it cannot be held against the schema: {impossible}"


def _told(error: Any) -> str:
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
    where = f"at {quote(place)} it" if place else "it"
    return f"{where} does not fit {error.validator}: {quote(error.validator_value)}"


def _patient(deadline: float, tried: Patterns, named: list[str]) -> Any:
    """A validator that gives up on an answer in time; items are compared by what they are written as.

    Args:
        deadline: by `time.monotonic`.
        tried: tries patterns first.
        named: the patterns of the whole schema, which may be tried on the names of properties.
    """
    from jsonschema import Draft202012Validator, validators  # type: ignore[import-untyped,unused-ignore]

    def watched(keyword: str, judge: Any) -> Any:
        def check(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
            if time.monotonic() > deadline:
                raise _TooLong
            if keyword == "pattern" and isinstance(instance, str):
                tried.check(value, instance)
            if keyword in _BY_NAME and isinstance(instance, dict):
                for pattern in named:
                    for name in instance:
                        tried.check(pattern, name)
            return judge(validator, value, instance, schema)

        return check

    known = {**Draft202012Validator.VALIDATORS, "uniqueItems": _unique_items, "const": _const, "enum": _enum}
    known |= {keyword: partial(_of_number, known[keyword]) for keyword in _OF_NUMBERS}
    return validators.extend(
        Draft202012Validator, {keyword: watched(keyword, judge) for keyword, judge in known.items()}
    )


def _of_number(
    judge: Callable[..., Any], validator: Any, value: Any, instance: Any, schema: Any
) -> Iterator[Any]:
    """A keyword of numbers: what is no number of JSON fits none of them."""
    if isinstance(instance, float) and not math.isfinite(instance):
        yield _fault(f"{json.dumps(instance)} is no number of JSON")
    else:
        yield from judge(validator, value, instance, schema) or ()


def _const(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if _written(instance) != _written(value):
        yield _fault("it is another value")


def _enum(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if _written(instance) not in {_written(each) for each in value}:
        yield _fault("it is none of the values")


def _unique_items(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if value and isinstance(instance, list) and len(set(map(_written, instance))) < len(instance):
        yield _fault("it has an item twice")


def _fault(text: str) -> Any:
    from jsonschema import ValidationError

    return ValidationError(text)


def _written(value: Any) -> str:
    return json.dumps(_canonical(value), sort_keys=True)


def _canonical(value: Any) -> Any:
    """A value that is written the same for all equal values: to JSON Schema 1.0 is 1, and true is neither."""
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _names(schema: Any) -> Iterator[str]:
    """The patterns of names in a schema, wherever they stand in it."""
    parts = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    if isinstance(schema, dict) and isinstance(schema.get("patternProperties"), dict):
        yield from schema["patternProperties"]
    for part in parts:
        yield from _names(part)
