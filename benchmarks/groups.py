"""Many groups for twenty-five consumers: what a share of them takes, one more that changes nothing, and how it grows."""

from __future__ import annotations

import configparser
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from benchmarks import baseline
from benchmarks.alone import fresh
from benchmarks.stage import BUCKET, GROUP, REGION, Stage, consumers, running, timed, writes
from crossaccount_sandbox.accounts import push_image

_PROFILE = "administrator"
_GROUPS, _CONSUMERS = 40, 25
_SIZES = (1, 10, 40, 200, 400)
_COMPARED = (40, 400)


def groups(pairs: int, count: int = _GROUPS, many: int = _CONSUMERS) -> dict[str, Any]:
    """Share every group with every consumer, twice, and put the page's policies once for each group and consumer.

    Returns:
        ``pairs``: of ``first``, ``second`` and ``script`` the seconds, calls, policies written, other writes.
    """
    with running("--consumers", str(many)) as stage:
        from flows.groups import share_groups

        warm, *names = _settled(stage, count + 1)
        configs = [_config(stage, name, consumers(many)) for name in names]
        share_groups([_config(stage, warm, consumers(many))])  # to warm everything
        script = [
            replace(one, other=stage.id(other))
            for one in (_script(stage, name) for name in names)
            for other in consumers(many)
        ]
        made, found = baseline.clients(script[0]), []
        for _ in range(pairs):
            _forget(stage, names)
            pair = {run: _measured(stage, lambda: share_groups(configs)) for run in ("first", "second")}
            _forget(stage, names)
            found.append({**pair, "script": _measured(stage, lambda: _looped(script, made))})
    return {"groups": count, "consumers": many, "rounds": len(script), "pairs": found}


def scale_groups(
    pairs: int,
    sizes: Sequence[int] = _SIZES,
    compared: Sequence[int] = _COMPARED,
    many: int = _CONSUMERS,
) -> dict[str, Any]:
    """Share more and more groups with every consumer, each time in a fresh process and from nothing.

    Args:
        pairs: rounds.
        sizes: how many groups; the largest last.
        compared: those of every round; the others are measured once.
        many: consumers.

    Returns:
        ``rounds``: by the number of groups what `fresh` says; how many ``consumers`` there are.
    """
    with running("--consumers", str(many)) as stage:
        warm, *configs = [_config(stage, name, consumers(many)) for name in _settled(stage, sizes[-1] + 1)]
        rounds: list[dict[str, dict[str, float]]] = []
        for number in range(pairs):
            rounds.append({})
            for size in [size for size in sizes if not number or size in compared]:
                _forget(stage, _names(size))
                with stage.slow():
                    rounds[-1][str(size)] = fresh("share", warm, *configs[:size])
    return {"rounds": rounds, "consumers": many}


def _names(count: int) -> list[str]:
    """The names of so many groups, the one for warming left out."""
    return [f"bench-{number:02}" for number in range(1, count + 1)]


def _settled(stage: Stage, count: int) -> list[str]:
    """Make so many groups, and a profile that may share them all; their names, the one for warming first."""
    names = ["bench-00", *_names(count - 1)]
    _profile(stage)
    for name in names:
        _made(stage, name)
    return names


def _forget(stage: Stage, names: Sequence[str]) -> None:
    for name in names:
        stage.forget(name, name, _bucket(stage, name))


def _looped(script: Sequence[baseline.Run], made: dict[str, Any]) -> None:
    for one in script:
        baseline.grant(one, made)


def _measured(stage: Stage, do: Callable[[], Any]) -> dict[str, Any]:
    with stage.slow(), stage.calls() as calls:
        seconds = timed(do)
    policies, other = writes(calls)
    return {"seconds": seconds, "calls": len(calls), "policy_writes": policies, "other_writes": other}


def _profile(stage: Stage) -> None:
    """Give the producer's administrator a profile: the role of the sandbox's stack is for one group alone."""
    path = os.environ["AWS_SHARED_CREDENTIALS_FILE"]
    for variable, section, keys in (
        ("AWS_SHARED_CREDENTIALS_FILE", _PROFILE, stage.key("producer")),
        ("AWS_CONFIG_FILE", f"profile {_PROFILE}", {"region": REGION}),
    ):
        parser = configparser.RawConfigParser()
        parser.read(os.environ[variable])
        parser[section] = keys
        path = str(stage.folder / variable.lower())
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            parser.write(file)
        os.environ[variable] = path


def _bucket(stage: Stage, name: str) -> str:
    return f"{name}-{stage.id('producer')}"


def _made(stage: Stage, name: str) -> None:
    """A group with one approved version like the sandbox's first, a bucket and a repository of its own."""
    s3, ecr, sagemaker = (stage.admin("producer", service) for service in ("s3", "ecr", "sagemaker"))
    account, bucket = stage.id("producer"), _bucket(stage, name)
    package = f"arn:aws:sagemaker:{REGION}:{account}:model-package/{GROUP}/1"
    like = sagemaker.describe_model_package(ModelPackageName=package)
    s3.create_bucket(Bucket=bucket)
    controls = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=controls)
    for file in ("model.tar.gz", "samples.tar.gz"):
        body = s3.get_object(Bucket=BUCKET, Key=f"models/{GROUP}/1/{file}")["Body"].read()
        s3.put_object(Bucket=bucket, Key=f"models/{name}/1/{file}", Body=body)
    ecr.create_repository(repositoryName=name)
    push_image(ecr, name, "1")
    sagemaker.create_model_package_group(ModelPackageGroupName=name)
    folder = f"s3://{bucket}/models/{name}/1"
    container = {
        "Image": f"{account}.dkr.ecr.{REGION}.amazonaws.com/{name}:1",
        "ModelDataUrl": f"{folder}/model.tar.gz",
    }
    sagemaker.create_model_package(
        ModelPackageGroupName=name,
        ModelApprovalStatus="Approved",
        SamplePayloadUrl=f"{folder}/samples.tar.gz",
        InferenceSpecification={**like["InferenceSpecification"], "Containers": [container]},
    )


def _config(stage: Stage, name: str, whom: Sequence[str]) -> str:
    producer = {
        "account": stage.id("producer"),
        "profile": _PROFILE,
        "releases": f"s3://{_bucket(stage, name)}/releases/",
    }
    return stage.config(name, whom, model_package_group=name, producer=producer)


def _script(stage: Stage, name: str) -> baseline.Run:
    """The script's grant half for a group; what only its deploy half asks for is left empty."""
    import boto3

    return baseline.Run(
        producer=boto3.session.Session(profile_name=_PROFILE),
        consumer=None,
        role="",
        external_id="",
        execution_role="",
        group=name,
        bucket=_bucket(stage, name),
        account=stage.id("producer"),
        other="",
        region=REGION,
    )
