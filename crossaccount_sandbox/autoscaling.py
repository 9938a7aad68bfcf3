"""Application Auto Scaling, as far as it knows an endpoint's variants: targets are registered, described, deregistered.

Nothing scales here by itself: instance counts change by UpdateEndpointWeightsAndCapacities. Policies, scheduled
actions and other namespaces than SageMaker's are not modelled.

Source: the Application Auto Scaling API reference; "Automatic scaling" in the SageMaker developer guide.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from crossaccount_sandbox.callers import Caller
from crossaccount_sandbox.guard import Handler
from crossaccount_sandbox.wire import AwsError, Call, Response, json_response

if TYPE_CHECKING:
    from crossaccount_sandbox.hosting import Hosting
    from crossaccount_sandbox.world import World

Place = tuple[str, str]  # account, region
Record = dict[str, Any]
DIMENSION = "sagemaker:variant:DesiredInstanceCount"


class Autoscaling:
    """The scalable targets of every account and region.

    Args:
        hosting: knows which endpoints and variants there are.
    """

    def __init__(self, hosting: Hosting):
        self._hosting = hosting
        self._lock = threading.Lock()
        self._targets: dict[tuple[Place, str], Record] = {}

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """The operations answered here, by (service, operation)."""
        own: dict[str, Handler] = {
            "RegisterScalableTarget": self.register,
            "DescribeScalableTargets": self.describe,
            "DeregisterScalableTarget": self.deregister,
        }
        return {("application-autoscaling", name): handler for name, handler in own.items()}

    def registered(self, place: Place, endpoint: str, variants: Iterable[str]) -> list[str]:
        """Those of an endpoint's variants that are scalable targets."""
        with self._lock:
            return [name for name in variants if (place, _resource(endpoint, name)) in self._targets]

    def forget(self, place: Place, endpoint: str) -> None:
        """Drop the targets of an endpoint that is deleted, as AWS does once the resource is gone."""
        with self._lock:
            for key in [
                one for one in self._targets if one[0] == place and one[1].startswith(_resource(endpoint, ""))
            ]:
                del self._targets[key]

    def register(self, world: World, call: Call, caller: Caller) -> Response:
        """RegisterScalableTarget: a new one needs both capacities, a registered one may change either.

        Raises:
            AwsError: ``ValidationException`` for another dimension, an endpoint or variant that is not there, or
                capacities that are none.
        """
        place, resource = (caller.account, call.region), self._named(call)
        endpoint, variant = resource.split("/")[1::2]
        found = self._hosting.find(place, endpoint)
        if variant not in [one["VariantName"] for one in (found or {}).get("ProductionVariants", ())]:
            raise AwsError("ValidationException", f"SageMaker variant doesn't exist: {resource}")
        with self._lock:
            before = self._targets.get((place, resource), {})
            low = call.params.get("MinCapacity", before.get("MinCapacity"))
            high = call.params.get("MaxCapacity", before.get("MaxCapacity"))
            if low is None or high is None:
                raise AwsError(
                    "ValidationException", "A new scalable target needs a MinCapacity and a MaxCapacity."
                )
            if low < 0 or low > high:
                raise AwsError(
                    "ValidationException", "Maximum capacity cannot be less than minimum capacity."
                )
            arn = f"arn:aws:application-autoscaling:{call.region}:{caller.account}:scalable-target/{resource}"
            role = "aws-service-role/sagemaker.application-autoscaling.amazonaws.com"
            self._targets[place, resource] = {
                "ServiceNamespace": "sagemaker",
                "ResourceId": resource,
                "ScalableDimension": DIMENSION,
                "MinCapacity": low,
                "MaxCapacity": high,
                "RoleARN": f"arn:aws:iam::{caller.account}:role/{role}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
                "CreationTime": before.get("CreationTime", world.clock()),
                "ScalableTargetARN": before.get("ScalableTargetARN", arn),
            }
        return json_response({"ScalableTargetARN": arn})

    def describe(self, world: World, call: Call, caller: Caller) -> Response:
        """DescribeScalableTargets, all or those named."""
        place, wanted = (caller.account, call.region), call.params.get("ResourceIds")
        with self._lock:
            found = [
                target
                for (of, resource), target in self._targets.items()
                if of == place and (not wanted or resource in wanted)
            ]
        mine = call.params["ServiceNamespace"] == "sagemaker"
        return json_response({"ScalableTargets": found if mine else []})

    def deregister(self, world: World, call: Call, caller: Caller) -> Response:
        """DeregisterScalableTarget.

        Raises:
            AwsError: ``ObjectNotFoundException`` for one that is not registered.
        """
        resource = self._named(call)
        with self._lock:
            if self._targets.pop(((caller.account, call.region), resource), None) is None:
                text = (
                    f"No scalable target found for service namespace: sagemaker, resource ID: {resource}, "
                    f"scalable dimension: {DIMENSION}"
                )
                raise AwsError("ObjectNotFoundException", text)
        return json_response({})

    @staticmethod
    def _named(call: Call) -> str:
        resource = str(call.params["ResourceId"])
        if (
            call.params["ServiceNamespace"] != "sagemaker"
            or call.params["ScalableDimension"] != DIMENSION
            or not re.fullmatch(r"endpoint/[^/]+/variant/[^/]+", resource)
        ):
            raise AwsError(
                "ValidationException", f"The sandbox knows {DIMENSION} of endpoints' variants only."
            )
        _, endpoint, _, variant = resource.split("/")
        return _resource(endpoint, variant)


def _resource(endpoint: str, variant: str) -> str:
    return f"endpoint/{endpoint.lower()}/variant/{variant}"
