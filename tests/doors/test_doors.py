"""Facts about the doors: in which order, under which names, and which resource an ARN or a URI leads to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crossaccount import doors
from crossaccount.audit.answers import AccessAnswer, Evidence, Verdict, combine
from crossaccount.audit.probe import shut
from crossaccount.config.loading import load_config
from crossaccount.doors.base import Door
from crossaccount.errors import Refusal, Refused
from crossaccount.registry.artifacts import artifact_at
from crossaccount.registry.versions import Contents

SHARING = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
BUCKET, GROUP = SHARING.producer.releases_bucket, SHARING.model_package_group


def test_the_doors_in_the_order_of_writing() -> None:
    assert [(door.kind, str(door.name)) for door in doors.DOORS] == [
        ("repository", "repository"),
        ("bucket", "bucket"),
        ("key", "key"),
        ("model-package-group", "registry"),
    ]


def test_kinds_and_names_are_unique_and_the_registry_is_written_last() -> None:
    assert (
        len({door.kind for door in doors.DOORS})
        == len({door.name for door in doors.DOORS})
        == len(doors.DOORS)
    )
    assert doors.DOORS[-1].name == "registry"


def test_each_door_knows_its_resources_by_their_arns() -> None:
    key = "arn:aws:kms:us-east-1:111111111111:key/1-2"
    image = f"111111111111.dkr.ecr.us-east-1.amazonaws.com/{GROUP}:1"
    needed = doors.needs(SHARING, Contents((image,), (artifact_at("s3://models/1/model", False),), (key,)))
    for door in doors.DOORS:
        assert needed[door.kind]
        for name in needed[door.kind]:
            assert doors.name_in(door.arn(SHARING, name)) == name
            assert door.is_right(SHARING, name)


FACTS = {"kind": "made-up", "name": "made-up", "limit": 1, "place": re.compile("(x)"), "missing_code": "None"}
VERBS = ("arn", "is_right", "needed", "statements", "read", "write", "clear")


@pytest.mark.parametrize("fact", FACTS)
def test_a_door_without_a_fact_is_no_door(fact: str) -> None:
    with pytest.raises(TypeError, match=f"lacks {fact}"):
        type("Incomplete", (Door,), {name: value for name, value in FACTS.items() if name != fact})


@pytest.mark.parametrize("verb", VERBS)
def test_a_door_without_a_verb_cannot_be_made(verb: str) -> None:
    verbs = {name: lambda *_: None for name in VERBS if name != verb}
    with pytest.raises(TypeError, match=f"abstract method '?{verb}"):
        type("Incomplete", (Door,), {**FACTS, **verbs})()


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("arn:{}:s3:::models", "models"),
        ("arn:{}:s3:::models/churn/1/model.tar.gz", "models"),
        ("s3://models/churn/1", "models"),
        ("arn:{}:ecr:eu-west-1:111111111111:repository/team/trees", "team/trees"),
        ("111111111111.dkr.ecr.eu-west-1.amazonaws.com/team/trees:1", "team/trees"),
        ("111111111111.dkr.ecr.cn-north-1.amazonaws.com.cn/trees@sha256:" + "0" * 64, "trees"),
        ("arn:{}:kms:eu-west-1:111111111111:key/1-2", "arn:{}:kms:eu-west-1:111111111111:key/1-2"),
        ("arn:{}:sagemaker:eu-west-1:111111111111:model-package-group/churn", "churn"),
        ("arn:{}:sagemaker:eu-west-1:111111111111:model-package/churn/3", "churn"),
        (
            "arn:{}:sagemaker:eu-west-1:222222222222:model/churn",
            "arn:{}:sagemaker:eu-west-1:222222222222:model/churn",
        ),
        ("arn:{}:iam::222222222222:role/execution", "arn:{}:iam::222222222222:role/execution"),
    ],
)
def test_the_resource_that_a_place_leads_to(partition: str, place: str, name: str) -> None:
    assert doors.name_in(place.format(partition)) == name.format(partition)


@pytest.mark.parametrize(
    ("partition", "region"), [("aws", "us-east-1"), ("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1")]
)
@pytest.mark.parametrize(
    ("door", "name", "place"),
    [
        ("bucket", BUCKET, f"arn:{{}}:s3:::{BUCKET}/releases/{GROUP}/1.json"),
        ("repository", GROUP, f"111111111111.dkr.ecr.us-east-1.amazonaws.com/{GROUP}:1"),
    ],
)
def test_a_check_says_one_row_for_one_resource(
    partition: str, region: str, door: str, name: str, place: str
) -> None:
    """What the documents say of a bucket and what its consumer met there are one answer, in every partition."""
    sharing = SHARING.model_copy(update={"region": region})
    consumer = sharing.consumers["staging"]
    said = AccessAnswer("staging", consumer.account, door, name, Verdict.NO, "its policy has no statement")
    refused = Refused(
        Refusal(
            door,
            "111111111111",
            "s3:GetObject",
            place.format(partition),
            consumer.role,
            "AccessDenied",
            "no",
            (),
            "Share.",
        )
    )
    met = Evidence((shut("staging", consumer.account, refused),))
    whole = combine(sharing, ["staging"], Evidence((said,)), {"staging": met}, repair=False)
    assert [(each.resource, each.verdict) for each in whole.answers if each.door == door] == [
        (name, Verdict.NO)
    ]
