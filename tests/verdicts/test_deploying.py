"""A refused deployment names the door that is shut, or says that it cannot tell, and never advises what does nothing."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import commands
from commands import has, with_names
from tables import rows
from worlds import changed

from crossaccount.errors import DoorName


@dataclass(frozen=True)
class Row:
    """A state, and the refusal that is right in it; see the head of the table."""

    state: str
    world: list[list[Any]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    version: int | None = None
    ending: str = ""
    door: str = ""
    account: str = ""
    says: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)


TABLE = rows("deploying.yaml", Row)


@pytest.mark.parametrize("row", TABLE, ids=[row.state for row in TABLE])
def test_the_door_that_is_shut_is_named(shared: Any, row: Row, edited: Any, record_property: Any) -> None:
    with changed(shared, row.world):
        path = edited(**row.config) if row.config else shared.config
        found = commands.deploy(path, version=row.version)
        of_row = with_names(shared)
    assert found.ending == (row.ending or ("refused" if row.door else found.ending)), found.text
    assert not any(shared.hosted("staging").values())
    if row.ending:
        return
    assert found.ending != "made"
    if row.door:
        if found.door == DoorName.UNKNOWN:
            record_property("needless", f"deploy: {row.state}: {row.door}")
        else:
            assert (found.door, found.account) == (row.door, of_row(row.account)), found.text
    # AWS's own words end the text: what they name, they name.
    own, _, _ = found.text.partition("\nAWS said")
    for word in of_row(row.says):
        assert has(own, word), found.text
    for word in of_row(row.silent):
        assert not has(own, word), found.text
