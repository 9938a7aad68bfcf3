"""Inference containers as local processes: started from a model.tar.gz, asked over HTTP, stopped.

A process is the sandbox's own server (`model_server`) or a command (`supervision`). What it prints goes to a file of plain
text, `Container.output`.

Not an endpoint: who may start one, with whose permissions the archive was fetched, and what the endpoint's
status is, is decided elsewhere. Not an isolation boundary either (see `model_server`).

Each new process runs the main script of its parent again, under another name than `__main__`: a program that
starts containers is `python -m PACKAGE`, or keeps its work below `if __name__ == "__main__"`.
"""

from __future__ import annotations

import contextlib
import http.client
import multiprocessing
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import TracebackType
from typing import Any

from crossaccount_sandbox.sagemaker import model_server
from crossaccount_sandbox.sagemaker.exchanges import Reply, exchange
from crossaccount_sandbox.sagemaker.supervision import Launch, supervise

START_SECONDS = 60.0  # for the first start on a busy machine; a warm one takes some 20 ms
INVOKE_SECONDS = 60.0  # what SageMaker gives a container to answer

_GRACE_SECONDS = 2.0
_END_SECONDS = 0.2  # in which the end of a process is seen, after that of its connection
_PORTS = range(20_000, 32_000)  # below those that systems hand out by themselves
_SAFE_PORTS = 10  # that a command may use beside the one it serves on
_PRELOADED = [
    "joblib",
    "sklearn.tree",
    "crossaccount_sandbox.sagemaker.model_server",
    "crossaccount_sandbox.sagemaker.supervision",
]
_FORKS = multiprocessing.get_context("forkserver")
_PROCESSES = threading.RLock()  # multiprocessing looks at all its children at each start, unguarded


class NotStarted(Exception):
    """The inference process did not come up; the message says what happened."""


class NoAnswer(Exception):
    """The inference process has ended, was stopped, or did not answer in time."""


@dataclass(frozen=True)
class Answer:
    """What the container answered: HTTP status, media type, body, and those of its headers that callers get."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def warm() -> None:
    """Begin to import scikit-learn in the process that containers are forked from; returns at once.

    Later calls do nothing. Without it the first start warms up, and takes that second or two longer.
    """
    with _PROCESSES, _deaf_to_interrupts():
        _FORKS.set_forkserver_preload(_PRELOADED)
        forkserver.ensure_running()


class Container:
    """One inference process. Made by `start` or `run`; also a context manager that stops it.

    Args:
        process: that which was forked.
        line: the pipe to it.
        port: where it serves.
        output: the file that what it prints goes to; None for the sandbox's standard error.
        patient: a ping that is answered with an error may be answered with 200 later on.
    """

    def __init__(
        self,
        process: ForkServerProcess,
        line: Connection,
        port: int,
        output: Path | None = None,
        patient: bool = False,
    ) -> None:
        self._process = process
        self._line = line
        self._lock = threading.Lock()
        self._patient = patient
        self.pid = process.pid
        self.port = port
        self.output = output

    @classmethod
    def start(
        cls,
        archive: bytes,
        timeout: float = START_SECONDS,
        output: Path | None = None,
        accept: str = model_server.JSON,
    ) -> Container:
        """Start a process that serves this archive. It listens on return; the model may still be loading.

        Args:
            archive: the bytes of a model.tar.gz with a member model.joblib.
            timeout: seconds in which the process must report its port.
            output: where what it prints goes.
            accept: the media type that is answered with where none is wished.

        Raises:
            NotStarted: when it ended before that, or took too long. Nothing is left running.
        """
        return cls(*_forked(model_server.serve, (archive, accept, output), timeout), output)

    @classmethod
    def run(
        cls,
        command: tuple[str, ...],
        archive: bytes,
        environment: Mapping[str, str] | None = None,
        directory: str | None = None,
        timeout: float = START_SECONDS,
        output: Path | None = None,
    ) -> Container:
        """Start a command of one's own for this archive. It runs on return, and may listen later.

        Args:
            command: the program and its arguments, see `supervision.Launch`.
            archive: the bytes of a model.tar.gz, which is unpacked for it.
            environment: of the program.
            directory: where it is started; None for the folder of the model.
            timeout: seconds in which it must have been started.
            output: where what it prints goes.

        Raises:
            NotStarted: as of `start`.
        """
        first, *safe = _free_ports()
        launch = Launch(command, environment or {}, directory, first, (safe[0], safe[-1]))
        return cls(*_forked(supervise, (launch, archive, output), timeout), output, patient=True)

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        with self._lock:
            # The process never sends a second time, so anything to read is the end of the line: true even
            # when the process that forks the containers was killed and can report no exit.
            return not self._line.closed and not self._line.poll()

    def ping(self, timeout: float = 2.0) -> bool:
        """Whether GET /ping answers 200 within `timeout` seconds: the model is loaded."""
        return self._ping_status(timeout) == 200

    def wait(self, timeout: float) -> bool:
        """Whether the container got ready; False once it has failed or ended, or after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        pause = 0.05 if self._patient else 0.005
        while (status := self._ping_status(2.0)) != 200:
            over = not (self.alive and (self._patient or status in (None, 503)))
            if over or time.monotonic() >= deadline:
                return False
            time.sleep(pause)
        return True

    def invoke(
        self,
        body: bytes,
        content_type: str = "",
        accept: str = "",
        timeout: float = INVOKE_SECONDS,
        further: Mapping[str, str] | None = None,
    ) -> Answer:
        """POST /invocations: the container's answer, whatever its status.

        Args:
            body: the request's bytes.
            content_type: its Content-Type; none is sent when empty.
            accept: the wished media type; none is sent when empty, and JSON comes back.
            timeout: seconds without a sign of life from the container.
            further: more headers.

        Raises:
            NoAnswer: when there is no answer to give.
        """
        sent = _sent(content_type, accept, further)
        return self._ask("POST", "/invocations", body, sent, timeout)

    def stream(
        self,
        body: bytes,
        content_type: str = "",
        accept: str = "",
        timeout: float = INVOKE_SECONDS,
        further: Mapping[str, str] | None = None,
    ) -> Reply:
        """POST /invocations: the container's answer, whose body comes piece by piece; takes and raises as `invoke` does."""
        with self._reached(timeout):
            sent = _sent(content_type, accept, further)
            reply = exchange(self.port, "POST", "/invocations", body, sent, timeout)
        return replace(reply, pieces=self._whole(reply.pieces)) if reply.open_ended else reply

    def _whole(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The pieces of a body that ends with its connection; a ``ConnectionError`` where the process has ended with it."""
        yield from pieces
        deadline = time.monotonic() + _END_SECONDS
        while self.alive:
            if time.monotonic() >= deadline:
                return
            time.sleep(0.01)
        raise ConnectionResetError("the inference process has ended")

    def stop(self) -> None:
        """End the process and wait until it is gone; does nothing the second time."""
        with self._lock:
            if not self._line.closed:
                _end(self._process, self._line)

    def __enter__(self) -> Container:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _ping_status(self, timeout: float) -> int | None:
        try:
            return self._ask("GET", "/ping", None, {}, timeout).status
        except NoAnswer:
            return None

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], timeout: float
    ) -> Answer:
        with self._reached(timeout):
            reply = exchange(self.port, method, path, body, headers, timeout)
            return Answer(reply.status, reply.content_type, b"".join(reply.pieces), reply.headers)

    @contextlib.contextmanager
    def _reached(self, timeout: float) -> Iterator[None]:
        """Within this the process is asked; what goes wrong becomes `NoAnswer`."""
        if not self.alive:  # its port may be somebody else's by now
            raise NoAnswer("the inference process has ended")
        try:
            yield
        except TimeoutError as error:
            raise NoAnswer(f"the inference process did not answer within {timeout:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(f"the inference process broke off: {error!r}") from error


def _sent(content_type: str, accept: str, further: Mapping[str, str] | None) -> dict[str, str]:
    headers = {"Content-Type": content_type, "Accept": accept, **(further or {})}
    return {name: value for name, value in headers.items() if value}


class Containers:
    """The containers of one sandbox, to be stopped together. May be used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[Container] = set()
        self._era = 0

    def __len__(self) -> int:
        with self._lock:
            return len(self._running)

    def start(self, begin: Callable[[], Container]) -> Container:
        """Start a container and remember it.

        Args:
            begin: starts it, by `Container.start` or `Container.run`.

        Raises:
            NotStarted: as they do; also when `stop_all` came in between.
        """
        with self._lock:
            era = self._era
        container = begin()
        with self._lock:
            current = era == self._era
            if current:
                self._running.add(container)
        if not current:
            container.stop()
            raise NotStarted("all containers were stopped while this one started")
        return container

    def stop(self, container: Container) -> None:
        """Stop one container and forget it."""
        container.stop()
        with self._lock:
            self._running.discard(container)

    def stop_all(self) -> None:
        """Stop every container, those that are just starting included; afterwards new ones may be started."""
        with self._lock:
            self._era += 1
            running, self._running = self._running, set()
        for container in running:
            container.stop()


def _forked(
    target: Callable[..., None], given: tuple[Any, ...], timeout: float
) -> tuple[ForkServerProcess, Connection, int]:
    """A process that was forked for these arguments and a pipe, that pipe, and the port that it reported through it."""
    line, far_end = _FORKS.Pipe()
    process = _FORKS.Process(target=target, args=(*given, far_end), name="container", daemon=True)
    try:
        warm()
        with far_end, _PROCESSES, _deaf_to_interrupts():
            process.start()
        if not line.poll(timeout):
            raise NotStarted(f"the inference process reported no port within {timeout:g} s")
        return process, line, int(line.recv())
    except (OSError, EOFError) as error:
        _end(process, line)
        raise NotStarted(f"the inference process ended while starting: {error!r}") from error
    except BaseException:
        _end(process, line)
        raise


def _free_ports() -> range:
    """Ports in a row that nothing listens on; two calls, also of two sandboxes, seldom give the same."""
    count = 1 + _SAFE_PORTS
    while True:
        first = random.choice(_PORTS)  # noqa: S311 - no secret
        ports = range(first, first + count)
        if all(_is_free(port) for port in ports):
            return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def _end(process: ForkServerProcess, line: Connection) -> None:
    line.close()
    with _PROCESSES:
        if process.pid is None:
            return
        for push in (process.terminate, process.kill):
            if process.is_alive():
                push()
            process.join(_GRACE_SECONDS)
        if process.exitcode is not None:
            # This also closes the pipe by which the process knows of us, and so ends it even when the fork
            # server was killed: then every process counts as ended here, and none was signalled above.
            process.close()


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Block SIGINT in what is spawned here: Ctrl-C is for the parent, from the first instruction on."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, set())
    resource_tracker.ensure_running()  # when it starts it unblocks SIGINT and SIGTERM in this thread
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
