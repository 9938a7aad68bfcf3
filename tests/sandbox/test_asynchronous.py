"""Asynchronous endpoints of the sandbox: a request is queued, its answer or its error lies in S3, and a role that may not is told."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount_sandbox.accounts import ACCOUNTS, REPOSITORY, _image, push_image
from crossaccount_sandbox.sagemaker.image_commands import ImageCommand
from crossaccount_sandbox.training import train

OWNER = ACCOUNTS[0]
REGISTRY = f"{OWNER.id}.dkr.ecr.us-east-1.amazonaws.com"
BUCKET = "answers-of-endpoints"
ROLE = f"arn:aws:iam::{OWNER.id}:role/queueing"
ROWS = b"5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5"
TOPIC = f"arn:aws:sns:us-east-1:{OWNER.id}:answers"
# Says how many requests it had at the same time, after a while; an error for the body "fail".
SERVER = """
import os, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

at_once, most, lock = 0, 0, threading.Lock()

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, b"")

    def do_POST(self):
        global at_once, most
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(float(body) if body[:1].isdigit() else 0.0)
        with lock:
            at_once -= 1
        if body == b"fail":
            return self.answer(500, b"out of luck")
        told = f"{most} {len(body)} {self.headers['Content-Type']} {self.headers['Accept']}"
        self.answer(200, told.encode())

    def answer(self, status, body):
        self.send_response(status)
        for name, value in {"Content-Type": "application/x-told", "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""
_names = (f"queued-{number}" for number in itertools.count())
EVERYTHING = {
    "Effect": "Allow",
    "Action": ["s3:*", "ecr:*", "kms:*", "logs:*", "sns:Publish"],
    "Resource": "*",
}


class World:
    """A sandbox with an account that hosts a model of the built-in server and one of a script."""

    def __init__(self, inner: Any, command: list[str]) -> None:
        self.inner = inner
        self.sagemaker, self.runtime = self.of("sagemaker"), self.of("sagemaker-runtime")
        self.s3, self.iam = self.of("s3"), self.of("iam")
        self.s3.create_bucket(Bucket=BUCKET)
        _image(self.of("ecr"))
        self.of("ecr").create_repository(repositoryName="slow")
        push_image(self.of("ecr"), "slow", "1")
        inner.server.images.add([ImageCommand("slow", tuple(command))])
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        self.iam.create_role(RoleName="queueing", AssumeRolePolicyDocument=document(trust))
        self.allow()
        self.s3.put_object(Bucket=BUCKET, Key="tree.tar.gz", Body=train(2).archive)
        for name, image in (("tree", REPOSITORY), ("slow", "slow")):
            container = {"Image": f"{REGISTRY}/{image}:1", "ModelDataUrl": f"s3://{BUCKET}/tree.tar.gz"}
            self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)

    def of(self, service: str) -> Any:
        return self.inner.client(OWNER.name, service)

    def allow(self, *statements: dict[str, Any]) -> None:
        """What the execution role may, with these denials."""
        self.iam.put_role_policy(
            RoleName="queueing", PolicyName="all", PolicyDocument=document(EVERYTHING, *statements)
        )

    def config(self, model: str = "tree", variant: dict[str, Any] | None = None, **wanted: Any) -> str:
        name = next(_names)
        given = variant or {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        client = wanted.pop("client", {})
        output = {"S3OutputPath": f"s3://{BUCKET}/out/", "S3FailurePath": f"s3://{BUCKET}/failed", **wanted}
        output = {name: value for name, value in output.items() if value is not None}
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[{"VariantName": "all", "ModelName": model, **given}],
            AsyncInferenceConfig={"OutputConfig": output, "ClientConfig": client},
        )
        return name

    def hosted(self, config: str) -> dict[str, Any]:
        self.sagemaker.create_endpoint(EndpointName=config, EndpointConfigName=config)
        found: dict[str, Any] = until(
            lambda: self.sagemaker.describe_endpoint(EndpointName=config),
            lambda found: found["EndpointStatus"] != "Creating",
        )
        return found

    def serve(self, *arguments: Any, **wanted: Any) -> str:
        found = self.hosted(self.config(*arguments, **wanted))
        assert found["EndpointStatus"] == "InService", found
        return str(found["EndpointName"])

    def ask(self, endpoint: str, **more: Any) -> dict[str, Any]:
        given = {"ContentType": "text/csv", **({} if "InputLocation" in more else {"Body": ROWS}), **more}
        answer: dict[str, Any] = self.runtime.invoke_endpoint_async(EndpointName=endpoint, **given)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
        return answer

    def object(self, uri: str, seconds: float = 10.0) -> tuple[bytes, str, dict[str, Any]]:
        """The object at a URI, once it is there: its bytes, its content type, and all that S3 says."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")

        def look() -> Any:
            try:
                found = self.s3.get_object(Bucket=bucket, Key=key)
            except self.s3.exceptions.NoSuchKey:
                found = None
            return found

        found = until(look, bool, seconds)
        return found["Body"].read(), found["ContentType"], found

    def logged(self, endpoint: str) -> str:
        """What the endpoint's log says of requests that came to nothing."""
        logs, group = self.of("logs"), f"/aws/sagemaker/Endpoints/{endpoint}"

        def look() -> str:
            try:
                found = logs.filter_log_events(logGroupName=group)["events"]
            except ClientError:
                return ""
            return "\n".join(
                event["message"] for event in found if event["logStreamName"].endswith("/data-log")
            )

        return str(until(look, bool))


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def deny(*actions: str, resource: str = "*") -> dict[str, Any]:
    return {"Effect": "Deny", "Action": list(actions), "Resource": resource}


def until(look: Callable[[], Any], holds: Callable[[Any], bool], seconds: float = 10.0) -> Any:
    deadline = time.monotonic() + seconds
    while not holds(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
    return found


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


@pytest.fixture(scope="module")
def world(inner: Any, tmp_path_factory: pytest.TempPathFactory) -> World:
    script = tmp_path_factory.mktemp("slow") / "serve.py"
    script.write_text(SERVER)
    inner.server.hosting._pace = inner.server._fleets._pace = type(inner.server._fleets._pace)(0.0, 5000.0)
    return World(inner, [sys.executable, str(script)])


@pytest.fixture
def narrowed(world: World) -> Iterator[World]:
    """The world, whose execution role may everything again afterwards."""
    yield world
    world.allow()


@pytest.fixture(scope="module")
def tree(world: World) -> str:
    return world.serve()


@pytest.fixture(scope="module")
def slow(world: World) -> str:
    return world.serve("slow", client={"MaxConcurrentInvocationsPerInstance": 2})


def test_an_answer_lies_where_the_call_said_with_its_content_type(world: World, tree: str) -> None:
    told = world.ask(tree, Accept="application/json", InferenceId="one")
    assert told["OutputLocation"] == f"s3://{BUCKET}/out/one.out"
    assert told["FailureLocation"] == f"s3://{BUCKET}/failed/one-error.out"
    assert told["InferenceId"] == "one"
    assert world.object(told["OutputLocation"])[:2] == (b"[0, 2]", "application/json")


def test_an_input_object_is_read_and_its_answer_has_the_name_that_was_wished(world: World, tree: str) -> None:
    world.s3.put_object(Bucket=BUCKET, Key="in/rows", Body=ROWS)
    told = world.ask(
        tree,
        InputLocation=f"s3://{BUCKET}/in/rows",
        Accept="text/csv",
        S3OutputPathExtension="mine/of",
        Filename="rows.csv",
    )
    assert told["OutputLocation"] == f"s3://{BUCKET}/out/mine/of/rows.csv"
    body, kind, _ = world.object(told["OutputLocation"])
    assert (body.split(), kind.partition(";")[0]) == ([b"0", b"2"], "text/csv")


def test_a_config_is_shown_by_the_endpoint_and_its_own_description(world: World, tree: str) -> None:
    wanted = {
        "OutputConfig": {"S3OutputPath": f"s3://{BUCKET}/out/", "S3FailurePath": f"s3://{BUCKET}/failed"},
        "ClientConfig": {},
    }
    assert world.sagemaker.describe_endpoint(EndpointName=tree)["AsyncInferenceConfig"] == wanted
    config = world.sagemaker.describe_endpoint_config(EndpointConfigName=tree)
    assert config["AsyncInferenceConfig"] == wanted


def test_an_answer_is_encrypted_under_the_key_of_the_config(narrowed: World) -> None:
    key = narrowed.of("kms").create_key()["KeyMetadata"]["Arn"]
    endpoint = narrowed.serve(KmsKeyId=key)
    body, _, found = narrowed.object(narrowed.ask(endpoint)["OutputLocation"])
    assert (body, found["SSEKMSKeyId"]) == (b"[0, 2]", key)
    narrowed.allow(deny("kms:GenerateDataKey"))
    narrowed.ask(endpoint, InferenceId="shut")
    assert "[shut] Unable to write to" in (said := narrowed.logged(endpoint))
    assert "kms:GenerateDataKey" in said


def test_requests_wait_for_their_turn(world: World, slow: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        told = list(pool.map(lambda _: world.ask(slow, Body=b"0.15", ContentType="text/x"), range(6)))
    answers = [world.object(one["OutputLocation"]) for one in told]
    assert {body for body, _, _ in answers} <= {b"1 4 text/x */*", b"2 4 text/x */*"}
    assert {kind for _, kind, _ in answers} == {"application/x-told"}


def test_a_body_of_128000_bytes_is_taken_and_no_byte_more(world: World, slow: str) -> None:
    told = world.ask(slow, Body=b"x" * 128_000)
    assert world.object(told["OutputLocation"])[0].split()[1] == b"128000"
    code, text = refused(lambda: world.ask(slow, Body=b"x" * 128_001))
    assert (code, "less than or equal to 128000" in text) == ("ValidationError", True)


def test_an_error_of_the_container_lies_at_the_failure_location(world: World, slow: str) -> None:
    told = world.ask(slow, Body=b"fail")
    body, _, _ = world.object(told["FailureLocation"])
    assert b'Received server error (500) from primary with message "out of luck"' in body
    without = world.serve("slow", S3FailurePath=None)
    told = world.ask(without, Body=b"fail", InferenceId="lost")
    assert "FailureLocation" not in told
    assert "[lost] Received server error (500)" in world.logged(without)


def test_an_answer_that_takes_too_long_is_a_failure(world: World, slow: str) -> None:
    told = world.ask(slow, Body=b"3", InvocationTimeoutSeconds=1)
    assert b"timed out" in world.object(told["FailureLocation"])[0]


def test_nothing_is_asked_while_there_are_no_instances(world: World) -> None:
    endpoint = world.serve()
    scale = [{"VariantName": "all", "DesiredInstanceCount": 0}]
    world.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint, DesiredWeightsAndCapacities=scale
    )
    until(
        lambda: world.sagemaker.describe_endpoint(EndpointName=endpoint),
        lambda found: found["EndpointStatus"] == "InService",
    )
    told = world.ask(endpoint)
    with pytest.raises(AssertionError):
        world.object(told["OutputLocation"], 0.4)
    scale[0]["DesiredInstanceCount"] = 1
    world.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint, DesiredWeightsAndCapacities=scale
    )
    assert world.object(told["OutputLocation"])[0] == b"[0, 2]"


@pytest.mark.parametrize(
    ("denied", "place", "said"),
    [
        ("s3:PutObject", "out", "Unable to write to s3://"),
        ("s3:PutObject", "failed", "Unable to write to s3://"),
        ("s3:GetObject", "in", "Unable to read the request payload at s3://"),
    ],
)
def test_what_the_execution_role_may_not_do_stands_in_the_log(
    narrowed: World, slow: str, denied: str, place: str, said: str
) -> None:
    narrowed.allow(deny(denied, resource=f"arn:aws:s3:::{BUCKET}/{place}/*"))
    narrowed.s3.put_object(Bucket=BUCKET, Key="in/body", Body=b"x")
    asked = {"out": {"Body": b"x"}, "failed": {"Body": b"fail"}}
    given = asked.get(place, {"InputLocation": f"s3://{BUCKET}/in/body"})
    name = f"{place}-{next(_names)}"
    told = narrowed.ask(slow, InferenceId=name, **given)
    until(lambda: narrowed.logged(slow), lambda text: f"[{name}] {said}" in text)
    if place == "in":
        assert denied.encode() in narrowed.object(told["FailureLocation"])[0]


def test_topics_are_told_of_answers_and_of_errors(narrowed: World) -> None:
    topics = {"SuccessTopic": TOPIC, "ErrorTopic": f"{TOPIC}-errors"}
    endpoint = narrowed.serve("slow", NotificationConfig=topics)
    notes = narrowed.inner.server.world.notifications

    def of_topic(topic: str) -> list[dict[str, str]]:
        return [one for one in notes if one["TopicArn"] == topic]

    for body, status, topic in ((b"x", "Completed", TOPIC), (b"fail", "Failed", f"{TOPIC}-errors")):
        narrowed.ask(endpoint, Body=body, InferenceId=status)
        note = until(partial(of_topic, topic), bool)[0]
        message = json.loads(note["Message"])
        assert (message["invocationStatus"], message["inferenceId"]) == (status, status)
    assert message["failureReason"].startswith("Received server error (500)")
    narrowed.allow(deny("sns:Publish"))
    told = narrowed.ask(endpoint, Body=b"x", InferenceId="quiet")
    narrowed.object(told["OutputLocation"])
    assert not [one for one in notes if '"quiet"' in one["Message"]]


@pytest.mark.parametrize("topic", [TOPIC, TOPIC.replace(OWNER.id, "999988887777")])
def test_an_endpoint_whose_role_may_not_publish_does_not_come_up(narrowed: World, topic: str) -> None:
    if topic == TOPIC:
        narrowed.allow(deny("sns:Publish"))
    found = narrowed.hosted(narrowed.config(NotificationConfig={"ErrorTopic": topic}))
    assert found["EndpointStatus"] == "Failed"
    assert found["FailureReason"].endswith(f'has "sns:Publish" permissions for topic "{topic}".')


SERVERLESS = {"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5}}


@pytest.mark.parametrize(
    ("variant", "output", "text"),
    [
        (SERVERLESS, {}, "Serverless variants are not supported"),
        (
            {"InstanceType": "ml.inf1.xlarge", "InitialInstanceCount": 1},
            {},
            "Inf1 instances are not supported",
        ),
        (None, {"S3OutputPath": None}, "S3OutputPath"),
        (None, {"S3OutputPath": "bucket/out"}, "regular expression pattern"),
        (None, {"S3FailurePath": "ftp://bucket/out"}, "regular expression pattern"),
        (None, {"NotificationConfig": {"ErrorTopic": "errors"}}, "regular expression pattern"),
    ],
)
def test_a_config_that_no_endpoint_can_have_is_refused(
    world: World, variant: Any, output: dict[str, Any], text: str
) -> None:
    code, said = refused(lambda: world.config("tree", variant, **output))
    assert (code, text in said) == ("ValidationException", True), said


def test_concurrency_has_its_bound(world: World) -> None:
    code, _ = refused(lambda: world.config(client={"MaxConcurrentInvocationsPerInstance": 1001}))
    assert code == "ValidationException"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"Body": b""}, "Exactly one of Body and InputLocation"),
        ({"Body": b"x", "InputLocation": f"s3://{BUCKET}/in"}, "Exactly one of Body and InputLocation"),
        ({"InputLocation": f"s3://{BUCKET}"}, "names no object"),
        ({"InputLocation": "ftp://b/k"}, "regular expression pattern"),
        ({"RequestTTLSeconds": 21_601}, "less than or equal to 21600"),
        ({"InvocationTimeoutSeconds": 3601}, "less than or equal to 3600"),
    ],
)
def test_a_request_that_is_none_is_refused(world: World, tree: str, given: dict[str, Any], text: str) -> None:
    code, said = refused(lambda: world.ask(tree, **given))
    assert (code, text in said) == ("ValidationError", True), said


@pytest.mark.parametrize("operation", ["invoke_endpoint", "invoke_endpoint_with_response_stream"])
def test_an_asynchronous_endpoint_answers_no_other_call(world: World, tree: str, operation: str) -> None:
    code, text = refused(lambda: getattr(world.runtime, operation)(EndpointName=tree, Body=ROWS))
    assert (code, "is asynchronous" in text) == ("ValidationError", True)
