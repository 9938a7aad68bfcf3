"""The questions to an endpoint, from the config's smoke payloads or the samples of the Release.

Not here: the judging of answers (``expectations``), and putting a question to an endpoint (``asking``).
"""

import base64
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from crossaccount.arns import parse_s3
from crossaccount.aws.access import Target
from crossaccount.config.kinds import ASYNCHRONOUS, SERVERLESS
from crossaccount.config.model import ConsumerConfig, Sharing
from crossaccount.config.smoke import Smoke
from crossaccount.errors import Failed, InputError
from crossaccount.files import read_file
from crossaccount.proof.asynchronous import check_size
from crossaccount.proof.expectations import expectation, reader
from crossaccount.proof.judging import Judge
from crossaccount.proof.reading import BODY_LIMIT
from crossaccount.release.manifest import Release, Sample
from crossaccount.text import quote


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
        container: DNS name of the container that is asked; empty for the endpoint as a whole.
        stream: whether the answer is asked for in parts, as a stream.
        read_as: the reader of the answer, see `reading.read_answer`; empty for that of its media type.
        location: the S3 object that is the body, where the endpoint reads it itself; ``body`` is empty then.
    """

    content_type: str
    body: bytes
    accept: str
    shown: str
    expected: Any
    judge: Judge
    container: str = ""
    stream: bool = False
    read_as: str = ""
    location: str = ""


def of_sample(sample: Sample) -> Question:
    """The question that a producer recorded, which has its bytes with it."""
    return of_payload(sample.question())


def of_payload(payload: Smoke) -> Question:
    """A question that has its bytes with it."""
    return _question(payload, *_bytes_of("", 0, payload))


def questions(target: Target, release: Release) -> list[Question]:
    """The questions to an endpoint: the config's smoke payloads, or else the samples of the Release.

    Where containers are invoked directly, a question that names none is put to each of them. A sample that was recorded as a stream is
    asked for as a whole of an endpoint that does not stream. A body that lies in S3, the consumer's or the producer's, is read in the
    deployer role.

    Raises:
        InputError: when a file that the config names cannot be read.
        Failed: when there is no question, or a body in S3 is missing or too large.
        Refused: when S3 refuses a body.
    """
    check_questions(target.name, target.consumer, release)
    with target.explained("s3:GetObject", "the objects of smoke.body_s3_uri"):
        configured = [
            _configured(target, place, payload) for place, payload in enumerate(target.consumer.smoke)
        ]
    return _for_endpoint(target.consumer, release, configured or list(map(of_sample, release.samples)))


def _for_endpoint(consumer: ConsumerConfig, release: Release, asked: list[Question]) -> list[Question]:
    if consumer.endpoint.hosting_kind in (SERVERLESS, ASYNCHRONOUS):
        return [replace(question, stream=False) for question in asked]
    if consumer.endpoint.container_mode != "direct":
        return asked
    names = [container.hostname or "" for container in release.deployed_containers]
    return [
        replace(question, container=name)
        for question in asked
        for name in ([question.container] if question.container else names)
    ]


def check_files(config: Sharing, names: Iterable[str]) -> None:
    """See that the files which the questions of these consumers name can be read here, before anything is created.

    Raises:
        InputError: for the first that cannot.
    """
    for name in names:
        for place, payload in enumerate(config.consumers[name].smoke):
            if payload.body_file is not None:
                read_body_file(payload.body_file, f"consumers.{name}.smoke[{place}]")


def check_questions(name: str, consumer: ConsumerConfig, release: Release) -> None:
    """See that there is a question for the endpoint, and that its files are there, before anything is created.

    Raises:
        InputError: when a file that the config names cannot be read.
        Failed: when neither the config nor the Release has one: a deployment that is asked nothing proves nothing; when one names a
            container that there is not; when no question asks one of the containers that are invoked directly; and when a body is larger
            than an asynchronous endpoint takes.
    """
    if not consumer.smoke and not release.samples:
        raise Failed(
            f"There is nothing to ask version {release.version}: its Release has no samples. Add a payload with its expected answer to "
            f"consumers.{name}.smoke, or register the next version with samples: SamplePayloadUrl names a .tar.gz whose *.json members "
            "have content_type, body and expect, as crossaccount samples makes it."
        )
    given = [_bytes_of(name, place, payload) for place, payload in enumerate(consumer.smoke)]
    _check_containers(name, consumer, release)
    if consumer.endpoint.asynchronous is not None:
        recorded = [_bytes_of(name, 0, sample.question()) for sample in release.samples]
        for body, shown in given or recorded:
            check_size(consumer.endpoint.name, shown, body)


def _check_containers(name: str, consumer: ConsumerConfig, release: Release) -> None:
    direct, key = consumer.endpoint.container_mode == "direct", f"consumers.{name}.smoke"
    containers = [container.hostname for container in release.deployed_containers if direct]
    there = f"the containers of version {release.version} are {', '.join(map(str, containers))}"
    for place, question in enumerate(consumer.smoke):
        if question.container and question.container not in containers:
            why = there if direct else "the endpoint is asked as a whole"
            raise Failed(
                f"{key}[{place}].container: {quote(question.container)} cannot be asked: {why}. Correct it, or delete it."
            )
    unasked = set(containers) - {question.container for question in consumer.smoke}
    if unasked and consumer.smoke and all(question.container for question in consumer.smoke):
        left = ", ".join(str(each) for each in containers if each in unasked)
        raise Failed(
            f"No question of {key} asks {left}: {there}. Add a question with that container, or one without a container, which is put to "
            "each of them."
        )


def _configured(target: Target, place: int, payload: Smoke) -> Question:
    """A configured question, with its body from wherever that lies."""
    uri = payload.body_s3_uri
    if uri is None:
        return _question(payload, *_bytes_of(target.name, place, payload))
    owners = (target.account, target.config.producer.account)
    if target.consumer.endpoint.asynchronous is not None:  # which reads it itself, up to 1 GB of it
        read_body(target, uri, owners, first_byte=True)
        return replace(_question(payload, b"", uri), location=uri)
    return _question(payload, read_body(target, uri, owners), uri)


def _bytes_of(name: str, place: int, payload: Smoke) -> tuple[bytes, str]:
    """The bytes of a question, and how they are shown; nothing of those that lie in S3."""
    if payload.body_file is not None:
        body = read_body_file(payload.body_file, f"consumers.{name}.smoke[{place}]")
        return body, f"{os.path.basename(payload.body_file)} ({len(body)} bytes)"
    if payload.body_base64 is not None:
        body = base64.b64decode(payload.body_base64)
        return body, f"{len(body)} bytes, {payload.body_base64[:60]} in base64"
    return (payload.body or "").encode(), payload.body or ""


def _question(payload: Smoke, body: bytes, shown: str) -> Question:
    expected, judge = expectation(payload)
    return Question(
        content_type=payload.content_type,
        body=body,
        accept=payload.accept,
        shown=shown,
        expected=expected,
        judge=judge,
        container=payload.container,
        stream=payload.stream,
        read_as=reader(payload),
    )


def read_body_file(path: str, key: str) -> bytes:
    """The file that is the body of a question; ``key`` says whose.

    Raises:
        InputError: when it is missing, no plain file, or larger than a request may be.
    """
    try:
        body = read_file(path, BODY_LIMIT)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{key}.body_file: {path} cannot be read: {reason}. Put the file there, or correct the config."
        ) from None
    if len(body) > BODY_LIMIT:
        raise InputError(
            f"{key}.body_file: {path} is larger than the {BODY_LIMIT} bytes that an endpoint takes. Name a smaller file."
        )
    return body


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
