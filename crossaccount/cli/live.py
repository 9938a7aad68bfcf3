"""A line on the terminal that lives while something waits: what, AWS's own status, and for how long.

It is written to stderr, and to a terminal alone: not in a pipe, where a read says once what it waits for, not with --json, not where CI is
set, and never by a Prefect worker, which runs no command. Log lines push it down. Not here: what is waited for (``crossaccount.waiting``).
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from crossaccount import waiting
from crossaccount.cli import terminal

if TYPE_CHECKING:
    import logging

_LOOK_SECONDS = 0.5
_SAY_SECONDS = 2.0
_CLEAR = "\r\x1b[K"


@contextmanager
def line(options: argparse.Namespace, subject: str) -> Iterator[None]:
    """Within this, the terminal shows what is waited for: the subject, or what a step within says.

    Args:
        options: of the command.
        subject: what is waited for while no step says more.
    """
    with waiting.on(subject):
        if not _is_watched(options):
            yield
            return
        shown = _Line()
        shown.start()
        try:
            yield
        finally:
            shown.stop()


@contextmanager
def reading(options: argparse.Namespace, subject: str) -> Iterator[None]:
    """As `line`, for a read of accounts: where no line lives, what is waited for is said once on stderr after two seconds.

    With ``--json`` nothing is said. Whoever interrupts it is not kept waiting for answers (``interrupts``). An address in ``AWS_ENDPOINT_URL`` is named: one that does not answer is waited for.
    """
    address = os.environ.get("AWS_ENDPOINT_URL")
    subject = f"{subject} at {address}" if address else subject
    with line(options, subject), _counted():
        if options.json or _is_watched(options):
            yield
            return
        ended = threading.Event()

        def say() -> None:
            if not ended.wait(_SAY_SECONDS):
                sys.stderr.write(f"waiting: {subject}\n")
                sys.stderr.flush()

        thread = threading.Thread(target=say, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


@contextmanager
def _counted() -> Iterator[None]:
    _reads.append(True)
    try:
        yield
    finally:
        _reads.pop()


def is_reading() -> bool:
    """Whether the command only reads now: nothing was changed that would have to be taken down."""
    return bool(_reads)


def _is_watched(options: argparse.Namespace) -> bool:
    plain = options.json or os.environ.get("CI") or os.environ.get("TERM") in (None, "", "dumb")
    return not plain and sys.stderr.isatty()


class _Line:
    """The line, drawn anew twice a second; whoever logs takes it away first, and it comes back below."""

    def __init__(self) -> None:
        self._ended, self._lock, self._drawn = threading.Event(), threading.Lock(), False
        self._thread = threading.Thread(target=self._live, daemon=True)

    def start(self) -> None:
        """Begin to draw."""
        _drawn.append(self)
        self._thread.start()

    def stop(self) -> None:
        """Take the line away for good."""
        self._ended.set()
        self._thread.join()
        _drawn.remove(self)
        self.clear()

    def clear(self) -> None:
        """Take the line away, until it is drawn again."""
        with self._lock:
            if self._drawn:
                sys.stderr.write(_CLEAR)
                sys.stderr.flush()
            self._drawn = False

    def _live(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            wait, others = waiting.current()
            if wait is None:
                continue
            text = written(wait, others, time.monotonic())
            with self._lock:
                sys.stderr.write(f"{_CLEAR}{text[: (terminal.columns(sys.stderr) or 80) - 1]}")
                sys.stderr.flush()
                self._drawn = True


_drawn: list[_Line] = []
_reads: list[bool] = []


def written(wait: waiting.Wait, others: int, now: float) -> str:
    """The text of the line, such as ``endpoint x: Creating, 2 min 10 s``; ``now`` is of the monotonic clock."""
    status = f": {wait.status}" if wait.status else ""
    more = f" (and {others} more)" if others else ""
    return f"{wait.subject}{status}, {_duration(now - wait.since)}{more}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def make_room(record: logging.LogRecord) -> bool:
    """Take the line away before a record is written to the terminal; a filter of a log handler."""
    clear()
    return True


def clear() -> None:
    """Take the line away before anything else is written to the terminal."""
    for each in list(_drawn):
        each.clear()
