"""Ctrl-C, SIGTERM and a terminal that closes: the command takes down what it made, and says so; a second one ends it at once.

The first signal raises KeyboardInterrupt where the command is, so that it cleans up. The second one names what is still there and the
command that removes it, and ends the process. Not here: the cleaning up itself (``hosting.removal``, ``tasks.reaper``).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from crossaccount.cli import live, output

if TYPE_CHECKING:
    from crossaccount.hosting.standing import Standing

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_READ_SECONDS = (
    2.0  # for answers to a read that was interrupted: a call waits for minutes where nobody answers
)
_TELL_SECONDS = 10.0  # for the Prefect server to take in that the run is over
# What else may be half done, for each command whose work is not a temporary resource.
_HALF_DONE = {
    "share": "Policies may be half written: crossaccount plan CONFIG shows it, and sharing again mends it.",
    "revoke": "Policies may be half written: the same command with --dry-run shows it, and running it again mends it.",
    "promote": "Endpoints may be half moved: the same command again goes on from what stands.",
    "rollback": "The endpoint may be half moved: the same command again goes on from what stands.",
}


class Interrupts:
    """The signals that this command was sent.

    Args:
        options: the command's.
        last: called before a read that does not end is left behind.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.exit_code, self._made = options, 0, False
        self.last: Callable[[], object] = lambda: None
        self._is_told = False

    def take(self, signum: int, frame: FrameType | None) -> None:
        """Act on a signal; a handler."""
        if self.exit_code:
            self._end_at_once()
        self.exit_code = 128 + signum
        made = _standing()
        self._made = bool(made)
        if made:
            from crossaccount.hosting import standing

            standing.listen(lambda gone: _say(f"  removed: {gone}"))
            _say("\nInterrupted. What this run made is taken down first:", *(f"  {each}" for each in made))
            _say("An endpoint can be deleted once it is no longer Creating. Interrupt again to leave it all.")
        else:
            _say("\nInterrupted: ending. Interrupt again to end at once.")
            if live.is_reading():
                threading.Thread(target=self._leave_the_read, daemon=True).start()
        raise KeyboardInterrupt

    def end(self, interrupt: KeyboardInterrupt) -> NoReturn:
        """End the process after a first signal, once everything has been cleaned up; what could not be is named."""
        self._is_told = True
        _say(*getattr(interrupt, "__notes__", ()))
        left = _standing()
        self._write(left, self._remedy(left, _runs_of(left)))
        raise SystemExit(self.exit_code or 130)

    def _leave_the_read(self) -> None:
        """End the process although threads of it still wait for answers."""
        time.sleep(_READ_SECONDS)
        if not self._is_told:
            self.last()
            self._write((), [])
        os._exit(self.exit_code)

    def _end_at_once(self) -> NoReturn:
        for each in _SIGNALS:  # a third signal ends this too
            signal.signal(each, lambda *_: os._exit(self.exit_code))
        _say("\nInterrupted again: ending at once.")
        ended = [run for run in _runs_of(_standing()) if self._tell(run)]
        left = _standing()
        self._write(left, self._remedy(left, ended))
        if half := _HALF_DONE.get(self.options.command):
            _say(half)
        os._exit(self.exit_code)

    def _tell(self, run: str) -> bool:
        """Tell Prefect's server that a run is over; whether it knows. In a thread: this one may hold a lock that it takes."""
        told = list[bool]()

        def tell() -> None:
            from crossaccount.cli import prefect_server

            told.append(prefect_server.end_run(run))

        thread = threading.Thread(target=tell, daemon=True)
        thread.start()
        thread.join(_TELL_SECONDS)
        return bool(told)

    def _remedy(self, left: tuple[Standing, ...], ended: list[str]) -> list[str]:
        """The commands that remove what is left; ``ended`` are the runs that Prefect's server knows to be over."""
        reap = f"crossaccount reap {shlex.quote(str(getattr(self.options, 'config', 'CONFIG')))}"
        at_once = [f"{reap} --run {run}" for run in ended]
        later = [f"{reap} --older-than 90    # in 90 minutes"]
        return [*at_once, *(later if not at_once or len(ended) < len(_runs_of(left)) else [])] if left else []

    def _write(self, left: tuple[Standing, ...], remedy: list[str]) -> None:
        message = "Interrupted. Nothing of it is left."
        if left:
            message = f"Interrupted. Left there: {', '.join(map(str, left))}."
            _say("Left in the consumers' accounts:", *(f"  {each}" for each in left))
            _say("To remove it:", *(f"  {each}" for each in remedy))
        elif self._made:
            _say("Nothing that this run made is left.")
        if self.options.json:
            error: dict[str, Any] = {"kind": "Interrupted", "message": message}
            error |= {"left": [each.to_json() for each in left], "remedy": remedy}
            answer = {"ok": False, "exit_code": self.exit_code or 130, "error": error}
            sys.stdout.flush()
            _put(1, json.dumps(answer) + "\n")


@contextmanager
def handled(options: argparse.Namespace) -> Iterator[Interrupts]:
    """Within this, the signals are acted on. One that is ignored, as by ``nohup`` or a shell's ``&``, stays ignored."""
    interrupts, before = Interrupts(options), dict[int, Any]()
    if threading.current_thread() is threading.main_thread():
        before = {each: signal.getsignal(each) for each in _SIGNALS}
        before = {each: handler for each, handler in before.items() if handler is not signal.SIG_IGN}
    try:
        for each in before:
            signal.signal(each, interrupts.take)
        yield interrupts
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _standing() -> tuple[Standing, ...]:
    """What this process made and has not removed; nothing before the module that makes it was imported."""
    module = sys.modules.get("crossaccount.hosting.standing")
    return () if module is None else tuple(module.standing())


def _runs_of(left: tuple[Standing, ...]) -> list[str]:
    return list(dict.fromkeys(each.flow_run for each in left if each.flow_run))


def _say(*lines: str) -> None:
    """Write to stderr past its buffer: the signal may have come while that was being written to."""
    _put(2, output.for_a_person("".join(f"{line}\n" for line in lines)))


def _put(descriptor: int, text: str) -> None:
    with contextlib.suppress(OSError):  # a terminal that was closed
        os.write(descriptor, text.encode())
