"""JSON of others as plain data within bounds: nothing in it is believed to be small, or to mean one thing only.

Not here: the shape that the data must have.
"""

import json
from collections import Counter
from typing import Any

from crossaccount.text import quote

MAX_DEPTH = 64


def parse_json(text: str | bytes) -> Any:
    """JSON of others as data that JSON, UTF-8 and a terminal can carry again; to read, to walk and to copy by recursion.

    Raises:
        ValueError: in a short sentence, for text that is not JSON, an infinite number (NaN, 1e999), half a character, a key that
            stands twice in one object, or data that is nested too deep.
    """
    try:
        loaded = json.loads(text, parse_constant=_no_number, object_pairs_hook=_each_once)
        check_depth(loaded)
        json.dumps(loaded, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep") from None
    return loaded


def check_whole_number(value: object) -> object:
    """The value, which must be a whole number; true and 1.0 are equal to 1, and are not whole numbers.

    Raises:
        ValueError: for any other value.
    """
    if type(value) is not int:
        raise ValueError("it is not a whole number")
    return value


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not a number that JSON can carry")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):  # every reader takes another of the two
        twice = next(key for key, many in Counter(key for key, _ in pairs).items() if many > 1)
        raise ValueError(f"the key {quote(twice)} is written twice in one object")
    return members


def check_depth(loaded: Any) -> None:
    """See that data can be walked and copied by recursion; level by level, not by recursion.

    Raises:
        ValueError: for data that is nested too deep.
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
