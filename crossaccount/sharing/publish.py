"""Makes and publishes the Release of a version: its containers as AWS has them, its samples, and the grants of a plan.

Not here: the manifest itself, and reading one (``release``); reading the samples (``samples``).
"""

from crossaccount.arns import group_arn
from crossaccount.aws.access import Producer
from crossaccount.doors import door_of
from crossaccount.errors import Conflict, Failed
from crossaccount.policy.documents import DOCS_SIDS, Document, is_owned, listed, statements
from crossaccount.registry.versions import Container, ModelVersion
from crossaccount.release import store
from crossaccount.release.manifest import (
    RELEASE_LIMIT,
    Grant,
    Release,
    ReleasedArtifact,
    ReleasedContainer,
    Sample,
)
from crossaccount.sharing.changes import Plan
from crossaccount.sharing.gather import Gathered


def prepare(
    producer: Producer, version: ModelVersion, gathered: Gathered, plan: Plan
) -> tuple[Release, bool]:
    """The Release of a version, and whether it is new: one that was not published yet.

    A published Release stays as it is. Only its containers are compared with the version's: grants and approval may have
    changed since. Nothing is written.

    Raises:
        Conflict: when the version was published with another image or artifact than it has now.
        Failed: when it would be larger than a consumer reads.
    """
    config = producer.config
    containers = [_released_container(container, gathered) for container in version.containers]
    published = store.find(producer, version.version)
    if published is not None:
        return _unchanged(published, containers), False
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
        samples=_samples(version, gathered),
        grants=grants_of(plan, group_arn(config), docs=config.preset == "aws-docs"),
    )
    if (length := len(release.to_bytes())) > RELEASE_LIMIT:
        raise Failed(
            f"The Release of {version.arn} would have {length} bytes, and a consumer reads {RELEASE_LIMIT} at most. Register the "
            "version with fewer or smaller samples."
        )
    return release, True


def _samples(version: ModelVersion, gathered: Gathered) -> list[Sample]:
    if version.sample_payload_url and version.arn not in gathered.samples:
        raise Conflict(
            f"The Release of {version.arn} was there when its samples were to be read, and is gone. Run this again."
        )
    return list(gathered.samples.get(version.arn, ()))


def publish(producer: Producer, release: Release) -> Release:
    """Publish a Release; the one that stands when somebody else was first.

    Raises:
        Conflict: when that one has another image or artifact.
    """
    key = store.release_key(producer.config, release.version)
    if store.write_once(producer, key, release.to_bytes()):
        return release
    return _unchanged(store.read(producer, release.version), release.containers)


def _unchanged(published: Release, containers: list[ReleasedContainer]) -> Release:
    if published.containers != containers:
        raise Conflict(
            f"{published.model_package_arn} was published with another image or artifact than it has now: someone replaced one of them. "
            "Register a new version instead; a shared one never changes."
        )
    return published


def _released_container(container: Container, gathered: Gathered) -> ReleasedContainer:
    return ReleasedContainer(
        image=container.image,
        image_digest=container.image_digest or gathered.digests.get(container.image),
        artifacts=[
            ReleasedArtifact(uri=artifact.uri, etag=gathered.observed[artifact.uri].etag)
            for artifact in container.artifacts
        ],
        specification=container.specification,
    )


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
