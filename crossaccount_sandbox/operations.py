"""Which actions on which resources AWS checks for each operation the sandbox knows.

A row that is not here is an operation that is refused. Not here: the checks that SageMaker makes with an execution
role while it creates a model (``sagemaker``), and the decision (``judge``).

Source: the Service Authorization Reference of each service; for CreateModel from another account's package also the
SageMaker developer guide, "Deploy a Model Version from a Different Account".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from moto.ecr.models import ecr_backends
from moto.kms.models import kms_backends
from moto.s3.models import s3_backends

from crossaccount_sandbox.attached import Key
from crossaccount_sandbox.principals import find_role
from crossaccount_sandbox.wire import AwsError, Call


@dataclass(frozen=True)
class Check:
    """One question to the judge: may the caller do ``action`` on ``resource``, which ``owner`` owns?

    Args:
        action: as it is written in policies.
        resource: an ARN, or ``*`` for actions without resources.
        owner: the account (12 digits) that owns the resource.
        policy: where the resource's own policy is kept; None for resources without one.
        role: for sts:AssumeRole the role whose trust policy is asked.
        context: condition keys that belong to this operation.
        either: other resources of the same owner on which the action would do as well.
    """

    action: str
    resource: str
    owner: str
    policy: Key | None = None
    role: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    either: tuple[str, ...] = ()


Rule = Callable[[Call, str], Iterable[Check]]


def checks(call: Call, account: str) -> tuple[Check, ...]:
    """What AWS checks before it does this.

    Args:
        call: the request.
        account: the caller's account (12 digits).

    Raises:
        AwsError: for an operation that is in no row: it is refused, and says so.
    """
    if call.service in ("iam", "cloudformation"):
        return tuple(_generic(call, account))
    rule = _RULES.get((call.service, call.operation))
    if rule is None:
        raise unknown(call)
    return tuple(rule(call, account))


def unknown(call: Call) -> AwsError:
    """The refusal of an operation that no row describes."""
    text = (
        f"The sandbox does not know which permissions {call.service}:{call.operation} needs, so it refuses it. "
        "Its table is crossaccount_sandbox/operations.py."
    )
    return AwsError("AccessDenied" if call.service in ("s3", "sts") else "AccessDeniedException", text, 403)


def owner_of_bucket(bucket: str) -> str | None:
    """The account that owns a bucket; None when no one does."""
    found = s3_backends.bucket_accounts.get(bucket)
    return None if found is None else str(found[1])


def region_of_bucket(bucket: str) -> str | None:
    """The region that a bucket lies in; None for a bucket that does not exist."""
    owner = owner_of_bucket(bucket)
    return None if owner is None else str(s3_backends[owner]["aws"].buckets[bucket].region_name)


def owner_of_principal(name: str) -> str:
    """A principal as policies compare it: an account's number stands for its root."""
    return f"arn:aws:iam::{name}:root" if name.isdigit() else name


# IAM and CloudFormation: administrators' operations, always in the caller's own account.

_IAM_RESOURCES = (
    ("PolicySourceArn", ""),
    ("PolicyArn", ""),
    ("RoleName", "role"),
    ("UserName", "user"),
    ("GroupName", "group"),
)
_IAM_OPERATIONS = frozenset(
    f"{verb}{noun}"
    for noun, verbs in {
        "Role": "Create Get Delete Update Tag Untag",
        "RolePolicy": "Put Get Delete Attach Detach",
        "RolePermissionsBoundary": "Put Delete",
        "AssumeRolePolicy": "Update",
        "RolePolicies": "List",
        "AttachedRolePolicies": "List",
        "Roles": "List",
        "RoleTags": "List",
        "User": "Create Get Delete",
        "UserPolicy": "Put Get Delete Attach Detach",
        "UserPolicies": "List",
        "AttachedUserPolicies": "List",
        "Users": "List",
        "AccessKey": "Create Delete Update",
        "AccessKeys": "List",
        "Policy": "Create Get Delete",
        "PolicyVersion": "Create Get Delete",
        "PolicyVersions": "List",
        "PrincipalPolicy": "Simulate",
        "Policies": "List",
    }.items()
    for verb in verbs.split()
)
_STACK_WRITES = frozenset({"CreateStack", "UpdateStack", "DeleteStack", "ExecuteChangeSet"})
_STACK_OPERATIONS = _STACK_WRITES | {
    "CreateChangeSet",
    "DeleteChangeSet",
    "DescribeChangeSet",
    "DescribeStackEvents",
    "DescribeStackResources",
    "DescribeStacks",
    "GetTemplate",
    "GetTemplateSummary",
    "ListStackResources",
    "ListStacks",
    "ValidateTemplate",
}


def _generic(call: Call, account: str) -> Iterator[Check]:
    if call.operation not in (_IAM_OPERATIONS if call.service == "iam" else _STACK_OPERATIONS):
        raise unknown(call)
    if call.service == "cloudformation":
        name = str(call.params.get("StackName") or "*")
        arn = (
            name
            if name.startswith("arn:")
            else f"arn:aws:cloudformation:{call.region}:{account}:stack/{name}/*"
        )
        yield Check(f"cloudformation:{call.operation}", arn, account)
        if call.operation in _STACK_WRITES:
            # The emulation makes a stack's resources without asking again, so whoever makes a stack must be able
            # to make what ours hold: roles with policies.
            yield Check("iam:CreateRole", f"arn:aws:iam::{account}:role/*", account)
            yield Check("iam:PutRolePolicy", f"arn:aws:iam::{account}:role/*", account)
        return
    for parameter, kind in _IAM_RESOURCES:
        if value := call.params.get(parameter):
            arn = (
                str(value)
                if not kind
                else f"arn:aws:iam::{account}:{kind}{call.params.get('Path', '/')}{value}"
            )
            yield Check(f"iam:{call.operation}", arn, _owner_in_iam(arn, account))
            return
    yield Check(f"iam:{call.operation}", "*", account)


def _owner_in_iam(arn: str, account: str) -> str:
    """The account that an ARN of IAM names; the caller's own for what AWS keeps for everyone (``iam::aws:policy/...``)."""
    named = arn.split(":")[4] if arn.count(":") >= 5 else ""
    return named if named.isdigit() else account


def _assume_role(call: Call, account: str) -> Iterator[Check]:
    role = str(call.params.get("RoleArn", ""))
    owner = role.split(":")[4] if role.count(":") >= 5 else account
    context = {"sts:RoleSessionName": call.params.get("RoleSessionName", "")}
    if call.params.get("ExternalId"):
        context["sts:ExternalId"] = call.params["ExternalId"]
    yield Check("sts:AssumeRole", role, owner, role=role, context=context)


def _nothing(call: Call, account: str) -> Iterator[Check]:
    """GetCallerIdentity needs no permission."""
    return iter(())


# S3


def _bucket(action: str, *parameters: str) -> Rule:
    def rule(call: Call, account: str) -> Iterator[Check]:
        bucket = call.params["Bucket"]
        owner = owner_of_bucket(bucket) or account
        arn = f"arn:aws:s3:::{bucket}"
        keys = {"Prefix": "s3:prefix", "Delimiter": "s3:delimiter", "MaxKeys": "s3:max-keys"}
        # An absent prefix is the empty one: a condition on s3:prefix must not be passed by leaving it out.
        context = {
            keys[name]: str(call.params.get(name) or "")
            for name in parameters
            if name == "Prefix" or call.params.get(name)
        }
        yield Check(f"s3:{action}", arn, owner, ("bucket", arn), context=context)

    return rule


def _create_bucket(call: Call, account: str) -> Iterator[Check]:
    yield from _bucket("CreateBucket")(call, account)
    if call.params.get("ObjectOwnership"):
        yield from _bucket("PutBucketOwnershipControls")(call, account)


def _object(*actions: str) -> Rule:
    def rule(call: Call, account: str) -> Iterator[Check]:
        yield from _on_object(
            actions,
            call.params["Bucket"],
            call.params["Key"],
            account,
            call.params.get("VersionId"),
            _acl(call),
        )
        yield from _on_object_key(call, account, actions)

    return rule


def _on_object(
    actions: Iterable[str],
    bucket: str,
    key: str,
    account: str,
    version: str | None = None,
    acl: Mapping[str, str] | None = None,
) -> Iterator[Check]:
    owner = owner_of_bucket(bucket) or account
    arn = f"arn:aws:s3:::{bucket}"
    for action in actions:
        versioned = {"GetObject": "GetObjectVersion", "DeleteObject": "DeleteObjectVersion"}.get(
            action, action
        )
        name = versioned if version else action
        context = {**(acl or {}), **({"s3:VersionId": version} if version else {})}
        yield Check(f"s3:{name}", f"{arn}/{key}", owner, ("bucket", arn), context=context)
        if acl and action == "PutObject":
            yield Check("s3:PutObjectAcl", f"{arn}/{key}", owner, ("bucket", arn), context=context)


def _acl(call: Call) -> dict[str, str]:
    """The canned access control list that an upload asks for, as a condition key."""
    return {"s3:x-amz-acl": call.params["ACL"]} if call.params.get("ACL") else {}


def _on_object_key(call: Call, account: str, actions: tuple[str, ...]) -> Iterator[Check]:
    """The checks on the KMS key under which an object is, or is about to be, encrypted."""
    if actions[0] == "GetObject":
        place = (call.params["Bucket"], call.params["Key"], call.params.get("VersionId"))
        yield from _on_key("kms:Decrypt", object_key(*place), call, account)
    elif actions[0] == "PutObject" and call.params.get("ServerSideEncryption") == "aws:kms":
        yield from _on_key("kms:GenerateDataKey", call.params.get("SSEKMSKeyId"), call, account)


def _on_key(action: str, key_id: str | None, call: Call, account: str) -> Iterator[Check]:
    found = find_key(key_id, account, call.region) if key_id else None
    if found:
        yield key_check(action, found, {"kms:ViaService": f"s3.{call.region}.amazonaws.com"})


def object_key(bucket: str, key: str, version: str | None = None) -> str | None:
    """The ARN of the KMS key an object is encrypted under; None when it is not, or does not exist."""
    owner = owner_of_bucket(bucket)
    if owner is None:
        return None
    held = s3_backends[owner]["aws"].buckets[bucket]
    found: Any = held.keys.get(key)
    if version is not None:
        found = next((one for one in held.keys.getlist(key, []) if one.version_id == version), None)
    if getattr(found, "encryption", None) != "aws:kms" or not found.kms_key_id:
        return None
    return find_key(found.kms_key_id, owner, held.region_name)


def copy_source(call: Call) -> tuple[str, str, str | None]:
    """Bucket, key and version (None for the current one) of what a CopyObject copies."""
    source, _, version = str(call.params.get("CopySource", "")).lstrip("/").partition("?versionId=")
    bucket, _, key = unquote(source).partition("/")
    return bucket, key, version or None


def _copy(call: Call, account: str) -> Iterator[Check]:
    bucket, key, version = copy_source(call)
    yield from _on_object(("GetObject",), bucket, key, account, version)
    yield from _on_key("kms:Decrypt", object_key(bucket, key, version), call, account)
    yield from _on_object(("PutObject",), call.params["Bucket"], call.params["Key"], account, acl=_acl(call))
    yield from _on_object_key(call, account, ("PutObject",))


def _delete_objects(call: Call, account: str) -> Iterator[Check]:
    listed = call.params.get("Delete", {}).get("Objects", [])
    if not listed:
        raise unknown(call)
    for entry in listed:
        yield from _on_object(
            ("DeleteObject",), call.params["Bucket"], entry["Key"], account, entry.get("VersionId")
        )


def _list_buckets(call: Call, account: str) -> Iterator[Check]:
    yield Check("s3:ListAllMyBuckets", "*", account)


def _account_block(verb: str) -> Rule:
    def rule(call: Call, account: str) -> Iterator[Check]:
        yield Check(f"s3:{verb}AccountPublicAccessBlock", "*", str(call.params["AccountId"]))

    return rule


# KMS


def find_key(key_id: str, account: str, region: str) -> str | None:
    """The ARN of a KMS key named by id, ARN or alias, as seen from ``account``; None when there is none."""
    if key_id.startswith("arn:aws:kms:"):
        _, _, _, region, account, _ = key_id.split(":", 5)
        if ":alias/" not in key_id:
            exists = key_id.rpartition("/")[2] in kms_backends[account][region].keys
            return key_id if exists else None
        key_id = key_id.split(":", 5)[5]
    backend = kms_backends[account][region]
    if key_id.startswith("alias/"):
        key_id = backend.get_key_id_from_alias(key_id) or ""
    return str(backend.keys[key_id].arn) if key_id in backend.keys else None


def key_state(arn: str) -> str:
    """The state of a KMS key: ``Enabled``, ``Disabled`` or ``PendingDeletion``."""
    _, _, _, region, account, resource = arn.split(":", 5)
    return str(kms_backends[account][region].keys[resource.removeprefix("key/")].key_state)


def key_of(call: Call, account: str) -> str:
    """The ARN of the key that a KMS request is about; ``NotFoundException`` when there is none."""
    named = str(call.params.get("KeyId") or call.params.get("TargetKeyId") or _encrypting_key(call))
    arn = find_key(named, account, call.region)
    if arn is None:
        raise AwsError("NotFoundException", f"Key '{named}' does not exist")
    return arn


def key_check(action: str, arn: str, context: Mapping[str, Any] | None = None) -> Check:
    """The question whether the caller may use a key."""
    return Check(action, arn, arn.split(":")[4], ("key", arn), context=dict(context or {}))


def _key(action: str) -> Rule:
    def rule(call: Call, account: str) -> Iterator[Check]:
        yield key_check(f"kms:{action}", key_of(call, account))

    return rule


def _encrypting_key(call: Call) -> str:
    """The id of the key that a ciphertext was made under; moto's ciphertexts begin with it."""
    blob = call.params.get("CiphertextBlob") or b""
    return bytes(blob)[:36].decode("ascii", "replace")


def _own(action: str) -> Rule:
    def rule(call: Call, account: str) -> Iterator[Check]:
        yield Check(action, "*", account)

    return rule


# ECR


def repository_arn(call: Call, account: str) -> str:
    """The ARN of the repository a call names; it lies in ``registryId`` or else in the caller's account."""
    owner = call.params.get("registryId") or account
    return f"arn:aws:ecr:{call.region}:{owner}:repository/{call.params['repositoryName']}"


def _repository(action: str) -> Rule:
    def rule(call: Call, account: str) -> Iterator[Check]:
        arn = repository_arn(call, account)
        yield Check(f"ecr:{action}", arn, arn.split(":")[4], ("repository", arn))

    return rule


def _repositories(call: Call, account: str) -> Iterator[Check]:
    names = call.params.get("repositoryNames") or ["*"]
    for name in names:
        owner = call.params.get("registryId") or account
        arn = f"arn:aws:ecr:{call.region}:{owner}:repository/{name}"
        yield Check("ecr:DescribeRepositories", arn, owner, ("repository", arn))


def image_repository(registry: str, region: str, name: str) -> bool:
    """True when the repository exists in that registry."""
    return name in ecr_backends[registry][region].repositories


# SageMaker


def _sm(kind: str, name: str, action: str | None = None) -> Rule:
    """A resource of the caller's own account, named by the parameter ``name``."""

    def rule(call: Call, account: str) -> Iterator[Check]:
        named = str(call.params.get(name, "*"))
        arn = f"arn:aws:sagemaker:{call.region}:{account}:{kind}/{named if kind == 'model-package-group' else named.lower()}"
        yield Check(action or f"sagemaker:{call.operation}", arn, account)
        yield from _tags(call, arn, account)

    return rule


def _tags(call: Call, arn: str, account: str) -> Iterator[Check]:
    if tags := call.params.get("Tags"):
        context = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags}
        yield Check(
            "sagemaker:AddTags",
            arn,
            account,
            context={**context, "aws:TagKeys": [tag["Key"] for tag in tags]},
        )


def _endpoint(call: Call, account: str) -> Iterator[Check]:
    """CreateEndpoint and UpdateEndpoint are checked on the endpoint and on its configuration."""
    yield from _sm("endpoint", "EndpointName")(call, account)
    config = str(call.params.get("EndpointConfigName", "")).lower()
    arn = f"arn:aws:sagemaker:{call.region}:{account}:endpoint-config/{config}"
    yield Check(f"sagemaker:{call.operation}", arn, account)


def group_of(arn_or_name: str, region: str, account: str) -> tuple[str, str]:
    """The group's ARN and its owner's account, from the ARN or name of a model package group."""
    if arn_or_name.startswith("arn:"):
        return arn_or_name, arn_or_name.split(":")[4]
    return f"arn:aws:sagemaker:{region}:{account}:model-package-group/{arn_or_name}", account


def package_of(arn_or_name: str, region: str, account: str) -> tuple[str, str, Key | None]:
    """A package's ARN, its owner's account, and where the policy of its group is kept."""
    arn = arn_or_name
    if not arn.startswith("arn:"):
        arn = f"arn:aws:sagemaker:{region}:{account}:model-package/{arn_or_name}"
    _, _, _, of_region, owner, resource = arn.split(":", 5)
    parts = resource.split("/")
    if len(parts) < 3:
        return arn, owner, None
    return arn, owner, ("group", f"arn:aws:sagemaker:{of_region}:{owner}:model-package-group/{parts[1]}")


def _group(call: Call, account: str) -> Iterator[Check]:
    arn, owner = group_of(str(call.params["ModelPackageGroupName"]), call.region, account)
    yield Check(f"sagemaker:{call.operation}", arn, owner, ("group", arn))
    yield from _tags(call, arn, account)


def _list_packages(call: Call, account: str) -> Iterator[Check]:
    if name := call.params.get("ModelPackageGroupName"):
        arn, owner = group_of(str(name), call.region, account)
        # AWS names a package as this action's resource, its own samples grant it on the group too: either will do,
        # and a statement on the group's packages is what the developer guide's policy has.
        yield Check("sagemaker:ListModelPackages", arn, owner, ("group", arn), either=(_versions(arn),))
    else:
        yield Check("sagemaker:ListModelPackages", "*", account)


def _versions(group_arn: str) -> str:
    return group_arn.replace(":model-package-group/", ":model-package/") + "/*"


def _package(parameter: str) -> Rule:
    def rule(call: Call, account: str) -> Iterator[Check]:
        yield _package_check(call, account, str(call.params[parameter]))

    return rule


def _package_check(call: Call, account: str, named: str) -> Check:
    arn, owner, policy = package_of(named, call.region, account)
    context = {}
    if call.operation == "UpdateModelPackage" and call.params.get("ModelApprovalStatus"):
        context["sagemaker:ModelApprovalStatus"] = call.params["ModelApprovalStatus"]
    return Check(f"sagemaker:{call.operation}", arn, owner, policy, context=context)


def _batch_describe(call: Call, account: str) -> Iterator[Check]:
    for arn in call.params.get("ModelPackageArnList", []):
        found, owner, policy = package_of(str(arn), call.region, account)
        yield Check("sagemaker:DescribeModelPackage", found, owner, policy)


def _create_package(call: Call, account: str) -> Iterator[Check]:
    if name := call.params.get("ModelPackageGroupName"):
        group, owner = group_of(str(name), call.region, account)
        arn = _versions(group)
        yield Check("sagemaker:CreateModelPackage", arn, owner, ("group", group))
    else:
        arn = f"arn:aws:sagemaker:{call.region}:{account}:model-package/{call.params.get('ModelPackageName', '*')}"
        yield Check("sagemaker:CreateModelPackage", arn, account)
    yield from _tags(call, arn, account)


def model_packages(params: Mapping[str, Any]) -> list[str]:
    """The model packages that a CreateModel request builds on, as it names them."""
    containers = [params.get("PrimaryContainer") or {}, *(params.get("Containers") or [])]
    return [container["ModelPackageName"] for container in containers if container.get("ModelPackageName")]


def _create_model(call: Call, account: str) -> Iterator[Check]:
    yield from _sm("model", "ModelName")(call, account)
    for named in model_packages(call.params):
        yield _package_check(call, account, named)
    if role := call.params.get("ExecutionRoleArn"):
        yield from pass_role(str(role), account)


def pass_role(role: str, account: str) -> Iterator[Check]:
    """The question whether the caller may hand a role to SageMaker.

    Raises:
        AwsError: when the role is another account's: PassRole cannot cross accounts.
    """
    if role.split(":")[4] != account:
        raise AwsError("ValidationException", "Cross-account pass role is not allowed.")
    found = find_role(role)
    arn = found.arn if found is not None else role
    yield Check("iam:PassRole", arn, account, context={"iam:PassedToService": "sagemaker.amazonaws.com"})


def _by_arn(call: Call, account: str) -> Iterator[Check]:
    """AddTags, DeleteTags and ListTags name their resource by ARN."""
    arn = str(call.params["ResourceArn"])
    yield Check(f"sagemaker:{call.operation}", arn, arn.split(":")[4] if arn.count(":") >= 5 else account)


# CloudWatch and Application Auto Scaling


def alarm_arn(region: str, account: str, name: str) -> str:
    """The ARN of a CloudWatch alarm."""
    return f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}"


def _alarms(call: Call, account: str) -> Iterator[Check]:
    """Alarm operations name one alarm, several, or with neither all of them."""
    one = call.params.get("AlarmName")
    for name in [one] if one else call.params.get("AlarmNames") or ["*"]:
        yield Check(f"cloudwatch:{call.operation}", alarm_arn(call.region, account, str(name)), account)


def _scalable_target(call: Call, account: str) -> Iterator[Check]:
    arn = f"arn:aws:application-autoscaling:{call.region}:{account}:scalable-target/*"
    yield Check(f"application-autoscaling:{call.operation}", arn, account)


_S3_BUCKET_ACTIONS: dict[str, tuple[str, ...]] = {
    "DeleteBucket": ("DeleteBucket",),
    "DeleteBucketEncryption": ("PutEncryptionConfiguration",),
    "DeleteBucketOwnershipControls": ("PutBucketOwnershipControls",),
    "DeleteBucketPolicy": ("DeleteBucketPolicy",),
    "DeletePublicAccessBlock": ("PutBucketPublicAccessBlock",),
    "GetBucketAcl": ("GetBucketAcl",),
    "GetBucketEncryption": ("GetEncryptionConfiguration",),
    "GetBucketLocation": ("GetBucketLocation",),
    "GetBucketOwnershipControls": ("GetBucketOwnershipControls",),
    "GetBucketPolicy": ("GetBucketPolicy",),
    "GetBucketPolicyStatus": ("GetBucketPolicyStatus",),
    "GetBucketTagging": ("GetBucketTagging",),
    "GetBucketVersioning": ("GetBucketVersioning",),
    "GetPublicAccessBlock": ("GetBucketPublicAccessBlock",),
    "HeadBucket": ("ListBucket", "Prefix"),
    "ListMultipartUploads": ("ListBucketMultipartUploads",),
    "ListObjectVersions": ("ListBucketVersions", "Prefix", "Delimiter", "MaxKeys"),
    "ListObjects": ("ListBucket", "Prefix", "Delimiter", "MaxKeys"),
    "ListObjectsV2": ("ListBucket", "Prefix", "Delimiter", "MaxKeys"),
    "PutBucketEncryption": ("PutEncryptionConfiguration",),
    "PutBucketOwnershipControls": ("PutBucketOwnershipControls",),
    "PutBucketPolicy": ("PutBucketPolicy",),
    "PutBucketTagging": ("PutBucketTagging",),
    "PutBucketVersioning": ("PutBucketVersioning",),
    "PutPublicAccessBlock": ("PutBucketPublicAccessBlock",),
}
_S3_OBJECT_ACTIONS = {
    "AbortMultipartUpload": "AbortMultipartUpload",
    "CompleteMultipartUpload": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteObject": "DeleteObject",
    "DeleteObjectTagging": "DeleteObjectTagging",
    "GetObject": "GetObject",
    "GetObjectAttributes": "GetObject",
    "GetObjectTagging": "GetObjectTagging",
    "HeadObject": "GetObject",
    "ListParts": "ListMultipartUploadParts",
    "PutObject": "PutObject",
    "PutObjectTagging": "PutObjectTagging",
    "UploadPart": "PutObject",
}
_KEY_OPERATIONS = [
    "CreateAlias",
    "Decrypt",
    "DescribeKey",
    "DisableKey",
    "EnableKey",
    "EnableKeyRotation",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "GetKeyPolicy",
    "GetKeyRotationStatus",
    "ListKeyPolicies",
    "ListResourceTags",
    "PutKeyPolicy",
    "ScheduleKeyDeletion",
    "CancelKeyDeletion",
    "TagResource",
    "UntagResource",
]
_REPOSITORY_OPERATIONS = [
    "BatchCheckLayerAvailability",
    "BatchDeleteImage",
    "BatchGetImage",
    "CompleteLayerUpload",
    "CreateRepository",
    "DeleteRepository",
    "DeleteRepositoryPolicy",
    "DescribeImages",
    "GetDownloadUrlForLayer",
    "GetRepositoryPolicy",
    "InitiateLayerUpload",
    "ListImages",
    "PutImage",
    "PutImageScanningConfiguration",
    "PutImageTagMutability",
    "SetRepositoryPolicy",
    "UploadLayerPart",
]
_OWN_SAGEMAKER: dict[str, tuple[str, str]] = {
    "DescribeModel": ("model", "ModelName"),
    "DeleteModel": ("model", "ModelName"),
    "CreateEndpointConfig": ("endpoint-config", "EndpointConfigName"),
    "DescribeEndpointConfig": ("endpoint-config", "EndpointConfigName"),
    "DeleteEndpointConfig": ("endpoint-config", "EndpointConfigName"),
    "DescribeEndpoint": ("endpoint", "EndpointName"),
    "DeleteEndpoint": ("endpoint", "EndpointName"),
    "CreateModelPackageGroup": ("model-package-group", "ModelPackageGroupName"),
}

_RULES: dict[tuple[str, str], Rule] = {
    ("sts", "AssumeRole"): _assume_role,
    ("sts", "GetCallerIdentity"): _nothing,
    **{("s3", name): _bucket(*row) for name, row in _S3_BUCKET_ACTIONS.items()},
    **{("s3", name): _object(action) for name, action in _S3_OBJECT_ACTIONS.items()},
    ("s3", "CreateBucket"): _create_bucket,
    ("s3", "CopyObject"): _copy,
    ("s3", "DeleteObjects"): _delete_objects,
    ("s3", "ListBuckets"): _list_buckets,
    ("s3control", "GetPublicAccessBlock"): _account_block("Get"),
    ("s3control", "PutPublicAccessBlock"): _account_block("Put"),
    ("s3control", "DeletePublicAccessBlock"): _account_block("Put"),
    **{("kms", name): _key(name) for name in _KEY_OPERATIONS},
    ("kms", "CreateKey"): _own("kms:CreateKey"),
    ("kms", "ListAliases"): _own("kms:ListAliases"),
    ("kms", "ListKeys"): _own("kms:ListKeys"),
    **{("ecr", name): _repository(name) for name in _REPOSITORY_OPERATIONS},
    ("ecr", "DescribeRepositories"): _repositories,
    ("ecr", "GetAuthorizationToken"): _own("ecr:GetAuthorizationToken"),
    **{("sagemaker", name): _sm(*row) for name, row in _OWN_SAGEMAKER.items()},
    **{
        ("sagemaker", name): _own(f"sagemaker:{name}")
        for name in ("ListModels", "ListEndpointConfigs", "ListEndpoints", "ListModelPackageGroups")
    },
    **{
        ("sagemaker", name): _group
        for name in (
            "DeleteModelPackageGroup",
            "DeleteModelPackageGroupPolicy",
            "DescribeModelPackageGroup",
            "GetModelPackageGroupPolicy",
            "PutModelPackageGroupPolicy",
        )
    },
    ("sagemaker", "ListModelPackages"): _list_packages,
    ("sagemaker", "DescribeModelPackage"): _package("ModelPackageName"),
    ("sagemaker", "DeleteModelPackage"): _package("ModelPackageName"),
    ("sagemaker", "UpdateModelPackage"): _package("ModelPackageArn"),
    ("sagemaker", "BatchDescribeModelPackage"): _batch_describe,
    ("sagemaker", "CreateModelPackage"): _create_package,
    ("sagemaker", "CreateModel"): _create_model,
    ("sagemaker", "CreateEndpoint"): _endpoint,
    ("sagemaker", "UpdateEndpoint"): _endpoint,
    ("sagemaker", "AddTags"): _by_arn,
    ("sagemaker", "DeleteTags"): _by_arn,
    ("sagemaker", "ListTags"): _by_arn,
    ("sagemaker", "UpdateEndpointWeightsAndCapacities"): _sm("endpoint", "EndpointName"),
    **{
        ("cloudwatch", name): _alarms
        for name in ("PutMetricAlarm", "DescribeAlarms", "SetAlarmState", "DeleteAlarms")
    },
    ("application-autoscaling", "RegisterScalableTarget"): _scalable_target,
    ("application-autoscaling", "DeregisterScalableTarget"): _scalable_target,
    ("application-autoscaling", "DescribeScalableTargets"): _own(
        "application-autoscaling:DescribeScalableTargets"
    ),
    ("sagemaker-runtime", "InvokeEndpoint"): _sm("endpoint", "EndpointName", "sagemaker:InvokeEndpoint"),
}
