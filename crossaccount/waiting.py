"""What this process waits for just now: a step's own words and the status that AWS last said, for whoever wants to show it.

Nothing is shown here: the command does, on a terminal (``cli.live``); a Prefect worker does not. Not here: progress artifacts.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock


@dataclass
class Wait:
    """Something that is waited for: ``subject`` is what, ``status`` AWS's own word, ``since`` of the monotonic clock, in seconds.

    ``around`` is the wait that it is a part of.
    """

    subject: str
    status: str = ""
    around: "Wait | None" = None
    since: float = field(default_factory=time.monotonic)


_waits: list[Wait] = []
_lock = Lock()
_here: ContextVar[Wait | None] = ContextVar("crossaccount_wait", default=None)


@contextmanager
def on(subject: str) -> Iterator[Wait]:
    """Within this, the process waits for the subject."""
    wait = Wait(subject, around=_here.get())
    with _lock:
        _waits.append(wait)
    token = _here.set(wait)
    try:
        yield wait
    finally:
        _here.reset(token)
        with _lock:
            _waits[:] = [each for each in _waits if each is not wait]


def say(subject: str, status: str) -> None:
    """Tell what the innermost wait of this thread now waits for, and the status of that; nothing outside of any."""
    wait = _here.get()
    if wait is not None:
        if wait.subject != subject:
            wait.since = time.monotonic()
        wait.subject, wait.status = subject, status


def current() -> tuple[Wait | None, int]:
    """What is waited for, of several the one that was begun last, and how many others; None while nothing is.

    A wait within another stands for that.
    """
    with _lock:
        outer = [id(wait.around) for wait in _waits]
        inner = [wait for wait in _waits if id(wait) not in outer]
        return (inner[-1] if inner else None), max(len(inner) - 1, 0)
