"""What a request for a stack or a change set says, read and held to what CloudFormation takes: its template, values and role.

Not here: what is then done (``stacks``, ``change_sets``).

Source: CreateStack, UpdateStack and CreateChangeSet in the AWS CloudFormation API reference; the texts from localstack's
recordings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from crossaccount_sandbox.callers import Caller
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check
from crossaccount_sandbox.checks.decisions import decide
from crossaccount_sandbox.cloudformation.catalogue import check_capabilities, check_template, check_types
from crossaccount_sandbox.cloudformation.kinds import Ask
from crossaccount_sandbox.cloudformation.parameters import parameter_values
from crossaccount_sandbox.cloudformation.plans import Target
from crossaccount_sandbox.cloudformation.records import Stack, Stacks
from crossaccount_sandbox.cloudformation.templates import Template, invalid, read_template
from crossaccount_sandbox.judging.decision import Result
from crossaccount_sandbox.principals import find_role
from crossaccount_sandbox.wire import AwsError
from crossaccount_sandbox.world import World

_AGENT = "cloudformation.amazonaws.com"
_NAME = r"[a-zA-Z][-a-zA-Z0-9]*"
_NAME_OR_ARN = f"{_NAME}|arn:[-a-zA-Z0-9:/._+]*"
_BODY_LIMIT = 51_200
_UPDATABLE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")
_SERVICES = {"iam": "Iam", "s3": "S3", "kms": "Kms", "ecr": "Ecr", "sagemaker": "SageMaker"}


def true(value: Any) -> bool:
    """Whether a request's flag is set."""
    return str(value or "").lower() == "true"


def check_name(name: str) -> None:
    """Refuse what can be no stack's name.

    Raises:
        AwsError: ``ValidationError``.
    """
    fault = None
    if not re.fullmatch(_NAME_OR_ARN, name):
        fault = f"satisfy regular expression pattern: {_NAME_OR_ARN}"
    elif len(name) > 128 and not name.startswith("arn:"):
        fault = "have length less than or equal to 128"
    if fault is not None:
        raise invalid(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: Member must {fault}"
        )


def check_updatable(stack: Stack) -> None:
    """Refuse the change of a stack that must first be brought out of its status, or be removed.

    Source: "Stack status codes" in the AWS CloudFormation user guide; the text from users' reports.

    Raises:
        AwsError: ``ValidationError``.
    """
    if stack.status not in _UPDATABLE:
        raise invalid(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")


def check_rollback(call: Call, *, creates: bool) -> None:
    """Refuse to leave a failed update as it is, which the sandbox does not do; a failed creation may be left so.

    Raises:
        AwsError: ``ValidationError``.
    """
    if not creates and true(call.params.get("DisableRollback")):
        raise invalid("The sandbox rolls every failed update back: it takes no DisableRollback")


def asker(call: Call, role: str | None) -> Ask:
    """What calls the services for a stack: with the permissions of the caller, or of the stack's role.

    Source: "CloudFormation service role" in the AWS CloudFormation user guide.
    """
    caller = call.caller
    if role is not None:
        account, name = role.split(":")[4], role.rpartition("/")[2]
        found = find_role(role)
        caller = Caller(
            arn=f"arn:aws:sts::{account}:assumed-role/{name}/AWSCloudFormation",
            account=account,
            unique_id=f"{'' if found is None else found.id}:AWSCloudFormation",
            role_arn=role,
        )

    def ask(service: str, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return call.further(caller, service, operation, params)
        except AwsError as error:
            said = {**error.extra, "Service": _SERVICES[service]}
            raise AwsError(error.code, error.message, error.status, said) from None

    return ask


def role_of(world: World, call: Call, stack: Stack | None) -> str | None:
    """The role that a stack is worked on with: the request's, or the one that the stack has had; None for the caller itself.

    Raises:
        AwsError: ``ValidationError`` for a role that does not trust CloudFormation.
    """
    role: str | None = call.params.get("RoleARN") or (None if stack is None else stack.role)
    if role is None:
        return None
    found = find_role(role)
    trusts = found is not None and role.split(":")[4] == call.account
    if trusts:
        check = Check("sts:AssumeRole", role, call.account, role=role)
        trusts = decide(world, _AGENT, check, call).result is Result.ALLOWED
    if not trusts:
        raise invalid(f"Role {role} is invalid or cannot be assumed")
    return role


def template_of(call: Call, stack: Stack | None = None) -> Template:
    """The template that a request gives, wherever it lies; that of the stack where the request wants the previous one.

    Raises:
        AwsError: ``ValidationError``.
    """
    body, url = call.params.get("TemplateBody"), call.params.get("TemplateURL")
    if true(call.params.get("UsePreviousTemplate")) and stack is not None and not (body or url):
        return stack.template
    if bool(body) == bool(url):
        raise invalid("Either Template URL or Template Body must be specified.")
    if url:
        return read_template(_fetched(call, str(url)))
    if len(str(body).encode()) > _BODY_LIMIT:
        raise invalid(
            f"1 validation error detected: Value '{body}' at 'templateBody' failed to satisfy constraint: Member must have "
            f"length less than or equal to {_BODY_LIMIT}"
        )
    return read_template(str(body))


def _fetched(call: Call, url: str) -> str:
    """The text of a template in S3, which is read with the caller's permissions; the sandbox's own address is S3's too."""
    parts = urlsplit(url)
    host, path = parts.hostname or "", unquote(parts.path.lstrip("/"))
    if parts.scheme == "s3":
        raise invalid(f"S3 error: Domain name specified in {host} is not a valid S3 domain")
    bucket, dot, _ = host.partition(".s3")
    if parts.netloc == call.environ["HTTP_HOST"] or host.startswith(("s3.", "s3-")):
        bucket, dot, path = path.partition("/")
    if not bucket or not dot or not path:
        raise invalid("TemplateURL must be a supported URL.")
    try:
        answer = call.further(call.caller, "s3", "GetObject", {"Bucket": bucket, "Key": path})
    except AwsError as error:
        more = "For more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"
        raise invalid(f"S3 error: {error.message}\n{more}") from None
    body = answer["Body"]
    return body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)


def _rollback_of(call: Call, stack: Stack | None) -> dict[str, Any]:
    """The alarms that would roll a stack back, kept and shown: in the sandbox a deployment is over before one could ring.

    Raises:
        AwsError: ``ValidationError`` for what is no alarm.
    """
    given = call.params.get("RollbackConfiguration")
    if given is None:
        return {} if stack is None else stack.rollback
    for trigger in given.get("RollbackTriggers") or ():
        if trigger["Type"] not in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"):
            raise invalid("Rollback Trigger Type not supported")
        if not re.fullmatch(r"arn:[^:]+:cloudwatch:[^:]+:[^:]+:alarm:.+", str(trigger["Arn"])):
            raise invalid("RelativeId of a Rollback Trigger's ARN is incorrect")
    return dict(given)


def target_of(stacks: Stacks, call: Call, template: Template, stack: Stack | None) -> Target:
    """What a request wants of a stack; None for one that is not there yet, or has nothing yet.

    Raises:
        AwsError: ``ValidationError`` and ``InsufficientCapabilitiesException``.
    """
    params, rollback = call.params, _rollback_of(call, stack)
    if any(name.startswith("StackPolicy") for name in params):
        raise invalid("The sandbox has no stack policies")
    previous = None if stack is None else stack.values
    given = [str(each) for each in params.get("Capabilities") or ()]
    values = parameter_values(template, params.get("Parameters") or (), previous)
    check_types(template, [str(each) for each in params.get("ResourceTypes") or ()])
    check_capabilities(template, given)
    check_template(template)
    tags = {str(tag["Key"]): str(tag["Value"]) for tag in params.get("Tags") or ()}
    if "Tags" not in params and stack is not None:
        tags = stack.tags
    notified = params.get("NotificationARNs")
    if notified is None:
        notified = [] if stack is None else stack.notified
    exports, in_use = stacks.beside(call.place, stack)
    return Target(
        template,
        values,
        tags,
        capabilities=tuple(sorted(given)),
        notified=tuple(map(str, notified)),
        rollback=rollback,
        exports=exports,
        in_use=in_use,
    )
