"""What happens between UpdateEndpoint and its end: a fleet comes up, traffic shifts, alarms are watched, one fleet goes.

Not here: when an update may begin (``sagemaker``, ``hosting``), the steps (``deployments``), the processes (``fleets``).

Source: EndpointStatus, VariantStatus and PendingDeploymentSummary in the SageMaker API reference; "Deployment
guardrails" in the developer guide.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from fractions import Fraction
from typing import Any

from crossaccount_sandbox.sagemaker.deployments import Step, Unhealthy, Wanted
from crossaccount_sandbox.sagemaker.fleets import Fleet, Fleets
from crossaccount_sandbox.sagemaker.outcomes import HEALTHY, Outcome, Pace
from crossaccount_sandbox.sagemaker.routing import Router
from crossaccount_sandbox.sagemaker.variants import summary
from crossaccount_sandbox.world import Record

_GLANCE_SECONDS = 0.02  # between two looks at the alarms, real seconds


class Rollout:
    """One endpoint's creation or update.

    Args:
        record: the endpoint; ``router`` is its Router, ``fleets`` all that run for it, ``Statuses`` those it has had.
        wanted: what it shall become.
        fleets: starts and stops processes.
        pace: how fast AWS's seconds pass.
        clock: the time that is shown.
    """

    def __init__(
        self, record: Record, wanted: Wanted, fleets: Fleets, pace: Pace, clock: Callable[[], datetime]
    ):
        self._record = record
        self._wanted = wanted
        self._fleets = fleets
        self._pace = pace
        self._clock = clock
        self._router: Router = record["router"]
        self._spent = 0.0
        self._share = Fraction(0)
        self._begun = clock()

    def begin(self, status: str) -> None:
        """Be Creating or Updating, with a pending deployment; what an earlier change failed of is forgotten."""
        self._record.pop("FailureReason", None)
        self._record["Claimed"] = self._wanted.claimed
        self._pend("Creating")
        become(self._record, status, self._clock())

    def create(self) -> None:
        """Come into service, or fail."""
        try:
            fleet = self._bring_up()
        except Unhealthy as error:
            self._end("Failed", str(error))
            return
        self._arrive(fleet)

    def update(self) -> None:
        """Move to the wanted configuration; when that fails be InService on the old one, or a mix of both."""
        before = self._router.shares
        shown = self._record.get("ProductionVariants", [])
        try:
            self._wanted.watch()
            fleet = self._bring_up()
        except Unhealthy as error:
            self._end("InService", str(error))
            return
        try:
            for number, step in enumerate(self._wanted.plan.steps):
                self._shift(before, shown, fleet, number, step)
            self._wait(self._wanted.plan.termination, watch=False)
        except Unhealthy as error:
            self._roll_back(before, shown, fleet, str(error))
            return
        self._arrive(fleet)

    def _bring_up(self) -> Fleet:
        outcome = self._wanted.outcome
        with self._at_least(self._pace.endpoint_seconds):
            return self._fleets.start(
                self._record["EndpointArn"], self._wanted, HEALTHY if self._late(outcome) else outcome
            )

    def _late(self, outcome: Outcome) -> bool:
        """True when what was arranged befalls a later batch of a rolling deployment."""
        return self._wanted.plan.rolling and outcome.batch > 0

    @contextmanager
    def _at_least(self, seconds: float) -> Iterator[None]:
        until = time.monotonic() + seconds
        try:
            yield
        finally:
            time.sleep(max(0.0, until - time.monotonic()))

    def _shift(
        self, before: list[tuple[Fleet, Fraction]], shown: list[Record], fleet: Fleet, number: int, step: Step
    ) -> None:
        """One step of the traffic shift, and its bake."""
        if self._late(self._wanted.outcome) and number == self._wanted.outcome.batch:
            self._fleets.start(self._record["EndpointArn"], self._wanted, self._wanted.outcome)
        self._pend("ActivatingTraffic", fleet, step.share)
        self._share = step.share
        self._mix(before, shown, fleet, step.share)
        self._pend("Baking", fleet, step.share)
        self._wait(step.bake, watch=True)

    def _mix(
        self, before: list[tuple[Fleet, Fraction]], shown: list[Record], fleet: Fleet, share: Fraction
    ) -> None:
        """Give the new fleet its share of the traffic; in a rolling deployment old instances go as new ones come."""
        self._router.point([*((old, of * (1 - share)) for old, of in before), (fleet, share)])
        if self._wanted.plan.rolling:
            self._record["ProductionVariants"] = [
                {**variant, "CurrentInstanceCount": round(variant["CurrentInstanceCount"] * (1 - share))}
                for variant in shown
            ]

    def _wait(self, seconds: float, watch: bool) -> None:
        """Let AWS's seconds pass, with an eye on the alarms.

        Raises:
            Unhealthy: when an alarm says to go back, or the deployment has taken longer than it may.
        """
        limit = self._wanted.plan.limit
        allowed = seconds if limit is None else min(seconds, limit - self._spent)
        until = time.monotonic() + self._pace.real(allowed)
        while True:
            if watch:
                self._wanted.watch()
            left = until - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(left, _GLANCE_SECONDS))
        self._spent += allowed
        if allowed < seconds:
            raise Unhealthy(
                f"The deployment did not complete within MaximumExecutionTimeoutInSeconds ({limit} seconds)."
            )

    def _roll_back(
        self, before: list[tuple[Fleet, Fraction]], shown: list[Record], fleet: Fleet, why: str
    ) -> None:
        become(self._record, "RollingBack", self._clock())
        share = self._share
        if self._wanted.outcome.rollback_fails:
            self._mix(before, shown, fleet, share / 2)  # stuck half of the way back
            self._record["fleets"].append(fleet)
            self._end("UpdateRollbackFailed", why)
            return
        while (share := share - self._wanted.plan.back) > 0:
            self._mix(before, shown, fleet, share)
        self._router.point(before)
        self._fleets.retire(fleet)
        self._record["ProductionVariants"] = shown
        self._end("InService", why)

    def _end(self, status: str, why: str) -> None:
        self._record.pop("PendingDeploymentSummary", None)
        if not self._wanted.outcome.silent:
            self._record["FailureReason"] = why
        become(self._record, status, self._clock())

    def _arrive(self, fleet: Fleet) -> None:
        """Serve with the new fleet alone."""
        self._router.point([(fleet, Fraction(1))])
        for old in self._record["fleets"]:
            self._fleets.retire(old)
        self._record.pop("PendingDeploymentSummary", None)
        self._record.update(
            EndpointConfigName=fleet.config["EndpointConfigName"],
            ProductionVariants=fleet.variants,
            ShadowProductionVariants=fleet.shadows or None,
            DataCaptureConfig=self._wanted.capture,
            AsyncInferenceConfig=fleet.config.get("AsyncInferenceConfig"),
            fleets=[fleet],
        )
        become(self._record, "InService", self._clock())

    def _pend(self, status: str, fleet: Fleet | None = None, share: Fraction = Fraction(0)) -> None:
        """Show the pending deployment: what comes, how much of it is there, and in which stage it is."""
        config = self._wanted.config
        there = (
            {variant["VariantName"]: variant for variant in (*fleet.variants, *fleet.shadows)}
            if fleet
            else {}
        )
        stage = [{"Status": status, "StartTime": self._clock()}]
        variants = {
            kind: [
                {**self._pending(given, there.get(given["VariantName"]), share), "VariantStatus": stage}
                for given in config[kind]
            ]
            for kind in ("ProductionVariants", "ShadowProductionVariants")
            if config.get(kind)
        }
        self._record["PendingDeploymentSummary"] = {
            "EndpointConfigName": config["EndpointConfigName"],
            "StartTime": self._begun,
            **variants,
        }

    def _pending(self, given: Mapping[str, Any], there: Record | None, share: Fraction) -> Record:
        known: Record = {key: given[key] for key in ("VariantName", "InstanceType") if key in given}
        if there is None:
            return {**known, "CurrentInstanceCount": 0, **_desired(given), **summary(given, 0, None)}
        count = there["DesiredInstanceCount"]
        now = round(count * share) if self._wanted.plan.rolling else count
        return {**there, **known, "CurrentInstanceCount": now}


def _desired(given: Mapping[str, Any]) -> Record:
    if serverless := given.get("ServerlessConfig"):
        return {"DesiredInstanceCount": 0, "DesiredServerlessConfig": serverless}
    return {
        "DesiredInstanceCount": given["InitialInstanceCount"],
        "DesiredWeight": given.get("InitialVariantWeight", 1.0),
    }


def become(record: Record, status: str, now: datetime) -> None:
    """Give an endpoint its next status; ``Statuses`` keeps all it has had, in order."""
    record["LastModifiedTime"] = now
    record["Statuses"].append(status)
    record["EndpointStatus"] = status
