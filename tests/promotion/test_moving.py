"""What becomes of one consumer when a version is promoted to it: right, wrong, rolled back, stopped, or longer than a session.

Version 4 answers like version 1, and its producer recorded the answers of version 2: it is the wrong one here. The sandbox,
botocore's signer and botocore's credentials share one clock that a test can turn on.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.credentials import DeferredRefreshableCredentials
from botocore.exceptions import ClientError

from crossaccount.aws import sessions
from crossaccount.aws.access import Producer, Target, open_producer
from crossaccount.aws.endpoint_status import IN_PROGRESS
from crossaccount.config.loading import parse_config
from crossaccount.config.model import ConsumerConfig, Sharing
from crossaccount.errors import ConfigError, Conflict
from crossaccount.hosting import requests, shift, state
from crossaccount.hosting.gateway import Patience
from crossaccount.hosting.outcome import Ending
from crossaccount.hosting.resources import OWNER, OWNER_TAG, PACKAGE_TAG
from crossaccount.hosting.state import LiveEndpoint, VersionConfig
from crossaccount.promotion import moving, records
from crossaccount.promotion.outcome import ConsumerOutcome, Result
from crossaccount.promotion.records import Record
from crossaccount.release import store
from crossaccount.release.manifest import Release
from crossaccount.sharing import apply, gather, publish
from crossaccount.sharing.plan import plan_share
from crossaccount_sandbox import accounts
from crossaccount_sandbox.sagemaker.outcomes import Outcome
from crossaccount_sandbox.server import Server
from crossaccount_sandbox.training import train

TEMPLATES = Path(__file__).parents[2] / "deployments" / "iam"
NAME = "decision-trees-staging"
PLACE = (accounts.STAGING.id, accounts.REGION)
QUICK = Patience(seconds=10, first=0.02, longest=0.2)
ROLE = "arn:aws:iam::{}:role/crossaccount-{}"
WRONG = 4
SHOWN = "expected [2, 1], got [1, 1]"
CANARY = {"type": "canary", "canary_percent": 50, "wait_seconds": 800}  # long enough to be seen
ROLLING = {"instance_count": 4, "deployment": {"type": "rolling", "batch_percent": 25}}


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


class Clock:
    """A clock that a test can turn on; never back, as sessions that were made ahead of it would last too long."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Log:
    """The sandbox's call log, and with each call the endpoint configs that the endpoint serves or moves to then."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.server: Server | None = None

    def __call__(self, entry: dict[str, Any]) -> None:
        found = self.server.hosting.find(PLACE, NAME) if self.server else None
        pending = (found or {}).get("PendingDeploymentSummary") or {}
        used = [one["EndpointConfigName"] for one in (found or {}, pending) if "EndpointConfigName" in one]
        self.calls.append({**entry, "used": used})

    def of(self, *begin: str) -> list[str]:
        """The operations called that begin so, with their resources' names."""
        calls = [one for one in self.calls if str(one["operation"]).startswith(begin)]
        return [f"{one['operation']} {str(one['resource']).rpartition('/')[2]}" for one in calls]


@dataclass
class Stage:
    """A consumer's account in which anything may happen, and the releases of six versions."""

    server: Server
    clock: Clock
    log: Log
    session: boto3.Session
    admin: Any
    clients: dict[str, Any]
    producer: Producer
    sharing: Sharing
    consumer: ConsumerConfig
    releases: dict[int, Release] = field(default_factory=dict)

    def like(self, mode: str = "both", **endpoint: Any) -> Stage:
        """The same account under a config that says something else."""
        sharing = parse_config(document(endpoint, smoke_mode=mode))
        return replace(self, sharing=sharing, consumer=sharing.consumers["staging"])

    def promote(
        self,
        version: int,
        report: Callable[[str], None] = lambda line: None,
        patience: Patience = QUICK,
        session: Any = None,
    ) -> ConsumerOutcome:
        target = replace(self.target, session=session or self.session)
        return moving.promote(target, self.releases[version], patience, moving.Run(report))

    def go_back(self, to: VersionConfig | None) -> ConsumerOutcome:
        assert to is not None
        return moving.go_back(self.target, to, self.releases[to.version], QUICK)

    def expect(self, name: str = NAME, **outcome: Any) -> None:
        self.server.outcomes.next_endpoint(Outcome(**outcome), accounts.STAGING.id, name)

    @property
    def target(self) -> Target:
        return Target(self.sharing, "staging", self.consumer, self.session)

    def look(self) -> LiveEndpoint | None:
        return state.look(self.target)

    def shift(self, version: int) -> str:
        """Begin to move to a version, and die."""
        return shift.shift(self.target, self.releases[version], QUICK).config

    def arrive(self, version: int) -> str:
        """Move to a version, and die before it is asked anything."""
        config = self.shift(version)
        outcome = shift.settle(self.target, config, QUICK)
        assert outcome.ending is Ending.LIVE, outcome.text
        return config

    def prove(self, version: int) -> str:
        """Move to a version that is said to have proved itself; its endpoint config."""
        config = self.arrive(version)
        state.mark_proven(self.target, config)
        return config

    def previous(self) -> VersionConfig | None:
        return state.previous_config(self.target)

    def config(self, version: int) -> str:
        return requests.config_name(self.consumer, self.releases[version])

    def answers(self) -> set[int]:
        """What the endpoint takes a flower for: 1 with versions 1 and 4, 2 with the others."""
        asked = {
            "ContentType": "text/csv",
            "Accept": "application/json",
            "Body": "6.3,3.3,6.0,2.5\n6.3,3.3,6.0,2.5",
        }
        found = [self.clients["runtime"].invoke_endpoint(EndpointName=NAME, **asked) for _ in range(4)]
        return {json.load(one["Body"])[0] for one in found}

    def arns(self) -> dict[str, str]:
        """Everything that the account hosts: its ARN, by its kind and name."""
        sm = self.admin
        listed = [
            ("endpoint", one["EndpointName"], one["EndpointArn"]) for one in sm.list_endpoints()["Endpoints"]
        ]
        listed += [
            ("config", one["EndpointConfigName"], one["EndpointConfigArn"])
            for one in sm.list_endpoint_configs()["EndpointConfigs"]
        ]
        listed += [("model", one["ModelName"], one["ModelArn"]) for one in sm.list_models()["Models"]]
        return {f"{kind} {name}": arn for kind, name, arn in listed}

    def versions(self) -> dict[str, str]:
        """Everything that the account hosts: the version that its tag names, by its kind and name."""
        found = {}
        for name, arn in self.arns().items():
            tags = {one["Key"]: one["Value"] for one in self.admin.list_tags(ResourceArn=arn)["Tags"]}
            assert tags[OWNER_TAG] == OWNER
            found[name] = tags[PACKAGE_TAG].rpartition("/")[2]
        return found

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
        for name in self.arns():
            kind, _, name = name.partition(" ")
            if kind == "config":
                self.admin.delete_endpoint_config(EndpointConfigName=name)
            else:
                self.admin.delete_model(ModelName=name)
        self.log.calls.clear()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    clock, log = Clock(), Log()
    two = [accounts.PRODUCER, accounts.STAGING]
    server = Server(two, endpoint_seconds=0.02, speed=5000, clock=clock, log=log)
    log.server = server
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        _share_clock(patch, clock)
        residents = accounts.settle(server.url, TEMPLATES, two)
        keys = tmp_path_factory.mktemp("aws") / "credentials"
        keys.write_text(
            "".join(
                f"[{name}]\naws_access_key_id={key.access_key_id}\naws_secret_access_key={key.secret_access_key}\n"
                for name, key in residents.operators.items()
            )
        )
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
        patch.setattr("crossaccount.hosting.gateway.FIRST_SECONDS", 0.02)
        yield _staged(server, clock, log, residents.administrators)
    server.stop()


def _share_clock(patch: pytest.MonkeyPatch, clock: Clock) -> None:
    """The sandbox's clock for what signs requests, for what says until when a session lasts, and for what renews it then."""
    for name in ("botocore.auth.get_current_datetime", "moto.sts.models.utcnow"):
        patch.setattr(name, lambda: clock().replace(tzinfo=None))
    patch.setattr("botocore.credentials._local_now", clock)
    patch.setattr(DeferredRefreshableCredentials.__init__, "__defaults__", (clock,))


def _staged(server: Server, clock: Clock, log: Log, administrators: dict[str, accounts.Credentials]) -> Stage:
    def client(account: str, service: str) -> Any:
        key = administrators[account]
        session: Any = boto3.session.Session(
            key.access_key_id, key.secret_access_key, region_name=accounts.REGION
        )
        return session.client(service, endpoint_url=server.url)

    _register(client("producer", "s3"), client("producer", "sagemaker"))
    clients = {
        "runtime": client("staging", "sagemaker-runtime"),
        "cloudwatch": client("staging", "cloudwatch"),
        "iam": client("staging", "iam"),
        "s3": client("staging", "s3"),
        "producer": client("producer", "s3"),
        "registry": client("producer", "sagemaker"),
    }
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
    sharing = parse_config(document({}))
    producer = open_producer(sharing)
    found = gather.gather(producer)
    plan = plan_share(sharing, found)
    prepared = [publish.prepare(producer, one, found, plan)[0] for one in found.versions]
    apply.apply(producer, plan, lambda line: None)
    published = {one.version: publish.publish(producer, one) for one in prepared}
    consumer = sharing.consumers["staging"]
    session = sessions.consumer_session(sharing, "staging", consumer)
    admin = client("staging", "sagemaker")
    return Stage(server, clock, log, session, admin, clients, producer, sharing, consumer, published)


def _register(s3: Any, registry: Any) -> None:
    """Approve version 3, and add versions 4, the wrong one, 5 and 6."""
    third = f"arn:aws:sagemaker:us-east-1:{accounts.PRODUCER.id}:model-package/{accounts.GROUP}/3"
    registry.update_model_package(ModelPackageArn=third, ModelApprovalStatus="Approved")
    spec = registry.describe_model_package(ModelPackageName=third)["InferenceSpecification"]
    image = spec["Containers"][0]["Image"]
    recorded = {WRONG: (train(1), train(2)), 5: (train(5), train(5)), 6: (train(6), train(6))}
    for version, (model, samples) in recorded.items():
        folder = f"{accounts.ARTIFACTS}{version}/"
        s3.put_object(Bucket=accounts.BUCKET, Key=f"{folder}model.tar.gz", Body=model.archive)
        s3.put_object(Bucket=accounts.BUCKET, Key=f"{folder}samples.tar.gz", Body=samples.samples)
        where = f"s3://{accounts.BUCKET}/{folder}"
        container = {"Image": image, "ModelDataUrl": f"{where}model.tar.gz"}
        made = registry.create_model_package(
            ModelPackageGroupName=accounts.GROUP,
            ModelApprovalStatus="Approved",
            SamplePayloadUrl=f"{where}samples.tar.gz",
            InferenceSpecification={**spec, "Containers": [container]},
        )
        assert made["ModelPackageArn"].endswith(f"/{version}")


@pytest.fixture
def stage(whole: Stage) -> Iterator[Stage]:
    whole.clear()
    yield whole
    used = [
        one for one in whole.log.calls if one["operation"] == "DeleteEndpointConfig" and one["status"] == 200
    ]
    assert not [one for one in used if str(one["resource"]).rpartition("/")[2] in one["used"]]


Act = Callable[[Stage], Any]


def nothing(stage: Stage) -> None:
    """No endpoint yet."""


# A version that answers otherwise than its producer recorded.


def proven(stage: Stage) -> str:
    return stage.prove(2)


def other_capacity(stage: Stage) -> str:
    return stage.like(instance_count=2).prove(WRONG)


def died_while_creating(stage: Stage) -> None:
    stage.shift(WRONG)


def died_while_shifting(stage: Stage) -> str:
    config = stage.prove(2)
    stage.like(deployment=CANARY).shift(WRONG)
    return config


def died_after_the_shift(stage: Stage) -> str:
    config = stage.prove(2)
    stage.arrive(WRONG)
    return config


MODES = ("before", "after", "both")
FOUND = (nothing, proven, other_capacity, died_while_shifting)
WRONGS = [
    *((mode, before) for mode in MODES for before in FOUND),
    ("before", died_while_creating),
    ("after", died_while_creating),
    ("before", died_after_the_shift),
]


@pytest.mark.parametrize(("mode", "before"), WRONGS)
def test_a_wrong_version_is_never_live_at_the_end(stage: Stage, mode: str, before: Act) -> None:
    earlier = before(stage)
    found = stage.like(mode).promote(WRONG)
    assert (found.result, found.version, found.left) == (Result.FAILED, WRONG, ()), found.text
    assert SHOWN in found.text
    version = None if earlier is None else int(earlier.split("-v")[1].split("-")[0])
    assert found.live == version
    left = [f"endpoint {NAME}", f"config {earlier}", f"model {NAME}-v{version}"] if earlier else []
    assert stage.versions() == dict.fromkeys(left, str(version))
    live = stage.look()
    assert (live and (live.config, live.version)) == (earlier and (earlier, version))
    if before is not other_capacity and earlier:
        assert stage.answers() == {2}
    untouched = mode != "after" and before in (nothing, proven, other_capacity)
    assert ("was not touched" in found.text) is untouched


def test_wrong_answers_are_told_though_the_way_back_is_barred(stage: Stage) -> None:
    """AWS has no room for the version before, or its model is gone: then the wrong one is live, and the text says so."""
    for arrange, why in (
        (lambda: (stage.expect(), stage.expect(kind="no-capacity")), "InsufficientInstanceCapacity"),
        (lambda: stage.admin.delete_model(ModelName=f"{NAME}-v2"), f"its model {NAME}-v2 is gone"),
    ):
        stage.clear()
        stage.prove(2)
        arrange()
        found = stage.like("after").promote(WRONG)
        assert (found.result, found.live) == (Result.FAILED, WRONG)
        for word in (SHOWN, "It could not be rolled back: ", why):
            assert word in found.text


def test_a_trial_that_cannot_be_removed_is_reported(stage: Stage) -> None:
    """And hides neither the wrong answers nor what ended the run."""
    iam, name = stage.clients["iam"], {"RoleName": "crossaccount-deployer", "PolicyName": "denied"}
    denial = {"Effect": "Deny", "Action": "sagemaker:DeleteEndpoint", "Resource": "*"}
    iam.put_role_policy(**name, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [denial]}))
    try:
        found = stage.like("before").promote(WRONG)
        assert (found.result, found.refused, found.live) == (Result.FAILED, False, None)
        assert SHOWN in found.text
        assert found.left == (f"endpoint {NAME}-v{WRONG}",)
        assert "sagemaker:DeleteEndpoint" in found.removals[0].reason
        with pytest.raises(Stopped):
            stage.like("before").promote(WRONG, report=Stopping(1))
    finally:
        iam.delete_role_policy(**name)


# A right version.

READS = ("Describe", "List", "Get", "Head", "Invoke", "Assume", "Simulate")


def test_a_right_version_is_promoted_once(stage: Stage) -> None:
    first = stage.like().promote(2)
    assert (first.result, first.before, first.live, first.left) == (Result.PROMOTED, None, 2, ())
    assert [proof.endpoint for proof in first.proofs] == [f"{NAME}-v2", NAME]
    assert stage.answers() == {2}
    stage.log.calls.clear()
    again = stage.like().promote(2)
    assert (again.result, again.before, again.live, again.proofs) == (Result.UNCHANGED, 2, 2, ())
    called = stage.log.of("")
    assert called
    assert [call for call in called if not call.startswith(READS)] == []
    assert [call for call in called if call.startswith("Invoke")] == []


@pytest.mark.parametrize(
    ("capacity", "mode", "asked"),
    [({"instance_count": 2}, "after", [NAME]), ({"instance_count": 2}, "before", [f"{NAME}-v2"])],
)
def test_another_capacity_is_promoted_too(
    stage: Stage, capacity: dict[str, Any], mode: str, asked: list[str]
) -> None:
    stage.prove(2)
    found = stage.like(mode, **capacity).promote(2)
    assert (found.result, found.before, found.live) == (Result.PROMOTED, 2, 2)
    assert [proof.endpoint for proof in found.proofs] == asked
    live = stage.look()
    assert live is not None
    assert (live.instances, bool(live.proven)) == (2, True)


@pytest.mark.parametrize(("keep", "left"), [(0, (5, 6)), (1, (5, 6)), (2, (3, 5, 6))])
def test_what_is_left_after_five_promotions(stage: Stage, keep: int, left: tuple[int, ...]) -> None:
    changed = stage.like("after", keep_versions=keep)
    for version in (1, 2, 3, 5, 6):
        assert changed.promote(version).result is Result.PROMOTED
    names = {f"endpoint {NAME}": "6"}
    names |= {f"config {stage.config(version)}": str(version) for version in left}
    assert stage.versions() == names | {f"model {NAME}-v{version}": str(version) for version in left}


# What AWS does instead.


@dataclass(frozen=True)
class Row:
    """What is there before, what AWS does; then the live version, what is left beside the endpoint, and what is said."""

    says: str
    before: Act
    aws: Act
    live: int | None
    left: tuple[int, ...]
    words: tuple[str, ...]
    mode: str = "after"
    endpoint: dict[str, Any] = field(default_factory=dict)
    seconds: float = 10
    on_baking: str = "OK"


def healthy(stage: Stage) -> None:
    """All goes well."""


def one_live(stage: Stage) -> None:
    stage.prove(1)


def fails(name: str = NAME, **outcome: Any) -> Act:
    return lambda stage: stage.expect(name, **outcome)


def patches(stage: Stage) -> None:
    stage.server.outcomes.hold("SystemUpdating", accounts.STAGING.id, NAME, 500_000)


def out_of_service(stage: Stage) -> None:
    stage.server.outcomes.hold("OutOfService", accounts.STAGING.id, NAME, 500_000)
    stage.expect(kind="no-capacity")


# It bakes for long: the alarm ends it.
WATCHED = {"deployment": {**CANARY, "wait_seconds": 3600, "alarms": ["errors"]}}
PING, FULL = "did not pass the ping health check", "InsufficientInstanceCapacity"
BACK = "version 1 is live"

ROWS = [
    Row("an alarm rings while it bakes", one_live, healthy, 1, (1,), (BACK, "errors were in ALARM"), endpoint=WATCHED,
        on_baking="ALARM"),
    Row("an alarm rings, after a trial", one_live, healthy, 1, (1,), (BACK, "errors were in ALARM"), "both", WATCHED,
        on_baking="ALARM"),
    Row("no capacity", one_live, fails(kind="no-capacity"), 1, (1,), (BACK, FULL)),
    Row("never healthy", one_live, fails(kind="unhealthy"), 1, (1,), (BACK, PING)),
    Row("silent", one_live, fails(kind="unhealthy", silent=True), 1, (1,), (BACK, "AWS gives no reason")),
    Row("the rollback fails", one_live, fails(kind="unhealthy", batch=1, rollback_fails=True), None, (1, 2),
        ("serves a mix of both", PING, "Roll it back"), endpoint=ROLLING),
    Row("AWS patches it", one_live, patches, 1, (1,), ("SystemUpdating", "Run this again later"), seconds=0.1),
    Row("still updating", one_live, fails(kind="unhealthy", seconds=2000), 1, (1, 2), ("still Updating", "version 1 still"),
        seconds=0.1),
    Row("the creation fails", nothing, fails(kind="unhealthy"), None, (), ("is Failed and serves nothing", PING)),
    Row("still creating", nothing, fails(kind="unhealthy", seconds=2000), None, (2,), ("still Creating", "serves nothing"),
        seconds=0.1),
    Row("over the limit", nothing, fails(kind="over-limit"), None, (), ("ResourceLimitExceeded",)),
    Row("the trial fails", one_live, fails(f"{NAME}-v2", kind="unhealthy"), 1, (1,), (f"{NAME}-v2", PING), "both"),
    Row("no room for a trial", one_live, fails(f"{NAME}-v2", kind="over-limit"), 1, (1,), ("ResourceLimitExceeded",), "before"),
    Row("it answers nothing, and cannot be moved", one_live, out_of_service, 1, (1,), (FULL, BACK)),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[row.says for row in ROWS])
def test_what_does_not_come_about_is_told_and_cleared_away(stage: Stage, row: Row) -> None:
    changed = stage.like(row.mode, **row.endpoint)
    row.before(changed)
    row.aws(changed)

    def tell(text: str) -> None:
        if "Baking" in text:
            stage.alarm(row.on_baking)

    found = changed.promote(2, patience=replace(QUICK, seconds=row.seconds), report=tell)
    assert (found.result, found.live, found.refused) == (Result.FAILED, row.live, False), found.text
    for word in row.words:
        assert word in found.text
    names = [f"config {changed.config(version)}" for version in row.left]
    names += [f"model {NAME}-v{version}" for version in row.left]
    assert sorted(stage.versions()) == sorted([*names, f"endpoint {NAME}"] if row.left else names)


# Stopped.


class Stopped(Exception):
    """The run is told to end."""


@dataclass
class Stopping:
    """A teller that ends the run at a call of its own."""

    at: int
    error: type[BaseException] = Stopped
    said: list[str] = field(default_factory=list)

    def __call__(self, text: str) -> None:
        self.said.append(text)
        if len(self.said) == self.at:
            raise self.error


def test_a_run_that_is_stopped_anywhere_is_gone_on_from(stage: Stage) -> None:
    """At each word in turn. The versions take turns too, so that each comes to an endpoint that remembers nothing of it."""
    slow = Patience(seconds=10, first=0.1, longest=0.1)
    both, after = stage.like(keep_versions=0), stage.like("after", keep_versions=0)
    stage.prove(2)
    ends, turns, taken = set[str](), (2, 3, 5), itertools.count(1)

    def stopped(tell: Callable[[str], None], said: list[str]) -> None:
        turn = next(taken)
        earlier, version = turns[(turn - 1) % 3], turns[turn % 3]
        try:
            done = both.promote(version, patience=slow, report=tell)
        except (Stopped, KeyboardInterrupt):
            ends.add(said[-1])
            left = stage.versions()
            assert {name for name in left if name.startswith("endpoint")} == {f"endpoint {NAME}"}
            assert f"config {NAME}-v{version}" not in left
            done = after.promote(version)
        assert (done.result, done.live) == (Result.PROMOTED, version), done.text
        names = {f"endpoint {NAME}": str(version)}
        for kept in (version, earlier):
            names |= {f"config {stage.config(kept)}": str(kept), f"model {NAME}-v{kept}": str(kept)}
        assert stage.versions() == names
        assert stage.answers() == {2}

    for at in range(1, 100):
        tell = Stopping(at, KeyboardInterrupt if at == 3 else Stopped)
        stopped(tell, tell.said)
        if len(tell.said) < at:
            break
    assert at > 6
    # How often a status is told depends on the machine, so a count may have passed a word over: then it is stopped at by name.
    for word in ("trying version", "answers are right", ": updated to"):
        if not any(word in end for end in ends):
            said: list[str] = []

            def at_word(text: str, word: str = word, said: list[str] = said) -> None:
                said.append(text)
                if word in text:
                    raise Stopped

            stopped(at_word, said)
        assert any(word in end for end in ends)


def test_a_run_that_is_stopped_over_wrong_answers_goes_back_all_the_same(stage: Stage) -> None:
    earlier = stage.prove(2)

    def tell(text: str) -> None:
        if "answers are right" in text:
            raise Stopped

    with pytest.raises(Stopped):
        stage.like("after").promote(WRONG, report=tell)
    stage.until(lambda status: status == "InService")
    live = stage.look()
    assert live is not None
    assert (live.config, bool(live.proven)) == (earlier, True)
    assert stage.answers() == {2}


# Longer than credentials last.


@dataclass
class Slowly:
    """A teller to whom it takes 70 minutes to hear that an endpoint is in service, and of its answers.

    No other word: while an endpoint comes up, a request of the sandbox's own may be on its way.
    """

    clock: Clock
    times: int = 0

    def __call__(self, text: str) -> None:
        if text.endswith(("is InService", "answers are right")):
            self.times += 1
            self.clock.ahead += timedelta(minutes=70)


def test_a_promotion_outlives_three_lifetimes_of_its_credentials(stage: Stage) -> None:
    stage.prove(1)
    stage.log.calls.clear()
    session = sessions.consumer_session(stage.sharing, "staging", stage.consumer)
    slowly = Slowly(stage.clock)
    found = stage.like().promote(2, session=session, report=slowly)
    assert (found.result, found.live, found.left) == (Result.PROMOTED, 2, ()), found.text
    assert slowly.times >= 4
    assumed = stage.log.of("AssumeRole")
    assert len(assumed) == 1 + slowly.times
    assert set(assumed) == {"AssumeRole crossaccount-deployer"}
    assert not [one for one in stage.log.calls if "Expired" in str(one["code"])]


def test_a_session_that_does_not_renew_itself_does_not_last(stage: Stage) -> None:
    stage.prove(1)
    key = sessions.consumer_session(
        stage.sharing, "staging", stage.consumer
    ).get_credentials().get_frozen_credentials()  # fmt: skip
    plain: Any = boto3.session.Session(key.access_key, key.secret_key, key.token, region_name=accounts.REGION)
    stage.log.calls.clear()
    found = stage.like().promote(2, session=plain, report=Slowly(stage.clock))
    assert (found.result, found.live) == (Result.FAILED, None)
    assert "ExpiredToken" in found.text
    assert found.left == (f"endpoint {NAME}-v2", f"endpoint-config {NAME}-v2")
    assert stage.log.of("AssumeRole", "UpdateEndpoint") == []
    assert stage.answers() == {1}


# Going back.


def test_going_back_to_the_version_before(stage: Stage) -> None:
    one, two = stage.prove(1), stage.prove(2)
    found = stage.go_back(stage.previous())
    assert (found.result, found.before, found.version, found.live) == (Result.PROMOTED, 2, 1, 1), found.text
    assert f"Rolled back: The endpoint {NAME} serves version 1 ({one})" in found.text
    assert [(proof.endpoint, proof.version, proof.verified) for proof in found.proofs] == [(NAME, 1, True)]
    assert stage.answers() == {1}
    known = {known.config: bool(known.proven) for known in state.list_configs(stage.target)}
    assert known == {one: True, two: False}
    assert stage.previous() is None


def test_going_back_to_wrong_answers_is_a_failure(stage: Stage) -> None:
    stage.prove(WRONG)
    stage.prove(2)
    found = stage.go_back(stage.previous())
    assert (found.result, found.before, found.live) == (Result.FAILED, 2, WRONG)
    assert f"serves version {WRONG}" in found.text
    assert "does not answer as it should. text/csv" in found.text
    assert SHOWN in found.text


def test_going_back_to_a_version_whose_model_is_gone(stage: Stage) -> None:
    stage.prove(1)
    two = stage.prove(2)
    stage.admin.delete_model(ModelName=f"{NAME}-v1")
    found = stage.go_back(stage.previous())
    assert (found.result, found.live, found.refused) == (Result.FAILED, 2, False)
    assert f"its model {NAME}-v1 is gone. Promote that version again" in found.text
    live = stage.look()
    assert live is not None
    assert (live.config, bool(live.proven)) == (two, True)


def test_going_back_that_aws_does_not_do(stage: Stage) -> None:
    stage.prove(1)
    stage.prove(2)
    stage.expect(kind="no-capacity")
    found = stage.go_back(stage.previous())
    assert (found.result, found.live, found.proofs) == (Result.FAILED, 2, ())
    assert "version 2 is live" in found.text
    assert FULL in found.text


def test_going_back_while_an_update_is_under_way(stage: Stage) -> None:
    """What is left is the version that the update brought, and so it is the one that is held."""
    stage.prove(1)
    stage.prove(2)
    to = stage.previous()
    stage.like(deployment=CANARY).shift(3)
    found = stage.go_back(to)
    assert (found.result, found.before, found.live) == (Result.PROMOTED, 3, 1), found.text
    assert stage.answers() == {1}


# What is remembered.


BEGUN = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def record(kind: str, version: int, at: int = 0, **more: Any) -> Record:
    began = BEGUN + timedelta(seconds=at)
    given = {"run": f"run-{at}", "outcome": "succeeded", "started_by": "a test", "consumers": [], **more}
    return Record(
        kind=kind, version=version, model_package_group=accounts.GROUP, started=began, ended=began, **given
    )


FOLDER = f"{accounts.RELEASES}_promotions/{accounts.GROUP}/"


@pytest.fixture
def remembered(whole: Stage) -> Iterator[Stage]:
    """The producer's bucket without a record."""
    yield whole
    client = whole.clients["producer"]
    for one in client.list_objects_v2(Bucket=accounts.BUCKET, Prefix=FOLDER).get("Contents", []):
        client.delete_object(Bucket=accounts.BUCKET, Key=one["Key"])


def test_records_are_read_as_they_were_written_the_newest_first(remembered: Stage) -> None:
    producer = remembered.producer
    east = timezone(timedelta(hours=2))
    # Within the second of the one before.
    later = (BEGUN + timedelta(seconds=2, microseconds=1)).astimezone(east)
    made = [record("promotion", 1, 1), record("rollback", 2, 2, reason="it was slow ü")]
    made.append(
        record("promotion", 3, consumers=[{"consumer": "staging", "result": "promoted"}]).model_copy()
    )
    made[2] = Record.model_validate({**made[2].model_dump(), "started": later, "run": "run-3"})
    for one in (made[1], made[2], made[0]):
        where = records.write(producer, one)
        stamp = one.started.strftime("%Y%m%dT%H%M%S.%fZ")
        assert where == f"s3://{accounts.BUCKET}/{FOLDER}{stamp}-{one.run}.json"
    assert where.endswith("20261124T120001.000000Z-run-1.json")
    assert list(records.read(producer, 10)) == made[::-1]
    assert list(records.read(producer, 2)) == made[:0:-1]
    assert list(records.read(producer, 0)) == []
    assert (
        made[2].line().startswith("2026-11-24 12:00:02Z  promotion of version 3 succeeded: staging promoted")
    )


def test_a_record_is_written_once(remembered: Stage) -> None:
    producer, one = remembered.producer, record("promotion", 1)
    assert records.write(producer, one) == records.write(producer, one)
    with pytest.raises(Conflict, match="Another record lies at s3://"):
        records.write(producer, record("promotion", 2))
    assert list(records.read(producer, 10)) == [one]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("20991231T000000Z-run-9.json", b"{}"),
        ("20991231T000000Z-run-9.json", b"[" * 100_000),
        ("20991231T000000Z-run-9.json", b"\xff"),
        ("20991231T000000Z-run-9.json", json.dumps({**record("promotion", 1).model_dump(mode="json"), "x": 1}).encode()),
        ("20991231T000000Z-run-9.json", record("promotion", 1).model_dump_json().replace("12:00:00Z", "12:00:00").encode()),
        ("20991231T000000Z-run-9.txt", record("promotion", 1).model_dump_json().encode()),
        ("notes.json", record("promotion", 1).model_dump_json().encode()),
        ("x/notes.json", record("promotion", 1).model_dump_json().encode()),
    ],
)  # fmt: skip
def test_what_is_no_record_is_passed_over(remembered: Stage, name: str, body: bytes) -> None:
    one = record("rollback", 7, 7)
    records.write(remembered.producer, one)
    remembered.clients["producer"].put_object(Bucket=accounts.BUCKET, Key=f"{FOLDER}{name}", Body=body)
    assert list(records.read(remembered.producer, 1)) == [one]


def test_a_consumer_reads_no_records(remembered: Stage) -> None:
    """Neither its deployer nor its administrator: the producer's bucket lets nobody of that account so far in."""
    where = records.write(remembered.producer, record("promotion", 1))
    bucket, _, key = where.removeprefix("s3://").partition("/")
    for client in (remembered.session.client("s3"), remembered.clients["s3"]):
        released = store.release_key(remembered.sharing, 1)
        assert client.get_object(Bucket=bucket, Key=released)["Body"].read()
        for operation, given in (
            ("get_object", {"Key": key}),
            ("head_object", {"Key": key}),
            ("list_objects_v2", {"Prefix": FOLDER}),
            ("put_object", {"Key": key, "Body": b"{}"}),
            ("delete_object", {"Key": key}),
        ):
            with pytest.raises(ClientError) as error:
                getattr(client, operation)(Bucket=bucket, **given)
            assert error.value.response["Error"]["Code"] in ("AccessDenied", "403")


@pytest.mark.parametrize("name", ["_promotions", "_promotions/decision-trees-sample", "-promotions", "_"])
def test_no_group_is_called_like_the_folder_of_records(whole: Stage, name: str) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        whole.clients["registry"].create_model_package_group(ModelPackageGroupName=name)
    text = json.loads(document({})) | {"model_package_group": name}
    with pytest.raises(ConfigError, match="model_package_group"):
        parse_config(json.dumps(text))
