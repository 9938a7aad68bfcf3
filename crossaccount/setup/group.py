"""A model package group as its account shows it: its versions, and what the stacks of both accounts must name of them.

It reads only, before there is a config. What does not fit one stack, or cannot be read, is a finding: no holdings are made up. Not here:
roles and organizations (``surroundings``), and the config that comes of it (``draft``).

Source: DescribeModelPackageGroup, ListModelPackageGroups and ListModelPackages in the SageMaker API reference; HeadObject,
ListObjectsV2 and GetBucketEncryption in the S3 API reference; DescribeKey in the AWS KMS API reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from crossaccount import parallel
from crossaccount.arns import parse_image, parse_s3, version_of
from crossaccount.errors import Failed, InputError, Refused
from crossaccount.regions import partitions
from crossaccount.registry.artifacts import Artifact, aws_registries
from crossaccount.registry.storage import Place, kms_key
from crossaccount.registry.versions import ModelVersion, describe_version, list_versions
from crossaccount.setup.asking import Asked, Side
from crossaccount.setup.stack_parameters import Holdings, common_folder
from crossaccount.sharing.samples import MOST_OF_AN_ARCHIVE, UNREADABLE, parse_samples
from crossaccount.text import did_you_mean, quote

_MOST_NAMED = 20
_HINTS = 3  # versions that are looked at where none is approved
_NOT_THERE = ("404", "NoSuchKey", "NoSuchBucket")
_NOT_CONFIGURED = ("ServerSideEncryptionConfigurationNotFoundError",)


@dataclass(frozen=True)
class Group:
    """What was read of a group.

    ``approved`` and ``waiting`` are numbers of versions; ``versions`` are those that were looked at, oldest first. ``holdings`` is None
    where one stack cannot name them, or they could not be read; ``bucket`` is the newest version's. ``instance_types`` are those that
    every version supports, in the newest one's order; empty where versions name none, or none that all support. ``has_samples`` is
    whether the newest was registered with questions and answers, None where that is not known.
    """

    name: str
    approved: tuple[int, ...] = ()
    waiting: tuple[int, ...] = ()
    versions: tuple[ModelVersion, ...] = ()
    holdings: Holdings | None = None
    bucket: str = ""
    instance_types: tuple[str, ...] = ()
    content_types: tuple[str, ...] = ()
    has_samples: bool | None = None


def group_names(side: Side) -> tuple[str, ...]:
    """The names of an account's own groups.

    Raises:
        Refused, Failed: AWS refuses, or cannot be reached.
    """
    pages = side.client("sagemaker").get_paginator("list_model_package_groups").paginate()
    return tuple(
        side.explained(
            lambda: [
                each["ModelPackageGroupName"]
                for page in pages
                for each in page["ModelPackageGroupSummaryList"]
            ]
        )
    )


def check_group(side: Side, name: str) -> None:
    """See that the account has the group.

    Raises:
        InputError: it has not; the message lists those that it has.
        Failed: AWS cannot be reached.
    """
    try:
        side.explained(
            lambda: side.client("sagemaker").describe_model_package_group(ModelPackageGroupName=name)
        )
    except Refused:
        return  # its versions may still be read
    except Failed as failed:
        if "does not exist" not in str(failed):
            raise
        try:
            known = group_names(side)
            there = f"It has {', '.join(known[:_MOST_NAMED])}" if known else "It has none there"
        except Refused as refused:
            known, there = (), f"Which it has cannot be told: {refused.refusal.action} is refused"
        raise InputError(
            f"--group: account {side.account} has no model package group {quote(name)} in {side.region}.{did_you_mean(name, known)} "
            f"{there}. Correct the name, or --region."
        ) from None


def read_group(asked: Asked, side: Side, name: str, listed: Sequence[int] | None = None) -> Group:
    """What there is to know of a group; what could not be read is told to ``asked``.

    Args:
        asked: takes the findings.
        side: the producer's account.
        name: the group's.
        listed: the versions that a config lists; None for all that are approved.

    Raises:
        Failed: AWS cannot be reached.
    """
    sagemaker, subject = side.client("sagemaker"), f"versions of {name}"
    unknown = "Buckets, images, keys and instance types are not known."
    arns = asked.read(side, subject, unknown, lambda: list_versions(sagemaker, name))
    if arns is None:
        return Group(name)
    approved = asked.read(side, subject, unknown, lambda: list_versions(sagemaker, name, "Approved"))
    numbers = tuple(sorted(map(version_of, approved or ())))
    waiting = tuple(sorted(set(map(version_of, arns)) - set(numbers)))
    if not arns:
        asked.warn(subject, f"There is none yet. {unknown}", "Register a version, then run this again.")
        return Group(name)
    if not numbers:
        asked.warn(
            subject,
            f"None is approved: what follows is read of {len(waiting[-_HINTS:])} that wait for it.",
            "Approve one before the first share.",
        )
    wanted = set(listed) if listed is not None else set(numbers or waiting[-_HINTS:])
    versions = _describe(asked, side, [arn for arn in reversed(arns) if version_of(arn) in wanted])
    if not versions:
        if listed is not None:
            asked.warn(
                subject,
                f"None of those that the config lists ({', '.join(map(str, listed))}) could be read. {unknown}",
            )
        return Group(name, numbers, waiting)
    holdings, bucket = _holdings(asked, side, name, versions)
    newest = versions[-1]
    return Group(
        name=name,
        approved=numbers,
        waiting=waiting,
        versions=versions,
        holdings=holdings,
        bucket=bucket,
        instance_types=_supported(asked, name, versions),
        content_types=newest.content_types,
        has_samples=_has_samples(asked, side, newest),
    )


def _describe(asked: Asked, side: Side, arns: Sequence[str]) -> tuple[ModelVersion, ...]:
    sagemaker = side.client("sagemaker")

    def described(arn: str) -> ModelVersion | None:
        subject = f"version {version_of(arn)}"
        try:
            return asked.read(
                side, subject, "What it is made of is not known.", lambda: describe_version(sagemaker, arn)
            )
        except Failed as failed:
            asked.warn(subject, f"It is left out: {failed}")
            return None

    read = parallel.run_all([partial(described, arn) for arn in arns])
    return tuple(version for version in read if version is not None and version.specified)


def _has_samples(asked: Asked, side: Side, version: ModelVersion) -> bool | None:
    """Whether a version was registered with questions and answers of ours; None where that could not be read."""
    if version.sample_payload_url is None:
        return False
    try:
        bucket, key = parse_s3(version.sample_payload_url)
    except Failed:
        return False
    matters = f"Whether version {version.version} can be asked anything is not known."

    def read() -> bool:
        try:
            body = side.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
        except ClientError as error:
            if error.response["Error"]["Code"] not in _NOT_THERE:
                raise
            return False
        try:
            return bool(parse_samples(body.read(MOST_OF_AN_ARCHIVE + 1))[0])
        except UNREADABLE:
            return False

    return asked.read(side, version.sample_payload_url, matters, read)


def _supported(asked: Asked, name: str, versions: Sequence[ModelVersion]) -> tuple[str, ...]:
    """The instance types that every version supports; one that names none supports all."""
    naming = [version.instance_types for version in versions if version.instance_types]
    if not naming:
        return ()
    shared = tuple(each for each in naming[-1] if all(each in types for types in naming))
    if not shared:
        asked.warn(
            f"versions of {name}", "They support no instance type in common.", "Choose one in the config."
        )
    return shared


def _holdings(
    asked: Asked, side: Side, name: str, versions: Sequence[ModelVersion]
) -> tuple[Holdings | None, str]:
    """What the stacks must name; None where that is not one bucket, one repository and one key at most."""
    containers = [container for version in versions for container in version.containers]
    own, of_aws = _repositories(asked, side, [container.image for container in containers])
    artifacts = list(dict.fromkeys(each for container in containers for each in container.artifacts))
    for fault in dict.fromkeys(each.fault for each in artifacts if each.fault):
        asked.warn(f"artifacts of {name}", fault)
    artifacts = [each for each in artifacts if each.bucket]
    buckets = list(dict.fromkeys(each.bucket for each in reversed(artifacts)))
    keys = _keys(asked, side, artifacts)
    newest = buckets[0] if buckets else ""
    one = True
    for what, found in (("buckets", buckets), ("repositories", own), ("KMS keys", keys or ())):
        if len(found) > 1:
            one = False
            asked.warn(
                f"versions of {name}",
                f"They have {len(found)} {what} ({', '.join(found)}), and a stack opens one: the parameters of the stacks cannot be told.",
                "List versions of one of them in the config (versions: [3, 4]) and run this again; or write the roles yourself.",
            )
    if not buckets or keys is None or not one:
        return None, newest
    if len(versions) == 1:
        folder = _around(common_folder(each.key for each in artifacts))
    else:
        folder = common_folder(each.key for each in artifacts)
    _tell_folder(asked, newest, folder, len(versions))
    return (
        Holdings(newest, own[0] if own else "", folder, keys[0] if keys else "", aws_repositories=of_aws),
        newest,
    )


def _around(folder: str) -> str:
    """The folder around that of the only version: the next version's lies beside it."""
    return "".join(f"{part}/" for part in folder.split("/")[:-2]) or folder


def _tell_folder(asked: Asked, bucket: str, folder: str, count: int) -> None:
    if not folder:
        asked.note(
            f"s3://{bucket}",
            "The versions' artifacts lie in no common folder: the consumers' roles may read the whole bucket, as far as its policy lets them.",
            "Put the next versions below one folder, or set ArtifactPrefix yourself.",
        )
    elif count == 1:
        asked.note(
            f"s3://{bucket}/{folder}",
            "There is one version to go by: that the next lie in this folder too cannot be told.",
            "Correct ArtifactPrefix in the consumers' parameters if they lie elsewhere.",
        )


def _repositories(asked: Asked, side: Side, images: Iterable[str]) -> tuple[list[str], tuple[str, ...]]:
    """The producer's repositories, the newest version's first, and the ARNs of AWS's own."""
    own: list[str] = []
    of_aws: list[str] = []
    partition = partitions()[side.region]
    for uri in dict.fromkeys(reversed(list(images))):
        try:
            image = parse_image(uri)
        except Failed as failed:
            asked.warn(f"image {uri}", str(failed))
            continue
        if image.registry == side.account:
            own.append(image.repository)
        elif image.registry in aws_registries():
            of_aws.append(
                f"arn:{partition}:ecr:{image.region}:{image.registry}:repository/{image.repository}"
            )
        else:
            asked.warn(
                f"image {uri}",
                f"It lies in account {image.registry}, which is neither the producer's nor AWS's: no stack opens it, and a share refuses it.",
                f"Copy it into a repository of {side.account}, and register the next version with that.",
            )
    return list(dict.fromkeys(own)), tuple(dict.fromkeys(of_aws))


def _keys(asked: Asked, side: Side, artifacts: Sequence[Artifact]) -> list[str] | None:
    """The ARNs of the customer keys that artifacts are encrypted under; None where that could not be read."""
    heads = parallel.run_all([partial(_head, asked, side, artifact) for artifact in artifacts])
    if any(head is None for head in heads):
        return None
    found = dict.fromkeys(filter(None, (kms_key(head) for head in heads if head)))
    return list(dict.fromkeys(filter(None, (_customer_key(asked, side, key) for key in found))))


def _head(asked: Asked, side: Side, artifact: Artifact) -> Any | None:
    """What S3 says of an artifact, or of the first object under a prefix; empty for one that is not there, None where it was refused."""
    s3, place = side.client("s3"), Place(artifact.bucket, artifact.key)
    matters = "Which key it is encrypted under is not known, nor therefore what the stacks must open."

    def head() -> Any:
        key = artifact.key
        try:
            if artifact.is_prefix:
                listed = s3.list_objects_v2(Bucket=artifact.bucket, Prefix=key, MaxKeys=1)
                key = next((each["Key"] for each in listed.get("Contents", ())), key)
            return s3.head_object(Bucket=artifact.bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _NOT_THERE:
                raise
            asked.warn(str(place), "It is not there.", "Restore it, or reject the version in the registry.")
            return {}

    return asked.read(side, str(place), matters, head)


def _customer_key(asked: Asked, side: Side, key: str) -> str | None:
    """A key's ARN; None for one that AWS manages, which no other account can ever use, and for one that is gone."""

    def describe() -> Any:
        try:
            return side.client("kms").describe_key(KeyId=key)["KeyMetadata"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "NotFoundException":
                raise
            return {}

    described = asked.read(side, f"key {key}", "Whether it is a key of yours is taken for granted.", describe)
    if described is None:
        return key
    if not described:
        asked.warn(f"key {key}", "It does not exist: nobody can read what is encrypted under it.")
        return None
    if described.get("KeyManager") == "AWS":
        asked.warn(
            f"key {described['Arn']}",
            "AWS manages it for S3, and no other account can ever use it: what is encrypted under it cannot be shared.",
            f"Copy the artifacts onto themselves under a key of {side.account}, or under none: aws s3 cp LOCATION LOCATION --sse aws:kms "
            "--sse-kms-key-id ARN.",
        )
        return None
    return str(described["Arn"])


def default_key(asked: Asked, side: Side, bucket: str) -> str:
    """The ARN of the key of yours that a bucket encrypts new objects under; empty for none, and where that could not be read."""

    def read() -> Any:
        try:
            answer = side.client("s3").get_bucket_encryption(Bucket=bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] in (*_NOT_CONFIGURED, "NoSuchBucket"):
                return {}
            raise
        return answer["ServerSideEncryptionConfiguration"]["Rules"][0].get(
            "ApplyServerSideEncryptionByDefault", {}
        )

    rule = asked.read(
        side, f"default encryption of s3://{bucket}", "Under which key Releases will lie is not known.", read
    )
    if not rule or not str(rule.get("SSEAlgorithm", "")).startswith("aws:kms"):
        return ""
    return _customer_key(asked, side, rule.get("KMSMasterKeyID") or "alias/aws/s3") or ""
