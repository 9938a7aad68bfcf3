"""The requests for an inference component and for the endpoint below it: the parameters of each call, as pure functions.

Not here: the model's (``requests``), and sending any of them (``components``).

Source: CreateInferenceComponent, UpdateInferenceComponent, InferenceComponentRollingUpdatePolicy and CreateEndpointConfig in the
SageMaker API reference; "Deploy models for real-time inference" in the developer guide: an execution role on the endpoint config.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from crossaccount.config.endpoint import Endpoint
from crossaccount.config.model import ConsumerConfig
from crossaccount.hosting.resources import VARIANT, deployment_name

# Of a variant, and with inference components of each of these instead: StartupParameters have the same names.
_STARTUP = ("ContainerStartupHealthCheckTimeoutInSeconds", "ModelDataDownloadTimeoutInSeconds")
_NUMBERS = {
    "cpu": "NumberOfCpuCoresRequired",
    "accelerators": "NumberOfAcceleratorDevicesRequired",
    "memory": "MinMemoryRequiredInMb",
    "max": "MaxMemoryRequiredInMb",
}
_SECONDS = {"startup": _STARTUP[0], "download": _STARTUP[1]}


def host(consumer: ConsumerConfig, content: Mapping[str, Any]) -> dict[str, Any]:
    """An endpoint config's content for an endpoint that holds inference components, from that for a model of its own."""
    wanted = consumer.endpoint
    variants = [
        {key: value for key, value in variant.items() if key not in ("ModelName", *_STARTUP)}
        for variant in content["ProductionVariants"]
    ]
    given = {**content, "ProductionVariants": variants, "ExecutionRoleArn": consumer.execution_role}
    if (vpc := wanted.vpc) is not None:
        groups, subnets = list(vpc.security_group_ids), list(vpc.subnet_ids)
        given["VpcConfig"] = {"SecurityGroupIds": groups, "Subnets": subnets}
    if wanted.network_isolation:
        given["EnableNetworkIsolation"] = True
    return given


def host_name(consumer: ConsumerConfig, content: Mapping[str, Any]) -> str:
    """The name of an endpoint config that is no version's, NAME-v0-HHHH: HHHH stands for the instances that are asked for now."""
    text = json.dumps(content, sort_keys=True)
    return f"{deployment_name(consumer, 0)}-{hashlib.sha256(text.encode()).hexdigest()[:4]}"


def capacity(endpoint: Endpoint) -> dict[str, Any]:
    """What each copy is given and how many there are: Specification without a model, and RuntimeConfig."""
    wanted = endpoint.inference_component
    assert wanted is not None  # the config's agreement
    numbers = {
        "NumberOfCpuCoresRequired": wanted.cpu_cores,
        "NumberOfAcceleratorDevicesRequired": wanted.accelerators,
        "MinMemoryRequiredInMb": wanted.memory_mb,
        "MaxMemoryRequiredInMb": wanted.max_memory_mb,
    }
    seconds = dict(
        zip(_STARTUP, (endpoint.container_startup_seconds, endpoint.model_download_seconds), strict=True)
    )
    return _capacity(numbers, seconds, wanted.copies)


def _capacity(numbers: Mapping[str, Any], seconds: Mapping[str, Any], copies: int) -> dict[str, Any]:
    given = [{key: value for key, value in part.items() if value is not None} for part in (numbers, seconds)]
    specification: dict[str, Any] = {"ComputeResourceRequirements": given[0]}
    if given[1]:
        specification["StartupParameters"] = given[1]
    return {"Specification": specification, "RuntimeConfig": {"CopyCount": copies}}


def noted(capacity: Mapping[str, Any]) -> str:
    """A capacity in the text of a tag, for whoever goes back to it: ``cpu=1.0 memory=1024 copies=2``; read by `read_note`."""
    specification = capacity["Specification"]
    numbers, seconds = (
        specification["ComputeResourceRequirements"],
        specification.get("StartupParameters") or {},
    )
    words = [f"{word}={numbers[name]}" for word, name in _NUMBERS.items() if name in numbers]
    words += [f"{word}={seconds[name]}" for word, name in _SECONDS.items() if name in seconds]
    return " ".join([*words, f"copies={capacity['RuntimeConfig']['CopyCount']}"])


def read_note(text: str) -> dict[str, Any] | None:
    """The capacity that `noted` wrote; None for any other text."""
    if not re.fullmatch(r"[a-z]+=[0-9.]{1,20}( [a-z]+=[0-9.]{1,20})*", text):
        return None
    pairs = dict(word.split("=") for word in text.split(" "))
    try:
        numbers = {
            name: float(pairs[word]) if word in ("cpu", "accelerators") else int(pairs[word])
            for word, name in _NUMBERS.items()
            if word in pairs
        }
        seconds = {name: int(pairs[word]) for word, name in _SECONDS.items() if word in pairs}
        copies = int(pairs["copies"])
    except (KeyError, ValueError):
        return None
    return _capacity(numbers, seconds, copies) if "MinMemoryRequiredInMb" in numbers else None


def create(name: str, endpoint: str, model: str, capacity: Mapping[str, Any]) -> dict[str, Any]:
    """CreateInferenceComponent's parameters, without tags."""
    return {
        "InferenceComponentName": name,
        "EndpointName": endpoint,
        "VariantName": VARIANT,
        "Specification": {**capacity["Specification"], "ModelName": model},
        "RuntimeConfig": capacity["RuntimeConfig"],
    }


def update(
    component: Mapping[str, Any],
    model: str,
    old: Mapping[str, Any] | None,
    new: Mapping[str, Any],
    retain: bool,
    guard: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """UpdateInferenceComponent's parameters.

    Args:
        component: its description.
        model: the name of the model that it gets.
        old: the capacity that was asked for last; None when that is not known.
        new: the capacity that it gets.
        retain: whether a number of copies that autoscaling has set survives; none does where there is no copy, as nothing would
            answer, and where the config has changed it since.
        guard: see `deployment_config`; None is AWS's own default.
    """
    request: dict[str, Any] = {
        "InferenceComponentName": component["InferenceComponentName"],
        "Specification": {**new["Specification"], "ModelName": model},
    }
    copies = (component.get("RuntimeConfig") or {}).get("DesiredCopyCount", 0)
    as_asked = old is not None and old["RuntimeConfig"] == new["RuntimeConfig"]
    if not (retain and copies > 0 and as_asked):
        request["RuntimeConfig"] = new["RuntimeConfig"]
    if guard:
        request["DeploymentConfig"] = guard
    return request


def deployment_config(endpoint: Endpoint) -> dict[str, Any] | None:
    """UpdateInferenceComponent's DeploymentConfig; None for AWS's own default, which brings all new copies up beside the old."""
    wanted = endpoint.deployment
    if wanted.type != "rolling":
        return None
    limit = {"MaximumExecutionTimeoutInSeconds": wanted.maximum_seconds} if wanted.maximum_seconds else {}
    request: dict[str, Any] = {
        "RollingUpdatePolicy": {
            "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": wanted.batch_percent},
            "WaitIntervalInSeconds": wanted.wait_seconds,
            **limit,
        }
    }
    if wanted.alarms:
        request["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": name} for name in wanted.alarms]}
    return request
