"""The denial matrix: leave out any one thing that the way to a deployment needs, and the right door is named.

Each row breaks one thing with an ordinary call of an account's administrator, runs a flow, and looks at the refusal: the
step that met it, its door, the account that owns it, the action that was refused, and what to do next. Nothing may be
left behind. ``ROWS`` are about deploying to staging, ``PRODUCER_ROWS`` about sharing.
"""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from crossaccount.config.loading import load_config
from crossaccount.doors.repository import PULL_ACTIONS
from crossaccount.errors import DoorName, Failed, Refused
from crossaccount.policy import documents
from crossaccount.sharing import gather
from flows.consumer import deploy_model
from flows.producer import revoke_access, share_models

PRODUCER, STAGING = "111111111111", "222222222222"
BUCKET, GROUP = "producer-models-111111111111", "decision-trees-sample"
DEPLOYER, EXECUTION, SHARER = "crossaccount-deployer", "crossaccount-execution", "crossaccount-producer"
WORDS = ("Group", "Versions", "Pull", "Read", "List", "Decrypt")  # of the Sids of our statements
TEMPLATES = Path(__file__).parents[2] / "deployments" / "iam"

Break = Callable[[Any], AbstractContextManager[None]]


def account_of(role: str) -> str:
    return "producer" if role == SHARER else "staging"


def word_of(statement: dict[str, Any]) -> str:
    """The word of one of our Sids: CrossAccountReadxxxxxxxxyyyyyyyy is Read."""
    return str(statement.get("Sid", "")).removeprefix("CrossAccount")[:-16]


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
                if word_of(statement) in WORDS and word in (None, word_of(statement)):
                    new = change(statement)
                    hit += new != statement
                    kept += [new] if new else []
                else:
                    kept.append(statement)
            assert hit, f"{kind} has no such thing to take out"
            aws.put(kind, {**document, "Statement": kept} if kept else None)
            yield

    return broken


def without(part: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A change of a statement: the resources that have ``part`` in them are taken out."""
    return lambda statement: {
        **statement,
        "Resource": [one for one in statement["Resource"] if part not in one],
    }


def without_identity(role: str, policy: str, sid: str, action: str | None = None) -> Break:
    """A statement (or one of its actions) taken out of an identity policy of a role."""

    @contextmanager
    def broken(aws: Any) -> Iterator[None]:
        iam = aws.admin(account_of(role), "iam")
        before = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        document = json.loads(json.dumps(before))
        (statement,) = [one for one in document["Statement"] if one["Sid"] == sid]
        if action in (None, statement["Action"]):
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
    """Another trust policy for a role."""

    @contextmanager
    def broken(aws: Any) -> Iterator[None]:
        iam = aws.admin(account_of(role), "iam")
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


def no_operator(account: str, side: str) -> Break:
    """Whoever runs the flows, without the policy that lets them assume the role."""

    @contextmanager
    def broken(aws: Any) -> Iterator[None]:
        iam = aws.admin(account, "iam")
        arn = f"arn:aws:iam::{aws.id(account)}:policy/crossaccount-{side}-operator"
        iam.detach_user_policy(UserName="operator", PolicyArn=arn)
        try:
            yield
        finally:
            iam.attach_user_policy(UserName="operator", PolicyArn=arn)

    return broken


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
    """What is left out, the step that then meets the refusal, and what the refusal must say."""

    left_out: str
    break_: Break
    step: str
    door: DoorName
    account: str
    action: str
    next_step: str


def registry(left_out: str, break_: Break, step: str, action: str) -> Row:
    return Row(left_out, break_, step, DoorName.REGISTRY, PRODUCER, action, "crossaccount share")


def repository(left_out: str, break_: Break) -> Row:
    return Row(
        left_out,
        break_,
        "create_model",
        DoorName.REPOSITORY,
        PRODUCER,
        "ecr:BatchGetImage",
        "crossaccount share",
    )


def bucket(left_out: str, break_: Break, step: str) -> Row:
    return Row(left_out, break_, step, DoorName.BUCKET, PRODUCER, "s3:GetObject", "crossaccount share")


def key(left_out: str, break_: Break) -> Row:
    return Row(
        left_out, break_, "check_deployment", DoorName.KEY, PRODUCER, "kms:Decrypt", "crossaccount share"
    )


def identity(role: str, policy: str, sid: str, step: str, action: str, alone: bool = False) -> Row:
    """A role without a statement of its policies, or without one action of it; ``action`` is what is refused."""
    who = {DEPLOYER: "the deployer's", SHARER: "the producer's"}[role]
    name = f"{who} {sid} in {policy}" + (f": {action} alone" if alone else "")
    broken = without_identity(role, policy, sid, action if alone else None)
    owner = PRODUCER if role == SHARER else STAGING
    return Row(name, broken, step, DoorName.CALLER_POLICY, owner, action, action)


def deployer(policy: str, sid: str, step: str, action: str, alone: bool = False) -> Row:
    return identity(DEPLOYER, policy, sid, step, action, alone)


def sharer(policy: str, sid: str, step: str, action: str, alone: bool = False) -> Row:
    return identity(SHARER, policy, sid, step, action, alone)


def execution(policy: str, sid: str, lacks: str, action: str, alone: bool = False) -> Row:
    """The execution role without a statement, or one action of it; ``lacks`` is what the next step must name."""
    name = f"the execution role's {sid} in {policy}" + (f": {lacks} alone" if alone else "")
    broken = without_identity(EXECUTION, policy, sid, lacks if alone else None)
    return Row(name, broken, "create_model", DoorName.EXECUTION_ROLE, STAGING, action, lacks)


def entrance(role: str, side: str, step: str) -> list[Row]:
    """What it takes to assume a role from its own account: the operator's policy, the role's trust, its external id."""
    account = account_of(role)
    own, other = (PRODUCER, STAGING) if role == SHARER else (STAGING, PRODUCER)
    another_id = {"StringEquals": {"sts:ExternalId": "another"}}
    assume = "sts:AssumeRole"
    return [
        Row(
            f"the {side}'s operator policy",
            no_operator(account, side),
            step,
            DoorName.CALLER_POLICY,
            own,
            assume,
            assume,
        ),
        Row(
            f"the trust of the {side}'s role in its account",
            trusting(role, {"AWS": other}),
            step,
            DoorName.ROLE_TRUST,
            own,
            assume,
            "trust policy",
        ),
        Row(
            f"the trust of the {side}'s role in this external id",
            trusting(role, {"AWS": own}, another_id),
            step,
            DoorName.ROLE_TRUST,
            own,
            assume,
            "external id",
        ),
    ]


READ = "s3:GetObject, s3:ListBucket or kms:Decrypt"
PULL = "ecr:BatchGetImage"
ROWS = [
    registry(
        "the group's statement",
        without_statement("group", "Group"),
        "find_version",
        "sagemaker:DescribeModelPackageGroup",
    ),
    registry(
        "the versions' statement",
        without_statement("group", "Versions"),
        "find_version",
        "sagemaker:DescribeModelPackage",
    ),
    *(
        registry(f"{action} on the group's policy", without_granted("group", action), step, action)
        for step, action in (
            ("find_version", "sagemaker:DescribeModelPackageGroup"),
            ("find_version", "sagemaker:ListModelPackages"),
            ("find_version", "sagemaker:DescribeModelPackage"),
            ("create_model", "sagemaker:CreateModel"),
        )
    ),
    repository("the repository's statement", without_statement("repository", "Pull")),
    *(
        repository(f"{action} on the repository", without_granted("repository", action))
        for action in PULL_ACTIONS
    ),
    bucket("the bucket's statement", without_statement("bucket", "Read"), "read_release"),
    bucket(
        "the artifacts in the bucket's statement",
        changed_statement("bucket", "Read", without("/models/")),
        "check_deployment",
    ),
    bucket(
        "the Releases in the bucket's statement",
        changed_statement("bucket", "Read", without("/releases/")),
        "read_release",
    ),
    key("the key's statement", without_statement("key", "Decrypt")),
    key("kms:Decrypt on the key", without_granted("key", "kms:Decrypt")),
    *entrance(DEPLOYER, "consumer", "assume_deployer"),
    deployer("shared-package", "ReadGroup", "find_version", "sagemaker:DescribeModelPackageGroup"),
    deployer("shared-package", "ReadGroup", "find_version", "sagemaker:ListModelPackages", alone=True),
    deployer("shared-package", "DescribeVersions", "find_version", "sagemaker:DescribeModelPackage"),
    deployer("shared-package", "DeployVersions", "create_model", "sagemaker:CreateModel"),
    deployer("shared-package", "ReadReleases", "read_release", "s3:GetObject"),
    deployer("shared-package", "CheckArtifacts", "check_deployment", "s3:GetObject"),
    deployer("key", "CheckArtifacts", "check_deployment", "kms:Decrypt"),
    deployer("hosting", "Models", "create_model", "sagemaker:CreateModel"),
    deployer("hosting", "Models", "create_model", "sagemaker:CreateModel", alone=True),
    deployer("hosting", "EndpointConfigs", "create_endpoint_config", "sagemaker:CreateEndpointConfig"),
    deployer(
        "hosting", "EndpointConfigs", "create_endpoint_config", "sagemaker:CreateEndpointConfig", alone=True
    ),
    deployer("hosting", "CreateEndpoints", "create_endpoint", "sagemaker:CreateEndpoint"),
    deployer("hosting", "Endpoints", "check_deployment", "sagemaker:DescribeEndpoint"),
    deployer("hosting", "Endpoints", "ask_endpoint", "sagemaker:InvokeEndpoint", alone=True),
    deployer("hosting", "Tags", "create_model", "sagemaker:AddTags"),
    deployer("hosting", "PassExecutionRole", "create_model", "iam:PassRole"),
    Row(
        "PassRole to SageMaker",
        passing_to_another_service,
        "create_model",
        DoorName.CALLER_POLICY,
        STAGING,
        "iam:PassRole",
        "iam:PassRole",
    ),
    Row(
        "the execution role's trust in SageMaker",
        trusting(EXECUTION, {"Service": "lambda.amazonaws.com"}),
        "create_model",
        DoorName.EXECUTION_ROLE,
        STAGING,
        "sts:AssumeRole by sagemaker.amazonaws.com",
        "trust policy",
    ),
    execution("model", "ReadArtifacts", "s3:GetObject", READ),
    execution("key", "DecryptArtifacts", "kms:Decrypt", READ),
    execution("model", "PullImage", "ecr:BatchGetImage", PULL),
    *(execution("model", "PullImage", action, PULL, alone=True) for action in PULL_ACTIONS),
    execution("model", "LogInToRegistry", "ecr:GetAuthorizationToken", PULL),
]


def step_of(error: pytest.ExceptionInfo[BaseException]) -> str:
    """The task that an error comes from; for what a plan says of all that was read, ``plan``."""
    frames = traceback.extract_tb(error.tb)
    steps = [frame for frame in frames if Path(frame.filename).parent.name == "tasks"]
    return next((frame.name for frame in steps if Path(frame.filename).name != "steps.py"), "plan")


def check(row: Row, error: pytest.ExceptionInfo[Refused]) -> None:
    refusal = error.value.refusal
    found = (step_of(error), refusal.door, refusal.account, refusal.action)
    assert found == (row.step, row.door, row.account, row.action), str(error.value)
    assert row.next_step in refusal.next_step, refusal.next_step
    assert all(said in str(error.value) for said in (row.account, refusal.caller, refusal.next_step))


@pytest.mark.parametrize("row", ROWS, ids=[row.left_out for row in ROWS])
def test_without_one_thing_the_right_door_is_named(shared: Any, row: Row) -> None:
    with row.break_(shared), pytest.raises(Refused) as error:
        deploy_model(str(shared.config), "staging")
    check(row, error)
    assert not any(shared.hosted("staging").values())


def test_with_everything_it_is_deployed_and_removed(shared: Any) -> None:
    deployment = deploy_model(str(shared.config), "staging")
    assert deployment.proof.verified
    assert [removal.outcome for removal in deployment.removals] == ["removed"] * 3


# The producer's half: what is refused there is refused by its own policies, before or while the policies are written.

PRODUCER_ROWS = [
    *entrance(SHARER, "producer", "read_registry"),
    sharer("registry", "ReadVersions", "read_registry", "sagemaker:ListModelPackages"),
    sharer("registry", "ReadVersions", "read_registry", "sagemaker:DescribeModelPackage", alone=True),
    sharer("registry", "ShareGroup", "plan", "sagemaker:GetModelPackageGroupPolicy"),
    sharer("registry", "ShareGroup", "apply_plan", "sagemaker:PutModelPackageGroupPolicy", alone=True),
    sharer("repository", "ShareRepository", "plan", "ecr:GetRepositoryPolicy"),
    sharer("repository", "ShareRepository", "apply_plan", "ecr:SetRepositoryPolicy", alone=True),
    sharer("repository", "ResolveImages", "plan", "ecr:BatchGetImage"),
    sharer("bucket", "ShareBuckets", "plan", "s3:GetBucketPolicy", alone=True),
    sharer("bucket", "ShareBuckets", "apply_plan", "s3:PutBucketPolicy", alone=True),
    sharer("bucket", "ShareBuckets", "plan", "s3:ListBucket"),
    sharer("bucket", "ShareBuckets", "plan", "s3:GetBucketOwnershipControls", alone=True),
    sharer("bucket", "ReadArtifacts", "plan", "s3:GetObject"),
    sharer("bucket", "PublishReleases", "publish_releases", "s3:PutObject"),
    sharer("key", "ShareKey", "plan", "kms:GetKeyPolicy", alone=True),
    sharer("key", "ShareKey", "apply_plan", "kms:PutKeyPolicy", alone=True),
]


@pytest.fixture
def unshared(aws: Any) -> Iterator[Any]:
    """The sandbox before any share, whatever this module has shared; that is put back afterwards."""
    s3, standing = aws.admin("producer", "s3"), aws.documents()
    releases = {key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in aws.releases()}
    for kind, document in standing.items():
        theirs = [one for one in documents.statements(document) if word_of(one) not in WORDS]
        aws.put(kind, {**document, "Statement": theirs} if theirs else None)
    for key in releases:
        s3.delete_object(Bucket=BUCKET, Key=key)
    with aws.restored():
        yield aws
    for kind, document in standing.items():
        aws.put(kind, document)
    for key, body in releases.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)


@pytest.mark.parametrize(
    "row",
    PRODUCER_ROWS,
    ids=[row.left_out for row in PRODUCER_ROWS],
)
def test_without_one_thing_the_producer_is_told_which(unshared: Any, row: Row) -> None:
    before = unshared.documents()
    with row.break_(unshared), pytest.raises(Refused) as error:
        share_models(str(unshared.config))
    check(row, error)
    if row.step in ("read_registry", "plan"):
        assert unshared.documents() == before
        assert not unshared.releases()


def test_a_share_that_was_refused_half_way_leaves_nothing_and_is_made_by_the_next_one(unshared: Any) -> None:
    before = unshared.documents()
    for policy, sid in (("key", "ShareKey"), ("bucket", "PublishReleases")):
        action = {"key": "kms:PutKeyPolicy", "bucket": "s3:PutObject"}[policy]
        with without_identity(SHARER, policy, sid, action)(unshared), pytest.raises(Refused) as error:
            share_models(str(unshared.config))
        assert not unshared.releases()
        assert unshared.documents() == before
        assert any("taken back" in note for note in error.value.__notes__)
    finished = share_models(str(unshared.config))
    assert finished.plan.writes == 4
    assert len(finished.releases) == len(unshared.releases()) == 2


def test_a_release_that_stands_keeps_the_policies_that_it_relies_on(unshared: Any, edited: Any) -> None:
    """The first of two is published, the second is refused: the policies stand, and the error says which Releases do."""
    path = edited(producer__role=None, producer__external_id=None, producer__profile=None)
    second = f"arn:aws:s3:::{BUCKET}/releases/{GROUP}/2.json"
    deny = {"Sid": "Later", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": second}
    deny["Condition"] = {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}  # type: ignore[assignment]
    key = unshared.ready["accounts"]["producer"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", key["access_key_id"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", key["secret_access_key"])
        unshared.put("bucket", {"Version": "2012-10-17", "Statement": [deny]})
        with pytest.raises(Refused) as error:
            share_models(path)
    assert unshared.releases() == {f"releases/{GROUP}/1.json"}
    said = " ".join(error.value.__notes__)
    assert "The Release of version 1 is published" in said
    assert "that of version 2 is not" in said
    assert all("CrossAccount" in json.dumps(document) for document in unshared.documents().values())


DELETIONS = {  # in the order that a revoke makes them
    "repository": ("ShareRepository", "ecr:DeleteRepositoryPolicy"),
    "bucket": ("ShareBuckets", "s3:DeleteBucketPolicy"),
    "registry": ("ShareGroup", "sagemaker:DeleteModelPackageGroupPolicy"),
}


def test_without_one_deletion_a_revoke_is_told_which_and_a_later_one_finishes(
    unshared: Any, edited: Any
) -> None:
    path = edited(consumers__production=None)
    before = unshared.documents()
    share_models(path)
    for policy, (sid, action) in DELETIONS.items():
        row = sharer(policy, sid, "apply_plan", action, alone=True)
        with row.break_(unshared), pytest.raises(Refused) as error:
            revoke_access(path, "staging")
        check(row, error)
    revoke_access(path, "staging")
    assert unshared.documents() == before


# The matrix is complete: a statement or an action that is added to a template needs a row here, or a reason.

NO_PART_OF_A_SUCCESS = {
    "AskWhatOwnRolesMay",  # asked after a refusal only
    "ListArtifacts",  # for uncompressed artifacts, and to tell a missing one from a refusal: see below
    "WriteLogs",  # CloudWatch is not modelled
    "PutMetrics",
    "SeeWhatIsDeployed",  # asked by a revoke: tests/sharing/test_revoke.py
    # What may not be asked of quotas is no yes and no no: tests/hosting/test_quotas.py takes each out.
    "SeeQuotas",
    "SeeWhatRuns",
    # Of an endpoint that stays: tests/hosting/test_shift.py takes each out.
    "MoveEndpoint",
    "FindAlarms",
    "WatchAlarms",
    "WithdrawProof",
    "ReadQuestions",
    "LetSageMakerEncrypt",
    # The sandbox has no network: a simulation of the role's policy is what there is.
    "JoinVpc",
    # Of a shadow variant: tests/kinds/test_shadow.py takes each out.
    "WriteCaptured",
    "ReadShadowAnswers",
    "ListShadowAnswers",
    # Of an image of AWS's own: tests/kinds/test_serverless.py.
    "PullAwsImages",
    # Of an asynchronous endpoint: tests/kinds/test_asynchronous.py takes each out.
    "QueueQuestions",
    "ReadOwnAnswers",
    "ReadFailures",
    "ReadQueuedQuestions",
    "WriteAnswers",
    "WriteFailures",
    "EncryptAnswers",
    "DecryptAnswers",
    "TellOfAnswers",
    # Of inference components: tests/kinds/test_inference_components.py takes each right out.
    "CreateComponents",
    "MoveComponent",
    "Components",
    "AskComponents",
    "SeeComponents",
    "WithdrawProofOfModel",
}
ACTIONS_ELSEWHERE = {
    # Asked where AWS says that there is one already: tests/hosting/test_shift.py::test_each_action_is_needed
    "sagemaker:DescribeEndpointConfig",
    "sagemaker:DescribeModel",
    # tests/kinds/test_asynchronous.py, test_inference_components.py and test_streaming.py; tests/flows/test_discoverable.py
    "kms:GenerateDataKey",
    "sagemaker:CreateInferenceComponent",
    "sagemaker:DeleteInferenceComponent",
    "sagemaker:DescribeInferenceComponent",
    "sagemaker:InvokeEndpointAsync",
    "sagemaker:InvokeEndpointWithResponseStream",
    "sagemaker:ListInferenceComponents",
    "sagemaker:ListModelPackageGroups",
    "sagemaker:UpdateInferenceComponent",
    "sns:Publish",
    "servicequotas:ListAWSDefaultServiceQuotas",
    "servicequotas:ListServiceQuotas",
    "ecr:GetAuthorizationToken",  # refused as ecr:BatchGetImage: the row of LogInToRegistry
    "iam:GetRole",
    "sagemaker:ListEndpoints",
    "sagemaker:ListEndpointConfigs",  # tests/hosting/test_shift.py, as those below
    "sagemaker:ListModels",
    "sagemaker:UpdateEndpoint",
    "sagemaker:DeleteTags",
    "cloudwatch:DescribeAlarms",
    "kms:CreateGrant",
    "s3:PutObject",
    "ec2:CreateNetworkInterface",
    "ec2:CreateNetworkInterfacePermission",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteNetworkInterfacePermission",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "iam:SimulatePrincipalPolicy",
    "sagemaker:DeleteModel",  # test_consumer: what cannot be taken down is said
    "sagemaker:DeleteEndpointConfig",
    "sagemaker:DeleteEndpoint",
    "sagemaker:ListTags",  # test_consumer: a later run asks whose the leftovers are
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:DescribeLogStreams",
    "logs:PutLogEvents",
    "cloudwatch:PutMetricData",
}


def test_the_matrix_has_every_statement_and_action_of_the_consumer_s_template() -> None:
    text = (TEMPLATES / "consumer.yaml").read_text()
    rows = " ".join(f"{row.left_out} {row.action}" for row in ROWS)
    assert missing(r"Sid: (\w+)", text, rows) == NO_PART_OF_A_SUCCESS | {
        "AssumeDeployer"
    }  # the operator policy
    assert missing(ACTION, text, rows) == ACTIONS_ELSEWHERE


def test_the_matrix_has_every_statement_and_action_of_the_producer_s_template() -> None:
    text = (TEMPLATES / "producer.yaml").read_text()
    rows = " ".join(f"{row.left_out} {row.action}" for row in PRODUCER_ROWS)
    rows += " ".join(action for _, action in DELETIONS.values())
    assert missing(r"Sid: (\w+)", text, rows) == {
        "AssumeSharingRole",
        "ReadRegistryPolicy",
        "SeeAccountPublicAccessBlock",
        "SeeWhatKeysAre",
        "ShareReleasesKey",
        # tests/flows/test_lifecycle.py and test_discoverable.py take each out.
        "TellStages",
        "FindShares",
        "PromoteShares",
        "PromotePermissions",
    }
    # Asked only where a bucket has a public statement, or owners of objects of its own: tests/sharing/test_findings.py. Without
    # the registry's policy a share comes about: tests/sharing/test_beside.py. Whether an artifact can be decrypted is asked when it
    # is read: samples and Releases are, the artifacts of a share are not. A key that may not be looked at is a finding:
    # tests/sharing/test_findings.py. Keys of Releases: tests/sharing/test_encryption.py.
    assert missing(ACTION, text, rows) == {
        "ecr:GetRegistryPolicy",
        "ram:GetResourceShareAssociations",
        "ram:GetResourceShares",
        "ram:ListResourceSharePermissions",
        "ram:PromotePermissionCreatedFromPolicy",
        "ram:PromoteResourceShareCreatedFromPolicy",
        "sagemaker:UpdateModelPackage",
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:GenerateDataKey",
        "s3:GetAccountPublicAccessBlock",
        "s3:GetBucketAcl",
        "s3:GetBucketPublicAccessBlock",
        "s3:GetEncryptionConfiguration",
    }


ACTION = r"(?:- |Action: )([a-z0-9-]+:[A-Z]\w+)\n"


def missing(pattern: str, template: str, rows: str) -> set[str]:
    found = set(re.findall(pattern, template))
    assert found
    return {one for one in found if not re.search(rf"{one}\b", rows)}


# Every statement that share grants is needed.


def test_every_granted_statement_has_something_that_fails_without_it(shared: Any) -> None:
    plan = gather.make_plan(load_config(shared.config))
    ours = [one for change in plan.changes for one in documents.statements(change.desired)]
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
        for broken in (
            without_statement("bucket", "List"),
            without_identity(DEPLOYER, "shared-package", "ListArtifacts"),
        ):
            with broken(shared), pytest.raises(Refused):
                deploy_model(str(shared.config), "staging", version=1)
    finally:
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)


def test_outside_the_organization_s3_gives_no_reason_and_the_door_is_named_all_the_same(
    aws: Any, edited: Any
) -> None:
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
    assert (refusal.door, refusal.account, refusal.aws_message) == (
        DoorName.BUCKET,
        PRODUCER,
        "Access Denied",
    )
    assert refusal.action == "s3:GetObject"
    assert refusal.resource.endswith(f"/releases/{GROUP}/2.json")
    assert any("they allow it" in cause for cause in refusal.ruled_out)
