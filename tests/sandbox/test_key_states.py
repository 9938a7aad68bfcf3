"""A key that is disabled or on its way out takes every object under it along, until it is enabled again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

BUCKET = "keyed-bucket"
SSE = {"ServerSideEncryption": "aws:kms"}


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as error:
        call()
    return str(error.value.response["Error"]["Code"])


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture(scope="module")
def s3(inner: Any) -> Any:
    client = inner.client("producer", "s3")
    client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key="plain", Body=b"x")
    return client


@pytest.fixture(scope="module")
def kms(inner: Any) -> Any:
    return inner.client("producer", "kms")


@pytest.fixture(scope="module")
def shared_key(kms: Any, s3: Any) -> str:
    arn = str(kms.create_key()["KeyMetadata"]["Arn"])
    for name in ("under", "again"):
        s3.put_object(Bucket=BUCKET, Key=name, Body=b"x", SSEKMSKeyId=arn, **SSE)
    return arn


@pytest.fixture
def key(kms: Any, shared_key: str) -> Iterator[str]:
    """A key under which there is an object; it is enabled again afterwards."""
    yield shared_key
    if kms.describe_key(KeyId=shared_key)["KeyMetadata"]["KeyState"] == "PendingDeletion":
        kms.cancel_key_deletion(KeyId=shared_key)
    kms.enable_key(KeyId=shared_key)


def state(kms: Any, key: str) -> tuple[str, bool]:
    found = kms.describe_key(KeyId=key)["KeyMetadata"]
    return found["KeyState"], found["Enabled"]


DISABLE: Callable[[Any, str], Any] = lambda kms, key: kms.disable_key(KeyId=key)  # noqa: E731
SCHEDULE: Callable[[Any, str], Any] = lambda kms, key: kms.schedule_key_deletion(KeyId=key)  # noqa: E731


def test_the_state_is_shown_as_it_changes(kms: Any, key: str) -> None:
    assert state(kms, key) == ("Enabled", True)
    kms.disable_key(KeyId=key.rpartition("/")[2])
    assert state(kms, key) == ("Disabled", False)
    kms.enable_key(KeyId=key)
    assert state(kms, key) == ("Enabled", True)
    said = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert (said["KeyId"], said["KeyState"], said["PendingWindowInDays"]) == (key, "PendingDeletion", 7)
    assert abs(said["DeletionDate"] - datetime.now(UTC) - timedelta(days=7)) < timedelta(minutes=1)
    assert state(kms, key) == ("PendingDeletion", False)
    assert kms.cancel_key_deletion(KeyId=key)["KeyId"] == key
    assert state(kms, key) == ("Disabled", False)
    assert "DeletionDate" not in kms.describe_key(KeyId=key)["KeyMetadata"]


@pytest.mark.parametrize(
    ("before", "call", "code"),
    [
        (SCHEDULE, lambda c, k: c.enable_key(KeyId=k), "KMSInvalidStateException"),
        (SCHEDULE, lambda c, k: c.disable_key(KeyId=k), "KMSInvalidStateException"),
        (SCHEDULE, lambda c, k: c.schedule_key_deletion(KeyId=k), "KMSInvalidStateException"),
        (DISABLE, lambda c, k: c.cancel_key_deletion(KeyId=k), "KMSInvalidStateException"),
        (DISABLE, lambda c, k: c.encrypt(KeyId=k, Plaintext=b"x"), "DisabledException"),
        (DISABLE, lambda c, k: c.generate_data_key(KeyId=k, KeySpec="AES_256"), "DisabledException"),
        (DISABLE, lambda c, k: c.enable_key_rotation(KeyId=k), "DisabledException"),
        (SCHEDULE, lambda c, k: c.encrypt(KeyId=k, Plaintext=b"x"), "KMSInvalidStateException"),
        (
            DISABLE,
            lambda c, k: c.schedule_key_deletion(KeyId=k, PendingWindowInDays=6),
            "ValidationException",
        ),
    ],
)
def test_what_a_key_out_of_use_does_not_take(kms: Any, key: str, before: Any, call: Any, code: str) -> None:
    before(kms, key)
    was = state(kms, key)
    assert refused(lambda: call(kms, key)) == code
    assert state(kms, key) == was


def test_what_was_encrypted_is_not_decrypted_meanwhile(kms: Any, key: str) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    kms.disable_key(KeyId=key)
    assert refused(lambda: kms.decrypt(CiphertextBlob=blob)) == "DisabledException"
    kms.enable_key(KeyId=key)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"secret"


def parts(s3: Any, key: str) -> None:
    s3.create_multipart_upload(Bucket=BUCKET, Key="n", SSEKMSKeyId=key, **SSE)


@pytest.mark.parametrize(
    ("out_of_use", "code"),
    [(DISABLE, "KMS.DisabledException"), (SCHEDULE, "KMS.KMSInvalidStateException")],
)
@pytest.mark.parametrize(
    "call",
    [
        lambda s3, key: s3.get_object(Bucket=BUCKET, Key="under"),
        lambda s3, key: s3.put_object(Bucket=BUCKET, Key="under", Body=b"y", SSEKMSKeyId=key, **SSE),
        lambda s3, key: s3.copy_object(Bucket=BUCKET, Key="n", CopySource=f"{BUCKET}/under"),
        lambda s3, key: s3.copy_object(
            Bucket=BUCKET, Key="n", CopySource=f"{BUCKET}/plain", SSEKMSKeyId=key, **SSE
        ),
        parts,
    ],
    ids=["get", "put", "copy-from", "copy-to", "parts"],
)
def test_objects_under_a_key_out_of_use(
    kms: Any, s3: Any, key: str, out_of_use: Any, code: str, call: Any
) -> None:
    out_of_use(kms, key)
    with pytest.raises(ClientError) as error:
        call(s3, key)
    said = error.value.response
    assert (said["Error"]["Code"], said["ResponseMetadata"]["HTTPStatusCode"]) == (code, 400)
    assert s3.head_object(Bucket=BUCKET, Key="under")["SSEKMSKeyId"] == key  # KMS is not asked for a header
    assert refused(lambda: s3.head_object(Bucket=BUCKET, Key="n")) == "404"
    assert s3.get_object(Bucket=BUCKET, Key="plain")["ContentLength"] == 1
    if out_of_use is SCHEDULE:
        kms.cancel_key_deletion(KeyId=key)
    kms.enable_key(KeyId=key)
    assert s3.get_object(Bucket=BUCKET, Key="under")["ContentLength"] == 1


def test_an_upload_in_parts_stays_under_its_key(inner: Any, kms: Any, s3: Any, key: str) -> None:
    bare = key.rpartition("/")[2]
    made = s3.create_multipart_upload(Bucket=BUCKET, Key="parts", SSEKMSKeyId=bare, **SSE)["UploadId"]
    named = {"Bucket": BUCKET, "Key": "parts", "UploadId": made}
    kms.disable_key(KeyId=key)
    assert refused(lambda: s3.upload_part(**named, PartNumber=1, Body=b"x")) == "KMS.DisabledException"
    kms.enable_key(KeyId=key)
    tag = s3.upload_part(**named, PartNumber=1, Body=b"x")["ETag"]
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]})
    assert s3.head_object(Bucket=BUCKET, Key="parts")["SSEKMSKeyId"] == key
    read = policy({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    narrow = inner.session("producer", "s3", read)
    assert refused(lambda: narrow.get_object(Bucket=BUCKET, Key="parts")) == "AccessDenied"


@pytest.mark.parametrize(
    ("actions", "granted"),
    [
        (["s3:*"], set()),
        (["s3:*", "kms:Decrypt"], {"from"}),
        (["s3:*", "kms:GenerateDataKey"], {"to"}),
        (["s3:*", "kms:Decrypt", "kms:GenerateDataKey"], {"from", "to"}),
    ],
)
def test_a_copy_needs_both_keys(inner: Any, s3: Any, key: str, actions: list[str], granted: set[str]) -> None:
    client = inner.session("producer", "s3", policy({"Effect": "Allow", "Action": actions, "Resource": "*"}))
    calls = {
        "from": lambda: client.copy_object(Bucket=BUCKET, Key="c", CopySource=f"{BUCKET}/under"),
        "to": lambda: client.copy_object(
            Bucket=BUCKET, Key="c", CopySource=f"{BUCKET}/plain", SSEKMSKeyId=key, **SSE
        ),
    }
    passed = set()
    for name, call in calls.items():
        try:
            call()
        except ClientError as error:
            assert error.response["Error"]["Code"] == "AccessDenied"  # noqa: PT017 - one of two outcomes
        else:
            passed.add(name)
    assert passed == granted


def test_an_old_version_keeps_its_key(inner: Any, s3: Any, key: str) -> None:
    s3.create_bucket(Bucket="keyed-versions")
    s3.put_bucket_versioning(Bucket="keyed-versions", VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket="keyed-versions", Key="k", Body=b"x", SSEKMSKeyId=key, **SSE)["VersionId"]
    s3.put_object(Bucket="keyed-versions", Key="k", Body=b"xy")
    read = policy({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    narrow = inner.session("producer", "s3", read)
    assert narrow.get_object(Bucket="keyed-versions", Key="k")["ContentLength"] == 2
    assert (
        refused(lambda: narrow.get_object(Bucket="keyed-versions", Key="k", VersionId=old)) == "AccessDenied"
    )


CALLS: dict[str, Callable[[Any, str], Any]] = {
    "kms:DisableKey": DISABLE,
    "kms:EnableKey": lambda c, k: c.enable_key(KeyId=k),
    "kms:ScheduleKeyDeletion": SCHEDULE,
    "kms:CancelKeyDeletion": lambda c, k: c.cancel_key_deletion(KeyId=k),
}


@pytest.mark.parametrize("action", [*CALLS, "kms:DescribeKey"])
def test_each_call_needs_its_own_action(inner: Any, kms: Any, key: str, action: str) -> None:
    client = inner.session("producer", "kms", policy({"Effect": "Allow", "Action": action, "Resource": "*"}))
    passed = set()
    for name, call in CALLS.items():
        try:
            call(client, key)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "KMSInvalidStateException":
                passed.add(name)  # it was let in, and only then told that the key is not pending deletion
            else:
                assert code == "AccessDeniedException"
        else:
            passed.add(name)
    assert passed == {action} & CALLS.keys()


@pytest.mark.parametrize(("shared", "code"), [(False, "AccessDeniedException"), (True, "NotFoundException")])
@pytest.mark.parametrize("action", list(CALLS))
def test_no_other_account_puts_a_key_out_of_use(
    inner: Any, kms: Any, key: str, action: str, shared: bool, code: str
) -> None:
    own = {"Effect": "Allow", "Principal": {"AWS": "111111111111"}, "Action": "kms:*", "Resource": "*"}
    other = {**own, "Principal": {"AWS": "222222222222"}}
    text = policy(own, *([other] if shared else []))
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=text)
    assert refused(lambda: CALLS[action](inner.client("staging", "kms"), key)) == code
    assert state(kms, key) == ("Enabled", True)


@pytest.mark.parametrize("out_of_use", [DISABLE, SCHEDULE])
def test_a_model_is_not_made_of_what_a_key_out_of_use_hides(
    inner: Any, kms: Any, s3: Any, key: str, out_of_use: Any
) -> None:
    iam, sm = inner.client("producer", "iam"), inner.client("producer", "sagemaker")
    service = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    everything = policy({"Effect": "Allow", "Action": "*", "Resource": "*"})
    if not any(role["RoleName"] == "execution" for role in iam.list_roles()["Roles"]):
        iam.create_role(RoleName="execution", AssumeRolePolicyDocument=policy(service))
        iam.put_role_policy(RoleName="execution", PolicyName="all", PolicyDocument=everything)
    container = {
        "Image": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.1-cpu",
        "ModelDataUrl": f"s3://{BUCKET}/under",
    }
    given = {"PrimaryContainer": container, "ExecutionRoleArn": "arn:aws:iam::111111111111:role/execution"}
    out_of_use(kms, key)
    with pytest.raises(ClientError) as error:
        sm.create_model(ModelName="hidden", **given)
    assert "Could not access model data" in str(error.value)
    if out_of_use is SCHEDULE:
        kms.cancel_key_deletion(KeyId=key)
    kms.enable_key(KeyId=key)
    sm.create_model(ModelName="hidden", **given)
    sm.delete_model(ModelName="hidden")
