"""However AWS, or whatever stands in its place, fails: no credential is in anything that is told, logged or raised.

What answers here knows every credential of the request, and sends it back in every way there is.
"""

from __future__ import annotations

import argparse
import base64
import json
import logging
import random
import socketserver
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import boto3
import pytest
import yaml
from botocore.credentials import Credentials, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, HTTPClientError

from crossaccount import doors
from crossaccount.aws import clients, refusals, sessions
from crossaccount.aws.access import open_producer, open_target
from crossaccount.aws.refusals import Attempt
from crossaccount.aws.retries import Persistence
from crossaccount.cli import main as cli
from crossaccount.cli import output
from crossaccount.config.loading import load_config
from crossaccount.doors.base import Resource
from crossaccount.errors import CrossAccountError, DoorName, Failed
from crossaccount.hosting import preflight
from crossaccount.promotion import records
from crossaccount.release import store
from crossaccount.sharing import gather
from crossaccount.text import harmless

ROOT = Path(__file__).parents[2]
SOURCE = ("AKIAQWERTYUIOPASDFGH", "so/ur+ce" * 5, "FwoG/source+token==" * 12)
ASSUMED = ("ASIAZXCVBNMLKJHGFDSA", "as/su+me" * 5, "IQoJ/assumed+token==" * 12)
CODES = (
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "InvalidAccessKeyId",
    "UnrecognizedClientException",
    "ValidationException",
    "NoSuchBucket",
    "MalformedPolicyDocument",
    "Unheard",
)


def spellings(secret: str) -> set[str]:
    """A secret in every way that it is looked for, and sent back."""
    raw = secret.encode()
    return {
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        secret.replace("/", "\\/"),
    }


@dataclass
class Request:
    """What was asked, and with which credentials."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def credentials(self) -> tuple[str, str, str]:
        return ASSUMED if ASSUMED[0] in self.headers.get("authorization", "") else SOURCE

    @property
    def signature(self) -> str:
        return self.headers.get("authorization", "").rpartition("Signature=")[2]

    @property
    def is_sts(self) -> bool:
        return b"Version=2011-06-15" in self.body

    @property
    def is_json(self) -> bool:
        return "x-amz-target" in self.headers


class Mirror(socketserver.ThreadingTCPServer):
    """In AWS's place: answers by a script, and keeps the signatures it saw."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: Callable[[Request], bytes] = lambda request: b""
        self.signatures: set[str] = set()

    def handle_error(self, *_: Any) -> None:
        """A client that goes away is what this is about."""


class _Handler(socketserver.StreamRequestHandler):
    server: Mirror

    def handle(self) -> None:
        line = self.rfile.readline().decode()
        headers = {}
        while (one := self.rfile.readline().decode()).strip():
            name, _, value = one.partition(":")
            headers[name.lower()] = value.strip()
        request = Request(line, headers, self.rfile.read(int(headers.get("content-length", 0))))
        self.server.signatures.add(request.signature)
        self.request.sendall(self.server.script(request))


def answer(body: str, status: str = "200 OK", kind: str = "text/xml", **headers: str) -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}",
        "Connection: close",
        f"Content-Length: {len(body.encode())}",
    ]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def assumed() -> bytes:
    ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    key, secret, token = ASSUMED
    given = f"<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken>"
    return answer(
        f"<AssumeRoleResponse><AssumeRoleResult><Credentials>{given}<Expiration>{ends}</Expiration></Credentials>"
        "</AssumeRoleResult></AssumeRoleResponse>"
    )


def told_back(rng: random.Random, request: Request) -> str:
    """A message with credentials in it."""
    key, secret, token = request.credentials
    one = rng.choice(sorted(spellings(rng.choice((secret, token, key)))))
    host = f"https://b.s3.amazonaws.com/k?X-Amz-Credential={quote_plus(key)}%2F20260101&X-Amz-Security-Token={quote_plus(token)}&X-Amz-Signature={request.signature}"
    return rng.choice(
        (
            f"it was {one} that was sent",
            one,
            f"({one})[{one}]",
            "Authorization: " + request.headers.get("authorization", ""),
            json.dumps(request.headers),
            "The Canonical String for this request should have been\n'POST\n/\n\n"
            + "\n".join(f"{name}:{value}" for name, value in request.headers.items()),
            host,
            f"SecretAccessKey={secret} SessionToken={token}",
            f"aws_secret_access_key = {secret}\naws_session_token = {token}",
            f"User: arn:aws:sts::222222222222:assumed-role/r/{one} is not authorized to perform: s3:GetObject on resource: {one} because no identity-based policy",
            f"Could not access model data at s3://b/{one}. Please",
            f'The execution role ARN "{one}" is invalid.',
        )
    )


def failure(rng: random.Random, request: Request) -> bytes:
    message, code = told_back(rng, request), rng.choice(CODES)
    escaped = message.replace("&", "&amp;").replace("<", "&lt;")
    status = rng.choice(("400 Bad", "403 Forbidden", "404 Not Found", "409 Conflict"))
    if rng.random() < 0.1:
        code = message.replace("\n", " ")
    kind = rng.randrange(12)
    if kind == 0:
        return f"HTTP/1.1 {message}".replace("\n", " ").encode() + b"\r\n\r\n"
    if kind == 1:
        return message.encode() + b"\r\n\r\n"
    if kind == 2:
        return b""
    if kind == 3:
        return answer(f"<html>{message}", rng.choice(("200 OK", status)), "text/html")
    if kind == 4:
        return answer(
            f"<Broken><SecretAccessKey>{request.credentials[1]}</SecretAccessKey><Token>{escaped}", "200 OK"
        )
    if kind == 5:
        return assumed()[: -rng.randrange(10, 400)]
    if kind == 6:
        flat = message.replace("\n", " ")
        return answer("", status, **{"x-amzn-errortype": flat, "x-amz-request-id": flat, "x-amz-id-2": flat})
    if request.is_json or kind == 7:
        said = {"__type": code, "Message": message, "message": message, "Other": message}
        return answer(json.dumps(said), status, "application/x-amz-json-1.1")
    more = "".join(f"<{name}>{escaped}</{name}>" for name in ("AWSAccessKeyId", "StringToSign", "RequestId"))
    error = f"<Error><Code>{code.replace('&', '&amp;').replace('<', '')}</Code><Message>{escaped}</Message>{more}</Error>"
    return answer(error if not request.is_sts else f"<ErrorResponse>{error}</ErrorResponse>", status)


@dataclass
class Heard:
    """Everything that was logged."""

    lines: list[str] = field(default_factory=list)


@pytest.fixture
def heard() -> Iterator[Heard]:
    found = Heard()

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.lines.append(self.format(record))

    handler, root = Keeping(logging.INFO), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield found
    root.removeHandler(handler)
    root.setLevel(before)


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Mirror]:
    server = Mirror()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    given = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_ACCESS_KEY_ID": SOURCE[0],
        "AWS_SECRET_ACCESS_KEY": SOURCE[1],
        "AWS_SESSION_TOKEN": SOURCE[2],
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def ambient(tmp_path: Path) -> Path:
    """The sandbox's config, without profiles."""
    document = yaml.safe_load((ROOT / "configs" / "sandbox.yaml").read_text())
    for one in (document["producer"], *document["consumers"].values()):
        one.pop("profile", None)
    path = tmp_path / "ambient.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def commands(ambient: Path) -> list[Callable[[], Any]]:
    sharing = load_config(ambient)
    direct = sharing.model_copy(
        update={"producer": sharing.producer.model_copy(update={"role": None, "external_id": None})}
    )

    def found() -> Any:
        return preflight.find_version(open_target(sharing, "staging"), None)

    return [
        lambda: cli.main(["plan", str(ambient)]),
        lambda: cli.main(["plan", str(ambient), "--json"]),
        lambda: cli.main(["history", str(ambient)]),
        lambda: cli.main(["history", str(ambient), "--json"]),
        lambda: sessions.producer_session(direct),
        lambda: gather.make_plan(sharing),
        found,
    ]


def assert_hidden(text: str, signatures: set[str]) -> None:
    for secret in (*SOURCE, *ASSUMED):
        for spelling in spellings(secret):
            assert spelling not in text, text
    for signature in signatures:
        assert not signature or signature not in text, text


def calls(ambient: Path) -> list[Callable[[], Any]]:
    """Calls of clients that are made once: making them takes longer than a hundred calls."""
    sharing = load_config(ambient)
    producer = open_producer(sharing)
    theirs = open_target(sharing, "staging")
    resources = [
        Resource(kind, name, OWNER)
        for kind, name in (("model-package-group", "g"), ("repository", "r"), ("bucket", "b"), ("key", "k"))
    ]

    def explained(call: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> Any:
            with producer.explained():
                return call()

        return run

    def deployed(call: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> Any:
            with theirs.explained("s3:GetObject", "x", DoorName.BUCKET):
                return call()

        return run

    reading = [lambda at=one: doors.read_policy(producer, at) for one in resources]
    return [
        *map(explained, reading),
        *reading,  # as AWS's own error, which nobody explains
        explained(lambda: records.read(producer, 3)),
        explained(lambda: store.find(producer, 1)),
        deployed(lambda: preflight.newest_published(theirs)),
        deployed(lambda: store.find(theirs, 1)),
        deployed(lambda: preflight.find_version(theirs, 1)),
    ]


OWNER = "111111111111"
# What answers 200 and has not what AWS's answers have ends as a fault of the program, which is told with its traceback.
PROGRAM = (KeyError, AttributeError, TypeError)


def ended(run: Callable[[], Any], as_json: bool) -> BaseException | str:
    """How a run ends on the command line."""
    try:
        return repr(run())
    except (SystemExit, *PROGRAM) as end:
        return end
    except (CrossAccountError, ClientError, BotoCoreError) as error:
        told: Any = refusals.explain(error)
        with pytest.raises(SystemExit):
            output.end(argparse.Namespace(json=as_json), told)
        return error


def fuzz(
    tally: Any, count: int, mirror: Mirror, runs: list[Callable[[], Any]], heard: Heard, capsys: Any
) -> None:
    hidden = 0
    for rng in tally.randoms(count):
        first = rng.random() < 0.5  # whether a role can be assumed, and what follows fails

        def script(request: Request, rng: random.Random = rng, first: bool = first) -> bytes:
            return assumed() if first and b"Action=AssumeRole" in request.body else failure(rng, request)

        mirror.script = script
        mirror.signatures.clear()
        heard.lines.clear()
        end = ended(rng.choice(runs), rng.random() < 0.5)
        found = tally.judge(lambda at=end: raised(at), Exception, SystemExit)
        text = "".join(traceback.format_exception(end)) if isinstance(end, BaseException) else end
        out = capsys.readouterr()
        everything = "\n".join((text, str(end), repr(end), str(found), out.out, out.err, *heard.lines))
        assert_hidden(everything, mirror.signatures)
        hidden += "****" in everything
    assert tally.refused > 0.7 * tally.inputs
    assert hidden > tally.inputs / 20  # something was there to be hidden


def raised(end: BaseException | str) -> str:
    if isinstance(end, BaseException):
        raise end
    return end


def test_failures_that_carry_credentials(
    tally: Any, mirror: Mirror, ambient: Path, heard: Heard, capsys: pytest.CaptureFixture[str]
) -> None:
    mirror.script = lambda request: assumed()
    fuzz(tally, 510, mirror, calls(ambient), heard, capsys)
    assert tally.inputs >= 500


def test_commands_that_fail_with_credentials(
    tally: Any, mirror: Mirror, ambient: Path, heard: Heard, capsys: pytest.CaptureFixture[str]
) -> None:
    fuzz(tally, 6, mirror, commands(ambient), heard, capsys)


# One case for each way out.

LABELLED = [
    "X-Amz-Security-Token=FwoGZXIvYXdzEXAMPLE/+x==",
    "x-amz-security-token:FwoGZXIvYXdzEXAMPLE",
    "X-Amz-Security-Token%3DFwoGZXIvYXdzEXAMPLE",
    '"SessionToken": "FwoGZXIvYXdzEXAMPLE"',
    "<SecretAccessKey>FwoGZXIvYXdzEXAMPLE</SecretAccessKey>",
    "aws_secret_access_key = FwoGZXIvYXdzEXAMPLE",
    "Authorization: AWS4-HMAC-SHA256 Credential=FwoGZXIvYXdzEXAMPLE/2026/us-east-1, SignedHeaders=host, Signature=FwoGZXIvYXdzEXAMPLE",
    "https://b.s3.amazonaws.com/k?X-Amz-Signature=FwoGZXIvYXdzEXAMPLE&X-Amz-Credential=FwoGZXIvYXdzEXAMPLE",
]


@pytest.mark.parametrize("text", LABELLED)
@pytest.mark.parametrize("error", ["ours", "client", "connection"])
def test_what_bears_the_name_of_a_credential_is_not_told(text: str, error: str) -> None:
    raised: Exception = {
        "ours": Failed(text),
        "client": ClientError({"Error": {"Code": "X", "Message": text}}, "Op"),
        "connection": EndpointConnectionError(endpoint_url=text),
    }[error]
    told = refusals.explain(raised)
    assert told is not None
    assert "ZXIvYXdz" not in str(told)
    assert "****" in str(told)


@pytest.mark.parametrize(
    "text",
    [
        "The security token included in the request is invalid",
        "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z",
        "InvalidAccessKeyId: The AWS Access Key Id you provided does not exist in our records.",
        "AROAEXAMPLEEXAMPLE00:session",
        "arn:aws:secretsmanager:us-east-1:111111111111:secret:authorization",
    ],
)
def test_what_is_no_credential_is_told(text: str) -> None:
    assert harmless(text) == text


def test_the_connection_s_own_words_are_not_told() -> None:
    found = refusals.explain(HTTPClientError(error=ConnectionError(f"BadStatusLine('{SOURCE[2]}')")))
    assert SOURCE[2] not in str(found)
    assert "no answer came from AWS" in str(found)


def test_an_answer_that_gave_half_of_the_credentials_is_not_told(
    mirror: Mirror, ambient: Path, heard: Heard
) -> None:
    broken = assumed().replace(b"</AssumeRoleResponse>", b"<<<<<<<<<<<<<<<<<<<<<")
    mirror.script = lambda request: broken
    with pytest.raises(Failed) as failed:
        sessions.producer_session(load_config(ambient))
    assert_hidden("".join(traceback.format_exception(failed.value)), mirror.signatures)
    assert heard.lines, "botocore's log is listened to"
    assert_hidden("".join(heard.lines), mirror.signatures)


def of_credentials(credentials: Any) -> clients.AccountSession:
    shared = clients.SharedClients(clients.botocore_session(None), "us-east-1")
    return clients.AccountSession(shared, clients.Caller(credentials, Persistence()))


def test_an_error_of_a_client_made_elsewhere_is_hidden_by_its_session(mirror: Mirror) -> None:
    """A ClientError that nobody explains is raised as it is: it has been cleaned before."""
    session = of_credentials(Credentials(*SOURCE))
    unhidden = mirror.script = lambda request: answer(
        json.dumps(
            {"__type": "Unheard", "message": f"{SOURCE[1]} {base64.b64encode(SOURCE[2].encode()).decode()}"}
        ),
        "400 Bad",
        "application/x-amz-json-1.1",
    )
    with pytest.raises(ClientError) as raised:
        session.client("sagemaker").list_models()
    assert_hidden(f"{raised.value} {raised.value.response['Error']}", set())
    assert "****" in str(raised.value)
    mirror.script = lambda request: b"HTTP/1.1 " + SOURCE[2].encode() + b"\r\n\r\n"
    with pytest.raises(BotoCoreError) as broken:
        session.client("sagemaker").list_models()
    assert_hidden("".join(traceback.format_exception(broken.value)), set())
    mirror.script = unhidden
    with pytest.raises(ClientError) as plain:  # the product's own sessions alone do that
        boto3.session.Session(region_name="us-east-1").client("sagemaker").list_models()
    assert SOURCE[1] in str(plain.value)


def test_a_refusal_as_data_has_no_credential() -> None:
    attempt = Attempt("me", "222222222222", "111111111111", DoorName.BUCKET, "a", "r")
    said = {"Error": {"Code": "AccessDenied", "Message": LABELLED[0] + " \x1b[2J"}}
    found: Any = refusals.classify(ClientError(said, "GetObject"), attempt)
    assert found.refusal.aws_message == "X-Amz-Security-Token=**** \\x1b[2J"


def test_credentials_of_before_a_refresh_are_hidden_too(mirror: Mirror) -> None:
    """An answer may be late, and be about a request that was signed with the ones before."""
    given = [SOURCE]

    def fetched() -> dict[str, str]:
        key, secret, token = given[-1]
        soon = (
            datetime.now(UTC) + timedelta(minutes=1)
        ).isoformat()  # so soon that each request fetches new ones
        return {"access_key": key, "secret_key": secret, "token": token, "expiry_time": soon}

    client = of_credentials(DeferredRefreshableCredentials(fetched, "test")).client("sagemaker")
    seen = []

    def script(request: Request) -> bytes:
        seen.append(request.credentials)
        said = {"__type": "Unheard", "message": f"late: {SOURCE[1]} {SOURCE[2]}"}
        return answer(json.dumps(said), "400 Bad", "application/x-amz-json-1.1")

    mirror.script = script
    for _ in range(2):
        with pytest.raises(ClientError) as raised:
            client.list_models()
        assert_hidden(str(raised.value), set())
        given.append(ASSUMED)
    assert seen == [SOURCE, ASSUMED]
