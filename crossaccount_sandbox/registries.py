"""AWS's own image registries: which repositories they hold, and who may pull from them.

Their images are not here: a client that asks ECR for one is told that there is none, while CreateModel and endpoints
take it that a repository which AWS has holds every tag.

Source: the data files of sagemaker-core for accounts, regions and names; that they let everyone pull whose own policies
allow it from public reports (aws/sagemaker-python-sdk#2002).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distribution
from typing import Any

PULL_ACTIONS = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
_EVERYONE_PULLS = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": [f"ecr:{action}" for action in PULL_ACTIONS],
            "Resource": "*",
        }
    ],
}


def holds(registry: str, region: str, repository: str) -> bool:
    """True when AWS has this repository in this registry, an account of 12 digits, and region."""
    return (registry, region, repository) in _repositories()


def policy_of(repository_arn: str) -> dict[str, Any] | None:
    """The policy of a repository of AWS's own; None for any other."""
    _, _, _, region, registry, resource = repository_arn.split(":", 5)
    return _EVERYONE_PULLS if holds(registry, region, resource.removeprefix("repository/")) else None


@cache
def _repositories() -> frozenset[tuple[str, str, str]]:
    files = distribution("sagemaker-core").files or ()
    listed = [path for path in files if path.match("sagemaker/core/image_uri_config/*.json")]
    return frozenset(found for path in listed for found in _found(json.loads(path.read_text())))


def _found(node: Any) -> Iterator[tuple[str, str, str]]:
    """Account, region and name, wherever the data says them together."""
    if isinstance(node, dict) and isinstance(node.get("registries"), dict) and "repository" in node:
        for region, account in node["registries"].items():
            yield str(account), region, str(node["repository"])
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _found(inner)
