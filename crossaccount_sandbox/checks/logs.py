"""What AWS checks for the operations of CloudWatch Logs, and which log group a request names.

Source: "Actions, resources, and condition keys for Amazon CloudWatch Logs" in the Service Authorization Reference; CloudWatch Logs
asks of a group with ``:log-stream:`` behind its ARN, as refusals in public reports show it (aws-solutions/aws-crr-monitor, issue 8;
prowler, pull request 37), which is why policies end in ``:*``.
"""

from collections.abc import Iterator

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check, Rule
from crossaccount_sandbox.wire import AwsError


def group_of(call: Call) -> tuple[str, str]:
    """The account and name of the log group that a request names, by its name or its ARN.

    Raises:
        AwsError: ``ValidationException`` where it has both, ``InvalidParameterException`` where it has neither.
    """
    name, identifier = call.params.get("logGroupName"), call.params.get("logGroupIdentifier")
    if name and identifier:
        text = "LogGroup name and LogGroup ARN are mutually exclusive parameters."
        raise AwsError("ValidationException", text)
    named = str(identifier or name or "")
    if not named:
        raise AwsError("InvalidParameterException", "A LogGroup name or a LogGroup ARN is required.")
    if not named.startswith("arn:"):
        return call.account, named
    parts = named.split(":", 6)
    if len(parts) < 7 or parts[5] != "log-group" or parts[3] != call.region:
        raise AwsError("InvalidParameterException", f"{named} is no ARN of a log group of {call.region}.")
    return parts[4], parts[6]


def asked_arn(region: str, account: str, group: str, stream: str = "") -> str:
    """The ARN on which CloudWatch Logs asks for a group, or one of its streams."""
    return f"arn:aws:logs:{region}:{account}:log-group:{group}:log-stream:{stream}"


def _on_group(action: str) -> Rule:
    def rule(call: Call) -> Iterator[Check]:
        account, group = group_of(call)
        yield Check(f"logs:{action}", asked_arn(call.region, account, group), account)

    return rule


def _on_stream(call: Call) -> Iterator[Check]:
    account, group = group_of(call)
    arn = asked_arn(call.region, account, group, str(call.params["logStreamName"]))
    yield Check(f"logs:{call.operation}", arn, account)


def _on_groups(call: Call) -> Iterator[Check]:
    yield Check("logs:DescribeLogGroups", asked_arn(call.region, call.account, ""), call.account)


RULES: dict[str, Rule] = {
    **{name: _on_group(name) for name in ("DeleteLogGroup", "DescribeLogStreams", "FilterLogEvents")},
    "DescribeLogGroups": _on_groups,
    "GetLogEvents": _on_stream,
}
