"""boto3 of 2024: it adds no checksums by itself, and speaks to CloudWatch in the query protocol."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import boto3
from botocore.exceptions import ClientError, WaiterError
from reporting import refused, step

GIVEN = os.environ
NAME, BUCKET = GIVEN["NAME"], GIVEN["BUCKET"]


def assumed(profile: str, role: str, **more: str) -> boto3.Session:
    """A session of the role, assumed by the operator of the profile's account."""
    sts = boto3.Session(profile_name=profile).client("sts")
    key = sts.assume_role(RoleArn=role, RoleSessionName="stranger", **more)["Credentials"]
    return boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])


def deployer() -> boto3.Session:
    return assumed("staging", GIVEN["DEPLOYER_ROLE"], ExternalId=GIVEN["EXTERNAL_ID"])


def model(sagemaker: Any) -> str:
    arn: str = sagemaker.create_model(
        ModelName=NAME,
        ExecutionRoleArn=GIVEN["EXECUTION_ROLE"],
        Containers=[{"ModelPackageName": GIVEN["PACKAGE"]}],
    )["ModelArn"]
    return arn


def reads() -> None:
    """What a share reads, as the producer's role."""
    session = assumed("producer", GIVEN["PRODUCER_ROLE"], ExternalId=GIVEN["PRODUCER_EXTERNAL_ID"])
    with step("bucket policy") as show:
        show(json.loads(session.client("s3").get_bucket_policy(Bucket=BUCKET)["Policy"])["Version"])
    with step("repository policy") as show:
        found = session.client("ecr").get_repository_policy(repositoryName=GIVEN["REPOSITORY"])
        show(json.loads(found["policyText"])["Version"])
    with step("group policy") as show:
        found = session.client("sagemaker").get_model_package_group_policy(
            ModelPackageGroupName=GIVEN["GROUP"]
        )
        show(json.loads(found["ResourcePolicy"])["Version"])
    with step("key policy") as show:
        found = session.client("kms").get_key_policy(KeyId=GIVEN["KEY"], PolicyName="default")
        show(json.loads(found["Policy"])["Version"])


def hosting(session: boto3.Session) -> None:
    """A model from the shared package, an endpoint with it, and an answer of it."""
    sagemaker, runtime = session.client("sagemaker"), session.client("sagemaker-runtime")
    with step("create model") as show:
        show(model(sagemaker))
    with step("create endpoint") as show:
        variant = {"VariantName": "AllTraffic", "ModelName": NAME}
        variant |= {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        sagemaker.create_endpoint_config(EndpointConfigName=NAME, ProductionVariants=[variant])
        show(sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)["EndpointArn"])
    with step("wait") as show:
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=NAME, WaiterConfig={"Delay": 1})
        show(sagemaker.describe_endpoint(EndpointName=NAME)["EndpointStatus"])
    with step("invoke") as show:
        rows = "5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5"
        answer = runtime.invoke_endpoint(
            EndpointName=NAME, ContentType="text/csv", Accept="application/json", Body=rows
        )
        said = json.loads(answer["Body"].read())
        assert said == [0, 2], said
        assert answer["ResponseMetadata"]["RequestId"]
        show(said)


def beside(session: boto3.Session) -> None:
    """Alarms, which this client asks for in the query protocol, and what the deployer may not."""
    cloudwatch = session.client("cloudwatch")
    assert cloudwatch.meta.service_model.metadata["protocol"] == "query"
    with step("alarms") as show:
        found = cloudwatch.describe_alarms(AlarmNames=["none-of-this-name"])
        assert found["MetricAlarms"] == found["CompositeAlarms"] == []
        assert found["ResponseMetadata"]["RequestId"]
        show(found["ResponseMetadata"]["HTTPStatusCode"])
    with refused("refused an alarm", ClientError):
        cloudwatch.put_metric_alarm(
            AlarmName=NAME, ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1
        )
    with refused("refused the bucket's policy", ClientError):
        session.client("s3").get_bucket_policy(Bucket=BUCKET)
    with refused("refused an answer", ClientError):
        session.client("sagemaker-runtime").invoke_endpoint(EndpointName="of-others", Body=b"1")
    with refused("refused roles", ClientError):
        session.client("iam").list_roles()
    with refused("refused stacks", ClientError):
        session.client("cloudformation").describe_stacks(StackName="crossaccount")
    with refused("refused a login", ClientError):
        session.client("ecr").get_authorization_token()
    with refused("refused a key", ClientError):
        session.client("kms").describe_key(KeyId=GIVEN["KEY"])
    with refused("refused a head", ClientError):
        session.client("s3").head_object(Bucket=BUCKET, Key="of/others")
    with refused("refused a wait", WaiterError):
        waiter = session.client("sagemaker").get_waiter("endpoint_in_service")
        waiter.wait(EndpointName="decision-trees-staging-v2-of-none")


def end(session: boto3.Session) -> None:
    sagemaker = session.client("sagemaker")
    with step("tear down"):
        sagemaker.delete_endpoint(EndpointName=NAME)
        sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=NAME, WaiterConfig={"Delay": 1})
        sagemaker.delete_endpoint_config(EndpointConfigName=NAME)
        sagemaker.delete_model(ModelName=NAME)
    with step("nothing left"):
        assert sagemaker.list_endpoints(NameContains=NAME)["Endpoints"] == []
        assert sagemaker.list_endpoint_configs(NameContains=NAME)["EndpointConfigs"] == []
        assert sagemaker.list_models(NameContains=NAME)["Models"] == []


def main() -> None:
    """With an argument, try CreateModel alone, as a step of that name; without one, do everything."""
    if sys.argv[1:]:
        with refused(sys.argv[1], ClientError):
            model(deployer().client("sagemaker"))
        return
    reads()
    with refused("refused without the external id", ClientError):
        assumed("staging", GIVEN["DEPLOYER_ROLE"])
    with step("assume deployer") as show:
        show(deployer().client("sts").get_caller_identity()["Arn"])
    session = deployer()
    hosting(session)
    beside(session)
    end(session)


main()
