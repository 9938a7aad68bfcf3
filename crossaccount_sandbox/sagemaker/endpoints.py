"""Endpoints as the API has them: what is asked before one is created, changed or deleted.

Not here: what happens then (``hosting``) and endpoint configs (``endpoint_configs``).
"""

from collections.abc import Callable, Mapping
from typing import Any

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import key_check
from crossaccount_sandbox.checks.decisions import authorize
from crossaccount_sandbox.handlers.autoscaling import forget, registered
from crossaccount_sandbox.handlers.quotas import claim
from crossaccount_sandbox.sagemaker.asynchronous import Queues
from crossaccount_sandbox.sagemaker.components import Components
from crossaccount_sandbox.sagemaker.deployments import Plan, Wanted, coming_up, faults, plan
from crossaccount_sandbox.sagemaker.endpoint_configs import (
    capture_summary,
    find_config,
    holds_components,
    kept_properties,
    models_of,
    storage_key,
)
from crossaccount_sandbox.sagemaker.hosting import Hosting
from crossaccount_sandbox.sagemaker.invocations import read_request, refuse
from crossaccount_sandbox.sagemaker.notifications import check_topics
from crossaccount_sandbox.sagemaker.outcomes import HEALTHY, Outcome
from crossaccount_sandbox.sagemaker.records import arn_of, existing, find, invalid, listed, missing, shown
from crossaccount_sandbox.sagemaker.tags import tag
from crossaccount_sandbox.sagemaker.variants import pools_of
from crossaccount_sandbox.sagemaker.watching import check_alarms, watch
from crossaccount_sandbox.wire import AwsError, Response, json_response
from crossaccount_sandbox.world import Handler, Place, Record, World


class Endpoints:
    """The handlers of endpoints.

    Args:
        hosting: what runs behind them.
        queues: what waits before the asynchronous ones.
        components: the inference components that they host.
    """

    def __init__(self, hosting: Hosting, queues: Queues, components: Components):
        self._hosting = hosting
        self._queues = queues
        self._components = components

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """The operations answered here, by service and name."""
        return {
            ("sagemaker", "CreateEndpoint"): self.create_endpoint,
            ("sagemaker", "UpdateEndpoint"): self.update_endpoint,
            ("sagemaker", "UpdateEndpointWeightsAndCapacities"): self.update_weights,
            ("sagemaker", "DescribeEndpoint"): self.describe_endpoint,
            ("sagemaker", "ListEndpoints"): self.list_endpoints,
            ("sagemaker", "DeleteEndpoint"): self.delete_endpoint,
            ("sagemaker-runtime", "InvokeEndpoint"): self.invoke_endpoint,
            ("sagemaker-runtime", "InvokeEndpointAsync"): self.invoke_async,
            ("sagemaker-runtime", "InvokeEndpointWithResponseStream"): self.invoke_stream,
        }

    def create_endpoint(self, world: World, call: Call) -> Response:
        """CreateEndpoint: Creating now, InService or Failed later.

        Raises:
            AwsError: ``ValidationException`` for a configuration or model that is not there, or an endpoint that is;
                ``ResourceLimitExceeded`` where a quota does not reach, or that was arranged.
        """
        name, place = call.params["EndpointName"], call.place
        arn = arn_of(call, "endpoint", name)
        with world.lock:
            config = find_config(world, call)
            if self._hosting.find(place, name) is not None:
                raise existing("endpoint", arn)
            models = models_of(world, call, config)
            _grant_on_key(world, call, config)
            outcome = _within_limits(self._outcome(place, name, config), config)
            check = _topics_check(world, call, config, models)
            claimed = claim(world, place, _needs(config["ProductionVariants"], {}, Plan()))
            capture = capture_summary(config)
            wanted = Wanted(config, models, outcome, capture=capture, check=check, claimed=claimed)
            more = {"hosts_components": holds_components(config)}
            self._hosting.create(place, name, arn, wanted, more)
            tag(world, arn, call)
        return json_response({"EndpointArn": arn})

    def update_endpoint(self, world: World, call: Call) -> Response:
        """UpdateEndpoint: the new configuration takes over as its DeploymentConfig says, or the old one stays.

        Raises:
            AwsError: ``ValidationException`` for an endpoint in progress or Failed, a configuration (old or new),
                model or alarm that is not there, guardrails that AWS does not take, or another instance type for a
                variant that is scaled; ``ResourceLimitExceeded`` where that was arranged.
        """
        with world.lock:
            config = find_config(world, call)
            models = models_of(world, call, config)
            endpoint = self._changeable(call)
            old = find(world.registry.configs, call, "endpoint-config", endpoint["EndpointConfigName"])
            deployment = call.params.get("DeploymentConfig")
            if call.params.get("RetainDeploymentConfig"):
                deployment = endpoint.get("LastDeploymentConfig")
            self._check_update(world, call, old, config, deployment)
            _grant_on_key(world, call, config)
            outcome = _within_limits(self._outcome(call.place, endpoint["EndpointName"], config), config)
            steps, look = (
                plan(deployment, config["ProductionVariants"]),
                watch(world, call, deployment, models),
            )
            kept, capture = _retained(call.params, endpoint, config)
            check = _topics_check(world, call, config, models)
            claimed = claim(world, call.place, _needs(config["ProductionVariants"], kept, steps))
            wanted = Wanted(config, models, outcome, steps, look, kept, capture, check, claimed)
            if not self._hosting.update(call.place, call.params["EndpointName"], wanted, deployment):
                raise _in_progress(endpoint)
        return json_response({"EndpointArn": endpoint["EndpointArn"]})

    def update_weights(self, world: World, call: Call) -> Response:
        """UpdateEndpointWeightsAndCapacities: other weights and instance counts for the variants that it names.

        Raises:
            AwsError: ``ValidationException`` for an endpoint that is not InService, or a variant that it has not.
        """
        endpoint, place = self._changeable(call), call.place
        if endpoint["EndpointStatus"] != "InService":
            raise invalid(
                f'Cannot update weights and capacities of endpoint "{endpoint["EndpointArn"]}" in status '
                f"{endpoint['EndpointStatus']}."
            )
        desired = {variant["VariantName"]: variant for variant in call.params["DesiredWeightsAndCapacities"]}
        known = {variant["VariantName"] for variant in endpoint["ProductionVariants"]}
        if unknown := ", ".join(sorted(set(desired) - known)):
            raise invalid(f'The variant name(s) "{unknown}" is/are not present within the endpoint.')
        with world.lock:
            old = world.registry.configs.get((place, endpoint["EndpointConfigName"])) or {}
        claim(world, place, _growth(old, endpoint, desired))
        outcome = self._hosting.outcome(place, endpoint["EndpointName"])
        if not self._hosting.rescale(place, endpoint["EndpointName"], desired, outcome):
            raise _in_progress(endpoint)
        return json_response({"EndpointArn": endpoint["EndpointArn"]})

    def _outcome(self, place: Place, name: str, config: Record) -> Outcome:
        """What was arranged for a change; what befalls containers waits for the inference components of an endpoint."""
        return HEALTHY if holds_components(config) else self._hosting.outcome(place, name)

    def _changeable(self, call: Call) -> Record:
        endpoint = self._endpoint(call)
        status = endpoint["EndpointStatus"]
        if status in ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"):
            raise _in_progress(endpoint)
        if status == "Failed":
            arn = endpoint["EndpointArn"]
            raise invalid(f'Cannot update endpoint "{arn}" in status Failed. Delete it instead.')
        return endpoint

    def _check_update(
        self, world: World, call: Call, old: Record, config: Record, deployment: Record | None
    ) -> None:
        place, name = call.place, call.params["EndpointName"]
        if old is config and self._endpoint(call)["EndpointStatus"] == "InService":
            raise invalid("Cannot update endpoint with the currently in use endpoint configuration.")
        if holds_components(old) != holds_components(config):
            raise invalid("An endpoint cannot change between models of its own and inference components.")
        if deployment:
            for fault in faults(deployment, old["ProductionVariants"], config["ProductionVariants"]):
                raise invalid(fault)
        check_alarms(world, call, deployment)
        before, after = (
            {variant["VariantName"]: variant.get("InstanceType") for variant in each["ProductionVariants"]}
            for each in (old, config)
        )
        other = [variant for variant, kind in after.items() if kind != before.get(variant, kind)]
        if scaled := registered(world, place, name, other):
            raise invalid(
                f"Cannot change the instance type of variant(s) {', '.join(scaled)}, which are registered with "
                "Application Auto Scaling. Deregister the variant as a scalable target first."
            )

    def describe_endpoint(self, world: World, call: Call) -> Response:
        """DescribeEndpoint: with the metrics of its configuration, while that is there."""
        endpoint = self._endpoint(call)
        with world.lock:
            config = world.registry.configs.get((call.place, endpoint["EndpointConfigName"])) or {}
        return shown(call, {**endpoint, "MetricsConfig": config.get("MetricsConfig")})

    def list_endpoints(self, world: World, call: Call) -> Response:
        """ListEndpoints."""
        return listed(call, "Endpoints", self._hosting.all(call.place), "EndpointName")

    def delete_endpoint(self, world: World, call: Call) -> Response:
        """DeleteEndpoint; refused while it is being created or updated, and while it hosts inference components."""
        endpoint = self._endpoint(call)
        if names := self._components.names_on(endpoint):
            raise invalid(
                f'Cannot delete endpoint "{endpoint["EndpointArn"]}" while it hosts inference components: {", ".join(names)}. Delete '
                "them first."
            )
        if not self._hosting.delete(call.place, call.params["EndpointName"]):
            raise _in_progress(endpoint)
        forget(world, call.place, call.params["EndpointName"])
        world.registry.tags.pop(endpoint["EndpointArn"], None)
        return json_response({})

    def invoke_endpoint(self, world: World, call: Call) -> Response:
        """InvokeEndpoint: the answer of the processes behind it.

        Raises:
            AwsError: ``ValidationError`` for an endpoint that is not there or not in service, or does not do what is asked;
                ``ModelError`` (424) for an answer of a container that is an error.
        """
        return self._answer(world, call)

    def invoke_stream(self, world: World, call: Call) -> Response:
        """InvokeEndpointWithResponseStream: the answer in parts, each as soon as the container gives it.

        Raises:
            AwsError: as of ``invoke_endpoint``, and for a serverless endpoint.
        """
        endpoint = self._invoked(call)
        if endpoint.get("hosts_components"):
            return self._components.stream(world, call, endpoint)
        return self._hosting.stream(endpoint, read_request(call))

    def invoke_async(self, world: World, call: Call) -> Response:
        """InvokeEndpointAsync: 202, and an object in S3 later on.

        Raises:
            AwsError: ``ValidationError`` for an endpoint that is not there or not asynchronous, and as of ``Queues.accept``.
        """
        endpoint = self._invoked(call)
        if not endpoint.get("AsyncInferenceConfig"):
            name = endpoint["EndpointName"]
            raise AwsError(
                "ValidationError", f"Endpoint {name} of account {call.account} is not asynchronous."
            )
        return self._queues.accept(call, endpoint)

    def _answer(self, world: World, call: Call) -> Response:
        endpoint = self._invoked(call)
        if endpoint.get("hosts_components"):
            return self._components.invoke(world, call, endpoint)
        return self._hosting.invoke(endpoint, read_request(call))

    def _invoked(self, call: Call) -> Record:
        """The endpoint of a call to the runtime, if it does what the call asks for."""
        name = call.params["EndpointName"]
        endpoint = self._hosting.find(call.place, name)
        if endpoint is None:
            raise AwsError("ValidationError", f"Endpoint {name} of account {call.account} not found.")
        refuse(call, endpoint)
        return endpoint

    def _endpoint(self, call: Call) -> Record:
        name = call.params["EndpointName"]
        endpoint = self._hosting.find(call.place, name)
        if endpoint is None:
            raise missing(call, "endpoint", name)
        return endpoint


def _in_progress(endpoint: Record) -> AwsError:
    return invalid(f'Cannot update in-progress endpoint "{endpoint["EndpointArn"]}".')


def _within_limits(outcome: Outcome, config: Record) -> Outcome:
    """The outcome, unless it is that the account's quota does not reach; AWS says so at once."""
    if outcome.kind != "over-limit":
        return outcome
    first = config["ProductionVariants"][0]
    kind, count = first.get("InstanceType", "serverless"), first.get("InitialInstanceCount", 0)
    text = (
        f"The account-level service limit '{kind} for endpoint usage' is 0 Instances, with current utilization of 0 "
        f"Instances and a request delta of {count} Instances. Please use AWS Service Quotas to request an increase for "
        "this quota."
    )
    raise AwsError("ResourceLimitExceeded", text)


def _needs(variants: list[Record], kept: Mapping[str, Record], steps: Plan) -> list[tuple[list[str], int]]:
    """The instance types of each variant, and how many instances of them come up."""
    counts: list[int] = [
        kept.get(variant["VariantName"], {}).get("DesiredInstanceCount")
        or variant.get("InitialInstanceCount", 0)
        for variant in variants
    ]
    return [
        (pools_of(variant), coming_up(steps, count)) for variant, count in zip(variants, counts, strict=True)
    ]


def _growth(
    config: Mapping[str, Any], endpoint: Record, desired: Mapping[str, Record]
) -> list[tuple[list[str], int]]:
    """The instance types of each variant that is to grow, and by how many instances it is."""
    now = {
        variant["VariantName"]: variant["CurrentInstanceCount"] for variant in endpoint["ProductionVariants"]
    }
    return [
        (pools_of(variant), desired[name]["DesiredInstanceCount"] - now.get(name, 0))
        for variant in config.get("ProductionVariants", ())
        if (name := variant["VariantName"]) in desired and "DesiredInstanceCount" in desired[name]
    ]


def _retained(
    params: Mapping[str, Any], endpoint: Record, config: Record
) -> tuple[dict[str, Record], Record | None]:
    """What an update keeps: properties by variant, and the data capture that the endpoint then shows."""
    if not params.get("RetainAllVariantProperties"):
        return {}, capture_summary(config)
    excluded = [kept["VariantPropertyType"] for kept in params.get("ExcludeRetainedVariantProperties") or ()]
    kept = kept_properties(endpoint.get("ProductionVariants", []), excluded)
    renewed = "DataCaptureConfig" in excluded
    return kept, capture_summary(config) if renewed else endpoint.get("DataCaptureConfig")


def _topics_check(
    world: World, call: Call, config: Record, models: Mapping[str, Record]
) -> Callable[[], None]:
    """What says, when an endpoint is brought up, that its execution roles may not publish to its topics."""
    roles = {str(model["ExecutionRoleArn"]) for model in models.values()}
    return lambda: check_topics(world, call, config, roles)


def _grant_on_key(world: World, call: Call, config: Record) -> None:
    """SageMaker makes a grant on the key as the call.caller, who must be allowed to."""
    if arn := storage_key(call, config):
        via = {"kms:ViaService": f"sagemaker.{call.region}.amazonaws.com"}
        authorize(world, key_check("kms:CreateGrant", arn, via), call)
