"""The operations on change sets: what a stack would become, described first and then done.

Not here: the stacks' own operations (``stacks``), what a change is (``plans``).

Source: the AWS CloudFormation API reference; the texts from localstack's recordings of change sets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.cloudformation.deployment import Deployment
from crossaccount_sandbox.cloudformation.events import Diary
from crossaccount_sandbox.cloudformation.plans import Target, plan, without_values
from crossaccount_sandbox.cloudformation.records import IN_REVIEW, ChangeSet, Stack, Stacks
from crossaccount_sandbox.cloudformation.requests import (
    asker,
    check_rollback,
    check_updatable,
    role_of,
    target_of,
    template_of,
    true,
)
from crossaccount_sandbox.cloudformation.templates import invalid
from crossaccount_sandbox.wire import AwsError
from crossaccount_sandbox.world import World

_UNNAMED = "StackName must be specified if ChangeSetName is not specified as an ARN."
_NO_STACK = "Stack [{}] does not exist"
_EMPTY = (
    "The submitted information didn't contain changes. Submit different information to create a change set."
)


class ChangeSets:
    """The handlers of change sets, over the stacks of one sandbox."""

    def __init__(self, stacks: Stacks) -> None:
        self._stacks = stacks

    def operations(self) -> dict[str, Callable[[World, Call], dict[str, Any] | None]]:
        """The operations, by name."""
        return {
            "CreateChangeSet": self._create,
            "DeleteChangeSet": self._delete,
            "DescribeChangeSet": self._describe,
            "ExecuteChangeSet": self._execute,
            "ListChangeSets": self._list,
        }

    def outdate(self, stack: Stack) -> None:
        """The change sets of a stack that is changed are no longer about it as it is."""
        for each in self._stacks.change_sets:
            if each.stack is stack and each.execution == "AVAILABLE":
                each.execution = "OBSOLETE"

    def drop(self, stack: Stack) -> None:
        """Forget the change sets of a stack that is gone, but for what was done."""
        self._stacks.change_sets = [
            each
            for each in self._stacks.change_sets
            if each.stack is not stack or each.execution == "EXECUTE_COMPLETE"
        ]

    def named(self, call: Call, text: str = _UNNAMED) -> ChangeSet:
        """The change set that a request names by its ARN, or by its name and its stack's.

        Args:
            call: the request.
            text: what is said to one that names no stack.

        Raises:
            AwsError: ``ValidationError``, ``ChangeSetNotFound``.
        """
        found, name = self._find(call, text), str(call.params["ChangeSetName"])
        if found is None:
            raise AwsError("ChangeSetNotFound", f"ChangeSet [{name}] does not exist", 404)
        return found

    def _find(self, call: Call, text: str = _UNNAMED) -> ChangeSet | None:
        name, of_stack = str(call.params["ChangeSetName"]), call.params.get("StackName")
        if name.startswith("arn:"):
            return next(
                (
                    each
                    for each in self._stacks.change_sets
                    if each.id == name and each.stack.place == call.place
                ),
                None,
            )
        if not of_stack:
            raise invalid(text)
        stack = self._stacks.get(call.place, str(of_stack), _NO_STACK)
        return next(
            (
                each
                for each in reversed(self._stacks.change_sets)
                if each.stack is stack and each.name == name
            ),
            None,
        )

    def _create(self, world: World, call: Call) -> dict[str, Any]:
        name, kind = str(call.params["ChangeSetName"]), str(call.params.get("ChangeSetType") or "UPDATE")
        stack_name = str(call.params["StackName"])
        stack = self._stacks.find(call.place, stack_name)
        begun = stack is not None and stack.status != IN_REVIEW
        if kind == "IMPORT" or true(call.params.get("ImportExistingResources")):
            raise invalid("The sandbox imports no resources into stacks")
        if kind == "CREATE" and begun:
            raise invalid(
                f"Stack [{stack_name}] already exists and cannot be created again with the changeSet [{name}]."
            )
        if kind == "UPDATE" and not begun:
            raise invalid(_NO_STACK.format(stack_name))
        if kind == "CREATE" and stack_name.startswith("arn:") and stack is None:
            raise invalid(_NO_STACK.format(stack_name))
        if stack is not None and begun:
            check_updatable(stack)
        # The CLI names them by the second, in which the sandbox does several: what was done, or failed, is no conflict here.
        if stack is not None and any(
            each.name == name and each.stack is stack and each.execution == "AVAILABLE"
            for each in self._stacks.change_sets
        ):
            text = f"ChangeSet {name} cannot be created due to a mismatch with existing attribute Template"
            raise AwsError("AlreadyExistsException", text)
        before = stack if begun else None
        target = target_of(self._stacks, call, template_of(call, before), before)
        role = role_of(world, call, before)
        whose = stack or _in_review(world, call, stack_name, target)
        planned = plan(whose, target)
        change_set = _change_set(world, call, whose, kind, target, planned.changes, role)
        if stack is None:
            self._stacks.stacks.append(whose)
            Diary(whose, world.clock).stack_is(IN_REVIEW, "User Initiated")
        if kind == "UPDATE" and not planned.anything:
            change_set.status, change_set.reason, change_set.execution = "FAILED", _EMPTY, "UNAVAILABLE"
        self._stacks.change_sets.append(change_set)
        return {"Id": change_set.id, "StackId": whose.id}

    def _describe(self, world: World, call: Call) -> dict[str, Any]:
        shown = self.named(call).shown()
        if not true(call.params.get("IncludePropertyValues")):
            shown["Changes"] = without_values(shown["Changes"])
        return shown

    def _delete(self, world: World, call: Call) -> None:
        found = self._find(call)
        if found is None:
            return  # one that is not there is as good as deleted
        if found.execution == "EXECUTE_IN_PROGRESS":
            text = f"ChangeSet [{found.id}] cannot be deleted in its current execution status"
            raise AwsError("InvalidChangeSetStatus", text)
        self._stacks.change_sets.remove(found)

    def _list(self, world: World, call: Call) -> dict[str, Any]:
        stack = self._stacks.get(call.place, str(call.params["StackName"]), _NO_STACK)
        listed = [each.summary() for each in self._stacks.change_sets if each.stack is stack]
        return {"Summaries": listed}

    def _execute(self, world: World, call: Call) -> None:
        change_set = self.named(call)
        stack = change_set.stack
        if change_set.status != "CREATE_COMPLETE" or change_set.execution != "AVAILABLE":
            shown = change_set.status if change_set.status != "CREATE_COMPLETE" else change_set.execution
            which = "status" if change_set.status != "CREATE_COMPLETE" else "execution status"
            text = f"ChangeSet [{change_set.id}] cannot be executed in its current {which} of [{shown}]"
            raise AwsError("InvalidChangeSetStatus", text)
        exports, in_use = self._stacks.beside(call.place, stack)
        target = Target(
            change_set.template,
            change_set.values,
            change_set.tags,
            capabilities=tuple(change_set.capabilities),
            notified=tuple(change_set.notified),
            rollback=change_set.rollback,
            exports=exports,
            in_use=in_use,
        )
        stack.role, stack.change_set = change_set.role, change_set.id
        check_rollback(call, creates=change_set.kind == "CREATE")
        stack.rolls_back = change_set.on_failure or "ROLLBACK"
        if true(call.params.get("DisableRollback")):
            stack.rolls_back = "DO_NOTHING"
        deployment = Deployment(stack, asker(call, change_set.role), world.clock)
        change_set.execution = "EXECUTE_IN_PROGRESS"
        self.outdate(stack)
        if change_set.kind == "CREATE":
            stack.updated = world.clock()
            deployment.create(target)
        else:
            deployment.update(target)
        done = stack.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
        change_set.execution = "EXECUTE_COMPLETE" if done else "EXECUTE_FAILED"


def _in_review(world: World, call: Call, name: str, target: Target) -> Stack:
    """The stack that a change set will make: it has a name, and nothing else yet."""
    return Stack(name, call.place, world.clock(), target.template, {}, dict(target.tags), [])


def _change_set(
    world: World,
    call: Call,
    stack: Stack,
    kind: str,
    target: Target,
    changes: list[dict[str, Any]],
    role: str | None,
) -> ChangeSet:
    return ChangeSet(
        name=str(call.params["ChangeSetName"]),
        stack=stack,
        kind=kind,
        created=world.clock(),
        template=target.template,
        values=dict(target.values),
        tags=dict(target.tags),
        capabilities=list(target.capabilities),
        changes=changes,
        description=call.params.get("Description"),
        role=role,
        notified=list(target.notified),
        rollback=dict(target.rollback),
        on_failure=call.params.get("OnStackFailure"),
    )
