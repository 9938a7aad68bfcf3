"""How long a worker's flow run takes from being picked up to its first AWS call, beside an empty flow to its first line.

Runs of `share-models/share` (a dry run) and of an empty flow in turn, on the same Prefect server and worker, against the
sandbox. Prints the medians in seconds and their ratio; ``--json`` prints one object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from crossaccount import processes, ui

_EMPTY = Path(__file__).with_name("empty.py")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=7, help="runs of each (default 7)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="crossaccount-bench-") as folder:
        log = Path(folder) / "calls.jsonl"
        with ui.running(
            Path(folder), processes.free_port(), _say, sandbox_arguments=("--log", str(log))
        ) as found:
            measured = _pairs(httpx.Client(base_url=found["api"], timeout=60), log, options.pairs)
    medians = {name: statistics.median(seconds) for name, seconds in measured.items()}
    ratio = medians["share"] / medians["empty"]
    if options.json:
        print(json.dumps({"seconds": measured, "medians": medians, "ratio": ratio}))  # noqa: T201
    else:
        for name, seconds in measured.items():
            print(f"{name:6} median {medians[name]:.2f} s  ({min(seconds):.2f} to {max(seconds):.2f})")  # noqa: T201
        print(f"ratio  {ratio:.2f}")  # noqa: T201


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _pairs(api: httpx.Client, log: Path, count: int) -> dict[str, list[float]]:
    share = api.get("/deployments/name/share-models/share").raise_for_status().json()["id"]
    empty = _deploy_empty(api)
    found: dict[str, list[float]] = {"empty": [], "share": []}
    for _ in range(count + 1):
        run = _ended(api, empty, {})
        found["empty"].append(_after_pick_up(api, run, _instant(run["start_time"])))
        start = log.stat().st_size
        run = _ended(api, share, {"dry_run": True})
        with log.open() as file:
            file.seek(start)
            first = json.loads(file.readline())["time"]
        found["share"].append(_after_pick_up(api, run, _instant(first)))
    return {name: seconds[1:] for name, seconds in found.items()}  # the first of each warms the disk


def _deploy_empty(api: httpx.Client) -> str:
    flow = api.post("/flows/", json={"name": "nothing"}).raise_for_status().json()["id"]
    deployment = {
        "name": "empty",
        "flow_id": flow,
        "entrypoint": f"{_EMPTY}:nothing",
        "path": str(_EMPTY.parent),
        "pull_steps": [
            {"prefect.deployments.steps.set_working_directory": {"directory": str(_EMPTY.parent)}}
        ],
        "work_pool_name": "crossaccount-producer",
    }
    return str(api.post("/deployments/", json=deployment).raise_for_status().json()["id"])


def _ended(api: httpx.Client, deployment: str, parameters: dict[str, Any]) -> dict[str, Any]:
    asked = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
    run = _created(api, f"/deployments/{deployment}/create_flow_run", asked)
    while run["state_type"] not in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
        time.sleep(0.2)
        run = api.get(f"/flow_runs/{run['id']}").raise_for_status().json()
    if run["state_type"] != "COMPLETED":
        raise SystemExit(f"{run['name']} ended {run['state_name']}: {run['state']['message']}")
    return dict(run)


def _created(api: httpx.Client, path: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Ask until the server, which answers 503 while its SQLite is busy, does it."""
    while (answer := api.post(path, json=asked)).status_code == httpx.codes.SERVICE_UNAVAILABLE:
        time.sleep(1)
    return dict(answer.raise_for_status().json())


def _after_pick_up(api: httpx.Client, run: dict[str, Any], instant: float) -> float:
    """Seconds between the worker's taking the run and an instant."""
    states = api.get("/flow_run_states/", params={"flow_run_id": run["id"]}).raise_for_status().json()
    taken = next(state for state in states if state["type"] == "PENDING")
    return instant - _instant(taken["timestamp"])


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


if __name__ == "__main__":
    main()
