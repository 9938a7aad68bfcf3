"""How long the sandbox takes until it says where it is: beside what it is made of, an earlier build, and few accounts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]
BEFORE = "CROSSACCOUNT_BENCH_BEFORE"  # a checkout of an earlier build, with a .venv of its own
_FURTHER = 196  # consumers beside the four accounts that are always there
_IMPORTS = "import boto3, moto.server, moto.iam.models, moto.s3.models, sklearn.tree"


def sandbox_start(pairs: int) -> dict[str, Any]:
    """The start, up to the line of JSON, over a process that imports the libraries the sandbox stands on.

    Returns:
        ``pairs``: the seconds of ``start`` and ``imports``.
    """
    return {"pairs": _in_turn(pairs, "imports", _imported)}


def sandbox_start_before(pairs: int) -> dict[str, Any]:
    """The start over that of an earlier build.

    Returns:
        ``pairs``: the seconds of ``start`` and ``before``.
    """
    build = earlier()
    return {"pairs": _in_turn(pairs, "before", lambda: started(**build))}


def sandbox_accounts(pairs: int, further: int = _FURTHER) -> dict[str, Any]:
    """The start with two hundred accounts over that with four.

    Returns:
        ``pairs``: the seconds of ``many`` and ``start``; how many ``accounts`` the many are.
    """
    found = _in_turn(pairs, "many", lambda: started(_ROOT, sys.executable, "--consumers", str(further)))
    return {"pairs": found, "accounts": 4 + further}


def earlier() -> dict[str, Any]:
    """The earlier build that was named: its ``checkout`` and its ``python``."""
    checkout = Path(os.environ[BEFORE]).resolve()
    return {"checkout": checkout, "python": str(checkout / ".venv" / "bin" / "python")}


def _in_turn(pairs: int, name: str, other: Callable[[], float]) -> list[dict[str, float]]:
    found = [{"start": started(_ROOT, sys.executable), name: other()} for _ in range(pairs + 1)]
    return found[1:]  # the first warms the disk


def started(checkout: Path, python: str, *arguments: str) -> float:
    """The seconds until a checkout's sandbox announces itself; it has ended on return.

    Args:
        checkout: of the build.
        python: that has it installed.
        arguments: as for ``crossaccount sandbox``.

    Raises:
        RuntimeError: when it ends without that; it said why on stderr.
    """
    began = time.perf_counter()
    command = [python, "-m", "crossaccount", "sandbox", "--json", "--exit-with-parent", *arguments]
    with subprocess.Popen(command, cwd=checkout, stdout=subprocess.PIPE) as process:  # noqa: S603 - our own command
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - began
        process.terminate()
    if not line:
        raise RuntimeError(f"The sandbox of {checkout} did not start")
    return seconds


def _imported() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", _IMPORTS], cwd=_ROOT, check=True)  # noqa: S603 - our own command
    return time.perf_counter() - began
