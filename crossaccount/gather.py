"""Reads everything that the producer's half decides about: versions, artifacts, keys, and policies as they stand.

It only reads. What follows from it is decided in ``plan``.

Source: HeadObject in the S3 API reference (an object's KMS key), DescribeKey in the KMS API reference (who manages it).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from crossaccount import packages, plan, sessions
from crossaccount.errors import Door, Failed
from crossaccount.names import parse_image
from crossaccount.plan import Kind, Plan, Resource
from crossaccount.policies import Document
from crossaccount.refusals import Attempt, classify
from crossaccount.resources import ecr, kms, model_package_group, s3

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

    from crossaccount.config import Sharing
    from crossaccount.packages import Artifact, ModelVersion, Needs

_GONE = frozenset({"NoSuchBucket", "RepositoryNotFoundException", "NotFoundException"})
_RETRIES = Config(retries={"mode": "standard", "max_attempts": 8})


@dataclass(frozen=True)
class Clients:
    """The AWS clients that the producer's half uses, all of one session."""

    s3: S3Client
    ecr: ECRClient
    kms: KMSClient
    sagemaker: SageMakerClient

    @classmethod
    def of(cls, session: boto3.Session, region: str) -> Clients:
        """Clients of a session; throttled calls are tried again."""
        more: Any = {"region_name": region, "config": _RETRIES}
        return cls(
            session.client("s3", **more),
            session.client("ecr", **more),
            session.client("kms", **more),
            session.client("sagemaker", **more),
        )


@dataclass(frozen=True)
class Observed:
    """An artifact as S3 has it: its ETag (of a prefix: none), and the KMS key it is encrypted under."""

    etag: str | None
    key: str | None


@dataclass(frozen=True)
class Gathered:
    """What was read. ``existing`` has every policy that a plan is about; None is no policy."""

    versions: tuple[ModelVersion, ...]
    needs: Needs
    observed: dict[str, Observed]
    existing: dict[Resource, Document | None]


def gather(clients: Clients, sharing: Sharing) -> Gathered:
    """Read what a share needs to know.

    Raises:
        Failed: for a version that cannot be shared, with the way out: an artifact that is missing, an image or a key that
            cannot be shared.
    """
    versions = packages.read_versions(clients.sagemaker, sharing)
    needs = packages.needs(sharing, versions)
    observed = _observe(clients, sharing, _artifacts(versions))
    _refuse_replaced(_artifacts(versions), observed)
    return Gathered(versions, needs, observed, _existing(clients, sharing, needs, observed))


def gather_for_revoke(clients: Clients, sharing: Sharing) -> Gathered:
    """Read what a revoke needs to know: whatever any version, approved or not, may have opened.

    An artifact or a repository that is gone is passed over: there is nothing to take back.
    """
    arns = packages.list_versions(clients.sagemaker, sharing.model_package_group)
    versions = tuple(version for arn in arns for version in _shareable(clients, sharing, arn))
    needs = packages.needs(sharing, versions)
    found: dict[str, Observed] = {}
    for artifact in _artifacts(versions):
        try:
            found |= _observe(clients, sharing, [artifact])
        except Failed:
            continue
    existing = _existing(clients, sharing, needs, found, passed_over=_GONE)
    return Gathered(versions, needs, found, existing)


def _shareable(clients: Clients, sharing: Sharing, arn: str) -> tuple[ModelVersion, ...]:
    """The version, or nothing for one that a share would have refused: it opened nothing."""
    try:
        version = packages.describe_version(clients.sagemaker, arn)
        packages.needs(sharing, [version])
    except Failed:
        return ()
    return (version,)


def _refuse_replaced(artifacts: Iterable[Artifact], observed: dict[str, Observed]) -> None:
    for artifact in artifacts:
        there = observed[artifact.uri].etag
        if artifact.etag and there and artifact.etag != there:
            raise Failed(
                f"The artifact {artifact.uri} is not the one that was registered: the registry recorded ETag {artifact.etag}, S3 has "
                f"{there}. Restore it, or register a new version."
            )


def _artifacts(versions: Iterable[ModelVersion]) -> list[Artifact]:
    return list(
        dict.fromkeys(
            a for version in versions for container in version.containers for a in container.artifacts
        )
    )


def _existing(
    clients: Clients,
    sharing: Sharing,
    needs: Needs,
    observed: dict[str, Observed],
    passed_over: frozenset[str] = frozenset(),
) -> dict[Resource, Document | None]:
    keys = {found.key for found in observed.values() if found.key}
    existing: dict[Resource, Document | None] = {}
    for resource in plan.resources(sharing, needs, keys):
        try:
            existing[resource] = read_policy(clients, resource)
        except ClientError as error:
            if error.response["Error"]["Code"] not in passed_over:
                raise
    return existing


def read_policy(clients: Clients, resource: Resource) -> Document | None:
    """A resource's policy as it stands now; None when it has none."""
    match resource.kind:
        case Kind.GROUP:
            return model_package_group.read(clients.sagemaker, resource.name, resource.account)
        case Kind.REPOSITORY:
            return ecr.read(clients.ecr, resource.name, resource.account)
        case Kind.BUCKET:
            return s3.read(clients.s3, resource.name, resource.account)
        case Kind.KEY:
            return kms.read(clients.kms, resource.name, resource.account)


def _observe(clients: Clients, sharing: Sharing, artifacts: Iterable[Artifact]) -> dict[str, Observed]:
    found: dict[str, Observed] = {}
    checked: set[str] = set()
    for artifact in artifacts:
        observed = observe(clients.s3, artifact, sharing.producer.account)
        if observed.key and observed.key not in checked:
            _refuse_managed_key(clients.kms, observed.key, artifact)
            checked.add(observed.key)
        found[artifact.uri] = observed
    return found


def observe(client: S3Client, artifact: Artifact, owner: str) -> Observed:
    """Look at an artifact in S3; of a prefix, at its first object.

    Raises:
        Failed: when there is nothing, naming it.
    """
    key = artifact.key
    if artifact.is_prefix:
        try:
            listed = client.list_objects_v2(
                Bucket=artifact.bucket, Prefix=key, ExpectedBucketOwner=owner, MaxKeys=10
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchBucket":
                raise Failed(
                    f"The bucket of {artifact.uri} is gone. Restore it, or register the version anew."
                ) from None
            raise
        keys = [entry["Key"] for entry in listed.get("Contents", []) if not entry["Key"].endswith("/")]
        if not keys:
            raise Failed(f"There is nothing under {artifact.uri}. Restore it, or register the version anew.")
        key = keys[0]
    try:
        head = client.head_object(Bucket=artifact.bucket, Key=key, ExpectedBucketOwner=owner)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
            raise Failed(
                f"The artifact {artifact.uri} is missing. Restore it, or register the version anew."
            ) from None
        # A HEAD answer has no body, so it gives no reason: the same object read from its first byte does.
        client.get_object(Bucket=artifact.bucket, Key=key, Range="bytes=0-0", ExpectedBucketOwner=owner)
        raise
    kms_key = (
        head.get("SSEKMSKeyId") if str(head.get("ServerSideEncryption", "")).startswith("aws:kms") else None
    )
    return Observed(None if artifact.is_prefix else head["ETag"].strip('"'), kms_key)


def _refuse_managed_key(client: KMSClient, key: str, artifact: Artifact) -> None:
    if client.describe_key(KeyId=key)["KeyMetadata"].get("KeyManager") == "AWS":
        raise Failed(
            f"{artifact.uri} is encrypted under the key that AWS manages for S3, which no other account can ever use. Encrypt it under a "
            f"key of your own: aws s3 cp {artifact.uri} {artifact.uri} --sse aws:kms --sse-kms-key-id KEY_ARN"
        )


def resolve_digest(clients: Clients, sharing: Sharing, image: str) -> str | None:
    """The digest that an image of the producer's registry has now; None for images of AWS's registries.

    Raises:
        Failed: when there is no such image.
    """
    parsed = parse_image(image)
    if parsed.registry != sharing.producer.account:
        return None
    wanted: Any = {"imageDigest" if parsed.reference.startswith("sha256:") else "imageTag": parsed.reference}
    found = clients.ecr.batch_get_image(
        registryId=parsed.registry, repositoryName=parsed.repository, imageIds=[wanted]
    )
    if not found["images"]:
        raise Failed(
            f"The image {image} is not in its repository. Push it, or register the version with another."
        )
    return found["images"][0]["imageId"]["imageDigest"]


@contextmanager
def explained(sharing: Sharing) -> Iterator[None]:
    """AWS's errors within this, as the product says them: the producer is refused by its own policies.

    Raises:
        Refused: for an access-denied error.
        Failed: for any other.
    """
    producer = sharing.producer
    caller = producer.role or (
        f"profile {producer.profile}" if producer.profile else "the ambient credentials"
    )
    attempt = Attempt(
        caller,
        producer.account,
        producer.account,
        Door.CALLER_POLICY,
        "an AWS call",
        sharing.model_package_group,
        "producer",
    )
    try:
        yield
    except ClientError as error:
        raise classify(error, attempt) from None
    except BotoCoreError as error:
        raise sessions.unreachable(error, "producer") from None


def share_plan(sharing: Sharing) -> Plan:
    """Read, then plan a share; raises as `gather` and `plan.share_plan` do, and `Refused` when AWS refuses to be read."""
    with explained(sharing):
        found = gather(Clients.of(sessions.producer_session(sharing), sharing.region), sharing)
    return plan.share_plan(sharing, found.needs, found.existing)


def revoke_plan(sharing: Sharing, consumer: str) -> Plan:
    """Read, then plan to take back what a consumer was given; raises as `share_plan` does."""
    with explained(sharing):
        found = gather_for_revoke(Clients.of(sessions.producer_session(sharing), sharing.region), sharing)
    return plan.revoke_plan(sharing, found.needs, found.existing, consumer)
