"""The questions to an endpoint, from the config's smoke payloads or the samples of the Release.

Not here: the judging of answers (``expectations``), and putting a question to an endpoint (``asking``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from crossaccount.arns import parse_s3
from crossaccount.aws.access import Target
from crossaccount.config.model import ConsumerConfig
from crossaccount.config.smoke import Smoke
from crossaccount.errors import Failed
from crossaccount.proof.asynchronous import check_size
from crossaccount.proof.expectations import Judge, exactly, expectation
from crossaccount.proof.reading import BODY_LIMIT
from crossaccount.release.manifest import Release, Sample


@dataclass(frozen=True)
class Question:
    """One request to an endpoint.

    Args:
        content_type: of the body.
        body: of the request.
        accept: the content types of the wanted answer, as a header has them; empty for none.
        shown: the body as a person may read it: the text, or its S3 URI.
        expected: the expected answer, as plain data.
        judge: gives the reason why an answer is wrong, or an empty text.
        location: the S3 object that is the body, where the endpoint reads it itself; ``body`` is empty then.
    """

    content_type: str
    body: bytes
    accept: str
    shown: str
    expected: Any
    judge: Judge
    location: str = ""


def of_sample(sample: Sample) -> Question:
    """The question that a producer recorded: its answer is the expected one, see `expectations.exactly`."""
    body, expected = sample.body, exactly(sample.expect)
    return Question(sample.content_type, body.encode(), sample.accept, body, *expected)


def questions(target: Target, release: Release) -> list[Question]:
    """The questions to an endpoint: the config's smoke payloads, or else the samples of the Release.

    A body that lies in S3, the consumer's or the producer's, is read in the deployer role.

    Raises:
        Failed: when there is no question, or a body is missing or too large.
        Refused: when S3 refuses a body.
    """
    check_questions(target.name, target.consumer, release)
    with target.explained("s3:GetObject", "the objects of smoke.body_s3_uri"):
        configured = [_configured(target, payload) for payload in target.consumer.smoke]
    return configured or [of_sample(sample) for sample in release.samples]


def check_questions(name: str, consumer: ConsumerConfig, release: Release) -> None:
    """See that there is a question for the endpoint, before anything is created.

    Raises:
        Failed: when neither the config nor the Release has one: a deployment that is asked nothing proves nothing. And for one that is
            larger than an asynchronous endpoint takes.
    """
    if not consumer.smoke and not release.samples:
        raise Failed(
            f"There is nothing to ask version {release.version}: its Release has no samples. Add a payload with its expected answer to "
            f"consumers.{name}.smoke, or register the next version with samples: SamplePayloadUrl names a .tar.gz whose *.json members "
            "have content_type, body and expect."
        )
    if consumer.endpoint.asynchronous is not None:
        bodies = [each.body for each in consumer.smoke] or [each.body for each in release.samples]
        for body in filter(None, bodies):
            check_size(consumer.endpoint.name, body, body.encode())


def _configured(target: Target, payload: Smoke) -> Question:
    body, shown = (payload.body or "").encode(), payload.body or ""
    if payload.body_s3_uri is not None:
        owners = (target.account, target.config.producer.account)
        if target.consumer.endpoint.asynchronous is not None:  # which reads it itself, up to 1 GB of it
            uri = payload.body_s3_uri
            read_body(target, uri, owners, first_byte=True)
            return Question(
                payload.content_type, b"", payload.accept, uri, *expectation(payload), location=uri
            )
        body, shown = read_body(target, payload.body_s3_uri, owners), payload.body_s3_uri
    return Question(payload.content_type, body, payload.accept, shown, *expectation(payload))


def read_body(target: Target, uri: str, owners: Sequence[str], first_byte: bool = False) -> bytes:
    """The S3 object that is the body of a question, or no more than its first byte, if its bucket belongs to one of these accounts.

    Raises:
        Failed: when it is missing, or larger than a request may be.
        ClientError: when S3 refuses it, as for a bucket of any other account.
    """
    bucket, key = parse_s3(uri)
    for owner in owners:
        try:
            answer = target.s3.get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=owner)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("NoSuchKey", "NoSuchBucket"):
                raise Failed(
                    f"The smoke payload {uri} is missing. Put it there, or correct the config."
                ) from None
            # S3 refuses a wrong owner as it refuses everything else: only the last account's refusal counts.
            if code != "AccessDenied" or owner == owners[-1]:
                raise
            continue
        if first_byte:
            return bytes(answer["Body"].read(1))
        body = answer["Body"].read(BODY_LIMIT + 1)
        if len(body) > BODY_LIMIT:
            raise Failed(
                f"The smoke payload {uri} is larger than the {BODY_LIMIT} bytes that an endpoint takes."
            )
        return bytes(body)
    raise ValueError("owners: name one account or more")
