"""Kill every command at every AWS call: ``python tests/crash``; ``--help`` says how to try a part, or one boundary again."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from threading import Thread
from typing import Any

COMMANDS = (
    *("share", "deploy", "promote", "rollback", "revoke"),
    *("promote-asynchronous", "rollback-asynchronous"),
    *("promote-inference-components", "rollback-inference-components"),
)


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python tests/crash", description=__doc__)
    parser.add_argument("--command", action="append", choices=COMMANDS, help="only this one; may be repeated")
    parser.add_argument("--k", type=int, help="only the k-th call")
    parser.add_argument(
        "--when",
        choices=("before", "after"),
        default="after",
        help="with --k, --call or --operation: before the call takes effect, or after it (default)",
    )
    parser.add_argument(
        "--call", help='only this call, as a violation names it: "s3 PutObject 111111111111 1"'
    )
    parser.add_argument("--operation", action="append", help="only calls of this name; may be repeated")
    parser.add_argument(
        "--sample", type=int, metavar="N", help="some N boundaries, after writes as far as there are"
    )
    parser.add_argument("--writes", action="store_true", help="only calls that change something")
    parser.add_argument("--seed", default="1", help="of the sample, and of --twice")
    parser.add_argument("--twice", action="store_true", help="kill the second run too, anywhere")
    parser.add_argument(
        "--real-leases", action="store_true", help="wait until a dead run's leases end: a minute for each"
    )
    parser.add_argument("--lanes", type=int, default=2, help="how many run at once (default 2)")
    parser.add_argument("--lane", help=argparse.SUPPRESS)
    found = parser.parse_args(arguments)
    found.command = found.command or list(COMMANDS)
    return found


def main(arguments: list[str]) -> int:
    given = options(arguments)
    if given.lane:
        sys.path.insert(0, str(Path(__file__).parents[2]))
        from everywhere import run_lane

        run_lane(given)
        return 0
    started = time.monotonic()
    told: list[dict[str, Any]] = []
    lanes = [
        subprocess.Popen(
            [sys.executable, str(Path(__file__).parent), *arguments, "--lane", f"{number}/{given.lanes}"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": os.environ.get("PYTHONDONTWRITEBYTECODE", "")},
        )
        for number in range(given.lanes)
    ]
    readers = [Thread(target=_read, args=(lane, told)) for lane in lanes]
    for one in readers:
        one.start()
    for one in readers:
        one.join()
    ended = [lane.wait() for lane in lanes]
    return _sum_up(given, told, time.monotonic() - started, ended)


def _read(lane: subprocess.Popen[str], told: list[dict[str, Any]]) -> None:
    assert lane.stdout is not None
    for line in lane.stdout:
        found = json.loads(line)
        told.append(found)
        for wrong in found.get("wrong", ()):
            again = f", and again at {found['again']}" if found["again"] else ""
            print(
                f"VIOLATION --command {found['command']} --k {found['k']} --when {found['when']}"
                f' (--call "{found["call"]}"{again}): {wrong}',
                flush=True,
            )


def _sum_up(given: argparse.Namespace, told: list[dict[str, Any]], seconds: float, ended: list[int]) -> int:
    calls: dict[str, int] = defaultdict(int)
    for one in told:
        if "calls" in one:  # lanes differ by how often they looked while they waited
            calls[one["command"]] = max(calls[one["command"]], one["calls"])
    tried: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in told:
        if "wrong" in one:
            tried[one["command"]].append(one)
    for command in COMMANDS:
        if command in tried:
            those = tried[command]
            bad = sum(bool(one["wrong"]) for one in those)
            missed = sum(not one["reached"] for one in those)
            passed = f", {missed} of them not come by again (a wait was shorter)" if missed else ""
            longest = max(one["again_seconds"] for one in those)
            print(
                f"{command}: {calls[command]} calls, {len(those)} boundaries{passed}, {bad} violations"
                f" (run again: {longest:.1f} s at the longest)"
            )
    every = [one for those in tried.values() for one in those]
    bad = sum(bool(one["wrong"]) for one in every)
    print(f"total: {len(every)} boundaries, {bad} violations, {seconds:.0f} s")
    if any(ended):
        print("a lane broke off: see above")
    return int(bool(bad) or any(ended) or not every)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
