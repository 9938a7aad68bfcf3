"""Two Prefect servers, four workers, two hundred consumers; in the middle a server is killed, and a worker with its flows.

Settings of the test itself: ``GROWTH_CONSUMERS`` (200).
"""

from __future__ import annotations

import os
import sys
import time
import urllib.error
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

import calls
import hosts
import several
from grown import POOL, Grown, until

from crossaccount.stage import processes, ui

pytestmark = pytest.mark.growth

CONSUMERS = int(os.environ.get("GROWTH_CONSUMERS", "200"))
WORKERS, AT_ONCE = 4, 3 if CONSUMERS >= 40 else 2  # flow runs that a worker has at once
HEARTBEAT_SECONDS, SILENT_SECONDS = 30, 100  # what the page of growing says
LEASE_SECONDS, LOOKING_SECONDS = 60, 15  # of a lock; how often the server looks for those that ran out
RIVALS = 3  # consumers whose endpoint three runs want, two of them at the same moment
PRODUCER = "crossaccount-producer"
VERSION = 2


@dataclass
class World(Grown):
    """What runs; ``pids`` are the workers' own, by name."""

    servers: several.Several | None = None
    workers: dict[str, int] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    config: Path = Path()
    log: Path = Path()

    def ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """What one of the servers answers; asked again, as Prefect's own clients do, while one has just been killed."""
        for wait in (0.5, 1.0, 2.0, 4.0):
            try:
                return super().ask(path, body, method)
            except urllib.error.HTTPError as error:
                if error.code not in (502, 503):
                    raise
                time.sleep(wait)
        return super().ask(path, body, method)

    def endpoints(self, name: str) -> dict[str, str]:
        """A consumer's endpoints, and the version that each serves when it is in service, or its status."""
        key = self.found["sandbox"]["accounts"][name]
        client = _session().client("sagemaker", **_as(key, self.found["sandbox"]))
        listed = client.list_endpoints()["Endpoints"]
        return {one["EndpointName"]: _serves(client, one) for one in listed}

    def all_endpoints(self) -> dict[str, dict[str, str]]:
        return {name: self.endpoints(name) for name in self.names}

    def slots(self, name: str) -> int:
        """How many writers hold a consumer's endpoint."""
        account = self.found["sandbox"]["accounts"][name]["id"]
        arn = f"arn:aws:sagemaker:us-east-1:{account}:endpoint/decision-trees-{name}"
        limit = f"crossaccount {arn}".replace("/", ":").replace(" ", "%20")
        try:
            return int(self.ask(f"/v2/concurrency_limits/{limit}")["active_slots"])
        except urllib.error.HTTPError as error:
            if error.code == 404:  # nobody has written to it yet
                return 0
            raise

    def writes(self, part: Any) -> bool:
        """Whether a part is in the middle: it holds its endpoint, and one that is new is coming up."""
        name = str(part["parameters"]["consumer"])
        return (
            name not in self.names[:RIVALS]
            and self.slots(name) == 1
            and "Creating" in self.endpoints(name).values()
        )


@cache
def _session() -> boto3.session.Session:
    """One for all accounts: each reads AWS's descriptions anew."""
    return boto3.session.Session()


def _as(key: dict[str, str], sandbox: dict[str, Any]) -> dict[str, Any]:
    return {
        "aws_access_key_id": key["access_key_id"],
        "aws_secret_access_key": key["secret_access_key"],
        "region_name": "us-east-1",
        "endpoint_url": sandbox["endpoint_url"],
    }


def _serves(client: Any, endpoint: dict[str, Any]) -> str:
    if endpoint["EndpointStatus"] != "InService":
        return str(endpoint["EndpointStatus"])
    described = client.describe_endpoint(EndpointName=endpoint["EndpointName"])
    found = client.describe_endpoint_config(EndpointConfigName=described["EndpointConfigName"])
    model = client.describe_model(ModelName=found["ProductionVariants"][0]["ModelName"])
    return str(model["PrimaryContainer"]["ModelPackageName"].rpartition("/")[2])


def _config(path: Path, ready: dict[str, Any], names: list[str]) -> Path:
    """A reviewed config of all consumers in one stage, each moved by its deployment."""
    whole = yaml.safe_load(Path(ready["config"]).read_text())
    like = whole["consumers"]["staging"]
    whole["consumers"] = {
        name: {
            **like,
            "account": ready["accounts"][name]["id"],
            "role": f"arn:aws:iam::{ready['accounts'][name]['id']}:role/crossaccount-deployer",
            "execution_role": f"arn:aws:iam::{ready['accounts'][name]['id']}:role/crossaccount-execution",
            "external_id": f"sandbox-{name}",
            "profile": name,
            "run_deployment": "move-endpoint/move",
            "endpoint": {"name": f"decision-trees-{name}", "instance_type": "ml.m5.large"},
        }
        for name in names
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(whole, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("several")
    log = folder / "calls.jsonl"
    with ExitStack() as stack:
        servers = stack.enter_context(several.several(folder))
        arranged = ["--speed", "1000", "--endpoint-seconds", "5", "--log", str(log)]
        arranged += ["--consumers", str(CONSUMERS - 1)]
        ready = stack.enter_context(processes.sandbox(*arranged))
        names = ["staging", *sorted(name for name in ready["accounts"] if name.startswith("consumer-"))]
        # The name that the deployments have.
        config = _config(folder / "configs" / "sandbox-workers.yaml", ready, names)
        settings = {
            "PREFECT_API_URL": servers.api,
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "CROSSACCOUNT_CONFIGS": str(config.parent),
        }
        profiles = {PRODUCER: ["producer"], POOL: names}
        env = {
            pool: {**settings, **ui.one_side(ready["env"], folder / pool, profiles[pool])}
            for pool in profiles
        }
        stack.enter_context(ui.worker(folder, "producer", PRODUCER, env[PRODUCER]))
        workers = {}
        for number in range(WORKERS):
            named, limit = f"worker-{number + 1}", ("--limit", str(AT_ONCE))
            tied = stack.enter_context(ui.worker(folder, named, POOL, env[POOL], *limit))
            workers[named] = tied.pid
        for pool in profiles:
            processes.wait_for(f"{servers.api}/work_pools/{pool}", f"The worker of {pool}")
        ui.deploy(folder, settings)
        ui.automate(folder, settings, "--silent-seconds", str(SILENT_SECONDS))
        found = {"api": servers.api, "sandbox": ready, "env": env}
        made = World(found, "", servers=servers, workers=workers, names=names, config=config, log=log)
        for one in made.ask("/automations/filter", {}):
            if one["name"] == "crossaccount-release-published":  # of another story
                made.ask(f"/automations/{one['id']}", {"enabled": False}, "PATCH")
        until(
            "all workers are there",
            lambda: len(made.ask(f"/work_pools/{POOL}/workers/filter", {})) == WORKERS,
        )
        yield made


def share_at_once(world: World, times: int) -> list[int]:
    """Share with a part of the consumers each, in so many processes at once; how many policies each wrote."""
    folder, ready = world.config.parents[1] / "parts", world.found["sandbox"]
    configs = [_config(folder / f"{one}.yaml", ready, world.names[one::times]) for one in range(times)]
    with ThreadPoolExecutor(times) as pool:
        shares = list(pool.map(lambda config: world.command("share", str(config), "--yes"), configs))
    assert all("writes" in one for one in shares), shares
    return [int(one["writes"]) for one in shares]


def test_a_server_and_a_host_are_lost_in_the_middle_of_a_promotion(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert world.servers is not None
    wrote = share_at_once(world, 4)
    assert all(wrote)
    plan = world.command("plan", str(world.config))
    assert plan["writes"] == 0, "what one wrote, another has overwritten"
    begun, waits = time.monotonic(), world.servers.answers()["423"]
    config, wanted = world.config.name, world.names[:RIVALS]
    rivals = [
        world.start("move-endpoint/move", config=config, consumer=name, version=VERSION)
        for name in [*wanted, *wanted]
    ]
    promotion = world.start("promote-model/promote", version=VERSION)

    def parts(*states: str) -> list[Any]:
        found = world.parts(promotion)
        return [one for one in found if not states or one["state_name"] in states]

    # In the middle: a third is done, and a part holds its endpoint.
    until("a third is done", lambda: len(parts("Completed")) >= len(world.names) / 3, 3600)
    waits = world.servers.answers()["423"] - waits
    lost_part = until("a part writes", lambda: next(filter(world.writes, parts("Running")), None), 300)
    host = hosts.family(hosts.worker_of(lost_part["id"]))
    # A run that the worker has taken, and has no process for yet, is lost too: the promotion gives it up after a while.
    of_host = hosts.flow_runs(host) | {str(one["id"]) for one in parts("Pending")}
    dead = hosts.kill(host)
    dead_server = hosts.kill(hosts.family(world.servers.servers["one"].pid)[1:])
    killed = time.monotonic()
    locked = str(lost_part["parameters"]["consumer"])

    # The next run of that endpoint gets its lock when the dead run's lease has run out.
    assert world.slots(locked) == 1
    next_run = world.start("move-endpoint/move", config=config, consumer=locked, version=VERSION)
    until("the lock is given back", lambda: world.slots(locked) == 0 or _writes(world, next_run), 400)
    given_back = time.monotonic() - killed

    failed = world.ended(promotion, 3600)
    took = time.monotonic() - begun
    lost = [one for one in parts() if one["state_type"] != "COMPLETED"]
    record = world.command("history", str(world.config), "--newest", "1")["records"][0]
    results = {one["consumer"]: one["result"] for one in record["consumers"]}
    reasons = {one["consumer"]: one["text"] for one in record["consumers"] if one["result"] == "failed"}
    assert failed["state_type"] == "FAILED", failed["state"]
    assert lost_part["id"] in {one["id"] for one in lost} <= of_host, lost
    assert set(reasons) == {one["parameters"]["consumer"] for one in lost}
    assert all("ended Crashed" in text or "no worker took it" in text.lower() for text in reasons.values()), (
        reasons
    )
    others = {name: result for name, result in results.items() if name not in reasons}
    assert set(others) | set(reasons) == set(world.names)
    assert {result for name, result in others.items() if name not in wanted} == {"promoted"}
    assert set(others.values()) <= {"promoted", "unchanged"}  # a rival was there first
    assert world.ended(next_run, 600)["state_type"] == "COMPLETED"
    for run in rivals:
        assert world.ended(run, 600)["state_type"] == ("CRASHED" if run in of_host else "COMPLETED")

    begun = time.monotonic()
    again = world.ended(world.start("promote-model/promote", version=VERSION), 3600)
    mended = time.monotonic() - begun
    assert again["state_type"] == "COMPLETED", again["state"]
    served = world.all_endpoints()
    assert served == {name: {f"decision-trees-{name}": str(VERSION)} for name in world.names}

    found = calls.read(world.log)
    on_endpoints, on_documents = calls.on_endpoints(found), calls.on_documents(found)
    met = calls.overlaps(on_endpoints) + calls.overlaps(on_documents)
    with capsys.disabled():
        _tell(
            {
                "versions": several.versions(),
                "consumers": len(world.names),
                "wall": f"{took:.0f} s, the next promotion {mended:.0f} s",
                "flow runs": 2 * len(world.names) + len(rivals) + 1,
                "killed": f"worker and flows {dead}, server {dead_server}",
                "outcomes": dict(Counter(results.values())),
                "failed, because": reasons,
                "shares at once, policies written by each": wrote,
                "lease given back after": f"{given_back:.0f} s",
                "answers of the proxy": dict(world.servers.answers()),
                "sessions that wrote to endpoints, documents": (len(on_endpoints), len(on_documents)),
                "looks at a lock that another run had": waits,
                "overlaps": len(met),
                "processor seconds of a worker's runs": _processor_seconds(world, dead),
            }
        )
    assert met == []
    assert waits, "no two runs wanted one endpoint at once: nothing was tried"
    assert given_back < LEASE_SECONDS + LOOKING_SECONDS + 15


def _writes(world: World, run: str) -> bool:
    """Whether a run has its lock: it shows the statuses of its endpoint from then on."""
    shown = {"artifacts": {"flow_run_id": {"any_": [run]}, "type": {"any_": ["progress"]}}}
    return any("waiting" not in one["description"] for one in world.ask("/artifacts/filter", shown))


def _processor_seconds(world: World, dead: list[int]) -> str:
    used = [
        hosts.processor_seconds(pid)
        for wrapper in world.workers.values()
        for pid in hosts.family(wrapper)[1:2]
        if pid not in dead
    ]
    return ", ".join(f"{one:.0f}" for one in used)


def _tell(figures: dict[str, Any]) -> None:
    print()
    for name, value in figures.items():
        print(f"{name}: {value}")
