"""The checks before a deployment: the version is in the registry, approved, and as its Release says.

Every check is a read in the consumer's deployer role. Not here: the deployment (``creation``), and why a read was refused
(``refusals``, ``diagnosis``).

Source: DescribeModelPackage in the SageMaker API reference; GetObject in the S3 API reference (a range of an empty object is
InvalidRange). S3 asks KMS for an object's key when it is read, and not by HeadObject.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from botocore.exceptions import ClientError

from crossaccount import doors
from crossaccount.arns import group_arn, package_arn, parse_image, parse_s3, version_of
from crossaccount.aws import diagnosis
from crossaccount.aws.access import Target
from crossaccount.aws.refusals import classify
from crossaccount.config.choice import VersionRule
from crossaccount.config.model import Sharing
from crossaccount.errors import CrossAccountError, DoorName, Failed, InputError, Obstacle, Refused
from crossaccount.parallel import run_all
from crossaccount.registry.artifacts import check_registry
from crossaccount.registry.chosen import check_chosen
from crossaccount.registry.storage import (
    Head,
    Place,
    check_readable,
    difference,
    kms_key,
    list_objects,
    may_be_archived,
    stored,
    with_checksum,
)
from crossaccount.registry.versions import (
    LOGGED,
    Contents,
    ModelVersion,
    check_deployable,
    check_specification,
    describe_version,
    list_versions,
    no_version,
)
from crossaccount.release import store
from crossaccount.release.manifest import Release
from crossaccount.release.members import Members, members_of_release
from crossaccount.text import quote


def check_shared(config: Sharing, version: int) -> None:
    """See that a config which lists its versions lists this one; whether a rule chooses it, its description alone says.

    Raises:
        InputError: when it does not.
    """
    if config.listed is not None and version not in config.listed:
        shared = ", ".join(map(str, config.listed))
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
        if version is None:
            target.sagemaker.describe_model_package_group(ModelPackageGroupName=group_arn(config))
            return _newest(target)
        described = _described(target, version)
    check_deployable(described)
    check_chosen(config, described)
    return described


def _described(target: Target, version: int) -> ModelVersion:
    try:
        return describe_version(target.sagemaker, package_arn(target.config, version))
    except ClientError as error:
        if not error.response["Error"]["Message"].endswith("does not exist."):
            raise
    raise no_version(target.sagemaker, group_arn(target.config), version)


def newest_published(target: Target) -> int | None:
    """The newest version that is shared, is Approved and has a Release; None when there is none.

    Raises:
        Refused: when AWS refuses.
    """
    with target.explained("s3:ListBucket", target.config.producer.releases_bucket, DoorName.BUCKET):
        has_release = store.list_published(target)
    published = [arn for arn in _approved(target) if version_of(arn) in has_release]
    if target.config.rule == VersionRule():
        return next(map(version_of, published), None)
    with target.explained(
        "sagemaker:DescribeModelPackage", published[0] if published else "*", DoorName.REGISTRY
    ):
        chosen = (describe_version(target.sagemaker, arn) for arn in published)
        return next((each.version for each in chosen if not each.difference(target.config)), None)


def _approved(target: Target) -> list[str]:
    """The ARNs of the Approved versions, newest first: those that the config lists, or all that its rule may choose from."""
    approved = list_versions(target.sagemaker, group_arn(target.config), "Approved")
    listed = target.config.listed
    return approved if listed is None else [arn for arn in approved if version_of(arn) in listed]


def _newest(target: Target) -> ModelVersion:
    """The newest version that is shared and can be deployed; a Failed with what keeps the newest one, no mere record, from it."""
    reasons = list[tuple[bool, CrossAccountError]]()
    for arn in _approved(target):
        described = None
        try:
            described = describe_version(target.sagemaker, arn)
            check_deployable(described)
            check_chosen(target.config, described)
            return described
        except (Failed, InputError) as error:
            reasons.append((described is not None and described.registration == LOGGED, error))
    if reasons:
        raise min(reasons, key=lambda each: each[0])[1]
    raise Failed(
        f"{target.config.model_package_group} has no shared version that is Approved. Its owner approves one."
    )


def read_release(target: Target, version: ModelVersion) -> Release:
    """The version's Release as this consumer deploys it, once it is seen to agree with the registry.

    Raises:
        Failed: when none was published, or it names other images or artifacts than the registry, or has not the specification that
            the consumer deploys.
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
    return _as_deployed(target, version, published)


def _as_deployed(target: Target, version: ModelVersion, published: Release) -> Release:
    """The Release as this consumer deploys it, once it is seen to agree with the registry."""
    name = target.consumer.endpoint.inference_specification
    check_specification(version, name, f"consumers.{target.name}.endpoint.inference_specification")
    containers, others = version.containers_of(name), published.containers_of(name)
    if name is not None and not others:
        raise Failed(
            f"The Release of version {version.version} is without the inference specification {quote(name)}: it was added after the version "
            "was shared, or nobody could deploy it then, which crossaccount share CONFIG says. Ask its owner to register a new version."
        )
    registered, released = (
        [(each.image, [artifact.uri for artifact in each.artifacts]) for each in source]
        for source in (containers, others)
    )
    if registered != released:
        raise Failed(
            f"The registry and the Release of version {version.version} name different images or artifacts: the version was changed after it "
            "was shared. Ask its owner to register a new one."
        )
    for container, other in zip(containers, others, strict=True):
        if container.image_digest and container.image_digest != other.image_digest:
            raise Failed(
                f"The registry pins {container.image} to {container.image_digest}, the Release to {other.image_digest}. Version {version.version} is "
                "not deployed. Ask its owner to register a new one."
            )
        check_registry(target.config, parse_image(container.image))
    return published.deployed_as(name, version)


_Read = TypeVar("_Read")
_MOST_UNDER_A_PREFIX = 50  # objects that are read of one uncompressed artifact


@dataclass(frozen=True)
class ArtifactsRead:
    """What the deployer has read of a Release's artifacts, a byte of each object.

    Args:
        count: the number of artifacts.
        buckets: those in which every artifact was read.
        keys: the ARN of the KMS key that an object was read under, by the object's URI.
        unread: what could not be looked at under prefixes, by its URI, and why; the deployer needs none of it.
    """

    count: int
    buckets: frozenset[str]
    keys: Mapping[str, str]
    unread: Mapping[str, str]


@dataclass(frozen=True)
class _Object:
    """An object that belongs to an artifact; one of several under a prefix has no ``etag`` of its own."""

    place: Place
    etag: str | None


@dataclass(frozen=True)
class _Byte:
    """A byte of an object as S3 gave it: the object's ETag, and all that the answer says of it; or why it was not read."""

    etag: str = ""
    answer: Head = field(default_factory=dict)
    unread: str = ""


def check_artifacts(target: Target, release: Release) -> ArtifactsRead:
    """See that every artifact exists, can be read, and is still the one that was shared; a byte of every object is read.

    Under a prefix it is the first fifty objects and every one that may be archived, where the deployer may list and read them.

    Raises:
        Obstacle: for one that is missing, archived or was replaced.
        Refused: when S3, or KMS behind it, refuses.
    """
    named = [artifact for container in release.deployed_containers for artifact in container.artifacts]
    artifacts = list(dict.fromkeys((artifact.uri, artifact.etag) for artifact in named))
    members = members_of_release(target.config, release)
    places = run_all(
        [partial(_named, members, uri, partial(_objects_of, target, uri, etag)) for uri, etag in artifacts]
    )
    objects = list(dict.fromkeys(each for found, _ in places for each in found))
    found = run_all(
        [partial(_named, members, str(each.place), partial(_read_byte, target, each)) for each in objects]
    )
    for each, byte in zip(objects, found, strict=True):
        if each.etag is not None and byte.etag != each.etag:
            with members.named():
                raise _replaced(target, release, each, byte.answer)
    unread = {uri: doubt for (uri, _), (_, doubt) in zip(artifacts, places, strict=True) if doubt}
    unread |= {str(each.place): byte.unread for each, byte in zip(objects, found, strict=True) if byte.unread}
    return ArtifactsRead(
        len(named),
        frozenset(parse_s3(uri)[0] for uri, _ in artifacts) - {parse_s3(uri)[0] for uri in unread},
        {
            str(each.place): key
            for each, byte in zip(objects, found, strict=True)
            if (key := kms_key(byte.answer))
        },
        unread,
    )


def _replaced(target: Target, release: Release, wanted: _Object, answer: Head) -> Obstacle:
    now = with_checksum(target.s3, wanted.place, target.config.producer.account, answer)
    differs = difference(str(wanted.etag), now, was_plain=not release.contents.keys)
    return Obstacle(
        str(wanted.place),
        f"The artifact {differs.verb} after it was shared: {differs.detail} Version {release.version} is not deployed.",
        "Ask its owner to register a new one.",
    )


def _named(members: Members, place: str, read: Callable[[], _Read]) -> _Read:
    """What a read of a place gives; its refusal says which containers of several the place is for."""
    with members.named(place):
        return read()


def _objects_of(target: Target, uri: str, etag: str | None) -> tuple[list[_Object], str]:
    """The objects of an artifact, and what of it cannot be seen: one, or the first under its prefix and all that may be archived."""
    place, owner = Place(*parse_s3(uri)), target.config.producer.account
    if etag is not None:
        return [_Object(place, etag)], ""
    resource = f"arn:{target.config.partition}:s3:::{place.bucket}"
    with target.explained("s3:ListBucket", resource, DoorName.BUCKET):
        try:
            entries = list_objects(target.s3, place, owner)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("AccessDenied", "403"):
                return [], "the deployer may not list it"
            raise
    if not entries:
        raise _missing(place, owner)
    first, further = entries[:_MOST_UNDER_A_PREFIX], entries[_MOST_UNDER_A_PREFIX:]
    doubt = f"only the first {_MOST_UNDER_A_PREFIX} objects were read" if further else ""
    looked_at = [*first, *filter(may_be_archived, further)]
    return [_Object(Place(place.bucket, each["Key"]), None) for each in looked_at], doubt


def _read_byte(target: Target, wanted: _Object) -> _Byte:
    owner, place = target.config.producer.account, wanted.place
    get = partial(target.s3.get_object, Bucket=place.bucket, Key=place.key, ExpectedBucketOwner=owner)
    resource = f"arn:{target.config.partition}:s3:::{place.bucket}/{place.key}"
    try:
        with target.explained("s3:GetObject", resource, DoorName.BUCKET):
            try:
                answer = get(Range="bytes=0-0")
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code in ("NoSuchKey", "NoSuchBucket", "404"):
                    raise _missing(place, owner) from None
                if code == "InvalidObjectState":  # HEAD says which archive it is in
                    check_readable(
                        place,
                        target.s3.head_object(Bucket=place.bucket, Key=place.key, ExpectedBucketOwner=owner),
                    )
                if code not in ("InvalidRange", "416"):
                    raise
                answer = get()  # it has no first byte
            answer["Body"].read(1)
    except Refused as refused:
        # SageMaker reads what lies under a prefix in the execution role; the deployer need not be able to.
        if wanted.etag is None and refused.refusal.door == DoorName.CALLER_POLICY:
            return _Byte(unread="the deployer itself may not read it")
        raise
    return _Byte(stored(answer).etag, answer)


def _missing(place: Place, owner: str) -> Obstacle:
    way_out = f"Account {owner} restores it, or shares another version."
    return Obstacle(str(place), "The artifact is missing.", way_out)


@contextmanager
def explained_creation(target: Target, release: Release) -> Iterator[None]:
    """As `Target.explained`, for CreateModel: SageMaker makes its own checks with the execution role, whose policies are asked about.

    By then the deployer has read every artifact, which rules out causes that the text of the error leaves open.
    """
    action, resource = "sagemaker:CreateModel", release.model_package_arn
    role = target.consumer.execution_role
    members = members_of_release(target.config, release)
    with members.named(), target.explained(action, resource, DoorName.REGISTRY):
        try:
            yield
        except ClientError as error:
            # SageMaker's own checks are made as the execution role; a refusal of the call itself is the deployer's.
            attempt = replace(target.attempt(DoorName.REGISTRY, action, resource), caller=role)
            refused = classify(error, attempt)
            if not isinstance(refused, Refused) or refused.refusal.aws_code != "ValidationException":
                raise
            named, ruled_out = refused.refusal.resource, tuple[str, ...]()
            keys: Mapping[str, str] = {}
            if refused.refusal.aws_message.startswith("Could not access model data"):
                # What is shut to the deployer too is told here, and only what it reads now is ruled out.
                read = check_artifacts(target, release)
                ruled_out, keys = _read_now(read), read.keys
            needed = doors.execution_needs(target.config, _about(named, release.contents, keys))
            owner, simulator = target.config.producer.account, replace(target.simulator, role=role)
            raise diagnosis.narrow_execution_role(refused, simulator, needed, ruled_out, owner) from None


def _about(named: str, contents: Contents, keys: Mapping[str, str]) -> Contents:
    """The part of a Release's contents that SageMaker's text is about; all of it where the text names none of it.

    Args:
        named: the image or the artifact's URI in the text.
        contents: of the Release.
        keys: the KMS keys by the URIs of the objects under them.
    """
    read = tuple(sorted({key for uri, key in keys.items() if uri.startswith(named)}))
    return Contents(
        tuple(image for image in contents.images if image == named) or contents.images,
        tuple(artifact for artifact in contents.artifacts if artifact.uri == named) or contents.artifacts,
        read or contents.keys,
    )


def _read_now(read: ArtifactsRead) -> tuple[str, ...]:
    """The causes that a read of the artifacts in the deployer role rules out."""
    seen = [f"the policy of the bucket {bucket}: it lets the deployer in" for bucket in sorted(read.buckets)]
    seen += [
        f"the policy of the key {key}: it lets the deployer in" for key in sorted(set(read.keys.values()))
    ]
    if read.unread:
        return tuple(seen)
    return (
        "a missing artifact: the deployer has just read it",
        *seen,
        "another region: the bucket answered in this one",
    )
