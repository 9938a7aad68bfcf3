"""Whatever ends the sandbox or the demo, no process of theirs stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
GROUP = "decision-trees-sample"


def children(pid: int) -> set[int]:
    """Every process below this one."""
    listed = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    found, again = {pid}, True
    while again:
        more = {child for child, parent in pairs if parent in found} - found
        found, again = found | more, bool(more)
    return found - {pid}


def alive(pids: set[int]) -> set[int]:
    listed = subprocess.run(
        ["ps", "-e", "-o", "pid=,stat="], capture_output=True, text=True, check=True
    ).stdout
    running = {int(line.split()[0]) for line in listed.splitlines() if not line.split()[1].startswith("Z")}
    return pids & running


def eventually(holds: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def serving(start_sandbox: Any) -> Any:
    """A sandbox of its own, with an endpoint in service, and every process below it."""
    sandbox = start_sandbox("--endpoint-seconds", "0")
    process = sandbox.process
    host(sandbox)
    below = children(process.pid)
    assert len(below) >= 2, "a fork server and an inference process"
    yield process, below
    if process.poll() is None:
        process.kill()
    process.wait()


def host(sandbox: Any) -> None:
    iam, sm = sandbox.admin("producer", "iam"), sandbox.admin("producer", "sagemaker")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.create_role(RoleName="execution", AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName="execution", PolicyName="all", PolicyDocument=json.dumps(everything))
    package = f"arn:aws:sagemaker:us-east-1:111111111111:model-package/{GROUP}/1"
    role = "arn:aws:iam::111111111111:role/execution"
    sm.create_model(ModelName="trees", PrimaryContainer={"ModelPackageName": package}, ExecutionRoleArn=role)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "trees",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sm.create_endpoint_config(EndpointConfigName="trees", ProductionVariants=[variant])
    sm.create_endpoint(EndpointName="trees", EndpointConfigName="trees")
    in_service = eventually(
        lambda: sm.describe_endpoint(EndpointName="trees")["EndpointStatus"] == "InService"
    )
    assert in_service, sm.describe_endpoint(EndpointName="trees")


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_sandbox_ends_every_process(serving: Any, signum: signal.Signals) -> None:
    process, below = serving
    os.kill(process.pid, signum)
    code = process.wait(timeout=30)
    assert code == (-9 if signum is signal.SIGKILL else 0)
    assert eventually(lambda: not alive(below)), alive(below)


_HOLDING = """
import os, pathlib, time
def pytest_runtest_call(item):
    pathlib.Path(os.environ["HELD"]).touch()
    time.sleep(300)
"""


def test_a_run_of_tests_that_is_interrupted_leaves_nothing_running(tmp_path: Path) -> None:
    """Pytest is interrupted and its worker killed in a test: no fixture ends the sandbox and the Prefect server that it holds."""
    (tmp_path / "holding.py").write_text(_HOLDING)
    held = tmp_path / "held"
    run = [sys.executable, "-m", "pytest", "-q", "-n", "1", "-p", "holding", "tests/flows/test_story.py"]
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "HELD": str(held)}
    silent = subprocess.DEVNULL
    process = subprocess.Popen(run, stdout=silent, stderr=silent, cwd=ROOT, env=env, start_new_session=True)
    below: set[int] = set()
    try:
        assert eventually(lambda: held.exists() or process.poll() is not None, 120)
        below = children(process.pid)
        assert all(name in commands(below) for name in ("crossaccount_sandbox", "uvicorn")), commands(below)
        workers = [pid for pid in below if "exec(eval(sys.stdin" in commands({pid})]
        assert workers, commands(below)
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        assert eventually(lambda: not alive(below), 30), commands(alive(below))
    finally:
        for pid in alive({process.pid, *below}):
            os.kill(pid, signal.SIGKILL)
        process.wait()


def commands(pids: set[int]) -> str:
    """The command lines of processes."""
    listed = subprocess.run(
        ["ps", "-e", "-o", "pid=,args="], capture_output=True, text=True, check=True
    ).stdout
    return "\n".join(line for line in listed.splitlines() if int(line.split()[0]) in pids)


def test_a_sandbox_that_is_to_end_with_its_parent_does(tmp_path: Path) -> None:
    starts = "import subprocess, sys, time; subprocess.Popen(sys.argv[1:]); time.sleep(60)"
    sandbox = [sys.executable, "-m", "crossaccount", "sandbox", "--json"]
    for option, stays in (("--exit-with-parent", False), ("--verbose", True)):
        parent = subprocess.Popen(
            [sys.executable, "-c", starts, *sandbox, option], stdout=subprocess.PIPE, cwd=ROOT
        )
        assert parent.stdout is not None
        assert parent.stdout.readline(), "the sandbox did not come up"
        below = children(parent.pid)
        parent.kill()
        parent.wait()
        assert eventually(lambda below=below: not alive(below), 2 if stays else 20) is not stays
        for pid in alive(below):
            os.kill(pid, signal.SIGTERM)


def test_a_killed_demo_leaves_nothing_running() -> None:
    command = [sys.executable, "-m", "crossaccount", "demo", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT)
    # The demo, its two keepers, the Prefect server, the sandbox and its fork server.
    assert eventually(lambda: len(children(process.pid)) >= 5, 60)
    below = children(process.pid)
    process.kill()
    process.wait()
    assert eventually(lambda: not alive(below), 40), alive(below)
