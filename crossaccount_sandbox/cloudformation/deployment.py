"""A stack is made, changed and removed: resource by resource, with events, and back again where one fails.

What fails, be it a refusal or a fault of the sandbox's own, ends in a stack that says so, never in one that is half there.

Not here: what a change would be (``plans``), the calls of each type (``kinds``), the requests (``requests``).

Source: "Understanding stack creation events" and "Stack failure options" in the AWS CloudFormation user guide; the order and
the texts of events from localstack's recordings.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from crossaccount_sandbox.cloudformation.catalogue import dependencies, kind_of
from crossaccount_sandbox.cloudformation.events import Diary, reason_of
from crossaccount_sandbox.cloudformation.functions import Scope
from crossaccount_sandbox.cloudformation.kinds import Ask, Held, Wanted, changed_properties
from crossaccount_sandbox.cloudformation.plans import Target, outputs_of, value_of
from crossaccount_sandbox.cloudformation.records import DELETED, Resource, Stack
from crossaccount_sandbox.cloudformation.steps import Before, Steps, in_order
from crossaccount_sandbox.cloudformation.templates import invalid
from crossaccount_sandbox.wire import AwsError

logger = logging.getLogger("sandbox")
_INITIATED = "User Initiated"
_INTERNAL = "Internal Failure: the sandbox failed; its log says why."
_KEPT = ("Retain", "RetainExceptOnCreate")


class _Failed(Exception):
    """A resource could not be made or changed; its event says why.

    Args:
        name: its logical id.
        verb: what was to be done.
    """

    def __init__(self, name: str, verb: str) -> None:
        super().__init__(name)
        self.name, self.verb = name, verb


class Deployment:
    """One deployment of a stack.

    Args:
        stack: the stack; it is changed.
        ask: calls the services with the stack's permissions.
        clock: the time of its events.
    """

    def __init__(self, stack: Stack, ask: Ask, clock: Callable[[], datetime]) -> None:
        self._stack, self._ask, self._clock = stack, ask, clock
        self._diary = Diary(stack, clock)

    def _try(self, resource: Resource, failed: str, act: Callable[[], None]) -> None:
        """Do something to a resource.

        Raises:
            _Failed: when it is refused, or the sandbox fails.
        """
        try:
            act()
        except AwsError as error:
            self._diary.resource_is(resource, failed, reason_of(error))
        except (
            Exception
        ):  # a fault of the sandbox's own fails the resource, and so the stack, and nothing is tried again
            logger.exception("%s of stack %s", resource.logical_id, self._stack.name)
            self._diary.resource_is(
                resource, failed, "Internal Failure: the sandbox failed; its log says why."
            )
        else:
            return
        raise _Failed(resource.logical_id, failed.partition("_")[0].lower())

    # One resource.

    def _wanted(self, resource: Resource, properties: Mapping[str, Any], tags: Mapping[str, str]) -> Wanted:
        taggable = "Tags" in kind_of(resource.type).properties
        return Wanted(
            self._stack.name, resource.logical_id, properties, tags if taggable else {}, self._stack.place[1]
        )

    def _create(self, resource: Resource, tags: Mapping[str, str]) -> None:
        kind, wanted = kind_of(resource.type), self._wanted(resource, resource.properties, tags)

        def begun(physical_id: str, attributes: Mapping[str, Any]) -> None:
            resource.held = Held(physical_id, attributes, resource.properties, wanted.tags)
            self._diary.resource_is(resource, "CREATE_IN_PROGRESS", "Resource creation Initiated")

        def act() -> None:
            kind.check(resource.logical_id, resource.properties)
            kind.create(self._ask, wanted, begun)

        self._diary.resource_is(resource, "CREATE_IN_PROGRESS")
        self._try(resource, "CREATE_FAILED", act)
        self._diary.resource_is(resource, "CREATE_COMPLETE")

    def _delete(self, resource: Resource) -> bool:
        """Remove a resource; False when that fails."""
        held = resource.held
        if held is None:
            return True
        self._diary.resource_is(resource, "DELETE_IN_PROGRESS")
        try:
            self._try(resource, "DELETE_FAILED", lambda: kind_of(resource.type).delete(self._ask, held))
        except _Failed:
            return False
        self._diary.resource_is(resource, "DELETE_COMPLETE")
        return True

    def _remove_all(self, resources: list[Resource]) -> list[str]:
        """Remove resources, each before what it depends on; the names of those that stay because they could not be."""
        stays = []
        for resource in reversed(resources):
            if resource.entry.get("DeletionPolicy") == "Retain" and resource.held is not None:
                self._diary.resource_is(resource, "DELETE_SKIPPED")
                self._stack.resources.pop(resource.logical_id, None)
            elif self._delete(resource):
                self._stack.resources.pop(resource.logical_id, None)
            else:
                stays.append(resource.logical_id)
        return stays

    # The stack.

    def create(self, target: Target) -> None:
        """Make the stack; where that fails it is rolled back, kept or removed, as was asked."""
        stack = self._stack
        _become(stack, target)
        self._diary.stack_is("CREATE_IN_PROGRESS", _INITIATED)
        made: list[Resource] = []
        try:
            scope = target.scope(stack, self._value)
            for name in target.present(scope):
                made.append(self._new(target, name, scope.properties(target.template.resources[name])))
                stack.resources[name] = made[-1]
                self._create(made[-1], target.tags)
            stack.outputs = self._outputs(target, scope)
        except Exception as error:  # also a fault of the sandbox's own leaves nothing half there
            self._undo_creation(made, self._why(error))
            return
        self._diary.stack_is("CREATE_COMPLETE")

    def _undo_creation(self, made: list[Resource], reason: str) -> None:
        if self._stack.rolls_back == "DO_NOTHING":
            self._diary.stack_is("CREATE_FAILED", reason)
            return
        self._stack.deleted = self._clock()
        removing = self._stack.rolls_back == "DELETE"
        asked = "Delete" if removing else "Rollback"
        self._diary.stack_is(
            f"{'DELETE' if removing else 'ROLLBACK'}_IN_PROGRESS", f"{reason}{asked} requested by user."
        )
        stays = self._remove_all(made)
        if stays:
            text = f"The following resource(s) failed to delete: [{', '.join(stays)}]. "
            self._diary.stack_is(f"{'DELETE' if removing else 'ROLLBACK'}_FAILED", text)
            return
        self._diary.stack_is(DELETED if removing else "ROLLBACK_COMPLETE")

    def _why(self, error: Exception) -> str:
        """Why the stack failed, as its own event says it."""
        if isinstance(error, _Failed):
            return f"The following resource(s) failed to {error.verb}: [{error.name}]. "
        if isinstance(error, AwsError):
            return f"{error.message}. "
        logger.error("stack %s", self._stack.name, exc_info=error)
        return f"{_INTERNAL} "

    def _value(self, name: str, attribute: str | None) -> Any:
        held = self._stack.resources.get(name)
        if held is None or held.held is None:
            raise invalid(
                f"Template format error: Unresolved resource dependencies [{name}] in the Resources block of the template"
            )
        return value_of(held, attribute)

    def _outputs(self, target: Target, scope: Scope) -> list[dict[str, str]]:
        outputs = outputs_of(target, scope)
        self._stack.imported = scope.imported
        for output in outputs:
            taken = output.get("ExportName", "")
            if taken in target.exports:
                owner = target.exports[taken].stack
                raise invalid(f"Export with name {taken} is already exported by stack {owner}")
        kept = {output.get("ExportName"): output["OutputValue"] for output in outputs}
        for output in self._stack.outputs:
            name = output.get("ExportName", "")
            if name in target.in_use and kept.get(name) != output["OutputValue"]:
                done = "updated" if name in kept else "deleted"
                raise invalid(f"Export {name} cannot be {done} as it is in use by {target.in_use[name]}")
        return outputs

    def _new(self, target: Target, name: str, properties: dict[str, Any]) -> Resource:
        entry = target.template.resources[name]
        depends = tuple(sorted(dependencies(target.template, name)))
        return Resource(name, entry["Type"], entry, properties, depends=depends)

    def update(self, target: Target) -> None:
        """Bring the stack to its target; where that fails it is brought back to what it was."""
        stack = self._stack
        before = Before(stack)
        stack.updated = self._clock()
        _become(stack, target)
        self._diary.stack_is("UPDATE_IN_PROGRESS", _INITIATED)
        steps = Steps()
        try:
            scope = target.scope(stack, self._value)
            present = target.present(scope)
            for name in present:
                self._bring(target, name, scope.properties(target.template.resources[name]), before, steps)
            outputs = self._outputs(target, scope)
        except Exception as error:  # also a fault of the sandbox's own leaves nothing half there
            self._undo_update(before, steps, self._why(error))
            return
        stack.outputs = outputs
        self._diary.stack_is("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        self._clean_up(present, steps)
        self._diary.stack_is("UPDATE_COMPLETE")

    def _clean_up(self, present: list[str], steps: Steps) -> None:
        """Remove what the stack no longer has; what cannot be removed stays behind, without the stack."""
        left = [resource for name, resource in self._stack.resources.items() if name not in present]
        for resource in [*reversed(in_order(left)), *steps.replaced]:
            policy = "UpdateReplacePolicy" if resource in steps.replaced else "DeletionPolicy"
            if resource.entry.get(policy) in _KEPT:
                self._diary.resource_is(resource, "DELETE_SKIPPED")
            else:
                self._delete(resource)
        for resource in left:
            del self._stack.resources[resource.logical_id]

    def _bring(
        self, target: Target, name: str, properties: dict[str, Any], before: Before, steps: Steps
    ) -> None:
        """Make a resource what it is to be: anew, changed, or in the place of another."""
        stack, fresh = self._stack, self._new(target, name, properties)
        old = before.resources.get(name)
        if old is None or old.held is None:
            stack.resources[name] = fresh
            steps.made.append(fresh)
            self._create(fresh, target.tags)
            return
        held, kind = old.held, kind_of(old.type)
        changed = changed_properties(old.properties, properties)
        wanted = self._wanted(old, properties, target.tags)
        current = Resource(name, old.type, fresh.entry, properties, held, fresh.depends, *_state(old))
        stack.resources[name] = current
        if not changed and wanted.tags == held.tags:
            return
        self._diary.resource_is(current, "UPDATE_IN_PROGRESS")
        self._try(current, "UPDATE_FAILED", lambda: kind.check(current.logical_id, properties))
        steps.touched.append((old, current))
        if changed and kind.replaces(changed):
            self._replace(old, current, changed, target, steps)
            return
        self._try(current, "UPDATE_FAILED", lambda: self._change(current, held, wanted))
        self._diary.resource_is(current, "UPDATE_COMPLETE")

    def _change(self, current: Resource, held: Held, wanted: Wanted) -> None:
        kind = kind_of(current.type)

        def begun(physical_id: str, attributes: Mapping[str, Any]) -> None:
            current.held = Held(physical_id, attributes, wanted.properties, wanted.tags)

        assert kind.update is not None
        kind.update(self._ask, held, wanted, begun)

    def _replace(
        self, old: Resource, current: Resource, changed: list[str], target: Target, steps: Steps
    ) -> None:
        kind = kind_of(current.type)
        self._diary.resource_is(current, "UPDATE_IN_PROGRESS", "Requested update requires the creation of a new physical resource; hence creating one.")  # fmt: skip
        current.held = None

        def act() -> None:
            name = current.properties.get(kind.named_by) if kind.named_by else None
            if name is not None and kind.named_by not in changed:
                text = f"CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename {name} and update the stack again."  # fmt: skip
                raise AwsError("Unnamed", text)
            wanted = self._wanted(current, current.properties, target.tags)

            def begun(physical_id: str, attributes: Mapping[str, Any]) -> None:
                current.held = Held(physical_id, attributes, current.properties, wanted.tags)
                self._diary.resource_is(current, "UPDATE_IN_PROGRESS", "Resource creation Initiated")

            kind.create(self._ask, wanted, begun)

        self._try(current, "UPDATE_FAILED", act)
        self._diary.resource_is(current, "UPDATE_COMPLETE")
        steps.replaced.append(old)

    def _undo_update(self, before: Before, steps: Steps, reason: str) -> None:
        stack = self._stack
        self._diary.stack_is("UPDATE_ROLLBACK_IN_PROGRESS", reason)
        stays = [
            old.logical_id for old, current in reversed(steps.touched) if not self._restore(old, current)
        ]
        stays += self._remove_all(steps.made)
        before.restore(stack)
        if stays:
            text = f"The following resource(s) failed to update: [{', '.join(stays)}]. "
            self._diary.stack_is("UPDATE_ROLLBACK_FAILED", text)
            return
        self._diary.stack_is("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        self._diary.stack_is("UPDATE_ROLLBACK_COMPLETE")

    def _restore(self, old: Resource, current: Resource) -> bool:
        """Make a resource again what it was; False when that fails."""
        held = old.held
        assert held is not None
        if current.held is None or current.held.physical_id != held.physical_id:
            return self._delete(current)  # what was to take its place
        wanted = Wanted(self._stack.name, old.logical_id, held.properties, held.tags)
        # A change that failed halfway may have got anywhere: what it meant to reach is undone.
        tags = self._wanted(current, current.properties, self._stack.tags).tags
        reached = Held(held.physical_id, held.attributes, current.properties, tags)
        self._diary.resource_is(old, "UPDATE_IN_PROGRESS")
        try:
            self._try(old, "UPDATE_FAILED", lambda: self._change(old, reached, wanted))
        except _Failed:
            return False
        self._diary.resource_is(old, "UPDATE_COMPLETE")
        return True

    def delete(self, retained: tuple[str, ...] = ()) -> None:
        """Remove the stack with its resources, but for those that are to be kept."""
        stack = self._stack
        self._diary.stack_is("DELETE_IN_PROGRESS", _INITIATED)
        stays = []
        for resource in reversed(in_order(list(stack.resources.values()))):
            kept = resource.entry.get("DeletionPolicy") in _KEPT or resource.logical_id in retained
            if kept and resource.held is not None:
                self._diary.resource_is(resource, "DELETE_SKIPPED")
            elif not self._delete(resource):
                stays.append(resource.logical_id)
        if stays:
            stack.deleted = self._clock()
            text = f"The following resource(s) failed to delete: [{', '.join(stays)}]. "
            stack.resources = {name: stack.resources[name] for name in stack.resources if name in stays}
            self._diary.stack_is("DELETE_FAILED", text)
            return
        self._diary.stack_is(DELETED)


def _state(resource: Resource) -> tuple[str, str, datetime | None]:
    return resource.status, resource.reason, resource.when


def _become(stack: Stack, target: Target) -> None:
    stack.template, stack.values, stack.tags = target.template, dict(target.values), dict(target.tags)
    stack.capabilities, stack.notified = list(target.capabilities), list(target.notified)
    stack.rollback = dict(target.rollback)
