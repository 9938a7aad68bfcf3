"""Stacks as CloudFormation makes, changes, tells and removes them; and what a template says is what the roles have.

Sources: localstack's recordings of CloudFormation, its API reference and user guide, and users' reports for the texts.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError, WaiterError

FOLDER = Path(__file__).parents[2] / "deployments" / "iam"
ACCOUNT, REGION = "222222222222", "us-east-1"
NAMED = ["CAPABILITY_NAMED_IAM"]
SHARED = {
    "ModelPackageGroupName": "trees",
    "ArtifactBucket": "models",
    "ReleasesBucket": "models",
    "ReleasesPrefix": "releases/",
    "RepositoryName": "trees",
    "ExternalId": "an-external-id",
}
GIVEN = {
    "producer.yaml": SHARED,
    "consumer.yaml": {**SHARED, "ProducerAccount": "111111111111", "EndpointName": "trees"},
}
KEY = "arn:aws:kms:us-east-1:111111111111:key/11111111-2222-3333-4444-555555555555"


# A rendering of a template that shares nothing with the sandbox's.


class _Loader(yaml.SafeLoader):
    """YAML with tags kept as they are written."""


_Loader.add_multi_constructor(
    "!",
    lambda loader, tag, node: (
        tag,
        node.value if isinstance(node, yaml.ScalarNode) else loader.construct_sequence(node, deep=True),
    ),
)


class Rendering:
    """What a template says for some values, read with the few forms that ours have."""

    def __init__(self, text: str, given: dict[str, str]) -> None:
        self.document = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
        declared = self.document.get("Parameters", {})
        self.given = {name: str(given.get(name, each.get("Default"))) for name, each in declared.items()}
        pseudo = {"Partition": "aws", "Region": REGION, "AccountId": ACCOUNT}
        self.given |= {f"AWS::{name}": value for name, value in pseudo.items()}

    def value(self, node: Any) -> Any:
        if isinstance(node, list):
            return [each for each in map(self.value, node) if each is not None]
        if isinstance(node, dict):
            return {name: self.value(each) for name, each in node.items()}
        if not isinstance(node, tuple):
            return node
        tag, said = node
        match tag:
            case "Ref":
                return self.named(said)
            case "Sub":
                return re.sub(r"\$\{([\w:]+)\}", lambda found: str(self.named(found[1])), said)
            case "GetAtt":
                return f"arn:aws:iam::{ACCOUNT}:role/{self.named(said.partition('.')[0])}"
            case "If":
                return self.value(said[1] if self.holds(said[0]) else said[2])
            case "Equals":
                return self.value(said[0]) == self.value(said[1])
            case "Not":
                return not self.value(said[0])
        raise AssertionError(node)

    def named(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return None
        if name in self.given:
            return self.given[name]
        return self.value(self.document["Resources"][name]["Properties"]["RoleName"])

    def holds(self, condition: str) -> bool:
        return bool(self.value(self.document["Conditions"][condition]))

    def identities(self) -> dict[str, Any]:
        """The roles with their trust and policies, and the managed policies, as IAM is to have them."""
        roles: dict[str, Any] = {}
        managed: dict[str, Any] = {}
        later = []
        for resource in self.document["Resources"].values():
            if "Condition" in resource and not self.holds(resource["Condition"]):
                continue
            said = self.value(resource["Properties"])
            if resource["Type"] == "AWS::IAM::Role":
                policies = {each["PolicyName"]: each["PolicyDocument"] for each in said["Policies"]}
                roles[said["RoleName"]] = (said["AssumeRolePolicyDocument"], policies)
            elif resource["Type"] == "AWS::IAM::ManagedPolicy":
                managed[said["ManagedPolicyName"]] = said["PolicyDocument"]
            else:
                later.append(said)
        for said in later:
            for role in said["Roles"]:
                roles[role][1][said["PolicyName"]] = said["PolicyDocument"]
        return {"roles": roles, "managed": managed}


def identities(iam: Any) -> dict[str, Any]:
    """The same of the account, by its own listing; root accounts are shown as their ARNs."""
    roles = {}
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        policies = {
            each: iam.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"]
            for each in iam.list_role_policies(RoleName=name)["PolicyNames"]
        }
        roles[name] = (role["AssumeRolePolicyDocument"], policies)
    managed = {}
    for policy in iam.list_policies(Scope="Local")["Policies"]:
        shown = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])
        managed[policy["PolicyName"]] = shown["PolicyVersion"]["Document"]
    return {"roles": roles, "managed": managed}


def pairs(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]


NAMES = (f"change-{number}" for number in itertools.count())


def directly(cf: Any, text: str, values: dict[str, str]) -> bool:
    """The calls of a program with boto3; False where nothing was to be done."""
    given = {
        "StackName": "ours",
        "TemplateBody": text,
        "Parameters": pairs(values),
        "Capabilities": NAMED,
    }
    there = [each["StackName"] for each in cf.describe_stacks()["Stacks"]]
    try:
        if "ours" not in there:
            cf.create_stack(**given)
            cf.get_waiter("stack_create_complete").wait(StackName="ours")
        else:
            cf.update_stack(**given)
            cf.get_waiter("stack_update_complete").wait(StackName="ours")
    except ClientError as error:
        if error.response["Error"]["Message"] != "No updates are to be performed.":
            raise
        return False
    return True


def by_change_set(cf: Any, text: str, values: dict[str, str]) -> bool:
    """The calls of ``aws cloudformation deploy``; False where nothing was to be done."""
    declared = yaml.load(text, _Loader)["Parameters"]  # noqa: S506 - a SafeLoader
    known: list[str] = []
    try:
        status = cf.describe_stacks(StackName="ours")["Stacks"][0]["StackStatus"]
        kind = "CREATE" if status == "REVIEW_IN_PROGRESS" else "UPDATE"
        known = [each["ParameterKey"] for each in cf.get_template_summary(StackName="ours")["Parameters"]]
    except ClientError as error:
        if "Stack with id ours does not exist" not in error.response["Error"]["Message"]:
            raise
        kind = "CREATE"
    parameters = pairs(values)
    if kind == "UPDATE":
        parameters += [
            {"ParameterKey": name, "UsePreviousValue": True}
            for name in declared
            if name in known and name not in values
        ]
    name = next(NAMES)
    made = cf.create_change_set(
        StackName="ours",
        ChangeSetName=name,
        ChangeSetType=kind,
        TemplateBody=text,
        Parameters=parameters,
        Capabilities=NAMED,
    )
    asked = {"ChangeSetName": made["Id"], "StackName": "ours"}
    try:
        cf.get_waiter("change_set_create_complete").wait(**asked)
    except WaiterError as error:
        last = error.last_response
        if last["Status"] != "FAILED" or "didn't contain changes." not in last["StatusReason"]:
            raise
        return False
    cf.execute_change_set(**asked)
    waiter = "stack_create_complete" if kind == "CREATE" else "stack_update_complete"
    cf.get_waiter(waiter).wait(StackName="ours")
    return True


CLIENTS: dict[str, Callable[..., bool]] = {"boto3": directly, "deploy": by_change_set}


@pytest.fixture
def cf(inner: Any) -> Iterator[Any]:
    """CloudFormation in an account that is left as it was found."""
    client, iam = inner.client("staging", "cloudformation"), inner.client("staging", "iam")
    before = identities(iam)
    yield client
    for stack in client.describe_stacks()["Stacks"]:
        client.update_termination_protection(StackName=stack["StackName"], EnableTerminationProtection=False)
        client.delete_stack(StackName=stack["StackName"])
    assert client.describe_stacks()["Stacks"] == []
    assert identities(iam) == before


@pytest.fixture
def iam(inner: Any) -> Any:
    return inner.client("staging", "iam")


def without(everything: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    return {
        kind: {name: each for name, each in held.items() if name not in before[kind]}
        for kind, held in everything.items()
    }


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", GIVEN)
def test_the_roles_have_what_the_templates_say_at_each_step(
    cf: Any, iam: Any, client: str, name: str
) -> None:
    """Made without a key, told of one, changed in its text, renamed, told of all there is, told of nothing again, removed."""
    deploy, text, before = CLIENTS[client], (FOLDER / name).read_text(), identities(iam)
    edited = text.replace("ecr:BatchGetImage", "ecr:DescribeImages").replace(
        "- Sid: AssumeDeployer", "- Sid: AssumesDeployer"
    )
    longer = text.replace("MaxSessionDuration: 3600", "MaxSessionDuration: 7200")
    everything = {"KeyArn": KEY, "ReleasesKeyArn": KEY, "TrustedPrincipalArn": f"arn:aws:iam::{ACCOUNT}:root"}
    if name == "consumer.yaml":
        everything |= {
            "EndpointKeyArn": KEY,
            "CaptureLocation": "a/b/",
            "SmokeObjects": "c/d/",
            "InVpc": "true",
        }
    given = GIVEN[name]
    steps = [
        (text, given),
        (text, {**given, "KeyArn": KEY}),
        (edited, {**given, "KeyArn": KEY}),
        (longer, {**given, "KeyArn": KEY, "ExternalId": "another"}),
        (text, {**given, "NamePrefix": "renamed", "KeyArn": KEY}),
        (text, {**given, "NamePrefix": "renamed", **everything}),
        (text, {**given, "NamePrefix": "renamed", "KeyArn": "", **dict.fromkeys(everything, ""), "InVpc": "false"}
         if name == "consumer.yaml" else {**given, "NamePrefix": "renamed", **dict.fromkeys(everything, "")}),
        (text, {**given, "NamePrefix": "crossaccount", "KeyArn": ""}),
    ]  # fmt: skip
    last: dict[str, str] = {}
    for number, (body, values) in enumerate(steps):
        assert deploy(cf, body, values), number
        # What a deploy does not name stays as it was; a program's update names all.
        last = {**last, **values} if client == "deploy" else values
        wanted = Rendering(body, last).identities()
        assert without(identities(iam), before) == wanted, number
        assert not deploy(cf, body, values), number
        assert without(identities(iam), before) == wanted, number
    cf.delete_stack(StackName="ours")
    cf.get_waiter("stack_delete_complete").wait(StackName="ours")
    assert identities(iam) == before


def test_the_default_without_a_key_makes_every_role_and_tells_them(cf: Any) -> None:
    assert by_change_set(cf, (FOLDER / "consumer.yaml").read_text(), GIVEN["consumer.yaml"])
    (stack,) = cf.describe_stacks(StackName="ours")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]} == {
        "DeployerRole": f"arn:aws:iam::{ACCOUNT}:role/crossaccount-deployer",
        "ExecutionRole": f"arn:aws:iam::{ACCOUNT}:role/crossaccount-execution",
    }
    listed = cf.list_stack_resources(StackName="ours")["StackResourceSummaries"]
    assert {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in listed} == {
        "DeployerRole": "crossaccount-deployer",
        "ExecutionRole": "crossaccount-execution",
        "OperatorPolicy": f"arn:aws:iam::{ACCOUNT}:policy/crossaccount-consumer-operator",
    }


@pytest.mark.parametrize("client", CLIENTS)
def test_a_changed_parameter_decides_what_the_role_is_allowed(cf: Any, inner: Any, client: str) -> None:
    deploy, text = CLIENTS[client], (FOLDER / "producer.yaml").read_text()
    key = inner.client("staging", "kms").create_key()["KeyMetadata"]["Arn"]

    def reads() -> str:
        arn = f"arn:aws:iam::{ACCOUNT}:role/crossaccount-producer"
        asked = {"RoleArn": arn, "RoleSessionName": "reader", "ExternalId": "an-external-id"}
        session = inner.client("staging", "sts").assume_role(**asked)["Credentials"]
        kms = inner.keyed("kms", session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
        kms.describe_key(KeyId=key)
        try:
            kms.get_key_policy(KeyId=key)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "read"

    deploy(cf, text, SHARED)
    assert reads() == "AccessDeniedException"
    deploy(cf, text, {**SHARED, "KeyArn": key})
    assert reads() == "read"
    deploy(cf, text, {**SHARED, "KeyArn": KEY})
    assert reads() == "AccessDeniedException"
    deploy(cf, text, {**SHARED, "KeyArn": key})
    assert reads() == "read"
    deploy(cf, text, {**SHARED, "KeyArn": ""})
    assert reads() == "AccessDeniedException"
