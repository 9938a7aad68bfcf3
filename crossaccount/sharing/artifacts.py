"""Artifacts and images as S3, KMS and ECR have them: whether they are there, under which key, and whether they were replaced.

It only reads. Not here: the buckets and repositories that they lie in (``doors``).

Source: HeadObject (an object's KMS key) in the S3 API reference; DescribeKey (who manages a key, and whether it can be used) in the
KMS API reference; BatchGetImage (its failure codes) in the ECR API reference; "Archiving an image" in the ECR user guide.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from crossaccount import parallel
from crossaccount.arns import Image, parse_image
from crossaccount.aws.access import Producer
from crossaccount.aws.ways_out import restore_image
from crossaccount.errors import Finding, Obstacle, Refused, Severity
from crossaccount.registry.artifacts import Artifact
from crossaccount.registry.storage import (
    Head,
    Place,
    Stored,
    check_readable,
    difference,
    expiring,
    gives_reason,
    kms_key,
    list_objects,
    may_be_archived,
    stored,
    with_checksum,
)
from crossaccount.registry.versions import ModelVersion
from crossaccount.sharing.manifests import check_manifests
from crossaccount.sharing.obstacles import ask, ask_all

# How many objects of a prefix are looked at, and how many of them are named one by one.
_MOST = 2_000
_SAID = 10


@dataclass(frozen=True)
class Observed:
    """An artifact as S3 has it.

    ``etag`` is its ETag, and ``digest`` the MD5 digest of its bytes as far as S3 tells it; a prefix has neither. ``keys`` are the
    KMS keys that its objects are encrypted under, by their ARNs.
    """

    etag: str | None
    keys: tuple[str, ...] = ()
    digest: str | None = None


def observe_all(
    producer: Producer, artifacts: Iterable[Artifact]
) -> tuple[dict[str, Observed], list[Finding]]:
    """The artifacts as S3 has them, by URI: those that are there, whole; and the findings about all of them.

    Of a prefix, every object is looked at: its key and its archive tier show in HEAD alone.
    """
    listed, findings = ask_all(
        {each: (each.uri, partial(_places_of, producer, each)) for each in artifacts}, producer
    )
    seen = _look_at(producer, listed)
    for artifact, looks in seen.items():
        findings += _judge(producer, artifact, looks, len(listed[artifact]))
    whole = {
        artifact: [look for look in looks if not isinstance(look, Finding)]
        for artifact, looks in seen.items()
    }
    of_manifests = check_manifests(producer, [each for each in seen if len(whole[each]) == len(seen[each])])
    arns, of_keys = _usable_keys(producer, whole.values())
    broken = {each.subject for each in of_manifests if each.severity is Severity.ERROR}
    observed = {
        artifact.uri: _observed(artifact, looks, arns)
        for artifact, looks in whole.items()
        if len(looks) == len(seen[artifact]) and artifact.uri not in broken
    }
    return observed, [*findings, *of_manifests, *of_keys]


def _observed(artifact: Artifact, looks: Sequence[_Look], arns: Mapping[str, str]) -> Observed:
    keys = tuple(sorted({arns[look.key] for look in looks if look.key and look.key in arns}))
    if artifact.is_prefix:
        return Observed(None, keys)
    return Observed(looks[0].stored.etag, keys, looks[0].stored.digest)


@dataclass(frozen=True)
class _Look:
    """An object and what HEAD shows of it."""

    place: Place
    head: Head

    @property
    def key(self) -> str | None:
        """The KMS key that it is encrypted under, as HEAD names it."""
        return kms_key(self.head)

    @property
    def stored(self) -> Stored:
        """What S3 says about its bytes."""
        return stored(self.head)


def _places_of(producer: Producer, artifact: Artifact) -> list[Place]:
    """The objects of an artifact, first those whose storage class may be an archive; markers of folders are none.

    Raises:
        Obstacle: for a prefix with nothing under it.
    """
    if not artifact.is_prefix:
        return [Place(artifact.bucket, artifact.key)]
    try:
        entries = list_objects(producer.s3, Place(artifact.bucket, artifact.key), producer.account)
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchBucket":
            raise _gone(artifact.uri, "Its bucket is gone.") from None
        raise
    if not entries:
        raise _gone(artifact.uri, "There is nothing under it.")
    entries.sort(key=may_be_archived, reverse=True)
    return [Place(artifact.bucket, entry["Key"]) for entry in entries]


def _look_at(
    producer: Producer, listed: Mapping[Artifact, Sequence[Place]]
) -> dict[Artifact, list[_Look | Finding]]:
    """What HEAD shows of every object, all asked at once; a finding for one that cannot be looked at."""
    wanted = [(artifact, place) for artifact, places in listed.items() for place in places[:_MOST]]
    looks = parallel.run_all(
        [partial(ask, str(place), partial(_look, producer, place), producer) for _, place in wanted]
    )
    seen: dict[Artifact, list[_Look | Finding]] = {artifact: [] for artifact in listed}
    for (artifact, _), look in zip(wanted, looks, strict=True):
        seen[artifact].append(look)
    return seen


def _look(producer: Producer, place: Place) -> _Look:
    """What HEAD shows of an object.

    Raises:
        Obstacle: when it is not there, or S3 gives no reason why it may not be looked at.
        ClientError: S3's refusal, with its reason.
    """
    where: Any = {"Bucket": place.bucket, "Key": place.key, "ExpectedBucketOwner": producer.account}
    try:
        return _Look(place, producer.s3.head_object(**where))
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
            raise _gone(str(place), "The artifact is missing.") from None
        # A HEAD answer has no body, so it gives no reason: the same object read from its first byte does.
        try:
            producer.s3.get_object(**where, Range="bytes=0-0")
        except ClientError as reason:
            raise _unreadable(place, reason) from None
        raise


def _unreadable(place: Place, error: ClientError) -> Exception:
    """The obstacle of an object that S3 does not give; AWS's own refusal where that says whose policy it was."""
    code, text = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    if code.startswith("KMS."):
        way_out = "Enable the key (or cancel its deletion), or encrypt the artifact under another."
        return Obstacle(str(place), f"Its KMS key cannot be used: {text}", way_out)
    if code == "InvalidRequest":
        way_out = (
            "Encrypt it with a KMS key or with keys of S3 (SSE-S3) instead, and register the version anew."
        )
        return Obstacle(str(place), f"S3 cannot be asked about it: {text}", way_out)
    if code == "AccessDenied" and not gives_reason(error):
        return Obstacle(
            str(place),
            "S3 refuses to show it and gives no reason, as it does for an object that another account uploaded and still owns.",
            f"Set the object ownership of {place.bucket} to BucketOwnerEnforced, or see who denies it in the bucket's policy.",
        )
    return error


def _judge(
    producer: Producer, artifact: Artifact, looks: Sequence[_Look | Finding], count: int
) -> Iterator[Finding]:
    """The findings about an artifact with this many objects, as HEAD shows those that were looked at."""
    said = [finding for look in looks for finding in _of_object(look)]
    yield from said[:_SAID]
    if rest := said[_SAID:]:
        worst = min((one.severity for one in rest), key=list(Severity).index)
        text = f"{len(rest)} more of its {count} objects have a finding like these."
        yield Finding(worst, artifact.uri, text, "Each needs the same.")
    if count > len(looks):
        yield Finding(
            Severity.WARNING,
            artifact.uri,
            f"It has {count} objects, of which {len(looks)} were looked at: the keys that the others are encrypted under, and the archive tiers "
            "of Intelligent-Tiering, cannot be told.",
            "Keep the artifact in fewer objects, or in one archive.",
        )
    first = looks[0]
    if artifact.etag and isinstance(first, _Look) and artifact.etag != first.stored.etag:
        now = with_checksum(producer.s3, first.place, producer.account, first.head)
        found = difference(artifact.etag, now, was_plain=False)
        text = f"It {found.verb} since it was registered: {found.detail}"
        yield Finding(Severity.ERROR, artifact.uri, text, found.way_out)


def _of_object(look: _Look | Finding) -> Iterator[Finding]:
    if isinstance(look, Finding):
        yield look
        return
    try:
        check_readable(look.place, look.head)
    except Obstacle as obstacle:
        yield obstacle.finding
    if (warning := expiring(look.place, look.head)) is not None:
        yield warning


def _gone(subject: str, text: str) -> Obstacle:
    return Obstacle.missing(subject, text, "Restore it, or register the version anew.")


def _usable_keys(
    producer: Producer, looks: Iterable[Sequence[_Look]]
) -> tuple[dict[str, str], list[Finding]]:
    """The ARNs of the keys that HEAD named, as far as the producer keeps their policies; and the findings about all of them."""
    first: dict[str, Place] = {}
    for look in (look for of_artifact in looks for look in of_artifact):
        if look.key:
            first.setdefault(look.key, look.place)
    keys, findings = ask_all(
        {key: (str(place), partial(_usable_key, producer, key, place)) for key, place in first.items()}
    )
    arns = {key: arn for key, (arn, _) in keys.items()}
    return arns, [*findings, *(finding for _, finding in keys.values() if finding is not None)]


def _usable_key(producer: Producer, key: str, place: Place) -> tuple[str, Finding | None]:
    """The ARN of the key that an object is encrypted under, and a finding when nobody can use it now.

    Raises:
        Obstacle: when no other account can use the key, or whether one can cannot be told.
    """
    recrypt = f"aws s3 cp {shlex.quote(str(place))} {shlex.quote(str(place))} --sse aws:kms --sse-kms-key-id KEY_ARN"
    if key.startswith("arn:") and (owner := key.split(":")[4]) != producer.account:
        # The owner stands in what HEAD shows; the owner's key need not let the producer ask more.
        raise Obstacle(
            str(place),
            f"It is encrypted under {key}, a key of account {owner}, whose policy the producer cannot change.",
            f"Let {owner} share the key, or encrypt the artifact under a key of {producer.account}: {recrypt}",
        )
    try:
        described = producer.kms.describe_key(KeyId=key)["KeyMetadata"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NotFoundException":
            raise Obstacle.missing(
                str(place),
                f"It is encrypted under the KMS key {key}, which does not exist: nobody can ever read it.",
                "Upload it anew, or register the version with another artifact.",
            ) from None
        refused = producer.explain(error)
        if not isinstance(refused, Refused):
            raise
        raise Obstacle(
            str(place),
            f"It is encrypted under {key}, a key of account {producer.account} that may not be looked at (kms:DescribeKey is refused): whether it "
            "is the one that AWS manages for S3, which no other account can ever use, cannot be told.",
            f"{refused.refusal.next_step} Or encrypt the artifact under a key of your own: {recrypt}",
        ) from None
    arn = described["Arn"]
    if described.get("KeyManager") == "AWS":
        raise Obstacle(
            str(place),
            f"It is encrypted under the key that AWS manages for S3 ({arn}), which no other account can ever use.",
            f"Encrypt it under a key of your own: {recrypt}",
        )
    if (state := described.get("KeyState", "Enabled")) != "Enabled":
        return arn, Finding(
            Severity.ERROR,
            str(place),
            f"It is encrypted under the KMS key {arn}, which is {state}: nobody can read it.",
            "Enable the key (or cancel its deletion), or encrypt the artifact under another.",
        )
    return arn, None


def resolve_digests(
    producer: Producer, versions: Iterable[ModelVersion]
) -> tuple[dict[str, str | None], list[Finding]]:
    """The digests of the versions' images, by URI, None for those of AWS's registries; and the findings of those that are gone."""
    containers = (container for version in versions for container in version.containers)
    questions = {
        (container.image, container.image_digest): (
            f"repository {parse_image(container.image).repository}",
            partial(_resolve_digest, producer, container.image, container.image_digest),
        )
        for container in containers
    }
    digests, findings = ask_all(questions, producer)
    return {image: digest for (image, _), digest in digests.items()}, findings


def _resolve_digest(producer: Producer, image: str, digest: str | None) -> str | None:
    """The digest that an image has now, by its tag where it is named by one.

    The registry notes the digest that a tag had when its version was registered (``digest``), also where nobody pinned it. Which of
    the two AWS deploys once the tag was moved is not documented, so both must be there.

    Raises:
        Obstacle: when there is no such image.
    """
    parsed = parse_image(image)
    if parsed.registry != producer.account:
        return None
    by_tag = not parsed.reference.startswith("sha256:")
    named = {"imageTag": parsed.reference} if by_tag else {"imageDigest": parsed.reference}
    image_ids: list[Any] = [named, *([{"imageDigest": digest}] if digest and by_tag else [])]
    answer = producer.ecr.batch_get_image(
        registryId=parsed.registry, repositoryName=parsed.repository, imageIds=image_ids
    )
    failures: list[Any] = answer.get("failures") or []
    found = [each["imageId"] for each in answer["images"]]
    if failures or not found:
        failure = failures[0] if failures else {}
        image_id = failure.get("imageId") or named
        is_gone, text, way_out = _why_no_image(parsed, image_id, failure)
        refuse = Obstacle.missing if is_gone else Obstacle
        shown = f" ({digest})" if digest and image_id.get("imageDigest") == digest else ""
        raise refuse(f"repository {parsed.repository}", f"The image {image}{shown} {text}", way_out)
    tagged = [each for each in found if each.get("imageTag") == parsed.reference]
    return str((tagged or found)[0]["imageDigest"])


def _why_no_image(
    image: Image, image_id: Mapping[str, str], failure: Mapping[str, Any]
) -> tuple[bool, str, str]:
    """Whether an image is gone, why ECR does not give it, by the failure of BatchGetImage, and the way out."""
    code = failure.get("failureCode", "ImageNotFound")
    if code == "ImageInaccessible":
        name, value = next(iter(image_id.items()))
        return (
            False,
            "is archived, or is being restored: nobody can pull it until that is done (ECR's ImageInaccessible).",
            f"Restore it, which takes up to 20 minutes: {restore_image(image, name, value)}",
        )
    if code in ("ImageNotFound", "InvalidImageDigest", "InvalidImageTag", "ImageTagDoesNotMatchDigest"):
        return True, "is not in it.", "Push it, or register the version with another."
    reason = failure.get("failureReason") or "no reason given"
    return (
        False,
        f"cannot be pulled by anybody: {code} ({reason}).",
        "Mend that, or register the version with another.",
    )
