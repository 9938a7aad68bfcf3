"""Files that are written whole or not at all, and never over another without consent: what each would be, and the difference to what is there.

Not here: what is in them.
"""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from crossaccount.errors import InputError
from crossaccount.files import read_file

_LIMIT = 1_000_000


@dataclass(frozen=True)
class Draft:
    """A file as it is to be: ``before`` is its text now, None where there is none."""

    path: Path
    before: str | None
    text: str

    @property
    def is_new(self) -> bool:
        """Whether there is no such file yet."""
        return self.before is None

    @property
    def changes(self) -> bool:
        """Whether a file that is there becomes another."""
        return self.before is not None and self.before != self.text

    def diff(self) -> str:
        """The unified difference to the file that is there; empty where there is none, or it stays."""
        if self.before is None:
            return ""
        lines = difflib.unified_diff(
            self.before.splitlines(),
            self.text.splitlines(),
            str(self.path),
            f"{self.path} (new)",
            lineterm="",
        )
        return "\n".join(lines)


def read_if_there(path: Path) -> str | None:
    """The text of a file; None where there is none.

    Raises:
        InputError: there is something else than a readable file of text.
    """
    try:
        content = read_file(path, _LIMIT)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: it cannot be read ({reason}). Name another file.") from None
    if len(content) > _LIMIT:
        raise InputError(f"{path}: it is larger than a config can be. Name another file.")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise InputError(f"{path}: it is no text in UTF-8. Name another file.") from None


def check_folder(path: Path) -> None:
    """See that a file can be made at a path.

    Raises:
        InputError: there is no such folder, or it may not be written.
    """
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"{path}: there is no folder {folder}. Make it, or name another file.")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{path}: the folder {folder} may not be written. Name another file.")


def write_all(drafts: Iterable[Draft]) -> list[Path]:
    """Write the files that are new or become others, each whole or not at all; their paths.

    Raises:
        InputError: a file cannot be written, or has come to be or changed since it was read: it stays as it is.
    """
    return [_write(draft) for draft in drafts if draft.is_new or draft.changes]


def _write(draft: Draft) -> Path:
    target = Path(os.path.realpath(draft.path))
    if read_if_there(target) != draft.before:
        raise InputError(f"{draft.path}: it was changed just now, and stays as it is. Run this again.")
    half = ""
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=target.parent, prefix=f".{target.name}.", delete=False
        ) as file:
            half = file.name
            file.write(draft.text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(half, target.stat().st_mode & 0o777 if draft.before is not None else 0o666 & ~_umask())
        if draft.before is None:
            os.link(half, target)  # fails where a file has come to be meanwhile
        else:
            os.replace(half, target)
            half = ""
    except OSError as error:
        raise InputError(f"{draft.path}: it cannot be written ({error.strerror}). It is as it was.") from None
    finally:
        if half:
            os.unlink(half)
    return draft.path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
