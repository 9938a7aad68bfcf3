"""The declared automations as data: they are about every flow of this project, and take no living run for a lost one."""

from __future__ import annotations

import pkgutil
from datetime import timedelta
from fnmatch import fnmatchcase
from importlib import import_module
from typing import Any
from uuid import uuid4

import pytest
from prefect import Flow
from prefect.client.schemas.objects import StateType
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.settings.models.flows import FlowsSettings
from prefect.states import Cancelled, Completed, Crashed, Failed

import flows
from crossaccount.cli import main as cli
from flows import automations


def lost_runs(silent_seconds: int | None = None) -> Any:
    (found,) = automations.declared(silent_seconds)
    assert isinstance(found.trigger, EventTrigger)
    return found


def test_every_flow_is_watched_and_no_flow_of_others() -> None:
    modules = [import_module(f"flows.{one.name}") for one in pkgutil.iter_modules(flows.__path__)]
    ours = {found.name for module in modules for found in vars(module).values() if isinstance(found, Flow)}
    named = lost_runs().trigger.match_related.model_dump()
    assert set(named["prefect.resource.name"]) == ours
    assert named["prefect.resource.role"] == "flow"


@pytest.mark.parametrize(
    "state", [Completed().name, Failed().name, Cancelled().name, Crashed().name, "TimedOut", "Suspended"]
)
def test_a_run_that_has_ended_or_is_suspended_is_not_lost(state: str) -> None:
    assert f"prefect.flow-run.{state}" in lost_runs().trigger.expect


@pytest.mark.parametrize("state", ["Running", "Cancelling", "Pending"])
def test_what_a_lost_run_may_last_have_said_proves_no_life(state: str) -> None:
    assert not any(fnmatchcase(f"prefect.flow-run.{state}", one) for one in lost_runs().trigger.expect)


def test_a_silent_run_is_set_to_crashed_after_three_heartbeats_of_the_default() -> None:
    found = lost_runs()
    assert found.trigger.posture is Posture.Proactive
    # A host may be lost before the first heartbeat of its run.
    assert found.trigger.after == {"prefect.flow-run.Running", "prefect.flow-run.heartbeat"}
    assert "prefect.flow-run.heartbeat" in found.trigger.expect
    heartbeat = FlowsSettings.model_fields["heartbeat_frequency"].default
    assert found.trigger.within > 3 * timedelta(seconds=heartbeat)
    assert [(one.type, one.state, one.force) for one in found.actions] == [
        ("change-flow-run-state", StateType.CRASHED, False)
    ]
    assert lost_runs(100).trigger.within == timedelta(seconds=100)


def test_notifications_are_made_only_once_an_address_is_given_and_watch_the_same_flows() -> None:
    assert [one.name for one in automations.declared()] == ["crossaccount-lost-runs"]
    found = {one.name: one for one in automations.notifications(uuid4())}
    assert len(found) == 5
    watched = [
        one.trigger.match_related.model_dump()["prefect.resource.name"]  # type: ignore[union-attr]
        for one in (lost_runs(), found["crossaccount-notify-run-lost"])
    ]
    assert watched[0] == watched[1]
    assert {one.actions[0].type for one in found.values()} == {"call-webhook"}


@pytest.mark.parametrize(
    "address", ["hush", "ftp://hush.example", "https://user:hush@host/", "https://", "https://h/ush hush"]
)
def test_an_address_that_is_none_is_refused_and_not_shown(
    address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSSACCOUNT_NOTIFY_URL", address)
    for arguments in ([], ["--notify-url", address]):
        with (
            temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
            pytest.raises(SystemExit) as ended,
        ):
            cli.main(["automations", *arguments])
        assert ended.value.code == 2
        shown = capsys.readouterr().err
        assert "that is no address" in shown
        assert "hush" not in shown


@pytest.mark.parametrize(
    ("server", "arguments", "code", "says"),
    [
        (None, [], 2, "name it in PREFECT_API_URL"),
        ("http://127.0.0.1:9/api", [], 1, "The Prefect server does not answer"),
        (
            "http://127.0.0.1:9/api",
            ["--silent-seconds", "30"],
            2,
            "more than PREFECT_FLOWS_HEARTBEAT_FREQUENCY",
        ),
        ("http://127.0.0.1:9/api", ["--silent-seconds", "1h"], 2, "is not a number of seconds"),
    ],
)
def test_the_command_says_what_is_wrong(
    server: str | None, arguments: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with temporary_settings({PREFECT_API_URL: server}), pytest.raises(SystemExit) as ended:
        cli.main(["automations", *arguments])
    assert ended.value.code == code
    assert says in capsys.readouterr().err
