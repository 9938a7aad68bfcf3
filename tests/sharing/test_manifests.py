"""Manifests of model data: what they name is opened, and what they name in vain is told when they are shared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from crossaccount.config.loading import load_config
from crossaccount.errors import Finding, PlanRefused, Severity
from crossaccount.sharing import gather
from crossaccount.sharing.manifests import locations

BUCKET, GROUP = "producer-models-111111111111", "decision-trees-sample"
IMAGE = f"111111111111.dkr.ecr.us-east-1.amazonaws.com/{GROUP}:1"
FOLDER, PLACE = f"models/{GROUP}/named/", f"models/{GROUP}/manifest"
PREFIX, URI = f"s3://{BUCKET}/{FOLDER}", f"s3://{BUCKET}/{PLACE}"
QUESTION = {"content_type": "text/csv", "body": "1,2", "expect": [0]}
ASKED = {f"consumers__{name}__smoke": [QUESTION] for name in ("staging", "production")}
AS_ADMINISTRATOR = {**ASKED, "producer__role": None, "producer__external_id": None, "producer__profile": None}
SOURCE = {"S3Uri": PREFIX, "S3DataType": "S3Prefix", "CompressionType": "None", "ManifestS3Uri": URI}


@pytest.fixture
def plan_of(administrator: Any, edited: Any) -> Iterator[Any]:
    """The findings and the changes of a share of a version behind this manifest."""
    s3, registry = (administrator.admin("producer", service) for service in ("s3", "sagemaker"))
    for name in ("a.bin", "deep/b.bin"):
        s3.put_object(Bucket=BUCKET, Key=f"{FOLDER}{name}", Body=b"1")
    container = {"Image": IMAGE, "ModelDataSource": {"S3DataSource": SOURCE}}
    types = {"SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["application/json"]}
    arn = registry.create_model_package(
        ModelPackageGroupName=GROUP,
        ModelApprovalStatus="Approved",
        InferenceSpecification={"Containers": [container], **types},
    )["ModelPackageArn"]
    number = int(arn.rpartition("/")[2])

    def findings(manifest: bytes | None, as_role: bool = False) -> tuple[tuple[Finding, ...], str]:
        if manifest is None:
            s3.delete_object(Bucket=BUCKET, Key=PLACE)
        else:
            s3.put_object(Bucket=BUCKET, Key=PLACE, Body=manifest)
        path = edited(**(ASKED if as_role else AS_ADMINISTRATOR), versions=[number])
        try:
            plan = gather.make_plan(load_config(path))
        except PlanRefused as refused:
            return refused.findings, ""
        return plan.findings, json.dumps([change.desired for change in plan.changes])

    yield findings
    registry.delete_model_package(ModelPackageName=arn)
    for key in (f"{FOLDER}a.bin", f"{FOLDER}deep/b.bin", PLACE):
        s3.delete_object(Bucket=BUCKET, Key=key)


def listed(*names: str, prefix: str = PREFIX) -> bytes:
    return json.dumps([{"prefix": prefix}, *names]).encode()


@pytest.mark.parametrize(
    ("manifest", "severity", "words"),
    [
        (listed("a.bin", "deep/b.bin"), None, ()),
        (listed("b.bin", prefix=f"{PREFIX}deep/"), None, ()),
        (f"{PREFIX}a.bin,1\r\ndeep/b.bin,2\r\n".encode(), None, ()),
        (b"", None, ()),
        (listed("a.bin", "gone.bin"), Severity.ERROR, (f"It names {PREFIX}gone.bin, which is not there", "Restore it")),
        (b"gone.bin\n", Severity.ERROR, (f"It names {PREFIX}gone.bin, which is not there",)),
        (listed(*(f"{n}.bin" for n in range(9))), Severity.ERROR, ("4.bin and 4 more, which is not there",)),
        (f"s3://{BUCKET}/releases/x\n".encode(), Severity.ERROR, ("does not lie under", "nobody is let in to it")),
        (b"s3://another-bucket/a.bin\n", Severity.ERROR, ("s3://another-bucket/a.bin, which does not lie under",)),
        (b"[7]", Severity.WARNING, ("cannot be told", "in no form that is known")),
        (b"[", Severity.WARNING, ("cannot be told",)),
        (b"\xff\xfe", Severity.WARNING, ("cannot be told",)),
        (None, Severity.ERROR, ("The artifact is missing",)),
    ],
)  # fmt: skip
def test_what_a_manifest_names_in_vain_is_told_when_it_is_shared(
    plan_of: Any, manifest: bytes | None, severity: Severity | None, words: tuple[str, ...]
) -> None:
    findings, opened = plan_of(manifest)
    told = [finding for finding in findings if finding.subject == URI]
    assert [finding.severity for finding in told] == ([severity] if severity else [])
    for word in words:
        assert word in str(told[0])
    assert bool(opened) is (severity is not Severity.ERROR)


@pytest.mark.parametrize("as_role", [True, False])
def test_the_manifest_and_all_that_lies_under_the_prefix_are_opened(plan_of: Any, as_role: bool) -> None:
    _, opened = plan_of(listed("a.bin"), as_role)
    assert f"arn:aws:s3:::{BUCKET}/models/{GROUP}/*" in opened or (
        f"arn:aws:s3:::{BUCKET}/{FOLDER}*" in opened
        and f"arn:aws:s3:::{BUCKET}/models/{GROUP}/*" not in opened
    )


def test_the_forms_of_a_manifest() -> None:
    prefix = "s3://b/p/"
    assert locations('[{"prefix": "s3://b/p/q/"}, "x"]', prefix) == ["s3://b/p/q/x"]
    assert locations('s3://b/p/x,5\n\n"y, z",6\n', prefix) == ["s3://b/p/x", "s3://b/p/y, z"]
    with pytest.raises(ValueError, match="no text"):
        locations('[{"prefix": "s3://b/"}, 5]', prefix)
