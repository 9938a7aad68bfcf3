"""A version that cannot be deployed is left out by name, and the others go on; where none is left, it is an error."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount.audit.documents import read_documents
from crossaccount.aws.access import open_producer, open_target
from crossaccount.config.loading import load_config
from crossaccount.errors import InputError, PlanRefused, Severity
from crossaccount.hosting import preflight
from crossaccount.sharing import apply, gather, publish
from crossaccount.sharing.plan import plan_share

BUCKET, GROUP = "producer-models-111111111111", "decision-trees-sample"
IMAGE = f"111111111111.dkr.ecr.us-east-1.amazonaws.com/{GROUP}:1"
MODEL = f"s3://{BUCKET}/models/{GROUP}/1/model.tar.gz"
SOUND = {"Containers": [{"Image": IMAGE, "ModelDataUrl": MODEL}], "SupportedContentTypes": ["text/csv"]}


def of(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What CreateModelPackage is given for these containers."""
    return {"InferenceSpecification": {**SOUND, "Containers": list(containers)}, **more}


# What is registered and Approved, and a word of why it is left out.
LEFT_OUT: dict[str, tuple[dict[str, Any], str]] = {
    "a base model without an image": (
        of({"ModelDataUrl": MODEL, "BaseModel": {"HubContentName": "base", "HubContentVersion": "1.0.0"}}),
        "no image of its own",
    ),
    "the second container without an image": (
        of({"Image": IMAGE, "ModelDataUrl": MODEL}, {"ModelDataUrl": MODEL}),
        "no image of its own",
    ),
    "a source alone": ({"SourceUri": "arn:aws:sagemaker:us-east-1:111111111111:model/x"}, "no inference specification"),
    "restricted storage": ({"InferenceSpecification": SOUND, "ManagedStorageType": "Restricted"}, "Restricted"),
    "an artifact that expired": (of({"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/models/{GROUP}/0/m.tar.gz"}), "missing"),
    "an artifact whose bucket is gone": (of({"Image": IMAGE, "ModelDataUrl": "s3://gone-111111111111/m.tar.gz"}), "does not exist"),
    "an image that expired": (of({"Image": f"{IMAGE[:-1]}expired", "ModelDataUrl": MODEL}), "is not in it"),
    "a repository that is gone": (
        of({"Image": IMAGE.replace(f"/{GROUP}", "/gone"), "ModelDataUrl": MODEL}),
        "does not exist",
    ),
    "an image outside ECR": (of({"Image": "docker.io/python:3", "ModelDataUrl": MODEL}), "Amazon ECR"),
    "an artifact outside S3": (of({"Image": IMAGE, "ModelDataUrl": "https://huggingface.co/m"}), "Amazon S3"),
}  # fmt: skip
RECORD = {"InferenceSpecification": SOUND, "ModelPackageRegistrationType": "Logged"}


@contextlib.contextmanager
def registered(aws: Any, given: dict[str, Any]) -> Iterator[int]:
    """A further approved version for a while; its number."""
    client = aws.admin("producer", "sagemaker")
    made = client.create_model_package(ModelPackageGroupName=GROUP, ModelApprovalStatus="Approved", **given)[
        "ModelPackageArn"
    ]
    try:
        yield int(made.rpartition("/")[2])
    finally:
        client.delete_model_package(ModelPackageName=made)


def as_administrator(edited: Any, **changes: Any) -> str:
    path: str = edited(producer__role=None, producer__external_id=None, producer__profile=None, **changes)
    return path


@pytest.mark.parametrize("what", LEFT_OUT)
@pytest.mark.parametrize("listed", [False, True], ids=["approved", "listed"])
def test_a_version_that_cannot_be_deployed_is_named_and_the_others_are_shared(
    administrator: Any, edited: Any, what: str, listed: bool
) -> None:
    given, says = LEFT_OUT[what]
    with registered(administrator, given) as number:
        changes: dict[str, Any] = {"versions": [1, 2, number]} if listed else {}
        sharing = load_config(as_administrator(edited, **changes))
        producer = open_producer(sharing)
        gathered = gather.gather(producer)
        plan = plan_share(sharing, gathered)
        prepared = [publish.prepare(producer, version, gathered, plan) for version in gathered.versions]
    assert [(one.severity, one.subject) for one in plan.findings] == [
        (Severity.WARNING, f"version {number} of {GROUP}")
    ]
    assert says in plan.findings[0].text
    assert [release.version for release, _ in prepared] == [1, 2]
    assert all(release.deployed_containers for release, _ in prepared)
    assert gathered.left_out == {number: plan.findings[0]}


def test_a_record_of_a_training_is_left_out_quietly_and_refused_where_it_is_listed(
    administrator: Any, edited: Any
) -> None:
    with registered(administrator, RECORD) as number:
        plan = gather.make_plan(load_config(as_administrator(edited)))
        assert [(one.severity, one.subject) for one in plan.findings] == [
            (Severity.NOTE, f"version {number} of {GROUP}")
        ]
        with pytest.raises(PlanRefused, match=f"Version {number} of {GROUP} is registered as Logged"):
            gather.make_plan(load_config(as_administrator(edited, versions=[1, number])))


def test_a_record_of_a_training_is_never_blamed_for_versions_that_the_rule_does_not_choose(
    aws: Any, desk: Any, edited: Any
) -> None:
    changes = {"versions": {"stage": "Nowhere"}}
    desk.apply(desk.plan())
    with registered(aws, RECORD):
        with pytest.raises(PlanRefused, match="of version 2, the newest, its stage is"):
            gather.make_plan(load_config(edited(**changes)))
        target = open_target(load_config(edited(**changes)), "staging")
        with pytest.raises(InputError, match="does not share version 2: its stage is"):
            preflight.find_version(target, None)


@pytest.mark.parametrize("what", LEFT_OUT)
def test_where_no_other_version_is_left_the_reason_is_an_error(
    administrator: Any, edited: Any, what: str
) -> None:
    given, says = LEFT_OUT[what]
    with registered(administrator, given) as number, pytest.raises(PlanRefused) as refused:
        gather.make_plan(load_config(as_administrator(edited, versions=[number])))
    assert [says in reason for reason in refused.value.reasons] == [True]


# Containers of an additional specification that nobody could deploy, and a word of why it is not shared.
ADDITIONAL: dict[str, tuple[dict[str, Any], str]] = {
    "no image": ({"ModelDataUrl": MODEL}, "no image of its own"),
    "an image that expired": ({"Image": f"{IMAGE[:-1]}expired", "ModelDataUrl": MODEL}, "is not in it"),
    "a repository that is gone": ({"Image": IMAGE.replace(f"/{GROUP}", "/gone"), "ModelDataUrl": MODEL}, "does not exist"),
    "an image outside ECR": ({"Image": "docker.io/python:3", "ModelDataUrl": MODEL}, "Amazon ECR"),
    "an artifact that expired": ({"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/models/{GROUP}/0/m.tar.gz"}, "missing"),
    "an artifact outside S3": ({"Image": IMAGE, "ModelDataUrl": "https://huggingface.co/m"}, "Amazon S3"),
    "an artifact whose bucket is gone": ({"Image": IMAGE, "ModelDataUrl": "s3://gone-111111111111/m.tar.gz"}, "does not exist"),
}  # fmt: skip


def with_additional(container: dict[str, Any]) -> dict[str, Any]:
    return of(
        SOUND["Containers"][0],
        AdditionalInferenceSpecifications=[{"Name": "further", "Containers": [container]}],
    )


@pytest.mark.parametrize("what", ADDITIONAL)
def test_an_additional_specification_that_cannot_be_deployed_leaves_no_version_out(
    administrator: Any, edited: Any, what: str
) -> None:
    container, says = ADDITIONAL[what]
    with registered(administrator, with_additional(container)) as number:
        gathered = gather.gather(producer := open_producer(load_config(as_administrator(edited))))
        plan = plan_share(producer.config, gathered)
        release, _ = publish.prepare(producer, gathered.versions[-1], gathered, plan)
    assert [version.version for version in gathered.versions] == [1, 2, number]
    said = [(one.severity, one.subject) for one in plan.findings if "further" in one.text]
    assert said
    assert set(said) == {(Severity.NOTE, f"version {number} of {GROUP}")}
    assert any(says in one.text for one in plan.findings if "further" in one.text)
    assert {container.specification for container in release.containers} == {None}
    assert not [one for one in plan.findings if one.severity is Severity.ERROR]


def test_an_additional_specification_that_can_be_deployed_is_shared(administrator: Any, edited: Any) -> None:
    given = with_additional({"Image": IMAGE, "ModelDataUrl": MODEL.replace("/1/", "/2/")})
    with registered(administrator, given):
        gathered = gather.gather(open_producer(load_config(as_administrator(edited))))
    names = {container.specification for container in gathered.versions[-1].containers}
    assert names == {None, "further"}


def test_a_missing_artifact_that_is_deployed_too_leaves_its_version_out(
    administrator: Any, edited: Any
) -> None:
    gone = {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/models/{GROUP}/0/m.tar.gz"}
    given = of(gone, AdditionalInferenceSpecifications=[{"Name": "further", "Containers": [gone]}])
    with registered(administrator, given) as number:
        gathered = gather.gather(open_producer(load_config(as_administrator(edited))))
    assert set(gathered.left_out) == {number}


@pytest.mark.parametrize("approval", ["Rejected", "PendingManualApproval"])
def test_a_listed_version_that_its_owner_did_not_approve_is_an_error(
    administrator: Any, edited: Any, approval: str
) -> None:
    with registered(administrator, {"InferenceSpecification": SOUND}) as number:
        arn = f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/{number}"
        sagemaker = administrator.admin("producer", "sagemaker")
        sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=approval)
        with pytest.raises(PlanRefused, match=approval):
            gather.make_plan(load_config(as_administrator(edited, versions=[1, number])))


def test_a_version_that_was_published_and_expired_fails_the_audit(administrator: Any, edited: Any) -> None:
    """What has a Release is promised: a share goes on without it, an audit says that the promise is broken."""
    s3, key = administrator.admin("producer", "s3"), f"models/{GROUP}/expired/model.tar.gz"
    given = of({"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/{key}"})
    with administrator.restored(), registered(administrator, given) as number:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
        sharing = load_config(as_administrator(edited))
        producer = open_producer(sharing)
        gathered = gather.gather(producer)
        for version in gathered.versions:
            publish.publish(
                producer, publish.prepare(producer, version, gathered, plan_share(sharing, gathered))[0]
            )
        s3.delete_object(Bucket=BUCKET, Key=key)
        plan = gather.make_plan(sharing)
        evidence = read_documents(sharing, [])
    subject = f"version {number} of {GROUP}"
    assert {(one.severity, one.subject) for one in plan.findings} == {(Severity.WARNING, subject)}
    assert (Severity.ERROR, subject) in {(one.severity, one.subject) for one in evidence.findings}


@pytest.mark.parametrize("what", ["a base model without an image", "a source alone", "a record"])
def test_a_consumer_takes_the_newest_version_that_can_be_deployed(aws: Any, desk: Any, what: str) -> None:
    desk.apply(desk.plan())
    with registered(aws, RECORD if what == "a record" else LEFT_OUT[what][0]):
        found = preflight.find_version(open_target(desk.sharing, "staging"), None)
    assert found.version == 2


@pytest.fixture
def carded(aws: Any) -> Iterator[int]:
    """An approved version whose model card lies under a key of the producer's that no role may use."""
    kms = aws.admin("producer", "kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    card = {"ModelCardContent": json.dumps({"model_overview": {"model_id": "m", "model_owner": "us"}})}
    given = {
        "InferenceSpecification": SOUND,
        "ModelCard": {**card, "ModelCardStatus": "Draft"},
        "SecurityConfig": {"KmsKeyId": key},
    }
    with registered(aws, given) as number:
        yield number


def test_a_model_card_under_a_key_stands_in_nobody_s_way(desk: Any, carded: int) -> None:
    assert carded in {version.version for version in desk.gather().versions}
    desk.apply(desk.plan())
    target = open_target(desk.sharing, "staging")
    assert preflight.find_version(target, carded).version == carded


@pytest.mark.parametrize(
    ("included", "may"),
    [({}, False), ({"IncludedData": "AllData"}, False), ({"IncludedData": "MetadataOnly"}, True)],
)
def test_the_sandbox_shows_a_model_card_s_text_to_those_who_may_decrypt_it(
    aws: Any, carded: int, included: Any, may: bool
) -> None:
    arn = f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/{carded}"
    asked: Callable[..., Any] = aws.role(
        "producer", "crossaccount-producer", "sagemaker"
    ).describe_model_package
    if may:
        shown = asked(ModelPackageName=arn, **included)
        assert shown["InferenceSpecification"]["Containers"]
        assert json.loads(shown["ModelCard"]["ModelCardContent"]) == {"model_overview": {"model_id": "m"}}
    else:
        with pytest.raises(ClientError, match="kms:Decrypt"):
            asked(ModelPackageName=arn, **included)
    everything = aws.admin("producer", "sagemaker").describe_model_package(ModelPackageName=arn)
    assert "model_owner" in everything["ModelCard"]["ModelCardContent"]


def test_a_specification_added_after_sharing_stands_in_nobody_s_way(administrator: Any, edited: Any) -> None:
    sagemaker = administrator.admin("producer", "sagemaker")
    sharing = load_config(as_administrator(edited))
    producer = open_producer(sharing)
    with administrator.restored(), registered(administrator, {"InferenceSpecification": SOUND}) as number:
        plan = plan_share(sharing, gather.gather(producer))
        apply.apply(producer, plan)
        version = next(each for each in gather.gather(producer).versions if each.version == number)
        publish.publish(producer, publish.prepare(producer, version, gather.gather(producer), plan)[0])
        arn = f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/{number}"
        extra = {"Name": "edge", **SOUND}
        sagemaker.update_model_package(ModelPackageArn=arn, AdditionalInferenceSpecificationsToAdd=[extra])
        gathered = gather.gather(producer)
        version = next(each for each in gathered.versions if each.version == number)
        assert len(version.containers) == 2
        assert publish.prepare(producer, version, gathered, plan)[1] is False
        target = open_target(load_config(administrator.config), "staging")
        release = preflight.read_release(target, preflight.find_version(target, number))
    assert [container.specification for container in release.containers] == [None]
