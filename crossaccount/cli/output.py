"""The command's output: with ``--json`` one object on stdout and nothing else there; text for a person goes to stderr.

Not here: the texts (``show``).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from typing import Any, NoReturn

from crossaccount import called
from crossaccount.cli import live, terminal
from crossaccount.cli.examples import EXAMPLES
from crossaccount.errors import (
    AccessMissing,
    ConfigError,
    CrossAccountError,
    NotReady,
    PlanRefused,
    PromotionFailed,
    Refused,
    VersionRecalled,
)

_config: str | None = None


def begin(options: argparse.Namespace) -> None:
    """From now on the commands that are printed for a person name this one's config."""
    global _config
    given = getattr(options, "config", None)
    only = given[0] if isinstance(given, list) and len(given) == 1 else given
    _config = str(only) if only and not isinstance(only, list) else None


def for_a_person(text: str) -> str:
    """A text whose commands are named as this one was called."""
    return called.as_typed(text, tuple(EXAMPLES), _config)


def say(text: str) -> None:
    """Write text for a person to stderr, beside the result; the commands in it as this one was called."""
    live.clear()
    print(terminal.fitted(for_a_person(text), sys.stderr), file=sys.stderr)  # noqa: T201 - for a person


def write(options: argparse.Namespace, text: str) -> None:
    """Write the result as text, the commands in it as this one was called; nothing with ``--json``."""
    write_as_it_is(options, for_a_person(text))


def write_as_it_is(options: argparse.Namespace, text: str) -> None:
    """Write the result, a file's content for one, and nothing with ``--json``."""
    if not options.json:
        live.clear()
        _print(terminal.fitted(text, sys.stdout))


def write_json(options: argparse.Namespace, result: dict[str, Any]) -> None:
    """Write the result as one object; nothing without ``--json``."""
    if options.json:
        _print(json.dumps({"ok": True, **result}))


def end(options: argparse.Namespace, error: CrossAccountError) -> NoReturn:
    """Write an error, and end the process with its exit code."""
    if options.json:
        _print(json.dumps({"ok": False, "exit_code": error.exit_code, "error": _error_json(error)}))
    else:
        say("\n".join([f"error: {error}", *getattr(error, "__notes__", ())]))
    raise SystemExit(error.exit_code)


def _print(text: str) -> None:
    """Write to stdout; where its reader has gone (``| head``) the command goes on, and what is left to write is dropped."""
    try:
        print(text, flush=True)  # noqa: T201 - the command's result
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _error_json(error: CrossAccountError) -> dict[str, Any]:
    described: dict[str, Any] = {"kind": type(error).__name__, "message": str(error)}
    if isinstance(error, Refused):
        described["refusal"] = asdict(error.refusal)
    if isinstance(error, Refused) and error.findings:
        described["findings"] = [asdict(finding) for finding in error.findings]
    if isinstance(error, ConfigError):
        described["faults"] = [asdict(fault) for fault in error.faults]
    if isinstance(error, PlanRefused):
        described["reasons"] = list(error.reasons)
        described["findings"] = [asdict(finding) for finding in error.findings]
    if isinstance(error, AccessMissing | VersionRecalled):
        described["audit"] = error.audit
    if isinstance(error, NotReady):
        described["report"] = error.report
    if isinstance(error, PromotionFailed):
        described["promotion"] = error.promotion
    if notes := getattr(error, "__notes__", ()):
        described["notes"] = list(notes)
    return described
