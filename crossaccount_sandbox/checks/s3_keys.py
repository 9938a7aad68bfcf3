"""The condition keys of requests to S3, and of those that S3 makes to KMS for them.

Not here: which actions are asked (``s3``), and the keys of what is there already (``resource_keys``).

Source: "Actions, resources, and condition keys for Amazon S3" in the Service Authorization Reference; "Amazon S3
condition key examples", "Specifying server-side encryption with AWS KMS" and "Enforce conditional writes" in the S3 user
guide. Policies see what the request says: S3 reads them before it applies a bucket's default encryption.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check, Rule
from crossaccount_sandbox.checks.tagging import request_tags
from crossaccount_sandbox.resources import find_key
from crossaccount_sandbox.signatures import signature_version
from crossaccount_sandbox.wire import AwsError

_LISTS = {
    "ACL": "s3:x-amz-acl",
    "GrantFullControl": "s3:x-amz-grant-full-control",
    "GrantRead": "s3:x-amz-grant-read",
    "GrantReadACP": "s3:x-amz-grant-read-acp",
    "GrantWrite": "s3:x-amz-grant-write",
    "GrantWriteACP": "s3:x-amz-grant-write-acp",
}
_HOLD = {"ObjectLockLegalHoldStatus": "s3:object-lock-legal-hold"}
_LOCK = {
    "ObjectLockMode": "s3:object-lock-mode",
    "ObjectLockRetainUntilDate": "s3:object-lock-retain-until-date",
}
_CLASS = {"StorageClass": "s3:x-amz-storage-class"}
# The parameters of an upload that each of its actions knows, and their keys.
_PARAMETERS: dict[str, dict[str, str]] = {
    "PutObject": {
        **_LISTS,
        **_HOLD,
        **_LOCK,
        **_CLASS,
        "IfMatch": "s3:if-match",
        "IfNoneMatch": "s3:if-none-match",
        "MetadataDirective": "s3:x-amz-metadata-directive",
        "SSECustomerAlgorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
        "ServerSideEncryption": "s3:x-amz-server-side-encryption",
        "WebsiteRedirectLocation": "s3:x-amz-website-redirect-location",
    },
    "PutObjectAcl": {**_LISTS, **_CLASS},
    "PutObjectLegalHold": _HOLD,
    "PutObjectRetention": _LOCK,
    "PutObjectTagging": {},
}
_CREATIONS = ("PutObject", "CopyObject", "CompleteMultipartUpload")
_PARTS = ("CreateMultipartUpload", "UploadPart", "UploadPartCopy")


def copy_source(call: Call) -> tuple[str, str, str | None]:
    """Bucket, key and version (None for the current one) of what a CopyObject copies; of no bucket for any other call.

    Raises:
        AwsError: ``InvalidArgument`` for a source that names no bucket or no key.
    """
    source, _, version = str(call.params.get("CopySource", "")).partition("?versionId=")
    bucket, _, key = unquote(source).removeprefix("/").partition("/")
    if "CopySource" in call.params and not (bucket and key):
        text = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"
        extra = {"ArgumentName": "x-amz-copy-source", "ArgumentValue": str(call.params["CopySource"])}
        raise AwsError("InvalidArgument", text, 400, extra)
    return bucket, key, version or None


def upload_keys(action: str, call: Call) -> dict[str, Any]:
    """The keys that an action of an upload has of the request: those that AWS lists for it, as far as there are values.

    Args:
        action: without its ``s3:``.
        call: the request.
    """
    context = _named(_PARAMETERS.get(action, {}), call)
    if action == "PutObject":
        context |= _of_upload(call)
    elif action == "UpdateObjectEncryption":
        context |= _of_new_encryption(call.params["ObjectEncryption"])
    if action in ("PutObject", "PutObjectTagging"):
        tags = _tags(call.params.get("Tagging"))
        context |= {f"s3:RequestObjectTag/{key}": value for key, value in tags.items()}
        context |= {"s3:RequestObjectTagKeys": list(tags)} if tags else {}
    return context


def _named(keys: dict[str, str], call: Call) -> dict[str, Any]:
    given = {key: call.params.get(name) for name, key in keys.items()}
    return {
        key: value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else str(value)
        for key, value in given.items()
        if value
    }


def _of_upload(call: Call) -> dict[str, Any]:
    context: dict[str, Any] = {}
    if named := call.params.get("SSEKMSKeyId"):
        arn = find_key(str(named), call.account, call.region)
        context["s3:x-amz-server-side-encryption-aws-kms-key-id"] = arn or str(named)
    if call.params.get("CopySource"):
        context["s3:x-amz-copy-source"] = "/".join(copy_source(call)[:2])
    if call.operation in (*_CREATIONS, *_PARTS):
        context["s3:ObjectCreationOperation"] = call.operation in _CREATIONS
    return context


def _of_new_encryption(wanted: Mapping[str, Any]) -> dict[str, Any]:
    key = (wanted.get("SSEKMS") or {}).get("KMSKeyArn")
    if key is None:
        return {"s3:x-amz-server-side-encryption": "AES256"}
    return {
        "s3:x-amz-server-side-encryption": "aws:kms",
        "s3:x-amz-server-side-encryption-aws-kms-key-id": str(key),
    }


def bucket_keys(call: Call) -> dict[str, Any]:
    """The keys of a bucket that is to be made: its place, its lists, who is to own its objects, its tags."""
    settings = call.params.get("CreateBucketConfiguration") or {}
    context = _named({**_LISTS, "ObjectOwnership": "s3:x-amz-object-ownership"}, call)
    context |= _named({"BucketNamespace": "s3:x-amz-bucket-namespace"}, call)
    if settings.get("LocationConstraint"):
        context["s3:locationconstraint"] = str(settings["LocationConstraint"])
    return context | request_tags(settings.get("Tags"))


def _tags(tagging: object) -> dict[str, str]:
    """Tags as a header of an upload has them, or as PutObjectTagging does."""
    if isinstance(tagging, str):
        return dict(parse_qsl(tagging, keep_blank_values=True))
    listed = (tagging.get("TagSet") if isinstance(tagging, dict) else None) or ()
    return {str(tag.get("Key")): str(tag.get("Value", "")) for tag in listed}


def beside(call: Call) -> Iterator[str]:
    """The actions that an upload needs beside s3:PutObject, for what it asks in the same request.

    Source: "Required permissions for Amazon S3 API operations" in the S3 user guide.
    """
    params = call.params
    if any(params.get(name) for name in _LISTS):
        yield "PutObjectAcl"
    if isinstance(params.get("Tagging"), str) and params["Tagging"]:
        yield "PutObjectTagging"
    if params.get("ObjectLockMode") or params.get("ObjectLockRetainUntilDate"):
        yield "PutObjectRetention"
    if params.get("ObjectLockLegalHoldStatus"):
        yield "PutObjectLegalHold"


def with_request_keys(rule: Rule) -> Rule:
    """The rule, each of whose checks has the keys that every request to S3 has, or that S3 hands on to KMS."""

    def checks(call: Call) -> Iterator[Check]:
        for check in rule(call):
            add: Callable[[Call, Check], dict[str, Any]] = (
                _to_kms if check.action.startswith("kms:") else _signed
            )
            yield replace(check, context={**check.context, **add(call, check)})

    return checks


def _signed(call: Call, check: Check) -> dict[str, Any]:
    header = "HTTP_AUTHORIZATION" in call.environ
    context = {
        "s3:authType": "REST-HEADER" if header else "REST-QUERY-STRING",
        "s3:signatureversion": signature_version(call.environ),
    }
    if digest := call.headers.get("X-Amz-Content-SHA256"):
        context["s3:x-amz-content-sha256"] = digest
    return context


def _to_kms(call: Call, check: Check) -> dict[str, Any]:
    """The encryption context that S3 uses a key with, where the check does not have its own."""
    if "kms:EncryptionContextKeys" in check.context:
        return {}
    place = copy_source(call)[:2] if check.action == "kms:Decrypt" and call.params.get("CopySource") else None
    bucket, key = place or (call.params["Bucket"], call.params.get("Key", ""))
    given = _further(call.params.get("SSEKMSEncryptionContext")) if place is None else {}
    return object_encryption(bucket, key, given)


def object_encryption(bucket: str, key: str, further: dict[str, str] | None = None) -> dict[str, Any]:
    """The KMS keys of an object's encryption context: its ARN, and what the upload added.

    Source: "Encryption context" in "Using server-side encryption with AWS KMS keys" in the S3 user guide; with a bucket
    key the context is the bucket's ARN, which the sandbox does not model.
    """
    pairs = {**(further or {}), "aws:s3:arn": f"arn:aws:s3:::{bucket}/{key}"}
    return {**encryption_context(pairs), "kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}


def encryption_context(pairs: dict[str, str]) -> dict[str, Any]:
    """``kms:EncryptionContext:KEY`` and ``kms:EncryptionContextKeys`` of an encryption context."""
    if not pairs:
        return {}
    context: dict[str, Any] = {f"kms:EncryptionContext:{key}": value for key, value in pairs.items()}
    return {**context, "kms:EncryptionContextKeys": list(pairs)}


def _further(encoded: object) -> dict[str, str]:
    """What an upload adds to the encryption context, base64 of JSON; nothing where it cannot be read."""
    try:
        pairs = json.loads(base64.b64decode(str(encoded or ""), validate=True) or b"{}")
    except (binascii.Error, ValueError):
        return {}
    return {str(key): str(value) for key, value in pairs.items()} if isinstance(pairs, dict) else {}
