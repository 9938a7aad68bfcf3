"""Real model servers behind endpoints that the product deploys from a shared version, and proves by questions to them.

A server whose environment is not installed is skipped; ``make clients`` installs and runs all of them.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "servers"))

import bodies
from environments import ANSWERS, DEPLOY, LOGS, REGISTER, SERVERS, SHARE, TEAR_DOWN, WRONG, Client

GROUP = "decision-trees-sample"
BUCKET = "producer-models-111111111111"
REPOSITORY = f"111111111111.dkr.ecr.us-east-1.amazonaws.com/{GROUP}"
JSON, CSV = "application/json", "text/csv"
ROWS = "5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5"
ONE_ROW = "5.1,3.5,1.4,0.2"
NAMED = f"a,b,c,d\n{ROWS}"
PARSED = [[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]]
LIST = json.dumps(PARSED)
INSTANCES = json.dumps({"instances": PARSED})
Ask = tuple[str, str, str]


@dataclass(frozen=True)
class Server:
    """A model server as an image's command, and what it answers.

    Attributes:
        client: its environment.
        command: the image's.
        smoke: what the product asks it, and what it is to answer.
        wrong: a payload like that, which it answers otherwise; and what the product says of it.
        printed: a line of its log.
        answers: the status and the answer, or the beginning of it, by content type, Accept and body.
    """

    client: Client
    command: tuple[str, ...]
    smoke: tuple[dict[str, Any], ...]
    wrong: tuple[dict[str, Any], str]
    printed: str
    answers: dict[Ask, tuple[int, str, str]]


def _question(content_type: str, body: str, expect: Any, **more: Any) -> dict[str, Any]:
    return {"content_type": content_type, "body": body, "expect": expect, **more}


MLFLOW, MULTI_MODEL, TRITON = SERVERS
_TENSORS = bodies.binary(["answer"])
_V2, _V2_ONE = (bodies.NAMED[name].raw.decode() for name in ("v2", "v2-one"))
_ANSWERED = {"id": "1", "model_name": "irises", "model_version": "1"}


def _tensor(labels: list[int]) -> dict[str, Any]:
    answer = {"name": "answer", "datatype": "INT64", "shape": [len(labels), 1], "data": labels}
    return {**_ANSWERED, "outputs": [answer]}


_RIGHT = '{"predictions": [0, 2]}'
CASES = (
    Server(
        MLFLOW,
        (
            "mlflow",
            "models",
            "serve",
            "--model-uri",
            "{model_dir}",
            "--host",
            "127.0.0.1",
            "--port",
            "{port}",
            "--env-manager",
            "local",
        ),
        (
            _question(JSON, INSTANCES, {"predictions": [0, 2]}),
            _question(CSV, NAMED, {"predictions": [0, 2]}),
            {"content_type": JSON, "body": INSTANCES, "expect_label": [0, 2]},
            {
                "content_type": JSON,
                "body": INSTANCES,
                "expect_json_path": {"path": "predictions[1]", "value": 2},
            },
        ),
        # The first row is taken for the names of the columns: two rows are asked, one is answered.
        (_question(CSV, ROWS, {"predictions": [0, 2]}), "[2]"),
        "Uvicorn running on http://127.0.0.1:",
        {
            (JSON, JSON, INSTANCES): (200, JSON, _RIGHT),
            (JSON, CSV, INSTANCES): (200, JSON, _RIGHT),
            (JSON, "", json.dumps({"inputs": PARSED})): (200, JSON, _RIGHT),
            (CSV, JSON, NAMED): (200, JSON, _RIGHT),
            (CSV, JSON, ROWS): (200, JSON, '{"predictions": [2]}'),
            (CSV, JSON, ONE_ROW): (400, "", '{"error_code": "BAD_REQUEST"'),
            (JSON, JSON, LIST): (400, "", '{"error_code": "BAD_REQUEST"'),
            ("text/plain", JSON, "x"): (415, "", "This predictor only supports"),
        },
    ),
    Server(
        MULTI_MODEL,
        ("python", str(Path(__file__).parent / "servers" / "serve_multi_model.py")),
        (
            _question(CSV, ROWS, [0, 2]),
            _question(JSON, LIST, [0, 2]),
            _question(CSV, ROWS, [0, 2], accept=f"{JSON}, {CSV}"),
            _question(CSV, ROWS, [[0], [2]], accept=CSV),
            {"content_type": CSV, "body": ROWS, "expect_label": [0, 2]},
        ),
        # One row of CSV has one dimension there, as in AWS's scikit-learn container.
        (_question(CSV, ONE_ROW, [0]), "Expected 2D array, got 1D array instead"),
        "Model server started.",
        {
            (CSV, JSON, ROWS): (200, JSON, "[0, 2]"),
            (CSV, CSV, ROWS): (200, CSV, "0\n2\n"),
            (CSV, "", ROWS): (200, JSON, "[0, 2]"),
            (JSON, f"{JSON}, {CSV}", LIST): (200, JSON, "[0, 2]"),
            (CSV, JSON, ONE_ROW): (500, "", "Expected 2D array, got 1D array instead"),
            (f"{CSV}; charset=utf-8", JSON, ROWS): (
                500,
                "",
                "Content type text/csv; charset=utf-8 is not supported",
            ),
            (JSON, JSON, INSTANCES): (
                500,
                "",
                "float() argument must be a string or a real number, not 'dict'",
            ),
            (JSON, "application/jsonlines", LIST): (
                500,
                "",
                "Content type application/jsonlines is not supported",
            ),
            ("text/plain", JSON, "x"): (500, "", "Content type text/plain is not supported"),
        },
    ),
    Server(
        TRITON,
        ("python", str(Path(__file__).parent / "servers" / "serve_triton.py")),
        (
            _question(JSON, _V2, _tensor([0, 2, 1])),
            {
                "content_type": _TENSORS.content_type,
                "body_base64": base64.b64encode(_TENSORS.raw).decode(),
                "accept": "",
                "expect": _tensor([0, 2, 1]),
            },
            {
                "content_type": JSON,
                "body": _V2,
                "expect_array": {"path": "outputs[0]", "shape": [3, 1], "dtype": "int64"},
            },
            {
                "content_type": JSON,
                "body": _V2,
                "expect_label": {"path": "outputs[0].data[*]", "labels": [0, 1, 2]},
            },
        ),
        (_question(JSON, _V2_ONE, _tensor([2])), "is 0, not 2"),
        "Started Sagemaker HTTPService at",
        {
            (JSON, JSON, _V2_ONE): (
                200,
                JSON,
                '{"id":"1","model_name":"irises","model_version":"1","outputs":[{',
            ),
            (JSON, CSV, _V2_ONE): (
                200,
                JSON,
                '{"id":"1","model_name":"irises","model_version":"1","outputs":[{',
            ),
            (JSON, JSON, LIST): (500, "", '{"error":"Unable to parse'),
        },
    ),
)


class Steps:
    """What was done, for the table that ``make clients`` prints."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []

    @contextmanager
    def __call__(self, name: str) -> Iterator[Callable[[object], None]]:
        told = {"step": name, "ok": False, "shown": ""}
        self.found.append(told)
        yield lambda value: told.update(shown=str(value))
        told["ok"] = True


@dataclass(frozen=True)
class World:
    """The producer's account and the consumer's, as this server's version is put into them."""

    sandbox: Any
    folder: Path

    def image(self, server: Server) -> str:
        """Push an image of its own, which runs the server."""
        uri, ecr = f"{REPOSITORY}:{server.client.name}", self.sandbox.admin("producer", "ecr")
        first = ecr.batch_get_image(repositoryName=GROUP, imageIds=[{"imageTag": "1"}])["images"][0]
        manifest = {**json.loads(first["imageManifest"]), "annotations": {"server": server.client.name}}
        ecr.put_image(repositoryName=GROUP, imageManifest=json.dumps(manifest), imageTag=server.client.name)
        environment = {"PATH": server.client.path(), "MLFLOW_DISABLE_TELEMETRY": "true"}
        self._images("PUT", {"image": uri, "command": list(server.command), "environment": environment})
        return uri

    def version(self, server: Server, image: str) -> int:
        """Register an approved version whose artifact the server's own environment packed."""
        archive = self.folder / "model.tar.gz"
        script = str(Path(__file__).parent / "servers" / server.client.script)
        env = {"PATH": server.client.path(), "HOME": str(self.folder), "TMPDIR": str(self.folder)}
        subprocess.run(["python", script, str(archive)], check=True, env=env, cwd=self.folder, timeout=120)
        key = f"models/{GROUP}/servers/{server.client.name}.tar.gz"
        self.sandbox.admin("producer", "s3").put_object(Bucket=BUCKET, Key=key, Body=archive.read_bytes())
        made = self.sandbox.admin("producer", "sagemaker").create_model_package(
            ModelPackageGroupName=GROUP,
            ModelApprovalStatus="Approved",
            InferenceSpecification={
                "Containers": [{"Image": image, "ModelDataUrl": f"s3://{BUCKET}/{key}"}],
                "SupportedContentTypes": [JSON, CSV],
                "SupportedResponseMIMETypes": [JSON, CSV],
            },
        )
        return int(made["ModelPackageArn"].rpartition("/")[2])

    def clear(self, server: Server, version: int | None) -> None:
        self.sandbox.clear(["staging"])
        self._images("DELETE", None)
        key = f"models/{GROUP}/servers/{server.client.name}.tar.gz"
        self.sandbox.admin("producer", "s3").delete_object(Bucket=BUCKET, Key=key)
        images = [{"imageTag": server.client.name}]
        self.sandbox.admin("producer", "ecr").batch_delete_image(repositoryName=GROUP, imageIds=images)
        if version is not None:
            arn = f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/{version}"
            self.sandbox.admin("producer", "sagemaker").delete_model_package(ModelPackageName=arn)

    def answer(self, endpoint: str, ask: Ask) -> tuple[int, str, str]:
        """What an endpoint answers, or what the container did where SageMaker calls it a ModelError."""
        content_type, accept, body = ask
        runtime = self.sandbox.admin("staging", "sagemaker-runtime")
        given = {"EndpointName": endpoint, "ContentType": content_type, "Body": body}
        try:
            said = runtime.invoke_endpoint(**given, **({"Accept": accept} if accept else {}))
        except runtime.exceptions.ModelError as error:
            return error.response["OriginalStatusCode"], "", error.response["OriginalMessage"]
        return 200, said["ContentType"], said["Body"].read().decode()

    def _images(self, method: str, given: object) -> None:
        url = f"{self.sandbox.url}/_sandbox/images"
        urllib.request.urlopen(urllib.request.Request(url, json.dumps(given).encode(), method=method)).close()


def case(server: Server) -> Any:
    name, absent = server.client.name, not server.client.installed
    reason = f"{name} is not installed: make clients"
    return pytest.param(server, id=name, marks=pytest.mark.skipif(absent, reason=reason))


@pytest.mark.parametrize("server", [case(server) for server in CASES])
def test_server(server: Server, aws: Any, edited: Any, tmp_path: Path, record_property: Any) -> None:
    step = Steps()
    record_property("client", server.client.name)
    record_property("steps", step.found)
    world, version = World(aws, tmp_path), None
    with aws.restored():
        try:
            with step(REGISTER) as show:
                version = world.version(server, world.image(server))
                show(version)
            proved(server, world, edited, version, step)
        finally:
            world.clear(server, version)
    assert not any(aws.hosted("staging").values())
    assert tuple(one["step"] for one in step.found) == server.client.steps


def proved(server: Server, world: World, edited: Any, version: int, step: Steps) -> None:
    """Share the version, deploy and prove it, ask what the proof does not, and be told of an answer that is not the expected one."""
    config = edited(consumers__staging__smoke=list(server.smoke))
    wrong, said = server.wrong
    other = edited(consumers__staging__smoke=[wrong])
    chosen = ("--consumer", "staging", "--version", str(version), "--json")
    with step(SHARE):
        shared = world.sandbox.cli("share", config, "--yes")
        assert shared.returncode == 0, shared.stderr
    with step(WRONG) as show:
        failed = world.sandbox.cli("deploy", other, *chosen)
        assert failed.returncode != 0, failed.stdout
        assert said in failed.stdout + failed.stderr, failed.stderr
        show(failed.returncode)
    with step(DEPLOY) as show:
        done = world.sandbox.cli("deploy", config, *chosen, "--keep")
        assert done.returncode == 0, done.stderr
        show(done.stdout)
    endpoint = world.sandbox.hosted("staging")["endpoints"][0]
    with step(ANSWERS) as show:
        got = {ask: world.answer(endpoint, ask) for ask in server.answers}
        for ask, (status, content_type, text) in server.answers.items():
            assert (*got[ask][:2], got[ask][2][: len(text)]) == (status, content_type, text), (ask, got[ask])
        show(len(got))
    with step(LOGS) as show:
        logs = world.sandbox.admin("staging", "logs")
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=f"/aws/sagemaker/Endpoints/{endpoint}"
        )
        printed = [event["message"] for page in pages for event in page["events"]]
        (line, *_) = [line for line in printed if server.printed in line] or [""]
        assert line, printed[-20:]
        show(line)
    with step(TEAR_DOWN):
        world.sandbox.clear(["staging"])
        revoked = world.sandbox.cli("revoke", config, "--all", "--yes")
        assert revoked.returncode == 0, revoked.stderr
