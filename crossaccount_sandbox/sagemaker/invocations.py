"""InvokeEndpoint and its kin as requests: what is read of them, and what is refused about them.

Not here: lengths and patterns (``calls``), how a stream is written (``event_streams``), and the asking (``hosting``, ``pipelines``).

Source: InvokeEndpoint, InvokeEndpointAsync and InvokeEndpointWithResponseStream in the SageMaker runtime's API reference;
"Multi-container endpoints" and "Stateful sessions" in the developer guide; "Amazon SageMaker AI endpoints and quotas" for sizes. The texts
about inference components, oversize bodies and content lengths are quotes from public reports, the others the sandbox's own.
"""

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.sagemaker.pipelines import Pipeline, Request
from crossaccount_sandbox.wire import AwsError
from crossaccount_sandbox.world import Record

BODY_LIMIT = 25 * 1024 * 1024  # bytes, of a real-time endpoint
SERVERLESS_LIMIT = 4 * 1024 * 1024
NEW_SESSION = "NEW_SESSION"
_PREFIX = "X-Amzn-SageMaker-"
_PASSED_ON = ("Custom-Attributes", "Inference-Id", "Session-Id")


def read_request(call: Call) -> Request:
    """What the containers get of a call."""
    streamed = call.operation == "InvokeEndpointWithResponseStream"
    wished = call.headers.get(f"{_PREFIX}Accept")
    accept = wished or (None if streamed else call.headers.get("Accept"))
    return Request(
        call.body,
        call.headers.get("Content-Type", ""),
        accept or "*/*",
        {
            f"{_PREFIX}{name}": call.headers[_PREFIX + name]
            for name in _PASSED_ON
            if _PREFIX + name in call.headers
        },
        call.params.get("TargetVariant"),
        call.params.get("TargetContainerHostname"),
    )


def refuse(call: Call, endpoint: Record) -> None:
    """Refuse what the endpoint does not do.

    Args:
        call: one of the three operations.
        endpoint: as ``hosting`` keeps it.

    Raises:
        AwsError: ``ValidationError``, or 413 for a body that is too large.
    """
    serverless = any(
        variant.get("CurrentServerlessConfig") for variant in endpoint.get("ProductionVariants") or ()
    )
    if serverless and len(call.body) > SERVERLESS_LIMIT:
        raise invalid(f"Request {uuid.uuid4()} has oversize body.")
    if len(call.body) > BODY_LIMIT:
        raise AwsError("413", f"HTTP content length exceeded {BODY_LIMIT} bytes.", 413)
    if endpoint.get("AsyncInferenceConfig") and call.operation != "InvokeEndpointAsync":
        name = endpoint["EndpointName"]
        raise invalid(
            f"Endpoint {name} of account {call.account} is asynchronous and takes InvokeEndpointAsync alone."
        )
    for fault in _faults(call, serverless, bool(endpoint.get("hosts_components"))):
        raise invalid(fault)


def refuse_container(request: Request, pipeline: Pipeline, endpoint: str) -> None:
    """Refuse a container that is none, or that nobody may choose.

    Raises:
        AwsError: ``ValidationError``.
    """
    if not pipeline.direct:
        if request.hostname:
            raise invalid(
                f"TargetContainerHostname is not allowed for endpoint {endpoint}, which is not configured for direct invocation."
            )
        return
    names = ", ".join(pipeline.containers)
    if not request.hostname:
        raise invalid(
            f"TargetContainerHostname is required for endpoint {endpoint}; its containers are {names}."
        )
    if request.hostname not in pipeline.containers:
        raise invalid(
            f"Container {request.hostname} of endpoint {endpoint} not found; its containers are {names}."
        )


def refuse_session(request: Request, known: Mapping[str, str], now: datetime) -> None:
    """Refuse a session that does not exist, or does no more.

    Raises:
        AwsError: ``ValidationError``.
    """
    session = request.headers.get(f"{_PREFIX}Session-Id")
    if session is None or session == NEW_SESSION:
        return
    ends = known.get(session, "").removeprefix("Expires=")
    if session not in known or (ends and ends <= now.strftime("%Y-%m-%dT%H:%M:%SZ")):
        raise invalid(f"Session {session} does not exist or has expired.")


def note_sessions(request: Request, headers: Mapping[str, str], known: dict[str, str]) -> None:
    """Keep the session that a container has opened, forget the one it has closed.

    Args:
        request: what it was asked.
        headers: of its answer.
        known: the endpoint's sessions with when they expire.

    Raises:
        AwsError: ``ValidationError`` when a new session was asked for and none was opened.
    """
    opened, closed = headers.get(f"{_PREFIX}New-Session-Id"), headers.get(f"{_PREFIX}Closed-Session-Id")
    if opened:
        session, _, expires = opened.partition(";")
        known[session.strip()] = expires.strip()
    elif request.headers.get(f"{_PREFIX}Session-Id") == NEW_SESSION:
        raise invalid("The model container did not create a session: it does not support stateful sessions.")
    if closed:
        known.pop(closed, None)


def _faults(call: Call, serverless: bool, hosts_components: bool) -> Iterator[str]:
    name = call.params["EndpointName"]
    if call.operation == "InvokeEndpointWithResponseStream" and serverless:
        yield f"Endpoint {name} of account {call.account} is serverless and does not support response streaming."
    named = bool(call.params.get("InferenceComponentName"))
    if hosts_components and not named:
        yield (
            "Inference Component Name header is required for endpoints to which you plan to deploy inference components. Please "
            "include Inference Component Name header or consider using SageMaker models."
        )
    if named and not hosts_components:
        yield (
            "Inference Component Name header is not allowed for endpoints to which you dont plan to deploy inference "
            "components. Please remove the Inference Component Name header and try again."
        )
    if call.params.get("TargetModel"):
        yield f"TargetModel is not allowed for endpoint {name}, which does not host multiple models."
    if call.params.get("EnableExplanations"):
        yield f"EnableExplanations is not allowed for endpoint {name}, which has no ExplainerConfig."


def invalid(text: str) -> AwsError:
    """A refusal of the runtime."""
    return AwsError("ValidationError", text)
