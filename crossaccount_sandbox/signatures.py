"""Signatures as AWS computes them from a request: Version 4 in headers or a URL, and Version 2 in a URL for S3.

Version 2 is what boto3 signs URLs with in us-east-1, where S3 was seen to take it, and it has no region: a bucket anywhere else
does not take it here.

Not here: whose key it is and what follows from it (``callers``).

Source: "Create a signed AWS API request" in the IAM user guide; "Authenticating Requests: Using Query Parameters" in the S3
API reference; "Signing and Authenticating REST
Requests (AWS signature version 2)" in the S3 user guide; that S3 decodes a query before it signs it, ``+`` as a blank, from public reports.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from moto.core.utils import get_service_model

from crossaccount_sandbox.wire import Scope

ALGORITHM = "AWS4-HMAC-SHA256"
_NEEDED = ("Algorithm", "Credential", "Signature", "Date", "SignedHeaders", "Expires")
_OF_SIGNATURE = frozenset(f"x-amz-{name.lower()}" for name in (*_NEEDED, "Security-Token"))
_PASSED_OVER = ("x-amz-checksum-", "x-amz-sdk-checksum-")
_OLD = ("AWSAccessKeyId", "Signature", "Expires")
_SIGNED_BY_OLD = "crossaccount_sandbox.signed_by_version_2"
# The parameters that Version 2 signs.
_SUBRESOURCES = frozenset(
    [
        *(
            "accelerate",
            "acl",
            "analytics",
            "cors",
            "delete",
            "encryption",
            "inventory",
            "lifecycle",
            "location",
        ),
        *("logging", "metrics", "notification", "object-lock", "partNumber", "policy", "replication"),
        *(
            "requestPayment",
            "restore",
            "select",
            "select-type",
            "storageClass",
            "tagging",
            "torrent",
            "uploadId",
        ),
        *("uploads", "versionId", "versioning", "versions", "website"),
        *(f"response-{name}" for name in ("cache-control", "content-disposition", "content-encoding")),
        *(f"response-{name}" for name in ("content-language", "content-type", "expires")),
    ]
)
_PRESIGNED_AT = "crossaccount_sandbox.presigned_at"


@dataclass(frozen=True)
class Signed:
    """A signature that was computed, and the two texts that it comes from."""

    signature: str
    to_sign: str
    canonical: str


def pairs(query: str) -> Iterator[tuple[bytes, bytes]]:
    """Names and values of a query string, decoded as S3 decodes it: ``+`` is a blank."""
    for part in query.split("&"):
        if part:
            name, _, value = part.replace("+", " ").partition("=")
            yield unquote_to_bytes(name), unquote_to_bytes(value)


def sign(
    secret: str, scope: Scope, environ: Mapping[str, Any], headers: Mapping[str, str], body: bytes
) -> Signed:
    """The signature that a request would have from this secret; its canonical form is empty for Version 2.

    Args:
        secret: of the access key.
        scope: what it is signed for, and which headers.
        environ: the request.
        headers: its headers.
        body: its body.
    """
    if scope.version == 2:
        return _sign_old(secret, scope, environ, headers)
    named = "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in scope.signed_headers)
    canonical = "\n".join(
        [
            environ["REQUEST_METHOD"],
            _path(scope, environ),
            _query(environ.get("QUERY_STRING", "")),
            named,
            ";".join(scope.signed_headers),
            _payload(scope, environ, headers, body),
        ]
    )
    to_sign = _to_sign(scope, ALGORITHM, hashlib.sha256(canonical.encode()).hexdigest())
    return Signed(_signature(secret, scope, to_sign), to_sign, canonical)


def _to_sign(scope: Scope, kind: str, *lines: str) -> str:
    place = f"{scope.date}/{scope.region}/{scope.service}/aws4_request"
    return "\n".join((kind, scope.stamp, place, *lines))


def _signature(secret: str, scope: Scope, to_sign: str) -> str:
    key = f"AWS4{secret}".encode()
    for part in (scope.date, scope.region, scope.service, "aws4_request", to_sign):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex()


def chunks_hold(secret: str, scope: Scope, body: bytes) -> bool:
    """Whether each chunk of a body that is signed chunk by chunk has its signature, one after the other, and its trailer.

    Source: "Signature calculations for the Authorization header: Transferring payload in multiple chunks" and "... including
    trailing headers" in the S3 API reference.

    Args:
        secret: of the access key.
        scope: the signature of the request, which is that before the first chunk's.
        body: with its chunks' framing.
    """
    before, rest = scope.signature, body
    while match := _CHUNK.match(rest):
        size, given = int(match[1], 16), match[2].decode()
        content, rest = rest[match.end() : match.end() + size], rest[match.end() + size :]
        lines = before, _EMPTY, hashlib.sha256(content).hexdigest()
        before = _signature(secret, scope, _to_sign(scope, f"{ALGORITHM}-PAYLOAD", *lines))
        if not hmac.compare_digest(before, given):
            return False
        if size == 0:
            return _trailer_holds(secret, scope, before, rest)
        rest = rest.removeprefix(b"\r\n")
    return False


def _trailer_holds(secret: str, scope: Scope, before: str, rest: bytes) -> bool:
    text, found, given = rest.rpartition(b"x-amz-trailer-signature:")
    if not found:
        return not rest.strip()
    lines = [line.strip() for line in text.split(b"\n") if line.strip()]
    digest = hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
    signed = _signature(secret, scope, _to_sign(scope, f"{ALGORITHM}-TRAILER", before, digest))
    return hmac.compare_digest(signed.encode(), given.strip())


_CHUNK = re.compile(rb"([0-9a-fA-F]{1,8});chunk-signature=([0-9a-f]{64})\r\n")
_EMPTY = hashlib.sha256(b"").hexdigest()


def _sign_old(secret: str, scope: Scope, environ: Mapping[str, Any], headers: Mapping[str, str]) -> Signed:
    named: dict[str, str] = {}
    for name, value in pairs(environ.get("QUERY_STRING", "")):
        kind, text = name.decode("latin-1").lower(), value.decode("latin-1")
        named[kind] = f"{named[kind]},{text}" if kind in named else text
    named |= {name.lower(): value for name, value in dict(headers).items()}
    raw, _, query = str(by_path(environ).get("RAW_URI") or "/").partition("?")
    if raw.count("/") == 1 and raw != "/":
        raw += "/"  # a bucket is signed as if it were in front of the host
    asked = sorted(
        (name.decode("latin-1"), b"=" + value if b"=" in part else b"")
        for part in query.encode("latin-1").split(b"&")
        for name, value in pairs(part.decode("latin-1"))
        if name.decode("latin-1") in _SUBRESOURCES | _choosing()
    )
    resource = raw + ("?" if asked else "") + "&".join(name + value.decode() for name, value in asked)
    amazon = [f"{name}:{named[name].strip()}" for name in sorted(named) if name.startswith("x-amz-")]
    lines = [environ["REQUEST_METHOD"], named.get("content-md5", ""), named.get("content-type", "")]
    to_sign = "\n".join([*lines, scope.stamp, *amazon, resource])
    digest = hmac.new(secret.encode(), to_sign.encode(), hashlib.sha1).digest()
    return Signed(base64.b64encode(digest).decode(), to_sign, "")


@lru_cache
def _choosing() -> frozenset[str]:
    """The parameters that make another operation of a request: unsigned, they would give a URL another meaning."""
    model = get_service_model("s3")
    queries = (model.operation_model(name).http["requestUri"] for name in model.operation_names)
    names = {part.partition("=")[0] for uri in queries for part in uri.partition("?")[2].split("&") if part}
    return frozenset(names - {"list-type", "x-id"})


def _path(scope: Scope, environ: Mapping[str, Any]) -> str:
    raw = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "/").partition("?")[0]
    decoded = unquote_to_bytes(raw) or b"/"
    if scope.service == "s3":
        return quote(decoded, safe="/-_.~")
    # Every other service signs the path without its dots, and encoded twice.
    kept: list[bytes] = []
    for part in decoded.split(b"/"):
        if part == b"..":
            del kept[-1:]
        elif part not in (b"", b"."):
            kept.append(part)
    end = "/" if kept and decoded.endswith(b"/") else ""
    return quote(quote(b"/" + b"/".join(kept), safe="/-_.~") + end, safe="/-_.~")


def _query(query: str) -> str:
    encoded = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in pairs(query))
    return "&".join(f"{name}={value}" for name, value in encoded if name != "X-Amz-Signature")


def _payload(scope: Scope, environ: Mapping[str, Any], headers: Mapping[str, str], body: bytes) -> str:
    declared = declared_payload(scope, environ, headers)
    signed = scope.expires is not None or "x-amz-content-sha256" in scope.signed_headers
    if declared is not None and scope.service == "s3" and signed:
        return declared
    return hashlib.sha256(body).hexdigest()


def declared_payload(scope: Scope, environ: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
    """What a request says its payload's digest is, or that it has none; None for a request that does not say."""
    if scope.expires is None or scope.service != "s3":
        return headers.get("X-Amz-Content-SHA256")
    given = dict(pairs(environ.get("QUERY_STRING", "")))
    return given.get(b"X-Amz-Content-Sha256", b"UNSIGNED-PAYLOAD").decode("latin-1")


def unsigned_headers(scope: Scope, headers: Mapping[str, str]) -> list[str]:
    """The headers of a request that would have to be signed, and are not; Version 2 signs all of Amazon's."""
    if scope.version == 2:
        return []
    named = [name.lower() for name in dict(headers)]
    needed = ["host", *(name for name in named if name.startswith("x-amz-"))]
    return [name for name in needed if name not in scope.signed_headers]


def as_in_headers(scope: Scope, environ: Mapping[str, Any]) -> dict[str, Any]:
    """The request without its signature, and with the headers that its URL had in their place.

    S3 passes over checksums in a URL: the SDK for JavaScript signs that of no bytes into each. Source: its and the SDK for
    Go's public reports.
    """
    fresh = dict(environ)
    if scope.expires is None:
        return fresh
    parts, old = [], scope.version == 2
    for part in str(environ.get("QUERY_STRING", "")).split("&"):
        name, _, value = part.replace("+", " ").partition("=")
        kind = unquote_to_bytes(name).decode("latin-1")
        if old and kind in _OLD:
            continue
        if old and kind in ("content-type", "content-md5"):
            header = {"content-type": "CONTENT_TYPE", "content-md5": "HTTP_CONTENT_MD5"}[kind]
            fresh.setdefault(header, unquote_to_bytes(value).decode("latin-1"))
        elif not kind.lower().startswith("x-amz-"):
            parts.append(part)
        elif kind.lower() not in _OF_SIGNATURE and not kind.lower().startswith(_PASSED_OVER):
            header = f"HTTP_{kind.upper().replace('-', '_')}"
            fresh.setdefault(header, unquote_to_bytes(value).decode("latin-1"))
    fresh["QUERY_STRING"] = "&".join(parts)
    raw = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "/").partition("?")[0]
    fresh["RAW_URI"] = fresh["REQUEST_URI"] = f"{raw}?{fresh['QUERY_STRING']}" if parts else raw
    if old:
        fresh[_SIGNED_BY_OLD] = True
    else:
        fresh[_PRESIGNED_AT] = scope.stamp
    return fresh


def signature_version(environ: Mapping[str, Any]) -> str:
    """The value of ``s3:signatureversion`` of a request."""
    return "AWS" if environ.get(_SIGNED_BY_OLD) else ALGORITHM


_VIRTUAL = re.compile(
    r"([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\.(?:localhost|s3(?:[.-][a-z0-9-]+)*\.amazonaws\.com)((?::\d+)?)"
)


def by_path(environ: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request to S3 with its bucket in the path, for one that has it in front of the host."""
    match = _VIRTUAL.fullmatch(environ.get("HTTP_HOST", "").lower())
    if match is None:
        return environ
    raw = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "/")
    moved = dict.fromkeys(("RAW_URI", "REQUEST_URI"), f"/{match[1]}{raw}")
    return {
        **environ,
        **moved,
        "PATH_INFO": f"/{match[1]}{environ.get('PATH_INFO', '')}",
        "HTTP_HOST": f"localhost{match[2]}",
    }


def signature_age(environ: Mapping[str, Any], now: datetime) -> int | None:
    """How many milliseconds ago a signed URL was signed; None for a request that is signed in a header."""
    stamp = environ.get(_PRESIGNED_AT)
    if stamp is None:
        return None
    begin = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return max(0, int((now - begin).total_seconds() * 1000))
