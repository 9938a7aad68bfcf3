"""Container images by their URIs: those of the sandbox's repositories, and those in AWS's own registries.

AWS's own images are not here: a client that asks ECR for one is told that there is none, while CreateModel and endpoints
take it that a repository which AWS has holds every tag.

Source: the data files of sagemaker-core for accounts, regions and names; that they let everyone pull whose own policies
allow it from public reports (aws/sagemaker-python-sdk#2002).
"""

import hashlib
import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distribution
from typing import Any

from moto.ecr.models import ecr_backends

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
    return frozenset(held for path in listed for held in _found(json.loads(path.read_text())))


def _found(node: Any) -> Iterator[tuple[str, str, str]]:
    """Account, region and name, wherever the data says them together."""
    if isinstance(node, dict) and isinstance(node.get("registries"), dict) and "repository" in node:
        for region, account in node["registries"].items():
            yield str(account), region, str(node["repository"])
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _found(inner)


def image_repository(registry: str, region: str, name: str) -> bool:
    """True when the repository exists in that registry."""
    return name in ecr_backends[registry][region].repositories


_IMAGE = re.compile(
    r"(\d{12})\.(?:dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com|dkr-ecr(?:-fips)?\.([a-z0-9-]+)\.on\.aws)"
    r"/([a-z0-9._/-]+?)(?::([\w.-]+))?(?:@(sha256:[0-9a-f]{64}))?"
)


def parse_image(image: str) -> tuple[str, str, str, str] | None:
    """Registry account, region, repository and tag or digest of an ECR image URI; None for anything else."""
    match = _IMAGE.fullmatch(image)
    return (
        None
        if match is None
        else (match[1], match[2] or match[3], match[4], match[6] or match[5] or "latest")
    )


def image_digest(image: str) -> str | None:
    """The digest an image URI stands for now; None when there is no such image.

    AWS's own images are not here: a digest made of the URI stands for theirs.
    """
    parsed = parse_image(image)
    if parsed is not None and holds(*parsed[:3]):
        digest = f"sha256:{hashlib.sha256(image.encode()).hexdigest()}"
        return parsed[3] if parsed[3].startswith("sha256:") else digest
    if parsed is None or not image_repository(parsed[0], parsed[1], parsed[2]):
        return None
    registry, region, name, reference = parsed
    for held in ecr_backends[registry][region].repositories[name].images:
        digest = str(held.get_image_digest())
        if reference in (digest, *held.image_tags):
            return digest
    return None
