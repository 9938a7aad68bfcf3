"""AWS RAM of the sandbox: the shares that groups' policies make, who may promote them, and who then finds the group."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

GROUP = "arn:aws:sagemaker:us-east-1:111111111111:model-package-group/decision-trees-sample"
READS = ["sagemaker:DescribeModelPackageGroup", "sagemaker:ListModelPackages"]


def policy(principal: Any, actions: Any = READS, **more: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": principal, "Action": actions, "Resource": GROUP, **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


@pytest.fixture
def ram(aws: Any) -> Iterator[Any]:
    with aws.restored():
        yield aws.admin("producer", "ram")


def share_of(ram: Any) -> dict[str, Any]:
    found = ram.get_resource_share_associations(associationType="RESOURCE", resourceArn=GROUP)
    (association,) = found["resourceShareAssociations"]
    arns = [association["resourceShareArn"]]
    (share,) = ram.get_resource_shares(resourceOwner="SELF", resourceShareArns=arns)["resourceShares"]
    return dict(share)


def promote(ram: Any, name: str) -> None:
    arn = share_of(ram)["resourceShareArn"]
    (permission,) = ram.list_resource_share_permissions(resourceShareArn=arn)["permissions"]
    assert (permission["featureSet"], permission["resourceType"]) == (
        "CREATED_FROM_POLICY",
        "sagemaker:ModelPackageGroup",
    )
    ram.promote_permission_created_from_policy(permissionArn=permission["arn"], name=name)
    assert ram.promote_resource_share_created_from_policy(resourceShareArn=arn)["returnValue"] is True


def discovered(aws: Any, account: str) -> list[str]:
    sm = aws.admin(account, "sagemaker")
    listed = sm.list_model_package_groups(CrossAccountFilterOption="CrossAccount")
    return [one["ModelPackageGroupArn"] for one in listed["ModelPackageGroupSummaryList"]]


def test_a_group_without_a_policy_is_in_no_share(aws: Any, ram: Any) -> None:
    aws.put("group", None)
    found = ram.get_resource_share_associations(associationType="RESOURCE", resourceArn=GROUP)
    assert found["resourceShareAssociations"] == []


def test_a_promoted_share_is_seen_by_whom_the_policy_names_until_it_says_something_else(
    aws: Any, ram: Any
) -> None:
    aws.put("group", policy({"AWS": "222222222222"}))
    assert share_of(ram)["featureSet"] == "CREATED_FROM_POLICY"
    assert discovered(aws, "staging") == []
    promote(ram, "trees-1")
    assert share_of(ram)["featureSet"] == "STANDARD"
    assert discovered(aws, "staging") == [GROUP]
    assert discovered(aws, "production") == []
    assert discovered(aws, "producer") == []
    shared = aws.admin("staging", "ram").get_resource_shares(resourceOwner="OTHER-ACCOUNTS")["resourceShares"]
    assert [one["owningAccountId"] for one in shared] == ["111111111111"]
    found = aws.admin("staging", "ram").list_resources(resourceOwner="OTHER-ACCOUNTS")["resources"]
    assert [one["arn"] for one in found] == [GROUP]
    assert (
        aws.admin("production", "ram").get_resource_shares(resourceOwner="OTHER-ACCOUNTS")["resourceShares"]
        == []
    )
    aws.put("group", policy({"AWS": ["222222222222", "333333333333"]}))
    assert share_of(ram)["featureSet"] == "CREATED_FROM_POLICY"
    assert discovered(aws, "staging") == []
    promote(ram, "trees-2")
    assert discovered(aws, "production") == [GROUP]
    aws.put("group", None)
    assert discovered(aws, "production") == []


ROLE = "arn:aws:iam::222222222222:role/crossaccount-deployer"
UNPROMOTABLE: dict[str, dict[str, Any]] = {
    "a role": policy({"AWS": ROLE}),
    "a role among accounts": policy({"AWS": ["333333333333", ROLE]}),
    "every action": policy({"AWS": "222222222222"}, "*"),
    "every action among others": policy({"AWS": "222222222222"}, ["sagemaker:ListModelPackages", "*"]),
}


@pytest.mark.parametrize("what", UNPROMOTABLE)
def test_a_policy_that_no_permission_can_be_made_of_is_not_promoted(aws: Any, ram: Any, what: str) -> None:
    aws.put("group", UNPROMOTABLE[what])
    with pytest.raises(ClientError, match="InvalidPolicyException"):
        promote(ram, "bad")
    with pytest.raises(ClientError, match="UnmatchedPolicyPermissionException"):
        ram.promote_resource_share_created_from_policy(resourceShareArn=share_of(ram)["resourceShareArn"])
    assert discovered(aws, "staging") == []


def test_a_share_is_promoted_once_and_after_its_permission(aws: Any, ram: Any) -> None:
    aws.put("group", policy({"AWS": "222222222222"}, ["sagemaker:DescribeModelPackageGroup"]))
    arn = share_of(ram)["resourceShareArn"]
    with pytest.raises(ClientError, match="UnmatchedPolicyPermissionException"):
        ram.promote_resource_share_created_from_policy(resourceShareArn=arn)
    promote(ram, "once")
    with pytest.raises(ClientError, match="InvalidStateTransitionException"):
        ram.promote_resource_share_created_from_policy(resourceShareArn=arn)
    aws.put("group", policy({"AWS": "333333333333"}))
    with pytest.raises(ClientError, match="already exists"):
        promote(ram, "once")


@pytest.mark.parametrize(
    "arn", ["trees", "arn:aws:ram:us-east-1:111111111111:permission/x", "arn:aws:s3:::b"]
)
def test_what_is_no_share_is_refused(ram: Any, arn: str) -> None:
    with pytest.raises(ClientError, match="MalformedArnException"):
        ram.promote_resource_share_created_from_policy(resourceShareArn=arn)


def test_a_share_that_is_not_there_is_not_found(ram: Any) -> None:
    with pytest.raises(ClientError, match="UnknownResourceException"):
        ram.promote_resource_share_created_from_policy(
            resourceShareArn="arn:aws:ram:us-east-1:111111111111:resource-share/0"
        )


# Who calls what, and is refused.
def test_nobody_promotes_what_another_account_shares(aws: Any, ram: Any) -> None:
    aws.put("group", policy({"AWS": "222222222222"}))
    share = share_of(ram)["resourceShareArn"]
    (permission,) = ram.list_resource_share_permissions(resourceShareArn=share)["permissions"]
    for account, role in (("staging", None), ("outsider", None), ("staging", "crossaccount-deployer")):
        other = aws.role(account, role, "ram") if role else aws.admin(account, "ram")
        for call in (
            lambda other=other: other.promote_resource_share_created_from_policy(resourceShareArn=share),
            lambda other=other: other.list_resource_share_permissions(resourceShareArn=share),
            lambda other=other: other.promote_permission_created_from_policy(
                permissionArn=permission["arn"], name="n"
            ),
        ):
            with pytest.raises(ClientError, match="not authorized to perform: ram:"):
                call()
    assert share_of(ram)["featureSet"] == "CREATED_FROM_POLICY"


@pytest.mark.parametrize(
    "action",
    ["ram:GetResourceShareAssociations", "ram:GetResourceShares", "ram:ListResourceSharePermissions", "ram:PromotePermissionCreatedFromPolicy",
     "ram:PromoteResourceShareCreatedFromPolicy"],
)  # fmt: skip
def test_each_call_needs_its_own_action(aws: Any, ram: Any, action: str) -> None:
    aws.put("group", policy({"AWS": "222222222222"}, [*READS, "sagemaker:DescribeModelPackage"]))
    with aws.denied("producer", "crossaccount-producer", action), pytest.raises(ClientError, match=action):
        promote(aws.role("producer", "crossaccount-producer", "ram"), "denied")


def test_a_condition_key_of_a_permission_is_judged(aws: Any, ram: Any) -> None:
    aws.put("group", policy({"AWS": "222222222222"}, [*READS, "sagemaker:CreateModel"]))
    other = {"Condition": {"StringEquals": {"ram:PermissionResourceType": "sagemaker:ModelPackageGroup"}}}
    with (
        aws.denied("producer", "crossaccount-producer", "ram:PromotePermissionCreatedFromPolicy", **other),
        pytest.raises(ClientError, match="explicit deny"),
    ):
        promote(aws.role("producer", "crossaccount-producer", "ram"), "judged")


def test_an_organization_is_let_in_by_its_condition(aws: Any, ram: Any) -> None:
    organization = {"StringEquals": {"aws:PrincipalOrgID": "o-exampleorg"}}
    aws.put("group", policy("*", READS, Condition=organization))
    promote(ram, "org")
    accounts = json.loads(json.dumps(aws.ready["accounts"]))
    inside = [name for name in accounts if discovered(aws, name)]
    assert "outsider" not in inside
