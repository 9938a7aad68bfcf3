"""How an answer is written: a result or an error in the protocol that was spoken, and the request's id in all of them.

Not here: what is answered.

Source: the protocols' pages of the Smithy specification, "awsQueryCompatible trait" among them; the query protocol's
form as a public test of AWS's STS has it; "Error responses" in the API references of Amazon S3 and Amazon EC2.
"""

import base64
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import uuid4
from xml.sax.saxutils import escape

from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from moto.core.serialize import EC2Serializer, QuerySerializer
from moto.core.utils import get_service_model

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.protocols import CBOR, EC2, JSON, QUERY, REST_JSON, SERVICES, Spoken
from crossaccount_sandbox.wire import AwsError, Response, plain

_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_FAULT_NAMESPACE = "http://webservices.amazon.com/AWSFault/2005-15-09"


class Ids(NamedTuple):
    """The ids of one request: S3's are two, of another form."""

    request: str
    host: str | None = None


def new_ids(service: str) -> Ids:
    """The ids of a new request to a service."""
    if service.startswith("s3"):
        return Ids(secrets.token_hex(8).upper(), base64.b64encode(secrets.token_bytes(56)).decode())
    return Ids(str(uuid4()))


def result(call: Call, members: Mapping[str, Any]) -> Response:
    """A result in the protocol that the call spoke: the query protocol, JSON or CBOR.

    Args:
        call: what is answered.
        members: the members of its output; members of none are left out, times are datetimes.
    """
    if call.spoken.protocol == CBOR:
        return Response(200, _cbor(call, members), _CBOR_HEADERS)
    if call.spoken.protocol in (QUERY, EC2):
        writer = EC2Serializer if call.spoken.protocol == EC2 else QuerySerializer
        written = writer(call.model).serialize(members)
        return Response(200, str(written["body"]).encode(), (("Content-Type", "text/xml"),))
    body = json.dumps(dict(members), default=plain).encode()
    return Response(200, body, (("Content-Type", _json_type(call.environ)),))


_CBOR_HEADERS = (("Content-Type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor"))


class _Output(NamedTuple):
    """An operation whose output stands in for its input, for which alone botocore has a writer."""

    name: str
    service_model: Any
    input_shape: Any
    endpoint: None = None
    has_event_stream_input: bool = False
    has_event_stream_output: bool = False


def _cbor(call: Call, members: Mapping[str, Any]) -> bytes:
    if call.model.output_shape is None:
        return b"\xa0"  # the empty map
    output: Any = _Output(call.operation, call.model.service_model, call.model.output_shape)
    writer = create_serializer("smithy-rpc-v2-cbor", include_validation=False)
    return bytes(writer.serialize_to_request(dict(members), output)["body"])


def _json_type(environ: Mapping[str, Any]) -> str:
    given = str(environ.get("CONTENT_TYPE", ""))
    return given if given.startswith("application/x-amz-json-") else "application/x-amz-json-1.1"


# Codes of the query protocol, and the shapes that stand for them in the other protocols of a service that has both.
_SHAPES = {
    "AccessDenied": "AccessDeniedException",
    "ExpiredToken": "ExpiredTokenException",
    "IncompleteSignature": "IncompleteSignatureException",
    "InvalidAction": "UnknownOperationException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "LimitExceeded": "LimitExceededFault",
    "MalformedInput": "SerializationException",
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "Throttling": "ThrottlingException",
    "ValidationError": "ValidationException",
}


def error_response(spoken: Spoken, error: AwsError, environ: Mapping[str, Any], ids: Ids) -> Response:
    """The error as the service's own clients expect to find it."""
    return replace(_error_response(spoken, error, environ, ids), code=error.code)


def _error_response(spoken: Spoken, error: AwsError, environ: Mapping[str, Any], ids: Ids) -> Response:
    own = tuple(error.headers.items())
    if spoken.service in ("s3", "s3express", "s3-outposts"):
        if environ.get("REQUEST_METHOD") == "HEAD":
            return Response(error.status, b"", (*own, ("Content-Type", "application/xml")))
        text = f"{_XML}<Error>{_members(error)}<RequestId>{ids.request}</RequestId><HostId>{ids.host}</HostId></Error>"
        return Response(error.status, text.encode(), (*own, ("Content-Type", "application/xml")))
    if spoken.protocol == EC2:
        text = (
            f"{_XML}<Response><Errors><Error>{_members(error)}</Error></Errors>"
            f"<RequestID>{ids.request}</RequestID></Response>"
        )
        return Response(error.status, text.encode(), (*own, ("Content-Type", "text/xml;charset=UTF-8")))
    if spoken.protocol == REST_JSON:
        body = json.dumps({"message": error.message, "Message": error.message, **error.extra}).encode()
        kind = (("x-amzn-ErrorType", error.code), ("Content-Type", "application/json"))
        return Response(error.status, body, (*own, *kind))
    if spoken.protocol in (JSON, CBOR):
        return _in_members(spoken, error, environ, own)
    if spoken.protocol == QUERY and wants_json(environ):
        said = {"Type": _blamed(error), "Code": error.code, "Message": error.message}
        body = json.dumps({"Error": said, "RequestId": ids.request}).encode()
        return Response(error.status, body, (*own, ("Content-Type", "application/json")))
    host = f"<HostId>{ids.host}</HostId>" if ids.host else ""
    text = (
        f'<ErrorResponse xmlns="{_namespace(spoken, error)}"><Error><Type>{_blamed(error)}</Type>{_members(error)}</Error>'
        f"<RequestId>{ids.request}</RequestId>{host}</ErrorResponse>"
    )
    return Response(error.status, text.encode(), (*own, ("Content-Type", "text/xml")))


def _members(error: AwsError) -> str:
    said = {"Code": error.code, **({"Message": error.message} if error.message else {}), **error.extra}
    return "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in said.items())


def _blamed(error: AwsError) -> str:
    return "Sender" if error.status < 500 else "Receiver"


def _namespace(spoken: Spoken, error: AwsError) -> str:
    if spoken.service not in SERVICES or error.code == "InvalidAction":
        return _FAULT_NAMESPACE
    return str(get_service_model(spoken.service).metadata.get("xmlNamespace") or _FAULT_NAMESPACE)


def _in_members(
    spoken: Spoken, error: AwsError, environ: Mapping[str, Any], own: tuple[tuple[str, str], ...]
) -> Response:
    shape = error.code
    if spoken.in_query_codes:
        shape = _SHAPES.get(error.code, error.code)
        own = (*own, ("x-amzn-query-error", f"{error.code};{_blamed(error)}"))
    said = {"__type": shape, "message": error.message, **error.extra}
    if spoken.protocol == JSON:
        body = json.dumps(said).encode()
        return Response(error.status, body, (*own, ("Content-Type", _json_type(environ))))
    return Response(error.status, _cbor_texts(said), (*own, *_CBOR_HEADERS))


def _cbor_texts(texts: Mapping[str, Any]) -> bytes:
    """A map of texts in CBOR."""
    return bytes([0xA0 + len(texts)]) + b"".join(
        b"\x7a" + len(data).to_bytes(4, "big") + data
        for pair in texts.items()
        for data in (str(each).encode() for each in pair)
    )


def wants_json(environ: Mapping[str, Any]) -> bool:
    """True for a request of the query protocol that asks for JSON in place of XML.

    Source: the answers that aws-iam-authenticator and Vault read.
    """
    return "application/json" in environ.get("HTTP_ACCEPT", "")


_OURS = frozenset(("x-amzn-requestid", "x-amz-request-id", "x-amz-id-2"))
_ID = re.compile(rb"<RequestId>[^<]*</RequestId>")
_METADATA = re.compile(rb"<ResponseMetadata>.*?</ResponseMetadata>|<ResponseMetadata\s*/>", re.DOTALL)
_END = re.compile(rb"</(\w+Response)>\s*$")


def marked(response: Response, spoken: Spoken, ids: Ids) -> Response:
    """The answer with the request's ids where clients of the service look for them.

    In a header of every answer; in the query protocol also in the body.
    """
    kept = tuple(_typed(spoken, header) for header in response.headers if header[0].lower() not in _OURS)
    if ids.host is not None:
        own: tuple[tuple[str, str], ...] = (("x-amz-request-id", ids.request), ("x-amz-id-2", ids.host))
    else:
        own = (("x-amzn-RequestId", ids.request),)
    body = response.body
    if spoken.protocol == QUERY and body.startswith(b"<"):
        body = _with_id(body, ids.request.encode())
    return replace(response, body=body, headers=(*own, *kept))


def _typed(spoken: Spoken, header: tuple[str, str]) -> tuple[str, str]:
    """A header; moto calls some answers in JSON a page."""
    page = (
        spoken.protocol == JSON and header[0].lower() == "content-type" and header[1].startswith("text/html")
    )
    return ("Content-Type", "application/x-amz-json-1.1") if page else header


def _with_id(body: bytes, request: bytes) -> bytes:
    node = b"<RequestId>" + request + b"</RequestId>"
    if b"<ErrorResponse" in body[:200]:
        return _ID.sub(node, body)
    metadata = b"<ResponseMetadata>" + node + b"</ResponseMetadata>"
    if _METADATA.search(body):
        return _METADATA.sub(metadata, body)
    return _END.sub(lambda end: metadata + end[0], body)


def as_json(response: Response, spoken: Spoken, operation: str, request_id: str) -> Response:
    """An answer in the query protocol's XML, written as the same service writes it for who wants JSON."""
    model = get_service_model(spoken.service).operation_model(operation)
    given = {
        "body": response.body,
        "status_code": response.status,
        "headers": {"x-amzn-requestid": request_id},
    }
    shape: Any = None if response.status >= 300 else model.output_shape
    read = create_parser("query").parse(given, shape)
    read.pop("ResponseMetadata", None)
    if response.status >= 300:
        said: dict[str, Any] = {"Error": read["Error"], "RequestId": request_id}
    else:
        said = {f"{operation}Response": {"ResponseMetadata": {"RequestId": request_id}}}
        if model.output_shape is not None:
            said[f"{operation}Response"] = {f"{operation}Result": read} | said[f"{operation}Response"]
    headers = tuple(header for header in response.headers if header[0].lower() != "content-type")
    body = json.dumps(said, default=plain).encode()
    return Response(
        response.status, body, (*headers, ("Content-Type", "application/json")), error_code_of(response)
    )


def error_code_of(response: Response) -> str | None:
    """AWS's error code in an answer, whoever made it; None for no error, and for moto's bodiless answers to a HEAD."""
    if response.status < 300 or response.code is not None:
        return response.code
    match = re.search(rb'<Code>([^<]+)</Code>|"__type":\s*"([^"]+)"', response.body)
    return None if match is None else (match[1] or match[2]).decode().rpartition("#")[2]
