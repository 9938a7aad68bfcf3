"""Who owns an object that another account uploaded, and that a bucket's policy gives nothing of what its owner has not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

BUCKET = "owned-bucket"
ARN = f"arn:aws:s3:::{BUCKET}"
FULL = "bucket-owner-full-control"
EVERYONE = {"producer", "staging", "production"}
OPEN = {
    "Effect": "Allow",
    "Principal": {"AWS": ["222222222222", "333333333333"]},
    "Action": ["s3:GetObject", "s3:PutObject", "s3:PutObjectAcl"],
    "Resource": f"{ARN}/*",
}


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as error:
        call()
    return str(error.value.response["Error"]["Code"])


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def only(*actions: str) -> str:
    return policy({"Effect": "Allow", "Action": list(actions), "Resource": "*"})


def setting(s3: Any, rule: str | None) -> None:
    if rule is None:
        s3.delete_bucket_ownership_controls(Bucket=BUCKET)
    else:
        controls = {"Rules": [{"ObjectOwnership": rule}]}
        s3.put_bucket_ownership_controls(Bucket=BUCKET, OwnershipControls=controls)


def readers(inner: Any, key: str) -> set[str]:
    found = set()
    for account in EVERYONE:
        try:
            inner.client(account, "s3").get_object(Bucket=BUCKET, Key=key)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "AccessDenied"  # noqa: PT017 - one of two outcomes
        else:
            found.add(account)
    return found


@pytest.fixture(scope="module", autouse=True)
def bucket(inner: Any) -> None:
    inner.client("producer", "s3").create_bucket(Bucket=BUCKET)


@pytest.fixture
def s3(inner: Any) -> Iterator[Any]:
    """The producer's S3; the bucket is open to both consumers, and its settings are a new bucket's again afterwards."""
    client = inner.client("producer", "s3")
    client.put_bucket_policy(Bucket=BUCKET, Policy=policy(OPEN))
    yield client
    setting(client, "BucketOwnerEnforced")


@pytest.mark.parametrize(
    ("rule", "acl", "expected"),
    [
        ("BucketOwnerEnforced", None, EVERYONE),
        ("BucketOwnerEnforced", FULL, EVERYONE),
        ("BucketOwnerPreferred", FULL, EVERYONE),
        ("BucketOwnerPreferred", None, {"staging"}),
        ("BucketOwnerPreferred", "private", {"staging"}),
        ("ObjectWriter", FULL, {"staging", "producer"}),
        ("ObjectWriter", None, {"staging"}),
        (None, FULL, {"staging", "producer"}),
        (None, None, {"staging"}),
    ],
)
def test_who_can_read_what_another_account_uploaded(
    inner: Any, s3: Any, rule: str | None, acl: str | None, expected: set[str]
) -> None:
    setting(s3, rule)
    inner.client("staging", "s3").put_object(
        Bucket=BUCKET, Key="k", Body=b"x", **({"ACL": acl} if acl else {})
    )
    assert readers(inner, "k") == expected


def copy(s3: Any, key: str, **more: Any) -> None:
    s3.copy_object(Bucket=BUCKET, Key=key, CopySource=f"{BUCKET}/source", **more)


def upload(s3: Any, key: str, **more: Any) -> None:
    made = s3.create_multipart_upload(Bucket=BUCKET, Key=key, **more)["UploadId"]
    part = s3.upload_part(Bucket=BUCKET, Key=key, UploadId=made, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=BUCKET, Key=key, UploadId=made, MultipartUpload=parts)


@pytest.mark.parametrize("way", [copy, upload])
@pytest.mark.parametrize(("more", "expected"), [({}, {"staging"}), ({"ACL": FULL}, EVERYONE)])
def test_a_copy_and_an_upload_in_parts_are_owned_alike(
    inner: Any, s3: Any, way: Any, more: dict[str, str], expected: set[str]
) -> None:
    setting(s3, "BucketOwnerPreferred")
    s3.put_object(Bucket=BUCKET, Key="source", Body=b"x")
    key = f"{way.__name__}-{len(more)}"
    way(inner.client("staging", "s3"), key, **more)
    assert readers(inner, key) == expected


def test_the_enforcing_setting_takes_everything_over_and_another_gives_it_back(inner: Any, s3: Any) -> None:
    setting(s3, "ObjectWriter")
    inner.client("staging", "s3").put_object(Bucket=BUCKET, Key="before", Body=b"x")
    assert readers(inner, "before") == {"staging"}
    setting(s3, "BucketOwnerEnforced")
    inner.client("staging", "s3").put_object(Bucket=BUCKET, Key="meanwhile", Body=b"x")
    assert readers(inner, "before") == EVERYONE
    setting(s3, "ObjectWriter")
    assert (readers(inner, "before"), readers(inner, "meanwhile")) == ({"staging"}, EVERYONE)


def test_a_bucket_s_owner_may_still_deny_replace_and_delete_what_it_may_not_read(inner: Any, s3: Any) -> None:
    setting(s3, "ObjectWriter")
    writer = inner.client("staging", "s3")
    writer.put_object(Bucket=BUCKET, Key="k", Body=b"x", ACL=FULL)
    denied = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{ARN}/*"}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(OPEN, denied))
    assert readers(inner, "k") == set()
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(OPEN))
    writer.put_object(Bucket=BUCKET, Key="k", Body=b"x")
    assert readers(inner, "k") == {"staging"}
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"y")
    assert readers(inner, "k") == EVERYONE
    writer.put_object(Bucket=BUCKET, Key="k", Body=b"x")
    s3.delete_object(Bucket=BUCKET, Key="k")
    assert refused(lambda: s3.get_object(Bucket=BUCKET, Key="k")) == "NoSuchKey"


@pytest.mark.parametrize(
    ("account", "actions"),
    [("staging", ["s3:PutObject"]), ("producer", ["s3:PutObject", "s3:ListBucket", "s3:GetObjectTagging"])],
)
def test_who_owns_an_object_still_needs_a_policy_of_its_own(
    inner: Any, s3: Any, account: str, actions: list[str]
) -> None:
    setting(s3, "ObjectWriter")
    inner.client("staging", "s3").put_object(Bucket=BUCKET, Key="k", Body=b"x", ACL=FULL)
    narrow = inner.session(account, "s3", only(*actions))
    assert refused(lambda: narrow.get_object(Bucket=BUCKET, Key="k")) == "AccessDenied"


def test_a_cut_off_account_does_not_even_read_what_it_owns(inner: Any, s3: Any) -> None:
    setting(s3, "ObjectWriter")
    inner.client("staging", "s3").put_object(Bucket=BUCKET, Key="k", Body=b"x")
    block = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "RestrictPublicBuckets"), True)
    s3.put_public_access_block(
        Bucket=BUCKET, PublicAccessBlockConfiguration={**block, "BlockPublicPolicy": False}
    )
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy({**OPEN, "Principal": "*"}))
    assert readers(inner, "k") == set()
    s3.put_public_access_block(
        Bucket=BUCKET, PublicAccessBlockConfiguration={**block, "BlockPublicPolicy": True}
    )


@pytest.mark.parametrize(
    ("rule", "more", "code"),
    [
        ("BucketOwnerEnforced", {"ACL": "private"}, "AccessControlListNotSupported"),
        ("BucketOwnerEnforced", {"ACL": "public-read"}, "AccessControlListNotSupported"),
        ("BucketOwnerEnforced", {"GrantRead": 'id="1"'}, "AccessControlListNotSupported"),
        ("ObjectWriter", {"ACL": "public-read"}, "NotImplemented"),
        ("ObjectWriter", {"GrantRead": 'id="1"'}, "NotImplemented"),
    ],
)
def test_an_access_control_list_that_a_bucket_does_not_take(
    s3: Any, rule: str, more: dict[str, str], code: str
) -> None:
    setting(s3, rule)
    assert refused(lambda: s3.put_object(Bucket=BUCKET, Key="acl", Body=b"x", **more)) == code
    assert refused(lambda: s3.get_object(Bucket=BUCKET, Key="acl")) == "NoSuchKey"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"ACL": "public-read"}, "InvalidBucketAclWithObjectOwnership"),
        (
            {"ACL": "public-read", "ObjectOwnership": "ObjectWriter"},
            "InvalidBucketAclWithBlockPublicAccessError",
        ),
        ({"GrantRead": "id=1", "ObjectOwnership": "BucketOwnerPreferred"}, "NotImplemented"),
        ({"ObjectOwnership": "RandomValue"}, "InvalidArgument"),
    ],
)
def test_a_bucket_is_not_made_with_an_access_control_list(s3: Any, given: dict[str, str], code: str) -> None:
    assert refused(lambda: s3.create_bucket(Bucket="never-made", **given)) == code
    assert refused(lambda: s3.get_bucket_acl(Bucket="never-made")) == "NoSuchBucket"


def shown(s3: Any) -> str:
    return str(
        s3.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"]["Rules"][0]["ObjectOwnership"]
    )


def test_the_setting_is_shown_as_it_is(s3: Any) -> None:
    assert shown(s3) == "BucketOwnerEnforced"
    setting(s3, "BucketOwnerPreferred")
    assert shown(s3) == "BucketOwnerPreferred"
    assert refused(lambda: setting(s3, "Nobody")) == "MalformedXML"
    assert shown(s3) == "BucketOwnerPreferred"
    setting(s3, None)
    assert refused(lambda: shown(s3)) == "OwnershipControlsNotFoundError"
    s3.create_bucket(Bucket="preferred-bucket", ObjectOwnership="ObjectWriter")
    made = s3.get_bucket_ownership_controls(Bucket="preferred-bucket")["OwnershipControls"]["Rules"]
    assert made == [{"ObjectOwnership": "ObjectWriter"}]


CALLS: dict[str, Callable[[Any], Any]] = {
    "get": shown,
    "put": lambda c: setting(c, "BucketOwnerEnforced"),
    "delete": lambda c: setting(c, None),
    "acl": lambda c: c.get_bucket_acl(Bucket=BUCKET),
    "upload": lambda c: c.put_object(Bucket=BUCKET, Key="n", Body=b"x", ACL=FULL),
    "create": lambda c: c.create_bucket(Bucket="with-ownership", ObjectOwnership="ObjectWriter"),
}


@pytest.mark.parametrize(
    ("actions", "granted"),
    [
        (["s3:GetBucketOwnershipControls"], {"get"}),
        (["s3:PutBucketOwnershipControls"], {"put", "delete"}),
        (["s3:GetBucketAcl"], {"acl"}),
        (["s3:PutObject"], set()),
        (["s3:PutObject", "s3:PutObjectAcl"], {"upload"}),
        (["s3:CreateBucket"], set()),
        (["s3:CreateBucket", "s3:PutBucketOwnershipControls"], {"put", "delete", "create"}),
    ],
)
def test_each_call_needs_its_own_action(inner: Any, s3: Any, actions: list[str], granted: set[str]) -> None:
    client, passed = inner.session("producer", "s3", only(*actions)), set()
    for name, call in CALLS.items():
        try:
            call(client)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "AccessDenied"  # noqa: PT017 - one of two outcomes
        else:
            passed.add(name)
        setting(s3, "BucketOwnerEnforced")
    assert passed == granted


@pytest.mark.parametrize("account", ["staging", "outsider"])
@pytest.mark.parametrize("name", ["get", "put", "delete", "acl"])
def test_another_account_neither_sees_nor_sets_it(inner: Any, s3: Any, account: str, name: str) -> None:
    assert refused(lambda: CALLS[name](inner.client(account, "s3"))) == "AccessDenied"


@pytest.mark.parametrize(("acl", "granted"), [(FULL, True), (None, False)])
def test_a_policy_may_ask_for_full_control(inner: Any, s3: Any, acl: str | None, granted: bool) -> None:
    asks = {"Condition": {"StringEquals": {"s3:x-amz-acl": FULL}}}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy({**OPEN, **asks}))
    more = {"ACL": acl} if acl else {}
    put = lambda: inner.client("staging", "s3").put_object(Bucket=BUCKET, Key="k", Body=b"x", **more)  # noqa: E731
    assert (put() is not None) if granted else (refused(put) == "AccessDenied")


def test_listings_show_the_owner_of_each_object_where_one_asks(inner: Any, s3: Any) -> None:
    setting(s3, "ObjectWriter")
    for account, key in (("producer", "own/a b"), ("staging", "own/ü"), ("production", "own/c")):
        inner.client(account, "s3").put_object(Bucket=BUCKET, Key=key, Body=b"x")
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="own/", FetchOwner=True)["Contents"]
    owners = {entry["Key"]: entry["Owner"]["ID"] for entry in listed}
    assert len(set(owners.values())) == 3
    assert s3.get_bucket_acl(Bucket=BUCKET)["Owner"]["ID"] == owners["own/a b"]
    assert all(len(name) == 64 for name in owners.values())
    for answer, kind in ((s3.list_objects, "Contents"), (s3.list_object_versions, "Versions")):
        again = answer(Bucket=BUCKET, Prefix="own/")[kind]
        assert {entry["Key"]: entry["Owner"]["ID"] for entry in again} == owners
    silent = s3.list_objects_v2(Bucket=BUCKET, Prefix="own/")["Contents"]
    assert [entry.get("Owner") for entry in silent] == [None, None, None]
    setting(s3, "BucketOwnerEnforced")
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="own/", FetchOwner=True)["Contents"]
    assert {entry["Owner"]["ID"] for entry in listed} == {owners["own/a b"]}
    inner.client("staging", "s3").create_bucket(Bucket="staging-own")
    assert (
        inner.client("staging", "s3").get_bucket_acl(Bucket="staging-own")["Owner"]["ID"] == owners["own/ü"]
    )


def test_a_version_keeps_its_own_owner(inner: Any, s3: Any) -> None:
    s3.create_bucket(Bucket="versions-bucket", ObjectOwnership="ObjectWriter")
    s3.put_bucket_versioning(Bucket="versions-bucket", VersioningConfiguration={"Status": "Enabled"})
    grant = {**OPEN, "Resource": "arn:aws:s3:::versions-bucket/*"}
    s3.put_bucket_policy(Bucket="versions-bucket", Policy=policy(grant))
    old = inner.client("staging", "s3").put_object(Bucket="versions-bucket", Key="k", Body=b"x")["VersionId"]
    s3.put_object(Bucket="versions-bucket", Key="k", Body=b"own")
    assert s3.get_object(Bucket="versions-bucket", Key="k")["ContentLength"] == 3
    assert refused(lambda: s3.get_object(Bucket="versions-bucket", Key="k", VersionId=old)) == "AccessDenied"
