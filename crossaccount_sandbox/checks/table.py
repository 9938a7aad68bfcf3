"""Every operation with its actions, resources and condition keys, as Markdown: the checks' own answer to specimens.

A rule is asked about a request that says everything it could and one that says only what it must; what it yields is the
table. Not here: the rules (a file for each service), and whether AWS asks the same.
"""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape
from moto.core.utils import get_service_model
from moto.ecr.models import ecr_backends
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.s3.models import s3_backends

from crossaccount_sandbox.callers import Caller
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check
from crossaccount_sandbox.checks.kms import BY_ALIAS
from crossaccount_sandbox.checks.operations import checks_of, known_operations
from crossaccount_sandbox.checks.resource_keys import resource_keys
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import World

_ACCOUNT, _REGION, _DEPTH = "123456789012", "us-east-1", 6
_ROLE = f"arn:aws:iam::{_ACCOUNT}:role/PATH/ROLE"
_GROUP = f"arn:aws:sagemaker:{_REGION}:{_ACCOUNT}:model-package-group/GROUP"
_PACKAGE = f"arn:aws:sagemaker:{_REGION}:{_ACCOUNT}:model-package/GROUP/VERSION"
_HEAD = """\
# What the emulated AWS asks for each operation

`python -m crossaccount_sandbox.judge --operations` prints this page from the checks themselves; a test holds it to that.

An operation that is not listed is refused. Every action must be allowed on the resource beside it; where a row names two
resources with *or*, an Allow on one of them suffices and a Deny on one of them wins. A key is in the context where the
request or the resource has a value for it, and a condition on any other sees that it is absent. `KEY` stands for a tag's
key and its like. A name in lower case is one that AWS's ARNs have in lower case.

These keys are in the context of every action: `aws:CurrentTime`, `aws:EpochTime`, `aws:FederatedProvider`,
`aws:MultiFactorAuthPresent`, `aws:PrincipalAccount`, `aws:PrincipalArn`, `aws:PrincipalIsAWSService`, `aws:PrincipalOrgID`, `aws:PrincipalOrgPaths`, `aws:PrincipalTag/KEY`,
`aws:PrincipalType`, `aws:RequestedRegion`, `aws:ResourceAccount`, `aws:ResourceOrgID`, `aws:ResourceOrgPaths`,
`aws:SecureTransport`, `aws:SourceIdentity`, `aws:SourceIp`, `aws:TokenIssueTime`, `aws:UserAgent`, `aws:ViaAWSService`,
`aws:userid` and `aws:username`; of every action of S3 also `s3:ResourceAccount`, `s3:TlsVersion`, `s3:authType`,
`s3:signatureversion` and `s3:x-amz-content-sha256`, and where the request is signed in its URL by Version 4
`s3:signatureAge`; of every action of KMS also `kms:CallerAccount`;
of every action that CloudFormation asks with its caller's permissions also `aws:CalledVia`, `aws:CalledViaFirst` and
`aws:CalledViaLast`.
"""
_EVERYWHERE = frozenset(
    [
        *(
            "s3:ResourceAccount",
            "s3:TlsVersion",
            "s3:authType",
            "s3:signatureversion",
            "s3:x-amz-content-sha256",
        ),
        "kms:CallerAccount",
    ]
)


def operations_table() -> str:
    """The page. It fills the emulation of this process with what the specimens name, so it wants a process of its own."""
    world, values = _setting()
    parts = [_HEAD]
    for service, operations in known_operations().items():
        parts.append(f"\n## {service}\n\n| operation | action | resource | keys |\n|---|---|---|---|\n")
        for operation in sorted(operations):
            parts += _rows(world, values, service, operation)
    text = "".join(parts)
    for specimen, shown in ((_ACCOUNT, "ACCOUNT"), (_REGION, "REGION"), (values["TargetKeyId"], "KEY_ID")):
        text = text.replace(specimen, shown)
    return text


def _rows(world: World, values: dict[str, Any], service: str, operation: str) -> Iterator[str]:
    found: dict[tuple[str, str], set[str]] = {}
    whole, bare = _specimens(values, service, operation)
    for check in (*checks_of(whole), *_checks_of_bare(bare)):
        resources = " or ".join(f"`{resource}`" for resource in (check.resource, *check.either))
        keys = found.setdefault((check.action, resources), set())
        keys |= {*check.context, *resource_keys(world, check)} - _EVERYWHERE
    if not found:
        yield f"| {operation} | none | | |\n"
    for number, ((action, resources), keys) in enumerate(found.items()):
        shown = ", ".join(f"`{key}`" for key in sorted(keys, key=str.lower))
        yield f"| {'' if number else operation} | `{action}` | {resources} | {shown} |\n"


def _checks_of_bare(call: Call) -> tuple[Check, ...]:
    """The checks of a request that says what it must; none where that is too little for the rule to read."""
    try:
        return checks_of(call)
    except AwsError:
        return ()


def _specimens(values: dict[str, Any], service: str, operation: str) -> Iterator[Call]:
    shape = get_service_model(service).operation_model(operation).input_shape
    if service == "kms" and operation not in BY_ALIAS:
        values = {**values, "KeyId": values["TargetKeyId"]}
    caller = Caller(f"arn:aws:iam::{_ACCOUNT}:user/USER", _ACCOUNT, "AIDASPECIMEN")
    for whole in (True, False):
        params = {} if shape is None else _specimen(shape, "", values, whole, 0)
        environ = {"HTTP_AUTHORIZATION": "AWS4-HMAC-SHA256"}
        headers = {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
        yield Call(caller, service, operation, params, _REGION, environ, b"", headers, _unserved)


def _unserved(account: str | None) -> Response:
    raise AssertionError(f"a specimen is not served, for account {account} or any other")


def _specimen(shape: Shape, name: str, values: dict[str, Any], whole: bool, depth: int) -> Any:
    """A value of a shape: the setting's for a member of that name, else its name, a number, a truth, a time."""
    if isinstance(shape, StructureShape):
        if depth > _DEPTH:
            return {}
        if set(shape.members) == {"Key", "Value"}:
            return {"Key": "KEY", "Value": "VALUE"}
        members = shape.members if whole else {key: shape.members[key] for key in shape.required_members}
        return {key: _specimen(member, key, values, whole, depth + 1) for key, member in members.items()}
    if isinstance(shape, ListShape):
        return [_specimen(shape.member, name, values, whole, depth + 1)]
    if isinstance(shape, MapShape):
        return {"KEY": _specimen(shape.value, "", values, whole, depth + 1)}
    if name in values and shape.type_name in ("string", "blob"):
        return values[name]
    choices = shape.metadata.get("enum")
    plain = {"boolean": True, "timestamp": datetime(2026, 1, 1, tzinfo=UTC), "blob": b"x"}
    if shape.type_name == "string":
        return choices[0] if choices else name.upper() or "VALUE"
    return plain.get(shape.type_name, 1)


def _setting() -> tuple[World, dict[str, Any]]:
    """A world that holds what the specimens name, each of it tagged, and the values that name it."""
    tags = [{"Key": "KEY", "Value": "VALUE"}]
    kms = kms_backends[_ACCOUNT][_REGION]
    key = kms.create_key(None, "ENCRYPT_DECRYPT", "", "", [{"TagKey": "KEY", "TagValue": "VALUE"}])
    kms.create_alias(key.id, "alias/ALIAS")
    s3 = s3_backends[_ACCOUNT]["aws"]
    s3.create_bucket("bucket", _REGION)
    stored = s3.put_object("bucket", "OBJECT", b"", encryption="aws:kms", kms_key_id=key.id)
    s3.tagger.tag_resource(stored.arn, tags)
    upload = s3.create_multipart_upload("bucket", "OBJECT", {}, "STANDARD", {}, None, "aws:kms", str(key.arn))
    iam = iam_backends[_ACCOUNT]["aws"]
    iam.create_role("ROLE", "{}", "/PATH/", f"arn:aws:iam::{_ACCOUNT}:policy/BOUNDARY", "", tags, "3600")
    iam.create_user(_REGION, "USER", "/PATH/", tags)
    repository = f"arn:aws:ecr:{_REGION}:{_ACCOUNT}:repository/REPOSITORY"
    ecr_backends[_ACCOUNT][_REGION].tagger.tag_resource(repository, tags)
    world = World({})
    world.registry.tags = _Tagged()
    world.registry.packages[_PACKAGE] = {
        "ModelLifeCycle": {"Stage": "x", "StageStatus": "x"},
        "CustomerMetadataProperties": {"KEY": "VALUE"},
    }
    return world, {
        "AccountId": _ACCOUNT,
        "AliasName": "alias/ALIAS",
        "Bucket": "bucket",
        "CiphertextBlob": key.id.encode(),
        "CopySource": "bucket/OBJECT",
        "DestinationKeyId": key.id,
        "ExecutionRoleArn": _ROLE,
        "Key": "OBJECT",
        "KMSKeyArn": str(key.arn),
        "KeyId": "alias/ALIAS",
        "ModelPackageArn": _PACKAGE,
        "ModelPackageArnList": _PACKAGE,
        "ModelPackageGroupName": "GROUP",
        "ModelPackageName": _PACKAGE,
        "Path": "/PATH/",
        "PolicyArn": f"arn:aws:iam::{_ACCOUNT}:policy/PATH/POLICY",
        "PolicyName": "POLICY",
        "PolicySourceArn": _ROLE,
        "ResourceArn": f"arn:aws:sagemaker:{_REGION}:{_ACCOUNT}:KIND/NAME",
        "RoleArn": _ROLE,
        "RoleName": "ROLE",
        "SSEKMSEncryptionContext": base64.b64encode(b'{"KEY": "VALUE"}').decode(),
        "SSEKMSKeyId": "alias/ALIAS",
        "ServerSideEncryption": "aws:kms",
        "SourceKeyId": key.id,
        "TagKey": "KEY",
        "TagKeys": "KEY",
        "Tagging": "KEY=VALUE",
        "TargetKeyId": key.id,
        "TransitiveTagKeys": "KEY",
        "UploadId": upload.id,
        "UserName": "USER",
        "VersionId": stored.version_id,
        "permissionArn": f"arn:aws:ram:{_REGION}:{_ACCOUNT}:permission/PERMISSION",
        "resourceShareArn": f"arn:aws:ram:{_REGION}:{_ACCOUNT}:resource-share/SHARE",
        "logGroupIdentifier": "",
        "logGroupName": "GROUP",
        "logStreamName": "STREAM",
        "registryId": _ACCOUNT,
        "repositoryName": "REPOSITORY",
        "repositoryNames": "REPOSITORY",
        "resourceArn": repository,
        "tagKeys": "KEY",
    }


class _Tagged(dict[str, dict[str, str]]):
    """Tags of whatever is asked for."""

    def get(self, arn: str, default: Any = None) -> dict[str, str]:
        return {"KEY": "VALUE"}
