"""Strangers' statements, as far as they matter to a whole document: public ones, and a key's administrators.

Pure functions over statements that this project does not write and never changes. Not here: which those are (``documents``), and
whom they let in or keep out (``standing``).

Source: the IAM JSON policy reference; "Blocking public access to your Amazon S3 storage" in the S3 user guide.
"""

import ipaddress
from collections.abc import Mapping
from typing import Any

from crossaccount.policy.documents import (
    Document,
    account_of,
    listed,
    other_principals,
    principals,
    statements,
)
from crossaccount.policy.standing import touches


def is_public(statement: Mapping[str, Any]) -> bool:
    """True when S3 Block Public Access calls an Allow public: for anyone, and no condition names a fixed somebody.

    Anyone is also whoever signed in with a web identity provider. A value with a wildcard or a policy variable is not fixed, nor is a
    range of addresses broader than /8 (IPv4) or /32 (IPv6); an operator with IfExists lets those through who have no such key.

    Source: 'The meaning of "public"' in the S3 user guide.
    """
    if statement.get("Effect") != "Allow" or not _for_anyone(statement):
        return False
    return not any(
        _fixes(operator.lower(), key.lower(), [str(value) for value in listed(values)])
        for operator, keys in (statement.get("Condition") or {}).items()
        for key, values in keys.items()
    )


def _for_anyone(statement: Mapping[str, Any]) -> bool:
    if "*" in principals(statement) or "NotPrincipal" in statement:
        return True
    # A provider that an account keeps is named by an ARN with the account in it.
    federated = [str(name) for name in listed(other_principals(statement).get("Federated", []))]
    return any(account_of(name) is None for name in federated)


def _fixes(operator: str, key: str, values: list[str]) -> bool:
    """Whether a condition narrows anyone to fixed values."""
    if operator == "ipaddress" and key == "aws:sourceip":
        return all(map(_is_narrow, values))
    if operator.removeprefix("foranyvalue:") not in _FIXING or key not in _FIXED:
        return False
    if key == "s3:dataaccesspointarn":
        return all(_of_one_account(value) for value in values)
    return not any("*" in value or "?" in value or "${" in value for value in values)


def _is_narrow(value: str) -> bool:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return network.prefixlen >= (8 if network.version == 4 else 32)


def _of_one_account(arn: str) -> bool:
    """Whether an access point's ARN has a fixed account; its name may be any."""
    parts = arn.split(":", 5)
    return len(parts) == 6 and parts[4].isdigit()


_FIXING = frozenset(("stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike"))
_FIXED = frozenset(
    key.lower()
    for key in (
        "aws:PrincipalArn",
        "aws:PrincipalAccount",
        "aws:PrincipalOrgID",
        "aws:PrincipalOrgPaths",
        "aws:SourceAccount",
        "aws:SourceArn",
        "aws:SourceOrgID",
        "aws:SourceOwner",
        "aws:SourceVpc",
        "aws:SourceVpce",
        "aws:userid",
        "s3:DataAccessPointAccount",
        "s3:DataAccessPointArn",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
    )
)


def administered(document: Document | None, account: str) -> bool:
    """True when somebody of the account may change the policy of this key: without, the key is out of reach.

    Source: "Default key policy" and PutKeyPolicy's lockout safety check in the KMS developer guide.
    """
    return any(
        each.get("Effect") == "Allow"
        and any(account_of(name) == account or name == "*" for name in principals(each))
        and touches(each, "kms:PutKeyPolicy")
        for each in statements(document)
    )
