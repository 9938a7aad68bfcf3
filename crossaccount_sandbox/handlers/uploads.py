"""What every upload to S3 has in common: its conditions, its owner, its key, and what is shown of it.

Not here: the operations (``s3``, ``multipart``).
"""

import base64
import binascii
import hashlib
import re
import secrets
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from moto.s3.models import s3_backends

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.s3_keys import copy_source
from crossaccount_sandbox.handlers.kms import check_usable, managed_key
from crossaccount_sandbox.handlers.storage import check_active, stored_object
from crossaccount_sandbox.resources import encryption_of_upload, find_key, object_key, owner_of_bucket
from crossaccount_sandbox.wire import AwsError, Response, unchunk
from crossaccount_sandbox.world import ENFORCED, World, Writer

FULL_CONTROL = "bucket-owner-full-control"
_GRANTS = ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP")
_ENCRYPTION = "x-amz-server-side-encryption"
_UUID = re.compile(r"(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})")


_LONGEST_KEY = 1024


def check_key(call: Call) -> None:
    """Refuse an object's name that is too long: ``KeyTooLongError``."""
    size = len(call.params["Key"].encode())
    if size > _LONGEST_KEY:
        extra = {"Size": size, "MaxSizeAllowed": _LONGEST_KEY}
        raise AwsError("KeyTooLongError", "Your key is too long", 400, extra)


def check_conditions(call: Call) -> None:
    """Refuse an upload whose conditions S3 does not know, or do not hold.

    Source: recordings of S3 by localstack.

    Raises:
        AwsError: ``NotImplemented`` for any If-None-Match but ``*``, an If-Match of ``*``, and both; ``NoSuchKey`` for an
            If-Match of nothing; ``PreconditionFailed``.
    """
    match, none = call.params.get("IfMatch"), call.params.get("IfNoneMatch")
    if match and none:
        raise _not_implemented(
            "If-Match,If-None-Match", "Multiple conditional request headers present in the request"
        )
    for header, refused in (
        ("If-None-Match", none not in (None, "*")),
        ("If-Match", match == "*"),
    ):
        if refused:
            text = f"We don't accept the provided value of {header} header for this API"
            raise _not_implemented(header, text)
    held = stored_object(call.params["Bucket"], call.params["Key"], None)
    if match and held is None:
        raise AwsError("NoSuchKey", "The specified key does not exist.", 404)
    if match and held.etag.strip('"') != match.strip('"'):
        raise precondition_failed("If-Match")
    if none and held is not None:
        raise precondition_failed("If-None-Match")


def check_digests(call: Call) -> None:
    """Refuse bytes that are not those of which the request has a digest.

    Source: "Checking object integrity" in the S3 user guide; recordings of S3 by localstack; the text of ``BadDigest`` from
    public reports.

    Raises:
        AwsError: ``InvalidDigest``, ``InvalidRequest`` for a digest that is none, ``BadDigest`` for another one.
    """
    given = {name.lower(): value for name, value in dict(call.headers).items() if name.lower() in _DIGESTS}
    if call.headers.get("X-Amz-Trailer", "").lower() in _DIGESTS:
        trailer = re.search(rb"\r\n(x-amz-checksum-[a-z0-9]+):([^\r\n]+)", call.body[-256:])
        given |= {trailer[1].decode(): trailer[2].decode().strip()} if trailer else {}
    for header, length in _LENGTHS.items():
        if (value := call.headers.get(header)) is not None and not _is_digest(value, length):
            raise AwsError("InvalidRequest", f"Value for {header} header is invalid.")
    if not given:
        return
    body = unchunk(call.body, call.headers)
    for header, value in given.items():
        name, digest = _DIGESTS[header]
        wanted = digest(body)
        if value == base64.b64encode(wanted).decode():
            continue
        formed = _is_digest(value, len(wanted))
        if name == "Content-MD5":
            code, verb = (
                ("BadDigest", "did not match what we received.")
                if formed
                else ("InvalidDigest", "was invalid.")
            )
            raise AwsError(code, f"The Content-MD5 you specified {verb}")
        if not formed:
            raise AwsError("InvalidRequest", f"Value for {header} header is invalid.")
        raise AwsError("BadDigest", f"The {name} you specified did not match the calculated checksum.")


def _is_digest(value: str, length: int) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) == length
    except binascii.Error:
        return False


# Digests of which no more is checked than their length, in bytes.
_LENGTHS = {"x-amz-checksum-crc32c": 4, "x-amz-checksum-crc64nvme": 8}
_DIGESTS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "content-md5": ("Content-MD5", lambda body: hashlib.md5(body, usedforsecurity=False).digest()),
    "x-amz-checksum-crc32": ("CRC32", lambda body: zlib.crc32(body).to_bytes(4, "big")),
    "x-amz-checksum-sha1": ("SHA1", lambda body: hashlib.sha1(body, usedforsecurity=False).digest()),
    "x-amz-checksum-sha256": ("SHA256", lambda body: hashlib.sha256(body).digest()),
}


def _not_implemented(header: str, further: str) -> AwsError:
    text = "A header you provided implies functionality that is not implemented"
    return AwsError("NotImplemented", text, 501, {"Header": header, "additionalMessage": further})


def precondition_failed(condition: str) -> AwsError:
    """S3's error for a condition that does not hold."""
    text = "At least one of the pre-conditions you specified did not hold"
    return AwsError("PreconditionFailed", text, 412, {"Condition": condition})


def source_of(world: World, call: Call) -> Any:
    """What a copy reads, once it may be read: the emulation's object.

    Raises:
        AwsError: ``NoSuchKey``, ``NoSuchVersion``, ``PreconditionFailed``; ``ObjectNotInActiveTierError`` for an archived one;
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
        AwsError: ``KeyTooLongError``; ``AccessControlListNotSupported`` for any other access control list on a bucket that has them disabled,
            ``NotImplemented`` for one that would do something on a bucket that has not.
    """
    check_key(call)
    acl = call.params.get("ACL")
    owner = owner_of_bucket(call.params["Bucket"])
    if owner is not None and (acl not in (None, FULL_CONTROL) or any(map(call.params.get, _GRANTS))):
        if s3_backends[owner]["aws"].buckets[call.params["Bucket"]].ownership_rule == ENFORCED:
            raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs")
        if acl != "private" or any(map(call.params.get, _GRANTS)):
            text = f"The sandbox knows no access control list but {FULL_CONTROL}."
            raise AwsError("NotImplemented", text, 501)
    return Writer(call.account, acl == FULL_CONTROL)
