"""The requests for a model, an endpoint config and an update of an endpoint: the parameters of each call, as pure functions.

``deploy`` and ``promote`` send the same. Not here: sending them (``gateway``).

Source: CreateModel, CreateEndpointConfig, AsyncInferenceConfig, UpdateEndpoint and DeploymentConfig in the SageMaker API reference; "Deployment
guardrails" and "Serverless Inference" in the developer guide.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from crossaccount.arns import parse_image
from crossaccount.config.capacity import Asynchronous, Shadow
from crossaccount.config.endpoint import Endpoint
from crossaccount.config.kinds import ASYNCHRONOUS, COMPONENTS, REAL_TIME, SERVERLESS
from crossaccount.config.model import ConsumerConfig
from crossaccount.errors import Failed, InputError
from crossaccount.hosting import capacity, component_requests
from crossaccount.hosting.resources import SHADOW, VARIANT, deployment_name
from crossaccount.registry.versions import ModelVersion
from crossaccount.release.manifest import Release

_LONGEST_NAME = 63  # botocore, sagemaker: EndpointConfigName
_OF_LIVE = ("KmsKeyId", "MetricsConfig")  # what the live version keeps with a shadow beside it


def check(consumer: ConsumerConfig, release: Release) -> None:
    """Refuse a version that AWS would refuse on the endpoint, as far as config and Release show it.

    Raises:
        Failed: for an instance type that the version does not support, for a serverless endpoint of another account's image or of
            several containers, for an inference component of several containers, and for containers that are to be invoked directly
            and cannot.
    """
    containers = release.deployed_containers
    if consumer.endpoint.hosting_kind == COMPONENTS and len(containers) > 1:
        raise Failed(
            f"Version {release.version} has {len(containers)} containers, and an inference component takes one. Choose another endpoint.kind."
        )
    if consumer.endpoint.container_mode == "direct":
        _check_direct(release)
    if consumer.endpoint.serverless is None:
        _check_types(consumer.endpoint, release)
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


def check_licence(consumer: ConsumerConfig, version: ModelVersion) -> None:
    """Refuse a version under a licence that nobody agreed to.

    CreateModel takes a version by ModelPackageName, and AcceptEula only beside a location of its own, in ModelDataSource: the version has
    to agree in the registry, and the consumer here.

    Source: ContainerDefinition, S3ModelDataSource and ModelAccessConfig in the SageMaker API reference.

    Raises:
        Failed: for one that the consumer does not agree to, or that its owner has not.
    """
    asking = [each for each in version.deployed_containers if each.eula_accepted is not None]
    if asking and not consumer.endpoint.accept_eula:
        raise Failed(
            f"Version {version.version} is under a licence (EULA) that whoever deploys it must agree to. Read it, and write endpoint.accept_eula: "
            "true if you agree."
        )
    if refused := [each.image for each in asking if not each.eula_accepted]:
        raise Failed(
            f"Version {version.version} was registered without AcceptEula for {', '.join(refused)}, and CreateModel takes no acceptance beside "
            "a version of the registry. Ask its owner to register it with ModelAccessConfig: {AcceptEula: true}."
        )


def _check_types(endpoint: Endpoint, release: Release) -> None:
    """Source: SupportedRealtimeInferenceInstanceTypes of InferenceSpecification; a version that names none supports any."""
    key = "instance_pools" if endpoint.instance_pools else "instance_type"
    others = [each for each in endpoint.instance_types if each not in release.instance_types]
    if release.instance_types and others:
        raise Failed(
            f"Version {release.version} does not support {', '.join(others)} of endpoint.{key}. It was registered for "
            f"{', '.join(release.instance_types)}: write one of these, or ask its owner to register it for more."
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


def for_a_trial(consumer: ConsumerConfig) -> ConsumerConfig:
    """The consumer whose endpoint keeps no calls and tells no topic of its answers."""
    endpoint = consumer.endpoint.model_copy(update={"data_capture": None})
    if (queue := endpoint.asynchronous) is not None:
        quiet = queue.model_copy(update={"success_topic": None, "error_topic": None})
        endpoint = endpoint.model_copy(update={"asynchronous": quiet})
    return consumer.model_copy(update={"endpoint": endpoint})


def with_unasked(request: Mapping[str, Any], keep: bool) -> dict[str, Any]:
    """An endpoint config's request, with None for what it does not ask for and its description must not have, see `difference`.

    Args:
        request: see `endpoint_config`.
        keep: whether the endpoint config stays; one that does not takes over what an earlier one captures and tells.
    """
    unasked = ["KmsKeyId", "AsyncInferenceConfig", *(["DataCaptureConfig"] if keep else [])]
    variants = [{**dict.fromkeys(capacity.OPTIONAL), **each} for each in request["ProductionVariants"]]
    whole = {**dict.fromkeys(unasked), **request, "ProductionVariants": variants}
    if queue := request.get("AsyncInferenceConfig"):
        members = ["S3FailurePath", "KmsKeyId", *(["NotificationConfig"] if keep else [])]
        output = {**dict.fromkeys(members), **queue["OutputConfig"]}
        if keep and (topics := output["NotificationConfig"]):
            output["NotificationConfig"] = {"SuccessTopic": None, "ErrorTopic": None, **topics}
        whole["AsyncInferenceConfig"] = {**queue, "OutputConfig": output}
    return whole


def config_name(consumer: ConsumerConfig, release: Release) -> str:
    """The name of the config of an endpoint that stays, NAME-vN-HHHH.

    HHHH stands for the capacity that the consumer asks for now, and for which specification of the version, invoked how.

    With inference components it is the name of the model that takes the config's place, see `component_gateway`.

    Raises:
        InputError: when it would be longer than SageMaker allows.
    """
    endpoint = consumer.endpoint
    of_component = component_requests.capacity(endpoint) if endpoint.inference_component else {}
    content = {**_content(consumer, release), **_of_model(endpoint), **of_component}
    return _named(consumer, release.version, content)


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
        # The same weight is a copy of every request.
        "InitialVariantWeight": own.get("InitialVariantWeight", 1.0),
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


def _of_model(endpoint: Endpoint) -> dict[str, Any]:
    """What the endpoint config does not say of its model; nothing where that is as AWS has it by default."""
    chosen = {"Specification": endpoint.inference_specification, "Mode": endpoint.container_mode}
    return {key: value for key, value in chosen.items() if value not in (None, "serial")}


def _content(consumer: ConsumerConfig, release: Release) -> dict[str, Any]:
    wanted = consumer.endpoint
    model_name = deployment_name(consumer, release.version)
    variant: dict[str, Any] = {"VariantName": VARIANT, "ModelName": model_name}
    content: dict[str, Any] = {"ProductionVariants": [variant | capacity.requested(wanted)]}
    if (metrics := capacity.metrics(wanted)) is not None:
        content["MetricsConfig"] = metrics
    if wanted.kms_key is not None:
        content["KmsKeyId"] = wanted.kms_key
    if wanted.asynchronous is not None:
        content["AsyncInferenceConfig"] = _queue(wanted.asynchronous)
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


def _queue(wanted: Asynchronous) -> dict[str, Any]:
    """An AsyncInferenceConfig."""
    output = {
        "S3OutputPath": wanted.s3_output,
        "S3FailurePath": wanted.s3_failures,
        "KmsKeyId": wanted.kms_key,
        "NotificationConfig": _given(
            {"SuccessTopic": wanted.success_topic, "ErrorTopic": wanted.error_topic}
        ),
    }
    client = _given({"MaxConcurrentInvocationsPerInstance": wanted.max_concurrent})
    return _given({"OutputConfig": _given(output), "ClientConfig": client})


def _given(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value}


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
