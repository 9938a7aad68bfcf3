"""What AWS answered to calls of IAM."""

import json
import re
from collections.abc import Callable
from typing import Any

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
    Setting,
    policy,
)

ROLES = "localstack, tests/aws/services/iam/test_iam_roles.snapshot.json"
POLICIES = "localstack, tests/aws/services/iam/test_iam_policies.snapshot.json"
USERS = "localstack, tests/aws/services/iam/test_iam_users.snapshot.json"
PROVIDERS = "localstack, tests/aws/services/iam/test_iam_oidc.snapshot.json"
REPORTS = "public reports that quote the text"
POLICY = f"arn:aws:iam::{ACCOUNT}:policy"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider"


def with_policy(ask: Callable[[Any, str], Any]) -> Callable[[Setting], Any]:
    """What an ask is answered while there is a managed policy."""

    def call(setting: Setting) -> Any:
        made = setting.iam.create_policy(PolicyName="facts", PolicyDocument=policy(READ))
        arn = made["Policy"]["Arn"]
        try:
            return ask(setting.iam, arn) or made
        finally:
            for version in setting.iam.list_policy_versions(PolicyArn=arn)["Versions"]:
                if not version["IsDefaultVersion"]:
                    setting.iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
            setting.iam.delete_policy(PolicyArn=arn)

    return call


def attached(iam: Any, arn: str) -> Any:
    iam.create_role(RoleName="attached", AssumeRolePolicyDocument=policy(TRUST))
    iam.attach_role_policy(RoleName="attached", PolicyArn=arn)
    try:
        return iam.delete_role(RoleName="attached")
    finally:
        iam.detach_role_policy(RoleName="attached", PolicyArn=arn)
        iam.delete_role(RoleName="attached")


def made_role(**more: Any) -> Callable[[Setting], Any]:
    def call(setting: Setting) -> Any:
        try:
            return setting.iam.create_role(RoleName="made", AssumeRolePolicyDocument=policy(TRUST), **more)
        finally:
            setting.iam.delete_role(RoleName="made")

    return call


def twice(setting: Setting) -> Any:
    url = "https://oidc.example.com/twice"
    setting.iam.create_open_id_connect_provider(Url=url)
    try:
        return setting.iam.create_open_id_connect_provider(Url=url)
    finally:
        setting.iam.delete_open_id_connect_provider(
            OpenIDConnectProviderArn=f"{PROVIDER}/oidc.example.com/twice"
        )


FACTS: dict[str, Fact] = {
    "what CreateRole answers": Fact(
        made_role(Description="d", MaxSessionDuration=7200), f"{ROLES}, test_create_role_defaults",
        fields={"Role/Arn": f"arn:aws:iam::{ACCOUNT}:role/made", "Role/Path": "/"},
        absent=tuple(f"Role/{name}" for name in ("MaxSessionDuration", "RoleLastUsed", "Description", "Tags")),
    ),
    "roles in a list": Fact(
        lambda s: s.iam.list_roles(PathPrefix="/a/path/"), f"{LOCALSTACK_IAM}, test_create_describe_role",
        fields={"IsTruncated": False, "Roles/0/MaxSessionDuration": 3600},
        absent=("Roles/0/RoleLastUsed", "Roles/0/Tags", "Marker"),
    ),
    "a role whose name is taken": Fact(
        lambda s: s.iam.create_role(RoleName="facts", AssumeRolePolicyDocument=policy(TRUST)), f"{ROLES}, test_role_errors",
        "EntityAlreadyExists", r"Role with name facts already exists\.", 409,
    ),
    "a role deleted with its inline policy": Fact(
        lambda s: s.iam.delete_role(RoleName="execution"), f"{ROLES}, test_delete_role_with_inline_policy",
        "DeleteConflict", r"Cannot delete entity, must delete policies first\.", 409,
    ),
    "a role deleted with a policy attached": Fact(
        with_policy(attached), f"{ROLES}, test_delete_role_with_attached_policy",
        "DeleteConflict", r"Cannot delete entity, must detach all policies first\.", 409,
    ),
    "a role changed that is not there": Fact(
        lambda s: s.iam.update_assume_role_policy(RoleName="none", PolicyDocument=policy(TRUST)), f"{ROLES}, test_role_errors",
        "NoSuchEntity", r"The role with name none cannot be found\.", 404,
    ),
    "a trust policy with another service's action": Fact(
        lambda s: s.iam.update_assume_role_policy(
            RoleName="facts", PolicyDocument=policy({**TRUST, "Action": "s3:GetObject"})),
        f"{ROLES}, test_update_assume_role_policy_errors",
        "MalformedPolicyDocument", r"AssumeRole policy may only specify STS AssumeRole actions\.", 400,
    ),
    "a trust policy with a resource": Fact(
        lambda s: s.iam.update_assume_role_policy(RoleName="facts", PolicyDocument=policy({**TRUST, "Resource": "*"})),
        f"{ROLES}, test_update_assume_role_policy_errors",
        "MalformedPolicyDocument", "Has prohibited field Resource", 400,
    ),
    **{
        f"a trust policy with the service {name}": Fact(
            lambda s, name=name: s.role(policy({**TRUST, "Principal": {"Service": ["sagemaker.amazonaws.com", name]}})),
            REPORTS, "MalformedPolicyDocument", f'Invalid principal in policy: "SERVICE":"{name}"', 400,
        )
        for name in ("sagemaker.amazon.com", "sagemaker", "sagemaker.amazonaws.co")
    },
    **{
        f"a policy that names a {element}: {operation}": Fact(
            lambda s, operation=operation, given=given, element=element: getattr(s.iam, operation)(
                **given, PolicyName="named", PolicyDocument=policy({**READ, element: "*"})
            ),
            REPORTS, "MalformedPolicyDocument", r"Policy document should not specify a principal\.", 400,
        )
        for operation, given, element in (
            ("put_role_policy", {"RoleName": "facts"}, "Principal"),
            ("put_role_policy", {"RoleName": "facts"}, "NotPrincipal"),
            ("create_policy", {}, "Principal"),
        )
    },
    "a version of a policy that names a principal": Fact(
        with_policy(lambda iam, arn: iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy({**READ, "Principal": "*"}))),
        REPORTS, "MalformedPolicyDocument", r"Policy document should not specify a principal\.", 400,
    ),
    "an inline policy that is not there": Fact(
        lambda s: s.iam.get_role_policy(RoleName="facts", PolicyName="none"), f"{ROLES}, test_role_inline_policy_lifecycle",
        "NoSuchEntity", r"The role policy with name none cannot be found\.", 404,
    ),
    "an inline policy deleted that is not there": Fact(
        lambda s: s.iam.delete_role_policy(RoleName="facts", PolicyName="none"), f"{ROLES}, test_role_inline_policy_lifecycle",
        "NoSuchEntity", r"The role policy with name none cannot be found\.", 404,
    ),
    "a policy detached that was not attached": Fact(
        lambda s: s.iam.detach_role_policy(RoleName="facts", PolicyArn=f"{POLICY}/none"),
        f"{ROLES}, test_role_managed_policy_errors", "NoSuchEntity", rf"Policy {POLICY}/none was not found\.", 404,
    ),
    "a policy attached to a user by a word": Fact(
        lambda s: s.iam.attach_user_policy(UserName="administrator", PolicyArn="longpolicynamebutnoarn"),
        f"{LOCALSTACK_IAM}, test_user_attach_policy", "ValidationError", "Invalid ARN:  Could not be parsed!", 400,
    ),
    "a policy attached to a user that is not there": Fact(
        lambda s: s.iam.attach_user_policy(UserName="administrator", PolicyArn=f"{POLICY}/none"),
        f"{LOCALSTACK_IAM}, test_user_attach_policy",
        "NoSuchEntity", rf"Policy {POLICY}/none does not exist or is not attachable\.", 404,
    ),
    "tags whose keys differ in case alone": Fact(
        lambda s: s.iam.tag_role(RoleName="facts", Tags=[{"Key": "a", "Value": "b"}, {"Key": "A", "Value": "b"}]),
        f"{ROLES}, test_role_tag_errors",
        "InvalidInput", r"Duplicate tag keys found\. Please note that Tag keys are case insensitive\.", 400,
    ),
    "a tag's key that is too long": Fact(
        lambda s: s.iam.tag_role(RoleName="facts", Tags=[{"Key": "k" * 129, "Value": "v"}]), f"{ROLES}, test_role_tag_errors",
        "ValidationError", r"1 validation error detected: Value at 'tags\.1\.member\.key' failed to satisfy constraint: "
        "Member must have length less than or equal to 128", 400,
    ),
    "a tag's key with a forbidden character": Fact(
        lambda s: s.iam.tag_role(RoleName="facts", Tags=[{"Key": "a!", "Value": "v"}]), f"{ROLES}, test_role_tag_errors",
        "ValidationError", r"1 validation error detected: Value at 'tags\.1\.member\.key' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: \[\\p\{L\}\\p\{Z\}\\p\{N\}_\.:/=\+\\-@\]\+", 400,
    ),
    "too many tags": Fact(
        lambda s: s.iam.tag_role(RoleName="facts", Tags=[{"Key": f"k{n}", "Value": "v"} for n in range(51)]),
        f"{ROLES}, test_role_tag_errors", "ValidationError",
        "1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or equal "
        "to 50", 400,
    ),
    "a list with an item that is too long": Fact(
        lambda s: s.iam.untag_role(RoleName="facts", TagKeys=["k" * 129]), f"{ROLES}, test_role_tag_errors",
        "ValidationError",
        r"1 validation error detected: Value at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: "
        r"\[Member must have length less than or equal to 128, Member must have length greater than or equal to 1, Member must "
        r"satisfy regular expression pattern: \[.*\]\+, Member must not be null\]", 400,
    ),
    "three constraints at once": Fact(
        lambda s: s.iam.create_open_id_connect_provider(
            Url="https://" + "u" * 250, ClientIDList=["c" * 256], ThumbprintList=["b" * 41]),
        f"{PROVIDERS}, test_create_open_id_connect_provider_validation_errors", "ValidationError",
        r"3 validation errors detected: Value at 'clientIDList' failed to satisfy constraint: Member must satisfy constraint: "
        r"\[Member must have length less than or equal to 255, Member must have length greater than or equal to 1\]; Value at "
        r"'thumbprintList' failed to satisfy constraint: Member must satisfy constraint: \[Member must have length less than or "
        r"equal to 40, Member must have length greater than or equal to 40\]; Value at 'url' failed to satisfy constraint: "
        "Member must have length less than or equal to 255", 400,
    ),
    "a managed policy": Fact(
        with_policy(lambda iam, arn: iam.get_policy(PolicyArn=arn)), f"{POLICIES}, test_policy_lifecycle",
        fields={
            "Policy/AttachmentCount": 0, "Policy/DefaultVersionId": "v1", "Policy/IsAttachable": True,
            "Policy/PermissionsBoundaryUsageCount": 0, "Policy/Tags": [], "Policy/PolicyId": re.compile("ANPA[A-Z0-9]{17}"),
        },
    ),
    "what CreatePolicy answers": Fact(
        with_policy(lambda iam, arn: None), f"{POLICIES}, test_policy_lifecycle",
        fields={"Policy/Arn": f"{POLICY}/facts", "Policy/PermissionsBoundaryUsageCount": 0}, absent=("Policy/Tags",),
    ),
    "a policy whose name is taken": Fact(
        with_policy(lambda iam, arn: iam.create_policy(PolicyName="facts", PolicyDocument=policy(READ))),
        f"{POLICIES}, test_policy_errors", "EntityAlreadyExists",
        r"A policy called facts already exists\. Duplicate names are not allowed\.", 409,
    ),
    "a new version of a policy": Fact(
        with_policy(lambda iam, arn: iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy(READ))),
        f"{POLICIES}, test_policy_version_lifecycle",
        fields={"PolicyVersion/VersionId": "v2", "PolicyVersion/IsDefaultVersion": False}, absent=("PolicyVersion/Document",),
    ),
    "a version that is not there": Fact(
        with_policy(lambda iam, arn: iam.get_policy_version(PolicyArn=arn, VersionId="v9")),
        f"{POLICIES}, test_policy_version_errors", "NoSuchEntity",
        rf"Policy {POLICY}/facts version v9 does not exist or is not attachable\.", 404,
    ),
    "a version of a policy that is not there": Fact(
        lambda s: s.iam.get_policy_version(PolicyArn=f"{POLICY}/none", VersionId="v1"),
        f"{POLICIES}, test_policy_version_errors", "NoSuchEntity",
        rf"Policy {POLICY}/none version v1 does not exist or is not attachable\.", 404,
    ),
    "the default version deleted": Fact(
        with_policy(lambda iam, arn: iam.delete_policy_version(PolicyArn=arn, VersionId="v1")),
        f"{POLICIES}, test_policy_version_errors",
        "DeleteConflict", r"Cannot delete the default version of a policy\.", 409,
    ),
    "a user whose name is taken": Fact(
        lambda s: s.iam.create_user(UserName="administrator"), f"{USERS}, test_user_errors",
        "EntityAlreadyExists", r"User with name administrator already exists\.", 409,
    ),
    "a user that is not there": Fact(
        lambda s: s.iam.get_user(UserName="none"), f"{USERS}, test_user_errors",
        "NoSuchEntity", r"The user with name none cannot be found\.", 404,
    ),
    "a provider that is there": Fact(
        twice, f"{PROVIDERS}, test_create_open_id_connect_provider_duplicate_error", "EntityAlreadyExists",
        r"Provider with url https://oidc\.example\.com/twice already exists\.", 409,
    ),
    "a provider that is not there": Fact(
        lambda s: s.iam.get_open_id_connect_provider(OpenIDConnectProviderArn=f"{PROVIDER}/none.example.com"),
        f"{PROVIDERS}, test_get_open_id_connect_provider_not_found", "NoSuchEntity",
        rf"OpenIDConnect Provider not found for arn {PROVIDER}/none\.example\.com", 404,
    ),
    "a provider deleted that is not there": Fact(
        lambda s: s.iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=f"{PROVIDER}/none.example.com"),
        f"{PROVIDERS}, test_delete_open_id_connect_provider", "NoSuchEntity",
        rf"OpenId connect Provider {PROVIDER}/none\.example\.com cannot be found\.", 404,
    ),
    "a provider without https": Fact(
        lambda s: s.iam.create_open_id_connect_provider(Url="oidc.example.com"),
        f"{PROVIDERS}, test_create_open_id_connect_provider_invalid_url",
        "ValidationError", "Invalid Open ID Connect Provider URL", 400,
    ),
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
        r"1 validation error detected: Value at 'serviceSpecificCredentialId' failed to satisfy constraint: Member must "
        r"satisfy regular expression pattern: \[\\w\]\+", 400,
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
            "EvaluationResults/0/MatchedStatements/0/SourcePolicyId": "role_simulated_p",
            "EvaluationResults/0/MatchedStatements/0/SourcePolicyType": "IAM Policy",
            "EvaluationResults/0/MatchedStatements/0/StartPosition": {"Line": 1, "Column": 41},
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
