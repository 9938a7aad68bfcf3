"""Multipart uploads and copies larger than a part: who may, under which keys, and what comes of them."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

SOURCE, TARGET = "multipart-source", "multipart-target"
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def keys(inner: Any) -> dict[str, str]:
    kms = inner.client("producer", "kms")
    return {name: kms.create_key()["KeyMetadata"]["Arn"] for name in ("source", "target")}


@pytest.fixture(scope="module", autouse=True)
def stored(inner: Any, keys: dict[str, str]) -> bytes:
    s3 = inner.client("producer", "s3")
    for name in (SOURCE, TARGET):
        s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=SOURCE, VersioningConfiguration={"Status": "Enabled"})
    body = os.urandom(11 * MEGABYTE)
    s3.put_object(Bucket=SOURCE, Key="plain", Body=body)
    s3.put_object(
        Bucket=SOURCE, Key="under", Body=body, ServerSideEncryption="aws:kms", SSEKMSKeyId=keys["source"]
    )
    return body


@pytest.fixture
def s3(inner: Any) -> Any:
    return inner.client("producer", "s3")


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def narrow(inner: Any, *statements: tuple[str, str, str] | dict[str, Any]) -> Any:
    """S3 in a session that may do these (effect, action, resource) and nothing else."""
    listed = [
        one if isinstance(one, dict) else dict(zip(("Effect", "Action", "Resource"), one, strict=True))
        for one in statements
    ]
    return inner.session("producer", "s3", json.dumps({"Version": "2012-10-17", "Statement": listed}))


OWN = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "*"}


@pytest.mark.parametrize("key", ["plain", "under"])
@pytest.mark.parametrize("encrypts", [False, True])
def test_a_copy_of_many_parts_is_the_object(
    s3: Any, stored: bytes, keys: dict[str, str], key: str, encrypts: bool
) -> None:
    more = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": keys["target"]} if encrypts else {}
    settings = TransferConfig(multipart_threshold=5 * MEGABYTE, multipart_chunksize=5 * MEGABYTE)
    s3.copy({"Bucket": SOURCE, "Key": key}, TARGET, "copy", ExtraArgs=more, Config=settings)
    read = s3.get_object(Bucket=TARGET, Key="copy")
    assert hashlib.sha256(read["Body"].read()).digest() == hashlib.sha256(stored).digest()
    assert read["ETag"].endswith('-3"')
    assert read.get("SSEKMSKeyId") == (keys["target"] if encrypts else None)
    assert read["ServerSideEncryption"] == ("aws:kms" if encrypts else "AES256")


def test_a_copied_part_is_of_the_version_that_is_named(s3: Any) -> None:
    versions = [
        s3.put_object(Bucket=SOURCE, Key="versions", Body=body)["VersionId"] for body in (b"old", b"new")
    ]
    upload = {
        "Bucket": TARGET,
        "Key": "v",
        "UploadId": s3.create_multipart_upload(Bucket=TARGET, Key="v")["UploadId"],
    }
    source = {"Bucket": SOURCE, "Key": "versions", "VersionId": versions[0]}
    part = s3.upload_part_copy(**upload, PartNumber=1, CopySource=source)
    assert part["CopySourceVersionId"] == versions[0]
    listed = [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": listed})
    assert s3.get_object(Bucket=TARGET, Key="v")["Body"].read() == b"old"


def test_a_copied_part_names_what_it_cannot_find(s3: Any) -> None:
    upload = {
        "Bucket": TARGET,
        "Key": "n",
        "UploadId": s3.create_multipart_upload(Bucket=TARGET, Key="n")["UploadId"],
    }
    for source, expected in (
        ({"Bucket": SOURCE, "Key": "none"}, "NoSuchKey"),
        ({"Bucket": "never-there-at-all", "Key": "none"}, "NoSuchBucket"),
        (
            {"Bucket": SOURCE, "Key": "plain", "VersionId": "00000000-0000-4000-8000-000000000000"},
            "NoSuchVersion",
        ),
    ):
        with pytest.raises(ClientError) as error:
            s3.upload_part_copy(**upload, PartNumber=1, CopySource=source)
        assert code(error) == expected
    with pytest.raises(ClientError) as error:
        s3.upload_part_copy(**upload, PartNumber=1, CopySource=f"{SOURCE}/plain", CopySourceIfMatch='"none"')
    assert code(error) == "PreconditionFailed"
    for number in (0, 10_001):
        with pytest.raises(ClientError) as error:
            s3.upload_part_copy(**upload, PartNumber=number, CopySource=f"{SOURCE}/plain")
        assert code(error) == "InvalidArgument"
    s3.abort_multipart_upload(**upload)


ALL = f"arn:aws:s3:::{TARGET}/*"
FROM = f"arn:aws:s3:::{SOURCE}/*"
# What a session may do, which object it copies, whether under a key, and the first action that is refused.
JUDGED: dict[str, tuple[list[tuple[str, str, str]], str, bool, str | None]] = {
    "both": ([("Allow", "s3:GetObject", FROM), ("Allow", "s3:PutObject", ALL)], "plain", False, None),
    "no read": ([("Allow", "s3:PutObject", ALL)], "plain", False, "s3:GetObject"),
    "no write": ([("Allow", "s3:GetObject", FROM)], "plain", False, "s3:PutObject"),
    "a read of the target alone": (
        [("Allow", "s3:GetObject", ALL), ("Allow", "s3:PutObject", ALL)], "plain", False, "s3:GetObject",
    ),
    "a Deny of reading": (
        [("Allow", "s3:*", "*"), ("Deny", "s3:GetObject", FROM)], "plain", False, "s3:GetObject",
    ),
    "no key of the source": ([("Allow", "s3:*", "*")], "under", False, "kms:Decrypt"),
    "the key of the source": ([("Allow", "s3:*", "*"), ("Allow", "kms:Decrypt", "SOURCE")], "under", False, None),
    "no key of the target": ([("Allow", "s3:*", "*")], "plain", True, "kms:Decrypt"),
    "the key of the target for writing": (
        [("Allow", "s3:*", "*"), ("Allow", "kms:GenerateDataKey", "TARGET")], "plain", True, "kms:Decrypt",
    ),
    "the key of the target": ([("Allow", "s3:*", "*"), ("Allow", "kms:Decrypt", "TARGET")], "plain", True, None),
    "the key of the source for both": (
        [("Allow", "s3:*", "*"), ("Allow", "kms:Decrypt", "SOURCE")], "under", True, "kms:Decrypt",
    ),
    "the keys of both": (
        [("Allow", "s3:*", "*"), ("Allow", "kms:Decrypt", "SOURCE"), ("Allow", "kms:Decrypt", "TARGET")], "under", True, None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", JUDGED)
def test_a_copied_part_is_a_read_and_a_write(inner: Any, s3: Any, keys: dict[str, str], what: str) -> None:
    statements, key, encrypts, refused = JUDGED[what]
    named = [(effect, action, keys.get(on.lower(), on)) for effect, action, on in statements]
    more = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": keys["target"]} if encrypts else {}
    upload = {
        "Bucket": TARGET,
        "Key": "j",
        "UploadId": s3.create_multipart_upload(Bucket=TARGET, Key="j", **more)["UploadId"],
    }
    session = narrow(inner, *named)
    try:
        if refused is None:
            part = session.upload_part_copy(**upload, PartNumber=1, CopySource=f"{SOURCE}/{key}")
            assert part["CopyPartResult"]["ETag"]
        else:
            with pytest.raises(ClientError, match=f"not authorized to perform: {refused} ") as error:
                session.upload_part_copy(**upload, PartNumber=1, CopySource=f"{SOURCE}/{key}")
            assert code(error) == "AccessDenied"
    finally:
        s3.abort_multipart_upload(**upload)


# Of each further call about an upload under a key: the action that is asked, and the one that is not.
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "upload_part": ("s3:PutObject", {"PartNumber": 1, "Body": b"x"}),
    "list_parts": ("s3:ListMultipartUploadParts", {}),
    "abort_multipart_upload": ("s3:AbortMultipartUpload", {}),
}


@pytest.mark.parametrize("operation", ASKED)
def test_every_call_about_an_upload_asks_its_own_action(inner: Any, s3: Any, operation: str) -> None:
    action, more = ASKED[operation]
    upload = {
        "Bucket": TARGET,
        "Key": "a",
        "UploadId": s3.create_multipart_upload(Bucket=TARGET, Key="a")["UploadId"],
    }
    without = narrow(inner, ("Allow", "s3:*", "*"), ("Deny", action, "*"))
    with pytest.raises(ClientError, match=f"not authorized to perform: {action} ") as error:
        getattr(without, operation)(**upload, **more)
    assert code(error) == "AccessDenied"
    getattr(narrow(inner, ("Allow", action, "*")), operation)(**upload, **more)


@pytest.mark.parametrize(
    ("allowed", "refused"),
    [
        ((), "kms:GenerateDataKey"),
        (("kms:Decrypt",), "kms:GenerateDataKey"),
        (("kms:GenerateDataKey",), None),
    ],
)
def test_an_upload_under_a_key_is_begun_by_who_may_use_it(
    inner: Any, keys: dict[str, str], allowed: tuple[str, ...], refused: str | None
) -> None:
    session = narrow(inner, OWN, *(("Allow", action, keys["target"]) for action in allowed))
    more = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": keys["target"]}
    if refused is None:
        assert (
            session.create_multipart_upload(Bucket=TARGET, Key="b", **more)["SSEKMSKeyId"] == keys["target"]
        )
        return
    with pytest.raises(ClientError, match=refused):
        session.create_multipart_upload(Bucket=TARGET, Key="b", **more)


def test_a_part_under_a_key_is_read_again_and_asks_it(inner: Any, s3: Any, keys: dict[str, str]) -> None:
    more = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": keys["target"]}
    begun = s3.create_multipart_upload(Bucket=TARGET, Key="c", **more)
    upload = {"Bucket": TARGET, "Key": "c", "UploadId": begun["UploadId"]}
    writes = narrow(inner, OWN, ("Allow", "kms:GenerateDataKey", keys["target"]))
    with pytest.raises(ClientError, match="kms:Decrypt"):
        writes.upload_part(**upload, PartNumber=1, Body=b"x")
    both = narrow(
        inner,
        OWN,
        ("Allow", "kms:GenerateDataKey", keys["target"]),
        ("Allow", "kms:Decrypt", keys["target"]),
    )
    part = both.upload_part(**upload, PartNumber=1, Body=b"x")
    assert (part["ServerSideEncryption"], part["SSEKMSKeyId"]) == ("aws:kms", keys["target"])
    listed = [{"PartNumber": 1, "ETag": part["ETag"]}]
    with pytest.raises(ClientError, match="kms:Decrypt"):
        writes.complete_multipart_upload(**upload, MultipartUpload={"Parts": listed})
    done = both.complete_multipart_upload(**upload, MultipartUpload={"Parts": listed})
    assert (done["SSEKMSKeyId"], done["ETag"][-3:]) == (keys["target"], '-1"')


def test_an_upload_goes_on_under_its_key_alone(inner: Any, s3: Any) -> None:
    kms = inner.client("producer", "kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    more = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    upload = {
        "Bucket": TARGET,
        "Key": "d",
        "UploadId": s3.create_multipart_upload(Bucket=TARGET, Key="d", **more)["UploadId"],
    }
    kms.disable_key(KeyId=key)
    with pytest.raises(ClientError) as error:
        s3.upload_part(**upload, PartNumber=1, Body=b"x")
    assert code(error) == "KMS.DisabledException"
    with pytest.raises(ClientError) as error:
        s3.upload_part_copy(**upload, PartNumber=1, CopySource=f"{SOURCE}/plain")
    assert code(error) == "KMS.DisabledException"
    s3.abort_multipart_upload(**upload)


def test_uploads_of_nobody_are_not_found(s3: Any) -> None:
    upload = {
        "Bucket": TARGET,
        "Key": "e",
        "UploadId": s3.create_multipart_upload(Bucket=TARGET, Key="e")["UploadId"],
    }
    other = {**upload, "Key": "another"}
    s3.abort_multipart_upload(**upload)
    parts: dict[str, Any] = {"MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": "x"}]}}
    for named in (upload, other):
        for operation, more in (
            ("upload_part", {"PartNumber": 1, "Body": b"x"}),
            ("upload_part_copy", {"PartNumber": 1, "CopySource": f"{SOURCE}/plain"}),
            ("list_parts", {}),
            ("abort_multipart_upload", {}),
            ("complete_multipart_upload", parts),
        ):
            with pytest.raises(ClientError) as error:
                getattr(s3, operation)(**named, **more)
            assert code(error) == "NoSuchUpload"


def test_an_upload_is_its_beginner_s_and_shown_so(inner: Any, s3: Any) -> None:
    other = inner.client("staging", "s3")
    given = {"Effect": "Allow", "Principal": {"AWS": "222222222222"}, "Action": "s3:*", "Resource": ALL}
    s3.put_bucket_policy(Bucket=TARGET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [given]}))
    begun = other.create_multipart_upload(Bucket=TARGET, Key="f")["UploadId"]
    shown = {
        one["UploadId"]: one["Owner"]["ID"] for one in s3.list_multipart_uploads(Bucket=TARGET)["Uploads"]
    }
    assert shown[begun] == other.list_buckets()["Owner"]["ID"] != s3.list_buckets()["Owner"]["ID"]
    listed = other.list_parts(Bucket=TARGET, Key="f", UploadId=begun)
    assert listed["Initiator"]["ID"] == shown[begun]
    other.abort_multipart_upload(Bucket=TARGET, Key="f", UploadId=begun)
    s3.delete_bucket_policy(Bucket=TARGET)


def test_an_archived_source_is_not_copied_in_parts(s3: Any) -> None:
    s3.put_object(Bucket=SOURCE, Key="archived", Body=b"x", StorageClass="GLACIER")
    upload = {
        "Bucket": TARGET,
        "Key": "g",
        "UploadId": s3.create_multipart_upload(Bucket=TARGET, Key="g")["UploadId"],
    }
    with pytest.raises(ClientError) as error:
        s3.upload_part_copy(**upload, PartNumber=1, CopySource=f"{SOURCE}/archived")
    assert code(error) == "ObjectNotInActiveTierError"
    s3.abort_multipart_upload(**upload)


def test_a_source_of_another_account_is_copied_where_its_policy_gives_it(
    inner: Any, s3: Any, stored: bytes, keys: dict[str, str]
) -> None:
    other = inner.client("staging", "s3")
    other.create_bucket(Bucket="multipart-elsewhere")
    upload = {
        "Bucket": "multipart-elsewhere",
        "Key": "h",
        "UploadId": other.create_multipart_upload(Bucket="multipart-elsewhere", Key="h")["UploadId"],
    }
    with pytest.raises(ClientError) as error:
        other.upload_part_copy(**upload, PartNumber=1, CopySource=f"{SOURCE}/plain")
    assert code(error) == "AccessDenied"
    given = {
        "Effect": "Allow",
        "Principal": {"AWS": "222222222222"},
        "Action": "s3:GetObject",
        "Resource": FROM,
    }
    s3.put_bucket_policy(Bucket=SOURCE, Policy=json.dumps({"Version": "2012-10-17", "Statement": [given]}))
    part = other.upload_part_copy(**upload, PartNumber=1, CopySource=f"{SOURCE}/plain")
    with pytest.raises(ClientError, match="kms:Decrypt"):
        other.upload_part_copy(**upload, PartNumber=2, CopySource=f"{SOURCE}/under")
    listed = [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]
    other.complete_multipart_upload(**upload, MultipartUpload={"Parts": listed})
    assert other.get_object(Bucket="multipart-elsewhere", Key="h")["Body"].read() == stored
    s3.delete_bucket_policy(Bucket=SOURCE)


def test_boto3_s_own_transfers_pass_both_ways(s3: Any, stored: bytes, tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_bytes(stored)
    s3.upload_file(str(there), TARGET, "moved")
    assert s3.head_object(Bucket=TARGET, Key="moved")["ETag"].endswith('-2"')
    s3.download_file(TARGET, "moved", str(back))
    assert back.read_bytes() == stored
    listed = s3.list_objects_v2(Bucket=TARGET, Prefix="moved")["Contents"][0]
    assert (listed["Size"], listed["ETag"][-3:]) == (len(stored), '-2"')


def test_an_object_is_read_part_by_part(s3: Any, stored: bytes) -> None:
    settings = TransferConfig(multipart_threshold=5 * MEGABYTE, multipart_chunksize=5 * MEGABYTE)
    s3.copy({"Bucket": SOURCE, "Key": "plain"}, TARGET, "parts", Config=settings)
    whole = s3.head_object(Bucket=TARGET, Key="parts")
    read = [s3.get_object(Bucket=TARGET, Key="parts", PartNumber=number) for number in (1, 2, 3)]
    assert b"".join(part["Body"].read() for part in read) == stored
    assert [part["ContentLength"] for part in read] == [5 * MEGABYTE, 5 * MEGABYTE, MEGABYTE]
    head = s3.head_object(Bucket=TARGET, Key="parts", PartNumber=3)
    for part in (read[2], head):
        shown = [part["ETag"], part["PartsCount"], part["ContentRange"]]
        assert shown == [whole["ETag"], 3, f"bytes {10 * MEGABYTE}-{11 * MEGABYTE - 1}/{11 * MEGABYTE}"]
        assert part["ResponseMetadata"]["HTTPStatusCode"] == 206
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=TARGET, Key="parts", PartNumber=4)
    said: Any = error.value.response["Error"]
    assert (said["Code"], said["ActualPartCount"]) == ("InvalidPartNumber", "3")
