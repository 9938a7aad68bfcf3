"""SageMaker's model registry and hosting as this path uses them, with AWS's conditions and error texts.

Held here rather than in moto, whose registry has no group policies and lowers names, and whose CreateModel and
CreateEndpoint ask nothing and start nothing. Not here: who may call (``operations``, ``judge``), the processes behind
the endpoints (``hosting``, ``containers``).

Not modelled: validation and transform jobs of packages, model cards, Marketplace products, pipelines of several
containers behind an endpoint (the first one answers), inference components, asynchronous and multi-model endpoints, shadow
variants; captured data (the configuration is kept and shown), what a VPC reaches, quotas that nobody arranged
(``control``); EventBridge, AWS RAM.

Source: botocore's SageMaker model for names and limits; the error texts are quotes from public reports.
"""

from __future__ import annotations

import hashlib
import json
import operator
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any

from moto.ecr.models import ecr_backends

from crossaccount_sandbox import operations, registries
from crossaccount_sandbox.attached import load, named_principals, statements
from crossaccount_sandbox.callers import Caller
from crossaccount_sandbox.control import Outcome
from crossaccount_sandbox.deployments import Unhealthy, Wanted, alarm_names, faults, plan
from crossaccount_sandbox.endpoint_rules import capture_summary, config_faults, kept_properties
from crossaccount_sandbox.guard import Handler, authorize, decide
from crossaccount_sandbox.judge import Result
from crossaccount_sandbox.operations import (
    Check,
    alarm_arn,
    find_key,
    group_of,
    key_check,
    key_state,
    object_key,
    owner_of_bucket,
    package_of,
    region_of_bucket,
)
from crossaccount_sandbox.principals import find_role
from crossaccount_sandbox.registries import PULL_ACTIONS
from crossaccount_sandbox.wire import AwsError, Call, Response, json_response

if TYPE_CHECKING:
    from crossaccount_sandbox.autoscaling import Autoscaling
    from crossaccount_sandbox.cloudwatch import CloudWatch
    from crossaccount_sandbox.hosting import Hosting
    from crossaccount_sandbox.world import World

Place = tuple[str, str]  # account, region
Record = dict[str, Any]


@dataclass
class Registry:
    """What SageMaker holds: a table for each kind of resource, by account and region and name."""

    groups: dict[tuple[Place, str], Record] = field(default_factory=dict)
    packages: dict[str, Record] = field(default_factory=dict)
    models: dict[tuple[Place, str], Record] = field(default_factory=dict)
    configs: dict[tuple[Place, str], Record] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)


class SageMaker:
    """The handlers of SageMaker's operations.

    Args:
        hosting: what runs behind endpoints.
        alarms: where the alarms are that roll an update back.
        scaling: which variants are scalable targets.
    """

    def __init__(self, hosting: Hosting, alarms: CloudWatch, scaling: Autoscaling):
        self._registry = Registry()
        self._hosting = hosting
        self._alarms = alarms
        self._scaling = scaling

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """The operations answered here, by (service, operation)."""
        own: dict[str, Handler] = {
            "CreateModelPackageGroup": self.create_group,
            "DescribeModelPackageGroup": self.describe_group,
            "ListModelPackageGroups": self.list_groups,
            "DeleteModelPackageGroup": self.delete_group,
            "PutModelPackageGroupPolicy": self.put_group_policy,
            "GetModelPackageGroupPolicy": self.get_group_policy,
            "DeleteModelPackageGroupPolicy": self.delete_group_policy,
            "CreateModelPackage": self.create_package,
            "DescribeModelPackage": self.describe_package,
            "BatchDescribeModelPackage": self.batch_describe,
            "ListModelPackages": self.list_packages,
            "UpdateModelPackage": self.update_package,
            "DeleteModelPackage": self.delete_package,
            "CreateModel": self.create_model,
            "DescribeModel": self.describe_model,
            "ListModels": self.list_models,
            "DeleteModel": self.delete_model,
            "CreateEndpointConfig": self.create_config,
            "DescribeEndpointConfig": self.describe_config,
            "ListEndpointConfigs": self.list_configs,
            "DeleteEndpointConfig": self.delete_config,
            "AddTags": self.add_tags,
            "ListTags": self.list_tags,
            "DeleteTags": self.delete_tags,
        }
        return {("sagemaker", name): self._locked(handler) for name, handler in own.items()} | {
            ("sagemaker", "CreateEndpoint"): self.create_endpoint,
            ("sagemaker", "UpdateEndpoint"): self.update_endpoint,
            ("sagemaker", "UpdateEndpointWeightsAndCapacities"): self.update_weights,
            ("sagemaker", "DescribeEndpoint"): self.describe_endpoint,
            ("sagemaker", "ListEndpoints"): self.list_endpoints,
            ("sagemaker", "DeleteEndpoint"): self.delete_endpoint,
            ("sagemaker-runtime", "InvokeEndpoint"): self.invoke_endpoint,
        }

    def _locked(self, handler: Handler) -> Handler:
        def locked(world: World, call: Call, caller: Caller) -> Response:
            with self._registry.lock:
                return handler(world, call, caller)

        return locked

    # Model package groups and their policies.

    def create_group(self, world: World, call: Call, caller: Caller) -> Response:
        """CreateModelPackageGroup."""
        name = call.params["ModelPackageGroupName"]
        arn, _ = group_of(name, call.region, caller.account)
        if _key(call, caller, name) in self._registry.groups:
            raise _invalid(f"Model Package Group already exists: {arn}")
        self._registry.groups[_key(call, caller, name)] = {
            "ModelPackageGroupName": name,
            "ModelPackageGroupArn": arn,
            "ModelPackageGroupDescription": call.params.get("ModelPackageGroupDescription"),
            "CreationTime": world.clock(),
            "CreatedBy": {},
            "ModelPackageGroupStatus": "Completed",
            "Last": 0,
        }
        self._tag(arn, call)
        return json_response({"ModelPackageGroupArn": arn})

    def _group(self, call: Call, caller: Caller, named: str, missing: str | None = None) -> Record:
        arn, owner = group_of(named, call.region, caller.account)
        self._same_region(arn, call)
        found = self._registry.groups.get(((owner, call.region), arn.rpartition("/")[2]))
        if found is None:
            raise _invalid(missing.format(arn) if missing else f"ModelPackageGroup {arn} does not exist.")
        return found

    def describe_group(self, world: World, call: Call, caller: Caller) -> Response:
        """DescribeModelPackageGroup, by name or ARN."""
        return _shown(call, self._group(call, caller, call.params["ModelPackageGroupName"]))

    def list_groups(self, world: World, call: Call, caller: Caller) -> Response:
        """ListModelPackageGroups of the caller's account; discovery across accounts (AWS RAM) is not modelled."""
        if call.params.get("CrossAccountFilterOption") == "CrossAccount":
            return json_response({"ModelPackageGroupSummaryList": []})
        return _listed(call, "ModelPackageGroupSummaryList", _in(self._registry.groups, call, caller))

    def delete_group(self, world: World, call: Call, caller: Caller) -> Response:
        """DeleteModelPackageGroup; refused while it has versions."""
        group = self._group(call, caller, call.params["ModelPackageGroupName"])
        arn = group["ModelPackageGroupArn"]
        if any(
            package["ModelPackageGroupName"] == group["ModelPackageGroupName"]
            for package in self._versions(arn)
        ):
            raise _invalid(f"Model Package Group is not empty: {arn}", "ConflictException")
        del self._registry.groups[(arn.split(":")[4], call.region), group["ModelPackageGroupName"]]
        world.attached.drop(("group", arn))
        return json_response({})

    def put_group_policy(self, world: World, call: Call, caller: Caller) -> Response:
        """PutModelPackageGroupPolicy.

        Raises:
            AwsError: ``ValidationException`` for a document that is none, that names a principal twice in a statement
                or one that does not exist, or a resource that is not this group's.
        """
        group = self._group(
            call, caller, call.params["ModelPackageGroupName"], "Cannot find Model Package Group: {}"
        )
        arn = group["ModelPackageGroupArn"]
        document = load(call.params["ResourcePolicy"], _invalid_policy)
        for statement in statements(document):
            named = [operations.owner_of_principal(name) for name in named_principals(statement)]
            if len(named) != len(set(named)):
                raise _invalid_policy("Duplicate principal")
            resources = statement.get("Resource", [])
            for resource in [resources] if isinstance(resources, str) else resources:
                if resource != arn and not resource.startswith(
                    arn.replace(":model-package-group/", ":model-package/") + "/"
                ):
                    raise _invalid_policy(f"Resource {resource} is not {arn} or one of its model packages")
        world.attached.put(
            ("group", arn),
            call.params["ResourcePolicy"],
            lambda name: _invalid_policy(f"Invalid principal {name}"),
        )
        return json_response({"ModelPackageGroupArn": arn})

    def get_group_policy(self, world: World, call: Call, caller: Caller) -> Response:
        """GetModelPackageGroupPolicy."""
        return json_response({"ResourcePolicy": _compact(self._policy(world, call, caller)[1])})

    def delete_group_policy(self, world: World, call: Call, caller: Caller) -> Response:
        """DeleteModelPackageGroupPolicy."""
        world.attached.drop(("group", self._policy(world, call, caller)[0]))
        return json_response({})

    def _policy(self, world: World, call: Call, caller: Caller) -> tuple[str, dict[str, Any]]:
        named = call.params["ModelPackageGroupName"]
        arn = self._group(call, caller, named, "Cannot find Model Package Group: {}")["ModelPackageGroupArn"]
        document = world.attached.get(("group", arn))
        if document is None:
            raise _invalid(f"Cannot find resource policy for: {arn}")
        return arn, document

    # Model packages.

    def create_package(self, world: World, call: Call, caller: Caller) -> Response:
        """CreateModelPackage of a version in a group; unversioned packages are not modelled."""
        if not call.params.get("ModelPackageGroupName"):
            raise _invalid("The sandbox holds versioned model packages only: name a ModelPackageGroupName.")
        group = self._group(call, caller, call.params["ModelPackageGroupName"])
        group["Last"] += 1
        name, version = group["ModelPackageGroupName"], group["Last"]
        arn = (
            group["ModelPackageGroupArn"].replace(":model-package-group/", ":model-package/") + f"/{version}"
        )
        scans = [{"Name": arn, "Status": "Completed"}]
        self._registry.packages[arn] = {
            **{key: value for key, value in call.params.items() if key not in ("ClientToken", "Tags")},
            "ModelPackageGroupName": name,
            "ModelPackageVersion": version,
            "ModelPackageArn": arn,
            "CreationTime": world.clock(),
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": scans, "ImageScanStatuses": scans},
            "ModelApprovalStatus": call.params.get("ModelApprovalStatus", "PendingManualApproval"),
        }
        self._tag(arn, call)
        return json_response({"ModelPackageArn": arn})

    def _versions(self, group_arn: str) -> Iterator[Record]:
        prefix = group_arn.replace(":model-package-group/", ":model-package/") + "/"
        return (record for arn, record in self._registry.packages.items() if arn.startswith(prefix))

    def _package(self, call: Call, caller: Caller, named: str) -> Record:
        arn, _, _ = package_of(named, call.region, caller.account)
        self._same_region(arn, call)
        found = self._registry.packages.get(arn)
        if found is None:
            raise _invalid(f"ModelPackage {arn} does not exist.")
        return found

    def describe_package(self, world: World, call: Call, caller: Caller) -> Response:
        """DescribeModelPackage, by ARN also of another account's."""
        return _shown(call, self._package(call, caller, call.params["ModelPackageName"]))

    def batch_describe(self, world: World, call: Call, caller: Caller) -> Response:
        """BatchDescribeModelPackage."""
        summaries = {arn: self._registry.packages.get(arn) for arn in call.params["ModelPackageArnList"]}
        found = {
            arn: _members(call, "ModelPackageSummaries", record)
            for arn, record in summaries.items()
            if record
        }
        errors = {
            arn: {"ErrorCode": "ValidationException", "ErrorResponse": f"ModelPackage {arn} does not exist."}
            for arn, record in summaries.items()
            if not record
        }
        return json_response({"ModelPackageSummaries": found, "BatchDescribeModelPackageErrorMap": errors})

    def list_packages(self, world: World, call: Call, caller: Caller) -> Response:
        """ListModelPackages of a group (by name or ARN), newest first unless asked otherwise."""
        if not call.params.get("ModelPackageGroupName"):
            return json_response({"ModelPackageSummaryList": []})
        group = self._group(call, caller, call.params["ModelPackageGroupName"])
        wanted = call.params.get("ModelApprovalStatus")
        found = [
            record
            for record in self._versions(group["ModelPackageGroupArn"])
            if wanted in (None, record["ModelApprovalStatus"])
        ]
        return _listed(call, "ModelPackageSummaryList", found)

    def update_package(self, world: World, call: Call, caller: Caller) -> Response:
        """UpdateModelPackage: approval, description, customer metadata, further inference specifications."""
        package = self._package(call, caller, call.params["ModelPackageArn"])
        for name in (
            "ModelApprovalStatus",
            "ApprovalDescription",
            "InferenceSpecification",
            "SourceUri",
            "ModelLifeCycle",
        ):
            if name in call.params:
                package[name] = call.params[name]
        metadata = dict(package.get("CustomerMetadataProperties") or {}) | (
            call.params.get("CustomerMetadataProperties") or {}
        )
        for name in call.params.get("CustomerMetadataPropertiesToRemove") or ():
            metadata.pop(name, None)
        package["CustomerMetadataProperties"] = metadata or None
        package["AdditionalInferenceSpecifications"] = [
            *(package.get("AdditionalInferenceSpecifications") or []),
            *(call.params.get("AdditionalInferenceSpecificationsToAdd") or []),
        ] or None
        package["LastModifiedTime"] = world.clock()
        return json_response({"ModelPackageArn": package["ModelPackageArn"]})

    def delete_package(self, world: World, call: Call, caller: Caller) -> Response:
        """DeleteModelPackage; its version number is not given again."""
        del self._registry.packages[
            self._package(call, caller, call.params["ModelPackageName"])["ModelPackageArn"]
        ]
        return json_response({})

    # Models.

    def create_model(self, world: World, call: Call, caller: Caller) -> Response:
        """CreateModel: packages must be deployable, and the execution role must reach every artifact and image.

        Raises:
            AwsError: ``ValidationException`` in AWS's own words for each of these.
        """
        params = call.params
        key = _key(call, caller, params["ModelName"])
        arn = f"arn:aws:sagemaker:{call.region}:{caller.account}:model/{params['ModelName'].lower()}"
        if key in self._registry.models:
            raise _invalid(f'Cannot create already existing model "{arn}".')
        given = (
            [params["PrimaryContainer"]]
            if params.get("PrimaryContainer")
            else list(params.get("Containers") or [])
        )
        if not given:
            raise _invalid("A model needs a PrimaryContainer or Containers.")
        containers = [inner for container in given for inner in self._containers(call, caller, container)]
        role = params.get("ExecutionRoleArn")
        if not role:
            raise _invalid("A model of a container image or model package needs an ExecutionRoleArn.")
        probe = RoleProbe(world, call, role)
        for container in containers:
            for location in artifact_locations(container):
                probe.check_data(*location)
            probe.check_image(container["Image"])
        probe.check_service([container["Image"] for container in containers], arn)
        self._registry.models[key] = {
            **{name: value for name, value in params.items() if name != "Tags"},
            "ModelArn": arn,
            "CreationTime": world.clock(),
            "EnableNetworkIsolation": bool(params.get("EnableNetworkIsolation")),
            "Resolved": containers,
        }
        self._tag(arn, call)
        return json_response({"ModelArn": arn})

    def _containers(self, call: Call, caller: Caller, given: Record) -> list[Record]:
        """The container definitions behind one entry of CreateModel: its own, or its model package's."""
        named = given.get("ModelPackageName")
        if named is None:
            if not given.get("Image"):
                raise _invalid("A container needs an Image or a ModelPackageName.")
            return [given]
        package = self._package(call, caller, named)
        arn = package["ModelPackageArn"]
        if package["ModelPackageStatus"] != "Completed":
            raise _invalid(
                f"ModelPackage {arn} is not Completed: its status is {package['ModelPackageStatus']}."
            )
        if package["ModelApprovalStatus"] != "Approved":
            status = package["ModelApprovalStatus"]
            raise _invalid(
                f"ModelPackage {arn} cannot be deployed: its ModelApprovalStatus is {status}, not Approved."
            )
        wanted = given.get("InferenceSpecificationName")
        if wanted is None:
            specification = package.get("InferenceSpecification")
        else:
            extra = package.get("AdditionalInferenceSpecifications") or []
            specification = next((one for one in extra if one["Name"] == wanted), None)
        if not specification:
            raise _invalid(f"ModelPackage {arn} has no inference specification {wanted or ''}".strip() + ".")
        return [
            {**one, "Environment": {**(one.get("Environment") or {}), **(given.get("Environment") or {})}}
            for one in specification["Containers"]
        ]

    def describe_model(self, world: World, call: Call, caller: Caller) -> Response:
        """DescribeModel."""
        return _shown(call, self._own(self._registry.models, call, caller, "ModelName", "model"))

    def list_models(self, world: World, call: Call, caller: Caller) -> Response:
        """ListModels."""
        return _listed(call, "Models", _in(self._registry.models, call, caller), "ModelName")

    def delete_model(self, world: World, call: Call, caller: Caller) -> Response:
        """DeleteModel."""
        model = self._own(self._registry.models, call, caller, "ModelName", "model")
        del self._registry.models[_key(call, caller, model["ModelName"])]
        self._registry.tags.pop(model["ModelArn"], None)
        return json_response({})

    # Endpoint configurations.

    def create_config(self, world: World, call: Call, caller: Caller) -> Response:
        """CreateEndpointConfig; its models must exist.

        Raises:
            AwsError: ``ValidationException`` also for what ``endpoint_rules`` finds, and for a key that is not there.
        """
        name = call.params["EndpointConfigName"]
        arn = f"arn:aws:sagemaker:{call.region}:{caller.account}:endpoint-config/{name.lower()}"
        if _key(call, caller, name) in self._registry.configs:
            raise _invalid(f'Cannot create already existing endpoint configuration "{arn}".')
        if any(not variant.get("ModelName") for variant in call.params["ProductionVariants"]):
            raise _invalid("The sandbox hosts models only: no inference components.")
        models = {model["ModelName"]: model for model in self._models_of(call, caller, call.params).values()}
        for fault in config_faults(call.params, models, caller.account, world.accounts):
            raise _invalid(fault)
        self._storage_key(call, caller, call.params)
        self._registry.configs[_key(call, caller, name)] = {
            **{key: value for key, value in call.params.items() if key != "Tags"},
            "EndpointConfigArn": arn,
            "CreationTime": world.clock(),
        }
        self._tag(arn, call)
        return json_response({"EndpointConfigArn": arn})

    def describe_config(self, world: World, call: Call, caller: Caller) -> Response:
        """DescribeEndpointConfig."""
        return _shown(call, self._config(call, caller))

    def list_configs(self, world: World, call: Call, caller: Caller) -> Response:
        """ListEndpointConfigs."""
        return _listed(
            call, "EndpointConfigs", _in(self._registry.configs, call, caller), "EndpointConfigName"
        )

    def delete_config(self, world: World, call: Call, caller: Caller) -> Response:
        """DeleteEndpointConfig."""
        config = self._config(call, caller)
        del self._registry.configs[_key(call, caller, config["EndpointConfigName"])]
        self._registry.tags.pop(config["EndpointConfigArn"], None)
        return json_response({})

    def _config(self, call: Call, caller: Caller) -> Record:
        return self._own(self._registry.configs, call, caller, "EndpointConfigName", "endpoint configuration")

    # Endpoints: hosting runs them.

    def create_endpoint(self, world: World, call: Call, caller: Caller) -> Response:
        """CreateEndpoint: Creating now, InService or Failed later.

        Raises:
            AwsError: ``ValidationException`` for a configuration or model that is not there, or an endpoint that is;
                ``ResourceLimitExceeded`` where that was arranged.
        """
        name, place = call.params["EndpointName"], _place(call, caller)
        arn = f"arn:aws:sagemaker:{call.region}:{caller.account}:endpoint/{name.lower()}"
        with self._registry.lock:
            config = self._config(call, caller)
            if self._hosting.find(place, name) is not None:
                raise _invalid(f'Cannot create already existing endpoint "{arn}".')
            models = self._models_of(call, caller, config)
            self._grant_on_key(world, call, caller, config)
            outcome = _within_limits(self._hosting.outcome(place, name), config)
            wanted = Wanted(config, models, outcome, capture=capture_summary(config))
            self._hosting.create(place, name, arn, wanted)
            self._tag(arn, call)
        return json_response({"EndpointArn": arn})

    def update_endpoint(self, world: World, call: Call, caller: Caller) -> Response:
        """UpdateEndpoint: the new configuration takes over as its DeploymentConfig says, or the old one stays.

        Raises:
            AwsError: ``ValidationException`` for an endpoint in progress or Failed, a configuration (old or new),
                model or alarm that is not there, guardrails that AWS does not take, or another instance type for a
                variant that is scaled; ``ResourceLimitExceeded`` where that was arranged.
        """
        with self._registry.lock:
            config = self._config(call, caller)
            models = self._models_of(call, caller, config)
            endpoint = self._changeable(call, caller)
            old = self._config_in_use(call, caller, endpoint)
            deployment = call.params.get("DeploymentConfig")
            if call.params.get("RetainDeploymentConfig"):
                deployment = endpoint.get("LastDeploymentConfig")
            self._check_update(call, caller, old, config, deployment)
            self._grant_on_key(world, call, caller, config)
            outcome = _within_limits(
                self._hosting.outcome(_place(call, caller), endpoint["EndpointName"]), config
            )
            wanted = Wanted(
                config,
                models,
                outcome,
                plan(deployment, config["ProductionVariants"]),
                self._watch(world, call, caller, deployment, models),
                *_retained(call.params, endpoint, config),
            )
            if not self._hosting.update(
                _place(call, caller), call.params["EndpointName"], wanted, deployment
            ):
                raise _in_progress(endpoint)
        return json_response({"EndpointArn": endpoint["EndpointArn"]})

    def update_weights(self, world: World, call: Call, caller: Caller) -> Response:
        """UpdateEndpointWeightsAndCapacities: other weights and instance counts for the variants that it names.

        Raises:
            AwsError: ``ValidationException`` for an endpoint that is not InService, or a variant that it has not.
        """
        endpoint, place = self._changeable(call, caller), _place(call, caller)
        if endpoint["EndpointStatus"] != "InService":
            raise _invalid(
                f'Cannot update weights and capacities of endpoint "{endpoint["EndpointArn"]}" in status '
                f"{endpoint['EndpointStatus']}."
            )
        desired = {one["VariantName"]: one for one in call.params["DesiredWeightsAndCapacities"]}
        known = {one["VariantName"] for one in endpoint["ProductionVariants"]}
        if missing := sorted(set(desired) - known):
            raise _invalid(
                f'The variant name(s) "{", ".join(missing)}" is/are not present within the endpoint.'
            )
        outcome = self._hosting.outcome(place, endpoint["EndpointName"])
        if not self._hosting.rescale(place, endpoint["EndpointName"], desired, outcome):
            raise _in_progress(endpoint)
        return json_response({"EndpointArn": endpoint["EndpointArn"]})

    def _changeable(self, call: Call, caller: Caller) -> Record:
        endpoint = self._endpoint(call, caller)
        status = endpoint["EndpointStatus"]
        if status in ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"):
            raise _in_progress(endpoint)
        if status == "Failed":
            raise _invalid(
                f'Cannot update endpoint "{endpoint["EndpointArn"]}" in status Failed. Delete it instead.'
            )
        return endpoint

    def _config_in_use(self, call: Call, caller: Caller, endpoint: Record) -> Record:
        old = self._registry.configs.get(_key(call, caller, endpoint["EndpointConfigName"]))
        if old is None:
            arn = endpoint["EndpointArn"].replace(":endpoint/", ":endpoint-config/").rpartition("/")[0]
            raise _invalid(
                f'Could not find endpoint configuration "{arn}/{endpoint["EndpointConfigName"].lower()}".'
            )
        return old

    def _check_update(
        self, call: Call, caller: Caller, old: Record, config: Record, deployment: Record | None
    ) -> None:
        place, name = _place(call, caller), call.params["EndpointName"]
        if old is config and self._hosting_status(call, caller) == "InService":
            raise _invalid("Cannot update endpoint with the currently in use endpoint configuration.")
        if deployment:
            for fault in faults(deployment, old["ProductionVariants"], config["ProductionVariants"]):
                raise _invalid(fault)
        missing = [one for one in alarm_names(deployment) if self._alarms.state(place, one) is None]
        if missing:
            raise _invalid(f"Could not find CloudWatch alarm(s): {', '.join(missing)}.")
        before = {one["VariantName"]: one.get("InstanceType") for one in old["ProductionVariants"]}
        other = [
            one["VariantName"]
            for one in config["ProductionVariants"]
            if one.get("InstanceType") != before.get(one["VariantName"], one.get("InstanceType"))
        ]
        if scaled := self._scaling.registered(place, name, other):
            raise _invalid(
                f"Cannot change the instance type of variant(s) {', '.join(scaled)}, which are registered with "
                "Application Auto Scaling. Deregister the variant as a scalable target first."
            )

    def _hosting_status(self, call: Call, caller: Caller) -> str:
        return str(self._endpoint(call, caller)["EndpointStatus"])

    def _watch(
        self,
        world: World,
        call: Call,
        caller: Caller,
        deployment: Record | None,
        models: Mapping[str, Record],
    ) -> Callable[[], None]:
        """What says, while an update runs, that it must go back: an alarm, or alarms that the role may not read.

        AWS asks for cloudwatch:DescribeAlarms of the execution role; what it does without is not documented: here the
        update goes back.
        """
        names, place = alarm_names(deployment), _place(call, caller)
        roles = {str(model["ExecutionRoleArn"]) for model in models.values()}

        def watch() -> None:
            for role_arn in roles if names else ():
                role = find_role(role_arn)
                for name in names:
                    arn = alarm_arn(call.region, caller.account, name)
                    check = Check("cloudwatch:DescribeAlarms", arn, caller.account)
                    if (
                        role is None
                        or decide(world, execution_session(role), check, call).result is not Result.ALLOWED
                    ):
                        raise Unhealthy(
                            f"The role '{role_arn}' does not have cloudwatch:DescribeAlarms permission for the alarm: '{name}'."
                        )
            tripped = [name for name in names if self._alarms.state(place, name) == "ALARM"]
            if tripped:
                raise Unhealthy(
                    f"The deployment was rolled back because the alarm(s) {', '.join(tripped)} were in ALARM state."
                )

        return watch

    def _storage_key(self, call: Call, caller: Caller, config: Record) -> str | None:
        """The ARN of the key that the instances' storage is encrypted under; None when none is named."""
        named = config.get("KmsKeyId")
        if not named:
            return None
        arn = find_key(str(named), caller.account, call.region)
        if arn is None:
            raise _invalid(f"Could not find KMS key {named}.")
        return arn

    def _grant_on_key(self, world: World, call: Call, caller: Caller, config: Record) -> None:
        """SageMaker makes a grant on the key as the caller, who must be allowed to."""
        if arn := self._storage_key(call, caller, config):
            via = {"kms:ViaService": f"sagemaker.{call.region}.amazonaws.com"}
            authorize(world, caller, key_check("kms:CreateGrant", arn, via), call)

    def describe_endpoint(self, world: World, call: Call, caller: Caller) -> Response:
        """DescribeEndpoint."""
        return _shown(call, self._endpoint(call, caller))

    def list_endpoints(self, world: World, call: Call, caller: Caller) -> Response:
        """ListEndpoints."""
        return _listed(call, "Endpoints", self._hosting.all(_place(call, caller)), "EndpointName")

    def delete_endpoint(self, world: World, call: Call, caller: Caller) -> Response:
        """DeleteEndpoint; refused while it is being created or updated."""
        endpoint = self._endpoint(call, caller)
        if not self._hosting.delete(_place(call, caller), call.params["EndpointName"]):
            raise _in_progress(endpoint)
        self._scaling.forget(_place(call, caller), call.params["EndpointName"])
        self._registry.tags.pop(endpoint["EndpointArn"], None)
        return json_response({})

    def invoke_endpoint(self, world: World, call: Call, caller: Caller) -> Response:
        """InvokeEndpoint: the answer of the process behind it.

        Raises:
            AwsError: ``ValidationError`` for an endpoint that is not there or not in service, ``ModelError`` (424)
                for an answer of the container that is an error.
        """
        name = call.params["EndpointName"]
        endpoint = self._hosting.find(_place(call, caller), name)
        if endpoint is None:
            raise AwsError("ValidationError", f"Endpoint {name} of account {caller.account} not found.")
        accept = call.headers.get("X-Amzn-SageMaker-Accept") or call.headers.get("Accept") or "*/*"
        variant = call.headers.get("X-Amzn-SageMaker-Target-Variant")
        return self._hosting.invoke(
            endpoint, call.body, call.headers.get("Content-Type", ""), accept, variant
        )

    def _endpoint(self, call: Call, caller: Caller) -> Record:
        found = self._hosting.find(_place(call, caller), call.params["EndpointName"])
        if found is None:
            arn = f"arn:aws:sagemaker:{call.region}:{caller.account}:endpoint/{call.params['EndpointName'].lower()}"
            raise _invalid(f'Could not find endpoint "{arn}".')
        return found

    def _models_of(self, call: Call, caller: Caller, config: Mapping[str, Any]) -> dict[str, Record]:
        models = {}
        for variant in config["ProductionVariants"]:
            model = self._registry.models.get(_key(call, caller, variant["ModelName"]))
            if model is None:
                arn = f"arn:aws:sagemaker:{call.region}:{caller.account}:model/{variant['ModelName'].lower()}"
                raise _invalid(f'Could not find model "{arn}".')
            models[variant["VariantName"]] = model
        return models

    # Tags.

    def add_tags(self, world: World, call: Call, caller: Caller) -> Response:
        """AddTags."""
        self._tag(call.params["ResourceArn"], call)
        return json_response({"Tags": _tag_list(self._registry.tags.get(call.params["ResourceArn"], {}))})

    def list_tags(self, world: World, call: Call, caller: Caller) -> Response:
        """ListTags."""
        return json_response({"Tags": _tag_list(self._registry.tags.get(call.params["ResourceArn"], {}))})

    def delete_tags(self, world: World, call: Call, caller: Caller) -> Response:
        """DeleteTags."""
        for key in call.params["TagKeys"]:
            self._registry.tags.get(call.params["ResourceArn"], {}).pop(key, None)
        return json_response({})

    def _tag(self, arn: str, call: Call) -> None:
        if tags := call.params.get("Tags"):
            self._registry.tags.setdefault(arn, {}).update({tag["Key"]: tag["Value"] for tag in tags})

    def _own(
        self, table: Mapping[Any, Record], call: Call, caller: Caller, parameter: str, kind: str
    ) -> Record:
        name = call.params[parameter]
        found = table.get(_key(call, caller, name))
        if found is None:
            word = {"endpoint configuration": "endpoint-config"}.get(kind, kind)
            arn = f"arn:aws:sagemaker:{call.region}:{caller.account}:{word}/{name.lower()}"
            raise _invalid(f'Could not find {kind} "{arn}".')
        return found

    @staticmethod
    def _same_region(arn: str, call: Call) -> None:
        if arn.split(":")[3] != call.region:
            raise _invalid(f"ARN should be scoped to correct region: {call.region}")


class RoleProbe:
    """What SageMaker asks with an execution role when a model is created: can it reach the artifacts and the image?

    Args:
        world: where policies are found.
        call: the CreateModel request.
        role_arn: the execution role.

    Raises:
        AwsError: when the role does not exist or does not trust SageMaker.
    """

    def __init__(self, world: World, call: Call, role_arn: str):
        self._world = world
        self._call = call
        self._role_arn = role_arn
        role = find_role(role_arn)
        trust = Check("sts:AssumeRole", role_arn, role_arn.split(":")[4], role=role_arn)
        if role is None or not self._allows("sagemaker.amazonaws.com", trust):
            raise _invalid(
                f'The execution role ARN "{role_arn}" is invalid. Please ensure that the role exists and that its trust '
                'relationship policy allows the action "sts:AssumeRole" for the service principal "sagemaker.amazonaws.com".'
            )
        self._session = execution_session(role)

    def _allows(self, caller: Caller | str, check: Check) -> bool:
        return decide(self._world, caller, check, self._call).result is Result.ALLOWED

    def check_data(self, bucket: str, key: str, is_prefix: bool) -> None:
        """Refuse an artifact that the role cannot read, or that is not there."""
        uri = f"s3://{bucket}/{key}"
        owner = owner_of_bucket(bucket)
        arn = f"arn:aws:s3:::{bucket}"
        policy = ("bucket", arn)
        if owner is None or region_of_bucket(bucket) != self._call.region:
            raise self._no_access(uri)
        listing = Check("s3:ListBucket", arn, owner, policy, context={"s3:prefix": key})
        may_list = self._allows(self._session, listing)
        if is_prefix and not may_list:
            raise self._no_access(uri)
        keys = [
            name
            for name in self._world.object_names(bucket)
            if name == key or (is_prefix and name.startswith(key))
        ]
        if not self._allows(
            self._session, Check("s3:GetObject", f"{arn}/{keys[0] if keys else key}", owner, policy)
        ):
            raise self._no_access(uri)
        if not keys:
            raise _invalid(f"Could not find model data at {uri}.") if may_list else self._no_access(uri)
        for name in keys:
            kms = object_key(bucket, name)
            via = {"kms:ViaService": f"s3.{self._call.region}.amazonaws.com"}
            if kms is None:
                continue
            allowed = self._allows(self._session, key_check("kms:Decrypt", kms, via))
            if not allowed or key_state(kms) != "Enabled":
                raise self._no_access(uri)

    def _no_access(self, uri: str) -> AwsError:
        return _invalid(
            f'Could not access model data at {uri}. Please ensure that the role "{self._role_arn}" exists and that its '
            'trust relationship policy allows the action "sts:AssumeRole" for the service principal '
            '"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and that the object is '
            f"located in {self._call.region}. If your Model uses multiple models or uncompressed models, please ensure "
            'that the role has "s3:ListBucket" permission.'
        )

    def check_image(self, image: str) -> None:
        """Refuse an image that the role cannot pull, or that is not there."""
        parsed = parse_image(image)
        if parsed is None:
            raise _invalid(f"Could not parse the image URI {image}.")
        registry, region, name, _ = parsed
        arn = f"arn:aws:ecr:{region}:{registry}:repository/{name}"
        pulls = [Check(f"ecr:{action}", arn, registry, ("repository", arn)) for action in PULL_ACTIONS]
        login = Check("ecr:GetAuthorizationToken", "*", self._session.account)
        decisions = [decide(self._world, self._session, check, self._call) for check in (login, *pulls)]
        refused = next((decision for decision in decisions if decision.result is not Result.ALLOWED), None)
        if refused is not None and refused.policy_type == "resource":
            raise self._not_granted(image)
        if refused is not None or image_digest(image) is None:
            raise _invalid(
                f"Role {self._role_arn} cannot pull {image}. Ensure that the role exists and the image was granted pull "
                "permission."
            )

    def check_service(self, images: list[str], model_arn: str) -> None:
        """Refuse a custom image that SageMaker itself cannot pull, where it stands beside one of AWS's own.

        Source: "Troubleshoot Inference Pipelines" in the SageMaker developer guide.
        """
        custom = {
            image: parsed
            for image in images
            if (parsed := parse_image(image)) is not None and not registries.holds(*parsed[:3])
        }
        if custom.keys() == set(images):
            return
        context = self._world.source_context(self._session.account, model_arn)
        for image, (registry, region, name, _) in custom.items():
            arn = f"arn:aws:ecr:{region}:{registry}:repository/{name}"
            place = ("repository", arn)
            pulls = [Check(f"ecr:{action}", arn, registry, place, context=context) for action in PULL_ACTIONS]
            if not all(self._allows("sagemaker.amazonaws.com", pull) for pull in pulls):
                raise self._not_granted(image)

    @staticmethod
    def _not_granted(image: str) -> AwsError:
        return _invalid(
            f"The repository of your image {image} does not grant ecr:GetDownloadUrlForLayer, ecr:BatchGetImage, "
            "ecr:BatchCheckLayerAvailability permission to sagemaker.amazonaws.com service principal."
        )


_IMAGE = re.compile(
    r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com/([a-z0-9._/-]+?)(?::([\w.-]+)|@(sha256:[0-9a-f]{64}))?"
)


def parse_image(image: str) -> tuple[str, str, str, str] | None:
    """Registry account, region, repository and tag or digest of an ECR image URI; None for anything else."""
    match = _IMAGE.fullmatch(image)
    return None if match is None else (match[1], match[2], match[3], match[5] or match[4] or "latest")


def image_digest(image: str) -> str | None:
    """The digest an image URI stands for now; None when there is no such image.

    AWS's own images are not here: a digest made of the URI stands for theirs.
    """
    parsed = parse_image(image)
    if parsed is not None and registries.holds(*parsed[:3]):
        made = f"sha256:{hashlib.sha256(image.encode()).hexdigest()}"
        return parsed[3] if parsed[3].startswith("sha256:") else made
    if parsed is None or not operations.image_repository(parsed[0], parsed[1], parsed[2]):
        return None
    registry, region, name, reference = parsed
    for found in ecr_backends[registry][region].repositories[name].images:
        digest = str(found.get_image_digest())
        if reference in (digest, *found.image_tags):
            return digest
    return None


def execution_session(role: Any) -> Caller:
    """The session in which SageMaker acts with an execution role."""
    return Caller(
        arn=f"arn:aws:sts::{role.account_id}:assumed-role/{role.name}/SageMaker",
        account=role.account_id,
        unique_id=f"{role.id}:SageMaker",
        role_arn=role.arn,
    )


def artifact_locations(container: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Bucket, key, and whether it is a prefix, of every artifact that a container definition names."""
    if url := container.get("ModelDataUrl"):
        yield (*_split(url), False)
    sources = [container.get("ModelDataSource"), *(container.get("AdditionalModelDataSources") or [])]
    for source in sources:
        if source and source.get("S3DataSource"):
            s3 = source["S3DataSource"]
            yield (*_split(s3["S3Uri"]), s3.get("S3DataType") == "S3Prefix")


def _split(uri: str) -> tuple[str, str]:
    match = re.fullmatch(r"(?:s3|https)://([^/]+)/?(.*)", uri)
    if match is None:
        raise _invalid(f"Could not parse the model data location {uri}.")
    return match[1].split(".s3")[0], match[2]


def _invalid(text: str, code: str = "ValidationException") -> AwsError:
    return AwsError(code, text)


def _in_progress(endpoint: Record) -> AwsError:
    return _invalid(f'Cannot update in-progress endpoint "{endpoint["EndpointArn"]}".')


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


def _retained(
    params: Mapping[str, Any], endpoint: Record, config: Record
) -> tuple[dict[str, Record], Record | None]:
    """What an update keeps: properties by variant, and the data capture that the endpoint then shows."""
    if not params.get("RetainAllVariantProperties"):
        return {}, capture_summary(config)
    excluded = [one["VariantPropertyType"] for one in params.get("ExcludeRetainedVariantProperties") or ()]
    kept = kept_properties(endpoint.get("ProductionVariants", []), excluded)
    capture = (
        capture_summary(config) if "DataCaptureConfig" in excluded else endpoint.get("DataCaptureConfig")
    )
    return kept, capture


def _invalid_policy(why: str) -> AwsError:
    return _invalid(f"Invalid policy provided: {why}")


def _place(call: Call, caller: Caller) -> Place:
    return caller.account, call.region


def _key(call: Call, caller: Caller, name: str) -> tuple[Place, str]:
    return _place(call, caller), name


def _in(table: Mapping[tuple[Place, str], Record], call: Call, caller: Caller) -> list[Record]:
    return [record for (place, _), record in table.items() if place == _place(call, caller)]


def _members(call: Call, name: str, record: Record) -> Record:
    """The members of a record that a list or map in the operation's answer has room for."""
    shape: Any = _output(call)[name]
    inner = getattr(shape, "member", None) or shape.value
    return {key: value for key, value in record.items() if key in inner.members and value is not None}


def _output(call: Call) -> Mapping[str, Any]:
    shape = call.model.output_shape
    return shape.members if shape is not None else {}


def _shown(call: Call, record: Record) -> Response:
    members = _output(call)
    return json_response(
        {key: value for key, value in record.items() if key in members and value is not None}
    )


_TIMES: tuple[tuple[str, str, Callable[[Any, Any], bool]], ...] = (
    ("CreationTimeBefore", "CreationTime", operator.lt),
    ("CreationTimeAfter", "CreationTime", operator.gt),
    ("LastModifiedTimeBefore", "LastModifiedTime", operator.lt),
    ("LastModifiedTimeAfter", "LastModifiedTime", operator.gt),
)


def _listed(call: Call, name: str, records: list[Record], contains: str | None = None) -> Response:
    """A page of records, newest first unless SortBy and SortOrder say otherwise, MaxResults at a time.

    Raises:
        AwsError: ``ValidationException`` for a NextToken that no page ended with.
    """
    field_name = contains or next(
        (key for key in ("ModelPackageGroupName",) if records and key in records[0]), ""
    )
    needle, status = call.params.get("NameContains") or "", call.params.get("StatusEquals")
    records = [
        record
        for record in records
        if needle in str(record.get(field_name, ""))
        and status in (None, record.get("EndpointStatus"))
        and all(
            compare(record.get(member, record["CreationTime"]), call.params[parameter].replace(tzinfo=UTC))
            for parameter, member, compare in _TIMES
            if call.params.get(parameter)
        )
    ]
    by = {"Name": field_name, "Status": "EndpointStatus"}.get(call.params.get("SortBy", ""), "CreationTime")
    ascending = call.params.get("SortOrder", "Descending") == "Ascending"
    # Of what is alike, the later one counts as the newer.
    keyed = [(record.get(by, ""), place) for place, record in enumerate(records)]
    ordered = [records[place] for _, place in sorted(keyed, reverse=not ascending)]
    token = call.params.get("NextToken") or "0"
    if not token.isdecimal():
        raise _invalid("Invalid NextToken.")
    start, size = int(token), int(call.params.get("MaxResults") or _PAGES.get(call.operation, 100))
    page = [_members(call, name, record) for record in ordered[start : start + size]]
    more = {"NextToken": str(start + size)} if start + size < len(ordered) else {}
    return json_response({name: page, **more})


_PAGES = {"ListEndpoints": 10}  # the one default that AWS's reference names


def _compact(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
