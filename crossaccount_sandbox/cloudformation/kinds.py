"""A type of resource: the calls of its service that make, change and remove one, and what Ref and GetAtt of it give.

Not here: the types themselves (``identities``, ``services``), and when they are made (``deployment``).

Source: the resource reference of each type in the AWS CloudFormation template reference, for its properties, its return values
and which change makes a new resource.
"""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crossaccount_sandbox.wire import AwsError

# A call of a service with the stack's permissions: service, operation, parameters; an AwsError for a refusal.
Ask = Callable[[str, str, Mapping[str, Any]], dict[str, Any]]
# Called as soon as there is a resource: with its physical id and its attributes. What fails later on is then removed again.
Begun = Callable[[str, Mapping[str, Any]], None]
Properties = Mapping[str, Any]


@dataclass(frozen=True)
class Wanted:
    """A resource that is to be made.

    Args:
        stack: the name of its stack.
        logical_id: its name in the template.
        properties: their values.
        tags: those of the stack.
        region: where the stack is.
    """

    stack: str
    logical_id: str
    properties: Properties
    tags: Mapping[str, str] = field(default_factory=dict)
    region: str = "us-east-1"

    def name(self, given: str, limit: int = 64) -> str:
        """The name that a property gives, or one of CloudFormation's own."""
        if self.properties.get(given):
            return str(self.properties[given])
        end = f"-{self.logical_id}-{random_suffix()}"
        return f"{self.stack[: limit - len(end)]}{end}"[:limit]

    def tagged(self) -> list[dict[str, str]]:
        """The tags of the resource: the stack's, and its own in their place."""
        own = {str(tag["Key"]): str(tag["Value"]) for tag in self.properties.get("Tags", ())}
        return [{"Key": key, "Value": value} for key, value in {**self.tags, **own}.items()]


@dataclass(frozen=True)
class Held:
    """A resource that was made: its physical id, its attributes, and the properties it has."""

    physical_id: str
    attributes: Mapping[str, Any]
    properties: Properties
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """A type of resource.

    Args:
        properties: those it takes here.
        required: those it must have.
        replacing: those whose change makes a new resource.
        attributes: what GetAtt may ask.
        named_by: the property that names it, a capability of its own for IAM's; empty for what has no name.
        create: makes one.
        update: changes one; None for what is only made anew.
        delete: removes one.
        of_iam: whether a stack with it needs a capability.
    """

    properties: frozenset[str]
    required: frozenset[str]
    replacing: frozenset[str]
    attributes: frozenset[str]
    create: Callable[[Ask, Wanted, Begun], None]
    delete: Callable[[Ask, Held], None]
    update: Callable[[Ask, Held, Wanted, Begun], None] | None = None
    named_by: str = ""
    of_iam: bool = False

    def replaces(self, changed: Iterable[str]) -> bool:
        """Whether a change of these properties makes a new resource."""
        return self.update is None or bool(self.replacing & set(changed))

    def check(self, logical_id: str, properties: Properties) -> None:
        """Refuse properties that the type does not take, and those it lacks.

        Raises:
            AwsError: ``InvalidRequest``, in the words of CloudFormation's schemas.
        """
        faults = [
            f"#: extraneous key [{name}] is not permitted"
            for name in properties
            if name not in self.properties
        ]
        faults += [
            f"#: required key [{name}] not found" for name in sorted(self.required) if name not in properties
        ]
        faults += [
            f"#/{name}: expected type: JSONArray, found: {_json_type(properties[name])}"
            for name in _LISTS
            if not isinstance(properties.get(name, []), list)
        ]
        faults += [
            f"#/{name}: expected type: String, found: {_json_type(value)}"
            for name, value in properties.items()
            if name in self.properties and name not in _STRUCTURED and isinstance(value, (dict, list))
        ]
        faults = faults or _faults_of_items(properties)
        if not str(properties.get("MaxSessionDuration", 0)).isdigit():
            faults.append("#/MaxSessionDuration: expected type: Integer, found: String")
        if faults:
            text = f"Properties validation failed for resource {logical_id} with message:\n" + "\n".join(
                faults
            )
            raise AwsError("PropertiesInvalid", text)


_LISTS = ("Policies", "ManagedPolicyArns", "Roles", "Users", "Groups", "Tags")
_STRUCTURED = (
    *(*_LISTS, "PolicyDocument", "AssumeRolePolicyDocument", "KeyPolicy", "RepositoryPolicyText"),
    *("ModelPackageGroupPolicy", "VersioningConfiguration", "OwnershipControls"),
    *("PublicAccessBlockConfiguration", "BucketEncryption", "Analytics"),
)
_ITEMS = {"Policies": ("PolicyName", "PolicyDocument"), "Tags": ("Key", "Value")}


def _faults_of_items(properties: Properties) -> list[str]:
    faults = []
    for name, keys in _ITEMS.items():
        for index, item in enumerate(properties.get(name, ())):
            if not isinstance(item, dict):
                faults.append(f"#/{name}/{index}: expected type: JSONObject, found: String")
                continue
            faults += [f"#/{name}/{index}: required key [{key}] not found" for key in keys if key not in item]
    for name in _LISTS:
        faults += [
            f"#/{name}/{index}: expected type: String, found: {_json_type(item)}"
            for index, item in enumerate(properties.get(name, ()))
            if name not in _ITEMS and isinstance(item, (dict, list))
        ]
    return faults


def _json_type(value: Any) -> str:
    if isinstance(value, dict):
        return "JSONObject"
    return "JSONArray" if isinstance(value, list) else "String"


def random_suffix(length: int = 12) -> str:
    """The end of a name that CloudFormation gives."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))


def text_of(document: Any) -> str:
    """A policy document as a service takes it."""
    return document if isinstance(document, str) else json.dumps(document, separators=(",", ":"))


def changed_properties(before: Properties, after: Properties) -> list[str]:
    """The names of the properties that differ."""
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def tag_changes(held: Held, wanted: Wanted) -> tuple[list[dict[str, str]], list[str]]:
    """The tags that a resource is to get, and the keys of those that it is to lose."""
    old = {tag["Key"]: tag["Value"] for tag in Wanted("", "", held.properties, held.tags).tagged()}
    new = {tag["Key"]: tag["Value"] for tag in wanted.tagged()}
    added = [{"Key": key, "Value": value} for key, value in new.items() if old.get(key) != value]
    return added, [key for key in old if key not in new]


def gone(act: Callable[[], object], *codes: str) -> None:
    """Remove something; that it is not there any more is as good.

    Args:
        act: the call.
        codes: the service's errors for what is not there.
    """
    try:
        act()
    except AwsError as error:
        if error.code not in codes:
            raise
