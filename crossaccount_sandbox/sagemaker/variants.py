"""The capacity of a variant: what SageMaker refuses of it, and what DescribeEndpoint shows of it.

Not here: serverless capacity (``endpoint_configs``), and whether the account's quotas reach (``handlers.quotas``).

Source: ProductionVariant, ProductionVariantRoutingConfig, PrefixAwareRoutingConfig, MetricsConfig, ProductionVariantSummary and
InstancePoolSummary in the SageMaker API reference; "Deploy to multiple instance types with instance pools" and "Deploy an inference
endpoint using the API, AWS CLI" (training plans) in the developer guide. The texts about managed scaling and volumes are AWS's own
as public reports quote them (hashicorp/terraform-provider-aws, pull request 45926; autogluon-cloud, pull request 50), the others
are the sandbox's.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

Given = Mapping[str, Any]
_INTERVALS = (10, 30, 60, 120, 180, 240, 300)
_DISKS = re.compile(r"ml\.(?:[a-z0-9-]*d[a-z0-9-]*|g5|g6|g7e|p5|p6-b200|trn1|trn2)[a-z0-9-]*\.")
_ACCELERATORS = {"-gpu-": r"ml\.(?:g|gr|p)[0-9]", "-neuron-": r"ml\.(?:inf2|trn)"}
_OF_INSTANCES = (
    *("InstanceType", "InstancePools", "InitialInstanceCount", "VariantInstanceProvisionTimeoutInSeconds"),
    *("VolumeSizeInGB", "InferenceAmiVersion", "RoutingConfig", "CapacityReservationConfig"),
    "ManagedInstanceScaling",
)


def pools_of(variant: Given) -> list[str]:
    """The instance types of a variant in the order in which they are tried; none of a serverless one."""
    pools = sorted(variant.get("InstancePools") or (), key=lambda pool: pool["Priority"])
    return [pool["InstanceType"] for pool in pools] or [
        variant[name] for name in ("InstanceType",) if variant.get(name)
    ]


def faults_of_instances(variant: Given) -> Iterator[str]:
    """Why AWS would refuse the instances of a variant."""
    name = variant["VariantName"]
    if variant.get("InstanceType") and variant.get("InstancePools"):
        yield f"Variant {name} cannot have both an InstanceType and InstancePools."
    if not pools_of(variant) or not variant.get("InitialInstanceCount"):
        yield f"Variant {name} needs an InstanceType or InstancePools, and an InitialInstanceCount."
    if variant.get("ModelName") and variant.get("ManagedInstanceScaling"):
        yield "ManagedInstanceScaling is only supported for inference component endpoints."
    yield from _faults_of_scaling(variant.get("ManagedInstanceScaling") or {})
    yield from _faults_of_types(variant)
    yield from _faults_of_routing(variant.get("RoutingConfig") or {})
    reservation = variant.get("CapacityReservationConfig")
    if reservation and variant.get("InstancePools"):
        yield f"Variant {name} has a CapacityReservationConfig, which is for one InstanceType and not for InstancePools."
    if reservation and not reservation.get("MlReservationArn"):
        yield f"The CapacityReservationConfig of variant {name} needs an MlReservationArn."


def _faults_of_scaling(scaling: Given) -> Iterator[str]:
    if scaling.get("MinInstanceCount", 0) > scaling.get("MaxInstanceCount", float("inf")):
        yield "MinInstanceCount cannot be greater than MaxInstanceCount."


def _faults_of_types(variant: Given) -> Iterator[str]:
    image = f"{variant.get('InferenceAmiVersion') or ''}-"
    for instance_type in pools_of(variant):
        if variant.get("VolumeSizeInGB") and _DISKS.match(instance_type):
            yield f"VolumeSize parameter is not allowed for the selected Instance type {instance_type}"
        for part, pattern in _ACCELERATORS.items():
            if part in image and not re.match(pattern, instance_type):
                yield f"InferenceAmiVersion {variant['InferenceAmiVersion']} is not supported for instance type {instance_type}."


def _faults_of_routing(routing: Given) -> Iterator[str]:
    strategy, prefix = routing.get("RoutingStrategy"), routing.get("PrefixAwareRoutingConfig")
    if strategy == "PREFIX_AWARE":
        for name in ("PrefixLength", "ConcurrencyThreshold"):
            if name not in (prefix or {}):
                yield f"{name} is required when RoutingStrategy is PREFIX_AWARE."
    elif prefix:
        yield "PrefixAwareRoutingConfig can only be specified when RoutingStrategy is PREFIX_AWARE."


def faults_of_metrics(metrics: Given) -> Iterator[str]:
    """Why AWS would refuse a MetricsConfig."""
    often = metrics.get("MetricPublishFrequencyInSeconds")
    if often is not None and often not in _INTERVALS:
        yield f"MetricPublishFrequencyInSeconds must be one of {', '.join(map(str, _INTERVALS))}."


def members_beside_serverless(variant: Given) -> list[str]:
    """The members of a serverless variant that only instances have."""
    return [name for name in _OF_INSTANCES if variant.get(name)]


def summary(variant: Given, count: int, instance_type: str | None) -> dict[str, Any]:
    """What DescribeEndpoint shows of a variant's capacity beside its counts.

    Args:
        variant: of the endpoint configuration.
        count: of its instances now.
        instance_type: that they have, where there are pools.
    """
    shown = {name: variant[name] for name in ("ManagedInstanceScaling", "RoutingConfig") if variant.get(name)}
    if variant.get("CapacityReservationConfig"):
        shown["CapacityReservationConfig"] = {
            **variant["CapacityReservationConfig"],
            "UsedByCurrentEndpoint": count,
        }
    if variant.get("InstancePools"):
        shown["InstancePools"] = [
            {"InstanceType": each, "CurrentInstanceCount": count if each == instance_type else 0}
            for each in pools_of(variant)
        ]
    return shown
