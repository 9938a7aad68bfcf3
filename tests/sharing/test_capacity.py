"""What is written for whom, how large it gets, and how many fit."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crossaccount import doors
from crossaccount.arns import group_arn, package_arn
from crossaccount.config.loading import load_config
from crossaccount.config.model import OrganizationScope, Sharing
from crossaccount.doors import door_of
from crossaccount.doors.base import Resource
from crossaccount.errors import PlanRefused
from crossaccount.policy import documents
from crossaccount.registry.versions import Contents, contents_of, parse_version
from crossaccount.sharing import plan, plan_file
from crossaccount.sharing.changes import Basis

SHARING = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
OWNER, STAGING = "111111111111", "222222222222"
NOW = datetime(2026, 11, 24, tzinfo=UTC)
GROUP = group_arn(SHARING)
KEY_ARN = f"arn:aws:kms:us-east-1:{OWNER}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
NEEDS = doors.needs(SHARING, Contents(keys=(KEY_ARN,))) | {
    "repository": {"decision-trees-sample": ()},
    "bucket": {"models": ("churn/", "releases/")},
}
REPOSITORY, BUCKET, KEY, REGISTRY = doors.resources(SHARING, NEEDS)
ADMIN = {
    "Sid": "Admin",
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{OWNER}:root"},
    "Action": "kms:*",
    "Resource": "*",
}
FRESH: dict[Resource, Any] = {
    REPOSITORY: None,
    BUCKET: None,
    KEY: {"Version": "2012-10-17", "Statement": [ADMIN]},
    REGISTRY: None,
}
ORGANIZATION = OrganizationScope(id="o-a1b2c3d4e5", role_names=("crossaccount-deployer",))


def with_consumers(count: int, first: int = 0, **update: Any) -> Sharing:
    """The config with so many consumers, each of an account of its own."""
    template = SHARING.consumers["staging"]
    consumers = {}
    for number in range(first, first + count):
        account = f"{300_000_000_000 + number}"
        roles = {name: f"arn:aws:iam::{account}:role/{name}" for name in ("deploy", "run")}
        given = {"account": account, "role": roles["deploy"], "execution_role": roles["run"]}
        consumers[f"c{number}"] = template.model_copy(update=given)
    return SHARING.model_copy(update={"consumers": consumers, **update})


def shared(
    sharing: Sharing, existing: dict[Resource, Any], needs: doors.Needs = NEEDS
) -> dict[Resource, Any]:
    return {
        one.resource: one.desired for one in plan.plan_share(sharing, Basis(needs, existing, NOW)).changes
    }


# The AWS page's documents, through the whole plan.


def page_statement(sid: str, **more: Any) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{STAGING}:root"}, **more}


PAGE = {
    REPOSITORY: [page_statement("AddPerm", Action=["ecr:*"])],
    BUCKET: [page_statement("AddPerm", Action="s3:*", Resource="arn:aws:s3:::models/*")],
    REGISTRY: [
        page_statement(
            "AddPermModelPackageGroup", Action=["sagemaker:DescribeModelPackageGroup"], Resource=GROUP
        ),
        page_statement(
            "AddPermModelPackageVersion",
            Action=[
                "sagemaker:DescribeModelPackage",
                "sagemaker:ListModelPackages",
                "sagemaker:UpdateModelPackage",
                "sagemaker:CreateModel",
            ],
            Resource=f"arn:aws:sagemaker:us-east-1:{OWNER}:model-package/decision-trees-sample/*",
        ),
    ],
}


@pytest.mark.parametrize("resource", PAGE, ids=lambda one: str(one.kind))
def test_the_preset_writes_the_page_s_document_key_for_key(resource: Resource) -> None:
    """Source: "Deploy a Model Version from a Different Account" in the SageMaker developer guide."""
    one = SHARING.model_copy(
        update={"preset": "aws-docs", "consumers": {"staging": SHARING.consumers["staging"]}}
    )
    found = shared(one, {resource: None})[resource]
    expected = {"Version": "2012-10-17", "Statement": PAGE[resource]}
    assert documents.compact(found) == documents.compact(expected), "to the byte, and in the page's order"


# How many fit.

FILLER = {"Sid": "Theirs", "Effect": "Deny", "Principal": {"AWS": "999999999999"}, "Action": "x:Y"}


def foreign(resource: Resource, length: int) -> dict[str, Any]:
    """A document of others of so many bytes."""
    own = [ADMIN] if resource is KEY else []
    document = {"Version": "2012-10-17", "Statement": [*own, dict(FILLER)]}
    document["Statement"][-1]["Sid"] += "x" * (length - documents.size(document))
    return document


def said_to_fit(sharing: Sharing, existing: dict[Resource, Any]) -> int:
    with pytest.raises(PlanRefused) as refused:
        shared(sharing, existing)
    (reason,) = refused.value.reasons
    assert "organization" in reason, "the way out for many consumers"
    found = re.search(r"(\d+) of the (\d+) consumers fit", reason)
    assert found, reason
    assert int(found[2]) == len(sharing.consumers)
    return int(found[1])


@pytest.mark.parametrize(
    ("resource", "mode", "many", "taken"),
    [
        (REPOSITORY, "accounts", 400, None),
        (REPOSITORY, "accounts", 400, 5_000),
        (REPOSITORY, "roles", 200, None),
        (BUCKET, "accounts", 400, None),
        (BUCKET, "accounts", 40, 19_000),
        (BUCKET, "roles", 200, None),
        (KEY, "accounts", 1_100, None),
        (KEY, "roles", 400, 2_000),
        (REGISTRY, "accounts", 400, None),
        (REGISTRY, "roles", 200, 1_000),
    ],
    ids=lambda one: str(getattr(one, "kind", one)),
)
def test_the_number_that_fits_is_exact(resource: Resource, mode: str, many: int, taken: int | None) -> None:
    existing = {resource: FRESH[resource] if taken is None else foreign(resource, taken)}
    count = said_to_fit(with_consumers(many, principals=mode), existing)
    assert 0 < count < many
    full = shared(with_consumers(count, principals=mode), existing)[resource]
    assert documents.size(full) <= door_of(resource.kind).limit
    with pytest.raises(PlanRefused):
        shared(with_consumers(count + 1, principals=mode), existing)


@pytest.mark.parametrize("resource", FRESH, ids=lambda one: str(one.kind))
def test_three_hundred_accounts_fit(resource: Resource) -> None:
    document = shared(with_consumers(300), {resource: FRESH[resource]})[resource]
    assert documents.size(document) <= door_of(resource.kind).limit
    assert all(len(documents.members(one)) == 300 for one in document["Statement"] if one != ADMIN)


def test_the_number_that_fits_counts_those_who_have_access_already() -> None:
    """Sharing with the first that fit must be possible: the others of this config keep what they have."""
    before = shared(with_consumers(100, first=300), {REPOSITORY: None})
    count = said_to_fit(with_consumers(400), before)
    full = shared(with_consumers(count), before)[REPOSITORY]
    assert documents.size(full) <= door_of("repository").limit


@pytest.mark.parametrize("length", [20_400, 20_480])
def test_a_document_without_room_says_that_nobody_fits(length: int) -> None:
    assert said_to_fit(with_consumers(40), {BUCKET: foreign(BUCKET, length)}) == 0


def test_a_large_document_of_others_is_named_in_the_refusal() -> None:
    with pytest.raises(PlanRefused, match="has 19000 bytes already") as refused:
        shared(with_consumers(40), {BUCKET: foreign(BUCKET, 19_000)})
    assert "shorten the statements that others have put there" in str(refused.value)


@pytest.mark.parametrize("resource", FRESH, ids=lambda one: str(one.kind))
def test_an_organization_s_document_does_not_grow_with_its_consumers(resource: Resource) -> None:
    existing = {resource: FRESH[resource]}
    many, one = (
        shared(with_consumers(count, principals="organization", organization=ORGANIZATION), existing)
        for count in (2_000, 1)
    )
    assert many == one
    assert documents.size(many[resource]) < 2_000


# With the versions.


def needs_of(count: int, folder: str) -> doors.Needs:
    """What so many versions need, each with its artifact in a folder of its own."""
    image = f"{OWNER}.dkr.ecr.us-east-1.amazonaws.com/decision-trees-sample:1"
    found = [
        parse_version(
            {
                "ModelPackageArn": package_arn(SHARING, number),
                "ModelPackageGroupName": SHARING.model_package_group,
                "ModelPackageStatus": "Completed",
                "ModelApprovalStatus": "Approved",
                "InferenceSpecification": {
                    "Containers": [
                        {"Image": image, "ModelDataUrl": f"s3://models/{folder}/{number}/model.tar.gz"}
                    ]
                },
            }
        )
        for number in range(1, count + 1)
    ]
    return doors.needs(SHARING, contents_of(found, [KEY_ARN]))


def test_no_document_grows_with_approved_versions() -> None:
    two, many = (shared(SHARING, FRESH, needs_of(count, SHARING.model_package_group)) for count in (2, 200))
    assert two == many
    one = shared(SHARING, FRESH, needs_of(1, SHARING.model_package_group))
    assert {kept: one[kept] for kept in one if kept is not BUCKET} == {
        kept: many[kept] for kept in many if kept is not BUCKET
    }
    # A lone version's own folder is all that is opened, and its name is longer than its parent's.
    assert documents.size(one[BUCKET]) - documents.size(many[BUCKET]) == 2 * len("1/")


def test_a_bucket_s_document_grows_with_versions_whose_folder_is_not_the_group_s() -> None:
    two, three = (shared(SHARING, FRESH, needs_of(count, "churn")) for count in (2, 3))
    assert documents.size(three[BUCKET]) > documents.size(two[BUCKET])


def test_consumers_with_the_same_end_stand_together_and_those_that_have_ended_nowhere() -> None:
    ends = {
        0: None,
        1: NOW + timedelta(days=1),
        2: NOW + timedelta(days=1),
        3: NOW,
        4: NOW - timedelta(days=1),
    }
    sharing = with_consumers(5)
    consumers = {
        name: one.model_copy(update={"expires": ends[number]})
        for number, (name, one) in enumerate(sharing.consumers.items())
    }
    found = plan.audiences(sharing.model_copy(update={"consumers": consumers}), NOW)
    assert [(one.until, one.members) for one in found] == [
        (None, ("300000000000",)),
        ("2026-11-25T00:00:00Z", ("300000000001", "300000000002")),
    ]


# Room for more, which only the statements of this group take.


OTHERS = {
    "a stranger's with a like Sid": "CrossAccountPermission",
    "another group's": f"CrossAccountPull{'0' * 16}",
}


@pytest.mark.parametrize("sid", OTHERS.values(), ids=OTHERS)
def test_statements_of_others_take_no_room_for_more_consumers(sid: str) -> None:
    theirs = {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": [f"arn:aws:iam::{600_000_000_000 + number}:root" for number in range(9)]},
        "Action": "ecr:BatchGetImage",
    }
    document = {"Version": "2012-10-17", "Statement": [theirs]}
    made = plan.plan_share(with_consumers(2), Basis(NEEDS, {REPOSITORY: document}, NOW))
    change = made.changes[0]
    assert change.desired is not None
    left = door_of("repository").limit - documents.size(change.desired)
    each = len('"arn:aws:iam::300000000000:root",')
    (shown,) = plan_file.to_json(made)["changes"]
    assert shown["room_for_consumers"] == left // each
