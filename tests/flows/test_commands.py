"""The commands around a plan: a file that is agreed on, what an audit ends with, what may be taken back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from crossaccount.config.loading import load_config
from crossaccount.errors import AccessMissing, Conflict, Failed
from crossaccount.sharing import gather
from flows.audit import check_access
from flows.producer import revoke_access, share_models
from flows.promotion import promote_model, rollback_model
from tasks import locks


def test_a_plan_that_was_agreed_on_is_applied_once_and_then_stale(aws: Any, run: Any, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    with aws.restored():
        code, planned = run("plan", aws.config, "--out", file)
        assert (code, planned["writes"]) == (0, 4)
        code, shared = run("share", "--plan", file)
        assert (code, shared["writes"], shared["hash"]) == (0, 4, planned["hash"])
        assert [receipt["verb"] for receipt in shared["receipts"]] == ["create", "create", "update", "create"]
        before = aws.documents()
        code, stale = run("share", aws.config, "--plan", file)
        assert (code, stale["error"]["kind"]) == (1, "Conflict")
        assert "is stale" in stale["error"]["message"]
        assert planned["changes"][0]["existing_hash"] in stale["error"]["message"]
        assert aws.documents() == before


def test_a_plan_made_before_somebody_else_s_change_is_refused(aws: Any, run: Any, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    theirs = {
        "Sid": "T",
        "Effect": "Allow",
        "Principal": {"AWS": "444444444444"},
        "Action": "ecr:DescribeImages",
    }
    with aws.restored():
        assert run("plan", aws.config, "--out", file)[0] == 0
        aws.put("repository", {"Version": "2012-10-17", "Statement": [theirs]})
        before = aws.documents()
        code, stale = run("share", "--plan", file)
        assert code == 1
        assert "policy of repository decision-trees-sample" in stale["error"]["message"]
        assert aws.documents() == before


def test_a_flow_refuses_any_plan_but_the_one_agreed_to(aws: Any) -> None:
    with aws.restored():
        before = aws.documents()
        with pytest.raises(Conflict, match="no longer the one that was agreed to"):
            share_models(str(aws.config), agreed="0" * 16)
        assert aws.documents() == before
        agreed = gather.make_plan(load_config(aws.config)).digest
        assert share_models(str(aws.config), agreed=agreed).plan.writes == 4
        with pytest.raises(Conflict):
            revoke_access(str(aws.config), everything=True, agreed=agreed)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("share",), "Name the config"),
        (("share", "CONFIG", "--plan", "/nowhere.json"), "cannot be read"),
        (("share", "--plan", "CONFIG"), "this is not a plan"),
        (("share", "CONFIG", "--plan", "CONFIG", "--prune"), "belongs to the plan"),
        (("plan", "CONFIG", "--out", "/nowhere/plan.json"), "cannot be written"),
        (("revoke", "CONFIG", "--account", "12", "--yes"), "12 digits"),
        (("revoke", "CONFIG", "--version", "2", "--yes"), "with one statement"),
        (("check", "CONFIG", "--consumer", "ghost"), "not a consumer"),
    ],
)
def test_bad_input_is_told_and_changes_nothing(
    aws: Any, run: Any, arguments: tuple[str, ...], says: str
) -> None:
    before = aws.documents()
    code, said = run(*(aws.config if one == "CONFIG" else one for one in arguments))
    assert (code, said["ok"], said["exit_code"]) == (2, False, 2)
    assert says in said["error"]["message"]
    assert aws.documents() == before


def test_what_to_revoke_must_be_said_and_only_once(aws: Any, run: Any) -> None:
    assert run("revoke", aws.config, "--yes")[0] == 2
    assert run("revoke", aws.config, "--all", "--version", "1", "--yes")[0] == 2


def test_a_check_ends_with_3_while_access_is_missing_and_with_0_once_it_is_there(aws: Any, run: Any) -> None:
    with aws.restored():
        code, missing = run("check", aws.config, "--repair")
        assert (code, missing["error"]["kind"]) == (3, "AccessMissing")
        found = missing["error"]["audit"]
        doors = {(one["consumer"], one["door"]) for one in found["answers"] if one["verdict"] == "no"}
        assert {("staging", "registry"), ("production", "bucket")} <= doors
        assert found["repair"]["writes"] == 4
        share_models(str(aws.config))
        code, found = run("check", aws.config)
        assert (code, found["ok"], found["missing"]) == (0, True, [])
        assert {one["verdict"] for one in found["answers"]} == {"yes"}


def test_a_check_as_a_flow_speaks_of_one_consumer_when_asked(aws: Any) -> None:
    with aws.restored():
        share_models(str(aws.config))
        revoke_access(str(aws.config), "production")
        assert {one.consumer for one in check_access(str(aws.config), "staging").answers} == {"staging"}
        with pytest.raises(AccessMissing) as error:
            check_access(str(aws.config))
        assert all("production" in one for one in error.value.missing)


def test_runs_on_one_server_write_one_after_the_other(aws: Any) -> None:
    """The limits that hold writers apart are named after the resources, and have one slot."""
    from prefect.client.orchestration import get_client

    with aws.restored():
        share_models(str(aws.config))
    with get_client(sync_client=True) as client:
        limits = {limit.name: limit.limit for limit in client.read_global_concurrency_limits(limit=100)}
    assert limits["crossaccount arn:aws:s3:::producer-models-111111111111"] == 1
    assert len([name for name in limits if name.startswith("crossaccount arn:")]) >= 4


def test_a_share_waits_for_another_run_that_writes_and_then_changes_nothing(
    aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with aws.restored():
        before = aws.documents()
        held = locks.writing(["arn:aws:s3:::producer-models-111111111111"])
        with held, monkeypatch.context() as patch:
            patch.setattr(locks, "_WAIT_SECONDS", 1.0)
            with pytest.raises(Failed, match="Other runs have been writing to "):
                share_models(str(aws.config))
        assert aws.documents() == before
        assert share_models(str(aws.config)).plan.writes == 4


def test_a_promotion_is_made_taken_back_and_listed(aws: Any, run: Any, edited: Any) -> None:
    path = edited(consumers__production=None)
    with aws.restored():
        try:
            promote_model(path, version=1)
            code, promoted = run("promote", path, "--yes")
            assert (code, promoted["consumers"][0]["before"], promoted["consumers"][0]["live"]) == (0, 1, 2)
            code, back = run("rollback", path, "--consumer", "staging", "--reason", "it drifted")
            assert (code, back["version"]) == (0, 1)
            with pytest.raises(Failed, match="no earlier version that proved itself"):
                rollback_model(path, "staging", "once more")
            code, listed = run("history", path)
            assert [(one["kind"], one["version"], one["reason"]) for one in listed["records"]] == [
                ("rollback", 1, "it drifted"),
                ("promotion", 2, ""),
                ("promotion", 1, ""),
            ]
            assert run("promote", path)[0] == 2, "without a terminal it needs --yes"
        finally:
            sm = aws.admin("staging", "sagemaker")
            sm.delete_endpoint(EndpointName="decision-trees-staging")
            while sm.list_endpoints()["Endpoints"]:
                time.sleep(0.05)
            for name in aws.hosted("staging")["configs"]:
                sm.delete_endpoint_config(EndpointConfigName=name)
            for name in aws.hosted("staging")["models"]:
                sm.delete_model(ModelName=name)
