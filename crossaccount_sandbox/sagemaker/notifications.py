"""What the execution roles of asynchronous endpoints tell SNS: whether they may, and what was told.

Nobody is subscribed to a topic, and topics have no policies: those of other accounts are shut. What was published stands in
``World.notifications`` and in the call log. Not here: when something is told (``asynchronous``).

Source: "Check prediction results" in the SageMaker developer guide; the text of a refusal is a quote from a public report.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check
from crossaccount_sandbox.checks.decisions import decide
from crossaccount_sandbox.judging.decision import Result
from crossaccount_sandbox.principals import find_role
from crossaccount_sandbox.sagemaker.deployments import Unhealthy
from crossaccount_sandbox.sagemaker.execution import execution_session
from crossaccount_sandbox.world import World

TOPICS = {"Completed": "SuccessTopic", "Failed": "ErrorTopic", "Expired": "ErrorTopic"}
Log = Callable[[dict[str, Any]], None]


def publish(
    world: World, call: Call, role_arn: str, topic: str, message: Mapping[str, Any], log: Log | None
) -> None:
    """Publish a message as an execution role, if that may; either way the log has a line of it.

    Args:
        world: where it is noted.
        call: the request that it is about.
        role_arn: the execution role.
        topic: the topic's ARN.
        message: what is published, as JSON.
        log: as of ``Guard``.
    """
    allowed, role = may_publish(world, call, role_arn, topic), find_role(role_arn)
    if allowed:
        world.notifications.append({"TopicArn": topic, "Message": json.dumps(message)})
    if log is not None:
        log(
            {
                "time": world.clock().isoformat(timespec="milliseconds"),
                "account": call.account,
                "caller": execution_session(role).arn if role else role_arn,
                "service": "sns",
                "operation": "Publish",
                "resource": topic,
                "request_id": str(uuid.uuid4()),
                "status": 200 if allowed else 403,
                "code": None if allowed else "AuthorizationError",
            }
        )


def may_publish(world: World, call: Call, role_arn: str, topic: str) -> bool:
    """Whether an execution role may publish to a topic."""
    role = find_role(role_arn)
    if role is None:
        return False
    owner = topic.split(":")[4]
    return (
        decide(world, execution_session(role), Check("sns:Publish", topic, owner), call).result
        is Result.ALLOWED
    )


def check_topics(world: World, call: Call, config: Mapping[str, Any], roles: set[str]) -> None:
    """See that the execution roles of an asynchronous endpoint may publish to its topics.

    Raises:
        Unhealthy: when one may not; AWS says so when it brings the endpoint up.
    """
    output = (config.get("AsyncInferenceConfig") or {}).get("OutputConfig") or {}
    topics = output.get("NotificationConfig") or {}
    for name in ("SuccessTopic", "ErrorTopic"):
        for role in sorted(roles) if topics.get(name) else ():
            if not may_publish(world, call, role, topics[name]):
                raise Unhealthy(
                    f"The provided role {role} is invalid. Please ensure the role exists, that its trust relationship policy allows "
                    'the action "sts:AssumeRole" for the service principal "sagemaker.amazonaws.com", and has "sns:Publish" '
                    f'permissions for topic "{topics[name]}".'
                )
