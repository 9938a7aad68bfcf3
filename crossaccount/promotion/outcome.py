"""The outcome of a promotion or a rollback for one consumer, as plain data, and whether one that others wrote is believable."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from crossaccount.arns import package_arn
from crossaccount.hosting.resources import Removal
from crossaccount.proof.proof import Proof

if TYPE_CHECKING:
    from crossaccount.config.model import Sharing


class Result(StrEnum):
    """What became of one consumer: its endpoint serves the version now, or did before; or it does not, or it was not its turn.

    Held is one that was rolled back from this version: only a promotion that names the version brings it there again.
    """

    PROMOTED = "promoted"
    UNCHANGED = "unchanged"
    HELD = "held"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class ConsumerOutcome:
    """One consumer's part of a promotion.

    ``before`` and ``live`` are the versions that its endpoint served before and after, None for nothing, or for a mix of two;
    ``refused`` is True when AWS said no; ``left`` names what could not be removed.
    """

    consumer: str
    account: str
    stage: int
    result: Result
    version: int
    before: int | None
    live: int | None
    text: str
    refused: bool = False
    proofs: tuple[Proof, ...] = ()
    removals: tuple[Removal, ...] = ()
    seconds: float = 0.0

    @property
    def left(self) -> tuple[str, ...]:
        """The resources that could not be removed."""
        return tuple(
            f"{removal.kind} {removal.name}" for removal in self.removals if removal.outcome == "left"
        )

    @property
    def went_well(self) -> bool:
        """True when it serves the version, or is held from it, and nothing was left behind."""
        return self.result in (Result.PROMOTED, Result.UNCHANGED, Result.HELD) and not self.left

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "left": list(self.left)}


def read_outcome(data: object) -> ConsumerOutcome:
    """The outcome that `ConsumerOutcome.to_json` wrote; whether it is the one that was asked for says `mismatch`.

    Raises:
        ValueError: for anything that `ConsumerOutcome.to_json` does not write.
        RecursionError: when it is nested too deep.
    """
    if not isinstance(data, dict):
        raise ValueError("it is no outcome")
    text = json.dumps({key: value for key, value in data.items() if key != "left"}, allow_nan=False)
    outcome: ConsumerOutcome = TypeAdapter(ConsumerOutcome).validate_json(text, strict=True)
    # A key that no outcome has, at whatever depth, is dropped by the line above: so the way back must give all of it again.
    if json.loads(json.dumps(outcome.to_json())) != data:
        raise ValueError("it has more in it than an outcome")
    return outcome


def mismatch(outcome: ConsumerOutcome, sharing: Sharing, name: str, version: int | None, back: bool) -> str:
    """Why an outcome that others wrote down cannot be that of the request, in a few words; empty when it can.

    Args:
        outcome: the outcome.
        sharing: the config.
        name: the consumer.
        version: the version that was asked for; None with ``back`` is any earlier one.
        back: whether a rollback was asked for.
    """
    consumer = sharing.consumers[name]
    if (outcome.consumer, outcome.account, outcome.stage) != (name, consumer.account, consumer.stage):
        return f"it is of {outcome.consumer} (account {outcome.account}, stage {outcome.stage})"
    if outcome.result is Result.FAILED:
        return "" if version in (None, outcome.version) else f"it is of version {outcome.version}"
    if version not in (None, outcome.version) or outcome.live != outcome.version:
        return f"it is of version {outcome.version}, with {outcome.live} live"
    if outcome.result is Result.UNCHANGED and not back:
        return ""
    if outcome.result is not Result.PROMOTED:
        return f"nobody asked for {outcome.result}"
    subject = (name, consumer.account, package_arn(sharing, outcome.version), outcome.version)
    subjects = {
        (proof.consumer, proof.account, proof.model_package_arn, proof.version) for proof in outcome.proofs
    }
    if subjects != {subject} or not all(proof.verified for proof in outcome.proofs):
        return "it has no proof of that version there"
    return ""


def not_moved(sharing: Sharing, name: str, version: int, result: Result, why: str) -> ConsumerOutcome:
    """The outcome of a consumer for whom nothing was done."""
    consumer = sharing.consumers[name]
    return ConsumerOutcome(name, consumer.account, consumer.stage, result, version, None, None, why)
