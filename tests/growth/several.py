"""Several Prefect servers behind one address: PostgreSQL and Redis between them, HAProxy before them, one process for the services.

Not here: the workers and what they do (``test_several.py``).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import beside
import pytest
from grown import binaries, database, until

from crossaccount.stage import processes

_SHARED = {  # what the servers have in common, beside the database
    "PREFECT_MESSAGING_BROKER": "prefect_redis.messaging",
    "PREFECT_MESSAGING_CACHE": "prefect_redis.messaging",
    "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "prefect_redis.ordering",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect_redis.lease_storage",
    "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
    "DO_NOT_TRACK": "1",
}
_PROXY = """
global
  log stdout format raw local0
defaults
  mode http
  log global
  log-format "%ST %rc %s %HM %HPO"
  option redispatch 1
  retries 3
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
frontend prefect
  bind 127.0.0.1:{port}
  default_backend servers
backend servers
  option httpchk GET /api/health
  default-server check inter 1s fall 2 rise 1
{servers}
"""


@dataclass(frozen=True)
class Several:
    """What runs: the address of all, each server's own process by name, and the proxy's log."""

    api: str
    servers: dict[str, subprocess.Popen[str]]
    log: Path

    def answers(self) -> Counter[str]:
        """What the proxy has answered so far, by status; ``again`` counts what it took to another server itself."""
        found: Counter[str] = Counter()
        for line in self.log.read_text().splitlines():
            if told := re.match(r"(\d{3}|-1) (\+?)(\d+) ", line):
                found[told[1]] += 1
                found["again"] += int(told[3])
        return found


def needed(program: str, package: str) -> str:
    """Where a program is, which a package of Debian brings."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"no {program} is installed here: apt-get install {package}")
    return found


@contextmanager
def several(folder: Path, names: tuple[str, ...] = ("one", "two")) -> Iterator[Several]:
    """Prefect servers of these names, and all that they need, each with a folder of its own; they may not answer yet."""
    proxy, redis = needed("haproxy", "haproxy"), needed("redis-server", "redis-server")
    python = beside.python_of("redis")
    with ExitStack() as stack:
        address, port = stack.enter_context(database()), stack.enter_context(_redis(redis, folder))
        settings = {**_SHARED, "PREFECT_SERVER_DATABASE_CONNECTION_URL": address}
        settings |= {"PREFECT_REDIS_MESSAGING_HOST": "127.0.0.1", "PREFECT_REDIS_MESSAGING_PORT": str(port)}
        settings |= {"PREFECT_SERVER_DOCKET_URL": f"redis://127.0.0.1:{port}/1"}
        public = processes.free_port()
        settings["PREFECT_API_URL"] = f"http://127.0.0.1:{public}/api"
        upgrade = [python, "-m", "prefect", "server", "database", "upgrade", "-y"]
        subprocess.run(
            upgrade, env=_environment(settings, folder / "upgrade"), check=True, capture_output=True
        )
        start = [str(python), "-m", "prefect", "server"]
        stack.enter_context(_logged([*start, "services", "start"], folder, "services", settings))
        ports, servers = {name: processes.free_port() for name in names}, {}
        for name in names:
            command = [*start, "start", "--no-services", "--port", str(ports[name])]
            servers[name] = stack.enter_context(_logged(command, folder, name, settings))
        rules = folder / "haproxy.cfg"
        lines = [f"  server {name} 127.0.0.1:{ports[name]}" for name in names]
        rules.write_text(_PROXY.format(port=public, servers="\n".join(lines)))
        stack.enter_context(_logged([proxy, "-f", str(rules)], folder, "haproxy", {}))
        for own in ports.values():
            processes.wait_for(f"http://127.0.0.1:{own}/api/health", "A Prefect server")
        api = settings["PREFECT_API_URL"]
        processes.wait_for(f"{api}/health", "The proxy")
        yield Several(api, servers, folder / "haproxy.log")


def versions() -> dict[str, str]:
    """The version of each piece."""
    programs = {
        "PostgreSQL": [str(binaries() / "postgres"), "--version"],
        "Redis": [needed("redis-server", "redis-server"), "--version"],
        "HAProxy": [needed("haproxy", "haproxy"), "-v"],
    }
    said = {
        name: subprocess.run(command, check=True, capture_output=True, text=True).stdout
        for name, command in programs.items()
    }
    found = {name: re.search(r"\d+(\.\d+)+", text) for name, text in said.items()}
    packages = beside.version_of(beside.python_of("redis"), "prefect", "prefect-redis", "redis", "pydocket")
    return {**{name: one[0] if one else "?" for name, one in found.items()}, **packages}


@contextmanager
def _redis(program: str, folder: Path) -> Iterator[int]:
    """A Redis server of its own, on this machine alone; its port."""
    port = processes.free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with _logged([program, *options], folder, "redis", {}):
        ask = [needed("redis-cli", "redis-tools"), "-p", str(port), "ping"]
        until("Redis answers", lambda: subprocess.run(ask, check=False, capture_output=True).returncode == 0)
        yield port


@contextmanager
def _logged(
    command: list[str], folder: Path, name: str, settings: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    with (
        (folder / f"{name}.log").open("w") as log,
        processes.tied(
            command, stdout=log, stderr=log, env=_environment(settings, folder / name), cwd=folder
        ) as process,
    ):
        yield process


def _environment(settings: Mapping[str, str], home: Path) -> dict[str, str]:
    """Of one server: with a folder of its own, so that nothing is shared but the database and Redis."""
    return {**os.environ, **settings, "PREFECT_HOME": str(home)}
