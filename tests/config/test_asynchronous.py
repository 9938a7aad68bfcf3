"""The keys of an asynchronous endpoint: what is taken, and what contradicts something else, each with its way out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crossaccount.config.loading import parse_config
from crossaccount.errors import ConfigError

QUEUE = {"s3_output": "s3://answers/out/"}
ENDPOINT = {"name": "churn", "instance_type": "ml.m5.large", "kind": "asynchronous", "asynchronous": QUEUE}
E = "consumers.staging.endpoint."


def document(endpoint: dict[str, Any], **consumer: Any) -> str:
    staging = {
        "account": "444455556666",
        "role": "arn:aws:iam::444455556666:role/deployer",
        "execution_role": "arn:aws:iam::444455556666:role/execution",
        "endpoint": {key: value for key, value in {**ENDPOINT, **endpoint}.items() if value is not None},
        **consumer,
    }
    producer = {"account": "111122223333", "releases": "s3://models/releases/"}
    whole = {"model_package_group": "churn", "region": "us-east-1", "producer": producer}
    return json.dumps({**whole, "consumers": {"staging": staging}})


def queue(**more: Any) -> dict[str, Any]:
    return {"asynchronous": {**QUEUE, **more}}


@pytest.mark.parametrize(
    "endpoint",
    [
        {},
        queue(answer_seconds=3600, max_concurrent=1000, s3_failures="s3://answers/failed/"),
        {"data_capture": {"s3_uri": "s3://captured/", "percent": 10}},
        {"deployment": {"type": "rolling", "batch_percent": 50}, "instance_count": 2},
        {"instance_type": None, "instance_pools": [{"instance_type": "ml.g5.xlarge", "priority": 1}]},
        {"instance_type": "ml.inf2.xlarge"},
    ],
)
def test_an_asynchronous_endpoint_may_say(endpoint: dict[str, Any]) -> None:
    consumer = parse_config(document(endpoint)).consumers["staging"]
    assert consumer.endpoint.hosting_kind == "asynchronous"


@pytest.mark.parametrize(
    ("endpoint", "key", "words"),
    [
        ({"asynchronous": None}, "asynchronous", "is missing"),
        ({"asynchronous": {}}, "asynchronous.s3_output", "is missing"),
        ({"kind": None}, "asynchronous", "and the kind is real-time"),
        (queue(s3_output="answers/out/"), "asynchronous.s3_output", "s3://BUCKET/answers/"),
        (queue(s3_failures="failed"), "asynchronous.s3_failures", "s3://BUCKET/failures/"),
        (queue(success_topic="answers"), "asynchronous.success_topic", "is not the ARN of an SNS topic"),
        (queue(max_concurrent=0), "asynchronous.max_concurrent", "from 1 to 1000"),
        (queue(max_concurrent=1001), "asynchronous.max_concurrent", "from 1 to 1000"),
        (queue(answer_seconds=0), "asynchronous.answer_seconds", "from 1 to 3600"),
        (queue(answer_seconds=3601), "asynchronous.answer_seconds", "from 1 to 3600"),
        (queue(seconds=1), "asynchronous.seconds", ""),
        ({"instance_type": "ml.inf1.xlarge"}, "instance_type", "does not run on Inf1 instances"),
        (
            {"instance_type": None, "instance_pools": [{"instance_type": "ml.inf1.xlarge", "priority": 1}]},
            "instance_pools[0].instance_type",
            "an asynchronous endpoint does not run on Inf1 instances",
        ),
        ({"container_mode": "direct"}, "container_mode", "is asked without naming a container"),
        (
            {"serverless": {"memory_mb": 2048, "max_concurrency": 5}},
            "serverless",
            "and the kind is asynchronous",
        ),
        ({"inference_component": {"memory_mb": 1024}}, "inference_component", "and the kind is asynchronous"),
    ],
)
def test_an_asynchronous_endpoint_may_not_say(endpoint: dict[str, Any], key: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(document(endpoint))
    said = {fault.key: fault.message for fault in caught.value.faults}
    assert E + key in said, said
    assert words in said[E + key]


def test_an_asynchronous_endpoint_has_no_shadow() -> None:
    with pytest.raises(ConfigError, match="an asynchronous endpoint has no shadow variants"):
        parse_config(document({}, smoke_mode="shadow", shadow={"seconds": 1}))
