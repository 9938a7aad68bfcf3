"""The reviewed YAML file that says what is shared with whom, read at this one edge into a frozen `Sharing`.

Not a place that asks AWS anything: it checks what a file alone can be checked for, and reports every fault at
once, each with its key, its line and the way out.
"""

from __future__ import annotations

import difflib
import ipaddress
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from crossaccount import smoke
from crossaccount.errors import LAST_VERSION, ConfigError, Fault, InputError
from crossaccount.notation import MAX_SHOWN, Reading, Unreadable, compose, dotted, read, shown
from crossaccount.notation import Path as _Path

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = [
    "Consumer",
    "DataCapture",
    "Deployment",
    "Endpoint",
    "JsonPath",
    "Latency",
    "OrganizationScope",
    "Producer",
    "Serverless",
    "Sharing",
    "Smoke",
    "Tolerance",
    "Vpc",
    "Within",
    "consumer",
    "load",
    "parse",
]


_V = TypeVar("_V")


# Single keys: each function takes what YAML held and returns what the model keeps, or raises a sentence.


def _bad(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("fault", "{sentence}", {"sentence": sentence})


def _kind(value: object) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return "a true-or-false value"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list() | tuple():
            return "a list"
        case _:
            return "a mapping"


def _text(value: object, example: str) -> str:
    if isinstance(value, str) and value.strip():
        return value
    if value is None or value == "":
        raise _bad(f"has no value. Write one, for example {example}.")
    if isinstance(value, bool | int | float):
        raise _bad(
            f'{shown(value)} is {_kind(value)}, but text is needed. Put it in quotes: "{shown(value)}".'
        )
    raise _bad(f"{shown(value)} is {_kind(value)}, but text is needed. Write for example {example}.")


def _did_you_mean(value: object, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(str(value)[:100], known, n=1)
    return f" Did you mean {near[0]}?" if near else ""


def _account(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    text = _text(value, '"111122223333"')
    if re.fullmatch(r"[0-9]{12}", text):
        return text
    digits = re.sub(r"[^0-9]", "", text)
    if len(digits) == 12 and re.fullmatch(r"[0-9 -]+", text):
        raise _bad(f'{shown(text)} is not an AWS account id. Write its 12 digits alone: "{digits}".')
    count = f"{len(text)} digits" if digits == text else "more than digits"
    raise _bad(
        f"{shown(text)} is not an AWS account id: it has {count}, and an id is exactly 12 digits. "
        f'Write the 12 digits in quotes, for example "111122223333".'
    )


_ENTITY_NAME = re.compile(
    r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", re.ASCII
)  # botocore, sagemaker: EntityName, ModelName


def _entity_name(value: object, what: str, longest: int, example: str) -> str:
    text = _text(value, example)
    if text.startswith("arn:"):
        name = text.rsplit("/", 1)[-1]
        way_out = name if _ENTITY_NAME.fullmatch(name) else example
        raise _bad(
            f"{shown(text)} is an ARN, but the {what} is given by its name. Write the name alone: {way_out}."
        )
    if not _ENTITY_NAME.fullmatch(text):
        raise _bad(
            f"{shown(text)} cannot name a {what}. "
            f"Use letters, digits and inner hyphens only, for example {example}."
        )
    if len(text) > longest:
        raise _bad(
            f"{shown(text)} has {len(text)} characters. Choose a name of {longest} characters or fewer."
        )
    return text


def _group_name(value: object) -> str:
    return _entity_name(value, "model package group", 63, "decision-trees-sample")


def _endpoint_name(value: object) -> str:
    # SageMaker's own limit is 63; the rest belongs to the "-v<version>" of models and endpoint configs.
    return _entity_name(value, "endpoint", 50, "decision-trees-staging")


@lru_cache(maxsize=1)
def _regions() -> Mapping[str, str]:
    """Region name -> partition, from the data that botocore carries. Nothing is asked of AWS."""
    from botocore.loaders import Loader

    partitions: list[dict[str, Any]] = Loader().load_data("partitions")["partitions"]
    return {
        region: partition["id"]
        for partition in partitions
        for region in partition["regions"]
        if not region.endswith("-global")
    }


def _region(value: object) -> str:
    text = _text(value, "us-east-1")
    if text in _regions():
        return text
    near = _did_you_mean(text, tuple(_regions()))
    raise _bad(
        f"{shown(text)} is not a region that the installed botocore knows.{near} "
        f"Write the region of the model package group, as in us-east-1. For a newer region, upgrade botocore."
    )


_ROLE = re.compile(r"arn:(aws[a-z-]*):iam::([0-9]{12}):role/(?:[!-~]{0,510}/)?[A-Za-z0-9_+=,.@-]{1,64}")
_SESSION = re.compile(r"arn:(aws[a-z-]*):sts::([0-9]{12}):assumed-role/([A-Za-z0-9_+=,.@-]{1,64})/.*")


def _role(value: object) -> str:
    example = "arn:aws:iam::111122223333:role/NAME"
    text = _text(value, example)
    if _ROLE.fullmatch(text) and not re.search(r"[*?$]", text):
        return text
    if session := _SESSION.fullmatch(text):
        partition, account, name = session.groups()
        raise _bad(
            f"{shown(text)} is one session of a role. Write the role's own ARN: "
            f"arn:{partition}:iam::{account}:role/{name} (with its path, if it has one)."
        )
    if text.startswith("arn:"):
        raise _bad(f"{shown(text)} is not the ARN of one IAM role. Write it as {example}.")
    raise _bad(f"{shown(text)} is not an ARN. Write the whole ARN of the role, as in {example}.")


def _external_id(value: object) -> str:
    text = _text(value, "team-churn-2026")
    if re.fullmatch(r"[\w+=,.@:\/-]{2,1224}", text, re.ASCII):  # botocore, sts: externalIdType
        return text
    raise _bad(
        f"{shown(text)} cannot be an external id. Use 2 to 1224 letters, digits and the characters "
        f"_ + = , . @ : / - as they stand in the role's trust policy."
    )


def _profile(value: object) -> str:
    text = _text(value, "producer")
    if text == text.strip() and text.isprintable() and not re.search(r"[\[\]]", text):
        return text
    raise _bad(
        f"{shown(text)} cannot name an AWS profile. Write the name between the brackets of ~/.aws/config, "
        f'without "profile", or delete the key to use the ambient credentials.'
    )


def _deployment_name(value: object) -> str:
    example = "move-endpoint/staging"
    text = _text(value, example)
    # The API's own ban is on / % & < > in each name; a ? or a # would end the address that it is asked for under.
    if text.isprintable() and re.fullmatch(
        r"(?! )[^/%&<>?#\\]{1,200}(?<! )/(?! )[^/%&<>?#\\]{1,200}(?<! )", text
    ):
        return text
    raise _bad(
        f"{shown(text)} cannot name a deployment. Write the flow's name, a slash and the deployment's name, as `prefect deployment ls` "
        f"shows it, for example {example}; or delete the key."
    )


_BUCKET = re.compile(r"(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")
_RESERVED_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def _legal_bucket(name: str) -> bool:
    """By the naming rules of general purpose buckets (S3 user guide, bucketnamingrules)."""
    if not _BUCKET.fullmatch(name) or name.endswith(_RESERVED_ENDS):
        return False
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return True
    return False


def _releases(value: object) -> str:
    example = "s3://BUCKET/releases/"
    text = _text(value, example)
    if not text.startswith("s3://"):
        raise _bad(f"{shown(text)} is not an S3 address. Write where releases are published as {example}.")
    bucket, slash, prefix = text.removeprefix("s3://").partition("/")
    if not _legal_bucket(bucket):
        raise _bad(
            f"{shown(text)} names the bucket {shown(bucket)}, which S3 does not allow. "
            f"Write a bucket of 3 to 63 lower-case letters, digits, dots and hyphens, as in {example}."
        )
    if not slash or not text.endswith("/"):
        raise _bad(f'{shown(text)} does not end in "/", so it is no prefix. Write {shown(text + "/")}.')
    # The prefix becomes part of a policy's Resource: a wildcard in it would open more than it says.
    if len(prefix) > 800 or not re.fullmatch(r"[A-Za-z0-9!_.'()=/-]*", prefix):
        raise _bad(
            f"{shown(text)} is too long or holds a character that is not safe in a grant. "
            f"Use at most 800 letters, digits and ! - _ . ' ( ) = in the prefix, as in {example}."
        )
    if prefix and any(part in ("", ".", "..") for part in prefix[:-1].split("/")):
        raise _bad(
            f'{shown(text)} has an empty, "." or ".." folder in it. Write a plain prefix such as {example}.'
        )
    return text


_MOST_VERSIONS = 1000  # each is named in the policy, which takes 20,480 bytes in all


def _versions(value: object) -> object:
    way_out = "Write approved, or a list of version numbers such as [1, 2]"
    if value == "approved":
        return value
    if not isinstance(value, list | tuple):
        raise _bad(
            f"{shown(value)} is not a choice of versions.{_did_you_mean(value, ('approved',))} {way_out}."
        )
    if not value:
        raise _bad(f"the list is empty, so nothing would be shared. {way_out}.")
    if len(value) > _MOST_VERSIONS:
        raise _bad(f"has {len(value)} versions. Write {_MOST_VERSIONS} or fewer, or approved.")
    wrong = [
        item
        for item in value
        if isinstance(item, bool) or not isinstance(item, int) or not 1 <= item <= LAST_VERSION
    ]
    if wrong:
        raise _bad(
            f"{shown(wrong[0])} is not a version number: versions are whole numbers from 1 to {LAST_VERSION}. {way_out}."
        )
    twice = [item for place, item in enumerate(value) if item in value[:place]]
    if twice:
        raise _bad(f"version {twice[0]} is listed twice. Name it once.")
    return value


def _preset(value: object) -> object:
    presets = ("least-privilege", "aws-docs")
    if value in presets:
        return value
    raise _bad(f"{shown(value)} is no preset.{_did_you_mean(value, presets)} Write {' or '.join(presets)}.")


def _principals(value: object) -> object:
    kinds = ("accounts", "roles", "organization")
    if value in kinds:
        return value
    near = _did_you_mean(value, kinds)
    raise _bad(f"{shown(value)} is no kind of principals.{near} Write accounts, roles or organization.")


def _organization_id(value: object) -> str:
    text = _text(value, "o-a1b2c3d4e5")
    if re.fullmatch(r"o-[a-z0-9]{10,32}", text):  # botocore, organizations: OrganizationId
        return text
    raise _bad(
        f"{shown(text)} is not the id of an AWS organization. Write it as in o-a1b2c3d4e5 "
        f"(aws organizations describe-organization)."
    )


def _organization_path(value: object) -> str:
    example = "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"
    text = _text(value, example)
    if re.fullmatch(r"o-[a-z0-9]{10,32}/r-[a-z0-9]{4,32}/(?:ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}/)*", text):
        return text
    raise _bad(
        f"{shown(text)} is not the path of an organizational unit. Write it from the organization down, "
        f"each part followed by a slash: {example}"
    )


def _role_name(value: object) -> str:
    text = _text(value, "crossaccount-execution")
    if re.fullmatch(r"(?:[\w+=,.@-]{1,128}/){0,8}[\w+=,.@-]{1,64}", text, re.ASCII):
        return text
    raise _bad(
        f"{shown(text)} cannot name a role. Write its name, with its path if it has one, "
        f"for example crossaccount-execution."
    )


def _flag(value: object) -> object:
    if isinstance(value, bool):
        return value
    raise _bad(f"{shown(value)} is {_kind(value)}. Write true or false, without quotes.")


def _expires(value: object) -> object:
    example = '"2026-12-31T18:00:00Z"'
    text = value.isoformat() if isinstance(value, datetime) else _text(value, example)
    whole = f"{text}T00:00:00Z" if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else text
    try:
        found = datetime.fromisoformat(whole.replace("Z", "+00:00"))
        if found.tzinfo is not None and found.microsecond == 0:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    zone = " It has no time zone: end it with Z." if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{5,8}", text) else ""
    raise _bad(
        f"{shown(text)} is not a time.{zone} Write a date, whose beginning in UTC is meant, or a time with its "
        f"zone, for example {example}."
    )


def _consumer_name(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", value):
        return value
    raise _bad(
        f"{shown(value)} cannot name a consumer. Use 1 to 32 lower-case letters, digits and inner hyphens, "
        f"for example staging."
    )


def _consumers(value: object) -> object:
    if isinstance(value, list | tuple):
        raise _bad(
            "is a list, but each consumer has a name. Write the name as a key: consumers: {staging: {...}}."
        )
    if not isinstance(value, Mapping):
        raise _bad(
            f"{shown(value)} is {_kind(value)}. Write a mapping from each consumer's name to its account."
        )
    if not value:
        raise _bad("names no consumer. Add at least one, for example staging, with its account and roles.")
    return value


def _instance_type(value: object) -> str:
    text = _text(value, "ml.m5.large")
    if re.fullmatch(r"ml\.[a-z0-9-]+\.[a-z0-9]+", text):
        return text
    way_out = (
        f"ml.{text}" if re.fullmatch(r"[a-z0-9-]+\.[a-z0-9]+", text) and text[:3] != "ml." else "ml.m5.large"
    )
    raise _bad(
        f"{shown(text)} is not a SageMaker instance type. Write it with its family and size: {way_out}."
    )


def _instance_count(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _bad(f"{shown(value)} is {_kind(value)}. Write a whole number from 1 to 100, without quotes.")
    if not 1 <= value <= 100:
        raise _bad(f"{shown(value)} instances cannot be asked for. Write a whole number from 1 to 100.")
    return value


def _whole(low: int, high: int, what: str) -> Callable[[object], object]:
    """Make the check of a whole number of something within bounds."""

    def check(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _bad(
                f"{shown(value)} is {_kind(value)}. Write a whole number of {what} from {low} to {high}, without quotes."
            )
        if not low <= value <= high:
            raise _bad(
                f"{shown(value)} is out of bounds. Write a whole number of {what} from {low} to {high}."
            )
        return value

    return check


def _choice(what: str, *known: str) -> Callable[[object], object]:
    """Make the check of one word out of several."""

    def check(value: object) -> object:
        if value in known:
            return value
        near = _did_you_mean(value, known)
        raise _bad(f"{shown(value)} is no {what}.{near} Write {', '.join(known[:-1])} or {known[-1]}.")

    return check


def _positive(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _bad(f"{shown(value)} is {_kind(value)}. Write a number above 0, without quotes.")
    if not 0 < value < 1e300:
        raise _bad(f"{shown(value)} is out of bounds. Write a number above 0.")
    return float(value)


def _memory(value: object) -> object:
    sizes = tuple(range(1024, 6145, 1024))
    if value in sizes and not isinstance(value, bool):
        return value
    raise _bad(
        f"{shown(value)} is not a memory size of a serverless endpoint. "
        f"Write one of {', '.join(map(str, sizes))}, without quotes."
    )


def _items(what: str, example: str, most: int, least: int = 1) -> Callable[[object], object]:
    """Make the check of a list that is neither too short nor too long, and names nothing twice."""

    def check(value: object) -> object:
        if not isinstance(value, list | tuple):
            raise _bad(f"{shown(value)} is {_kind(value)}. Write a list of {what}, for example [{example}].")
        if not least <= len(value) <= most:
            raise _bad(f"has {len(value)} {what}. Write {least} to {most} of them, for example [{example}].")
        told_apart = [(isinstance(item, bool), item) for item in value]  # 1 is not true
        twice = [
            item for place, (_, item) in enumerate(told_apart) if told_apart[place] in told_apart[:place]
        ]
        if twice:
            raise _bad(f"{shown(twice[0])} is listed twice. Name it once.")
        return value

    return check


def _labels(value: object) -> object:
    found = _items("labels", "setosa, virginica", 1000)(value)
    wrong = (
        [item for item in value if not isinstance(item, str | int | float)]
        if isinstance(value, list | tuple)
        else []
    )
    if wrong:
        raise _bad(
            f"{shown(wrong[0])} is {_kind(wrong[0])}, but a label is text, a number, true or false. Write one."
        )
    return found


def _alarm(value: object) -> str:
    text = _text(value, "churn-errors")
    if text.startswith("arn:"):
        raise _bad(
            f"{shown(text)} is an ARN, but an alarm is given by its name. Write what follows the last colon."
        )
    if len(text) <= 255 and text.isprintable():  # botocore, cloudwatch: AlarmName
        return text
    raise _bad(f"{shown(text)} cannot name a CloudWatch alarm. Write its name, for example churn-errors.")


def _network_id(prefix: str) -> Callable[[object], str]:
    """Make the check of an id such as sg-0a1b2c."""

    def check(value: object) -> str:
        example = f"{prefix}-0a1b2c3d4e5f60718"
        text = _text(value, example)
        if text.startswith(f"{prefix}-") and re.fullmatch(r"[a-z]+-[0-9a-zA-Z]{1,26}", text):
            return text
        raise _bad(f"{shown(text)} is not such an id. Write it as in {example}.")

    return check


def _s3_address(end: str, example: str) -> Callable[[object], str]:
    """Make the check of where in S3 something is; ``end`` is what a place and an object differ by."""

    def check(value: object) -> str:
        text = _text(value, example)
        bucket, _, key = text.removeprefix("s3://").partition("/")
        if not text.startswith("s3://") or not _legal_bucket(bucket):
            raise _bad(f"{shown(text)} is not an address in S3. Write it as {example}.")
        if end == "object" and (not key or key.endswith("/")):
            raise _bad(f"{shown(text)} names no object. Write its whole key, as in {example}.")
        if len(text) > (512 if end == "place" else 1024) or not text.isprintable():
            raise _bad(f"{shown(text)} is too long or cannot be printed. Write it as {example}.")
        return text

    return check


def _kms_key(value: object) -> str:
    example = "arn:aws:kms:us-east-1:111122223333:key/KEY-ID"
    text = _text(value, example)
    if re.fullmatch(r"[a-zA-Z0-9:/_-]{1,2048}", text):  # botocore, sagemaker: KmsKeyId
        return text
    raise _bad(f"{shown(text)} cannot name a KMS key. Write its ARN, as in {example}.")


def _json_path(value: object) -> str:
    text = _text(value, "predictions[0].score")
    try:
        smoke.parse_path(text)
    except ValueError as error:
        raise _bad(
            f"{shown(text)} is not a path: {error}. Write names and places such as predictions[0].score."
        ) from None
    return text


def _schema(value: object) -> object:
    fault = None if value is None else smoke.schema_fault(value)
    if fault is None:
        return value
    raise _bad(
        f"is not a JSON schema that can be used: {fault[:150]}. Write one such as {{type: array, minItems: 1}}."
    )


def _mime_type(value: object) -> str:
    text = _text(value, "text/csv")
    if len(text) <= 1024 and re.fullmatch(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(\s*;[ -~]*)?", text, re.ASCII):
        return text
    raise _bad(
        f"{shown(text)} is not a content type. Write TYPE/SUBTYPE, for example text/csv or application/json."
    )


def _body(value: object) -> str:
    if isinstance(value, list | tuple | Mapping):
        raise _bad(
            f"{shown(value)} is {_kind(value)}, but a body is sent as it stands. "
            f"Write it as text in single quotes, for example '[[5.1, 3.5, 1.4, 0.2]]'."
        )
    return _text(value, '"5.1,3.5,1.4,0.2"')


# The models.


class _FrozenDict(dict[str, _V]):
    """A dict that is only read; it pickles and copies, which a MappingProxyType does not."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a configuration is not changed after it was read")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[Self], tuple[dict[str, _V]]]:
        return type(self), (dict(self),)


class _Model(BaseModel):
    # Sharing alone is built, below: what it is made of needs no validator of its own.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


_Account = Annotated[str, BeforeValidator(_account)]
_RoleArn = Annotated[str, BeforeValidator(_role)]
_ExternalId = Annotated[str, BeforeValidator(_external_id)]
_Profile = Annotated[str, BeforeValidator(_profile)]
_MimeType = Annotated[str, BeforeValidator(_mime_type)]


class Tolerance(_Model):
    """How far a number may be from another: by so much, or by such a part of it. One of the two is given."""

    absolute: Annotated[float, BeforeValidator(_positive)] | None = Field(
        default=None, description="by how much a number may differ", examples=["0.01"]
    )
    relative: Annotated[float, BeforeValidator(_positive)] | None = Field(
        default=None, description="by which part of itself a number may differ", examples=["0.05"]
    )


class Within(_Model):
    """An expected answer whose numbers need only be near."""

    value: JsonValue = Field(description="the answer to be near to", examples=["[0.5]"])
    tolerance: Tolerance = Field(
        description="how far each number may be from it", examples=["{absolute: 0.01}"]
    )


class JsonPath(_Model):
    """An expected value at one place of an answer; exactly that value, without a tolerance."""

    path: Annotated[str, BeforeValidator(_json_path)] = Field(
        description="where in the answer, by names and [places]", examples=["predictions[0].score"]
    )
    value: JsonValue = Field(description="what must stand there", examples=["0.5"])
    tolerance: Tolerance | None = Field(default=None, description="how far a number may be from it")


class Smoke(_Model):
    """One question that an endpoint is asked, and what its answer is held against.

    The question is `body` or the object at `body_s3_uri`; `accept` is the content type asked for. Exactly one `expect...`
    is given: `expect` is a JSON value, to be compared with the decoded answer.
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
    accept: _MimeType = Field(default="application/json", description="content type of the answer")
    body_s3_uri: Annotated[str, BeforeValidator(_s3_address("object", "s3://BUCKET/smoke/1.csv"))] | None = (
        Field(default=None, description="an object that is sent to the endpoint as it stands")
    )
    expect_within: Within | None = Field(default=None, description="an answer and how far from it is right")
    expect_json_path: JsonPath | None = Field(default=None, description="what must stand at one place of it")
    expect_schema: Annotated[JsonValue, BeforeValidator(_schema)] = Field(
        default=None, description="a JSON schema that the answer must satisfy"
    )
    expect_label: Annotated[tuple[str | int | float | bool, ...], BeforeValidator(_labels)] | None = Field(
        default=None, description="the labels of which the answer, or each of a list, must be one"
    )

    @model_serializer(mode="wrap")
    def _given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what was not given: an `expect` that is null expects null."""
        found = {key: value for key, value in handler(self).items() if value is not None}
        return {**found, "expect": self.expect} if "expect" in self.model_fields_set else found


class Latency(_Model):
    """How fast an endpoint must answer: the median and the 95th percentile of so many calls, in milliseconds."""

    calls: Annotated[int, BeforeValidator(_whole(1, 1000, "calls"))] = Field(
        default=20, description="how many calls are measured"
    )
    p50_ms: Annotated[float, BeforeValidator(_positive)] | None = Field(
        default=None, description="what half of the calls must stay below, in milliseconds"
    )
    p95_ms: Annotated[float, BeforeValidator(_positive)] | None = Field(
        default=None, description="what 95 of 100 calls must stay below, in milliseconds"
    )


_TYPES = ("all-at-once", "canary", "linear", "rolling")


class Deployment(_Model):
    """How an endpoint moves to another version: in which steps, how long each is watched, and by which alarms."""

    type: Annotated[
        Literal["all-at-once", "canary", "linear", "rolling"],
        BeforeValidator(_choice("type of deployment", *_TYPES)),
    ] = Field(default="all-at-once", description="how traffic moves")
    canary_percent: Annotated[int, BeforeValidator(_whole(1, 50, "percent"))] | None = Field(
        default=None, description="share of the capacity that moves first", examples=["10"]
    )
    linear_percent: Annotated[int, BeforeValidator(_whole(10, 50, "percent"))] | None = Field(
        default=None, description="share of the capacity that moves in each step", examples=["25"]
    )
    batch_percent: Annotated[int, BeforeValidator(_whole(5, 50, "percent"))] | None = Field(
        default=None, description="share of the instances that are replaced in each batch", examples=["50"]
    )
    wait_seconds: Annotated[int, BeforeValidator(_whole(0, 3600, "seconds"))] = Field(
        default=0, description="how long each step is watched before the next"
    )
    termination_wait_seconds: Annotated[int, BeforeValidator(_whole(0, 3600, "seconds"))] = Field(
        default=0, description="how long the old instances stay after the last step"
    )
    maximum_seconds: Annotated[int, BeforeValidator(_whole(600, 28800, "seconds"))] | None = Field(
        default=None, description="how long it may all take"
    )
    alarms: Annotated[
        tuple[Annotated[str, BeforeValidator(_alarm)], ...],
        BeforeValidator(_items("alarms", "churn-errors", 10, least=0)),
    ] = Field(default=(), description="CloudWatch alarms, by name, that roll the endpoint back")


class Serverless(_Model):
    """Capacity without instances."""

    memory_mb: Annotated[int, BeforeValidator(_memory)] = Field(
        description="memory in megabytes", examples=["2048"]
    )
    max_concurrency: Annotated[int, BeforeValidator(_whole(1, 200, "calls"))] = Field(
        description="how many calls are answered at once", examples=["5"]
    )


class DataCapture(_Model):
    """Where, and of how many calls, SageMaker keeps requests and answers."""

    s3_uri: Annotated[str, BeforeValidator(_s3_address("place", "s3://BUCKET/captured/"))] = Field(
        description="where they are kept", examples=["s3://BUCKET/captured/"]
    )
    percent: Annotated[int, BeforeValidator(_whole(1, 100, "percent"))] = Field(
        description="of how many of 100 calls", examples=["100"]
    )


class Vpc(_Model):
    """The network that the model runs in."""

    security_group_ids: Annotated[
        tuple[Annotated[str, BeforeValidator(_network_id("sg"))], ...],
        BeforeValidator(_items("security groups", "sg-0a1b2c3d", 5)),
    ] = Field(description="ids of its security groups", examples=["[sg-0a1b2c3d]"])
    subnet_ids: Annotated[
        tuple[Annotated[str, BeforeValidator(_network_id("subnet"))], ...],
        BeforeValidator(_items("subnets", "subnet-0a1b2c3d", 16)),
    ] = Field(description="ids of its subnets", examples=["[subnet-0a1b2c3d]"])


class Endpoint(_Model):
    """Name, capacity and behaviour of an endpoint; the name leaves room for "-v<version>" within SageMaker's 63.

    Either `instance_type`, or `serverless`.
    """

    name: Annotated[str, BeforeValidator(_endpoint_name)] = Field(
        description="name of the endpoint", examples=["decision-trees-staging"]
    )
    instance_type: Annotated[str, BeforeValidator(_instance_type)] | None = Field(
        default=None, description="instance type that serves the model", examples=["ml.m5.large"]
    )
    instance_count: Annotated[int, BeforeValidator(_instance_count)] = Field(
        default=1, description="number of instances"
    )
    deployment: Deployment = Field(default=Deployment(), description="how it moves to another version")
    retain_variant_properties: Annotated[bool, BeforeValidator(_flag)] = Field(
        default=True, description="whether instance counts that autoscaling has set survive an update"
    )
    keep_versions: Annotated[int, BeforeValidator(_whole(0, 50, "versions"))] = Field(
        default=2, description="how many earlier versions stay ready to be gone back to"
    )
    serverless: Serverless | None = Field(default=None, description="capacity without instances")
    data_capture: DataCapture | None = Field(default=None, description="which calls are kept, and where")
    vpc: Vpc | None = Field(default=None, description="the network that the model runs in")
    kms_key: Annotated[str, BeforeValidator(_kms_key)] | None = Field(
        default=None, description="key that the instances' storage is encrypted under"
    )
    network_isolation: Annotated[bool, BeforeValidator(_flag)] = Field(
        default=False, description="whether the container is kept from all networks"
    )


class Producer(_Model):
    """The account that owns the models.

    Without `role`, the credentials of `profile` (or else the ambient ones) act in it as they are.
    """

    account: _Account = Field(
        description="12-digit id of the account that owns the models", examples=['"111122223333"']
    )
    role: _RoleArn | None = Field(default=None, description="ARN of the role to assume in this account")
    external_id: _ExternalId | None = Field(
        default=None, description="external id that the trust of the role asks for"
    )
    profile: _Profile | None = Field(default=None, description="AWS profile to start from")
    releases: Annotated[str, BeforeValidator(_releases)] = Field(
        description="S3 prefix where releases are published", examples=["s3://BUCKET/releases/"]
    )

    @property
    def releases_bucket(self) -> str:
        """Bucket of `releases`."""
        return self.releases.removeprefix("s3://").partition("/")[0]

    @property
    def releases_prefix(self) -> str:
        """Key prefix of `releases`: empty, or text that ends in a slash."""
        return self.releases.removeprefix("s3://").partition("/")[2]


class Consumer(_Model):
    """One account that is given the models, the role that deploys there, and the endpoint it brings up."""

    account: _Account = Field(
        description="12-digit id of the account that deploys the models", examples=['"444455556666"']
    )
    role: _RoleArn = Field(
        description="ARN of the role that deploys, in the consumer's account",
        examples=["arn:aws:iam::444455556666:role/crossaccount-deployer"],
    )
    external_id: _ExternalId | None = Field(
        default=None, description="external id that the trust of the role asks for"
    )
    profile: _Profile | None = Field(default=None, description="AWS profile to start from")
    execution_role: _RoleArn = Field(
        description="ARN of the role that SageMaker runs the model with, in the consumer's account",
        examples=["arn:aws:iam::444455556666:role/crossaccount-execution"],
    )
    expires: Annotated[datetime, BeforeValidator(_expires)] | None = Field(
        default=None, description="when the access ends by itself"
    )
    stage: Annotated[int, BeforeValidator(_whole(1, 1000, "stages"))] = Field(
        default=1, description="when its turn comes in a promotion; lower numbers first"
    )
    run_deployment: Annotated[str, BeforeValidator(_deployment_name)] | None = Field(
        default=None, description="Prefect deployment whose runs do this consumer's part of a promotion"
    )
    endpoint: Endpoint = Field(
        description="name and capacity of the endpoint",
        examples=["{name: decision-trees-staging, instance_type: ml.m5.large, instance_count: 1}"],
    )
    smoke_mode: Annotated[
        Literal["before", "after", "both"], BeforeValidator(_choice("smoke mode", "before", "after", "both"))
    ] = Field(default="before", description="when a promotion asks the questions")
    smoke: tuple[Smoke, ...] = Field(default=(), description="questions with their expected answers")
    latency: Latency | None = Field(default=None, description="how fast the answers must come")

    @model_validator(mode="before")
    @classmethod
    def _smoke_in_a_word(cls, data: Any) -> Any:
        """`smoke: after` is short for `smoke_mode: after` with the questions that the Release has."""
        words = ("before", "after", "both")
        if isinstance(data, Mapping) and data.get("smoke") in words and "smoke_mode" not in data:
            return {**data, "smoke_mode": data["smoke"], "smoke": []}
        return data

    @property
    def until(self) -> str | None:
        """`expires` as a policy writes it."""
        return None if self.expires is None else self.expires.strftime("%Y-%m-%dT%H:%M:%SZ")


class OrganizationScope(_Model):
    """An AWS organization that is let in as a whole, or the units and roles of it that are."""

    id: Annotated[str, BeforeValidator(_organization_id)] = Field(
        description="id of the organization", examples=["o-a1b2c3d4e5"]
    )
    paths: tuple[Annotated[str, BeforeValidator(_organization_path)], ...] = Field(
        default=(), description="organizational units, by their paths; everywhere when it is left out"
    )
    role_names: tuple[Annotated[str, BeforeValidator(_role_name)], ...] = Field(
        default=(), description="names of roles, with their paths; every identity when it is left out"
    )


class Sharing(_Model):
    """A whole configuration: which models of which account are shared with which others, and how.

    `versions` is "approved" or the version numbers. `consumers` maps a name to a consumer and is read-only.
    """

    model_package_group: Annotated[str, BeforeValidator(_group_name)] = Field(
        description="name of the model package group", examples=["decision-trees-sample"]
    )
    region: Annotated[str, BeforeValidator(_region)] = Field(
        description="AWS region of the group, its images, its artifacts and the endpoints",
        examples=["us-east-1"],
    )
    preset: Annotated[Literal["least-privilege", "aws-docs"], BeforeValidator(_preset)] = Field(
        default="least-privilege", description="which grants are made"
    )
    versions: Annotated[Literal["approved"] | tuple[int, ...], BeforeValidator(_versions)] = Field(
        default="approved", description="which versions are shared"
    )
    principals: Annotated[Literal["accounts", "roles", "organization"], BeforeValidator(_principals)] = Field(
        default="accounts", description="who is let in: whole accounts, their two roles, or an organization"
    )
    organization: OrganizationScope | None = Field(
        default=None, description="the organization, with principals: organization"
    )
    sagemaker_service_principal: Annotated[bool, BeforeValidator(_flag)] = Field(
        default=False, description="whether SageMaker itself may pull the image on behalf of the consumers"
    )
    producer: Producer = Field(
        description="the account that owns the models",
        examples=['{account: "111122223333", releases: "s3://BUCKET/releases/"}'],
    )
    consumers: Annotated[
        dict[Annotated[str, BeforeValidator(_consumer_name)], Consumer],
        BeforeValidator(_consumers),
        AfterValidator(_FrozenDict),
    ] = Field(
        description="mapping from a name to an account that deploys the models",
        examples=['{staging: {account: "444455556666", ...}}'],
    )

    @property
    def partition(self) -> str:
        """Partition of the region: aws, aws-cn, aws-us-gov, ..."""
        return _regions()[self.region]

    @model_validator(mode="after")
    def _keys_agree(self) -> Self:
        found = [f"{dotted(path)}: {sentence}" for path, _, sentence in _disagreements(self.model_dump())]
        if found:
            raise PydanticCustomError("disagreement", "{sentence}", {"sentence": " ".join(found)})
        return self


def consumer(sharing: Sharing, name: str) -> Consumer:
    """Return the consumer called `name`.

    Raises:
        InputError: no consumer has that name; the message lists those there are.
    """
    if name in sharing.consumers:
        return sharing.consumers[name]
    names = tuple(sharing.consumers)
    raise InputError(
        f"{shown(name)} is not a consumer of this configuration.{_did_you_mean(name, names)} "
        f"Name one of these: {', '.join(names)}."
    )


def chosen(sharing: Sharing, name: str | None) -> list[str]:
    """The consumer called `name` alone, or all of them when it is left out; raises as `consumer` does."""
    if name is None:
        return list(sharing.consumers)
    consumer(sharing, name)
    return [name]


# Keys against each other. On plain data, so that it speaks even where the models already found other faults.


def _sound(data: object, key: str, check: Callable[[object], str]) -> str | None:
    """Return the value of `key` where it is sound by itself; a value that is not has its own complaint."""
    if not isinstance(data, Mapping) or data.get(key) is None:
        return None
    try:
        return str(check(data[key]))
    except PydanticCustomError:
        return None


_ROLE_DUTIES = {
    "role": "a role that deploys must stand in the consumer's account",
    "execution_role": "a role that SageMaker may be passed must stand in the consumer's account",
}


def _disagreements(data: Mapping[str, Any]) -> Iterator[tuple[_Path, object, str]]:
    producer, consumers = data.get("producer"), data.get("consumers")
    region = _sound(data, "region", _region)
    owner = _sound(producer, "account", _account)
    duty = "the producer's role must stand in the producer's account"
    yield from _role_disagreements(("producer", "role"), producer, owner, region, duty)
    if (
        isinstance(producer, Mapping)
        and producer.get("external_id") is not None
        and producer.get("role") is None
    ):
        yield (
            ("producer", "external_id"),
            producer["external_id"],
            f"{shown(producer['external_id'])} is an external id without a role to assume with it. "
            f"Add producer.role, or delete external_id.",
        )
    yield from _scope_disagreements(data)
    seen: dict[tuple[str, str], str] = {}
    for name, entry in consumers.items() if isinstance(consumers, Mapping) else ():
        account = _sound(entry, "account", _account)
        if account is not None and account == owner:
            yield (
                ("consumers", name, "account"),
                account,
                f"{shown(account)} is the producer's own account, which needs no grant. "
                f"Name the account that deploys, or delete this consumer.",
            )
        for key, duty in _ROLE_DUTIES.items():
            yield from _role_disagreements(("consumers", name, key), entry, account, region, duty)
        if isinstance(entry, Mapping):
            yield from _asking_disagreements(("consumers", name), entry)
            yield from _hosting_disagreements(
                ("consumers", name, "endpoint"), entry.get("endpoint"), data.get("versions")
            )
        endpoint = _sound(
            entry.get("endpoint") if isinstance(entry, Mapping) else None, "name", _endpoint_name
        )
        if account is None or endpoint is None:
            continue
        # CreateEndpoint takes names that differ only in case for the same name (botocore,
        # sagemaker: CreateEndpointInput).
        other = seen.setdefault((account, endpoint.lower()), name)
        if other != name:
            yield (
                ("consumers", name, "endpoint", "name"),
                endpoint,
                f"{shown(endpoint)} is also the endpoint of consumer {other} in the same account {account}. "
                f"Give each its own endpoint name.",
            )


def _scope_disagreements(data: Mapping[str, Any]) -> Iterator[tuple[_Path, object, str]]:
    principals, organization = data.get("principals"), data.get("organization")
    consumers = data.get("consumers")
    entries = consumers.items() if isinstance(consumers, Mapping) else ()
    ending: list[tuple[_Path, object]] = [
        (("consumers", name, "expires"), entry["expires"])
        for name, entry in entries
        if isinstance(entry, Mapping) and entry.get("expires") is not None
    ]
    if principals == "organization" and organization is None:
        sentence = '"organization" needs to know which one. Add organization: {id: o-...}.'
        yield ("principals",), principals, sentence
    if principals != "organization" and organization is not None:
        sentence = (
            "names an organization that nothing is given to. Write principals: organization, or delete it."
        )
        yield ("organization",), "", sentence
    if principals == "organization":
        for path, value in ending:
            sentence = "cannot end one consumer's access to what a whole organization has. Delete it, or choose other principals."
            yield path, value, sentence
    if isinstance(organization, Mapping):
        scope = _sound(organization, "id", _organization_id)
        paths = organization.get("paths")
        for place, path in enumerate(paths if isinstance(paths, list | tuple) else ()):
            if scope and isinstance(path, str) and path.startswith("o-") and path.split("/")[0] != scope:
                sentence = (
                    f"{shown(path)} is a path of another organization than {scope}. Write a path of {scope}."
                )
                yield ("organization", "paths", place), path, sentence
    if data.get("preset") == "aws-docs":
        ways = list(ending)
        if principals in ("roles", "organization"):
            ways.append((("principals",), principals))
        if data.get("sagemaker_service_principal") is True:
            ways.append((("sagemaker_service_principal",), True))
        for way, value in ways:
            sentence = "is not in the AWS page's policies, which the preset aws-docs keeps to. Delete it, or use least-privilege."
            yield way, value, sentence


def _role_disagreements(
    path: _Path, data: object, account: str | None, region: str | None, duty: str
) -> Iterator[tuple[_Path, object, str]]:
    arn = _sound(data, str(path[-1]), _role)
    if arn is None:
        return
    partition, owner = arn.split(":")[1], arn.split(":")[4]
    if account is not None and owner != account:
        way_out = f"Name a role of {account}."
        yield path, arn, f"{shown(arn)} is a role of account {owner}, but {duty} {account}. {way_out}"
    if region is not None and partition != _regions()[region]:
        wanted = _regions()[region]
        yield (
            path,
            arn,
            f"{shown(arn)} is in partition {partition}, but region {region} is in {wanted}, "
            f"and no access crosses partitions. Name a role whose ARN begins with arn:{wanted}:, "
            f"or correct the region.",
        )


# An endpoint's keys against each other.

_SIZE_KEYS = {"canary": "canary_percent", "linear": "linear_percent", "rolling": "batch_percent"}
_NOT_SERVERLESS = {
    "instance_type": "has no instances",
    "vpc": "runs in no VPC",
    "network_isolation": "knows no network isolation",
    "data_capture": "captures no data",
    "kms_key": "has no storage of its own to encrypt",
}


def _hosting_disagreements(
    path: _Path, endpoint: object, versions: object
) -> Iterator[tuple[_Path, object, str]]:
    if not isinstance(endpoint, Mapping):
        return
    serverless = endpoint.get("serverless") is not None
    if not serverless and endpoint.get("instance_type") is None:
        about = Endpoint.model_fields["instance_type"]
        sentence = (
            f"is missing: {about.description}. Add it, for example instance_type: ml.m5.large, or serverless."
        )
        yield (*path, "instance_type"), "", sentence
    given = endpoint.get("deployment")
    deployment: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    kind = deployment.get("type") or "all-at-once"
    if kind in _TYPES:
        yield from _size_disagreements((*path, "deployment"), deployment, str(kind))
    if serverless:
        yield from _serverless_disagreements(path, endpoint, deployment, kind)
    if str(endpoint.get("instance_type")).startswith("ml.inf1."):
        yield from _inf1_disagreements((*path, "deployment"), endpoint["instance_type"], deployment, kind)
    name = _sound(endpoint, "name", _endpoint_name)
    for version in versions if isinstance(versions, list | tuple) else ():
        if name and isinstance(version, int) and len(f"{name}-v{version}-0000") > _MAX_NAME:
            sentence = (
                f"{shown(name)} with version {version} makes the name of an endpoint config longer than {_MAX_NAME} "
                "characters. Choose a shorter name."
            )
            yield (*path, "name"), name, sentence


_MAX_NAME = 63  # botocore, sagemaker: EndpointConfigName


_ENDLESS = 10**9  # what is more has its own complaint, and may have more digits than Python writes


def _size_disagreements(
    path: _Path, deployment: Mapping[str, Any], kind: str
) -> Iterator[tuple[_Path, object, str]]:
    for of, key in _SIZE_KEYS.items():
        value = deployment.get(key)
        if of == kind and value is None:
            about = Deployment.model_fields[key]
            example = (about.examples or [""])[0]
            sentence = f"is missing: {about.description}. Add it, for example {key}: {example}"
            yield (*path, key), "", sentence
        elif of != kind and value is not None:
            sentence = f"{shown(value)} is a key of type {of}, and the type is {kind}. Delete it, or write type: {of}."
            yield (*path, key), value, sentence
    termination = deployment.get("termination_wait_seconds")
    if kind == "rolling" and termination:
        sentence = (
            f"{shown(termination)} makes old instances wait, which a rolling deployment ends batch by batch. "
            "Delete it, or choose another type."
        )
        yield (*path, "termination_wait_seconds"), termination, sentence
    seconds, limit = _waits(deployment, kind), deployment.get("maximum_seconds")
    if seconds is not None and isinstance(limit, int) and limit < seconds < _ENDLESS:
        sentence = (
            f"{limit} seconds are less than the {seconds} that the waits alone take, so every update would be rolled back. "
            "Write more, or wait less."
        )
        yield (*path, "maximum_seconds"), limit, sentence


def _waits(deployment: Mapping[str, Any], kind: str) -> int | None:
    """How long a blue/green deployment waits in all; None where that depends on the instances, or is unsound."""
    wait, end = deployment.get("wait_seconds") or 0, deployment.get("termination_wait_seconds") or 0
    size = deployment.get("linear_percent")
    if not isinstance(wait, int) or not isinstance(end, int) or kind == "rolling":
        return None
    if kind == "linear":
        return math.ceil(100 / size) * wait + end if isinstance(size, int) and size > 0 else None
    return (2 if kind == "canary" else 1) * wait + end


def _serverless_disagreements(
    path: _Path, endpoint: Mapping[str, Any], deployment: Mapping[str, Any], kind: object
) -> Iterator[tuple[_Path, object, str]]:
    for key, why in _NOT_SERVERLESS.items():
        if endpoint.get(key):
            sentence = f"{shown(endpoint[key])} cannot be had, because a serverless endpoint {why}. Delete it, or serverless."
            yield (*path, key), endpoint[key], sentence
    count = endpoint.get("instance_count")
    if isinstance(count, int) and count > 1:
        sentence = f"{count} instances cannot be had, because a serverless endpoint has none. Delete it, or serverless."
        yield (*path, "instance_count"), count, sentence
    if kind != "all-at-once" and kind in _TYPES:
        sentence = f"{shown(kind)} moves instances, and a serverless endpoint has none. Write all-at-once, or delete serverless."
        yield (*path, "deployment", "type"), kind, sentence
    if deployment.get("alarms"):
        sentence = "are not watched while a serverless endpoint is updated. Delete them, or serverless."
        yield (*path, "deployment", "alarms"), deployment["alarms"], sentence


def _inf1_disagreements(
    path: _Path, instance_type: object, deployment: Mapping[str, Any], kind: object
) -> Iterator[tuple[_Path, object, str]]:
    ways = {"type": kind != "all-at-once" and kind in _TYPES}
    ways |= {key: bool(deployment.get(key)) for key in ("wait_seconds", "alarms")}
    for key, asked in ways.items():
        if asked:
            sentence = (
                f"{shown(deployment[key])} would be ignored: AWS moves endpoints on {shown(instance_type)} all at once and "
                "unwatched. Delete it, or choose another instance type."
            )
            yield (*path, key), deployment[key], sentence


_EXPECTATIONS = ("expect", "expect_within", "expect_json_path", "expect_schema", "expect_label")


def _asking_disagreements(path: _Path, consumer: Mapping[str, Any]) -> Iterator[tuple[_Path, object, str]]:
    questions = consumer.get("smoke")
    for place, one in enumerate(questions if isinstance(questions, list | tuple) else ()):
        if isinstance(one, Mapping):
            yield from _question_disagreements((*path, "smoke", place), one)
    latency = consumer.get("latency")
    if isinstance(latency, Mapping):
        limits = [latency.get(key) for key in ("p50_ms", "p95_ms")]
        if limits == [None, None]:
            yield (*path, "latency"), "", "limits nothing. Add p50_ms, p95_ms, or both, in milliseconds."
        p50, p95 = limits
        if isinstance(p50, int | float) and isinstance(p95, int | float) and p50 > p95:
            sentence = f"{p50} is more than the p95_ms of {p95}, which no measurement can meet. Write less."
            yield (*path, "latency", "p50_ms"), p50, sentence


def _question_disagreements(path: _Path, question: Mapping[str, Any]) -> Iterator[tuple[_Path, object, str]]:
    bodies = [key for key in ("body", "body_s3_uri") if question.get(key) is not None]
    wanted = [
        key for key in _EXPECTATIONS if question.get(key) is not None or (key == "expect" and key in question)
    ]
    for found, key, others in (
        (bodies, "body", "body_s3_uri"),
        (wanted, "expect", "one of " + ", ".join(_EXPECTATIONS[1:])),
    ):
        about = Smoke.model_fields[key]
        if not found:
            example = (about.examples or [""])[0]
            yield (
                (*path, key),
                "",
                f"is missing: {about.description}. Add it, for example {key}: {example}, or {others}.",
            )
        for extra in found[1:]:
            sentence = f"stands beside {found[0]}, and a question has one of them only. Keep one of the two."
            yield (*path, extra), "", sentence
    for key in ("expect_within", "expect_json_path"):
        inner = question.get(key)
        tolerance = inner.get("tolerance") if isinstance(inner, Mapping) else None
        if isinstance(tolerance, Mapping):
            given = [name for name in ("absolute", "relative") if tolerance.get(name) is not None]
            if len(given) != 1:
                sentence = "needs one measure, and one only. Write {absolute: 0.01} or {relative: 0.05}."
                yield (*path, key, "tolerance"), "", sentence


Sharing.model_rebuild()


# The models' complaints in words.

_MODELS: dict[_Path, type[BaseModel]] = {
    (): Sharing,
    ("producer",): Producer,
    ("organization",): OrganizationScope,
    ("consumers", "*"): Consumer,
    ("consumers", "*", "endpoint"): Endpoint,
    ("consumers", "*", "endpoint", "deployment"): Deployment,
    ("consumers", "*", "endpoint", "serverless"): Serverless,
    ("consumers", "*", "endpoint", "data_capture"): DataCapture,
    ("consumers", "*", "endpoint", "vpc"): Vpc,
    ("consumers", "*", "smoke", "*"): Smoke,
    ("consumers", "*", "smoke", "*", "expect_within"): Within,
    ("consumers", "*", "smoke", "*", "expect_within", "tolerance"): Tolerance,
    ("consumers", "*", "smoke", "*", "expect_json_path"): JsonPath,
    ("consumers", "*", "smoke", "*", "expect_json_path", "tolerance"): Tolerance,
    ("consumers", "*", "latency"): Latency,
}


def _general(path: _Path) -> _Path:
    """Replace the names that a file chooses, and places in a list, by a star."""
    return tuple(
        "*" if isinstance(part, int) or (place == 1 and path[0] == "consumers") else part
        for place, part in enumerate(path)
    )


def _translated(error: ErrorDetails) -> tuple[_Path, object, str]:
    path, value = tuple(error["loc"]), error["input"]
    match error["type"]:
        case "fault":
            # pydantic marks a fault of a mapping's key, not of its value, by one more step.
            if path[-1:] == ("[key]",):
                path = path[:-1]
            return path, value, str(error["ctx"]["sentence"])
        case "missing":
            about = _MODELS[_general(path[:-1])].model_fields[str(path[-1])]
            example = (about.examples or [""])[0]
            sentence = f"is missing: {about.description}. Add it, for example {path[-1]}: {example}"
            return path, "", sentence
        case "extra_forbidden":
            known = tuple(_MODELS[_general(path[:-1])].model_fields)
            near = _did_you_mean(path[-1], known)
            # Its value is not shown: whatever it is, we do not know whether it may be read in a log.
            return path, "", f"is not a key that is known here.{near} The keys here are: {', '.join(known)}."
        case "tuple_type":
            return path, value, f"{shown(value)} is {_kind(value)}. Write a list, each item after a hyphen."
        case _:
            keys = _MODELS.get(_general(path), Sharing).model_fields
            return (
                path,
                value,
                f"{shown(value)} is {_kind(value)}. Write a mapping of these keys: {', '.join(keys)}.",
            )


def load(path: str | os.PathLike[str]) -> Sharing:
    """Read the YAML file at `path`.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or says what cannot be; with every fault at once.
    """
    source = str(os.fspath(path))
    try:
        text = read(path)
    except Unreadable as unreadable:
        raise _whole_file(unreadable, source) from unreadable
    return parse(text, source)


def consumer_names(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The names of the consumers in the YAML file at `path`, unchecked; none for a file that cannot be read as one."""
    try:
        data = Reading().data(compose(read(path)))
    except Unreadable:
        return ()
    consumers = data.get("consumers") if isinstance(data, dict) else None
    return tuple(str(name) for name in consumers) if isinstance(consumers, dict) else ()


def parse(text: str, source: str = "config") -> Sharing:
    """Read YAML text; `source` names it in messages.

    Raises:
        ConfigError: as for `load`.
    """
    reading = Reading()
    try:
        data = reading.data(compose(text))
        if not isinstance(data, dict):
            raise Unreadable(
                f"is {_kind(data)}, but a configuration is a mapping that begins with model_package_group, "
                f"region, producer and consumers. Start from configs/example.yaml.",
                reading.lines[()],
            )
    except Unreadable as unreadable:
        raise _whole_file(unreadable, source) from unreadable
    sharing, complaints = _validated(data)
    faults = reading.faults + [
        Fault(dotted(path), _line(reading.lines, path), _cut(value), sentence)
        for path, value, sentence in complaints
    ]
    if sharing is None or faults:
        raise ConfigError(_told(sorted(faults, key=lambda fault: fault.line or 0)), source)
    return sharing


_MOST_FAULTS = 100  # of a file that is something else altogether, nobody reads thousands


def _told(faults: list[Fault]) -> tuple[Fault, ...]:
    if len(faults) <= _MOST_FAULTS:
        return tuple(faults)
    more = Fault("", None, "", f"has further faults beside these {_MOST_FAULTS}. Correct these first.")
    return (*faults[:_MOST_FAULTS], more)


def _validated(data: dict[str, Any]) -> tuple[Sharing | None, list[tuple[_Path, object, str]]]:
    sharing, complaints = None, []
    try:
        sharing = Sharing.model_validate(data)
    except ValidationError as error:
        found = [each for each in error.errors(include_url=False) if each["type"] != "disagreement"]
        # A word is compared with every key there is: that is too slow to be done for more than will be told.
        complaints = [_translated(each) for each in found[: _MOST_FAULTS + 1]]
    return sharing, [*complaints, *_disagreements(data)]


def _cut(value: object) -> str:
    return value[:MAX_SHOWN] if isinstance(value, str) else shown(value)


def _line(lines: Mapping[_Path, int], path: _Path) -> int | None:
    """Find the line of the key, or of the nearest mapping around a key that is not there."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)


def _whole_file(unreadable: Unreadable, source: str) -> ConfigError:
    return ConfigError((Fault("", unreadable.line, "", unreadable.message),), source)
