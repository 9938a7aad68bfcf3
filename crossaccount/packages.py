"""The registry as data: versions of a model package group, and their containers, images and artifacts.

Reading is here (DescribeModelPackage, ListModelPackages), and the pure walk over an answer. Not here: any policy.

Source: InferenceSpecification and ModelPackageContainerDefinition in the SageMaker API reference.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import distribution
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from crossaccount import parallel
from crossaccount.arns import Image, package_arn, parse_s3, version_of
from crossaccount.errors import Failed, Obstacle

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

    from crossaccount.config.model import Sharing


@dataclass(frozen=True)
class Artifact:
    """One artifact location of a container: an object, or everything under a prefix (``is_prefix``).

    ``etag`` is the one that the registry recorded, if it recorded one.
    """

    uri: str
    bucket: str
    key: str
    is_prefix: bool
    etag: str | None = None

    @property
    def folder(self) -> str:
        """The key up to and with its last slash; empty at the bucket's root."""
        return self.key[: self.key.rfind("/") + 1]


@dataclass(frozen=True)
class Container:
    """One container of an inference specification. ``specification`` is None for the version's main one."""

    image: str
    image_digest: str | None
    artifacts: tuple[Artifact, ...]
    specification: str | None = None


@dataclass(frozen=True)
class ModelVersion:
    """A version of a group, as DescribeModelPackage shows it."""

    arn: str
    group: str
    version: int
    status: str
    approval: str
    containers: tuple[Container, ...]
    content_types: tuple[str, ...]
    response_types: tuple[str, ...]
    instance_types: tuple[str, ...]
    sample_payload_url: str | None

    @property
    def deployable(self) -> bool:
        """True when CreateModel takes it: Completed and Approved."""
        return self.status == "Completed" and self.approval == "Approved"


@dataclass(frozen=True)
class Contents:
    """The images and artifacts of versions, each once, and the ARNs of the KMS keys that the artifacts are encrypted under."""

    images: tuple[str, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    keys: tuple[str, ...] = ()


def contents(versions: Iterable[ModelVersion], keys: Iterable[str | None] = ()) -> Contents:
    """The contents of the versions.

    Args:
        versions: with the containers of every specification.
        keys: of the artifacts, as far as they were looked at; None is no key.
    """
    containers = [container for version in versions for container in version.containers]
    return Contents(
        tuple(dict.fromkeys(container.image for container in containers)),
        tuple(dict.fromkeys(artifact for container in containers for artifact in container.artifacts)),
        tuple(sorted({key for key in keys if key})),
    )


def describe_version(sagemaker: SageMakerClient, arn: str) -> ModelVersion:
    """Read one version, of the caller's account or another's."""
    return parse_version(sagemaker.describe_model_package(ModelPackageName=arn))


def list_versions(sagemaker: SageMakerClient, group: str, approval: str | None = None) -> list[str]:
    """The ARNs of a group's versions, newest first.

    Args:
        sagemaker: a client.
        group: the group's name, or its ARN when it is another account's.
        approval: only those with this ModelApprovalStatus.
    """
    of_group: Any = {"ModelPackageGroupName": group}
    if approval:
        of_group["ModelApprovalStatus"] = approval
    pages = sagemaker.get_paginator("list_model_packages").paginate(**of_group)
    arns = [summary["ModelPackageArn"] for page in pages for summary in page["ModelPackageSummaryList"]]
    return sorted(arns, key=version_of, reverse=True)


def read_versions(sagemaker: SageMakerClient, sharing: Sharing) -> tuple[ModelVersion, ...]:
    """The versions that the config shares, oldest first: the approved ones, or those it lists.

    Raises:
        Failed: when there is none, or a listed one cannot be deployed.
    """
    if sharing.versions == "approved":
        arns = list_versions(sagemaker, sharing.model_package_group, "Approved")
        approved = parallel.run_all([partial(describe_version, sagemaker, arn) for arn in reversed(arns)])
        deployable = tuple(version for version in approved if version.deployable)
        if not deployable:
            raise Failed(
                f"{sharing.model_package_group} has no version that is Approved and Completed. Approve one, then share again."
            )
        return deployable
    listed = parallel.run_all(
        [partial(_listed, sagemaker, sharing, number) for number in sorted(sharing.versions)]
    )
    for version in listed:
        check_deployable(version)
    return tuple(listed)


def _listed(sagemaker: SageMakerClient, sharing: Sharing, number: int) -> ModelVersion:
    try:
        return describe_version(sagemaker, package_arn(sharing, number))
    except ClientError as error:
        if not error.response["Error"].get("Message", "").endswith("does not exist."):
            raise
        raise Obstacle(
            f"version {number} of {sharing.model_package_group}",
            "It does not exist in the registry.",
            "Correct versions in the config, or register it.",
        ) from None


def check_deployable(version: ModelVersion) -> None:
    """Refuse a version that CreateModel would not take.

    Raises:
        Failed: naming its status and the way out.
    """
    if version.status != "Completed":
        raise Failed(
            f"Version {version.version} of {version.group} is {version.status}, not Completed. Wait, or choose another."
        )
    if version.approval != "Approved":
        raise Failed(
            f"Version {version.version} of {version.group} is {version.approval}, not Approved. Its owner approves it, or choose "
            "an approved version."
        )


def parse_version(described: Mapping[str, Any]) -> ModelVersion:
    """A DescribeModelPackage answer as data: every container, artifact location and image of every specification."""
    main = described.get("InferenceSpecification") or {}
    extra = described.get("AdditionalInferenceSpecifications") or []
    containers = list(_containers(main, None))
    for specification in extra:
        containers += _containers(specification, specification["Name"])
    arn = described["ModelPackageArn"]
    return ModelVersion(
        arn=arn,
        group=described["ModelPackageGroupName"],
        version=version_of(arn),
        status=described["ModelPackageStatus"],
        approval=described.get("ModelApprovalStatus", "PendingManualApproval"),
        containers=tuple(containers),
        content_types=tuple(main.get("SupportedContentTypes") or ()),
        response_types=tuple(main.get("SupportedResponseMIMETypes") or ()),
        instance_types=tuple(main.get("SupportedRealtimeInferenceInstanceTypes") or ()),
        sample_payload_url=described.get("SamplePayloadUrl"),
    )


def _containers(specification: Mapping[str, Any], name: str | None) -> Iterator[Container]:
    for container in specification.get("Containers") or ():
        artifacts = tuple(dict.fromkeys(_artifacts(container)))
        if not container.get("Image"):
            raise Failed(
                "A container has no image of its own, so there is none to share. Register the version with one."
            )
        yield Container(container["Image"], container.get("ImageDigest"), artifacts, name)


def _artifacts(container: Mapping[str, Any]) -> Iterator[Artifact]:
    if url := container.get("ModelDataUrl"):
        yield artifact_at(url, False, container.get("ModelDataETag"))
    sources = [container.get("ModelDataSource"), *(container.get("AdditionalModelDataSources") or ())]
    for source in sources:
        if source and (s3 := source.get("S3DataSource")):
            yield artifact_at(s3["S3Uri"], s3.get("S3DataType") == "S3Prefix", s3.get("ETag"))
            if manifest := s3.get("ManifestS3Uri"):
                yield artifact_at(manifest, False, s3.get("ManifestEtag"))
    if s3 := container.get("AdditionalS3DataSource"):
        yield artifact_at(s3["S3Uri"], s3.get("S3DataType") == "S3Prefix", s3.get("ETag"))


def artifact_at(uri: str, is_prefix: bool, etag: str | None = None) -> Artifact:
    """An artifact by its S3 location.

    Raises:
        Failed: for a location that is not in S3.
    """
    bucket, key = parse_s3(uri)
    return Artifact(uri, bucket, key, is_prefix, etag.strip('"') if etag and not is_prefix else None)


def check_registry(sharing: Sharing, image: Image) -> bool:
    """Whether an image lies in the producer's registry, and needs a grant there; False for one in a registry of AWS.

    Raises:
        Obstacle: for an image in a third account's registry, or in another region.
    """
    if image.region != sharing.region:
        raise Obstacle(
            f"repository {image.repository}",
            f"It lies in {image.region}, and SageMaker in {sharing.region} cannot pull from there.",
            "Replicate it, and register the version with the replica.",
        )
    if image.registry == sharing.producer.account:
        return True
    if image.registry in aws_registries():
        return False
    raise Obstacle(
        f"repository {image.repository}",
        f"It lies in account {image.registry}, which is neither the producer nor AWS.",
        f"Its owner must share it, or copy the image into a repository of {sharing.producer.account}.",
    )


@cache
def aws_registries() -> frozenset[str]:
    """The accounts of AWS's own image registries, from the data files of sagemaker-core."""
    files = [
        path
        for path in distribution("sagemaker-core").files or ()
        if path.match("sagemaker/core/image_uri_config/*.json")
    ]
    accounts: set[str] = set()

    def collect(node: dict[str, Any]) -> dict[str, Any]:
        if isinstance(registries := node.get("registries"), dict):
            accounts.update(map(str, registries.values()))
        return node

    for path in files:
        json.loads(path.read_text(), object_hook=collect)
    return frozenset(accounts)
