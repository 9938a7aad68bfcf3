"""The images that an endpoint runs: the producer's by their digest alone, AWS's own by digest, by tag, or not to be told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from crossaccount.arns import group_arn, package_arn
from crossaccount.config.loading import load_config
from crossaccount.hosting.state import DeployedImage
from crossaccount.proof.asking import Answer
from crossaccount.proof.images import ImagesProof, MovedImage, held_against
from crossaccount.proof.proof import Proof
from crossaccount.release.manifest import Release, ReleasedContainer
from crossaccount.show import proofs

SHARING = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
OWN = "111111111111.dkr.ecr.us-east-1.amazonaws.com/trees"
AWS = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn"
TAG = f"{AWS}:1.2-1-cpu-py3"
THIRD = "999999999999.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn"


def released(*containers: tuple[str, str | None]) -> Release:
    return Release(
        schema_version=1,
        model_package_arn=package_arn(SHARING, 1),
        model_package_group=group_arn(SHARING),
        version=1,
        region="us-east-1",
        producer_account="111111111111",
        approval_status="Approved",
        package_status="Completed",
        containers=[
            ReleasedContainer(image=image, image_digest=digest, artifacts=[], specification=None)
            for image, digest in containers
        ],
        content_types=[],
        response_types=[],
        instance_types=[],
        samples=[],
        grants=[],
    )


YES, NO = ImagesProof(True), ImagesProof(False)
MOVED = ImagesProof(True, moved=(MovedImage(TAG, A, B),))
CASES = [
    ("the digest that the registry recorded", [(TAG, A)], [(TAG, f"{AWS}@{A}")], YES),
    ("AWS has moved its tag", [(TAG, A)], [(TAG, f"{AWS}@{B}")], MOVED),
    ("no digest was recorded", [(TAG, None)], [(TAG, f"{AWS}@{B}")], ImagesProof(True, by_tag=(TAG,))),
    ("AWS says no digest", [(TAG, A)], [(TAG, "")], ImagesProof(False, unprovable=(TAG,))),
    ("AWS says nothing of it", [(TAG, A)], [("", "")], ImagesProof(False, unprovable=(TAG,))),
    ("AWS says nothing of any", [(TAG, A), (OWN, B)], [], ImagesProof(False, unprovable=(TAG, OWN))),
    ("the tag resolves to no digest", [(TAG, A)], [(TAG, f"{AWS}:latest")], NO),
    ("another tag than was asked for", [(TAG, A)], [(f"{AWS}:1.0", f"{AWS}@{B}")], NO),
    ("another repository of AWS's", [(TAG, A)], [(TAG, f"{AWS}-more@{B}")], NO),
    ("another registry", [(TAG, A)], [(TAG, f"{THIRD}@{B}")], NO),
    ("the digest in its address", [(f"{AWS}@{A}", None)], [(f"{AWS}@{A}", f"{AWS}@{B}")], NO),
    ("the tag and digest in its address", [(f"{TAG}@{A}", A)], [(f"{TAG}@{A}", f"{AWS}@{B}")], NO),
    ("a third account's tag was moved", [(f"{THIRD}:1", A)], [(f"{THIRD}:1", f"{THIRD}@{B}")], NO),
    ("the producer's tag was moved", [(f"{OWN}:1", A)], [(f"{OWN}:1", f"{OWN}@{B}")], NO),
    ("the producer's without a digest", [(f"{OWN}:1", None)], [(f"{OWN}:1", f"{OWN}@{B}")], NO),
    ("the producer's is untold", [(f"{OWN}:1", A)], [(f"{OWN}:1", "")], ImagesProof(False, (), (), (f"{OWN}:1",))),
    ("one untold, one the producer's moved", [(TAG, A), (OWN, A)], [(TAG, ""), (OWN, f"{OWN}@{B}")], NO),
    ("one too many", [(TAG, A)], [(TAG, f"{AWS}@{B}"), (TAG, f"{AWS}@{B}")], NO),
    ("one too few", [(TAG, A), (TAG, A)], [(TAG, f"{AWS}@{A}")], NO),
    ("one moved, one not, whatever the order", [(TAG, A), (OWN, B)], [(OWN, f"{OWN}@{B}"), (TAG, f"{AWS}@{B}")], MOVED),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "runs", "found"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_images_of_aws_are_proved_or_told_apart_and_the_producers_stay_strict(
    wanted: list[tuple[str, str | None]], runs: list[tuple[str, str]], found: ImagesProof
) -> None:
    assert held_against([DeployedImage(*each) for each in runs], released(*wanted)) == found


@pytest.mark.parametrize(
    ("found", "acceptable"),
    [
        (YES, True),
        (MOVED, True),
        (NO, False),
        (ImagesProof(False, unprovable=(TAG,)), True),
        (ImagesProof(False, unprovable=(OWN,)), False),
        (ImagesProof(False, unprovable=(TAG, OWN)), False),
    ],
)
def test_a_deployment_stands_on_images_that_aws_alone_can_change(
    found: ImagesProof, acceptable: bool
) -> None:
    assert found.acceptable is acceptable


RIGHT = Answer("text/csv", "1", [0], [0], True, 1.0)
PROOF = Proof("staging", "2" * 12, package_arn(SHARING, 1), 1, "e-v1", (f"{AWS}@{B}",), True, (RIGHT,), True)


def test_a_reader_sees_that_aws_has_moved_its_tag() -> None:
    moved = replace(PROOF, moved=MOVED.moved)
    for told in (proofs.text(moved, ()), proofs.markdown(moved)):
        assert f"AWS has moved its own tag {TAG} since it was registered: from {A} to {B}" in told
        assert "are those of the Release" in told
        assert "not those" not in told.lower()
    assert json.loads(json.dumps(moved.to_json()))["moved"] == [{"image": TAG, "recorded": A, "running": B}]
    assert "NOTE" not in proofs.text(PROOF, ())


def test_a_reader_sees_that_the_images_cannot_be_proved() -> None:
    untold = replace(PROOF, images=(), images_match=False, unprovable=(TAG,))
    for told in (proofs.text(untold, ()), proofs.markdown(untold)):
        assert "CANNOT BE PROVED to be those of the Release" in told
        assert f"whether it runs {TAG} cannot be proved" in told
    assert untold.to_json()["images_match"] is False
    assert replace(untold, unprovable=(OWN,), verified=False).faults.startswith(
        f"whether it runs {OWN} cannot"
    )
