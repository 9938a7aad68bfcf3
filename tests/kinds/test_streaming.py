"""Answers in parts: how they are asked for, judged and bounded, with a server that streams slowly or breaks off."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import EventStreamError
from hosted import NAME, World, world

from crossaccount.errors import ConfigError
from crossaccount.promotion.outcome import Result
from crossaccount.show import proofs
from crossaccount_sandbox import accounts

# Streams its answer as its model says: the pieces, the seconds between them, and how it ends.
SERVER = """
import json, os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

model = json.loads((Path(os.environ["SM_MODEL_DIR"]) / "model.json").read_text())

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        how = {**model, **(asked if isinstance(asked, dict) else {})}
        self.send_response(how.get("status", 200))
        self.send_header("Content-Type", how.get("type", "application/json"))
        framed = how.get("framed", True)
        self.send_header(*("Transfer-Encoding", "chunked") if framed else ("Connection", "close"))
        self.end_headers()
        for number, piece in enumerate(how["pieces"]):
            time.sleep(how.get("pause", 0) if number else 0)
            until = time.monotonic() + 20
            while number and "signs" in how and not Path(how["signs"], str(number)).exists():
                time.sleep(0.01)
                piece = "nobody had the part before" if time.monotonic() > until else piece
                if time.monotonic() > until:
                    break
            data = piece.encode()
            self.wfile.write(b"%x\\r\\n%s\\r\\n" % (len(data), data) if framed else data)
            self.wfile.flush()
        while how.get("endless"):
            time.sleep(0.02)
            self.wfile.write(b"1\\r\\n \\r\\n")
        if how.get("dies"):
            os._exit(9)
        if framed:
            self.wfile.write(b"0\\r\\n\\r\\n")
        self.close_connection = True

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""
PIECES = ["[1,", " 2,", " 3]"]


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    roles = (("producer", "producer"), ("staging", "execution"))
    with world(tmp_path_factory.mktemp("world"), *roles) as made:
        made.keys["image"] = made.image("image-that-streams", SERVER)
        yield made


def registered(hosted: World, **model: Any) -> int:
    uri = f"s3://{accounts.BUCKET}/{accounts.ARTIFACTS}{abs(hash(json.dumps(model)))}.tar.gz"
    return hosted.register({"Image": hosted.keys["image"], "ModelDataUrl": hosted.artifact(uri, model)})


@pytest.fixture(scope="module")
def versions(hosted: World) -> tuple[int, int]:
    """Two versions: one streams at once, the other slowly."""
    both = registered(hosted, pieces=PIECES), registered(hosted, pieces=["[4,", " 5]"], pause=0.5)
    hosted.share(hosted.config_of(list(both)))
    return both


@pytest.fixture
def cleared(hosted: World) -> Iterator[None]:
    yield
    hosted.clear()


def streamed(expect: Any, body: str = "[]", **more: Any) -> dict[str, Any]:
    return {"body": body, "expect": expect, "stream": True, **more}


def test_a_streamed_answer_is_deployed_and_proved(hosted: World, versions: tuple[int, int]) -> None:
    _, slow = versions
    proof = hosted.deploy(hosted.config_of([*versions], streamed([4, 5])), slow)
    (answer,) = proof.answers
    assert (proof.verified, answer.got, answer.parts) == (True, [4, 5], 2)
    assert answer.first_part_ms is not None
    assert answer.first_part_ms + 100 < answer.latency_ms
    told = f"2 parts, the first after {answer.first_part_ms:.1f} ms"
    assert told in proofs.text(proof, ())
    assert told in proofs.markdown(proof)
    assert proof.to_json()["answers"][0]["parts"] == 2


@pytest.mark.usefixtures("cleared")
def test_a_streamed_answer_is_promoted_rolled_back_and_retires_old_versions(
    hosted: World, versions: tuple[int, int]
) -> None:
    quick, slow = versions

    def config(expect: Any) -> Any:
        return hosted.config_of([*versions], streamed(expect), keep_versions=1)

    assert hosted.promote(config([1, 2, 3]), quick).result is Result.PROMOTED
    done = hosted.promote(config([4, 5]), slow)
    assert (done.result, done.proofs[-1].answers[0].parts) == (Result.PROMOTED, 2)
    back = hosted.roll_back(config([1, 2, 3]))
    assert (back.live, back.proofs[-1].answers[0].parts) == (quick, 3)
    wrong = hosted.promote(config([1, 2, 3]), slow)
    assert (wrong.result, wrong.live) == (Result.FAILED, quick)


@pytest.mark.usefixtures("cleared")
def test_a_streamed_answer_obeys_its_guardrail(hosted: World, versions: tuple[int, int]) -> None:
    quick, slow = versions
    hosted.alarm("streams", "OK")
    guard = {"deployment": {"alarms": ["streams"], "wait_seconds": 3600}}

    def goes_off(line: str) -> None:
        if "is Updating" in line:
            hosted.alarm("streams", "ALARM")

    assert hosted.promote(hosted.config_of([*versions], streamed([1, 2, 3]), **guard), quick).live == quick
    gone = hosted.promote(hosted.config_of([*versions], streamed([4, 5]), **guard), slow, goes_off)
    assert (gone.result, gone.live) == (Result.FAILED, quick)


def test_a_limit_on_latency_is_for_the_whole_answer(hosted: World, versions: tuple[int, int]) -> None:
    latency = {"calls": 1, "p50_ms": 120}
    proof = hosted.deploy(hosted.config_of([*versions], streamed([4, 5]), latency=latency), versions[1])
    assert proof.speed is not None
    assert proof.speed.p50_ms > 150
    assert not proof.verified


def how(**model: Any) -> str:
    return json.dumps(model)


WRONG = [
    ("a digit is another", {"pieces": ["[1,", "2,", "4]"]}, "4, not 3", 3),
    ("a part is missing", {"pieces": ["[1,", "2,"]}, "unreadable answer", 2),
    ("it dies in the middle", {"pieces": ["[1,"], "dies": True}, "ModelStreamError after 1 part: The connection", None),
    ("it dies with its connection open-ended", {"pieces": ["[1,2,3]"], "framed": False, "dies": True}, "ModelStreamError after", None),
    ("it is an error", {"pieces": ["no"], "status": 500}, "ModelError: Received server error (500)", None),
    ("nothing comes", {"pieces": []}, "unreadable answer", 0),
    ("it is no JSON", {"pieces": ["[1, 2, 3]"], "type": "text/csv"}, "", 1),
]  # fmt: skip


@pytest.fixture(scope="module")
def endpoint(hosted: World, versions: tuple[int, int]) -> Iterator[str]:
    """A live endpoint of the quick version, whose server does as it is asked."""
    assert hosted.promote(hosted.config_of([*versions], streamed([1, 2, 3])), versions[0]).live == versions[0]
    yield NAME
    hosted.clear()


@pytest.mark.parametrize(("model", "why", "parts"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_is_wrong_with_a_stream_is_told(
    hosted: World, versions: tuple[int, int], model: Any, why: str, parts: int | None
) -> None:
    config = hosted.config_of([*versions], streamed([1, 2, 3], how(**model)))
    proof = hosted.deploy(config, versions[0])
    (answer,) = proof.answers
    assert (answer.ok, proof.verified, answer.parts) == (False, False, parts)
    assert why in f"{answer.got} {answer.why}"


def test_a_stream_that_ends_with_its_connection_is_whole(hosted: World, versions: tuple[int, int]) -> None:
    config = hosted.config_of([*versions], streamed([1], how(pieces=["[1]"], framed=False)))
    assert hosted.deploy(config, versions[0]).verified


def test_a_stream_that_does_not_end_is_no_answer(
    hosted: World, versions: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossaccount.proof.asking.STREAM_SECONDS", 0.5)
    started = time.monotonic()
    proof = hosted.deploy(
        hosted.config_of([*versions], streamed([1], how(pieces=["[1]"], endless=True))), versions[0]
    )
    assert not proof.verified
    assert "unreadable answer: it did not" in str(proof.answers[0].got)
    assert time.monotonic() - started < 8


def test_a_stream_that_is_larger_than_an_answer_may_be_is_refused(
    hosted: World, versions: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossaccount.proof.streams.BODY_LIMIT", 1000)
    monkeypatch.setattr("crossaccount.proof.reading.BODY_LIMIT", 1000)
    config = hosted.config_of([*versions], streamed([1], how(pieces=["[", *["1," * 100] * 9, "1]"])))
    proof = hosted.deploy(config, versions[0])
    assert "it is larger than 1000 bytes" in str(proof.answers[0].got)


@pytest.mark.parametrize(
    ("endpoint", "kind"),
    [
        ({"serverless": {"memory_mb": 2048, "max_concurrency": 1}, "instance_type": None}, "a serverless endpoint"),
        ({"kind": "asynchronous", "asynchronous": {"s3_output": "s3://answers-of-staging/a/"}}, "an asynchronous endpoint"),
    ],
)  # fmt: skip
def test_an_endpoint_that_does_not_stream_is_not_asked_to(hosted: World, endpoint: Any, kind: str) -> None:
    with pytest.raises(ConfigError) as refused:
        hosted.config(1, streamed([1]), {"body": "[]", "expect": [1]}, **endpoint)
    (fault,) = refused.value.faults
    assert fault.key == "consumers.staging.smoke[0].stream"
    assert kind in fault.message


# The sandbox's own stream, as a client of AWS reads it.


def runtime(account: str = "staging") -> Any:
    session = boto3.Session(profile_name=f"{account}-admin", region_name=accounts.REGION)
    return session.client("sagemaker-runtime", config=Config(retries={"total_max_attempts": 1}))


def test_a_part_is_passed_on_before_the_next_one_is_made(endpoint: str, tmp_path: Path) -> None:
    answer = runtime().invoke_endpoint_with_response_stream(
        EndpointName=endpoint, Body=how(pieces=["a", "b", "c"], signs=str(tmp_path), type="text/plain")
    )
    came = []
    for event in answer["Body"]:
        came.append(event["PayloadPart"]["Bytes"])
        (tmp_path / str(len(came))).touch()  # only now the server goes on
    assert came == [b"a", b"b", b"c"]
    assert answer["ContentType"] == "text/plain"
    assert answer["InvokedProductionVariant"] == "AllTraffic"


def test_a_container_that_dies_ends_the_stream_with_the_error_that_aws_has(endpoint: str) -> None:
    answer = runtime().invoke_endpoint_with_response_stream(
        EndpointName=endpoint, Body=how(pieces=["a", "b"], dies=True)
    )
    came = []
    with pytest.raises(EventStreamError) as broken:
        came += [event["PayloadPart"]["Bytes"] for event in answer["Body"]]
    said = broken.value.response["Error"]
    assert (said["Code"], "primary was reset or closed" in said["Message"]) == ("ModelStreamError", True)
