"""Deploying: the version asked for, proved, torn down; and what stays, what is found again, what is left alone."""

from __future__ import annotations

import configparser
import io
import json
import logging
import tarfile
import traceback
from typing import Any

import pytest

from crossaccount.errors import Conflict, DoorName, Failed, InputError, Refused
from flows.consumer import deploy_model

BUCKET, GROUP = "producer-models-111111111111", "decision-trees-sample"
NAME = "decision-trees-staging-v2"


def outcomes(deployment: Any) -> list[str]:
    return [removal.outcome for removal in deployment.removals]


def test_the_newest_approved_version_answers_as_the_producer_recorded(shared: Any) -> None:
    deployment = deploy_model(str(shared.config), "staging")
    proof = deployment.proof
    assert (proof.version, proof.verified, proof.images_match) == (2, True, True)
    assert [answer.got for answer in proof.answers] == [[0, 1], [2, 1], [2, 0], [1]]
    assert all(answer.latency_ms > 0 for answer in proof.answers)
    assert outcomes(deployment) == ["removed"] * 3
    assert not any(shared.hosted("staging").values())


def test_each_version_answers_in_its_own_way(shared: Any) -> None:
    first = deploy_model(str(shared.config), "staging", version=1).proof
    assert [answer.got for answer in first.answers] != [[0, 1], [2, 1], [2, 0], [1]]
    assert first.verified


def test_the_config_s_own_smoke_payloads_come_first(shared: Any) -> None:
    proof = deploy_model(str(shared.config), "production", version=1).proof
    assert [(answer.body, answer.expected) for answer in proof.answers] == [
        ("5.1,3.5,1.4,0.2\n4.9,3.0,1.4,0.2", [0, 0])
    ]
    assert proof.verified


def test_a_wrong_answer_fails_and_is_torn_down(shared: Any, edited: Any) -> None:
    smoke = [{"content_type": "text/csv", "body": "5.1,3.5,1.4,0.2\n4.9,3.0,1.4,0.2", "expect": [2, 0]}]
    with pytest.raises(Failed, match=r"WRONG.*expected \[2, 0\]\s+got \[0, 0\]"):
        deploy_model(edited(consumers__staging__smoke=smoke), "staging")
    assert not any(shared.hosted("staging").values())


def test_an_error_of_the_container_is_a_wrong_answer(shared: Any, edited: Any) -> None:
    smoke = [{"content_type": "text/csv", "body": "a,b,c,d", "expect": [0]}]
    with pytest.raises(Failed, match="ModelError"):
        deploy_model(edited(consumers__staging__smoke=smoke), "staging")
    assert not any(shared.hosted("staging").values())


@pytest.mark.parametrize(
    ("version", "says"), [(3, "PendingManualApproval, not Approved"), (99, "has no version 99")]
)
def test_a_version_that_cannot_be_deployed_is_refused_before_anything_is_made(
    shared: Any, version: int, says: str
) -> None:
    with pytest.raises(Failed, match=says):
        deploy_model(str(shared.config), "staging", version=version)
    assert not any(shared.hosted("staging").values())


def test_an_unknown_consumer_is_bad_input(shared: Any) -> None:
    with pytest.raises(InputError, match="staging, production"):
        deploy_model(str(shared.config), "nobody")


def test_a_version_whose_approval_was_withdrawn_is_refused(shared: Any) -> None:
    sm = shared.admin("producer", "sagemaker")
    arn = f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/2"
    sm.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Rejected")
    try:
        with pytest.raises(Failed, match="Rejected, not Approved"):
            deploy_model(str(shared.config), "staging", version=2)
        assert deploy_model(str(shared.config), "staging").proof.version == 1
    finally:
        sm.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")


def clear(shared: Any) -> None:
    """Remove what was kept, as an administrator of staging."""
    sm = shared.admin("staging", "sagemaker")
    hosted = shared.hosted("staging")
    for name in hosted["endpoints"]:
        sm.delete_endpoint(EndpointName=name)
    while shared.hosted("staging")["endpoints"]:
        pass
    for name in hosted["configs"]:
        sm.delete_endpoint_config(EndpointConfigName=name)
    for name in hosted["models"]:
        sm.delete_model(ModelName=name)


def created(shared: Any) -> Any:
    return shared.admin("staging", "sagemaker").describe_endpoint(EndpointName=NAME)["CreationTime"]


def test_what_is_kept_stays_is_found_again_and_is_not_removed_by_a_later_run(
    shared: Any, caplog: pytest.LogCaptureFixture
) -> None:
    try:
        kept = deploy_model(str(shared.config), "staging", keep=True)
        assert outcomes(kept) == ["kept"] * 3
        assert "created endpoint" in caplog.text
        runtime = shared.admin("staging", "sagemaker-runtime")
        answer = runtime.invoke_endpoint(
            EndpointName=NAME, ContentType="text/csv", Body="5.1,3.5,1.4,0.2\n4.9,3.0,1.4,0.2"
        )
        assert json.load(answer["Body"]) == [0, 0]
        first = created(shared)
        for keep in (True, False):
            caplog.clear()
            again = deploy_model(str(shared.config), "staging", keep=keep)
            assert again.proof.verified
            assert outcomes(again) == ["kept"] * 3
            assert all(f"found {kind}" in caplog.text for kind in ("model", "endpoint-config", "endpoint"))
            assert created(shared) == first
    finally:
        clear(shared)


def left_by_a_dead_run(shared: Any) -> None:
    """The model of a run that was killed before it made more."""
    package = f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/2"
    tags = {
        "crossaccount:managed-by": "crossaccount",
        "crossaccount:model-package": package,
        "crossaccount:keep": "false",
    }
    deployer = shared.role("staging", "crossaccount-deployer", "sagemaker")
    deployer.create_model(
        ModelName=NAME,
        PrimaryContainer={"ModelPackageName": package},
        ExecutionRoleArn="arn:aws:iam::222222222222:role/crossaccount-execution",
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )


def test_what_a_dead_run_left_is_found_and_removed(shared: Any) -> None:
    left_by_a_dead_run(shared)
    deployment = deploy_model(str(shared.config), "staging")
    assert outcomes(deployment) == ["removed"] * 3
    assert not any(shared.hosted("staging").values())


def test_what_a_dead_run_left_stays_when_it_is_to_be_kept_now(shared: Any) -> None:
    left_by_a_dead_run(shared)
    try:
        assert outcomes(deploy_model(str(shared.config), "staging", keep=True)) == ["kept"] * 3
        sm = shared.admin("staging", "sagemaker")
        tags = sm.list_tags(ResourceArn=sm.describe_model(ModelName=NAME)["ModelArn"])["Tags"]
        assert {"Key": "crossaccount:keep", "Value": "true"} in tags
    finally:
        clear(shared)


def test_without_list_tags_nobody_s_leftovers_are_touched(shared: Any) -> None:
    left_by_a_dead_run(shared)
    try:
        with shared.denied("staging", "crossaccount-deployer", "sagemaker:ListTags"):
            with pytest.raises(Refused) as error:
                deploy_model(str(shared.config), "staging")
            refusal = error.value.refusal
            assert (refusal.door, refusal.account) == (DoorName.CALLER_POLICY, "222222222222")
            assert refusal.action == "sagemaker:ListTags"
            assert shared.hosted("staging") == {"endpoints": [], "configs": [], "models": [NAME]}
    finally:
        clear(shared)


def test_somebody_else_s_model_of_that_name_is_left_alone(shared: Any) -> None:
    sm = shared.role("staging", "crossaccount-deployer", "sagemaker")
    sm.create_model(
        ModelName=NAME,
        PrimaryContainer={
            "ModelPackageName": f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/2"
        },
        ExecutionRoleArn="arn:aws:iam::222222222222:role/crossaccount-execution",
    )
    try:
        with pytest.raises(Conflict, match="was not made by this tool"):
            deploy_model(str(shared.config), "staging")
        assert shared.hosted("staging") == {"endpoints": [], "configs": [], "models": [NAME]}
    finally:
        clear(shared)


def packed(name: str, content: bytes) -> bytes:
    """A model.tar.gz of one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("artifact", "reason"),
    [
        (b"no model at all", "Failed to extract model data archive"),
        (
            packed("model.joblib", b"no pickle"),
            "The primary container for production variant",
        ),  # AWS begins it with a blank
    ],
    ids=["no archive", "no model"],
)
def test_an_endpoint_that_does_not_come_up_fails_with_aws_s_reason_and_is_torn_down(
    shared: Any, artifact: bytes, reason: str
) -> None:
    s3, key = shared.admin("producer", "s3"), f"models/{GROUP}/1/model.tar.gz"
    before = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    release = f"releases/{GROUP}/1.json"
    published = s3.get_object(Bucket=BUCKET, Key=release)["Body"].read()
    etag = s3.put_object(Bucket=BUCKET, Key=key, Body=artifact)["ETag"].strip('"')
    found = json.loads(published)
    found["containers"][0]["artifacts"][0]["etag"] = etag
    s3.put_object(Bucket=BUCKET, Key=release, Body=json.dumps(found).encode())
    try:
        with pytest.raises(Failed, match=rf"is Failed: {reason}"):
            deploy_model(str(shared.config), "staging", version=1)
        assert not any(shared.hosted("staging").values())
    finally:
        s3.put_object(Bucket=BUCKET, Key=key, Body=before)
        s3.put_object(Bucket=BUCKET, Key=release, Body=published)


def test_an_execution_role_that_is_shut_out_after_the_model_was_made_fails_with_aws_s_reason(
    shared: Any,
) -> None:
    left_by_a_dead_run(shared)  # so CreateModel, which would have refused the role, is behind us
    with shared.denied("staging", "crossaccount-execution", "s3:GetObject"), pytest.raises(Failed) as error:
        deploy_model(str(shared.config), "staging")
    assert error.value.exit_code == 1
    assert f"The endpoint {NAME} is Failed: " in str(error.value)
    assert "model.tar.gz" in str(error.value)
    assert not any(shared.hosted("staging").values())


@pytest.mark.parametrize(
    ("action", "kind", "hosted"),
    [
        ("sagemaker:DeleteModel", "model", {"endpoints": [], "configs": [], "models": [NAME]}),
        (
            "sagemaker:DeleteEndpointConfig",
            "endpoint-config",
            {"endpoints": [], "configs": [NAME], "models": []},
        ),
        ("sagemaker:DeleteEndpoint", "endpoint", {"endpoints": [NAME], "configs": [], "models": []}),
    ],
)
def test_what_cannot_be_taken_down_is_said_and_the_rest_is(
    shared: Any, action: str, kind: str, hosted: dict[str, list[str]]
) -> None:
    try:
        with shared.denied("staging", "crossaccount-deployer", action):
            said = rf"could not be taken down(.|\n)*{kind} {NAME}: left(.|\n)*{action}"
            with pytest.raises(Failed, match=said):
                deploy_model(str(shared.config), "staging")
            assert shared.hosted("staging") == hosted
    finally:
        clear(shared)


def test_no_credential_is_logged_returned_or_recorded(shared: Any, caplog: pytest.LogCaptureFixture) -> None:
    from prefect.client.orchestration import get_client

    profiles = configparser.ConfigParser()
    profiles.read(shared.ready["env"]["AWS_SHARED_CREDENTIALS_FILE"])
    secrets = [profiles[name]["aws_secret_access_key"] for name in profiles.sections()]
    keys = [profiles[name]["aws_access_key_id"] for name in profiles.sections()]
    errors = []
    with caplog.at_level(logging.INFO):
        deployment = deploy_model(str(shared.config), "staging")
        with pytest.raises(Failed) as failed:
            deploy_model(str(shared.config), "staging", version=99)
        with (
            shared.denied("staging", "crossaccount-deployer", "s3:GetObject"),
            pytest.raises(Refused) as refused,
        ):
            deploy_model(str(shared.config), "staging")
    assert "assumed arn:aws:iam::222222222222:role/crossaccount-deployer" in caplog.text
    for error in (failed, refused):
        errors += traceback.format_exception(error.value)
    with get_client(sync_client=True) as client:
        recorded = [run.model_dump_json() for run in client.read_flow_runs()]
        recorded += [artifact.model_dump_json() for artifact in client.read_artifacts()]
        recorded += [run.model_dump_json() for run in client.read_task_runs()]
    assert len(recorded) > 20
    said = [caplog.text, *errors, repr(deployment), json.dumps(deployment.to_json()), *recorded]
    role = "arn:aws:iam::222222222222:role/crossaccount-deployer"
    assumed = shared.admin("staging", "sts").assume_role(
        RoleArn=role, ExternalId="sandbox-staging", RoleSessionName="another"
    )["Credentials"]
    # Access keys of sessions, and the sandbox's session tokens, all begin alike.
    for secret in (*secrets, *keys, assumed["AccessKeyId"][:4], assumed["SessionToken"][:12]):
        assert not any(secret in text for text in said)


def test_an_image_whose_tag_was_moved_is_not_verified(shared: Any) -> None:
    ecr = shared.admin("producer", "ecr")
    tag = {"repositoryName": GROUP, "imageIds": [{"imageTag": "1"}]}
    before = ecr.batch_get_image(**tag)["images"][0]["imageManifest"]
    moved = {**json.loads(before), "layers": []}
    ecr.put_image(repositoryName=GROUP, imageManifest=json.dumps(moved), imageTag="1")
    try:
        with pytest.raises(Failed, match="images ARE NOT those of the Release"):
            deploy_model(str(shared.config), "staging")
        assert not any(shared.hosted("staging").values())
    finally:
        ecr.put_image(repositoryName=GROUP, imageManifest=before, imageTag="1")
    assert deploy_model(str(shared.config), "staging").proof.verified


def test_a_version_with_nothing_to_ask_is_refused_before_anything_is_made(shared: Any, edited: Any) -> None:
    s3, key = shared.admin("producer", "s3"), f"releases/{GROUP}/1.json"
    published = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps({**json.loads(published), "samples": []}).encode())
    try:
        with pytest.raises(Failed, match=r"nothing to ask version 1.*consumers\.staging\.smoke"):
            deploy_model(str(shared.config), "staging", version=1)
        assert not any(shared.hosted("staging").values())
        smoke = [{"content_type": "text/csv", "body": "5.1,3.5,1.4,0.2\n4.9,3.0,1.4,0.2", "expect": [0, 0]}]
        assert deploy_model(edited(consumers__staging__smoke=smoke), "staging", version=1).proof.verified
    finally:
        s3.put_object(Bucket=BUCKET, Key=key, Body=published)
