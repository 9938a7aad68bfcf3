"""The hand-off: what the producer has published is deployed in the consumers' accounts, once.

Started by the event of a published Release, or by a schedule that looks for Releases in S3 itself. Not here: how a version is
deployed and proved (``flows.consumer``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crossaccount import arns
from crossaccount.aws import sessions
from crossaccount.config.model import Sharing
from crossaccount.errors import CrossAccountError, Failed, InputError
from flows import consumer as deploying
from flows import forms
from flows.operations import operation
from tasks import handoff as steps
from tasks.reaper import clean_up_run
from tasks.steps import name_run, show_error


@dataclass(frozen=True)
class HandOff:
    """What became of a Release at one consumer: its deployment, or why there was none."""

    consumer: str
    account: str
    version: int | None
    text: str
    deployment: deploying.DeploymentResult | None = None
    failed: bool = False

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "consumer": self.consumer,
            "account": self.account,
            "version": self.version,
            "text": self.text,
            "failed": self.failed,
            "deployment": self.deployment.to_json() if self.deployment else None,
        }


@operation("deploy-published", on_crashed=[clean_up_run], on_cancellation=[clean_up_run])
def deploy_published(
    config: forms.ConfigFile,
    consumer: forms.OneConsumer = None,
    release: forms.Published | None = None,
    keep: bool = False,
) -> tuple[HandOff, ...]:
    """Deploy and prove what was published and is not deployed yet, once for each consumer.

    A version that a run on this Prefect server has deployed and proved for the consumer's account is not deployed again.

    Args:
        config: The reviewed file that names the consumers.
        consumer: The only consumer to deploy for. Leave it empty for all.
        release: The Release, from the event. Without one, the newest approved version with a Release in S3 is looked for.
        keep: Leave the endpoint in service.
    """
    sharing = forms.loaded(config)
    wanted = sharing.select(consumer)
    if release is not None and not release.model_package_arn.startswith(arns.package_arn(sharing, "")):
        text = f"{release.model_package_arn} is not of {arns.group_arn(sharing)}: nothing to do."
        return tuple(HandOff(name, sharing.consumers[name].account, None, text) for name in wanted)
    version = arns.version_of(release.model_package_arn) if release is not None else None
    if version is not None:
        _check_shared(sharing, version)
    with sessions.reuse():
        parts = tuple(_hand(sharing, name, version, keep) for name in wanted)
    name_run(_name(sharing, parts))
    failed = [part for part in parts if part.failed]
    if failed:
        raise Failed(
            "\n".join(f"{part.consumer} ({part.account}): {part.text.splitlines()[0]}" for part in failed)
        )
    return parts


def _name(sharing: Sharing, parts: tuple[HandOff, ...]) -> str:
    version = next((part.version for part in parts if part.version is not None), None)
    subject = "has no Release" if version is None else f"version {version}"
    done = [f"{part.consumer} ({part.account})" for part in parts if part.deployment or part.failed]
    return f"hand off {sharing.model_package_group} {subject} to {', '.join(done) or 'nobody new'}"


def _check_shared(sharing: Sharing, version: int) -> None:
    if sharing.versions != "approved" and version not in sharing.versions:
        listed = ", ".join(str(one) for one in sorted(sharing.versions))
        raise InputError(f"release: the config does not share version {version}: versions has {listed}.")


def _hand(sharing: Sharing, name: str, version: int | None, keep: bool) -> HandOff:
    """One consumer's part; what goes wrong there does not keep the others from theirs."""
    consumer = sharing.consumers[name]
    try:
        wanted = version if version is not None else steps.find_published(sharing, name)
        if wanted is None:
            return HandOff(name, consumer.account, None, "No approved version has a Release.")
        with steps.claimed(sharing, consumer, wanted) as done_by:
            if done_by is not None:
                return HandOff(
                    name, consumer.account, wanted, f"Version {wanted} was deployed by flow run {done_by}."
                )
            deployment = deploying.deployed(sharing, name, wanted, keep)
            steps.remember(sharing, consumer, wanted)
        return HandOff(
            name, consumer.account, wanted, f"Version {wanted} is deployed and proved.", deployment
        )
    except CrossAccountError as error:
        show_error(error, name)
        return HandOff(name, consumer.account, version, str(error), failed=True)
