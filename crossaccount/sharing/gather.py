"""Reads everything that the producer's half decides about: versions, artifacts, keys, and policies as they stand.

It only reads, and goes on past obstacles, so that all are said at once. Not here: the plan that follows (``plan``).
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from crossaccount import doors, parallel
from crossaccount.arns import parse_image
from crossaccount.aws.access import Producer, producing
from crossaccount.config.model import Sharing
from crossaccount.doors import door_of, read_policy
from crossaccount.doors.base import Resource, Surroundings
from crossaccount.doors.bucket import BUCKET
from crossaccount.doors.key import KEY
from crossaccount.errors import Failed, Finding, Gone, PlanRefused, Severity
from crossaccount.policy import documents
from crossaccount.policy.documents import Document
from crossaccount.registry.artifacts import Artifact
from crossaccount.registry.chosen import Shareable, left_out, read_versions, refuse_unshared
from crossaccount.registry.versions import Contents, ModelVersion, approvals, contents_of
from crossaccount.release.manifest import Release
from crossaccount.sharing import plan, usage
from crossaccount.sharing.artifacts import Observed, observe_all, resolve_digests
from crossaccount.sharing.changes import Basis, Plan
from crossaccount.sharing.encryption import Coming, coming_key, read_encryption
from crossaccount.sharing.instance_types import unsupported
from crossaccount.sharing.naming import needing, with_containers
from crossaccount.sharing.obstacles import ask, ask_all
from crossaccount.sharing.opened import Opened, find_stale, read_opened
from crossaccount.sharing.samples import Samples, gather_samples
from crossaccount.sharing.specifications import lacking, narrowed, without_obstacles
from crossaccount.sharing.staying import parts_beyond

# S3 may show a role by its id for a moment after a put; one that stays is a role that is gone.
_SHOWN_AGAIN_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Gathered(Basis):
    """Everything that was read for a plan and its Releases.

    ``observed`` has the artifacts by URI; ``digests`` the digest of each image of the producer's registry; ``releases`` the published
    Releases by their versions' numbers; ``listed`` the versions that have one, None where that could not be asked; ``samples`` those
    of each version that has none yet, by its ARN. ``left_out`` says why other versions that the config means are not shared, by their
    numbers.
    """

    versions: tuple[ModelVersion, ...]
    observed: dict[str, Observed]
    digests: dict[str, str | None]
    samples: Samples = field(default_factory=dict)
    left_out: Mapping[int, Finding] = field(default_factory=dict)
    releases: Mapping[int, Release] = field(default_factory=dict)
    listed: frozenset[int] | None = None

    def has_seen(self, version: ModelVersion) -> bool:
        """Whether every artifact of a version, and every image, was there to be looked at."""
        return all(
            container.image in self.digests and all(each.uri in self.observed for each in container.artifacts)
            for container in version.containers
        )


def gather(producer: Producer) -> Gathered:
    """Read everything that a share needs to know.

    A version that cannot be deployed is left out; where no other is left, the reasons are errors.

    Raises:
        PlanRefused: when there is no version to share.
        ClientError: when AWS refuses to be read.
    """
    config = producer.config
    group = f"model-package-group {config.model_package_group}"
    shareable, opened = parallel.run_both(
        partial(ask, group, partial(read_versions, producer.sagemaker, config)),
        partial(read_opened, producer),
    )
    if isinstance(shareable, Finding):  # without versions there is nothing more to look at
        raise PlanRefused((shareable,))
    complete = narrowed(shareable.versions, partial(find_fault, config))
    unsound = _unsound(config, complete.versions)
    sound = [version for version in complete.versions if version not in unsound]
    world, coming = parallel.run_both(
        partial(_look, producer, sound, opened), partial(_coming_key, producer, sound, opened)
    )
    kept = _keep(config, shareable, unsound, world)
    now = datetime.now(UTC)
    (samples, of_samples), asked = parallel.run_both(
        partial(gather_samples, producer, kept.versions, opened.releases),
        partial(_ask_further, producer, kept, world, opened, coming, now),
    )
    stale, of_stale = asked.stale
    of_documents = _of_documents(producer, asked.existing, asked.beside)
    findings = (
        *(*kept.findings, *complete.notes, *asked.findings, *of_documents, *asked.of_releases),
        *(*opened.findings, *of_stale, *of_samples, *lacking(config, kept.versions)),
        *(unsupported(config, kept.versions[-1], config.consumers) if kept.versions else ()),
    )
    containers = needing(config, world.versions, world.observed)
    gathered = Gathered(
        asked.needs,
        asked.existing,
        now,
        tuple(dict.fromkeys(with_containers(each, containers) for each in findings)),  # each once
        asked.beside,
        stale=stale,
        publishing=_publishing(kept.versions, opened),
        versions=kept.versions,
        observed=world.observed,
        digests=world.digests,
        samples=samples,
        left_out=kept.left_out,
        releases=opened.releases,
        listed=opened.listed,
    )
    if not any(parts_beyond(config, gathered, resource) for resource in asked.existing):
        return gathered
    return replace(gathered, withdrawn=_withdrawn(producer, opened.releases, kept.versions))


def require_version(sharing: Sharing, gathered: Gathered, version: int) -> None:
    """See that a version is among those that are shared.

    Raises:
        Failed: for one that is left out, does not exist, or is not Approved.
        InputError: for one that the rule of the config does not choose.
    """
    if version in gathered.left_out:
        raise Failed(str(gathered.left_out[version]))
    if version not in {described.version for described in gathered.versions}:
        with producing(sharing) as producer:
            refuse_unshared(producer.sagemaker, sharing, version)


@dataclass(frozen=True)
class _World:
    """What the versions are made of, as it stands: ``first`` are the resources that were looked at, before any key was known.

    The versions are without the additional specifications that an obstacle stands in the way of.
    """

    versions: tuple[ModelVersion, ...]
    first: tuple[Resource, ...]
    observed: dict[str, Observed]
    digests: dict[str, str | None]
    policies: dict[Resource, Document | None]
    findings: tuple[Finding, ...]

    def keys(self, versions: Iterable[ModelVersion]) -> set[str]:
        """The keys of the versions' artifacts, as far as those could be looked at."""
        uris = {each.uri for each in contents_of(versions).artifacts}
        return {key for uri, each in self.observed.items() if uri in uris for key in each.keys}


def _look(producer: Producer, versions: Sequence[ModelVersion], opened: Opened) -> _World:
    """The artifacts and images of versions, and the policies of what they lie in."""
    contents = contents_of(versions)
    first = doors.resources(producer.config, doors.needs(producer.config, contents))
    (reachable, of_resources), (digests, of_images) = parallel.run_both(
        partial(_reachable, producer, first, contents, opened), partial(resolve_digests, producer, versions)
    )
    buckets = {resource.name for resource in reachable if resource.kind == BUCKET.kind}
    artifacts = [artifact for artifact in _deployed_first(versions) if artifact.bucket in buckets]
    (observed, of_artifacts), (policies, of_policies) = parallel.run_both(
        partial(observe_all, producer, artifacts), partial(read_policies, producer, reachable)
    )
    found = (*of_resources, *of_artifacts, *of_images, *of_policies)
    left, findings = without_obstacles(versions, found, digests)
    return _World(left.versions, first, observed, digests, policies, (*findings, *left.notes))


def _deployed_first(versions: Sequence[ModelVersion]) -> tuple[Artifact, ...]:
    """The versions' artifacts, first those that are deployed: an obstacle of a key is told of the first that lies under it."""
    deployed = [replace(version, containers=version.deployed_containers) for version in versions]
    return contents_of([*deployed, *versions]).artifacts


@dataclass(frozen=True)
class _Kept:
    """The versions that go on, why others are left out, and everything that was found about both."""

    versions: tuple[ModelVersion, ...]
    left_out: Mapping[int, Finding]
    findings: list[Finding]


def _keep(
    config: Sharing,
    shareable: Shareable,
    unsound: Mapping[ModelVersion, list[Finding]],
    world: _World,
) -> _Kept:
    """The sound versions without those of which something is gone; all of them where none would be left."""
    sound = world.versions
    gone = {each: _gone(config, each, world.findings, world.digests) for each in sound}
    reasons = {**unsound, **{version: why for version, why in gone.items() if why}}
    versions = tuple(version for version in sound if version not in reasons)
    out = {
        **shareable.left_out,
        **{each.version: _left_out(config, each, why) for each, why in reasons.items()},
    }
    findings = _settled(shareable, reasons, world.findings, out if versions else {})
    return _Kept(versions or sound, out, findings)


@dataclass(frozen=True)
class _Asked:
    """What the versions need once the keys are known, and the policies of that as they stand.

    ``findings`` are those about keys and policies, ``of_releases`` those about the keys of Releases; ``beside`` is what decides beside
    the policies, and ``stale`` what `find_stale` finds.
    """

    needs: doors.Needs
    existing: dict[Resource, Document | None]
    findings: tuple[Finding, ...]
    of_releases: tuple[Finding, ...]
    beside: dict[Resource, Surroundings]
    stale: tuple[dict[Resource, Document | None], list[Finding]]


def _publishing(versions: Iterable[ModelVersion], opened: Opened) -> tuple[int, ...]:
    """The numbers of the versions that have no Release that could be read."""
    return tuple(sorted({version.version for version in versions} - set(opened.releases)))


def _coming_key(producer: Producer, versions: Iterable[ModelVersion], opened: Opened) -> Coming:
    """The key that new Releases will lie under, asked for where there may be some."""
    return coming_key(producer) if _publishing(versions, opened) else (None, [])


def _ask_further(
    producer: Producer, kept: _Kept, world: _World, opened: Opened, coming: Coming, now: datetime
) -> _Asked:
    """The needs with the keys, known once artifacts and Releases were looked at; the policies left to read, and what decides beside."""
    versions = kept.versions
    keys, numbers = world.keys(versions), {version.version for version in versions}
    lying = {number: key for number, key in opened.keys.items() if number in numbers}
    releases = read_encryption(producer, lying, _publishing(versions, opened), keys, coming)
    contents = contents_of(versions, {*keys, *releases.keys})
    needs = doors.needs(producer.config, contents)
    resources = doors.resources(producer.config, needs)
    more = [each for each in resources if each not in world.first]
    reachable, of_keys = _reachable(producer, more, contents, opened)
    of_key, of_policies = read_policies(producer, reachable)
    policies = {**world.policies, **of_key}
    existing = {resource: policies[resource] for resource in resources if resource in policies}
    needed = [*resources, *_doubtful_keys(producer, kept, world, opened)]
    beside, stale = parallel.run_both(
        partial(doors.surroundings, producer, existing),
        partial(find_stale, producer, opened, needed, sorted(numbers), now),
    )
    return _Asked(needs, existing, (*of_keys, *of_policies), releases.findings, beside, stale)


def _doubtful_keys(producer: Producer, kept: _Kept, world: _World, opened: Opened) -> list[Resource]:
    """The keys that were opened for versions whose artifacts could not all be looked at: they may well be needed."""
    unseen = {
        version.version
        for version in kept.versions
        if any(each.uri not in world.observed for each in contents_of([version]).artifacts)
    }
    before = opened.resources(producer.account)
    return [each for each, numbers in before.items() if each.kind == KEY.kind and unseen & set(numbers)]


def _of_documents(
    producer: Producer,
    existing: Mapping[Resource, Document | None],
    beside: Mapping[Resource, Surroundings],
) -> Iterator[Finding]:
    """The findings of each policy, and of what decides beside it."""
    for resource, document in existing.items():
        yield from door_of(resource.kind).findings(producer, resource, document)
        yield from beside.get(resource, Surroundings()).findings


def _withdrawn(
    producer: Producer, published: Iterable[int], shared: Iterable[ModelVersion]
) -> dict[int, str]:
    """The versions that were published and are not shared, each with what became of it in the registry."""
    states = approvals(producer.sagemaker, producer.config.model_package_group)
    gone = set(published) - {version.version for version in shared}
    return {number: states.get(number, "deleted") for number in gone}


def _unsound(config: Sharing, versions: Iterable[ModelVersion]) -> dict[ModelVersion, list[Finding]]:
    """The versions that no grant can open, each with the reason."""
    faults = {each: find_fault(config, each, contents_of([each])) for each in versions}
    return {version: [fault] for version, fault in faults.items() if fault is not None}


def find_fault(config: Sharing, version: ModelVersion, contents: Contents) -> Finding | None:
    """The reason why no grant can open contents of a version; None where one can."""
    needs = ask(version.arn, partial(doors.needs, config, contents))
    return needs if isinstance(needs, Finding) else None


def _gone(
    config: Sharing,
    version: ModelVersion,
    findings: Iterable[Finding],
    digests: Mapping[str, str | None],
) -> list[Finding]:
    """The findings that something which a version is made of is no longer there."""
    artifacts = contents_of([version]).artifacts
    places = {place for each in artifacts for place in (each.uri, f"s3://{each.bucket}/{each.key}")}
    places |= {f"bucket {each.bucket}" for each in artifacts} - {f"bucket {config.producer.releases_bucket}"}
    images = {each.image: f"repository {parse_image(each.image).repository}" for each in version.containers}
    places |= {repository for image, repository in images.items() if image not in digests}
    return [finding for finding in findings if isinstance(finding, Gone) and finding.subject in places]


def _settled(
    shareable: Shareable,
    reasons: Mapping[ModelVersion, list[Finding]],
    found: Iterable[Finding],
    out: Mapping[int, Finding],
) -> list[Finding]:
    """What was found, with the reasons of the versions that are left out as warnings; as errors where ``out`` is empty: none is left."""
    of_versions = list(dict.fromkeys(finding for why in reasons.values() for finding in why))
    others = [finding for finding in found if finding not in of_versions]
    if out or not (reasons or shareable.left_out):
        return [*out.values(), *others]
    alone = [replace(finding, severity=Severity.ERROR) for finding in shareable.left_out.values()]
    return [*alone, *of_versions, *others]


def _left_out(config: Sharing, version: ModelVersion, reasons: Iterable[Finding]) -> Finding:
    return left_out(config, version.version, " ".join(map(str, reasons)))


def _reachable(
    producer: Producer, resources: Iterable[Resource], contents: Contents, opened: Opened
) -> tuple[list[Resource], list[Finding]]:
    """The resources whose policies can be read; and the findings about all of them."""

    def obstacles_of(resource: Resource) -> list[Finding]:
        releases = Resource(BUCKET.kind, producer.config.producer.releases_bucket, producer.account)
        if resource == releases and opened.region == producer.region:  # its list has said all that HEAD says
            return BUCKET.uploads(producer, resource.name, contents)
        return door_of(resource.kind).obstacles(producer, resource, contents)

    looks, obstacles = ask_all(
        {each: (f"{each.kind} {each.name}", partial(obstacles_of, each)) for each in resources}, producer
    )
    return list(looks), [*obstacles, *(finding for look in looks.values() for finding in look)]


def read_policies(
    producer: Producer, resources: Iterable[Resource]
) -> tuple[dict[Resource, Document | None], list[Finding]]:
    """The policies of the resources as they stand; and the findings of those that cannot be read."""
    return ask_all(
        {each: (f"{each.kind} {each.name}", partial(_read_twice, producer, each)) for each in resources},
        producer,
    )


def _read_twice(producer: Producer, resource: Resource) -> Document | None:
    """A resource's policy; one that names unique ids is looked at again after a moment."""
    document, _ = read_policy(producer, resource)
    if documents.unique_ids(document):
        time.sleep(_SHOWN_AGAIN_SECONDS)
        document, _ = read_policy(producer, resource)
    return document


def make_plan(sharing: Sharing, prune: bool = False, force: bool = False) -> Plan:
    """Read, then plan a share; raises as `gather` and `plan_with_users` do, and `Refused` when AWS refuses to be read."""
    with producing(sharing) as producer:
        gathered = gather(producer)
    return plan_with_users(sharing, gathered, prune, force)


def plan_with_users(sharing: Sharing, gathered: Gathered, prune: bool = False, force: bool = False) -> Plan:
    """The plan of a share; one that prunes what a live endpoint still needs is refused, unless it is forced.

    Raises:
        PlanRefused: with every reason at once, when a finding is an error.
    """
    made = plan.plan_share(sharing, gathered, prune)
    losing = {member for change in made.changes for member in change.lost}
    if not prune or not losing:
        return made
    if sharing.organization is not None:
        losing |= {consumer.account for consumer in sharing.consumers.values()}
    shared = [version.version for version in gathered.versions]
    users = usage.find_left_behind(sharing, losing, shared, force)
    return plan.accepted(replace(made, findings=(*made.findings, *users)))
