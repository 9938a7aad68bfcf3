"""Temporary resources: a version's trial on an endpoint of one instance, and a model made to see that it can be made.

Not here: the removal of a trial that a dead run left (`removal.end_trials`), and of its model (`removal.discard`).

Source: CreateModel in the SageMaker API reference.
"""

from dataclasses import dataclass, replace

from crossaccount.aws.access import Target
from crossaccount.config.endpoint import Endpoint
from crossaccount.config.kinds import COMPONENTS
from crossaccount.errors import Conflict
from crossaccount.hosting import components, creation, requests
from crossaccount.hosting.gateway import Description, Gateway, Patience
from crossaccount.hosting.removal import delete, remove
from crossaccount.hosting.resources import (
    OWNER,
    OWNER_TAG,
    HostedResource,
    Removal,
    deployment_name,
    tag_values,
)
from crossaccount.release.manifest import Release


@dataclass(frozen=True)
class Trial:
    """The resources of a trial, in the order they were made.

    Args:
        model: of the version. It stays, but for that of an inference component, whose staying models have names of their own.
        temporary: what `end` removes; the last one serves the version.
    """

    model: HostedResource
    temporary: tuple[HostedResource, ...]

    @property
    def served(self) -> HostedResource:
        """What serves the version: the endpoint, or the inference component of the same name."""
        return self.temporary[-1]


def begin_trial(target: Target, release: Release, patience: Patience, flow_run: str | None = None) -> Trial:
    """Bring a version up on a temporary endpoint of one instance, NAME-vN, before the endpoint itself is touched.

    The resources of a run that died are found, and taken over by ``flow_run``, whose tag they get. The endpoint may still be
    Creating: `creation.wait_in_service` waits for it.

    Raises:
        Failed, InputError, Conflict, ClientError: as `shift.shift` does.
    """
    requests.config_name(target.consumer, release)
    of_one = _of_one(target.consumer.endpoint)
    small = replace(target, consumer=target.consumer.model_copy(update={"endpoint": of_one}))
    name = deployment_name(target.consumer, release.version)
    by_component = of_one.hosting_kind == COMPONENTS  # whose staying models have names of their own
    model = creation.ensure_model(target, release, not by_component, flow_run)
    config = creation.ensure_endpoint_config(small, release, name, keep=False, flow_run=flow_run)
    endpoint = creation.ensure_endpoint(small, release, False, patience, flow_run)
    if not by_component:
        return Trial(model, (config, endpoint))
    component = components.ensure_component(small, release, False, patience, flow_run)
    return Trial(model, (model, config, endpoint, component))


def end(target: Target, trial: Trial, patience: Patience) -> tuple[Removal, ...]:
    """Remove a trial of this run, and see it gone; the fate of each resource. One that somebody keeps stays.

    A trial that failed to begin is looked for, see `removal.end_trials`.
    """
    return remove(target, trial.temporary, patience)


def _of_one(endpoint: Endpoint) -> Endpoint:
    """The endpoint with one instance and, with inference components, one copy."""
    update: dict[str, object] = {"instance_count": 1, "managed_scaling": None}
    if (component := endpoint.inference_component) is not None:
        update["inference_component"] = component.model_copy(update={"copies": 1})
    return endpoint.model_copy(update=update)


def try_model(target: Target, release: Release) -> Removal:
    """Create a model from the shared package and delete it at once; the fate of the model.

    CreateModel reads the artifact and the image's permission with the execution role before it answers, so this proves
    every door in seconds, without an endpoint and without cost. The name is that of version 0, which no group has; a model that
    a killed run left under it is removed first.

    Raises:
        Conflict: when a model of that name was made by someone else.
        ClientError: AWS's refusal.
    """
    gateway, name = Gateway(target.sagemaker), deployment_name(target.consumer, 0)
    description = gateway.describe("model", name)
    if description is not None:
        _check_owner(gateway, name, description)
        gateway.delete("model", name)
    request = requests.model(target.consumer, release, name)
    _, found = gateway.create_or_find("model", request, tag_values(release.model_package_arn, keep=False))
    if found is not None:  # it was made by this very call, whose answer was lost, or by another audit
        _check_owner(gateway, name, found)
    return delete(gateway, "model", name, Patience())


def _check_owner(gateway: Gateway, model: str, description: Description) -> None:
    if gateway.tags(description["ModelArn"]).get(OWNER_TAG) != OWNER:
        raise Conflict(f"The model {model} exists and was not made by this tool. Delete or rename it.")
