"""The versions that a config shares, by what it lists or by what its rule asks for; and why others are left out.

Not here: the versions as data (``versions``), and whether one that is live was recalled (``recall``).

Source: DescribeModelPackage (ModelLifeCycle, CustomerMetadataProperties) and ListModelPackages in the SageMaker API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from botocore.exceptions import ClientError

from crossaccount import parallel
from crossaccount.arns import package_arn, version_of
from crossaccount.config.model import Sharing
from crossaccount.errors import Failed, Finding, InputError, Obstacle, Severity
from crossaccount.registry.versions import (
    LOGGED,
    ModelVersion,
    check_deployable,
    describe_version,
    existing,
    fault_of,
    list_versions,
    no_version,
)

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient


@dataclass(frozen=True)
class Shareable:
    """The versions that a config shares, oldest first, and why others that it means are left out, by their numbers."""

    versions: tuple[ModelVersion, ...]
    left_out: Mapping[int, Finding]


def read_versions(sagemaker: SageMakerClient, sharing: Sharing) -> Shareable:
    """The versions that the config shares: those it lists, or those of the approved ones that agree with its rule.

    One that cannot be deployed, whatever its owner decides about it, is left out, and the others go on.

    Raises:
        Failed: when the rule chooses none, or one that the config lists is not Approved and Completed, or Logged.
    """
    if sharing.listed is None:
        arns = list_versions(sagemaker, sharing.model_package_group, "Approved")
        if not arns:
            raise Failed(
                f"{sharing.model_package_group} has no version that is Approved and Completed. Approve one, then share again."
            )
    else:
        arns = [package_arn(sharing, number) for number in reversed(sharing.listed)]
    asked = list(reversed(arns))
    results = parallel.run_all([partial(_shareable, sagemaker, sharing, arn) for arn in asked])
    out = {
        version_of(arn): each for arn, each in zip(asked, results, strict=True) if isinstance(each, Finding)
    }
    chosen = tuple(result for result in results if isinstance(result, ModelVersion))
    if not chosen and not out:
        others = [result for result in reversed(results) if isinstance(result, _Other)]
        newest = next((other for other in others if not other.is_record), others[0])
        why = f": of version {newest.number}, the newest, {newest.difference}"
        raise Failed(
            f"{sharing.model_package_group} has no Approved version that versions chooses{why}. Set its stage or metadata in the registry, or correct "
            "versions in the config."
        )
    return Shareable(chosen, out)


@dataclass(frozen=True)
class _Other:
    """A version that the rule of the config does not choose, what the two say otherwise, and whether it is a mere record."""

    number: int
    difference: str
    is_record: bool


def _shareable(sagemaker: SageMakerClient, sharing: Sharing, arn: str) -> ModelVersion | Finding | _Other:
    """A version; why it is left out; or why it is not meant at all.

    Raises:
        Failed: for one that the config lists, and that does not exist, is not Approved and Completed, or is a mere record.
    """
    number, is_listed = version_of(arn), sharing.listed is not None
    try:
        version = describe_version(sagemaker, arn)
    except Failed as failed:
        return left_out(sharing, number, str(failed))
    except ClientError as error:
        if not error.response["Error"].get("Message", "").endswith("does not exist."):
            raise
        if is_listed:
            raise Obstacle(
                f"version {number} of {sharing.model_package_group}",
                "It does not exist in the registry.",
                f"The group has: {existing(sagemaker, sharing.model_package_group)}. Correct versions in the config, or register it.",
            ) from None
        return left_out(sharing, number, "It was deleted from the registry just now.")
    undecided = (version.status, version.approval) != ("Completed", "Approved")
    if is_listed and (undecided or version.registration == LOGGED):
        check_deployable(version)
    if difference := version.difference(sharing):
        return _Other(number, difference, version.registration == LOGGED)
    fault = fault_of(version)
    if fault is None:
        return version
    out = left_out(sharing, number, f"It {fault}")
    # A record of a training is among the versions of a group by design.
    return replace(out, severity=Severity.NOTE) if version.registration == LOGGED and not is_listed else out


def left_out(sharing: Sharing, number: int, reason: str) -> Finding:
    """The finding of a version that is left out of a share, while the others go on.

    Args:
        sharing: the config.
        number: the version's.
        reason: why it cannot be deployed, and what would help, in sentences.
    """
    subject = f"version {number} of {sharing.model_package_group}"
    return Finding(Severity.WARNING, subject, f"{reason} It is left out.", "Or reject it in the registry.")


def check_chosen(sharing: Sharing, version: ModelVersion) -> None:
    """Refuse a version that the rule of the config does not choose.

    Raises:
        InputError: with what the version says otherwise, and the way out.
    """
    if difference := version.difference(sharing):
        raise InputError(
            f"The config does not share version {version.version}: {difference}. Choose another, or its owner moves it on in the registry."
        )


def refuse_unshared(sagemaker: SageMakerClient, sharing: Sharing, number: int) -> NoReturn:
    """Refuse a version that `read_versions` did not find, with what the registry says of it.

    Raises:
        InputError: for an Approved one that the rule of the config does not choose.
        Failed: for any other: one that does not exist, with those that do; and one that is not Approved.
        ClientError: when AWS refuses.
    """
    try:
        version = describe_version(sagemaker, package_arn(sharing, number))
    except ClientError as error:
        if not error.response["Error"].get("Message", "").endswith("does not exist."):
            raise
        raise no_version(sagemaker, sharing.model_package_group, number) from None
    check_deployable(version)
    check_chosen(sharing, version)
    raise Failed(
        f"Version {number} of {sharing.model_package_group} was not Approved when the registry was read, and is now. Run this again."
    )
