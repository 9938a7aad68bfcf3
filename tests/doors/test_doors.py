"""Facts about the doors: in which order, under which names, and which resource an ARN or a URI leads to."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossaccount import audit, doors
from crossaccount.audit import Answer, Seen, Verdict
from crossaccount.config.loading import load_config
from crossaccount.errors import Refusal, Refused

SHARING = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
BUCKET, GROUP = SHARING.producer.releases_bucket, SHARING.model_package_group


def test_the_doors_in_the_order_of_writing() -> None:
    assert [(door.kind, str(door.name)) for door in doors.DOORS] == [
        ("repository", "repository"),
        ("bucket", "bucket"),
        ("key", "key"),
        ("model-package-group", "registry"),
    ]


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
    said = Answer("staging", consumer.account, door, name, Verdict.NO, "its policy has no statement")
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
    met = Seen(tuple(audit.shut("staging", consumer, refused)))
    whole = audit.together(sharing, ["staging"], Seen((said,)), {"staging": met}, repair=False)
    assert [(each.resource, each.verdict) for each in whole.answers if each.door == door] == [
        (name, Verdict.NO)
    ]
