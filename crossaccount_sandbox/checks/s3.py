"""What AWS checks for the operations of S3 and S3 Control."""

from collections.abc import Iterator
from dataclasses import replace

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check, Rule, key_check, own
from crossaccount_sandbox.checks.s3_keys import (
    beside,
    bucket_keys,
    copy_source,
    object_encryption,
    upload_keys,
    with_request_keys,
)
from crossaccount_sandbox.resources import (
    encryption_of_upload,
    find_key,
    object_key,
    object_tags,
    owner_of_bucket,
    upload_key,
)


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
    context = bucket_keys(call)
    # A name that is taken is refused as that: what is to be made has no policy, and would be the caller's.
    for check in _bucket("CreateBucket")(call):
        yield replace(check, owner=call.account, policy=None, context={**check.context, **context})
    if "aws:TagKeys" in context:
        tags = {key: value for key, value in context.items() if key.startswith("aws:")}
        for check in _bucket("TagResource")(call):
            yield replace(check, owner=call.account, policy=None, context={**check.context, **tags})
    if call.params.get("ObjectOwnership"):
        for check in _bucket("PutBucketOwnershipControls")(call):
            yield replace(check, owner=call.account, policy=None)


def _object(*actions: str) -> Rule:
    """The object that a call names, and the KMS key under which it is, or is about to be, encrypted."""

    def rule(call: Call) -> Iterator[Check]:
        place = (call.params["Bucket"], call.params["Key"], call.params.get("VersionId"))
        for action in actions:
            yield from _on_object(action, call, *place)
        if call.operation == "DeleteObject":
            yield from bypass(call, call.params["Key"])
        # Headers say nothing of what is encrypted: KMS is not asked for them.
        if call.operation == "GetObject":
            yield from _on_key("kms:Decrypt", object_key(*place), call)
        elif call.operation in ("UploadPart", "CompleteMultipartUpload"):
            yield from _on_upload_key(call)
        elif actions[0] == "PutObject":
            yield from _on_new_key(call)

    return rule


# The actions that have a form of their own for a version that is named.
_VERSIONED = frozenset(
    f"{verb}Object{what}"
    for verb, what in (
        ("Get", ""),
        ("Delete", ""),
        ("Get", "Attributes"),
        *((v, "Tagging") for v in ("Get", "Put", "Delete")),
    )
)


def _on_object(action: str, call: Call, bucket: str, key: str, version: str | None = None) -> Iterator[Check]:
    """The check on an object; of an upload also those on what it asks for beside it: a list, tags, a lock."""
    owner, arn = owner_of_bucket(bucket) or call.account, f"arn:aws:s3:::{bucket}"
    for name in (action, *(beside(call) if action == "PutObject" else ())):
        context = upload_keys(name, call)
        if version and name in _VERSIONED:
            name, context = name.replace("Object", "ObjectVersion"), {**context, "s3:VersionId": version}
        elif name == "DeleteObject" and call.params.get("IfMatch"):
            context = {"s3:if-match": str(call.params["IfMatch"])}
        yield Check(f"s3:{name}", f"{arn}/{key}", owner, ("bucket", arn), context=context)


def bypass(call: Call, key: str) -> Iterator[Check]:
    """What is asked of who deletes an object whatever its retention in governance mode says.

    Source: "Object Lock", on governance mode, in the S3 user guide.
    """
    if call.params.get("BypassGovernanceRetention"):
        yield from _on_object("BypassGovernanceRetention", call, call.params["Bucket"], key)


def _on_new_key(call: Call) -> Iterator[Check]:
    params = call.params
    algorithm, named = encryption_of_upload(
        params["Bucket"], params.get("ServerSideEncryption"), params.get("SSEKMSKeyId")
    )
    if str(algorithm).startswith("aws:kms"):
        yield from _on_key("kms:GenerateDataKey", named, call)


def _on_upload_key(call: Call) -> Iterator[Check]:
    """Of the key that a multipart upload was begun under: S3 reads its parts before it completes it.

    Source: "Protecting data using server-side encryption with AWS KMS", on multipart uploads, in the S3 user guide.
    """
    bucket, key = call.params["Bucket"], call.params["Key"]
    for check in _on_key("kms:Decrypt", upload_key(bucket, call.params["UploadId"]), call):
        yield replace(check, context={**check.context, **object_encryption(bucket, key)})


def _on_key(action: str, key_id: str | None, call: Call) -> Iterator[Check]:
    key = find_key(key_id, call.account, call.region) if key_id else None
    if key:
        yield key_check(action, key, {"kms:ViaService": f"s3.{call.region}.amazonaws.com"})


def _copy(call: Call) -> Iterator[Check]:
    bucket, key, version = copy_source(call)
    yield from _on_object("GetObject", call, bucket, key, version)
    yield from _on_key("kms:Decrypt", object_key(bucket, key, version), call)
    place = (call.params["Bucket"], call.params["Key"])
    yield from _on_object("PutObject", call, *place)
    if call.params.get("TaggingDirective", "COPY") == "COPY" and object_tags(bucket, key, version):
        yield from _on_object("GetObjectTagging", call, bucket, key, version)
        yield from _on_object("PutObjectTagging", call, *place)
    yield from _on_new_key(call)


def _copy_part(call: Call) -> Iterator[Check]:
    bucket, key, version = copy_source(call)
    yield from _on_object("GetObject", call, bucket, key, version)
    yield from _on_key("kms:Decrypt", object_key(bucket, key, version), call)
    yield from _on_object("PutObject", call, call.params["Bucket"], call.params["Key"])
    yield from _on_upload_key(call)


def _update_encryption(call: Call) -> Iterator[Check]:
    place = (call.params["Bucket"], call.params["Key"], call.params.get("VersionId"))
    yield from _on_object("UpdateObjectEncryption", call, *place)
    for action in ("kms:Decrypt", "kms:ReEncryptFrom"):
        yield from _on_key(action, object_key(*place), call)
    wanted = (call.params["ObjectEncryption"].get("SSEKMS") or {}).get("KMSKeyArn")
    for action in ("kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptTo"):
        yield from _on_key(action, wanted, call)


def _delete_objects(call: Call) -> Iterator[Check]:
    """One check for each object, in their order: who may not delete one may still delete the others."""
    for entry in call.params.get("Delete", {}).get("Objects", []):
        place = (call.params["Bucket"], entry["Key"], entry.get("VersionId"))
        for check in _on_object("DeleteObject", call, *place):
            yield replace(check, singly=True)


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
    *("PutObject", "PutObjectTagging", "RestoreObject"),
)
_OBJECT_ACTIONS: dict[str, tuple[str, ...]] = {
    "CompleteMultipartUpload": ("PutObject",),
    "CreateMultipartUpload": ("PutObject",),
    "GetObjectAttributes": ("GetObject", "GetObjectAttributes"),
    "HeadObject": ("GetObject",),
    "ListParts": ("ListMultipartUploadParts",),
    "UploadPart": ("PutObject",),
}
_RULES: dict[str, Rule] = {
    **{name: _bucket(name) for name in _SAME_BUCKET_ACTIONS},
    **{name: _bucket(*row) for name, row in _BUCKET_ACTIONS.items()},
    **{name: _object(name) for name in _SAME_OBJECT_ACTIONS},
    **{name: _object(*row) for name, row in _OBJECT_ACTIONS.items()},
    "CreateBucket": _create_bucket,
    "CopyObject": _copy,
    "UploadPartCopy": _copy_part,
    "DeleteObjects": _delete_objects,
    "UpdateObjectEncryption": _update_encryption,
    "ListBuckets": own("s3:ListAllMyBuckets"),
}
_CONTROL_RULES: dict[str, Rule] = {
    "GetPublicAccessBlock": _account_block("Get"),
    "PutPublicAccessBlock": _account_block("Put"),
    "DeletePublicAccessBlock": _account_block("Put"),
}
RULES = {name: with_request_keys(rule) for name, rule in _RULES.items()}
CONTROL_RULES = {name: with_request_keys(rule) for name, rule in _CONTROL_RULES.items()}
