"""Paths into JSON, and the check that a JSON schema can be used.

Not here: expected values and tolerances, and the judging by a schema (``proof``).

Source: JSON Schema, draft 2020-12; paths are those of JSONPath (RFC 9535) that lead to one place.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

_LONGEST_PATH = 1024
_QUOTED = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'"""
_STEP = re.compile(
    rf"(?P<dot>\.?)(?:(?P<name>[A-Za-z0-9_-]+)|(?P<key>{_QUOTED}))|\[(?:(?P<place>\d{{1,6}})|(?P<each>\*)|(?P<inner>{_QUOTED}))\]"
)


# The same in a pattern that JSON Schema can have; the escapes of a quoted key are those of JSON.
_KEY = r"""(?:"(?:[^"\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"|'(?:[^'\\]|\\['\\/bfnrt]|\\u[0-9a-fA-F]{4})*')"""


def _grammar(place: str) -> str:
    word, inner = rf"(?:[A-Za-z0-9_-]+|{_KEY})", rf"\[(?:{place}|{_KEY})\]"
    return rf"(?:\$|{word}|{inner})(?:\.{word}|{inner})*"


ONE_PATH, WIDE_PATH = _grammar("[0-9]{1,6}"), _grammar(r"[0-9]{1,6}|\*")


class Quoted(str):
    """A key that a path has in quotes: the whole key, whatever is in it."""

    __slots__ = ()


Steps = tuple[str | int, ...]


def parse_path(path: str) -> Steps:
    """The steps of a path such as ``predictions[0].score``: names, and places that count from 0.

    A key with dots, blanks or other signs stands in quotes: ``quantiles."0.5"`` or ``quantiles["0.5"]``. A leading ``$`` stands
    for the whole answer, as it does by itself.

    Raises:
        ValueError: for anything else; wildcards, slices and filters are not known here.
    """
    first, *more = parse_paths(path)
    if more:
        raise ValueError("[*] leads to many places, and one is meant")
    return first


def parse_paths(path: str) -> tuple[Steps, ...]:
    """The parts of a path between its wildcards: ``predictions[*].label`` leads to the label of each prediction.

    Raises:
        ValueError: as `parse_path` does, but for wildcards.
    """
    if len(path) > _LONGEST_PATH:
        raise ValueError(f"it has more than {_LONGEST_PATH} characters")
    rest, parts, begun = path.removeprefix("$"), [list[str | int]()], path.startswith("$")
    if not path or (rest.startswith(".") and not begun):
        raise ValueError("it has no beginning")
    while rest:
        match = _STEP.match(rest)
        bare = match is not None and match["dot"] == "" and not rest.startswith("[")
        if match is None or (bare and begun):
            raise ValueError(
                f'{rest[:40]!r} is neither .name nor [number]; a key with a dot, a blank or another sign stands in quotes, as ."0.5" or ["0.5"]'
            )
        if match["each"]:
            parts.append([])
        else:
            parts[-1].append(_step(match))
        rest, begun = rest[match.end() :], True
    return tuple(map(tuple, parts))


def _step(match: re.Match[str]) -> str | int:
    if match["name"] is not None:
        return match["name"]
    if match["place"] is not None:
        return int(match["place"])
    quoted = match["key"] or match["inner"]
    inner = quoted[1:-1] if quoted[0] == '"' else quoted[1:-1].replace("\\'", "'").replace('"', '\\"')
    try:
        return Quoted(json.loads(f'"{inner}"', strict=False))
    except ValueError:
        raise ValueError(f"{quoted[:40]} has an escape that JSON does not know") from None


def follow_path(data: Any, steps: Sequence[str | int]) -> list[Any]:
    """The values that a path may stand for: one, none where it leads nowhere, several where it is ambiguous.

    A path is first taken as it stands. Where that leads nowhere, names with dots between them that are not in quotes may be one
    key: ``quantiles.0.5`` leads to the key ``0.5``.
    """
    return list(_exactly(data, steps)) or list(_joined(data, steps))


def follow_paths(data: Any, parts: Sequence[Steps], place: str = "") -> Iterator[tuple[str, Any]]:
    """The places and values that a path with wildcards leads to; each wildcard stands for every item of a list.

    Raises:
        LookupError: in a few words, where it leads nowhere, is ambiguous, or has a wildcard for what is no list of items.
    """
    found = follow_path(data, parts[0])
    here = place + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in parts[0])
    if len(found) != 1:
        raise LookupError(f"{here} leads to {len(found)} places" if found else f"there is nothing at {here}")
    if len(parts) == 1:
        yield here, found[0]
        return
    if not isinstance(found[0], list) or not found[0]:
        raise LookupError(f"there is no list of items at {here or 'its top'}")
    for number, item in enumerate(found[0]):
        yield from follow_paths(item, parts[1:], f"{here}[{number}]")


def _exactly(data: Any, steps: Sequence[str | int]) -> Iterator[Any]:
    for step in steps:
        is_place = isinstance(data, list) and isinstance(step, int) and step < len(data)
        if not (is_place or (isinstance(data, dict) and step in data)):
            return
        data = data[step]
    yield data


def _joined(data: Any, steps: Sequence[str | int]) -> Iterator[Any]:
    """The values with names joined in every way; of each part of the data one way at most leads there, so it ends soon."""
    if not steps:
        yield data
    elif isinstance(steps[0], int | Quoted):
        for value in _exactly(data, steps[:1]):
            yield from _joined(value, steps[1:])
    elif isinstance(data, dict):
        key = ""
        for count, step in enumerate(steps, start=1):
            if isinstance(step, int | Quoted):
                return
            key = f"{key}.{step}" if key else step
            if key in data:
                yield from _joined(data[key], steps[count:])


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
