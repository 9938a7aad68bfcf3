"""A profile that cannot be used is bad input: one sentence that names it and the way out, and one object under --json."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossaccount.aws.access import open_producer
from crossaccount.cli.main import main
from crossaccount.config.loading import load_config
from crossaccount.errors import InputError

ROLE = "arn:aws:iam::111111111111:role/crossaccount-producer"
GIVEN = {"Version": 1, "AccessKeyId": "AKIAQWERTYUIOPASDFGH", "SecretAccessKey": "s" * 40}
PAST = {**GIVEN, "SessionToken": "t", "Expiration": "2020-01-01T00:00:00Z"}
SSO = (
    "sso_start_url = https://x.awsapps.com/start\nsso_region = us-east-1\nsso_account_id = 111111111111\n"
    "sso_role_name = r\n"
)
SSO_SESSION = (
    "sso_session = s\nsso_account_id = 111111111111\nsso_role_name = r\n\n[sso-session s]\nsso_region = us-east-1\n"
    "sso_start_url = https://x.awsapps.com/start\n"
)
# What stands in the profile, and what is said of it. PRINTS: a program that prints what follows.
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYSECRETKEY1"
CASES: dict[str, tuple[str, str]] = {
    "a program that is not there": ("credential_process = /nowhere/get-keys --now", "/nowhere/get-keys"),
    "a program that fails over a secret": ("credential_process = FOLDER/blurts", "no use for **** today"),
    "a program that may not be run": ("credential_process = FOLDER/plain", "FOLDER/plain"),
    "a program that fails": ("credential_process = FOLDER/fails", "log in to the vault first"),
    "a program that prints no JSON": (
        "credential_process = PRINTS not json",
        "something else than AWS describes",
    ),
    "a program that prints nothing": ("credential_process = PRINTS ", "something else than AWS describes"),
    "a program that prints a list": ("credential_process = PRINTS [1]", "something else than AWS describes"),
    "a program that prints a word": (
        'credential_process = PRINTS "keys"',
        "something else than AWS describes",
    ),
    "a program that prints bytes": ("credential_process = FOLDER/bytes", "something else than AWS describes"),
    "a program without a key": ('credential_process = PRINTS {"Version": 1}', "AccessKeyId"),
    "a program of another version": ('credential_process = PRINTS {"Version": 2}', "Unsupported version"),
    "a program that gives old keys": (f"credential_process = PRINTS {json.dumps(PAST)}", "expired"),
    "a program whose expiry is no time": (
        f"credential_process = PRINTS {json.dumps({**PAST, 'Expiration': 'soon'})}",
        "something else than AWS describes",
    ),
    "a command with an open quote": ('credential_process = get-keys "', "something else than AWS describes"),
    "a token file that is not there": (
        f"role_arn = {ROLE}\nweb_identity_token_file = /nowhere/token",
        "/nowhere/token",
    ),
    "a token file that is a folder": (f"role_arn = {ROLE}\nweb_identity_token_file = FOLDER", "FOLDER"),
    "a sign-in with aws login": ("login_session = arn:aws:iam::111111111111:user/me", "[login]"),
    "an SSO sign-in that was never made": (SSO, "aws sso login --profile broken"),
    "an SSO session that was never made": (SSO_SESSION, "aws sso login --profile broken"),
    "an SSO session that is not there": (
        "sso_session = none\nsso_account_id = 111111111111\nsso_role_name = r",
        "none",
    ),
    "a source that is not there": (f"role_arn = {ROLE}\nsource_profile = none", "none"),
    "a source in a circle": (f"role_arn = {ROLE}\nsource_profile = other", "other"),
    "a source of an unknown kind": (f"role_arn = {ROLE}\ncredential_source = Abacus", "Abacus"),
    "a role without a source": (f"role_arn = {ROLE}", "missing: source_profile or credential_source"),
}


@pytest.fixture
def profile(aws: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], str]:
    """Writes the profile ``broken``; gives the text back with the folder of this test in it."""
    folder = tmp_path / "programs"
    folder.mkdir()
    scripts = {
        "fails": "import sys; sys.exit('log in to the vault first')",
        "blurts": f"import sys; sys.exit('no use for {SECRET} today')",
        "bytes": "import sys; sys.stdout.buffer.write(bytes([255, 254, 0]))",
        "prints": "import sys; print(' '.join(sys.argv[1:]))",
    }
    for name, text in scripts.items():
        (folder / name).write_text(f"#!{sys.executable}\n{text}\n")
        (folder / name).chmod(stat.S_IRWXU)
    (folder / "plain").write_text("no program")

    def write(text: str) -> str:
        command, _, printed = text.partition("PRINTS ")
        if printed or "PRINTS" in text:
            text = f"{command}{folder}/prints '{printed}'" if printed else f"{command}{folder}/prints"
        text = text.replace("FOLDER", str(folder))
        there = Path(aws.ready["env"]["AWS_CONFIG_FILE"]).read_text()
        other = f"[profile other]\nrole_arn = {ROLE}\nsource_profile = broken\n\n"
        (tmp_path / "config").write_text(f"{there}\n{other}[profile broken]\n{text}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("HOME", str(tmp_path))
        return text

    return write


def told(words: list[str], capsys: Any) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(words)
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.mark.parametrize("case", CASES)
def test_a_profile_that_cannot_be_used_is_told_in_a_sentence(
    profile: Any,
    aws: Any,
    edited: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
    tmp_path: Path,
    case: str,
) -> None:
    text, said = CASES[case]
    profile(text)
    said = said.replace("FOLDER", str(tmp_path / "programs"))
    for role in ({}, {"producer__role": None, "producer__external_id": None}):
        config = edited(producer__profile="broken", **role)
        code, out, err = told(["plan", config, "--json"], capsys)
        assert (code, "Traceback" in err) == (2, False), err
        error = json.loads(out)["error"]
        assert error["kind"] == "InputError"
        message = error["message"]
        assert "producer.profile: the AWS profile 'broken' cannot be used: " in message
        assert said in message
        assert SECRET not in out + err
        assert "\n" not in message
        assert message.endswith(".")
        assert not message.endswith("..")
        assert GIVEN["SecretAccessKey"] not in message
    code, out, err = told(["plan", config], capsys)
    assert (code, out) == (2, "")
    assert message in err


def test_the_ambient_profile_is_named_too(
    profile: Any, aws: Any, edited: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    profile("credential_process = /nowhere/get-keys")
    monkeypatch.setenv("AWS_PROFILE", "broken")
    code, out, _ = told(["plan", edited(producer__profile=None), "--json"], capsys)
    assert code == 2
    assert "'broken'" in json.loads(out)["error"]["message"]


def test_a_config_file_that_is_none_is_told(
    aws: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("no [section\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    code, out, err = told(["plan", str(aws.config), "--json"], capsys)
    assert (code, "Traceback" in err) == (2, False)
    assert str(tmp_path / "config") in json.loads(out)["error"]["message"]


def test_a_program_that_vanishes_during_a_run_is_told_then(
    profile: Any, aws: Any, edited: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its keys end so soon that each call fetches new ones."""
    from datetime import UTC, datetime, timedelta

    keys = (
        Path(aws.ready["env"]["AWS_SHARED_CREDENTIALS_FILE"]).read_text().split("[producer]")[1].split("[")[0]
    )
    found = dict(line.split(" = ") for line in keys.strip().splitlines())
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    given = {"AccessKeyId": found["aws_access_key_id"], "SecretAccessKey": found["aws_secret_access_key"]}
    whole = {"Version": 1, **given, "SessionToken": None, "Expiration": soon}
    profile(f"credential_process = PRINTS {json.dumps(whole)}")
    config = edited(producer__profile="broken", producer__role=None, producer__external_id=None)
    sts = open_producer(load_config(config)).client("sts")
    assert sts.get_caller_identity()["Account"] == "111111111111"
    (tmp_path / "programs" / "prints").unlink()
    with pytest.raises(InputError, match=r"'broken' cannot be used: .*programs/prints"):
        sts.get_caller_identity()


def test_a_role_that_a_profile_may_not_assume_is_the_profile_s(
    profile: Any, aws: Any, edited: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    profile(f"role_arn = {ROLE}\nsource_profile = producer\nexternal_id = a-wrong-one")
    config = edited(producer__profile="broken")
    code, out, _ = told(["plan", config, "--json"], capsys)
    refusal = json.loads(out)["error"]["refusal"]
    assert (code, refusal["door"], refusal["resource"]) == (3, "role-trust", ROLE)
    assert "'broken'" in refusal["caller"]


def test_a_code_is_not_asked_for_without_a_terminal(profile: Any, aws: Any, edited: Any) -> None:
    profile(f"role_arn = {ROLE}\nsource_profile = producer\nmfa_serial = arn:aws:iam::111111111111:mfa/me")
    config = edited(producer__profile="broken")
    files = {"AWS_CONFIG_FILE": os.environ["AWS_CONFIG_FILE"]}
    ended = subprocess.run(
        [sys.executable, "-m", "crossaccount", "plan", config, "--json"],
        env={**os.environ, **files},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, "Traceback" in ended.stderr) == (2, False), ended.stderr
    assert "'broken' cannot be used: it asks for the code" in json.loads(ended.stdout)["error"]["message"]


def test_a_container_that_gets_no_credentials_is_told_as_one(
    aws: Any, edited: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Of a task or a pod, whose role's credentials come from an address, and which has no profile to correct."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/gone")
    code, out, err = told(["plan", edited(producer__profile=None), "--json"], capsys)
    assert (code, "Traceback" in err) == (2, False)
    message = json.loads(out)["error"]["message"]
    assert message.startswith("producer.profile: the ambient AWS credentials cannot be used: ")
    assert message.endswith("Look whether the container's task or pod still runs, and has a role.")
    assert "profile in the AWS config file" not in message
