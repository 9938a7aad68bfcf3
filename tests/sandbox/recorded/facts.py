"""What a fact of the real AWS is, and the setting on which the calls of all facts are made."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from crossaccount_sandbox.accounts import push_image

ACCOUNT, OTHER, REGION = "111111111111", "222222222222", "us-east-1"
SAGEMAKER = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
UUID = "134f2428-cec1-4b25-a1ae-9048164dba47"
LOCALSTACK_STS = "localstack, tests/aws/services/sts/test_sts.snapshot.json"
LOCALSTACK_IAM = "localstack, tests/aws/services/iam/test_iam.snapshot.json"
LOCALSTACK_CW = "localstack, tests/aws/services/cloudwatch/test_cloudwatch.snapshot.json"
LOCALSTACK_KMS = "localstack, tests/aws/services/kms/test_kms.snapshot.json"
LOCALSTACK_LOGS = "localstack, tests/aws/services/logs/test_logs_*.snapshot.json"
CUSTODIAN = "cloud-custodian, tests/data/placebo"
PROVIDERS = "aws-cloudformation-resource-providers-sagemaker, ExceptionMapper.java"
CONTROLLER = "aws-controllers-k8s/sagemaker-controller, generator.yaml"


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


EVERYTHING = policy({"Effect": "Allow", "Action": "*", "Resource": "*"})
PERCENT = "arn:aws:apigateway:us-east-1::/tags/arn%3Aaws%3Aapigateway%3Aus-east-1"
TRUST = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
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
        self.sts, self.iam, self.kms, self.s3, self.sm, self.cw = (
            inner.client("producer", service)
            for service in ("sts", "iam", "kms", "s3", "sagemaker", "cloudwatch")
        )
        self.iam.create_role(RoleName="facts", AssumeRolePolicyDocument=policy(TRUST))
        self.iam.create_role(RoleName="pathed", Path="/a/path/", AssumeRolePolicyDocument=policy(TRUST))
        self.iam.create_role(RoleName="powerless", AssumeRolePolicyDocument=policy(TRUST))
        tagging = {**TRUST, "Action": ["sts:AssumeRole", "sts:TagSession"]}
        self.iam.create_role(RoleName="tagging", AssumeRolePolicyDocument=policy(tagging))
        self.iam.put_role_policy(RoleName="tagging", PolicyName="p", PolicyDocument=EVERYTHING)
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
        self.ecr = inner.client("producer", "ecr")
        self.ecr.create_repository(repositoryName="facts")
        push_image(self.ecr, "facts", "1")
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

    def served(self, ask: Callable[[Any], Any], archive: bytes = b"") -> Any:
        """What an ask is answered while there is an endpoint ``Facts`` of this archive, which is done with its creation."""
        self.s3.put_object(Bucket="facts", Key="served.tar.gz", Body=archive)
        container = {**self.container, "ModelDataUrl": "s3://facts/served.tar.gz"}
        self.sm.create_model(ModelName="served", PrimaryContainer=container, ExecutionRoleArn=self.execution)
        variant = {
            "VariantName": "a",
            "ModelName": "served",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        self.sm.create_endpoint_config(EndpointConfigName="served", ProductionVariants=[variant])
        self.sm.create_endpoint(EndpointName="Facts", EndpointConfigName="served")
        try:
            while self.sm.describe_endpoint(EndpointName="Facts")["EndpointStatus"] == "Creating":
                time.sleep(0.05)
            return ask(self.sm)
        finally:
            self.sm.delete_endpoint(EndpointName="Facts")
            while self.sm.list_endpoints()["Endpoints"]:
                time.sleep(0.05)
            self.sm.delete_endpoint_config(EndpointConfigName="served")
            self.sm.delete_model(ModelName="served")

    def registered(self, ask: Callable[[Any, str], Any], **more: Any) -> Any:
        """What an ask is answered while there is a version of the group."""
        given = {"InferenceSpecification": SPECIFICATION, "ModelApprovalStatus": "Approved", **more}
        arn = self.sm.create_model_package(ModelPackageGroupName="facts", **given)["ModelPackageArn"]
        try:
            return ask(self.sm, arn)
        finally:
            self.sm.delete_model_package(ModelPackageName=arn)

    def alarmed(self, ask: Callable[[Any], Any]) -> Any:
        """What an ask is answered while there are an alarm of a metric, with nothing but what it must have, and a composite one."""
        metric = {"MetricName": "m", "Namespace": "n", "Statistic": "Sum", "Period": 10}
        compared = {
            "EvaluationPeriods": 1,
            "Threshold": 30,
            "ComparisonOperator": "GreaterThanThreshold",
        }
        self.cw.put_metric_alarm(AlarmName="facts", **metric, **compared)
        self.cw.put_composite_alarm(AlarmName="composite", AlarmRule="ALARM(facts)")
        try:
            return ask(self.cw)
        finally:
            for name in ("composite", "facts"):
                if self.cw.describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm", "MetricAlarm"]):
                    self.cw.delete_alarms(AlarmNames=[name])

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
