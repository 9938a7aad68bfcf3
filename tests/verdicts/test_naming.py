"""Which registry, region and repository an image lies in, wherever AWS has one."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tables import rows

from crossaccount.arns import parse_image
from crossaccount.errors import Failed

DIGEST = "a1" * 32


@dataclass(frozen=True)
class Row:
    """An image's address, and where it leads: region, repository, reference; nowhere for one that is not ECR's."""

    image: str
    leads: list[str]


TABLE = rows("naming.yaml", Row)


@pytest.mark.parametrize("row", TABLE, ids=[row.image for row in TABLE])
def test_an_image_leads_to_its_repository_in_every_partition(row: Row) -> None:
    image, leads = (
        row.image.replace("{digest}", DIGEST),
        [each.replace("{digest}", DIGEST) for each in row.leads],
    )
    if not leads:
        with pytest.raises(Failed, match="Amazon ECR"):
            parse_image(image)
        return
    found = parse_image(image)
    assert [found.registry, found.region, found.repository, found.reference] == ["111111111111", *leads]
