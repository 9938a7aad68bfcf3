"""What AWS checks for the operations of Amazon ECS.

RunTask asks for the roles that the task definition names, unless the request overrides them: its handler asks that of the one
that counts. Source: "Actions, resources, and condition keys for Amazon Elastic Container Service" in the Service Authorization
Reference; for the roles "Grant a user permissions to pass a role to an AWS service" in the IAM user guide.
"""

from collections.abc import Iterator
from typing import Any

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check, Rule, own
from crossaccount_sandbox.checks.tagging import request_tags
from crossaccount_sandbox.principals import find_role
from crossaccount_sandbox.wire import AwsError

TASKS_SERVICE = "ecs-tasks.amazonaws.com"


def arn_of(call: Call, kind: str, name: str) -> str:
    """An ARN of the caller's own account and region; one that is given as an ARN stays as it is.

    Args:
        call: whose.
        kind: ``cluster``, ``task`` or ``task-definition``.
        name: what follows the kind, or the whole ARN.
    """
    return name if name.startswith("arn:") else f"arn:aws:ecs:{call.region}:{call.account}:{kind}/{name}"


def cluster_arn(call: Call) -> str:
    """The ARN of the cluster that a request names; without a name it is ``default``."""
    return arn_of(call, "cluster", str(call.params.get("cluster") or "default"))


def task_arn(call: Call, task: str) -> str:
    """The ARN of a task that a request names by its id or ARN."""
    return arn_of(call, "task", f"{cluster_arn(call).rpartition('/')[2]}/{task}" if ":" not in task else task)


def pass_role(call: Call, role: str, *, singly: bool = False) -> Check:
    """The question whether the caller may hand a role to a task.

    Raises:
        AwsError: when the role is another account's: PassRole cannot cross accounts.
    """
    if role.startswith("arn:") and role.split(":")[4] != call.account:
        raise AwsError("ClientException", "Cross-account pass role is not allowed.")
    arn = role if role.startswith("arn:") else f"arn:aws:iam::{call.account}:role/{role}"
    existing = find_role(arn)
    context = {"iam:PassedToService": TASKS_SERVICE}
    return Check(
        "iam:PassRole",
        arn if existing is None else existing.arn,
        call.account,
        context=context,
        singly=singly,
    )


def _tagging(call: Call, arn: str) -> Iterator[Check]:
    tags = _tags(call)
    if tags:
        yield Check(
            "ecs:TagResource", arn, call.account, context={**tags, "ecs:CreateAction": call.operation}
        )


def _tags(call: Call) -> dict[str, Any]:
    given = call.params.get("tags") or ()
    return request_tags([{"Key": tag.get("key"), "Value": tag.get("value")} for tag in given])


def _register(call: Call) -> Iterator[Check]:
    family = str(call.params.get("family", "*"))
    yield Check("ecs:RegisterTaskDefinition", "*", call.account, context=_tags(call))
    yield from _tagging(call, arn_of(call, "task-definition", f"{family}:*"))
    for name in ("taskRoleArn", "executionRoleArn"):
        if call.params.get(name):
            yield pass_role(call, str(call.params[name]))


def _run_task(call: Call) -> Iterator[Check]:
    named = str(call.params.get("taskDefinition", "*"))
    definition = arn_of(call, "task-definition", named if ":" in named else f"{named}:*")
    context = {"ecs:cluster": cluster_arn(call), **_tags(call)}
    yield Check("ecs:RunTask", definition, call.account, context=context)
    yield from _tagging(call, arn_of(call, "task", f"{cluster_arn(call).rpartition('/')[2]}/*"))
    overrides = call.params.get("overrides") or {}
    for name, of_definition in (("taskRoleArn", "TASK_ROLE"), ("executionRoleArn", "EXECUTION_ROLE")):
        role = overrides.get(name) or f"arn:aws:iam::{call.account}:role/{of_definition}"
        yield pass_role(call, str(role), singly=True)


def _tasks(call: Call) -> Iterator[Check]:
    for task in call.params.get("tasks") or [call.params.get("task", "*")]:
        context = {"ecs:cluster": cluster_arn(call)}
        yield Check(f"ecs:{call.operation}", task_arn(call, str(task)), call.account, context=context)


def _list_tasks(call: Call) -> Iterator[Check]:
    yield Check("ecs:ListTasks", "*", call.account, context={"ecs:cluster": cluster_arn(call)})


def _create_cluster(call: Call) -> Iterator[Check]:
    yield Check("ecs:CreateCluster", "*", call.account, context=_tags(call))
    yield from _tagging(call, arn_of(call, "cluster", str(call.params.get("clusterName") or "default")))


def _clusters(call: Call) -> Iterator[Check]:
    for name in call.params.get("clusters") or [call.params.get("cluster") or "default"]:
        yield Check(f"ecs:{call.operation}", arn_of(call, "cluster", str(name)), call.account)


RULES: dict[str, Rule] = {
    "CreateCluster": _create_cluster,
    **dict.fromkeys(("DescribeClusters", "DeleteCluster"), _clusters),
    "RegisterTaskDefinition": _register,
    "RunTask": _run_task,
    **dict.fromkeys(("DescribeTasks", "StopTask"), _tasks),
    "ListTasks": _list_tasks,
    **{
        name: own(f"ecs:{name}")
        for name in (
            *("ListClusters", "DescribeTaskDefinition", "DeregisterTaskDefinition", "ListTaskDefinitions"),
        )
    },
}
