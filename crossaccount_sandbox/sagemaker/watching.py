"""What watches an update while it runs: alarms that say to go back, read as the execution roles of its models.

Not here: when it is asked (``rollouts``), and the alarms (``handlers.cloudwatch``).
"""

from collections.abc import Callable, Mapping
from typing import Any

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check
from crossaccount_sandbox.checks.decisions import decide
from crossaccount_sandbox.handlers.cloudwatch import alarm_state
from crossaccount_sandbox.judging.decision import Result
from crossaccount_sandbox.principals import find_role
from crossaccount_sandbox.resources import alarm_arn
from crossaccount_sandbox.sagemaker.deployments import Unhealthy, alarm_names
from crossaccount_sandbox.sagemaker.execution import execution_session
from crossaccount_sandbox.sagemaker.records import invalid
from crossaccount_sandbox.world import Record, World


def check_alarms(world: World, call: Call, deployment: Mapping[str, Any] | None) -> None:
    """Refuse a deployment that names an alarm that is not there.

    Raises:
        AwsError: ``ValidationException``.
    """
    absent = [name for name in alarm_names(deployment) if alarm_state(world, call.place, name) is None]
    if absent:
        raise invalid(f"Could not find CloudWatch alarm(s): {', '.join(absent)}.")


def watch(
    world: World, call: Call, deployment: Mapping[str, Any] | None, models: Mapping[str, Record]
) -> Callable[[], None]:
    """What says, while an update runs, that it must go back: an alarm, or alarms that the role may not read.

    AWS asks for cloudwatch:DescribeAlarms of the execution role; what it does without is not documented: here the
    update goes back.
    """
    names, place = alarm_names(deployment), call.place
    roles = {str(model["ExecutionRoleArn"]) for model in models.values()}

    def look() -> None:
        for role_arn in roles if names else ():
            role = find_role(role_arn)
            for name in names:
                arn = alarm_arn(call.region, call.account, name)
                check = Check("cloudwatch:DescribeAlarms", arn, call.account)
                session = None if role is None else execution_session(role)
                if session is None or decide(world, session, check, call).result is not Result.ALLOWED:
                    raise Unhealthy(
                        f"The role '{role_arn}' does not have cloudwatch:DescribeAlarms permission for the alarm: '{name}'."
                    )
        tripped = ", ".join(name for name in names if alarm_state(world, place, name) == "ALARM")
        if tripped:
            raise Unhealthy(
                f"The deployment was rolled back because the alarm(s) {tripped} were in ALARM state."
            )

    return look
