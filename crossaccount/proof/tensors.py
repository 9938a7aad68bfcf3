"""Answers in Triton's binary+json: a header in JSON, then the raw tensors that it announces, one after the other.

They become what Triton answers in JSON alone: each output with its data in one flat list. Not here: JSON itself.

Source: Triton's "Binary Tensor Data Extension" of the V2 inference protocol; its SageMaker front end has the header's length in
the content type: ``application/vnd.sagemaker-triton.binary+json;json-header-size=N``.
"""

import json
import math
import re
from contextlib import suppress
from typing import Any

from crossaccount.strict_json import parse_model_json

# numpy's names of the datatypes of the protocol.
DTYPES = {
    "BOOL": "bool",
    **{f"{kind.upper()}{bits}": f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BF16": "bfloat16",
    "BYTES": "bytes",
}
_SIZES = {"bfloat16": 2}
_HEADER_SIZE = re.compile(r";\s*json-header-size\s*=\s*\"?([0-9]{1,9})\"?\s*(;|$)", re.IGNORECASE)
_MOST_DIMENSIONS = 32
_MOST_OUTPUTS = 1000


def read_tensors(raw: bytes, content_type: str) -> Any:
    """The answer as Triton says it in JSON alone.

    Without a length of the header in the content type the header ends where its JSON does.

    Raises:
        ValueError: for a header that is no JSON or announces other bytes than there are, and for tensors that are not what it says.
    """
    announced = _HEADER_SIZE.search(content_type)
    size = int(announced[1]) if announced else _end_of_json(raw)
    if size > len(raw):
        raise ValueError(f"its JSON header has {size} bytes, and the answer {len(raw)}")
    header, rest = parse_model_json(raw[:size]), memoryview(raw)[size:]
    outputs = header.get("outputs", []) if isinstance(header, dict) else None
    if not isinstance(outputs, list) or len(outputs) > _MOST_OUTPUTS:
        raise ValueError("its JSON header has no outputs")
    read, used = [], 0
    for output in outputs:
        length = _length(output)
        if length is None:
            read.append(output)
            continue
        if length > len(rest) - used:
            raise ValueError(f"an output of {length} bytes is announced, and {len(rest) - used} are left")
        read.append(_with_data(output, rest[used : used + length]))
        used += length
    if used != len(rest):
        raise ValueError(f"{len(rest) - used} bytes stand behind the announced outputs")
    return {**header, "outputs": read} if "outputs" in header else header


def _end_of_json(raw: bytes) -> int:
    with suppress(ValueError):
        parse_model_json(raw)
        return len(raw)
    text = raw.decode("latin-1")
    try:
        _, end = json.JSONDecoder().raw_decode(text, len(text) - len(text.lstrip()))
    except RecursionError:
        raise ValueError("its JSON header is nested too deep") from None
    return end


def _length(output: Any) -> int | None:
    """The announced bytes of an output; None for one whose data stands in the header."""
    parameters = output.get("parameters") if isinstance(output, dict) else None
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None:
        return None
    if _whole(size) < 0 or "data" in output:
        raise ValueError("an output has data in the header, or fewer bytes than none")
    return _whole(size)


def _whole(value: object) -> int:
    if type(value) is not int:  # true is no length
        raise ValueError("a length of an output is not a whole number")
    return value


def _with_data(output: dict[str, Any], raw: memoryview) -> dict[str, Any]:
    datatype, shape = output.get("datatype"), output.get("shape")
    if not isinstance(datatype, str) or datatype not in DTYPES:
        raise ValueError(f"an output has a datatype that is not known here: {json.dumps(datatype)[:40]}")
    count = math.prod(checked_shape(shape))
    data = _texts(raw, count) if datatype == "BYTES" else _numbers(raw, count, DTYPES[datatype])
    more = {key: value for key, value in output["parameters"].items() if key != "binary_data_size"}
    rest = {key: value for key, value in output.items() if key != "parameters"}
    return {**rest, **({"parameters": more} if more else {}), "data": data}


def checked_shape(shape: Any) -> list[int]:
    """The shape of a tensor, which must be a list of whole numbers.

    Raises:
        ValueError: for anything else.
    """
    if not isinstance(shape, list) or len(shape) > _MOST_DIMENSIONS:
        raise ValueError(f"an output has no shape but {json.dumps(shape)[:40]}")
    if any(_whole(length) < 0 for length in shape):
        raise ValueError("an output has a negative shape")
    return shape


def _numbers(raw: memoryview, count: int, dtype: str) -> list[Any]:
    import numpy

    size = _SIZES.get(dtype) or numpy.dtype(dtype).itemsize
    if count * size != len(raw):
        raise ValueError(f"an output of {count} {dtype} takes {count * size} bytes, and has {len(raw)}")
    if dtype == "bfloat16":  # the upper half of a float32
        halves = numpy.frombuffer(raw, "<u2").astype("<u4") << 16
        return list(halves.view("<f4").tolist())
    return list(numpy.frombuffer(raw, numpy.dtype(dtype).newbyteorder("<")).tolist())


def _texts(raw: memoryview, count: int) -> list[str]:
    """Texts, each behind its length in four bytes."""
    texts, at = [], 0
    while at < len(raw):
        length, begin = int.from_bytes(raw[at : at + 4], "little"), at + 4
        at = begin + length
        if at > len(raw):
            raise ValueError("a text of an output ends behind the output's bytes")
        texts.append(bytes(raw[begin:at]).decode())
    if len(texts) != count:
        raise ValueError(f"an output has {len(texts)} texts, and its shape takes {count}")
    return texts
