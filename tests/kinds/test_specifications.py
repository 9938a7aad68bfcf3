"""Another inference specification of a version: deployed, promoted, rolled back and proved, and refused where there is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hosted import NAME, World, asks, world

from crossaccount.aws.access import open_producer
from crossaccount.config.model import Sharing
from crossaccount.errors import CrossAccountError, Failed
from crossaccount.hosting import preflight, temporary
from crossaccount.promotion.outcome import Result
from crossaccount.sharing import gather
from crossaccount_sandbox import accounts

FAST = {"inference_specification": "fast"}
TYPES = ["ml.m5.large", "ml.g5.xlarge", "ml.g4dn.xlarge"]


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    roles = (("producer", "producer"), ("staging", "deployer"), ("staging", "execution"))
    with world(tmp_path_factory.mktemp("world"), *roles) as made:
        made.keys["main"], made.keys["fast"] = made.image("main-image"), made.image("fast-image")
        made.keys["key"] = made.client("producer", "kms").create_key()["KeyMetadata"]["Arn"]
        yield made


@pytest.fixture(autouse=True)
def cleared(hosted: World) -> Iterator[None]:
    yield
    hosted.clear()


def container(hosted: World, image: str, factor: int, key: str | None = None) -> dict[str, Any]:
    uri = f"s3://{accounts.BUCKET}/{accounts.ARTIFACTS}{image}-{factor}.tar.gz"
    return {"Image": hosted.keys[image], "ModelDataUrl": hosted.artifact(uri, {"factor": factor}, key)}


def specification(hosted: World, name: str, *containers: dict[str, Any]) -> dict[str, Any]:
    return {
        "Name": name,
        "Containers": list(containers),
        "SupportedRealtimeInferenceInstanceTypes": TYPES,
        "SupportedContentTypes": ["application/json", "text/csv"],
    }


def registered(hosted: World, main: int, fast: int) -> int:
    """A version with another specification beside the main one, whose artifact lies under a key."""
    extra = specification(hosted, "fast", container(hosted, "fast", fast, hosted.keys["key"]))
    return hosted.register(
        container(hosted, "main", main),
        AdditionalInferenceSpecifications=[extra, specification(hosted, "broken", {"ModelDataUrl": "s3://b/k"})],
    )  # fmt: skip


@pytest.fixture(scope="module")
def versions(hosted: World) -> tuple[int, int]:
    both = registered(hosted, 2, 3), registered(hosted, 5, 7)
    hosted.share(hosted.config_of([1, *both]))
    return both


def test_another_specification_is_deployed_and_proved(hosted: World, versions: tuple[int, int]) -> None:
    first, _ = versions
    proof = hosted.deploy(hosted.config_of([*versions], asks([1], [3]), **FAST), first)
    assert (proof.verified, proof.images_match, len(proof.images)) == (True, True, 1)
    assert "/fast-image@sha256:" in proof.images[0]
    main = hosted.deploy(hosted.config_of([*versions], asks([1], [2])), first)
    assert (main.verified, "/main-image@" in main.images[0]) == (True, True)


def test_another_specification_is_promoted_rolled_back_and_retires_old_versions(
    hosted: World, versions: tuple[int, int]
) -> None:
    first, second = versions

    def config(expect: int) -> Any:
        return hosted.config_of([*versions], asks([1], [expect]), keep_versions=1, **FAST)

    assert hosted.promote(config(3), first).result is Result.PROMOTED
    assert hosted.promote(config(7), second).live == second
    back = hosted.roll_back(config(3))
    assert (back.live, back.proofs[-1].verified) == (first, True)
    assert hosted.promote(config(3), first).result is Result.UNCHANGED
    model = hosted.client("staging", "sagemaker").describe_model(ModelName=f"{NAME}-v{first}")
    assert model["PrimaryContainer"]["InferenceSpecificationName"] == "fast"


def test_another_specification_obeys_its_guardrail(hosted: World, versions: tuple[int, int]) -> None:
    first, second = versions
    hosted.alarm("fast-errors", "OK")
    guard = {"deployment": {"alarms": ["fast-errors"], "wait_seconds": 3600}, **FAST}

    def goes_off(line: str) -> None:
        if "is Updating" in line:
            hosted.alarm("fast-errors", "ALARM")

    assert hosted.promote(hosted.config_of([*versions], asks([1], [3]), **guard), first).live == first
    gone = hosted.promote(hosted.config_of([*versions], asks([1], [7]), **guard), second, goes_off)
    assert (gone.result, gone.live) == (Result.FAILED, first)


def test_a_rollback_goes_to_the_specification_that_the_earlier_version_had(
    hosted: World, versions: tuple[int, int]
) -> None:
    first, second = versions
    assert hosted.promote(hosted.config_of([*versions], asks([1], [2])), first).live == first
    assert hosted.promote(hosted.config_of([*versions], asks([1], [7]), **FAST), second).live == second
    back = hosted.roll_back(hosted.config_of([*versions], asks([1], [2]), **FAST))
    assert (back.live, back.proofs[-1].verified, back.proofs[-1].answers[0].got) == (first, True, [2])


@pytest.mark.parametrize(("before", "after", "answer"), [({}, FAST, 3), (FAST, {}, 2)], ids=["to it", "back"])
def test_another_specification_of_the_live_version_is_no_silent_success(
    hosted: World, versions: tuple[int, int], before: Any, after: Any, answer: int
) -> None:
    first, _ = versions
    one, other = (2, 3) if not before else (3, 2)
    assert hosted.promote(hosted.config_of([*versions], asks([1], [one]), **before), first).live == first
    again = hosted.promote(hosted.config_of([*versions], asks([1], [other]), **after), first)
    assert again.result is Result.FAILED
    assert f"The model {NAME}-v{first} exists with PrimaryContainer.InferenceSpecificationName" in again.text


def test_the_release_as_it_is_deployed_has_the_types_of_the_specification(
    hosted: World, versions: tuple[int, int]
) -> None:
    _, release = hosted.release(hosted.config_of([*versions], asks([1], [3]), **FAST), versions[0])
    assert release.instance_types == TYPES
    assert release.content_types == ["application/json", "text/csv"]
    assert [each.image for each in release.deployed_containers] == [hosted.keys["fast"]]
    _, main = hosted.release(hosted.config_of([*versions], asks([1], [2])), versions[0])
    assert main.instance_types == []
    assert [each.image for each in main.deployed_containers] == [hosted.keys["main"]]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Fast", "has no inference specification 'Fast': it has 'fast' beside the main one. Correct consumers.staging.endpoint.inference_specification"),
        ("slow", "has no inference specification 'slow'"),
        ("broken", "cannot be deployed by its inference specification 'broken': A container has no image of its own"),
    ],
)  # fmt: skip
def test_a_specification_that_is_not_there_is_said_early(
    hosted: World, versions: tuple[int, int], name: str, words: str
) -> None:
    config = hosted.config_of([*versions], asks([1], [3]), inference_specification=name)
    with pytest.raises(Failed) as failed:
        hosted.deploy(config, versions[0])
    assert words in str(failed.value)
    assert hosted.hosted("model") == []
    if name == "broken":
        return
    with pytest.raises(Failed, match="it has the main one only"):
        hosted.deploy(hosted.config(1, asks([1], [3]), inference_specification=name), 1)


def test_a_specification_that_came_after_the_release_is_not_deployed(
    hosted: World, versions: tuple[int, int]
) -> None:
    arn = f"arn:aws:sagemaker:us-east-1:{accounts.PRODUCER.id}:model-package/{accounts.GROUP}/{versions[1]}"
    extra = specification(hosted, "late", container(hosted, "fast", 11))
    hosted.client("producer", "sagemaker").update_model_package(
        ModelPackageArn=arn, AdditionalInferenceSpecificationsToAdd=[extra]
    )
    config = hosted.config_of([*versions], asks([1], [11]), inference_specification="late")
    with pytest.raises(Failed, match="is without the inference specification 'late': it was added after"):
        hosted.deploy(config, versions[1])


@pytest.mark.parametrize("resource", ["repository", "key"])
def test_what_the_specification_needs_is_shared_and_what_is_shut_is_named(
    hosted: World, versions: tuple[int, int], resource: str
) -> None:
    first, _ = versions
    config, main = (
        hosted.config_of([*versions], asks([1], [answer]), **more) for answer, more in ((3, FAST), (2, {}))
    )
    kms, key = hosted.client("producer", "kms"), {"KeyId": hosted.keys["key"], "PolicyName": "default"}
    ecr, repository = hosted.client("producer", "ecr"), {"repositoryName": "fast-image"}
    pulled = ecr.get_repository_policy(**repository)["policyText"]
    decrypted = kms.get_key_policy(**key)["Policy"]
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{accounts.PRODUCER.id}:root"}}
    closed = {"Version": "2012-10-17", "Statement": [{**root, "Action": "kms:*", "Resource": "*"}]}
    if resource == "repository":
        ecr.delete_repository_policy(**repository)
    else:
        kms.put_key_policy(**key, Policy=json.dumps(closed))
    try:
        with pytest.raises(CrossAccountError, match=f"the {resource} door of account"):
            tried(hosted, config, first)
        assert hosted.deploy(main, first).verified  # the main one needs neither
    finally:
        ecr.set_repository_policy(**repository, policyText=pulled)
        kms.put_key_policy(**key, Policy=decrypted)


def tried(hosted: World, config: Sharing, version: int) -> None:
    """What a deployment does before its endpoint."""
    target, release = hosted.release(config, version)
    with preflight.explained_creation(target, release):
        temporary.try_model(target, release)


def test_a_share_says_which_version_lacks_the_specification_of_a_consumer(
    hosted: World, versions: tuple[int, int]
) -> None:
    config = hosted.config_of([1, versions[0]], asks([1], [3]), **FAST)
    told = [str(each) for each in gather.gather(open_producer(config)).findings if "staging" in str(each)]
    assert len(told) == 1
    assert told[0].startswith(f"version 1 of {accounts.GROUP}: It is shared without")
    assert "'fast' that staging deploys" in told[0]
