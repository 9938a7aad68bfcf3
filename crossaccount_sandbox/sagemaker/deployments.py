"""What an endpoint shall become, as plain values: in which steps an update shifts traffic, what AWS would refuse.

Not here: carrying a plan out (``rollouts``).

Source: "Deployment guardrails for updating models in production" in the SageMaker developer guide (blue/green,
rolling, exclusions), and DeploymentConfig in the API reference. The texts of the refusals are the sandbox's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from crossaccount_sandbox.sagemaker.outcomes import HEALTHY, Outcome

Record = Mapping[str, Any]
_NO_CAPACITY = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please retry using a "
    "different ML instance type or after some time."
)


@dataclass(frozen=True)
class Step:
    """One shift of traffic: the share that the new fleet has after it, and how many seconds it bakes."""

    share: Fraction
    bake: float


@dataclass(frozen=True)
class Plan:
    """How an update goes.

    Args:
        steps: the shifts; the last one has the share 1.
        rolling: instances are replaced batch by batch, rather than a whole fleet brought up beside the old one.
        termination: seconds between the end of the shift and the end of the old fleet.
        limit: the seconds that bakes and waits may take in all; None for any.
        back: the share of the traffic that each step of a rollback takes back.
    """

    steps: tuple[Step, ...] = (Step(Fraction(1), 0.0),)
    rolling: bool = False
    termination: float = 0.0
    limit: float | None = None
    back: Fraction = Fraction(1)


class Unhealthy(Exception):
    """Why an endpoint cannot come into service, in AWS's words."""

    @classmethod
    def of(cls, kind: str, variant: str, container: str = "primary") -> Unhealthy:
        """What AWS says of an outcome of this kind, other than a healthy one.

        Args:
            kind: as of ``outcomes.Outcome``.
            variant: whose containers did not come up.
            container: which of them.
        """
        if kind == "no-capacity":
            return cls(_NO_CAPACITY)
        return cls(
            f" The {container} container for production variant {variant} did not pass the ping health check. Please check "
            "CloudWatch logs for this endpoint."
        )


def nothing_wrong() -> None:
    """The watch of an update that names no alarms, and the check of an endpoint that nothing is asked about."""


@dataclass(frozen=True)
class Wanted:
    """What an endpoint shall become.

    Args:
        config: the endpoint configuration.
        models: by variant.
        outcome: what was arranged for it.
        plan: in which steps traffic moves to it.
        watch: raises Unhealthy when an alarm says to go back.
        kept: by variant, the DesiredInstanceCount and DesiredWeight that the update retains.
        capture: the data capture that the endpoint shows; None for none.
        check: raises Unhealthy when AWS would not bring it up, before anything is started.
        claimed: by instance type, how many instances the account's quotas are asked for until it has ended.
    """

    config: Record
    models: Mapping[str, Record]
    outcome: Outcome = HEALTHY
    plan: Plan = field(default_factory=Plan)
    watch: Callable[[], None] = nothing_wrong
    kept: Mapping[str, Record] = field(default_factory=dict)
    capture: Record | None = None
    check: Callable[[], None] = nothing_wrong
    claimed: Mapping[str, int] = field(default_factory=dict)


def plan(config: Record | None, variants: Sequence[Record]) -> Plan:
    """The plan that a DeploymentConfig, already checked, means for these new variants.

    Endpoints on Inf1 instances fall back to all at once without a bake, as AWS's exclusions page says.
    """
    config = config or {}
    if any(str(variant.get("InstanceType", "")).startswith("ml.inf1.") for variant in variants):
        return Plan()
    count = min(int(variant.get("InitialInstanceCount", 1)) for variant in variants)
    if rolling := config.get("RollingUpdatePolicy"):
        bake, batch = float(rolling["WaitIntervalInSeconds"]), _batch(rolling["MaximumBatchSize"], count)
        back = rolling.get("RollbackMaximumBatchSize")
        return Plan(
            steps=_even(batch, bake),
            rolling=True,
            limit=rolling.get("MaximumExecutionTimeoutInSeconds"),
            back=_batch(back, count) if back else Fraction(1),
        )
    policy = config.get("BlueGreenUpdatePolicy")
    if not policy:
        return Plan()
    routing = policy["TrafficRoutingConfiguration"]
    return Plan(
        steps=_shifts(routing, count),
        termination=float(policy.get("TerminationWaitInSeconds", 0)),
        limit=policy.get("MaximumExecutionTimeoutInSeconds"),
    )


def coming_up(plan: Plan, count: int) -> int:
    """How many instances come up beside those that run: in a rolling deployment the first batch, else all of this number."""
    return round(plan.steps[0].share * count) if plan.rolling else count


def _shifts(routing: Record, count: int) -> tuple[Step, ...]:
    bake = float(routing["WaitIntervalInSeconds"])
    if routing["Type"] == "CANARY":
        return (Step(_share(routing["CanarySize"], count), bake), Step(Fraction(1), bake))
    if routing["Type"] == "LINEAR":
        return _even(_share(routing["LinearStepSize"], count), bake)
    return (Step(Fraction(1), bake),)


def _even(size: Fraction, bake: float) -> tuple[Step, ...]:
    """Steps of this size until all traffic is shifted; the last may be smaller."""
    shares = [size * number for number in range(1, int(1 / size) + 1)]
    return tuple(Step(share, bake) for share in (shares if shares[-1] == 1 else [*shares, Fraction(1)]))


def _share(size: Record, count: int) -> Fraction:
    return Fraction(size["Value"], count if size["Type"] == "INSTANCE_COUNT" else 100)


def _batch(size: Record, count: int) -> Fraction:
    """The share of whole instances that a batch is, one at least."""
    return Fraction(max(1, int(_share(size, count) * count)), count)


def alarm_names(config: Record | None) -> list[str]:
    """The alarms that roll an update back."""
    alarms = ((config or {}).get("AutoRollbackConfiguration") or {}).get("Alarms") or []
    return [alarm["AlarmName"] for alarm in alarms if alarm.get("AlarmName")]


def faults(config: Record, old: Sequence[Record], new: Sequence[Record]) -> Iterator[str]:
    """What AWS refuses about a DeploymentConfig, beyond what the shapes of its API do.

    Args:
        config: as it was given.
        old: the variants of the endpoint's configuration.
        new: the variants of the one that it shall move to.
    """
    green, rolling = config.get("BlueGreenUpdatePolicy"), config.get("RollingUpdatePolicy")
    if green and rolling:
        yield "Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy can be specified in DeploymentConfig."
    if {variant["VariantName"] for variant in old} != {variant["VariantName"] for variant in new}:
        yield "With a DeploymentConfig the new endpoint configuration must have the variant names of the old one."
    count = min(int(variant.get("InitialInstanceCount", 1)) for variant in new)
    if green:
        yield from _routing_faults(green["TrafficRoutingConfiguration"], count)
    if rolling:
        if len(new) > 1 or any(variant.get("ServerlessConfig") for variant in new):
            yield "A RollingUpdatePolicy is not supported for serverless or multi-variant endpoints."
        yield from _size_faults("MaximumBatchSize", rolling["MaximumBatchSize"], count, 5, 50)
        if back := rolling.get("RollbackMaximumBatchSize"):
            yield from _size_faults("RollbackMaximumBatchSize", back, count, 5, 100)


def _routing_faults(routing: Record, count: int) -> Iterator[str]:
    for kind, name, low in (("CANARY", "CanarySize", 1), ("LINEAR", "LinearStepSize", 10)):
        size = routing.get(name)
        if routing["Type"] == kind and not size:
            yield f"{name} must be specified for traffic routing of type {kind}."
        elif routing["Type"] != kind and size:
            yield f"{name} can only be specified for traffic routing of type {kind}."
        elif size:
            yield from _size_faults(name, size, count, low, 50)


def _size_faults(name: str, size: Record, count: int, low: int, high: int) -> Iterator[str]:
    if not low <= _share(size, count) * 100 <= high:
        yield f"{name} must be between {low}% and {high}% of the variant's total instance count, {count}."
