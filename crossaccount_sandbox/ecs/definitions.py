"""Clusters and task definitions: made, shown, listed, taken out of use.

Not here: tasks (``tasks``).

Source: the Amazon ECS API reference; the texts of errors as users of ECS report them.
"""

from __future__ import annotations

import re

from crossaccount_sandbox.answers import result
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.ecs import arn_of, cluster_arn
from crossaccount_sandbox.principals import find_role
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import Handler, Place, Record, World, locked

_DRIVERS = ("awslogs", "json-file", "none")
_SHOWN = (
    *("family", "containerDefinitions", "taskRoleArn", "executionRoleArn", "networkMode", "cpu", "memory"),
    *("requiresCompatibilities", "runtimePlatform", "ephemeralStorage"),
)
_UNKNOWN = ("volumes", "placementConstraints", "pidMode", "ipcMode", "proxyConfiguration")
_CPU = ("256", "512", "1024", "2048", "4096", "8192", "16384")


class Definitions:
    """The clusters and task definitions of one sandbox; its operations are called by one thread at a time."""

    def __init__(self) -> None:
        self._clusters: dict[tuple[Place, str], Record] = {}
        self._families: dict[tuple[Place, str], list[Record]] = {}
        self.tags: dict[str, list[dict[str, str]]] = {}

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """The operations answered here, by service and name."""
        own: dict[str, Handler] = {
            "CreateCluster": self._create_cluster,
            "DeleteCluster": self._delete_cluster,
            "DescribeClusters": self._describe_clusters,
            "ListClusters": self._list_clusters,
            "RegisterTaskDefinition": self._register,
            "DescribeTaskDefinition": self._describe,
            "DeregisterTaskDefinition": self._deregister,
            "ListTaskDefinitions": self._list,
        }
        return {("ecs", name): locked(handler) for name, handler in own.items()}

    def cluster(self, call: Call) -> Record:
        """The cluster that a request names; without a name it is ``default``.

        Raises:
            AwsError: ``ClusterNotFoundException``.
        """
        held = self._clusters.get((call.place, cluster_arn(call).rpartition("/")[2]))
        if held is None or held["clusterArn"] != cluster_arn(call) or held["status"] != "ACTIVE":
            raise AwsError("ClusterNotFoundException", "Cluster not found.")
        return held

    def find(self, call: Call, named: str) -> Record | None:
        """The task definition of a family (its newest active revision), a family and revision, or an ARN; None without one."""
        family, _, revision = named.rpartition("task-definition/")[2].partition(":")
        if named.startswith("arn:") and not named.startswith(arn_of(call, "task-definition", "")):
            return None
        revisions = self._families.get((call.place, family), [])
        if revision:
            return next((each for each in revisions if str(each["revision"]) == revision), None)
        return next((each for each in reversed(revisions) if each["status"] == "ACTIVE"), None)

    # Clusters.

    def _create_cluster(self, world: World, call: Call) -> Response:
        name = str(call.params.get("clusterName") or "default")
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,255}", name):
            raise _invalid("Invalid identifier: Identifier is not valid")
        made = {
            "clusterArn": arn_of(call, "cluster", name),
            "clusterName": name,
            "status": "ACTIVE",
            "registeredContainerInstancesCount": 0,
            "runningTasksCount": 0,
            "pendingTasksCount": 0,
            "activeServicesCount": 0,
            "capacityProviders": ["FARGATE"],
        }
        held = self._clusters.get((call.place, name))
        if held is None or held["status"] != "ACTIVE":
            self._clusters[call.place, name] = held = made
        self._give_tags(str(held["clusterArn"]), call)
        return result(call, {"cluster": held})

    def _delete_cluster(self, world: World, call: Call) -> Response:
        held = self.cluster(call)
        if held["runningTasksCount"] or held["pendingTasksCount"]:
            text = "The Cluster cannot be deleted while Tasks are active."
            raise AwsError("ClusterContainsTasksException", text)
        held["status"] = "INACTIVE"
        return result(call, {"cluster": held})

    def _describe_clusters(self, world: World, call: Call) -> Response:
        found, failures = [], []
        for named in call.params.get("clusters") or ["default"]:
            arn = arn_of(call, "cluster", str(named))
            held = self._clusters.get((call.place, arn.rpartition("/")[2]))
            if held is None or held["clusterArn"] != arn:
                failures.append({"arn": arn, "reason": "MISSING"})
            else:
                found.append(held)
        return result(call, {"clusters": found, "failures": failures})

    def _list_clusters(self, world: World, call: Call) -> Response:
        listed = [
            held["clusterArn"]
            for (place, _), held in self._clusters.items()
            if place == call.place and held["status"] == "ACTIVE"
        ]
        return result(call, {"clusterArns": listed})

    # Task definitions.

    def _register(self, world: World, call: Call) -> Response:
        params = call.params
        family = str(params["family"])
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,255}", family):
            raise _client("Invalid family name.")
        if unknown := [name for name in _UNKNOWN if params.get(name)]:
            raise _client(f"The sandbox's task definitions have no {', '.join(unknown)}")
        for container in params["containerDefinitions"]:
            _check_container(container)
        for name in ("taskRoleArn", "executionRoleArn"):
            if params.get(name) and find_role(_role_arn(call, str(params[name]))) is None:
                raise _client("Role is not valid")
        if "FARGATE" in (params.get("requiresCompatibilities") or ()):
            _check_fargate(params)
        revisions = self._families.setdefault((call.place, family), [])
        revision = len(revisions) + 1
        definition = {
            **{name: params[name] for name in _SHOWN if params.get(name)},
            "taskDefinitionArn": arn_of(call, "task-definition", f"{family}:{revision}"),
            "containerDefinitions": [_completed(each) for each in params["containerDefinitions"]],
            "revision": revision,
            "status": "ACTIVE",
            "compatibilities": ["EC2", "FARGATE"]
            if "FARGATE" in (params.get("requiresCompatibilities") or ())
            else ["EC2"],
            "volumes": [],
            "placementConstraints": [],
            "registeredAt": world.clock(),
            "registeredBy": call.caller.arn,
        }
        for name in ("taskRoleArn", "executionRoleArn"):
            if name in definition:
                definition[name] = _role_arn(call, str(definition[name]))
        revisions.append(definition)
        self._give_tags(str(definition["taskDefinitionArn"]), call)
        return result(call, {"taskDefinition": definition, "tags": params.get("tags") or []})

    def _describe(self, world: World, call: Call) -> Response:
        found = self.find(call, str(call.params["taskDefinition"]))
        if found is None:
            raise _client("Unable to describe task definition.")
        tags = self.tags.get(found["taskDefinitionArn"], [])
        more = {"tags": tags} if "TAGS" in (call.params.get("include") or ()) else {}
        return result(call, {"taskDefinition": found, **more})

    def _deregister(self, world: World, call: Call) -> Response:
        named = str(call.params["taskDefinition"])
        if ":" not in named:
            raise _client("The revision number of the task definition is missing.")
        found = self.find(call, named)
        if found is None:
            text = "The specified task definition does not exist. Specify a valid account, family, revision and try again."
            raise _client(text)
        found |= {"status": "INACTIVE", "deregisteredAt": world.clock()}
        return result(call, {"taskDefinition": found})

    def _list(self, world: World, call: Call) -> Response:
        prefix = call.params.get("familyPrefix")
        status = call.params.get("status") or "ACTIVE"
        listed = [
            each["taskDefinitionArn"]
            for (place, family), revisions in sorted(self._families.items())
            if place == call.place and prefix in (None, family)
            for each in revisions
            if each["status"] == status
        ]
        return result(
            call, {"taskDefinitionArns": listed[::-1] if call.params.get("sort") == "DESC" else listed}
        )

    # Tags.

    def _give_tags(self, arn: str, call: Call) -> None:
        held = {tag["key"]: tag for tag in [*self.tags.get(arn, []), *(call.params.get("tags") or ())]}
        self.tags[arn] = list(held.values())


def _role_arn(call: Call, role: str) -> str:
    return role if role.startswith("arn:") else f"arn:aws:iam::{call.account}:role/{role}"


def _check_container(container: Record) -> None:
    if not container.get("name"):
        raise _client("Container.name should not be null or empty.")
    if not container.get("image"):
        raise _client("Container.image should not be null or empty.")
    if container.get("secrets"):
        raise _client(
            "The sandbox has neither Secrets Manager nor a parameter store: a container has no secrets"
        )
    log = container.get("logConfiguration") or {}
    options = log.get("options") or {}
    if log.get("logDriver", "none") not in _DRIVERS:
        raise _client(f"The sandbox has the log drivers {', '.join(_DRIVERS)}")
    if log.get("logDriver") == "awslogs" and not {"awslogs-group", "awslogs-region"} <= options.keys():
        raise _client("Log driver awslogs requires options: awslogs-group, awslogs-region")


def _check_fargate(params: Record) -> None:
    """What Fargate asks of a task definition.

    Raises:
        AwsError: ``ClientException``.
    """
    for name in ("cpu", "memory"):
        if not params.get(name):
            raise _client(f"Fargate requires that '{name}' be defined at the task level.")
    if str(params["cpu"]) not in _CPU:
        raise _client("No Fargate configuration exists for given values.")
    if params.get("networkMode") != "awsvpc":
        raise _client("Fargate only supports network mode ‘awsvpc’.")  # noqa: RUF001 - AWS's own signs  # noqa: RUF001 - AWS's own signs
    uses_logs = any(
        (each.get("logConfiguration") or {}).get("logDriver") == "awslogs"
        for each in params["containerDefinitions"]
    )
    if uses_logs and not params.get("executionRoleArn"):
        text = "Fargate requires task definition to have execution role ARN to support log driver awslogs."
        raise _client(text)


def _completed(container: Record) -> Record:
    """A container definition as ECS keeps it, with what it fills in."""
    filled: Record = {
        "cpu": 0,
        "portMappings": [],
        "essential": True,
        "environment": [],
        "mountPoints": [],
        "volumesFrom": [],
    }
    return {**filled, **{name: value for name, value in container.items() if value is not None}}


def _client(text: str) -> AwsError:
    return AwsError("ClientException", text)


def _invalid(text: str) -> AwsError:
    return AwsError("InvalidParameterException", text)
