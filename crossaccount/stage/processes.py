"""Processes that end with the process that started them: the emulated AWS, a Prefect server, workers.

Not here: their use (``demo``, ``ui``).
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from crossaccount import called, shipped
from crossaccount.errors import Failed, InputError

# Ends with its parent, even when that is killed: then this program's standard input closes. It ignores Ctrl-C and a SIGTERM to the
# whole group: its parent acts on both. The child takes Ctrl-C as usual: Prefect's worker stops at nothing else.
_TIED = """
import os, signal, subprocess, sys
usual = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=usual)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.stdin.read()
for signum in (signal.SIGTERM, signal.SIGKILL):
    try:
        os.killpg(child.pid, signum)
        child.wait(15)
        break
    except subprocess.TimeoutExpired:
        pass
    except ProcessLookupError:
        break
"""
START_SECONDS = 120
_SANDBOX = "crossaccount_sandbox"  # the package
_NEEDED = {
    "flask": "flask",
    "flask-cors": "flask_cors",
    "joserfc": "joserfc",
    "moto": "moto",
    "scikit-learn": "sklearn",
}


@contextmanager
def tied(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that is stopped at the end, and when this process is killed; options as for `subprocess.Popen`."""
    supervised = [sys.executable, "-c", _TIED, *command]
    process = subprocess.Popen(supervised, stdin=subprocess.PIPE, text=True, **options)  # noqa: S603 - our own commands
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)


def sandbox_command(*arguments: str) -> list[str]:
    """The program that serves an emulated AWS, for the accounts of ``configs/sandbox.yaml``.

    Args:
        arguments: the sandbox's own options: see ``crossaccount sandbox --help``.

    Raises:
        InputError: when it is not installed.
    """
    missing = [name for name, module in _NEEDED.items() if find_spec(module) is None]
    if missing:
        raise InputError(
            f"The sandbox is not installed here: {', '.join(missing)} missing. Install its extra beside the command: "
            "pip install 'crossaccount-model-deployment[sandbox]' (in a checkout: make install)."
        )
    templates, config = shipped.ROOT / "deployments" / "iam", shipped.ROOT / "configs" / "sandbox.yaml"
    files = ["--templates", str(templates), "--config", str(config), "--program", called.program()]
    # -P: a file in the working folder is not run in the package's place.
    return [sys.executable, "-P", "-m", _SANDBOX, *files, *arguments]


@contextmanager
def sandbox(*arguments: str) -> Iterator[dict[str, Any]]:
    """An emulated AWS; its announcement. Arguments and errors as of `sandbox_command`.

    Raises:
        Failed: when it does not start.
    """
    with tied([*sandbox_command("--json"), *arguments], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise Failed("The sandbox did not start; it said why above.")
        yield json.loads(line)


def free_port() -> int:
    """A port of this machine that no program listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check_free(port: int) -> None:
    """See that no program listens on a port of this machine.

    Raises:
        InputError: when one does; its answers would be taken for those of the server that could not start.
    """
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # a server that has just ended is no obstacle
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise InputError(
                f"--port: {port} cannot be used ({error.strerror}). Stop the program that listens there, or choose another: --port 0 picks a free one."
            ) from None


def prefect_settings(folder: Path, port: int) -> dict[str, str]:
    """The environment of a separate Prefect server on this machine, and of its clients."""
    return {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_UI_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
        "DO_NOT_TRACK": "1",
    }


@contextmanager
def prefect_server(folder: Path, port: int, settings: Mapping[str, str]) -> Iterator[None]:
    """A Prefect server, with its database in the folder unless the settings name another; it may not answer yet."""
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    with (
        (folder / "prefect.log").open("w") as log,
        tied(command, stdout=log, stderr=log, env={**os.environ, **settings}),
    ):
        yield


def wait_for(url: str, server: str) -> None:
    """Wait until an address answers; ``server`` names it in the error.

    Raises:
        Failed: when it has not answered in two minutes.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own server
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.25)
    raise Failed(f"{server} did not answer at {url} within {START_SECONDS} s.")
