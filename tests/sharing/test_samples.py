"""The samples of a version: an archive of somebody else's making, which may hold something else altogether."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import tarfile
import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount.arns import package_arn
from crossaccount.aws.access import Producer
from crossaccount.config.loading import load_config
from crossaccount.config.model import Sharing
from crossaccount.config.smoke import Smoke
from crossaccount.errors import Finding, Severity
from crossaccount.registry.versions import ModelVersion, parse_version
from crossaccount.release.manifest import Sample
from crossaccount.sharing.samples import gather_samples, parse_samples
from crossaccount.strict_json import parse_json

CONFIG = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
OWNER = CONFIG.producer.account
URL = "s3://models/samples.tar.gz"
ASKED = (Smoke(content_type="text/csv", body="1", expect=[0]),)


def asking(*names: str) -> Sharing:
    """The config, in which these consumers have questions of their own."""
    consumers = {
        name: consumer.model_copy(update={"smoke": ASKED if name in names else ()})
        for name, consumer in CONFIG.consumers.items()
    }
    return CONFIG.model_copy(update={"consumers": consumers})


SILENT, BUSY = asking(), asking(*CONFIG.consumers)


def version(number: int = 1, url: str | None = URL) -> ModelVersion:
    described = {
        "ModelPackageArn": package_arn(CONFIG, number),
        "ModelPackageGroupName": CONFIG.model_package_group,
        "ModelPackageStatus": "Completed",
        "ModelApprovalStatus": "Approved",
        "InferenceSpecification": {
            "Containers": [{"Image": f"{OWNER}.dkr.ecr.us-east-1.amazonaws.com/trees:1"}]
        },
    }
    return replace(parse_version(described), sample_payload_url=url)


class S3:
    """S3 with one object, or a refusal for every read; counts its calls."""

    def __init__(self, content: bytes | ClientError | None = None) -> None:
        self.content = content
        self.calls: list[str] = []

    def get_object(self, Bucket: str, Key: str, ExpectedBucketOwner: str) -> dict[str, Any]:
        assert ExpectedBucketOwner == OWNER
        self.calls.append(Key)
        if isinstance(self.content, bytes):
            return {"Body": io.BytesIO(self.content)}
        raise self.content or refusal("NoSuchKey", 404)


def refusal(code: str, status: int) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "GetObject")


def gathered(
    s3: S3, *versions: ModelVersion, config: Sharing = SILENT, published: Mapping[int, Any] | None = None
) -> tuple[dict[str, tuple[Sample, ...]], list[Finding]]:
    producer = Producer(config, SimpleNamespace(client=lambda *_: s3))  # type: ignore[arg-type]
    return gather_samples(producer, versions, published or {})


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
            packed(member("._a.json", b"\0\5\x16\7"), member("a.json", ONE)), 1, id="macOS's own beside it"
        ),
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
    assert parse_samples(archive)[0] == (SAMPLE,) * count


# What is no sample: left out, told, and in nobody's way.

INPUTS = '{"inputs": ["I like it"]}'
THEIRS, OURS, WHOLE = False, True, None
FOREIGN: dict[str, tuple[bytes, int, bool | None, str]] = {
    "a body of a request": (
        packed(member("request.json", INPUTS)),
        0,
        THEIRS,
        "'request.json' has no content_type, body and expect",
    ),
    "JSON lines": (packed(member("a.json", f"{INPUTS}\n{INPUTS}")), 0, THEIRS, "'a.json' is not JSON"),
    "CSV": (packed(member("payload.csv", "5.1,3.5")), 0, THEIRS, "'payload.csv' is no *.json"),
    "an image": (packed(member("dog.png", b"\x89PNG")), 0, THEIRS, "'dog.png' is no *.json"),
    "a body without an ending": (packed(member("payload", INPUTS)), 0, THEIRS, "'payload' is no *.json"),
    "macOS's own": (packed(member("._x.json", b"\0\5\x16\7")), 0, THEIRS, "'._x.json' is no *.json"),
    "no JSON": (packed(member("a.json", "hello")), 0, THEIRS, "'a.json' is not JSON"),
    "an empty member": (packed(member("a.json", "")), 0, THEIRS, "'a.json' is not JSON"),
    "a member of no encoding": (packed(member("a.json", b"\xff\xfe\xfd")), 0, THEIRS, "'a.json' is not JSON"),
    "an endless number": (packed(member("a.json", "1" * 5_000)), 0, THEIRS, "'a.json' is not JSON"),
    "nested too deep": (packed(member("a.json", "[" * 100_000)), 0, THEIRS, "nested more than 64"),
    "a text": (packed(member("a.json", '"a"')), 0, THEIRS, "has no content_type"),
    "a number": (packed(member("a.json", "1")), 0, THEIRS, "has no content_type"),
    "null": (packed(member("a.json", "null")), 0, THEIRS, "has no content_type"),
    "rows": (packed(member("a.json", "[[5.1, 3.5]]")), 0, THEIRS, "has no content_type"),
    "an empty object": (packed(member("a.json", "{}")), 0, THEIRS, "has no content_type"),
    "no answer": (
        packed(member("a.json", '{"body": "1", "content_type": "a/b"}')),
        0,
        THEIRS,
        "has no content_type",
    ),
    "a list with a number": (
        packed(member("a.json", f"[{ONE}, 1]")),
        1,
        THEIRS,
        "'a.json' has no content_type",
    ),
    "a body beside samples": (
        packed(member("a.json", ONE), member("b.json", INPUTS)),
        1,
        THEIRS,
        "'b.json' has no",
    ),
    "a member too large": (
        packed(member("a.json", ONE + " " * 1_000_000)),
        0,
        THEIRS,
        "larger than 1000000 bytes",
    ),
    "a name that moves a terminal": (
        packed(member("\x1b[2J.json", INPUTS)),
        0,
        THEIRS,
        r"'\x1b[2J.json' has no",
    ),
    "an unknown key": (
        packed(member("a.json", ONE.replace("{", '{"more": 1, '))),
        0,
        OURS,
        "'a.json' is no sample: more",
    ),
    "no content type": (
        packed(member("a.json", '{"body": "1", "expect": 1}')),
        0,
        OURS,
        "content_type: Field required",
    ),
    "no body": (
        packed(member("a.json", '{"content_type": "a/b", "expect": 1}')),
        0,
        OURS,
        "body is missing",
    ),
    "a body of numbers": (
        packed(member("a.json", ONE.replace('"1"', "1"))),
        0,
        OURS,
        "body: Input should be a valid string",
    ),
    "a bad one beside a good one": (
        packed(member("a.json", f"[{ONE}, {ONE.replace('body', 'boby')}]")),
        1,
        OURS,
        "'a.json' is no sample",
    ),
    "one too many": (
        packed(member("a.json", f"[{','.join([ONE] * 101)}]")),
        100,
        OURS,
        "1 of its 101 samples",
    ),
    "more than a Release takes": (
        packed(*(member(f"{at}.json", ONE.replace('"1"', json.dumps("1" * 300_000))) for at in range(4))),
        2,
        OURS,
        "2 of its 4 samples",
    ),
    "nothing": (b"", 0, WHOLE, "the whole archive, since it cannot be used"),
    "no gzip": (b"hello", 0, WHOLE, "the whole archive"),
    "a tar alone": (tar(member("a.json", ONE)), 0, WHOLE, "the whole archive"),
    "bzip2": (bz2.compress(tar(member("a.json", ONE))), 0, WHOLE, "the whole archive"),
    "packed twice": (gzip.compress(bz2.compress(tar(member("a.json", ONE)))), 0, WHOLE, "the whole archive"),
    "gzip of no tar": (gzip.compress(b"hello" * 1_000), 0, WHOLE, "the whole archive"),
    "gzip of JSON": (gzip.compress(ONE.encode()), 0, WHOLE, "the whole archive"),
    "cut off": (packed(member("a.json", ONE))[:-10], 0, WHOLE, "the whole archive"),
    "cut in half": (packed(member("a.json", ONE))[:40], 0, WHOLE, "the whole archive"),
    "garbage behind": (packed(member("a.json", ONE)) + b"garbage", 0, WHOLE, "the whole archive"),
    "a checksum that is wrong": (
        packed(member("a.json", ONE))[:-8] + bytes(8),
        0,
        WHOLE,
        "the whole archive",
    ),
    "a bomb": (
        gzip.compress(bytes(50_000_000), compresslevel=1),
        0,
        WHOLE,
        "unpacks to more than 5000000 bytes",
    ),
    "a bomb in a member": (packed(member("a.bin", bytes(6_000_000))), 0, WHOLE, "unpacks to more than"),
    "an archive too large": (b"\x1f\x8b" + b"x" * 5_000_000, 0, WHOLE, "larger than 5000000 bytes"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_sample_is_left_out_and_told(name: str) -> None:
    content, count, ours, words = FOREIGN[name]
    for config in (SILENT, BUSY):
        samples, findings = gathered(S3(content), version(), config=config)
        assert len(samples[package_arn(CONFIG, 1)]) == count
        told, *more = findings
        assert words in told.text
        assert "version 1" in told.subject
        assert URL in told.subject
        assert "SamplePayloadUrl" not in str(told), "no API can clear it"
        assert str(told).isprintable()
        needed = config is SILENT and ours is not THEIRS
        assert told.severity is (Severity.WARNING if needed else Severity.NOTE)
        nothing = config is SILENT and count == 0
        assert ["There is nothing to ask version 1" in each.text for each in more] == [True] * nothing


REFUSALS: list[tuple[ClientError, str]] = [
    (refusal("NoSuchKey", 404), "there is no such object"),
    (refusal("NoSuchBucket", 404), "there is no such object"),
    (refusal("AccessDenied", 403), "it lies in a bucket of another account than 111111111111"),
    (refusal("InvalidObjectState", 403), "S3 refuses it (InvalidObjectState)"),
    (refusal("KMS.DisabledException", 400), "S3 refuses it (KMS.DisabledException)"),
    (refusal("PermanentRedirect", 301), "S3 refuses it (PermanentRedirect)"),
]


@pytest.mark.parametrize(("refused", "words"), REFUSALS, ids=lambda each: str(each)[:60])
def test_an_archive_that_cannot_be_read_is_told_and_stops_nothing(refused: ClientError, words: str) -> None:
    for config, severity in ((SILENT, Severity.WARNING), (BUSY, Severity.NOTE)):
        samples, findings = gathered(S3(refused), version(), config=config)
        assert samples == {package_arn(CONFIG, 1): ()}
        assert words in findings[0].text
        assert findings[0].severity is severity


@pytest.mark.parametrize(
    "url", ["https://example.com/a.tar.gz", "s3://", "file:///etc/passwd", "models/a.tar.gz"]
)
def test_an_archive_outside_s3_is_told_and_stops_nothing(url: str) -> None:
    s3 = S3(packed(member("a.json", ONE)))
    samples, findings = gathered(s3, version(url=url), config=BUSY)
    assert samples == {package_arn(CONFIG, 1): ()}
    assert "is not a location in Amazon S3" in findings[0].text
    assert s3.calls == []


@pytest.mark.parametrize(
    ("code", "status"),
    [("InternalError", 500), ("ServiceUnavailable", 503), ("SlowDown", 503), ("Throttling", 400)],
)
def test_a_failure_of_aws_s_own_is_none_of_the_archive_s(code: str, status: int) -> None:
    """A Release is published once: it must not go without samples because S3 was busy."""
    with pytest.raises(ClientError, match=code):
        gathered(S3(refusal(code, status)), version())


@pytest.mark.parametrize("at", range(0, 512, 3))
def test_a_tar_with_any_byte_of_its_header_broken_stops_nothing(at: int) -> None:
    broken = bytearray(tar(member("a.json", ONE), member("b.json", ONE)))
    broken[at] ^= 0xFF
    samples, _ = gathered(S3(gzip.compress(bytes(broken))), version())
    assert len(samples[package_arn(CONFIG, 1)]) <= 2


def test_a_bomb_is_not_unpacked_to_its_end() -> None:
    bomb, *_ = FOREIGN["a bomb"]
    tracemalloc.start()
    with pytest.raises(ValueError, match="unpacks to more than 5000000 bytes"):
        parse_samples(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 25_000_000


# Answers that JSON cannot carry.


@pytest.mark.parametrize("answer", ["[NaN]", "NaN", '{"a": [Infinity, -Infinity, 0.5]}', "[0]", "null"])
def test_an_expected_answer_of_any_number_reaches_the_consumer(answer: str) -> None:
    (sample,), left_out = parse_samples(packed(member("a.json", ONE.replace("[0]", answer))))
    assert not left_out
    assert json.dumps(sample.expect) == answer
    written = json.dumps(sample.model_dump(), allow_nan=False)
    read = Sample.model_validate(parse_json(written))
    assert json.dumps(read.expect) == answer
    assert ("expect_json" in written) is ("N" in answer or "Inf" in answer)


@pytest.mark.parametrize(
    "given",
    [{"expect": 0, "expect_json": "0"}, {"expect_json": "["}, {"expect_json": 0}, {"expect_json": None}, {}],
)
def test_a_sample_has_one_answer(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expect"):
        Sample.model_validate({"content_type": "a/b", "body": "1", **given})


# Versions that nothing can be asked of.


@pytest.mark.parametrize(
    ("config", "versions", "warned"),
    [
        (SILENT, [version(1, None)], "version 1: no samples"),
        (SILENT, [version(1, None), version(3, None)], "version 1, 3: no samples"),
        (asking("staging"), [version(1, None)], "consumers.production.smoke is empty"),
        (asking("production"), [version(1, None)], "consumers.staging.smoke is empty"),
        (SILENT, [version(at, None) for at in range(1, 31)], "9, 10 and 20 more: no samples"),
        (BUSY, [version(1, None)], None),
        (SILENT, [version(1)], None),
        (SILENT, [version(1), version(2, None)], "version 2: no samples"),
    ],
)
def test_a_deployment_that_will_have_nothing_to_ask_is_told_beforehand(
    config: Sharing, versions: list[ModelVersion], warned: str | None
) -> None:
    _, findings = gathered(S3(packed(member("a.json", ONE))), *versions, config=config)
    assert [finding.severity for finding in findings] == [Severity.WARNING] * (warned is not None)
    assert all((warned or "") in finding.text for finding in findings)


@pytest.mark.parametrize(
    ("versions", "published", "calls"),
    [
        ([version(1, None), version(2, None)], (), 0),
        ([version(1), version(2)], (1, 2), 0),
        ([version(1), version(2)], (1,), 1),
        ([version(1), version(2, None)], (), 1),
    ],
)
def test_an_archive_is_read_once_and_only_for_a_release_that_is_to_be_made(
    versions: list[ModelVersion], published: tuple[int, ...], calls: int
) -> None:
    s3 = S3(packed(member("a.json", ONE)))
    releases = {number: SimpleNamespace(samples=[SAMPLE]) for number in published}
    samples, findings = gathered(s3, *versions, config=BUSY, published=releases)
    assert len(s3.calls) == calls
    assert set(samples) == {
        each.arn for each in versions if each.sample_payload_url and each.version not in published
    }
    assert findings == []


def test_what_a_published_release_has_is_known_from_it() -> None:
    releases = {1: SimpleNamespace(samples=[]), 2: SimpleNamespace(samples=[SAMPLE])}
    _, (finding,) = gathered(S3(), version(1), version(2), published=releases)
    assert "nothing to ask version 1: no samples" in finding.text
