"""Prefect on Amazon ECS: the sandbox, a Prefect server, and a worker of prefect-aws in each of two accounts.

The workers are in an environment of their own, pinned by hash. A flow run is a task of ECS: a process with the task role's
credentials, from the container credentials endpoint; no process of a task has an AWS profile.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from crossaccount.stage import processes
from crossaccount_sandbox.accounts import REGION, push_image

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LOCK = ROOT / "tests" / "clients" / "locks" / "prefect-aws.lock"
ENVIRONMENT = ROOT / ".clients" / "prefect-aws"
ACCOUNTS = {"producer": "111111111111", "staging": "222222222222"}
POOLS = {"producer": "ecs-producer", "staging": "ecs-staging"}
SHOWN = ("prefect", "prefect-aws", "boto3", "botocore")


def until(what: str, look: Callable[[], Any], seconds: float = 600) -> Any:
    """What looking finds, as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.3)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


def installed() -> Path:
    """The Python of the workers' environment, made anew when its lock has changed."""
    mark = ENVIRONMENT / ".installed"
    digest = hashlib.sha256(sys.version.encode() + LOCK.read_bytes()).hexdigest()
    python = ENVIRONMENT / "bin" / "python"
    if not mark.is_file() or mark.read_text() != digest:
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
        quiet = ["--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([python, "-m", "pip", "install", *quiet, "-r", LOCK], check=True)
        mark.write_text(digest)
    return python


def versions(python: Path) -> dict[str, str]:
    """The versions of the pieces in an environment."""
    program = (
        "from importlib.metadata import distributions; import json, sys; "
        "print(json.dumps({d.name: d.version for d in distributions() if d.name in sys.argv[1:]}))"
    )
    said = subprocess.run([python, "-c", program, *SHOWN], capture_output=True, text=True, check=True).stdout
    return dict(json.loads(said))


@dataclass
class Ecs:
    """What runs, and the means to look at it."""

    ready: dict[str, Any]
    api: str
    folder: Path
    log: Path

    def client(self, account: str, service: str) -> Any:
        """A client of the account's administrator."""
        key = self.ready["accounts"][account]
        session: Any = boto3.session.Session(key["access_key_id"], key["secret_access_key"])
        return session.client(service, region_name=REGION, endpoint_url=self.ready["endpoint_url"])

    def ask(self, path: str, body: Any = None) -> Any:
        """What the Prefect server's API answers; with 503, the database being locked, it has done nothing and is asked again."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.api + path, data, {"Content-Type": "application/json"})
        while True:
            try:
                with urllib.request.urlopen(request, timeout=120) as answer:
                    return json.loads(answer.read() or "null")
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise
                time.sleep(1)

    def start(self, name: str, **parameters: Any) -> str:
        """Start a run of a deployment, FLOW/NAME, and give its id."""
        deployment = self.ask(f"/deployments/name/{name}")["id"]
        return str(self.ask(f"/deployments/{deployment}/create_flow_run", {"parameters": parameters})["id"])

    def until(self, what: str, look: Callable[[], Any]) -> Any:
        """What looking finds, as soon as it finds something."""
        return until(what, look)

    def run(self, run: str) -> Any:
        return self.ask(f"/flow_runs/{run}")

    def ended(self, run: str) -> Any:
        """A run, once it has ended."""
        over = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
        return until(f"{run} ends", lambda: (found := self.run(run))["state_type"] in over and found)

    def task_of(self, account: str, run: str) -> dict[str, Any] | None:
        """The ECS task that a flow run is, by its overrides' PREFECT__FLOW_RUN_ID."""
        ecs = self.client(account, "ecs")
        for status in ("RUNNING", "STOPPED"):
            listed = ecs.list_tasks(cluster="prefect", desiredStatus=status)["taskArns"]
            for task in ecs.describe_tasks(cluster="prefect", tasks=listed)["tasks"] if listed else ():
                given = [
                    *(override.get("environment", ()) for override in task["overrides"]["containerOverrides"])
                ]
                if any(each["value"] == run for variables in given for each in variables):
                    return dict(task)
        return None

    def printed(self, account: str) -> str:
        """What the tasks of an account have printed, for a failure."""
        events = self.client(account, "logs").filter_log_events(logGroupName="prefect")["events"]
        return "\n".join(event["message"] for event in events)

    def calls(self) -> list[dict[str, Any]]:
        """The sandbox's log."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def table(self) -> str:
        """Who called what with which role, since the setting was made."""
        rows: Counter[tuple[str, str, str]] = Counter()
        for entry in self.calls():
            caller = str(entry["caller"] or "")
            if caller.endswith((":user/administrator", ":user/operator")):
                continue
            role = "/".join(caller.split(":", 4)[-1].split("/")[:2])
            rows[role, f"{entry['service']}:{entry['operation']}", entry["code"] or "allowed"] += 1
        lines = [
            f"| {role} | {call} | {code} | {count} |" for (role, call, code), count in sorted(rows.items())
        ]
        return "\n".join(["| who | what | answer | times |", "|---|---|---|---|", *lines])


def _trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _allow(*statements: tuple[list[str], str | list[str], dict[str, Any]]) -> str:
    listed = [
        {"Effect": "Allow", "Action": actions, "Resource": on, **({"Condition": when} if when else {})}
        for actions, on, when in statements
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": listed})


def settle(world: Ecs, account: str) -> dict[str, str]:
    """What an account needs for flow runs in ECS; the variables with which its worker calls AWS.

    A cluster; the task role, which may do what the template's operator policy says; the execution role; an image; and a user for the
    worker, which may run tasks of this cluster with these two roles and nothing else.
    """
    number, side = ACCOUNTS[account], "producer" if account == "producer" else "consumer"
    iam, ecr = world.client(account, "iam"), world.client(account, "ecr")
    world.client(account, "ecs").create_cluster(clusterName="prefect")
    roles = f"arn:aws:iam::{number}:role"
    for role in ("crossaccount-flows", "crossaccount-ecs"):
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=_trust("ecs-tasks.amazonaws.com"))
    operator = f"arn:aws:iam::{number}:policy/crossaccount-{side}-operator"
    iam.attach_role_policy(RoleName="crossaccount-flows", PolicyArn=operator)
    pulls = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    logs = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    execution = _allow(([*pulls, "ecr:GetAuthorizationToken", *logs], "*", {}))
    iam.put_role_policy(RoleName="crossaccount-ecs", PolicyName="launch", PolicyDocument=execution)
    ecr.create_repository(repositoryName="crossaccount")
    push_image(ecr, "crossaccount", "0.1.0")
    cluster = {"ArnEquals": {"ecs:cluster": f"arn:aws:ecs:{REGION}:{number}:cluster/prefect"}}
    passed = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    worker = _allow(
        (["ecs:RegisterTaskDefinition", "ecs:DescribeTaskDefinition"], "*", {}),
        (["ecs:RunTask", "ecs:StopTask"], "*", cluster),
        (["ecs:TagResource"], "*", {}),
        (["ec2:DescribeVpcs", "ec2:DescribeSubnets"], "*", {}),
        (["iam:PassRole"], [f"{roles}/crossaccount-flows", f"{roles}/crossaccount-ecs"], passed),
    )
    iam.create_user(UserName="prefect-worker")
    iam.put_user_policy(UserName="prefect-worker", PolicyName="run", PolicyDocument=worker)
    key = iam.create_access_key(UserName="prefect-worker")["AccessKey"]
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": world.ready["endpoint_url"],
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def write_config(folder: Path) -> None:
    """The config of the sandbox with one consumer, without a profile anywhere: the ambient credentials are the task role's."""
    config = yaml.safe_load((ROOT / "configs" / "sandbox-workers.yaml").read_text())
    config["consumers"] = {"staging": config["consumers"]["staging"]}
    for side in (config["producer"], config["consumers"]["staging"]):
        del side["profile"]
    (folder / "ecs.yaml").write_text(yaml.safe_dump(config))


def write_deployments(folder: Path, configs: Path, api: str) -> Path:
    """``prefect.yaml`` with what each pool's tasks are, as job variables."""
    document = yaml.safe_load((HERE / "prefect.yaml").read_text())
    for deployment in document["deployments"]:
        account = "producer" if deployment["work_pool"]["name"] == POOLS["producer"] else "staging"
        number = ACCOUNTS[account]
        deployment["work_pool"]["job_variables"] = {
            "image": f"{number}.dkr.ecr.{REGION}.amazonaws.com/crossaccount:0.1.0",
            "cluster": "prefect",
            "task_role_arn": f"arn:aws:iam::{number}:role/crossaccount-flows",
            "execution_role_arn": f"arn:aws:iam::{number}:role/crossaccount-ecs",
            "configure_cloudwatch_logs": True,
            "env": {
                "PREFECT_API_URL": api,
                "CROSSACCOUNT_CONFIGS": str(configs),
                "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
            },
        }
    file = folder / "prefect.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


@contextmanager
def worker(python: Path, folder: Path, pool: str, env: dict[str, str]) -> Iterator[None]:
    """A worker of prefect-aws; nothing of this process's AWS is in its environment."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [str(python), "-m", "prefect", "worker", "start", "--type", "ecs", "--pool", pool]
    with (
        (folder / f"{pool}.log").open("w") as log,
        processes.tied(command, stdout=log, stderr=log, env={**bare, **env}, cwd=folder),
    ):
        yield


@pytest.fixture(scope="module")
def ecs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ecs]:
    python, folder = installed(), tmp_path_factory.mktemp("ecs")
    port, log, images = processes.free_port(), folder / "calls.jsonl", folder / "images.yaml"
    configs = folder / "configs"
    configs.mkdir()
    write_config(configs)
    # What the image is: this environment, with the project in it. Its command is run by the container's own words.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"
    images.write_text(
        yaml.safe_dump([{"image": "crossaccount", "command": ["env"], "environment": {"PATH": path}}])
    )
    prefect = {
        **processes.prefect_settings(folder, port),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_INTEGRATIONS_AWS_ECS_OBSERVER_ENABLED": "false",  # it reads EventBridge's events from SQS
        "CROSSACCOUNT_CONFIGS": str(configs),
    }
    options = (
        "--log",
        str(log),
        "--image-commands",
        str(images),
        "--endpoint-seconds",
        "8",
        "--speed",
        "100",
    )
    with ExitStack() as stack:
        stack.enter_context(processes.prefect_server(folder, port, prefect))
        ready = stack.enter_context(processes.sandbox(*options, "--task-session-seconds", "960"))
        world = Ecs(ready, prefect["PREFECT_API_URL"], folder, log)
        processes.wait_for(f"{world.api}/health", "The Prefect server")
        for account, pool in POOLS.items():
            stack.enter_context(worker(python, folder, pool, {**prefect, **settle(world, account)}))
        for pool in POOLS.values():
            processes.wait_for(f"{world.api}/work_pools/{pool}", f"The worker of {pool}")
        file = write_deployments(folder, configs, world.api)
        deploy = [
            sys.executable,
            "-m",
            "prefect",
            "--no-prompt",
            "deploy",
            "--all",
            "--prefect-file",
            str(file),
        ]
        made = subprocess.run(
            deploy, env={**os.environ, **prefect}, cwd=folder, capture_output=True, text=True, check=False
        )
        assert made.returncode == 0, made.stdout + made.stderr
        yield world
        print(f"\nworkers: {versions(python)}\ntasks: {versions(Path(sys.executable))}\n\n{world.table()}")
