"""Lists of hosted resources: whole, however AWS cuts their pages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from crossaccount.aws.access import Target, open_target
from crossaccount.config.loading import load_config
from crossaccount.hosting.gateway import VERSION, VERSION_AND_HASH, Gateway
from crossaccount.sharing import usage

NAME = "decision-trees-staging"
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.1-cpu"
OTHERS = ("aaa", "decision-trees-staging-2-v1", "zzz")


@pytest.fixture(scope="module")
def crowded(sandbox: Any) -> Iterator[None]:
    """An account with models and endpoint configs of ours, and others made after each."""
    sm, iam = sandbox.admin("staging", "sagemaker"), sandbox.admin("staging", "iam")
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    role, trust_text, policy = (
        "lists",
        *(json.dumps({"Version": "2012-10-17", "Statement": [each]}) for each in (trust, everything)),
    )
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust_text)["Role"]["Arn"]
    iam.put_role_policy(RoleName=role, PolicyName="all", PolicyDocument=policy)
    made = [f"{NAME}-v{version}" for version in (1, 2, 3)]
    names = [name for mine in made for name in (mine, *(f"{other}-{mine[-1]}" for other in OTHERS))]
    for name in names:
        sm.create_model(ModelName=name, ExecutionRoleArn=arn, PrimaryContainer={"Image": IMAGE})
        sizes = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        variant = {"VariantName": "AllTraffic", "ModelName": name, **sizes}
        for config in (name, *([f"{name}-abcd"] if name in made else [])):
            sm.create_endpoint_config(EndpointConfigName=config, ProductionVariants=[variant])
    yield
    for listed in sandbox.hosted("staging")["configs"]:
        sm.delete_endpoint_config(EndpointConfigName=listed)
    for listed in sandbox.hosted("staging")["models"]:
        sm.delete_model(ModelName=listed)
    iam.delete_role_policy(RoleName=role, PolicyName="all")
    iam.delete_role(RoleName=role)


@pytest.fixture
def target(aws: Any, crowded: None) -> Target:
    return open_target(load_config(aws.config), "staging")


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("kind", "end", "expected"),
    [
        ("model", VERSION, [1, 2, 3]),
        ("endpoint-config", VERSION, [1, 2, 3]),
        ("endpoint-config", VERSION_AND_HASH, [1, 2, 3]),
        ("endpoint", VERSION, []),
    ],
)
def test_a_list_goes_on_over_pages_that_are_empty(
    target: Target, monkeypatch: pytest.MonkeyPatch, kind: Any, end: str, expected: list[int], size: int
) -> None:
    monkeypatch.setattr("crossaccount.hosting.gateway.MOST_LISTED", size)
    listed = Gateway(target.sagemaker).list(kind, NAME, end)
    assert sorted(each.version for each in listed) == expected


def test_a_list_asks_for_whole_pages(aws: Any, target: Target) -> None:
    with aws.calls() as calls:
        list(Gateway(target.sagemaker).list("model", NAME, VERSION))
        usage.endpoints_using(target, None)
    assert [each["operation"] for each in calls] == ["ListModels", "ListEndpoints"]
