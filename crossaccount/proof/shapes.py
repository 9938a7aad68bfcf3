"""The expectation of an array: its shape, the type of its items, and the bounds of its numbers.

An array is one of NPY, a tensor of the V2 inference protocol, a table of CSV or nested lists of JSON, which know no type. Not here:
the items of an array one by one (``differences``).
"""

from collections.abc import Iterator
from typing import Any

from crossaccount.config.expectations import ArrayOf
from crossaccount.json_match import follow_paths, parse_paths
from crossaccount.proof.arrays import Array, nested_shape
from crossaccount.proof.judging import Expectation, found_by
from crossaccount.proof.reading import Cell, Lines, Table, data_of
from crossaccount.proof.tensors import DTYPES, checked_shape
from crossaccount.text import quote


def shaped(wanted: ArrayOf) -> Expectation:
    """An array, or each one at a path, of this shape, type and bounds, as far as they are given."""
    shown = {key: value for key, value in wanted.model_dump(mode="json").items() if value is not None}

    def judge(got: Any) -> str:
        if wanted.path is None:
            return _misfit(got, wanted)
        for place, part in follow_paths(data_of(got), parse_paths(wanted.path)):
            if why := _misfit(part, wanted):
                return f"at {quote(place)} {why}" if place else why
        return ""

    return shown, found_by(judge)


def _misfit(part: Any, wanted: ArrayOf) -> str:
    try:
        arrays = list(_arrays(part))
    except ValueError as error:
        return f"it is no array: {error}"
    shapes = [_wrong_shape(array, wanted) for array in arrays]
    found = [shape or _compared(array, wanted) for array, shape in zip(arrays, shapes, strict=True)]
    if not all(found):
        return ""
    return next((why for why, shape in zip(found, shapes, strict=True) if not shape), found[0])


def _arrays(part: Any) -> Iterator[Array]:
    """The arrays that a part of an answer may stand for; an empty dtype where none is known."""
    if isinstance(part, Array):
        yield part
    elif isinstance(part, Table):
        for form in part.forms:
            yield Array("", nested_shape(form), form)
    elif isinstance(part, dict) and {"datatype", "shape", "data"} <= part.keys():
        yield _tensor(part)
    elif isinstance(part, dict) and isinstance(part.get("outputs"), list):
        if len(part["outputs"]) != 1:
            raise ValueError(f"it has {len(part['outputs'])} outputs: write a path such as outputs[0]")
        yield from _arrays(part["outputs"][0])
    elif isinstance(part, dict):
        raise ValueError(f"it is an object with the keys {quote(sorted(part))}: write a path")
    elif part is None or isinstance(part, str):
        raise ValueError(f"it is {quote(part)}")
    else:
        value = part.values if isinstance(part, Lines) else part
        yield Array("", nested_shape(value), value)


def _tensor(part: dict[str, Any]) -> Array:
    """A tensor of the V2 protocol, whose data may be flat or nested."""
    shape, datatype = tuple(checked_shape(part["shape"])), part["datatype"]
    data = list(_flat(part["data"]))
    size = 1
    for length in shape:
        size *= length
    if len(data) != size:
        raise ValueError(f"its shape {list(shape[:8])} takes {size} items, and it has {len(data)}")
    return Array(DTYPES.get(datatype, "") if isinstance(datatype, str) else "", shape, data)


def _wrong_shape(array: Array, wanted: ArrayOf) -> str:
    if wanted.shape is None:
        return ""
    fits = [want is None or want == has for want, has in zip(wanted.shape, array.shape, strict=False)]
    if len(wanted.shape) == len(array.shape) and all(fits):
        return ""
    return f"its shape is {list(array.shape)}, not {quote(list(wanted.shape))}"


def _compared(array: Array, wanted: ArrayOf) -> str:
    if wanted.dtype is not None and array.dtype != wanted.dtype:
        if not array.dtype:
            return f"its dtype is not known, so it is not seen to be {wanted.dtype}: JSON and CSV have none"
        return f"its dtype is {array.dtype}, not {wanted.dtype}"
    if wanted.minimum is None and wanted.maximum is None:
        return ""
    return next(filter(None, (_out_of_bounds(item, wanted) for item in _flat(array.value))), "")


def _out_of_bounds(item: Any, wanted: ArrayOf) -> str:
    number = item.number if isinstance(item, Cell) else item
    if isinstance(number, bool) or not isinstance(number, int | float):
        return f"{quote(item.text if isinstance(item, Cell) else item)} in it is no number"
    # NaN is neither more nor less than anything.
    if wanted.minimum is not None and not number >= wanted.minimum:
        return f"{quote(number)} in it is not {quote(wanted.minimum)} or more"
    if wanted.maximum is not None and not number <= wanted.maximum:
        return f"{quote(number)} in it is not {quote(wanted.maximum)} or less"
    return ""


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _flat(item)
    else:
        yield value
