"""A read that is refused the producer is a finding beside all others: an error of a share, a doubt of an audit, said by a revoke."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from crossaccount.audit.answers import Verdict
from crossaccount.audit.documents import read_documents
from crossaccount.errors import Refused, Severity, Unread
from crossaccount.sharing import gather, revoke

BUCKET = "producer-models-111111111111"
ROLE = {"AWS": "arn:aws:iam::111111111111:role/crossaccount-producer"}

# The document that a Deny stands in, the read that it refuses, and the door of which `check` can then not tell.
READS = [
    ("repository", "ecr:BatchGetImage", "repository"),
    ("repository", "ecr:GetRepositoryPolicy", "repository"),
    ("bucket", "s3:GetBucketPolicy", "bucket"),
    ("bucket", "s3:GetObject", "bucket"),
    ("bucket", "s3:ListBucket", "bucket"),
    ("bucket", "s3:GetBucketOwnershipControls", "bucket"),
    ("key", "kms:GetKeyPolicy", "key"),
    ("group", "sagemaker:GetModelPackageGroupPolicy", "registry"),
]
# Those of them that a revoke needs too.
OF_REVOKE = [row for row in READS if "Policy" in row[1] or row[1] == "s3:GetObject"]


@contextlib.contextmanager
def denied(aws: Any, kind: str, action: str) -> Iterator[None]:
    """The world after a share, in which a stranger's Deny refuses the producer a read."""
    document = aws.documents()[kind]
    statement: dict[str, Any] = {"Sid": "Theirs", "Effect": "Deny", "Principal": ROLE, "Action": action}
    if kind == "bucket":
        statement["Resource"] = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
    elif kind == "key":
        statement["Resource"] = "*"
    elif kind == "group":
        statement["Resource"] = document["Statement"][0]["Resource"]
    aws.put(kind, {**document, "Statement": [*document["Statement"], statement]})
    try:
        yield
    finally:
        aws.put(kind, document)


@pytest.fixture
def shared(desk: Any) -> Any:
    desk.apply(desk.plan())
    return desk


@pytest.fixture
def beside(aws: Any) -> Iterator[str]:
    """A statement of a stranger that every plan has something to say about."""
    document = aws.documents()["repository"]
    theirs = {
        "Sid": "Beside",
        "Effect": "Deny",
        "Principal": {"AWS": "222222222222"},
        "Action": "ecr:GetDownloadUrlForLayer",
    }
    aws.put("repository", {**document, "Statement": [*document["Statement"], theirs]})
    yield "Beside"
    aws.put("repository", document)


@pytest.mark.parametrize(("kind", "action", "door"), READS)
def test_a_share_is_refused_by_name_and_hides_nothing_else(
    shared: Any, beside: str, kind: str, action: str, door: str
) -> None:
    with denied(shared.aws, kind, action), pytest.raises(Refused) as refused:
        gather.make_plan(shared.sharing)
    unread = [one for one in refused.value.findings if isinstance(one, Unread)]
    assert refused.value.refusal.action == action
    assert {one.severity for one in unread} >= {Severity.ERROR}
    if action != "ecr:GetRepositoryPolicy":  # whose document has the other statement
        assert any(beside in one.text for one in refused.value.findings)
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)  # noqa: S301 - our own


@pytest.mark.parametrize(("kind", "action", "door"), READS)
def test_an_audit_cannot_tell_of_that_door_alone(shared: Any, kind: str, action: str, door: str) -> None:
    with denied(shared.aws, kind, action):
        evidence = read_documents(shared.sharing, ["staging"])
    said = {answer.door: answer.verdict for answer in evidence.answers}
    assert said.pop(door) is Verdict.CANNOT_TELL
    assert set(said.values()) <= {Verdict.YES}
    assert len(said) >= 2
    said_of = [one for one in evidence.findings if isinstance(one, Unread)]
    assert {one.severity for one in said_of} == {Severity.WARNING}


def test_what_an_unread_bucket_holds_is_not_said_to_be_needed_no_more(shared: Any) -> None:
    with denied(shared.aws, "bucket", "s3:GetBucketOwnershipControls"):
        evidence = read_documents(shared.sharing, ["staging"])
    assert not [one for one in evidence.findings if "needs it any more" in one.text]


@pytest.mark.parametrize(("kind", "action", "door"), OF_REVOKE)
def test_a_revoke_names_what_it_could_not_read(shared: Any, kind: str, action: str, door: str) -> None:
    everything = revoke.choose(shared.sharing, everything=True)
    with denied(shared.aws, kind, action):
        with pytest.raises(Refused, match="--force") as refused:
            revoke.make_plan(shared.sharing, everything)
        plan = revoke.make_plan(shared.sharing, everything, force=True)
    assert refused.value.refusal.action == action
    said = [one for one in plan.findings if isinstance(one, Unread)]
    assert said
    assert {one.severity for one in said} == {Severity.WARNING}
    assert all("cannot be told" in one.text for one in said)
    deprived = {change.resource.kind for change in plan.changes if "222222222222" in change.deprived}
    assert len(deprived) >= 3


def test_one_version_is_not_taken_back_where_the_others_needs_cannot_be_read(
    shared: Any, edited: Any
) -> None:
    from crossaccount.config.loading import load_config

    listed = load_config(edited(versions=[1, 2]))
    with denied(shared.aws, "bucket", "s3:GetObject"), pytest.raises(Refused) as refused:
        revoke.make_plan(listed, revoke.choose(listed, version=1), force=True)
    assert "--force" not in str(refused.value)


def test_two_refusals_are_both_said(shared: Any) -> None:
    with (
        denied(shared.aws, "repository", "ecr:GetRepositoryPolicy"),
        denied(shared.aws, "key", "kms:GetKeyPolicy"),
        pytest.raises(Refused) as refused,
    ):
        gather.make_plan(shared.sharing)
    assert "ecr:GetRepositoryPolicy" in str(refused.value)
    assert "kms:GetKeyPolicy" in str(refused.value)


def test_a_missing_image_says_nothing_of_the_group_of_the_same_name(shared: Any) -> None:
    ecr = shared.aws.admin("producer", "ecr")
    image = ecr.batch_get_image(repositoryName="decision-trees-sample", imageIds=[{"imageTag": "1"}])[
        "images"
    ][0]
    ecr.batch_delete_image(repositoryName="decision-trees-sample", imageIds=[{"imageTag": "1"}])
    try:
        evidence = read_documents(shared.sharing, ["staging"])
    finally:
        ecr.put_image(
            repositoryName="decision-trees-sample", imageManifest=image["imageManifest"], imageTag="1"
        )
    said = {answer.door: answer.verdict for answer in evidence.answers}
    assert (said["repository"], said["registry"]) == (Verdict.CANNOT_TELL, Verdict.YES)
