"""Arrays of answers as plain data: NPY with its type and shape, and the shape of nested lists.

Nothing in an array's header is believed: an array is made only where the bytes for it are there. Objects of Python, which NPY may
carry as pickles, are never unpacked. Not here: what is expected of an array (``expectations``).

Source: numpy.lib.format ("The .npy format"); ``sagemaker.core.deserializers``, NumpyDeserializer.
"""

import io
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_MOST_LISTS = 2_000_000  # a list of one item takes seventy times the bytes of the item
_NUMBERS = "biuf"


@dataclass(frozen=True)
class Array:
    """An answer that is an array: its type by numpy's name, its shape, and its items in nested lists."""

    dtype: str
    shape: tuple[int, ...]
    value: Any

    @property
    def size(self) -> int:
        """The number of items."""
        return math.prod(self.shape)


def read_npy(raw: bytes) -> Array:
    """The array in the bytes of an NPY file.

    Raises:
        ValueError: for bytes that are no such file, or not all of one, and for an array whose items are neither numbers, truth
            values nor texts.
    """
    # Imported here, as numpy below: they take more memory and time than all of a deployment that reads no array.
    from sagemaker.core.deserializers import NumpyDeserializer

    _check_header(raw)
    try:
        array = NumpyDeserializer().deserialize(io.BytesIO(raw), "application/x-npy")
    except OverflowError as error:
        raise ValueError(f"it is no NPY array: {error}") from None
    return Array(_name(array.dtype), array.shape, _items(array))


def _check_header(raw: bytes) -> None:
    """See that the bytes behind the header are just those of the array that it announces."""
    from numpy.lib import format as npy

    file = io.BytesIO(raw)
    try:
        version = npy.read_magic(file)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
        shape, _, dtype = read(file) if read else ((), False, None)
    except Exception as error:  # the header is Python, and its parser raises what Python's own does
        raise ValueError(f"it is no NPY array: {str(error)[:150]}") from None
    if dtype is None:
        raise ValueError(f"it is NPY of version {version[0]}.{version[1]}, and 1.0 and 2.0 are read here")
    if any(length < 0 for length in shape):
        raise ValueError("it is no NPY array: its shape is negative")
    if not (dtype.kind in _NUMBERS and dtype.itemsize <= 8) and dtype.kind not in "SU":
        raise ValueError(f"it is an array of {str(dtype)[:80]}, which has no plain values")
    check_shape(shape)
    announced, there = math.prod(shape) * dtype.itemsize, len(raw) - file.tell()
    if announced != there:
        raise ValueError(f"it is an array of {announced} bytes, of which {there} are there")


def check_shape(shape: Sequence[int]) -> None:
    """See that an array of this shape can be written as nested lists.

    Raises:
        ValueError: for one of too many lists.
    """
    lists, level = 1, 1
    for length in shape[:-1]:
        level *= length
        lists += level
        if lists > _MOST_LISTS:
            raise ValueError(
                f"it is an array of shape {list(shape[:8])}, of more than {_MOST_LISTS} rows in all: too many to be read"
            )


def _name(dtype: Any) -> str:
    return {"S": "bytes", "U": "str"}.get(dtype.kind, str(dtype.name))


def _items(array: Any) -> Any:
    import numpy

    if array.dtype.kind == "U":
        # numpy itself fails with a SystemError where four bytes are no character.
        characters = numpy.frombuffer(array.tobytes(), array.dtype.byteorder + "u4")
        if (characters > sys.maxunicode).any():
            raise ValueError("it is an array of texts, with bytes that are no characters")
    items = array.tolist()
    return items if array.dtype.kind in _NUMBERS else _decoded(items)


def _decoded(items: Any) -> Any:
    """Texts, also where they are bytes; what is no Unicode is a ValueError."""
    if isinstance(items, list):
        return [_decoded(item) for item in items]
    if isinstance(items, bytes):
        return items.decode()
    items.encode()
    return items


def nested_shape(value: Any) -> tuple[int, ...]:
    """The shape of nested lists, as numpy says it; of an item that is no list, none.

    Raises:
        ValueError: for lists that are not all of one length, or stand beside items.
    """
    if not isinstance(value, list):
        return ()
    shapes = {nested_shape(item) for item in value}
    if len(shapes) > 1:
        raise ValueError("its rows are not all of one shape")
    return (len(value), *next(iter(shapes), ()))


def nested(flat: Sequence[Any], shape: Sequence[int]) -> Any:
    """Items in row-major order as nested lists of a shape; the item itself for an empty shape.

    Raises:
        ValueError: when the shape takes another number of items, or too many lists.
    """
    if math.prod(shape) != len(flat):
        raise ValueError(
            f"it has {len(flat)} items, and its shape {list(shape[:8])} takes {math.prod(shape)}"
        )
    check_shape(shape)
    if not shape:
        return flat[0]
    items: list[Any] = list(flat)
    for depth in range(len(shape) - 1, 0, -1):
        length, rows = shape[depth], math.prod(shape[:depth])
        items = [items[row * length : (row + 1) * length] for row in range(rows)]
    return items
