"""One run of the command, from its arguments to its exit code.

Exit codes: 0 done or nothing to do, 1 failed, 2 bad input, 3 refused by AWS, or access missing that a config promises; 130 and 143
after Ctrl-C and SIGTERM. Not here: the commands (``commands``).
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import NoReturn

from crossaccount.cli import arguments, commands, interrupts, output

# New objects before the next garbage collection, 700 in Python: a start makes many and drops few.
_GARBAGE = 50_000


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Run one command, by default that of the process, and end the process with its exit code."""
    gc.set_threshold(_GARBAGE)
    options = arguments.parse(words)
    with interrupts.handled(options) as interrupted:
        try:
            result = getattr(commands, options.command)(options)
        except KeyboardInterrupt as interrupt:
            interrupted.end(interrupt)
        except Exception as error:
            from crossaccount.aws import refusals

            failure = refusals.explain(error)
            if failure is None:
                raise
            output.end(options, failure)
    if result is not None:
        output.write_json(options, result)
    raise SystemExit(0)
