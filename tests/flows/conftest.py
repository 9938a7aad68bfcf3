"""Flows run in this process, on one Prefect server for the whole run."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# What the server does with the events of every task run. No test here looks at that, and it takes half the time.
UNUSED_SERVICES = ("EVENT_PERSISTER", "TASK_RUN_RECORDER", "TRIGGERS", "SCHEDULER", "LATE_RUNS", "DB_VACUUM")


@pytest.fixture(scope="session", autouse=True)
def prefect(
    tmp_path_factory: pytest.TempPathFactory, prefect_database: Path, one_authority: Path
) -> Iterator[None]:
    """A Prefect server with a database of its own; the heartbeat, which costs a second for each flow, is off.

    The product looks after an endpoint every half second at first. The sandbox's are up sooner than that.
    """
    from prefect.server.api.server import SubprocessASGIServer
    from prefect.settings import (
        PREFECT_API_SSL_CERT_FILE,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_LOGGING_LEVEL,
        temporary_settings,
    )
    from prefect.testing.utilities import prefect_test_harness

    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("prefect")
        patch.setenv("PREFECT_HOME", str(home))
        patch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        for service in UNUSED_SERVICES:
            patch.setenv(f"PREFECT_SERVER_SERVICES_{service}_ENABLED", "false")
        patch.setattr("crossaccount.hosting.gateway.FIRST_SECONDS", 0.05)
        database = home / "harness"
        database.mkdir()
        shutil.copy(prefect_database, database / "prefect-test.db")
        patch.setenv("PREFECT_SERVER_DATABASE_MIGRATE_ON_START", "false")
        # The harness makes a folder for its database; in this one there is one already.
        patch.setattr("prefect.testing.utilities.mkdtemp", lambda: str(database))
        with prefect_test_harness(server_startup_timeout=120):
            quiet = {
                PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
                PREFECT_LOGGING_LEVEL: "CRITICAL",
                PREFECT_API_SSL_CERT_FILE: str(one_authority),
            }
            server = SubprocessASGIServer().server_process  # the harness's own: it is the one of this process
            assert server is not None
            with temporary_settings(quiet), _ended_with_this_process(server.pid):
                yield


# Its standard input closes when this process ends, however it does. Signals to this process's group do not reach it.
_KEEPER = """
import os, signal, sys
sys.stdin.read()
try:
    os.kill(int(sys.argv[1]), signal.SIGTERM)
except ProcessLookupError:
    pass
"""


@contextmanager
def _ended_with_this_process(pid: int) -> Iterator[None]:
    command = [sys.executable, "-S", "-c", _KEEPER, str(pid)]
    keeper = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    yield
    keeper.communicate()


@pytest.fixture(scope="module")
def shared(sandbox: Any) -> Iterator[Any]:
    """The sandbox after a share of its config, for a whole module: a test that breaks something mends it."""
    from flows.producer import share_models

    with pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.ready["env"].items():
            patch.setenv(name, value)
        with sandbox.restored():
            share_models(str(sandbox.config))
            yield sandbox
    for account in ("staging", "production"):
        assert not any(sandbox.hosted(account).values()), f"left in {account}: {sandbox.hosted(account)}"


Command = Callable[..., tuple[int, Any]]


@pytest.fixture
def run(aws: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Runs the command in this process, its flows on this test run's Prefect server: its exit code, and its JSON.

    That the command is a process of its own too is told by ``tests/cli``, ``tests/docs`` and ``tests/crash``.
    """
    from prefect.settings import PREFECT_API_URL

    from crossaccount.cli import main as cli

    monkeypatch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
    before = signal.getsignal(signal.SIGTERM)

    def running(*arguments: Any) -> tuple[int, Any]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([*map(str, arguments), "--json"])
        printed = capsys.readouterr().out
        return int(ended.value.code or 0), json.loads(printed) if printed else None

    yield running
    signal.signal(signal.SIGTERM, before)


def _answered(answer: str, *words: str, meanwhile: Callable[[], object] = lambda: None) -> tuple[int, str]:
    """The command on a terminal, where a person gives an answer to its question: its exit code and all that it showed.

    ``meanwhile`` is what happens while the person thinks.
    """
    from prefect.settings import PREFECT_API_URL

    theirs, ours = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "crossaccount", *words],
        stdin=ours,
        stdout=ours,
        stderr=ours,
        env={
            **os.environ,
            "TERM": "dumb",
            "COLUMNS": "200",
            "PREFECT_API_URL": str(PREFECT_API_URL.value()),
        },
    )
    os.close(ours)
    shown = b""
    while True:
        try:
            part = os.read(theirs, 65536)
        except OSError:
            break
        if not part:
            break
        if b"[y/N]" in part:
            meanwhile()
            os.write(theirs, f"{answer}\n".encode())
        shown += part
    os.close(theirs)
    return process.wait(timeout=60), shown.decode().replace("\r\n", "\n")


@pytest.fixture
def answered() -> Callable[..., tuple[int, str]]:
    """Runs the command on a terminal of its own: see `_answered`."""
    return _answered
