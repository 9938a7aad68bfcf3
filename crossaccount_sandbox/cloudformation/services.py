"""The types of the other services that the sandbox has: buckets, keys, repositories, groups of model packages.

Not here: types of hosting; a project's endpoints are made by its own calls.

Source: the types named below in the AWS CloudFormation template reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from crossaccount_sandbox.cloudformation.kinds import (
    Ask,
    Begun,
    Held,
    Kind,
    Properties,
    Wanted,
    changed_properties,
    gone,
    random_suffix,
    tag_changes,
    text_of,
)

_AFTER_DELETION = 30  # days that a key waits, where its resource names none


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Buckets.

# What takes a property of a bucket away again.
_UNSET: dict[str, tuple[str, dict[str, Any]]] = {
    "PutBucketVersioning": ("PutBucketVersioning", {"VersioningConfiguration": {"Status": "Suspended"}}),
    "PutBucketOwnershipControls": ("DeleteBucketOwnershipControls", {}),
    "PutPublicAccessBlock": ("DeletePublicAccessBlock", {}),
    "PutBucketEncryption": ("DeleteBucketEncryption", {}),
}


def _settings(properties: Properties) -> dict[str, dict[str, Any]]:
    """The calls that give a bucket its properties, by the property."""
    calls: dict[str, dict[str, Any]] = {}
    if "VersioningConfiguration" in properties:
        calls["PutBucketVersioning"] = {"VersioningConfiguration": properties["VersioningConfiguration"]}
    if "OwnershipControls" in properties:
        calls["PutBucketOwnershipControls"] = {"OwnershipControls": properties["OwnershipControls"]}
    if "PublicAccessBlockConfiguration" in properties:
        block = {
            name: str(value).lower() == "true"
            for name, value in properties["PublicAccessBlockConfiguration"].items()
        }
        calls["PutPublicAccessBlock"] = {"PublicAccessBlockConfiguration": block}
    if "BucketEncryption" in properties:
        calls["PutBucketEncryption"] = {
            "ServerSideEncryptionConfiguration": _encryption(properties["BucketEncryption"])
        }
    return calls


def _encryption(given: Mapping[str, Any]) -> dict[str, Any]:
    rules = []
    for rule in given.get("ServerSideEncryptionConfiguration", ()):
        asked = rule.get("ServerSideEncryptionByDefault", {})
        default = {name: asked[name] for name in ("SSEAlgorithm", "KMSMasterKeyID") if name in asked}
        shown: dict[str, Any] = {"ApplyServerSideEncryptionByDefault": default}
        if "BucketKeyEnabled" in rule:
            shown["BucketKeyEnabled"] = str(rule["BucketKeyEnabled"]).lower() == "true"
        rules.append(shown)
    return {"Rules": rules}


def _create_bucket(ask: Ask, wanted: Wanted, begun: Begun) -> None:
    name = str(
        wanted.properties.get("BucketName")
        or f"{wanted.stack[:20]}-{wanted.logical_id[:20]}-{random_suffix()}".lower()
    )
    elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": wanted.region}}
    ask("s3", "CreateBucket", {"Bucket": name, **({} if wanted.region == "us-east-1" else elsewhere)})
    begun(
        name,
        {
            "Arn": f"arn:aws:s3:::{name}",
            "DomainName": f"{name}.s3.amazonaws.com",
            "RegionalDomainName": f"{name}.s3.{wanted.region}.amazonaws.com",
        },
    )
    for operation, params in _settings(wanted.properties).items():
        ask("s3", operation, {"Bucket": name, **params})
    if wanted.tagged():
        ask("s3", "PutBucketTagging", {"Bucket": name, "Tagging": {"TagSet": wanted.tagged()}})


def _update_bucket(ask: Ask, held: Held, wanted: Wanted, begun: Begun) -> None:
    before, after = _settings(held.properties), _settings(wanted.properties)
    for operation, params in after.items():
        if before.get(operation) != params:
            ask("s3", operation, {"Bucket": held.physical_id, **params})
    for operation, params in (_UNSET[each] for each in before.keys() - after.keys()):
        ask("s3", operation, {"Bucket": held.physical_id, **params})
    if any(tag_changes(held, wanted)):
        tagging = {"Bucket": held.physical_id, "Tagging": {"TagSet": wanted.tagged()}}
        ask("s3", "PutBucketTagging", tagging)
    begun(held.physical_id, held.attributes)


def _delete_bucket(ask: Ask, held: Held) -> None:
    gone(partial(ask, "s3", "DeleteBucket", {"Bucket": held.physical_id}), "NoSuchBucket")


def _put_bucket_policy(ask: Ask, properties: Properties) -> None:
    document = text_of(properties["PolicyDocument"])
    ask("s3", "PutBucketPolicy", {"Bucket": properties["Bucket"], "Policy": document})


def _create_bucket_policy(ask: Ask, wanted: Wanted, begun: Begun) -> None:
    _put_bucket_policy(ask, wanted.properties)
    begun(str(wanted.properties["Bucket"]), {})


def _update_bucket_policy(ask: Ask, held: Held, wanted: Wanted, begun: Begun) -> None:
    _put_bucket_policy(ask, wanted.properties)
    begun(held.physical_id, {})


def _delete_bucket_policy(ask: Ask, held: Held) -> None:
    bucket = held.properties["Bucket"]
    gone(partial(ask, "s3", "DeleteBucketPolicy", {"Bucket": bucket}), "NoSuchBucket", "NoSuchBucketPolicy")


# Keys.


def _create_key(ask: Ask, wanted: Wanted, begun: Begun) -> None:
    given = wanted.properties
    params: dict[str, Any] = {name: given[name] for name in ("Description", "KeyUsage") if name in given}
    if "KeyPolicy" in given:
        params["Policy"] = text_of(given["KeyPolicy"])
    if wanted.tagged():
        params["Tags"] = [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in wanted.tagged()]
    key = ask("kms", "CreateKey", params)["KeyMetadata"]
    begun(key["KeyId"], {"Arn": key["Arn"], "KeyId": key["KeyId"]})


def _update_key(ask: Ask, held: Held, wanted: Wanted, begun: Begun) -> None:
    key, changed = {"KeyId": held.physical_id}, changed_properties(held.properties, wanted.properties)
    if "KeyPolicy" in changed:
        document = text_of(wanted.properties.get("KeyPolicy") or _of_account(held.attributes["Arn"]))
        ask("kms", "PutKeyPolicy", {**key, "PolicyName": "default", "Policy": document})
    if "Description" in changed:
        ask("kms", "UpdateKeyDescription", {**key, "Description": wanted.properties.get("Description", "")})
    added, removed = tag_changes(held, wanted)
    if added:
        tags = [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in added]
        ask("kms", "TagResource", {**key, "Tags": tags})
    if removed:
        ask("kms", "UntagResource", {**key, "TagKeys": removed})
    begun(held.physical_id, held.attributes)


def _of_account(arn: str) -> dict[str, Any]:
    """The policy of a key that was given none."""
    root = f"arn:aws:iam::{arn.split(':')[4]}:root"
    statement = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def _delete_key(ask: Ask, held: Held) -> None:
    days = int(held.properties.get("PendingWindowInDays", _AFTER_DELETION))
    params = {"KeyId": held.physical_id, "PendingWindowInDays": days}
    gone(partial(ask, "kms", "ScheduleKeyDeletion", params), "NotFoundException")


def _create_alias(ask: Ask, wanted: Wanted, begun: Begun) -> None:
    given = wanted.properties
    ask("kms", "CreateAlias", {"AliasName": given["AliasName"], "TargetKeyId": given["TargetKeyId"]})
    begun(str(given["AliasName"]), {})


def _delete_alias(ask: Ask, held: Held) -> None:
    gone(partial(ask, "kms", "DeleteAlias", {"AliasName": held.physical_id}), "NotFoundException")


# Repositories.


def _create_repository(ask: Ask, wanted: Wanted, begun: Begun) -> None:
    name = str(wanted.properties.get("RepositoryName") or wanted.name("").lower())
    params: dict[str, Any] = {"repositoryName": name}
    if "ImageTagMutability" in wanted.properties:
        params["imageTagMutability"] = wanted.properties["ImageTagMutability"]
    if wanted.tagged():
        params["tags"] = wanted.tagged()
    repository = ask("ecr", "CreateRepository", params)["repository"]
    begun(name, {"Arn": repository["repositoryArn"], "RepositoryUri": repository["repositoryUri"]})
    _set_repository_policy(ask, name, {}, wanted.properties)


def _set_repository_policy(ask: Ask, name: str, before: Properties, after: Properties) -> None:
    old, new = before.get("RepositoryPolicyText"), after.get("RepositoryPolicyText")
    if new is not None and new != old:
        ask("ecr", "SetRepositoryPolicy", {"repositoryName": name, "policyText": text_of(new)})
    elif new is None and old is not None:
        ask("ecr", "DeleteRepositoryPolicy", {"repositoryName": name})


def _update_repository(ask: Ask, held: Held, wanted: Wanted, begun: Begun) -> None:
    _set_repository_policy(ask, held.physical_id, held.properties, wanted.properties)
    added, removed = tag_changes(held, wanted)
    if added:
        ask("ecr", "TagResource", {"resourceArn": held.attributes["Arn"], "tags": added})
    if removed:
        ask("ecr", "UntagResource", {"resourceArn": held.attributes["Arn"], "tagKeys": removed})
    begun(held.physical_id, held.attributes)


def _delete_repository(ask: Ask, held: Held) -> None:
    force = str(held.properties.get("EmptyOnDelete", False)).lower() == "true"
    params = {"repositoryName": held.physical_id, "force": force}
    gone(partial(ask, "ecr", "DeleteRepository", params), "RepositoryNotFoundException")


# Groups of model packages.


def _create_group(ask: Ask, wanted: Wanted, begun: Begun) -> None:
    given = wanted.properties
    params = {
        name: given[name]
        for name in ("ModelPackageGroupName", "ModelPackageGroupDescription")
        if name in given
    }
    tags = {"Tags": wanted.tagged()} if wanted.tagged() else {}
    arn = ask("sagemaker", "CreateModelPackageGroup", {**params, **tags})["ModelPackageGroupArn"]
    begun(arn, {"ModelPackageGroupArn": arn, "ModelPackageGroupStatus": "Completed"})
    _set_group_policy(ask, {}, given)


def _set_group_policy(ask: Ask, before: Properties, after: Properties) -> None:
    old, new = before.get("ModelPackageGroupPolicy"), after.get("ModelPackageGroupPolicy")
    name = {"ModelPackageGroupName": after["ModelPackageGroupName"]}
    if new is not None and new != old:
        ask("sagemaker", "PutModelPackageGroupPolicy", {**name, "ResourcePolicy": text_of(new)})
    elif new is None and old is not None:
        ask("sagemaker", "DeleteModelPackageGroupPolicy", name)


def _update_group(ask: Ask, held: Held, wanted: Wanted, begun: Begun) -> None:
    _set_group_policy(ask, held.properties, wanted.properties)
    added, removed = tag_changes(held, wanted)
    if added:
        ask("sagemaker", "AddTags", {"ResourceArn": held.physical_id, "Tags": added})
    if removed:
        ask("sagemaker", "DeleteTags", {"ResourceArn": held.physical_id, "TagKeys": removed})
    begun(held.physical_id, held.attributes)


def _delete_group(ask: Ask, held: Held) -> None:
    name = {"ModelPackageGroupName": held.properties["ModelPackageGroupName"]}
    gone(partial(ask, "sagemaker", "DeleteModelPackageGroup", name), "ResourceNotFound")


# What the AWS CDK writes into each template about itself, and no service has.


def _note(ask: Ask, wanted: Wanted, begun: Begun) -> None:
    begun(wanted.name("", 128), {})


def _renote(ask: Ask, held: Held, wanted: Wanted, begun: Begun) -> None:
    begun(held.physical_id, held.attributes)


def _forget(ask: Ask, held: Held) -> None:
    """There is nothing to remove."""


KINDS: dict[str, Kind] = {
    "AWS::S3::Bucket": Kind(
        properties=_set(
            "BucketName VersioningConfiguration OwnershipControls PublicAccessBlockConfiguration BucketEncryption Tags"
        ),
        required=frozenset(),
        replacing=_set("BucketName"),
        attributes=_set("Arn DomainName RegionalDomainName"),
        named_by="BucketName",
        create=_create_bucket,
        update=_update_bucket,
        delete=_delete_bucket,
    ),
    "AWS::S3::BucketPolicy": Kind(
        properties=_set("Bucket PolicyDocument"),
        required=_set("Bucket PolicyDocument"),
        replacing=_set("Bucket"),
        attributes=frozenset(),
        create=_create_bucket_policy,
        update=_update_bucket_policy,
        delete=_delete_bucket_policy,
    ),
    "AWS::KMS::Key": Kind(
        properties=_set("Description KeyPolicy KeyUsage PendingWindowInDays Tags"),
        required=frozenset(),
        replacing=_set("KeyUsage"),
        attributes=_set("Arn KeyId"),
        create=_create_key,
        update=_update_key,
        delete=_delete_key,
    ),
    "AWS::KMS::Alias": Kind(
        properties=_set("AliasName TargetKeyId"),
        required=_set("AliasName TargetKeyId"),
        replacing=_set("AliasName TargetKeyId"),
        attributes=frozenset(),
        create=_create_alias,
        delete=_delete_alias,
    ),
    "AWS::ECR::Repository": Kind(
        properties=_set("RepositoryName ImageTagMutability RepositoryPolicyText EmptyOnDelete Tags"),
        required=frozenset(),
        replacing=_set("RepositoryName ImageTagMutability"),
        attributes=_set("Arn RepositoryUri"),
        named_by="RepositoryName",
        create=_create_repository,
        update=_update_repository,
        delete=_delete_repository,
    ),
    "AWS::SageMaker::ModelPackageGroup": Kind(
        properties=_set("ModelPackageGroupName ModelPackageGroupDescription ModelPackageGroupPolicy Tags"),
        required=_set("ModelPackageGroupName"),
        replacing=_set("ModelPackageGroupName ModelPackageGroupDescription"),
        attributes=_set("ModelPackageGroupArn ModelPackageGroupStatus"),
        named_by="ModelPackageGroupName",
        create=_create_group,
        update=_update_group,
        delete=_delete_group,
    ),
    "AWS::CDK::Metadata": Kind(
        properties=_set("Analytics"),
        required=frozenset(),
        replacing=frozenset(),
        attributes=frozenset(),
        create=_note,
        update=_renote,
        delete=_forget,
    ),
}
