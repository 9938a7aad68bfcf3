"""Versions with several containers, one after the other and each by itself: every verb, with a process for each container."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hosted import NAME, World, asks, world

from crossaccount.errors import ConfigError, Failed
from crossaccount.promotion.outcome import Result
from crossaccount_sandbox import accounts

NAMES = ("encoder", "scaler", "ranker")
DIRECT = {"container_mode": "direct"}
EACH = [
    asks([1], [2], container="encoder"),
    asks([1], [3], container="scaler"),
    asks([1], [5], container="ranker"),
]


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    roles = (("producer", "producer"), ("staging", "deployer"), ("staging", "execution"))
    with world(tmp_path_factory.mktemp("world"), *roles) as made:
        made.keys["images"] = [made.image(f"image-of-{name}") for name in NAMES]
        yield made


@pytest.fixture(autouse=True)
def cleared(hosted: World) -> Iterator[None]:
    yield
    hosted.clear()


def containers(hosted: World, *factors: int, names: tuple[str, ...] = NAMES) -> list[dict[str, Any]]:
    """Three containers that multiply by these factors."""
    return [
        {
            "Image": image,
            "ModelDataUrl": hosted.artifact(f"s3://{accounts.BUCKET}/{accounts.ARTIFACTS}{name}-{factor}.tar.gz", {"factor": factor}),
            **({"ContainerHostname": name} if names else {}),
        }
        for image, name, factor in zip(hosted.keys["images"], NAMES, factors, strict=True)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def version(hosted: World) -> int:
    """A version whose containers multiply by 2, 3 and 5."""
    number = hosted.register(*containers(hosted, 2, 3, 5))
    hosted.share(hosted.config(number))
    return number


@pytest.fixture(scope="module")
def later(hosted: World, version: int) -> int:
    """The version after it, whose first container multiplies by 7."""
    number = hosted.register(*containers(hosted, 7, 3, 5))
    hosted.share(hosted.config_of([version, number]))
    return number


# The serial kind.


def test_a_pipeline_is_deployed_and_proved(hosted: World, version: int) -> None:
    proof = hosted.deploy(hosted.config(version, asks([1, 2], [30, 60])), version)
    assert (proof.verified, proof.images_match, len(proof.images)) == (True, True, 3)
    assert hosted.hosted("model") == hosted.hosted("endpoint") == []
    wrong = hosted.deploy(hosted.config(version, asks([1, 2], [30, 61])), version)
    assert not wrong.verified


def test_a_pipeline_is_promoted_rolled_back_and_retires_old_versions(
    hosted: World, version: int, later: int
) -> None:
    moves = [
        (hosted.promote, version, [30]),
        (hosted.promote, later, [105]),
    ]
    for move, number, expect in moves:
        done = move(hosted.config_of([version, later], asks([1], expect), keep_versions=1), number)
        assert (done.result, done.live, done.proofs[-1].verified) == (Result.PROMOTED, number, True), (
            done.text
        )
    back = hosted.roll_back(hosted.config_of([version, later], asks([1], [30]), keep_versions=1))
    assert (back.result, back.live, back.proofs[-1].answers[0].got) == (Result.PROMOTED, version, [30])
    gone = hosted.promote(hosted.config_of([version, later], asks([1], [30]), keep_versions=0), version)
    assert gone.result is Result.UNCHANGED
    assert hosted.hosted("model") == [f"{NAME}-v{version}"]


@pytest.mark.parametrize(("mode", "questions"), [("serial", [asks([1], [30])]), ("direct", EACH)])
def test_several_containers_obey_their_guardrail(
    hosted: World, version: int, later: int, mode: str, questions: Any
) -> None:
    hosted.alarm("too-many-errors", "OK")
    guarded = {"deployment": {"alarms": ["too-many-errors"], "wait_seconds": 3600}, "container_mode": mode}
    config = hosted.config_of([version, later], *questions, **guarded)
    assert hosted.promote(config, version).result is Result.PROMOTED

    def goes_off(line: str) -> None:
        if "is Updating" in line:
            hosted.alarm("too-many-errors", "ALARM")

    rolled_back = hosted.promote(config, later, goes_off)
    assert (rolled_back.result, rolled_back.live) == (Result.FAILED, version)
    assert "the alarm(s) too-many-errors were in ALARM state" in rolled_back.text


# The direct kind.


def test_containers_that_are_invoked_directly_are_each_deployed_and_proved(
    hosted: World, version: int
) -> None:
    proof = hosted.deploy(hosted.config(version, *EACH, **DIRECT), version)
    assert [(one.container, one.got, one.ok) for one in proof.answers] == [
        ("encoder", [2], True),
        ("scaler", [3], True),
        ("ranker", [5], True),
    ]
    assert (proof.verified, len(proof.images)) == (True, 3)


def test_a_question_without_a_container_is_put_to_each(hosted: World, version: int) -> None:
    proof = hosted.deploy(hosted.config(version, asks([1], [2]), **DIRECT), version)
    assert [(one.container, one.ok) for one in proof.answers] == [
        ("encoder", True),
        ("scaler", False),
        ("ranker", False),
    ]
    assert not proof.verified


def test_containers_that_are_invoked_directly_are_promoted_and_rolled_back(
    hosted: World, version: int, later: int
) -> None:
    assert hosted.promote(hosted.config_of([version, later], *EACH, **DIRECT), version).live == version
    other = [asks([1], [7], container="encoder"), *EACH[1:]]
    assert hosted.promote(hosted.config_of([version, later], *other, **DIRECT), later).live == later
    back = hosted.roll_back(hosted.config_of([version, later], *EACH, **DIRECT))
    assert (back.live, back.proofs[-1].verified) == (version, True)


def test_a_rollback_goes_to_the_mode_that_the_earlier_version_had(
    hosted: World, version: int, later: int
) -> None:
    both = [version, later]
    assert hosted.promote(hosted.config_of(both, asks([1], [30])), version).live == version
    direct = [asks([1], [7], container="encoder"), *EACH[1:]]
    assert hosted.promote(hosted.config_of(both, *direct, **DIRECT), later).live == later
    back = hosted.roll_back(hosted.config_of(both, asks([1], [30]), **DIRECT))
    assert (back.live, [one.container for one in back.proofs[-1].answers]) == (version, [""])


def test_another_mode_of_the_live_version_is_no_silent_success(hosted: World, version: int) -> None:
    assert hosted.promote(hosted.config(version, asks([1], [30])), version).live == version
    again = hosted.promote(hosted.config(version, *EACH, **DIRECT), version)
    assert again.result is Result.FAILED
    assert f"The model {NAME}-v{version} exists with" in again.text


# What is refused before anything is created.


@pytest.mark.parametrize(
    ("questions", "words"),
    [
        (EACH[:2], "No question of consumers.staging.smoke asks ranker"),
        (EACH[1:2], "asks encoder, ranker: the containers of version"),
        (
            [*EACH, asks([1], [2], container="Encoder")],
            "'Encoder' cannot be asked: the containers of version",
        ),
        (
            [asks([1], [2], container="nobody"), asks([1], [2])],
            "consumers.staging.smoke[0].container: 'nobody'",
        ),
    ],
)
def test_a_container_that_nobody_asks_or_that_is_not_there_is_said_early(
    hosted: World, version: int, questions: Any, words: str
) -> None:
    with pytest.raises(Failed) as failed:
        hosted.deploy(hosted.config(version, *questions, **DIRECT), version)
    assert words in str(failed.value)
    assert hosted.hosted("model") == []


def test_a_question_to_a_container_of_a_pipeline_is_a_fault_of_the_config(
    hosted: World, version: int
) -> None:
    for endpoint in ({}, {"container_mode": "serial"}):
        with pytest.raises(ConfigError) as refused:
            hosted.config(version, *EACH[:1], **endpoint)
        (fault,) = refused.value.faults
        assert fault.key == "consumers.staging.smoke[0].container"
        assert "endpoint.container_mode: direct" in fault.message


def test_containers_without_a_name_and_a_single_one_are_not_invoked_directly(hosted: World) -> None:
    unnamed = hosted.register(*containers(hosted, 2, 3, 5, names=()))
    single = hosted.register(containers(hosted, 2, 3, 5)[0])
    hosted.share(hosted.config_of([unnamed, single]))
    for number, words in (
        (unnamed, f"Container 1 of version {unnamed} has no ContainerHostname in the registry"),
        (single, f"Version {single} has one container, and endpoint.container_mode direct needs several"),
    ):
        with pytest.raises(Failed, match=words):
            hosted.deploy(hosted.config_of([unnamed, single], asks([1], [2]), **DIRECT), number)
    proof = hosted.deploy(hosted.config_of([unnamed, single], asks([1], [30])), unnamed)
    assert proof.verified
    assert hosted.hosted("model") == []


def test_several_containers_take_no_shadow_beside_them(hosted: World, version: int, later: int) -> None:
    capture = {"s3_uri": "s3://staging-calls/captured/", "percent": 1}
    sharing = hosted.config_of([version, later], asks([1], [105]), keep_versions=1, data_capture=capture)
    before = hosted.promote(hosted.config_of([version, later], asks([1], [30]), keep_versions=1), version)
    assert before.live == version, before.text
    staging = sharing.consumers["staging"].model_copy(update={"smoke_mode": "shadow"})
    beside = sharing.model_copy(update={"consumers": {"staging": staging}})
    done = hosted.promote(beside, later)
    assert (done.result, done.live) == (Result.FAILED, version)
    assert "has 3 containers, and AWS puts no shadow variant beside such an endpoint" in done.text
