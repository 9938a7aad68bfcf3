"""A version as shadow variant beside the live one: what it answered there is read from captured data, and then the endpoint shifts.

Version 1 takes the flower for 1, version 2 for 2, as its producer recorded. Version 4 answers like version 1, and its producer
recorded the answers of version 2: it is the wrong one here. The container of version 5 answers with an error.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import joblib
import pytest
from sklearn.tree import DecisionTreeClassifier

from crossaccount.audit.live import find_live
from crossaccount.aws import sessions
from crossaccount.aws.access import Target, open_producer
from crossaccount.config.loading import parse_config
from crossaccount.config.model import Sharing
from crossaccount.errors import Severity
from crossaccount.hosting import requests, shadow, shift, state
from crossaccount.hosting.gateway import Patience
from crossaccount.hosting.resources import PROVEN_TAG
from crossaccount.promotion import moving
from crossaccount.promotion.outcome import ConsumerOutcome, Result, read_outcome
from crossaccount.proof.captures import read_line
from crossaccount.registry.recall import Standing
from crossaccount.release.manifest import Release
from crossaccount.sharing import apply, gather, publish, usage
from crossaccount.sharing.plan import plan_share
from crossaccount.show import proofs
from crossaccount_sandbox import accounts
from crossaccount_sandbox.sagemaker.outcomes import Outcome
from crossaccount_sandbox.server import Server
from crossaccount_sandbox.training import tar_gz, train

TEMPLATES = Path(__file__).parents[2] / "deployments" / "iam"
NAME, CALLS = "decision-trees-staging", "staging-calls"
PLACE = (accounts.STAGING.id, accounts.REGION)
QUICK = Patience(seconds=10, first=0.02, longest=0.2)
ROLE = "arn:aws:iam::{}:role/crossaccount-{}"
WRONG, BROKEN = 4, 5
CAPTURE = {"s3_uri": f"s3://{CALLS}/captured/", "percent": 1}
PATIENT, BRIEF = {"capture_seconds": 60}, {"capture_seconds": 1}  # brief where nothing is captured
CANARY = {"type": "canary", "canary_percent": 50, "wait_seconds": 800}


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
        "endpoint": {"name": NAME, "instance_type": "ml.m5.large", "data_capture": CAPTURE, **endpoint},
        **({"shadow": PATIENT} if consumer.get("smoke_mode") in (None, "shadow") else {}),
        "smoke_mode": "shadow",
        **consumer,
    }
    whole = {"model_package_group": accounts.GROUP, "region": accounts.REGION, "producer": producer}
    return json.dumps({**whole, "consumers": {"staging": staging}})


@dataclass
class Stage:
    """A consumer's account that captures calls, and the releases of four versions."""

    server: Server
    log: list[dict[str, Any]]
    session: boto3.Session
    clients: dict[str, Any]
    sharing: Sharing
    releases: dict[int, Release] = field(default_factory=dict)

    def like(self, endpoint: dict[str, Any] | None = None, **consumer: Any) -> Stage:
        """The same account under a config that says something else."""
        return replace(self, sharing=parse_config(document(endpoint or {}, **consumer)))

    @property
    def target(self) -> Target:
        return Target(self.sharing, "staging", self.sharing.consumers["staging"], self.session)

    @property
    def sm(self) -> Any:
        return self.clients["sagemaker"]

    def promote(self, version: int, report: Callable[[str], None] = lambda line: None) -> ConsumerOutcome:
        return moving.promote(self.target, self.releases[version], QUICK, moving.Run(report))

    def prove(self, version: int) -> str:
        """Move to a version that is said to have proved itself; its endpoint config."""
        config = shift.shift(self.target, self.releases[version], QUICK).config
        shift.settle(self.target, config, QUICK)
        state.mark_proven(self.target, config)
        return config

    def begin(self, version: int) -> str:
        """Put a version beside the live one, and die."""
        live = shadow.live_beside(self.target, self.releases[version], QUICK)
        assert live is not None
        return shadow.begin(self.target, self.releases[version], live, QUICK)

    def config(self, version: int) -> str:
        return requests.config_name(self.target.consumer, self.releases[version])

    def configs(self) -> set[str]:
        return {one["EndpointConfigName"] for one in self.sm.list_endpoint_configs()["EndpointConfigs"]}

    def models(self) -> set[str]:
        return {one["ModelName"] for one in self.sm.list_models()["Models"]}

    def described(self) -> dict[str, Any]:
        return dict(self.sm.describe_endpoint(EndpointName=NAME))

    def is_proven(self, config: str) -> bool:
        arn = self.sm.describe_endpoint_config(EndpointConfigName=config)["EndpointConfigArn"]
        return PROVEN_TAG in {tag["Key"] for tag in self.sm.list_tags(ResourceArn=arn)["Tags"]}

    def updates(self) -> list[str]:
        return [
            one["operation"] for one in self.log if one["operation"] in ("UpdateEndpoint", "CreateEndpoint")
        ]

    def answer(self, **more: Any) -> Any:
        """What the endpoint takes a flower for, and who says so."""
        found = self.clients["sagemaker-runtime"].invoke_endpoint(
            EndpointName=NAME,
            ContentType="text/csv",
            Accept="application/json",
            Body="6.3,3.3,6.0,2.5\n6.3,3.3,6.0,2.5",
            **more,
        )
        return json.load(found["Body"])[0], found["InvokedProductionVariant"]

    def captured(self, variant: str, begin: str, number: int = 1) -> list[dict[str, Any]]:
        """The lines of captured data with ids that begin so, once there are so many."""
        s3, deadline = self.clients["s3"], time.monotonic() + 20
        prefix = f"captured/{NAME}/{variant}/"
        while time.monotonic() < deadline:
            keys = [one["Key"] for one in s3.list_objects_v2(Bucket=CALLS, Prefix=prefix).get("Contents", [])]
            lines = [json.loads(s3.get_object(Bucket=CALLS, Key=key)["Body"].read()) for key in keys]
            found = [one for one in lines if one["eventMetadata"].get("inferenceId", "").startswith(begin)]
            if len(found) >= number:
                return found
            time.sleep(0.02)
        raise AssertionError(lines)

    @contextmanager
    def denied(self, role: str, action: str) -> Iterator[None]:
        iam, statement = self.clients["iam"], {"Effect": "Deny", "Action": action, "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName=f"crossaccount-{role}", PolicyName="denied", PolicyDocument=policy)
        try:
            yield
        finally:
            iam.delete_role_policy(RoleName=f"crossaccount-{role}", PolicyName="denied")

    def clear(self) -> None:
        """An empty account, whatever was there."""
        self.server.outcomes.clear()
        for one in self.server.hosting.all(PLACE):
            self.sm.delete_endpoint(EndpointName=one["EndpointName"])
        while self.server.hosting.all(PLACE):
            time.sleep(0.01)
        for name in self.configs():
            self.sm.delete_endpoint_config(EndpointConfigName=name)
        for name in self.models():
            self.sm.delete_model(ModelName=name)
        self.log.clear()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    log: list[dict[str, Any]] = []
    two = [accounts.PRODUCER, accounts.STAGING]
    server = Server(two, endpoint_seconds=0.02, speed=5000, log=lambda entry: log.append(dict(entry)))
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
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
        yield _staged(server, log, residents.administrators)
    server.stop()


def _staged(server: Server, log: list[dict[str, Any]], keys: dict[str, accounts.Credentials]) -> Stage:
    def client(account: str, service: str) -> Any:
        key = keys[account]
        session: Any = boto3.session.Session(
            key.access_key_id, key.secret_access_key, region_name=accounts.REGION
        )
        return session.client(service, endpoint_url=server.url)

    names = ("sagemaker", "sagemaker-runtime", "iam", "s3", "cloudformation")
    clients = {name: client("staging", name) for name in names}
    accounts.push_image(client("producer", "ecr"), accounts.REPOSITORY, "other", {"file": b"other"})
    _register(client("producer", "s3"), client("producer", "sagemaker"))
    clients["s3"].create_bucket(Bucket=CALLS)
    _tell_stack(clients["cloudformation"], CaptureLocation=f"{CALLS}/captured/", ShadowBucket=CALLS)
    sharing = parse_config(document({}))
    producer = open_producer(sharing)
    found = gather.gather(producer)
    plan = plan_share(sharing, found)
    prepared = [publish.prepare(producer, one, found, plan)[0] for one in found.versions]
    apply.apply(producer, plan, lambda line: None)
    published = {one.version: publish.publish(producer, one) for one in prepared}
    session = sessions.consumer_session(sharing, "staging", sharing.consumers["staging"])
    return Stage(server, log, session, clients, sharing, published)


def _tell_stack(cloudformation: Any, **values: str) -> None:
    """Give the stack of the consumer's roles other parameters."""
    (stack,) = cloudformation.describe_stacks(StackName="crossaccount")["Stacks"]
    given = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]} | values
    cloudformation.update_stack(
        StackName="crossaccount",
        TemplateBody=(TEMPLATES / "consumer.yaml").read_text(),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )


def _register(s3: Any, registry: Any) -> None:
    """Add version 4, the wrong one, and version 5, the broken one."""
    tree, file = DecisionTreeClassifier().fit([[0.0, 0.0], [1.0, 1.0]], [0, 1]), io.BytesIO()
    joblib.dump(tree, file)  # it takes two features, and every question has four
    broken = tar_gz({"model.joblib": file.getvalue()})
    second = f"arn:aws:sagemaker:us-east-1:{accounts.PRODUCER.id}:model-package/{accounts.GROUP}/2"
    spec = registry.describe_model_package(ModelPackageName=second)["InferenceSpecification"]
    host, _, _ = spec["Containers"][0]["Image"].partition("/")
    image = f"{host}/{accounts.REPOSITORY}:other"
    for version, archive in ((WRONG, train(1).archive), (BROKEN, broken)):
        folder = f"{accounts.ARTIFACTS}shadow-{version}/"
        s3.put_object(Bucket=accounts.BUCKET, Key=f"{folder}model.tar.gz", Body=archive)
        s3.put_object(Bucket=accounts.BUCKET, Key=f"{folder}samples.tar.gz", Body=train(2).samples)
        where = f"s3://{accounts.BUCKET}/{folder}"
        registry.create_model_package(
            ModelPackageGroupName=accounts.GROUP,
            ModelApprovalStatus="Approved",
            SamplePayloadUrl=f"{where}samples.tar.gz",
            InferenceSpecification={
                **spec,
                "Containers": [{"Image": image, "ModelDataUrl": f"{where}model.tar.gz"}],
            },
        )


@pytest.fixture
def stage(whole: Stage) -> Stage:
    whole.clear()
    return whole


def alone(stage: Stage, version: int, config: str) -> None:
    """The version is live by itself, with its proof, and there is no shadow."""
    found = stage.described()
    assert (found["EndpointConfigName"], found["EndpointStatus"]) == (config, "InService")
    assert "ShadowProductionVariants" not in found
    assert {name for name in stage.configs() if name.startswith(f"{NAME}-v{version}-")} == {config}
    assert stage.is_proven(config)
    live = state.look(stage.target)
    assert live is not None
    assert (live.version, live.beside) == (version, None)


def test_a_shadow_is_promoted_once_it_has_answered_beside_the_live_version(stage: Stage) -> None:
    before, lines = stage.prove(1), list[str]()
    outcome = stage.promote(2, lines.append)
    assert outcome.result is Result.PROMOTED, outcome.text
    assert "stood beside version 1 before: " in outcome.text
    (proof,) = outcome.proofs
    assert (proof.verified, proof.version, proof.beside, proof.endpoint) == (True, 2, 1, NAME)
    assert len(proof.compared) == len(proof.answers) > 1
    assert any(one.same is False for one in proof.compared)
    assert any(one.same is True for one in proof.compared)
    assert proof.different == sum(one.live != one.shadow for one in proof.compared)
    assert [one.got for one in proof.answers] == [one.shadow for one in proof.compared]
    assert any("stands beside version 1" in line for line in lines)
    # To the config with the shadow, back to the live version's own, and to the new version's.
    assert stage.updates()[-3:] == ["UpdateEndpoint"] * 3
    alone(stage, 2, stage.config(2))
    assert stage.answer() == (2, "AllTraffic")
    assert stage.is_proven(before)
    assert stage.configs() == {before, stage.config(2)}
    data = json.loads(json.dumps(outcome.to_json()))
    assert read_outcome(data) == outcome
    for text in (proofs.text(proof, ()), proofs.markdown(proof)):
        assert "other" in text
        assert "version 1" in text


def test_questions_of_the_config_and_those_for_streams_are_put_to_a_shadow_too(stage: Stage) -> None:
    flower = {"content_type": "text/csv", "body": "6.3,3.3,6.0,2.5\n6.3,3.3,6.0,2.5"}
    stage.prove(1)
    outcome = stage.like(
        smoke=[{**flower, "expect": [2, 2]}, {**flower, "expect": [2, 2], "stream": True}]
    ).promote(2)
    assert outcome.result is Result.PROMOTED, outcome.text
    (proof,) = outcome.proofs
    assert [(one.live, one.shadow, one.same) for one in proof.compared] == [([1, 1], [2, 2], False)] * 2


def test_a_shadow_answers_nobody_and_leaves_the_live_version_as_it_is(stage: Stage) -> None:
    wide = stage.like({"instance_count": 3, "deployment": CANARY}, shadow={"instance_count": 2})
    before = wide.prove(1)
    config = wide.begin(2)
    found = wide.described()
    assert found["EndpointConfigName"] == config != before
    (own,), (beside,) = found["ProductionVariants"], found["ShadowProductionVariants"]
    assert (own["VariantName"], own["CurrentInstanceCount"]) == ("AllTraffic", 3)
    assert (beside["VariantName"], beside["CurrentInstanceCount"]) == ("Shadow", 2)
    # 1 of 100 calls is captured at other times.
    assert found["DataCaptureConfig"]["CurrentSamplingPercentage"] == 100
    assert {wide.answer() for _ in range(4)} == {(1, "AllTraffic")}
    live = state.look(wide.target)
    assert live is not None
    assert (live.version, live.own_config, live.config) == (1, before, config)
    assert live.proven is not None
    assert wide.promote(2).result is Result.PROMOTED


@pytest.mark.parametrize("version", [1, 2])
def test_a_revoke_takes_nothing_from_under_a_shadow_or_the_version_it_stands_beside(
    stage: Stage, version: int
) -> None:
    stage.prove(1)
    stage.begin(2)
    (found,) = usage.find_users(stage.sharing, None, version)
    assert found.severity is Severity.ERROR
    assert f"still run on it: {NAME}. " in found.text
    assert usage.find_users(stage.sharing, None, WRONG) == ()
    (forced,) = usage.find_users(stage.sharing, None, version, force=True)
    assert forced.severity is Severity.WARNING
    (left,) = usage.find_left_behind(stage.sharing, {accounts.STAGING.id}, {1, 2} - {version})
    assert f"{NAME} (version {version})." in left.text


@pytest.mark.parametrize(("deleted", "other"), [(1, 2), (2, 1)])
def test_a_model_that_somebody_deleted_hides_no_other_of_the_endpoint(
    stage: Stage, deleted: int, other: int
) -> None:
    stage.prove(1)
    stage.begin(2)
    stage.sm.delete_model(ModelName=f"{NAME}-v{deleted}")
    (found,) = usage.find_users(stage.sharing, None, other)
    assert (found.severity, f"still run on it: {NAME}. " in found.text) == (Severity.ERROR, True)


@pytest.mark.parametrize("version", [1, 2])
def test_a_revoke_takes_nothing_from_under_an_endpoint_that_moves_to_it(stage: Stage, version: int) -> None:
    stage.prove(1)
    stage.server.outcomes.next_endpoint(Outcome("unhealthy", seconds=10000), accounts.STAGING.id, NAME)
    config = shift.shift(stage.target, stage.releases[2], QUICK).config
    (found,) = usage.find_users(stage.sharing, None, version)
    assert [one.sentence for one in find_live(stage.target)] == ["serves version 1 (Approved)"]
    assert stage.described()["EndpointStatus"] == "Updating"
    shift.settle(stage.target, config, QUICK)
    assert (found.severity, NAME in found.text) == (Severity.ERROR, True)


def test_what_stands_as_a_shadow_is_not_said_to_serve(stage: Stage) -> None:
    stage.prove(1)
    stage.begin(2)
    serving, beside = find_live(stage.target)
    assert (serving.sentence, serving.to_json()["shadow"]) == ("serves version 1 (Approved)", False)
    assert (beside.sentence, beside.to_json()["shadow"]) == (
        "has as shadow variant version 2 (Approved)",
        True,
    )
    recalled = replace(beside, state=replace(beside.state, standing=Standing.RECALLED, reason="is Rejected"))
    assert "which is Rejected. No caller gets its answers, and the next promotion" in recalled.sentence


@pytest.mark.parametrize(
    ("version", "says"),
    [(WRONG, "expected [2, 1], got [1, 1]"), (BROKEN, "no captured answer within 1 s")],
)
def test_a_shadow_that_answers_wrong_does_not_go_live(stage: Stage, version: int, says: str) -> None:
    stage = stage.like(shadow=BRIEF if version == BROKEN else PATIENT)
    before = stage.prove(1)
    outcome = stage.promote(version)
    assert (outcome.result, outcome.live, outcome.before) == (Result.FAILED, 1, 1)
    assert says in outcome.text
    assert "beside version 1, which stays live" in outcome.text
    (proof,) = outcome.proofs
    assert (proof.verified, proof.images_match) == (False, True)  # the images of the shadow, which are others
    assert outcome.left == ()
    alone(stage, 1, before)
    assert stage.answer() == (1, "AllTraffic")
    assert (stage.configs(), stage.models()) == ({before}, {f"{NAME}-v1"})


def test_a_shadow_that_does_not_come_up_leaves_the_live_version(stage: Stage) -> None:
    before = stage.prove(1)
    stage.server.outcomes.next_endpoint(Outcome("unhealthy"), accounts.STAGING.id, NAME)
    outcome = stage.promote(2)
    assert (outcome.result, outcome.live, outcome.left) == (Result.FAILED, 1, ())
    assert "did not pass the ping health check" in outcome.text
    alone(stage, 1, before)
    assert (stage.configs(), stage.models()) == ({before}, {f"{NAME}-v1"})


class Stopped(BaseException):
    """Somebody stopped the run."""


@pytest.mark.parametrize("at", ["is Updating", "stands beside", "live traffic", "are captured"])
def test_a_run_that_is_stopped_takes_the_shadow_away(stage: Stage, at: str) -> None:
    stage = stage.like(shadow={"seconds": 1, "capture_seconds": 2})
    before = stage.prove(1)

    def stop(line: str) -> None:
        if at in line:
            raise Stopped(line)

    with pytest.raises(Stopped):
        stage.promote(BROKEN, stop)
    alone(stage, 1, before)
    # The model goes with the next run, as after any that was stopped.
    assert stage.configs() == {before}


@pytest.mark.parametrize("died", ["when it stood there", "when it came"])
@pytest.mark.parametrize(
    ("mode", "version", "result"),
    [
        ("shadow", 2, Result.PROMOTED),
        ("after", 2, Result.PROMOTED),
        ("shadow", WRONG, Result.FAILED),
        ("before", WRONG, Result.FAILED),
        ("after", WRONG, Result.FAILED),
        ("shadow", 1, Result.UNCHANGED),
    ],
)
def test_the_next_run_finishes_what_a_dead_one_has_begun(
    stage: Stage, mode: str, version: int, result: Result, died: str
) -> None:
    before = stage.prove(1)
    config = stage.begin(2)
    if died == "when it came":
        shift.roll_back(stage.target, before, QUICK, withdraw=False)
        shift.roll_back(stage.target, config, QUICK, withdraw=False)
    outcome = stage.like(smoke_mode=mode).promote(version)
    # Of an endpoint in a change it cannot be said at once that it serves version 1: then it proves itself anew.
    results = {result, Result.PROMOTED} if version == 1 and died == "when it came" else {result}
    assert outcome.result in results, outcome.text
    assert outcome.before == 1
    if (mode, version) == ("after", WRONG):
        assert (
            f"serves version 1 ({before})" in outcome.text
        )  # it went back to that, and not to the one with the shadow
    if version == 2:
        alone(stage, 2, stage.config(2))
        assert stage.configs() == {before, stage.config(2)}
    else:
        alone(stage, 1, before)
        assert stage.configs() == {before}
    assert config not in stage.configs()
    assert outcome.left == ()


class Dead(BaseException):
    """The run's process is no more: it makes no call."""


@pytest.mark.parametrize(
    ("operation", "nth"),
    [
        ("CreateModel", 1),
        ("CreateEndpointConfig", 1),
        ("UpdateEndpoint", 1),
        ("ListObjectsV2", 2),
        ("UpdateEndpoint", 2),
        ("DeleteEndpointConfig", 1),
        ("CreateEndpointConfig", 2),
        ("UpdateEndpoint", 3),
        ("AddTags", 1),
        ("AddTags", 2),
    ],
)
def test_a_run_that_is_killed_after_a_call_is_finished_by_the_next(
    stage: Stage, operation: str, nth: int
) -> None:
    before, calls, dead = stage.prove(1), itertools.count(1), False
    session = sessions.consumer_session(stage.sharing, "staging", stage.sharing.consumers["staging"])

    def die(**_: Any) -> None:
        nonlocal dead
        if dead or next(calls) == nth:
            dead = True
            raise Dead(operation)

    def stay_dead(**_: Any) -> None:
        if dead:
            raise Dead(operation)

    service = "s3" if operation == "ListObjectsV2" else "sagemaker"
    session.events.register(f"after-call.{service}.{operation}", die)
    session.events.register("before-call", stay_dead)
    with pytest.raises(Dead):
        replace(stage, session=session).promote(2)
    assert stage.answer()[1] == "AllTraffic"
    outcome = stage.promote(2)
    assert outcome.result in (Result.PROMOTED, Result.UNCHANGED), outcome.text
    assert (outcome.live, outcome.left) == (2, ())
    alone(stage, 2, stage.config(2))
    assert stage.configs() == {before, stage.config(2)}
    assert stage.models() == {f"{NAME}-v1", f"{NAME}-v2"}
    assert stage.is_proven(before)


def test_a_rollback_leaves_a_shadow_behind_and_goes_to_the_version_before(stage: Stage) -> None:
    first = stage.prove(1)
    second = stage.prove(2)
    stage.begin(WRONG)
    to = state.previous_config(stage.target)
    assert to is not None
    assert to.config == first
    outcome = moving.go_back(stage.target, to, stage.releases[1], QUICK)
    assert (outcome.result, outcome.before, outcome.live) == (Result.PROMOTED, 2, 1), outcome.text
    alone(stage, 1, first)
    assert not stage.is_proven(second)


def test_without_a_live_version_the_trial_takes_the_shadow_s_place(stage: Stage) -> None:
    outcome = stage.promote(1)
    assert outcome.result is Result.PROMOTED, outcome.text
    assert "No other version was live" in outcome.text
    assert "as with smoke_mode: before" in outcome.text
    assert [(proof.endpoint, proof.beside) for proof in outcome.proofs] == [(f"{NAME}-v1", None)]
    assert stage.promote(1).result is Result.UNCHANGED


def test_a_shadow_goes_and_the_shift_obeys_its_guardrail(stage: Stage) -> None:
    """AWS rolls the shift back: the endpoint is on the live version's own config, not on the one with the shadow."""
    before = stage.prove(1)
    for outcome in (Outcome(), Outcome(), Outcome("unhealthy")):
        stage.server.outcomes.next_endpoint(outcome, accounts.STAGING.id, NAME)
    outcome = stage.like({"deployment": CANARY}).promote(2)
    assert (outcome.result, outcome.live) == (Result.FAILED, 1)
    assert [proof.verified for proof in outcome.proofs] == [True]
    alone(stage, 1, before)


@pytest.mark.parametrize(
    ("role", "action", "touched", "says"),
    [
        ("deployer", "s3:ListBucket", False, "s3:ListBucket"),
        ("deployer", "s3:GetObject", True, "s3:GetObject"),
        ("deployer", "sagemaker:CreateEndpointConfig", False, "sagemaker:CreateEndpointConfig"),
        ("deployer", "sagemaker:UpdateEndpoint", False, "sagemaker:UpdateEndpoint"),
        ("execution", "s3:PutObject", True, "execution_role must be allowed to write"),
    ],
)
def test_a_right_that_a_shadow_needs_is_named(
    stage: Stage, role: str, action: str, touched: bool, says: str
) -> None:
    stage = stage.like(shadow=BRIEF)
    before = stage.prove(1)
    stage.log.clear()
    with stage.denied(role, action):
        outcome = stage.promote(2)
    assert (outcome.result, outcome.live) == (Result.FAILED, 1)
    assert says in outcome.text
    assert outcome.refused is (role == "deployer")
    assert ("UpdateEndpoint" in stage.updates()) is (touched or action == "sagemaker:UpdateEndpoint")
    alone(stage, 1, before)


@pytest.mark.parametrize(
    ("role", "action", "key", "may"),
    [
        ("deployer", "s3:GetObject", f"captured/{NAME}/Shadow/2026/a.jsonl", True),
        ("deployer", "s3:GetObject", f"captured/{NAME}/AllTraffic/2026/a.jsonl", False),
        ("deployer", "s3:GetObject", f"other/{NAME}/Shadow/2026/a.jsonl", False),
        ("deployer", "s3:PutObject", f"captured/{NAME}/Shadow/2026/a.jsonl", False),
        ("deployer", "s3:DeleteObject", f"captured/{NAME}/Shadow/2026/a.jsonl", False),
        ("execution", "s3:GetObject", f"captured/{NAME}/Shadow/2026/a.jsonl", False),
        ("execution", "s3:PutObject", f"captured/{NAME}/Shadow/2026/a.jsonl", True),
    ],
)
def test_the_template_lets_the_deployer_read_what_shadows_answered_and_no_more(
    whole: Stage, role: str, action: str, key: str, may: bool
) -> None:
    answer = whole.clients["iam"].simulate_principal_policy(
        PolicySourceArn=ROLE.format(accounts.STAGING.id, role),
        ActionNames=[action],
        ResourceArns=[f"arn:aws:s3:::{CALLS}/{key}"],
    )
    assert (answer["EvaluationResults"][0]["EvalDecision"] == "allowed") is may


# What AWS refuses, and what it captures: with plain clients, beside no product.


def variant(name: str, model: str = f"{NAME}-v1", **more: Any) -> dict[str, Any]:
    return {
        "VariantName": name,
        "ModelName": model,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        **more,
    }


SERVERLESS = {
    "VariantName": "B",
    "ModelName": f"{NAME}-v1",
    "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
}


@pytest.mark.parametrize(
    ("own", "shadows", "says"),
    [
        ([variant("A")], [variant("B"), variant("C")], "only one variant can be specified"),
        ([variant("A"), variant("B")], [variant("C")], "only one variant can be specified"),
        ([variant("A")], [variant("A")], "Duplicate variant names"),
        ([variant("A")], [variant("B", "ghost")], "Could not find model"),
        ([variant("A")], [SERVERLESS], "do not support shadow variants"),
        ([variant("A")], [variant("B", InitialInstanceCount=None)], "needs an InstanceType"),
        ([variant("A")], [variant("B", InstanceType="ml.inf1.xlarge")], "on Inf1 instances do not support"),
    ],
)
def test_what_the_sandbox_refuses_of_shadow_variants(
    stage: Stage, own: list[dict[str, Any]], shadows: list[dict[str, Any]], says: str
) -> None:
    stage.prove(1)
    given = [{key: value for key, value in one.items() if value is not None} for one in shadows]
    with pytest.raises(stage.sm.exceptions.ClientError, match=says):
        stage.sm.create_endpoint_config(
            EndpointConfigName="x", ProductionVariants=own, ShadowProductionVariants=given
        )


def test_both_variants_are_captured_and_only_the_live_one_can_be_asked(stage: Stage) -> None:
    stage.prove(1)
    stage.begin(2)
    stage.answer(InferenceId="question-1")
    for name, label in (("AllTraffic", 1), ("Shadow", 2)):
        (line,) = stage.captured(name, "question-1")
        given, got = (line["captureData"][side] for side in ("endpointInput", "endpointOutput"))
        assert (given["mode"], given["encoding"], got["mode"]) == ("INPUT", "BASE64", "OUTPUT")
        assert given["observedContentType"] == "text/csv"
        assert (line["eventVersion"], got["observedContentType"]) == ("0", "application/json")
        answer = read_line(json.dumps(line).encode(), "question-1")
        assert answer is not None
        assert json.loads(answer.content) == [label, label]
    with pytest.raises(stage.sm.exceptions.ClientError, match="Variant Shadow of endpoint"):
        stage.answer(TargetVariant="Shadow")
    assert stage.answer(TargetVariant="AllTraffic") == (1, "AllTraffic")


def test_half_the_weight_is_a_copy_of_half_of_the_requests(stage: Stage) -> None:
    stage.prove(1)
    model, capture = f"{NAME}-v1", {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": CAPTURE["s3_uri"],
        "CaptureOptions": [{"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
    }  # fmt: skip
    stage.sm.create_endpoint_config(
        EndpointConfigName="half",
        ProductionVariants=[variant("AllTraffic", model, InitialVariantWeight=2)],
        ShadowProductionVariants=[variant("Half", model, InitialVariantWeight=1)],
        DataCaptureConfig=capture,
    )
    stage.sm.update_endpoint(EndpointName=NAME, EndpointConfigName="half")
    while stage.described()["EndpointStatus"] != "InService":
        time.sleep(0.01)
    for number in range(4):
        stage.answer(InferenceId=f"half-{number}")
    assert len(stage.captured("AllTraffic", "half-", 4)) == 4
    lines = stage.captured("Half", "half-", 2)
    assert len(lines) == 2
    assert all(set(line["captureData"]) == {"endpointOutput"} for line in lines)
    assert lines[0]["captureData"]["endpointOutput"]["data"] == "[1, 1]"
    assert lines[0]["captureData"]["endpointOutput"]["encoding"] == "JSON"


@pytest.mark.parametrize(
    ("line", "content"),
    [
        ({"data": "WzFd", "encoding": "BASE64"}, b"[1]"),
        ({"data": "[1]", "encoding": "JSON"}, b"[1]"),
        ({"data": "1,2\n", "encoding": "CSV"}, b"1,2\n"),
        ({"data": "W", "encoding": "BASE64"}, None),
        ({"data": 1, "encoding": "JSON"}, None),
        ({"encoding": "JSON"}, None),
        (None, None),
        ([], None),
    ],
)
def test_an_answer_that_cannot_be_read_from_captured_data_is_none(line: Any, content: bytes | None) -> None:
    whole = {"captureData": {"endpointOutput": line}, "eventMetadata": {"inferenceId": "a"}}
    found = read_line(json.dumps(whole).encode(), "a")
    assert found is not None
    assert (found.content, bool(found.fault)) == (content or b"", content is None)


@pytest.mark.parametrize(
    "line",
    [b"", b"a", b"[]", b'"a"', b"{}", b'{"eventMetadata": "a"}', b'{"eventMetadata": {"inferenceId": "ab"}}'],
)
def test_a_line_of_another_request_is_no_answer(line: bytes) -> None:
    assert read_line(line, "a") is None
