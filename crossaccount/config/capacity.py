"""The capacity of endpoints that are not a plain number of instances: pools, scaling, queues, components, and what is measured.

Not here: whether these keys may stand beside others (``kinds``, ``hosting_agreement``).

Source: ProductionVariant, AsyncInferenceConfig, MetricsConfig and CreateInferenceComponent in the SageMaker API reference.
"""

import re
from typing import Annotated, Literal

from pydantic import Field

from crossaccount.config.identifiers import InstanceType, KmsKey, s3_address
from crossaccount.config.values import (
    Check,
    Flag,
    FrozenModel,
    Positive,
    check_text,
    choice,
    fault,
    texts,
    whole,
)
from crossaccount.text import quote

PREFIX_AWARE = "prefix-aware"
_Routing = Literal["least-outstanding-requests", "random", "prefix-aware", "kv-aware"]
Routing = Annotated[_Routing, choice("routing strategy", _Routing)]


_TOPIC = r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]{1,256}"
_RESERVATION = r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]*:[0-9]{12}:[!-~]+"
_IMAGE_VERSION = r"[a-z0-9-]{1,100}"


def _topic(value: object) -> str:
    example = "arn:aws:sns:us-east-1:444455556666:answers"
    text = check_text(value, example)
    if re.fullmatch(_TOPIC, text):
        return text
    raise fault(f"{quote(text)} is not the ARN of an SNS topic. Write it as in {example}.")


def _reservation(value: object) -> str:
    example = "arn:aws:sagemaker:us-east-1:444455556666:training-plan/NAME"
    text = check_text(value, example)
    if 20 <= len(text) <= 258 and re.fullmatch(_RESERVATION, text):
        return text
    raise fault(
        f"{quote(text)} is not the ARN of a capacity reservation of SageMaker. Write it as in {example}."
    )


_INTERVALS = (10, 30, 60, 120, 180, 240, 300)


def _interval(value: object) -> object:
    if value in _INTERVALS and not isinstance(value, bool):
        return value
    raise fault(
        f"{quote(value)} is no interval at which metrics are published. Write one of {', '.join(map(str, _INTERVALS))}, without quotes."
    )


def _image_version(value: object) -> str:
    example = "al2-ami-sagemaker-inference-gpu-2"
    text = check_text(value, example)
    if re.fullmatch(_IMAGE_VERSION, text):
        return text
    raise fault(f"{quote(text)} cannot be the version of an inference AMI. Write it as in {example}.")


SnsTopic = Annotated[str, Check(_topic, schema=texts(_TOPIC))]
CapacityReservation = Annotated[str, Check(_reservation, schema=texts(_RESERVATION, 20, 258))]
InferenceAmi = Annotated[str, Check(_image_version, schema=texts(_IMAGE_VERSION))]


class InstancePool(FrozenModel):
    """One of several instance types that an endpoint may have; SageMaker tries them by priority, 1 first."""

    instance_type: InstanceType = Field(description="instance type of the pool", examples=["ml.g5.xlarge"])
    priority: Annotated[int, whole(1, 5, "priorities")] = Field(
        description="when it is tried; lower numbers first", examples=["1"]
    )


class PrefixRouting(FrozenModel):
    """Routing by the beginning of a request: how much of it counts, and when an instance is too busy for it."""

    length: Annotated[int, whole(1024, 65_536, "bytes")] = Field(
        description="how many bytes from the beginning of a request's body are compared", examples=["4096"]
    )
    concurrency: Annotated[int, whole(1, 1024, "requests")] = Field(
        description="requests under way on an instance at which another gets the next one", examples=["8"]
    )


class ManagedScaling(FrozenModel):
    """The bounds within which SageMaker itself chooses the number of instances; 0 at least with inference components alone."""

    minimum: Annotated[int, whole(0, 100, "instances")] = Field(
        description="smallest number of instances", examples=["1"]
    )
    maximum: Annotated[int, whole(1, 100, "instances")] = Field(
        description="largest number of instances", examples=["4"]
    )


class Metrics(FrozenModel):
    """What SageMaker measures of the endpoint beyond its invocations."""

    detailed: Flag = Field(
        default=True,
        description="whether the container's own /metrics are collected (EnableDetailedObservability), which AWS does for new endpoint configs",
    )
    enhanced: Flag = Field(
        default=False, description="whether metrics come by instance and container (EnableEnhancedMetrics)"
    )
    publish_seconds: Annotated[int, Check(_interval, schema={"enum": _INTERVALS})] | None = Field(
        default=None, description="how often metrics are published"
    )


class Asynchronous(FrozenModel):
    """A queue before the endpoint: requests and answers lie in S3."""

    s3_output: Annotated[str, s3_address("prefix", "s3://BUCKET/answers/")] = Field(
        description="where answers are written", examples=["s3://BUCKET/answers/"]
    )
    s3_failures: Annotated[str, s3_address("prefix", "s3://BUCKET/failures/")] | None = Field(
        default=None, description="where errors of the container are written"
    )
    kms_key: KmsKey | None = Field(default=None, description="key that answers are encrypted under")
    success_topic: SnsTopic | None = Field(default=None, description="SNS topic that is told of answers")
    error_topic: SnsTopic | None = Field(default=None, description="SNS topic that is told of errors")
    max_concurrent: Annotated[int, whole(1, 1000, "requests")] | None = Field(
        default=None,
        description="how many requests an instance is sent at once; SageMaker chooses if it is left out",
    )
    answer_seconds: Annotated[int, whole(1, 3600, "seconds")] = Field(
        default=900, description="how long a question may take from its call to its answer in S3"
    )


class InferenceComponent(FrozenModel):
    """The part of the endpoint's instances that each copy of a version is given."""

    memory_mb: Annotated[int, whole(128, 10_000_000, "megabytes")] = Field(
        description="memory that a copy has at least, in megabytes", examples=["1024"]
    )
    max_memory_mb: Annotated[int, whole(128, 10_000_000, "megabytes")] | None = Field(
        default=None, description="memory that a copy has at most, in megabytes"
    )
    cpu_cores: Positive | None = Field(default=None, description="processor cores of a copy, 0.25 or more")
    accelerators: Positive | None = Field(default=None, description="accelerators of a copy, 1 or more")
    copies: Annotated[int, whole(1, 100, "copies")] = Field(
        default=1, description="number of copies; autoscaling may take it to 0 later"
    )


class Shadow(FrozenModel):
    """The time for which a new version answers beside the live one before it takes over, and on how many instances.

    For that time every call is captured, whatever data_capture.percent says.
    """

    seconds: Annotated[int, whole(0, 86_400, "seconds")] = Field(
        default=0, description="how long it gets a copy of the live traffic beside the questions"
    )
    instance_count: Annotated[int, whole(1, 100, "instances")] = Field(
        default=1, description="number of instances of the shadow variant"
    )
    capture_seconds: Annotated[int, whole(1, 3600, "seconds")] = Field(
        default=300, description="how long its captured answers are waited for afterwards"
    )
