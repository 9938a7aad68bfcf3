"""The releases bucket: Releases are published there once, and read as the untrusted data of another account.

Not here: what a Release says (``manifest``), and how it comes about (``sharing.publish``).

Source: PutObject (If-None-Match) and "Add preconditions to S3 operations with conditional requests" in the S3 references.
"""

import re
import time
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from pydantic import ValidationError

from crossaccount.arns import group_arn, package_arn, parse_image, parse_s3, same_arn
from crossaccount.aws.access import Account, Producer
from crossaccount.config.model import Sharing
from crossaccount.doors import door_named
from crossaccount.doors.bucket import BUCKET
from crossaccount.errors import Failed
from crossaccount.registry.artifacts import check_registry
from crossaccount.release.manifest import RELEASE_LIMIT, Release, first_fault
from crossaccount.strict_json import parse_json

_MISSING = ("NoSuchKey", "404")
_TAKEN = ("PreconditionFailed", "412")
# Of two writes at once, which botocore never makes again. Each pause is in seconds.
_BUSY = ("ConditionalRequestConflict", "OperationAborted")
_BUSY_PAUSES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


def release_key(sharing: Sharing, version: int) -> str:
    """The key of a version's Release in the releases bucket."""
    return f"{sharing.producer.releases_prefix}{sharing.model_package_group}/{version}.json"


def list_releases(account: Account) -> tuple[set[int], str]:
    """The versions that have a Release, and the region of the releases bucket: empty where S3 does not tell it.

    Raises:
        ClientError: when S3 refuses.
    """
    prefix = f"{account.config.producer.releases_prefix}{account.config.model_package_group}/"
    keys, region = _listed(account, prefix)
    names = [key.removeprefix(prefix) for key in keys]
    numbers = {int(name.removesuffix(".json")) for name in names if re.fullmatch(r"[1-9]\d{0,8}\.json", name)}
    return numbers, region


def list_published(account: Account) -> set[int]:
    """The versions that have a Release; raises as `list_releases` does."""
    return list_releases(account)[0]


def list_keys(account: Account, prefix: str) -> list[str]:
    """The keys in the releases bucket that begin with a prefix.

    Raises:
        ClientError: when S3 refuses.
    """
    return _listed(account, prefix)[0]


def _listed(account: Account, prefix: str) -> tuple[list[str], str]:
    """The keys in the releases bucket that begin with a prefix, and the bucket's region, empty where S3 does not tell it.

    S3 tells the bucket's region in a header of every list, which its API reference does not mention.
    """
    producer = account.config.producer
    pages = list(
        account.s3.get_paginator("list_objects_v2").paginate(
            Bucket=producer.releases_bucket, Prefix=prefix, ExpectedBucketOwner=producer.account
        )
    )
    first: Any = pages[0] if pages else {}
    region = first.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-bucket-region", "")
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])], region


def encryption(config: Sharing) -> dict[str, Any]:
    """The parameters of an upload that say how it is to be encrypted; none where the bucket's default decides."""
    key = config.producer.releases_kms_key
    return {} if key is None else {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}


def write_once(producer: Producer, key: str, body: bytes) -> bool:
    """Store an object of JSON in the releases bucket; False when another one has the key, and nothing was stored.

    The same object there counts as stored: where an answer is lost botocore asks again, and S3 says that the key is taken. While
    S3 is busy with another write of the key, it is tried again, and looked at in the end.

    It is encrypted under the config's key for Releases, or else as the bucket's default says.

    Raises:
        ClientError: when S3 refuses.
    """
    bucket, owner = producer.config.producer.releases_bucket, producer.account
    for pause in (*_BUSY_PAUSES, None):
        try:
            producer.s3.put_object(
                Bucket=bucket,
                Key=key,
                Body=body,
                ContentType="application/json",
                IfNoneMatch="*",
                ExpectedBucketOwner=owner,
                **encryption(producer.config),
            )
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code not in (*_TAKEN, *_BUSY):
                raise
            if code in _TAKEN or pause is None:
                standing = _standing(producer, key, len(body) + 1)
                if standing is not None:
                    return standing == body
            if pause is None:
                raise
            time.sleep(pause)
        else:
            return True
    raise AssertionError("the last round returns or raises")


def _standing(producer: Producer, key: str, most: int) -> bytes | None:
    """The first bytes of an object in the releases bucket, so many at most; None where there is none."""
    bucket, owner = producer.config.producer.releases_bucket, producer.account
    try:
        answer = producer.s3.get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=owner)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _MISSING:
            raise
        return None
    return answer["Body"].read(most)


def find(account: Account, version: int) -> Release | None:
    """The published Release of a version; None when there is none; raises as `read` does."""
    try:
        return read(account, version)
    except ClientError as error:
        if error.response["Error"]["Code"] in _MISSING:
            return None
        raise


@dataclass(frozen=True)
class Stored:
    """A Release as it lies in the bucket, and the ARN of the KMS key that the object is encrypted under; None without one."""

    release: Release
    key: str | None


def read(account: Account, version: int) -> Release:
    """A published Release; raises as `read_stored` does."""
    return read_stored(account, version).release


def read_stored(account: Account, version: int) -> Stored:
    """Read and check a published Release. It comes from another account: nothing in it is believed unchecked.

    Raises:
        Failed: for one that is too large, that cannot be read, or that speaks of another version, group, region or account.
        ClientError: when S3 refuses it, or has none.
    """
    sharing = account.config
    bucket, key = sharing.producer.releases_bucket, release_key(sharing, version)
    answer = account.s3.get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=sharing.producer.account)
    raw = answer["Body"].read(RELEASE_LIMIT + 1)  # whatever its ContentLength says
    where = f"s3://{bucket}/{key}"
    if len(raw) > RELEASE_LIMIT:
        raise Failed(
            f"The Release {where} is larger than {RELEASE_LIMIT} bytes. This project publishes none so large."
        )
    try:
        release = Release.model_validate(parse_json(raw))
    except ValueError as error:
        fault = first_fault(error) if isinstance(error, ValidationError) else f"it is not JSON: {error}"
        raise Failed(f"The Release {where} cannot be used: {fault}. Its producer publishes it.") from None
    _check_identity(sharing, version, release, where)
    _check_places(sharing, release, where)
    encrypted = str(answer.get("ServerSideEncryption", "")).startswith("aws:kms")
    return Stored(release, answer.get("SSEKMSKeyId") if encrypted else None)


def _check_identity(sharing: Sharing, version: int, release: Release, where: str) -> None:
    expected = {
        "model_package_arn": package_arn(sharing, version),
        "model_package_group": group_arn(sharing),
        "version": version,
        "region": sharing.region,
        "producer_account": sharing.producer.account,
    }
    for name, value in expected.items():
        if not same_arn(str(getattr(release, name)), str(value)):
            raise Failed(
                f"The Release {where} says {name} is {getattr(release, name)!r}, the config says {value!r}. It is not used."
            )


def _check_places(sharing: Sharing, release: Release, where: str) -> None:
    """See that a Release names only what its producer can share, before anything that it names is asked about.

    No name says who owns a bucket: every call on it says who must (ExpectedBucketOwner).

    Raises:
        Failed: with the first place that the producer cannot share.
    """
    try:
        for container in release.deployed_containers:
            check_registry(sharing, parse_image(container.image))
        for uri in (artifact.uri for container in release.containers for artifact in container.artifacts):
            bucket, key = parse_s3(uri)
            if not BUCKET.is_right(sharing, bucket) or not key:
                raise Failed(f"{uri} is neither an object nor a folder of a bucket.")
        for grant in release.grants:
            door = door_named(grant.door)
            if door is None:
                raise Failed(
                    f"the door {grant.door!r} is unknown to this version of crossaccount; upgrade it."
                )
            if not door.is_right(sharing, grant.resource):
                raise Failed(
                    f"the {grant.door} {grant.resource} does not belong to account {sharing.producer.account} in {sharing.region}."
                )
    except Failed as failed:
        raise Failed(
            f"The Release {where} names a resource that its producer cannot share: {failed} It is not used."
        ) from None
