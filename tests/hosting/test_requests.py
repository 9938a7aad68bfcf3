"""What deploy and promote ask SageMaker for: the same for every config, taken from the calls themselves."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from prefect.logging import disable_run_logger

from crossaccount.aws import sessions
from crossaccount.aws.access import Target, open_producer, open_target
from crossaccount.config.endpoint import Endpoint
from crossaccount.config.loading import parse_config
from crossaccount.config.model import Sharing
from crossaccount.errors import Conflict, Failed
from crossaccount.hosting import requests
from crossaccount.hosting.gateway import Gateway, Patience
from crossaccount.hosting.shift import settle, shift
from crossaccount.registry.versions import ModelVersion
from crossaccount.release.manifest import Release
from crossaccount.sharing import apply, gather, publish
from crossaccount.sharing.plan import plan_share
from crossaccount_sandbox import accounts
from crossaccount_sandbox.server import Server
from tasks import consumer as steps

TEMPLATES = Path(__file__).parents[2] / "deployments" / "iam"
QUICK = Patience(seconds=10, first=0.03, longest=0.2)
NAME = "decision-trees-staging"
AWS_IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/sklearn:1"
KEY = "a key of the account"  # stands for the one that the fixture makes

# Every key of endpoint, with a value that is not its default.
KEYS: dict[str, Any] = {
    "name": f"{NAME}-b",
    "instance_type": "ml.m5.xlarge",
    "instance_count": 2,
    "deployment": {"type": "rolling", "batch_percent": 50},
    "retain_variant_properties": False,
    "keep_versions": 7,
    "serverless": {"memory_mb": 2048, "max_concurrency": 3},
    "data_capture": {"s3_uri": "s3://staging-calls/captured/", "percent": 10},
    "vpc": {"security_group_ids": ["sg-1", "sg-2"], "subnet_ids": ["subnet-1"]},
    "kms_key": KEY,
    "network_isolation": True,
    "kind": "asynchronous",
    "asynchronous": {
        "s3_output": "s3://staging-calls/answers/",
        "s3_failures": "s3://staging-calls/failures/",
        "kms_key": KEY,
        "success_topic": "arn:aws:sns:us-east-1:222222222222:answers",
        "error_topic": "arn:aws:sns:us-east-1:222222222222:errors",
        "max_concurrent": 4,
    },
    "instance_pools": [
        {"instance_type": "ml.g6.xlarge", "priority": 2},
        {"instance_type": "ml.g5.xlarge", "priority": 1},
    ],
    "provision_seconds": 600,
    "capacity_reservation": "arn:aws:sagemaker:us-east-1:444455556666:training-plan/two-weeks",
    "container_startup_seconds": 900,
    "model_download_seconds": 1200,
    "volume_size_gb": 64,
    "inference_ami": "al2-ami-sagemaker-inference-gpu-2",
    "routing": "prefix-aware",
    "prefix_routing": {"length": 4096, "concurrency": 8},
    "metrics": {"detailed": False, "enhanced": True, "publish_seconds": 120},
    "accept_eula": True,
    "inference_specification": "pair",
    "container_mode": "direct",
    "managed_scaling": {"minimum": 1, "maximum": 3},
    "inference_component": {"memory_mb": 1024},  # see tests/kinds/test_inference_components.py
}
# Keys that stand only beside others.
BESIDE: dict[str, dict[str, Any]] = {
    "instance_pools": {"instance_type": None},
    "inference_ami": {"instance_type": "ml.g5.xlarge"},
    "routing": {"prefix_routing": KEYS["prefix_routing"]},
    "prefix_routing": {"routing": "prefix-aware"},
    "container_mode": {"inference_specification": KEYS["inference_specification"]},
}
QUEUE = {key: KEYS[key] for key in ("kind", "asynchronous")}
COMPONENT = ("inference_component", "managed_scaling")
APART = (*QUEUE, *COMPONENT, "serverless", "instance_pools", "inference_ami")
INSTANCES = {key: value for key, value in KEYS.items() if key not in APART}
TABLE: dict[str, dict[str, Any]] = {
    "none": {},
    **{
        key: {key: value, **BESIDE.get(key, {})}
        for key, value in KEYS.items()
        if key not in ("serverless", *QUEUE, *COMPONENT)
    },
    "serverless": {"serverless": KEYS["serverless"], "instance_type": None},
    "all with instances": INSTANCES,
    "asynchronous": QUEUE,
    "asynchronous, as little": {**QUEUE, "asynchronous": {"s3_output": "s3://staging-calls/answers/"}},
    "all asynchronous": {
        **{key: value for key, value in INSTANCES.items() if key != "container_mode"},
        **QUEUE,
    },
    "all serverless": {
        key: value
        for key, value in KEYS.items()
        if key
        not in (
            "instance_type",
            "instance_count",
            "deployment",
            "data_capture",
            "kms_key",
            "vpc",
            "network_isolation",
            *QUEUE,
            *COMPONENT,
            "instance_pools",
            "provision_seconds",
            "capacity_reservation",
            "volume_size_gb",
            "inference_ami",
            "routing",
            "prefix_routing",
            "inference_specification",
            "container_mode",
        )
    }
    | {"instance_type": None},
}


@dataclass
class Account:
    """A consumer's account in which the deployer may do everything, and the Release of a version."""

    sharing: Sharing
    release: Release
    version: ModelVersion
    key: str

    def like(self, endpoint: dict[str, Any]) -> Sharing:
        """The config with an endpoint that says something else."""
        staging = self.sharing.consumers["staging"].model_dump(mode="json", exclude_unset=True)
        staging["endpoint"] = {"name": NAME, "instance_type": "ml.m5.large", **endpoint}
        whole = self.sharing.model_dump(mode="json", exclude_unset=True)
        text = json.dumps({**whole, "consumers": {"staging": staging}})
        return parse_config(text.replace(KEY, self.key))

    def released_for(self, sharing: Sharing) -> Release:
        """The Release as the consumer deploys it, with an image that a serverless endpoint may have where there is one."""
        endpoint = sharing.consumers["staging"].endpoint
        if endpoint.serverless is None:
            return self.release.deployed_as(endpoint.inference_specification, self.version)
        containers = [
            container.model_copy(update={"image": AWS_IMAGE}) for container in self.release.containers
        ]
        return self.release.model_copy(update={"containers": containers})


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    two = [accounts.PRODUCER, accounts.STAGING]
    server = Server(two, endpoint_seconds=0.02, speed=5000)
    server.start()
    residents = accounts.settle(server.url, TEMPLATES, two)
    keys = tmp_path_factory.mktemp("aws") / "credentials"
    keys.write_text(
        "".join(
            f"[{name}]\naws_access_key_id={key.access_key_id}\naws_secret_access_key={key.secret_access_key}\n"
            for name, key in (
                *residents.operators.items(),
                ("admin", residents.administrators["staging"]),
                ("producer-admin", residents.administrators["producer"]),
            )
        )
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
        patch.setattr("crossaccount.hosting.gateway.FIRST_SECONDS", 0.02)
        with sessions.reuse():
            _add_specification()
            yield _shared()
    server.stop()


def _shared() -> Account:
    role = "arn:aws:iam::{}:role/crossaccount-{}"
    document = {
        "model_package_group": accounts.GROUP,
        "region": accounts.REGION,
        "producer": {
            "account": accounts.PRODUCER.id,
            "role": role.format(accounts.PRODUCER.id, "producer"),
            "external_id": "sandbox-producer",
            "profile": "producer",
            "releases": f"s3://{accounts.BUCKET}/{accounts.RELEASES}",
        },
        "consumers": {
            "staging": {
                "account": accounts.STAGING.id,
                "role": role.format(accounts.STAGING.id, "deployer"),
                "external_id": "sandbox-staging",
                "profile": "staging",
                "execution_role": role.format(accounts.STAGING.id, "execution"),
                "endpoint": {"name": NAME, "instance_type": "ml.m5.large"},
            }
        },
    }
    sharing = parse_config(json.dumps(document))
    producer = open_producer(sharing)
    found = gather.gather(producer)
    plan = plan_share(sharing, found)
    prepared = publish.prepare(producer, found.versions[0], found, plan)[0]
    apply.apply(producer, plan, lambda line: None)
    return Account(sharing, publish.publish(producer, prepared), found.versions[0], _prepared_account())


def _add_specification() -> None:
    """Another specification of version 1, of two containers that can be asked by name."""
    import boto3

    client = boto3.Session(profile_name="producer-admin", region_name=accounts.REGION).client("sagemaker")
    arn = f"arn:aws:sagemaker:{accounts.REGION}:{accounts.PRODUCER.id}:model-package/{accounts.GROUP}/1"
    described = client.describe_model_package(ModelPackageName=arn)
    (container,) = described["InferenceSpecification"]["Containers"]
    pair = [{**container, "ContainerHostname": name} for name in ("first", "second")]
    client.update_model_package(
        ModelPackageArn=arn,
        AdditionalInferenceSpecificationsToAdd=[
            {"Name": KEYS["inference_specification"], "Containers": pair}
        ],
    )


def _prepared_account() -> str:
    """Both roles may do everything, as who may do what is for other tests to say; the ARN of a key."""
    import boto3

    session = boto3.Session(profile_name="admin", region_name=accounts.REGION)
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    for role in ("deployer", "execution"):
        session.client("iam").put_role_policy(
            RoleName=f"crossaccount-{role}", PolicyName="all", PolicyDocument=policy
        )
    session.client("s3").create_bucket(Bucket="staging-calls")
    return str(session.client("kms").create_key()["KeyMetadata"]["Arn"])


Call = tuple[str, dict[str, Any]]


@contextmanager
def recorded(target: Target) -> Iterator[list[Call]]:
    """The creations that are sent, each with its parameters."""
    calls: list[Call] = []

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        if model.name.startswith("Create"):
            calls.append((model.name, params))

    events, event = target.sagemaker.meta.events, "provide-client-params.sagemaker"
    events.register(event, note)
    try:
        yield calls
    finally:
        events.unregister(event, note)


def cleared(target: Target) -> None:
    gateway, endpoint = Gateway(target.sagemaker), target.consumer.endpoint.name
    gateway.delete_endpoint(endpoint, QUICK)
    for kind in ("endpoint", "endpoint-config", "model"):
        for listed in tuple(gateway.list(kind, endpoint, "(?:-[0-9a-f]{4})?")):  # type: ignore[arg-type]
            gateway.delete(kind, listed.name)  # type: ignore[arg-type]


def deploy(sharing: Sharing, release: Release, keep: bool) -> list[Call]:
    """The creations of a deployment's steps."""
    with disable_run_logger(), recorded(open_target(sharing, "staging")) as calls:
        steps.create_model.fn(sharing, "staging", release, keep)
        with refused_if_serverless(sharing):
            steps.create_endpoint_config.fn(sharing, "staging", release, keep)
    return calls


def found(sharing: Sharing, release: Release, keep: bool) -> list[bool]:
    """Whether the model and the endpoint config of a deployment were there already."""
    creations = (steps.create_model, steps.create_endpoint_config)
    with disable_run_logger():
        return [create.fn(sharing, "staging", release, keep).reused for create in creations]


def refused_if_serverless(sharing: Sharing) -> Any:
    """The sandbox looks at the package's own image, which is the producer's, whatever the Release says."""
    serverless = sharing.consumers["staging"].endpoint.serverless is not None
    words = "Serverless endpoints do not support images"
    return pytest.raises((Failed, ClientError), match=words) if serverless else nullcontext()


def promote(sharing: Sharing, release: Release) -> list[Call]:
    """The creations of a promotion's shift."""
    target = open_target(sharing, "staging")
    with recorded(target) as calls, refused_if_serverless(sharing):
        settle(target, shift(target, release, QUICK).config, QUICK)
    return [call for call in calls if call[0] != "CreateEndpoint"]


def contents(calls: list[Call]) -> list[Call]:
    """Without names and tags."""
    return [
        (
            operation,
            {key: value for key, value in params.items() if key not in ("EndpointConfigName", "Tags")},
        )
        for operation, params in calls
    ]


def test_the_table_has_every_key_of_an_endpoint() -> None:
    assert set(KEYS) == set(Endpoint.model_fields)


@pytest.mark.parametrize("says", TABLE)
def test_deploy_and_promote_ask_for_the_same(account: Account, says: str) -> None:
    sharing = account.like(TABLE[says])
    release, target = account.released_for(sharing), open_target(sharing, "staging")
    try:
        kept = deploy(sharing, release, keep=True)
        cleared(target)
        promoted = promote(sharing, release)
    finally:
        cleared(target)
    assert [operation for operation, _ in kept] == ["CreateModel", "CreateEndpointConfig"]
    assert contents(kept) == contents(promoted)
    name = f"{target.consumer.endpoint.name}-v{release.version}"
    assert [params.get("EndpointConfigName") for _, params in kept] == [None, name]
    assert promoted[1][1]["EndpointConfigName"] == requests.config_name(target.consumer, release)


def test_a_deployment_that_is_kept_captures_calls_and_one_that_is_not_does_not(account: Account) -> None:
    sharing = account.like({"data_capture": KEYS["data_capture"], "instance_count": 3})
    target = open_target(sharing, "staging")
    try:
        (_, (_, params)) = deploy(sharing, account.release, keep=False)
        assert "DataCaptureConfig" not in params
        assert params["ProductionVariants"][0]["InitialInstanceCount"] == 3
        with pytest.raises(Conflict, match=r"exists with DataCaptureConfig\.EnableCapture none, not True"):
            deploy(sharing, account.release, keep=True)
        cleared(target)
        (_, (_, params)) = deploy(sharing, account.release, keep=True)
        assert params["DataCaptureConfig"]["DestinationS3Uri"] == "s3://staging-calls/captured/"
        assert found(sharing, account.release, keep=False) == [True, True]  # what is kept stays as it is
    finally:
        cleared(target)


@pytest.mark.parametrize(
    ("containers", "words"),
    [(1, r"no image of another account's registry.*instance_type"), (2, "has 2 containers")],
)
def test_a_serverless_deployment_that_cannot_be_is_refused_before_a_model_is_made(
    account: Account, containers: int, words: str
) -> None:
    sharing = account.like(TABLE["serverless"])
    release = account.release.model_copy(update={"containers": account.release.containers * containers})
    for keep in (True, False):
        with pytest.raises(Failed, match=words):
            deploy(sharing, release, keep)
    assert Gateway(open_target(sharing, "staging").sagemaker).describe("model", f"{NAME}-v1") is None


def queue(**changes: Any) -> dict[str, Any]:
    """The keys of an asynchronous endpoint, with some of its queue changed; None takes one out."""
    wanted = {key: value for key, value in {**KEYS["asynchronous"], **changes}.items() if value is not None}
    return {**QUEUE, "asynchronous": wanted}


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({}, {"instance_type": "ml.m5.xlarge"}, "ProductionVariants.InstanceType ml.m5.large, not ml.m5.xlarge"),
        ({}, {"instance_count": 2}, "ProductionVariants.InitialInstanceCount 1, not 2"),
        ({"kms_key": KEY}, {}, "KmsKeyId arn:aws:kms.*, not none"),
        ({}, {"kms_key": KEY}, "KmsKeyId none, not arn:aws:kms"),
        ({"data_capture": KEYS["data_capture"]}, {}, "DataCaptureConfig .*, not none"),
        ({"vpc": KEYS["vpc"]}, {}, "VpcConfig .*, not none"),
        ({"network_isolation": True}, {}, "EnableNetworkIsolation True, not False"),
        (QUEUE, {}, "AsyncInferenceConfig .*, not none"),
        ({}, QUEUE, r"AsyncInferenceConfig\.OutputConfig\.S3FailurePath none, not s3"),
        (QUEUE, queue(s3_failures=None), r"S3FailurePath s3://staging-calls/failures/, not none"),
        (QUEUE, queue(kms_key=None), r"OutputConfig\.KmsKeyId arn:aws:kms.*, not none"),
        (QUEUE, queue(success_topic=None), r"NotificationConfig\.SuccessTopic arn:aws:sns.*, not none"),
        (QUEUE, queue(success_topic=None, error_topic=None), r"NotificationConfig \{.*\}, not none"),
        (QUEUE, queue(max_concurrent=5), r"MaxConcurrentInvocationsPerInstance 4, not 5"),
        ({"volume_size_gb": 64}, {}, "ProductionVariants.VolumeSizeInGB 64, not none"),
        ({"volume_size_gb": 64}, {"volume_size_gb": 65}, "ProductionVariants.VolumeSizeInGB 64, not 65"),
        ({}, {"container_startup_seconds": 61}, "ContainerStartupHealthCheckTimeoutInSeconds none, not 61"),
        ({"routing": "random"}, {}, "ProductionVariants.RoutingConfig .*RANDOM.*, not none"),
        ({}, {"metrics": {"detailed": False}}, "MetricsConfig.EnableDetailedObservability True, not False"),
        ({}, {"instance_type": None, "instance_pools": [{"instance_type": "ml.m5.large", "priority": 1}]},
         "ProductionVariants.InstancePools none, not"),
        ({"instance_type": None, "instance_pools": [{"instance_type": "ml.m5.large", "priority": 1}]}, {},
         "ProductionVariants.InstancePools .*, not none"),
    ],
)  # fmt: skip
def test_what_is_there_is_held_against_everything_that_is_asked_for(
    account: Account, before: dict[str, Any], after: dict[str, Any], words: str
) -> None:
    try:
        deploy(account.like(before), account.release, keep=True)
        with pytest.raises(Conflict, match=words):
            deploy(account.like(after), account.release, keep=True)
    finally:
        cleared(open_target(account.sharing, "staging"))


def test_the_order_of_a_vpc_s_groups_is_no_difference(account: Account) -> None:
    groups = KEYS["vpc"]["security_group_ids"]
    try:
        deploy(account.like({"vpc": KEYS["vpc"]}), account.release, keep=True)
        turned = {**KEYS["vpc"], "security_group_ids": groups[::-1]}
        assert found(account.like({"vpc": turned}), account.release, keep=True) == [True, True]
    finally:
        cleared(open_target(account.sharing, "staging"))


def test_a_queue_is_asked_for_as_the_config_has_it_and_names_another_endpoint_config(
    account: Account,
) -> None:
    names = set()
    for changes in ({}, {"max_concurrent": 5}, {"s3_failures": None}, {"answer_seconds": 5}):
        consumer = account.like(queue(**changes)).consumers["staging"]
        asked = requests.endpoint_config(consumer, account.release, "n")
        names.add(requests.config_name(consumer, account.release))
    assert len(names) == 3  # how long an answer is waited for is nothing that AWS is asked for
    topics = {
        "SuccessTopic": KEYS["asynchronous"]["success_topic"],
        "ErrorTopic": KEYS["asynchronous"]["error_topic"],
    }
    assert asked["AsyncInferenceConfig"] == {
        "OutputConfig": {
            "S3OutputPath": "s3://staging-calls/answers/",
            "S3FailurePath": "s3://staging-calls/failures/",
            "KmsKeyId": account.key,
            "NotificationConfig": topics,
        },
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 4},
    }
