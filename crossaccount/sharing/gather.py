"""Reads everything that the producer's half decides about: versions, artifacts, keys, and policies as they stand.

It only reads, and goes on past obstacles, so that all are said at once. Not here: the plan that follows (``plan``).
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from crossaccount import doors, parallel
from crossaccount.arns import parse_image
from crossaccount.aws.access import Producer, producing
from crossaccount.config.model import Sharing
from crossaccount.doors import door_of, read_policy
from crossaccount.doors.base import Resource
from crossaccount.doors.bucket import BUCKET
from crossaccount.errors import Finding, Gone, PlanRefused, Severity
from crossaccount.policy import documents
from crossaccount.policy.documents import Document
from crossaccount.registry.versions import (
    Contents,
    ModelVersion,
    Shareable,
    approvals,
    contents_of,
    left_out,
    read_versions,
)
from crossaccount.release.manifest import Release
from crossaccount.sharing import plan
from crossaccount.sharing.artifacts import Observed, observe_all, resolve_digests
from crossaccount.sharing.changes import Basis, Plan
from crossaccount.sharing.encryption import read_encryption
from crossaccount.sharing.obstacles import ask, ask_all
from crossaccount.sharing.opened import find_stale, read_opened
from crossaccount.sharing.samples import Samples, gather_samples
from crossaccount.sharing.staying import parts_beyond

# S3 may show a role by its id for a moment after a put; one that stays is a role that is gone.
_SHOWN_AGAIN_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Gathered(Basis):
    """Everything that was read for a plan and its Releases.

    ``observed`` has the artifacts by URI; ``digests`` the digest of each image of the producer's registry; ``releases`` the published
    Releases by their versions' numbers; ``samples`` those of each version that has none yet, by its ARN. ``left_out`` says why other
    versions that the config means are not shared, by their numbers.
    """

    versions: tuple[ModelVersion, ...]
    observed: dict[str, Observed]
    digests: dict[str, str | None]
    samples: Samples = field(default_factory=dict)
    left_out: Mapping[int, Finding] = field(default_factory=dict)
    releases: Mapping[int, Release] = field(default_factory=dict)

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
    shareable = ask(group, partial(read_versions, producer.sagemaker, config))
    if isinstance(shareable, Finding):  # without versions there is nothing more to look at
        raise PlanRefused((shareable,))
    unsound = _unsound(config, shareable.versions)
    sound = [version for version in shareable.versions if version not in unsound]
    contents = contents_of(sound)
    first = doors.resources(config, doors.needs(config, contents))
    (reachable, of_resources), (digests, of_images) = parallel.run_both(
        partial(_reachable, producer, first, contents), partial(resolve_digests, producer, sound)
    )
    buckets = {resource.name for resource in reachable if resource.kind == BUCKET.kind}
    artifacts = [artifact for artifact in contents.artifacts if artifact.bucket in buckets]
    (observed, of_artifacts), (policies, of_policies) = parallel.run_both(
        partial(observe_all, producer, artifacts), partial(read_policies, producer, reachable)
    )
    found = [*of_resources, *of_artifacts, *of_images, *of_policies]
    reasons = unsound | {each: gone for each in sound if (gone := _gone(config, each, found, digests))}
    versions = tuple(version for version in sound if version not in reasons)
    out = {
        **shareable.left_out,
        **{each.version: _left_out(config, each, why) for each, why in reasons.items()},
    }
    findings = _settled(shareable, reasons, found, out if versions else {})
    versions = versions or tuple(sound)
    opened = read_opened(producer)
    samples, of_samples = gather_samples(producer, versions, opened.releases)
    # The keys are known once the artifacts were looked at.
    seen = [observed[each.uri] for each in contents_of(versions).artifacts if each.uri in observed]
    keys = {key for artifact in seen for key in artifact.keys}
    numbers = [version.version for version in versions]
    publishing = tuple(sorted(set(numbers) - set(opened.releases)))
    lying = {number: key for number, key in opened.keys.items() if number in numbers}
    releases = read_encryption(producer, lying, publishing, keys)
    contents = contents_of(versions, {*keys, *releases.keys})
    needs = doors.needs(config, contents)
    resources = doors.resources(config, needs)
    reachable, of_keys = _reachable(producer, [each for each in resources if each not in first], contents)
    of_key, of_key_policies = read_policies(producer, reachable)
    policies |= of_key
    existing = {resource: policies[resource] for resource in resources if resource in policies}
    beside = doors.surroundings(producer, existing)
    now = datetime.now(UTC)
    stale, of_stale = find_stale(producer, opened, resources, [each.version for each in versions], now)
    of_documents = [
        finding
        for resource, document in existing.items()
        for finding in (
            *door_of(resource.kind).findings(producer, resource, document),
            *(beside[resource].findings if resource in beside else ()),
        )
    ]
    findings = [
        *findings,
        *of_keys,
        *of_key_policies,
        *of_documents,
        *releases.findings,
        *opened.findings,
        *of_stale,
        *of_samples,
    ]
    gathered = Gathered(
        needs,
        existing,
        now,
        tuple(dict.fromkeys(findings)),  # each once
        beside,
        stale=stale,
        publishing=publishing,
        versions=versions,
        observed=observed,
        digests=digests,
        samples=samples,
        left_out=out,
        releases=opened.releases,
    )
    if not any(parts_beyond(config, gathered, resource) for resource in existing):
        return gathered
    return replace(gathered, withdrawn=_withdrawn(producer, opened.releases, versions))


def _withdrawn(
    producer: Producer, published: Iterable[int], shared: Iterable[ModelVersion]
) -> dict[int, str]:
    """The versions that were published and are not shared, each with what became of it in the registry."""
    states = approvals(producer.sagemaker, producer.config.model_package_group)
    gone = set(published) - {version.version for version in shared}
    return {number: states.get(number, "deleted") for number in gone}


def _unsound(config: Sharing, versions: Iterable[ModelVersion]) -> dict[ModelVersion, list[Finding]]:
    """The versions that no grant can open, each with the reason."""
    asked = {each: ask(each.arn, partial(doors.needs, config, contents_of([each]))) for each in versions}
    return {version: [needs] for version, needs in asked.items() if isinstance(needs, Finding)}


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
    producer: Producer, resources: Iterable[Resource], contents: Contents
) -> tuple[list[Resource], list[Finding]]:
    """The resources whose policies can be read; and the findings about all of them."""
    looks, obstacles = ask_all(
        {
            each: (
                f"{each.kind} {each.name}",
                partial(door_of(each.kind).obstacles, producer, each, contents),
            )
            for each in resources
        },
    )
    return list(looks), [*obstacles, *(finding for look in looks.values() for finding in look)]


def read_policies(
    producer: Producer, resources: Iterable[Resource]
) -> tuple[dict[Resource, Document | None], list[Finding]]:
    """The policies of the resources as they stand; and the findings of those that cannot be read."""
    return ask_all(
        {each: (f"{each.kind} {each.name}", partial(_read_twice, producer, each)) for each in resources}
    )


def _read_twice(producer: Producer, resource: Resource) -> Document | None:
    """A resource's policy; one that names unique ids is looked at again after a moment."""
    document, _ = read_policy(producer, resource)
    if documents.unique_ids(document):
        time.sleep(_SHOWN_AGAIN_SECONDS)
        document, _ = read_policy(producer, resource)
    return document


def make_plan(sharing: Sharing, prune: bool = False) -> Plan:
    """Read, then plan a share; raises as `gather` and `plan.plan_share` do, and `Refused` when AWS refuses to be read."""
    with producing(sharing) as producer:
        gathered = gather(producer)
    return plan.plan_share(sharing, gathered, prune)
