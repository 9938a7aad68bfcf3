"""The AWS page's own script, made into a run that works from end to end, in plain boto3, one call after the other.

Three policies are put (whatever stood there is overwritten), then in the other account the model package is described, a
model, an endpoint config and an endpoint are created from it, waited for, asked once, and deleted. Nothing is checked,
merged or read back.

Source: "Deploy a Model Version from a Different Account" in the SageMaker developer guide; its ``ecr:*`` and ``s3:*``.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

_POLL_SECONDS = 1  # boto3's waiter asks every 30 s: no comparison with that


@dataclass(frozen=True)
class Run:
    """What the script is about.

    Args:
        producer: a boto3 session in the account that owns the model.
        consumer: a session of the other account; its role is assumed by the script.
        role: the role in the other account, and its external id.
        external_id: of the role.
        execution_role: that the model is to have.
        group: the model package group, and the name of the repository.
        bucket: where the artifacts lie.
        account: the owner's.
        other: the other account.
        region: of both.
    """

    producer: Any
    consumer: Any
    role: str
    external_id: str
    execution_role: str
    group: str
    bucket: str
    account: str
    other: str
    region: str


def clients(run: Run) -> dict[str, Any]:
    """The producer's clients, made before the clock runs, as those of a process that is warm."""
    return {name: run.producer.client(name) for name in ("ecr", "s3", "sagemaker")}


def grant(run: Run, made: dict[str, Any]) -> None:
    """Put the page's three policies for the other account."""
    principal = {"AWS": f"arn:aws:iam::{run.other}:root"}

    def document(*statements: dict[str, Any]) -> str:
        whole = [{"Effect": "Allow", "Principal": principal, **one} for one in statements]
        return json.dumps({"Version": "2012-10-17", "Statement": whole})

    made["ecr"].set_repository_policy(
        registryId=run.account,
        repositoryName=run.group,
        policyText=document({"Sid": "AddPerm", "Action": ["ecr:*"]}),
    )
    objects = {"Sid": "AddPerm", "Action": "s3:*", "Resource": f"arn:aws:s3:::{run.bucket}/*"}
    made["s3"].put_bucket_policy(Bucket=run.bucket, Policy=document(objects))
    arn = f"arn:aws:sagemaker:{run.region}:{run.account}"
    of_group = {
        "Sid": "AddPermModelPackageGroup",
        "Action": ["sagemaker:DescribeModelPackageGroup"],
        "Resource": f"{arn}:model-package-group/{run.group}",
    }
    of_versions = {
        "Sid": "AddPermModelPackageVersion",
        "Action": [
            "sagemaker:DescribeModelPackage",
            "sagemaker:ListModelPackages",
            "sagemaker:UpdateModelPackage",
            "sagemaker:CreateModel",
        ],
        "Resource": f"{arn}:model-package/{run.group}/*",
    }
    made["sagemaker"].put_model_package_group_policy(
        ModelPackageGroupName=run.group, ResourcePolicy=document(of_group, of_versions)
    )


def deploy(run: Run, version: int, name: str, body: str) -> str:
    """Deploy the version in the other account, ask it once, delete everything; the answer."""
    key = run.consumer.client("sts").assume_role(
        RoleArn=run.role, RoleSessionName="script", ExternalId=run.external_id
    )["Credentials"]
    given = {
        "aws_access_key_id": key["AccessKeyId"],
        "aws_secret_access_key": key["SecretAccessKey"],
        "aws_session_token": key["SessionToken"],
    }
    sagemaker = run.consumer.client("sagemaker", **given)
    runtime = run.consumer.client("sagemaker-runtime", **given)
    package = f"arn:aws:sagemaker:{run.region}:{run.account}:model-package/{run.group}/{version}"
    sagemaker.describe_model_package(ModelPackageName=package)
    sagemaker.create_model(
        ModelName=name, PrimaryContainer={"ModelPackageName": package}, ExecutionRoleArn=run.execution_role
    )
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    while sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] != "InService":
        time.sleep(_POLL_SECONDS)
    answer = runtime.invoke_endpoint(EndpointName=name, ContentType="text/csv", Body=body)
    text: str = answer["Body"].read().decode()
    sagemaker.delete_endpoint(EndpointName=name)
    sagemaker.delete_endpoint_config(EndpointConfigName=name)
    sagemaker.delete_model(ModelName=name)
    return text
