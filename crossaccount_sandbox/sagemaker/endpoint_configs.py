"""Endpoint configs, and what SageMaker refuses about them beyond what the shapes of its API do.

Not here: endpoints (``endpoints``) and deployment guardrails (``deployments``).

Source: CreateEndpointConfig and ProductionVariant in the SageMaker API reference; "Serverless Inference" in the
developer guide ("Feature exclusions"). Where no public text of a refusal is known, it is the sandbox's own.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.resources import find_key
from crossaccount_sandbox.sagemaker.asynchronous import config_faults as asynchronous_faults
from crossaccount_sandbox.sagemaker.fleets import Given
from crossaccount_sandbox.sagemaker.records import arn_of, existing, find, in_place, invalid, listed, shown
from crossaccount_sandbox.sagemaker.tags import tag
from crossaccount_sandbox.sagemaker.variants import (
    faults_of_instances,
    faults_of_metrics,
    members_beside_serverless,
)
from crossaccount_sandbox.wire import Response, json_response
from crossaccount_sandbox.world import Handler, Record, World


def create_config(world: World, call: Call) -> Response:
    """CreateEndpointConfig; its models must exist.

    Raises:
        AwsError: ``ValidationException`` also for what ``_faults`` finds, and for a key that is not there.
    """
    name = call.params["EndpointConfigName"]
    arn = arn_of(call, "endpoint-config", name)
    if (call.place, name) in world.registry.configs:
        raise existing("endpoint-config", arn)
    shadows = call.params.get("ShadowProductionVariants") or ()
    if any(not variant.get("ModelName") for variant in shadows):
        raise invalid("A shadow production variant needs a ModelName.")
    models = {model["ModelName"]: model for model in models_of(world, call, call.params).values()}
    for fault in _faults(call.params, models, call.account, world.accounts):
        raise invalid(fault)
    storage_key(call, call.params)
    world.registry.configs[(call.place, name)] = {
        **{key: value for key, value in call.params.items() if key != "Tags"},
        # Source: ProductionVariant in the API reference, and a recording of DescribeEndpointConfig by cloud-custodian.
        "ProductionVariants": [
            {"InitialVariantWeight": 1.0, **variant} for variant in call.params["ProductionVariants"]
        ],
        **_weighted_shadows(call.params),
        "MetricsConfig": {**_METRICS, **(call.params.get("MetricsConfig") or {})},
        "EndpointConfigArn": arn,
        "CreationTime": world.clock(),
    }
    tag(world, arn, call)
    return json_response({"EndpointConfigArn": arn})


def _weighted_shadows(config: Given) -> dict[str, Any]:
    shadows = config.get("ShadowProductionVariants")
    weighted = [{"InitialVariantWeight": 1.0, **shadow} for shadow in shadows or ()]
    return {"ShadowProductionVariants": weighted} if weighted else {}


_METRICS = {  # Source: MetricsConfig in the API reference, for new configs
    "EnableEnhancedMetrics": False,
    "EnableDetailedObservability": True,
    "MetricPublishFrequencyInSeconds": 60,
}


def describe_config(world: World, call: Call) -> Response:
    """DescribeEndpointConfig."""
    return shown(call, find_config(world, call))


def list_configs(world: World, call: Call) -> Response:
    """ListEndpointConfigs."""
    return listed(call, "EndpointConfigs", in_place(world.registry.configs, call), "EndpointConfigName")


def delete_config(world: World, call: Call) -> Response:
    """DeleteEndpointConfig."""
    config = find_config(world, call)
    del world.registry.configs[(call.place, config["EndpointConfigName"])]
    world.registry.tags.pop(config["EndpointConfigArn"], None)
    return json_response({})


def find_config(world: World, call: Call) -> Record:
    """The endpoint config that a call names."""
    return find(world.registry.configs, call, "endpoint-config", call.params["EndpointConfigName"])


def models_of(world: World, call: Call, config: Mapping[str, Any]) -> dict[str, Record]:
    """The models of an endpoint config, by variant, shadow variants too; all of them exist."""
    return {
        variant["VariantName"]: find(world.registry.models, call, "model", variant["ModelName"])
        for variant in [*config["ProductionVariants"], *(config.get("ShadowProductionVariants") or ())]
        if variant.get("ModelName")
    }


def holds_components(config: Given) -> bool:
    """Whether an endpoint of this config runs inference components instead of models of its own."""
    return not any(variant.get("ModelName") for variant in config["ProductionVariants"])


def storage_key(call: Call, config: Record) -> str | None:
    """The ARN of the key that the instances' storage volumes are encrypted under; None when none is named."""
    named = config.get("KmsKeyId")
    if not named:
        return None
    arn = find_key(str(named), call.account, call.region)
    if arn is None:
        raise invalid(f"Could not find KMS key {named}.")
    return arn


_NOT_HELD = ("ExplainerConfig",)


def _faults(
    config: Given, models: Mapping[str, Given], account: str, accounts: Collection[str]
) -> Iterator[str]:
    """Why AWS would refuse this endpoint configuration.

    Args:
        config: the parameters of CreateEndpointConfig.
        models: the models it names, by their names; all of them exist.
        account: the caller's.
        accounts: every account of the sandbox: a registry of none of these is AWS's own.
    """
    for name in _NOT_HELD:
        if config.get(name):
            yield f"The sandbox does not model {name}."
    yield from asynchronous_faults(config)
    shadows = config.get("ShadowProductionVariants") or []
    yield from _shadow_faults(config["ProductionVariants"], shadows, models)
    variants = [*config["ProductionVariants"], *shadows]
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) < len(names):
        yield "Duplicate variant names are not allowed in an endpoint configuration."
    yield from _component_faults(config)
    for variant in variants:
        if variant.get("ServerlessConfig") and variant.get("ModelName"):
            yield from _serverless_faults(config, variant, models[variant["ModelName"]], account, accounts)
        else:
            yield from faults_of_instances(variant)
    yield from faults_of_metrics(config.get("MetricsConfig") or {})


def _shadow_faults(
    variants: Sequence[Given], shadows: Sequence[Given], models: Mapping[str, Given]
) -> Iterator[str]:
    """Source: ShadowProductionVariants in the API reference, "Create a shadow test" and its "Exclusions" in the developer guide."""
    if shadows and (len(shadows) > 1 or len(variants) > 1):
        yield (
            "If ShadowProductionVariants is specified, only one variant can be specified for ProductionVariants and one "
            "variant for ShadowProductionVariants."
        )
    if shadows and any(variant.get("ServerlessConfig") for variant in (*variants, *shadows)):
        yield "Serverless endpoints do not support shadow variants."
    names = [variant["ModelName"] for variant in (*variants, *shadows) if variant.get("ModelName")]
    if shadows and any(len(models[name]["Resolved"]) > 1 for name in names):
        yield "Endpoints of several containers do not support shadow variants."
    if shadows and any(
        str(each.get("InstanceType")).startswith("ml.inf1.") for each in (*variants, *shadows)
    ):
        yield "Endpoints on Inf1 instances do not support shadow variants."


def _component_faults(config: Given) -> Iterator[str]:
    """What is refused about variants without a model, and about managed scaling.

    Source: "Deploy models with inference components" in the developer guide; that a role is required, and the text about the
    smallest number, in public reports (stdapi-ai/stdapi.ai#43).
    """
    without = [variant for variant in config["ProductionVariants"] if not variant.get("ModelName")]
    if without and len(without) < len(config["ProductionVariants"]):
        yield "Either every production variant of an endpoint configuration has a ModelName, or none has."
    if without and not config.get("ExecutionRoleArn"):
        yield "ExecutionRoleArn is required for endpoints to which you plan to deploy inference components."
    for variant in without:
        if variant.get("ServerlessConfig"):
            yield f"Variant {variant['VariantName']} needs a ModelName: a serverless variant hosts no inference components."
    for variant in config["ProductionVariants"]:
        scaling = variant.get("ManagedInstanceScaling") or {}
        low, high = scaling.get("MinInstanceCount"), scaling.get("MaxInstanceCount")
        if low == 0 and variant.get("ModelName") and scaling.get("Status") == "ENABLED":
            yield "Min instance count needs to be greater than 0 for enabled managed instance scaling"
        if low is not None and high is not None and low > high:
            yield "MinInstanceCount cannot be greater than MaxInstanceCount."


def _serverless_faults(
    config: Given, variant: Given, model: Given, account: str, accounts: Collection[str]
) -> Iterator[str]:
    given = variant["ServerlessConfig"]
    if others := members_beside_serverless(variant):
        yield f"A variant cannot have both a ServerlessConfig and {' or '.join(others)}."
    if given["MemorySizeInMB"] % 1024:
        yield "MemorySizeInMB must be one of 1024, 2048, 3072, 4096, 5120 and 6144."
    if given.get("ProvisionedConcurrency", 0) > given["MaxConcurrency"]:
        yield "ProvisionedConcurrency cannot be greater than MaxConcurrency."
    excluded = {
        "multiple variants": len(config["ProductionVariants"]) > 1,
        "data capture": (config.get("DataCaptureConfig") or {}).get("EnableCapture"),
        "KmsKeyId": config.get("KmsKeyId"),
        "VpcConfig": model.get("VpcConfig"),
        "network isolation": model.get("EnableNetworkIsolation"),
        "several containers": len(model["Resolved"]) > 1,
    }
    for what, is_so in excluded.items():
        if is_so:
            yield f"Serverless endpoints do not support {what}."
    for container in model["Resolved"]:
        registry = container["Image"].split(".")[0]
        if registry in accounts and registry != account:
            image = container["Image"]
            yield f"Serverless endpoints do not support images of another account's registry: {image}."


def capture_summary(config: Given) -> dict[str, Any] | None:
    """The DataCaptureConfig that DescribeEndpoint shows for a configuration's; None when it has none."""
    given = config.get("DataCaptureConfig")
    if not given:
        return None
    enabled = bool(given.get("EnableCapture", True))
    return {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if enabled else "Stopped",
        "CurrentSamplingPercentage": given["InitialSamplingPercentage"],
        "DestinationS3Uri": given["DestinationS3Uri"],
        "KmsKeyId": given.get("KmsKeyId", ""),
    }


def kept_properties(current: list[dict[str, Any]], excluded: Collection[str]) -> dict[str, dict[str, Any]]:
    """By variant, what UpdateEndpoint with RetainAllVariantProperties keeps of weights and instance counts.

    Args:
        current: the endpoint's variants as DescribeEndpoint shows them.
        excluded: the properties of ExcludeRetainedVariantProperties.
    """
    names = [name for name in ("DesiredInstanceCount", "DesiredWeight") if name not in excluded]
    return {old["VariantName"]: {name: old[name] for name in names if name in old} for old in current}


HANDLERS: dict[str, Handler] = {
    "CreateEndpointConfig": create_config,
    "DescribeEndpointConfig": describe_config,
    "ListEndpointConfigs": list_configs,
    "DeleteEndpointConfig": delete_config,
}
