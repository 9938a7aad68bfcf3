"""The files of ``--junit`` and ``--summary``: seen to be writable before anything runs, and written however the command ends.

The JUnit file is written anew; the summary is appended to, as ``$GITHUB_STEP_SUMMARY`` and several commands in turn want it. Not here:
the cases (``cases``), and their form (``show.reports``).
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crossaccount.cli import cases, output
from crossaccount.errors import CrossAccountError, InputError
from crossaccount.show import reports
from crossaccount.show.reports import Case, Outcome, Report


class Files:
    """The files that a command was asked for; each of its methods writes them, with one of the ways that a command ends."""

    def __init__(self, options: argparse.Namespace) -> None:
        """See that each can be written.

        Raises:
            InputError: for one that cannot.
        """
        self._options = options
        self._begun, self._clock = datetime.now(UTC), time.monotonic()
        for name in ("junit", "summary"):
            path: Path | None = getattr(options, name)
            if path is not None:
                _try(f"--{name}", path)

    def ended(self, result: dict[str, Any]) -> None:
        """The command ended well."""
        found = cases.of_result(self._options.command, result)
        doubtful = sum(case.outcome is Outcome.SKIPPED for case in found)
        self._write(0, f"done{f', {doubtful} not tried or not to be told' if doubtful else ''}", found)

    def failed(self, error: CrossAccountError) -> None:
        """The command ended with an error made for a person."""
        notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
        found = cases.of_error(self._options.command, error)
        self._write(error.exit_code, cases.verdict(error), _noted(found, notes))

    def stopped(self, exit_code: int, reason: str) -> None:
        """The command was stopped, or met an error that nobody foresaw."""
        self._write(exit_code, reason, cases.of_stop(reason))

    def _write(self, exit_code: int, verdict: str, found: tuple[Case, ...]) -> None:
        report = Report(
            command=self._options.command,
            config=str(self._options.config),
            exit_code=exit_code,
            verdict=verdict,
            cases=found,
            started=self._begun.strftime("%Y-%m-%dT%H:%M:%S"),
            seconds=time.monotonic() - self._clock,
        )
        for path, mode, text in (
            (self._options.junit, "w", reports.junit(report)),
            (self._options.summary, "a", reports.markdown(report)),
        ):
            if path is not None:
                _save(path, mode, text)


def _noted(found: tuple[Case, ...], notes: str) -> tuple[Case, ...]:
    return (*found, Case("run", "is as it should be", Outcome.FAILED, notes.strip())) if notes else found


def _save(path: Path, mode: str, text: str) -> None:
    """Write a file; one that can no longer be written changes nothing of how the command ends, and is told."""
    try:
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        output.say(f"{path}: it can no longer be written: {error.strerror}.")


def _try(option: str, path: Path) -> None:
    """Open the file as it will be opened, and leave it as it was."""
    was_there = path.exists()
    try:
        path.open("ab").close()
    except OSError as error:
        raise InputError(f"{option} {path}: it cannot be written: {error.strerror}.") from None
    if not was_there:
        path.unlink()
