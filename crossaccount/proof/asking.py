"""The asking: puts questions to an endpoint and reads the answers, in bounded time and memory, through sagemaker-core.

Not here: the questions (``questions``), what an answer says (``reading``), and the judging of answers (``expectations``).

Source: InvokeEndpoint in the SageMaker Runtime API reference; "Retry Requests on ModelNotReadyException Errors" in the SageMaker
developer guide: 60 s, and 360 s more, until a model is loaded.
"""

import io
import json
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from crossaccount.aws.access import Target
from crossaccount.config.kinds import COMPONENTS
from crossaccount.config.smoke import Latency
from crossaccount.hosting.gateway import Patience
from crossaccount.proof.questions import Question
from crossaccount.proof.reading import BODY_LIMIT, read_answer, shown

# SageMaker gives a container 60 s to answer; an answer that comes later, or never ends, is none.
ASK_SECONDS = 75.0
# A model that a serverless or multi-model endpoint has not loaded after this long does not come; in all, for all questions.
READY_SECONDS = 600.0
_MOST_KEPT = 20_000  # characters of an answer, in a proof
_MOST_TOLD = 500  # characters of what is wrong with it
_NOT_READY = "ModelNotReadyException"
# What AWS says, as a ValidationError, of an inference component that is scaled to no copies: the call lets a policy scale it out.
_NO_CAPACITY = "Inference Component has no capacity"


@dataclass(frozen=True)
class Answer:
    """A question, its expected answer, the answer that came, and whether it is right; latency in milliseconds.

    ``why`` says what is wrong with it, and is empty for a right one.
    """

    content_type: str
    body: str
    expected: Any
    got: Any
    ok: bool
    latency_ms: float
    why: str = ""

    @property
    def reason(self) -> str:
        """What is wrong with it, to be said after it; empty where the answer itself says it."""
        return "" if not self.why or str(self.got).startswith(self.why) else f" ({self.why})"


@dataclass(frozen=True)
class Speed:
    """The latencies of calls, each one and the percentiles, and the limits; in milliseconds, None for a limit that is not set."""

    calls: int
    p50_ms: float
    p95_ms: float
    p50_limit_ms: float | None
    p95_limit_ms: float | None
    measured_ms: tuple[float, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every percentile is within its limit."""
        pairs = ((self.p50_ms, self.p50_limit_ms), (self.p95_ms, self.p95_limit_ms))
        return all(limit is None or measured <= limit for measured, limit in pairs)


def speed(latencies: Sequence[float], limits: Latency) -> Speed:
    """The percentiles of latencies, by the nearest rank, beside their limits.

    Raises:
        ValueError: without a latency.
    """
    if not latencies:
        raise ValueError("nothing was measured")
    ordered = sorted(latencies)
    p50, p95 = (ordered[math.ceil(len(ordered) * part) - 1] for part in (0.5, 0.95))
    return Speed(len(ordered), p50, p95, limits.p50_ms, limits.p95_ms, tuple(latencies))


def ask(
    target: Target, endpoint: str, questions: Iterable[Question], patience: Patience | None = None
) -> tuple[Answer, ...]:
    """Put every question to the endpoint; the answers.

    An error of the container is an answer too, and a wrong one.

    Args:
        target: the account.
        endpoint: its name.
        questions: of any number.
        patience: how long to wait in all for a model that is not ready; `READY_SECONDS` when it is left out.

    Raises:
        ClientError: when AWS refuses the call itself.
    """
    from sagemaker.core.resources import Endpoint

    session, region = target.session, target.region
    client = Endpoint.get_sagemaker_client(
        session=session, region_name=region, service_name="sagemaker-runtime"
    )
    _bound_answers(client)
    invoke = partial(Endpoint(endpoint_name=endpoint).invoke, session=session, region=region)
    if target.consumer.endpoint.hosting_kind == COMPONENTS:
        invoke = partial(invoke, inference_component_name=endpoint)  # it has the endpoint's name
    readiness = Readiness(patience or Patience(READY_SECONDS))
    return tuple(put_question(invoke, question, readiness) for question in questions)


class Readiness:
    """The waiting for a model that its endpoint has not loaded yet: so long in all, whatever the number of questions."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._since: float | None = None

    def wait(self) -> bool:
        """Pause; False when the patience is at its end."""
        if self._since is None:
            self._since = time.monotonic()
        waited = time.monotonic() - self._since
        rest = self._patience.seconds - waited
        if rest > 0:
            time.sleep(min(self._patience.pause(waited), rest))
        return rest > 0


def measure(
    target: Target, endpoint: str, questions: Sequence[Question], limits: Latency
) -> tuple[tuple[Answer, ...], Speed]:
    """Put the questions to the endpoint in turn, as often as the limits say; the answers, and how fast they came.

    The answers count too: a container that quickly answers wrong is not fast.

    Raises:
        ClientError: when AWS refuses the call itself.
    """
    turns = (questions[number % len(questions)] for number in range(limits.calls))
    answers = ask(target, endpoint, turns)
    return answers, speed([answer.latency_ms for answer in answers], limits)


def put_question(
    invoke: Callable[..., Any], question: Question, readiness: Readiness | None = None
) -> Answer:
    """The answer to one question, put by a call that takes body, content_type and accept; raises as `ask` does."""
    given = {"body": question.body, "content_type": question.content_type}
    if question.accept:
        given["accept"] = question.accept
    got, fault, latency = _answer(partial(invoke, **given))
    while fault.startswith(_NOT_READY) and readiness is not None and readiness.wait():
        got, fault, latency = _answer(partial(invoke, **given))
    why = fault or question.judge(got)
    seen = _shortened(fault or shown(got))
    return Answer(
        question.content_type, question.shown, question.expected, seen, not why, latency, why[:_MOST_TOLD]
    )


def _answer(invoke: Callable[[], Any]) -> tuple[Any, str, float]:
    """What came: the answer as data, or a fault that takes its place; and the milliseconds that it took."""

    def come() -> tuple[bytes, str]:
        output = invoke()
        # sagemaker-core marks a missing field of a response with an object of its own.
        content_type = output.content_type if isinstance(output.content_type, str) else ""
        return output.body.read(BODY_LIMIT + 1), content_type

    started, got, fault = time.perf_counter(), None, ""
    try:
        came: tuple[bytes, str] | None = _in_time(come)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if str(error.response["Error"].get("Message", "")).startswith(_NO_CAPACITY):
            code = _NOT_READY
        if code not in ("ModelError", _NOT_READY):
            raise
        came, fault = None, f"{code}: {error.response['Error'].get('Message')}"
    except ValueError as error:
        came, fault = None, f"unreadable answer: {error}"
    took = round((time.perf_counter() - started) * 1000, 2)  # without the reading: that is not the endpoint's
    if came is not None:
        try:
            got = read_answer(*came)
        except ValueError as error:
            fault = f"unreadable answer: {error}"
    return got, fault, took


def _shortened(got: Any) -> Any:
    """An answer as a proof keeps it; of a very long one, the beginning as text."""
    text = got if isinstance(got, str) else json.dumps(got)
    return got if len(text) <= _MOST_KEPT else f"{text[:_MOST_KEPT]}... ({len(text)} characters)"


_Result = TypeVar("_Result")
_ASKING = threading.local()


def _in_time(call: Callable[[], _Result]) -> _Result:
    """The result of a call, unless it takes longer than `ASK_SECONDS` in all.

    A socket's own timeout is for each piece that comes: one byte a second keeps it content for ever. So the call is made in
    a thread of its own, which is left to itself when the time is up, and which does not keep the process from ending.

    Raises:
        ValueError: when the time is up; and any error of the call.
    """
    result: Future[_Result] = Future()

    def run() -> None:
        _ASKING.deadline = time.monotonic() + ASK_SECONDS
        try:
            result.set_result(call())
        except BaseException as error:
            result.set_exception(error)  # it is raised where the result is waited for

    threading.Thread(target=run, daemon=True, name="asking an endpoint").start()
    try:
        return result.result(ASK_SECONDS)
    except FutureTimeout:
        raise ValueError(f"it did not come whole within {ASK_SECONDS:g} s") from None


def _bound_answers(client: Any) -> None:
    """Bound the bytes and the seconds that a client of the runtime spends on an answer, also on one that is an error.

    botocore itself reads an error to its end, whatever its length. Source: the event before-send of botocore.
    """
    http = client._endpoint.http_session

    def send(request: Any, **_: Any) -> Any:
        answer = http.send(request)
        body = HTTPResponse(io.BytesIO(_bytes_of(answer.raw)), preload_content=False)
        return AWSResponse(answer.url, answer.status_code, answer.headers, body)

    client.meta.events.register(
        "before-send.sagemaker-runtime.InvokeEndpoint", send, unique_id="bounded answers"
    )


def _bytes_of(raw: Any) -> bytes:
    """The body of an answer, up to one byte more than it may have: `read_answer` refuses that.

    Raises:
        ValueError: when it breaks off, or does not end in time.
    """
    content, whole = bytearray(), False
    try:
        while len(content) <= BODY_LIMIT and not whole:
            piece = raw.read1(65_536)
            content += piece
            whole = not piece
            if time.monotonic() >= _ASKING.deadline:
                raise ValueError(f"it did not come whole within {ASK_SECONDS:g} s")
    except (HTTPError, OSError) as error:
        raise ValueError(f"it broke off after {len(content)} bytes ({type(error).__name__})") from None
    finally:
        if not whole:
            raw.close()  # a late rest on this connection must not be taken for another answer
    announced = str(raw.headers.get("Content-Length", ""))
    if whole and announced.isdecimal() and len(content) < int(announced[:20]):
        raise ValueError(f"it broke off after {len(content)} of {announced[:20]} bytes")
    return bytes(content[: BODY_LIMIT + 1])
