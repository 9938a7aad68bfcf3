"""The Release: an immutable manifest of one shared version, and the only thing that crosses between the accounts.

The producer publishes it in S3 with a conditional put; the consumer reads it as the untrusted data of another account. It
names no consumer, so it stays true as consumers come and go. Not here: how one is made (``sharing.publish``).

Source: PutObject (If-None-Match) in the S3 API reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

from botocore.exceptions import ClientError
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

from crossaccount.arns import group_arn, package_arn, parse_image, parse_s3
from crossaccount.doors import door_named
from crossaccount.doors.base import Resource
from crossaccount.doors.bucket import BUCKET
from crossaccount.doors.key import KEY
from crossaccount.errors import LAST_VERSION, Failed
from crossaccount.packages import Contents, artifact_at, check_registry
from crossaccount.strict_json import check_whole_number, parse_json

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from crossaccount.aws.access import Producer
    from crossaccount.config.model import Sharing


RELEASE_LIMIT = 1_000_000
MEMBER_LIMIT, SAMPLES_LIMIT = 1_000_000, 100


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it holds a character that cannot be printed")
    return text


_Short = Annotated[str, Field(max_length=2048), AfterValidator(_printable)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Sample(_Model):
    """One question to the endpoint, and the answer that the producer's own model gave."""

    content_type: _Short
    body: Annotated[str, Field(max_length=MEMBER_LIMIT)]
    expect: JsonValue
    accept: _Short = "application/json"


class ReleasedArtifact(_Model):
    """An artifact and its ETag when it was shared; a prefix has none."""

    uri: _Short
    etag: _Short | None


class ReleasedContainer(_Model):
    """A container: its image, pinned by digest, and its artifacts. ``specification`` is None for the main one."""

    image: _Short
    image_digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None
    artifacts: Annotated[list[ReleasedArtifact], Field(max_length=100)]
    specification: _Short | None


class Grant(_Model):
    """What was opened for the version: a door, on which resource, for which actions."""

    door: _Short
    resource: _Short
    actions: Annotated[list[_Short], Field(max_length=50)]


class Release(_Model):
    """One shared version."""

    schema_version: Annotated[Literal[1], BeforeValidator(check_whole_number)]
    model_package_arn: _Short
    model_package_group: _Short
    version: Annotated[int, Field(ge=1, le=LAST_VERSION)]
    region: _Short
    producer_account: Annotated[str, Field(pattern=r"^\d{12}$")]
    approval_status: _Short
    package_status: _Short
    containers: Annotated[list[ReleasedContainer], Field(max_length=240)]
    content_types: Annotated[list[_Short], Field(max_length=100)]
    response_types: Annotated[list[_Short], Field(max_length=100)]
    instance_types: Annotated[list[_Short], Field(max_length=500)]
    samples: Annotated[list[Sample], Field(max_length=SAMPLES_LIMIT)]
    grants: Annotated[list[Grant], Field(max_length=100)]

    @property
    def deployed_containers(self) -> list[ReleasedContainer]:
        """The containers that CreateModel deploys from the package: those of its main specification."""
        return [container for container in self.containers if container.specification is None]

    @property
    def contents(self) -> Contents:
        """The images and artifacts of the deployed containers, and the keys that were opened for them."""
        containers = self.deployed_containers
        return Contents(
            tuple(container.image for container in containers),
            tuple(
                artifact_at(artifact.uri, is_prefix=artifact.etag is None)
                for container in containers
                for artifact in container.artifacts
            ),
            tuple(grant.resource for grant in self.grants if grant.door == KEY.name),
        )

    def to_bytes(self) -> bytes:
        """The manifest as it is stored: equal Releases are equal bytes."""
        return (json.dumps(self.model_dump(), indent=1, sort_keys=True) + "\n").encode()


def release_key(sharing: Sharing, version: int) -> str:
    """Where in the releases bucket the Release of a version lies."""
    return f"{sharing.producer.releases_prefix}{sharing.model_package_group}/{version}.json"


def published(client: S3Client, sharing: Sharing) -> set[int]:
    """The versions that have a Release.

    Raises:
        ClientError: when S3 refuses.
    """
    prefix = f"{sharing.producer.releases_prefix}{sharing.model_package_group}/"
    names = [key.removeprefix(prefix) for key in list_keys(client, sharing, prefix)]
    return {int(name.removesuffix(".json")) for name in names if re.fullmatch(r"[1-9]\d{0,8}\.json", name)}


def list_keys(client: S3Client, sharing: Sharing, prefix: str) -> list[str]:
    """The keys in the releases bucket that begin so.

    Raises:
        ClientError: when S3 refuses.
    """
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=sharing.producer.releases_bucket, Prefix=prefix, ExpectedBucketOwner=sharing.producer.account
    )
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def opened(producer: Producer, known: Iterable[int]) -> list[Resource]:
    """The resources that Releases say were opened for versions that the registry no longer has.

    Args:
        producer: the producer's account.
        known: the versions that the registry has; their needs are found there.

    Raises:
        Failed: for a Release that cannot be read.
        ClientError: when S3 refuses.
    """
    config = producer.config
    return [
        Resource(door.kind, grant.resource, producer.account)
        for number in sorted(published(producer.s3, config) - set(known))
        for grant in read(producer.s3, config, number).grants
        if (door := door_named(grant.door)) is not None
    ]


def write_once(producer: Producer, key: str, body: bytes) -> bool:
    """Store an object of JSON in the releases bucket where there is none; False when there was one already.

    Raises:
        ClientError: when S3 refuses.
    """
    try:
        producer.s3.put_object(
            Bucket=producer.config.producer.releases_bucket,
            Key=key,
            Body=body,
            ContentType="application/json",
            IfNoneMatch="*",
            ExpectedBucketOwner=producer.account,
        )
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("PreconditionFailed", "412"):
            raise
        return False
    return True


def find(client: S3Client, sharing: Sharing, version: int) -> Release | None:
    """The published Release of a version; None when there is none."""
    try:
        return read(client, sharing, version)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            return None
        raise


def read(client: S3Client, sharing: Sharing, version: int) -> Release:
    """Read and check a published Release. It comes from another account: nothing in it is believed unchecked.

    Raises:
        Failed: for one that is too large, that cannot be read, or that speaks of another version, group, region or account.
        ClientError: when S3 refuses it, or has none.
    """
    bucket, key = sharing.producer.releases_bucket, release_key(sharing, version)
    answer = client.get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=sharing.producer.account)
    raw = answer["Body"].read(RELEASE_LIMIT + 1)  # whatever its ContentLength says
    where = f"s3://{bucket}/{key}"
    if len(raw) > RELEASE_LIMIT:
        raise Failed(
            f"The Release {where} is larger than {RELEASE_LIMIT} bytes. It is none of this project's."
        )
    try:
        release = Release.model_validate(parse_json(raw))
    except ValueError as error:
        if not isinstance(error, ValidationError):
            raise Failed(f"The Release {where} is not JSON: {error}. Its producer publishes it.") from None
        raise Failed(
            f"The Release {where} cannot be used: {first_fault(error)}. Its producer publishes it."
        ) from None
    _check_identity(sharing, version, release, where)
    _check_places(sharing, release, where)
    return release


def first_fault(error: ValidationError) -> str:
    """The first fault of a manifest or a sample, in a line."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"])).encode("unicode_escape").decode()[:200] or "the document"
    return f"{place}: {first['msg']}"


def _check_identity(sharing: Sharing, version: int, release: Release, where: str) -> None:
    expected = {
        "model_package_arn": package_arn(sharing, version),
        "model_package_group": group_arn(sharing),
        "version": version,
        "region": sharing.region,
        "producer_account": sharing.producer.account,
    }
    for name, value in expected.items():
        if getattr(release, name) != value:
            raise Failed(
                f"The Release {where} says {name} is {getattr(release, name)!r}, the config says {value!r}. It is not used."
            )


def _check_places(sharing: Sharing, release: Release, where: str) -> None:
    """See that a Release names only what its producer can share, before anything that it names is asked about.

    Whose a bucket is, no name says: every call on it says whose it must be (ExpectedBucketOwner).

    Raises:
        Failed: with the first place that is somebody else's, or none.
    """
    try:
        for container in release.deployed_containers:
            check_registry(sharing, parse_image(container.image))
        for uri in (artifact.uri for container in release.containers for artifact in container.artifacts):
            bucket, key = parse_s3(uri)
            if not BUCKET.is_right(sharing, bucket) or not key:
                raise Failed(f"{uri} is no object and no folder of a bucket.")
        for grant in release.grants:
            _check_grant(sharing, grant)
    except Failed as failed:
        raise Failed(
            f"The Release {where} names what is not its producer's to share: {failed} It is not used."
        ) from None


def _check_grant(sharing: Sharing, grant: Grant) -> None:
    door = door_named(grant.door)
    if door is None or not door.is_right(sharing, grant.resource):
        raise Failed(
            f"the {grant.door} {grant.resource} is none of account {sharing.producer.account} in {sharing.region}."
        )
