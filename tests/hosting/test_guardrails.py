"""Guardrails as AWS writes them, and how long a shift under them may take."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crossaccount.config.loading import parse_config
from crossaccount.hosting import guardrails, requests
from crossaccount_sandbox import accounts

NAME = "decision-trees-staging"
ROLE = "arn:aws:iam::{}:role/crossaccount-{}"


def document(endpoint: dict[str, Any], **consumer: Any) -> str:
    producer = {
        "account": accounts.PRODUCER.id,
        "role": ROLE.format(accounts.PRODUCER.id, "producer"),
        "external_id": "sandbox-producer",
        "profile": "producer",
        "releases": f"s3://{accounts.BUCKET}/{accounts.RELEASES}",
    }
    staging = {
        "account": accounts.STAGING.id,
        "role": ROLE.format(accounts.STAGING.id, "deployer"),
        "external_id": "sandbox-staging",
        "profile": "staging",
        "execution_role": ROLE.format(accounts.STAGING.id, "execution"),
        "endpoint": {"name": NAME, "instance_type": "ml.m5.large", **endpoint},
        **consumer,
    }
    whole = {"model_package_group": accounts.GROUP, "region": accounts.REGION, "producer": producer}
    return json.dumps({**whole, "consumers": {"staging": staging}})


def green(kind: str, wait: int = 0, termination: int = 0, **more: Any) -> dict[str, Any]:
    sizes = {
        key: {"Type": "CAPACITY_PERCENT", "Value": value} for key, value in more.items() if key[0] in "CL"
    }
    limit = {key: value for key, value in more.items() if key[0] == "M"}
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **sizes}
    policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": termination, **limit}
    return {"BlueGreenUpdatePolicy": policy}


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ({}, None),
        ({"deployment": {"wait_seconds": 60}}, green("ALL_AT_ONCE", 60)),
        ({"deployment": {"termination_wait_seconds": 60}}, green("ALL_AT_ONCE", 0, 60)),
        ({"deployment": {"maximum_seconds": 600}}, green("ALL_AT_ONCE", MaximumExecutionTimeoutInSeconds=600)),
        ({"deployment": {"type": "canary", "canary_percent": 10, "wait_seconds": 5}}, green("CANARY", 5, CanarySize=10)),
        ({"deployment": {"type": "linear", "linear_percent": 20}}, green("LINEAR", LinearStepSize=20)),
        ({"deployment": {"type": "rolling", "batch_percent": 25, "wait_seconds": 5}},
         {"RollingUpdatePolicy": {"MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 25}, "WaitIntervalInSeconds": 5}}),
        ({"deployment": {"alarms": ["a", "b"]}},
         {**green("ALL_AT_ONCE"), "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}, {"AlarmName": "b"}]}}),
    ],
)  # fmt: skip
def test_guardrails_as_aws_writes_them(endpoint: dict[str, Any], expected: Any) -> None:
    consumer = parse_config(document(endpoint)).consumers["staging"]
    assert requests.deployment_config(consumer.endpoint) == expected


@pytest.mark.parametrize(
    ("endpoint", "seconds"),
    [
        ({}, 3600),
        ({"deployment": {"wait_seconds": 60, "termination_wait_seconds": 30}}, 3750),
        ({"deployment": {"type": "linear", "linear_percent": 30, "wait_seconds": 100}}, 4000),
        ({"deployment": {"type": "rolling", "batch_percent": 5, "wait_seconds": 100}}, 5600),
        ({"deployment": {"maximum_seconds": 28800}}, 32400),
    ],
)
def test_a_shift_is_waited_for_as_long_as_it_may_take(endpoint: dict[str, Any], seconds: float) -> None:
    assert guardrails.patience(parse_config(document(endpoint)).consumers["staging"]).seconds == seconds
