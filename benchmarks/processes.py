"""What whole processes take: a worker's run to its first AWS call, the `plan` command, and the memory of a run."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from benchmarks.handoff import consumers
from benchmarks.stage import REGION, running, timed
from crossaccount.stage import processes, ui

_ROOT = Path(__file__).resolve().parents[1]
_EMPTY = Path(__file__).with_name("empty.py")
_MANY = 24


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


def plan_command(pairs: int) -> dict[str, Any]:
    """`crossaccount plan` as a whole process, beside one that imports boto3 and beside its AWS calls in bare boto3.

    The calls are those that the command makes, written down once and made again in the same order, one after the other,
    by clients that are made and connected already.

    Returns:
        ``pairs``: the seconds of ``plan``, ``import`` and ``calls``; how many ``calls`` there are.
    """
    with running(prefect=False) as stage:
        config = str(stage.ready["config"])
        asked = _asked(config)
        clients = _bare_clients({service for service, _, _ in asked})
        found = []
        for _ in range(pairs + 1):  # the first warms the disk and the connections
            found.append(
                {
                    "plan": timed(lambda: _ran("-m", "crossaccount", "plan", config)),
                    "import": timed(lambda: _ran("-c", "import boto3")),
                    "calls": timed(lambda: _repeat(clients, asked)),
                }
            )
    return {"pairs": found[1:], "calls": len(asked), "operations": [name for _, name, _ in asked]}


def _ran(*arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own commands
        [sys.executable, *arguments], cwd=_ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


_Asked = list[tuple[str, str, dict[str, Any]]]


def _asked(config: str) -> _Asked:
    """Every call that the command makes: service, operation, parameters."""
    from crossaccount.config.loading import load_config
    from crossaccount.sharing import gather

    with _noted() as asked:  # the command itself would end this process
        gather.make_plan(load_config(config), prune=False)
    return asked


@contextmanager
def _noted() -> Iterator[_Asked]:
    asked: _Asked = []
    within: Any = BaseClient  # whose one method for all calls is not public
    usual = within._make_api_call

    def noting(self: BaseClient, operation_name: str, api_params: dict[str, Any]) -> Any:
        asked.append((self.meta.service_model.service_name, operation_name, dict(api_params)))
        return usual(self, operation_name, api_params)

    within._make_api_call = noting
    try:
        yield asked
    finally:
        within._make_api_call = usual


def _bare_clients(services: set[str]) -> dict[str, Any]:
    """Clients in the producer's role, and of STS in its profile."""
    source: Any = boto3.session.Session(profile_name="producer", region_name=REGION)
    role = "arn:aws:iam::111111111111:role/crossaccount-producer"
    key = source.client("sts").assume_role(
        RoleArn=role, RoleSessionName="bare", ExternalId="sandbox-producer"
    )["Credentials"]
    inner: Any = boto3.session.Session(
        key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"], REGION
    )
    return {name: (source if name == "sts" else inner).client(name) for name in services}


def _repeat(clients: dict[str, Any], asked: _Asked) -> None:
    for service, operation, parameters in asked:
        try:
            clients[service]._make_api_call(operation, parameters)
        except ClientError as error:
            # A bucket without a policy says so with an error. One that comes of the repeating must not be taken for it.
            if error.response["ResponseMetadata"]["HTTPStatusCode"] not in (400, 404):
                raise


def memory(pairs: int) -> dict[str, Any]:
    """The peak memory of fresh processes: an empty flow, a deploy, a promotion to one consumer and to twenty-four.

    Returns:
        ``flows``: the megabytes of ``empty`` and ``deploy``; ``promotions``: of ``one`` and ``many``, half as many pairs.
    """
    with running("--endpoint-seconds", "0.5", "--consumers", str(_MANY)) as stage:
        from flows.producer import share_models

        names = consumers(_MANY)
        config = stage.config("deploy", ["staging"], versions=[1])
        one, many = stage.config("one", names[:1]), stage.config("many", names)
        share_models(config)
        flows, promotions = [], []
        for _ in range(pairs):
            flows.append({"empty": _peak("empty"), "deploy": _peak("deploy", config)})
        for _ in range(max(1, pairs // 2)):  # they take a minute and hardly differ
            pair = {}
            for name, path in (("one", one), ("many", many)):
                pair[name] = _peak("promote", path)
                stage.clear(names)
                stage.forget()
            promotions.append(pair)
    return {"flows": flows, "promotions": promotions}


def _peak(*arguments: str) -> float:
    """The peak of a process of its own that runs one flow, in megabytes."""
    return float(_ran("-m", "benchmarks.alone", *arguments).splitlines()[-1])
