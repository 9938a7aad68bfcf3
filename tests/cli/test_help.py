"""What a person types first: help with an example that is true, the version, and what a shell completes."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from crossaccount.cli import arguments
from crossaccount.cli import main as cli
from crossaccount.cli.examples import EXAMPLES
from crossaccount.config import schema

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command."""
    (found,) = (
        action
        for action in arguments.make_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return dict(found.choices)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    return ended.value.code or 0, capsys.readouterr().out


@pytest.mark.parametrize("name", commands())
def test_an_example_of_a_command_is_one_that_it_takes(name: str) -> None:
    words = shlex.split(EXAMPLES[name].partition(" > ")[0])
    assert words[:2] == ["crossaccount", name]
    assert arguments.parse(words[1:]).command == name


@pytest.mark.parametrize("name", sorted(set(commands()) - {"sandbox"}))
def test_help_ends_with_the_example_in_one_line_and_is_as_wide_as_the_terminal(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    widths = []
    for columns in ("50", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        code, text = said(capsys, name, "--help")
        *lines, last = text.rstrip("\n").split("\n")
        assert (code, last) == (0, f"example: {EXAMPLES[name]}")
        below_usage = lines[lines.index("") :]  # where options that exclude each other stay in one line
        widths.append(max(map(len, below_usage)))
    assert widths[0] <= 50 < widths[1]


def test_there_is_an_example_for_each_command_and_no_other() -> None:
    assert set(EXAMPLES) == set(commands())


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--version") == (0, f"crossaccount {version('crossaccount-model-deployment')}\n")


def test_the_schema_is_printed_as_it_is_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "schema") == (0, schema.text())
    code, text = said(capsys, "schema", "--json")
    assert (code, json.loads(text)["schema"]) == (0, schema.json_schema())


def test_a_reader_that_goes_away_is_no_error() -> None:
    shell = f"{BIN}/crossaccount schema | head -c 10; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


# Completion


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with the project's configs, where shells look for nothing of this machine's user."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    return tmp_path


def shell(home: Path, *command: str) -> str:
    env = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(home), "TERM": "xterm"}
    ended = subprocess.run(
        command, env=env, cwd=home, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


_IN_BASH = """
source <(crossaccount completion bash)
complete -p crossaccount >/dev/null || exit 1
function=$(complete -p crossaccount | sed -E 's/.*-F ([^ ]+).*/\\1/')
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9 COMP_KEY=9
read -ra COMP_WORDS <<< "$1"
[[ $1 == *' ' ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
$function crossaccount "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
LINES = [
    ("crossaccount pro", {"promote"}),
    ("crossaccount deploy configs/sandbox.yaml --cons", {"--consumer"}),
    ("crossaccount deploy configs/sandbox.yaml --consumer ", {"staging", "production"}),
    ("crossaccount check configs/sandbox.yaml --consumer s", {"staging"}),
    ("crossaccount completion ", {"bash", "zsh", "fish"}),
    ("crossaccount plan configs/sand", {"configs/sandbox.yaml", "configs/sandbox-workers.yaml"}),
]


@pytest.mark.parametrize(("line", "meant"), LINES, ids=[line for line, _ in LINES])
def test_bash_completes(line: str, meant: set[str], home: Path) -> None:
    found = {
        word.strip() for word in shell(home, "bash", "--norc", "-c", _IN_BASH, "bash", line).splitlines()
    }
    assert meant <= found
    assert found - meant <= {"--json", "--help"}


def test_a_config_that_cannot_be_read_completes_no_consumer(home: Path) -> None:
    for config in ("configs/ghost.yaml", "configs/crossaccount.schema.json", "configs"):
        found = shell(
            home, "bash", "--norc", "-c", _IN_BASH, "bash", f"crossaccount deploy {config} --consumer "
        )
        assert "staging" not in found


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish here: apt-get install fish")
def test_fish_completes(home: Path) -> None:
    shown = shell(
        home,
        "fish",
        "--no-config",
        "-c",
        f"crossaccount completion fish | source; complete -C '{LINES[2][0]}'",
    )
    assert {line.split("\t")[0] for line in shown.splitlines()} >= LINES[2][1]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here: apt-get install zsh")
def test_zsh_takes_the_script_and_binds_it(home: Path) -> None:
    script = 'autoload -Uz compinit; compinit -u; eval "$(crossaccount completion zsh)"; print -r -- $_comps[crossaccount]'
    assert re.fullmatch(
        r"_\w*crossaccount\w*|_python_argcomplete", shell(home, "zsh", "-f", "-c", script).strip()
    )


def test_completion_costs_the_start_nothing() -> None:
    program = "import sys; from crossaccount.cli import main, arguments; arguments.make_parser(); sys.exit('argcomplete' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
