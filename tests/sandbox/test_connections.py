"""Connections to the sandbox stay open for further requests, whatever became of the one before."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any

import pytest

from crossaccount_sandbox import connections
from crossaccount_sandbox.connections import HttpServer

OK, EMPTY = ("200 OK", [("Content-Length", "2")], [b"ok"]), ("200 OK", [("Content-Length", "0")], [b""])
Answer = tuple[str, list[tuple[str, str]], list[bytes]]


class Application:
    """Answers what it is told to, and reads so much of each body."""

    def __init__(self) -> None:
        self.answer: Answer = OK
        self.reads: int | None = None
        self.bodies: list[bytes] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        if self.reads is not None:
            self.bodies.append(environ["wsgi.input"].read(self.reads))
        status, headers, parts = self.answer
        if status == "raises":
            raise ValueError(status)
        start_response(status, headers)
        return parts


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def server(application: Application) -> Iterator[HttpServer]:
    server = HttpServer(0, application)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.stop()


@pytest.fixture
def client(server: HttpServer) -> Iterator[http.client.HTTPConnection]:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    yield client
    client.close()


def asked(client: http.client.HTTPConnection, method: str = "GET", body: Any = None, **more: Any) -> bytes:
    client.request(method, "/", body, **more)
    return client.getresponse().read()


@pytest.mark.parametrize(
    ("method", "body", "reads", "answer", "got"),
    [
        ("GET", None, None, OK, b"ok"),
        ("GET", None, None, EMPTY, b""),
        ("GET", None, None, ("403 Refused", [("Content-Length", "2")], [b"no"]), b"no"),
        ("GET", None, None, ("204 No Content", [], [b""]), b""),
        ("HEAD", None, None, ("200 OK", [("Content-Length", "900")], [b""]), b""),
        ("GET", None, None, ("200 OK", [], [b"in ", b"", b"parts"]), b"in parts"),
        ("PUT", b"body", -1, OK, b"ok"),
        ("PUT", b"body", 100, OK, b"ok"),
        ("PUT", b"body", 2, OK, b"ok"),
        ("PUT", b"x" * 1_000_000, None, OK, b"ok"),
    ],
)
def test_the_connection_carries_the_next_request(
    client: Any,
    application: Application,
    method: str,
    body: Any,
    reads: int | None,
    answer: Answer,
    got: bytes,
) -> None:
    application.answer, application.reads = answer, reads
    assert asked(client, method, body) == got
    used = client.sock
    assert used is not None
    application.answer, application.reads = OK, -1
    assert asked(client, "PUT", b"next") == b"ok"
    assert (client.sock, application.bodies[-1]) == (used, b"next")


def test_an_answer_to_who_speaks_http_1_0_ends_with_the_connection(
    server: HttpServer, application: Application
) -> None:
    application.answer = ("200 OK", [], [b"in ", b"parts"])
    with socket.create_connection(("127.0.0.1", server.port), 10) as plain:
        plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with plain.makefile("rb") as file:
            assert file.read().endswith(b"\r\n\r\nin parts")


def test_who_waits_for_leave_to_send_a_body_gets_it(server: HttpServer, application: Application) -> None:
    application.reads = -1
    with socket.create_connection(("127.0.0.1", server.port), 10) as plain, plain.makefile("rb") as file:
        plain.sendall(b"PUT / HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert (file.readline(), file.readline()) == (b"HTTP/1.1 100 Continue\r\n", b"\r\n")
        plain.sendall(b"body")
        assert file.readline() == b"HTTP/1.1 200 OK\r\n"
    assert application.bodies == [b"body"]


def ends(client: http.client.HTTPConnection) -> bool:
    """Whether the connection was ended with the answer."""
    return client.sock is None


def test_a_body_in_chunks_is_the_last_of_its_connection(client: Any, application: Application) -> None:
    application.reads = -1
    assert asked(client, "PUT", iter([b"in ", b"chunks"]), encode_chunked=True) == b"ok"
    assert (application.bodies, ends(client)) == ([b"in chunks"], True)


def test_an_error_of_the_application_is_told_and_ends_the_connection(
    client: Any, application: Application, capfd: pytest.CaptureFixture[str]
) -> None:
    application.answer = ("raises", [], [])
    client.request("GET", "/")
    assert client.getresponse().status == 500
    assert ends(client)
    application.answer = OK
    assert asked(client) == b"ok"
    said, deadline = "", time.monotonic() + 10
    while "ValueError: raises" not in said:  # it is written after the answer
        assert time.monotonic() < deadline, said
        said += capfd.readouterr().err


def test_more_connections_than_threads_are_good_for_carry_one_request_each(
    server: HttpServer, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_MOST_KEPT", 1)
    assert (asked(client), ends(client)) == (b"ok", False)
    second = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    assert (asked(second), ends(second)) == (b"ok", True)


def test_a_connection_that_nobody_uses_ends_without_a_word(
    client: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections._Handler, "timeout", 0.05)
    assert asked(client) == b"ok"
    assert client.sock.recv(1) == b""
    assert caplog.messages == []


def test_a_server_that_stops_ends_what_is_open(client: Any, application: Application) -> None:
    server = HttpServer(0, application)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    client.port = server.port
    assert asked(client) == b"ok"
    server.stop()
    assert client.sock.recv(1) == b""


def test_the_sandbox_keeps_its_callers_connections(sandbox: Any) -> None:
    client = http.client.HTTPConnection("127.0.0.1", int(sandbox.url.rpartition(":")[2]), timeout=10)
    used = set()
    for path in ("/", "/_sandbox/faults", "/bucket/key"):
        client.request("GET", path)
        client.getresponse().read()
        used.add(client.sock)
    client.close()
    assert len(used) == 1
    assert None not in used
