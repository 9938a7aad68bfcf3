"""Every end that a change of an endpoint can have: the statuses on the way, what is live then, and what still runs."""

from __future__ import annotations

import itertools
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from crossaccount_sandbox.accounts import GROUP, Credentials, _administrator, _image
from crossaccount_sandbox.principals import Account
from crossaccount_sandbox.sagemaker.outcomes import HEALTHY, Outcome
from crossaccount_sandbox.server import Server
from crossaccount_sandbox.training import train

HOST, OTHER = Account("host", "555555555555", None), Account("other", "666666666666", None)
PLACE = (HOST.id, "us-east-1")
BUCKET = "hosted-models-555555555555"
FLOWERS = "6.3,3.3,6.0,2.5\n6.3,3.3,6.0,2.5"  # version 1 says 1, version 2 says 2
PING = " The primary container for production variant AllTraffic did not pass the ping health check."
EXTRACT = "Failed to extract model data archive for container"
CAPACITY = "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error."
SESSION: Any = boto3.session.Session()
_names = (f"endpoint-{number}" for number in itertools.count())


@dataclass
class Host:
    """A sandbox with an account that hosts two versions of a model."""

    server: Server
    key: Credentials
    other: Credentials
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = client(self.server.url, self.key, service)
        return self._clients[service]

    @property
    def sm(self) -> Any:
        return self.client("sagemaker")

    def config(self, model: str = "one", count: int = 1, **more: Any) -> str:
        """An endpoint configuration of one variant; ``variant`` adds to it, ``config`` to the whole."""
        name = next(_names)
        given = {"InstanceType": "ml.m5.large", "InitialInstanceCount": count, **more.pop("variant", {})}
        one = {"VariantName": "AllTraffic", "ModelName": model, **given}
        self.sm.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[one], **more)
        return name

    def endpoint(self, config: str | None = None) -> str:
        """An endpoint that is InService, on version 1 unless said otherwise."""
        name = next(_names)
        self.sm.create_endpoint(EndpointName=name, EndpointConfigName=config or self.config())
        assert self.settled(name)["EndpointStatus"] == "InService"
        return name

    def settled(self, name: str) -> dict[str, Any]:
        """The endpoint's description once it is in no change any more."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = self.record(name)
            if found["EndpointStatus"] not in ("Creating", "Updating", "RollingBack", "Deleting"):
                return dict(self.sm.describe_endpoint(EndpointName=name))
            time.sleep(0.002)
        raise AssertionError(f"{name} is {found['EndpointStatus']}")

    def until(self, name: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first description of the endpoint of which this holds."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = dict(self.sm.describe_endpoint(EndpointName=name))
            if holds(found):
                return found
            time.sleep(0.002)
        raise AssertionError(f"{name}: {found}")

    def record(self, name: str) -> dict[str, Any]:
        found = self.server.hosting.find(PLACE, name)
        assert found is not None
        return found

    def processes(self, name: str) -> list[str]:
        """The models whose processes run for the endpoint: all that its fleets hold."""
        fleets = self.record(name)["fleets"]
        return [
            one["ModelName"]
            for fleet in fleets
            for one in fleet.config["ProductionVariants"]
            if fleet.processes[one["VariantName"]].alive
        ]

    def ask(self, name: str, **more: Any) -> tuple[int, str]:
        """The model's answer, and the variant that gave it."""
        answer = self.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=name, ContentType="text/csv", Accept="application/json", Body=FLOWERS, **more
        )
        return json.load(answer["Body"])[0], answer["InvokedProductionVariant"]

    def asked(self, name: str, times: int) -> list[int]:
        return [self.ask(name)[0] for _ in range(times)]

    def alarm(self, state: str | None = None) -> str:
        name = next(_names)
        given = {"MetricName": "Invocation5XXErrors", "Namespace": "AWS/SageMaker", "Statistic": "Sum"}
        limits = {"Period": 60, "EvaluationPeriods": 1, "Threshold": 1.0}
        self.client("cloudwatch").put_metric_alarm(
            AlarmName=name, ComparisonOperator="GreaterThanThreshold", **given, **limits
        )
        if state:
            self.set_alarm(name, state)
        return name

    def set_alarm(self, name: str, state: str) -> None:
        self.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test")


def client(url: str, key: Credentials, service: str, **more: Any) -> Any:
    return SESSION.client(  # one session for all, so that each service's model is loaded once
        service,
        "us-east-1",
        endpoint_url=url,
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret_access_key,
        **more,
    )


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    server = Server([HOST, OTHER], endpoint_seconds=0.0, speed=5000.0, control=True)
    server.start()
    host = Host(server, _administrator(HOST), _administrator(OTHER))
    _settle(host)
    yield host
    server.stop()


def _settle(host: Host) -> None:
    host.client("s3").create_bucket(Bucket=BUCKET)
    _image(host.client("ecr"))
    service = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}}
    reads = ["s3:*", "ecr:*", "cloudwatch:DescribeAlarms"]
    for role, allowed in (("execution", reads), ("blind", reads[:2])):
        host.client("iam").create_role(
            RoleName=role, AssumeRolePolicyDocument=document({**service, "Action": "sts:AssumeRole"})
        )
        statement = {"Effect": "Allow", "Action": allowed, "Resource": "*"}
        host.client("iam").put_role_policy(
            RoleName=role, PolicyName="reads", PolicyDocument=document(statement)
        )
    for version in (1, 2):
        host.client("s3").put_object(Bucket=BUCKET, Key=f"{version}.tar.gz", Body=train(version).archive)
    host.client("s3").put_object(Bucket=BUCKET, Key="3.tar.gz", Body=b"no archive")
    ecr = client(host.server.url, host.other, "ecr")
    _image(ecr)
    pull = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"]
    statement = {"Effect": "Allow", "Principal": {"AWS": HOST.id}, "Action": pull}
    ecr.set_repository_policy(repositoryName=GROUP, policyText=document(statement))
    for name, version, role, more in (
        ("one", 1, "execution", {}),
        ("two", 2, "execution", {}),
        ("two-blind", 2, "blind", {}),
        ("broken", 3, "execution", {}),
        ("isolated", 1, "execution", {"EnableNetworkIsolation": True}),
        ("private", 1, "execution", {"VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}}),
    ):
        host.sm.create_model(
            ModelName=name,
            ExecutionRoleArn=f"arn:aws:iam::{HOST.id}:role/{role}",
            PrimaryContainer=container(version),
            **more,
        )
    host.sm.create_model(
        ModelName="foreign",
        ExecutionRoleArn=f"arn:aws:iam::{HOST.id}:role/execution",
        PrimaryContainer={**container(1), "Image": FOREIGN},
    )
    host.sm.create_model(
        ModelName="pipeline",
        ExecutionRoleArn=f"arn:aws:iam::{HOST.id}:role/execution",
        Containers=[container(1), container(2)],
    )


def container(version: int) -> dict[str, str]:
    image = f"{HOST.id}.dkr.ecr.us-east-1.amazonaws.com/{GROUP}:1"
    return {"Image": image, "ModelDataUrl": f"s3://{BUCKET}/{version}.tar.gz"}


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call()
    said = error.value.response["Error"]
    return said["Code"], said["Message"]


def green(kind: str = "ALL_AT_ONCE", wait: int = 0, termination: int = 0, **more: Any) -> dict[str, Any]:
    routing = {"Type": kind, "WaitIntervalInSeconds": wait}
    for name, size in (("CanarySize", more.pop("canary", None)), ("LinearStepSize", more.pop("step", None))):
        if size:
            routing[name] = {"Type": "CAPACITY_PERCENT", "Value": size}
    policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": termination, **more}
    return {"BlueGreenUpdatePolicy": policy}


def rolling(batch: int = 50, wait: int = 0, back: int | None = None, **more: Any) -> dict[str, Any]:
    policy = {"MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": batch}, "WaitIntervalInSeconds": wait}
    if back:
        policy["RollbackMaximumBatchSize"] = {"Type": "CAPACITY_PERCENT", "Value": back}
    return {"RollingUpdatePolicy": {**policy, **more}}


CREATED, UPDATED = ["Creating", "InService"], ["Updating", "InService"]
FAILED, BACK = ["Creating", "Failed"], ["Updating", "RollingBack", "InService"]
STUCK = ["Updating", "RollingBack", "UpdateRollbackFailed"]
UNHEALTHY, CRASHING = Outcome("unhealthy", 60), Outcome("crash-loop", 60)
FULL, LATE = Outcome("no-capacity", 60), Outcome("unhealthy", 60, batch=1)


@pytest.mark.parametrize(
    ("model", "outcome", "statuses", "reason", "left"),
    [
        ("one", Outcome(), CREATED, None, ["one"]),
        ("two", Outcome(), CREATED, None, ["two"]),
        ("isolated", Outcome(), CREATED, None, ["isolated"]),
        ("private", Outcome(), CREATED, None, ["private"]),
        ("broken", Outcome(), FAILED, EXTRACT, []),
        ("one", UNHEALTHY, FAILED, PING, []),
        ("one", CRASHING, FAILED, PING, []),
        ("one", FULL, FAILED, CAPACITY, []),
    ],
)
def test_how_a_creation_ends(
    host: Host, model: str, outcome: Outcome, statuses: list[str], reason: str | None, left: list[str]
) -> None:
    name, config = next(_names), host.config(model)
    host.server.outcomes.next_endpoint(outcome, HOST.id, name)
    running = len(host.server._containers)
    host.sm.create_endpoint(EndpointName=name, EndpointConfigName=config)
    found = host.settled(name)
    assert host.record(name)["Statuses"] == statuses
    assert (found["EndpointConfigName"], "PendingDeploymentSummary" in found) == (config, False)
    assert (found.get("FailureReason") or "").startswith(reason or "")
    assert ("FailureReason" in found) == (reason is not None)
    assert host.processes(name) == left
    assert len(host.server._containers) == running + len(left)


@dataclass(frozen=True)
class Change:
    """An update, and what comes of it."""

    says: str
    statuses: list[str]
    reason: str | None
    left: list[str]
    outcome: Outcome = HEALTHY
    deployment: dict[str, Any] | None = None
    alarm: str | None = None
    count: int = 1
    model: str = "two"


ALARMED = "The deployment was rolled back because the alarm(s)"
TIMEOUT = "The deployment did not complete within MaximumExecutionTimeoutInSeconds (600 seconds)."
BLIND = f"The role 'arn:aws:iam::{HOST.id}:role/blind' does not have cloudwatch:DescribeAlarms permission"
CANARY, LINEAR = green("CANARY", 60, canary=10), green("LINEAR", 60, step=20)
ONE_OF_FOUR = green("CANARY", 60)
ONE_OF_FOUR["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["CanarySize"] = {
    "Type": "INSTANCE_COUNT",
    "Value": 1,
}
SLOW = {"MaximumExecutionTimeoutInSeconds": 600}
CHANGES = [
    Change("no guardrails", UPDATED, None, ["two"]),
    Change("all at once", UPDATED, None, ["two"], deployment=green()),
    Change("all at once, baked", UPDATED, None, ["two"], deployment=green(wait=60)),
    Change("a canary", UPDATED, None, ["two"], deployment=CANARY),
    Change("a canary of instances", UPDATED, None, ["two"], deployment=ONE_OF_FOUR, count=4),
    Change("linear", UPDATED, None, ["two"], deployment=LINEAR),
    Change("linear, thirds", UPDATED, None, ["two"], deployment=green("LINEAR", 60, step=33)),
    Change("a termination wait", UPDATED, None, ["two"], deployment=green(termination=60)),
    Change("within its time", UPDATED, None, ["two"], deployment=green(wait=599, **SLOW)),
    Change("rolling", UPDATED, None, ["two"], deployment=rolling(), count=2),
    Change("rolling, five batches", UPDATED, None, ["two"], deployment=rolling(20, 60), count=5),
    Change("an alarm that is OK", UPDATED, None, ["two"], deployment=CANARY, alarm="OK"),
    Change("an alarm without data", UPDATED, None, ["two"], deployment=CANARY, alarm="INSUFFICIENT_DATA"),
    Change("an alarm that rings", ["Updating", "InService"], ALARMED, ["one"], alarm="ALARM"),
    Change("it rings under a canary", UPDATED, ALARMED, ["one"], deployment=CANARY, alarm="ALARM"),
    Change("it rings rolling", UPDATED, ALARMED, ["one"], deployment=rolling(), alarm="ALARM", count=2),
    Change("a role that sees no alarm", UPDATED, BLIND, ["one"], alarm="OK", model="two-blind"),
    Change("a role that need not", UPDATED, None, ["two-blind"], model="two-blind"),
    Change("a broken container", UPDATED, EXTRACT, ["one"], model="broken"),
    Change("a broken canary", UPDATED, EXTRACT, ["one"], model="broken", deployment=CANARY),
    Change("never healthy", UPDATED, PING, ["one"], UNHEALTHY),
    Change("never healthy, canary", UPDATED, PING, ["one"], UNHEALTHY, CANARY),
    Change("never healthy, rolling", UPDATED, PING, ["one"], UNHEALTHY, rolling(), count=2),
    Change("crash loop", UPDATED, PING, ["one"], CRASHING),
    Change("no capacity", UPDATED, CAPACITY, ["one"], FULL),
    Change("no capacity, linear", UPDATED, CAPACITY, ["one"], FULL, LINEAR),
    Change("silent", UPDATED, None, ["one"], Outcome("unhealthy", silent=True)),
    Change("silent, no capacity", UPDATED, None, ["one"], Outcome("no-capacity", silent=True), CANARY),
    Change("a later batch", BACK, PING, ["one"], LATE, rolling(25, 60), count=4),
    Change("a later batch, back in steps", BACK, PING, ["one"], LATE, rolling(25, 60, 25), count=4),
    Change(
        "a later batch, no capacity",
        BACK,
        CAPACITY,
        ["one"],
        Outcome("no-capacity", batch=2),
        rolling(25),
        count=4,
    ),
    Change(
        "a later batch, silent",
        BACK,
        None,
        ["one"],
        Outcome("unhealthy", batch=1, silent=True),
        rolling(),
        count=2,
    ),
    Change(
        "a later batch that there is not",
        UPDATED,
        None,
        ["two"],
        Outcome("unhealthy", batch=2),
        rolling(),
        count=2,
    ),
    Change("bakes too long", BACK, TIMEOUT, ["one"], deployment=green(wait=601, **SLOW)),
    Change("steps too long", BACK, TIMEOUT, ["one"], deployment=green("LINEAR", 240, step=20, **SLOW)),
    Change("batches too long", BACK, TIMEOUT, ["one"], deployment=rolling(50, 301, **SLOW), count=2),
    Change("waits too long", BACK, TIMEOUT, ["one"], deployment=green(wait=300, termination=301, **SLOW)),
    Change(
        "too long, and stuck",
        STUCK,
        TIMEOUT,
        ["one", "two"],
        Outcome(rollback_fails=True),
        green(wait=601, **SLOW),
    ),
    Change(
        "a later batch, and stuck",
        STUCK,
        PING,
        ["one", "two"],
        Outcome("unhealthy", batch=1, rollback_fails=True),
        rolling(),
        count=2,
    ),
    Change(
        "stuck and silent",
        STUCK,
        None,
        ["one", "two"],
        Outcome("unhealthy", batch=1, rollback_fails=True, silent=True),
        rolling(),
        count=2,
    ),
    Change("nothing to roll back", UPDATED, None, ["two"], Outcome(rollback_fails=True), CANARY),
]


@dataclass(frozen=True)
class Ended:
    """What came of one update."""

    configs: tuple[str, str]
    deployment: dict[str, Any]
    found: dict[str, Any]
    statuses: list[str]
    left: list[str]
    answers: list[int]


def _update(host: Host, change: Change) -> Ended:
    before, after = host.config(count=change.count), host.config(change.model, change.count)
    name, deployment = host.endpoint(before), dict(change.deployment or {})
    if change.alarm:
        deployment["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": host.alarm(change.alarm)}]}
    host.server.outcomes.next_endpoint(change.outcome, HOST.id, name)
    given = {"DeploymentConfig": deployment} if deployment else {}
    host.sm.update_endpoint(EndpointName=name, EndpointConfigName=after, **given)
    found, statuses = host.settled(name), host.record(name)["Statuses"][2:]
    answers = host.asked(name, 4 if len(change.left) > 1 else 1)
    return Ended((before, after), deployment, found, statuses, host.processes(name), answers)


@pytest.fixture(scope="module")
def ended(host: Host) -> dict[str, Ended]:
    """What came of every change. They run side by side: most of their time is waiting."""
    for service in ("sagemaker", "sagemaker-runtime", "cloudwatch"):
        host.client(service)
    with ThreadPoolExecutor(6) as pool:
        return dict(
            zip([one.says for one in CHANGES], pool.map(lambda one: _update(host, one), CHANGES), strict=True)
        )


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.says)
def test_how_an_update_ends(ended: dict[str, Ended], change: Change) -> None:
    end = ended[change.says]
    found, (before, after) = end.found, end.configs
    assert end.statuses == change.statuses
    assert found["EndpointConfigName"] == (after if change.left == [change.model] else before)
    assert (found.get("FailureReason") or "").startswith(change.reason or "")
    assert ("FailureReason" in found) == (change.reason is not None)
    assert "PendingDeploymentSummary" not in found
    assert end.left == change.left
    assert found.get("LastDeploymentConfig") == (end.deployment or None)
    if len(change.left) == 1:
        assert found["ProductionVariants"][0]["CurrentInstanceCount"] == change.count
        assert end.answers == [1 if change.left == ["one"] else 2]
    else:
        assert set(end.answers) == {1, 2}


def test_no_process_runs_that_is_no_endpoints(host: Host, ended: dict[str, Ended]) -> None:
    hosted = [
        one for record in host.server.hosting.all(PLACE) for one in host.processes(record["EndpointName"])
    ]
    assert len(hosted) > len(CHANGES)
    assert len(host.server._containers) == len(hosted)


def variants(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The pending variants of a description; none when no deployment is pending."""
    return list((found.get("PendingDeploymentSummary") or {}).get("ProductionVariants", []))


def in_stage(stage: str, instances: int | None = None) -> Callable[[dict[str, Any]], bool]:
    """True of a description whose deployment is in this stage, with so many new instances."""

    def holds(found: dict[str, Any]) -> bool:
        return any(
            one["VariantStatus"][0]["Status"] == stage and instances in (None, one["CurrentInstanceCount"])
            for one in variants(found)
        )

    return holds


@pytest.mark.parametrize(
    ("deployment", "count", "outcome", "statuses"),
    [
        (green(wait=3600), 1, Outcome(), BACK),
        (green("CANARY", 3600, canary=50), 1, Outcome(), BACK),
        (green("LINEAR", 3600, step=50), 1, Outcome(), BACK),
        (rolling(50, 3600), 2, Outcome(), BACK),
        (rolling(25, 3600, 25), 4, Outcome(), BACK),
        (green(wait=3600), 1, Outcome(rollback_fails=True), STUCK),
        (green("CANARY", 3600, canary=50), 1, Outcome(rollback_fails=True), STUCK),
        (rolling(50, 3600), 2, Outcome(rollback_fails=True), STUCK),
    ],
)
def test_an_alarm_rolls_a_running_update_back(
    host: Host, deployment: dict[str, Any], count: int, outcome: Outcome, statuses: list[str]
) -> None:
    before, after, alarm = host.config(count=count), host.config("two", count), host.alarm("OK")
    name = host.endpoint(before)
    host.server.outcomes.next_endpoint(outcome, HOST.id, name)
    guarded = {**deployment, "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]}}
    host.sm.update_endpoint(EndpointName=name, EndpointConfigName=after, DeploymentConfig=guarded)
    host.until(name, in_stage("Baking"))
    assert sorted(host.processes(name)) == ["one"], "the new process is not the endpoint's yet"
    host.set_alarm(alarm, "ALARM")
    found = host.settled(name)
    assert host.record(name)["Statuses"][2:] == statuses
    assert found["FailureReason"].startswith(f"{ALARMED} {alarm}")
    assert found["EndpointConfigName"] == before
    stuck = statuses is STUCK
    assert host.processes(name) == (["one", "two"] if stuck else ["one"])
    assert set(host.asked(name, 4 if stuck else 1)) == ({1, 2} if stuck else {1})
    if not stuck:
        assert found["ProductionVariants"][0]["CurrentInstanceCount"] == count


def test_a_role_that_loses_sight_of_the_alarm_while_it_bakes(host: Host) -> None:
    iam, name = host.client("iam"), host.endpoint()
    guarded = {
        **green(wait=3600),
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": host.alarm("OK")}]},
    }
    deny = {"Effect": "Deny", "Action": "cloudwatch:DescribeAlarms", "Resource": "*"}
    host.sm.update_endpoint(
        EndpointName=name, EndpointConfigName=host.config("two"), DeploymentConfig=guarded
    )
    host.until(name, in_stage("Baking"))
    iam.put_role_policy(RoleName="execution", PolicyName="deny", PolicyDocument=document(deny))
    try:
        assert "cloudwatch:DescribeAlarms permission" in host.settled(name)["FailureReason"]
        assert host.record(name)["Statuses"][2:] == BACK
    finally:
        iam.delete_role_policy(RoleName="execution", PolicyName="deny")


@pytest.mark.parametrize(
    ("deployment", "count", "instances", "old_left", "new_of_twenty"),
    [
        (green("CANARY", 3600, canary=10), 1, 1, 1, 2),
        (green("CANARY", 3600, canary=50), 1, 1, 1, 10),
        (green("LINEAR", 3600, step=20), 1, 1, 1, 4),
        (rolling(25, 3600), 4, 1, 3, 5),
        (rolling(40, 3600), 5, 2, 3, 8),
    ],
)
def test_a_share_of_the_traffic_goes_to_the_new_fleet(
    host: Host,
    deployment: dict[str, Any],
    count: int,
    instances: int,
    old_left: int,
    new_of_twenty: int,
) -> None:
    name, alarm = host.endpoint(host.config(count=count)), host.alarm("OK")
    running = len(host.server._containers)
    guarded = {**deployment, "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]}}
    host.sm.update_endpoint(
        EndpointName=name, EndpointConfigName=host.config("two", count), DeploymentConfig=guarded
    )
    found = host.until(name, in_stage("Baking"))
    assert host.asked(name, 20).count(2) == new_of_twenty
    assert found["EndpointStatus"] == "Updating"
    assert variants(found)[0]["CurrentInstanceCount"] == instances
    assert found["ProductionVariants"][0]["CurrentInstanceCount"] == old_left
    assert len(host.server._containers) == running + 1
    host.set_alarm(alarm, "ALARM")
    assert host.settled(name)["ProductionVariants"][0]["CurrentInstanceCount"] == count
    assert len(host.server._containers) == running


def test_the_old_fleet_outlives_the_shift_by_the_termination_wait(host: Host) -> None:
    name = host.endpoint()
    running = len(host.server._containers)
    host.sm.update_endpoint(
        EndpointName=name, EndpointConfigName=host.config("two"), DeploymentConfig=green(termination=1200)
    )
    found = host.until(name, in_stage("Baking"))
    assert (host.asked(name, 5), len(host.server._containers)) == ([2] * 5, running + 1)
    assert found["EndpointStatus"] == "Updating"
    host.settled(name)
    assert len(host.server._containers) == running


def test_nothing_changes_an_endpoint_in_the_middle_of_a_change(host: Host) -> None:
    name, other = host.endpoint(), host.config("two")
    host.sm.update_endpoint(EndpointName=name, EndpointConfigName=other, DeploymentConfig=green(wait=1200))
    _unchangeable(host, name)
    assert host.settled(name)["EndpointConfigName"] == other


def _unchangeable(host: Host, name: str) -> None:
    weights = [{"VariantName": "AllTraffic", "DesiredWeight": 2.0}]
    for call in (
        lambda: host.sm.update_endpoint(EndpointName=name, EndpointConfigName=host.config("two")),
        lambda: host.sm.update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=weights
        ),
        lambda: host.sm.delete_endpoint(EndpointName=name),
    ):
        code, message = refused(call)
        assert code == "ValidationException"
        assert message.startswith("Cannot update in-progress endpoint")


def test_an_endpoint_that_aws_patches_serves_and_cannot_be_changed(host: Host) -> None:
    name = host.endpoint()
    host.server.outcomes.hold("SystemUpdating", HOST.id, name, 1200)
    assert host.sm.describe_endpoint(EndpointName=name)["EndpointStatus"] == "SystemUpdating"
    _unchangeable(host, name)
    assert host.ask(name)[0] == 1
    found = host.until(name, lambda one: one["EndpointStatus"] != "SystemUpdating")
    assert found["EndpointStatus"] == "InService"


def test_an_endpoint_out_of_service_serves_nobody_until_it_is_updated(host: Host) -> None:
    name, other = host.endpoint(), host.config("two")
    host.server.outcomes.hold("OutOfService", HOST.id, name, 36000000)
    assert host.settled(name)["EndpointStatus"] == "OutOfService"
    assert refused(lambda: host.ask(name))[0] == "ValidationError"
    host.sm.update_endpoint(EndpointName=name, EndpointConfigName=other)
    assert host.settled(name)["EndpointStatus"] == "InService"
    assert host.ask(name)[0] == 2


@pytest.mark.parametrize("again", ["one", "two"])
def test_a_mix_is_ended_by_another_update(host: Host, again: str) -> None:
    before, after = host.config(), host.config("two")
    name, running = host.endpoint(before), len(host.server._containers)
    host.server.outcomes.next_endpoint(Outcome(rollback_fails=True), HOST.id, name)
    late = green(wait=601, **SLOW)
    host.sm.update_endpoint(EndpointName=name, EndpointConfigName=after, DeploymentConfig=late)
    assert host.settled(name)["EndpointStatus"] == "UpdateRollbackFailed"
    assert refused(lambda: _weigh(host, name, {"DesiredWeight": 1.0}))[0] == "ValidationException"
    wanted = before if again == "one" else after
    host.sm.update_endpoint(EndpointName=name, EndpointConfigName=wanted)
    found = host.settled(name)
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", wanted)
    assert "FailureReason" not in found
    assert host.processes(name) == [again]
    assert len(host.server._containers) == running


def _weigh(host: Host, name: str, *desired: dict[str, Any]) -> None:
    given = [{"VariantName": "AllTraffic", **one} for one in desired]
    host.sm.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=given)


@pytest.mark.parametrize("outcome", [UNHEALTHY, Outcome(rollback_fails=True)])
def test_deleting_leaves_no_process(host: Host, outcome: Outcome) -> None:
    running = len(host.server._containers)
    name = next(_names) if outcome is UNHEALTHY else host.endpoint()
    host.server.outcomes.next_endpoint(outcome, HOST.id, name)
    if outcome is UNHEALTHY:
        host.sm.create_endpoint(EndpointName=name, EndpointConfigName=host.config())
        assert host.settled(name)["EndpointStatus"] == "Failed"
        message = refused(
            lambda: host.sm.update_endpoint(EndpointName=name, EndpointConfigName=host.config("two"))
        )
        assert "in status Failed" in message[1]
    else:
        late = green(wait=601, **SLOW)
        host.sm.update_endpoint(
            EndpointName=name, EndpointConfigName=host.config("two"), DeploymentConfig=late
        )
        host.settled(name)
        assert len(host.server._containers) == running + 2
    host.sm.delete_endpoint(EndpointName=name)
    deadline = time.monotonic() + 10
    while host.server.hosting.find(PLACE, name) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert "Could not find endpoint" in refused(lambda: host.sm.describe_endpoint(EndpointName=name))[1]
    assert len(host.server._containers) == running


def test_a_quota_is_refused_at_once_and_an_outcome_is_used_once(host: Host) -> None:
    name, config, outcomes = next(_names), host.config(), host.server.outcomes
    outcomes.next_endpoint(Outcome("over-limit"), HOST.id, name)
    create = {"EndpointName": name, "EndpointConfigName": config}
    ghost = {"EndpointName": name, "EndpointConfigName": "ghost"}
    assert "Could not find endpoint configuration" in refused(lambda: host.sm.create_endpoint(**ghost))[1]
    code, message = refused(lambda: host.sm.create_endpoint(**create))
    assert code == "ResourceLimitExceeded"
    assert message.startswith(
        "The account-level service limit 'ml.m5.large for endpoint usage' is 0 Instances"
    )
    assert host.server.hosting.find(PLACE, name) is None
    host.sm.create_endpoint(**create)
    assert host.settled(name)["EndpointStatus"] == "InService"
    outcomes.next_endpoint(Outcome("over-limit"), HOST.id, name)
    update = {"EndpointName": name, "EndpointConfigName": host.config("two")}
    assert refused(lambda: host.sm.update_endpoint(**update))[0] == "ResourceLimitExceeded"
    assert host.record(name)["Statuses"] == CREATED


@pytest.mark.parametrize(
    ("account", "endpoint", "befalls"),
    [
        (None, None, True),
        (HOST.id, None, True),
        (OTHER.id, None, False),
        (HOST.id, "mine", True),
        (None, "MINE", True),
        (HOST.id, "other", False),
    ],
)
def test_an_outcome_befalls_whom_it_was_arranged_for(
    host: Host, account: str | None, endpoint: str | None, befalls: bool
) -> None:
    outcomes = host.server.outcomes
    outcomes.next_endpoint(FULL, account, endpoint)
    assert (outcomes.take(HOST.id, "mine") is FULL) == befalls
    outcomes.clear()
    assert outcomes.take(OTHER.id, "other") == Outcome()


@pytest.mark.parametrize(
    ("retain", "excluded", "weight", "count"),
    [
        (False, [], 1.0, 1),
        (True, [], 5.0, 3),
        (True, ["DesiredInstanceCount"], 5.0, 1),
        (True, ["DesiredWeight"], 1.0, 3),
        (True, ["DesiredWeight", "DesiredInstanceCount"], 1.0, 1),
        (False, ["DesiredWeight"], 1.0, 1),
    ],
)
def test_what_an_update_keeps(
    host: Host, retain: bool, excluded: list[str], weight: float, count: int
) -> None:
    name = host.endpoint()
    _weigh(host, name, {"DesiredWeight": 5.0, "DesiredInstanceCount": 3})
    assert host.settled(name)["ProductionVariants"][0]["CurrentInstanceCount"] == 3
    host.sm.update_endpoint(
        EndpointName=name,
        EndpointConfigName=host.config("two"),
        RetainAllVariantProperties=retain,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": one} for one in excluded],
    )
    found = host.settled(name)["ProductionVariants"][0]
    assert (found["CurrentWeight"], found["DesiredWeight"]) == (weight, weight)
    assert (found["CurrentInstanceCount"], found["DesiredInstanceCount"]) == (count, count)


def capture(enabled: bool = True) -> dict[str, Any]:
    given = {"InitialSamplingPercentage": 20, "DestinationS3Uri": f"s3://{BUCKET}/captured"}
    return {"EnableCapture": enabled, **given, "CaptureOptions": [{"CaptureMode": "Input"}]}


@pytest.mark.parametrize(
    ("retain", "excluded", "status"),
    [(False, [], "Stopped"), (True, [], "Started"), (True, ["DataCaptureConfig"], "Stopped")],
)
def test_data_capture_is_kept_with_the_properties(
    host: Host, retain: bool, excluded: list[str], status: str
) -> None:
    name = host.endpoint(host.config(DataCaptureConfig=capture()))
    host.sm.update_endpoint(
        EndpointName=name,
        EndpointConfigName=host.config("two", DataCaptureConfig=capture(False)),
        RetainAllVariantProperties=retain,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": one} for one in excluded],
    )
    assert host.settled(name)["DataCaptureConfig"]["CaptureStatus"] == status


def test_a_rescale_that_fails_rolls_back(host: Host) -> None:
    name = host.endpoint()
    host.server.outcomes.next_endpoint(FULL, HOST.id, name)
    _weigh(host, name, {"DesiredInstanceCount": 9})
    found = host.settled(name)
    assert host.record(name)["Statuses"][2:] == BACK
    assert found["FailureReason"].startswith(CAPACITY)
    assert found["ProductionVariants"][0]["DesiredInstanceCount"] == 1
    ghost = [{"VariantName": "ghost", "DesiredWeight": 1.0}]
    message = refused(
        lambda: host.sm.update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=ghost
        )
    )[1]
    assert '"ghost"' in message


def test_variants_share_requests_by_their_weights(host: Host) -> None:
    config, given = next(_names), {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    both = [
        {"VariantName": "a", "ModelName": "one", "InitialVariantWeight": 3.0, **given},
        {"VariantName": "b", "ModelName": "two", "InitialVariantWeight": 1.0, **given},
    ]
    host.sm.create_endpoint_config(EndpointConfigName=config, ProductionVariants=both)
    name = host.endpoint(config)
    asked = [host.ask(name) for _ in range(8)]
    assert (asked.count((1, "a")), asked.count((2, "b"))) == (6, 2)
    assert host.ask(name, TargetVariant="b") == (2, "b")
    code, message = refused(lambda: host.ask(name, TargetVariant="ghost"))
    assert (code, message.split(" of ")[0]) == ("ValidationError", "Variant ghost")
    swap = [{"VariantName": "a", "DesiredWeight": 0.0}]
    host.sm.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=swap)
    host.settled(name)
    assert host.asked(name, 3) == [2, 2, 2]


def test_the_last_deployment_config_can_be_used_again(host: Host) -> None:
    name, canary = host.endpoint(), green("CANARY", 60, canary=25)
    host.sm.update_endpoint(EndpointName=name, EndpointConfigName=host.config("two"), DeploymentConfig=canary)
    host.settled(name)
    retained = {"RetainDeploymentConfig": True}
    host.sm.update_endpoint(EndpointName=name, EndpointConfigName=host.config(count=2), **retained)
    assert host.settled(name)["LastDeploymentConfig"] == canary
    three = [
        {"VariantName": "new", "ModelName": "one", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    ]
    other = next(_names)
    host.sm.create_endpoint_config(EndpointConfigName=other, ProductionVariants=three)
    again = {"EndpointName": name, "EndpointConfigName": other}
    assert "must have the variant names" in refused(lambda: host.sm.update_endpoint(**again, **retained))[1]
    host.sm.update_endpoint(**again)
    assert [one["VariantName"] for one in host.settled(name)["ProductionVariants"]] == ["new"]


INSTANCES = {"Type": "INSTANCE_COUNT"}


@pytest.mark.parametrize(
    ("deployment", "text"),
    [
        ({**green(), **rolling()}, "Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy"),
        (green("CANARY"), "CanarySize must be specified"),
        (green("LINEAR"), "LinearStepSize must be specified"),
        (green("CANARY", step=20, canary=20), "LinearStepSize can only be specified"),
        (green("ALL_AT_ONCE", canary=20), "CanarySize can only be specified"),
        (green("CANARY", canary=51), "CanarySize must be between 1% and 50%"),
        (green("LINEAR", step=51), "LinearStepSize must be between 10% and 50%"),
        (green("LINEAR", step=9), "LinearStepSize must be between 10% and 50%"),
        (rolling(4), "MaximumBatchSize must be between 5% and 50%"),
        (rolling(51), "MaximumBatchSize must be between 5% and 50%"),
        (rolling(50, back=101), "RollbackMaximumBatchSize must be between 5% and 100%"),
        (
            {
                "RollingUpdatePolicy": {
                    "MaximumBatchSize": {**INSTANCES, "Value": 3},
                    "WaitIntervalInSeconds": 0,
                }
            },
            "MaximumBatchSize must be between 5% and 50% of the variant's total instance count, 4.",
        ),
        (green(wait=3601), "Member must have value less than or equal to 3600"),
        (green(termination=3601), "Member must have value less than or equal to 3600"),
        (green(MaximumExecutionTimeoutInSeconds=599), "greater than or equal to 600"),
        (green(MaximumExecutionTimeoutInSeconds=28801), "less than or equal to 28800"),
        (rolling(MaximumExecutionTimeoutInSeconds=599), "greater than or equal to 600"),
        (
            {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "ghost"}]}},
            "Could not find CloudWatch alarm(s): ghost",
        ),
    ],
)
def test_guardrails_that_aws_does_not_take(host: Host, deployment: dict[str, Any], text: str) -> None:
    name = _shared(host)
    update = {"EndpointName": name, "EndpointConfigName": host.config("two", 4)}
    code, message = refused(lambda: _unchecked(host).update_endpoint(**update, DeploymentConfig=deployment))
    assert code == "ValidationException"
    assert text in message
    assert host.record(name)["Statuses"] == CREATED


def _shared(host: Host) -> str:
    """An endpoint that refusals are tried on; nothing may change it."""
    if "shared" not in host._clients:
        host._clients["shared"] = host.endpoint()
    return str(host._clients["shared"])


def test_an_update_needs_both_configurations(host: Host) -> None:
    before, after = host.config(), host.config("two")
    name = host.endpoint(before)
    update = {"EndpointName": name, "EndpointConfigName": after}
    same = refused(lambda: host.sm.update_endpoint(EndpointName=name, EndpointConfigName=before))[1]
    assert same == "Cannot update endpoint with the currently in use endpoint configuration."
    ghost = refused(lambda: host.sm.update_endpoint(EndpointName=name, EndpointConfigName="ghost"))[1]
    assert ghost.startswith("Could not find endpoint configuration")
    host.sm.delete_endpoint_config(EndpointConfigName=before)
    arn = f"arn:aws:sagemaker:us-east-1:{HOST.id}:endpoint-config/{before}"
    message = refused(lambda: host.sm.update_endpoint(**update))[1]
    assert message == f'Could not find endpoint configuration "{arn}".'
    assert host.record(name)["Statuses"] == CREATED


def serverless(**more: Any) -> dict[str, Any]:
    return {"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5, **more}}


GPU = "al2-ami-sagemaker-inference-gpu-2"
POOLS = [{"InstanceType": "ml.g5.xlarge", "Priority": 1}, {"InstanceType": "ml.g6.xlarge", "Priority": 2}]
PREFERS = {"CapacityReservationConfig": {"CapacityReservationPreference": "capacity-reservations-only"}}
RESERVED = {
    "CapacityReservationConfig": {
        "MlReservationArn": f"arn:aws:sagemaker:us-east-1:{OTHER.id}:training-plan/a"
    }
}


def routed(strategy: str, **prefix: int) -> dict[str, Any]:
    return {"RoutingConfig": {"RoutingStrategy": strategy, "PrefixAwareRoutingConfig": prefix}}


FOREIGN = f"{OTHER.id}.dkr.ecr.us-east-1.amazonaws.com/{GROUP}:1"


@pytest.mark.parametrize(
    ("variants", "config", "text"),
    [
        ([{"ModelName": "ghost"}], {}, "Could not find model"),
        ([{"ModelName": None}], {}, "ExecutionRoleArn is required"),
        ([{"InstanceType": None}], {}, "needs an InstanceType"),
        (
            [{"InitialInstanceCount": None}],
            {},
            "needs an InstanceType or InstancePools, and an InitialInstanceCount",
        ),
        ([{"InstanceType": "ml.ghost.large"}], {}, "enum value set"),
        ([{"InitialInstanceCount": 0}], {}, "greater than or equal to 1"),
        ([{}, {}], {}, "Duplicate variant names"),
        ([{}], {"KmsKeyId": "ghost"}, "Could not find KMS key ghost"),
        ([{}], {"AsyncInferenceConfig": {"OutputConfig": {}}}, "needs S3OutputPath"),
        ([serverless(MemorySizeInMB=1500)], {}, "MemorySizeInMB must be one of"),
        ([serverless(MemorySizeInMB=7168)], {}, "less than or equal to 6144"),
        ([serverless(MaxConcurrency=201)], {}, "less than or equal to 200"),
        ([serverless(ProvisionedConcurrency=6)], {}, "ProvisionedConcurrency cannot be greater"),
        ([{**serverless(), "InstanceType": "ml.m5.large"}], {}, "cannot have both"),
        ([{**serverless(), "ModelName": "isolated"}], {}, "do not support network isolation"),
        ([{**serverless(), "ModelName": "private"}], {}, "do not support VpcConfig"),
        ([{**serverless(), "ModelName": "pipeline"}], {}, "do not support several containers"),
        ([{**serverless(), "ModelName": "foreign"}], {}, "another account's registry"),
        ([serverless()], {"DataCaptureConfig": capture()}, "do not support data capture"),
        ([serverless(), {"VariantName": "b"}], {}, "do not support multiple variants"),
        (
            [{**serverless(), "VolumeSizeInGB": 30}],
            {},
            "cannot have both a ServerlessConfig and VolumeSizeInGB",
        ),
        ([{"InstancePools": POOLS}], {}, "cannot have both an InstanceType and InstancePools"),
        ([{"InstanceType": None, "InstancePools": []}], {}, "greater than or equal to 1"),
        (
            [{"InstanceType": None, "InstancePools": POOLS, "InitialInstanceCount": None}],
            {},
            "InitialInstanceCount",
        ),
        (
            [{"ManagedInstanceScaling": {"Status": "ENABLED"}}],
            {},
            "only supported for inference component endpoints",
        ),
        ([{"InstanceType": "ml.g5.xlarge", "VolumeSizeInGB": 30}], {}, "VolumeSize parameter is not allowed"),
        ([{"InstanceType": "ml.m5d.large", "VolumeSizeInGB": 30}], {}, "selected Instance type ml.m5d.large"),
        ([{"VolumeSizeInGB": 513}], {}, "less than or equal to 512"),
        ([{"ContainerStartupHealthCheckTimeoutInSeconds": 59}], {}, "greater than or equal to 60"),
        ([{"ModelDataDownloadTimeoutInSeconds": 3601}], {}, "less than or equal to 3600"),
        ([{"VariantInstanceProvisionTimeoutInSeconds": 299}], {}, "greater than or equal to 300"),
        ([{"InferenceAmiVersion": GPU}], {}, "is not supported for instance type ml.m5.large"),
        (
            [{"InstanceType": "ml.inf2.xlarge", "InferenceAmiVersion": GPU}],
            {},
            "instance type ml.inf2.xlarge",
        ),
        ([{"InferenceAmiVersion": "ghost"}], {}, "enum value set"),
        ([{"RoutingConfig": {"RoutingStrategy": "PREFIX_AWARE"}}], {}, "PrefixLength is required"),
        ([routed("PREFIX_AWARE", PrefixLength=1024)], {}, "ConcurrencyThreshold is required"),
        (
            [routed("PREFIX_AWARE", PrefixLength=1023, ConcurrencyThreshold=1)],
            {},
            "greater than or equal to 1024",
        ),
        (
            [routed("RANDOM", PrefixLength=1024, ConcurrencyThreshold=1)],
            {},
            "only be specified when RoutingStrategy",
        ),
        (
            [{"CapacityReservationConfig": {}}, {"VariantName": "b", **PREFERS}],
            {},
            "needs an MlReservationArn",
        ),
        ([{"InstanceType": None, "InstancePools": POOLS, **RESERVED}], {}, "not for InstancePools"),
        ([{}], {"MetricsConfig": {"MetricPublishFrequencyInSeconds": 20}}, "must be one of 10, 30, 60"),
    ],
)
def test_a_configuration_that_aws_does_not_take(
    host: Host, variants: list[dict[str, Any]], config: dict[str, Any], text: str
) -> None:
    given = []
    for one in variants:
        on = {} if "ServerlessConfig" in one else {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        full = {"VariantName": "AllTraffic", "ModelName": "one", **on, **one}
        given.append({key: value for key, value in full.items() if value is not None})
    name = next(_names)
    raw = _unchecked(host)
    code, message = refused(
        lambda: raw.create_endpoint_config(EndpointConfigName=name, ProductionVariants=given, **config)
    )
    assert code == "ValidationException"
    assert text in message
    assert "Could not find" in refused(lambda: raw.describe_endpoint_config(EndpointConfigName=name))[1]


def _unchecked(host: Host) -> Any:
    """A client that sends what botocore itself would refuse to."""
    if "unchecked" not in host._clients:
        host._clients["unchecked"] = client(
            host.server.url, host.key, "sagemaker", config=Config(parameter_validation=False)
        )
    return host._clients["unchecked"]


def test_a_serverless_endpoint_serves(host: Host) -> None:
    config = next(_names)
    one = {"VariantName": "AllTraffic", "ModelName": "one", **serverless()}
    host.sm.create_endpoint_config(EndpointConfigName=config, ProductionVariants=[one])
    name = host.endpoint(config)
    found = host.sm.describe_endpoint(EndpointName=name)["ProductionVariants"][0]
    assert found["CurrentServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    assert host.ask(name) == (1, "AllTraffic")
    other = next(_names)
    two = {"VariantName": "AllTraffic", "ModelName": "two", **serverless()}
    host.sm.create_endpoint_config(EndpointConfigName=other, ProductionVariants=[two])
    update = {"EndpointName": name, "EndpointConfigName": other}
    message = refused(lambda: host.sm.update_endpoint(**update, DeploymentConfig=rolling()))[1]
    assert "not supported for serverless" in message
    host.sm.update_endpoint(**update)
    host.settled(name)
    assert host.ask(name)[0] == 2


def scaled(host: Host, name: str, **more: Any) -> dict[str, str]:
    resource = {"ServiceNamespace": "sagemaker", "ResourceId": f"endpoint/{name}/variant/AllTraffic"}
    return {**resource, "ScalableDimension": "sagemaker:variant:DesiredInstanceCount", **more}


def test_a_scaled_variant_keeps_its_instance_type(host: Host) -> None:
    scaling, name = host.client("application-autoscaling"), host.endpoint()
    target = scaled(host, name)
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=4)
    bigger = host.config("two", variant={"InstanceType": "ml.m5.xlarge"})
    update = {"EndpointName": name, "EndpointConfigName": bigger}
    message = refused(lambda: host.sm.update_endpoint(**update))[1]
    assert "Deregister the variant as a scalable target first" in message
    host.sm.update_endpoint(EndpointName=name, EndpointConfigName=host.config("two"))
    assert host.settled(name)["EndpointStatus"] == "InService"
    scaling.deregister_scalable_target(**target)
    host.sm.update_endpoint(**update)
    assert host.settled(name)["EndpointConfigName"] == bigger


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"ResourceId": "endpoint/ghost/variant/AllTraffic"}, "ValidationException"),
        ({"ResourceId": "endpoint/NAME/variant/ghost"}, "ValidationException"),
        ({"ResourceId": "service/default/web"}, "ValidationException"),
        ({"ServiceNamespace": "ecs"}, "ValidationException"),
        ({"ScalableDimension": "ecs:service:DesiredCount"}, "ValidationException"),
        ({"MaxCapacity": None}, "ValidationException"),
        ({"MinCapacity": 5}, "ValidationException"),
        ({"MinCapacity": -1}, "ValidationException"),
    ],
)
def test_a_target_that_cannot_be_registered(host: Host, more: dict[str, Any], code: str) -> None:
    scaling, name = host.client("application-autoscaling"), _shared(host)
    given = {**scaled(host, name), "MinCapacity": 1, "MaxCapacity": 4, **more}
    given = {key: value for key, value in given.items() if value is not None}
    given["ResourceId"] = given["ResourceId"].replace("NAME", name)
    assert refused(lambda: scaling.register_scalable_target(**given))[0] == code
    listed = scaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[given["ResourceId"]]
    )
    assert listed["ScalableTargets"] == []


def test_a_target_goes_with_its_endpoint(host: Host) -> None:
    scaling, name = host.client("application-autoscaling"), host.endpoint()
    target = scaled(host, name)
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=4)
    scaling.register_scalable_target(**target, MaxCapacity=2)
    asked = {"ServiceNamespace": "sagemaker", "ResourceIds": [target["ResourceId"]]}
    found = scaling.describe_scalable_targets(**asked)["ScalableTargets"][0]
    assert (found["MinCapacity"], found["MaxCapacity"]) == (1, 2)
    assert scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"] == []
    host.sm.delete_endpoint(EndpointName=name)
    assert scaling.describe_scalable_targets(**asked)["ScalableTargets"] == []
    assert refused(lambda: scaling.deregister_scalable_target(**target))[0] == "ObjectNotFoundException"


def test_alarms_are_put_found_set_and_deleted(host: Host) -> None:
    cloudwatch = host.client("cloudwatch")
    name = host.alarm()
    found = cloudwatch.describe_alarms(AlarmNames=[name, "ghost"])["MetricAlarms"]
    assert [(one["AlarmName"], one["StateValue"]) for one in found] == [(name, "INSUFFICIENT_DATA")]
    assert found[0]["AlarmArn"] == f"arn:aws:cloudwatch:us-east-1:{HOST.id}:alarm:{name}"
    host.set_alarm(name, "ALARM")
    given = {key: found[0][key] for key in ("MetricName", "Namespace", "Period", "EvaluationPeriods")}
    cloudwatch.put_metric_alarm(
        AlarmName=name, ComparisonOperator="LessThanThreshold", Threshold=2.0, **given
    )
    again = cloudwatch.describe_alarms(AlarmNamePrefix=name)["MetricAlarms"][0]
    assert (again["StateValue"], again["ComparisonOperator"]) == ("ALARM", "LessThanThreshold")
    pages = cloudwatch.get_paginator("describe_alarms").paginate(PaginationConfig={"PageSize": 1})
    assert name in [one["AlarmName"] for page in pages for one in page["MetricAlarms"]]
    ringing = cloudwatch.describe_alarms(AlarmNames=[name], StateValue="OK")["MetricAlarms"]
    assert ringing == []
    assert refused(lambda: cloudwatch.delete_alarms(AlarmNames=["ghost"]))[0] == "ResourceNotFound"
    cloudwatch.delete_alarms(AlarmNames=[name, "ghost"])
    assert cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []
    with pytest.raises(cloudwatch.exceptions.ResourceNotFound):
        host.set_alarm(name, "OK")


def test_alarms_of_every_type_are_found_when_they_are_asked_for(host: Host) -> None:
    cloudwatch = host.client("cloudwatch")
    name = host.alarm()
    cloudwatch.put_composite_alarm(AlarmName=f"{name}-composite", AlarmRule=f"ALARM({name})")
    query = {"QueryString": "stats count(*)", "ScheduledQueryRoleARN": "arn:aws:iam::111111111111:role/query"}
    schedule = {
        "ScheduleConfiguration": {"ScheduleExpression": "rate(1 hour)", "StartTimeOffset": 3600},
        "AggregationExpression": "max(count)",
    }
    limits = {"QueryResultsToEvaluate": 1, "QueryResultsToAlarm": 1, "Threshold": 1.0}
    cloudwatch.put_log_alarm(
        AlarmName=f"{name}-log",
        ScheduledQueryConfiguration={**query, **schedule},
        ComparisonOperator="GreaterThanThreshold",
        **limits,
    )
    found = {
        tuple(types): {
            kind: [one["AlarmName"] for one in answer.get(f"{kind}s", [])]
            for kind in ("MetricAlarm", "CompositeAlarm", "LogAlarm")
            if answer.get(f"{kind}s")
        }
        for types in ([], ["MetricAlarm"], ["CompositeAlarm"], ["LogAlarm"], ["LogAlarm", "MetricAlarm"])
        for answer in [
            cloudwatch.describe_alarms(AlarmNamePrefix=name, **({"AlarmTypes": types} if types else {}))
        ]
    }
    metric, composite, log = (
        {"MetricAlarm": [name]},
        {"CompositeAlarm": [f"{name}-composite"]},
        {"LogAlarm": [f"{name}-log"]},
    )
    assert found == {
        (): metric,
        ("MetricAlarm",): metric,
        ("CompositeAlarm",): composite,
        ("LogAlarm",): log,
        ("LogAlarm", "MetricAlarm"): {**metric, **log},
    }
    host.set_alarm(f"{name}-log", "ALARM")
    taken = refused(lambda: cloudwatch.put_composite_alarm(AlarmName=name, AlarmRule="TRUE"))
    assert taken[0] == "ValidationError"
    cloudwatch.delete_alarms(AlarmNames=[name, f"{name}-composite", f"{name}-log"])
    assert cloudwatch.describe_alarms(AlarmNamePrefix=name, AlarmTypes=["LogAlarm"])["LogAlarms"] == []


@pytest.mark.parametrize(
    "given",
    [
        {"EvaluationPeriods": 1, "ComparisonOperator": "LessThanThreshold"},
        {"MetricName": "m", "ComparisonOperator": "LessThanThreshold"},
        {"MetricName": "m", "EvaluationPeriods": 1},
        {
            "MetricName": "m",
            "Metrics": [{"Id": "a"}],
            "EvaluationPeriods": 1,
            "ComparisonOperator": "LessThanThreshold",
        },
    ],
)
def test_an_alarm_that_is_none(host: Host, given: dict[str, Any]) -> None:
    put = host.client("cloudwatch").put_metric_alarm
    assert refused(lambda: put(AlarmName="none", **given))[0] == "ValidationError"


ALARM = f"arn:aws:cloudwatch:us-east-1:{HOST.id}:alarm"
ENDPOINT = f"arn:aws:sagemaker:us-east-1:{HOST.id}:endpoint"
WEIGHTS = [{"VariantName": "AllTraffic", "DesiredWeight": 1.0}]
METRIC = {"MetricName": "m", "EvaluationPeriods": 1, "ComparisonOperator": "LessThanThreshold"}
CALLS: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    "cloudwatch:PutMetricAlarm": (
        "cloudwatch",
        f"{ALARM}:a",
        lambda c: c.put_metric_alarm(AlarmName="a", **METRIC),
    ),
    "cloudwatch:DescribeAlarms": (
        "cloudwatch",
        f"{ALARM}:a",
        lambda c: c.describe_alarms(AlarmNames=["a"]),
    ),
    "cloudwatch:SetAlarmState": (
        "cloudwatch",
        f"{ALARM}:a",
        lambda c: c.set_alarm_state(AlarmName="a", StateValue="OK", StateReason="r"),
    ),
    "cloudwatch:DeleteAlarms": ("cloudwatch", f"{ALARM}:a", lambda c: c.delete_alarms(AlarmNames=["a"])),
    "application-autoscaling:DescribeScalableTargets": (
        "application-autoscaling",
        "*",
        lambda c: c.describe_scalable_targets(ServiceNamespace="sagemaker"),
    ),
    "application-autoscaling:RegisterScalableTarget": (
        "application-autoscaling",
        "*",
        lambda c: c.register_scalable_target(**scaled(c, "ghost"), MinCapacity=1, MaxCapacity=1),
    ),
    "application-autoscaling:DeregisterScalableTarget": (
        "application-autoscaling",
        "*",
        lambda c: c.deregister_scalable_target(**scaled(c, "ghost")),
    ),
    "sagemaker:UpdateEndpointWeightsAndCapacities": (
        "sagemaker",
        f"{ENDPOINT}/ghost",
        lambda c: c.update_endpoint_weights_and_capacities(
            EndpointName="ghost", DesiredWeightsAndCapacities=WEIGHTS
        ),
    ),
}


@pytest.fixture(scope="module")
def user(host: Host) -> tuple[Callable[[str], Any], Callable[..., None]]:
    """A user of the account that may do nothing: its clients, and what gives it a statement, or takes it."""
    iam = host.client("iam")
    iam.create_user(UserName="user")
    made = iam.create_access_key(UserName="user")["AccessKey"]
    key, clients = Credentials(made["AccessKeyId"], made["SecretAccessKey"]), {}

    def of(service: str) -> Any:
        clients.setdefault(service, client(host.server.url, key, service))
        return clients[service]

    def give(*statements: dict[str, Any]) -> None:
        nothing = {"Effect": "Deny", "Action": "sts:AssumeRole", "Resource": "*"}
        policy = document(*statements, nothing)
        iam.put_user_policy(UserName="user", PolicyName="given", PolicyDocument=policy)

    return of, give


def _answered(call: Callable[[], Any]) -> str | None:
    """The code of the error that a call ended in; None for a success."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None


@pytest.mark.parametrize("action", CALLS)
def test_each_operation_needs_its_permission(host: Host, user: Any, action: str) -> None:
    of, give = user
    service, resource, call = CALLS[action]
    refusal = "AccessDenied" if service == "cloudwatch" else "AccessDeniedException"
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    elsewhere = {"Effect": "Allow", "Action": action, "Resource": f"{ALARM}:other"}
    for statements in ([], [elsewhere], [everything, {"Effect": "Deny", "Action": action, "Resource": "*"}]):
        give(*statements)
        code, message = refused(lambda: call(of(service)))
        assert code == refusal
        assert f"is not authorized to perform: {action} on resource: " in message
    give({"Effect": "Allow", "Action": action, "Resource": resource})
    assert _answered(lambda: call(of(service))) != refusal


def test_a_key_for_the_storage_needs_a_grant(host: Host, user: Any) -> None:
    of, give = user
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    key = host.client("kms").create_key()["KeyMetadata"]["Arn"]
    before, after = host.config(), host.config("two", KmsKeyId=key)
    name = host.endpoint(before)
    give(everything, {"Effect": "Deny", "Action": "kms:CreateGrant", "Resource": "*"})
    for call in (
        lambda: of("sagemaker").create_endpoint(EndpointName=next(_names), EndpointConfigName=after),
        lambda: of("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=after),
    ):
        assert f"kms:CreateGrant on resource: {key}" in refused(call)[1]
    give(everything)
    of("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=after)
    assert host.settled(name)["EndpointConfigName"] == after


def test_a_key_beside_local_storage_is_taken(host: Host) -> None:
    key = host.client("kms").create_key()["KeyMetadata"]["Arn"]
    config = host.config(variant={"InstanceType": "ml.m5d.large"}, KmsKeyId=key)
    assert host.sm.describe_endpoint_config(EndpointConfigName=config)["KmsKeyId"] == key


def test_alarms_are_an_accounts_own(host: Host) -> None:
    name = host.alarm("OK")
    theirs = client(host.server.url, host.other, "cloudwatch")
    assert theirs.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []
    assert refused(lambda: theirs.delete_alarms(AlarmNames=[name]))[0] == "ResourceNotFound"


def control(url: str, method: str, given: Any) -> tuple[int, str]:
    """An HTTP request for the control path: its status and body."""
    body = json.dumps(given).encode()
    request = urllib.request.Request(f"{url}/_sandbox/outcomes", body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_outcomes_are_arranged_over_http(host: Host) -> None:
    name, url = next(_names), host.server.url
    where = {"account": HOST.id, "endpoint": name}
    assert control(url, "PUT", {**where, "outcome": {"kind": "no-capacity"}})[0] == 204
    host.sm.create_endpoint(EndpointName=name, EndpointConfigName=host.config())
    assert host.settled(name)["FailureReason"].startswith(CAPACITY)
    assert control(url, "PUT", {"outcome": {"kind": "over-limit"}})[0] == 204
    assert control(url, "DELETE", {})[0] == 204
    served = host.endpoint()
    held = {"account": HOST.id, "endpoint": served, "status": "OutOfService", "seconds": 1e9}
    assert control(url, "PUT", held)[0] == 204
    assert host.settled(served)["EndpointStatus"] == "OutOfService"


@pytest.mark.parametrize(
    ("method", "given", "says"),
    [
        ("PUT", {"outcome": {"kind": "ghost"}}, "kind is one of"),
        ("PUT", {"outcome": {"ghost": 1}}, "an outcome has no ghost"),
        ("PUT", {"outcome": 3}, "TypeError"),
        ("PUT", [], "TypeError"),
        ("PUT", {}, "outcome"),
        ("PUT", {"status": "Failed", "account": HOST.id, "endpoint": "e", "seconds": 1}, "status is one of"),
        ("PUT", {"status": "OutOfService", "account": HOST.id, "seconds": 1}, "endpoint"),
        ("POST", {"outcome": {"kind": "no-capacity"}}, "takes PUT and DELETE"),
    ],
)
def test_what_cannot_be_arranged(host: Host, method: str, given: Any, says: str) -> None:
    status, text = control(host.server.url, method, given)
    assert (status, says in text) == (400, True)
    assert host.server.outcomes.take(HOST.id, "e") == Outcome()


def test_the_sdks_resource_classes_accept_every_answer(host: Host) -> None:
    from sagemaker.core.resources import Endpoint, EndpointConfig
    from sagemaker.core.utils.utils import transform

    name, other = host.endpoint(host.config(DataCaptureConfig=capture())), host.config("two")
    host.sm.update_endpoint(
        EndpointName=name, EndpointConfigName=other, DeploymentConfig=green("CANARY", 3600, canary=10)
    )
    found = host.until(name, in_stage("Baking"))
    endpoint = Endpoint(endpoint_name=name)
    transform(found, "DescribeEndpointOutput", endpoint)
    pending = endpoint.pending_deployment_summary
    assert pending.endpoint_config_name == other
    assert pending.production_variants[0].variant_status[0].status == "Baking"
    assert endpoint.data_capture_config.capture_status == "Started"
    transform(host.settled(name), "DescribeEndpointOutput", endpoint)
    assert endpoint.endpoint_status == "InService"
    config = EndpointConfig(endpoint_config_name=other)
    transform(
        host.sm.describe_endpoint_config(EndpointConfigName=other), "DescribeEndpointConfigOutput", config
    )
    assert config.production_variants[0].instance_type == "ml.m5.large"


def test_times_are_the_sandboxs(host: Host) -> None:
    found = host.sm.describe_endpoint(EndpointName=_shared(host))
    assert found["CreationTime"] <= found["LastModifiedTime"] <= datetime.now(UTC)


# The last one: a server that is made begins with nothing, also for the one before it in this process.
def test_without_control_nothing_is_arranged() -> None:
    server = Server([HOST])
    server.start()
    try:
        given = {"outcome": {"kind": "no-capacity"}}
        assert control(server.url, "PUT", given)[0] == 403
        assert server.outcomes.take(HOST.id, "e") == Outcome()
    finally:
        server.stop()
