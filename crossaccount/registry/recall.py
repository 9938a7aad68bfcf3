"""Whether a version that is live is still one to be live: what the registry says of it now, held against a config.

Not here: which versions are live (``sharing.usage``, ``promotion.history``), and what is done about it: nothing by itself.

Source: DescribeModelPackage and UpdateModelPackage (ModelApprovalStatus, ModelLifeCycle) in the SageMaker API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from crossaccount.arns import package_arn
from crossaccount.config.model import Sharing
from crossaccount.errors import Failed
from crossaccount.registry.versions import describe_version

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient


class Standing(StrEnum):
    """A live version's standing: as shared; recalled by the registry; no longer listed by the config; or not to be told."""

    SHARED = "shared"
    RECALLED = "recalled"
    NOT_LISTED = "not listed"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class VersionState:
    """What the registry says of a version now.

    ``reason`` is the ground for the standing, after "which", and empty for one that is as shared. ``approval``, ``stage``,
    ``stage_status`` and ``card`` (the status of its model card) are None where the registry says none, or cannot be read.
    """

    version: int
    standing: Standing
    reason: str = ""
    approval: str | None = None
    stage: str | None = None
    stage_status: str | None = None
    card: str | None = None

    @property
    def words(self) -> str:
        """The registry's words of it, in a few."""
        return words_of(self.approval, self.stage, self.stage_status, self.card)


def words_of(approval: str | None, stage: str | None, status: str | None, card: str | None) -> str:
    """What the registry says of a version, in a few words: its approval, its stage, and the status of its model card."""
    of_stage = f"stage {stage} ({status})" if stage else None
    of_card = f"model card {card}" if card else None
    return ", ".join(filter(None, (approval, of_stage, of_card)))


def read_state(sagemaker: SageMakerClient, sharing: Sharing, number: int) -> VersionState:
    """The state of a version, as the client's account may read it.

    Raises:
        ClientError: AWS's errors other than a refusal.
    """
    try:
        described = describe_version(sagemaker, package_arn(sharing, number))
    except Failed:  # its containers cannot be read: that keeps it from being deployed, and recalls nothing
        return VersionState(number, Standing.CANNOT_TELL, "is described in a way that cannot be read")
    except ClientError as error:
        said = error.response["Error"]
        if said.get("Message", "").endswith("does not exist."):
            return VersionState(number, Standing.RECALLED, "was deleted from the registry")
        if said["Code"] not in ("AccessDenied", "AccessDeniedException"):
            raise
        return VersionState(number, Standing.CANNOT_TELL, "the registry does not show to this account")
    said_of_it = {
        "approval": described.approval,
        "stage": described.stage,
        "stage_status": described.stage_status,
        "card": described.card,
    }
    standing, reason = _judged(sharing, number, described.approval, described.difference(sharing))
    return VersionState(number, standing, reason, **said_of_it)


def _judged(sharing: Sharing, number: int, approval: str, difference: str) -> tuple[Standing, str]:
    if approval != "Approved":
        return Standing.RECALLED, f"is {approval} in the registry"
    if difference:
        return Standing.RECALLED, f"versions no longer chooses: {difference}"
    if sharing.listed is not None and number not in sharing.listed:
        return Standing.NOT_LISTED, "versions no longer lists"
    return Standing.SHARED, ""


def with_approvals(
    state: VersionState, sharing: Sharing, approvals: Mapping[int, str] | None
) -> VersionState:
    """A state that could not be told, as far as the approvals of all versions tell it; None for approvals that are not known."""
    if state.standing is not Standing.CANNOT_TELL or approvals is None:
        return state
    if (approval := approvals.get(state.version)) is None:
        return replace(state, standing=Standing.RECALLED, reason="was deleted from the registry")
    standing, reason = _judged(sharing, state.version, approval, "")
    if standing is Standing.SHARED and any(
        (sharing.rule.stage, sharing.rule.stage_status, sharing.rule.metadata)
    ):
        return replace(state, approval=approval)
    return replace(state, standing=standing, reason=reason, approval=approval)
