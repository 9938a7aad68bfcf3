"""A container of a task as a local process: started, told to stop, killed after its stop timeout.

Not a container: the command runs as the user who started the sandbox and sees this machine's files. Of the sandbox's environment it
gets PATH, the temporary folder and the language alone, and an empty folder as HOME: no credential but the task role's.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

_KEPT = ("PATH", "TMPDIR", "LANG", "LC_ALL", "TZ")
_KEEPER = Path(__file__).with_name("keeper.py")


class TaskProcess:
    """One process.

    Args:
        command: the program and its arguments.
        environment: its variables beside those of the machine.
        directory: where it is started; None for its empty HOME.
        printed: takes each line that it prints, without its end; called from a thread of its own.

    Raises:
        OSError: it could not be started.
    """

    def __init__(
        self,
        command: list[str],
        environment: Mapping[str, str],
        directory: str | None,
        printed: Callable[[str], None],
    ) -> None:
        self._home = tempfile.mkdtemp(prefix="crossaccount-task-")
        variables = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self._process = subprocess.Popen(  # noqa: S603 - the command of whoever started the sandbox
            [sys.executable, "-I", str(_KEEPER), *command],
            cwd=directory or self._home,
            env={**variables, "HOME": self._home, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._printed = printed
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._printed(line.decode("utf-8", "replace").rstrip("\r\n"))

    def wait(self) -> int:
        """Its exit code, once it and all that it started have ended: 128 and the signal's number where one ended it."""
        status = self._process.wait()
        self._reader.join()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        shutil.rmtree(self._home, ignore_errors=True)
        return status if status >= 0 else 128 - status

    def stop(self, seconds: float) -> None:
        """Send SIGTERM, and SIGKILL to all of it where it has not ended within ``seconds``."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End all of it at once: the keeper kills the rest when its standard input ends."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
