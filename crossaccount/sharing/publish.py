"""Makes and publishes the Release of a version: its containers as AWS has them, its samples, and the grants of a plan.

Not here: the manifest itself, and reading one (``release``); reading the samples (``samples``).
"""

from collections.abc import Iterator, Mapping

from crossaccount.arns import group_arn
from crossaccount.aws.access import Producer
from crossaccount.doors import door_of
from crossaccount.doors.key import KEY
from crossaccount.errors import Conflict, Failed
from crossaccount.policy.documents import DOCS_SIDS, Document, is_owned, listed, statements
from crossaccount.registry.storage import Stored, difference
from crossaccount.registry.versions import Container, ModelVersion
from crossaccount.release import store
from crossaccount.release.manifest import RELEASE_LIMIT, Grant, Release, ReleasedArtifact, ReleasedContainer
from crossaccount.sharing.artifacts import Observed
from crossaccount.sharing.changes import Plan
from crossaccount.sharing.gather import Gathered


def prepare(
    producer: Producer, version: ModelVersion, gathered: Gathered, plan: Plan
) -> tuple[Release, bool]:
    """The Release of a version, and whether it is new: one that was not published yet.

    A published Release stays as it is. Only its deployed containers are compared with the version's: grants and approval may have
    changed since, and further specifications may have been added. Nothing is written.

    Raises:
        Conflict: when the version was published with another image or artifact than it has now.
        Failed: when it would be larger than a consumer reads, or an artifact could not be looked at.
    """
    config = producer.config
    containers = [_released_container(container, gathered) for container in version.containers]
    published = gathered.releases.get(version.version)
    if published is None and (gathered.listed is None or version.version in gathered.listed):
        published = store.find(producer, version.version)  # it may be there, and could not be listed or read
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
        samples=list(gathered.samples.get(version.arn, ())),
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
        image_digest=gathered.digests.get(container.image) or container.image_digest,
        artifacts=[
            ReleasedArtifact(uri=artifact.uri, etag=gathered.observed[artifact.uri].etag)
            for artifact in container.artifacts
        ],
        specification=container.specification,
    )


def _grants_for(version: ModelVersion, gathered: Gathered, plan: Plan, group: str, docs: bool) -> list[Grant]:
    """The grants of a plan, of the keys only those that the version's own artifacts are encrypted under."""
    own = {artifact.uri for container in version.containers for artifact in container.artifacts}
    keys = {key for uri, artifact in gathered.observed.items() if uri in own for key in artifact.keys}
    return [
        grant for grant in grants_of(plan, group, docs) if grant.door != KEY.name or grant.resource in keys
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
