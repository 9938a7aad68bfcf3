"""One run of the command, from its arguments to its exit code.

Exit codes: 0 done or nothing to do, 1 failed, 2 bad input, 3 refused by AWS, or access missing that a config promises; 130 after
Ctrl-C, 143 after SIGTERM, 129 where the terminal was closed. Not here: the commands (``commands``).
"""

from __future__ import annotations

import argparse
import gc
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from crossaccount.cli import arguments, commands, interrupts, output

if TYPE_CHECKING:
    from crossaccount.cli.reports import Files

# New objects before the next garbage collection, 700 in Python: a start makes many and drops few.
_GARBAGE = 50_000


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Run one command, by default that of the process, and end the process with its exit code."""
    gc.set_threshold(_GARBAGE)
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what may come next
        from crossaccount.cli import completing

        completing.answer()
    # Of a command that may have access to production, Prefect's makers are told nothing, unless somebody says so.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    options = arguments.parse(words)
    output.begin(options)
    files = None
    with interrupts.handled(options) as interrupted:
        try:
            files = _report_files(options)
            interrupted.last = lambda: _stopped(files, interrupted.exit_code, "It was interrupted.")
            result = getattr(commands, options.command)(options)
        except KeyboardInterrupt as interrupt:
            _stopped(files, interrupted.exit_code or 130, "It was interrupted.")
            interrupted.end(interrupt)
        except SystemExit as end:
            _stopped(files, int(end.code or 0), f"It was stopped, with exit code {end.code}.")
            raise
        except Exception as error:
            from crossaccount.aws import refusals

            failure = refusals.explain(error)
            if failure is None:
                _stopped(files, 1, f"It met an error that nobody foresaw: {type(error).__name__}.")
                raise
            if files is not None:
                files.failed(failure)
            output.end(options, failure)
    if files is not None:
        files.ended(result)
    if result is not None:
        output.write_json(options, result)
    raise SystemExit(0)


def _report_files(options: argparse.Namespace) -> Files | None:
    """The files of --junit and --summary; None for a command that has neither."""
    if getattr(options, "junit", None) is None and getattr(options, "summary", None) is None:
        return None
    from crossaccount.cli import reports

    return reports.Files(options)


def _stopped(files: Files | None, exit_code: int, reason: str) -> None:
    if files is not None:
        files.stopped(exit_code, reason)
