"""The page of the first day: five values are typed, and every further command is one that ``init`` has printed."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def first_day(made_up: Any) -> Any:
    return made_up((ROOT / "docs" / "first-day.md").read_text(encoding="utf-8"))


def _commands(page: Any) -> list[str]:
    fences = [fence for fence in page.fences if (fence.language, fence.mark) == ("sh", "runnable")]
    return [line.removeprefix(".venv/bin/") for fence in fences for line in fence.lines]


def test_at_most_six_values_are_typed(first_day: Any) -> None:
    init = next(each for each in _commands(first_day) if each.startswith("crossaccount init"))
    typed = {word for word in shlex.split(init)[2:] if not word.startswith("--")}
    assert typed == {"churn.yaml", "churn", "us-east-1", "bare-01", "bare-02"}


def test_what_is_run_after_init_is_what_init_printed(first_day: Any) -> None:
    commands = _commands(first_day)
    start = next(place for place, each in enumerate(commands) if each.startswith("crossaccount init"))
    run = [each.removeprefix("env -u PREFECT_API_URL .venv/bin/") for each in commands[start + 1 :]]
    steps = [
        each.partition("  #")[0].strip().removesuffix(" --yes")
        for each in run
        if each.startswith(("aws", "crossaccount"))
    ]
    printed = next(fence.lines for fence in first_day.fences if "next:" in fence.lines)
    after = [line.strip().removeprefix(".venv/bin/") for line in printed[printed.index("next:") + 1 :]]
    assert steps[: len(after)] == after


def test_the_command_in_the_place_of_the_aws_cli_takes_what_it_takes_and_no_more(tmp_path: Path) -> None:
    program = [sys.executable, str(Path(__file__).with_name("aws_by_boto3.py"))]
    for words in (["s3", "ls"], ["cloudformation", "deploy", "--profile", "x"]):
        ended = subprocess.run([*program, *words], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert ended.returncode == 2, ended.stderr
