"""What dead runs leave is found by name and tags and removed; what is anybody else's, kept, young or taken over is not."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from crossaccount.aws import sessions
from crossaccount.aws.access import Target, open_producer
from crossaccount.config.loading import load_config
from crossaccount.config.model import ConsumerConfig, Sharing
from crossaccount.errors import DoorName, InputError, Refused
from crossaccount.hosting import creation, leftovers, temporary
from crossaccount.hosting.gateway import Gateway, Patience
from crossaccount.hosting.leftovers import Leftover
from crossaccount.hosting.resources import HostedResource, Removal, deployment_name
from crossaccount.release.manifest import Release
from crossaccount.sharing import apply, gather, publish
from crossaccount.sharing.plan import plan_share

NAME = "decision-trees-staging"
QUICK = Patience(seconds=10, first=0.03, longest=0.2)
PACKAGE = "arn:aws:sagemaker:us-east-1:111111111111:model-package/decision-trees-sample/2"
OURS = {"crossaccount:managed-by": "crossaccount", "crossaccount:model-package": PACKAGE}
LEFT = {**OURS, "crossaccount:keep": "false", "crossaccount:flow-run": "run-1"}
KEPT = {**OURS, "crossaccount:keep": "true"}
DELETE = {
    "endpoint": "sagemaker:DeleteEndpoint",
    "endpoint-config": "sagemaker:DeleteEndpointConfig",
    "model": "sagemaker:DeleteModel",
}


@dataclass
class House:
    """A consumer's account: its deployer's session, and its administrator's clients."""

    sandbox: Any
    sharing: Sharing
    consumer: ConsumerConfig
    session: boto3.Session
    release: Release
    sm: Any
    iam: Any

    def model(self, name: str, tags: dict[str, str]) -> None:
        self.sm.create_model(
            ModelName=name,
            PrimaryContainer={"ModelPackageName": PACKAGE},
            ExecutionRoleArn=self.consumer.execution_role,
            Tags=listed(tags),
        )

    def config(self, name: str, tags: dict[str, str], model: str = f"{NAME}-v2") -> None:
        variant = {"VariantName": "AllTraffic", "ModelName": model}
        variant |= {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}  # type: ignore[dict-item]
        self.sm.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[variant], Tags=listed(tags)
        )

    def endpoint(self, name: str, config: str, tags: dict[str, str]) -> None:
        self.sm.create_endpoint(EndpointName=name, EndpointConfigName=config, Tags=listed(tags))

    def deployed(self, run: str | None, keep: bool = False, endpoint: bool = True) -> list[HostedResource]:
        """What a deployment makes, or finds of an earlier one."""
        target, name = self.target, deployment_name(self.consumer, self.release.version)
        made = [
            creation.ensure_model(target, self.release, keep, run),
            creation.ensure_endpoint_config(target, self.release, name, keep, run),
        ]
        return [*made, creation.ensure_endpoint(target, self.release, keep, QUICK, run)] if endpoint else made

    @property
    def target(self) -> Target:
        return Target(self.sharing, "staging", self.consumer, self.session)

    def find(self) -> tuple[Leftover, ...]:
        return leftovers.find(self.target)

    def found(self) -> list[tuple[str, str]]:
        return [(one.kind, one.name) for one in self.find()]

    def reap(self, given: Any = None, timeout: float = 10.0) -> list[tuple[str, str]]:
        """The kinds and outcomes of a removal, each with the reason where there is one."""
        return [(one.kind, one.outcome) for one in self.removals(given, timeout)]

    def removals(self, given: Any = None, timeout: float = 10.0) -> tuple[Removal, ...]:
        wanted = self.find() if given is None else given
        return leftovers.reap(self.target, wanted, replace(QUICK, seconds=timeout))

    def hosted(self) -> list[str]:
        """Everything in the account, as kind and name."""
        found = [f"endpoint {one['EndpointName']}" for one in self.sm.list_endpoints()["Endpoints"]]
        configs = self.sm.list_endpoint_configs()["EndpointConfigs"]
        found += [f"config {one['EndpointConfigName']}" for one in configs]
        return found + [
            f"model {one['ModelName']}"
            for page in self.sm.get_paginator("list_models").paginate()
            for one in page["Models"]
        ]

    def tags(self, arn: str) -> dict[str, str]:
        return {one["Key"]: one["Value"] for one in self.sm.list_tags(ResourceArn=arn)["Tags"]}

    def in_service(self, name: str) -> None:
        creation.wait_in_service(self.target, name, QUICK)

    def creating(self, seconds: float) -> None:
        """Let the next endpoint be Creating for so long, and then fail."""
        outcome = {"kind": "crash-loop", "seconds": seconds * 1000}  # the sandbox runs at that speed
        body = json.dumps({"account": self.consumer.account, "outcome": outcome}).encode()
        request = urllib.request.Request(f"{self.sandbox.url}/_sandbox/outcomes", body, method="PUT")
        with urllib.request.urlopen(request, timeout=10):
            pass

    def clear(self) -> None:
        for one in self.hosted():
            kind, name = one.split()
            match kind:
                case "endpoint":
                    Gateway(self.target.sagemaker).delete_endpoint(name, QUICK)
                case "config":
                    self.sm.delete_endpoint_config(EndpointConfigName=name)
                case "model":
                    self.sm.delete_model(ModelName=name)


def listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@pytest.fixture(scope="module")
def whole(sandbox: Any) -> Iterator[House]:
    with pytest.MonkeyPatch.context() as patch, sandbox.restored():
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in sandbox.ready["env"].items():
            patch.setenv(name, value)
        patch.setattr("crossaccount.hosting.gateway.FIRST_SECONDS", 0.02)
        yield _moved_in(sandbox)


def _moved_in(sandbox: Any) -> House:
    """Shared, but for the Releases, which nobody reads here."""
    sharing = load_config(sandbox.config)
    producer = open_producer(sharing)
    found = gather.gather(producer)
    plan = plan_share(sharing, found)
    newest = found.versions[-1]
    released, _ = publish.prepare(producer, newest, found, plan)
    apply.apply(producer, plan, lambda line: None, settle_seconds=0.0)
    consumer = sharing.consumers["staging"]
    session = sessions.consumer_session(sharing, "staging", consumer)
    sm, iam = sandbox.admin("staging", "sagemaker"), sandbox.admin("staging", "iam")
    return House(sandbox, sharing, consumer, session, released, sm, iam)


@pytest.fixture
def house(whole: House) -> Iterator[House]:
    yield whole
    whole.clear()


# What is a leftover.

FOREIGN = {**LEFT, "crossaccount:managed-by": "somebody"}


NO_RUN = {**OURS, "crossaccount:keep": "false"}
NO_OWNER = {"crossaccount:keep": "false", "crossaccount:flow-run": "run-1"}
MODELS: list[tuple[str, dict[str, str], bool]] = [
    (f"{NAME}-v2", LEFT, True),
    (f"{NAME}-v999999999", LEFT, True),
    (f"{NAME}-v0", LEFT, True),  # the probe of an audit, which has another version's package
    (f"{NAME}-v10", {**LEFT, "crossaccount:flow-run": ""}, True),
    (f"{NAME}-v11", NO_RUN, True),  # made outside of a flow run
    (f"{NAME}-v20", {}, False),
    (f"{NAME}-v21", KEPT, False),
    (f"{NAME}-v22", {**LEFT, "crossaccount:keep": "False"}, False),
    (f"{NAME}-v23", OURS, False),
    (f"{NAME}-v24", FOREIGN, False),
    (f"{NAME}-v25", NO_OWNER, False),
    (NAME, LEFT, False),
    (f"{NAME}-v", LEFT, False),
    (f"{NAME}-v2x", LEFT, False),
    (f"{NAME}-v2x-v1", LEFT, False),  # of a consumer whose endpoint is NAME-v2x
    (f"{NAME}-v2-v1", LEFT, False),  # and NAME-v2
    (f"{NAME}-v2-0a1b", LEFT, False),  # a name of an endpoint config of the endpoint that stays
    (f"other-{NAME}-v2", LEFT, False),
    (f"{NAME}-vv2", LEFT, False),
]


def test_what_is_left_is_told_by_name_and_tags_and_nothing_else_is_removed(house: House) -> None:
    for name, tags, _ in MODELS:
        house.model(name, tags)
    left = {name for name, _, is_left in MODELS if is_left}
    assert set(house.found()) == {("model", name) for name in left}
    assert house.reap() == [("model", "removed")] * len(left)
    assert set(house.hosted()) == {f"model {name}" for name, _, is_left in MODELS if not is_left}


def test_a_dead_deployment_is_found_with_all_that_is_known_and_removed_in_order(house: House) -> None:
    house.deployed("run-1")
    before = datetime.now(UTC)
    found = house.find()
    assert [one.kind for one in found] == ["endpoint", "endpoint-config", "model"]
    assert {(one.name, one.flow_run, one.package) for one in found} == {(f"{NAME}-v2", "run-1", PACKAGE)}
    assert all(timedelta(0) <= before - one.created < timedelta(minutes=1) for one in found)
    assert house.reap(reversed(found)) == [(one.kind, "removed") for one in found]
    assert house.hosted() == []
    assert house.reap(found) == [(one.kind, "gone") for one in found]


def test_a_dead_trial_goes_and_the_model_that_the_endpoint_may_need_stays(house: House) -> None:
    temporary.begin_trial(house.target, house.release, QUICK, "run-1")
    assert {(one.kind, one.flow_run) for one in house.find()} == {
        ("endpoint", "run-1"),
        ("endpoint-config", "run-1"),
    }
    house.in_service(f"{NAME}-v2")
    assert house.reap() == [("endpoint", "removed"), ("endpoint-config", "removed")]
    assert house.hosted() == [f"model {NAME}-v2"]


@pytest.mark.parametrize("endpoint", [NAME, f"{NAME}-v3"])
def test_what_an_endpoint_that_stays_runs_on_stays_whatever_its_tags_say(house: House, endpoint: str) -> None:
    house.model(f"{NAME}-v2", LEFT)
    house.config(f"{NAME}-v2", LEFT)
    house.endpoint(endpoint, f"{NAME}-v2", KEPT)
    house.model(f"{NAME}-v1", LEFT)
    assert house.found() == [("model", f"{NAME}-v1")]


def test_the_model_of_the_endpoint_config_that_stays_is_no_leftover(house: House) -> None:
    house.model(f"{NAME}-v2", LEFT)
    house.config(f"{NAME}-v2-0a1b", KEPT)
    assert house.found() == []


def test_the_endpoint_that_stays_is_no_leftover_even_if_its_tags_say_so(house: House) -> None:
    house.model(f"{NAME}-v2", KEPT)
    house.config(f"{NAME}-v2-0a1b", KEPT)
    house.endpoint(NAME, f"{NAME}-v2-0a1b", LEFT)
    assert house.found() == []


def test_more_than_a_page_is_found(house: House) -> None:
    event, client = (
        "before-parameter-build.sagemaker.ListModels",
        house.target.sagemaker,
    )
    client.meta.events.register(event, _two_at_a_time)
    for number in range(5):
        house.model(f"{NAME}-v{number}", LEFT)
    try:
        with house.sandbox.calls() as calls:
            assert len(house.found()) == 5
    finally:
        client.meta.events.unregister(event, _two_at_a_time)
    assert [one["operation"] for one in calls].count("ListModels") == 3


def _two_at_a_time(params: dict[str, Any], **_: Any) -> None:
    params["MaxResults"] = 2


# Runs that go on from what others left.


@pytest.mark.parametrize(
    ("keep", "endpoint", "tag", "says"),
    [
        (False, True, "run-2", "flow run run-2 has it now"),
        (True, False, "run-1", "it is tagged to stay now"),
    ],
)
def test_what_a_later_run_took_over_is_not_taken_from_under_it(
    house: House, keep: bool, endpoint: bool, tag: str, says: str
) -> None:
    house.deployed("run-1", endpoint=endpoint)
    seen = house.find()
    taken = house.deployed("run-2", keep, endpoint)
    assert all(one.reused for one in taken)
    assert {house.tags(one.arn)["crossaccount:flow-run"] for one in taken} == {tag}
    removals = house.removals(seen)
    assert [(one.outcome, one.reason) for one in removals] == [("kept", says)] * len(taken)
    assert len(house.hosted()) == len(taken)


def test_the_age_of_what_was_taken_over_counts_from_then(house: House) -> None:
    house.model(f"{NAME}-v2", {**LEFT, "crossaccount:taken-over": "2999-01-01T00:00:00+00:00"})
    house.model(f"{NAME}-v1", {**LEFT, "crossaccount:taken-over": "1999-01-01T00:00:00+00:00"})
    house.model(f"{NAME}-v3", {**LEFT, "crossaccount:taken-over": "no time"})
    years = {one.name[-1]: one.created.year for one in house.find()}
    now = datetime.now(UTC).year
    assert years == {"1": now, "2": 2999, "3": now}
    made = creation.ensure_model(house.target, house.release, False, "run-2")
    taken = datetime.fromisoformat(house.tags(made.arn)["crossaccount:taken-over"])
    assert abs(datetime.now(UTC) - taken) < timedelta(minutes=1)


def test_what_is_to_stay_gets_no_run(house: House) -> None:
    for one in house.deployed("run-1", True, False) + house.deployed("run-2", False, False):
        tags = house.tags(one.arn)
        assert (tags["crossaccount:keep"], tags.get("crossaccount:flow-run")) == ("true", None)


# What cannot be removed.


def test_an_endpoint_that_is_creating_is_waited_for(house: House) -> None:
    house.creating(0.3)
    house.deployed("run-1")
    assert house.reap() == [(kind, "removed") for kind in ("endpoint", "endpoint-config", "model")]


def test_one_that_stays_creating_is_left_and_so_is_what_it_runs_on(house: House) -> None:
    house.creating(0.5)
    house.deployed("run-1")
    house.model(f"{NAME}-v1", LEFT)
    removals = {(one.kind, one.name[-2:]): one for one in house.removals(timeout=0.1)}
    assert removals["endpoint", "v2"].outcome == "left"
    assert "still Creating" in removals["endpoint", "v2"].reason
    for kind in ("endpoint-config", "model"):
        assert removals[kind, "v2"].outcome == "left"
        assert removals[kind, "v2"].reason == f"the endpoint {NAME}-v2 still runs on it"
    assert removals["model", "v1"].outcome == "removed"
    assert len(house.hosted()) == 3


@pytest.mark.parametrize(
    ("refused", "outcomes"),
    [
        ("endpoint", ["left", "left", "left", "removed"]),
        ("endpoint-config", ["left", "removed", "removed"]),
        ("model", ["removed", "left", "left"]),
    ],
)
def test_a_refused_removal_is_listed_with_its_reason_and_stops_no_other(
    house: House, refused: str, outcomes: list[str]
) -> None:
    house.deployed("run-1", endpoint=refused == "endpoint")
    if refused == "endpoint":
        house.in_service(f"{NAME}-v2")
    house.model(f"{NAME}-v1", LEFT)
    found = sorted(house.find(), key=lambda one: (one.name.endswith("v1"), one.kind))
    with house.sandbox.denied("staging", "crossaccount-deployer", DELETE[refused]):
        removals = house.removals(found)
    assert [one.outcome for one in removals] == outcomes
    of_refused = [one.reason for one in removals if one.kind == refused and one.outcome == "left"]
    assert of_refused
    assert all(DELETE[refused] in reason for reason in of_refused)


@pytest.mark.parametrize("action", ["ListEndpoints", "ListEndpointConfigs", "ListModels", "ListTags"])
def test_a_refusal_to_look_names_the_door(house: House, action: str) -> None:
    if action == "ListTags":
        house.model(f"{NAME}-v2", LEFT)
    with (
        house.sandbox.denied("staging", "crossaccount-deployer", f"sagemaker:{action}"),
        pytest.raises(Refused) as error,
    ):
        house.find()
    refusal = error.value.refusal
    assert (refusal.door, refusal.account) == (DoorName.CALLER_POLICY, "222222222222")
    assert refusal.action == f"sagemaker:{action}"


# Age.

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ONE = Leftover("model", "a-v1", "arn", NOW - timedelta(minutes=180), "run-1", None)


@pytest.mark.parametrize(
    ("ages", "old"),
    [
        ({"model": 180}, ["model"]),
        ({"model": 179}, []),
        ({"model": 1000, "endpoint": 179}, []),  # a later run went on from the model
        ({"model": 1000, "endpoint-config": 500, "endpoint": 180}, ["model", "endpoint-config", "endpoint"]),
        ({"model": -5}, []),
        ({}, []),
    ],
)
def test_what_has_one_name_is_as_old_as_its_youngest(ages: dict[Any, int], old: list[str]) -> None:
    left = [
        replace(ONE, kind=kind, created=NOW - timedelta(minutes=minutes)) for kind, minutes in ages.items()
    ]
    other = replace(ONE, name="a-v2", created=NOW)
    found = leftovers.expired([*left, other], NOW, timedelta(minutes=180))
    assert [one.kind for one in found] == old
    assert other not in found


@pytest.mark.parametrize("minutes", [-1, 0, 89])
def test_what_may_be_a_living_run_s_is_never_asked_for(minutes: int) -> None:
    with pytest.raises(InputError, match="90 or more"):
        leftovers.age(minutes)
    assert leftovers.age(90) == timedelta(minutes=90)
