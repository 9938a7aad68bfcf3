"""Tables of verdicts as files have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml

Row = TypeVar("Row")


def rows(name: str, kind: type[Row]) -> list[Row]:
    """The rows of a file of this folder; a TypeError for a row with another member than the kind has."""
    read: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name(name).read_text())
    return [kind(**each) for each in read]
