"""What S3 Block Public Access calls a public bucket policy.

Not here: what the settings then do (``world``, ``handlers.s3``).

Source: 'The meaning of "public"' in "Blocking public access to your Amazon S3 storage", S3 user guide.
"""

import ipaddress
from typing import Any

from crossaccount_sandbox.attached import named_principals, statements
from crossaccount_sandbox.principals import Document

_FIXED_KEYS = frozenset(
    [
        *("aws:principalarn", "aws:principalorgid", "aws:principalorgpaths", "aws:principalaccount"),
        *("aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:sourceowner", "aws:sourcevpc"),
        *("aws:sourcevpce", "aws:userid", "s3:dataaccesspointaccount", "s3:dataaccesspointarn"),
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
    ]
)
_FIXING_OPERATORS = ("stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike")


def is_public(document: Document) -> bool:
    """True when the policy is public: a statement allows anyone, with no fixed value to narrow it."""
    return any(_opens(statement) for statement in statements(document))


def _opens(statement: dict[str, Any]) -> bool:
    if statement.get("Effect") != "Allow" or not _names_anyone(statement):
        return False
    conditions = statement.get("Condition", {})
    return not any(
        _narrows(operator.lower(), key.lower(), _texts(values))
        for operator, keys in conditions.items()
        for key, values in keys.items()
    )


def _names_anyone(statement: dict[str, Any]) -> bool:
    """``*``, all but some, or whoever comes by a web identity provider: an account's own provider is named by an ARN."""
    if "*" in named_principals(statement) or "NotPrincipal" in statement:
        return True
    principal = statement.get("Principal")
    federated = _texts(principal.get("Federated", [])) if isinstance(principal, dict) else []
    return any(not name.startswith("arn:") for name in federated)


def _narrows(operator: str, key: str, values: list[str]) -> bool:
    """True for a condition that only fixed values pass: an absent key does not, so none with IfExists is one."""
    if (operator, key) == ("ipaddress", "aws:sourceip"):
        return all(_is_narrow(value) for value in values)
    if operator.removeprefix("foranyvalue:") not in _FIXING_OPERATORS or key not in _FIXED_KEYS:
        return False
    if key == "s3:dataaccesspointarn":
        # Any access point of one account will do.
        return all(value.count(":") >= 5 and value.split(":")[4].isdigit() for value in values)
    return not any(sign in value for value in values for sign in ("*", "?", "${"))


def _is_narrow(addresses: str) -> bool:
    """False for a range broader than /8 in IPv4, or /32 in IPv6."""
    try:
        network = ipaddress.ip_network(addresses, strict=False)
    except ValueError:
        return False
    return network.prefixlen >= {4: 8, 6: 32}[network.version]


def _texts(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
