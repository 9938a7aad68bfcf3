"""Refusals in AWS's own words, as they were recorded on the real AWS or stand in its documentation.

Sources: recordings and comments of localstack's, moto's and cloud-custodian's tests; the READMEs of the AWS CDK and the guide of
IAM Identity Center (KMS behind S3); "Troubleshoot access denied error messages" in the IAM user guide; the AWS Security Blog,
"Enhanced access denied error messages with policy ARNs".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount_sandbox.world import OrganizationPolicies

BUCKET, PRODUCER, STAGING, OUTSIDER = "worded", "111111111111", "222222222222", "444444444444"
KEY_SIDE = (
    "because the resource does not exist in this Region, no resource-based policies allow access, or a "
    "resource-based policy explicitly denies access"
)
CIPHERTEXT = "kms:Decrypt on the resource associated with this ciphertext"


def statement(effect: str, action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


ALL = statement("Allow", "*")


def refused(call: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as error:
        call()
    return dict(error.value.response["Error"])


@pytest.fixture(scope="module")
def key(inner: Any) -> str:
    """A key that lets its own account's policies decide; staging and the outsider may read the bucket, not the key."""
    s3, kms = inner.client("producer", "s3"), inner.client("producer", "kms")
    arn = str(kms.create_key()["KeyMetadata"]["Arn"])
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="o", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=arn)
    read = statement(
        "Allow", "s3:GetObject", f"arn:aws:s3:::{BUCKET}/*", Principal={"AWS": [STAGING, OUTSIDER]}
    )
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(read))
    return arn


@pytest.fixture
def key_policy(inner: Any, key: str) -> Iterator[Callable[[str], None]]:
    kms = inner.client("producer", "kms")
    before = kms.get_key_policy(KeyId=key)["Policy"]
    yield lambda text: kms.put_key_policy(KeyId=key, Policy=text, BypassPolicyLockoutSafetyCheck=True)
    inner.server.world.attached.put(
        ("key", key), before, ValueError
    )  # who shut itself out cannot put it back


NOT_KMS = policy(statement("Allow", ["s3:*", "iam:*", "sts:*"]))


def test_kms_behind_s3_names_no_key(inner: Any, key: str) -> None:
    own = inner.session("producer", "s3", NOT_KMS)
    said = refused(lambda: own.get_object(Bucket=BUCKET, Key="o"))
    assert said["Code"] == "AccessDenied"
    assert said["Message"].endswith(f"{CIPHERTEXT} because no session policy allows the kms:Decrypt action")
    assert key not in said["Message"]


@pytest.mark.parametrize("account", ["staging", "outsider"])
def test_kms_behind_s3_tells_another_account_of_its_side_alone_whatever_its_organization(
    inner: Any, key: str, account: str
) -> None:
    other = inner.client(account, "s3")
    said = refused(lambda: other.get_object(Bucket=BUCKET, Key="o"))
    assert said["Code"] == "AccessDenied"
    assert said["Message"].endswith(f"perform: {CIPHERTEXT} {KEY_SIDE}")
    assert other.head_object(Bucket=BUCKET, Key="o")["SSEKMSKeyId"] == key, "a header asks nothing of KMS"


def test_a_ranged_read_asks_kms_as_every_read_does(inner: Any, key: str) -> None:
    other = inner.client("staging", "s3")
    said = refused(lambda: other.get_object(Bucket=BUCKET, Key="o", Range="bytes=0-0"))
    assert CIPHERTEXT in said["Message"]


def test_an_upload_s_refusal_names_the_key(inner: Any, key: str) -> None:
    own = inner.session("producer", "s3", NOT_KMS)
    encrypted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    said = refused(lambda: own.put_object(Bucket=BUCKET, Key="n", Body=b"x", **encrypted))
    assert f"perform: kms:GenerateDataKey on resource: {key} because" in said["Message"]


def test_inside_one_account_kms_says_that_no_resource_based_policy_allows(
    inner: Any, key: str, key_policy: Callable[[str], None]
) -> None:
    key_policy(policy(statement("Allow", "kms:*", Principal={"AWS": STAGING})))
    said = refused(lambda: inner.client("producer", "kms").describe_key(KeyId=key))
    assert said["Code"] == "AccessDeniedException"
    assert said["Message"].endswith(
        f"perform: kms:DescribeKey on resource: {key} because no resource-based policy allows the kms:DescribeKey action"
    )


def test_s3_quotes_its_resources(inner: Any, key: str) -> None:
    own = inner.session("producer", "s3", policy(ALL, statement("Deny", "s3:DeleteObject")))
    said = refused(lambda: own.delete_object(Bucket=BUCKET, Key="o"))
    assert said["Message"].endswith(
        f's3:DeleteObject on resource: "arn:aws:s3:::{BUCKET}/o" with an explicit deny in a session policy'
    )
    none = inner.session("producer", "s3", NOT_KMS.replace("s3:*", "ecr:*"))
    said = refused(lambda: none.list_objects_v2(Bucket=BUCKET))
    assert f'on resource: "arn:aws:s3:::{BUCKET}" because no session policy allows' in said["Message"]


@pytest.fixture(scope="module")
def role(inner: Any) -> str:
    """A role of the producer that may do everything."""
    iam = inner.client("producer", "iam")
    trust = policy({"Effect": "Allow", "Principal": {"AWS": PRODUCER}, "Action": "sts:AssumeRole"})
    arn = iam.create_role(RoleName="worded", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(RoleName="worded", PolicyName="all", PolicyDocument=policy(ALL))
    return str(arn)


def as_role(inner: Any, role: str, service: str) -> Any:
    sts = inner.client("producer", "sts")
    made = sts.assume_role(RoleArn=role, RoleSessionName="worded")["Credentials"]
    return inner.keyed(service, made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


DENY = policy(ALL, statement("Deny", "s3:ListAllMyBuckets"))
ORGANIZATION_ARN = "arn:aws:organizations::999999999999:policy/o-x/service_control_policy/p-1"


@pytest.fixture
def denied_by(inner: Any, role: str) -> Iterator[Callable[[str], str]]:
    """Has a policy of this kind deny the role to list buckets; gives the policy's ARN."""
    iam, undo = inner.client("producer", "iam"), list[Callable[[], Any]]()

    def deny(kind: str) -> str:
        if kind == "inline":
            iam.put_role_policy(RoleName="worded", PolicyName="deny", PolicyDocument=DENY)
            undo.append(lambda: iam.delete_role_policy(RoleName="worded", PolicyName="deny"))
            return ""
        if kind == "service control policy":
            document = json.loads(DENY)
            inner.server.world.organization_policies[PRODUCER] = OrganizationPolicies(
                {ORGANIZATION_ARN: document}
            )
            undo.append(inner.server.world.organization_policies.clear)
            return ORGANIZATION_ARN
        arn = str(iam.create_policy(PolicyName="deny", PolicyDocument=DENY)["Policy"]["Arn"])
        if kind == "permissions boundary":
            iam.put_role_permissions_boundary(RoleName="worded", PermissionsBoundary=arn)
            undo.append(lambda: iam.delete_role_permissions_boundary(RoleName="worded"))
        else:
            iam.attach_role_policy(RoleName="worded", PolicyArn=arn)
            undo.append(lambda: iam.detach_role_policy(RoleName="worded", PolicyArn=arn))
        undo.append(lambda: iam.delete_policy(PolicyArn=arn))
        return arn

    yield deny
    for one in undo:
        one()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("inline", "with an explicit deny in an identity-based policy"),
        ("managed", "with an explicit deny in an identity-based policy: ARN"),
        ("permissions boundary", "with an explicit deny in a permissions boundary: ARN"),
        ("service control policy", "with an explicit deny in a service control policy: ARN"),
    ],
)
def test_the_denying_policy_is_named_where_it_has_an_arn(
    inner: Any, role: str, denied_by: Callable[[str], str], kind: str, words: str
) -> None:
    arn = denied_by(kind)
    said = refused(as_role(inner, role, "s3").list_buckets)
    assert said["Message"].endswith(words.replace("ARN", arn))


def test_iam_names_a_role_and_not_its_arn(inner: Any, role: str) -> None:
    none = inner.session("producer", "iam", policy(statement("Allow", "s3:*")))
    said = refused(lambda: none.get_role(RoleName="worded"))
    assert "perform: iam:GetRole on resource: role worded because" in said["Message"]


def test_sts_gives_another_account_no_reason(inner: Any, role: str) -> None:
    said = refused(lambda: inner.client("staging", "sts").assume_role(RoleArn=role, RoleSessionName="worded"))
    assert said["Message"] == (
        f"User: {inner.client('staging', 'sts').get_caller_identity()['Arn']} is not authorized to perform: sts:AssumeRole on "
        f"resource: {role}"
    )


@pytest.mark.parametrize("account", [PRODUCER, STAGING])
def test_an_organization_s_policies_limit_an_account_s_identities_and_its_resources(
    inner: Any, key: str, account: str
) -> None:
    world, staging = inner.server.world, inner.client("staging", "s3")
    arn = "arn:aws:organizations::999999999999:policy/o-x/resource_control_policy/p-2"
    document = json.loads(policy(statement("Deny", "s3:*", Principal="*")))
    world.organization_policies[account] = OrganizationPolicies(resource_control={arn: document})
    try:
        said = refused(lambda: staging.get_object(Bucket=BUCKET, Key="o"))["Message"]
    finally:
        world.organization_policies.clear()
    assert (said.endswith(f"with an explicit deny in a resource control policy: {arn}")) == (
        account == PRODUCER
    )
