"""The templates of ``deployments/iam`` as plain data, and the roles that they make of parameters.

Pure but for reading the two files. Not here: the parameters (``stack_parameters``), and the same roles as Terraform (``terraform``).

Source: "Intrinsic function reference" and "Conditions" in the CloudFormation user guide; of the functions, those that the templates use.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from crossaccount.errors import InputError
from crossaccount.text import quote

FOLDER = Path(__file__).resolve().parents[2] / "deployments" / "iam"
SIDES = ("producer", "consumer")
EDITION = "crossaccount:template"  # the tag of a role that says which edition of its template made it
REFERENCE = re.compile(r"\$\{([\w:.]+)\}")  # within the text of Fn::Sub
NO_VALUE = {"Ref": "AWS::NoValue"}
_LISTS = "CommaDelimitedList"


class _Loader(yaml.SafeLoader):
    """CloudFormation's short forms as what they stand for."""


def _spelled_out(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    assert isinstance(node, yaml.SequenceNode)
    return {name: loader.construct_sequence(node, deep=True)}


_Loader.add_multi_constructor("!", _spelled_out)


@cache
def read(side: str) -> Mapping[str, Any]:
    """The template of a side, ``producer`` or ``consumer``."""
    text = (FOLDER / f"{side}.yaml").read_text(encoding="utf-8")
    document: Mapping[str, Any] = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    return document


@dataclass(frozen=True)
class Policy:
    """A policy of a role: its name and its document."""

    name: str
    document: dict[str, Any]


@dataclass(frozen=True)
class Role:
    """A role as a template makes it: its logical id there, its name, trust policy and own policies.

    ``session_seconds`` is its maximum session duration, ``edition`` that of the template.
    """

    title: str
    name: str
    trust: dict[str, Any]
    policies: tuple[Policy, ...]
    session_seconds: int
    edition: str


@dataclass(frozen=True)
class Place:
    """Where a stack stands: what CloudFormation's pseudo parameters say."""

    partition: str
    region: str
    account: str


@dataclass(frozen=True)
class Made:
    """What a template makes of parameters: roles, and managed policies by their names."""

    roles: tuple[Role, ...]
    managed: tuple[Policy, ...]


def make(side: str, given: Mapping[str, str], place: Place) -> Made:
    """What the template of a side makes of parameters.

    Args:
        side: ``producer`` or ``consumer``.
        given: the parameters as texts; those with a default may be left out.
        place: of the stack.

    Raises:
        InputError: for a parameter that the template does not have, one that it lacks, or a value that it does not take.
    """
    template = read(side)
    return _Stack(template, _values(template["Parameters"], given), place).outcome()


def _values(declared: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise InputError(f"The template has no parameter {', '.join(unknown)}.")
    lacking = [name for name, each in declared.items() if "Default" not in each and name not in given]
    if lacking:
        raise InputError(f"The template asks for {', '.join(lacking)}.")
    values: dict[str, Any] = {}
    for name, each in declared.items():
        text = given.get(name, each.get("Default", ""))
        allowed = each.get("AllowedValues")
        pattern = each.get("AllowedPattern")
        if (allowed and text not in allowed) or (pattern and not re.fullmatch(pattern, text)):
            raise InputError(f"The template does not take {quote(text)} for {name}.")
        values[name] = [part.strip() for part in text.split(",")] if each["Type"] == _LISTS else text
    return values


class _Stack:
    """A template with its parameters' values put in."""

    def __init__(self, template: Mapping[str, Any], values: Mapping[str, Any], place: Place) -> None:
        self._resources, self._conditions = template["Resources"], template["Conditions"]
        pseudo = {"Partition": place.partition, "Region": place.region, "AccountId": place.account}
        self._values = {**values, **{f"AWS::{name}": value for name, value in pseudo.items()}}
        self._place = place

    def outcome(self) -> Made:
        there = {
            title: self._resolved(each["Properties"])
            for title, each in self._resources.items()
            if "Condition" not in each or self._holds({"Condition": each["Condition"]})
        }
        kinds = {title: self._resources[title]["Type"] for title in there}
        roles = tuple(self._role(title, there) for title, kind in kinds.items() if kind == "AWS::IAM::Role")
        managed = tuple(
            Policy(there[title]["ManagedPolicyName"], there[title]["PolicyDocument"])
            for title, kind in kinds.items()
            if kind == "AWS::IAM::ManagedPolicy"
        )
        return Made(roles, managed)

    def _role(self, title: str, there: Mapping[str, Any]) -> Role:
        role = there[title]
        inline = [*role.get("Policies", ()), *self._attached(role["RoleName"], there)]
        policies = tuple(Policy(each["PolicyName"], each["PolicyDocument"]) for each in inline)
        tags = {each["Key"]: each["Value"] for each in role.get("Tags", ())}
        seconds = int(role.get("MaxSessionDuration", 3600))
        return Role(
            title, role["RoleName"], role["AssumeRolePolicyDocument"], policies, seconds, tags[EDITION]
        )

    def _attached(self, name: str, there: Mapping[str, Any]) -> Iterator[Any]:
        """The policies that are resources of their own."""
        for title, properties in there.items():
            if self._resources[title]["Type"] == "AWS::IAM::Policy" and name in properties["Roles"]:
                yield properties

    def _resolved(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self._resolved(each) for each in map(self._chosen, node) if each != NO_VALUE]
        if not isinstance(node, Mapping):
            return node
        if len(node) == 1:
            (form, value), *_ = node.items()
            match form:
                case "Ref":
                    return self._reference(value)
                case "Fn::Sub":
                    return REFERENCE.sub(lambda found: str(self._reference(found[1])), value)
                case "Fn::GetAtt":
                    return self._arn(value)
                case "Fn::If":
                    return self._resolved(self._chosen(node))
                case _:
                    pass
        return {key: self._resolved(each) for key, each in node.items()}

    def _chosen(self, node: Any) -> Any:
        """The branch of an Fn::If; any other node as it is."""
        if isinstance(node, Mapping) and set(node) == {"Fn::If"}:
            condition, yes, no = node["Fn::If"]
            return self._chosen(yes if self._holds({"Condition": condition}) else no)
        return node

    def _reference(self, name: str) -> Any:
        """A parameter's value, a pseudo parameter's, or the name of a resource, which is what Ref gives of a role."""
        return (
            self._values[name]
            if name in self._values
            else self._resolved(self._resources[name])["Properties"]["RoleName"]
        )

    def _arn(self, attribute: str) -> str:
        title, _, name = attribute.partition(".")
        assert name == "Arn"
        return f"arn:{self._place.partition}:iam::{self._place.account}:role/{self._reference(title)}"

    def _holds(self, condition: Any) -> bool:
        (form, value), *_ = condition.items()
        match form:
            case "Condition":
                return self._holds(self._conditions[value])
            case "Fn::Not":
                return not self._holds(value[0])
            case "Fn::And":
                return all(map(self._holds, value))
            case "Fn::Equals":
                one, other = map(self._text, value)
                return one == other
            case _:
                raise ValueError(f"unknown in a condition: {form}")

    def _text(self, node: Any) -> str:
        if isinstance(node, Mapping) and set(node) == {"Fn::Join"}:
            separator, values = node["Fn::Join"]
            return str(separator).join(self._resolved(values))
        return str(self._resolved(node))


def edition(side: str) -> str:
    """The edition of the shipped template of a side, a number."""
    tags = [
        tag["Value"]
        for each in read(side)["Resources"].values()
        for tag in each["Properties"].get("Tags", ())
        if tag["Key"] == EDITION
    ]
    assert len(set(tags)) == 1
    return str(tags[0])


def as_text(document: Mapping[str, Any]) -> str:
    """A policy as it is written to AWS."""
    return json.dumps(document)
