"""Artifacts and images as S3, KMS and ECR have them: whether they are there, under which key, and whether they were replaced.

It only reads. Not here: the buckets and repositories that they lie in (``doors``).

Source: HeadObject (an object's KMS key) in the S3 API reference; DescribeKey (who manages a key, and whether it can be used) in the
KMS API reference; BatchGetImage in the ECR API reference.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from crossaccount.arns import parse_image
from crossaccount.aws.access import Producer
from crossaccount.errors import Finding, Obstacle
from crossaccount.registry.artifacts import Artifact
from crossaccount.registry.versions import ModelVersion
from crossaccount.sharing.obstacles import ask_all


@dataclass(frozen=True)
class Observed:
    """An artifact as S3 has it: its ETag (a prefix has none), and the KMS key that it is encrypted under."""

    etag: str | None
    key: str | None


def observe_all(
    producer: Producer, artifacts: Iterable[Artifact]
) -> tuple[dict[str, Observed], list[Finding]]:
    """The artifacts as S3 has them, by URI, each with the ARN of its key; and the findings of those that stand in the way."""
    observed, findings = ask_all({each: (each.uri, partial(_observe, producer, each)) for each in artifacts})
    keys: dict[str, Artifact] = {}
    for artifact, observation in observed.items():
        if observation.key:
            keys.setdefault(observation.key, artifact)
    arns, of_keys = ask_all(
        {key: (each.uri, partial(_usable_key, producer, key, each)) for key, each in keys.items()}
    )
    usable = {
        artifact.uri: replace(observation, key=arns[observation.key] if observation.key else None)
        for artifact, observation in observed.items()
        if observation.key is None or observation.key in arns
    }
    return usable, findings + of_keys


def _observe(producer: Producer, artifact: Artifact) -> Observed:
    """Look at an artifact in S3; of a prefix, at its first object.

    Raises:
        Obstacle: when it is not there, or not the one that was registered.
    """
    client, owner = producer.s3, producer.account
    key = _first_key(producer, artifact) if artifact.is_prefix else artifact.key
    try:
        head = client.head_object(Bucket=artifact.bucket, Key=key, ExpectedBucketOwner=owner)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
            raise _gone(artifact, "The artifact is missing.") from None
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
    encrypted = str(head.get("ServerSideEncryption", "")).startswith("aws:kms")
    etag = None if artifact.is_prefix else head["ETag"].strip('"')
    if artifact.etag and etag and artifact.etag != etag:
        raise Obstacle(
            artifact.uri,
            f"It is not the one that was registered: the registry recorded ETag {artifact.etag}, S3 has {etag}.",
            "Restore it, or register a new version.",
        )
    return Observed(etag, head.get("SSEKMSKeyId") if encrypted else None)


def _first_key(producer: Producer, artifact: Artifact) -> str:
    try:
        listing = producer.s3.list_objects_v2(
            Bucket=artifact.bucket, Prefix=artifact.key, ExpectedBucketOwner=producer.account, MaxKeys=10
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchBucket":
            raise _gone(artifact, "Its bucket is gone.") from None
        raise
    keys = [entry["Key"] for entry in listing.get("Contents", []) if not entry["Key"].endswith("/")]
    if not keys:
        raise _gone(artifact, "There is nothing under it.")
    return keys[0]


def _gone(artifact: Artifact, text: str) -> Obstacle:
    return Obstacle.missing(artifact.uri, text, "Restore it, or register the version anew.")


def _usable_key(producer: Producer, key: str, artifact: Artifact) -> str:
    """The ARN of the key that an artifact is encrypted under.

    Raises:
        Obstacle: when no other account can use the key, or nobody can.
    """
    described = producer.kms.describe_key(KeyId=key)["KeyMetadata"]
    recrypt = f"aws s3 cp {artifact.uri} {artifact.uri} --sse aws:kms --sse-kms-key-id KEY_ARN"
    arn = described["Arn"]
    if described.get("KeyManager") == "AWS":
        raise Obstacle(
            artifact.uri,
            "It is encrypted under the key that AWS manages for S3, which no other account can ever use.",
            f"Encrypt it under a key of your own: {recrypt}",
        )
    if (owner := arn.split(":")[4]) != producer.account:
        raise Obstacle(
            artifact.uri,
            f"It is encrypted under {arn}, a key of account {owner}, whose policy the producer cannot change.",
            f"Let {owner} share the key, or encrypt the artifact under a key of {producer.account}: {recrypt}",
        )
    if (state := described.get("KeyState", "Enabled")) != "Enabled":
        raise Obstacle(
            artifact.uri,
            f"It is encrypted under {arn}, which is {state}: nobody can read it.",
            "Enable the key (or cancel its deletion), or encrypt the artifact under another.",
        )
    return arn


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
    digests, findings = ask_all(questions)
    return {image: digest for (image, _), digest in digests.items()}, findings


def _resolve_digest(producer: Producer, image: str, digest: str | None) -> str | None:
    """The digest that an image has now; ``digest`` is the one that the version pins it to, if any.

    Raises:
        Obstacle: when there is no such image.
    """
    parsed = parse_image(image)
    if parsed.registry != producer.account:
        return None
    pinned = digest or (parsed.reference if parsed.reference.startswith("sha256:") else None)
    image_id: Any = {"imageDigest": pinned} if pinned else {"imageTag": parsed.reference}
    answer = producer.ecr.batch_get_image(
        registryId=parsed.registry, repositoryName=parsed.repository, imageIds=[image_id]
    )
    if not answer["images"]:
        raise Obstacle.missing(
            f"repository {parsed.repository}",
            f"The image {image}{f' ({pinned})' if digest else ''} is not in it.",
            "Push it, or register the version with another.",
        )
    return answer["images"][0]["imageId"]["imageDigest"]
