"""The registry as data: versions of a model package group, and their containers, images and artifacts.

Reading is here (DescribeModelPackage, ListModelPackages), and the pure walk over an answer. Not here: any policy.

Source: InferenceSpecification, ModelPackageContainerDefinition, CreateModelPackage (ManagedStorageType,
ModelPackageRegistrationType), ModelLifeCycle and DescribeModelPackage (IncludedData, ModelCard) in the SageMaker API reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from crossaccount.arns import version_of
from crossaccount.config.model import Sharing
from crossaccount.errors import Failed
from crossaccount.registry.artifacts import Artifact, artifact_at
from crossaccount.text import quote

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient


@dataclass(frozen=True)
class Container:
    """One container of an inference specification.

    ``specification`` is None for the version's main one, ``hostname`` where it has none. ``eula_accepted`` is whether the version itself
    agrees to the licence that its artifacts are under; None where there is none that asks.
    """

    image: str
    image_digest: str | None
    artifacts: tuple[Artifact, ...]
    specification: str | None = None
    hostname: str | None = None
    eula_accepted: bool | None = None


@dataclass(frozen=True)
class Takes:
    """What endpoints of an inference specification take: the content types, those of answers, and the instance types; empty is any."""

    content_types: tuple[str, ...] = ()
    response_types: tuple[str, ...] = ()
    instance_types: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelVersion:
    """A version of a group, as DescribeModelPackage shows it.

    ``incomplete`` are the additional specifications that are not among ``containers``, each with the reason; ``additional`` is what
    endpoints of each of the others take.
    ``registration`` is ``Logged`` for a mere record of a training, ``storage`` is ``Restricted`` where SageMaker itself keeps the
    artifacts; both are None for what the registry does not say. ``specified`` is whether it says what to deploy at all.
    ``stage``, ``stage_status``, ``metadata`` and ``card`` (a model card's status) are what its owners say of it.
    """

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
    registration: str | None = None
    storage: str | None = None
    specified: bool = True
    incomplete: tuple[tuple[str, str], ...] = ()
    additional: tuple[tuple[str, Takes], ...] = ()
    stage: str | None = None
    stage_status: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    card: str | None = None

    @property
    def deployable(self) -> bool:
        """True when CreateModel takes it in another account: see `check_deployable`."""
        return fault_of(self) is None

    @property
    def deployed_containers(self) -> tuple[Container, ...]:
        """The containers that CreateModel deploys from the package where no specification is named: those of its main one."""
        return self.containers_of(None)

    def containers_of(self, specification: str | None) -> tuple[Container, ...]:
        """The containers of a specification; None is the main one."""
        return tuple(each for each in self.containers if each.specification == specification)

    def takes(self, specification: str | None) -> Takes:
        """What endpoints of a specification take; None is the main one."""
        if specification is None:
            return Takes(self.content_types, self.response_types, self.instance_types)
        return dict(self.additional)[specification]

    def difference(self, sharing: Sharing) -> str:
        """What the rule of a config asks for and the version does not say, in a few words; empty where they agree."""
        return sharing.rule.difference(self.stage, self.stage_status, dict(self.metadata))


@dataclass(frozen=True)
class Contents:
    """The images and artifacts of versions, each once, and the ARNs of the KMS keys that the artifacts are encrypted under.

    ``versions`` are the numbers of the versions.
    """

    images: tuple[str, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    keys: tuple[str, ...] = ()
    versions: tuple[int, ...] = ()


def contents_of(versions: Iterable[ModelVersion], keys: Iterable[str | None] = ()) -> Contents:
    """The contents of the versions.

    Args:
        versions: with the containers of every specification.
        keys: of the artifacts, as far as they were looked at; None is no key.
    """
    versions = list(versions)
    containers = [container for version in versions for container in version.containers]
    return Contents(
        tuple(dict.fromkeys(container.image for container in containers)),
        tuple(dict.fromkeys(artifact for container in containers for artifact in container.artifacts)),
        tuple(sorted({key for key in keys if key})),
        tuple(sorted({version.version for version in versions})),
    )


def describe_version(sagemaker: SageMakerClient, arn: str) -> ModelVersion:
    """Read a version by its ARN, of the caller's account or another's.

    Without the text of its model card: that may lie under a key that the caller may not use, and nothing of it is needed.

    Raises:
        Failed: for a version whose containers cannot be read.
        ClientError: when AWS refuses.
    """
    return parse_version(sagemaker.describe_model_package(ModelPackageName=arn, IncludedData="MetadataOnly"))


def list_versions(sagemaker: SageMakerClient, group: str, approval: str | None = None) -> list[str]:
    """The ARNs of a group's versions, newest first.

    Args:
        sagemaker: a client.
        group: the group's name, or its ARN when it is another account's.
        approval: only those with this ModelApprovalStatus.
    """
    arns = [summary["ModelPackageArn"] for summary in _summaries(sagemaker, group, approval)]
    return sorted(arns, key=version_of, reverse=True)


def approvals(sagemaker: SageMakerClient, group: str) -> dict[int, str]:
    """The ModelApprovalStatus of each version of a group, by its number; the group as for `list_versions`."""
    return {
        version_of(summary["ModelPackageArn"]): summary.get("ModelApprovalStatus", "PendingManualApproval")
        for summary in _summaries(sagemaker, group)
    }


def no_version(sagemaker: SageMakerClient, group: str, number: int) -> Failed:
    """The error of a version that does not exist, with those that do; the group as for `list_versions`."""
    name = group.rpartition("/")[2]
    return Failed(
        f"{name} has no version {number}. It has: {existing(sagemaker, group)}. Choose an Approved one, or register it."
    )


def existing(sagemaker: SageMakerClient, group: str) -> str:
    """The newest versions of a group, each with its approval, in a few words; the group as for `list_versions`."""
    try:
        known = sorted(approvals(sagemaker, group).items(), reverse=True)
    except ClientError as error:
        return f"unknown, as AWS refuses to list them ({error.response['Error']['Code']})"
    listed = ", ".join(f"{version} ({approval})" for version, approval in known[:_NEWEST]) or "none"
    return f"{listed}, and {len(known) - _NEWEST} older" if len(known) > _NEWEST else listed


def _summaries(sagemaker: SageMakerClient, group: str, approval: str | None = None) -> Iterator[Any]:
    of_group: Any = {"ModelPackageGroupName": group}
    if approval:
        of_group["ModelApprovalStatus"] = approval
    for page in sagemaker.get_paginator("list_model_packages").paginate(**of_group):
        yield from page["ModelPackageSummaryList"]


LOGGED = "Logged"
_NEWEST = 10  # versions that an error lists


def check_deployable(version: ModelVersion) -> None:
    """Refuse a version that CreateModel would not take in another account.

    Raises:
        Failed: naming what is the matter, and the way out.
    """
    if fault := fault_of(version):
        raise Failed(f"Version {version.version} of {version.group} {fault}")


def check_specification(version: ModelVersion, name: str | None, key: str) -> None:
    """Refuse a version without the additional specification that a consumer deploys.

    Args:
        version: the version.
        name: of the specification; None is the main one.
        key: the key of the config that names it.

    Raises:
        Failed: with the names that there are.
    """
    why = dict(version.incomplete)
    known = [each for each, _ in version.additional if each not in why]
    if name is None or name in known:
        return
    subject = f"Version {version.version} of {version.group}"
    if name in why:
        raise Failed(
            f"{subject} cannot be deployed by its inference specification {quote(name)}: {why[name]} Or name another in {key}."
        )
    there = (
        f"it has {', '.join(map(quote, known))} beside the main one" if known else "it has the main one only"
    )
    raise Failed(
        f"{subject} has no inference specification {quote(name)}: {there}. Correct {key}, or delete it for the main one."
    )


def fault_of(version: ModelVersion) -> str | None:
    """What keeps a version from being deployed, after "It", with the way out; None when nothing does."""
    if version.status != "Completed":
        return f"is {version.status}, not Completed. Wait, or choose another."
    if version.approval != "Approved":
        return f"is {version.approval}, not Approved. Its owner approves it, or choose an approved version."
    if version.registration == LOGGED:
        return "is registered as Logged, a record that is not deployed. Register it as Registered."
    if version.storage == "Restricted":
        return "has its artifacts in storage that SageMaker restricts (ManagedStorageType Restricted), which no grant opens. Register it with artifacts in a bucket."
    if not version.specified:
        return "has no inference specification, so there is nothing to deploy. Register it with one."
    return None


def parse_version(described: Mapping[str, Any]) -> ModelVersion:
    """A DescribeModelPackage answer as data: every container, artifact location and image of every specification.

    Raises:
        Failed: for a main specification with a container that has no image.
    """
    main = described.get("InferenceSpecification") or {}
    containers = list(_containers(main, None))
    incomplete: list[tuple[str, str]] = []
    additional: list[tuple[str, Takes]] = []
    for specification in described.get("AdditionalInferenceSpecifications") or ():
        additional.append((specification["Name"], _takes(specification)))
        try:
            containers += list(_containers(specification, specification["Name"]))
        except Failed as failed:  # it is not deployed
            incomplete.append((specification["Name"], str(failed)))
    arn, takes = described["ModelPackageArn"], _takes(main)
    cycle = described.get("ModelLifeCycle") or {}
    return ModelVersion(
        arn=arn,
        group=described["ModelPackageGroupName"],
        version=version_of(arn),
        status=described["ModelPackageStatus"],
        approval=described.get("ModelApprovalStatus", "PendingManualApproval"),
        containers=tuple(containers),
        content_types=takes.content_types,
        response_types=takes.response_types,
        instance_types=takes.instance_types,
        sample_payload_url=described.get("SamplePayloadUrl"),
        registration=described.get("ModelPackageRegistrationType"),
        storage=described.get("ManagedStorageType"),
        specified=bool(main),
        incomplete=tuple(incomplete),
        additional=tuple(additional),
        stage=cycle.get("Stage"),
        stage_status=cycle.get("StageStatus"),
        metadata=tuple(sorted((described.get("CustomerMetadataProperties") or {}).items())),
        card=(described.get("ModelCard") or {}).get("ModelCardStatus"),
    )


def _takes(specification: Mapping[str, Any]) -> Takes:
    return Takes(
        tuple(specification.get("SupportedContentTypes") or ()),
        tuple(specification.get("SupportedResponseMIMETypes") or ()),
        tuple(specification.get("SupportedRealtimeInferenceInstanceTypes") or ()),
    )


def _containers(specification: Mapping[str, Any], name: str | None) -> Iterator[Container]:
    for container in specification.get("Containers") or ():
        artifacts = tuple(dict.fromkeys(_artifacts(container)))
        if not container.get("Image"):
            raise Failed(
                "A container has no image of its own, so there is none to share. Register the version with one."
            )
        hostname, accepted = container.get("ContainerHostname") or None, _eula_accepted(container)
        yield Container(container["Image"], container.get("ImageDigest"), artifacts, name, hostname, accepted)


def _sources(container: Mapping[str, Any]) -> list[Any]:
    """Every S3DataSource of a container's model data."""
    sources = [container.get("ModelDataSource"), *(container.get("AdditionalModelDataSources") or ())]
    return [source["S3DataSource"] for source in sources if source and source.get("S3DataSource")]


def _eula_accepted(container: Mapping[str, Any]) -> bool | None:
    """Source: ModelAccessConfig (AcceptEula) in the SageMaker API reference."""
    asks = [source["ModelAccessConfig"] for source in _sources(container) if source.get("ModelAccessConfig")]
    return all(each.get("AcceptEula") for each in asks) if asks else None


def _artifacts(container: Mapping[str, Any]) -> Iterator[Artifact]:
    if url := container.get("ModelDataUrl"):
        yield artifact_at(url, False, container.get("ModelDataETag"))
    for s3 in filter(None, [*_sources(container), container.get("AdditionalS3DataSource")]):
        yield artifact_at(s3["S3Uri"], s3.get("S3DataType") == "S3Prefix", s3.get("ETag"))
        if manifest := s3.get("ManifestS3Uri"):
            yield replace(artifact_at(manifest, False, s3.get("ManifestEtag")), lists=s3["S3Uri"])
