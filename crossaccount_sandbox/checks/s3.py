"""What AWS checks for the operations of S3 and S3 Control.

Source: the Service Authorization Reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check, Rule, key_check, own, unknown
from crossaccount_sandbox.resources import find_key, object_key, owner_of_bucket


def _bucket(action: str, *parameters: str) -> Rule:
    def rule(call: Call) -> Iterator[Check]:
        bucket = call.params["Bucket"]
        owner = owner_of_bucket(bucket) or call.account
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


def _create_bucket(call: Call) -> Iterator[Check]:
    yield from _bucket("CreateBucket")(call)
    if call.params.get("ObjectOwnership"):
        yield from _bucket("PutBucketOwnershipControls")(call)


def _object(*actions: str) -> Rule:
    def rule(call: Call) -> Iterator[Check]:
        yield from _on_object(
            actions,
            call,
            call.params["Bucket"],
            call.params["Key"],
            call.params.get("VersionId"),
            _acl(call),
        )
        yield from _on_object_key(call, actions)

    return rule


def _on_object(
    actions: Iterable[str],
    call: Call,
    bucket: str,
    key: str,
    version: str | None = None,
    acl: Mapping[str, str] | None = None,
) -> Iterator[Check]:
    owner = owner_of_bucket(bucket) or call.account
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


def _on_object_key(call: Call, actions: tuple[str, ...]) -> Iterator[Check]:
    """The checks on the KMS key under which an object is, or is about to be, encrypted."""
    if actions[0] == "GetObject":
        place = (call.params["Bucket"], call.params["Key"], call.params.get("VersionId"))
        yield from _on_key("kms:Decrypt", object_key(*place), call)
    elif actions[0] == "PutObject" and call.params.get("ServerSideEncryption") == "aws:kms":
        yield from _on_key("kms:GenerateDataKey", call.params.get("SSEKMSKeyId"), call)


def _on_key(action: str, key_id: str | None, call: Call) -> Iterator[Check]:
    found = find_key(key_id, call.account, call.region) if key_id else None
    if found:
        yield key_check(action, found, {"kms:ViaService": f"s3.{call.region}.amazonaws.com"})


def copy_source(call: Call) -> tuple[str, str, str | None]:
    """Bucket, key and version (None for the current one) of what a CopyObject copies."""
    source, _, version = str(call.params.get("CopySource", "")).lstrip("/").partition("?versionId=")
    bucket, _, key = unquote(source).partition("/")
    return bucket, key, version or None


def _copy(call: Call) -> Iterator[Check]:
    bucket, key, version = copy_source(call)
    yield from _on_object(("GetObject",), call, bucket, key, version)
    yield from _on_key("kms:Decrypt", object_key(bucket, key, version), call)
    yield from _on_object(("PutObject",), call, call.params["Bucket"], call.params["Key"], acl=_acl(call))
    yield from _on_object_key(call, ("PutObject",))


def _delete_objects(call: Call) -> Iterator[Check]:
    listed = call.params.get("Delete", {}).get("Objects", [])
    if not listed:
        raise unknown(call)
    for entry in listed:
        yield from _on_object(
            ("DeleteObject",), call, call.params["Bucket"], entry["Key"], entry.get("VersionId")
        )


def _account_block(verb: str) -> Rule:
    def rule(call: Call) -> Iterator[Check]:
        yield Check(f"s3:{verb}AccountPublicAccessBlock", "*", str(call.params["AccountId"]))

    return rule


_BUCKET_ACTIONS: dict[str, tuple[str, ...]] = {
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


_OBJECT_ACTIONS = {
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


RULES: dict[str, Rule] = {
    **{name: _bucket(*row) for name, row in _BUCKET_ACTIONS.items()},
    **{name: _object(action) for name, action in _OBJECT_ACTIONS.items()},
    "CreateBucket": _create_bucket,
    "CopyObject": _copy,
    "DeleteObjects": _delete_objects,
    "ListBuckets": own("s3:ListAllMyBuckets"),
}
CONTROL_RULES: dict[str, Rule] = {
    "GetPublicAccessBlock": _account_block("Get"),
    "PutPublicAccessBlock": _account_block("Put"),
    "DeletePublicAccessBlock": _account_block("Put"),
}
