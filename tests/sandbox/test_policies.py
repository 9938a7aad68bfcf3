"""Policies that AWS would not take are not taken here either, each with its service's own error."""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

BUCKET, GROUP = "producer-models-111111111111", "decision-trees-sample"
GROUP_ARN = f"arn:aws:sagemaker:us-east-1:111111111111:model-package-group/{GROUP}"
ROOT = "arn:aws:iam::222222222222:root"


def refused(call: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as error:
        call()
    return dict(error.value.response["Error"])


def policy(*statements: dict[str, Any], version: str = "2012-10-17") -> str:
    return json.dumps({"Version": version, "Statement": list(statements)})


def bucket(**changes: Any) -> dict[str, Any]:
    given = {
        "Effect": "Allow",
        "Principal": {"AWS": ROOT},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/*",
    }
    return {key: value for key, value in {**given, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("{", "MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'"),
        ("[]", "MalformedPolicy", "Policies must be valid JSON"),
        ("{}", "MalformedPolicy", "Missing required field Statement"),
        (policy(bucket(), version="2020-01-01"), "MalformedPolicy", "valid version string"),
        (
            policy(bucket(Principal={"AWS": "arn:aws:iam::222222222222:role/ghost"})),
            "MalformedPolicy",
            "Invalid principal",
        ),
        (policy(bucket(Principal={"AWS": "999999999999"})), "MalformedPolicy", "Invalid principal"),
        (
            policy(bucket(Principal={"AWS": "arn:aws:iam::222222222222:role/*"})),
            "MalformedPolicy",
            "Invalid principal",
        ),
        (policy(bucket(Principal=None)), "MalformedPolicy", "Principal"),
        (policy(bucket(Effect="Maybe")), "MalformedPolicy", "Invalid effect: Maybe"),
        (policy(bucket(Effect=None)), "MalformedPolicy", "Missing required field Effect"),
        (policy(bucket(Action=None)), "MalformedPolicy", "Missing required field Action"),
        (policy(bucket(Resource="arn:aws:s3:::another/*")), "MalformedPolicy", "invalid resource"),
        (policy(bucket(Action="s3:ListBucket")), "MalformedPolicy", "Action does not apply"),
        (
            policy(bucket(Action=["s3:GetObject", "s3:ListBucket"])),
            "MalformedPolicy",
            "Action does not apply",
        ),
        (policy(bucket(Resource=f"arn:aws:s3:::{BUCKET}")), "MalformedPolicy", "Action does not apply"),
        (policy(bucket(Action="sqs:SendMessage")), "MalformedPolicy", "invalid action"),
        (policy(bucket(Sid="x" * 20_500)), "MalformedPolicy", "maximum allowed size"),
        (policy(bucket(Principal="*")), "AccessDenied", "BlockPublicPolicy"),
        (policy(bucket(Principal={"AWS": "*"})), "AccessDenied", "BlockPublicPolicy"),
        (
            policy(
                bucket(Principal="*", Condition={"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/x"}})
            ),
            "AccessDenied",
            "BlockPublicPolicy",
        ),
    ],
)
def test_a_bucket_policy_that_s3_would_not_take(aws: Any, text: str, code: str, message: str) -> None:
    said = refused(lambda: aws.admin("producer", "s3").put_bucket_policy(Bucket=BUCKET, Policy=text))
    assert said["Code"] == code
    assert message in said["Message"]
    assert aws.documents()["bucket"] is None


def test_an_organization_condition_is_not_public(aws: Any) -> None:
    statement = bucket(Principal="*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-sandbox0001"}})
    with aws.restored():
        aws.admin("producer", "s3").put_bucket_policy(Bucket=BUCKET, Policy=policy(statement))
        key = f"models/{GROUP}/1/model.tar.gz"
        assert aws.role("staging", "crossaccount-deployer", "s3").get_object(Bucket=BUCKET, Key=key)[
            "ContentLength"
        ]
        said = refused(lambda: aws.admin("outsider", "s3").get_object(Bucket=BUCKET, Key=key))
        assert said == {"Code": "AccessDenied", "Message": "Access Denied"}


def test_a_public_statement_cuts_off_every_other_account(aws: Any) -> None:
    s3, key = aws.admin("producer", "s3"), f"models/{GROUP}/1/model.tar.gz"
    open_to_all = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": False}
    public = bucket(Principal="*", Resource=f"arn:aws:s3:::{BUCKET}/public/*")
    with aws.restored():
        s3.put_public_access_block(
            Bucket=BUCKET, PublicAccessBlockConfiguration={**open_to_all, "RestrictPublicBuckets": True}
        )
        s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(bucket(), public))
        reader = aws.role("staging", "crossaccount-deployer", "s3")
        assert refused(lambda: reader.get_object(Bucket=BUCKET, Key=key))["Code"] == "AccessDenied"
        s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(bucket()))
        assert reader.get_object(Bucket=BUCKET, Key=key)["ContentLength"]
        s3.put_public_access_block(
            Bucket=BUCKET,
            PublicAccessBlockConfiguration={
                **open_to_all,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )


@pytest.mark.parametrize("verb", ["get_bucket_policy", "delete_bucket_policy"])
def test_only_its_owner_manages_a_bucket_policy(aws: Any, verb: str) -> None:
    statement = bucket(
        Action=["s3:GetBucketPolicy", "s3:DeleteBucketPolicy"], Resource=f"arn:aws:s3:::{BUCKET}"
    )
    with aws.restored():
        aws.admin("producer", "s3").put_bucket_policy(Bucket=BUCKET, Policy=policy(statement))
        said = refused(lambda: getattr(aws.admin("staging", "s3"), verb)(Bucket=BUCKET))
        assert said["Code"] == "MethodNotAllowed"


def test_another_owner_than_expected_is_refused(sandbox: Any) -> None:
    s3 = sandbox.admin("producer", "s3")
    said = refused(lambda: s3.list_objects_v2(Bucket=BUCKET, ExpectedBucketOwner="222222222222"))
    assert said["Code"] == "AccessDenied"


def repository(**changes: Any) -> dict[str, Any]:
    given = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": ["ecr:BatchGetImage"]}
    return {key: value for key, value in {**given, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Invalid repository policy provided"),
        (policy(repository(Resource="*")), "Invalid repository policy provided"),
        (policy(repository(condition={})), "Invalid repository policy provided"),
        (policy(repository(Condition={"StringEqualz": {"a": "b"}})), "Invalid repository policy provided"),
        (policy(repository(Principal={"Service": "sagemaker.amazon.com"})), "Principal not found"),
        (
            policy(repository(Principal={"AWS": "arn:aws:iam::222222222222:role/ghost"})),
            "Principal not found",
        ),
        (policy(repository(Principal={"AWS": "999999999999"})), "Principal not found"),
        (policy(repository(Sid="x" * 10_241)), "length less than or equal to 10240"),
    ],
)
def test_a_repository_policy_that_ecr_would_not_take(aws: Any, text: str, message: str) -> None:
    ecr = aws.admin("producer", "ecr")
    said = refused(lambda: ecr.set_repository_policy(repositoryName=GROUP, policyText=text))
    assert said["Code"] == "InvalidParameterException"
    assert message in said["Message"]
    assert aws.documents()["repository"] is None


def group(**changes: Any) -> dict[str, Any]:
    given = {
        "Effect": "Allow",
        "Principal": {"AWS": ROOT},
        "Action": ["sagemaker:DescribeModelPackage"],
        "Resource": f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/*",
    }
    return {key: value for key, value in {**given, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Invalid policy provided"),
        (policy(group(condition={})), "no field condition"),
        (policy(group(Condition={"StringEqualz": {"a": "b"}})), "no operator StringEqualz"),
        (policy(group(Principal={"Service": "sagemaker.amazon.com"})), "Invalid principal"),
        (policy(group()).replace(", ", ",\n"), "regular expression pattern"),
        (policy(group(Sid="x" * 20_500)), "length less than or equal to 20480"),
        (policy(group(Principal={"AWS": [ROOT, ROOT]})), "Duplicate principal"),
        (policy(group(Principal={"AWS": [ROOT, "222222222222"]})), "Duplicate principal"),
        (policy(group(Principal={"AWS": "999999999999"})), "Invalid principal"),
        (
            policy(group(Resource="arn:aws:sagemaker:us-east-1:111111111111:model-package/another/*")),
            "Resource",
        ),
    ],
)
def test_a_group_policy_that_sagemaker_would_not_take(aws: Any, text: str, message: str) -> None:
    sm = aws.admin("producer", "sagemaker")
    said = refused(
        lambda: sm.put_model_package_group_policy(ModelPackageGroupName=GROUP, ResourcePolicy=text)
    )
    assert said["Code"] == "ValidationException"
    assert message in said["Message"]
    assert aws.documents()["group"] is None


@pytest.mark.parametrize("verb", ["put", "get", "delete"])
def test_group_policies_are_named_by_the_group_s_name_alone(aws: Any, verb: str) -> None:
    more = {"ResourcePolicy": policy(group())} if verb == "put" else {}
    call = getattr(aws.admin("producer", "sagemaker"), f"{verb}_model_package_group_policy")
    assert (
        "at 'modelPackageGroupName' failed"
        in refused(lambda: call(ModelPackageGroupName=GROUP_ARN, **more))["Message"]
    )


def test_what_is_not_there_is_said_as_each_service_says_it(aws: Any) -> None:
    sm, ecr = aws.admin("producer", "sagemaker"), aws.admin("producer", "ecr")
    said = refused(lambda: sm.get_model_package_group_policy(ModelPackageGroupName=GROUP))
    assert said == {"Code": "ValidationException", "Message": f"Cannot find resource policy for: {GROUP_ARN}"}
    said = refused(lambda: sm.get_model_package_group_policy(ModelPackageGroupName="ghost"))
    assert said["Message"].startswith("Cannot find Model Package Group: ")
    assert (
        refused(lambda: ecr.get_repository_policy(repositoryName="ghost"))["Code"]
        == "RepositoryNotFoundException"
    )
    assert (
        refused(lambda: ecr.get_repository_policy(repositoryName=GROUP))["Code"]
        == "RepositoryPolicyNotFoundException"
    )
    assert (
        refused(lambda: aws.admin("producer", "s3").get_bucket_policy(Bucket=BUCKET))["Code"]
        == "NoSuchBucketPolicy"
    )
    assert (
        refused(lambda: aws.admin("producer", "s3").get_bucket_policy(Bucket="ghost-bucket"))["Code"]
        == "NoSuchBucket"
    )


@pytest.mark.parametrize(
    ("principal", "message"),
    [
        ("arn:aws:iam::222222222222:root", "in the future"),
        ("arn:aws:iam::111111111111:role/ghost", "invalid principals"),
    ],
)
def test_a_key_policy_that_locks_its_owner_out_is_refused(aws: Any, principal: str, message: str) -> None:
    before = aws.documents()["key"]
    text = policy({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "kms:*", "Resource": "*"})
    kms = aws.admin("producer", "kms")
    said = refused(lambda: kms.put_key_policy(KeyId=aws.key, PolicyName="default", Policy=text))
    assert said["Code"] == "MalformedPolicyDocumentException"
    assert message in said["Message"]
    assert aws.documents()["key"] == before


def test_an_object_under_the_key_that_aws_manages_is_no_other_account_s(aws: Any) -> None:
    s3, key = aws.admin("producer", "s3"), "managed"
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"x", ServerSideEncryption="aws:kms")
    try:
        managed = s3.head_object(Bucket=BUCKET, Key=key)["SSEKMSKeyId"]
        kms = aws.admin("producer", "kms")
        assert kms.describe_key(KeyId=managed)["KeyMetadata"]["KeyManager"] == "AWS"
        with aws.restored():
            s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(bucket()))
            said = refused(lambda: aws.admin("staging", "s3").get_object(Bucket=BUCKET, Key=key))
            assert said["Code"] == "AccessDenied"
            assert "kms:Decrypt" in said["Message"]
    finally:
        s3.delete_object(Bucket=BUCKET, Key=key)


def test_a_missing_object_is_told_only_to_who_may_list(aws: Any) -> None:
    listing = bucket(Action="s3:ListBucket", Resource=f"arn:aws:s3:::{BUCKET}")
    reader = aws.admin("staging", "s3")
    with aws.restored():
        aws.admin("producer", "s3").put_bucket_policy(Bucket=BUCKET, Policy=policy(bucket()))
        assert refused(lambda: reader.get_object(Bucket=BUCKET, Key="ghost"))["Code"] == "AccessDenied"
        assert refused(lambda: reader.head_object(Bucket=BUCKET, Key="ghost"))["Code"] == "403"
        aws.admin("producer", "s3").put_bucket_policy(Bucket=BUCKET, Policy=policy(bucket(), listing))
        assert refused(lambda: reader.get_object(Bucket=BUCKET, Key="ghost"))["Code"] == "NoSuchKey"
        assert refused(lambda: reader.head_object(Bucket=BUCKET, Key="ghost"))["Code"] == "404"


# The policy of a whole registry, and the second one of a key.

REPOSITORY = "arn:aws:ecr:us-east-1:111111111111:repository/*"


def registry(**changes: Any) -> dict[str, Any]:
    given = {
        "Effect": "Allow",
        "Principal": {"AWS": ROOT},
        "Action": "ecr:BatchGetImage",
        "Resource": REPOSITORY,
    }
    return {key: value for key, value in {**given, **changes}.items() if value is not None}


@pytest.fixture
def ecr(aws: Any) -> Iterator[Any]:
    """The producer's ECR, whose registry has no policy afterwards."""
    client = aws.admin("producer", "ecr")
    yield client
    with contextlib.suppress(client.exceptions.RegistryPolicyNotFoundException):
        client.delete_registry_policy()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        (policy(registry(Resource=None)), "needs a Resource"),
        (policy(registry(Principal={"AWS": "999999999999"})), "Principal not found"),
        (policy(registry(Principal=None)), "Principal"),
    ],
)
def test_a_registry_policy_that_ecr_would_not_take(ecr: Any, text: str, message: str) -> None:
    said = refused(lambda: ecr.put_registry_policy(policyText=text))
    assert said["Code"] == "InvalidParameterException"
    assert message in said["Message"]
    said = refused(ecr.get_registry_policy)
    assert (said["Code"], said["Message"]) == (
        "RegistryPolicyNotFoundException",
        "Registry policy does not exist in the registry with id '111111111111'",
    )
    assert refused(ecr.delete_registry_policy)["Code"] == "RegistryPolicyNotFoundException"


def test_a_registry_policy_holds_for_every_repository(aws: Any, ecr: Any) -> None:
    image = {"registryId": "111111111111", "repositoryName": GROUP, "imageIds": [{"imageTag": "1"}]}
    reader = aws.admin("staging", "ecr")

    def pulls(client: Any) -> str:
        try:
            client.batch_get_image(**image)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "done"

    assert pulls(reader) == "AccessDeniedException"
    ecr.put_registry_policy(policyText=policy(registry()))
    assert json.loads(ecr.get_registry_policy()["policyText"])["Statement"] == [registry()]
    assert (pulls(reader), pulls(aws.admin("production", "ecr"))) == ("done", "AccessDeniedException")
    ecr.put_registry_policy(policyText=policy(registry(Resource=REPOSITORY.replace("*", "other"))))
    assert pulls(reader) == "AccessDeniedException"
    ecr.put_registry_policy(policyText=policy(registry(Effect="Deny", Principal="*")))
    with aws.restored():
        aws.put("repository", json.loads(policy(registry(Resource=None))))
        assert (pulls(reader), pulls(ecr)) == ("AccessDeniedException", "AccessDeniedException")
        ecr.delete_registry_policy()
        assert (pulls(reader), pulls(ecr)) == ("done", "done")


def test_aws_ram_s_policy_of_a_key_is_read_and_judged_and_only_ram_writes_it(aws: Any) -> None:
    kms, key = aws.admin("producer", "kms"), aws.key
    named = {"KeyId": key, "PolicyName": "AWS_RAM"}
    assert refused(lambda: kms.get_key_policy(**named))["Code"] == "NotFoundException"
    assert kms.list_key_policies(KeyId=key)["PolicyNames"] == ["default"]
    said = refused(lambda: kms.put_key_policy(**named, Policy=policy()))
    assert (said["Code"], said["Message"]) == (
        "ValidationException",
        "The AWS_RAM policy can only be managed by the RAM service.",
    )
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    reader = aws.admin("staging", "kms")
    assert (
        refused(lambda: reader.decrypt(CiphertextBlob=sealed, KeyId=key))["Code"] == "AccessDeniedException"
    )
    statement = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:Decrypt", "Resource": "*"}
    try:
        assert shared_by_ram(aws, key, {"Version": "2012-10-17", "Statement": [statement]}) == 204
        assert kms.list_key_policies(KeyId=key)["PolicyNames"] == ["default", "AWS_RAM"]
        assert json.loads(kms.get_key_policy(**named)["Policy"])["Statement"] == [statement]
        assert reader.decrypt(CiphertextBlob=sealed, KeyId=key)["Plaintext"] == b"x"
    finally:
        shared_by_ram(aws, key, None)
    assert (
        refused(lambda: reader.decrypt(CiphertextBlob=sealed, KeyId=key))["Code"] == "AccessDeniedException"
    )
    ghost = {**statement, "Principal": {"AWS": "999999999999"}}
    with pytest.raises(urllib.error.HTTPError, match="400"):
        shared_by_ram(aws, key, {"Version": "2012-10-17", "Statement": [ghost]})


def shared_by_ram(aws: Any, key: str, document: Any) -> int:
    body = json.dumps({"key": key, "policy": document}).encode()
    request = urllib.request.Request(f"{aws.url}/_sandbox/shares", body, method="PUT")
    with urllib.request.urlopen(request) as answer:
        return int(answer.status)


@pytest.mark.parametrize(
    "name",
    [
        "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E127EXAMPLE51Z",
        "arn:aws:sts::222222222222:federated-user/me",
    ],
)
def test_principals_that_iam_does_not_keep_may_be_named(aws: Any, name: str) -> None:
    with aws.restored():
        document = {"Version": "2012-10-17", "Statement": [bucket(Principal={"AWS": name})]}
        aws.put("bucket", document)
        assert aws.documents()["bucket"] == document
