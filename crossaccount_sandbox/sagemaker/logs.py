"""How what containers print comes into CloudWatch Logs: followed in their files, and written with their execution roles.

Not here: the reads of logs (``handlers.logs``), and what prints (``containers``).

Source: "Log groups and streams that Amazon SageMaker AI sends to Amazon CloudWatch Logs" in the SageMaker developer guide; its page
on execution roles for which permissions that takes. Lines that a role may not write are lost.
"""

import logging
import threading
from dataclasses import dataclass

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check
from crossaccount_sandbox.checks.decisions import decide
from crossaccount_sandbox.checks.logs import asked_arn
from crossaccount_sandbox.handlers.log_store import EVENT_BYTES, LogStore
from crossaccount_sandbox.judging.decision import Result
from crossaccount_sandbox.principals import find_role
from crossaccount_sandbox.sagemaker.execution import execution_session
from crossaccount_sandbox.wire import Response
from crossaccount_sandbox.world import ContainerOutput, Place, World

_GROUPS = {
    "endpoint": "/aws/sagemaker/Endpoints/",
    "inference-component": "/aws/sagemaker/InferenceComponents/",
}
_GLANCE_SECONDS = 0.25  # between two looks at the files, real seconds
_READ_BYTES = 1024 * 1024
logger = logging.getLogger("sandbox")


@dataclass
class _Followed:
    """One container's output: how far it was read, and the begin of a line that has no end yet."""

    output: ContainerOutput
    place: Place
    group: str
    offset: int = 0
    rest: bytes = b""


def log_group(resource: str, name: str) -> str:
    """The log group of an endpoint or an inference component.

    Args:
        resource: the last part of its ARN.
        name: its name, with the case that it was given.
    """
    return f"{_GROUPS[resource.partition('/')[0]]}{name}"


class Collector:
    """Takes what containers print into CloudWatch Logs, a few times a second and whenever somebody reads there.

    Args:
        world: which containers print where, roles, and the clock.
        store: what is written to.
    """

    def __init__(self, world: World, store: LogStore):
        self._world = world
        self._store = store
        self._lock = threading.Lock()
        self._known = 0
        self._followed: list[_Followed] = []
        self._ended = threading.Event()

    def start(self) -> None:
        """Look at the files from now on, in the background."""
        threading.Thread(target=self._follow, name="logs", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()

    def _follow(self) -> None:
        while not self._ended.wait(_GLANCE_SECONDS):
            self.look()

    def look(self) -> None:
        """Write down what was printed since the last time."""
        with self._lock:
            outputs = self._world.outputs[self._known :]
            self._known += len(outputs)
            self._followed += [self._begun(output) for output in outputs]
            self._followed = [followed for followed in self._followed if self._read(followed)]

    def _begun(self, output: ContainerOutput) -> _Followed:
        _, _, _, region, account, resource = output.endpoint.split(":", 5)
        place, (kind, _, name) = (account, region), resource.partition("/")
        table = self._world.endpoints if kind == "endpoint" else self._world.components
        shown = table.get((place, name), {}).get("EndpointName", name)
        return _Followed(output, place, log_group(resource, shown))

    def _read(self, followed: _Followed) -> bool:
        """Take what is new in a file; False when nothing more can come, for the endpoint is gone or the file is."""
        exists = any(
            record["EndpointArn"] == followed.output.endpoint
            for record in [*self._world.endpoints.values(), *self._world.components.values()]
        )
        try:
            with followed.output.path.open("rb") as file:
                file.seek(followed.offset)
                new = file.read(_READ_BYTES)
        except FileNotFoundError:
            return False
        followed.offset += len(new)
        # A line's end may come later; once nothing more is written, what stands there is a line too.
        *whole, followed.rest = (followed.rest + new).split(b"\n")
        if not new or len(followed.rest) > EVENT_BYTES:
            whole, followed.rest = [*whole, followed.rest], b""
        self._write(followed, whole)
        return exists or bool(new)

    def _write(self, followed: _Followed, lines: list[bytes]) -> None:
        messages = [
            line[start : start + EVENT_BYTES].decode("utf-8", "replace")
            for line in (each.rstrip(b"\r") for each in lines)
            for start in range(0, len(line), EVENT_BYTES)
        ]
        if not messages or not self._may_write(followed):
            return
        now, stream = self._world.clock(), followed.output.stream
        self._store.make(followed.place, followed.group, stream, now)
        self._store.write(followed.place, followed.group, stream, messages, now)

    def _may_write(self, followed: _Followed) -> bool:
        """Whether the execution role may write to the stream now, and make what of group and stream is not there."""
        account, region = followed.place
        group = self._store.find(followed.place, followed.group)
        stream = followed.output.stream
        asked = {"logs:PutLogEvents": stream}
        if group is None or stream not in group.streams:
            asked["logs:CreateLogStream"] = stream
        if group is None:
            asked["logs:CreateLogGroup"] = ""
        refused = [
            action
            for action, on in asked.items()
            if not self._allows(
                followed, Check(action, asked_arn(region, account, followed.group, on), account)
            )
        ]
        if refused:
            logger.info(
                "logs of %s: the role %s may not %s", followed.group, followed.output.role, ", ".join(refused)
            )
        return not refused

    def _allows(self, followed: _Followed, check: Check) -> bool:
        role = find_role(followed.output.role)
        if role is None:
            return False
        session = execution_session(role)
        operation = check.action.removeprefix("logs:")
        call = Call(session, "logs", operation, {}, followed.place[1], {}, b"", {}, _forwards_nothing)
        return decide(self._world, session, check, call).result is Result.ALLOWED


def _forwards_nothing(account: str | None) -> Response:
    raise AssertionError("what containers print is no request")
