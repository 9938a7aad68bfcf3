"""Before anything is made in the target account: is this version there, approved, and what its Release says it is?

Every check is a read in the consumer's deployer role. Not here: what is made (``serving``), and why a read was refused
(``refusals``, ``diagnosis``).

Source: DescribeModelPackage in the SageMaker API reference; GetObject and HeadObject in the S3 API reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount import diagnosis, doors, packages, release
from crossaccount.arns import group_arn, package_arn, parse_s3, version_of
from crossaccount.aws.refusals import Attempt, classify, unreachable
from crossaccount.errors import DoorName, Failed, InputError, Refused

if TYPE_CHECKING:
    import boto3

    from crossaccount.config.model import ConsumerConfig, Sharing
    from crossaccount.packages import ModelVersion
    from crossaccount.release import Release


def find_version(session: boto3.Session, sharing: Sharing, version: int | None) -> ModelVersion:
    """The version to deploy, as the registry shows it to the consumer: the one asked for, or the newest approved one.

    Raises:
        InputError: for a version that the config does not share.
        Failed: when there is none, or it cannot be deployed.
        ClientError: when the registry refuses.
    """
    if version is not None and sharing.versions != "approved" and version not in sharing.versions:
        shared = ", ".join(str(number) for number in sorted(sharing.versions))
        raise InputError(
            f"The config does not share version {version}: versions has {shared}. Choose one of these."
        )
    client = session.client("sagemaker")
    client.describe_model_package_group(ModelPackageGroupName=group_arn(sharing))
    arn = package_arn(sharing, version) if version else _newest(session, sharing)
    try:
        found = packages.describe_version(client, arn)
    except ClientError as error:
        if error.response["Error"]["Message"].endswith("does not exist."):
            raise Failed(
                f"{sharing.model_package_group} has no version {version}. Choose one that its owner has registered."
            ) from None
        raise
    packages.check_deployable(found)
    return found


def newest_published(session: boto3.Session, sharing: Sharing) -> int | None:
    """The newest version that is shared, Approved and has a Release; None when there is none.

    Raises:
        ClientError: when AWS refuses.
    """
    has_release = release.published(session.client("s3"), sharing)
    versions = (version_of(arn) for arn in _approved(session, sharing))
    return next((version for version in versions if version in has_release), None)


def _approved(session: boto3.Session, sharing: Sharing) -> list[str]:
    """The ARNs of the versions that are shared and Approved, newest first."""
    found = packages.list_versions(session.client("sagemaker"), group_arn(sharing), "Approved")
    if sharing.versions == "approved":
        return found
    shared = {package_arn(sharing, number) for number in sharing.versions}
    return [arn for arn in found if arn in shared]


def _newest(session: boto3.Session, sharing: Sharing) -> str:
    found = _approved(session, sharing)
    if not found:
        raise Failed(
            f"{sharing.model_package_group} has no shared version that is Approved. Its owner approves one."
        )
    return found[0]


def read_release(session: boto3.Session, sharing: Sharing, version: ModelVersion) -> Release:
    """The version's Release, once it agrees with what the registry says now.

    Raises:
        Failed: when none was published, or it names other images or artifacts than the registry.
        ClientError: when S3 refuses.
    """
    found = release.find(session.client("s3"), sharing, version.version)
    if found is None:
        raise Failed(
            f"Version {version.version} of {sharing.model_package_group} has no Release at {sharing.producer.releases}. Account "
            f"{sharing.producer.account} publishes it: crossaccount share CONFIG."
        )
    registered = [
        (one.specification, one.image, [a.uri for a in one.artifacts]) for one in version.containers
    ]
    released = [(one.specification, one.image, [a.uri for a in one.artifacts]) for one in found.containers]
    if registered != released:
        raise Failed(
            f"The registry and the Release of version {version.version} name different images or artifacts: the version was changed after it "
            "was shared. Ask its owner to register a new one."
        )
    for one, other in zip(version.containers, found.containers, strict=True):
        if one.image_digest and one.image_digest != other.image_digest:
            raise Failed(
                f"The registry pins {one.image} to {one.image_digest}, the Release to {other.image_digest}. It is not deployed."
            )
    return found


def check_artifacts(session: boto3.Session, sharing: Sharing, found: Release) -> int:
    """See that every artifact is there and is still the one that was shared; how many were looked at.

    Raises:
        Failed: for one that is missing or was replaced.
        ClientError: when S3, or KMS behind it, refuses.
    """
    client = session.client("s3")
    owner = sharing.producer.account
    artifacts = [artifact for container in found.deployed_containers for artifact in container.artifacts]
    for artifact in artifacts:
        if artifact.etag is None:
            continue
        bucket, key = parse_s3(artifact.uri)
        try:
            etag = client.head_object(Bucket=bucket, Key=key, ExpectedBucketOwner=owner)["ETag"].strip('"')
        except ClientError as error:
            if error.response["Error"]["Code"] == "404":
                raise Failed(
                    f"The artifact {artifact.uri} is missing. Account {owner} restores it, or shares another version."
                ) from None
            # A HEAD answer has no body, so it gives no reason: the same object read from its first byte does.
            client.get_object(Bucket=bucket, Key=key, Range="bytes=0-0", ExpectedBucketOwner=owner)
            raise
        if etag != artifact.etag:
            raise Failed(
                f"The artifact {artifact.uri} was replaced after it was shared: its ETag is {etag}, the Release says {artifact.etag}. It is not "
                "deployed. Its owner registers a new version instead."
            )
    return len(artifacts)


@contextmanager
def explained(
    session: boto3.Session,
    sharing: Sharing,
    name: str,
    consumer: ConsumerConfig,
    door: DoorName,
    asked: tuple[str, str],
) -> Iterator[None]:
    """AWS's errors within this, as the product says them, with the consumer's own policies asked about.

    Args:
        session: in the deployer role, for the questions.
        sharing: the config.
        name: the consumer's name in it.
        consumer: the consumer.
        door: the producer's door that is being passed.
        asked: the action and the resource that AWS is asked about, where its error names none: S3 gives no reason to
            another organization.

    Raises:
        Refused: for an access-denied error, narrowed down.
        Failed: for any other.
    """
    try:
        yield
    except ClientError as error:
        found = classify(error, _attempt(sharing, name, consumer, door, asked))
        raise (
            diagnosis.narrow(found, session, consumer.role) if isinstance(found, Refused) else found
        ) from None
    except BotoCoreError as error:
        raise unreachable(error, f"consumers.{name}") from None


@contextmanager
def explained_creation(
    session: boto3.Session, sharing: Sharing, name: str, consumer: ConsumerConfig, found: Release
) -> Iterator[None]:
    """As `explained`, for CreateModel: SageMaker's own checks are made with the execution role, and asked about there.

    By then the deployer has read every artifact, which rules out causes that the text of the error leaves open.
    """
    asked = ("sagemaker:CreateModel", found.model_package_arn)
    with explained(session, sharing, name, consumer, DoorName.REGISTRY, asked):
        try:
            yield
        except ClientError as error:
            # SageMaker's own checks are made as the execution role; a refusal of the call itself is the deployer's.
            attempt = _attempt(sharing, name, consumer, DoorName.REGISTRY, asked)
            attempt = replace(attempt, caller=consumer.execution_role)
            refused = classify(error, attempt)
            if not isinstance(refused, Refused) or refused.refusal.aws_code != "ValidationException":
                raise
            could_not_read = refused.refusal.aws_message.startswith("Could not access model data")
            ruled_out = _READ_BEFORE if could_not_read else ()
            needed = doors.execution_needs(sharing, found.contents)
            raise diagnosis.narrow_execution_role(
                refused, session, consumer.execution_role, needed, ruled_out
            ) from None


_READ_BEFORE = (
    "a missing artifact: the deployer has just read it",
    "the bucket's policy and the key's policy: they let this account in",
    "another region: the bucket answered in this one",
)


def _attempt(
    sharing: Sharing, name: str, consumer: ConsumerConfig, door: DoorName, asked: tuple[str, str]
) -> Attempt:
    return Attempt(
        caller=consumer.role,
        account=consumer.account,
        owner=sharing.producer.account,
        door=door,
        action=asked[0],
        resource=asked[1],
        config_key=f"consumers.{name}",
    )


def reading_release(sharing: Sharing, version: int) -> tuple[str, str]:
    """The action and the resource of reading a Release."""
    bucket, key = sharing.producer.releases_bucket, release.release_key(sharing, version)
    return "s3:GetObject", f"arn:{sharing.partition}:s3:::{bucket}/{key}"


def reading_artifacts(sharing: Sharing, found: Release) -> tuple[str, str]:
    """The action and the (first) resource of reading a Release's artifacts."""
    uris = [artifact.uri for container in found.deployed_containers for artifact in container.artifacts]
    where = "/".join(parse_s3(uris[0])) if uris else ""
    return "s3:GetObject", f"arn:{sharing.partition}:s3:::{where}"
