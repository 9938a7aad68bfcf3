#!/usr/bin/env bash
# sagemaker 2.257.7: ModelPackage.deploy() approves the version that it deploys, also one that was rejected.
#
# It reads the version's ModelApprovalStatus and, unless that is Approved, sends UpdateModelPackage with Approved before it makes the
# model: no argument leaves that out, nothing is printed, and the version stays approved when the deployment fails later on.
# Whoever deploys and holds sagemaker:UpdateModelPackage so takes a review's decision back, and what waits for the approval's event
# deploys the version too. Whoever does not hold it sees AccessDenied for UpdateModelPackage, a call that was not asked for.
# Seen: PendingManualApproval and Rejected before, Approved after.
# Beside it: moto 5.2.5 keeps the status as SageMaker's API has it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'sagemaker==2.257.7' 'moto[s3,sagemaker]==5.2.5'
cd "$folder"
echo "{SchemaVersion: '1.0', SageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}}" > settings.yaml
export AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none AWS_DEFAULT_REGION=us-east-1
SAGEMAKER_USER_CONFIG_OVERRIDE=settings.yaml SAGEMAKER_SUPPRESS_V2_WARNING=1 "$folder/venv/bin/python" -W ignore - <<'PYTHON' 2>&1 | grep -v ' INFO - '
import boto3
from moto import mock_aws

with mock_aws():
    import sagemaker

    client = boto3.client("sagemaker")
    client.create_model_package_group(ModelPackageGroupName="churn")
    container = {"Image": "111111111111.dkr.ecr.us-east-1.amazonaws.com/churn:1", "ModelDataUrl": "s3://models/churn.tar.gz"}
    specification = {
        "Containers": [container],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    for status in ("PendingManualApproval", "Rejected"):
        arn = client.create_model_package(
            ModelPackageGroupName="churn", ModelApprovalStatus=status, InferenceSpecification=specification
        )["ModelPackageArn"]
        model = sagemaker.ModelPackage(role="arn:aws:iam::123456789012:role/execution", model_package_arn=arn)
        model.deploy(initial_instance_count=1, instance_type="ml.m5.large", wait=False)
        after = client.describe_model_package(ModelPackageName=arn)["ModelApprovalStatus"]
        print(f"{arn.rpartition('/')[2]}: {status} before, {after} after deploy()")
        assert after == "Approved", after
PYTHON
