"""Inference components as records: how one is kept in the form of an endpoint, how it is shown, and what is wrong with one asked for.

Not here: the operations (``components``).

Source: InferenceComponentSpecification and DescribeInferenceComponent in the SageMaker API reference.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from crossaccount_sandbox.world import Record

_STATUSES = {"RollingBack": "Updating", "UpdateRollbackFailed": "Failed"}  # the others are called alike


def specification_faults(given: Mapping[str, Any]) -> Iterator[str]:
    """Why AWS would refuse this specification."""
    requirements = given.get("ComputeResourceRequirements") or {}
    if not given.get("ModelName"):
        yield "The specification of an inference component needs a ModelName."
    if not requirements:
        yield "The specification of an inference component needs ComputeResourceRequirements."
    low, high = requirements.get("MinMemoryRequiredInMb", 0), requirements.get("MaxMemoryRequiredInMb")
    if high is not None and high < low:
        yield "MaxMemoryRequiredInMb cannot be less than MinMemoryRequiredInMb."


def hosted_config(variant: Record, specification: Record, copies: int) -> Record:
    """What a component stands for, in the form in which an endpoint configuration is hosted."""
    startup = specification.get("StartupParameters") or {}
    return {
        "EndpointConfigName": specification["ModelName"],
        "ProductionVariants": [
            {"VariantName": variant["VariantName"], "InitialInstanceCount": copies, **startup}
        ],
        "Specification": specification,
    }


def live_config(record: Record) -> Record:
    """What a component stands for now."""
    if record["fleets"]:
        return dict(record["fleets"][0].config)
    return dict(record.get("resting") or record["begun"])


def desired_copies(live: Record, record: Record) -> int:
    """The copies that a component is to have."""
    variants = record.get("ProductionVariants")
    desired = variants[0]["DesiredInstanceCount"] if variants else None
    return int(live["ProductionVariants"][0]["InitialInstanceCount"] if desired is None else desired)


def counted(deployment: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A component's DeploymentConfig as an endpoint's: a number of copies is one of instances."""
    if not deployment:
        return None
    policy = {
        name: {**value, "Type": value["Type"].replace("COPY_COUNT", "INSTANCE_COUNT")}
        if isinstance(value, dict)
        else value
        for name, value in deployment["RollingUpdatePolicy"].items()
    }
    return {**deployment, "RollingUpdatePolicy": policy}


def status_of(record: Record) -> str:
    """The status that AWS shows of a component."""
    status = str(record["EndpointStatus"])
    return _STATUSES.get(status, status)


def described(record: Record) -> Record:
    """A component as DescribeInferenceComponent shows it."""
    live, variants = live_config(record), record.get("ProductionVariants") or [{}]
    specification = {**live["Specification"]}
    if images := variants[0].get("DeployedImages"):
        specification["Container"] = {"DeployedImage": images[0]}
    desired = desired_copies(live, record)
    return {
        "InferenceComponentName": record["EndpointName"],
        "InferenceComponentArn": record["EndpointArn"],
        "EndpointName": record["host"],
        "EndpointArn": record["host_arn"],
        "VariantName": live["ProductionVariants"][0]["VariantName"],
        "FailureReason": record.get("FailureReason"),
        "Specification": specification,
        "RuntimeConfig": {
            "DesiredCopyCount": desired,
            "CurrentCopyCount": variants[0].get("CurrentInstanceCount", 0),
        },
        "CreationTime": record["CreationTime"],
        "LastModifiedTime": record["LastModifiedTime"],
        "InferenceComponentStatus": status_of(record),
        "LastDeploymentConfig": record.get("LastDeploymentConfig"),
    }
