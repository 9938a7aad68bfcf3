"""How a person called this program, so that what is printed can be pasted.

Texts say ``crossaccount COMMAND CONFIG`` wherever they are kept: in records, artifacts, reports and ``--json``. Only what a command prints
for a person names the program and the config as they were typed.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

NAME = "crossaccount"
_COMMAND = re.compile(rf"(?<![\w./-]){NAME} ([a-z]+)\b( CONFIG\b)?")


def program(first: str | None = None, typed: Sequence[str] | None = None) -> str:
    """The program as it was called: by its name, by its path, or by Python's ``-m``; ``crossaccount`` where it was not.

    Args:
        first: ``sys.argv[0]`` by default.
        typed: the whole command line, by default ``sys.orig_argv``.
    """
    path = Path(sys.argv[0] if first is None else first)
    if (path.parent.name, path.name) == (NAME, "__main__.py"):
        python = (sys.orig_argv if typed is None else typed)[0]
        return f"{shlex.quote(python)} -m {NAME}"
    if path.name != NAME:
        return NAME
    found = shutil.which(NAME)
    by_name = found is not None and path.is_absolute() and os.path.realpath(found) == os.path.realpath(path)
    return NAME if by_name else shlex.quote(str(path))


def as_typed(text: str, commands: Sequence[str], config: str | None = None, name: str | None = None) -> str:
    """The text, whose commands of this program name it as it was called.

    Args:
        text: for a person.
        commands: the program's.
        config: the file that stands for ``CONFIG`` behind a command; None leaves that word.
        name: of the program; by default how it was called.
    """
    called = program() if name is None else name

    def written(match: re.Match[str]) -> str:
        if match[1] not in commands:
            return match[0]
        file = f" {shlex.quote(config)}" if match[2] and config else match[2] or ""
        return f"{called} {match[1]}{file}"

    return _COMMAND.sub(written, text)
