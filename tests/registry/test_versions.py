from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount import doors
from crossaccount.arns import package_arn
from crossaccount.config.loading import load_config
from crossaccount.config.model import Sharing
from crossaccount.errors import Failed, Obstacle
from crossaccount.registry.artifacts import Artifact, aws_registries
from crossaccount.registry.versions import (
    ModelVersion,
    check_deployable,
    contents_of,
    no_version,
    parse_version,
)

SHARING = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
LISTED = SHARING.model_copy(update={"versions": (1, 2)})
OWNER = SHARING.producer.account
GROUP = SHARING.model_package_group
RELEASES = SHARING.producer.releases_bucket
IMAGE = f"{OWNER}.dkr.ecr.us-east-1.amazonaws.com/trees:1"
DIGEST = "sha256:" + "0" * 64
RELEASES_ALONE = {
    "repository": {},
    "bucket": {RELEASES: (f"releases/{GROUP}/",)},
    "key": {},
    "model-package-group": {GROUP: ()},
}


def needs(config: Sharing, versions: Iterable[ModelVersion]) -> doors.Needs:
    return doors.needs(config, contents_of(versions))


def described(number: int = 1, *containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "ModelPackageArn": package_arn(SHARING, number),
        "ModelPackageGroupName": GROUP,
        "ModelPackageStatus": "Completed",
        "ModelApprovalStatus": "Approved",
        "InferenceSpecification": {"Containers": [{"Image": IMAGE, **one} for one in containers]},
        **more,
    }


def version(number: int = 1, *containers: dict[str, Any], **more: Any) -> ModelVersion:
    return parse_version(described(number, *containers, **more))


def at(url: str) -> dict[str, Any]:
    return {"ModelDataUrl": url}


def source(uri: str, kind: str = "S3Object", **more: Any) -> dict[str, Any]:
    return {"S3DataSource": {"S3Uri": uri, "S3DataType": kind, "CompressionType": "None", **more}}


# The walk: every place where an artifact may stand.


@pytest.mark.parametrize(
    ("container", "found"),
    [
        pytest.param({}, [], id="an image alone"),
        pytest.param(
            {"ModelDataUrl": None, "ModelDataSource": None, "AdditionalModelDataSources": None},
            [],
            id="empty",
        ),
        pytest.param({"ModelDataSource": {}}, [], id="a source without S3"),
        pytest.param(at("s3://b/a/m"), [Artifact("s3://b/a/m", "b", "a/m", False)], id="ModelDataUrl"),
        pytest.param(
            {**at("s3://b/a/m"), "ModelDataETag": '"abc"'},
            [Artifact("s3://b/a/m", "b", "a/m", False, "abc")],
            id="ModelDataETag",
        ),
        pytest.param(
            at("https://b.s3.us-east-1.amazonaws.com/a/m"),
            [Artifact("https://b.s3.us-east-1.amazonaws.com/a/m", "b", "a/m", False)],
            id="an https address",
        ),
        pytest.param(
            {"ModelDataSource": source("s3://b/a/m", ETag="abc")},
            [Artifact("s3://b/a/m", "b", "a/m", False, "abc")],
            id="ModelDataSource, an object",
        ),
        pytest.param(
            {"ModelDataSource": source("s3://b/a/", "S3Prefix", ETag="of what?")},
            [Artifact("s3://b/a/", "b", "a/", True, None)],
            id="ModelDataSource, a prefix has no ETag",
        ),
        pytest.param(
            {
                "ModelDataSource": source(
                    "s3://b/a/", "S3Prefix", ManifestS3Uri="s3://c/m.json", ManifestEtag="d"
                )
            },
            [Artifact("s3://b/a/", "b", "a/", True), Artifact("s3://c/m.json", "c", "m.json", False, "d")],
            id="ManifestS3Uri",
        ),
        pytest.param(
            {
                "AdditionalModelDataSources": [
                    {"ChannelName": "one", **source("s3://b/one/", "S3Prefix")},
                    {
                        "ChannelName": "two",
                        **source("s3://c/two", ETag="t", ManifestS3Uri="https://s3.amazonaws.com/d/m"),
                    },
                ]
            },
            [
                Artifact("s3://b/one/", "b", "one/", True),
                Artifact("s3://c/two", "c", "two", False, "t"),
                Artifact("https://s3.amazonaws.com/d/m", "d", "m", False),
            ],
            id="AdditionalModelDataSources",
        ),
        pytest.param(
            {
                "AdditionalS3DataSource": {
                    "S3Uri": "s3://b/adapter",
                    "S3DataType": "S3Object",
                    "ETag": "e",
                }
            },
            [Artifact("s3://b/adapter", "b", "adapter", False, "e")],
            id="AdditionalS3DataSource, an object",
        ),
        pytest.param(
            {"AdditionalS3DataSource": {"S3Uri": "s3://b/adapters/", "S3DataType": "S3Prefix", "ETag": "e"}},
            [Artifact("s3://b/adapters/", "b", "adapters/", True)],
            id="AdditionalS3DataSource, a prefix",
        ),
        pytest.param(
            {
                **at("s3://b/1"),
                "ModelDataSource": source("s3://b/2"),
                "AdditionalModelDataSources": [source("s3://b/3"), source("s3://b/1")],
                "AdditionalS3DataSource": {"S3Uri": "s3://b/4", "S3DataType": "S3Object"},
            },
            [Artifact(f"s3://b/{n}", "b", n, False) for n in "1234"],
            id="all at once, each named once",
        ),
    ],
)
@pytest.mark.parametrize("place", ["main", "additional"])
def test_every_place_of_an_artifact_is_walked(
    container: dict[str, Any], found: list[Artifact], place: str
) -> None:
    additional = [{"Name": "extra", "Containers": [{"Image": IMAGE, **container}]}]
    one = (
        version(1, container)
        if place == "main"
        else version(1, {}, AdditionalInferenceSpecifications=additional)
    )
    assert list(one.containers[-1].artifacts) == found
    buckets = {artifact.bucket for artifact in found}
    assert set(needs(SHARING, [one])["bucket"]) == buckets | {RELEASES}


def test_every_container_of_every_specification_is_walked_in_order() -> None:
    host = f"{OWNER}.dkr.ecr.us-east-1.amazonaws.com"
    one = version(
        3,
        {**at("s3://b/1/m"), "Image": f"{host}/first:1", "ImageDigest": DIGEST},
        {**at("s3://c/2/m"), "Image": f"{host}/second@{DIGEST}"},
        AdditionalInferenceSpecifications=[
            {"Name": "gpu", "Containers": [{**at("s3://d/3/m"), "Image": f"{host}/third"}]},
            {"Name": "edge", "Containers": [{"Image": f"{host}/fourth"}, {"Image": f"{host}/first:2"}]},
        ],
    )
    assert [(c.specification, c.image.rpartition("/")[2], c.image_digest) for c in one.containers] == [
        (None, "first:1", DIGEST),
        (None, f"second@{DIGEST}", None),
        ("gpu", "third", None),
        ("edge", "fourth", None),
        ("edge", "first:2", None),
    ]
    found = needs(LISTED, [one])
    assert set(found["repository"]) == {"first", "fourth", "second", "third"}
    assert set(found["bucket"]) == {"b", "c", "d", RELEASES}


def test_a_version_as_it_is_described() -> None:
    one = parse_version(
        {
            **described(7, at("s3://b/m/x"), SamplePayloadUrl="s3://b/samples.tar.gz"),
            "InferenceSpecification": {
                "Containers": [{"Image": IMAGE}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["application/json"],
                "SupportedRealtimeInferenceInstanceTypes": ["ml.m5.large"],
            },
        }
    )
    assert (one.arn, one.group, one.version) == (package_arn(SHARING, 7), GROUP, 7)
    assert (one.content_types, one.response_types, one.instance_types) == (
        ("text/csv",),
        ("application/json",),
        ("ml.m5.large",),
    )
    assert one.sample_payload_url == "s3://b/samples.tar.gz"


def test_a_version_without_an_inference_specification() -> None:
    bare = described(1)
    del bare["InferenceSpecification"]
    one = parse_version(bare)
    assert one.containers == ()
    assert needs(SHARING, [one]) == RELEASES_ALONE


@pytest.mark.parametrize("image", [None, ""])
def test_a_container_without_an_image_is_refused(image: str | None) -> None:
    bad = {"Image": image, **at("s3://b/m/x")}
    with pytest.raises(Failed, match=r"no image.*Register"):
        parse_version(described(1, bad))


@pytest.mark.parametrize("image", [None, ""])
def test_an_additional_specification_without_an_image_is_kept_apart(image: str | None) -> None:
    bad = {"Image": image, **at("s3://b/m/x")}
    one = parse_version(
        described(1, {}, AdditionalInferenceSpecifications=[{"Name": "x", "Containers": [{}, bad]}])
    )
    assert [container.specification for container in one.containers] == [None]
    assert [name for name, _ in one.incomplete] == ["x"]


POINT = "arn:aws:s3:us-east-1:111111111111:accesspoint/models"


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("/mnt/model", "not a location in Amazon S3"),
        ("http://b.s3.amazonaws.com/m", "not a location in Amazon S3"),
        ("https://huggingface.co/m", "not a location in Amazon S3"),
        ("s3://", "not a location in Amazon S3"),
        (f"{POINT}/object/m/model.tar.gz", "an access point"),
        (f"s3://{POINT}/object/m/model.tar.gz", "an access point"),
        ("arn:aws-cn:s3:cn-north-1:111111111111:accesspoint:models/object/m", "an access point"),
        ("arn:aws:s3::111111111111:accesspoint/mfzwi23gnjvgw.mrap/object/m", "an access point"),
        ("s3://models-abcdefgh12345-s3alias/m/model.tar.gz", "an access point"),
        ("s3://lambda-abcdefgh12345--ol-s3/m", "an Object Lambda access point"),
        ("https://models-111111111111.s3-accesspoint.us-east-1.amazonaws.com/m", "an access point"),
        ("s3://models--use1-az4--x-s3/m", "a directory bucket"),
        ("s3://a bucket/m", "cannot name a bucket"),
        ("s3://arn:aws:s3:::models/m", "cannot name a bucket"),
        ("s3://models$/m", "cannot name a bucket"),
    ],
)
@pytest.mark.parametrize("place", ["url", "source", "prefix"])
def test_an_artifact_that_no_bucket_s_policy_opens_is_a_fault_of_its_own_version(
    uri: str, says: str, place: str
) -> None:
    given = {"url": at(uri), "source": {"ModelDataSource": source(uri)}}
    given["prefix"] = {"ModelDataSource": source(f"{uri}/", "S3Prefix")}
    read = version(1, given[place])
    with pytest.raises(Obstacle, match=says) as obstacle:
        needs(SHARING, [read])
    assert uri in str(obstacle.value)
    assert "Register the version" in str(obstacle.value)


# Approved and Completed, or refused by name.


@pytest.mark.parametrize(
    ("status", "approval"),
    [
        (status, approval)
        for status, approval in itertools.product(
            ("Completed", "Pending", "InProgress", "Failed", "Deleting"),
            ("Approved", "Rejected", "PendingManualApproval", None),
        )
        if (status, approval) != ("Completed", "Approved")
    ],
)
def test_any_other_version_is_not_deployable(status: str, approval: str | None) -> None:
    given = {**described(4), "ModelPackageStatus": status, "ModelApprovalStatus": approval}
    if approval is None:
        del given["ModelApprovalStatus"]
    one = parse_version(given)
    assert not one.deployable
    with pytest.raises(Failed, match=f"Version 4 of {GROUP} is ") as failed:
        check_deployable(one)
    assert (status if status != "Completed" else approval or "PendingManualApproval") in str(failed.value)


def test_a_completed_and_approved_version_is_deployable() -> None:
    assert version().deployable
    check_deployable(version())


# A version that does not exist: those that do are said, the newest first.


class Listing:
    """A client that lists these versions, or refuses to."""

    def __init__(self, found: dict[int, str | None] | str) -> None:
        self.found = found

    def get_paginator(self, _: str) -> Listing:
        return self

    def paginate(self, **_: str) -> Any:
        if isinstance(self.found, str):
            raise ClientError({"Error": {"Code": self.found, "Message": ""}}, "ListModelPackages")
        for number, approval in self.found.items():
            said = {} if approval is None else {"ModelApprovalStatus": approval}
            yield {"ModelPackageSummaryList": [{"ModelPackageArn": package_arn(SHARING, number), **said}]}


@pytest.mark.parametrize(
    ("there", "says"),
    [
        ({}, "It has: none."),
        ({2: "Rejected", 1: "Approved"}, "It has: 2 (Rejected), 1 (Approved)."),
        ({1: None, 20: "Approved", 3: "Approved"}, "It has: 20 (Approved), 3 (Approved), 1 (PendingManualApproval)."),
        (
            dict.fromkeys(range(1, 13), "Approved"),
            f"It has: {', '.join(f'{number} (Approved)' for number in range(12, 2, -1))}, and 2 older.",
        ),
        (dict.fromkeys(range(1, 11), "Approved"), "2 (Approved), 1 (Approved). Choose"),
        ("AccessDeniedException", "It has: unknown, as AWS refuses to list them (AccessDeniedException)."),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "group", [GROUP, f"arn:aws:sagemaker:us-east-1:111111111111:model-package-group/{GROUP}"]
)
def test_of_a_version_that_does_not_exist_those_that_do_are_said(
    there: dict[int, str | None] | str, says: str, group: str
) -> None:
    client: Any = Listing(there)
    said = str(no_version(client, group, 99))
    assert said.startswith(f"{GROUP} has no version 99. It has: ")
    assert says in said
    assert said.endswith(" Choose an Approved one, or register it.")


# What is needed of the buckets.


@pytest.mark.parametrize(
    ("urls", "approved", "listed"),
    [
        pytest.param(["s3://b/t/1/m"], ("t/1/",), ("t/1/",), id="a lone version: its folder"),
        pytest.param(
            [f"s3://b/{GROUP}/1/m", f"s3://b/{GROUP}/2/m"],
            (f"{GROUP}/",),
            (f"{GROUP}/1/", f"{GROUP}/2/"),
            id="the group's folder holds them",
        ),
        pytest.param(
            [f"s3://b/x/{GROUP}/y/1/m", f"s3://b/x/{GROUP}/y/2/m"],
            (f"x/{GROUP}/y/",),
            (f"x/{GROUP}/y/1/", f"x/{GROUP}/y/2/"),
            id="a folder below the group's",
        ),
        pytest.param(
            [f"s3://b/x-{GROUP}/1/m", f"s3://b/x-{GROUP}/2/m"],
            (f"x-{GROUP}/1/", f"x-{GROUP}/2/"),
            (f"x-{GROUP}/1/", f"x-{GROUP}/2/"),
            id="another folder whose name only ends so",
        ),
        pytest.param(
            [f"s3://b/{GROUP}/1/m", f"s3://b/{GROUP}/2/deep/m"],
            (f"{GROUP}/1/", f"{GROUP}/2/deep/"),
            (f"{GROUP}/1/", f"{GROUP}/2/deep/"),
            id="folders of two depths",
        ),
        pytest.param(
            [f"s3://b/{GROUP}/1/m", "s3://b/elsewhere/2/m"],
            ("elsewhere/2/", f"{GROUP}/1/"),
            ("elsewhere/2/", f"{GROUP}/1/"),
            id="one lies elsewhere",
        ),
        pytest.param(
            [f"s3://b/{GROUP}/1/m", "s3://b/root.tar.gz"],
            (f"{GROUP}/1/", "root.tar.gz"),
            (f"{GROUP}/1/", "root.tar.gz"),
            id="one lies at the root",
        ),
        pytest.param(
            ["s3://b/1.tar.gz", "s3://b/2.tar.gz"],
            ("1.tar.gz", "2.tar.gz"),
            ("1.tar.gz", "2.tar.gz"),
            id="both at the root: each by its key, never the root",
        ),
        pytest.param(["s3://b/1/m", "s3://b/2/m"], ("1/", "2/"), ("1/", "2/"), id="never the root"),
        pytest.param(
            [f"s3://b/{GROUP}/1.tar.gz", f"s3://b/{GROUP}/2.tar.gz"],
            (f"{GROUP}/",),
            (f"{GROUP}/",),
            id="one folder of many objects",
        ),
        pytest.param(
            [f"https://b.s3.amazonaws.com/{GROUP}/1/m", f"s3://b/{GROUP}/2/m"],
            (f"{GROUP}/",),
            (f"{GROUP}/1/", f"{GROUP}/2/"),
            id="two ways of writing one bucket",
        ),
    ],
)
def test_the_prefixes_of_a_bucket(
    urls: list[str], approved: tuple[str, ...], listed: tuple[str, ...]
) -> None:
    found = [version(number, at(url)) for number, url in enumerate(urls, 1)]
    expected = {"approved": tuple(sorted(approved)), "listed": tuple(sorted(listed))}
    assert needs(SHARING, found)["bucket"]["b"] == expected["approved"]
    assert needs(LISTED, found)["bucket"]["b"] == expected["listed"]
    assert needs(SHARING, found[::-1]) == needs(SHARING, found)


def test_the_releases_never_take_part_in_widening() -> None:
    lone = version(1, at(f"s3://{RELEASES}/releases/one/m"))
    assert needs(SHARING, [lone])["bucket"] == {RELEASES: (f"releases/{GROUP}/", "releases/one/")}
    none = needs(SHARING, [])
    assert none == RELEASES_ALONE


def test_each_bucket_is_widened_by_itself() -> None:
    found = [
        version(1, at(f"s3://b/{GROUP}/1/m"), at(f"s3://c/{GROUP}/1/m")),
        version(2, at(f"s3://b/{GROUP}/2/m")),
    ]
    buckets = needs(SHARING, found)["bucket"]
    assert (buckets["b"], buckets["c"]) == ((f"{GROUP}/",), (f"{GROUP}/1/",))


@pytest.mark.parametrize(
    "container",
    [
        pytest.param(at("s3://b"), id="a bucket"),
        pytest.param(at("s3://b/"), id="a bucket with its slash"),
        pytest.param(at("https://s3.amazonaws.com/b"), id="a bucket by its address"),
        pytest.param({"ModelDataSource": source("s3://b/a", "S3Prefix")}, id="a prefix without a slash"),
        pytest.param({"ModelDataSource": source("s3://b/", "S3Prefix")}, id="the root as a prefix"),
        pytest.param({"AdditionalModelDataSources": [source("s3://b/a/b", "S3Prefix")]}, id="another source"),
        pytest.param(
            {"AdditionalS3DataSource": {"S3Uri": "s3://b/a", "S3DataType": "S3Prefix"}}, id="an adapter"
        ),
    ],
)
def test_what_would_open_more_than_an_artifact_is_refused(container: dict[str, Any]) -> None:
    with pytest.raises(Failed, match=r"s3.*Register"):
        needs(SHARING, [version(1, container)])


# What is needed of the repositories.


@pytest.mark.parametrize(
    ("image", "repositories"),
    [
        (f"{OWNER}.dkr.ecr.us-east-1.amazonaws.com/team/trees:1", ("team/trees",)),
        (f"{OWNER}.dkr.ecr.us-east-1.amazonaws.com/trees@{DIGEST}", ("trees",)),
        ("763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.1", ()),
        ("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1", ()),
        ("811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:1", ()),
    ],
)
def test_only_the_producer_s_own_repositories_are_granted(image: str, repositories: tuple[str, ...]) -> None:
    assert needs(SHARING, [version(1, {"Image": image})])["repository"] == dict.fromkeys(repositories, ())


@pytest.mark.parametrize(
    ("image", "word"),
    [
        ("444444444444.dkr.ecr.us-east-1.amazonaws.com/trees:1", "444444444444"),
        ("222222222222.dkr.ecr.us-east-1.amazonaws.com/trees:1", "222222222222"),
        ("763104351885.dkr.ecr.us-east-1.amazonaws.com/trees:1", "763104351885"),
        (f"{OWNER}.dkr.ecr.eu-west-1.amazonaws.com/trees:1", "eu-west-1"),
        ("763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-inference:2.1", "eu-west-1"),
        ("docker.io/library/python:3", "Amazon ECR"),
    ],
)
@pytest.mark.parametrize("place", ["main", "second", "additional"])
def test_an_image_that_no_consumer_could_pull_is_refused(image: str, word: str, place: str) -> None:
    bad = {"Image": image}
    one = {
        "main": lambda: version(1, bad),
        "second": lambda: version(1, {}, bad),
        "additional": lambda: version(
            1, {}, AdditionalInferenceSpecifications=[{"Name": "x", "Containers": [bad]}]
        ),
    }[place]()
    with pytest.raises(Failed, match=word):
        needs(SHARING, [version(2, {}), one])


def test_the_registries_that_aws_owns() -> None:
    known = aws_registries()
    assert {"763104351884", "683313688378", "246618743249", "727897471807", "442386744353"} <= known
    assert not known & {"111111111111", "222222222222", "333333333333", "444444444444"}
    assert len(known) > 300
    assert all(len(account) == 12 and account.isdigit() for account in known)
