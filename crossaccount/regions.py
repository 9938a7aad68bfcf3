"""Regions, partitions and the domains of their services, from the data that botocore carries. AWS is not asked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any


@dataclass(frozen=True)
class Partition:
    """A partition of AWS: ``suffix`` ends the names of its services' hosts, ``dual_stack`` those that answer over IPv6 too.

    ``pattern`` matches its regions' names, also those that the installed botocore does not list yet.
    """

    name: str
    regions: tuple[str, ...]
    pattern: re.Pattern[str]
    suffix: str
    dual_stack: str

    def has(self, region: str) -> bool:
        """Whether a region lies in it, as far as its name says."""
        return region in self.regions or self.pattern.fullmatch(region) is not None


@lru_cache(maxsize=1)
def all_partitions() -> tuple[Partition, ...]:
    """Every partition that the installed botocore knows."""
    from botocore.loaders import Loader

    loaded: list[dict[str, Any]] = Loader().load_data("partitions")["partitions"]
    return tuple(
        Partition(
            partition["id"],
            tuple(region for region in partition["regions"] if not region.endswith("-global")),
            re.compile(partition["regionRegex"]),
            partition["outputs"]["dnsSuffix"],
            partition["outputs"]["dualStackDnsSuffix"],
        )
        for partition in loaded
    )


@lru_cache(maxsize=1)
def partitions() -> Mapping[str, str]:
    """The partition (aws, aws-cn, aws-us-gov, ...) of each region that the installed botocore knows."""
    return {region: partition.name for partition in all_partitions() for region in partition.regions}
