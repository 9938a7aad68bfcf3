"""The command line's contract: exit codes, one JSON object on stdout, and no AWS call for what cannot be used."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from crossaccount.cli import main as cli

ROOT = Path(__file__).parents[2]
GOOD = yaml.safe_load((ROOT / "configs" / "sandbox.yaml").read_text())


class Listener:
    """Counts who knocks where AWS would be."""

    def __init__(self) -> None:
        self.knocks = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.knocks += 1
            connection.close()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    listener = Listener()
    monkeypatch.setenv("AWS_ENDPOINT_URL", listener.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    yield listener
    listener.close()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    said = capsys.readouterr()
    code = ended.value.code
    return code if isinstance(code, int) else 0, said.out, said.err


def edited(path: str, value: Any) -> str:
    """The good config with one key changed; None takes it out."""
    document = json.loads(json.dumps(GOOD))
    *parents, last = path.split(".")
    node = document
    for name in parents:
        node = node[name]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return yaml.safe_dump(document)


ROLE = "arn:aws:iam::{}:role/crossaccount-deployer"
BAD = [
    ("model_package_group", None),
    ("model_package_group", "arn:aws:sagemaker:us-east-1:111111111111:model-package-group/x"),
    ("region", "mars-north-1"),
    ("preset", "everything"),
    ("versions", [0]),
    ("versions", "latest"),
    ("colour", "blue"),
    ("producer.account", "1111"),
    ("producer.account", "11111111111a"),
    ("producer.role", "arn:aws:iam::222222222222:role/x"),
    ("producer.external_id", "x"),
    ("producer.releases", "s3://producer-models-111111111111/releases"),
    ("producer.releases", "releases/"),
    ("producer.rolle", "x"),
    ("consumers", {}),
    ("consumers", None),
    ("consumers.staging.account", "111111111111"),
    ("consumers.staging.account", "22222222222"),
    ("consumers.staging.role", ROLE.format("333333333333")),
    ("consumers.staging.role", "crossaccount-deployer"),
    ("consumers.staging.execution_role", ROLE.format("111111111111")),
    ("consumers.staging.endpoint", None),
    ("consumers.staging.endpoint.name", "not a name"),
    ("consumers.staging.endpoint.instance_type", "m5.large"),
    ("consumers.staging.endpoint.instance_count", 0),
    ("consumers.staging.smoke", [{"body": "1"}]),
    ("consumers.copy", GOOD["consumers"]["staging"]),
]


@pytest.mark.parametrize("command", [("plan",), ("share", "--yes"), ("deploy", "--consumer", "staging")])
@pytest.mark.parametrize(("path", "value"), BAD, ids=[f"{path}={value!s:.30}" for path, value in BAD])
def test_a_bad_config_is_said_clearly_and_asks_nothing_of_aws(
    capsys: pytest.CaptureFixture[str],
    nowhere: Listener,
    tmp_path: Path,
    command: tuple[str, ...],
    path: str,
    value: Any,
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(edited(path, value))
    name, *options = command
    code, out, err = run(capsys, name, str(file), *options)
    assert code == 2
    assert out == ""
    lines = [line for line in err.splitlines() if line]
    assert all(str(file) in line for line in lines), err
    assert any(path.split(".")[-1] in line or path.rpartition(".")[0] in line for line in lines), err
    assert nowhere.knocks == 0
    code, out, _ = run(capsys, name, str(file), *options, "--json")
    said = json.loads(out)
    assert (code, said["ok"], said["exit_code"]) == (2, False, 2)
    assert len(said["error"]["faults"]) == len(lines)


def test_all_faults_are_said_at_once(
    capsys: pytest.CaptureFixture[str], nowhere: Listener, tmp_path: Path
) -> None:
    file = tmp_path / "bad.yaml"
    text = edited("region", "mars-north-1").replace("decision-trees-staging", "not a name")
    file.write_text(text.replace("111111111111", "1111", 1))
    code, _, err = run(capsys, "plan", str(file))
    assert code == 2
    assert len(err.splitlines()) >= 3
    assert nowhere.knocks == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "COMMAND"),
        (("fly",), "invalid choice"),
        (("plan",), "CONFIG"),
        (("deploy", "configs/sandbox.yaml"), "--consumer"),
        (("deploy", "configs/sandbox.yaml", "--consumer", "staging", "--version", "latest"), "not a version"),
        (("deploy", "configs/sandbox.yaml", "--consumer", "staging", "--version", "0"), "not a version"),
        (("deploy", "configs/sandbox.yaml", "--consumer", "nobody"), "staging, production"),
        (("revoke", "configs/sandbox.yaml", "--consumer", "nobody", "--yes"), "staging, production"),
        (("share", "configs/sandbox.yaml"), "--yes"),
        (("revoke", "configs/sandbox.yaml", "--consumer", "staging"), "--yes"),
        (("plan", "configs/ghost.yaml"), "no such file"),
        (("ui", "--port", "70000"), "not a port"),
        (("plan", "configs/sandbox.yaml", "--colour"), "unrecognized arguments: --colour"),
    ],
)
def test_bad_arguments_end_with_2_and_ask_nothing_of_aws(
    capsys: pytest.CaptureFixture[str],
    nowhere: Listener,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.chdir(ROOT)
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert says in err
    assert nowhere.knocks == 0


def test_a_missing_profile_names_the_key_and_those_there_are(
    capsys: pytest.CaptureFixture[str], nowhere: Listener, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[profile other]\nregion = us-east-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    code, _, err = run(capsys, "plan", str(ROOT / "configs" / "sandbox.yaml"))
    assert code == 2
    assert "producer.profile" in err
    assert "other" in err
    assert nowhere.knocks == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--help",), 0, "--endpoint-seconds"),
        (("--port", "any"), 2, "usage: crossaccount sandbox"),
        (("--colour", "blue"), 2, "unrecognized arguments: --colour blue"),
    ],
)
def test_the_options_of_the_sandbox_are_read_by_the_sandbox(
    arguments: tuple[str, ...], code: int, says: str
) -> None:
    command = [sys.executable, "-m", "crossaccount", "sandbox", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert ended.returncode == code
    assert says in ended.stdout + ended.stderr


def test_plan_imports_what_it_needs_when_it_needs_it() -> None:
    program = (
        "import sys\nfrom crossaccount.cli import main\n"
        "heavy = [name for name in ('pydantic', 'botocore', 'yaml') if name in sys.modules]\n"
        "from crossaccount.sharing import gather, plan, plan_file\nfrom crossaccount.show import plans\n"
        "more = ('prefect', 'sagemaker', 'moto', 'sklearn', 'pandas', 'crossaccount.hosting')\n"
        "heavy += [name for name in more if name in sys.modules]\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["deploy", "--consumer"],
        ["check", "--consumer"],
        ["reap", "--consumer"],
        ["rollback", "--reason", "wrong", "--consumer"],
    ],
)
def test_an_unknown_consumer_is_told_before_prefect_is_there(command: list[str]) -> None:
    name, *options = command
    arguments = [name, "configs/sandbox.yaml", *options, "nobody"]
    program = (
        f"import sys\nfrom crossaccount.cli.main import main\ntry: main({arguments})\n"
        "except SystemExit as end: print(end.code, 'prefect' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.stdout.split() == ["2", "False"], done.stderr
    assert "nobody" in done.stderr
    assert "staging" in done.stderr  # the way out: who there is


@pytest.mark.parametrize(("given", "then"), [(None, "1"), ("0", "0")])
def test_prefect_is_asked_to_tell_nobody_of_a_command_unless_somebody_chose(
    given: str | None, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DO_NOT_TRACK", given or "")
    if given is None:
        monkeypatch.delenv("DO_NOT_TRACK")
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert os.environ["DO_NOT_TRACK"] == then


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_read_does_not_wait_for_whoever_never_answers(
    tmp_path: Path, signum: int, code: int
) -> None:
    names = ("models", "staging")
    keys = "aws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = example"
    (tmp_path / "credentials").write_text("\n".join(f"[{name}]\n{keys}\n" for name in names))
    given = ("--group", "churn", "--region", "us-east-1", "--producer", "models", "--consumer", "staging")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        env |= {
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "crossaccount", "init", "churn.yaml", *given, "--json"],
            env=env,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        silent.settimeout(60)
        asked = [silent.accept()[0] for _ in names]  # two threads wait
        process.send_signal(signum)
        out, err = process.communicate(timeout=60)
        for each in asked:
            each.close()
    told = json.loads(out)
    assert (process.returncode, told["exit_code"], told["error"]["kind"]) == (code, code, "Interrupted"), err
    assert not (tmp_path / "churn.yaml").exists()


# What a command does that is interrupted in a read: its threads never end, and its own cleaning up ends, or does not.
INTERRUPTED = """
import argparse, os, signal, threading, time
from concurrent.futures import ThreadPoolExecutor
from crossaccount.cli import interrupts, live

options = argparse.Namespace(command="promote", json=True)
ThreadPoolExecutor().submit(time.sleep, 600)
with interrupts.handled(options) as interrupted:
    interrupted.last = lambda: print("reports", flush=True)
    try:
        with live.reading(options, "reading"):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
    except KeyboardInterrupt as interrupt:
        {then}
"""


@pytest.mark.parametrize(
    ("then", "reports"),
    [("time.sleep(600)", True), ("interrupted.end(interrupt)", False)],
    ids=["cleaning up hangs", "cleaning up ends"],
)
def test_a_read_that_is_left_behind_ends_with_its_reports_and_one_object(then: str, reports: bool) -> None:
    command = [sys.executable, "-c", INTERRUPTED.format(then=then)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    *before, line = done.stdout.splitlines()
    assert (done.returncode, before) == (143, ["reports"] if reports else [])
    assert json.loads(line)["error"]["kind"] == "Interrupted"
