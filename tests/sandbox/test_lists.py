"""Lists of models, endpoint configs and endpoints: filtered, ordered and in pages as they were asked for."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.1-cpu"
ROLE = "arn:aws:iam::111111111111:role/execution"
NAMES = ["tree-b", "tree-a", "forest-c"]  # in the order in which they are made
FAR = timedelta(hours=1)


def policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


@pytest.fixture(scope="module")
def sm(inner: Any) -> Any:
    """Three models, configs and endpoints; the models have no data, so the endpoints fail, without any process."""
    iam, sm = inner.client("producer", "iam"), inner.client("producer", "sagemaker")
    trust = policy(Principal={"Service": "sagemaker.amazonaws.com"}, Action="sts:AssumeRole")
    iam.create_role(RoleName="execution", AssumeRolePolicyDocument=trust)
    iam.put_role_policy(
        RoleName="execution", PolicyName="all", PolicyDocument=policy(Action="*", Resource="*")
    )
    for name in NAMES:
        sm.create_model(ModelName=name, PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE)
        variant = {
            "VariantName": "one",
            "ModelName": name,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        sm.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        sm.create_endpoint(EndpointName=name, EndpointConfigName=name)
    return sm


KINDS = {
    "models": ("list_models", "Models", "ModelName"),
    "configs": ("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
    "endpoints": ("list_endpoints", "Endpoints", "EndpointName"),
}


def listed(sm: Any, kind: str, **asked: Any) -> list[str]:
    call, member, name = KINDS[kind]
    return [entry[name] for entry in getattr(sm, call)(**asked)[member]]


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["forest-c", "tree-a", "tree-b"]),
        ({"SortOrder": "Ascending"}, ["tree-b", "tree-a", "forest-c"]),
        ({"SortBy": "Name", "SortOrder": "Ascending"}, ["forest-c", "tree-a", "tree-b"]),
        ({"SortBy": "Name"}, ["tree-b", "tree-a", "forest-c"]),
        ({"NameContains": "tree"}, ["tree-a", "tree-b"]),
        ({"NameContains": "-a"}, ["tree-a"]),
        ({"NameContains": "oak"}, []),
        ({"MaxResults": 2}, ["forest-c", "tree-a"]),
        ({"NameContains": "tree", "MaxResults": 1}, []),
        ({"NameContains": "tree", "MaxResults": 2}, ["tree-a"]),
        ({"CreationTimeAfter": datetime.now(UTC) + FAR}, []),
        ({"CreationTimeBefore": datetime.now(UTC) - FAR}, []),
        ({"CreationTimeAfter": datetime.now(UTC) + FAR, "MaxResults": 1}, []),
        ({"CreationTimeAfter": datetime.now(UTC) - FAR, "MaxResults": 1}, ["forest-c"]),
        ({"CreationTimeBefore": datetime.now(UTC) + FAR, "MaxResults": 1}, ["forest-c"]),
    ],
)
def test_a_list_is_what_was_asked_for(sm: Any, kind: str, asked: dict[str, Any], expected: list[str]) -> None:
    assert listed(sm, kind, **asked) == expected


@pytest.mark.parametrize("kind", list(KINDS))
def test_pages_follow_one_another_and_are_cut_before_they_are_filtered(sm: Any, kind: str) -> None:
    call, member, name = KINDS[kind]
    pages = list(sm.get_paginator(call).paginate(NameContains="tree", PaginationConfig={"PageSize": 1}))
    assert [[entry[name] for entry in page[member]] for page in pages] == [[], ["tree-a"], ["tree-b"]]
    assert ["NextToken" in page for page in pages] == [True, True, False]


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_token_that_no_page_ended_with_is_refused(sm: Any, kind: str) -> None:
    with pytest.raises(ClientError) as error:
        listed(sm, kind, NextToken="made-up")
    assert error.value.response["Error"]["Code"] == "ValidationException"


def test_endpoints_are_listed_by_their_status(sm: Any) -> None:
    deadline = time.monotonic() + 10
    while len(listed(sm, "endpoints", StatusEquals="Failed")) < len(NAMES):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert listed(sm, "endpoints", StatusEquals="Creating") == []
    assert listed(sm, "endpoints", StatusEquals="InService") == []
    assert listed(sm, "endpoints", StatusEquals="Failed", NameContains="forest") == ["forest-c"]
    assert listed(sm, "endpoints", LastModifiedTimeBefore=datetime.now(UTC) - FAR) == []
    assert len(listed(sm, "endpoints", LastModifiedTimeAfter=datetime.now(UTC) - FAR)) == len(NAMES)


@pytest.mark.parametrize("kind", list(KINDS))
def test_another_account_and_another_region_have_lists_of_their_own(inner: Any, sm: Any, kind: str) -> None:
    assert listed(inner.client("staging", "sagemaker"), kind) == []
    assert listed(inner.client("producer", "sagemaker", region="eu-central-1"), kind) == []


@pytest.mark.parametrize("kind", list(KINDS))
def test_each_list_needs_its_own_action(inner: Any, sm: Any, kind: str) -> None:
    action = {"models": "ListModels", "configs": "ListEndpointConfigs", "endpoints": "ListEndpoints"}[kind]
    client = inner.session("producer", "sagemaker", policy(Action=f"sagemaker:{action}", Resource="*"))
    assert len(listed(client, kind)) == len(NAMES)
    for other in KINDS.keys() - {kind}:
        with pytest.raises(ClientError) as error:
            listed(client, other)
        assert error.value.response["Error"]["Code"] == "AccessDeniedException"


def test_a_page_of_endpoints_has_ten_unless_asked_otherwise(sm: Any) -> None:
    for number in range(8):
        sm.create_endpoint(EndpointName=f"many-{number}", EndpointConfigName=NAMES[0])
    first = sm.list_endpoints()
    assert (len(first["Endpoints"]), len(listed(sm, "endpoints", NextToken=first["NextToken"]))) == (10, 1)
    assert len(listed(sm, "endpoints", MaxResults=11)) == 11
