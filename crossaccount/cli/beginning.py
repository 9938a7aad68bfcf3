"""The command ``init``: what was given, asked for or is in the file, the consent to write, and what is told at the end.

Not here: what is read of the accounts, and the files that come of it (``setup.initial``).
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from crossaccount.cli import live, output
from crossaccount.errors import Failed, InputError

if TYPE_CHECKING:
    from crossaccount.setup.asking import Side
    from crossaccount.setup.initial import Initial, Wanted

_READING = "reading the accounts"
_TIMES = 3  # that a question is asked
_ANY_REGION = "us-east-1"  # for a profile's credentials before a region is named
_Taken = TypeVar("_Taken")


@dataclass
class _Given:
    """What is known before any account is asked; ``consumers`` are profiles by names."""

    group: str | None = None
    region: str | None = None
    producer: str | None = None
    consumers: dict[str, str] = field(default_factory=dict)

    def missing(self) -> list[str]:
        """The options that are still missing."""
        values = {
            "--group": self.group,
            "--region": self.region,
            "--producer": self.producer,
            "--consumer": self.consumers,
        }
        return [option for option, value in values.items() if not value]

    def command(self, path: Path | None) -> str:
        """The command with what is known, and a word for each option that is missing."""
        consumers = [f"{name}={profile}" for name, profile in self.consumers.items()] or ["PROFILE"]
        words = ["--group", self.group or "NAME", "--region", self.region or "REGION"]
        words += ["--producer", self.producer or "PROFILE"]
        words += [word for each in consumers for word in ("--consumer", each)]
        return f"crossaccount init {shlex.join([str(path or 'CONFIG'), *words])}"


def init(options: argparse.Namespace) -> dict[str, Any]:
    """Write a first config, and tell what was read and what comes next.

    Raises:
        InputError: an option is missing or wrong, and there is no terminal to ask on; or a file that is there would change, and nobody agreed.
        Refused, Failed: AWS refuses a profile's credentials, or cannot be reached; or it was not agreed to.
    """
    from crossaccount.setup import initial

    on_terminal = not options.json and sys.stdin.isatty() and sys.stdout.isatty()
    wanted = _wanted(options, on_terminal)
    with live.reading(options, _READING):
        producer, consumers = initial.open_sides(wanted)
        made = initial.prepare(wanted, producer, consumers)
    if on_terminal and (answers := _fill_in(made)):
        with live.reading(options, _READING):
            made = initial.prepare(_with_answers(wanted, answers), producer, consumers)
    output.write(options, "\n".join([*made.read, *(f"{each.severity}: {each}" for each in made.findings)]))
    _agree(options, made, on_terminal)
    return _written(options, made)


def _wanted(options: argparse.Namespace, on_terminal: bool) -> Wanted:
    from crossaccount.config.identifiers import InstanceType, ReleasesUri
    from crossaccount.setup import writing
    from crossaccount.setup.initial import Wanted

    given = _given(options)
    releases = options.releases and _checked("--releases", ReleasesUri, options.releases)
    instance_type = options.instance_type and _checked("--instance-type", InstanceType, options.instance_type)
    if (missing := given.missing()) and not on_terminal:
        if options.config is None and given.group is None:  # which names the file otherwise
            missing = ["CONFIG", *missing]
        raise InputError(
            f"{', '.join(missing)}: {'is' if len(missing) == 1 else 'are'} missing, and there is no terminal to ask on. Add "
            f"{'it' if len(missing) == 1 else 'them'}: {given.command(options.config)}"
        )
    if missing:
        _ask(options, given)
    assert given.group is not None
    assert given.region is not None
    assert given.producer is not None
    path = options.config or Path(f"{given.group}.yaml")
    writing.check_folder(path)
    return Wanted(
        *(path, given.group, given.region, given.producer, given.consumers),
        *(releases, instance_type, options.from_stacks),
    )


def _given(options: argparse.Namespace) -> _Given:
    """The options, and for those that are missing what the file says that is there.

    Raises:
        InputError: for an option that cannot be used.
    """
    from crossaccount.config.identifiers import GroupName, ProfileName, Region

    held = _held(options.config)
    given = _Given(
        options.group and _checked("--group", GroupName, options.group),
        options.region and _checked("--region", Region, options.region),
        options.producer and _checked("--producer", ProfileName, options.producer),
        _consumers(options.consumer or ()),
    )
    side = held.get("producer")
    given.group = given.group or _text(held.get("model_package_group"))
    given.region = given.region or _text(held.get("region"))
    given.producer = given.producer or (_text(side.get("profile")) if isinstance(side, Mapping) else None)
    consumers = held.get("consumers")
    if not given.consumers and isinstance(consumers, Mapping):
        profiles = {
            str(name): _text(each.get("profile"))
            for name, each in consumers.items()
            if isinstance(each, Mapping)
        }
        given.consumers = {name: profile for name, profile in profiles.items() if profile}
    return given


def _held(path: Path | None) -> Mapping[str, Any]:
    from crossaccount.setup import merging, writing

    text = writing.read_if_there(path) if path is not None else None
    return {} if text is None else merging.read_existing(text, str(path))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _checked(option: str, kind: Any, value: str) -> str:
    """A value as the config takes it.

    Raises:
        InputError: with the sentence that the config would be refused with.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return str(TypeAdapter(kind).validate_python(value))
    except ValidationError as error:
        raise InputError(f"{option}: {error.errors()[0]['ctx']['sentence']}") from None


def _consumers(words: Sequence[str]) -> dict[str, str]:
    """Profiles by consumers' names, of ``NAME=PROFILE`` or of a profile that is a name too."""
    from typing import get_args

    from crossaccount.config.identifiers import ProfileName
    from crossaccount.config.model import Sharing

    kind = get_args(Sharing.model_fields["consumers"].annotation)[0]
    found: dict[str, str] = {}
    for word in words:
        named, equals, profile = word.partition("=")
        try:
            name = _checked(f"--consumer {word}", kind, named)
        except InputError as error:
            if equals:
                raise
            raise InputError(
                f"{error} Or name the consumer beside its profile: --consumer NAME={word}."
            ) from None
        if name in found:
            raise InputError(f"--consumer {word}: {name} is named twice. Name each consumer once.")
        found[name] = _checked(f"--consumer {word}", ProfileName, profile if equals else named)
    return found


def _ask(options: argparse.Namespace, given: _Given) -> None:
    """Ask on the terminal for what is missing; an answer that cannot be right is told why, and asked for again.

    Raises:
        InputError: there was no answer, or none that can be used.
    """
    from crossaccount.aws import sessions
    from crossaccount.config.identifiers import GroupName, ProfileName, Region
    from crossaccount.setup import group
    from crossaccount.setup.asking import open_side

    profiles = f" ({', '.join(sessions.profiles()) or 'this machine has none'})"

    def producer(answer: str) -> str:
        profile = _checked("--producer", ProfileName, answer)
        sessions.profile_session("--producer", profile, given.region or _ANY_REGION)
        return profile

    if not given.producer:
        question = f"AWS profile of the account that owns the models{profiles}"
        given.producer = _asked("--producer", question, producer)
    if not given.region:
        default = sessions.profile_region(given.producer) or ""
        given.region = _asked("--region", "Region", lambda word: _checked("--region", Region, word), default)
    if not given.group:
        with live.reading(options, _READING):
            side = open_side("--producer", given.producer, given.region)
            known = _groups(side)

        def named(answer: str) -> str:
            name = _checked("--group", GroupName, answer)
            group.check_group(side, name)
            return name

        there = f" ({', '.join(known)})" if known else ""
        default = known[0] if len(known) == 1 else ""
        given.group = _asked("--group", f"Model package group{there}", named, default)
    if not given.consumers:
        question = f"AWS profiles of the accounts that deploy, as PROFILE or NAME=PROFILE, with blanks between{profiles}"
        given.consumers = _asked("--consumer", question, partial(_openable, options, given))


def _groups(side: Side) -> tuple[str, ...]:
    """The groups of an account; none where they may not be listed."""
    from crossaccount.errors import Refused
    from crossaccount.setup import group

    try:
        return group.group_names(side)
    except Refused:
        return ()


def _openable(options: argparse.Namespace, given: _Given, answer: str) -> dict[str, str]:
    """The consumers of an answer, once each of their profiles has said whose it is.

    Raises:
        InputError: a profile is none of this machine's, or two are of one account.
    """
    from crossaccount.setup import initial

    consumers = _consumers(answer.split())
    wanted = initial.Wanted(Path(), given.group or "", given.region or "", given.producer or "", consumers)
    with live.reading(options, _READING):
        initial.open_sides(wanted)
    return consumers


def _asked(
    option: str, question: str, take: Callable[[str], _Taken], default: str = "", is_needed: bool = True
) -> _Taken:
    """An answer as it is taken; of one that is refused the reason is said, and it is asked again.

    Where none is needed an empty answer is taken too.

    Raises:
        InputError: there was no answer, or the last one is refused too.
    """
    for left in reversed(range(_TIMES)):
        answer = _answer(question, default)
        if not answer and is_needed:
            raise InputError(f"{option}: there was no answer. Nothing was written.")
        try:
            return take(answer)
        except InputError as error:
            if not left:
                raise
            output.say(str(error))
    raise AssertionError("the last answer is taken or refused")


def _answer(question: str, default: str = "") -> str:
    try:
        return input(f"{question}{f' [{default}]' if default else ''}: ").strip() or default
    except EOFError:
        return default


def _fill_in(made: Initial) -> dict[str, str]:
    """Answers to what could not be read; none for an empty answer."""
    from crossaccount.config.identifiers import InstanceType, ReleasesUri

    wanted: dict[str, tuple[str, str, Any]] = {}
    if "producer.releases" in made.to_fill_in:
        question = "Where Releases are published, as s3://BUCKET/releases/ (empty: fill it in later)"
        wanted["releases"] = ("--releases", question, ReleasesUri)
    if any(key.endswith("endpoint.instance_type") for key in made.to_fill_in):
        question = "Instance type of the endpoints, as ml.m5.large (empty: fill it in later)"
        wanted["instance_type"] = ("--instance-type", question, InstanceType)
    answers = {}
    for key, (option, question, kind) in wanted.items():
        taken = partial(_checked_if_any, option, kind)
        answers[key] = _asked(option, question, taken, is_needed=False)
    return {key: answer for key, answer in answers.items() if answer}


def _checked_if_any(option: str, kind: Any, value: str) -> str:
    return _checked(option, kind, value) if value else ""


def _with_answers(wanted: Wanted, answers: Mapping[str, str]) -> Wanted:
    return replace(
        wanted,
        releases=answers.get("releases", wanted.releases),
        instance_type=answers.get("instance_type", wanted.instance_type),
    )


def _agree(options: argparse.Namespace, made: Initial, on_terminal: bool) -> None:
    """Show what would change in files that are there, and have it agreed to."""
    changed = [draft for draft in made.files if draft.changes]
    if not changed or options.yes:
        return
    diffs = "\n".join(draft.diff() for draft in changed)
    names = ", ".join(str(draft.path) for draft in changed)
    if not on_terminal:
        error = InputError(
            f"--yes: {names} would change, and there is no terminal to ask on. Look at the difference, then add --yes."
        )
        error.add_note(diffs)
        raise error
    output.write_as_it_is(options, diffs)
    if _answer(f"Change {names} so? [y/N]").lower() not in ("y", "yes"):
        raise Failed("Not agreed to: nothing was written.")


def _written(options: argparse.Namespace, made: Initial) -> dict[str, Any]:
    from crossaccount.setup import writing

    if options.yes and not options.json:
        for draft in made.files:
            if draft.changes:
                output.write_as_it_is(options, draft.diff())
    written = [str(path) for path in writing.write_all(made.files)]
    unchanged = [str(draft.path) for draft in made.files if str(draft.path) not in written]
    output.write(options, "\n".join(_lines(made, written, unchanged)))
    return {
        "config": str(made.config.path),
        "written": written,
        "unchanged": unchanged,
        "complete": not made.to_fill_in and bool(made.parameters),
        "to_fill_in": list(made.to_fill_in),
        "read": list(made.read),
        "findings": [asdict(finding) for finding in made.findings],
        "commands": list(made.commands),
        "diffs": {str(draft.path): draft.diff() for draft in made.files if draft.changes},
    }


def _lines(made: Initial, written: Sequence[str], unchanged: Sequence[str]) -> list[str]:
    lines = [f"written: {path}" for path in written] + [f"unchanged: {path}" for path in unchanged]
    lines += [f"to be filled in: {key}" for key in made.to_fill_in]
    return [*lines, "next:", *(f"  {command}" for command in made.commands)]
