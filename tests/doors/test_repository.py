"""Where a model combines an image of AWS's with one of ours, SageMaker itself must be let in, for the consumers alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from crossaccount.aws.access import open_producer, open_target
from crossaccount.config.loading import load_config
from crossaccount.errors import DoorName, Refused
from crossaccount.hosting import preflight, temporary
from crossaccount.release.manifest import Release
from crossaccount.sharing import apply, gather, publish
from crossaccount.sharing.plan import plan_share

GROUP = "decision-trees-sample"
OURS = f"111111111111.dkr.ecr.us-east-1.amazonaws.com/{GROUP}:1"
AWS_S = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
MODEL = f"s3://producer-models-111111111111/models/{GROUP}/1/model.tar.gz"


@pytest.fixture
def pulling(aws: Any) -> Iterator[Any]:
    """The execution role may pull AWS's own image too."""
    iam = aws.admin("staging", "iam")
    pull = ["ecr:BatchGetImage", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer"]
    allow = {"Effect": "Allow", "Action": pull, "Resource": "arn:aws:ecr:us-east-1:683313688378:repository/*"}
    document = {"Version": "2012-10-17", "Statement": [allow]}
    iam.put_role_policy(
        RoleName="crossaccount-execution", PolicyName="aws", PolicyDocument=json.dumps(document)
    )
    yield aws
    iam.delete_role_policy(RoleName="crossaccount-execution", PolicyName="aws")


def made(path: str) -> str:
    """Share, then make a model in staging's account and delete it."""
    sharing = load_config(path)
    producer = open_producer(sharing)
    found = gather.gather(producer)
    plan = plan_share(sharing, found)
    apply.apply(producer, plan)
    published: Release = publish.prepare(producer, found.versions[0], found, plan)[0]
    target = open_target(sharing, "staging")
    with preflight.explained_creation(target, published):
        return str(temporary.try_model(target, published).outcome)


def test_sagemaker_itself_is_let_in_where_the_config_says_so(
    pulling: Any, registered: Any, edited: Any
) -> None:
    beside = {"Image": AWS_S, "ModelDataUrl": MODEL}
    with pulling.restored(), registered(pulling, beside, Image=OURS, ModelDataUrl=MODEL) as number:
        with pytest.raises(Refused) as refused:
            made(edited(versions=[number]))
        refusal = refused.value.refusal
        assert (refusal.door, refusal.account) == (DoorName.REPOSITORY, "111111111111")
        assert "sagemaker_service_principal: true" in refusal.next_step
        assert "sagemaker.amazonaws.com service principal" in refusal.aws_message

        path = edited(versions=[number], sagemaker_service_principal=True)
        assert made(path) == "removed"
        statements = pulling.documents()["repository"]["Statement"]
        (service,) = [one for one in statements if one["Sid"].startswith("CrossAccountService")]
        assert service["Principal"] == {"Service": "sagemaker.amazonaws.com"}
        assert service["Condition"] == {
            "StringEquals": {"aws:SourceAccount": ["222222222222", "333333333333"]}
        }

        # For production alone, staging's model is refused again.
        others = edited(versions=[number], sagemaker_service_principal=True, consumers__staging=None)
        pulling.put(
            "repository",
            {"Version": "2012-10-17", "Statement": [one for one in statements if one != service]},
        )
        sharing = load_config(others)
        producer = open_producer(sharing)
        apply.apply(producer, gather.make_plan(sharing))
        with pytest.raises(Refused, match="service principal"):
            made(edited(versions=[number]))
