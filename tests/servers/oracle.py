"""Whether an answer is right by an expectation of the config, decided without the product: it is what the product is held against.

Not here: reading an answer (``decoders.py``), and the product's own judges (``crossaccount.proof``).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import numpy as np
from decoders import Text, Unsure, decoded

WIDE = 20  # a number so many times as far away as it may be is surely wrong
_LABEL_KEYS = {"label", "labels", "prediction", "predictions", "class", "classes"}
_DTYPES = {"INT64": "int64", "FP32": "float32", "FP64": "float64", "BOOL": "bool"}


def right(question: dict[str, Any], raw: bytes, content_type: str) -> bool | None:
    """Whether an answer is right; None where that is not sure.

    Args:
        question: of the config, with its one expectation.
        raw: the answer.
        content_type: of it, as the server says.
    """
    if "expect_sha256" in question:
        return hashlib.sha256(raw).hexdigest() == question["expect_sha256"]
    if "expect_length" in question:
        return len(raw) == question["expect_length"]
    text = question.get("expect_text")
    try:
        if text is not None and "path" not in text:
            return _has(raw.decode("utf-8-sig"), text)
        forms = list(decoded(raw, content_type, question.get("read_as", "")))
    except Unsure:
        return None
    except Exception:  # numpy's header is Python, and its parser raises what Python's own does
        return False
    found = [_decided(question, form) for form in forms]
    if any(one is True for one in found):
        return True
    return None if any(one is None for one in found) else False


def _decided(question: dict[str, Any], data: Any) -> bool | None:
    try:
        return _by_expectation(question, data)
    except Unsure:
        return None
    except (LookupError, TypeError, ValueError):
        return False


def _by_expectation(question: dict[str, Any], data: Any) -> bool:
    if "expect_within" in question:
        wanted = question["expect_within"]
        return _near(data, wanted["value"], wanted["tolerance"])
    if "expect_json_path" in question:
        wanted = question["expect_json_path"]
        (found,) = _at(data, wanted["path"])
        return _near(found, wanted["value"], wanted.get("tolerance"))
    if "expect_label" in question:
        return _labelled(data, question["expect_label"])
    if "expect_schema" in question:
        return bool(jsonschema.Draft202012Validator(question["expect_schema"]).is_valid(_typed(data)))
    if "expect_array" in question:
        return _shaped(data, question["expect_array"])
    if "expect_text" in question:
        wanted = question["expect_text"]
        return all(_has(part, wanted) for part in _at(data, wanted["path"]))
    return _near(data, question["expect"], None)


def _near(got: Any, wanted: Any, tolerance: dict[str, float] | None) -> bool:
    """Whether two values are equal in shape, and their leaves near; unsure at a bound."""
    if isinstance(wanted, list):
        if not isinstance(got, list) or len(got) != len(wanted):
            return False
        return _all(_near(*pair, tolerance) for pair in zip(got, wanted, strict=True))  # type: ignore[misc]
    if isinstance(wanted, dict):
        if not isinstance(got, dict) or got.keys() != wanted.keys():
            return False
        return _all(_near(got[key], wanted[key], tolerance) for key in wanted)
    if isinstance(got, Text) and not isinstance(wanted, str):
        if isinstance(wanted, bool):
            return got.lower() == str(wanted).lower()
        got = _number(got)
    if isinstance(got, bool) is not isinstance(wanted, bool):
        return False
    if isinstance(wanted, bool | str | None):
        return isinstance(got, type(wanted)) and bool(got == wanted)
    if not isinstance(got, int | float):
        return False
    return _close(got, wanted, tolerance)


def _all(found: Iterator[bool]) -> bool:
    """Whether all are so: one that is not is enough, also where another is not sure."""
    unsure = False
    while True:
        try:
            one = next(found)
        except StopIteration:
            break
        except Unsure:
            # A generator that has raised has ended: what is behind the bound is not looked at.
            unsure = True
            break
        if not one:
            return False
    if unsure:
        raise Unsure
    return True


def _close(got: float, wanted: float, tolerance: dict[str, float] | None) -> bool:
    if got == wanted or (got != got and wanted != wanted):
        return True
    if not (math.isfinite(got) and math.isfinite(wanted)):
        return False
    if tolerance is None and float(got).is_integer() and float(wanted).is_integer():
        return False
    given = tolerance or {"relative": 1e-6}
    allowed = given.get("absolute", 0.0) + given.get("relative", 0.0) * abs(wanted)
    distance = abs(got - wanted)
    if distance * WIDE < allowed:
        return True
    if distance > allowed * WIDE + 1e-11:
        return False
    raise Unsure


def _number(cell: str) -> Any:
    try:
        number = float(cell) if "_" not in cell else None
    except ValueError:
        return None
    return int(cell) if number is not None and re.fullmatch(r"\s*[-+]?\d+\s*", cell) else number


def _at(data: Any, path: str) -> list[Any]:
    """What a path leads to; of names, places, keys in quotes and [*]."""
    found = [data]
    for place, quoted, name in re.findall(r"\[(\d+|\*)\]|\"([^\"]*)\"|([\w-]+)", path):
        key: Any = name or quoted or (place if place == "*" else int(place))
        if key == "*":
            if not all(isinstance(one, list) and one for one in found):
                raise LookupError(path)
            found = [item for one in found for item in one]
        else:
            if not all(isinstance(one, list if isinstance(key, int) else dict) for one in found):
                raise LookupError(path)
            found = [one[key] for one in found]
    return found


def _labelled(data: Any, wanted: Any) -> bool:
    labels = wanted["labels"] if isinstance(wanted, dict) else wanted
    parts = _at(data, wanted["path"]) if isinstance(wanted, dict) and "path" in wanted else [data]
    leaves = [leaf for part in parts for leaf in _leaves(part)]
    return bool(leaves) and all(any(_is_label(leaf, label) for label in labels) for leaf in leaves)


def _leaves(part: Any) -> Iterator[Any]:
    if isinstance(part, list):
        if not part:
            raise LookupError("no label")
        for item in part:
            yield from _leaves(item)
    elif isinstance(part, dict):
        values = [value for key, value in part.items() if key.lower() in _LABEL_KEYS]
        if not values:
            raise LookupError("no label")
        yield from _leaves(values)
    else:
        yield part.removesuffix("\n").removesuffix("\r") if type(part) is str else part


def _is_label(leaf: Any, label: Any) -> bool:
    if isinstance(leaf, Text) and not isinstance(label, str):
        leaf = _number(leaf)
    if isinstance(leaf, bool) is not isinstance(label, bool):
        return False
    if isinstance(label, bool | str):
        return isinstance(leaf, type(label)) and leaf == label
    return isinstance(leaf, int | float) and leaf == label


def _typed(data: Any) -> Any:
    if isinstance(data, list):
        return [_typed(item) for item in data]
    if isinstance(data, Text):
        number = _number(data)
        return str(data) if number is None else number
    return data


def _shaped(data: Any, wanted: dict[str, Any]) -> bool:
    for part in _at(data, wanted["path"]) if "path" in wanted else [data]:
        if isinstance(part, dict) and not {"datatype", "shape", "data"} <= part.keys():
            return False
        if "dtype" in wanted:
            if not isinstance(part, dict):
                raise Unsure
            if _DTYPES.get(part["datatype"]) != wanted["dtype"]:
                return False
        shape = tuple(part["shape"]) if isinstance(part, dict) else np.array(_typed(part)).shape
        items = list(_items(_typed(part["data"] if isinstance(part, dict) else part)))
        if "shape" in wanted and not (
            len(shape) == len(wanted["shape"])
            and all(want in (None, has) for want, has in zip(wanted["shape"], shape, strict=True))
        ):
            return False
        if isinstance(part, dict) and (bool in map(type, shape) or len(items) != math.prod(shape)):
            return False
        if not {"minimum", "maximum"} & wanted.keys():
            continue
        if any(isinstance(item, bool) or not isinstance(item, int | float) for item in items):
            return False
        if not all(
            wanted.get("minimum", -math.inf) <= item <= wanted.get("maximum", math.inf) for item in items
        ):
            return False
    return True


def _items(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _items(item)
    else:
        yield value


def _has(text: Any, wanted: dict[str, Any]) -> bool:
    if not isinstance(text, str):
        return False
    parts = wanted.get("contains", [])
    contained = all(part in text for part in ([parts] if isinstance(parts, str) else parts))
    return contained and ("matches" not in wanted or re.search(wanted["matches"], text) is not None)
