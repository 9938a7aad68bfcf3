"""Inference components: models that run on an endpoint's instances, each with its copies, its part of them and its own updates.

Copies are numbers, as instances are: one process, or one for each container, answers for all of them. Behind each component is what
is behind an endpoint (``hosting``), under the component's name. Not here: endpoints (``endpoints``), how a component
is kept and shown (``component_records``), and sizes (``component_sizes``).

Not modelled: adapters, several specifications, containers without a model, caches and placement.

Source: CreateInferenceComponent, UpdateInferenceComponent and DescribeInferenceComponent in the SageMaker API reference; "Deploy
models for real-time inference" in the developer guide. The texts about a missing name, a missing capacity, an endpoint that hosts
none and a number of copies are quotes from public reports, the others the sandbox's own. What AWS shows of a specification while an
update runs is not documented: here it is the old one, as endpoints show it.
"""

from collections.abc import Mapping
from typing import Any

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.handlers.autoscaling import component_target
from crossaccount_sandbox.sagemaker.component_records import (
    counted,
    described,
    desired_copies,
    hosted_config,
    live_config,
    specification_faults,
    status_of,
)
from crossaccount_sandbox.sagemaker.component_sizes import instances_for, shortages, size_of
from crossaccount_sandbox.sagemaker.deployments import Plan, Wanted, faults, plan
from crossaccount_sandbox.sagemaker.hosting import Hosting
from crossaccount_sandbox.sagemaker.invocations import invalid as refused_call
from crossaccount_sandbox.sagemaker.invocations import read_request
from crossaccount_sandbox.sagemaker.outcomes import Outcome
from crossaccount_sandbox.sagemaker.records import arn_of, existing, find, invalid, listed, missing, shown
from crossaccount_sandbox.sagemaker.tags import tag
from crossaccount_sandbox.sagemaker.watching import check_alarms, watch
from crossaccount_sandbox.wire import AwsError, Response, json_response
from crossaccount_sandbox.world import Handler, Place, Record, World

_KIND = "inference-component"
_IN_PROGRESS = ("Creating", "Updating", "Deleting")
_NOT_HELD = ("BaseInferenceComponentName", "Container", "DataCacheConfig", "SchedulingConfig")
_NO_CAPACITY = (
    "Inference Component has no capacity to process this request. ApplicationAutoScaling may be in-progress (if configured) "
    "or try to increase the capacity by invoking UpdateInferenceComponentRuntimeConfig API."
)


class Components:
    """The handlers of inference components.

    Args:
        endpoints: that they run on.
        hosting: what runs behind them.
    """

    def __init__(self, endpoints: Hosting, hosting: Hosting):
        self._endpoints = endpoints
        self._hosting = hosting

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """The operations answered here, by service and name."""
        named = {
            "CreateInferenceComponent": self.create,
            "UpdateInferenceComponent": self.update,
            "UpdateInferenceComponentRuntimeConfig": self.update_copies,
            "DescribeInferenceComponent": self.describe,
            "ListInferenceComponents": self.list_all,
            "DeleteInferenceComponent": self.delete,
        }
        return {("sagemaker", operation): handler for operation, handler in named.items()}

    def create(self, world: World, call: Call) -> Response:
        """CreateInferenceComponent: Creating now, InService or Failed later.

        Raises:
            AwsError: ``ValidationException`` for an endpoint, variant or model that is not there, an endpoint that hosts none or is
                not InService, a component that is there, or no copies.
        """
        name, place, params = call.params["InferenceComponentName"], call.place, call.params
        arn = arn_of(call, _KIND, name)
        with world.lock:
            endpoint = self._host(call)
            if self._hosting.find(place, name) is not None:
                raise existing(_KIND, arn)
            specification = _specification(call)
            variant = _variant(endpoint, params.get("VariantName"))
            copies = int((params.get("RuntimeConfig") or {}).get("CopyCount", 1))
            if copies < 1:
                raise invalid("Inference components copy count an integer larger than 0")
            config = hosted_config(variant, specification, copies)
            wanted = self._wanted(world, call, endpoint, config)
            more = {"host": endpoint["EndpointName"], "host_arn": endpoint["EndpointArn"], "begun": config}
            self._hosting.create(place, name, arn, wanted, more)
            self._scale(place, endpoint)
            tag(world, arn, call)
        return json_response({"InferenceComponentArn": arn})

    def _host(self, call: Call) -> Record:
        endpoint = self._endpoints.find(call.place, call.params["EndpointName"])
        if endpoint is None:
            raise missing(call, "endpoint", call.params["EndpointName"])
        if not endpoint.get("hosts_components"):
            raise invalid(
                "Invalid request provided: Inference Components are not supported in this Endpoint. Please make sure this endpoint "
                "can deploy inference components."
            )
        if endpoint["EndpointStatus"] != "InService":
            arn, status = endpoint["EndpointArn"], endpoint["EndpointStatus"]
            raise invalid(
                f'Cannot create inference component on endpoint "{arn}" in status {status}: it must be InService.'
            )
        return endpoint

    def update(self, world: World, call: Call) -> Response:
        """UpdateInferenceComponent: another specification, another number of copies, or both, batch by batch where that is asked.

        Raises:
            AwsError: ``ValidationException`` for a component in progress or Failed, nothing to change, a model or alarm that is not
                there, or a deployment that AWS does not take.
        """
        with world.lock:
            record = self._changeable(call)
            before, params = live_config(record), call.params
            if not params.get("Specification") and not params.get("RuntimeConfig"):
                raise invalid("UpdateInferenceComponent needs a Specification or a RuntimeConfig.")
            specification = _specification(call) if params.get("Specification") else before["Specification"]
            copies = int((params.get("RuntimeConfig") or {}).get("CopyCount", desired_copies(before, record)))
            self._change(world, call, record, specification, copies, params.get("DeploymentConfig"))
        return json_response({"InferenceComponentArn": record["EndpointArn"]})

    def update_copies(self, world: World, call: Call) -> Response:
        """UpdateInferenceComponentRuntimeConfig: another number of copies, none too.

        Raises:
            AwsError: ``ValidationException`` for a component in progress or Failed.
        """
        with world.lock:
            record = self._changeable(call)
            copies = int(call.params["DesiredRuntimeConfig"]["CopyCount"])
            self._change(world, call, record, live_config(record)["Specification"], copies, None)
        return json_response({"InferenceComponentArn": record["EndpointArn"]})

    def _change(
        self,
        world: World,
        call: Call,
        record: Record,
        specification: Record,
        copies: int,
        deployment: Record | None,
    ) -> None:
        """Begin a change; one to no copies stops what runs, and leaves the component in service."""
        place, name, before = call.place, record["EndpointName"], live_config(record)
        config = hosted_config(before["ProductionVariants"][0], specification, copies)
        batches = counted(deployment)
        if batches:
            for fault in faults(batches, config["ProductionVariants"], config["ProductionVariants"]):
                raise invalid(fault)
        check_alarms(world, call, batches)
        endpoint = self._endpoints.find(place, record["host"])
        if endpoint is None:
            raise missing(call, "endpoint", record["host"])
        if copies == 0:
            find(world.registry.models, call, "model", specification["ModelName"])
            begun = self._hosting.rest(place, name, config)
        elif record["fleets"] and specification == before["Specification"]:
            variant = config["ProductionVariants"][0]["VariantName"]
            outcome = self._hosting.outcome(place, name)
            begun = self._hosting.rescale(place, name, {variant: {"DesiredInstanceCount": copies}}, outcome)
        else:
            steps = plan(batches, config["ProductionVariants"]) if batches else Plan()
            wanted = self._wanted(world, call, endpoint, config, steps, batches)
            begun = self._hosting.update(place, name, wanted, deployment)
        if not begun:
            raise _in_progress(record)
        self._scale(place, endpoint, {name: copies})

    def _wanted(
        self,
        world: World,
        call: Call,
        endpoint: Record,
        config: Record,
        steps: Plan | None = None,
        deployment: Mapping[str, Any] | None = None,
    ) -> Wanted:
        model = find(world.registry.models, call, "model", config["Specification"]["ModelName"])
        if len(model["Resolved"]) > 1:
            raise invalid("An inference component takes a model of one container.")
        variant = config["ProductionVariants"][0]["VariantName"]
        models = {variant: model}
        name = call.params["InferenceComponentName"]
        outcome = self._hosting.outcome(call.place, name)
        if outcome.kind == "over-limit":
            raise AwsError(
                "ResourceLimitExceeded", "The account-level service limit of inference components is reached."
            )
        if outcome.kind == "healthy" and self._too_large(endpoint, name, config):
            outcome = Outcome("no-capacity")
        return Wanted(config, models, outcome, steps or Plan(), watch(world, call, deployment, models))

    def _too_large(self, endpoint: Record, name: str, config: Record) -> bool:
        """Whether the endpoint's instances, as many as it may have, are too few or too small for this beside its others."""
        own = config["ProductionVariants"][0]
        asked = [
            (size_of(live["Specification"]["ComputeResourceRequirements"]), desired_copies(live, record))
            for record in self._on(endpoint)
            if record["EndpointName"].lower() != name.lower()
            for live in (live_config(record),)
            if live["ProductionVariants"][0]["VariantName"] == own["VariantName"]
        ]
        size = size_of(config["Specification"]["ComputeResourceRequirements"])
        variant = _host_variant(endpoint, own["VariantName"])
        return any(shortages(variant, [*asked, (size, own["InitialInstanceCount"])]))

    def describe(self, world: World, call: Call) -> Response:
        """DescribeInferenceComponent."""
        return shown(call, described(self._component(call)))

    def list_all(self, world: World, call: Call) -> Response:
        """ListInferenceComponents, of an endpoint or variant where one is named."""
        wanted = {name: call.params.get(f"{name}Equals") for name in ("EndpointName", "VariantName")}

        def fits(record: Record) -> bool:
            return all(value in (None, record[name]) for name, value in wanted.items())

        records = [
            {**described(record), "EndpointStatus": status_of(record)}
            for record in self._hosting.all(call.place)
        ]
        return listed(call, "InferenceComponents", records, "InferenceComponentName", fits)

    def delete(self, world: World, call: Call) -> Response:
        """DeleteInferenceComponent; refused while it is being created or updated.

        Raises:
            AwsError: ``ValidationException``.
        """
        record = self._component(call)
        endpoint = self._endpoints.find(call.place, record["host"])
        if not self._hosting.delete(call.place, call.params["InferenceComponentName"]):
            raise _in_progress(record)
        if endpoint is not None:
            self._scale(call.place, endpoint, {record["EndpointName"]: 0})
        world.registry.tags.pop(record["EndpointArn"], None)
        world.targets.pop((call.place, component_target(record["EndpointName"])), None)
        return json_response({})

    def names_on(self, endpoint: Record) -> list[str]:
        """The components of an endpoint."""
        return [record["EndpointName"] for record in self._on(endpoint)]

    def stream(self, world: World, call: Call, endpoint: Record) -> Response:
        """As ``invoke``, with the answer in parts."""
        return self._hosting.stream(self._asked(world, call, endpoint), read_request(call))

    def invoke(self, world: World, call: Call, endpoint: Record) -> Response:
        """The answer of the component that a call to the runtime names.

        One without copies is scaled out where that is configured, as the failed call is what such a policy watches for.

        Raises:
            AwsError: ``ValidationError`` for a component that is not there, or has no copies that answer; ``ModelError`` (424).
        """
        return self._hosting.invoke(self._asked(world, call, endpoint), read_request(call))

    def _asked(self, world: World, call: Call, endpoint: Record) -> Record:
        """The component that a call to the runtime names, if it answers."""
        name = call.params["InferenceComponentName"]
        record = self._hosting.find(call.place, name)
        if record is None or record["host_arn"] != endpoint["EndpointArn"]:
            raise refused_call(
                f"Inference Component {name} of endpoint {endpoint['EndpointName']} not found."
            )
        if status_of(record) not in ("InService", "Updating", "Failed") or not record["router"].shares:
            self._scale_out(world, call, record, endpoint)
            raise refused_call(_NO_CAPACITY)
        return record

    def _scale_out(self, world: World, call: Call, record: Record, endpoint: Record) -> None:
        """Begin to bring up the copies that a component without any may have, if it is a scalable target."""
        with world.lock:
            target = world.targets.get((call.place, component_target(record["EndpointName"])))
            if target is None or target["MaxCapacity"] < 1 or status_of(record) != "InService":
                return
            before, copies = live_config(record), max(1, target["MinCapacity"])
            config = hosted_config(before["ProductionVariants"][0], before["Specification"], copies)
            wanted = self._wanted(world, call, endpoint, config)
            if self._hosting.update(call.place, record["EndpointName"], wanted, None):
                self._scale(call.place, endpoint, {record["EndpointName"]: copies})

    def _on(self, endpoint: Record) -> list[Record]:
        _, _, _, region, account, _ = endpoint["EndpointArn"].split(":", 5)
        records = self._hosting.all((account, region))
        return [record for record in records if record["host_arn"] == endpoint["EndpointArn"]]

    def _scale(self, place: Place, endpoint: Record, changed: Mapping[str, int] | None = None) -> None:
        """Give the endpoint the instances that it has for its components' copies: none for none, where it may."""
        copies = {
            record["EndpointName"]: desired_copies(live_config(record), record)
            for record in self._on(endpoint)
        }
        variant = _host_variant(endpoint, None)
        count = instances_for(variant, sum({**copies, **(changed or {})}.values()))
        was = endpoint["ProductionVariants"][0]["CurrentInstanceCount"]
        if 0 in (was, count) and was != count:
            self._endpoints.resize(place, endpoint["EndpointName"], count)

    def _changeable(self, call: Call) -> Record:
        record = self._component(call)
        if status_of(record) in _IN_PROGRESS:
            raise _in_progress(record)
        if record["EndpointStatus"] == "Failed":
            raise invalid(
                f'Cannot update inference component "{record["EndpointArn"]}" in status Failed. Delete it instead.'
            )
        return record

    def _component(self, call: Call) -> Record:
        name = call.params["InferenceComponentName"]
        record = self._hosting.find(call.place, name)
        if record is None:
            raise missing(call, _KIND, name)
        return record


def _specification(call: Call) -> Record:
    """The specification of a call, if it is one that is held here."""
    if call.params.get("Specifications"):
        raise invalid("The sandbox does not model several Specifications of an inference component.")
    given = dict(call.params.get("Specification") or {})
    for name in _NOT_HELD:
        if given.get(name):
            raise invalid(f"The sandbox does not model {name} of an inference component.")
    for fault in specification_faults(given):
        raise invalid(fault)
    return given


def _variant(endpoint: Record, named: str | None) -> Record:
    names = [variant["VariantName"] for variant in endpoint["ProductionVariants"]]
    if named not in names:
        raise invalid(f"Could not find variant {named} of endpoint {endpoint['EndpointName']}.")
    return {"VariantName": named}


def _host_variant(endpoint: Record, named: str | None) -> Record:
    variants: list[Record] = list(endpoint["fleets"][0].config["ProductionVariants"])
    return next((variant for variant in variants if variant["VariantName"] == named), variants[0])


def _in_progress(record: Record) -> AwsError:
    return invalid(f'Cannot update in-progress inference component "{record["EndpointArn"]}".')
