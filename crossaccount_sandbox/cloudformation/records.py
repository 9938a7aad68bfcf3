"""What CloudFormation keeps: stacks, their resources and events, change sets; and how an answer shows them.

Not here: what changes them (``deployment``).

Source: the data types of the AWS CloudFormation API reference; which members are there from localstack's recordings.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from crossaccount_sandbox.cloudformation import parameters
from crossaccount_sandbox.cloudformation.functions import Export
from crossaccount_sandbox.cloudformation.kinds import Held
from crossaccount_sandbox.cloudformation.templates import Template, invalid

Place = tuple[str, str]  # account, region
DELETED, IN_REVIEW = "DELETE_COMPLETE", "REVIEW_IN_PROGRESS"


@dataclass
class Resource:
    """A resource of a stack.

    Args:
        logical_id: its name in the template.
        type: ``AWS::IAM::Role`` for one.
        entry: its part of the template.
        properties: their values.
        held: what was made; None as long as there is nothing.
        depends: the logical ids of the resources it hangs on.
        status: its ``ResourceStatus``.
        reason: why it has that.
        when: since when.
    """

    logical_id: str
    type: str
    entry: dict[str, Any]
    properties: dict[str, Any]
    held: Held | None = None
    depends: tuple[str, ...] = ()
    status: str = ""
    reason: str = ""
    when: datetime | None = None

    @property
    def physical_id(self) -> str:
        """The name or ARN of what was made; empty as long as there is nothing."""
        return "" if self.held is None else self.held.physical_id


@dataclass
class Stack:
    """A stack: what it was asked to be, what it is, and what befell it."""

    name: str
    place: Place
    created: datetime
    template: Template
    values: dict[str, str]
    tags: dict[str, str]
    capabilities: list[str]
    status: str = IN_REVIEW
    reason: str = ""
    role: str | None = None
    rolls_back: str = "ROLLBACK"
    protected: bool = False
    notified: list[str] = field(default_factory=list)
    rollback: dict[str, Any] = field(default_factory=dict)
    timeout: int | None = None
    updated: datetime | None = None
    deleted: datetime | None = None
    change_set: str | None = None
    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: list[dict[str, str]] = field(default_factory=list)
    imported: set[str] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)
    id: str = ""

    def __post_init__(self) -> None:
        """The stack's ARN is its own: another stack of the same name has another."""
        account, region = self.place
        self.id = self.id or f"arn:aws:cloudformation:{region}:{account}:stack/{self.name}/{uuid4()}"

    def shown(self) -> dict[str, Any]:
        """The stack as DescribeStacks shows it."""
        return _present(
            {
                "StackId": self.id,
                "StackName": self.name,
                "ChangeSetId": self.change_set,
                "Description": self.template.description,
                "Parameters": parameters.shown(self.template, self.values),
                "CreationTime": self.created,
                "DeletionTime": self.deleted,
                "LastUpdatedTime": self.updated,
                "RollbackConfiguration": self.rollback,
                "StackStatus": self.status,
                "StackStatusReason": self.reason,
                "DisableRollback": self.rolls_back == "DO_NOTHING",
                "NotificationARNs": self.notified,
                "TimeoutInMinutes": self.timeout,
                "Capabilities": self.capabilities,
                "Outputs": self.outputs,
                "RoleARN": self.role,
                "Tags": [{"Key": key, "Value": value} for key, value in self.tags.items()],
                "EnableTerminationProtection": None if self.status == DELETED else self.protected,
                "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
            },
            kept=("RollbackConfiguration", "NotificationARNs", "Tags"),
        )

    def summary(self) -> dict[str, Any]:
        """The stack as ListStacks shows it."""
        return _present(
            {
                "StackId": self.id,
                "StackName": self.name,
                "TemplateDescription": self.template.description,
                "CreationTime": self.created,
                "LastUpdatedTime": self.updated,
                "DeletionTime": self.deleted,
                "StackStatus": self.status,
                "StackStatusReason": self.reason,
                "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
            }
        )

    def of_resource(self, resource: Resource, when: str = "Timestamp") -> dict[str, Any]:
        """A resource as the calls about it show it."""
        of_stack = {"StackName": self.name, "StackId": self.id} if when != "LastUpdatedTimestamp" else {}
        return _present(
            {
                **of_stack,
                "LogicalResourceId": resource.logical_id,
                "PhysicalResourceId": resource.physical_id,
                "ResourceType": resource.type,
                when: resource.when,
                "ResourceStatus": resource.status,
                "ResourceStatusReason": resource.reason,
                "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
            }
        )


@dataclass
class ChangeSet:
    """What a stack would become, described before it is done."""

    name: str
    stack: Stack
    kind: str
    created: datetime
    template: Template
    values: dict[str, str]
    tags: dict[str, str]
    capabilities: list[str]
    changes: list[dict[str, Any]]
    description: str | None = None
    role: str | None = None
    notified: list[str] = field(default_factory=list)
    rollback: dict[str, Any] = field(default_factory=dict)
    on_failure: str | None = None
    status: str = "CREATE_COMPLETE"
    reason: str = ""
    execution: str = "AVAILABLE"
    id: str = ""

    def __post_init__(self) -> None:
        """The change set's ARN is its own."""
        account, region = self.stack.place
        self.id = f"arn:aws:cloudformation:{region}:{account}:changeSet/{self.name}/{uuid4()}"

    def shown(self) -> dict[str, Any]:
        """The change set as DescribeChangeSet shows it."""
        return _present(
            {
                **self.summary(),
                "Parameters": parameters.shown(self.template, self.values),
                "NotificationARNs": self.notified,
                "RollbackConfiguration": self.rollback,
                "Capabilities": self.capabilities,
                "Tags": [{"Key": key, "Value": value} for key, value in self.tags.items()],
                "Changes": self.changes,
                "OnStackFailure": self.on_failure,
            },
            kept=("NotificationARNs", "RollbackConfiguration", "Capabilities", "Changes"),
        )

    def summary(self) -> dict[str, Any]:
        """The change set as ListChangeSets shows it."""
        return _present(
            {
                "StackId": self.stack.id,
                "StackName": self.stack.name,
                "ChangeSetId": self.id,
                "ChangeSetName": self.name,
                "ExecutionStatus": self.execution,
                "Status": self.status,
                "StatusReason": self.reason,
                "CreationTime": self.created,
                "Description": self.description,
                "IncludeNestedStacks": False,
            }
        )


def _present(members: dict[str, Any], kept: tuple[str, ...] = ()) -> dict[str, Any]:
    """Without the members that have nothing to show."""
    return {name: value for name, value in members.items() if name in kept or value not in (None, "", [], {})}


@dataclass
class Stacks:
    """All stacks and change sets of a sandbox; ``lock`` is held by who reads or changes them."""

    stacks: list[Stack] = field(default_factory=list)
    change_sets: list[ChangeSet] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def at(self, place: Place) -> Iterator[Stack]:
        """The stacks of an account and region, the newest first."""
        return (stack for stack in reversed(self.stacks) if stack.place == place)

    def find(self, place: Place, name: str) -> Stack | None:
        """The stack of this name that is there, or of this ARN whether it is there or was deleted."""
        for stack in self.at(place):
            if stack.id == name or (stack.name == name and stack.status != DELETED):
                return stack
        return None

    def get(self, place: Place, name: str, text: str = "Stack with id {} does not exist") -> Stack:
        """The stack of this name or ARN.

        Raises:
            AwsError: ``ValidationError``, the text with the name in it.
        """
        found = self.find(place, name)
        if found is None:
            raise invalid(text.format(name))
        return found

    def exports(self, place: Place) -> dict[str, dict[str, str]]:
        """The outputs that stacks export, by the names they are exported under."""
        return {
            output["ExportName"]: {**output, "ExportingStackId": stack.id, "Stack": stack.name}
            for stack in self.at(place)
            if stack.status != DELETED
            for output in stack.outputs
            if "ExportName" in output
        }

    def beside(self, place: Place, stack: Stack | None) -> tuple[dict[str, Export], dict[str, str]]:
        """What the other stacks of a place export, and who of them imports what the stack itself exports, by name."""
        exports = self.exports(place)
        own = None if stack is None else stack.id
        others = {
            name: Export(each["OutputValue"], each["Stack"])
            for name, each in exports.items()
            if each["ExportingStackId"] != own
        }
        users = {name: self.importers(place, name) for name in exports if name not in others}
        in_use = {name: ", ".join(user.name for user in found) for name, found in users.items() if found}
        return others, in_use

    def importers(self, place: Place, export: str) -> list[Stack]:
        """The stacks that import an export."""
        return [stack for stack in self.at(place) if stack.status != DELETED and export in stack.imported]
