"""Endpoints of the config: capacity, network, encryption, capture, and how they move to another version.

Not here: whether these keys agree with each other (``agreement``).
"""

import re
from typing import Annotated, Literal, get_args

from pydantic import Field

from crossaccount.config.capacity import (
    Asynchronous,
    CapacityReservation,
    InferenceAmi,
    InferenceComponent,
    InstancePool,
    ManagedScaling,
    Metrics,
    PrefixRouting,
    Routing,
)
from crossaccount.config.identifiers import (
    AlarmName,
    EndpointName,
    InstanceType,
    KmsKey,
    network_id,
    s3_address,
)
from crossaccount.config.values import (
    Check,
    Flag,
    FrozenModel,
    check_text,
    choice,
    fault,
    items,
    texts,
    whole,
)
from crossaccount.text import quote

_SIZES = tuple(range(1024, 6145, 1024))


def _memory(value: object) -> object:
    if value in _SIZES and not isinstance(value, bool):
        return value
    raise fault(
        f"{quote(value)} is not a memory size of a serverless endpoint. Write one of {', '.join(map(str, _SIZES))}, without quotes."
    )


_DeploymentType = Literal["all-at-once", "canary", "linear", "rolling"]
DEPLOYMENT_TYPES: tuple[str, ...] = get_args(_DeploymentType)


class Deployment(FrozenModel):
    """The way in which an endpoint moves to another version: its steps, the time that each is watched, and the alarms."""

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

    memory_mb: Annotated[int, Check(_memory, schema={"enum": _SIZES})] = Field(
        description="memory in megabytes", examples=["2048"]
    )
    max_concurrency: Annotated[int, whole(1, 200, "calls")] = Field(
        description="how many calls are answered at once", examples=["5"]
    )


class DataCapture(FrozenModel):
    """Requests and answers that SageMaker keeps: where, and of how many calls."""

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


_Kind = Literal["real-time", "serverless", "asynchronous", "inference-components"]
KINDS: tuple[str, ...] = get_args(_Kind)
_ContainerMode = Literal["serial", "direct"]


_SPECIFICATION = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"  # botocore, sagemaker: EntityName


def _specification(value: object) -> str:
    text = check_text(value, "gpu")
    if re.fullmatch(_SPECIFICATION, text):
        return text
    raise fault(
        f"{quote(text)} cannot name an inference specification. Write the Name of one of AdditionalInferenceSpecifications."
    )


class Endpoint(FrozenModel):
    """Name, capacity and behaviour of an endpoint; the name leaves room for "-v<version>" within SageMaker's 63.

    Either `instance_type` or `instance_pools`, or `serverless`.
    """

    name: EndpointName = Field(description="name of the endpoint", examples=["decision-trees-staging"])
    instance_type: InstanceType | None = Field(
        default=None, description="instance type that serves the model", examples=["ml.m5.large"]
    )
    instance_count: Annotated[int, whole(1, 100, "instances")] = Field(
        default=1, description="number of instances"
    )
    kind: Annotated[_Kind, choice("kind of endpoint", _Kind)] | None = Field(
        default=None, description="what the endpoint is; real-time, or serverless where that key is given"
    )
    deployment: Deployment = Field(default=Deployment(), description="how it moves to another version")
    retain_variant_properties: Flag = Field(
        default=True, description="whether instance counts that autoscaling has set survive an update"
    )
    keep_versions: Annotated[int, whole(0, 50, "versions")] = Field(
        default=2, description="how many earlier versions stay ready to be gone back to"
    )
    serverless: Serverless | None = Field(
        default=None,
        description="capacity without instances",
        examples=["{memory_mb: 2048, max_concurrency: 5}"],
    )
    data_capture: DataCapture | None = Field(default=None, description="which calls are kept, and where")
    vpc: Vpc | None = Field(default=None, description="the network that the model runs in")
    kms_key: KmsKey | None = Field(
        default=None,
        description="key of the instances' storage volumes; local storage is encrypted by the hardware, not by this key",
    )
    network_isolation: Flag = Field(
        default=False, description="whether the container is kept from all networks"
    )
    instance_pools: Annotated[
        tuple[InstancePool, ...], items("pools", "{instance_type: ml.g5.xlarge, priority: 1}", 5, least=0)
    ] = Field(default=(), description="several instance types that may serve the model, instead of one")
    provision_seconds: Annotated[int, whole(300, 3600, "seconds")] | None = Field(
        default=None, description="how long SageMaker tries to get instances"
    )
    managed_scaling: ManagedScaling | None = Field(
        default=None, description="bounds within which SageMaker chooses the number of instances"
    )
    capacity_reservation: CapacityReservation | None = Field(
        default=None, description="reservation that the instances come from, and from nowhere else"
    )
    container_startup_seconds: Annotated[int, whole(60, 3600, "seconds")] | None = Field(
        default=None, description="how long a container may take until its ping is answered"
    )
    model_download_seconds: Annotated[int, whole(60, 3600, "seconds")] | None = Field(
        default=None, description="how long the download of the model may take"
    )
    volume_size_gb: Annotated[int, whole(1, 512, "gigabytes")] | None = Field(
        default=None, description="size of the instances' storage volumes, in gigabytes"
    )
    inference_ami: InferenceAmi | None = Field(
        default=None, description="version of the machine image that the instances run"
    )
    routing: Routing | None = Field(default=None, description="how requests are spread over the instances")
    prefix_routing: PrefixRouting | None = Field(
        default=None,
        description="how much of a request routing by its prefix compares",
        examples=["{length: 4096, concurrency: 8}"],
    )
    metrics: Metrics | None = Field(default=None, description="what is measured beyond invocations")
    accept_eula: Flag = Field(
        default=False, description="whether the licence that the package asks to be agreed to is agreed to"
    )
    asynchronous: Asynchronous | None = Field(
        default=None,
        description="a queue before the endpoint, with answers in S3",
        examples=["{s3_output: s3://BUCKET/answers/}"],
    )
    inference_component: InferenceComponent | None = Field(
        default=None,
        description="what each copy of a version is given of the instances",
        examples=["{memory_mb: 1024, copies: 1}"],
    )
    inference_specification: Annotated[str, Check(_specification, schema=texts(_SPECIFICATION))] | None = (
        Field(
            default=None,
            description="name of an additional inference specification that is deployed instead of the main one",
        )
    )
    container_mode: Annotated[_ContainerMode, choice("mode of containers", _ContainerMode)] = Field(
        default="serial",
        description="whether several containers answer one after the other, or each by itself",
    )

    @property
    def hosting_kind(self) -> str:
        """The kind of the endpoint: one of `KINDS`, also where the config leaves it out."""
        return self.kind or ("serverless" if self.serverless is not None else "real-time")

    @property
    def instance_types(self) -> tuple[str, ...]:
        """The instance types that may serve it, those that SageMaker tries first before the others; none if it is serverless."""
        if self.serverless is not None:
            return ()
        pools = sorted(self.instance_pools, key=lambda pool: pool.priority)
        return tuple(pool.instance_type for pool in pools) or ((self.instance_type or ""),)
