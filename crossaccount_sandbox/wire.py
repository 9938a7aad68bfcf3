"""What an AWS request and an AWS answer are: how a request is read, its signature's scope, operation and parameters.

Not here: the protocol that is spoken (``protocols``), how an answer is written (``answers``), who may do what (``guard``).
"""

import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from botocore.parsers import create_parser
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from moto.moto_server.werkzeug_app import BackendRequest
from werkzeug.exceptions import NotFound

from crossaccount_sandbox.protocols import CBOR, EC2, JSON, QUERY, SERVICES, SIGNED_AS, Spoken, form_of

_BODY_LIMIT = 256 * 1024 * 1024


class AwsError(Exception):
    """A refusal or a fault, said the way an AWS service says it.

    Args:
        code: AWS's error code, for example ``AccessDeniedException``.
        message: AWS's error text.
        status: HTTP status.
        extra: further members of the error, for example ``OriginalStatusCode`` of a ModelError.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        code: str,
        message: str,
        status: int = 400,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})


@dataclass(frozen=True)
class Response:
    """An HTTP answer: status, headers and the whole body; ``code`` is AWS's error code where the sandbox set one.

    ``parts`` is a body that is not there yet: each part is sent when it comes, and ``body`` is empty.
    """

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    code: str | None = None
    parts: Iterator[bytes] | None = None

    def json(self) -> dict[str, Any]:
        """The body read as a JSON object (an empty body is an empty object)."""
        loaded: dict[str, Any] = json.loads(self.body or b"{}")
        return loaded


@dataclass(frozen=True)
class Scope:
    """A signature, taken apart.

    Args:
        access_key_id: the key that signed.
        date: the day of a Signature Version 4.
        region: the region it was made for; S3's Version 2 names none, and us-east-1 stands for it.
        service: the service it was made for, by its name in signatures.
        signed_headers: what it covers beside path, query and body.
        signature: itself.
        stamp: when it was made, of Version 2 when it ends, as it was sent.
        token: the session's token that came with it.
        expires: how many seconds a presigned URL is good; None for a signature in a header.
        version: 4, or 2 of S3's URLs.
    """

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    stamp: str
    token: str = field(default="", repr=False)
    expires: int | None = None
    version: int = 4

    @property
    def signed(self) -> datetime | None:
        """When it was made, of Version 2 when it ends; None for a time that cannot be read."""
        try:
            if self.version == 2:
                return datetime.fromtimestamp(int(self.stamp), UTC)
            return datetime.strptime(self.stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except (ValueError, OverflowError, OSError):
            return None


_CREDENTIAL = r"([^/\s]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request"
_AUTHORIZATION = re.compile(
    rf"AWS4-HMAC-SHA256\s+Credential={_CREDENTIAL},\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]{{64}})"
)


def read_scope(environ: Mapping[str, Any]) -> Scope | None:
    """What a request was signed for, by its header or as a presigned URL; None without a signature that can be read.

    Raises:
        AwsError: ``AuthorizationQueryParametersError`` for a URL that is signed in part, by another algorithm, or for more
            than a week; ``AccessDenied`` for one that is signed in part by Version 2; ``InvalidArgument`` for one that comes
            with a signature in a header, too.
    """
    query = environ.get("QUERY_STRING", "")
    if "HTTP_AUTHORIZATION" not in environ:
        return _presigned(environ) if any(name in query for name in _IN_URL) else None
    if "X-Amz-Algorithm=" in query:
        text = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified"
        raise AwsError("InvalidArgument", text, 400, {"ArgumentName": "Authorization"})
    match = _AUTHORIZATION.fullmatch(environ["HTTP_AUTHORIZATION"].strip())
    if match is None:
        return None
    key, date, region, service, headers, signature = match.groups()
    stamp, token = environ.get("HTTP_X_AMZ_DATE", ""), environ.get("HTTP_X_AMZ_SECURITY_TOKEN", "")
    return Scope(key, date, region, service, tuple(headers.split(";")), signature, stamp, token)


_WEEK = 604_800
_IN_URL = ("Signature=", "X-Amz-Algorithm=", "X-Amz-Credential=", "AWSAccessKeyId=")
_PARAMETERS = tuple(
    f"X-Amz-{name}" for name in ("Algorithm", "Credential", "Signature", "Date", "SignedHeaders", "Expires")
)


def _presigned(environ: Mapping[str, Any]) -> Scope | None:
    given = dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
    if "AWSAccessKeyId" in given or "Signature" in given:
        return _presigned_before(given)
    if not any(name in given for name in _PARAMETERS[:3]):
        return None
    match = re.fullmatch(_CREDENTIAL, given.get("X-Amz-Credential", ""))
    if match is not None and match[4] != "s3":
        given.setdefault("X-Amz-Expires", "900")  # only S3 insists on how long a URL is good
    _check_parameters(given, match is not None)
    assert match is not None  # it would have been refused
    headers = tuple(given["X-Amz-SignedHeaders"].lower().split(";"))
    token, seconds = given.get("X-Amz-Security-Token", ""), int(given["X-Amz-Expires"])
    key, day, region, service = match.groups()
    return Scope(
        key, day, region, service, headers, given["X-Amz-Signature"], given["X-Amz-Date"], token, seconds
    )


def _check_parameters(given: Mapping[str, str], credential: bool) -> None:
    """Refuse a URL whose signature's parameters are none.

    Source: recordings of S3 by localstack, and public reports.
    """
    seconds = given.get("X-Amz-Expires", "")
    stamp = re.fullmatch(r"\d{8}T\d{6}Z", given.get("X-Amz-Date", ""))
    number = re.fullmatch(r"-?\d+", seconds) is not None
    for refused, text in (
        (
            any(name not in given for name in _PARAMETERS),
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
            "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
        ),
        (
            given.get("X-Amz-Algorithm") != "AWS4-HMAC-SHA256",
            'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"',
        ),
        (
            not credential,
            "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting "
            '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
        ),
        (not stamp, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""),
        (not number, "X-Amz-Expires should be a number"),
        (seconds.startswith("-"), "X-Amz-Expires must be non-negative"),
        (
            number and int(seconds) > _WEEK,
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            f"{_WEEK} seconds",
        ),
    ):
        if refused:
            raise AwsError("AuthorizationQueryParametersError", text)


def _presigned_before(given: Mapping[str, str]) -> Scope:
    """S3's Signature Version 2 in a URL."""
    if not {"AWSAccessKeyId", "Signature", "Expires"} <= set(given):
        text = "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"
        raise AwsError("AccessDenied", text, 403)
    key, signature, ends = given["AWSAccessKeyId"], given["Signature"], given["Expires"]
    if not re.fullmatch(r"\d{1,10}", ends):
        raise AwsError("AccessDenied", f"Invalid date (should be seconds since epoch): {ends}", 403)
    token = given.get("x-amz-security-token", "")
    return Scope(key, "", "us-east-1", "s3", (), signature, ends, token, 0, version=2)


def authorization(scope: Scope) -> str:
    """The Authorization header that a signature would have come in."""
    credential = f"{scope.access_key_id}/{scope.date}/{scope.region}/{scope.service}/aws4_request"
    headers = ";".join(scope.signed_headers)
    return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={headers}, Signature={scope.signature}"


def read_body(environ: Mapping[str, Any]) -> bytes:
    """The whole request body; an AwsError when it is larger than the sandbox takes."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > _BODY_LIMIT:
        raise AwsError("EntityTooLarge", f"The sandbox takes bodies of up to {_BODY_LIMIT} bytes", 400)
    if length:
        return bytes(environ["wsgi.input"].read(length))
    if environ.get("wsgi.input_terminated"):
        return bytes(environ["wsgi.input"].read(_BODY_LIMIT))
    return b""


def with_body(environ: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    """A copy of the environ whose body can be read again."""
    fresh = {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    fresh.pop("werkzeug.request", None)
    return fresh


def service_of(scope: Scope, environ: Mapping[str, Any]) -> str | None:
    """The sandbox's name of the service a request is for; None when it is not one it knows.

    Clients of S3 Control sign for S3 and put the account in front of the host. The sandbox has one host, so their path
    and header tell them apart, which no request for an object has both of.
    """
    path = environ.get("PATH_INFO", "")
    if (
        scope.service == "s3"
        and path == "/v20180820/configuration/publicAccessBlock"
        and "HTTP_X_AMZ_ACCOUNT_ID" in environ
    ):
        return "s3control"
    if scope.service == "sagemaker" and re.fullmatch(r"/endpoints/[^/]+/.*", path):
        return "sagemaker-runtime"
    service = SIGNED_AS.get(scope.service, scope.service)
    return service if service in SERVICES else None


class UnknownOperation(Exception):
    """The service has no operation of this name, in this version of its query protocol."""

    def __init__(self, name: str, version: str | None = None):
        super().__init__(name)
        self.name = name
        self.version = version


class Unreadable(Exception):
    """The parameters of an operation cannot be read."""

    def __init__(self, name: str, why: object):
        super().__init__(f"{name}: {why}")
        self.name = name
        self.why = why


def read_operation(spoken: Spoken, environ: dict[str, Any], body: bytes) -> tuple[str, dict[str, Any]]:
    """The operation's name and its parameters.

    Raises:
        UnknownOperation: when the service has no such operation.
        Unreadable: when its parameters cannot be read.
    """
    service = spoken.service
    model = get_service_model(service)
    request: Request = BackendRequest(with_body(environ, body))
    name, uri_params = _operation_name(spoken, request, body)
    if name not in model.operation_names:
        raise UnknownOperation(name)
    operation = model.operation_model(name)
    # What is stored or passed on is not read here; a policy is a text that PutBucketPolicy reads itself.
    passed_on = operation.has_streaming_input or service == "sagemaker-runtime" or name == "PutBucketPolicy"
    given = {
        "method": request.method,
        "values": request.values,
        "headers": request.headers,
        "body": b"" if passed_on else unchunk(body, request.headers),
        "url_path": request.path,
        "url_params": uri_params,
    }
    try:
        if spoken.protocol == CBOR:
            parsed = _read_cbor(operation, body)
        else:
            parsed = PROTOCOL_PARSERS[spoken.protocol](operation, map_type=dict).parse(given)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(name, error) from None
    return name, {**uri_params, **(parsed or {})}


def _read_cbor(operation: Any, body: bytes) -> dict[str, Any]:
    """The parameters in a CBOR body; botocore reads answers alone, and an input has an output's form."""
    if not body or operation.input_shape is None:
        return {}
    given = {"body": body, "headers": {}, "status_code": 200}
    try:
        read: dict[str, Any] = create_parser("smithy-rpc-v2-cbor").parse(given, operation.input_shape)
    except Exception as error:  # what is no CBOR ends in whatever it happens to end in
        raise Unreadable(operation.name, error) from None
    del read["ResponseMetadata"]
    return read


def _operation_name(spoken: Spoken, request: Request, body: bytes) -> tuple[str, dict[str, Any]]:
    if spoken.protocol == CBOR:
        match = re.fullmatch(r"/service/[^/]+/operation/([^/]+)", request.path)
        return (match[1] if match else ""), {}
    if spoken.protocol == JSON:
        return request.headers.get("X-Amz-Target", "").rpartition(".")[2], {}
    if spoken.protocol in (QUERY, EC2):
        form = form_of(request.environ, body)
        name, version = form.get("Action", ""), form.get("Version")
        model = get_service_model(spoken.service)
        if version != model.api_version or name not in model.operation_names:
            raise UnknownOperation(name, version)
        return name, {}
    try:
        operation, uri_params = get_service_router(spoken.service).match(request)
    except (NotFound, NotImplementedError):
        return f"{request.method} {request.path}", {}
    return operation.name, dict(uri_params)


def unchunk(body: bytes, headers: Mapping[str, str]) -> bytes:
    """An S3 request's payload without the ``aws-chunked`` framing that SDKs may put around it.

    Raises:
        AwsError: ``IncompleteBody`` for a framing that is none, or of another payload than the request says.
    """
    if "aws-chunked" not in headers.get("Content-Encoding", ""):
        return body
    stream, parts = io.BytesIO(body), []
    try:
        while size := int(stream.readline().split(b";")[0].strip() or b"0", 16):
            parts.append(stream.read(size))
            stream.readline()
    except ValueError:
        raise AwsError("IncompleteBody", "The request body terminated unexpectedly") from None
    payload = b"".join(parts)
    if headers.get("X-Amz-Decoded-Content-Length") not in (None, str(len(payload))):
        text = "You did not provide the number of bytes specified by the Content-Length HTTP header"
        raise AwsError("IncompleteBody", text)
    return payload


def plain(value: Any) -> Any:
    """What JSON has no form for, as AWS's JSON services send it: times as seconds since the epoch."""
    if isinstance(value, datetime):
        return round(value.timestamp(), 3)
    raise TypeError(f"{value!r} has no JSON form")


def json_response(result: Mapping[str, Any] | None, status: int = 200) -> Response:
    """An answer of a JSON 1.1 service; times become seconds since the epoch, as those services send them."""
    body = json.dumps(dict(result or {}), default=plain).encode()
    return Response(status, body, (("Content-Type", "application/x-amz-json-1.1"),))
