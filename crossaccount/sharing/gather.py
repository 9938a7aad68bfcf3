"""Reads everything that the producer's half decides about: versions, artifacts, keys, and policies as they stand.

It only reads, and goes on past obstacles, so that all are said at once. Not here: the plan that follows (``plan``).
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from crossaccount import doors, parallel
from crossaccount.aws.access import Producer, producing
from crossaccount.config.model import Sharing
from crossaccount.doors import door_of, read_policy
from crossaccount.doors.base import Resource
from crossaccount.doors.bucket import BUCKET
from crossaccount.errors import Finding, PlanRefused
from crossaccount.policy import documents
from crossaccount.policy.documents import Document
from crossaccount.registry.versions import Contents, ModelVersion, contents_of, read_versions
from crossaccount.sharing import plan
from crossaccount.sharing.artifacts import Observed, observe_all, resolve_digests
from crossaccount.sharing.changes import Basis, Plan
from crossaccount.sharing.obstacles import ask, ask_all
from crossaccount.sharing.samples import Samples, gather_samples

# S3 may show a role by its id for a moment after a put; one that stays is a role that is gone.
_SHOWN_AGAIN_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Gathered(Basis):
    """Everything that was read for a plan and its Releases.

    ``observed`` has the artifacts by URI; ``digests`` the digest of each image of the producer's registry; ``samples`` those of each
    version that has no Release yet, by its ARN.
    """

    versions: tuple[ModelVersion, ...]
    observed: dict[str, Observed]
    digests: dict[str, str | None]
    samples: Samples = field(default_factory=dict)


def gather(producer: Producer) -> Gathered:
    """Read everything that a share needs to know.

    Raises:
        PlanRefused: when there is no version to share.
        ClientError: when AWS refuses to be read.
    """
    config = producer.config
    group = f"model-package-group {config.model_package_group}"
    versions = ask(group, partial(read_versions, producer.sagemaker, config))
    if isinstance(versions, Finding):  # without versions there is nothing more to look at
        raise PlanRefused((versions,))
    grantable = {each: ask(each.arn, partial(doors.needs, config, contents_of([each]))) for each in versions}
    sound = [version for version, needs in grantable.items() if not isinstance(needs, Finding)]
    unsound = [needs for needs in grantable.values() if isinstance(needs, Finding)]
    contents = contents_of(sound)
    first = doors.resources(config, doors.needs(config, contents))
    (reachable, of_resources), ((digests, of_images), (samples, of_samples)) = parallel.run_both(
        partial(_reachable, producer, first, contents),
        partial(
            parallel.run_both,
            partial(resolve_digests, producer, sound),
            partial(gather_samples, producer, versions),
        ),
    )
    buckets = {resource.name for resource in reachable if resource.kind == BUCKET.kind}
    artifacts = [artifact for artifact in contents.artifacts if artifact.bucket in buckets]
    (observed, of_artifacts), (policies, of_policies) = parallel.run_both(
        partial(observe_all, producer, artifacts), partial(read_policies, producer, reachable)
    )
    # The keys are known once the artifacts were looked at.
    contents = contents_of(sound, [artifact.key for artifact in observed.values()])
    needs = doors.needs(config, contents)
    resources = doors.resources(config, needs)
    reachable, of_keys = _reachable(producer, [each for each in resources if each not in first], contents)
    of_key, of_key_policies = read_policies(producer, reachable)
    policies |= of_key
    existing = {resource: policies[resource] for resource in resources if resource in policies}
    of_documents = [
        finding
        for resource, document in existing.items()
        for finding in door_of(resource.kind).findings(producer, resource, document)
    ]
    findings = [
        *unsound,
        *of_resources,
        *of_artifacts,
        *of_images,
        *of_policies,
        *of_keys,
        *of_key_policies,
        *of_samples,
    ]
    return Gathered(
        needs,
        existing,
        datetime.now(UTC),
        tuple(dict.fromkeys([*findings, *of_documents])),  # each once
        versions=versions,
        observed=observed,
        digests=digests,
        samples=samples,
    )


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
