"""What an AWS request and an AWS answer look like on the wire: operations and parameters, errors in each service's own form.

Not here: who may do what (``guard``, ``operations``, ``judge``) and what a call does.
"""

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4
from xml.sax.saxutils import escape

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from moto.moto_server.werkzeug_app import BackendRequest
from werkzeug.exceptions import NotFound

SERVICES = (
    *("sts", "iam", "s3", "s3control", "ecr", "kms", "sagemaker", "sagemaker-runtime", "cloudformation"),
    *("cloudwatch", "application-autoscaling", "logs"),
)
_SIGNED_AS = {"monitoring": "cloudwatch"}  # the name in a request's scope is not always the service's
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
    """An HTTP answer: status, headers and the whole body; ``code`` is AWS's error code where the sandbox set one."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    code: str | None = None

    def json(self) -> dict[str, Any]:
        """The body read as a JSON object (an empty body is an empty object)."""
        loaded: dict[str, Any] = json.loads(self.body or b"{}")
        return loaded


@dataclass(frozen=True)
class Scope:
    """The Authorization header of Signature Version 4, taken apart."""

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str


_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=([^/\s]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request,"
    r"\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]{64})"
)


def read_scope(environ: Mapping[str, Any]) -> Scope | None:
    """The credential scope a request was signed for; None when it carries no Signature Version 4 header."""
    match = _AUTHORIZATION.fullmatch(environ.get("HTTP_AUTHORIZATION", "").strip())
    if match is None:
        return None
    key, date, region, service, headers, signature = match.groups()
    return Scope(key, date, region, service, tuple(headers.split(";")), signature)


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
    service = _SIGNED_AS.get(scope.service, scope.service)
    return service if service in SERVICES else None


def _protocol(service: str) -> str:
    """The protocol that the pinned botocore speaks with a service: for CloudWatch the second of three."""
    return "json" if service == "cloudwatch" else str(get_service_model(service).protocol)


def read_operation(service: str, environ: dict[str, Any], body: bytes) -> tuple[str, dict[str, Any]]:
    """The operation's name and its parameters.

    Raises:
        AwsError: ``UnknownOperationException`` when the service has no such operation, ``SerializationException``
            when its parameters cannot be read.
    """
    model = get_service_model(service)
    request: Request = BackendRequest(with_body(environ, body))
    name, uri_params = _operation_name(service, request, body)
    if name not in model.operation_names:
        raise AwsError("UnknownOperationException", f"{service} has no operation {name!r}")
    operation = model.operation_model(name)
    parser = PROTOCOL_PARSERS[_protocol(service)](operation, map_type=dict)
    # What is stored or passed on is not read here; a policy is a text that PutBucketPolicy reads itself.
    passed_on = operation.has_streaming_input or service == "sagemaker-runtime" or name == "PutBucketPolicy"
    try:
        parsed = parser.parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": b"" if passed_on else unchunk(body, request.headers),
                "url_path": request.path,
                "url_params": uri_params,
            }
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AwsError(
            "SerializationException", f"The parameters of {name} cannot be read: {error}"
        ) from None
    return name, {**uri_params, **(parsed or {})}


def _operation_name(service: str, request: Request, body: bytes) -> tuple[str, dict[str, Any]]:
    protocol = _protocol(service)
    if protocol == "json":
        return request.headers.get("X-Amz-Target", "").rpartition(".")[2], {}
    if protocol == "query":
        form = dict(parse_qsl(body.decode("utf-8", "replace"))) or dict(
            parse_qsl(request.query_string.decode())
        )
        return form.get("Action", ""), {}
    try:
        operation, uri_params = get_service_router(service).match(request)
    except (NotFound, NotImplementedError):
        return f"{request.method} {request.path}", {}
    return operation.name, dict(uri_params)


def unchunk(body: bytes, headers: Mapping[str, str]) -> bytes:
    """An S3 request's payload without the ``aws-chunked`` framing that SDKs may put around it."""
    if "aws-chunked" not in headers.get("Content-Encoding", ""):
        return body
    stream, parts = io.BytesIO(body), []
    while size := int(stream.readline().split(b";")[0].strip() or b"0", 16):
        parts.append(stream.read(size))
        stream.readline()
    return b"".join(parts)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return round(value.timestamp(), 3)
    raise TypeError(f"{value!r} has no JSON form")


def json_response(result: Mapping[str, Any] | None, status: int = 200) -> Response:
    """An answer of a JSON 1.1 service; times become seconds since the epoch, as those services send them."""
    body = json.dumps(dict(result or {}), default=_plain).encode()
    return Response(status, body, (("Content-Type", "application/x-amz-json-1.1"),))


def error_code(response: Response) -> str | None:
    """AWS's error code in an answer, whoever made it; None for no error, and for moto's bodiless answers to a HEAD."""
    if response.status < 300 or response.code is not None:
        return response.code
    match = re.search(rb'<Code>([^<]+)</Code>|"__type":\s*"([^"]+)"', response.body)
    return None if match is None else (match[1] or match[2]).decode().rpartition("#")[2]


def error_response(service: str, error: AwsError, method: str = "POST") -> Response:
    """The error as the service's own clients expect to find it."""
    return replace(_error_response(service, error, method), code=error.code)


def _error_response(service: str, error: AwsError, method: str) -> Response:
    request_id = str(uuid4())
    ids = (("x-amzn-RequestId", request_id), *error.headers.items())
    if service == "s3":
        if method == "HEAD":
            return Response(error.status, b"", (*ids, ("Content-Type", "application/xml")))
        further = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in error.extra.items())
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>{further}"
            f"<RequestId>{request_id}</RequestId></Error>"
        )
        return Response(error.status, text.encode(), (*ids, ("Content-Type", "application/xml")))
    if service in ("sts", "iam", "cloudformation", "s3control"):
        text = (
            "<ErrorResponse><Error><Type>Sender</Type>"
            f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        return Response(error.status, text.encode(), (*ids, ("Content-Type", "text/xml")))
    if service == "sagemaker-runtime":
        body = json.dumps({"message": error.message, "Message": error.message, **error.extra}).encode()
        kind = (("x-amzn-ErrorType", error.code), ("Content-Type", "application/json"))
        return Response(error.status, body, (*ids, *kind))
    body = json.dumps({"__type": error.code, "message": error.message, **error.extra}).encode()
    return Response(error.status, body, (*ids, ("Content-Type", "application/x-amz-json-1.1")))
