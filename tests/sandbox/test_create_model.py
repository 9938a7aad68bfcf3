"""What CreateModel asks of images of AWS's own, of custom images beside them, and of where the model's data lies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount_sandbox.accounts import push_image

REGISTRY = "763104351884"
AWS = f"{REGISTRY}.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.1-cpu"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
GHOST = f"{REGISTRY}.dkr.ecr.us-east-1.amazonaws.com/no-such-repository:1"
ELSEWHERE = "712309505854.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.1-cpu"
CUSTOM = "111111111111.dkr.ecr.us-east-1.amazonaws.com/custom:1"
ROLE = "arn:aws:iam::222222222222:role/execution"
MODEL = "arn:aws:sagemaker:us-east-1:222222222222:model/pipeline"
PULLS = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
CONSUMER = {"Effect": "Allow", "Principal": {"AWS": "222222222222"}, "Action": PULLS}
NOT_GRANTED = (
    "The repository of your image {} does not grant ecr:GetDownloadUrlForLayer, ecr:BatchGetImage, "
    "ecr:BatchCheckLayerAvailability permission to sagemaker.amazonaws.com service principal."
)


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as error:
        call()
    assert error.value.response["Error"]["Code"] == "ValidationException"
    return str(error.value.response["Error"]["Message"])


def may(iam: Any, *actions: str) -> None:
    document = policy({"Effect": "Allow", "Action": list(actions), "Resource": "*"})
    iam.put_role_policy(RoleName="execution", PolicyName="may", PolicyDocument=document)


@pytest.fixture(scope="module", autouse=True)
def residents(inner: Any) -> None:
    """The consumer's execution role, and the producer's repository with one image."""
    service = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    iam = inner.client("staging", "iam")
    iam.create_role(RoleName="execution", AssumeRolePolicyDocument=policy(service))
    may(iam, "*")
    ecr = inner.client("producer", "ecr")
    ecr.create_repository(repositoryName="custom")
    push_image(ecr, "custom", "1")


@pytest.fixture
def create(inner: Any) -> Iterator[Callable[..., Any]]:
    """CreateModel of these images in the consumer's account; the model is gone afterwards."""
    sm = inner.client("staging", "sagemaker")
    made = []

    def create(*images: str, **more: Any) -> Any:
        containers = [{"Image": image, **more} for image in images]
        answer = sm.create_model(ModelName="pipeline", Containers=containers, ExecutionRoleArn=ROLE)
        made.append(answer)
        return answer

    yield create
    if made:
        sm.delete_model(ModelName="pipeline")


def share(inner: Any, *statements: dict[str, Any]) -> None:
    text = policy(CONSUMER, *statements)
    inner.client("producer", "ecr").set_repository_policy(repositoryName="custom", policyText=text)


def service(condition: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    given = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": PULLS}
    return {**given, **({"Condition": condition} if condition else {}), **changes}


STAGING_UNIT, PRODUCT_UNIT = (f"o-sandbox0001/r-sb01/ou-sb01-{unit}/" for unit in ("staging00", "product00"))


@pytest.mark.parametrize(
    "statement",
    [
        service(),
        service(Action="ecr:*"),
        service({"StringEquals": {"aws:SourceAccount": "222222222222"}}),
        service({"StringEquals": {"aws:SourceOrgID": "o-sandbox0001"}}),
        service({"ArnLike": {"aws:SourceArn": "arn:aws:sagemaker:*:222222222222:model/*"}}),
        service({"ArnEquals": {"aws:SourceArn": MODEL}}),
        service({"ForAnyValue:StringLike": {"aws:SourceOrgPaths": f"{STAGING_UNIT}*"}}),
    ],
)
@pytest.mark.parametrize("images", [(AWS, CUSTOM), (CUSTOM, XGBOOST)])
def test_a_custom_image_beside_one_of_aws_s_needs_sagemaker_to_be_let_in(
    inner: Any, create: Any, images: tuple[str, ...], statement: dict[str, Any]
) -> None:
    share(inner, statement)
    assert create(*images)["ModelArn"] == MODEL


@pytest.mark.parametrize(
    "statements",
    [
        [],
        [service(Action=PULLS[:2])],
        [service(Action=PULLS[1:])],
        [service(Principal={"Service": "ec2.amazonaws.com"})],
        [service(Principal={"AWS": "333333333333"})],
        [service({"StringEquals": {"aws:SourceAccount": "111111111111"}})],
        [service({"StringEquals": {"aws:SourceOrgID": "o-another00"}})],
        [service({"ArnEquals": {"aws:SourceArn": f"{MODEL}-2"}})],
        [service({"ArnLike": {"aws:SourceArn": "arn:aws:sagemaker:*:222222222222:endpoint/*"}})],
        [service({"ForAnyValue:StringLike": {"aws:SourceOrgPaths": f"{PRODUCT_UNIT}*"}})],
        [service({"StringEquals": {"aws:PrincipalAccount": "222222222222"}})],
        [service(), service({"StringEquals": {"aws:SourceAccount": "222222222222"}}, Effect="Deny")],
    ],
)
def test_without_it_the_model_is_refused(inner: Any, create: Any, statements: list[dict[str, Any]]) -> None:
    share(inner, *statements)
    assert refused(lambda: create(AWS, CUSTOM)) == NOT_GRANTED.format(CUSTOM)


@pytest.mark.parametrize("images", [(CUSTOM,), (CUSTOM, CUSTOM), (AWS,), (AWS, XGBOOST)])
def test_images_of_one_kind_need_no_more_than_the_role(
    inner: Any, create: Any, images: tuple[str, ...]
) -> None:
    share(inner)
    create(*images)


@pytest.mark.parametrize("image", [GHOST, ELSEWHERE, f"999999999999{AWS[12:]}"])
def test_a_repository_that_aws_has_not_is_refused(create: Any, image: str) -> None:
    assert refused(lambda: create(image)) == NOT_GRANTED.format(image)


@pytest.mark.parametrize("missing", [*PULLS, "ecr:GetAuthorizationToken"])
def test_a_role_must_be_allowed_to_pull_from_aws_too(inner: Any, create: Any, missing: str) -> None:
    iam = inner.client("staging", "iam")
    may(iam, *({*PULLS, "ecr:GetAuthorizationToken"} - {missing}))
    try:
        assert refused(lambda: create(AWS)).startswith(f"Role {ROLE} cannot pull {AWS}.")
        may(iam, *PULLS, "ecr:GetAuthorizationToken")
        create(AWS)
    finally:
        may(iam, "*")


def test_aws_s_repositories_let_everyone_pull_and_nothing_else(inner: Any) -> None:
    ecr = inner.client("outsider", "ecr")
    named = {"registryId": REGISTRY, "repositoryName": "pytorch-inference"}
    with pytest.raises(ClientError) as error:
        ecr.batch_get_image(**named, imageIds=[{"imageTag": "2.1-cpu"}])
    assert error.value.response["Error"]["Code"] == "RepositoryNotFoundException"
    for call in (ecr.describe_images, ecr.get_repository_policy, ecr.delete_repository):
        with pytest.raises(ClientError) as error:
            call(**named)
        assert error.value.response["Error"]["Code"] == "AccessDeniedException"


@pytest.mark.parametrize(("region", "readable"), [("us-east-1", True), ("eu-central-1", False)])
def test_the_model_s_data_must_lie_in_the_model_s_region(
    inner: Any, create: Any, region: str, readable: bool
) -> None:
    share(inner)
    s3 = inner.client("staging", "s3", region=region)
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=f"data-{region}", **place)
    s3.put_object(Bucket=f"data-{region}", Key="model.tar.gz", Body=b"x")
    url = f"s3://data-{region}/model.tar.gz"
    if readable:
        create(CUSTOM, ModelDataUrl=url)
    else:
        said = refused(lambda: create(CUSTOM, ModelDataUrl=url))
        assert said.startswith(f"Could not access model data at {url}.")
        assert "located in us-east-1" in said
