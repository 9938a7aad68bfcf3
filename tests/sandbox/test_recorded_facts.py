"""The sandbox answers as AWS was seen to answer: a table of facts that public projects recorded on live accounts.

Each fact is a situation, the call, and what is known of the answer. A fact that the sandbox does not share has its reason
beside it, and is counted: nine of ten must be shared, and every one without a reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

ACCOUNT, OTHER, REGION = "111111111111", "222222222222", "us-east-1"
SAGEMAKER = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
UUID = "134f2428-cec1-4b25-a1ae-9048164dba47"
LOCALSTACK_STS = "localstack, tests/aws/services/sts/test_sts.snapshot.json"
LOCALSTACK_IAM = "localstack, tests/aws/services/iam/test_iam.snapshot.json"
LOCALSTACK_KMS = "localstack, tests/aws/services/kms/test_kms.snapshot.json"
CUSTODIAN = "cloud-custodian, tests/data/placebo"
PROVIDERS = "aws-cloudformation-resource-providers-sagemaker, ExceptionMapper.java"
CONTROLLER = "aws-controllers-k8s/sagemaker-controller, generator.yaml"


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


EVERYTHING = policy({"Effect": "Allow", "Action": "*", "Resource": "*"})
PERCENT = "arn:aws:apigateway:us-east-1::/tags/arn%3Aaws%3Aapigateway%3Aus-east-1"
TRUST = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
DOCKER = "application/vnd.docker"
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": f"{DOCKER}.distribution.manifest.v2+json",
        "config": {
            "mediaType": f"{DOCKER}.container.image.v1+json",
            "size": 16,
            "digest": "sha256:" + "c0" * 32,
        },
        "layers": [
            {"mediaType": f"{DOCKER}.image.rootfs.diff.tar.gzip", "size": 32, "digest": "sha256:" + "a1" * 32}
        ],
    }
)
READ = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
SPECIFICATION = {
    "Containers": [
        {"Image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/facts:1", "ModelDataUrl": "s3://facts/model"}
    ],
    "SupportedContentTypes": ["text/csv"],
    "SupportedResponseMIMETypes": ["text/csv"],
}


@dataclass(frozen=True)
class Fact:
    """What AWS answered once.

    Args:
        call: makes the call on the setting.
        source: who recorded it, and where.
        code: AWS's error code; None for success.
        message: fits the whole text of the error.
        status: of HTTP.
        fields: by their paths: the value, or a pattern that fits the whole of it.
        absent: paths that the answer does not have.
        reason: why the sandbox answers otherwise; empty where it does not.
    """

    call: Callable[[Setting], Any]
    source: str
    code: str | None = None
    message: str = ".*"
    status: int = 200
    fields: dict[str, Any] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    reason: str = ""


class Setting:
    """Clients of the producer's administrator, and what the facts speak of."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.sts, self.iam, self.kms, self.s3, self.sm = (
            inner.client("producer", service) for service in ("sts", "iam", "kms", "s3", "sagemaker")
        )
        self.iam.create_role(RoleName="facts", AssumeRolePolicyDocument=policy(TRUST))
        self.iam.create_role(RoleName="pathed", Path="/a/path/", AssumeRolePolicyDocument=policy(TRUST))
        self.iam.create_role(RoleName="powerless", AssumeRolePolicyDocument=policy(TRUST))
        other = inner.client("staging", "iam")
        shut = {**TRUST, "Condition": {"StringEquals": {"sts:ExternalId": "another"}}}
        other.create_role(RoleName="facts", AssumeRolePolicyDocument=policy(shut))
        self.sm.create_model_package_group(ModelPackageGroupName="facts")
        trust = {**TRUST, "Principal": {"Service": "sagemaker.amazonaws.com"}}
        made = self.iam.create_role(RoleName="execution", AssumeRolePolicyDocument=policy(trust))
        self.iam.put_role_policy(RoleName="execution", PolicyName="p", PolicyDocument=EVERYTHING)
        self.execution = made["Role"]["Arn"]
        self.s3.create_bucket(Bucket="facts")
        self.s3.put_object(Bucket="facts", Key="model.tar.gz", Body=b"x")
        ecr = inner.client("producer", "ecr")
        ecr.create_repository(repositoryName="facts")
        ecr.put_image(repositoryName="facts", imageManifest=MANIFEST, imageTag="1")
        image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/facts:1"
        self.container = {"Image": image, "ModelDataUrl": "s3://facts/model.tar.gz"}

    def assume(
        self, role: str = f"arn:aws:iam::{ACCOUNT}:role/facts", name: str = "sess", **more: Any
    ) -> Any:
        return self.sts.assume_role(RoleArn=role, RoleSessionName=name, **more)

    def powerless(self, service: str) -> Any:
        key = self.assume(f"arn:aws:iam::{ACCOUNT}:role/powerless")["Credentials"]
        return self.inner.keyed(service, key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])

    def role(self, document: str) -> Any:
        """What is shown of a role that is made with this trust policy."""
        self.iam.create_role(RoleName="new", AssumeRolePolicyDocument=document)
        try:
            return self.iam.get_role(RoleName="new")
        finally:
            self.iam.delete_role(RoleName="new")

    def inline(self) -> Any:
        statement = {"Effect": "Allow", "Action": "apigateway:*", "Resource": [PERCENT]}
        self.iam.put_role_policy(RoleName="facts", PolicyName="p", PolicyDocument=policy(statement))
        return self.iam.get_role_policy(RoleName="facts", PolicyName="p")

    def simulated(self, *statements: dict[str, Any]) -> Any:
        """What the simulator says of one action that the role's only policy may allow, and of one that it does not."""
        name = "simulated"
        role = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(TRUST))["Role"]["Arn"]
        self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(*statements))
        try:
            actions = ["s3:GetObject", "s3:PutObject"]
            bucket = ["arn:aws:s3:::facts/a"]
            return self.iam.simulate_principal_policy(
                PolicySourceArn=role, ActionNames=actions, ResourceArns=bucket
            )
        finally:
            self.iam.delete_role_policy(RoleName=name, PolicyName="p")
            self.iam.delete_role(RoleName=name)

    def hosted(self, ask: Callable[[Any], Any]) -> Any:
        """What an ask is answered while there are a model of an image and an endpoint config of it."""
        self.sm.create_model(
            ModelName="facts", PrimaryContainer=self.container, ExecutionRoleArn=self.execution
        )
        variant = {
            "VariantName": "a",
            "ModelName": "facts",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        self.sm.create_endpoint_config(EndpointConfigName="facts", ProductionVariants=[variant])
        try:
            return ask(self.sm)
        finally:
            self.sm.delete_endpoint_config(EndpointConfigName="facts")
            if self.sm.list_models()["Models"]:
                self.sm.delete_model(ModelName="facts")

    def key_policy(self) -> Any:
        given = {"Action": "kms:*", "Resource": "*"}
        listed = [
            {"Sid": sid, "Effect": "Allow", "Principal": principal, **given}
            for sid, principal in (("a", "*"), ("b", {"AWS": "*"}))
        ]
        document = {"Version": "2012-10-17", "Id": "facts", "Statement": listed}
        arn = self.kms.create_key(Policy=json.dumps(document))["KeyMetadata"]["Arn"]
        return self.kms.get_key_policy(KeyId=arn)

    def tagged(self) -> Any:
        arn = f"{SAGEMAKER}:model-package-group/facts"
        return self.sm.add_tags(ResourceArn=arn, Tags=[{"Key": "custodian_cleanup", "Value": "x@2021/06/26"}])


def key(**more: Any) -> Callable[[Setting], Any]:
    return lambda setting: setting.kms.describe_key(**more)


STS_FACTS = {
    "a role named by a word": Fact(
        lambda s: s.assume("nothing-valid-in-here"), LOCALSTACK_STS,
        "ValidationError", "nothing-valid-in-here is invalid", 400,
    ),
    "a role named by an ARN without a partition": Fact(
        lambda s: s.assume("arn::b:::something/test-role"), LOCALSTACK_STS,
        "ValidationError", "arn::b:::something/test-role is invalid", 400,
    ),
    "a colon in the session's name": Fact(
        lambda s: s.assume(name="Session1:2"), LOCALSTACK_STS, "ValidationError",
        r"1 validation error detected: Value 'Session1:2' at 'roleSessionName' failed to satisfy constraint: Member must "
        r"satisfy regular expression pattern: \[\\w\+=,\.@-\]\*", 400,
    ),
    "a role assumed by an administrator of its account": Fact(
        lambda s: s.assume(), LOCALSTACK_STS,
        fields={
            "AssumedRoleUser/Arn": re.compile(f"arn:aws:sts::{ACCOUNT}:assumed-role/facts/sess"),
            "AssumedRoleUser/AssumedRoleId": re.compile("AROA[A-Z0-9]{12,17}:sess"),
            "Credentials/AccessKeyId": re.compile("ASIA[A-Z0-9]+"),
            "Credentials/SessionToken": re.compile(".+"),
        },
        absent=("PackedPolicySize", "SourceIdentity"),
    ),
    "a session with a policy of its own": Fact(
        lambda s: s.assume(Policy=EVERYTHING), f"{CUSTODIAN}/test_session_policy_assumed_session",
        fields={"PackedPolicySize": re.compile(r"\d+")},
    ),
    "a transitive tag that is none of the tags": Fact(
        lambda s: s.assume(Tags=[{"Key": "a", "Value": "b"}], TransitiveTagKeys=["c"]), LOCALSTACK_STS,
        "InvalidParameterValue", r"The specified transitive tag key must be included in the requested tags\.", 400,
    ),
    "two tags whose keys differ in case alone": Fact(
        lambda s: s.assume(Tags=[{"Key": "a", "Value": "b"}, {"Key": "A", "Value": "b"}]), LOCALSTACK_STS,
        "InvalidParameterValue", r"Duplicate tag keys found\. Please note that Tag keys are case insensitive\.", 400,
    ),
    "who a user is": Fact(
        lambda s: s.sts.get_caller_identity(), f"{CUSTODIAN}/s3_access_point_query",
        fields={"UserId": re.compile("AIDA[A-Z0-9]{17}"), "Arn": re.compile(f"arn:aws:iam::{ACCOUNT}:user/.+"),
                "Account": ACCOUNT},
    ),
    "a session of a role under a path": Fact(
        lambda s: s.assume(f"arn:aws:iam::{ACCOUNT}:role/a/path/pathed"), LOCALSTACK_IAM,
        fields={"AssumedRoleUser/Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/pathed/sess"},
    ),
    "another account's role with a wrong external id": Fact(
        lambda s: s.assume(f"arn:aws:iam::{OTHER}:role/facts", ExternalId="mine"), "a public test log",
        "AccessDenied", rf"User: \S+ is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::{OTHER}:role/facts",
        403,
    ),
}  # fmt: skip
IAM_FACTS = {
    "a trust policy that is no JSON": Fact(
        lambda s: s.role("{"), LOCALSTACK_IAM, "MalformedPolicyDocument", "This policy contains invalid Json", 400,
    ),
    "a new role": Fact(
        lambda s: s.iam.get_role(RoleName="facts"), LOCALSTACK_IAM,
        fields={"Role/MaxSessionDuration": 3600, "Role/RoleLastUsed": {}}, absent=("Role/Tags",),
    ),
    "a bare account number in a trust policy": Fact(
        lambda s: s.role(policy(TRUST)), LOCALSTACK_STS,
        fields={"Role/AssumeRolePolicyDocument/Statement/0/Principal": {"AWS": ACCOUNT}},
    ),
    "a role that is not there": Fact(
        lambda s: s.iam.get_role(RoleName="none"), f"{CUSTODIAN}/test_delete_role",
        "NoSuchEntity", r"The role with name none cannot be found\.", 404,
    ),
    "a policy attached by a word": Fact(
        lambda s: s.iam.attach_role_policy(RoleName="facts", PolicyArn="longpolicynamebutnoarn"), LOCALSTACK_IAM,
        "ValidationError", "Invalid ARN:  Could not be parsed!", 400,
    ),
    "a policy attached that is not there": Fact(
        lambda s: s.iam.attach_role_policy(RoleName="facts", PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/none"), LOCALSTACK_IAM,
        "NoSuchEntity", rf"Policy arn:aws:iam::{ACCOUNT}:policy/none does not exist or is not attachable\.", 404,
    ),
    "percent signs in a policy's resource": Fact(
        lambda s: s.inline(), LOCALSTACK_IAM, fields={"PolicyDocument/Statement/0/Resource/0": PERCENT},
    ),
    "percent signs in a trust policy's condition": Fact(
        lambda s: s.role(policy({**TRUST, "Condition": {"StringEquals": {"aws:SourceArn": "arn%3Aaws"}}})), LOCALSTACK_IAM,
        fields={"Role/AssumeRolePolicyDocument/Statement/0/Condition": {"StringEquals": {"aws:SourceArn": "arn%3Aaws"}}},
    ),
    "a lone statement without its list": Fact(
        lambda s: s.role(json.dumps({"Version": "2012-10-17", "Statement": TRUST})),
        "getmoto/moto, tests/test_iam/test_iam_response_attributes.py",
        fields={"Role/AssumeRolePolicyDocument/Statement/Action": "sts:AssumeRole"},
    ),
    "a role that one may not see": Fact(
        lambda s: s.powerless("iam").get_role(RoleName="facts"), "access-undenied-aws, access_denied_message_patterns.json",
        "AccessDenied", r"User: \S+ is not authorized to perform: iam:GetRole on resource: role facts.*", 403,
    ),
    "an id that breaks its pattern": Fact(
        lambda s: s.iam.update_service_specific_credential(ServiceSpecificCredentialId="with-hyphens-and-longer", Status="Active"),
        f"{LOCALSTACK_IAM}, test_user_match_id_mismatch", "ValidationError",
        r"1 validation error detected: Value at 'serviceSpecificCredentialId' failed to satisfy constraint: .*", 400,
        reason="which texts of IAM leave the value out is not known; no client of the product calls this",
    ),
    "the simulation of a role that is not there": Fact(
        lambda s: s.iam.simulate_principal_policy(
            PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:role/none", ActionNames=["s3:GetObject"]),
        f"{CUSTODIAN}/test_aws_lambda_check_permission_deleted_role",
        "NoSuchEntity", r"Unable to retrieve specified IAM entity\.", 404,
    ),
    "the simulation of a role": Fact(
        lambda s: s.simulated(READ), f"{LOCALSTACK_IAM}, test_simulate_principle_policy",
        fields={
            "EvaluationResults/0/EvalDecision": "allowed",
            "EvaluationResults/0/MissingContextValues": [],
            "EvaluationResults/0/OrganizationsDecisionDetail": {"AllowedByOrganizations": True},
            "EvaluationResults/0/ResourceSpecificResults/0/EvalResourceDecision": "allowed",
            "EvaluationResults/1/EvalDecision": "implicitDeny",
            "EvaluationResults/1/MatchedStatements": [],
        },
    ),
    "the simulation of a role whose policy asks for a key that nobody gave": Fact(
        lambda s: s.simulated({**READ, "Condition": {"StringEquals": {"aws:RequestedRegion": REGION}}}),
        "openshift/installer, issue 1322",
        fields={
            "EvaluationResults/0/EvalDecision": "implicitDeny",
            "EvaluationResults/0/MissingContextValues": ["aws:RequestedRegion"],
        },
    ),
}  # fmt: skip
KMS_FACTS = {
    "a key named by a word": Fact(key(KeyId="fake-key-id"), LOCALSTACK_KMS, "NotFoundException", "Invalid keyId 'fake-key-id'", 400),
    "a key that is not there": Fact(
        key(KeyId=UUID), LOCALSTACK_KMS, "NotFoundException",
        f"Key 'arn:aws:kms:{REGION}:{ACCOUNT}:key/{UUID}' does not exist", 400,
    ),
    "an alias that is not there": Fact(
        key(KeyId="alias/none"), CUSTODIAN, "NotFoundException", rf"Alias arn:aws:kms:{REGION}:{ACCOUNT}:alias/none is not found\.", 400,
    ),
    "a key of another region": Fact(
        key(KeyId=f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/{UUID}"), LOCALSTACK_KMS, "NotFoundException", "Invalid arn eu-west-1", 400,
    ),
    "an alias without its beginning": Fact(
        lambda s: s.kms.create_alias(AliasName="none", TargetKeyId=UUID), LOCALSTACK_KMS,
        "ValidationException", r'Alias must start with the prefix "alias/"\. Please see .*', 400,
    ),
    "the layout of a key's policy": Fact(
        lambda s: s.key_policy(), LOCALSTACK_KMS,
        fields={"Policy": re.compile(
            r'\{\n  "Version" : "2012-10-17",\n  "Id" : "facts",\n  "Statement" : \[ \{\n    "Sid" : "a",.*'
            r'\n    "Principal" : "\*",.*\}, \{\n.*"Principal" : \{\n      "AWS" : "\*"\n    \},.* \]\n\}', re.DOTALL)},
    ),
}  # fmt: skip
SAGEMAKER_FACTS = {
    "a model that is not there": Fact(
        lambda s: s.sm.describe_model(ModelName="none"), CONTROLLER,
        "ValidationException", rf'Could not find model "{SAGEMAKER}:model/none"\.', 400,
    ),
    "an endpoint config that is not there": Fact(
        lambda s: s.sm.describe_endpoint_config(EndpointConfigName="none"), CONTROLLER,
        "ValidationException", "Could not find endpoint configuration .*", 400,
    ),
    "a version that is not there": Fact(
        lambda s: s.sm.describe_model_package(ModelPackageName=f"{SAGEMAKER}:model-package/facts/99"), CONTROLLER,
        "ValidationException", r".*does not exist\.", 400,
    ),
    "a version of another region": Fact(
        lambda s: s.sm.describe_model_package(ModelPackageName=f"arn:aws:sagemaker:us-west-2:{ACCOUNT}:model-package/facts/1"),
        "aws/amazon-sagemaker-examples, issue 1438",
        "ValidationException", rf"ARN should be scoped to correct region: {REGION}", 400,
    ),
    "the policy of a group that is not there": Fact(
        lambda s: s.sm.get_model_package_group_policy(ModelPackageGroupName="none"), PROVIDERS,
        "ValidationException", "Cannot find Model Package Group: .*", 400,
    ),
    "a group without a policy": Fact(
        lambda s: s.sm.get_model_package_group_policy(ModelPackageGroupName="facts"), PROVIDERS,
        "ValidationException", "Cannot find resource policy for: .*", 400,
    ),
    "a group that is there already": Fact(
        lambda s: s.sm.create_model_package_group(ModelPackageGroupName="facts"), PROVIDERS,
        "ValidationException", ".*Model Package Group already exists.*", 400,
    ),
    "tags that are added": Fact(
        lambda s: s.tagged(), f"{CUSTODIAN}/test_model_mark_for_op",
        fields={"Tags": [{"Key": "custodian_cleanup", "Value": "x@2021/06/26"}]},
    ),
    "a role that breaks its pattern": Fact(
        lambda s: s.sm.create_model_package(
            ModelPackageGroupName="facts", InferenceSpecification=SPECIFICATION,
            ValidationSpecification={"ValidationRole": "AmazonSageMaker-ExecutionRole", "ValidationProfiles": [
                {"ProfileName": "p", "TransformJobDefinition": {
                    "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://a"}}},
                    "TransformOutput": {"S3OutputPath": "s3://a"},
                    "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1}}}]}),
        "aws/amazon-sagemaker-examples, issue 4843", "ValidationException",
        r"1 validation error detected: Value 'AmazonSageMaker-ExecutionRole' at 'validationSpecification\.validationRole' "
        r"failed to satisfy constraint: Member must satisfy regular expression pattern: .*", 400,
    ),
    "a model of an image": Fact(
        lambda s: s.hosted(lambda sm: sm.describe_model(ModelName="facts")), f"{CUSTODIAN}/test_model_mark_for_op",
        fields={"PrimaryContainer/Mode": "SingleModel", "PrimaryContainer/Environment": {}, "EnableNetworkIsolation": False},
        absent=("Containers", "VpcConfig"),
    ),
    "an endpoint config": Fact(
        lambda s: s.hosted(lambda sm: sm.describe_endpoint_config(EndpointConfigName="facts")),
        f"{CUSTODIAN}/test_sagemaker_endpoint_config",
        fields={"ProductionVariants/0/InitialVariantWeight": 1.0, "ProductionVariants/0/InstanceType": "ml.m5.large"},
        absent=("ExecutionRoleArn",),
    ),
    "the models of an account": Fact(
        lambda s: s.hosted(lambda sm: {**(answer := sm.list_models()), "keys": sorted(answer["Models"][0])}),
        f"{CUSTODIAN}/test_model_mark_for_op", fields={"keys": ["CreationTime", "ModelArn", "ModelName"]},
    ),
    "a model that is deleted": Fact(
        lambda s: s.hosted(lambda sm: sm.delete_model(ModelName="facts")), f"{CUSTODIAN}/test_sagemaker_delete_model",
    ),
    "a model whose artifact is not there": Fact(
        lambda s: s.sm.create_model(
            ModelName="none", PrimaryContainer={**s.container, "ModelDataUrl": "s3://facts/none"}, ExecutionRoleArn=s.execution),
        "aws-ia/ecs-blueprints, issue 223", "ValidationException", r"Could not find model data at s3://facts/none.*", 400,
    ),
}  # fmt: skip
FACTS: dict[str, Fact] = {**STS_FACTS, **IAM_FACTS, **KMS_FACTS, **SAGEMAKER_FACTS}
SHARED = {name: fact for name, fact in FACTS.items() if not fact.reason}
LEFT = {name: fact for name, fact in FACTS.items() if fact.reason}


@pytest.fixture(scope="module")
def setting(inner: Any) -> Setting:
    return Setting(inner)


def at(answer: Any, path: str) -> Any:
    for step in path.split("/"):
        answer = answer[int(step)] if isinstance(answer, list) else answer[step]
    return answer


def has(answer: Any, path: str) -> bool:
    try:
        at(answer, path)
    except (KeyError, IndexError):
        return False
    return True


def differences(setting: Setting, fact: Fact) -> list[str]:
    """Where the sandbox's answer is not AWS's."""
    try:
        answer = fact.call(setting)
        code, message = None, ""
    except ClientError as error:
        answer = error.response
        code, message = answer["Error"]["Code"], answer["Error"]["Message"]
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    found = []
    if (code, status) != (fact.code, fact.status):
        found.append(f"{code} {status}: {message}")
    elif code is not None and not re.fullmatch(fact.message, message, re.DOTALL):
        found.append(message)
    for path, wanted in fact.fields.items():
        value = at(answer, path) if has(answer, path) else None
        fits = wanted.fullmatch(str(value)) if isinstance(wanted, re.Pattern) else value == wanted
        if not fits:
            found.append(f"{path} is {value!r}")
    return [*found, *(f"has {path}" for path in fact.absent if has(answer, path))]


@pytest.mark.parametrize("name", SHARED)
def test_the_sandbox_answers_as_aws_was_seen_to(setting: Setting, name: str) -> None:
    assert differences(setting, SHARED[name]) == []


@pytest.mark.parametrize("name", LEFT)
def test_a_fact_with_a_reason_is_not_shared_yet(setting: Setting, name: str) -> None:
    assert differences(setting, LEFT[name]) != []


def test_nine_facts_of_ten_are_shared() -> None:
    assert len(SHARED) >= 0.9 * len(FACTS)
    assert [name for name, fact in FACTS.items() if not fact.source] == []
