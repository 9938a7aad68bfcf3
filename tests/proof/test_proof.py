from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossaccount.arns import group_arn, package_arn
from crossaccount.config.loading import load_config
from crossaccount.hosting.state import DeployedImage
from crossaccount.proof.asking import Answer
from crossaccount.proof.images import held_against, images_match
from crossaccount.proof.proof import Proof
from crossaccount.release.manifest import Release, ReleasedContainer

SHARING = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
HOST = "111111111111.dkr.ecr.us-east-1.amazonaws.com/trees"


# The images of the Release, by digest.


AWS = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn"
OTHERS = "999999999999.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn"


def of_containers(*containers: ReleasedContainer) -> Release:
    return Release(
        schema_version=1,
        model_package_arn=package_arn(SHARING, 1),
        model_package_group=group_arn(SHARING),
        version=1,
        region="us-east-1",
        producer_account="111111111111",
        approval_status="Approved",
        package_status="Completed",
        containers=list(containers),
        content_types=[],
        response_types=[],
        instance_types=[],
        samples=[],
        grants=[],
    )


def container(image: str, digest: str | None = None, specification: str | None = None) -> ReleasedContainer:
    return ReleasedContainer(image=image, image_digest=digest, artifacts=[], specification=specification)


def released(*digests: str | None, specification: str | None = None) -> Release:
    return of_containers(*(container(HOST, digest, specification) for digest in digests))


def running(*images: str) -> list[DeployedImage]:
    return [DeployedImage(HOST, image) for image in images]


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
        ((f"{HOST}@{ONE}",), of_containers(container(f"{HOST}@{ONE}")), True),
        ((f"{HOST}@{TWO}",), of_containers(container(f"{HOST}@{ONE}")), False),
    ],
)
def test_an_endpoint_runs_the_images_of_the_release(
    images: tuple[str, ...], release: Release, match: bool
) -> None:
    assert images_match(running(*images), release) is match


TAGGED, OLDER = f"{AWS}:1.2-1-cpu-py3", f"{AWS}:1.0-1-cpu-py3"


@pytest.mark.parametrize(
    ("specified", "resolved", "image", "digest", "match"),
    [
        pytest.param(TAGGED, f"{AWS}@{ONE}", TAGGED, None, True, id="the tag of AWS's own registry"),
        pytest.param(TAGGED, f"{AWS}@{ONE}", TAGGED, ONE, True, id="pinned by digest"),
        pytest.param(OLDER, f"{AWS}@{ONE}", OLDER, None, True, id="another tag of AWS's"),
        pytest.param(AWS, f"{AWS}@{ONE}", AWS, None, True, id="no tag at all"),
        pytest.param(OLDER, f"{AWS}@{ONE}", TAGGED, None, False, id="an older tag"),
        pytest.param(AWS, f"{AWS}@{ONE}", TAGGED, None, False, id="the latest one"),
        pytest.param(f"{HOST}:1", f"{HOST}@{TWO}", f"{HOST}:1", ONE, False, id="another than the pinned one"),
        pytest.param("", f"{AWS}@{ONE}", TAGGED, None, False, id="AWS does not say which was asked for"),
        pytest.param(TAGGED, "", TAGGED, None, False, id="AWS does not say which it runs"),
        pytest.param(TAGGED, f"{OTHERS}@{ONE}", TAGGED, None, False, id="it runs one of another registry"),
        pytest.param(
            TAGGED, f"{AWS}-more@{ONE}", TAGGED, None, False, id="it runs one of another repository"
        ),
        pytest.param(f"{OTHERS}:1", f"{OTHERS}@{ONE}", f"{OTHERS}:1", None, False, id="not AWS's registry"),
        pytest.param(f"{HOST}:1", f"{HOST}@{ONE}", f"{HOST}:1", None, False, id="the producer's registry"),
        pytest.param(TAGGED, f"{AWS}@{ONE}", f"{AWS}@{ONE}", None, True, id="the digest in its URI"),
        pytest.param(TAGGED, f"{AWS}@{ONE}", f"{AWS}@{TWO}", None, False, id="another digest in its URI"),
    ],
)
def test_an_image_of_aws_s_own_registry_is_proved_by_its_tag_where_no_digest_is_known(
    specified: str, resolved: str, image: str, digest: str | None, match: bool
) -> None:
    release = of_containers(container(image, digest))
    found = held_against([DeployedImage(specified, resolved)], release)
    assert found.match is match
    assert found.by_tag == (() if not match or digest or "@" in image else (image,))
    assert found.moved == ()


def test_two_images_are_told_apart_whatever_their_order_is() -> None:
    release = of_containers(container(TAGGED), container(HOST, TWO))
    images = [DeployedImage(HOST, f"{HOST}@{TWO}"), DeployedImage(TAGGED, f"{AWS}@{ONE}")]
    assert images_match(images, release)
    assert images_match(images[::-1], release)
    assert not images_match([*images, images[0]], release)
    assert not images_match(images[:1] * 2, release)


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
