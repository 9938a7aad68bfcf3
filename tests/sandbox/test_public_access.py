"""Block Public Access: set by who may, on a bucket and on its account, and the stricter of the two holds."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

PRODUCER, STAGING, BUCKET = "111111111111", "222222222222", "blocked-bucket"
OFF = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), False
)
READ = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
PUBLIC = {**READ, "Principal": "*"}
SHARED = {**READ, "Principal": {"AWS": STAGING}}


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as error:
        call()
    return str(error.value.response["Error"]["Code"])


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture(scope="module", autouse=True)
def bucket(inner: Any) -> None:
    s3 = inner.client("producer", "s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"x")


@pytest.fixture(autouse=True)
def resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients of S3 Control put the account in front of the host, which is an address here."""
    find = socket.getaddrinfo

    def found(host: Any, *more: Any, **named: Any) -> Any:
        return find("127.0.0.1" if str(host).endswith(".127.0.0.1") else host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", found)


@pytest.fixture
def control(inner: Any) -> Iterator[Any]:
    """The producer's S3 Control, without an account-wide setting before and after."""
    client = inner.client("producer", "s3control")
    client.delete_public_access_block(AccountId=PRODUCER)
    yield client
    client.delete_public_access_block(AccountId=PRODUCER)


def test_an_account_begins_without_settings_and_keeps_what_it_is_given(control: Any) -> None:
    assert (
        refused(lambda: control.get_public_access_block(AccountId=PRODUCER))
        == "NoSuchPublicAccessBlockConfiguration"
    )
    control.put_public_access_block(
        AccountId=PRODUCER, PublicAccessBlockConfiguration={"BlockPublicPolicy": True}
    )
    said = control.get_public_access_block(AccountId=PRODUCER)["PublicAccessBlockConfiguration"]
    assert said == {**OFF, "BlockPublicPolicy": True}
    control.delete_public_access_block(AccountId=PRODUCER)
    assert (
        refused(lambda: control.get_public_access_block(AccountId=PRODUCER))
        == "NoSuchPublicAccessBlockConfiguration"
    )


ACCOUNT_CALLS: dict[str, Callable[[Any], Any]] = {
    "get": lambda c: c.get_public_access_block(AccountId=PRODUCER),
    "put": lambda c: c.put_public_access_block(AccountId=PRODUCER, PublicAccessBlockConfiguration=OFF),
    "delete": lambda c: c.delete_public_access_block(AccountId=PRODUCER),
}
BUCKET_CALLS: dict[str, Callable[[Any], Any]] = {
    "get": lambda c: c.get_public_access_block(Bucket=BUCKET),
    "put": lambda c: c.put_public_access_block(
        Bucket=BUCKET, PublicAccessBlockConfiguration={**OFF, "BlockPublicPolicy": True}
    ),
    "delete": lambda c: c.delete_public_access_block(Bucket=BUCKET),
}


@pytest.mark.parametrize("verb", ["get", "put", "delete"])
@pytest.mark.parametrize("account", ["staging", "outsider"])
def test_another_account_neither_sees_nor_sets_it(inner: Any, control: Any, account: str, verb: str) -> None:
    control.put_public_access_block(AccountId=PRODUCER, PublicAccessBlockConfiguration=OFF)
    assert refused(lambda: ACCOUNT_CALLS[verb](inner.client(account, "s3control"))) == "AccessDenied"
    assert control.get_public_access_block(AccountId=PRODUCER)["PublicAccessBlockConfiguration"] == OFF
    assert refused(lambda: BUCKET_CALLS[verb](inner.client(account, "s3"))) == "AccessDenied"


@pytest.mark.parametrize(
    ("action", "calls", "granted"),
    [
        ("s3:GetAccountPublicAccessBlock", ACCOUNT_CALLS, {"get"}),
        ("s3:PutAccountPublicAccessBlock", ACCOUNT_CALLS, {"put", "delete"}),
        ("s3:GetBucketPublicAccessBlock", ACCOUNT_CALLS, set()),
        ("s3:PutBucketPublicAccessBlock", ACCOUNT_CALLS, set()),
        ("s3:GetBucketPublicAccessBlock", BUCKET_CALLS, {"get"}),
        ("s3:PutBucketPublicAccessBlock", BUCKET_CALLS, {"put", "delete"}),
        ("s3:GetAccountPublicAccessBlock", BUCKET_CALLS, set()),
        ("s3:PutAccountPublicAccessBlock", BUCKET_CALLS, set()),
    ],
)
def test_each_call_needs_its_own_action(
    inner: Any, control: Any, action: str, calls: dict[str, Callable[[Any], Any]], granted: set[str]
) -> None:
    control.put_public_access_block(AccountId=PRODUCER, PublicAccessBlockConfiguration=OFF)
    inner.client("producer", "s3").put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=OFF)
    only = policy({"Effect": "Allow", "Action": action, "Resource": "*"})
    client = inner.session("producer", "s3control" if calls is ACCOUNT_CALLS else "s3", only)
    passed = set()
    for verb, call in calls.items():
        try:
            call(client)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "AccessDenied"  # noqa: PT017 - one of two outcomes
        else:
            passed.add(verb)
    assert passed == granted


SIDES = [(False, False), (False, True), (True, False), (True, True)]


def configure(inner: Any, control: Any, setting: str, on_bucket: bool, on_account: bool) -> Any:
    s3 = inner.client("producer", "s3")
    s3.delete_bucket_policy(Bucket=BUCKET)
    s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration={**OFF, setting: on_bucket})
    control.put_public_access_block(
        AccountId=PRODUCER, PublicAccessBlockConfiguration={**OFF, setting: on_account}
    )
    return s3


@pytest.mark.parametrize(("on_bucket", "on_account"), SIDES)
def test_either_side_refuses_a_public_policy(
    inner: Any, control: Any, on_bucket: bool, on_account: bool
) -> None:
    s3 = configure(inner, control, "BlockPublicPolicy", on_bucket, on_account)
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(SHARED))
    if on_bucket or on_account:
        assert refused(lambda: s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(PUBLIC))) == "AccessDenied"
        assert json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"] != [PUBLIC]
    else:
        s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(PUBLIC))


@pytest.mark.parametrize(("on_bucket", "on_account"), SIDES)
def test_either_side_cuts_other_accounts_off_from_a_public_bucket(
    inner: Any, control: Any, on_bucket: bool, on_account: bool
) -> None:
    s3 = configure(inner, control, "RestrictPublicBuckets", on_bucket, on_account)
    reader = inner.client("staging", "s3")
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(SHARED))
    assert reader.get_object(Bucket=BUCKET, Key="k")["ContentLength"] == 1
    s3.put_bucket_policy(
        Bucket=BUCKET, Policy=policy(SHARED, {**PUBLIC, "Resource": f"arn:aws:s3:::{BUCKET}/p/*"})
    )
    if on_bucket or on_account:
        assert refused(lambda: reader.get_object(Bucket=BUCKET, Key="k")) == "AccessDenied"
        assert s3.get_object(Bucket=BUCKET, Key="k")["ContentLength"] == 1
    else:
        assert reader.get_object(Bucket=BUCKET, Key="k")["ContentLength"] == 1


def test_making_a_bucket_again_does_not_change_its_settings(inner: Any) -> None:
    s3 = inner.client("producer", "s3")
    s3.create_bucket(Bucket="again-bucket")
    said = s3.get_public_access_block(Bucket="again-bucket")["PublicAccessBlockConfiguration"]
    assert said == dict.fromkeys(OFF, True)
    s3.put_public_access_block(Bucket="again-bucket", PublicAccessBlockConfiguration=OFF)
    s3.create_bucket(Bucket="again-bucket")
    assert s3.get_public_access_block(Bucket="again-bucket")["PublicAccessBlockConfiguration"] == OFF


# A statement on the bucket's objects, and whether S3 calls its policy public.
STATUS: dict[str, tuple[dict[str, Any], bool]] = {
    "anyone": ({}, True),
    "anyone of AWS": ({"Principal": {"AWS": "*"}}, True),
    "one account": ({"Principal": {"AWS": STAGING}}, False),
    "one account and anyone": ({"Principal": {"AWS": [STAGING, "*"]}}, True),
    "a service": ({"Principal": {"Service": "cloudtrail.amazonaws.com"}}, False),
    "all but one": ({"Principal": None, "NotPrincipal": {"AWS": STAGING}}, True),
    "denied to anyone": ({"Effect": "Deny"}, False),
    "an organization": ({"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-sandbox01"}}}, False),
    "any organization": ({"Condition": {"StringLike": {"aws:PrincipalOrgID": "o-*"}}}, True),
    "not an organization": ({"Condition": {"StringNotEquals": {"aws:PrincipalOrgID": "o-sandbox01"}}}, True),
    "by TLS": ({"Condition": {"Bool": {"aws:SecureTransport": "true"}}}, True),
    "from few addresses": ({"Condition": {"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}}, False),
    "from half of all addresses": ({"Condition": {"IpAddress": {"aws:SourceIp": "128.0.0.0/1"}}}, True),
    "one account's calls": ({"Condition": {"StringEquals": {"aws:PrincipalAccount": STAGING}}}, False),
    "an account by a variable": ({"Condition": {"StringLike": {"aws:userid": "${aws:userid}"}}}, True),
}


@pytest.mark.parametrize("what", STATUS)
def test_the_status_of_a_policy_is_whether_it_is_public(inner: Any, control: Any, what: str) -> None:
    changes, public = STATUS[what]
    statement = {key: value for key, value in {**PUBLIC, **changes}.items() if value is not None}
    s3 = configure(inner, control, "BlockPublicPolicy", False, False)
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(statement))
    assert s3.get_bucket_policy_status(Bucket=BUCKET)["PolicyStatus"] == {"IsPublic": public}
    s3.put_public_access_block(
        Bucket=BUCKET, PublicAccessBlockConfiguration={**OFF, "BlockPublicPolicy": True}
    )
    if public:
        assert (
            refused(lambda: s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(statement))) == "AccessDenied"
        )
    else:
        s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(statement))


def test_the_status_is_told_to_who_may_ask_for_it(inner: Any, control: Any) -> None:
    s3 = configure(inner, control, "BlockPublicPolicy", False, False)
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(SHARED))
    asks = {
        action: inner.session(
            "producer", "s3", policy({"Effect": "Allow", "Action": action, "Resource": "*"})
        )
        for action in ("s3:GetBucketPolicyStatus", "s3:GetBucketPolicy")
    }
    may, may_not = asks.values()
    assert may.get_bucket_policy_status(Bucket=BUCKET)["PolicyStatus"] == {"IsPublic": False}
    assert refused(lambda: may_not.get_bucket_policy_status(Bucket=BUCKET)) == "AccessDenied"
    s3.delete_bucket_policy(Bucket=BUCKET)
    assert refused(lambda: s3.get_bucket_policy_status(Bucket=BUCKET)) == "NoSuchBucketPolicy"


def test_an_account_is_the_same_owner_wherever_it_is_shown(inner: Any) -> None:
    s3 = inner.client("producer", "s3")
    s3.create_bucket(Bucket="owned-bucket")
    s3.put_object(Bucket="owned-bucket", Key="k", Body=b"x")
    upload = s3.create_multipart_upload(Bucket="owned-bucket", Key="k")["UploadId"]
    shown = {
        s3.list_buckets()["Owner"]["ID"],
        s3.get_bucket_acl(Bucket="owned-bucket")["Owner"]["ID"],
        s3.list_objects(Bucket="owned-bucket")["Contents"][0]["Owner"]["ID"],
        s3.list_objects_v2(Bucket="owned-bucket", FetchOwner=True)["Contents"][0]["Owner"]["ID"],
        s3.list_object_versions(Bucket="owned-bucket")["Versions"][0]["Owner"]["ID"],
        s3.list_parts(Bucket="owned-bucket", Key="k", UploadId=upload)["Owner"]["ID"],
        s3.list_multipart_uploads(Bucket="owned-bucket")["Uploads"][0]["Owner"]["ID"],
    }
    assert len(shown) == 1
    assert len(shown.pop()) == 64
    assert s3.list_buckets()["Owner"] != inner.client("staging", "s3").list_buckets()["Owner"]


@pytest.mark.parametrize("on_account", [False, True])
def test_s3_control_names_the_account_and_gives_ids(inner: Any, control: Any, on_account: bool) -> None:
    if on_account:
        control.put_public_access_block(AccountId=PRODUCER, PublicAccessBlockConfiguration=OFF)
        said = control.get_public_access_block(AccountId=PRODUCER)["ResponseMetadata"]
    else:
        with pytest.raises(ClientError) as error:
            control.get_public_access_block(AccountId=PRODUCER)
        said = error.value.response["ResponseMetadata"]
        answer: Any = error.value.response
        assert answer["Error"]["AccountId"] == PRODUCER
    assert said["RequestId"] == said["HTTPHeaders"]["x-amz-request-id"]
    assert said["HTTPHeaders"]["x-amz-id-2"]
