"""Asynchronous endpoints, end to end: deployed, promoted, rolled back, proved, watched and retired, and what a shut door says.

Every answer is a real process's, written to S3 by the execution role and read by the deployer; both have what the template gives them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from prefect.logging import disable_run_logger

from crossaccount.audit.probe import try_doors
from crossaccount.aws import sessions
from crossaccount.aws.access import Target, open_producer
from crossaccount.config.loading import parse_config
from crossaccount.config.model import Sharing
from crossaccount.errors import DoorName, Failed, Refused
from crossaccount.hosting import creation, queues, removal, state
from crossaccount.hosting.gateway import Patience
from crossaccount.hosting.resources import deployment_name
from crossaccount.promotion import moving
from crossaccount.promotion.outcome import ConsumerOutcome, Result
from crossaccount.proof.proof import Proof, prove
from crossaccount.proof.questions import questions
from crossaccount.release.manifest import Release
from crossaccount.sharing import apply, gather, publish
from crossaccount.sharing.plan import plan_share
from crossaccount_sandbox import accounts
from crossaccount_sandbox.server import Server
from tasks import consumer as steps

TEMPLATES = Path(__file__).parents[2] / "deployments" / "iam"
NAME = "decision-trees-staging"
BUCKET = "answers-of-staging"
ROLE = "arn:aws:iam::{}:role/crossaccount-{}"
EXECUTION, DEPLOYER = (ROLE.format(accounts.STAGING.id, name) for name in ("execution", "deployer"))
TOPICS = [f"arn:aws:sns:{accounts.REGION}:{accounts.STAGING.id}:{name}" for name in ("answers", "errors")]
QUICK = Patience(seconds=20, first=0.03, longest=0.2)
ROWS = "5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5"  # version 1 says 0 and 1, version 2 says 0 and 2
RIGHT = {"content_type": "text/csv", "body": ROWS, "expect_schema": {"type": "array", "minItems": 2}}


def sharing_of(key: str | None = None, **changes: Any) -> Sharing:
    """The config; ``endpoint`` and ``queue`` add to those of the consumer, anything else to the consumer itself."""
    queue = {
        "s3_output": f"s3://{BUCKET}/answers/",
        "s3_failures": f"s3://{BUCKET}/failures",  # without a slash at its end it is the same prefix
        "success_topic": TOPICS[0],
        "error_topic": TOPICS[1],
        "answer_seconds": 30,
        **({"kms_key": key} if key else {}),
        **changes.pop("queue", {}),
    }
    endpoint = {"name": NAME, "kind": "asynchronous", "asynchronous": queue, "instance_type": "ml.m5.large"}
    producer = {
        "account": accounts.PRODUCER.id,
        "role": ROLE.format(accounts.PRODUCER.id, "producer"),
        "external_id": "sandbox-producer",
        "profile": "producer",
        "releases": f"s3://{accounts.BUCKET}/{accounts.RELEASES}",
    }
    staging = {
        "account": accounts.STAGING.id,
        "role": DEPLOYER,
        "external_id": "sandbox-staging",
        "profile": "staging",
        "execution_role": EXECUTION,
        "endpoint": {**endpoint, **changes.pop("endpoint", {})},
        **changes,
    }
    whole = {"model_package_group": accounts.GROUP, "region": accounts.REGION, "producer": producer}
    return parse_config(json.dumps({**whole, "consumers": {"staging": staging}}))


@dataclass(frozen=True)
class Stage:
    """A consumer's account, with the Releases of three versions."""

    server: Server
    administrator: accounts.Credentials
    session: boto3.Session
    releases: dict[int, Release]
    key: str
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self.clients:
            key = self.administrator
            session: Any = boto3.session.Session(
                key.access_key_id, key.secret_access_key, region_name=accounts.REGION
            )
            self.clients[service] = session.client(service, endpoint_url=self.server.url)
        return self.clients[service]

    def target(self, **changes: Any) -> Target:
        sharing = sharing_of(self.key, **changes)
        return Target(sharing, "staging", sharing.consumers["staging"], self.session)

    def promote(
        self, version: int, report: Callable[[str], None] = lambda line: None, **changes: Any
    ) -> ConsumerOutcome:
        target = self.target(**changes)
        return moving.promote(target, self.releases[version], QUICK, moving.Run(report))

    def keep(self, version: int, **changes: Any) -> str:
        """The endpoint NAME-vN, serving."""
        target, release = self.target(**changes), self.releases[version]
        creation.ensure_model(target, release, keep=True)
        name = deployment_name(target.consumer, version)
        creation.ensure_endpoint_config(target, release, name, keep=True)
        creation.ensure_endpoint(target, release, True, QUICK)
        creation.wait_in_service(target, name, QUICK)
        return name

    def prove(self, version: int, name: str, **changes: Any) -> Proof:
        target, release = self.target(**changes), self.releases[version]
        return prove(target, release, name, questions(target, release))

    @contextmanager
    def denied(self, role: str, *actions: str, resource: str = "*") -> Iterator[None]:
        """A role that is denied these actions for a while."""
        iam, named = self.client("iam"), {"RoleName": role.rpartition("/")[2], "PolicyName": "denied"}
        statement = {"Effect": "Deny", "Action": list(actions), "Resource": resource}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        iam.put_role_policy(**named, PolicyDocument=json.dumps(document))
        try:
            yield
        finally:
            iam.delete_role_policy(**named)

    @contextmanager
    def without(self, policy: str, role: str) -> Iterator[None]:
        """A role without one of the template's policies for a while."""
        iam, named = self.client("iam"), {"RoleName": role.rpartition("/")[2], "PolicyName": policy}
        document = iam.get_role_policy(**named)["PolicyDocument"]
        iam.delete_role_policy(**named)
        try:
            yield
        finally:
            iam.put_role_policy(**named, PolicyDocument=json.dumps(document))

    def hosted(self) -> tuple[list[str], list[str]]:
        """The names of endpoint configs and models."""
        sm = self.client("sagemaker")
        configs = [one["EndpointConfigName"] for one in sm.list_endpoint_configs()["EndpointConfigs"]]
        return sorted(configs), sorted(one["ModelName"] for one in sm.list_models()["Models"])

    def objects(self, prefix: str) -> list[str]:
        listed = self.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [one["Key"] for one in listed.get("Contents", [])]

    def published(self) -> list[str]:
        return [one["TopicArn"] for one in self.server.world.notifications]

    def clear(self) -> None:
        sm = self.client("sagemaker")
        for one in sm.list_endpoints()["Endpoints"]:
            target = self.target(endpoint={"name": one["EndpointName"]})
            removal.Gateway(target.sagemaker).delete_endpoint(one["EndpointName"], QUICK)
        configs, models = self.hosted()
        for name in configs:
            sm.delete_endpoint_config(EndpointConfigName=name)
        for name in models:
            sm.delete_model(ModelName=name)


def settled(server: Server, folder: Path, patch: pytest.MonkeyPatch) -> Stage:
    two = [accounts.PRODUCER, accounts.STAGING]
    residents = accounts.settle(server.url, TEMPLATES, two)
    keys = folder / "credentials"
    keys.write_text(
        "".join(
            f"[{name}]\naws_access_key_id={key.access_key_id}\naws_secret_access_key={key.secret_access_key}\n"
            for name, key in residents.operators.items()
        )
    )
    patch.setenv("AWS_ENDPOINT_URL", server.url)
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
    patch.setattr("crossaccount.hosting.gateway.FIRST_SECONDS", 0.02)
    registry = Stage(server, residents.administrators["producer"], boto3.Session(), {}, "").client(
        "sagemaker"
    )
    third = f"arn:aws:sagemaker:{accounts.REGION}:{accounts.PRODUCER.id}:model-package/{accounts.GROUP}/3"
    registry.update_model_package(ModelPackageArn=third, ModelApprovalStatus="Approved")
    stage = Stage(server, residents.administrators["staging"], boto3.Session(), {}, "")
    stage.client("s3").create_bucket(Bucket=BUCKET)
    key = stage.client("kms").create_key()["KeyMetadata"]["Arn"]
    update_stack(stage.client("cloudformation"), key)
    stage.client("cloudwatch").put_metric_alarm(
        AlarmName="errors",
        Namespace="AWS/SageMaker",
        MetricName="ApproximateBacklogSize",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
    )
    sharing = sharing_of(key)
    producer = open_producer(sharing)
    found = gather.gather(producer)
    plan = plan_share(sharing, found)
    prepared = [publish.prepare(producer, one, found, plan)[0] for one in found.versions]
    apply.apply(producer, plan, lambda line: None)
    releases = {one.version: publish.publish(producer, one) for one in prepared}
    session = sessions.consumer_session(sharing, "staging", sharing.consumers["staging"])
    return replace(stage, session=session, releases=releases, key=key)


def update_stack(cloudformation: Any, key: str) -> None:
    """Give the roles what an asynchronous endpoint needs, by the template's own parameters."""
    (stack,) = cloudformation.describe_stacks(StackName="crossaccount")["Stacks"]
    given = {
        "AnswersLocation": f"{BUCKET}/answers/",
        "FailuresLocation": f"{BUCKET}/failures/",
        "AnswersKeyArn": key,
        "AnswersTopics": ",".join(TOPICS),
        "SmokeObjects": f"{BUCKET}/questions/",
    }
    kept = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}
    cloudformation.update_stack(
        StackName="crossaccount",
        UsePreviousTemplate=True,
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value} for name, value in {**kept, **given}.items()
        ],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    (stack,) = cloudformation.describe_stacks(StackName="crossaccount")["Stacks"]
    assert stack["StackStatus"] == "UPDATE_COMPLETE"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    server = Server([accounts.PRODUCER, accounts.STAGING], endpoint_seconds=0.02, speed=5000)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        yield settled(server, tmp_path_factory.mktemp("aws"), patch)
    server.stop()


@pytest.fixture
def stage(whole: Stage) -> Stage:
    """An empty account."""
    whole.clear()
    whole.server.world.notifications.clear()
    return whole


@pytest.fixture(scope="module")
def serving(whole: Stage) -> str:
    """An endpoint of version 2 that all of these tests ask."""
    whole.clear()
    return whole.keep(2)


# Moving. These tests clear the account, and so come after those that ask ``serving``.


def proved(stage: Stage, serving: str, **question: Any) -> Proof:
    return stage.prove(2, serving, smoke=[{**RIGHT, **question}])


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({}, ""),
        ({"accept": "text/csv", "expect_schema": None, "expect": [[0], [2]]}, ""),
        ({"expect_schema": None, "expect": [0, 1]}, "expected [0, 1], got [0, 2]"),
        ({"body": "not,a,row"}, "the endpoint failed: Received server error (500) from primary"),
        ({"content_type": "application/x-none"}, "the endpoint failed: Received server error (500)"),
    ],
)
def test_asynchronous_endpoint_is_proved(
    whole: Stage, serving: str, question: dict[str, Any], said: str
) -> None:
    question = {key: value for key, value in {**RIGHT, **question}.items() if value is not None}
    proof = whole.prove(2, serving, smoke=[question])
    assert (proof.verified, said in proof.faults) == (not said, True), proof.faults


def test_the_release_s_own_samples_are_asked_where_there_is_no_smoke(whole: Stage, serving: str) -> None:
    proof = whole.prove(2, serving)
    assert proof.verified
    assert len(proof.answers) == len(whole.releases[2].samples)
    assert all(key.startswith(f"answers/{queues.FOLDER}/") for key in whole.objects("answers/"))


def test_a_body_in_s3_is_read_by_the_execution_role(whole: Stage, serving: str) -> None:
    uri = f"s3://{BUCKET}/questions/large.csv"
    rows = 20_000
    whole.client("s3").put_object(Bucket=BUCKET, Key="questions/large.csv", Body="5.1,3.5,1.4,0.2\n" * rows)
    large = {
        "content_type": "text/csv",
        "body_s3_uri": uri,
        "expect_schema": {"type": "array", "minItems": rows},
    }
    assert whole.prove(2, serving, smoke=[large]).verified
    resource = f"arn:aws:s3:::{BUCKET}/questions/*"
    with whole.denied(EXECUTION, "s3:GetObject", resource=resource):
        proof = whole.prove(2, serving, smoke=[large])
    assert f"Unable to read the request payload at {uri}" in proof.faults
    with pytest.raises(Refused, match=r"smoke\.body_s3_uri"):  # nobody may list the bucket
        whole.prove(2, serving, smoke=[{**large, "body_s3_uri": f"s3://{BUCKET}/questions/none.csv"}])


@pytest.mark.parametrize("question", [{**RIGHT, "body": "5.1,3.5,1.4,0.2\n" * 8_001}])
def test_a_body_that_no_call_takes_is_refused_before_anything_is_created(
    stage: Stage, question: dict[str, Any]
) -> None:
    outcome = stage.promote(1, smoke=[question])
    assert outcome.result is Result.FAILED
    assert "has 128016 bytes, and the asynchronous endpoint" in outcome.text
    assert "smoke.body_s3_uri" in outcome.text
    assert stage.hosted() == ([], [])
    sharing = sharing_of(stage.key, smoke=[question])
    version = steps.preflight.find_version(stage.target(), 1)
    with disable_run_logger(), pytest.raises(Failed, match="128016 bytes"):
        steps.read_release.fn(sharing, "staging", version)


def test_asynchronous_endpoint_is_deployed(stage: Stage) -> None:
    sharing, release = sharing_of(stage.key), stage.releases[1]
    with disable_run_logger():
        steps.create_model.fn(sharing, "staging", release, False)
        config = steps.create_endpoint_config.fn(sharing, "staging", release, False)
        endpoint = steps.create_endpoint.fn(sharing, "staging", release, False)
        seen = creation.wait_in_service(stage.target(), endpoint.name, QUICK)
        proof = steps.ask_endpoint.fn(sharing, "staging", release, endpoint.name, state.deployed_images(seen))
    assert proof.verified, proof.faults
    asked = stage.client("sagemaker").describe_endpoint_config(EndpointConfigName=config.name)
    assert asked["AsyncInferenceConfig"]["OutputConfig"] == {
        "S3OutputPath": f"s3://{BUCKET}/answers/",
        "S3FailurePath": f"s3://{BUCKET}/failures",
        "KmsKeyId": stage.key,
    }
    assert stage.published() == []  # answers that are only the proof's are told to no one


def test_asynchronous_endpoint_is_promoted(stage: Stage) -> None:
    for version in (1, 2):
        outcome = stage.promote(version, smoke_mode="both")
        assert (outcome.result, outcome.live) == (Result.PROMOTED, version), outcome.text
        assert [proof.verified for proof in outcome.proofs] == [True, True]
    assert set(stage.published()) == {TOPICS[0]}


def test_asynchronous_endpoint_is_rolled_back(stage: Stage) -> None:
    for version in (1, 2):
        assert stage.promote(version, smoke_mode="after").result is Result.PROMOTED
    target = stage.target()
    to = state.previous_config(target)
    assert to is not None
    assert to.version == 1
    outcome = moving.go_back(target, to, stage.releases[1], QUICK)
    assert (outcome.result, outcome.live) == (Result.PROMOTED, 1), outcome.text
    assert [proof.verified for proof in outcome.proofs] == [True]


def test_asynchronous_endpoint_does_not_keep_a_version_that_answers_wrong(stage: Stage) -> None:
    assert stage.promote(1).result is Result.PROMOTED
    wrong = [{"content_type": "text/csv", "body": ROWS, "expect": [0, 1]}]
    for mode, said in (("before", "was not touched"), ("after", "Rolled back")):
        outcome = stage.promote(2, smoke=wrong, smoke_mode=mode)
        assert (outcome.result, outcome.live) == (Result.FAILED, 1)
        assert "expected [0, 1], got [0, 2]" in outcome.text
        assert said in outcome.text


def test_asynchronous_endpoint_obeys_its_guardrail(stage: Stage) -> None:
    assert stage.promote(1, smoke_mode="after").result is Result.PROMOTED
    cloudwatch = stage.client("cloudwatch")

    def ring(line: str) -> None:
        if "is Updating" in line:
            cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="test")

    canary = {"type": "canary", "canary_percent": 50, "wait_seconds": 3000, "alarms": ["errors"]}
    endpoint = {"instance_count": 2, "deployment": canary}
    try:
        outcome = stage.promote(2, ring, endpoint=endpoint, smoke_mode="after")
    finally:
        cloudwatch.set_alarm_state(AlarmName="errors", StateValue="OK", StateReason="test")
    assert (outcome.result, outcome.live) == (Result.FAILED, 1)
    assert "errors" in outcome.text
    assert stage.promote(2, endpoint=endpoint, smoke_mode="after").result is Result.PROMOTED


def test_asynchronous_endpoint_retires_old_versions(stage: Stage) -> None:
    for version in (1, 2, 3):
        outcome = stage.promote(version, endpoint={"keep_versions": 1}, smoke_mode="after")
        assert outcome.result is Result.PROMOTED, outcome.text
    configs, models = stage.hosted()
    assert models == [f"{NAME}-v2", f"{NAME}-v3"]
    assert [name.rpartition("-")[0] for name in configs] == models


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"kind": "asynchronous"}, {"kind": "real-time", "asynchronous": None}),
        ({"kind": "real-time", "asynchronous": None}, {"kind": "asynchronous"}),
    ],
)
def test_an_endpoint_does_not_change_its_kind(
    stage: Stage, before: dict[str, Any], after: dict[str, Any]
) -> None:
    assert stage.promote(1, endpoint=before, smoke_mode="after").result is Result.PROMOTED
    outcome = stage.promote(2, endpoint=after, smoke_mode="after")
    assert (outcome.result, outcome.live) == (Result.FAILED, 1)
    assert f"is {_article(before)}, and the config asks for {_article(after)}" in outcome.text
    assert "answers none of its callers. Choose another endpoint.name." in outcome.text
    assert stage.hosted()[1] == [f"{NAME}-v1"]


def _article(endpoint: dict[str, Any]) -> str:
    return f"{'an' if endpoint['kind'] == 'asynchronous' else 'a'} {endpoint['kind']} endpoint"


def test_limits_on_latency_count_the_queue(stage: Stage) -> None:
    name = stage.keep(1)
    for limit, holds in ((0.001, False), (60_000, True)):
        proof = stage.prove(1, name, smoke=[RIGHT], latency={"calls": 2, "p95_ms": limit})
        assert proof.speed is not None
        assert proof.speed.calls == 2
        assert proof.verified is holds


# Shut doors.

OUTPUT = f"arn:aws:s3:::{BUCKET}/answers/"


@pytest.mark.parametrize(
    ("policy", "role", "door", "action"),
    [
        ("answers", EXECUTION, DoorName.EXECUTION_ROLE, "s3:PutObject"),
        ("answers-key", EXECUTION, DoorName.EXECUTION_ROLE, "kms:GenerateDataKey"),
        ("queue", DEPLOYER, DoorName.CALLER_POLICY, "sagemaker:InvokeEndpointAsync"),
        ("answers-key", DEPLOYER, DoorName.CALLER_POLICY, "kms:Decrypt"),
    ],
)
def test_a_role_without_its_part_is_named(
    stage: Stage, policy: str, role: str, door: str, action: str
) -> None:
    name = stage.keep(1)
    with stage.without(policy, role):
        with pytest.raises(Refused) as caught:
            stage.prove(1, name, queue={"answer_seconds": 1}, smoke=[RIGHT])
        lacking = [f"{need.role} {need.action}" for need, _ in queues.lacking(stage.target())]
    refusal = caught.value.refusal
    assert (refusal.door, refusal.action, refusal.account) == (door, action, accounts.STAGING.id)
    assert role in str(caught.value)
    late = "raise asynchronous.answer_seconds" in refusal.next_step  # nobody asked the resource's own policy
    assert late is (refusal.aws_code == "implicitDeny")
    assert f"{role} {action}" in lacking
    assert stage.prove(1, name, smoke=[RIGHT]).verified  # with it, it all stands


@pytest.mark.parametrize(
    ("role", "action", "place", "door", "said"),
    [
        (EXECUTION, "s3:PutObject", "answers/*", DoorName.EXECUTION_ROLE, "denies s3:PutObject"),
        (DEPLOYER, "s3:GetObject", "answers/*", DoorName.CALLER_POLICY, "s3:GetObject"),
        (DEPLOYER, "s3:GetObject", "failures/*", DoorName.CALLER_POLICY, "s3:GetObject"),
    ],
)
def test_a_role_that_is_denied_its_part_is_named(
    stage: Stage, role: str, action: str, place: str, door: str, said: str
) -> None:
    name = stage.keep(1)
    failing = [{**RIGHT, "body": "not,a,row"}] if place.startswith("failures") else [RIGHT]
    with (
        stage.denied(role, action, resource=f"arn:aws:s3:::{BUCKET}/{place}"),
        pytest.raises(Refused) as caught,
    ):
        stage.prove(1, name, queue={"answer_seconds": 1}, smoke=failing)
    assert (caught.value.refusal.door, caught.value.refusal.account) == (door, accounts.STAGING.id)
    assert said in str(caught.value)


def test_a_key_that_is_shut_to_the_execution_role_leaves_no_answer(stage: Stage) -> None:
    kms, name = stage.client("kms"), stage.keep(1)
    before = kms.get_key_policy(KeyId=stage.key, PolicyName="default")["Policy"]
    shut = json.loads(before)
    shut["Statement"].append(
        {"Effect": "Deny", "Principal": {"AWS": EXECUTION}, "Action": "kms:GenerateDataKey", "Resource": "*"}
    )
    kms.put_key_policy(KeyId=stage.key, PolicyName="default", Policy=json.dumps(shut))
    try:
        proof = stage.prove(
            1, name, queue={"answer_seconds": 1}, smoke=[RIGHT, {**RIGHT, "accept": "text/csv"}]
        )
    finally:
        kms.put_key_policy(KeyId=stage.key, PolicyName="default", Policy=before)
    first, second = proof.answers
    assert "no answer lay at s3://" in first.got
    assert "within 1 s, and no error at s3://" in first.got
    assert f"data-log of /aws/sagemaker/Endpoints/{name}" in first.got
    assert second.got.startswith("unreadable answer: it was not asked, because the question before it")


def test_an_endpoint_without_instances_has_no_answer_in_time(stage: Stage) -> None:
    name, sm = stage.keep(1), stage.client("sagemaker")
    none = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}]
    sm.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=none)
    creation.wait_in_service(stage.target(), name, QUICK)
    proof = stage.prove(1, name, queue={"answer_seconds": 1, "s3_failures": None}, smoke=[RIGHT])
    assert not proof.verified
    assert "no answer lay at s3://" in proof.faults


def test_topics_that_are_shut_fail_the_endpoint_and_leave_the_one_before(stage: Stage) -> None:
    quiet = {"success_topic": None, "error_topic": None}
    assert stage.promote(1, queue=quiet, smoke_mode="after").result is Result.PROMOTED
    with stage.without("topics", EXECUTION):
        outcome = stage.promote(2, smoke_mode="after")
    assert (outcome.result, outcome.live) == (Result.FAILED, 1)
    assert f'has "sns:Publish" permissions for topic "{TOPICS[0]}"' in outcome.text


@pytest.mark.parametrize(
    ("policy", "role", "action"),
    [
        ("answers", EXECUTION, "s3:PutObject"),
        ("failures", EXECUTION, "s3:PutObject"),
        ("topics", EXECUTION, "sns:Publish"),
        ("answers-key", EXECUTION, "kms:GenerateDataKey"),
        ("queue", DEPLOYER, "sagemaker:InvokeEndpointAsync"),
        ("failures", DEPLOYER, "s3:GetObject"),
        ("input", EXECUTION, "s3:GetObject"),
    ],
)
def test_check_says_what_the_roles_lack(whole: Stage, policy: str, role: str, action: str) -> None:
    asked = {"content_type": "text/csv", "body_s3_uri": f"s3://{BUCKET}/questions/large.csv", "expect": 1}
    sharing = sharing_of(whole.key, smoke=[asked])
    assert [str(one) for one in try_doors(sharing, "staging", (), False).findings] == []
    with whole.without(policy, role):
        findings = [str(one) for one in try_doors(sharing, "staging", (), False).findings]
    assert any(f"No policy of {role} allows {action} on arn:aws:" in one for one in findings), findings
