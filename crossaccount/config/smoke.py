"""Questions of the config: the request to an endpoint, the answer that is expected, and how fast it must come.

Not here: asking, and judging an answer (``proof``).
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, JsonValue, SerializerFunctionWrapHandler, model_serializer

from crossaccount.config.identifiers import s3_address
from crossaccount.config.values import (
    Flag,
    FrozenModel,
    Positive,
    check_text,
    choice,
    describe,
    fault,
    items,
    whole,
)
from crossaccount.json_match import parse_path, schema_fault
from crossaccount.text import quote


def _json_path(value: object) -> str:
    text = check_text(value, "predictions[0].score")
    try:
        parse_path(text)
    except ValueError as error:
        raise fault(
            f"{quote(text)} is not a path: {error}. Write names and places such as predictions[0].score."
        ) from None
    return text


def _schema(value: object) -> object:
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


def _mime_type(value: object) -> str:
    text = check_text(value, "text/csv")
    if len(text) <= 1024 and re.fullmatch(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(\s*;[ -~]*)?", text, re.ASCII):
        return text
    raise fault(
        f"{quote(text)} is not a content type. Write TYPE/SUBTYPE, for example text/csv or application/json."
    )


_MEDIA_RANGE = re.compile(
    r"(\*/\*|[\w!#$&^.+-]+/(\*|[\w!#$&^.+-]+))(\s*;\s*[\w.+-]+\s*=\s*(\"[^\"\\\n]*\"|[\w.+-]+))*\s*", re.ASCII
)


def _accept(value: object) -> str:
    """The Accept header of one type, of a list of them or of ``*/*``; empty where none is to be sent."""
    if value is None or value == "":
        return ""
    wishes = list(value) if isinstance(value, list | tuple) else check_text(value, "text/csv").split(",")
    for wish in wishes:
        if not isinstance(wish, str) or len(wish) > 1024 or not _MEDIA_RANGE.fullmatch(wish.strip()):
            raise fault(
                f"{quote(wish)} is not a content type. Write TYPE/SUBTYPE, for example text/csv, a list of them, or */*; nothing at all "
                "where no Accept is to be sent."
            )
    header = ", ".join(wish.strip() for wish in wishes)
    if not wishes or len(header) > 1024:
        raise fault(
            f"has {len(wishes)} content types in {len(header)} characters. Write some, in 1024 characters at most."
        )
    return header


def _body(value: object) -> str:
    if isinstance(value, list | tuple | Mapping):
        raise fault(
            f"{describe(value)}, but a body is sent as it stands. Write it as text in single quotes, for example '[[5.1, 3.5, 1.4, 0.2]]'."
        )
    return check_text(value, '"5.1,3.5,1.4,0.2"')


def _container(value: object) -> str:
    """The DNS name of a container; empty where none is named."""
    if value is None or value == "":
        return ""
    text = check_text(value, "encoder")
    if re.fullmatch(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,62}", text, re.ASCII) and len(text) <= 63:
        return text
    raise fault(
        f"{quote(text)} is not the DNS name of a container. Write 1 to 63 letters, digits and inner hyphens, for example encoder."
    )


_Reader = Literal["json", "jsonlines", "csv", "npy", "parquet", "recordio", "triton", "text", "bytes"]
_MimeType = Annotated[str, BeforeValidator(_mime_type)]


class Tolerance(FrozenModel):
    """The distance that a number may have from another: an absolute one, or a part of it. A config has one of the two."""

    absolute: Positive | None = Field(
        default=None, description="by how much a number may differ", examples=["0.01"]
    )
    relative: Positive | None = Field(
        default=None, description="by which part of itself a number may differ", examples=["0.05"]
    )


class Within(FrozenModel):
    """An expected answer whose numbers need only be near."""

    value: JsonValue = Field(description="the answer to be near to", examples=["[0.5]"])
    tolerance: Tolerance = Field(
        description="how far each number may be from it", examples=["{absolute: 0.01}"]
    )


class JsonPath(FrozenModel):
    """An expected value at one place of an answer; exactly that value, without a tolerance."""

    path: Annotated[str, BeforeValidator(_json_path)] = Field(
        description="where in the answer, by names, keys in quotes and [places]",
        examples=["predictions[0].score"],
    )
    value: JsonValue = Field(description="what must stand there", examples=["0.5"])
    tolerance: Tolerance | None = Field(default=None, description="how far a number may be from it")


class Smoke(FrozenModel):
    """A question that an endpoint is asked, and the answer that is expected.

    The question is `body` or the object at `body_s3_uri`; `accept` is the content type asked for, or several of them as a header has
    them, or empty for no such header. Exactly one `expect...` is given: `expect` is a JSON value, to be compared with the decoded
    answer.
    """

    content_type: _MimeType = Field(description="content type of the body", examples=["text/csv"])
    body: Annotated[str, BeforeValidator(_body)] | None = Field(
        default=None,
        description="text sent to the endpoint as it stands",
        examples=['"5.1,3.5,1.4,0.2"'],
    )
    expect: JsonValue = Field(
        default=None, description="the answer the model must give, a JSON value", examples=["[0]"]
    )
    accept: Annotated[str, BeforeValidator(_accept)] = Field(
        default="application/json", description="content type of the answer"
    )
    body_s3_uri: Annotated[str, s3_address("object", "s3://BUCKET/smoke/1.csv")] | None = Field(
        default=None, description="an object that is sent to the endpoint as it stands"
    )
    container: Annotated[str, BeforeValidator(_container)] = Field(
        default="",
        description="DNS name of the container that is asked, of an endpoint whose containers are invoked directly",
    )
    stream: Flag = Field(default=False, description="whether the answer is asked for in parts, as a stream")
    read_as: Annotated[_Reader, choice("reader of answers", _Reader)] | None = Field(
        default=None, description="what the answer is read as, whatever its content type"
    )
    expect_within: Within | None = Field(default=None, description="an answer and how far from it is right")
    expect_json_path: JsonPath | None = Field(default=None, description="what must stand at one place of it")
    expect_schema: Annotated[JsonValue, BeforeValidator(_schema)] = Field(
        default=None, description="a JSON schema that the answer must satisfy"
    )
    expect_label: (
        Annotated[
            tuple[str | int | float | bool, ...],
            BeforeValidator(_labels),
            items("labels", "setosa, virginica", 1000),
        ]
        | None
    ) = Field(default=None, description="the labels of which the answer, or each of several, must be one")

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the keys that the config has not: an `expect` that is null expects null."""
        present = {
            key: value
            for key, value in handler(self).items()
            if value is not None and not (key in ("container", "stream") and not value)
        }
        return {**present, "expect": self.expect} if "expect" in self.model_fields_set else present


class Latency(FrozenModel):
    """Limits on the time of answers: the median and the 95th percentile of a number of calls, in milliseconds."""

    calls: Annotated[int, whole(1, 1000, "calls")] = Field(
        default=20, description="how many calls are measured"
    )
    p50_ms: Positive | None = Field(
        default=None, description="what half of the calls must stay below, in milliseconds"
    )
    p95_ms: Positive | None = Field(
        default=None, description="what 95 of 100 calls must stay below, in milliseconds"
    )
