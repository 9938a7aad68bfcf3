"""What AWS answered to calls of CloudFormation. Facts alone: test_recorded_facts.py holds the sandbox to them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from facts import ACCOUNT, Fact, Setting

_API = "localstack, tests/aws/services/cloudformation/api/{}.snapshot.json"
STACKS, CHANGE_SETS = _API.format("test_stacks"), _API.format("test_changesets")
VALIDATIONS, UPDATES = _API.format("test_validations"), _API.format("test_update_stack")
TEMPLATES = _API.format("test_templates")
CONDITIONS = "localstack, tests/aws/services/cloudformation/engine/test_conditions.snapshot.json"
REFERENCES = "localstack, tests/aws/services/cloudformation/engine/test_references.snapshot.json"
ENGINE = "localstack, tests/aws/services/cloudformation/test_template_engine.snapshot.json"
NEWER = "localstack, tests/aws/services/cloudformation/v2/ported_from_v1/api/test_stacks.snapshot.json"
VALUES = "localstack, tests/aws/services/cloudformation/test_change_sets.snapshot.json"
PATTERN = "aws-connected-device-framework#183; ministack#1648, measured 2026-09-02"
CLI = "aws-cli#7750"

NAME = "stack-facts"
BUCKET = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "stack-facts-a"}}
ONE: dict[str, Any] = {"Resources": {"A": BUCKET}}
OTHER = {"Resources": {"A": {**BUCKET, "Properties": {"BucketName": "stack-facts-b"}}}}
ANY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
BROKEN = {
    "Resources": {
        "BrokenPolicy": {
            "Type": "AWS::IAM::Policy",
            "Properties": {"PolicyName": "broken", "PolicyDocument": ANY},
        }
    }
}
ARN = re.compile(rf"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/{NAME}/[0-9a-f-]{{36}}")
IS_NULL = r"\[/Outputs/MyOutput/Value\] 'null' values are not allowed in templates"


def calling(call: Callable[[Any], Any]) -> Callable[[Setting], Any]:
    """A call of CloudFormation, after which no stack of the facts is left."""

    def ask(setting: Setting) -> Any:
        client = setting.inner.client("producer", "cloudformation")
        try:
            return call(client)
        finally:
            client.delete_stack(StackName=NAME)
            status = [each["StackStatus"] for each in client.describe_stacks()["Stacks"]]
            if status == ["DELETE_FAILED"]:
                client.delete_stack(StackName=NAME, RetainResources=["BrokenPolicy"])

    return ask


def created(client: Any, template: Any = ONE, **more: Any) -> Any:
    return client.create_stack(StackName=NAME, TemplateBody=json.dumps(template), **more)


def of(template: Any, **more: Any) -> Callable[[Setting], Any]:
    return calling(lambda client: created(client, template, **more))


def then(call: Callable[[Any], Any], template: Any = ONE, **more: Any) -> Callable[[Setting], Any]:
    def ask(client: Any) -> Any:
        created(client, template, **more)
        return call(client)

    return calling(ask)


def described(client: Any, name: str = NAME) -> Any:
    return client.describe_stacks(StackName=name)


def change_set(client: Any, template: Any = ONE, kind: str = "CREATE", name: str = "facts") -> Any:
    return client.create_change_set(
        StackName=NAME, ChangeSetName=name, ChangeSetType=kind, TemplateBody=json.dumps(template)
    )


def shown(client: Any, template: Any, **more: Any) -> Any:
    """A change set of a stack that is there."""
    return client.describe_change_set(ChangeSetName=change_set(client, template, "UPDATE")["Id"], **more)


def with_outputs(outputs: Any) -> Any:
    return {**ONE, "Outputs": outputs}


def deleted_change_set(client: Any) -> Any:
    arn = change_set(client)["Id"]
    client.delete_change_set(ChangeSetName=arn)
    return client.describe_change_set(ChangeSetName=arn)


def executed_without_changes(client: Any) -> Any:
    return client.execute_change_set(ChangeSetName=change_set(client, ONE, "UPDATE")["Id"])


def in_review(client: Any) -> Any:
    change_set(client)
    return described(client)


def outdated(client: Any) -> Any:
    arn = change_set(client)["Id"]
    created(client)
    return client.describe_change_set(ChangeSetName=arn)


def by_change_set(client: Any, template: Any = ONE) -> Any:
    client.execute_change_set(ChangeSetName=change_set(client, template)["Id"])
    return described(client)


def by_parameter(default: str) -> Any:
    """A template whose only resource says what its parameter does."""
    note = {"Type": "AWS::CDK::Metadata", "Properties": {"Analytics": {"Ref": "P"}}}
    return {"Parameters": {"P": {"Type": "String", "Default": default}}, "Resources": {"A": note}}


NOTHING_HOLDS = {
    "Conditions": {"Never": {"Fn::Equals": ["a", "b"]}},
    "Resources": {"A": {**BUCKET, "Condition": "Never"}},
}


def gone(client: Any) -> Any:
    arn = created(client)["StackId"]
    client.delete_stack(StackName=NAME)
    return described(client, arn)


def broken(*steps: dict[str, Any]) -> Callable[[Setting], Any]:
    """A policy of no one, which can neither be made nor removed."""

    def ask(client: Any) -> Any:
        arn = created(client, BROKEN, Capabilities=["CAPABILITY_NAMED_IAM"])["StackId"]
        for step in steps:
            client.delete_stack(StackName=arn, **step)
        return described(client, arn)

    return calling(ask)


def untrusted(setting: Setting) -> Any:
    def update(client: Any) -> Any:
        created(client)
        return client.update_stack(
            StackName=NAME,
            TemplateBody=json.dumps(OTHER),
            RoleARN=f"arn:aws:iam::{ACCOUNT}:role/facts",
        )

    return calling(update)(setting)


def updated(**more: Any) -> Callable[[Setting], Any]:
    return then(lambda client: client.update_stack(StackName=NAME, **more))


def trigger(**one: str) -> Callable[[Setting], Any]:
    return updated(UsePreviousTemplate=True, RollbackConfiguration={"RollbackTriggers": [one]})


def by_url(url: str) -> Callable[[Setting], Any]:
    def ask(setting: Setting) -> Any:
        setting.s3.put_object(Bucket="facts", Key="template.json", Body=json.dumps(ONE).encode())
        create = calling(
            lambda client: (client.create_stack(StackName=NAME, TemplateURL=url), described(client))[1]
        )
        return create(setting)

    return ask


def events(client: Any) -> Any:
    client.execute_change_set(ChangeSetName=change_set(client)["Id"])
    return client.describe_stack_events(StackName=NAME)


NO_STACK = r"Stack \[nothing\] does not exist"
STACK = "Stacks/0/"
CHANGE = "Changes/0/ResourceChange/"
DETAIL = f"{CHANGE}Details/0/"
PARAMETER = {"Type": "String", "AllowedPattern": "^db[0-9]+$"}


FACTS: dict[str, Fact] = {
    "CreateStack of a name that is taken": Fact(
        then(created), STACKS, "AlreadyExistsException", rf"Stack \[{NAME}\] already exists", 400
    ),
    "DescribeStacks of a stack that was made": Fact(
        then(described),
        STACKS,
        fields={
            f"{STACK}StackId": ARN,
            f"{STACK}StackStatus": "CREATE_COMPLETE",
            f"{STACK}DisableRollback": False,
            f"{STACK}NotificationARNs": [],
            f"{STACK}RollbackConfiguration": {},
            f"{STACK}Tags": [],
            f"{STACK}EnableTerminationProtection": False,
            f"{STACK}DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
            f"{STACK}CreationTime": re.compile(r".+"),
        },
        absent=tuple(
            f"{STACK}{name}" for name in ("LastUpdatedTime", "Capabilities", "Outputs", "Parameters")
        ),
    ),
    "DescribeStacks of a stack that was made by a change set": Fact(
        calling(by_change_set),
        STACKS,
        fields={
            f"{STACK}ChangeSetId": re.compile(r"arn:aws:cloudformation:.+:changeSet/facts/.+"),
            f"{STACK}LastUpdatedTime": re.compile(r".+"),
            f"{STACK}StackStatus": "CREATE_COMPLETE",
        },
    ),
    "DescribeStacks by the ARN of a stack that was deleted": Fact(
        calling(gone),
        STACKS,
        fields={
            f"{STACK}StackStatus": "DELETE_COMPLETE",
            f"{STACK}DeletionTime": re.compile(r".+"),
            f"{STACK}RollbackConfiguration": {},
        },
        absent=(f"{STACK}EnableTerminationProtection", f"{STACK}StackStatusReason"),
    ),
    "DescribeStacks of a name that no stack has": Fact(
        calling(lambda client: described(client, "nothing")),
        STACKS,
        "ValidationError",
        "Stack with id nothing does not exist",
        400,
    ),
    "DescribeStacks of a stack that a change set will make": Fact(
        calling(in_review),
        CHANGE_SETS,
        fields={
            f"{STACK}StackStatus": "REVIEW_IN_PROGRESS",
            f"{STACK}StackStatusReason": "User Initiated",
            f"{STACK}Tags": [],
        },
        absent=(f"{STACK}Capabilities", f"{STACK}ChangeSetId", f"{STACK}Parameters"),
    ),
    "DescribeStackEvents of a name that no stack has": Fact(
        calling(lambda client: client.describe_stack_events(StackName="nothing")),
        NEWER,
        "ValidationError",
        NO_STACK,
        400,
    ),
    "DescribeStackEvents of a stack, the last first": Fact(
        calling(events),
        STACKS,
        fields={
            "StackEvents/0/ResourceStatus": "CREATE_COMPLETE",
            "StackEvents/0/ResourceType": "AWS::CloudFormation::Stack",
            "StackEvents/1/EventId": re.compile(r"A-CREATE_COMPLETE-.+"),
            "StackEvents/1/ResourceProperties": re.compile(r'\{"BucketName": ?"stack-facts-a"\}'),
            "StackEvents/2/ResourceStatus": "CREATE_IN_PROGRESS",
            "StackEvents/2/ResourceStatusReason": "Resource creation Initiated",
            "StackEvents/2/PhysicalResourceId": "stack-facts-a",
            "StackEvents/3/ResourceStatus": "CREATE_IN_PROGRESS",
            "StackEvents/3/PhysicalResourceId": "",
            "StackEvents/4/ResourceStatus": "CREATE_IN_PROGRESS",
            "StackEvents/4/ResourceStatusReason": "User Initiated",
            "StackEvents/5/ResourceStatus": "REVIEW_IN_PROGRESS",
        },
        absent=("StackEvents/3/ResourceStatusReason",),
    ),
    "DescribeStackResource of a resource that the stack does not have": Fact(
        then(lambda client: client.describe_stack_resource(StackName=NAME, LogicalResourceId="Z")),
        NEWER,
        "ValidationError",
        f"Resource Z does not exist for stack {NAME}",
        400,
    ),
    "DescribeStackResources of a stack": Fact(
        then(lambda client: client.describe_stack_resources(StackName=NAME)),
        STACKS,
        fields={
            "StackResources/0/LogicalResourceId": "A",
            "StackResources/0/PhysicalResourceId": "stack-facts-a",
            "StackResources/0/ResourceStatus": "CREATE_COMPLETE",
            "StackResources/0/DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
            "StackResources/0/StackName": NAME,
        },
    ),
    "CreateStack by a name that breaks the pattern": Fact(
        lambda setting: setting.inner.client("producer", "cloudformation").create_stack(
            StackName="*@da591fa3_$", TemplateBody=json.dumps(ONE)
        ),
        STACKS,
        "ValidationError",
        r"1 validation error detected: Value '\*@da591fa3_\$' at 'stackName' failed to satisfy constraint: Member must "
        r"satisfy regular expression pattern: \[a-zA-Z\]\[-a-zA-Z0-9\]\*\|arn:\[-a-zA-Z0-9:/\._\+\]\*",
        400,
    ),
    "CreateStack of a template that is empty": Fact(
        of({}),
        VALIDATIONS,
        "ValidationError",
        r"Template format error: At least one Resources member must be defined\.",
        400,
    ),
    **{
        f"CreateStack of a template of the version {version}": Fact(
            of({**ONE, "AWSTemplateFormatVersion": version}),
            "public reports that quote the text",
            "ValidationError",
            r"Template format error: unsupported value for AWSTemplateFormatVersion\.",
            400,
        )
        for version in ("2011", "2020-09-09")
    },
    "CreateStack with an output whose value is null": Fact(
        of(with_outputs({"MyOutput": {"Value": None}})), VALIDATIONS, "ValidationError", IS_NULL, 400
    ),
    "CreateStack with an output in which all is null": Fact(
        of(with_outputs({"MyOutput": {"Value": None, "AnotherValue": None}})),
        VALIDATIONS,
        "ValidationError",
        IS_NULL,
        400,
    ),
    "CreateStack with an output of nothing": Fact(
        of(with_outputs({"MyOutput": {}})),
        VALIDATIONS,
        "ValidationError",
        "Template format error: Every Outputs member must contain a Value object",
        400,
    ),
    "CreateStack with a resource without a type": Fact(
        of({"Resources": {"A": {"Properties": {}}}}),
        VALIDATIONS,
        "ValidationError",
        r"Template format error: \[/Resources/A\] Every Resources object must contain a Type member\.",
        400,
    ),
    "CreateStack with a resource with an unknown member": Fact(
        of({"Resources": {"A": {**BUCKET, "Invalid": 10}}}),
        VALIDATIONS,
        "ValidationError",
        "Invalid template resource property 'Invalid'",
        400,
    ),
    "CreateStack with a resource that is none": Fact(
        of({"Resources": {"A": "AWS::S3::Bucket"}}),
        STACKS,
        "ValidationError",
        r"Template format error: Any Resources member must be an object\.",
        400,
    ),
    "CreateStack with a resource that depends on none": Fact(
        of({"Resources": {"A": {**BUCKET, "DependsOn": "NonExistingResource"}}}),
        REFERENCES,
        "ValidationError",
        r"Template format error: Unresolved resource dependencies \[NonExistingResource\] in the Resources block of the "
        "template",
        400,
    ),
    "CreateStack with a transform, and only IAM's capabilities": Fact(
        of({**ONE, "Transform": "A"}, Capabilities=["CAPABILITY_NAMED_IAM"]),
        ENGINE,
        "InsufficientCapabilitiesException",
        r"Requires capabilities : \[CAPABILITY_AUTO_EXPAND\]",
        400,
    ),
    "CreateStack of a template that is too long": Fact(
        of({**ONE, "Description": "x" * 51_200}),
        ENGINE,
        "ValidationError",
        r"1 validation error detected: Value '.+' at 'templateBody' failed to satisfy constraint: Member must have length "
        r"less than or equal to 51200",
        400,
    ),
    "CreateStack with a value outside its parameter's pattern": Fact(
        of(
            {**ONE, "Parameters": {"Tester": PARAMETER}},
            Parameters=[{"ParameterKey": "Tester", "ParameterValue": "x"}],
        ),
        PATTERN,
        "ValidationError",
        r"Parameter 'Tester' must match pattern \^db\[0-9\]\+\$",
        400,
    ),
    "CreateStack with a value outside its parameter's described pattern": Fact(
        of(
            {**ONE, "Parameters": {"Tester": {**PARAMETER, "ConstraintDescription": "be a number."}}},
            Parameters=[{"ParameterKey": "Tester", "ParameterValue": "x"}],
        ),
        CLI,
        "ValidationError",
        r"Parameter Tester failed to satisfy constraint: be a number\.",
        400,
    ),
    "CreateStack from S3 by an s3 URL": Fact(
        by_url("s3://facts/template.json"),
        TEMPLATES,
        "ValidationError",
        "S3 error: Domain name specified in facts is not a valid S3 domain",
        400,
    ),
    "CreateStack from another site": Fact(
        by_url("https://example.com/template.json"),
        TEMPLATES,
        "ValidationError",
        r"TemplateURL must be a supported URL\.",
        400,
    ),
    "CreateStack from S3 by a path": Fact(
        by_url("https://s3.amazonaws.com/facts/template.json"),
        TEMPLATES,
        fields={f"{STACK}StackStatus": "CREATE_COMPLETE"},
    ),
    "CreateStack from S3 by a host": Fact(
        by_url("https://facts.s3.amazonaws.com/template.json"),
        TEMPLATES,
        fields={f"{STACK}StackStatus": "CREATE_COMPLETE"},
    ),
    "CreateStack of what can neither be made nor removed": Fact(
        broken(),
        STACKS,
        fields={
            f"{STACK}StackStatus": "ROLLBACK_FAILED",
            f"{STACK}StackStatusReason": "The following resource(s) failed to delete: [BrokenPolicy]. ",
            f"{STACK}DeletionTime": re.compile(r".+"),
            f"{STACK}Capabilities": ["CAPABILITY_NAMED_IAM"],
        },
    ),
    "DeleteStack of what cannot be removed": Fact(
        broken({}),
        STACKS,
        fields={
            f"{STACK}StackStatus": "DELETE_FAILED",
            f"{STACK}StackStatusReason": "The following resource(s) failed to delete: [BrokenPolicy]. ",
        },
    ),
    "DeleteStack of what cannot be removed, which is to be kept": Fact(
        broken({}, {"RetainResources": ["BrokenPolicy"]}),
        STACKS,
        fields={f"{STACK}StackStatus": "DELETE_COMPLETE"},
        absent=(f"{STACK}StackStatusReason",),
    ),
    "UpdateStack with nothing to change": Fact(
        updated(TemplateBody=json.dumps(ONE)),
        UPDATES,
        "ValidationError",
        r"No updates are to be performed\.",
        400,
    ),
    "UpdateStack without a template": Fact(
        updated(),
        UPDATES,
        "ValidationError",
        r"Either Template URL or Template Body must be specified\.",
        400,
    ),
    "UpdateStack with a role that does not trust CloudFormation": Fact(
        untrusted,
        UPDATES,
        "ValidationError",
        rf"Role arn:aws:iam::{ACCOUNT}:role/facts is invalid or cannot be assumed",
        400,
    ),
    "UpdateStack limited to types of another service": Fact(
        updated(TemplateBody=json.dumps(OTHER), ResourceTypes=["AWS::EC2::*"]),
        UPDATES,
        "ValidationError",
        r"Resource type AWS::S3::Bucket is not allowed by parameter ResourceTypes \[AWS::EC2::\*\]",
        400,
    ),
    "UpdateStack with a rollback trigger of another type": Fact(
        trigger(Arn="a", Type="Another"),
        UPDATES,
        "ValidationError",
        "Rollback Trigger Type not supported",
        400,
    ),
    "UpdateStack with a rollback trigger that is no alarm": Fact(
        trigger(Arn="arn:aws:cloudwatch:us-east-1:123456789012:example-name", Type="AWS::CloudWatch::Alarm"),
        UPDATES,
        "ValidationError",
        "RelativeId of a Rollback Trigger's ARN is incorrect",
        400,
    ),
    "CreateChangeSet that changes nothing": Fact(
        then(lambda client: shown(client, ONE)),
        CHANGE_SETS,
        fields={
            "Status": "FAILED",
            "ExecutionStatus": "UNAVAILABLE",
            "StatusReason": "The submitted information didn't contain changes. Submit different information to create a "
            "change set.",
            "Changes": [],
            "IncludeNestedStacks": False,
            "NotificationARNs": [],
            "RollbackConfiguration": {},
        },
    ),
    "CreateChangeSet that replaces a resource": Fact(
        then(lambda client: shown(client, OTHER)),
        CHANGE_SETS,
        fields={
            "Status": "CREATE_COMPLETE",
            "ExecutionStatus": "AVAILABLE",
            "Capabilities": [],
            "Changes/0/Type": "Resource",
            f"{CHANGE}Action": "Modify",
            f"{CHANGE}LogicalResourceId": "A",
            f"{CHANGE}PhysicalResourceId": "stack-facts-a",
            f"{CHANGE}Replacement": "True",
            f"{CHANGE}PolicyAction": "ReplaceAndDelete",
            f"{CHANGE}Scope": ["Properties"],
            DETAIL.rstrip("/"): {
                "Target": {"Attribute": "Properties", "Name": "BucketName", "RequiresRecreation": "Always"},
                "Evaluation": "Static",
                "ChangeSource": "DirectModification",
            },
        },
        absent=(f"{CHANGE}BeforeContext",),
    ),
    "CreateChangeSet that replaces a resource, asked for values": Fact(
        then(lambda client: shown(client, OTHER, IncludePropertyValues=True)),
        VALUES,
        fields={
            f"{CHANGE}BeforeContext": '{"Properties":{"BucketName":"stack-facts-a"}}',
            f"{CHANGE}AfterContext": '{"Properties":{"BucketName":"stack-facts-b"}}',
            f"{DETAIL}Target/BeforeValue": "stack-facts-a",
            f"{DETAIL}Target/AfterValue": "stack-facts-b",
            f"{DETAIL}Target/AttributeChangeType": "Modify",
            f"{DETAIL}Target/Path": "/Properties/BucketName",
        },
    ),
    "CreateChangeSet that adds a resource": Fact(
        calling(lambda client: client.describe_change_set(ChangeSetName=change_set(client)["Id"])),
        CHANGE_SETS,
        fields={
            "Changes": [
                {
                    "Type": "Resource",
                    "ResourceChange": {
                        "Action": "Add",
                        "LogicalResourceId": "A",
                        "ResourceType": "AWS::S3::Bucket",
                        "Scope": [],
                        "Details": [],
                    },
                }
            ]
        },
    ),
    "CreateChangeSet whose conditions leave every resource out": Fact(
        calling(
            lambda client: client.describe_change_set(ChangeSetName=change_set(client, NOTHING_HOLDS)["Id"])
        ),
        CONDITIONS,
        fields={"Changes": [], "Status": "CREATE_COMPLETE", "ExecutionStatus": "AVAILABLE"},
    ),
    "CreateChangeSet that changes a parameter's default": Fact(
        then(lambda client: shown(client, by_parameter("b")), by_parameter("a")),
        CHANGE_SETS,
        fields={
            f"{CHANGE}Action": "Modify",
            f"{CHANGE}Replacement": "False",
            f"{CHANGE}Details": [
                {
                    "Target": {"Attribute": "Properties", "Name": "Analytics", "RequiresRecreation": "Never"},
                    "Evaluation": "Static",
                    "ChangeSource": "ParameterReference",
                    "CausingEntity": "P",
                },
                {
                    "Target": {"Attribute": "Properties", "Name": "Analytics", "RequiresRecreation": "Never"},
                    "Evaluation": "Dynamic",
                    "ChangeSource": "DirectModification",
                },
            ],
        },
        absent=(f"{CHANGE}PolicyAction",),
    ),
    "CreateChangeSet to make a stack that is there": Fact(
        then(change_set),
        CHANGE_SETS,
        "ValidationError",
        rf"Stack \[{NAME}\] already exists and cannot be created again with the changeSet \[facts\]\.",
        400,
    ),
    "DescribeChangeSet of a stack that is not there": Fact(
        calling(lambda client: client.describe_change_set(ChangeSetName="a", StackName="nothing")),
        CHANGE_SETS,
        "ValidationError",
        NO_STACK,
        400,
    ),
    "DescribeChangeSet of one that was deleted": Fact(
        calling(deleted_change_set),
        CHANGE_SETS,
        "ChangeSetNotFound",
        r"ChangeSet \[arn:aws:cloudformation:.+:changeSet/facts/.+\] does not exist",
        404,
    ),
    "DescribeChangeSet of one whose stack was made otherwise": Fact(
        calling(outdated),
        CHANGE_SETS,
        fields={"ExecutionStatus": "OBSOLETE", "Status": "CREATE_COMPLETE"},
    ),
    "DeleteChangeSet of a stack that is not there": Fact(
        calling(lambda client: client.delete_change_set(ChangeSetName="a", StackName="nothing")),
        CHANGE_SETS,
        "ValidationError",
        NO_STACK,
        400,
    ),
    "DeleteChangeSet by a name alone": Fact(
        calling(lambda client: client.delete_change_set(ChangeSetName="a")),
        CHANGE_SETS,
        "ValidationError",
        r"StackName must be specified if ChangeSetName is not specified as an ARN\.",
        400,
    ),
    "ExecuteChangeSet of one that changes nothing": Fact(
        then(executed_without_changes),
        CHANGE_SETS,
        "InvalidChangeSetStatus",
        r"ChangeSet \[arn:aws:cloudformation:.+\] cannot be executed in its current status of \[FAILED\]",
        400,
    ),
    "GetTemplate of a stack, as it was sent": Fact(
        then(lambda client: client.get_template(StackName=NAME)),
        STACKS,
        fields={"StagesAvailable": ["Original", "Processed"], "TemplateBody": ONE},
    ),
    "GetTemplate of a name that no stack has": Fact(
        calling(lambda client: client.get_template(StackName="nothing")),
        TEMPLATES,
        "ValidationError",
        "Stack with id nothing does not exist",
        400,
    ),
    "GetTemplate of a change set by a name alone": Fact(
        calling(lambda client: client.get_template(ChangeSetName="nothing")),
        TEMPLATES,
        "ValidationError",
        r"StackName is a required parameter\.",
        400,
    ),
    "GetTemplateSummary of a stack": Fact(
        then(lambda client: client.get_template_summary(StackName=NAME)),
        TEMPLATES,
        fields={
            "Parameters": [],
            "ResourceTypes": ["AWS::S3::Bucket"],
            "ResourceIdentifierSummaries/0/LogicalResourceIds": ["A"],
        },
    ),
    "GetTemplateSummary of a stack that is under review": Fact(
        calling(lambda client: (change_set(client), client.get_template_summary(StackName=NAME))[1]),
        TEMPLATES,
        "ValidationError",
        r"GetTemplateSummary cannot be called on REVIEW_IN_PROGRESS stacks\.",
        400,
    ),
    "ValidateTemplate of what is no JSON": Fact(
        calling(lambda client: client.validate_template(TemplateBody='{"this is invalid JSON"="bobbins"}')),
        TEMPLATES,
        "ValidationError",
        r"Template format error: JSON not well-formed\. \(line 1, column 25\)",
        400,
    ),
    "ValidateTemplate of a template with types that no stack needs": Fact(
        calling(
            lambda client: client.validate_template(
                TemplateBody=json.dumps(
                    {
                        "Parameters": {
                            "Key": {"Type": "AWS::EC2::KeyPair::KeyName", "Description": "for the instance"}
                        },
                        "Resources": {"A": {"Type": "AWS::EC2::Instance"}},
                    }
                )
            )
        ),
        TEMPLATES,
        fields={"Parameters": [{"ParameterKey": "Key", "Description": "for the instance", "NoEcho": False}]},
    ),
}
