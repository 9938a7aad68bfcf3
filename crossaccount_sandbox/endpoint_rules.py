"""What SageMaker refuses about an endpoint configuration, beyond what the shapes of its API do.

Not here: the API (``sagemaker``) and deployment guardrails (``deployments``).

Source: CreateEndpointConfig and ProductionVariant in the SageMaker API reference; "Serverless Inference" in the
developer guide ("Feature exclusions"). Where no public text of a refusal is known, it is the sandbox's own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

Record = Mapping[str, Any]
_NOT_HELD = ("AsyncInferenceConfig", "ExplainerConfig", "ShadowProductionVariants", "ExecutionRoleArn")
_LOCAL_STORAGE = re.compile(r"ml\.(?:[cmr]\d[a-z]*d|g4dn|g5|g6e?|p3dn|p4de?|p5e?n?|trn\d\w*|inf2)\.")


def config_faults(
    config: Record, models: Mapping[str, Record], account: str, accounts: Collection[str]
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
    variants = config["ProductionVariants"]
    names = [one["VariantName"] for one in variants]
    if len(set(names)) < len(names):
        yield "Duplicate variant names are not allowed in an endpoint configuration."
    for one in variants:
        if one.get("ServerlessConfig"):
            yield from _serverless_faults(config, one, models[one["ModelName"]], account, accounts)
        elif not one.get("InstanceType") or not one.get("InitialInstanceCount"):
            yield f"Variant {one['VariantName']} needs an InstanceType and an InitialInstanceCount."
        elif config.get("KmsKeyId") and _LOCAL_STORAGE.match(one["InstanceType"]):
            yield f"KmsKeyId cannot be specified for instance type {one['InstanceType']}, which has local storage."


def _serverless_faults(
    config: Record, variant: Record, model: Record, account: str, accounts: Collection[str]
) -> Iterator[str]:
    given = variant["ServerlessConfig"]
    if variant.get("InstanceType") or variant.get("InitialInstanceCount"):
        yield "A variant cannot have both a ServerlessConfig and an InstanceType or InitialInstanceCount."
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
            yield (
                f"Serverless endpoints do not support images of another account's registry: {container['Image']}."
            )


def capture_summary(config: Record) -> dict[str, Any] | None:
    """The DataCaptureConfig that DescribeEndpoint shows for a configuration's; None when it has none."""
    given = config.get("DataCaptureConfig")
    if not given:
        return None
    enabled = bool(given.get("EnableCapture"))
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
    return {one["VariantName"]: {name: one[name] for name in names if name in one} for one in current}
