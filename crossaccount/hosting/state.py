"""The state of an endpoint that stays: the version it serves, those it has served, and those that have proved themselves.

The state is read from AWS each time; nothing is remembered. Not here: changing it (``shift``).

Source: DescribeEndpoint, ListEndpointConfigs and AddTags in the SageMaker API reference.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from crossaccount.arns import version_of
from crossaccount.aws.access import Target
from crossaccount.aws.endpoint_status import ANSWERING_NOTHING
from crossaccount.errors import Failed
from crossaccount.hosting.gateway import (
    VERSION_AND_HASH,
    Description,
    Gateway,
    Listed,
    pending_config,
    stages,
)
from crossaccount.hosting.gateways import open_gateway
from crossaccount.hosting.resources import (
    BESIDE_TAG,
    OWNER,
    OWNER_TAG,
    PACKAGE_TAG,
    PROVEN_TAG,
    SHADOW_TAG,
    deployment_name,
    is_of_version,
)


@dataclass(frozen=True)
class LiveEndpoint:
    """An endpoint as it is now.

    ``config`` is the endpoint config that it serves, ``version`` and ``package`` are in that config's tags; ``pending`` is the
    endpoint config that it moves to, ``stages`` how far, as ``VARIANT STATUS``. ``failure_reason`` is AWS's own, and may be
    missing after a failure. ``alarms`` are those of its last deployment. ``proven`` is when its config last proved itself.
    ``ours`` is False for an endpoint that this project did not make. With a shadow variant ``beside`` is the endpoint config that
    the live version has without it; ``proven`` is that one's then. Where versions are moved by an inference component,
    ``component`` is its name, and a model takes the place of each endpoint config, see `component_gateway`. ``config_arn`` is that of
    the endpoint config, ``noted`` the package in the endpoint's own tags, ``deployed`` the images also as its model names them.
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
    beside: str | None = None
    component: str | None = None
    config_arn: str | None = None
    noted: str | None = None
    deployed: tuple["DeployedImage", ...] = ()

    @property
    def own_config(self) -> str | None:
        """The endpoint config that the live version has by itself, without a shadow variant."""
        return self.beside or self.config

    @property
    def answering(self) -> int | None:
        """The version that answers; None when no version does, or a mix of two."""
        return None if self.status in ANSWERING_NOTHING else self.version


@dataclass(frozen=True)
class VersionConfig:
    """An endpoint config of this endpoint: the version behind it, when it was made, and when it last proved itself.

    With a shadow variant ``beside`` is the endpoint config that the version has without it, and ``shadow`` the shadow's version.
    """

    config: str
    version: int
    package: str
    created: datetime
    proven: str | None
    beside: str | None = None
    shadow: int | None = None


def look(target: Target) -> LiveEndpoint | None:
    """The endpoint as it is now; None when there is none.

    Raises:
        ClientError: when AWS refuses.
    """
    gateway = open_gateway(target)
    description = gateway.describe("endpoint", target.consumer.endpoint.name)
    return None if description is None else read(gateway, description)


@dataclass(frozen=True)
class Known:
    """What a run knows of an endpoint that it has just moved: its tags, and the ARN and tags of its endpoint config."""

    tags: Mapping[str, str]
    config_arn: str
    config_tags: Mapping[str, str]


def read(gateway: Gateway, description: Description, known: Known | None = None) -> LiveEndpoint:
    """An endpoint's state, from its description, its tags and those of its endpoint config; what is known is not read again."""
    known = known or _known(gateway, description)
    tags, config_tags = known.tags, known.config_tags
    package = config_tags.get(PACKAGE_TAG) if config_tags.get(OWNER_TAG) == OWNER else None
    beside = config_tags.get(BESIDE_TAG) if package else None
    variants = description.get("ProductionVariants") or []
    rollback = (description.get("LastDeploymentConfig") or {}).get("AutoRollbackConfiguration") or {}
    return LiveEndpoint(
        endpoint=description["EndpointName"],
        arn=description["EndpointArn"],
        status=description["EndpointStatus"],
        config=description.get("EndpointConfigName"),
        version=version_of(package) if package else None,
        package=package,
        proven=_proven(gateway, beside) if beside else config_tags.get(PROVEN_TAG),
        images=running_images(description),
        instances=sum(variant.get("CurrentInstanceCount", 0) for variant in variants),
        failure_reason=(description.get("FailureReason") or "").strip() or None,  # some begin with a blank
        pending=pending_config(description),
        stages=stages(description),
        alarms=tuple(alarm["AlarmName"] for alarm in rollback.get("Alarms") or []),
        ours=tags.get(OWNER_TAG) == OWNER,
        beside=beside,
        component=description.get("InferenceComponentName"),
        config_arn=known.config_arn or None,
        noted=tags.get(PACKAGE_TAG),
        deployed=deployed_images(description),
    )


def _known(gateway: Gateway, description: Description) -> Known:
    config, tags = description.get("EndpointConfigName"), gateway.tags(description["EndpointArn"])
    described = gateway.describe(gateway.record, config) if config else None
    arn = gateway.arn(gateway.record, described) if described else ""
    return Known(tags, arn, gateway.tags(arn) if arn else {})


def _proven(gateway: Gateway, config: str) -> str | None:
    described = gateway.describe("endpoint-config", config)
    return gateway.tags(described["EndpointConfigArn"]).get(PROVEN_TAG) if described else None


def running_images(description: Description) -> tuple[str, ...]:
    """The images that an endpoint runs, by digest, from its description."""
    return tuple(image.resolved for image in deployed_images(description))


@dataclass(frozen=True)
class DeployedImage:
    """An image of an endpoint: as its model names it, and by digest as AWS resolved that; empty where AWS does not say."""

    specified: str
    resolved: str


def deployed_images(
    description: Description,
    kind: Literal["ProductionVariants", "ShadowProductionVariants"] = "ProductionVariants",
) -> tuple[DeployedImage, ...]:
    """The images of an endpoint's variants of one kind, from its description.

    Source: DeployedImage in the SageMaker API reference.
    """
    variants = description.get(kind) or []
    images = [image for variant in variants for image in variant.get("DeployedImages") or []]
    return tuple(
        DeployedImage(image.get("SpecifiedImage", ""), image.get("ResolvedImage", "")) for image in images
    )


def list_configs(
    target: Target, live: LiveEndpoint | None = None, listed: Iterable[Listed] | None = None
) -> tuple[VersionConfig, ...]:
    """Every endpoint config of this endpoint that this tool made, the live one too.

    Those that proved themselves come first, the last to do so before the others; those that never did follow, the newest first.

    Args:
        target: the consumer's account.
        live: the endpoint, if it was just read: the tags of its endpoint config are not read again.
        listed: what `Gateway.list` gives for them, if that was just asked.

    Raises:
        ClientError: when AWS refuses.
    """
    gateway, configs = open_gateway(target), list[VersionConfig]()
    if listed is None:
        listed = gateway.list(gateway.record, target.consumer.endpoint.name, VERSION_AND_HASH)
    for each in listed:
        tags = (_tags_of(live) if live and live.config == each.name else None) or gateway.tags(each.arn)
        if is_of_version(tags, each.version):
            proven, shadow = tags.get(PROVEN_TAG), tags.get(SHADOW_TAG)
            configs.append(
                VersionConfig(
                    each.name,
                    each.version,
                    tags[PACKAGE_TAG],
                    each.created,
                    proven,
                    tags.get(BESIDE_TAG),
                    version_of(shadow) if shadow else None,
                )
            )
    return tuple(sorted(configs, key=lambda config: (config.proven or "", config.created), reverse=True))


def _tags_of(live: LiveEndpoint) -> Mapping[str, str] | None:
    """The tags of a live version's own endpoint config, as far as they matter; None where they are not known."""
    if live.package is None or live.beside is not None:
        return None
    proven = {PROVEN_TAG: live.proven} if live.proven else {}
    return {OWNER_TAG: OWNER, PACKAGE_TAG: live.package, **proven}


def previous_config(target: Target) -> VersionConfig | None:
    """The endpoint config to go back to: the last one that proved itself, of another version than the live one.

    Right after a shift `Shift.before` has the live one before it, which may be the same version with another capacity.
    """
    return previous_of(look(target), list_configs(target))


def as_deployed(target: Target, config: VersionConfig) -> Target:
    """The target, with the specification and the mode of containers that the model of an earlier version was made with.

    Raises:
        ClientError: when AWS refuses.
    """
    gateway = open_gateway(target)
    own = config.config if gateway.record == "model" else deployment_name(target.consumer, config.version)
    model = gateway.describe("model", own)
    if model is None:
        return target
    container: Any = model.get("PrimaryContainer") or next(iter(model.get("Containers") or ()), {})
    direct = (model.get("InferenceExecutionConfig") or {}).get("Mode") == "Direct"
    made = {
        "inference_specification": container.get("InferenceSpecificationName"),
        "container_mode": "direct" if direct else "serial",
    }
    endpoint = target.consumer.endpoint.model_copy(update=made)
    return replace(target, consumer=target.consumer.model_copy(update={"endpoint": endpoint}))


def previous_of(live: LiveEndpoint | None, configs: Sequence[VersionConfig]) -> VersionConfig | None:
    """As `previous_config`, from the live endpoint and its endpoint configs."""
    version = live.version if live else None
    for config in configs:
        sooner = live is None or live.proven is None or (config.proven or "") < live.proven
        if config.proven and config.version != version and sooner:
            return config
    return None


def mark_proven(
    target: Target, config: str, when: datetime | None = None, seen: LiveEndpoint | None = None
) -> LiveEndpoint:
    """Note on an endpoint config, and on its endpoint, that it proved itself; the endpoint then. Its removal: `withdraw_proof`.

    Args:
        target: the consumer's account.
        config: the endpoint config, which must be the one that is live.
        when: the time; now when it is left out.
        seen: the endpoint as it was when it came into service; only that it still serves that is looked at then.

    Raises:
        Failed: when another endpoint config is live.
        ClientError: AWS's refusal.
    """
    gateway, name = open_gateway(target), target.consumer.endpoint.name
    description = gateway.describe("endpoint", name)
    if description is None:
        live = None
    elif seen is not None and description.get("EndpointConfigName") == seen.config:
        live = seen
    else:
        live = read(gateway, description)
    if live is None or live.config != config or live.package is None or live.config_arn is None:
        raise Failed(
            f"{config} proved nothing: the endpoint {name} serves {live.config if live else 'nothing'} now."
        )
    stamp = (when or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="microseconds")
    # The proof comes last: a run that finds it does nothing of the rest again.
    if live.noted != live.package:
        gateway.add_tags(live.arn, {PACKAGE_TAG: live.package})
    gateway.add_tags(live.config_arn, {PROVEN_TAG: stamp})
    return replace(live, noted=live.package, proven=live.proven if live.beside else stamp)


def withdraw_proof(target: Target, config: str) -> None:
    """Take back the note of `mark_proven` on an endpoint config.

    Raises:
        ClientError: when AWS refuses.
    """
    gateway = open_gateway(target)
    description = gateway.describe(gateway.record, config)
    if description is not None:
        gateway.remove_tag(gateway.arn(gateway.record, description), PROVEN_TAG)
