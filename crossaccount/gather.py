"""Reads everything that the producer's half decides about: versions, artifacts, keys, and policies as they stand.

It only reads, and goes on past what stands in the way, so that everything that does is said at once. What follows from
it is decided in ``plan``.

Source: HeadObject (an object's KMS key), HeadBucket (a bucket's region), GetBucketOwnershipControls, GetPublicAccessBlock
in the S3 API reference; DescribeKey in the KMS API reference (who manages a key, and whether it can be used).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount import packages, parallel, plan, policies
from crossaccount.arns import parse_image
from crossaccount.aws import sessions
from crossaccount.aws.refusals import Attempt, classify, unreachable
from crossaccount.errors import CrossAccountError, Door, Failed, Finding, Obstacle, PlanRefused, Severity
from crossaccount.packages import Needs
from crossaccount.plan import Kind, Plan, Resource
from crossaccount.policies import Document
from crossaccount.resources import ecr, kms, model_package_group, s3

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3control import S3ControlClient
    from mypy_boto3_sagemaker import SageMakerClient

    from crossaccount.config.model import Sharing
    from crossaccount.packages import Artifact, ModelVersion


# S3 may show a role by its id for a moment after a put; one that stays is a role that is gone.
_SHOWN_AGAIN_SECONDS = 2.0


@dataclass(frozen=True)
class Clients:
    """The AWS clients that the producer's half uses, all of one session."""

    s3: S3Client
    s3control: S3ControlClient
    ecr: ECRClient
    kms: KMSClient
    sagemaker: SageMakerClient

    @classmethod
    def of(cls, session: boto3.Session, region: str) -> Clients:
        """Clients of a session."""
        return cls(
            session.client("s3", region),
            session.client("s3control", region),
            session.client("ecr", region),
            session.client("kms", region),
            session.client("sagemaker", region),
        )


@dataclass(frozen=True)
class Observed:
    """An artifact as S3 has it: its ETag (of a prefix: none), and the KMS key it is encrypted under."""

    etag: str | None
    key: str | None


@dataclass(frozen=True)
class Gathered:
    """What was read.

    ``digests`` has the digest of each image of the producer's registry; ``existing`` every policy that a plan is about, None
    for no policy; ``findings`` what stands in the way, or should be known; ``now`` is when it was read.
    """

    versions: tuple[ModelVersion, ...]
    needs: Needs
    observed: dict[str, Observed]
    digests: dict[str, str | None]
    existing: dict[Resource, Document | None]
    findings: tuple[Finding, ...]
    now: datetime


def gather(clients: Clients, sharing: Sharing) -> Gathered:
    """Read what a share needs to know.

    Raises:
        Failed: when there is no version to share, or one of the config's cannot be deployed.
        ClientError: when AWS refuses to be read.
    """
    findings: list[Finding] = []
    with _noting(findings, f"model-package-group {sharing.model_package_group}"):
        versions = packages.read_versions(clients.sagemaker, sharing)
    if findings:  # without versions there is nothing more to look at
        raise PlanRefused(tuple(findings))
    sound = [version for version in versions if _is_sound(sharing, version, findings)]
    artifacts, needs = artifacts_of(sound), packages.needs(sharing, sound)
    buckets = sorted({artifact.bucket for artifact in artifacts} | {sharing.producer.releases_bucket})
    of_images, of_policies = list[Finding](), list[Finding]()
    checked, digests = parallel.run_both(
        lambda: parallel.run_all(
            [partial(_check_bucket, clients, sharing, artifacts, one) for one in buckets]
        ),
        lambda: _resolve(clients, sharing, sound, of_images),
    )
    reachable = {name for name, (is_reachable, _) in zip(buckets, checked, strict=True) if is_reachable}
    findings += [finding for _, found in checked for finding in found]
    inside = [artifact for artifact in artifacts if artifact.bucket in reachable]
    observed, existing = parallel.run_both(
        lambda: _observe(clients, sharing, inside, findings),
        lambda: _existing(clients, plan.resources(sharing, needs), reachable, of_policies),
    )
    needs = with_keys(needs, [one.key for one in observed.values()])
    resources = plan.resources(sharing, needs)
    keys = [one for one in resources if one.kind is Kind.KEY and one not in existing]
    existing |= _existing(clients, keys, reachable, of_policies)
    existing = {one: existing[one] for one in resources if one in existing}
    for bucket in sorted(reachable):
        _check_public(clients, sharing, bucket, existing, of_policies)
    each_once = tuple(dict.fromkeys([*findings, *of_images, *of_policies]))
    return Gathered(versions, needs, observed, digests, existing, each_once, datetime.now(UTC))


def gather_for_revoke(clients: Clients, sharing: Sharing) -> Gathered:
    """Read what a revoke needs to know: whatever any version, approved or not, there now or once, may have opened.

    An artifact, a bucket or a repository that is gone is passed over: there is nothing to take back.
    """
    from crossaccount import release  # no plan needs its models

    arns = packages.list_versions(clients.sagemaker, sharing.model_package_group)
    described = parallel.run_all([partial(_shareable, clients, sharing, arn) for arn in arns])
    versions = tuple(version for found in described for version in found)
    passed: list[Finding] = []
    observed = _observe(clients, sharing, artifacts_of(versions), passed)
    needs = with_keys(packages.needs(sharing, versions), [one.key for one in observed.values()])
    known = [one.version for one in versions if all(a.uri in observed for a in artifacts_of([one]))]
    unread: list[Finding] = []
    with _noting(unread, f"Releases at {sharing.producer.releases}"):
        needs = _with(needs, release.opened(clients, sharing, known))
    doubts = tuple(replace(finding, severity=Severity.WARNING) for finding in unread)
    existing = _existing(clients, plan.resources(sharing, needs), set(needs.buckets), passed)
    return Gathered(versions, needs, observed, {}, existing, doubts, datetime.now(UTC))


def _with(needs: Needs, grants: Iterable[Resource]) -> Needs:
    """The needs, and further resources that nothing is known to need any more."""
    known = list(grants)
    buckets = {one.name: () for one in known if one.kind is Kind.BUCKET} | dict(needs.buckets)
    repositories = {one.name for one in known if one.kind is Kind.REPOSITORY} | set(needs.repositories)
    keys = {one.name for one in known if one.kind is Kind.KEY} | set(needs.keys)
    return Needs(buckets, tuple(sorted(repositories)), tuple(sorted(keys)))


@contextmanager
def _noting(findings: list[Finding], subject: str) -> Iterator[None]:
    """What stands in the way within this becomes a finding, and the reading goes on."""
    try:
        yield
    except Obstacle as obstacle:
        findings.append(obstacle.finding)
    except Failed as failed:
        findings.append(Finding(Severity.ERROR, subject, str(failed)))
    except ClientError as error:
        if not _is_missing(error):
            raise
        way_out = "Create or restore it, or correct the config."
        findings.append(Finding(Severity.ERROR, subject, "It does not exist.", way_out))


_Answer = TypeVar("_Answer")


def _answers(
    findings: list[Finding], questions: Sequence[tuple[str, Callable[[], _Answer]]]
) -> list[tuple[_Answer] | None]:
    """Ask at once, each about its subject; None where something stands in the way, which becomes a finding."""

    def ask(subject: str, question: Callable[[], _Answer]) -> tuple[tuple[_Answer] | None, list[Finding]]:
        found: list[Finding] = []
        with _noting(found, subject):
            return (question(),), found
        return None, found

    answers = parallel.run_all([partial(ask, *one) for one in questions])
    findings += [finding for _, found in answers for finding in found]
    return [answer for answer, _ in answers]


def _is_missing(error: ClientError) -> bool:
    said = error.response["Error"]
    return said["Code"] in (
        "NoSuchBucket",
        "RepositoryNotFoundException",
        "NotFoundException",
    ) or (
        said["Code"] == "ValidationException"
        and said.get("Message", "").startswith(("Cannot find Model Package Group", "ModelPackageGroup"))
    )


def _is_sound(sharing: Sharing, version: ModelVersion, findings: list[Finding]) -> bool:
    """Whether what the version needs can be granted at all."""
    before = len(findings)
    with _noting(findings, version.arn):
        packages.needs(sharing, [version])
    return len(findings) == before


def with_keys(needs: Needs, keys: Iterable[str | None]) -> Needs:
    """The needs, with the KMS keys of their artifacts."""
    return replace(needs, keys=tuple(sorted({key for key in keys if key})))


def _check_bucket(
    clients: Clients, sharing: Sharing, artifacts: Iterable[Artifact], bucket: str
) -> tuple[bool, list[Finding]]:
    """Whether the bucket is there, the producer's, and in the config's region; and who else owns objects in it."""
    subject, owner = f"bucket {bucket}", sharing.producer.account
    try:
        head = clients.s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=owner)
    except ClientError as error:
        return False, [_bucket_obstacle(clients, bucket, owner, error)]
    region = head.get("BucketRegion", sharing.region)
    if region != sharing.region:
        text = (
            f"It lies in {region}, and SageMaker in {sharing.region} takes models from its own region alone."
        )
        way_out = f"Copy the artifacts into a bucket in {sharing.region}, and register the version anew."
        return False, [Finding(Severity.ERROR, subject, text, way_out)]
    inside = [artifact for artifact in artifacts if artifact.bucket == bucket]
    if not inside or _owns_all(clients, bucket, owner):
        return True, []
    canonical = clients.s3.get_bucket_acl(Bucket=bucket, ExpectedBucketOwner=owner)["Owner"]["ID"]
    found = parallel.run_all([partial(_uploaded_by_other, clients, one, owner, canonical) for one in inside])
    return True, [finding for finding in found if finding is not None]


def _bucket_obstacle(clients: Clients, bucket: str, owner: str, error: ClientError) -> Finding:
    """Why a bucket cannot be looked at: HEAD gives a number and no reason.

    Raises:
        ClientError: when it is the caller who may not look.
    """
    subject = f"bucket {bucket}"
    if error.response["Error"]["Code"] in ("404", "NoSuchBucket"):
        way_out = "Create or restore it, or register the version anew."
        return Finding(Severity.ERROR, subject, "It does not exist.", way_out)
    # The same question without saying whose it must be: an answer means that it is somebody else's.
    try:
        clients.s3.head_bucket(Bucket=bucket)
    except ClientError:
        # It gives its reason only where it has a body.
        clients.s3.list_objects_v2(Bucket=bucket, ExpectedBucketOwner=owner, MaxKeys=1)
        raise error from None
    return Finding(
        Severity.ERROR,
        subject,
        f"It belongs to another account than the producer, {owner}.",
        f"Its owner must share it; or copy the artifacts into a bucket of {owner}, and register the version anew.",
    )


def _owns_all(clients: Clients, bucket: str, owner: str) -> bool:
    """Whether the bucket's owner owns every object in it, whoever uploaded it.

    Source: "Controlling ownership of objects" in the S3 user guide.
    """
    try:
        found = clients.s3.get_bucket_ownership_controls(Bucket=bucket, ExpectedBucketOwner=owner)
    except ClientError as error:
        if error.response["Error"]["Code"] == "OwnershipControlsNotFoundError":
            return False
        raise
    return all(
        rule["ObjectOwnership"] == "BucketOwnerEnforced" for rule in found["OwnershipControls"]["Rules"]
    )


def _uploaded_by_other(clients: Clients, artifact: Artifact, owner: str, canonical: str) -> Finding | None:
    listed = clients.s3.list_objects_v2(
        Bucket=artifact.bucket, Prefix=artifact.key, ExpectedBucketOwner=owner, FetchOwner=True
    )
    for entry in listed.get("Contents", []):
        if (artifact.is_prefix or entry["Key"] == artifact.key) and entry["Owner"]["ID"] != canonical:
            return Finding(
                Severity.ERROR,
                f"s3://{artifact.bucket}/{entry['Key']}",
                "Another account uploaded it and still owns it, so the bucket's policy says nothing about it.",
                f"Set the object ownership of {artifact.bucket} to BucketOwnerEnforced, or copy the object onto itself as its bucket's owner.",
            )
    return None


def _check_public(
    clients: Clients,
    sharing: Sharing,
    bucket: str,
    existing: dict[Resource, Document | None],
    findings: list[Finding],
) -> None:
    """A public statement of others, and what S3 Block Public Access makes of it.

    Source: "Blocking public access to your Amazon S3 storage" in the S3 user guide. The account's setting adds to the bucket's.
    """
    owner = sharing.producer.account
    resource = Resource(Kind.BUCKET, bucket, owner)
    public = [
        str(one.get("Sid", "without a Sid"))
        for one in policies.statements(existing.get(resource))
        if policies.is_public(one)
    ]
    if not public:
        return
    blocks = [_bucket_block(clients, bucket, owner), _account_block(clients, owner)]
    subject, named = f"policy of {resource}", ", ".join(public)
    way_out = f"Remove or narrow the statement {named}."
    if any(block and block.get("RestrictPublicBuckets") for block in blocks):
        text = f"The statement {named} is public, and Block Public Access (RestrictPublicBuckets) then shuts every other account out."
        findings.append(Finding(Severity.ERROR, subject, text, way_out))
    elif any(block and block.get("BlockPublicPolicy") for block in blocks):
        text = f"The statement {named} is public, and Block Public Access (BlockPublicPolicy) then refuses every change of the policy."
        findings.append(Finding(Severity.ERROR, subject, text, way_out))
    else:
        text = f"The statement {named} is public."
        if blocks[1] is None:
            text += " Whether the account blocks public access could not be asked."
        findings.append(Finding(Severity.WARNING, subject, text, way_out))


def _bucket_block(clients: Clients, bucket: str, owner: str) -> Any:
    try:
        found = clients.s3.get_public_access_block(Bucket=bucket, ExpectedBucketOwner=owner)
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchPublicAccessBlockConfiguration":
            return {}
        raise
    return found["PublicAccessBlockConfiguration"]


def _account_block(clients: Clients, owner: str) -> Any:
    """The account's own setting; None when it could not be asked."""
    try:
        return clients.s3control.get_public_access_block(AccountId=owner)["PublicAccessBlockConfiguration"]
    except ClientError as error:
        return {} if error.response["Error"]["Code"] == "NoSuchPublicAccessBlockConfiguration" else None
    except BotoCoreError:
        return None


def _resolve(
    clients: Clients, sharing: Sharing, versions: Iterable[ModelVersion], findings: list[Finding]
) -> dict[str, str | None]:
    containers = (container for version in versions for container in version.containers)
    images = list(dict.fromkeys((one.image, one.image_digest) for one in containers))
    questions = [
        (
            f"repository {parse_image(image).repository}",
            partial(resolve_digest, clients, sharing, image, digest),
        )
        for image, digest in images
    ]
    answers = _answers(findings, questions)
    return {
        image: answer[0] for (image, _), answer in zip(images, answers, strict=True) if answer is not None
    }


def _shareable(clients: Clients, sharing: Sharing, arn: str) -> tuple[ModelVersion, ...]:
    """The version, or nothing for one that a share would have refused: it opened nothing."""
    try:
        version = packages.describe_version(clients.sagemaker, arn)
        packages.needs(sharing, [version])
    except Failed:
        return ()
    return (version,)


def artifacts_of(versions: Iterable[ModelVersion]) -> list[Artifact]:
    """Every artifact of the versions, each once."""
    return list(
        dict.fromkeys(
            a for version in versions for container in version.containers for a in container.artifacts
        )
    )


def _existing(
    clients: Clients, resources: Iterable[Resource], reachable: set[str], findings: list[Finding]
) -> dict[Resource, Document | None]:
    readable = [one for one in resources if one.kind is not Kind.BUCKET or one.name in reachable]
    questions = [(f"{one.kind} {one.name}", partial(_read_twice, clients, one)) for one in readable]
    answers = _answers(findings, questions)
    return {one: answer[0] for one, answer in zip(readable, answers, strict=True) if answer is not None}


def _read_twice(clients: Clients, resource: Resource) -> Document | None:
    """A resource's policy; one that names unique ids is looked at again after a moment."""
    found = read_policy(clients, resource)
    if policies.dead(found):
        time.sleep(_SHOWN_AGAIN_SECONDS)
        return read_policy(clients, resource)
    return found


def read_policy(clients: Clients, resource: Resource) -> Document | None:
    """A resource's policy as it stands now; None when it has none.

    Raises:
        Obstacle: for a policy that is not as AWS writes them: what is not understood is not rewritten.
        ClientError: when AWS refuses.
    """
    try:
        found = _policy(clients, resource)
        return None if found is None else policies.sound(found)
    except (ValueError, RecursionError) as error:
        raise Obstacle(
            f"policy of {resource}",
            f"It cannot be read: {str(error)[:200]}.",
            "Look at it and correct it by hand; it was left as it is.",
        ) from None


def _policy(clients: Clients, resource: Resource) -> Document | None:
    match resource.kind:
        case Kind.GROUP:
            return model_package_group.read(clients.sagemaker, resource.name, resource.account)
        case Kind.REPOSITORY:
            return ecr.read(clients.ecr, resource.name, resource.account)
        case Kind.BUCKET:
            return s3.read(clients.s3, resource.name, resource.account)
        case Kind.KEY:
            return kms.read(clients.kms, resource.name, resource.account)


def _observe(
    clients: Clients, sharing: Sharing, artifacts: Iterable[Artifact], findings: list[Finding]
) -> dict[str, Observed]:
    """What S3 has of each artifact; one that stands in the way is left out."""
    wanted = list(artifacts)
    answers = _answers(
        findings, [(one.uri, partial(_as_registered, clients.s3, sharing, one)) for one in wanted]
    )
    seen = [(one, answer[0]) for one, answer in zip(wanted, answers, strict=True) if answer is not None]
    keys: dict[str, Artifact] = {}
    for artifact, observed in seen:
        if observed.key:
            keys.setdefault(observed.key, artifact)
    usable = _answers(
        findings,
        [(one.uri, partial(_usable_key, clients.kms, sharing, key, one)) for key, one in keys.items()],
    )
    arns = {key: answer[0] for key, answer in zip(keys, usable, strict=True) if answer is not None}
    return {
        artifact.uri: replace(observed, key=arns[observed.key] if observed.key else None)
        for artifact, observed in seen
        if observed.key is None or observed.key in arns
    }


def _as_registered(client: S3Client, sharing: Sharing, artifact: Artifact) -> Observed:
    """What S3 has of an artifact.

    Raises:
        Obstacle: when it is not there, or not the one that was registered.
    """
    observed = observe(client, artifact, sharing.producer.account)
    if artifact.etag and observed.etag and artifact.etag != observed.etag:
        raise Obstacle(
            artifact.uri,
            f"It is not the one that was registered: the registry recorded ETag {artifact.etag}, S3 has {observed.etag}.",
            "Restore it, or register a new version.",
        )
    return observed


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
                raise Obstacle(
                    artifact.uri, "Its bucket is gone.", "Restore it, or register the version anew."
                ) from None
            raise
        keys = [entry["Key"] for entry in listed.get("Contents", []) if not entry["Key"].endswith("/")]
        if not keys:
            raise Obstacle(
                artifact.uri, "There is nothing under it.", "Restore it, or register the version anew."
            )
        key = keys[0]
    try:
        head = client.head_object(Bucket=artifact.bucket, Key=key, ExpectedBucketOwner=owner)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
            raise Obstacle(
                artifact.uri, "The artifact is missing.", "Restore it, or register the version anew."
            ) from None
        # A HEAD answer has no body, so it gives no reason: the same object read from its first byte does.
        try:
            client.get_object(Bucket=artifact.bucket, Key=key, Range="bytes=0-0", ExpectedBucketOwner=owner)
        except ClientError as reason:
            if not reason.response["Error"]["Code"].startswith("KMS."):
                raise
            raise Obstacle(
                artifact.uri,
                f"Its KMS key cannot be used: {reason.response['Error'].get('Message')}",
                "Enable the key (or cancel its deletion), or encrypt the artifact under another.",
            ) from None
        raise
    kms_key = (
        head.get("SSEKMSKeyId") if str(head.get("ServerSideEncryption", "")).startswith("aws:kms") else None
    )
    return Observed(None if artifact.is_prefix else head["ETag"].strip('"'), kms_key)


def _usable_key(client: KMSClient, sharing: Sharing, key: str, artifact: Artifact) -> str:
    """The ARN of the key that an artifact is encrypted under.

    Raises:
        Obstacle: when no other account can use the key, or nobody can.
    """
    found = client.describe_key(KeyId=key)["KeyMetadata"]
    recrypt = f"aws s3 cp {artifact.uri} {artifact.uri} --sse aws:kms --sse-kms-key-id KEY_ARN"
    if found.get("KeyManager") == "AWS":
        raise Obstacle(
            artifact.uri,
            "It is encrypted under the key that AWS manages for S3, which no other account can ever use.",
            f"Encrypt it under a key of your own: {recrypt}",
        )
    if (owner := found["Arn"].split(":")[4]) != sharing.producer.account:
        raise Obstacle(
            artifact.uri,
            f"It is encrypted under {found['Arn']}, a key of account {owner}, whose policy the producer cannot change.",
            f"Let {owner} share the key, or encrypt the artifact under a key of {sharing.producer.account}: {recrypt}",
        )
    if (state := found.get("KeyState", "Enabled")) != "Enabled":
        raise Obstacle(
            artifact.uri,
            f"It is encrypted under {found['Arn']}, which is {state}: nobody can read it.",
            "Enable the key (or cancel its deletion), or encrypt the artifact under another.",
        )
    return found["Arn"]


def resolve_digest(clients: Clients, sharing: Sharing, image: str, digest: str | None = None) -> str | None:
    """The digest that an image of the producer's registry has now; None for images of AWS's registries.

    Args:
        clients: of the producer.
        sharing: the config.
        image: its URI.
        digest: the one it is pinned to, where it is: then the image must still be there.

    Raises:
        Obstacle: when there is no such image.
    """
    parsed = parse_image(image)
    if parsed.registry != sharing.producer.account:
        return None
    pinned = digest or (parsed.reference if parsed.reference.startswith("sha256:") else None)
    wanted: Any = {"imageDigest": pinned} if pinned else {"imageTag": parsed.reference}
    found = clients.ecr.batch_get_image(
        registryId=parsed.registry, repositoryName=parsed.repository, imageIds=[wanted]
    )
    if not found["images"]:
        raise Obstacle(
            f"repository {parsed.repository}",
            f"The image {image}{f' ({pinned})' if digest else ''} is not in it.",
            "Push it, or register the version with another.",
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
        raise _noted(classify(error, attempt), error) from None
    except BotoCoreError as error:
        raise _noted(unreachable(error, "producer"), error) from None


def _noted(found: CrossAccountError, error: Exception) -> CrossAccountError:
    """What was noted on AWS's error goes on with ours."""
    for note in getattr(error, "__notes__", ()):
        found.add_note(note)
    return found


def share_plan(sharing: Sharing, prune: bool = False) -> Plan:
    """Read, then plan a share; raises as `gather` and `plan.share_plan` do, and `Refused` when AWS refuses to be read."""
    with explained(sharing):
        found = gather(Clients.of(sessions.producer_session(sharing), sharing.region), sharing)
    return planned(sharing, found, prune)


def planned(sharing: Sharing, found: Gathered, prune: bool = False, only: str | None = None) -> Plan:
    """The plan of a share, from what was gathered; arguments and errors as those of `plan.share_plan`."""
    return plan.share_plan(sharing, found.needs, found.existing, found.now, prune, found.findings, only)
