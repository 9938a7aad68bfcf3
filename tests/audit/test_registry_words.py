"""What `check` shows of the registry's own words, whoever may read the text of a model card."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount.audit.answers import Audit, combine
from crossaccount.audit.documents import read_documents
from crossaccount.config.loading import load_config

GROUP = "decision-trees-sample"
TEXT = json.dumps({"model_overview": {"model_name": "trees", "model_description": "a secret of its owner"}})


def audited(path: Any) -> Audit:
    sharing = load_config(path)
    return combine(sharing, ["staging"], read_documents(sharing, ["staging"]), {}, False)


@pytest.fixture
def carded(desk: Any) -> Iterator[tuple[str, str]]:
    """A version with a model card under a key that only the administrator may use: its ARN, and the key's."""
    sm, kms = desk.aws.admin("producer", "sagemaker"), desk.aws.admin("producer", "kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    known = sm.describe_model_package(
        ModelPackageName=f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/1"
    )
    arn = sm.create_model_package(
        ModelPackageGroupName=GROUP,
        ModelApprovalStatus="Approved",
        InferenceSpecification=known["InferenceSpecification"],
        ModelCard={"ModelCardContent": TEXT, "ModelCardStatus": "Draft"},
        SecurityConfig={"KmsKeyId": key},
        ModelLifeCycle={"Stage": "Production", "StageStatus": "OnHold"},
        CustomerMetadataProperties={"team": "risk"},
    )["ModelPackageArn"]
    yield arn, key
    sm.delete_model_package(ModelPackageName=arn)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)


def test_a_card_s_status_and_a_stage_are_shown_without_the_card_s_key(
    carded: tuple[str, str], desk: Any
) -> None:
    arn, _ = carded
    role = desk.aws.role("producer", "crossaccount-producer", "sagemaker")
    with pytest.raises(ClientError, match="kms:Decrypt"):
        role.describe_model_package(ModelPackageName=arn)
    number = int(arn.rpartition("/")[2])
    found = audited(desk.aws.config)
    assert f"version {number}: Approved, stage Production (OnHold), model card Draft" in found.text()
    assert f"Version {number}: Approved, stage Production (OnHold), model card Draft" in found.markdown()
    assert {one["version"]: one for one in found.to_json()["versions"]}[number] == {
        "version": number,
        "approval": "Approved",
        "stage": "Production",
        "stage_status": "OnHold",
        "metadata": {"team": "risk"},
        "model_card": "Draft",
    }
    assert "secret" not in found.text() + json.dumps(found.to_json())


@pytest.mark.parametrize("status", ["PendingReview", "Approved", "Archived"])
def test_a_card_that_was_moved_on_is_shown_so(carded: tuple[str, str], desk: Any, status: str) -> None:
    arn, _ = carded
    sm = desk.aws.admin("producer", "sagemaker")
    sm.update_model_package(
        ModelPackageArn=arn, ModelCard={"ModelCardContent": TEXT, "ModelCardStatus": status}
    )
    assert f"model card {status}" in audited(desk.aws.config).text()
