"""Real clients against the sandbox, each in an environment of its own: ``python tests/clients``; ``--only NAME`` tries one."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from environments import CLIENTS, ENVIRONMENTS, ROOT, SERVERS, Client

SHOWN = ENVIRONMENTS / "shown.txt"
OK, REFUSED, FAILED, NONE = "ok", "refused as shown", "FAILED", "-"
NOT_INSTALLED, NOT_REACHED = "FAILED: not installed", "FAILED: not reached"


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python tests/clients", description=__doc__)
    names = [client.name for client in (*CLIENTS, *SERVERS)]
    parser.add_argument(
        "--only", action="append", choices=names, metavar="NAME", help=f"of {', '.join(names)}"
    )
    return parser.parse_args(arguments)


class Results:
    """What the tests report: for each client its steps, as they went and as it showed them."""

    def __init__(self) -> None:
        self.steps: dict[str, dict[str, dict[str, Any]]] = {}
        self.seconds: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        given = dict(report.user_properties)
        if report.when == "call" and "client" in given:
            self.steps[str(given["client"])] = {one["step"]: one for one in given.get("steps", ())}
            self.seconds[str(given["client"])] = report.duration


def main(arguments: list[str]) -> int:
    chosen = options(arguments).only or [client.name for client in (*CLIENTS, *SERVERS)]
    clients = [client for client in (*CLIENTS, *SERVERS) if client.name in chosen]
    absent = [client for client in clients if not in_place(client)]
    results = Results()
    wanted = " or ".join(f"[{client.name}]" for client in clients)
    code = pytest.main(["-q", "-k", wanted, str(Path(__file__).parent)], plugins=[results])
    for kind in (CLIENTS, SERVERS):
        if of_kind := [client for client in clients if client in kind]:
            print_table(of_kind, results)
    print_shown(clients, results)
    return int(code) or len(absent)


def in_place(client: Client) -> bool:
    """Whether the client's environment is there; makes it where it is not, or is of another lock."""
    if client.installed:
        return True
    started = time.monotonic()
    try:
        client.install()
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"{client.name}: cannot be installed: {error}", file=sys.stderr)
        return False
    took = time.monotonic() - started
    print(f"{client.name}: installed in {took:.0f} s, {megabytes(client.folder):.0f} MB", flush=True)
    return True


def megabytes(folder: Path) -> float:
    return sum(file.lstat().st_size for file in folder.rglob("*")) / 1e6


def print_table(clients: list[Client], results: Results) -> None:
    steps = list(dict.fromkeys(step for client in clients for step in client.steps))
    rows = [["step", *(client.name for client in clients)]]
    rows += [[step, *(cell(client, step, results) for client in clients)] for step in steps]
    rows.append(["seconds", *(f"{results.seconds.get(client.name, 0):.0f}" for client in clients)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print()
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def print_shown(clients: list[Client], results: Results) -> None:
    """What went wrong; all that was shown goes into a file."""
    lines = [
        f"{client.name}, {step}: {' '.join(one['shown'].split())}"
        for client in clients
        for step, one in results.steps.get(client.name, {}).items()
    ]
    SHOWN.write_text("\n".join([*lines, ""]))
    failed = {
        f"{name}, {step}: "
        for name, steps in results.steps.items()
        for step in steps
        if not steps[step]["ok"]
    }
    print()
    print("\n".join(line[:600] for line in lines if line.startswith(tuple(failed))))
    print(f"What each step showed: {SHOWN.relative_to(ROOT)}")


def cell(client: Client, step: str, results: Results) -> str:
    if step not in client.steps:
        return NONE
    found = results.steps.get(client.name, {}).get(step)
    if found is None:
        return NOT_REACHED if client.installed else NOT_INSTALLED
    if not found["ok"]:
        return FAILED
    return REFUSED if step.startswith("refused") else OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
