"""What ``crossaccount doctor`` says of Prefect, on the server of these tests: what is missing first, then each put right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import PREFECT_API_URL, temporary_settings

from crossaccount.config.loading import load_config
from crossaccount.config.model import Sharing
from crossaccount.setup.answers import Answer
from tasks import readiness

ENTRIES: list[dict[str, Any]] = yaml.safe_load(readiness.FILE.read_text())["deployments"]
POOLS = sorted({str(entry["work_pool"]["name"]) for entry in ENTRIES})


@pytest.fixture
def client() -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as made:
        yield made


@pytest.fixture
def sharing(aws: Any) -> Sharing:
    return load_config(aws.config)


def answers(sharing: Sharing) -> dict[str, Answer]:
    found = readiness.look(sharing)
    assert {each.subject for each in found} == {"prefect"}
    return {each.question: each for each in found}


def verdicts(found: dict[str, Answer], *questions: str) -> list[str]:
    return [str(found[question].verdict) for question in questions]


def test_without_a_server_a_temporary_one_is_used(sharing: Sharing) -> None:
    with temporary_settings({PREFECT_API_URL: None}):
        found = answers(sharing)
    assert verdicts(found, "server") == ["yes"]
    assert "starts a temporary one" in found["server"].text


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/api", "http://nowhere.invalid/api"])
def test_a_server_that_does_not_answer_is_told(sharing: Sharing, url: str) -> None:
    with temporary_settings({PREFECT_API_URL: url}):
        found = answers(sharing)
    assert list(found) == ["server"]
    assert verdicts(found, "server") == ["no"]
    assert "PREFECT_API_URL" in found["server"].way_out


def test_of_an_empty_server_everything_that_lacks_is_said_with_its_command(sharing: Sharing) -> None:
    found = answers(sharing)
    assert verdicts(found, "server", "version") == ["yes", "yes"]
    assert verdicts(found, "leases") == ["no"]  # in memory, Prefect's default
    assert "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE" in found["leases"].way_out
    for pool in POOLS:
        assert found[f"work pool {pool}"].way_out == f"prefect work-pool create {pool} --type process"
    assert verdicts(found, "deployments") == ["no"]
    assert "prefect --no-prompt deploy --all" in found["deployments"].way_out
    assert "deployed versions" not in found


def _deploy(client: SyncPrefectClient, entry: dict[str, Any], version: str) -> Any:
    flow = client.create_flow_from_name(entry["entrypoint"].rpartition(".")[2].replace("_", "-"))
    return client.create_deployment(
        flow_id=flow,
        name=entry["name"],
        version=version,
        entrypoint=entry["entrypoint"],
        work_pool_name=entry["work_pool"]["name"],
    )


@pytest.fixture
def deployed(client: SyncPrefectClient) -> Iterator[list[Any]]:
    for pool in POOLS:
        client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
    made = [_deploy(client, entry, str(entry["version"])) for entry in ENTRIES]
    yield made
    for each in made:
        client.delete_deployment(each)
    for pool in POOLS:
        client.delete_work_pool(pool)


def test_pools_workers_and_deployments_are_looked_at_one_by_one(
    deployed: list[Any], client: SyncPrefectClient, sharing: Sharing
) -> None:
    quiet, busy = POOLS
    client.send_worker_heartbeat(busy, "worker-1", heartbeat_interval_seconds=30)
    found = answers(sharing)
    assert verdicts(found, f"work pool {quiet}", f"work pool {busy}", "deployed versions") == [
        "no",
        "yes",
        "yes",
    ]
    assert f"prefect worker start --pool {quiet}" in found[f"work pool {quiet}"].way_out
    assert "worker-1" in found[f"work pool {busy}"].text
    assert "deployments" not in found
    _deploy(client, ENTRIES[0], "0")  # over the one that is there
    client.delete_deployment(deployed[-1])
    found = answers(sharing)
    assert verdicts(found, "deployments", "deployed versions") == ["no", "no"]
    assert ENTRIES[-1]["name"] in found["deployments"].text
    assert (
        f"{ENTRIES[0]['name']} has version 0, shipped is {ENTRIES[0]['version']}"
        in found["deployed versions"].text
    )
    deployed[-1] = _deploy(client, ENTRIES[-1], str(ENTRIES[-1]["version"]))


def test_a_consumer_s_own_deployment_is_looked_for(deployed: list[Any], edited: Any) -> None:
    entry = next(each for each in ENTRIES if each["name"] == "move")
    ours = f"{entry['entrypoint'].rpartition('.')[2].replace('_', '-')}/move"
    config = edited(
        consumers__staging__run_deployment=ours, consumers__production__run_deployment=f"{ours}-away"
    )
    found = answers(load_config(config))
    assert verdicts(found, "run_deployment of staging", "run_deployment of production") == ["yes", "no"]
    assert "consumers.production.run_deployment" in found["run_deployment of production"].way_out


@pytest.mark.parametrize(
    ("server", "verdict"), [("3.0.0", "no"), ("2.20.1", "no"), ("99.0.0", "yes"), ("3.9", "yes")]
)
def test_a_server_is_not_older_than_its_client(
    server: str, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "__version__", "3.9.1")
    assert str(readiness.version_answer(server).verdict) == verdict


@pytest.mark.parametrize(
    ("storage", "verdict"),
    [
        ("prefect.server.concurrency.lease_storage.memory", "no"),
        ("prefect.server.concurrency.lease_storage.filesystem", "yes"),
        ("prefect_redis.lease_storage", "yes"),
        ("ours.leases", "cannot tell"),
    ],
)
def test_leases_are_judged_by_where_they_are_kept(storage: str, verdict: str) -> None:
    assert str(readiness.lease_answer(storage).verdict) == verdict
