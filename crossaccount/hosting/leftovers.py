"""Leftovers of runs that died: found by name and tags, and removed.

A run removes its temporary resources when it ends; a killed run does not, nor does a lost host. They are inference components, endpoints,
endpoint configs and models called NAME-vN, and the model NAME-v0 of an audit's probe. A kept resource, one without this tool's tags,
and one that a kept endpoint runs on is no leftover. Not here: whether the run of a leftover still goes on (``tasks.reaper``).

Not seen: an endpoint of another name, made by hand on one of these endpoint configs: the deployer may not look at it.

Source: ListEndpoints, ListEndpointConfigs, ListModels, ListTags, DeleteEndpoint and DeleteEndpointConfig in the SageMaker API
reference.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from crossaccount.aws.access import Target
from crossaccount.errors import Conflict, Failed, InputError
from crossaccount.hosting.gateway import (
    VERSION,
    VERSION_AND_ANY_HASH,
    Gateway,
    Patience,
    absent,
    pending_config,
)
from crossaccount.hosting.removal import delete
from crossaccount.hosting.resources import (
    KINDS,
    PACKAGE_TAG,
    RUN_TAG,
    SINCE_TAG,
    Fate,
    HostingKind,
    Removal,
    deployment_name,
    is_temporary,
    kinds_of,
)
from crossaccount.text import first_line, quote

YOUNGEST_MINUTES = 90  # an endpoint may take an hour to come up, and its run asks it afterwards
RUN_ID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # a flow run's, a pattern
_IN_ORDER_OF_REMOVAL = tuple(reversed(KINDS))


@dataclass(frozen=True)
class Leftover:
    """A temporary resource that is still there.

    ``created`` is when it was made, or taken over by a later run; ``flow_run`` the run that made it or took it over;
    ``package`` its model package. The last two are None where no tag says so.
    """

    kind: HostingKind
    name: str
    arn: str
    created: datetime
    flow_run: str | None
    package: str | None


@dataclass(frozen=True)
class Swept:
    """The fates of the leftovers in one consumer's account; ``error`` says why the account could not be looked through."""

    consumer: str
    account: str
    fates: tuple[Fate, ...]
    error: str = ""

    @property
    def where(self) -> str:
        """The consumer and its account, in a few words."""
        return f"{self.consumer} ({self.account})"

    @property
    def left(self) -> tuple[str, ...]:
        """The resources that could not be removed, and why, each in a line; or why the account could not be looked through."""
        if self.error:
            return (f"{self.where}: {first_line(self.error)}",)
        return tuple(f"{self.where}: {fate}" for fate in self.fates if fate.outcome == "left")

    @property
    def lines(self) -> tuple[str, ...]:
        """The fates, each in a line."""
        if self.error:
            return (f"{self.where}: could not be looked through. {first_line(self.error)}",)
        return tuple(f"{self.where}: {fate}" for fate in self.fates) or (f"{self.where}: nothing was left",)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def age(minutes: int) -> timedelta:
    """The age at which a leftover may be removed.

    Raises:
        InputError: for fewer minutes than a living run may need.
    """
    if minutes < YOUNGEST_MINUTES:
        raise InputError(
            f"{minutes} minutes: an endpoint may take an hour to come up, so a resource younger than {YOUNGEST_MINUTES} minutes may be a "
            f"living run's. Give {YOUNGEST_MINUTES} or more."
        )
    return timedelta(minutes=minutes)


def check_run(run: str | None) -> None:
    """See that a flow run's id can be one; None is none.

    Raises:
        InputError: when it cannot.
    """
    if run is not None and not re.fullmatch(RUN_ID, run):
        raise InputError(
            f"--run {quote(run)} is not the id of a flow run. Give the one that the interrupted command named, or that the tag {RUN_TAG} of a "
            "leftover has, for example 01234567-89ab-cdef-0123-456789abcdef."
        )


def find(target: Target) -> tuple[Leftover, ...]:
    """The leftovers of runs under a consumer's names: inference components first, then endpoints, endpoint configs and models.

    Raises:
        Refused: when AWS refuses to be asked, with the door.
        Failed: when it cannot be asked.
    """
    with target.explained("sagemaker:ListEndpoints", "*"):
        gateway = Gateway(target.sagemaker)
        kinds = reversed(kinds_of(target.consumer))
        leftovers = [leftover for kind in kinds for leftover in _tagged(gateway, target, kind)]
        return tuple(_unused(gateway, target, leftovers))


def _tagged(gateway: Gateway, target: Target, kind: HostingKind) -> Iterator[Leftover]:
    for listed in gateway.list(kind, target.consumer.endpoint.name, VERSION):
        tags = absent(partial(gateway.tags, listed.arn))
        if tags is not None and is_temporary(tags):
            since = _since(tags, listed.created)
            yield Leftover(kind, listed.name, listed.arn, since, tags.get(RUN_TAG), tags.get(PACKAGE_TAG))


def _since(tags: Mapping[str, str], created: datetime) -> datetime:
    """When the run of the resource made it or took it over; a tag without a time does not count."""
    try:
        taken = datetime.fromisoformat(tags.get(SINCE_TAG, ""))
    except ValueError:
        return created.astimezone(UTC)
    return max(created.astimezone(UTC), taken.astimezone(UTC))


def _unused(gateway: Gateway, target: Target, leftovers: Sequence[Leftover]) -> Iterator[Leftover]:
    """The leftovers that no endpoint that stays runs on or moves to, whatever their tags say."""
    endpoint = target.consumer.endpoint.name
    temporary = {leftover.name for leftover in leftovers if leftover.kind == "endpoint"}
    standing = {endpoint, *(listed.name for listed in gateway.list("endpoint", endpoint, VERSION))}
    states = [gateway.describe("endpoint", name) or {} for name in sorted(standing - temporary)]
    live = {config for state in states for config in (state.get("EndpointConfigName"), pending_config(state))}
    going = {leftover.name for leftover in leftovers if leftover.kind == "endpoint-config"} - live
    configs = gateway.list("endpoint-config", endpoint, VERSION_AND_ANY_HASH)
    models = {
        deployment_name(target.consumer, config.version) for config in configs if config.name not in going
    }
    used: dict[HostingKind, set[Any]] = {"endpoint-config": live, "model": models}
    for leftover in leftovers:
        if leftover.name not in used.get(leftover.kind, ()):
            yield leftover


def expired(leftovers: Sequence[Leftover], now: datetime, older_than: timedelta) -> tuple[Leftover, ...]:
    """The leftovers that are old enough to go; of one name all or none: a young endpoint keeps the older model it runs on."""
    by_age = sorted(leftovers, key=lambda leftover: leftover.created)
    youngest = {leftover.name: leftover.created for leftover in by_age}
    return tuple(leftover for leftover in leftovers if now - youngest[leftover.name] >= older_than)


def reap(target: Target, leftovers: Sequence[Leftover], patience: Patience) -> tuple[Removal, ...]:
    """Remove leftovers, endpoints first, then endpoint configs, then models, and see each gone.

    Each is looked at again just before: one that another run has taken over meanwhile is kept. The endpoint config and model of
    an endpoint that could not be removed are left with it. One failure does not stop the rest.

    Args:
        target: the consumer's account.
        leftovers: see `find`.
        patience: how long to wait for each endpoint that is Creating, and for it to be gone.
    """
    gateway, removals = Gateway(target.sagemaker), list[Removal]()
    for leftover in sorted(leftovers, key=lambda leftover: _IN_ORDER_OF_REMOVAL.index(leftover.kind)):
        kind, name = leftover.kind, leftover.name
        try:
            removals.append(delete(gateway, kind, name, patience, partial(_check, gateway, leftover)))
        except Conflict as conflict:
            removals.append(Removal(kind, name, "kept", str(conflict)))
    return tuple(removals)


def _check(gateway: Gateway, leftover: Leftover) -> None:
    """See that a leftover is still one.

    Raises:
        Conflict: when a run has it now.
        Failed: when its endpoint is still there.
        ClientError: when AWS refuses to be asked.
    """
    if gateway.describe(leftover.kind, leftover.name) is None:
        return  # its deletion will say so
    tags = absent(partial(gateway.tags, leftover.arn))
    if tags is None:
        return
    if not is_temporary(tags):
        raise Conflict("it is tagged to stay now")
    if tags.get(RUN_TAG) != leftover.flow_run:
        raise Conflict(f"flow run {tags.get(RUN_TAG)} has it now")
    by_itself = leftover.kind in ("endpoint", "inference-component")
    if not by_itself and gateway.describe("endpoint", leftover.name) is not None:
        # DeleteEndpointConfig: "You must not delete an EndpointConfig in use by an endpoint that is live".
        raise Failed(f"the endpoint {leftover.name} still runs on it")
