"""What a share needs of a bucket: the folders of its versions, and no more."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from crossaccount import doors
from crossaccount.arns import group_arn, package_arn
from crossaccount.config.loading import load_config
from crossaccount.config.model import Sharing
from crossaccount.doors import bucket
from crossaccount.errors import Failed
from crossaccount.policy.audience import Audience
from crossaccount.registry.versions import ModelVersion, contents_of, parse_version

SHARING = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
OWNER = SHARING.producer.account
GROUP = group_arn(SHARING)
IMAGE = f"{OWNER}.dkr.ecr.us-east-1.amazonaws.com/decision-trees-sample:1"


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


def prefix(uri: str) -> dict[str, Any]:
    return {"S3DataSource": {"S3Uri": uri, "S3DataType": "S3Prefix", "CompressionType": "None"}}


def needs(config: Sharing, versions: Iterable[ModelVersion]) -> doors.Needs:
    return doors.needs(config, contents_of(versions))


@pytest.mark.parametrize(
    ("keys", "granted"),
    [
        pytest.param(["churn/1/m.tar.gz"], ("churn/1/",), id="a lone version's own folder"),
        pytest.param(
            ["team/churn/1.tar.gz", "team/churn/2.tar.gz"],
            ("team/churn/",),
            id="not the folders beside theirs",
        ),
        pytest.param(
            [f"{SHARING.model_package_group}/1/m", f"{SHARING.model_package_group}/2/m"],
            (f"{SHARING.model_package_group}/",),
            id="the group's own folder of the versions' folders",
        ),
        pytest.param(["churn/1/m", "churn/2/m"], ("churn/1/", "churn/2/"), id="not a folder of another name"),
        pytest.param(
            ["churn/1/m", "fraud/2/m"], ("churn/1/", "fraud/2/"), id="nothing wider without one parent"
        ),
        pytest.param(["1/m", "2/m"], ("1/", "2/"), id="never the bucket's root"),
        pytest.param(["m.tar.gz"], ("m.tar.gz",), id="an object at the root by its key"),
    ],
)
def test_what_is_granted_in_a_bucket(keys: list[str], granted: tuple[str, ...]) -> None:
    found = [version(n, ModelDataUrl=f"s3://models/{key}") for n, key in enumerate(keys, 1)]
    assert needs(SHARING, found)["bucket"]["models"] == granted


@pytest.mark.parametrize("uri", ["s3://models", "s3://models/", "s3://models/churn", "s3://models/a/b"])
def test_a_prefix_that_is_no_folder_is_refused(uri: str) -> None:
    with pytest.raises(Failed, match="slash"):
        needs(SHARING, [version(1, ModelDataSource=prefix(uri))])


@pytest.mark.parametrize(
    ("key", "resource"),
    [("a*/", "a${*}/*"), ("a?b/", "a${?}b/*"), ("${aws:userid}/", "${$}{aws:userid}/*"), ("plain", "plain")],
)
def test_a_key_s_own_wildcards_stand_for_themselves(key: str, resource: str) -> None:
    read, listed = bucket.least_privilege(
        GROUP, "arn:aws:s3:::models", [key], Audience(("arn:aws:iam::222222222222:root",))
    )
    assert read["Resource"] == f"arn:aws:s3:::models/{resource}"
    assert listed["Condition"] == {"StringLike": {"s3:prefix": resource}}


@pytest.mark.parametrize(
    ("region", "partition", "host"),
    [
        ("us-east-1", "aws", "dkr-ecr.us-east-1.on.aws"),
        ("us-east-1", "aws", "dkr.ecr-fips.us-east-1.amazonaws.com"),
        ("cn-north-1", "aws-cn", "dkr.ecr.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", "aws-eusc", "dkr.ecr.eusc-de-east-1.amazonaws.eu"),
        ("us-iso-east-1", "aws-iso", "dkr.ecr.us-iso-east-1.c2s.ic.gov"),
        ("us-isof-south-1", "aws-iso-f", "dkr.ecr.us-isof-south-1.csp.hci.ic.gov"),
    ],
)
def test_an_image_of_any_partition_s_host_is_opened_in_its_repository(
    region: str, partition: str, host: str
) -> None:
    there = SHARING.model_copy(update={"region": region})
    found = needs(
        there, [version(1, Image=f"{OWNER}.{host}/team/trees:1", ModelDataUrl="s3://models/churn/1/m")]
    )
    assert list(found["repository"]) == ["team/trees"]
    arns = {doors.door_of(kind).arn(there, name) for kind, names in found.items() for name in names}
    assert {arn.split(":")[1] for arn in arns} == {partition}


def test_an_execution_role_needs_every_artifact_every_image_and_every_key() -> None:
    keys = tuple(f"arn:aws:kms:us-east-1:{OWNER}:key/{name}" for name in ("a", "b"))
    found = contents_of(
        [
            version(1, ModelDataSource=prefix("s3://models/churn/1/")),
            version(
                2, Image=f"{OWNER}.dkr.ecr.us-east-1.amazonaws.com/other:1", ModelDataUrl="s3://others/2/m"
            ),
        ],
        keys,
    )
    needed = doors.execution_needs(SHARING, found)
    assert len(needed) == len(set(needed))
    for need in (
        *(("kms:Decrypt", key) for key in keys),
        ("s3:GetObject", "arn:aws:s3:::models/churn/1/"),
        ("s3:ListBucket", "arn:aws:s3:::models"),
        ("s3:GetObject", "arn:aws:s3:::others/2/m"),
        *(
            ("ecr:BatchGetImage", f"arn:aws:ecr:us-east-1:{OWNER}:repository/{name}")
            for name in ("decision-trees-sample", "other")
        ),
        ("ecr:GetAuthorizationToken", "*"),
    ):
        assert need in needed
