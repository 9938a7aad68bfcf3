"""Expectations of the config: what an answer must be, where it must be it, and how near.

Not here: the questions (``smoke``), and the judging of answers (``proof``).
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, SerializerFunctionWrapHandler, model_serializer

from crossaccount.config.values import (
    Check,
    FrozenModel,
    Positive,
    check_text,
    choice,
    describe,
    fault,
    items,
    texts,
    whole,
)
from crossaccount.json_match import ONE_PATH, WIDE_PATH, parse_path, parse_paths, schema_fault
from crossaccount.text import quote

MOST_BYTES = 6_291_456  # botocore, sagemaker-runtime: BodyBlob


def _json_path(value: object) -> str:
    text = check_text(value, "predictions[0].score")
    try:
        parse_path(text)
    except ValueError as error:
        raise fault(
            f"{quote(text)} is not a path: {error}. Write names and places such as predictions[0].score."
        ) from None
    return text


def _wide_path(value: object) -> str:
    text = check_text(value, "predictions[*].label")
    try:
        parse_paths(text)
    except ValueError as error:
        raise fault(
            f"{quote(text)} is not a path: {error}. Write names and places such as predictions[*].label."
        ) from None
    return text


def schema(value: object) -> object:
    """The check of a JSON schema."""
    reason = None if value is None else schema_fault(value)
    if reason is None:
        return value
    raise fault(
        f"is not a JSON schema that can be used: {reason[:150]}. Write one such as {{type: array, minItems: 1}}."
    )


def _labels(value: object) -> object:
    for label in value if isinstance(value, list | tuple) else ():
        if not isinstance(label, str | int | float):
            raise fault(f"{describe(label)}, but a label is text, a number, true or false. Write one.")
    return value


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise fault(f"{describe(value)}. Write a number above 0 and below 1, without quotes.")
    if not 0 < value < 1:
        raise fault(f"{quote(value)} is out of bounds. Write a number above 0 and below 1.")
    return float(value)


_BOUND_SCHEMA = {"type": "number", "exclusiveMinimum": -1e300, "exclusiveMaximum": 1e300}


def _bound(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e300 < value < 1e300:
        raise fault(f"{describe(value)}. Write a number, without quotes.")
    return value


def _shape(value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) > 32:
        raise fault(f"{describe(value)}. Write a list of 32 lengths at most, for example [1, null, 4].")
    return value


def _contained(value: object) -> object:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not 1 <= len(texts) <= 100:
        raise fault(f"{describe(value)}. Write a text, or a list of 1 to 100 texts.")
    for text in texts:
        check_text(text, "Paris")
    return tuple(texts)


def _pattern(value: object) -> str:
    text = check_text(value, r"'\bParis\b'")
    try:
        if len(text) <= 1000:
            re.compile(text)
            return text
        reason = "it has more than 1000 characters"
    except (re.error, RecursionError, OverflowError) as error:
        reason = str(error)
    raise fault(
        f"{quote(text)} is not a regular expression: {reason[:100]}. Write one of Python's, in single quotes."
    )


def sha256(value: object) -> str:
    """The check of a SHA-256 in hexadecimal digits, as `sha256sum` writes it."""
    text = check_text(value, "the 64 digits that sha256sum writes")
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return text.lower()
    raise fault(
        f"{quote(text)} is not a SHA-256. Write the 64 hexadecimal digits that sha256sum writes, in quotes."
    )


def length(value: object) -> object:
    """The check of a length in bytes: a whole number stands for exactly that."""
    if isinstance(value, Mapping | ByteLength) or value is None:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_BYTES:
        return {"least": value, "most": value}
    raise fault(
        f"{describe(value)}. Write a whole number of bytes from 0 to {MOST_BYTES}, or bounds such as {{least: 1, most: 1000}}."
    )


_TEXT = {"type": "string", "pattern": r"\S"}
_LABELS_SCHEMA = {
    "type": "array",
    "items": {"type": ["string", "number", "boolean"]},
    "minItems": 1,
    "maxItems": 1000,
    "uniqueItems": True,
}
_CONTAINED_SCHEMA = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": 100}]}
_LABELS: Any = items("labels", "setosa, virginica", 1000)


def label(value: object) -> object:
    """The check of labels, which may stand in a list alone or beside a path."""
    if value is None or isinstance(value, Mapping | LabelsAt):
        return value
    return {"labels": _labels(_LABELS.func(value))}


def length_schema(of_type: dict[str, Any]) -> dict[str, Any]:
    """The schema of `length`: a number stands beside the bounds."""
    number = {"type": "integer", "minimum": 0, "maximum": MOST_BYTES}
    return {"anyOf": [*of_type["anyOf"], number]}


def label_schema(of_type: dict[str, Any]) -> dict[str, Any]:
    """The schema of `label`: a list of labels stands beside those with a path."""
    return {"anyOf": [*of_type["anyOf"], _LABELS_SCHEMA]}


class Tolerance(FrozenModel):
    """The distance that a number may have from another: an absolute one, or a part of it. A config has one of the two.

    With a share, so many of the numbers may be farther away; none of them NaN or infinite where a number is expected.
    """

    absolute: Positive | None = Field(
        default=None, description="by how much a number may differ", examples=["0.01"]
    )
    relative: Positive | None = Field(
        default=None, description="by which part of itself a number may differ", examples=["0.05"]
    )
    share: Annotated[float, Check(_share, schema={"exclusiveMinimum": 0, "exclusiveMaximum": 1})] | None = (
        Field(default=None, description="which part of the numbers may differ by more", examples=["0.01"])
    )


class Within(FrozenModel):
    """An expected answer whose numbers need only be near."""

    value: JsonValue = Field(description="the answer to be near to", examples=["[0.5]"])
    tolerance: Tolerance = Field(
        description="how far each number may be from it", examples=["{absolute: 0.01}"]
    )


class JsonPath(FrozenModel):
    """An expected value at one place of an answer; exactly that value, without a tolerance."""

    path: Annotated[str, Check(_json_path, schema=texts(ONE_PATH, most=1024))] = Field(
        description="where in the answer, by names, keys in quotes and [places]",
        examples=["predictions[0].score"],
    )
    value: JsonValue = Field(description="what must stand there", examples=["0.5"])
    tolerance: Tolerance | None = Field(default=None, description="how far a number may be from it")


_WidePath = Annotated[str, Check(_wide_path, schema=texts(WIDE_PATH, most=1024))]
_Dtype = Literal[
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "bfloat16", "float32",
    "float64", "str", "bytes",
]  # fmt: skip


class LabelsAt(FrozenModel):
    """The labels of which each one of an answer must be one, and where they stand in it."""

    path: _WidePath | None = Field(
        default=None,
        description="where in the answer, [*] for every item; wherever a label may be without it",
    )
    labels: Annotated[
        tuple[str | int | float | bool, ...],
        Check(_labels),
        _LABELS,
    ] = Field(description="the labels that are right", examples=["[setosa, virginica]"])

    @model_serializer(mode="wrap")
    def _alone(self, handler: SerializerFunctionWrapHandler) -> Any:
        """Labels without a path are a list."""
        written = handler(self)
        return written if self.path is not None else written["labels"]


class ArrayOf(FrozenModel):
    """What an answer, or a part of it, is as an array; at least one of shape, dtype, minimum and maximum."""

    path: _WidePath | None = Field(
        default=None, description="where in the answer, [*] for every item; the answer itself without it"
    )
    shape: (
        Annotated[
            tuple[Annotated[int, whole(0, 10**9, "items, or null for any")] | None, ...],
            Check(_shape, schema={"maxItems": 32}),
        ]
        | None
    ) = Field(default=None, description="its lengths, null for any", examples=["[1, null, 4]"])
    dtype: Annotated[_Dtype, choice("type of items", _Dtype)] | None = Field(
        default=None, description="type of its items, by numpy's name"
    )
    minimum: Annotated[int | float, Check(_bound, schema=lambda _: _BOUND_SCHEMA)] | None = Field(
        default=None, description="what none of its numbers is less than"
    )
    maximum: Annotated[int | float, Check(_bound, schema=lambda _: _BOUND_SCHEMA)] | None = Field(
        default=None, description="what none of its numbers is more than"
    )


class TextOf(FrozenModel):
    """What an answer, or a part of it, is as a text; contains, matches, or both."""

    path: _WidePath | None = Field(
        default=None, description="where in the answer, [*] for every item; the whole body without it"
    )
    contains: Annotated[tuple[str, ...], Check(_contained, schema=lambda _: _CONTAINED_SCHEMA)] | None = (
        Field(default=None, description="a text that must stand in it, or several")
    )
    matches: (
        Annotated[str, Check(_pattern, schema={"minLength": 1, "maxLength": 1000, "pattern": r"\S"})] | None
    ) = Field(default=None, description="a regular expression of Python that must be found in it")


class ByteLength(FrozenModel):
    """The bytes that an answer has, as it came."""

    least: Annotated[int, whole(0, MOST_BYTES, "bytes")] = Field(
        default=0, description="not fewer than these"
    )
    most: Annotated[int, whole(0, MOST_BYTES, "bytes")] = Field(
        default=MOST_BYTES, description="not more than these"
    )
