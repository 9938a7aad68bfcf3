"""What this process has made in consumers' accounts that is not to stay, and has not taken down: for whoever ends it before it has.

Kept for the whole process, since a signal comes at any moment, and asks no one for an object. It asks nothing of AWS: what another
process made or took down is not seen here. Not here: the leftovers in an account (``leftovers``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from crossaccount.hosting.resources import HostingKind


@dataclass(frozen=True)
class Standing:
    """A temporary resource: ``arn`` is empty while it is being made, ``flow_run`` None where no run's tag is on it."""

    kind: HostingKind
    name: str
    arn: str = ""
    flow_run: str | None = None

    def __str__(self) -> str:
        """In a few words."""
        account = f" in account {self.arn.split(':')[4]}" if self.arn else ", which may have been made"
        return f"{self.kind.replace('-', ' ')} {self.name}{account}"

    def to_json(self) -> dict[str, str | None]:
        """As plain data."""
        return asdict(self)


_STANDING: dict[tuple[object, HostingKind, str], Standing] = {}
_LISTENERS: list[Callable[[Standing], None]] = []


def note(client: object, resource: Standing) -> None:
    """Note a resource before it is made, and again once it is; ``client`` is the one that makes it, and that removes it."""
    _STANDING[client, resource.kind, resource.name] = resource


def forget(client: object, kind: HostingKind, name: str) -> Standing | None:
    """Forget a resource that AWS did not make, or one that is going: see `gone`; the resource, if it was noted."""
    return _STANDING.pop((client, kind, name), None)


def gone(client: object, kind: HostingKind, name: str) -> None:
    """Forget a resource that is gone, or whose deletion AWS has accepted; listeners are told."""
    if (forgotten := forget(client, kind, name)) is not None:
        for listener in _LISTENERS:
            listener(forgotten)


def listen(listener: Callable[[Standing], None]) -> None:
    """Have each resource that goes from now on told to a listener."""
    _LISTENERS.append(listener)


def standing() -> tuple[Standing, ...]:
    """All of them, in the order they were made."""
    return tuple(dict(_STANDING).values())
