"""The containers of a model behind one variant, asked as one: a single one, one after the other, or one by its name.

Not here: how they are started (``fleets``) and what is refused about a request before they are asked (``hosting``).

Source: "Inference pipelines" and "Multi-container endpoints" in the SageMaker developer guide; the texts about timeouts and the
console are quotes from public reports. Which Accept the containers before the last are sent is not documented: none is, since
AWS's own examples rely on each container's default there.
"""

import http.client
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from crossaccount_sandbox.sagemaker.containers import Answer, Container, NoAnswer
from crossaccount_sandbox.sagemaker.exchanges import Reply, until

INVOKE_SECONDS = 60.0  # what AWS gives all containers together
STREAM_SECONDS = 480.0  # and where the answer is streamed
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container {}. Review the latency metrics for each "
    "container in Amazon CloudWatch, resolve the issue, and try again."
)


@dataclass(frozen=True)
class Request:
    """One InvokeEndpoint, as containers get it.

    Args:
        body: the bytes.
        content_type: of the body.
        accept: the wished media type.
        headers: what else is passed on, custom attributes above all.
        variant: which is to answer; None lets shares and weights decide.
        hostname: which container is to answer; None where that is no choice.
    """

    body: bytes
    content_type: str = ""
    accept: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    variant: str | None = None
    hostname: str | None = None


class Refused(Exception):
    """A container answered with an error; which one, and what."""

    def __init__(self, container: str, answer: Answer):
        super().__init__(container, answer.status)
        self.container = container
        self.answer = answer


@dataclass(frozen=True)
class Pipeline:
    """Running containers, by their names, in their order.

    Args:
        containers: at least one.
        direct: one is asked by its name, instead of all in a row.
    """

    containers: Mapping[str, Container]
    direct: bool = False

    @property
    def alive(self) -> bool:
        """Whether all of them still run."""
        return all(container.alive for container in self.containers.values())

    def invoke(self, request: Request, timeout: float = INVOKE_SECONDS) -> Answer:
        """The last container's answer, or that of the one that was named.

        Raises:
            Refused: when one has answered with an error, or not at all.
        """
        names = [request.hostname] if request.hostname else list(self.containers)
        return self._through(names, request, timeout)

    def stream(self, request: Request, timeout: float = STREAM_SECONDS) -> tuple[str, Reply]:
        """The last container's answer, or that of the one that was named, as it comes; with that container's name.

        Raises:
            Refused: when one has answered with an error, or not at all.
        """
        *before, last = [request.hostname] if request.hostname else list(self.containers)
        if before:
            answer = self._through(before, replace(request, accept=""), timeout)
            request = replace(request, body=answer.body, content_type=answer.content_type)
        deadline = time.monotonic() + timeout
        try:
            given = (request.body, request.content_type, request.accept, timeout, dict(request.headers))
            reply = self.containers[last].stream(*given)
            if 200 <= reply.status < 300:
                return last, replace(reply, pieces=until(reply.pieces, deadline))
            body = b"".join(reply.pieces)
        except NoAnswer as error:
            raise Refused(last, _no_answer(last, error)) from None
        except (OSError, http.client.HTTPException) as error:
            raise Refused(last, Answer(500, "text/plain", str(error).encode())) from None
        raise Refused(last, Answer(reply.status, reply.content_type, body, reply.headers))

    def _through(self, names: Sequence[str], request: Request, timeout: float) -> Answer:
        body, content_type = request.body, request.content_type
        headers = dict(request.headers)
        for name in names:
            accept = request.accept if name == names[-1] else ""
            answer = self._asked(name, body, content_type, accept, headers, timeout)
            if not 200 <= answer.status < 300:
                raise Refused(name, answer)
            body, content_type = answer.body, answer.content_type
        return answer

    def _asked(
        self,
        name: str,
        body: bytes,
        content_type: str,
        accept: str,
        headers: Mapping[str, str],
        timeout: float,
    ) -> Answer:
        try:
            return self.containers[name].invoke(body, content_type, accept, timeout, headers)
        except NoAnswer as error:
            return _no_answer(name, error)


def _no_answer(container: str, error: NoAnswer) -> Answer:
    """What stands for the answer of a container that gave none."""
    if isinstance(error.__cause__, TimeoutError):
        return Answer(0, "text/plain", _TIMED_OUT.format(container).encode())
    return Answer(500, "text/plain", str(error).encode())
