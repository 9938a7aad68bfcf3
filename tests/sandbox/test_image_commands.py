"""Images that run a command of one's own: what it is given, what it answers, and how it ends an endpoint that it cannot serve."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from crossaccount_sandbox.accounts import ACCOUNTS, REPOSITORY, _administrator, _image
from crossaccount_sandbox.command import main
from crossaccount_sandbox.sagemaker.image_commands import ImageCommand, read_commands
from crossaccount_sandbox.server import Server
from crossaccount_sandbox.training import tar_gz, train

OWNER = ACCOUNTS[0]
URI = f"{OWNER.id}.dkr.ecr.us-east-1.amazonaws.com/{REPOSITORY}"
BUCKET = "models-of-images"
SERVER = """
import json, os, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

folder, port = Path(os.environ["SM_MODEL_DIR"]), int(os.environ["SAGEMAKER_BIND_TO_PORT"])
print("arguments", *sys.argv[1:], flush=True)
print("to standard error", file=sys.stderr, flush=True)
if os.environ.get("CHILD"):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pings = iter(range(10**9))

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        wanted = os.environ.get("PING", "200 0").split()
        self.answer(int(wanted[0]) if next(pings) >= int(wanted[1]) else 503, "text/plain", b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        told = {
            "body": body.decode(), "headers": dict(self.headers), "environment": dict(os.environ),
            "files": {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()},
            "cwd": os.getcwd(), "pid": os.getpid(), "child": child.pid if os.environ.get("CHILD") else None,
        }
        if body == b"end":
            os._exit(7)
        if body == b"wait":
            print("asked to wait", flush=True)
            time.sleep(1)
        self.answer(int(os.environ.get("STATUS", "200")), os.environ.get("TYPE", "application/told"), json.dumps(told).encode())

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Amzn-SageMaker-Custom-Attributes", "told=yes")
        self.end_headers()
        self.wfile.write(body)

ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
_names = (f"own-{number}" for number in itertools.count())


def _status(sagemaker: Any, endpoint: str) -> str:
    return str(sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"])


@dataclass
class Place:
    """A sandbox with a bucket, an image and a role, and a server script of one's own."""

    server: Server
    script: str
    clients: dict[str, Any]

    @property
    def command(self) -> list[str]:
        return [sys.executable, self.script, "{port}", "{model_dir}"]

    def model(self, environment: dict[str, str] | None = None, archive: str = "model.tar.gz") -> str:
        name = next(_names)
        container = {"Image": f"{URI}:1", "ModelDataUrl": f"s3://{BUCKET}/{archive}"}
        self.clients["sagemaker"].create_model(
            ModelName=name,
            ExecutionRoleArn=f"arn:aws:iam::{OWNER.id}:role/execution",
            PrimaryContainer={**container, "Environment": environment or {}},
        )
        return name

    def endpoint(self, model: str, **variant: Any) -> dict[str, Any]:
        """An endpoint of this model, once it is in no change any more."""
        sagemaker, name = self.clients["sagemaker"], next(_names)
        given = {
            "VariantName": "all",
            "ModelName": model,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[{**given, **variant}])
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        assert _until(lambda: _status(sagemaker, name) != "Creating", 30)
        return dict(sagemaker.describe_endpoint(EndpointName=name))

    def served(self, environment: dict[str, str] | None = None, **variant: Any) -> str:
        found = self.endpoint(self.model(environment), **variant)
        assert found["EndpointStatus"] == "InService", found
        return str(found["EndpointName"])

    def ask(self, endpoint: str, body: bytes = b"1", **more: Any) -> Any:
        return self.clients["sagemaker-runtime"].invoke_endpoint(EndpointName=endpoint, Body=body, **more)

    def told(self, endpoint: str, **more: Any) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.ask(endpoint, **more)["Body"].read())
        return told

    def output(self, endpoint: str) -> str:
        return "".join(
            output.path.read_text()
            for output in self.server.world.outputs
            if output.endpoint.endswith(f"/{endpoint}")
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    script = tmp_path_factory.mktemp("image") / "serve.py"
    script.write_text(SERVER)
    server = Server(ACCOUNTS, endpoint_seconds=0.0, speed=5000.0, control=True)
    server.start()
    key, session = _administrator(OWNER), boto3.session.Session()
    clients = {
        service: session.client(
            service,
            "us-east-1",
            endpoint_url=server.url,
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
            config=Config(retries={"total_max_attempts": 1}),
        )
        for service in ("s3", "ecr", "iam", "sagemaker", "sagemaker-runtime")
    }
    clients["s3"].create_bucket(Bucket=BUCKET)
    _image(clients["ecr"])
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    reads = {"Effect": "Allow", "Action": ["s3:*", "ecr:*"], "Resource": "*"}
    documents = [json.dumps({"Version": "2012-10-17", "Statement": [each]}) for each in (statement, reads)]
    clients["iam"].create_role(RoleName="execution", AssumeRolePolicyDocument=documents[0])
    clients["iam"].put_role_policy(RoleName="execution", PolicyName="reads", PolicyDocument=documents[1])
    archive = tar_gz({"weights.txt": b"0.5", "code/inference.py": b"pass"})
    for name, body in (
        ("model.tar.gz", archive),
        ("tree.tar.gz", train(1).archive),
        ("broken.tar.gz", b"no"),
    ):
        clients["s3"].put_object(Bucket=BUCKET, Key=name, Body=body)
    yield Place(server, str(script), clients)
    server.stop()


@pytest.fixture
def own(place: Place) -> Iterator[Place]:
    """The same, with the image registered to the script."""
    place.server.images.add([ImageCommand(REPOSITORY, tuple(place.command))])
    yield place
    place.server.images.clear()


def test_a_command_serves_an_endpoint(own: Place) -> None:
    told = own.told(
        own.served({"STAGE": "blue"}), ContentType="text/x", Accept="text/y", CustomAttributes="a=1"
    )
    headers, environment = told["headers"], told["environment"]
    assert (told["body"], headers["Content-Type"], headers["Accept"]) == ("1", "text/x", "text/y")
    assert headers["X-Amzn-SageMaker-Custom-Attributes"] == "a=1"
    assert told["files"] == {"weights.txt": "0.5", "code/inference.py": "pass"}
    assert environment["STAGE"] == "blue"
    assert environment["SM_MODEL_DIR"] == environment["SAGEMAKER_MODEL_DIR"] == os.path.realpath(told["cwd"])
    first, last = map(int, environment["SAGEMAKER_SAFE_PORT_RANGE"].split("-"))
    assert first <= last
    assert not first <= int(environment["SAGEMAKER_BIND_TO_PORT"]) <= last


def test_the_answer_carries_what_the_command_set(own: Place) -> None:
    answer = own.ask(own.served())
    said = {name: answer[name] for name in ("ContentType", "CustomAttributes", "InvokedProductionVariant")}
    assert said == {
        "ContentType": "application/told",
        "CustomAttributes": "told=yes",
        "InvokedProductionVariant": "all",
    }


def test_a_command_is_given_its_placeholders_environment_and_folder(place: Place, tmp_path: Path) -> None:
    variables = {"WHERE": "{model_dir}:{port}", "STAGE": "image", "KEPT": "image", "JSON": '{"a": {}}'}
    place.server.images.add([ImageCommand("*", tuple(place.command), None, variables, str(tmp_path))])
    endpoint = place.served({"STAGE": "container"})
    told = place.told(endpoint)
    place.server.images.clear()
    found, folder = told["environment"], told["environment"]["SM_MODEL_DIR"]
    assert found["WHERE"] == f"{folder}:{found['SAGEMAKER_BIND_TO_PORT']}"
    assert (found["STAGE"], found["KEPT"], found["JSON"]) == ("container", "image", '{"a": {}}')
    assert Path(told["cwd"]) == tmp_path.resolve()
    assert f"arguments {found['SAGEMAKER_BIND_TO_PORT']} {folder}" in place.output(endpoint)


def test_no_credential_of_the_sandbox_reaches_the_command(
    own: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The commands are forked from a process that may have been started before: what that was given counts too.
    found = own.told(own.served())["environment"]
    assert not [name for name in found if name.startswith("AWS_") and "REGION" not in name]
    assert set(found) & set(os.environ) <= {
        *("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME", "LC_CTYPE"),
        *("AWS_REGION", "AWS_DEFAULT_REGION"),
    }


def test_what_it_prints_is_kept_for_its_log(own: Place) -> None:
    endpoint = own.served()
    assert "to standard error\n" in own.output(endpoint)
    [output] = [output for output in own.server.world.outputs if output.endpoint.endswith(f"/{endpoint}")]
    assert output.stream.startswith("all/i-0")
    assert output.endpoint == f"arn:aws:sagemaker:us-east-1:{OWNER.id}:endpoint/{endpoint}"
    assert output.path.stat().st_mode & 0o077 == 0


PING = " The primary container for production variant all did not pass the ping health check."
EXTRACT = (
    f'Failed to extract model data archive for container "container_1" from URL "s3://{BUCKET}/broken.tar.gz". '
    "Please ensure that the object located at the URL is a valid tar.gz archive."
)


@pytest.mark.parametrize(
    ("command", "environment", "archive", "reason"),
    [
        (["no-such-program"], {}, "model.tar.gz", PING),
        ([sys.executable, "-c", "raise SystemExit(3)"], {}, "model.tar.gz", PING),
        ([sys.executable, "-c", "import time; time.sleep(600)"], {}, "model.tar.gz", PING),
        (None, {"PING": "500 0"}, "model.tar.gz", PING),
        (None, {"PING": "404 0"}, "model.tar.gz", PING),
        (None, {"PING": "204 0"}, "model.tar.gz", PING),
        (None, {}, "broken.tar.gz", EXTRACT),
    ],
    ids=["no program", "it ends", "it never listens", "500", "404", "204", "no archive"],
)
def test_what_cannot_be_served_fails_the_endpoint(
    place: Place, command: list[str] | None, environment: dict[str, str], archive: str, reason: str
) -> None:
    own = ImageCommand(URI, tuple(command or place.command), start_seconds=1.0)
    place.server.images.add([own])
    running = len(place.server._containers)
    found = place.endpoint(place.model(environment, archive))
    place.server.images.clear()
    assert found["EndpointStatus"] == "Failed"
    assert found["FailureReason"].startswith(reason)
    assert len(place.server._containers) == running


def test_a_ping_that_is_answered_with_an_error_at_first_is_waited_for(own: Place) -> None:
    assert own.told(own.served({"PING": "200 3"}))


def test_the_start_may_take_as_long_as_the_variant_says(place: Place) -> None:
    place.server.images.add([ImageCommand(REPOSITORY, tuple(place.command), start_seconds=0.2)])
    found = place.endpoint(
        place.model({"PING": "200 1000000"}), ContainerStartupHealthCheckTimeoutInSeconds=60
    )
    place.server.images.clear()
    assert found["FailureReason"].startswith(PING)


@pytest.mark.parametrize(
    ("status", "side"), [(400, "client"), (415, "client"), (500, "server"), (503, "server")]
)
def test_an_error_of_the_command_is_a_model_error(own: Place, status: int, side: str) -> None:
    endpoint = own.served({"STATUS": str(status)})
    with pytest.raises(own.clients["sagemaker-runtime"].exceptions.ModelError) as caught:
        own.ask(endpoint)
    said = caught.value.response
    assert said["OriginalStatusCode"] == status
    assert said["Error"]["Message"].startswith(
        f'Received {side} error ({status}) from primary with message "{{'
    )
    assert said["LogStreamArn"].endswith(f":log-group:/aws/sagemaker/Endpoints/{endpoint}")
    assert said["ResponseMetadata"]["HTTPStatusCode"] == 424


def test_a_command_that_ends_while_it_serves_answers_no_more(own: Place) -> None:
    endpoint = own.served()
    for _ in range(2):
        with pytest.raises(own.clients["sagemaker-runtime"].exceptions.ModelError) as caught:
            own.ask(endpoint, b"end")
        assert caught.value.response["OriginalStatusCode"] == 500
    assert _until(lambda: "ended with status 7" in own.output(endpoint))


@pytest.mark.parametrize("streamed", [False, True])
def test_an_update_lets_the_old_fleet_answer_what_it_was_asked(own: Place, streamed: bool) -> None:
    endpoint, sagemaker = own.served({"STAGE": "blue"}), own.clients["sagemaker"]
    pid = own.told(endpoint)["pid"]
    following = next(_names)
    (variant,) = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint)["ProductionVariants"]
    green = {**variant, "ModelName": own.model({"STAGE": "green"})}
    sagemaker.create_endpoint_config(EndpointConfigName=following, ProductionVariants=[green])

    def ask() -> Any:
        if not streamed:
            return own.told(endpoint, body=b"wait")
        stream = own.clients["sagemaker-runtime"].invoke_endpoint_with_response_stream
        events = stream(EndpointName=endpoint, Body=b"wait")["Body"]
        return json.loads(b"".join(event["PayloadPart"]["Bytes"] for event in events))

    with ThreadPoolExecutor() as pool:
        asked = pool.submit(ask)
        assert _until(lambda: "asked to wait" in own.output(endpoint))
        sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=following)
        assert asked.result()["environment"]["STAGE"] == "blue"
    assert _until(lambda: _status(sagemaker, endpoint) == "InService")
    assert own.told(endpoint)["environment"]["STAGE"] == "green"
    assert _until(lambda: not _runs(pid))


def test_the_command_and_what_it_started_end_with_the_endpoint(own: Place) -> None:
    endpoint = own.served({"CHILD": "1"})
    told = own.told(endpoint)
    own.clients["sagemaker"].delete_endpoint(EndpointName=endpoint)
    assert _until(lambda: not any(map(_runs, (told["pid"], told["child"]))))
    assert _until(lambda: not Path(told["environment"]["SM_MODEL_DIR"]).exists())


def test_the_command_ends_when_the_process_that_minds_it_does(own: Place) -> None:
    endpoint = own.served()
    told = own.told(endpoint)
    [pipeline] = own.server.hosting.find((OWNER.id, "us-east-1"), endpoint)["fleets"][0].processes.values()
    os.kill(pipeline.containers["primary"].pid, signal.SIGTERM)
    assert _until(lambda: not _runs(told["pid"]))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(holds: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        (REPOSITORY, True),
        (URI, True),
        (f"{URI}:1", True),
        (f"{OWNER.id}.*", True),
        (f"*/{REPOSITORY}:?", True),
        ("*", True),
        (f"{URI}:2", False),
        (REPOSITORY[:-1], False),
        (f"222222222222.dkr.ecr.us-east-1.amazonaws.com/{REPOSITORY}", False),
        (REPOSITORY.upper(), False),
    ],
)
def test_which_images_a_pattern_is_for(place: Place, pattern: str, fits: bool) -> None:
    assert ImageCommand(pattern, ("x",)).fits(f"{URI}:1") is fits


def test_an_image_is_known_by_its_digest_too(place: Place) -> None:
    [image] = place.clients["ecr"].describe_images(repositoryName=REPOSITORY)["imageDetails"]
    digest, other = image["imageDigest"], f"sha256:{'0' * 64}"
    for name in (f"{URI}:1", f"{URI}@{digest}"):
        assert ImageCommand("*", ("x",), digest).fits(name)
        assert ImageCommand(f"{REPOSITORY}@{digest}", ("x",)).fits(name)
        assert not ImageCommand("*", ("x",), other).fits(name)
        assert not ImageCommand(f"{URI}@{other}", ("x",)).fits(name)


def test_an_image_without_a_command_is_the_sandboxs_own_server(place: Place) -> None:
    place.server.images.add([ImageCommand("another", ("no-such-program",))])
    found = place.endpoint(place.model(archive="tree.tar.gz"))
    place.server.images.clear()
    assert found["EndpointStatus"] == "InService"


GOOD: dict[str, Any] = {"image": "mlflow", "command": ["serve", "{port}"]}
BAD: list[tuple[Any, str]] = [
    ("text", "'text' is not an object; give one with image and command"),
    ([GOOD, 3], "entry 2: 3 is not an object"),
    ({}, "image is missing; give a repository's name"),
    ({"image": "mlflow"}, "command is missing; give a list of texts"),
    ({**GOOD, "image": 3}, "image is 3; give a repository's name"),
    ({**GOOD, "command": "serve it"}, "command is 'serve it'; give a list of texts"),
    ({**GOOD, "command": ["serve", 8080]}, "command is ['serve', 8080]; give a list of texts"),
    ({**GOOD, "command": [""]}, "command is ['']; give a list of texts"),
    ({**GOOD, "command": ["a\0b"]}, "give a list of texts"),
    ({**GOOD, "ports": 3}, "unknown key 'ports'; the keys are image, command,"),
    ({**GOOD, "environment": {"A": 1}}, "environment is {'A': 1}; give texts by the names"),
    ({**GOOD, "environment": ["A"]}, "environment is ['A']; give texts by the names"),
    ({**GOOD, "environment": {"A=B": "1"}}, "environment is {'A=B': '1'}; give texts by the names"),
    ({**GOOD, "digest": "sha256:1"}, "digest is 'sha256:1'; give sha256: and 64 digits"),
    ({**GOOD, "directory": "/no/such/folder"}, "directory is '/no/such/folder'; give a folder that exists"),
    ({**GOOD, "start_seconds": 0}, "start_seconds is 0; give a number of seconds above 0"),
    ({**GOOD, "start_seconds": True}, "start_seconds is True; give a number of seconds"),
    ([GOOD, {**GOOD, "start_seconds": "5"}], "entry 2: start_seconds is '5'; give a number"),
]


@pytest.mark.parametrize(("given", "says"), BAD)
def test_what_is_no_command_is_refused_with_its_key_and_its_value(given: Any, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        read_commands(json.dumps(given).encode())


@pytest.mark.parametrize("text", [b"{", b"\xff", b"a: b: c", b"[1", b"\t"])
def test_what_is_neither_json_nor_yaml_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"neither JSON nor YAML|is not an object"):
        read_commands(text)


def test_a_file_is_yaml_or_json_of_one_or_several() -> None:
    one = ImageCommand("mlflow", ("serve", "{port}"))
    assert (
        read_commands(json.dumps(GOOD).encode())
        == read_commands(json.dumps([GOOD], indent="\t").encode())
        == [one]
    )
    text = (
        b"- image: mlflow # ours\n  command: [serve, '{port}']\n  environment:\n- {image: b, command: [c]}\n"
    )
    assert read_commands(text) == [one, ImageCommand("b", ("c",))]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "No such file or directory"),
        ("[{image: mlflow, command: serve}]", "entry 1: command is 'serve'; give a list of texts"),
    ],
)
def test_a_bad_file_ends_the_command_with_one_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, says: str
) -> None:
    file = tmp_path / "images.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SystemExit) as ended:
        main(["--templates", ".", "--config", "c", "--image-commands", str(file)])
    assert ended.value.code == 2
    assert f"error: --image-commands {file}: {says}" in capsys.readouterr().err


def _control(place: Place, method: str, given: Any = None) -> tuple[int, str]:
    body = None if given is None else json.dumps(given).encode()
    request = urllib.request.Request(f"{place.server.url}/_sandbox/images", body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_commands_are_registered_over_http(place: Place) -> None:
    wanted = {"image": REPOSITORY, "command": place.command, "environment": {"SECRET": "hidden"}}
    assert _control(place, "PUT", {"image": REPOSITORY, "command": ["no-such-program"]})[0] == 204
    assert _control(place, "PUT", [wanted])[0] == 204
    status, text = _control(place, "GET")
    assert (status, "hidden" in text) == (200, False)
    assert [each["command"] for each in json.loads(text)] == [place.command, ["no-such-program"]]
    assert place.told(place.served())["environment"]["SECRET"] == "hidden"
    assert _control(place, "DELETE")[0] == 204
    assert _control(place, "GET") == (200, "[]")
    assert _control(place, "PUT", {"image": 1})[0] == 400
    assert _control(place, "POST", wanted) == (400, "ValueError: /_sandbox/images takes GET, PUT and DELETE")
