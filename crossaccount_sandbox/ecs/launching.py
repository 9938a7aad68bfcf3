"""What a task begins with: its roles are tried, its image pulled, its log stream made; then its container is a process.

Source: "Amazon ECS task execution IAM role" and "Stopped tasks error messages" in the Amazon ECS developer guide, whose texts have the
SDK's own words inside, which are shortened here; "Task IAM role" there for what ECS gives as ``aws:SourceArn``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from crossaccount_sandbox.callers import Caller
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check
from crossaccount_sandbox.checks.decisions import decide
from crossaccount_sandbox.checks.ecs import TASKS_SERVICE
from crossaccount_sandbox.checks.logs import asked_arn
from crossaccount_sandbox.ecs.credentials import TaskCredentials
from crossaccount_sandbox.ecs.processes import TaskProcess
from crossaccount_sandbox.handlers.log_store import LogStore
from crossaccount_sandbox.images import PULL_ACTIONS, image_digest, parse_image
from crossaccount_sandbox.judging.decision import Result
from crossaccount_sandbox.principals import find_role
from crossaccount_sandbox.sagemaker.image_commands import ImageCommands
from crossaccount_sandbox.wire import AwsError
from crossaccount_sandbox.world import Place, Record, World

_STOP_SECONDS, _MOST_STOP_SECONDS = 30.0, 120.0


class NotStarted(Exception):
    """A task could not start; the message is its ``stoppedReason``."""


@dataclass(frozen=True)
class Start:
    """How one container of a task starts.

    Args:
        call: the RunTask request.
        url: where the sandbox serves.
        task: the task's id.
        container: its definition.
        given: what the request overrides of it.
        task_role: the ARN of the role that the process gets; None for none.
        execution_role: that of the role with which image and logs are reached; None for none.
    """

    call: Call
    url: str
    task: str
    container: Mapping[str, Any]
    given: Mapping[str, Any]
    task_role: str | None
    execution_role: str | None

    @classmethod
    def of(
        cls,
        call: Call,
        url: str,
        task: str,
        container: Record,
        overrides: Record,
        task_role: str | None,
        execution_role: str | None,
    ) -> Start:
        """The start of a container with what a request's overrides say of it."""
        listed = overrides.get("containerOverrides") or ()
        given: Record = next((each for each in listed if each["name"] == container["name"]), {})
        return cls(call, url, task, container, given, task_role, execution_role)

    @property
    def name(self) -> str:
        """The container's name."""
        return str(self.container["name"])

    @property
    def essential(self) -> bool:
        """Whether the task stops with it."""
        return bool(self.container.get("essential", True))

    @property
    def stop_seconds(self) -> float:
        """Between SIGTERM and SIGKILL: 30, unless the definition says another up to 120."""
        return min(float(self.container.get("stopTimeout") or _STOP_SECONDS), _MOST_STOP_SECONDS)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the definition, and of the request in their place."""
        listed = [*(self.container.get("environment") or ()), *(self.given.get("environment") or ())]
        return {str(each["name"]): str(each.get("value", "")) for each in listed}

    @property
    def command(self) -> list[str]:
        """What the container's command is; empty for the image's own."""
        return [str(each) for each in self.given.get("command") or self.container.get("command") or ()]

    @property
    def log(self) -> tuple[Place, str, str, bool] | None:
        """Where awslogs writes: account and region, group, stream, and whether the group may be made; None for another driver."""
        configuration = self.container.get("logConfiguration") or {}
        if configuration.get("logDriver") != "awslogs":
            return None
        options = configuration["options"]
        prefix = options.get("awslogs-stream-prefix")
        stream = f"{prefix}/{self.name}/{self.task}" if prefix else self.task
        place = (self.call.account, str(options["awslogs-region"]))
        return place, str(options["awslogs-group"]), stream, options.get("awslogs-create-group") == "true"


class Launching:
    """Starts containers; see ``Tasks`` for its arguments."""

    def __init__(
        self, world: World, images: ImageCommands, store: LogStore, credentials: TaskCredentials
    ) -> None:
        self._world = world
        self._images = images
        self._store = store
        self._credentials = credentials

    def check_trust(self, call: Call, role: str) -> None:
        """Refuse a role that ECS may not assume for tasks.

        Raises:
            AwsError: ``ClientException``.
        """
        source = self._world.source_context(call.account, f"arn:aws:ecs:{call.region}:{call.account}:*")
        check = Check("sts:AssumeRole", role, call.account, role=role, context=source)
        if find_role(role) is None or not self._allows(TASKS_SERVICE, check, call):
            raise AwsError(
                "ClientException",
                f"ECS was unable to assume the role '{role}' that was provided for this task. Please verify that the role being "
                "passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role.",
            )

    def _allows(self, caller: Caller | str, check: Check, call: Call) -> bool:
        return decide(self._world, caller, check, call).result is Result.ALLOWED

    def prepare(self, start: Start) -> None:
        """Pull the image and make the log stream, with the execution role.

        Raises:
            NotStarted: where one of them is not there, or the role may not.
        """
        self._pull(start)
        if start.log is not None:
            self._make_stream(start)

    def _executing(self, start: Start) -> Caller | None:
        role = None if start.execution_role is None else find_role(start.execution_role)
        if role is None:
            return None
        return Caller(
            arn=f"arn:aws:sts::{role.account_id}:assumed-role/{role.name}/{start.task}",
            account=role.account_id,
            unique_id=f"{role.id}:{start.task}",
            role_arn=role.arn,
        )

    def _refused(self, start: Start, checks: list[Check]) -> str | None:
        """What the execution role may not, as AWS says it; None where it may all of it."""
        session = self._executing(start)
        if session is None:
            return "no execution role is given"
        for check in checks:
            if not self._allows(session, check, start.call):
                return (
                    f"AccessDeniedException: User: {session.arn} is not authorized to perform: {check.action} on resource: "
                    f"{check.resource} because no identity-based policy allows the {check.action} action status code: 400"
                )
        return None

    def _pull(self, start: Start) -> None:
        image = str(start.container["image"])
        parsed = parse_image(image)
        if parsed is None:
            return  # of another registry, which asks for nothing
        registry, region, name, _ = parsed
        arn = f"arn:aws:ecr:{region}:{registry}:repository/{name}"
        login = Check("ecr:GetAuthorizationToken", "*", start.call.account)
        if refused := self._refused(start, [login]):
            raise NotStarted(
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable "
                f"to retrieve ecr registry auth: service call has been retried 1 time(s): {refused}"
            )
        pulls = [Check(f"ecr:{action}", arn, registry, ("repository", arn)) for action in PULL_ACTIONS]
        refused = self._refused(start, pulls)
        if refused is not None or image_digest(image) is None:
            raise NotStarted(
                f"CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {image}: "
                + (f"{image}: not found" if refused is None else f"pulling from host failed: {refused}")
            )

    def _make_stream(self, start: Start) -> None:
        assert start.log is not None
        (account, region), group, stream, may_make = start.log
        there = self._store.find((account, region), group) is not None
        if not there and not may_make:
            raise NotStarted(
                "ResourceInitializationError: failed to validate logger args: The task cannot find the Amazon CloudWatch log group "
                "defined in the task definition. There is a connection issue between the task and Amazon CloudWatch. Check your "
                f"network configuration. The log group {group} does not exist."
            )
        wanted = {"logs:CreateLogStream": stream, "logs:PutLogEvents": stream}
        if not there:
            wanted = {"logs:CreateLogGroup": "", **wanted}
        checks = [
            Check(action, asked_arn(region, account, group, name), account) for action, name in wanted.items()
        ]
        if refused := self._refused(start, checks):
            raise NotStarted(
                "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to "
                f"create Cloudwatch log stream: {refused} : exit status 1"
            )
        self._store.make((account, region), group, stream, self._world.clock())

    def start(self, start: Start) -> TaskProcess:
        """Start the process.

        Its command is the definition's ``entryPoint``, without one that of the image among ``--image-commands``, and the container's
        command behind it.

        Raises:
            NotStarted: where there is nothing to run, or no such program.
        """
        known = self._images.find(str(start.container["image"]))
        entry = [str(each) for each in start.container.get("entryPoint") or ()]
        command = [*(entry or ([] if known is None else known.command)), *start.command]
        if not command:
            raise NotStarted("CannotStartContainerError: Error response from daemon: No command specified")
        region = start.call.region
        variables = {
            "AWS_ENDPOINT_URL": start.url,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE",
            **({} if known is None else known.environment),
            **start.environment,
        }
        if start.task_role is not None:
            variables |= self._credentials.grant(start.task_role, start.task, start.url)
        directory = start.container.get("workingDirectory") or (None if known is None else known.directory)
        try:
            return TaskProcess(command, variables, directory, partial(self._print, start))
        except OSError as error:
            raise NotStarted(f"CannotStartContainerError: {command[0]}: {error.strerror}") from None

    def _print(self, start: Start, line: str) -> None:
        if start.log is not None:
            place, group, stream, _ = start.log
            self._store.write(place, group, stream, [line], self._world.clock())
