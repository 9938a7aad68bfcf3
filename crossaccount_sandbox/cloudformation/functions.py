"""The functions of a template: what they name, and the value that they have.

Not here: what a resource answers to Ref and GetAtt (``kinds``), the parameters' values (``parameters``).

Source: "Intrinsic function reference" in the AWS CloudFormation user guide.
"""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from crossaccount_sandbox.cloudformation.forms import check_form, unknown_function
from crossaccount_sandbox.cloudformation.templates import Template, invalid

NO_VALUE = object()  # what Ref of AWS::NoValue gives: the property or the element is left out
# What a change set shows of what is known once the resource is made.
LATER = "{{changeSet:KNOWN_AFTER_APPLY}}"
PSEUDO = frozenset(
    [
        *("AWS::AccountId", "AWS::NotificationARNs", "AWS::NoValue", "AWS::Partition", "AWS::Region"),
        *("AWS::StackId", "AWS::StackName", "AWS::URLSuffix"),
    ]
)
_IN_TEXT = re.compile(r"\$\{(!?)([^{}]*)\}")


class Export(NamedTuple):
    """An output that a stack exports: its value, and the stack's name."""

    value: str
    stack: str


@dataclass
class Scope:
    """What the names in a template stand for.

    Args:
        template: the template.
        parameters: their values.
        pseudo: AWS's own parameters.
        exports: the outputs of other stacks, by the names they are exported under.
        resource: the value of a resource, by its logical id and attribute; Ref's where that is None.
        imported: the exports that were asked for so far.
    """

    template: Template
    parameters: Mapping[str, Any]
    pseudo: Mapping[str, Any]
    exports: Mapping[str, Export]
    resource: Callable[[str, str | None], Any]
    imported: set[str] = field(default_factory=set)
    _decided: dict[str, bool] = field(default_factory=dict)

    def condition(self, name: str) -> bool:
        """Whether a condition of the template holds.

        Raises:
            AwsError: ``ValidationError`` for one that the template does not have, or that hangs on itself.
        """
        if name not in self.template.conditions:
            raise invalid(f"Template error: unresolved condition dependency {name} in Fn::If")
        if name not in self._decided:
            self._decided[name] = False
            self._decided[name] = self._holds(self.template.conditions[name])
        return self._decided[name]

    def has(self, entry: Mapping[str, Any]) -> bool:
        """Whether a resource or an output is there."""
        return "Condition" not in entry or self.condition(str(entry["Condition"]))

    def _holds(self, node: Any) -> bool:
        form = _function(node)
        if form is None:
            return str(self.value(node)).lower() == "true"
        name, argument = form
        if name == "Fn::Equals":
            first, second = (_plain(self.value(each)) for each in argument)
            return bool(first == second)
        if name == "Fn::Not":
            return not self._holds(argument[0])
        if name == "Fn::And":
            return all(self._holds(each) for each in argument)
        if name == "Fn::Or":
            return any(self._holds(each) for each in argument)
        return str(self.value(node)).lower() == "true"

    def value(self, node: Any) -> Any:
        """The value of a part of the template; ``NO_VALUE`` where it has none.

        Raises:
            AwsError: ``ValidationError`` for a function that cannot be worked out.
        """
        if isinstance(node, list):
            return [value for value in map(self.value, node) if value is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        form = _function(node)
        if form is None:
            found = {str(name): self.value(each) for name, each in node.items()}
            return {name: each for name, each in found.items() if each is not NO_VALUE}
        name, argument = form
        if name == "Condition":
            return self.condition(str(argument))
        if name not in _FUNCTIONS:
            raise unknown_function(name)
        try:
            return _FUNCTIONS[name](self, argument)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise invalid(f"Template error: {name} cannot be worked out: {error}") from None

    def properties(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """The properties of a resource; a function in place of all of them is no function to CloudFormation, but a name.

        Raises:
            AwsError: as of ``value``.
        """
        found = {str(name): self.value(each) for name, each in entry.get("Properties", {}).items()}
        return {name: each for name, each in found.items() if each is not NO_VALUE}

    def named(self, name: str) -> Any:
        """What Ref gives."""
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.pseudo:
            return self.pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        return self.resource(name, None)


def plain_text(value: Any) -> str:
    """A plain value as CloudFormation writes it into a text: ``true``, not ``True``."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(value: Any) -> Any:
    return value if isinstance(value, (list, dict)) else plain_text(value)


def _function(node: Any) -> tuple[str, Any] | None:
    """The function that a part of a template is, and its argument; None for a plain value."""
    if not isinstance(node, dict) or len(node) != 1:
        return None
    ((name, argument),) = node.items()
    if name == "Condition":
        return (name, argument) if isinstance(argument, str) else None
    return (name, argument) if name == "Ref" or str(name).startswith("Fn::") else None


def _get_att(scope: Scope, argument: Any) -> Any:
    name, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
    return scope.resource(name, str(scope.value(attribute)))


def _if(scope: Scope, argument: Any) -> Any:
    name, holds, otherwise = argument
    return scope.value(holds if scope.condition(name) else otherwise)


def _sub(scope: Scope, argument: Any) -> str:
    text, own = (argument, {}) if isinstance(argument, str) else argument
    values = {name: scope.value(value) for name, value in own.items()}

    def replaced(found: re.Match[str]) -> str:
        literal, name = found[1], found[2].strip()
        if literal:
            return "${" + name + "}"
        if name in values:
            return _text(values[name])
        known = "." not in name or name in PSEUDO
        return _text(scope.named(name) if known else _get_att(scope, name))

    return _IN_TEXT.sub(replaced, text)


def _text(value: Any) -> str:
    if isinstance(value, (list, dict)):
        raise TypeError("a list has no place in a text")
    return "" if value is NO_VALUE else str(_plain(value))


def _join(scope: Scope, argument: Any) -> str:
    between, parts = argument[0], scope.value(argument[1])
    check_form("Fn::Join", [between, parts])
    return str(between).join(_text(part) for part in parts)


def _select(scope: Scope, argument: Any) -> Any:
    given, listed = scope.value(argument[0]), scope.value(argument[1])
    check_form("Fn::Select", [given, listed])
    index = str(given)
    if not index.isdecimal() or int(index) >= len(listed):
        raise invalid(f"Template error: Fn::Select cannot select nonexistent value at index {index}")
    return listed[int(index)]


def _split(scope: Scope, argument: Any) -> list[str]:
    between, text = argument[0], scope.value(argument[1])
    check_form("Fn::Split", [between, text])
    return str(text).split(str(between))


def _find_in_map(scope: Scope, argument: Any) -> Any:
    name, first, second = (scope.value(each) for each in argument[:3])
    if name not in scope.template.mappings:
        text = f"Template error: Mapping named '{name}' is not present in the 'Mappings' section of template."
        raise invalid(text)
    try:
        return scope.template.mappings[name][str(first)][str(second)]
    except KeyError:
        text = f"Template error: Unable to get mapping for {name}::{first}::{second}"
        raise invalid(text) from None


def _import_value(scope: Scope, argument: Any) -> str:
    name = str(scope.value(argument))
    if name not in scope.exports:
        raise invalid(f"No export named {name} found.")
    scope.imported.add(name)
    return scope.exports[name].value


def _zones(scope: Scope, argument: Any) -> list[str]:
    region = scope.value(argument) or scope.pseudo["AWS::Region"]
    return [f"{region}{letter}" for letter in "abc"]


_FUNCTIONS: dict[str, Callable[[Scope, Any], Any]] = {
    "Ref": lambda scope, argument: scope.named(str(argument)),
    "Fn::GetAtt": _get_att,
    "Fn::If": _if,
    "Fn::Sub": _sub,
    "Fn::Join": _join,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::FindInMap": _find_in_map,
    "Fn::ImportValue": _import_value,
    "Fn::GetAZs": _zones,
    "Fn::Base64": lambda scope, argument: base64.b64encode(_text(scope.value(argument)).encode()).decode(),
}


_DECIDING = ("Fn::Equals", "Fn::Not", "Fn::And", "Fn::Or")  # of conditions alone


@dataclass(frozen=True)
class Reference:
    """A name in a template, and the attribute that is asked of it; None for Ref."""

    name: str
    attribute: str | None = None


def references(node: Any) -> Iterator[Reference]:
    """The names that a part of a template refers to, in all its branches.

    Raises:
        AwsError: ``ValidationError`` for a function that CloudFormation does not have.
    """
    if isinstance(node, list):
        for each in node:
            yield from references(each)
        return
    form = _function(node)
    if form is None:
        for each in node.values() if isinstance(node, dict) else ():
            yield from references(each)
        return
    name, argument = form
    if name in _DECIDING:
        check_form(name, argument)
        yield from references(argument)
        return
    if name != "Condition" and name not in _FUNCTIONS:
        raise unknown_function(name)
    check_form(name, argument)
    if name == "Ref":
        yield Reference(str(argument))
    elif name == "Fn::GetAtt":
        target, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        yield Reference(str(target), attribute if isinstance(attribute, str) else None)
    elif name == "Fn::Sub":
        yield from _in_text(argument)
    elif name != "Condition":
        yield from references(argument)


def _in_text(argument: Any) -> Iterator[Reference]:
    text, own = (argument, {}) if isinstance(argument, str) else argument
    yield from references(list(own.values()))
    for literal, name in _IN_TEXT.findall(text):
        stripped = name.strip()
        if literal or stripped in own:
            continue
        if not re.fullmatch(r"[a-zA-Z0-9:._]+", stripped):
            raise invalid(
                "Template error: variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, "
                "periods, and colons"
            )
        target, dot, attribute = stripped.partition(".")
        yield Reference(target, attribute if dot else None)


def conditions_in(node: Any) -> Iterator[str]:
    """The conditions that a part of a template names."""
    form = _function(node)
    if form is not None and form[0] == "Condition":
        yield str(form[1])
    elif form is not None and form[0] == "Fn::If" and isinstance(form[1], list):
        yield str(form[1][0])
        yield from conditions_in(form[1][1:])
    elif isinstance(node, dict):
        for each in node.values():
            yield from conditions_in(each)
    elif isinstance(node, list):
        for each in node:
            yield from conditions_in(each)
