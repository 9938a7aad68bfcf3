"""SageMaker's registry and hosting refuse what AWS refuses, and endpoints live and die as AWS's do."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

BUCKET, GROUP = "producer-models-111111111111", "decision-trees-sample"
PACKAGES = f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}"
EXECUTION = "arn:aws:iam::111111111111:role/execution"


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as error:
        call()
    return str(error.value.response["Error"]["Message"])


@pytest.fixture
def sm(sandbox: Any) -> Any:
    return sandbox.admin("producer", "sagemaker")


@pytest.fixture
def role(sandbox: Any) -> Iterator[str]:
    """An execution role in the producer's own account, where no resource policy is needed but the key's."""
    iam = sandbox.admin("producer", "iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    iam.create_role(RoleName="execution", AssumeRolePolicyDocument=json.dumps(trust))
    everything = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["s3:*", "ecr:*", "kms:*"], "Resource": "*"}],
    }
    iam.put_role_policy(RoleName="execution", PolicyName="all", PolicyDocument=json.dumps(everything))
    yield EXECUTION
    iam.delete_role_policy(RoleName="execution", PolicyName="all")
    iam.delete_role(RoleName="execution")


@pytest.mark.parametrize(
    ("container", "text"),
    [
        ({"ModelPackageName": f"{PACKAGES}/3"}, "PendingManualApproval, not Approved"),
        ({"ModelPackageName": f"{PACKAGES}/99"}, "does not exist"),
        (
            {"ModelPackageName": f"{PACKAGES}/1".replace("us-east-1", "us-west-2")},
            "scoped to correct region: us-east-1",
        ),
        (
            {"ModelPackageName": f"{PACKAGES}/1", "InferenceSpecificationName": "ghost"},
            "no inference specification",
        ),
        ({"Mode": "SingleModel"}, "needs an Image or a ModelPackageName"),
        ({"Image": "not-an-image"}, "Could not parse the image URI"),
        ({"Image": f"111111111111.dkr.ecr.us-east-1.amazonaws.com/{GROUP}:ghost"}, "cannot pull"),
        (
            {
                "Image": f"111111111111.dkr.ecr.us-east-1.amazonaws.com/{GROUP}:1",
                "ModelDataUrl": f"s3://{BUCKET}/ghost.tar.gz",
            },
            f"Could not find model data at s3://{BUCKET}/ghost.tar.gz.",
        ),
        (
            {
                "Image": f"111111111111.dkr.ecr.us-east-1.amazonaws.com/{GROUP}:1",
                "ModelDataUrl": "s3://ghost-bucket/model.tar.gz",
            },
            "Could not access model data at",
        ),
    ],
)
def test_a_model_that_sagemaker_would_not_create(
    sm: Any, role: str, container: dict[str, str], text: str
) -> None:
    assert text in refused(
        lambda: sm.create_model(ModelName="refused", PrimaryContainer=container, ExecutionRoleArn=role)
    )
    assert sm.list_models()["Models"] == []


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("arn:aws:iam::111111111111:role/ghost", "The execution role ARN"),
        ("arn:aws:iam::111111111111:role/crossaccount-producer", "The execution role ARN"),
        ("arn:aws:iam::222222222222:role/crossaccount-execution", "Cross-account pass role is not allowed"),
    ],
)
def test_an_execution_role_that_cannot_be_passed(sm: Any, given: str, text: str) -> None:
    container = {"ModelPackageName": f"{PACKAGES}/1"}
    assert text in refused(
        lambda: sm.create_model(ModelName="refused", PrimaryContainer=container, ExecutionRoleArn=given)
    )


@pytest.mark.parametrize(
    ("denied", "text"),
    [
        ("s3:GetObject", "Could not access model data"),
        ("kms:Decrypt", "Could not access model data"),
        ("ecr:BatchGetImage", "cannot pull"),
        ("ecr:GetDownloadUrlForLayer", "cannot pull"),
        ("ecr:BatchCheckLayerAvailability", "cannot pull"),
        ("ecr:GetAuthorizationToken", "cannot pull"),
    ],
)
def test_a_model_needs_an_execution_role_that_may(
    sandbox: Any, sm: Any, role: str, denied: str, text: str
) -> None:
    iam = sandbox.admin("producer", "iam")
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": denied, "Resource": "*"}]}
    iam.put_role_policy(RoleName="execution", PolicyName="deny", PolicyDocument=json.dumps(document))
    try:
        container = {"ModelPackageName": f"{PACKAGES}/2"}
        assert text in refused(
            lambda: sm.create_model(ModelName="refused", PrimaryContainer=container, ExecutionRoleArn=role)
        )
    finally:
        iam.delete_role_policy(RoleName="execution", PolicyName="deny")


def test_a_missing_artifact_reads_as_no_access_without_listing(sandbox: Any, sm: Any, role: str) -> None:
    iam = sandbox.admin("producer", "iam")
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": "s3:ListBucket", "Resource": "*"}],
    }
    iam.put_role_policy(RoleName="execution", PolicyName="deny", PolicyDocument=json.dumps(document))
    image = f"111111111111.dkr.ecr.us-east-1.amazonaws.com/{GROUP}:1"
    container = {"Image": image, "ModelDataUrl": f"s3://{BUCKET}/ghost.tar.gz"}
    try:
        text = refused(
            lambda: sm.create_model(ModelName="refused", PrimaryContainer=container, ExecutionRoleArn=role)
        )
        assert text.startswith("Could not access model data")
    finally:
        iam.delete_role_policy(RoleName="execution", PolicyName="deny")


def wait(sm: Any, name: str, *states: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = sm.describe_endpoint(EndpointName=name)
        if found["EndpointStatus"] in states:
            return dict(found)
        time.sleep(0.1)
    raise AssertionError(f"{name} is {found['EndpointStatus']}")


def gone(sm: Any, name: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if name not in [one["EndpointName"] for one in sm.list_endpoints()["Endpoints"]]:
            assert "Could not find endpoint" in refused(lambda: sm.describe_endpoint(EndpointName=name))
            return
        time.sleep(0.1)
    raise AssertionError(f"{name} is still there")


def variant(model: str) -> list[dict[str, Any]]:
    return [
        {
            "VariantName": "AllTraffic",
            "ModelName": model,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
    ]


@pytest.fixture
def model(sm: Any, role: str) -> Iterator[str]:
    sm.create_model(
        ModelName="trees", PrimaryContainer={"ModelPackageName": f"{PACKAGES}/2"}, ExecutionRoleArn=role
    )
    yield "trees"
    sm.delete_model(ModelName="trees")


def test_an_endpoint_takes_time_answers_and_ends(sandbox: Any, sm: Any, model: str) -> None:
    runtime = sandbox.admin("producer", "sagemaker-runtime")
    ask = {
        "EndpointName": "trees",
        "ContentType": "text/csv",
        "Accept": "application/json",
        "Body": "5.1,3.5,1.4,0.2\n4.9,3.0,1.4,0.2",
    }
    sm.create_endpoint_config(EndpointConfigName="trees", ProductionVariants=variant(model))
    sm.create_endpoint(EndpointName="trees", EndpointConfigName="trees")
    try:
        assert sm.describe_endpoint(EndpointName="trees")["EndpointStatus"] == "Creating"
        assert "Cannot update in-progress endpoint" in refused(
            lambda: sm.delete_endpoint(EndpointName="trees")
        )
        assert "already existing endpoint" in refused(
            lambda: sm.create_endpoint(EndpointName="trees", EndpointConfigName="trees")
        )
        assert "not found" in refused(lambda: runtime.invoke_endpoint(**ask))
        found = wait(sm, "trees", "InService")
        image = found["ProductionVariants"][0]["DeployedImages"][0]
        assert image["SpecifiedImage"].endswith(f"/{GROUP}:1")
        assert "@sha256:" in image["ResolvedImage"]
        assert json.load(runtime.invoke_endpoint(**ask)["Body"]) == [0, 0]
        with pytest.raises(ClientError) as error:
            runtime.invoke_endpoint(**{**ask, "Body": "not,a,flower,x"})
        assert error.value.response["Error"]["Code"] == "ModelError"
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 424
        assert error.value.response["OriginalStatusCode"] == 500
    finally:
        wait(sm, "trees", "InService", "Failed")
        sm.delete_endpoint(EndpointName="trees")
        gone(sm, "trees")
        sm.delete_endpoint_config(EndpointConfigName="trees")


def test_an_endpoint_without_access_fails_with_the_reason(sandbox: Any, sm: Any, model: str) -> None:
    iam = sandbox.admin("producer", "iam")
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"}],
    }
    iam.put_role_policy(RoleName="execution", PolicyName="deny", PolicyDocument=json.dumps(document))
    sm.create_endpoint_config(EndpointConfigName="shut", ProductionVariants=variant(model))
    sm.create_endpoint(EndpointName="shut", EndpointConfigName="shut")
    try:
        found = wait(sm, "shut", "InService", "Failed")
        assert found["EndpointStatus"] == "Failed"
        assert found["FailureReason"].startswith('Failed to download model data for container "container_1"')
    finally:
        iam.delete_role_policy(RoleName="execution", PolicyName="deny")
        sm.delete_endpoint(EndpointName="shut")
        gone(sm, "shut")
        sm.delete_endpoint_config(EndpointConfigName="shut")


def test_an_endpoint_moves_to_another_config(sandbox: Any, sm: Any, role: str, model: str) -> None:
    runtime = sandbox.admin("producer", "sagemaker-runtime")
    ask = {
        "EndpointName": "move",
        "ContentType": "text/csv",
        "Accept": "application/json",
        "Body": "6.3,3.3,6.0,2.5\n6.3,3.3,6.0,2.5",
    }
    sm.create_model(
        ModelName="first", PrimaryContainer={"ModelPackageName": f"{PACKAGES}/1"}, ExecutionRoleArn=role
    )
    sm.create_endpoint_config(EndpointConfigName="first", ProductionVariants=variant("first"))
    sm.create_endpoint_config(EndpointConfigName="second", ProductionVariants=variant(model))
    sm.create_endpoint(EndpointName="move", EndpointConfigName="first")
    try:
        wait(sm, "move", "InService")
        assert json.load(runtime.invoke_endpoint(**ask)["Body"]) == [1, 1]
        sm.update_endpoint(EndpointName="move", EndpointConfigName="second")
        assert sm.describe_endpoint(EndpointName="move")["EndpointStatus"] == "Updating"
        assert "in-progress" in refused(
            lambda: sm.update_endpoint(EndpointName="move", EndpointConfigName="first")
        )
        assert wait(sm, "move", "InService")["EndpointConfigName"] == "second"
        assert json.load(runtime.invoke_endpoint(**ask)["Body"]) == [2, 2]
    finally:
        wait(sm, "move", "InService", "Failed")
        sm.delete_endpoint(EndpointName="move")
        gone(sm, "move")
        for name in ("first", "second"):
            sm.delete_endpoint_config(EndpointConfigName=name)
        sm.delete_model(ModelName="first")


def test_versions_are_numbered_once(sandbox: Any, sm: Any) -> None:
    group = "numbered"
    sm.create_model_package_group(ModelPackageGroupName=group)
    specification = {
        "Containers": [{"Image": f"111111111111.dkr.ecr.us-east-1.amazonaws.com/{GROUP}:1"}],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }

    def add() -> str:
        made = sm.create_model_package(ModelPackageGroupName=group, InferenceSpecification=specification)
        return str(made["ModelPackageArn"])

    first, second = add(), add()
    assert (first[-2:], second[-2:]) == ("/1", "/2")
    assert "not empty" in refused(lambda: sm.delete_model_package_group(ModelPackageGroupName=group))
    sm.delete_model_package(ModelPackageName=second)
    third = add()
    assert third.endswith("/3")
    listed = sm.list_model_packages(ModelPackageGroupName=group, ModelApprovalStatus="PendingManualApproval")
    assert [one["ModelPackageVersion"] for one in listed["ModelPackageSummaryList"]] == [3, 1]
    sm.update_model_package(ModelPackageArn=third, ModelApprovalStatus="Approved")
    assert sm.describe_model_package(ModelPackageName=third)["ModelApprovalStatus"] == "Approved"
    for arn in (first, third):
        sm.delete_model_package(ModelPackageName=arn)
    sm.delete_model_package_group(ModelPackageGroupName=group)
    assert "does not exist" in refused(lambda: sm.describe_model_package_group(ModelPackageGroupName=group))


def test_a_config_needs_its_model(sm: Any) -> None:
    assert "Could not find model" in refused(
        lambda: sm.create_endpoint_config(EndpointConfigName="c", ProductionVariants=variant("ghost"))
    )
    assert "Could not find endpoint configuration" in refused(
        lambda: sm.create_endpoint(EndpointName="e", EndpointConfigName="ghost")
    )
    assert "Could not find endpoint" in refused(lambda: sm.describe_endpoint(EndpointName="ghost"))
