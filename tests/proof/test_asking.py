"""Asking an endpoint: how answers are read, and how fast they came."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount.config.smoke import Latency
from crossaccount.proof.asking import put_question, read_answer, speed
from crossaccount.proof.questions import of_sample
from crossaccount.release.manifest import Sample

# Answers as data.


@pytest.mark.parametrize(
    ("raw", "content_type", "answer"),
    [
        (b"[0]", "application/json", [0]),
        (b' {"a": [1.5, null, true]} ', "application/json", {"a": [1.5, None, True]}),
        (b"0", "application/json", 0),
        (b'"x"', "application/json; charset=utf-8", "x"),
        (b"[0]", "Application/JSON", [0]),
        (b"[0]", " application/json ;x=y", [0]),
        ('"\u00e4"'.encode(), "application/json", "\u00e4"),
        (b"0", "text/csv", [0]),
        (b"0\n1\n2\n", "text/csv", [0, 1, 2]),
        (b"0\r\n1\r\n", "text/csv; charset=utf-8", [0, 1]),
        (b"0,1,2", "text/csv", [[0, 1, 2]]),
        (b"0.1,0.9\n0.8,0.2\n", "text/csv", [[0.1, 0.9], [0.8, 0.2]]),
        (b"setosa\nvirginica\n", "text/csv", ["setosa", "virginica"]),
        (b'"a,b",1\n', "text/csv", [["a,b", 1]]),
        (b'"a\nb"\n', "text/csv", ["a\nb"]),
        (b"setosa,0.5\n", "text/csv", [["setosa", 0.5]]),
        (b"1.0\n", "text/csv", [1]),
        (b"-1e-3\n", "text/csv", [-0.001]),
        (b"", "text/csv", []),
        (b"\n\n", "text/csv", []),
        (b"0\n\n1\n", "text/csv", [0, 1]),
        (b"0\n1,2\n", "text/csv", [[0], [1, 2]]),
        (b",\n", "text/csv", [["", ""]]),
        (b"[0]", "text/plain", "[0]"),
        (b"[0]", "", "[0]"),
        (b"", "text/plain", ""),
        (b"[0]", "application/jsonlines", "[0]"),
        ("\u00e4".encode(), "text/html", "\u00e4"),
    ],
)
def test_an_answer_is_read_by_its_content_type(raw: bytes, content_type: str, answer: Any) -> None:
    found = read_answer(raw, content_type)
    assert found == answer
    assert json.dumps(found) == json.dumps(answer), "1 is not 1.0, and true is not 1"


@pytest.mark.parametrize(
    ("raw", "content_type"),
    [
        pytest.param(b"", "application/json", id="nothing"),
        pytest.param(b"0,1", "application/json", id="CSV as JSON"),
        pytest.param(b"{'a': 1}", "application/json", id="almost JSON"),
        pytest.param(b"[0] [1]", "application/json", id="two answers"),
        pytest.param(b"1" * 5_000, "application/json", id="an endless number"),
        pytest.param(b"\xff\xfe[0]", "application/json", id="no UTF-8, as JSON"),
        pytest.param("[0]".encode("utf-16"), "application/json", id="UTF-16"),
        pytest.param(b"\xe4\n", "text/csv", id="no UTF-8, as CSV"),
        pytest.param(b"\x93NUMPY\x01", "application/x-npy", id="bytes that are no text"),
        pytest.param(b" " * 6_291_457, "text/plain", id="one byte too many"),
        pytest.param(b"[" + b"0," * 4_000_000 + b"0]", "application/json", id="far too large"),
    ],
)
def test_an_unreadable_answer_is_a_value_error(raw: bytes, content_type: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whichever it is, it becomes the answer's text
        read_answer(raw, content_type)


def test_the_largest_answer_is_read() -> None:
    assert len(read_answer(b" " * 6_291_456, "text/plain")) == 6_291_456


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"a" * 200_000, "text/csv"),
        (b"[" * 100_000, "application/json"),
        (b"NaN", "application/json"),
        (b"1e999", "application/json"),
        (b'"\\ud800"', "application/json"),
    ],
)
def test_an_answer_that_cannot_be_carried_is_unreadable(raw: Any, kind: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_answer(raw, kind)


@pytest.mark.parametrize(
    ("raw", "answer"),
    [(b"0\r1\r", [0, 1]), (b"1_000\n", ["1_000"]), (b"nan\n", ["nan"]), (b"Infinity\n", ["Infinity"])],
)
def test_csv_cells_are_numbers_only_where_a_model_would_say_so(raw: Any, answer: Any) -> None:
    assert read_answer(raw, "text/csv") == answer


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

    def __init__(self, body: bytes = b"[0]", content_type: str | None = "application/json") -> None:
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
        (Served(b"[0]", None), "[0]"),
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


@pytest.mark.parametrize("code", ["AccessDeniedException", "ValidationError", "ServiceUnavailable"])
def test_a_refusal_of_the_call_itself_is_no_answer(code: str) -> None:
    with pytest.raises(ClientError):
        put_question(Broken(code).invoke, of_sample(question()))
