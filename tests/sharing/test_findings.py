"""What stands in the way of a share is found before anything is written, all of it at once, with the way out."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from crossaccount import doors
from crossaccount.config.loading import load_config
from crossaccount.errors import DoorName, Finding, PlanRefused, Refused, Severity
from crossaccount.sharing import gather
from crossaccount.sharing.changes import Plan

BUCKET, GROUP = "producer-models-111111111111", "decision-trees-sample"
IMAGE = f"111111111111.dkr.ecr.us-east-1.amazonaws.com/{GROUP}:1"
MODEL = f"s3://{BUCKET}/models/{GROUP}/1/model.tar.gz"
STAGING = "222222222222"
EVERYTHING = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")

Breaking = Callable[[Any, Any], contextlib.AbstractContextManager[dict[str, Any]]]


def planned(path: str) -> tuple[Finding, ...]:
    """What a plan of the config finds, whether it is refused or not."""
    try:
        found: Plan = gather.make_plan(load_config(path))
    except PlanRefused as refused:
        return refused.findings
    return found.findings


def as_administrator(edited: Any, **changes: Any) -> str:
    """A config without a role: the ambient credentials act."""
    path: str = edited(producer__role=None, producer__external_id=None, producer__profile=None, **changes)
    return path


@contextlib.contextmanager
def version(aws: Any, registered: Any, **container: Any) -> Iterator[dict[str, Any]]:
    with registered(aws, **{"Image": IMAGE, "ModelDataUrl": MODEL, **container}) as number:
        yield {"versions": [number]}


def of_version(**container: Any) -> Breaking:
    return lambda aws, registered: version(aws, registered, **container)


@contextlib.contextmanager
def bucket_of(aws: Any, account: str, name: str, region: str = "us-east-1", **more: Any) -> Iterator[Any]:
    key = aws.ready["accounts"][account]
    s3 = aws.client("s3", key["access_key_id"], key["secret_access_key"])
    if region != "us-east-1":
        more["CreateBucketConfiguration"] = {"LocationConstraint": region}
    s3.create_bucket(Bucket=name, **more)
    try:
        yield s3
    finally:
        for entry in s3.list_objects_v2(Bucket=name).get("Contents", []):
            s3.delete_object(Bucket=name, Key=entry["Key"])
        s3.delete_bucket(Bucket=name)


@contextlib.contextmanager
def bucket_of_a_third_account(aws: Any, registered: Any) -> Iterator[dict[str, Any]]:
    with bucket_of(aws, "staging", "theirs-222222222222") as s3:
        s3.put_object(Bucket="theirs-222222222222", Key="m/model.tar.gz", Body=b"x")
        # They even let the producer read: whose the bucket is must be looked at all the same.
        allow = {"Effect": "Allow", "Principal": {"AWS": "111111111111"}, "Action": "s3:*"}
        both = ["arn:aws:s3:::theirs-222222222222", "arn:aws:s3:::theirs-222222222222/*"]
        document = {"Version": "2012-10-17", "Statement": [{**allow, "Resource": both}]}
        s3.put_bucket_policy(Bucket="theirs-222222222222", Policy=json.dumps(document))
        with version(aws, registered, ModelDataUrl="s3://theirs-222222222222/m/model.tar.gz") as changes:
            yield changes


@contextlib.contextmanager
def bucket_of_another_region(aws: Any, registered: Any) -> Iterator[dict[str, Any]]:
    with bucket_of(aws, "producer", "afar-111111111111", "eu-west-1") as s3:
        s3.put_object(Bucket="afar-111111111111", Key="m/model.tar.gz", Body=b"x")
        with version(aws, registered, ModelDataUrl="s3://afar-111111111111/m/model.tar.gz") as changes:
            yield changes


@contextlib.contextmanager
def object_of_a_third_account(aws: Any, registered: Any) -> Iterator[dict[str, Any]]:
    name = "mixed-111111111111"
    with bucket_of(aws, "producer", name, ObjectOwnership="ObjectWriter") as s3:
        allow = {
            "Effect": "Allow",
            "Principal": {"AWS": STAGING},
            "Action": ["s3:PutObject", "s3:PutObjectAcl"],
        }
        document = {"Version": "2012-10-17", "Statement": [{**allow, "Resource": f"arn:aws:s3:::{name}/*"}]}
        s3.put_bucket_policy(Bucket=name, Policy=json.dumps(document))
        aws.admin("staging", "s3").put_object(
            Bucket=name, Key="m/model.tar.gz", Body=b"x", ACL="bucket-owner-full-control"
        )
        try:
            with version(aws, registered, ModelDataUrl=f"s3://{name}/m/model.tar.gz") as changes:
                yield changes
        finally:
            s3.put_bucket_ownership_controls(
                Bucket=name, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
            )


@contextlib.contextmanager
def stored(aws: Any, registered: Any, key: str) -> Iterator[dict[str, Any]]:
    """A version whose artifact is encrypted under a key."""
    s3, name = aws.admin("producer", "s3"), f"models/{GROUP}/kept/model.tar.gz"
    s3.put_object(
        Bucket=BUCKET,
        Key=name,
        Body=b"x",
        ServerSideEncryption="aws:kms",
        **({"SSEKMSKeyId": key} if key else {}),
    )
    try:
        with version(aws, registered, ModelDataUrl=f"s3://{BUCKET}/{name}") as changes:
            yield changes
    finally:
        s3.delete_object(Bucket=BUCKET, Key=name)


@contextlib.contextmanager
def key_of_a_third_account(aws: Any, registered: Any) -> Iterator[dict[str, Any]]:
    kms = aws.admin("staging", "kms")
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    document = json.loads(kms.get_key_policy(KeyId=arn)["Policy"])
    allow = {"Effect": "Allow", "Principal": {"AWS": "111111111111"}, "Action": "kms:*", "Resource": "*"}
    document["Statement"].append(allow)
    kms.put_key_policy(KeyId=arn, PolicyName="default", Policy=json.dumps(document))
    with stored(aws, registered, arn) as changes:
        yield changes


@contextlib.contextmanager
def disabled_key(aws: Any, registered: Any) -> Iterator[dict[str, Any]]:
    kms = aws.admin("producer", "kms")
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    with stored(aws, registered, arn) as changes:
        kms.disable_key(KeyId=arn)
        yield changes


@contextlib.contextmanager
def nothing(aws: Any, registered: Any) -> Iterator[dict[str, Any]]:
    yield {}


# What is broken -> what the finding is about, what it says, and what it advises.
OBSTACLES: dict[str, tuple[Breaking, str, str, str]] = {
    "the artifact is missing": (
        of_version(ModelDataUrl=f"s3://{BUCKET}/models/{GROUP}/ghost/model.tar.gz"),
        f"s3://{BUCKET}/models/{GROUP}/ghost/model.tar.gz",
        "missing",
        "Restore it",
    ),
    "the bucket is missing": (
        of_version(ModelDataUrl="s3://ghost-bucket/m/model.tar.gz"),
        "bucket ghost-bucket",
        "does not exist",
        "restore it",
    ),
    "the repository is missing": (
        of_version(Image="111111111111.dkr.ecr.us-east-1.amazonaws.com/ghost:1"),
        "repository ghost",
        "does not exist",
        "restore it",
    ),
    "the image is missing": (
        of_version(Image=f"111111111111.dkr.ecr.us-east-1.amazonaws.com/{GROUP}:ghost"),
        f"repository {GROUP}",
        "is not in it",
        "Push it",
    ),
    "the repository is a third account's": (
        of_version(Image="555555555555.dkr.ecr.us-east-1.amazonaws.com/theirs:1"),
        "repository theirs",
        "neither the producer nor AWS",
        "owner must share it",
    ),
    "the repository lies in another region": (
        of_version(Image="111111111111.dkr.ecr.eu-west-1.amazonaws.com/afar:1"),
        "repository afar",
        "lies in eu-west-1",
        "Replicate it",
    ),
    "the artifact is a whole bucket": (
        of_version(ModelDataUrl=f"s3://{BUCKET}/"),
        f"s3://{BUCKET}/",
        "neither an object nor a folder",
        "Register the version",
    ),
    "the bucket is a third account's": (
        bucket_of_a_third_account,
        "bucket theirs-222222222222",
        "another account than the producer",
        "Its owner must share it",
    ),
    "the bucket lies in another region": (
        bucket_of_another_region,
        "bucket afar-111111111111",
        "lies in eu-west-1",
        "Copy the artifacts",
    ),
    "the object is a third account's": (
        object_of_a_third_account,
        "s3://mixed-111111111111/m/model.tar.gz",
        "still owns it",
        "BucketOwnerEnforced",
    ),
    "the key is managed by AWS": (
        lambda aws, made: stored(aws, made, ""),
        f"s3://{BUCKET}/models/{GROUP}/kept/model.tar.gz",
        "no other account can ever use",
        "aws s3 cp",
    ),
    "the key is a third account's": (
        key_of_a_third_account,
        f"s3://{BUCKET}/models/{GROUP}/kept/model.tar.gz",
        "a key of account 222222222222",
        "share the key",
    ),
    "the key is disabled": (
        disabled_key,
        f"s3://{BUCKET}/models/{GROUP}/kept/model.tar.gz",
        "KMS key",
        "Enable the key",
    ),
    "the group is missing": (
        lambda aws, made: contextlib.nullcontext({"model_package_group": "ghosts"}),
        "model-package-group ghosts",
        "does not exist",
        "correct the config",
    ),
    "the version is missing": (
        lambda aws, made: contextlib.nullcontext({"versions": [77]}),
        f"version 77 of {GROUP}",
        "does not exist",
        "Correct versions",
    ),
    "the version waits for approval": (
        lambda aws, made: contextlib.nullcontext({"versions": [3]}),
        f"model-package-group {GROUP}",
        "PendingManualApproval",
        "approves it",
    ),
}


@pytest.mark.parametrize("what", OBSTACLES)
def test_what_stands_in_the_way_is_found_before_anything_is_written(
    administrator: Any, edited: Any, registered: Any, what: str
) -> None:
    breaking, subject, says, advises = OBSTACLES[what]
    with (
        breaking(administrator, registered) as changes,
        administrator.calls() as calls,
        pytest.raises(PlanRefused) as refused,
    ):
        gather.make_plan(load_config(as_administrator(edited, **changes)))
    errors = [one for one in refused.value.findings if one.severity is Severity.ERROR]
    assert len(errors) == 1
    assert subject in errors[0].subject
    assert says in f"{errors[0].text} {errors[0].way_out}"
    assert advises in f"{errors[0].text} {errors[0].way_out}"
    assert not [one["operation"] for one in calls if one["operation"].startswith(("Put", "Set", "Delete"))]


def test_everything_that_stands_in_the_way_is_said_at_once(
    administrator: Any, edited: Any, registered: Any
) -> None:
    with (
        version(administrator, registered, ModelDataUrl="s3://ghost-bucket/m/model.tar.gz") as one,
        version(
            administrator, registered, Image=f"111111111111.dkr.ecr.us-east-1.amazonaws.com/{GROUP}:ghost"
        ) as two,
        version(
            administrator, registered, Image="555555555555.dkr.ecr.us-east-1.amazonaws.com/theirs:1"
        ) as three,
    ):
        versions = [number for changes in (one, two, three) for number in changes["versions"]]
        found = planned(as_administrator(edited, versions=versions))
    assert {one.subject for one in found} == {
        "bucket ghost-bucket",
        f"repository {GROUP}",
        "repository theirs",
        f"samples of {GROUP}",
    }


PUBLIC = {
    "Sid": "Open",
    "Effect": "Allow",
    "Principal": "*",
    "Action": "s3:GetObject",
    "Resource": f"arn:aws:s3:::{BUCKET}/public/*",
}


@contextlib.contextmanager
def public(aws: Any, *settings: str) -> Iterator[None]:
    """The bucket has a public statement, put while that was allowed; then these settings block it."""
    s3 = aws.admin("producer", "s3")
    block = dict.fromkeys(EVERYTHING, False)
    s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=block)
    aws.put("bucket", {"Version": "2012-10-17", "Statement": [PUBLIC]})
    s3.put_public_access_block(
        Bucket=BUCKET, PublicAccessBlockConfiguration=block | dict.fromkeys(settings, True)
    )
    try:
        yield
    finally:
        aws.put("bucket", None)
        s3.put_public_access_block(
            Bucket=BUCKET, PublicAccessBlockConfiguration=dict.fromkeys(EVERYTHING, True)
        )


@pytest.fixture
def reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 Control has the account in front of its host's name: for the clients of tests every such name is this machine."""
    known = socket.getaddrinfo

    def resolved(host: Any, *more: Any, **others: Any) -> Any:
        return known(str(host).removeprefix("111111111111."), *more, **others)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)


@pytest.mark.parametrize(
    ("settings", "severity", "says"),
    [
        ((), Severity.WARNING, "The statement Open is public."),
        (("RestrictPublicBuckets",), Severity.ERROR, "shuts every other account out"),
        (("BlockPublicPolicy",), Severity.ERROR, "refuses every change"),
        (("BlockPublicPolicy", "RestrictPublicBuckets"), Severity.ERROR, "shuts every other account out"),
    ],
)
def test_a_public_statement_of_others_is_held_against_the_bucket_s_block(
    aws: Any, settings: tuple[str, ...], severity: Severity, says: str
) -> None:
    with public(aws, *settings):
        found = [one for one in planned(str(aws.config)) if "public" in one.text]
        document = aws.documents()["bucket"]
    assert [one.severity for one in found] == [severity]
    assert says in found[0].text
    assert "Remove or narrow the statement Open" in found[0].way_out
    assert document["Statement"] == [PUBLIC]


@pytest.mark.parametrize(
    ("setting", "says"),
    [("RestrictPublicBuckets", "shuts every other"), ("BlockPublicPolicy", "refuses every change")],
)
def test_a_public_statement_is_held_against_the_account_s_block_too(
    aws: Any, reachable: None, setting: str, says: str
) -> None:
    control = aws.admin("producer", "s3control")
    block = dict.fromkeys(EVERYTHING, False) | {setting: True}
    with public(aws):
        control.put_public_access_block(AccountId="111111111111", PublicAccessBlockConfiguration=block)
        try:
            found = [one for one in planned(str(aws.config)) if "public" in one.text]
        finally:
            control.delete_public_access_block(AccountId="111111111111")
    assert [one.severity for one in found] == [Severity.ERROR]
    assert says in found[0].text


def test_an_account_s_block_that_cannot_be_asked_is_said(aws: Any) -> None:
    with public(aws), aws.denied("producer", "crossaccount-producer", "s3:GetAccountPublicAccessBlock"):
        found = [one for one in planned(str(aws.config)) if "public" in one.text]
    assert "could not be asked" in found[0].text


def test_an_account_s_block_is_asked_at_an_address_without_a_wait(aws: Any) -> None:
    """S3 Control has the account in front of its host's name; before an address that would be no name."""
    with public(aws):
        start = time.monotonic()
        with aws.calls() as calls:
            planned(str(aws.config))
    assert [one["service"] for one in calls if one["operation"] == "GetPublicAccessBlock"].count(
        "s3control"
    ) == 1
    assert time.monotonic() - start < 8


@pytest.mark.parametrize(
    "statement",
    [
        {**PUBLIC, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-sandbox0001"}}},
        {**PUBLIC, "Effect": "Deny"},
        {**PUBLIC, "Principal": {"AWS": "444444444444"}},
    ],
)
def test_what_is_not_public_is_not_asked_about(aws: Any, statement: dict[str, Any]) -> None:
    with aws.restored():
        aws.put("bucket", {"Version": "2012-10-17", "Statement": [statement]})
        with aws.calls() as calls:
            found = planned(str(aws.config))
        assert not [one for one in found if "public" in one.text]
        assert not [one for one in calls if "PublicAccessBlock" in one["operation"]]


STATEMENTS: dict[str, dict[str, Any]] = {
    "bucket": {"Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/public/*"},
    "repository": {"Action": "ecr:DescribeImages"},
    "group": {
        "Action": "sagemaker:DescribeModelPackageGroup",
        "Resource": f"arn:aws:sagemaker:us-east-1:111111111111:model-package-group/{GROUP}",
    },
    "key": {"Action": "kms:DescribeKey", "Resource": "*"},
}


@contextlib.contextmanager
def dead_role(aws: Any, kind: str) -> Iterator[None]:
    """A statement of others names a role, and then the role is deleted."""
    iam = aws.admin("staging", "iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": STAGING}, "Action": "sts:AssumeRole"}
    iam.create_role(
        RoleName="ghost", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    named = {
        "Sid": "Named",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{STAGING}:role/ghost"},
        **STATEMENTS[kind],
    }
    with aws.restored():
        document = aws.documents()[kind] or {"Version": "2012-10-17", "Statement": []}
        aws.put(kind, {**document, "Statement": [*document["Statement"], named]})
        iam.delete_role(RoleName="ghost")
        yield


@pytest.mark.parametrize("kind", STATEMENTS)
def test_a_role_that_is_gone_in_a_statement_of_others_is_found_before_the_put(
    aws: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(gather, "_SHOWN_AGAIN_SECONDS", 0.01)
    with dead_role(aws, kind):
        before = aws.documents()
        found = [one for one in planned(str(aws.config)) if "AROA" in one.text]
        assert aws.documents() == before
    assert [one.severity for one in found] == [Severity.ERROR]
    assert "refuses the whole document" in found[0].text
    assert "Remove it from the statement" in found[0].way_out


def test_a_role_shown_by_its_id_for_a_moment_is_no_finding(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 may show a role by its id right after a put; the next look shows its ARN."""
    monkeypatch.setattr(gather, "_SHOWN_AGAIN_SECONDS", 0.01)
    read, left = doors.read_policy, [1]
    named = {
        "Sid": "Named",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::222222222222:role/crossaccount-deployer"},
        **STATEMENTS["bucket"],
    }

    def momentary(producer: Any, resource: Any) -> Any:
        document, token = read(producer, resource)
        if str(resource.kind) == "bucket" and left:
            left.pop()
            return {**document, "Statement": [{**named, "Principal": {"AWS": "AROAEXAMPLEEXAMPLE"}}]}, token
        return document, token

    monkeypatch.setattr(gather, "read_policy", momentary)
    with aws.restored():
        aws.put("bucket", {"Version": "2012-10-17", "Statement": [named]})
        assert not [one for one in planned(str(aws.config)) if "AROA" in one.text]
    assert not left


@pytest.mark.parametrize(
    ("changes", "severity", "verb"),
    [
        ({"Principal": {"AWS": STAGING}}, Severity.WARNING, "keeps 222222222222 out"),
        ({"Principal": "*"}, Severity.WARNING, "keeps everyone out"),
        ({"NotPrincipal": {"AWS": "111111111111"}}, Severity.WARNING, "keeps everyone out"),
        ({"NotPrincipal": {"AWS": STAGING}}, Severity.WARNING, "keeps 333333333333 out"),
        ({"NotPrincipal": {"AWS": [STAGING, "333333333333"]}}, Severity.NOTE, "may keep everyone out"),
        (
            {"Principal": "*", "Condition": {"StringNotEquals": {"aws:PrincipalOrgID": "o-other00000"}}},
            Severity.NOTE,
            "may keep everyone out",
        ),
        ({"Principal": {"AWS": "444444444444"}}, None, ""),
        ({"Principal": "*", "Action": "s3:DeleteObject"}, None, ""),
        ({"Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}, None, ""),
        ({"Principal": "*", "Condition": {"BoolIfExists": {"aws:securetransport": "false"}}}, None, ""),
        ({"Principal": "*", "Condition": {"NumericLessThanIfExists": {"s3:TlsVersion": "1.2"}}}, None, ""),
        (
            {"Principal": "*", "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.3"}}},
            Severity.NOTE,
            "may keep everyone out",
        ),
        ({"Principal": "*", "Resource": f"arn:aws:s3:::{BUCKET}/hr/*"}, None, ""),
        (
            {
                "Principal": "*",
                "Action": "s3:GetObject*",
                "Resource": None,
                "NotResource": f"arn:aws:s3:::{BUCKET}/*",
            },
            None,
            "",
        ),
        (
            {"Principal": {"AWS": f"arn:aws:iam::{STAGING}:role/crossaccount-deployer"}},
            Severity.WARNING,
            f"keeps arn:aws:iam::{STAGING}:role/crossaccount-deployer out",
        ),
        (
            {"Principal": {"AWS": f"arn:aws:sts::{STAGING}:assumed-role/crossaccount-execution/SageMaker"}},
            Severity.WARNING,
            f"keeps arn:aws:iam::{STAGING}:role/crossaccount-execution out",
        ),
        (
            {"Principal": {"AWS": f"arn:aws:sts::{STAGING}:assumed-role/crossaccount-deployer/other"}},
            None,
            "",
        ),
        (
            {
                "Principal": "*",
                "Condition": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/crossaccount-*"}},
            },
            Severity.WARNING,
            "keeps everyone out",
        ),
        (
            {"Principal": "*", "Condition": {"StringNotEquals": {"aws:PrincipalAccount": [STAGING]}}},
            Severity.WARNING,
            "keeps 333333333333 out",
        ),
        (
            {"Principal": "*", "Condition": {"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}},
            None,
            "",
        ),
    ],
)
def test_a_deny_that_may_keep_a_consumer_out_is_pointed_at(
    aws: Any, changes: dict[str, Any], severity: Severity | None, verb: str
) -> None:
    deny = {
        "Sid": "Never",
        "Effect": "Deny",
        "Action": "s3:Get*",
        "Resource": f"arn:aws:s3:::{BUCKET}/releases/*",
        **changes,
    }
    deny = {key: value for key, value in deny.items() if value is not None}
    with aws.restored():
        aws.put("bucket", {"Version": "2012-10-17", "Statement": [deny]})
        found = [one for one in planned(str(aws.config)) if "denies" in one.text]
    assert [one.severity for one in found] == ([severity] if severity else [])
    assert all(verb in one.text for one in found)


@pytest.mark.parametrize(
    ("action", "owned", "settings"),
    [
        ("s3:GetBucketAcl", "ObjectWriter", None),
        ("s3:GetBucketPublicAccessBlock", "BucketOwnerEnforced", ()),
        ("s3:GetBucketOwnershipControls", "BucketOwnerEnforced", None),
    ],
)
def test_what_may_not_be_looked_at_is_a_refusal_of_the_sharing_role(
    aws: Any, action: str, owned: str, settings: tuple[str, ...] | None
) -> None:
    """The actions of the producer's template that only some buckets need, each taken out in turn."""
    s3 = aws.admin("producer", "s3")
    with public(aws, *settings) if settings is not None else contextlib.nullcontext():
        s3.put_bucket_ownership_controls(
            Bucket=BUCKET, OwnershipControls={"Rules": [{"ObjectOwnership": owned}]}
        )
        try:
            assert planned(str(aws.config)) is not None
            with aws.denied("producer", "crossaccount-producer", action), pytest.raises(Refused) as refused:
                planned(str(aws.config))
        finally:
            enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
            s3.put_bucket_ownership_controls(Bucket=BUCKET, OwnershipControls=enforced)
    assert (refused.value.refusal.door, refused.value.refusal.action) == (DoorName.CALLER_POLICY, action)


# A key of the producer's own account that its role may not look at: who must change which policy.

SHARER = "arn:aws:iam::111111111111:role/crossaccount-producer"


@contextlib.contextmanager
def kept_by_one_administrator(aws: Any) -> Iterator[None]:
    """The key's policy names its administrator and nobody else, as where keys are kept by a team of their own."""
    alone = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:user/administrator"}}
    document = {"Version": "2012-10-17", "Statement": [{**alone, "Action": "kms:*", "Resource": "*"}]}
    with aws.restored():
        aws.put("key", document)
        yield


@contextlib.contextmanager
def without_a_policy_for_the_key(aws: Any) -> Iterator[None]:
    iam, role = aws.admin("producer", "iam"), "crossaccount-producer"
    before = {
        name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in ("key", "keys")
    }
    for name in before:
        iam.delete_role_policy(RoleName=role, PolicyName=name)
    try:
        yield
    finally:
        for name, document in before.items():
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))


@pytest.mark.parametrize(
    ("broken", "words", "not_said"),
    [
        (
            kept_by_one_administrator,
            ("itself must name", f'"Principal": {{"AWS": "{SHARER}"}}', '"Action": "kms:DescribeKey"'),
            "an identity policy of",
        ),
        (
            without_a_policy_for_the_key,
            ("an identity policy of", SHARER, "kms:DescribeKey"),
            "itself must name",
        ),
    ],
)
def test_a_key_of_the_producer_s_own_is_opened_by_whoever_keeps_its_policy(
    desk: Any, broken: Any, words: tuple[str, ...], not_said: str
) -> None:
    key = desk.aws.key
    with broken(desk.aws):
        before = desk.aws.documents()
        (found,) = [one for one in planned(desk.aws.config) if one.severity is Severity.ERROR]
        assert desk.aws.documents() == before
    for word in (*words, key, "encrypt the artifact under a key of your own"):
        assert word in str(found)
    assert not_said not in str(found)
    assert "with a config that names" not in str(found)
