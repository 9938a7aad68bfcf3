"""Releases under a key: consumers are let in to it, and what would keep one from being published is found before anything is written."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount.aws.access import open_producer
from crossaccount.config.loading import load_config
from crossaccount.errors import PlanRefused, Severity
from crossaccount.release import store
from crossaccount.sharing import apply, gather, publish
from crossaccount.sharing.changes import Plan
from crossaccount.sharing.plan import plan_share

BUCKET, GROUP, OWNER = "producer-models-111111111111", "decision-trees-sample", "111111111111"
STAGING = "222222222222"
SSE, SSE_KEY = "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"


def as_administrator(edited: Any, **changes: Any) -> str:
    path: str = edited(producer__role=None, producer__external_id=None, producer__profile=None, **changes)
    return path


@contextlib.contextmanager
def default(aws: Any, algorithm: str, key: str | None = None) -> Iterator[None]:
    """The bucket's default encryption, for a while."""
    s3 = aws.admin("producer", "s3")
    rule = {"SSEAlgorithm": algorithm, **({"KMSMasterKeyID": key} if key else {})}
    s3.put_bucket_encryption(
        Bucket=BUCKET,
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": rule}]},
    )
    try:
        yield
    finally:
        s3.delete_bucket_encryption(Bucket=BUCKET)


@pytest.fixture
def key(administrator: Any) -> str:
    """A key of the producer that no role's policy names."""
    return str(administrator.admin("producer", "kms").create_key()["KeyMetadata"]["Arn"])


@pytest.fixture
def their_key(administrator: Any) -> str:
    return str(administrator.admin("staging", "kms").create_key()["KeyMetadata"]["Arn"])


def lets_in(aws: Any, key: str) -> list[str]:
    """Who may decrypt by statements of ours."""
    policy = json.loads(aws.admin("producer", "kms").get_key_policy(KeyId=key)["Policy"])
    return [
        name
        for one in policy["Statement"]
        if str(one.get("Sid", "")).startswith("CrossAccountDecrypt")
        for name in one["Principal"]["AWS"]
    ]


def share(path: str) -> Plan:
    """Share as the flow does; the plan."""
    sharing = load_config(path)
    producer = open_producer(sharing)
    gathered = gather.gather(producer)
    plan = plan_share(sharing, gathered)
    prepared = [publish.prepare(producer, version, gathered, plan) for version in gathered.versions]
    apply.apply(producer, plan)
    for release, is_new in prepared:
        if is_new:
            publish.publish(producer, release)
    return plan


def key_of(aws: Any, version: int) -> str | None:
    head = aws.admin("producer", "s3").head_object(Bucket=BUCKET, Key=f"releases/{GROUP}/{version}.json")
    found: str | None = head.get("SSEKMSKeyId")
    return found


# How Releases come to lie under the key: (the bucket's default, the config).
WAYS = {
    "the bucket's default": (True, False),
    "the config's key": (False, True),
    "the config's key over another default": (None, True),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_key_of_releases_is_opened_and_they_lie_under_it(
    administrator: Any, edited: Any, key: str, way: str
) -> None:
    by_default, by_config = WAYS[way]
    other = administrator.key if by_default is None else key
    path = as_administrator(
        edited, versions=[1], **({"producer__releases_kms_key": key} if by_config else {})
    )
    with administrator.restored(), contextlib.ExitStack() as stack:
        if by_default is not False:
            stack.enter_context(default(administrator, "aws:kms", other))
        plan = share(path)
        assert plan.findings == ()
        assert key_of(administrator, 1) == key
        assert any(STAGING in name for name in lets_in(administrator, key))
        # Consumers are told of the keys that a deployment needs: that of the Release alone is none.
        release = store.read(open_producer(load_config(path)), 1)
        assert release.contents.keys == ()
        assert share(path).writes == 0


def test_a_release_that_lies_under_a_key_of_before_is_opened_to_newcomers(
    administrator: Any, edited: Any, key: str
) -> None:
    alone = as_administrator(edited, versions=[1], consumers__production=None)
    with administrator.restored():
        with default(administrator, "aws:kms", key):
            share(alone)
        share(as_administrator(edited, versions=[1]))
        assert any("333333333333" in name for name in lets_in(administrator, key))


@pytest.mark.parametrize("named", ["arn", "id", "alias"])
def test_a_default_key_may_be_named_in_every_way(
    administrator: Any, edited: Any, key: str, named: str
) -> None:
    alias = f"alias/of-releases-{key.rpartition('/')[2]}"
    administrator.admin("producer", "kms").create_alias(AliasName=alias, TargetKeyId=key)
    forms = {"arn": key, "id": key.rpartition("/")[2], "alias": alias}
    with default(administrator, "aws:kms", forms[named]):
        plan = gather.make_plan(load_config(as_administrator(edited, versions=[1])))
    assert [change.resource.name for change in plan.changes if change.resource.kind == "key"] == [key]


def deny(operator: str, name: str, value: Any, **more: Any) -> dict[str, Any]:
    statement = {
        "Sid": "EncryptOrBeRefused",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/*",
        "Condition": {operator: {name: value}},
    }
    return {**statement, **more}


# A statement on the Releases' bucket, and whether its way out is a key, that one, or another place.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "aws:kms or nothing": (deny("StringNotEquals", SSE, "aws:kms"), f"key of account {OWNER}"),
    "a header or nothing": (deny("Null", SSE, "true"), f"key of account {OWNER}"),
    "a key or nothing": (deny("StringNotEquals", SSE_KEY, "KEY"), "KEY"),
    "AES256 or nothing": (deny("StringNotEquals", SSE, "AES256"), "another bucket"),
    "on the prefix alone": (
        deny("StringNotEquals", SSE, "aws:kms", Resource=f"arn:aws:s3:::{BUCKET}/releases/*"), f"key of account {OWNER}"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_policy_that_refuses_releases_is_found_before_anything_is_written(
    administrator: Any, edited: Any, key: str, what: str
) -> None:
    statement, advises = REFUSED[what]
    statement = json.loads(json.dumps(statement).replace('"KEY"', json.dumps(key)))
    path = as_administrator(edited, versions=[1])
    with administrator.restored():
        administrator.put("bucket", {"Version": "2012-10-17", "Statement": [statement]})
        before = administrator.documents()
        with pytest.raises(PlanRefused) as refused:
            share(path)
        assert administrator.documents() == before
        reasons = refused.value.reasons
        assert ["EncryptOrBeRefused" in reason and "version 1" in reason for reason in reasons] == [True]
        assert advises.replace("KEY", key) in reasons[0]
        if "key" in advises.lower():  # and the advice is right
            share(as_administrator(edited, versions=[1], producer__releases_kms_key=key))
            assert key_of(administrator, 1) == key
            assert share(path).writes == 0  # nothing is to be published any more


def test_what_is_published_already_needs_no_upload(administrator: Any, edited: Any) -> None:
    path = as_administrator(edited, versions=[1])
    with administrator.restored():
        share(path)
        document = administrator.documents()["bucket"]
        document["Statement"].append(REFUSED["aws:kms or nothing"][0])
        administrator.put("bucket", document)
        assert share(path).findings == ()


@pytest.mark.parametrize(
    ("what", "says"),
    [("managed", "AWS manages for S3"), ("theirs", f"account {STAGING}"), ("disabled", "Disabled")],
)
def test_a_default_key_that_no_consumer_can_use_is_refused_with_the_way_out(
    administrator: Any, edited: Any, key: str, their_key: str, what: str, says: str
) -> None:
    kms, before = administrator.admin("producer", "kms"), administrator.documents()
    chosen = {"managed": None, "theirs": their_key, "disabled": key}[what]
    if what == "disabled":
        kms.disable_key(KeyId=key)
    with default(administrator, "aws:kms", chosen), pytest.raises(PlanRefused) as refused:
        gather.make_plan(load_config(as_administrator(edited, versions=[1])))
    assert any(says in reason and "producer.releases_kms_key" in reason for reason in refused.value.reasons)
    assert administrator.documents() == before


def test_a_role_that_may_make_no_data_key_is_told_before_anything_is_written(aws: Any, edited: Any) -> None:
    iam = aws.admin("producer", "iam")
    no = {"Effect": "Deny", "Action": "kms:GenerateDataKey", "Resource": "*"}
    iam.put_role_policy(
        RoleName="crossaccount-producer",
        PolicyName="no-data-keys",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [no]}),
    )
    try:
        plan = gather.make_plan(load_config(edited(versions=[1], producer__releases_kms_key=aws.key)))
    finally:
        iam.delete_role_policy(RoleName="crossaccount-producer", PolicyName="no-data-keys")
    assert [(one.severity, "kms:GenerateDataKey" in one.text) for one in plan.findings] == [
        (Severity.WARNING, True)
    ]
    assert "takes the Deny out" in plan.findings[0].way_out  # an Allow would do nothing
    assert (
        gather.make_plan(load_config(edited(versions=[1], producer__releases_kms_key=aws.key))).findings == ()
    )


def test_a_default_encryption_that_may_not_be_asked_is_told(aws: Any, edited: Any) -> None:
    iam = aws.admin("producer", "iam")
    no = {"Effect": "Deny", "Action": "s3:GetEncryptionConfiguration", "Resource": "*"}
    iam.put_role_policy(
        RoleName="crossaccount-producer",
        PolicyName="unasked",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [no]}),
    )
    try:
        plan = gather.make_plan(load_config(aws.config))
    finally:
        iam.delete_role_policy(RoleName="crossaccount-producer", PolicyName="unasked")
    assert ["s3:GetEncryptionConfiguration" in one.way_out for one in plan.findings] == [True]
    assert "takes the Deny out" in plan.findings[0].way_out


# Denies of the producer's changes of policies.
CHANGES = {
    "bucket": ("s3:PutBucketPolicy", f"arn:aws:s3:::{BUCKET}"),
    "repository": ("ecr:SetRepositoryPolicy", None),
    "key": ("kms:PutKeyPolicy", "*"),
    "group": (
        "sagemaker:PutModelPackageGroupPolicy",
        f"arn:aws:sagemaker:us-east-1:{OWNER}:model-package-group/{GROUP}",
    ),
}


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("sure", [True, False])
def test_a_deny_of_a_change_is_found_before_anything_is_written(aws: Any, kind: str, sure: bool) -> None:
    action, resource = CHANGES[kind]
    role = {"AWS": f"arn:aws:iam::{OWNER}:role/crossaccount-producer"}
    statement = {"Sid": "Frozen", "Effect": "Deny", "Principal": role, "Action": action}
    statement |= {"Resource": resource} if resource else {}
    if not sure:
        statement |= {"Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}}
    with aws.restored():
        document = aws.documents()[kind] or {"Version": "2012-10-17", "Statement": []}
        aws.put(kind, {**document, "Statement": [*document["Statement"], statement]})
        sharing = load_config(aws.config)
        try:
            findings = gather.make_plan(sharing).findings
        except PlanRefused as refused:
            findings = refused.findings
    found = [one for one in findings if action in one.text]
    assert [one.severity for one in found] == [Severity.ERROR if sure else Severity.WARNING]
    assert "Frozen" in found[0].text


def test_a_consumer_reads_a_release_under_its_key(administrator: Any, edited: Any) -> None:
    """Under the key that the consumer's role knows from the template."""
    with administrator.restored():
        share(as_administrator(edited, versions=[1], producer__releases_kms_key=administrator.key))
        s3 = administrator.role("staging", "crossaccount-deployer", "s3")
        key = f"releases/{GROUP}/1.json"
        assert json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())["version"] == 1
        outsider = administrator.role("production", "crossaccount-deployer", "s3")
        assert outsider.get_object(Bucket=BUCKET, Key=key)["ResponseMetadata"]["HTTPStatusCode"] == 200
        with pytest.raises(ClientError):
            administrator.admin("outsider", "s3").get_object(Bucket=BUCKET, Key=key)


def test_a_key_of_releases_that_does_not_exist_is_named(administrator: Any, edited: Any) -> None:
    gone = f"arn:aws:kms:us-east-1:{OWNER}:key/00000000-0000-0000-0000-000000000000"
    with pytest.raises(PlanRefused) as refused:
        gather.make_plan(load_config(as_administrator(edited, producer__releases_kms_key=gone)))
    (reason,) = refused.value.reasons
    assert f"{gone}, which does not exist" in reason
    assert "releases_kms_key" in reason
