"""The keys of an endpoint against each other, as plain data: its kind, its name, and how it moves.

Not here: what an endpoint of a kind cannot have, as a table (``kinds``), its capacity (``capacity_agreement``), and everything
else of a config (``agreement``).
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from crossaccount.config import identifiers
from crossaccount.config.capacity_agreement import capacity_disagreements, instance_types
from crossaccount.config.endpoint import DEPLOYMENT_TYPES, KINDS, Deployment, Endpoint
from crossaccount.config.kinds import (
    COMPONENTS,
    EXCLUSIONS,
    OF_KIND,
    REAL_TIME,
    SERVERLESS,
    Exclusion,
    article,
)
from crossaccount.config.values import Complaint, KeyPath, missing, sound
from crossaccount.text import quote

SIZE_KEYS = {"canary": "canary_percent", "linear": "linear_percent", "rolling": "batch_percent"}
MAX_NAME = 63  # botocore, sagemaker: EndpointConfigName
_ENDLESS = 10**9  # what is more has its own complaint, and may have more digits than Python writes


def hosting_disagreements(
    path: KeyPath, consumer: Mapping[str, Any], versions: object
) -> Iterator[Complaint]:
    """What in a consumer's endpoint contradicts something else there; ``versions`` are those of the config."""
    endpoint, at = consumer.get("endpoint"), (*path, "endpoint")
    if not isinstance(endpoint, Mapping):
        return
    deployment: Any = endpoint.get("deployment")
    deployment = deployment if isinstance(deployment, Mapping) else {}
    move = deployment.get("type") or "all-at-once"
    kind = endpoint.get("kind") or (SERVERLESS if endpoint.get("serverless") is not None else REAL_TIME)
    if kind in KINDS:
        yield from _kind_disagreements(at, endpoint, str(kind))
        yield from _excluded(path, consumer, str(kind))
    yield from _container_disagreements(path, consumer, endpoint)
    if kind != SERVERLESS:
        yield from capacity_disagreements(at, endpoint)
    if move in DEPLOYMENT_TYPES:
        yield from _size_disagreements((*at, "deployment"), deployment, str(move))
    if kind == COMPONENTS:
        yield from _component_disagreements(at, endpoint, deployment, move)
    if kind == SERVERLESS:
        yield from _serverless_disagreements(at, endpoint, deployment, move)
    if inf1 := [each for each in instance_types(endpoint) if each.startswith("ml.inf1.")]:
        yield from _inf1_disagreements((*at, "deployment"), inf1[0], deployment, move)
    yield from _name_disagreements(at, endpoint, versions)
    yield from _shadow_disagreements(path, consumer, str(kind))


def _container_disagreements(
    path: KeyPath, consumer: Mapping[str, Any], endpoint: Mapping[str, Any]
) -> Iterator[Complaint]:
    """A question to one container of an endpoint whose containers answer one after the other."""
    if endpoint.get("container_mode") not in (None, "serial"):
        return
    for at, named in _values_at(consumer, ("smoke", "*", "container")):
        if named and isinstance(named, str) and named.replace("-", "").isalnum():  # else that is its fault
            sentence = (
                f"{quote(named)} cannot be asked by itself, because the endpoint's containers answer one after the other. Delete it, or write "
                "endpoint.container_mode: direct."
            )
            yield (*path, *at), named, sentence


def _kind_disagreements(path: KeyPath, endpoint: Mapping[str, Any], kind: str) -> Iterator[Complaint]:
    """A kind without the key that says more of it, and such a key beside another kind."""
    for of, key in OF_KIND.items():
        given = endpoint.get(key)
        if of == kind and given is None:
            yield (*path, key), "", missing(Endpoint, key)
        if of != kind and given is not None:
            sentence = f"says what {article(of)} is, and the kind is {kind}. Delete it, or write kind: {of}."
            yield (*path, key), "", sentence


def _excluded(path: KeyPath, consumer: Mapping[str, Any], kind: str) -> Iterator[Complaint]:
    for exclusion in EXCLUSIONS:
        if exclusion.kind == kind:
            yield from _excluded_key(path, consumer, exclusion)


def _excluded_key(path: KeyPath, consumer: Mapping[str, Any], exclusion: Exclusion) -> Iterator[Complaint]:
    steps = f"endpoint.{exclusion.key}".removeprefix("endpoint.consumer.").split(".")
    other = OF_KIND[exclusion.kind] if exclusion.kind == SERVERLESS else "choose another endpoint.kind"
    for at, value in _values_at(consumer, steps):
        if value and _is_excluded(value, exclusion.value):
            sentence = f"{quote(value)} cannot be had, because {article(exclusion.kind)} {exclusion.why}. Delete it, or {other}."
            yield (*path, *at), value, sentence


def _values_at(value: Any, steps: Sequence[str]) -> Iterator[tuple[KeyPath, Any]]:
    """The values at a path, with where each stands; a step ``*`` leads to every item of a list."""
    if not steps:
        yield (), value
        return
    first, *rest = steps
    if first == "*":
        inner: Iterable[tuple[str | int, Any]] = enumerate(value if isinstance(value, list | tuple) else ())
    else:
        inner = [(first, value[first])] if isinstance(value, Mapping) and first in value else ()
    for step, each in inner:
        yield from (((step, *at), found) for at, found in _values_at(each, rest))


def _is_excluded(value: object, excluded: object) -> bool:
    if isinstance(excluded, str) and excluded.endswith("*"):
        return isinstance(value, str) and value.startswith(excluded[:-1])
    return excluded is None or value == excluded


def _shadow_disagreements(path: KeyPath, consumer: Mapping[str, Any], kind: str) -> Iterator[Complaint]:
    mode, endpoint = consumer.get("smoke_mode") or "before", consumer["endpoint"]
    if mode != "shadow":
        if consumer.get("shadow") is not None and mode in ("before", "after", "both"):
            sentence = f"says how a shadow variant runs, and smoke_mode is {mode}. Write smoke_mode: shadow, or delete it."
            yield (*path, "shadow"), "", sentence
        return
    if kind == REAL_TIME and endpoint.get("data_capture") is None:
        sentence = (
            "is missing, and what a shadow variant answers is in the captured data alone. Add it, for example data_capture: "
            "{s3_uri: s3://BUCKET/captured/}, or choose another smoke_mode."
        )
        yield (*path, "endpoint", "data_capture"), "", sentence
    # "Exclusions" of shadow tests in the developer guide: endpoints of several containers and on Inf1 instances.
    if kind == REAL_TIME and endpoint.get("container_mode") == "direct":
        sentence = "'direct' is for several containers, and AWS puts no shadow variant beside those. Delete it, or choose another smoke_mode."
        yield (*path, "endpoint", "container_mode"), "direct", sentence
    for instance_type in instance_types(endpoint) if kind == REAL_TIME else ():
        if instance_type.startswith("ml.inf1."):
            sentence = f"{quote(instance_type)} takes no shadow variant. Choose another instance type, or another smoke_mode."
            yield (*path, "endpoint", "instance_type"), instance_type, sentence
    if consumer.get("latency") is not None:
        sentence = "cannot be held against a shadow variant, whose captured data does not say how long it took. Delete it, or choose another smoke_mode."
        yield (*path, "latency"), "", sentence


def _name_disagreements(path: KeyPath, endpoint: Mapping[str, Any], versions: object) -> Iterator[Complaint]:
    name = sound(endpoint, "name", identifiers.check_endpoint_name)
    for version in versions if isinstance(versions, list | tuple) else ():
        if name and isinstance(version, int) and len(f"{name}-v{version}-0000") > MAX_NAME:
            sentence = (
                f"{quote(name)} with version {version} makes the name of an endpoint config longer than {MAX_NAME} "
                "characters. Choose a shorter name."
            )
            yield (*path, "name"), name, sentence


def _size_disagreements(path: KeyPath, deployment: Mapping[str, Any], kind: str) -> Iterator[Complaint]:
    for of, key in SIZE_KEYS.items():
        value = deployment.get(key)
        if of == kind and value is None:
            yield (*path, key), "", missing(Deployment, key)
        elif of != kind and value is not None:
            sentence = f"{quote(value)} is a key of type {of}, and the type is {kind}. Delete it, or write type: {of}."
            yield (*path, key), value, sentence
    termination = deployment.get("termination_wait_seconds")
    if kind == "rolling" and termination:
        sentence = f"{quote(termination)} makes old instances wait, which a rolling deployment ends batch by batch. Delete it, or choose another type."
        yield (*path, "termination_wait_seconds"), termination, sentence
    seconds, limit = _waits(deployment, kind), deployment.get("maximum_seconds")
    if seconds is not None and isinstance(limit, int) and limit < seconds < _ENDLESS:
        sentence = (
            f"{limit} seconds are less than the {seconds} that the waits alone take, so every update would be rolled back. "
            "Write more, or wait less."
        )
        yield (*path, "maximum_seconds"), limit, sentence


def _waits(deployment: Mapping[str, Any], kind: str) -> int | None:
    """The seconds that a blue/green deployment waits in all; None where they depend on the instances, or are unsound."""
    wait, end = deployment.get("wait_seconds") or 0, deployment.get("termination_wait_seconds") or 0
    size = deployment.get("linear_percent")
    if not isinstance(wait, int) or not isinstance(end, int) or kind == "rolling":
        return None
    if kind == "linear":
        return math.ceil(100 / size) * wait + end if isinstance(size, int) and size > 0 else None
    return (2 if kind == "canary" else 1) * wait + end


def _serverless_disagreements(
    path: KeyPath, endpoint: Mapping[str, Any], deployment: Mapping[str, Any], kind: object
) -> Iterator[Complaint]:
    count = endpoint.get("instance_count")
    if isinstance(count, int) and count > 1:
        sentence = f"{count} instances cannot be had, because a serverless endpoint has none. Delete it, or serverless."
        yield (*path, "instance_count"), count, sentence
    if kind != "all-at-once" and kind in DEPLOYMENT_TYPES:
        sentence = f"{quote(kind)} moves instances, and a serverless endpoint has none. Write all-at-once, or delete serverless."
        yield (*path, "deployment", "type"), kind, sentence
    if deployment.get("alarms"):
        sentence = "are not watched while a serverless endpoint is updated. Delete them, or serverless."
        yield (*path, "deployment", "alarms"), deployment["alarms"], sentence


def _component_disagreements(
    path: KeyPath, endpoint: Mapping[str, Any], deployment: Mapping[str, Any], kind: object
) -> Iterator[Complaint]:
    """What of a component contradicts something else; waits and alarms are of a rolling update, see `kinds`."""
    for key in ("wait_seconds", "maximum_seconds", "alarms"):
        value = deployment.get(key)
        if value and kind == "all-at-once":
            sentence = (
                f"{quote(value)} cannot be had all at once, because SageMaker watches inference components in rolling updates alone. "
                "Write type: rolling, or delete it."
            )
            yield (*path, "deployment", key), value, sentence
    wanted = endpoint.get("inference_component")
    if not isinstance(wanted, Mapping):
        return
    low, high = wanted.get("memory_mb"), wanted.get("max_memory_mb")
    if isinstance(low, int) and isinstance(high, int) and high < low:
        sentence = f"{high} is less than the memory_mb of {low}. Write more, or delete it."
        yield (*path, "inference_component", "max_memory_mb"), high, sentence
    for key, least in (("cpu_cores", 0.25), ("accelerators", 1)):
        value = wanted.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < least:
            sentence = f"{value} is less than {least}, the least that SageMaker gives a copy. Write more, or delete it."
            yield (*path, "inference_component", key), value, sentence


def _inf1_disagreements(
    path: KeyPath, instance_type: object, deployment: Mapping[str, Any], kind: object
) -> Iterator[Complaint]:
    ways = {"type": kind != "all-at-once" and kind in DEPLOYMENT_TYPES}
    ways |= {key: bool(deployment.get(key)) for key in ("wait_seconds", "alarms")}
    for key, is_set in ways.items():
        if is_set:
            sentence = (
                f"{quote(deployment[key])} would be ignored: AWS moves endpoints on {quote(instance_type)} all at once and "
                "unwatched. Delete it, or choose another instance type."
            )
            yield (*path, key), deployment[key], sentence
