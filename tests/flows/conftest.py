"""Flows run in this process, on one Prefect server for the whole run."""

from __future__ import annotations

import asyncio
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# What the server does with the events of every task run. No test here looks at that, and it takes half the time.
UNUSED_SERVICES = ("EVENT_PERSISTER", "TASK_RUN_RECORDER", "TRIGGERS", "SCHEDULER", "LATE_RUNS", "DB_VACUUM")


def _migrated(folder: Path) -> Path:
    """Prefect's empty database, made once for all workers of a run and kept for later runs: it takes ten seconds."""
    from prefect import __version__
    from prefect.server.database.dependencies import provide_database_interface, temporary_database_interface
    from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL, temporary_settings

    made, half = folder / f"{__version__}.db", folder / f"{__version__}.half.db"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            half.unlink(missing_ok=True)
            url = {PREFECT_SERVER_DATABASE_CONNECTION_URL: f"sqlite+aiosqlite:///{half}"}
            with temporary_database_interface(), temporary_settings(url):
                asyncio.run(provide_database_interface().create_db())
            half.rename(made)
    return made


@pytest.fixture(scope="session", autouse=True)
def prefect(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[None]:
    """A Prefect server with a database of its own; the heartbeat, which costs a second for each flow, is off.

    The product looks after an endpoint every half second at first. The sandbox's are up sooner than that.
    """
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, PREFECT_LOGGING_LEVEL, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    assert pytestconfig.cache is not None
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("prefect")
        patch.setenv("PREFECT_HOME", str(home))
        patch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        for service in UNUSED_SERVICES:
            patch.setenv(f"PREFECT_SERVER_SERVICES_{service}_ENABLED", "false")
        patch.setattr("crossaccount.hosting.gateway.FIRST_SECONDS", 0.05)
        database = home / "harness"
        database.mkdir()
        shutil.copy(_migrated(pytestconfig.cache.mkdir("prefect")), database / "prefect-test.db")
        patch.setenv("PREFECT_SERVER_DATABASE_MIGRATE_ON_START", "false")
        # The harness makes a folder for its database; in this one there is one already.
        patch.setattr("prefect.testing.utilities.mkdtemp", lambda: str(database))
        with prefect_test_harness(server_startup_timeout=120):
            quiet = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None, PREFECT_LOGGING_LEVEL: "CRITICAL"}
            with temporary_settings(quiet):
                yield


@pytest.fixture(scope="module")
def shared(sandbox: Any) -> Iterator[Any]:
    """The sandbox after a share of its config, for a whole module: a test that breaks something mends it."""
    from flows.producer import share_models

    with pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.ready["env"].items():
            patch.setenv(name, value)
        with sandbox.restored():
            share_models(str(sandbox.config))
            yield sandbox
    for account in ("staging", "production"):
        assert not any(sandbox.hosted(account).values()), f"left in {account}: {sandbox.hosted(account)}"
