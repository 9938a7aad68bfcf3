"""What a config says of a shadow variant, and what contradicts it: before anything is asked of AWS."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from crossaccount.config.capacity import Shadow
from crossaccount.config.loading import parse_config
from crossaccount.errors import ConfigError

CAPTURE = {"s3_uri": "s3://captured-calls/trees/", "percent": 10}
ENDPOINT = {"name": "trees", "instance_type": "ml.m5.large", "data_capture": CAPTURE}
HOSTED = {"name": "trees", "instance_type": "ml.m5.large"}
SERVERLESS = {"name": "trees", "serverless": {"memory_mb": 2048, "max_concurrency": 5}}
QUEUED = {"kind": "asynchronous", "asynchronous": {"s3_output": "s3://answers/a/"}}
PARTED = {"kind": "inference-components", "inference_component": {"memory_mb": 1024}}


def document(endpoint: dict[str, Any], **consumer: Any) -> str:
    role = "arn:aws:iam::222222222222:role/"
    roles = {"role": f"{role}deployer", "execution_role": f"{role}execution"}
    staging = {"account": "222222222222", **roles, "endpoint": endpoint, "smoke_mode": "shadow", **consumer}
    whole = {"model_package_group": "trees", "region": "us-east-1", "consumers": {"staging": staging}}
    return yaml.safe_dump(
        {**whole, "producer": {"account": "111111111111", "releases": "s3://producer-models/releases/"}}
    )


@pytest.mark.parametrize(
    ("endpoint", "consumer", "key", "says"),
    [
        (HOSTED, {}, "endpoint.data_capture", "in the captured data alone"),
        (ENDPOINT, {"latency": {"p50_ms": 5}}, "latency", "choose another smoke_mode"),
        (SERVERLESS, {}, "smoke_mode", "has no shadow variants"),
        ({**ENDPOINT, **QUEUED}, {}, "smoke_mode", "has no shadow variants"),
        ({**ENDPOINT, **PARTED}, {}, "smoke_mode", "has no shadow variants"),
        (
            {**ENDPOINT, "container_mode": "direct"},
            {},
            "endpoint.container_mode",
            "no shadow variant beside those",
        ),
        (
            {**ENDPOINT, "instance_type": "ml.inf1.xlarge"},
            {},
            "endpoint.instance_type",
            "takes no shadow variant",
        ),
        (ENDPOINT, {"smoke_mode": "before", "shadow": {}}, "shadow", "Write smoke_mode: shadow"),
        (ENDPOINT, {"smoke_mode": "both", "shadow": {"seconds": 5}}, "shadow", "smoke_mode is both"),
        (ENDPOINT, {"shadow": {"seconds": -1}}, "shadow.seconds", "-1"),
        (ENDPOINT, {"shadow": {"seconds": 86_401}}, "shadow.seconds", "86401"),
        (ENDPOINT, {"shadow": {"instance_count": 0}}, "shadow.instance_count", "0"),
        (ENDPOINT, {"shadow": {"capture_seconds": 0}}, "shadow.capture_seconds", "0"),
        (ENDPOINT, {"shadow": {"capture_seconds": 3601}}, "shadow.capture_seconds", "3601"),
        (ENDPOINT, {"shadow": {"weight": 1}}, "shadow.weight", "weight"),
        (ENDPOINT, {"shadow": 600}, "shadow", "600"),
    ],
)
def test_a_config_that_no_shadow_can_follow_is_refused(
    endpoint: dict[str, Any], consumer: dict[str, Any], key: str, says: str
) -> None:
    with pytest.raises(ConfigError) as error:
        parse_config(document(endpoint, **consumer))
    (fault,) = error.value.faults
    assert fault.key == f"consumers.staging.{key}"
    assert says in str(fault)


@pytest.mark.parametrize(
    ("consumer", "meant"),
    [
        ({}, None),
        ({"shadow": {}}, Shadow()),
        ({"shadow": {"seconds": 600}}, Shadow(seconds=600)),
        (
            {"shadow": {"seconds": 0, "instance_count": 3, "capture_seconds": 3600}},
            Shadow(instance_count=3, capture_seconds=3600),
        ),
    ],
)
def test_what_a_shadow_is_told(consumer: dict[str, Any], meant: Shadow | None) -> None:
    staging = parse_config(document(ENDPOINT, **consumer)).consumers["staging"]
    assert (staging.smoke_mode, staging.shadow) == ("shadow", meant)


@pytest.mark.parametrize(
    ("endpoint", "consumer", "key", "says"),
    [
        (HOSTED, {}, "endpoint.data_capture", "in the captured data alone"),
        (SERVERLESS, {}, "smoke_mode", "has no shadow variants"),
        (ENDPOINT, {"latency": {"p50_ms": 5}}, "latency", "choose another smoke_mode"),
    ],
)
def test_a_shadow_in_a_word_is_held_to_the_same(
    endpoint: dict[str, Any], consumer: dict[str, Any], key: str, says: str
) -> None:
    text = document(endpoint, smoke="shadow", **consumer).replace("    smoke_mode: shadow\n", "")
    with pytest.raises(ConfigError) as error:
        parse_config(text)
    (fault,) = error.value.faults
    assert (fault.key, says in fault.message) == (f"consumers.staging.{key}", True)


def test_a_shadow_in_a_word_may_have_its_time() -> None:
    text = document(ENDPOINT, smoke="shadow", shadow={"seconds": 5}).replace("    smoke_mode: shadow\n", "")
    assert parse_config(text).consumers["staging"].shadow == Shadow(seconds=5)


def test_a_shadow_in_a_word() -> None:
    text = document(ENDPOINT, smoke="shadow").replace("    smoke_mode: shadow\n", "")
    assert parse_config(text).consumers["staging"].smoke_mode == "shadow"
