"""Tasks: run, described, listed, stopped. A task's life is a thread: it is provisioned, its containers run, it has stopped.

Not here: the processes themselves (``processes``), the roles' credentials (``credentials``), what a task may not begin without
(``launching``).

Source: RunTask, StopTask and DescribeTasks in the Amazon ECS API reference; "Amazon ECS task lifecycle" and "Stopped tasks error
messages" in the Amazon ECS developer guide; the texts of errors as users of ECS report them.
"""

from __future__ import annotations

import re
import secrets
import threading
from dataclasses import dataclass, field
from typing import Any

from crossaccount_sandbox.answers import result
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.decisions import authorize
from crossaccount_sandbox.checks.ecs import pass_role, task_arn
from crossaccount_sandbox.ecs.credentials import TaskCredentials
from crossaccount_sandbox.ecs.definitions import Definitions
from crossaccount_sandbox.ecs.launching import Launching, NotStarted, Start
from crossaccount_sandbox.ecs.processes import TaskProcess
from crossaccount_sandbox.handlers.ec2 import subnet_ids
from crossaccount_sandbox.handlers.log_store import LogStore
from crossaccount_sandbox.sagemaker.image_commands import ImageCommands
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import Handler, Record, World

_ROLES = ("taskRoleArn", "executionRoleArn")


@dataclass
class _Task:
    """A task: its record as it is shown, how its containers start, and those that run."""

    record: Record
    starts: list[Start]
    cluster: Record
    processes: dict[str, TaskProcess] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)


class Tasks:
    """The tasks of one sandbox.

    Args:
        world: roles, keys and the clock.
        definitions: clusters and task definitions.
        images: what containers of an image run.
        store: where awslogs writes.
        credentials: gives the task roles'.
    """

    def __init__(
        self,
        world: World,
        definitions: Definitions,
        images: ImageCommands,
        store: LogStore,
        credentials: TaskCredentials,
    ) -> None:
        self._world = world
        self._definitions = definitions
        self._credentials = credentials
        self._launching = Launching(world, images, store, credentials)
        self._tasks: dict[str, _Task] = {}
        self._threads: list[threading.Thread] = []
        self.endpoint_url = ""

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """The operations answered here, by service and name."""
        return {
            ("ecs", "RunTask"): self.run,
            ("ecs", "DescribeTasks"): self.describe,
            ("ecs", "ListTasks"): self.list,
            ("ecs", "StopTask"): self.stop,
        }

    def stop_all(self) -> None:
        """Kill every task's processes, and wait for their end."""
        for task in list(self._tasks.values()):
            task.over.set()
            for process in list(task.processes.values()):
                process.kill()
        for thread in self._threads:
            thread.join()

    def run(self, world: World, call: Call) -> Response:
        """RunTask.

        Raises:
            AwsError: ``ClusterNotFoundException``; ``ClientException`` for a definition that is none or inactive and for a role that
                does not trust ECS; ``InvalidParameterException`` for a network or a launch type that does not fit.
        """
        with world.lock:
            cluster = self._definitions.cluster(call)
            definition = self._definitions.find(call, str(call.params["taskDefinition"]))
            if definition is None:
                raise _client("TaskDefinition not found.")
            if definition["status"] != "ACTIVE":
                raise _client("TaskDefinition is inactive")
            overrides = call.params.get("overrides") or {}
            roles = {name: str(overrides.get(name) or definition.get(name) or "") or None for name in _ROLES}
            for role in roles.values():
                if role is not None:
                    authorize(world, pass_role(call, role), call)
                    self._launching.check_trust(call, role)
            self._check(call, definition, overrides)
            made = [
                self._made(call, cluster, definition, roles, overrides)
                for _ in range(int(call.params.get("count") or 1))
            ]
            shown = [_shown(task) for task in made]
        for task in made:
            thread = threading.Thread(target=self._live, args=(task,), name="task", daemon=True)
            self._threads.append(thread)
            thread.start()
        return result(call, {"tasks": shown, "failures": []})

    def _check(self, call: Call, definition: Record, overrides: Record) -> None:
        names = [each["name"] for each in definition["containerDefinitions"]]
        for each in overrides.get("containerOverrides") or ():
            if each.get("name") not in names:
                raise _invalid(
                    f"Override for container named {each.get('name')} is not a container in the TaskDefinition."
                )
        launch_type = call.params.get("launchType") or "EC2"
        strategy = call.params.get("capacityProviderStrategy")
        if call.params.get("launchType") and strategy:
            raise _invalid("Specifying both a launch type and capacity provider strategy is not supported.")
        if launch_type == "FARGATE" and "FARGATE" not in definition["compatibilities"]:
            raise _invalid("Task definition does not support launch_type FARGATE.")
        if launch_type != "FARGATE" and not strategy:
            raise _invalid("No Container Instances were found in your cluster.")
        network = (call.params.get("networkConfiguration") or {}).get("awsvpcConfiguration")
        if definition.get("networkMode") == "awsvpc":
            if network is None:
                text = "Network Configuration must be provided when networkMode 'awsvpc' is specified."
                raise _invalid(text)
            for subnet in network.get("subnets") or ():
                if subnet not in subnet_ids(call.place):
                    raise _invalid(
                        f"Error retrieving subnet information for [{subnet}]: The subnet ID '{subnet}' does not exist "
                        "(ErrorCode: InvalidSubnetID.NotFound)"
                    )
        elif network is not None:
            text = "Network Configuration is not valid for the given networkMode of this task definition."
            raise _invalid(text)

    def _made(
        self, call: Call, cluster: Record, definition: Record, roles: dict[str, str | None], overrides: Record
    ) -> _Task:
        number = secrets.token_hex(16)
        arn = f"arn:aws:ecs:{call.region}:{call.account}:task/{cluster['clusterName']}/{number}"
        containers = [
            {
                "containerArn": arn.replace(":task/", ":container/") + f"/{secrets.token_hex(16)}",
                "taskArn": arn,
                "name": each["name"],
                "image": each["image"],
                "lastStatus": "PENDING",
                "cpu": str(each.get("cpu", 0)),
            }
            for each in definition["containerDefinitions"]
        ]
        record: Record = {
            "taskArn": arn,
            "clusterArn": cluster["clusterArn"],
            "taskDefinitionArn": definition["taskDefinitionArn"],
            "containers": containers,
            "lastStatus": "PROVISIONING",
            "desiredStatus": "RUNNING",
            "launchType": call.params.get("launchType") or "FARGATE",
            "createdAt": self._world.clock(),
            "group": str(call.params.get("group") or f"family:{definition['family']}"),
            "overrides": {**overrides, "containerOverrides": overrides.get("containerOverrides") or []},
            "tags": list(call.params.get("tags") or ()),
            "version": 1,
        }
        for name in ("startedBy", "platformVersion"):
            if call.params.get(name):
                record[name] = call.params[name]
        for name in ("cpu", "memory"):
            if value := overrides.get(name) or definition.get(name):
                record[name] = str(value)
        starts = [
            Start.of(
                call,
                self.endpoint_url,
                number,
                each,
                overrides,
                roles["taskRoleArn"],
                roles["executionRoleArn"],
            )
            for each in definition["containerDefinitions"]
        ]
        task = _Task(record, starts, cluster)
        self._tasks[arn] = task
        cluster["pendingTasksCount"] += 1
        return task

    # A task's life.

    def _live(self, task: _Task) -> None:
        self._moved(task, "PENDING", pullStartedAt=self._world.clock())
        try:
            if task.over.is_set():
                return
            for start in task.starts:
                self._launching.prepare(start)
            self._moved(task, "PENDING", pullStoppedAt=self._world.clock())
            self._begin(task)
        except NotStarted as error:
            self._failed(task, str(error))
        finally:
            self._ended(task)

    def _begin(self, task: _Task) -> None:
        with self._world.lock:
            if task.over.is_set():
                return
            for start in task.starts:
                task.processes[start.name] = self._launching.start(start)
            task.cluster["pendingTasksCount"] -= 1
            task.cluster["runningTasksCount"] += 1
        self._moved(task, "RUNNING", startedAt=self._world.clock())
        waiting = [
            threading.Thread(target=self._container, args=(task, start), daemon=True) for start in task.starts
        ]
        for thread in waiting:
            thread.start()
        for thread in waiting:
            thread.join()

    def _container(self, task: _Task, start: Start) -> None:
        """Follow a container to its end; with an essential one the others stop."""
        code = task.processes[start.name].wait()
        with self._world.lock:
            shown = next(each for each in task.record["containers"] if each["name"] == start.name)
            shown |= {"lastStatus": "STOPPED", "exitCode": code}
            if not start.essential or task.record["desiredStatus"] == "STOPPED":
                return
            self._to_stop(task, "EssentialContainerExited", "Essential container in task exited")
        self._end_processes(task)

    def _to_stop(self, task: _Task, code: str, reason: str) -> None:
        stopping = self._world.clock()
        task.record |= {"desiredStatus": "STOPPED", "stopCode": code, "stoppedReason": reason}
        task.record["stoppingAt"] = stopping
        task.over.set()

    def _end_processes(self, task: _Task) -> None:
        """Tell every process of a task to stop, each in a thread of its own: their stop timeouts run beside one another."""
        seconds = {start.name: start.stop_seconds for start in task.starts}
        for name, process in list(task.processes.items()):
            threading.Thread(target=process.stop, args=(seconds[name],), daemon=True).start()

    def _failed(self, task: _Task, reason: str) -> None:
        with self._world.lock:
            if task.record["desiredStatus"] != "STOPPED":
                self._to_stop(task, "TaskFailedToStart", reason)
            for shown in task.record["containers"]:
                shown |= {"lastStatus": "STOPPED", "reason": reason}
        for process in task.processes.values():
            process.kill()
            process.wait()

    def _ended(self, task: _Task) -> None:
        self._credentials.withdraw(task.record["taskArn"].rpartition("/")[2])
        with self._world.lock:
            ran = "startedAt" in task.record
            task.cluster["runningTasksCount" if ran else "pendingTasksCount"] -= 1
            for shown in task.record["containers"]:
                shown["lastStatus"] = "STOPPED"
        self._moved(task, "STOPPED", stoppedAt=self._world.clock(), executionStoppedAt=self._world.clock())

    def _moved(self, task: _Task, status: str, **times: Any) -> None:
        with self._world.lock:
            task.record |= {**times, "lastStatus": status, "version": task.record["version"] + 1}
            if status == "RUNNING":
                for shown in task.record["containers"]:
                    shown["lastStatus"] = "RUNNING"

    # What is told and asked.

    def describe(self, world: World, call: Call) -> Response:
        """DescribeTasks: what there is, and a failure for each that is not in the cluster."""
        with world.lock:
            self._definitions.cluster(call)
            found, failures = [], []
            for named in call.params["tasks"]:
                arn = task_arn(call, str(named))
                held = self._tasks.get(arn)
                if held is None or held.cluster is not self._definitions.cluster(call):
                    failures.append({"arn": arn, "reason": "MISSING"})
                else:
                    found.append(_shown(held))
        return result(call, {"tasks": found, "failures": failures})

    def list(self, world: World, call: Call) -> Response:
        """ListTasks, by the status that they are to have, ``RUNNING`` unless it is asked otherwise, family and who started them."""
        params = call.params
        with world.lock:
            cluster = self._definitions.cluster(call)
            listed = [
                arn
                for arn, task in self._tasks.items()
                if task.cluster is cluster
                and task.record["desiredStatus"] == (params.get("desiredStatus") or "RUNNING")
                and params.get("startedBy") in (None, task.record.get("startedBy"))
                and params.get("family") in (None, _family(task.record))
            ]
        return result(call, {"taskArns": listed})

    def stop(self, world: World, call: Call) -> Response:
        """StopTask: SIGTERM, and SIGKILL after the container's stop timeout.

        Raises:
            AwsError: ``InvalidParameterException`` for a task that is not there; ``ClusterNotFoundException``.
        """
        with world.lock:
            cluster = self._definitions.cluster(call)
            task = self._tasks.get(task_arn(call, str(call.params["task"])))
            if task is None or task.cluster is not cluster:
                raise _invalid("The referenced task was not found.")
            if task.record["desiredStatus"] != "STOPPED":
                reason = str(call.params.get("reason") or "Task stopped by user")
                self._to_stop(task, "UserInitiated", reason)
                self._end_processes(task)
            shown = _shown(task)
        return result(call, {"task": shown})


def _shown(task: _Task) -> Record:
    """A task as it is now, for an answer that is written later."""
    return {**task.record, "containers": [dict(each) for each in task.record["containers"]]}


def _family(record: Record) -> str:
    match = re.search(r"task-definition/(.+):\d+$", str(record["taskDefinitionArn"]))
    return match[1] if match else ""


def _client(text: str) -> AwsError:
    return AwsError("ClientException", text)


def _invalid(text: str) -> AwsError:
    return AwsError("InvalidParameterException", text)
