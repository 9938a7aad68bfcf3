"""What every upload to S3 has in common: its source, its owner, its key, and what is shown of it.

Not here: what its request may not say (``upload_checks``) and the operations (``s3``, ``multipart``).
"""

import re
import secrets
from dataclasses import replace
from typing import Any

from moto.s3.models import s3_backends

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.s3_keys import copy_source
from crossaccount_sandbox.handlers.kms import check_usable, managed_key
from crossaccount_sandbox.handlers.storage import check_active, is_marker, stored_object
from crossaccount_sandbox.handlers.upload_checks import check_request, precondition_failed
from crossaccount_sandbox.resources import encryption_of_upload, find_key, object_key, owner_of_bucket
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import ENFORCED, World, Writer

FULL_CONTROL = "bucket-owner-full-control"
_GRANTS = ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP")
_ENCRYPTION = "x-amz-server-side-encryption"
_UUID = re.compile(r"(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})")


def source_of(world: World, call: Call) -> Any:
    """What a copy reads, once it may be read: the emulation's object.

    Raises:
        AwsError: ``NoSuchKey``, ``NoSuchVersion``, ``InvalidRequest`` for a delete marker, ``PreconditionFailed``; ``ObjectNotInActiveTierError`` for an archived one;
            KMS's refusal of a key out of use.
    """
    bucket, key, version = copy_source(call)
    held = stored_object(bucket, key, version)
    if held is None and owner_of_bucket(bucket) is None:
        raise AwsError("NoSuchBucket", "The specified bucket does not exist", 404, {"BucketName": bucket})
    if held is None:
        if version:
            text = "The specified version does not exist."
            raise AwsError("NoSuchVersion", text, 404, {"Key": key, "VersionId": version})
        raise AwsError("NoSuchKey", "The specified key does not exist.", 404, {"Key": key})
    if is_marker(held):
        text = "The source of a copy request may not specifically refer to a delete marker by version id."
        raise AwsError("InvalidRequest", text)
    etag = held.etag.strip('"')
    match, none = (call.params.get(f"CopySource{name}") for name in ("IfMatch", "IfNoneMatch"))
    if match and match.strip('"') not in (etag, "*"):
        raise precondition_failed("x-amz-copy-source-If-Match")
    if none and none.strip('"') in (etag, "*"):
        raise precondition_failed("x-amz-copy-source-If-None-Match")
    check_active(world, call, bucket, key, version, copied=True)
    if encrypted_under := object_key(bucket, key, version):
        check_usable(encrypted_under, "KMS.")
    return held


def encrypting_key(world: World, call: Call) -> str | None:
    """The ARN of the KMS key that an upload is to be encrypted under; None for none.

    Raises:
        AwsError: ``KMS.NotFoundException``, ``KMS.DisabledException``, ``KMS.KMSInvalidStateException``.
    """
    params = call.params
    algorithm, named = encryption_of_upload(
        params["Bucket"], params.get("ServerSideEncryption"), params.get("SSEKMSKeyId")
    )
    if not str(algorithm).startswith("aws:kms"):
        return None
    owner = owner_of_bucket(params["Bucket"]) or call.account
    named = named or managed_key(world, owner, call.region)
    key = find_key(named, call.account, call.region)
    if key is None or key.split(":")[3] != call.region:
        raise AwsError("KMS.NotFoundException", _no_key(named, call))
    check_usable(key, "KMS.")
    return key


def _no_key(named: str, call: Call) -> str:
    """What KMS says of a key that is not there. Source: recordings of S3 by localstack."""
    place = f"arn:aws:kms:{call.region}:{call.account}"
    if named.startswith("arn:") and named.split(":")[3] != call.region:
        return f"Invalid arn {named.split(':')[3]}"
    if named.startswith("alias/") or ":alias/" in named:
        return f"Alias {named if named.startswith('arn:') else f'{place}:{named}'} is not found."
    if named.startswith("arn:"):
        return f"Key '{named}' does not exist"
    return (
        f"Key '{place}:key/{named}' does not exist" if _UUID.fullmatch(named) else f"Invalid keyId '{named}'"
    )


def encrypted(response: Response, algorithm: str | None, key: str | None) -> Response:
    """The answer with the headers that tell of an encryption.

    Source: "Setting default server-side encryption behavior" in the S3 user guide: whatever is uploaded is encrypted.
    """
    kept = [
        (name, value)
        for name, value in response.headers
        if name.lower() not in (_ENCRYPTION, f"{_ENCRYPTION}-aws-kms-key-id")
    ]
    kept.append((_ENCRYPTION, algorithm or "AES256"))
    if key is not None:
        kept.append((f"{_ENCRYPTION}-aws-kms-key-id", key))
    return replace(response, headers=tuple(kept))


def note_upload(world: World, call: Call, writer: Writer, key: str | None, response: Response) -> Response:
    """Note who uploaded an object that is there now, and under which key; the answer, with the ETag that it has under a key.

    Source: "Object" in the S3 API reference: under SSE-KMS an ETag is no MD5 digest of the bytes, and so another at each upload.
    """
    bucket, name = call.params["Bucket"], call.params["Key"]
    held = s3_backends[owner_of_bucket(bucket)]["aws"].buckets[bucket].keys[name]
    if key is None:
        held.encryption = held.encryption or "AES256"
    else:
        before = held.etag.strip('"')
        held.kms_key_id, held._etag = key, secrets.token_hex(16) + before[32:]
        held.encryption = held.encryption or "aws:kms"
        response = replace(
            response,
            body=response.body.replace(before.encode(), held._etag.encode()),
            headers=tuple((header, value.replace(before, held._etag)) for header, value in response.headers),
        )
    if held.checksum_algorithm and not held.checksum_type:
        held.checksum_type = "FULL_OBJECT"
    world.wrote(bucket, name, writer)
    if call.params.get("SSECustomerAlgorithm"):
        return response
    return encrypted(response, held.encryption, key)


def uploader(call: Call) -> Writer:
    """Who uploads, and whether with full control for the bucket's owner.

    Source: "Controlling ownership of objects" in the S3 user guide.

    Raises:
        AwsError: as ``check_request`` says; ``AccessControlListNotSupported`` for any other access control list on a bucket that has them disabled,
            ``NotImplemented`` for one that would do something on a bucket that has not.
    """
    check_request(call)
    acl = call.params.get("ACL")
    owner = owner_of_bucket(call.params["Bucket"])
    if owner is not None and (acl not in (None, FULL_CONTROL) or any(map(call.params.get, _GRANTS))):
        if s3_backends[owner]["aws"].buckets[call.params["Bucket"]].ownership_rule == ENFORCED:
            raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs")
        if acl != "private" or any(map(call.params.get, _GRANTS)):
            text = f"The sandbox knows no access control list but {FULL_CONTROL}."
            raise AwsError("NotImplemented", text, 501)
    return Writer(call.account, acl == FULL_CONTROL)
