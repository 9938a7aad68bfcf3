"""What AWS answered to calls of SageMaker."""

import re
from typing import Any

from facts import ACCOUNT, CONTROLLER, CUSTODIAN, PROVIDERS, REGION, SAGEMAKER, SPECIFICATION, Fact, Setting

from crossaccount_sandbox.training import tar_gz, train

GUIDE = 'the SageMaker developer guide, "View the details of a model version"'
LISTED = "jgiorgis' notes of mlschool, the output of two lists of 2024"


def names(answer: Any, member: str) -> Any:
    """The answer, and the names of what its first entry has."""
    return {**answer, "names": sorted(answer[member][0])}


def versions(setting: Setting) -> Any:
    def ask(sm: Any, arn: str) -> Any:
        return names(sm.list_model_packages(ModelPackageGroupName="facts"), "ModelPackageSummaryList")

    return setting.registered(ask)


FACTS: dict[str, Fact] = {
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
    "an endpoint that is not there": Fact(
        lambda s: s.sm.describe_endpoint(EndpointName="none"), CONTROLLER,
        "ValidationException", rf'Could not find endpoint "{SAGEMAKER}:endpoint/none"\.', 400,
    ),
    "a group that is not there": Fact(
        lambda s: s.sm.describe_model_package_group(ModelPackageGroupName="none"), CONTROLLER,
        "ValidationException", r"ModelPackageGroup \S+ does not exist\.", 400,
    ),
    "the tags of a group": Fact(
        lambda s: (s.tagged(), s.sm.list_tags(ResourceArn=f"{SAGEMAKER}:model-package-group/facts"))[1],
        f"{CUSTODIAN}/test_sagemaker_delete_model", fields={"Tags": [{"Key": "custodian_cleanup", "Value": "x@2021/06/26"}]},
    ),
    "the groups of an account": Fact(
        lambda s: names(s.sm.list_model_package_groups(), "ModelPackageGroupSummaryList"), LISTED,
        fields={"names": ["CreationTime", "ModelPackageGroupArn", "ModelPackageGroupName", "ModelPackageGroupStatus"],
                "ModelPackageGroupSummaryList/0/ModelPackageGroupStatus": "Completed"},
    ),
    "the versions of a group": Fact(
        versions, LISTED,
        fields={
            "names": ["CreationTime", "ModelApprovalStatus", "ModelPackageArn", "ModelPackageGroupName", "ModelPackageStatus",
                      "ModelPackageVersion"],
            "ModelPackageSummaryList/0/ModelPackageStatus": "Completed",
        },
    ),
    "a version": Fact(
        lambda s: s.registered(lambda sm, arn: sm.describe_model_package(ModelPackageName=arn)), GUIDE,
        fields={
            "ModelPackageGroupName": "facts", "ModelPackageVersion": re.compile("[1-9]+"), "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []}, "CertifyForMarketplace": False,
            "InferenceSpecification/Containers/0/ImageDigest": re.compile("sha256:[0-9a-f]{64}"),
            "ModelApprovalStatus": "Approved",
        },
        absent=("ModelPackageName",),
    ),
    "an endpoint in service": Fact(
        lambda s: s.served(lambda sm: sm.describe_endpoint(EndpointName="Facts"), train(1).archive),
        f"{CUSTODIAN}/test_sagemaker_endpoint_delete",
        fields={
            "EndpointStatus": "InService", "EndpointName": "Facts", "EndpointArn": f"{SAGEMAKER}:endpoint/facts",
            "ProductionVariants/0/VariantName": "a", "ProductionVariants/0/CurrentWeight": 1.0,
            "ProductionVariants/0/DesiredWeight": 1.0, "ProductionVariants/0/CurrentInstanceCount": 1,
            "ProductionVariants/0/DesiredInstanceCount": 1,
        },
        absent=("FailureReason",),
    ),
    "an endpoint that failed": Fact(
        lambda s: s.served(lambda sm: sm.describe_endpoint(EndpointName="Facts"), tar_gz({"model.joblib": b"none"})),
        "aws/amazon-sagemaker-examples, issue 1113",
        fields={
            "EndpointStatus": "Failed",
            "FailureReason": " The primary container for production variant a did not pass the ping health check. Please check "
                             "CloudWatch logs for this endpoint.",
        },
        absent=("ProductionVariants",),
    ),
    "the endpoints of an account": Fact(
        lambda s: s.served(lambda sm: names(sm.list_endpoints(), "Endpoints")), f"{CUSTODIAN}/test_sagemaker_endpoint_delete",
        fields={"names": ["CreationTime", "EndpointArn", "EndpointName", "EndpointStatus", "LastModifiedTime"]},
    ),
    "the metrics of a new endpoint config": Fact(
        lambda s: s.hosted(lambda sm: sm.describe_endpoint_config(EndpointConfigName="facts")),
        "MetricsConfig in the SageMaker API reference",
        fields={"MetricsConfig/EnableDetailedObservability": True, "MetricsConfig/EnableEnhancedMetrics": False},
    ),
}  # fmt: skip
