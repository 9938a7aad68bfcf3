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
from crossaccount.config.kinds import ASYNCHRONOUS, COMPONENTS, REAL_TIME, SERVERLESS
from crossaccount.config.model import ConsumerConfig
from crossaccount.errors import Failed, InputError
from crossaccount.hosting import component_requests
from crossaccount.hosting.resources import VARIANT, deployment_name
from crossaccount.release.manifest import Release

_LONGEST_NAME = 63  # botocore, sagemaker: EndpointConfigName


def check(consumer: ConsumerConfig, release: Release) -> None:
    """Refuse a version that AWS would refuse on the endpoint, as far as config and Release show it.

    Raises:
        Failed: for a serverless endpoint of another account's image or of several containers, and for an inference component of
            several containers.
    """
    containers = release.deployed_containers
    if consumer.endpoint.hosting_kind == COMPONENTS and len(containers) > 1:
        raise Failed(
            f"Version {release.version} has {len(containers)} containers, and an inference component takes one. Choose another endpoint.kind."
        )
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

    With inference components it is the name of the model that takes the config's place, see `component_gateway`.

    Raises:
        InputError: when it would be longer than SageMaker allows.
    """
    of_component = (
        component_requests.capacity(consumer.endpoint) if consumer.endpoint.inference_component else {}
    )
    content = json.dumps({**_content(consumer, release), **of_component}, sort_keys=True)
    name = f"{deployment_name(consumer, release.version)}-{hashlib.sha256(content.encode()).hexdigest()[:4]}"
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
    return component_requests.host(consumer, content) if wanted.hosting_kind == COMPONENTS else content


def host_config(consumer: ConsumerConfig, release: Release) -> dict[str, Any]:
    """CreateEndpointConfig's parameters, without tags, for an endpoint that stays and holds inference components.

    They are the same whatever the version, so the endpoint stays as it is while versions move.
    """
    content = _content(consumer, release)
    return {"EndpointConfigName": component_requests.host_name(consumer, content), **content}


def kind_of(config: Mapping[str, Any]) -> str:
    """The kind of the endpoints that have an endpoint config, from its description: one of `config.endpoint.KINDS`."""
    variant = config["ProductionVariants"][0]
    if config.get("AsyncInferenceConfig"):
        return ASYNCHRONOUS
    if "ServerlessConfig" in variant:
        return SERVERLESS
    return REAL_TIME if variant.get("ModelName") else COMPONENTS


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
