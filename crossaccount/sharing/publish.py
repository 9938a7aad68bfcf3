"""Makes and publishes the Release of a version: its containers as AWS has them, its samples, and the grants of a plan.

Not here: the manifest itself, and reading one (``release``).

Source: SamplePayloadUrl in the SageMaker API reference.
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError
from pydantic import ValidationError

from crossaccount.arns import group_arn, parse_s3
from crossaccount.aws.access import Producer
from crossaccount.doors import door_of
from crossaccount.doors.key import KEY
from crossaccount.errors import Conflict, Failed
from crossaccount.policy.documents import DOCS_SIDS, Document, is_owned, listed, statements
from crossaccount.registry.storage import Stored, difference
from crossaccount.registry.versions import Container, ModelVersion
from crossaccount.release import store
from crossaccount.release.manifest import (
    MEMBER_LIMIT,
    RELEASE_LIMIT,
    SAMPLES_LIMIT,
    Grant,
    Release,
    ReleasedArtifact,
    ReleasedContainer,
    Sample,
    first_fault,
)
from crossaccount.sharing.artifacts import Observed
from crossaccount.sharing.changes import Plan
from crossaccount.sharing.gather import Gathered
from crossaccount.strict_json import parse_json

_ARCHIVE_LIMIT = 5_000_000


def prepare(
    producer: Producer, version: ModelVersion, gathered: Gathered, plan: Plan
) -> tuple[Release, bool]:
    """The Release of a version, and whether it is new: one that was not published yet.

    A published Release stays as it is. Only its deployed containers are compared with the version's: grants and approval may have
    changed since, and further specifications may have been added. Nothing is written.

    Raises:
        Conflict: when the version was published with another image or artifact than it has now.
        Failed: when its samples are missing, or an artifact could not be looked at.
    """
    config = producer.config
    containers = [_released_container(container, gathered) for container in version.containers]
    published = gathered.releases.get(version.version) or store.find(producer, version.version)
    if published is not None:
        return _unchanged(published, containers, gathered.observed), False
    release = Release(
        schema_version=1,
        model_package_arn=version.arn,
        model_package_group=group_arn(config),
        version=version.version,
        region=config.region,
        producer_account=producer.account,
        approval_status=version.approval,
        package_status=version.status,
        containers=containers,
        content_types=list(version.content_types),
        response_types=list(version.response_types),
        instance_types=list(version.instance_types),
        samples=read_samples(producer, version),
        grants=_grants_for(version, gathered, plan, group_arn(config), config.preset == "aws-docs"),
    )
    if (length := len(release.to_bytes())) > RELEASE_LIMIT:
        raise Failed(
            f"The Release of {version.arn} would have {length} bytes, and a consumer reads {RELEASE_LIMIT} at most. Register the "
            "version with fewer or smaller samples."
        )
    return release, True


def publish(producer: Producer, release: Release) -> Release:
    """Publish a Release; the one that stands when somebody else was first.

    Raises:
        Conflict: when that one has another image or artifact.
    """
    key = store.release_key(producer.config, release.version)
    if store.write_once(producer, key, release.to_bytes()):
        return release
    return _unchanged(store.read(producer, release.version), release.containers, {})


def _unchanged(
    published: Release, containers: list[ReleasedContainer], observed: Mapping[str, Observed]
) -> Release:
    deployed = [container for container in containers if container.specification is None]
    if published.deployed_containers != deployed:
        changes = [
            each
            for before, now in zip(published.deployed_containers, deployed, strict=False)
            for each in _changes(before, now, was_plain=not published.contents.keys, observed=observed)
        ]
        raise Conflict(
            f"{published.model_package_arn} was published with another image or artifact than it has now: "
            f"{' '.join(changes) or 'its containers are others.'} Register a new version instead; a shared one never changes."
        )
    return published


def _changes(
    before: ReleasedContainer, now: ReleasedContainer, was_plain: bool, observed: Mapping[str, Observed]
) -> Iterator[str]:
    """What is another in a container than when it was published, each in a sentence or two."""
    if before.image_digest != now.image_digest and before.image == now.image:
        yield f"someone replaced the image {now.image}: its digest was {before.image_digest}, and is {now.image_digest}."
    etags = {artifact.uri: artifact.etag for artifact in before.artifacts}
    for artifact in now.artifacts:
        recorded, etag = etags.get(artifact.uri), artifact.etag
        if recorded and etag and recorded != etag:
            digest = observed[artifact.uri].digest if artifact.uri in observed else None
            found = difference(recorded, Stored(etag, digest), was_plain)
            who = "someone replaced it" if found.verb == "was replaced" else f"it {found.verb}"
            yield f"{artifact.uri}: {who}; {found.detail}"


def _released_container(container: Container, gathered: Gathered) -> ReleasedContainer:
    if unseen := [artifact.uri for artifact in container.artifacts if artifact.uri not in gathered.observed]:
        raise Failed(f"{unseen[0]} could not be looked at, so there is no Release with it.")
    return ReleasedContainer(
        image=container.image,
        image_digest=container.image_digest or gathered.digests.get(container.image),
        artifacts=[
            ReleasedArtifact(uri=artifact.uri, etag=gathered.observed[artifact.uri].etag)
            for artifact in container.artifacts
        ],
        specification=container.specification,
    )


def _grants_for(version: ModelVersion, gathered: Gathered, plan: Plan, group: str, docs: bool) -> list[Grant]:
    """The grants of a plan, without the keys that the artifacts of other versions alone are encrypted under."""
    own = {artifact.uri for container in version.containers for artifact in container.artifacts}
    keys = {key for uri, artifact in gathered.observed.items() if uri in own for key in artifact.keys}
    others = {key for artifact in gathered.observed.values() for key in artifact.keys} - keys
    return [
        grant
        for grant in grants_of(plan, group, docs)
        if grant.door != KEY.name or grant.resource not in others
    ]


def grants_of(plan: Plan, group: str, docs: bool = False) -> list[Grant]:
    """The grants of a plan, without saying for whom; with ``docs`` those by the AWS page's statements too."""
    return [
        Grant(door=door_of(change.resource.kind).name, resource=change.resource.name, actions=actions)
        for change in plan.changes
        if (actions := sorted(_actions(change.desired, group, docs)))
    ]


def _actions(document: Document | None, group: str, docs: bool) -> set[str]:
    return {
        action
        for statement in statements(document)
        # The plan has refused a page's Sid over another body, but only where the page's statements are made.
        if is_owned(statement, group) or (docs and statement.get("Sid") in DOCS_SIDS)
        for action in listed(statement.get("Action", []))
    }


def read_samples(producer: Producer, version: ModelVersion) -> list[Sample]:
    """The samples that the producer recorded with a version; none when it recorded none.

    SamplePayloadUrl names a .tar.gz; its members ``*.json`` each hold a sample, or a list of them.

    Raises:
        Failed: for an archive that is missing, too large or unreadable.
    """
    url = version.sample_payload_url
    if not url:
        return []
    bucket, key = parse_s3(url)
    try:
        answer = producer.s3.get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=producer.account)
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            raise Failed(f"The samples {url} are missing. Restore them, or clear SamplePayloadUrl.") from None
        raise
    raw = answer["Body"].read(_ARCHIVE_LIMIT + 1)
    try:
        return parse_samples(raw)
    except (ValueError, OSError, tarfile.TarError, EOFError, zlib.error, RecursionError) as error:
        raise Failed(f"The samples {url} cannot be used: {error}") from None


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
            if member.size > MEMBER_LIMIT:
                raise ValueError(f"{member.name} is larger than {MEMBER_LIMIT} bytes")
            samples += [_sample(content, member.name) for content in listed(parse_json(file.read()))]
    if len(samples) > SAMPLES_LIMIT:
        raise ValueError(f"it has more than {SAMPLES_LIMIT} samples")
    return samples


def _sample(content: Any, name: str) -> Sample:
    try:
        return Sample.model_validate(content)
    except ValidationError as error:
        raise ValueError(f"{name}: {first_fault(error)}") from None
