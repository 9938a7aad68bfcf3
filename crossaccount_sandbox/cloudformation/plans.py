"""What a template and its values would make of a stack: which resources are added, changed, replaced and removed.

Not here: doing it (``deployment``).

Source: "ResourceChange" and "ResourceChangeDetail" in the AWS CloudFormation API reference; localstack's recordings of change
sets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crossaccount_sandbox.cloudformation import parameters
from crossaccount_sandbox.cloudformation.catalogue import creation_order, kind_of
from crossaccount_sandbox.cloudformation.functions import (
    LATER,
    NO_VALUE,
    Export,
    Scope,
    plain_text,
    references,
)
from crossaccount_sandbox.cloudformation.kinds import changed_properties
from crossaccount_sandbox.cloudformation.records import Resource, Stack
from crossaccount_sandbox.cloudformation.templates import Template, invalid

_BESIDE = ("Metadata", "DeletionPolicy", "UpdateReplacePolicy", "CreationPolicy", "UpdatePolicy")


@dataclass(frozen=True)
class Target:
    """What a stack is to be.

    Args:
        template: its template.
        values: of the template's parameters.
        tags: the stack's.
        capabilities: those that were given.
        notified: the topics that are told of its events.
        rollback: the alarms that would roll it back.
        exports: what other stacks export, by name.
        in_use: the stacks that import from this one, by the name of what they import.
    """

    template: Template
    values: Mapping[str, str]
    tags: Mapping[str, str]
    capabilities: tuple[str, ...] = ()
    notified: tuple[str, ...] = ()
    rollback: Mapping[str, Any] = field(default_factory=dict)
    exports: Mapping[str, Export] = field(default_factory=dict)
    in_use: Mapping[str, str] = field(default_factory=dict)

    def scope(self, stack: Stack, resource: Any) -> Scope:
        """The names of the template, for a stack whose resources are asked through ``resource``."""
        account, region = stack.place
        pseudo = {
            "AWS::AccountId": account,
            "AWS::NotificationARNs": list(self.notified),
            "AWS::Partition": "aws",
            "AWS::Region": region,
            "AWS::StackId": stack.id,
            "AWS::StackName": stack.name,
            "AWS::URLSuffix": "amazonaws.com",
        }
        return Scope(
            self.template, parameters.typed(self.template, self.values), pseudo, self.exports, resource
        )

    def present(self, scope: Scope) -> list[str]:
        """The resources whose conditions hold, in the order in which they are made."""
        resources = self.template.resources
        return creation_order(self.template, [name for name in resources if scope.has(resources[name])])


def value_of(held: Resource, attribute: str | None) -> Any:
    """What Ref, or GetAtt of an attribute, gives of a resource that was made."""
    assert held.held is not None
    if attribute is None:
        return held.held.attributes.get("Ref", held.held.physical_id)
    return held.held.attributes.get(attribute, "")


def outputs_of(target: Target, scope: Scope) -> list[dict[str, str]]:
    """The outputs of a stack whose resources are there, as an answer has them."""
    found = []
    for name, entry in target.template.outputs.items():
        if not scope.has(entry):
            continue
        value = scope.value(entry["Value"])
        if value is NO_VALUE or isinstance(value, (list, dict)):
            kind = " and not a List" if isinstance(value, list) else " and not a Map"
            said = "The Value field of every Outputs member must evaluate to a String"
            raise invalid(f"Template format error: {said}{'' if value is NO_VALUE else kind}.")
        output = {"OutputKey": name, "OutputValue": plain_text(value)}
        if "Description" in entry:
            output["Description"] = str(entry["Description"])
        if "Export" in entry:
            output["ExportName"] = str(scope.value(entry["Export"]["Name"]))
        found.append(output)
    names = [output["ExportName"] for output in found if "ExportName" in output]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise invalid(f"Template format error: Duplicate Export names: [{', '.join(twice)}]")
    return found


@dataclass(frozen=True)
class Plan:
    """The changes to a stack, as a change set shows them, and whether there is anything to do at all."""

    changes: list[dict[str, Any]]
    anything: bool


def plan(stack: Stack, target: Target) -> Plan:
    """What a target would change about a stack; nothing is changed yet.

    Raises:
        AwsError: ``ValidationError`` for what can be seen to be impossible.
    """
    planning = _Planning(stack, target)
    changes = planning.changes()
    outputs = planning.outputs()
    anything = bool(changes) or outputs != stack.outputs or dict(target.tags) != stack.tags
    return Plan(changes, anything)


class _Planning:
    def __init__(self, stack: Stack, target: Target) -> None:
        self._stack, self._target = stack, target
        self._later: set[str] = set()  # what is made anew, and known by its values then
        self._modified: set[str] = set()
        self._block = "Resources"
        self.scope = target.scope(stack, self._resource)
        self._present = target.present(self.scope)

    def _resource(self, name: str, attribute: str | None) -> Any:
        if name not in self._present:
            kind = "Template format error: " if self._block == "Resources" else ""
            said = f"Unresolved resource dependencies [{name}] in the {self._block} block of the template"
            raise invalid(f"{kind}{said}")
        held = self._stack.resources.get(name)
        if held is None or held.held is None or name in self._later:
            return LATER
        return value_of(held, attribute)

    def outputs(self) -> list[dict[str, str]]:
        """The outputs, so far as they can be known; after the changes."""
        self._block = "Outputs"
        return outputs_of(self._target, self.scope)

    def changes(self) -> list[dict[str, Any]]:
        """The changes, those of one resource after those it depends on; removals last."""
        found = []
        for name in self._present:
            entry = self._target.template.resources[name]
            change = self._change(name, entry, self.scope.properties(entry))
            if change is not None:
                found.append({"Type": "Resource", "ResourceChange": change})
        for name, held in self._stack.resources.items():
            if name not in self._present and held.held is not None:
                change = self._shown("Remove", name, held.type, held.physical_id)
                change["BeforeContext"] = _context(held.properties)
                kept = held.entry.get("DeletionPolicy") == "Retain"
                change["PolicyAction"] = "Retain" if kept else "Delete"
                found.append({"Type": "Resource", "ResourceChange": change})
        return found

    def _shown(self, action: str, name: str, type_name: str, physical_id: str = "") -> dict[str, Any]:
        shown = {"Action": action, "LogicalResourceId": name, "ResourceType": type_name}
        if physical_id:
            shown["PhysicalResourceId"] = physical_id
        return {**shown, "Scope": [], "Details": []}

    def _change(self, name: str, entry: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any] | None:
        held = self._stack.resources.get(name)
        if held is None or held.held is None:
            self._later.add(name)
            shown = self._shown("Add", name, entry["Type"])
            return shown | {"AfterContext": _context(properties)}
        if held.type != entry["Type"]:
            raise invalid(
                "Update of resource type is not permitted. The new template modifies resource type of the following "
                f"resources: [{name}]"
            )
        changed = changed_properties(held.properties, properties)
        kind = kind_of(held.type)
        beside = [each for each in _BESIDE if entry.get(each) != held.entry.get(each)]
        if "Tags" in kind.properties and dict(self._target.tags) != self._stack.tags:
            beside.append("Tags")
        if not changed and not beside:
            return None
        self._modified.add(name)
        change = self._shown("Modify", name, held.type, held.physical_id)
        change |= {"Replacement": "False", "Scope": sorted([*beside, *(["Properties"] if changed else [])])}
        if changed and kind.replaces(changed):
            self._later.add(name)
            certain = any(LATER not in str(properties.get(each)) for each in changed if kind.replaces([each]))
            change["Replacement"] = "True" if certain else "Conditional"
            kept = held.entry.get("UpdateReplacePolicy") == "Retain"
            change["PolicyAction"] = "ReplaceAndRetain" if kept else "ReplaceAndDelete"
        change["Details"] = [
            _detail({"Attribute": each, "RequiresRecreation": "Never"}, "Static", "DirectModification")
            for each in beside
        ]
        for each in changed:
            target = {
                "Attribute": "Properties",
                "Name": each,
                "RequiresRecreation": "Always" if kind.replaces([each]) else "Never",
                **_values(each, held.properties, properties),
            }
            change["Details"] += self._details(entry.get("Properties", {}).get(each), target)
        contexts = {"BeforeContext": _context(held.properties), "AfterContext": _context(properties)}
        return change | contexts

    def _details(self, node: Any, target: dict[str, str]) -> list[dict[str, Any]]:
        found = []
        for each in dict.fromkeys(references(node)):
            if each.name in self._target.template.parameters:
                if self._stack.values.get(each.name) != self._target.values[each.name]:
                    found.append(_detail(target, "Static", "ParameterReference", each.name))
            elif each.name in self._modified | self._later:
                source = "ResourceReference" if each.attribute is None else "ResourceAttribute"
                entity = each.name if each.attribute is None else f"{each.name}.{each.attribute}"
                found.append(_detail(target, "Dynamic", source, entity))
        if not found:
            return [_detail(target, "Static", "DirectModification")]
        if any(detail["ChangeSource"] == "ParameterReference" for detail in found):
            found.append(_detail(target, "Dynamic", "DirectModification"))
        return found


def _detail(target: dict[str, str], evaluation: str, source: str, entity: str = "") -> dict[str, Any]:
    detail: dict[str, Any] = {"Target": target, "Evaluation": evaluation, "ChangeSource": source}
    return {**detail, "CausingEntity": entity} if entity else detail


# What a change set says of values, where it is asked for them.
_VALUES = ("Path", "BeforeValue", "AfterValue", "AttributeChangeType")
_CONTEXTS = ("BeforeContext", "AfterContext")


def _context(properties: Mapping[str, Any]) -> str:
    return json.dumps({"Properties": properties}, separators=(",", ":"), default=str)


def _values(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, str]:
    kind = "Add" if name not in before else "Remove" if name not in after else "Modify"
    found = {"Path": f"/Properties/{name}", "AttributeChangeType": kind}
    for key, properties in (("BeforeValue", before), ("AfterValue", after)):
        if name in properties:
            value = properties[name]
            found[key] = (
                value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=str)
            )
    return found


def without_values(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The changes as a change set shows them that is not asked for the values of properties."""
    shown = []
    for each in changes:
        change = {name: value for name, value in each["ResourceChange"].items() if name not in _CONTEXTS}
        change["Details"] = [
            {
                **detail,
                "Target": {name: value for name, value in detail["Target"].items() if name not in _VALUES},
            }
            for detail in change["Details"]
        ]
        shown.append({**each, "ResourceChange": change})
    return shown
