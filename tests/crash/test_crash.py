"""The most dangerous kills, in a row: each run of a command is killed after its next write, until one comes to its end.

All kills, each in a world of its own: ``python tests/crash``.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from everywhere import OF_KINDS, PROMISES, Lane
from kinds import KINDS
from promises import Promise, after_a_kill, broken
from runs import Runner, answers, prefect_server
from world import PRODUCER, STAGING, State, World

OWN = "decision-trees-staging"


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    folder = tmp_path_factory.mktemp("crash")
    with ExitStack() as stack:
        api = stack.enter_context(prefect_server(folder))
        world = World(folder)
        stack.callback(world.stop)
        runner = Runner(world, api, folder)
        stack.callback(runner.stop)
        runner.ready()
        answers(api)
        yield Lane(world, runner, folder)


def served(state: State) -> dict[str, Any]:
    """What staging hosts: for each endpoint the version and the status, and the versions of models and endpoint configs."""
    hosted = state.hosted["staging"]
    version = {
        name: name.removeprefix(f"{OWN}-v").partition("-")[0] for kind in hosted for name in hosted[kind]
    }
    return {
        "endpoints": {
            name: (version[one["config"]], one["status"]) for name, one in hosted["endpoints"].items()
        },
        "configs": sorted(version[name] for name in hosted["configs"]),
        "models": sorted(version[name] for name in hosted["models"]),
        "processes": state.processes,
    }


PROMOTED = ("promote", "--yes")
ROWS = [
    (
        (*PROMOTED, "--version", "1"),
        [
            ("s3", "PutBucketPolicy", PRODUCER, 1),
            ("s3", "PutObject", PRODUCER, 1),
            ("sagemaker", "CreateEndpoint", STAGING, 1),  # the trial's
            ("sagemaker", "CreateEndpoint", STAGING, 2),  # the first says that the trial's exists
            ("s3", "PutObject", PRODUCER, 1),  # the other Release
        ],
        ("promotion", 1, None, 1),
        ("1", ["1"]),
    ),
    (
        PROMOTED,
        [("sagemaker", "UpdateEndpoint", STAGING, 1), ("sagemaker", "AddTags", STAGING, 1)],
        ("promotion", 2, 1, 2),
        ("2", ["1", "2"]),
    ),
    (
        ("rollback", "--consumer", "staging", "--reason", "answers drifted"),
        [("sagemaker", "UpdateEndpoint", STAGING, 1), ("s3", "PutObject", PRODUCER, 1)],
        ("rollback", 1, 2, 1),
        ("1", ["1", "2"]),
    ),
]


@pytest.mark.parametrize(("arguments", "kills", "record", "serves"), ROWS, ids=["first", "second", "back"])
def test_a_command_that_is_killed_after_each_write_comes_to_its_end(
    lane: Lane, arguments: Any, kills: Any, record: Any, serves: Any
) -> None:
    world, start = lane.world, lane.world.state()
    given = [arguments[0], lane.staging_alone, *arguments[1:]]
    seen = []
    for kill in kills:
        run = lane.runner.run(given, (kill, "after"))
        assert run.held is not None, f"{kill} was not come by: {run.output}"
        assert run.code == -9
        seen.append(world.documents())
        lane.runner.end_leases()
    last = lane.runner.run(given)
    assert last.code == 0, last.output
    now = world.state()
    for documents in seen:  # each policy was the old one or the new one all the time
        assert not list(after_a_kill(documents, start, now, world.strangers, {STAGING}))
    assert not list(broken(now, start, world.strangers, Promise(frozenset({STAGING}), record)))
    version, kept = serves
    assert served(now) == {
        "endpoints": {OWN: (version, "InService")},
        "configs": kept,
        "models": kept,
        "processes": 1,
    }


def test_every_kind_can_be_killed_at_every_call() -> None:
    spec = importlib.util.spec_from_file_location("crash_command", Path(__file__).with_name("__main__.py"))
    assert spec is not None
    assert spec.loader is not None
    command = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(command)
    assert set(command.COMMANDS) == set(PROMISES)
    assert set(OF_KINDS.values()) == set(KINDS)
