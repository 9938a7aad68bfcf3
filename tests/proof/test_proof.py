from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount.arns import group_arn, package_arn
from crossaccount.config.loading import load_config
from crossaccount.hosting.resources import Removal, deployment_name
from crossaccount.proof.asking import Answer, put_question
from crossaccount.proof.proof import Proof, images_match
from crossaccount.proof.questions import of_sample
from crossaccount.release.manifest import Release, ReleasedContainer, Sample
from crossaccount.show import proofs

SHARING = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
STAGING = SHARING.consumers["staging"]
ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
HOST = "111111111111.dkr.ecr.us-east-1.amazonaws.com/trees"


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


# Names.


@pytest.mark.parametrize("name", ["a", "decision-trees-staging", "x" * 50])
@pytest.mark.parametrize("version", [1, 10, 999_999_999])
def test_a_deployment_s_name_says_the_version_and_fits(name: str, version: int) -> None:
    endpoint = STAGING.endpoint.model_copy(update={"name": name})
    made = deployment_name(STAGING.model_copy(update={"endpoint": endpoint}), version)
    assert made == f"{name}-v{version}"
    assert len(made) <= 63


def test_two_versions_never_have_one_name() -> None:
    assert len({deployment_name(STAGING, version) for version in range(1, 200)}) == 199


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
    assert images_match(images, release) is match


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
    bad = proofs.text(proof(answer(True, 1), answer(False, 2), verified=False), removals)
    for words in ("NOT VERIFIED", "ARE NOT those", "WRONG", "endpoint e-v1: left it is stuck"):
        assert words in bad
    assert bad.endswith("model e-v1: removed")
    page = proofs.markdown(proof(answer(False, 2), verified=False))
    assert "**Not verified**" in page
    assert "**are not**" in page
    assert "**wrong**" in page


def test_a_proof_of_what_is_right_complains_of_nothing() -> None:
    good = proofs.text(proof(answer(True, 1)), [])
    assert good.startswith("verified: version 1 in account 222222222222 (staging), endpoint e-v1")
    page = proofs.markdown(proof(answer(True, 1)))
    assert not [word for word in ("NOT", "WRONG", "**") if word in good or word in page]


def test_an_unknown_digest_matches_nothing() -> None:
    one = type("R", (), {"deployed_containers": [type("C", (), {"image_digest": None})]})
    assert images_match(("",), one) is False


@pytest.mark.parametrize(("answers", "pictures"), [(1, 0), (4, 0), (5, 1), (9, 1)])
def test_a_proof_links_to_the_console_and_draws_what_is_worth_it(answers: int, pictures: int) -> None:
    page = proofs.markdown(proof(*[answer(True, 1)] * answers))
    assert ".console.aws.amazon.com/sagemaker/home?region=us-east-1#/endpoints/e-v1)" in page
    assert page.count("](data:image/svg+xml;base64,") == pictures
