"""What AWS checks for the operations of SageMaker, its runtime, and CloudWatch and Application Auto Scaling around it.

Source: the Service Authorization Reference; for CreateModel from another account's package also the
SageMaker developer guide, "Deploy a Model Version from a Different Account".
"""

from collections.abc import Iterator
from typing import Any

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check, Rule, own
from crossaccount_sandbox.principals import find_role
from crossaccount_sandbox.resources import alarm_arn, group_of, package_of
from crossaccount_sandbox.wire import AwsError


def _own_resource(kind: str, name: str, action: str | None = None) -> Rule:
    """A resource of the caller's own account, named by the parameter ``name``."""

    def rule(call: Call) -> Iterator[Check]:
        named = str(call.params.get(name, "*"))
        arn = f"arn:aws:sagemaker:{call.region}:{call.account}:{kind}/{named if kind == 'model-package-group' else named.lower()}"
        yield Check(action or f"sagemaker:{call.operation}", arn, call.account)
        yield from _tags(call, arn)

    return rule


def _tags(call: Call, arn: str) -> Iterator[Check]:
    if tags := call.params.get("Tags"):
        context: dict[str, Any] = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags}
        context["aws:TagKeys"] = [tag["Key"] for tag in tags]
        yield Check("sagemaker:AddTags", arn, call.account, context=context)


def _endpoint(call: Call) -> Iterator[Check]:
    """CreateEndpoint and UpdateEndpoint are checked on the endpoint and on its configuration."""
    yield from _own_resource("endpoint", "EndpointName")(call)
    config = str(call.params.get("EndpointConfigName", "")).lower()
    arn = f"arn:aws:sagemaker:{call.region}:{call.account}:endpoint-config/{config}"
    yield Check(f"sagemaker:{call.operation}", arn, call.account)


def _group(call: Call) -> Iterator[Check]:
    arn, owner = group_of(str(call.params["ModelPackageGroupName"]), call.region, call.account)
    yield Check(f"sagemaker:{call.operation}", arn, owner, ("group", arn))
    yield from _tags(call, arn)


def _list_packages(call: Call) -> Iterator[Check]:
    if name := call.params.get("ModelPackageGroupName"):
        arn, owner = group_of(str(name), call.region, call.account)
        # AWS names a package as this action's resource, its own samples grant it on the group too: either will do,
        # and a statement on the group's packages is what the developer guide's policy has.
        yield Check("sagemaker:ListModelPackages", arn, owner, ("group", arn), either=(_versions(arn),))
    else:
        yield Check("sagemaker:ListModelPackages", "*", call.account)


def _versions(group_arn: str) -> str:
    return group_arn.replace(":model-package-group/", ":model-package/") + "/*"


def _package(parameter: str) -> Rule:
    def rule(call: Call) -> Iterator[Check]:
        yield _package_check(call, str(call.params[parameter]))

    return rule


def _package_check(call: Call, named: str) -> Check:
    arn, owner, policy = package_of(named, call.region, call.account)
    context = {}
    if call.operation == "UpdateModelPackage" and call.params.get("ModelApprovalStatus"):
        context["sagemaker:ModelApprovalStatus"] = call.params["ModelApprovalStatus"]
    return Check(f"sagemaker:{call.operation}", arn, owner, policy, context=context)


def _batch_describe(call: Call) -> Iterator[Check]:
    for named in call.params.get("ModelPackageArnList", []):
        arn, owner, policy = package_of(str(named), call.region, call.account)
        yield Check("sagemaker:DescribeModelPackage", arn, owner, policy)


def _create_package(call: Call) -> Iterator[Check]:
    if name := call.params.get("ModelPackageGroupName"):
        group, owner = group_of(str(name), call.region, call.account)
        arn = _versions(group)
        yield Check("sagemaker:CreateModelPackage", arn, owner, ("group", group))
    else:
        arn = f"arn:aws:sagemaker:{call.region}:{call.account}:model-package/{call.params.get('ModelPackageName', '*')}"
        yield Check("sagemaker:CreateModelPackage", arn, call.account)
    yield from _tags(call, arn)


def _create_model(call: Call) -> Iterator[Check]:
    yield from _own_resource("model", "ModelName")(call)
    for container in (call.params.get("PrimaryContainer") or {}, *(call.params.get("Containers") or [])):
        if container.get("ModelPackageName"):
            yield _package_check(call, container["ModelPackageName"])
    if role := call.params.get("ExecutionRoleArn"):
        yield from _pass_role(call, str(role))


def _pass_role(call: Call, role: str) -> Iterator[Check]:
    """The question whether the caller may hand a role to SageMaker.

    Raises:
        AwsError: when the role is another account's: PassRole cannot cross accounts.
    """
    if role.split(":")[4] != call.account:
        raise AwsError("ValidationException", "Cross-account pass role is not allowed.")
    existing = find_role(role)
    arn = existing.arn if existing is not None else role
    yield Check("iam:PassRole", arn, call.account, context={"iam:PassedToService": "sagemaker.amazonaws.com"})


def _by_arn(call: Call) -> Iterator[Check]:
    """AddTags, DeleteTags and ListTags name their resource by ARN."""
    arn = str(call.params["ResourceArn"])
    owner = arn.split(":")[4] if arn.count(":") >= 5 else call.account
    yield Check(f"sagemaker:{call.operation}", arn, owner)


def _alarms(call: Call) -> Iterator[Check]:
    """Alarm operations name one alarm, several, or with neither all of them."""
    alarm = call.params.get("AlarmName")
    for name in [alarm] if alarm else call.params.get("AlarmNames") or ["*"]:
        yield Check(
            f"cloudwatch:{call.operation}", alarm_arn(call.region, call.account, str(name)), call.account
        )


def _scalable_target(call: Call) -> Iterator[Check]:
    arn = f"arn:aws:application-autoscaling:{call.region}:{call.account}:scalable-target/*"
    yield Check(f"application-autoscaling:{call.operation}", arn, call.account)


_LISTED = ("Models", "EndpointConfigs", "Endpoints", "ModelPackageGroups")
RULES: dict[str, Rule] = {
    "CreateModelPackageGroup": _own_resource("model-package-group", "ModelPackageGroupName"),
    **dict.fromkeys(("DescribeModel", "DeleteModel"), _own_resource("model", "ModelName")),
    **dict.fromkeys(
        ("CreateEndpointConfig", "DescribeEndpointConfig", "DeleteEndpointConfig"),
        _own_resource("endpoint-config", "EndpointConfigName"),
    ),
    **dict.fromkeys(
        ("DescribeEndpoint", "DeleteEndpoint", "UpdateEndpointWeightsAndCapacities"),
        _own_resource("endpoint", "EndpointName"),
    ),
    **{f"List{kind}": own(f"sagemaker:List{kind}") for kind in _LISTED},
    **{f"{verb}ModelPackageGroup": _group for verb in ("Delete", "Describe")},
    **{f"{verb}ModelPackageGroupPolicy": _group for verb in ("Delete", "Get", "Put")},
    "ListModelPackages": _list_packages,
    **dict.fromkeys(("DescribeModelPackage", "DeleteModelPackage"), _package("ModelPackageName")),
    "UpdateModelPackage": _package("ModelPackageArn"),
    "BatchDescribeModelPackage": _batch_describe,
    "CreateModelPackage": _create_package,
    "CreateModel": _create_model,
    **dict.fromkeys(("CreateEndpoint", "UpdateEndpoint"), _endpoint),
    **dict.fromkeys(("AddTags", "DeleteTags", "ListTags"), _by_arn),
}
RUNTIME_RULES: dict[str, Rule] = {
    "InvokeEndpoint": _own_resource("endpoint", "EndpointName", "sagemaker:InvokeEndpoint")
}
ALARM_RULES: dict[str, Rule] = dict.fromkeys(
    ("PutMetricAlarm", "PutCompositeAlarm", "PutLogAlarm", "DescribeAlarms", "SetAlarmState", "DeleteAlarms"),
    _alarms,
)
SCALING_RULES: dict[str, Rule] = {
    **dict.fromkeys(("RegisterScalableTarget", "DeregisterScalableTarget"), _scalable_target),
    "DescribeScalableTargets": own("application-autoscaling:DescribeScalableTargets"),
}
