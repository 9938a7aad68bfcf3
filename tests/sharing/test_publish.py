"""A version is published once, with the samples of an archive of somebody else's making."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import tarfile
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
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
from crossaccount.errors import Conflict, Failed
from crossaccount.registry.versions import ModelVersion, contents_of, parse_version
from crossaccount.release.manifest import Release, Sample
from crossaccount.sharing import gather, plan, publish
from crossaccount.sharing.artifacts import Observed
from crossaccount.sharing.changes import Basis, Change, Plan
from crossaccount.sharing.publish import parse_samples

SHARING = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
OWNER = SHARING.producer.account
DIGEST = "sha256:" + "0123456789abcdef" * 4
KEY = "releases/decision-trees-sample/1.json"


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


# Samples: an archive of somebody else's making.


def member(name: str, content: bytes | str = b"", **changed: Any) -> tuple[tarfile.TarInfo, bytes]:
    raw = content.encode() if isinstance(content, str) else content
    entry = tarfile.TarInfo(name)
    entry.size = len(raw)
    for key, value in changed.items():
        setattr(entry, key, value)
    return entry, raw


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for entry, raw in members:
            made.addfile(entry, io.BytesIO(raw))
    return out.getvalue()


def packed(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    return gzip.compress(tar(*members))


ONE = '{"content_type": "text/csv", "body": "1", "expect": [0]}'
SAMPLE = Sample(content_type="text/csv", body="1", expect=[0])


@pytest.mark.parametrize(
    ("archive", "count"),
    [
        pytest.param(packed(), 0, id="an empty archive"),
        pytest.param(packed(member("a.json", ONE)), 1, id="one"),
        pytest.param(packed(member("a.json", f"[{ONE}, {ONE}]")), 2, id="a list"),
        pytest.param(packed(member("a.json", "[]")), 0, id="an empty list"),
        pytest.param(packed(member("a.json", ONE), member("b/c.json", f"[{ONE}]")), 2, id="two members"),
        pytest.param(packed(member("a.csv", "1,2"), member("README", "hello")), 0, id="no member of samples"),
        pytest.param(
            packed(member("a.json", f"[{','.join([ONE] * 100)}]")), 100, id="as many as there may be"
        ),
        pytest.param(
            packed(member("a.json", type=tarfile.SYMTYPE, linkname="/etc/passwd")), 0, id="a symbolic link"
        ),
        pytest.param(
            packed(member("b.json", ONE), member("a.json", type=tarfile.LNKTYPE, linkname="b.json")),
            1,
            id="a hard link",
        ),
        pytest.param(
            packed(member("a.json", type=tarfile.LNKTYPE, linkname="../../etc/passwd")),
            0,
            id="a hard link to the outside",
        ),
        pytest.param(packed(member("d.json", type=tarfile.DIRTYPE)), 0, id="a folder by that name"),
        pytest.param(packed(member("p.json", type=tarfile.FIFOTYPE)), 0, id="a pipe"),
        pytest.param(packed(member("c.json", type=tarfile.CHRTYPE)), 0, id="a device"),
        pytest.param(packed(member("../../a.json", ONE)), 1, id="a path to the outside is only a name"),
        pytest.param(packed(member("/etc/a.json", ONE)), 1, id="an absolute path is only a name"),
        pytest.param(packed(member("a.json", f"\n  {ONE}  \n")), 1, id="spaces around"),
    ],
)
def test_the_samples_of_an_archive(archive: bytes, count: int) -> None:
    assert parse_samples(archive) == [SAMPLE] * count


BAD: dict[str, bytes] = {
    "nothing": b"",
    "no gzip": b"hello",
    "a tar alone": tar(member("a.json", ONE)),
    "bzip2": bz2.compress(tar(member("a.json", ONE))),
    "gzip of no tar": gzip.compress(b"hello" * 1_000),
    "gzip of nothing": gzip.compress(b""),
    "gzip of JSON": gzip.compress(ONE.encode()),
    "cut off": packed(member("a.json", ONE))[:-10],
    "cut in half": packed(member("a.json", ONE))[:40],
    "garbage behind": packed(member("a.json", ONE)) + b"garbage",
    "a checksum that is wrong": packed(member("a.json", ONE))[:-8] + bytes(8),
    "no JSON": packed(member("a.json", "hello")),
    "an empty member": packed(member("a.json", "")),
    "a member of no encoding": packed(member("a.json", b"\xff\xfe\xfd")),
    "NaN": packed(member("a.json", ONE.replace("0", "NaN"))),
    "Infinity": packed(member("a.json", ONE.replace("0", "-Infinity"))),
    "an endless number": packed(member("a.json", "1" * 5_000)),
    "nested too deep": packed(member("a.json", "[" * 100_000)),
    "an answer nested too deep": packed(member("a.json", ONE.replace("0", "[" * 600 + "]" * 600))),
    "a text": packed(member("a.json", '"a"')),
    "a number": packed(member("a.json", "1")),
    "null": packed(member("a.json", "null")),
    "a list in a list": packed(member("a.json", f"[[{ONE}]]")),
    "a list with a number": packed(member("a.json", f"[{ONE}, 1]")),
    "an empty object": packed(member("a.json", "{}")),
    "an unknown key": packed(member("a.json", ONE.replace("{", '{"more": 1, '))),
    "no content type": packed(member("a.json", '{"body": "1", "expect": 1}')),
    "no answer": packed(member("a.json", '{"body": "1", "content_type": "a/b"}')),
    "a body of numbers": packed(member("a.json", ONE.replace('"1"', "1"))),
    "one too many": packed(member("a.json", f"[{','.join([ONE] * 101)}]")),
    "one too many, over two members": packed(
        member("a.json", f"[{','.join([ONE] * 100)}]"), member("b.json", ONE)
    ),
    "a member too large": packed(member("a.json", ONE + " " * 1_000_000)),
    "a bomb": gzip.compress(bytes(50_000_000), compresslevel=1),
    "a bomb in a member": packed(member("a.bin", bytes(6_000_000))),
    "an archive too large": b"\x1f\x8b" + b"x" * 5_000_000,
}


@pytest.mark.parametrize("name", BAD)
def test_a_hostile_archive_ends_in_one_failed_that_names_it(name: str) -> None:
    asked = replace(VERSION, sample_payload_url="s3://models/samples.tar.gz")
    bucket = Bucket(**{"samples.tar.gz": BAD[name]})
    with pytest.raises(Failed, match=r"s3://models/samples\.tar\.gz"):
        publish.read_samples(producer(bucket), asked)


@pytest.mark.parametrize("at", range(0, 512, 3))
def test_a_tar_with_any_byte_of_its_header_broken_is_refused_or_read(at: int) -> None:
    broken = bytearray(tar(member("a.json", ONE), member("b.json", ONE)))
    broken[at] ^= 0xFF
    asked = replace(VERSION, sample_payload_url="s3://models/samples.tar.gz")
    bucket = Bucket(**{"samples.tar.gz": gzip.compress(bytes(broken))})
    with contextlib.suppress(Failed):
        assert len(publish.read_samples(producer(bucket), asked)) <= 2


def producer(service: Any) -> Producer:
    """The producer's account, every client of which is this one."""
    return Producer(SHARING, SimpleNamespace(client=lambda *_: service))  # type: ignore[arg-type]


def test_a_bomb_is_not_unpacked_to_its_end() -> None:
    bomb = BAD["a bomb"]
    tracemalloc.start()
    with pytest.raises(ValueError, match="unpacks to more than 5000000 bytes"):
        parse_samples(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 25_000_000


def test_a_version_without_samples_has_none_and_asks_nothing() -> None:
    assert publish.read_samples(producer(object()), VERSION) == []


def test_samples_that_are_missing_are_told_with_the_way_out() -> None:
    asked = replace(VERSION, sample_payload_url="s3://models/samples.tar.gz")
    with pytest.raises(Failed, match=r"samples\.tar\.gz are missing.*clear SamplePayloadUrl"):
        publish.read_samples(producer(Bucket()), asked)


# Publishing.

VERSION = parse_version(
    {
        "ModelPackageArn": package_arn(SHARING, 1),
        "ModelPackageGroupName": SHARING.model_package_group,
        "ModelPackageStatus": "Completed",
        "ModelApprovalStatus": "Approved",
        "InferenceSpecification": {
            "Containers": [
                {
                    "Image": f"{OWNER}.dkr.ecr.us-east-1.amazonaws.com/trees:1",
                    "ModelDataUrl": "s3://models/churn/1/m",
                }
            ],
            "SupportedContentTypes": ["text/csv"],
        },
    }
)
IMAGE = VERSION.containers[0].image
NOW = datetime(2026, 11, 24, tzinfo=UTC)
NEEDS = doors.needs(SHARING, contents_of([VERSION]))
MADE = plan.plan_share(SHARING, Basis(NEEDS, dict.fromkeys(doors.resources(SHARING, NEEDS)), NOW))


def found(etag: str = "abc") -> gather.Gathered:
    observed = {"s3://models/churn/1/m": Observed(etag)}
    return gather.Gathered(NEEDS, {}, NOW, versions=(VERSION,), observed=observed, digests={IMAGE: DIGEST})


def ensure(bucket: Bucket, etag: str = "abc", version: ModelVersion = VERSION) -> tuple[Release, bool]:
    """The Release, and whether it is new; a new one is published."""
    made, new = publish.prepare(producer(bucket), version, found(etag), MADE)
    return (publish.publish(producer(bucket), made) if new else made), new


def test_a_release_is_published_once() -> None:
    bucket = Bucket()
    made, new = ensure(bucket)
    assert new
    assert [put["Key"] for put in bucket.puts] == [KEY]
    assert bucket.objects[KEY] == made.to_bytes()
    assert made.containers[0].image_digest == DIGEST
    assert made.containers[0].artifacts[0].etag == "abc"
    again, new = ensure(bucket)
    assert (again, new, len(bucket.puts)) == (made, False, 1)


def test_whoever_publishes_the_same_at_the_same_time_wins_quietly() -> None:
    first = Bucket()
    ensure(first)
    second = Bucket()
    second.before_put = lambda: second.objects.update(first.objects)
    assert ensure(second)[0].to_bytes() in first.objects.values()
    assert second.puts == []


@pytest.mark.parametrize("during", [False, True])
def test_another_artifact_under_a_published_version_is_a_conflict(during: bool) -> None:
    first = Bucket()
    ensure(first, etag="other")
    second = Bucket() if during else first
    second.before_put = lambda: second.objects.update(first.objects)
    with pytest.raises(Conflict, match="decision-trees-sample/1 was published"):
        ensure(second)
    assert second.objects == first.objects


def test_what_may_change_after_publishing_is_no_conflict() -> None:
    bucket = Bucket()
    made, _ = ensure(bucket)
    moved = replace(VERSION, approval="Rejected", content_types=("application/json",))
    assert ensure(bucket, version=moved) == (made, False)


def test_the_grants_of_a_plan_are_by_door_and_name_nobody() -> None:
    grants = publish.grants_of(MADE, group_arn(SHARING))
    assert [(one.door, one.resource) for one in grants] == [
        ("repository", "trees"),
        ("bucket", "models"),
        ("bucket", SHARING.producer.releases_bucket),
        ("registry", SHARING.model_package_group),
    ]
    assert all(one.actions == sorted(set(one.actions)) for one in grants)
    assert grants[1].actions == ["s3:GetObject", "s3:ListBucket"]
    assert not [one for one in grants if "222222222222" in one.model_dump_json()]


def test_strangers_statements_are_no_grants_of_ours() -> None:
    stranger = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Principal": "*", "NotAction": "s3:*"}],
    }
    models = Resource("bucket", "models", OWNER)
    assert publish.grants_of(Plan((Change(models, stranger, stranger),)), group_arn(SHARING)) == []
    assert publish.grants_of(Plan((Change(models, stranger, None),)), group_arn(SHARING)) == []


@pytest.mark.parametrize("raw", ["1e999", '"\\ud800"'])
def test_a_sample_that_cannot_be_carried_is_refused(raw: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        publish.parse_samples(packed(member("a.json", ONE.replace("[0]", raw))))


def test_an_archive_that_is_packed_twice_is_refused() -> None:
    with pytest.raises((ValueError, tarfile.TarError)):
        publish.parse_samples(gzip.compress(bz2.compress(tar(member("a.json", ONE)))))
