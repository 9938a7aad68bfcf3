"""The page of operations is what the checks themselves say, and leaves none out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from crossaccount_sandbox.checks.operations import known_operations

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "sandbox-operations.md"
COMMAND = [sys.executable, "-m", "crossaccount_sandbox.judge", "--operations"]


@pytest.fixture(scope="module")
def printed() -> str:
    done = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_page_of_operations_is_what_the_command_prints(printed: str) -> None:
    assert PAGE.read_text(encoding="utf-8") == printed, (
        f"run: {' '.join(COMMAND[1:])} > {PAGE.relative_to(ROOT)}"
    )


def test_no_operation_is_left_out(printed: str) -> None:
    sections = {part.partition("\n")[0]: part for part in printed.split("\n## ")[1:]}
    assert sections.keys() == known_operations().keys()
    for service, operations in known_operations().items():
        assert [name for name in operations if f"\n| {name} | " not in sections[service]] == []


@pytest.mark.parametrize(
    "row",
    [
        "| GetCallerIdentity | none | | |",
        "|  | `sts:TagSession` | `arn:aws:iam::ACCOUNT:role/PATH/ROLE` | `aws:RequestTag/KEY`,",
        "| AttachRolePolicy | `iam:AttachRolePolicy` | `arn:aws:iam::ACCOUNT:role/PATH/ROLE` |",
        "| BatchDescribeModelPackage | `sagemaker:BatchDescribeModelPackage` |",
        "|  | `kms:CreateAlias` | `arn:aws:kms:REGION:ACCOUNT:key/KEY_ID` |",
        "model-package-group/GROUP` or `arn:aws:sagemaker:REGION:ACCOUNT:model-package/GROUP/*` |",
    ],
)
def test_a_row_says_actions_resources_and_keys(printed: str, row: str) -> None:
    assert row in printed


def test_the_page_names_no_machine_and_no_account(printed: str) -> None:
    assert "123456789012" not in printed
    assert "us-east-1" not in printed
