"""What AWS answered to calls of IAM."""

import json

from facts import (
    ACCOUNT,
    CUSTODIAN,
    LOCALSTACK_IAM,
    LOCALSTACK_STS,
    PERCENT,
    READ,
    REGION,
    TRUST,
    Fact,
    policy,
)

FACTS: dict[str, Fact] = {
    "a trust policy that is no JSON": Fact(
        lambda s: s.role("{"), LOCALSTACK_IAM, "MalformedPolicyDocument", "This policy contains invalid Json", 400,
    ),
    "a new role": Fact(
        lambda s: s.iam.get_role(RoleName="facts"), LOCALSTACK_IAM,
        fields={"Role/MaxSessionDuration": 3600, "Role/RoleLastUsed": {}}, absent=("Role/Tags",),
    ),
    "a bare account number in a trust policy": Fact(
        lambda s: s.role(policy(TRUST)), LOCALSTACK_STS,
        fields={"Role/AssumeRolePolicyDocument/Statement/0/Principal": {"AWS": ACCOUNT}},
    ),
    "a role that is not there": Fact(
        lambda s: s.iam.get_role(RoleName="none"), f"{CUSTODIAN}/test_delete_role",
        "NoSuchEntity", r"The role with name none cannot be found\.", 404,
    ),
    "a policy attached by a word": Fact(
        lambda s: s.iam.attach_role_policy(RoleName="facts", PolicyArn="longpolicynamebutnoarn"), LOCALSTACK_IAM,
        "ValidationError", "Invalid ARN:  Could not be parsed!", 400,
    ),
    "a policy attached that is not there": Fact(
        lambda s: s.iam.attach_role_policy(RoleName="facts", PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/none"), LOCALSTACK_IAM,
        "NoSuchEntity", rf"Policy arn:aws:iam::{ACCOUNT}:policy/none does not exist or is not attachable\.", 404,
    ),
    "percent signs in a policy's resource": Fact(
        lambda s: s.inline(), LOCALSTACK_IAM, fields={"PolicyDocument/Statement/0/Resource/0": PERCENT},
    ),
    "percent signs in a trust policy's condition": Fact(
        lambda s: s.role(policy({**TRUST, "Condition": {"StringEquals": {"aws:SourceArn": "arn%3Aaws"}}})), LOCALSTACK_IAM,
        fields={"Role/AssumeRolePolicyDocument/Statement/0/Condition": {"StringEquals": {"aws:SourceArn": "arn%3Aaws"}}},
    ),
    "a lone statement without its list": Fact(
        lambda s: s.role(json.dumps({"Version": "2012-10-17", "Statement": TRUST})),
        "getmoto/moto, tests/test_iam/test_iam_response_attributes.py",
        fields={"Role/AssumeRolePolicyDocument/Statement/Action": "sts:AssumeRole"},
    ),
    "a role that one may not see": Fact(
        lambda s: s.powerless("iam").get_role(RoleName="facts"), "access-undenied-aws, access_denied_message_patterns.json",
        "AccessDenied", r"User: \S+ is not authorized to perform: iam:GetRole on resource: role facts.*", 403,
    ),
    "an id that breaks its pattern": Fact(
        lambda s: s.iam.update_service_specific_credential(ServiceSpecificCredentialId="with-hyphens-and-longer", Status="Active"),
        f"{LOCALSTACK_IAM}, test_user_match_id_mismatch", "ValidationError",
        r"1 validation error detected: Value at 'serviceSpecificCredentialId' failed to satisfy constraint: .*", 400,
    ),
    "a name of a role that is too long": Fact(
        lambda s: s.iam.get_role(RoleName="x" * 65), "aws/eks-hybrid, pull request 113", "ValidationError",
        "1 validation error detected: Value at 'roleName' failed to satisfy constraint: "
        "Member must have length less than or equal to 64", 400,
    ),
    "a name of a role that breaks its pattern": Fact(
        lambda s: s.iam.get_role(RoleName="service-role/facts"), "public reports of Terraform's import of a role by its path",
        "ValidationError", r"The specified value for roleName is invalid\. It must contain only alphanumeric characters and/or "
        r"the following: \+=,\.@_-", 400,
    ),
    "the simulation of a role that is not there": Fact(
        lambda s: s.iam.simulate_principal_policy(
            PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:role/none", ActionNames=["s3:GetObject"]),
        f"{CUSTODIAN}/test_aws_lambda_check_permission_deleted_role",
        "NoSuchEntity", r"Unable to retrieve specified IAM entity\.", 404,
    ),
    "the simulation of a role": Fact(
        lambda s: s.simulated(READ), f"{LOCALSTACK_IAM}, test_simulate_principle_policy",
        fields={
            "EvaluationResults/0/EvalDecision": "allowed",
            "EvaluationResults/0/MissingContextValues": [],
            "EvaluationResults/0/OrganizationsDecisionDetail": {"AllowedByOrganizations": True},
            "EvaluationResults/0/ResourceSpecificResults/0/EvalResourceDecision": "allowed",
            "EvaluationResults/1/EvalDecision": "implicitDeny",
            "EvaluationResults/1/MatchedStatements": [],
        },
    ),
    "the simulation of a role whose policy asks for a key that nobody gave": Fact(
        lambda s: s.simulated({**READ, "Condition": {"StringEquals": {"aws:RequestedRegion": REGION}}}),
        "openshift/installer, issue 1322",
        fields={
            "EvaluationResults/0/EvalDecision": "implicitDeny",
            "EvaluationResults/0/MissingContextValues": ["aws:RequestedRegion"],
        },
    ),
}  # fmt: skip
