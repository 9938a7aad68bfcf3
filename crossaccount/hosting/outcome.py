"""The outcome of a shift: the closed set of its endings, and the sentences that each stands for.

Not here: waiting for it (``shift``).
"""

from dataclasses import dataclass
from enum import StrEnum

from crossaccount.aws.endpoint_status import SERVING_NOTHING
from crossaccount.errors import NotLive
from crossaccount.hosting.resources import gone, log_group
from crossaccount.hosting.state import LiveEndpoint


class Ending(StrEnum):
    """The ending of a shift."""

    LIVE = "live"
    ROLLED_BACK = "rolled-back"
    CREATION_FAILED = "creation-failed"
    ROLLBACK_FAILED = "rollback-failed"
    OUT_OF_SERVICE = "out-of-service"
    SYSTEM_UPDATING = "system-updating"
    TIMED_OUT = "timed-out"
    GONE = "gone"


@dataclass(frozen=True)
class ShiftOutcome:
    """How a shift to ``config`` ended, with the endpoint as it was seen last; None when it is gone."""

    ending: Ending
    endpoint: str
    config: str
    live: LiveEndpoint | None
    seconds: float

    @property
    def version(self) -> int | None:
        """The version that answers requests; None when no version does, or two do."""
        silent = (Ending.CREATION_FAILED, Ending.OUT_OF_SERVICE, Ending.GONE, Ending.ROLLBACK_FAILED)
        if self.live is None or self.live.status in SERVING_NOTHING or self.ending in silent:
            return None
        return self.live.version

    @property
    def text(self) -> str:
        """The ending, the version that is live, and the next step, in a sentence or two."""
        name, live = self.endpoint, self.live
        cause, version = (live.failure_reason, live.version) if live else (None, None)
        reason = f"AWS says: {cause}" if cause else "AWS gives no reason."
        serves = f"version {version}" if version else "a version that this tool did not make"
        logs = log_group(name, live.component if live else None)
        match self.ending:
            case Ending.LIVE:
                return f"The endpoint {name} serves {serves} ({self.config})."
            case Ending.ROLLED_BACK:
                now = live.config if live else None
                return f"AWS rolled the endpoint {name} back: {serves} is live ({now}), not {self.config}. {reason}"
            case Ending.CREATION_FAILED:
                return f"The endpoint {name} is Failed and serves nothing. {reason} Look at {logs}."
            case Ending.ROLLBACK_FAILED:
                return (
                    f"The endpoint {name} could be moved neither to {self.config} nor back, and serves a mix of both. {reason} Roll it back "
                    "to a version that proved itself."
                )
            case Ending.OUT_OF_SERVICE:
                return f"The endpoint {name} is OutOfService and answers nothing. {reason} Promote a version, or delete it."
            case Ending.SYSTEM_UPDATING:
                return (
                    f"AWS has been patching the endpoint {name} (SystemUpdating) for {self.seconds:.0f} s, and it cannot be changed until that "
                    f"ends; {serves} is live. Run this again later."
                )
            case Ending.GONE:
                return gone(name, "while it was being waited for")
            case Ending.TIMED_OUT:
                return _late_text(self, serves, logs)


def accepted(outcome: ShiftOutcome) -> LiveEndpoint:
    """The endpoint, if it came to serve the wanted endpoint config.

    Raises:
        NotLive: otherwise, with the ending and the version that is live.
    """
    if outcome.ending is Ending.LIVE and outcome.live is not None:
        return outcome.live
    raise NotLive(str(outcome.ending), outcome.endpoint, outcome.version, outcome.text)


def _late_text(outcome: ShiftOutcome, serves: str, logs: str) -> str:
    status = outcome.live.status if outcome.live else "unknown"
    late = f"The endpoint {outcome.endpoint} is still {status} after {outcome.seconds:.0f} s"
    if status == "Creating":
        return f"{late}, and serves nothing. Its container may be crash-looping: look at {logs}."
    if status in ("Updating", "RollingBack"):
        return f"{late}; {serves} still answers. The new container may be crash-looping: look at {logs}. The next run goes on from there."
    return f"{late}. Run this again later."
