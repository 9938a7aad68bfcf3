"""URLs that carry their signature: whose they are, for how long, and what was signed."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import boto3
import pytest
from botocore.config import Config

from crossaccount_sandbox.accounts import REGION

BUCKET, KEY = "presigned-bucket", "a key/é+&=.txt"
V4 = "s3v4"


def fetch(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.fixture(scope="module", autouse=True)
def stored(inner: Any) -> None:
    s3, kms = inner.client("producer", "s3"), inner.client("producer", "kms")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"stored")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    s3.put_object(
        Bucket=BUCKET, Key="under-a-key", Body=b"k", ServerSideEncryption="aws:kms", SSEKMSKeyId=key
    )


def signer(inner: Any, version: str | None, service: str = "s3", **given: Any) -> Any:
    key, secret = inner.keys["producer"]
    keys = {"aws_access_key_id": key, "aws_secret_access_key": secret, **given}
    config = Config(signature_version=version) if version else Config()
    return boto3.client(service, region_name=REGION, endpoint_url=inner.url, config=config, **keys)  # type: ignore[call-overload]


@pytest.mark.parametrize("version", [None, V4])
def test_a_presigned_get_reads_what_its_signer_may_read(inner: Any, version: str | None) -> None:
    client = signer(inner, version)
    url = client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": KEY})
    assert fetch(url) == (200, b"stored")
    typed = {"Bucket": BUCKET, "Key": KEY, "ResponseContentType": "text/csv"}
    assert fetch(client.generate_presigned_url("get_object", Params=typed))[0] == 200


@pytest.mark.parametrize("version", [None, V4])
def test_a_session_s_url_carries_its_token_and_ends_with_it(inner: Any, version: str | None) -> None:
    sts = inner.client("producer", "sts")
    key = sts.get_session_token()["Credentials"]
    given = {
        "aws_access_key_id": key["AccessKeyId"],
        "aws_secret_access_key": key["SecretAccessKey"],
        "aws_session_token": key["SessionToken"],
    }
    client = signer(inner, version, **given)
    url = client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": KEY})
    assert fetch(url) == (200, b"stored")
    keys, now = inner.server.world.keys, inner.server.world.clock()
    keys.expire(keys.find(key["AccessKeyId"]).caller, now)
    status, said = fetch(url)
    assert (status, b"<Code>ExpiredToken</Code>" in said) == (400, True)


@pytest.mark.parametrize("version", [None, V4])
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda url: url.replace("a%20key", "another"), b"SignatureDoesNotMatch"),
        (lambda url: url.replace("Signature=", "Signature=0"), b"SignatureDoesNotMatch"),
        (lambda url: url + "&versionId=1", b"SignatureDoesNotMatch"),
    ],
)
def test_a_url_that_was_changed_is_refused(inner: Any, version: str | None, change: Any, code: bytes) -> None:
    url = signer(inner, version).generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": KEY})
    status, said = fetch(change(url))
    assert status in (400, 403)
    assert code in said
    assert b"stored" not in said


@pytest.mark.parametrize("version", [None, V4])
def test_a_url_is_for_one_method(inner: Any, version: str | None) -> None:
    url = signer(inner, version).generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": KEY})
    assert fetch(url, "PUT", b"other")[0] == 403
    assert fetch(url, "DELETE")[0] == 403


@pytest.mark.parametrize("version", [None, V4])
def test_a_url_whose_time_is_over_is_refused(inner: Any, version: str | None) -> None:
    client = signer(inner, version)
    url = client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": KEY}, ExpiresIn=0)
    status, said = fetch(url)
    assert (status, b"Request has expired" in said) == (403, True)


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("X-Amz-Expires=3600", "X-Amz-Expires=604801"),
        lambda url: url.replace("X-Amz-Expires=3600", "X-Amz-Expires=99999999999999999999"),
        lambda url: url.replace("X-Amz-Expires=3600", "X-Amz-Expires=-1"),
        lambda url: url.replace("&X-Amz-Expires=3600", ""),
        lambda url: url.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-MD5"),
    ],
)
def test_a_url_whose_parameters_are_none_is_told_so(inner: Any, change: Any) -> None:
    url = signer(inner, V4).generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": KEY})
    status, said = fetch(change(url))
    assert (status, b"AuthorizationQueryParametersError" in said) == (400, True)


def test_a_url_of_someone_who_may_not_read_is_refused(inner: Any) -> None:
    key, secret = inner.keys["outsider"]
    client = signer(inner, V4, aws_access_key_id=key, aws_secret_access_key=secret)
    url = client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": KEY})
    assert fetch(url)[0] == 403


@pytest.mark.parametrize(("version", "status"), [(None, 400), (V4, 200)])
def test_what_a_key_encrypts_is_read_with_the_new_signature_alone(
    inner: Any, version: str | None, status: int
) -> None:
    client = signer(inner, version)
    url = client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "under-a-key"})
    got, said = fetch(url)
    assert got == status
    assert (b"require AWS Signature Version 4" in said) == (status == 400)


def test_a_presigned_put_writes(inner: Any) -> None:
    client = signer(inner, V4)
    url = client.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "put"})
    assert fetch(url, "PUT", b"written", **{"Content-Type": "text/plain"})[0] == 200
    assert client.get_object(Bucket=BUCKET, Key="put")["Body"].read() == b"written"


def test_who_one_is_can_be_proved_with_a_url(inner: Any) -> None:
    client = signer(inner, None, "sts")
    url = client.generate_presigned_url("get_caller_identity", HttpMethod="GET", ExpiresIn=60)
    status, said = fetch(url, Accept="application/json")
    answer = json.loads(said)["GetCallerIdentityResponse"]["GetCallerIdentityResult"]
    assert (status, answer["Arn"]) == (200, "arn:aws:iam::111111111111:user/administrator")
    assert fetch(url.replace("GetCallerIdentity", "GetSessionToken"))[0] == 403


def test_a_url_condition_sees_how_it_was_signed(inner: Any) -> None:
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/*",
        "Condition": {"StringEquals": {"s3:authType": "REST-QUERY-STRING", "s3:signatureversion": "AWS"}},
    }
    admin = inner.client("producer", "s3")
    admin.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    try:
        for version, status in ((None, 403), (V4, 200)):
            client = signer(inner, version)
            url = client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": KEY})
            assert fetch(url)[0] == status
        assert admin.get_object(Bucket=BUCKET, Key=KEY)["Body"].read() == b"stored"
    finally:
        admin.delete_bucket_policy(Bucket=BUCKET)
