"""The registry as data: versions of a model package group, and their containers, images and artifacts.

Reading is here (DescribeModelPackage, ListModelPackages), and the pure walk over an answer. Not here: any policy.

Source: InferenceSpecification and ModelPackageContainerDefinition in the SageMaker API reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from crossaccount import parallel
from crossaccount.arns import package_arn, version_of
from crossaccount.config.model import Sharing
from crossaccount.errors import Failed, Obstacle
from crossaccount.registry.artifacts import Artifact, artifact_at

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient


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


def contents_of(versions: Iterable[ModelVersion], keys: Iterable[str | None] = ()) -> Contents:
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
    """Read a version by its ARN, of the caller's account or another's."""
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
    containers = list(_containers(main, None))
    for specification in described.get("AdditionalInferenceSpecifications") or ():
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
    places = [source.get("S3DataSource") for source in sources if source]
    for s3 in filter(None, [*places, container.get("AdditionalS3DataSource")]):
        yield artifact_at(s3["S3Uri"], s3.get("S3DataType") == "S3Prefix", s3.get("ETag"))
        if manifest := s3.get("ManifestS3Uri"):
            yield artifact_at(manifest, False, s3.get("ManifestEtag"))
