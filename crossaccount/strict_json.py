"""JSON of others as plain data within bounds: nothing in it is believed to be small, or to mean one thing only.

Not here: the shape that the data must have.

Source: RFC 8259; NaN, Infinity and -Infinity as the json module of Python, and so most model servers, writes them.
"""

import json
import math
import re
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
    return _parsed(text, allow_nan=False, parse_constant=_no_number)


def parse_model_json(text: str | bytes) -> Any:
    """JSON as model servers write it: as `parse_json`, but with bare NaN, Infinity and -Infinity, and with numbers as `exact_number`.

    Raises:
        ValueError: as `parse_json` does.
    """
    return _parsed(text, allow_nan=True, parse_float=exact_number)


def parse_model_lines(text: str) -> list[Any]:
    """JSON lines as model servers write them: the value of each line that is not blank; each as `parse_model_json` reads it.

    Raises:
        ValueError: as `parse_model_json` does, with the number of the line where it is known.
    """
    values, decode = (
        list[Any](),
        json.JSONDecoder(object_pairs_hook=_each_once, parse_float=exact_number).decode,
    )
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values.append(decode(line))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        except RecursionError:
            raise ValueError(f"line {number} is nested more than {MAX_DEPTH} levels deep") from None
    _check_carried(values, allow_nan=True)
    return values


def _parsed(text: str | bytes, allow_nan: bool, **readers: Any) -> Any:
    try:
        loaded = json.loads(text, object_pairs_hook=_each_once, **readers)
    except RecursionError:
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep") from None
    _check_carried(loaded, allow_nan)
    return loaded


def _check_carried(loaded: Any, allow_nan: bool) -> None:
    """See that JSON, UTF-8 and recursion can carry the data again; a ValueError otherwise."""
    check_depth(loaded)
    json.dumps(loaded, ensure_ascii=False, allow_nan=allow_nan).encode()


_EVERY_WHOLE_FLOAT = 2.0**53  # a float from here on is a whole number, and stands for its neighbours too
_WHOLE = re.compile(r"[-+]?[0-9]+(\.0*)?")


def exact_number(text: str) -> int | float:
    """A number in decimal digits; an int where a float would stand for another whole number.

    Raises:
        ValueError: for other text, also for one of more digits than Python reads.
    """
    number = float(text)
    if abs(number) >= _EVERY_WHOLE_FLOAT and _WHOLE.fullmatch(text):
        return int(text.partition(".")[0])
    return number


def is_finite(loaded: Any) -> bool:
    """Whether every number in data of JSON is finite: whether JSON can carry it."""
    if isinstance(loaded, dict | list | tuple):
        return all(map(is_finite, loaded.values() if isinstance(loaded, dict) else loaded))
    return not isinstance(loaded, float) or math.isfinite(loaded)


def finite(loaded: Any) -> Any:
    """Data of JSON with NaN, Infinity and -Infinity as texts, so that JSON can carry it to a reader."""
    if isinstance(loaded, dict):
        return {key: finite(item) for key, item in loaded.items()}
    if isinstance(loaded, list | tuple):
        return [finite(item) for item in loaded]
    return loaded if is_finite(loaded) else json.dumps(loaded)


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
