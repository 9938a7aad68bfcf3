"""Ctrl-C in a real terminal, which reaches every process of it, and SIGTERM to all of them: what is taken down, said, and left."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed, Crashed, Running

from flows.consumer import deploy_model

NAME = "decision-trees-staging-v2"
CREATING = "is Creating after"


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, env: dict[str, str], *arguments: str) -> None:
        self._master, slave = pty.openpty()

        def lead() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        command = [sys.executable, "-m", "crossaccount", *arguments]
        streams: dict[str, Any] = {"stdin": slave, "stdout": slave, "stderr": slave}
        self.process = subprocess.Popen(command, env=env, preexec_fn=lead, **streams)
        os.close(slave)
        self.text, self._seen = "", 0

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 120
        while text not in self.text[self._seen :]:
            assert time.monotonic() < deadline, self.text
            assert self._read(), self.text
        self._seen = self.text.index(text, self._seen) + len(text)

    def send(self, signum: int) -> None:
        if signum == signal.SIGINT:
            os.write(self._master, b"\x03")
        else:
            os.killpg(self.process.pid, signum)

    def end(self) -> int:
        while self._read():
            pass
        os.close(self._master)
        return self.process.wait(60)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], 60)
        with contextlib.suppress(OSError):
            if ready and (read := os.read(self._master, 65536)):
                self.text += read.decode(errors="replace").replace("\r", "")
                return True
        return False


@pytest.fixture
def slow(shared: Any) -> Iterator[Any]:
    """The sandbox, whose next endpoint stays Creating for seconds."""
    where = {"account": shared.id("staging"), "endpoint": NAME}
    body = json.dumps({**where, "outcome": {"kind": "crash-loop", "seconds": 3000}}).encode()
    outcomes = f"{shared.url}/_sandbox/outcomes"
    with urllib.request.urlopen(urllib.request.Request(outcomes, body, method="PUT"), timeout=10):
        pass
    yield shared
    # Who was interrupted before it made an endpoint leaves what was arranged to whoever makes the next.
    with urllib.request.urlopen(urllib.request.Request(outcomes, method="DELETE"), timeout=10):
        pass
    shared.clear(["staging"])
    # Whoever ended at once holds its lock for another minute, and here nobody ends its lease.
    with get_client(sync_client=True) as client:
        for limit in client.read_global_concurrency_limits():
            if limit.active_slots:
                client.delete_global_concurrency_limit_by_name(limit.name)


@pytest.fixture
def home(tmp_path: Path, prefect_database: Path) -> Path:
    """A home of Prefect that has its tables already: making them takes seconds."""
    shutil.copy(prefect_database, tmp_path / "prefect.db")
    return tmp_path


def deploy(shared: Any, home: Path, has_server: bool) -> Terminal:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    env |= {**shared.ready["env"], "PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    if has_server:
        env["PREFECT_API_URL"] = str(PREFECT_API_URL.value())
    return Terminal(env, "deploy", str(shared.config), "--consumer", "staging")


@pytest.mark.parametrize(
    ("has_server", "moment", "signum", "code"),
    [
        (False, "starting a temporary one", signal.SIGINT, 130),
        (False, CREATING, signal.SIGINT, 130),
        (True, CREATING, signal.SIGTERM, 143),
    ],
)
def test_an_interrupted_deployment_is_taken_down_and_said_so(
    slow: Any, home: Path, has_server: bool, moment: str, signum: int, code: int
) -> None:
    terminal = deploy(slow, home, has_server)
    terminal.wait_for(moment)
    terminal.send(signum)
    sent = time.monotonic()
    assert terminal.end() == code, terminal.text
    assert time.monotonic() - sent < 30
    assert "Traceback" not in terminal.text
    assert not any(slow.hosted("staging").values())
    if moment == CREATING:
        said = terminal.text[terminal.text.index("Interrupted.") :]
        for kind in ("endpoint", "endpoint config", "model"):
            assert f"  removed: {kind} {NAME} in account 222222222222" in said
        assert "Nothing that this run made is left." in said
    else:
        assert "Interrupted: ending." in terminal.text


def test_what_a_second_interrupt_leaves_is_named_and_removed_by_the_command_that_it_names(
    slow: Any, home: Path, run: Any
) -> None:
    terminal = deploy(slow, home, has_server=True)
    terminal.wait_for(CREATING)
    for text in ("Interrupted.", "Interrupted again"):
        terminal.send(signal.SIGINT)
        terminal.wait_for(text)
    assert terminal.end() == 130, terminal.text
    assert "Traceback" not in terminal.text
    left = slow.hosted("staging")
    assert left == {"endpoints": [NAME], "configs": [NAME], "models": [NAME]}
    for kind in ("endpoint", "endpoint config", "model"):
        assert f"  {kind} {NAME} in account 222222222222\n" in terminal.text[terminal.text.index("Left in") :]
    named = re.search(
        rf"^  {sys.executable} -m crossaccount (reap \S+ --run \S+)$", terminal.text, re.MULTILINE
    )
    assert named, terminal.text
    code, answer = run(*named[1].split())
    assert code == 0, answer
    assert not any(slow.hosted("staging").values())


def known(state: Any) -> str:
    with get_client(sync_client=True) as client:
        return str(client.create_flow_run(deploy_model, state=state).id)


def model_of(shared: Any, flow_run: str) -> None:
    """The model that a run made a moment ago."""
    role = f"arn:aws:iam::{shared.id('staging')}:role/crossaccount-execution"
    package = "arn:aws:sagemaker:us-east-1:111111111111:model-package/decision-trees-sample/2"
    tags = {"managed-by": "crossaccount", "model-package": package, "keep": "false", "flow-run": flow_run}
    shared.admin("staging", "sagemaker").create_model(
        ModelName=NAME,
        PrimaryContainer={"ModelPackageName": package},
        ExecutionRoleArn=role,
        Tags=[{"Key": f"crossaccount:{key}", "Value": value} for key, value in tags.items()],
    )


@pytest.mark.parametrize(
    ("of_model", "asked_for", "code", "said", "stays"),
    [
        (Crashed(), "it", 0, "", False),
        (Completed(), "it", 0, "", False),
        (Running(), "it", 1, "is Running: what it made may be in use", True),
        (None, "it", 1, "knows no flow run", True),
        (Running(), "another that crashed", 0, "", True),
        (Crashed(), "no id", 2, "--run 'me' is not the id of a flow run", True),
    ],
)
def test_only_what_an_ended_run_made_is_removed_at_once(
    shared: Any, run: Any, of_model: Any, asked_for: str, code: int, said: str, stays: bool
) -> None:
    made_by = known(of_model) if of_model is not None else str(uuid4())
    model_of(shared, made_by)
    asked = {"it": made_by, "another that crashed": known(Crashed()), "no id": "me"}[asked_for]
    try:
        ended, answer = run("reap", shared.config, "--consumer", "staging", "--run", asked)
        assert (ended, bool(shared.hosted("staging")["models"])) == (code, stays), answer
        assert said in json.dumps(answer)
    finally:
        shared.clear(["staging"])
