"""Asynchronous endpoints: a queue before the containers, answers and errors as objects in S3, and notifications.

A request waits for its turn in a thread of its own, at most so many of them at work as the config and the instances allow; what it
reads and writes in S3, and what it tells SNS, is judged as the execution role.

Not here: publishing (``notifications``), and the containers (``hosting``).

Source: InvokeEndpointAsync in the SageMaker runtime's API reference; "Asynchronous inference" in the developer guide: "Check prediction
results" for the notifications. Names of objects and the form of the log are as public reports have them.
How many requests AWS chooses to send at once is not documented: four here.
"""

import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.sagemaker.artifacts import Artifacts
from crossaccount_sandbox.sagemaker.deployments import Unhealthy
from crossaccount_sandbox.sagemaker.execution import split_uri
from crossaccount_sandbox.sagemaker.hosting import Hosting
from crossaccount_sandbox.sagemaker.invocations import invalid
from crossaccount_sandbox.sagemaker.notifications import TOPICS, Log, publish
from crossaccount_sandbox.sagemaker.outcomes import Pace
from crossaccount_sandbox.sagemaker.pipelines import INVOKE_SECONDS, Request
from crossaccount_sandbox.wire import AwsError, Response, json_response
from crossaccount_sandbox.world import Record, World

INLINE_LIMIT = 128_000  # bytes of a Body
INPUT_LIMIT = 1024**3  # bytes of an object at InputLocation
_AT_ONCE = 4
_GLANCE_SECONDS = 0.02  # between two looks at whose turn it is
_PREFIX = "X-Amzn-SageMaker-"


@dataclass(frozen=True)
class Invocation:
    """One request in a queue: where it is to be answered, by whose role, and how long it may take, in AWS's seconds."""

    call: Call
    endpoint: str
    config: Mapping[str, Any]
    role: str
    inference_id: str
    output: str
    failure: str
    received: datetime
    waits: float
    takes: float

    @property
    def location(self) -> str | None:
        """Where its body lies; None for one in the request."""
        return self.call.params.get("InputLocation")


@dataclass
class _Queue:
    """The requests of one endpoint: those that wait, in their order, and how many are at work."""

    waiting: deque[str] = field(default_factory=deque)
    at_work: int = 0


class _Failed(Exception):
    """An invocation that came to no answer: why, and the bytes that are kept of it."""


class _Expired(_Failed):
    """An invocation that waited, or took, longer than it might."""


class Queues:
    """The queues of all asynchronous endpoints.

    Args:
        world: policies, clock, and where notifications are noted.
        hosting: what runs behind the endpoints.
        artifacts: gives clients of S3 that act as an execution role.
        pace: how fast AWS's seconds pass.
        log: as of ``Guard``; it has what an execution role asks of SNS too, which is no request here.
    """

    def __init__(
        self, world: World, hosting: Hosting, artifacts: Artifacts, pace: Pace, log: Log | None = None
    ) -> None:
        self._world = world
        self._hosting = hosting
        self._artifacts = artifacts
        self._pace = pace
        self._log = log
        self._lock = threading.Lock()
        self._queues: dict[str, _Queue] = {}

    def accept(self, call: Call, endpoint: Record) -> Response:
        """Queue a request: 202, with where its answer and its error will lie.

        Args:
            call: InvokeEndpointAsync.
            endpoint: an asynchronous one, as ``hosting`` found it.

        Raises:
            AwsError: ``ValidationError`` for a request that is none, or an endpoint that serves nothing yet.
        """
        invocation = self._read(call, endpoint)
        with self._lock:
            queue = self._queues.setdefault(endpoint["EndpointArn"], _Queue())
            ticket = str(uuid.uuid4())
            queue.waiting.append(ticket)
        threading.Thread(
            target=self._serve, args=(invocation, queue, ticket), name="invocation", daemon=True
        ).start()
        headers = [("Content-Type", "application/json"), (f"{_PREFIX}OutputLocation", invocation.output)]
        if invocation.failure:
            headers.append((f"{_PREFIX}FailureLocation", invocation.failure))
        answer = json_response({"InferenceId": invocation.inference_id})
        return Response(202, answer.body, tuple(headers))

    def _read(self, call: Call, endpoint: Record) -> Invocation:
        params, name = call.params, endpoint["EndpointName"]
        _check_body(call)
        config, roles = endpoint.get("AsyncInferenceConfig"), self._roles(endpoint)
        if not config or not roles:
            raise invalid(f"Endpoint {name} of account {call.account} not found.")
        output = config["OutputConfig"]
        inference_id = params.get("InferenceId") or str(uuid.uuid4())
        folder = "/".join(
            part.strip("/")
            for part in (_path(output["S3OutputPath"]), params.get("S3OutputPathExtension"))
            if part
        )
        failures = output.get("S3FailurePath")
        return Invocation(
            call=call,
            endpoint=endpoint["EndpointArn"],
            config=config,
            role=roles[0],
            inference_id=inference_id,
            output=f"s3://{folder}/{params.get('Filename') or f'{inference_id}.out'}",
            failure=f"s3://{_path(failures)}/{inference_id}-error.out" if failures else "",
            received=self._world.clock(),
            waits=float(params.get("RequestTTLSeconds") or 21_600),
            takes=float(params.get("InvocationTimeoutSeconds") or 900),
        )

    @staticmethod
    def _roles(endpoint: Record) -> list[str]:
        return [role for fleet in endpoint["fleets"] for role in dict.fromkeys(fleet.roles.values())]

    def _serve(self, invocation: Invocation, queue: _Queue, ticket: str) -> None:
        """Wait for the turn of an invocation, see it through, and tell of its end."""
        try:
            self._wait(invocation, queue, ticket)
            try:
                status, kind, body, why = self._answer(invocation)
            finally:
                with self._lock:
                    queue.at_work -= 1
        except _Expired as expired:
            status, kind, body, why = "Expired", "text/plain", str(expired).encode(), str(expired)
        where = invocation.output if status == "Completed" else invocation.failure
        if where and (refused := self._put(invocation, where, body, kind)):
            self._note(invocation, refused)
            status, why = "Failed", refused
        if status != "Completed":
            self._note(invocation, why)
        self._notify(invocation, status, kind, body, why)

    def _wait(self, invocation: Invocation, queue: _Queue, ticket: str) -> None:
        until = time.monotonic() + self._seconds(invocation.waits)
        while True:
            with self._lock:
                if queue.waiting[0] == ticket and queue.at_work < self._room(invocation):
                    queue.waiting.popleft()
                    queue.at_work += 1
                    return
                if time.monotonic() > until:
                    queue.waiting.remove(ticket)
                    raise _Expired(
                        "The request expired: it was in the queue for longer than RequestTTLSeconds."
                    )
            time.sleep(_GLANCE_SECONDS)

    def _seconds(self, seconds: float) -> float:
        """Real seconds: as AWS's pass, but never so few that a real container could not answer."""
        return max(self._pace.real(seconds), min(seconds, INVOKE_SECONDS))

    def _room(self, invocation: Invocation) -> int:
        """How many requests the endpoint's containers are sent at once, by its instances; none while it is gone or has none."""
        endpoint = self._found(invocation)
        if endpoint is None:
            return 1  # so that it ends, and says why
        client = (endpoint.get("AsyncInferenceConfig") or {}).get("ClientConfig") or {}
        limit = int(client.get("MaxConcurrentInvocationsPerInstance") or _AT_ONCE)
        variants = endpoint.get("ProductionVariants") or ()
        return limit * sum(int(variant.get("DesiredInstanceCount", 0)) for variant in variants)

    def _found(self, invocation: Invocation) -> Record | None:
        return self._hosting.find(invocation.call.place, invocation.call.params["EndpointName"])

    def _answer(self, invocation: Invocation) -> tuple[str, str, bytes, str]:
        """How the invocation ended, and what is kept of it: its content type, its bytes, and why it failed."""
        params = invocation.call.params
        try:
            body = self._input(invocation)
            endpoint = self._found(invocation)
            if endpoint is None:
                raise _Failed("The endpoint was deleted before the request was processed.")
            request = Request(
                body,
                params.get("ContentType") or "",
                params.get("Accept") or "*/*",
                _passed_on(invocation),
            )
            answer = self._hosting.invoke(endpoint, request, self._seconds(invocation.takes))
        except (_Failed, AwsError) as error:
            why = error.message if isinstance(error, AwsError) else str(error)
            return "Failed", "text/plain", why.encode(), why
        kind = next((value for name, value in answer.headers if name == "Content-Type"), "")
        return "Completed", kind, answer.body, ""

    def _input(self, invocation: Invocation) -> bytes:
        if invocation.location is None:
            return invocation.call.body
        bucket, key = split_uri(invocation.location)
        try:
            found = self._artifacts.client(invocation.role).get_object(Bucket=bucket, Key=key)
            if found["ContentLength"] > INPUT_LIMIT:
                raise _Failed(f"The object at {invocation.location} is larger than {INPUT_LIMIT} bytes.")
            return bytes(found["Body"].read())
        except (ClientError, BotoCoreError, Unhealthy) as error:
            raise _Failed(
                f"Unable to read the request payload at {invocation.location} with the role {invocation.role}: {error}"
            ) from None

    def _put(self, invocation: Invocation, where: str, body: bytes, kind: str) -> str:
        """Write an object as the execution role; why that could not be done, or an empty text."""
        bucket, key = split_uri(where)
        given: dict[str, Any] = {"Bucket": bucket, "Key": key, "Body": body}
        if kind:
            given["ContentType"] = kind
        if named := invocation.config["OutputConfig"].get("KmsKeyId"):
            given |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": named}
        try:
            self._artifacts.client(invocation.role).put_object(**given)
        except (ClientError, BotoCoreError, Unhealthy) as error:
            return f"Unable to write to {where} with the role {invocation.role}: {error}"
        return ""

    def _note(self, invocation: Invocation, text: str) -> None:
        """Say in the endpoint's log why an invocation failed; where its object cannot be written, nothing else does."""
        endpoint = self._found(invocation)
        paths = [fleet.data_log for fleet in endpoint["fleets"] if fleet.data_log] if endpoint else []
        now = self._world.clock().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        for path in paths[:1]:
            with path.open("a") as file:
                file.write(
                    f"{now}:[sagemaker logs] [{invocation.inference_id}] {text}\n".replace("\n\n", "\n")
                )

    def _notify(self, invocation: Invocation, status: str, kind: str, body: bytes, why: str) -> None:
        """Tell the topic of such an end, where there is one."""
        wanted = invocation.config["OutputConfig"].get("NotificationConfig") or {}
        topic = wanted.get(TOPICS[status])
        if not topic:
            return
        params, done = invocation.call.params, status == "Completed"
        request = {
            "accept": params.get("Accept"),
            "contentType": params.get("ContentType"),
            "endpointName": params["EndpointName"],
            "inputLocation": invocation.location,
        }
        message: dict[str, Any] = {
            "awsRegion": invocation.call.region,
            "eventTime": self._world.clock().isoformat(timespec="milliseconds"),
            "receivedTime": invocation.received.isoformat(timespec="milliseconds"),
            "invocationStatus": status,
            "requestParameters": {key: value for key, value in request.items() if value},
            "inferenceId": invocation.inference_id,
            "eventVersion": "1.0",
            "eventSource": "aws:sagemaker",
            "eventName": "InferenceResult",
        }
        if done:
            message["responseParameters"] = {"contentType": kind, "outputLocation": invocation.output}
        else:
            message["failureReason"] = why
        included = "SUCCESS" if done else "ERROR"
        asked = f"{included}_NOTIFICATION_TOPIC" in (wanted.get("IncludeInferenceResponseIn") or ())
        if asked and len(body) <= INLINE_LIMIT:
            content = body.decode("utf-8", "replace")
            message["responseBody"] = {"content": content, "contentType": kind}
        publish(self._world, invocation.call, invocation.role, topic, message, self._log)


def config_faults(config: Mapping[str, Any]) -> list[str]:
    """Why AWS would refuse the AsyncInferenceConfig of an endpoint configuration; none without one.

    Source: "Asynchronous inference" in the SageMaker developer guide: not with what the exclusions of deployment guardrails name; "Amazon
    SageMaker AI endpoints with serverless inference" for the other. The texts are the sandbox's own.
    """
    wanted = config.get("AsyncInferenceConfig")
    if not wanted:
        return []
    found, output = [], wanted.get("OutputConfig") or {}
    for name in ("S3OutputPath", "S3FailurePath"):
        path = output.get(name)
        if (name == "S3OutputPath" or path) and not _is_path(path):
            found.append(f"AsyncInferenceConfig needs {name}, such as s3://bucket/prefix/.")
    for variant in config["ProductionVariants"]:
        if variant.get("ServerlessConfig"):
            found.append("Serverless variants are not supported when specifying an AsyncInferenceConfig.")
        if str(variant.get("InstanceType", "")).startswith("ml.inf1."):
            found.append("Inf1 instances are not supported when specifying an AsyncInferenceConfig.")
    return found


def _is_path(path: object) -> bool:
    try:
        return bool(split_uri(str(path or ""))[0])
    except AwsError:
        return False


def _path(uri: str) -> str:
    """Bucket and prefix of a location, without a slash at its end."""
    return "/".join(split_uri(uri)).rstrip("/")


def _check_body(call: Call) -> None:
    """Refuse a request with no body, with two, or with one that is too large; a location that is none."""
    location = call.params.get("InputLocation")
    if len(call.body) > INLINE_LIMIT:
        raise invalid(
            "1 validation error detected: Value at 'body' failed to satisfy constraint: Member must have length less than or "
            f"equal to {INLINE_LIMIT}"
        )
    if bool(call.body) == bool(location):
        raise invalid("Exactly one of Body and InputLocation must be provided.")
    if location is None:
        return
    try:
        key = split_uri(location)[1]
    except AwsError:
        key = ""
    if not key:
        raise invalid(f"InputLocation {location} names no object.")


def _passed_on(invocation: Invocation) -> dict[str, str]:
    given = invocation.call.params.get("CustomAttributes")
    own = {f"{_PREFIX}Inference-Id": invocation.inference_id}
    return {**own, f"{_PREFIX}Custom-Attributes": given} if given else own
