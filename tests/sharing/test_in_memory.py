"""Sharing and revoking beside what others wrote, against a few lines of AWS in memory."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError

from crossaccount import doors
from crossaccount.arns import group_arn, package_arn
from crossaccount.aws.access import Producer
from crossaccount.config.loading import load_config
from crossaccount.config.model import Sharing
from crossaccount.doors.base import Resource
from crossaccount.errors import Conflict, Failed, PlanRefused, Severity
from crossaccount.registry.versions import ModelVersion, contents_of, parse_version
from crossaccount.release.manifest import Sample
from crossaccount.sharing import apply, gather, plan, publish, revoke
from crossaccount.sharing.artifacts import Observed, observe_all
from crossaccount.sharing.changes import Basis, Change, Plan

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SHARING = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
OWNER = SHARING.producer.account
GROUP = group_arn(SHARING)
IMAGE = f"{OWNER}.dkr.ecr.us-east-1.amazonaws.com/decision-trees-sample:1"
REGISTRY = Resource("model-package-group", SHARING.model_package_group, OWNER)
BUCKET = Resource("bucket", "models", OWNER)


def described(number: int, **container: Any) -> dict[str, Any]:
    return {
        "ModelPackageArn": package_arn(SHARING, number),
        "ModelPackageGroupName": SHARING.model_package_group,
        "ModelPackageStatus": "Completed",
        "ModelApprovalStatus": "Approved",
        "InferenceSpecification": {"Containers": [{"Image": IMAGE, **container}]},
    }


def version(number: int, **container: Any) -> ModelVersion:
    return parse_version(described(number, **container))


def needs(config: Sharing, versions: Iterable[ModelVersion]) -> doors.Needs:
    return doors.needs(config, contents_of(versions))


NEEDS = needs(SHARING, [version(1, ModelDataUrl="s3://models/churn/1/model.tar.gz")])


def shared(sharing: Sharing, resource: Resource, document: Any = None) -> Change:
    return plan.plan_share(sharing, Basis(NEEDS, {resource: document}, NOW)).changes[0]


def revoked(document: Any) -> Change:
    return plan.plan_revoke(SHARING, Basis(NEEDS, {REGISTRY: document}, NOW), {"222222222222"}).changes[0]


def desired() -> dict[str, Any]:
    document = shared(SHARING, REGISTRY).desired
    assert document is not None
    return copy.deepcopy(document)


def test_a_container_without_an_image_is_refused_by_name() -> None:
    with pytest.raises(Failed, match="image"):
        version(1, Image=None, ModelDataUrl="s3://models/m")


def test_a_deny_under_our_sid_is_never_replaced_by_an_allow() -> None:
    document = desired()
    document["Statement"][0]["Effect"] = "Deny"
    with pytest.raises(PlanRefused, match="Sid"):
        shared(SHARING, REGISTRY, document)


def test_a_deny_under_our_sid_survives_a_revoke() -> None:
    document = desired()
    document["Statement"] = [{**document["Statement"][0], "Effect": "Deny"}]
    assert revoked(document).verb == "keep"


def test_everyone_under_our_sid_is_refused_in_both_directions() -> None:
    document = desired()
    document["Statement"][0]["Principal"] = {"AWS": "*"}
    with pytest.raises(PlanRefused, match="everyone"):
        shared(SHARING, REGISTRY, document)
    with pytest.raises(PlanRefused, match="everyone"):
        revoked(document)


def test_a_service_that_somebody_put_beside_ours_stays() -> None:
    document = desired()
    document["Statement"][0]["Principal"] = {"AWS": "222222222222", "Service": "sagemaker.amazonaws.com"}
    after = shared(SHARING, REGISTRY, document).desired
    assert after is not None
    assert after["Statement"][0]["Principal"]["Service"] == "sagemaker.amazonaws.com"
    left = revoked(document).desired
    assert left is not None
    assert left["Statement"][0]["Principal"] == {"Service": "sagemaker.amazonaws.com"}


def test_grants_do_not_count_a_stranger_s_page_sid() -> None:
    stranger = {"Sid": "AddPerm", "Effect": "Deny", "Principal": "*", "NotAction": "s3:*", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [stranger]}
    found = plan.plan_share(SHARING, Basis(NEEDS, {REGISTRY: document}, NOW))
    assert [grant.actions for grant in publish.grants_of(found, GROUP)] == [
        [
            "sagemaker:CreateModel",
            "sagemaker:DescribeModelPackage",
            "sagemaker:DescribeModelPackageGroup",
            "sagemaker:ListModelPackages",
        ]
    ]


# The registry's record.


def producer(service: Any) -> Producer:
    """The producer's account, every client of which is this one."""
    return Producer(SHARING, SimpleNamespace(client=lambda *_: service))  # type: ignore[arg-type]


class Head:
    """S3 with one object, as HEAD shows it."""

    def head_object(self, **_: Any) -> dict[str, Any]:
        return {"ETag": '"abc"'}


@pytest.mark.parametrize(
    ("recorded", "refused"), [('"abc"', False), ("abc", False), ("other", True), (None, False)]
)
def test_an_artifact_that_is_not_the_registered_one_is_refused(recorded: str | None, refused: bool) -> None:
    asked = version(1, ModelDataUrl="s3://models/m/1", ModelDataETag=recorded).containers[0].artifacts
    _, findings = observe_all(producer(Head()), asked)
    assert [(one.severity, one.subject) for one in findings] == (
        [(Severity.ERROR, "s3://models/m/1")] if refused else []
    )


# Applying and revoking, against a few lines of AWS in memory.


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, "any")


THEIRS = {"Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}


class Busy:
    """A bucket whose other writer finishes while our first put is told to wait."""

    def __init__(self) -> None:
        self.policy: str | None = None
        self.puts = 0

    def get_bucket_policy(self, **_: Any) -> dict[str, Any]:
        if self.policy is None:
            raise refusal("NoSuchBucketPolicy")
        return {"Policy": self.policy}

    def put_bucket_policy(self, Policy: str, **_: Any) -> None:
        self.puts += 1
        if self.puts == 1:
            self.policy = json.dumps({"Version": "2012-10-17", "Statement": [THEIRS]})
            raise refusal("OperationAborted")
        self.policy = Policy


def test_what_a_busy_writer_wrote_is_not_overwritten() -> None:
    bucket = Busy()
    made = plan.plan_share(SHARING, Basis(NEEDS, {BUCKET: None}, NOW))
    with pytest.raises(Conflict):
        apply.apply(producer(bucket), made, exactly=True)
    assert json.loads(bucket.policy or "")["Statement"] == [THEIRS]
    bucket = Busy()
    apply.apply(producer(bucket), made)
    assert json.loads(bucket.policy or "")["Statement"] == [THEIRS, *made.changes[0].added]


class Registry:
    """A group with a sound version and one of an image that cannot be shared; its repository is gone."""

    versions: ClassVar = {
        package_arn(SHARING, 1): described(1, ModelDataUrl="s3://models/churn/1/m"),
        package_arn(SHARING, 2): described(
            2, ModelDataUrl="s3://models/churn/2/m", Image="docker.io/python:3"
        ),
    }

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"ModelPackageSummaryList": [{"ModelPackageArn": arn} for arn in self.versions]}]

    def describe_model_package(self, ModelPackageName: str, IncludedData: str) -> dict[str, Any]:
        assert IncludedData == "MetadataOnly"
        return self.versions[ModelPackageName]

    def head_object(self, **_: Any) -> dict[str, Any]:
        return {"ETag": '"abc"'}

    def get_repository_policy(self, **_: Any) -> None:
        raise refusal("RepositoryNotFoundException")

    def get_bucket_policy(self, **_: Any) -> None:
        raise refusal("NoSuchBucketPolicy")

    def get_model_package_group_policy(self, **_: Any) -> dict[str, Any]:
        return {"ResourcePolicy": json.dumps(desired())}


def test_a_revoke_passes_over_what_cannot_be_shared_or_is_gone() -> None:
    found = revoke.gather(producer(Registry()))
    assert [one.version for one in found.versions] == [1]
    assert {resource.kind for resource in found.existing} == {"bucket", "model-package-group"}


def test_a_release_that_no_consumer_would_read_is_not_published() -> None:
    many = (Sample(content_type="text/csv", body="x" * 20_000, expect=1),) * 60
    put: list[Any] = []

    class Bucket:
        def get_object(self, **_: Any) -> dict[str, Any]:
            raise refusal("NoSuchKey")

        def put_object(self, **given: Any) -> None:
            put.append(given)

        def batch_get_image(self, **_: Any) -> dict[str, Any]:
            return {"images": [{"imageId": {"imageDigest": "sha256:" + "0" * 64}}]}

    one = replace(version(1, ModelDataUrl="s3://models/m/1"), sample_payload_url="s3://models/samples.tar.gz")
    observed = {"s3://models/m/1": Observed("abc")}
    found = gather.Gathered(
        NEEDS, {}, NOW, versions=(one,), observed=observed, digests={}, samples={one.arn: many}
    )
    with pytest.raises(Failed, match="smaller samples"):
        publish.prepare(producer(Bucket()), one, found, Plan(()))
    assert put == []
