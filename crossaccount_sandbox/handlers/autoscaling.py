"""Application Auto Scaling, as far as it knows endpoints' variants and inference components: targets are registered, described, deregistered.

Nothing scales here by itself, but an inference component without copies that is a target and is invoked: instance counts change by
UpdateEndpointWeightsAndCapacities, copies by UpdateInferenceComponentRuntimeConfig. Policies, scheduled actions and other namespaces
than SageMaker's are not modelled.

Source: the Application Auto Scaling API reference; "Automatic scaling" in the SageMaker developer guide.
"""

import re
from collections.abc import Iterable

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.wire import AwsError, Response, json_response
from crossaccount_sandbox.world import Handler, Place, World

_DIMENSION = "sagemaker:variant:DesiredInstanceCount"
_OF_COMPONENTS = "sagemaker:inference-component:DesiredCopyCount"


def registered(world: World, place: Place, endpoint: str, variants: Iterable[str]) -> list[str]:
    """Those of an endpoint's variants that are scalable targets."""
    with world.lock:
        return [name for name in variants if (place, _resource(endpoint, name)) in world.targets]


def component_target(component: str) -> str:
    """The resource id of an inference component, as ``World.targets`` has it."""
    return f"inference-component/{component.lower()}"


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
    _check_exists(world, place, resource)
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
        "ScalableDimension": call.params["ScalableDimension"],
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
            f"scalable dimension: {call.params['ScalableDimension']}"
        )
        raise AwsError("ObjectNotFoundException", text)
    return json_response({})


def _check_exists(world: World, place: Place, resource: str) -> None:
    kind, name, *rest = resource.split("/")
    if kind == "inference-component":
        if (place, name) not in world.components:
            raise _invalid(f"SageMaker inference component doesn't exist: {resource}")
        return
    variants = world.endpoints.get((place, name), {}).get("ProductionVariants", ())
    if rest[1] not in [known["VariantName"] for known in variants]:
        raise _invalid(f"SageMaker variant doesn't exist: {resource}")


def _named(call: Call) -> str:
    resource, dimension = str(call.params["ResourceId"]), call.params["ScalableDimension"]
    if call.params["ServiceNamespace"] == "sagemaker":
        if dimension == _DIMENSION and re.fullmatch(r"endpoint/[^/]+/variant/[^/]+", resource):
            _, endpoint, _, variant = resource.split("/")
            return _resource(endpoint, variant)
        if dimension == _OF_COMPONENTS and re.fullmatch(r"inference-component/[^/]+", resource):
            return component_target(resource.partition("/")[2])
    raise _invalid(
        f"The sandbox knows {_DIMENSION} of endpoints' variants and {_OF_COMPONENTS} of inference components only."
    )


def _invalid(text: str) -> AwsError:
    return AwsError("ValidationException", text)


def _resource(endpoint: str, variant: str) -> str:
    return f"endpoint/{endpoint.lower()}/variant/{variant}"


HANDLERS: dict[str, Handler] = {
    "RegisterScalableTarget": register,
    "DescribeScalableTargets": describe,
    "DeregisterScalableTarget": deregister,
}
