"""The constraints of a service's model that parameters break, in the words in which AWS's services say it.

Not here: the error that comes of it (``calls``).

Source: recordings of IAM and CloudWatch by localstack, a public test that runs against AWS's STS, texts of KMS and DynamoDB
as their users report them. Not known: the order in which the JSON services name several members, which is the model's
here, and the order of enumerations other than those that were recorded.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from crossaccount_sandbox.protocols import Spoken

_SAYS = "failed to satisfy constraint: Member must"
_ENUMERATIONS = ("INSUFFICIENT_DATA, ALARM, OK",)
_RECORDED = {frozenset(listed.split(", ")): listed for listed in _ENUMERATIONS}


def violations(shape: Shape, params: Mapping[str, Any], spoken: Spoken) -> list[str]:
    """What breaks which constraint, a sentence for each; none where everything fits."""
    return list(_faults(shape, params, "", spoken))


def _faults(shape: Shape, value: Any, path: str, spoken: Spoken) -> Iterator[str]:
    if value is None:
        return
    if isinstance(shape, StructureShape):
        # The services of the query protocol name members by the alphabet.
        for name in sorted(shape.members, key=str.lower) if spoken.in_query_codes else shape.members:
            given = value.get(name) if isinstance(value, Mapping) else None
            if given is None and name in shape.required_members:
                yield f"Value null at '{_join(path, name)}' {_SAYS} not be null"
            yield from _faults(shape.members[name], given, _join(path, name), spoken)
    elif isinstance(shape, ListShape) and isinstance(value, list):
        yield from _said(_length(shape, value), value, path, spoken)
        yield from _of_items(shape.member, value, path, spoken)
    elif isinstance(shape, MapShape) and isinstance(value, Mapping):
        yield from _said(_length(shape, value), value, path, spoken)
        for key, item in value.items():
            yield from _faults(shape.value, item, f"{path}.{key}", spoken)
    elif isinstance(value, str):
        lengths, patterns = _length(shape, value), _pattern(shape, value)
        ordered = (*patterns, *lengths) if spoken.in_query_codes else (*lengths, *patterns)
        yield from _said(ordered, value, path, spoken, bool(shape.metadata.get("sensitive")))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from _said(_range(shape, value), value, path, spoken)


def _of_items(member: Shape, items: list[Any], path: str, spoken: Spoken) -> Iterator[str]:
    """The faults of a list's items: of structures one by one, of scalars the whole list with all that items must be."""
    if isinstance(member, StructureShape | ListShape | MapShape):
        for index, item in enumerate(items):
            yield from _faults(member, item, f"{path}.{index + 1}.member", spoken)
    elif any(_any_fault(member, item, spoken) for item in items):
        also = ("not be null",) if path.endswith("tagKeys") else ()  # as it was recorded, of no other list
        rules = ", ".join(f"Member must {constraint}" for constraint in (*_constraints(member), *also))
        yield from _said([f"satisfy constraint: [{rules}]"], f"[{', '.join(map(str, items))}]", path, spoken)


def _any_fault(shape: Shape, value: Any, spoken: Spoken) -> bool:
    return next(_faults(shape, value, "", spoken), None) is not None


def _said(
    constraints: Iterable[str], value: Any, path: str, spoken: Spoken, hidden: bool = False
) -> Iterator[str]:
    """The sentences; IAM leaves every value out, all services a sensitive one."""
    shown = "Value" if hidden or spoken.service == "iam" else f"Value '{value}'"
    for constraint in constraints:
        yield f"{shown} at '{path}' {_SAYS} {constraint}"


def _join(path: str, name: str) -> str:
    member = name[:1].lower() + name[1:]
    return f"{path}.{member}" if path else member


def _constraints(shape: Shape) -> Iterator[str]:
    """Everything that a model asks of a text."""
    low, high, pattern = (shape.metadata.get(name) for name in ("min", "max", "pattern"))
    if high is not None:
        yield f"have length less than or equal to {high}"
    if low is not None:
        yield f"have length greater than or equal to {low}"
    if choices := shape.metadata.get("enum"):
        yield _enumeration(choices)
    if pattern:
        yield f"satisfy regular expression pattern: {pattern}"


def _enumeration(choices: list[str]) -> str:
    return f"satisfy enum value set: [{_RECORDED.get(frozenset(choices), ', '.join(choices))}]"


def _length(shape: Shape, value: Any) -> list[str]:
    return [f"have length {fault}" for fault in _outside(shape, len(value))]


def _range(shape: Shape, value: float) -> list[str]:
    return [f"have value {fault}" for fault in _outside(shape, value)]


def _outside(shape: Shape, size: float) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if high is not None and size > high:
        yield f"less than or equal to {high}"
    if low is not None and size < low:
        yield f"greater than or equal to {low}"


def _pattern(shape: Shape, value: str) -> list[str]:
    found = []
    choices = shape.metadata.get("enum")
    if choices and value not in choices:
        found.append(_enumeration(choices))
    pattern = shape.metadata.get("pattern")
    compiled = _compile(pattern) if pattern else None
    if compiled is not None and not compiled.fullmatch(value):
        found.append(f"satisfy regular expression pattern: {pattern}")
    return found


@cache
def _compile(pattern: str) -> re.Pattern[str] | None:
    """The pattern as Python reads it; None for the few that use what only Java's dialect has."""
    try:
        return re.compile(_java(pattern))
    except re.error:
        return None


_JAVA = {
    r"\p{L}": r"\w",
    r"\p{Z}": r"\s",
    r"\p{N}": r"\d",
    r"\p{Alnum}": "a-zA-Z0-9",
    r"\p{ASCII}": r"\x00-\x7f",
    r"\p{Print}": r"\x20-\x7e",
}


def _java(pattern: str) -> str:
    """A pattern in Java's dialect as Python reads it: its classes, within brackets and outside, and the end of the text."""
    read, inside = [], False
    for part in re.findall(r"\\p\{\w+\}|\\.|.", pattern, re.DOTALL):
        inside = (inside or part == "[") and part != "]"
        known = _JAVA.get(part)
        plain = r"\Z" if part == r"\z" else part
        read.append(plain if known is None else known if inside else f"[{known}]")
    return "".join(read)
