"""What CloudWatch Logs holds: groups, their streams, and the events in these, numbered through.

Not here: the operations on them (``logs``), and who may put events there.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from crossaccount_sandbox.world import Place

EVENT_BYTES = 262_144  # of one event's message; what is longer becomes several


@dataclass(frozen=True)
class Event:
    """One line that was written.

    Args:
        number: counted through all groups, from 1; later ones have higher numbers, and no earlier time.
        time: milliseconds since the epoch.
        stream: the name of its log stream.
        message: the line, without its end.
    """

    number: int
    time: int
    stream: str
    message: str


@dataclass
class Stream:
    """A log stream; ``created`` in milliseconds since the epoch."""

    name: str
    created: int
    events: list[Event] = field(default_factory=list)


@dataclass
class Group:
    """A log group; ``created`` in milliseconds since the epoch."""

    name: str
    created: int
    streams: dict[str, Stream] = field(default_factory=dict)


def milliseconds(time: datetime) -> int:
    """A time as CloudWatch Logs has it."""
    return int(time.timestamp() * 1000)


class LogStore:
    """The log groups of all accounts. May be used by several threads."""

    def __init__(self) -> None:
        self._groups: dict[tuple[Place, str], Group] = {}
        self._lock = threading.RLock()
        self._count = 0

    def groups(self, place: Place) -> list[Group]:
        """The groups of an account and region, by name."""
        with self._lock:
            held = [group for (of, _), group in self._groups.items() if of == place]
        return sorted(held, key=lambda group: group.name)

    def find(self, place: Place, name: str) -> Group | None:
        """The group of this name; None when there is none."""
        with self._lock:
            return self._groups.get((place, name))

    def make(self, place: Place, name: str, stream: str, now: datetime) -> None:
        """Make the group and the stream where they are not there yet."""
        with self._lock:
            group = self._groups.setdefault((place, name), Group(name, milliseconds(now)))
            group.streams.setdefault(stream, Stream(stream, milliseconds(now)))

    def write(self, place: Place, name: str, stream: str, lines: Iterable[str], now: datetime) -> None:
        """Append lines to a stream that is there; nothing where it was deleted."""
        with self._lock:
            group = self._groups.get((place, name))
            held = None if group is None else group.streams.get(stream)
            if held is None:
                return
            for line in lines:
                self._count += 1
                held.events.append(Event(self._count, milliseconds(now), stream, line))

    def events(self, group: Group, streams: Iterable[str]) -> list[Event]:
        """The events of these streams of a group, oldest first."""
        with self._lock:
            found = [event for name in streams for event in group.streams[name].events]
        return sorted(found, key=lambda event: event.number)

    def delete(self, place: Place, name: str) -> bool:
        """Delete a group; False when there is none."""
        with self._lock:
            return self._groups.pop((place, name), None) is not None
