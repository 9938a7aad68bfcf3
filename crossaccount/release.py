"""The Release: an immutable manifest of one shared version, and the only thing that crosses between the accounts.

The producer publishes it in S3 with a conditional put; the consumer reads it as the untrusted data of another account. It
names no consumer, so it stays true as consumers come and go. Not here: the grants it lists (``plan``).

Source: PutObject (If-None-Match) in the S3 API reference; SamplePayloadUrl in the SageMaker API reference.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from botocore.exceptions import ClientError
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

from crossaccount.arns import group_arn, package_arn, parse_image, parse_s3
from crossaccount.errors import LAST_VERSION, Conflict, Door, Failed
from crossaccount.packages import Container, ModelVersion, check_registry
from crossaccount.plan import Kind, Resource
from crossaccount.policies import DOCS_SIDS, Document, is_owned, statements
from crossaccount.strict_json import check_whole_number, parse_json

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from crossaccount.config.model import Sharing
    from crossaccount.gather import Clients, Gathered, Observed
    from crossaccount.plan import Plan


_RELEASE_LIMIT = 1_000_000
_ARCHIVE_LIMIT, _MEMBER_LIMIT, _SAMPLES_LIMIT = 5_000_000, 1_000_000, 100
_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")  # also one from before S3 had stricter rules

DOORS = {
    Kind.GROUP: Door.REGISTRY,
    Kind.REPOSITORY: Door.REPOSITORY,
    Kind.BUCKET: Door.BUCKET,
    Kind.KEY: Door.KEY,
}


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it holds a character that cannot be printed")
    return text


_Short = Annotated[str, Field(max_length=2048), AfterValidator(_printable)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Sample(_Model):
    """One question to the endpoint, and the answer that the producer's own model gave."""

    content_type: _Short
    body: Annotated[str, Field(max_length=_MEMBER_LIMIT)]
    expect: JsonValue
    accept: _Short = "application/json"


class ReleasedArtifact(_Model):
    """An artifact and its ETag when it was shared; a prefix has none."""

    uri: _Short
    etag: _Short | None


class ReleasedContainer(_Model):
    """A container: its image, pinned by digest, and its artifacts. ``specification`` is None for the main one."""

    image: _Short
    image_digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None
    artifacts: Annotated[list[ReleasedArtifact], Field(max_length=100)]
    specification: _Short | None


class Grant(_Model):
    """What was opened for the version: a door, on which resource, for which actions."""

    door: _Short
    resource: _Short
    actions: Annotated[list[_Short], Field(max_length=50)]


class Release(_Model):
    """One shared version."""

    schema_version: Annotated[Literal[1], BeforeValidator(check_whole_number)]
    model_package_arn: _Short
    model_package_group: _Short
    version: Annotated[int, Field(ge=1, le=LAST_VERSION)]
    region: _Short
    producer_account: Annotated[str, Field(pattern=r"^\d{12}$")]
    approval_status: _Short
    package_status: _Short
    containers: Annotated[list[ReleasedContainer], Field(max_length=240)]
    content_types: Annotated[list[_Short], Field(max_length=100)]
    response_types: Annotated[list[_Short], Field(max_length=100)]
    instance_types: Annotated[list[_Short], Field(max_length=500)]
    samples: Annotated[list[Sample], Field(max_length=_SAMPLES_LIMIT)]
    grants: Annotated[list[Grant], Field(max_length=100)]

    @property
    def deployed_containers(self) -> list[ReleasedContainer]:
        """The containers that CreateModel deploys from the package: those of its main specification."""
        return [container for container in self.containers if container.specification is None]

    def to_bytes(self) -> bytes:
        """The manifest as it is stored: equal Releases are equal bytes."""
        return (json.dumps(self.model_dump(), indent=1, sort_keys=True) + "\n").encode()


def release_key(sharing: Sharing, version: int) -> str:
    """Where in the releases bucket the Release of a version lies."""
    return f"{sharing.producer.releases_prefix}{sharing.model_package_group}/{version}.json"


def prepare(
    clients: Clients, sharing: Sharing, version: ModelVersion, found: Gathered, plan: Plan
) -> tuple[Release, bool]:
    """The Release of a version: the published one, or else one to be published; and whether it is to be.

    A published Release stays as it is. Only what the version is made of is compared with it: grants and approval may have
    changed since. Nothing is written.

    Raises:
        Conflict: when the version was published with another image or artifact than it has now.
        Failed: when its samples are missing.
    """
    containers = [_released(container, found.digests, found.observed) for container in version.containers]
    published = find(clients.s3, sharing, version.version)
    if published is not None:
        return _unchanged(published, containers), False
    made = Release(
        schema_version=1,
        model_package_arn=version.arn,
        model_package_group=group_arn(sharing),
        version=version.version,
        region=sharing.region,
        producer_account=sharing.producer.account,
        approval_status=version.approval,
        package_status=version.status,
        containers=containers,
        content_types=list(version.content_types),
        response_types=list(version.response_types),
        instance_types=list(version.instance_types),
        samples=read_samples(clients, sharing, version),
        grants=grants_of(plan, group_arn(sharing), docs=sharing.preset == "aws-docs"),
    )
    if (length := len(made.to_bytes())) > _RELEASE_LIMIT:
        raise Failed(
            f"The Release of {version.arn} would have {length} bytes, and a consumer reads {_RELEASE_LIMIT} at most. Register the "
            "version with fewer or smaller samples."
        )
    return made, True


def publish(clients: Clients, sharing: Sharing, release: Release) -> Release:
    """Publish a Release; the one that stands when somebody else was first.

    Raises:
        Conflict: when that one has another image or artifact.
    """
    if _put(clients.s3, sharing, release):
        return release
    return _unchanged(read(clients.s3, sharing, release.version), release.containers)


def _unchanged(published: Release, containers: list[ReleasedContainer]) -> Release:
    if published.containers != containers:
        raise Conflict(
            f"{published.model_package_arn} was published with another image or artifact than it has now: someone replaced one of them. "
            "Register a new version instead; a shared one never changes."
        )
    return published


def published(client: S3Client, sharing: Sharing) -> set[int]:
    """The versions that have a Release.

    Raises:
        ClientError: when S3 refuses.
    """
    prefix = f"{sharing.producer.releases_prefix}{sharing.model_package_group}/"
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=sharing.producer.releases_bucket, Prefix=prefix, ExpectedBucketOwner=sharing.producer.account
    )
    names = [entry["Key"].removeprefix(prefix) for page in pages for entry in page.get("Contents", [])]
    return {int(name.removesuffix(".json")) for name in names if re.fullmatch(r"[1-9]\d{0,8}\.json", name)}


def opened(clients: Clients, sharing: Sharing, known: Iterable[int]) -> list[Resource]:
    """What Releases say was opened for versions that the registry no longer has.

    Args:
        clients: of the producer.
        sharing: the config.
        known: the versions that the registry has; what those need is found there.

    Raises:
        Failed: for a Release that cannot be read.
        ClientError: when S3 refuses.
    """
    numbers = published(clients.s3, sharing)
    kinds = {str(door): kind for kind, door in DOORS.items()}
    return [
        Resource(kinds[grant.door], grant.resource, sharing.producer.account)
        for number in sorted(numbers - set(known))
        for grant in read(clients.s3, sharing, number).grants
        if grant.door in kinds and kinds[grant.door] is not Kind.GROUP
    ]


def grants_of(plan: Plan, group: str, docs: bool = False) -> list[Grant]:
    """What a plan opens, without saying for whom; with ``docs`` by the AWS page's statements."""
    return [
        Grant(door=DOORS[change.resource.kind], resource=change.resource.name, actions=actions)
        for change in plan.changes
        if (actions := sorted(_actions(change.desired, group, docs)))
    ]


def _actions(document: Document | None, group: str, docs: bool) -> set[str]:
    found: set[str] = set()
    for statement in statements(document):
        # The plan has refused a page's Sid over another body, but only where the page's statements are made.
        if is_owned(statement, group) or (docs and statement.get("Sid") in DOCS_SIDS):
            named = statement.get("Action", [])
            found |= {named} if isinstance(named, str) else set(named)
    return found


def _released(
    container: Container, digests: Mapping[str, str | None], observed: Mapping[str, Observed]
) -> ReleasedContainer:
    return ReleasedContainer(
        image=container.image,
        image_digest=container.image_digest or digests.get(container.image),
        artifacts=[ReleasedArtifact(uri=a.uri, etag=observed[a.uri].etag) for a in container.artifacts],
        specification=container.specification,
    )


def _put(client: S3Client, sharing: Sharing, release: Release) -> bool:
    """Write a Release where there is none; False when there was one already."""
    try:
        client.put_object(
            Bucket=sharing.producer.releases_bucket,
            Key=release_key(sharing, release.version),
            Body=release.to_bytes(),
            ContentType="application/json",
            IfNoneMatch="*",
            ExpectedBucketOwner=sharing.producer.account,
        )
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("PreconditionFailed", "412"):
            raise
        return False
    return True


def find(client: S3Client, sharing: Sharing, version: int) -> Release | None:
    """The published Release of a version; None when there is none."""
    try:
        return read(client, sharing, version)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            return None
        raise


def read(client: S3Client, sharing: Sharing, version: int) -> Release:
    """Read and check a published Release. It comes from another account: nothing in it is believed unchecked.

    Raises:
        Failed: for one that is too large, that cannot be read, or that speaks of another version, group, region or account.
        ClientError: when S3 refuses it, or has none.
    """
    bucket, key = sharing.producer.releases_bucket, release_key(sharing, version)
    found = client.get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=sharing.producer.account)
    raw = found["Body"].read(_RELEASE_LIMIT + 1)  # whatever its ContentLength says
    where = f"s3://{bucket}/{key}"
    if len(raw) > _RELEASE_LIMIT:
        raise Failed(
            f"The Release {where} is larger than {_RELEASE_LIMIT} bytes. It is none of this project's."
        )
    try:
        release = Release.model_validate(parse_json(raw))
    except ValueError as error:
        if not isinstance(error, ValidationError):
            raise Failed(f"The Release {where} is not JSON: {error}. Its producer publishes it.") from None
        raise Failed(
            f"The Release {where} cannot be used: {_first_fault(error)}. Its producer publishes it."
        ) from None
    _check_identity(sharing, version, release, where)
    _check_places(sharing, release, where)
    return release


def _first_fault(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"])).encode("unicode_escape").decode()[:200] or "the document"
    return f"{place}: {first['msg']}"


def _check_identity(sharing: Sharing, version: int, release: Release, where: str) -> None:
    expected = {
        "model_package_arn": package_arn(sharing, version),
        "model_package_group": group_arn(sharing),
        "version": version,
        "region": sharing.region,
        "producer_account": sharing.producer.account,
    }
    for name, value in expected.items():
        if getattr(release, name) != value:
            raise Failed(
                f"The Release {where} says {name} is {getattr(release, name)!r}, the config says {value!r}. It is not used."
            )


def _check_places(sharing: Sharing, release: Release, where: str) -> None:
    """See that a Release names only what its producer can share, before anything that it names is asked about.

    Whose a bucket is, no name says: every call on it says whose it must be (ExpectedBucketOwner).

    Raises:
        Failed: with the first place that is somebody else's, or none.
    """
    try:
        for container in release.deployed_containers:
            check_registry(sharing, parse_image(container.image))
        for uri in (artifact.uri for container in release.containers for artifact in container.artifacts):
            bucket, key = parse_s3(uri)
            if not _BUCKET.fullmatch(bucket) or not key:
                raise Failed(f"{uri} is no object and no folder of a bucket.")
        for grant in release.grants:
            _check_grant(sharing, grant)
    except Failed as failed:
        raise Failed(
            f"The Release {where} names what is not its producer's to share: {failed} It is not used."
        ) from None


def _check_grant(sharing: Sharing, grant: Grant) -> None:
    key = f"arn:{sharing.partition}:kms:{sharing.region}:{sharing.producer.account}:key/"
    right: dict[str, bool] = {
        Door.REGISTRY: grant.resource == sharing.model_package_group,
        Door.REPOSITORY: re.fullmatch(r"[a-z0-9._/-]{2,256}", grant.resource) is not None,
        Door.BUCKET: _BUCKET.fullmatch(grant.resource) is not None,
        Door.KEY: grant.resource.startswith(key) and "*" not in grant.resource,
    }
    if not right.get(grant.door, False):
        raise Failed(
            f"the {grant.door} {grant.resource} is none of account {sharing.producer.account} in {sharing.region}."
        )


def read_samples(clients: Clients, sharing: Sharing, version: ModelVersion) -> list[Sample]:
    """The samples that the producer recorded with a version; none when it recorded none.

    SamplePayloadUrl names a .tar.gz; its members ``*.json`` each hold a sample, or a list of them.

    Raises:
        Failed: for an archive that is missing, too large or unreadable.
    """
    if not version.sample_payload_url:
        return []
    bucket, key = parse_s3(version.sample_payload_url)
    try:
        body = clients.s3.get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=sharing.producer.account)[
            "Body"
        ]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            raise Failed(
                f"The samples {version.sample_payload_url} are missing. Restore them, or clear SamplePayloadUrl."
            ) from None
        raise
    raw = body.read(_ARCHIVE_LIMIT + 1)
    try:
        return parse_samples(raw)
    except (ValueError, OSError, tarfile.TarError, EOFError, zlib.error, RecursionError) as error:
        raise Failed(f"The samples {version.sample_payload_url} cannot be used: {error}") from None


def parse_samples(archive: bytes) -> list[Sample]:
    """The samples in a .tar.gz.

    Raises:
        ValueError: for one that is too large, or whose members are not samples.
    """
    if len(archive) > _ARCHIVE_LIMIT:
        raise ValueError(f"the archive is larger than {_ARCHIVE_LIMIT} bytes")
    samples: list[Sample] = []
    unpacked = gzip.GzipFile(fileobj=io.BytesIO(archive)).read(_ARCHIVE_LIMIT + 1)
    if len(unpacked) > _ARCHIVE_LIMIT:
        raise ValueError(f"the archive unpacks to more than {_ARCHIVE_LIMIT} bytes")
    with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() and member.name.endswith(".json") else None
            if file is None:
                continue
            if member.size > _MEMBER_LIMIT:
                raise ValueError(f"{member.name} is larger than {_MEMBER_LIMIT} bytes")
            loaded: Any = parse_json(file.read())
            for one in loaded if isinstance(loaded, list) else [loaded]:
                samples.append(_sample(one, member.name))
    if len(samples) > _SAMPLES_LIMIT:
        raise ValueError(f"it has more than {_SAMPLES_LIMIT} samples")
    return samples


def _sample(given: Any, name: str) -> Sample:
    try:
        return Sample.model_validate(given)
    except ValidationError as error:
        raise ValueError(f"{name}: {_first_fault(error)}") from None
