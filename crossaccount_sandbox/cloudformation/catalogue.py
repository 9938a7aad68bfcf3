"""Every type of resource that a stack may have here, and whether a template fits together with them.

Source: "How do I resolve template validation errors or template format errors" of AWS's knowledge center, and localstack's
recordings, for the texts; "Acknowledging IAM resources in CloudFormation templates" in the AWS CloudFormation user guide.
"""

from collections.abc import Iterable
from typing import Any

from crossaccount_sandbox.cloudformation import identities, services
from crossaccount_sandbox.cloudformation.forms import check_condition
from crossaccount_sandbox.cloudformation.functions import PSEUDO, Reference, conditions_in, references
from crossaccount_sandbox.cloudformation.kinds import Kind
from crossaccount_sandbox.cloudformation.templates import Template, invalid
from crossaccount_sandbox.wire import AwsError

_KINDS: dict[str, Kind] = identities.KINDS | services.KINDS
_IAM, _NAMED_IAM, _EXPAND = "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"


def kind_of(type_name: str) -> Kind:
    """What a type of resource is; only for types of a template that was checked."""
    return _KINDS[type_name]


def check_template(template: Template) -> None:
    """Refuse a template that no stack can be made of: it does not fit together, or has types or transforms that are not there.

    Raises:
        AwsError: ``ValidationError``, in CloudFormation's words.
    """
    if template.transforms:
        raise invalid(f"The sandbox has no transform: [{', '.join(template.transforms)}]")
    if template.unread:
        raise invalid(f"The sandbox does not read a template's {' and '.join(template.unread)}")
    if unknown := [name for name in template.types if name not in _KINDS]:
        known = ", ".join(sorted(_KINDS))
        text = f"Template format error: Unrecognized resource types: [{', '.join(unknown)}]"
        raise invalid(f"{text} (the sandbox makes {known})")
    check_names(template)


def check_names(template: Template) -> None:
    """Refuse a template whose names lead nowhere, or whose resources wait for each other.

    Raises:
        AwsError: ``ValidationError``, in CloudFormation's words.
    """
    try:
        _check_names(template)
    except (
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:  # a function of another form than its own
        raise invalid(f"Template format error: {error}") from None


def _check_names(template: Template) -> None:
    for name in [*conditions_in(template.conditions), *conditions_in(template.resources)]:
        if name not in template.conditions:
            raise invalid(
                f"Template format error: Unresolved condition dependency {name} in the Resources block of the template"
            )
    for block, entries in (("Resources", template.resources), ("Outputs", template.outputs)):
        for entry in entries.values():
            condition = entry.get("Condition")
            if condition is not None and condition not in template.conditions:
                text = f"Template format error: Unresolved condition dependency {condition} in the {block} block of the template"
                raise invalid(text)
        _check_references(template, block, entries)
    _check_conditions(template)
    creation_order(template, template.resources)


def _check_conditions(template: Template) -> None:
    for node in template.conditions.values():
        check_condition(node)
    found = {each.name for each in references(template.conditions)}
    if unknown := sorted(found - PSEUDO - template.parameters.keys()):
        raise invalid(
            f"Template format error: Unresolved dependencies [{', '.join(unknown)}]. Cannot reference resources in the "
            "Conditions block of the template"
        )
    waiting = {name: set(conditions_in(node)) for name, node in template.conditions.items()}
    while ready := [name for name, needed in waiting.items() if not needed & waiting.keys()]:
        for name in ready:
            del waiting[name]
    if waiting:
        raise invalid(f"Template error: Found circular condition dependency: [{', '.join(sorted(waiting))}]")


def _check_references(template: Template, block: str, entries: dict[str, Any]) -> None:
    missing = []
    for entry in entries.values():
        for each in references(
            {key: entry[key] for key in entry if key in ("Properties", "Value", "Export")}
        ):
            _check_attribute(template, each)
            if each.attribute is None and each.name not in _names(template):
                missing.append(each.name)
        missing += [name for name in depends_on(entry) if name not in template.resources]
    if missing:
        listed = ", ".join(dict.fromkeys(missing))
        raise invalid(
            f"Template format error: Unresolved resource dependencies [{listed}] in the {block} block of the template"
        )


def _names(template: Template) -> set[str]:
    return {*template.resources, *template.parameters, *PSEUDO}


def _check_attribute(template: Template, reference: Reference) -> None:
    if reference.attribute is None:
        return
    resource = template.resources.get(reference.name)
    if resource is None:
        raise invalid(
            f"Template error: instance of Fn::GetAtt references undefined resource {reference.name}"
        )
    kind = _KINDS.get(resource["Type"])
    if kind is not None and reference.attribute not in kind.attributes:
        raise invalid(
            f"Template error: resource {reference.name} does not support attribute type {reference.attribute} in "
            "Fn::GetAtt"
        )


def depends_on(entry: dict[str, Any]) -> list[str]:
    """What a resource says it depends on."""
    listed = entry.get("DependsOn", [])
    return [listed] if isinstance(listed, str) else list(listed)


def dependencies(template: Template, name: str) -> set[str]:
    """The resources that a resource depends on, by their logical ids."""
    entry = template.resources[name]
    named = {each.name for each in references(entry.get("Properties", {}))} | set(depends_on(entry))
    return named & template.resources.keys()


def creation_order(template: Template, present: Iterable[str]) -> list[str]:
    """The resources that are there in the order in which they are made: each after what it depends on.

    Raises:
        AwsError: ``ValidationError`` for resources that wait for each other.
    """
    waiting = {name: dependencies(template, name) & set(present) for name in present}
    order: list[str] = []
    while waiting:
        ready = [name for name, needed in waiting.items() if needed <= set(order)]
        if not ready:
            raise invalid(f"Circular dependency between resources: [{', '.join(sorted(waiting))}]")
        order += ready
        for name in ready:
            del waiting[name]
    return order


def needed_capabilities(template: Template) -> list[str]:
    """The capabilities that a caller must give for a template: for its macros, for IAM's resources and for names of these."""
    if template.transforms:
        return [_EXPAND]
    resources = list(template.resources.values())
    kinds = [(_KINDS.get(resource["Type"]), resource.get("Properties", {})) for resource in resources]
    of_iam = [(kind, given) for kind, given in kinds if kind is not None and kind.of_iam]
    if any(kind.named_by in given for kind, given in of_iam if kind.named_by):
        return [_NAMED_IAM]
    return [_IAM] if of_iam else []


def capability_reason(template: Template) -> str:
    """Why a template needs its capabilities, as a summary says it."""
    types = sorted({str(each["Type"]) for each in template.resources.values() if _of_iam(each["Type"])})
    return f"The following resource(s) require capabilities: [{', '.join(types)}]"


def _of_iam(type_name: str) -> bool:
    return type_name in _KINDS and _KINDS[type_name].of_iam


def check_capabilities(template: Template, given: Iterable[str]) -> None:
    """Refuse a template for which a capability was not given.

    Raises:
        AwsError: ``InsufficientCapabilitiesException``.
    """
    granted = set(given)
    if _NAMED_IAM in granted:
        granted.add(_IAM)
    if missing := [name for name in needed_capabilities(template) if name not in granted]:
        text = f"Requires capabilities : [{', '.join(missing)}]"
        raise AwsError("InsufficientCapabilitiesException", text)


def check_types(template: Template, allowed: Iterable[str]) -> None:
    """Refuse a template with a type outside those that the request limits it to.

    Raises:
        AwsError: ``ValidationError``.
    """
    listed = list(allowed)
    for name in template.types if listed else ():
        if not any(_fits(name, pattern) for pattern in listed):
            raise invalid(
                f"Resource type {name} is not allowed by parameter ResourceTypes [{', '.join(listed)}]"
            )


def _fits(name: str, pattern: str) -> bool:
    if pattern.endswith("::*"):
        return name.startswith(pattern[:-1])
    return pattern in ("AWS::*", name) and (pattern != "AWS::*" or name.startswith("AWS::"))
