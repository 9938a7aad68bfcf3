"""A large, slow endpoint: pools, time-outs, an uncompressed model behind a manifest, a licence; with a real process that reads the folder."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from prefect.logging import disable_run_logger

from crossaccount.aws import sessions
from crossaccount.aws.access import Target, open_producer, open_target
from crossaccount.config.loading import parse_config
from crossaccount.config.model import Sharing
from crossaccount.errors import Failed
from crossaccount.hosting import creation, guardrails, preflight, requests, state
from crossaccount.hosting.gateway import HOST_SECONDS, Patience
from crossaccount.promotion import moving
from crossaccount.promotion.outcome import ConsumerOutcome, Result
from crossaccount.release.manifest import Release
from crossaccount.sharing import apply, gather, publish
from crossaccount.sharing.plan import plan_share
from crossaccount_sandbox import accounts
from crossaccount_sandbox.sagemaker.image_commands import ImageCommand
from crossaccount_sandbox.sagemaker.outcomes import Outcome
from crossaccount_sandbox.server import Server
from tasks import consumer as steps

TEMPLATES = Path(__file__).parents[2] / "deployments" / "iam"
NAME = "decision-trees-staging"
PLACE = (accounts.STAGING.id, accounts.REGION)
QUICK = Patience(seconds=30, first=0.03, longest=0.2)
ROLE = "arn:aws:iam::{}:role/crossaccount-{}"
FILES = ["deep/part-1.bin", "weights.json"]
SMOKE = [{"content_type": "text/csv", "body": "1,2", "expect": {"files": FILES}}]
LARGE: dict[str, Any] = {
    "instance_type": None,
    "instance_pools": [
        {"instance_type": "ml.g6.xlarge", "priority": 2},
        {"instance_type": "ml.g5.xlarge", "priority": 1},
    ],
    "instance_count": 2,
    "provision_seconds": 600,
    "container_startup_seconds": 900,
    "model_download_seconds": 700,
    "inference_ami": "al2-ami-sagemaker-inference-gpu-2",
    "routing": "prefix-aware",
    "prefix_routing": {"length": 4096, "concurrency": 8},
    "metrics": {"detailed": False, "publish_seconds": 120},
    "accept_eula": True,
    "keep_versions": 1,
}
# The start of a container takes 850 of AWS's seconds, more than the 480 that it has by itself; the download 600.
SLOW = {"slow_start_seconds": 850.0, "slow_download_seconds": 600.0}
SERVER = """
import http.server, json, os
folder = os.environ["SM_MODEL_DIR"]
files = sorted(os.path.relpath(os.path.join(at, name), folder) for at, _, names in os.walk(folder) for name in names)
version = json.load(open(os.path.join(folder, "weights.json")))["version"]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def do_POST(self):
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"version": version} if asked == b"version" else {"files": files}).encode()
        self.send_response(200); self.send_header("Content-Type", "application/json"); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


def sharing_of(endpoint: dict[str, Any], mode: str = "both") -> Sharing:
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
        "endpoint": {"name": NAME, **endpoint},
        "smoke": SMOKE,
        "smoke_mode": mode,
    }
    whole = {"model_package_group": accounts.GROUP, "region": accounts.REGION, "producer": producer}
    return parse_config(json.dumps({**whole, "consumers": {"staging": staging}}))


@dataclass
class World:
    """A producer with large versions, 4, 5 and 7, and one whose licence nobody accepted, 6; and a consumer's account."""

    server: Server
    keys: Any
    command: ImageCommand
    releases: dict[int, Release] = field(default_factory=dict)
    clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    def admin(self, account: str, service: str) -> Any:
        if (account, service) not in self.clients:
            key = self.keys[account]
            session: Any = boto3.session.Session(
                key.access_key_id, key.secret_access_key, region_name=accounts.REGION
            )
            self.clients[account, service] = session.client(service, endpoint_url=self.server.url)
        return self.clients[account, service]

    def target(self, mode: str = "both", **endpoint: Any) -> Target:
        return open_target(sharing_of({**LARGE, **endpoint}, mode), "staging")

    def promote(self, version: int, mode: str = "both", **endpoint: Any) -> ConsumerOutcome:
        return moving.promote(self.target(mode, **endpoint), self.releases[version], QUICK)

    def runs(self, **seconds: float | None) -> None:
        """Have the image run as slowly as this."""
        self.server.images.clear()
        self.server.images.add(
            [ImageCommand(self.command.image, self.command.command, **{**SLOW, **seconds})]
        )  # type: ignore[arg-type]

    def described(self, name: str = NAME) -> dict[str, Any]:
        found: dict[str, Any] = self.admin("staging", "sagemaker").describe_endpoint(EndpointName=name)
        return found

    def config(self) -> dict[str, Any]:
        name = self.described()["EndpointConfigName"]
        found: dict[str, Any] = self.admin("staging", "sagemaker").describe_endpoint_config(
            EndpointConfigName=name
        )
        return found

    def answers(self) -> int:
        answer = self.admin("staging", "sagemaker-runtime").invoke_endpoint(
            EndpointName=NAME, ContentType="text/csv", Body="version"
        )
        return int(json.load(answer["Body"])["version"])


def register(world: World, version: int, accepted: bool, form: str) -> None:
    s3, registry = world.admin("producer", "s3"), world.admin("producer", "sagemaker")
    folder = f"{accounts.ARTIFACTS}large-{version}/"
    weights = json.dumps({"version": version}).encode()
    for key, body in ((FILES[1], weights), (FILES[0], b"1"), ("notes/unnamed.txt", b"no part of it")):
        s3.put_object(Bucket=accounts.BUCKET, Key=f"{folder}{key}", Body=body)
    uri = f"s3://{accounts.BUCKET}/{folder}"
    forms = {
        "json": json.dumps([{"prefix": uri}, *FILES]),
        "csv": "".join(f"{uri}{name}\r\n" for name in FILES),
    }
    place = f"{accounts.ARTIFACTS}manifests/{version}.{form}"
    s3.put_object(Bucket=accounts.BUCKET, Key=place, Body=forms[form].encode())
    first = f"arn:aws:sagemaker:us-east-1:{accounts.PRODUCER.id}:model-package/{accounts.GROUP}/1"
    spec = registry.describe_model_package(ModelPackageName=first)["InferenceSpecification"]
    source = {
        "S3Uri": uri,
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
        "ManifestS3Uri": f"s3://{accounts.BUCKET}/{place}",
        "ModelAccessConfig": {"AcceptEula": accepted},
    }
    container = {"Image": spec["Containers"][0]["Image"], "ModelDataSource": {"S3DataSource": source}}
    registry.create_model_package(
        ModelPackageGroupName=accounts.GROUP,
        ModelApprovalStatus="Approved",
        InferenceSpecification={**spec, "Containers": [container]},
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    two = [accounts.PRODUCER, accounts.STAGING]
    server = Server(two, endpoint_seconds=0.02, speed=5000)
    server.start()
    folder = tmp_path_factory.mktemp("large")
    (folder / "serve.py").write_text(SERVER)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        residents = accounts.settle(server.url, TEMPLATES, two)
        keys = "".join(
            f"[{name}]\naws_access_key_id={key.access_key_id}\naws_secret_access_key={key.secret_access_key}\n"
            for name, key in residents.operators.items()
        )
        (folder / "credentials").write_text(keys)
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
        patch.setattr("crossaccount.hosting.gateway.FIRST_SECONDS", 0.02)
        command = ImageCommand(accounts.REPOSITORY, (sys.executable, str(folder / "serve.py")))
        made = World(server, residents.administrators, command)
        made.runs()
        for version, accepted, form in (
            (4, True, "csv"),
            (5, True, "json"),
            (6, False, "csv"),
            (7, True, "csv"),
        ):
            register(made, version, accepted, form)
        alarm = {"Namespace": "AWS/SageMaker", "MetricName": "Invocation5XXErrors", "Statistic": "Sum"}
        alarm |= {"Period": 60, "EvaluationPeriods": 1, "Threshold": 1.0}  # type: ignore[dict-item]
        made.admin("staging", "cloudwatch").put_metric_alarm(
            AlarmName="errors", ComparisonOperator="GreaterThanThreshold", **alarm
        )
        with sessions.reuse():
            made.releases |= share()
            yield made
    server.stop()


def share() -> dict[int, Release]:
    sharing = sharing_of(LARGE)
    producer = open_producer(sharing)
    found = gather.gather(producer)
    plan = plan_share(sharing, found)
    prepared = [publish.prepare(producer, one, found, plan)[0] for one in found.versions]
    apply.apply(producer, plan, lambda line: None)
    return {one.version: publish.publish(producer, one) for one in prepared}


def deploy(sharing: Sharing, version: int) -> Any:
    """The steps of a deployment; its proof."""
    with disable_run_logger():
        described = steps.find_version.fn(sharing, "staging", version)
        release = steps.read_release.fn(sharing, "staging", described)
        steps.check_deployment.fn(sharing, "staging", release)
        made: list[Any] = []
        try:
            for create in (steps.create_model, steps.create_endpoint_config, steps.create_endpoint):
                made.append(create.fn(sharing, "staging", release, False))
            target, name = open_target(sharing, "staging"), made[-1].name
            images = state.deployed_images(creation.wait_in_service(target, name, QUICK))
            return steps.ask_endpoint.fn(sharing, "staging", release, name, images)
        finally:
            removals = steps.tear_down.fn(sharing, "staging", release, made)
            assert {one.outcome for one in removals} == {"removed"}


def test_large_is_deployed(world: World) -> None:
    proof = deploy(sharing_of(LARGE), 4)
    assert (proof.verified, proof.right) == (True, 1)
    assert world.admin("staging", "sagemaker").list_endpoints()["Endpoints"] == []


def test_large_is_promoted_and_is_proved(world: World) -> None:
    outcome = world.promote(4)
    assert outcome.result is Result.PROMOTED, outcome.text
    assert [proof.verified for proof in outcome.proofs] == [True, True]  # on its trial, and on the endpoint
    assert world.answers() == 4
    (variant,), (given,) = world.described()["ProductionVariants"], world.config()["ProductionVariants"]
    assert variant["InstancePools"] == [
        {"InstanceType": "ml.g5.xlarge", "CurrentInstanceCount": 2},
        {"InstanceType": "ml.g6.xlarge", "CurrentInstanceCount": 0},
    ]
    prefix = {"PrefixLength": 4096, "ConcurrencyThreshold": 8}
    routing = {"RoutingStrategy": "PREFIX_AWARE", "PrefixAwareRoutingConfig": prefix}
    assert variant["RoutingConfig"] == given["RoutingConfig"] == routing
    shown = {
        "VariantInstanceProvisionTimeoutInSeconds": 600,
        "ContainerStartupHealthCheckTimeoutInSeconds": 900,
        "ModelDataDownloadTimeoutInSeconds": 700,
        "InferenceAmiVersion": "al2-ami-sagemaker-inference-gpu-2",
        "InitialInstanceCount": 2,
    }
    assert {name: given[name] for name in shown} == shown
    assert world.described()["MetricsConfig"]["EnableDetailedObservability"] is False
    assert world.promote(4).result is Result.UNCHANGED


def test_large_obeys_its_guardrail(world: World) -> None:
    cloudwatch = world.admin("staging", "cloudwatch")
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="test")
    moves = {"type": "rolling", "batch_percent": 50, "alarms": ["errors"]}
    outcome = world.promote(5, deployment=moves)
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue="OK", StateReason="test")
    assert (outcome.result, outcome.live) == (Result.FAILED, 4)
    assert "errors were in ALARM state" in outcome.text.replace("alarm(s) errors", "errors")
    assert world.answers() == 4


def test_large_is_rolled_back(world: World) -> None:
    assert world.promote(5).result is Result.PROMOTED
    assert world.answers() == 5
    target = world.target()
    to = state.previous_config(target)
    assert to is not None
    outcome = moving.go_back(target, to, world.releases[to.version], QUICK)
    assert (outcome.result, outcome.live) == (Result.PROMOTED, 4), outcome.text
    assert world.answers() == 4


def test_large_retires_old_versions(world: World) -> None:
    assert world.promote(5).result is Result.PROMOTED
    outcome = world.promote(7, keep_versions=0)
    assert outcome.result is Result.PROMOTED, outcome.text
    sagemaker = world.admin("staging", "sagemaker")
    names = {one["ModelName"] for one in sagemaker.list_models()["Models"]}
    assert names == {f"{NAME}-v5", f"{NAME}-v7"}  # the live one, and the one to go back to
    configs = sagemaker.list_endpoint_configs()["EndpointConfigs"]
    assert {one["EndpointConfigName"].rpartition("-")[0] for one in configs} == names


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ({"container_startup_seconds": None}, "did not pass the ping health check"),
        ({"container_startup_seconds": 849}, "did not pass the ping health check"),
        (
            {"model_download_seconds": 599},
            'Failed to download model data for container "container_1" from URL: "s3://',
        ),
    ],
)
def test_a_limit_that_is_too_short_fails_in_aws_s_words(
    world: World, endpoint: dict[str, Any], words: str
) -> None:
    outcome = world.promote(4, "before", **endpoint)
    assert outcome.result is Result.FAILED
    assert words in outcome.text
    assert world.answers() == 7


@pytest.mark.parametrize("seconds", [{"slow_start_seconds": 481.0}, {"slow_start_seconds": 480.0}])
def test_without_a_limit_a_container_has_aws_s_own(world: World, seconds: dict[str, float]) -> None:
    world.runs(**seconds, slow_download_seconds=None)
    try:
        outcome = world.promote(4, "before", container_startup_seconds=None, model_download_seconds=None)
    finally:
        world.runs()
    came_up = outcome.result is Result.PROMOTED
    assert came_up is (seconds["slow_start_seconds"] <= 480), outcome.text


def test_the_next_pool_serves_where_there_is_no_capacity_of_the_first(world: World) -> None:
    world.server.outcomes.next_endpoint(Outcome("no-capacity", types=("ml.g5.xlarge",)), PLACE[0], NAME)
    assert world.promote(5, "after", instance_count=1).result is Result.PROMOTED
    (variant,) = world.described()["ProductionVariants"]
    counts = {each["InstanceType"]: each["CurrentInstanceCount"] for each in variant["InstancePools"]}
    assert counts == {"ml.g5.xlarge": 0, "ml.g6.xlarge": 1}
    both = ("ml.g5.xlarge", "ml.g6.xlarge")
    world.server.outcomes.next_endpoint(Outcome("no-capacity", types=both), PLACE[0], NAME)
    outcome = world.promote(4, "after", instance_count=1)
    assert (outcome.result, outcome.live) == (Result.FAILED, 5)
    assert "InsufficientInstanceCapacity" in outcome.text


@pytest.mark.parametrize("version", [4, 6])
def test_a_licence_is_agreed_to_before_anything_is_made(world: World, version: int) -> None:
    models = world.admin("staging", "sagemaker").list_models()["Models"]
    unread, agreed = sharing_of({**LARGE, "accept_eula": False}), sharing_of(LARGE)
    with pytest.raises(Failed, match=r"under a licence \(EULA\).*endpoint\.accept_eula: true"):
        deploy(unread, version)
    if version == 6:
        with pytest.raises(Failed, match=r"registered without AcceptEula .*ModelAccessConfig"):
            deploy(agreed, version)
    assert world.admin("staging", "sagemaker").list_models()["Models"] == models


def test_the_sandbox_refuses_a_licence_in_aws_s_words(world: World) -> None:
    package = world.releases[6].model_package_arn
    with pytest.raises(
        ClientError, match="The AcceptEula value must be explicitly defined as True in order to"
    ) as info:
        world.admin("staging", "sagemaker").create_model(
            ModelName="m",
            PrimaryContainer={"ModelPackageName": package},
            ExecutionRoleArn=ROLE.format(PLACE[0], "execution"),
        )
    assert info.value.response["Error"]["Code"] == "ValidationException"


def test_instance_types_that_a_version_does_not_support_are_refused_early(world: World) -> None:
    pools = [*LARGE["instance_pools"], {"instance_type": "ml.p4d.24xlarge", "priority": 3}]
    target = world.target(instance_pools=pools)
    with pytest.raises(
        Failed, match=r"does not support ml\.p4d\.24xlarge of endpoint\.instance_pools.*ml\.m5\.large"
    ):
        requests.check(target.consumer, world.releases[4])
    outcome = world.promote(4, instance_pools=pools)
    assert (outcome.result, "ml.p4d.24xlarge" in outcome.text) == (Result.FAILED, True)
    anything = world.releases[4].model_copy(update={"instance_types": []})
    requests.check(target.consumer, anything)


def test_every_object_of_a_manifest_is_opened_and_read(world: World) -> None:
    read = preflight.check_artifacts(world.target(), world.releases[4])
    uris = {artifact.uri for container in world.releases[4].containers for artifact in container.artifacts}
    assert uris == {
        f"s3://{accounts.BUCKET}/{accounts.ARTIFACTS}large-4/",
        f"s3://{accounts.BUCKET}/{accounts.ARTIFACTS}manifests/4.csv",
    }
    assert (read.buckets, dict(read.unread)) == ({accounts.BUCKET}, {})


def test_the_patience_grows_with_what_the_endpoint_may_take() -> None:
    slow, plain = sharing_of(LARGE), sharing_of({"instance_type": "ml.m5.large"})
    assert guardrails.patience(plain.consumers["staging"]).seconds == HOST_SECONDS
    assert guardrails.patience(slow.consumers["staging"]).seconds == HOST_SECONDS + 600 + 900 + 700
    assert steps.endpoint_seconds(slow, "staging") == steps.ENDPOINT_SECONDS + 2200


@pytest.mark.parametrize(
    "change",
    [
        {"container_startup_seconds": 901},
        {"model_download_seconds": 701},
        {"provision_seconds": 601},
        {"inference_ami": "al2-ami-sagemaker-inference-gpu-2-1"},
        {"inference_ami": None},
        {"routing": "random", "prefix_routing": None},
        {"prefix_routing": {"length": 4097, "concurrency": 8}},
        {"metrics": {"detailed": True, "publish_seconds": 120}},
        {"metrics": None},
        {"instance_pools": LARGE["instance_pools"][:1]},
        {"instance_pools": [{**each, "priority": 3 - each["priority"]} for each in LARGE["instance_pools"]]},
        {"instance_pools": [], "instance_type": "ml.g5.xlarge"},
        {
            "instance_pools": [],
            "instance_type": "ml.g5.xlarge",
            "capacity_reservation": "arn:aws:sagemaker:us-east-1:222222222222:training-plan/two-weeks",
        },
    ],
)
def test_another_capacity_is_another_endpoint_config(world: World, change: dict[str, Any]) -> None:
    release = world.releases[4]
    names = [
        requests.config_name(sharing_of({**LARGE, **each}).consumers["staging"], release)
        for each in ({}, change)
    ]
    assert names[0] != names[1]
