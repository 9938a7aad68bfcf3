"""Commands that are forked from one process, which has imported what they import: that is half of what a command takes.

    python forked.py SOCKET        serves commands until its standard input ends

Each command is a process of its own, with the arguments, folder, environment and open files of whoever asks for it:
``conftest.py`` has the program that does. The settings of Prefect are those with which this process was started.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import socket
import sys
import threading
import traceback
from typing import Any, NoReturn


def command(arguments: list[str], folder: str, env: dict[str, str], files: list[int]) -> NoReturn:
    """Be the command, and end with its exit code."""
    from crossaccount.cli import main as cli

    code: Any = 70
    try:
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(env)
        cli.main(arguments)
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve(asked: socket.socket) -> None:
    """Fork the command that is asked for, and answer with its exit code."""
    _, files, _, _ = socket.recv_fds(asked, 1, 3)
    given = json.loads(b"".join(iter(lambda: asked.recv(65536), b"")))
    assert threading.active_count() == 1, threading.enumerate()
    pid = os.fork()
    if pid == 0:
        command(**given, files=files)
    for file in files:
        os.close(file)
    asked.sendall(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


def main() -> None:
    import crossaccount.cli.main
    import flows.audit
    import flows.consumer
    import flows.producer
    import flows.promotion

    assert all((flows.audit, flows.consumer, flows.producer, flows.promotion, crossaccount.cli.main))
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listening, selectors.DefaultSelector() as selector:
        listening.bind(sys.argv[1])
        listening.listen()
        selector.register(listening, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is sys.stdin:
                    return
                asked, _ = listening.accept()
                with asked:
                    serve(asked)


if __name__ == "__main__":
    main()
