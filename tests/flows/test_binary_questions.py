"""Questions of bytes and of files, answered in NPY by a real process; samples that are recorded from it, shared and proved."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy
import pytest

from crossaccount.errors import Failed, InputError
from flows.consumer import deploy_model
from flows.producer import share_models
from flows.promotion import promote_model

BUCKET, GROUP = "producer-models-111111111111", "decision-trees-sample"
NPY = "application/x-npy"
ROWS = [[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]]


def npy(rows: Any) -> bytes:
    out = io.BytesIO()
    numpy.save(out, numpy.asarray(rows))
    return out.getvalue()


ANSWER = npy(numpy.array([0, 1]))


def asked(**more: Any) -> dict[str, Any]:
    return {"content_type": NPY, "accept": NPY, "body_file": "payloads/rows.npy", **more}


RIGHT = [
    asked(expect=[0, 1]),
    asked(expect_within={"value": [0, 1], "tolerance": {"absolute": 0.5, "share": 0.5}}),
    asked(expect_array={"shape": [2], "dtype": "int64", "minimum": 0, "maximum": 2}),
    asked(expect_label=[0, 1, 2]),
    asked(expect_label={"path": "[*]", "labels": [0, 1]}),
    asked(expect_json_path={"path": "[1]", "value": 1}),
    asked(expect_sha256=hashlib.sha256(ANSWER).hexdigest()),
    asked(expect_length=len(ANSWER)),
    asked(expect_text={"contains": "[0, 1]"}, accept="application/json"),
    asked(expect=[0, 1], accept="text/csv"),
]
WRONG = [
    asked(expect=[0, 2]),
    asked(expect=[[0, 1]]),
    asked(expect=[0, 2, 2]),
    asked(expect_within={"value": [1, 2], "tolerance": {"absolute": 0.5}}),
    asked(expect_array={"shape": [2], "dtype": "float32"}),
    asked(expect_array={"shape": [None, 1]}),
    asked(expect_label=[0, 2]),
    asked(expect_json_path={"path": "[2]", "value": 2}),
    asked(expect_sha256=hashlib.sha256(ANSWER[:-1] + b"\1").hexdigest()),
    asked(expect_length=len(ANSWER) - 1),
    asked(expect_text={"contains": "[0, 2]"}, accept="application/json"),
    asked(expect=[0, 1], read_as="json"),
]


@pytest.fixture
def payloads(tmp_path: Path) -> Path:
    folder = tmp_path / "payloads"
    folder.mkdir()
    (folder / "rows.npy").write_bytes(npy(ROWS))
    return folder


@pytest.fixture
def kept(shared: Any) -> Any:
    """The endpoint of version 1 in staging, in service; gone afterwards."""
    with shared.restored():
        deploy_model(str(shared.config), "staging", version=1, keep=True)
        try:
            yield "decision-trees-staging-v1"
        finally:
            shared.clear({"staging"})


def test_arrays_are_asked_with_and_answered(shared: Any, edited: Any, payloads: Path, kept: str) -> None:
    proof = deploy_model(edited(consumers__staging__smoke=RIGHT), "staging", version=1).proof
    assert proof.verified, proof.faults
    assert proof.answers[0].got == [0, 1]
    assert proof.answers[0].body == f"rows.npy ({len(npy(ROWS))} bytes)"
    assert proof.answers[6].got.startswith(f"{len(ANSWER)} bytes of application/x-npy, SHA-256 ")
    json.dumps(proof.to_json(), allow_nan=False)
    with pytest.raises(Failed) as failed:
        deploy_model(edited(consumers__staging__smoke=WRONG), "staging", version=1)
    assert str(failed.value).count("WRONG") == len(WRONG)
    for words in (
        "is 1, not 2",
        "its dtype is int64, not float32",
        "unreadable answer",
        "is none of the labels",
    ):
        assert words in str(failed.value)


def test_a_file_that_is_missing_is_told_before_anything_is_made(
    shared: Any, run: Any, edited: Any, payloads: Path
) -> None:
    (payloads / "rows.npy").unlink()
    path = edited(consumers__staging__smoke=RIGHT[:1])
    before = shared.hosted("staging")
    for start in (lambda: deploy_model(path, "staging", version=1), lambda: promote_model(path, version=1)):
        with pytest.raises(
            InputError,
            match=r"consumers\.staging\.smoke\[0\]\.body_file: .*rows\.npy cannot be read: No such file",
        ):
            start()
    (payloads / "rows.npy").mkdir()
    with pytest.raises(InputError, match="Is a directory"):
        deploy_model(path, "staging", version=1)
    assert shared.hosted("staging") == before
    assert run("plan", path)[0] == 0, "who shares needs no such file"


def test_recorded_samples_are_shared_and_prove_a_version(
    shared: Any, run: Any, edited: Any, payloads: Path, kept: str, tmp_path: Path
) -> None:
    folder, out = tmp_path / "questions", tmp_path / "samples.tar.gz"
    folder.mkdir()
    question = {"content_type": NPY, "accept": NPY, "body_file": "../payloads/rows.npy"}
    csv = {"content_type": "text/csv", "body": "5.1,3.5,1.4,0.2\n4.9,3.0,1.4,0.2"}
    listed = [
        question,
        {**question, "read_as": "bytes"},
        csv,
        {**csv, "expect": [0, 0]},
        {**csv, "accept": "text/csv"},
    ]
    (folder / "a.json").write_text(json.dumps(listed))
    config = str(shared.config)
    arguments = ("samples", config, "--from", folder, "--out", out)
    recording = (*arguments, "--record", "staging", "--endpoint")

    code, told = run(*arguments)
    assert (code, told["exit_code"], told["error"]["kind"]) == (2, 2, "InputError")
    assert "a.json[0] is no question: expect is missing" in told["error"]["message"]
    assert not out.exists()

    code, told = run(*recording, kept)
    assert (code, told["ok"], told["samples"], told["recorded"]) == (0, True, 5, 4), told
    archive = out.read_bytes()
    assert run(*recording, kept)[0] == 0
    assert out.read_bytes() == archive

    s3, registry = shared.admin("producer", "s3"), shared.admin("producer", "sagemaker")
    key = f"models/{GROUP}/of-tests/samples.tar.gz"
    s3.put_object(Bucket=BUCKET, Key=key, Body=archive)
    described = {
        number: registry.describe_model_package(
            ModelPackageName=f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/{number}"
        )["InferenceSpecification"]
        for number in (1, 2)
    }
    for number, specification in described.items():
        made = registry.create_model_package(
            ModelPackageGroupName=GROUP,
            ModelApprovalStatus="Approved",
            SamplePayloadUrl=f"s3://{BUCKET}/{key}",
            InferenceSpecification=specification,
        )["ModelPackageArn"]
        version = int(made.rpartition("/")[2])
        try:
            (release,) = [each for each in share_models(config).releases if each.version == version]
            expected = [sample.model_dump().get("expect") for sample in release.samples]
            assert expected == [[0, 1], None, [0, 0], [0, 0], [0, 0]]
            assert release.samples[1].expect_sha256 == hashlib.sha256(ANSWER).hexdigest()
            if number == 1:
                assert deploy_model(config, "staging", version=version).proof.right == 5
            else:
                with pytest.raises(Failed, match=r"WRONG .* got \[0, 2\] .*is 2, not 1"):
                    deploy_model(config, "staging", version=version)
        finally:
            registry.delete_model_package(ModelPackageName=made)
            s3.delete_object(Bucket=BUCKET, Key=f"releases/{GROUP}/{version}.json")
    s3.delete_object(Bucket=BUCKET, Key=key)


def test_what_an_endpoint_does_not_answer_is_not_recorded(
    shared: Any, run: Any, payloads: Path, kept: str, tmp_path: Path
) -> None:
    folder, out = tmp_path / "questions", tmp_path / "samples.tar.gz"
    folder.mkdir()
    right = {"content_type": "text/csv", "body": "5.1,3.5,1.4,0.2\n4.9,3.0,1.4,0.2"}
    rows = [
        right,
        {**right, "expect": [0, 2]},
        {**right, "content_type": "text/plain"},
        {**right, "read_as": "npy"},
    ]
    (folder / "a.json").write_text(json.dumps(rows))
    config = str(shared.config)
    arguments = ("samples", config, "--from", folder, "--out", out, "--record")
    code, told = run(*arguments, "staging", "--endpoint", kept)
    assert (code, told["exit_code"], told["error"]["kind"]) == (1, 1, "Failed")
    lines = told["error"]["message"].splitlines()
    assert [line.split(":")[0] for line in lines[1:]] == ["a.json[1]", "a.json[2]", "a.json[3]"]
    assert "ModelError" in lines[2]
    (folder / "a.json").write_text(json.dumps(rows[:1]))
    for words, code, kind in (
        (("staging", "--endpoint", "decision-trees-staging-v77"), 1, "Failed"),
        (("staging", "--endpoint", "another"), 3, "Refused"),
        (("nobody",), 2, "InputError"),
    ):
        ended, told = run(*arguments, *words)
        assert (ended, told["exit_code"], told["error"]["kind"]) == (code, code, kind), told
    assert not out.exists()
