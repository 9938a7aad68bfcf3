"""The asking: puts questions to an endpoint and reads the answers, in bounded time and memory.

Not here: the questions (``questions``), what an answer says (``reading``), and the judging of answers (``expectations``).

Source: InvokeEndpoint and InvokeEndpointWithResponseStream in the SageMaker Runtime API reference; "Retry Requests on ModelNotReadyException Errors" in the SageMaker
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
from itertools import chain, repeat
from typing import Any, TypeVar

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from crossaccount.aws.access import Target
from crossaccount.config.kinds import COMPONENTS
from crossaccount.config.smoke import Latency
from crossaccount.hosting.gateway import Patience
from crossaccount.proof.asynchronous import Answered, Queue
from crossaccount.proof.questions import Question
from crossaccount.proof.reading import BODY_LIMIT, read_answer, shown
from crossaccount.proof.streams import STREAM_SECONDS, BoundedStream, Broken, Parts, read_parts

# SageMaker gives a container 60 s to answer; an answer that comes later, or never ends, is none.
ASK_SECONDS = 75.0
# A model that a serverless or multi-model endpoint has not loaded after this long does not come; in all, for all questions.
READY_SECONDS = 600.0
MOST_KEPT = 20_000  # characters of an answer, in a proof
_MOST_TOLD = 500  # characters of what is wrong with it
_NOT_READY = "ModelNotReadyException"
# What AWS says, as a ValidationError, of an inference component that is scaled to no copies: the call lets a policy scale it out.
_NO_CAPACITY = "Inference Component has no capacity"
_EVENTS = "application/vnd.amazon.eventstream"


@dataclass(frozen=True)
class Answer:
    """A question, its expected answer, the answer that came, and whether it is right; latency in milliseconds.

    ``why`` says what is wrong with it, and is empty for a right one. ``container`` is the one that was asked, empty for the endpoint as
    a whole. Of an answer that was asked for as a stream ``parts`` is how many came, and ``first_part_ms`` when the first did, in
    milliseconds; its latency is that of the whole answer.
    """

    content_type: str
    body: str
    expected: Any
    got: Any
    ok: bool
    latency_ms: float
    why: str = ""
    container: str = ""
    parts: int | None = None
    first_part_ms: float | None = None

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
    target: Target,
    endpoint: str,
    questions: Iterable[Question],
    patience: Patience | None = None,
    inference_ids: Iterable[str] = (),
) -> tuple[Answer, ...]:
    """Put every question to the endpoint; the answers.

    An error of the container is an answer too, and a wrong one. The answers of an asynchronous endpoint are read from S3, and their
    latency is the time from the call until they were: the queue, and up to a tenth of it for the looking, are part of it.

    Args:
        target: the account.
        endpoint: its name.
        questions: of any number.
        patience: how long to wait in all for a model that is not ready; `READY_SECONDS` when it is left out.
        inference_ids: one for each question, by which it is found in captured data; none when they are left out.

    Raises:
        ClientError: when AWS refuses the call itself.
    """
    if target.consumer.endpoint.asynchronous is not None:
        queue = Queue(target, endpoint)
        return tuple(put_question(queue.invoke, question, seconds=queue.seconds) for question in questions)
    client = target.client("sagemaker-runtime")
    _bound_answers(client)
    named = {"EndpointName": endpoint}
    if target.consumer.endpoint.hosting_kind == COMPONENTS:  # the component has the endpoint's name
        named["InferenceComponentName"] = endpoint
    stream = partial(client.invoke_endpoint_with_response_stream, **named)
    readiness = Readiness(patience or Patience(READY_SECONDS))
    given = chain(({"InferenceId": one} for one in inference_ids), repeat(dict[str, str]()))
    return tuple(
        put_question(partial(_invoked, client, named | more), question, readiness, stream)
        for question, more in zip(questions, given, strict=False)
    )


def _invoked(client: Any, named: dict[str, str], body: bytes, content_type: str, **wishes: str) -> Answered:
    """The answer to InvokeEndpoint; the wishes are those of `put_question`."""
    own = {"accept": "Accept", "target_container_hostname": "TargetContainerHostname"}
    more = {own[name]: value for name, value in wishes.items()}
    came = client.invoke_endpoint(**named, **more, Body=body, ContentType=content_type)
    return Answered(came.get("ContentType", ""), came["Body"])


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
    invoke: Callable[..., Any],
    question: Question,
    readiness: Readiness | None = None,
    stream: Callable[..., Any] | None = None,
    seconds: float | None = None,
) -> Answer:
    """The answer to one question; raises as `ask` does.

    Args:
        invoke: takes body, content_type, accept and target_container_hostname; also location, for a question whose body it is not given.
        question: the question.
        readiness: waits for a model that is not ready; None for no waiting.
        stream: takes the same under AWS's own names, for a question whose answer is to come in parts.
        seconds: the longest time that the call may take; `ASK_SECONDS` when it is left out.
    """
    if question.stream and stream is not None:
        call, most = _stream(stream, question), STREAM_SECONDS
    else:
        call, most = _call(invoke, question), ASK_SECONDS if seconds is None else seconds
    came = _answer(call, question, most)
    while came.fault.startswith(_NOT_READY) and readiness is not None and readiness.wait():
        came = _answer(call, question, most)
    return _judged(question, came)


def captured_answer(question: Question, content: bytes, content_type: str, latency: float) -> Answer:
    """The answer to a question that came another way than to the call; latency is that of the call, in milliseconds."""
    got, fault = None, ""
    try:
        got = read_answer(content, content_type, question.read_as)
    except ValueError as error:
        fault = f"unreadable answer: {error}"
    return _judged(question, _Outcome(got, fault, latency))


def no_answer(question: Question, why: str, latency: float) -> Answer:
    """The answer to a question that has none, and why; a wrong one."""
    return _judged(question, _Outcome(None, why, latency))


def _judged(question: Question, came: "_Outcome") -> Answer:
    why = came.fault or question.judge(came.got)
    return Answer(
        question.content_type,
        question.shown,
        question.expected,
        _shortened(came.fault or shown(came.got)),
        not why,
        came.took_ms,
        why[:_MOST_TOLD],
        question.container,
        None if came.parts is None else came.parts.count,
        None if came.parts is None else came.parts.first_ms,
    )


_Came = tuple[bytes, str, Parts | None]  # the body, its content type, and the parts that it came in


def _call(invoke: Callable[..., Any], question: Question) -> Callable[[], _Came]:
    given: dict[str, Any] = {"body": question.body, "content_type": question.content_type}
    if question.accept:
        given["accept"] = question.accept
    if question.container:
        given["target_container_hostname"] = question.container
    if question.location:
        given["location"] = question.location

    def come() -> _Came:
        output = invoke(**given)
        return output.body.read(BODY_LIMIT + 1), output.content_type, None

    return come


def _stream(stream: Callable[..., Any], question: Question) -> Callable[[], _Came]:
    given: dict[str, Any] = {"Body": question.body, "ContentType": question.content_type}
    if question.accept:
        given["Accept"] = question.accept
    if question.container:
        given["TargetContainerHostname"] = question.container

    def come() -> _Came:
        parts = read_parts(partial(stream, **given))
        return parts.body, parts.content_type, parts

    return come


@dataclass(frozen=True)
class _Outcome:
    """What came: the answer as data, or a fault that takes its place; the milliseconds that it took, and its parts."""

    got: Any
    fault: str
    took_ms: float
    parts: Parts | None = None


def _answer(call: Callable[[], _Came], question: Question, seconds: float) -> _Outcome:
    started, got, fault, came = time.perf_counter(), None, "", None
    try:
        came = _in_time(call, seconds)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if str(error.response["Error"].get("Message", "")).startswith(_NO_CAPACITY):
            code = _NOT_READY
        if code not in ("ModelError", _NOT_READY):
            raise
        fault = f"{code}: {error.response['Error'].get('Message')}"
    except Broken as broken:
        fault = str(broken)
    except ValueError as error:
        fault = f"unreadable answer: {error}"
    took = round((time.perf_counter() - started) * 1000, 2)  # without the reading: that is not the endpoint's
    if came is not None:
        try:
            got = read_answer(came[0], came[1], question.read_as)
        except ValueError as error:
            fault = f"unreadable answer: {error}"
    return _Outcome(got, fault, took, None if came is None else came[2])


def _shortened(got: Any) -> Any:
    """An answer as a proof keeps it; of a very long one, the beginning as text."""
    text = got if isinstance(got, str) else json.dumps(got)
    return got if len(text) <= MOST_KEPT else f"{text[:MOST_KEPT]}... ({len(text)} characters)"


_Result = TypeVar("_Result")
_ASKING = threading.local()


def _in_time(call: Callable[[], _Result], seconds: float) -> _Result:
    """The result of a call, unless it takes longer than these seconds in all.

    A socket's own timeout is for each piece that comes: one byte a second keeps it content for ever. So the call is made in
    a thread of its own, which is left to itself when the time is up, and which does not keep the process from ending.

    Raises:
        ValueError: when the time is up; and any error of the call.
    """
    result: Future[_Result] = Future()

    def run() -> None:
        _ASKING.deadline = time.monotonic() + seconds
        try:
            result.set_result(call())
        except BaseException as error:
            result.set_exception(error)  # it is raised where the result is waited for

    threading.Thread(target=run, daemon=True, name="asking an endpoint").start()
    try:
        return result.result(seconds)
    except FutureTimeout:
        raise ValueError(f"it did not come whole within {seconds:g} s") from None


def _bound_answers(client: Any) -> None:
    """Bound the bytes and the seconds that a client of the runtime spends on an answer, also on one that is an error.

    botocore itself reads an error to its end, whatever its length. Source: the event before-send of botocore.
    """
    http = client._endpoint.http_session

    def send(request: Any, **_: Any) -> Any:
        answer = http.send(request)
        if answer.status_code == 200 and answer.headers.get("Content-Type", "").startswith(_EVENTS):
            stream: Any = BoundedStream(answer.raw, lambda: _ASKING.deadline)
            return AWSResponse(answer.url, answer.status_code, answer.headers, stream)
        body = HTTPResponse(io.BytesIO(_bytes_of(answer.raw)), preload_content=False)
        return AWSResponse(answer.url, answer.status_code, answer.headers, body)

    for operation in ("InvokeEndpoint", "InvokeEndpointWithResponseStream"):
        client.meta.events.register(
            f"before-send.sagemaker-runtime.{operation}", send, unique_id=f"bounded answers of {operation}"
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
