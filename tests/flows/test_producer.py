"""Sharing and revoking against documents that are already there: ours alone change, and only when they must."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount.config.loading import load_config
from crossaccount.errors import Conflict, Failed, InputError, PlanRefused, Refused
from crossaccount.policy import documents
from crossaccount.sharing import gather, revoke
from flows.consumer import deploy_model
from flows.producer import revoke_access, share_models

BUCKET, GROUP = "producer-models-111111111111", "decision-trees-sample"
GROUP_ARN = f"arn:aws:sagemaker:us-east-1:111111111111:model-package-group/{GROUP}"
STAGING, PRODUCTION = "arn:aws:iam::222222222222:root", "arn:aws:iam::333333333333:root"
OUTSIDER = "arn:aws:iam::444444444444:root"

# Statements of others, as they are found: without a Sid, denying, for a service, with conditions.
STRANGERS: dict[str, list[dict[str, Any]]] = {
    "bucket": [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
        {
            "Sid": "Logs",
            "Effect": "Allow",
            "Principal": {"Service": "logging.s3.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{BUCKET}/logs/*",
        },
        {
            "Sid": "Partner",
            "Effect": "Allow",
            "Principal": {"AWS": OUTSIDER},
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{BUCKET}/public/*",
        },
    ],
    "repository": [
        {"Effect": "Allow", "Principal": {"AWS": OUTSIDER}, "Action": "ecr:DescribeImages"},
        {
            "Sid": "Never",
            "Effect": "Deny",
            "Principal": {"AWS": [OUTSIDER, STAGING]},
            "Action": ["ecr:BatchDeleteImage"],
        },
    ],
    "group": [
        {
            "Sid": "Audit",
            "Effect": "Allow",
            "Principal": {"AWS": OUTSIDER},
            "Action": "sagemaker:DescribeModelPackageGroup",
            "Resource": GROUP_ARN,
        }
    ],
    "key": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "cloudtrail.amazonaws.com"},
            "Action": "kms:GenerateDataKey*",
            "Resource": "*",
        },
        {
            "Sid": "NeverDelete",
            "Effect": "Deny",
            "Principal": "*",
            "Action": ["kms:ScheduleKeyDeletion"],
            "Resource": "*",
        },
    ],
}


def add_strangers(aws: Any) -> dict[str, list[dict[str, Any]]]:
    """Put the strangers' statements; the statements that are not ours in every document, in order."""
    default = aws.documents()["key"]["Statement"]  # without it nobody could mend the key again
    for kind, statements in STRANGERS.items():
        document = {"Version": "2012-10-17", "Statement": statements}
        aws.put(kind, {**document, "Statement": default + statements} if kind == "key" else document)
    return strangers(aws)


def strangers(aws: Any) -> dict[str, list[dict[str, Any]]]:
    return {
        kind: [
            one
            for one in documents.statements(document)
            if not str(one.get("Sid", "")).startswith("CrossAccount")
        ]
        for kind, document in aws.documents().items()
    }


def test_statements_of_others_survive_sharing_and_revoking_unchanged_and_in_order(aws: Any) -> None:
    with aws.restored():
        before = add_strangers(aws)
        documents = aws.documents()
        assert before["bucket"] == STRANGERS["bucket"]
        assert before["key"][-2:] == STRANGERS["key"]
        share_models(str(aws.config))
        assert strangers(aws) == before
        revoke_access(str(aws.config), "staging")
        assert strangers(aws) == before
        revoke_access(str(aws.config), "production")
        assert aws.documents() == documents


def test_a_lone_statement_is_somebody_s_too(aws: Any) -> None:
    with aws.restored():
        aws.put("bucket", {"Version": "2012-10-17", "Id": "theirs", "Statement": STRANGERS["bucket"][2]})
        share_models(str(aws.config))
        document = aws.documents()["bucket"]
        assert (document["Id"], document["Statement"][0]) == ("theirs", STRANGERS["bucket"][2])
        for consumer in ("staging", "production"):
            revoke_access(str(aws.config), consumer)
        document = aws.documents()["bucket"]
        assert (document["Id"], list(documents.statements(document))) == ("theirs", [STRANGERS["bucket"][2]])


@contextlib.contextmanager
def no_writes(aws: Any) -> Iterator[None]:
    """The producer's role may no longer write anything."""
    iam = aws.admin("producer", "iam")
    writes = [
        "s3:Put*",
        "s3:Delete*",
        "ecr:Set*",
        "ecr:Delete*",
        "ecr:Put*",
        "kms:Put*",
        "sagemaker:Put*",
        "sagemaker:Delete*",
    ]
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": writes, "Resource": "*"}]}
    iam.put_role_policy(
        RoleName="crossaccount-producer", PolicyName="frozen", PolicyDocument=json.dumps(document)
    )
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName="crossaccount-producer", PolicyName="frozen")


def test_a_second_share_writes_nothing(aws: Any) -> None:
    with aws.restored():
        add_strangers(aws)
        with no_writes(aws), pytest.raises(Refused):
            share_models(str(aws.config))
        assert share_models(str(aws.config)).plan.writes == 4
        with no_writes(aws):
            again = share_models(str(aws.config))
        assert again.plan.writes == 0
        assert {receipt.verb for receipt in again.receipts} == {"keep"}


def test_a_revoke_leaves_the_other_consumer_its_access(aws: Any) -> None:
    with aws.restored():
        share_models(str(aws.config))
        revoke_access(str(aws.config), "staging")
        with pytest.raises(Refused):
            deploy_model(str(aws.config), "staging")
        assert deploy_model(str(aws.config), "production").proof.verified
        share_models(str(aws.config))
        assert deploy_model(str(aws.config), "staging").proof.verified


def test_a_revoke_of_everyone_leaves_what_was_there_before(aws: Any) -> None:
    before = aws.documents()
    with aws.restored():
        share_models(str(aws.config))
        for consumer in ("staging", "production"):
            revoke_access(str(aws.config), consumer)
        assert aws.documents() == before
        assert revoke_access(str(aws.config), "staging").plan.writes == 0


def test_two_configs_of_one_group_do_not_undo_each_other(aws: Any, edited: Any) -> None:
    one, other = edited(consumers__production=None), edited(consumers__staging=None)
    with aws.restored():
        share_models(one)
        share_models(other)
        assert gather.make_plan(load_config(one)).writes == 0
        revoke_access(other, "production")
        assert gather.make_plan(load_config(one)).writes == 0
        with pytest.raises(Refused):
            deploy_model(other, "production")


def test_another_consumer_of_the_same_account_keeps_a_revoke_from_lying(aws: Any, edited: Any) -> None:
    consumers = load_config(aws.config).model_dump(mode="json")["consumers"]
    twin = {
        **consumers["staging"],
        "endpoint": {**consumers["staging"]["endpoint"], "name": "decision-trees-twin"},
    }
    with pytest.raises(InputError, match="also that of twin"):
        revoke_access(edited(consumers={**consumers, "twin": twin}), "staging")


PAGE = {
    "repository": {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "AddPerm", "Effect": "Allow", "Principal": {"AWS": STAGING}, "Action": ["ecr:*"]}
        ],
    },
    "bucket": {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AddPerm",
                "Effect": "Allow",
                "Principal": {"AWS": STAGING},
                "Action": "s3:*",
                "Resource": f"arn:aws:s3:::{BUCKET}/*",
            }
        ],
    },
    "group": {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AddPermModelPackageGroup",
                "Effect": "Allow",
                "Principal": {"AWS": STAGING},
                "Action": ["sagemaker:DescribeModelPackageGroup"],
                "Resource": GROUP_ARN,
            },
            {
                "Sid": "AddPermModelPackageVersion",
                "Effect": "Allow",
                "Principal": {"AWS": STAGING},
                "Action": [
                    "sagemaker:DescribeModelPackage",
                    "sagemaker:ListModelPackages",
                    "sagemaker:UpdateModelPackage",
                    "sagemaker:CreateModel",
                ],
                "Resource": f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/*",
            },
        ],
    },
}


def test_the_preset_aws_docs_writes_the_page_s_policies_key_for_key_and_they_suffice(
    aws: Any, edited: Any
) -> None:
    path = edited(preset="aws-docs", consumers__production=None)
    before = aws.documents()
    with aws.restored():
        share_models(path)
        found = aws.documents()
        for kind, document in PAGE.items():
            assert json.dumps(found[kind]) == json.dumps(document), kind
        assert deploy_model(path, "staging").proof.verified
        assert share_models(path).plan.writes == 0
        revoke_access(path, "staging")
        assert aws.documents() == before


def test_the_page_s_sid_over_another_body_is_a_stranger_s(aws: Any, edited: Any) -> None:
    path = edited(preset="aws-docs")
    theirs = {
        "Sid": "AddPerm",
        "Effect": "Allow",
        "Principal": {"AWS": OUTSIDER},
        "Action": "ecr:DescribeImages",
    }
    with aws.restored():
        aws.put("repository", {"Version": "2012-10-17", "Statement": [theirs]})
        before = aws.documents()
        with pytest.raises(PlanRefused, match="Sid AddPerm"):
            share_models(path)
        assert aws.documents() == before


def test_access_by_statements_that_are_not_ours_is_said(aws: Any, edited: Any) -> None:
    page = edited(preset="aws-docs", consumers__production=None)
    with aws.restored():
        share_models(page)
        before = aws.documents()
        plan = gather.make_plan(load_config(aws.config))
        assert [one for one in plan.findings if "222222222222" in one.text and "AddPerm" in one.text]
        # They are not ours under this preset: a revoke leaves them, and says so.
        revoked = revoke_access(str(aws.config), "staging")
        assert len(revoked.plan.findings) == 4
        standing = {(one["account"], one["door"]): one["answer"] for one in revoked.to_json()["standing"]}
        assert {answer for (account, _), answer in standing.items() if account == "222222222222"} == {
            "still open",
            "shut",  # the page has no statement for a key
        }
        assert standing["222222222222", "key"] == "shut"
        assert aws.documents()["bucket"] == before["bucket"]
        revoke_access(page, "staging")
        sharing = load_config(aws.config)
        assert revoke.make_plan(sharing, revoke.choose(sharing, consumer="staging")).findings == ()


def test_only_the_listed_versions_are_shared(aws: Any, edited: Any) -> None:
    path = edited(versions=[1])
    with aws.restored():
        shared = share_models(path)
        assert [release.version for release in shared.releases] == [1]
        assert deploy_model(path, "staging").proof.version == 1
        with pytest.raises(InputError, match="does not share version 2"):
            deploy_model(path, "staging", version=2)
        client = aws.role("staging", "crossaccount-deployer", "sagemaker")
        arn = f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/2"
        with pytest.raises(ClientError, match="not authorized"):
            client.describe_model_package(ModelPackageName=arn)


@pytest.mark.parametrize(
    ("versions", "says"), [([3], "PendingManualApproval, not Approved"), ([99], "does not exist")]
)
def test_a_version_that_cannot_be_deployed_is_not_shared(
    aws: Any, edited: Any, versions: list[int], says: str
) -> None:
    before = aws.documents()
    with pytest.raises(PlanRefused, match=says):
        share_models(edited(versions=versions))
    assert aws.documents() == before


@contextlib.contextmanager
def replaced(aws: Any, key: str, body: bytes) -> Iterator[None]:
    s3 = aws.admin("producer", "s3")
    before = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    try:
        yield
    finally:
        s3.put_object(Bucket=BUCKET, Key=key, Body=before)


def test_a_shared_version_never_changes(aws: Any) -> None:
    with aws.restored():
        share_models(str(aws.config))
        with replaced(aws, f"models/{GROUP}/1/model.tar.gz", b"another model"):
            with pytest.raises(Conflict, match="published with another image or artifact"):
                share_models(str(aws.config))
            with pytest.raises(Failed, match="was replaced after it was shared"):
                deploy_model(str(aws.config), "staging", version=1)
        assert not any(aws.hosted("staging").values())


def test_an_object_under_the_key_that_aws_manages_is_refused_with_the_way_out(aws: Any, edited: Any) -> None:
    s3, key = aws.admin("producer", "s3"), f"models/{GROUP}/1/model.tar.gz"
    body = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    before = aws.documents()
    s3.put_object(Bucket=BUCKET, Key=key, Body=body, ServerSideEncryption="aws:kms")
    try:
        with pytest.raises(PlanRefused, match=r"no other account can ever use.* --sse-kms-key-id"):
            share_models(edited(versions=[1]))
    finally:
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    assert aws.documents() == before


def release_of(aws: Any, version: int) -> dict[str, Any]:
    body = (
        aws.admin("producer", "s3")
        .get_object(Bucket=BUCKET, Key=f"releases/{GROUP}/{version}.json")["Body"]
        .read()
    )
    loaded: dict[str, Any] = json.loads(body)
    return loaded


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda found: {**found, "model_package_arn": found["model_package_arn"].replace("1111", "4444")},
            "model_package_arn",
        ),
        (lambda found: {**found, "producer_account": "444444444444"}, "producer_account"),
        (lambda found: {**found, "version": 1}, "version"),
        (lambda found: {**found, "schema_version": 2}, "schema_version"),
        (lambda found: {**found, "surprise": 1}, "surprise"),
        (lambda found: {key: value for key, value in found.items() if key != "containers"}, "containers"),
        (lambda found: {**found, "containers": []}, "different images or artifacts"),
        (
            lambda found: {
                **found,
                "containers": [
                    {**found["containers"][0], "image": "444444444444.dkr.ecr.us-east-1.amazonaws.com/evil:1"}
                ],
            },
            "that its producer cannot share",
        ),
        (lambda found: {**found, "model_package_group": "x" * 2_000_000}, "larger than"),
        (lambda found: [found], "cannot be used"),
    ],
)
def test_a_release_that_was_tampered_with_is_not_used(shared: Any, change: Any, says: str) -> None:
    with replaced(shared, f"releases/{GROUP}/2.json", json.dumps(change(release_of(shared, 2))).encode()):
        with pytest.raises(Failed, match=says):
            deploy_model(str(shared.config), "staging", version=2)
        assert not any(shared.hosted("staging").values())


def test_a_release_that_is_no_json_is_not_used(shared: Any) -> None:
    with (
        replaced(shared, f"releases/{GROUP}/2.json", b"\xff not json"),
        pytest.raises(Failed, match="not JSON"),
    ):
        deploy_model(str(shared.config), "staging", version=2)
