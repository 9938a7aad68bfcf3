"""The roles that an account is asked to make: no administrator, nobody's door wide open, and clean to a policy linter."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import parliament
import pytest
import yaml

from crossaccount.doors import bucket, key, registry, repository
from crossaccount.policy import documents, strangers
from crossaccount.policy.audience import Audience, Organization
from crossaccount.setup import templates
from crossaccount_sandbox.public import is_public

FOLDER = Path(__file__).parents[2] / "deployments" / "iam"
PSEUDO = {"AWS::Partition": "aws", "AWS::Region": "us-east-1", "AWS::AccountId": "222222222222"}
GIVEN: dict[str, Any] = {
    "ModelPackageGroupName": "trees",
    "ArtifactBucket": "models",
    "ArtifactPrefix": "models/trees/",
    "ReleasesBucket": "models",
    "ReleasesPrefix": "releases/",
    "RepositoryName": "trees",
    "KeyArn": "arn:aws:kms:us-east-1:111111111111:key/11111111-2222-3333-4444-555555555555",
    "ReleasesKeyArn": "arn:aws:kms:us-east-1:111111111111:key/66666666-7777-8888-9999-000000000000",
    "LifecycleStages": ["Staging", "Production"],
    "LifecycleStatuses": ["Approved"],
    "ExternalId": "an-external-id",
    "TrustedPrincipalArn": "",
    "NamePrefix": "crossaccount",
    "ProducerAccount": "111111111111",
    "EndpointName": "trees",
    "EndpointKeyArn": "arn:aws:kms:us-east-1:222222222222:key/11111111-2222-3333-4444-555555555555",
    "CaptureLocation": "captured/trees/",
    "AnswersLocation": "answers/trees/",
    "FailuresLocation": "failures/trees/",
    "AnswersKeyArn": "arn:aws:kms:us-east-1:222222222222:key/66666666-7777-8888-9999-000000000000",
    "AnswersTopics": [f"arn:aws:sns:us-east-1:222222222222:{name}" for name in ("answers", "errors")],
    "ShadowBucket": "captured",
    "AwsRepositories": ["arn:aws:ecr:us-east-1:683313688378:repository/sagemaker-scikit-learn"],
    "SmokeObjects": "questions/trees/",
    "InVpc": "true",
    "InferenceComponents": "true",
    "SeesAllEndpoints": "true",
    # Resources of the template itself.
    "ExecutionRole": "crossaccount-execution",
    "DeployerRole": "crossaccount-deployer",
    "SharingRole": "crossaccount-producer",
}
# AWS's reference has no resource for these, or (CreateModel) does not list the one that its own developer guide grants.
WITHOUT_RESOURCE = {
    "cloudwatch:DescribeAlarms",
    "cloudwatch:PutMetricData",
    "servicequotas:ListAWSDefaultServiceQuotas",
    "servicequotas:ListServiceQuotas",
    "ecr:GetAuthorizationToken",
    "ecr:GetRegistryPolicy",
    # "VPC configuration" in the SageMaker developer guide grants the network's on everything.
    "ec2:CreateNetworkInterface",
    "ec2:CreateNetworkInterfacePermission",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteNetworkInterfacePermission",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "s3:GetAccountPublicAccessBlock",
    "sagemaker:ListEndpointConfigs",
    "ram:GetResourceShareAssociations",
    "ram:GetResourceShares",
    "sagemaker:ListEndpoints",
    "sagemaker:ListInferenceComponents",
    "sagemaker:ListModelPackageGroups",
    "sagemaker:ListModels",
}
# AWS's reference has inference components among the resources of these; the linter's copy of it is older.
ASKED_OF_COMPONENTS = {"sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"}
SHARED_PACKAGE = "sagemaker:CreateModel"
# Condition keys of the Service Authorization Reference that are younger than the linter's copy of it.
YOUNG_KEYS = {"sagemaker:ModelLifeCycle:stage", "sagemaker:ModelLifeCycle:stageStatus"}
# Writing a bucket's policy can open the bucket to its writer: that is the job of the sharing role, and of no other.
WRITES_POLICIES = "producer.yaml SharingRole bucket"


class _Loader(yaml.SafeLoader):
    """CloudFormation's short forms as what they stand for."""


def _tagged(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {suffix: loader.construct_scalar(node)}
    assert isinstance(node, yaml.SequenceNode)
    return {suffix: loader.construct_sequence(node, deep=True)}


_Loader.add_multi_constructor("!", _tagged)


def resolved(node: Any) -> Any:
    """A template's values with the parameters put in: encrypted artifacts, trust in the account itself."""
    if isinstance(node, list):
        return [value for value in map(resolved, node) if value is not None]
    if not isinstance(node, dict):
        return node
    if len(node) == 1:
        (form, value), *_ = node.items()
        if form == "Ref":
            return None if value == "AWS::NoValue" else {**PSEUDO, **GIVEN}[value]
        if form == "Sub":
            return re.sub(r"\$\{([\w:]+)\}", lambda found: {**PSEUDO, **GIVEN}[found[1]], value)
        if form == "GetAtt":
            return (
                f"arn:aws:iam::{PSEUDO['AWS::AccountId']}:role/crossaccount-{value.partition('.')[0].lower()}"
            )
        if form == "If":
            return resolved(value[1] if value[0] == "Encrypted" else value[2])
    return {key: resolved(value) for key, value in node.items()}


def template(name: str) -> Any:
    return resolved(yaml.load((FOLDER / name).read_text(), _Loader)["Resources"])  # noqa: S506 - a SafeLoader


def identity_policies() -> dict[str, dict[str, Any]]:
    """Every policy that the templates give to an identity."""
    found = {}
    for name in ("producer.yaml", "consumer.yaml"):
        for title, resource in template(name).items():
            properties = resource["Properties"]
            for policy in properties.get("Policies", []):
                found[f"{name} {title} {policy['PolicyName']}"] = policy["PolicyDocument"]
            if "PolicyDocument" in properties:
                found[f"{name} {title}"] = properties["PolicyDocument"]
    return found


POLICIES = identity_policies()


def test_every_policy_of_the_templates_is_looked_at() -> None:
    text = "".join((FOLDER / name).read_text() for name in ("producer.yaml", "consumer.yaml"))
    sids = {one["Sid"] for document in POLICIES.values() for one in document["Statement"]}
    assert sids == set(re.findall(r"- Sid: (\w+)", text))


@pytest.mark.parametrize("name", POLICIES)
def test_the_linter_finds_nothing_but_what_aws_s_reference_leaves_out(name: str) -> None:
    findings = parliament.analyze_policy_string(json.dumps(POLICIES[name])).findings
    unexplained = []
    for finding in findings:
        actions = re.findall(r"[a-z0-9-]+:[A-Z]\w+", str(finding.detail))
        known = WITHOUT_RESOURCE if finding.issue == "RESOURCE_STAR" else {SHARED_PACKAGE}
        if name.endswith(" ComponentsPolicy"):
            known = known | ASKED_OF_COMPONENTS
        if finding.issue == "RESOURCE_POLICY_PRIVILEGE_ESCALATION" and name == WRITES_POLICIES:
            continue
        if finding.issue == "UNKNOWN_CONDITION_FOR_ACTION" and YOUNG_KEYS & set(str(finding.detail).split()):
            continue
        if finding.issue not in ("RESOURCE_STAR", "RESOURCE_MISMATCH") or not set(actions) <= known:
            unexplained.append(str(finding))
    assert unexplained == []


@pytest.mark.parametrize("name", POLICIES)
def test_no_policy_makes_an_administrator(name: str) -> None:
    for one in POLICIES[name]["Statement"]:
        assert set(one) <= {"Sid", "Effect", "Action", "Resource", "Condition"}
        actions = documents.listed(one["Action"])
        assert not [action for action in actions if "*" in action or "?" in action]
        if "*" in documents.listed(one["Resource"]):
            assert set(actions) <= WITHOUT_RESOURCE
        if "iam:PassRole" in actions:
            assert one["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


def test_the_linter_and_the_checks_do_find_what_is_wrong() -> None:
    for action, resource in (
        ("iam:PutRolePolicy", "*"),
        ("s3:GetObjekt", "arn:aws:s3:::b/*"),
        ("s3:GetObject", "*"),
        ("s3:GetObject", "arn:aws:s3:::b"),
    ):
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}],
        }
        assert parliament.analyze_policy_string(json.dumps(document)).findings, action


@pytest.mark.parametrize(
    ("name", "role"), [("producer.yaml", "SharingRole"), ("consumer.yaml", "DeployerRole")]
)
def test_a_role_trusts_one_account_and_asks_for_the_external_id(name: str, role: str) -> None:
    (statement,) = template(name)[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::222222222222:root"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": "an-external-id"}},
    }


def test_the_execution_role_trusts_sagemaker_alone() -> None:
    (statement,) = template("consumer.yaml")["ExecutionRole"]["Properties"]["AssumeRolePolicyDocument"][
        "Statement"
    ]
    assert statement["Principal"] == {"Service": "sagemaker.amazonaws.com"}


ROOTS = ("arn:aws:iam::222222222222:root", "arn:aws:iam::333333333333:root")
AUDIENCES = {
    "accounts": Audience(ROOTS),
    "roles": Audience(ROOTS, ("arn:aws:iam::222222222222:role/r",)),
    "organization": Audience(organization=Organization("o-a1b2c3d4e5")),
    "units": Audience(
        organization=Organization("o-a1b2c3d4e5", ("o-a1b2c3d4e5/r-ab12/",), ("arn:aws:iam::*:role/r",))
    ),
    "expiring": Audience(ROOTS, until="2026-12-31T00:00:00Z"),
}


@pytest.mark.parametrize("audience", AUDIENCES)
def test_no_grant_is_public_or_lets_anyone_administer(audience: str) -> None:
    who, group = AUDIENCES[audience], "arn:aws:sagemaker:us-east-1:111111111111:model-package-group/trees"
    found = [
        *registry.least_privilege(group, [f"{group}/*"], who),
        *repository.least_privilege(group, who),
        *repository.service_principal(group, who),
        *bucket.least_privilege(group, "arn:aws:s3:::models", ["trees/"], who),
        *key.least_privilege(group, who),
    ]
    for one in found:
        assert not is_public({"Statement": [one]}), "by the sandbox's reading"
        assert not strangers.is_public(one), "by our own"
        actions = documents.listed(one["Action"])
        assert not [
            a for a in actions if "*" in a or re.search(r":(Put|Set|Delete|Update|Create(?!Model$)|Tag)", a)
        ]


# The roles of each edition of the templates, by a digest: what doctor compares deployed roles by.
EDITIONS = {"producer": ("1", "4c56f3fb4075e3b9"), "consumer": ("1", "7ec9c39fcbcb9add")}


@pytest.mark.parametrize("side", EDITIONS)
def test_roles_that_change_are_another_edition(side: str) -> None:
    text = json.dumps(templates.read(side)["Resources"], sort_keys=True)
    found = templates.edition(side), hashlib.sha256(text.encode()).hexdigest()[:16]
    assert found == EDITIONS[side], (
        f"raise the tag {templates.EDITION} of {side}.yaml, and write both down here"
    )
