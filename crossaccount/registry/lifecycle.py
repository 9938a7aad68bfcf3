"""A version's ModelLifeCycle, told to the registry as its promotion goes on: written where it says something else, and read back.

Not here: when it is told (``flows.promotion``). Nothing else of a version is ever written, its approval least of all.

Source: UpdateModelPackage and ModelLifeCycle in the SageMaker API reference; its condition keys in the Service Authorization Reference.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from crossaccount.arns import package_arn
from crossaccount.config.lifecycle import LifeCycle
from crossaccount.config.model import Sharing
from crossaccount.errors import Conflict

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

_SHOWN_PAUSES = (0.2, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Told:
    """What the registry was told at the end of a stage of a promotion.

    ``result`` is ``written``, ``unchanged`` (it said so already, or that a later stage is done), ``left`` (not every consumer of
    the stage serves the version), ``failed``, or in a dry run ``would be written``. ``before`` is what it said, None for nothing.
    """

    promotion_stage: int
    stage: str
    status: str
    result: str
    text: str
    before: str | None = None

    @property
    def went_well(self) -> bool:
        """Whether the registry says what it should, or was rightly left alone."""
        return self.result != "failed"

    def __str__(self) -> str:
        """In a line."""
        return f"registry, stage {self.promotion_stage}: {self.result}. {self.text}"

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def tell(sagemaker: SageMakerClient, sharing: Sharing, version: int, number: int) -> Told:
    """Tell the registry that a stage of a promotion is done, unless it says so already.

    Args:
        sagemaker: the producer's client.
        sharing: the config, which says what to tell.
        version: the version.
        number: the stage of the promotion.

    Raises:
        Conflict: when the version does not read back as it was told.
        ClientError: AWS's refusal.
    """
    foreseen, wanted = foresee(sagemaker, sharing, version, number), sharing.lifecycle[number]
    if foreseen.result == "unchanged":
        return foreseen
    arn, cycle = package_arn(sharing, version), {"Stage": wanted.stage, "StageStatus": wanted.status}
    if wanted.description is not None:
        cycle["StageDescription"] = wanted.description
    sagemaker.update_model_package(ModelPackageArn=arn, ModelLifeCycle=cycle)  # type: ignore[arg-type]
    for pause in (0.0, *_SHOWN_PAUSES):
        time.sleep(pause)
        now = _read(sagemaker, arn)
        if _says(now, wanted):
            text = f"Version {version} is in {wanted} now."
            return _told(number, wanted, "written", text, foreseen.before)
    raise Conflict(
        f"Version {version} of {sharing.model_package_group} reads back in {_words(now) or 'no stage'}, not in {wanted}: somebody else writes it too. "
        "CloudTrail says who. Then promote again."
    )


def foresee(sagemaker: SageMakerClient, sharing: Sharing, version: int, number: int) -> Told:
    """What `tell` would do, without doing it; raises as it does."""
    wanted = sharing.lifecycle[number]
    now = _read(sagemaker, package_arn(sharing, version))
    before = _words(now)
    if _says(now, wanted):
        return _told(number, wanted, "unchanged", f"Version {version} is in {wanted} already.", before)
    # A promotion that is run again does not take a version back from the stage that it came to.
    if any(_says(now, later) for later in _after(sharing, number)):
        return _told(number, wanted, "unchanged", f"Version {version} is further on, in {before}.", before)
    return _told(number, wanted, "would be written", f"Version {version} would be in {wanted}.", before)


def not_told(sharing: Sharing, number: int, result: str, text: str) -> Told:
    """What came of telling the registry of a stage, where nothing was written."""
    return _told(number, sharing.lifecycle[number], result, text, None)


def _after(sharing: Sharing, number: int) -> Iterable[LifeCycle]:
    return (each for stage, each in sharing.lifecycle.items() if stage > number)


def _told(number: int, wanted: LifeCycle, result: str, text: str, before: str | None) -> Told:
    return Told(number, wanted.stage, wanted.status, result, text, before)


def _read(sagemaker: SageMakerClient, arn: str) -> dict[str, Any]:
    described = sagemaker.describe_model_package(ModelPackageName=arn, IncludedData="MetadataOnly")
    return dict(described.get("ModelLifeCycle") or {})


def _says(now: dict[str, Any], wanted: LifeCycle) -> bool:
    same = (now.get("Stage"), now.get("StageStatus")) == (wanted.stage, wanted.status)
    return same and wanted.description in (None, now.get("StageDescription"))


def _words(now: dict[str, Any]) -> str | None:
    return f"stage {now['Stage']} ({now['StageStatus']})" if now.get("Stage") else None
