"""What runs left behind when they died: found by name and tags, and removed.

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

from crossaccount import preflight, rollout, serving
from crossaccount.errors import Conflict, DoorName, Failed, InputError
from crossaccount.serving import KEEP_TAG, OWNER, OWNER_TAG, PACKAGE_TAG, RUN_TAG, SINCE_TAG, Made, Removal
from crossaccount.show.markdown import cell

if TYPE_CHECKING:
    import boto3

    from crossaccount.config.model import ConsumerConfig, Sharing


YOUNGEST_MINUTES = 90  # an endpoint may take an hour to come up, and its run asks it afterwards
_LISTED: tuple[tuple[serving.Kind, str, str], ...] = (  # in the order of removal
    ("endpoint", "endpoints", "Endpoint"),
    ("endpoint-config", "endpoint_configs", "EndpointConfig"),
    ("model", "models", "Model"),
)
_ORDER = {kind: place for place, (kind, _, _) in enumerate(_LISTED)}


@dataclass(frozen=True)
class Leftover:
    """Something that was made for a while and is still there.

    ``created`` is when it was made, or taken over by a later run; ``flow_run`` the run that it was made by, or taken over by;
    ``package`` the model package behind it. The last two are None where no tag says so.
    """

    kind: serving.Kind
    name: str
    arn: str
    created: datetime
    flow_run: str | None
    package: str | None


@dataclass(frozen=True)
class Fate:
    """What became of a leftover: an outcome of `serving.Removal`, or young, in use, or (on a dry run) would be removed."""

    kind: serving.Kind
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
        unreached = (f"{self.consumer} ({self.account}): {_first_line(self.error)}",) if self.error else ()
        stays = (one for one in self.fates if one.outcome == "left")
        return (*unreached, *(f"{self.consumer} ({self.account}): {one}" for one in stays))

    @property
    def lines(self) -> tuple[str, ...]:
        """Everything, each in a line."""
        where = f"{self.consumer} ({self.account})"
        if self.error:
            return (f"{where}: could not be looked through. {_first_line(self.error)}",)
        return tuple(f"{where}: {one}" for one in self.fates) or (f"{where}: nothing was left",)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def markdown(swept: Sequence[Swept]) -> str:
    """For a Prefect artifact: a row for everything that was found."""
    rows = ["| consumer | what | became of it | because |", "|---|---|---|---|"]
    for one in swept:
        where = f"{one.consumer} ({one.account})"
        if one.error:
            rows.append(
                f"| {where} | everything | **could not be looked through** | {cell(_first_line(one.error))} |"
            )
        for fate in one.fates:
            outcome = f"**{fate.outcome}**" if fate.outcome == "left" else fate.outcome
            rows.append(
                f"| {where} | {fate.kind} `{fate.name}` | {outcome} | {cell(_first_line(fate.reason))} |"
            )
    return "\n".join(rows) if len(rows) > 2 else "Nothing was left."


def _first_line(text: str) -> str:
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


def find(
    session: boto3.Session, sharing: Sharing, name: str, consumer: ConsumerConfig
) -> tuple[Leftover, ...]:
    """What runs left under a consumer's names, endpoints first, then endpoint configs, then models.

    Args:
        session: in the deployer role.
        sharing: the config.
        name: the consumer's name in it.
        consumer: the consumer.

    Raises:
        Refused: when AWS refuses to be asked, with the door.
        Failed: when it cannot be asked.
    """
    asked = ("sagemaker:ListEndpoints", "*")
    with preflight.explained(session, sharing, name, consumer, DoorName.CALLER_POLICY, asked):
        client = rollout._client(session, sharing)
        found = [one for listed in _LISTED for one in _tagged(client, consumer, listed)]
        return tuple(_unused(client, consumer, found))


def _tagged(
    client: Any, consumer: ConsumerConfig, listed: tuple[serving.Kind, str, str]
) -> Iterator[Leftover]:
    kind, what, named = listed
    for name, summary in rollout._listed(client, what, named, consumer, ""):
        arn = summary[f"{named}Arn"]
        tags = rollout._absent(partial(rollout._tags, client, arn))
        if tags is not None and _is_for_a_while(tags):
            since = _since(tags, summary["CreationTime"])
            yield Leftover(kind, name.text, arn, since, tags.get(RUN_TAG), tags.get(PACKAGE_TAG))


def _is_for_a_while(tags: Mapping[str, str]) -> bool:
    return tags.get(OWNER_TAG) == OWNER and tags.get(KEEP_TAG) == "false"


def _since(tags: Mapping[str, str], created: datetime) -> datetime:
    """When the run that has it now came by it; a tag that says no time says nothing."""
    try:
        taken = datetime.fromisoformat(tags.get(SINCE_TAG, ""))
    except ValueError:
        return created.astimezone(UTC)
    return max(created.astimezone(UTC), taken.astimezone(UTC))


def _unused(client: Any, consumer: ConsumerConfig, found: Sequence[Leftover]) -> Iterator[Leftover]:
    """All but what an endpoint that stays runs on, or moves to, whatever its tags say."""
    endpoints = {one.name for one in found if one.kind == "endpoint"}
    standing = {consumer.endpoint.name}
    standing |= {one.text for one, _ in rollout._listed(client, "endpoints", "Endpoint", consumer, "")}
    states = [rollout._describe(client, name) or {} for name in sorted(standing - endpoints)]
    live = {
        config for state in states for config in (state.get("EndpointConfigName"), rollout._pending(state))
    }
    going = {one.name for one in found if one.kind == "endpoint-config" and one.name not in live}
    configs = rollout._listed(client, "endpoint_configs", "EndpointConfig", consumer, "(?:-[0-9a-f]{4})?")
    # An endpoint config NAME-vN or NAME-vN-HHHH has the model NAME-vN.
    models = {f"{consumer.endpoint.name}-v{one.version}" for one, _ in configs if one.text not in going}
    used: dict[serving.Kind, set[Any]] = {"endpoint": set(), "endpoint-config": live, "model": models}
    for one in found:
        if one.name not in used[one.kind]:
            yield one


def expired(leftovers: Iterable[Leftover], now: datetime, older_than: timedelta) -> tuple[Leftover, ...]:
    """Those that are old enough to go.

    What has one name goes together: a young endpoint keeps the older model that it was made on.
    """
    every = tuple(leftovers)
    youngest = {one.name: max(two.created for two in every if two.name == one.name) for one in every}
    return tuple(one for one in every if now - youngest[one.name] >= older_than)


def reap(
    session: boto3.Session,
    sharing: Sharing,
    consumer: ConsumerConfig,
    leftovers: Iterable[Leftover],
    timeout: float,
) -> tuple[Removal, ...]:
    """Remove leftovers, endpoints first, then endpoint configs, then models, and see each gone.

    Each is looked at again just before: what another run has taken over meanwhile is kept. What an endpoint that could not be
    removed still runs on is left with it. One failure does not stop the rest.

    Args:
        session: in the deployer role.
        sharing: the config.
        consumer: whose they are.
        leftovers: see `find`.
        timeout: seconds to wait for each endpoint that is Creating, and for it to be gone.
    """
    client, removals = rollout._client(session, sharing), list[Removal]()
    for one in sorted(leftovers, key=lambda one: _ORDER[one.kind]):
        made = Made(one.kind, one.name, one.arn, reused=True, keep=False)
        try:
            removals += serving.remove(session, sharing.region, [made], timeout, partial(_check, client, one))
        except Conflict as conflict:
            removals.append(Removal(one.kind, one.name, "kept", str(conflict)))
        except BotoCoreError as error:
            removals.append(Removal(one.kind, one.name, "left", f"AWS cannot be asked: {error}"))
    return tuple(removals)


def _check(client: Any, leftover: Leftover, made: Made) -> None:
    """See that a leftover is still one.

    Raises:
        Conflict: when a run has it now.
        Failed: when its endpoint is still there.
        ClientError: when AWS refuses to be asked, or it is gone.
    """
    if leftover.kind == "model":
        client.describe_model(ModelName=leftover.name)
    elif leftover.kind == "endpoint-config":
        client.describe_endpoint_config(EndpointConfigName=leftover.name)
    tags = rollout._tags(client, leftover.arn)
    if not _is_for_a_while(tags):
        raise Conflict("it is to stay now")
    if tags.get(RUN_TAG) != leftover.flow_run:
        raise Conflict(f"flow run {tags.get(RUN_TAG)} has it now")
    if leftover.kind != "endpoint" and rollout._describe(client, leftover.name) is not None:
        # DeleteEndpointConfig: "You must not delete an EndpointConfig in use by an endpoint that is live".
        raise Failed(f"the endpoint {leftover.name} still runs on it")
