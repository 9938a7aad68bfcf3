"""A call that one service makes of another for its caller: written as a request, and its answer read.

Not here: whether the caller may have it made (``guard``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from botocore.awsrequest import HeadersDict
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from moto.core.utils import get_service_model
from werkzeug.test import EnvironBuilder

from crossaccount_sandbox.protocols import Spoken
from crossaccount_sandbox.wire import AwsError, Response


def write_request(
    service: str, operation: str, params: Mapping[str, Any], region: str, host: str, agent: str
) -> tuple[dict[str, Any], bytes]:
    """The environ and the body of a request that a service makes itself; unsigned, it is for what stands behind the guard.

    Args:
        service: whose operation it is.
        operation: its name.
        params: its parameters under AWS's own names.
        region: where it is asked.
        host: the sandbox's own.
        agent: the service that makes it, as its ``User-Agent``.
    """
    model = get_service_model(service)
    # The service itself says what is outside its constraints.
    serializer = create_serializer(model.protocol, include_validation=False)
    written = serializer.serialize_to_request(dict(params), model.operation_model(operation))
    body = written["body"]
    body = urlencode(body) if isinstance(body, dict) else body
    scope = (
        f"Credential=-/19700101/{region}/{model.signing_name}/aws4_request, SignedHeaders=host, Signature=-"
    )
    headers: dict[Any, Any] = {
        **written["headers"],
        "Authorization": f"AWS4-HMAC-SHA256 {scope}",
        "Host": host,
        "User-Agent": agent,
    }
    path, _, query = str(written["url_path"]).partition("?")
    named = urlencode({name: value or "" for name, value in dict(written["query_string"]).items()})
    builder = EnvironBuilder(
        path=path,
        method=written["method"],
        headers=headers,
        query_string="&".join(part for part in (query, named) if part),
        data=body,
    )
    environ = builder.get_environ()
    environ["RAW_URI"] = environ["REQUEST_URI"] = str(written["url_path"]) + (f"?{named}" if named else "")
    return environ, body if isinstance(body, bytes) else body.encode()


def read_answer(spoken: Spoken, operation: str, response: Response) -> dict[str, Any]:
    """An answer as a client reads it.

    Args:
        spoken: who answered, in which protocol.
        operation: what was asked.
        response: the answer.

    Raises:
        AwsError: the error that it is.
    """
    shape = get_service_model(spoken.service).operation_model(operation).output_shape
    plain = {"body": response.body, "headers": _Headers(response.headers), "status_code": response.status}
    parsed: dict[str, Any] = create_parser(spoken.protocol).parse(plain, shape)
    if response.status >= 300:
        said = parsed.get("Error", {})
        raise AwsError(said.get("Code", "InternalFailure"), said.get("Message", ""), response.status)
    return parsed


class _Headers(HeadersDict):
    """The headers of an answer, found in whatever case, as botocore's parsers ask for them."""

    def __init__(self, headers: Iterable[tuple[str, str]]) -> None:
        super().__init__()
        for name, value in headers:
            self[name] = value
