"""Model servers, each started from its own environment on a port of this machine, and asked over HTTP.

Not here: which servers there are (``served.py``), and what they are asked (``bodies.py``).
"""

from __future__ import annotations

import contextlib
import http.client
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KINDS = Path(__file__).parent / "kinds"
SECONDS = 180  # for a start on a busy machine


@dataclass(frozen=True)
class Answer:
    """What a server sent back: its status, its content type as it stands (empty where it has none), and its body."""

    status: int
    content_type: str
    body: bytes


@contextlib.contextmanager
def started(script: str, environment: Path, output: str, health: str) -> Iterator[int]:
    """The port of a server that runs, with everything that it started, until the end of the block.

    Args:
        script: the one of ``kinds`` that becomes the server.
        environment: the folder of its packages.
        output: what its model answers.
        health: the path that answers 200 when the server is ready.

    Raises:
        RuntimeError: it ended, or was not ready in time; with the end of what it printed.
    """
    with tempfile.TemporaryDirectory(prefix="server-") as folder, open(f"{folder}/log", "w+b") as log:
        port = free_port()
        # A user's own settings, of this machine or of a cloud, have no part in what is recorded.
        variables = {
            "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "HOME": folder,
            "TMPDIR": folder,
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(KINDS),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PORT": str(port),
            "OUTPUT": output,
            "OMP_NUM_THREADS": "1",
        }
        run = subprocess.Popen(
            [environment / "bin" / "python", KINDS / script],
            cwd=folder,
            env=variables,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait(run, port, health, log)
            yield port
        finally:
            _end(run)


def ask(port: int, path: str, body: bytes, content_type: str, accept: str) -> Answer:
    """Put one question; an empty content type or Accept is left out."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": content_type, "Accept": accept}
    try:
        connection.request("POST", path, body, {name: value for name, value in headers.items() if value})
        got = connection.getresponse()
        return Answer(got.status, got.getheader("Content-Type") or "", got.read())
    finally:
        connection.close()


def free_port() -> int:
    """A port that is free, with the four after it, which some servers use too; multi-model-server takes none above 32767."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with contextlib.suppress(OSError), contextlib.ExitStack() as held:
            for one in range(port, port + 5):
                held.enter_context(socket.socket()).bind(("127.0.0.1", one))
            return port


def _wait(run: subprocess.Popen[bytes], port: int, health: str, log: object) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and run.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", health)
            if connection.getresponse().status == 200:
                return
        time.sleep(0.25)
    log.seek(0)
    raise RuntimeError(
        f"it did not start (exit code {run.poll()}): {log.read().decode(errors='replace')[-12000:]}"
    )


def _end(run: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(timeout=10)
