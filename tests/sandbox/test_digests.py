"""An upload's bytes are those that the upload says they are, in a header or behind them, or it is refused."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

BUCKET, KEY, BODY = "digests", "object", b"content"
CRC = base64.b64encode(zlib.crc32(BODY).to_bytes(4, "big")).decode()
SHA = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
MD5 = base64.b64encode(hashlib.md5(BODY, usedforsecurity=False).digest()).decode()
OTHER = base64.b64encode(hashlib.md5(b"other", usedforsecurity=False).digest()).decode()


@pytest.fixture(scope="module")
def s3(inner: Any) -> Any:
    client = inner.client("producer", "s3")
    client.create_bucket(Bucket=BUCKET)
    return client


@pytest.fixture(params=["PutObject", "UploadPart"])
def upload(request: pytest.FixtureRequest, s3: Any) -> Callable[..., Any]:
    """Uploads the body, as an object or as a part of one."""
    if request.param == "PutObject":
        return lambda **given: s3.put_object(Bucket=BUCKET, Key=KEY, **{"Body": BODY, **given})
    made = s3.create_multipart_upload(Bucket=BUCKET, Key=KEY)
    place = {"Bucket": BUCKET, "Key": KEY, "UploadId": made["UploadId"], "PartNumber": 1}
    return lambda **given: s3.upload_part(**place, **{"Body": BODY, **given})


GRANTED = [
    {},
    {"ContentMD5": MD5},
    {"ChecksumCRC32": CRC},
    {"ChecksumSHA256": SHA},
    {"ChecksumAlgorithm": "SHA1"},
    {"ChecksumSHA256": SHA, "ContentMD5": MD5},
    {"Body": b"", "ChecksumCRC32": "AAAAAA=="},
]
REFUSED = [
    ({"ContentMD5": OTHER}, "BadDigest", "The Content-MD5 you specified did not match what we received."),
    ({"ContentMD5": "none"}, "InvalidDigest", "The Content-MD5 you specified was invalid."),
    ({"ContentMD5": CRC}, "InvalidDigest", "The Content-MD5 you specified was invalid."),
    (
        {"ChecksumCRC32": "AAAAAA=="},
        "BadDigest",
        "The CRC32 you specified did not match the calculated checksum.",
    ),
    (
        {"ChecksumSHA256": SHA, "Body": b"Content"},
        "BadDigest",
        "The SHA256 you specified did not match the calculated checksum.",
    ),
    (
        {"ChecksumSHA1": base64.b64encode(bytes(20)).decode()},
        "BadDigest",
        "The SHA1 you specified did not match the calculated checksum.",
    ),
    ({"ChecksumCRC32": SHA}, "InvalidRequest", "Value for x-amz-checksum-crc32 header is invalid."),
    ({"ChecksumSHA256": "no base64"}, "InvalidRequest", "Value for x-amz-checksum-sha256 header is invalid."),
    ({"ChecksumCRC32C": "AA=="}, "InvalidRequest", "Value for x-amz-checksum-crc32c header is invalid."),
    (
        {"ChecksumCRC32": CRC, "ChecksumSHA256": SHA},
        "InvalidRequest",
        "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
    ),
    (
        {"ChecksumCRC32": CRC, "ChecksumAlgorithm": "SHA256"},
        "InvalidRequest",
        "Value for x-amz-sdk-checksum-algorithm header is invalid.",
    ),
]


@pytest.mark.parametrize("given", GRANTED, ids=str)
def test_what_is_said_rightly_is_taken(upload: Callable[..., Any], given: dict[str, Any]) -> None:
    answer = upload(**given)
    for name, value in given.items():
        if name.startswith("Checksum") and name != "ChecksumAlgorithm":
            assert answer[name] == value


@pytest.mark.parametrize(("given", "code", "text"), REFUSED, ids=lambda value: str(value)[:50])
def test_what_is_said_wrongly_is_refused(
    upload: Callable[..., Any], given: dict[str, Any], code: str, text: str
) -> None:
    with pytest.raises(ClientError) as error:
        upload(**given)
    said = error.value.response
    assert (said["Error"]["Code"], said["Error"]["Message"]) == (code, text)
    assert said["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_refused_upload_leaves_what_was_there(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="kept", Body=b"first")
    with pytest.raises(ClientError):
        s3.put_object(Bucket=BUCKET, Key="kept", Body=b"second", ContentMD5=OTHER)
    assert s3.get_object(Bucket=BUCKET, Key="kept")["Body"].read() == b"first"


def test_a_checksum_that_a_client_gives_is_kept(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="shown", Body=BODY, ChecksumSHA256=SHA)
    shown = s3.head_object(Bucket=BUCKET, Key="shown", ChecksumMode="ENABLED")
    assert shown["ChecksumSHA256"] == SHA
