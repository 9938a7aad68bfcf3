"""The command itself says what the tables say: its text, its object, its exit code."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from worlds import OUTSIDER, STAGING, changed

from crossaccount.cli.main import main

ROLE = f"arn:aws:iam::{STAGING}:role/crossaccount-deployer"
BLOCKED = [
    ["public access unblocked"],
    ["theirs", "bucket", {"Principal": "*", "Action": "s3:GetObject"}],
    ["public access blocked", "BlockPublicPolicy"],
]


def told(capfd: Any, *words: str) -> tuple[int, str]:
    """The exit code and the output of a command, run in this process."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0), capfd.readouterr().out


@pytest.mark.parametrize(
    ("world", "words", "code", "members"),
    [
        ([], ["plan"], 0, {"changes", "writes", "findings", "standing", "hash"}),
        ([["theirs", "bucket", {"Principal": {"AWS": ROLE}}]], ["plan"], 0, {"standing"}),
        ([["deny", "group", STAGING]], ["plan"], 0, {"findings"}),
        ([], ["revoke", "--consumer", "staging", "--dry-run"], 0, {"revoked", "changes", "standing"}),
        ([], ["revoke", "--account", OUTSIDER, "--dry-run"], 0, {"revoked", "standing"}),
        (BLOCKED, ["revoke", "--all", "--dry-run"], 1, {"error"}),
    ],
)
def test_the_command_ends_so_and_has_these_members(
    shared: Any, capfd: Any, world: list[Any], words: list[str], code: int, members: set[str]
) -> None:
    name, *options = words
    with changed(shared, world):
        ended, out = told(capfd, name, str(shared.config), *options, "--json")
    assert ended == code, out
    assert members <= json.loads(out).keys()


def test_a_role_that_others_let_in_does_not_lose_access(shared: Any, capfd: Any) -> None:
    words = ["revoke", str(shared.config), "--consumer", "staging", "--dry-run"]
    with changed(shared, [["theirs", kind, {"Principal": {"AWS": ROLE}}] for kind in ("bucket", "group")]):
        _, said = told(capfd, *words, "--json")
        ended, text = told(capfd, *words)
    assert ended == 0
    open_ = {
        each["door"]
        for each in json.loads(said)["standing"]
        if each["answer"] == "still open" and each["account"] == STAGING
    }
    assert open_ == {"bucket", "registry"}
    assert text.count(f"loses access: {STAGING}") == 2, "the repository and the key"
