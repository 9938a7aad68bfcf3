"""An endpoint that stays: it is made once, moves from version to version, goes back, and what it no longer needs goes.

The endpoint has the name that the config gives it, its models are called NAME-vN, its endpoint configs NAME-vN-HHHH, where
HHHH stands for what the config says: another capacity is another config. What a run finds is what it goes on from; nothing
is remembered. Not here: which version, whether its answers are right (``smoke``), and what a caller does when they are not.

Source: UpdateEndpoint, DescribeEndpoint (EndpointStatus) and DeploymentConfig in the SageMaker API reference; "Deployment
guardrails" and "Serverless Inference" in the developer guide; DescribeAlarms in the CloudWatch API reference.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import ClientError

from crossaccount import serving
from crossaccount.arns import parse_image, version_of
from crossaccount.errors import Conflict, Failed, InputError, NotLive
from crossaccount.serving import KEEP_TAG, OWNER, OWNER_TAG, PACKAGE_TAG, VARIANT, Made, Removal

if TYPE_CHECKING:
    import boto3

    from crossaccount.config.endpoint import Endpoint
    from crossaccount.config.model import ConsumerConfig, Sharing
    from crossaccount.release import Release

PROVEN_TAG = "crossaccount:proven"
IN_PROGRESS = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")
_LONGEST_NAME = 63  # botocore, sagemaker: EndpointConfigName
_GLANCES = 3  # how often AWS must say what would end a wait before it is believed: its reads may lag behind its writes
_FIRST_LOOK = 1.0
_HOST_SECONDS = 3600.0  # for instances to come up and go, beside what the guardrails wait

Progress = Callable[[str, tuple[str, ...], float], None]


def _silent(status: str, stages: tuple[str, ...], seconds: float) -> None:
    """Progress that nobody wants to hear of."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for an endpoint, and how often to look: first after `first` seconds, then ever less often."""

    seconds: float = _HOST_SECONDS
    first: float = 1.0
    longest: float = 15.0


@dataclass(frozen=True)
class Live:
    """An endpoint as it is now.

    ``config`` is the endpoint config that it serves, ``version`` and ``package`` what that was made from, as its tags say;
    ``pending`` is the one that it moves to, ``stages`` how far, as ``VARIANT STATUS``. ``failure_reason`` is AWS's own, and
    may be missing after a failure. ``alarms`` are those of its last deployment. ``proven`` is when its config last proved
    itself. ``ours`` is False for an endpoint that this project did not make.
    """

    endpoint: str
    arn: str
    status: str
    config: str | None
    version: int | None
    package: str | None
    proven: str | None
    images: tuple[str, ...]
    instances: int
    failure_reason: str | None
    pending: str | None
    stages: tuple[str, ...]
    alarms: tuple[str, ...]
    ours: bool


@dataclass(frozen=True)
class Shift:
    """What an endpoint was asked to become: ``config``; what it was ``before``; what was made or found for it."""

    endpoint: str
    config: str
    before: Live | None
    made: tuple[Made, ...]
    action: Literal["created", "updated", "in progress", "nothing"]


class Ending(StrEnum):
    """The closed set of what can become of a shift."""

    LIVE = "live"
    ROLLED_BACK = "rolled-back"
    CREATION_FAILED = "creation-failed"
    ROLLBACK_FAILED = "rollback-failed"
    OUT_OF_SERVICE = "out-of-service"
    SYSTEM_UPDATING = "system-updating"
    TIMED_OUT = "timed-out"
    GONE = "gone"


@dataclass(frozen=True)
class Outcome:
    """How a shift to ``config`` ended, with the endpoint as it was seen last; None when it is gone."""

    ending: Ending
    endpoint: str
    config: str
    live: Live | None
    seconds: float

    @property
    def version(self) -> int | None:
        """The version that answers requests; None when none does, or two do."""
        silent = (Ending.CREATION_FAILED, Ending.OUT_OF_SERVICE, Ending.GONE, Ending.ROLLBACK_FAILED)
        creating = self.live is None or self.live.status in ("Creating", "Deleting")
        return None if creating or self.ending in silent or self.live is None else self.live.version

    @property
    def text(self) -> str:
        """What happened, what is live, and what next, in a sentence or two."""
        return _told(self)


@dataclass(frozen=True)
class Earlier:
    """An endpoint config of this endpoint: the version behind it, when it was made, and when it last proved itself."""

    config: str
    version: int
    package: str
    created: datetime
    proven: str | None


# Looking.


def look(session: boto3.Session, sharing: Sharing, consumer: ConsumerConfig) -> Live | None:
    """The endpoint as it is now; None when there is none.

    Args:
        session: in the deployer role.
        sharing: for the region.
        consumer: whose endpoint.

    Raises:
        ClientError: when AWS refuses.
    """
    client = _client(session, sharing)
    found = _describe(client, consumer.endpoint.name)
    return None if found is None else _live(client, found)


def _client(session: boto3.Session, sharing: Sharing) -> Any:
    return serving.client_of(session, sharing.region)


def _describe(client: Any, name: str) -> dict[str, Any] | None:
    return _absent(lambda: client.describe_endpoint(EndpointName=name))


def _describe_config(client: Any, name: str) -> dict[str, Any] | None:
    return _absent(lambda: client.describe_endpoint_config(EndpointConfigName=name))


def _absent(get: Callable[[], Any]) -> Any | None:
    """What is there; None for SageMaker's way of saying that nothing is."""
    try:
        return get()
    except ClientError as error:
        if _is_missing(error):
            return None
        raise


def _is_missing(error: ClientError) -> bool:
    said = error.response["Error"]
    return said["Code"] == "ValidationException" and said["Message"].startswith("Could not find")


def _tags(client: Any, arn: str) -> dict[str, str]:
    pages = client.get_paginator("list_tags").paginate(ResourceArn=arn)
    return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}


def _live(client: Any, found: Mapping[str, Any]) -> Live:
    config, tags = found.get("EndpointConfigName"), _tags(client, found["EndpointArn"])
    described = _describe_config(client, config) if config else None
    of_config = _tags(client, described["EndpointConfigArn"]) if described else {}
    package = of_config.get(PACKAGE_TAG) if of_config.get(OWNER_TAG) == OWNER else None
    variants = found.get("ProductionVariants") or []
    images = [image for one in variants for image in one.get("DeployedImages") or []]
    rollback = (found.get("LastDeploymentConfig") or {}).get("AutoRollbackConfiguration") or {}
    return Live(
        endpoint=found["EndpointName"],
        arn=found["EndpointArn"],
        status=found["EndpointStatus"],
        config=config,
        version=version_of(package) if package else None,
        package=package,
        proven=of_config.get(PROVEN_TAG),
        images=tuple(image.get("ResolvedImage", "") for image in images),
        instances=sum(one.get("CurrentInstanceCount", 0) for one in variants),
        failure_reason=found.get("FailureReason"),
        pending=_pending(found),
        stages=_stages(found),
        alarms=tuple(one["AlarmName"] for one in rollback.get("Alarms") or []),
        ours=tags.get(OWNER_TAG) == OWNER,
    )


def _pending(found: Mapping[str, Any]) -> str | None:
    return (found.get("PendingDeploymentSummary") or {}).get("EndpointConfigName")


def _stages(found: Mapping[str, Any]) -> tuple[str, ...]:
    variants = (found.get("PendingDeploymentSummary") or {}).get("ProductionVariants") or []
    return tuple(
        f"{one['VariantName']} {stage['Status']}"
        for one in variants
        for stage in (one.get("VariantStatus") or [])[-1:]
    )


def _watch(
    client: Any, name: str, patience: Patience, progress: Progress
) -> Iterator[tuple[dict[str, Any] | None, float]]:
    """An endpoint's descriptions, ever less often, with the seconds waited; the last one when the time is up."""
    started = time.monotonic()
    while True:
        found = _describe(client, name)
        waited = time.monotonic() - started
        progress(found["EndpointStatus"] if found else "gone", _stages(found or {}), waited)
        yield found, waited
        if waited >= patience.seconds:
            return
        pause = serving.pause(waited, patience.first, patience.longest)
        time.sleep(max(0.0, min(pause, patience.seconds - waited)))


def patience(consumer: ConsumerConfig) -> Patience:
    """How long a shift may take: an hour for instances, and what the config's guardrails wait beside."""
    wanted = consumer.endpoint.deployment
    size = wanted.linear_percent or wanted.batch_percent
    steps = math.ceil(100 / size) if size else 2
    waits = steps * wanted.wait_seconds + wanted.termination_wait_seconds
    return Patience(_HOST_SECONDS + max(waits, wanted.maximum_seconds or 0), first=_FIRST_LOOK)


# Before anything is made.


def check(consumer: ConsumerConfig, release: Release) -> None:
    """Refuse what AWS would refuse, or would make a promise empty, as far as config and Release show it.

    Raises:
        Failed: for a serverless endpoint of another account's image or of several containers.
        InputError: for a name that has no room for the version.
    """
    config_name(consumer, release)
    if consumer.endpoint.serverless is None:
        return
    containers = release.deployed_containers
    if len(containers) > 1:
        raise Failed(
            f"Version {release.version} has {len(containers)} containers, and a serverless endpoint takes one. Write instance_type and "
            "instance_count instead of endpoint.serverless."
        )
    for container in containers:
        if (owner := parse_image(container.image).registry) == release.producer_account:
            raise Failed(
                f"The image {container.image} lies in account {owner}, and a serverless endpoint takes no image of another account's "
                f"registry. Write instance_type and instance_count instead of endpoint.serverless, or have the image copied to "
                f"{consumer.account}."
            )


def check_alarms(session: boto3.Session, sharing: Sharing, consumer: ConsumerConfig) -> None:
    """See that every alarm that is to roll an update back is there: one that is not would never ring.

    Raises:
        Failed: with those that are missing.
        ClientError: when CloudWatch refuses.
    """
    names = list(consumer.endpoint.deployment.alarms)
    if not names:
        return
    client = session.client("cloudwatch", sharing.region)
    kinds = ["MetricAlarm", "CompositeAlarm"]
    pages = client.get_paginator("describe_alarms").paginate(AlarmNames=names, AlarmTypes=kinds)
    found = {
        alarm["AlarmName"]
        for page in pages
        for alarm in [*page.get("MetricAlarms", []), *page.get("CompositeAlarms", [])]
    }
    if missing := [name for name in names if name not in found]:
        raise Failed(
            f"Account {consumer.account} has no CloudWatch alarm {', '.join(missing)} in {sharing.region}. Make it, or correct "
            "endpoint.deployment.alarms."
        )


# Models and endpoint configs.


def config_name(consumer: ConsumerConfig, release: Release) -> str:
    """The name of the endpoint config of a version with the capacity that the config asks for now.

    Raises:
        InputError: when it would be longer than SageMaker allows.
    """
    said = json.dumps(_config_says(consumer, release), sort_keys=True)
    name = f"{serving.deployment_name(consumer, release.version)}-{hashlib.sha256(said.encode()).hexdigest()[:4]}"
    if len(name) > _LONGEST_NAME:
        raise InputError(
            f"The endpoint config would be called {name}, which is longer than {_LONGEST_NAME} characters. Choose a shorter endpoint.name."
        )
    return name


def _config_says(consumer: ConsumerConfig, release: Release) -> dict[str, Any]:
    """CreateEndpointConfig's parameters, without name and tags."""
    wanted = consumer.endpoint
    variant: dict[str, Any] = {
        "VariantName": VARIANT,
        "ModelName": serving.deployment_name(consumer, release.version),
    }
    if wanted.serverless is not None:
        variant["ServerlessConfig"] = {
            "MemorySizeInMB": wanted.serverless.memory_mb,
            "MaxConcurrency": wanted.serverless.max_concurrency,
        }
    else:
        variant |= {"InstanceType": wanted.instance_type, "InitialInstanceCount": wanted.instance_count}
    says: dict[str, Any] = {"ProductionVariants": [variant]}
    if wanted.kms_key is not None:
        says["KmsKeyId"] = wanted.kms_key
    if wanted.data_capture is not None:
        says["DataCaptureConfig"] = {
            "EnableCapture": True,
            "InitialSamplingPercentage": wanted.data_capture.percent,
            "DestinationS3Uri": wanted.data_capture.s3_uri,
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        }
    return says


def ensure_config(
    session: boto3.Session, sharing: Sharing, consumer: ConsumerConfig, release: Release
) -> Made:
    """The endpoint config of a version: found from an earlier run, or created. Its removal: `discard`, `retire`.

    Raises:
        Conflict: when one of that name says something else, or was made by someone else.
        ClientError: AWS's refusal.
    """
    client, name = _client(session, sharing), config_name(consumer, release)
    says = _config_says(consumer, release)
    tags = _tag_list(serving.tag_values(release.model_package_arn, keep=True))
    made, found = dict[str, str](), _describe_config(client, name)
    if found is None:
        made, found = serving.made_or_found(
            lambda: client.create_endpoint_config(EndpointConfigName=name, Tags=tags, **says),
            lambda: client.describe_endpoint_config(EndpointConfigName=name),
        )
    if found is None:
        return Made("endpoint-config", name, made["EndpointConfigArn"], reused=False, keep=True)
    tags_found = _tags(client, found["EndpointConfigArn"])
    ours = (tags_found.get(OWNER_TAG), tags_found.get(PACKAGE_TAG)) == (OWNER, release.model_package_arn)
    if not ours or not _agrees(found, says):
        raise Conflict(
            f"The endpoint config {name} exists, and was not made by this tool for version {release.version} as the config has it. Delete "
            "or rename it, or choose another endpoint.name."
        )
    return Made("endpoint-config", name, found["EndpointConfigArn"], reused=True, keep=True)


def _agrees(found: Any, says: Any) -> bool:
    """True when all that is said is found; AWS may add what nobody said."""
    if isinstance(says, dict):
        return isinstance(found, dict) and all(_agrees(found.get(key), one) for key, one in says.items())
    if isinstance(says, list):
        return len(found or []) == len(says) and all(map(_agrees, found, says))
    return bool(found == says)


def _tag_list(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


# Moving.


def shift(
    session: boto3.Session,
    sharing: Sharing,
    consumer: ConsumerConfig,
    release: Release,
    patience: Patience,
    progress: Progress = _silent,
) -> Shift:
    """Begin to move the endpoint to a version, with the guardrails of the config; `settle` says how it ends.

    It is created if there is none, and anew if its creation failed. A change that is under way is waited for first, unless it
    is this very one. Model and endpoint config are made, or found from a run that died. Their removal: `discard`, `retire`.

    Args:
        session: in the deployer role.
        sharing: the config.
        consumer: the consumer.
        release: of the version.
        patience: how long to wait for a change that is under way.
        progress: is told AWS's status, the variants' stages and the seconds waited, at every look.

    Raises:
        Failed: for what `check` and `check_alarms` refuse, and for an endpoint that stays in a change, cannot be updated to this,
            or has lost its own endpoint config. Nothing was asked of the endpoint then.
        Conflict: for an endpoint, model or endpoint config of that name that is not this tool's.
        ClientError: AWS's refusal.
    """
    check(consumer, release)
    check_alarms(session, sharing, consumer)
    client, wanted = _client(session, sharing), config_name(consumer, release)
    before = _calm(client, consumer, patience, progress, wanted)
    if before is not None and before.status in IN_PROGRESS:
        return Shift(before.endpoint, wanted, before, (), "in progress")
    _check_kind(client, consumer, before)
    model = serving.ensure_model(session, consumer, release, keep=True)
    config = ensure_config(session, sharing, consumer, release)
    guard = deployment_config(consumer.endpoint)
    package = release.model_package_arn
    if config.reused and (before is None or before.config != wanted):
        _withdraw(client, wanted)  # what it proved the last time says nothing about this time
    action = _point(session, sharing, consumer, before, wanted, package, guard, patience, progress)
    return Shift(consumer.endpoint.name, wanted, before, (model, config), action)


def _calm(
    client: Any, consumer: ConsumerConfig, patience: Patience, progress: Progress, wanted: str | None
) -> Live | None:
    """The endpoint once it is in no change, or in the change to what is wanted; None when there is none.

    Raises:
        Conflict: when it is not this tool's.
        Failed: when it is still in a change after all that time.
    """
    name = consumer.endpoint.name
    found: dict[str, Any] | None = None
    for found, _ in _watch(client, name, patience, progress):
        if found is None:
            return None
        coming = found["EndpointStatus"] in ("Creating", "Updating") and wanted is not None
        to_wanted = coming and wanted in (_pending(found), _creating(found))
        if to_wanted or found["EndpointStatus"] not in IN_PROGRESS:
            return _claimed(_live(client, found))
    assert found is not None
    raise Failed(
        f"The endpoint {name} is still {found['EndpointStatus']} after {patience.seconds:.0f} s, and cannot be changed before that ends. "
        "Run this again later."
    )


def _creating(found: Mapping[str, Any]) -> str | None:
    return found.get("EndpointConfigName") if found["EndpointStatus"] == "Creating" else None


def _claimed(live: Live) -> Live:
    if not live.ours:
        raise Conflict(
            f"The endpoint {live.endpoint} exists and was not made by this tool. Delete or rename it, or choose another endpoint.name."
        )
    return live


def _check_kind(client: Any, consumer: ConsumerConfig, before: Live | None) -> None:
    """Refuse a step between instances and serverless: AWS takes neither back.

    Raises:
        Failed: for such a step.
    """
    if before is None or before.status == "Failed" or before.config is None:
        return
    found = _describe_config(client, before.config)
    was = found is not None and "ServerlessConfig" in found["ProductionVariants"][0]
    if found is not None and was != (consumer.endpoint.serverless is not None):
        raise Failed(
            f"The endpoint {before.endpoint} {'is' if was else 'is not'} serverless, and an endpoint cannot change that and be changed "
            "back. Choose another endpoint.name."
        )


def deployment_config(wanted: Endpoint) -> dict[str, Any] | None:
    """UpdateEndpoint's DeploymentConfig; None where nothing is asked for that AWS does not do by itself."""
    asked = wanted.deployment
    plain = asked.type == "all-at-once" and not (
        asked.wait_seconds or asked.termination_wait_seconds or asked.maximum_seconds or asked.alarms
    )
    if plain or wanted.serverless is not None:
        return None
    limit = {"MaximumExecutionTimeoutInSeconds": asked.maximum_seconds} if asked.maximum_seconds else {}
    made: dict[str, Any] = {}
    if asked.type == "rolling":
        batch = _percent(asked.batch_percent)
        made["RollingUpdatePolicy"] = {
            "MaximumBatchSize": batch,
            "WaitIntervalInSeconds": asked.wait_seconds,
            **limit,
        }
    else:
        routing: dict[str, Any] = {
            "Type": asked.type.upper().replace("-", "_"),
            "WaitIntervalInSeconds": asked.wait_seconds,
        }
        if asked.type == "canary":
            routing["CanarySize"] = _percent(asked.canary_percent)
        if asked.type == "linear":
            routing["LinearStepSize"] = _percent(asked.linear_percent)
        made["BlueGreenUpdatePolicy"] = {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": asked.termination_wait_seconds,
            **limit,
        }
    if asked.alarms:
        made["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": name} for name in asked.alarms]}
    return made


def _percent(value: int | None) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def _point(
    session: boto3.Session,
    sharing: Sharing,
    consumer: ConsumerConfig,
    now: Live | None,
    wanted: str,
    package: str,
    guard: dict[str, Any] | None,
    patience: Patience,
    progress: Progress,
) -> Literal["created", "updated", "in progress", "nothing"]:
    """Ask the endpoint to become what is wanted, from whatever it is; a change that AWS began meanwhile is waited for."""
    client, name = _client(session, sharing), consumer.endpoint.name
    deadline = time.monotonic() + patience.seconds
    while True:
        if now is not None and now.status in IN_PROGRESS:
            return "in progress"
        if now is not None and now.status == "InService" and now.config == wanted:
            return "nothing"
        if now is not None and now.status == "Failed":
            serving.delete_endpoint(session, sharing.region, name, patience.seconds)
            now = None
        try:
            if now is None:
                if _describe_config(client, wanted) is None:
                    raise Failed(f"The endpoint config {wanted} was deleted. Run this again.")
                tags = _tag_list(serving.tag_values(package, keep=True))
                client.create_endpoint(EndpointName=name, EndpointConfigName=wanted, Tags=tags)
                return "created"
            _update(client, consumer, now, wanted, guard)
            return "updated"
        except ClientError as error:
            if not _came_between(error) or time.monotonic() >= deadline:
                raise
            time.sleep(patience.first)
        now = _calm(client, consumer, patience, progress, wanted)


def _came_between(error: ClientError) -> bool:
    """True when somebody else, or AWS itself, changed the endpoint between a look and the call.

    CreateEndpoint may also not see yet an endpoint config that was just described: its reads lag behind.
    """
    texts = (
        "Cannot update in-progress endpoint",
        "Cannot create already existing endpoint",
        "Could not find endpoint configuration",
    )
    return str(error.response["Error"]["Message"]).startswith(texts)


def _update(
    client: Any, consumer: ConsumerConfig, now: Live, wanted: str, guard: dict[str, Any] | None
) -> None:
    old, new = _describe_config(client, now.config or ""), _describe_config(client, wanted)
    if old is None or new is None:
        missing = now.config if old is None else wanted
        raise Failed(
            f"The endpoint {now.endpoint} cannot be updated: the endpoint config {missing} was deleted, and AWS wants the old one and the "
            "new one. Create it again under that name, or delete the endpoint."
        )
    more: dict[str, Any] = {"DeploymentConfig": guard} if guard else {}
    if consumer.endpoint.retain_variant_properties and consumer.endpoint.serverless is None:
        # What is retained is what the endpoint has, not what the config says: what the config changed is not retained.
        excluded = ["DataCaptureConfig"]
        before, after = (one["ProductionVariants"][0].get("InitialInstanceCount") for one in (old, new))
        excluded += ["DesiredInstanceCount"] if before != after else []
        more["RetainAllVariantProperties"] = True
        more["ExcludeRetainedVariantProperties"] = [{"VariantPropertyType": one} for one in excluded]
    client.update_endpoint(EndpointName=now.endpoint, EndpointConfigName=wanted, **more)


def roll_back(
    session: boto3.Session,
    sharing: Sharing,
    consumer: ConsumerConfig,
    to: str,
    patience: Patience,
    progress: Progress = _silent,
) -> Shift:
    """Begin to move the endpoint back to an endpoint config that it had; `settle` says how it ends.

    All at once and unwatched: the alarms of what is left may be ringing. What is left has no proof any more.

    Args:
        session: in the deployer role.
        sharing: the config.
        consumer: the consumer.
        to: name of the endpoint config, see `previous` and `Shift.before`.
        patience: how long to wait for a change that is under way.
        progress: as for `shift`.

    Raises:
        Failed: when there is no such endpoint config of this tool, its model is gone, or as for `shift`.
        Conflict: when the endpoint is not this tool's.
        ClientError: AWS's refusal.
    """
    client = _client(session, sharing)
    known = {one.config: one for one in earlier(session, sharing, consumer)}
    if to not in known:
        raise Failed(
            f"The endpoint {consumer.endpoint.name} cannot go back to {to}: this tool has no such endpoint config. There are: "
            f"{', '.join(known) or 'none'}."
        )
    model = serving.deployment_name(consumer, known[to].version)
    if _absent(lambda: client.describe_model(ModelName=model)) is None:
        raise Failed(
            f"The endpoint cannot go back to {to}: its model {model} is gone. Promote that version again."
        )
    before = _calm(client, consumer, patience, progress, to)
    if before is not None and before.config not in (None, to):
        _withdraw(client, before.config)
    package = known[to].package
    action = _point(session, sharing, consumer, before, to, package, None, patience, progress)
    return Shift(consumer.endpoint.name, to, before, (), action)


def withdraw(session: boto3.Session, sharing: Sharing, config: str) -> None:
    """Take back what `mark_proven` noted on an endpoint config: it has not proved itself after all.

    Raises:
        ClientError: when AWS refuses.
    """
    _withdraw(_client(session, sharing), config)


def _withdraw(client: Any, config: str | None) -> None:
    found = _describe_config(client, config) if config else None
    if found is not None:
        client.delete_tags(ResourceArn=found["EndpointConfigArn"], TagKeys=[PROVEN_TAG])


# How it ended.


def settle(
    session: boto3.Session,
    sharing: Sharing,
    consumer: ConsumerConfig,
    wanted: str,
    patience: Patience,
    progress: Progress = _silent,
) -> Outcome:
    """Wait until an endpoint serves what it was asked to, or does not come to, and say which.

    Args:
        session: in the deployer role.
        sharing: for the region.
        consumer: whose endpoint.
        wanted: the endpoint config that it was asked to serve, see `Shift.config`.
        patience: how long to wait.
        progress: as for `shift`.

    Raises:
        ClientError: when AWS refuses to be asked.
    """
    client, name = _client(session, sharing), consumer.endpoint.name
    seen: list[Ending | None] = []
    for at_last in _watch(client, name, patience, progress):
        found, seconds = at_last
        seen.append(_ending(found, wanted))
        if _is_sure(seen):
            break
    last = seen[-1]
    if last is None:
        status = found["EndpointStatus"] if found else ""
        last = Ending.SYSTEM_UPDATING if status == "SystemUpdating" else Ending.TIMED_OUT
    return Outcome(last, name, wanted, _live(client, found) if found else None, seconds)


def _ending(found: Mapping[str, Any] | None, wanted: str) -> Ending | None:
    """What an endpoint's description means for a shift; None while it may still become something else."""
    if found is None:
        return Ending.GONE
    match found["EndpointStatus"]:
        case "InService":
            return Ending.LIVE if found["EndpointConfigName"] == wanted else Ending.ROLLED_BACK
        case "Failed":
            return Ending.CREATION_FAILED
        case "UpdateRollbackFailed":
            return Ending.ROLLBACK_FAILED
        case "OutOfService":
            return Ending.OUT_OF_SERVICE
        case _:  # in a change; a status that AWS adds one day is one to wait in
            return None


def _is_sure(seen: Sequence[Ending | None]) -> bool:
    """False for what AWS may say because its reads lag behind: the state from before the call, right after it."""
    last = seen[-1]
    if last is None:
        return False
    at_once = last is Ending.LIVE or (None in seen and last is not Ending.GONE)
    return at_once or list(seen[-_GLANCES:]) == [last] * _GLANCES


def accepted(outcome: Outcome) -> Live:
    """The endpoint, if it came to serve what it was asked to.

    Raises:
        NotLive: otherwise, with how it ended and the version that is live.
    """
    if outcome.ending is Ending.LIVE and outcome.live is not None:
        return outcome.live
    raise NotLive(str(outcome.ending), outcome.endpoint, outcome.version, outcome.text)


def _told(outcome: Outcome) -> str:
    name, live = outcome.endpoint, outcome.live
    reason = f"AWS says: {live.failure_reason}" if live and live.failure_reason else "AWS gives no reason."
    serves = f"version {live.version}" if live and live.version else "something that this tool did not make"
    logs = f"the log group /aws/sagemaker/Endpoints/{name}"
    match outcome.ending:
        case Ending.LIVE:
            return f"The endpoint {name} serves {serves} ({outcome.config})."
        case Ending.ROLLED_BACK:
            now = live.config if live else None
            return f"AWS rolled the endpoint {name} back: {serves} is live ({now}), not {outcome.config}. {reason}"
        case Ending.CREATION_FAILED:
            return f"The endpoint {name} is Failed and serves nothing. {reason} Look at {logs}."
        case Ending.ROLLBACK_FAILED:
            return (
                f"The endpoint {name} could be moved neither to {outcome.config} nor back, and serves a mix of both. {reason} Roll it back "
                "to a version that proved itself."
            )
        case Ending.OUT_OF_SERVICE:
            return (
                f"The endpoint {name} is OutOfService and answers nothing. {reason} Update it, or delete it."
            )
        case Ending.SYSTEM_UPDATING:
            return (
                f"AWS has been patching the endpoint {name} (SystemUpdating) for {outcome.seconds:.0f} s, and it cannot be changed "
                f"meanwhile; {serves} is live. Run this again later."
            )
        case Ending.GONE:
            return f"The endpoint {name} is gone: someone deleted it while it was being waited for."
        case Ending.TIMED_OUT:
            return _told_late(outcome, serves, logs)


def _told_late(outcome: Outcome, serves: str, logs: str) -> str:
    status = outcome.live.status if outcome.live else "unknown"
    late = f"The endpoint {outcome.endpoint} is still {status} after {outcome.seconds:.0f} s"
    if status == "Creating":
        return f"{late}, and serves nothing. Its container may be crash-looping: look at {logs}."
    if status in ("Updating", "RollingBack"):
        return (
            f"{late}; {serves} still answers. The new container may be crash-looping: look at {logs}. The next run goes on from "
            "there."
        )
    return f"{late}. Run this again later."


# Proof, and what was before.


def mark_proven(
    session: boto3.Session,
    sharing: Sharing,
    consumer: ConsumerConfig,
    config: str,
    when: datetime | None = None,
) -> None:
    """Note on an endpoint config, and on its endpoint, that it proved itself; its removal: `roll_back` from it.

    Args:
        session: in the deployer role.
        sharing: for the region.
        consumer: whose endpoint.
        config: the endpoint config, which must be the one that is live.
        when: the time; now when it is left out.

    Raises:
        Failed: when something else is live.
        ClientError: AWS's refusal.
    """
    client, live = _client(session, sharing), look(session, sharing, consumer)
    described = _describe_config(client, config)
    if live is None or live.config != config or live.package is None or described is None:
        raise Failed(
            f"{config} proved nothing: the endpoint {consumer.endpoint.name} serves {live.config if live else 'nothing'} now."
        )
    stamp = (when or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="microseconds")
    # The proof comes last: whoever finds it takes everything else for done.
    client.add_tags(ResourceArn=live.arn, Tags=_tag_list({PACKAGE_TAG: live.package}))
    client.add_tags(ResourceArn=described["EndpointConfigArn"], Tags=_tag_list({PROVEN_TAG: stamp}))


def earlier(session: boto3.Session, sharing: Sharing, consumer: ConsumerConfig) -> tuple[Earlier, ...]:
    """Every endpoint config of this endpoint that this tool made, the one that proved itself last first.

    Those that never did come after, the newest first. The live one is among them.
    """
    client = _client(session, sharing)
    found = []
    for name, summary in _listed(client, "endpoint_configs", "EndpointConfig", consumer, "-[0-9a-f]{4}"):
        tags = _tags(client, summary["EndpointConfigArn"])
        if _is_of_version(tags, name.version):
            found.append(
                Earlier(
                    name.text, name.version, tags[PACKAGE_TAG], summary["CreationTime"], tags.get(PROVEN_TAG)
                )
            )
    return tuple(sorted(found, key=lambda one: (one.proven or "", one.created), reverse=True))


@dataclass(frozen=True)
class _Name:
    text: str
    version: int


def _listed(
    client: Any, what: str, kind: str, consumer: ConsumerConfig, end: str
) -> Iterator[tuple[_Name, dict[str, Any]]]:
    """What AWS lists of a kind under this endpoint's names, NAME-vN and then ``end``."""
    begin = f"{consumer.endpoint.name}-v"
    pattern = re.compile(rf"{re.escape(begin)}([0-9]{{1,9}}){end}")
    for page in client.get_paginator(f"list_{what}").paginate(NameContains=begin):
        for summary in page[f"{kind}s"]:
            if match := pattern.fullmatch(summary[f"{kind}Name"]):
                yield _Name(match[0], int(match[1])), summary


def _is_of_version(tags: Mapping[str, str], version: int) -> bool:
    package = tags.get(PACKAGE_TAG, "")
    return tags.get(OWNER_TAG) == OWNER and package.rpartition("/")[2] == str(version)


def previous(session: boto3.Session, sharing: Sharing, consumer: ConsumerConfig) -> Earlier | None:
    """What to go back to: the last endpoint config that proved itself, of another version than the live one.

    Right after a shift `Shift.before` says what was live before, be it the same version with another capacity.
    """
    live = look(session, sharing, consumer)
    return _previous(live, earlier(session, sharing, consumer))


def _previous(live: Live | None, known: Sequence[Earlier]) -> Earlier | None:
    version = live.version if live else None
    for one in known:
        sooner = live is None or live.proven is None or (one.proven or "") < live.proven
        if one.proven and one.version != version and sooner:
            return one
    return None


# Removal. The live endpoint config is never removed: the endpoint is looked at before each one.


def discard(
    session: boto3.Session,
    sharing: Sharing,
    consumer: ConsumerConfig,
    release: Release,
    patience: Patience,
    progress: Progress = _silent,
) -> tuple[Removal, ...]:
    """Remove what a `shift` to a version made, if it came to nothing: a failed endpoint, the endpoint config, the model.

    A change that is under way is waited for first. What is live, on its way to be, proven, or used by another endpoint config
    stays. What cannot be removed is reported as left.

    Raises:
        Conflict: when the endpoint is not this tool's.
        ClientError: when AWS refuses to be asked.
    """
    client, config = _client(session, sharing), config_name(consumer, release)
    removals: list[Removal] = []
    try:
        live = _calm(client, consumer, patience, progress, None)
    except Failed as error:
        return (Removal("endpoint-config", config, "left", str(error)),)
    if live is not None and live.status == "UpdateRollbackFailed":
        why = "the endpoint serves a mix, and a part of it may run on this"
        return (Removal("endpoint-config", config, "kept", why),)
    if live is not None and live.status == "Failed":
        removals.append(_removed_endpoint(session, sharing, consumer.endpoint.name, patience))
    known = {one.config: one for one in earlier(session, sharing, consumer)}
    if config in known and known[config].proven:
        removals.append(Removal("endpoint-config", config, "kept", "it proved itself"))
    elif config in known:
        removals.append(_removed_config(client, consumer, config))
    removals += _removed_models(client, consumer, only=release.version)
    return tuple(removals)


def retire(
    session: boto3.Session,
    sharing: Sharing,
    consumer: ConsumerConfig,
    patience: Patience,
    trials: bool = True,
) -> tuple[Removal, ...]:
    """Remove what the endpoint no longer needs, and say of everything whether it was removed, kept or left.

    Kept are the live endpoint config, the one that the endpoint moves to, the previous one that proved itself, the last of
    each of the ``keep_versions`` versions that proved themselves before, and the models of all of these. Temporary endpoints
    that a run left when it died go too, with ``trials``. Only what carries this tool's tags, under this endpoint's names, is ever removed:
    artifacts, images and packages never are.

    Raises:
        Conflict: when the endpoint is not this tool's.
        ClientError: when AWS refuses to be asked.
    """
    client = _client(session, sharing)
    removals = _ended_trials(session, sharing, consumer, patience) if trials else []
    live = look(session, sharing, consumer)
    if live is not None:
        _claimed(live)
    known = earlier(session, sharing, consumer)
    kept = _kept(live, known, consumer.endpoint.keep_versions)
    for one in known:
        if one.config in kept:
            removals.append(Removal("endpoint-config", one.config, "kept", kept[one.config]))
        else:
            removals.append(_removed_config(client, consumer, one.config))
    removals += _removed_models(client, consumer)
    return tuple(removals)


def take_down(
    session: boto3.Session,
    sharing: Sharing,
    consumer: ConsumerConfig,
    patience: Patience,
    progress: Progress = _silent,
) -> Removal:
    """Remove an endpoint whose version never proved itself, such as one whose first version answered wrong.

    A change that is under way is waited for first. One that proved itself stays: `roll_back` moves it. What it served is
    removed by `discard`.

    Raises:
        Conflict: when it is not this tool's.
        ClientError: when AWS refuses to be asked.
    """
    name = consumer.endpoint.name
    try:
        live = _calm(_client(session, sharing), consumer, patience, progress, None)
    except Failed as error:
        return Removal("endpoint", name, "left", str(error))
    if live is not None and live.proven:
        return Removal("endpoint", name, "kept", f"{live.config} proved itself")
    return _removed_endpoint(session, sharing, name, patience)


def _kept(live: Live | None, known: Sequence[Earlier], versions: int) -> dict[str, str]:
    """The endpoint configs that stay, and why."""
    before = _previous(live, known)
    lasting: dict[int, str] = {}
    for one in known:
        if one.proven and (live is None or one.version != live.version) and len(lasting) < versions:
            lasting.setdefault(one.version, one.config)
    kept = dict.fromkeys(lasting.values(), f"one of the last {versions} versions that proved themselves")
    kept |= {before.config: "the previous one that proved itself"} if before else {}
    kept |= {live.pending: "the endpoint moves to it"} if live and live.pending else {}
    kept |= {live.config: "it is live"} if live and live.config else {}
    return kept


def _removed_config(client: Any, consumer: ConsumerConfig, config: str) -> Removal:
    now = _describe(client, consumer.endpoint.name) or {}
    if config in (now.get("EndpointConfigName"), _pending(now)):
        return Removal("endpoint-config", config, "kept", "it is live")
    return _removal(
        "endpoint-config", config, lambda: client.delete_endpoint_config(EndpointConfigName=config)
    )


def _removed_models(client: Any, consumer: ConsumerConfig, only: int | None = None) -> list[Removal]:
    """Remove the models that no endpoint config under this endpoint's names uses."""
    used = {
        name.version
        for name, _ in _listed(client, "endpoint_configs", "EndpointConfig", consumer, "(?:-[0-9a-f]{4})?")
    }
    removals = []
    for name, summary in _listed(client, "models", "Model", consumer, ""):
        if only not in (None, name.version) or not _is_of_version(
            _tags(client, summary["ModelArn"]), name.version
        ):
            continue
        if name.version in used:
            removals.append(Removal("model", name.text, "kept", "an endpoint config uses it"))
        else:
            removals.append(_removal("model", name.text, _deletion(client, name.text)))
    return removals


def _deletion(client: Any, model: str) -> Callable[[], Any]:
    return lambda: client.delete_model(ModelName=model)


def _removal(kind: serving.Kind, name: str, delete: Callable[[], Any]) -> Removal:
    try:
        delete()
    except ClientError as error:
        return Removal(kind, name, "gone") if _is_missing(error) else Removal(kind, name, "left", str(error))
    return Removal(kind, name, "removed")


def _removed_endpoint(session: boto3.Session, sharing: Sharing, name: str, patience: Patience) -> Removal:
    try:
        there = serving.delete_endpoint(session, sharing.region, name, patience.seconds)
    except (ClientError, Failed) as error:
        return Removal("endpoint", name, "left", str(error))
    return Removal("endpoint", name, "removed" if there else "gone")


# A trial: the version on a temporary endpoint of one instance, before the endpoint itself is touched.


def trial(consumer: ConsumerConfig) -> ConsumerConfig:
    """The consumer with the capacity of a trial: one instance, and no captured calls."""
    small = consumer.endpoint.model_copy(update={"instance_count": 1, "data_capture": None})
    return consumer.model_copy(update={"endpoint": small})


def begin_trial(
    session: boto3.Session,
    sharing: Sharing,
    consumer: ConsumerConfig,
    release: Release,
    patience: Patience,
    flow_run: str | None = None,
) -> Made:
    """Bring a version up on a temporary endpoint, NAME-vN; its removal: `end_trial`, and `discard` for the model.

    What a run that died left of it is found, and taken over by ``flow_run``, whose tag it has. It may still be Creating:
    `serving.wait_in_service` waits for it.

    Raises:
        Failed, Conflict, ClientError: as `shift` does.
    """
    check(consumer, release)
    small = trial(consumer)
    serving.ensure_model(session, consumer, release, keep=True)
    serving.ensure_endpoint_config(session, small, release, keep=False, flow_run=flow_run)
    return serving.ensure_endpoint(session, small, release, False, patience.seconds, flow_run)


def end_trial(
    session: boto3.Session, sharing: Sharing, consumer: ConsumerConfig, release: Release, patience: Patience
) -> tuple[Removal, ...]:
    """Remove a trial's endpoint and endpoint config, even if its beginning failed; the model stays.

    One that somebody deployed to keep, by the same name, stays.

    Raises:
        ClientError: when AWS refuses to be asked.
    """
    return tuple(_ended_trials(session, sharing, consumer, patience, only=release.version))


def _ended_trials(
    session: boto3.Session,
    sharing: Sharing,
    consumer: ConsumerConfig,
    patience: Patience,
    only: int | None = None,
) -> list[Removal]:
    client, made = _client(session, sharing), list[Made]()
    for name, summary in _listed(client, "endpoint_configs", "EndpointConfig", consumer, ""):
        if only in (None, name.version):
            made += _leftover(client, "endpoint-config", name, summary["EndpointConfigArn"])
            found = _describe(client, name.text)
            made += _leftover(client, "endpoint", name, found["EndpointArn"]) if found else []
    return list(serving.remove(session, sharing.region, made, patience.seconds))


def _leftover(client: Any, kind: serving.Kind, name: _Name, arn: str) -> list[Made]:
    tags = _tags(client, arn)
    mine = _is_of_version(tags, name.version) and tags.get(KEEP_TAG) == "false"
    return [Made(kind, name.text, arn, reused=True, keep=False)] if mine else []
