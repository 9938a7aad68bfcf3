"""Patterns tried on texts of strangers in bounded time: in a process of their own, which is ended when the time is up.

Python's own matching cannot be stopped, and holds up every thread. Not here: what a pattern means (Python's ``re``).
"""

import json
import re
import select
import subprocess
import sys
import time
from types import TracebackType

_CHILD = (
    "import json, re, sys\n"
    "for line in sys.stdin.buffer:\n"
    "    re.search(*json.loads(line))\n"
    "    print(flush=True)\n"
)
_STEPS_AT_ONCE = 10_000_000  # about a tenth of a second
_NESTED = re.compile(r"\)[*+?{]")


class Undecided(Exception):
    """A pattern that was not decided in time; the message says which, on how long a text."""


class Patterns:
    """Sees whether patterns end in time; also a context manager that ends its process.

    Args:
        deadline: of all of them together, by `time.monotonic`.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Patterns":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def check(self, pattern: str, text: str) -> None:
        """See that searching the text for the pattern ends in time, so that it can be done here.

        Raises:
            Undecided: when it does not.
        """
        if not is_quick(pattern, len(text)) and not self._ends(pattern, text):
            self._end()  # it reads no further text
            raise Undecided(
                f"the pattern {json.dumps(pattern)[:80]} was not decided in time on a text of {len(text)} characters"
            )

    def _ends(self, pattern: str, text: str) -> bool:
        if self._child is None:
            command = [sys.executable, "-I", "-S", "-c", _CHILD]
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own text
        stdin, stdout = self._child.stdin, self._child.stdout
        if stdin is None or stdout is None:
            return False
        try:
            stdin.write(json.dumps([pattern, text]).encode() + b"\n")
            stdin.flush()
        except OSError:  # it has ended
            return False
        rest = self._deadline - time.monotonic()
        ready, _, _ = select.select([stdout], [], [], max(rest, 0.0))
        return bool(ready and stdout.readline() == b"\n")


def is_quick(pattern: str, length: int) -> bool:
    """Whether any search of a text of this length for the pattern takes a moment only, by its repetitions alone."""
    repetitions = sum(map(pattern.count, "*+?{"))
    if _NESTED.search(pattern):
        return length < 16 and repetitions < 3
    steps: int = (length + 1) ** (repetitions + 1)
    return steps <= _STEPS_AT_ONCE
