from __future__ import annotations

from pathlib import Path

import pytest

from crossaccount import arns, doors
from crossaccount.arns import Image, same_arn
from crossaccount.config.loading import load_config
from crossaccount.errors import Failed

SHARING = load_config(Path(__file__).parents[1] / "configs" / "sandbox.yaml")
DIGEST = "sha256:" + "0123456789abcdef" * 4
HOST = "111111111111.dkr.ecr.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("uri", "image"),
    [
        (f"{HOST}/trees", Image("111111111111", "us-east-1", "trees", "latest")),
        (f"{HOST}/trees:1.0", Image("111111111111", "us-east-1", "trees", "1.0")),
        (f"{HOST}/trees:25.09-py3_x", Image("111111111111", "us-east-1", "trees", "25.09-py3_x")),
        (f"{HOST}/team/a_b.c-d/trees:v1", Image("111111111111", "us-east-1", "team/a_b.c-d/trees", "v1")),
        (f"{HOST}/trees@{DIGEST}", Image("111111111111", "us-east-1", "trees", DIGEST)),
        (
            "000000000000.dkr.ecr-fips.us-gov-west-1.amazonaws.com/trees",
            Image("000000000000", "us-gov-west-1", "trees", "latest"),
        ),
        (
            "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/xgboost:1",
            Image("727897471807", "cn-north-1", "xgboost", "1"),
        ),
        (f"{HOST}/trees:1@{DIGEST}", Image("111111111111", "us-east-1", "trees", DIGEST)),
        (f"{HOST}/team/trees:1.0@{DIGEST}", Image("111111111111", "us-east-1", "team/trees", DIGEST)),
        *(
            (f"111111111111.{host}/trees:1", Image("111111111111", region, "trees", "1"))
            for region, host in (
                ("us-east-1", "dkr.ecr-fips.us-east-1.amazonaws.com"),
                ("us-east-1", "dkr-ecr.us-east-1.on.aws"),
                ("us-east-1", "dkr-ecr-fips.us-east-1.on.aws"),
                ("us-gov-west-1", "dkr-ecr-fips.us-gov-west-1.on.aws"),
                ("cn-north-1", "dkr-ecr.cn-north-1.on.amazonwebservices.com.cn"),
                ("eusc-de-east-1", "dkr.ecr.eusc-de-east-1.amazonaws.eu"),
                ("eusc-de-east-1", "dkr-ecr.eusc-de-east-1.on.amazonwebservices.eu"),
                ("us-iso-east-1", "dkr.ecr.us-iso-east-1.c2s.ic.gov"),
                ("us-isob-east-1", "dkr.ecr.us-isob-east-1.sc2s.sgov.gov"),
                ("eu-isoe-west-1", "dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk"),
                ("us-isof-south-1", "dkr.ecr.us-isof-south-1.csp.hci.ic.gov"),
                ("eu-newest-9", "dkr.ecr.eu-newest-9.amazonaws.com"),  # of no region that botocore lists yet
            )
        ),
    ],
)
def test_an_image(uri: str, image: Image) -> None:
    assert arns.parse_image(uri) == image


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "trees:1",
        "docker.io/library/python:3",
        "public.ecr.aws/docker/library/python:3",
        "ghcr.io/owner/trees:1",
        f"https://{HOST}/trees:1",
        f"{HOST}",
        f"{HOST}/",
        f"{HOST}/Trees",
        f"{HOST}/trees:",
        f"{HOST}/trees:a b",
        f"{HOST}/trees@sha256:abc",
        f"{HOST}/trees@md5:{'0' * 64}",
        f"{HOST}/trees@{DIGEST}0",
        f"{HOST}/trees:1 ",
        f"{HOST}/trees:1\n",
        f"x{HOST}/trees",
        "11111111111.dkr.ecr.us-east-1.amazonaws.com/trees",
        "111111111111.dkr.ecr.us-east-1.amazonaws.com.evil.example/trees",
        "111111111111.dkr.ecr.us-east-1.amazonaws.org/trees",
        "111111111111.dkr.s3.us-east-1.amazonaws.com/trees",
        "111111111111xdkr.ecr.us-east-1.amazonaws.com/trees",
        "111111111111.dkr.ecr.us-east-1.amazonaws.com.cn/trees",
        "111111111111.dkr.ecr.cn-north-1.amazonaws.com/trees",
        "111111111111.dkr.ecr.eusc-de-east-1.amazonaws.com/trees",
        "111111111111.dkr.ecr.us-east-1.on.aws/trees",
        "111111111111.dkr-ecr.us-east-1.amazonaws.com/trees",
        "111111111111.dkr-ecr.us-east-1.api.aws/trees",
        "111111111111.dkr.ecr.moon-1.amazonaws.com/trees",
        f"{HOST}/trees@{DIGEST}:1",
    ],
)
def test_what_lies_outside_ecr_is_refused_by_its_name(uri: str) -> None:
    with pytest.raises(Failed, match=r"Amazon ECR.*Register") as failed:
        arns.parse_image(uri)
    assert uri in str(failed.value)


@pytest.mark.parametrize(
    ("uri", "bucket", "key"),
    [
        ("s3://models/a/model.tar.gz", "models", "a/model.tar.gz"),
        ("s3://models", "models", ""),
        ("s3://models/", "models", ""),
        ("s3://models/a//b/", "models", "a//b/"),
        ("s3://my.dotted.bucket/k", "my.dotted.bucket", "k"),
        ("s3://models/a b?c#d", "models", "a b?c#d"),
        ("s3://models/s3://x/y", "models", "s3://x/y"),
        ("https://models.s3.amazonaws.com/a/m", "models", "a/m"),
        ("https://models.s3.us-east-1.amazonaws.com/a/m", "models", "a/m"),
        ("https://models.s3-us-west-2.amazonaws.com/a/m", "models", "a/m"),
        ("https://models.s3.dualstack.us-east-1.amazonaws.com/a/m", "models", "a/m"),
        ("https://my.s3.bucket.s3.us-east-1.amazonaws.com/m", "my.s3.bucket", "m"),
        ("https://models.s3.cn-north-1.amazonaws.com.cn/m", "models", "m"),
        ("https://s3.amazonaws.com/models/a/m", "models", "a/m"),
        ("https://s3.us-east-1.amazonaws.com/models/a/m", "models", "a/m"),
        ("https://s3-us-west-2.amazonaws.com/models/a/m", "models", "a/m"),
        ("https://s3.us-east-1.amazonaws.com/models", "models", ""),
        ("https://models.s3.eusc-de-east-1.amazonaws.eu/m", "models", "m"),
        ("https://models.s3.us-iso-east-1.c2s.ic.gov/m", "models", "m"),
        ("https://models.s3-fips.us-gov-west-1.amazonaws.com/m", "models", "m"),
        ("https://s3.us-isob-east-1.sc2s.sgov.gov/models/m", "models", "m"),
    ],
)
def test_a_location_in_s3(uri: str, bucket: str, key: str) -> None:
    assert arns.parse_s3(uri) == (bucket, key)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "model.tar.gz",
        "/models/m",
        "s3:/models/m",
        "s3:///m",
        "S3://models/m",
        "file:///models/m",
        "http://models.s3.amazonaws.com/m",
        "ftp://models.s3.amazonaws.com/m",
        "https:///m",
        "https://models/m",
        "https://example.com/m",
        "https://models.s3.example.com/m",
        "https://models.s3.amazonaws.com.evil.example/m",
        "https://models.s3.evilamazonaws.com/m",
        "https://evil.example/models.s3.amazonaws.com/m",
        "https://models.s3.amazonaws.com@evil.example/m",
        "https://sagemaker.us-east-1.amazonaws.com/m",
    ],
)
def test_what_lies_outside_s3_is_refused_by_its_name(uri: str) -> None:
    with pytest.raises(Failed, match="not a location in Amazon S3") as failed:
        arns.parse_s3(uri)
    assert uri in str(failed.value)


def test_the_arns_of_a_group_and_its_versions() -> None:
    group = "arn:aws:sagemaker:us-east-1:111111111111:model-package-group/decision-trees-sample"
    assert arns.group_arn(SHARING) == group
    package = "arn:aws:sagemaker:us-east-1:111111111111:model-package/decision-trees-sample/"
    assert arns.package_arn(SHARING, 7) == f"{package}7"
    assert arns.package_arn(SHARING, "*") == f"{package}*"
    assert arns.root_arn("aws-cn", "222222222222") == "arn:aws-cn:iam::222222222222:root"


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("eusc-de-east-1", "aws-eusc"),
        ("us-iso-west-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
        ("eu-isoe-west-1", "aws-iso-e"),
        ("us-isof-east-1", "aws-iso-f"),
    ],
)
def test_the_arns_of_another_partition(region: str, partition: str) -> None:
    elsewhere = SHARING.model_copy(update={"region": region})
    assert arns.group_arn(elsewhere).startswith(f"arn:{partition}:sagemaker:{region}:")


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b"])
@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("arn:{}:s3:::models/churn/1/model.tar.gz", "models"),
        ("arn:{}:ecr:any-region-1:111111111111:repository/team/trees", "team/trees"),
        ("arn:{}:kms:any-region-1:111111111111:key/1", "arn:{}:kms:any-region-1:111111111111:key/1"),
        ("arn:{}:sagemaker:any-region-1:111111111111:model-package/churn/1", "churn"),
    ],
)
def test_the_resource_behind_an_arn_of_any_partition(partition: str, place: str, name: str) -> None:
    assert doors.name_in(place.format(partition)) == name.format(partition)


@pytest.mark.parametrize(
    "host",
    ["dkr.ecr.us-east-1.amazonaws.com", "dkr.ecr-fips.us-east-1.amazonaws.com", "dkr-ecr.us-east-1.on.aws"],
)
@pytest.mark.parametrize("reference", ["", ":1", f"@{DIGEST}", f":1@{DIGEST}"])
def test_the_repository_behind_an_image(host: str, reference: str) -> None:
    assert doors.name_in(f"111111111111.{host}/team/trees{reference}") == "team/trees"


def test_a_group_named_like_a_part_of_its_own_arn() -> None:
    odd = SHARING.model_copy(update={"model_package_group": "model-package-group"})
    arn = arns.package_arn(odd, 1)
    assert arn == "arn:aws:sagemaker:us-east-1:111111111111:model-package/model-package-group/1"


@pytest.mark.parametrize("number", [1, 42, 999_999_999])
def test_the_version_of_an_arn(number: int) -> None:
    assert arns.version_of(arns.package_arn(SHARING, number)) == number


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "1",
        "arn:aws:sagemaker:us-east-1:111111111111:model-package/unversioned",
        "arn:aws:sagemaker:us-east-1:111111111111:model-package/g/",
        "arn:aws:sagemaker:us-east-1:111111111111:model-package/g/*",
        "arn:aws:sagemaker:us-east-1:111111111111:model-package/g/-1",
        "arn:aws:sagemaker:us-east-1:111111111111:model-package/g/1.0",
        "arn:aws:sagemaker:us-east-1:111111111111:model-package/g/1000000000",
        "arn:aws:sagemaker:us-east-1:111111111111:model-package/g/h/1",
        "arn:aws:sagemaker:us-east-1:111111111111:model-package/g/1\n",
        "arn:aws:sagemaker:us-east-1:111111111111:model-package-group/g",
        "arn:aws:sagemaker:us-east-1:111111111111:model-package-group/g/1",
        "arn:aws:sagemaker:us-east-1:11111111111:model-package/g/1",
        "arn:aws:s3:::models/g/1",
        "arn:awz:sagemaker:us-east-1:111111111111:model-package/g/1",
    ],
)
def test_what_is_no_version_s_arn_is_refused(arn: str) -> None:
    with pytest.raises(Failed, match="not the ARN of a version"):
        arns.version_of(arn)


@pytest.mark.parametrize("uri", ["https://s3.amazonaws.com/", "https://s3.amazonaws.com//key"])
def test_an_address_without_a_bucket_is_none(uri: str) -> None:
    with pytest.raises(Failed):
        arns.parse_s3(uri)


@pytest.mark.parametrize(
    ("arn", "url"),
    [
        (
            "arn:aws:sagemaker:eu-west-1:222222222222:endpoint/trees-v1",
            "https://eu-west-1.console.aws.amazon.com/sagemaker/home?region=eu-west-1#/endpoints/trees-v1",
        ),
        (
            "arn:aws-cn:sagemaker:cn-north-1:222222222222:endpoint-config/trees",
            "https://cn-north-1.console.amazonaws.cn/sagemaker/home?region=cn-north-1#/endpointConfig/trees",
        ),
        (
            "arn:aws-us-gov:sagemaker:us-gov-west-1:222222222222:model/trees",
            "https://us-gov-west-1.console.amazonaws-us-gov.com/sagemaker/home?region=us-gov-west-1#/models/trees",
        ),
        ("arn:aws-iso:sagemaker:us-iso-east-1:222222222222:model/trees", None),
    ],
)
def test_where_the_console_shows_it(arn: str, url: str | None) -> None:
    assert arns.console_url(arn) == url


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("arn:aws:sagemaker:us-east-1:111111111111:model-package/Churn/1", True),
        ("arn:aws:sagemaker:us-east-1:111111111111:model-package/churn/1", True),
        ("arn:aws:sagemaker:us-east-1:111111111111:model-package/churn/11", False),
        ("arn:aws:sagemaker:us-east-1:111111111111:model-package/churn-2/1", False),
        ("arn:aws:sagemaker:us-east-1:222222222222:model-package/Churn/1", False),
    ],
)
def test_arns_of_sagemaker_are_told_apart_without_regard_to_case(other: str, same: bool) -> None:
    assert same_arn("arn:aws:sagemaker:us-east-1:111111111111:model-package/Churn/1", other) is same
