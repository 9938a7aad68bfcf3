"""The consumer's flow: deploy a shared version in the target account, prove that it answers, take it down again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from crossaccount import arns, serving
from crossaccount.aws import sessions
from crossaccount.config.model import ConsumerConfig, Sharing
from crossaccount.errors import Failed
from crossaccount.serving import Made, Proof, Removal
from flows import forms
from flows.operations import operation
from tasks import alone, runs
from tasks import consumer as steps
from tasks.reaper import clean_up_run


@dataclass(frozen=True)
class Deployment:
    """What a deployment proved, and what became of everything it made."""

    proof: Proof
    removals: tuple[Removal, ...]

    def table(self) -> str:
        """For a terminal."""
        return serving.proof_text(self.proof, self.removals)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"proof": self.proof.to_json(), "removals": [asdict(removal) for removal in self.removals]}


@operation("deploy-model", on_crashed=[clean_up_run], on_cancellation=[clean_up_run])
def deploy_model(
    config: forms.ConfigFile, consumer: forms.ConsumerName, version: forms.Version = None, keep: bool = False
) -> Deployment:
    """Deploy a shared version in a consumer's account and verify it end to end with real requests.

    Args:
        config: The reviewed file that names the consumer.
        consumer: In whose account to deploy.
        version: The version to deploy. Leave it empty for the newest approved one.
        keep: Leave the endpoint in service.
    """
    sharing = forms.loaded(config)
    target = sharing.consumer(consumer)
    with sessions.reuse():
        return deployed(sharing, consumer, target, version, keep)


def deployed(
    sharing: Sharing, consumer: str, target: ConsumerConfig, version: int | None, keep: bool
) -> Deployment:
    """Deploy a version, prove it, and take it down; one run after the other for a version in an account.

    Raises:
        Failed: when it does not answer as it should, or something was left behind.
        Refused: when access is missing.
    """
    where = f"{consumer} ({target.account})"
    runs.name_run(f"deploy {sharing.model_package_group} to {where}")
    steps.assume_deployer(sharing, consumer, target)
    found = steps.find_version(sharing, consumer, target, version)
    runs.name_run(f"deploy {sharing.model_package_group} version {found.version} to {where}")
    endpoint_arn = f"{arns.endpoint_arn(sharing, target)}-v{found.version}"
    with alone.writing([endpoint_arn], steps.ENDPOINT_SECONDS):
        release = steps.read_release(sharing, consumer, target, found)
        steps.check_artifacts(sharing, consumer, target, release)
        made: list[Made] = []
        removals: Sequence[Removal] = ()
        try:
            made.append(steps.create_model(sharing, consumer, target, release, keep))
            made.append(steps.create_endpoint_config(sharing, consumer, target, release, keep))
            made.append(steps.create_endpoint(sharing, consumer, target, release, keep))
            endpoint = made[-1].name
            steps.wait_for_endpoint(sharing, consumer, target, endpoint)
            proof = steps.ask_endpoint(sharing, consumer, target, release, endpoint)
        finally:
            removals = steps.tear_down(sharing, consumer, target, release, made)
        steps.publish_proof(proof)
    return _accepted(Deployment(proof, tuple(removals)))


def _accepted(deployment: Deployment) -> Deployment:
    """The deployment, unless it proved something else than it should or left something behind.

    Raises:
        Failed: with what was observed.
    """
    if not deployment.proof.verified:
        raise Failed(f"The endpoint does not answer as the Release says.\n{deployment.table()}")
    if any(removal.outcome == "left" for removal in deployment.removals):
        raise Failed(
            f"The deployment was proved, and could not be taken down. Remove what is left.\n{deployment.table()}"
        )
    return deployment
