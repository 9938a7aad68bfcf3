"""The values of a template's parameters: what was given, what a stack had before, or the default; held to the constraints.

Source: "Parameters" in the AWS CloudFormation user guide; the texts from users' reports to the AWS CLI and the quick starts,
localstack's recordings and the AWS CLI's own reading of them. Those of lengths and numbers follow the pattern's form.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from crossaccount_sandbox.cloudformation.templates import Template, invalid


def parameter_values(
    template: Template, given: Iterable[Mapping[str, Any]], before: Mapping[str, str] | None
) -> dict[str, str]:
    """The value of each parameter, as text.

    Args:
        template: whose parameters they are.
        given: a request's, each with a value or with ``UsePreviousValue``.
        before: those of the stack that is updated; None for a new one.

    Raises:
        AwsError: ``ValidationError`` for one that is missing, unknown or outside its constraints.
    """
    listed = {str(each["ParameterKey"]): each for each in given}
    values: dict[str, str] = {}
    for name, each in listed.items():
        if str(each.get("UsePreviousValue", "")).lower() == "true":
            if name not in (before or {}):
                raise invalid(
                    f"Invalid input for parameter key {name}. Cannot specify usePreviousValue as true for a parameter key "
                    "not in the previous template"
                )
            values[name] = (before or {})[name]
        elif "ParameterValue" in each:
            values[name] = str(each["ParameterValue"])
    if unknown := [name for name in listed if name not in template.parameters]:
        raise invalid(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    for name, parameter in template.parameters.items():
        if name not in values and "Default" in parameter:
            values[name] = _text(parameter["Default"])
    if missing := [name for name in template.parameters if name not in values]:
        raise invalid(f"Parameters: [{', '.join(missing)}] must have values")
    stored = [values[name] for name, each in template.parameters.items() if "AWS::SSM::" in each["Type"]]
    if stored:  # the sandbox has no parameter store, so it holds none of them
        text = f"Unable to fetch parameters [{','.join(stored)}] from parameter store for this account."
        raise invalid(text)
    for name, parameter in template.parameters.items():
        _check(name, parameter, values[name])
    return {name: values[name] for name in template.parameters}


def typed(template: Template, values: Mapping[str, str]) -> dict[str, Any]:
    """The values as a template's functions see them: lists are lists."""
    return {
        name: [part.strip() for part in value.split(",")] if _is_list(template.parameters[name]) else value
        for name, value in values.items()
    }


def shown(template: Template, values: Mapping[str, str]) -> list[dict[str, str]]:
    """The parameters of a stack as an answer has them; a value without echo is hidden."""
    return [
        {
            "ParameterKey": name,
            "ParameterValue": "****" if _true(template.parameters[name].get("NoEcho")) else value,
        }
        for name, value in values.items()
    ]


def declared(template: Template) -> list[dict[str, Any]]:
    """The parameters as a template declares them, for a summary."""
    return [
        {
            "ParameterKey": name,
            "ParameterType": parameter["Type"],
            **({"DefaultValue": _text(parameter["Default"])} if "Default" in parameter else {}),
            "NoEcho": _true(parameter.get("NoEcho")),
            **({"Description": parameter["Description"]} if "Description" in parameter else {}),
            "ParameterConstraints": (
                {"AllowedValues": [_text(each) for each in parameter["AllowedValues"]]}
                if "AllowedValues" in parameter
                else {}
            ),
        }
        for name, parameter in template.parameters.items()
    ]


def _true(value: Any) -> bool:
    return str(value).lower() == "true"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_list(parameter: Mapping[str, Any]) -> bool:
    return str(parameter["Type"]) == "CommaDelimitedList" or str(parameter["Type"]).startswith("List<")


def _check(name: str, parameter: Mapping[str, Any], value: str) -> None:
    """Refuse a value outside the constraints of its parameter; each value of a list is held to them."""
    listed = _is_list(parameter)
    whose = "Each value of parameter" if listed else "Parameter"
    for part in [part.strip() for part in value.split(",")] if listed else [value]:
        fault = _fault(parameter, part)
        if fault is None:
            continue
        described = parameter.get("ConstraintDescription")
        if described is not None:
            raise invalid(f"Parameter {name} failed to satisfy constraint: {described}")
        raise invalid(f"{whose} '{name}' {fault}")


def _fault(parameter: Mapping[str, Any], value: str) -> str | None:
    if "AllowedValues" in parameter and value not in [_text(each) for each in parameter["AllowedValues"]]:
        return "must be one of AllowedValues"
    if "AllowedPattern" in parameter and not _pattern(parameter).fullmatch(value):
        return f"must match pattern {parameter['AllowedPattern']}"
    if len(value) < int(parameter.get("MinLength", 0)):
        return f"must contain at least {parameter['MinLength']} characters"
    if "MaxLength" in parameter and len(value) > int(parameter["MaxLength"]):
        return f"must contain at most {parameter['MaxLength']} characters"
    if str(parameter["Type"]) in ("Number", "List<Number>"):
        return _fault_of_number(parameter, value)
    return None


def _pattern(parameter: Mapping[str, Any]) -> re.Pattern[str]:
    """The pattern of a parameter; its classes are ASCII's, as in Java.

    Raises:
        AwsError: ``ValidationError`` for one that only Java can read, or nobody.
    """
    text = str(parameter["AllowedPattern"])
    try:
        return re.compile(text, re.ASCII)
    except re.error as error:
        raise invalid(f"The sandbox cannot read the AllowedPattern {text}: {error}") from None


def _fault_of_number(parameter: Mapping[str, Any], value: str) -> str | None:
    try:
        number = float(value)
    except ValueError:
        return "must be a number"
    if "MinValue" in parameter and number < float(parameter["MinValue"]):
        return f"must be a number not less than {parameter['MinValue']}"
    if "MaxValue" in parameter and number > float(parameter["MaxValue"]):
        return f"must be a number not greater than {parameter['MaxValue']}"
    return None
