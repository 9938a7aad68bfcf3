"""What the config and this machine show to be wrong is said before anything is started, once, and is bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from crossaccount.cli.main import main

CONFIG = Path(__file__).parents[2] / "configs" / "sandbox.yaml"
NO = "this machine has no AWS profile"
STARTS = 0  # in place of an exit code: nothing is amiss, and a flow would be started


class Started(Exception):
    """A Prefect server would be started."""


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> Any:
    """Runs a command on a machine with these profiles: its exit code, or `STARTS`, and its error object."""

    def prepare() -> None:
        raise Started

    def run(profiles: str, *words: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        (tmp_path / "aws").write_text("".join(f"[profile {name}]\n" for name in profiles.split()))
        with pytest.raises((SystemExit, Started)) as ended:
            main([*words, "--json"])
        if isinstance(ended.value, Started):
            return STARTS, {}
        out, err = capsys.readouterr()
        assert "starting a temporary one" not in err
        return int(ended.value.code or 0), json.loads(out)["error"]

    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY_ID", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws"))
    (tmp_path / "none").write_text("")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setattr("crossaccount.cli.prefect_server.prepare", prepare)
    return run


def written(tmp_path: Path, **changes: Any) -> str:
    """The sandbox's config; ``staging`` and ``production`` are changes of consumers."""
    whole = yaml.safe_load(CONFIG.read_text())
    for name in ("staging", "production"):
        whole["consumers"][name] |= changes.pop(name, {})
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**whole, **changes}, sort_keys=False))
    return str(tmp_path / "config.yaml")


BACK = "rollback CONFIG --reason why --consumer"
PRODUCER, STAGING, PRODUCTION = (
    f"{key}.profile: {NO}" for key in ("producer", "consumers.staging", "consumers.production")
)

# The machine's profiles, the command, and how it ends: with 2 and what it says first, or with what it starts.
TABLE: list[tuple[str, str, int, str]] = [
    ("", "plan CONFIG", 2, PRODUCER),
    ("", "share CONFIG --yes", 2, PRODUCER),
    ("", "revoke CONFIG --all --yes", 2, PRODUCER),
    ("", "promote CONFIG --yes", 2, PRODUCER),
    ("", "promote CONFIG --dry-run", 2, PRODUCER),
    ("", "promote CONFIG --version 1 --yes", 2, PRODUCER),
    ("", "deploy CONFIG --consumer staging", 2, STAGING),
    ("", "deploy CONFIG --consumer staging --dry-run", 2, STAGING),
    ("", f"{BACK} staging", 2, PRODUCER),
    ("", f"{BACK} staging --yes", 2, PRODUCER),
    ("", "check CONFIG", 2, PRODUCER),
    ("", "check CONFIG --consumer production", 2, PRODUCER),
    ("", "reap CONFIG", 2, STAGING),
    ("", "reap CONFIG --yes --consumer production", 2, PRODUCTION),
    ("producer", "share CONFIG --yes", STARTS, ""),
    ("producer", "revoke CONFIG --all --yes", STARTS, ""),
    ("producer", "promote CONFIG --dry-run", STARTS, ""),  # of the others it says that it cannot be told
    ("producer", "promote CONFIG --yes", 2, STAGING),
    ("producer", f"{BACK} staging", 2, STAGING),
    ("producer", "deploy CONFIG --consumer staging", 2, STAGING),
    ("producer", "check CONFIG", STARTS, ""),
    ("producer", "check CONFIG --consumer staging", STARTS, ""),  # the documents say what they can
    ("producer", "reap CONFIG", 2, STAGING),
    ("staging", "share CONFIG --yes", 2, PRODUCER),
    ("staging", "promote CONFIG --yes", 2, PRODUCER),
    ("staging", f"{BACK} staging", 2, PRODUCER),  # which keeps the record
    ("staging", "deploy CONFIG --consumer staging", STARTS, ""),
    ("staging", "deploy CONFIG --consumer production", 2, PRODUCTION),
    ("staging", "check CONFIG", STARTS, ""),
    ("staging", "check CONFIG --consumer production", 2, PRODUCER),
    ("staging", "reap CONFIG", STARTS, ""),
    ("staging", "reap CONFIG --consumer production", 2, PRODUCTION),
    ("producer staging", "promote CONFIG --yes", STARTS, ""),  # production's part is a result of its own
    ("producer staging", f"{BACK} staging", STARTS, ""),
    ("producer staging", f"{BACK} production", 2, PRODUCTION),
    ("producer staging", "share CONFIG", 2, "Look at the plan (crossaccount plan CONFIG), then add --yes"),
    ("producer staging", "revoke CONFIG --consumer staging", 2, "(crossaccount revoke CONFIG --consumer staging --dry-run)"),
    ("producer staging", "revoke CONFIG --all", 2, "(crossaccount revoke CONFIG --all --dry-run)"),
    ("producer staging", "promote CONFIG --version 2", 2, "(crossaccount plan CONFIG, crossaccount promote CONFIG --version 2 --dry-run)"),
    ("producer staging", "rollback CONFIG --consumer staging --reason=", 2, "--reason: say why"),
    ("producer staging", "share --plan nowhere.json", 2, "cannot be read"),
    ("producer staging", "check CONFIG --junit /nowhere/junit.xml", 2, "--junit"),
]  # fmt: skip


@pytest.mark.parametrize(("profiles", "words", "code", "says"), TABLE)
def test_a_profile_that_is_not_there_is_told_before_anything_starts(
    command: Any, tmp_path: Path, profiles: str, words: str, code: int, says: str
) -> None:
    config = written(tmp_path)
    ended, error = command(profiles, *words.replace("CONFIG", config).split())
    assert ended == code, error
    if says:
        assert says.replace("CONFIG", config) in error["message"]
        assert error["message"].count(NO) <= 1
        assert error["kind"] == "InputError"


@pytest.mark.parametrize(
    ("changes", "words", "code", "says"),
    [
        ({"versions": [1, 2]}, "deploy CONFIG --consumer staging --version 9", 2, "does not share version 9"),
        ({"versions": [1, 2]}, "promote CONFIG --version 9 --yes", 2, "does not share version 9"),
        ({"versions": [1, 2]}, "promote CONFIG --version 9 --dry-run", 2, "does not share version 9"),
        ({"versions": [1, 2]}, "promote CONFIG --version 2 --yes", STARTS, ""),
        ({"staging": {"smoke": [{"content_type": "text/csv", "body_file": "gone.csv", "expect": "1"}]}}, "deploy CONFIG --consumer staging", 2, "gone.csv"),
        ({"staging": {"smoke": [{"content_type": "text/csv", "body_file": "gone.csv", "expect": "1"}]}}, "promote CONFIG --yes", 2, "gone.csv"),
        ({"staging": {"smoke": [{"content_type": "text/csv", "body_file": "gone.csv", "expect": "1"}]}}, "deploy CONFIG --consumer production", STARTS, ""),
        ({"staging": {"profile": "gone"}}, "promote CONFIG --yes", STARTS, ""),
        ({"staging": {"profile": "gone", "run_deployment": "move-endpoint/x"}}, f"{BACK} staging", STARTS, ""),
        ({"staging": {"profile": "gone", "run_deployment": "move-endpoint/x"}, "production": {"profile": "gone"}}, "promote CONFIG --yes", 2, PRODUCTION),
        ({name: {"profile": "gone", "run_deployment": f"move-endpoint/{name}"} for name in ("staging", "production")}, "promote CONFIG --yes", STARTS, ""),
        ({"staging": {"profile": None}}, "deploy CONFIG --consumer staging", STARTS, ""),  # the ambient credentials
    ],
)  # fmt: skip
def test_what_else_the_config_and_the_machine_show_is_told_too(
    command: Any, tmp_path: Path, changes: dict[str, Any], words: str, code: int, says: str
) -> None:
    config = written(tmp_path, **changes)
    ended, error = command("producer staging production", *words.replace("CONFIG", config).split())
    assert ended == code, error
    assert says in error.get("message", "")


def test_of_several_that_are_missing_the_first_is_the_error_and_the_others_a_note(command: Any) -> None:
    _, error = command("other", "check", str(CONFIG))
    assert error["message"].startswith(
        "producer.profile: this machine has no AWS profile 'producer' (it has: other)."
    )
    assert error["notes"] == [
        "This machine has not the profiles of consumers.staging, consumers.production either."
    ]


def test_an_ambient_profile_that_is_not_there_is_one_too(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "ghost")
    words = ("deploy", written(tmp_path, staging={"profile": None}), "--consumer", "staging")
    code, error = command("staging", *words)
    assert (code, "'ghost'" in error["message"]) == (2, True)
