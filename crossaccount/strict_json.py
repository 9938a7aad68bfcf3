"""JSON of others as plain data within bounds: nothing in it is believed to be small, or to mean one thing only."""

import json
from collections import Counter
from typing import Any

from crossaccount.text import quote

MAX_DEPTH = 64


def parse_json(text: str | bytes) -> Any:
    """JSON of others as data that JSON, UTF-8 and a terminal can carry again; to read, to walk and to copy by recursion.

    Raises:
        ValueError: for no JSON, a number without an end (NaN, 1e999), half a character, a key that stands twice in one object, or
            what is nested too deep: a short sentence for each.
    """
    try:
        loaded = json.loads(text, parse_constant=_no_number, object_pairs_hook=_each_once)
        check_depth(loaded)
        json.dumps(loaded, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep") from None
    return loaded


def check_whole_number(value: object) -> object:
    """A whole number as it is; true and 1.0 are equal to 1, and are none.

    Raises:
        ValueError: for either of these.
    """
    if type(value) is not int:
        raise ValueError("it is no whole number")
    return value


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not a number that JSON can carry")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):  # which of the two is meant is read differently by every reader
        twice = next(key for key, many in Counter(key for key, _ in pairs).items() if many > 1)
        raise ValueError(f"the key {quote(twice)} is written twice in one object")
    return members


def check_depth(loaded: Any) -> None:
    """See that data can be walked and copied by recursion; level by level, not by recursion.

    Raises:
        ValueError: for what is nested too deep.
    """
    level = [loaded]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
