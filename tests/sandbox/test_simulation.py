"""SimulatePrincipalPolicy as AWS answers it: the result's form, what it leaves to doubt, and who forbids.

Sources: localstack's recording of the result's fields; openshift/installer#1322 (a condition key without a value);
cloud-custodian's recording of a deleted role; EvaluationResult in the IAM API reference (one result for an action).
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount_sandbox.world import OrganizationPolicies

ACCOUNT, NAME = "111111111111", "simulated"
ROLE, USER = f"arn:aws:iam::{ACCOUNT}:role/{NAME}", f"arn:aws:iam::{ACCOUNT}:user/{NAME}"
ONE, TWO = "arn:aws:s3:::one/x", "arn:aws:s3:::two/x"


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: str, resource: str = "*", **condition: Any) -> dict[str, Any]:
    found = {"Effect": "Allow", "Action": action, "Resource": resource}
    return found | ({"Condition": condition} if condition else {})


REGION = allow("ec2:*", StringEquals={"aws:RequestedRegion": "us-east-1"})


@pytest.fixture(scope="module")
def iam(inner: Any) -> Any:
    client = inner.client("producer", "iam")
    trust = policy({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"})
    client.create_role(RoleName=NAME, AssumeRolePolicyDocument=trust)
    client.create_user(UserName=NAME)
    text = policy(
        allow("s3:GetObject", ONE), REGION, {**allow("s3:DeleteObject"), "Effect": "Deny"}, allow("sqs:*")
    )
    client.put_role_policy(RoleName=NAME, PolicyName="own", PolicyDocument=text)
    client.put_user_policy(UserName=NAME, PolicyName="own", PolicyDocument=policy(allow("s3:GetObject")))
    return client


def simulate(
    iam: Any, actions: list[str], *resources: str, source: str = ROLE, **more: Any
) -> list[dict[str, Any]]:
    more |= {"ResourceArns": list(resources)} if resources else {}
    answer = iam.simulate_principal_policy(PolicySourceArn=source, ActionNames=actions, **more)
    return list(answer["EvaluationResults"])


def test_one_result_for_an_action_has_the_decision_on_each_resource(iam: Any) -> None:
    first, second = simulate(iam, ["s3:GetObject", "s3:DeleteObject"], ONE, TWO)
    assert (first["EvalActionName"], first["EvalDecision"]) == ("s3:GetObject", "implicitDeny")
    single = {
        one["EvalResourceName"]: one["EvalResourceDecision"] for one in first["ResourceSpecificResults"]
    }
    assert single == {ONE: "allowed", TWO: "implicitDeny"}
    assert first["MissingContextValues"] == []
    assert first["MatchedStatements"] == []
    assert (second["EvalDecision"], second["OrganizationsDecisionDetail"]) == (
        "explicitDeny",
        {"AllowedByOrganizations": True},
    )
    assert [one["SourcePolicyId"] for one in second["MatchedStatements"]] == [f"role_{NAME}_own"]
    assert "PermissionsBoundaryDecisionDetail" not in first


def test_without_resources_there_is_no_decision_on_single_ones(iam: Any) -> None:
    (found,) = simulate(iam, ["sqs:SendMessage"])
    assert (found["EvalResourceName"], found["EvalDecision"]) == ("*", "allowed")
    assert found.get("ResourceSpecificResults", []) == []


@pytest.mark.parametrize("resources", [(), ("arn:aws:ec2:us-east-1:111111111111:instance/i-1",)])
def test_a_condition_key_without_a_value_decides_nothing_and_is_listed(
    iam: Any, resources: tuple[str, ...]
) -> None:
    (found,) = simulate(iam, ["ec2:RunInstances"], *resources)
    assert (found["EvalDecision"], found["MissingContextValues"]) == ("implicitDeny", ["aws:RequestedRegion"])
    for one in found.get("ResourceSpecificResults", []):
        assert one["MissingContextValues"] == ["aws:RequestedRegion"]
    entry = {
        "ContextKeyName": "aws:requestedregion",
        "ContextKeyType": "string",
        "ContextKeyValues": ["us-east-1"],
    }
    (found,) = simulate(iam, ["ec2:RunInstances"], *resources, ContextEntries=[entry])
    assert (found["EvalDecision"], found["MissingContextValues"]) == ("allowed", [])


def test_keys_of_other_actions_are_not_listed(iam: Any) -> None:
    (found,) = simulate(iam, ["s3:GetObject"], ONE)
    assert found["MissingContextValues"] == []


def test_a_boundary_and_further_policies_are_weighed(iam: Any) -> None:
    boundary = {"PermissionsBoundaryPolicyInputList": [policy(allow("sqs:*"))]}
    (found,) = simulate(iam, ["s3:GetObject"], ONE, **boundary)
    assert found["EvalDecision"] == "implicitDeny"
    assert found["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}
    assert found["ResourceSpecificResults"][0]["PermissionsBoundaryDecisionDetail"] == {
        "AllowedByPermissionsBoundary": False
    }
    (found,) = simulate(iam, ["sqs:SendMessage"], **boundary)
    assert found["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": True}
    (found,) = simulate(iam, ["s3:GetObject"], TWO, PolicyInputList=[policy(allow("s3:*"))])
    assert found["EvalDecision"] == "allowed"
    assert [one["SourcePolicyId"] for one in found["MatchedStatements"]] == ["PolicyInputList.1"]
    with pytest.raises(ClientError, match="not a valid JSON") as error:
        simulate(iam, ["s3:GetObject"], PolicyInputList=["no"])
    assert error.value.response["Error"]["Code"] == "InvalidInput"


FULL = {"Effect": "Allow", "Action": "*", "Resource": "*"}
FIRST = {"Sid": "a", **FULL, "Action": "sqs:*"}


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        (json.dumps({"Version": "2012-10-17", "Statement": [FULL]}, indent=2), (3, 17), (8, 6)),
        (json.dumps({"Version": "2012-10-17", "Statement": [FULL]}), (1, 41), (1, 92)),
        (json.dumps({"Statement": [FULL], "Version": "2012-10-17"}, separators=(",", ":")), (1, 15), (1, 61)),
        (json.dumps({"Version": "2012-10-17", "Statement": {"Sid": "", **FULL}}), (1, 39), (1, 102)),
        (json.dumps({"Version": "2012-10-17", "Statement": [FIRST, FULL]}, indent=2), (9, 7), (14, 6)),
    ],
)
def test_a_matched_statement_is_shown_where_it_stands(
    iam: Any, text: str, start: tuple[int, int], end: tuple[int, int]
) -> None:
    (found,) = simulate(iam, ["ec2:StopInstances"], PolicyInputList=[text])
    assert found["MatchedStatements"] == [
        {
            "SourcePolicyId": "PolicyInputList.1",
            "SourcePolicyType": "IAM Policy",
            "StartPosition": dict(zip(("Line", "Column"), start, strict=True)),
            "EndPosition": dict(zip(("Line", "Column"), end, strict=True)),
        }
    ]


def test_an_organization_that_forbids_is_told_of(inner: Any, iam: Any) -> None:
    forbids = json.loads(policy(allow("*"), {**allow("s3:*"), "Effect": "Deny"}))
    inner.server.world.organization_policies[ACCOUNT] = OrganizationPolicies({"arn:x": forbids})
    try:
        (found,) = simulate(iam, ["s3:GetObject"], ONE)
    finally:
        inner.server.world.organization_policies.clear()
    assert found["OrganizationsDecisionDetail"] == {"AllowedByOrganizations": False}
    assert found["EvalDecision"] == "explicitDeny"
    assert found["MatchedStatements"] == []


def test_an_account_in_no_organization_has_no_decision_of_one(inner: Any) -> None:
    outsider = inner.client("outsider", "iam")
    outsider.create_user(UserName="alone")
    arn = outsider.get_user(UserName="alone")["User"]["Arn"]
    (found,) = simulate(outsider, ["s3:GetObject"], source=arn)
    assert "OrganizationsDecisionDetail" not in found


def test_a_user_is_simulated_too(iam: Any) -> None:
    (found,) = simulate(iam, ["s3:GetObject"], TWO, source=USER)
    assert found["EvalDecision"] == "allowed"
    assert [one["SourcePolicyId"] for one in found["MatchedStatements"]] == [f"user_{NAME}_own"]


@pytest.mark.parametrize("source", [f"{ROLE}-none", f"{USER}-none", f"arn:aws:iam::{ACCOUNT}:group/none"])
def test_who_does_not_exist_cannot_be_simulated(iam: Any, source: str) -> None:
    with pytest.raises(ClientError) as error:
        simulate(iam, ["s3:GetObject"], source=source)
    said = error.value.response
    assert (said["Error"]["Code"], said["ResponseMetadata"]["HTTPStatusCode"]) == ("NoSuchEntity", 404)
    assert said["Error"]["Message"] == "Unable to retrieve specified IAM entity."
