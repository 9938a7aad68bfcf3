"""A pipeline of three containers, each with a repository, a bucket and a key of its own: whichever door is left out, it is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from hosted import World, asks, world

from crossaccount.audit.answers import combine
from crossaccount.audit.documents import read_documents
from crossaccount.audit.probe import try_doors
from crossaccount.aws.access import open_producer
from crossaccount.config.model import Sharing
from crossaccount.errors import Refused
from crossaccount.hosting import preflight, temporary
from crossaccount.registry.versions import describe_version
from crossaccount.sharing import gather
from crossaccount_sandbox import accounts

NAMES = ("encoder", "scaler", "ranker")
PULL = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]


@dataclass
class Part:
    """One container: what it is made of."""

    name: str
    number: int
    image: str
    repository: str
    bucket: str
    uri: str
    key: str

    @property
    def label(self) -> str:
        return f"container {self.number} ({self.name})"

    def allowed(self, *services: str) -> list[dict[str, Any]]:
        """The statements for these services."""
        arn = f"arn:aws:ecr:{accounts.REGION}:{accounts.PRODUCER.id}:repository/{self.repository}"
        statements = {
            "ecr": (PULL, arn),
            "s3": (["s3:GetObject", "s3:ListBucket"], [f"arn:aws:s3:::{self.bucket}", f"arn:aws:s3:::{self.bucket}/*"]),
            "kms": (["kms:Decrypt"], self.key),
        }  # fmt: skip
        return [
            {"Effect": "Allow", "Action": action, "Resource": resource}
            for service, (action, resource) in statements.items()
            if service in services
        ]


@dataclass
class Pipeline:
    """The shared version."""

    world: World
    version: int
    sharing: Sharing
    parts: list[Part] = field(default_factory=list)

    @contextmanager
    def without(self, door: str, part: Part) -> Iterator[None]:
        """One grant less."""
        producer = self.world.client
        key = {"KeyId": part.key, "PolicyName": "default"}
        if door == "repository":
            before = producer("producer", "ecr").get_repository_policy(repositoryName=part.repository)
            producer("producer", "ecr").delete_repository_policy(repositoryName=part.repository)
            yield
            producer("producer", "ecr").set_repository_policy(
                repositoryName=part.repository, policyText=before["policyText"]
            )
        elif door == "bucket":
            text = producer("producer", "s3").get_bucket_policy(Bucket=part.bucket)["Policy"]
            producer("producer", "s3").delete_bucket_policy(Bucket=part.bucket)
            yield
            producer("producer", "s3").put_bucket_policy(Bucket=part.bucket, Policy=text)
        elif door == "key":
            text = producer("producer", "kms").get_key_policy(**key)["Policy"]
            document = json.loads(text)
            mine = [
                each for each in document["Statement"] if "crossaccount" not in each.get("Sid", "").lower()
            ]
            assert len(mine) < len(document["Statement"])
            producer("producer", "kms").put_key_policy(
                **key, Policy=json.dumps({**document, "Statement": mine})
            )
            yield
            producer("producer", "kms").put_key_policy(**key, Policy=text)
        else:
            role, service = door.split()
            rest = part.allowed(*({"ecr", "s3", "kms"} - {service}))
            self.world.allow("staging", role, part.name, rest)
            yield
            self.world.allow("staging", role, part.name, part.allowed("ecr", "s3", "kms"))


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with world(tmp_path_factory.mktemp("world"), ("producer", "producer")) as hosted:
        parts = [_part(hosted, number, name) for number, name in enumerate(NAMES, start=1)]
        version = hosted.register(
            *(
                {"Image": part.image, "ModelDataUrl": part.uri, "ContainerHostname": part.name}
                for part in parts
            )
        )
        sharing = hosted.config(version, asks([1], [30]))
        hosted.share(sharing)
        for part in parts:
            for role in ("deployer", "execution"):
                hosted.allow("staging", role, part.name, part.allowed("ecr", "s3", "kms"))
        yield Pipeline(hosted, version, sharing, parts)


def _part(hosted: World, number: int, name: str) -> Part:
    bucket, repository = f"models-of-{name}-111111111111", f"images-of-{name}"
    hosted.client("producer", "s3").create_bucket(Bucket=bucket)
    key = hosted.client("producer", "kms").create_key(Description=name)["KeyMetadata"]["Arn"]
    uri = hosted.artifact(f"s3://{bucket}/{name}/model.tar.gz", {"factor": (2, 3, 5)[number - 1]}, key)
    return Part(name, number, hosted.image(repository), repository, bucket, uri, key)


def tried(pipeline: Pipeline) -> Refused | None:
    """What a deployment meets before its endpoint; None for nothing."""
    try:
        target, release = pipeline.world.release(pipeline.sharing, pipeline.version)
        with preflight.explained_creation(target, release):
            temporary.try_model(target, release)
    except Refused as refused:
        return refused
    return None


RESOURCE: dict[str, Callable[[Part], str]] = {
    "repository": lambda part: part.image,
    "bucket": lambda part: part.uri.replace("s3://", "arn:aws:s3:::"),
    "key": lambda part: part.key,
    "deployer s3": lambda part: part.uri.replace("s3://", "arn:aws:s3:::"),
    "deployer kms": lambda part: part.key,
    "execution s3": lambda part: part.uri,
    "execution kms": lambda part: part.uri,
    "execution ecr": lambda part: part.image,
}
DOOR = {"repository": "repository", "bucket": "bucket", "key": "key"} | {
    door: "execution-role" if door.startswith("execution") else "caller-policy"
    for door in RESOURCE
    if " " in door
}


def test_with_every_door_open_it_is_deployed_and_proved(pipeline: Pipeline) -> None:
    assert tried(pipeline) is None
    proof = pipeline.world.deploy(pipeline.sharing, pipeline.version)
    assert (proof.verified, proof.images_match) == (True, True)


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("door", RESOURCE)
def test_a_door_that_is_left_out_names_its_container(pipeline: Pipeline, door: str, number: int) -> None:
    part = pipeline.parts[number - 1]
    with pipeline.without(door, part):
        refused = tried(pipeline)
        assert refused is not None
        answers = try_doors(pipeline.sharing, "staging", (), True).answers
    refusal = refused.refusal
    assert (refusal.door, refusal.containers, refusal.resource) == (
        DOOR[door],
        (part.label,),
        RESOURCE[door](part),
    )
    assert f"It is for {part.label}." in str(refused)
    if door.startswith("execution"):
        wanted = {"s3": "s3:GetObject", "kms": "kms:Decrypt", "ecr": "ecr:BatchGetImage"}[door.split()[1]]
        others = [each for each in pipeline.parts if each is not part]
        assert wanted in refusal.next_step
        assert not any(each.key in refusal.next_step or each.bucket in refusal.next_step for each in others)
    shut = [answer for answer in answers if answer.verdict == "no"]
    assert [(answer.door, answer.containers) for answer in shut] == [(DOOR[door], (part.label,))]


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("door", ["repository", "bucket", "key"])
def test_a_check_says_which_container_a_missing_grant_is_for(
    pipeline: Pipeline, door: str, number: int
) -> None:
    part = pipeline.parts[number - 1]
    with pipeline.without(door, part):
        producer = read_documents(pipeline.sharing, ["staging"])
        consumer = try_doors(pipeline.sharing, "staging", producer.versions, True)
    audit = combine(pipeline.sharing, ["staging"], producer, {"staging": consumer}, True)
    resource = {"repository": part.repository, "bucket": part.bucket, "key": part.key}[door]
    assert audit.missing == (f"staging: {door} {resource} for {part.label}",)
    told = {(each["door"], each["resource"]): each for each in audit.to_json()["answers"]}
    assert told[door, resource]["containers"] == (part.label,)
    assert f"It is for {part.label}." in audit.text()
    assert f"It is for {part.label}." in audit.markdown()


def test_a_missing_artifact_names_its_container(pipeline: Pipeline) -> None:
    part, s3 = pipeline.parts[2], pipeline.world.client("producer", "s3")
    _, _, bucket, name = part.uri.split("/", 3)
    body = s3.get_object(Bucket=bucket, Key=name)["Body"].read()
    s3.delete_object(Bucket=bucket, Key=name)
    with pytest.raises(Exception, match=r"The artifact is missing\. It is for container 3 \(ranker\)\."):
        tried(pipeline)
    s3.put_object(Bucket=bucket, Key=name, Body=body, ServerSideEncryption="aws:kms", SSEKMSKeyId=part.key)


def test_a_share_says_which_container_its_obstacle_is_for(pipeline: Pipeline) -> None:
    part, kms = pipeline.parts[1], pipeline.world.client("producer", "kms")
    kms.disable_key(KeyId=part.key)
    try:
        found = gather.gather(open_producer(pipeline.sharing)).findings
    finally:
        kms.enable_key(KeyId=part.key)
    told = [str(each) for each in found if each.severity == "error"]
    assert len(told) == 1
    assert f"It is for {part.label}." in told[0]


def test_a_version_of_one_container_says_nothing_of_containers(pipeline: Pipeline) -> None:
    arn = f"arn:aws:sagemaker:us-east-1:{accounts.PRODUCER.id}:model-package/{accounts.GROUP}/1"
    version = describe_version(pipeline.world.client("producer", "sagemaker"), arn)
    assert len(version.containers) == 1
    sharing = pipeline.world.config(1, asks([1], [1]))
    evidence = read_documents(sharing, ["staging"])
    assert evidence.answers
    assert all(answer.containers == () for answer in evidence.answers)
