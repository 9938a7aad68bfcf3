"""Uploads into a bucket with a default key: they are encrypted under it, and ask it as any named key is asked."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

ROLE = "uploader"
S3 = {"Action": "s3:*", "Resource": "*", "Effect": "Allow"}


@contextlib.contextmanager
def bucket(aws: Any, algorithm: str, key: str | None) -> Iterator[str]:
    """A bucket with this default encryption."""
    s3, name = aws.admin("producer", "s3"), "by-default-111111111111"
    s3.create_bucket(Bucket=name)
    rule: dict[str, Any] = {"SSEAlgorithm": algorithm, **({"KMSMasterKeyID": key} if key else {})}
    s3.put_bucket_encryption(
        Bucket=name,
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": rule}]},
    )
    try:
        yield name
    finally:
        s3.delete_object(Bucket=name, Key="a")
        s3.delete_bucket(Bucket=name)


@contextlib.contextmanager
def uploader(aws: Any, *allowed: dict[str, Any]) -> Iterator[Any]:
    """S3 as a role with these statements."""
    iam = aws.admin("producer", "iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": "111111111111"}, "Action": "sts:AssumeRole"}
    iam.create_role(
        RoleName=ROLE, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    document = json.dumps({"Version": "2012-10-17", "Statement": [S3, *allowed]})
    iam.put_role_policy(RoleName=ROLE, PolicyName="all", PolicyDocument=document)
    key = aws.admin("producer", "sts").assume_role(
        RoleArn=f"arn:aws:iam::111111111111:role/{ROLE}", RoleSessionName="test"
    )["Credentials"]
    try:
        yield aws.client("s3", key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])
    finally:
        iam.delete_role_policy(RoleName=ROLE, PolicyName="all")
        iam.delete_role(RoleName=ROLE)


@pytest.fixture(scope="module")
def key(sandbox: Any) -> str:
    return str(sandbox.admin("producer", "kms").create_key()["KeyMetadata"]["Arn"])


def use(key: str, *actions: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": key}


@pytest.mark.parametrize(
    ("named", "headers", "actions", "says"),
    [
        (True, {}, (), "kms:GenerateDataKey"),
        (True, {}, ("kms:Decrypt",), "kms:GenerateDataKey"),
        (True, {}, ("kms:GenerateDataKey",), None),
        (True, {"ServerSideEncryption": "AES256"}, (), None),
        (False, {}, (), None),
    ],
)
def test_an_upload_asks_the_default_key(
    aws: Any, key: str, named: bool, headers: Any, actions: tuple[str, ...], says: str | None
) -> None:
    allowed = [use(key, *actions)] if actions else []
    default = ("aws:kms", key) if named else ("AES256", None)
    with bucket(aws, *default) as name, uploader(aws, *allowed) as s3:
        if says is None:
            s3.put_object(Bucket=name, Key="a", Body=b"x", **headers)
            shown = aws.admin("producer", "s3").head_object(Bucket=name, Key="a").get("SSEKMSKeyId")
            assert shown == (key if named and not headers else None)
        else:
            with pytest.raises(ClientError, match=says):
                s3.put_object(Bucket=name, Key="a", Body=b"x", **headers)


def test_the_default_key_of_a_bucket_that_names_none_is_the_one_that_aws_manages(aws: Any) -> None:
    s3, kms = aws.admin("producer", "s3"), aws.admin("producer", "kms")
    with bucket(aws, "aws:kms", None) as name:
        s3.put_object(Bucket=name, Key="a", Body=b"x")
        shown = s3.head_object(Bucket=name, Key="a")["SSEKMSKeyId"]
    assert kms.describe_key(KeyId=shown)["KeyMetadata"]["KeyManager"] == "AWS"


def test_a_default_key_out_of_use_takes_no_upload(aws: Any, key: str) -> None:
    kms = aws.admin("producer", "kms")
    with bucket(aws, "aws:kms", key) as name:
        kms.disable_key(KeyId=key)
        try:
            with pytest.raises(ClientError, match="disabled"):
                aws.admin("producer", "s3").put_object(Bucket=name, Key="a", Body=b"x")
        finally:
            kms.enable_key(KeyId=key)


def test_a_bucket_of_nobody_s_choice_is_encrypted_with_keys_of_s3(aws: Any) -> None:
    s3 = aws.admin("producer", "s3")
    rules = s3.get_bucket_encryption(Bucket="producer-models-111111111111")
    rule = rules["ServerSideEncryptionConfiguration"]["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    assert rule == {"SSEAlgorithm": "AES256"}


def test_a_data_key_that_is_only_tried_is_not_made(aws: Any, key: str) -> None:
    kms = aws.admin("producer", "kms")
    with pytest.raises(kms.exceptions.DryRunOperationException):
        kms.generate_data_key(KeyId=key, KeySpec="AES_256", DryRun=True)
    with pytest.raises(ClientError, match="not authorized"):
        aws.role("producer", "crossaccount-producer", "kms").generate_data_key(
            KeyId=key, KeySpec="AES_256", DryRun=True
        )


# The usual policies that encrypt or refuse, and what passes them.
ENCRYPT: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "not aws:kms": (
        {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}, ["kms"], ["plain", "AES256"]
    ),
    "no header": ({"Null": {"s3:x-amz-server-side-encryption": "true"}}, ["kms", "AES256"], ["plain"]),
    "not aws:kms where it is said": (
        {"StringNotEqualsIfExists": {"s3:x-amz-server-side-encryption": "aws:kms"}}, ["kms"], ["plain", "AES256"]
    ),
    "another key": (
        {"StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": "KEY"}}, ["kms"], ["plain", "AES256"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", ENCRYPT)
def test_a_policy_sees_the_headers_of_the_request_and_no_default(aws: Any, key: str, what: str) -> None:
    condition, passing, refused = ENCRYPT[what]
    condition = json.loads(json.dumps(condition).replace('"KEY"', json.dumps(key)))
    headers: dict[str, dict[str, str]] = {
        "plain": {},
        "AES256": {"ServerSideEncryption": "AES256"},
        "kms": {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key},
    }
    s3 = aws.admin("producer", "s3")
    with bucket(aws, "aws:kms", key) as name:
        deny = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{name}/*",
        }
        document = {"Version": "2012-10-17", "Statement": [{**deny, "Condition": condition}]}
        s3.put_bucket_policy(Bucket=name, Policy=json.dumps(document))
        for each in passing:
            s3.put_object(Bucket=name, Key="a", Body=b"x", **headers[each])
        for each in refused:
            with pytest.raises(ClientError, match="explicit deny"):
                s3.put_object(Bucket=name, Key="a", Body=b"x", **headers[each])


def test_the_key_of_a_service_s_alias_is_there_when_it_is_first_named(inner: Any) -> None:
    kms, s3 = inner.client("staging", "kms"), inner.client("staging", "s3")
    described = kms.describe_key(KeyId="alias/aws/ebs")["KeyMetadata"]
    assert described["KeyManager"] == "AWS"
    assert kms.get_key_rotation_status(KeyId=described["Arn"])["KeyRotationEnabled"] is True
    with pytest.raises(ClientError, match="kms:Encrypt"):
        kms.encrypt(KeyId="alias/aws/ebs", Plaintext=b"x")
    s3.create_bucket(Bucket="named-by-alias")
    try:
        named = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/aws/s3"}
        shown = s3.put_object(Bucket="named-by-alias", Key="a", Body=b"x", **named)["SSEKMSKeyId"]
        assert kms.describe_key(KeyId=shown)["KeyMetadata"]["KeyManager"] == "AWS"
        assert s3.get_object(Bucket="named-by-alias", Key="a")["Body"].read() == b"x"
        with pytest.raises(ClientError, match="kms:DescribeKey"):
            inner.client("producer", "kms").describe_key(
                KeyId="arn:aws:kms:us-east-1:222222222222:alias/aws/s3"
            )
    finally:
        s3.delete_object(Bucket="named-by-alias", Key="a")
        s3.delete_bucket(Bucket="named-by-alias")
