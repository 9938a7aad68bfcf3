"""Reads everything that the producer's half decides about: versions, artifacts, keys, and policies as they stand.

It only reads, and goes on past obstacles, so that all are said at once. Not here: the plan that follows (``plan``).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from crossaccount import doors, packages, parallel, plan
from crossaccount.aws.access import producing
from crossaccount.doors import Needs, door_of, read_policy
from crossaccount.doors.base import Resource
from crossaccount.doors.bucket import BUCKET
from crossaccount.errors import Finding, PlanRefused
from crossaccount.plan import Plan
from crossaccount.policy import documents
from crossaccount.policy.documents import Document
from crossaccount.sharing.artifacts import Observed, observe_all, resolve_digests
from crossaccount.sharing.obstacles import answers, noting

if TYPE_CHECKING:
    from crossaccount.aws.access import Producer
    from crossaccount.config.model import Sharing
    from crossaccount.packages import Contents, ModelVersion


# S3 may show a role by its id for a moment after a put; one that stays is a role that is gone.
_SHOWN_AGAIN_SECONDS = 2.0


@dataclass(frozen=True)
class Gathered:
    """Everything that was read for a plan.

    ``digests`` has the digest of each image of the producer's registry; ``existing`` every policy that a plan is about, None
    for no policy; ``findings`` the obstacles, and what else should be known; ``now`` is when it was read.
    """

    versions: tuple[ModelVersion, ...]
    needs: Needs
    observed: dict[str, Observed]
    digests: dict[str, str | None]
    existing: dict[Resource, Document | None]
    findings: tuple[Finding, ...]
    now: datetime


def gather(producer: Producer) -> Gathered:
    """Read everything that a share needs to know.

    Raises:
        PlanRefused: when there is no version to share.
        ClientError: when AWS refuses to be read.
    """
    config, findings = producer.config, list[Finding]()
    with noting(findings, f"model-package-group {config.model_package_group}"):
        versions = packages.read_versions(producer.sagemaker, config)
    if findings:  # without versions there is nothing more to look at
        raise PlanRefused(tuple(findings))
    sound = [version for version in versions if _is_sound(config, version, findings)]
    contents = packages.contents(sound)
    first = doors.resources(config, doors.needs(config, contents))
    of_images, of_policies = list[Finding](), list[Finding]()
    reachable, digests = parallel.run_both(
        lambda: _reachable(producer, first, contents, findings),
        lambda: resolve_digests(producer, sound, of_images),
    )
    buckets = {resource.name for resource in reachable if resource.kind == BUCKET.kind}
    observed, existing = parallel.run_both(
        lambda: observe_all(
            producer, (each for each in contents.artifacts if each.bucket in buckets), findings
        ),
        lambda: existing_policies(producer, reachable, of_policies),
    )
    # The keys are known once the artifacts were looked at.
    contents = packages.contents(sound, [artifact.key for artifact in observed.values()])
    needs = doors.needs(config, contents)
    resources = doors.resources(config, needs)
    later = [resource for resource in resources if resource not in first]
    existing |= existing_policies(producer, _reachable(producer, later, contents, of_policies), of_policies)
    existing = {resource: existing[resource] for resource in resources if resource in existing}
    for resource, document in existing.items():
        of_policies += door_of(resource.kind).findings(producer, resource, document)
    each_once = tuple(dict.fromkeys([*findings, *of_images, *of_policies]))
    return Gathered(versions, needs, observed, digests, existing, each_once, datetime.now(UTC))


def _is_sound(config: Sharing, version: ModelVersion, findings: list[Finding]) -> bool:
    """Whether everything that the version needs can be granted at all."""
    before = len(findings)
    with noting(findings, version.arn):
        doors.needs(config, packages.contents([version]))
    return len(findings) == before


def _reachable(
    producer: Producer, resources: Iterable[Resource], contents: Contents, findings: list[Finding]
) -> list[Resource]:
    """The resources whose policies can be read; an obstacle of another becomes a finding."""
    looks = answers(
        findings,
        {
            each: (
                f"{each.kind} {each.name}",
                partial(door_of(each.kind).obstacles, producer, each, contents),
            )
            for each in resources
        },
    )
    findings += [finding for look in looks.values() for finding in look]
    return list(looks)


def existing_policies(
    producer: Producer, resources: Iterable[Resource], findings: list[Finding]
) -> dict[Resource, Document | None]:
    """The policies of the resources as they stand; one that cannot be read becomes a finding."""
    return answers(
        findings,
        {each: (f"{each.kind} {each.name}", partial(_read_twice, producer, each)) for each in resources},
    )


def _read_twice(producer: Producer, resource: Resource) -> Document | None:
    """A resource's policy; one that names unique ids is looked at again after a moment."""
    document, _ = read_policy(producer, resource)
    if documents.dead(document):
        time.sleep(_SHOWN_AGAIN_SECONDS)
        document, _ = read_policy(producer, resource)
    return document


def share_plan(sharing: Sharing, prune: bool = False) -> Plan:
    """Read, then plan a share; raises as `gather` and `plan.share_plan` do, and `Refused` when AWS refuses to be read."""
    with producing(sharing) as producer:
        gathered = gather(producer)
    return planned(sharing, gathered, prune)


def planned(sharing: Sharing, gathered: Gathered, prune: bool = False, only: str | None = None) -> Plan:
    """The plan of a share, from what was gathered; arguments and errors as those of `plan.share_plan`."""
    return plan.share_plan(
        sharing, gathered.needs, gathered.existing, gathered.now, prune, gathered.findings, only
    )
