"""Commands that are printed for a person are those that the person can type: the program and the config as they were called."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from crossaccount import called
from crossaccount.cli.examples import EXAMPLES

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
COMMANDS = tuple(EXAMPLES)


@pytest.mark.parametrize(
    ("first", "typed", "name"),
    [
        (".venv/bin/crossaccount", [], ".venv/bin/crossaccount"),
        ("/opt/my tools/crossaccount", [], "'/opt/my tools/crossaccount'"),
        ("/somewhere/crossaccount/__main__.py", ["python3", "-m", "crossaccount"], "python3 -m crossaccount"),
        (
            "/somewhere/crossaccount/__main__.py",
            [".venv/bin/python", "-m", "crossaccount"],
            ".venv/bin/python -m crossaccount",
        ),
        ("/somewhere/other/__main__.py", ["python3", "-m", "other"], "crossaccount"),
        ("/usr/bin/prefect", ["prefect", "worker", "start"], "crossaccount"),
        ("-c", ["python3", "-c", "..."], "crossaccount"),
        ("", [""], "crossaccount"),
    ],
)
def test_the_program_is_named_as_it_was_called(first: str, typed: list[str], name: str) -> None:
    assert called.program(first, typed) == name


def test_a_program_that_the_path_finds_is_named_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed, other = tmp_path / "bin" / "crossaccount", tmp_path / "other" / "crossaccount"
    for file in (installed, other):
        file.parent.mkdir()
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
    monkeypatch.setenv("PATH", str(installed.parent), prepend=os.pathsep)
    assert called.program(str(installed)) == "crossaccount"
    assert called.program(str(other)) == str(other)


@pytest.mark.parametrize(
    ("text", "config", "shown"),
    [
        ("crossaccount share CONFIG, with a config", "a.yaml", "./x share a.yaml, with a config"),
        ("crossaccount plan CONFIG --out FILE.", "my a.yaml", "./x plan 'my a.yaml' --out FILE."),
        ("crossaccount plan CONFIG", None, "./x plan CONFIG"),
        ("Name the config: CONFIG", "a.yaml", "Name the config: CONFIG"),
        ("crossaccount plan b.yaml", "a.yaml", "./x plan b.yaml"),
        ("the stack crossaccount is not there", "a.yaml", "the stack crossaccount is not there"),
        ("role/crossaccount plan", None, "role/crossaccount plan"),
        ("--stack-name crossaccount --template-file", None, "--stack-name crossaccount --template-file"),
        (
            "crossaccount reap b.yaml, or crossaccount deploy",
            None,
            "./x reap b.yaml, or ./x deploy",
        ),
    ],
)
def test_commands_in_a_text_become_those_that_can_be_typed(text: str, config: str | None, shown: str) -> None:
    assert called.as_typed(text, COMMANDS, config, "./x") == shown


def ended(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=cwd)


CALLS = [
    (f"{BIN}/crossaccount",),
    (os.path.relpath(BIN / "crossaccount", ROOT),),
    (sys.executable, "-m", "crossaccount"),
]


@pytest.mark.parametrize("call", CALLS, ids=["absolute", "relative", "module"])
def test_help_and_errors_can_be_pasted_and_json_stays_as_it_is(call: tuple[str, ...]) -> None:
    name = " ".join(call)
    if call[0] == shutil.which("crossaccount"):
        name = "crossaccount"
    assert (
        ended(*call, "plan", "--help")
        .stdout.rstrip()
        .endswith(f"example: {name} plan configs/sandbox.yaml --out plan.json")
    )
    wrong = ("share", "configs/sandbox.yaml", "--plan", "x.json", "--prune")
    said = ended(*call, *wrong)
    assert (said.returncode, said.stderr) == (
        2,
        f"error: --prune belongs to the plan: {name} plan configs/sandbox.yaml --prune --out FILE.\n",
    )
    told = json.loads(ended(*call, *wrong, "--json").stdout)
    assert "crossaccount plan CONFIG --prune" in told["error"]["message"]


def test_what_is_a_file_is_printed_as_it_is() -> None:
    printed = ended(f"{BIN}/crossaccount", "schema").stdout
    assert printed == (ROOT / "configs" / "crossaccount.schema.json").read_text()


MISTYPED = [
    (("plann", "configs/sandbox.yaml"), ["invalid choice: 'plann'. Did you mean plan?", "deploy", "doctor"]),
    (("frobnicate",), ["invalid choice: 'frobnicate'. The commands:"]),
    ((), ["required: COMMAND. The commands:", "sandbox, init, plan", "COMMAND --help"]),
    (
        ("init", "--group", "churn", "--producer", "models"),
        [
            "--region, --consumer: are missing",
            "init CONFIG --group churn --region REGION --producer models --consumer PROFILE",
        ],
    ),
    (
        ("deploy", "configs/sandbox.yaml", "--consumr", "staging"),
        ["usage: crossaccount deploy", "unrecognized arguments: --consumr staging. Did you mean --consumer?"],
    ),
    (
        ("plan", "configs/sandbox.yaml", "--zzz"),
        ["usage: crossaccount plan", "unrecognized arguments: --zzz."],
    ),
    (
        ("deploy", "configs/sandbox.yaml"),
        ["--consumer is missing: name one of the consumers of configs/sandbox.yaml: staging, production."],
    ),
    (
        ("rollback", "configs/sandbox.yaml", "--reason", "x"),
        ["--consumer is missing: name one of the consumers of configs/sandbox.yaml: staging, production."],
    ),
    (
        ("check", "configs/sandbox.yaml", "--consumer", "stagin"),
        ["Did you mean staging?", "staging, production"],
    ),
    (("plan", "configs/sandbx.yaml"), ["no such file. Did you mean configs/sandbox.yaml?", "init write one"]),
    (("plan", "nowhere/at/all.yaml"), ["there is no such file. Give the path"]),
]


@pytest.mark.parametrize(("words", "said"), MISTYPED, ids=lambda value: " ".join(value)[:40])
def test_what_was_mistyped_is_told_with_what_there_is(words: tuple[str, ...], said: list[str]) -> None:
    done = ended(f"{BIN}/crossaccount", *words)
    assert done.returncode == 2
    for each in said:
        assert each in done.stderr, done.stderr


@pytest.mark.parametrize(("region", "meant"), [("us-esat-1", "us-east-1"), ("eu-wets-1", "eu-west-1")])
def test_a_region_whose_letters_changed_places_is_found(tmp_path: Path, region: str, meant: str) -> None:
    given = (ROOT / "configs" / "sandbox.yaml").read_text().replace("us-east-1", region)
    (tmp_path / "c.yaml").write_text(given)
    done = ended(f"{BIN}/crossaccount", "plan", str(tmp_path / "c.yaml"))
    assert (done.returncode, f"Did you mean {meant}?" in done.stderr) == (2, True), done.stderr
