"""The form that each function of a template must have, in CloudFormation's words where it has another one.

Not here: what a function gives (``functions``).

Source: "Intrinsic function reference" in the AWS CloudFormation user guide; the texts from users' reports of templates that
CloudFormation refused. Those of ``Fn::If`` and ``Fn::Not`` follow the form of the others.
"""

from collections.abc import Callable
from typing import Any

from crossaccount_sandbox.cloudformation.templates import invalid
from crossaccount_sandbox.wire import AwsError

_BOOLEAN = ("Fn::Equals", "Fn::Not", "Fn::And", "Fn::Or", "Condition")
_NAMED_IN_TEXTS = (
    *("Fn::Base64", "Fn::GetAtt", "Fn::GetAZs", "Fn::ImportValue", "Fn::Join", "Fn::Split", "Fn::FindInMap"),
    *(
        "Fn::Select",
        "Ref",
        "Fn::Equals",
        "Fn::If",
        "Fn::Not",
        "Condition",
        "Fn::And",
        "Fn::Or",
        "Fn::Contains",
    ),
    *("Fn::EachMemberEquals", "Fn::EachMemberIn", "Fn::ValueOf", "Fn::ValueOfAll", "Fn::RefAll", "Fn::Sub"),
    "Fn::Cidr",
)
_JOINED = (
    "(1) a string delimiter and (2) a list of strings to be joined or a function that returns a list of strings "
    "(such as Fn::GetAZs) to be joined."
)
_SPLIT = (
    "(1) a string delimiter and (2) a string to be split or a function that returns a string to be split."
)
_SUBSTITUTED = (
    "One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, and an "
    "optional second argument to specify a mapping of values to replace in the string"
)


def _list(argument: Any, low: int, high: int | None = None) -> bool:
    return isinstance(argument, list) and low <= len(argument) <= (high or low)


def _attribute(argument: Any) -> bool:
    parts = argument.split(".", 1) if isinstance(argument, str) else argument
    return _list(parts, 2) and isinstance(parts[0], str) and all(parts)


def _joins(argument: Any) -> bool:
    return _list(argument, 2) and isinstance(argument[0], str) and isinstance(argument[1], (list, dict))


def _splits(argument: Any) -> bool:
    return _list(argument, 2) and isinstance(argument[0], str) and isinstance(argument[1], (str, dict))


def _selects(argument: Any) -> bool:
    return _list(argument, 2) and isinstance(argument[1], (list, dict))


def _substitutes(argument: Any) -> bool:
    if isinstance(argument, str):
        return True
    return _list(argument, 2) and isinstance(argument[0], str) and isinstance(argument[1], dict)


_SEVERAL = "object requires a list of at least 2 and at most 10 boolean parameters."
# Each function with whether an argument has its form, and what is said of one that has not.
_FORMS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "Fn::GetAtt": (
        _attribute,
        "every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute",
    ),
    "Fn::Join": (_joins, f"every Fn::Join object requires two parameters, {_JOINED}"),
    "Fn::Split": (_splits, f"every Fn::Split object requires two parameters, {_SPLIT}"),
    "Fn::Select": (
        _selects,
        "Fn::Select requires a list argument with two elements: an integer index and a list",
    ),
    "Fn::Sub": (_substitutes, _SUBSTITUTED),
    "Fn::If": (
        lambda argument: _list(argument, 3) and isinstance(argument[0], str),
        "Fn::If requires a list argument with three elements, the first element being a condition",
    ),
    "Fn::Equals": (
        lambda argument: _list(argument, 2),
        "every Fn::Equals object requires a list of 2 string parameters.",
    ),
    "Fn::Not": (
        lambda argument: _list(argument, 1),
        "every Fn::Not object requires a list of 1 boolean parameter.",
    ),
    "Fn::And": (lambda argument: _list(argument, 2, 10), f"every Fn::And {_SEVERAL}"),
    "Fn::Or": (lambda argument: _list(argument, 2, 10), f"every Fn::Or {_SEVERAL}"),
}


def check_form(name: str, argument: Any) -> None:
    """Refuse a function whose argument has not its form.

    Raises:
        AwsError: ``ValidationError``, in CloudFormation's words.
    """
    has_form, said = _FORMS.get(name, (None, ""))
    if has_form is not None and not has_form(argument):
        raise invalid(f"Template error: {said}")


def check_condition(node: Any) -> None:
    """Refuse a condition that is no boolean function.

    Raises:
        AwsError: ``ValidationError``, in CloudFormation's words.
    """
    if not isinstance(node, dict) or len(node) != 1 or next(iter(node)) not in _BOOLEAN:
        raise invalid(
            "Template format error: Conditions can only be boolean operations on parameters and other conditions"
        )


def unknown_function(name: str) -> AwsError:
    """The error for a function that CloudFormation does not have, or that the sandbox does not work out."""
    if name in _NAMED_IN_TEXTS:
        return invalid(f"The sandbox does not work out {name} here")
    listed = ", ".join(_NAMED_IN_TEXTS)
    return invalid(
        f"Template format error: Encountered unsupported function: {name} Supported functions are: [{listed}]"
    )
