"""On PostgreSQL, with two workers in the consumer's pool; and a host that is lost in the middle of a promotion."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import asyncpg
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import hosts

pytestmark = pytest.mark.growth  # a server, three workers and PostgreSQL take too long for every run

GROUP = "decision-trees-sample"
CONSUMERS = ("staging", "production")
CONFIG = Path(__file__).parents[2] / "configs" / "sandbox-workers.yaml"
LEASE_SECONDS, LOOKING_SECONDS = (
    60,
    15,
)  # of what a run writes to; how often the server looks for those that ran out


def live(grown: Any, account: str) -> tuple[str, str]:
    """How a consumer's own endpoint is, and the version that it serves."""
    client, name = grown.sagemaker(account), f"decision-trees-{account}"
    endpoint = client.describe_endpoint(EndpointName=name)
    found = client.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    model = found["ProductionVariants"][0]["ModelName"]
    package = client.describe_model(ModelName=model)["PrimaryContainer"]["ModelPackageName"]
    return endpoint["EndpointStatus"], package.rpartition("/")[2]


def endpoints(grown: Any, account: str) -> dict[str, str]:
    """An account's endpoints, and how each is."""
    listed = grown.sagemaker(account).list_endpoints()["Endpoints"]
    return {one["EndpointName"]: one["EndpointStatus"] for one in listed}


async def asked(address: str, query: str, *given: str) -> Any:
    """One value of a database."""
    connection = await asyncpg.connect(address.replace("+asyncpg", ""))
    try:
        return await connection.fetchval(query, *given)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def promoted(grown: Any) -> dict[str, Any]:
    """Version 1 shared, then promoted: the promotion's run."""
    shared = grown.ended(grown.start("share-models/share", dry_run=False))
    assert shared["state_type"] == "COMPLETED", shared["state"]
    begun = time.monotonic()
    run = grown.ended(grown.start("promote-model/promote", version=1))
    assert run["state_type"] == "COMPLETED", run["state"]
    return {**run, "seconds": time.monotonic() - begun}


def test_a_promotion_through_deployments_moves_every_consumer_in_its_own_pool(
    grown: Any, promoted: dict[str, Any]
) -> None:
    assert [live(grown, one) for one in CONSUMERS] == [("InService", "1")] * 2
    parts = grown.parts(promoted["id"])
    assert [(one["parameters"]["consumer"], one["state_type"]) for one in parts] == [
        (one, "COMPLETED") for one in CONSUMERS
    ]
    move = grown.ask("/deployments/name/move-endpoint/move")["id"]
    assert {(one["deployment_id"], one["work_pool_name"]) for one in parts} == {(move, grown.pool)}
    assert promoted["work_pool_name"] == "crossaccount-producer"
    asked_by = {grown.ask(f"/task_runs/{one['parent_task_run_id']}")["flow_run_id"] for one in parts}
    assert asked_by == {promoted["id"]}


def test_all_of_it_is_in_postgresql(grown: Any, promoted: dict[str, Any]) -> None:
    query = "SELECT state_type::text FROM flow_run WHERE id::text = $1"
    found = asyncio.run(asked(grown.database, query, promoted["id"]))
    assert found == "COMPLETED"


def test_automations_are_applied_once_however_often(grown: Any) -> None:
    (known,) = [
        one for one in grown.ask("/automations/filter", {}) if one["name"] == "crossaccount-lost-runs"
    ]
    assert known["trigger"]["within"] == grown.silent_seconds  # changed by a second application
    assert known["enabled"]


def test_a_run_whose_host_is_lost_before_its_first_heartbeat_is_noticed_too(grown: Any) -> None:
    flow = grown.ask("/flows/", {"name": "move-endpoint"})["id"]
    made = {"flow_id": flow, "state": {"type": "PENDING"}}
    silent, ending = (grown.ask("/flow_runs/", {**made, "name": name})["id"] for name in ("silent", "ending"))
    for run, kinds in ((silent, ["RUNNING"]), (ending, ["RUNNING", "COMPLETED"])):
        for kind in kinds:
            grown.ask(f"/flow_runs/{run}/set_state", {"state": {"type": kind}})
    ended = grown.ended(silent)
    assert (ended["state_type"], "No heartbeat came" in ended["state"]["message"]) == ("CRASHED", True)
    assert grown.ask(f"/flow_runs/{ending}")["state_type"] == "COMPLETED"


def test_a_host_lost_in_the_middle_of_a_promotion_is_noticed_and_the_next_run_mends_it(
    grown: Any, promoted: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    promotion = grown.start("promote-model/promote", version=2)
    lost = grown.until("a part of it runs", lambda: grown.parts(promotion))[0]
    grown.until("its trial endpoint", lambda: "Creating" in endpoints(grown, "staging").values())
    hosts.kill(hosts.family(hosts.worker_of(lost["id"])))
    killed = time.monotonic()

    ended = grown.ended(lost["id"])
    noticed = time.monotonic() - killed
    assert ended["state_type"] == "CRASHED"
    assert "No heartbeat came any more" in ended["state"]["message"]
    failed = grown.ended(promotion)
    told = time.monotonic() - killed
    assert failed["state_type"] == "FAILED"
    assert "staging: failed" in failed["state"]["message"]
    assert ended["name"] in failed["state"]["message"]
    assert [one["id"] for one in grown.parts(promotion)] == [lost["id"]]  # later stages stay as they are
    assert [live(grown, one) for one in CONSUMERS] == [("InService", "1")] * 2
    record = grown.command("history", str(CONFIG), "--newest", "1")["records"][0]
    assert (record["version"], record["outcome"]) == (2, "failed")
    assert [(one["consumer"], one["result"]) for one in record["consumers"]] == [
        ("staging", "failed"),
        ("production", "skipped"),
    ]
    assert "Crashed" in record["consumers"][0]["text"]

    begun = time.monotonic()
    again = grown.start("promote-model/promote", version=2)
    done = grown.ended(again, 200)
    mended = time.monotonic() - begun
    assert done["state_type"] == "COMPLETED", done["state"]
    assert [live(grown, one) for one in CONSUMERS] == [("InService", "2")] * 2
    assert [list(endpoints(grown, one)) for one in CONSUMERS] == [
        [f"decision-trees-{one}"] for one in CONSUMERS
    ]
    left = grown.command("reap", str(CONFIG), "--dry-run")
    assert [one["fates"] for one in left["consumers"]] == [[], []]
    with capsys.disabled():
        print(
            f"\nnoticed after {noticed:.0f} s, told after {told:.0f} s; a promotion took {promoted['seconds']:.0f} s, this one "
            f"{mended:.0f} s with its wait for the dead run's lock"
        )
    assert noticed < grown.silent_seconds + 20
    assert told < noticed + 20
    # The lock is not given back by anybody: it runs out.
    assert mended < 2 * promoted["seconds"] + LEASE_SECONDS + LOOKING_SECONDS - told
