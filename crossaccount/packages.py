"""The registry as data: versions of a model package group, and what a consumer needs to deploy them.

Reading is here (DescribeModelPackage, ListModelPackages), and the pure walk over what was read. Not here: any policy.

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
from crossaccount.arns import Image, package_arn, parse_image, parse_s3, version_of
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
class Needs:
    """What a consumer must reach to deploy the versions, apart from the registry itself.

    ``buckets`` has for each bucket the key prefixes (or whole keys) to read; ``repositories`` the names of ECR
    repositories in the producer's registry; ``keys`` the ARNs of the KMS keys that the artifacts are encrypted under.
    """

    buckets: Mapping[str, tuple[str, ...]]
    repositories: tuple[str, ...]
    keys: tuple[str, ...] = ()


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
    asked: Any = {"ModelPackageGroupName": group, **({"ModelApprovalStatus": approval} if approval else {})}
    pages = sagemaker.get_paginator("list_model_packages").paginate(**asked)
    found = [summary["ModelPackageArn"] for page in pages for summary in page["ModelPackageSummaryList"]]
    return sorted(found, key=version_of, reverse=True)


def read_versions(sagemaker: SageMakerClient, sharing: Sharing) -> tuple[ModelVersion, ...]:
    """The versions that the config shares, oldest first: the approved ones, or those it lists.

    Raises:
        Failed: when there is none, or a listed one cannot be deployed.
    """
    if sharing.versions == "approved":
        arns = list_versions(sagemaker, sharing.model_package_group, "Approved")
        found = parallel.run_all([partial(describe_version, sagemaker, arn) for arn in reversed(arns)])
        found = [version for version in found if version.deployable]
        if not found:
            raise Failed(
                f"{sharing.model_package_group} has no version that is Approved and Completed. Approve one, then share again."
            )
        return tuple(found)
    found = parallel.run_all([partial(_listed, sagemaker, sharing, one) for one in sorted(sharing.versions)])
    for version in found:
        check_deployable(version)
    return tuple(found)


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
    for one in extra:
        containers += _containers(one, one["Name"])
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
        yield _artifact(url, False, container.get("ModelDataETag"))
    sources = [container.get("ModelDataSource"), *(container.get("AdditionalModelDataSources") or ())]
    for source in sources:
        if source and (s3 := source.get("S3DataSource")):
            yield _artifact(s3["S3Uri"], s3.get("S3DataType") == "S3Prefix", s3.get("ETag"))
            if manifest := s3.get("ManifestS3Uri"):
                yield _artifact(manifest, False, s3.get("ManifestEtag"))
    if s3 := container.get("AdditionalS3DataSource"):
        yield _artifact(s3["S3Uri"], s3.get("S3DataType") == "S3Prefix", s3.get("ETag"))


def _artifact(uri: str, is_prefix: bool, etag: str | None) -> Artifact:
    bucket, key = parse_s3(uri)
    return Artifact(uri, bucket, key, is_prefix, etag.strip('"') if etag and not is_prefix else None)


def needs(sharing: Sharing, versions: Iterable[ModelVersion]) -> Needs:
    """What the versions need, derived from their own inference specifications.

    Images in registries that AWS owns need no grant and get none. When all approved versions are shared and
    their folders lie in one folder with the group's name, that folder is granted: the document does not grow with them.

    Raises:
        Failed: for an image in a third account's registry, or in another region; for an artifact that is a whole
            bucket, or a prefix that other folders begin with too.
    """
    versions = tuple(versions)
    artifacts = [a for version in versions for container in version.containers for a in container.artifacts]
    prefixes: dict[str, set[str]] = {}
    for artifact in artifacts:
        if not artifact.key or (artifact.is_prefix and not artifact.key.endswith("/")):
            raise Obstacle(
                artifact.uri,
                "The artifact is no object and no folder: a grant for it would open more than the artifact.",
                "Register the version with an object's key, or with a prefix that ends in a slash.",
            )
        prefixes.setdefault(artifact.bucket, set()).add(artifact.folder or artifact.key)
    if sharing.versions == "approved":
        group = sharing.model_package_group
        prefixes = {bucket: _widened(found, group) for bucket, found in prefixes.items()}
    producer = sharing.producer
    releases = f"{producer.releases_prefix}{sharing.model_package_group}/"
    prefixes.setdefault(producer.releases_bucket, set()).add(releases)
    images = {parse_image(container.image) for version in versions for container in version.containers}
    repositories = {image.repository for image in images if check_registry(sharing, image)}
    return Needs(
        {bucket: tuple(sorted(found)) for bucket, found in sorted(prefixes.items())},
        tuple(sorted(repositories)),
    )


def _widened(folders: set[str], group: str) -> set[str]:
    """The one folder that holds all these version folders, where it is the group's by name; else the folders themselves.

    A folder of another name stays unopened: what else lies in it may be anybody's.
    """
    if len(folders) < 2 or not all(folder.endswith("/") for folder in folders):
        return folders
    parents = {folder.rstrip("/").rpartition("/")[0] for folder in folders}
    parent = parents.pop()
    return {f"{parent}/"} if not parents and group in parent.split("/") else folders


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
    for path in files:
        _collect_registries(json.loads(path.read_text()), accounts)
    return frozenset(accounts)


def _collect_registries(node: Any, accounts: set[str]) -> None:
    if isinstance(node, dict):
        registries = node.get("registries")
        if isinstance(registries, dict):
            accounts.update(str(account) for account in registries.values())
        for value in node.values():
            _collect_registries(value, accounts)
    elif isinstance(node, list):
        for value in node:
            _collect_registries(value, accounts)
