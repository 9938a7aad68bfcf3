"""The Terraform modules of ``deployments/terraform``, rendered from the templates of ``deployments/iam``: neither is written by hand.

``python -m crossaccount.setup.terraform`` writes them anew. A form of a template that is not known here is refused, never left out.

Source: "Expressions", "Input Variables" and "jsonencode" in the Terraform language reference; ``aws_iam_role``,
``aws_iam_role_policy`` and ``aws_iam_policy`` in the reference of the provider hashicorp/aws.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from crossaccount.setup import templates

FOLDER = templates.FOLDER.parent / "terraform"
_MADE = "# Made of ../../iam/{side}.yaml by python -m crossaccount.setup.terraform. Do not edit: a test compares them.\n"
_PSEUDO = {
    "AWS::Partition": "local.partition",
    "AWS::Region": "local.region",
    "AWS::AccountId": "local.account",
}
_MAIN = """
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

data "aws_partition" "current" {}

data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

locals {
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.id
  account   = data.aws_caller_identity.current.account_id
}

resource "aws_iam_role" "this" {
  for_each             = local.roles
  name                 = each.value.name
  assume_role_policy   = each.value.trust
  max_session_duration = each.value.max_session_duration
  tags                 = each.value.tags
}

resource "aws_iam_role_policy" "this" {
  for_each = { for key, each in local.policies : key => each if each.needed }
  role     = aws_iam_role.this[each.value.role].name
  name     = each.value.name
  policy   = each.value.document
}

resource "aws_iam_policy" "this" {
  for_each    = local.managed_policies
  name        = each.value.name
  description = each.value.description
  policy      = each.value.document
}
"""


def files(side: str) -> dict[str, str]:
    """The module of a side, ``producer`` or ``consumer``: the text of each of its files by name."""
    template, made = templates.read(side), _MADE.format(side=side)
    return {
        "main.tf": made + _MAIN + "".join(_outputs(template)),
        "policies.tf": made + "".join(_locals(template)),
        "variables.tf": made + "".join(_variables(template)),
    }


def write(folder: Path = FOLDER) -> None:
    """Write both modules."""
    for side in templates.SIDES:
        (folder / side).mkdir(parents=True, exist_ok=True)
        for name, text in files(side).items():
            (folder / side / name).write_text(text, encoding="utf-8")


def variable(parameter: str) -> str:
    """A template's parameter as a variable's name: ``ArtifactBucket`` is ``artifact_bucket``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", parameter).lower()


def value(declared: Mapping[str, Any], text: str) -> str:
    """A parameter's value, a text, as Terraform writes it: a string, or of a list a list of strings."""
    if declared["Type"] != "CommaDelimitedList":
        return _quoted(text)
    return "[" + ", ".join(_quoted(part.strip()) for part in text.split(",") if part.strip()) + "]"


def _variables(template: Mapping[str, Any]) -> Iterator[str]:
    for name, each in template["Parameters"].items():
        own = variable(name)
        settings = {"type": "list(string)" if each["Type"] == "CommaDelimitedList" else "string"}
        if "Default" in each:
            settings["default"] = value(each, each["Default"])
        if "Description" in each:
            settings["description"] = _quoted(each["Description"])
        width = max(map(len, settings))
        yield f'\nvariable "{own}" {{\n'
        yield "".join(f"  {key:{width}} = {text}\n" for key, text in settings.items())
        if allowed := each.get("AllowedValues"):
            yield _validation(
                f"contains([{', '.join(map(_quoted, allowed))}], var.{own})",
                f"{own} is one of: {', '.join(allowed)}.",
            )
        if pattern := each.get("AllowedPattern"):
            said = each.get("ConstraintDescription", f"{own} does not match {pattern}")
            yield _validation(_matches(own, pattern), f"{said}.")
        yield "}\n"


def _matches(own: str, pattern: str) -> str:
    """Whether a variable matches a template's pattern as a whole; Terraform's regular expressions repeat 1000 times at most."""
    long = re.fullmatch(r"(?P<one>\[[^\]]+\])\{(?P<least>\d+),(?P<most>\d{4,})\}", pattern)
    if long:
        pattern = f"{long['one']}{{{long['least']},}}"
    elif re.search(r"\{(\d+,)?\d{4,}\}", pattern):
        raise ValueError(f"repeats too often: {pattern}")
    matched = f"can(regex({_quoted(f'^(?:{pattern})$')}, var.{own}))"
    return f"{matched} && length(var.{own}) <= {long['most']}" if long else matched


def _validation(condition: str, said: str) -> str:
    return f"\n  validation {{\n    condition     = {condition}\n    error_message = {_quoted(said)}\n  }}\n"


def _locals(template: Mapping[str, Any]) -> Iterator[str]:
    resources = template["Resources"]
    roles = {title: each for title, each in resources.items() if each["Type"] == "AWS::IAM::Role"}
    width = max(map(len, map(variable, template["Conditions"])))
    yield "\nlocals {\n"
    for name, condition in template["Conditions"].items():
        yield f"  {variable(name):{width}} = {_condition(condition)}\n"
    yield "}\n\nlocals {\n  roles = "
    yield _mapping({title: _role(each["Properties"]) for title, each in roles.items()}, 1)
    yield "\n\n  policies = "
    yield _mapping(dict(_policies(resources)), 1)
    yield "\n\n  managed_policies = "
    managed = {t: each for t, each in resources.items() if each["Type"] == "AWS::IAM::ManagedPolicy"}
    yield _mapping({title: _managed(each["Properties"]) for title, each in managed.items()}, 1)
    yield "\n}\n"
    known = {"AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"}
    if unknown := {each["Type"] for each in resources.values()} - known:
        raise ValueError(f"unknown kinds of resources: {unknown}")


class _Expression(str):
    """Text that is an expression already."""


def _role(given: Mapping[str, Any]) -> dict[str, Any]:
    tags = {tag["Key"]: tag["Value"] for tag in given["Tags"]}
    return {
        "name": given["RoleName"],
        "max_session_duration": given.get("MaxSessionDuration", 3600),
        "tags": tags,
        "trust": _encoded(given["AssumeRolePolicyDocument"]),
    }


def _policies(resources: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The policies of all roles, each with the condition under which it is needed."""
    for title, each in resources.items():
        given = each["Properties"]
        if each["Type"] == "AWS::IAM::Role":
            for policy in given["Policies"]:
                yield _policy(title, *_conditional(policy))
        elif each["Type"] == "AWS::IAM::Policy":
            (role,) = given["Roles"]
            yield _policy(role["Ref"], each.get("Condition"), given)


def _conditional(policy: Mapping[str, Any]) -> tuple[str | None, Mapping[str, Any]]:
    if "Fn::If" not in policy:
        return None, policy
    condition, there, otherwise = policy["Fn::If"]
    if otherwise != templates.NO_VALUE:
        raise ValueError(f"a policy with two forms: {condition}")
    return condition, there


def _policy(role: str, condition: str | None, given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    needed = "true" if condition is None else f"local.{variable(condition)}"
    return f"{role}/{given['PolicyName']}", {
        "needed": _Expression(needed),
        "role": role,
        "name": given["PolicyName"],
        "document": _encoded(given["PolicyDocument"]),
    }


def _managed(given: Mapping[str, Any]) -> dict[str, Any]:
    document = _encoded(given["PolicyDocument"])
    return {"name": given["ManagedPolicyName"], "description": given["Description"], "document": document}


def _outputs(template: Mapping[str, Any]) -> Iterator[str]:
    for name, each in template["Outputs"].items():
        title = each["Value"]["Fn::GetAtt"].removesuffix(".Arn")
        described = _quoted(each["Description"])
        yield f'\noutput "{variable(name)}" {{\n  description = {described}\n  value       = aws_iam_role.this["{title}"].arn\n}}\n'


def _encoded(document: Mapping[str, Any]) -> _Expression:
    """A policy document, as an expression that gives its JSON; braces stand as deep as an entry of a local's mapping is."""
    return _Expression(f"jsonencode({_expression(document, 3)})")


def _expression(node: Any, depth: int) -> str:
    match node:
        case _Expression():
            return str(node)
        case bool():
            return "true" if node else "false"
        case int():
            return str(node)
        case str():
            return _quoted(node)
        case list():
            inner = "".join(f"{'  ' * (depth + 1)}{_expression(each, depth + 1)},\n" for each in node)
            return f"[\n{inner}{'  ' * depth}]"
        case {"Ref": name}:
            return _named(name)
        case {"Fn::Sub": text}:
            return _interpolated(text)
        case {"Fn::GetAtt": attribute}:
            return _interpolated(
                f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role/${{{attribute.removesuffix('.Arn')}}}"
            )
        case {"Fn::If": [condition, yes, no]}:
            return f"local.{variable(condition)} ? {_expression(yes, depth)} : {_expression(no, depth)}"
        case {**mapping} if not any(str(key).startswith("Fn::") for key in mapping):
            return _mapping({str(key): each for key, each in mapping.items()}, depth)
        case _:
            raise ValueError(f"unknown in a template: {node}")


def _mapping(mapping: Mapping[str, Any], depth: int) -> str:
    """A mapping as Terraform formats it: the equals signs of entries of one line stand below one another."""
    space = "  " * (depth + 1)
    written = [(_key(key), _expression(each, depth + 1)) for key, each in mapping.items()]
    lines, run = list[str](), list[tuple[str, str]]()

    def flush() -> None:
        width = max((len(key) for key, _ in run), default=0)
        lines.extend(f"{space}{key:{width}} = {text}\n" for key, text in run)
        run.clear()

    for key, text in written:
        if "\n" in text:  # stands for itself
            flush()
            lines.append(f"{space}{key} = {text}\n")
        else:
            run.append((key, text))
    flush()
    return "{\n" + "".join(lines) + "  " * depth + "}"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z]\w*", name) else _quoted(name)


def _named(name: str) -> str:
    """A reference: to a parameter, a pseudo parameter, or the name of a role."""
    if name in _PSEUDO:
        return _PSEUDO[name]
    return f'local.roles["{name}"].name' if name.endswith("Role") else f"var.{variable(name)}"


def _interpolated(text: str) -> str:
    """A text of Fn::Sub: its references between the pieces."""
    pieces, position = [], 0
    for found in templates.REFERENCE.finditer(text):
        pieces += [_escaped(text[position : found.start()]), f"${{{_named(found[1])}}}"]
        position = found.end()
    return f'"{"".join(pieces)}{_escaped(text[position:])}"'


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    plain = json.dumps(" ".join(text.split()) if "\n" in text else text, ensure_ascii=False)[1:-1]
    return plain.replace("${", "$${").replace("%{", "%%{")


def _condition(node: Any) -> str:
    match node:
        case {"Condition": name}:
            return f"local.{variable(name)}"
        case {"Fn::Not": [other]}:
            return f"!({_condition(other)})"
        case {"Fn::And": parts}:
            return " && ".join(f"({_condition(each)})" for each in parts)
        case {"Fn::Equals": [one, other]}:
            return f"{_compared(one)} == {_compared(other)}"
        case _:
            raise ValueError(f"unknown in a condition: {node}")


def _compared(node: Any) -> str:
    match node:
        case {"Fn::Join": [separator, values]}:
            return f"join({_quoted(separator)}, {_expression(values, 0)})"
        case _:
            return _expression(node, 0)


if __name__ == "__main__":
    write()
