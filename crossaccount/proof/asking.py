"""The asking: puts questions to an endpoint and reads the answers, in bounded time and memory, through sagemaker-core.

Not here: the questions (``questions``), and the judging of answers (``expectations``).

Source: InvokeEndpoint in the SageMaker Runtime API reference.
"""

import csv
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
from crossaccount.config.smoke import Latency
from crossaccount.proof.questions import BODY_LIMIT, Question
from crossaccount.strict_json import parse_json

# SageMaker gives a container 60 s to answer; an answer that comes later, or never ends, is none.
ASK_SECONDS = 75.0
_MOST_KEPT = 20_000  # characters of an answer, in a proof


@dataclass(frozen=True)
class Answer:
    """A question, its expected answer, the answer that came, and whether it is right; latency in milliseconds."""

    content_type: str
    body: str
    expected: Any
    got: Any
    ok: bool
    latency_ms: float


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


def ask(target: Target, endpoint: str, questions: Iterable[Question]) -> tuple[Answer, ...]:
    """Put every question to the endpoint; the answers.

    An error of the container is an answer too, and a wrong one.

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
    return tuple(put_question(invoke, question) for question in questions)


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


def put_question(invoke: Callable[..., Any], question: Question) -> Answer:
    """The answer to one question, put by a call that takes body, content_type and accept; raises as `ask` does."""

    def answer() -> Any:
        output = invoke(body=question.body, content_type=question.content_type, accept=question.accept)
        # sagemaker-core marks a missing field of a response with an object of its own.
        content_type = output.content_type if isinstance(output.content_type, str) else ""
        return read_answer(output.body.read(BODY_LIMIT + 1), content_type)

    started = time.perf_counter()
    try:
        got = _in_time(answer)
        ok = question.right(got)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ModelError":
            raise
        got, ok = f"ModelError: {error.response['Error'].get('Message')}", False
    except ValueError as error:
        got, ok = f"unreadable answer: {error}", False
    latency = (time.perf_counter() - started) * 1000
    return Answer(
        question.content_type, question.shown, question.expected, _shortened(got), ok, round(latency, 2)
    )


def _shortened(got: Any) -> Any:
    """An answer as a proof keeps it; of a very long one, the beginning as text."""
    text = got if isinstance(got, str) else json.dumps(got)
    return got if len(text) <= _MOST_KEPT else f"{text[:_MOST_KEPT]}... ({len(text)} characters)"


def read_answer(raw: bytes, content_type: str) -> Any:
    """An endpoint's answer as data: JSON as it is, CSV as a list of its cells (of rows, when rows have several).

    Raises:
        ValueError: when the body is larger than an endpoint's may be, or does not fit its content type.
    """
    if len(raw) > BODY_LIMIT:
        raise ValueError(f"it is larger than {BODY_LIMIT} bytes")
    media = content_type.split(";")[0].strip().lower()
    text = raw.decode("utf-8")
    try:
        if media == "text/csv":
            rows = [[_cell(cell) for cell in row] for row in csv.reader(io.StringIO(text, newline="")) if row]
            return [row[0] for row in rows] if all(len(row) == 1 for row in rows) else rows
        if media == "application/json":
            return parse_json(text)
    except csv.Error as error:
        raise ValueError(str(error)) from None
    return text


def _cell(cell: str) -> Any:
    try:
        number = float(cell)
    except ValueError:
        return cell
    if "_" in cell or not math.isfinite(number):
        return cell  # a label that Python, but no model, takes for a number
    return int(number) if number.is_integer() else number


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
