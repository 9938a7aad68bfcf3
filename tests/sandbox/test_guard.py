"""Nothing passes the guard by default: who calls, with what signature, which operation, for whose account."""

from __future__ import annotations

import configparser
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import botocore.auth
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

BUCKET, GROUP = "producer-models-111111111111", "decision-trees-sample"
PACKAGE = f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/2"


def refused(call: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as error:
        call()
    return dict(error.value.response["Error"])


@pytest.mark.parametrize(
    "path",
    [
        "/",
        f"/{BUCKET}",
        f"/{BUCKET}/models/x",
        "/moto-api/reset",
        "/moto-api/data.json",
        "/latest/meta-data/",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
def test_an_unsigned_request_is_refused(sandbox: Any, path: str, method: str) -> None:
    request = urllib.request.Request(sandbox.url + path, method=method)
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request)
    assert error.value.code == 403


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("sts", lambda c: c.get_caller_identity(), "InvalidClientTokenId"),
        ("s3", lambda c: c.list_buckets(), "InvalidAccessKeyId"),
        ("sagemaker", lambda c: c.list_models(), "UnrecognizedClientException"),
        ("ecr", lambda c: c.describe_repositories(), "UnrecognizedClientException"),
        ("kms", lambda c: c.list_keys(), "UnrecognizedClientException"),
    ],
)
def test_an_unknown_key_is_refused(sandbox: Any, service: str, call: Any, code: str) -> None:
    assert refused(lambda: call(sandbox.client(service, "AKIANOBODY", "secret")))["Code"] == code


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("sts", lambda c: c.get_caller_identity(), "SignatureDoesNotMatch"),
        ("s3", lambda c: c.list_buckets(), "SignatureDoesNotMatch"),
        ("sagemaker", lambda c: c.list_models(), "InvalidSignatureException"),
    ],
)
def test_a_wrong_secret_is_refused(sandbox: Any, service: str, call: Any, code: str) -> None:
    key = sandbox.ready["accounts"]["staging"]["access_key_id"]
    assert refused(lambda: call(sandbox.client(service, key, "not the secret")))["Code"] == code


def test_a_session_needs_its_own_token(sandbox: Any) -> None:
    arn = "arn:aws:iam::222222222222:role/crossaccount-deployer"
    key = sandbox.admin("staging", "sts").assume_role(
        RoleArn=arn, RoleSessionName="ab", ExternalId="sandbox-staging"
    )["Credentials"]
    for token in (None, "another token"):
        client = sandbox.client("sts", key["AccessKeyId"], key["SecretAccessKey"], token)
        assert refused(client.get_caller_identity)["Code"] == "InvalidClientTokenId"


def test_a_body_that_was_changed_on_the_way_is_refused(sandbox: Any) -> None:
    client = sandbox.admin("staging", "sagemaker")
    signed: dict[str, Any] = {}

    def keep(request: Any, **_: Any) -> Any:
        signed.update(url=request.url, body=request.body, headers=dict(request.headers))

    client.meta.events.register("before-send.sagemaker.ListModels", keep)
    client.list_models(NameContains="honest")
    headers = {k: v.decode() if isinstance(v, bytes) else v for k, v in signed["headers"].items()}
    body = signed["body"].replace(b"honest", b"forged")
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(urllib.request.Request(signed["url"], body, headers, method="POST"))
    assert json.load(error.value)["__type"] == "InvalidSignatureException"


def test_a_request_signed_an_hour_ago_is_refused(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    then = datetime.now(UTC) - timedelta(hours=1)
    monkeypatch.setattr(
        botocore.auth, "get_current_datetime", lambda remove_tzinfo=True: then.replace(tzinfo=None)
    )
    client = sandbox.admin("staging", "sts")
    assert refused(client.get_caller_identity)["Code"] in (
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
    )


@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("sagemaker", lambda c: c.list_apps()),
        ("sagemaker", lambda c: c.list_training_jobs()),
        ("kms", lambda c: c.list_grants(KeyId="x")),
        ("ecr", lambda c: c.describe_registry()),
        ("s3", lambda c: c.get_bucket_website(Bucket=BUCKET)),
        (
            "sts",
            lambda c: c.assume_root(
                TargetPrincipal="111111111111",
                TaskPolicyArn={"arn": "arn:aws:iam::aws:policy/root-task/IAMAuditRootUserCredentials"},
            ),
        ),
        ("iam", lambda c: c.list_saml_providers()),
        ("cloudformation", lambda c: c.list_types()),
    ],
)
def test_an_operation_outside_the_table_is_refused_even_to_an_administrator(
    sandbox: Any, service: str, call: Any
) -> None:
    said = refused(lambda: call(sandbox.admin("producer", service)))
    assert said["Code"].startswith("AccessDenied")
    assert "does not know" in said["Message"]


def test_a_service_outside_the_sandbox_is_refused(sandbox: Any) -> None:
    assert "no service 'dynamodb'" in refused(sandbox.admin("producer", "dynamodb").list_tables)["Message"]


def test_no_one_may_choose_the_account_that_moto_answers_for(sandbox: Any) -> None:
    client = sandbox.admin("outsider", "s3")
    client.meta.events.register(
        "before-sign.s3", lambda request, **_: request.headers.add_header("x-moto-account-id", "111111111111")
    )
    assert client.list_buckets()["Buckets"] == []
    sts = sandbox.admin("outsider", "sts")
    sts.meta.events.register(
        "before-sign.sts",
        lambda request, **_: request.headers.add_header("x-moto-account-id", "111111111111"),
    )
    assert sts.get_caller_identity()["Account"] == "444444444444"


def test_every_account_sees_its_own(sandbox: Any) -> None:
    for account in ("producer", "staging", "production", "outsider"):
        assert sandbox.admin(account, "sts").get_caller_identity()["Account"] == sandbox.id(account)
    assert [b["Name"] for b in sandbox.admin("producer", "s3").list_buckets()["Buckets"]] == [BUCKET]
    assert (
        sandbox.admin("staging", "sagemaker").list_model_package_groups()["ModelPackageGroupSummaryList"]
        == []
    )


@pytest.mark.parametrize("account", ["staging", "production", "outsider"])
@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("sagemaker", lambda c: c.describe_model_package(ModelPackageName=PACKAGE)),
        (
            "sagemaker",
            lambda c: c.describe_model_package_group(
                ModelPackageGroupName=PACKAGE.replace("package/", "package-group/").removesuffix("/2")
            ),
        ),
        (
            "sagemaker",
            lambda c: c.list_model_packages(
                ModelPackageGroupName=PACKAGE.replace("package/", "package-group/").removesuffix("/2")
            ),
        ),
        (
            "sagemaker",
            lambda c: c.update_model_package(ModelPackageArn=PACKAGE, ModelApprovalStatus="Rejected"),
        ),
        ("s3", lambda c: c.get_object(Bucket=BUCKET, Key=f"models/{GROUP}/1/model.tar.gz")),
        ("s3", lambda c: c.list_objects_v2(Bucket=BUCKET)),
        ("s3", lambda c: c.put_object(Bucket=BUCKET, Key="x", Body=b"")),
        ("s3", lambda c: c.delete_object(Bucket=BUCKET, Key=f"models/{GROUP}/1/model.tar.gz")),
        ("s3", lambda c: c.get_bucket_policy(Bucket=BUCKET)),
        ("s3", lambda c: c.put_bucket_policy(Bucket=BUCKET, Policy="{}")),
        (
            "ecr",
            lambda c: c.batch_get_image(
                registryId="111111111111", repositoryName=GROUP, imageIds=[{"imageTag": "1"}]
            ),
        ),
        (
            "ecr",
            lambda c: c.set_repository_policy(
                registryId="111111111111", repositoryName=GROUP, policyText="{}"
            ),
        ),
    ],
)
def test_an_administrator_of_another_account_is_refused_before_sharing(
    sandbox: Any, account: str, service: str, call: Any
) -> None:
    assert refused(lambda: call(sandbox.admin(account, service)))["Code"].startswith("AccessDenied")


def test_the_key_is_shut_to_other_accounts(sandbox: Any) -> None:
    said = refused(lambda: sandbox.admin("staging", "kms").describe_key(KeyId=sandbox.key))
    assert said["Code"] == "AccessDeniedException"
    assert "no resource-based policies allow access" in said["Message"]


def test_an_operator_may_only_assume_its_roles(sandbox: Any) -> None:
    env = sandbox.ready["env"]
    profiles = configparser.ConfigParser()
    profiles.read(env["AWS_SHARED_CREDENTIALS_FILE"])
    key = profiles["staging"]
    operator = sandbox.client("sagemaker", key["aws_access_key_id"], key["aws_secret_access_key"])
    assert "no identity-based policy allows" in refused(operator.list_models)["Message"]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "no role trust policy allows"),
        ({"ExternalId": "a-wrong-one"}, "no role trust policy allows"),
    ],
)
def test_a_role_is_not_assumed_without_its_external_id(
    sandbox: Any, given: dict[str, str], text: str
) -> None:
    arn = "arn:aws:iam::222222222222:role/crossaccount-deployer"
    sts = sandbox.admin("staging", "sts")
    assert text in refused(lambda: sts.assume_role(RoleArn=arn, RoleSessionName="ab", **given))["Message"]


def test_a_session_in_a_session_lasts_an_hour_at_most(sandbox: Any) -> None:
    role = f"arn:aws:iam::{sandbox.id('staging')}:role/crossaccount-deployer"
    said = refused(
        lambda: sandbox.admin("staging", "sts").assume_role(
            RoleArn=role, RoleSessionName="ab", ExternalId="sandbox-staging", DurationSeconds=7200
        )
    )
    assert (
        said["Message"] == "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    )


def test_a_session_policy_narrows_its_session(sandbox: Any) -> None:
    nothing = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}],
    }
    narrow = sandbox.role("staging", "crossaccount-deployer", "sagemaker", Policy=json.dumps(nothing))
    said = refused(lambda: narrow.describe_model(ModelName="decision-trees-staging-v1"))
    assert "no session policy allows" in said["Message"]


def test_a_permissions_boundary_narrows_its_role(sandbox: Any) -> None:
    iam = sandbox.admin("staging", "iam")
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
    }
    arn = iam.create_policy(PolicyName="narrow", PolicyDocument=json.dumps(document))["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName="crossaccount-deployer", PermissionsBoundary=arn)
    try:
        client = sandbox.role("staging", "crossaccount-deployer", "sagemaker")
        said = refused(lambda: client.describe_model(ModelName="decision-trees-staging-v1"))
        assert "no permissions boundary allows" in said["Message"]
    finally:
        iam.delete_role_permissions_boundary(RoleName="crossaccount-deployer")
        iam.delete_policy(PolicyArn=arn)


def test_a_role_that_is_made_anew_has_lost_what_the_old_one_was_given(aws: Any) -> None:
    iam, s3 = aws.admin("staging", "iam"), aws.admin("producer", "s3")
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "222222222222"}, "Action": "sts:AssumeRole"}],
    }
    arn = "arn:aws:iam::222222222222:role/reader"
    read = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
    }
    grant = {
        "Effect": "Allow",
        "Principal": {"AWS": arn},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/*",
    }

    def make() -> None:
        iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust))
        iam.put_role_policy(RoleName="reader", PolicyName="read", PolicyDocument=json.dumps(read))

    def unmake() -> None:
        iam.delete_role_policy(RoleName="reader", PolicyName="read")
        iam.delete_role(RoleName="reader")

    def shown() -> str:
        return str(
            json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"][0]["Principal"]["AWS"]
        )

    with aws.restored():
        make()
        s3.put_bucket_policy(
            Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [grant]})
        )
        assert shown() == arn
        reader = aws.role("staging", "reader", "s3")
        assert reader.get_object(Bucket=BUCKET, Key=f"models/{GROUP}/1/model.tar.gz")["ContentLength"] > 0
        unmake()
        assert shown().startswith("AROA")
        make()
        assert shown().startswith("AROA")
        again = aws.role("staging", "reader", "s3")
        assert (
            refused(lambda: again.get_object(Bucket=BUCKET, Key=f"models/{GROUP}/1/model.tar.gz"))["Code"]
            == "AccessDenied"
        )
        unmake()
        # The whole document is refused as long as it names the dead one.
        dead = {"Version": "2012-10-17", "Statement": [{**grant, "Principal": {"AWS": shown()}}]}
        assert (
            refused(lambda: s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(dead)))["Code"]
            == "MalformedPolicy"
        )


def test_the_sandbox_takes_the_plain_client_of_each_account(sandbox: Any) -> None:
    for account in ("producer", "staging", "production", "outsider"):
        key = sandbox.ready["accounts"][account]
        session = boto3.session.Session(
            key["access_key_id"], key["secret_access_key"], region_name="us-east-1"
        )
        sts = session.client(
            "sts", endpoint_url=sandbox.url, config=Config(retries={"total_max_attempts": 1})
        )
        assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{key['id']}:user/administrator"
