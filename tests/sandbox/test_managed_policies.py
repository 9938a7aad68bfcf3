"""AWS's own managed policies are attached, judged, read and listed like those of an account."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

ROLE = "managed"
READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
SAGEMAKER = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
ALL = "arn:aws:iam::aws:policy/AdministratorAccess"


def code_of(call: Callable[[], Any]) -> str:
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


@pytest.fixture(scope="module")
def iam(inner: Any) -> Any:
    return inner.client("producer", "iam")


@pytest.fixture
def role(inner: Any, iam: Any) -> Iterator[Callable[[str], Any]]:
    trust = {"Effect": "Allow", "Principal": {"AWS": "111111111111"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    sts = inner.client("producer", "sts")

    def session(service: str) -> Any:
        key = sts.assume_role(RoleArn=arn, RoleSessionName="session")["Credentials"]
        return inner.keyed(service, key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])

    yield session
    for policy in iam.list_attached_role_policies(RoleName=ROLE)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=ROLE, PolicyArn=policy["PolicyArn"])
    iam.delete_role(RoleName=ROLE)


def test_what_an_attached_one_allows_and_no_more(iam: Any, role: Callable[[str], Any]) -> None:
    s3 = role("s3")
    assert code_of(s3.list_buckets) == "AccessDenied"
    iam.attach_role_policy(RoleName=ROLE, PolicyArn=READ_ONLY)
    assert code_of(s3.list_buckets) == ""
    assert code_of(lambda: s3.create_bucket(Bucket="managed-none")) == "AccessDenied"
    attached = iam.list_attached_role_policies(RoleName=ROLE)["AttachedPolicies"]
    assert attached == [{"PolicyName": "AmazonS3ReadOnlyAccess", "PolicyArn": READ_ONLY}]
    iam.detach_role_policy(RoleName=ROLE, PolicyArn=READ_ONLY)
    assert code_of(s3.list_buckets) == "AccessDenied"


def test_one_as_a_boundary(iam: Any, role: Callable[[str], Any]) -> None:
    iam.attach_role_policy(RoleName=ROLE, PolicyArn=ALL)
    iam.put_role_permissions_boundary(RoleName=ROLE, PermissionsBoundary=READ_ONLY)
    s3 = role("s3")
    assert code_of(s3.list_buckets) == ""
    assert code_of(lambda: s3.create_bucket(Bucket="managed-none")) == "AccessDenied"
    said = iam.simulate_principal_policy(
        PolicySourceArn=f"arn:aws:iam::111111111111:role/{ROLE}",
        ActionNames=["s3:CreateBucket", "s3:ListBucket"],
    )["EvaluationResults"]
    assert [one["EvalDecision"] for one in said] == ["implicitDeny", "allowed"]
    iam.delete_role_permissions_boundary(RoleName=ROLE)


def test_they_are_read(iam: Any) -> None:
    policy = iam.get_policy(PolicyArn=SAGEMAKER)["Policy"]
    assert (policy["Arn"], policy["PolicyName"]) == (SAGEMAKER, "AmazonSageMakerFullAccess")
    version = iam.get_policy_version(PolicyArn=SAGEMAKER, VersionId=policy["DefaultVersionId"])[
        "PolicyVersion"
    ]
    assert version["Document"]["Statement"]
    listed = [
        one["Arn"]
        for page in iam.get_paginator("list_policies").paginate(Scope="AWS")
        for one in page["Policies"]
    ]
    assert SAGEMAKER in listed
    assert len(listed) > 1000
    assert iam.list_policies(Scope="Local")["Policies"] == []


@pytest.mark.parametrize("arn", [f"{READ_ONLY}x", READ_ONLY.replace("policy/", "policy/path/")])
def test_one_that_aws_does_not_have(iam: Any, role: Callable[[str], Any], arn: str) -> None:
    assert code_of(lambda: iam.attach_role_policy(RoleName=ROLE, PolicyArn=arn)) == "NoSuchEntity"
    assert code_of(lambda: iam.get_policy(PolicyArn=arn)) == "NoSuchEntity"


def test_nobody_changes_one(iam: Any) -> None:
    document = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    )
    iam.get_policy(PolicyArn=READ_ONLY)
    change = {"PolicyArn": READ_ONLY, "PolicyDocument": document, "SetAsDefault": True}
    assert code_of(lambda: iam.create_policy_version(**change)) == "AccessDenied"
    assert code_of(lambda: iam.delete_policy(PolicyArn=READ_ONLY)) == "AccessDenied"
