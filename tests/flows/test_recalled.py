"""A version that is recalled in the registry while it is live in two accounts: who says so, and that no access is narrowed for it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from crossaccount.aws.access import open_producer
from crossaccount.config.loading import load_config
from crossaccount.errors import AccessMissing, CrossAccountError, PlanRefused, VersionRecalled
from crossaccount.promotion import records
from crossaccount.promotion.outcome import Result
from crossaccount.sharing import gather
from flows.audit import check_access
from flows.consumer import deploy_model
from flows.producer import share_models
from flows.promotion import promote_model, rollback_model

GROUP = "decision-trees-sample"
VERSION = f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/"
ACCOUNTS = ("staging", "production")
APPROVED = {"Stage": "Production", "StageStatus": "Approved"}


def decide(aws: Any, number: int, approval: str = "Approved", **words: Any) -> None:
    aws.admin("producer", "sagemaker").update_model_package(
        ModelPackageArn=f"{VERSION}{number}", ModelApprovalStatus=approval, **words
    )


def allowed(aws: Any) -> str:
    return json.dumps(aws.documents(), sort_keys=True)


@pytest.fixture
def live(aws: Any, edited: Any) -> Iterator[Any]:
    """Version 2 in both accounts, promoted; both versions approved again in the end, and nothing left."""
    changes = {"consumers__staging__smoke_mode": "after", "consumers__production__smoke_mode": "after"}

    def serving(*numbers: int, **more: Any) -> str:
        path = str(edited(**changes, **more))
        for number in (*numbers, 2):
            promote_model(path, number)
        return path

    with aws.restored():
        yield serving
        for number in (1, 2):
            decide(aws, number, ModelLifeCycle={"Stage": "Development", "StageStatus": "Done"})
    aws.clear(ACCOUNTS)


@contextlib.contextmanager
def untouched(aws: Any) -> Iterator[None]:
    before = allowed(aws)
    yield
    assert allowed(aws) == before, "no access was narrowed"


def audited(path: str) -> tuple[type[Exception] | None, dict[str, Any], str]:
    try:
        audit = check_access(path)
    except (VersionRecalled, AccessMissing) as error:
        return type(error), error.audit, error.table
    return None, audit.to_json(), audit.text()


def test_rejected_while_live_in_two_accounts(aws: Any, live: Any, run: Any) -> None:
    path = live()
    assert audited(path)[0] is None
    decide(aws, 2, "Rejected")
    with untouched(aws):
        kind, audit, table = audited(path)
        assert kind is VersionRecalled
        assert {one["verdict"] for one in audit["answers"]} == {"yes"}, "the access is there"
        assert {(one["account"], one["version"], one["standing"]) for one in audit["live"]} == {
            ("222222222222", 2, "recalled"),
            ("333333333333", 2, "recalled"),
        }
        for name in ACCOUNTS:
            assert f"decision-trees-{name} serves version 2, which is Rejected in the registry" in " ".join(
                audit["recalled"]
            )
            assert f"crossaccount rollback CONFIG --consumer {name}" in table
        code, printed = run("check", path, "--no-probe")
        assert (code, printed["error"]["kind"]) == (1, "VersionRecalled")
        assert printed["error"]["audit"]["recalled"] == audit["recalled"]
        share_models(path)

        dry = promote_model(path, dry_run=True)
        assert all("serves version 2, which is Rejected in the registry" in one.text for one in dry.consumers)

        # The next scheduled promotion goes to the newest version that is still approved, and says why.
        promoted = promote_model(path)
        assert [(one.result, one.before, one.live) for one in promoted.consumers] == [
            (Result.PROMOTED, 2, 1)
        ] * 2
        for one in promoted.consumers:
            assert "Before, it served version 2, which is Rejected in the registry." in one.text
        kept = records.read(open_producer(load_config(path)), 1)[0]
        assert ["which is Rejected in the registry" in part["text"] for part in kept.consumers] == [
            True,
            True,
        ]
    assert audited(path)[0] is None


@pytest.mark.parametrize("listed", [False, True], ids=["approved", "listed"])
def test_where_no_version_is_left_to_promote_the_error_names_every_account(
    aws: Any, live: Any, listed: bool
) -> None:
    path = live()
    if listed:
        path = _with(path, versions=[2])
    else:
        decide(aws, 1, "Rejected")
    decide(aws, 2, "Rejected")
    with untouched(aws):
        with pytest.raises(CrossAccountError) as error:
            promote_model(path)
        notes = " ".join(error.value.__notes__)
        for name in ACCOUNTS:
            assert f"decision-trees-{name} serves version 2, which is Rejected in the registry" in notes
        assert "no access was narrowed" in notes
        kind, audit, _ = audited(path)
        assert kind is AccessMissing, "and nothing is left to deploy"
        assert len(audit["recalled"]) == 2
    for name in ACCOUNTS:
        sm = aws.admin(name, "sagemaker")
        assert sm.describe_endpoint(EndpointName=f"decision-trees-{name}")["EndpointStatus"] == "InService"


def _with(path: str, **changes: Any) -> str:
    from pathlib import Path

    import yaml

    document = yaml.safe_load(Path(path).read_text()) | changes
    Path(path).write_text(yaml.safe_dump(document))
    return path


MOVED_ON: list[tuple[dict[str, Any], str]] = [
    ({"approval": "PendingManualApproval"}, "is PendingManualApproval in the registry"),
    ({"ModelLifeCycle": {"Stage": "Archived", "StageStatus": "Approved"}}, "versions no longer chooses: its stage is 'Archived', not 'Production'"),
    ({"ModelLifeCycle": {"Stage": "Production", "StageStatus": "OnHold"}}, "versions no longer chooses: its stage_status is 'OnHold', not 'Approved'"),
]  # fmt: skip


def test_a_version_that_moved_on_is_told_and_pruned_only_by_force(aws: Any, live: Any) -> None:
    for number in (1, 2):
        decide(aws, number, ModelLifeCycle=APPROVED)
    path = live(versions={"stage": "Production", "stage_status": "Approved"})
    with untouched(aws):
        for words, reason in MOVED_ON:
            decide(aws, 2, **{"ModelLifeCycle": APPROVED, **words})
            kind, audit, _ = audited(path)
            assert (kind, {one["reason"] for one in audit["live"]}) == (VersionRecalled, {reason})
            share_models(path)
            with pytest.raises(
                PlanRefused,
                match=r"run on versions that are no longer shared: decision-trees-staging \(version 2\)",
            ):
                share_models(path, prune=True)
            with pytest.raises(PlanRefused, match=r"or add --force"):
                gather.make_plan(load_config(path), prune=True)
            dry = promote_model(path, dry_run=True)
            assert all(f"serves version 2, which {reason}" in one.text for one in dry.consumers), reason
        promoted = promote_model(path)
        assert all(f"Before, it served version 2, which {reason}." in one.text for one in promoted.consumers)
    share_models(path, prune=True)  # no endpoint needs it any more
    assert f"{VERSION}2" not in allowed(aws)


def test_pruning_by_force_goes_past_live_endpoints(aws: Any, live: Any, run: Any) -> None:
    path = live(versions=[1, 2])
    _with(path, versions=[1])
    with untouched(aws):
        kind, audit, _ = audited(path)
        assert (kind, {one["standing"] for one in audit["live"]}) == (None, {"not listed"})
        with pytest.raises(PlanRefused, match="version 2"):
            share_models(path, prune=True)
        assert run("share", path, "--prune", "--yes")[0] == 1
        assert run("plan", path, "--prune")[0] == 1
        assert run("plan", path, "--prune", "--force")[0] == 0
    assert run("share", path, "--prune", "--force", "--yes")[0] == 0
    assert f"{VERSION}2" not in allowed(aws)


def test_a_consumer_that_is_held_or_skipped_is_told_too(aws: Any, live: Any) -> None:
    path = live(1)
    rollback_model(path, "staging", "answers drifted")
    decide(aws, 1, "Rejected")
    with untouched(aws):
        promoted = promote_model(path)
    told = {one.consumer: one for one in promoted.consumers}
    assert (told["staging"].result, told["production"].result) == (Result.HELD, Result.UNCHANGED)
    assert (
        "On record, the endpoint decision-trees-staging serves version 1, which is Rejected"
        in told["staging"].text
    )
    assert "Rejected" not in told["production"].text


def test_a_deleted_version_and_a_kept_deployment_are_told(aws: Any, live: Any) -> None:
    smoke = {
        "content_type": "text/csv",
        "body": "5.1,3.5,1.4,0.2\n4.9,3.0,1.4,0.2",
        "expect_schema": {"type": "array"},
    }
    path = live(consumers__staging__smoke=[smoke])
    sm = aws.admin("producer", "sagemaker")
    made = sm.create_model_package(
        ModelPackageGroupName=GROUP,
        ModelApprovalStatus="Approved",
        InferenceSpecification=sm.describe_model_package(ModelPackageName=f"{VERSION}1")[
            "InferenceSpecification"
        ],
    )["ModelPackageArn"]
    number = int(made.rpartition("/")[2])
    try:
        share_models(path)
        deploy_model(path, "staging", number, keep=True)
    finally:
        sm.delete_model_package(ModelPackageName=made)
    _, audit, table = audited(path)
    (told,) = audit["recalled"]
    assert (
        f"decision-trees-staging-v{number} serves version {number}, which was deleted from the registry"
        in told
    )
    assert "Delete the endpoint once nobody needs it." in table


def test_what_may_not_be_looked_at_cannot_be_told(aws: Any, live: Any) -> None:
    path = live()
    decide(aws, 2, "Rejected")
    with aws.denied("staging", "crossaccount-deployer", "sagemaker:ListEndpoints"):
        _, audit, _ = audited(path)
    assert [one["consumer"] for one in audit["live"]] == ["production"]
    assert [
        one
        for one in audit["findings"]
        if "cannot be told" in one["text"] and one["subject"] == "consumers.staging"
    ]
