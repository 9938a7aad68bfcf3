"""What a worker's run takes to its first AWS call, and the memory of a run."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks.alone import fresh
from benchmarks.stage import running
from crossaccount.stage import processes, ui

_EMPTY = Path(__file__).with_name("empty.py")


def cold_start(pairs: int) -> dict[str, Any]:
    """From a worker's taking a run to the first AWS call of a share (a dry run), beside an empty flow's first line.

    Returns:
        ``pairs``: the seconds of ``share`` and ``empty``.
    """
    with tempfile.TemporaryDirectory(prefix="crossaccount-bench-") as folder:
        log = Path(folder) / "calls.jsonl"
        arguments = ("--log", str(log))
        with ui.serve(Path(folder), processes.free_port(), _say, sandbox_arguments=arguments) as found:
            api = httpx.Client(base_url=found["api"], timeout=60)
            share = api.get("/deployments/name/share-models/share").raise_for_status().json()["id"]
            empty = _deploy_empty(api)
            # The first of each is there to warm the disk.
            measured = [_cold_pair(api, log, share, empty) for _ in range(pairs + 1)][1:]
    return {"pairs": measured}


def _cold_pair(api: httpx.Client, log: Path, share: str, empty: str) -> dict[str, float]:
    run = _ended(api, empty, {})
    pair = {"empty": _after_pick_up(api, run, _instant(run["start_time"]))}
    start = log.stat().st_size
    run = _ended(api, share, {"dry_run": True})
    with log.open() as file:
        file.seek(start)
        first = json.loads(file.readline())["time"]
    return {**pair, "share": _after_pick_up(api, run, _instant(first))}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


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


def memory(pairs: int) -> dict[str, Any]:
    """The peak memory of fresh processes: an empty flow's, and a deploy's.

    Returns:
        ``pairs``: the megabytes of ``empty`` and ``deploy``.
    """
    with running("--endpoint-seconds", "0.5") as stage:
        from flows.producer import share_models

        config = stage.config("deploy", ["staging"], versions=[1])
        share_models(config)
        return {
            "pairs": [
                {"empty": fresh("empty")["peak"], "deploy": fresh("deploy", config)["peak"]}
                for _ in range(pairs)
            ]
        }
