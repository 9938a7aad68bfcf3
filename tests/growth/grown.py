"""What both stories of growth are told in: a database server of their own, and the means to start runs and to look at them.

Not here: the Prefect servers and the workers (``conftest.py``), and several servers behind one address (``several.py``).
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from crossaccount.stage import processes

ROOT = Path(__file__).parents[2]
POOL = "crossaccount-consumer"
PAGE = 200  # the most that Prefect's API lists at once
OWNER = "postgres"  # Debian's; the server refuses to run as root


def until(what: str, look: Callable[[], Any], seconds: float = 120) -> Any:
    """What looking finds, as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


@dataclass
class Grown:
    """What runs, and the means to look at it."""

    found: dict[str, Any]
    database: str
    pool: str = POOL
    silent_seconds: int = 35  # Prefect sends a heartbeat every 30 s at the most often

    def until(self, what: str, look: Callable[[], Any], seconds: float = 120) -> Any:
        """What looking finds, as soon as it finds something."""
        return until(what, look, seconds)

    def ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """What the Prefect server's API answers."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.found["api"] + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or "null")

    def start(self, name: str, **parameters: Any) -> str:
        """Start a run of a deployment, FLOW/NAME, on its own config, and give its id."""
        deployment = self.ask(f"/deployments/name/{name}")["id"]
        started = self.ask(f"/deployments/{deployment}/create_flow_run", {"parameters": parameters})
        return str(started["id"])

    def run(self, run: str) -> Any:
        return self.ask(f"/flow_runs/{run}")

    def ended(self, run: str, seconds: float = 120) -> Any:
        """A run, once it has ended."""
        return until(f"{run} ends", lambda: self._if_ended(run), seconds)

    def _if_ended(self, run: str) -> Any:
        found = self.run(run)
        return found if found["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

    def parts(self, promotion: str) -> list[Any]:
        """The flow runs that a promotion started, the oldest first."""
        wanted = {
            "flow_runs": {"parent_flow_run_id": {"any_": [promotion]}},
            "sort": "EXPECTED_START_TIME_ASC",
        }
        found: list[Any] = []
        while page := self.ask("/flow_runs/filter", {**wanted, "offset": len(found), "limit": PAGE}):
            found += page
            if len(page) < PAGE:
                break
        return found

    def sagemaker(self, account: str) -> Any:
        """A client of the account's administrator."""
        key = self.found["sandbox"]["accounts"][account]
        return boto3.session.Session(key["access_key_id"], key["secret_access_key"]).client(
            "sagemaker", region_name="us-east-1", endpoint_url=self.found["sandbox"]["endpoint_url"]
        )

    def command(self, *arguments: str) -> Any:
        """What the product's own command says, as an operator of all sides."""
        env = {**os.environ, **self.found["env"][POOL], **self.found["sandbox"]["env"]}
        done = subprocess.run(
            [sys.executable, "-m", "crossaccount", *arguments, "--json"],
            env=env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout, done.stderr
        return json.loads(done.stdout)


def binaries() -> Path:
    found = [Path(where).resolve().parent for where in [shutil.which("initdb")] if where]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: -float(one.parent.name))
    found = [
        one for one in found if all((one / name).exists() for name in ("initdb", "postgres", "pg_isready"))
    ]
    if not found:
        pytest.skip("no PostgreSQL server is installed here: apt-get install postgresql")
    return found[0]


def _as_owner() -> list[str]:
    """How to run something as a user that PostgreSQL's server accepts."""
    if os.geteuid() != 0:
        return []
    try:
        pwd.getpwnam(OWNER)
    except KeyError:
        pytest.skip(f"PostgreSQL's server does not run as root, and there is no user {OWNER}")
    return ["setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--clear-groups"]


@contextmanager
def database() -> Iterator[str]:
    """A PostgreSQL server of its own, on this machine alone; its address for Prefect."""
    programs, owner, port = binaries(), _as_owner(), processes.free_port()
    with tempfile.TemporaryDirectory(prefix="crossaccount-postgres-") as folder:
        if owner:
            shutil.chown(folder, OWNER)
        data = str(Path(folder) / "data")
        initdb = [str(programs / "initdb"), "-D", data, "-U", "prefect", "--auth=trust", "--no-sync"]
        subprocess.run([*owner, *initdb], check=True, capture_output=True, cwd=folder)
        settings = {"fsync": "off", "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        given = [f"-c{name}={value}" for name, value in settings.items()]
        server = [*owner, str(programs / "postgres"), "-D", data, "-p", str(port), *given]
        ready = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        with (
            open(os.devnull, "w") as nowhere,
            processes.tied(server, cwd=folder, stdout=nowhere, stderr=nowhere),
        ):
            until("PostgreSQL answers", lambda: subprocess.run(ready, check=False).returncode == 0)
            yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres"
