"""A model may answer anything, for any time: the question ends in time, in bounded memory, and shows nothing that acts."""

from __future__ import annotations

import json
import random
import resource
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from crossaccount.aws.access import Target
from crossaccount.config.expectations import JsonPath, Tolerance
from crossaccount.config.loading import load_config
from crossaccount.hosting.resources import Removal
from crossaccount.proof import expectations
from crossaccount.proof.asking import Answer, ask
from crossaccount.proof.proof import Proof
from crossaccount.proof.questions import Question
from crossaccount.proof.reading import BODY_LIMIT, plain, read_answer
from crossaccount.proof.schemas import misfit
from crossaccount.show import proofs

ROOT = Path(__file__).parents[2]
SHARING = load_config(ROOT / "configs" / "sandbox.yaml")
Script = Callable[[socket.socket], None]
DESCRIBED = json.dumps(
    {
        "EndpointName": "e",
        "EndpointArn": "arn:aws:sagemaker:us-east-1:222222222222:endpoint/e",
        "EndpointConfigName": "e",
        "EndpointStatus": "InService",
        "CreationTime": 1,
        "LastModifiedTime": 1,
    }
).encode()


class Runtime(socketserver.ThreadingTCPServer):
    """Answers DescribeEndpoint as AWS does, and InvokeEndpoint as the script says, on the bare socket."""

    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: Script = lambda _: None
        self.asked = 0

    def handle_error(self, *_: Any) -> None:
        """A client that goes away is what this is about."""


class _Handler(socketserver.StreamRequestHandler):
    server: Runtime

    def handle(self) -> None:
        first = self.rfile.readline()
        length = 0
        while (line := self.rfile.readline()).strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        self.rfile.read(length)
        if b"/invocations" not in first:
            self.request.sendall(whole(DESCRIBED, "application/x-amz-json-1.1"))
            return
        self.server.asked += 1
        self.server.script(self.request)


def head(status: str = "200 OK", content_type: str = "application/json", **more: Any) -> bytes:
    given = {"Content-Type": content_type, "Connection": "close", **more}
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in given.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def whole(body: bytes, content_type: str = "application/json", status: str = "200 OK", **more: Any) -> bytes:
    return head(status, content_type, Content_Length=len(body), **more) + body


def says(content: bytes) -> Script:
    return lambda connection: connection.sendall(content)


def endless(beginning: bytes, piece: bytes, pause: float = 0.0) -> Script:
    """A beginning, and then the same piece for ever, until the other side has had enough."""

    def go_on(connection: socket.socket) -> None:
        connection.sendall(beginning)
        while True:
            connection.sendall(piece)
            time.sleep(pause)

    return go_on


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    server = Runtime()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def session(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[boto3.Session]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{runtime.server_address[1]}")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        patch.setenv("AWS_CONFIG_FILE", str(tmp_path_factory.mktemp("aws") / "none"))
        yield boto3.Session("AKIAEXAMPLEEXAMPLE00", "s" * 40, region_name="us-east-1")


QUESTION = Question(
    "text/csv", b"1", "application/json", "1", [0], lambda got: "" if plain(got) == [0] else "wrong"
)


def asked(session: boto3.Session, runtime: Runtime, script: Script, question: Question = QUESTION) -> Answer:
    runtime.script = script
    target = Target(SHARING, "staging", SHARING.consumers["staging"], session)
    (answer,) = ask(target, "e", [question])
    return answer


def shown(answer: Answer) -> tuple[str, str]:
    """An answer in a proof, for a terminal and for an artifact."""
    proof = Proof(
        "staging",
        "222222222222",
        "arn:aws:sagemaker:us-east-1:1:model-package/g/1",
        1,
        "e",
        (),
        True,
        (answer,),
        False,
    )
    json.dumps(proof.to_json(), indent=1).encode()
    return proofs.text(proof, [Removal("model", "m", "removed")]), proofs.markdown(proof)


def assert_harmless(answer: Answer) -> None:
    text, page = shown(answer)
    assert text.replace("\n", "").replace("\0", "").isprintable()
    assert len(text.splitlines()) == 4
    assert len(text) < 3000
    table = page.split("```json")[0]
    assert table.replace("\n", "").replace("\0", "").isprintable()
    (row,) = [line for line in table.splitlines() if line.startswith(("| **wrong**", "| as expected"))]
    assert row.replace("\\|", "").count("|") == 6
    assert row.count("`") == 6
    assert len(page) < 200_000


def test_a_right_answer_is_right(session: boto3.Session, runtime: Runtime) -> None:
    answer = asked(session, runtime, says(whole(b"[0]")))
    assert (answer.got, answer.ok) == ([0], True)
    chunked = head(Transfer_Encoding="chunked") + b"2\r\n[0\r\n1\r\n]\r\n0\r\n\r\n"
    assert asked(session, runtime, says(chunked)).ok
    assert asked(session, runtime, says(head() + b"[0]")).ok  # its end is the connection's


MEGABYTE = b"0" * 1_000_000
ANSI = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\u202e"
MARKS = "`|\n|a|b|\n```\n</td><script>alert(1)</script>![x](http://evil.example/x) **ok**"
WRONG: dict[str, tuple[bytes, str]] = {
    "bad JSON": (whole(b"[0"), "unreadable answer"),
    "not UTF-8": (whole(b'["\xff"]'), "unreadable answer"),
    "UTF-16": (whole("[0]".encode("utf-16")), "unreadable answer"),
    "a charset that is not its own": (
        whole(b"[0]\xe9", "application/json; charset=latin-1"),
        "unreadable answer",
    ),
    "NaN": (whole(b"[NaN]"), "NaN"),
    "a number without end": (whole(b"1e999"), "Infinity"),
    "a number of a million digits": (whole(b"1" + MEGABYTE), "unreadable answer"),
    "a key twice": (whole(b'{"a": 0, "a": 1}'), "written twice"),
    "deep lists": (whole(b"[" * 100_000 + b"]" * 100_000), "nested more than 64"),
    "deep mappings": (whole(b'{"a":' * 100_000), "nested more than 64"),
    "just too deep to be copied": (whole(b"[" * 500 + b"]" * 500), "nested more than 64"),
    "half a character": (whole(b'["\\ud800"]'), "unreadable answer"),
    "another content type": (whole(b"[0]", "text/html"), "[0]"),
    "a content type of nonsense": (whole(b"[0]", ";;;\x7f=" * 50), "[0]"),
    "gzip that is announced and is none": (
        whole(b"\x1f\x8b" + b"\0" * 100, Content_Encoding="gzip"),
        "unreadable",
    ),
    "fewer bytes than announced": (head(Content_Length=1000) + b"[0]", "broke off"),
    "a chunk that ends early": (head(Transfer_Encoding="chunked") + b"ff\r\n[0]", "broke off"),
    "a chunk of nonsense": (head(Transfer_Encoding="chunked") + b"zz\r\n[0]", "broke off"),
    "a cell that is long": (whole(b'"' + b"a" * 200_000 + b'"', "text/csv"), "field larger than"),
    "an error with a text": (
        whole(
            json.dumps({"Message": ANSI + MARKS}).encode(),
            status="424 F",
            **{"x-amzn-ErrorType": "ModelError"},
        ),
        "ModelError",
    ),
    "an error without a text": (
        whole(b"{}", status="424 F", **{"x-amzn-ErrorType": "ModelError"}),
        "ModelError",
    ),
    "a terminal's commands": (whole(json.dumps([ANSI]).encode()), "["),
    "a terminal's commands as they are": (whole(ANSI.encode(), "text/plain"), "\x1b"),
    "a table's and a page's marks": (whole(MARKS.encode(), "text/plain"), "`|"),
    "six megabytes of text": (whole(b"x" * BODY_LIMIT, "text/plain"), "x"),
    "credentials": (
        whole(b"AKIAABCDEFGHIJKLMNOP aws_secret_access_key=abcdabcdabcdabcd", "text/plain"),
        "AKIA",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_is_told_and_harmless(session: boto3.Session, runtime: Runtime, name: str) -> None:
    content, words = WRONG[name]
    started = time.monotonic()
    answer = asked(session, runtime, says(content))
    assert time.monotonic() - started < 30
    assert answer.ok is False
    assert words in str(answer.got)
    assert_harmless(answer)
    if name == "credentials":
        assert not [one for one in shown(answer)[0:1] if "EFGHIJ" in one or "abcdabcd" in one]


ENDLESS: dict[str, tuple[Script, str]] = {
    "a body of one byte now and then": (endless(head(), b"[", 0.05), "within 0.2 s"),
    "a body of an announced length, drop by drop": (
        endless(head(Content_Length=10_000_000), b" ", 0.05),
        "within 0.2 s",
    ),
    "chunks drop by drop": (endless(head(Transfer_Encoding="chunked"), b"1\r\n[\r\n", 0.05), "within 0.2 s"),
    "a chunk's length drop by drop": (endless(head(Transfer_Encoding="chunked"), b"0", 0.05), "within 0.2 s"),
    "headers drop by drop": (endless(b"HTTP/1.1 200 OK\r\n", b"x", 0.05), "within 0.2 s"),
    "a status line drop by drop": (endless(b"", b"H", 0.05), "within 0.2 s"),
    "nothing": (endless(b"", b"", 0.05), "within 0.2 s"),
    "an error drop by drop": (endless(head("500 E"), b" ", 0.05), "within 0.2 s"),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_an_answer_that_never_ends_is_given_up(
    session: boto3.Session, runtime: Runtime, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossaccount.proof.asking.ASK_SECONDS", 0.2)
    script, words = ENDLESS[name]
    started = time.monotonic()
    answer = asked(session, runtime, script)
    assert time.monotonic() - started < 30
    assert words in answer.got
    assert not answer.ok
    assert_harmless(answer)


def test_a_gigabyte_is_left_where_it_is(session: boto3.Session, runtime: Runtime) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for status in ("200 OK", "500 E", "424 F"):
        answer: Any
        try:
            answer = asked(session, runtime, endless(head(status, Content_Length=1 << 30), MEGABYTE)).got
        except (ClientError, BotoCoreError) as refused:
            answer = f"{type(refused).__name__} unreadable"
        assert "unreadable" in answer
    for body, kind in (
        (b"[" + b"[]," * 1_000_000 + b"[]]", "application/json"),
        (b"," * 300_000, "text/csv"),
    ):
        assert_harmless(asked(session, runtime, says(whole(body, kind))))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    assert grown < 512, f"{grown} MB"


def test_answers_of_random_bytes(
    session: boto3.Session, runtime: Runtime, tally: Any, odd: Any, scrambled: Any
) -> None:
    kinds = ("application/json", "text/csv", "text/plain", "application/json; charset=x", "\x01", "")
    for rng in tally.randoms(80):
        body = scrambled(
            rng, b'{"predictions": [{"score": 0.5, "label": "setosa"}], "a": [1, 2.5, null, "x|`"]}'
        )
        content = whole(body, rng.choice(kinds)) if rng.random() < 0.7 else scrambled(rng, whole(body))
        found = tally.judge(lambda at=content: asked(session, runtime, says(at)), ClientError, BotoCoreError)
        if isinstance(found, Answer):
            assert_harmless(found)


def expectation_of(rng: random.Random) -> tuple[Any, Any]:
    return rng.choice(
        (
            expectations.exactly([{"a": [1, "x", None]}]),
            expectations.within([1.0, {"p": 2}], Tolerance(relative=0.1)),
            expectations.at_path(JsonPath(path="a[0].b[1]", value=1)),
            expectations.labelled(["a", 1, True]),
            expectations.fitting(
                {
                    "type": ["array", "object"],
                    "items": {"type": "number", "multipleOf": 0.1, "maximum": 1e308},
                    "additionalProperties": {"type": "string", "pattern": "^a+$"},
                    "uniqueItems": True,
                    "contains": {"const": 1},
                }
            ),
        )
    )


def test_judging_of_odd_answers(tally: Any, odd: Any) -> None:
    for rng in tally.randoms(300):
        got = odd(rng)
        _, judge = expectation_of(rng)
        try:
            read = read_answer(json.dumps(got).encode(), "application/json")
        except ValueError:
            read = None
        assert isinstance(tally.judge(lambda at=read, judge=judge: judge(at)), str)


SLOW: dict[str, tuple[Any, Any]] = {
    "a pattern that looks back": ({"type": "string", "pattern": r"\s+$"}, " " * 200_000 + "x"),
    "a pattern of keys": ({"patternProperties": {r"\s+$": False}}, {" " * 200_000 + "x": 1}),
    "keys that are named by patterns": (
        {"patternProperties": {r"\s+$": {}}, "additionalProperties": False},
        {" " * 200_000 + "x": 1},
    ),
    "items that are compared with each other": (
        {"uniqueItems": True},
        [{"a": n} for n in range(20_000)] + [0],
    ),
    "items that cannot be ordered": (
        {"uniqueItems": True},
        [[n] if n % 2 else n for n in range(20_000)] + [[1]],
    ),
    "a circle": ({"$ref": "#"}, 0),
    "very many items": ({"items": {"allOf": [{"type": "number"}] * 50}}, list(range(200_000))),
    "a number too large to be divided": ({"multipleOf": 0.01}, 10**4000),
}


FITTING = ("items that are compared with each other",)


@pytest.mark.parametrize("name", SLOW)
def test_a_schema_judges_in_time(name: str) -> None:
    schema, got = SLOW[name]
    started = time.process_time()
    assert bool(misfit(got, schema, seconds=30.0 if name in FITTING else 0.3)) is (name not in FITTING)
    assert time.process_time() - started < 2
