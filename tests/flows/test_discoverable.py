"""A group that its consumers find in their own lists: promoted by a share, promoted again after a put, and refused early where AWS RAM cannot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from crossaccount.audit.answers import DISCOVERY, Audit, Verdict, combine
from crossaccount.audit.documents import read_documents
from crossaccount.audit.probe import try_doors
from crossaccount.config.loading import load_config
from crossaccount.errors import AccessMissing, PlanRefused, Refused
from crossaccount.sharing.discovery import unpromotable
from flows.audit import check_access
from flows.producer import share_models

GROUP = "arn:aws:sagemaker:us-east-1:111111111111:model-package-group/decision-trees-sample"
ROOT = "arn:aws:iam::222222222222:root"


def statement(**changes: Any) -> dict[str, Any]:
    one = {
        "Sid": "S",
        "Effect": "Allow",
        "Principal": {"AWS": ROOT},
        "Action": ["sagemaker:ListModelPackages"],
        "Resource": GROUP,
    }
    return {key: value for key, value in {**one, **changes}.items() if value is not None}


# A statement, and a word of why AWS RAM does not promote a policy with it; empty where nothing documented speaks against it.
STATEMENTS: list[tuple[dict[str, Any], str]] = [
    (statement(), ""),
    (statement(Principal={"AWS": "222222222222"}), ""),
    (statement(Principal={"AWS": [ROOT, "333333333333"]}), ""),
    (statement(Principal="*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}), ""),
    (statement(Condition={"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::222222222222:role/r"}}), ""),
    (statement(Action="sagemaker:CreateModel"), ""),
    (statement(Principal={"AWS": "arn:aws:iam::222222222222:role/r"}), "neither an account"),
    (statement(Principal={"AWS": [ROOT, "arn:aws:iam::222222222222:user/u"]}), "neither an account"),
    (statement(Principal={"AWS": "arn:aws:sts::222222222222:assumed-role/r/s"}), "neither an account"),
    (statement(Principal={"AWS": "AROAEXAMPLEEXAMPLE"}), "neither an account"),
    (statement(Principal={"Service": "sagemaker.amazonaws.com"}), "no account"),
    (statement(Action="*"), "the action *"),
    (statement(Action=["sagemaker:ListModelPackages", "*"]), "the action *"),
    (statement(Action=None, NotAction="sagemaker:CreateModel"), "left out"),
    (statement(Principal=None, NotPrincipal={"AWS": ROOT}), "left out"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "why"), STATEMENTS)
def test_what_aws_ram_can_promote(one: dict[str, Any], why: str) -> None:
    assert bool(unpromotable({"Version": "2012-10-17", "Statement": [one]})) is bool(why)
    assert why in (unpromotable({"Version": "2012-10-17", "Statement": [statement(), one]}) or "")


@pytest.fixture
def path(aws: Any, edited: Any) -> Iterator[str]:
    with aws.restored():
        yield edited(producer__discoverable=True)


def answers(path: str) -> dict[str, Verdict]:
    sharing = load_config(path)
    producer = read_documents(sharing, ["staging", "production"])
    met = {name: try_doors(sharing, name, producer.versions, False) for name in sharing.consumers}
    audit: Audit = combine(sharing, list(sharing.consumers), producer, met, False)
    return {one.consumer: one.verdict for one in audit.answers if one.door == DISCOVERY}


def listed(aws: Any, account: str) -> list[str]:
    sm = aws.role(account, "crossaccount-deployer", "sagemaker")
    found = sm.list_model_package_groups(CrossAccountFilterOption="CrossAccount")
    return [one["ModelPackageGroupArn"] for one in found["ModelPackageGroupSummaryList"]]


def test_a_share_makes_it_discoverable_and_check_says_so(aws: Any, path: str, edited: Any) -> None:
    share_models(edited())
    assert (listed(aws, "staging"), answers(path)) == (
        [],
        dict.fromkeys(("staging", "production"), Verdict.NO),
    )
    with pytest.raises(AccessMissing, match="staging: discovery"):
        check_access(path, probe=False)
    shared = share_models(path)
    assert (shared.to_json()["discoverable"], "discoverable: AWS RAM has promoted" in shared.table()) == (
        True,
        True,
    )
    assert listed(aws, "staging") == listed(aws, "production") == [GROUP]
    assert answers(path) == dict.fromkeys(("staging", "production"), Verdict.YES)
    with aws.calls() as calls:
        share_models(path)
    assert not [one for one in calls if str(one["operation"]).startswith("Promote")], (
        "it was promoted already"
    )
    # What a put does to a promoted share is read after it, and put right.
    share_models(edited(producer__discoverable=True, consumers__staging__expires="2099-01-01"))
    assert listed(aws, "staging") == [GROUP]
    with aws.denied("staging", "crossaccount-deployer", "sagemaker:ListModelPackageGroups"):
        assert answers(path) == {"staging": Verdict.CANNOT_TELL, "production": Verdict.YES}


@pytest.mark.parametrize(
    ("principals", "discoverable"), [("accounts", True), ("roles", True), ("accounts", False)]
)
def test_it_is_for_whoever_is_let_in_and_only_where_it_is_asked_for(
    aws: Any, edited: Any, principals: str, discoverable: bool
) -> None:
    with aws.restored():
        share_models(edited(producer__discoverable=discoverable, principals=principals))
        assert listed(aws, "staging") == ([GROUP] if discoverable else [])


@pytest.mark.parametrize(
    "foreign",
    [{"Principal": {"AWS": "arn:aws:iam::222222222222:role/crossaccount-deployer"}}, {"Action": "*"}],
)
def test_a_policy_that_aws_ram_cannot_promote_is_refused_before_anything_is_written(
    aws: Any, path: str, edited: Any, foreign: dict[str, Any]
) -> None:
    aws.put("group", {"Version": "2012-10-17", "Statement": [statement(Sid="Theirs", **foreign)]})
    before = aws.documents()
    with pytest.raises(
        PlanRefused, match=r"cannot make the group discoverable with it, because its statement Theirs"
    ):
        share_models(path)
    assert aws.documents() == before
    share_models(edited())  # which does not ask for it


def test_a_promotion_that_is_refused_leaves_the_access_and_says_so(aws: Any, path: str) -> None:
    with (
        aws.denied("producer", "crossaccount-producer", "ram:PromotePermissionCreatedFromPolicy"),
        pytest.raises(Refused, match="ram:PromotePermissionCreatedFromPolicy"),
    ):
        share_models(path)
    assert aws.documents()["group"] is not None
    assert listed(aws, "staging") == []
    share_models(path)
    assert listed(aws, "staging") == [GROUP]
