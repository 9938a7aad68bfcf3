"""The resources of a deployment, as plain data: their kinds, names and tags, and the fate of each.

Every resource has a name derived from the consumer's endpoint and the version, and tags with its owner, so a rerun
finds its own work and nothing else is ever removed. Not here: any call to AWS (``gateway``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from crossaccount.config.kinds import COMPONENTS
from crossaccount.config.model import ConsumerConfig

HostingKind = Literal["model", "endpoint-config", "endpoint", "inference-component"]
# In the order they are made; the last one for an endpoint of inference components alone.
KINDS: tuple[HostingKind, ...] = ("model", "endpoint-config", "endpoint", "inference-component")
VARIANT, SHADOW = "AllTraffic", "Shadow"
OWNER_TAG, PACKAGE_TAG = "crossaccount:managed-by", "crossaccount:model-package"
KEEP_TAG, RUN_TAG = "crossaccount:keep", "crossaccount:flow-run"
SINCE_TAG, PROVEN_TAG = "crossaccount:taken-over", "crossaccount:proven"
# Of an endpoint config with a shadow variant: the endpoint config of the live version, and the shadow's model package.
BESIDE_TAG, SHADOW_TAG = "crossaccount:beside", "crossaccount:shadow"
OWNER = "crossaccount"


@dataclass(frozen=True)
class HostedResource:
    """A resource of a deployment: whether it was found from an earlier run, and whether it stays when the run ends."""

    kind: HostingKind
    name: str
    arn: str
    reused: bool
    keep: bool


@dataclass(frozen=True)
class Fate:
    """The fate of a resource: an outcome of `Removal`, or young, in use, or (on a dry run) would be removed."""

    kind: HostingKind
    name: str
    outcome: str
    reason: str = ""

    def __str__(self) -> str:
        """In a line."""
        return f"{self.kind} {self.name}: {self.outcome}{f' ({self.reason})' if self.reason else ''}"


@dataclass(frozen=True)
class Removal(Fate):
    """The fate of a resource that was to be removed: removed, kept, already gone, or left with the reason."""

    outcome: Literal["removed", "kept", "gone", "left"]


def kinds_of(consumer: ConsumerConfig) -> tuple[HostingKind, ...]:
    """The kinds of resources that a deployment for this consumer is made of, in the order they are made."""
    return KINDS if consumer.endpoint.hosting_kind == COMPONENTS else KINDS[:-1]


def deployment_name(consumer: ConsumerConfig, version: int) -> str:
    """The name of model, endpoint config, endpoint and inference component of one version: at most 63 characters."""
    return f"{consumer.endpoint.name}-v{version}"


def tag_values(package: str, keep: bool, flow_run: str | None = None) -> dict[str, str]:
    """The tags of a resource: its owner, its package, whether it stays, and the flow run of one that does not (``leftovers``)."""
    run = {RUN_TAG: flow_run} if flow_run is not None and not keep else {}
    return {OWNER_TAG: OWNER, PACKAGE_TAG: package, KEEP_TAG: str(keep).lower(), **run}


def gone(endpoint: str, when: str) -> str:
    """The message about an endpoint that is not there any more."""
    return f"The endpoint {endpoint} is gone: someone deleted it {when}."


def log_group(endpoint: str, component: str | None) -> str:
    """Where AWS puts what the containers print, in a few words; ``component`` is the inference component that runs them, if one does."""
    place = f"InferenceComponents/{component}" if component else f"Endpoints/{endpoint}"
    return f"the log group /aws/sagemaker/{place}"


def is_of_version(tags: Mapping[str, str], version: int) -> bool:
    """Whether the tags are this tool's, of a resource made from that version."""
    return tags.get(OWNER_TAG) == OWNER and tags.get(PACKAGE_TAG, "").rpartition("/")[2] == str(version)


def is_temporary(tags: Mapping[str, str]) -> bool:
    """Whether the tags are this tool's, of a resource that goes when its run ends."""
    return tags.get(OWNER_TAG) == OWNER and tags.get(KEEP_TAG) == "false"
