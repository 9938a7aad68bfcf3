"""What becomes of an endpoint that stays: for every state that it is found in, every outcome that AWS has, and every end of a run.

The deployer's role is the one of the template, so that each permission that is used here is one that it grants.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from crossaccount.aws import sessions
from crossaccount.aws.access import Target, open_producer
from crossaccount.aws.endpoint_status import IN_PROGRESS
from crossaccount.config.loading import parse_config
from crossaccount.config.model import ConsumerConfig, Sharing
from crossaccount.config.smoke import Latency
from crossaccount.errors import Conflict, Failed, InputError, NotLive
from crossaccount.hosting import creation, removal, requests, shift, state, temporary
from crossaccount.hosting.gateway import Patience, Progress
from crossaccount.hosting.outcome import Ending, ShiftOutcome, accepted
from crossaccount.hosting.resources import (
    OWNER_TAG,
    PACKAGE_TAG,
    HostedResource,
    Removal,
    deployment_name,
    tag_values,
)
from crossaccount.hosting.shift import Shift
from crossaccount.hosting.state import LiveEndpoint
from crossaccount.proof import expectations
from crossaccount.proof.asking import ask
from crossaccount.proof.proof import prove
from crossaccount.proof.questions import Question, of_sample, questions, read_body
from crossaccount.proof.reading import BODY_LIMIT
from crossaccount.release.manifest import Release
from crossaccount.sharing import apply, gather, publish
from crossaccount.sharing.plan import plan_share
from crossaccount.show import proofs
from crossaccount_sandbox import accounts
from crossaccount_sandbox.sagemaker.outcomes import Outcome
from crossaccount_sandbox.server import Server

TEMPLATES = Path(__file__).parents[2] / "deployments" / "iam"
NAME = "decision-trees-staging"
PLACE = (accounts.STAGING.id, accounts.REGION)
QUICK = Patience(seconds=10, first=0.02, longest=0.2)
ROLE = "arn:aws:iam::{}:role/crossaccount-{}"
PING = "did not pass the ping health check"
FULL = "InsufficientInstanceCapacity"


def document(endpoint: dict[str, Any], **consumer: Any) -> str:
    producer = {
        "account": accounts.PRODUCER.id,
        "role": ROLE.format(accounts.PRODUCER.id, "producer"),
        "external_id": "sandbox-producer",
        "profile": "producer",
        "releases": f"s3://{accounts.BUCKET}/{accounts.RELEASES}",
    }
    staging = {
        "account": accounts.STAGING.id,
        "role": ROLE.format(accounts.STAGING.id, "deployer"),
        "external_id": "sandbox-staging",
        "profile": "staging",
        "execution_role": ROLE.format(accounts.STAGING.id, "execution"),
        "endpoint": {"name": NAME, "instance_type": "ml.m5.large", **endpoint},
        **consumer,
    }
    whole = {"model_package_group": accounts.GROUP, "region": accounts.REGION, "producer": producer}
    return json.dumps({**whole, "consumers": {"staging": staging}})


class Cancelled(Exception):
    """A run is cancelled while it waits."""


@dataclass
class Stage:
    """A consumer's account in which anything may happen, and the releases of three versions."""

    server: Server
    session: boto3.Session
    admin: Any
    clients: dict[str, Any]
    sharing: Sharing
    consumer: ConsumerConfig
    releases: dict[int, Release] = field(default_factory=dict)

    def like(self, **endpoint: Any) -> Stage:
        """The same account under a config that says something else of the endpoint."""
        sharing = parse_config(document(endpoint))
        return replace(self, sharing=sharing, consumer=sharing.consumers["staging"])

    def expect(self, **outcome: Any) -> None:
        self.server.outcomes.next_endpoint(Outcome(**outcome), accounts.STAGING.id, NAME)

    @property
    def target(self) -> Target:
        return Target(self.sharing, "staging", self.consumer, self.session)

    def ensure_config(self, version: int) -> HostedResource:
        """The endpoint config of a version on an endpoint of its own, which stays."""
        name = deployment_name(self.consumer, version)
        return creation.ensure_endpoint_config(self.target, self.releases[version], name, keep=True)

    def look(self) -> LiveEndpoint | None:
        return state.look(self.target)

    def shift(self, version: int, **more: Any) -> Shift:
        return shift.shift(self.target, self.releases[version], **{"patience": QUICK, **more})

    def settle(self, config: str, **more: Any) -> ShiftOutcome:
        return shift.settle(self.target, config, **{"patience": QUICK, **more})

    def move(self, version: int) -> ShiftOutcome:
        return self.settle(self.shift(version).config)

    def prove(self, version: int) -> str:
        """Move to a version that then proves itself; its endpoint config."""
        outcome = self.move(version)
        assert outcome.ending is Ending.LIVE, outcome.text
        state.mark_proven(self.target, outcome.config)
        return outcome.config

    def back(self, to: str) -> ShiftOutcome:
        shift.roll_back(self.target, to, QUICK)
        return self.settle(to)

    def discard(self, version: int) -> tuple[Removal, ...]:
        return removal.discard(self.target, self.releases[version], QUICK)

    def retire(self) -> tuple[Removal, ...]:
        return removal.retire(self.target, QUICK)

    def config(self, version: int) -> str:
        return requests.config_name(self.consumer, self.releases[version])

    def answers(self) -> set[int]:
        """The versions whose answers the endpoint gives: version 1 takes this flower for 1, the others for 2."""
        asked = {
            "ContentType": "text/csv",
            "Accept": "application/json",
            "Body": "6.3,3.3,6.0,2.5\n6.3,3.3,6.0,2.5",
        }
        found = [self.clients["runtime"].invoke_endpoint(EndpointName=NAME, **asked) for _ in range(8)]
        return {json.load(one["Body"])[0] for one in found}

    def hosted(self) -> dict[str, list[str]]:
        sm = self.admin
        return {
            "endpoints": sorted(one["EndpointName"] for one in sm.list_endpoints()["Endpoints"]),
            "configs": sorted(
                one["EndpointConfigName"] for one in sm.list_endpoint_configs()["EndpointConfigs"]
            ),
            "models": sorted(one["ModelName"] for one in sm.list_models()["Models"]),
        }

    def untagged(self) -> list[str]:
        """Everything in the account that does not say whose it is."""
        sm = self.admin
        arns = [one["EndpointArn"] for one in sm.list_endpoints()["Endpoints"]]
        arns += [one["EndpointConfigArn"] for one in sm.list_endpoint_configs()["EndpointConfigs"]]
        arns += [one["ModelArn"] for one in sm.list_models()["Models"]]
        tags = {arn: {one["Key"] for one in sm.list_tags(ResourceArn=arn)["Tags"]} for arn in arns}
        return [arn for arn in arns if not tags[arn] >= {OWNER_TAG, PACKAGE_TAG}]

    def until(self, holds: Callable[[str], bool], name: str = NAME) -> str:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = self.server.hosting.find(PLACE, name)
            status = found["EndpointStatus"] if found else "gone"
            if holds(status):
                return status
            time.sleep(0.005)
        raise AssertionError(status)

    def alarm(self, state: str) -> None:
        self.clients["cloudwatch"].set_alarm_state(AlarmName="errors", StateValue=state, StateReason="test")

    def clear(self) -> None:
        """An empty account, whatever was there."""
        self.server.outcomes.clear()
        self.alarm("OK")
        for one in self.server.hosting.all(PLACE):
            name = one["EndpointName"]
            self.until(lambda status: status not in IN_PROGRESS, name)
            self.admin.delete_endpoint(EndpointName=name)
            self.until(lambda status: status == "gone", name)
        hosted = self.hosted()
        for name in hosted["configs"]:
            self.admin.delete_endpoint_config(EndpointConfigName=name)
        for name in hosted["models"]:
            self.admin.delete_model(ModelName=name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    server = Server([accounts.PRODUCER, accounts.STAGING], endpoint_seconds=0.02, speed=5000)
    server.start()
    residents = accounts.settle(server.url, TEMPLATES, [accounts.PRODUCER, accounts.STAGING])
    keys = tmp_path_factory.mktemp("aws") / "credentials"
    keys.write_text(
        "".join(
            f"[{name}]\naws_access_key_id={key.access_key_id}\naws_secret_access_key={key.secret_access_key}\n"
            for name, key in residents.operators.items()
        )
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
        patch.setattr("crossaccount.hosting.gateway.FIRST_SECONDS", 0.02)
        yield _staged(server, residents.administrators)
    server.stop()


def _staged(server: Server, administrators: dict[str, accounts.Credentials]) -> Stage:
    def client(account: str, service: str) -> Any:
        key = administrators[account]
        session: Any = boto3.session.Session(
            key.access_key_id, key.secret_access_key, region_name=accounts.REGION
        )
        return session.client(service, endpoint_url=server.url)

    third = f"arn:aws:sagemaker:us-east-1:{accounts.PRODUCER.id}:model-package/{accounts.GROUP}/3"
    client("producer", "sagemaker").update_model_package(
        ModelPackageArn=third, ModelApprovalStatus="Approved"
    )
    names = {
        "runtime": "sagemaker-runtime",
        "cloudwatch": "cloudwatch",
        **{one: one for one in ("s3", "iam", "kms", "cloudformation")},
    }
    clients = {name: client("staging", service) for name, service in names.items()}
    clients["producer"] = client("producer", "s3")
    clients["cloudwatch"].put_metric_alarm(
        AlarmName="errors",
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
    )
    clients["cloudwatch"].put_composite_alarm(
        AlarmName="errors-or-logs", AlarmRule="ALARM(errors) OR ALARM(logs)"
    )
    clients["cloudwatch"].put_log_alarm(
        AlarmName="logs",
        ScheduledQueryConfiguration={
            "QueryString": "stats count(*)",
            "ScheduledQueryRoleARN": ROLE.format(accounts.STAGING.id, "query"),
            "ScheduleConfiguration": {"ScheduleExpression": "rate(1 hour)", "StartTimeOffset": 3600},
            "AggregationExpression": "max(count)",
        },
        QueryResultsToEvaluate=1,
        QueryResultsToAlarm=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
    )
    sharing = parse_config(document({}))
    producer = open_producer(sharing)
    found = gather.gather(producer)
    plan = plan_share(sharing, found)
    prepared = [publish.prepare(producer, one, found, plan)[0] for one in found.versions]
    apply.apply(producer, plan, lambda line: None)
    published = {one.version: publish.publish(producer, one) for one in prepared}
    consumer = sharing.consumers["staging"]
    session = sessions.consumer_session(sharing, "staging", consumer)
    return Stage(server, session, client("staging", "sagemaker"), clients, sharing, consumer, published)


@pytest.fixture
def stage(whole: Stage) -> Iterator[Stage]:
    whole.clear()
    yield whole
    assert whole.untagged() == []


# The table. What is there before, what AWS does, how the run ends; then what is live, what is left, and what is said.

Act = Callable[[Stage], Any]


def nothing(stage: Stage) -> None:
    """No endpoint yet."""


def one_live(stage: Stage) -> None:
    stage.prove(1)


def two_lived(stage: Stage) -> None:
    stage.prove(3)
    stage.prove(1)


def creation_failed(stage: Stage) -> None:
    stage.expect(kind="unhealthy")
    stage.shift(1)
    stage.until(lambda status: status == "Failed")


def stuck(stage: Stage) -> None:
    """The endpoint serves version 1 and a part of version 3, and AWS could not take that back."""
    stage.prove(1)
    stage.expect(**LATE, rollback_fails=True)
    stage.shift(3)
    assert stage.until(lambda status: status not in IN_PROGRESS) == "UpdateRollbackFailed"


def killed_after_model(stage: Stage) -> None:
    creation.ensure_model(stage.target, stage.releases[2], keep=True)


def killed_after_config(stage: Stage) -> None:
    killed_after_model(stage)
    creation.ensure_endpoint_config(stage.target, stage.releases[2], stage.config(2), keep=True)


def one_live_and_killed_after_config(stage: Stage) -> None:
    one_live(stage)
    killed_after_config(stage)


def killed_while_creating(stage: Stage) -> None:
    stage.shift(2)


def killed_while_updating(stage: Stage) -> None:
    one_live(stage)
    stage.shift(2)


def another_update(stage: Stage) -> None:
    """A run that moved the endpoint to version 3 died; its update goes on."""
    one_live(stage)
    stage.shift(3)


def deployed_to_keep(stage: Stage) -> None:
    """Somebody runs version 2 on an endpoint of its own, with the same model."""
    creation.ensure_model(stage.target, stage.releases[2], keep=True)
    stage.ensure_config(2)


def healthy(stage: Stage) -> None:
    """All goes well."""


def fails(**outcome: Any) -> Act:
    def arrange(stage: Stage) -> None:
        stage.expect(**outcome)

    return arrange


def rings(stage: Stage) -> None:
    stage.alarm("ALARM")


def patches(stage: Stage) -> None:
    stage.server.outcomes.hold("SystemUpdating", accounts.STAGING.id, NAME, 500)


def out_of_service(stage: Stage) -> None:
    stage.server.outcomes.hold("OutOfService", accounts.STAGING.id, NAME, 500_000)


CANARY = {"deployment": {"type": "canary", "canary_percent": 50, "wait_seconds": 300}}
SLOWLY = {"deployment": {**CANARY["deployment"], "wait_seconds": 1500}}  # long enough to be seen
LINEAR = {"deployment": {"type": "linear", "linear_percent": 50, "termination_wait_seconds": 300}}
ROLLING = {"instance_count": 4, "deployment": {"type": "rolling", "batch_percent": 25}}
LATE = {"kind": "unhealthy", "batch": 1}
WATCHED = {"deployment": {"alarms": ["errors"], "wait_seconds": 300}}
OF_EVERY_TYPE = {"deployment": {"alarms": ["errors", "errors-or-logs", "logs"], "wait_seconds": 300}}
TOO_LONG = {
    "instance_count": 2,
    "deployment": {"type": "rolling", "batch_percent": 50, "wait_seconds": 301, "maximum_seconds": 600},
}


@dataclass(frozen=True)
class Row:
    """One line of the table; ``left`` are the versions whose endpoint config is left once what failed was discarded."""

    says: str
    before: Act
    aws: Act
    ending: Ending
    live: int | None
    left: tuple[int, ...]
    words: tuple[str, ...] = ()
    endpoint: dict[str, Any] = field(default_factory=dict)
    seconds: float = 10
    answers: set[int] | None = None


def failed(says: str, aws: Act, *words: str, before: Act = one_live, **more: Any) -> Row:
    """An update to version 2 that AWS rolls back to version 1."""
    given = {"left": (1,), **more}
    return Row(says, before, aws, Ending.ROLLED_BACK, 1, words=("version 1 is live", *words), **given)


ROWS = [
    Row("created", nothing, healthy, Ending.LIVE, 2, (2,), ("serves version 2",), answers={2}),
    Row("updated", one_live, healthy, Ending.LIVE, 2, (1, 2), ("serves version 2",), answers={2}),
    Row("updated by canary", one_live, healthy, Ending.LIVE, 2, (1, 2), endpoint=CANARY),
    Row("updated linearly", one_live, healthy, Ending.LIVE, 2, (1, 2), endpoint=LINEAR),
    Row("updated rolling", one_live, healthy, Ending.LIVE, 2, (1, 2), endpoint=ROLLING),
    Row("updated under a quiet alarm", one_live, healthy, Ending.LIVE, 2, (1, 2), endpoint=WATCHED),
    Row("updated under alarms of every type", one_live, healthy, Ending.LIVE, 2, (1, 2), endpoint=OF_EVERY_TYPE),
    Row("updated a second time", two_lived, healthy, Ending.LIVE, 2, (1, 2, 3)),
    # creations that fail
    Row("never healthy", nothing, fails(kind="unhealthy"), Ending.CREATION_FAILED, None, (), (PING, "log group")),
    Row("crash loop", nothing, fails(kind="crash-loop"), Ending.CREATION_FAILED, None, (), (PING, "serves nothing")),
    Row("no capacity", nothing, fails(kind="no-capacity"), Ending.CREATION_FAILED, None, (), (FULL,)),
    Row("crash loop, beyond the time", nothing, fails(kind="unhealthy", seconds=2500), Ending.TIMED_OUT, None, (),
        ("still Creating", "crash-looping", f"/aws/sagemaker/Endpoints/{NAME}"), seconds=0.15),
    # updates that AWS takes back
    failed("update never healthy", fails(kind="unhealthy"), PING),
    failed("update crash loop", fails(kind="crash-loop"), PING, answers={1}),
    failed("update without capacity", fails(kind="no-capacity"), FULL),
    failed("update never healthy, silent", fails(kind="unhealthy", silent=True), "AWS gives no reason"),
    failed("canary never healthy", fails(kind="unhealthy"), PING, endpoint=CANARY),
    failed("linear never healthy", fails(kind="unhealthy"), PING, endpoint=LINEAR),
    failed("rolling, a later batch", fails(**LATE), PING, endpoint=ROLLING),
    failed("rolling, a later batch, silent", fails(**LATE, silent=True), "no reason", endpoint=ROLLING),
    failed("an alarm rings", rings, "alarm(s) errors were in ALARM", endpoint=WATCHED, answers={1}),
    failed("takes too long", healthy, "MaximumExecutionTimeoutInSeconds", endpoint=TOO_LONG),
    failed("after two versions", fails(kind="unhealthy"), PING, before=two_lived, left=(1, 3)),
    # worse
    Row("rollback fails", one_live, fails(**LATE, rollback_fails=True), Ending.ROLLBACK_FAILED, None, (1, 2),
        ("serves a mix of both", "Roll it back"), endpoint=ROLLING, answers={1, 2}),
    Row("rollback fails, silent", one_live, fails(**LATE, rollback_fails=True, silent=True), Ending.ROLLBACK_FAILED, None,
        (1, 2), ("AWS gives no reason",), endpoint=ROLLING),
    Row("update beyond the time", one_live, fails(kind="unhealthy", seconds=2500), Ending.TIMED_OUT, 1, (1,),
        ("still Updating", "version 1 still answers", "crash-looping"), seconds=0.15),
    # found so
    Row("a creation that failed", creation_failed, healthy, Ending.LIVE, 2, (1, 2)),
    Row("stuck between two", stuck, healthy, Ending.LIVE, 2, (1, 2, 3), endpoint=ROLLING, answers={2}),
    Row("stuck, and again", stuck, fails(kind="unhealthy"), Ending.ROLLED_BACK, 1, (1, 3), (PING,), endpoint=ROLLING),
    Row("AWS patches it", one_live, patches, Ending.LIVE, 2, (1, 2)),
    Row("out of service", one_live, out_of_service, Ending.LIVE, 2, (1, 2)),
    Row("the version is live already", lambda stage: stage.prove(2), fails(kind="unhealthy"), Ending.LIVE, 2, (2,)),
    # runs that died
    Row("killed after the model", killed_after_model, healthy, Ending.LIVE, 2, (2,)),
    Row("killed after the config", killed_after_config, healthy, Ending.LIVE, 2, (2,)),
    Row("killed before the update", one_live_and_killed_after_config, healthy, Ending.LIVE, 2, (1, 2)),
    Row("killed before an update that fails", one_live_and_killed_after_config, fails(kind="unhealthy"),
        Ending.ROLLED_BACK, 1, (1,), (PING,)),
    Row("killed while creating", killed_while_creating, healthy, Ending.LIVE, 2, (2,)),
    Row("killed while updating", killed_while_updating, healthy, Ending.LIVE, 2, (1, 2)),
    Row("killed while updating to another", another_update, healthy, Ending.LIVE, 2, (1, 2, 3)),
    Row("killed while updating to another, then failed", another_update, fails(kind="unhealthy"),
        Ending.ROLLED_BACK, 3, (1, 3), ("version 3 is live", PING)),
    Row("deployed to keep beside it", deployed_to_keep, fails(kind="unhealthy"), Ending.CREATION_FAILED, None, ()),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[row.says for row in ROWS])
def test_how_a_shift_ends(stage: Stage, row: Row) -> None:
    changed = stage.like(**row.endpoint)
    row.before(changed)
    row.aws(changed)
    shifted = changed.shift(2)
    outcome = changed.settle(shifted.config, patience=replace(QUICK, seconds=row.seconds))
    assert (outcome.ending, outcome.version) == (row.ending, row.live), outcome.text
    for word in row.words:
        assert word in outcome.text
    if row.answers:
        assert stage.answers() == row.answers
    if row.ending is Ending.LIVE:
        assert accepted(outcome).config == changed.config(2)
    else:
        with pytest.raises(NotLive) as error:
            accepted(outcome)
        assert (error.value.ending, error.value.live_version) == (row.ending, row.live)
        removed = changed.discard(2)
        assert not [one for one in removed if one.outcome == "left"]
    kept = {2} if row.before is deployed_to_keep else set()
    hosted = stage.hosted()
    names = {changed.config(version) for version in row.left}
    found = {name for name in hosted["configs"] if not name.endswith("-v2")}
    assert found == names
    assert {name.split("-v")[1] for name in hosted["models"]} == {str(one) for one in {*row.left, *kept}}
    assert hosted["endpoints"] == ([NAME] if row.left else [])


# A run that is cancelled while it waits, and what the caller does then with the pieces that there are.


def cancel(at: str) -> Progress:
    def progress(status: str, stages: tuple[str, ...], seconds: float) -> None:
        if status == at or any(stage.endswith(at) for stage in stages):
            raise Cancelled

    return progress


@pytest.mark.parametrize(
    ("before", "at", "endpoint", "left"),
    [
        (nothing, "Creating", {}, ()),
        (one_live, "Updating", {}, (1,)),
        (one_live, "Baking", SLOWLY, (1,)),
        (one_live, "Updating", ROLLING, (1,)),
    ],
)
def test_a_cancelled_run_leaves_what_was_there_before(
    stage: Stage, before: Act, at: str, endpoint: dict[str, Any], left: tuple[int, ...]
) -> None:
    changed = stage.like(**endpoint)
    before(changed)
    shifted = changed.shift(2)
    with pytest.raises(Cancelled):
        changed.settle(shifted.config, progress=cancel(at))
    given = (changed.target,)
    if shifted.before is None:
        assert removal.take_down(*given, QUICK).outcome == "removed"
    else:
        assert changed.back(shifted.before.config or "").ending is Ending.LIVE
    assert [one.outcome for one in changed.discard(2)][:1] == ["removed"]
    hosted = stage.hosted()
    assert hosted["configs"] == [changed.config(version) for version in left]
    assert [name.split("-v")[1] for name in hosted["models"]] == [str(version) for version in left]
    assert hosted["endpoints"] == ([NAME] if left else [])
    if left:
        assert stage.answers() == set(left)


def test_a_wrong_version_never_stays(stage: Stage) -> None:
    """It is live for a moment; its caller goes back, and nothing of it is left."""
    stage.prove(1)
    shifted = stage.shift(2)
    assert stage.settle(shifted.config).ending is Ending.LIVE
    wrong = [
        Question(
            "text/csv",
            b"6.3,3.3,6.0,2.5\n6.3,3.3,6.0,2.5",
            "application/json",
            "two flowers",
            *expectations.exactly([1, 1]),
        )
    ]
    assert prove(stage.target, stage.releases[2], NAME, wrong).verified is False
    assert shifted.before is not None
    assert shifted.before.version == 1
    assert stage.back(shifted.before.config or "").version == 1
    assert {one.name for one in stage.discard(2)} == {stage.config(2), f"{NAME}-v2"}
    assert stage.answers() == {1}
    assert len(stage.hosted()["configs"]) == 1


# Going back.


def test_going_back_withdraws_the_proof_of_what_is_left(stage: Stage) -> None:
    given = (stage.target,)
    one, two = stage.prove(1), stage.prove(2)
    found = state.previous_config(*given)
    assert found is not None
    assert (found.config, found.version) == (one, 1)
    assert stage.back(one).version == 1
    state.mark_proven(*given, one)
    assert {known.config: bool(known.proven) for known in state.list_configs(*given)} == {
        one: True,
        two: False,
    }
    assert state.previous_config(*given) is None
    with pytest.raises(Failed, match="proved nothing"):
        state.mark_proven(*given, two)
    with pytest.raises(Failed, match=r"no such endpoint config\. It has"):
        shift.roll_back(*given, f"{NAME}-v9-0000", QUICK)
    stage.admin.delete_model(ModelName=f"{NAME}-v2")
    with pytest.raises(Failed, match=r"its model .* is gone"):
        shift.roll_back(*given, two, QUICK)
    assert stage.answers() == {1}


@pytest.mark.parametrize(
    ("arrange", "endpoint", "ending", "version"),
    [
        (healthy, {}, Ending.LIVE, 1),
        (rings, WATCHED, Ending.LIVE, 1),  # the alarms of what is left do not keep the endpoint there
        (fails(kind="no-capacity"), {}, Ending.ROLLED_BACK, 2),
        (fails(kind="unhealthy", silent=True), {}, Ending.ROLLED_BACK, 2),
        (patches, {}, Ending.LIVE, 1),
        (out_of_service, {}, Ending.LIVE, 1),
    ],
)
def test_how_going_back_ends(
    stage: Stage, arrange: Act, endpoint: dict[str, Any], ending: Ending, version: int
) -> None:
    changed = stage.like(**endpoint)
    one, _ = changed.prove(1), changed.prove(2)
    arrange(changed)
    outcome = changed.back(one)
    assert (outcome.ending, outcome.version) == (ending, version), outcome.text
    assert len(stage.hosted()["configs"]) == 2


def test_going_back_from_between_two(stage: Stage) -> None:
    changed = stage.like(**ROLLING)
    stuck(changed)
    assert changed.answers() == {1, 2}
    assert changed.back(changed.config(1)).ending is Ending.LIVE
    assert changed.answers() == {1}


# What stays, and what goes.


def test_retention_keeps_the_last_versions_and_nothing_that_is_live_goes(stage: Stage) -> None:
    few = stage.like(keep_versions=1)
    one, two, three = (few.prove(version) for version in (1, 2, 3))
    larger = few.like(keep_versions=1, instance_count=2)
    four = larger.prove(3)
    assert four != three
    stage.ensure_config(1)  # somebody's own
    outcomes = {found.name: found.outcome for found in larger.retire()}
    assert outcomes == {
        one: "removed",
        two: "kept",
        three: "removed",
        four: "kept",
        f"{NAME}-v1": "kept",  # an endpoint config that is not this endpoint's uses it
        f"{NAME}-v2": "kept",
        f"{NAME}-v3": "kept",
    }
    assert stage.answers() == {2}
    none = stage.like(keep_versions=0)
    assert {
        found.name for found in none.retire() if found.outcome == "removed"
    } == set()  # the previous stays
    live = stage.look()
    assert live is not None
    assert (live.config, live.version, live.instances, live.ours) == (four, 3, 2, True)


def test_retention_touches_nothing_of_others_and_says_what_it_could_not(stage: Stage) -> None:
    stage.prove(1)
    stage.shift(2)
    stage.until(lambda status: status == "InService")
    stage.back(stage.config(1))
    model = {"VariantName": "AllTraffic", "ModelName": f"{NAME}-v1"}
    variant = {**model, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    for name in (f"{NAME}-v1-0000", f"{NAME}-v1-x", "another"):
        stage.admin.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    with denied(stage, "sagemaker:DeleteModel"):
        removals = {found.name: found for found in stage.retire()}
    assert {name: found.outcome for name, found in removals.items()} == {
        stage.config(1): "kept",
        stage.config(2): "removed",
        f"{NAME}-v1": "kept",
        f"{NAME}-v2": "left",
    }
    assert "sagemaker:DeleteModel" in removals[f"{NAME}-v2"].reason
    assert {f"{NAME}-v1-0000", f"{NAME}-v1-x", "another"} <= set(stage.hosted()["configs"])
    assert [found.name for found in stage.retire() if found.outcome == "removed"] == [f"{NAME}-v2"]
    for name in (f"{NAME}-v1-0000", f"{NAME}-v1-x", "another"):
        stage.admin.delete_endpoint_config(EndpointConfigName=name)


def test_what_is_live_is_never_discarded_though_it_never_proved_itself(stage: Stage) -> None:
    config = stage.shift(2).config
    assert {(one.kind, one.outcome) for one in stage.discard(2)} == {
        ("endpoint-config", "kept"),
        ("model", "kept"),
    }
    assert {(one.kind, one.outcome) for one in stage.retire()} == {
        ("endpoint-config", "kept"),
        ("model", "kept"),
    }
    assert stage.answers() == {2}
    assert stage.hosted()["configs"] == [config]
    state.mark_proven(stage.target, config)
    assert stage.move(1).ending is Ending.LIVE
    assert [one.outcome for one in stage.discard(2)] == ["kept", "kept"]  # it proved itself once


def test_a_run_goes_on_with_the_change_that_another_began(stage: Stage) -> None:
    stage.prove(1)
    stage.expect(kind="unhealthy", seconds=2500)
    begun = stage.shift(2)
    found = stage.shift(2)
    assert (begun.action, found.action, found.resources) == ("updated", "in progress", ())
    assert (found.config, found.before and found.before.config) == (begun.config, stage.config(1))
    assert stage.settle(found.config).ending is Ending.ROLLED_BACK
    assert stage.shift(1).action == "nothing"


# A trial before the endpoint is touched.


def test_a_trial_comes_and_goes_even_if_its_run_died(stage: Stage) -> None:
    changed = stage.like(instance_count=4)
    changed.prove(1)
    given = (changed.target,)
    made = temporary.begin_trial(*given, changed.releases[2], QUICK).served
    assert temporary.begin_trial(*given, changed.releases[2], QUICK).served.reused
    creation.wait_in_service(changed.target, made.name, QUICK)
    described = stage.admin.describe_endpoint(EndpointName=made.name)["ProductionVariants"][0]
    assert (made.name, described["CurrentInstanceCount"]) == (f"{NAME}-v2", 1)
    proof = prove(
        changed.target, changed.releases[2], made.name, questions(changed.target, changed.releases[2])
    )
    assert proof.verified
    assert changed.answers() == {1}
    # The run dies here. The next one, of another version, finds what is left.
    removed = {(one.kind, one.name) for one in changed.retire() if one.outcome == "removed"}
    assert removed == {(kind, f"{NAME}-v2") for kind in ("endpoint", "endpoint-config", "model")}
    assert removal.end_trials(*given, QUICK, only=2) == ()


def test_a_trial_that_somebody_keeps_stays(stage: Stage) -> None:
    release_ = stage.releases[2]
    creation.ensure_model(stage.target, release_, keep=True)
    stage.ensure_config(2)
    temporary.begin_trial(stage.target, release_, QUICK)
    assert [one.outcome for one in removal.end_trials(stage.target, QUICK, only=2)] == [
        "removed"
    ]  # its endpoint, not the config
    assert stage.hosted()["configs"] == [f"{NAME}-v2"]


# What an update keeps of the endpoint, and what it does not.


def test_autoscaled_counts_survive_unless_the_config_changed_them(stage: Stage) -> None:
    stage.prove(1)
    scaled = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 3}]
    stage.admin.update_endpoint_weights_and_capacities(EndpointName=NAME, DesiredWeightsAndCapacities=scaled)
    stage.until(lambda status: status == "InService")
    capture = {"s3_uri": "s3://captured/x/", "percent": 10}
    for changed, version, instances, percent in (
        (stage, 2, 3, None),
        (stage.like(data_capture=capture), 2, 3, 10),
        (stage.like(instance_count=2), 2, 2, None),
        (stage.like(instance_count=2, retain_variant_properties=False), 1, 2, None),
    ):
        live = changed.move(version).live
        assert live is not None
        assert live.instances == instances
        shown = stage.admin.describe_endpoint(EndpointName=NAME).get("DataCaptureConfig") or {}
        assert shown.get("CurrentSamplingPercentage") == percent


# What is refused, and that nothing was made then.


def foreign_image(found: Release, image: str) -> Release:
    containers = [one.model_copy(update={"image": image}) for one in found.containers]
    return found.model_copy(update={"containers": containers})


AWS_IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/sklearn:1"
SERVERLESS = {"serverless": {"memory_mb": 1024, "max_concurrency": 1}, "instance_type": None}


def test_what_cannot_be_is_refused_before_anything_is_made(stage: Stage) -> None:
    serverless, watched = (
        stage.like(**SERVERLESS),
        stage.like(deployment={"alarms": ["errors", "none", "nil"]}),
    )
    with pytest.raises(Failed, match=r"no image of another account's registry.*instance_type"):
        serverless.shift(2)
    two = stage.releases[2].containers * 2
    serverless.releases = {
        2: foreign_image(stage.releases[2], AWS_IMAGE).model_copy(update={"containers": two})
    }
    with pytest.raises(Failed, match="has 2 containers"):
        serverless.shift(2)
    with pytest.raises(Failed, match=r"has no CloudWatch alarm none, nil in us-east-1\. Make it"):
        watched.shift(2)
    long = stage.like(name="e" * 50)
    long.releases = {2: stage.releases[2].model_copy(update={"version": 1_000_000})}
    with pytest.raises(InputError, match="longer than 63 characters"):
        long.shift(2)
    assert stage.hosted() == {"endpoints": [], "configs": [], "models": []}


def test_an_endpoint_does_not_change_to_serverless(stage: Stage) -> None:
    stage.prove(1)
    serverless = stage.like(**SERVERLESS)
    serverless.releases = {2: foreign_image(stage.releases[2], AWS_IMAGE)}
    with pytest.raises(
        Failed,
        match=r"is a real-time endpoint, .* a serverless .*cannot be changed back\. Choose another endpoint\.name",
    ):
        serverless.shift(2)
    assert stage.hosted()["models"] == [f"{NAME}-v1"]


def test_what_is_somebody_else_s_is_not_touched(stage: Stage) -> None:
    creation.ensure_model(stage.target, stage.releases[1], keep=True)
    variant = {"VariantName": "AllTraffic", "ModelName": f"{NAME}-v1"}
    variant |= {"InstanceType": "ml.t2.medium", "InitialInstanceCount": 1}
    name = stage.config(1)
    stage.admin.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    with pytest.raises(Conflict, match=f"The endpoint config {name} exists and was not made"):
        stage.shift(1)
    tags = [{"Key": key, "Value": value} for key, value in tag_values(
        stage.releases[1].model_package_arn, keep=True).items()]  # fmt: skip
    arn = stage.admin.describe_endpoint_config(EndpointConfigName=name)["EndpointConfigArn"]
    stage.admin.add_tags(ResourceArn=arn, Tags=tags)
    with pytest.raises(
        Conflict, match=r"InstanceType ml\.t2\.medium, not ml\.m5\.large"
    ):  # ours by its tags, and of another capacity
        stage.shift(1)
    stage.admin.create_endpoint(EndpointName=NAME, EndpointConfigName=name)
    given = (stage.target,)
    for call in (
        lambda: stage.shift(1),
        lambda: stage.discard(1),
        stage.retire,
        lambda: removal.take_down(*given, QUICK),
        lambda: shift.roll_back(*given, name, QUICK),
    ):
        with pytest.raises(Conflict, match="was not made by this tool"):
            call()
    assert stage.hosted()["endpoints"] == [NAME]
    stage.clear()


def test_a_model_with_other_settings_is_a_conflict(stage: Stage) -> None:
    creation.ensure_model(stage.target, stage.releases[1], keep=True)
    vpc = {"security_group_ids": ["sg-1"], "subnet_ids": ["subnet-1"]}
    for changed, words in (
        (stage.like(network_isolation=True), "EnableNetworkIsolation .*, not True"),
        (stage.like(vpc=vpc), r"VpcConfig.SecurityGroupIds none, not \['sg-1'\]"),
    ):
        with pytest.raises(Conflict, match=words):
            changed.shift(1)
    assert stage.hosted()["configs"] == []


def test_an_endpoint_that_lost_its_config_cannot_be_updated(stage: Stage) -> None:
    name = stage.prove(1)
    stage.admin.delete_endpoint_config(EndpointConfigName=name)
    with pytest.raises(Failed, match=f"the endpoint config {name} was deleted"):
        stage.shift(2)
    live = stage.look()
    assert live is not None
    assert (live.version, live.config) == (None, name)
    assert stage.answers() == {1}


def test_what_aws_does_while_it_is_waited_for(stage: Stage) -> None:
    given = (stage.target,)
    config = stage.prove(1)
    short = replace(QUICK, seconds=0.05)
    for status, ending, words in (
        ("SystemUpdating", Ending.SYSTEM_UPDATING, "version 1 is live. Run this again later"),
        ("OutOfService", Ending.OUT_OF_SERVICE, "answers nothing"),
    ):
        stage.server.outcomes.hold(status, accounts.STAGING.id, NAME, 500_000)
        outcome = stage.settle(config, patience=short)
        assert outcome.ending is ending
        assert words in outcome.text
    stage.server.outcomes.hold("SystemUpdating", accounts.STAGING.id, NAME, 500_000)
    with pytest.raises(Failed, match="is still SystemUpdating after 0 s"):
        stage.shift(2, patience=short)
    assert [one.outcome for one in (removal.take_down(*given, short),)] == ["left"]
    stage.server.outcomes.release(accounts.STAGING.id, NAME)
    stage.admin.delete_endpoint(EndpointName=NAME)
    outcome = stage.settle(config)
    assert (outcome.ending, outcome.live, outcome.version) == (Ending.GONE, None, None)
    with pytest.raises(NotLive, match="someone deleted it"):
        accepted(outcome)


# Permissions: every call is one that the template grants, and no wider.


@contextmanager
def denied(
    stage: Stage, *actions: str, role: str = "deployer", prefix: str = "crossaccount"
) -> Iterator[None]:
    iam, name = stage.clients["iam"], {"RoleName": f"{prefix}-{role}", "PolicyName": "denied"}
    statement = {"Effect": "Deny", "Action": list(actions), "Resource": "*"}
    iam.put_role_policy(
        **name, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    try:
        yield
    finally:
        iam.delete_role_policy(**name)


def test_each_action_is_needed(stage: Stage) -> None:
    given = (stage.target,)
    needs: list[tuple[str, Callable[[], Any]]] = [
        ("sagemaker:DescribeEndpoint", stage.look),
        ("sagemaker:CreateModel", lambda: stage.shift(1)),
        ("sagemaker:CreateEndpointConfig", lambda: stage.shift(1)),
        ("sagemaker:CreateEndpoint", lambda: stage.shift(1)),
        ("sagemaker:AddTags", lambda: stage.shift(1)),
        ("cloudwatch:DescribeAlarms", lambda: stage.like(**WATCHED).shift(1)),
        ("sagemaker:ListEndpointConfigs", stage.retire),
        ("sagemaker:ListModels", stage.retire),
    ]
    later: list[tuple[str, Callable[[], Any]]] = [
        ("sagemaker:DescribeModel", lambda: stage.shift(1)),
        ("sagemaker:DescribeEndpointConfig", lambda: stage.shift(1)),
        ("sagemaker:UpdateEndpoint", lambda: stage.shift(2)),
        ("sagemaker:ListTags", stage.look),
        ("sagemaker:AddTags", lambda: state.mark_proven(*given, stage.config(1))),
        ("sagemaker:DeleteTags", lambda: shift.roll_back(*given, stage.config(2), QUICK)),
        (
            "sagemaker:InvokeEndpoint",
            lambda: ask(stage.target, NAME, [*map(of_sample, stage.releases[1].samples)]),
        ),
    ]
    for action, call in needs:
        with denied(stage, action), pytest.raises(ClientError, match=action):
            call()
    stage.move(1)
    for action, call in later:
        with denied(stage, action), pytest.raises(ClientError, match=action):
            call()
    assert stage.answers() == {1}


def test_the_execution_role_must_see_the_alarms(stage: Stage) -> None:
    changed = stage.like(**WATCHED)
    changed.prove(1)
    with denied(stage, "cloudwatch:DescribeAlarms", role="execution"):
        outcome = changed.move(2)
    assert outcome.ending is Ending.ROLLED_BACK
    assert "cloudwatch:DescribeAlarms" in outcome.text


@pytest.mark.parametrize(
    "name", ["decision-trees-stagin", "decision-trees-staging2", "decision-trees-staging-x", "other"]
)
def test_the_deployer_moves_no_other_endpoint(stage: Stage, name: str) -> None:
    sm = stage.session.client("sagemaker")
    calls: list[Callable[[], Any]] = [
        lambda: sm.describe_endpoint(EndpointName=name),
        lambda: sm.update_endpoint(EndpointName=name, EndpointConfigName=f"{NAME}-v1-0000"),
        lambda: sm.update_endpoint(EndpointName=NAME, EndpointConfigName=f"{name}-v1-0000"),
        lambda: sm.delete_endpoint(EndpointName=name),
        lambda: sm.delete_endpoint_config(EndpointConfigName=f"{name}-v1-0000"),
        lambda: sm.delete_model(ModelName=f"{name}-v1"),
    ]
    for call in calls:
        with pytest.raises(ClientError, match="AccessDenied"):
            call()


@dataclass
class Throttled:
    """A sandbox behind an AWS that has had enough, for some calls."""

    application: Any
    operation: str
    times: int

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if self.times and environ.get("HTTP_X_AMZ_TARGET") == f"SageMaker.{self.operation}":
            self.times -= 1
            body = json.dumps({"__type": "ThrottlingException", "message": "Rate exceeded"}).encode()
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response("400 Bad Request", [("Content-Length", str(len(body)))])
            return [body]
        return self.application(environ, start_response)


def test_what_aws_throttles_is_asked_again(stage: Stage) -> None:
    http: Any = stage.server._http
    before, http.app = http.app, Throttled(http.app, "DescribeEndpoint", 2)
    try:
        assert stage.look() is None
        assert http.app.times == 0
    finally:
        http.app = before


# The pure parts.


def test_every_status_of_aws_has_a_meaning(whole: Stage) -> None:
    known = whole.admin.meta.service_model.shape_for("EndpointStatus").enum
    endings = {
        status: shift.ending_of({"EndpointStatus": status, "EndpointConfigName": "asked"}, "asked")
        for status in [*known, "Hibernating"]
    }
    waiting = dict.fromkeys((*IN_PROGRESS, "Hibernating"))
    assert endings == {
        **waiting,
        "InService": Ending.LIVE,
        "Failed": Ending.CREATION_FAILED,
        "OutOfService": Ending.OUT_OF_SERVICE,
        "UpdateRollbackFailed": Ending.ROLLBACK_FAILED,
    }
    assert shift.ending_of(None, "asked") is Ending.GONE


@pytest.mark.parametrize(
    ("seen", "sure"),
    [
        ([None], False),
        ([Ending.LIVE], True),
        ([Ending.ROLLED_BACK], False),  # what was there before the call, perhaps
        ([Ending.ROLLED_BACK] * 2, False),
        ([Ending.ROLLED_BACK] * 3, True),
        ([None, Ending.ROLLED_BACK], True),
        ([Ending.CREATION_FAILED], False),
        ([None, Ending.CREATION_FAILED], True),
        ([Ending.GONE], False),  # not to be seen yet, perhaps
        ([None, Ending.GONE], False),
        ([None, Ending.GONE, Ending.GONE, Ending.GONE], True),
        ([Ending.GONE, None, Ending.GONE, Ending.GONE], False),
        ([Ending.GONE, Ending.GONE, None], False),
    ],
)
def test_what_lags_behind_is_not_believed_at_once(seen: list[Ending | None], sure: bool) -> None:
    assert shift.is_sure(seen) is sure


def test_another_capacity_is_another_config(whole: Stage) -> None:
    capture = {"s3_uri": "s3://captured/x/", "percent": 10}
    says = [
        {},
        {"instance_count": 2},
        {"instance_type": "ml.m5.xlarge"},
        {"kms_key": "k"},
        {"data_capture": capture},
    ]
    names = [whole.like(**one).config(2) for one in [*says, SERVERLESS]]
    assert len(set(names)) == len(names)
    for same in ({}, CANARY, {"keep_versions": 7}, {"retain_variant_properties": False}):
        assert whole.like(**same).config(2) == names[0]
    assert all(re.fullmatch(rf"{NAME}-v2-[0-9a-f]{{4}}", name) for name in names)


# What a config may ask for beside: the template grants it when it is told to.


KEYED = {
    "name": "second",
    "vpc": {"security_group_ids": ["sg-1"], "subnet_ids": ["subnet-1"]},
    "network_isolation": True,
    "data_capture": {"s3_uri": "s3://staging-calls/captured/", "percent": 10},
}
FLOWERS = {"content_type": "text/csv", "expect": [1, 1]}


@pytest.fixture(scope="module")
def second(whole: Stage) -> Stage:
    """A second stack in the account, told of a key, a VPC, a place for captured calls and one for questions."""
    iam, s3 = whole.clients["iam"], whole.clients["s3"]
    cloudformation, kms = (whole.clients[name] for name in ("cloudformation", "kms"))
    key = kms.create_key(Description="of instances")["KeyMetadata"]["Arn"]
    head = whole.clients["producer"].head_object(
        Bucket=accounts.BUCKET, Key=f"{accounts.ARTIFACTS}2/model.tar.gz"
    )
    given = {
        "NamePrefix": "second",
        "ProducerAccount": accounts.PRODUCER.id,
        "ModelPackageGroupName": accounts.GROUP,
        "ArtifactBucket": accounts.BUCKET,
        "ArtifactPrefix": accounts.ARTIFACTS,
        "ReleasesBucket": accounts.BUCKET,
        "ReleasesPrefix": accounts.RELEASES,
        "RepositoryName": accounts.REPOSITORY,
        "KeyArn": head["SSEKMSKeyId"],
        "EndpointName": "second",
        "ExternalId": "second",
        "EndpointKeyArn": key,
        "CaptureLocation": "staging-calls/captured/",
        "SmokeObjects": "staging-calls/smoke/",
        "InVpc": "true",
    }
    cloudformation.create_stack(
        StackName="second",
        TemplateBody=(TEMPLATES / "consumer.yaml").read_text(),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    policy = f"arn:aws:iam::{accounts.STAGING.id}:policy/second-consumer-operator"
    iam.attach_user_policy(UserName="operator", PolicyArn=policy)
    s3.create_bucket(Bucket="staging-calls")
    s3.put_object(Bucket="staging-calls", Key="smoke/flower.csv", Body=b"6.3,3.3,6.0,2.5\n6.3,3.3,6.0,2.5")
    s3.put_object(Bucket="staging-calls", Key="smoke/large.csv", Body=b"1" * (BODY_LIMIT + 1))
    whole.clients["producer"].create_bucket(Bucket="producer-calls")
    roles = {name: f"arn:aws:iam::{accounts.STAGING.id}:role/second-{role}" for name, role in
             (("role", "deployer"), ("execution_role", "execution"))}  # fmt: skip
    question = {**FLOWERS, "body_s3_uri": "s3://staging-calls/smoke/flower.csv"}
    text = document({**KEYED, "kms_key": key}, **roles, external_id="second", smoke=[question])
    sharing = parse_config(text)
    consumer = sharing.consumers["staging"]
    session = sessions.consumer_session(sharing, "staging", consumer)
    return replace(whole, sharing=sharing, consumer=consumer, session=session)


def test_an_endpoint_with_everything_a_config_may_ask_for(stage: Stage, second: Stage) -> None:
    with (
        denied(stage, "kms:CreateGrant", prefix="second"),
        pytest.raises(ClientError, match="kms:CreateGrant"),
    ):
        second.shift(1)
    outcome = second.move(1)
    assert outcome.ending is Ending.LIVE, outcome.text
    model = stage.admin.describe_model(ModelName="second-v1")
    assert model["EnableNetworkIsolation"] is True
    assert model["VpcConfig"] == {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
    config = stage.admin.describe_endpoint_config(EndpointConfigName=outcome.config)
    assert config["KmsKeyId"] == second.consumer.endpoint.kms_key
    assert config["DataCaptureConfig"]["DestinationS3Uri"] == "s3://staging-calls/captured/"
    asked = questions(second.target, second.releases[1])
    assert [one.shown for one in asked] == ["s3://staging-calls/smoke/flower.csv"]
    for limits, ok in (({"p50_ms": 60_000}, True), ({"p95_ms": 0.001}, False)):
        timed = second.consumer.model_copy(update={"latency": Latency(calls=3, **limits)})
        proof = prove(replace(second.target, consumer=timed), second.releases[1], "second", asked)
        assert (proof.verified, proof.speed is not None and proof.speed.calls) == (ok, 3)
        assert ("SLOW" in proofs.text(proof, ())) is not ok
        assert ("Too slow" in proofs.markdown(proof)) is not ok
    assert removal.take_down(second.target, QUICK).outcome == "removed"
    assert {one.outcome for one in second.discard(1)} == {"removed"}


@pytest.mark.parametrize(
    ("uri", "error", "words"),
    [
        ("s3://staging-calls/smoke/large.csv", Failed, "is larger than the 6291456 bytes"),
        (f"s3://{accounts.BUCKET}/{accounts.ARTIFACTS}none.csv", Failed, "is missing"),
        # Who may not list a bucket is not told that an object is missing.
        ("s3://staging-calls/smoke/none.csv", ClientError, "AccessDenied"),
        ("s3://staging-calls/captured/a", ClientError, "AccessDenied"),
    ],
)
def test_a_question_that_cannot_be_read(second: Stage, uri: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        read_body(second.target, uri, (accounts.STAGING.id, accounts.PRODUCER.id))


def test_a_question_of_nobody_known_is_not_asked(second: Stage) -> None:
    uri = "s3://staging-calls/smoke/flower.csv"
    assert (
        read_body(second.target, uri, (accounts.PRODUCER.id, accounts.STAGING.id))
        == b"6.3,3.3,6.0,2.5\n6.3,3.3,6.0,2.5"
    )
    for owners in ((accounts.PRODUCER.id,), ("999999999999", accounts.PRODUCER.id)):
        with pytest.raises(ClientError, match="AccessDenied"):
            read_body(second.target, uri, owners)


@pytest.mark.parametrize(
    ("role", "action", "resource", "may"),
    [
        ("second-execution", "s3:PutObject", "arn:aws:s3:::staging-calls/captured/a", True),
        ("second-execution", "s3:PutObject", "arn:aws:s3:::staging-calls/smoke/a", False),
        ("second-execution", "ec2:CreateNetworkInterface", "*", True),
        ("crossaccount-execution", "s3:PutObject", "arn:aws:s3:::staging-calls/captured/a", False),
        ("crossaccount-execution", "ec2:CreateNetworkInterface", "*", False),
        ("second-deployer", "s3:GetObject", "arn:aws:s3:::staging-calls/captured/a", False),
        ("crossaccount-deployer", "s3:GetObject", "arn:aws:s3:::staging-calls/smoke/flower.csv", False),
    ],
)
def test_the_template_grants_what_it_is_told_to(
    second: Stage, role: str, action: str, resource: str, may: bool
) -> None:
    answer = second.clients["iam"].simulate_principal_policy(
        PolicySourceArn=f"arn:aws:iam::{accounts.STAGING.id}:role/{role}",
        ActionNames=[action],
        ResourceArns=[resource],
    )
    assert (answer["EvaluationResults"][0]["EvalDecision"] == "allowed") is may
