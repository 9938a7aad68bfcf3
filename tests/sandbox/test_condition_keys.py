"""What a request says, and what its resource carries, is in the context of the actions that AWS lists it for.

Each row is asked in a session that may do everything but one action, and that one under a condition: with the value that
the request has it passes, with another it is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

ACCOUNT, REGION = "111111111111", "us-east-1"
SAGEMAKER = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
TAGS = [{"Key": "team", "Value": "a"}]
CLOSED = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
NOTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "ec2:*", "Resource": "*"}]}
)
SPECIFICATION = {
    "Containers": [
        {"Image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/repository:1", "ModelDataUrl": "s3://rows/a"}
    ],
    "SupportedContentTypes": ["text/csv"],
    "SupportedResponseMIMETypes": ["text/csv"],
}
NETWORK = {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
VARIANTS = [
    {"VariantName": "a", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1},
    {"VariantName": "b", "ModelName": "m", "InstanceType": "ml.c5.large", "InitialInstanceCount": 1},
]
SERVERLESS = [
    {"VariantName": "a", "ModelName": "m", "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5}}
]
METRIC = {
    "MetricName": "Errors",
    "Namespace": "n",
    "EvaluationPeriods": 1,
    "ComparisonOperator": "GreaterThanThreshold",
    "Threshold": 1.0,
    "Period": 60,
    "Statistic": "Sum",
}


class Rows:
    """Everything that the rows name, in the producer's account."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        admin = self.admin
        self.key = admin("kms").create_key(Tags=[{"TagKey": "team", "TagValue": "a"}])["KeyMetadata"]["Arn"]
        admin("kms").create_alias(AliasName="alias/rows", TargetKeyId=self.key)
        admin("s3").create_bucket(Bucket="rows")
        admin("s3").put_bucket_versioning(Bucket="rows", VersioningConfiguration={"Status": "Enabled"})
        self.version = admin("s3").put_object(Bucket="rows", Key="a", Body=b"a", Tagging="team=a")[
            "VersionId"
        ]
        under = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.key}
        admin("s3").put_object(Bucket="rows", Key="k", Body=b"k", **under)
        admin("ecr").create_repository(repositoryName="rows", tags=TAGS)
        sm = admin("sagemaker")
        sm.create_model_package_group(ModelPackageGroupName="rows", Tags=TAGS)
        sm.create_model_package(
            ModelPackageGroupName="rows",
            ModelLifeCycle={"Stage": "Development", "StageStatus": "Open"},
            CustomerMetadataProperties={"owner": "ana"},
            InferenceSpecification=SPECIFICATION,
        )
        self.package = f"{SAGEMAKER}:model-package/rows/1"
        iam = admin("iam")
        self.boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=NOTHING)["Policy"]["Arn"]
        self.policy = iam.create_policy(PolicyName="rows", Path="/x/", PolicyDocument=NOTHING)["Policy"][
            "Arn"
        ]
        bounded = {"Path": "/x/", "PermissionsBoundary": self.boundary, "Tags": TAGS}
        iam.create_role(RoleName="rows", AssumeRolePolicyDocument=CLOSED, **bounded)
        iam.create_role(RoleName="plain", AssumeRolePolicyDocument=CLOSED)
        iam.create_user(UserName="rows", Path="/x/", Tags=TAGS)
        trust = CLOSED.replace('"Service": "sagemaker.amazonaws.com"', f'"AWS": "{ACCOUNT}"')
        role = iam.create_role(RoleName="narrow", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        key = admin("sts").assume_role(RoleArn=role, RoleSessionName="narrow")["Credentials"]
        self.session = (key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])

    def admin(self, service: str) -> Any:
        return self.inner.client("producer", service)

    def only(self, service: str, action: str, **narrow: Any) -> Any:
        """A client of a role that may do everything, but the action only as narrowed; it is narrowed anew by each call."""
        return self.narrowed(service, {"NotAction": action}, {"Action": action, **narrow})

    def narrowed(self, service: str, *statements: dict[str, Any]) -> Any:
        """A client of the one role, which from now on may do what these statements say."""
        given = [{"Effect": "Allow", "Resource": "*", **statement} for statement in statements]
        document = json.dumps({"Version": "2012-10-17", "Statement": given})
        self.admin("iam").put_role_policy(RoleName="narrow", PolicyName="p", PolicyDocument=document)
        return self.inner.keyed(service, *self.session)


@pytest.fixture(scope="module")
def rows(inner: Any) -> Rows:
    return Rows(inner)


def denied(call: Callable[[], Any]) -> str | None:
    """Why a call was refused access; None when it was not, whatever else became of it."""
    try:
        call()
    except ClientError as error:
        said = error.response["Error"]
        return said["Message"] if said["Code"] in ("AccessDenied", "AccessDeniedException", "403") else None
    return None


def config(**more: Any) -> Callable[[Any, Rows], Any]:
    return lambda c, rows: c.create_endpoint_config(
        **{"EndpointConfigName": "c-1", "ProductionVariants": VARIANTS, **more}
    )


def version(**more: Any) -> Callable[[Any, Rows], Any]:
    return lambda c, rows: c.create_model_package(
        ModelPackageGroupName="rows", InferenceSpecification=SPECIFICATION, **more
    )


def update(**more: Any) -> Callable[[Any, Rows], Any]:
    return lambda c, rows: c.update_model_package(ModelPackageArn=rows.package, **more)


def model(**more: Any) -> Callable[[Any, Rows], Any]:
    return lambda c, rows: c.create_model(
        **{"ModelName": "m-1", "ExecutionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/plain", **more}
    )


def put(**more: Any) -> Callable[[Any, Rows], Any]:
    return lambda c, rows: c.put_object(**{"Bucket": "rows", "Key": "p", "Body": b"p", **more})


def encrypt(**more: Any) -> Callable[[Any, Rows], Any]:
    return lambda c, rows: c.encrypt(**{"KeyId": rows.key, "Plaintext": b"p", **more})


EQUALS, ANY, ALL = "StringEquals", "ForAnyValue:StringEquals", "ForAllValues:StringEquals"
CYCLE = {"ModelLifeCycle": {"Stage": "Production", "StageStatus": "Approved", "StageDescription": "d"}}
Row = tuple[str, str, Callable[[Any, Rows], Any], str, str, Any, Any]
# service, action, call, operator, key, a value that fits (or how the setting gives it), one that does not
SAGEMAKER_ROWS: list[Row] = [
    ("sagemaker", "sagemaker:CreateEndpointConfig", config(), ALL, "sagemaker:InstanceTypes",
     ["ml.m5.large", "ml.c5.large"], ["ml.m5.large"]),
    ("sagemaker", "sagemaker:CreateEndpointConfig", config(), ANY, "sagemaker:InstanceTypes", "ml.c5.large", "ml.t2.medium"),
    ("sagemaker", "sagemaker:CreateEndpointConfig", config(KmsKeyId="alias/rows"), "ArnEquals", "sagemaker:VolumeKmsKeyArn",
     lambda rows: rows.key, "arn:aws:kms:us-east-1:111111111111:key/other"),
    ("sagemaker", "sagemaker:CreateEndpointConfig", config(KmsKeyId="alias/rows"), "ArnEquals", "sagemaker:VolumeKmsKey",
     lambda rows: rows.key, "arn:aws:kms:us-east-1:111111111111:key/other"),
    ("sagemaker", "sagemaker:CreateEndpointConfig", config(), "Null", "sagemaker:VolumeKmsKeyArn", "true", "false"),
    ("sagemaker", "sagemaker:CreateEndpointConfig", config(EnableNetworkIsolation=True), "Bool",
     "sagemaker:NetworkIsolation", "true", "false"),
    ("sagemaker", "sagemaker:CreateEndpointConfig", config(VpcConfig=NETWORK), ALL, "sagemaker:VpcSubnets",
     ["subnet-1", "subnet-2"], ["subnet-1"]),
    ("sagemaker", "sagemaker:CreateEndpointConfig", config(VpcConfig=NETWORK), ANY, "sagemaker:VpcSecurityGroupIds",
     "sg-1", "sg-2"),
    ("sagemaker", "sagemaker:CreateEndpointConfig", config(ProductionVariants=SERVERLESS), "NumericLessThanEquals",
     "sagemaker:ServerlessMaxConcurrency", "5", "4"),
    ("sagemaker", "sagemaker:CreateEndpointConfig", config(ProductionVariants=SERVERLESS), "NumericEquals",
     "sagemaker:ServerlessMemorySize", "2048", "1024"),
    ("sagemaker", "sagemaker:CreateEndpointConfig", config(ProductionVariants=SERVERLESS), "Null",
     "sagemaker:InstanceTypes", "true", "false"),
    ("sagemaker", "sagemaker:CreateEndpointConfig", config(), "ArnLike", "sagemaker:ModelArn",
     f"{SAGEMAKER}:model/m", f"{SAGEMAKER}:model/n"),
    ("sagemaker", "sagemaker:CreateEndpointConfig", config(Tags=TAGS), EQUALS, "aws:RequestTag/team", "a", "b"),
    ("sagemaker", "sagemaker:CreateEndpointConfig", config(Tags=TAGS), ANY, "aws:TagKeys", "team", "cost"),
    ("sagemaker", "sagemaker:AddTags", config(Tags=TAGS), EQUALS, "sagemaker:TaggingAction", "CreateEndpointConfig", "AddTags"),
    ("sagemaker", "sagemaker:AddTags",
     lambda c, rows: c.add_tags(ResourceArn=f"{SAGEMAKER}:model-package-group/rows", Tags=TAGS),
     "Null", "sagemaker:TaggingAction", "true", "false"),
    ("sagemaker", "sagemaker:AddTags",
     lambda c, rows: c.add_tags(ResourceArn=f"{SAGEMAKER}:model-package-group/rows", Tags=TAGS),
     EQUALS, "aws:RequestTag/team", "a", "b"),
    ("sagemaker", "sagemaker:DeleteTags",
     lambda c, rows: c.delete_tags(ResourceArn=f"{SAGEMAKER}:model-package-group/rows", TagKeys=["none"]),
     ANY, "aws:TagKeys", "none", "team"),
    ("sagemaker", "sagemaker:CreateModel", model(EnableNetworkIsolation=True), "Bool", "sagemaker:NetworkIsolation",
     "true", "false"),
    ("sagemaker", "sagemaker:CreateModel", model(), "Null", "sagemaker:NetworkIsolation", "true", "false"),
    ("sagemaker", "sagemaker:CreateModel", model(VpcConfig=NETWORK), ALL, "sagemaker:VpcSubnets",
     ["subnet-1", "subnet-2"], ["subnet-2"]),
    ("sagemaker", "sagemaker:CreateModel", model(VpcConfig=NETWORK), ANY, "sagemaker:VpcSecurityGroupIds", "sg-1", "sg-2"),
    ("sagemaker", "sagemaker:CreateModel", model(Tags=TAGS), EQUALS, "aws:RequestTag/team", "a", "b"),
    ("sagemaker", "sagemaker:CreateModelPackage", version(ModelApprovalStatus="Approved"), EQUALS,
     "sagemaker:ModelApprovalStatus", "Approved", "Rejected"),
    ("sagemaker", "sagemaker:CreateModelPackage", version(**CYCLE), EQUALS, "sagemaker:ModelLifeCycle:Stage",
     "Production", "Development"),
    ("sagemaker", "sagemaker:CreateModelPackage", version(**CYCLE), EQUALS, "sagemaker:ModelLifeCycle:stageStatus",
     "Approved", "Open"),
    ("sagemaker", "sagemaker:CreateModelPackage", version(CustomerMetadataProperties={"owner": "bob"}), EQUALS,
     "sagemaker:CustomerMetadataProperties/owner", "bob", "ana"),
    ("sagemaker", "sagemaker:UpdateModelPackage", update(ModelApprovalStatus="Approved"), EQUALS,
     "sagemaker:ModelApprovalStatus", "Approved", "Rejected"),
    ("sagemaker", "sagemaker:UpdateModelPackage", update(ApprovalDescription="d"), "Null",
     "sagemaker:ModelApprovalStatus", "true", "false"),
    ("sagemaker", "sagemaker:UpdateModelPackage", update(CustomerMetadataPropertiesToRemove=["x"]), ANY,
     "sagemaker:CustomerMetadataPropertiesToRemove", "x", "y"),
    ("sagemaker", "sagemaker:UpdateModelPackage", update(ApprovalDescription="d"), EQUALS,
     "sagemaker:CurrentModelLifeCycleStage", "Development", "Production"),
    ("sagemaker", "sagemaker:DescribeModelPackage", lambda c, rows: c.describe_model_package(ModelPackageName=rows.package),
     EQUALS, "sagemaker:CurrentModelLifeCycleStageStatus", "Open", "Approved"),
    ("sagemaker", "sagemaker:DescribeModelPackage", lambda c, rows: c.describe_model_package(ModelPackageName=rows.package),
     EQUALS, "sagemaker:CurrentCustomerMetadataProperties/owner", "ana", "bob"),
    ("sagemaker", "sagemaker:DescribeModelPackage", lambda c, rows: c.describe_model_package(ModelPackageName=rows.package),
     EQUALS, "aws:ResourceTag/team", "a", "b"),
    ("sagemaker", "sagemaker:DescribeModelPackageGroup",
     lambda c, rows: c.describe_model_package_group(ModelPackageGroupName="rows"), EQUALS, "sagemaker:ResourceTag/team", "a", "b"),
    ("sagemaker", "iam:PassRole", model(), EQUALS, "iam:PassedToService", "sagemaker.amazonaws.com", "ec2.amazonaws.com"),
]  # fmt: skip
COPY = {"Bucket": "rows", "Key": "copy", "CopySource": "/rows/a"}
S3_ROWS: list[Row] = [
    ("s3", "s3:PutObject", put(ServerSideEncryption="AES256"), EQUALS, "s3:x-amz-server-side-encryption", "AES256", "aws:kms"),
    ("s3", "s3:PutObject", put(), "Null", "s3:x-amz-server-side-encryption", "true", "false"),
    ("s3", "s3:PutObject", lambda c, rows: put(ServerSideEncryption="aws:kms", SSEKMSKeyId=rows.key)(c, rows), EQUALS,
     "s3:x-amz-server-side-encryption-aws-kms-key-id", lambda rows: rows.key, "arn:aws:kms:us-east-1:111111111111:key/other"),
    ("s3", "s3:PutObject", put(ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/rows"), EQUALS,
     "s3:x-amz-server-side-encryption-aws-kms-key-id", lambda rows: rows.key, "alias/rows"),
    ("s3", "s3:PutObject", put(ServerSideEncryption="aws:kms"), "Null", "s3:x-amz-server-side-encryption-aws-kms-key-id",
     "true", "false"),
    ("s3", "s3:PutObject", lambda c, rows: c.copy_object(**COPY, ServerSideEncryption="AES256"), EQUALS,
     "s3:x-amz-server-side-encryption", "AES256", "aws:kms"),
    ("s3", "s3:PutObject", lambda c, rows: c.copy_object(**COPY), EQUALS, "s3:x-amz-copy-source", "rows/a", "rows/b"),
    ("s3", "s3:PutObject",
     lambda c, rows: c.create_multipart_upload(Bucket="rows", Key="m", ServerSideEncryption="AES256"), EQUALS,
     "s3:x-amz-server-side-encryption", "AES256", "aws:kms"),
    ("s3", "s3:PutObject", put(), "Bool", "s3:ObjectCreationOperation", "true", "false"),
    ("s3", "s3:PutObject", lambda c, rows: c.create_multipart_upload(Bucket="rows", Key="m"), "Bool",
     "s3:ObjectCreationOperation", "false", "true"),
    ("s3", "s3:PutObject", put(StorageClass="STANDARD_IA"), EQUALS, "s3:x-amz-storage-class", "STANDARD_IA", "GLACIER"),
    ("s3", "s3:PutObject", put(IfNoneMatch="*", Key="never"), "Null", "s3:if-none-match", "false", "true"),
    ("s3", "s3:PutObject", put(Tagging="team=a&cost=1"), EQUALS, "s3:RequestObjectTag/team", "a", "b"),
    ("s3", "s3:PutObject", put(Tagging="team=a&cost=1"), ALL, "s3:RequestObjectTagKeys", ["team", "cost"], ["team"]),
    ("s3", "s3:PutObject", put(ACL="bucket-owner-full-control"), EQUALS, "s3:x-amz-acl", "bucket-owner-full-control", "private"),
    ("s3", "s3:PutObject", put(), EQUALS, "s3:ResourceAccount", ACCOUNT, "222222222222"),
    ("s3", "s3:GetObject", lambda c, rows: c.get_object(Bucket="rows", Key="a"), EQUALS, "s3:ResourceAccount", ACCOUNT, "222222222222"),
    ("s3", "s3:ListBucket", lambda c, rows: c.list_objects_v2(Bucket="rows"), EQUALS, "s3:ResourceAccount", ACCOUNT, "222222222222"),
    ("s3", "s3:ListBucket", lambda c, rows: c.list_objects_v2(Bucket="rows"), EQUALS, "s3:authType", "REST-HEADER", "POST"),
    ("s3", "s3:ListBucket", lambda c, rows: c.list_objects_v2(Bucket="rows"), EQUALS, "s3:signatureversion",
     "AWS4-HMAC-SHA256", "AWS"),
    ("s3", "s3:GetObject", lambda c, rows: c.get_object(Bucket="rows", Key="a"), EQUALS, "s3:ExistingObjectTag/team", "a", "b"),
    ("s3", "s3:GetObjectVersion", lambda c, rows: c.get_object(Bucket="rows", Key="a", VersionId=rows.version), EQUALS,
     "s3:VersionId", lambda rows: rows.version, "another"),
    ("s3", "s3:PutObjectTagging",
     lambda c, rows: c.put_object_tagging(Bucket="rows", Key="a", Tagging={"TagSet": TAGS}), EQUALS,
     "s3:RequestObjectTag/team", "a", "b"),
    ("s3", "kms:Decrypt", lambda c, rows: c.get_object(Bucket="rows", Key="k"), EQUALS, "kms:EncryptionContext:aws:s3:arn",
     "arn:aws:s3:::rows/k", "arn:aws:s3:::rows/a"),
    ("s3", "kms:Decrypt", lambda c, rows: c.get_object(Bucket="rows", Key="k"), EQUALS, "kms:ViaService",
     "s3.us-east-1.amazonaws.com", "ec2.us-east-1.amazonaws.com"),
    ("s3", "kms:GenerateDataKey", put(ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/rows"), ANY,
     "kms:EncryptionContextKeys", "aws:s3:arn", "other"),
]  # fmt: skip
KMS_ROWS: list[Row] = [
    ("kms", "kms:Encrypt", encrypt(EncryptionContext={"a": "1", "b": "2"}), EQUALS, "kms:EncryptionContext:a", "1", "2"),
    ("kms", "kms:Encrypt", encrypt(EncryptionContext={"a": "1", "b": "2"}), ALL, "kms:EncryptionContextKeys", ["a", "b"], ["a"]),
    ("kms", "kms:Encrypt", encrypt(), "Null", "kms:EncryptionContextKeys", "true", "false"),
    ("kms", "kms:Encrypt", encrypt(KeyId="alias/rows"), EQUALS, "kms:RequestAlias", "alias/rows", "alias/other"),
    ("kms", "kms:Encrypt", encrypt(KeyId=f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/rows"), EQUALS, "kms:RequestAlias",
     "alias/rows", "alias/other"),
    ("kms", "kms:Encrypt", encrypt(), "Null", "kms:RequestAlias", "true", "false"),
    ("kms", "kms:Encrypt", encrypt(), EQUALS, "kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_256"),
    ("kms", "kms:Encrypt", encrypt(), "Null", "kms:ViaService", "true", "false"),
    ("kms", "kms:GenerateDataKey",
     lambda c, rows: c.generate_data_key(KeyId="alias/rows", KeySpec="AES_256", EncryptionContext={"a": "1"}), EQUALS,
     "kms:EncryptionContext:a", "1", "2"),
    ("kms", "kms:DescribeKey", lambda c, rows: c.describe_key(KeyId="alias/rows"), EQUALS, "kms:RequestAlias",
     "alias/rows", "alias/other"),
    ("kms", "kms:DescribeKey", lambda c, rows: c.describe_key(KeyId=rows.key), EQUALS, "aws:ResourceTag/team", "a", "b"),
    ("kms", "kms:DescribeKey", lambda c, rows: c.describe_key(KeyId=rows.key), ANY, "kms:ResourceAliases", "alias/rows", "alias/x"),
    ("kms", "kms:DescribeKey", lambda c, rows: c.describe_key(KeyId=rows.key), EQUALS, "kms:KeySpec", "SYMMETRIC_DEFAULT", "RSA_2048"),
    ("kms", "kms:DescribeKey", lambda c, rows: c.describe_key(KeyId=rows.key), "Bool", "kms:MultiRegion", "false", "true"),
    ("kms", "kms:TagResource",
     lambda c, rows: c.tag_resource(KeyId=rows.key, Tags=[{"TagKey": "cost", "TagValue": "1"}]), EQUALS, "aws:RequestTag/cost", "1", "2"),
    ("kms", "kms:UntagResource", lambda c, rows: c.untag_resource(KeyId=rows.key, TagKeys=["cost"]), ANY, "aws:TagKeys", "cost", "team"),
    ("kms", "kms:CreateKey", lambda c, rows: c.create_key(), EQUALS, "kms:KeyUsage", "ENCRYPT_DECRYPT", "SIGN_VERIFY"),
    ("kms", "kms:TagResource", lambda c, rows: c.create_key(Tags=[{"TagKey": "team", "TagValue": "a"}]), EQUALS,
     "aws:RequestTag/team", "a", "b"),
]  # fmt: skip
ROLE = {"AssumeRolePolicyDocument": CLOSED}
OTHER_POLICY = f"arn:aws:iam::{ACCOUNT}:policy/other"
IAM_ROWS: list[Row] = [
    ("iam", "iam:AttachRolePolicy", lambda c, rows: c.attach_role_policy(RoleName="plain", PolicyArn=rows.policy), "ArnEquals",
     "iam:PolicyARN", lambda rows: rows.policy, OTHER_POLICY),
    ("iam", "iam:DetachRolePolicy", lambda c, rows: c.detach_role_policy(RoleName="plain", PolicyArn=rows.policy), "ArnEquals",
     "iam:PolicyARN", lambda rows: rows.policy, OTHER_POLICY),
    ("iam", "iam:AttachUserPolicy", lambda c, rows: c.attach_user_policy(UserName="rows", PolicyArn=rows.policy), "ArnEquals",
     "iam:PolicyARN", lambda rows: rows.policy, OTHER_POLICY),
    ("iam", "iam:CreateRole",
     lambda c, rows: c.create_role(RoleName="rows", PermissionsBoundary=rows.boundary, **ROLE), EQUALS,
     "iam:PermissionsBoundary", lambda rows: rows.boundary, OTHER_POLICY),
    ("iam", "iam:CreateRole", lambda c, rows: c.create_role(RoleName="rows", **ROLE), "Null", "iam:PermissionsBoundary",
     "true", "false"),
    ("iam", "iam:PutRolePermissionsBoundary",
     lambda c, rows: c.put_role_permissions_boundary(RoleName="rows", PermissionsBoundary=rows.boundary), EQUALS,
     "iam:PermissionsBoundary", lambda rows: rows.boundary, OTHER_POLICY),
    ("iam", "iam:PutRolePolicy",
     lambda c, rows: c.put_role_policy(RoleName="rows", PolicyName="p", PolicyDocument=NOTHING), EQUALS,
     "iam:PermissionsBoundary", lambda rows: rows.boundary, OTHER_POLICY),
    ("iam", "iam:GetRole", lambda c, rows: c.get_role(RoleName="rows"), EQUALS, "iam:ResourceTag/team", "a", "b"),
    ("iam", "iam:GetRole", lambda c, rows: c.get_role(RoleName="rows"), EQUALS, "aws:ResourceTag/team", "a", "b"),
    ("iam", "iam:GetUser", lambda c, rows: c.get_user(UserName="rows"), EQUALS, "iam:ResourceTag/team", "a", "b"),
    ("iam", "iam:CreateRole", lambda c, rows: c.create_role(RoleName="rows", Tags=TAGS, **ROLE), EQUALS,
     "aws:RequestTag/team", "a", "b"),
    ("iam", "iam:TagRole", lambda c, rows: c.create_role(RoleName="rows", Tags=TAGS, **ROLE), EQUALS,
     "aws:RequestTag/team", "a", "b"),
    ("iam", "iam:TagRole", lambda c, rows: c.tag_role(RoleName="rows", Tags=TAGS), ANY, "aws:TagKeys", "team", "cost"),
    ("iam", "iam:UntagRole", lambda c, rows: c.untag_role(RoleName="rows", TagKeys=["cost"]), ANY, "aws:TagKeys", "cost", "team"),
]  # fmt: skip
OTHER_ROWS: list[Row] = [
    ("ecr", "ecr:DescribeRepositories", lambda c, rows: c.describe_repositories(repositoryNames=["rows"]), EQUALS,
     "aws:ResourceTag/team", "a", "b"),
    ("ecr", "ecr:DescribeRepositories", lambda c, rows: c.describe_repositories(repositoryNames=["rows"]), EQUALS,
     "ecr:ResourceTag/team", "a", "b"),
    ("ecr", "ecr:CreateRepository", lambda c, rows: c.create_repository(repositoryName="rows", tags=TAGS), EQUALS,
     "aws:RequestTag/team", "a", "b"),
    ("ecr", "ecr:TagResource", lambda c, rows: c.create_repository(repositoryName="rows", tags=TAGS), EQUALS,
     "aws:RequestTag/team", "a", "b"),
    ("ecr", "ecr:TagResource",
     lambda c, rows: c.tag_resource(resourceArn=f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/rows", tags=TAGS), ANY,
     "aws:TagKeys", "team", "cost"),
    ("ecr", "ecr:UntagResource",
     lambda c, rows: c.untag_resource(resourceArn=f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/rows", tagKeys=["cost"]), ANY,
     "aws:TagKeys", "cost", "team"),
    ("cloudwatch", "cloudwatch:PutMetricAlarm",
     lambda c, rows: c.put_metric_alarm(AlarmName="x", AlarmActions=["arn:aws:sns:us-east-1:111111111111:t"], **METRIC), ANY,
     "cloudwatch:AlarmActions", "arn:aws:sns:us-east-1:111111111111:t", "arn:aws:sns:us-east-1:111111111111:u"),
    ("cloudwatch", "cloudwatch:TagResource", lambda c, rows: c.put_metric_alarm(AlarmName="x", Tags=TAGS, **METRIC), EQUALS,
     "aws:RequestTag/team", "a", "b"),
    ("kms", "kms:ListKeys", lambda c, rows: c.list_keys(), "StringLike", "aws:UserAgent", "*Botocore/*", "curl*"),
]  # fmt: skip
ROWS = [*SAGEMAKER_ROWS, *S3_ROWS, *KMS_ROWS, *IAM_ROWS, *OTHER_ROWS]


@pytest.mark.parametrize(
    ("service", "action", "call", "operator", "key", "fits", "fails"),
    ROWS,
    ids=[f"{row[1]} {row[3]} {row[4]} {number}" for number, row in enumerate(ROWS)],
)
def test_a_key_has_the_value_of_the_request(
    rows: Rows,
    service: str,
    action: str,
    call: Callable[[Any, Rows], Any],
    operator: str,
    key: str,
    fits: Any,
    fails: Any,
) -> None:
    fits = fits(rows) if callable(fits) else fits
    said = denied(lambda: call(rows.only(service, action, Condition={operator: {key: fails}}), rows))
    assert said is not None
    assert f"perform: {action} on " in said
    assert denied(lambda: call(rows.only(service, action, Condition={operator: {key: fits}}), rows)) is None


def one(arn: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:{arn}"


HOME = f"{SAGEMAKER}:model-package/rows/1"
ALIAS = f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/new"
ROW_OBJECT = "arn:aws:s3:::rows/a"
COPYING = {"Bucket": "rows", "Key": "copy"}


def of_version(c: Any, rows: Rows, name: str, **more: Any) -> Any:
    return getattr(c, name)(Bucket="rows", Key="a", VersionId=rows.version, **more)


def shown(service: str, resource: str) -> str:
    """What a refusal calls a resource: IAM names a role or user that is there."""
    kind, _, path = resource.rpartition(":")[2].partition("/")
    by_name = service == "iam" and kind in ("role", "user") and "/z/" not in resource
    return f"{kind} {path.rpartition('/')[2]}" if by_name else resource


# service, the call, and the actions with the resource that each is asked on
ASKED: list[tuple[str, Callable[[Any, Rows], Any], dict[str, Any]]] = [
    ("sagemaker", lambda c, rows: c.batch_describe_model_package(ModelPackageArnList=[rows.package]),
     {"sagemaker:BatchDescribeModelPackage": HOME}),
    ("kms", lambda c, rows: c.create_alias(AliasName="alias/new", TargetKeyId=rows.key), {"kms:CreateAlias": (ALIAS, "KEY")}),
    ("s3", lambda c, rows: put(Tagging="a=1")(c, rows), {"s3:PutObject": "arn:aws:s3:::rows/p", "s3:PutObjectTagging": "arn:aws:s3:::rows/p"}),
    ("s3", lambda c, rows: c.create_multipart_upload(Bucket="rows", Key="m", Tagging="a=1"),
     {"s3:PutObject": "arn:aws:s3:::rows/m", "s3:PutObjectTagging": "arn:aws:s3:::rows/m"}),
    ("s3", lambda c, rows: c.copy_object(**COPYING, CopySource="/rows/a"),
     {"s3:GetObject": ROW_OBJECT, "s3:GetObjectTagging": ROW_OBJECT,
      "s3:PutObject": "arn:aws:s3:::rows/copy", "s3:PutObjectTagging": "arn:aws:s3:::rows/copy"}),
    ("s3", lambda c, rows: c.copy_object(**COPYING, CopySource="/rows/a", TaggingDirective="REPLACE", Tagging="a=1"),
     {"s3:PutObjectTagging": "arn:aws:s3:::rows/copy"}),
    ("s3", lambda c, rows: c.get_object_attributes(Bucket="rows", Key="a", ObjectAttributes=["ETag"]),
     {"s3:GetObject": ROW_OBJECT, "s3:GetObjectAttributes": ROW_OBJECT}),
    ("s3", lambda c, rows: of_version(c, rows, "get_object_attributes", ObjectAttributes=["ETag"]),
     {"s3:GetObjectVersion": ROW_OBJECT, "s3:GetObjectVersionAttributes": ROW_OBJECT}),
    ("s3", lambda c, rows: of_version(c, rows, "get_object"), {"s3:GetObjectVersion": ROW_OBJECT}),
    ("s3", lambda c, rows: of_version(c, rows, "get_object_tagging"), {"s3:GetObjectVersionTagging": ROW_OBJECT}),
    ("s3", lambda c, rows: of_version(c, rows, "put_object_tagging", Tagging={"TagSet": TAGS}), {"s3:PutObjectVersionTagging": ROW_OBJECT}),
    ("s3", lambda c, rows: of_version(c, rows, "delete_object_tagging"), {"s3:DeleteObjectVersionTagging": ROW_OBJECT}),
    ("s3", lambda c, rows: c.get_object_tagging(Bucket="rows", Key="a"), {"s3:GetObjectTagging": ROW_OBJECT}),
    ("iam", lambda c, rows: c.get_role(RoleName="rows"), {"iam:GetRole": one("role/x/rows")}),
    ("iam", lambda c, rows: c.attach_role_policy(RoleName="rows", PolicyArn=rows.policy), {"iam:AttachRolePolicy": one("role/x/rows")}),
    ("iam", lambda c, rows: c.detach_role_policy(RoleName="rows", PolicyArn=rows.policy), {"iam:DetachRolePolicy": one("role/x/rows")}),
    ("iam", lambda c, rows: c.attach_user_policy(UserName="rows", PolicyArn=rows.policy), {"iam:AttachUserPolicy": one("user/x/rows")}),
    ("iam", lambda c, rows: c.put_role_policy(RoleName="rows", PolicyName="p", PolicyDocument=NOTHING), {"iam:PutRolePolicy": one("role/x/rows")}),
    ("iam", lambda c, rows: c.create_policy(PolicyName="new", PolicyDocument="{"), {"iam:CreatePolicy": one("policy/new")}),
    ("iam", lambda c, rows: c.create_policy(PolicyName="new", Path="/y/", PolicyDocument="{"), {"iam:CreatePolicy": one("policy/y/new")}),
    ("iam", lambda c, rows: c.create_policy(PolicyName="new", PolicyDocument="{", Tags=TAGS), {"iam:TagPolicy": one("policy/new")}),
    ("iam", lambda c, rows: c.get_policy(PolicyArn=rows.policy), {"iam:GetPolicy": one("policy/x/rows")}),
    ("iam", lambda c, rows: c.create_role(RoleName="rows", Path="/z/", Tags=TAGS, **ROLE),
     {"iam:CreateRole": one("role/z/rows"), "iam:TagRole": one("role/z/rows")}),
    ("iam", lambda c, rows: c.update_assume_role_policy(RoleName="rows", PolicyDocument=CLOSED), {"iam:UpdateAssumeRolePolicy": one("role/x/rows")}),
    ("ecr", lambda c, rows: c.create_repository(repositoryName="rows", tags=TAGS),
     {"ecr:TagResource": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/rows"}),
    ("ecr", lambda c, rows: c.list_tags_for_resource(resourceArn=f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/rows"),
     {"ecr:ListTagsForResource": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/rows"}),
    ("cloudwatch", lambda c, rows: c.put_metric_alarm(AlarmName="x", Tags=TAGS, **METRIC),
     {"cloudwatch:TagResource": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:x"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("service", "call", "asked"),
    ASKED,
    ids=[f"{' '.join(row[2])} {number}" for number, row in enumerate(ASKED)],
)
def test_every_action_of_an_operation_is_asked_on_its_resource(
    rows: Rows, service: str, call: Callable[[Any, Rows], Any], asked: dict[str, Any]
) -> None:
    def said(action: str, resources: list[str]) -> str | None:
        return denied(lambda: call(rows.only(service, action, Resource=resources), rows))

    for action, named in asked.items():
        resources = [
            rows.key if text == "KEY" else text for text in ([named] if isinstance(named, str) else named)
        ]
        assert said(action, resources) is None
        for left in resources:
            others = [resource for resource in resources if resource != left]
            refusal = said(action, [*others, one("role/no")])
            assert refusal is not None
            assert f"perform: {action} on resource: {shown(service, left)} " in refusal.replace('"', "")


GROUP = f"{SAGEMAKER}:model-package-group/rows"


@pytest.mark.parametrize(
    ("statements", "may"),
    [
        ([{"Resource": GROUP}], True),
        ([{"Resource": f"{SAGEMAKER}:model-package/rows/*"}], True),
        ([{"Resource": "*"}, {"Effect": "Deny", "Resource": GROUP}], False),
        ([{"Resource": "*"}, {"Effect": "Deny", "Resource": f"{SAGEMAKER}:model-package/rows/*"}], False),
        ([{"Resource": GROUP}, {"Effect": "Deny", "Resource": f"{SAGEMAKER}:model-package/rows/*"}], False),
        ([{"Resource": f"{SAGEMAKER}:model-package/rows/*"}, {"Effect": "Deny", "Resource": GROUP}], False),
        ([{"Resource": "*"}, {"Effect": "Deny", "Resource": f"{SAGEMAKER}:model-package/other/*"}], True),
        ([{"Resource": f"{SAGEMAKER}:model-package-group/other"}], False),
    ],
)
def test_a_deny_of_listing_versions_wins_on_the_group_and_on_its_versions(
    rows: Rows, statements: list[dict[str, Any]], may: bool
) -> None:
    given = [
        {"Effect": "Allow", "Action": "sagemaker:ListModelPackages", **statement} for statement in statements
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": given})
    sm = rows.inner.session("producer", "sagemaker", policy)
    said = denied(lambda: sm.list_model_packages(ModelPackageGroupName="rows"))
    assert (said is None) == may
    if len(statements) == 2 and not may:
        assert "explicit deny" in str(said)


@pytest.mark.parametrize("name", ["alias/aws/s3", "alias/aws/mine"])
def test_an_alias_that_aws_keeps_is_refused(rows: Rows, name: str) -> None:
    with pytest.raises(ClientError) as error:
        rows.admin("kms").create_alias(AliasName=name, TargetKeyId=rows.key)
    assert error.value.response["Error"]["Code"] == "NotAuthorizedException"


def test_an_alias_begins_as_one(rows: Rows) -> None:
    with pytest.raises(ClientError, match='Alias must start with the prefix "alias/"') as error:
        rows.admin("kms").create_alias(AliasName="mine", TargetKeyId=rows.key)
    assert error.value.response["Error"]["Code"] == "ValidationException"


def test_a_group_that_is_made_anew_has_none_of_the_tags_before(rows: Rows) -> None:
    sm, name = rows.admin("sagemaker"), {"ModelPackageGroupName": "anew"}
    for tags in (TAGS, []):
        sm.create_model_package_group(**name, Tags=tags)
        asked = rows.only(
            "sagemaker",
            "sagemaker:DescribeModelPackageGroup",
            Condition={"Null": {"aws:ResourceTag/team": "true"}},
        )
        assert (denied(lambda asked=asked: asked.describe_model_package_group(**name)) is None) == (
            tags == []
        )
        sm.delete_model_package_group(**name)
