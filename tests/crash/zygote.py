"""A process that has everything imported and does nothing, from which each run of a command is forked: a real process, to be killed.

Reads a line of JSON for each run, ``{"arguments": [...], "output": FILE}``; answers with the run's process id, and with how it
ended once it has. Started without threads and without connections, and stays so: a fork has but one of its threads.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import traceback
from typing import Any, NoReturn


def imported() -> None:
    """Import what a run imports, read what it reads of AWS's descriptions, and shorten what it waits between two looks."""
    import prefect.context
    from sagemaker.core import resources, shapes
    from sagemaker.core.utils import utils

    import crossaccount.cli.main
    import flows.consumer
    import flows.producer
    import flows.promotion
    from crossaccount.aws import loaders
    from crossaccount.hosting import gateway

    assert all((resources, shapes, utils, crossaccount.cli.main, prefect.context))
    assert all((flows.consumer, flows.producer, flows.promotion))
    for service in ("sts", "s3", "ecr", "kms", "sagemaker", "sagemaker-runtime", "iam"):
        loaders.shared_loader().load_service_model(service, "service-2")
    vars(gateway)["FIRST_SECONDS"] = 0.05


def run(arguments: list[str], output: str) -> NoReturn:
    """Be the command, in a process group of its own, and end with its exit code."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    from crossaccount.cli import main as cli

    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in (1, 2):
        os.dup2(file, number)
    code: Any = 70
    try:
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            cli.main(arguments)
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what is printed by whatever is imported is no answer
    imported()
    gc.collect()
    gc.freeze()
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        assert threading.active_count() == 1, threading.enumerate()
        pid = os.fork()
        if pid == 0:
            run(**asked)
        print(json.dumps({"pid": pid}), file=answers, flush=True)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(json.dumps({"status": status}), file=answers, flush=True)


if __name__ == "__main__":
    main()
