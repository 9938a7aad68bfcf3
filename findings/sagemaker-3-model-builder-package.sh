#!/usr/bin/env bash
# sagemaker-serve 1.27.0: ModelBuilder deploys no ordinary version of a model package group, and says that it has no artifact.
#
# ModelBuilder(model=...) takes a ModelPackage of sagemaker-core. Of its container it reads ModelDataSource alone, which versions of
# tuned foundation models have; a version that was registered with ModelDataUrl, as by create_model_package and sagemaker 2, ends in
# ValueError, and no model is made. The warnings of sagemaker 2's ModelPackage name ModelBuilder as what to use instead.
# Ways round: Model.create() with model_package_name in its container, and the list of that model as ModelBuilder's model.
# Seen: the version's ModelDataUrl, then "Cannot resolve model artifacts: s3_uri is None ...".
# Beside it: moto 5.2.5 answers DescribeModelPackage as SageMaker's API is modelled.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'sagemaker-serve==1.27.0' 'moto[s3,sagemaker]==5.2.5'
cd "$folder"
echo "{SchemaVersion: '1.0', SageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}}" > settings.yaml
export AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none AWS_DEFAULT_REGION=us-east-1
SAGEMAKER_USER_CONFIG_OVERRIDE=settings.yaml "$folder/venv/bin/python" -W ignore - <<'PYTHON' 2>&1 | grep -v '^INFO:\|^WARNING:'
import boto3
from moto import mock_aws

with mock_aws():
    from sagemaker.core.helper.session_helper import Session
    from sagemaker.core.resources import ModelPackage
    from sagemaker.serve import ModelBuilder

    client = boto3.client("sagemaker")
    client.create_model_package_group(ModelPackageGroupName="churn")
    container = {"Image": "111111111111.dkr.ecr.us-east-1.amazonaws.com/churn:1", "ModelDataUrl": "s3://models/churn.tar.gz"}
    specification = {
        "Containers": [container],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    arn = client.create_model_package(ModelPackageGroupName="churn", InferenceSpecification=specification)["ModelPackageArn"]
    package = ModelPackage.get(model_package_name=arn)
    print("the version's artifact:", package.inference_specification.containers[0].model_data_url)
    builder = ModelBuilder(
        model=package,
        role_arn="arn:aws:iam::123456789012:role/execution",
        instance_type="ml.m5.large",
        sagemaker_session=Session(),
    )
    try:
        builder.build(model_name="churn")
    except ValueError as error:
        print("build:", error)
        assert str(error).startswith("Cannot resolve model artifacts: s3_uri is None"), error
    else:
        raise SystemExit("build no longer fails")
    assert client.list_models()["Models"] == []
PYTHON
