"""Application Auto Scaling, as far as it knows an endpoint's variants: targets are registered, described, deregistered.

Nothing scales here by itself: instance counts change by UpdateEndpointWeightsAndCapacities. Policies, scheduled
actions and other namespaces than SageMaker's are not modelled.

Source: the Application Auto Scaling API reference; "Automatic scaling" in the SageMaker developer guide.
"""

import re
from collections.abc import Iterable

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.wire import AwsError, Response, json_response
from crossaccount_sandbox.world import Handler, Place, World

_DIMENSION = "sagemaker:variant:DesiredInstanceCount"


def registered(world: World, place: Place, endpoint: str, variants: Iterable[str]) -> list[str]:
    """Those of an endpoint's variants that are scalable targets."""
    with world.lock:
        return [name for name in variants if (place, _resource(endpoint, name)) in world.targets]


def forget(world: World, place: Place, endpoint: str) -> None:
    """Drop the targets of an endpoint that is deleted, as AWS does once the resource is gone."""
    with world.lock:
        for key in list(world.targets):
            if key[0] == place and key[1].startswith(_resource(endpoint, "")):
                del world.targets[key]


def register(world: World, call: Call) -> Response:
    """RegisterScalableTarget: a new one needs both capacities, a registered one may change either.

    Raises:
        AwsError: ``ValidationException`` for another dimension, an endpoint or variant that is not there, or
            capacities that are none.
    """
    place, resource = call.place, _named(call)
    endpoint, variant = resource.split("/")[1::2]
    variants = world.endpoints.get((place, endpoint), {}).get("ProductionVariants", ())
    if variant not in [known["VariantName"] for known in variants]:
        raise _invalid(f"SageMaker variant doesn't exist: {resource}")
    before = world.targets.get((place, resource), {})
    low = call.params.get("MinCapacity", before.get("MinCapacity"))
    high = call.params.get("MaxCapacity", before.get("MaxCapacity"))
    if low is None or high is None:
        raise _invalid("A new scalable target needs a MinCapacity and a MaxCapacity.")
    if low < 0 or low > high:
        raise _invalid("Maximum capacity cannot be less than minimum capacity.")
    arn = f"arn:aws:application-autoscaling:{call.region}:{call.account}:scalable-target/{resource}"
    role = "aws-service-role/sagemaker.application-autoscaling.amazonaws.com"
    world.targets[place, resource] = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": resource,
        "ScalableDimension": _DIMENSION,
        "MinCapacity": low,
        "MaxCapacity": high,
        "RoleARN": f"arn:aws:iam::{call.account}:role/{role}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
        "CreationTime": before.get("CreationTime", world.clock()),
        "ScalableTargetARN": before.get("ScalableTargetARN", arn),
    }
    return json_response({"ScalableTargetARN": arn})


def describe(world: World, call: Call) -> Response:
    """DescribeScalableTargets, all or those named."""
    place, wanted = call.place, call.params.get("ResourceIds")
    targets = [
        target
        for (of, resource), target in world.targets.items()
        if of == place and (not wanted or resource in wanted)
    ]
    return json_response(
        {"ScalableTargets": targets if call.params["ServiceNamespace"] == "sagemaker" else []}
    )


def deregister(world: World, call: Call) -> Response:
    """DeregisterScalableTarget; ``ObjectNotFoundException`` for one that is not registered."""
    resource = _named(call)
    if world.targets.pop((call.place, resource), None) is None:
        text = (
            f"No scalable target found for service namespace: sagemaker, resource ID: {resource}, "
            f"scalable dimension: {_DIMENSION}"
        )
        raise AwsError("ObjectNotFoundException", text)
    return json_response({})


def _named(call: Call) -> str:
    resource = str(call.params["ResourceId"])
    known = (call.params["ServiceNamespace"], call.params["ScalableDimension"]) == ("sagemaker", _DIMENSION)
    if not known or not re.fullmatch(r"endpoint/[^/]+/variant/[^/]+", resource):
        raise _invalid(f"The sandbox knows {_DIMENSION} of endpoints' variants only.")
    _, endpoint, _, variant = resource.split("/")
    return _resource(endpoint, variant)


def _invalid(text: str) -> AwsError:
    return AwsError("ValidationException", text)


def _resource(endpoint: str, variant: str) -> str:
    return f"endpoint/{endpoint.lower()}/variant/{variant}"


HANDLERS: dict[str, Handler] = {
    "RegisterScalableTarget": register,
    "DescribeScalableTargets": describe,
    "DeregisterScalableTarget": deregister,
}
