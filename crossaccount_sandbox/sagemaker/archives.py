"""A model.tar.gz, read with care: no member may lead out of it, and none unpacks without end.

Not here: the fetching (``fleets``), and what is done with the members (``model_server``, ``supervision``).
"""

import gzip
import io
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

UNPACKED_LIMIT = 512 * 1024 * 1024  # bytes of a model.tar.gz once decompressed
MEMBER_LIMIT = 1_000


class BrokenArchive(Exception):
    """The archive cannot be served; the message says why."""


class _Bounded(io.RawIOBase):
    """A decompressing reader that gives up past a limit: a small archive cannot fill the memory."""

    def __init__(self, archive: bytes, limit: int) -> None:
        self._source = gzip.GzipFile(fileobj=io.BytesIO(archive))
        self._limit = self._left = limit

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        content = self._source.read(self._left + 1 if size < 0 else size)
        self._left -= len(content)
        if self._left < 0:
            raise BrokenArchive(f"the archive unpacks to more than {self._limit} bytes")
        return content


@contextmanager
def _broken() -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error, tarfile.TarError, UnicodeError) as error:
        raise BrokenArchive(f"not a readable .tar.gz: {error}") from error


def member(archive: bytes, name: str, limit: int = UNPACKED_LIMIT) -> bytes:
    """One member's bytes, read in memory; the others are looked at too.

    Raises:
        BrokenArchive: when this is not such an archive, has no such member, holds a path that leads out, a link or a
            device, or unpacks to more than `limit` bytes.
    """
    found: bytes | None = None
    with _broken():
        for info, content in _members(archive, limit):
            if content is not None and PurePosixPath(info.name) == PurePosixPath(name):
                found = content.read()
    if found is None:
        raise BrokenArchive(f"the archive has no member {name}")
    return found


def check(archive: bytes, limit: int = UNPACKED_LIMIT) -> None:
    """See that every member can be read.

    Raises:
        BrokenArchive: as of `member`, for one that is not there aside.
    """
    with _broken():
        for _, content in _members(archive, limit):
            while content is not None and content.read(1 << 20):
                pass


def unpack(archive: bytes, folder: Path, limit: int = UNPACKED_LIMIT) -> None:
    """Write every member below a folder, which exists.

    Raises:
        BrokenArchive: as of `member`; also when a member cannot be written.
    """
    with _broken():
        for info, content in _members(archive, limit):
            target = folder / info.name
            if content is None:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                shutil.copyfileobj(content, file)
            target.chmod(0o600 | (info.mode & 0o755))


def _members(archive: bytes, limit: int) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """Each member with its content; None for a folder."""
    with tarfile.open(fileobj=_Bounded(archive, limit), mode="r|") as tar:
        for count, info in enumerate(tar, start=1):
            _refuse_unsafe(count, info)
            yield info, tar.extractfile(info)


def _refuse_unsafe(count: int, info: tarfile.TarInfo) -> None:
    path = PurePosixPath(info.name)
    if count > MEMBER_LIMIT:
        raise BrokenArchive(f"the archive has more than {MEMBER_LIMIT} members")
    if path.is_absolute() or ".." in path.parts:
        raise BrokenArchive(f"the archive's member {info.name!r} leads out of it")
    if not (info.isfile() or info.isdir()):
        raise BrokenArchive(f"the archive's member {info.name!r} is neither a file nor a folder")
