"""Leftovers of runs that died: found by name and tags, and removed.

A run removes what it made for a while when it ends. One that is killed does not, and a lost host runs nothing at all. Left
are endpoints, endpoint configs and models called NAME-vN, and the model NAME-v0 of an audit's probe. What is kept, what is
not tagged as this tool's, and what a kept endpoint runs on is never looked upon as left. Not here: whether the run that a
thing belongs to still goes on, which is for those who know runs to say.

Not seen: an endpoint of another name, made by hand on one of these endpoint configs: the deployer may not look at it.

Source: ListEndpoints, ListEndpointConfigs, ListModels, ListTags, DeleteEndpoint and DeleteEndpointConfig in the SageMaker API
reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError

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
    HostingKind,
    Removal,
    deployment_name,
    is_temporary,
)

if TYPE_CHECKING:
    from crossaccount.aws.access import Target

YOUNGEST_MINUTES = 90  # an endpoint may take an hour to come up, and its run asks it afterwards
_IN_ORDER_OF_REMOVAL = tuple(reversed(KINDS))


@dataclass(frozen=True)
class Leftover:
    """Something that was made for a while and is still there.

    ``created`` is when it was made, or taken over by a later run; ``flow_run`` the run that it was made by, or taken over by;
    ``package`` the model package behind it. The last two are None where no tag says so.
    """

    kind: HostingKind
    name: str
    arn: str
    created: datetime
    flow_run: str | None
    package: str | None


@dataclass(frozen=True)
class Fate:
    """What became of a leftover: an outcome of `Removal`, or young, in use, or (on a dry run) would be removed."""

    kind: HostingKind
    name: str
    outcome: str
    reason: str = ""

    def __str__(self) -> str:
        """In a line."""
        return f"{self.kind} {self.name}: {self.outcome}{f' ({self.reason})' if self.reason else ''}"


@dataclass(frozen=True)
class Swept:
    """What was found and done in one consumer's account; ``error`` says why nothing could be, where it could not."""

    consumer: str
    account: str
    fates: tuple[Fate, ...]
    error: str = ""

    @property
    def left(self) -> tuple[str, ...]:
        """What could not be removed, and why, each in a line."""
        unreached = (f"{self.consumer} ({self.account}): {first_line(self.error)}",) if self.error else ()
        stays = (fate for fate in self.fates if fate.outcome == "left")
        return (*unreached, *(f"{self.consumer} ({self.account}): {fate}" for fate in stays))

    @property
    def lines(self) -> tuple[str, ...]:
        """Everything, each in a line."""
        where = f"{self.consumer} ({self.account})"
        if self.error:
            return (f"{where}: could not be looked through. {first_line(self.error)}",)
        return tuple(f"{where}: {fate}" for fate in self.fates) or (f"{where}: nothing was left",)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def first_line(text: str) -> str:
    """The first line of a text."""
    return text.partition("\n")[0]


def age(minutes: int) -> timedelta:
    """How old a leftover must be to be removed.

    Raises:
        InputError: for less than what a living run may need.
    """
    if minutes < YOUNGEST_MINUTES:
        raise InputError(
            f"{minutes} minutes: an endpoint may take an hour to come up, so what is younger than {YOUNGEST_MINUTES} minutes may be a "
            f"living run's. Give {YOUNGEST_MINUTES} or more."
        )
    return timedelta(minutes=minutes)


def find(target: Target) -> tuple[Leftover, ...]:
    """The leftovers of runs under a consumer's names, endpoints first, then endpoint configs, then models.

    Raises:
        Refused: when AWS refuses to be asked, with the door.
        Failed: when it cannot be asked.
    """
    with target.explained("sagemaker:ListEndpoints", "*"):
        gateway = Gateway(target.sagemaker)
        leftovers = [leftover for kind in _IN_ORDER_OF_REMOVAL for leftover in _tagged(gateway, target, kind)]
        return tuple(_unused(gateway, target, leftovers))


def _tagged(gateway: Gateway, target: Target, kind: HostingKind) -> Iterator[Leftover]:
    for listed in gateway.list(kind, target.consumer.endpoint.name, VERSION):
        tags = absent(partial(gateway.tags, listed.arn))
        if tags is not None and is_temporary(tags):
            since = _since(tags, listed.created)
            yield Leftover(kind, listed.name, listed.arn, since, tags.get(RUN_TAG), tags.get(PACKAGE_TAG))


def _since(tags: Mapping[str, str], created: datetime) -> datetime:
    """When the run that has it now came by it; a tag that says no time says nothing."""
    try:
        taken = datetime.fromisoformat(tags.get(SINCE_TAG, ""))
    except ValueError:
        return created.astimezone(UTC)
    return max(created.astimezone(UTC), taken.astimezone(UTC))


def _unused(gateway: Gateway, target: Target, leftovers: Sequence[Leftover]) -> Iterator[Leftover]:
    """All but what an endpoint that stays runs on, or moves to, whatever its tags say."""
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
    used: dict[HostingKind, set[Any]] = {"endpoint": set(), "endpoint-config": live, "model": models}
    for leftover in leftovers:
        if leftover.name not in used[leftover.kind]:
            yield leftover


def expired(leftovers: Iterable[Leftover], now: datetime, older_than: timedelta) -> tuple[Leftover, ...]:
    """Those that are old enough to go.

    What has one name goes together: a young endpoint keeps the older model that it was made on.
    """
    every = tuple(leftovers)
    youngest = {one.name: max(two.created for two in every if two.name == one.name) for one in every}
    return tuple(leftover for leftover in every if now - youngest[leftover.name] >= older_than)


def reap(target: Target, leftovers: Iterable[Leftover], patience: Patience) -> tuple[Removal, ...]:
    """Remove leftovers, endpoints first, then endpoint configs, then models, and see each gone.

    Each is looked at again just before: what another run has taken over meanwhile is kept. What an endpoint that could not be
    removed still runs on is left with it. One failure does not stop the rest.

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
        except BotoCoreError as error:
            removals.append(Removal(kind, name, "left", f"AWS cannot be asked: {error}"))
    return tuple(removals)


def _check(gateway: Gateway, leftover: Leftover) -> None:
    """See that a leftover is still one.

    Raises:
        Conflict: when a run has it now.
        Failed: when its endpoint is still there.
        ClientError: when AWS refuses to be asked.
    """
    if leftover.kind != "endpoint" and gateway.describe(leftover.kind, leftover.name) is None:
        return  # its deletion will say so
    tags = absent(partial(gateway.tags, leftover.arn))
    if tags is None:
        return
    if not is_temporary(tags):
        raise Conflict("it is to stay now")
    if tags.get(RUN_TAG) != leftover.flow_run:
        raise Conflict(f"flow run {tags.get(RUN_TAG)} has it now")
    if leftover.kind != "endpoint" and gateway.describe("endpoint", leftover.name) is not None:
        # DeleteEndpointConfig: "You must not delete an EndpointConfig in use by an endpoint that is live".
        raise Failed(f"the endpoint {leftover.name} still runs on it")
