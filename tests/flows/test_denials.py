"""The denial matrix: leave out any one thing that the way to a deployment needs, and the right door is named.

Each row breaks one thing with an ordinary call of an account's administrator, deploys to staging, and looks at the
refusal: its door, the account that owns it, the action that was refused, and what to do next. Nothing may be left behind.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from crossaccount import config, gather, policies
from crossaccount.errors import Door, Failed, Refused
from flows.consumer import deploy_model

PRODUCER, STAGING = "111111111111", "222222222222"
BUCKET, GROUP = "producer-models-111111111111", "decision-trees-sample"
DEPLOYER, EXECUTION = "crossaccount-deployer", "crossaccount-execution"

Break = Callable[[Any], AbstractContextManager[None]]


def word_of(statement: dict[str, Any]) -> str:
    """The word of one of our Sids: CrossAccountReadxxxxxxxxyyyy is Read."""
    return str(statement.get("Sid", "")).removeprefix("CrossAccount")[:-12]


def without_statement(kind: str, word: str) -> Break:
    """One of our statements taken out of one of the producer's documents."""
    return changed_statement(kind, word, lambda statement: None)


def without_granted(kind: str, action: str) -> Break:
    """One action taken out of our statements of one of the producer's documents."""

    def change(statement: dict[str, Any]) -> dict[str, Any] | None:
        named = statement["Action"]
        left = [one for one in ([named] if isinstance(named, str) else named) if one != action]
        return {**statement, "Action": left} if left else None

    return changed_statement(kind, None, change)


def changed_statement(
    kind: str, word: str | None, change: Callable[[dict[str, Any]], dict[str, Any] | None]
) -> Break:
    @contextmanager
    def broken(aws: Any) -> Iterator[None]:
        with aws.restored():
            document, kept, hit = aws.documents()[kind], [], 0
            for statement in document["Statement"]:
                ours = word_of(statement) in ("Group", "Versions", "Pull", "Read", "List", "Decrypt")
                if ours and word in (None, word_of(statement)):
                    new = change(statement)
                    hit += new != statement
                    kept += [new] if new else []
                else:
                    kept.append(statement)
            assert hit, f"{kind} has no such thing to take out"
            aws.put(kind, {**document, "Statement": kept} if kept else None)
            yield

    return broken


def without_artifacts(statement: dict[str, Any]) -> dict[str, Any]:
    return {**statement, "Resource": [one for one in statement["Resource"] if "/releases/" in one]}


def without_identity(role: str, policy: str, sid: str, action: str | None = None) -> Break:
    """A statement (or one of its actions) taken out of an identity policy of a role in staging."""

    @contextmanager
    def broken(aws: Any) -> Iterator[None]:
        iam = aws.admin("staging", "iam")
        before = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        document = json.loads(json.dumps(before))
        (statement,) = [one for one in document["Statement"] if one["Sid"] == sid]
        if action is None:
            document["Statement"].remove(statement)
        else:
            statement["Action"].remove(action)
        if document["Statement"]:
            iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))
        else:
            iam.delete_role_policy(RoleName=role, PolicyName=policy)
        try:
            yield
        finally:
            iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(before))

    return broken


def trusting(role: str, principal: dict[str, str], condition: dict[str, Any] | None = None) -> Break:
    """Another trust policy for a role in staging."""

    @contextmanager
    def broken(aws: Any) -> Iterator[None]:
        iam = aws.admin("staging", "iam")
        before = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        statement: dict[str, Any] = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        statement |= {"Condition": condition} if condition else {}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(document))
        try:
            yield
        finally:
            iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(before))

    return broken


@contextmanager
def no_operator(aws: Any) -> Iterator[None]:
    iam = aws.admin("staging", "iam")
    arn = f"arn:aws:iam::{STAGING}:policy/crossaccount-consumer-operator"
    iam.detach_user_policy(UserName="operator", PolicyArn=arn)
    try:
        yield
    finally:
        iam.attach_user_policy(UserName="operator", PolicyArn=arn)


@contextmanager
def passing_to_another_service(aws: Any) -> Iterator[None]:
    iam = aws.admin("staging", "iam")
    before = iam.get_role_policy(RoleName=DEPLOYER, PolicyName="hosting")["PolicyDocument"]
    text = json.dumps(before).replace('"sagemaker.amazonaws.com"', '"lambda.amazonaws.com"')
    assert text != json.dumps(before)
    iam.put_role_policy(RoleName=DEPLOYER, PolicyName="hosting", PolicyDocument=text)
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=DEPLOYER, PolicyName="hosting", PolicyDocument=json.dumps(before))


@dataclass(frozen=True)
class Row:
    """What is left out, and what the refusal must say."""

    left_out: str
    break_: Break
    door: Door
    account: str
    action: str
    next_step: str


def registry(left_out: str, break_: Break, action: str) -> Row:
    return Row(left_out, break_, Door.REGISTRY, PRODUCER, action, "crossaccount share")


def repository(left_out: str, break_: Break) -> Row:
    return Row(left_out, break_, Door.REPOSITORY, PRODUCER, "ecr:BatchGetImage", "crossaccount share")


def bucket(left_out: str, break_: Break) -> Row:
    return Row(left_out, break_, Door.BUCKET, PRODUCER, "s3:GetObject", "crossaccount share")


def deployer(policy: str, sid: str, action: str, alone: bool = False) -> Row:
    """The deployer without a statement of its policies, or without one action of it; ``action`` is what is refused."""
    name = f"the deployer's {sid} in {policy}" + (f": {action} alone" if alone else "")
    broken = without_identity(DEPLOYER, policy, sid, action if alone else None)
    return Row(name, broken, Door.CALLER_POLICY, STAGING, action, action)


def execution(policy: str, sid: str, lacks: str, action: str, alone: bool = False) -> Row:
    """The execution role without a statement, or one action of it; ``lacks`` is what the next step must name."""
    name = f"the execution role's {sid} in {policy}" + (f": {lacks} alone" if alone else "")
    broken = without_identity(EXECUTION, policy, sid, lacks if alone else None)
    return Row(name, broken, Door.EXECUTION_ROLE, STAGING, action, lacks)


READ = "s3:GetObject, s3:ListBucket or kms:Decrypt"
PULL = "ecr:BatchGetImage"
ROWS = [
    registry(
        "the group's statement", without_statement("group", "Group"), "sagemaker:DescribeModelPackageGroup"
    ),
    registry(
        "the versions' statement", without_statement("group", "Versions"), "sagemaker:DescribeModelPackage"
    ),
    registry(
        "describing the group",
        without_granted("group", "sagemaker:DescribeModelPackageGroup"),
        "sagemaker:DescribeModelPackageGroup",
    ),
    registry(
        "listing the versions",
        without_granted("group", "sagemaker:ListModelPackages"),
        "sagemaker:ListModelPackages",
    ),
    registry(
        "describing the versions",
        without_granted("group", "sagemaker:DescribeModelPackage"),
        "sagemaker:DescribeModelPackage",
    ),
    registry(
        "creating models from the versions",
        without_granted("group", "sagemaker:CreateModel"),
        "sagemaker:CreateModel",
    ),
    repository("the repository's statement", without_statement("repository", "Pull")),
    *(
        repository(f"{action} on the repository", without_granted("repository", action))
        for action in policies.PULL_ACTIONS
    ),
    bucket("the bucket's statement", without_statement("bucket", "Read")),
    bucket("the artifacts in the bucket's statement", changed_statement("bucket", "Read", without_artifacts)),
    Row(
        "the key's statement",
        without_statement("key", "Decrypt"),
        Door.KEY,
        PRODUCER,
        "kms:Decrypt",
        "crossaccount share",
    ),
    Row(
        "kms:Decrypt on the key",
        without_granted("key", "kms:Decrypt"),
        Door.KEY,
        PRODUCER,
        "kms:Decrypt",
        "crossaccount share",
    ),
    Row(
        "the operator's policy", no_operator, Door.CALLER_POLICY, STAGING, "sts:AssumeRole", "sts:AssumeRole"
    ),
    Row(
        "the deployer's trust in its account",
        trusting(DEPLOYER, {"AWS": PRODUCER}),
        Door.ROLE_TRUST,
        STAGING,
        "sts:AssumeRole",
        "trust policy",
    ),
    Row(
        "the deployer's trust in this external id",
        trusting(DEPLOYER, {"AWS": STAGING}, {"StringEquals": {"sts:ExternalId": "another"}}),
        Door.ROLE_TRUST,
        STAGING,
        "sts:AssumeRole",
        "external id",
    ),
    deployer("shared-package", "ReadGroup", "sagemaker:DescribeModelPackageGroup"),
    deployer("shared-package", "ReadGroup", "sagemaker:ListModelPackages", alone=True),
    deployer("shared-package", "DescribeVersions", "sagemaker:DescribeModelPackage"),
    deployer("shared-package", "DeployVersions", "sagemaker:CreateModel"),
    deployer("shared-package", "ReadReleases", "s3:GetObject"),
    deployer("shared-package", "CheckArtifacts", "s3:GetObject"),
    deployer("key", "CheckArtifacts", "kms:Decrypt"),
    deployer("hosting", "Models", "sagemaker:DescribeModel"),
    deployer("hosting", "Models", "sagemaker:CreateModel", alone=True),
    deployer("hosting", "EndpointConfigs", "sagemaker:DescribeEndpointConfig"),
    deployer("hosting", "EndpointConfigs", "sagemaker:CreateEndpointConfig", alone=True),
    deployer("hosting", "CreateEndpoints", "sagemaker:CreateEndpoint"),
    deployer("hosting", "Endpoints", "sagemaker:DescribeEndpoint"),
    deployer("hosting", "Endpoints", "sagemaker:InvokeEndpoint", alone=True),
    deployer("hosting", "Tags", "sagemaker:AddTags"),
    deployer("hosting", "PassExecutionRole", "iam:PassRole"),
    Row(
        "PassRole to SageMaker",
        passing_to_another_service,
        Door.CALLER_POLICY,
        STAGING,
        "iam:PassRole",
        "iam:PassRole",
    ),
    Row(
        "the execution role's trust in SageMaker",
        trusting(EXECUTION, {"Service": "lambda.amazonaws.com"}),
        Door.EXECUTION_ROLE,
        STAGING,
        "sts:AssumeRole by sagemaker.amazonaws.com",
        "trust policy",
    ),
    execution("model", "ReadArtifacts", "s3:GetObject", READ),
    execution("key", "DecryptArtifacts", "kms:Decrypt", READ),
    execution("model", "PullImage", "ecr:BatchGetImage", PULL),
    *(execution("model", "PullImage", action, PULL, alone=True) for action in policies.PULL_ACTIONS),
    execution("model", "LogInToRegistry", "ecr:GetAuthorizationToken", PULL),
]


@pytest.mark.parametrize("row", ROWS, ids=[row.left_out for row in ROWS])
def test_without_one_thing_the_right_door_is_named(shared: Any, row: Row) -> None:
    with row.break_(shared), pytest.raises(Refused) as error:
        deploy_model(str(shared.config), "staging")
    refusal = error.value.refusal
    assert (refusal.door, refusal.account, refusal.action) == (row.door, row.account, row.action), str(
        error.value
    )
    assert row.next_step in refusal.next_step, refusal.next_step
    assert not any(shared.hosted("staging").values())


def test_with_everything_it_is_deployed_and_removed(shared: Any) -> None:
    deployment = deploy_model(str(shared.config), "staging")
    assert deployment.proof.verified
    assert [removal.outcome for removal in deployment.removals] == ["removed"] * 3


def test_the_matrix_has_every_statement_that_the_template_gives_a_deployment() -> None:
    """A statement that is added to the consumer's template needs a row here, or a reason."""
    no_part_of_a_success = {
        "AskWhatOwnRolesMay",  # asked after a refusal only
        "ListArtifacts",  # for uncompressed artifacts, and to tell a missing one from a refusal: see below
        "WriteLogs",  # CloudWatch is not modelled
        "PutMetrics",
    }
    template = (config_root() / "deployments" / "iam" / "consumer.yaml").read_text()
    named = {line.split("Sid:")[1].strip() for line in template.splitlines() if "Sid:" in line}
    text = " ".join(row.left_out for row in ROWS) + " AssumeDeployer"
    assert {sid for sid in named if sid not in text} == no_part_of_a_success


def config_root() -> Any:
    from pathlib import Path

    return Path(config.__file__).parents[1]


# Every statement that share grants is needed.


def test_every_granted_statement_has_something_that_fails_without_it(shared: Any) -> None:
    plan = gather.share_plan(config.load(shared.config))
    ours = [one for change in plan.changes for one in policies.statements(change.desired)]
    granted = {word_of(one) for one in ours if str(one.get("Sid", "")).startswith("CrossAccount")}
    words = {
        "Group": "group's",
        "Versions": "versions'",
        "Pull": "repository's",
        "Read": "bucket's",
        "Decrypt": "key's",
    }
    assert granted >= {"List", *words}
    for word in granted - {"List"}:
        assert any(f"the {words[word]} statement" == row.left_out for row in ROWS), word


def create_from_prefix(aws: Any) -> None:
    """Create, and delete, a model of the files under a prefix, as the deployer."""
    sm = aws.role("staging", DEPLOYER, "sagemaker")
    source = {
        "S3Uri": f"s3://{BUCKET}/models/{GROUP}/1/",
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }
    image = f"{PRODUCER}.dkr.ecr.us-east-1.amazonaws.com/{GROUP}:1"
    sm.create_model(
        ModelName="decision-trees-staging-vprefix",
        PrimaryContainer={"Image": image, "ModelDataSource": {"S3DataSource": source}},
        ExecutionRoleArn=f"arn:aws:iam::{STAGING}:role/{EXECUTION}",
    )
    sm.delete_model(ModelName="decision-trees-staging-vprefix")


def test_uncompressed_artifacts_need_the_listing_on_both_sides(shared: Any) -> None:
    from botocore.exceptions import ClientError

    create_from_prefix(shared)
    for broken in (
        without_statement("bucket", "List"),
        without_identity(EXECUTION, "model", "ListArtifacts"),
    ):
        with broken(shared), pytest.raises(ClientError, match="Could not access model data"):
            create_from_prefix(shared)


def test_a_missing_artifact_is_told_from_a_refusal_by_the_listing(shared: Any) -> None:
    s3 = shared.admin("producer", "s3")
    key = f"models/{GROUP}/1/model.tar.gz"
    body = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    s3.delete_object(Bucket=BUCKET, Key=key)
    try:
        with pytest.raises(Failed, match="is missing") as error:
            deploy_model(str(shared.config), "staging", version=1)
        assert not isinstance(error.value, Refused)
        with without_statement("bucket", "List")(shared), pytest.raises(Refused):
            deploy_model(str(shared.config), "staging", version=1)
    finally:
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)


def test_outside_the_organization_s3_gives_no_reason_and_the_door_is_named_all_the_same(
    aws: Any, edited: Any
) -> None:
    from flows.producer import share_models

    outsider = {
        "account": "444444444444",
        "role": f"arn:aws:iam::444444444444:role/{DEPLOYER}",
        "external_id": "sandbox-outsider",
        "profile": "outsider",
        "execution_role": f"arn:aws:iam::444444444444:role/{EXECUTION}",
        "endpoint": {"name": "decision-trees-outsider", "instance_type": "ml.m5.large", "instance_count": 1},
    }
    path = edited(consumers={"outsider": outsider})
    with aws.restored():
        share_models(path)
        assert deploy_model(path, "outsider").proof.verified
        with without_statement("bucket", "Read")(aws), pytest.raises(Refused) as error:
            deploy_model(path, "outsider")
    refusal = error.value.refusal
    assert (refusal.door, refusal.account, refusal.aws_message) == (Door.BUCKET, PRODUCER, "Access Denied")
    assert refusal.action == "s3:GetObject"
    assert refusal.resource.endswith(f"/releases/{GROUP}/2.json")
    assert any("they allow it" in cause for cause in refusal.ruled_out)
