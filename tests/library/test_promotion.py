"""What becomes of one consumer when a version is promoted to it: right, wrong, rolled back, stopped, or longer than a session.

Version 4 answers like version 1, and its producer recorded the answers of version 2: it is the wrong one here. The sandbox,
botocore's signer and botocore's credentials share one clock that a test can turn on.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.credentials import DeferredRefreshableCredentials

from crossaccount import apply, gather, promotion, release, rollout, serving, sessions
from crossaccount.config import Consumer, Sharing, parse
from crossaccount.promotion import Promoted, Result
from crossaccount.release import Release
from crossaccount.rollout import Ending, Patience
from sandbox import accounts
from sandbox.control import Outcome
from sandbox.server import Server
from sandbox.training import train

TEMPLATES = Path(__file__).parents[2] / "deployments" / "iam"
NAME = "decision-trees-staging"
PLACE = (accounts.STAGING.id, accounts.REGION)
QUICK = Patience(seconds=10, first=0.01, longest=0.03)
ROLE = "arn:aws:iam::{}:role/crossaccount-{}"
WRONG = 4
SHOWN = "expected [2, 1], got [1, 1]"
CANARY = {"type": "canary", "canary_percent": 50, "wait_seconds": 1000}  # long enough to be seen
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
    producer: gather.Clients
    sharing: Sharing
    consumer: Consumer
    releases: dict[int, Release] = field(default_factory=dict)

    def like(self, mode: str = "both", **endpoint: Any) -> Stage:
        """The same account under a config that says something else."""
        sharing = parse(document(endpoint, smoke_mode=mode))
        return replace(self, sharing=sharing, consumer=sharing.consumers["staging"])

    def promote(self, version: int, **more: Any) -> Promoted:
        given = {"patience": QUICK, "session": self.session, **more}
        return promotion.promote(
            sharing=self.sharing, name="staging", release=self.releases[version], **given
        )

    def go_back(self, to: rollout.Earlier | None) -> Promoted:
        assert to is not None
        given = (self.session, self.sharing, "staging", to, self.releases[to.version], QUICK)
        return promotion.go_back(*given)

    def expect(self, name: str = NAME, **outcome: Any) -> None:
        self.server.outcomes.next_endpoint(Outcome(**outcome), accounts.STAGING.id, name)

    def look(self) -> rollout.Live | None:
        return rollout.look(self.session, self.sharing, self.consumer)

    def shift(self, version: int) -> str:
        """Begin to move to a version, and die."""
        return rollout.shift(self.session, self.sharing, self.consumer, self.releases[version], QUICK).config

    def arrive(self, version: int) -> str:
        """Move to a version, and die before it is asked anything."""
        config = self.shift(version)
        outcome = rollout.settle(self.session, self.sharing, self.consumer, config, QUICK)
        assert outcome.ending is Ending.LIVE, outcome.text
        return config

    def prove(self, version: int) -> str:
        """Move to a version that is said to have proved itself; its endpoint config."""
        config = self.arrive(version)
        rollout.mark_proven(self.session, self.sharing, self.consumer, config)
        return config

    def previous(self) -> rollout.Earlier | None:
        return rollout.previous(self.session, self.sharing, self.consumer)

    def config(self, version: int) -> str:
        return rollout.config_name(self.consumer, self.releases[version])

    def answers(self) -> set[int]:
        """What the endpoint takes a flower for: 1 with versions 1 and 4, 2 with the others."""
        asked = {"ContentType": "text/csv", "Accept": "application/json", "Body": "6.3,3.3,6.0,2.5"}
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
            assert tags[serving.OWNER_TAG] == serving.OWNER
            found[name] = tags[serving.PACKAGE_TAG].rpartition("/")[2]
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
            self.until(lambda status: status not in rollout.IN_PROGRESS, name)
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
        patch.setattr("crossaccount.serving._FIRST_POLL", 0.02)
        yield _staged(server, clock, log, residents.administrators)
    server.stop()


def _share_clock(patch: pytest.MonkeyPatch, clock: Clock) -> None:
    """The sandbox's clock for what signs requests, and for what decides whether credentials are to be renewed."""
    patch.setattr("botocore.auth.get_current_datetime", lambda: clock().replace(tzinfo=None))
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
    sharing = parse(document({}))
    producer = gather.Clients.of(sessions.producer_session(sharing), sharing.region)
    found = gather.gather(producer, sharing)
    plan = gather.planned(sharing, found)
    prepared = [release.prepare(producer, sharing, one, found, plan)[0] for one in found.versions]
    apply.apply(producer, plan, lambda line: None)
    published = {one.version: release.publish(producer, sharing, one) for one in prepared}
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


@pytest.mark.parametrize("mode", ["before", "after", "both"])
@pytest.mark.parametrize(
    "before",
    [nothing, proven, other_capacity, died_while_creating, died_while_shifting, died_after_the_shift],
)
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
