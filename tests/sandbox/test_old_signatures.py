"""URLs to S3 that are signed with Signature Version 2, as boto3 and the AWS CLI make them: served, and refused as S3 refuses."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.client import Config

BUCKET, KEY, ENCRYPTED, ELSEWHERE = "old-signatures", "a key/ü+1", "encrypted", "old-signatures-ohio"
UNSERVED = ("SignatureDoesNotMatch", 403)


@pytest.fixture(scope="module")
def s3(inner: Any) -> Any:
    client = inner.client("producer", "s3")
    client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key=KEY, Body=b"content", ContentType="text/plain")
    client.put_object(Bucket=BUCKET, Key=ENCRYPTED, Body=b"content", ServerSideEncryption="aws:kms")
    ohio = inner.client("producer", "s3", "us-east-2")
    ohio.create_bucket(Bucket=ELSEWHERE, CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    ohio.put_object(Bucket=ELSEWHERE, Key=KEY, Body=b"content")
    return client


def presigned(client: Any, operation: str = "get_object", seconds: int = 60, **asked: Any) -> str:
    given = {"Bucket": BUCKET, "Key": KEY, **asked}
    url: str = client.generate_presigned_url(operation, Params=given, ExpiresIn=seconds)
    assert "AWSAccessKeyId=" in url, "it is of the other version"
    return url


def ask(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[Any, int, str]:
    """The code of an error, or None; the status; the body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, body, named, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return None, answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        code = re.search("<Code>(.*?)</Code>", text)
        return code and code[1], error.code, text


def test_an_object_is_read_by_its_url(s3: Any) -> None:
    assert ask(presigned(s3)) == (None, 200, "content")


def test_a_url_may_ask_for_other_headers(s3: Any) -> None:
    kind = "application/x-other; charset=utf-8"
    with urllib.request.urlopen(presigned(s3, ResponseContentType=kind), timeout=10) as answer:
        assert answer.headers["Content-Type"] == kind


def test_a_page_is_listed_by_its_url(s3: Any) -> None:
    url = s3.generate_presigned_url("list_objects_v2", Params={"Bucket": BUCKET, "Prefix": "a key/"})
    assert "<KeyCount>1</KeyCount>" in ask(url)[2]


def test_an_object_is_written_by_its_url(s3: Any) -> None:
    url = presigned(s3, "put_object", Key="written", ContentType="text/csv")
    assert ask(url, "PUT", b"1,2", Content_Type="text/csv")[:2] == (None, 200)
    assert s3.get_object(Bucket=BUCKET, Key="written")["ContentType"] == "text/csv"
    assert ask(url, "PUT", b"1,2", Content_Type="text/plain")[:2] == UNSERVED


def test_a_session_s_url_is_served_while_its_policy_allows_it(inner: Any, s3: Any) -> None:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/{KEY}"}
    narrow = inner.session("producer", "s3", json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert ask(presigned(narrow)) == (None, 200, "content")
    assert ask(presigned(narrow, Key="other"))[:2] == ("AccessDenied", 403)
    without = re.sub("&x-amz-security-token=[^&]*", "", presigned(narrow))
    assert ask(without)[0] == "InvalidAccessKeyId"


def _later(url: str, seconds: int) -> str:
    return re.sub(r"Expires=\d+", f"Expires={int(time.time()) + seconds}", url)


TAMPERED: list[tuple[str, Callable[[str], str], str, tuple[str, int]]] = [
    ("another key", lambda url: url.replace("%2B1", "%2B2"), "GET", UNSERVED),
    ("another method", str, "DELETE", UNSERVED),
    ("another end", lambda url: _later(url, 3600), "GET", UNSERVED),
    ("a version", lambda url: url + "&versionId=null", "GET", UNSERVED),
    ("other headers", lambda url: url + "&response-content-type=text/html", "GET", UNSERVED),
    ("a header of S3", lambda url: url + "&x-amz-acl=public-read", "GET", UNSERVED),
    ("past its end", lambda url: _later(url, -60), "GET", ("AccessDenied", 403)),
    ("no end", lambda url: re.sub(r"&?Expires=\d+", "", url), "GET", ("AccessDenied", 403)),
    ("no key", lambda url: re.sub(r"AWSAccessKeyId=[^&]*&", "", url), "GET", ("AccessDenied", 403)),
    (
        "an end in words",
        lambda url: re.sub(r"Expires=\d+", "Expires=soon", url),
        "GET",
        ("AccessDenied", 403),
    ),
    (
        *("a key of none", lambda url: re.sub("KeyId=[^&]*", "KeyId=AKIAOFNOBODY0000000X", url)),
        *("GET", ("InvalidAccessKeyId", 403)),
    ),
]


@pytest.mark.parametrize(
    ("change", "method", "refusal"), [row[1:] for row in TAMPERED], ids=[row[0] for row in TAMPERED]
)
def test_what_was_not_signed_is_refused(s3: Any, change: Any, method: str, refusal: tuple[str, int]) -> None:
    assert ask(change(presigned(s3)), method)[:2] == refusal


def test_a_parameter_that_the_signature_leaves_out_is_free(s3: Any) -> None:
    assert ask(presigned(s3) + "&of-mine=1")[:2] == (None, 200)


@pytest.mark.parametrize(
    ("url", "texts"),
    [
        (lambda url: _later(url, -60), ["Request has expired", "<ServerTime>", "<Expires>"]),
        (
            lambda url: url.replace("Expires=", "Until="),
            ["requires the Signature, Expires and AWSAccessKeyId"],
        ),
        (lambda url: _later(url, 99), ["<StringToSign>GET\n\n\n", "<AWSAccessKeyId>", "<SignatureProvided>"]),
    ],
    ids=["expired", "in part", "not signed"],
)
def test_a_refusal_says_what_s3_says(s3: Any, url: Any, texts: list[str]) -> None:
    said = ask(url(presigned(s3)))[2]
    assert [text for text in texts if text not in said] == []
    assert "<CanonicalRequest>" not in said


def test_what_kms_is_asked_for_needs_the_newer_version(s3: Any) -> None:
    code, status, text = ask(presigned(s3, Key=ENCRYPTED))
    assert (code, status) == ("InvalidArgument", 400)
    assert "AWS KMS managed keys require AWS Signature Version 4." in text


def test_a_policy_can_tell_the_versions_apart(inner: Any, s3: Any) -> None:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    statement["Condition"] = {"StringEquals": {"s3:signatureversion": "AWS4-HMAC-SHA256"}}  # type: ignore[assignment]
    narrow = inner.session("producer", "s3", json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert ask(presigned(narrow))[:2] == ("AccessDenied", 403)
    held = narrow._request_signer._credentials
    newer = boto3.client(
        "s3",
        endpoint_url=inner.url,
        region_name="us-east-1",
        aws_access_key_id=held.access_key,
        aws_secret_access_key=held.secret_key,
        aws_session_token=held.token,
        config=Config(signature_version="s3v4"),
    )
    url = newer.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": KEY})
    assert ask(url)[:2] == (None, 200)


def test_a_checksum_in_a_url_is_passed_over(s3: Any) -> None:
    url = presigned(s3, "put_object", Key="passed over", ContentType="text/csv", ChecksumCRC32="AAAAAA==")
    assert "x-amz-checksum-crc32=" in url
    assert ask(url, "PUT", b"content", Content_Type="text/csv")[:2] == (None, 200)
