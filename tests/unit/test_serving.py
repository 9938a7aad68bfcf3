from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount import serving
from crossaccount.config import load
from crossaccount.names import group_arn, package_arn
from crossaccount.release import Release, ReleasedContainer, Sample
from crossaccount.serving import Answer, EndpointState, Proof, Removal, read_answer, same_answer

SHARING = load(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
STAGING = SHARING.consumers["staging"]
ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
HOST = "111111111111.dkr.ecr.us-east-1.amazonaws.com/trees"
NAN, INFINITY = float("nan"), float("inf")


# Equal answers.


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        ([0], [0]),
        (0, 0),
        (1, 1.0),
        (1.0, 1),
        ([1.0, 2], [1, 2.0]),
        (0.1 + 0.2, 0.3),
        (1.0000009, 1.0),
        (1_000_000, 1_000_001),
        (-1.0000009, -1.0),
        (1e300, 1.0000001e300),
        (0.0, -0.0),
        (0.0, 1e-13),
        ("setosa", "setosa"),
        ("", ""),
        (None, None),
        (True, True),
        (False, False),
        ([], []),
        ({}, {}),
        ({"a": 1, "b": [1, {"c": None}]}, {"b": [1.0, {"c": None}], "a": 1.0}),
        ([[0.1, 0.9], [0.8, 0.2]], [[0.1, 0.9], [0.8, 0.2]]),
        (
            {"predictions": [{"label": "x", "score": 0.99999999}]},
            {"predictions": [{"label": "x", "score": 1}]},
        ),
        (INFINITY, INFINITY),
    ],
)
def test_answers_that_are_the_same(got: Any, expected: Any) -> None:
    assert same_answer(got, expected) is True
    assert same_answer(expected, got) is True


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        ([0], [1]),
        (0, 1),
        (1.00001, 1.0),
        (1.000002, 1.0),
        (1.0, -1.0),
        (0.0, 1e-9),
        (0, None),
        (0, ""),
        (0, False),
        (0.0, False),
        (1, True),
        (1.0, True),
        ([1], [True]),
        (True, False),
        (True, "true"),
        (None, False),
        (None, "null"),
        (None, []),
        ("1", 1),
        ("1.0", "1"),
        ("setosa", "Setosa"),
        ("setosa", "setosa "),
        ("setosa", ["setosa"]),
        ([0], 0),
        ([0], "[0]"),
        ([0], [[0]]),
        ([0], [0, 0]),
        ([0, 0], [0]),
        ([], [None]),
        ([1, 2], [2, 1]),
        ([], {}),
        ({}, None),
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"A": 1}),
        ({"a": 1}, {}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": None}, {}),
        ({"a": {"b": [0]}}, {"a": {"b": [1]}}),
        ([[0.1, 0.9]], [[0.9, 0.1]]),
        (NAN, NAN),
        (NAN, 0),
        (INFINITY, -INFINITY),
        (INFINITY, 1e308),
        ("ModelError: no", [0]),
    ],
)
def test_answers_that_differ(got: Any, expected: Any) -> None:
    assert same_answer(got, expected) is False
    assert same_answer(expected, got) is False


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
    found = serving._ask(endpoint, question())
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
    found = serving._ask(endpoint, question())
    assert found.ok is False
    assert found.got == got or str(found.got).startswith(str(got))


@pytest.mark.parametrize("code", ["AccessDeniedException", "ValidationError", "ServiceUnavailable"])
def test_a_refusal_of_the_call_itself_is_no_answer(code: str) -> None:
    with pytest.raises(ClientError):
        serving._ask(Broken(code), question())


# Names.


@pytest.mark.parametrize("name", ["a", "decision-trees-staging", "x" * 50])
@pytest.mark.parametrize("version", [1, 10, 999_999_999])
def test_a_deployment_s_name_says_the_version_and_fits(name: str, version: int) -> None:
    endpoint = STAGING.endpoint.model_copy(update={"name": name})
    made = serving.deployment_name(STAGING.model_copy(update={"endpoint": endpoint}), version)
    assert made == f"{name}-v{version}"
    assert len(made) <= 63


def test_two_versions_never_have_one_name() -> None:
    assert len({serving.deployment_name(STAGING, version) for version in range(1, 200)}) == 199


# The images of the Release, by digest.


def released(*digests: str | None, specification: str | None = None) -> Release:
    containers = [
        ReleasedContainer(image=HOST, image_digest=digest, artifacts=[], specification=specification)
        for digest in digests
    ]
    return Release(
        schema_version=1,
        model_package_arn=package_arn(SHARING, 1),
        model_package_group=group_arn(SHARING),
        version=1,
        region="us-east-1",
        producer_account="111111111111",
        approval_status="Approved",
        package_status="Completed",
        containers=containers,
        content_types=[],
        response_types=[],
        instance_types=[],
        samples=[],
        grants=[],
    )


@pytest.mark.parametrize(
    ("images", "release", "match"),
    [
        ((f"{HOST}@{ONE}",), released(ONE), True),
        ((f"{HOST}@{TWO}", f"{HOST}@{ONE}"), released(ONE, TWO), True),
        ((f"{HOST}@{ONE}", f"{HOST}@{ONE}"), released(ONE, ONE), True),
        ((f"{HOST}@{TWO}",), released(ONE), False),
        ((), released(ONE), False),
        ((f"{HOST}@{ONE}",), released(ONE, TWO), False),
        ((f"{HOST}@{ONE}", f"{HOST}@{TWO}"), released(ONE), False),
        ((f"{HOST}@{ONE}", f"{HOST}@{ONE}"), released(ONE, TWO), False),
        ((HOST,), released(ONE), False),
        ((f"{HOST}:1",), released(ONE), False),
        (("",), released(ONE), False),
        ((f"{HOST}@{ONE}",), released(None), False),
        ((), released(), False),
        ((f"{HOST}@{ONE}",), released(), False),
        ((f"{HOST}@{ONE}",), released(ONE, specification="edge"), False),
    ],
)
def test_an_endpoint_runs_the_images_of_the_release(
    images: tuple[str, ...], release: Release, match: bool
) -> None:
    assert serving.images_match(EndpointState("InService", None, "c", images), release) is match


# The proof.


def answer(ok: bool, latency: float) -> Answer:
    return Answer("text/csv", "1", [0], [0] if ok else [1], ok, latency)


def proof(*answers: Answer, verified: bool = True) -> Proof:
    return Proof(
        "staging", "222222222222", package_arn(SHARING, 1), 1, "e-v1", (ONE,), verified, answers, verified
    )


@pytest.mark.parametrize(
    ("latencies", "median"), [((), 0.0), ((5.0,), 5.0), ((9.0, 1.0, 5.0), 5.0), ((1.0, 2.0, 3.0, 9.0), 3.0)]
)
def test_the_median_latency(latencies: tuple[float, ...], median: float) -> None:
    assert proof(*(answer(True, one) for one in latencies)).median_latency_ms == median


def test_a_proof_is_plain_data() -> None:
    told = proof(answer(True, 1.5)).to_json()
    assert json.loads(json.dumps(told))["answers"][0]["latency_ms"] == 1.5
    assert told["verified"] is True


def test_a_proof_says_what_is_wrong() -> None:
    removals = [Removal("endpoint", "e-v1", "left", "it is stuck"), Removal("model", "e-v1", "removed")]
    bad = serving.proof_text(proof(answer(True, 1), answer(False, 2), verified=False), removals)
    for words in ("NOT VERIFIED", "ARE NOT those", "WRONG", "endpoint e-v1: left it is stuck"):
        assert words in bad
    assert bad.endswith("model e-v1: removed")
    page = serving.proof_markdown(proof(answer(False, 2), verified=False))
    assert "**Not verified**" in page
    assert "**are not**" in page
    assert "**wrong**" in page


def test_a_proof_of_what_is_right_complains_of_nothing() -> None:
    good = serving.proof_text(proof(answer(True, 1)), [])
    assert good.startswith("verified: version 1 in account 222222222222 (staging), endpoint e-v1")
    page = serving.proof_markdown(proof(answer(True, 1)))
    assert not [word for word in ("NOT", "WRONG", "**") if word in good or word in page]


@pytest.mark.parametrize(
    ("got", "expected", "same"), [(10**400, 1.0, False), (10**400, 10**400, True), (1.0, 10**400, False)]
)
def test_a_number_of_any_size_is_compared(got: Any, expected: Any, same: Any) -> None:
    assert serving.same_answer(got, expected) is same


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
        serving.read_answer(raw, kind)


@pytest.mark.parametrize(
    ("raw", "answer"),
    [(b"0\r1\r", [0, 1]), (b"1_000\n", ["1_000"]), (b"nan\n", ["nan"]), (b"Infinity\n", ["Infinity"])],
)
def test_csv_cells_are_numbers_only_where_a_model_would_say_so(raw: Any, answer: Any) -> None:
    assert serving.read_answer(raw, "text/csv") == answer


def test_an_unknown_digest_matches_nothing() -> None:
    one = type("R", (), {"deployed_containers": [type("C", (), {"image_digest": None})]})
    assert serving.images_match(serving.EndpointState("InService", None, "c", ("",)), one) is False
