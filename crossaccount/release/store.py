"""Where Releases lie: published once in the releases bucket, read as the untrusted data of another account.

Source: PutObject (If-None-Match) in the S3 API reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from pydantic import ValidationError

from crossaccount.arns import group_arn, package_arn, parse_image, parse_s3
from crossaccount.aws.access import Producer
from crossaccount.config.model import Sharing
from crossaccount.doors import door_named
from crossaccount.doors.base import Resource
from crossaccount.doors.bucket import BUCKET
from crossaccount.errors import Failed
from crossaccount.registry.artifacts import check_registry
from crossaccount.strict_json import parse_json

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
from crossaccount.release.manifest import RELEASE_LIMIT, Grant, Release, first_fault


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
