"""What the sandbox's start imports, and what of the machine it takes: little of the one, nothing of the other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crossaccount_sandbox import training

ROOT = Path(__file__).parents[2]


def test_the_command_is_read_before_anything_heavy_is_imported() -> None:
    """So the models train, in another process, while this one imports the rest."""
    program = "import sys, crossaccount_sandbox.command; print(' '.join(sys.modules))"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    found = {name.partition(".")[0] for name in said.split()}
    assert not found & {"moto", "boto3", "botocore", "werkzeug", "sklearn", "numpy", "joblib"}


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux says what a process has loaded")
def test_scikit_learn_is_imported_once_and_not_by_the_server(sandbox: Any) -> None:
    listed = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout
    parents = dict(map(int, line.split()) for line in listed.splitlines())
    server = sandbox.process.pid
    below = [pid for pid, parent in parents.items() if parent == server]
    loaded = {pid: "sklearn" in Path(f"/proc/{pid}/maps").read_text() for pid in (server, *below)}
    assert not loaded[server]
    assert sum(loaded.values()) == 1, "the process that containers are forked from"


def test_models_that_are_trained_elsewhere_are_the_same() -> None:
    assert training.begin()() == training.train_all()


MACHINE = {
    "AWS_PROFILE": "nobody",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "HTTP_PROXY": "http://127.0.0.1:9",
}


def test_it_starts_whatever_the_machines_own_aws_settings_and_proxy_are(tmp_path: Path) -> None:
    """And ends by itself where who started it is gone before it looks."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    command = [sys.executable, "-m", "crossaccount", "sandbox", "--json"]
    command += ["--exit-with-parent", str(gone.pid)]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **MACHINE}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        ready = json.loads(process.stdout.readline())
        assert ready["env"]["AWS_ENDPOINT_URL"] == ready["endpoint_url"] != MACHINE["AWS_ENDPOINT_URL"]
        assert process.wait(30) == 0
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
