"""What the signature of a request is under a secret: Signature Version 4 in a header or a URL, and S3's Version 2 in a URL.

Not here: whose secret it is (``callers``).

Source: "Signature Version 4 for API requests" and "Create a canonical request" in the IAM user guide; "Signing and
authenticating REST requests" in the S3 developer guide for Version 2, which botocore still uses for URLs in us-east-1.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, unquote_plus, urlsplit

from botocore.auth import HmacV1Auth, S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from crossaccount_sandbox.wire import Scope


def signatures(
    secret: str, scope: Scope, environ: Mapping[str, Any], headers: Mapping[str, str], body: bytes
) -> Iterator[str]:
    """The signatures that a request may carry: of its query as it was sent, then as it is once it is encoded in full.

    AWS encodes what it received before it compares, so a client may send less encoded than it signs.
    """
    raw = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "/")
    if scope.version == 2:
        yield _version_2(secret, scope, environ["REQUEST_METHOD"], raw)
        return
    path, _, query = raw.partition("?")
    pairs = [pair for pair in query.split("&") if not pair.startswith("X-Amz-Signature=")]
    method = environ["REQUEST_METHOD"]
    yield _version_4(secret, scope, method, f"{path}?{'&'.join(pairs)}", headers, body)
    for decode in (unquote, unquote_plus):
        whole = [
            "=".join(quote(decode(part), safe="-_.~") for part in pair.partition("=")[::2])
            for pair in pairs
            if pair
        ]
        encoded = f"{quote(unquote(path), safe='/-_.~')}?{'&'.join(whole)}"
        yield _version_4(secret, scope, method, encoded, headers, body)


def _version_4(
    secret: str, scope: Scope, method: str, target: str, headers: Mapping[str, str], body: bytes
) -> str:
    presigned = scope.expires is not None
    kind = (S3SigV4QueryAuth if presigned else S3SigV4Auth) if scope.service == "s3" else SigV4Auth
    auth = kind(Credentials(scope.access_key_id, secret), scope.service, scope.region)
    request = AWSRequest(
        method=method,
        url=f"http://{headers.get('Host', '')}{target}",
        data=body,
        headers={name: headers[name] for name in scope.signed_headers if name in headers},
    )
    request.context["timestamp"] = scope.stamp
    return str(auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request))


def _version_2(secret: str, scope: Scope, method: str, raw: str) -> str:
    split = urlsplit(raw)
    given = {name.lower(): value for name, value in parse_qsl(split.query, keep_blank_values=True)}
    auth = HmacV1Auth(Credentials(scope.access_key_id, secret))
    lines = [method, given.get("content-md5", ""), given.get("content-type", ""), scope.stamp]
    own: Any = HTTPHeaders.from_dict(
        {name: value for name, value in given.items() if name.startswith("x-amz-")}
    )
    custom = auth.canonical_custom_headers(own)
    return str(
        auth.sign_string("\n".join([*lines, *([custom] if custom else []), auth.canonical_resource(split)]))
    )
