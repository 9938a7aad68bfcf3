"""A shift: an endpoint that stays is created once, moves from version to version, and goes back.

The endpoint has the name in the config, its models are called NAME-vN, its endpoint configs NAME-vN-HHHH. A run goes on from
the state that it finds. Not here: which version, and whether its answers are right (``promotion``).

Source: UpdateEndpoint and DescribeEndpoint (EndpointStatus) in the SageMaker API reference.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import ClientError

from crossaccount.aws.access import Target
from crossaccount.aws.endpoint_status import IN_PROGRESS
from crossaccount.config.kinds import SERVERLESS, article
from crossaccount.errors import Conflict, Failed
from crossaccount.hosting import guardrails, requests
from crossaccount.hosting.carriers import Carrier, carrier
from crossaccount.hosting.gateway import Description, Gateway, Patience, Progress, pending_config, silent
from crossaccount.hosting.gateways import open_gateway
from crossaccount.hosting.outcome import Ending, ShiftOutcome
from crossaccount.hosting.resources import OWNER, OWNER_TAG, PACKAGE_TAG, HostedResource
from crossaccount.hosting.state import Known, LiveEndpoint, list_configs, read, withdraw_proof
from crossaccount.release.manifest import Release

_GLANCES = 3  # times in a row that AWS must show an ending before it is believed: its reads may lag behind its writes
Action = Literal["created", "updated", "in progress", "nothing"]


@dataclass(frozen=True)
class Shift:
    """A request to an endpoint to serve ``config``: the endpoint's state ``before``, the resources for it, and the action."""

    endpoint: str
    config: str
    before: LiveEndpoint | None
    resources: tuple[HostedResource, ...]
    action: Action
    package: str = ""

    @property
    def known(self) -> Known | None:
        """What this run knows of the endpoint once it serves ``config``, without reading it; None where another made the change."""
        if not self.resources or self.action not in ("created", "updated"):
            return None
        made = {PACKAGE_TAG: self.package} if self.before is None and self.action == "created" else {}
        config_tags = {OWNER_TAG: OWNER, PACKAGE_TAG: self.package}
        return Known({OWNER_TAG: OWNER, **made}, self.resources[-1].arn, config_tags)


def shift(
    target: Target,
    release: Release,
    patience: Patience,
    progress: Progress = silent,
    model: HostedResource | None = None,
    absent: bool = False,
) -> Shift:
    """Begin to move the endpoint to a version, with the guardrails of the config; `settle` says how it ends.

    An endpoint is created if there is none, and anew if its creation failed. A change that is under way is waited for first,
    unless it is this very one. Model and endpoint config are created, or found from a run that died. Their removal:
    `removal.discard`, `removal.retire`.

    Args:
        target: the consumer's account.
        release: of the version.
        patience: how long to wait for a change that is under way.
        progress: as for `Gateway.watch`.
        model: that of the version, if this run has just made or found it.
        absent: whether there was no endpoint just now: it is created, and looked at only where AWS says that there is one.

    Raises:
        Failed: as `requests.check` and `guardrails.check_alarms`; and for an endpoint that stays in a change, cannot be updated
            to this, or has lost its own endpoint config. The endpoint was not changed then.
        InputError: for an endpoint name that is too long for the version's.
        Conflict: for an endpoint, model or endpoint config of that name that is not this tool's.
        ClientError: AWS's refusal.
    """
    wanted = requests.config_name(target.consumer, release)
    requests.check(target.consumer, release)
    guardrails.check_alarms(target)
    before = None if absent else when_calm(target, patience, progress, wanted)
    if before is not None and before.status in IN_PROGRESS:
        return Shift(before.endpoint, wanted, before, (), "in progress")
    way = carrier(target, model)
    check_kind(target, before)
    resources = way.ensure(release, wanted, patience, progress)
    if resources[-1].reused and (before is None or before.config != wanted):
        withdraw_proof(target, wanted)  # its last proof says nothing about this time
    package = release.model_package_arn
    action, found = _point(target, way, before, wanted, package, way.guard(), patience, progress)
    if before is None and found is not None and found.config != wanted:
        before = found  # somebody else's creation came between; one of the wanted is this run's, whose answer was lost
    return Shift(target.consumer.endpoint.name, wanted, before, resources, action, package)


def when_calm(
    target: Target, patience: Patience, progress: Progress = silent, wanted: str | None = None
) -> LiveEndpoint | None:
    """The endpoint once it is in no change, or in the change to the wanted endpoint config; None when there is none.

    Raises:
        Conflict: when the endpoint is not this tool's.
        Failed: when it is still in a change at the end of the patience.
        ClientError: when AWS refuses to be asked.
    """
    gateway, name = open_gateway(target), target.consumer.endpoint.name
    for description, _ in gateway.watch(name, patience, progress):
        if description is None:
            return None
        status, goals = description["EndpointStatus"], [pending_config(description)]
        if status == "Creating":
            goals.append(description.get("EndpointConfigName"))
        to_wanted = wanted is not None and status in ("Creating", "Updating") and wanted in goals
        if to_wanted or status not in IN_PROGRESS:
            return claimed(read(gateway, description))
    raise Failed(
        f"The endpoint {name} is still {status} after {patience.seconds:.0f} s, and cannot be changed until that ends. "
        "Run this again later."
    )


def claimed(live: LiveEndpoint) -> LiveEndpoint:
    """The endpoint, if it is this tool's.

    Raises:
        Conflict: when it is not.
    """
    if not live.ours:
        raise Conflict(
            f"The endpoint {live.endpoint} exists and was not made by this tool. Delete or rename it, or choose another endpoint.name."
        )
    return live


def check_kind(target: Target, before: LiveEndpoint | None) -> None:
    """Refuse to make an endpoint one of another kind: AWS does not take every such step back, and its callers call it otherwise.

    Source: UpdateEndpoint in the SageMaker API reference for serverless; "Asynchronous inference" in the developer guide: such an
    endpoint takes asynchronous invocations alone; InvokeEndpoint: it wants InferenceComponentName where there are inference components.

    Raises:
        Failed: for such a step.
    """
    if before is None or before.status == "Failed":
        return
    name = carrier(target).endpoint_config(before.config)
    config = None if name is None else Gateway(target.sagemaker).describe("endpoint-config", name)
    if config is None:
        return
    kind, wanted = requests.kind_of(config), target.consumer.endpoint.hosting_kind
    if kind != wanted:
        why = "cannot be changed back" if SERVERLESS in (kind, wanted) else "answers none of its callers"
        raise Failed(
            f"The endpoint {before.endpoint} is {article(kind)}, and the config asks for {article(wanted)}: one that changes that {why}. "
            "Choose another endpoint.name."
        )


def _point(
    target: Target,
    way: Carrier,
    now: LiveEndpoint | None,
    wanted: str,
    package: str,
    guard: Mapping[str, Any] | None,
    patience: Patience,
    progress: Progress,
) -> tuple[Action, LiveEndpoint | None]:
    """Ask the endpoint to serve the wanted endpoint config, from any state; a change that AWS began meanwhile is waited for.

    The endpoint is given as it was before that; None where there was none, or one that has failed.
    """
    deadline = time.monotonic() + patience.seconds
    while True:
        if now is not None and now.status in IN_PROGRESS:
            return "in progress", now
        if now is not None and now.status == "InService" and now.config == wanted:
            return "nothing", now
        if now is not None and now.status == "Failed":
            way.clear_failed(patience)
            now = None
        try:
            config = now.config if now is not None else None
            return way.point(now is not None, config, wanted, package, guard, patience), now
        except ClientError as error:
            if not way.came_between(error) or time.monotonic() >= deadline:
                raise
            time.sleep(patience.first)
        now = when_calm(target, patience, progress, wanted)


def roll_back(
    target: Target, to: str, patience: Patience, progress: Progress = silent, withdraw: bool = True
) -> Shift:
    """Begin to move the endpoint back to an endpoint config that it had; `settle` says how it ends.

    All at once and without alarms: those of the version that it leaves may be ringing. That version loses its proof, unless
    ``withdraw`` is False.

    Args:
        target: the consumer's account.
        to: the endpoint config's name, see `state.previous_config` and `Shift.before`.
        patience: how long to wait for a change that is under way.
        progress: as for `Gateway.watch`.
        withdraw: False where the version stays, and a shadow variant comes or goes.

    Raises:
        Failed: when there is no such endpoint config of this tool, its model is gone, or as for `shift`.
        Conflict: when the endpoint is not this tool's.
        ClientError: AWS's refusal.
    """
    configs = {config.config: config for config in list_configs(target)}
    if to not in configs:
        raise Failed(
            f"The endpoint {target.consumer.endpoint.name} cannot go back to {to}: this tool has no such endpoint config. It has: "
            f"{', '.join(configs) or 'none'}."
        )
    way = carrier(target)
    model = way.model_of(to, configs[to].version)
    if Gateway(target.sagemaker).describe("model", model) is None:
        raise Failed(
            f"The endpoint cannot go back to {to}: its model {model} is gone. Promote that version again."
        )
    before = when_calm(target, patience, progress, to)
    left = before.own_config if before is not None and before.config != to else None
    if withdraw and left is not None and left != to:
        withdraw_proof(target, left)
    action, _ = _point(target, way, before, to, configs[to].package, None, patience, progress)
    return Shift(target.consumer.endpoint.name, to, before, (), action)


def settle(
    target: Target,
    wanted: str,
    patience: Patience,
    progress: Progress = silent,
    begun: Shift | None = None,
) -> ShiftOutcome:
    """Wait until the endpoint serves the wanted endpoint config, or a shift to it has ended otherwise; the outcome.

    Args:
        target: the consumer's account.
        wanted: the name of the endpoint config, see `Shift.config`.
        patience: how long to wait.
        progress: as for `Gateway.watch`.
        begun: the shift, if this run has just begun it: what it knows of the endpoint is not read again.

    Raises:
        ClientError: when AWS refuses to be asked.
    """
    gateway, name = open_gateway(target), target.consumer.endpoint.name
    known = begun.known if begun is not None else None
    seen, started = list[Ending | None](), time.monotonic()
    for description, _ in gateway.watch(name, patience, progress, begun=known is not None):
        seen.append(ending_of(description, wanted))
        if is_sure(seen):
            break
    ending = seen[-1]
    if ending is None:
        status = description["EndpointStatus"] if description else ""
        ending = Ending.SYSTEM_UPDATING if status == "SystemUpdating" else Ending.TIMED_OUT
    live = read(gateway, description, known if ending is Ending.LIVE else None) if description else None
    return ShiftOutcome(ending, name, wanted, live, time.monotonic() - started)


def ending_of(description: Description | None, wanted: str) -> Ending | None:
    """The ending of a shift that an endpoint's description stands for; None while the shift goes on."""
    if description is None:
        return Ending.GONE
    match description["EndpointStatus"]:
        case "InService":
            return Ending.LIVE if description["EndpointConfigName"] == wanted else Ending.ROLLED_BACK
        case "Failed":
            return Ending.CREATION_FAILED
        case "UpdateRollbackFailed":
            return Ending.ROLLBACK_FAILED
        case "OutOfService":
            return Ending.OUT_OF_SERVICE
        case _:  # in a change; a status that AWS adds one day is one to wait in
            return None


def is_sure(seen: Sequence[Ending | None]) -> bool:
    """Whether the last ending seen is final: right after a call AWS may still show the state from before it."""
    last = seen[-1]
    if last is None:
        return False
    at_once = last is Ending.LIVE or (None in seen and last is not Ending.GONE)
    return at_once or list(seen[-_GLANCES:]) == [last] * _GLANCES
