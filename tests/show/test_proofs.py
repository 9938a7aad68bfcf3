"""What a person is shown of a proof."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crossaccount.arns import package_arn
from crossaccount.config.loading import load_config
from crossaccount.hosting.resources import Removal
from crossaccount.proof.asking import Answer
from crossaccount.proof.proof import Proof
from crossaccount.show import proofs

SHARING = load_config(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def answer(ok: bool, latency: float) -> Answer:
    return Answer("text/csv", "1", [0], [0] if ok else [1], ok, latency)


def proof(*answers: Answer, verified: bool = True) -> Proof:
    return Proof(
        "staging", "222222222222", package_arn(SHARING, 1), 1, "e-v1", (ONE,), verified, answers, verified
    )


def test_a_proof_says_what_is_wrong() -> None:
    removals = [Removal("endpoint", "e-v1", "left", "it is stuck"), Removal("model", "e-v1", "removed")]
    bad = proofs.text(proof(answer(True, 1), answer(False, 2), verified=False), removals)
    for words in ("NOT VERIFIED", "ARE NOT those", "WRONG", "endpoint e-v1: left (it is stuck)"):
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


@pytest.mark.parametrize(("answers", "pictures"), [(1, 0), (4, 0), (5, 1), (9, 1)])
def test_a_proof_links_to_the_console_and_draws_what_is_worth_it(answers: int, pictures: int) -> None:
    page = proofs.markdown(proof(*[answer(True, 1)] * answers))
    assert ".console.aws.amazon.com/sagemaker/home?region=us-east-1#/endpoints/e-v1)" in page
    assert page.count("](data:image/svg+xml;base64,") == pictures


def test_a_proof_says_what_is_wrong_with_an_answer_and_which_image_no_digest_pins() -> None:
    wrong = Answer("text/csv", "1", ["NaN"], ["NaN"], False, 1, "at '[0]' it is NaN, not 'NaN'")
    tagged = replace(proof(wrong), by_tag=("683313688378.dkr.ecr.us-east-1.amazonaws.com/xgboost:1",))
    for told in (proofs.text(tagged, []), proofs.markdown(tagged)):
        assert "it is NaN, not 'NaN'" in told
        assert "xgboost:1: no digest pins it" in told
    assert "no digest" not in proofs.text(proof(wrong), [])
    assert "it is NaN, not 'NaN'" in proof(wrong).faults


def test_a_fault_that_stands_for_the_answer_is_told_once() -> None:
    fault = f"ModelError: {'x' * 600}"
    assert Answer("text/csv", "1", [0], fault, False, 1, fault[:500]).reason == ""
