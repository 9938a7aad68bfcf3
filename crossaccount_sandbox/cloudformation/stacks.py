"""The operations on stacks: made, changed, removed, and told about.

Not here: change sets (``change_sets``), what happens to a stack's resources (``deployment``).

Source: the AWS CloudFormation API reference; the texts from localstack's recordings and users' reports.
"""

from __future__ import annotations

from typing import Any

from crossaccount_sandbox.answers import result
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.cloudformation import catalogue, parameters
from crossaccount_sandbox.cloudformation.change_sets import ChangeSets
from crossaccount_sandbox.cloudformation.deployment import Deployment
from crossaccount_sandbox.cloudformation.events import Diary
from crossaccount_sandbox.cloudformation.plans import plan
from crossaccount_sandbox.cloudformation.records import DELETED, IN_REVIEW, Resource, Stack, Stacks
from crossaccount_sandbox.cloudformation.requests import (
    asker,
    check_name,
    check_rollback,
    check_updatable,
    role_of,
    target_of,
    template_of,
    true,
)
from crossaccount_sandbox.cloudformation.templates import Template, invalid
from crossaccount_sandbox.wire import AwsError, Response
from crossaccount_sandbox.world import Handler, World

_NO_NAME = "StackName is a required parameter."
_PAGE = 100  # events, resources, stacks


class StackOperations:
    """The handlers of CloudFormation, over the stacks of one sandbox."""

    def __init__(self, stacks: Stacks) -> None:
        """Handle what is kept there."""
        self._stacks = stacks
        self._change_sets = ChangeSets(self._stacks)

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """The operations, by service and name."""
        own = {
            "CreateStack": self._create,
            "UpdateStack": self._update,
            "DeleteStack": self._delete,
            "DescribeStacks": self._describe,
            "DescribeStackEvents": self._events,
            "DescribeStackResource": self._resource,
            "DescribeStackResources": self._resources,
            "GetTemplate": self._template,
            "GetTemplateSummary": self._summary,
            "ListExports": self._exports,
            "ListImports": self._imports,
            "ListStackResources": self._list_resources,
            "ListStacks": self._list,
            "UpdateTerminationProtection": self._protect,
            "ValidateTemplate": self._validate,
        }
        operations = own | self._change_sets.operations()
        return {("cloudformation", name): self._answering(act) for name, act in operations.items()}

    def _answering(self, act: Any) -> Handler:
        def answer(world: World, call: Call) -> Response:
            with self._stacks.lock:
                if name := call.params.get("StackName"):
                    check_name(str(name))
                return result(call, act(world, call) or {})

        return answer

    def _create(self, world: World, call: Call) -> dict[str, Any]:
        name = str(call.params["StackName"])
        there = self._stacks.find(call.place, name)
        if there is not None and there.status != IN_REVIEW:
            raise AwsError("AlreadyExistsException", f"Stack [{name}] already exists")
        target = target_of(self._stacks, call, template_of(call), None)
        role = role_of(world, call, None)
        stack = there or Stack(
            name, call.place, world.clock(), target.template, dict(target.values), dict(target.tags), []
        )
        plan(stack, target)  # what can be seen to be impossible is refused before anything is there
        stack.role = role
        stack.rolls_back = str(call.params.get("OnFailure") or "ROLLBACK")
        if true(call.params.get("DisableRollback")):
            stack.rolls_back = "DO_NOTHING"
        stack.protected = true(call.params.get("EnableTerminationProtection"))
        stack.timeout = call.params.get("TimeoutInMinutes")
        if there is None:
            self._stacks.stacks.append(stack)
        self._change_sets.outdate(stack)
        Deployment(stack, asker(call, role), world.clock).create(target)
        return {"StackId": stack.id}

    def _update(self, world: World, call: Call) -> dict[str, Any]:
        stack = self._stacks.get(call.place, str(call.params["StackName"]), "Stack [{}] does not exist")
        check_updatable(stack)
        check_rollback(call, creates=False)
        target = target_of(self._stacks, call, template_of(call, stack), stack)
        role = role_of(world, call, stack)
        if not plan(stack, target).anything:
            raise invalid("No updates are to be performed.")
        stack.role = role
        self._change_sets.outdate(stack)
        Deployment(stack, asker(call, role), world.clock).update(target)
        return {"StackId": stack.id}

    def _delete(self, world: World, call: Call) -> None:
        stack = self._stacks.find(call.place, str(call.params["StackName"]))
        if stack is None or stack.status == DELETED:
            return
        if stack.protected:
            raise invalid(f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
        role = role_of(world, call, stack)
        deployment = Deployment(stack, asker(call, role), world.clock)
        retained = tuple(str(name) for name in call.params.get("RetainResources") or ())
        if retained and stack.status != "DELETE_FAILED":
            raise invalid(
                f"Invalid operation on stack [{stack.id}]. When you delete a stack, specify which resources to retain "
                "only when the stack is in the DELETE_FAILED state."
            )
        _, in_use = self._stacks.beside(call.place, stack)
        for export, users in in_use.items():
            text = f"Export {export} cannot be deleted as it is in use by {users}"
            Diary(stack, world.clock).stack_is("DELETE_FAILED", text)
            return
        deployment.delete(retained)
        self._change_sets.drop(stack)

    def _protect(self, world: World, call: Call) -> dict[str, Any]:
        stack = self._stacks.get(call.place, str(call.params["StackName"]), "Stack [{}] does not exist")
        stack.protected = true(call.params["EnableTerminationProtection"])
        return {"StackId": stack.id}

    # What is told.

    def _describe(self, world: World, call: Call) -> dict[str, Any]:
        name = call.params.get("StackName")
        if name:
            return {"Stacks": [self._stacks.get(call.place, str(name)).shown()]}
        return {"Stacks": [each.shown() for each in self._stacks.at(call.place) if each.status != DELETED]}

    def _list(self, world: World, call: Call) -> dict[str, Any]:
        wanted = call.params.get("StackStatusFilter")
        listed = [
            each.summary() for each in self._stacks.at(call.place) if not wanted or each.status in wanted
        ]
        return _page(call, "StackSummaries", listed)

    def _events(self, world: World, call: Call) -> dict[str, Any]:
        stack = self._stacks.get(call.place, str(call.params["StackName"]), "Stack [{}] does not exist")
        return _page(call, "StackEvents", list(reversed(stack.events)))

    def _resource(self, world: World, call: Call) -> dict[str, Any]:
        stack = self._stacks.get(call.place, str(call.params["StackName"]), "Stack '{}' does not exist")
        name = str(call.params["LogicalResourceId"])
        resource = stack.resources.get(name)
        if resource is None:
            raise invalid(f"Resource {name} does not exist for stack {stack.name}")
        shown = stack.of_resource(resource, "LastUpdatedTimestamp")
        return {"StackResourceDetail": {"StackId": stack.id, "StackName": stack.name, **shown}}

    def _resources(self, world: World, call: Call) -> dict[str, Any]:
        name, physical = call.params.get("StackName"), call.params.get("PhysicalResourceId")
        wanted = call.params.get("LogicalResourceId")
        if bool(name) == bool(physical):
            raise invalid("Exactly one of StackName or PhysicalResourceId must be specified")
        stack = self._stacks.get(call.place, str(name)) if name else self._holding(call, str(physical))
        found = [each for each in _shown(stack) if wanted in (None, "", each.logical_id)]
        return {"StackResources": [stack.of_resource(each) for each in found]}

    def _holding(self, call: Call, physical: str) -> Stack:
        for stack in self._stacks.at(call.place):
            if stack.status != DELETED and any(
                each.physical_id == physical for each in stack.resources.values()
            ):
                return stack
        raise invalid(f"Stack for {physical} does not exist")

    def _list_resources(self, world: World, call: Call) -> dict[str, Any]:
        stack = self._stacks.get(call.place, str(call.params["StackName"]))
        listed = [stack.of_resource(each, "LastUpdatedTimestamp") for each in _shown(stack)]
        return _page(call, "StackResourceSummaries", listed)

    def _exports(self, world: World, call: Call) -> dict[str, Any]:
        exports = self._stacks.exports(call.place)
        listed = [
            {"ExportingStackId": each["ExportingStackId"], "Name": name, "Value": each["OutputValue"]}
            for name, each in sorted(exports.items())
        ]
        return _page(call, "Exports", listed)

    def _imports(self, world: World, call: Call) -> dict[str, Any]:
        name = str(call.params["ExportName"])
        users = [stack.name for stack in self._stacks.importers(call.place, name)]
        if not users:
            raise invalid(f"Export '{name}' is not imported by any stack.")
        return _page(call, "Imports", users)

    # Templates.

    def _template(self, world: World, call: Call) -> dict[str, Any]:
        if call.params.get("ChangeSetName"):
            template = self._change_sets.named(call, _NO_NAME).template
        elif name := call.params.get("StackName"):
            template = self._stacks.get(call.place, str(name)).template
        else:
            raise invalid(_NO_NAME)
        return {"TemplateBody": template.text, "StagesAvailable": ["Original", "Processed"]}

    def _summary(self, world: World, call: Call) -> dict[str, Any]:
        name = call.params.get("StackName")
        stack = self._stacks.get(call.place, str(name)) if name else None
        if stack is not None and stack.status == IN_REVIEW:
            raise invalid("GetTemplateSummary cannot be called on REVIEW_IN_PROGRESS stacks.")
        template = template_of(call) if stack is None else stack.template
        types = template.types
        by_type = [{"ResourceType": each, "LogicalResourceIds": _of_type(template, each)} for each in types]
        return {
            **_described(template),
            "ResourceTypes": [*types],
            "ResourceIdentifierSummaries": by_type,
            **({"Version": template.version} if template.version else {}),
            **({"Metadata": str(template.metadata)} if template.metadata else {}),
        }

    def _validate(self, world: World, call: Call) -> dict[str, Any]:
        template = template_of(call)
        catalogue.check_names(template)
        described = _described(template)
        shown = ("ParameterKey", "DefaultValue", "NoEcho", "Description")
        listed = [{key: each[key] for key in shown if key in each} for each in described["Parameters"]]
        return {**described, "Parameters": listed}


def _described(template: Template) -> dict[str, Any]:
    needed = catalogue.needed_capabilities(template)
    reason = {"CapabilitiesReason": catalogue.capability_reason(template)} if needed else {}
    return {
        "Parameters": parameters.declared(template),
        **({"Description": template.description} if template.description else {}),
        **({"Capabilities": needed} if needed else {}),
        **reason,
        **({"DeclaredTransforms": template.transforms} if template.transforms else {}),
    }


def _of_type(template: Template, type_name: str) -> list[str]:
    return [name for name, each in template.resources.items() if each["Type"] == type_name]


def _shown(stack: Stack) -> list[Resource]:
    return sorted(stack.resources.values(), key=lambda resource: resource.logical_id)


def _page(call: Call, member: str, listed: list[Any]) -> dict[str, Any]:
    """One page of a list; the token says where the next one begins."""
    token = str(call.params.get("NextToken") or "0")
    if not token.isdigit():
        raise invalid("NextToken is invalid")
    begin = int(token)
    end = begin + _PAGE
    more = {"NextToken": str(end)} if end < len(listed) else {}
    return {member: listed[begin:end], **more}
