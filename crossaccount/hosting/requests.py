"""The requests for a model, an endpoint config and an update of an endpoint: the parameters of each call, as pure functions.

``deploy`` and ``promote`` send the same. Not here: sending them (``gateway``).

Source: CreateModel, CreateEndpointConfig, UpdateEndpoint and DeploymentConfig in the SageMaker API reference; "Deployment
guardrails" and "Serverless Inference" in the developer guide.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from crossaccount.arns import parse_image
from crossaccount.config.capacity import Shadow
from crossaccount.config.endpoint import Endpoint
from crossaccount.config.model import ConsumerConfig
from crossaccount.errors import Failed, InputError
from crossaccount.hosting.resources import SHADOW, VARIANT, deployment_name
from crossaccount.release.manifest import Release

_LONGEST_NAME = 63  # botocore, sagemaker: EndpointConfigName
_OF_LIVE = ("KmsKeyId", "MetricsConfig")  # what the live version keeps with a shadow beside it


def check(consumer: ConsumerConfig, release: Release) -> None:
    """Refuse a version that AWS would refuse on the endpoint, as far as config and Release show it.

    Raises:
        Failed: for a serverless endpoint of another account's image or of several containers.
    """
    if consumer.endpoint.serverless is None:
        return
    containers = release.deployed_containers
    if len(containers) > 1:
        raise Failed(
            f"Version {release.version} has {len(containers)} containers, and a serverless endpoint takes one. Write instance_type and "
            "instance_count instead of endpoint.serverless."
        )
    for container in containers:
        if (owner := parse_image(container.image).registry) == release.producer_account:
            raise Failed(
                f"The image {container.image} lies in account {owner}, and a serverless endpoint takes no image of another account's "
                f"registry. Write instance_type and instance_count instead of endpoint.serverless, or have the image copied to "
                f"{consumer.account}."
            )


def model(consumer: ConsumerConfig, release: Release, name: str) -> dict[str, Any]:
    """CreateModel's parameters, without tags."""
    request: dict[str, Any] = {
        "ModelName": name,
        "PrimaryContainer": {"ModelPackageName": release.model_package_arn},
        "ExecutionRoleArn": consumer.execution_role,
    }
    if (vpc := consumer.endpoint.vpc) is not None:
        groups, subnets = list(vpc.security_group_ids), list(vpc.subnet_ids)
        request["VpcConfig"] = {"SecurityGroupIds": groups, "Subnets": subnets}
    if consumer.endpoint.network_isolation:
        request["EnableNetworkIsolation"] = True
    return request


def endpoint_config(consumer: ConsumerConfig, release: Release, name: str) -> dict[str, Any]:
    """CreateEndpointConfig's parameters, without tags."""
    return {"EndpointConfigName": name, **_content(consumer, release)}


def config_name(consumer: ConsumerConfig, release: Release) -> str:
    """The name of the config of an endpoint that stays, NAME-vN-HHHH: HHHH stands for the capacity that the consumer asks for now.

    Raises:
        InputError: when it would be longer than SageMaker allows.
    """
    return _named(consumer, release.version, _content(consumer, release))


def shadow_config(
    consumer: ConsumerConfig, release: Release, version: int, live: Mapping[str, Any]
) -> dict[str, Any]:
    """CreateEndpointConfig's parameters, without tags, for the live version as it is with a new one as shadow variant beside it.

    Every call is captured whatever data_capture.percent says: only captured data shows what a shadow variant answers.

    Args:
        consumer: with ``endpoint.data_capture``.
        release: of the new version.
        version: the live one, whose name the config gets, as `config_name` has it.
        live: the description of the live version's endpoint config.

    Raises:
        InputError: when the name would be longer than SageMaker allows.
    """
    own, wanted = live["ProductionVariants"][0], _content(consumer, release)
    shadow = {
        **wanted["ProductionVariants"][0],
        "VariantName": SHADOW,
        "InitialInstanceCount": (consumer.shadow or Shadow()).instance_count,
        "InitialVariantWeight": own.get(
            "InitialVariantWeight", 1.0
        ),  # the same weight is a copy of every request
    }
    shadow.pop("ManagedInstanceScaling", None)
    content: dict[str, Any] = {"ProductionVariants": [own], "ShadowProductionVariants": [shadow]}
    content |= {key: live[key] for key in _OF_LIVE if live.get(key)}
    content["DataCaptureConfig"] = {**wanted["DataCaptureConfig"], "InitialSamplingPercentage": 100}
    return {"EndpointConfigName": _named(consumer, version, content), **content}


def _named(consumer: ConsumerConfig, version: int, content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True)
    name = f"{deployment_name(consumer, version)}-{hashlib.sha256(text.encode()).hexdigest()[:4]}"
    if len(name) > _LONGEST_NAME:
        raise InputError(
            f"The endpoint config would be called {name}, which is longer than {_LONGEST_NAME} characters. Choose a shorter endpoint.name."
        )
    return name


def _content(consumer: ConsumerConfig, release: Release) -> dict[str, Any]:
    wanted = consumer.endpoint
    model_name = deployment_name(consumer, release.version)
    variant: dict[str, Any] = {"VariantName": VARIANT, "ModelName": model_name}
    if wanted.serverless is not None:
        memory, concurrency = wanted.serverless.memory_mb, wanted.serverless.max_concurrency
        variant["ServerlessConfig"] = {"MemorySizeInMB": memory, "MaxConcurrency": concurrency}
    else:
        variant |= {"InstanceType": wanted.instance_type, "InitialInstanceCount": wanted.instance_count}
    content: dict[str, Any] = {"ProductionVariants": [variant]}
    if wanted.kms_key is not None:
        content["KmsKeyId"] = wanted.kms_key
    if wanted.data_capture is not None:
        content["DataCaptureConfig"] = {
            "EnableCapture": True,
            "InitialSamplingPercentage": wanted.data_capture.percent,
            "DestinationS3Uri": wanted.data_capture.s3_uri,
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        }
    return content


def update(
    endpoint: Endpoint,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    deployment_config: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """UpdateEndpoint's parameters.

    Args:
        endpoint: of the config.
        old: the description of the endpoint config that the endpoint has.
        new: the description of the endpoint config that it gets.
        deployment_config: see `deployment_config`; None is AWS's own default.
    """
    request: dict[str, Any] = {"EndpointName": endpoint.name, "EndpointConfigName": new["EndpointConfigName"]}
    if deployment_config:
        request["DeploymentConfig"] = deployment_config
    if endpoint.retain_variant_properties and endpoint.serverless is None:
        # An endpoint retains the properties that it has, also one that the config has changed since: that one is excluded.
        before, after = (config["ProductionVariants"][0].get("InitialInstanceCount") for config in (old, new))
        excluded = ["DataCaptureConfig", *(["DesiredInstanceCount"] if before != after else [])]
        request["RetainAllVariantProperties"] = True
        request["ExcludeRetainedVariantProperties"] = [{"VariantPropertyType": kind} for kind in excluded]
    return request


def deployment_config(endpoint: Endpoint) -> dict[str, Any] | None:
    """UpdateEndpoint's DeploymentConfig; None for AWS's own default."""
    wanted = endpoint.deployment
    plain = wanted.type == "all-at-once" and not (
        wanted.wait_seconds or wanted.termination_wait_seconds or wanted.maximum_seconds or wanted.alarms
    )
    if plain or endpoint.serverless is not None:
        return None
    limit = {"MaximumExecutionTimeoutInSeconds": wanted.maximum_seconds} if wanted.maximum_seconds else {}
    request: dict[str, Any] = {}
    if wanted.type == "rolling":
        request["RollingUpdatePolicy"] = {
            "MaximumBatchSize": _percent(wanted.batch_percent),
            "WaitIntervalInSeconds": wanted.wait_seconds,
            **limit,
        }
    else:
        routing: dict[str, Any] = {
            "Type": wanted.type.upper().replace("-", "_"),
            "WaitIntervalInSeconds": wanted.wait_seconds,
        }
        if wanted.type == "canary":
            routing["CanarySize"] = _percent(wanted.canary_percent)
        if wanted.type == "linear":
            routing["LinearStepSize"] = _percent(wanted.linear_percent)
        request["BlueGreenUpdatePolicy"] = {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": wanted.termination_wait_seconds,
            **limit,
        }
    if wanted.alarms:
        request["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": name} for name in wanted.alarms]}
    return request


def _percent(value: int | None) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def difference(description: Any, request: Any, path: str = "") -> str | None:
    """The first place where a resource is not as requested; None when it is. AWS may add properties that nobody requested.

    Args:
        description: of the resource, by AWS.
        request: the parameters of its creation; None or False requests nothing at that place.
        path: of the place.
    """
    if isinstance(request, dict):
        present = description if isinstance(description, dict) else {}
        prefix = f"{path}." if path else ""
        parts = (difference(present.get(key), value, f"{prefix}{key}") for key, value in request.items())
        return next(filter(None, parts), None)
    if isinstance(request, list) and isinstance(description, list):
        if all(isinstance(item, str) for item in request):
            request, description = sorted(request), sorted(description)
        elif len(request) == len(description):
            pairs = zip(description, request, strict=True)
            return next(filter(None, (difference(*pair, path) for pair in pairs)), None)
    if description == request or not (description or request):
        return None
    actual, wanted = ("none" if value is None else value for value in (description, request))
    return f"{path} {actual}, not {wanted}"
