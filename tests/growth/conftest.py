"""The product on PostgreSQL: one database server, sandbox, Prefect server, two workers of the consumer's pool, deployments."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossaccount.stage import processes, ui

sys.path.insert(0, str(Path(__file__).parent))

from grown import POOL, Grown, database, until


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grown]:
    folder = tmp_path_factory.mktemp("grown")
    with database() as address:
        settings = {
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": address,
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        }
        port = processes.free_port()
        with ui.serve(folder, port, lambda _: None, settings, ("--speed", "1000")) as found:
            env = found["env"][POOL]
            with ui.worker(folder, "second", POOL, env):
                world = Grown(found, address)
                # Changes what `ui.running` has declared. Deploying every published version as well is another story's.
                ui.automate(folder, env, "--silent-seconds", str(world.silent_seconds))
                for one in world.ask("/automations/filter", {}):
                    if one["name"] == "crossaccount-release-published":
                        world.ask(f"/automations/{one['id']}", {"enabled": False}, "PATCH")
                pool = f"/work_pools/{POOL}/workers/filter"
                until("both workers are there", lambda: len(world.ask(pool, {})) == 2)
                yield world
