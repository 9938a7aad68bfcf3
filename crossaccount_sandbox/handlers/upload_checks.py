"""What the request of an upload to S3 may not say, and what must hold for it.

Not here: what it does (``uploads``, ``s3``, ``multipart``).
"""

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Callable
from urllib.parse import parse_qsl

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.handlers.storage import stored_object
from crossaccount_sandbox.wire import AwsError, unchunk

_LONGEST_KEY, _MOST_METADATA = 1024, 2048


def check_request(call: Call) -> None:
    """Refuse an upload whose name, metadata, tags or encryption are none that S3 takes.

    Source: "Error responses" in the S3 API reference, "Object metadata" in the S3 user guide; recordings of S3 by localstack.

    Raises:
        AwsError: ``KeyTooLongError``, ``MetadataTooLarge``, ``InvalidArgument``.
    """
    size = len(call.params["Key"].encode())
    if size > _LONGEST_KEY:
        extra = {"Size": size, "MaxSizeAllowed": _LONGEST_KEY}
        raise AwsError("KeyTooLongError", "Your key is too long", 400, extra)
    size = sum(len(name) + len(value) for name, value in (call.params.get("Metadata") or {}).items())
    if size > _MOST_METADATA:
        text = "Your metadata headers exceed the maximum allowed metadata size"
        raise AwsError("MetadataTooLarge", text, 400, {"Size": size, "MaxSizeAllowed": _MOST_METADATA})
    tagging = call.params.get("Tagging")
    names = [name for name, _ in parse_qsl(str(tagging), keep_blank_values=True)] if tagging else []
    if len(names) != len(set(names)):
        text = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates."
        argument = {"ArgumentName": "x-amz-tagging", "ArgumentValue": str(tagging)}
        raise AwsError("InvalidArgument", text, 400, argument)
    _check_encryption(call.params.get("ServerSideEncryption"), call.params.get("SSEKMSKeyId"))


def _check_encryption(algorithm: str | None, key: str | None) -> None:
    argument = {"ArgumentName": "x-amz-server-side-encryption", "ArgumentValue": algorithm or "null"}
    if algorithm not in (None, "AES256", "aws:kms", "aws:kms:dsse"):
        raise AwsError("InvalidArgument", "The encryption method specified is not supported", 400, argument)
    if key and algorithm in (None, "AES256"):
        text = "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms"
        raise AwsError("InvalidArgument", text, 400, argument)


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
        AwsError: as ``unchunk`` says; ``InvalidDigest``, ``InvalidRequest`` for a digest that is none, for several checksums, and for one of another
            algorithm than the client says it sends; ``BadDigest`` for the digest of other bytes.
    """
    given = {name.lower(): value for name, value in dict(call.headers).items() if name.lower() in _DIGESTS}
    if call.headers.get("X-Amz-Trailer", "").lower() in _DIGESTS:
        trailer = re.search(rb"\r\n(x-amz-checksum-[a-z0-9]+):([^\r\n]+)", call.body[-256:])
        given |= {trailer[1].decode(): trailer[2].decode().strip()} if trailer else {}
    for header, length in _LENGTHS.items():
        if (value := call.headers.get(header)) is not None and not _is_digest(value, length):
            raise AwsError("InvalidRequest", f"Value for {header} header is invalid.")
    _check_algorithm(call)
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


def _check_algorithm(call: Call) -> None:
    found = [header for header in _CHECKSUMS if call.headers.get(header) is not None]
    if len(found) > 1:
        text = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        raise AwsError("InvalidRequest", text)
    named = call.headers.get("x-amz-sdk-checksum-algorithm")
    if not found:
        return
    algorithm = found[0].rpartition("-")[2].upper()
    if named and named.upper() != algorithm:
        raise AwsError("InvalidRequest", "Value for x-amz-sdk-checksum-algorithm header is invalid.")
    call.environ["HTTP_X_AMZ_SDK_CHECKSUM_ALGORITHM"] = algorithm  # moto keeps the checksum that is named so


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
_CHECKSUMS = [*_LENGTHS, *(header for header in _DIGESTS if header != "content-md5")]


def _not_implemented(header: str, further: str) -> AwsError:
    text = "A header you provided implies functionality that is not implemented"
    return AwsError("NotImplemented", text, 501, {"Header": header, "additionalMessage": further})


def precondition_failed(condition: str) -> AwsError:
    """S3's error for a condition that does not hold."""
    text = "At least one of the pre-conditions you specified did not hold"
    return AwsError("PreconditionFailed", text, 412, {"Condition": condition})
