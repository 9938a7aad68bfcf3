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
from crossaccount.config.endpoint import Endpoint
from crossaccount.config.model import ConsumerConfig
from crossaccount.errors import Failed, InputError
from crossaccount.hosting.resources import VARIANT, deployment_name
from crossaccount.release.manifest import Release

_LONGEST_NAME = 63  # botocore, sagemaker: EndpointConfigName


def check(consumer: ConsumerConfig, release: Release) -> None:
    """Refuse a version that AWS would refuse on the endpoint, as far as config and Release show it.

    Raises:
        Failed: for a serverless endpoint of another account's image or of several containers, and for containers that are to be
            invoked directly and cannot.
    """
    containers = release.deployed_containers
    if consumer.endpoint.container_mode == "direct":
        _check_direct(release)
    if consumer.endpoint.serverless is None:
        return
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


def _check_direct(release: Release) -> None:
    """Source: "Multi-container endpoints" in the SageMaker developer guide: 15 containers, each asked by its DNS name."""
    containers = release.deployed_containers
    if len(containers) < 2:
        raise Failed(
            f"Version {release.version} has one container, and endpoint.container_mode direct needs several. Delete that key, or choose "
            "another version."
        )
    unnamed = [number for number, each in enumerate(containers, start=1) if not each.hostname]
    if unnamed:
        raise Failed(
            f"Container {unnamed[0]} of version {release.version} has no ContainerHostname in the registry, so nobody can ask it directly. "
            "Register the version with a ContainerHostname for each container, or delete endpoint.container_mode."
        )


def model(consumer: ConsumerConfig, release: Release, name: str) -> dict[str, Any]:
    """CreateModel's parameters, without tags. A package stands for all of its containers, in one entry."""
    container = {"ModelPackageName": release.model_package_arn}
    if consumer.endpoint.inference_specification is not None:
        container["InferenceSpecificationName"] = consumer.endpoint.inference_specification
    request: dict[str, Any] = {"ModelName": name, "ExecutionRoleArn": consumer.execution_role}
    if consumer.endpoint.container_mode == "direct":
        request |= {"Containers": [container], "InferenceExecutionConfig": {"Mode": "Direct"}}
    else:
        request["PrimaryContainer"] = container
    if (vpc := consumer.endpoint.vpc) is not None:
        groups, subnets = list(vpc.security_group_ids), list(vpc.subnet_ids)
        request["VpcConfig"] = {"SecurityGroupIds": groups, "Subnets": subnets}
    if consumer.endpoint.network_isolation:
        request["EnableNetworkIsolation"] = True
    return request


def expected_model(request: Mapping[str, Any]) -> dict[str, Any]:
    """What DescribeModel must say of a model that was made with these parameters: also what was not asked for."""
    unasked = {"VpcConfig": None, "EnableNetworkIsolation": False, **request}
    main = {"InferenceSpecificationName": None}
    if "PrimaryContainer" in request:
        return {**unasked, "PrimaryContainer": {**main, **request["PrimaryContainer"]}}
    return {**unasked, "Containers": [{**main, **container} for container in request["Containers"]]}


def endpoint_config(consumer: ConsumerConfig, release: Release, name: str) -> dict[str, Any]:
    """CreateEndpointConfig's parameters, without tags."""
    return {"EndpointConfigName": name, **_content(consumer, release)}


def config_name(consumer: ConsumerConfig, release: Release) -> str:
    """The name of the config of an endpoint that stays, NAME-vN-HHHH.

    HHHH stands for the capacity that the consumer asks for now, and for which specification of the version, invoked how.

    Raises:
        InputError: when it would be longer than SageMaker allows.
    """
    content = json.dumps(_content(consumer, release) | _of_model(consumer.endpoint), sort_keys=True)
    name = f"{deployment_name(consumer, release.version)}-{hashlib.sha256(content.encode()).hexdigest()[:4]}"
    if len(name) > _LONGEST_NAME:
        raise InputError(
            f"The endpoint config would be called {name}, which is longer than {_LONGEST_NAME} characters. Choose a shorter endpoint.name."
        )
    return name


def _of_model(endpoint: Endpoint) -> dict[str, Any]:
    """What the endpoint config does not say of its model; nothing where that is as AWS has it by default."""
    chosen = {"Specification": endpoint.inference_specification, "Mode": endpoint.container_mode}
    return {key: value for key, value in chosen.items() if value not in (None, "serial")}


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
