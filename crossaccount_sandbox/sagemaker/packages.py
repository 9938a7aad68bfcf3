"""Model packages: the versions in a group.

Not here: the groups and their policies (``groups``), and what is made of a package (``models``).

Source: DescribeModelPackage (IncludedData) and ModelPackageModelCard in the SageMaker API reference; "View the details of a model
version" in the developer guide for what a version shows beside what it was made with.
"""

import json
from typing import Any

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import key_check
from crossaccount_sandbox.checks.decisions import authorize
from crossaccount_sandbox.images import image_digest
from crossaccount_sandbox.resources import find_key, package_of
from crossaccount_sandbox.sagemaker.groups import find_group, versions, versions_prefix
from crossaccount_sandbox.sagemaker.records import check_region, invalid, listed, members_of, shown
from crossaccount_sandbox.sagemaker.tags import tag
from crossaccount_sandbox.wire import Response, json_response
from crossaccount_sandbox.world import Handler, Record, World


def find_package(world: World, call: Call, named: str) -> Record:
    """The record of a model package that is named by its ARN, also of another account's."""
    arn, _, _ = package_of(named, call.region, call.account)
    check_region(arn, call)
    package = world.registry.packages.get(arn)
    if package is None:
        raise invalid(f"ModelPackage {arn} does not exist.")
    return package


def create_package(world: World, call: Call) -> Response:
    """CreateModelPackage of a version in a group; unversioned packages are not modelled."""
    if not call.params.get("ModelPackageGroupName"):
        raise invalid("The sandbox holds versioned model packages only: name a ModelPackageGroupName.")
    group = find_group(world, call)
    group["Last"] += 1
    name, version = group["ModelPackageGroupName"], group["Last"]
    arn = f"{versions_prefix(group['ModelPackageGroupArn'])}{version}"
    profiles = (call.params.get("ValidationSpecification") or {}).get("ValidationProfiles") or ()
    validated = [{"Name": profile["ProfileName"], "Status": "Completed"} for profile in profiles]
    world.registry.packages[arn] = {
        **{
            key: _with_digests(value)
            for key, value in call.params.items()
            if key not in ("ClientToken", "Tags")
        },
        "ModelPackageGroupName": name,
        "ModelPackageVersion": version,
        "ModelPackageArn": arn,
        "CreationTime": world.clock(),
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": validated, "ImageScanStatuses": []},
        "CertifyForMarketplace": False,
        "ModelApprovalStatus": call.params.get("ModelApprovalStatus", "PendingManualApproval"),
    }
    tag(world, arn, call)
    return json_response({"ModelPackageArn": arn})


def _with_digests(value: Any) -> Any:
    """Inference specifications whose containers say which image their tags meant; anything else as it is."""
    if isinstance(value, list):
        return [_with_digests(item) for item in value]
    if not isinstance(value, dict) or "Containers" not in value:
        return value
    containers = []
    for container in value["Containers"]:
        digest = container.get("ImageDigest") or image_digest(container.get("Image") or "")
        containers.append({**container, **({"ImageDigest": digest} if digest else {})})
    return {**value, "Containers": containers}


def describe_package(world: World, call: Call) -> Response:
    """DescribeModelPackage, by ARN also of another account's.

    The text of a model card under a customer's key is shown to those alone who may decrypt with it; nobody needs to for the rest.

    Raises:
        AwsError: ``AccessDeniedException`` for ``kms:Decrypt``, to all others who ask for all data.
    """
    package = find_package(world, call, call.params["ModelPackageName"])
    card = package.get("ModelCard")
    if not card:
        return shown(call, package)
    if call.params.get("IncludedData") == "MetadataOnly":
        return shown(call, {**package, "ModelCard": {**card, "ModelCardContent": _unencrypted(card)}})
    named = (package.get("SecurityConfig") or {}).get("KmsKeyId")
    _, owner, _ = package_of(package["ModelPackageArn"], call.region, call.account)
    if key := find_key(named, owner, call.region) if named else None:
        authorize(
            world,
            key_check("kms:Decrypt", key, {"kms:ViaService": f"sagemaker.{call.region}.amazonaws.com"}),
            call,
        )
    return shown(call, package)


def _unencrypted(card: Record) -> str:
    """The few fields of a model card's text that are shown to everyone."""
    try:
        content = json.loads(card.get("ModelCardContent") or "{}")
    except ValueError:
        return "{}"
    overview = content.get("model_overview") or {}
    kept = {name: overview[name] for name in ("model_id", "model_name") if name in overview}
    return json.dumps({"model_overview": kept} if kept else {})


def batch_describe(world: World, call: Call) -> Response:
    """BatchDescribeModelPackage."""
    summaries = {arn: world.registry.packages.get(arn) for arn in call.params["ModelPackageArnList"]}
    described = {
        arn: members_of(call, "ModelPackageSummaries", record) for arn, record in summaries.items() if record
    }
    errors = {
        arn: {"ErrorCode": "ValidationException", "ErrorResponse": f"ModelPackage {arn} does not exist."}
        for arn, record in summaries.items()
        if not record
    }
    return json_response({"ModelPackageSummaries": described, "BatchDescribeModelPackageErrorMap": errors})


def list_packages(world: World, call: Call) -> Response:
    """ListModelPackages of a group (by name or ARN), of one approval status or any, newest first unless asked otherwise."""
    if not call.params.get("ModelPackageGroupName"):
        return json_response({"ModelPackageSummaryList": []})
    group = find_group(world, call)
    records = list(versions(world, group["ModelPackageGroupArn"]))

    def fits(record: Record) -> bool:
        return call.params.get("ModelApprovalStatus") in (None, record["ModelApprovalStatus"])

    return listed(call, "ModelPackageSummaryList", records, fits=fits)


_MOST_METADATA = 50  # CustomerMetadataMap in botocore's model
_UPDATABLE = (
    "ModelApprovalStatus",
    "ApprovalDescription",
    "InferenceSpecification",
    "SourceUri",
    "ModelLifeCycle",
    "ModelPackageRegistrationType",
)


def update_package(world: World, call: Call) -> Response:
    """UpdateModelPackage: approval, stage, model card, customer metadata, further inference specifications.

    Raises:
        AwsError: ``ValidationException`` for more than 50 keys of metadata.
    """
    package = find_package(world, call, call.params["ModelPackageArn"])
    metadata = {**(package.get("CustomerMetadataProperties") or {})}
    metadata |= call.params.get("CustomerMetadataProperties") or {}
    for name in call.params.get("CustomerMetadataPropertiesToRemove") or ():
        metadata.pop(name, None)
    if len(metadata) > _MOST_METADATA:
        raise invalid(f"A model package has at most {_MOST_METADATA} customer metadata properties.")
    package |= {name: _with_digests(call.params[name]) for name in _UPDATABLE if name in call.params}
    if card := call.params.get("ModelCard"):
        package["ModelCard"] = {**(package.get("ModelCard") or {}), **card}
    package["CustomerMetadataProperties"] = metadata or None
    package["AdditionalInferenceSpecifications"] = [
        *(package.get("AdditionalInferenceSpecifications") or []),
        *_with_digests(call.params.get("AdditionalInferenceSpecificationsToAdd") or []),
    ] or None
    package["LastModifiedTime"] = world.clock()
    return json_response({"ModelPackageArn": package["ModelPackageArn"]})


def delete_package(world: World, call: Call) -> Response:
    """DeleteModelPackage; its version number is not given again."""
    del world.registry.packages[find_package(world, call, call.params["ModelPackageName"])["ModelPackageArn"]]
    return json_response({})


HANDLERS: dict[str, Handler] = {
    "CreateModelPackage": create_package,
    "DescribeModelPackage": describe_package,
    "BatchDescribeModelPackage": batch_describe,
    "ListModelPackages": list_packages,
    "UpdateModelPackage": update_package,
    "DeleteModelPackage": delete_package,
}
