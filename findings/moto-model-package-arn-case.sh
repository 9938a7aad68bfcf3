#!/usr/bin/env bash
# moto 5.2.5: a model package group's name keeps its capitals in the group's ARN and loses them in the ARNs of its versions.
#
# A policy whose Resource is made from the group's name matches one of the two and not the other, and a test that reads the group's
# name out of a version's ARN reads another name than it gave.
# Seen: model-package-group/Churn beside model-package/churn/1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'moto[sagemaker]==5.2.5' 'boto3>=1.44'
cd "$folder"
AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none AWS_DEFAULT_REGION=us-east-1 "$folder/venv/bin/python" - <<'PYTHON'
import boto3
from moto import mock_aws

with mock_aws():
    client = boto3.client("sagemaker")
    group = client.create_model_package_group(ModelPackageGroupName="Churn")["ModelPackageGroupArn"]
    version = client.create_model_package(
        ModelPackageGroupName="Churn",
        InferenceSpecification={
            "Containers": [{"Image": "111111111111.dkr.ecr.us-east-1.amazonaws.com/churn:1"}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )["ModelPackageArn"]
    print(group)
    print(version)
    assert group.endswith(":model-package-group/Churn"), group
    assert version.endswith(":model-package/churn/1"), version
PYTHON
