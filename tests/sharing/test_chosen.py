"""Versions that are chosen by what the registry says of them: who is shared, planned, granted and deployed, and who falls out."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from crossaccount.aws.access import open_producer, open_target
from crossaccount.config.loading import load_config
from crossaccount.errors import Failed, InputError, PlanRefused, Severity
from crossaccount.hosting import preflight
from crossaccount.sharing import apply, gather, publish, revoke
from crossaccount.sharing.plan import plan_share

GROUP = "decision-trees-sample"
VERSION = f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/"
SAYS = {
    1: {"ModelLifeCycle": {"Stage": "Production", "StageStatus": "Approved"}, "CustomerMetadataProperties": {"team": "risk", "tier": "1"}},
    2: {"ModelLifeCycle": {"Stage": "Staging", "StageStatus": "Approved"}, "CustomerMetadataProperties": {"team": "risk"}},
}  # fmt: skip


@contextlib.contextmanager
def saying(aws: Any, said: dict[int, dict[str, Any]]) -> Iterator[Any]:
    """Versions of which the registry says this for a while."""
    sm = aws.admin("producer", "sagemaker")
    for number, words in said.items():
        sm.update_model_package(ModelPackageArn=f"{VERSION}{number}", **words)
    try:
        yield sm
    finally:
        for number in said:
            sm.update_model_package(
                ModelPackageArn=f"{VERSION}{number}",
                ModelApprovalStatus="Approved",
                ModelLifeCycle={"Stage": "Development", "StageStatus": "Done"},
                CustomerMetadataPropertiesToRemove=["team", "tier"],
            )


@pytest.fixture(scope="module")
def said(sandbox: Any) -> Iterator[Any]:
    with saying(sandbox, SAYS) as sm:
        yield sm


# What versions asks for, and which of the two it chooses.
RULES: list[tuple[Any, list[int]]] = [
    ("approved", [1, 2]),
    ([2], [2]),
    ({"stage": "Production"}, [1]),
    ({"stage": ["Staging", "Production"]}, [1, 2]),
    ({"stage_status": "Approved"}, [1, 2]),
    ({"stage": "Staging", "stage_status": "Approved"}, [2]),
    ({"metadata": {"team": "risk"}}, [1, 2]),
    ({"metadata": {"team": "risk", "tier": "1"}}, [1]),
    ({"stage": "Staging", "metadata": {"team": "risk"}}, [2]),
]
CHOOSES_NONE: list[tuple[Any, str]] = [
    ({"stage": "production"}, "its stage is 'Staging', not 'production'"),
    ({"stage": "Production", "stage_status": "Pending"}, "its stage is 'Staging', not 'Production'"),
    ({"stage": "Staging", "stage_status": "Rejected"}, "its stage_status is 'Approved', not 'Rejected'"),
    ({"stage": "Staging", "metadata": {"tier": "1"}}, "its metadata.tier is none, not '1'"),
    ({"metadata": {"team": "Risk"}}, "its metadata.team is 'risk', not 'Risk'"),
]


@pytest.mark.parametrize(("versions", "chosen"), RULES, ids=str)
def test_both_sides_choose_the_same_versions_and_no_other_is_granted(
    said: Any, desk: Any, edited: Any, versions: Any, chosen: list[int]
) -> None:
    desk.sharing = load_config(edited(versions=versions))
    desk.producer = open_producer(desk.sharing)
    gathered = desk.gather()
    assert [version.version for version in gathered.versions] == chosen
    plan = plan_share(desk.sharing, gathered)
    assert not [each for each in plan.findings if each.severity is not Severity.NOTE]
    desk.apply(plan)
    statements = desk.aws.documents()["group"]["Statement"]
    (versions_of_ours,) = (each for each in statements if "sagemaker:CreateModel" in each["Action"])
    named = versions_of_ours["Resource"]
    wanted = [f"{VERSION}*"] if versions == "approved" else [f"{VERSION}{number}" for number in chosen]
    assert ([named] if isinstance(named, str) else named) == wanted
    target = open_target(desk.sharing, "staging")
    assert preflight.find_version(target, None).version == chosen[-1]
    for number in (1, 2):
        with contextlib.nullcontext() if number in chosen else pytest.raises(Exception, match="version"):
            assert preflight.find_version(target, number).version == number
    assert plan_share(desk.sharing, desk.gather()).writes == 0, "a second share writes nothing"


@pytest.mark.parametrize(("versions", "says"), CHOOSES_NONE, ids=str)
def test_a_rule_that_chooses_none_says_of_the_newest_what_it_lacks(
    said: Any, desk: Any, edited: Any, versions: Any, says: str
) -> None:
    with pytest.raises(PlanRefused, match=says):
        gather.make_plan(load_config(edited(versions=versions)))


def test_the_consumer_refuses_by_name_what_the_rule_does_not_choose(
    said: Any, desk: Any, edited: Any
) -> None:
    desk.apply(desk.plan())  # everything is granted: the rule alone keeps it out
    target = open_target(load_config(edited(versions={"stage": "Production"})), "staging")
    with pytest.raises(
        InputError, match=r"does not share version 2: its stage is 'Staging', not 'Production'"
    ):
        preflight.find_version(target, 2)
    target = open_target(load_config(edited(versions={"stage": "Nowhere"})), "staging")
    with pytest.raises(InputError, match="does not share version 2"):
        preflight.find_version(target, None)


def test_the_newest_published_version_is_one_that_the_rule_chooses(said: Any, desk: Any, edited: Any) -> None:
    found = desk.gather()
    plan = plan_share(desk.sharing, found)
    desk.apply(plan)
    for version in found.versions:
        publish.publish(desk.producer, publish.prepare(desk.producer, version, found, plan)[0])
    for versions, newest in (("approved", 2), ({"stage": "Production"}, 1), ({"stage": "Nowhere"}, None)):
        target = open_target(load_config(edited(versions=versions)), "staging")
        assert preflight.newest_published(target) == newest


def test_a_version_that_is_not_approved_is_never_chosen(desk: Any, edited: Any) -> None:
    rejected = {**SAYS[2], "ModelApprovalStatus": "Rejected"}
    with saying(desk.aws, {1: SAYS[1], 2: rejected}):
        sharing = load_config(edited(versions={"stage": ["Staging", "Production"]}))
        gathered = gather.gather(open_producer(sharing))
        assert [version.version for version in gathered.versions] == [1]


@pytest.mark.parametrize("moved", ["Archived", "Staging"])
def test_what_was_opened_for_a_version_that_moved_on_stays_until_it_is_pruned(
    desk: Any, edited: Any, moved: str
) -> None:
    sharing = load_config(edited(versions={"stage": "Production"}))
    producer = open_producer(sharing)
    both = {
        number: {"ModelLifeCycle": {"Stage": "Production", "StageStatus": "Approved"}} for number in (1, 2)
    }
    with saying(desk.aws, both) as sm:
        apply.apply(producer, plan_share(sharing, gather.gather(producer)))
        before = desk.aws.documents()
        sm.update_model_package(
            ModelPackageArn=f"{VERSION}2", ModelLifeCycle={"Stage": moved, "StageStatus": "Approved"}
        )
        gathered = gather.gather(producer)
        assert [version.version for version in gathered.versions] == [1]
        plan = plan_share(sharing, gathered)
        assert plan.writes == 0
        staying = [each.text for each in plan.findings if each.severity is Severity.NOTE]
        assert any("2 stays open for" in text for text in staying)
        assert desk.aws.documents() == before
        pruned = plan_share(sharing, gathered, prune=True)
        (of_group,) = (each for each in pruned.changes if each.resource.kind == "model-package-group")
        assert of_group.lost == ("222222222222", "333333333333")
        assert f"{VERSION}2" not in json.dumps(of_group.desired)


def test_a_single_version_of_a_rule_is_not_taken_back_by_its_number(aws: Any, edited: Any) -> None:
    with pytest.raises(InputError, match="by what the registry says of them"):
        revoke.choose(load_config(edited(versions={"stage": "Production"})), version=1)


# Wrong values, the key that is named, and a word of the sentence.
FAULTS: list[tuple[Any, str, str]] = [
    ({}, "versions", "asks for nothing"),
    ({"stage": None}, "versions", "asks for nothing"),
    ({"stage": "in production"}, "versions.stage", "'?in production'? is no name of a stage"),
    ({"stage": 3}, "versions.stage", "Put it in quotes"),
    ({"stage": []}, "versions.stage", "has 0 names"),
    ({"stage": ["A", "A"]}, "versions.stage", "listed twice"),
    ({"stage_status": True}, "versions.stage_status", "true-or-false"),
    ({"stages": "A"}, "versions.stages", "Did you mean stage?"),
    ({"metadata": {}}, "versions.metadata", "has 0 keys"),
    ({"metadata": ["team"]}, "versions.metadata", "is a list"),
    ({"metadata": {"tier": 1}}, "versions.metadata", "in quotes"),
    ({"metadata": {"tier": ""}}, "versions.metadata", "1 to 256"),
]


@pytest.mark.parametrize(("versions", "key", "says"), FAULTS, ids=str)
def test_a_wrong_rule_is_one_fault_that_names_its_key(
    aws: Any, edited: Any, versions: Any, key: str, says: str
) -> None:
    with pytest.raises(Exception, match=says) as error:
        load_config(edited(versions=versions))
    assert [fault.key for fault in error.value.faults] == [key]  # type: ignore[attr-defined]


def test_failed_is_the_kind_of_a_version_that_is_not_approved(desk: Any, edited: Any) -> None:
    from crossaccount.registry.chosen import refuse_unshared

    sharing = load_config(edited(versions={"stage": "Production"}))
    for number, error in ((2, InputError), (99, Failed)):
        with pytest.raises(error, match=f"ersion {number}"):
            refuse_unshared(desk.producer.sagemaker, sharing, number)
