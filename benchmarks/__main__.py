"""``python -m benchmarks``: measure, print one table, write every single figure as JSON, and draw how time and memory grow."""

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

from benchmarks import graph, report, rows, start

_ROOT = Path(__file__).resolve().parents[1]
_DOCS = _ROOT / "docs"
_PACKAGES = ("boto3", "botocore", "moto", "prefect", "pydantic", "sagemaker-core")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 when everything was measured, whether or not a target is met; 1 when a measurement failed; 2 for bad input.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        measured = report.read(options.table or [file for file in [options.json] if file and file.exists()])
    except (ValueError, OSError) as error:
        parser.error(f"{'--table' if options.table else '--json'}: {error}")
    try:
        wanted = [] if options.table else rows.chosen(options.only, before=options.before is not None)
    except ValueError as error:
        parser.error(f"--only: {error}")
    names = list(dict.fromkeys(row.measurement for row in wanted))
    if options.pairs is not None and options.pairs < 1:
        parser.error(f"--pairs: at least 1, not {options.pairs}")
    if options.graph and not {*graph.PICTURES} & {*names, *measured}:
        parser.error("--graph: no row is there that it is drawn from: promotion-200, groups-400")
    if options.before is not None:
        if not (options.before / ".venv" / "bin" / "python").exists():
            parser.error(f"--before: {options.before} has no .venv; run make install there")
        os.environ[start.BEFORE] = str(options.before)
    failed: set[str] = set()
    if options.table:
        _print(report.markdown(report.results(measured)))
    else:
        failed = _measure(names, options.pairs, measured, options.json)
        of = {name: None if name in failed else measured[name]["found"] for name in names}
        _print(report.table([rows.result(row, of[row.measurement]) for row in wanted]))
    if options.graph:
        for file in graph.draw(_DOCS, measured):
            _say(f"drawn: {file.relative_to(_ROOT)}")
    return int(bool(failed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    known = f"these rows: {', '.join(one.name for one in rows.ROWS)}"
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help=known)
    usual = "pairs of each measurement (default 5, fewer where one takes minutes)"
    parser.add_argument("--pairs", type=int, metavar="N", help=usual)
    found = "write every single measurement there, after each; those that the file has of other rows stay"
    parser.add_argument("--json", type=Path, metavar="FILE", help=found)
    earlier = "a checkout of an earlier build, installed there with `make install`, for the rows that compare with it"
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help=earlier)
    parser.add_argument("--graph", action="store_true", help="draw docs/scale-*.svg from what was measured")
    together = "measure nothing: put files of --json together into a table of Markdown, the later file first believed"
    parser.add_argument("--table", type=Path, nargs="+", default=[], metavar="FILE", help=together)
    return parser


def _measure(names: list[str], pairs: int | None, measured: report.Measured, file: Path | None) -> set[str]:
    """Measure each, add what is found, and write it down at once; the names of those that failed."""
    # As `make install` leaves it: where no bytecode may be written, every start would compile the project anew.
    for folder in ("benchmarks", "crossaccount", "crossaccount_sandbox", "flows", "tasks"):
        compileall.compile_dir(_ROOT / folder, quiet=1)
    failed = set()
    for name in names:
        before = machine()
        found = _measured(name, pairs)
        if found is None:
            failed.add(name)
            continue
        measured[name] = {"machine": before, "found": found}
        if file:
            report.write(file, measured)
    return failed


def _measured(name: str, pairs: int | None) -> dict[str, Any] | None:
    """What a measurement found, in a process of its own; None where it failed, and said why on stderr."""
    _say(f"{name} ...")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="crossaccount-bench-") as folder:
        file = Path(folder) / "found.json"
        command = [sys.executable, "-m", "benchmarks.measure", name, str(pairs or 0), str(file)]
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


def _print(text: str) -> None:
    print(text)  # noqa: T201 - the command's result


if __name__ == "__main__":
    sys.exit(main())
