"""Stacks as CloudFormation makes, changes, tells and removes them; and what a template says is what the roles have.

Sources: localstack's recordings of CloudFormation, its API reference and user guide, and users' reports for the texts.
"""

from __future__ import annotations

import itertools
import json
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
        self.given: dict[str, Any] = {
            name: str(given.get(name, each.get("Default"))) for name, each in declared.items()
        }
        self.given |= {
            name: self.given[name].split(",")
            for name, each in declared.items()
            if each["Type"] == "CommaDelimitedList"
        }
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
        forms: dict[str, Callable[[Any], Any]] = {
            "Ref": self.named,
            "Sub": lambda text: re.sub(r"\$\{([\w:]+)\}", lambda found: str(self.named(found[1])), text),
            "GetAtt": lambda text: f"arn:aws:iam::{ACCOUNT}:role/{self.named(text.partition('.')[0])}",
            "If": lambda parts: self.value(parts[1] if self.holds(parts[0]) else parts[2]),
            "Equals": lambda parts: self.value(parts[0]) == self.value(parts[1]),
            "Not": lambda parts: not self.value(parts[0]),
            "And": lambda parts: all(map(self.value, parts)),
            "Condition": self.holds,
            "Join": lambda parts: parts[0].join(self.value(parts[1])),
        }
        return forms[tag](said)

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
    parameters: list[dict[str, Any]] = [*pairs(values)]
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
    inner.session(
        "staging", "iam", allowing("*")
    )  # the role of narrowed sessions is there from the beginning
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
    """Made without a key, told of one, changed in its text, renamed, told of all there is and renamed again, told of nothing."""
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
            "ShadowBucket": "a",
            "AwsRepositories": "arn:aws:ecr:us-east-1:683313688378:repository/a",
            "SmokeObjects": "c/d/",
            "InVpc": "true",
        }
    nothing = {each: "false" if each == "InVpc" else "" for each in everything}
    given = GIVEN[name]
    keyed = {**given, "KeyArn": KEY}
    renamed = {**keyed, "NamePrefix": "renamed"}
    steps = [
        (text, given),
        (text, keyed),
        (edited, keyed),
        (longer, {**keyed, "ExternalId": "another"}),
        (text, renamed),
        (text, {**renamed, **everything}),
        (text, {**renamed, **everything, "NamePrefix": "third"}),
        (text, {**renamed, **nothing}),
        (text, {**given, **nothing, "NamePrefix": "crossaccount"}),
    ]
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


# What is refused before anything is there.

ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "RoleName": "stack-role",
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ],
        },
    },
}  # fmt: skip
DOCUMENT = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}]}  # fmt: skip
NOTE = {"Type": "AWS::CDK::Metadata", "Properties": {}}


def role(name: str = "stack-role", **more: Any) -> dict[str, Any]:
    return {**ROLE, "Properties": {**ROLE["Properties"], "RoleName": name, **more}}  # type: ignore[dict-item]


def resources(**named: Any) -> dict[str, Any]:
    return {"Resources": named}


def create(cf: Any, template: Any, name: str = "ours", **more: Any) -> Any:
    text = template if isinstance(template, str) else json.dumps(template)
    return cf.create_stack(StackName=name, TemplateBody=text, **{"Capabilities": NAMED, **more})


def status(cf: Any, name: str = "ours") -> str:
    return str(cf.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])


def failures(cf: Any, name: str = "ours") -> dict[str, str]:
    """Why resources of a stack failed, by their logical ids."""
    listed = cf.describe_stack_events(StackName=name)["StackEvents"]
    return {
        each["LogicalResourceId"]: each["ResourceStatusReason"]
        for each in listed
        if each["ResourceStatus"].endswith("FAILED") and "Stack" not in each["ResourceType"]
    }


def declared(**parameter: Any) -> dict[str, Any]:
    return {"Parameters": {"P": {"Type": "String", **parameter}}, **resources(A=NOTE)}


def one(value: str) -> dict[str, Any]:
    return {"Parameters": [{"ParameterKey": "P", "ParameterValue": value}]}


REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "a parameter without a value": (declared(), {}, "Parameters: [P] must have values"),
    "a parameter that is unknown": (
        resources(A=NOTE),
        one("x"),
        "Parameters: [P] do not exist in the template",
    ),
    "a value that is not allowed": (
        declared(AllowedValues=["a", "b"]),
        one("c"),
        "Parameter 'P' must be one of AllowedValues",
    ),
    "a pattern that fits a part": (
        declared(AllowedPattern="[0-9]{12}"),
        one("1234567890123"),
        "Parameter 'P' must match pattern [0-9]{12}",
    ),
    "a default outside the pattern": (
        declared(AllowedPattern="[0-9]+", Default="x"),
        {},
        "Parameter 'P' must match pattern [0-9]+",
    ),
    "a value of a list outside the pattern": (
        declared(Type="CommaDelimitedList", AllowedPattern="arn:.+"),
        one("arn:a,b"),
        "Each value of parameter 'P' must match pattern arn:.+",
    ),
    "a value that is too short": (
        declared(MinLength=3),
        one("ab"),
        "Parameter 'P' must contain at least 3 characters",
    ),
    "a value that is too long": (
        declared(MaxLength="3"),
        one("abcd"),
        "Parameter 'P' must contain at most 3 characters",
    ),
    "a number that is none": (declared(Type="Number"), one("x"), "Parameter 'P' must be a number"),
    "a number that is too small": (
        declared(Type="Number", MinValue=3),
        one("2"),
        "Parameter 'P' must be a number not less than 3",
    ),
    "a previous value of a new stack": (
        declared(Default="a"),
        {"Parameters": [{"ParameterKey": "P", "UsePreviousValue": True}]},
        "Invalid input for parameter key P. Cannot specify usePreviousValue as true for a parameter key not in the "
        "previous template",
    ),
    "no capability for a role": (
        resources(A={**ROLE, "Properties": {"AssumeRolePolicyDocument": {}}}),
        {"Capabilities": []},
        "Requires capabilities : [CAPABILITY_IAM]",
    ),
    "too little a capability for a role's name": (
        resources(A=ROLE),
        {"Capabilities": ["CAPABILITY_IAM"]},
        "Requires capabilities : [CAPABILITY_NAMED_IAM]",
    ),
    "a name that leads nowhere": (
        resources(A=role(Description={"Ref": "B"})),
        {},
        "Template format error: Unresolved resource dependencies [B] in the Resources block of the template",
    ),
    "a name in a text that leads nowhere": (
        resources(A=role(Description={"Fn::Sub": "x ${B} ${!C}"})),
        {},
        "Template format error: Unresolved resource dependencies [B] in the Resources block of the template",
    ),
    "an output of what is not there": (
        {**resources(A=NOTE), "Outputs": {"O": {"Value": {"Ref": "B"}}}},
        {},
        "Template format error: Unresolved resource dependencies [B] in the Outputs block of the template",
    ),
    "an output of what its condition leaves out": (
        {
            "Conditions": {"Never": {"Fn::Equals": ["a", "b"]}},
            **resources(A={**NOTE, "Condition": "Never"}, B=NOTE),
            "Outputs": {"O": {"Value": {"Ref": "A"}}},
        },
        {},
        "Unresolved resource dependencies [A] in the Outputs block of the template",
    ),
    "an attribute of what is not there": (
        resources(A=role(Description={"Fn::GetAtt": ["B", "Arn"]})),
        {},
        "Template error: instance of Fn::GetAtt references undefined resource B",
    ),
    "an attribute that a role does not have": (
        resources(A=ROLE, B=role("b", Description={"Fn::GetAtt": "A.Name"})),
        {},
        "Template error: resource A does not support attribute type Name in Fn::GetAtt",
    ),
    "a condition that is not there": (
        resources(A={**NOTE, "Condition": "C"}),
        {},
        "Template format error: Unresolved condition dependency C in the Resources block of the template",
    ),
    "a condition on a resource": (
        {"Conditions": {"C": {"Fn::Equals": [{"Ref": "A"}, "x"]}}, **resources(A=NOTE)},
        {},
        "Template format error: Unresolved dependencies [A]. Cannot reference resources in the Conditions block of the "
        "template",
    ),
    "two that wait for each other": (
        resources(A={**NOTE, "DependsOn": "B"}, B={**NOTE, "DependsOn": ["A"]}),
        {},
        "Circular dependency between resources: [A, B]",
    ),
    "a type of no service here": (
        resources(A={"Type": "AWS::Lambda::Function"}),
        {},
        "Template format error: Unrecognized resource types: [AWS::Lambda::Function]",
    ),
    "a section of no template": ({**resources(A=NOTE), "Resource": {}}, {}, "Invalid template property or properties [Resource]"),
    "another version": ({"AWSTemplateFormatVersion": "2011-01-01", **resources(A=NOTE)}, {}, "Template format error: unsupported value for AWSTemplateFormatVersion."),
    "an alias of YAML": ("Resources:\n  A: &a {Type: AWS::CDK::Metadata}\n  B: *a\n", {}, "Template error: YAML aliases are not allowed in CloudFormation templates"),
    "a type that is a function": (resources(A={"Type": {"Ref": "P"}}), {}, "Template format error: [/Resources/A] Every Type member must be a string."),
    "a snapshot of a role": (resources(A={**ROLE, "DeletionPolicy": "Snapshot"}), {}, "Template error: resource type AWS::IAM::Role does not support deletion policy Snapshot"),
    "a default that is a function": (declared(Default={"Ref": "AWS::Region"}), {}, "Template format error: Every Default member must be a string."),
    "a length that is no number": (declared(MinLength="x"), one("x"), "Template format error: MinLength of parameter P must be a number."),
    "a pattern that nobody reads": (declared(AllowedPattern="[a-"), one("x"), "The sandbox cannot read the AllowedPattern [a-: unterminated character set at position 0"),
    "a pattern that only Java reads": (declared(AllowedPattern="\\p{Lower}+"), one("x"), "The sandbox cannot read the AllowedPattern \\p{Lower}+: bad escape \\p at position 0"),
    "a letter beyond ASCII": (declared(AllowedPattern="\\w+"), one("\u00fc"), "Parameter 'P' must match pattern \\w+"),
    "two exports of one name": ({**resources(A=NOTE), "Outputs": {name: {"Value": "x", "Export": {"Name": "e"}} for name in "OP"}}, {}, "Template format error: Duplicate Export names: [e]"),
    "a text that is no template": ("just a text", {}, "Template format error: unsupported structure."),
    "a text that is no YAML": ("Resources:\n  A: [", {}, "Template format error: YAML not well-formed. (line 3, column 1)"),
    "a function of another form": (
        resources(A=role(Description={"Fn::GetAtt": ["A"]})),
        {},
        "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute",
    ),
    "an import of nothing": (
        resources(A=role(Description={"Fn::ImportValue": "none"})),
        {},
        "No export named none found.",
    ),
    "a parameter of the parameter store": (
        declared(Type="AWS::SSM::Parameter::Value<String>", Default="/cdk-bootstrap/version"),
        {},
        "Unable to fetch parameters [/cdk-bootstrap/version] from parameter store for this account.",
    ),
    "rules, which are not read": (
        {**resources(A=NOTE), "Rules": {}},
        {},
        "The sandbox does not read a template's Rules",
    ),
    "two forms of template": (
        resources(A=NOTE),
        {"TemplateURL": "https://s3.amazonaws.com/a/b"},
        "Either Template URL or Template Body must be specified.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_a_stack_is_refused_and_leaves_none(cf: Any, case: str) -> None:
    template, more, said = REFUSED[case]
    text = template if isinstance(template, str) else json.dumps(template)
    given = {"StackName": "ours", "TemplateBody": text, "Capabilities": NAMED, **more}
    change_set = {**given, "ChangeSetName": "a", "ChangeSetType": "CREATE"}
    for call, asked in ((cf.create_stack, given), (cf.create_change_set, change_set)):
        with pytest.raises(ClientError) as error:
            call(**asked)
        answer = error.value.response["Error"]
        insufficient = said.startswith("Requires capabilities")
        assert answer["Code"] == ("InsufficientCapabilitiesException" if insufficient else "ValidationError")
        assert answer["Message"].partition(" (the sandbox makes")[0] == said
    assert cf.list_stacks(StackStatusFilter=["CREATE_COMPLETE", "REVIEW_IN_PROGRESS"])["StackSummaries"] == []


# What has another form than CloudFormation takes: the node in place of a role's description, and what is said.

FORMS: dict[str, tuple[Any, str]] = {
    "an index below zero": ({"Fn::Select": [-1, ["a", "b"]]}, "Fn::Select cannot select nonexistent value at index -1"),
    "an index that is no number": ({"Fn::Select": ["x", ["a"]]}, "Fn::Select cannot select nonexistent value at index x"),
    "one of a plain text": ({"Fn::Select": [0, "abc"]}, "Fn::Select requires a list argument with two elements: an integer index and a list"),
    "one of a parameter that is no list": ({"Fn::Select": [0, {"Ref": "AWS::Region"}]}, "Fn::Select requires a list argument with two elements: an integer index and a list"),
    "a joined text": ({"Fn::Join": ["-", "abc"]}, "every Fn::Join object requires two parameters"),
    "a joined parameter that is no list": ({"Fn::Join": ["-", {"Ref": "AWS::Region"}]}, "every Fn::Join object requires two parameters"),
    "a join of nothing": ({"Fn::Join": ["-"]}, "every Fn::Join object requires two parameters"),
    "a split list": ({"Fn::Split": ["-", ["a"]]}, "every Fn::Split object requires two parameters"),
    "a text with three arguments": ({"Fn::Sub": ["a", {}, "b"]}, "One or more Fn::Sub intrinsic functions don't specify expected arguments"),
    "a text in a list alone": ({"Fn::Sub": ["a"]}, "One or more Fn::Sub intrinsic functions don't specify expected arguments"),
    "a branch without another": ({"Fn::If": ["Is", "a"]}, "Fn::If requires a list argument"),
    "a mapping that is not there": ({"Fn::FindInMap": ["None", "a", "b"]}, "Mapping named 'None' is not present in the 'Mappings' section of template."),
    "a function of a language extension": ({"Fn::ToJsonString": {"a": 1}}, "Encountered unsupported function: Fn::ToJsonString Supported functions are: [Fn::Base64, "),
    "a condition's function": ({"Fn::Equals": ["a", "b"]}, "does not work out Fn::Equals"),
    "a function that the sandbox lacks": ({"Fn::Cidr": ["10.0.0.0/16", 1, 8]}, "does not work out Fn::Cidr"),
}  # fmt: skip


@pytest.mark.parametrize("case", FORMS)
def test_a_function_of_another_form_is_refused_in_aws_words(cf: Any, case: str) -> None:
    node, said = FORMS[case]
    template = {
        "Conditions": {"Is": {"Fn::Equals": ["a", "a"]}},
        **resources(A=role(Description=node)),
    }
    with pytest.raises(ClientError) as error:
        create(cf, template)
    assert error.value.response["Error"]["Code"] == "ValidationError"
    assert said in error.value.response["Error"]["Message"]


EQUAL = {"Fn::Equals": ["a", "a"]}
CONDITIONS: dict[str, tuple[dict[str, Any], str]] = {
    "a condition of itself": ({"C": {"Fn::Not": [{"Condition": "C"}]}}, "Found circular condition dependency: [C]"),
    "conditions of each other": ({"C": {"Condition": "D"}, "D": {"Condition": "C"}}, "Found circular condition dependency: [C, D]"),
    "a plain text": ({"C": "true"}, "Conditions can only be boolean operations on parameters and other conditions"),
    "a parameter alone": ({"C": {"Ref": "AWS::Region"}}, "Conditions can only be boolean operations on parameters and other conditions"),
    "one of several": ({"C": {"Fn::And": [EQUAL]}}, "every Fn::And object requires a list of at least 2 and at most 10 boolean parameters."),
    "more than ten": ({"C": {"Fn::Or": [EQUAL] * 11}}, "every Fn::Or object requires a list of at least 2 and at most 10 boolean parameters."),
    "three equals": ({"C": {"Fn::Equals": ["a", "b", "c"]}}, "every Fn::Equals object requires a list of 2 string parameters."),
    "not of two": ({"C": {"Fn::Not": [EQUAL, EQUAL]}}, "every Fn::Not object requires"),
}  # fmt: skip


@pytest.mark.parametrize("case", CONDITIONS)
def test_a_condition_of_another_form_is_refused_in_aws_words(cf: Any, case: str) -> None:
    conditions, said = CONDITIONS[case]
    with pytest.raises(ClientError) as error:
        create(cf, {"Conditions": conditions, **resources(A=NOTE)})
    assert error.value.response["Error"]["Code"] == "ValidationError"
    assert said in error.value.response["Error"]["Message"]


OUTPUTS: dict[str, tuple[Any, str]] = {
    "a boolean": (True, "true"),
    "a number": (5, "5"),
    "a boolean in a text": ({"Fn::Join": ["", ["is ", False]]}, "is false"),
    "a boolean of a branch": ({"Fn::If": ["Is", False, True]}, "false"),
    "a list": (["a"], "The Value field of every Outputs member must evaluate to a String and not a List."),
    "a list of a mapping": ({"Fn::FindInMap": ["M", "a", "list"]}, "The Value field of every Outputs member must evaluate to a String and not a List."),
    "an object": ({"a": "b", "c": "d"}, "The Value field of every Outputs member must evaluate to a String and not a Map."),
    "no value": ({"Ref": "AWS::NoValue"}, "The Value field of every Outputs member must evaluate to a String."),
}  # fmt: skip


@pytest.mark.parametrize("case", OUTPUTS)
def test_an_output_is_a_text_as_aws_writes_it(cf: Any, case: str) -> None:
    node, wanted = OUTPUTS[case]
    template = {
        "Conditions": {"Is": EQUAL},
        "Mappings": {"M": {"a": {"list": ["x"]}}},
        **resources(A=NOTE),
        "Outputs": {"O": {"Value": node}},
    }
    if wanted.startswith("The Value"):
        with pytest.raises(ClientError) as error:
            create(cf, template)
        assert error.value.response["Error"]["Message"] == f"Template format error: {wanted}"
        return
    create(cf, template)
    assert cf.describe_stacks(StackName="ours")["Stacks"][0]["Outputs"] == [
        {"OutputKey": "O", "OutputValue": wanted}
    ]


# What functions give.

FUNCTIONS: dict[str, tuple[Any, str]] = {
    "a parameter": ({"Ref": "Name"}, "trees"),
    "the account": ({"Ref": "AWS::AccountId"}, ACCOUNT),
    "the region, partition and suffix": (
        {"Fn::Sub": "${AWS::Region} ${AWS::Partition} ${AWS::URLSuffix}"},
        f"{REGION} aws amazonaws.com",
    ),
    "the stack": ({"Fn::Sub": "${AWS::StackName}"}, "ours"),
    "a text with a literal": ({"Fn::Sub": "${!Name} is ${Name}"}, "${Name} is trees"),
    "a text with names of its own": (
        {"Fn::Sub": ["${Own}/${Name}", {"Own": {"Ref": "List"}, "Name": "x"}]},
        "refused",
    ),
    "a text with an attribute": ({"Fn::Sub": "${Role.Arn}/*"}, f"arn:aws:iam::{ACCOUNT}:role/stack-role/*"),
    "a joined list": ({"Fn::Join": ["-", [{"Ref": "Name"}, {"Ref": "AWS::NoValue"}, "b"]]}, "trees-b"),
    "a joined list parameter": ({"Fn::Join": ["+", {"Ref": "List"}]}, "a+b+c"),
    "one of a list": ({"Fn::Select": ["1", {"Ref": "List"}]}, "b"),
    "one of a text": ({"Fn::Select": [2, {"Fn::Split": ["/", "x/y/z"]}]}, "z"),
    "one beyond a list": ({"Fn::Select": [3, {"Ref": "List"}]}, "refused"),
    "a branch": ({"Fn::If": ["Is", "yes", "no"]}, "yes"),
    "the other branch": ({"Fn::If": ["IsNot", "yes", "no"]}, "no"),
    "a branch of all": ({"Fn::If": ["Both", "yes", "no"]}, "no"),
    "a branch of any": ({"Fn::If": ["Either", "yes", "no"]}, "yes"),
    "a mapping": ({"Fn::FindInMap": ["Map", {"Ref": "Name"}, "key"]}, "value"),
    "a mapping of nothing": ({"Fn::FindInMap": ["Map", "none", "key"]}, "refused"),
    "base64": ({"Fn::Base64": {"Ref": "Name"}}, "dHJlZXM="),
}


@pytest.mark.parametrize("case", FUNCTIONS)
def test_a_function_has_the_value_that_aws_gives_it(cf: Any, case: str) -> None:
    node, wanted = FUNCTIONS[case]
    template = {
        "Parameters": {
            "Name": {"Type": "String", "Default": "trees"},
            "List": {"Type": "CommaDelimitedList", "Default": "a, b,c"},
        },
        "Mappings": {"Map": {"trees": {"key": "value"}}},
        "Conditions": {
            "Is": {"Fn::Equals": [{"Ref": "Name"}, "trees"]},
            "IsNot": {"Fn::Not": [{"Condition": "Is"}]},
            "Both": {"Fn::And": [{"Condition": "Is"}, {"Condition": "IsNot"}]},
            "Either": {"Fn::Or": [{"Condition": "Is"}, {"Condition": "IsNot"}]},
        },
        **resources(Role=ROLE),
        "Outputs": {
            "O": {"Value": node},
            "Left": {"Condition": "IsNot", "Value": "not there"},
        },
    }
    if wanted == "refused":
        with pytest.raises(ClientError, match="Template error: "):
            create(cf, template)
        return
    create(cf, template)
    outputs = cf.describe_stacks(StackName="ours")["Stacks"][0]["Outputs"]
    assert outputs == [{"OutputKey": "O", "OutputValue": wanted}]


# What fails, and what then becomes of a stack.


def test_a_creation_that_fails_says_why_and_leaves_nothing(cf: Any, iam: Any) -> None:
    iam.create_role(RoleName="taken", AssumeRolePolicyDocument=json.dumps(ROLE["Properties"]["AssumeRolePolicyDocument"]))  # type: ignore[index]  # fmt: skip
    before = identities(iam)
    given = {"PolicyName": "p", "PolicyDocument": DOCUMENT}
    create(cf, resources(A=role("first", Policies=[given]), B={**role("taken"), "DependsOn": "A"}))
    assert status(cf) == "ROLLBACK_COMPLETE"
    said = failures(cf)
    assert list(said) == ["B"]
    assert said["B"].startswith(
        'Resource handler returned message: "Role with name taken already exists. (Service: Iam, Status Code: 409,'
    )
    assert said["B"].endswith("HandlerErrorCode: AlreadyExists)")
    reasons = [
        each.get("ResourceStatusReason", "")
        for each in cf.describe_stack_events(StackName="ours")["StackEvents"]
    ]
    assert "The following resource(s) failed to create: [B]. Rollback requested by user." in reasons
    assert identities(iam) == before
    given = {"StackName": "ours", "TemplateBody": json.dumps(resources(A=NOTE))}
    for call, more in ((cf.update_stack, {}), (cf.create_change_set, {"ChangeSetName": "a"})):
        with pytest.raises(ClientError, match="is in ROLLBACK_COMPLETE state and can not be updated"):
            call(**given, **more)
    with pytest.raises(ClientError, match=r"Stack \[ours\] already exists"):
        create(cf, resources(A=NOTE))
    iam.delete_role(RoleName="taken")
    cf.delete_stack(StackName="ours")
    create(cf, resources(A=role("taken")))
    assert status(cf) == "CREATE_COMPLETE"


@pytest.mark.parametrize(
    ("more", "ends", "roles"),
    [
        ({}, "ROLLBACK_COMPLETE", []),
        ({"OnFailure": "ROLLBACK"}, "ROLLBACK_COMPLETE", []),
        ({"DisableRollback": True}, "CREATE_FAILED", ["first"]),
        ({"OnFailure": "DO_NOTHING"}, "CREATE_FAILED", ["first"]),
        ({"OnFailure": "DELETE"}, "DELETE_COMPLETE", []),
    ],
)
def test_what_is_left_of_a_creation_that_fails_is_what_was_asked(
    cf: Any, iam: Any, more: dict[str, Any], ends: str, roles: list[str]
) -> None:
    before = identities(iam)
    broken = {"Type": "AWS::IAM::Policy", "Properties": {"PolicyName": "p", "PolicyDocument": DOCUMENT}}
    broken["Properties"] = {**broken["Properties"], "Roles": ["nobody"]}  # type: ignore[dict-item]
    arn = create(cf, resources(A=role("first"), B={**broken, "DependsOn": "A"}), **more)["StackId"]
    assert status(cf, arn) == ends
    assert list(without(identities(iam), before)["roles"]) == roles
    assert "The role with name nobody cannot be found." in failures(cf, arn)["B"]


def test_what_the_sandbox_does_not_do_with_a_stack_it_refuses(cf: Any) -> None:
    create(cf, resources(A=NOTE))
    given = {"StackName": "ours", "TemplateBody": json.dumps(resources(A=role()))}
    refused: list[tuple[Any, dict[str, Any]]] = [
        (cf.update_stack, {"DisableRollback": True}),
        (cf.update_stack, {"StackPolicyBody": "{}"}),
        (cf.create_change_set, {"ChangeSetName": "a", "ImportExistingResources": True}),
        (cf.create_change_set, {"ChangeSetName": "a", "ChangeSetType": "IMPORT"}),
    ]
    for call, more in refused:
        with pytest.raises(ClientError, match="The sandbox "):
            call(**given, Capabilities=NAMED, **more)
    assert status(cf) == "CREATE_COMPLETE"


# YAML has values that no policy has, and which the sandbox does not expect.
STRANGE = {"Version": "2012-10-17", "Statement": "BYTES"}


def strange(template: Any) -> str:
    return json.dumps(template).replace('"BYTES"', '!!binary "aGk="')


def test_a_fault_of_the_sandbox_fails_the_stack_and_is_not_tried_again(cf: Any, iam: Any) -> None:
    before = identities(iam)
    given = [{"PolicyName": "p", "PolicyDocument": STRANGE}]
    text = strange(resources(A=role("a"), B={**role("b", Policies=given), "DependsOn": "A"}))
    create(cf, text)
    assert status(cf) == "ROLLBACK_COMPLETE"
    assert failures(cf) == {"B": "Internal Failure: the sandbox failed; its log says why."}
    assert identities(iam) == before
    with pytest.raises(ClientError, match="already exists"):
        create(cf, text)


PROPERTIES: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": (role(Policy=[]), "#: extraneous key [Policy] is not permitted"),
    "missing": (
        {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "a"}},
        "#: required key [AssumeRolePolicyDocument] not found",
    ),
    "no list": (role(Policies={}), "#/Policies: expected type: JSONArray, found: JSONObject"),
    "an item that is none": (
        role(Tags=["x"]),
        "#/Tags/0: expected type: JSONObject, found: String",
    ),
    "an item without what it needs": (
        role(Policies=[{"PolicyName": "p"}]),
        "#/Policies/0: required key [PolicyDocument] not found",
    ),
    "a structure for a text": (
        role(Description={"a": "b", "c": "d"}),
        "#/Description: expected type: String, found: JSONObject",
    ),
    "a list in a list of texts": (
        role(ManagedPolicyArns=[["a"]]),
        "#/ManagedPolicyArns/0: expected type: String, found: JSONArray",
    ),
    "no value of what it needs": (
        {**ROLE, "Properties": {"AssumeRolePolicyDocument": {"Ref": "AWS::NoValue"}}},
        "#: required key [AssumeRolePolicyDocument] not found",
    ),
    "a function in place of all": (
        {"Type": "AWS::CDK::Metadata", "Properties": {"Ref": "AWS::NoValue"}},
        "#: extraneous key [Ref] is not permitted",
    ),
    "no number": (
        role(MaxSessionDuration="an hour"),
        "#/MaxSessionDuration: expected type: Integer, found: String",
    ),
}


@pytest.mark.parametrize("case", PROPERTIES)
def test_a_property_that_a_type_does_not_take_fails_the_stack(cf: Any, case: str) -> None:
    resource, said = PROPERTIES[case]
    create(cf, resources(A=resource))
    assert status(cf) == "ROLLBACK_COMPLETE"
    assert failures(cf) == {"A": f"Properties validation failed for resource A with message:\n{said}"}


def test_what_a_service_refuses_of_a_value_is_the_services_own_text(cf: Any) -> None:
    create(cf, resources(A=role(MaxSessionDuration=60)))
    assert status(cf) == "ROLLBACK_COMPLETE"
    said = "at 'maxSessionDuration' failed to satisfy constraint: Member must have value greater than or equal to 3600"
    assert said in failures(cf)["A"]


CHANGES_THAT_FAIL: dict[str, dict[str, Any]] = {
    "a trust in no one": role("second", AssumeRolePolicyDocument={"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/none"}, "Action": "sts:AssumeRole"}]}),
    "a managed policy that is not there": role("second", ManagedPolicyArns=[f"arn:aws:iam::{ACCOUNT}:policy/none"]),
    "a name that is taken": role("first"),
    "a role in its place that cannot be filled": role("third", ManagedPolicyArns=[f"arn:aws:iam::{ACCOUNT}:policy/none"]),
    "a replacement under the same name": role("second", Path="/elsewhere/"),
    "a fault of the sandbox": role("second", AssumeRolePolicyDocument=STRANGE),
    "a tag that is none": role("second", Tags=["no tag"]),
    "a property it does not take": role("second", Nothing="x"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES_THAT_FAIL)
def test_a_change_that_fails_is_undone_everywhere(cf: Any, iam: Any, case: str) -> None:
    policies = [{"PolicyName": "p", "PolicyDocument": DOCUMENT}]
    create(cf, resources(A=role("first", Policies=policies, Description="as it was"), B=role("second")), Tags=[{"Key": "k", "Value": "v"}])  # fmt: skip
    before, text = identities(iam), cf.get_template(StackName="ours")["TemplateBody"]
    shown = cf.describe_stacks(StackName="ours")["Stacks"][0]
    changed = [{"PolicyName": "q", "PolicyDocument": DOCUMENT}]
    template = resources(
        A=role("first", Policies=changed, Description="changed"),
        B={**CHANGES_THAT_FAIL[case], "DependsOn": ["A", "New"]},
        New=role("new", Policies=policies),
    )
    cf.update_stack(
        StackName="ours",
        TemplateBody=json.dumps(template),
        Capabilities=NAMED,
        Tags=[{"Key": "k", "Value": "w"}],
    )
    assert status(cf) == "UPDATE_ROLLBACK_COMPLETE"
    assert list(failures(cf)) == ["B"]
    assert identities(iam) == before
    assert iam.get_role(RoleName="first")["Role"]["Description"] == "as it was"
    assert iam.list_role_tags(RoleName="first")["Tags"] == [{"Key": "k", "Value": "v"}]
    assert cf.get_template(StackName="ours")["TemplateBody"] == text
    after = cf.describe_stacks(StackName="ours")["Stacks"][0]
    varying = ("StackStatus", "LastUpdatedTime", "StackStatusReason")
    assert {k: v for k, v in after.items() if k not in varying} == {
        k: v for k, v in shown.items() if k not in varying
    }
    cf.update_stack(StackName="ours", TemplateBody=json.dumps(resources(A=role("first"))), Capabilities=NAMED)
    assert status(cf) == "UPDATE_COMPLETE"


def test_a_managed_policy_is_changed_more_often_than_it_has_versions(cf: Any, iam: Any) -> None:
    def template(number: int) -> str:
        statement = {
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": f"arn:aws:s3:::bucket-{number}",
        }
        document = {"Version": "2012-10-17", "Statement": [statement]}
        given = {"ManagedPolicyName": "often", "PolicyDocument": document, "Roles": [{"Ref": "A"}]}
        managed = {"Type": "AWS::IAM::ManagedPolicy", "Properties": given}
        return json.dumps(resources(A=role("holder"), Managed=managed))

    create(cf, template(0))
    for number in range(1, 8):
        cf.update_stack(StackName="ours", TemplateBody=template(number), Capabilities=NAMED)
        assert f"bucket-{number}" in json.dumps(identities(iam)["managed"]["often"])
    attached = iam.list_attached_role_policies(RoleName="holder")["AttachedPolicies"]
    assert [each["PolicyName"] for each in attached] == ["often"]
    assert len(iam.list_policy_versions(PolicyArn=attached[0]["PolicyArn"])["Versions"]) == 5


def test_a_policy_that_others_hold_keeps_its_stack_from_being_removed(cf: Any, iam: Any) -> None:
    text = (FOLDER / "consumer.yaml").read_text()
    directly(cf, text, GIVEN["consumer.yaml"])
    arn = f"arn:aws:iam::{ACCOUNT}:policy/crossaccount-consumer-operator"
    iam.attach_user_policy(UserName="administrator", PolicyArn=arn)
    cf.delete_stack(StackName="ours")
    assert status(cf) == "DELETE_FAILED"
    assert "Cannot delete a policy attached to entities." in failures(cf)["OperatorPolicy"]
    iam.detach_user_policy(UserName="administrator", PolicyArn=arn)
    cf.delete_stack(StackName="ours")
    assert cf.describe_stacks()["Stacks"] == []


def test_a_protected_stack_stays_until_that_is_taken_away(cf: Any) -> None:
    create(cf, resources(A=NOTE), EnableTerminationProtection=True)
    with pytest.raises(
        ClientError, match=r"Stack \[ours\] cannot be deleted while TerminationProtection is enabled"
    ):
        cf.delete_stack(StackName="ours")
    cf.update_termination_protection(StackName="ours", EnableTerminationProtection=False)
    cf.delete_stack(StackName="ours")
    assert cf.describe_stacks()["Stacks"] == []


def test_what_another_stack_imports_is_neither_changed_nor_removed(cf: Any) -> None:
    def exporting(value: str) -> dict[str, Any]:
        return {**resources(A=NOTE), "Outputs": {"O": {"Value": value, "Export": {"Name": "shared"}}}}

    create(cf, exporting("a"), name="giver")
    create(cf, resources(A=role("taker", Description={"Fn::ImportValue": "shared"})), name="taker")
    assert cf.list_exports()["Exports"][0]["Value"] == "a"
    assert cf.list_imports(ExportName="shared")["Imports"] == ["taker"]
    cf.update_stack(StackName="giver", TemplateBody=json.dumps(exporting("b")))
    assert status(cf, "giver") == "UPDATE_ROLLBACK_COMPLETE"
    cf.delete_stack(StackName="giver")
    shown = cf.describe_stacks(StackName="giver")["Stacks"][0]
    assert shown["StackStatusReason"] == "Export shared cannot be deleted as it is in use by taker"
    create(cf, exporting("c"), name="second")
    assert status(cf, "second") == "ROLLBACK_COMPLETE"
    said = "Export with name shared is already exported by stack giver. Rollback requested by user."
    events = cf.describe_stack_events(StackName="second")["StackEvents"]
    assert said in [each.get("ResourceStatusReason") for each in events]
    cf.delete_stack(StackName="taker")
    cf.delete_stack(StackName="giver")
    assert cf.list_exports()["Exports"] == []


def test_tags_of_the_stack_are_those_of_its_roles(cf: Any, iam: Any) -> None:
    def tags() -> list[dict[str, str]]:
        return sorted(iam.list_role_tags(RoleName="stack-role")["Tags"], key=lambda tag: str(tag["Key"]))

    template = resources(A=role(Tags=[{"Key": "own", "Value": "1"}]))
    create(cf, template, Tags=[{"Key": "team", "Value": "a"}])
    assert tags() == [{"Key": "own", "Value": "1"}, {"Key": "team", "Value": "a"}]
    given = {"StackName": "ours", "UsePreviousTemplate": True, "Capabilities": NAMED}
    cf.update_stack(**given, Tags=[{"Key": "team", "Value": "b"}])
    assert tags() == [{"Key": "own", "Value": "1"}, {"Key": "team", "Value": "b"}]
    with pytest.raises(ClientError, match="No updates are to be performed"):
        cf.update_stack(**given)
    cf.update_stack(**given, Tags=[])
    assert tags() == [{"Key": "own", "Value": "1"}]


def test_a_resource_that_is_to_be_kept_outlives_its_stack(cf: Any, iam: Any) -> None:
    create(cf, resources(A={**ROLE, "DeletionPolicy": "Retain"}, B=role("other")))
    cf.delete_stack(StackName="ours")
    assert [each["RoleName"] for each in iam.list_roles()["Roles"] if each["RoleName"] in ("stack-role", "other")] == ["stack-role"]  # fmt: skip
    iam.delete_role(RoleName="stack-role")


# Whose permissions a stack is made with.


def allowing(*actions: str, deny: tuple[str, ...] = ()) -> str:
    statements = [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]
    if deny:
        statements.append({"Effect": "Deny", "Action": list(deny), "Resource": "*"})
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


LACKING = (
    "iam:CreateRole",
    "iam:PutRolePolicy",
    "iam:AttachRolePolicy",
    "iam:CreatePolicy",
    "iam:TagRole",
)


@pytest.mark.parametrize("action", LACKING)
def test_what_its_caller_may_not_do_a_stack_does_not_do(cf: Any, iam: Any, inner: Any, action: str) -> None:
    before = identities(iam)
    client = inner.session("staging", "cloudformation", allowing("*", deny=(action,)))
    managed = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": DOCUMENT}}
    given = {"PolicyName": "p", "PolicyDocument": DOCUMENT}
    attached = [{"Ref": "Managed"}]
    create(
        client,
        resources(
            Managed=managed,
            A=role(Policies=[given], ManagedPolicyArns=attached, Tags=[{"Key": "a", "Value": "b"}]),
        ),
    )
    assert status(cf) == "ROLLBACK_COMPLETE"
    ((_, said),) = failures(cf).items()
    assert f"is not authorized to perform: {action} on resource: " in said
    assert "assumed-role/all/narrow" in said
    assert said.endswith("HandlerErrorCode: AccessDenied)")
    assert without(identities(iam), before)["managed"] == {}
    assert "stack-role" not in identities(iam)["roles"]


def test_a_policy_may_ask_whether_cloudformation_calls(cf: Any, inner: Any) -> None:
    statement = {
        "Effect": "Allow",
        "Action": "iam:*",
        "Resource": "*",
        "Condition": {"ForAnyValue:StringEquals": {"aws:CalledVia": "cloudformation.amazonaws.com"}},
    }
    stacks = {"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement, stacks]})
    create(inner.session("staging", "cloudformation", policy), resources(A=ROLE))
    assert status(cf) == "CREATE_COMPLETE"
    with pytest.raises(ClientError, match="is not authorized to perform: iam:GetRole"):
        inner.session("staging", "iam", policy).get_role(RoleName="stack-role")


def test_a_stack_with_a_role_of_its_own_is_made_with_what_that_may_do(cf: Any, iam: Any, inner: Any) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "cloudformation.amazonaws.com"}, "Action": "sts:AssumeRole"}  # fmt: skip
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName="service", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    try:
        passing = inner.session("staging", "cloudformation", allowing("cloudformation:*", "iam:PassRole"))
        create(passing, resources(A=ROLE), RoleARN=arn)
        assert "assumed-role/service/AWSCloudFormation is not authorized to perform: iam:CreateRole" in failures(cf)["A"]  # fmt: skip
        iam.put_role_policy(RoleName="service", PolicyName="p", PolicyDocument=allowing("iam:*"))
        cf.delete_stack(StackName="ours")
        create(passing, resources(A=ROLE), RoleARN=arn)
        assert status(cf) == "CREATE_COMPLETE"
        powerless = inner.session("staging", "cloudformation", allowing("cloudformation:*"))
        with pytest.raises(ClientError, match="is not authorized to perform: iam:PassRole"):
            create(powerless, resources(A=NOTE), name="second", RoleARN=arn)
        powerless.delete_stack(StackName="ours")  # the stack keeps its role
        assert cf.describe_stacks()["Stacks"] == []
    finally:
        iam.delete_role_policy(RoleName="service", PolicyName="p")
        iam.delete_role(RoleName="service")


def test_a_template_is_read_from_s3_as_its_caller(cf: Any, inner: Any) -> None:
    s3 = inner.client("staging", "s3")
    s3.create_bucket(Bucket="stack-templates")
    s3.put_object(
        Bucket="stack-templates", Key="a b.yaml", Body=b"Resources:\n  A:\n    Type: AWS::CDK::Metadata\n"
    )
    for url in (
        "https://stack-templates.s3.us-east-1.amazonaws.com/a%20b.yaml",
        "https://s3.us-east-1.amazonaws.com/stack-templates/a%20b.yaml",
        f"{inner.url}/stack-templates/a%20b.yaml",
    ):
        cf.create_stack(StackName="ours", TemplateURL=url)
        cf.delete_stack(StackName="ours")
    narrow = inner.session("staging", "cloudformation", allowing("cloudformation:*"))
    with pytest.raises(ClientError, match=r"S3 error: .*s3:GetObject"):
        narrow.create_stack(StackName="ours", TemplateURL=url)
    s3.delete_object(Bucket="stack-templates", Key="a b.yaml")
    s3.delete_bucket(Bucket="stack-templates")


# The other services' types.


def test_a_stack_holds_resources_of_every_service_here(cf: Any, inner: Any) -> None:
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
    policy = {"Version": "2012-10-17", "Statement": [{**root, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::stack-models/*"}]}  # fmt: skip
    pulling = {"Version": "2012-10-17", "Statement": [{**root, "Action": "ecr:BatchGetImage"}]}
    template = resources(
        Bucket={
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "BucketName": "stack-models",
                "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
                "VersioningConfiguration": {"Status": "Enabled"},
                "PublicAccessBlockConfiguration": {"BlockPublicPolicy": True},
            },
        },
        Open={"Type": "AWS::S3::BucketPolicy", "Properties": {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": policy}},
        Key={"Type": "AWS::KMS::Key", "Properties": {"Description": "of models"}},
        Alias={"Type": "AWS::KMS::Alias", "Properties": {"AliasName": "alias/stack", "TargetKeyId": {"Ref": "Key"}}},
        Images={"Type": "AWS::ECR::Repository", "Properties": {"RepositoryName": "stack-images", "RepositoryPolicyText": pulling}},
        Group={"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": {"ModelPackageGroupName": "stack-group"}},
    )  # fmt: skip
    template["Outputs"] = {"Group": {"Value": {"Ref": "Group"}}, "Uri": {"Value": {"Fn::GetAtt": "Images.RepositoryUri"}}}  # fmt: skip
    create(cf, template)
    assert failures(cf) == {}
    assert status(cf) == "CREATE_COMPLETE"
    outputs = cf.describe_stacks(StackName="ours")["Stacks"][0]["Outputs"]
    assert [each["OutputValue"] for each in outputs] == [
        f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package-group/stack-group",
        f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/stack-images",
    ]
    s3, ecr = inner.client("staging", "s3"), inner.client("staging", "ecr")
    assert json.loads(s3.get_bucket_policy(Bucket="stack-models")["Policy"]) == policy
    assert s3.get_bucket_versioning(Bucket="stack-models")["Status"] == "Enabled"
    assert json.loads(ecr.get_repository_policy(repositoryName="stack-images")["policyText"]) == pulling
    del template["Resources"]["Open"]
    del template["Resources"]["Images"]["Properties"]["RepositoryPolicyText"]
    del template["Resources"]["Bucket"]["Properties"]["VersioningConfiguration"]
    cf.update_stack(StackName="ours", TemplateBody=json.dumps(template))
    assert failures(cf) == {}
    assert status(cf) == "UPDATE_COMPLETE"
    assert s3.get_bucket_versioning(Bucket="stack-models")["Status"] == "Suspended"
    with pytest.raises(ClientError, match="NoSuchBucketPolicy"):
        s3.get_bucket_policy(Bucket="stack-models")
    with pytest.raises(ClientError, match="RepositoryPolicyNotFoundException"):
        ecr.get_repository_policy(repositoryName="stack-images")
    arn = cf.describe_stacks(StackName="ours")["Stacks"][0]["StackId"]
    cf.delete_stack(StackName="ours")
    assert (failures(cf, arn), status(cf, arn)) == ({}, "DELETE_COMPLETE")
    assert "stack-models" not in [each["Name"] for each in s3.list_buckets()["Buckets"]]
    assert ecr.describe_repositories()["repositories"] == []
