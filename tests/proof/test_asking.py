"""Asking an endpoint: how answers are read, and how fast they came."""

from __future__ import annotations

import io
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount.config.smoke import Latency
from crossaccount.hosting.gateway import Patience
from crossaccount.proof.asking import Readiness, put_question, speed
from crossaccount.proof.questions import of_sample
from crossaccount.release.manifest import Sample

# Speed.


@pytest.mark.parametrize(
    ("latencies", "p50", "p95"),
    [
        ([7.0], 7.0, 7.0),
        ([1.0, 9.0], 1.0, 9.0),
        ([float(one) for one in range(1, 21)], 10.0, 19.0),
        ([float(one) for one in range(1, 101)], 50.0, 95.0),
        ([1.0] * 19 + [500.0], 1.0, 1.0),
        ([1.0] * 9 + [500.0], 1.0, 500.0),
    ],
)
def test_percentiles(latencies: list[float], p50: float, p95: float) -> None:

    found = speed(latencies[::-1], Latency(p50_ms=1000))
    assert (found.calls, found.p50_ms, found.p95_ms) == (len(latencies), p50, p95)


@pytest.mark.parametrize(
    ("p50", "p95", "ok"),
    [(5, None, True), (5, 9, True), (None, 9, True), (4.9, None, False), (None, 8.9, False), (5, 8, False), (4, 9, False)],
)  # fmt: skip
def test_an_endpoint_is_fast_when_it_passes_no_limit(p50: Any, p95: Any, ok: bool) -> None:
    assert speed([5.0] * 10 + [9.0] * 9, Latency(p50_ms=p50, p95_ms=p95)).ok is ok


def test_nothing_measured_is_not_fast() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        speed([], Latency(p50_ms=1))


# Asking: an answer that is an error is an answer, and a wrong one.


class Served:
    """An endpoint that gives one answer."""

    def __init__(self, body: bytes = b"[0]", content_type: str = "application/json") -> None:
        self.body: Any = io.BytesIO(body)
        self.content_type = content_type
        self.asked: dict[str, Any] = {}

    def invoke(self, **asked: Any) -> Served:
        self.asked = asked
        return self


class Broken(Served):
    """An endpoint that raises an error."""

    def __init__(self, code: str) -> None:
        super().__init__()
        self.code = code

    def invoke(self, **_: Any) -> Served:
        raise ClientError({"Error": {"Code": self.code, "Message": "of the container"}}, "InvokeEndpoint")


def question(**changed: Any) -> Sample:
    given = {"content_type": "text/csv", "body": "5.1,\u00e4", "expect": [0], "accept": "a/b", **changed}
    return Sample(**given)


def test_a_right_answer() -> None:
    endpoint = Served()
    found = put_question(endpoint.invoke, of_sample(question()))
    assert (found.got, found.ok) == ([0], True)
    assert found.latency_ms >= 0
    assert endpoint.asked == {"body": "5.1,\u00e4".encode(), "content_type": "text/csv", "accept": "a/b"}


@pytest.mark.parametrize(
    ("endpoint", "got"),
    [
        (Served(b"[1]"), [1]),
        (Served(b"[0]", "text/plain"), "[0]"),
        (Served(b"[0]", ""), "[0]"),
        (Served(b"[NaN]"), ["NaN"]),
        (Served(b"no json"), "unreadable answer"),
        (Served(b"\xff"), "unreadable answer"),
        (Served(b" " * 7_000_000), "unreadable answer"),
        (Broken("ModelError"), "ModelError: of the container"),
    ],
)
def test_a_wrong_answer_is_kept_and_is_not_ok(endpoint: Served, got: Any) -> None:
    found = put_question(endpoint.invoke, of_sample(question()))
    assert found.ok is False
    assert found.got == got or str(found.got).startswith(str(got))


@pytest.mark.parametrize(
    ("wish", "sent"),
    [("a/b", {"accept": "a/b"}), ("*/*", {"accept": "*/*"}), ("a/b, c/d", {"accept": "a/b, c/d"}), ("", {})],
)
def test_an_accept_is_sent_as_it_stands_and_none_where_there_is_none(wish: str, sent: dict[str, str]) -> None:
    endpoint = Served()
    assert put_question(endpoint.invoke, of_sample(question(accept=wish))).ok
    assert endpoint.asked == {"body": "5.1,\u00e4".encode(), "content_type": "text/csv", **sent}


class Loading(Served):
    """An endpoint that has not loaded its model when it is asked so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def invoke(self, **asked: Any) -> Served:
        self.left -= 1
        if self.left >= 0:
            raise ClientError(
                {"Error": {"Code": "ModelNotReadyException", "Message": "wait"}}, "InvokeEndpoint"
            )
        return self


@pytest.mark.parametrize(
    ("times", "seconds", "ok"), [(0, 0, True), (3, 5, True), (1, 0, False), (10**6, 0.2, False)]
)
def test_a_model_that_is_not_ready_is_waited_for_and_not_for_ever(
    times: int, seconds: float, ok: bool
) -> None:
    endpoint, readiness = Loading(times), Readiness(Patience(seconds, first=0.01))
    found = put_question(endpoint.invoke, of_sample(question()), readiness)
    assert found.ok is ok
    assert ok or found.got == "ModelNotReadyException: wait"
    assert found.latency_ms < 100, "the waiting is not the endpoint's speed"


@pytest.mark.parametrize("code", ["AccessDeniedException", "ValidationError", "ServiceUnavailable"])
def test_a_refusal_of_the_call_itself_is_no_answer(code: str) -> None:
    with pytest.raises(ClientError):
        put_question(Broken(code).invoke, of_sample(question()))
