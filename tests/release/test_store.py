from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount.arns import group_arn, package_arn
from crossaccount.aws.access import Producer
from crossaccount.config.loading import load_config
from crossaccount.errors import Failed
from crossaccount.release import store
from crossaccount.release.manifest import Grant, Release

SHARING = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
OWNER = SHARING.producer.account
DIGEST = "sha256:" + "0123456789abcdef" * 4
KEY = "releases/decision-trees-sample/1.json"

GOOD: dict[str, Any] = {
    "schema_version": 1,
    "model_package_arn": package_arn(SHARING, 1),
    "model_package_group": group_arn(SHARING),
    "version": 1,
    "region": "us-east-1",
    "producer_account": OWNER,
    "approval_status": "Approved",
    "package_status": "Completed",
    "containers": [
        {
            "image": f"{OWNER}.dkr.ecr.us-east-1.amazonaws.com/trees:1",
            "image_digest": DIGEST,
            "artifacts": [
                {"uri": "s3://models/churn/1/m", "etag": "abc"},
                {"uri": "s3://models/p/", "etag": None},
            ],
            "specification": None,
        },
        {"image": "other", "image_digest": None, "artifacts": [], "specification": "edge"},
    ],
    "content_types": ["text/csv"],
    "response_types": ["application/json"],
    "instance_types": ["ml.m5.large"],
    "samples": [
        {"content_type": "text/csv", "accept": "application/json", "body": "1", "expect": [0, {"p": 0.5}]}
    ],
    "grants": [{"door": "bucket", "resource": "models", "actions": ["s3:GetObject"]}],
}


class Bucket:
    """S3 with a few objects of one owner; every other call is a fault of the test."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = dict(objects)
        self.puts: list[dict[str, Any]] = []
        self.before_put: Callable[[], None] = lambda: None

    def get_object(self, Bucket: str, Key: str, ExpectedBucketOwner: str) -> dict[str, Any]:
        assert ExpectedBucketOwner == OWNER
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": "no such key"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_object(self, **given: Any) -> None:
        self.before_put()
        assert given["IfNoneMatch"] == "*"
        assert given["ExpectedBucketOwner"] == OWNER
        if given["Key"] in self.objects:
            raise ClientError(
                {"Error": {"Code": "PreconditionFailed", "Message": "it is there"}}, "PutObject"
            )
        self.puts.append(given)
        self.objects[given["Key"]] = given["Body"]


def producer(service: Any) -> Producer:
    """The producer's account, every client of which is this one."""
    return Producer(SHARING, SimpleNamespace(client=lambda *_: service))  # type: ignore[arg-type]


def read(content: bytes | str) -> Release:
    bucket: Any = Bucket(**{KEY: content.encode() if isinstance(content, str) else content})
    return store.read(producer(bucket), 1)


def written(**changed: Any) -> str:
    return json.dumps({**GOOD, **changed})


def without(key: str) -> str:
    return json.dumps({name: value for name, value in GOOD.items() if name != key})


def expecting(raw: str) -> str:
    """A Release whose sample expects what these bytes say."""
    return written(samples=[{"content_type": "a/b", "body": "1", "expect": "@"}]).replace('"@"', raw)


def container(**changed: Any) -> str:
    return written(containers=[{**GOOD["containers"][0], **changed}])


def sample(**changed: Any) -> str:
    return written(samples=[{**GOOD["samples"][0], **changed}])


def test_a_good_release_is_read() -> None:
    found = read(written())
    assert found.model_dump() == GOOD
    assert [one.image for one in found.deployed_containers] == [GOOD["containers"][0]["image"]]
    assert read(json.dumps(GOOD, indent=4)) == found
    assert read(json.dumps(dict(reversed(GOOD.items())))) == found


def test_equal_releases_are_equal_bytes() -> None:
    one, other = read(written()), read(json.dumps(dict(reversed(GOOD.items()))))
    assert one.to_bytes() == other.to_bytes()
    assert read(one.to_bytes()) == one
    assert one.to_bytes().endswith(b"}\n")
    assert one.to_bytes().isascii()
    assert read(written(version=1, content_types=[])).to_bytes() != one.to_bytes()
    first, second = (read(expecting(raw)) for raw in ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}'))
    assert first == second
    assert first.to_bytes() == second.to_bytes()


def test_a_release_names_no_consumer() -> None:
    assert not [name for name in ("222222222222", "333333333333", "consumer") if name in written()]
    assert "principal" not in " ".join(Grant.model_fields)


HOSTILE: dict[str, bytes | str] = {
    "nothing": b"",
    "a space": b" ",
    "no JSON": b"not json",
    "a page of XML": b"<?xml version='1.0'?><Error/>",
    "bytes of no encoding": b"\xff\xfe\xfd",
    "half a character": b'{"a": "\xc3"}',
    "zeros": bytes(100),
    "a compressed one": gzip.compress(written().encode()),
    "cut off": written()[:-2],
    "two documents": written() + written(),
    "a comment": "// hello\n" + written(),
    "single quotes": str(GOOD),
    "nested too deep": "[" * 200_000,
    "nested too deep, and closed": "[" * 200_000 + "]" * 200_000,
    "objects nested too deep": '{"a":' * 100_000,
    "an expected answer nested too deep": expecting("[" * 5_000 + "]" * 5_000),
    "an expected answer nested deep": expecting("[" * 600 + "]" * 600),
    "null": "null",
    "true": "true",
    "a number": "1",
    "a text": '"text"',
    "a list": "[]",
    "a list of one": f"[{written()}]",
    "an empty object": "{}",
    "NaN": expecting("NaN"),
    "Infinity": expecting("[Infinity]"),
    "minus Infinity": expecting('{"a": -Infinity}'),
    "an endless number": expecting("1" * 5_000),
    "an endless version": written(version=0).replace('"version": 0', f'"version": {"9" * 5_000}'),
    "an unknown key": written(more=1),
    "an unknown key in a container": container(more=1),
    "an unknown key in an artifact": container(artifacts=[{"uri": "s3://b/k", "etag": None, "more": 1}]),
    "an unknown key in a sample": sample(more=1),
    "an unknown key in a grant": written(grants=[{"door": "a", "resource": "b", "actions": [], "more": 1}]),
    "a principal in a grant": written(
        grants=[{"door": "a", "resource": "b", "actions": [], "principals": ["222222222222"]}]
    ),
    "a later schema": written(schema_version=2),
    "a schema of text": written(schema_version="1"),
    "no schema": written(schema_version=None),
    "a version of text": written(version="1"),
    "a version of half": written(version=1.5),
    "a version with a point": written(version=1.0),
    "a version that is true": written(version=True),
    "version zero": written(version=0),
    "a version below zero": written(version=-1),
    "a version too large": written(version=10**9),
    "a short account": written(producer_account="1"),
    "an account of a number": written(producer_account=111111111111),
    "an account with a line break": written(producer_account="111111111111\n"),
    "a status of a number": written(approval_status=1),
    "a status too long": written(package_status="x" * 2_049),
    "containers that are none": written(containers=None),
    "containers of an object": written(containers={}),
    "containers of texts": written(containers=["a"]),
    "too many containers": written(containers=[GOOD["containers"][1]] * 241),
    "a container without a digest": container(image_digest=""),
    "another kind of digest": container(image_digest="md5:" + "0" * 32),
    "a digest in capitals": container(image_digest=DIGEST.upper()),
    "a digest too long": container(image_digest=DIGEST + "0"),
    "a digest with a line break": container(image_digest=DIGEST + "\n"),
    "an image of a list": container(image=["a"]),
    "an image too long": container(image="x" * 2_049),
    "an artifact of text": container(artifacts=["s3://b/k"]),
    "an artifact without an ETag": container(artifacts=[{"uri": "s3://b/k"}]),
    "an artifact too long": container(artifacts=[{"uri": "s" * 2_049, "etag": None}]),
    "too many artifacts": container(artifacts=[{"uri": "s3://b/k", "etag": None}] * 101),
    "content types of text": written(content_types="text/csv"),
    "content types of numbers": written(content_types=[1]),
    "too many content types": written(content_types=["a/b"] * 101),
    "too many response types": written(response_types=["a/b"] * 101),
    "too many instance types": written(instance_types=["a"] * 501),
    "too many samples": written(samples=GOOD["samples"] * 101),
    "too many grants": written(grants=GOOD["grants"] * 101),
    "too many actions": written(grants=[{"door": "a", "resource": "b", "actions": ["x"] * 51}]),
    "a sample of text": written(samples=["1"]),
    "a sample without an answer": written(samples=[{"content_type": "a/b", "body": "1"}]),
    "a sample's body of an object": sample(body={}),
    "a sample's body of no text": sample(body="\ud800"),
    "a content type of no text": written(content_types=["\ud800"]),
    "a key of no text": written(**{"\ud800": 1}),
    "larger than any": written(samples=[{"content_type": "a/b", "body": "x" * 1_000_000, "expect": 0}]),
    "larger by spaces": written() + " " * 1_000_000,
    "another group's version": written(model_package_arn=package_arn(SHARING, 1).replace("trees", "bushes")),
    "another version": written(version=2),
    "another version's ARN": written(model_package_arn=package_arn(SHARING, 2)),
    "another account's version": written(
        model_package_arn=package_arn(SHARING, 1).replace(OWNER, "444444444444")
    ),
    "another group": written(model_package_group="arn:aws:sagemaker:us-east-1:1:model-package-group/x"),
    "a group by its name": written(model_package_group="decision-trees-sample"),
    "another account": written(producer_account="444444444444"),
    "another region": written(region="eu-west-1"),
    "digits of another script": written(producer_account="\u0661" * 12),
    **{f"without {key}": without(key) for key in GOOD},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_release_ends_in_one_failed_that_names_it(name: str) -> None:
    with pytest.raises(Failed) as failed:
        read(HOSTILE[name])
    assert type(failed.value) is Failed
    assert f"s3://{SHARING.producer.releases_bucket}/{KEY}" in str(failed.value)
    assert failed.value.__cause__ is None


def test_a_release_under_a_key_says_which() -> None:
    class Encrypted(Bucket):
        def get_object(self, **given: Any) -> dict[str, Any]:
            key = f"arn:aws:kms:us-east-1:{OWNER}:key/1"
            return {**super().get_object(**given), "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}

    content = written().encode()
    assert store.read_stored(producer(Bucket(**{KEY: content})), 1).key is None
    stored = store.read_stored(producer(Encrypted(**{KEY: content})), 1)
    assert (stored.release, stored.key) == (read(content), f"arn:aws:kms:us-east-1:{OWNER}:key/1")


def test_the_case_of_a_name_in_an_arn_makes_no_other_release() -> None:
    """SageMaker has written names into ARNs in lower case, and as they are."""
    assert read(written(model_package_arn=package_arn(SHARING, 1).replace("trees", "Trees"))).version == 1


@pytest.mark.parametrize("key", [None, f"arn:aws:kms:us-east-1:{OWNER}:key/1"])
def test_an_upload_names_the_config_s_key_and_no_other(key: str | None) -> None:
    bucket = Bucket()
    config = SHARING.model_copy(
        update={"producer": SHARING.producer.model_copy(update={"releases_kms_key": key})}
    )
    store.write_once(Producer(config, SimpleNamespace(client=lambda *_: bucket)), KEY, b"{}")  # type: ignore[arg-type]
    said = {name: bucket.puts[0].get(name) for name in ("ServerSideEncryption", "SSEKMSKeyId")}
    assert said == {"ServerSideEncryption": key and "aws:kms", "SSEKMSKeyId": key}


def test_a_release_is_never_read_past_its_limit() -> None:
    class Endless(io.RawIOBase):
        asked: int | None = None

        def read(self, size: int = -1) -> bytes:
            assert 0 < size <= 1_000_001
            return b" " * size

    class Only(Bucket):
        def get_object(self, **_: Any) -> dict[str, Any]:
            return {"Body": Endless()}

    only: Any = Only()
    with pytest.raises(Failed, match="larger than 1000000 bytes"):
        store.read(producer(only), 1)
    room = 1_000_000 - len(written().encode())
    assert read(written() + " " * room).version == 1
    with pytest.raises(Failed, match="larger"):
        read(written() + " " * (room + 1))


@pytest.mark.parametrize(
    ("code", "absent"),
    [("NoSuchKey", True), ("404", True), ("AccessDenied", False), ("NoSuchBucket", False), ("403", False)],
)
def test_absence_is_told_from_refusal(code: str, absent: bool) -> None:
    class Only(Bucket):
        def get_object(self, **_: Any) -> dict[str, Any]:
            raise ClientError({"Error": {"Code": code, "Message": code}}, "GetObject")

    only: Any = Only()
    if absent:
        assert store.find(producer(only), 1) is None
    else:
        with pytest.raises(ClientError):
            store.find(producer(only), 1)


def test_where_a_release_lies() -> None:
    assert store.release_key(SHARING, 1) == KEY
    rooted = SHARING.producer.model_copy(update={"releases": "s3://b/a/b/"})
    elsewhere = SHARING.model_copy(update={"producer": rooted})
    assert store.release_key(elsewhere, 12) == "a/b/decision-trees-sample/12.json"


@pytest.mark.parametrize("raw", ["1e999", '"\\ud800"', '{"\\ud800": 1}'])
def test_a_number_or_character_that_cannot_be_carried_is_refused(raw: Any) -> None:
    with pytest.raises(Failed):
        read(expecting(raw))


def test_a_message_carries_nothing_of_a_terminal_s() -> None:
    with pytest.raises(Failed) as failed:
        read(written(**{"\x1b[2J" + "x" * 5000: 1}))
    assert "\x1b" not in str(failed.value)
    assert len(str(failed.value)) < 500
