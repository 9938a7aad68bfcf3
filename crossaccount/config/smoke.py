"""Questions of the config: the request to an endpoint, the answer that is expected, and how fast it must come.

Not here: what an answer may be expected to be (``expectations``), asking, and judging an answer (``proof``).
"""

import base64
import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
)

from crossaccount.config import expectations
from crossaccount.config.expectations import (
    MOST_BYTES,
    ArrayOf,
    ByteLength,
    JsonPath,
    LabelsAt,
    TextOf,
    Within,
)
from crossaccount.config.identifiers import s3_address
from crossaccount.config.values import (
    PRINTABLE,
    Check,
    Flag,
    FrozenModel,
    Positive,
    check_text,
    choice,
    describe,
    exactly,
    fault,
    in_ascii,
    texts,
    whole,
)
from crossaccount.text import quote

_WORD = r"[\w!#$%&'+.^`|~-]+"  # RFC 9110, without the * of a choice
_MIME_TYPE = rf"{_WORD}(/{_WORD})?(\s*;[ -~]*)?"


def _mime_type(value: object) -> str:
    text = check_text(value, "text/csv")
    if len(text) <= 1024 and re.fullmatch(_MIME_TYPE, text, re.ASCII):
        return text
    raise fault(
        f"{quote(text)} is not a content type. Write TYPE/SUBTYPE, for example text/csv or application/json, or the one word that the "
        "model server knows."
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


def _base64(value: object) -> str:
    """Base64 without the line breaks and blanks that it may be written with."""
    text = "".join(check_text(value, "k05VTVBZ").split())
    try:
        size = len(base64.b64decode(text, validate=True))
    except ValueError as error:
        raise fault(
            f"{quote(text)} is not base64: {error}. Write what the command base64 writes, or name a body_file."
        ) from None
    if size > MOST_BYTES:
        raise fault(f"has {size} bytes, and an endpoint takes {MOST_BYTES}. Send fewer.")
    return text


def _body_file(value: object, given: ValidationInfo) -> str:
    """The path of a file, joined to the folder of the config that is read; as it stands where there is no such folder.

    A path may lead into that folder, or into one beside it, and nowhere else: what is sent is shown to others.
    """
    text = check_text(value, "payloads/1.npy")
    folder = (given.context or {}).get("folder")
    if folder is None:
        return text
    first, *others = text.removeprefix("./").split("/")
    around = os.path.dirname(os.path.realpath(folder)) if first == ".." else os.path.realpath(folder)
    hidden = [part for part in (*others, *([] if first == ".." else [first])) if part.startswith(".")]
    path = os.path.join(folder, text)
    if text.startswith("/") or hidden or not text.isprintable() or not _is_within(path, around):
        raise fault(
            f"{quote(text)} is no file beside the config. Write a path from the config's folder that stays in it or in a folder beside "
            "it, without names that begin with a dot, for example payloads/1.npy."
        )
    return os.path.normpath(path)


def _is_within(path: str, folder: str) -> bool:
    real = os.path.realpath(path)
    return os.path.commonpath([real, folder]) == folder and real != folder


def _container(value: object) -> str:
    """The DNS name of a container; empty where none is named."""
    if value is None or value == "":
        return ""
    text = check_text(value, "encoder")
    if re.fullmatch(_CONTAINER, text, re.ASCII) and len(text) <= 63:
        return text
    raise fault(
        f"{quote(text)} is not the DNS name of a container. Write 1 to 63 letters, digits and inner hyphens, for example encoder."
    )


_RANGE = in_ascii(_MEDIA_RANGE.pattern)
_WISH = rf"\s*{_RANGE}\s*"
_ACCEPT_SCHEMA = {
    "anyOf": [
        {"enum": [None, ""]},
        {"type": "string", "pattern": exactly(rf"{_WISH}(?:,{_WISH})*")},
        {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": exactly(_WISH)}},
    ]
}
_DIGIT = r"[A-Za-z0-9+/]\s*"
_BASE64 = rf"\s*(?:(?:{_DIGIT}){{4}})*(?:(?:{_DIGIT}){{2}}=\s*=\s*|(?:{_DIGIT}){{3}}=\s*)?"
_FILE = r"(?!/)(?:\./)?(?:\.\./)?/*[^./][^/]*(?:/+[^./][^/]*)*/*"
_ODD = PRINTABLE.replace("[^", "[", 1)
_CONTAINER = r"[A-Za-z0-9](-*[A-Za-z0-9]){0,62}"
_CONTAINER_SCHEMA = {"anyOf": [{"enum": [None, ""]}, texts(_CONTAINER, most=63)]}
SmokeMode = Literal["before", "after", "both", "shadow"]


def spelled_out(consumer: Any) -> Any:
    """A consumer as plain data, with `smoke: after` written as what it is short for: `smoke_mode: after` and no questions."""
    if not isinstance(consumer, Mapping) or "smoke_mode" in consumer:
        return consumer
    word = consumer.get("smoke")
    is_word = isinstance(word, str) and word in get_args(SmokeMode)
    return {**consumer, "smoke_mode": word, "smoke": []} if is_word else consumer


_Reader = Literal["json", "jsonlines", "csv", "npy", "parquet", "recordio", "triton", "text", "bytes"]
_MimeType = Annotated[str, Check(_mime_type, schema=texts(in_ascii(_MIME_TYPE), most=1024))]


class Smoke(FrozenModel):
    """A question that an endpoint is asked, and the answer that is expected.

    The question is one of the `body...` keys; `accept` is the content type asked for, or several of them as a header has
    them, or empty for no such header. Exactly one `expect...` is given: `expect` is a JSON value, to be compared with the decoded
    answer.
    """

    content_type: _MimeType = Field(description="content type of the body", examples=["text/csv"])
    body: Annotated[str, Check(_body, schema={"pattern": r"\S"})] | None = Field(
        default=None,
        description="text sent to the endpoint as it stands",
        examples=['"5.1,3.5,1.4,0.2"'],
    )
    expect: JsonValue = Field(
        default=None, description="the answer the model must give, a JSON value", examples=["[0]"]
    )
    accept: Annotated[str, Check(_accept, schema=lambda _: _ACCEPT_SCHEMA)] = Field(
        default="application/json", description="content type of the answer"
    )
    body_base64: Annotated[str, Check(_base64, schema=texts(_BASE64))] | None = Field(
        default=None, description="bytes sent to the endpoint, in base64"
    )
    body_file: Annotated[str, Check(_body_file, schema=texts(_FILE, never=_ODD))] | None = Field(
        default=None, description="a file that is sent to the endpoint as it stands, from the config's folder"
    )
    body_s3_uri: Annotated[str, s3_address("object", "s3://BUCKET/smoke/1.csv")] | None = Field(
        default=None, description="an object that is sent to the endpoint as it stands"
    )
    container: Annotated[str, Check(_container, schema=lambda _: _CONTAINER_SCHEMA)] = Field(
        default="",
        description="DNS name of the container that is asked, of an endpoint whose containers are invoked directly",
    )
    stream: Flag = Field(default=False, description="whether the answer is asked for in parts, as a stream")
    read_as: Annotated[_Reader, choice("reader of answers", _Reader)] | None = Field(
        default=None, description="what the answer is read as, whatever its content type"
    )
    expect_within: Within | None = Field(default=None, description="an answer and how far from it is right")
    expect_json_path: JsonPath | None = Field(default=None, description="what must stand at one place of it")
    expect_schema: Annotated[
        JsonValue, Check(expectations.schema, schema={"type": ["object", "boolean", "null"]})
    ] = Field(default=None, description="a JSON schema that the answer must satisfy")
    expect_label: Annotated[LabelsAt | None, Check(expectations.label, schema=expectations.label_schema)] = (
        Field(default=None, description="the labels of which the answer, or each of several, must be one")
    )
    expect_array: ArrayOf | None = Field(
        default=None, description="shape, type and bounds of the array that the answer is"
    )
    expect_text: TextOf | None = Field(
        default=None, description="a text or a pattern that must be found in the answer"
    )
    expect_sha256: Annotated[str, Check(expectations.sha256, schema=texts("[0-9a-fA-F]{64}"))] | None = Field(
        default=None, description="SHA-256 of the answer as it came"
    )
    expect_length: Annotated[
        ByteLength | None, Check(expectations.length, schema=expectations.length_schema)
    ] = Field(default=None, description="how many bytes the answer has as it came")

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
