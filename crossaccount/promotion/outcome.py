"""The outcome of a promotion or a rollback for one consumer, as plain data, and the checks of one that another run wrote.

Not here: the promotion itself (``moving``).
"""

import json
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter

from crossaccount.arns import package_arn
from crossaccount.config.model import Sharing
from crossaccount.errors import CrossAccountError, Refused
from crossaccount.hosting.resources import Removal
from crossaccount.proof.proof import Proof

ROLLED_BACK = "Rolled back: "  # how the text of a rollback begins


class Result(StrEnum):
    """The result for one consumer.

    Its endpoint serves the version now (promoted) or did before (unchanged); it does not (failed); its turn did not come
    (skipped); or it was rolled back from this version and only a promotion that names the version moves it (held).
    """

    PROMOTED = "promoted"
    UNCHANGED = "unchanged"
    HELD = "held"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class ConsumerOutcome:
    """One consumer's part of a promotion.

    ``before`` and ``live`` are the versions that its endpoint served before and after, None for none, or for a mix of two;
    ``refused`` is True when AWS said no; ``left`` names the resources that could not be removed.
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

    def __str__(self) -> str:
        """In a line or more."""
        return f"{self.consumer}: {self.what}. {self.text}"

    @property
    def what(self) -> str:
        """The result in a person's words: where it went when it moved."""
        if self.result is not Result.PROMOTED or self.before is None or self.before == self.live:
            return str(self.result)
        is_back = self.before > self.version or self.text.startswith(ROLLED_BACK)
        moved = "moved back" if is_back else "promoted"
        return f"{moved} from version {self.before}"

    @property
    def left(self) -> tuple[str, ...]:
        """The resources that could not be removed."""
        return tuple(
            f"{removal.kind} {removal.name}" for removal in self.removals if removal.outcome == "left"
        )

    @property
    def went_well(self) -> bool:
        """Whether it serves the version, or is held from it, and no resource is left."""
        return self.result in (Result.PROMOTED, Result.UNCHANGED, Result.HELD) and not self.left

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "left": list(self.left)}


def read_outcome(data: object) -> ConsumerOutcome:
    """The outcome that `ConsumerOutcome.to_json` wrote; `mismatch` says whether it answers the request.

    Raises:
        ValueError: for data that `ConsumerOutcome.to_json` does not write.
        RecursionError: when it is nested too deep.
    """
    if not isinstance(data, dict):
        raise ValueError("it is not an object")
    text = json.dumps({key: value for key, value in data.items() if key != "left"}, allow_nan=False)
    outcome: ConsumerOutcome = TypeAdapter(ConsumerOutcome).validate_json(text, strict=True)
    # The line above drops a key that no outcome has, at any depth: so the way back must give all of the data again.
    if not _within(data, json.loads(json.dumps(outcome.to_json()))):
        raise ValueError("it has keys that no outcome has")
    return outcome


def _within(data: object, whole: object) -> bool:
    """Whether the whole has all of the data; a worker of an earlier version may not have written every key."""
    if isinstance(data, dict) and isinstance(whole, dict):
        return all(key in whole and _within(value, whole[key]) for key, value in data.items())
    if isinstance(data, list) and isinstance(whole, list):
        return len(data) == len(whole) and all(map(_within, data, whole))
    return data == whole


def mismatch(
    outcome: ConsumerOutcome, sharing: Sharing, name: str, version: int | None, back: bool
) -> str | None:
    """Why an outcome that another run wrote cannot be that of the request, in a few words; None when it can.

    Args:
        outcome: the outcome.
        sharing: the config.
        name: the consumer.
        version: the requested version; None with ``back`` is any earlier one.
        back: whether a rollback was requested.
    """
    consumer = sharing.consumers[name]
    if (outcome.consumer, outcome.account, outcome.stage) != (name, consumer.account, consumer.stage):
        return f"it is of {outcome.consumer} (account {outcome.account}, stage {outcome.stage})"
    if outcome.result is Result.FAILED:
        return None if version in (None, outcome.version) else f"it is of version {outcome.version}"
    if version not in (None, outcome.version) or outcome.live != outcome.version:
        return f"it is of version {outcome.version}, with {outcome.live} live"
    if outcome.result is Result.UNCHANGED and not back:
        return None
    if outcome.result is not Result.PROMOTED:
        return f"its result cannot be {outcome.result}"
    subject = (name, consumer.account, package_arn(sharing, outcome.version).lower(), outcome.version)
    subjects = {
        (proof.consumer, proof.account, proof.model_package_arn.lower(), proof.version)
        for proof in outcome.proofs
    }
    is_proven = subjects == {subject} and all(proof.verified for proof in outcome.proofs)
    return None if is_proven else "it has no proof of that version there"


def not_moved(sharing: Sharing, name: str, version: int, result: Result, why: str) -> ConsumerOutcome:
    """The outcome of a consumer whose endpoint was not touched."""
    consumer = sharing.consumers[name]
    return ConsumerOutcome(name, consumer.account, consumer.stage, result, version, None, None, why)


def not_begun(sharing: Sharing, name: str, version: int, error: CrossAccountError) -> ConsumerOutcome:
    """The outcome of a consumer whose part failed before its endpoint was touched."""
    outcome = not_moved(sharing, name, version, Result.FAILED, str(error))
    return replace(outcome, refused=isinstance(error, Refused))
