"""The hand-off's flow: deploy a published version in each consumer's account, once.

The event of a published Release starts it, or a schedule, for which it looks for Releases in S3. Not here: the deployment of a
version and its proof (``flows.consumer``).
"""

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from crossaccount import arns
from crossaccount.aws import sessions
from crossaccount.config.model import Sharing
from crossaccount.errors import CrossAccountError, Failed
from crossaccount.hosting.preflight import check_shared
from crossaccount.text import first_line
from flows import consumer as deploying
from flows import forms
from flows.operations import operation
from tasks import handoff as steps
from tasks import summaries
from tasks.reaper import clean_up_run
from tasks.steps import name_run, show_error


@dataclass(frozen=True)
class HandOff:
    """One consumer's part of a hand-off: the deployment of the version, or why there was none."""

    consumer: str
    account: str
    version: int | None
    text: str
    deployment: deploying.DeploymentResult | None = None
    failed: bool = False

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "deployment": self.deployment.to_json() if self.deployment else None}


@operation("deploy-published", on_crashed=[clean_up_run], on_cancellation=[clean_up_run])
def deploy_published(
    config: forms.ConfigFile,
    consumer: forms.OneConsumer = None,
    release: forms.Published | None = None,
    keep: bool = False,
) -> tuple[HandOff, ...]:
    """Deploy and prove a published version that is not deployed yet, once for each consumer.

    A version that a run on this Prefect server has deployed and proved for the consumer's account is not deployed again.

    Args:
        config: The reviewed file that names the consumers.
        consumer: The only consumer to deploy for. Leave it empty for all.
        release: The Release, from the event. Leave it empty for the newest approved version with a Release in S3.
        keep: Leave the endpoint in service.
    """
    sharing = forms.loaded(config)
    wanted = sharing.select(consumer)
    if release is not None and not release.model_package_arn.startswith(arns.package_arn(sharing, "")):
        text = f"{release.model_package_arn} is not of {arns.group_arn(sharing)}: nothing to do."
        return tuple(HandOff(name, sharing.consumers[name].account, None, text) for name in wanted)
    version = arns.version_of(release.model_package_arn) if release is not None else None
    if version is not None:
        check_shared(sharing, version)
    with sessions.reuse():
        parts = tuple(_hand(sharing, name, version, keep) for name in wanted)
    name_run(_name(sharing, parts))
    told = [(part.consumer, part.account, part.text, part.deployment is not None) for part in parts]
    summaries.tell_hand_off(sharing, told)
    lines = [f"{part.consumer} ({part.account}): {first_line(part.text)}" for part in parts if part.failed]
    if lines:
        raise Failed("\n".join(lines))
    return parts


def _name(sharing: Sharing, parts: tuple[HandOff, ...]) -> str:
    version = next((part.version for part in parts if part.version is not None), None)
    subject = "has no Release" if version is None else f"version {version}"
    receivers = [f"{part.consumer} ({part.account})" for part in parts if part.deployment or part.failed]
    return f"hand off {sharing.model_package_group} {subject} to {', '.join(receivers) or 'nobody new'}"


def _hand(sharing: Sharing, name: str, version: int | None, keep: bool) -> HandOff:
    """One consumer's part; an error does not keep the others from theirs."""
    consumer = sharing.consumers[name]
    part = partial(HandOff, name, consumer.account)
    try:
        wanted = version if version is not None else steps.find_published(sharing, name)
        if wanted is None:
            return part(None, "No approved version has a Release.")
        with steps.claimed(sharing, consumer, wanted) as earlier_run:
            if earlier_run is not None:
                return part(wanted, f"Version {wanted} was deployed by flow run {earlier_run}.")
            deployment = deploying.deployed(sharing, name, wanted, keep)
            steps.remember(sharing, consumer, wanted)
        return part(wanted, f"Version {wanted} is deployed and proved.", deployment)
    except CrossAccountError as error:
        show_error(error, name)
        return part(version, str(error), failed=True)
