"""What a test arranges for the sandbox's endpoints, and how fast AWS's seconds pass.

AWS decides by itself when capacity is short or a rollback fails; a test has to say it. Nothing here is decided by a
name: an arranged outcome waits for the next endpoint that is created or changed, and is used up by it.

Not here: what an outcome does to an endpoint (``fleets``, ``rollouts``, ``hosting``).
"""

import threading
import time
from dataclasses import dataclass

KINDS = ("healthy", "unhealthy", "crash-loop", "no-capacity", "over-limit")
STATES = ("SystemUpdating", "OutOfService")


@dataclass(frozen=True)
class Pace:
    """How long things take.

    Args:
        endpoint_seconds: how long an endpoint stays Creating or Updating, at least; not made faster.
        speed: how many of AWS's seconds (bake, termination wait, health check) pass in one.
    """

    endpoint_seconds: float = 1.0
    speed: float = 1.0

    def real(self, seconds: float) -> float:
        """How long the sandbox takes for so many of AWS's seconds."""
        return seconds / self.speed


@dataclass(frozen=True)
class Outcome:
    """How the next change of an endpoint goes.

    Args:
        kind: ``healthy``: as its containers are. ``unhealthy``: the container runs and never answers the ping.
            ``crash-loop``: it starts and ends again and again. ``no-capacity``: InsufficientInstanceCapacity.
            ``over-limit``: refused at once with ResourceLimitExceeded.
        seconds: for how many of AWS's seconds the endpoint stays Creating or Updating before it gives up.
        batch: in a rolling deployment, which batch this befalls; the first is 0.
        silent: a failed update leaves no FailureReason, as AWS's sometimes do.
        rollback_fails: the rollback of an update fails too: UpdateRollbackFailed.
        types: of ``no-capacity``, the instance types of which there is none; empty is all. A variant's next pool is tried then.
    """

    kind: str = "healthy"
    seconds: float = 0.0
    batch: int = 0
    silent: bool = False
    rollback_fails: bool = False
    types: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a kind that is none, with a ValueError."""
        if self.kind not in KINDS:
            raise ValueError(f"kind is one of {', '.join(KINDS)}, not {self.kind!r}")


HEALTHY = Outcome()


class Outcomes:
    """The outcomes that wait for endpoints, and the endpoints that AWS holds in a state. Several threads may use it.

    Args:
        pace: how fast AWS's seconds pass.
    """

    def __init__(self, pace: Pace):
        self._pace = pace
        self._lock = threading.Lock()
        self._next: list[tuple[str | None, str | None, Outcome]] = []
        self._held: dict[tuple[str, str], tuple[str, float]] = {}

    def next_endpoint(
        self, outcome: Outcome, account: str | None = None, endpoint: str | None = None
    ) -> None:
        """Arrange how the next creation or change goes: of this account's, of this endpoint, or of any."""
        with self._lock:
            self._next.append((account, endpoint and endpoint.lower(), outcome))

    def take(self, account: str, endpoint: str) -> Outcome:
        """The outcome that waits for this endpoint, which is then used up; a healthy one when none does."""
        with self._lock:
            for entry in self._next:
                if entry[0] in (None, account) and entry[1] in (None, endpoint.lower()):
                    self._next.remove(entry)
                    return entry[2]
        return HEALTHY

    def hold(self, status: str, account: str, endpoint: str, seconds: float) -> None:
        """Hold an endpoint that is InService in ``SystemUpdating`` or ``OutOfService``, for so many of AWS's seconds.

        Raises:
            ValueError: for another status; those come about by what the endpoint goes through.
        """
        if status not in STATES:
            raise ValueError(f"status is one of {', '.join(STATES)}, not {status!r}")
        with self._lock:
            until = time.monotonic() + self._pace.real(seconds)
            self._held[account, endpoint.lower()] = (status, until)

    def held(self, account: str, endpoint: str) -> str | None:
        """The state in which AWS holds the endpoint now; None when it does not."""
        with self._lock:
            status, until = self._held.get((account, endpoint.lower()), ("", 0.0))
            return status if time.monotonic() < until else None

    def release(self, account: str, endpoint: str) -> None:
        """Hold the endpoint no longer."""
        with self._lock:
            self._held.pop((account, endpoint.lower()), None)

    def clear(self) -> None:
        """Forget everything that was arranged."""
        with self._lock:
            self._next.clear()
            self._held.clear()
