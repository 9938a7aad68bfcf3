"""Text as a person or a log may see it: quoted, cut to length, without credentials and without terminal controls.

Not here: the messages themselves.
"""

import difflib
import json
import re

MAX_QUOTED = 80
_LABELLED = re.compile(
    r"""(?<![a-z])((?:x-amz-)?(?:security|session)[-_]?token|(?:x-amz-)?signature|(?:x-amz-)?credential|authorization"""
    r"""|(?:aws)?[-_]?secret[-_]?(?:access)?[-_]?key|(?:aws)?[-_]?access[-_]?key(?:[-_]?id)?)"""
    r"""(["']?\s*(?:[:=>]|%3A|%3D)\s*["']?)(?:[^\s"'&,;<>]{8,})""",
    re.IGNORECASE,
)
_KEY_ID = re.compile(r"(?<![A-Z0-9])(AKIA|ASIA)[A-Z0-9]{12,}")
_MOST_SHOWN = 20_000


def redacted(text: str) -> str:
    """Text without access key ids, and without the values of named credentials (X-Amz-Security-Token, Signature, ...).

    AWS repeats a request's headers where a signature does not match. Credentials under no name are taken out where they
    are known, where sessions are made.
    """
    return _KEY_ID.sub(r"\1****", _LABELLED.sub(r"\1\2****", text))


def harmless(text: str) -> str:
    """Text of others as it may be shown to a person and kept in a log.

    Credentials are taken out as `redacted` does, terminal controls are escaped, and 20,000 characters are kept.
    """
    text = redacted(text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}...")
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() or sign in "\n\0" else sign.encode("unicode_escape").decode()
        for sign in text
    )


def first_line(text: object) -> str:
    """The first line of a text, or of an error's message."""
    return str(text).partition("\n")[0]


def quote(value: object) -> str:
    """Quote and escape the value for a message, in at most 80 characters."""
    text = repr(value[: MAX_QUOTED + 1]) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 3] + "..."


def nearest(value: object, known: tuple[str, ...]) -> str | None:
    """The known word nearest to a value; None when none is near."""
    text = str(value)[:100]
    near = difflib.get_close_matches(text, known, n=3)
    # Of the near ones the one whose letters only changed places, which difflib counts as two faults.
    near.sort(key=lambda word: sorted(word) != sorted(text))
    return near[0] if near else None


def did_you_mean(value: object, known: tuple[str, ...]) -> str:
    """The known word nearest to a value, as a question to append to a message; empty when none is near."""
    near = nearest(value, known)
    return f" Did you mean {near}?" if near else ""


def counted(number: int, noun: str) -> str:
    """How many there are of something: ``1 fault``, ``2 faults``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
