"""CloudWatch Logs has what the containers of endpoints printed, where their execution role may write it, for who may read it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount_sandbox.accounts import push_image
from crossaccount_sandbox.training import tar_gz, train
from crossaccount_sandbox.world import ContainerOutput, utc_now

ACCOUNT, REGION = "111111111111", "us-east-1"
GROUP, STREAM = "/aws/sagemaker/Endpoints/printing", "a/i-1"
ARN = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}"
WRITES = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
LINES = [
    "starting up",
    "[ERROR 400] BAD REQUEST",
    "[ERROR 419] MISSING ARGUMENTS",
    "UNAUTHORIZED",
    "ready: true",
    "error",
]


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions: Any, resource: Any = "*") -> str:
    return policy({"Effect": "Allow", "Action": actions, "Resource": resource})


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call()
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


@pytest.fixture(scope="module")
def iam(inner: Any) -> Any:
    client = inner.client("producer", "iam")
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    client.create_role(RoleName="execution", AssumeRolePolicyDocument=policy(trust))
    return client


@pytest.fixture
def may(iam: Any) -> Iterator[Callable[[str], None]]:
    def give(document: str) -> None:
        iam.put_role_policy(RoleName="execution", PolicyName="may", PolicyDocument=document)

    yield give
    give(allow("*"))


@pytest.fixture(scope="module")
def logs(inner: Any, iam: Any) -> Any:
    iam.put_role_policy(RoleName="execution", PolicyName="may", PolicyDocument=allow("*"))
    return inner.client("producer", "logs")


@pytest.fixture
def prints(inner: Any, logs: Any, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Prints lines as containers of an endpoint do, each stream into its own file."""
    paths: dict[str, Path] = {}

    def write(text: str, stream: str = STREAM) -> None:
        if stream not in paths:
            paths[stream] = tmp_path / f"{len(paths)}.log"
            paths[stream].touch()
        with paths[stream].open("a") as file:
            file.write(text)
        world = inner.server.world
        if not any(output.path == paths[stream] for output in world.outputs):
            role = f"arn:aws:iam::{ACCOUNT}:role/execution"
            endpoint = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/printing"
            world.endpoints[(ACCOUNT, REGION), "printing"] = {
                "EndpointArn": endpoint,
                "EndpointName": "printing",
            }
            world.outputs.append(ContainerOutput(endpoint, stream, paths[stream], utc_now(), role))

    yield write
    inner.server.world.endpoints.pop(((ACCOUNT, REGION), "printing"), None)
    with contextlib.suppress(logs.exceptions.ResourceNotFoundException):
        logs.delete_log_group(logGroupName=GROUP)


def messages(answer: Any) -> list[str]:
    return [event["message"] for event in answer["events"]]


def found(logs: Any, **more: Any) -> list[str]:
    return messages(logs.filter_log_events(logGroupName=GROUP, **more))


def test_lines_are_events_whole_and_in_order(logs: Any, prints: Callable[..., None]) -> None:
    prints("first\n\nsecond\r\nthi")
    assert found(logs)[:2] == ["first", "second"]
    prints("no newline", "a/i-2")
    time.sleep(0.6)
    assert set(found(logs)) == {"first", "second", "thi", "no newline"}
    assert found(logs, logStreamNames=["a/i-2"]) == ["no newline"]
    assert found(logs, logStreamNamePrefix="a/i-1") == ["first", "second", "thi"]
    streams = logs.describe_log_streams(logGroupName=GROUP)["logStreams"]
    assert [stream["logStreamName"] for stream in streams] == ["a/i-1", "a/i-2"]
    latest = logs.describe_log_streams(logGroupName=GROUP, orderBy="LastEventTime", descending=True, limit=1)
    assert [stream["logStreamName"] for stream in latest["logStreams"]] == ["a/i-2"]


def test_events_of_several_streams_come_as_they_were_written(logs: Any, prints: Callable[..., None]) -> None:
    for number in range(4):
        prints(f"{number}\n", f"a/i-{number % 2}")
        assert found(logs) == [str(each) for each in range(number + 1)]
    assert found(logs, logStreamNames=["a/i-1"], filterPattern="3") == ["3"]
    assert (
        refused(lambda: found(logs, logStreamNames=["a/i-2"]))[1]
        == "The specified log stream does not exist."
    )
    both = {"logStreamNames": ["a/i-1"], "logStreamNamePrefix": "a"}
    assert refused(lambda: found(logs, **both))[0] == "InvalidParameterException"


@pytest.mark.parametrize(
    ("pattern", "lines"),
    [
        ("", LINES),
        ("ERROR", [1, 2]),
        ("ERROR ARGUMENTS", [2]),
        ("ERROR -ARGUMENTS", [1]),
        ("?starting ?error", [0, 5]),
        ('"ERROR 400"', [1]),
        ('-"ERROR 400" -"ERROR 419"', [0, 3, 4, 5]),
        ('"ready: true"', [4]),
        ("AUTHORIZED", []),
        ("%AUTHORIZED%", [3]),
        ("%ERROR 4[0-9]+%", None),
        ("%ERR.R.41%", [2]),
        ("nothing", []),
        ("ready: true", None),
        ("*", None),
        ('{ $.level = "error" }', None),
        ("[first, second]", None),
        ('"open', None),
    ],
)
def test_patterns(logs: Any, prints: Callable[..., None], pattern: str, lines: Any) -> None:
    prints("".join(f"{line}\n" for line in LINES))
    if lines is None:
        code, text = refused(lambda: found(logs, filterPattern=pattern))
        assert code == "InvalidParameterException"
        assert "Invalid character(s) in term" in text or "The sandbox knows filter patterns of terms" in text
    else:
        wanted = [LINES[line] if isinstance(line, int) else line for line in lines]
        assert found(logs, filterPattern=pattern) == wanted


def test_pages_lead_on_in_both_directions(logs: Any, prints: Callable[..., None]) -> None:
    prints("".join(f"{number}\n" for number in range(7)))
    at = {"logGroupName": GROUP, "logStreamName": STREAM, "limit": 3}
    last = logs.get_log_events(**at)
    assert messages(last) == ["4", "5", "6"]
    before = logs.get_log_events(**at, nextToken=last["nextBackwardToken"])
    assert messages(before) == ["1", "2", "3"]
    again = logs.get_log_events(**at, nextToken=before["nextForwardToken"])
    assert messages(again) == ["4", "5", "6"]
    end = logs.get_log_events(**at, nextToken=again["nextForwardToken"])
    assert (messages(end), end["nextForwardToken"]) == ([], again["nextForwardToken"])
    prints("7\n")
    assert messages(logs.get_log_events(**at, nextToken=end["nextForwardToken"])) == ["7"]
    head = logs.get_log_events(**at, startFromHead=True)
    assert messages(head) == ["0", "1", "2"]
    start = logs.get_log_events(**at, nextToken=head["nextBackwardToken"])
    assert (messages(start), start["nextBackwardToken"]) == ([], head["nextBackwardToken"])
    paged = logs.get_paginator("filter_log_events").paginate(
        logGroupName=GROUP, PaginationConfig={"PageSize": 3}
    )
    assert [messages(page) for page in paged] == [["0", "1", "2"], ["3", "4", "5"], ["6", "7"]]
    newest = logs.filter_log_events(logGroupName=GROUP, startFromHead=False, limit=2)
    assert messages(newest) == ["7", "6"]
    assert found(logs, nextToken=newest["nextToken"], limit=2) == ["5", "4"]


def test_a_time_range(inner: Any, logs: Any, prints: Callable[..., None]) -> None:
    world, now = inner.server.world, datetime.now(UTC)
    world.clock = lambda: now
    try:
        prints("early\n")
        assert found(logs) == ["early"]
        world.clock = lambda: now + timedelta(seconds=10)
        prints("late\n")
        assert found(logs) == ["early", "late"]
        early, late = (event["timestamp"] for event in logs.filter_log_events(logGroupName=GROUP)["events"])
    finally:
        world.clock = utc_now
    assert late - early == 10_000
    assert found(logs, startTime=early + 1) == ["late"]
    assert found(logs, endTime=early) == ["early"]
    at = {"logGroupName": GROUP, "logStreamName": STREAM}
    assert messages(logs.get_log_events(**at, endTime=early)) == []
    assert messages(logs.get_log_events(**at, startTime=early, endTime=late)) == ["early"]


@pytest.mark.parametrize("missing", WRITES)
def test_what_the_role_may_not_write_is_not_there(
    logs: Any, may: Callable[[str], None], prints: Callable[..., None], missing: str
) -> None:
    may(allow([action for action in WRITES if action != missing]))
    prints("lost\n")
    assert refused(lambda: found(logs)) == (
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    )
    may(allow(list(WRITES), f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/*"))
    prints("kept\n")
    assert found(logs) == ["kept"]


def test_a_role_without_a_place_for_other_groups(
    logs: Any, may: Callable[[str], None], prints: Callable[..., None]
) -> None:
    may(allow(list(WRITES), f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/Endpoints/other*"))
    prints("lost\n")
    assert refused(lambda: found(logs))[0] == "ResourceNotFoundException"


READS: dict[str, Callable[[Any], Any]] = {
    "FilterLogEvents": lambda logs: logs.filter_log_events(logGroupName=GROUP),
    "DescribeLogStreams": lambda logs: logs.describe_log_streams(logGroupIdentifier=ARN),
    "GetLogEvents": lambda logs: logs.get_log_events(logGroupName=GROUP, logStreamName=STREAM),
    "DescribeLogGroups": lambda logs: logs.describe_log_groups(),
}


@pytest.mark.parametrize("action", READS)
def test_each_read_needs_its_own_action_on_the_group(
    inner: Any, logs: Any, prints: Callable[..., None], action: str
) -> None:
    prints("a line\n")
    others = [f"logs:{name}" for name in READS if name != action]
    groups = action == "DescribeLogGroups"
    for actions, resource in ((others, "*"), (f"logs:{action}", ARN), (f"logs:{action}", f"{ARN}x:*")):
        client = inner.session("producer", "logs", allow(actions, resource))
        code, text = refused(lambda client=client: READS[action](client))
        assert code == "AccessDeniedException"
        assert f"logs:{action} on resource: arn:aws:logs:{REGION}:{ACCOUNT}:log-group:" in text
    granted = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:*" if groups else f"{ARN}:*"
    READS[action](inner.session("producer", "logs", allow(f"logs:{action}", granted)))


def test_one_account_s_logs_are_its_own(inner: Any, logs: Any, prints: Callable[..., None]) -> None:
    prints("a line\n")
    assert found(logs) == ["a line"]
    theirs = inner.client("staging", "logs")
    assert refused(lambda: found(theirs))[0] == "ResourceNotFoundException"
    assert refused(lambda: theirs.filter_log_events(logGroupIdentifier=ARN))[0] == "AccessDeniedException"
    assert theirs.describe_log_groups()["logGroups"] == []
    assert refused(lambda: logs.create_log_group(logGroupName="x"))[0] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("archive", "status", "said"),
    [
        (train(1).archive, "InService", "POST /invocations HTTP/1.1"),
        (tar_gz({"model.joblib": b"none"}), "Failed", "model server: model.joblib cannot be loaded"),
    ],
)
def test_an_endpoint_s_log_has_what_its_container_printed(
    inner: Any, logs: Any, archive: bytes, status: str, said: str
) -> None:
    s3, ecr, sm = (inner.client("producer", service) for service in ("s3", "ecr", "sagemaker"))
    name = f"Printing-{status}"
    s3.create_bucket(Bucket=name.lower())
    s3.put_object(Bucket=name.lower(), Key="model.tar.gz", Body=archive)
    ecr.create_repository(repositoryName=name.lower())
    push_image(ecr, name.lower(), "1")
    image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{name.lower()}:1"
    container = {"Image": image, "ModelDataUrl": f"s3://{name.lower()}/model.tar.gz"}
    role = f"arn:aws:iam::{ACCOUNT}:role/execution"
    sm.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role)
    variant = {
        "VariantName": "blue",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sm.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sm.create_endpoint(EndpointName=name, EndpointConfigName=name)
    deadline = time.monotonic() + 30
    while (
        sm.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Creating"
        and time.monotonic() < deadline
    ):
        time.sleep(0.05)
    assert sm.describe_endpoint(EndpointName=name)["EndpointStatus"] == status
    if status == "InService":
        runtime = inner.client("producer", "sagemaker-runtime")
        runtime.invoke_endpoint(
            EndpointName=name, ContentType="text/csv", Body="6.3,3.3,6.0,2.5\n5.1,3.5,1.4,0.2"
        )
    sm.delete_endpoint(EndpointName=name)
    group = f"/aws/sagemaker/Endpoints/{name}"
    answer = logs.filter_log_events(logGroupName=group)
    assert any(said in message for message in messages(answer))
    assert {event["logStreamName"].partition("/i-")[0] for event in answer["events"]} == {"blue"}
    logs.delete_log_group(logGroupName=group)
    assert refused(lambda: logs.filter_log_events(logGroupName=group))[0] == "ResourceNotFoundException"
