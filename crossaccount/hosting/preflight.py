"""The checks before a deployment: the version is in the registry, approved, and as its Release says.

Every check is a read in the consumer's deployer role. Not here: the deployment (``creation``), and why a read was refused
(``refusals``, ``diagnosis``).

Source: DescribeModelPackage in the SageMaker API reference; GetObject and HeadObject in the S3 API reference.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from botocore.exceptions import ClientError

from crossaccount import doors
from crossaccount.arns import group_arn, package_arn, parse_s3, version_of
from crossaccount.aws import diagnosis
from crossaccount.aws.access import Target
from crossaccount.aws.refusals import classify
from crossaccount.config.model import Sharing
from crossaccount.errors import DoorName, Failed, InputError, Obstacle, Refused
from crossaccount.registry.storage import (
    Place,
    check_prefix,
    check_readable,
    difference,
    stored,
    with_checksum,
)
from crossaccount.registry.versions import ModelVersion, check_deployable, describe_version, list_versions
from crossaccount.release import store
from crossaccount.release.manifest import Release


def check_shared(config: Sharing, version: int) -> None:
    """See that the config shares a version.

    Raises:
        InputError: when it does not.
    """
    if config.versions != "approved" and version not in config.versions:
        shared = ", ".join(str(number) for number in sorted(config.versions))
        raise InputError(
            f"The config does not share version {version}: versions has {shared}. Choose one of these."
        )


def find_version(target: Target, version: int | None) -> ModelVersion:
    """The version to deploy, as the registry shows it to the consumer; the newest approved one when it is left out.

    Raises:
        InputError: for a version that the config does not share.
        Failed: when there is none, or it cannot be deployed.
        Refused: when the registry refuses.
    """
    config = target.config
    if version is not None:
        check_shared(config, version)
    resource = package_arn(config, version or "*")
    with target.explained("sagemaker:DescribeModelPackage", resource, DoorName.REGISTRY):
        target.sagemaker.describe_model_package_group(ModelPackageGroupName=group_arn(config))
        if version is None:
            return _newest(target)
        try:
            described = describe_version(target.sagemaker, package_arn(config, version))
        except ClientError as error:
            if error.response["Error"]["Message"].endswith("does not exist."):
                raise Failed(
                    f"{config.model_package_group} has no version {version}. Choose one that its owner has registered."
                ) from None
            raise
    check_deployable(described)
    return described


def newest_published(target: Target) -> int | None:
    """The newest version that is shared, is Approved and has a Release; None when there is none.

    Raises:
        Refused: when AWS refuses.
    """
    with target.explained("s3:ListBucket", target.config.producer.releases_bucket, DoorName.BUCKET):
        has_release = store.list_published(target)
        versions = (version_of(arn) for arn in _approved(target))
        return next((version for version in versions if version in has_release), None)


def _approved(target: Target) -> list[str]:
    """The ARNs of the versions that are shared and Approved, newest first."""
    approved = list_versions(target.sagemaker, group_arn(target.config), "Approved")
    if target.config.versions == "approved":
        return approved
    shared = set(target.config.versions)
    return [arn for arn in approved if version_of(arn) in shared]


def _newest(target: Target) -> ModelVersion:
    """The newest version that is shared and can be deployed.

    Raises:
        Failed: when there is none, with what keeps the newest one from it.
    """
    reasons: list[Failed] = []
    for arn in _approved(target):
        try:
            described = describe_version(target.sagemaker, arn)
            check_deployable(described)
        except Failed as failed:
            reasons.append(failed)
            continue
        return described
    if reasons:
        raise reasons[0]
    raise Failed(
        f"{target.config.model_package_group} has no shared version that is Approved. Its owner approves one."
    )


def read_release(target: Target, version: ModelVersion) -> Release:
    """The version's Release, once it is seen to agree with the registry.

    Raises:
        Failed: when none was published, or it names other images or artifacts than the registry.
        Refused: when S3 refuses.
    """
    config = target.config
    key = store.release_key(config, version.version)
    resource = f"arn:{config.partition}:s3:::{config.producer.releases_bucket}/{key}"
    with target.explained("s3:GetObject", resource, DoorName.BUCKET):
        published = store.find(target, version.version)
    if published is None:
        raise Failed(
            f"Version {version.version} of {config.model_package_group} has no Release at {config.producer.releases}. Account "
            f"{config.producer.account} publishes it: crossaccount share CONFIG."
        )
    registered, released = (
        [
            (container.image, [artifact.uri for artifact in container.artifacts])
            for container in source.deployed_containers
        ]
        for source in (version, published)
    )
    if registered != released:
        raise Failed(
            f"The registry and the Release of version {version.version} name different images or artifacts: the version was changed after it "
            "was shared. Ask its owner to register a new one."
        )
    for container, other in zip(version.deployed_containers, published.deployed_containers, strict=True):
        if container.image_digest and container.image_digest != other.image_digest:
            raise Failed(
                f"The registry pins {container.image} to {container.image_digest}, the Release to {other.image_digest}. Version {version.version} is "
                "not deployed. Ask its owner to register a new one."
            )
    return published


def check_artifacts(target: Target, release: Release) -> int:
    """See that every artifact exists and is still the one that was shared; the number of artifacts.

    Raises:
        Obstacle: for one that is missing, archived or was replaced.
        Refused: when S3, or KMS behind it, refuses.
    """
    client, owner = target.s3, target.config.producer.account
    artifacts = [artifact for container in release.deployed_containers for artifact in container.artifacts]
    where = "/".join(parse_s3(artifacts[0].uri)) if artifacts else ""
    resource = f"arn:{target.config.partition}:s3:::{where}"
    with target.explained("s3:GetObject", resource, DoorName.BUCKET):
        for artifact in artifacts:
            bucket, key = parse_s3(artifact.uri)
            place = Place(bucket, key)
            if artifact.etag is None:
                _check_prefix(target, place)
                continue
            try:
                head = client.head_object(Bucket=bucket, Key=key, ExpectedBucketOwner=owner)
            except ClientError as error:
                if error.response["Error"]["Code"] == "404":
                    raise Obstacle(
                        artifact.uri,
                        "The artifact is missing.",
                        f"Account {owner} restores it, or shares another version.",
                    ) from None
                # A HEAD answer has no body, so it gives no reason: the same object read from its first byte does.
                client.get_object(Bucket=bucket, Key=key, Range="bytes=0-0", ExpectedBucketOwner=owner)
                raise
            check_readable(place, head)
            if stored(head).etag != artifact.etag:
                now = with_checksum(client, place, owner, head)
                found = difference(artifact.etag, now, was_plain=not release.contents.keys)
                raise Obstacle(
                    artifact.uri,
                    f"The artifact {found.verb} after it was shared: {found.detail} Version {release.version} is not deployed.",
                    "Ask its owner to register a new one.",
                )
    return len(artifacts)


def _check_prefix(target: Target, place: Place) -> None:
    """See that the objects under a prefix can be read, as far as the deployer may list them: CreateModel reads as another role."""
    try:
        check_prefix(target.s3, place, target.config.producer.account)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("AccessDenied", "403"):
            raise


@contextmanager
def explained_creation(target: Target, release: Release) -> Iterator[None]:
    """As `Target.explained`, for CreateModel: SageMaker makes its own checks with the execution role, whose policies are asked about.

    By then the deployer has read every artifact, which rules out causes that the text of the error leaves open.
    """
    action, resource, role = (
        "sagemaker:CreateModel",
        release.model_package_arn,
        target.consumer.execution_role,
    )
    with target.explained(action, resource, DoorName.REGISTRY):
        try:
            yield
        except ClientError as error:
            # SageMaker's own checks are made as the execution role; a refusal of the call itself is the deployer's.
            attempt = replace(target.attempt(DoorName.REGISTRY, action, resource), caller=role)
            refused = classify(error, attempt)
            if not isinstance(refused, Refused) or refused.refusal.aws_code != "ValidationException":
                raise
            could_not_read = refused.refusal.aws_message.startswith("Could not access model data")
            ruled_out = _READ_BEFORE if could_not_read else ()
            needed = doors.execution_needs(target.config, release.contents)
            raise diagnosis.narrow_execution_role(refused, target.session, role, needed, ruled_out) from None


_READ_BEFORE = (
    "a missing artifact: the deployer has just read it",
    "the bucket's policy and the key's policy: they let this account in",
    "another region: the bucket answered in this one",
)
