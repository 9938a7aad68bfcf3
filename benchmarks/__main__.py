"""``python -m benchmarks``: measure, print one table, write every single figure as JSON."""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import rows, start

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("boto3", "botocore", "moto", "prefect", "pydantic", "sagemaker-core")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 when everything was measured, whether or not a target is met; 1 when a measurement failed; 2 for bad input.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="NAME",
        help=f"these rows: {', '.join(one.name for one in rows.ROWS)}",
    )
    parser.add_argument("--pairs", type=int, default=3, metavar="N", help="runs of each side (default 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single measurement there")
    earlier = "a checkout of an earlier build, installed there with `make install`, for the rows that compare with it"
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help=earlier)
    options = parser.parse_args(arguments)
    try:
        wanted = rows.chosen(options.only, before=options.before is not None)
    except ValueError as error:
        parser.error(f"--only: {error}")
    if options.pairs < 1:
        parser.error(f"--pairs: at least 1, not {options.pairs}")
    if options.before is not None:
        if not (options.before / ".venv" / "bin" / "python").exists():
            parser.error(f"--before: {options.before} has no .venv; run make install there")
        os.environ[start.BEFORE] = str(options.before)
    # As `make install` leaves it: where no bytecode may be written, every start would compile the project anew.
    for folder in ("benchmarks", "crossaccount", "crossaccount_sandbox", "flows", "tasks"):
        compileall.compile_dir(_ROOT / folder, quiet=1)
    names = list(dict.fromkeys(row.measurement for row in wanted))
    found = {name: _measured(name, options.pairs) for name in names}
    results = [rows.result(row, found[row.measurement]) for row in wanted]
    print(rows.table(results))  # noqa: T201 - the command's result
    if options.json:
        whole = {
            "machine": machine(),
            "rows": [one.to_json() for one in results],
            "measurements": found,
        }
        options.json.write_text(json.dumps(whole, indent=1) + "\n")
    return int(None in found.values())


def _measured(name: str, pairs: int) -> dict[str, Any] | None:
    """What a measurement found, in a process of its own; None where it failed, and said why on stderr."""
    _say(f"{name} ...")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="crossaccount-bench-") as folder:
        file = Path(folder) / "found.json"
        command = [sys.executable, "-m", "benchmarks.measure", name, str(pairs), str(file)]
        done = subprocess.run(command, stdout=sys.stderr, check=False, cwd=_ROOT)  # noqa: S603 - our own command
        _say(f"{name}: {'done' if done.returncode == 0 else 'FAILED'} in {time.monotonic() - started:.0f} s")
        return dict(json.loads(file.read_text())) if done.returncode == 0 else None


def machine() -> dict[str, Any]:
    """What the figures depend on: the machine and the versions; nothing that says whose machine it is."""
    return {
        "cores": os.cpu_count(),
        "load": [round(one, 2) for one in os.getloadavg()],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "bytecode_written": not sys.dont_write_bytecode,
        **{name: version(name) for name in _PACKAGES},
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
