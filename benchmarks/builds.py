"""What every contributor and newcomer waits for, beside an earlier build: all tests, and a fresh clone's first demo."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.start import earlier

_ROOT = Path(__file__).resolve().parents[1]
_SUMMARY = re.compile(r"\d+ (?:passed|failed|errors?|skipped|xfailed)\b")


def test_wall(pairs: int) -> dict[str, Any]:
    """``make test`` in this checkout and in the earlier build's, in turn.

    Returns:
        ``pairs``: the seconds of ``now`` and ``before``, and how the tests of each ended.
    """
    checkouts = {"before": earlier()["checkout"], "now": _ROOT}
    found = []
    for _ in range(pairs):
        pair: dict[str, Any] = {}
        for name, checkout in checkouts.items():
            code, pair[name], last = made("test", checkout)
            ended = _SUMMARY.findall(last)
            if not ended:
                raise RuntimeError(f"make test of {checkout} ended with {code} before its tests did")
            pair[f"{name}_tests"] = ", ".join(ended)
        found.append(pair)
    return {"pairs": found}


def demo_wall(pairs: int) -> dict[str, Any]:
    """``make demo`` in a fresh clone of what is committed here and in the earlier build's checkout, in turn.

    Both are installed once before, so that the package installer's cache has what either needs.

    Returns:
        ``pairs``: the seconds of ``now`` and ``before``.
    """
    checkouts = {"before": earlier()["checkout"], "now": _ROOT}
    for checkout in checkouts.values():
        _in_a_clone("install", checkout)
    found = [
        {name: _in_a_clone("demo", checkout) for name, checkout in checkouts.items()} for _ in range(pairs)
    ]
    return {"pairs": found}


def _in_a_clone(target: str, checkout: Path) -> float:
    with tempfile.TemporaryDirectory(prefix="crossaccount-bench-") as folder:
        clone = Path(folder) / "clone"
        # --no-local: files that are linked rather than copied would be warm.
        command = ["git", "clone", "--quiet", "--no-local", str(checkout), str(clone)]
        subprocess.run(command, check=True)  # noqa: S603
        code, seconds, _ = made(target, clone)
    if code:
        raise RuntimeError(f"make {target} in a clone of {checkout} ended with {code}")
    return seconds


def made(target: str, checkout: Path) -> tuple[int, float, str]:
    """Make a target there.

    Returns:
        The exit code, the seconds until the last line of its output, and that line.
    """
    began = time.perf_counter()
    seconds, last = 0.0, ""
    command = ["make", "--no-print-directory", target]
    with subprocess.Popen(command, cwd=checkout, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        for line in process.stdout:
            seconds, last = time.perf_counter() - began, line.rstrip()
            print(last, file=sys.stderr, flush=True)  # noqa: T201 - the progress of minutes
    return process.returncode, seconds, last
