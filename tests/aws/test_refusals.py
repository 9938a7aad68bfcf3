from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from crossaccount.aws import refusals
from crossaccount.aws.refusals import Attempt, classify
from crossaccount.errors import Denial, DoorName, Failed, Refusal, Refused

OWNER, CONSUMER = "111111111111", "222222222222"
DEPLOYER = f"arn:aws:iam::{CONSUMER}:role/crossaccount-deployer"
EXECUTION = f"arn:aws:iam::{CONSUMER}:role/crossaccount-execution"
SESSION = f"arn:aws:sts::{CONSUMER}:assumed-role/crossaccount-deployer/s"
PACKAGE = f"arn:aws:sagemaker:us-east-1:{OWNER}:model-package/trees/1"
MODEL = f"arn:aws:sagemaker:us-east-1:{CONSUMER}:model/trees-v1"
REPOSITORY = f"arn:aws:ecr:us-east-1:{OWNER}:repository/trees"
OBJECT = "arn:aws:s3:::models/churn/1/model.tar.gz"
KEY = f"arn:aws:kms:us-east-1:{OWNER}:key/1234abcd"
IMAGE = f"{OWNER}.dkr.ecr.us-east-1.amazonaws.com/trees:25.09-py3"
TRUST = (
    'its trust relationship policy allows the action "sts:AssumeRole" for the service principal '
    '"sagemaker.amazonaws.com"'
)


def attempt(door: DoorName = DoorName.REGISTRY, **changed: Any) -> Attempt:
    made = Attempt(DEPLOYER, CONSUMER, OWNER, door, "an:Action", "a resource", "consumers.staging")
    return replace(made, **changed)


def said(code: Any, message: Any) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "AnyOperation")


def denied(action: str, resource: str | None, why: str = "", quoted: bool = False) -> str:
    on = "" if resource is None else f" on resource: {chr(34) * quoted}{resource}{chr(34) * quoted}"
    return f"User: {SESSION} is not authorized to perform: {action}{on} {why}".rstrip()


def no(kind: str, action: str) -> str:
    return f"because no {kind} policy allows the {action} action"


def refused(error: ClientError, given: Attempt) -> Refusal:
    found = classify(error, given)
    assert isinstance(found, Refused), found
    return found.refusal


# AWS's own texts: which door, whose, what was asked, of what.
DENIALS = [
    pytest.param(
        "AccessDeniedException",
        denied(
            "sagemaker:DescribeModelPackage", PACKAGE, no("identity-based", "sagemaker:DescribeModelPackage")
        ),
        DoorName.REGISTRY,
        (DoorName.CALLER_POLICY, CONSUMER, "sagemaker:DescribeModelPackage", PACKAGE),
        id="SageMaker, the caller's side",
    ),
    pytest.param(
        "AccessDeniedException",
        denied(
            "sagemaker:DescribeModelPackage", PACKAGE, no("resource-based", "sagemaker:DescribeModelPackage")
        ),
        DoorName.REGISTRY,
        (DoorName.REGISTRY, OWNER, "sagemaker:DescribeModelPackage", PACKAGE),
        id="SageMaker, the registry's side",
    ),
    pytest.param(
        "AccessDeniedException",
        denied("sagemaker:CreateModel", PACKAGE, no("resource-based", "sagemaker:CreateModel")),
        DoorName.REGISTRY,
        (DoorName.REGISTRY, OWNER, "sagemaker:CreateModel", PACKAGE),
        id="CreateModel on the package",
    ),
    pytest.param(
        "AccessDeniedException",
        denied("sagemaker:CreateModel", MODEL, no("identity-based", "sagemaker:CreateModel")),
        DoorName.REGISTRY,
        (DoorName.CALLER_POLICY, CONSUMER, "sagemaker:CreateModel", MODEL),
        id="CreateModel on the consumer's own model",
    ),
    pytest.param(
        "AccessDeniedException",
        denied("iam:PassRole", EXECUTION, no("identity-based", "iam:PassRole")),
        DoorName.REGISTRY,
        (DoorName.CALLER_POLICY, CONSUMER, "iam:PassRole", EXECUTION),
        id="PassRole",
    ),
    pytest.param(
        "AccessDeniedException",
        denied("sagemaker:CreateEndpointConfig", MODEL, "with an explicit deny in a service control policy"),
        DoorName.REGISTRY,
        (DoorName.CALLER_POLICY, CONSUMER, "sagemaker:CreateEndpointConfig", MODEL),
        id="a service control policy denies",
    ),
    pytest.param(
        "AccessDeniedException",
        denied("ecr:BatchGetImage", REPOSITORY, no("resource-based", "ecr:BatchGetImage")),
        DoorName.REPOSITORY,
        (DoorName.REPOSITORY, OWNER, "ecr:BatchGetImage", REPOSITORY),
        id="ECR, the repository's side",
    ),
    pytest.param(
        "AccessDeniedException",
        denied("ecr:GetAuthorizationToken", "*", no("identity-based", "ecr:GetAuthorizationToken")),
        DoorName.REPOSITORY,
        (DoorName.CALLER_POLICY, CONSUMER, "ecr:GetAuthorizationToken", "*"),
        id="ECR, a resource of a star",
    ),
    pytest.param(
        "AccessDenied",
        denied("s3:GetObject", OBJECT, no("resource-based", "s3:GetObject"), quoted=True),
        DoorName.BUCKET,
        (DoorName.BUCKET, OWNER, "s3:GetObject", OBJECT),
        id="S3, the bucket's side, quoted",
    ),
    pytest.param(
        "AccessDenied",
        denied("s3:ListBucket", "arn:aws:s3:::models", no("identity-based", "s3:ListBucket"), quoted=True),
        DoorName.BUCKET,
        (DoorName.CALLER_POLICY, CONSUMER, "s3:ListBucket", "arn:aws:s3:::models"),
        id="S3, the caller's side",
    ),
    pytest.param(
        "AccessDenied",
        denied("s3:GetObject", OBJECT, "with an explicit deny in a resource-based policy", quoted=True),
        DoorName.BUCKET,
        (DoorName.BUCKET, OWNER, "s3:GetObject", OBJECT),
        id="S3, the bucket denies",
    ),
    pytest.param(
        "AccessDenied",
        denied("s3:GetObject", OBJECT, "with an explicit deny in an identity-based policy", quoted=True),
        DoorName.BUCKET,
        (DoorName.CALLER_POLICY, CONSUMER, "s3:GetObject", OBJECT),
        id="S3, the caller's own policy denies",
    ),
    pytest.param(
        "AccessDenied",
        denied("s3:GetObject", OBJECT, no("session", "s3:GetObject"), quoted=True),
        DoorName.BUCKET,
        (DoorName.CALLER_POLICY, CONSUMER, "s3:GetObject", OBJECT),
        id="S3, a session policy",
    ),
    pytest.param(
        "AccessDenied",
        denied("s3:GetObject", OBJECT, no("permissions boundary", "s3:GetObject"), quoted=True),
        DoorName.BUCKET,
        (DoorName.CALLER_POLICY, CONSUMER, "s3:GetObject", OBJECT),
        id="S3, a permissions boundary",
    ),
    pytest.param(
        "AccessDenied",
        "Access Denied",
        DoorName.BUCKET,
        (DoorName.BUCKET, OWNER, "an:Action", "a resource"),
        id="S3, terse",
    ),
    pytest.param(
        "403",
        "Forbidden",
        DoorName.BUCKET,
        (DoorName.BUCKET, OWNER, "an:Action", "a resource"),
        id="S3, HeadObject",
    ),
    pytest.param(
        "AccessDenied",
        "",
        DoorName.BUCKET,
        (DoorName.BUCKET, OWNER, "an:Action", "a resource"),
        id="no words",
    ),
    pytest.param(
        "AccessDenied",
        denied("kms:Decrypt", KEY, no("resource-based", "kms:Decrypt")),
        DoorName.BUCKET,
        (DoorName.KEY, OWNER, "kms:Decrypt", KEY),
        id="KMS behind S3",
    ),
    pytest.param(
        "AccessDenied",
        denied("kms:Decrypt", KEY.replace(OWNER, "444444444444"), no("resource-based", "kms:Decrypt")),
        DoorName.BUCKET,
        (DoorName.KEY, "444444444444", "kms:Decrypt", KEY.replace(OWNER, "444444444444")),
        id="KMS behind S3, a key of a third account",
    ),
    pytest.param(
        "AccessDenied",
        denied("kms:Decrypt", KEY, no("identity-based", "kms:Decrypt")),
        DoorName.BUCKET,
        (DoorName.CALLER_POLICY, CONSUMER, "kms:Decrypt", KEY),
        id="KMS behind S3, the caller's side",
    ),
    pytest.param(
        "AccessDeniedException",
        denied("kms:Decrypt", None, no("resource-based", "kms:Decrypt")),
        DoorName.BUCKET,
        (DoorName.KEY, OWNER, "kms:Decrypt", "the KMS key of a resource"),
        id="KMS without the key's name",
    ),
    pytest.param(
        "AccessDenied",
        denied("sts:AssumeRole", DEPLOYER),
        DoorName.ROLE_TRUST,
        (DoorName.ROLE_TRUST, CONSUMER, "sts:AssumeRole", DEPLOYER),
        id="STS, which does not say why",
    ),
    pytest.param(
        "AccessDenied",
        denied("sts:AssumeRole", None, "because no role trust policy allows the sts:AssumeRole action"),
        DoorName.REGISTRY,
        (DoorName.ROLE_TRUST, OWNER, "sts:AssumeRole", "a resource"),
        id="STS, the trust policy",
    ),
    pytest.param(
        "AccessDenied",
        denied("sts:AssumeRole", DEPLOYER, no("identity-based", "sts:AssumeRole")),
        DoorName.ROLE_TRUST,
        (DoorName.CALLER_POLICY, CONSUMER, "sts:AssumeRole", DEPLOYER),
        id="STS, the caller's side",
    ),
    pytest.param(
        "UnauthorizedOperation",
        "You are not authorized to perform this operation.",
        DoorName.REGISTRY,
        (DoorName.REGISTRY, OWNER, "an:Action", "a resource"),
        id="EC2's way",
    ),
]


@pytest.mark.parametrize(("code", "message", "door", "expected"), DENIALS)
def test_a_denial_names_the_door_that_is_shut(
    code: str, message: str, door: DoorName, expected: tuple[DoorName, str, str, str]
) -> None:
    found = refused(
        said(code, message), attempt(door, owner=CONSUMER if door is DoorName.ROLE_TRUST else OWNER)
    )
    assert (found.door, found.account, found.action, found.resource) == expected
    assert (found.caller, found.aws_code, found.aws_message) == (DEPLOYER, code, message)
    assert found.next_step.endswith(".")
    assert found.account in found.next_step or found.door is DoorName.ROLE_TRUST


# CreateModel: SageMaker looks with the execution role's eyes, and says so in a ValidationException.
CHECKS = [
    pytest.param(
        "Could not access model data at s3://models/output/model/. Please ensure that the role "
        f'"{EXECUTION}" exists and that {TRUST}. Also ensure that the role has "s3:GetObject" permissions '
        "and that the object is located in eu-west-1. If your Model uses multiple models or uncompressed "
        "models, please ensure that "
        'the role has "s3:ListBucket" permission.',
        (
            DoorName.EXECUTION_ROLE,
            CONSUMER,
            "s3:GetObject, s3:ListBucket or kms:Decrypt",
            "s3://models/output/model/",
        ),
        id="model data, a prefix",
    ),
    pytest.param(
        "Could not access model data at s3://models/1/model.tar.gz. Please ensure that the role "
        f'"{EXECUTION}" exists',
        (
            DoorName.EXECUTION_ROLE,
            CONSUMER,
            "s3:GetObject, s3:ListBucket or kms:Decrypt",
            "s3://models/1/model.tar.gz",
        ),
        id="model data, an object",
    ),
    pytest.param(
        f'The execution role ARN "{EXECUTION}" is invalid. Please ensure that the role exists and that '
        f"{TRUST}.",
        (DoorName.EXECUTION_ROLE, CONSUMER, "sts:AssumeRole by sagemaker.amazonaws.com", EXECUTION),
        id="the execution role's trust",
    ),
    pytest.param(
        f"The repository of your image {IMAGE} does not grant ecr:GetDownloadUrlForLayer, ecr:BatchGetImage, "
        "ecr:BatchCheckLayerAvailability permission to sagemaker.amazonaws.com service principal.",
        (DoorName.REPOSITORY, OWNER, "ecr:BatchGetImage", IMAGE),
        id="the repository",
    ),
    pytest.param(
        "The repository of your image "
        "007439368137.dkr.ecr.eu-west-2.amazonaws.com/sagemaker-tritonserver:25.09 "
        "does not grant ecr:BatchGetImage permission to sagemaker.amazonaws.com service principal.",
        (
            DoorName.REPOSITORY,
            "007439368137",
            "ecr:BatchGetImage",
            "007439368137.dkr.ecr.eu-west-2.amazonaws.com/sagemaker-tritonserver:25.09",
        ),
        id="a repository of a third account",
    ),
    pytest.param(
        f"Role {EXECUTION} cannot pull {IMAGE}. Ensure that the role exists and the image was granted pull "
        "permission.",
        (DoorName.EXECUTION_ROLE, CONSUMER, "ecr:BatchGetImage", IMAGE),
        id="pulling",
    ),
    pytest.param(
        "Cross-account pass role is not allowed.",
        (DoorName.EXECUTION_ROLE, CONSUMER, "an:Action", "a resource"),
        id="a role of another account",
    ),
]


@pytest.mark.parametrize(("message", "expected"), CHECKS)
def test_what_sagemaker_checks_names_the_door(message: str, expected: tuple[DoorName, str, str, str]) -> None:
    found = refused(said("ValidationException", message), attempt(caller=EXECUTION, ruled_out=("one",)))
    assert (found.door, found.account, found.action, found.resource) == expected
    assert (found.caller, found.ruled_out) == (EXECUTION, ("one",))
    if found.door is DoorName.EXECUTION_ROLE:
        assert "consumers.staging.execution_role" in found.next_step
        assert "deployments/iam/consumer.yaml" in found.next_step


@pytest.mark.parametrize(("message", "expected"), CHECKS)
def test_the_same_words_with_another_code_are_no_refusal(message: str, expected: Any) -> None:
    assert type(classify(said("ThrottlingException", message), attempt())) is Failed


@pytest.mark.parametrize(
    ("code", "message", "word"),
    [
        ("ExpiredToken", "The security token included in the request is expired", "Sign in again"),
        ("ExpiredTokenException", "The security token included in the request is expired", "Sign in again"),
        ("RequestExpired", "Request has expired.", "Sign in again"),
        ("InvalidClientTokenId", "The security token included in the request is invalid.", "does not know"),
        (
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
            "does not know",
        ),
        (
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
            "consumers.staging",
        ),
        ("SignatureDoesNotMatch", "The request signature we calculated does not match", "consumers.staging"),
        ("ThrottlingException", "Rate exceeded", "failed"),
        ("ValidationException", 'Could not find endpoint "arn:aws:sagemaker:...".', "failed"),
        ("ValidationException", "Could not find model data at s3://models/1/model.tar.gz.", "failed"),
        ("ValidationException", f"ModelPackage {PACKAGE} does not exist.", "failed"),
        ("ValidationException", "ARN should be scoped to correct region: us-west-2", "failed"),
        ("ValidationException", 'Cannot create already existing model "arn:aws:sagemaker:..."', "failed"),
        ("ValidationException", "", "failed"),
        ("ValidationException", "It could not access model data at s3://b/k.", "failed"),
        ("ResourceLimitExceeded", "The account-level service limit is 0 Instances", "failed"),
        ("NoSuchBucket", "The specified bucket does not exist", "failed"),
        ("NoSuchKey", "The specified key does not exist.", "failed"),
        ("404", "Not Found", "failed"),
        ("MethodNotAllowed", "The specified method is not allowed against this resource.", "failed"),
        ("MalformedPolicy", "Invalid principal in policy", "failed"),
        ("OperationAborted", "A conflicting conditional operation is currently in progress", "failed"),
        ("PackedPolicyTooLargeException", "too large", "failed"),
        ("RegionDisabledException", "STS is not activated in this region", "failed"),
        ("InternalFailure", "", "failed"),
        ("accessdenied", "Access Denied", "failed"),
        ("", "", "failed"),
        ("Unheard", "is not authorized to perform: s3:GetObject on resource: x", "failed"),
        ("Unheard", "\n\x00\u00e4\U0001f600" * 100, "failed"),
    ],
)
def test_what_is_no_refusal_is_a_failure_that_carries_aws_s_words(code: str, message: str, word: str) -> None:
    found = classify(said(code, message), attempt())
    assert type(found) is Failed
    assert word in str(found)
    assert f"{code}: {message}" in str(found)
    assert DEPLOYER in str(found)


@pytest.mark.parametrize(
    "response",
    [{}, {"Error": {}}, {"Error": {"Code": "AccessDenied"}}, {"Error": {"Message": "no code"}}],
)
def test_an_error_without_its_parts_is_still_told(response: Any) -> None:
    found = classify(ClientError(response, "AnyOperation"), attempt())
    assert isinstance(found, Failed | Refused)
    assert str(found)


@pytest.mark.parametrize(
    "message",
    [
        "Could not access model data",
        "Could not access model data at ",
        "The execution role ARN",
        "The execution role ARN is invalid",
        "Role  cannot pull",
        "Role x cannot pull",
        "is not authorized to perform:",
        "is not authorized to perform: on resource:",
        'not authorized to perform: s3:GetObject on resource: ""',
        "because no policy allows",
        "because no  policy allows",
        "with an explicit deny in a",
        "not authorized to perform: kms:Decrypt on resource: :::",
        "not authorized to perform: kms:* on resource: arn",
        "a" * 10_000,
        "because no " * 500,
        "Could not access model data at " + "s" * 5_000,
    ],
)
@pytest.mark.parametrize("code", ["AccessDenied", "ValidationException"])
def test_a_text_in_pieces_is_still_told(message: str, code: str) -> None:
    assert str(classify(said(code, message), attempt()))


@pytest.mark.parametrize("door", [DoorName.REGISTRY, DoorName.REPOSITORY, DoorName.BUCKET, DoorName.KEY])
def test_the_owner_s_doors_are_opened_by_a_share(door: DoorName) -> None:
    step = refused(said("AccessDenied", "Access Denied"), attempt(door)).next_step
    assert step.startswith(
        f"Account {OWNER} opens it: crossaccount share CONFIG, with a config that names account {CONSUMER}. "
        "That helps if crossaccount plan CONFIG shows a change for it; if it shows none, "
    )  # a consumer cannot see whether a share would write anything


def test_a_role_s_trust_is_opened_by_its_external_id() -> None:
    given = attempt(DoorName.ROLE_TRUST, caller="profile staging", owner=CONSUMER)
    step = refused(said("AccessDenied", denied("sts:AssumeRole", DEPLOYER)), given).next_step
    for word in (DEPLOYER, "profile staging", "consumers.staging.external_id", "deployments/iam"):
        assert word in step


def test_a_refusal_is_told_with_where_what_and_what_next() -> None:
    found = classify(
        said("AccessDenied", denied("s3:GetObject", OBJECT, no("resource-based", "s3:GetObject"))),
        attempt(DoorName.BUCKET, ruled_out=("the region: it is the same",)),
    )
    first, second, third = str(found).split("\n")
    assert first.startswith(
        f"{DEPLOYER} may not s3:GetObject on {OBJECT}: the bucket door of account {OWNER}"
    )
    assert f"names account {CONSUMER}. That helps if" in first
    assert second == "Ruled out: the region: it is the same."
    assert third.startswith("AWS said AccessDenied: User: ")
    assert found.exit_code == 3


@pytest.mark.parametrize(("code", "message", "door", "expected"), DENIALS[:3])
def test_a_classified_refusal_survives_pickling(
    code: str, message: str, door: DoorName, expected: Any
) -> None:
    found = classify(said(code, message), attempt(door))
    back = pickle.loads(pickle.dumps(found))  # noqa: S301 - our own bytes
    assert isinstance(back, Refused)
    assert back.refusal == refused(said(code, message), attempt(door))


@pytest.mark.parametrize(
    ("why", "door", "account"),
    [
        ("because no permissions boundary allows the s3:GetObject action", DoorName.CALLER_POLICY, CONSUMER),
        ("with an explicit deny in a permissions boundary", DoorName.CALLER_POLICY, CONSUMER),
        ("because no VPC endpoint policy allows the s3:GetObject action", DoorName.CALLER_POLICY, CONSUMER),
        ("with an explicit deny in a VPC endpoint policy", DoorName.CALLER_POLICY, CONSUMER),
        (
            "because no service control policy allows the s3:GetObject action",
            DoorName.CALLER_POLICY,
            CONSUMER,
        ),
        ("with an explicit deny in a resource control policy", DoorName.BUCKET, OWNER),
        (
            "with an explicit deny in a resource control policy: arn:aws:organizations::9:policy/o-1/rcp/p-1",
            DoorName.BUCKET,
            OWNER,
        ),
        ("with an explicit deny in the role trust policy", DoorName.ROLE_TRUST, OWNER),
    ],
)
def test_each_kind_of_policy_is_somebody_s(why: Any, door: Any, account: Any) -> None:
    found = refused(
        said("AccessDenied", denied("s3:GetObject", OBJECT, why, quoted=True)), attempt(DoorName.BUCKET)
    )
    assert (found.door, found.account) == (door, account)
    if "resource control" in why:
        assert "crossaccount share" not in found.next_step


@pytest.mark.parametrize(
    ("message", "door", "account"),
    [
        (denied("iam:PassRole", EXECUTION), DoorName.CALLER_POLICY, CONSUMER),
        (denied("sagemaker:CreateModel", MODEL), DoorName.CALLER_POLICY, CONSUMER),
        (
            denied("ecr:BatchGetImage", REPOSITORY.replace(OWNER, "763104351884")),
            DoorName.REGISTRY,
            "763104351884",
        ),
        (
            "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.",
            DoorName.KEY,
            OWNER,
        ),
    ],
)
def test_a_text_without_a_reason_is_read_by_its_resource(message: Any, door: Any, account: Any) -> None:
    found = refused(said("AccessDeniedException", message), attempt())
    assert (found.door, found.account) == (door, account)


@pytest.mark.parametrize(
    ("code", "message", "account"),
    [
        ("KMS.DisabledException", f"{KEY} is disabled.", OWNER),
        ("KMS.KMSInvalidStateException", f"{KEY} is pending deletion.", OWNER),
        (
            "KMS.NotFoundException",
            f"Key '{KEY.replace(OWNER, '444444444444')}' does not exist",
            "444444444444",
        ),
        ("KMS.DisabledException", "The key is disabled", OWNER),
    ],
)
def test_a_key_out_of_use_is_no_refusal_and_its_owner_s_to_mend(
    code: str, message: str, account: str
) -> None:
    found = classify(said(code, message), attempt(DoorName.BUCKET, resource=OBJECT))
    assert isinstance(found, Failed)
    assert f"{code}: {message}" in str(found)
    assert f"Account {account} enables it or cancels its deletion" in str(found)
    assert ".." not in str(found)


THIRD, AWS_S = "444444444444", "683313688378"
PRODUCER_ROLE = f"arn:aws:iam::{OWNER}:role/crossaccount-producer"
THIRD_KEY = f"arn:aws:kms:us-east-1:{THIRD}:key/5678"


@pytest.mark.parametrize(
    ("message", "given", "door", "account"),
    [
        pytest.param(
            denied("kms:GenerateDataKey", THIRD_KEY, no("resource-based", "kms:GenerateDataKey")),
            {"caller": PRODUCER_ROLE, "account": OWNER, "door": DoorName.CALLER_POLICY},
            DoorName.KEY,
            THIRD,
            id="the producer, and a third account's key",
        ),
        pytest.param(
            denied("kms:Decrypt", THIRD_KEY, no("resource-based", "kms:Decrypt")),
            {"door": DoorName.BUCKET},
            DoorName.KEY,
            THIRD,
            id="a consumer, and a third account's key",
        ),
        pytest.param(
            denied("kms:Decrypt", None, "on the resource associated with this ciphertext").replace("  ", " "),
            {"door": DoorName.BUCKET, "key": THIRD_KEY},
            DoorName.KEY,
            THIRD,
            id="a third account's key that AWS leaves out",
        ),
        pytest.param(
            denied(
                "ecr:BatchGetImage",
                REPOSITORY.replace(OWNER, AWS_S),
                no("resource-based", "ecr:BatchGetImage"),
            ),
            {"door": DoorName.REPOSITORY},
            DoorName.REPOSITORY,
            AWS_S,
            id="a registry of AWS",
        ),
        pytest.param(
            f"The repository of your image {IMAGE.replace(OWNER, AWS_S)} does not grant ecr:BatchGetImage permission to "
            "sagemaker.amazonaws.com service principal.",
            {},
            DoorName.REPOSITORY,
            AWS_S,
            id="an image in a registry of AWS",
        ),
    ],
)
def test_no_share_is_advised_for_what_is_neither_the_producer_s_nor_the_caller_s(
    message: str, given: dict[str, Any], door: DoorName, account: str
) -> None:
    code = "ValidationException" if message.startswith("The repository") else "AccessDenied"
    message = message.replace(SESSION, SESSION.replace(CONSUMER, given.get("account", CONSUMER)))
    found = refused(said(code, message), attempt(**given))
    assert (found.door, found.account) == (door, account)
    assert "crossaccount share" not in found.next_step
    assert f"ccount {account}" in found.next_step
    assert "no share opens" in found.next_step


@pytest.mark.parametrize(
    ("why", "door", "account"),
    [
        ("because no identity-based policy allows the sts:AssumeRole action", DoorName.CALLER_POLICY, THIRD),
        ("with an explicit deny in a service control policy", DoorName.CALLER_POLICY, THIRD),
        ("because no permissions boundary allows the sts:AssumeRole action", DoorName.CALLER_POLICY, THIRD),
        ("because no resource-based policy allows the sts:AssumeRole action", DoorName.ROLE_TRUST, CONSUMER),
        ("", DoorName.ROLE_TRUST, CONSUMER),
    ],
)
@pytest.mark.parametrize("user", ["iam::{}:user/operator", "sts::{}:assumed-role/hub/s"])
def test_a_caller_of_a_third_account_is_told_by_its_own(
    why: str, door: DoorName, account: str, user: str
) -> None:
    message = denied("sts:AssumeRole", DEPLOYER, why).replace(SESSION, f"arn:aws:{user.format(THIRD)}")
    given = attempt(DoorName.ROLE_TRUST, caller="profile hub", owner=CONSUMER, resource=DEPLOYER)
    found = refused(said("AccessDenied", message), given)
    assert (found.door, found.account) == (door, account)
    if door is DoorName.CALLER_POLICY:
        assert THIRD in found.next_step
        assert f"account {CONSUMER}" not in found.next_step


@pytest.mark.parametrize("code", ["AccessDenied", "ValidationException"])
def test_an_error_without_a_text_is_an_error_all_the_same(code: Any) -> None:
    assert str(classify(said(code, None), attempt()))


def test_what_is_told_to_a_person_and_what_is_a_fault_of_the_program() -> None:
    ours = Failed("ours")
    assert refusals.explain(ours) is ours
    error = ClientError({"Error": {"Code": "Throttling", "Message": "slow down"}}, "ListModels")
    assert "AWS refused ListModels" in str(refusals.explain(error))
    assert "AWS cannot be asked" in str(refusals.explain(EndpointConnectionError(endpoint_url="http://x")))
    assert refusals.explain(KeyError("x")) is None


# Explicit denies, in AWS's words: who keeps the policy, and the policy where AWS names it.

SCP = "arn:aws:organizations::999999999999:policy/o-abc/service_control_policy/p-deny1"
RCP = "arn:aws:organizations::999999999999:policy/o-abc/resource_control_policy/p-deny2"
MANAGED = f"arn:aws:iam::{CONSUMER}:policy/teams/DenyDeployments"
CIPHERTEXT = "the resource associated with this ciphertext"
KEY_SIDE = (
    "because the resource does not exist in this Region, no resource-based policies allow access, or a "
    "resource-based policy explicitly denies access"
)

EXPLICIT = [
    ("an identity-based policy", MANAGED, DoorName.CALLER_POLICY, CONSUMER, "identity-based policy"),
    ("an identity-based policy", "", DoorName.CALLER_POLICY, CONSUMER, "identity-based policy"),
    ("a permissions boundary", MANAGED, DoorName.CALLER_POLICY, CONSUMER, "permissions boundary"),
    ("a permissions boundary", "", DoorName.CALLER_POLICY, CONSUMER, "permissions boundary"),
    ("a session policy", MANAGED, DoorName.CALLER_POLICY, CONSUMER, "session policy"),
    ("a VPC endpoint policy", "", DoorName.CALLER_POLICY, CONSUMER, "VPC endpoint policy"),
    ("a service control policy", SCP, DoorName.CALLER_POLICY, CONSUMER, "service control policy"),
    ("a service control policy", "", DoorName.CALLER_POLICY, CONSUMER, "service control policy"),
    ("a resource control policy", RCP, DoorName.BUCKET, OWNER, "resource control policy"),
    ("a resource control policy", "", DoorName.BUCKET, OWNER, "resource control policy"),
    ("a resource-based policy", "", DoorName.BUCKET, OWNER, "resource-based policy"),
    ("a declarative policy", "", DoorName.UNKNOWN, OWNER, "declarative policy"),
]


@pytest.mark.parametrize("ending", ["", ".", " (Service: Amazon S3)"])
@pytest.mark.parametrize(("policy", "arn", "door", "account", "kind"), EXPLICIT)
def test_an_explicit_deny_is_told_with_its_policy_and_its_keeper(
    policy: str, arn: str, door: DoorName, account: str, kind: str, ending: str
) -> None:
    why = f"with an explicit deny in {policy}{f': {arn}' if arn else ''}{ending}"
    found = refused(
        said("AccessDenied", denied("s3:GetObject", OBJECT, why, quoted=True)), attempt(DoorName.BUCKET)
    )
    assert (found.door, found.account) == (door, account)
    assert found.denied_by == Denial(kind, arn)
    assert kind in found.next_step
    assert arn in found.next_step
    assert "must allow" not in found.next_step
    assert "crossaccount share" not in found.next_step
    assert ("999999999999" in found.next_step) == ("organizations" in arn)


@pytest.mark.parametrize(
    ("code", "message", "door"),
    [
        *((code, "Access Denied", DoorName.BUCKET) for code in ("AccessDenied", "403")),
        *(
            ("AccessDenied", denied("s3:GetObject", OBJECT, no(kind, "s3:GetObject")), DoorName.BUCKET)
            for kind in ("identity-based", "resource-based", "session", "service control")
        ),
    ],
)
def test_what_only_lacks_an_allow_is_denied_by_no_policy(code: str, message: str, door: DoorName) -> None:
    assert refused(said(code, message), attempt(door)).denied_by is None


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("service control policy", ("organization", "every level")),
        ("permissions boundary", ("permissions boundary",)),
        ("VPC endpoint policy", ("VPC endpoint",)),
        ("session policy", ("session policy", "must allow")),
        ("identity-based policy", ("an identity policy", "must allow")),
    ],
)
def test_a_lack_is_told_by_who_can_add_the_allow(kind: str, words: tuple[str, ...]) -> None:
    why = f"because no {kind} allows the s3:GetObject action"
    step = refused(
        said("AccessDenied", denied("s3:GetObject", OBJECT, why)), attempt(DoorName.BUCKET)
    ).next_step
    assert all(word in step for word in words)
    assert "crossaccount share" not in step


# KMS behind S3: the text of AWS names no key.

THIRD_KEY = KEY.replace(OWNER, "444444444444")
UNNAMED = f"User: {SESSION} is not authorized to perform: kms:Decrypt on {CIPHERTEXT}"


@pytest.mark.parametrize(
    ("why", "key", "expected"),
    [
        (KEY_SIDE, KEY, (DoorName.KEY, OWNER, KEY)),
        (KEY_SIDE, THIRD_KEY, (DoorName.KEY, "444444444444", THIRD_KEY)),
        (KEY_SIDE, "", (DoorName.KEY, OWNER, f"the KMS key of {OBJECT}")),
        (no("resource-based", "kms:Decrypt"), KEY, (DoorName.KEY, OWNER, KEY)),
        (no("identity-based", "kms:Decrypt"), KEY, (DoorName.CALLER_POLICY, CONSUMER, KEY)),
        (
            no("identity-based", "kms:Decrypt"),
            "",
            (DoorName.CALLER_POLICY, CONSUMER, f"the KMS key of {OBJECT}"),
        ),
        (
            f"with an explicit deny in a service control policy: {SCP}",
            KEY,
            (DoorName.CALLER_POLICY, CONSUMER, KEY),
        ),
        (f"with an explicit deny in a resource control policy: {RCP}", KEY, (DoorName.KEY, OWNER, KEY)),
        ("", KEY, (DoorName.KEY, OWNER, KEY)),
    ],
)
def test_a_key_that_aws_leaves_out_is_the_object_s(
    why: str, key: str, expected: tuple[DoorName, str, str]
) -> None:
    error = said("AccessDenied", f"{UNNAMED} {why}".rstrip())
    assert refusals.hides_key(error)
    found = refused(error, attempt(DoorName.BUCKET, action="s3:GetObject", resource=OBJECT, key=key))
    assert (found.door, found.account, found.resource) == expected
    assert found.action == "kms:Decrypt"
    assert OBJECT not in found.resource or not key


@pytest.mark.parametrize(
    "message",
    [
        "Access Denied",
        denied("kms:Decrypt", KEY, KEY_SIDE),
        denied("s3:GetObject", OBJECT),
        "",
        UNNAMED.replace("kms", "s3"),
    ],
)
def test_no_key_is_looked_for_where_none_is_left_out(message: str) -> None:
    assert not refusals.hides_key(said("AccessDenied", message))


# Inside one account: nobody shares with oneself.

SHARER = f"arn:aws:iam::{OWNER}:role/crossaccount-producer"
OWN = Attempt(SHARER, OWNER, OWNER, DoorName.CALLER_POLICY, "an AWS call", "trees", "producer")
GROUP_ARN = f"arn:aws:sagemaker:us-east-1:{OWNER}:model-package-group/trees"


@pytest.mark.parametrize(
    ("action", "resource", "door", "statement"),
    [
        ("kms:DescribeKey", KEY, DoorName.KEY, '"Action": "kms:DescribeKey", "Resource": "*"'),
        ("kms:PutKeyPolicy", KEY, DoorName.KEY, '"Action": "kms:PutKeyPolicy", "Resource": "*"'),
        ("s3:GetBucketPolicy", "arn:aws:s3:::models", DoorName.BUCKET, '"Resource": "arn:aws:s3:::models"'),
        ("ecr:BatchGetImage", REPOSITORY, DoorName.REPOSITORY, '"Action": "ecr:BatchGetImage"}'),
        ("sagemaker:GetModelPackageGroupPolicy", GROUP_ARN, DoorName.REGISTRY, f'"Resource": "{GROUP_ARN}"'),
    ],
)
def test_inside_one_account_the_resource_s_own_policy_must_name_the_role(
    action: str, resource: str, door: DoorName, statement: str
) -> None:
    user = f"User: arn:aws:sts::{OWNER}:assumed-role/crossaccount-producer/s"
    message = f"{user} is not authorized to perform: {action} on resource: {resource} {no('resource-based', action)}"
    for caller in (SHARER, "profile hub"):
        found = refused(said("AccessDeniedException", message), replace(OWN, caller=caller))
        assert (found.door, found.account, found.denied_by) == (door, OWNER, None)
        assert f'"Principal": {{"AWS": "{SHARER}"}}' in found.next_step
        assert statement in found.next_step
        assert "crossaccount share" not in found.next_step
        assert "an identity policy of" not in found.next_step


def test_inside_one_account_a_deny_of_the_resource_is_its_own() -> None:
    message = denied(
        "s3:PutBucketPolicy", "arn:aws:s3:::models", "with an explicit deny in a resource-based policy"
    )
    found = refused(said("AccessDenied", message), OWN)
    assert (found.door, found.account, found.denied_by) == (
        DoorName.BUCKET,
        OWNER,
        Denial("resource-based policy"),
    )
    assert "must allow" not in found.next_step


def test_a_policy_that_is_public_is_refused_by_a_setting_and_not_by_an_identity_policy() -> None:
    why = "because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access."
    found = refused(said("AccessDenied", denied("s3:PutBucketPolicy", "arn:aws:s3:::models", why)), OWN)
    assert (found.door, found.account) == (DoorName.BUCKET, OWNER)
    assert "BlockPublicPolicy" in found.next_step
    assert "an identity policy of" not in found.next_step


# The call that was made.


@pytest.mark.parametrize(
    ("service", "operation", "action"),
    [
        ("sagemaker", "CreateEndpoint", "sagemaker:CreateEndpoint"),
        ("sagemaker", "UpdateEndpoint", "sagemaker:UpdateEndpoint"),
        ("sagemaker", "CreateEndpointConfig", "sagemaker:CreateEndpointConfig"),
        ("sagemaker", "AddTags", "sagemaker:AddTags"),
        ("sagemaker-runtime", "InvokeEndpoint", "sagemaker:InvokeEndpoint"),
        ("s3", "HeadObject", "s3:GetObject"),
        ("s3", "ListObjectsV2", "s3:ListBucket"),
        ("", "AnyOperation", "sagemaker:CreateModel"),
    ],
)
def test_a_failure_and_a_bare_refusal_name_the_call_that_was_made(
    service: str, operation: str, action: str
) -> None:
    given = attempt(action="sagemaker:CreateModel", resource=PACKAGE)
    noted = {"ResponseMetadata": {"Call": (service, {})}}  # as the sessions of the product note it

    def answered(code: str, message: str) -> ClientError:
        return ClientError({"Error": {"Code": code, "Message": message}, **noted}, operation)

    failed = str(classify(answered("ResourceLimitExceeded", "0 Instances"), given))
    assert failed.startswith(action)
    assert ("CreateModel" in failed) == (action == "sagemaker:CreateModel")
    found = refused(answered("AccessDeniedException", ""), given)
    assert found.action == action
    if "Endpoint" in operation or operation == "AddTags":
        assert (found.door, found.account) == (DoorName.CALLER_POLICY, CONSUMER)


@pytest.mark.parametrize("key", ["consumers.staging", "consumers.staging.profile"])
def test_a_role_that_may_not_exist_is_told(key: str) -> None:
    given = attempt(DoorName.ROLE_TRUST, caller="profile staging", owner=CONSUMER, config_key=key)
    step = refused(said("AccessDenied", denied("sts:AssumeRole", DEPLOYER)), given).next_step
    assert "does not exist" in step
    assert ("role_arn" in step) == key.endswith("profile")
    assert f"{key}.external_id" in step or "AWS config file" in step


def test_iam_s_words_for_a_role_are_kept_whole() -> None:
    message = f"User: {SESSION} is not authorized to perform: iam:GetRole on resource: role crossaccount-execution because x"
    assert refused(said("AccessDenied", message), attempt()).resource == "role crossaccount-execution"
