"""The audit tells yes, no and cannot tell apart, from the documents, from a live probe and from the Releases."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from crossaccount.audit.answers import Audit, Verdict, combine
from crossaccount.audit.documents import read_documents
from crossaccount.audit.probe import try_doors
from crossaccount.config.loading import load_config
from crossaccount.errors import Severity
from crossaccount.policy import documents
from crossaccount.sharing import publish
from crossaccount.sharing.plan import plan_share
from crossaccount_sandbox.accounts import push_image

BUCKET, GROUP = "producer-models-111111111111", "decision-trees-sample"
STAGING, PRODUCTION, OUTSIDER = "222222222222", "333333333333", "444444444444"
IMAGE = f"111111111111.dkr.ecr.us-east-1.amazonaws.com/{GROUP}:1"


def audited(path: Any, *names: str, probe: bool = True, repair: bool = False) -> Audit:
    sharing = load_config(path)
    wanted = names or tuple(sharing.consumers)
    producer = read_documents(sharing, wanted)
    consumers = {name: try_doors(sharing, name, producer.versions, probe) for name in wanted}
    return combine(sharing, wanted, producer, consumers, repair)


def shut(found: Audit) -> set[tuple[str, str]]:
    """The doors that are shut, for whom."""
    return {(one.consumer, str(one.door)) for one in found.answers if one.verdict is Verdict.NO}


@pytest.fixture
def standing(desk: Any) -> Any:
    """The sandbox, with everything shared and published."""

    found = desk.gather()
    plan = plan_share(desk.sharing, found)
    desk.apply(plan)
    for version in found.versions:
        made, new = publish.prepare(desk.producer, version, found, plan)
        if new:
            publish.publish(desk.producer, made)
    return desk.aws


def test_all_holds(standing: Any) -> None:
    before = standing.documents()
    found = audited(standing.config, repair=True)
    doors = ["repository", "bucket", "key", "registry", "role-trust", "execution-role"]
    assert [(one.consumer, str(one.door)) for one in found.answers] == [
        (name, door) for name in ("staging", "production") for door in doors
    ]
    assert {one.verdict for one in found.answers} == {Verdict.YES}
    assert (found.findings, found.missing, found.repair) == ((), (), None)
    assert standing.documents() == before
    for account in ("staging", "production"):
        assert not any(standing.hosted(account).values()), "the probe's model is deleted again"


def without_sid(aws: Any, kind: str, word: str) -> None:
    document = aws.documents()[kind]
    kept = [
        one for one in document["Statement"] if not str(one.get("Sid", "")).startswith(f"CrossAccount{word}")
    ]
    aws.put(kind, {**document, "Statement": kept} if kept else None)


@pytest.mark.parametrize(
    ("kind", "word", "door"),
    [
        ("group", "Group", "registry"),
        ("group", "Versions", "registry"),
        ("repository", "Pull", "repository"),
        ("bucket", "Read", "bucket"),
        ("bucket", "List", "bucket"),
        ("key", "Decrypt", "key"),
    ],
)
@pytest.mark.parametrize("probe", [True, False])
def test_a_statement_that_is_missing_is_a_no_for_everyone_it_let_in(
    standing: Any, kind: str, word: str, door: str, probe: bool
) -> None:
    without_sid(standing, kind, word)
    found = audited(standing.config, probe=probe, repair=True)
    # Nothing needs to list a bucket as long as nothing is missing in it: the probe gets through, the documents speak.
    if word == "List":
        assert shut(found) == set()
        assert [one for one in found.findings if "ours is missing or says less" in one.text]
    else:
        assert {("staging", door), ("production", door)} <= shut(found)
        assert found.missing
    assert found.repair is not None
    assert found.repair.writes == 1


def test_one_consumer_out_is_a_no_for_that_one_alone(standing: Any) -> None:
    for kind, document in standing.documents().items():
        ours = [one for one in document["Statement"] if str(one.get("Sid", "")).startswith("CrossAccount")]
        rest = [one for one in document["Statement"] if one not in ours]
        left = [one for statement in ours for one in documents.without(statement, {STAGING})]
        standing.put(kind, {**document, "Statement": [*rest, *left]})
    found = audited(standing.config)
    assert {consumer for consumer, _ in shut(found)} == {"staging"}
    assert {door for _, door in shut(found)} == {"repository", "bucket", "key", "registry"}


@contextlib.contextmanager
def role_without(aws: Any, role: str, action: str) -> Iterator[None]:
    iam = aws.admin("staging", "iam")
    deny = {"Effect": "Deny", "Action": action, "Resource": "*"}
    iam.put_role_policy(
        RoleName=role,
        PolicyName="frozen",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [deny]}),
    )
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="frozen")


@pytest.mark.parametrize(
    ("role", "action", "door"),
    [
        ("crossaccount-deployer", "sagemaker:DescribeModelPackage", "caller-policy"),
        ("crossaccount-deployer", "s3:GetObject", "caller-policy"),
        ("crossaccount-deployer", "sagemaker:CreateModel", "caller-policy"),
        ("crossaccount-execution", "s3:GetObject", "execution-role"),
        ("crossaccount-execution", "ecr:BatchGetImage", "execution-role"),
        ("crossaccount-execution", "kms:Decrypt", "execution-role"),
    ],
)
def test_the_consumer_s_own_roles_are_found_out_by_the_probe_alone(
    standing: Any, role: str, action: str, door: str
) -> None:
    with role_without(standing, role, action):
        assert shut(audited(standing.config)) == {("staging", door)}
    assert not any(standing.hosted("staging").values())


def test_a_role_that_may_not_be_assumed(standing: Any, edited: Any) -> None:
    found = audited(edited(consumers__staging__external_id="wrong"), "staging")
    assert shut(found) == {("staging", "role-trust")}


def test_a_side_that_is_out_of_reach_cannot_be_told_and_is_not_missing(standing: Any, edited: Any) -> None:
    found = audited(edited(consumers__staging__profile="ghost"), "staging")
    verdicts = {str(one.door): one.verdict for one in found.answers}
    assert verdicts["registry"] is Verdict.YES, "the documents say so"
    assert verdicts["execution-role"] is Verdict.CANNOT_TELL
    assert (found.missing, found.is_conclusive) == ((), True)

    found = audited(edited(producer__profile="ghost"), "staging")
    assert {one.verdict for one in found.answers} == {Verdict.YES}, "the probe says so"
    assert [one for one in found.findings if "cannot be read" in one.text]

    found = audited(edited(producer__profile="ghost", consumers__staging__profile="ghost"), "staging")
    assert {one.verdict for one in found.answers} == {Verdict.CANNOT_TELL}
    assert (found.missing, found.is_conclusive) == ((), False)


def test_a_statement_of_others_that_lets_the_consumer_in_counts_and_is_said(standing: Any) -> None:
    without_sid(standing, "repository", "Pull")
    theirs = {
        "Sid": "Theirs",
        "Effect": "Allow",
        "Principal": {"AWS": STAGING},
        "Action": ["ecr:Batch*", "ecr:GetDownloadUrlForLayer"],
    }
    standing.put("repository", {"Version": "2012-10-17", "Statement": [theirs]})
    found = audited(standing.config)
    assert shut(found) == {("production", "repository")}
    assert [
        one for one in found.findings if "staging gets through by a statement that is not ours" in one.text
    ]
    assert [one for one in found.findings if "Theirs" in one.text]


def changed(aws: Any, kind: str, word: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    document = copy.deepcopy(aws.documents()[kind])
    statements = [
        change(one) if str(one.get("Sid", "")).startswith(f"CrossAccount{word}") else one
        for one in document["Statement"]
    ]
    aws.put(kind, {**document, "Statement": statements})


def test_an_action_too_many_in_a_statement_of_ours_is_said(standing: Any) -> None:
    changed(standing, "repository", "Pull", lambda one: {**one, "Action": [*one["Action"], "ecr:PutImage"]})
    found = audited(standing.config)
    assert not shut(found)
    assert [
        one for one in found.findings if "has more, or has it otherwise" in one.text and STAGING in one.text
    ]


def test_a_principal_too_many_in_a_statement_of_ours_is_said(standing: Any) -> None:
    changed(
        standing,
        "group",
        "Versions",
        lambda one: {**one, "Principal": {"AWS": [*one["Principal"]["AWS"], OUTSIDER]}},
    )
    found = audited(standing.config)
    assert not shut(found)
    assert [one for one in found.findings if OUTSIDER in one.text and "does not name it" in one.text]


@pytest.mark.parametrize("what", ["image", "artifact"])
def test_what_was_replaced_since_it_was_published_is_found(standing: Any, what: str) -> None:
    s3, ecr = standing.admin("producer", "s3"), standing.admin("producer", "ecr")
    key = f"models/{GROUP}/1/model.tar.gz"
    before = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    image = ecr.batch_get_image(repositoryName=GROUP, imageIds=[{"imageTag": "1"}])["images"][0]
    try:
        if what == "artifact":
            s3.put_object(Bucket=BUCKET, Key=key, Body=b"another")
        else:
            push_image(ecr, GROUP, "1", {"another": b"image"})
        found = audited(standing.config, "staging")
    finally:
        s3.put_object(Bucket=BUCKET, Key=key, Body=before)
        if what == "image":
            ecr.batch_delete_image(repositoryName=GROUP, imageIds=[{"imageTag": "1"}])
            ecr.put_image(repositoryName=GROUP, imageManifest=image["imageManifest"], imageTag="1")
    assert [one.subject.rpartition("/")[2] for one in found.findings if "someone replaced" in one.text] == (
        ["1"] if what == "artifact" else ["1", "2"]
    )
    assert found.missing


def test_a_version_without_a_release_is_missing_one(standing: Any) -> None:
    standing.admin("producer", "s3").delete_object(Bucket=BUCKET, Key=f"releases/{GROUP}/2.json")
    found = audited(standing.config, "staging")
    assert [one for one in found.findings if one.severity is Severity.ERROR and "has no Release" in one.text]
    assert found.missing


def test_access_that_has_ended_is_not_missing(standing: Any, edited: Any) -> None:
    path = edited(consumers__staging__expires="2020-01-01")
    found = audited(path)
    assert {one.consumer for one in found.answers} == {"production"}
    assert [
        one for one in found.findings if "The access of staging ended at 2020-01-01T00:00:00Z" in one.text
    ]
    assert not found.missing


def test_what_a_killed_probe_left_is_cleared_by_the_next(standing: Any) -> None:
    client = standing.role("staging", "crossaccount-deployer", "sagemaker")
    client.create_model(
        ModelName="decision-trees-staging-v0",
        PrimaryContainer={
            "ModelPackageName": f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/1"
        },
        ExecutionRoleArn="arn:aws:iam::222222222222:role/crossaccount-execution",
        Tags=[{"Key": "crossaccount:managed-by", "Value": "crossaccount"}],
    )
    assert not shut(audited(standing.config, "staging"))
    assert not any(standing.hosted("staging").values())


def test_a_model_of_somebody_else_s_under_the_probe_s_name_is_left_alone(standing: Any) -> None:
    client = standing.admin("staging", "sagemaker")
    client.create_model(
        ModelName="decision-trees-staging-v0",
        PrimaryContainer={
            "ModelPackageName": f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/1"
        },
        ExecutionRoleArn="arn:aws:iam::222222222222:role/crossaccount-execution",
    )
    try:
        found = audited(standing.config, "staging")
        assert [one for one in found.findings if "was not made by this tool" in one.text]
        assert standing.hosted("staging")["models"] == ["decision-trees-staging-v0"]
    finally:
        client.delete_model(ModelName="decision-trees-staging-v0")
