"""The pytest plugin, in the projects of strangers: pytest runs there as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[2] / "crossaccount_sandbox" / "README.md"
PLUGIN = "crossaccount_sandbox.pytest_plugin"

# What a machine may have set up for its own AWS; nothing of it leads anywhere.
MACHINE = {
    "AWS_PROFILE": "nobody",
    "AWS_ACCESS_KEY_ID": "AKIAMACHINE",
    "AWS_SECRET_ACCESS_KEY": "machine",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "PREFECT_API_URL": "http://127.0.0.1:9/api",
    "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",
}


class Stranger:
    """A project that is not ours, and pytest in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / f"{name}.py").write_text(text)

    def command(self, *arguments: str) -> dict[str, Any]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTEST_"))}
        words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        return {"args": words, "cwd": self.folder, "env": {**kept, **MACHINE}, "text": True}

    def test(self, *arguments: str) -> tuple[str, dict[str, int]]:
        """What pytest said, and how many tests it counts as what."""
        done = subprocess.run(
            **self.command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=600,
        )
        last = done.stdout.splitlines()[-1]
        return done.stdout, {word: int(count) for count, word in re.findall(r"(\d+) ([a-z]+)", last)}


@pytest.fixture
def stranger(tmp_path: Path) -> Stranger:
    return Stranger(tmp_path)


@pytest.fixture
def marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "marks"
    folder.mkdir()
    monkeypatch.setenv("MARKS", str(folder))
    return folder


def test_its_readme_names_each_fixture_and_no_other(stranger: Stranger) -> None:
    stated = set(re.findall(r"^\| `(\w+)`", README.read_text(), re.MULTILINE))
    listed, _ = stranger.test("--fixtures", "-q")
    assert stated == set(re.findall(r"^(crossaccount_\w+)", listed, re.MULTILINE))


_WORLDS = """
import os
import urllib.request
import pytest
from botocore.exceptions import ClientError

GROUP = "decision-trees-sample"
BEFORE = dict(os.environ)

def account(session):
    return session.client("sts").get_caller_identity()["Account"]

def policy(session):
    return session.client("sagemaker").get_model_package_group_policy(ModelPackageGroupName=GROUP)

def test_each_account_has_its_session(crossaccount_sandbox, crossaccount_session):
    assert {"producer", "staging", "production", "outsider"} <= set(crossaccount_sandbox.accounts)
    for name, number in crossaccount_sandbox.accounts.items():
        assert account(crossaccount_session(name)) == number
        assert account(crossaccount_session(name, operator=True)) == number
    with pytest.raises(ValueError, match="no account 'nobody'; it has producer, staging"):
        crossaccount_session("nobody")

def test_a_role_may_what_its_template_says(crossaccount_session):
    with pytest.raises(ClientError, match="not authorized to perform: iam:ListRoles"):
        crossaccount_session("staging", role="crossaccount-deployer").client("iam").list_roles()
    with pytest.raises(ClientError, match="AccessDenied"):
        crossaccount_session("staging", role="missing")

def test_resources_are_the_sandboxs_too(crossaccount_session):
    assert list(crossaccount_session("staging").resource("s3").buckets.all()) == []

def test_faults_befall(crossaccount_session, crossaccount_faults):
    crossaccount_faults("error", service="sagemaker", operation="ListModels", status=503)
    with pytest.raises(ClientError, match="503|ServiceUnavailable|InternalFailure"):
        crossaccount_session("staging").client("sagemaker").list_models()
    with pytest.raises(ValueError, match="kind"):
        crossaccount_faults("flood")
    with pytest.raises(ValueError, match="rate"):
        crossaccount_faults("throttle", rate=2)

def test_and_end_with_their_test(crossaccount_sandbox, crossaccount_session):
    assert not crossaccount_sandbox.control("GET", "faults")["faults"]
    assert crossaccount_session("staging").client("sagemaker").list_models()["Models"] == []

def test_the_environment_leads_there(crossaccount_sandbox, crossaccount_env, monkeypatch):
    import boto3
    monkeypatch.setenv("AWS_PROFILE", "production")
    assert account(boto3.Session()) == crossaccount_sandbox.accounts["production"]
    assert {name for name in os.environ if name.startswith("AWS_")} == {*crossaccount_sandbox.env, "AWS_PROFILE"} - {"NO_PROXY", "no_proxy"}

def test_and_is_as_before_outside():
    assert {**os.environ, "PYTEST_CURRENT_TEST": ""} == {**BEFORE, "PYTEST_CURRENT_TEST": ""}

def test_nothing_is_shared_in_a_bare_world(crossaccount_bare, crossaccount_session):
    with pytest.raises(ClientError, match="Cannot find resource policy"):
        policy(crossaccount_session("producer"))
    crossaccount_session("producer").client("iam").delete_user_policy(UserName="administrator", PolicyName="administrator")

def test_a_shared_world_is_another(crossaccount_shared, crossaccount_sandbox, crossaccount_session):
    assert crossaccount_shared.accounts["staging"] in policy(crossaccount_session("producer"))["ResourcePolicy"]
    with pytest.raises(ClientError, match="Cannot find resource policy"):
        policy(crossaccount_sandbox.session("producer"))
    with pytest.raises(ValueError, match="PUT"):
        crossaccount_shared.control("POST", "faults")
    seen = crossaccount_shared.command("check", crossaccount_shared.config, "--no-probe")
    assert seen.returncode == 0, seen.stdout + seen.stderr
"""


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, int]]:
    """What pytest said of one run of the lines of the README and of `_WORLDS`: a share takes ten seconds of a processor."""
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(block.splitlines()) == 5
    stranger = Stranger(tmp_path_factory.mktemp("tested"))
    stranger.write(test_readme=block, test_worlds=_WORLDS)
    return stranger.test("-v", "-W", "error")


def passed(said: str, file: str) -> int:
    return len(re.findall(rf"^{file}::\w+ PASSED", said, re.MULTILINE))


def test_the_lines_of_its_readme_are_a_test_that_passes(tested: tuple[str, dict[str, int]]) -> None:
    said, _ = tested
    assert passed(said, "test_readme.py") == 1, said


def test_worlds_sessions_faults_and_the_environment_are_what_the_readme_says(
    tested: tuple[str, dict[str, int]],
) -> None:
    """The machine's own AWS variables and proxy lead nowhere, and are not asked."""
    said, counted = tested
    assert passed(said, "test_worlds.py") == 9, said
    assert counted == {"passed": 10}, said


_ITS_OWN = """
import pytest

@pytest.fixture(scope="session")
def crossaccount_options():
    return ["--consumers", "1"]

@pytest.fixture(scope="session")
def crossaccount_config(tmp_path_factory):
    file = tmp_path_factory.mktemp("config") / "none.yaml"
    file.write_text("consumers: {}")
    return str(file)
"""


def test_a_project_gives_the_options_and_the_config(stranger: Stranger) -> None:
    tests = """
def test_more(crossaccount_sandbox):
    assert "consumer-01" in crossaccount_sandbox.accounts

def test_config(crossaccount_shared):
    pass
"""
    stranger.write(conftest=_ITS_OWN, test_own=tests)
    said, counted = stranger.test("-q")
    assert counted == {"passed": 1, "error": 1}, said
    assert "crossaccount share ended with 2" in said
    assert "none.yaml:1: consumers: names no consumer" in said


def test_a_test_of_two_worlds_names_the_one_it_means(stranger: Stranger) -> None:
    worlds = "crossaccount_faults, crossaccount_bare, crossaccount_shared"
    stranger.write(test_two=f"def test_it({worlds}):\n    pass\n")
    said, counted = stranger.test("-q")
    assert counted == {"error": 1}, said
    assert "asks for crossaccount_shared and crossaccount_bare: use the methods of each" in said


def test_why_a_sandbox_does_not_start_is_said(stranger: Stranger) -> None:
    options = "import pytest\n@pytest.fixture(scope='session')\ndef crossaccount_options():\n    return ['--speed', '0']\n"
    stranger.write(conftest=options, test_it="def test_it(crossaccount_sandbox):\n    pass\n")
    said, counted = stranger.test("-q")
    assert counted == {"error": 1}, said
    assert "The sandbox did not start; it ended with 2. It said:" in said
    assert "argument --speed: '0' is not a speed" in said


_DIES = """
def test_it(crossaccount_sandbox):
    import os, signal, subprocess
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True).stdout
    for pid, parent in (map(int, line.split()) for line in listed.splitlines()):
        if parent == os.getpid() and os.path.exists(f"/proc/{pid}") and "sandbox" in open(f"/proc/{pid}/cmdline").read():
            os.kill(pid, signal.SIGKILL)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
"""


def test_a_sandbox_that_dies_is_no_success(stranger: Stranger) -> None:
    stranger.write(test_dies=_DIES)
    said, counted = stranger.test("-q")
    assert counted == {"passed": 1, "error": 1}, said
    assert "The sandbox ended during the tests, with -9." in said


_SECRETS = """
import logging, os, pathlib
import boto3

def test_fails(crossaccount_sandbox, crossaccount_session, crossaccount_env, crossaccount_faults):
    staging = crossaccount_session("staging", role="crossaccount-deployer")
    own = boto3.Session(profile_name="production")
    keys = [session.get_credentials().get_frozen_credentials() for session in (staging, own, crossaccount_session("producer"))]
    secrets = [text for key in keys for text in (key.secret_key, key.token) if text]
    pathlib.Path(os.environ["MARKS"], "secrets").write_text("\\n".join(secrets))
    for text in secrets:
        print("printed", text)
        logging.getLogger("mine").warning("logged %s", text)
    crossaccount_faults("drop", operation="ListModels")
    staging.client("sagemaker").list_models()
"""


@pytest.mark.parametrize("more", [(), ("-n", "1")], ids=["alone", "in a worker"])
def test_no_secret_is_in_the_report_of_a_failed_test(
    stranger: Stranger, marks: Path, more: tuple[str, ...]
) -> None:
    """With all that pytest can be made to show: locals, DEBUG logs, captured output, and the file for other programs."""
    stranger.write(test_secrets=_SECRETS)
    written = stranger.folder / "report.xml"
    said, counted = stranger.test("-l", "-rA", "-vv", "--log-level=DEBUG", f"--junitxml={written}", *more)
    assert counted == {"failed": 1}, said
    assert "EndpointConnectionError" in said or "ConnectionClosedError" in said
    secrets = (marks / "secrets").read_text().splitlines()
    assert len(secrets) == 4
    assert "printed ***" in said
    shown = [text for text in secrets if text in said or text in written.read_text()]
    assert len(shown) == 0


def test_it_imports_nothing_and_starts_nothing_where_it_is_not_used(stranger: Stranger, marks: Path) -> None:
    watch = "import os, pathlib, sys\ndef pytest_unconfigure(config):\n"
    watch += "    assert config.pluginmanager.has_plugin('crossaccount_sandbox.pytest_plugin')\n"
    watch += "    pathlib.Path(os.environ['MARKS'], 'modules').write_text(' '.join(sys.modules))\n"
    watch += "    pathlib.Path(os.environ['MARKS'], 'env').write_text(' '.join(f'{k}={v}' for k, v in os.environ.items()))\n"
    stranger.write(conftest=watch, test_it="def test_it():\n    pass\n")
    said, counted = stranger.test("-q", "--setup-show")
    assert counted == {"passed": 1}, said
    assert "crossaccount" not in said, "a fixture of its own accord"
    modules = set((marks / "modules").read_text().split())
    heavy = {"boto3", "botocore", "moto", "prefect", "werkzeug", "sklearn", "yaml", "crossaccount"}
    assert not {name for name in modules if name.partition(".")[0] in heavy}
    assert {name for name in modules if name.startswith("crossaccount_sandbox")} == {
        "crossaccount_sandbox",
        PLUGIN,
    }
    assert all(f"{name}={value}" in (marks / "env").read_text() for name, value in MACHINE.items())


@pytest.mark.parametrize("way", [("-p", PLUGIN), ("-p", f"no:{PLUGIN}")], ids=["named again", "turned off"])
def test_it_may_be_named_again_and_turned_off(stranger: Stranger, way: tuple[str, str]) -> None:
    listed, _ = stranger.test("--fixtures", "-q", "-W", "error", *way)
    assert ("crossaccount_sandbox" in listed) is ("no:" not in way[1])
    assert "Error" not in listed


_HOLDS = """
import os, pathlib, time, pytest
@pytest.mark.parametrize("n", range(2))
def test_it(crossaccount_sandbox, n):
    mark = pathlib.Path(os.environ["MARKS"], str(os.getpid()))
    mark.with_suffix(".half").write_text(crossaccount_sandbox.address)
    mark.with_suffix(".half").rename(mark)
    time.sleep(300)
"""


def _sandboxes_of(session: int) -> set[int]:
    """The sandboxes that were started by a process of this session, or below it."""
    listed = subprocess.run(
        ["ps", "-ww", "-e", "-o", "pid=,ppid=,sid=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(None, 3) for line in listed.splitlines()]
    below = {int(pid) for pid, _, sid, _ in rows if int(sid) == session}
    return {
        int(pid)
        for pid, parent, _, words in rows
        if int(parent) in below and re.search(r"-m crossaccount(_sandbox)? .*--exit-with-parent", words)
    }


def _alive(pids: set[int]) -> set[int]:
    listed = subprocess.run(
        ["ps", "-e", "-o", "pid=,stat="], capture_output=True, text=True, check=True
    ).stdout
    running = {int(line.split()[0]) for line in listed.splitlines() if not line.split()[1].startswith("Z")}
    return pids & running


def _eventually(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize(
    ("signum", "workers", "in_start"),
    [
        (signal.SIGINT, 0, False),
        (signal.SIGINT, 2, False),
        (signal.SIGKILL, 1, False),
        (signal.SIGTERM, 0, False),
        (signal.SIGINT, 1, True),
        (signal.SIGKILL, 0, True),
    ],
    ids=[
        "interrupted",
        "workers interrupted",
        "a worker's pytest killed",
        "ended",
        "interrupted in start",
        "killed in start",
    ],
)
def test_a_run_that_is_broken_off_leaves_no_sandbox(
    stranger: Stranger, marks: Path, signum: signal.Signals, workers: int, in_start: bool
) -> None:
    """Each of several workers has a sandbox of its own, too."""
    stranger.write(test_holds=_HOLDS)
    process = subprocess.Popen(
        **stranger.command("-q", *(["-n", str(workers)] if workers else [])),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wanted, started = max(workers, 1), set[int]()

    def addresses() -> set[str]:
        return {mark.read_text() for mark in marks.iterdir() if mark.suffix != ".half"}

    def up() -> bool:
        started.update(_sandboxes_of(process.pid))
        return len(started) >= wanted and (in_start or len(addresses()) == wanted)

    try:
        assert _eventually(up, 60)
        process.send_signal(signum)
        process.wait(60)
        assert _eventually(lambda: not _alive(started), 30)
    finally:
        for pid in _alive({process.pid, *started}):
            os.kill(pid, signal.SIGKILL)
        process.wait()
