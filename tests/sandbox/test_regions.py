"""A bucket lies in one region: clients that asked in another are sent there, and S3 tells everyone which it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

BUCKET = "frankfurt-bucket"
KEY = {"Bucket": BUCKET, "Key": "k"}
ASKED: list[Callable[[Any], Any]] = [
    lambda c: c.get_object(**KEY),
    lambda c: c.head_object(**KEY),
    lambda c: c.head_bucket(Bucket=BUCKET),
    lambda c: c.list_objects_v2(Bucket=BUCKET),
    lambda c: c.put_object(**KEY, Body=b"xyz"),
    lambda c: c.get_bucket_ownership_controls(Bucket=BUCKET),
]
NAMES = ["get", "head", "head-bucket", "list", "put", "ownership"]


@pytest.fixture(scope="module", autouse=True)
def bucket(inner: Any) -> None:
    s3 = inner.client("producer", "s3", region="eu-central-1")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(**KEY, Body=b"xyz")
    inner.client("producer", "s3").create_bucket(Bucket="virginia-bucket")


def regions(inner: Any, call: Callable[[], Any]) -> list[tuple[int, str | None]]:
    inner.entries.clear()
    call()
    return [(entry["status"], entry["code"]) for entry in inner.entries]


@pytest.mark.parametrize("asked", ASKED, ids=NAMES)
@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_a_client_in_another_region_is_sent_to_the_bucket_s(inner: Any, region: str, asked: Any) -> None:
    # A client remembers where it was sent: each needs to be a new one.
    client = inner.fresh("producer", "s3", region)
    assert regions(inner, lambda: asked(client)) == [(301, "PermanentRedirect"), (200, None)]
    assert regions(inner, lambda: client.get_object(**KEY)) == [(200, None)]


@pytest.mark.parametrize("asked", ASKED, ids=NAMES)
def test_a_client_in_the_same_region_is_served_at_once(inner: Any, asked: Any) -> None:
    client = inner.client("producer", "s3", region="eu-central-1")
    assert regions(inner, lambda: asked(client)) == [(200, None)]


@pytest.mark.parametrize("account", ["staging", "outsider"])
def test_being_sent_on_opens_nothing(inner: Any, account: str) -> None:
    client = inner.fresh(account, "s3", "us-east-1")
    with pytest.raises(ClientError) as error:
        client.get_object(**KEY)
    assert error.value.response["Error"]["Code"] == "AccessDenied"


@pytest.mark.parametrize(
    ("bucket", "lives", "located"),
    [(BUCKET, "eu-central-1", "eu-central-1"), ("virginia-bucket", "us-east-1", None)],
)
def test_a_bucket_says_where_it_is(inner: Any, bucket: str, lives: str, located: str | None) -> None:
    client = inner.client("producer", "s3", region=lives)
    assert client.head_bucket(Bucket=bucket)["BucketRegion"] == lives
    assert client.get_bucket_location(Bucket=bucket)["LocationConstraint"] == located
    listed = client.list_objects_v2(Bucket=bucket, MaxKeys=1)["ResponseMetadata"]["HTTPHeaders"]
    assert listed["x-amz-bucket-region"] == lives
    virginia = inner.fresh("producer", "s3", "us-east-1")
    found: list[Any] = []
    answers = regions(inner, lambda: found.append(virginia.get_bucket_location(Bucket=bucket)))
    assert (found[0]["LocationConstraint"], answers) == (located, [(200, None)])


@pytest.mark.parametrize("account", ["staging", "outsider"])
def test_a_refused_head_still_tells_the_region_but_a_refused_location_does_not(
    inner: Any, account: str
) -> None:
    client = inner.client(account, "s3", region="eu-central-1")
    with pytest.raises(ClientError) as error:
        client.head_bucket(Bucket=BUCKET)
    answer = error.value.response["ResponseMetadata"]
    assert (answer["HTTPStatusCode"], answer["HTTPHeaders"]["x-amz-bucket-region"]) == (403, "eu-central-1")
    with pytest.raises(ClientError) as error:
        client.get_bucket_location(Bucket=BUCKET)
    assert "x-amz-bucket-region" not in error.value.response["ResponseMetadata"]["HTTPHeaders"]


@pytest.mark.parametrize(
    ("action", "granted"),
    [("s3:ListBucket", {"head"}), ("s3:GetBucketLocation", {"location"}), ("s3:GetObject", set())],
)
def test_each_call_needs_its_own_action(inner: Any, action: str, granted: set[str]) -> None:
    document = {"Effect": "Allow", "Action": action, "Resource": "*"}
    client = inner.session("producer", "s3", json.dumps({"Version": "2012-10-17", "Statement": [document]}))
    calls = {
        "head": lambda: client.head_bucket(Bucket="virginia-bucket"),
        "location": lambda: client.get_bucket_location(Bucket="virginia-bucket"),
    }
    passed = set()
    for name, call in calls.items():
        try:
            call()
        except ClientError as error:
            assert error.response["Error"]["Code"] in ("AccessDenied", "403")  # noqa: PT017 - one of two outcomes
        else:
            passed.add(name)
    assert passed == granted


def test_a_bucket_that_is_not_there_has_no_region(inner: Any) -> None:
    with pytest.raises(ClientError) as error:
        inner.client("producer", "s3").head_bucket(Bucket="nowhere-bucket")
    answer = error.value.response["ResponseMetadata"]
    assert (answer["HTTPStatusCode"], answer["HTTPHeaders"].get("x-amz-bucket-region")) == (404, None)
