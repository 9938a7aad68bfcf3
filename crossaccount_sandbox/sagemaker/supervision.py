"""The process that runs an image's command: it unpacks the model, starts the command, and ends it together with itself.

Not a container: the command runs as the user who started the sandbox, sees this machine's files, and listens where it likes.
Of the sandbox's environment it gets PATH, HOME, the temporary folder and the language alone: no credential.

What it prints, on standard output and error, goes to the file it is given; without one to the sandbox's standard error.

Source: "Use Your Own Inference Code with Hosting Services" and "Run Inference Models with Multiple Containers" in the
SageMaker developer guide.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType

from crossaccount_sandbox.sagemaker.archives import BrokenArchive, unpack

_KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME")
_GRACE_SECONDS = 1.0  # less than what `containers` gives this process itself


@dataclass(frozen=True)
class Launch:
    """A command as it is started.

    Args:
        command: the program and its arguments; ``{port}`` and ``{model_dir}`` are put in here.
        environment: likewise.
        directory: where it is started; None for the folder of the model.
        port: where it is to serve.
        safe_ports: the first and last of the ports that it may use besides.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str | None
    port: int
    safe_ports: tuple[int, int]


def redirect(output: Path | None) -> None:
    """Send what this process and its children print to a file, or to standard error.

    Its parent may have promised somebody that its standard output holds one line of JSON and nothing else.
    """
    if output is not None:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, 2)
        os.close(file)
    os.dup2(2, 1)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # what a model prints is seen at once


def supervise(launch: Launch, archive: bytes, output: Path | None, line: Connection) -> None:
    """Be that process until the command ends, SIGTERM, or the end of the parent.

    Args:
        launch: what is started.
        archive: the bytes of a model.tar.gz.
        output: where what it prints goes.
        line: the pipe to the parent. The port goes through it when the command was started; its end tells of ours.
    """
    # Handlers, not SIG_IGN: what is ignored stays so in the command.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, _end)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    redirect(output)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="crossaccount-model-") as folder:
        try:
            unpack(archive, Path(folder))
            child = _started(launch, folder)
        except (BrokenArchive, OSError) as error:
            print(f"sandbox: {launch.command[0]} was not started: {error}")  # noqa: T201 - its log
            return
        try:
            line.send(launch.port)
            print(f"sandbox: {launch.command[0]} ended with status {child.wait()}")  # noqa: T201 - its log
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            _end_group(child)


def _end(signum: int, frame: FrameType | None) -> None:
    raise SystemExit


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])  # a pipe that the system closes, however the parent ends
    os.kill(os.getpid(), signal.SIGTERM)


def _started(launch: Launch, folder: str) -> "subprocess.Popen[bytes]":
    first, last = launch.safe_ports
    places = {"{port}": str(launch.port), "{model_dir}": folder}
    variables = {
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        **{name: _filled(value, places) for name, value in launch.environment.items()},
        "SAGEMAKER_BIND_TO_PORT": str(launch.port),
        "SAGEMAKER_SAFE_PORT_RANGE": f"{first}-{last}",
        "SM_MODEL_DIR": folder,
        "SAGEMAKER_MODEL_DIR": folder,
    }
    return subprocess.Popen(  # noqa: S603 - the command of whoever started the sandbox
        [_filled(word, places) for word in launch.command],
        cwd=launch.directory or folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def _filled(text: str, places: Mapping[str, str]) -> str:
    for name, value in places.items():
        text = text.replace(name, value)
    return text


def _end_group(child: "subprocess.Popen[bytes]") -> None:
    """End the command and all that it started in its group: with SIGTERM, and after a second with SIGKILL."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_SECONDS
        while time.monotonic() < deadline:
            child.poll()
            os.killpg(child.pid, 0)
            time.sleep(0.01)
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
