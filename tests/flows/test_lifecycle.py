"""What the registry is told as a promotion goes on: each stage of it once it is done, never an approval, and never backwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount.aws.access import open_producer
from crossaccount.config.loading import load_config
from crossaccount.errors import ConfigError, PromotionFailed
from crossaccount.promotion import records
from crossaccount.promotion.outcome import Result
from flows.promotion import promote_model, rollback_model

GROUP = "decision-trees-sample"
VERSION = f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/"
LIFECYCLE = {
    "1": {"stage": "Staging", "status": "InProgress"},
    "2": {"stage": "Production", "status": "Approved", "description": "Serves"},
}
QUICK = {"consumers__staging__smoke_mode": "after", "consumers__production__smoke_mode": "after"}


def says(aws: Any, number: int) -> dict[str, str] | None:
    described = aws.admin("producer", "sagemaker").describe_model_package(
        ModelPackageName=f"{VERSION}{number}"
    )
    assert described["ModelApprovalStatus"] == "Approved"
    found: dict[str, str] | None = described.get("ModelLifeCycle")
    return found


def written(calls: list[dict[str, Any]]) -> int:
    return len([one for one in calls if one["operation"] == "UpdateModelPackage" and one["status"] == 200])


@pytest.fixture
def path(aws: Any, edited: Any) -> Iterator[str]:
    """A config that tells the registry of both stages; the versions say nothing of it at first."""
    sm = aws.admin("producer", "sagemaker")
    start = {"Stage": "Development", "StageStatus": "OnHold"}
    for number in (1, 2):
        sm.update_model_package(ModelPackageArn=f"{VERSION}{number}", ModelLifeCycle=start)
    with aws.restored():
        yield edited(lifecycle=LIFECYCLE, **QUICK)
    for number in (1, 2):
        sm.update_model_package(
            ModelPackageArn=f"{VERSION}{number}", ModelApprovalStatus="Approved", ModelLifeCycle=start
        )
    aws.clear(("staging", "production"))


def test_each_stage_is_told_once_it_is_done_and_never_again(aws: Any, path: str) -> None:
    dry = promote_model(path, 1, dry_run=True)
    assert [(told.promotion_stage, told.result) for told in dry.lifecycle] == [
        (1, "would be written"),
        (2, "would be written"),
    ]
    assert "Version 1 would be in stage Staging (InProgress)." in dry.table()
    assert says(aws, 1) == {"Stage": "Development", "StageStatus": "OnHold"}
    with aws.calls() as calls:
        done = promote_model(path, 1)
    assert [told.result for told in done.lifecycle] == ["written", "written"]
    assert [told.before for told in done.lifecycle] == [
        "stage Development (OnHold)",
        "stage Staging (InProgress)",
    ]
    assert written(calls) == 2
    assert says(aws, 1) == {"Stage": "Production", "StageStatus": "Approved", "StageDescription": "Serves"}
    assert says(aws, 2) == {"Stage": "Development", "StageStatus": "OnHold"}
    (kept,) = records.read(open_producer(load_config(path)), 1)
    assert [told["result"] for told in kept.lifecycle] == ["written", "written"]
    assert "registry Production (Approved) written" in kept.line()
    with aws.calls() as calls:
        again = promote_model(path, 1)
    assert (written(calls), again.record) == (0, ""), "nothing was done, so nothing is on record"
    assert [told.result for told in again.lifecycle] == ["unchanged", "unchanged"]
    assert "is further on, in stage Production (Approved)" in again.lifecycle[0].text
    promote_model(path, 2)
    rolled = rollback_model(path, "production", "answers drifted")
    assert (rolled.lifecycle, says(aws, 2)) == (
        (),
        {"Stage": "Production", "StageStatus": "Approved", "StageDescription": "Serves"},
    )
    # A consumer that is held does not serve it, so the registry is not told of its stage.
    held = promote_model(path)
    assert [(told.promotion_stage, told.result) for told in held.lifecycle] == [(1, "unchanged"), (2, "left")]


def test_a_registry_that_cannot_be_told_fails_the_promotion_and_undoes_no_endpoint(
    aws: Any, path: str
) -> None:
    with (
        aws.denied("producer", "crossaccount-producer", "sagemaker:UpdateModelPackage"),
        pytest.raises(PromotionFailed, match="UpdateModelPackage") as failed,
    ):
        promote_model(path, 2)
    (told,) = failed.value.promotion["lifecycle"]
    assert told["result"] == "failed"
    assert "The endpoints serve version 2 and stay." in told["text"]
    results = {one["consumer"]: one["result"] for one in failed.value.promotion["consumers"]}
    assert results == {"staging": "promoted", "production": "skipped"}
    (kept,) = records.read(open_producer(load_config(path)), 1)
    assert (kept.outcome, kept.lifecycle[0]["result"]) == ("failed", "failed")
    done = promote_model(path, 2)
    assert [one.result for one in done.consumers] == [Result.UNCHANGED, Result.PROMOTED]
    assert [one.result for one in done.lifecycle] == ["written", "written"]


def test_without_lifecycle_the_registry_is_not_written_and_the_record_is_as_before(
    aws: Any, path: str, edited: Any
) -> None:
    plain = edited(**QUICK)
    with aws.calls() as calls:
        done = promote_model(plain, 1)
    assert (written(calls), done.lifecycle) == (0, ())
    bucket, _, key = done.record.removeprefix("s3://").partition("/")
    assert b"lifecycle" not in aws.admin("producer", "s3").get_object(Bucket=bucket, Key=key)["Body"].read()


def cycle(stage: str = "Staging", status: str = "Approved") -> dict[str, Any]:
    return {"ModelLifeCycle": {"Stage": stage, "StageStatus": status}}


# What the producer's role asks of UpdateModelPackage, and whether it may.
ASKED: dict[str, tuple[dict[str, Any], bool]] = {
    "a stage of the template": (cycle(), True),
    "with a description": ({"ModelLifeCycle": {"Stage": "Production", "StageStatus": "Approved", "StageDescription": "d"}}, True),
    "another stage": (cycle("Retired"), False),
    "a stage in another case": (cycle("staging"), False),
    "another status": (cycle(status="Blessed"), False),
    "an approval": ({"ModelApprovalStatus": "Approved"}, False),
    "a rejection": ({"ModelApprovalStatus": "Rejected"}, False),
    "a stage and an approval": ({**cycle(), "ModelApprovalStatus": "Approved"}, False),
    "a stage and a rejection": ({**cycle(), "ModelApprovalStatus": "Rejected"}, False),
    "a description of an approval": ({"ApprovalDescription": "d"}, False),
    "metadata": ({"CustomerMetadataProperties": {"team": "risk"}}, False),
    "metadata that go": ({**cycle(), "CustomerMetadataPropertiesToRemove": ["team"]}, False),
    "a model card": ({"ModelCard": {"ModelCardStatus": "Approved"}}, False),
}  # fmt: skip


@pytest.mark.parametrize("what", ASKED)
def test_the_role_may_write_the_stages_of_its_template_and_nothing_else(
    aws: Any, path: str, what: str
) -> None:
    given, may = ASKED[what]
    sm = aws.role("producer", "crossaccount-producer", "sagemaker")
    if may:
        sm.update_model_package(ModelPackageArn=f"{VERSION}1", **given)
        assert says(aws, 1) == given["ModelLifeCycle"]
        return
    with pytest.raises(ClientError, match="is not authorized to perform: sagemaker:UpdateModelPackage"):
        sm.update_model_package(ModelPackageArn=f"{VERSION}1", **given)


def test_a_consumer_may_not_write_any_of_it(aws: Any, path: str) -> None:
    promote_model(path, 1)
    sm = aws.role("staging", "crossaccount-deployer", "sagemaker")
    with pytest.raises(ClientError, match="not authorized"):
        sm.update_model_package(ModelPackageArn=f"{VERSION}1", **cycle())


# Wrong values of lifecycle beside a choice of versions, the key that is named, and a word of the sentence.
FAULTS: list[tuple[Any, Any, str, str]] = [
    ("approved", ["Staging"], "lifecycle", "is a list"),
    ("approved", {"stage": "Staging"}, "lifecycle", "no stage of a promotion"),
    ("approved", {"0": LIFECYCLE["1"]}, "lifecycle", "no stage of a promotion"),
    ("approved", {"01": LIFECYCLE["1"]}, "lifecycle", "no stage of a promotion"),
    ("approved", {"7": LIFECYCLE["1"]}, "lifecycle.7", "no consumer has the stage"),
    ("approved", {"1": {"stage": "Staging"}}, "lifecycle.1.status", "is missing"),
    ("approved", {"1": {"stage": "in staging", "status": "A"}}, "lifecycle.1.stage", "no name of a stage"),
    ("approved", {"1": {"stage": "A", "status": "B", "approval": "C"}}, "lifecycle.1.approval", "is not a key"),
    ("approved", {"1": {"stage": "A", "status": "B", "description": "x" * 1025}}, "lifecycle.1.description", "1024"),
    ({"stage": "Production"}, {"1": LIFECYCLE["1"]}, "lifecycle.1.stage", "takes a version out of versions.stage"),
    ({"stage_status": ["Approved"]}, {"1": LIFECYCLE["1"]}, "lifecycle.1.status", "out of versions.stage_status"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("versions", "lifecycle", "key", "word"), FAULTS, ids=[fault[2] + fault[3][:9] for fault in FAULTS]
)
def test_a_wrong_lifecycle_is_one_fault_that_names_its_key(
    edited: Any, versions: Any, lifecycle: Any, key: str, word: str
) -> None:
    with pytest.raises(ConfigError, match=word) as error:
        load_config(edited(versions=versions, lifecycle=lifecycle))
    assert [fault.key for fault in error.value.faults] == [key]


def test_a_lifecycle_that_the_rule_chooses_agrees(edited: Any) -> None:
    rule = {"stage": ["Staging", "Production"], "stage_status": ["InProgress", "Approved"]}
    assert list(load_config(edited(versions=rule, lifecycle=LIFECYCLE)).lifecycle) == [1, 2]
