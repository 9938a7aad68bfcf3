"""An endpoint is verified only where it runs the images of the Release."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tables import rows

from crossaccount.hosting.state import deployed_images
from crossaccount.proof.images import images_match
from crossaccount.release.manifest import ReleasedContainer

NAMES = {
    "{own}": "111111111111.dkr.ecr.us-east-1.amazonaws.com/churn",
    "{aws}": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn",
    "{a}": "sha256:" + "a1" * 32,
    "{b}": "sha256:" + "b2" * 32,
}


@dataclass(frozen=True)
class Row:
    """The images of a Release, those that run, and the verdict."""

    state: str
    released: list[list[str | None]]
    runs: list[list[str]]
    verdict: str


TABLE = rows("running.yaml", Row)


def real(text: Any) -> Any:
    for name, value in NAMES.items():
        text = text and text.replace(name, value)
    return text


@pytest.mark.parametrize("row", TABLE, ids=[row.state for row in TABLE])
def test_the_images_that_run_are_those_of_the_release(row: Row) -> None:
    containers = [
        ReleasedContainer(image=real(image), image_digest=real(digest), artifacts=[], specification=None)
        for image, digest in row.released
    ]
    release: Any = SimpleNamespace(deployed_containers=containers)
    deployed = [
        {"SpecifiedImage": real(specified), "ResolvedImage": real(resolved)}
        for specified, resolved in row.runs
    ]
    description = {"ProductionVariants": [{"VariantName": "one", "DeployedImages": deployed}]}
    found = images_match(deployed_images(description), release)
    assert ("verified" if found else "wrong") == row.verdict
