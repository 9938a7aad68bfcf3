from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossaccount.arns import group_arn, package_arn
from crossaccount.config.loading import load_config
from crossaccount.proof.asking import Answer
from crossaccount.proof.proof import Proof, images_match
from crossaccount.release.manifest import Release, ReleasedContainer

SHARING = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
HOST = "111111111111.dkr.ecr.us-east-1.amazonaws.com/trees"


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


def test_an_unknown_digest_matches_nothing() -> None:
    one = type("R", (), {"deployed_containers": [type("C", (), {"image_digest": None})]})
    assert images_match(("",), one) is False
