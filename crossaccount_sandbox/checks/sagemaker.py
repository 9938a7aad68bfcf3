"""What AWS checks for the operations of SageMaker, its runtime, and CloudWatch and Application Auto Scaling around it.

Source: the Service Authorization Reference; for CreateModel from another account's package also the
SageMaker developer guide, "Deploy a Model Version from a Different Account".
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check, Rule, own
from crossaccount_sandbox.checks.tagging import request_tags, tag_keys
from crossaccount_sandbox.principals import find_role
from crossaccount_sandbox.resources import alarm_arn, find_key, group_of, package_of
from crossaccount_sandbox.wire import AwsError


def _own_resource(kind: str, name: str) -> Rule:
    """A resource of the caller's own account, named by the parameter ``name``."""

    def rule(call: Call) -> Iterator[Check]:
        yield from _with_tags(call, _own_arn(call, kind, str(call.params.get(name, "*"))))

    return rule


def _own_arn(call: Call, kind: str, name: str) -> str:
    shown = name if kind == "model-package-group" else name.lower()
    return f"arn:aws:sagemaker:{call.region}:{call.account}:{kind}/{shown}"


def _with_tags(call: Call, arn: str, context: dict[str, Any] | None = None) -> Iterator[Check]:
    """The question about a resource of the caller's own, and where the call tags it, about that."""
    tags = request_tags(call.params.get("Tags"))
    yield Check(f"sagemaker:{call.operation}", arn, call.account, context={**(context or {}), **tags})
    yield from _tagging(call, arn, call.account, tags)


def _tagging(call: Call, arn: str, owner: str, tags: dict[str, Any]) -> Iterator[Check]:
    """The question whether the caller may tag what it creates.

    Source: "Provide permissions for tagging SageMaker AI resources" in the SageMaker developer guide.
    """
    if tags:
        yield Check(
            "sagemaker:AddTags", arn, owner, context={**tags, "sagemaker:TaggingAction": call.operation}
        )


def _endpoint(call: Call) -> Iterator[Check]:
    """CreateEndpoint and UpdateEndpoint are checked on the endpoint and on its configuration."""
    yield from _own_resource("endpoint", "EndpointName")(call)
    arn = _own_arn(call, "endpoint-config", str(call.params.get("EndpointConfigName", "")))
    yield Check(
        f"sagemaker:{call.operation}", arn, call.account, context=request_tags(call.params.get("Tags"))
    )


def _endpoint_config(call: Call) -> Iterator[Check]:
    """CreateEndpointConfig, with the keys that guardrails ask.

    Source: the Service Authorization Reference, which names ``sagemaker:VolumeKmsKey`` as deprecated for
    ``sagemaker:VolumeKmsKeyArn``; both have the key's ARN, also where the request names it otherwise.
    """
    params = call.params
    variants = [*(params.get("ProductionVariants") or ()), *(params.get("ShadowProductionVariants") or ())]
    pools = [pool for variant in variants for pool in variant.get("InstancePools") or ()]
    serverless = [variant["ServerlessConfig"] for variant in variants if variant.get("ServerlessConfig")]
    key = params.get("KmsKeyId")
    volume = (find_key(str(key), call.account, call.region) or key) if key else None
    context = {
        "sagemaker:InstanceTypes": _named([*variants, *pools], "InstanceType"),
        "sagemaker:ModelArn": [_own_arn(call, "model", name) for name in _named(variants, "ModelName")],
        "sagemaker:AcceleratorTypes": _named(variants, "AcceleratorType"),
        "sagemaker:ServerlessMaxConcurrency": _most(serverless, "MaxConcurrency"),
        "sagemaker:ServerlessMemorySize": _most(serverless, "MemorySizeInMB"),
        "sagemaker:VolumeKmsKeyArn": volume,
        "sagemaker:VolumeKmsKey": volume,
        **_network(call),
    }
    arn = _own_arn(call, "endpoint-config", str(params.get("EndpointConfigName", "*")))
    yield from _with_tags(call, arn, _given(context))
    if role := params.get("ExecutionRoleArn"):
        yield from _pass_role(call, str(role))


def _create_component(call: Call) -> Iterator[Check]:
    """CreateInferenceComponent is checked on the component and on its endpoint."""
    params = call.params
    specifications = [params.get("Specification") or {}, *(params.get("Specifications") or ())]
    models = [_own_arn(call, "model", name) for name in _named(specifications, "ModelName")]
    context = _given({"sagemaker:ModelArn": models})
    arn = _own_arn(call, "inference-component", str(params.get("InferenceComponentName", "*")))
    yield from _with_tags(call, arn, context)
    arn = _own_arn(call, "endpoint", str(params.get("EndpointName", "*")))
    tags = request_tags(params.get("Tags"))
    yield Check("sagemaker:CreateInferenceComponent", arn, call.account, context={**context, **tags})


def _named(records: list[Any], member: str) -> list[str]:
    return list(dict.fromkeys(str(record[member]) for record in records if record.get(member)))


def _most(records: list[Any], member: str) -> int | None:
    return max((int(record[member]) for record in records if record.get(member) is not None), default=None)


def _network(call: Call) -> dict[str, Any]:
    vpc = call.params.get("VpcConfig") or {}
    return {
        "sagemaker:NetworkIsolation": call.params.get("EnableNetworkIsolation"),
        "sagemaker:VpcSubnets": vpc.get("Subnets"),
        "sagemaker:VpcSecurityGroupIds": vpc.get("SecurityGroupIds"),
    }


def _given(context: dict[str, Any]) -> dict[str, Any]:
    """The keys that the request has a value for: a condition on another must see that it is absent."""
    return {key: value for key, value in context.items() if value not in (None, [], {})}


def _group(call: Call) -> Iterator[Check]:
    arn, owner = group_of(str(call.params["ModelPackageGroupName"]), call.region, call.account)
    yield Check(f"sagemaker:{call.operation}", arn, owner, ("group", arn))


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
    context = _version_keys(call) if call.operation == "UpdateModelPackage" else {}
    return Check(f"sagemaker:{call.operation}", arn, owner, policy, context=context)


def _version_keys(call: Call) -> dict[str, Any]:
    """What a request makes of a version: its approval, its stage, its metadata."""
    cycle = call.params.get("ModelLifeCycle") or {}
    metadata = call.params.get("CustomerMetadataProperties") or {}
    context = {
        "sagemaker:ModelApprovalStatus": call.params.get("ModelApprovalStatus"),
        "sagemaker:ModelLifeCycle:Stage": cycle.get("Stage"),
        "sagemaker:ModelLifeCycle:StageStatus": cycle.get("StageStatus"),
        "sagemaker:CustomerMetadataPropertiesToRemove": call.params.get("CustomerMetadataPropertiesToRemove"),
        **{f"sagemaker:CustomerMetadataProperties/{key}": value for key, value in metadata.items()},
    }
    return _given(context)


def _batch_describe(call: Call) -> Iterator[Check]:
    for named in call.params.get("ModelPackageArnList", []):
        yield _package_check(call, str(named))


def _create_package(call: Call) -> Iterator[Check]:
    tags = request_tags(call.params.get("Tags"))
    if name := call.params.get("ModelPackageGroupName"):
        group, owner = group_of(str(name), call.region, call.account)
        arn, policy = _versions(group), ("group", group)
    else:
        arn, owner, policy = (
            _own_arn(call, "model-package", call.params.get("ModelPackageName", "*")),
            call.account,
            None,
        )
    yield Check("sagemaker:CreateModelPackage", arn, owner, policy, context={**_version_keys(call), **tags})
    yield from _tagging(call, arn, owner, tags)


def _create_model(call: Call) -> Iterator[Check]:
    arn = _own_arn(call, "model", str(call.params.get("ModelName", "*")))
    network = _given(_network(call))
    yield from _with_tags(call, arn, network)
    context = {**network, **request_tags(call.params.get("Tags"))}
    for container in (call.params.get("PrimaryContainer") or {}, *(call.params.get("Containers") or [])):
        if container.get("ModelPackageName"):
            yield replace(_package_check(call, container["ModelPackageName"]), context=context)
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


def _invoke(call: Call) -> Iterator[Check]:
    arn = _own_arn(call, "endpoint", str(call.params.get("EndpointName", "*")))
    context = _given({"sagemaker:TargetModel": call.params.get("TargetModel")})
    yield Check(f"sagemaker:{call.operation}", arn, call.account, context=context)
    if component := call.params.get("InferenceComponentName"):
        arn = _own_arn(call, "inference-component", str(component))
        yield Check(f"sagemaker:{call.operation}", arn, call.account, context=context)


def _by_arn(call: Call) -> Iterator[Check]:
    """AddTags, DeleteTags and ListTags name their resource by ARN."""
    arn = str(call.params["ResourceArn"])
    owner = arn.split(":")[4] if arn.count(":") >= 5 else call.account
    tags = request_tags(call.params.get("Tags")) | tag_keys(call.params.get("TagKeys"))
    yield Check(f"sagemaker:{call.operation}", arn, owner, context=tags)


def _alarms(call: Call) -> Iterator[Check]:
    """Alarm operations name one alarm, several, or with neither all of them."""
    alarm, tags = call.params.get("AlarmName"), request_tags(call.params.get("Tags"))
    actions = {"cloudwatch:AlarmActions": call.params.get("AlarmActions")}
    for name in [alarm] if alarm else call.params.get("AlarmNames") or ["*"]:
        arn = alarm_arn(call.region, call.account, str(name))
        yield Check(f"cloudwatch:{call.operation}", arn, call.account, context={**_given(actions), **tags})
        if tags:
            yield Check("cloudwatch:TagResource", arn, call.account, context=tags)


def _scalable_target(call: Call) -> Iterator[Check]:
    arn = f"arn:aws:application-autoscaling:{call.region}:{call.account}:scalable-target/*"
    tags = request_tags(call.params.get("Tags"))
    context = {
        "application-autoscaling:service-namespace": call.params.get("ServiceNamespace"),
        "application-autoscaling:scalable-dimension": call.params.get("ScalableDimension"),
    }
    yield Check(
        f"application-autoscaling:{call.operation}", arn, call.account, context={**_given(context), **tags}
    )
    if tags:
        yield Check("application-autoscaling:TagResource", arn, call.account, context=tags)


_LISTED = ("Models", "EndpointConfigs", "Endpoints", "ModelPackageGroups", "InferenceComponents")
RULES: dict[str, Rule] = {
    "CreateModelPackageGroup": _own_resource("model-package-group", "ModelPackageGroupName"),
    **dict.fromkeys(("DescribeModel", "DeleteModel"), _own_resource("model", "ModelName")),
    "CreateEndpointConfig": _endpoint_config,
    **dict.fromkeys(
        ("DescribeEndpointConfig", "DeleteEndpointConfig"),
        _own_resource("endpoint-config", "EndpointConfigName"),
    ),
    **dict.fromkeys(
        ("DescribeEndpoint", "DeleteEndpoint", "UpdateEndpointWeightsAndCapacities"),
        _own_resource("endpoint", "EndpointName"),
    ),
    "CreateInferenceComponent": _create_component,
    **dict.fromkeys(
        (
            *("DescribeInferenceComponent", "UpdateInferenceComponent", "DeleteInferenceComponent"),
            "UpdateInferenceComponentRuntimeConfig",
        ),
        _own_resource("inference-component", "InferenceComponentName"),
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
RUNTIME_RULES: dict[str, Rule] = dict.fromkeys(
    ("InvokeEndpoint", "InvokeEndpointAsync", "InvokeEndpointWithResponseStream"), _invoke
)
ALARM_RULES: dict[str, Rule] = dict.fromkeys(
    (
        *("PutMetricAlarm", "PutCompositeAlarm", "PutLogAlarm", "DescribeAlarms", "DescribeAlarmHistory"),
        *("SetAlarmState", "EnableAlarmActions", "DisableAlarmActions", "DeleteAlarms"),
    ),
    _alarms,
)
SCALING_RULES: dict[str, Rule] = {
    **dict.fromkeys(("RegisterScalableTarget", "DeregisterScalableTarget"), _scalable_target),
    "DescribeScalableTargets": own("application-autoscaling:DescribeScalableTargets"),
}
