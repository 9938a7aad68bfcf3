"""A template as CloudFormation reads it: JSON, or YAML with its short forms, in the form that CloudFormation takes.

Not here: values of parameters (``parameters``), functions (``functions``) and types of resources (``kinds``).

Source: "Template anatomy" and "Intrinsic function reference" in the AWS CloudFormation user guide; the texts from localstack's
recordings of CloudFormation and "How do I resolve template validation errors or template format errors" of AWS's knowledge
center.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from crossaccount_sandbox.wire import AwsError

_SECTIONS = frozenset(
    [
        *(
            "AWSTemplateFormatVersion",
            "Description",
            "Metadata",
            "Parameters",
            "Rules",
            "Mappings",
            "Conditions",
        ),
        *("Transform", "Resources", "Outputs", "Hooks"),
    ]
)
_OF_RESOURCE = frozenset(
    [
        *("Type", "Properties", "Condition", "DependsOn", "Metadata"),
        *("DeletionPolicy", "UpdateReplacePolicy", "CreationPolicy", "UpdatePolicy"),
    ]
)
_OF_PARAMETER = frozenset(
    [
        *(
            "Type",
            "Default",
            "Description",
            "NoEcho",
            "AllowedValues",
            "AllowedPattern",
            "ConstraintDescription",
        ),
        *("MinLength", "MaxLength", "MinValue", "MaxValue"),
    ]
)
_POLICIES = ("Delete", "Retain", "RetainExceptOnCreate", "Snapshot")


@dataclass(frozen=True)
class Template:
    """A template that was read; every section is there, empty where the text has none.

    Args:
        unread: the sections that no stack is made of here.
    """

    text: str
    description: str | None
    parameters: dict[str, Any]
    mappings: dict[str, Any]
    conditions: dict[str, Any]
    resources: dict[str, Any]
    outputs: dict[str, Any]
    transforms: list[str]
    metadata: Any = None
    version: str | None = None
    types: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def invalid(text: str) -> AwsError:
    """CloudFormation's error for what a request or its template says."""
    return AwsError("ValidationError", text)


_VERSION = "2010-09-09"


@lru_cache(maxsize=64)
def read_template(text: str) -> Template:
    """The template that a text is. What is returned is shared by all who read the same text, and not to be changed.

    Raises:
        AwsError: ``ValidationError``, in CloudFormation's words.
    """
    document = _parsed(text)
    if not isinstance(document, dict):
        raise invalid("Template format error: unsupported structure.")
    if unknown := sorted(str(name) for name in document if name not in _SECTIONS):
        raise invalid(f"Invalid template property or properties [{', '.join(unknown)}]")
    version = document.get("AWSTemplateFormatVersion")
    if version is not None and str(version) != _VERSION:
        raise invalid("Template format error: unsupported value for AWSTemplateFormatVersion.")
    null = next(_nulls(document, ""), None)
    if null is not None:
        raise invalid(f"[{null}] 'null' values are not allowed in templates")
    sections = {
        name: _section(document, name) for name in ("Parameters", "Mappings", "Conditions", "Outputs")
    }
    resources = document.get("Resources")
    if not isinstance(resources, dict) or not resources:
        raise invalid("Template format error: At least one Resources member must be defined.")
    for name, resource in resources.items():
        _check_resource(name, resource)
    for name, parameter in sections["Parameters"].items():
        _check_parameter(name, parameter)
    for output in sections["Outputs"].values():
        if not isinstance(output, dict) or "Value" not in output:
            raise invalid("Template format error: Every Outputs member must contain a Value object")
    transforms = document.get("Transform", [])
    return Template(
        text=text,
        description=document.get("Description"),
        parameters=sections["Parameters"],
        mappings=sections["Mappings"],
        conditions=sections["Conditions"],
        resources=resources,
        outputs=sections["Outputs"],
        transforms=[transforms] if isinstance(transforms, str) else list(transforms),
        metadata=document.get("Metadata"),
        version=None if version is None else str(version),
        types=tuple(sorted({str(resource["Type"]) for resource in resources.values()})),
        unread=tuple(name for name in ("Rules", "Hooks") if name in document),
    )


def _section(document: dict[str, Any], name: str) -> dict[str, Any]:
    section = document.get(name, {})
    if not isinstance(section, dict):
        raise invalid(f"Template format error: {name} section must be an object.")
    return section


def _nulls(node: Any, path: str) -> Iterator[str]:
    if node is None:
        yield path
    elif isinstance(node, dict):
        for name, value in node.items():
            yield from _nulls(value, f"{path}/{name}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _nulls(value, f"{path}/{index}")


def _check_resource(name: Any, resource: Any) -> None:
    if not isinstance(resource, dict):
        raise invalid("Template format error: Any Resources member must be an object.")
    if not re.fullmatch(r"[a-zA-Z0-9]+", str(name)):
        raise invalid(f"Template format error: Resource name {name} is non alphanumeric.")
    if not isinstance(resource.get("Type"), str):
        fault = "member must be a string" if "Type" in resource else "object must contain a Type member"
        which = "Type" if "Type" in resource else "Resources"
        raise invalid(f"Template format error: [/Resources/{name}] Every {which} {fault}.")
    for key in resource:
        if key not in _OF_RESOURCE:
            raise invalid(f"Invalid template resource property '{key}'")
    for key in ("DeletionPolicy", "UpdateReplacePolicy"):
        if resource.get(key, "Delete") not in _POLICIES:
            raise invalid(f"Template format error: Unrecognized {key} {resource[key]} for resource {name}")
    if resource.get("DeletionPolicy") == "Snapshot":  # of no type here
        kind = resource["Type"]
        raise invalid(f"Template error: resource type {kind} does not support deletion policy Snapshot")
    if not isinstance(resource.get("Properties", {}), dict):
        raise invalid("Template format error: Every Properties member must be an object.")


def _check_parameter(name: str, parameter: Any) -> None:
    if not isinstance(parameter, dict) or not isinstance(parameter.get("Type"), str):
        raise invalid("Template format error: Every Parameters object must contain a Type member.")
    for key in parameter:
        if key not in _OF_PARAMETER:
            raise invalid(f"Invalid template parameter property '{key}'")
    if not re.fullmatch(r"String|Number|CommaDelimitedList|List<Number>|(List<)?AWS::.+", parameter["Type"]):
        raise invalid(f"Template format error: Unrecognized parameter type: {parameter['Type']}")
    if isinstance(parameter.get("Default"), (dict, list)):
        raise invalid("Template format error: Every Default member must be a string.")
    for key in ("MinLength", "MaxLength", "MinValue", "MaxValue"):
        if not re.fullmatch(r"-?\d+(\.\d+)?" if "Value" in key else r"\d+", str(parameter.get(key, 0))):
            raise invalid(f"Template format error: {key} of parameter {name} must be a number.")
    if not isinstance(parameter.get("AllowedValues", []), list):
        raise invalid(f"Template format error: AllowedValues of parameter {name} must be a list.")


def _parsed(text: str) -> Any:
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except ValueError as error:
            # CloudFormation names the column after the one that is wrong.
            where = getattr(error, "lineno", 1), getattr(error, "colno", 0) + 1
            fault = "JSON not well-formed. (line {}, column {})".format(*where)
    try:
        if "*" in text and any(
            isinstance(each, yaml.AliasEvent) for each in yaml.parse(text, yaml.CSafeLoader)
        ):
            raise invalid("Template error: YAML aliases are not allowed in CloudFormation templates")
        return yaml.load(text, _Reader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        if not text.lstrip().startswith("{"):
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            fault = f"YAML not well-formed. (line {line}, column {column})"
    raise invalid(f"Template format error: {fault}")


class _Reader(yaml.CSafeLoader):
    """YAML with CloudFormation's short forms as the functions they stand for; dates stay the text that they are."""


_Reader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in listed if tag != "tag:yaml.org,2002:timestamp"]
    for first, listed in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _short_form(loader: yaml.CSafeLoader, name: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if name in ("Ref", "Condition"):
        return {name: value}
    if name == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {f"Fn::{name}": value}


_Reader.add_multi_constructor("!", _short_form)
