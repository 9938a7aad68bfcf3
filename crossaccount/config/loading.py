"""The one edge where a config is read: a YAML file in, a frozen `Sharing` out, or every fault at once with its key, line and way out.

Not here: anything that only AWS knows.
"""

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from crossaccount.config.agreement import disagreements
from crossaccount.config.choice import RULE_TAG
from crossaccount.config.model import Sharing
from crossaccount.config.question_agreement import question_disagreements
from crossaccount.config.smoke import Smoke
from crossaccount.config.values import Complaint, KeyPath, describe, dotted, kind_of, missing
from crossaccount.config.yaml_file import Reading, Unreadable, compose, read_text
from crossaccount.errors import ConfigError, Fault
from crossaccount.text import MAX_QUOTED, did_you_mean, quote


def load_config(path: str | os.PathLike[str]) -> Sharing:
    """The config in the YAML file at `path`.

    Raises:
        ConfigError: with every fault at once, for a file that cannot be read, is not YAML, or has a wrong key or value.
    """
    text = os.fspath(path)
    return _checked(partial(read_text, path), str(text), os.path.dirname(os.path.abspath(text)))


def parse_config(text: str, source: str = "config") -> Sharing:
    """The config in YAML text; `source` names it in messages, and the files that it names lie in the current folder.

    Raises:
        ConfigError: as for `load_config`.
    """
    return _checked(lambda: text, source, os.getcwd())


# Where a question stands in a config.
_QUESTION: KeyPath = ("consumers", "", "smoke", 0)


def parse_question(data: Mapping[str, Any], folder: str | None = None) -> Smoke:
    """A question of plain data, by the rules of one in a config; the files that it names lie in the folder.

    Raises:
        ValueError: in a sentence that begins with the key, for the first of its faults.
    """
    complaints, question = [], None
    try:
        question = Smoke.model_validate(data, context={"folder": folder})
    except ValidationError as error:
        for each in error.errors(include_url=False)[:1]:
            placed = ErrorDetails(**{**each, "loc": (*_QUESTION, *each["loc"])})
            path, value, sentence = _translated(placed)
            complaints.append((path[len(_QUESTION) :], value, sentence))
    complaints += question_disagreements((), data)
    if question is None or complaints:
        path, _, sentence = complaints[0]
        raise ValueError(f"{dotted(path) or 'it'} {sentence}")
    return question


def _checked(read: Callable[[], str], source: str, folder: str) -> Sharing:
    reading = Reading()
    try:
        data = reading.data(compose(read()))
        if not isinstance(data, dict):
            raise Unreadable(
                f"is {kind_of(data)}, but a configuration is a mapping that begins with model_package_group, "
                f"region, producer and consumers. Start from configs/example.yaml.",
                reading.lines[()],
            )
    except Unreadable as unreadable:
        raise ConfigError((Fault("", unreadable.line, "", unreadable.message),), source) from unreadable
    sharing, complaints = _validated(data, folder)
    faults = reading.faults + [
        Fault(dotted(path), _line(reading.lines, path), _cut(value), sentence)
        for path, value, sentence in complaints
    ]
    if sharing is None or faults:
        raise ConfigError(_at_most(sorted(faults, key=lambda each: each.line or 0)), source)
    return sharing


def read_consumer_names(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The names of the consumers in the YAML file at `path`, unchecked; none for a file that is not YAML."""
    try:
        data = Reading().data(compose(read_text(path)))
    except Unreadable:
        return ()
    consumers = data.get("consumers") if isinstance(data, dict) else None
    return tuple(str(name) for name in consumers) if isinstance(consumers, dict) else ()


def _validated(data: dict[str, Any], folder: str) -> tuple[Sharing | None, list[Complaint]]:
    sharing, complaints = None, []
    try:
        sharing = Sharing.model_validate(data, context={"folder": folder})
    except ValidationError as error:
        errors = [each for each in error.errors(include_url=False) if each["type"] != "disagreement"]
        # A word is compared with every key there is: that is too slow to be done for more than will be shown.
        complaints = [_translated(each) for each in errors[: _MOST_FAULTS + 1]]
    return sharing, [*complaints, *disagreements(data)]


def _model_at(path: KeyPath) -> type[BaseModel]:
    """The model of the mapping at a path of a config, or of the nearest mapping around it."""
    model: type[BaseModel] = Sharing
    for place, part in enumerate(path):
        named_by_file = place == 1 and path[0] == "consumers"
        if part in model.model_fields and not named_by_file:
            model = _model_in(model.model_fields[str(part)].annotation) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _translated(error: ErrorDetails) -> Complaint:
    path, value = tuple(error["loc"]), error["input"]
    if path[:2] == ("versions", RULE_TAG):
        path = ("versions", *path[2:])
    match error["type"]:
        case "fault":
            # pydantic marks a fault of a mapping's key, not of its value, by one more step.
            if path[-1:] == ("[key]",):
                path = path[:-1]
            return path, value, str(error["ctx"]["sentence"])
        case "missing":
            return path, "", missing(_model_at(path[:-1]), str(path[-1]))
        case "extra_forbidden":
            known = tuple(_model_at(path[:-1]).model_fields)
            near = did_you_mean(path[-1], known)
            # Its value is not shown: it may be a secret.
            return path, "", f"is not a key that is known here.{near} The keys here are: {_some(known)}."
        case "tuple_type":
            return path, value, f"{describe(value)}. Write a list, each item after a hyphen."
        case _:
            keys = _some(tuple(_model_at(path).model_fields))
            return path, value, f"{describe(value)}. Write a mapping of these keys: {keys}."


_MOST_KEYS = 14


def _some(keys: tuple[str, ...]) -> str:
    """Keys in a row, as many as can be read; configs/example.yaml has all."""
    more = ", and others, which configs/example.yaml explains" if len(keys) > _MOST_KEYS else ""
    return f"{', '.join(keys[:_MOST_KEYS])}{more}"


_MOST_FAULTS = 100  # nobody reads thousands, of a file that is something else altogether


def _at_most(faults: list[Fault]) -> tuple[Fault, ...]:
    if len(faults) <= _MOST_FAULTS:
        return tuple(faults)
    more = Fault("", None, "", f"has further faults beside these {_MOST_FAULTS}. Correct these first.")
    return (*faults[:_MOST_FAULTS], more)


def _cut(value: object) -> str:
    return value[:MAX_QUOTED] if isinstance(value, str) else quote(value)


def _line(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    """The line of the key, or of the nearest mapping around a key that is not there."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)
