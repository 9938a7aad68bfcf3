"""A folder of questions becomes the archive that a producer registers with a version: the same bytes for the same folder.

Each *.json, *.yaml and *.yml of the folder has one question or a list of them, in the keys of a config's questions; the files that
they name as bodies lie beside them. What a share would leave out of the archive is refused here. Not here: what a share reads
(``samples``), and asking an endpoint for the answers (``proof.recording``).
"""

import base64
import gzip
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from crossaccount.config.loading import parse_question
from crossaccount.config.question_agreement import EXPECTATIONS
from crossaccount.config.smoke import Smoke
from crossaccount.config.yaml_file import Reading, Unreadable, compose
from crossaccount.errors import InputError
from crossaccount.files import read_file
from crossaccount.policy.documents import listed
from crossaccount.release.manifest import MEMBER_LIMIT, Sample, first_fault
from crossaccount.sharing.samples import parse_samples
from crossaccount.strict_json import parse_model_json
from crossaccount.text import quote

_ENDINGS = (".json", ".yaml", ".yml")
_MOST_FILES = 1_000
_MOST_FAULTS = 20


@dataclass(frozen=True)
class Entry:
    """One question of the folder: the file that has it, its place there, and its keys, with its bytes instead of a file's path."""

    file: str
    place: int
    keys: Mapping[str, Any]

    @property
    def is_open(self) -> bool:
        """Whether it expects nothing yet, so that an answer may be recorded for it."""
        return not any(key in self.keys for key in EXPECTATIONS)

    @property
    def payload(self) -> Smoke:
        """The question as one of a config; one that is open expects null, or bytes of any length."""
        return parse_question(_closed(self.keys) if self.is_open else self.keys)

    def __str__(self) -> str:
        return f"{self.file}[{self.place}]"


def _closed(keys: Mapping[str, Any]) -> dict[str, Any]:
    return {**keys, **({"expect_length": {}} if keys.get("read_as") == "bytes" else {"expect": None})}


def read_folder(folder: Path, unanswered: bool = False) -> tuple[Entry, ...]:
    """The questions of a folder, by the names of their files.

    Args:
        folder: with folders in it or without; names that begin with a dot are left alone.
        unanswered: whether a question may expect nothing.

    Raises:
        InputError: with the file and the reason, for each one that is no question.
    """
    if not folder.is_dir():
        raise InputError(f"--from {folder}: there is no such folder. Name one with questions in it.")
    loaded: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        try:
            loaded[name] = listed(_data(path))
        except (OSError, ValueError, Unreadable) as error:
            faults[name] = f"cannot be read: {getattr(error, 'message', error)}"
    bodies = {body for name, parts in loaded.items() for body in _bodies(folder, name, parts)}
    entries, lines = list[Entry](), [f"{name} {why}" for name, why in faults.items() if name not in bodies]
    for name, parts in loaded.items():
        for place, part in enumerate(parts if name not in bodies else ()):
            try:
                entries.append(_entry(folder, name, place, part, unanswered))
            except ValueError as error:
                lines.append(f"{name}[{place}] is no question: {str(error).rstrip('.')}")
    if not entries and not lines:
        lines.append("it has no *.json, *.yaml or *.yml with questions")
    _refuse(folder, lines)
    return tuple(entries)


def _refuse(folder: Path, faults: Sequence[str]) -> None:
    if faults:
        more = f"\nand {len(faults) - _MOST_FAULTS} more" if len(faults) > _MOST_FAULTS else ""
        lines = "\n".join(faults[:_MOST_FAULTS])
        raise InputError(f"--from {folder}: nothing was written.\n{lines}{more}")


def _files(folder: Path) -> Iterator[Path]:
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(root, name) for name in names if name.endswith(_ENDINGS) and not name.startswith(".")]
        if len(found) > _MOST_FILES:
            raise InputError(f"--from {folder}: it has more than {_MOST_FILES} files of questions.")
    yield from sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _data(path: Path) -> Any:
    raw = read_file(path, MEMBER_LIMIT)
    if len(raw) > MEMBER_LIMIT:
        raise ValueError(f"it is larger than {MEMBER_LIMIT} bytes")
    if path.suffix == ".json":
        return parse_model_json(raw)
    reading = Reading()
    data = reading.data(compose(raw.decode()))
    if reading.faults:
        raise ValueError(f"line {reading.faults[0].line}: {reading.faults[0].message}")
    return data


def _bodies(folder: Path, name: str, parts: Sequence[Any]) -> Iterator[str]:
    """The files that are bodies of these questions, and so no questions themselves."""
    for part in parts:
        if isinstance(part, Mapping) and isinstance(part.get("body_file"), str):
            place = os.path.normpath(os.path.join(folder, os.path.dirname(name), part["body_file"]))
            yield os.path.relpath(place, folder)


def _entry(folder: Path, name: str, place: int, part: Any, unanswered: bool) -> Entry:
    """The question, whose keys are those that were given, and held to be a sample.

    Raises:
        ValueError: in a sentence, for what is no question, or names what no archive can have with it.
    """
    if not isinstance(part, Mapping):
        raise ValueError(f"it is {quote(part)}. Write a mapping with content_type, body and expect")
    keys = {
        str(key): value for key, value in part.items() if value is not None or key in ("expect", "accept")
    }
    if "body_s3_uri" in keys:
        raise ValueError(
            "body_s3_uri leads out of the archive. Put the object beside it, and name it as body_file"
        )
    is_open = unanswered and not any(key in keys for key in EXPECTATIONS)
    question = parse_question(_closed(keys) if is_open else keys, str((folder / name).parent))
    if question.body_file is not None:
        del keys["body_file"]
        keys |= _body(question.body_file)
    _sample(_closed(keys) if is_open else keys)
    return Entry(name, place, keys)


def _body(path: str) -> dict[str, str]:
    """A file's bytes as a text, where they are one; else in base64."""
    try:
        raw = read_file(path, MEMBER_LIMIT)
    except OSError as error:
        raise ValueError(f"body_file {path} cannot be read: {error.strerror}") from None
    if len(raw) > MEMBER_LIMIT:
        raise ValueError(f"body_file {path} is larger than {MEMBER_LIMIT} bytes, and a Release takes no more")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = ""
    return {"body": text} if text.strip() else {"body_base64": base64.b64encode(raw).decode()}


def _sample(keys: Mapping[str, Any]) -> Sample:
    try:
        return Sample.model_validate(dict(keys))
    except ValidationError as error:
        raise ValueError(first_fault(error)) from None


def pack(folder: Path, entries: Sequence[Entry]) -> bytes:
    """The archive of the questions: a *.json for each file, in the order of the files' names.

    Raises:
        InputError: when a share would not take every question as a sample, with what it would say.
    """
    members: dict[str, list[Any]] = {}
    for entry in entries:
        members.setdefault(entry.file, []).append(dict(entry.keys))
    archive = _archive({_member(name): parts for name, parts in members.items()})
    try:
        taken, left_out = parse_samples(archive)
    except ValueError as error:
        raise InputError(
            f"--from {folder}: nothing was written. The archive of it cannot be used: {error}."
        ) from None
    _refuse(folder, [f"{each.name} {each.why}".strip() for each in left_out])
    if len(taken) != len(entries):
        raise InputError(
            f"--from {folder}: nothing was written. {len(taken)} of its {len(entries)} questions are taken as samples."
        )
    return archive


def _member(name: str) -> str:
    return name if name.endswith(".json") else f"{name}.json"


def _archive(members: Mapping[str, list[Any]]) -> bytes:
    """A .tar.gz of JSON, without the times and owners that would make it another at every writing."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as writer:
        for name, parts in sorted(members.items()):
            content = (json.dumps(parts, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            writer.addfile(entry, io.BytesIO(content))
    return gzip.compress(tar.getvalue(), mtime=0)
