"""What plan, share and revoke say of a world before they write, and that a plan which is refused has written nothing."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import commands
from commands import KIND, Said, with_names
from tables import rows
from worlds import BUCKET, DEPLOYER, GROUP, artifact, changed, named

from crossaccount.policy import documents

SEVERITIES = ["note", "warning", "error"]


@dataclass(frozen=True)
class Row:
    """A state, the command, and what it says; see the head of the table."""

    state: str
    command: str
    world: list[list[Any]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    what: dict[str, Any] = field(default_factory=dict)
    ending: list[str] = field(default_factory=list)
    says: list[list[str]] = field(default_factory=list)
    silent: list[list[str]] = field(default_factory=list)
    documents: dict[str, int] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    room: str = ""
    standing: list[list[str]] = field(default_factory=list)
    loses: list[list[str]] = field(default_factory=list)
    keeps_access: list[list[str]] = field(default_factory=list)
    keeps: list[int] = field(default_factory=list)
    reads_release: int | None = None


TABLE = rows("sharing.yaml", Row)


def run(row: Row, config: Any) -> Said:
    if row.command == "revoke":
        return commands.revoke(config, **named(row.what))
    return {"plan": commands.plan, "share": commands.share}[row.command](config)


@pytest.fixture
def path(shared: Any, request: pytest.FixtureRequest) -> Any:
    """The config of a row."""
    row: Row = request.getfixturevalue("row")
    return request.getfixturevalue("edited")(**row.config) if row.config else shared.config


@pytest.mark.parametrize("row", TABLE, ids=[f"{row.command}: {row.state}" for row in TABLE])
def test_what_is_in_the_way_is_told_before_anything_is_written(shared: Any, row: Row, path: Any) -> None:
    with changed(shared, row.world):
        said = told_only(shared, row, path)
        of_row = with_names(shared)
    if row.ending:
        assert said.ending in row.ending, said.text
    for severity, *words in of_row(row.says):
        found = said.severities(words)
        assert found & set(SEVERITIES[SEVERITIES.index(severity) :]), f"not told: {words} in {said.findings}"
    for severity, *words in of_row(row.silent):
        assert not said.severities(words) & set(SEVERITIES[SEVERITIES.index(severity) :]), said.findings
    changes = said.data.get("changes", [])
    if said.ending == "planned":
        for kind, count in row.documents.items():
            assert len([one for one in changes if KIND[one["kind"]] == kind]) == count
    for resource in of_row(row.changed):
        assert [one["verb"] for one in changes if one["resource"] == resource] == ["update"]
    for account, door, answer in of_row(row.standing):
        assert said.standing(account, door) == {answer}, said.data["standing"]
    for account, kind in of_row(row.loses):
        assert said.loses(account, kind), said.text
    for account, kind in of_row(row.keeps_access):
        assert not said.loses(account, kind), said.text
    if row.room:
        assert [room_is_right(one) for one in changes if KIND[one["kind"]] == row.room] == [True]


def told_only(aws: Any, row: Row, path: Any) -> Said:
    """What the command says; where a share does not end as one, it has left every document as it was."""
    if row.command != "share":
        return run(row, path)
    with aws.restored():
        before = aws.documents()
        said = run(row, path)
        assert said.ending == "shared" or aws.documents() == before
        reader = aws.role("staging", DEPLOYER, "s3")
        for version in row.keeps:
            reader.get_object(**artifact(version))
        if row.reads_release is not None:
            reader.get_object(Bucket=BUCKET, Key=f"releases/{GROUP}/{row.reads_release}.json")
    return said


def room_is_right(change: dict[str, Any]) -> bool:
    """Whether the room said is within a tenth of what more accounts take in our statements of the document."""
    ours = [
        one
        for one in change["desired"]["Statement"]
        if re.fullmatch(r"CrossAccount[A-Z][a-z]+\w{16}", one.get("Sid", ""))
    ]
    each = len(ours) * len('"arn:aws:iam::222222222222:root",')
    room = (change["limit"] - documents.size(change["desired"])) // each
    return abs(change["room_for_consumers"] - room) <= max(2, room // 10)
