"""The audit's evidence in a consumer's account: its own role tries the doors one by one, and goes on past a shut one.

The version is described, its Release and artifacts are read, and a model is made from it and deleted. Not here: the steps
themselves (``hosting``).

Source: CreateModel in the SageMaker API reference.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount import doors
from crossaccount.arns import group_arn
from crossaccount.audit.answers import DISCOVERY, AccessAnswer, Evidence, Verdict, unknown
from crossaccount.audit.live import LiveVersion, find_live
from crossaccount.aws.access import Target, open_target
from crossaccount.config.model import Sharing
from crossaccount.doors import DOORS
from crossaccount.errors import (
    CrossAccountError,
    DoorName,
    Failed,
    Finding,
    InputError,
    Obstacle,
    Refused,
    Severity,
)
from crossaccount.hosting import preflight, queues, quotas, requests, state, temporary
from crossaccount.proof.questions import check_questions
from crossaccount.registry.versions import ModelVersion
from crossaccount.release.manifest import Release
from crossaccount.release.members import members_of_release
from crossaccount.text import first_line

_Step = AccessAnswer | Finding


def try_doors(sharing: Sharing, name: str, known: Sequence[ModelVersion], probe: bool) -> Evidence:
    """The evidence of a consumer's own role.

    Args:
        sharing: the config.
        name: the consumer.
        known: versions that the producer knows of, newest last, for when the registry refuses the consumer.
        probe: also make a model and delete it, which proves the execution role's permissions.
    """
    consumer = sharing.consumers[name]
    if consumer.expires is not None and consumer.expires <= datetime.now(UTC):
        return Evidence()
    try:
        target = open_target(sharing, name)
    except Refused as refused:
        return Evidence((shut(name, consumer.account, refused),))
    except CrossAccountError as error:
        return unknown(f"consumers.{name}", "The access of its role", error)
    steps = tuple(_try_each(target, known, probe))
    answers = tuple(step for step in steps if isinstance(step, AccessAnswer))
    live = _look_at_live(target)
    findings = (
        *(step for step in steps if isinstance(step, Finding)),
        *(each for each in live if isinstance(each, Finding)),
    )
    return Evidence(answers, findings, live=tuple(each for each in live if isinstance(each, LiveVersion)))


def _look_at_live(target: Target) -> Sequence[LiveVersion | Finding]:
    """What the consumer's endpoints serve; or that it cannot be told."""
    try:
        with target.explained("sagemaker:ListEndpoints", "*"):
            return find_live(target)
    except CrossAccountError as error:
        text = f"Whether a version that was recalled is live there cannot be told: {first_line(error)}"
        return [Finding(Severity.NOTE, f"consumers.{target.name}", text)]


def _try_each(target: Target, known: Sequence[ModelVersion], probe: bool) -> Iterator[_Step]:
    yield _open(target, DoorName.ROLE_TRUST, target.consumer.role, "assumed")
    yield from _own_side(target)
    if target.config.producer.discoverable:
        yield _discover(target)
    version = known[-1] if known else None
    try:
        version = preflight.find_version(target, None)
        reason = f"version {version.version} described"
        yield _open(target, DoorName.REGISTRY, target.config.model_package_group, reason)
    except Refused as refused:
        yield shut(target.name, target.account, refused)
    except CrossAccountError as error:
        yield _fault(target, error)
        return
    if version is None:
        return
    try:
        release = preflight.read_release(target, version)
        reason = f"Release of version {version.version} read"
        yield _open(target, DoorName.BUCKET, target.config.producer.releases_bucket, reason)
        yield from _read(target, release)
        yield from _foreseen(target, version, release)
        yield from _questions(target, release, is_told=bool(known))
        if probe:
            yield from _try_model(target, release)
    except Refused as refused:
        yield shut(target.name, target.account, refused)
    except Obstacle as obstacle:  # an artifact that cannot be read, whoever is let in
        yield _unreadable(target, obstacle.finding)
        yield _fault(target, obstacle)
    except CrossAccountError as error:
        yield _fault(target, error)


def _discover(target: Target) -> AccessAnswer:
    """Whether the group is in the consumer's list of groups that others share with it."""
    group = target.config.model_package_group
    verdict, reason = (
        Verdict.NO,
        "its list of groups of other accounts has none of it: crossaccount share CONFIG, or accept the invitation of AWS RAM",
    )
    try:
        with target.explained("sagemaker:ListModelPackageGroups", "*"):
            pages = target.sagemaker.get_paginator("list_model_package_groups")
            for page in pages.paginate(CrossAccountFilterOption="CrossAccount", NameContains=group):
                arns = [each["ModelPackageGroupArn"] for each in page["ModelPackageGroupSummaryList"]]
                if group_arn(target.config) in arns:
                    verdict, reason = Verdict.YES, "in its list of groups of other accounts"
    except CrossAccountError as error:
        verdict, reason = Verdict.CANNOT_TELL, first_line(error)
    return AccessAnswer(target.name, target.account, DISCOVERY, group, verdict, reason)


def _own_side(target: Target) -> Iterator[Finding]:
    """What an asynchronous endpoint needs of the consumer's own roles, and their policies do not allow; a resource's policy may all the same."""
    for need, _ in queues.lacking(target):
        text = f"No policy of {need.role} allows {need.action} on {need.resource}, which the asynchronous endpoint needs."
        way_out = (
            "Allow it there, as deployments/iam/consumer.yaml does, unless the resource's own policy does."
        )
        yield Finding(Severity.WARNING, f"consumers.{target.name}", text, way_out)


def _read(target: Target, release: Release) -> Iterator[_Step]:
    """The answers about buckets and keys, from a byte of each object: KMS is asked when an object is read, not before."""
    read = preflight.check_artifacts(target, release)
    needing = members_of_release(target.config, release, read.keys).needing
    for bucket in sorted(read.buckets):
        yield _open(target, DoorName.BUCKET, bucket, "a byte of every artifact in it read", needing(bucket))
    for key in sorted(set(read.keys.values())):
        yield _open(target, DoorName.KEY, key, "an artifact under it read", needing(key))
    for uri, doubt in read.unread.items():
        text = f"Whether {target.name} can read all of {uri} cannot be told: {doubt}."
        yield Finding(
            Severity.NOTE, f"consumers.{target.name}", text, "CreateModel asks with the execution role."
        )


def _foreseen(target: Target, version: ModelVersion, release: Release) -> Iterator[_Step]:
    """What would keep the version from its endpoint although every door is open: its licence, its instance types, the account's quotas."""
    subject = f"consumers.{target.name}"
    for check in (
        partial(requests.check, target.consumer, release),
        partial(requests.check_licence, target.consumer, version),
    ):
        try:
            check()
        except Failed as failed:
            yield Finding(Severity.WARNING, subject, str(failed))
    try:
        needs = quotas.of_promotion(target, release, state.look(target))
    except (ClientError, BotoCoreError) as error:
        text = f"Whether the quotas of {target.account} reach for a promotion cannot be told: {first_line(error)}"
        yield Finding(Severity.NOTE, subject, text)
        return
    seen = quotas.foresee(target, needs)
    for line in seen.short:
        yield Finding(
            Severity.WARNING, subject, f"A promotion would fail in {target.region}: {line}.", quotas.WAY_OUT
        )
    for line in seen.doubts:
        yield Finding(Severity.NOTE, subject, line)


def _questions(target: Target, release: Release, is_told: bool) -> Iterator[Finding]:
    """Why a deployment would be refused for its questions; ``is_told`` is whether the producer's side was read, which tells of none at all."""
    if is_told and not target.consumer.smoke and not release.samples:
        return
    try:
        check_questions(target.name, target.consumer, release)
    except (Failed, InputError) as error:
        yield Finding(Severity.WARNING, f"consumers.{target.name}", str(error))


def _try_model(target: Target, published: Release) -> Iterator[_Step]:
    with preflight.explained_creation(target, published):
        removal = temporary.try_model(target, published)
    if removal.outcome == "left":
        text = f"The model {removal.name} of this check could not be deleted: {removal.reason}"
        yield Finding(Severity.WARNING, f"consumers.{target.name}", text, "Delete it, or check again.")
    reason = "a model was made from the package, and deleted"
    yield _open(target, DoorName.EXECUTION_ROLE, target.consumer.execution_role, reason)
    for door in DOORS:
        if door.proved_by_model:
            for resource in sorted(door.needed(target.config, published.contents)):
                containers = members_of_release(target.config, published).needing(resource)
                yield _open(target, door.name, resource, reason, containers)


def _open(
    target: Target, door: str, resource: str, reason: str, containers: tuple[str, ...] = ()
) -> AccessAnswer:
    return AccessAnswer(
        target.name, target.account, door, resource, Verdict.YES, reason, containers=containers
    )


def shut(name: str, account: str, refused: Refused) -> AccessAnswer:
    """The answer no, from a refusal, about the resource behind the door."""
    refusal = refused.refusal
    reason = f"{refusal.action} refused. {refusal.next_step}"
    resource = doors.name_in(refusal.resource)
    return AccessAnswer(
        name, account, refusal.door, resource, Verdict.NO, reason, containers=refusal.containers
    )


def _unreadable(target: Target, finding: Finding) -> AccessAnswer:
    reason = f"{finding.subject}: {finding.text} {finding.way_out}"
    return AccessAnswer(
        target.name, target.account, DoorName.BUCKET, doors.name_in(finding.subject), Verdict.NO, reason
    )


def _fault(target: Target, error: Exception) -> Finding:
    return Finding(Severity.ERROR, f"consumers.{target.name}", first_line(error))
