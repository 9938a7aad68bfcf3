"""Amazon ECS: who may run a task with which roles, what a task's process gets, and how it ends."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount_sandbox.accounts import push_image
from crossaccount_sandbox.ecs.processes import TaskProcess

ACCOUNT, REGION = "111111111111", "us-east-1"
ROLES = f"arn:aws:iam::{ACCOUNT}:role"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/flows:1"
CLUSTER = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/prefect"
DEFINITIONS = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition"
TASKS = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/prefect"
SECONDS = 60.0
# As a program of a container would: it finds its credentials by boto3's default chain, and no profile.
WHO = """
import boto3, json, os, time
session = boto3.Session()
sts = session.client("sts")
keys = []
for _ in range(3):
    who = sts.get_caller_identity()["Arn"]
    keys.append(session.get_credentials().get_frozen_credentials().access_key)
    time.sleep(1.2)
kept = [name for name in os.environ if name.startswith("AWS_")]
print(json.dumps({"who": who, "method": session.get_credentials().method, "names": sorted(kept),
                  "home": os.listdir(os.environ["HOME"]), "keys": len(set(keys)), "GIVEN": os.environ.get("GIVEN")}))
"""


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **more}


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call()
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def trust(service: str, **condition: Any) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return policy({**statement, **condition})


@pytest.fixture(scope="module")
def ecs(inner: Any) -> Any:
    """A client that may do everything, in an account with a cluster, roles, an image and a log group."""
    iam, client = inner.client("producer", "iam"), inner.client("producer", "ecs")
    source = {"Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:*"}}}
    for name, document in (
        ("flows", trust("ecs-tasks.amazonaws.com", **source)),
        ("launch", trust("ecs-tasks.amazonaws.com")),
        ("elsewhere", trust("sagemaker.amazonaws.com")),
    ):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
    may = [
        *("ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage"),
        *("ecr:GetDownloadUrlForLayer", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
    ]
    iam.put_role_policy(RoleName="launch", PolicyName="launch", PolicyDocument=policy(allow(may)))
    ecr = inner.client("producer", "ecr")
    ecr.create_repository(repositoryName="flows")
    push_image(ecr, "flows", "1")
    client.create_cluster(clusterName="prefect")
    return client


def definition(program: str = "pass", **more: Any) -> dict[str, Any]:
    """A task definition whose container runs a Python program."""
    options = {"awslogs-group": "flows", "awslogs-region": REGION, "awslogs-create-group": "true"}
    container = {
        "name": "main",
        "image": IMAGE,
        "command": [sys.executable, "-c", program],
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {**options, "awslogs-stream-prefix": "it"},
        },
        **more.pop("container", {}),
    }
    return {
        "family": "flow",
        "taskRoleArn": f"{ROLES}/flows",
        "executionRoleArn": f"{ROLES}/launch",
        "networkMode": "awsvpc",
        "cpu": "256",
        "memory": "512",
        "requiresCompatibilities": ["FARGATE"],
        "containerDefinitions": [container],
        **more,
    }


def registered(ecs: Any, program: str = "pass", **more: Any) -> str:
    arn = ecs.register_task_definition(**definition(program, **more))["taskDefinition"]["taskDefinitionArn"]
    return str(arn)


def asked(inner: Any, arn: str, **more: Any) -> dict[str, Any]:
    """A request for a task in the default network."""
    subnets = inner.client("producer", "ec2").describe_subnets()["Subnets"]
    network = {"subnets": [subnet["SubnetId"] for subnet in subnets], "assignPublicIp": "ENABLED"}
    return {
        "cluster": "prefect",
        "taskDefinition": arn,
        "launchType": "FARGATE",
        "networkConfiguration": {"awsvpcConfiguration": network},
        **more,
    }


def run(inner: Any, ecs: Any, arn: str, **more: Any) -> str:
    ran = ecs.run_task(**asked(inner, arn, **more))
    assert ran["failures"] == []
    assert (ran["tasks"][0]["lastStatus"], ran["tasks"][0]["desiredStatus"]) == ("PROVISIONING", "RUNNING")
    return str(ran["tasks"][0]["taskArn"])


def until(ecs: Any, task: str, status: str) -> dict[str, Any]:
    """The task when it has come so far."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found: dict[str, Any] = ecs.describe_tasks(cluster="prefect", tasks=[task])["tasks"][0]
        if found["lastStatus"] == status:
            return found
        assert found["lastStatus"] != "STOPPED", found
        time.sleep(0.05)
    raise AssertionError(f"not {status}: {found}")


def printed(inner: Any, task: str) -> list[str]:
    logs = inner.client("producer", "logs")
    stream = f"it/main/{task.rpartition('/')[2]}"
    return [
        event["message"]
        for event in logs.get_log_events(logGroupName="flows", logStreamName=stream)["events"]
    ]


def test_a_process_has_the_task_role_and_nothing_of_the_machine(
    inner: Any, ecs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its credentials come from the address that it is given, and are new ones before the session's end."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the machine's")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the machine's")
    monkeypatch.setattr(inner.server._tasks._credentials, "_seconds", 901.0)  # boto3 asks anew from 900 on
    environment = [{"name": "GIVEN", "value": "by the definition"}]
    task = run(inner, ecs, registered(ecs, WHO, container={"environment": environment}))
    over = until(ecs, task, "STOPPED")
    assert (over["stopCode"], over["stoppedReason"]) == (
        "EssentialContainerExited",
        "Essential container in task exited",
    )
    assert over["containers"][0]["exitCode"] == 0, printed(inner, task)
    said = json.loads(printed(inner, task)[-1])
    assert said["who"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/flows/{task.rpartition('/')[2]}"
    assert (said["method"], said["home"], said["GIVEN"]) == ("container-role", [], "by the definition")
    assert said["keys"] > 1
    assert "AWS_PROFILE" not in said["names"]
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SHARED_CREDENTIALS_FILE"} & {*said["names"]}
    called = [entry for entry in inner.entries if entry["caller"] == said["who"]]
    assert {(entry["operation"], entry["status"]) for entry in called} == {("GetCallerIdentity", 200)}


def test_the_request_overrides_command_variables_and_role(inner: Any, ecs: Any) -> None:
    inner.client("producer", "iam").create_role(
        RoleName="other", AssumeRolePolicyDocument=trust("ecs-tasks.amazonaws.com")
    )
    program = "import boto3, os; print(boto3.client('sts').get_caller_identity()['Arn'], os.environ['A'], os.environ['B'])"
    values = [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]
    override = {
        "name": "main",
        "command": [sys.executable, "-c", program],
        "environment": [{"name": "B", "value": "2"}],
    }
    task = run(
        inner,
        ecs,
        registered(ecs, "raise SystemExit(9)", container={"environment": values}),
        overrides={"containerOverrides": [override], "taskRoleArn": f"{ROLES}/other"},
        startedBy="a worker",
    )
    assert until(ecs, task, "STOPPED")["containers"][0]["exitCode"] == 0, printed(inner, task)
    who, *values_seen = printed(inner, task)[-1].split()
    assert (who.split("/")[1], values_seen) == ("other", ["1", "2"])


@pytest.mark.parametrize(
    ("program", "code", "seconds"),
    [
        ("import time; print('up', flush=True); time.sleep(600)", 143, (0.0, 5.0)),
        (
            "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(7)); print('up', flush=True); time.sleep(600)",
            7,
            (0.0, 5.0),
        ),
        (
            "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
            137,
            (2.0, 20.0),
        ),
    ],
    ids=["ends", "cleans up", "does not listen"],
)
def test_a_task_is_stopped_by_a_signal_and_then_by_force(
    inner: Any, ecs: Any, program: str, code: int, seconds: tuple[float, float]
) -> None:
    task = run(inner, ecs, registered(ecs, program, container={"stopTimeout": 2}))
    until(ecs, task, "RUNNING")
    while not printed(inner, task):
        time.sleep(0.05)
    asked_at = time.monotonic()
    shown = ecs.stop_task(cluster="prefect", task=task, reason="by hand")["task"]
    assert (shown["desiredStatus"], shown["lastStatus"]) == ("STOPPED", "RUNNING")
    over = until(ecs, task, "STOPPED")
    assert seconds[0] <= time.monotonic() - asked_at <= seconds[1] + 10
    assert (over["stopCode"], over["stoppedReason"]) == ("UserInitiated", "by hand")
    assert over["containers"][0]["exitCode"] == code
    assert task in ecs.list_tasks(cluster="prefect", desiredStatus="STOPPED")["taskArns"]
    assert task not in ecs.list_tasks(cluster="prefect")["taskArns"]


def test_a_container_that_is_stopped_while_it_starts_leaves_nothing() -> None:
    for step in range(40):
        printed: list[str] = []
        process = TaskProcess(
            [sys.executable, "-Sc", "import time; time.sleep(600)"], {}, None, printed.append
        )
        time.sleep(step / 400)  # from before the keeper runs until after its command does
        process.stop(5)
        ended = threading.Thread(target=process.wait, daemon=True)
        ended.start()
        ended.join(20)
        assert not ended.is_alive(), f"stopped after {step / 400} s, something of it still runs"


def test_what_a_container_leaves_behind_ends_with_it(inner: Any, ecs: Any, tmp_path: Path) -> None:
    """Also what took a session of its own, as a container's processes do when its first one ends."""
    file = tmp_path / "pid"
    child = f"import os, time; open({str(file)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    program = (
        f"import os, subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True)\n"
        f"while not os.path.exists({str(file)!r}) or not open({str(file)!r}).read(): time.sleep(.01)"
    )
    until(ecs, run(inner, ecs, registered(ecs, program)), "STOPPED")
    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text()), 0)


def test_a_stopped_task_gets_no_further_credentials(inner: Any, ecs: Any, tmp_path: Path) -> None:
    import urllib.error
    import urllib.request

    file = tmp_path / "where"
    program = (
        f"import os; open({str(file)!r}, 'w').write(os.environ['AWS_CONTAINER_CREDENTIALS_FULL_URI'] + ' '"
        " + os.environ['AWS_CONTAINER_AUTHORIZATION_TOKEN']); import time; time.sleep(600)"
    )
    task = run(inner, ecs, registered(ecs, program, container={"stopTimeout": 2}))
    while not (file.exists() and " " in file.read_text()):
        time.sleep(0.05)
    url, token = file.read_text().split()

    def status(given: str) -> int:
        request = urllib.request.Request(url, headers={"Authorization": given})
        try:
            with urllib.request.urlopen(request) as answer:
                ends = datetime.fromisoformat(json.load(answer)["Expiration"])
                assert ends > datetime.now(UTC)
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert (status(token), status("another")) == (200, 401)
    ecs.stop_task(cluster="prefect", task=task)
    until(ecs, task, "STOPPED")
    assert status(token) == 404


NETWORK = "Network Configuration must be provided when networkMode 'awsvpc' is specified."
ASSUME = (
    "ECS was unable to assume the role '{}' that was provided for this task. Please verify that the role being passed has the "
    "proper trust relationship and permissions and that your IAM user has permissions to pass this role."
)


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"cluster": "other"}, "ClusterNotFoundException", "Cluster not found."),
        ({"taskDefinition": "nobody"}, "ClientException", "TaskDefinition not found."),
        ({"networkConfiguration": None}, "InvalidParameterException", NETWORK),
        (
            {"launchType": "EC2"},
            "InvalidParameterException",
            "No Container Instances were found in your cluster.",
        ),
        (
            {"overrides": {"taskRoleArn": f"{ROLES}/elsewhere"}},
            "ClientException",
            ASSUME.format(f"{ROLES}/elsewhere"),
        ),
        ({"overrides": {"taskRoleArn": f"{ROLES}/none"}}, "ClientException", ASSUME.format(f"{ROLES}/none")),
        (
            {"overrides": {"taskRoleArn": "arn:aws:iam::222222222222:role/flows"}},
            "ClientException",
            "Cross-account pass role is not allowed.",
        ),
        (
            {"overrides": {"containerOverrides": [{"name": "nobody"}]}},
            "InvalidParameterException",
            "Override for container named nobody is not a container in the TaskDefinition.",
        ),
    ],
)
def test_a_task_that_cannot_be_is_refused(
    inner: Any, ecs: Any, change: dict[str, Any], code: str, text: str
) -> None:
    request = {**asked(inner, registered(ecs)), **change}
    wanted = {name: value for name, value in request.items() if value is not None}
    assert refused(lambda: ecs.run_task(**wanted)) == (code, text)


def test_an_inactive_definition_runs_no_more(inner: Any, ecs: Any) -> None:
    arn = registered(ecs)
    assert ecs.deregister_task_definition(taskDefinition=arn)["taskDefinition"]["status"] == "INACTIVE"
    assert refused(lambda: ecs.run_task(**asked(inner, arn))) == (
        "ClientException",
        "TaskDefinition is inactive",
    )
    assert arn not in ecs.list_task_definitions()["taskDefinitionArns"]
    assert ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]["status"] == "INACTIVE"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"cpu": None}, "Fargate requires that 'cpu' be defined at the task level."),
        ({"cpu": "300"}, "No Fargate configuration exists for given values."),
        ({"taskRoleArn": f"{ROLES}/none"}, "Role is not valid"),
        (
            {"executionRoleArn": None},
            "Fargate requires task definition to have execution role ARN to support log driver awslogs.",
        ),
        ({"networkMode": "bridge"}, "Fargate only supports network mode ‘awsvpc’."),  # noqa: RUF001 - AWS's own signs
    ],
)
def test_a_definition_that_cannot_be_is_refused(ecs: Any, change: dict[str, Any], text: str) -> None:
    given = {name: value for name, value in {**definition(), **change}.items() if value is not None}
    assert refused(lambda: ecs.register_task_definition(**given)) == ("ClientException", text)


@pytest.mark.parametrize(
    ("lacks", "begins", "says"),
    [
        (
            "ecr:GetAuthorizationToken",
            "ResourceInitializationError: unable to pull",
            "ecr:GetAuthorizationToken",
        ),
        ("ecr:BatchGetImage", "CannotPullContainerError", "ecr:BatchGetImage"),
        (
            "logs:CreateLogStream",
            "ResourceInitializationError: failed to validate logger args",
            "CreateLogStream",
        ),
    ],
)
def test_a_task_whose_execution_role_lacks_something_does_not_start(
    inner: Any, ecs: Any, lacks: str, begins: str, says: str
) -> None:
    deny = policy({"Effect": "Deny", "Action": lacks, "Resource": "*"})
    iam = inner.client("producer", "iam")
    iam.put_role_policy(RoleName="launch", PolicyName="deny", PolicyDocument=deny)
    try:
        task = run(inner, ecs, registered(ecs))
        deadline = time.monotonic() + SECONDS
        while (over := ecs.describe_tasks(cluster="prefect", tasks=[task])["tasks"][0])[
            "lastStatus"
        ] != "STOPPED":
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        iam.delete_role_policy(RoleName="launch", PolicyName="deny")
    assert over["stopCode"] == "TaskFailedToStart"
    assert over["stoppedReason"].startswith(begins)
    assert says in over["stoppedReason"]
    assert "exitCode" not in over["containers"][0]


RUN = [allow("ecs:RunTask", f"{DEFINITIONS}/flow:*"), allow("ec2:Describe*")]
PASS = {"Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}}


@pytest.mark.parametrize(
    ("statements", "action"),
    [
        ([], "ecs:RunTask"),
        ([allow("ecs:RunTask", f"{DEFINITIONS}/other:*")], "ecs:RunTask"),
        (
            [allow("ecs:RunTask", "*", Condition={"ArnEquals": {"ecs:cluster": f"{CLUSTER}-other"}})],
            "ecs:RunTask",
        ),
        (RUN, "iam:PassRole"),
        ([*RUN, allow("iam:PassRole", f"{ROLES}/flows")], "iam:PassRole"),
        ([*RUN, allow("iam:PassRole", f"{ROLES}/launch")], "iam:PassRole"),
        (
            [
                *RUN,
                allow(
                    "iam:PassRole",
                    "*",
                    Condition={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
                ),
            ],
            "iam:PassRole",
        ),
        ([*RUN, allow("iam:PassRole", [f"{ROLES}/flows", f"{ROLES}/launch"], **PASS)], None),
        (
            [
                allow("ecs:RunTask", "*", Condition={"ArnEquals": {"ecs:cluster": CLUSTER}}),
                allow("iam:PassRole", "*", **PASS),
            ],
            None,
        ),
    ],
)
def test_who_may_run_a_task(
    inner: Any, ecs: Any, statements: list[dict[str, Any]], action: str | None
) -> None:
    request = asked(inner, registered(ecs))
    may = policy(*(statements or [allow("sts:GetCallerIdentity")]))
    client = inner.session("producer", "ecs", may)
    if action is None:
        until(ecs, client.run_task(**request)["tasks"][0]["taskArn"], "STOPPED")
        return
    code, text = refused(lambda: client.run_task(**request))
    assert code == "AccessDeniedException"
    assert f"is not authorized to perform: {action} on resource: " in text


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        (allow(["ecs:StopTask", "ecs:DescribeTasks"], f"{TASKS}/*"), True),
        (allow(["ecs:StopTask", "ecs:DescribeTasks"], f"{TASKS}-other/*"), False),
        (allow("ecs:*", "*", Condition={"ArnEquals": {"ecs:cluster": f"{CLUSTER}-other"}}), False),
        (allow("ecs:RunTask"), False),
    ],
)
def test_who_may_see_and_stop_a_task(inner: Any, ecs: Any, statement: dict[str, Any], allowed: bool) -> None:
    task = run(inner, ecs, registered(ecs, "import time; time.sleep(600)", container={"stopTimeout": 2}))
    client = inner.session("producer", "ecs", policy(statement))
    calls = {
        "ecs:DescribeTasks": lambda: client.describe_tasks(cluster="prefect", tasks=[task]),
        "ecs:StopTask": lambda: client.stop_task(cluster="prefect", task=task.rpartition("/")[2]),
    }
    for action, call in calls.items():
        if allowed:
            call()
            continue
        code, text = refused(call)
        assert code == "AccessDeniedException"
        assert f"is not authorized to perform: {action} on resource: {TASKS}/" in text
    ecs.stop_task(cluster="prefect", task=task)
    until(ecs, task, "STOPPED")


def test_registering_asks_for_the_roles_too(inner: Any, ecs: Any) -> None:
    client = inner.session("producer", "ecs", policy(allow("ecs:RegisterTaskDefinition")))
    code, text = refused(lambda: client.register_task_definition(**definition()))
    assert code == "AccessDeniedException"
    assert f"is not authorized to perform: iam:PassRole on resource: {ROLES}/flows" in text


def test_a_task_that_is_not_there_is_missing_and_cannot_be_stopped(ecs: Any) -> None:
    arn = f"{TASKS}/{'0' * 32}"
    assert ecs.describe_tasks(cluster="prefect", tasks=[arn])["failures"] == [
        {"arn": arn, "reason": "MISSING"}
    ]
    assert refused(lambda: ecs.stop_task(cluster="prefect", task=arn)) == (
        "InvalidParameterException",
        "The referenced task was not found.",
    )


def test_the_default_network_is_read_by_who_may(inner: Any) -> None:
    ec2 = inner.client("producer", "ec2")
    vpc = ec2.describe_vpcs(Filters=[{"Name": "isDefault", "Values": ["true"]}])["Vpcs"][0]
    assert vpc["IsDefault"] is True
    filters = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    assert len(ec2.describe_subnets(Filters=filters)["Subnets"]) == 3
    assert ec2.describe_vpcs(Filters=[{"Name": "vpc-id", "Values": ["vpc-0"]}])["Vpcs"] == []
    assert refused(lambda: ec2.describe_vpcs(VpcIds=["vpc-0"])) == (
        "InvalidVpcID.NotFound",
        "The vpc ID 'vpc-0' does not exist",
    )
    nobody = inner.session("producer", "ec2", policy(allow("ecs:*")))
    code, text = refused(nobody.describe_vpcs)
    assert code == "UnauthorizedOperation"
    assert "ec2:DescribeVpcs" in text
