"""Questions and expectations: what an endpoint is asked, how its answer is read, and whether it is the right one.

Answers are judged by pure functions of plain data. Not here: putting a question to an endpoint (``serving``).

Source: InvokeEndpoint in the SageMaker Runtime API reference.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crossaccount.arns import parse_s3
from crossaccount.errors import Failed
from crossaccount.json_match import fits_schema, follow_path, parse_path
from crossaccount.strict_json import parse_json

if TYPE_CHECKING:
    import boto3

    from crossaccount.config.model import ConsumerConfig, Sharing
    from crossaccount.config.smoke import JsonPath, Latency, Smoke, Tolerance
    from crossaccount.release import Release, Sample


BODY_LIMIT = 6_291_456  # botocore, sagemaker-runtime: BodyBlob

Judge = Callable[[Any], bool]


@dataclass(frozen=True)
class Question:
    """One request to an endpoint.

    Args:
        content_type: of the body.
        body: what is sent.
        accept: the content type asked for.
        shown: the body as a person may read it: the text, or where it came from.
        expected: what the answer is held against, as plain data.
        right: whether an answer is right.
    """

    content_type: str
    body: bytes
    accept: str
    shown: str
    expected: Any
    right: Judge


@dataclass(frozen=True)
class Answer:
    """One question, the answer that came, and whether it is a right one. Latency in milliseconds."""

    content_type: str
    body: str
    expected: Any
    got: Any
    ok: bool
    latency_ms: float


@dataclass(frozen=True)
class Speed:
    """How fast so many calls were answered, each and on the whole, in milliseconds, and the limits; None where there is none."""

    calls: int
    p50_ms: float
    p95_ms: float
    p50_limit_ms: float | None
    p95_limit_ms: float | None
    measured_ms: tuple[float, ...] = ()

    @property
    def ok(self) -> bool:
        """True when no limit was passed."""
        pairs = ((self.p50_ms, self.p50_limit_ms), (self.p95_ms, self.p95_limit_ms))
        return all(limit is None or seen <= limit for seen, limit in pairs)


def speed(latencies: Sequence[float], limits: Latency) -> Speed:
    """The percentiles of latencies, by the nearest rank, beside their limits.

    Raises:
        ValueError: without a latency.
    """
    if not latencies:
        raise ValueError("nothing was measured")
    ordered = sorted(latencies)
    p50, p95 = (ordered[math.ceil(len(ordered) * part) - 1] for part in (0.5, 0.95))
    return Speed(len(ordered), p50, p95, limits.p50_ms, limits.p95_ms, tuple(latencies))


def of_sample(sample: Sample) -> Question:
    """The question that a producer recorded: its answer is the expected one, to six digits."""
    return _question(
        sample.content_type, sample.body.encode(), sample.accept, sample.body, *exactly(sample.expect)
    )


def questions(
    session: boto3.Session, sharing: Sharing, name: str, consumer: ConsumerConfig, release: Release
) -> list[Question]:
    """What an endpoint will be asked: the config's smoke payloads, or else the samples of the Release.

    Args:
        session: in the deployer role; reads the bodies that lie in S3, of the consumer or of the producer.
        sharing: the config.
        name: the consumer's name in it.
        consumer: the consumer.
        release: of the version.

    Raises:
        Failed: when there is nothing to ask, or a body is missing or too large.
        ClientError: when S3 refuses a body.
    """
    owners = (consumer.account, sharing.producer.account)
    if consumer.smoke:
        return [_asked(session, one, owners) for one in consumer.smoke]
    check_questions(name, consumer, release)
    return [of_sample(sample) for sample in release.samples]


def check_questions(name: str, consumer: ConsumerConfig, found: Release) -> None:
    """See that there is something to ask the endpoint, before anything is made.

    Raises:
        Failed: when neither the config nor the Release has anything: a deployment that is asked nothing proves nothing.
    """
    if not consumer.smoke and not found.samples:
        raise Failed(
            f"There is nothing to ask version {found.version}: its Release has no samples. Add a payload with its expected answer to "
            f"consumers.{name}.smoke, or register the version with a SamplePayloadUrl."
        )


def _asked(session: boto3.Session, smoke: Smoke, owners: tuple[str, str]) -> Question:
    if smoke.body_s3_uri is None:
        body, shown = (smoke.body or "").encode(), smoke.body or ""
    else:
        body, shown = read_body(session, smoke.body_s3_uri, owners), smoke.body_s3_uri
    return _question(smoke.content_type, body, smoke.accept, shown, *expectation(smoke))


def _question(
    content_type: str, body: bytes, accept: str, shown: str, expected: Any, right: Judge
) -> Question:
    return Question(content_type, body, accept, shown, expected, right)


def read_body(session: boto3.Session, uri: str, owners: Sequence[str]) -> bytes:
    """The object that is sent as a question, if its bucket belongs to one of these accounts.

    Raises:
        Failed: when it is missing, or larger than a request may be.
        ClientError: when S3 refuses it; also for a bucket of anybody else.
    """
    from botocore.exceptions import ClientError

    bucket, key = parse_s3(uri)
    client = session.client("s3")
    for owner in owners:
        try:
            found = client.get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=owner)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("NoSuchKey", "NoSuchBucket"):
                raise Failed(
                    f"The smoke payload {uri} is missing. Put it there, or correct the config."
                ) from None
            # S3 refuses another owner as it refuses everything else: only the last refusal is one.
            if code != "AccessDenied" or owner == owners[-1]:
                raise
            continue
        body = found["Body"].read(BODY_LIMIT + 1)
        if len(body) > BODY_LIMIT:
            raise Failed(
                f"The smoke payload {uri} is larger than the {BODY_LIMIT} bytes that an endpoint takes."
            )
        return bytes(body)
    raise ValueError("no account may own it")


# Expectations: each gives what is expected, as plain data, and the judge of answers.


def expectation(smoke: Smoke) -> tuple[Any, Judge]:
    """What a configured payload expects."""
    if smoke.expect_within is not None:
        return within(smoke.expect_within.value, smoke.expect_within.tolerance)
    if smoke.expect_json_path is not None:
        return at_path(smoke.expect_json_path)
    if smoke.expect_schema is not None:
        return fitting(smoke.expect_schema)
    if smoke.expect_label is not None:
        return labelled(smoke.expect_label)
    return exactly(smoke.expect)


def exactly(value: Any) -> tuple[Any, Judge]:
    """Exactly this value, with numbers compared to six significant digits."""
    return value, lambda got: same_answer(got, value)


def within(value: Any, tolerance: Tolerance) -> tuple[Any, Judge]:
    """A value of the same shape, whose numbers are near."""
    shown = {"value": value, "tolerance": _measure(tolerance)}
    return shown, lambda got: same_answer(got, value, _near(tolerance))


def at_path(wanted: JsonPath) -> tuple[Any, Judge]:
    """A value at one place of the answer; near, or exactly, where no tolerance is given."""
    tolerance = wanted.tolerance
    shown: dict[str, Any] = {"path": wanted.path, "value": wanted.value}
    if tolerance is not None:
        shown["tolerance"] = _measure(tolerance)
    near = _six_digits if tolerance is None else _near(tolerance)
    steps = parse_path(wanted.path)
    return shown, lambda got: any(same_answer(one, wanted.value, near) for one in follow_path(got, steps))


def fitting(schema: Any) -> tuple[Any, Judge]:
    """An answer that satisfies a JSON schema."""
    return {"schema": schema}, lambda got: fits_schema(got, schema)


def labelled(labels: Sequence[Any]) -> tuple[Any, Judge]:
    """One of these labels, or a list, not empty, of nothing else."""
    allowed = list(labels)

    def right(got: Any) -> bool:
        found = got if isinstance(got, list) else [got]
        return bool(found) and all(any(same_answer(one, label) for label in allowed) for one in found)

    return {"labels": allowed}, right


def _measure(tolerance: Tolerance) -> dict[str, float]:
    return {key: value for key, value in tolerance.model_dump().items() if value is not None}


Near = Callable[[float, float], bool]


def _near(tolerance: Tolerance) -> Near:
    absolute, relative = tolerance.absolute or 0.0, tolerance.relative or 0.0

    def near(got: float, expected: float) -> bool:
        # A thousand-millionth more: 0.3 - 0.2 is more than 0.1 to a computer, and not to whoever wrote the config.
        return abs(got - expected) <= (absolute + relative * abs(expected)) * (1 + 1e-9)

    return near


def _six_digits(got: float, expected: float) -> bool:
    return math.isclose(got, expected, rel_tol=1e-6, abs_tol=1e-12)


def same_answer(got: Any, expected: Any, near: Near = _six_digits) -> bool:
    """Equal in shape and content, with numbers that need only be near: to six significant digits, unless told."""
    if isinstance(got, bool) or isinstance(expected, bool):
        return got is expected
    if isinstance(got, int | float) and isinstance(expected, int | float):
        if isinstance(got, int) and isinstance(expected, int) and got == expected:
            return True
        try:
            return near(float(got), float(expected))
        except OverflowError:  # an integer that no float can hold
            return False
    if isinstance(got, list) and isinstance(expected, list):
        pairs = zip(got, expected, strict=False)
        return len(got) == len(expected) and all(same_answer(*pair, near) for pair in pairs)
    if isinstance(got, dict) and isinstance(expected, dict):
        return got.keys() == expected.keys() and all(
            same_answer(got[key], expected[key], near) for key in expected
        )
    return bool(got == expected)


# Answers as they come.


def read_answer(raw: bytes, content_type: str) -> Any:
    """An endpoint's answer as data: JSON as it is, CSV as a list of its cells (of rows, when rows have several).

    Raises:
        ValueError: when the body is larger than an endpoint's may be, or is not what its content type says.
    """
    if len(raw) > BODY_LIMIT:
        raise ValueError(f"it is larger than {BODY_LIMIT} bytes")
    media = content_type.split(";")[0].strip().lower()
    text = raw.decode("utf-8")
    try:
        if media == "text/csv":
            rows = [[_cell(cell) for cell in row] for row in csv.reader(io.StringIO(text, newline="")) if row]
            return [row[0] for row in rows] if all(len(row) == 1 for row in rows) else rows
        if media == "application/json":
            return parse_json(text)
    except csv.Error as error:
        raise ValueError(str(error)) from None
    return text


def _cell(cell: str) -> Any:
    try:
        number = float(cell)
    except ValueError:
        return cell
    if "_" in cell or not math.isfinite(number):
        return cell  # a label that Python, but no model, takes for a number
    return int(number) if number.is_integer() else number
