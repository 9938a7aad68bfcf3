"""A first config and the parameters of both stacks, from a group, a region and a profile for each side: all else is read from the accounts.

It writes nothing to AWS. Not here: the questions to a person and the consent to write (the command ``init``).
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from crossaccount import parallel
from crossaccount.config.loading import parse_config
from crossaccount.config.model import Sharing
from crossaccount.errors import ConfigError, Finding, InputError, Severity
from crossaccount.setup import deploying, draft, group, merging, stack_parameters, surroundings, writing
from crossaccount.setup.asking import Asked, Side, open_side
from crossaccount.setup.draft import Learnt, Party
from crossaccount.setup.stack_parameters import Holdings
from crossaccount.setup.surroundings import CONSUMER, PRODUCER, Standing
from crossaccount.setup.writing import Draft

SCHEMA = "crossaccount.schema.json"


@dataclass(frozen=True)
class Wanted:
    """What was asked for: profiles by the consumers' names; ``releases`` and ``instance_type`` are None where they are to be found out."""

    path: Path
    group: str
    region: str
    producer: str
    consumers: Mapping[str, str]
    releases: str | None = None
    instance_type: str | None = None
    from_stacks: bool = False


@dataclass(frozen=True)
class Initial:
    """The files as they are to be, what there is to say, the keys that are still to be filled in, and the commands that come next."""

    config: Draft
    parameters: tuple[Draft, ...]
    read: tuple[str, ...]
    findings: tuple[Finding, ...]
    to_fill_in: tuple[str, ...]
    commands: tuple[str, ...]

    @property
    def files(self) -> tuple[Draft, ...]:
        """All of them, the config last: with it everything is there."""
        return (*self.parameters, self.config)


def open_sides(wanted: Wanted) -> tuple[Side, dict[str, Side]]:
    """The producer's account, and the consumers' by their names.

    Raises:
        InputError: a profile is none of this machine's or cannot be used, or two of them are of one account.
        Refused, Failed: AWS does not take their credentials, or cannot be reached.
    """
    profiles = {"--producer": wanted.producer} | {
        f"--consumer {name}={profile}": profile for name, profile in wanted.consumers.items()
    }
    opened = parallel.run_all(
        [partial(open_side, option, profile, wanted.region) for option, profile in profiles.items()]
    )
    seen: dict[str, Side] = {}
    for side in opened:
        if side.account in seen:
            raise InputError(
                f"{side.option}: its profile is of account {side.account}, as that of {seen[side.account].option} is. Name a profile of "
                "another account."
            )
        seen[side.account] = side
    producer, *consumers = opened
    return producer, dict(zip(wanted.consumers, consumers, strict=True))


def prepare(wanted: Wanted, producer: Side, consumers: Mapping[str, Side]) -> Initial:
    """Read what there is to know, and make the files of it; nothing is written.

    Raises:
        InputError: there is no such group, or a file that is there is no config.
        Failed: a stack is demanded that there is not, or AWS cannot be reached.
    """
    existing = writing.read_if_there(wanted.path)
    held = {} if existing is None else merging.read_existing(existing, str(wanted.path))
    group.check_group(producer, wanted.group)
    asked = Asked()
    found, parties = _read(asked, wanted, producer, consumers, held)
    learnt = Learnt(
        found,
        wanted.region,
        parties[0],
        dict(zip(consumers, parties[1:], strict=True)),
        wanted.releases,
        wanted.instance_type,
        _schema(wanted.path),
    )
    text = draft.text_of(learnt, draft.data_of(learnt))
    if existing is not None:
        text, replaced = merging.merged(existing, text, str(wanted.path), _better(wanted))
        for each in replaced:
            asked.note(str(wanted.path), f"{each}.")
    sharing = _loaded(asked, wanted.path, text)
    parameters = _parameter_files(
        asked, wanted.path, sharing, _with_releases_key(asked, producer, sharing, found.holdings)
    )
    left = tuple(merging.to_fill_in(merging.read_existing(text, str(wanted.path))))
    return Initial(
        Draft(wanted.path, existing, text),
        tuple(parameters.values()),
        _told(learnt),
        tuple(sorted(set(asked.findings), key=lambda each: (each.severity != Severity.WARNING, str(each)))),
        left,
        _commands(wanted, learnt, parameters, sharing),
    )


def _better(wanted: Wanted) -> tuple[str, ...]:
    """The keys that were asked for by name, or of stacks."""
    keys = merging.TRUST if wanted.from_stacks else ()
    return (*keys, *(key for key in ("releases", "instance_type") if getattr(wanted, key) is not None))


def _read(
    asked: Asked, wanted: Wanted, producer: Side, consumers: Mapping[str, Side], held: Mapping[str, Any]
) -> tuple[group.Group, list[Party]]:
    versions = held.get("versions")
    listed = [each for each in versions if isinstance(each, int)] if isinstance(versions, list) else None

    def party(side: Side, kind: str) -> Party:
        standing = surroundings.look(asked, side, kind, wanted.group, producer.account, wanted.from_stacks)
        return Party(side, standing, surroundings.organization_of(asked, side))

    calls = [
        partial(party, producer, PRODUCER),
        *(partial(party, side, CONSUMER) for side in consumers.values()),
    ]
    return parallel.run_both(
        partial(group.read_group, asked, producer, wanted.group, listed), partial(parallel.run_all, calls)
    )


def _schema(path: Path) -> str | None:
    """The schema as an editor finds it from the config's folder: beside the config, or in ``configs/`` here; None where there is none."""
    for file in (path.with_name(SCHEMA), Path("configs", SCHEMA)):
        if file.exists():
            return os.path.relpath(file, path.parent)
    return None


def _loaded(asked: Asked, path: Path, text: str) -> Sharing | None:
    """The config as it would be loaded; None, with a warning for each fault, for one that is not complete."""
    try:
        return parse_config(text, str(path))
    except ConfigError as error:
        for fault in error.faults:
            asked.warn(f"{path}: {fault.key}", fault.message)
        return None


def _with_releases_key(
    asked: Asked, producer: Side, sharing: Sharing | None, holdings: Holdings | None
) -> Holdings | None:
    if sharing is None or holdings is None or sharing.producer.releases_kms_key is not None:
        return holdings
    return replace(
        holdings, releases_key_arn=group.default_key(asked, producer, sharing.producer.releases_bucket)
    )


def _parameter_files(
    asked: Asked, path: Path, sharing: Sharing | None, holdings: Holdings | None
) -> dict[str, Draft]:
    """The parameters of each stack, the producer's under an empty name; none where what they must name is not known."""
    if sharing is None or holdings is None:
        why = (
            "the config is not complete"
            if sharing is None
            else "what the versions are made of is not known, or is too much for one stack"
        )
        asked.warn(
            "parameters of the stacks", f"They are not written: {why}.", "Mend that, and run this again."
        )
        return {}
    drafts = {}
    for name in ("", *sharing.consumers):
        file = deploying.parameters_file(path, name)
        try:
            given = (
                stack_parameters.of_consumer(sharing, holdings, name)
                if name
                else stack_parameters.of_producer(sharing, holdings)
            )
        except InputError as error:
            asked.warn(str(file), f"It is not written. {error}")
            continue
        before = writing.read_if_there(file)
        drafts[name] = Draft(file, before, _json(_further(file, before) | given))
    return drafts


def _json(parameters: Mapping[str, str]) -> str:
    return json.dumps(stack_parameters.as_overrides(parameters), indent=2) + "\n"


def _further(file: Path, text: str | None) -> dict[str, str]:
    """The parameters of a file that is there: those that no config says stay as a person set them.

    Raises:
        InputError: it holds something else.
    """
    if text is None:
        return {}
    try:
        return deploying.given(text)
    except ValueError:
        raise InputError(
            f"{file}: it is there and holds no parameters of CloudFormation. Move it away, or name another config."
        ) from None


def _told(learnt: Learnt) -> tuple[str, ...]:
    """What was read, in a line for each account."""
    found, holdings = learnt.group, learnt.group.holdings
    versions = f"versions {', '.join(map(str, found.approved)) or 'none'} approved"
    lines = [f"{found.name} in {learnt.region}: {versions}, {len(found.waiting)} not"]
    if holdings is not None:
        encrypted = f"encrypted under {holdings.key_arn}" if holdings.key_arn else "under no key of yours"
        images = ", ".join(filter(None, (holdings.repository, *holdings.aws_repositories)))
        lines.append(
            f"artifacts in s3://{holdings.artifact_bucket}/{holdings.artifact_prefix}, {encrypted}; images of {images}"
        )
    for name, party in {"producer": learnt.producer, **learnt.consumers}.items():
        stack = f"the stack {party.standing.stack} {'is there' if party.standing.is_deployed else 'is not there yet'}"
        roles = "roles are there without a stack" if party.standing.is_by_hand else stack
        lines.append(f"{name}: account {party.side.account}, {party.side.caller}; {roles}")
    return tuple(lines)


def _commands(
    wanted: Wanted, learnt: Learnt, parameters: Mapping[str, Draft], sharing: Sharing | None
) -> tuple[str, ...]:
    """The commands that come next: each stack that is not there or was told something else, then the first share."""
    parties: dict[str, tuple[str, Party]] = {"": ("producer", learnt.producer)}
    parties |= {name: ("consumer", party) for name, party in learnt.consumers.items()}
    lines = []
    for name, (template, party) in parties.items():
        standing, profile = party.standing, party.side.profile
        if name not in parameters or standing.is_by_hand or _is_as_deployed(standing, parameters[name]):
            continue
        file = parameters[name]
        stack = standing.stack if standing.is_deployed else deploying.given(file.text)["NamePrefix"]
        lines.append(deploying.command(profile, wanted.region, stack, template, file.path))
    config = shlex.quote(str(wanted.path))
    if sharing is None:
        return (*lines, f"crossaccount init {config}")
    deploys = (f"deploy {config} --consumer {name}" for name in sharing.consumers)
    steps = (
        *(f"{step} {config}" for step in ("doctor", "plan", "share", "check")),
        *deploys,
        f"promote {config}",
    )
    return (*lines, *(f"crossaccount {step}" for step in steps))


def _is_as_deployed(standing: Standing, parameters: Draft) -> bool:
    """Whether a stack is there and was told what the file says."""
    wanted = deploying.given(parameters.text)
    return standing.is_deployed and all(standing.parameters.get(name) == wanted[name] for name in wanted)
