"""The samples that a producer recorded with a version: read from its archive, with findings about what is none of them.

SamplePayloadUrl is AWS's own: whoever registered a version may have put raw bodies of requests there, for Inference Recommender.
So what is no sample of ours is none, and stops nothing. Not here: the Release that carries them (``publish``).

Source: SamplePayloadUrl in the SageMaker API reference (a .tar.gz; only CreateModelPackage sets it).
"""

import gzip
import io
import json
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from botocore.exceptions import ClientError
from pydantic import ValidationError

from crossaccount import parallel
from crossaccount.arns import parse_s3
from crossaccount.aws.access import Producer
from crossaccount.config.model import Sharing
from crossaccount.config.question_agreement import BODIES, EXPECTATIONS
from crossaccount.errors import Failed, Finding, Severity
from crossaccount.policy.documents import listed
from crossaccount.registry.versions import ModelVersion
from crossaccount.release.manifest import MEMBER_LIMIT, SAMPLES_LIMIT, Release, Sample, first_fault
from crossaccount.strict_json import parse_model_json
from crossaccount.text import quote

MOST_OF_AN_ARCHIVE = 5_000_000
_ROOM = 800_000  # bytes of samples in a Release
_MOST_NAMED = 3
_MOST_VERSIONS = 10
UNREADABLE = (ValueError, OSError, tarfile.TarError, EOFError, zlib.error, RecursionError)
# A mapping that has one of each is meant as a sample.
_SIGNS = (
    {f"{key}{end}" for key in EXPECTATIONS for end in ("", "_json")},
    {*BODIES, "content_type"},
)
_LATER = frozenset({"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests"})


@dataclass(frozen=True)
class LeftOut:
    """A file of an archive, or with no name the whole archive, that gives no sample, and why.

    ``ours`` is True for what was meant as samples of ours, and False for what was put there for another purpose.
    """

    name: str
    why: str
    ours: bool


Samples = dict[str, tuple[Sample, ...]]


def gather_samples(
    producer: Producer, versions: Sequence[ModelVersion], releases: Mapping[int, Release]
) -> tuple[Samples, list[Finding]]:
    """The samples of every version that has no Release yet, by its ARN; and what there is to say of all versions' samples.

    Args:
        producer: the producer's account.
        versions: the shared ones.
        releases: the published Releases, by their versions' numbers.

    Raises:
        ClientError: when AWS fails.
    """
    config = producer.config
    recorded = [
        version for version in versions if version.sample_payload_url and version.version not in releases
    ]
    read = parallel.run_all([partial(_read, producer, version) for version in recorded])
    samples = {version.arn: found for version, (found, _) in zip(recorded, read, strict=True)}
    silent = [name for name, consumer in config.consumers.items() if not consumer.smoke]
    findings = [
        finding
        for version, (_, left_out) in zip(recorded, read, strict=True)
        for finding in _findings(version, left_out, bool(silent))
    ]
    if silent:
        empty = [each for each in versions if not _has_samples(each, samples, releases)]
        findings += _nothing_to_ask(config, silent, empty)
    return samples, findings


def _has_samples(version: ModelVersion, samples: Samples, releases: Mapping[int, Release]) -> bool:
    release = releases.get(version.version)
    return bool(samples.get(version.arn) if release is None else release.samples)


def _nothing_to_ask(
    config: Sharing, silent: Sequence[str], versions: Sequence[ModelVersion]
) -> Iterator[Finding]:
    if not versions:
        return
    numbers = [str(version.version) for version in versions]
    more = f" and {len(numbers) - _MOST_VERSIONS} more" if len(numbers) > _MOST_VERSIONS else ""
    keys = ", ".join(f"consumers.{name}.smoke" for name in silent)
    yield Finding(
        Severity.WARNING,
        f"samples of {config.model_package_group}",
        f"There is nothing to ask version {', '.join(numbers[:_MOST_VERSIONS])}{more}: no samples were recorded with it, and {keys} is "
        "empty. Deploying it there is refused.",
        f"Add a payload with its expected answer to {keys}, or register the next version with samples.",
    )


def _findings(version: ModelVersion, left_out: Sequence[LeftOut], matters: bool) -> Iterator[Finding]:
    """What to say of a version's archive: a warning of what was meant as samples, where they are needed; else a note."""
    for ours in (True, False):
        parts = [each for each in left_out if each.ours is ours]
        if not parts:
            continue
        said = [f"{each.name} {each.why}".strip() for each in parts[:_MOST_NAMED]]
        more = f"; and {len(parts) - _MOST_NAMED} more" if len(parts) > _MOST_NAMED else ""
        yield Finding(
            Severity.WARNING if ours and matters else Severity.NOTE,
            f"samples of version {version.version} ({quote(version.sample_payload_url)})",
            f"Not taken as samples: {'; '.join(said)}{more}.",
            "A sample is a *.json member of the .tar.gz with content_type, body and expect; crossaccount samples makes such an archive.",
        )


def _read(producer: Producer, version: ModelVersion) -> tuple[tuple[Sample, ...], list[LeftOut]]:
    """The samples of a version's archive, and what gives none.

    Raises:
        ClientError: when S3 fails, and may not the next time: a Release is never published anew with samples.
    """
    try:
        bucket, key = parse_s3(version.sample_payload_url or "")
        answer = producer.s3.get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=producer.account)
        return parse_samples(answer["Body"].read(MOST_OF_AN_ARCHIVE + 1))
    except Failed as failed:
        why = str(failed)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        if status >= 500 or code in _LATER:
            raise
        why = _refused(code, producer.account)
    except UNREADABLE as error:
        why = f"it cannot be used: {error}"
    return (), [LeftOut("", f"the whole archive, since {why.rstrip('.')}", ours=True)]


def _refused(code: str, account: str) -> str:
    if code in ("NoSuchKey", "NoSuchBucket", "404"):
        return "there is no such object"
    if code in ("AccessDenied", "403"):
        return f"S3 refuses it ({code}): it lies in a bucket of another account than {account}, or its policies shut it"
    return f"S3 refuses it ({code})"


def parse_samples(archive: bytes) -> tuple[tuple[Sample, ...], list[LeftOut]]:
    """The samples in a .tar.gz, and the files of it that give none.

    Raises:
        ValueError, OSError, TarError, EOFError, zlib.error: for one that is too large, or no such archive.
    """
    if len(archive) > MOST_OF_AN_ARCHIVE:
        raise ValueError(f"it is larger than {MOST_OF_AN_ARCHIVE} bytes")
    unpacked = gzip.GzipFile(fileobj=io.BytesIO(archive)).read(MOST_OF_AN_ARCHIVE + 1)
    if len(unpacked) > MOST_OF_AN_ARCHIVE:
        raise ValueError(f"it unpacks to more than {MOST_OF_AN_ARCHIVE} bytes")
    taken, left_out, others = list[Sample](), list[LeftOut](), list[LeftOut]()
    with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file is None:
                continue
            name = quote(member.name)
            if not member.name.endswith(".json") or member.name.rpartition("/")[2].startswith("._"):
                others.append(LeftOut(name, "is no *.json of samples", ours=False))
            elif member.size > MEMBER_LIMIT:
                left_out.append(LeftOut(name, f"is larger than {MEMBER_LIMIT} bytes", ours=False))
            else:
                found, lacking = _sorted(name, file.read())
                taken += found
                left_out += lacking
    fitting, surplus = _with_room(taken)
    # Beside samples of ours other files may lie, as a README does.
    return fitting, [*left_out, *surplus, *(() if fitting else others)]


def _sorted(name: str, content: bytes) -> tuple[list[Sample], list[LeftOut]]:
    """The samples of a member, and what in it is none."""
    taken, left_out = list[Sample](), list[LeftOut]()
    try:
        parts = listed(parse_model_json(content))
    except ValueError as error:
        return [], [LeftOut(name, f"is not JSON: {error}", ours=False)]
    for part in parts:
        if not isinstance(part, dict) or not all(keys & part.keys() for keys in _SIGNS):
            left_out.append(LeftOut(name, "has no content_type, body and expect", ours=False))
            continue
        try:
            taken.append(Sample.model_validate(part))
        except ValidationError as error:
            left_out.append(LeftOut(name, f"is no sample: {first_fault(error).rstrip('.')}", ours=True))
    return taken, list(dict.fromkeys(left_out))


def _with_room(samples: Sequence[Sample]) -> tuple[tuple[Sample, ...], list[LeftOut]]:
    """As many samples, from the first on, as a Release takes; and the others."""
    room, fitting = _ROOM, list[Sample]()
    for sample in samples[:SAMPLES_LIMIT]:
        room -= len(json.dumps(sample.model_dump(), indent=1))
        if room < 0:
            break
        fitting.append(sample)
    surplus = len(samples) - len(fitting)
    why = f"{surplus} of its {len(samples)} samples: a Release takes {SAMPLES_LIMIT} of them, and {_ROOM} bytes, at most"
    return tuple(fitting), [LeftOut("", why, ours=True)] if surplus else []
