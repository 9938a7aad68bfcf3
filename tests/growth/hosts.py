"""The processes of this machine, by ``/proc``: which belong together as a host's do, and their processor time.

Not here: what is killed, and when.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def kill(pids: list[int]) -> list[int]:
    """Kill processes as the loss of their host does, and give those that there were."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return pids


def worker_of(run: str) -> int:
    """The worker that has a flow run."""
    marked = f"PREFECT__FLOW_RUN_ID={run}".encode()
    (flow, *_) = [pid for pid in _everybody() if marked in _read(pid, "environ")]
    return next(pid for pid in _above(flow) if b"worker\0start" in _read(pid, "cmdline"))


def family(pid: int) -> list[int]:
    """A process and all below it: what a lost host takes with it."""
    return [pid, *(one for one in _everybody() if one != pid and pid in _above(one))]


def flow_runs(pids: list[int]) -> set[str]:
    """The flow runs that these processes work on."""
    name = b"PREFECT__FLOW_RUN_ID="
    variables = [one for pid in pids for one in _read(pid, "environ").split(b"\0")]
    return {one.removeprefix(name).decode() for one in variables if one.startswith(name)}


def listener(port: int, among: list[int]) -> bool:
    """Whether one of these processes has been told of a port."""
    return any(str(port).encode() in _read(pid, "cmdline").split(b"\0") for pid in among)


def processor_seconds(pid: int) -> float:
    """What a process has used, and those of its children that have ended and what they had waited for."""
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def _everybody() -> list[int]:
    return [int(one.name) for one in Path("/proc").glob("[0-9]*")]


def _above(pid: int) -> list[int]:
    """A process and those above it, the nearest first; nothing for one that is gone."""
    found = [pid]
    while found[-1] > 1:
        stat = _read(found[-1], "stat")
        if not stat:
            return []
        found.append(int(stat.rpartition(b")")[2].split()[1]))
    return found


def _read(pid: int, file: str) -> bytes:
    """What a file of a process says; nothing of one that is gone."""
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes()
    except OSError:
        return b""
