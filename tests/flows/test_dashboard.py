"""The dashboard and the summaries, as flows keep them: who sees what, and what stays as it was last known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey
from prefect.client.schemas.sorting import ArtifactSort, FlowRunSort
from prefect.runtime import deployment

from crossaccount.errors import AccessMissing, Refused
from crossaccount.show import dashboard
from crossaccount.show.dashboard import Part
from flows.audit import check_access
from flows.consumer import deploy_model
from flows.groups import share_groups
from flows.producer import revoke_access, share_models
from flows.promotion import promote_model, rollback_model
from tasks import alerts
from tasks.dashboard import parts, put

GROUP = "decision-trees-sample"
ARN = f"arn:aws:sagemaker:us-east-1:111111111111:model-package-group/{GROUP}"
STAGING, PRODUCTION = "staging@222222222222", "production@333333333333"
BUCKET = "bucket producer-models-111111111111"


def board() -> dict[str, Part]:
    with get_client(sync_client=True) as client:
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[f"crossaccount-{GROUP}"]))
        found = client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC, limit=1)
    return dashboard.read(str(found[0].data))[ARN] if found else {}  # other files' runs write it too


def door(name: str, subject: str, account: str) -> str:
    found = board()
    return dashboard.door_verdict(found.get(f"{subject}/door/{name}"), found.get(f"{account}/door/{name}"))[0]


def last() -> tuple[Any, Any]:
    """The run that began last, and its summary."""
    with get_client(sync_client=True) as client:
        (run,) = client.read_flow_runs(limit=1, sort=FlowRunSort.START_TIME_DESC)
        of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
        found = client.read_artifacts(artifact_filter=of_run, sort=ArtifactSort.CREATED_DESC)
    assert str(found[0].key).startswith("summary-"), "it is put last, so that the run's page shows it first"
    return run, found[0]


@pytest.fixture(scope="module")
def story(sandbox: Any) -> Iterator[Any]:
    """Share, check, promote to 1, promote to 2, and back: what the tests below look at, in their order."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.ready["env"].items():
            patch.setenv(name, value)
        with sandbox.restored():
            yield sandbox
    sandbox.clear(["staging", "production"])


def test_a_share_grants_and_says_no_yes(story: Any) -> None:
    before = board().get(f"{STAGING}/live")
    share_models(str(story.config))
    assert door(BUCKET, STAGING, "222222222222") in ("granted", "yes")
    assert board()[f"222222222222/door/{BUCKET}"].facts["verdict"] == "granted"
    assert board()["group/shared"].facts == {"versions": [1, 2]}
    assert board().get(f"{STAGING}/live") == before, "it does not see endpoints"
    run, summary = last()
    assert run.state.message == summary.description.splitlines()[0].strip("*")
    assert summary.description.startswith(
        f"**Shared version 1, 2 of {GROUP}: 4 of 4 policies changed, 2 of 2"
    )
    assert "- staging (222222222222): gains " in summary.description


def test_a_check_tries_the_doors(story: Any) -> None:
    check_access(str(story.config))
    assert door(BUCKET, STAGING, "222222222222") == "yes"
    assert board()[f"{STAGING}/live"].facts["version"] is None
    assert last()[1].description.startswith(f"**Access to {GROUP}: nothing is missing.**")


def test_a_promotion_moves_what_is_live_and_keeps_what_it_did_not_see(story: Any) -> None:
    before = board()
    promote_model(str(story.config), 1)
    after = board()
    for subject in (STAGING, PRODUCTION):
        assert after[f"{subject}/live"].facts["version"] == 1
        assert after[f"{subject}/proved"].facts["version"] == 1
    assert after["group/moved"].facts == {
        "kind": "promotion",
        "version": 1,
        "outcome": "succeeded",
        "reason": "",
    }
    tried = f"{STAGING}/door/{BUCKET}"
    assert after[tried] == before[tried], "as it was last known, with its time"
    moves = {place for place in after if place.startswith("move/") and after[place] != before.get(place)}
    assert {place.split(" ")[0] for place in moves} == {"move/staging", "move/production"}
    assert "staging (222222222222): promoted: " in last()[1].description


def test_a_rollback_is_told_with_its_reason(story: Any) -> None:
    promote_model(str(story.config), 2)
    rollback_model(str(story.config), "staging", "it drifted")
    assert [board()[f"{each}/live"].facts["version"] for each in (STAGING, PRODUCTION)] == [1, 2]
    assert board()["group/moved"].facts["reason"] == "it drifted"
    run, summary = last()
    assert run.state.message.startswith(f"Rollback of {GROUP} to version 1 succeeded")
    assert "Why: it drifted" in summary.data


@contextmanager
def before_a_write(what: Callable[[], Any]) -> Iterator[None]:
    """Has something done once, just before the page of a run is put."""
    create = SyncPrefectClient.create_artifact

    def put_later(self: SyncPrefectClient, artifact: Any) -> Any:
        if artifact.key == f"crossaccount-{GROUP}":
            patch.undo()
            what()
        return create(self, artifact)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SyncPrefectClient, "create_artifact", put_later)
        yield


def test_a_run_that_writes_between_another_ones_look_and_write_is_on_the_page_at_once(story: Any) -> None:
    path = str(story.config)
    with before_a_write(lambda: revoke_access(path, "production", force=True)):
        deploy_model(path, "staging", 2)
    assert board()[f"{STAGING}/proved"].facts["version"] == 2
    assert door(BUCKET, PRODUCTION, "333333333333") == "no"
    share_models(path)
    assert door(BUCKET, PRODUCTION, "333333333333") == "granted", "opened again, and not tried since"


def pages_of(key: str) -> list[Any]:
    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
    with get_client(sync_client=True) as client:
        return list(client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC))


@pytest.mark.parametrize("groups", [1, 3])
def test_of_runs_that_write_at_once_the_page_has_the_parts_of_all(story: Any, groups: int) -> None:
    """Each run looks before any of them writes; the next look of one falls among the writes of the others."""
    names = [f"raced-{groups}-{number}" for number in range(groups)]
    arns = [ARN.replace(GROUP, name) for name in names]
    runs, looked = 4, Barrier(4)

    def write(number: int) -> None:
        seen = False

        class Slow:
            """The client, whose first look waits for those of all others."""

            def __getattr__(self, name: str) -> Any:
                def call(*args: Any, **named: Any) -> Any:
                    nonlocal seen
                    found = getattr(client, name)(*args, **named)
                    if name.startswith("read") and not seen:
                        seen = True
                        looked.wait(20)
                    return found

                return call

        with get_client(sync_client=True) as client:
            run = client.create_flow_run(share_models, parameters={"config": "x"}).id
            facts = {f"production@333333333333/kept/{number}": {"version": number}}
            put(Slow(), run, {arn: parts(facts, run) for arn in arns}, {})  # type: ignore[arg-type]

    with ThreadPoolExecutor(runs) as pool:
        list(pool.map(write, range(runs)))
    for name, arn in zip(names, arns, strict=True):
        pages = pages_of(f"crossaccount-{name}")
        held = dashboard.read(str(pages[0].data))[arn]
        assert {place.rpartition("/")[2] for place in held} == {"0", "1", "2", "3"}
        assert len(pages) <= runs * 5


def test_a_refusal_shuts_the_door_on_the_dashboard_and_heads_the_run(story: Any) -> None:
    path = str(story.config)
    revoke_access(path, account="222222222222", force=True)
    assert door(BUCKET, STAGING, "222222222222") == "no"
    with pytest.raises(Refused):
        deploy_model(path, "staging", 1)
    run, summary = last()
    assert "the registry door of account 111111111111 is shut" in run.state.message
    assert summary.description.startswith(
        "**Failed: arn:aws:iam::222222222222:role/crossaccount-deployer may not"
    )
    assert "Account 111111111111 opens it: crossaccount share CONFIG" in summary.description
    assert board()[f"{STAGING}/door/registry {GROUP}"].facts["verdict"] == "no"
    share_models(path)


@pytest.mark.parametrize(
    ("flow", "parameters"),
    [
        (share_models, {"consumer": "staging"}),
        (revoke_access, {"consumer": "staging", "force": True}),
    ],
)
def test_a_dry_run_is_a_plan_and_links_to_the_run_that_does_exactly_that(
    story: Any, monkeypatch: pytest.MonkeyPatch, flow: Any, parameters: dict[str, Any]
) -> None:
    path, made = str(story.config), "11111111-2222-4333-8444-555555555555"
    if flow is share_models:
        revoke_access(path, "staging", force=True)
    before = board()
    with monkeypatch.context() as form:  # as a run of a deployment
        form.setattr(deployment, "get_id", lambda: made, raising=False)
        form.setattr("tasks.reviewed.locate", lambda config, deployed: path)
        planned = flow(path, dry_run=True, **parameters)
        run, summary = last()
        assert board() == before, "a dry run changes nothing, and sees nothing new"
        assert run.name.startswith("plan of: ")
        assert run.state.message.startswith("Plan of a ")
        (link,) = [part for part in summary.data.split("](") if part.startswith("../../deployments/")]
        address = urlsplit(link.partition(")")[0])
        assert address.path == f"../../deployments/deployment/{made}/run"
        given = json.loads(parse_qs(address.query)["parameters"][0])
        assert (given["dry_run"], given["agreed"]) == (False, planned.plan.digest)
        assert flow(**given).plan.digest == planned.plan.digest
    share_models(path)


def test_a_plan_that_went_stale_is_refused(story: Any) -> None:
    path = str(story.config)
    agreed = revoke_access(path, "staging", dry_run=True, force=True).plan.digest
    revoke_access(path, "production", force=True)
    with pytest.raises(Exception, match="no longer the one that was agreed to"):
        revoke_access(path, "staging", agreed=agreed, force=True)
    share_models(path)


def test_a_dashboard_that_cannot_be_written_fails_nothing_and_is_told(
    story: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    create = SyncPrefectClient.create_artifact

    def broken(self: SyncPrefectClient, artifact: Any) -> Any:
        if str(artifact.key).startswith(("crossaccount-", "summary-")):
            raise RuntimeError("the server is gone")
        return create(self, artifact)

    monkeypatch.setattr(SyncPrefectClient, "create_artifact", broken)
    with caplog.at_level("WARNING"):
        found = deploy_model(str(story.config), "staging", 1)
    assert found.proof.verified
    assert "The pages of this run could not be written: RuntimeError: the server is gone" in caplog.text


def test_the_pages_take_one_request_to_read_two_to_write_and_one_to_look_again(
    story: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    request = SyncPrefectClient.request

    def counted(self: SyncPrefectClient, method: str, path: str, **more: Any) -> Any:
        asked.append(f"{method} {path}")
        return request(self, method, path, **more)

    monkeypatch.setattr(SyncPrefectClient, "request", counted)
    share_models(str(story.config))
    end = asked.index("POST /artifacts/filter")
    read, write = "POST /artifacts/filter", "POST /artifacts/"
    assert asked[end:][:4] == [read, write, read, write], "together, at the end"
    assert not {read, write} & set(asked[end:][4:])


def test_many_groups_are_told_in_one_summary(story: Any) -> None:
    revoke_access(str(story.config), everything=True, force=True)
    share_groups([str(story.config)])
    assert door(BUCKET, STAGING, "222222222222") == "granted"
    assert last()[1].description.startswith("**Shared 1 groups: ")


def test_a_check_alerts_once_a_day_and_at_once_of_what_is_new(
    story: Any, edited: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with get_client(sync_client=True) as client:  # other tests' checks may have alerted of the same today
        for each in client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[f"crossaccount-{GROUP}"]))
        ):
            client.delete_artifact(each.id)
    emitted: list[tuple[str, str]] = []
    monkeypatch.setattr(
        alerts, "emit_event", lambda event, payload, **_: emitted.append((event, payload["text"]))
    )
    expires = (datetime.now(UTC) + timedelta(days=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    path = edited(consumers__staging__expires=expires)
    share_models(path)
    for _ in range(2):
        check_access(path, probe=False)
    assert [event for event, _ in emitted] == [alerts.GRANT_EXPIRES], "not by every check"
    assert "the grant of staging (222222222222) expires" in emitted[0][1]
    revoke_access(path, "production", force=True)
    for _ in range(2):
        with pytest.raises(AccessMissing):
            check_access(path, probe=False)
    assert [event for event, _ in emitted] == [alerts.GRANT_EXPIRES, alerts.ACCESS_MISSING]
    assert "production: registry" in emitted[1][1]
    text, (run, summary) = emitted[1][1], last()
    assert summary.description.startswith("**Failed: Access that the config promises is missing")
    assert "production (333333333333): **no**" in summary.description
    assert text.startswith(GROUP)
    assert run.state.name == "Failed"
