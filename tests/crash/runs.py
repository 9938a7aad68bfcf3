"""Runs of commands, each a process of its own on one Prefect server, and their end: by themselves, or by SIGKILL at a call.

Not here: which commands, and what is looked at afterwards (``everywhere``).
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import prefect
from world import ROOT, OfCommand, World, is_of_command

from crossaccount.stage import processes

_LONGEST = 150.0  # seconds: a run that waits for a dead one's lease waits a minute or so
_UNUSED = ("EVENT_PERSISTER", "TASK_RUN_RECORDER", "TRIGGERS", "SCHEDULER", "LATE_RUNS", "DB_VACUUM")
Place = tuple[str, str, str, int]  # service, operation, account, and the how many-th of these calls


@dataclass(frozen=True)
class Run:
    """How a run ended.

    Args:
        code: its exit code; -9 when it was killed.
        held: the call at which it was killed; None when it came to its end by itself.
        output: what it said.
        calls: what it asked of AWS, in the order of the answers.
        seconds: how long it took.
    """

    code: int
    held: dict[str, Any] | None
    output: str
    calls: tuple[dict[str, Any], ...]
    seconds: float


def places(calls: Sequence[dict[str, Any]]) -> list[Place]:
    """The calls of a run as places that another run of the same command comes by too."""
    seen: dict[tuple[str, str, str], int] = {}
    found = []
    for one in calls:
        what = (one["service"], one["operation"], one["account"])
        seen[what] = seen.get(what, 0) + 1
        found.append((*what, seen[what]))
    return found


class Runner:
    """Starts runs of commands in a world.

    Args:
        world: whose AWS they reach.
        api: of the Prefect server.
        folder: where they write.
    """

    def __init__(self, world: World, api: str, folder: Path) -> None:
        self._world = world
        self._api = api
        self._output = folder / "output.txt"
        cleared = {
            key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PREFECT_"))
        }
        env = {
            **cleared,
            **world.environment,
            "PREFECT_API_URL": api,
            "PREFECT_HOME": str(folder / "home"),
            "PREFECT_LOGGING_TO_API_ENABLED": "false",
            "PREFECT_LOGGING_LEVEL": "ERROR",
            "PYTHONPATH": str(ROOT),
        }
        self._zygote = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("zygote.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
            cwd=ROOT,
        )

    def ready(self) -> None:
        """Wait until runs can be started."""
        assert self._heard(60.0) == {"ready": True}

    def _heard(self, seconds: float) -> dict[str, Any] | None:
        assert self._zygote.stdout is not None
        if not select.select([self._zygote.stdout], [], [], seconds)[0]:
            return None
        line = self._zygote.stdout.readline()
        assert line, "the process that runs are forked from has ended"
        found: dict[str, Any] = json.loads(line)
        return found

    def run(self, arguments: Sequence[str], kill: tuple[Place, str] | None = None) -> Run:
        """Run a command to its end, or to a call.

        Args:
            arguments: of ``crossaccount``.
            kill: the call at which it is killed, and whether before or after it took effect.
        """
        started, faults = time.monotonic(), self._world.server.faults
        self._output.unlink(missing_ok=True)
        first = len(self._world.entries)
        if kill is not None:
            (service, operation, account, number), when = kill
            faults.add(OfCommand("hold", service, operation, account, when, skip=number - 1, times=1))
        assert self._zygote.stdin is not None
        print(
            json.dumps({"arguments": list(arguments), "output": str(self._output)}),
            file=self._zygote.stdin,
            flush=True,
        )
        begun = self._heard(10.0)
        assert begun is not None
        held = None
        while (ended := self._heard(0.0 if kill and not held else 0.5)) is None:
            if kill is not None and held is None:
                held = faults.wait_held(0.02)
                if held is not None:
                    os.killpg(begun["pid"], signal.SIGKILL)
            if time.monotonic() - started > _LONGEST:
                os.killpg(begun["pid"], signal.SIGKILL)
        faults.clear()
        calls = tuple(one for one in self._world.entries[first:] if is_of_command(one["caller"]))
        output = self._output.read_text() if self._output.exists() else ""
        return Run(ended["status"], held, output, calls, time.monotonic() - started)

    def end_leases(self) -> int:
        """Do what the end of a dead writer's lease does: give its slots back. How many there were."""
        found = self._ask("/v2/concurrency_limits/filter", {})
        held = [one for one in found if one["active_slots"]]
        for one in held:
            self._ask(f"/v2/concurrency_limits/{one['id']}", None, "DELETE")
        return len(held)

    def _ask(self, path: str, body: Any, method: str = "POST") -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self._api + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or "null")

    def stop(self) -> None:
        """End the process that runs are forked from."""
        assert self._zygote.stdin is not None
        self._zygote.stdin.close()
        self._zygote.wait(10)


@contextmanager
def prefect_server(folder: Path) -> Iterator[str]:
    """A Prefect server with a database of its own; its API's address. It may not answer yet: see `answers`."""
    port = processes.free_port()
    made = ROOT / ".pytest_cache" / "d" / "prefect" / f"{prefect.__version__}.db"
    database = folder / "prefect.db"
    if made.exists():
        shutil.copy(made, database)
    env = {
        **os.environ,
        **processes.prefect_settings(folder, port),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{database}",
        "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": str(not made.exists()).lower(),
        "PREFECT_SERVER_UI_ENABLED": "false",
        **{f"PREFECT_SERVER_SERVICES_{service}_ENABLED": "false" for service in _UNUSED},
    }
    app = ["--factory", "prefect.server.api.server:create_app"]
    more = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "error", "--lifespan", "on"]
    with (
        (folder / "prefect.log").open("w") as log,
        processes.tied([sys.executable, "-m", "uvicorn", *app, *more], stdout=log, stderr=log, env=env),
    ):
        yield f"http://127.0.0.1:{port}/api"


def answers(api: str) -> None:
    """Wait until a Prefect server answers."""
    processes.wait_for(f"{api}/health", "The Prefect server")
