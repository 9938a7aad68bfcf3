"""An endpoint's capacity against its kind, its instance types and AWS's limits: one sentence for each contradiction, with the way out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crossaccount.config.endpoint import Endpoint
from crossaccount.config.loading import parse_config
from crossaccount.errors import ConfigError

POOLS = [{"instance_type": "ml.g5.xlarge", "priority": 1}, {"instance_type": "ml.g6.xlarge", "priority": 2}]
PREFIX = {"length": 4096, "concurrency": 8}
PLAN = "arn:aws:sagemaker:us-east-1:222222222222:training-plan/two-weeks"
GPU, NEURON = "al2-ami-sagemaker-inference-gpu-2", "al2-ami-sagemaker-inference-neuron-2"
POOLED = {"instance_type": None, "instance_pools": POOLS}
SERVERLESS = {"instance_type": None, "serverless": {"memory_mb": 2048, "max_concurrency": 5}}
QUEUED = {"kind": "asynchronous", "asynchronous": {"s3_output": "s3://bucket/answers/"}}


def parsed(endpoint: dict[str, Any]) -> Endpoint:
    staging = {
        "account": "222222222222",
        "role": "arn:aws:iam::222222222222:role/deployer",
        "execution_role": "arn:aws:iam::222222222222:role/execution",
        "endpoint": {"name": "churn", "instance_type": "ml.m5.large", **endpoint},
    }
    producer = {"account": "111111111111", "releases": "s3://releases/churn/"}
    whole = {"model_package_group": "churn", "region": "us-east-1", "producer": producer}
    return (
        parse_config(json.dumps({**whole, "consumers": {"staging": staging}})).consumers["staging"].endpoint
    )


@pytest.mark.parametrize(
    ("endpoint", "key", "words"),
    [
        ({"instance_pools": POOLS}, "instance_type", ("stands beside instance_pools", "Delete one of the two")),
        ({"instance_type": None}, "instance_type", ("is missing", "or serverless")),
        ({**POOLED, "instance_pools": [POOLS[0], {**POOLS[1], "priority": 1}]}, "instance_pools[1].priority", ("1 is the priority of an earlier pool",)),
        ({**POOLED, "instance_pools": [POOLS[0], {**POOLS[0], "priority": 2}]}, "instance_pools[1].instance_type", ("is the type of an earlier pool",)),
        ({**POOLED, "instance_pools": [{**POOLS[0], "priority": 6}]}, "instance_pools[0].priority", ("from 1 to 5",)),
        ({**POOLED, "instance_pools": [{"instance_type": "ml.g5.xlarge"}]}, "instance_pools[0].priority", ("is missing", "priority: 1")),
        ({**POOLED, "capacity_reservation": PLAN}, "capacity_reservation", ("reserves instances of one type", "Write instance_type")),
        ({"capacity_reservation": "two-weeks"}, "capacity_reservation", ("not the ARN of a capacity reservation",)),
        ({"provision_seconds": 299}, "provision_seconds", ("from 300 to 3600",)),
        ({"container_startup_seconds": 59}, "container_startup_seconds", ("from 60 to 3600",)),
        ({"model_download_seconds": 3601}, "model_download_seconds", ("from 60 to 3600",)),
        ({"volume_size_gb": 513}, "volume_size_gb", ("from 1 to 512",)),
        ({"instance_type": "ml.m5d.large", "volume_size_gb": 64}, "volume_size_gb", ("'ml.m5d.large' has local storage", "choose another instance type")),
        ({"instance_type": "ml.g4dn.xlarge", "volume_size_gb": 64}, "volume_size_gb", ("'ml.g4dn.xlarge' has local storage",)),
        ({"instance_type": "ml.p6-b200.48xlarge", "volume_size_gb": 64}, "volume_size_gb", ("has local storage",)),
        ({**POOLED, "instance_pools": POOLS[:1], "volume_size_gb": 64}, "volume_size_gb", ("'ml.g5.xlarge' has local storage",)),
        ({"inference_ami": GPU}, "inference_ami", ("is an image for GPUs", "'ml.m5.large' does not have")),
        ({"inference_ami": NEURON}, "inference_ami", ("is an image for Inferentia2 or Trainium",)),
        ({"instance_type": "ml.inf2.xlarge", "inference_ami": GPU}, "inference_ami", ("is an image for GPUs",)),
        ({"instance_type": "ml.g5.xlarge", "inference_ami": NEURON}, "inference_ami", ("Inferentia2 or Trainium",)),
        ({"inference_ami": "AMI 7"}, "inference_ami", ("cannot be the version of an inference AMI",)),
        ({"routing": "prefix-aware"}, "prefix_routing", ("is missing", "or another routing")),
        ({"prefix_routing": PREFIX}, "prefix_routing", ("write routing: prefix-aware",)),
        ({"routing": "random", "prefix_routing": PREFIX}, "prefix_routing", ("write routing: prefix-aware",)),
        ({"routing": "prefix-aware", "prefix_routing": {**PREFIX, "length": 1023}}, "prefix_routing.length", ("from 1024 to 65536",)),
        ({"routing": "prefix-aware", "prefix_routing": {"length": 4096}}, "prefix_routing.concurrency", ("is missing", "concurrency: 8")),
        ({"routing": "round-robin"}, "routing", ("least-outstanding-requests",)),
        ({"metrics": {"publish_seconds": 20}}, "metrics.publish_seconds", ("20 is no interval", "10, 30, 60, 120, 180, 240, 300")),
        ({"metrics": {"publish_seconds": "60"}}, "metrics.publish_seconds", ("without quotes",)),
        ({"metrics": {"publish_seconds": True}}, "metrics.publish_seconds", ("is no interval",)),
        ({"metrics": {"detailed": "no"}}, "metrics.detailed", ("'no'",)),
        ({"managed_scaling": {"minimum": 1, "maximum": 4}}, "managed_scaling", ("because a real-time endpoint is scaled by Application Auto Scaling",)),
        ({**QUEUED, "managed_scaling": {"minimum": 1, "maximum": 4}}, "managed_scaling", ("because an asynchronous endpoint is scaled by Application Auto Scaling",)),
        ({**SERVERLESS, "volume_size_gb": 64}, "volume_size_gb", ("because a serverless endpoint has no instances",)),
        ({**SERVERLESS, "instance_pools": POOLS}, "instance_pools", ("because a serverless endpoint has no instances",)),
        ({**POOLED, "instance_pools": [{"instance_type": "ml.inf1.xlarge", "priority": 1}], "deployment": {"alarms": ["a"]}}, "deployment.alarms", ("would be ignored", "ml.inf1.xlarge")),
    ],
)  # fmt: skip
def test_a_capacity_that_aws_would_refuse_is_one_fault(
    endpoint: dict[str, Any], key: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError) as info:
        parsed(endpoint)
    (fault,) = info.value.faults
    assert fault.key == f"consumers.staging.endpoint.{key}"
    for word in words:
        assert word in fault.message, fault


@pytest.mark.parametrize(
    "endpoint",
    [
        POOLED,
        {**POOLED, "inference_ami": GPU, "provision_seconds": 300},
        {"instance_type": "ml.trn1.2xlarge", "inference_ami": NEURON},
        {"instance_type": "ml.p3.2xlarge", "inference_ami": GPU, "volume_size_gb": 512},
        {"instance_type": "ml.c5.large", "volume_size_gb": 1},
        {"routing": "prefix-aware", "prefix_routing": PREFIX},
        {"routing": "kv-aware"},
        {"instance_type": "ml.p4d.24xlarge", "capacity_reservation": PLAN},
        {"metrics": {"detailed": False, "enhanced": True, "publish_seconds": 10}},
        {**QUEUED, **POOLED},
        {"container_startup_seconds": 60, "model_download_seconds": 3600},
    ],
)
def test_a_capacity_that_aws_takes_is_none(endpoint: dict[str, Any]) -> None:
    assert parsed(endpoint).name == "churn"


@pytest.mark.parametrize(
    ("scaling", "count", "key"),
    [
        ({"minimum": 4, "maximum": 3}, None, "managed_scaling.minimum"),
        ({"minimum": 2, "maximum": 3}, 1, "instance_count"),
        ({"minimum": 2, "maximum": 3}, 4, "instance_count"),
        ({"minimum": 2, "maximum": 3}, 3, ""),
        ({"minimum": 2, "maximum": 3}, None, "instance_count"),
        ({"minimum": 0, "maximum": 1}, None, ""),
    ],
)
def test_managed_scaling_holds_the_number_of_instances(scaling: Any, count: int | None, key: str) -> None:
    kind = {"kind": "inference-components", "inference_component": {"memory_mb": 1024}}
    endpoint = {**kind, "managed_scaling": scaling, **({} if count is None else {"instance_count": count})}
    if not key:
        assert parsed(endpoint).managed_scaling is not None
        return
    with pytest.raises(ConfigError) as info:
        parsed(endpoint)
    assert [fault.key for fault in info.value.faults] == [f"consumers.staging.endpoint.{key}"]
