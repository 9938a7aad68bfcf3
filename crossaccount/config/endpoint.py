"""Endpoints of the config: capacity, network, encryption, capture, and how they move to another version."""

from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field

from crossaccount.config.identifiers import (
    AlarmName,
    EndpointName,
    InstanceType,
    KmsKey,
    network_id,
    s3_address,
)
from crossaccount.config.values import Flag, FrozenModel, choice, describe, fault, items, whole
from crossaccount.text import quote


def _instance_count(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int):
        raise fault(f"{describe(value)}. Write a whole number from 1 to 100, without quotes.")
    if not 1 <= value <= 100:
        raise fault(f"{quote(value)} instances cannot be asked for. Write a whole number from 1 to 100.")
    return value


def _memory(value: object) -> object:
    sizes = tuple(range(1024, 6145, 1024))
    if value in sizes and not isinstance(value, bool):
        return value
    raise fault(
        f"{quote(value)} is not a memory size of a serverless endpoint. Write one of {', '.join(map(str, sizes))}, without quotes."
    )


_DeploymentType = Literal["all-at-once", "canary", "linear", "rolling"]
DEPLOYMENT_TYPES: tuple[str, ...] = get_args(_DeploymentType)


class Deployment(FrozenModel):
    """How an endpoint moves to another version: in which steps, how long each is watched, and by which alarms."""

    type: Annotated[_DeploymentType, choice("type of deployment", _DeploymentType)] = Field(
        default="all-at-once", description="how traffic moves"
    )
    canary_percent: Annotated[int, whole(1, 50, "percent")] | None = Field(
        default=None, description="share of the capacity that moves first", examples=["10"]
    )
    linear_percent: Annotated[int, whole(10, 50, "percent")] | None = Field(
        default=None, description="share of the capacity that moves in each step", examples=["25"]
    )
    batch_percent: Annotated[int, whole(5, 50, "percent")] | None = Field(
        default=None, description="share of the instances that are replaced in each batch", examples=["50"]
    )
    wait_seconds: Annotated[int, whole(0, 3600, "seconds")] = Field(
        default=0, description="how long each step is watched before the next"
    )
    termination_wait_seconds: Annotated[int, whole(0, 3600, "seconds")] = Field(
        default=0, description="how long the old instances stay after the last step"
    )
    maximum_seconds: Annotated[int, whole(600, 28800, "seconds")] | None = Field(
        default=None, description="how long it may all take"
    )
    alarms: Annotated[tuple[AlarmName, ...], items("alarms", "churn-errors", 10, least=0)] = Field(
        default=(), description="CloudWatch alarms, by name, that roll the endpoint back"
    )


class Serverless(FrozenModel):
    """Capacity without instances."""

    memory_mb: Annotated[int, BeforeValidator(_memory)] = Field(
        description="memory in megabytes", examples=["2048"]
    )
    max_concurrency: Annotated[int, whole(1, 200, "calls")] = Field(
        description="how many calls are answered at once", examples=["5"]
    )


class DataCapture(FrozenModel):
    """Where, and of how many calls, SageMaker keeps requests and answers."""

    s3_uri: Annotated[str, s3_address("prefix", "s3://BUCKET/captured/")] = Field(
        description="where they are kept", examples=["s3://BUCKET/captured/"]
    )
    percent: Annotated[int, whole(1, 100, "percent")] = Field(
        description="of how many of 100 calls", examples=["100"]
    )


class Vpc(FrozenModel):
    """The network that the model runs in."""

    security_group_ids: Annotated[
        tuple[Annotated[str, network_id("sg")], ...], items("security groups", "sg-0a1b2c3d", 5)
    ] = Field(description="ids of its security groups", examples=["[sg-0a1b2c3d]"])
    subnet_ids: Annotated[
        tuple[Annotated[str, network_id("subnet")], ...], items("subnets", "subnet-0a1b2c3d", 16)
    ] = Field(description="ids of its subnets", examples=["[subnet-0a1b2c3d]"])


class Endpoint(FrozenModel):
    """Name, capacity and behaviour of an endpoint; the name leaves room for "-v<version>" within SageMaker's 63.

    Either `instance_type`, or `serverless`.
    """

    name: EndpointName = Field(description="name of the endpoint", examples=["decision-trees-staging"])
    instance_type: InstanceType | None = Field(
        default=None, description="instance type that serves the model", examples=["ml.m5.large"]
    )
    instance_count: Annotated[int, BeforeValidator(_instance_count)] = Field(
        default=1, description="number of instances"
    )
    deployment: Deployment = Field(default=Deployment(), description="how it moves to another version")
    retain_variant_properties: Flag = Field(
        default=True, description="whether instance counts that autoscaling has set survive an update"
    )
    keep_versions: Annotated[int, whole(0, 50, "versions")] = Field(
        default=2, description="how many earlier versions stay ready to be gone back to"
    )
    serverless: Serverless | None = Field(default=None, description="capacity without instances")
    data_capture: DataCapture | None = Field(default=None, description="which calls are kept, and where")
    vpc: Vpc | None = Field(default=None, description="the network that the model runs in")
    kms_key: KmsKey | None = Field(
        default=None,
        description="key that the instances' storage volumes are encrypted under; hardware encrypts local storage, without it",
    )
    network_isolation: Flag = Field(
        default=False, description="whether the container is kept from all networks"
    )
