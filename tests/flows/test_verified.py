"""Verified end to end: answers of every notation, an image of AWS's own registry, payloads of others, a model that loads late."""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import json
import tarfile
import urllib.request
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import joblib
import numpy
import pytest

from crossaccount.errors import Failed, PromotionFailed
from crossaccount.promotion.outcome import Result
from crossaccount.release.manifest import Sample
from flows.consumer import deploy_model
from flows.producer import share_models
from flows.promotion import promote_model

BUCKET, GROUP = "producer-models-111111111111", "decision-trees-sample"
OF_AWS = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
NAN = float("nan")
ANSWER = {"label": "setosa", "p": NAN, "count": 10234567, "quantiles": {"0.5": 1.5}, "mean value": 2}


def archive(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue())


def model_that_says(answer: Any) -> bytes:
    """A model.tar.gz whose answer to one row of one number is this value, in a list in a list."""
    held = numpy.empty(1, dtype=object)
    held[0] = answer
    pickled = io.BytesIO()
    joblib.dump(SimpleNamespace(predict=functools.partial(numpy.where, True, held)), pickled)
    return archive(**{"model.joblib": pickled.getvalue()})


@contextlib.contextmanager
def version(shared: Any, answer: Any, image: str, samples: bytes | None = None) -> Iterator[int]:
    """A further approved version, with its artifact and samples; gone afterwards, with its Release."""
    s3, registry = shared.admin("producer", "s3"), shared.admin("producer", "sagemaker")
    folder = f"models/{GROUP}/of-tests/"
    objects = {f"{folder}model.tar.gz": model_that_says(answer), f"{folder}samples.tar.gz": samples}
    for key, content in objects.items():
        if content is not None:
            s3.put_object(Bucket=BUCKET, Key=key, Body=content)
    where = f"s3://{BUCKET}/{folder}"
    made = registry.create_model_package(
        ModelPackageGroupName=GROUP,
        ModelApprovalStatus="Approved",
        **({"SamplePayloadUrl": f"{where}samples.tar.gz"} if samples is not None else {}),
        InferenceSpecification={
            "Containers": [{"Image": image, "ModelDataUrl": f"{where}model.tar.gz"}],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
            "SupportedRealtimeInferenceInstanceTypes": ["ml.m5.large"],
        },
    )["ModelPackageArn"]
    number = int(made.rpartition("/")[2])
    try:
        yield number
    finally:
        registry.delete_model_package(ModelPackageName=made)
        for key in (*objects, f"releases/{GROUP}/{number}.json"):
            s3.delete_object(Bucket=BUCKET, Key=key)


@contextlib.contextmanager
def allowed_to_pull(shared: Any) -> Iterator[None]:
    """The consumer's own policies let its execution role pull the image: AWS's registries leave it to them."""
    iam, role = shared.admin("staging", "iam"), "crossaccount-execution"
    pull = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
    statement = {
        "Effect": "Allow",
        "Action": [f"ecr:{action}" for action in pull],
        "Resource": "arn:aws:ecr:us-east-1:683313688378:repository/sagemaker-scikit-learn",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName="image-of-aws", PolicyDocument=document)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="image-of-aws")


def asked(**expectation: Any) -> dict[str, Any]:
    return {"content_type": "application/json", "body": "[[1]]", **expectation}


RIGHT = [
    asked(expect=[[ANSWER]]),
    asked(expect_json_path={"path": "[0][0].label", "value": "setosa"}),
    asked(expect_json_path={"path": "[0][0].count", "value": 10234567}),
    asked(expect_json_path={"path": "[0][0].quantiles.0.5", "value": 1.5}),
    asked(expect_json_path={"path": '[0][0]."mean value"', "value": 2}),
    asked(expect_schema={"items": {"items": {"properties": {"label": {"pattern": "^setosa$"}}}}}),
    asked(expect_label=["setosa"], accept="*/*"),
    asked(expect_label=["setosa"], accept=["application/json"]),
    asked(expect_label=["setosa"], accept=""),
]
WRONG = [
    asked(expect=[[{**ANSWER, "count": 10234568}]]),
    asked(expect=[[{**ANSWER, "p": 0.5}]]),
    asked(expect_json_path={"path": "[0][0].count", "value": 10234566}),
    asked(expect_json_path={"path": '[0][0].quantiles."0"."5"', "value": 1.5}),
    asked(expect_schema={"items": {"items": {"properties": {"p": {"type": "number"}}}}}),
    asked(expect_label=["virginica"]),
    asked(expect_label=["setosa"], accept=["application/json", "text/csv"]),  # AWS's container takes one
]


def test_answers_and_images_of_aws_are_verified_and_nothing_near_them(shared: Any, edited: Any) -> None:
    foreign = archive(
        **{"request.json": b'{"inputs": ["x"]}', "._request.json": b"\0\5", "rows.csv": b"1,2\n"}
    )
    with allowed_to_pull(shared), version(shared, ANSWER, OF_AWS, foreign) as number:
        right = edited(consumers__staging__smoke=RIGHT)
        share_models(right)
        proof = deploy_model(right, "staging", version=number).proof
        assert (proof.verified, proof.images_match, proof.by_tag) == (
            True,
            True,
            (),
        )  # the registry has its digest
        assert proof.images[0].startswith(
            "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn@sha256:"
        )
        assert proof.answers[0].got == [[{**ANSWER, "p": "NaN"}]]
        json.dumps(proof.to_json(), allow_nan=False)
        with pytest.raises(Failed) as failed:
            deploy_model(edited(consumers__staging__smoke=WRONG), "staging", version=number)
        assert str(failed.value).count("WRONG") == len(WRONG)
        assert "is 10234567, not 10234568" in str(failed.value)
        with pytest.raises(Failed, match=rf"nothing to ask version {number}"):
            deploy_model(edited(), "staging", version=number)


def test_an_image_of_aws_is_promoted_once_the_execution_role_may_pull_it(shared: Any, edited: Any) -> None:
    repository = "arn:aws:ecr:us-east-1:683313688378:repository/sagemaker-scikit-learn"
    path = edited(consumers__production=None, consumers__staging__smoke=RIGHT[:1])
    with shared.restored(), version(shared, ANSWER, OF_AWS) as number:
        with pytest.raises(PromotionFailed) as refused:
            promote_model(path, version=number)
        (one,) = refused.value.promotion["consumers"]
        assert one["refused"]
        for action in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer"):
            assert f"ecr:{action} on {repository}" in one["text"]
        assert "role/crossaccount-execution must allow" in one["text"]
        assert "crossaccount share" not in one["text"]
        with allowed_to_pull(shared):
            try:
                (done,) = promote_model(path, version=number).consumers
                assert (done.live, [proof.images_match for proof in done.proofs]) == (number, [True])
                assert all(proof.verified for proof in done.proofs)
                (again,) = promote_model(path, version=number).consumers
                assert again.result is Result.UNCHANGED
            finally:
                shared.clear({"staging"})


def test_a_plan_says_what_is_no_sample_and_that_nothing_is_to_be_asked(
    shared: Any, run: Any, edited: Any
) -> None:
    with version(shared, 1, OF_AWS, archive(**{"request.json": b'{"inputs": ["x"]}'})) as number:
        _, told = run("plan", edited())
        findings = {finding["severity"]: finding for finding in told["findings"]}
        assert "'request.json' has no content_type, body and expect" in findings["note"]["text"]
        assert f"nothing to ask version {number}: no samples" in findings["warning"]["text"]
        assert "consumers.staging.smoke" in findings["warning"]["way_out"]
        _, quiet = run("plan", edited(consumers__staging__smoke=RIGHT))
        assert {finding["severity"] for finding in quiet["findings"]} == {"note"}


def test_a_share_and_a_check_say_before_a_deployment_that_nothing_is_to_be_asked(
    shared: Any, run: Any, edited: Any
) -> None:
    with allowed_to_pull(shared), version(shared, 1, OF_AWS) as number:
        config, nothing = edited(), f"nothing to ask version {number}: "
        for command in (("plan",), ("share", "--yes"), ("check", "--consumer", "staging")):
            _, told = run(command[0], config, *command[1:])
            found = [each for each in told["findings"] if nothing in each["text"]]
            assert [(each["severity"], "consumers.staging.smoke" in str(each)) for each in found] == [
                ("warning", True)
            ]
        # Where the producer's side is out of reach, the consumer's own Release tells it.
        _, told = run("check", edited(producer__profile="ghost"), "--consumer", "staging")
        (found,) = [each for each in told["findings"] if nothing in each["text"]]
        assert found["subject"] == "consumers.staging"
        with pytest.raises(Failed, match=nothing):
            deploy_model(config, "staging", version=number)
        _, quiet = run("check", edited(consumers__staging__smoke=RIGHT), "--consumer", "staging")
        assert not [each for each in quiet["findings"] if nothing in each["text"]]


def test_samples_with_nan_and_whole_numbers_reach_the_consumer(shared: Any, edited: Any) -> None:
    image = shared.admin("producer", "sagemaker").describe_model_package(
        ModelPackageName=f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/1"
    )["InferenceSpecification"]["Containers"][0]["Image"]
    sample = Sample(content_type="application/json", body="[[1]]", expect=[[ANSWER]])
    recorded = json.dumps(
        {"content_type": "application/json", "body": "[[1]]", "expect": [[ANSWER]]}
    ).encode()
    assert b"NaN" in recorded
    with version(shared, ANSWER, image, archive(**{"a.json": recorded})) as number:
        (release,) = [each for each in share_models(str(shared.config)).releases if each.version == number]
        assert json.dumps(release.samples[0].model_dump()) == json.dumps(sample.model_dump())
        proof = deploy_model(str(shared.config), "staging", version=number).proof
        assert (proof.verified, proof.by_tag) == (True, ())


def arrange(shared: Any, *rules: dict[str, Any]) -> None:
    body = json.dumps(list(rules)).encode()
    method = "PUT" if rules else "DELETE"
    request = urllib.request.Request(f"{shared.url}/_sandbox/faults", body, method=method)
    urllib.request.urlopen(request).close()


def test_a_model_that_is_not_ready_is_waited_for(shared: Any) -> None:
    arrange(shared, {"kind": "model-not-ready", "times": 3})
    try:
        proof = deploy_model(str(shared.config), "staging").proof
        assert proof.verified
        assert proof.median_latency_ms < 1000
    finally:
        arrange(shared)


def test_a_model_that_never_is_ready_is_not_verified(shared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossaccount.proof.asking.READY_SECONDS", 0.5)
    arrange(shared, {"kind": "model-not-ready"})
    try:
        with pytest.raises(Failed, match="got ModelNotReadyException: The model is not ready"):
            deploy_model(str(shared.config), "staging")
    finally:
        arrange(shared)
