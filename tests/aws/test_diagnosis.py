"""Whose side a refusal comes from, given what IAM answers: AWS's recorded answers in both forms, which the sandbox gives in one.

Only IAM is put in place: everything else is the product's own.
"""

from __future__ import annotations

from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError

from crossaccount.aws import diagnosis
from crossaccount.aws.simulation import Simulator
from crossaccount.errors import Denial, DoorName, Refusal, Refused

OWNER, CONSUMER = "111111111111", "222222222222"
DEPLOYER = f"arn:aws:iam::{CONSUMER}:role/crossaccount-deployer"
EXECUTION = f"arn:aws:iam::{CONSUMER}:role/crossaccount-execution"
OBJECT, KEY = "arn:aws:s3:::models/churn/1/model.tar.gz", f"arn:aws:kms:us-east-1:{OWNER}:key/1234abcd"
REPOSITORY = f"arn:aws:ecr:us-east-1:{OWNER}:repository/trees"
SAGEMAKER = {
    "Effect": "Allow",
    "Principal": {"Service": "sagemaker.amazonaws.com"},
    "Action": "sts:AssumeRole",
}
OPENED = "Account 111111111111 opens it: crossaccount share CONFIG"
NO_ORGANIZATION = {"OrganizationsDecisionDetail": {"AllowedByOrganizations": False}}
NO_BOUNDARY = {"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": False}}
MISSING = {"MissingContextValues": ["aws:SourceVpce"]}
SCP = Denial("service control policy")


class Iam:
    """IAM's part of a session: the answer to every simulation, by action, and the trust of every role."""

    def __init__(self, answers: dict[str, dict[str, Any]], trust: list[dict[str, Any]]) -> None:
        self.answers, self.trust, self.asked_about = answers, trust, list[tuple[str, str]]()

    fault = ""  # the code with which condition keys are refused

    def client(self, service: str) -> Iam:
        assert service == "iam"
        return self

    def simulate_principal_policy(self, **call: Any) -> dict[str, Any]:
        (action,), (resource,) = call["ActionNames"], call["ResourceArns"]
        if self.fault and "ContextEntries" in call:
            raise ClientError({"Error": {"Code": self.fault, "Message": "no"}}, "SimulatePrincipalPolicy")
        self.asked_about.append((action, resource))
        result = self.answers.get(action, {"EvalDecision": "allowed"})
        return {"EvaluationResults": [{"EvalActionName": action, "EvalResourceName": resource, **result}]}

    def get_role(self, RoleName: str) -> dict[str, Any]:
        return {"Role": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": self.trust}}}


def simulator(
    role: str, answers: dict[str, Any], trust: list[dict[str, Any]] | None = None
) -> tuple[Simulator, Iam]:
    iam = Iam(answers, [SAGEMAKER] if trust is None else trust)
    return Simulator(cast(boto3.Session, iam), role, "us-east-1", OWNER), iam


def refused(door: DoorName, action: str, resource: str, said: str = "Access Denied") -> Refused:
    return Refused(Refusal(door, OWNER, action, resource, DEPLOYER, "AccessDenied", said, (), f"{OPENED}."))


def new(decision: str, **more: Any) -> dict[str, Any]:
    """A result in the form of 2026: a template for a name, the decisions on resources beside it."""
    single = {"EvalResourceName": OBJECT, "EvalResourceDecision": decision, **more}
    return {"EvalResourceName": "arn:${Partition}:s3:::${BucketName}/${KeyName}", "EvalDecision": decision,
            "ResourceSpecificResults": [single]}  # fmt: skip


CAUSES = [
    ("the role may", {"EvalDecision": "allowed"}, DoorName.BUCKET, OWNER, None, OPENED),
    ("the role lacks it", {"EvalDecision": "implicitDeny"}, DoorName.CALLER_POLICY, CONSUMER, None, "must allow"),
    ("a value is missing", {"EvalDecision": "implicitDeny", **MISSING}, DoorName.BUCKET, OWNER, None, "cannot tell"),
    ("new: a value is missing", new("implicitDeny", **MISSING), DoorName.BUCKET, OWNER, None, "aws:SourceVpce"),
    ("new: the role may", new("allowed"), DoorName.BUCKET, OWNER, None, OPENED),
    ("new: the role lacks it", new("implicitDeny"), DoorName.CALLER_POLICY, CONSUMER, None, "must allow"),
    ("new: a Deny", new("explicitDeny"), DoorName.CALLER_POLICY, CONSUMER, Denial("identity-based policy"), "Deny"),
    (
        "the organization", {"EvalDecision": "implicitDeny", **NO_ORGANIZATION},
        DoorName.CALLER_POLICY, CONSUMER, SCP, "management account",
    ),
    (
        "the organization, what the role allows", {**new("allowed"), **NO_ORGANIZATION},
        DoorName.CALLER_POLICY, CONSUMER, SCP, "management account",
    ),
    (
        "the boundary", {"EvalDecision": "implicitDeny", **NO_BOUNDARY},
        DoorName.CALLER_POLICY, CONSUMER, None, "permissions boundary",
    ),
    (
        "new: the boundary", new("implicitDeny", **NO_BOUNDARY),
        DoorName.CALLER_POLICY, CONSUMER, None, "permissions boundary",
    ),
    (
        "the boundary denies", {"EvalDecision": "explicitDeny", **NO_BOUNDARY},
        DoorName.CALLER_POLICY, CONSUMER, Denial("permissions boundary"), "permissions boundary",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "door", "account", "denial", "words"),
    [case[1:] for case in CAUSES],
    ids=[case[0] for case in CAUSES],
)
def test_a_refusal_without_a_reason_is_narrowed_down_to_who_forbids(
    answer: dict[str, Any], door: DoorName, account: str, denial: Denial | None, words: str
) -> None:
    asked, _ = simulator(DEPLOYER, {"s3:GetObject": answer})
    found = diagnosis.narrow(refused(DoorName.BUCKET, "s3:GetObject", OBJECT), asked).refusal
    assert (found.door, found.account, found.denied_by) == (door, account, denial)
    assert words in found.next_step
    assert account == CONSUMER or OPENED in found.next_step


def test_where_aws_gave_a_reason_an_organization_is_not_blamed_against_it() -> None:
    asked, _ = simulator(DEPLOYER, {"s3:GetObject": {"EvalDecision": "implicitDeny", **NO_ORGANIZATION}})
    said = "because no resource-based policy allows the s3:GetObject action"
    found = diagnosis.narrow(refused(DoorName.BUCKET, "s3:GetObject", OBJECT, said), asked).refusal
    assert (found.door, found.account) == (DoorName.BUCKET, OWNER)
    assert "cannot tell" in found.next_step


@pytest.mark.parametrize(
    "resource", [f"the KMS key of {OBJECT}", "the KMS key of the objects of smoke.body_s3_uri"]
)
def test_a_key_that_is_not_known_is_never_simulated(resource: str) -> None:
    asked, iam = simulator(DEPLOYER, {})
    found = diagnosis.narrow(refused(DoorName.KEY, "kms:Decrypt", resource), asked).refusal
    assert iam.asked_about == []
    assert (found.door, found.ruled_out) == (DoorName.KEY, ())
    assert "cannot tell" in found.next_step


NEEDED = {
    "s3:GetObject": OBJECT,
    "kms:Decrypt": KEY,
    "ecr:BatchGetImage": REPOSITORY,
    "ecr:GetAuthorizationToken": "*",
}
DATA, IMAGE = (
    "Could not access model data at s3://models/churn/1/model.tar.gz.",
    "The repository of your image x does not",
)
CONDITIONAL = {**SAGEMAKER, "Condition": {"StringEquals": {"aws:SourceAccount": "9"}}}


@pytest.mark.parametrize(
    ("said", "answers", "trust", "door", "account", "words"),
    [
        (
            DATA,
            {"s3:GetObject": "implicitDeny"},
            None,
            DoorName.EXECUTION_ROLE,
            CONSUMER,
            f"s3:GetObject on {OBJECT}",
        ),
        (
            DATA,
            {"kms:Decrypt": "explicitDeny"},
            None,
            DoorName.EXECUTION_ROLE,
            CONSUMER,
            "identity-based policy",
        ),
        (DATA, {"ecr:BatchGetImage": "implicitDeny"}, None, DoorName.UNKNOWN, OWNER, KEY),
        (DATA, {}, None, DoorName.UNKNOWN, OWNER, OBJECT),
        (DATA, {}, [CONDITIONAL], DoorName.UNKNOWN, OWNER, "trusts SageMaker"),
        (DATA, {}, [SAGEMAKER, {**SAGEMAKER, "Effect": "Deny"}], DoorName.UNKNOWN, OWNER, "trusts SageMaker"),
        (DATA, {}, [], DoorName.EXECUTION_ROLE, CONSUMER, "trust policy"),
        (IMAGE, {}, None, DoorName.REPOSITORY, OWNER, OPENED),
        (
            IMAGE,
            {"ecr:BatchGetImage": "implicitDeny"},
            None,
            DoorName.EXECUTION_ROLE,
            CONSUMER,
            "ecr:BatchGetImage",
        ),
        (IMAGE, {"s3:GetObject": "implicitDeny"}, None, DoorName.REPOSITORY, OWNER, OPENED),
    ],
)
def test_the_execution_role_is_blamed_for_what_the_text_is_about(
    said: str, answers: dict[str, str], trust: Any, door: DoorName, account: str, words: str
) -> None:
    role, _ = simulator(
        EXECUTION, {action: {"EvalDecision": decision} for action, decision in answers.items()}, trust
    )
    given = refused(
        DoorName.REPOSITORY if said == IMAGE else DoorName.EXECUTION_ROLE, "x", "s3://models/churn", said
    )
    found = diagnosis.narrow_execution_role(given, role, NEEDED.items(), ("one",), OWNER).refusal
    assert (found.door, found.account) == (door, account)
    assert words in found.next_step
    assert found.ruled_out[0] == "one"
    assert account in found.next_step
    conditional = trust is not None and trust != []
    assert ("lets SageMaker in" in " ".join(found.ruled_out)) == (trust is None)
    assert ("cannot tell" in found.next_step) == conditional


PULL = f"Role {EXECUTION} cannot pull {{}}. Ensure that the role exists and the image was granted pull permission."
DIGEST = "sha256:" + "a1" * 32


@pytest.mark.parametrize(
    ("registry", "reference", "account", "words", "silent"),
    [
        (
            OWNER,
            ":25.09-py3",
            OWNER,
            ("--repository-name trees --image-id imageTag=25.09-py3 ",),
            "which no share",
        ),
        (OWNER, f"@{DIGEST}", OWNER, (f"--image-id imageDigest={DIGEST} ", "is not there"), "imageTag"),
        (OWNER, f":1@{DIGEST}", OWNER, (f"--image-id imageDigest={DIGEST} ",), "imageTag"),
        (OWNER, "", OWNER, ("--image-id imageTag=latest ",), "which no share"),
        (
            "683313688378",
            ":1.2-1",
            "683313688378",
            ("which no share opens", "AWS's list"),
            "crossaccount plan",
        ),
    ],
)
def test_an_image_that_cannot_be_pulled_may_be_archived_or_none_of_the_producer_s(
    registry: str, reference: str, account: str, words: tuple[str, ...], silent: str
) -> None:
    image = f"{registry}.dkr.ecr.us-east-1.amazonaws.com/trees{reference}"
    needed = [("ecr:BatchGetImage", REPOSITORY.replace(OWNER, registry)), ("ecr:GetAuthorizationToken", "*")]
    given = refused(DoorName.EXECUTION_ROLE, "ecr:BatchGetImage", image, PULL.format(image))
    role, _ = simulator(EXECUTION, {}, None)
    found = diagnosis.narrow_execution_role(given, role, needed, (), OWNER).refusal
    assert (found.door, found.account) == (DoorName.UNKNOWN, account)
    assert silent not in found.next_step
    for word in words:
        assert word in found.next_step
    if registry == OWNER:
        assert f"account {OWNER} has restored it, with aws ecr update-image-storage-class" in found.next_step


@pytest.mark.parametrize(
    ("ruled_out", "there"), [(("a missing artifact: the deployer has just read it",), True), ((), False)]
)
def test_what_the_deployer_has_read_is_not_said_to_be_missing(
    ruled_out: tuple[str, ...], there: bool
) -> None:
    role, _ = simulator(EXECUTION, {}, None)
    given = refused(DoorName.EXECUTION_ROLE, "x", "s3://models/churn", DATA)
    found = diagnosis.narrow_execution_role(given, role, NEEDED.items(), ruled_out, OWNER).refusal
    assert ("is not there" in found.next_step) != there
