"""What S3 and ECR keep in an archive is read by nobody until it is restored; a key that changes in place leaves the ETag."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount_sandbox.accounts import push_image
from crossaccount_sandbox.handlers.storage import move
from crossaccount_sandbox.world import utc_now

BUCKET = "kept-bucket"
HERE = {"Bucket": BUCKET, "Key": "m"}
SSE = {"ServerSideEncryption": "aws:kms"}
READABLE = ("STANDARD", "STANDARD_IA", "ONEZONE_IA", "GLACIER_IR", "INTELLIGENT_TIERING")


def refused(call: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as error:
        call()
    return {
        **error.value.response["Error"],
        "status": error.value.response["ResponseMetadata"]["HTTPStatusCode"],
    }


@pytest.fixture(scope="module")
def s3(inner: Any) -> Any:
    client = inner.client("producer", "s3")
    client.create_bucket(Bucket=BUCKET)
    return client


@pytest.mark.parametrize("kept", READABLE)
def test_what_is_in_no_archive_is_read(s3: Any, kept: str) -> None:
    s3.put_object(**HERE, Body=b"x", StorageClass=kept)
    assert s3.get_object(**HERE)["Body"].read() == b"x"
    head = s3.head_object(**HERE)
    assert head.get("StorageClass", "STANDARD") == kept
    assert not {"ArchiveStatus", "Restore"} & set(head)


def archive(inner: Any, s3: Any, kept: str) -> None:
    tier = kept if "ACCESS" in kept else None
    s3.put_object(**HERE, Body=b"x", StorageClass="INTELLIGENT_TIERING" if tier else kept)
    if tier:
        move(inner.server.world, *HERE.values(), tier)


ARCHIVES = {
    "GLACIER": (timedelta(hours=5), {"Days": 2}),
    "DEEP_ARCHIVE": (timedelta(hours=12), {"Days": 2}),
    "ARCHIVE_ACCESS": (timedelta(hours=5), {}),
    "DEEP_ARCHIVE_ACCESS": (timedelta(hours=12), {}),
}


@pytest.mark.parametrize("kept", ARCHIVES)
def test_what_is_archived_is_refused_and_still_shown(inner: Any, s3: Any, kept: str) -> None:
    archive(inner, s3, kept)
    tier = "ACCESS" in kept
    said = refused(lambda: s3.get_object(**HERE, Range="bytes=0-0"))
    assert (said["Code"], said["status"]) == ("InvalidObjectState", 403)
    assert (
        said["Message"]
        == f"The operation is not valid for the object's {'access tier' if tier else 'storage class'}"
    )
    head = s3.head_object(**HERE)
    assert head["StorageClass"] == ("INTELLIGENT_TIERING" if tier else kept)
    assert head.get("ArchiveStatus") == (kept if tier else None)
    assert s3.list_objects_v2(Bucket=BUCKET)["Contents"][0]["StorageClass"] == head["StorageClass"]
    copied = refused(lambda: s3.copy_object(**HERE, CopySource=f"{BUCKET}/m"))
    assert copied["Code"] == "ObjectNotInActiveTierError"


@pytest.mark.parametrize("kept", ARCHIVES)
def test_a_restore_takes_hours_and_a_copy_lasts_for_its_days(inner: Any, s3: Any, kept: str) -> None:
    archive(inner, s3, kept)
    hours, request = ARCHIVES[kept]
    s3.restore_object(**HERE, RestoreRequest=request)
    again = refused(lambda: s3.restore_object(**HERE, RestoreRequest=request))
    assert (again["Code"], again["status"]) == ("RestoreAlreadyInProgress", 409)
    assert s3.head_object(**HERE)["Restore"] == 'ongoing-request="true"'
    assert refused(lambda: s3.get_object(**HERE))["Code"] == "InvalidObjectState"
    world = inner.server.world
    (place,) = (place for place in world.restores if place[:2] == (BUCKET, "m"))
    assert abs(world.restores[place].ready - utc_now() - hours) < timedelta(minutes=1)
    world.restores[place] = type(world.restores[place])(utc_now(), world.restores[place].ends)
    assert s3.get_object(**HERE)["Body"].read() == b"x"
    head = s3.head_object(**HERE)
    if "ACCESS" in kept:
        assert not {"ArchiveStatus", "Restore"} & set(head)
        return
    assert head["Restore"].startswith('ongoing-request="false", expiry-date="')
    assert head["StorageClass"] == kept
    world.restores[place] = type(world.restores[place])(utc_now(), utc_now())
    assert refused(lambda: s3.get_object(**HERE))["Code"] == "InvalidObjectState"
    assert "Restore" not in s3.head_object(**HERE)


@pytest.mark.parametrize(
    ("kept", "request_", "code"),
    [
        ("STANDARD", {"Days": 1}, "InvalidObjectState"),
        ("GLACIER_IR", {"Days": 1}, "InvalidObjectState"),
        ("INTELLIGENT_TIERING", {}, "InvalidObjectState"),
        ("GLACIER", {}, "MalformedXML"),
    ],
)
def test_what_is_not_restored(s3: Any, kept: str, request_: dict[str, int], code: str) -> None:
    s3.put_object(**HERE, Body=b"x", StorageClass=kept)
    assert refused(lambda: s3.restore_object(**HERE, RestoreRequest=request_))["Code"] == code


def test_an_upload_takes_an_object_out_of_its_archive(inner: Any, s3: Any) -> None:
    archive(inner, s3, "ARCHIVE_ACCESS")
    s3.put_object(**HERE, Body=b"y", StorageClass="INTELLIGENT_TIERING")
    assert s3.get_object(**HERE)["Body"].read() == b"y"


@pytest.mark.parametrize(
    ("key", "kept", "tier", "says"),
    [
        ("ghost", "STANDARD", "ARCHIVE_ACCESS", "no object"),
        ("m", "STANDARD", "ARCHIVE_ACCESS", "no object"),
        ("m", "INTELLIGENT_TIERING", "FROZEN", "no archive tier"),
    ],
)
def test_what_is_moved_into_no_archive_tier(
    inner: Any, s3: Any, key: str, kept: str, tier: str, says: str
) -> None:
    s3.put_object(**HERE, Body=b"x", StorageClass=kept)
    with pytest.raises(ValueError, match=says):
        move(inner.server.world, BUCKET, key, tier)


# Keys.


@pytest.fixture(scope="module")
def keys(inner: Any) -> list[str]:
    kms = inner.client("producer", "kms")
    return [str(kms.create_key()["KeyMetadata"]["Arn"]) for _ in range(2)]


@pytest.mark.parametrize("under", [{}, {"ServerSideEncryption": "AES256"}])
def test_an_etag_is_the_digest_of_the_bytes_without_a_kms_key(s3: Any, under: dict[str, str]) -> None:
    digest = hashlib.md5(b"x", usedforsecurity=False).hexdigest()
    assert s3.put_object(**HERE, Body=b"x", **under)["ETag"] == f'"{digest}"'


def test_the_same_bytes_have_another_etag_at_each_upload_under_a_kms_key(s3: Any, keys: list[str]) -> None:
    digest = hashlib.md5(b"x", usedforsecurity=False).hexdigest()
    put = {**SSE, "SSEKMSKeyId": keys[0]}
    uploads = [s3.put_object(**HERE, Body=b"x", **put)["ETag"] for _ in range(2)]
    shown = s3.head_object(**HERE)["ETag"]
    uploads.append(s3.copy_object(**HERE, CopySource=f"{BUCKET}/m", **put)["CopyObjectResult"]["ETag"])
    assert shown == uploads[1]
    assert len({f'"{digest}"', *uploads}) == 4
    assert s3.head_object(**HERE)["ETag"] == uploads[2]
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="m")["Contents"][0]["ETag"] == uploads[2]


def test_a_key_that_changes_in_place_leaves_everything_else(s3: Any, keys: list[str]) -> None:
    s3.put_object(**HERE, Body=b"x", **SSE, SSEKMSKeyId=keys[0], StorageClass="STANDARD_IA")
    before = s3.head_object(**HERE)
    s3.update_object_encryption(**HERE, ObjectEncryption={"SSEKMS": {"KMSKeyArn": keys[1]}})
    after = s3.head_object(**HERE)
    assert (before["SSEKMSKeyId"], after["SSEKMSKeyId"]) == tuple(keys)
    for name in ("ETag", "LastModified", "StorageClass", "ContentLength"):
        assert before[name] == after[name]
    assert s3.get_object(**HERE)["Body"].read() == b"x"


def test_an_object_without_a_key_gets_one_in_place_and_keeps_its_digest(s3: Any, keys: list[str]) -> None:
    etag = s3.put_object(**HERE, Body=b"x")["ETag"]
    s3.update_object_encryption(**HERE, ObjectEncryption={"SSEKMS": {"KMSKeyArn": keys[1]}})
    head = s3.head_object(**HERE)
    assert (head["ETag"], head["SSEKMSKeyId"]) == (etag, keys[1])


ALL = ("s3:*", "kms:Decrypt", "kms:ReEncrypt*", "kms:Encrypt", "kms:GenerateDataKey")


@pytest.mark.parametrize("without", ALL)
def test_a_key_changes_only_for_who_may_use_both(inner: Any, s3: Any, keys: list[str], without: str) -> None:
    s3.put_object(**HERE, Body=b"x", **SSE, SSEKMSKeyId=keys[0])
    allow = {"Effect": "Allow", "Action": [one for one in ALL if one != without], "Resource": "*"}
    narrow = inner.session("producer", "s3", json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    change = {"ObjectEncryption": {"SSEKMS": {"KMSKeyArn": keys[1]}}}
    said = refused(lambda: narrow.update_object_encryption(**HERE, **change))
    assert said["Code"] == "AccessDenied"
    assert s3.head_object(**HERE)["SSEKMSKeyId"] == keys[0]


@pytest.mark.parametrize(
    ("key", "arn", "code"),
    [
        ("ghost", "own", "NoSuchKey"),
        ("m", "bare", "InvalidRequest"),
        ("m", "theirs", "AccessDenied"),
        ("m", "ghost", "KMS.NotFoundException"),
    ],
)
def test_a_key_that_an_object_does_not_get(
    inner: Any, s3: Any, keys: list[str], key: str, arn: str, code: str
) -> None:
    s3.put_object(**HERE, Body=b"x")
    arns = {"own": keys[0], "bare": keys[0].rpartition("/")[2], "ghost": f"{keys[0][:-4]}0000"}
    arns["theirs"] = inner.client("staging", "kms").create_key()["KeyMetadata"]["Arn"]
    change = {"ObjectEncryption": {"SSEKMS": {"KMSKeyArn": arns[arn]}}}
    assert refused(lambda: s3.update_object_encryption(Bucket=BUCKET, Key=key, **change))["Code"] == code


# Images.

IMAGE = {"repositoryName": "kept"}
TAG = {"imageTag": "1"}


@pytest.fixture(scope="module")
def ecr(inner: Any) -> Any:
    client = inner.client("producer", "ecr")
    client.create_repository(**IMAGE)
    push_image(client, IMAGE["repositoryName"], "1")
    return client


def test_an_archived_image_is_shown_and_not_pulled(ecr: Any) -> None:
    digest = ecr.batch_get_image(**IMAGE, imageIds=[TAG])["images"][0]["imageId"]["imageDigest"]
    said = ecr.update_image_storage_class(**IMAGE, imageId=TAG, targetStorageClass="ARCHIVE")
    assert said["imageStatus"] == "ARCHIVED"
    for each in (TAG, {"imageDigest": digest}):
        answer = ecr.batch_get_image(**IMAGE, imageIds=[each])
        assert answer["images"] == []
        assert [one["failureCode"] for one in answer["failures"]] == ["ImageInaccessible"]
    assert ecr.describe_images(**IMAGE)["imageDetails"][0]["imageStatus"] == "ARCHIVED"
    again = refused(
        lambda: ecr.update_image_storage_class(**IMAGE, imageId=TAG, targetStorageClass="ARCHIVE")
    )
    assert again["Code"] == "ImageStorageClassUpdateNotSupportedException"
    said = ecr.update_image_storage_class(
        **IMAGE, imageId={"imageDigest": digest}, targetStorageClass="STANDARD"
    )
    assert said["imageStatus"] == "ACTIVE"
    assert ecr.batch_get_image(**IMAGE, imageIds=[TAG])["images"]


def test_an_archived_image_that_is_pushed_again_is_restored(ecr: Any) -> None:
    ecr.update_image_storage_class(**IMAGE, imageId=TAG, targetStorageClass="ARCHIVE")
    push_image(ecr, IMAGE["repositoryName"], "again")
    assert ecr.batch_get_image(**IMAGE, imageIds=[TAG])["images"]


@pytest.mark.parametrize(
    ("repository", "tag", "code"),
    [("ghost", "1", "RepositoryNotFoundException"), ("kept", "ghost", "ImageNotFoundException")],
)
def test_an_image_that_is_not_there_is_moved_nowhere(ecr: Any, repository: str, tag: str, code: str) -> None:
    given = {"imageId": {"imageTag": tag}, "targetStorageClass": "ARCHIVE"}
    assert refused(lambda: ecr.update_image_storage_class(repositoryName=repository, **given))["Code"] == code
    assert ecr.batch_get_image(**IMAGE, imageIds=[{"imageTag": "ghost"}])["failures"][0]["failureCode"] == (
        "ImageNotFound"
    )


def test_an_object_is_never_seen_half_written(s3: Any) -> None:
    """A reader beside a writer sees each object with all that was said of it."""
    done = threading.Event()

    def write() -> None:
        for number in range(150):
            body = json.dumps({"number": number}).encode()
            s3.put_object(Bucket=BUCKET, Key="half/object", Body=body, ContentType="application/json")
            s3.delete_object(Bucket=BUCKET, Key="half/object")
        done.set()

    def read() -> set[str]:
        seen = set[str]()
        while not done.is_set():
            with suppress(s3.exceptions.NoSuchKey):
                seen.add(s3.get_object(Bucket=BUCKET, Key="half/object")["ContentType"])
        return seen

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # the sandbox is in this process
    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        pool.submit(write).result()
        seen = set[str]().union(*(reader.result() for reader in readers))
    sys.setswitchinterval(interval)
    assert seen == {"application/json"}
