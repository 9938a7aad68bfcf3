"""A version is published once."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount import doors
from crossaccount.arns import group_arn, package_arn
from crossaccount.aws.access import Producer
from crossaccount.config.loading import load_config
from crossaccount.doors.base import Resource
from crossaccount.errors import Conflict
from crossaccount.registry.versions import ModelVersion, contents_of, parse_version
from crossaccount.release.manifest import Release
from crossaccount.sharing import gather, plan, publish
from crossaccount.sharing.artifacts import Observed
from crossaccount.sharing.changes import Basis, Change, Plan

SHARING = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
OWNER = SHARING.producer.account
DIGEST = "sha256:" + "0123456789abcdef" * 4
KEY = "releases/decision-trees-sample/1.json"


class Bucket:
    """S3 with a few objects of one owner; every other call is a fault of the test."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = dict(objects)
        self.puts: list[dict[str, Any]] = []
        self.before_put: Callable[[], None] = lambda: None

    def get_object(self, Bucket: str, Key: str, ExpectedBucketOwner: str) -> dict[str, Any]:
        assert ExpectedBucketOwner == OWNER
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": "no such key"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_object(self, **given: Any) -> None:
        self.before_put()
        assert given["IfNoneMatch"] == "*"
        assert given["ExpectedBucketOwner"] == OWNER
        if given["Key"] in self.objects:
            raise ClientError(
                {"Error": {"Code": "PreconditionFailed", "Message": "it is there"}}, "PutObject"
            )
        self.puts.append(given)
        self.objects[given["Key"]] = given["Body"]


def producer(service: Any) -> Producer:
    """The producer's account, every client of which is this one."""
    return Producer(SHARING, SimpleNamespace(client=lambda *_: service))  # type: ignore[arg-type]


# Publishing.

VERSION = parse_version(
    {
        "ModelPackageArn": package_arn(SHARING, 1),
        "ModelPackageGroupName": SHARING.model_package_group,
        "ModelPackageStatus": "Completed",
        "ModelApprovalStatus": "Approved",
        "InferenceSpecification": {
            "Containers": [
                {
                    "Image": f"{OWNER}.dkr.ecr.us-east-1.amazonaws.com/trees:1",
                    "ModelDataUrl": "s3://models/churn/1/m",
                }
            ],
            "SupportedContentTypes": ["text/csv"],
        },
    }
)
IMAGE = VERSION.containers[0].image
NOW = datetime(2026, 11, 24, tzinfo=UTC)
NEEDS = doors.needs(SHARING, contents_of([VERSION]))
MADE = plan.plan_share(SHARING, Basis(NEEDS, dict.fromkeys(doors.resources(SHARING, NEEDS)), NOW))


def found(etag: str = "abc") -> gather.Gathered:
    observed = {"s3://models/churn/1/m": Observed(etag)}
    return gather.Gathered(NEEDS, {}, NOW, versions=(VERSION,), observed=observed, digests={IMAGE: DIGEST})


def ensure(bucket: Bucket, etag: str = "abc", version: ModelVersion = VERSION) -> tuple[Release, bool]:
    """The Release, and whether it is new; a new one is published."""
    made, new = publish.prepare(producer(bucket), version, found(etag), MADE)
    return (publish.publish(producer(bucket), made) if new else made), new


def test_a_release_is_published_once() -> None:
    bucket = Bucket()
    made, new = ensure(bucket)
    assert new
    assert [put["Key"] for put in bucket.puts] == [KEY]
    assert bucket.objects[KEY] == made.to_bytes()
    assert made.containers[0].image_digest == DIGEST
    assert made.containers[0].artifacts[0].etag == "abc"
    again, new = ensure(bucket)
    assert (again, new, len(bucket.puts)) == (made, False, 1)


def test_whoever_publishes_the_same_at_the_same_time_wins_quietly() -> None:
    first = Bucket()
    ensure(first)
    second = Bucket()
    second.before_put = lambda: second.objects.update(first.objects)
    assert ensure(second)[0].to_bytes() in first.objects.values()
    assert second.puts == []


@pytest.mark.parametrize("during", [False, True])
def test_another_artifact_under_a_published_version_is_a_conflict(during: bool) -> None:
    first = Bucket()
    ensure(first, etag="other")
    second = Bucket() if during else first
    second.before_put = lambda: second.objects.update(first.objects)
    with pytest.raises(Conflict, match="decision-trees-sample/1 was published"):
        ensure(second)
    assert second.objects == first.objects


def test_what_may_change_after_publishing_is_no_conflict() -> None:
    bucket = Bucket()
    made, _ = ensure(bucket)
    moved = replace(VERSION, approval="Rejected", content_types=("application/json",))
    assert ensure(bucket, version=moved) == (made, False)


@pytest.mark.parametrize("image", [IMAGE, f"{IMAGE[:-1]}2"])
def test_a_specification_that_was_added_later_is_no_conflict(image: str) -> None:
    """Only what is deployed counts: consumers make their models from the main specification."""
    bucket = Bucket()
    made, _ = ensure(bucket)
    extra = replace(VERSION.containers[0], image=image, specification="edge")
    assert ensure(bucket, version=replace(VERSION, containers=(*VERSION.containers, extra))) == (made, False)


def test_another_image_of_the_main_specification_is_a_conflict_beside_any_other() -> None:
    bucket = Bucket()
    extra = replace(VERSION.containers[0], specification="edge")
    ensure(bucket, version=replace(VERSION, containers=(*VERSION.containers, extra)))
    changed = replace(VERSION.containers[0], image=f"{IMAGE[:-1]}2", image_digest=f"sha256:{'1' * 64}")
    with pytest.raises(Conflict):
        ensure(bucket, version=replace(VERSION, containers=(changed, extra)))


def test_the_grants_of_a_plan_are_by_door_and_name_nobody() -> None:
    grants = publish.grants_of(MADE, group_arn(SHARING))
    assert [(one.door, one.resource) for one in grants] == [
        ("repository", "trees"),
        ("bucket", "models"),
        ("bucket", SHARING.producer.releases_bucket),
        ("registry", SHARING.model_package_group),
    ]
    assert all(one.actions == sorted(set(one.actions)) for one in grants)
    assert grants[1].actions == ["s3:GetObject", "s3:ListBucket"]
    assert not [one for one in grants if "222222222222" in one.model_dump_json()]


def test_strangers_statements_are_no_grants_of_ours() -> None:
    stranger = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Principal": "*", "NotAction": "s3:*"}],
    }
    models = Resource("bucket", "models", OWNER)
    assert publish.grants_of(Plan((Change(models, stranger, stranger),)), group_arn(SHARING)) == []
    assert publish.grants_of(Plan((Change(models, stranger, None),)), group_arn(SHARING)) == []
