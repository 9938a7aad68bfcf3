"""Signatures as AWS computes them from a request: Version 4 in headers or a URL, and Version 2 in a URL for S3.

Version 2 is what boto3 signs URLs with in us-east-1, where S3 was seen to take it, and it has no region: a bucket anywhere else
does not take it here.

Not here: whose key it is and what follows from it (``callers``).

Source: "Create a signed AWS API request" in the IAM user guide; "Authenticating Requests: Using Query Parameters" in the S3
API reference; "Signing and Authenticating REST
Requests (AWS signature version 2)" in the S3 user guide; that S3 decodes a query before it signs it, ``+`` as a blank, from public reports; the texts about missing
parameters and unsigned headers from recordings of S3, the others from public reports.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from crossaccount_sandbox.wire import AwsError, Scope

ALGORITHM = "AWS4-HMAC-SHA256"
_WEEK = 604800
_SKEW = timedelta(minutes=15)
_NEEDED = ("Algorithm", "Credential", "Signature", "Date", "SignedHeaders", "Expires")
_OF_SIGNATURE = frozenset(f"x-amz-{name.lower()}" for name in (*_NEEDED, "Security-Token"))
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
_SHOWN = "%Y-%m-%dT%H:%M:%SZ"


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


def read_presigned(environ: Mapping[str, Any]) -> Scope | None:
    """The scope that a request was signed for in its URL; None for a request that was not.

    Raises:
        AwsError: ``AuthorizationQueryParametersError`` for a URL that is signed in part, or by another algorithm;
            ``InvalidArgument`` for one that comes with a signature in a header, too.
    """
    query = environ.get("QUERY_STRING", "")
    if "X-Amz-" not in query and "Signature=" not in query and "AWSAccessKeyId=" not in query:
        return None
    given = {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs(query)}
    if "AWSAccessKeyId" in given or "Signature" in given:
        return _old_scope(given)
    if not any(f"X-Amz-{name}" in given for name in ("Algorithm", "Credential", "Signature")):
        return None
    if "HTTP_AUTHORIZATION" in environ:
        text = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified"
        raise AwsError("InvalidArgument", text, 400, {"ArgumentName": "Authorization"})
    if any(f"X-Amz-{name}" not in given for name in _NEEDED):
        raise _malformed(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
            "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
        )
    if given["X-Amz-Algorithm"] != ALGORITHM:
        raise _malformed('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"')
    credential = re.fullmatch(
        r"([^/]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request", given["X-Amz-Credential"]
    )
    if credential is None:
        raise _malformed(
            "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting "
            '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
        )
    return Scope(
        credential[1],
        credential[2],
        credential[3],
        credential[4],
        tuple(given["X-Amz-SignedHeaders"].lower().split(";")),
        given["X-Amz-Signature"],
        given,
    )


def _old_scope(given: dict[str, str]) -> Scope:
    if any(name not in given for name in _OLD):
        text = "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"
        raise AwsError("AccessDenied", text, 403)
    given["X-Amz-Security-Token"] = given.get("x-amz-security-token", "")
    return Scope(given["AWSAccessKeyId"], "", "us-east-1", "s3", (), given["Signature"], given)


def is_old(scope: Scope) -> bool:
    """Whether a request is signed by Version 2."""
    return scope.presigned is not None and "AWSAccessKeyId" in scope.presigned


def _malformed(text: str) -> AwsError:
    return AwsError("AuthorizationQueryParametersError", text)


def check_presigned(given: Mapping[str, str], now: datetime) -> None:
    """Refuse a signed URL outside its time.

    Args:
        given: the parameters of its signature.
        now: the time.

    Raises:
        AwsError: ``AuthorizationQueryParametersError`` for a time that cannot be read, or longer than a week; ``AccessDenied``
            for a URL that is not valid yet, or no more.
    """
    if "AWSAccessKeyId" in given:
        _check_old(given["Expires"], now)
        return
    stamp, seconds = given["X-Amz-Date"], given["X-Amz-Expires"]
    try:
        begin = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise _malformed("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"") from None
    if not re.fullmatch(r"-?\d{1,18}", seconds):
        raise _malformed("X-Amz-Expires should be a number")
    if int(seconds) < 0:
        raise _malformed("X-Amz-Expires must be non-negative")
    if int(seconds) > _WEEK:
        raise _malformed(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            f"{_WEEK} seconds"
        )
    ends = begin + timedelta(seconds=int(seconds))
    shown = {"Expires": ends.strftime(_SHOWN), "ServerTime": now.strftime(_SHOWN)}
    if begin - now > _SKEW:
        raise AwsError("AccessDenied", "Request is not yet valid", 403, {"X-Amz-Date": stamp, **shown})
    if now > ends:
        raise AwsError("AccessDenied", "Request has expired", 403, {"X-Amz-Expires": seconds, **shown})


def _check_old(seconds: str, now: datetime) -> None:
    if not re.fullmatch(r"\d{1,10}", seconds):
        text = f"Invalid date (should be seconds since epoch): {seconds}"
        raise AwsError("AccessDenied", text, 403)
    ends = datetime.fromtimestamp(int(seconds), UTC)
    if now > ends:
        shown = {"Expires": ends.strftime(_SHOWN), "ServerTime": now.strftime(_SHOWN)}
        raise AwsError("AccessDenied", "Request has expired", 403, shown)


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
    given = scope.presigned
    if given is not None and is_old(scope):
        return _sign_old(secret, given, environ, headers)
    stamp = headers.get("X-Amz-Date", "") if given is None else given["X-Amz-Date"]
    named = "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in scope.signed_headers)
    canonical = "\n".join(
        [
            environ["REQUEST_METHOD"],
            _path(scope, environ),
            _query(environ.get("QUERY_STRING", "")),
            named,
            ";".join(scope.signed_headers),
            _payload(scope, headers, body),
        ]
    )
    place = f"{stamp[:8]}/{scope.region}/{scope.service}/aws4_request"
    to_sign = f"{ALGORITHM}\n{stamp}\n{place}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in (stamp[:8], scope.region, scope.service, "aws4_request", to_sign):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return Signed(key.hex(), to_sign, canonical)


def _sign_old(
    secret: str, given: Mapping[str, str], environ: Mapping[str, Any], headers: Mapping[str, str]
) -> Signed:
    named = {name.lower(): value for name, value in given.items()}
    named |= {name.lower(): value for name, value in dict(headers).items()}
    if not given["X-Amz-Security-Token"]:
        named.pop("x-amz-security-token", None)
    raw, _, query = str(by_path(environ).get("RAW_URI") or "/").partition("?")
    asked = sorted(
        (name.decode("latin-1"), b"=" + value if b"=" in part else b"")
        for part in query.encode("latin-1").split(b"&")
        for name, value in pairs(part.decode("latin-1"))
        if name.decode("latin-1") in _SUBRESOURCES
    )
    resource = raw + ("?" if asked else "") + "&".join(name + value.decode() for name, value in asked)
    amazon = [f"{name}:{named[name].strip()}" for name in sorted(named) if name.startswith("x-amz-")]
    lines = [environ["REQUEST_METHOD"], named.get("content-md5", ""), named.get("content-type", "")]
    to_sign = "\n".join([*lines, given["Expires"], *amazon, resource])
    digest = hmac.new(secret.encode(), to_sign.encode(), hashlib.sha1).digest()
    return Signed(base64.b64encode(digest).decode(), to_sign, "")


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


def _payload(scope: Scope, headers: Mapping[str, str], body: bytes) -> str:
    if scope.presigned is not None and scope.service == "s3":
        return scope.presigned.get("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
    declared = headers.get("X-Amz-Content-SHA256")
    if declared is not None and "x-amz-content-sha256" in scope.signed_headers:
        return declared
    return hashlib.sha256(body).hexdigest()


def unsigned_headers(scope: Scope, headers: Mapping[str, str]) -> list[str]:
    """The headers of a request that would have to be signed, and are not; Version 2 signs all of Amazon's."""
    if is_old(scope):
        return []
    return [
        name.lower()
        for name in dict(headers)
        if name.lower().startswith("x-amz-") and name.lower() not in scope.signed_headers
    ]


def as_in_headers(scope: Scope, environ: Mapping[str, Any]) -> dict[str, Any]:
    """The request without its signature, and with the headers that its URL had in their place."""
    fresh = dict(environ)
    if scope.presigned is None:
        return fresh
    parts, old = [], is_old(scope)
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
        elif kind.lower() not in _OF_SIGNATURE:
            header = f"HTTP_{kind.upper().replace('-', '_')}"
            fresh.setdefault(header, unquote_to_bytes(value).decode("latin-1"))
    fresh["QUERY_STRING"] = "&".join(parts)
    raw = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "/").partition("?")[0]
    fresh["RAW_URI"] = fresh["REQUEST_URI"] = f"{raw}?{fresh['QUERY_STRING']}" if parts else raw
    if old:
        fresh[_SIGNED_BY_OLD] = True
    else:
        fresh[_PRESIGNED_AT] = scope.presigned["X-Amz-Date"]
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
