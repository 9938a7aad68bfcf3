"""What AWS checks for the operations of S3 and S3 Control."""

from collections.abc import Iterator
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


def _object(action: str) -> Rule:
    """The object that a call names, and the KMS key under which it is, or is about to be, encrypted."""

    def rule(call: Call) -> Iterator[Check]:
        place = (call.params["Bucket"], call.params["Key"], call.params.get("VersionId"))
        yield from _on_object(action, call, *place, acl=call.params.get("ACL"))
        # Headers say nothing of what is encrypted: KMS is not asked for them.
        if action == "GetObject" and call.operation != "HeadObject":
            yield from _on_key("kms:Decrypt", object_key(*place), call)
        elif action == "PutObject":
            yield from _on_new_key(call)

    return rule


def _on_object(
    action: str, call: Call, bucket: str, key: str, version: str | None = None, acl: str | None = None
) -> Iterator[Check]:
    """The checks on an object; ``acl`` is the canned access control list that an upload asks for."""
    owner, arn = owner_of_bucket(bucket) or call.account, f"arn:aws:s3:::{bucket}"
    versioned = version and action in ("GetObject", "DeleteObject")
    context = {
        condition: value for condition, value in (("s3:x-amz-acl", acl), ("s3:VersionId", version)) if value
    }
    names = [f"{action}Version" if versioned else action]
    if acl and action == "PutObject":
        names.append("PutObjectAcl")
    for name in names:
        yield Check(f"s3:{name}", f"{arn}/{key}", owner, ("bucket", arn), context=context)


def _on_new_key(call: Call) -> Iterator[Check]:
    if call.params.get("ServerSideEncryption") == "aws:kms":
        yield from _on_key("kms:GenerateDataKey", call.params.get("SSEKMSKeyId"), call)


def _on_key(action: str, key_id: str | None, call: Call) -> Iterator[Check]:
    key = find_key(key_id, call.account, call.region) if key_id else None
    if key:
        yield key_check(action, key, {"kms:ViaService": f"s3.{call.region}.amazonaws.com"})


def copy_source(call: Call) -> tuple[str, str, str | None]:
    """Bucket, key and version (None for the current one) of what a CopyObject copies."""
    source, _, version = str(call.params.get("CopySource", "")).lstrip("/").partition("?versionId=")
    bucket, _, key = unquote(source).partition("/")
    return bucket, key, version or None


def _copy(call: Call) -> Iterator[Check]:
    bucket, key, version = copy_source(call)
    yield from _on_object("GetObject", call, bucket, key, version)
    yield from _on_key("kms:Decrypt", object_key(bucket, key, version), call)
    place = (call.params["Bucket"], call.params["Key"])
    yield from _on_object("PutObject", call, *place, acl=call.params.get("ACL"))
    yield from _on_new_key(call)


def _delete_objects(call: Call) -> Iterator[Check]:
    listed = call.params.get("Delete", {}).get("Objects", [])
    if not listed:
        raise unknown(call)
    for entry in listed:
        place = (call.params["Bucket"], entry["Key"], entry.get("VersionId"))
        yield from _on_object("DeleteObject", call, *place)


def _account_block(verb: str) -> Rule:
    def rule(call: Call) -> Iterator[Check]:
        yield Check(f"s3:{verb}AccountPublicAccessBlock", "*", str(call.params["AccountId"]))

    return rule


# Operations on a bucket that are permitted by actions of the same name, and those that are not.
_SAME_BUCKET_ACTIONS = (
    *(
        "DeleteBucket",
        "DeleteBucketPolicy",
        "GetBucketAcl",
        "GetBucketLocation",
        "GetBucketOwnershipControls",
    ),
    *("GetBucketPolicy", "GetBucketPolicyStatus", "GetBucketTagging", "GetBucketVersioning"),
    *("PutBucketOwnershipControls", "PutBucketPolicy", "PutBucketTagging", "PutBucketVersioning"),
)
_BUCKET_ACTIONS: dict[str, tuple[str, ...]] = {
    "DeleteBucketEncryption": ("PutEncryptionConfiguration",),
    "DeleteBucketOwnershipControls": ("PutBucketOwnershipControls",),
    "DeletePublicAccessBlock": ("PutBucketPublicAccessBlock",),
    "GetBucketEncryption": ("GetEncryptionConfiguration",),
    "GetPublicAccessBlock": ("GetBucketPublicAccessBlock",),
    "HeadBucket": ("ListBucket", "Prefix"),
    "ListMultipartUploads": ("ListBucketMultipartUploads",),
    "ListObjectVersions": ("ListBucketVersions", "Prefix", "Delimiter", "MaxKeys"),
    "ListObjects": ("ListBucket", "Prefix", "Delimiter", "MaxKeys"),
    "ListObjectsV2": ("ListBucket", "Prefix", "Delimiter", "MaxKeys"),
    "PutBucketEncryption": ("PutEncryptionConfiguration",),
    "PutPublicAccessBlock": ("PutBucketPublicAccessBlock",),
}
_SAME_OBJECT_ACTIONS = (
    *("AbortMultipartUpload", "DeleteObject", "DeleteObjectTagging", "GetObject", "GetObjectTagging"),
    *("PutObject", "PutObjectTagging"),
)
_OBJECT_ACTIONS = {
    "CompleteMultipartUpload": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "GetObjectAttributes": "GetObject",
    "HeadObject": "GetObject",
    "ListParts": "ListMultipartUploadParts",
    "UploadPart": "PutObject",
}
RULES: dict[str, Rule] = {
    **{name: _bucket(name) for name in _SAME_BUCKET_ACTIONS},
    **{name: _bucket(*row) for name, row in _BUCKET_ACTIONS.items()},
    **{name: _object(name) for name in _SAME_OBJECT_ACTIONS},
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
