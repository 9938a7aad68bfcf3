"""What AWS answered to calls of CloudWatch Logs."""

import re
import secrets
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from facts import ACCOUNT, LOCALSTACK_LOGS, REGION, SAGEMAKER, Fact, Setting

from crossaccount_sandbox.world import ContainerOutput

GROUP = "/aws/sagemaker/Endpoints/logs-facts"
ARN = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}"
TWO = r"1 validation error detected: Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000"
NO_GROUP, NO_STREAM = (
    r"The specified log group does not exist\.",
    r"The specified log stream does not exist\.",
)


def printed(setting: Setting, ask: Any) -> Any:
    """What an ask is answered once a container has printed a line."""
    logs = setting.inner.client("producer", "logs")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / secrets.token_hex(4)
        path.write_text("a line\n")
        endpoint, now = f"{SAGEMAKER}:endpoint/logs-facts", datetime.now(UTC)
        setting.inner.server.world.outputs.append(
            ContainerOutput(endpoint, "a/i-0", path, now, setting.execution)
        )
        answer = ask(logs)
        logs.delete_log_group(logGroupName=GROUP)
        return answer


def refusal(call: Any) -> dict[str, Any]:
    """The error of a call, in the place of an answer."""
    try:
        call()
    except ClientError as error:
        return {**error.response["Error"], "ResponseMetadata": {"HTTPStatusCode": 200}}
    raise AssertionError("it was answered")


def logs(setting: Setting) -> Any:
    return setting.inner.client("producer", "logs")


FACTS: dict[str, Fact] = {
    "the groups of an account": Fact(
        lambda s: printed(s, lambda logs: logs.describe_log_groups(logGroupNamePrefix=GROUP)), LOCALSTACK_LOGS,
        fields={
            "logGroups/0/arn": f"{ARN}:*", "logGroups/0/logGroupArn": ARN, "logGroups/0/logGroupName": GROUP,
            "logGroups/0/logGroupClass": "STANDARD", "logGroups/0/metricFilterCount": 0, "logGroups/0/storedBytes": 0,
            "logGroups/0/deletionProtectionEnabled": False, "logGroups/0/creationTime": re.compile(r"\d{13}"),
        },
        absent=("logGroups/0/kmsKeyId", "nextToken"),
    ),
    "the groups of an account by a pattern": Fact(
        lambda s: printed(s, lambda logs: logs.describe_log_groups(logGroupNamePattern="logs-facts")), LOCALSTACK_LOGS,
        fields={"logGroups/0/logGroupArn": ARN}, absent=("logGroups/0/storedBytes", "logGroups/0/deletionProtectionEnabled"),
    ),
    "groups by a prefix and a pattern": Fact(
        lambda s: logs(s).describe_log_groups(logGroupNamePrefix="a", logGroupNamePattern="a"), LOCALSTACK_LOGS,
        "InvalidParameterException", r"LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters\.", 400,
    ),
    "the streams of a group": Fact(
        lambda s: printed(s, lambda logs: logs.describe_log_streams(logGroupName=GROUP)), LOCALSTACK_LOGS,
        fields={
            "logStreams/0/arn": f"{ARN}:log-stream:a/i-0", "logStreams/0/logStreamName": "a/i-0", "logStreams/0/storedBytes": 0,
            "logStreams/0/creationTime": re.compile(r"\d{13}"),
        },
    ),
    "the streams of a group by its ARN": Fact(
        lambda s: printed(s, lambda logs: logs.describe_log_streams(logGroupIdentifier=ARN)), LOCALSTACK_LOGS,
        fields={"logStreams/0/logStreamName": "a/i-0"},
    ),
    "the streams of a group by its name and its ARN": Fact(
        lambda s: logs(s).describe_log_streams(logGroupName=GROUP, logGroupIdentifier=ARN), LOCALSTACK_LOGS,
        "ValidationException", r"LogGroup name and LogGroup ARN are mutually exclusive parameters\.", 400,
    ),
    "the streams of a group that is not there": Fact(
        lambda s: logs(s).describe_log_streams(logGroupName="none"), LOCALSTACK_LOGS, "ResourceNotFoundException", NO_GROUP, 400,
    ),
    "events of a group that is not there": Fact(
        lambda s: logs(s).get_log_events(logGroupName="none", logStreamName="none"), LOCALSTACK_LOGS,
        "ResourceNotFoundException", NO_GROUP, 400,
    ),
    "events of a stream that is not there": Fact(
        lambda s: printed(s, lambda logs: refusal(lambda: logs.get_log_events(logGroupName=GROUP, logStreamName="none"))),
        LOCALSTACK_LOGS, fields={"Code": "ResourceNotFoundException", "Message": re.compile(NO_STREAM)},
    ),
    "events with a token that is none": Fact(
        lambda s: printed(
            s, lambda logs: refusal(lambda: logs.get_log_events(logGroupName=GROUP, logStreamName="a/i-0", nextToken="none"))),
        LOCALSTACK_LOGS,
        fields={"Code": "InvalidParameterException", "Message": "The specified nextToken is invalid."},
    ),
    "found events with a token that is none": Fact(
        lambda s: printed(s, lambda logs: refusal(lambda: logs.filter_log_events(logGroupName=GROUP, nextToken="none"))),
        LOCALSTACK_LOGS,
        fields={"Code": "InvalidParameterException", "Message": "The specified nextToken is invalid."},
    ),
    "too many events": Fact(
        lambda s: logs(s).get_log_events(logGroupName=GROUP, logStreamName="a", limit=10001), LOCALSTACK_LOGS,
        "InvalidParameterException", TWO, 400,
    ),
    "too many found events": Fact(
        lambda s: logs(s).filter_log_events(logGroupName=GROUP, limit=10001), LOCALSTACK_LOGS, "InvalidParameterException", TWO, 400,
    ),
}  # fmt: skip
