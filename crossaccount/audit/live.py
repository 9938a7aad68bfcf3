"""The endpoints of the consumers that serve versions of the group, with what the registry says of those versions now.

Not here: whether access is there (``documents``, ``probe``), and the judgement of a version (``registry.recall``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from crossaccount.aws.access import Target
from crossaccount.config.model import Sharing
from crossaccount.registry.recall import Standing, VersionState, read_state, with_approvals
from crossaccount.sharing import usage


@dataclass(frozen=True)
class LiveVersion:
    """A consumer's endpoint, and the version that it serves; ``is_own`` for the one that the config names.

    ``is_shadow`` for a version that stands there as a shadow variant, whose answers no caller gets.
    """

    consumer: str
    account: str
    endpoint: str
    is_own: bool
    state: VersionState
    is_shadow: bool = False

    def __str__(self) -> str:
        """In a line."""
        return f"{self.consumer} ({self.account}): {self.endpoint} {self.sentence}"

    @property
    def sentence(self) -> str:
        """What it serves, what the registry says, and what to do where that is not as shared."""
        state = self.state
        words = f" ({state.words})" if state.words else ""
        if state.standing is Standing.SHARED:
            return f"{self.part}{words}"
        way_out = "" if state.standing is Standing.CANNOT_TELL else f" {self._way_out}"
        return f"{self.part}{words}, which {state.reason}.{way_out}"

    @property
    def part(self) -> str:
        """What the endpoint does with the version, in a few words."""
        if self.is_shadow:
            return f"has as shadow variant version {self.state.version}"
        return f"serves version {self.state.version}"

    @property
    def _way_out(self) -> str:
        if self.is_shadow:
            return "No caller gets its answers, and the next promotion takes it away: crossaccount promote CONFIG. No access was narrowed."
        if not self.is_own:
            return "Delete the endpoint once nobody needs it. No access was narrowed."
        return (
            f"Promote another version: crossaccount promote CONFIG; or go back: crossaccount rollback CONFIG --consumer {self.consumer} "
            "--reason TEXT. No access was narrowed."
        )

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        state = self.state
        return {
            "consumer": self.consumer,
            "account": self.account,
            "endpoint": self.endpoint,
            "version": state.version,
            "shadow": self.is_shadow,
            "standing": str(state.standing),
            "reason": state.reason,
            "approval": state.approval,
            "stage": state.stage,
            "stage_status": state.stage_status,
            "model_card": state.card,
        }


def find_live(target: Target) -> tuple[LiveVersion, ...]:
    """The endpoints of a consumer and what they serve, in its own role.

    Raises:
        ClientError: when AWS refuses to show them.
    """
    running = usage.own_endpoints(target)
    numbers = {number for serving, beside in running.values() for number in (*serving, *beside)}
    states = {number: read_state(target.sagemaker, target.config, number) for number in numbers}
    own = target.consumer.endpoint.name.lower()
    return tuple(
        LiveVersion(target.name, target.account, endpoint, endpoint.lower() == own, states[number], is_shadow)
        for endpoint, (serving, beside) in sorted(running.items())
        for is_shadow, numbers_there in ((False, serving), (True, beside))
        for number in numbers_there
    )


def told_by_producer(live: LiveVersion, sharing: Sharing, approvals: Mapping[int, str] | None) -> LiveVersion:
    """The same, where the consumer could not tell, as far as the producer's approvals tell it."""
    return replace(live, state=with_approvals(live.state, sharing, approvals))
