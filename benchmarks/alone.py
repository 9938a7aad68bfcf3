"""One flow in a process of its own, of this build or an earlier one: its seconds, its processor's seconds, its peak memory.

``python -P benchmarks/alone.py empty|deploy|promote|share [CONFIG ...]`` runs a flow of the build that this Python has installed, and
writes the figures on stdout. Not here: the sandbox and the server, which the environment names.
"""

from __future__ import annotations

import json
import resource
import runpy
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/status")
ROOT = Path(__file__).resolve().parents[1]


def fresh(what: str, *configs: str, python: str = sys.executable, checkout: Path = ROOT) -> dict[str, float]:
    """Run one flow in a process of its own.

    Args:
        what: of ``main``.
        configs: of ``main``.
        python: the interpreter of the build whose flow it is.
        checkout: of that build.

    Returns:
        ``seconds`` of the flow, ``processor`` seconds (user and system) and ``peak`` megabytes of the whole process.

    Raises:
        CalledProcessError: when the flow fails; it said why on stderr.
    """
    # -P: the modules beside this file are not those of the other build.
    command = [python, "-P", str(Path(__file__).resolve()), what, *configs]
    done = subprocess.run(command, cwd=checkout, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main(what: str, *configs: str) -> None:
    """Run the flow, imports included as its own start has them, and print the figures.

    Args:
        what: ``empty``; ``deploy`` or ``promote`` version 1; ``share``, which shares the first config before the clock runs.
        configs: paths of the flow's configs.
    """
    run = _flow(what, configs)
    started = time.perf_counter()
    run()
    seconds = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = {"seconds": seconds, "processor": used.ru_utime + used.ru_stime, "peak": peak()}
    print(json.dumps(found))  # noqa: T201 - the command's result


def _flow(what: str, configs: tuple[str, ...]) -> Callable[[], Any]:
    match what:
        case "empty":
            nothing = runpy.run_path(str(Path(__file__).with_name("empty.py")))["nothing"]
            return lambda: nothing()
        case "deploy":
            from flows.consumer import deploy_model

            return lambda: deploy_model(configs[0], "staging", 1)
        case "promote":
            from flows.promotion import promote_model

            return lambda: promote_model(configs[0], 1)
        case "share":
            from flows.groups import share_groups

            share_groups(list(configs[:1]))
            return lambda: share_groups(list(configs[1:]))
        case _:
            raise SystemExit(f"{what} is none of empty, deploy, promote, share")


def peak() -> float:
    """The most memory that this process had, in megabytes.

    On Linux ``ru_maxrss`` begins with what the process had that started this one, so the kernel's own mark is read there.
    """
    if _STATUS.exists():
        fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) / 1024
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (1024**2 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
