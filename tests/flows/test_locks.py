"""What the writers' locks make of a Prefect server that is busy or does not answer: a proxy in front of the real one answers so."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import httpx
import pytest
from prefect import flow
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from crossaccount.errors import Conflict
from tasks import locks

ARNS = ["arn:aws:ecr:us-east-1:111111111111:repository/of-this-test"]
TAKE, GIVE = "increment-with-lease", "decrement-with-lease"


@dataclass
class Front:
    """Answers the next so many requests whose path ends so with this status, and hands all others on; ``times`` are when they came."""

    path: str = ""
    status: int = 503
    left: int = 0
    times: list[float] = field(default_factory=list)

    def refuses(self, path: str) -> bool:
        if not path.split("?")[0].endswith(self.path):
            return False
        self.times.append(time.monotonic())
        self.left -= 1
        return self.left >= 0


@pytest.fixture
def front() -> Iterator[Front]:
    behind, front = str(PREFECT_API_URL.value()), Front()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _hand_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if front.refuses(self.path):
                self._answer(front.status, b'{"detail": "busy"}', {})
                return
            kept = {
                name: self.headers[name]
                for name in ("Content-Type", "X-PREFECT-API-VERSION")
                if name in self.headers
            }
            url = behind.removesuffix("/api") + self.path
            found = httpx.request(self.command, url, content=body, headers=kept, timeout=30)
            passed = {
                name: found.headers[name] for name in ("Retry-After", "Content-Type") if name in found.headers
            }
            self._answer(found.status_code, found.content, passed)

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _hand_on

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with temporary_settings(
        {PREFECT_API_URL: f"http://127.0.0.1:{server.server_port}/api", PREFECT_CLIENT_MAX_RETRIES: 0}
    ):
        yield front
    server.shutdown()
    server.server_close()


def within_a_flow(done: Callable[[], object]) -> object:
    """What is done inside a flow run, as all writing is."""

    @flow(name="writing", persist_result=False)
    def writing() -> object:
        return done()

    return writing()


def test_a_server_that_is_busy_for_a_moment_is_asked_again_sooner_than_prefects_client_would(
    front: Front,
) -> None:
    front.path, front.left = TAKE, 3

    def write() -> float:
        with locks.writing(ARNS) as settle:
            return settle

    assert within_a_flow(write) == 0.0, "whoever has the lock need not wait"
    # Three busy answers; then one that makes the limit where it is not there yet.
    assert len(front.times) >= 4
    assert min(after - before for before, after in pairwise(front.times)) < 1, (
        "Prefect's client waits for two seconds"
    )


def test_a_lock_that_is_not_taken_back_does_not_hide_what_the_writing_raised(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    def write() -> None:
        with locks.writing(ARNS):
            front.path, front.left = GIVE, 9
            raise Conflict("what the writing raised")

    log = logging.getLogger("prefect.flow_runs")
    log.addHandler(caplog.handler)
    try:
        with pytest.raises(Conflict, match="what the writing raised"):
            within_a_flow(write)
    finally:
        log.removeHandler(caplog.handler)
    assert "did not take the writers' locks back" in caplog.text
    _freed()


def test_writing_that_was_done_stays_done_where_the_lock_is_not_taken_back(front: Front) -> None:
    def write() -> str:
        with locks.writing(ARNS):
            front.path, front.left = GIVE, 9
        return "written"

    assert within_a_flow(write) == "written"
    _freed()


def _freed() -> None:
    """Give back what the server kept: its lease would end in a minute."""
    from prefect.client.orchestration import get_client

    (arn,) = ARNS
    with get_client(sync_client=True) as client:
        client.delete_global_concurrency_limit_by_name(f"crossaccount {arn}".replace("/", ":"))
