"""A config that is there already, with what is newly known put into it: what a person wrote there stays, comments too.

Pure. Given and identified values replace others: the group, the region, accounts and profiles, and what the caller knows better.
What is still to be filled in, and keys that no config may lack, are filled in. Everything else stays as it is.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from crossaccount.config.values import dotted
from crossaccount.errors import InputError
from crossaccount.setup.draft import FILL_IN

Path = tuple[str, ...]
_REQUIRED_OF_CONSUMER = ("account", "role", "execution_role", "endpoint")
_IDENTIFIED = ("account", "profile")
TRUST = ("role", "external_id", "execution_role")
"""What the outputs of deployed stacks tell."""


def read_existing(text: str, name: str) -> dict[str, Any]:
    """The data of a config that is there, whatever of it is missing.

    Raises:
        InputError: the file holds no mapping of YAML.
    """
    data = _load(text, name)
    if not isinstance(data, dict):
        raise InputError(
            f"{name}: it is there and is no config: it holds no mapping. Move it away, or name another file."
        )
    return data


def _load(text: str, name: str) -> Any:
    from ruamel.yaml.error import YAMLError

    try:
        return _yaml().load(text)
    except (YAMLError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise InputError(
            f"{name}: it is there and is no YAML ({first}). Correct it, or move it away."
        ) from None


def _yaml() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10**6
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def merged(existing: str, drafted: str, name: str, better: Collection[str]) -> tuple[str, list[str]]:
    """The text of a config that is there, with what is to change in it; and the keys whose values were replaced, each with both values.

    Args:
        existing: its text.
        drafted: the text of the config as it would be written anew.
        name: the file's, for messages.
        better: keys of the producer, the consumers and their endpoints whose values in the draft replace those that are there.

    Raises:
        InputError: the file holds no mapping of YAML.
    """
    held, new = read_existing(existing, name), _load(drafted, name)
    replaced, changed = [], False
    for path, value in _settings(held, new, better):
        before = _at(held, path)
        if before == value or (isinstance(before, int) and str(before) == value):  # an account without quotes
            continue
        if before is not None and not _to_fill_in(before):
            replaced.append(f"{dotted(path)}: {before} is now {value}")
        _put(held, path, value)
        changed = True
    if not changed:
        return existing, []
    written = io.StringIO()
    _yaml().dump(held, written)
    return written.getvalue(), replaced


def _settings(
    held: Mapping[str, Any], new: Mapping[str, Any], better: Collection[str]
) -> Iterator[tuple[Path, Any]]:
    """The values that are to be in the config, by their paths."""
    for key in ("model_package_group", "region"):
        yield (key,), new[key]
    yield from _of_side(held, new, ("producer",), ("account", "releases"), better)
    consumers = held.get("consumers")
    for name, consumer in new["consumers"].items():
        path = ("consumers", name)
        if not isinstance(consumers, Mapping) or name not in consumers:
            yield path, consumer
        else:
            yield from _of_side(held, new, path, _REQUIRED_OF_CONSUMER, better)


def _of_side(
    held: Mapping[str, Any],
    new: Mapping[str, Any],
    path: Path,
    required: tuple[str, ...],
    better: Collection[str],
) -> Iterator[tuple[Path, Any]]:
    side: Mapping[str, Any] = _at(new, path)
    there = _at(held, path)
    if not isinstance(there, Mapping):
        yield path, side
        return
    for key, value in side.items():
        forced = key in (*_IDENTIFIED, *better)
        before = there.get(key)
        if forced or _to_fill_in(before) or (before is None and key in required):
            yield (*path, key), value
    for key, value in side.get("endpoint", {}).items():
        before = _at(there, ("endpoint", key))
        if _to_fill_in(before) or (before is not None and key in better):
            yield (*path, "endpoint", key), value


def _to_fill_in(value: object) -> bool:
    return isinstance(value, str) and value.startswith(FILL_IN)


def to_fill_in(data: object, path: Path = ()) -> list[str]:
    """The keys of a config that are still to be filled in."""
    if isinstance(data, Mapping):
        return [key for name, value in data.items() for key in to_fill_in(value, (*path, str(name)))]
    return [dotted(path)] if _to_fill_in(data) else []


def _at(data: Any, path: Path) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def _put(data: Any, path: Path, value: Any) -> None:
    for key in path[:-1]:
        if not isinstance(data.get(key), Mapping):
            data[key] = {}
        data = data[key]
    data[path[-1]] = value
