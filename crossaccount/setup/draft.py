"""A first config, of what was read: its data, and its text with comments.

Pure. What could not be learnt stands there as ``FILL-IN``, which no key takes for a value. Not here: what becomes of a config that is there
already (``merging``).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crossaccount.config.identifiers import check_endpoint_name
from crossaccount.setup.asking import Side
from crossaccount.setup.group import Group
from crossaccount.setup.surroundings import Standing

FILL_IN = "FILL-IN"
_USUAL = "ml.m5.large"
_MOST_SHOWN = 6
_LONGEST_ENDPOINT = 50


@dataclass(frozen=True)
class Party:
    """An account of the config: who it is, what stands there, and the organization that it is in."""

    side: Side
    standing: Standing
    organization: str | None = None


@dataclass(frozen=True)
class Learnt:
    """What was given and read; ``releases`` and ``instance_type`` are None where they were not given."""

    group: Group
    region: str
    producer: Party
    consumers: Mapping[str, Party]
    releases: str | None = None
    instance_type: str | None = None
    schema: str | None = None


def data_of(learnt: Learnt) -> dict[str, Any]:
    """The config as data; external ids that nobody has chosen yet are made up."""
    producer = learnt.producer
    return {
        "model_package_group": learnt.group.name,
        "region": learnt.region,
        "producer": {
            "account": producer.side.account,
            "role": producer.standing.roles["producer"],
            **_trust(producer),
            "profile": producer.side.profile,
            "releases": learnt.releases or _releases(learnt.group),
        },
        "consumers": {name: _consumer(learnt, name, party) for name, party in learnt.consumers.items()},
    }


def _releases(group: Group) -> str:
    return f"s3://{group.bucket}/releases/" if group.bucket else f"{FILL_IN}: s3://BUCKET/releases/"


def _trust(party: Party) -> dict[str, str]:
    """The external id: the one that is asked for, none of roles that ask for none, or a new one."""
    if party.standing.external_id is not None:
        return {"external_id": party.standing.external_id}
    return {} if party.standing.is_by_hand else {"external_id": secrets.token_hex(16)}


def _consumer(learnt: Learnt, name: str, party: Party) -> dict[str, Any]:
    return {
        "account": party.side.account,
        "role": party.standing.roles["deployer"],
        **_trust(party),
        "profile": party.side.profile,
        "execution_role": party.standing.roles["execution"],
        "endpoint": {
            "name": _endpoint_name(learnt.group.name, name),
            "instance_type": learnt.instance_type or _instance_type(learnt.group),
        },
    }


def _endpoint_name(group: str, consumer: str) -> str:
    room = _LONGEST_ENDPOINT - len(consumer) - 1
    return str(check_endpoint_name(f"{group.lower()[:room].rstrip('-')}-{consumer}"))


def _instance_type(group: Group) -> str:
    if not group.instance_types:
        return f"{FILL_IN}: {_USUAL}"
    return _USUAL if _USUAL in group.instance_types else group.instance_types[0]


def text_of(learnt: Learnt, data: Mapping[str, Any]) -> str:
    """The config as text, each key with what a reviewer wants to know of it."""
    lines = [f"# yaml-language-server: $schema={learnt.schema}"] if learnt.schema else []
    lines += [
        "# Made by crossaccount init. configs/example.yaml explains every key. Have it reviewed: it decides who is given the models.",
        "",
        "# The group whose versions are shared, and the region of it, its images, its artifacts and the endpoints.",
        *_pairs(data, ("model_package_group", "region")),
        "",
        *(f"# {line}" for line in _about_versions(learnt)),
        "",
        "producer:",
        *(f"  {line}" for line in _producer(learnt, data["producer"])),
        "",
        "consumers:",
    ]
    for name, consumer in data["consumers"].items():
        lines += [
            f"  {scalar(name)}:",
            *(f"    {line}" for line in _consumer_lines(learnt, name, consumer)),
            "",
        ]
    return "\n".join(lines).rstrip("\n") + "\n"


def scalar(value: object) -> str:
    """A scalar as YAML writes it on one line: what could be read as anything but text is in quotes."""
    from yaml import safe_dump

    text = str(value)
    if text.isdecimal():
        return json.dumps(text)
    return safe_dump(value, width=10**6, default_flow_style=True).removesuffix("\n...\n").strip()


def _pairs(data: Mapping[str, Any], keys: tuple[str, ...]) -> list[str]:
    return [f"{key}: {scalar(data[key])}" for key in keys if key in data]


def _about_versions(learnt: Learnt) -> list[str]:
    group = learnt.group
    approved = ", ".join(map(str, group.approved)) or "none"
    lines = [
        f"Every approved version is shared (versions: approved, the default): {approved} when this was made."
    ]
    organizations = {party.organization for party in (learnt.producer, *learnt.consumers.values())}
    if len(organizations) == 1 and None not in organizations:
        lines.append(
            f"All accounts are in the organization {organizations.pop()}; principals: organization could let it in as a whole."
        )
    return lines


def _producer(learnt: Learnt, data: Mapping[str, Any]) -> list[str]:
    return [
        *_pairs(data, ("account",)),
        f"# {_whose_role(learnt.producer, 'producer.yaml')}",
        *_pairs(data, ("role", "external_id")),
        "# The AWS profile that assumes it.",
        *_pairs(data, ("profile",)),
        "# Where the manifest of each shared version is published.",
        *_pairs(data, ("releases",)),
    ]


def _whose_role(party: Party, template: str) -> str:
    standing = party.standing
    if standing.is_by_hand:
        return "Made without a stack of this project."
    verb = "Made" if standing.is_deployed else "To be made"
    return f"{verb} by deployments/iam/{template}, as the stack {standing.stack}."


def _consumer_lines(learnt: Learnt, name: str, data: Mapping[str, Any]) -> list[str]:
    group = learnt.group
    lines = [
        *_pairs(data, ("account",)),
        f"# {_whose_role(learnt.consumers[name], 'consumer.yaml')}",
        *_pairs(data, ("role", "external_id", "execution_role")),
        "# The AWS profile that assumes the role.",
        *_pairs(data, ("profile",)),
        "endpoint:",
        f"  name: {scalar(data['endpoint']['name'])}",
        *(f"  # {line}" for line in _about_instances(group)),
        f"  instance_type: {scalar(data['endpoint']['instance_type'])}",
    ]
    if group.has_samples:
        return [
            *lines,
            "# No smoke: the endpoint is asked the samples that the newest version was registered with.",
        ]
    known = (
        "The newest version has no samples"
        if group.has_samples is False
        else "Whether versions have samples is not known"
    )
    content_type = group.content_types[0] if group.content_types else "text/csv"
    return [
        *lines,
        f"# {known}: without any, write a question with its answer, or a deployment is refused.",
        f'# smoke: [{{content_type: {content_type}, body: "5.1,3.5,1.4,0.2", expect: [0]}}]',
    ]


def _about_instances(group: Group) -> list[str]:
    types = group.instance_types
    if not types:
        return ["The versions name no instance types: choose one that serves them."]
    more = f" and {len(types) - _MOST_SHOWN} more" if len(types) > _MOST_SHOWN else ""
    return [f"The versions support {', '.join(types[:_MOST_SHOWN])}{more}."]
