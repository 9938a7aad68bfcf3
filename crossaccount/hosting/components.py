"""An inference component that stays: it is created once, on an endpoint that does not change, and gets one model after the other.

A promotion updates the component rather than making one for each version: traffic follows the InferenceComponentName that callers
give, so its name, which is the endpoint's, must stay. A trial (and ``deploy``) has an endpoint of its own, NAME-vN, with a component
of that name: a trial beside the live component would be cheaper, and would need room that the live instances may not have, scale
them out, or share their memory with what answers live. Endpoint configs here are no version's: NAME-v0-HHHH. Not here: when a
version moves (``shift``).

Source: CreateInferenceComponent, UpdateInferenceComponent and DescribeInferenceComponent in the SageMaker API reference; "Scale an
endpoint to zero instances" in the developer guide.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from botocore.exceptions import ClientError

from crossaccount.aws.access import Target
from crossaccount.aws.endpoint_status import GONE
from crossaccount.config.kinds import COMPONENTS
from crossaccount.errors import Conflict, Failed
from crossaccount.hosting import component_requests, creation, requests
from crossaccount.hosting.component_gateway import TARGET_TAG, is_in_progress
from crossaccount.hosting.gateway import (
    VERSION_AND_HASH,
    Description,
    Gateway,
    Patience,
    Progress,
    is_invalid,
    pending_config,
    silent,
)
from crossaccount.hosting.gateway import came_between as endpoint_came_between
from crossaccount.hosting.resources import (
    KEEP_TAG,
    OWNER,
    OWNER_TAG,
    HostedResource,
    HostingKind,
    deployment_name,
    tag_values,
)
from crossaccount.release.manifest import Release

CAPACITY_TAG = "crossaccount:capacity"
_KIND: HostingKind = "inference-component"
_OWN = {OWNER_TAG: OWNER, KEEP_TAG: "true"}  # of what is no version's


def ensure_component(
    target: Target,
    release: Release,
    keep: bool,
    patience: Patience,
    flow_run: str | None = None,
    progress: Progress = silent,
) -> HostedResource:
    """The inference component NAME-vN on the endpoint NAME-vN, once that serves; it may still be Creating.

    Takes and raises as `creation.ensure_endpoint`. One that an earlier run left Failed or Deleting is removed first.
    """
    gateway, name = Gateway(target.sagemaker), deployment_name(target.consumer, release.version)
    creation.wait_in_service(target, name, patience, progress, gateway)
    capacity = component_requests.capacity(target.consumer.endpoint)
    request = component_requests.create(name, name, name, capacity)
    tags = tag_values(release.model_package_arn, keep, flow_run)
    description = gateway.describe(_KIND, name)
    if description is not None and description["InferenceComponentStatus"] in GONE:
        creation.take_over(target, _KIND, name, description["InferenceComponentArn"], release, keep)
        gateway.delete_endpoint(name, patience, kind=_KIND)
    arn, description = gateway.create_or_find(_KIND, request, tags)
    if description is None:
        return HostedResource(_KIND, name, arn, False, keep)
    asked = {**request, "RuntimeConfig": {"DesiredCopyCount": request["RuntimeConfig"]["CopyCount"]}}
    differs = requests.difference(description, asked)
    return creation.take_over(target, _KIND, name, arn, release, keep, flow_run, differs)


class ComponentCarrier:
    """Versions are carried by the models of an inference component, see `carriers.Carrier`."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._gateway = Gateway(target.sagemaker)
        self._name = target.consumer.endpoint.name
        self._host_config = ""

    def endpoint_config(self, now: str | None) -> str | None:
        """The endpoint config that the endpoint has, see `carriers.Carrier.endpoint_config`."""
        endpoint = self._gateway.describe("endpoint", self._name)
        return (endpoint or {}).get("EndpointConfigName")

    def guard(self) -> Mapping[str, Any] | None:
        """The guardrails of the config, see `carriers.Carrier.guard`."""
        return component_requests.deployment_config(self._target.consumer.endpoint)

    def ensure(
        self, release: Release, wanted: str, patience: Patience, progress: Progress
    ) -> tuple[HostedResource, ...]:
        """What a move needs, see `carriers.Carrier.ensure`."""
        model = self._ensure_model(release, wanted)
        config = self._ensure_host_config(release)
        self._host_config = config.name
        self._move_host(config.name, patience, progress)
        return config, model

    def _ensure_model(self, release: Release, wanted: str) -> HostedResource:
        """The model of the version and capacity, which a tag has too."""
        consumer = self._target.consumer
        note = component_requests.noted(component_requests.capacity(consumer.endpoint))
        tags = {**tag_values(release.model_package_arn, keep=True), CAPACITY_TAG: note}
        request = requests.model(consumer, release, wanted)
        arn, found = self._gateway.create_or_find("model", request, tags)
        if found is None:
            return HostedResource("model", wanted, arn, False, True)
        differs = requests.difference(found, requests.expected_model(request))
        return creation.take_over(self._target, "model", wanted, arn, release, True, differs=differs)

    def _ensure_host_config(self, release: Release) -> HostedResource:
        """The endpoint config of the instances; it is no version's, and every version finds it again."""
        request = requests.host_config(self._target.consumer, release)
        name = request["EndpointConfigName"]
        arn, found = self._gateway.create_or_find("endpoint-config", request, _OWN)
        if found is not None:
            self._check_owner("endpoint-config", name, arn)
            if differs := requests.difference(found, requests.with_unasked(request, keep=True)):
                raise Conflict(
                    f"The endpoint config {name} exists with {differs}. Delete it once nothing uses it, or choose another endpoint.name."
                )
        return HostedResource("endpoint-config", name, arn, found is not None, True)

    def _check_owner(self, kind: HostingKind, name: str, arn: str) -> None:
        if self._gateway.tags(arn).get(OWNER_TAG) != OWNER:
            raise Conflict(
                f"The {kind.replace('-', ' ')} {name} exists and was not made by this tool. Delete or rename it, or choose another "
                "endpoint.name."
            )

    def _move_host(self, config: str, patience: Patience, progress: Progress) -> None:
        """Give an endpoint that serves the instances that the config asks for now, and wait for them; others are left as they are."""
        endpoint = self._gateway.describe("endpoint", self._name)
        if (
            endpoint is None
            or endpoint["EndpointStatus"] != "InService"
            or endpoint["EndpointConfigName"] == config
        ):
            return
        try:
            self._gateway.update_endpoint({"EndpointName": self._name, "EndpointConfigName": config})
        except ClientError as error:
            if not endpoint_came_between(error):
                raise
        self._await_host(patience, progress)
        now = self._gateway.describe("endpoint", self._name) or {}
        if now.get("EndpointConfigName") != config:
            reason = (now.get("FailureReason") or "").strip() or "AWS gives no reason"
            raise Failed(
                f"The endpoint {self._name} did not get the instances that the config asks for ({config}), and keeps those that it had: "
                f"{reason}"
            )

    def _await_host(self, patience: Patience, progress: Progress = silent) -> None:
        creation.wait_in_service(self._target, self._name, patience, progress, self._gateway)

    def model_of(self, config: str, version: int) -> str:
        """The model behind one, see `carriers.Carrier.model_of`."""
        return config

    def point(
        self,
        exists: bool,
        now: str | None,
        wanted: str,
        package: str,
        guard: Mapping[str, Any] | None,
        patience: Patience,
    ) -> Literal["created", "updated"]:
        """Ask AWS for the move, see `carriers.Carrier.point`."""
        capacity = self._noted_capacity(wanted)
        if capacity is None:
            raise Failed(f"The model {wanted} was deleted, or its tag {CAPACITY_TAG} was. Run this again.")
        component = self._gateway.describe(_KIND, self._name)
        if component is None:
            self._create(wanted, package, capacity, patience)
            return "created"
        self._check_owner(_KIND, self._name, component["InferenceComponentArn"])
        old = self._noted_capacity(now) if now is not None else None
        retain = self._target.consumer.endpoint.retain_variant_properties
        request = component_requests.update(component, wanted, old, capacity, retain, guard)
        self._gateway.add_tags(component["InferenceComponentArn"], {TARGET_TAG: wanted})
        self._gateway.update_component(request)
        return "updated"

    def _noted_capacity(self, model: str) -> dict[str, Any] | None:
        described = self._gateway.describe("model", model)
        if described is None:
            return None
        return component_requests.read_note(self._gateway.tags(described["ModelArn"]).get(CAPACITY_TAG, ""))

    def _create(self, model: str, package: str, capacity: Mapping[str, Any], patience: Patience) -> None:
        if self._gateway.describe("endpoint", self._name) is None:
            config = self._host_config or self._any_host_config()
            request = {"EndpointName": self._name, "EndpointConfigName": config}
            self._gateway.create("endpoint", request, tag_values(package, keep=True))
        self._await_host(patience)
        request = component_requests.create(self._name, self._name, model, capacity)
        self._gateway.create(_KIND, request, {**_OWN, TARGET_TAG: model})

    def _any_host_config(self) -> str:
        """The newest endpoint config of this endpoint's instances.

        Raises:
            Failed: when there is none.
        """
        found = list(self._host_configs())
        if not found:
            raise Failed(f"The endpoint config of {self._name} was deleted. Run this again.")
        return found[0]

    def _host_configs(self) -> Iterator[str]:
        """The endpoint configs of this endpoint's instances, the newest first."""
        listed = self._gateway.list("endpoint-config", self._name, VERSION_AND_HASH)
        ours = [
            one for one in listed if one.version == 0 and self._gateway.tags(one.arn).get(OWNER_TAG) == OWNER
        ]
        return (one.name for one in sorted(ours, key=lambda one: one.created, reverse=True))

    def came_between(self, error: ClientError) -> bool:
        """As of endpoints; what AWS says of a component in a change is not documented, so that is looked at."""
        if endpoint_came_between(error):
            return True
        return is_invalid(error) and is_in_progress(self._gateway.describe(_KIND, self._name))

    def clear_failed(self, patience: Patience) -> None:
        """Remove what has failed, see `carriers.Carrier.clear_failed`."""
        component = self._gateway.describe(_KIND, self._name)
        if component is not None and component["InferenceComponentStatus"] == "Failed":
            self._gateway.delete_endpoint(self._name, patience, kind=_KIND)
        endpoint = self._gateway.describe("endpoint", self._name)
        if endpoint is not None and endpoint["EndpointStatus"] == "Failed":
            self._gateway.delete_endpoint(self._name, patience)

    def is_idle(self) -> bool:
        """Whether the endpoint was made for components and has none of this tool's, see `carriers.Carrier.is_idle`."""
        if self._gateway.describe(_KIND, self._name) is not None:
            return False
        config = self.endpoint_config(None)
        described = None if config is None else self._gateway.describe("endpoint-config", config)
        return described is not None and requests.kind_of(described) == COMPONENTS

    def unused(self) -> Iterator[tuple[HostingKind, str]]:
        """The endpoint configs of instances that the endpoint no longer has; all of them when it is gone."""
        endpoint: Description = self._gateway.describe("endpoint", self._name) or {}
        used = (endpoint.get("EndpointConfigName"), pending_config(endpoint))
        for name in list(self._host_configs()):
            if name not in used:
                yield "endpoint-config", name
