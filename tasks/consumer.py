"""The consumer's steps: each opens the target account, calls the library, logs one line, returns plain data.

Not here: their order, and the teardown after a failure (``flows.consumer``).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from prefect import get_run_logger
from prefect.runtime import flow_run

from crossaccount.aws.access import open_target
from crossaccount.config.model import Sharing
from crossaccount.errors import Failed
from crossaccount.hosting import components, creation, preflight, quotas, removal, requests
from crossaccount.hosting.capacity import slow_seconds
from crossaccount.hosting.gateway import HOST_SECONDS, Patience
from crossaccount.hosting.gateways import open_gateway
from crossaccount.hosting.resources import HostedResource, Removal, deployment_name, kinds_of
from crossaccount.hosting.state import DeployedImage, deployed_images
from crossaccount.parallel import run_all
from crossaccount.proof.proof import Proof, prove
from crossaccount.proof.questions import check_questions, questions
from crossaccount.registry.versions import ModelVersion
from crossaccount.release.manifest import Release
from crossaccount.show import proofs
from tasks import steps

ENDPOINT_SECONDS = HOST_SECONDS  # boto's own waiter gives up then too


def endpoint_seconds(sharing: Sharing, name: str) -> float:
    """How long a consumer's endpoint may take to come into service, in seconds."""
    return ENDPOINT_SECONDS + slow_seconds(sharing.consumers[name].endpoint)


def _patience(sharing: Sharing, name: str) -> Patience:
    return Patience(endpoint_seconds(sharing, name))


@steps.step("assume the deployer role of {name}")
def assume_deployer(sharing: Sharing, name: str) -> str:
    """Assume the deployer role, with its external id; the session refreshes itself. Returns the role's ARN."""
    role = open_target(sharing, name).consumer.role
    get_run_logger().info("assumed %s", role)
    return role


@steps.step("find the version for {name}")
def find_version(sharing: Sharing, name: str, version: int | None) -> ModelVersion:
    """Find the version in the producer's registry; the newest approved one when it is left out."""
    described = preflight.find_version(open_target(sharing, name), version)
    get_run_logger().info("%s is %s and %s", described.arn, described.status, described.approval)
    return described


@steps.step("read the Release of version {version.version}")
def read_release(sharing: Sharing, name: str, version: ModelVersion) -> Release:
    """Read the version's Release, hold it against the registry, and see that there are questions for the endpoint."""
    target = open_target(sharing, name)
    requests.check_licence(target.consumer, version)
    release = preflight.read_release(target, version)
    check_questions(name, target.consumer, release)
    get_run_logger().info("the Release of version %d agrees with the registry", release.version)
    return release


@steps.step("check the artifacts of version {release.version} and the quotas of {name}")
def check_deployment(sharing: Sharing, name: str, release: Release) -> tuple[str, ...]:
    """See that every artifact is the one that was shared, and that the account's quotas reach for the endpoint.

    What cannot be told of the quotas is given, each in a line. A role that may not look at the endpoint makes none: what it
    made it could not take down.
    """
    target, logger = open_target(sharing, name), get_run_logger()
    looks: list[Callable[[], Any]] = [
        partial(preflight.check_artifacts, target, release),
        partial(quotas.check_deployment, target, release),
        partial(creation.look, target, release),
    ]
    read, doubts, _ = run_all(looks)
    logger.info("%d artifacts are those of the Release", read.count)
    for doubt in doubts:
        logger.warning("%s", doubt)
    return tuple(doubts)


@steps.step("create the model of version {release.version} for {name}")
def create_model(sharing: Sharing, name: str, release: Release, keep: bool) -> HostedResource:
    """Create the model from the shared package."""
    target = open_target(sharing, name)
    with preflight.explained_creation(target, release):
        return _logged(creation.ensure_model(target, release, keep, flow_run.get_id()))


@steps.step("create the endpoint config of version {release.version} for {name}")
def create_endpoint_config(sharing: Sharing, name: str, release: Release, keep: bool) -> HostedResource:
    """Create the endpoint config."""
    target = open_target(sharing, name)
    config = deployment_name(target.consumer, release.version)
    with target.explained("sagemaker:CreateEndpointConfig", config):
        return _logged(creation.ensure_endpoint_config(target, release, config, keep, flow_run.get_id()))


@steps.step("create the endpoint of version {release.version} for {name}")
def create_endpoint(sharing: Sharing, name: str, release: Release, keep: bool) -> HostedResource:
    """Create the endpoint."""
    target = open_target(sharing, name)
    endpoint = deployment_name(target.consumer, release.version)
    with target.explained("sagemaker:CreateEndpoint", endpoint):
        return _logged(
            creation.ensure_endpoint(target, release, keep, _patience(sharing, name), flow_run.get_id())
        )


@steps.step("create the inference component of version {release.version} for {name}")
def create_component(sharing: Sharing, name: str, release: Release, keep: bool) -> HostedResource:
    """Create the inference component, once its endpoint serves."""
    target = open_target(sharing, name)
    component = deployment_name(target.consumer, release.version)
    with target.explained("sagemaker:CreateInferenceComponent", component):
        patience = _patience(sharing, name)
        return _logged(components.ensure_component(target, release, keep, patience, flow_run.get_id()))


@dataclass(frozen=True)
class ForeseenResource:
    """A resource that a deployment would make, or would find there already."""

    kind: str
    name: str
    is_there: bool

    def __str__(self) -> str:
        """In a line."""
        return f"{self.kind} {self.name}: {'is there already' if self.is_there else 'would be made'}"


@steps.step("look what version {release.version} would make for {name}")
def foresee(sharing: Sharing, name: str, release: Release) -> tuple[ForeseenResource, ...]:
    """The resources of a deployment, each with whether it is there already; raises `Refused` for a role that may not look."""
    target = open_target(sharing, name)
    resource = deployment_name(target.consumer, release.version)
    gateway, found = open_gateway(target), []
    for kind in kinds_of(target.consumer):
        with target.explained("sagemaker:Describe*", resource):
            is_there = gateway.describe(kind, resource) is not None
        found.append(ForeseenResource(kind, resource, is_there))
        get_run_logger().info("%s", found[-1])
    return tuple(found)


def _logged(resource: HostedResource) -> HostedResource:
    verb = "found" if resource.reused else "created"
    get_run_logger().info("%s %s %s", verb, resource.kind, resource.arn)
    return resource


def creations(sharing: Sharing, name: str) -> tuple[Callable[..., HostedResource], ...]:
    """The steps that create the resources of a deployment for a consumer, in their order."""
    made_by = {
        "model": create_model,
        "endpoint-config": create_endpoint_config,
        "endpoint": create_endpoint,
        "inference-component": create_component,
    }
    return tuple(made_by[kind] for kind in kinds_of(sharing.consumers[name]))


@steps.step("wait for {served.name}")
def wait_for_endpoint(sharing: Sharing, name: str, served: HostedResource) -> tuple[DeployedImage, ...]:
    """Wait until what serves the version does, with AWS's own status as progress; the images that it then runs."""
    endpoint = served.name
    logger, target, progress = get_run_logger(), open_target(sharing, name), steps.Progress(endpoint)

    def report(status: str, stages: tuple[str, ...], seconds: float) -> None:
        if progress.show(status, 100.0 if status == "InService" else 50.0):
            logger.info("%s is %s after %.0f s", endpoint, status, seconds)

    with target.explained("sagemaker:DescribeEndpoint", endpoint):
        patience = _patience(sharing, name)
        seen = creation.wait_in_service(target, endpoint, patience, report, begun=not served.reused)
    return deployed_images(seen)


@steps.step("ask {endpoint}")
def ask_endpoint(
    sharing: Sharing, name: str, release: Release, endpoint: str, images: Sequence[DeployedImage]
) -> Proof:
    """Put the questions to the endpoint, and hold its images and answers against the Release."""
    target = open_target(sharing, name)
    proof = prove(target, release, endpoint, questions(target, release), images)
    counts = (proof.right, len(proof.answers), proof.median_latency_ms)
    get_run_logger().info("%d of %d answers are as expected, median %.1f ms", *counts)
    return proof


@steps.step("publish the proof of {proof.endpoint}")
def publish_proof(proof: Proof, stays: bool) -> None:
    """Put the proof into an artifact of the run; with a link to an endpoint that stays."""
    description = f"Version {proof.version} in {proof.consumer} ({proof.account})"
    steps.put_page("proof", proof.endpoint, proofs.markdown(proof, stays), description)


@steps.step("take down version {release.version} for {name}")
def tear_down(
    sharing: Sharing, name: str, release: Release, resources: Sequence[HostedResource]
) -> tuple[Removal, ...]:
    """Remove the run's resources, unless they are to stay, and see them gone.

    A creation that ended in an error may have taken effect all the same: its resource is looked for.
    """
    target, logger, unfinished = open_target(sharing, name), get_run_logger(), list[HostedResource]()
    kinds = kinds_of(target.consumer)
    if len(resources) < len(kinds):
        try:
            resource = removal.find_unfinished(target, release, kinds[len(resources)])
            unfinished += [resource] if resource else []
        except Failed as error:
            logger.warning("%s", error)
    removals = removal.remove(target, [*resources, *unfinished], _patience(sharing, name))
    for removed in removals:
        logger.log(logging.ERROR if removed.outcome == "left" else logging.INFO, "%s", removed)
    return removals
