"""Serverless endpoints of AWS's own images, end to end, and what AWS does not let one have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hosted import NAME, World, asks, world

from crossaccount.errors import ConfigError, DoorName, Failed, Refused
from crossaccount.promotion.outcome import Result
from crossaccount.show import proofs
from crossaccount_sandbox import accounts

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
SERVERLESS = {"serverless": {"memory_mb": 2048, "max_concurrency": 5}, "instance_type": None}
REPOSITORY = "arn:aws:ecr:us-east-1:683313688378:repository/sagemaker-scikit-learn"
RECORDED = "sha256:" + "1" * 64


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world"), ("producer", "producer")) as made:
        made.runs(IMAGE)
        made.tell_stack(AwsRepositories=REPOSITORY)
        yield made


@pytest.fixture(autouse=True)
def cleared(hosted: World) -> Iterator[None]:
    yield
    hosted.clear()


def registered(hosted: World, factor: int, image: str = IMAGE, digest: str | None = None) -> int:
    uri = hosted.artifact(
        f"s3://{accounts.BUCKET}/{accounts.ARTIFACTS}serverless-{factor}.tar.gz", {"factor": factor}
    )
    return hosted.register(
        {"Image": image, "ModelDataUrl": uri, **({"ImageDigest": digest} if digest else {})}
    )


@pytest.fixture(scope="module")
def versions(hosted: World) -> tuple[int, int]:
    both = registered(hosted, 2), registered(hosted, 3)
    hosted.share(hosted.config_of([*both]))
    return both


def test_a_serverless_endpoint_of_aws_s_image_is_deployed_and_proved(
    hosted: World, versions: tuple[int, int]
) -> None:
    proof = hosted.deploy(hosted.config_of([*versions], asks([1], [2]), **SERVERLESS), versions[0])
    assert (proof.verified, proof.images_match, proof.by_tag, proof.moved) == (True, True, (), ())
    assert proof.images[0].startswith(IMAGE.rpartition(":")[0] + "@sha256:")
    wrong = hosted.deploy(hosted.config_of([*versions], asks([1], [3]), **SERVERLESS), versions[0])
    assert not wrong.verified


@pytest.mark.parametrize("repositories", ["", REPOSITORY.replace("scikit-learn", "xgboost")])
def test_an_image_of_aws_s_that_the_stack_is_not_told_of_is_refused(
    hosted: World, versions: tuple[int, int], repositories: str
) -> None:
    hosted.tell_stack(AwsRepositories=repositories)
    try:
        with pytest.raises(Refused) as caught:
            hosted.deploy(hosted.config_of([*versions], asks([1], [2]), **SERVERLESS), versions[0])
    finally:
        hosted.tell_stack(AwsRepositories=REPOSITORY)
    assert caught.value.refusal.door == DoorName.EXECUTION_ROLE
    assert "repository/sagemaker-scikit-learn" in str(caught.value)


def test_a_serverless_endpoint_is_promoted_rolled_back_and_retires_old_versions(
    hosted: World, versions: tuple[int, int]
) -> None:
    first, second = versions

    def config(expect: int, **more: Any) -> Any:
        return hosted.config_of(
            [*versions], asks([1], [expect]), **{"keep_versions": 1, **SERVERLESS, **more}
        )

    assert hosted.promote(config(2), first).result is Result.PROMOTED
    done = hosted.promote(config(3), second)
    assert (done.live, done.proofs[-1].verified) == (second, True)
    back = hosted.roll_back(config(2))
    assert (back.live, back.proofs[-1].answers[0].got) == (first, [2])
    wrong = hosted.promote(config(2), second)
    assert (wrong.result, wrong.live) == (Result.FAILED, first)
    assert hosted.promote(config(2, keep_versions=0), first).result is Result.UNCHANGED
    assert hosted.hosted("model") == [f"{NAME}-v{first}"]
    described = hosted.client("staging", "sagemaker").describe_endpoint(EndpointName=NAME)
    assert described["ProductionVariants"][0]["CurrentServerlessConfig"]["MemorySizeInMB"] == 2048


def test_an_image_whose_tag_aws_has_moved_is_proved_with_a_note(
    hosted: World, versions: tuple[int, int]
) -> None:
    number = registered(hosted, 5, digest=RECORDED)
    config = hosted.config_of([*versions, number], asks([1], [5]), **SERVERLESS)
    hosted.share(config)
    proof = hosted.deploy(config, number)
    assert (proof.verified, proof.images_match, len(proof.moved)) == (True, True, 1)
    assert (proof.moved[0].image, proof.moved[0].recorded) == (IMAGE, RECORDED)
    assert proof.images == (f"{IMAGE.rpartition(':')[0]}@{proof.moved[0].running}",)
    assert "AWS has moved its own tag" in proofs.text(proof, ())
    assert f"from {RECORDED} to {proof.moved[0].running}" in hosted.promote(config, number).text


@pytest.mark.parametrize(
    ("key", "endpoint", "words"),
    [
        ("deployment.alarms", {"deployment": {"alarms": ["errors"]}}, "are not watched while a serverless endpoint is updated"),
        ("deployment.type", {"deployment": {"type": "canary", "canary_percent": 10}}, "a serverless endpoint has none"),
        ("container_mode", {"container_mode": "direct"}, "because a serverless endpoint takes one container"),
    ],
)  # fmt: skip
def test_guardrails_and_containers_of_its_own_are_refused_with_aws_s_reason(
    hosted: World, key: str, endpoint: Any, words: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        hosted.config(1, asks([1], [2]), **SERVERLESS, **endpoint)
    assert {fault.key for fault in refused.value.faults} == {f"consumers.staging.endpoint.{key}"}
    assert words in str(refused.value)


def test_the_producer_s_own_image_and_several_containers_are_refused_before_a_model_is_made(
    hosted: World, versions: tuple[int, int]
) -> None:
    own = registered(hosted, 2, image=hosted.image("own-image"))
    uri = f"s3://{accounts.BUCKET}/{accounts.ARTIFACTS}serverless-2.tar.gz"
    two = hosted.register(*({"Image": IMAGE, "ModelDataUrl": uri} for _ in range(2)))
    hosted.share(hosted.config_of([own, two]))
    hosted.allow("staging", "deployer", "own", [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}])
    for number, words in (
        (own, "a serverless endpoint takes no image of another account's registry"),
        (two, "has 2 containers, and a serverless endpoint takes one"),
    ):
        with pytest.raises(Failed, match=words):
            hosted.deploy(hosted.config_of([own, two], asks([1], [2]), **SERVERLESS), number)
    assert hosted.hosted("model") == []
