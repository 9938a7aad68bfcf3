"""An endpoint whose versions are carried by an inference component, in every step that the product has, on real processes.

Version 4 answers like version 1, and its producer recorded the answers of version 2: it is the wrong one here.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from crossaccount.audit.live import find_live
from crossaccount.aws import sessions
from crossaccount.aws.access import Target, open_producer
from crossaccount.aws.endpoint_status import IN_PROGRESS
from crossaccount.config.loading import parse_config
from crossaccount.config.model import ConsumerConfig, Sharing
from crossaccount.errors import ConfigError, Conflict, Refused, Severity
from crossaccount.hosting import (
    component_requests,
    components,
    creation,
    leftovers,
    quotas,
    removal,
    requests,
    shift,
    state,
    temporary,
)
from crossaccount.hosting.component_gateway import seen_as_endpoint
from crossaccount.hosting.gateway import Patience
from crossaccount.hosting.outcome import ShiftOutcome
from crossaccount.hosting.resources import HostedResource, deployment_name
from crossaccount.hosting.state import LiveEndpoint
from crossaccount.promotion import moving
from crossaccount.promotion.outcome import ConsumerOutcome, Result
from crossaccount.proof.asking import ask
from crossaccount.proof.proof import Proof, prove
from crossaccount.proof.questions import questions
from crossaccount.release.manifest import Release
from crossaccount.sharing import apply, gather, publish, usage
from crossaccount.sharing.plan import plan_share
from crossaccount_sandbox import accounts
from crossaccount_sandbox.sagemaker.outcomes import Outcome
from crossaccount_sandbox.server import Server
from crossaccount_sandbox.training import train

TEMPLATES = Path(__file__).parents[2] / "deployments" / "iam"
NAME = "decision-trees-staging"
PLACE = (accounts.STAGING.id, accounts.REGION)
QUICK = Patience(seconds=15, first=0.02, longest=0.2)
ROLE = "arn:aws:iam::{}:role/crossaccount-{}"
WRONG = 4
COMPONENT = {"memory_mb": 1024, "max_memory_mb": 2048, "cpu_cores": 0.5, "copies": 1}
ROLLING = {"type": "rolling", "batch_percent": 25, "wait_seconds": 100, "alarms": ["errors"]}
FOUR = {**COMPONENT, "copies": 4}


def document(endpoint: dict[str, Any], **consumer: Any) -> str:
    producer = {
        "account": accounts.PRODUCER.id,
        "role": ROLE.format(accounts.PRODUCER.id, "producer"),
        "external_id": "sandbox-producer",
        "profile": "producer",
        "releases": f"s3://{accounts.BUCKET}/{accounts.RELEASES}",
    }
    kind = {"kind": "inference-components", "inference_component": COMPONENT}
    staging = {
        "account": accounts.STAGING.id,
        "role": ROLE.format(accounts.STAGING.id, "deployer"),
        "external_id": "sandbox-staging",
        "profile": "staging",
        "execution_role": ROLE.format(accounts.STAGING.id, "execution"),
        "endpoint": {"name": NAME, "instance_type": "ml.m5.large", **kind, **endpoint},
        **consumer,
    }
    staging["endpoint"] = {key: value for key, value in staging["endpoint"].items() if value is not None}
    whole = {"model_package_group": accounts.GROUP, "region": accounts.REGION, "producer": producer}
    return json.dumps({**whole, "consumers": {"staging": staging}})


@dataclass
class Stage:
    """A consumer's account in which anything may happen, and the releases of four versions."""

    server: Server
    session: boto3.Session
    admin: Any
    clients: dict[str, Any]
    calls: list[dict[str, Any]]
    sharing: Sharing
    consumer: ConsumerConfig
    releases: dict[int, Release] = field(default_factory=dict)

    def like(self, mode: str = "both", **endpoint: Any) -> Stage:
        """The same account under a config that says something else."""
        sharing = parse_config(document(endpoint, smoke_mode=mode))
        return replace(self, sharing=sharing, consumer=sharing.consumers["staging"])

    @property
    def target(self) -> Target:
        return Target(self.sharing, "staging", self.consumer, self.session)

    def promote(
        self, version: int, report: Callable[[str], None] = lambda line: None, patience: Patience = QUICK
    ) -> ConsumerOutcome:
        return moving.promote(self.target, self.releases[version], patience, moving.Run(report))

    def roll_back(self) -> ConsumerOutcome:
        to = state.previous_config(self.target)
        assert to is not None
        return moving.go_back(self.target, to, self.releases[to.version], QUICK)

    def shift(self, version: int) -> str:
        """Begin to move to a version, and die."""
        return shift.shift(self.target, self.releases[version], QUICK).config

    def settle(self, config: str) -> ShiftOutcome:
        return shift.settle(self.target, config, QUICK)

    def config(self, version: int) -> str:
        return requests.config_name(self.consumer, self.releases[version])

    def look(self) -> LiveEndpoint:
        live = state.look(self.target)
        assert live is not None
        return live

    def deploy(self, version: int, keep: bool = False) -> list[HostedResource]:
        """A version on its temporary endpoint."""
        release, name = self.releases[version], deployment_name(self.consumer, version)
        return [
            creation.ensure_model(self.target, release, keep, "run"),
            creation.ensure_endpoint_config(self.target, release, name, keep, "run"),
            creation.ensure_endpoint(self.target, release, keep, QUICK, "run"),
            components.ensure_component(self.target, release, keep, QUICK, "run"),
        ]

    def prove(self, version: int, endpoint: str) -> Proof:
        return prove(
            self.target, self.releases[version], endpoint, questions(self.target, self.releases[version])
        )

    def expect(self, name: str = NAME, **outcome: Any) -> None:
        self.server.outcomes.next_endpoint(Outcome(**outcome), accounts.STAGING.id, name)

    def alarm(self, state: str) -> None:
        self.clients["cloudwatch"].set_alarm_state(AlarmName="errors", StateValue=state, StateReason="test")

    def component(self, name: str = NAME) -> dict[str, Any]:
        return dict(self.admin.describe_inference_component(InferenceComponentName=name))

    def copies(self, count: int) -> None:
        """Have so many copies, as autoscaling does."""
        self.admin.update_inference_component_runtime_config(
            InferenceComponentName=NAME, DesiredRuntimeConfig={"CopyCount": count}
        )
        self.calm()

    def calm(self) -> None:
        while self.component()["InferenceComponentStatus"] in IN_PROGRESS:
            time.sleep(0.01)

    def answers(self) -> set[int]:
        """The versions whose answers are given: version 1 takes this flower for 1, the others for 2."""
        asked = {
            "ContentType": "text/csv",
            "Accept": "application/json",
            "Body": "6.3,3.3,6.0,2.5\n6.3,3.3,6.0,2.5",
        }
        invoke = self.clients["runtime"].invoke_endpoint
        found = [invoke(EndpointName=NAME, InferenceComponentName=NAME, **asked) for _ in range(4)]
        return {json.load(one["Body"])[0] for one in found}

    def hosted(self) -> dict[str, list[str]]:
        sm = self.admin
        listed = {
            "components": (sm.list_inference_components()["InferenceComponents"], "InferenceComponentName"),
            "endpoints": (sm.list_endpoints()["Endpoints"], "EndpointName"),
            "configs": (sm.list_endpoint_configs()["EndpointConfigs"], "EndpointConfigName"),
            "models": (sm.list_models()["Models"], "ModelName"),
        }
        return {kind: sorted(one[name] for one in found) for kind, (found, name) in listed.items()}

    def operations(self, *begin: str) -> list[str]:
        """The calls that begin so, of the deployer, with their resources' names."""
        calls = [one for one in self.calls if "crossaccount-deployer" in str(one["caller"])]
        return [
            f"{one['operation']} {str(one['resource']).rpartition('/')[2]}"
            for one in calls
            if str(one["operation"]).startswith(begin)
        ]

    def clear(self) -> None:
        """An empty account, whatever was there."""
        self.server.outcomes.clear()
        self.alarm("OK")
        self._remove("inference_component", "InferenceComponentName", self.server.world.components)
        self._remove("endpoint", "EndpointName", self.server.world.endpoints)
        hosted = self.hosted()
        for name in hosted["configs"]:
            self.admin.delete_endpoint_config(EndpointConfigName=name)
        for name in hosted["models"]:
            self.admin.delete_model(ModelName=name)
        self.calls.clear()

    def _remove(self, kind: str, parameter: str, table: dict[Any, Any]) -> None:
        deadline = time.monotonic() + 20
        while table:
            assert time.monotonic() < deadline, list(table)
            for record in list(table.values()):
                if record["EndpointStatus"] not in IN_PROGRESS:
                    getattr(self.admin, f"delete_{kind}")(**{parameter: record["EndpointName"]})
            time.sleep(0.01)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    two, calls = [accounts.PRODUCER, accounts.STAGING], list[dict[str, Any]]()
    server = Server(two, endpoint_seconds=0.02, speed=5000, log=calls.append)
    server.start()
    residents = accounts.settle(server.url, TEMPLATES, two)
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
        yield _staged(server, calls, residents.administrators)
    server.stop()


def _staged(server: Server, calls: list[dict[str, Any]], administrators: dict[str, Any]) -> Stage:
    def client(account: str, service: str) -> Any:
        key = administrators[account]
        session: Any = boto3.session.Session(
            key.access_key_id, key.secret_access_key, region_name=accounts.REGION
        )
        return session.client(service, endpoint_url=server.url)

    _register(client("producer", "s3"), client("producer", "sagemaker"))
    clients = {
        "runtime": client("staging", "sagemaker-runtime"),
        **{
            one: client("staging", one)
            for one in ("cloudwatch", "iam", "application-autoscaling", "cloudformation")
        },
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
    return Stage(
        server, session, client("staging", "sagemaker"), clients, calls, sharing, consumer, published
    )


def _register(s3: Any, registry: Any) -> None:
    """Approve version 3, and add version 4, the wrong one."""
    third = f"arn:aws:sagemaker:us-east-1:{accounts.PRODUCER.id}:model-package/{accounts.GROUP}/3"
    registry.update_model_package(ModelPackageArn=third, ModelApprovalStatus="Approved")
    spec = registry.describe_model_package(ModelPackageName=third)["InferenceSpecification"]
    folder = f"{accounts.ARTIFACTS}{WRONG}/"
    s3.put_object(Bucket=accounts.BUCKET, Key=f"{folder}model.tar.gz", Body=train(1).archive)
    s3.put_object(Bucket=accounts.BUCKET, Key=f"{folder}samples.tar.gz", Body=train(2).samples)
    where = f"s3://{accounts.BUCKET}/{folder}"
    container = {"Image": spec["Containers"][0]["Image"], "ModelDataUrl": f"{where}model.tar.gz"}
    registry.create_model_package(
        ModelPackageGroupName=accounts.GROUP,
        ModelApprovalStatus="Approved",
        SamplePayloadUrl=f"{where}samples.tar.gz",
        InferenceSpecification={**spec, "Containers": [container]},
    )


@pytest.fixture
def stage(whole: Stage) -> Stage:
    whole.clear()
    return whole


def test_inference_components_is_deployed_and_proved_and_goes(stage: Stage) -> None:
    deployed = stage.deploy(1)
    assert [one.kind for one in deployed] == ["model", "endpoint-config", "endpoint", "inference-component"]
    name = f"{NAME}-v1"
    creation.wait_in_service(stage.target, name, QUICK)
    proof = stage.prove(1, name)
    assert proof.verified, proof.faults
    asked = [replace(question, stream=True) for question in questions(stage.target, stage.releases[1])]
    streamed = prove(stage.target, stage.releases[1], name, asked)
    assert (streamed.verified, all(one.parts for one in streamed.answers)) == (True, True), streamed.faults
    assert [image.rpartition("@")[2] for image in proof.images] == [
        container.image_digest for container in stage.releases[1].deployed_containers
    ]
    config = stage.admin.describe_endpoint_config(EndpointConfigName=name)
    assert config["ExecutionRoleArn"] == stage.consumer.execution_role
    assert "ModelName" not in config["ProductionVariants"][0]
    specification = stage.component(name)["Specification"]
    assert specification["ModelName"] == name
    assert specification["ComputeResourceRequirements"] == {
        "MinMemoryRequiredInMb": 1024,
        "MaxMemoryRequiredInMb": 2048,
        "NumberOfCpuCoresRequired": 0.5,
    }
    again = stage.deploy(1)
    assert all(one.reused for one in again)
    removed = removal.remove(stage.target, deployed, QUICK)
    assert [(one.kind, one.outcome) for one in removed] == [
        (kind, "removed") for kind in ("inference-component", "endpoint", "endpoint-config", "model")
    ]
    assert not any(stage.hosted().values())


def test_inference_components_is_promoted_and_rolled_back(stage: Stage) -> None:
    both = stage.like("both")
    for version in (1, 2):
        outcome = both.promote(version)
        assert outcome.result is Result.PROMOTED, outcome.text
        assert [proof.endpoint for proof in outcome.proofs] == [f"{NAME}-v{version}", NAME]
    assert stage.answers() == {2}
    live = stage.look()
    assert (live.version, live.config, live.component) == (2, stage.config(2), NAME)
    assert live.proven is not None
    assert stage.hosted() == {
        "components": [NAME],
        "endpoints": [NAME],
        "configs": [live_config := stage.admin.describe_endpoint(EndpointName=NAME)["EndpointConfigName"]],
        "models": [stage.config(1), stage.config(2)],
    }
    assert live_config.startswith(f"{NAME}-v0-")
    assert not stage.operations("UpdateEndpoint")
    assert stage.promote(2).result is Result.UNCHANGED
    back = stage.roll_back()
    assert back.result is Result.PROMOTED, back.text
    assert stage.answers() == {1}
    assert stage.look().version == 1
    assert state.previous_config(stage.target) is None  # version 2 has lost its proof


def test_inference_components_is_proved_before_its_endpoint_is_touched(stage: Stage) -> None:
    stage.promote(1)
    stage.calls.clear()
    outcome = stage.like("before").promote(WRONG)
    assert outcome.result is Result.FAILED
    assert "was not touched" in outcome.text
    assert f"UpdateInferenceComponent {NAME}" not in stage.operations("Update")
    assert stage.answers() == {1}
    assert stage.hosted()["endpoints"] == stage.hosted()["components"] == [NAME]
    assert f"{NAME}-v{WRONG}" not in stage.hosted()["models"]


def test_inference_components_is_taken_back_when_it_answers_wrong(stage: Stage) -> None:
    stage.promote(2)
    outcome = stage.like("after").promote(WRONG)
    assert outcome.result is Result.FAILED
    assert f"Rolled back: The endpoint {NAME} serves version 2" in outcome.text
    assert outcome.live == 2
    assert stage.answers() == {2}
    assert stage.config(WRONG) not in stage.hosted()["models"]


def test_a_first_version_that_answers_wrong_is_taken_down(stage: Stage) -> None:
    outcome = stage.like("after").promote(WRONG)
    assert outcome.result is Result.FAILED
    assert outcome.live is None
    assert not any(stage.hosted().values()), stage.hosted()


def test_inference_components_obeys_its_guardrail(stage: Stage) -> None:
    rolling = stage.like("after", deployment=ROLLING, inference_component=FOUR)
    assert rolling.promote(1).result is Result.PROMOTED

    def ring(line: str) -> None:
        if "updated to" in line:
            stage.alarm("ALARM")

    outcome = rolling.promote(2, ring)
    assert outcome.result is Result.FAILED
    assert "AWS rolled the endpoint" in outcome.text
    assert "alarm(s) errors" in outcome.text
    assert (outcome.before, outcome.live) == (1, 1)
    deployment = stage.component()["LastDeploymentConfig"]
    assert deployment["AutoRollbackConfiguration"] == {"Alarms": [{"AlarmName": "errors"}]}
    assert deployment["RollingUpdatePolicy"]["MaximumBatchSize"] == {"Type": "CAPACITY_PERCENT", "Value": 25}
    assert rolling.look().alarms == ("errors",)
    assert rolling.config(2) not in stage.hosted()["models"]
    stage.alarm("OK")
    assert rolling.promote(2).result is Result.PROMOTED
    assert stage.answers() == {2}


def test_an_alarm_that_is_not_there_changes_nothing(stage: Stage) -> None:
    stage.promote(1)
    stage.calls.clear()
    outcome = stage.like("after", deployment={**ROLLING, "alarms": ["none"]}).promote(2)
    assert outcome.result is Result.FAILED
    assert "has no CloudWatch alarm none" in outcome.text
    assert not stage.operations("Create", "Update")


@pytest.mark.parametrize("kind", ["unhealthy", "crash-loop", "no-capacity"])
def test_containers_that_do_not_come_up_leave_the_version_before(stage: Stage, kind: str) -> None:
    stage.promote(1)
    stage.expect(kind=kind, seconds=50)
    outcome = stage.like("after").promote(2)
    assert outcome.result is Result.FAILED
    assert "AWS rolled the endpoint" in outcome.text
    assert stage.answers() == {1}
    assert stage.look().proven is not None


def test_a_first_version_that_does_not_come_up_leaves_nothing(stage: Stage) -> None:
    stage.expect(kind="unhealthy", seconds=50)
    outcome = stage.like("after").promote(1)
    assert outcome.result is Result.FAILED
    assert "is Failed and serves nothing" in outcome.text
    assert f"/aws/sagemaker/InferenceComponents/{NAME}" in outcome.text
    assert not any(stage.hosted().values()), stage.hosted()
    assert stage.promote(1).result is Result.PROMOTED


def test_a_rollback_that_fails_too_serves_a_mix_and_the_next_promotion_ends_that(stage: Stage) -> None:
    rolling = stage.like("after", deployment=ROLLING, inference_component=FOUR)
    rolling.promote(1)
    stage.expect(kind="unhealthy", batch=2, rollback_fails=True)
    outcome = rolling.promote(2)
    assert outcome.result is Result.FAILED
    assert outcome.live is None
    assert "serves a mix of both" in outcome.text
    assert stage.component()["InferenceComponentStatus"] == "Failed"
    again = rolling.promote(2)
    assert again.result is Result.PROMOTED, again.text
    assert stage.answers() == {2}


def test_a_component_too_large_for_its_instances_is_told(stage: Stage) -> None:
    outcome = stage.like("after", inference_component={"memory_mb": 99_999}).promote(1)
    assert outcome.result is Result.FAILED
    assert "InsufficientInstanceCapacity" in outcome.text
    assert not any(stage.hosted().values())


def test_inference_components_retires_old_versions(stage: Stage) -> None:
    short = stage.like("after", keep_versions=0)
    for version in (1, 2, 3):
        assert short.promote(version).result is Result.PROMOTED
    assert stage.hosted()["models"] == [short.config(2), short.config(3)]  # the live one, and the one before
    larger = stage.like("after", keep_versions=0, instance_count=2)
    outcome = larger.promote(3)
    assert outcome.result is Result.PROMOTED, outcome.text
    assert ("endpoint-config", "removed") in {(one.kind, one.outcome) for one in outcome.removals}
    assert len(stage.hosted()["configs"]) == 1
    assert (
        stage.admin.describe_endpoint(EndpointName=NAME)["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    )
    assert stage.answers() == {2}


def test_another_capacity_is_another_move_and_is_gone_back_from(stage: Stage) -> None:
    stage.promote(1)
    larger = stage.like("after", inference_component={**COMPONENT, "memory_mb": 2048, "copies": 2})
    outcome = larger.promote(2)
    assert outcome.result is Result.PROMOTED, outcome.text
    assert stage.component()["RuntimeConfig"]["DesiredCopyCount"] == 2
    assert stage.roll_back().result is Result.PROMOTED
    found = stage.component()
    assert found["Specification"]["ComputeResourceRequirements"]["MinMemoryRequiredInMb"] == 1024
    assert found["RuntimeConfig"]["DesiredCopyCount"] == 1


@pytest.mark.parametrize(("retain", "copies"), [(True, 3), (False, 1)])
def test_copies_that_autoscaling_has_set_survive_where_that_is_asked(
    stage: Stage, retain: bool, copies: int
) -> None:
    one = stage.like("after", retain_variant_properties=retain)
    one.promote(1)
    stage.copies(3)
    assert one.promote(2).result is Result.PROMOTED
    assert stage.component()["RuntimeConfig"]["DesiredCopyCount"] == copies


SCALED = {"managed_scaling": {"minimum": 0, "maximum": 2}}


def test_scale_from_zero_is_waited_for(stage: Stage) -> None:
    scaled = stage.like("after", **SCALED)
    scaled.promote(1)
    stage.copies(0)
    shown = stage.admin.describe_endpoint(EndpointName=NAME)["ProductionVariants"][0]
    assert shown["CurrentInstanceCount"] == 0
    asked = questions(scaled.target, scaled.releases[1])
    silent = ask(scaled.target, NAME, asked, Patience(0.05, first=0.01))
    assert all("has no capacity" in answer.got for answer in silent)
    stage.clients["application-autoscaling"].register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId=f"inference-component/{NAME}",
        ScalableDimension="sagemaker:inference-component:DesiredCopyCount",
        MinCapacity=0,
        MaxCapacity=2,
    )
    answers = ask(scaled.target, NAME, asked, QUICK)
    assert all(answer.ok for answer in answers)
    assert (
        stage.admin.describe_endpoint(EndpointName=NAME)["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    )


def test_a_promotion_brings_up_what_is_scaled_to_zero(stage: Stage) -> None:
    scaled = stage.like("after", **SCALED)
    scaled.promote(1)
    stage.copies(0)
    outcome = scaled.promote(2)
    assert outcome.result is Result.PROMOTED, outcome.text
    assert stage.answers() == {2}


# Runs that died, and what others did.


def test_a_run_that_died_anywhere_is_gone_on_from(stage: Stage) -> None:
    """Killed after each call that changes something, in turn."""
    stage.like("after").promote(1)
    after = stage.like("after")
    for operation in ("CreateModel", "AddTags", "UpdateInferenceComponent"):
        with killed_at(stage, operation):
            outcome = after.promote(2)
            assert outcome.result is Result.FAILED
        assert after.promote(2).result is Result.PROMOTED
        assert stage.answers() == {2}
        assert after.promote(1).result is Result.PROMOTED


@contextmanager
def killed_at(stage: Stage, operation: str) -> Iterator[None]:
    """The deployer may do everything but this, and nothing after it that would tidy up."""
    named = {"RoleName": "crossaccount-deployer", "PolicyName": "denied"}
    after = ["sagemaker:DeleteModel", "sagemaker:DeleteInferenceComponent", f"sagemaker:{operation}"]
    statement = {"Effect": "Deny", "Action": after, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    stage.clients["iam"].put_role_policy(**named, PolicyDocument=document)
    try:
        yield
    finally:
        stage.clients["iam"].delete_role_policy(**named)


def test_an_endpoint_without_a_component_gets_one(stage: Stage) -> None:
    with killed_at(stage, "CreateInferenceComponent"):
        assert stage.like("after").promote(1).result is Result.FAILED
    assert stage.hosted()["components"] == []
    assert stage.like("after").promote(1).result is Result.PROMOTED
    assert stage.answers() == {1}


def test_a_move_that_is_under_way_is_waited_for(stage: Stage) -> None:
    rolling = stage.like(
        "after",
        deployment={"type": "rolling", "batch_percent": 25, "wait_seconds": 400},
        inference_component=FOUR,
    )
    rolling.promote(1)
    config = rolling.shift(2)
    live = rolling.look()
    assert (live.status, live.pending, live.config) == ("Updating", config, rolling.config(1))
    assert rolling.promote(3).result is Result.PROMOTED
    assert rolling.look().version == 3


def test_a_wrong_version_that_a_dead_run_has_begun_to_move_to_does_not_stay(stage: Stage) -> None:
    stage.promote(2)
    config = stage.shift(WRONG)
    outcome = stage.like("before").promote(WRONG)
    assert outcome.result is Result.FAILED
    assert "was not touched" not in outcome.text
    assert stage.answers() == {2}
    assert config not in stage.hosted()["models"]


def test_leftovers_of_dead_runs_are_found_and_go(stage: Stage) -> None:
    stage.promote(2)
    stage.deploy(1)
    temporary.begin_trial(stage.target, stage.releases[3], QUICK, "other")
    found = leftovers.find(stage.target)
    assert {(one.kind, one.name, one.flow_run) for one in found} == {
        (kind, f"{NAME}-v{version}", run)
        for version, run in ((1, "run"), (3, "other"))
        for kind in ("inference-component", "endpoint", "endpoint-config", "model")
    }
    removed = leftovers.reap(stage.target, found, QUICK)
    assert {one.outcome for one in removed} == {"removed"}
    assert stage.hosted()["components"] == stage.hosted()["endpoints"] == [NAME]
    assert stage.answers() == {2}


def test_a_kept_deployment_is_no_leftover(stage: Stage) -> None:
    stage.deploy(1, keep=True)
    assert leftovers.find(stage.target) == ()
    assert removal.end_trials(stage.target, QUICK) == ()


def test_a_stranger_s_component_is_left_alone(stage: Stage) -> None:
    stage.promote(1)
    arn = stage.component()["InferenceComponentArn"]
    stage.admin.delete_tags(ResourceArn=arn, TagKeys=["crossaccount:managed-by"])
    outcome = stage.like("after").promote(2)
    assert outcome.result is Result.FAILED
    assert f"The inference component {NAME} exists and was not made by this tool" in outcome.text
    assert stage.answers() == {1}


def test_a_component_of_another_capacity_is_not_taken_over(stage: Stage) -> None:
    stage.deploy(1)
    larger = stage.like(inference_component={"memory_mb": 4096})
    with pytest.raises(Conflict, match=r"ComputeResourceRequirements.* 1024, not 4096"):
        larger.deploy(1)


@pytest.mark.parametrize(("first", "then"), [("real-time", None), (None, "real-time")])
def test_an_endpoint_does_not_become_one_of_another_kind(stage: Stage, first: Any, then: Any) -> None:
    plain = {"kind": None, "inference_component": None}
    one, other = (stage.like("after", **(plain if kind else {})) for kind in (first, then))
    assert one.promote(1).result is Result.PROMOTED
    hosted = stage.hosted()
    outcome = other.promote(2)
    assert outcome.result is Result.FAILED
    assert "Choose another endpoint.name" in outcome.text
    assert stage.hosted() == hosted


def test_a_version_of_several_containers_is_refused_before_anything_is_made(stage: Stage) -> None:
    release = stage.releases[1]
    two = release.model_copy(update={"containers": release.containers * 2})
    outcome = moving.promote(stage.like("after").target, two, QUICK)
    assert outcome.result is Result.FAILED
    assert "has 2 containers, and an inference component takes one" in outcome.text
    assert not any(stage.hosted().values())


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("sagemaker:CreateInferenceComponent", "first"),
        ("sagemaker:DescribeInferenceComponent", "first"),
        ("sagemaker:InvokeEndpoint", "first"),
        ("iam:PassRole", "first"),
        ("sagemaker:UpdateInferenceComponent", "second"),
        ("sagemaker:ListInferenceComponents", "leftovers"),
        ("sagemaker:DeleteInferenceComponent", "teardown"),
    ],
)
def test_each_right_is_needed_and_its_lack_told(stage: Stage, action: str, kind: str) -> None:
    after = stage.like("after")
    if kind != "first":
        after.promote(1)
    deployed = stage.deploy(2) if kind == "teardown" else []
    statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
    named = {"RoleName": "crossaccount-deployer", "PolicyName": "denied"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    stage.clients["iam"].put_role_policy(**named, PolicyDocument=text)
    try:
        if kind == "leftovers":
            with pytest.raises(Refused, match=action):
                leftovers.find(stage.target)
        elif kind == "teardown":
            left = removal.remove(stage.target, deployed, QUICK)
            assert [(one.kind, one.outcome) for one in left[:2]] == [
                ("inference-component", "left"),
                ("endpoint", "left"),
            ]
            assert action in left[0].reason
        else:
            outcome = after.promote(2 if kind == "second" else 1)
            assert (outcome.result, outcome.refused) == (Result.FAILED, True)
            assert action in outcome.text
    finally:
        stage.clients["iam"].delete_role_policy(**named)


@pytest.fixture(scope="module")
def untold(whole: Stage) -> str:
    """The deployer of a stack that is not told of inference components."""
    given = {
        "NamePrefix": "untold",
        "ProducerAccount": accounts.PRODUCER.id,
        "ModelPackageGroupName": accounts.GROUP,
        "ArtifactBucket": accounts.BUCKET,
        "ReleasesBucket": accounts.BUCKET,
        "ReleasesPrefix": accounts.RELEASES,
        "RepositoryName": accounts.REPOSITORY,
        "EndpointName": NAME,
        "ExternalId": "untold",
    }
    whole.clients["cloudformation"].create_stack(
        StackName="untold",
        TemplateBody=(TEMPLATES / "consumer.yaml").read_text(),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    return f"arn:aws:iam::{accounts.STAGING.id}:role/untold-deployer"


def arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{accounts.REGION}:{accounts.STAGING.id}:{kind}/{name}"


OURS = arn("inference-component", NAME)


@pytest.mark.parametrize(
    ("action", "resource", "may"),
    [
        ("CreateInferenceComponent", OURS, True),
        ("CreateInferenceComponent", f"{OURS}-v1", True),
        ("CreateInferenceComponent", arn("endpoint", NAME), True),
        ("CreateInferenceComponent", arn("endpoint", "other"), False),
        ("CreateInferenceComponent", arn("inference-component", "other"), False),
        ("UpdateInferenceComponent", OURS, True),
        ("UpdateInferenceComponent", f"{OURS}-v1", False),
        ("UpdateInferenceComponent", arn("inference-component", "other"), False),
        ("DescribeInferenceComponent", OURS, True),
        ("DescribeInferenceComponent", arn("inference-component", "other"), False),
        ("DeleteInferenceComponent", f"{OURS}-v1", True),
        ("DeleteInferenceComponent", arn("inference-component", "other"), False),
        ("UpdateInferenceComponentRuntimeConfig", OURS, False),
        ("InvokeEndpoint", OURS, True),
        ("InvokeEndpoint", arn("inference-component", "other"), False),
        ("InvokeEndpointWithResponseStream", OURS, True),
        ("InvokeEndpointWithResponseStream", arn("inference-component", "other"), False),
        ("DeleteTags", OURS, False),
        ("DeleteTags", arn("model", f"{NAME}-v1-0a1b"), True),
        ("DeleteTags", arn("model", "other"), False),
        ("ListInferenceComponents", "*", True),
    ],
)
def test_the_template_grants_components_to_who_has_them_alone(
    whole: Stage, untold: str, action: str, resource: str, may: bool
) -> None:
    told = ROLE.format(accounts.STAGING.id, "deployer")
    for role, expected in ((told, may), (untold, False)):
        answer = whole.clients["iam"].simulate_principal_policy(
            PolicySourceArn=role, ActionNames=[f"sagemaker:{action}"], ResourceArns=[resource]
        )
        assert (answer["EvaluationResults"][0]["EvalDecision"] == "allowed") is expected, role


# The config, and pure functions.


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ({"deployment": {"type": "canary", "canary_percent": 10}}, "moves all at once or rolling"),
        ({"deployment": {"type": "linear", "linear_percent": 10}}, "moves all at once or rolling"),
        ({"deployment": {"alarms": ["errors"]}}, "in rolling updates alone"),
        ({"deployment": {"wait_seconds": 60}}, "in rolling updates alone"),
        ({"deployment": {"maximum_seconds": 600}}, "in rolling updates alone"),
        ({"deployment": {"termination_wait_seconds": 60}}, "has no instances of the old version to keep"),
        ({"container_mode": "direct"}, "takes one container"),
        ({"inference_component": None}, "inference_component"),
        ({"kind": "real-time"}, "says what an endpoint with inference components is"),
        ({"inference_component": {"memory_mb": 1024, "copies": 0}}, "copies"),
        ({"inference_component": {"memory_mb": 127}}, "memory_mb"),
        (
            {"inference_component": {"memory_mb": 2048, "max_memory_mb": 1024}},
            "less than the memory_mb of 2048",
        ),
        ({"inference_component": {"memory_mb": 1024, "cpu_cores": 0.1}}, "less than 0.25"),
        ({"inference_component": {"memory_mb": 1024, "accelerators": 0.5}}, "less than 1"),
    ],
)
def test_what_aws_would_refuse_is_refused_by_the_config(endpoint: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_config(document(endpoint))


@pytest.mark.parametrize(
    "capacity",
    [
        {"memory_mb": 1024},
        {"memory_mb": 1024, "max_memory_mb": 4096, "cpu_cores": 0.25, "accelerators": 2, "copies": 100},
    ],
)
@pytest.mark.parametrize("slow", [{}, {"container_startup_seconds": 900, "model_download_seconds": 60}])
def test_a_capacity_is_read_back_from_its_tag(capacity: dict[str, Any], slow: dict[str, Any]) -> None:
    sharing = parse_config(document({"inference_component": capacity, **slow}))
    asked = component_requests.capacity(sharing.consumers["staging"].endpoint)
    note = component_requests.noted(asked)
    assert len(note) <= 256
    assert component_requests.read_note(note) == asked


@pytest.mark.parametrize(
    "text", ["", "copies=1", "memory=1024", "memory=x copies=1", "memory=1 copies=1.5", "a=1,b=2"]
)
def test_another_tag_is_no_capacity(text: str) -> None:
    assert component_requests.read_note(text) is None


@pytest.mark.parametrize(
    ("endpoint", "component", "copies", "status"),
    [
        ("Creating", None, 0, "Creating"),
        ("Updating", "InService", 1, "Updating"),
        ("SystemUpdating", "InService", 1, "SystemUpdating"),
        ("Failed", None, 0, "Failed"),
        ("InService", None, 0, "OutOfService"),
        ("InService", "Creating", 0, "Creating"),
        ("InService", "InService", 1, "InService"),
        ("InService", "InService", 0, "InService"),
        ("InService", "Updating", 1, "Updating"),
        ("InService", "Deleting", 1, "Deleting"),
        ("InService", "Failed", 0, "Failed"),
        ("InService", "Failed", 2, "UpdateRollbackFailed"),
    ],
)
def test_an_endpoint_and_its_component_are_seen_as_one(
    endpoint: str, component: str | None, copies: int, status: str
) -> None:
    described = component and {
        "InferenceComponentName": NAME,
        "InferenceComponentStatus": component,
        "RuntimeConfig": {"CurrentCopyCount": copies},
        "Specification": {"ModelName": "model"},
    }
    seen = seen_as_endpoint(
        {"EndpointStatus": endpoint, "EndpointConfigName": "host"}, described or None, None
    )
    assert seen["EndpointStatus"] == status
    assert seen["EndpointConfigName"] == ("model" if component else None)


def test_deploy_and_promote_ask_for_the_same_of_a_component(stage: Stage) -> None:
    network = {"vpc": {"security_group_ids": ["sg-1"], "subnet_ids": ["subnet-1"]}, "network_isolation": True}
    slow = {"container_startup_seconds": 900, "model_download_seconds": 120}
    one = stage.like("after", **network, **slow, **SCALED, inference_component={**COMPONENT, "copies": 2})
    one.deploy(1, keep=True)
    assert one.promote(1).result is Result.PROMOTED
    deployed, promoted = stage.component(f"{NAME}-v1"), stage.component()
    specifications = [found["Specification"] for found in (deployed, promoted)]
    models = [specification.pop("ModelName") for specification in specifications]
    images = [specification.pop("Container")["DeployedImage"] for specification in specifications]
    assert specifications[0] == specifications[1]
    assert specifications[0]["StartupParameters"] == {
        "ContainerStartupHealthCheckTimeoutInSeconds": 900,
        "ModelDataDownloadTimeoutInSeconds": 120,
    }
    assert deployed["RuntimeConfig"] == promoted["RuntimeConfig"]
    assert images[0]["ResolvedImage"] == images[1]["ResolvedImage"]
    configs, described = [], []
    for endpoint, model in ((f"{NAME}-v1", models[0]), (NAME, models[1])):
        name = stage.admin.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
        config = stage.admin.describe_endpoint_config(EndpointConfigName=name)
        keys = ("ProductionVariants", "ExecutionRoleArn", "VpcConfig", "EnableNetworkIsolation")
        configs.append({key: config[key] for key in keys})
        found = stage.admin.describe_model(ModelName=model)
        described.append({key: found[key] for key in ("PrimaryContainer", *keys[1:])})
    assert configs[0] == configs[1]
    assert described[0] == described[1]
    assert configs[0]["EnableNetworkIsolation"] is True
    scaling = {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 2}
    assert configs[0]["ProductionVariants"][0]["ManagedInstanceScaling"] == scaling


@pytest.mark.parametrize(("mode", "count"), [("before", 1), ("both", 1), ("after", 0)])
def test_a_component_needs_instances_for_its_trial_alone(stage: Stage, mode: str, count: int) -> None:
    stage.like("after").promote(1)
    one = stage.like(mode)
    needs = quotas.of_promotion(one.target, stage.releases[2], one.look())
    assert [need.count for need in needs] == [1] * count


@pytest.mark.parametrize(("version", "stands"), [(1, False), (2, True), (None, True)])
def test_a_revoke_takes_nothing_from_under_a_live_component(
    stage: Stage, version: int | None, stands: bool
) -> None:
    for number in (1, 2):
        assert stage.promote(number).result is Result.PROMOTED
    found = usage.find_users(stage.sharing, None, version)
    assert [(one.severity, f"{NAME}. " in one.text) for one in found] == [(Severity.ERROR, True)] * stands
    forced = usage.find_users(stage.sharing, None, version, force=True)
    assert [one.severity for one in forced] == [Severity.WARNING] * stands
    assert [one.sentence for one in find_live(stage.target)] == ["serves version 2 (Approved)"]
