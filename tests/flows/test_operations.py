"""What surrounds every flow: the collector's pace, and how often a wait is told to Prefect."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from prefect import flow, runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

from crossaccount.errors import Failed
from flows.operations import operation
from tasks import steps


@pytest.fixture
def usual() -> Iterator[tuple[int, int, int]]:
    """Python's own setting of the collector, in place of the tests' own."""
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield gc.get_threshold()
    gc.set_threshold(*before)


@pytest.mark.parametrize("fails", [False, True])
def test_a_flow_leaves_the_collector_of_its_process_as_it_was(
    usual: tuple[int, int, int], fails: bool
) -> None:
    within = list[int]()

    @operation("looks-at-the-collector")
    def looking(config: str) -> None:
        within.append(gc.get_threshold()[0])
        if fails:
            raise Failed("as it should")

    if fails:
        with pytest.raises(Failed):
            looking("a.yaml")
    else:
        looking("a.yaml")
    assert within[0] > usual[0]
    assert gc.get_threshold() == usual


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the seconds that the progress counts with."""
    now = [1000.0]
    monkeypatch.setattr(steps, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def later(seconds: float) -> None:
        now[0] += seconds

    return later


def test_statuses_that_follow_each_other_at_once_are_one_change_and_the_end_is_told_at_once(
    clock: Callable[[float], None],
) -> None:
    told: list[str] = []

    @flow(name="waits", persist_result=False)
    def waiting() -> None:
        progress = steps.Progress("endpoint x")
        of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[runtime.flow_run.id]))
        with get_client(sync_client=True) as client:

            def shown() -> str:
                (artifact,) = client.read_artifacts(artifact_filter=of_run)
                return str(artifact.description)

            for status, seconds, percent in (
                ("Creating", 0.0, 50.0),
                ("Updating", 0.5, 50.0),  # too soon after the last
                ("Updating", 2.0, 50.0),  # it still stands
                ("Updating", 2.0, 50.0),  # nothing new
                ("InService", 0.1, 100.0),
            ):
                clock(seconds)
                progress.show(status, percent)
                told.append(shown())

    waiting()
    assert told == [
        f"endpoint x: {status}" for status in ("Creating", "Creating", "Updating", "Updating", "InService")
    ]
