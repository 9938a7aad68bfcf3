"""MLflow's deployments to SageMaker: a model of scikit-learn's, in the producer's image, which runs MLflow's scoring server.

The image is the producer's, so that a deployment needs the share; the model is packed and uploaded by MLflow itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import boto3
import mlflow.sklearn
import pandas
from botocore.exceptions import ClientError
from mlflow.deployments import get_deploy_client
from mlflow.sagemaker import SageMakerDeploymentClient
from reporting import refused, step
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

GIVEN = os.environ
NAME, REGION = GIVEN["NAME"], GIVEN["AWS_DEFAULT_REGION"]
BUCKET = f"mlflow-sagemaker-{REGION}-{GIVEN['TARGET_ACCOUNT']}"
IMAGE = f"{GIVEN['PRODUCER_ACCOUNT']}.dkr.ecr.{REGION}.amazonaws.com/{GIVEN['REPOSITORY']}:1"
EXTERNAL_ID = "mlflow"
ROWS = pandas.DataFrame([[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]])

# What the client calls, and nothing else: of a deployment, of what it looks for first, and of what it removes.
SAGEMAKER = (
    *(
        f"{verb}{kind}"
        for verb in ("Create", "Describe", "Delete")
        for kind in ("Model", "EndpointConfig", "Endpoint")
    ),
    *("UpdateEndpoint", "ListEndpoints", "InvokeEndpoint", "AddTags"),
)
S3 = ("CreateBucket", "ListAllMyBuckets", "ListBucket", "PutObject", "PutObjectTagging", "DeleteObject")
DEPLOYER = [f"sagemaker:{name}" for name in SAGEMAKER] + [f"s3:{name}" for name in S3] + ["iam:PassRole"]
EXECUTION = ["s3:GetObject", "s3:ListBucket", "ecr:GetAuthorizationToken", "ecr:BatchGetImage"]
EXECUTION += ["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer"]
ROLES = {
    "mlflow-deployer": (
        {"AWS": f"arn:aws:iam::{GIVEN['TARGET_ACCOUNT']}:root"},
        {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
        DEPLOYER,
    ),
    "mlflow-execution": ({"Service": "sagemaker.amazonaws.com"}, {}, EXECUTION),
}
DEPLOYER_ROLE, EXECUTION_ROLE = (f"arn:aws:iam::{GIVEN['TARGET_ACCOUNT']}:role/{name}" for name in ROLES)
CONFIG = {
    "execution_role_arn": EXECUTION_ROLE,
    "image_url": IMAGE,
    "instance_type": "ml.m5.large",
    "timeout_seconds": 120,
}


def administrator() -> boto3.Session:
    return boto3.Session(GIVEN["TARGET_ADMIN_KEY"], GIVEN["TARGET_ADMIN_SECRET"])


def become(key: dict[str, str]) -> None:
    """Let MLflow find these keys: it makes its sessions itself."""
    names = {"AWS_ACCESS_KEY_ID": "AccessKeyId", "AWS_SECRET_ACCESS_KEY": "SecretAccessKey"}
    names["AWS_SESSION_TOKEN"] = "SessionToken"
    for variable, name in names.items():
        os.environ.pop(variable, None)
        if name in key:
            os.environ[variable] = key[name]
    boto3.setup_default_session()


def assumed(role: str, **more: str) -> dict[str, str]:
    sts = administrator().client("sts")
    found: dict[str, str] = sts.assume_role(RoleArn=role, RoleSessionName="stranger", **more)["Credentials"]
    return found


def client(target: str = f"sagemaker:/{REGION}") -> SageMakerDeploymentClient:
    return get_deploy_client(target)


def saved(iterations: int) -> str:
    """The folder of a model in MLflow's format."""
    iris = load_iris()
    model = LogisticRegression(max_iter=iterations).fit(iris.data, iris.target)
    path = tempfile.mkdtemp()
    mlflow.sklearn.save_model(model, path, pip_requirements=["scikit-learn"])
    return path


@contextmanager
def roles() -> Iterator[None]:
    """The roles of an MLflow user, which the templates do not have; gone again at the end."""
    iam = administrator().client("iam")
    for name, (principal, condition, actions) in ROLES.items():
        trust = {
            "Effect": "Allow",
            "Principal": principal,
            "Action": "sts:AssumeRole",
            "Condition": condition,
        }
        allow = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document(trust))
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=_document(allow))
    try:
        yield
    finally:
        for name in ROLES:
            iam.delete_role_policy(RoleName=name, PolicyName="own")
            iam.delete_role(RoleName=name)


def _document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@contextmanager
def served() -> Iterator[None]:
    """The producer's image runs MLflow's scoring server, in this environment."""
    command = [str(Path(sys.executable).with_name("mlflow")), "models", "serve", "--model-uri", "{model_dir}"]
    command += ["--host", "127.0.0.1", "--port", "{port}", "--env-manager", "local"]
    environment = {"MLFLOW_DISABLE_TELEMETRY": "true", "PATH": GIVEN["PATH"]}
    _images("PUT", {"image": IMAGE, "command": command, "environment": environment})
    try:
        yield
    finally:
        _images("DELETE")


def _images(method: str, given: object = None) -> None:
    url = f"{GIVEN['AWS_ENDPOINT_URL']}/_sandbox/images"
    request = urllib.request.Request(url, json.dumps(given).encode(), method=method)
    urllib.request.urlopen(request).close()


def hosting() -> None:
    deployments = client()
    with step("create endpoint") as show:
        show(deployments.create_deployment(NAME, saved(1000), config=CONFIG))
    with step("create model") as show:
        (model,) = administrator().client("sagemaker").list_models(NameContains=NAME)["Models"]
        show(model["ModelName"])
    with step("wait") as show:
        status = deployments.get_deployment(NAME)["EndpointStatus"]
        assert status == "InService", status
        show(status)
    with step("default bucket") as show:
        s3 = administrator().client("s3")
        (kept,) = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
        tags = s3.get_object_tagging(Bucket=BUCKET, Key=kept["Key"])["TagSet"]
        assert tags == [{"Key": "SageMaker", "Value": "true"}], tags
        show(kept["Key"])
    with step("invoke") as show:
        said = deployments.predict(NAME, ROWS)["predictions"]
        assert said == [0, 2], said
        show(said)
    with step("mlflow deployments") as show:
        asked = Path.home() / "rows.json"
        asked.write_text(ROWS.to_json())
        said = commanded("predict", "--name", NAME, "--input-path", str(asked))
        assert json.loads(said) == {"predictions": [0, 2]}, said
        show(commanded("list"))


def commanded(*arguments: str) -> str:
    """What MLflow's own command says."""
    command = ["mlflow", "deployments", arguments[0], "--target", f"sagemaker:/{REGION}", *arguments[1:]]
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def end() -> None:
    deployments = client()
    with step("update endpoint") as show:
        before = deployments.get_deployment(NAME)["EndpointConfigName"]
        show(deployments.update_deployment(NAME, saved(500), config={**CONFIG, "mode": "replace"}))
        after = deployments.get_deployment(NAME)
        assert (after["EndpointStatus"], after["EndpointConfigName"] != before) == ("InService", True)
        assert deployments.predict(NAME, ROWS)["predictions"] == [0, 2]
    with step("tear down"):
        deployments.delete_deployment(NAME)
        waiter = administrator().client("sagemaker").get_waiter("endpoint_deleted")
        waiter.wait(EndpointName=NAME, WaiterConfig={"Delay": 1})
    with step("nothing left"):
        sagemaker = administrator().client("sagemaker")
        assert sagemaker.list_endpoints()["Endpoints"] == []
        assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == []
        assert sagemaker.list_models()["Models"] == []
        assert "Contents" not in administrator().client("s3").list_objects_v2(Bucket=BUCKET)


def refusal(name: str) -> None:
    """A deployment whose image the producer does not share: SageMaker makes no model of it."""
    with refused(name, ClientError):
        client().create_deployment(NAME, saved(1000), config=CONFIG)
    clean()


def clean() -> None:
    """Remove what a deployment leaves that failed, and the bucket that MLflow made."""
    sagemaker = administrator().client("sagemaker")
    for one in sagemaker.list_endpoints()["Endpoints"]:
        sagemaker.delete_endpoint(EndpointName=one["EndpointName"])
    while sagemaker.list_endpoints()["Endpoints"]:
        time.sleep(0.2)
    for one in sagemaker.list_endpoint_configs()["EndpointConfigs"]:
        sagemaker.delete_endpoint_config(EndpointConfigName=one["EndpointConfigName"])
    for one in sagemaker.list_models()["Models"]:
        sagemaker.delete_model(ModelName=one["ModelName"])
    bucket = administrator().resource("s3").Bucket(BUCKET)
    bucket.objects.all().delete()
    bucket.delete()


def main() -> None:
    """With an argument, try a deployment alone, as a step of that name; without one, do everything."""
    with roles(), served():
        if not sys.argv[1:]:
            operator = boto3.Session(profile_name="staging").get_credentials()
            become({"AccessKeyId": operator.access_key, "SecretAccessKey": operator.secret_key})
            with refused("refused without the external id", ClientError):  # MLflow has no argument for one
                client(f"sagemaker:/{REGION}/{DEPLOYER_ROLE}").list_deployments()
        become(assumed(DEPLOYER_ROLE, ExternalId=EXTERNAL_ID))
        if sys.argv[1:]:
            refusal(sys.argv[1])
        else:
            with step("assume deployer") as show:
                show(boto3.client("sts").get_caller_identity()["Arn"])
            hosting()
            end()
            clean()


main()
