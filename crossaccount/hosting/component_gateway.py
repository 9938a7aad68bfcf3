"""The gateway to endpoints whose versions are carried by an inference component: both seen as one endpoint.

The component has the endpoint's own name, which callers give as InferenceComponentName; so it stays, and its model changes. An
endpoint of its own for each version, or a component for each, would make callers change what they ask for. The model takes the
place that an endpoint config has elsewhere: it is called NAME-vN-HHHH and has the tags. Not here: the changes (``components``).

Source: DescribeInferenceComponent in the SageMaker API reference. Whether AWS shows the old or the new model while a component is
Updating is not documented: so the component has a tag with the model that it moves to.
"""

from collections.abc import Callable
from typing import Any

from crossaccount.aws.endpoint_status import IN_PROGRESS
from crossaccount.hosting.gateway import Description, Gateway, Patience
from crossaccount.hosting.resources import HostingKind

TARGET_TAG = "crossaccount:moves-to"


class ComponentGateway(Gateway):
    """As `Gateway`; what it describes as an endpoint is the endpoint with its component, and both are deleted together."""

    record: HostingKind = "model"

    def describe(self, kind: HostingKind, name: str) -> Description | None:
        """A resource as it is now; None when there is none.

        An endpoint without a component is OutOfService. A component that is Failed and has copies left may be a mix of two
        versions, as an endpoint that is UpdateRollbackFailed is.
        """
        found = super().describe(kind, name)
        if kind != "endpoint" or found is None:
            return found
        component = super().describe("inference-component", name)
        pending = None
        if component is not None and component["InferenceComponentStatus"] == "Updating":
            pending = self.tags(component["InferenceComponentArn"]).get(TARGET_TAG)
        return seen_as_endpoint(found, component, pending)

    def request_deletion(
        self,
        endpoint: str,
        patience: Patience,
        check: Callable[[], None] = lambda: None,
        kind: HostingKind = "endpoint",
    ) -> bool:
        """As `Gateway.request_deletion`; an endpoint's component goes first, as AWS deletes none that has one."""
        plain = Gateway(self._client)
        if kind == "endpoint":
            plain.delete_endpoint(endpoint, patience, check, "inference-component")
        return plain.request_deletion(endpoint, patience, check, kind)

    def see_gone(self, endpoint: str, patience: Patience, kind: HostingKind = "endpoint") -> None:
        """As `Gateway.see_gone`; the component is gone before."""
        Gateway(self._client).see_gone(endpoint, patience, kind)


def seen_as_endpoint(
    endpoint: Description, component: Description | None, pending: str | None
) -> dict[str, Any]:
    """The description of an endpoint that serves what its component serves; one that serves models of its own is as it is.

    Args:
        endpoint: its description.
        component: the component's description; None for none.
        pending: the model that a component that is Updating moves to; None when that is not known.
    """
    variants = endpoint.get("ProductionVariants") or []
    if any(variant.get("DeployedImages") for variant in variants):
        return dict(endpoint)  # it serves models of its own
    seen = {**endpoint, "EndpointConfigName": None, "EndpointStatus": _status(endpoint, component)}
    seen.pop("PendingDeploymentSummary", None)
    seen.pop("LastDeploymentConfig", None)
    if component is None:
        return seen
    specification = component.get("Specification") or {}
    image = (specification.get("Container") or {}).get("DeployedImage")
    first = {**(variants[0] if variants else {}), "DeployedImages": [image] if image else []}
    return {
        **seen,
        "InferenceComponentName": component["InferenceComponentName"],
        "EndpointConfigName": specification.get("ModelName"),
        "ProductionVariants": [first],
        "FailureReason": component.get("FailureReason") or endpoint.get("FailureReason"),
        "LastDeploymentConfig": component.get("LastDeploymentConfig"),
        **({"PendingDeploymentSummary": {"EndpointConfigName": pending}} if pending else {}),
    }


def _status(endpoint: Description, component: Description | None) -> str:
    own = str(endpoint["EndpointStatus"])
    if own != "InService":
        return own
    if component is None:
        return "OutOfService"
    status = str(component["InferenceComponentStatus"])
    copies = (component.get("RuntimeConfig") or {}).get("CurrentCopyCount", 0)
    return "UpdateRollbackFailed" if status == "Failed" and copies else status


def is_in_progress(component: Description | None) -> bool:
    """Whether a component is in a change, from its description."""
    return component is not None and component["InferenceComponentStatus"] in IN_PROGRESS
