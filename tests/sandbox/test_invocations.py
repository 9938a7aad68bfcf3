"""InvokeEndpoint and its kin: what an endpoint does not do is refused, several containers answer as one, sessions are kept."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount_sandbox.accounts import ACCOUNTS, REPOSITORY, _image, push_image
from crossaccount_sandbox.sagemaker.image_commands import ImageCommand
from crossaccount_sandbox.training import tar_gz, train

OWNER = ACCOUNTS[0]
REGISTRY = f"{OWNER.id}.dkr.ecr.us-east-1.amazonaws.com"
BUCKET = "models-of-invocations"
ROLE = f"arn:aws:iam::{OWNER.id}:role/execution"
ROWS = b"5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5"
# Answers with what it was asked and the step that it is; a session where one is wished.
SERVER = """
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STEP = os.environ["STEP"]

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, b"", {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        files = sorted(str(path.relative_to(os.environ["SM_MODEL_DIR"])) for path in Path(os.environ["SM_MODEL_DIR"]).rglob("*") if path.is_file())
        told = [STEP, body, self.headers["Content-Type"], self.headers["Accept"], files]
        session = self.headers["X-Amzn-SageMaker-Session-Id"]
        headers = {"X-Amzn-SageMaker-Custom-Attributes": f"{self.headers['X-Amzn-SageMaker-Custom-Attributes']}+{STEP}"}
        if session == "NEW_SESSION" and os.environ.get("SESSION"):
            headers["X-Amzn-SageMaker-New-Session-Id"] = os.environ["SESSION"]
        if body == "close":
            headers["X-Amzn-SageMaker-Closed-Session-Id"] = session
        status = int(os.environ.get("STATUS", "200"))
        self.answer(status, b"no" if status != 200 else json.dumps(told).encode(), headers)

    def answer(self, status, body, headers):
        self.send_response(status)
        for name, value in {"Content-Type": f"application/of-{STEP}", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""
_names = (f"asked-{number}" for number in itertools.count())


class World:
    """A sandbox whose producer has two repositories, of the built-in server and of a script, and hosts models of both."""

    def __init__(self, inner: Any, command: list[str]) -> None:
        self.inner = inner
        self.sagemaker, self.runtime = self.of("sagemaker"), self.of("sagemaker-runtime")
        self.s3, self.iam = self.of("s3"), self.of("iam")
        self.s3.create_bucket(Bucket=BUCKET)
        _image(self.of("ecr"))
        for name in ("own", "other"):
            self.of("ecr").create_repository(repositoryName=name)
            push_image(self.of("ecr"), name, "1")
            inner.server.images.add([ImageCommand(name, tuple(command))])
        trusted = {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        self.iam.create_role(RoleName="execution", AssumeRolePolicyDocument=_document(trusted))
        self.allow()
        self.s3.put_object(Bucket=BUCKET, Key="tree.tar.gz", Body=train(2).archive)
        self.s3.put_object(Bucket=BUCKET, Key="files.tar.gz", Body=tar_gz({"a": b"1"}))

    def of(self, service: str) -> Any:
        return self.inner.client(OWNER.name, service)

    def allow(self, *statements: dict[str, Any]) -> None:
        everything = {"Effect": "Allow", "Action": ["s3:*", "ecr:*"], "Resource": "*"}
        self.iam.put_role_policy(
            RoleName="execution", PolicyName="reads", PolicyDocument=_document(everything, *statements)
        )

    def model(self, *containers: dict[str, Any], **more: Any) -> str:
        name = next(_names)
        given = (
            {"PrimaryContainer": containers[0]} if len(containers) == 1 else {"Containers": list(containers)}
        )
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, **given, **more)
        return name

    def hosted(self, model: str, **variant: Any) -> dict[str, Any]:
        name = next(_names)
        given = variant or {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        one = {"VariantName": "all", "ModelName": model, **given}
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[one])
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        self.sagemaker.get_waiter("endpoint_in_service").config  # noqa: B018 - loaded once
        return self.settled(name)

    def settled(self, name: str) -> dict[str, Any]:
        for _ in range(2000):
            found: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=name)
            if found["EndpointStatus"] != "Creating":
                return found
        raise AssertionError(found)

    def serve(self, *containers: dict[str, Any], **more: Any) -> str:
        found = self.hosted(self.model(*containers, **more))
        assert found["EndpointStatus"] == "InService", found
        return str(found["EndpointName"])

    def ask(self, endpoint: str, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.runtime.invoke_endpoint(EndpointName=endpoint, **{"Body": b"x", **more})
        return {**answer, "Body": answer["Body"].read()}


def _document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture(scope="module")
def world(inner: Any, tmp_path_factory: pytest.TempPathFactory) -> World:
    script = tmp_path_factory.mktemp("own") / "serve.py"
    script.write_text(SERVER)
    inner.server.hosting._pace = inner.server._fleets._pace = type(inner.server._fleets._pace)(0.0, 5000.0)
    return World(inner, [sys.executable, str(script)])


def own(
    step: str = "a", image: str = "own", data: str | None = "files.tar.gz", **more: Any
) -> dict[str, Any]:
    """A container that runs the script."""
    environment = {"STEP": step, **{name: more.pop(name) for name in ("STATUS", "SESSION") if name in more}}
    where = {"ModelDataUrl": f"s3://{BUCKET}/{data}"} if data else {}
    return {"Image": f"{REGISTRY}/{image}:1", "Environment": environment, **where, **more}


def tree() -> dict[str, Any]:
    return {"Image": f"{REGISTRY}/{REPOSITORY}:1", "ModelDataUrl": f"s3://{BUCKET}/tree.tar.gz"}


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call()
    said = error.value.response["Error"]
    return said["Code"], said["Message"]


@pytest.fixture(scope="module")
def single(world: World) -> str:
    return world.serve(tree())


@pytest.fixture(scope="module")
def direct(world: World) -> str:
    containers = [own("a", ContainerHostname="first"), own("b", ContainerHostname="second")]
    return world.serve(*containers, InferenceExecutionConfig={"Mode": "Direct"})


COMPONENTS = (
    "Inference Component Name header is not allowed for endpoints to which you dont plan to deploy inference "
    "components. Please remove the Inference Component Name header and try again."
)
SHAPE = "1 validation error detected: Value"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"InferenceComponentName": "one"}, COMPONENTS),
        ({"TargetModel": "one.tar.gz"}, "TargetModel is not allowed for endpoint"),
        ({"TargetContainerHostname": "primary"}, "TargetContainerHostname is not allowed for endpoint"),
        ({"TargetVariant": "none"}, "Variant none of endpoint"),
        ({"SessionId": "NEW_SESSION"}, "The model container did not create a session"),
        ({"SessionId": "abc"}, "Session abc does not exist or has expired."),
        ({"EnableExplanations": "`true`"}, "EnableExplanations is not allowed for endpoint"),
        (
            {"CustomAttributes": "a" * 1025},
            f"{SHAPE} at 'customAttributes' failed to satisfy constraint: Member must",
        ),
        (
            {"InferenceId": "i" * 65},
            f"{SHAPE} '{'i' * 65}' at 'inferenceId' failed to satisfy constraint: Member must",
        ),
        (
            {"InferenceId": "tab\tbed"},
            f"{SHAPE} 'tab\tbed' at 'inferenceId' failed to satisfy constraint: Member must",
        ),
        ({"TargetVariant": "no_name"}, f"{SHAPE} 'no_name' at 'targetVariant' failed to satisfy constraint"),
        (
            {"TargetModel": "m" * 1025},
            f"{SHAPE} '{'m' * 1025}' at 'targetModel' failed to satisfy constraint",
        ),
        ({"SessionId": "no session"}, f"{SHAPE} 'no session' at 'sessionId' failed to satisfy constraint"),
        (
            {"InferenceComponentName": "-"},
            f"{SHAPE} '-' at 'inferenceComponentName' failed to satisfy constraint",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["", "_with_response_stream"])
def test_what_an_endpoint_does_not_do_is_refused(
    world: World, single: str, kind: str, given: dict[str, Any], says: str
) -> None:
    invoke = getattr(world.runtime, f"invoke_endpoint{kind}")
    if kind and (
        set(given) & {"TargetModel", "EnableExplanations"} or given.get("SessionId") == "NEW_SESSION"
    ):
        return  # streams have no such parameter
    code, text = refused(lambda: invoke(EndpointName=single, Body=ROWS, ContentType="text/csv", **given))
    assert (code, text[: len(says)]) == ("ValidationError", says)


def test_what_just_fits_is_taken(world: World, single: str) -> None:
    given = {"CustomAttributes": "a" * 1024, "InferenceId": "i" * 64, "TargetVariant": "all"}
    answer = world.ask(single, Body=ROWS, ContentType="text/csv", **given)
    assert json.loads(answer["Body"]) == [0, 2]
    assert answer["InvokedProductionVariant"] == "all"
    assert "CustomAttributes" not in answer


@pytest.mark.parametrize(("over", "code"), [(1, "413"), (0, None)])
def test_how_large_a_body_may_be(world: World, direct: str, over: int, code: str | None) -> None:
    def ask() -> Any:
        return world.ask(direct, Body=b"1" * (25 * 1024 * 1024 + over), TargetContainerHostname="first")

    if code is None:
        assert len(ask()["Body"]) > 25 * 1024 * 1024
    else:
        assert refused(ask) == (code, "HTTP content length exceeded 26214400 bytes.")


def test_a_serverless_endpoint_takes_less(world: World) -> None:
    serverless = {"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5}}
    name = world.hosted(world.model(own()), **serverless)["EndpointName"]
    assert world.ask(name, Body=b"1" * 4 * 1024 * 1024)
    code, text = refused(lambda: world.ask(name, Body=b"1" * (4 * 1024 * 1024 + 1)))
    assert (code, text.endswith("has oversize body.")) == ("ValidationError", True)
    code, text = refused(
        lambda: world.runtime.invoke_endpoint_with_response_stream(EndpointName=name, Body=b"x")
    )
    assert (code, "does not support response streaming" in text) == ("ValidationError", True)


def test_an_endpoint_without_a_queue_takes_no_asynchronous_call(world: World, single: str) -> None:
    where = f"s3://{BUCKET}/input"
    code, text = refused(
        lambda: world.runtime.invoke_endpoint_async(
            EndpointName=single, InputLocation=where, ContentType="text/csv"
        )
    )
    assert (code, "is not asynchronous" in text) == ("ValidationError", True)
    code, text = refused(
        lambda: world.runtime.invoke_endpoint_async(EndpointName="none", InputLocation=where)
    )
    assert (code, text.endswith("not found.")) == ("ValidationError", True)


@pytest.mark.parametrize("size", [1, 65_536, 200_000])
def test_a_stream_brings_the_answer_in_parts(world: World, direct: str, size: int) -> None:
    answer = world.runtime.invoke_endpoint_with_response_stream(
        EndpointName=direct,
        Body=b"x" * size,
        TargetContainerHostname="second",
        Accept="text/y",
        ContentType="text/x",
    )
    whole = b"".join(event["PayloadPart"]["Bytes"] for event in answer["Body"])
    assert json.loads(whole) == ["b", "x" * size, "text/x", "text/y", ["a"]]
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("application/of-b", "all")


@pytest.mark.parametrize(
    "operation", ["InvokeEndpoint", "InvokeEndpointAsync", "InvokeEndpointWithResponseStream"]
)
def test_each_operation_needs_its_own_permission(world: World, single: str, operation: str) -> None:
    others = [
        "sagemaker:InvokeEndpoint",
        "sagemaker:InvokeEndpointAsync",
        "sagemaker:InvokeEndpointWithResponseStream",
    ]
    others.remove(f"sagemaker:{operation}")
    narrow = world.inner.session(
        OWNER.name, "sagemaker-runtime", _document({"Effect": "Allow", "Action": others, "Resource": "*"})
    )
    given = {"InputLocation": "s3://b/k"} if operation.endswith("Async") else {"Body": b"x"}
    method = {"InvokeEndpoint": "", "InvokeEndpointAsync": "_async"}.get(operation, "_with_response_stream")
    code, text = refused(lambda: getattr(narrow, f"invoke_endpoint{method}")(EndpointName=single, **given))
    assert (code, f"sagemaker:{operation} " in text) == ("AccessDeniedException", True)


# Several containers


def test_a_pipeline_feeds_each_answer_to_the_next(world: World) -> None:
    name = world.serve(own("a"), own("b"), own("c"))
    answer = world.ask(name, Body=b"in", ContentType="text/in", Accept="text/out", CustomAttributes="z")
    c, fed, kind, accept, _ = json.loads(answer["Body"])
    assert (c, kind, accept, answer["ContentType"]) == (
        "c",
        "application/of-b",
        "text/out",
        "application/of-c",
    )
    b, fed, kind, accept, _ = json.loads(fed)
    assert (b, kind, accept) == ("b", "application/of-a", None)
    assert json.loads(fed)[:4] == ["a", "in", "text/in", None]
    assert answer["CustomAttributes"] == "z+c"


@pytest.mark.parametrize(
    ("environment", "fed"),
    [
        ({}, ["[0, 2]", "application/json"]),
        ({"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv"}, ["0\n2\n", "text/csv; charset=utf-8"]),
    ],
)
def test_the_built_in_server_can_stand_in_a_pipeline(
    world: World, environment: dict[str, str], fed: list[str]
) -> None:
    name = world.serve({**tree(), "Environment": environment}, own("b"))
    assert json.loads(world.ask(name, Body=ROWS, ContentType="text/csv")["Body"])[1:3] == fed


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(
    ("failing", "status", "side"), [(0, 400, "client"), (1, 503, "server"), (2, 500, "server")]
)
def test_the_container_that_fails_is_named(
    world: World, named: bool, failing: int, status: int, side: str
) -> None:
    containers = [own(step) for step in "abc"]
    containers[failing]["Environment"]["STATUS"] = str(status)
    names = ["container-1", "container-2", "container-3"]
    if named:
        names = ["first", "second", "third"]
        containers = [
            {**each, "ContainerHostname": name} for each, name in zip(containers, names, strict=True)
        ]
    code, text = refused(lambda: world.ask(world.serve(*containers)))
    begins = f'Received {side} error ({status}) from {names[failing]} with message "no"'
    assert (code, text[: len(begins)]) == ("ModelError", begins)


def test_what_each_container_prints_has_a_stream_of_its_own(world: World) -> None:
    name = world.serve(own("a"), own("b"))
    streams = [
        output.stream for output in world.inner.server.world.outputs if output.endpoint.endswith(f"/{name}")
    ]
    assert [stream.split("/")[::2] for stream in streams] == [["all", "container-1"], ["all", "container-2"]]


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ({}, "TargetContainerHostname is required for endpoint"),
        ({"TargetContainerHostname": "third"}, "Container third of endpoint"),
    ],
)
def test_a_directly_invoked_container_is_named(world: World, direct: str, target: Any, says: str) -> None:
    for name, step in (("first", "a"), ("second", "b")):
        assert json.loads(world.ask(direct, TargetContainerHostname=name)["Body"])[:2] == [step, "x"]
    code, text = refused(lambda: world.ask(direct, **target))
    assert (code, text[: len(says)]) == ("ValidationError", says)


def test_the_error_of_a_directly_invoked_container_names_it(world: World) -> None:
    containers = [own("a", ContainerHostname="first"), own("b", ContainerHostname="second", STATUS="400")]
    name = world.serve(*containers, InferenceExecutionConfig={"Mode": "Direct"})
    assert world.ask(name, TargetContainerHostname="first")
    code, text = refused(lambda: world.ask(name, TargetContainerHostname="second"))
    assert (code, "error (400) from second with" in text) == ("ModelError", True)


def test_a_pipeline_whose_second_container_does_not_come_up_fails(world: World) -> None:
    running = len(world.inner.server._containers)
    found = world.hosted(world.model(own("a"), {**tree(), "ModelDataUrl": f"s3://{BUCKET}/files.tar.gz"}))
    assert found["EndpointStatus"] == "Failed"
    assert found["FailureReason"].startswith(
        " The container-2 container for production variant all did not pass"
    )
    assert len(world.inner.server._containers) == running


def test_a_package_of_several_containers_is_a_pipeline(world: World) -> None:
    world.sagemaker.create_model_package_group(ModelPackageGroupName="pipelines")
    package = world.sagemaker.create_model_package(
        ModelPackageGroupName="pipelines",
        ModelApprovalStatus="Approved",
        InferenceSpecification={
            "Containers": [own("a"), own("b", image="other")],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )["ModelPackageArn"]
    name = world.serve({"ModelPackageName": package})
    assert json.loads(world.ask(name)["Body"])[0] == "b"


@pytest.mark.parametrize(
    ("denied", "resource", "says"),
    [
        ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/tree.tar.gz", "Could not access model data at"),
        ("ecr:BatchGetImage", f"arn:aws:ecr:us-east-1:{OWNER.id}:repository/{REPOSITORY}", "cannot pull"),
    ],
)
def test_the_role_must_reach_every_containers_artifact_and_image(
    world: World, denied: str, resource: str, says: str
) -> None:
    world.allow({"Effect": "Deny", "Action": denied, "Resource": resource})
    code, text = refused(lambda: world.model(own("a"), tree()))
    world.allow()
    assert (code, says in text) == ("ValidationException", True)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"Containers": [own(ContainerHostname="a"), own()]}, "each of them must have one"),
        ({"Containers": [own(ContainerHostname="a"), own(ContainerHostname="a")]}, "must be unique"),
        ({"PrimaryContainer": own(), "Containers": [own(), own()]}, "not both"),
    ],
)
def test_containers_that_aws_does_not_take_together(world: World, given: dict[str, Any], says: str) -> None:
    code, text = refused(
        lambda: world.sagemaker.create_model(ModelName=next(_names), ExecutionRoleArn=ROLE, **given)
    )
    assert (code, says in text) == ("ValidationException", True)


# Sessions


def test_a_session_lives_from_its_opening_to_its_closing(world: World) -> None:
    name = world.serve(own("a", SESSION="s1; Expires=2999-01-01T00:00:00Z"))
    assert refused(lambda: world.ask(name, SessionId="s1"))[0] == "ValidationError"
    assert world.ask(name, SessionId="NEW_SESSION")["NewSessionId"] == "s1; Expires=2999-01-01T00:00:00Z"
    assert world.ask(name, SessionId="s1")["Body"]
    assert world.ask(name, SessionId="s1", Body=b"close")["ClosedSessionId"] == "s1"
    assert refused(lambda: world.ask(name, SessionId="s1")) == (
        "ValidationError",
        "Session s1 does not exist or has expired.",
    )


def test_a_session_that_has_expired_is_none(world: World) -> None:
    name = world.serve(own("a", SESSION="s2; Expires=2020-01-01T00:00:00Z"))
    assert world.ask(name, SessionId="NEW_SESSION")["NewSessionId"]
    assert refused(lambda: world.ask(name, SessionId="s2"))[0] == "ValidationError"


# Model data that is no archive


def plain(uri: str, kind: str = "S3Prefix", **more: Any) -> dict[str, Any]:
    source = {"S3Uri": f"s3://{BUCKET}/{uri}", "S3DataType": kind, "CompressionType": "None", **more}
    return {**own("a", data=None), "ModelDataSource": {"S3DataSource": source}}


@pytest.fixture(scope="module")
def laid(world: World) -> None:
    keys = [
        *("flat/a.txt", "flat/deep/b.txt", "flat/deep/er/c.txt", "flatter/d.txt"),
        *("up/../../escaped.txt", "dot/./a.txt", "folders/a/", "folders/b.txt", "clash/a", "clash/a/b"),
        *("blank/ /a.txt", f"long/{'n' * 256}"),
    ]
    for key in keys:
        world.s3.put_object(Bucket=BUCKET, Key=key, Body=b"1")
    manifest = [{"prefix": f"s3://{BUCKET}/flat/"}, "a.txt", "deep/b.txt"]
    world.s3.put_object(Bucket=BUCKET, Key="manifest", Body=json.dumps(manifest).encode())


@pytest.mark.parametrize(
    ("container", "files"),
    [
        (plain("flat/"), ["a.txt", "deep/b.txt", "deep/er/c.txt"]),
        (plain("flat/deep/"), ["b.txt", "er/c.txt"]),
        (plain("flat/deep/b.txt", "S3Object"), ["b.txt"]),
        (plain("tree.tar.gz", "S3Object"), ["tree.tar.gz"]),
        (plain("files.tar.gz", "S3Object", CompressionType="Gzip"), ["a"]),
        (plain("flat/", ManifestS3Uri=f"s3://{BUCKET}/manifest"), ["a.txt", "deep/b.txt"]),
        (own("a", data=None), []),
    ],
)
def test_model_data_becomes_the_files_of_the_model(
    world: World, laid: None, container: dict[str, Any], files: list[str]
) -> None:
    assert json.loads(world.ask(world.serve(container))["Body"])[4] == files


@pytest.mark.parametrize(
    ("prefix", "says"),
    [
        ("up/", '"../../escaped.txt" cannot be the name of a file'),
        ("dot/", '"./a.txt" cannot be the name of a file'),
        ("folders/", '"a/" cannot be the name of a file'),
        ("clash/", '"a" is a file and a folder'),
        ("blank/", '" /a.txt" cannot be the name of a file'),
        ("long/", "cannot be the name of a file"),
        ("flat/deep/er/c.txt/", None),
    ],
)
def test_names_that_aws_does_not_take_fail_the_endpoint(
    world: World, laid: None, prefix: str, says: str | None
) -> None:
    if says is None:
        assert refused(lambda: world.model(plain(prefix)))[1].startswith("Could not find model data at s3://")
        return
    found = world.hosted(world.model(plain(prefix)))
    assert (found["EndpointStatus"], says in found["FailureReason"]) == ("Failed", True)


@pytest.mark.parametrize(
    ("container", "says"),
    [
        (plain("nothing/"), f"Could not find model data at s3://{BUCKET}/nothing/"),
        (plain("nothing", "S3Object"), f"Could not find model data at s3://{BUCKET}/nothing"),
        (plain("flat"), "must end with a forward slash"),
        ({**plain("flat/"), "ModelDataUrl": f"s3://{BUCKET}/tree.tar.gz"}, "not both"),
    ],
)
def test_model_data_that_is_not_there_is_refused(
    world: World, laid: None, container: dict[str, Any], says: str
) -> None:
    code, text = refused(lambda: world.model(container))
    assert (code, says in text) == ("ValidationException", True)


NARROW = [
    {"Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/flat/deep/er/c.txt"},
    {"Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{BUCKET}"},
    {
        "Action": "s3:ListBucket",
        "Resource": f"arn:aws:s3:::{BUCKET}",
        "Condition": {"StringLike": {"s3:prefix": "flat/*"}},
    },
]


@pytest.mark.parametrize("denied", NARROW)
def test_the_role_must_list_the_prefix_and_read_every_object(
    world: World, laid: None, denied: dict[str, Any]
) -> None:
    model = world.model(plain("flat/"))
    world.allow({"Effect": "Deny", **denied})
    code, text = refused(lambda: world.model(plain("flat/")))
    found = world.hosted(model)  # the model was made before
    world.allow()
    assert (code, text.startswith("Could not access model data at s3://")) == ("ValidationException", True)
    assert found["EndpointStatus"] == "Failed"
    assert found["FailureReason"].startswith(
        'Failed to download model data for container "container_1" from URL'
    )
