"""Inference components as the sandbox runs them: what is refused, how they change, when they answer, and what the endpoint has then."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from crossaccount_sandbox import accounts
from crossaccount_sandbox.sagemaker.component_sizes import Size, instances_for, shortages
from crossaccount_sandbox.sagemaker.outcomes import Outcome
from crossaccount_sandbox.server import Server

TEMPLATES = Path(__file__).parents[2] / "deployments" / "iam"
ROLE = f"arn:aws:iam::{accounts.STAGING.id}:role/host"
FLOWERS = "6.3,3.3,6.0,2.5\n6.3,3.3,6.0,2.5"
NEEDS = {"MinMemoryRequiredInMb": 1024}
_names = (f"n-{number}" for number in itertools.count())


@dataclass
class Host:
    """An account with models of its own, and an endpoint that holds components."""

    server: Server
    sm: Any
    runtime: Any
    clients: dict[str, Any]
    endpoint: str = "host"

    def create(self, model: str = "one", copies: int = 1, **more: Any) -> str:
        """A component that serves, and its name."""
        name = next(_names)
        self.sm.create_inference_component(**self.asked(name, model, copies), **more)
        self.calm(name)
        return name

    def asked(self, name: str, model: str = "one", copies: int = 1) -> dict[str, Any]:
        return {
            "InferenceComponentName": name,
            "EndpointName": self.endpoint,
            "VariantName": "AllTraffic",
            "Specification": {"ModelName": model, "ComputeResourceRequirements": NEEDS},
            "RuntimeConfig": {"CopyCount": copies},
        }

    def described(self, name: str) -> dict[str, Any]:
        return dict(self.sm.describe_inference_component(InferenceComponentName=name))

    def calm(self, name: str) -> dict[str, Any]:
        deadline = time.monotonic() + 20
        while (found := self.described(name))["InferenceComponentStatus"] in ("Creating", "Updating"):
            assert time.monotonic() < deadline, found
            time.sleep(0.01)
        return found

    def copies(self, name: str, count: int) -> None:
        self.sm.update_inference_component_runtime_config(
            InferenceComponentName=name, DesiredRuntimeConfig={"CopyCount": count}
        )
        self.calm(name)

    def move(self, name: str, model: str, **more: Any) -> dict[str, Any]:
        specification = {"ModelName": model, "ComputeResourceRequirements": NEEDS}
        self.sm.update_inference_component(InferenceComponentName=name, Specification=specification, **more)
        return self.calm(name)

    def ask(self, name: str) -> int:
        """The version whose answer comes: version 1 takes this flower for 1, the others for 2."""
        asked = {"ContentType": "text/csv", "Accept": "application/json", "Body": FLOWERS}
        answer = self.runtime.invoke_endpoint(
            EndpointName=self.endpoint, InferenceComponentName=name, **asked
        )
        return int(json.load(answer["Body"])[0])

    def delete(self, name: str) -> None:
        self.sm.delete_inference_component(InferenceComponentName=name)
        deadline = time.monotonic() + 20
        while name in self.names():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def names(self, **wanted: Any) -> list[str]:
        listed = self.sm.list_inference_components(**wanted)["InferenceComponents"]
        return [one["InferenceComponentName"] for one in listed]

    def instances(self) -> int:
        variants = self.sm.describe_endpoint(EndpointName=self.endpoint)["ProductionVariants"]
        return int(variants[0]["CurrentInstanceCount"])


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    server = Server([accounts.PRODUCER, accounts.STAGING], endpoint_seconds=0.02, speed=5000)
    server.start()
    residents = accounts.settle(server.url, TEMPLATES, [accounts.PRODUCER, accounts.STAGING])

    def client(account: str, service: str) -> Any:
        key = residents.administrators[account]
        session: Any = boto3.session.Session(
            key.access_key_id, key.secret_access_key, region_name=accounts.REGION
        )
        return session.client(service, endpoint_url=server.url)

    staging = {
        one: client("staging", one)
        for one in ("sagemaker", "sagemaker-runtime", "iam", "cloudwatch", "application-autoscaling", "s3")
    }
    staging["producer-s3"] = client("producer", "s3")
    found = Host(server, staging["sagemaker"], staging["sagemaker-runtime"], staging)
    _furnish(found, client("producer", "ecr"))
    yield found
    server.stop()


def _furnish(host: Host, registry: Any) -> None:
    """Two models of artifacts in a bucket of the account, an image that it may pull, and the endpoint."""
    s3, iam = host.clients["s3"], host.clients["iam"]
    s3.create_bucket(Bucket="models-of-staging")
    for version in (1, 2):
        key = f"{accounts.ARTIFACTS}{version}/model.tar.gz"
        body = host.clients["producer-s3"].get_object(Bucket=accounts.BUCKET, Key=key)["Body"].read()
        s3.put_object(Bucket="models-of-staging", Key=f"{version}.tar.gz", Body=body)
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam.create_role(
        RoleName="host", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    iam.put_role_policy(
        RoleName="host",
        PolicyName="all",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [everything]}),
    )
    pull = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{accounts.STAGING.id}:root"},
        "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
    }
    registry.set_repository_policy(
        repositoryName=accounts.REPOSITORY,
        policyText=json.dumps({"Version": "2012-10-17", "Statement": [pull]}),
    )
    image = f"{accounts.PRODUCER.id}.dkr.ecr.{accounts.REGION}.amazonaws.com/{accounts.REPOSITORY}:1"
    for name, version in (("one", 1), ("two", 2)):
        container = {"Image": image, "ModelDataUrl": f"s3://models-of-staging/{version}.tar.gz"}
        host.sm.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    parts = [
        {"Image": image, "ModelDataUrl": f"s3://models-of-staging/{version}.tar.gz"} for version in (1, 2)
    ]
    host.sm.create_model(ModelName="pipeline", Containers=parts, ExecutionRoleArn=ROLE)
    host.clients["cloudwatch"].put_metric_alarm(
        AlarmName="errors",
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
    )
    scaling = {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 2}
    host.sm.create_endpoint_config(
        EndpointConfigName="host",
        ExecutionRoleArn=ROLE,
        ProductionVariants=[variant(ManagedInstanceScaling=scaling)],
    )
    host.sm.create_endpoint_config(EndpointConfigName="own", ProductionVariants=[variant(ModelName="one")])
    for name in ("host", "own"):
        host.sm.create_endpoint(EndpointName=name, EndpointConfigName=name)
        while host.sm.describe_endpoint(EndpointName=name)["EndpointStatus"] != "InService":
            time.sleep(0.02)


def variant(**more: Any) -> dict[str, Any]:
    return {
        "VariantName": "AllTraffic",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        **more,
    }


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    said = caught.value.response["Error"]
    return said["Code"], said["Message"]


@pytest.fixture(autouse=True)
def _tidy(host: Host) -> Iterator[None]:
    yield
    host.server.outcomes.clear()
    host.clients["cloudwatch"].set_alarm_state(AlarmName="errors", StateValue="OK", StateReason="test")
    for name in host.names():
        host.calm(name)
        host.delete(name)


def test_components_answer_beside_each_other_under_their_names(host: Host) -> None:
    first, second = host.create("one"), host.create("two")
    assert (host.ask(first), host.ask(second)) == (1, 2)
    assert set(host.names(EndpointNameEquals="host", VariantNameEquals="AllTraffic")) == {first, second}
    assert host.names(EndpointNameEquals="own") == []
    assert host.names(NameContains=first) == [first]
    assert host.names(StatusEquals="Failed") == []
    found = host.described(first)
    assert found["InferenceComponentArn"].endswith(f":inference-component/{first}")
    assert found["RuntimeConfig"] == {"DesiredCopyCount": 1, "CurrentCopyCount": 1}
    assert "@sha256:" in found["Specification"]["Container"]["DeployedImage"]["ResolvedImage"]


def test_a_component_has_tags_and_a_log_group_of_its_own(host: Host) -> None:
    name = host.create(Tags=[{"Key": "team", "Value": "trees"}])
    tags = host.sm.list_tags(ResourceArn=host.described(name)["InferenceComponentArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "trees"}]
    assert any(f":inference-component/{name}" in output.endpoint for output in host.server.world.outputs)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"EndpointName": "ghost"}, 'Could not find endpoint "arn'),
        ({"EndpointName": "own"}, "Inference Components are not supported in this Endpoint"),
        ({"VariantName": "ghost"}, "Could not find variant ghost"),
        ({"RuntimeConfig": {"CopyCount": 0}}, "Inference components copy count an integer larger than 0"),
        ({"Specification": {"ModelName": "ghost", "ComputeResourceRequirements": NEEDS}}, 'Could not find model "arn'),
        ({"Specification": {"ComputeResourceRequirements": NEEDS}}, "needs a ModelName"),
        ({"Specification": {"ModelName": "one"}}, "needs ComputeResourceRequirements"),
        (
            {"Specification": {"ModelName": "pipeline", "ComputeResourceRequirements": NEEDS}},
            "takes a model of one container",
        ),
        (
            {
                "Specification": {
                    "ModelName": "one",
                    "ComputeResourceRequirements": {**NEEDS, "MaxMemoryRequiredInMb": 512},
                }
            },
            "cannot be less than MinMemoryRequiredInMb",
        ),
        (
            {"Specification": {"BaseInferenceComponentName": "base", "Container": {"ArtifactUrl": "s3://a/b"}}},
            "does not model BaseInferenceComponentName",
        ),
    ],
)  # fmt: skip
def test_what_is_refused_of_a_new_component(host: Host, change: dict[str, Any], text: str) -> None:
    asked = {**host.asked(next(_names)), **change}
    code, message = refused(lambda: host.sm.create_inference_component(**asked))
    assert code == "ValidationException"
    assert text in message
    assert host.names() == []


def test_a_component_that_is_there_is_not_made_again(host: Host) -> None:
    name = host.create()
    asked = host.asked(name.upper())
    _, message = refused(lambda: host.sm.create_inference_component(**asked))
    assert message.startswith("Cannot create already existing inference component")


@pytest.mark.parametrize("operation", ["describe", "delete", "update"])
def test_a_component_that_is_not_there(host: Host, operation: str) -> None:
    more = {"RuntimeConfig": {"CopyCount": 1}} if operation == "update" else {}
    call = getattr(host.sm, f"{operation}_inference_component")
    code, message = refused(lambda: call(InferenceComponentName="ghost", **more))
    assert code == "ValidationException"
    assert message.startswith("Could not find inference component")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "needs a Specification or a RuntimeConfig"),
        ({"Specification": {"ModelName": "ghost", "ComputeResourceRequirements": NEEDS}}, "Could not find model"),
        ({"RuntimeConfig": {"CopyCount": 2}, "DeploymentConfig": {"alarms": ["ghost"]}}, "Could not find CloudWatch alarm"),
        ({"RuntimeConfig": {"CopyCount": 2}, "DeploymentConfig": {"percent": 60}}, "MaximumBatchSize must be between 5% and 50%"),
    ],
)  # fmt: skip
def test_what_is_refused_of_an_update(host: Host, given: dict[str, Any], text: str) -> None:
    name = host.create()
    if "DeploymentConfig" in given:
        given = {**given, "DeploymentConfig": rolling(**given["DeploymentConfig"])}
    _, message = refused(lambda: host.sm.update_inference_component(InferenceComponentName=name, **given))
    assert text in message
    assert host.described(name)["InferenceComponentStatus"] == "InService"


def rolling(
    percent: int = 25, wait: int = 100, alarms: list[str] | None = None, **size: Any
) -> dict[str, Any]:
    policy = {
        "MaximumBatchSize": size or {"Type": "CAPACITY_PERCENT", "Value": percent},
        "WaitIntervalInSeconds": wait,
    }
    named = (
        {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": one} for one in alarms]}} if alarms else {}
    )
    return {"RollingUpdatePolicy": policy, **named}


def test_nothing_is_changed_or_deleted_in_the_middle_of_a_change(host: Host) -> None:
    name = host.create(copies=4)
    given = {"InferenceComponentName": name, "RuntimeConfig": {"CopyCount": 2}}
    specification = {"ModelName": "two", "ComputeResourceRequirements": NEEDS}
    host.sm.update_inference_component(
        InferenceComponentName=name, Specification=specification, DeploymentConfig=rolling(wait=1000)
    )
    for call in (
        lambda: host.sm.update_inference_component(**given),
        lambda: host.sm.delete_inference_component(InferenceComponentName=name),
    ):
        assert refused(call)[1].startswith("Cannot update in-progress inference component")
    assert host.described(name)["Specification"]["ModelName"] == "one"
    assert host.calm(name)["Specification"]["ModelName"] == "two"


@pytest.mark.parametrize("size", [{}, {"Type": "COPY_COUNT", "Value": 1}])
def test_a_rolling_update_takes_over_batch_by_batch(host: Host, size: dict[str, Any]) -> None:
    name = host.create("one", copies=4)
    deployment = rolling(wait=500, alarms=["errors"], **size)
    found = host.move(name, "two", DeploymentConfig=deployment)
    assert found["Specification"]["ModelName"] == "two"
    assert found["LastDeploymentConfig"] == deployment
    assert found["RuntimeConfig"] == {"DesiredCopyCount": 4, "CurrentCopyCount": 4}
    assert host.ask(name) == 2


def test_an_alarm_takes_an_update_back(host: Host) -> None:
    name = host.create("one", copies=4)
    host.clients["cloudwatch"].set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="test")
    found = host.move(name, "two", DeploymentConfig=rolling(alarms=["errors"]))
    assert (found["InferenceComponentStatus"], found["Specification"]["ModelName"]) == ("InService", "one")
    assert "alarm(s) errors" in found["FailureReason"]
    assert host.ask(name) == 1


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        ({"kind": "unhealthy", "seconds": 50}, "did not pass the ping health check"),
        ({"kind": "crash-loop", "seconds": 50}, "did not pass the ping health check"),
        ({"kind": "no-capacity"}, "InsufficientInstanceCapacity"),
    ],
)
def test_what_was_arranged_befalls_a_new_component_and_an_update(
    host: Host, outcome: dict[str, Any], text: str
) -> None:
    failing, name = next(_names), host.create("one")
    host.server.outcomes.next_endpoint(Outcome(**outcome), accounts.STAGING.id, failing)
    host.server.outcomes.next_endpoint(Outcome(**outcome), accounts.STAGING.id, name)
    host.sm.create_inference_component(**host.asked(failing))
    found = host.calm(failing)
    assert found["InferenceComponentStatus"] == "Failed"
    assert text in found["FailureReason"]
    assert found["RuntimeConfig"]["CurrentCopyCount"] == 0
    assert "in status Failed" in refused(lambda: host.copies(failing, 2))[1]
    assert text in host.move(name, "two")["FailureReason"]
    assert host.ask(name) == 1


def test_the_room_of_the_instances_is_held_against_what_copies_take(host: Host) -> None:
    """Two instances of 8 GiB each are the most that the endpoint may have."""
    asked = host.asked(first := next(_names), copies=2)
    asked["Specification"]["ComputeResourceRequirements"] = {"MinMemoryRequiredInMb": 7 * 1024}
    host.sm.create_inference_component(**asked)
    assert host.calm(first)["InferenceComponentStatus"] == "InService"
    asked = host.asked(second := next(_names), copies=3)
    host.sm.create_inference_component(**asked)
    assert "InsufficientInstanceCapacity" in host.calm(second)["FailureReason"]


M5 = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}


@pytest.mark.parametrize(
    ("variant", "asked", "short"),
    [
        (M5, [(Size(memory=8192), 1)], []),
        (M5, [(Size(memory=8193), 1)], ["MinMemoryRequiredInMb"]),
        (M5, [(Size(memory=4096), 2), (Size(memory=128), 1)], ["MinMemoryRequiredInMb"]),
        (M5, [(Size(cores=0.5, memory=128), 4)], []),
        (M5, [(Size(cores=0.5, memory=128), 5)], ["NumberOfCpuCoresRequired"]),
        (M5, [(Size(memory=128, accelerators=1), 1)], ["NumberOfAcceleratorDevicesRequired"]),
        (M5, [(Size(memory=99999), 0)], []),
        ({**M5, "InitialInstanceCount": 2}, [(Size(memory=8192), 2)], []),
        ({**M5, "InitialInstanceCount": 2}, [(Size(memory=8193), 1)], ["MinMemoryRequiredInMb"]),
        ({"InstanceType": "ml.unknown.large", "InitialInstanceCount": 1}, [(Size(memory=10**9), 9)], []),
    ],
)
def test_what_does_not_fit(variant: dict[str, Any], asked: list[tuple[Size, int]], short: list[str]) -> None:
    assert list(shortages(variant, asked)) == short


@pytest.mark.parametrize(
    ("scaling", "copies", "count"),
    [
        (None, 0, 2),
        ({"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 3}, 0, 0),
        ({"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 3}, 1, 2),
        ({"Status": "ENABLED", "MinInstanceCount": 1, "MaxInstanceCount": 3}, 0, 2),
        ({"Status": "DISABLED", "MinInstanceCount": 0, "MaxInstanceCount": 3}, 0, 2),
    ],
)
def test_an_endpoint_goes_to_no_instances_where_it_may(scaling: Any, copies: int, count: int) -> None:
    assert instances_for({"InitialInstanceCount": 2, "ManagedInstanceScaling": scaling}, copies) == count


def test_no_copies_answer_nothing_and_run_nothing(host: Host) -> None:
    name = host.create("one")
    assert host.instances() == 1
    host.copies(name, 0)
    found = host.described(name)
    assert found["InferenceComponentStatus"] == "InService"
    assert found["RuntimeConfig"] == {"DesiredCopyCount": 0, "CurrentCopyCount": 0}
    assert host.instances() == 0
    code, message = refused(lambda: host.ask(name))
    assert code == "ValidationError"
    assert message.startswith("Inference Component has no capacity to process this request.")
    assert host.described(name)["RuntimeConfig"]["DesiredCopyCount"] == 0  # nobody told it to scale
    host.move(name, "two")
    assert refused(lambda: host.ask(name))[0] == "ValidationError"
    host.copies(name, 2)
    assert host.ask(name) == 2
    assert host.instances() == 1


def test_a_scalable_target_comes_back_when_it_is_invoked(host: Host) -> None:
    name = host.create("one")
    host.copies(name, 0)
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"inference-component/{name}",
        "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
    }
    scaling = host.clients["application-autoscaling"]
    scaling.register_scalable_target(**target, MinCapacity=0, MaxCapacity=2)
    assert refused(lambda: host.ask(name))[0] == "ValidationError"
    assert host.calm(name)["RuntimeConfig"]["DesiredCopyCount"] == 1
    assert host.ask(name) == 1
    assert scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    host.delete(name)
    assert not scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    again = {**target, "MinCapacity": 0, "MaxCapacity": 2}
    assert "doesn't exist" in refused(lambda: scaling.register_scalable_target(**again))[1]


@pytest.mark.parametrize(
    ("endpoint", "component", "text"),
    [
        ("host", None, "Inference Component Name header is required"),
        ("host", "ghost", "Inference Component ghost of endpoint host not found"),
        ("own", "ghost", "Inference Component Name header is not allowed"),
    ],
)
def test_who_is_asked_must_be_said_where_there_are_components_and_nowhere_else(
    host: Host, endpoint: str, component: str | None, text: str
) -> None:
    named = {"InferenceComponentName": component} if component else {}
    asked = {"EndpointName": endpoint, "Body": FLOWERS, "ContentType": "text/csv", **named}
    code, message = refused(lambda: host.runtime.invoke_endpoint(**asked))
    assert code == "ValidationError"
    assert text in message


def test_an_endpoint_is_not_deleted_while_it_hosts_components(host: Host) -> None:
    name = host.create()
    code, message = refused(lambda: host.sm.delete_endpoint(EndpointName="host"))
    assert code == "ValidationException"
    assert name in message


def test_an_endpoint_gets_other_instances_under_its_components(host: Host) -> None:
    name = host.create("one")
    given = {"ExecutionRoleArn": ROLE, "ProductionVariants": [variant(InitialInstanceCount=2)]}
    host.sm.create_endpoint_config(EndpointConfigName=(config := next(_names)), **given)
    host.sm.update_endpoint(EndpointName="host", EndpointConfigName=config)
    while host.sm.describe_endpoint(EndpointName="host")["EndpointStatus"] != "InService":
        assert host.ask(name) == 1
    assert host.instances() == 2
    _, message = refused(lambda: host.sm.update_endpoint(EndpointName="host", EndpointConfigName="own"))
    assert "cannot change between models of its own and inference components" in message
    host.sm.update_endpoint(EndpointName="host", EndpointConfigName="host")
    while host.sm.describe_endpoint(EndpointName="host")["EndpointStatus"] != "InService":
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"ProductionVariants": [variant()]}, "ExecutionRoleArn is required"),
        (
            {"ProductionVariants": [variant(), variant(VariantName="b", ModelName="one")], "ExecutionRoleArn": ROLE},
            "Either every production variant",
        ),
        (
            {
                "ProductionVariants": [
                    variant(ModelName="one", ManagedInstanceScaling={"Status": "ENABLED", "MinInstanceCount": 0})
                ]
            },
            "Min instance count needs to be greater than 0",
        ),
        (
            {
                "ProductionVariants": [
                    variant(
                        ManagedInstanceScaling={"Status": "ENABLED", "MinInstanceCount": 3, "MaxInstanceCount": 2}
                    )
                ],
                "ExecutionRoleArn": ROLE,
            },
            "cannot be greater than MaxInstanceCount",
        ),
    ],
)  # fmt: skip
def test_what_is_refused_of_an_endpoint_config(host: Host, given: dict[str, Any], text: str) -> None:
    code, message = refused(lambda: host.sm.create_endpoint_config(EndpointConfigName=next(_names), **given))
    assert code == "ValidationException"
    assert text in message


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("CreateInferenceComponent", "inference-component"),
        ("CreateInferenceComponent", "endpoint"),
        ("UpdateInferenceComponent", "inference-component"),
        ("UpdateInferenceComponentRuntimeConfig", "inference-component"),
        ("DescribeInferenceComponent", "inference-component"),
        ("DeleteInferenceComponent", "inference-component"),
        ("ListInferenceComponents", "*"),
        ("InvokeEndpoint", "inference-component"),
        ("InvokeEndpoint", "endpoint"),
    ],
)
def test_each_operation_is_judged_on_what_it_names(host: Host, action: str, resource: str) -> None:
    name, iam = host.create(), host.clients["iam"]
    arn = "*" if resource == "*" else f"arn:aws:sagemaker:*:*:{resource}/*"
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": f"sagemaker:{action}", "Resource": arn},
    ]
    user = next(_names)
    iam.create_user(UserName=user)
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=text)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    session: Any = boto3.session.Session(
        key["AccessKeyId"], key["SecretAccessKey"], region_name=accounts.REGION
    )
    sm, runtime = (
        session.client(one, endpoint_url=host.server.url) for one in ("sagemaker", "sagemaker-runtime")
    )
    named = {"InferenceComponentName": name}
    calls: dict[str, Callable[[], Any]] = {
        "CreateInferenceComponent": lambda: sm.create_inference_component(**host.asked(next(_names))),
        "UpdateInferenceComponent": lambda: sm.update_inference_component(
            **named, RuntimeConfig={"CopyCount": 2}
        ),
        "UpdateInferenceComponentRuntimeConfig": lambda: sm.update_inference_component_runtime_config(
            **named, DesiredRuntimeConfig={"CopyCount": 2}
        ),
        "DescribeInferenceComponent": lambda: sm.describe_inference_component(**named),
        "DeleteInferenceComponent": lambda: sm.delete_inference_component(**named),
        "ListInferenceComponents": lambda: sm.list_inference_components(),
        "InvokeEndpoint": lambda: runtime.invoke_endpoint(
            EndpointName="host", **named, Body=FLOWERS, ContentType="text/csv"
        ),
    }
    code, message = refused(calls[action])
    assert code == "AccessDeniedException"
    assert f"sagemaker:{action} on resource: " in message
    assert resource == "*" or f":{resource}/" in message
    assert host.names() == [name]


def test_the_role_of_an_endpoint_config_must_be_one_that_may_be_passed(host: Host) -> None:
    other = f"arn:aws:iam::{accounts.PRODUCER.id}:role/crossaccount-producer"
    given = {"ProductionVariants": [variant()], "ExecutionRoleArn": other}
    _, message = refused(lambda: host.sm.create_endpoint_config(EndpointConfigName=next(_names), **given))
    assert message == "Cross-account pass role is not allowed."
