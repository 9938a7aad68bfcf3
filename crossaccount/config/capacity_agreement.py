"""The keys of an endpoint's capacity against each other and against its instance types, as plain data.

Not here: what an endpoint of a kind cannot have (``kinds``), and how an endpoint moves (``hosting_agreement``).

Source: beside each rule; ProductionVariant, ProductionVariantRoutingConfig and PrefixAwareRoutingConfig in the SageMaker API
reference.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from crossaccount.config.capacity import PREFIX_AWARE
from crossaccount.config.endpoint import Endpoint
from crossaccount.config.values import Complaint, KeyPath, missing
from crossaccount.text import quote

# Families that SageMaker attaches no volume to, beside those with a "d" for their local disks. Source: volume_size_supported of
# sagemaker-core, which mends it as AWS's refusals are reported: "VolumeSize parameter is not allowed for the selected Instance type".
LOCAL_STORAGE = re.compile(r"ml\.(?:[a-z0-9-]*d[a-z0-9-]*|g5|g6|g7e|p5|p6-b200|trn1|trn2)[a-z0-9-]*\.")
# InferenceAmiVersion in ProductionVariant: "Accelerator: GPU", "Accelerator: Inferentia2 and Trainium".
OF_IMAGE = {
    "-gpu-": ("GPUs", r"ml\.(?:g|gr|p)[0-9]"),
    "-neuron-": ("Inferentia2 or Trainium", r"ml\.(?:inf2|trn)"),
}


def capacity_disagreements(path: KeyPath, endpoint: Mapping[str, Any]) -> Iterator[Complaint]:
    """What in the capacity of an endpoint with instances contradicts something else there."""
    pools, instance_type = endpoint.get("instance_pools"), endpoint.get("instance_type")
    if instance_type is None and not pools:
        yield (*path, "instance_type"), "", missing(Endpoint, "instance_type", ", or serverless.")
    if instance_type is not None and pools:
        sentence = f"{quote(instance_type)} stands beside instance_pools, which name the types. Delete one of the two."
        yield (*path, "instance_type"), instance_type, sentence
    yield from _pool_disagreements(path, endpoint, pools)
    yield from _type_disagreements(path, endpoint)
    yield from _routing_disagreements(path, endpoint)
    yield from _scaling_disagreements(path, endpoint)


def instance_types(endpoint: Mapping[str, Any]) -> list[str]:
    """The instance types that an endpoint as plain data names, each once."""
    pools: Any = endpoint.get("instance_pools")
    named = (
        [pool.get("instance_type") for pool in pools if isinstance(pool, Mapping)] if _is_list(pools) else []
    )
    texts = [each for each in (endpoint.get("instance_type"), *named) if isinstance(each, str)]
    return list(dict.fromkeys(texts))


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _pool_disagreements(path: KeyPath, endpoint: Mapping[str, Any], pools: Any) -> Iterator[Complaint]:
    for key, what in (("instance_type", "type"), ("priority", "priority")):
        seen: list[object] = []
        for number, pool in enumerate(pools if _is_list(pools) else ()):
            value = pool.get(key) if isinstance(pool, Mapping) else None
            if value is not None and value in seen:
                sentence = f"{quote(value)} is the {what} of an earlier pool too. Give each pool a {what} of its own."
                yield (*path, "instance_pools", number, key), value, sentence
            seen.append(value)
    reservation = endpoint.get("capacity_reservation")
    if (
        pools and reservation
    ):  # "The InstanceType field ... must match the InstanceType of your training plan."
        sentence = (
            f"{quote(reservation)} reserves instances of one type, and instance_pools name several. Write instance_type instead of "
            "instance_pools, or delete it."
        )
        yield (*path, "capacity_reservation"), reservation, sentence


def _type_disagreements(path: KeyPath, endpoint: Mapping[str, Any]) -> Iterator[Complaint]:
    size, image = endpoint.get("volume_size_gb"), endpoint.get("inference_ami")
    for instance_type in instance_types(endpoint):
        if size and LOCAL_STORAGE.match(instance_type):
            sentence = (
                f"{quote(size)} cannot be had, because {quote(instance_type)} has local storage and SageMaker attaches no volume to it. "
                "Delete it, or choose another instance type."
            )
            yield (*path, "volume_size_gb"), size, sentence
        for part, (what, pattern) in OF_IMAGE.items():
            if part in f"{image}-" and not re.match(pattern, instance_type):
                sentence = (
                    f"{quote(image)} is an image for {what}, which {quote(instance_type)} does not have. Delete it, or choose another "
                    "instance type."
                )
                yield (*path, "inference_ami"), image, sentence


def _routing_disagreements(path: KeyPath, endpoint: Mapping[str, Any]) -> Iterator[Complaint]:
    """PrefixAwareRoutingConfig: "Specify this parameter only when you set RoutingStrategy to PREFIX_AWARE", and both values then."""
    routing, prefix = endpoint.get("routing"), endpoint.get("prefix_routing")
    if routing == PREFIX_AWARE and prefix is None:
        yield (*path, "prefix_routing"), "", missing(Endpoint, "prefix_routing", ", or another routing.")
    if routing != PREFIX_AWARE and prefix is not None:
        sentence = f"says more of routing: {PREFIX_AWARE}, and the routing is another. Delete it, or write routing: {PREFIX_AWARE}."
        yield (*path, "prefix_routing"), "", sentence


def _scaling_disagreements(path: KeyPath, endpoint: Mapping[str, Any]) -> Iterator[Complaint]:
    scaling = endpoint.get("managed_scaling")
    if not isinstance(scaling, Mapping):
        return
    low, high, count = scaling.get("minimum"), scaling.get("maximum"), endpoint.get("instance_count") or 1
    if not all(isinstance(each, int) for each in (low, high, count)):
        return
    if low > high:  # type: ignore[operator]
        sentence = f"{quote(low)} is more than the maximum, {quote(high)}. Write less."
        yield (*path, "managed_scaling", "minimum"), low, sentence
    elif not low <= count <= high:  # type: ignore[operator]
        sentence = f"{quote(count)} instances are not within managed_scaling, {quote(low)} to {quote(high)}. Write a number within."
        yield (*path, "instance_count"), count, sentence
