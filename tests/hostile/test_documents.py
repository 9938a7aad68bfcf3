"""What others wrote into buckets, files and policies is read whole and believed little."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount import doors
from crossaccount.arns import group_arn, package_arn
from crossaccount.aws.access import Producer
from crossaccount.config.loading import load_config
from crossaccount.doors.base import Resource
from crossaccount.errors import Conflict, CrossAccountError, Failed, InputError, Obstacle, PlanRefused
from crossaccount.policy import documents
from crossaccount.promotion import records
from crossaccount.registry.versions import Contents
from crossaccount.release import store
from crossaccount.release.manifest import Release
from crossaccount.sharing import apply, plan, plan_file
from crossaccount.sharing.changes import Basis, Plan
from crossaccount.show import plans

SHARING = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
OWNER, OTHER, AWS = SHARING.producer.account, "999999999999", "683313688378"
REGION = "us-east-1"
KMS = f"arn:aws:kms:{REGION}:{OWNER}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
RELEASE: dict[str, Any] = {
    "schema_version": 1,
    "model_package_arn": package_arn(SHARING, 1),
    "model_package_group": group_arn(SHARING),
    "version": 1,
    "region": REGION,
    "producer_account": OWNER,
    "approval_status": "Approved",
    "package_status": "Completed",
    "containers": [
        {
            "image": f"{OWNER}.dkr.ecr.{REGION}.amazonaws.com/trees:1",
            "image_digest": "sha256:" + "0" * 64,
            "artifacts": [{"uri": "s3://models/1/m", "etag": "abc"}, {"uri": "s3://models/p/", "etag": None}],
            "specification": None,
        }
    ],
    "content_types": ["text/csv"],
    "response_types": ["application/json"],
    "instance_types": ["ml.m5.large"],
    "samples": [
        {"content_type": "text/csv", "accept": "application/json", "body": "1", "expect": [0, {"p": 0.5}]}
    ],
    "grants": [
        {"door": "bucket", "resource": "models", "actions": ["s3:GetObject"]},
        {"door": "key", "resource": KMS, "actions": ["kms:Decrypt"]},
        {"door": "repository", "resource": "trees", "actions": ["ecr:BatchGetImage"]},
        {
            "door": "registry",
            "resource": SHARING.model_package_group,
            "actions": ["sagemaker:DescribeModelPackage"],
        },
    ],
}


def producer(service: Any) -> Producer:
    """The producer's account, every client of which is this one."""
    return Producer(SHARING, SimpleNamespace(client=lambda *_: service))  # type: ignore[arg-type]


class Body(io.RawIOBase):
    """An object's content that says how much of it was read; without an end where it has none."""

    def __init__(self, content: bytes, endless: bool = False) -> None:
        self.content, self.endless, self.taken = content, endless, 0

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "read whole, whatever its length"
        self.taken += size if self.endless else 0
        return b" " * size if self.endless else self.content[:size]


class Bucket:
    """S3 that gives one object, and takes no call but those that a reading is made of."""

    def __init__(self, content: bytes, endless: bool = False) -> None:
        self.body = Body(content, endless)
        self.length = 3  # a lie

    def get_object(self, Bucket: str, Key: str, ExpectedBucketOwner: str) -> dict[str, Any]:
        assert (Bucket, ExpectedBucketOwner) == (SHARING.producer.releases_bucket, OWNER)
        return {"Body": self.body, "ContentLength": self.length}

    def get_paginator(self, name: str) -> Any:
        assert name == "list_objects_v2"
        key = f"releases/_promotions/{SHARING.model_package_group}/20260101T000000Z-a.json"
        return SimpleNamespace(paginate=lambda **_: [{"Contents": [{"Key": key}, {"Key": key + "\x1b"}]}])


def read(content: bytes) -> Release:
    return store.read(producer(Bucket(content)), 1)


def assert_told(error: Exception) -> None:
    assert 0 < len(str(error)) < 10_000
    assert str(error).replace("\n", "").replace("\0", "").isprintable()


# The Release.


def changed(**values: Any) -> bytes:
    """The Release with values at paths, ``__`` standing for a dot."""
    document = copy.deepcopy(RELEASE)
    for path, value in values.items():
        *parents, last = path.split("__")
        node: Any = document
        for name in parents:
            node = node[int(name) if name.isdigit() else name]
        node[last] = value
    return json.dumps(document).encode()


def test_the_release_is_a_good_one() -> None:
    assert read(changed()).version == 1
    assert read(changed(containers__0__image=f"{AWS}.dkr.ecr.{REGION}.amazonaws.com/sklearn:1"))


IMAGE = f"dkr.ecr.{REGION}.amazonaws.com/trees:1"
URI = "containers__0__artifacts__1__uri"
STRANGE: dict[str, bytes] = {
    "another account's package": changed(model_package_arn=package_arn(SHARING, 1).replace(OWNER, OTHER)),
    "another version's package": changed(model_package_arn=package_arn(SHARING, 2)),
    "another group": changed(model_package_group=group_arn(SHARING) + "x"),
    "another region": changed(region="eu-west-1"),
    "another producer": changed(producer_account=OTHER),
    "a version that is true": changed(version=True),
    "a version that is 1.0": changed(version=1.0),
    "an image of a third account": changed(containers__0__image=f"{OTHER}.{IMAGE}"),
    "an image in another region": changed(
        containers__0__image=f"{OWNER}.{IMAGE}".replace(REGION, "eu-west-1")
    ),
    "an image of another registry": changed(containers__0__image="docker.io/library/trees:1"),
    "an image of a host that looks like ECR": changed(
        containers__0__image=f"{OWNER}.{IMAGE}".replace("amazonaws.com", "amazonaws.com.evil.example")
    ),
    "an artifact without a bucket": changed(**{URI: "s3://"}),
    "an artifact that is a bucket": changed(**{URI: "s3://models/"}),
    "an artifact behind an access point": changed(
        **{URI: f"s3://arn:aws:s3:{REGION}:{OTHER}:accesspoint/x/k"}
    ),
    "an artifact on a host": changed(**{URI: "https://s3.evil.example/models/m"}),
    "an artifact in a file": changed(**{URI: "file:///etc/passwd"}),
    "an artifact with a terminal's commands": changed(**{URI: "s3://models/\x1b[2J"}),
    "a key of another account": changed(grants__1__resource=KMS.replace(OWNER, OTHER)),
    "every key": changed(grants__1__resource=f"arn:aws:kms:{REGION}:{OWNER}:key/*"),
    "another group's door": changed(grants__3__resource="other"),
    "a repository by its ARN": changed(grants__2__resource=f"arn:aws:ecr:{REGION}:{OTHER}:repository/x"),
    "a bucket by an access point": changed(grants__0__resource=f"arn:aws:s3:{REGION}:{OTHER}:accesspoint/x"),
    "an unknown door": changed(grants__0__door="window"),
    "another schema": changed(schema_version=2),
    "a schema that is true": changed(schema_version=True),
    "a schema in text": changed(schema_version="1"),
    "a key twice": changed()[:-1] + b', "version": 1}',
    "NaN": changed(samples__0__expect=float("nan")),
    "deep": changed(samples__0__expect=json.loads("[" * 70 + "]" * 70)),
    "deeper than Python": b"[" * 200_000,
    "a number of thousands of digits": changed().replace(b'"version": 1', b'"version": ' + b"1" * 10_000),
    "UTF-16": changed().decode().encode("utf-16")[:-1],
    "nothing": b"",
    "a million errors": b'{"' + b'": 1, "'.join(b"k%d" % n for n in range(60_000)) + b'": 1}',
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_release_of_somebody_else_s_things_is_refused(name: str) -> None:
    with pytest.raises(Failed) as failed:
        read(STRANGE[name])
    assert_told(failed.value)
    assert "The Release s3://" in str(failed.value)


def test_nothing_is_read_past_its_limit() -> None:
    bucket: Any = Bucket(b"", endless=True)
    with pytest.raises(Failed, match="larger than"):
        store.read(producer(bucket), 1)
    assert records.read(producer(bucket), 5) == []
    assert 0 < bucket.body.taken < 6_000_000


def test_releases_that_are_spoilt(tally: Any, spoil: Any, scrambled: Callable[..., bytes]) -> None:
    for rng in tally.randoms(250):
        raw = changed()
        content = scrambled(rng, raw) if rng.random() < 0.3 else written(spoil(rng, json.loads(raw)))
        found = tally.judge(lambda at=content: read(at), Failed)
        if isinstance(found, Failed):
            assert_told(found)
            continue
        assert json.loads(found.to_bytes())["producer_account"] == OWNER
        for container in found.deployed_containers:
            assert container.image.split(".")[0] in (OWNER, AWS)
    assert tally.accepted > 10


def written(document: Any) -> bytes:
    try:
        return json.dumps(document).encode()
    except ValueError:  # thousands of digits
        return b"1" * 5000


# Records and plan files.

RECORD = {
    "schema_version": 1,
    "kind": "promotion",
    "run": "a",
    "model_package_group": "g",
    "version": 1,
    "outcome": "succeeded",
    "started_by": "me",
    "started": "2026-01-01T00:00:00Z",
    "ended": "2026-01-01T00:00:01Z",
    "consumers": [{"consumer": "staging", "result": "promoted"}],
}


def recorded(content: bytes) -> Any:
    bucket: Any = Bucket(content)
    return [(one.line(), one.model_dump(mode="json")) for one in records.read(producer(bucket), 5)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "spoilt",
    [
        {"started": "0001-01-01T00:00:00+14:00"},
        {"ended": "9999-12-31T23:59:59-14:00"},
        {"consumers": [{"a": json.loads("[" * 100 + "]" * 100)}]},
    ],
)
def test_a_record_that_cannot_be_is_passed_over(spoilt: dict[str, Any]) -> None:
    assert len(recorded(json.dumps(RECORD).encode())) == 1
    assert recorded(json.dumps({**RECORD, **spoilt}).encode()) == []


def test_records_that_are_spoilt(tally: Any, spoil: Any, scrambled: Callable[..., bytes]) -> None:
    for rng in tally.randoms(250):
        raw = json.dumps(RECORD).encode()
        content = scrambled(rng, raw) if rng.random() < 0.3 else written(spoil(rng, json.loads(raw)))
        for line, document in tally.judge(lambda at=content: recorded(at)):
            assert line.replace("\0", "").isprintable()
            json.dumps(document).encode()


def planned(existing: Any = None) -> Plan:
    needs = doors.needs(SHARING, Contents()) | {"repository": {"trees": ()}, "bucket": {"models": ("1/",)}}
    world = dict.fromkeys(doors.resources(SHARING, needs), existing)
    return plan.plan_share(SHARING, Basis(needs, world, datetime(2026, 1, 1, tzinfo=UTC)))


def test_plan_files_that_are_spoilt(
    tally: Any, spoil: Any, scrambled: Callable[..., bytes], tmp_path: Path
) -> None:
    now, path = planned(), tmp_path / "plan.json"
    plan_file.write(path, tmp_path / "c.yaml", now, False)
    good = path.read_bytes()
    assert plan_file.confirm(plan_file.read(path), now) == now.digest
    for rng in tally.randoms(80):
        path.write_bytes(
            scrambled(rng, good) if rng.random() < 0.3 else written(spoil(rng, json.loads(good)))
        )
        found = tally.judge(lambda: plan_file.confirm(plan_file.read(path), now), InputError, Conflict)
        if isinstance(found, CrossAccountError):
            assert_told(found)
        else:
            assert found == now.digest


# Policies as they may stand.

BUCKET = Resource("bucket", "models", OWNER)
STRANGER = {
    "Sid": "Theirs",
    "Effect": "Allow",
    "Principal": {"AWS": [f"arn:aws:iam::{OTHER}:root", "888888888888"], "Service": "s3.amazonaws.com"},
    "Action": ["s3:GetObject", "s3:List*"],
    "Resource": "arn:aws:s3:::models/*",
    "Condition": {"StringEquals": {"aws:SourceAccount": [OTHER]}, "Bool": {"aws:SecureTransport": True}},
}
NOBODY = {
    "Effect": "Deny",
    "NotPrincipal": {"AWS": OTHER},
    "NotAction": "s3:*",
    "NotResource": "arn:aws:s3:::models/x",
}


class Policied:
    """The four services with one policy each, as text; whatever is written is kept."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.writes = 0

    def get_bucket_policy(self, **_: Any) -> dict[str, Any]:
        if not self.text and self.writes:
            raise ClientError({"Error": {"Code": "NoSuchBucketPolicy", "Message": "none"}}, "GetBucketPolicy")
        return {"Policy": self.text}

    def put_bucket_policy(self, Policy: str, **_: Any) -> None:
        self.writes += 1
        self.text = Policy

    def delete_bucket_policy(self, **_: Any) -> None:
        assert self.writes, "strangers' statements would go"
        self.text = ""


def shared_and_revoked(service: Policied) -> str:
    """A share and a revoke of everything over a bucket's policy that stands; what is left of it."""
    account = producer(service)
    needs = {"bucket": {"models": ("1/",)}}
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(2):
        made = plan.plan_share(SHARING, Basis(needs, {BUCKET: doors.read_policy(account, BUCKET)[0]}, now))
        plans.text(made), plans.markdown(made), json.dumps(plan_file.to_json(made))
        apply.apply(account, made)
    made = plan.plan_revoke(SHARING, Basis(needs, {BUCKET: doors.read_policy(account, BUCKET)[0]}, now), None)
    apply.apply(account, made)
    return service.text


def canonical(text: str) -> Any:
    document = json.loads(text)
    found = document.get("Statement", [])
    return {**document, "Statement": found if isinstance(found, list) else [found]}


NO_POLICIES = {
    "no JSON": "<Policy/>",
    "nothing": "",
    "a list": "[]",
    "a text": '"*"',
    "a statement in text": '{"Statement": "Allow"}',
    "a statement in a list in a list": '{"Statement": [[{}]]}',
    "a number for a statement": '{"Statement": 5}',
    "a principal in text": '{"Statement": [{"Effect": "Allow", "Principal": "me", "Action": "*"}]}',
    "a principal in a list": '{"Statement": [{"Effect": "Allow", "Principal": ["*"]}]}',
    "a principal of principals": '{"Statement": [{"Principal": {"AWS": {"AWS": "*"}}}]}',
    "a principal that is a number": '{"Statement": [{"Principal": {"AWS": [111111111111]}}]}',
    "a Sid in a list": '{"Statement": [{"Sid": ["a"]}]}',
    "an Effect in a list": '{"Statement": [{"Effect": ["Allow"]}]}',
    "an action that is null": '{"Statement": [{"Action": null}]}',
    "a condition in text": '{"Statement": [{"Condition": "never"}]}',
    "a condition of texts": '{"Statement": [{"Condition": {"Bool": "x"}}]}',
    "a condition of mappings": '{"Statement": [{"Condition": {"Bool": {"x": {"y": 1}}}}]}',
    "a version that is none": '{"Version": {}, "Statement": []}',
    "NaN": '{"Statement": [{"Sid": "a", "More": NaN}]}',
    "deep": '{"Statement": [{"More": ' + "[" * 100 + "]" * 100 + "}]}",
    "deeper than Python": "[" * 100_000,
    "a number of thousands of digits": '{"Id": ' + "1" * 5000 + "}",
}  # fmt: skip


@pytest.mark.parametrize("name", NO_POLICIES)
def test_a_policy_that_is_not_understood_is_left_alone(name: str) -> None:
    service: Any = Policied(NO_POLICIES[name])
    with pytest.raises(Obstacle) as caught:
        doors.read_policy(producer(service), BUCKET)
    assert_told(caught.value)
    assert "policy of bucket models" in str(caught.value)
    assert (service.text, service.writes) == (NO_POLICIES[name], 0)


def test_policies_that_stand(
    tally: Any, spoil: Any, scrambled: Callable[..., bytes], monkeypatch: Any
) -> None:
    monkeypatch.setattr(apply, "_SHOWN_PAUSES", ())
    for rng in tally.randoms(60):
        document: Any = {"Version": "2012-10-17", "Id": "é", "Statement": [STRANGER, NOBODY, STRANGER]}
        text = json.dumps(document)
        if rng.random() < 0.15:
            text = scrambled(rng, text.encode()).decode("utf-8", "replace")
        else:
            text = written(spoil(rng, json.loads(text))).decode()
        service: Any = Policied(text)
        found = tally.judge(lambda at=service: shared_and_revoked(at), Obstacle, PlanRefused)
        if isinstance(found, CrossAccountError):
            assert_told(found)
            assert (service.writes, service.text) == (0, text)
        else:
            before = canonical(text)
            assert (canonical(found) if found else {**before, "Statement": []}) == before, text
    assert tally.accepted > 10


def test_a_statement_whose_sid_is_empty_beside_one_without() -> None:
    strangers = [{**STRANGER, "Sid": ""}, {key: one for key, one in NOBODY.items() if key != "Sid"}]
    document = {"Version": "2012-10-17", "Statement": strangers}
    assert canonical(shared_and_revoked(Policied(json.dumps(document)))) == document


def test_a_bucket_s_refusal_is_no_policy() -> None:
    class Shut(Policied):
        def get_bucket_policy(self, **_: Any) -> dict[str, Any]:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetBucketPolicy")

    with pytest.raises(ClientError):
        doors.read_policy(producer(Shut("")), BUCKET)


def test_statements_are_compared_whatever_is_in_them(tally: Any, odd: Any) -> None:
    for rng in tally.randoms(300):
        value = odd(rng)
        if tally.judge(lambda at=value: documents.sound(at), ValueError, RecursionError) is value:
            assert documents.same(value, value)
            documents.dead(value)
