"""A container's process: runs a command, and when that ends, or the sandbox does, ends all that it started.

It is run by its path with the command as arguments. SIGTERM goes to the command alone, as to the first process of a container; the
end of standard input ends everything at once. It ends with the command's status; 128 and the number of a signal that ended it.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType

_ASKED = {signal.SIGTERM}
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of Linux: what a process leaves behind becomes our child


def main(command: list[str]) -> int:
    """Run the command; its status."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    # Until its command is there a signal waits: who died of it now would leave the command behind.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ASKED)
    unblocked = partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, _ASKED)
    try:
        child = subprocess.Popen(  # noqa: S603 - the command of whoever started the sandbox
            command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=unblocked
        )
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201 - its log
        return 127

    def tell(signum: int, frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            child.send_signal(signum)

    signal.signal(signal.SIGTERM, tell)
    unblocked()
    threading.Thread(target=_end_with_parent, args=(child,), daemon=True).start()
    status = child.wait()
    _end_rest(child.pid)
    return status if status >= 0 else 128 - status


def _end_with_parent(child: "subprocess.Popen[bytes]") -> None:
    while os.read(0, 1024):
        pass
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def _end_rest(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    while children := _children():
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


def _children() -> list[int]:
    """Our children, those that others left behind among them; only Linux tells."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(pid) for pid in listed.read_text().split()] if listed.exists() else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
