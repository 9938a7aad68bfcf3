"""The resources of a deployment, as plain data: their kinds, names and tags, and what became of each.

Everything made carries one name, derived from the consumer's endpoint and the version, and tags that say whose it is, so a
rerun finds its own work and nothing else is ever removed. Not here: any call to AWS (``gateway``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from crossaccount.config.model import ConsumerConfig

HostingKind = Literal["model", "endpoint-config", "endpoint"]
KINDS: tuple[HostingKind, ...] = ("model", "endpoint-config", "endpoint")  # in the order they are made
VARIANT = "AllTraffic"
OWNER_TAG, PACKAGE_TAG, KEEP_TAG = (
    "crossaccount:managed-by",
    "crossaccount:model-package",
    "crossaccount:keep",
)
RUN_TAG, SINCE_TAG, PROVEN_TAG = "crossaccount:flow-run", "crossaccount:taken-over", "crossaccount:proven"
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
class Removal:
    """What became of a resource at the end: removed, kept, already gone, or left with the reason."""

    kind: HostingKind
    name: str
    outcome: Literal["removed", "kept", "gone", "left"]
    reason: str = ""


def deployment_name(consumer: ConsumerConfig, version: int) -> str:
    """The name of model, endpoint config and endpoint of one version: at most 63 characters."""
    return f"{consumer.endpoint.name}-v{version}"


def tag_values(package: str, keep: bool, flow_run: str | None = None) -> dict[str, str]:
    """The tags of everything that is made from a package: whose it is, of which package, and whether it stays.

    What does not stay has the flow run that made it, where it was made in one: see ``leftovers``.
    """
    run = {RUN_TAG: flow_run} if flow_run is not None and not keep else {}
    return {OWNER_TAG: OWNER, PACKAGE_TAG: package, KEEP_TAG: str(keep).lower(), **run}


def is_of_version(tags: Mapping[str, str], version: int) -> bool:
    """Whether the tags are this tool's, for a package of that version."""
    return tags.get(OWNER_TAG) == OWNER and tags.get(PACKAGE_TAG, "").rpartition("/")[2] == str(version)


def is_temporary(tags: Mapping[str, str]) -> bool:
    """Whether the tags are this tool's, for what goes when its run ends."""
    return tags.get(OWNER_TAG) == OWNER and tags.get(KEEP_TAG) == "false"
