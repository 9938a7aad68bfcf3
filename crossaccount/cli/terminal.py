"""What a terminal is given and a pipe is not: colour, and lines as wide as it is.

Colour follows the conventions, in the order of Python's own: NO_COLOR, FORCE_COLOR, TERM=dumb, and whether it is a terminal. What is
piped is never wrapped.

Source: no-color.org, force-color.org; ``_colorize.can_colorize`` of Python 3.13.
"""

import os
import re
import shutil
from typing import TextIO

_CODE = re.compile(r"\x1b\[[0-9;]*m")
_NARROWEST = 40  # columns: in fewer, lines are left to the terminal
_COMMAND = re.compile(r"\s*(?:#\s*)?(?:\S*/)?(?:aws|crossaccount|prefect|python[\d.]*|terraform|export) \S")


def has_colour(stream: TextIO) -> bool:
    """Whether text for this stream may have colour."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return os.environ.get("TERM") != "dumb" and stream.isatty()


def columns(stream: TextIO) -> int | None:
    """The columns of the terminal behind a stream; None where there is none."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def fitted(text: str, stream: TextIO) -> str:
    """The text with its lines wrapped to the terminal behind a stream, and as it is where there is none.

    A word that is longer than a line, an ARN for example, and a line that is a command stay whole, so that they can be copied.
    """
    width = columns(stream)
    if width is None or width < _NARROWEST:
        return text
    return "\n".join(part for line in text.split("\n") for part in _wrapped(line, width))


def _wrapped(line: str, width: int) -> list[str]:
    """A line in parts, the later ones below the beginning of its words."""
    if _length(line) <= width or _COMMAND.match(line):
        return [line]
    indent = " " * min(len(line) - len(line.lstrip(" ")) + 4, width // 2)
    parts, part = [], ""
    for piece in re.findall(r"\s*\S+", line):
        if part and _length(part) + _length(piece) > width:
            parts.append(part)
            part = indent + piece.lstrip(" ")
        else:
            part += piece
    return [*parts, part]


def _length(text: str) -> int:
    return len(_CODE.sub("", text))
