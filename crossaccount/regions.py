"""Regions and their partitions, from the data that botocore carries. AWS is not asked."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1)
def partitions() -> Mapping[str, str]:
    """The partition (aws, aws-cn, aws-us-gov, ...) of each region that the installed botocore knows."""
    from botocore.loaders import Loader

    loaded: list[dict[str, Any]] = Loader().load_data("partitions")["partitions"]
    return {
        region: partition["id"]
        for partition in loaded
        for region in partition["regions"]
        if not region.endswith("-global")
    }
