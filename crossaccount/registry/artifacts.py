"""Artifacts and images as a version names them, and the registry that an image lies in.

Not here: what S3 and ECR have of them (``sharing.artifacts``).

Source: ModelDataSource in the SageMaker API reference; AWS's own image registries from the data files of sagemaker-core.
"""

import json
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import distribution
from typing import Any

from crossaccount.arns import Image, parse_s3
from crossaccount.config.model import Sharing
from crossaccount.errors import Failed, Obstacle


@dataclass(frozen=True)
class Artifact:
    """One artifact location of a container: an object, or everything under a prefix (``is_prefix``).

    ``etag`` is the one that the registry recorded, if it recorded one. ``fault`` says why a location is none that a bucket's policy
    opens; such a one has neither bucket nor key. ``lists`` is the prefix whose objects a manifest names; empty for what is none.
    """

    uri: str
    bucket: str
    key: str
    is_prefix: bool
    etag: str | None = None
    fault: str = ""
    lists: str = field(default="", compare=False)

    @property
    def folder(self) -> str:
        """The key up to and with its last slash; empty at the bucket's root."""
        return self.key[: self.key.rfind("/") + 1]


def artifact_at(uri: str, is_prefix: bool, etag: str | None = None) -> Artifact:
    """An artifact by its location as the registry has it; with a fault where that is not in a bucket of S3."""
    try:
        bucket, key = parse_s3(uri)
    except Failed as failed:
        return Artifact(uri, "", "", is_prefix, fault=str(failed))
    return Artifact(uri, bucket, key, is_prefix, etag.strip('"') if etag and not is_prefix else None)


def check_registry(sharing: Sharing, image: Image) -> bool:
    """Whether an image lies in the producer's registry, and needs a grant there; False for one in a registry of AWS.

    Raises:
        Obstacle: for an image in a third account's registry, or in another region.
    """
    if image.region != sharing.region:
        raise Obstacle(
            f"repository {image.repository}",
            f"It lies in {image.region}, and SageMaker in {sharing.region} cannot pull from there.",
            "Replicate it, and register the version with the replica.",
        )
    if image.registry == sharing.producer.account:
        return True
    if image.registry in aws_registries():
        return False
    raise Obstacle(
        f"repository {image.repository}",
        f"It lies in account {image.registry}, which is neither the producer nor AWS.",
        f"Its owner must share it, or copy the image into a repository of {sharing.producer.account}.",
    )


@cache
def aws_registries() -> frozenset[str]:
    """The accounts of AWS's own image registries, from the data files of sagemaker-core."""
    files = [
        path
        for path in distribution("sagemaker-core").files or ()
        if path.match("sagemaker/core/image_uri_config/*.json")
    ]
    accounts: set[str] = set()

    def collect(node: dict[str, Any]) -> dict[str, Any]:
        if isinstance(registries := node.get("registries"), dict):
            accounts.update(map(str, registries.values()))
        return node

    for path in files:
        json.loads(path.read_text(), object_hook=collect)
    return frozenset(accounts)
