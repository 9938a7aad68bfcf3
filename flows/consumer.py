"""The consumer's flow: deploy a shared version in the target account, prove that it answers, take it down again.

Not here: an endpoint that stays and moves from version to version (``flows.promotion``).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from crossaccount import arns
from crossaccount.aws import sessions
from crossaccount.config.model import Sharing
from crossaccount.errors import Failed, Refused
from crossaccount.hosting.resources import HostedResource, Removal
from crossaccount.proof.proof import Proof
from crossaccount.proof.questions import check_files
from crossaccount.show import proofs
from flows import forms
from flows.operations import operation
from tasks import consumer as steps
from tasks import dashboard, ending, summaries
from tasks.locks import writing
from tasks.reaper import clean_up_run
from tasks.steps import name_run


@dataclass(frozen=True)
class DeploymentResult:
    """The proof of a deployment, and the fate of each of its resources."""

    proof: Proof
    removals: tuple[Removal, ...]

    def table(self) -> str:
        """For a terminal."""
        return proofs.text(self.proof, self.removals)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"proof": self.proof.to_json(), "removals": [asdict(removal) for removal in self.removals]}


@dataclass(frozen=True)
class ForeseenDeployment:
    """What a dry run of a deployment found: what would be made, or is there already, and what cannot be told beforehand."""

    consumer: str
    account: str
    version: int
    resources: tuple[steps.ForeseenResource, ...]
    doubts: tuple[str, ...]

    def table(self) -> str:
        """For a terminal."""
        head = f"dry run: version {self.version} in account {self.account} ({self.consumer}); nothing was changed"
        return "\n".join([head, *map(str, self.resources), *(f"NOTE {doubt}" for doubt in self.doubts)])

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"dry_run": True, **asdict(self), "doubts": list(self.doubts)}


@operation("deploy-model", on_crashed=[clean_up_run], on_cancellation=[clean_up_run])
def deploy_model(
    config: forms.ConfigFile,
    consumer: forms.ConsumerName,
    version: forms.Version = None,
    keep: bool = False,
    dry_run: bool = False,
) -> DeploymentResult | ForeseenDeployment:
    """Deploy a shared version in a consumer's account and verify it end to end with real requests.

    Args:
        config: The reviewed file that names the consumer.
        consumer: The consumer to deploy for.
        version: The version to deploy. Leave it empty for the newest approved one.
        keep: Leave the endpoint in service.
        dry_run: See what would be made and that nothing stands in its way, and change nothing.
    """
    sharing = forms.loaded(config)
    sharing.consumer(consumer)
    check_files(sharing, [consumer])
    with sessions.reuse():
        return foreseen(sharing, consumer, version) if dry_run else deployed(sharing, consumer, version, keep)


def foreseen(sharing: Sharing, name: str, version: int | None) -> ForeseenDeployment:
    """What a deployment would make, once everything before the first creation has been looked at.

    Raises:
        Failed: when something stands in its way.
        Refused: when access is missing.
    """
    name_run(f"dry run: deploy {sharing.model_package_group} to {name} ({sharing.consumers[name].account})")
    steps.assume_deployer(sharing, name)
    described = steps.find_version(sharing, name, version)
    release = steps.read_release(sharing, name, described)
    doubts = steps.check_deployment(sharing, name, release)
    return ForeseenDeployment(
        name, sharing.consumers[name].account, release.version, steps.foresee(sharing, name, release), doubts
    )


def deployed(sharing: Sharing, name: str, version: int | None, keep: bool) -> DeploymentResult:
    """Deploy a version, prove it, and take it down; runs for the same version in an account wait for each other.

    Raises:
        Failed: when it does not answer as it should, or a resource is left.
        Refused: when access is missing.
    """
    try:
        deployment = _deployed(sharing, name, version, keep)
    except Refused as refused:
        ending.see(sharing, dashboard.of_refusal(sharing, name, refused))
        raise
    seen = dashboard.of_proof(sharing, deployment.proof, keep)
    ending.see(sharing, {**dashboard.of_config(sharing, [name]), **seen})
    summaries.tell_deployment(sharing, deployment.proof, deployment.removals)
    return _accepted(deployment)


def _deployed(sharing: Sharing, name: str, version: int | None, keep: bool) -> DeploymentResult:
    consumer = sharing.consumers[name]
    where = f"{name} ({consumer.account})"
    of_version = f" version {version}" if version is not None else ""
    name_run(f"deploy {sharing.model_package_group}{of_version} to {where}")
    steps.assume_deployer(sharing, name)
    described = steps.find_version(sharing, name, version)
    if version is None:
        name_run(f"deploy {sharing.model_package_group} version {described.version} to {where}")
    endpoint_arn = f"{arns.endpoint_arn(sharing, consumer)}-v{described.version}"
    with writing([endpoint_arn], steps.endpoint_seconds(sharing, name)):
        release = steps.read_release(sharing, name, described)
        steps.check_deployment(sharing, name, release)
        resources: list[HostedResource] = []
        removals: Sequence[Removal] = ()
        try:
            for create in steps.creations(sharing, name):
                resources.append(create(sharing, name, release, keep))
            images = steps.wait_for_endpoint(sharing, name, resources[-1])
            proof = steps.ask_endpoint(sharing, name, release, resources[-1].name, images)
        finally:
            removals = steps.tear_down(sharing, name, release, resources)
        steps.publish_proof(proof, stays=keep)
    return DeploymentResult(proof, tuple(removals))


def _accepted(deployment: DeploymentResult) -> DeploymentResult:
    """The deployment, if it was proved and nothing is left.

    Raises:
        Failed: otherwise, with the proof and the fate of each resource.
    """
    if not deployment.proof.verified:
        failure = Failed(f"The endpoint does not answer as the Release says.\n{deployment.table()}")
    elif any(removal.outcome == "left" for removal in deployment.removals):
        failure = Failed(
            f"The deployment was proved, and could not be taken down. Remove what is left.\n{deployment.table()}"
        )
    else:
        return deployment
    failure.outcome = deployment.to_json()
    raise failure
