#!/usr/bin/env bash
# sagemaker-core 2.27.0: the resource ModelPackage cannot make, nor delete, a version of a model package group.
#
# ModelPackage.create(model_package_group_name=...) sends CreateModelPackage, which makes the version and answers with its ARN.
# It then looks for ModelPackageName among the arguments, which a version does not have, and ends in KeyError: the caller sees a
# failure, and the version exists. ModelPackage.get finds it, and delete() of what get gave sends no name: ParamValidationError.
# A retry of the failed create registers one version more each time.
# Seen: "KeyError: 'ModelPackageName'", one version listed after it, then "ParamValidationError" and the version still listed.
# Beside it: moto 5.2.5 answers as SageMaker's API is modelled (CreateModelPackageOutput has ModelPackageArn alone).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'sagemaker-core==2.27.0' 'moto[sagemaker]==5.2.5' 'boto3>=1.44'
cd "$folder"
AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none AWS_DEFAULT_REGION=us-east-1 "$folder/venv/bin/python" - <<'PYTHON'
import boto3
from botocore.exceptions import ParamValidationError
from moto import mock_aws

with mock_aws():
    from sagemaker.core.resources import ModelPackage

    client = boto3.client("sagemaker")
    output = client.meta.service_model.operation_model("CreateModelPackage").output_shape
    assert list(output.members) == ["ModelPackageArn"], list(output.members)
    client.create_model_package_group(ModelPackageGroupName="churn")
    container = {"image": "111111111111.dkr.ecr.us-east-1.amazonaws.com/churn:1", "model_data_url": "s3://models/churn.tar.gz"}
    specification = {
        "containers": [container],
        "supported_content_types": ["text/csv"],
        "supported_response_mime_types": ["text/csv"],
    }

    def versions():
        listed = client.list_model_packages(ModelPackageGroupName="churn")
        return [summary["ModelPackageArn"] for summary in listed["ModelPackageSummaryList"]]

    try:
        ModelPackage.create(model_package_group_name="churn", inference_specification=specification)
    except KeyError as error:
        print("create:", repr(error))
        assert str(error) == "'ModelPackageName'"
    else:
        raise SystemExit("create no longer fails")
    (arn,) = versions()
    print("made all the same:", arn)
    try:
        ModelPackage.get(model_package_name=arn).delete()
    except ParamValidationError as error:
        print("delete:", type(error).__name__)
    else:
        raise SystemExit("delete no longer fails")
    assert versions() == [arn]
PYTHON
