"""JSON held against a path or a JSON schema, within bounds of time.

Not here: expected values and tolerances. Source: JSON Schema, draft 2020-12.
"""

import json
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

_LONGEST_PATH = 1024
_STEP = re.compile(r"\.?([A-Za-z0-9_-]+)|\[(\d{1,6})\]")


def parse_path(path: str) -> tuple[str | int, ...]:
    """The steps of a path such as ``predictions[0].score``: names, and places that count from 0.

    A leading ``$`` stands for the whole answer, as it does by itself.

    Raises:
        ValueError: for anything else; wildcards, slices and filters are not known here.
    """
    if len(path) > _LONGEST_PATH:
        raise ValueError(f"it has more than {_LONGEST_PATH} characters")
    rest, steps = path.removeprefix("$"), list[str | int]()
    if not path or (rest.startswith(".") and not path.startswith("$")):
        raise ValueError("it has no beginning")
    while rest:
        match = _STEP.match(rest)
        bare = match is not None and match[1] is not None and not rest.startswith(".")
        if match is None or (bare and (steps or path.startswith("$"))):
            raise ValueError(f"{rest[:40]!r} is neither .name nor [number]")
        steps.append(match[1] if match[1] is not None else int(match[2]))
        rest = rest[match.end() :]
    return tuple(steps)


def follow_path(data: Any, steps: Sequence[str | int]) -> Iterator[Any]:
    """The value at the end of a path; no value where the path leads nowhere."""
    for step in steps:
        is_place = isinstance(data, list) and isinstance(step, int) and step < len(data)
        if not (is_place or (isinstance(data, dict) and step in data)):
            return
        data = data[step]
    yield data


def schema_fault(schema: Any) -> str | None:
    """The reason why a JSON schema cannot be used, in a line; None when it can.

    Nothing is ever fetched, so that a ``$ref`` may lead to places in the schema itself only.
    """
    from jsonschema import Draft202012Validator, SchemaError  # type: ignore[import-untyped,unused-ignore]

    if not isinstance(schema, dict | bool):
        return f"it is {json.dumps(schema)[:40]}, neither a mapping nor true or false"
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return str(error.message).replace("\n", " ")
    except RecursionError:
        return "it is nested too deep"
    far = [ref for ref in _references(schema) if not ref.startswith("#")]
    return f"$ref {far[0]!r} leads out of it" if far else None


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from (schema[key] for key in ("$ref", "$dynamicRef") if isinstance(schema.get(key), str))
    inner = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    for part in inner:
        yield from _references(part)


def fits_schema(data: Any, schema: Any, seconds: float = 20.0) -> bool:
    """Whether data satisfies a JSON schema; False as well where that takes more than so many seconds to see."""
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    registry: Any = Registry()  # knows nothing, and fetches nothing
    judge = _patient(time.monotonic() + seconds)(schema, registry=registry)
    try:
        return bool(judge.is_valid(data))
    except (Unresolvable, RecursionError):  # a $ref to nowhere, or around in a circle: nothing fits that
        return False
    except (_TooLong, OverflowError):  # a number that no float can hold is a multiple of nothing
        return False


_LONGEST_MATCHED = 5_000


class _TooLong(Exception):
    """An answer that takes longer to judge than anybody waits."""


def _patient(deadline: float) -> Any:
    """A validator that gives up on an answer in time.

    The schema is the config's and to be trusted, the answer is anybody's: patterns are not tried on texts so long that a
    plain one would look at them for minutes, and items are compared by what they are written as.
    """
    from jsonschema import Draft202012Validator, validators  # type: ignore[import-untyped,unused-ignore]

    def watched(keyword: str, judge: Any) -> Any:
        def check(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
            if time.monotonic() > deadline:
                raise _TooLong
            if keyword in _BY_PATTERN and any(len(text) > _LONGEST_MATCHED for text in _texts(instance)):
                raise _TooLong
            return judge(validator, value, instance, schema)

        return check

    known = {**Draft202012Validator.VALIDATORS, "uniqueItems": _unique_items}
    return validators.extend(
        Draft202012Validator, {keyword: watched(keyword, judge) for keyword, judge in known.items()}
    )


_BY_PATTERN = frozenset({"pattern", "patternProperties", "additionalProperties", "unevaluatedProperties"})


def _texts(instance: Any) -> Any:
    """The texts that a pattern is tried on: a text itself, or the names of a mapping."""
    return [instance] if isinstance(instance, str) else instance if isinstance(instance, dict) else ()


def _unique_items(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if value and isinstance(instance, list):
        written = {json.dumps(_canonical(item), sort_keys=True) for item in instance}
        if len(written) < len(instance):
            yield ValidationError("it has an item twice")


def _canonical(value: Any) -> Any:
    """A value that is written the same for all equal values: to JSON Schema 1.0 is 1, and true is neither."""
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value
