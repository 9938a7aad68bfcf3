"""Strangers' statements, as far as they matter to those who are let in: public ones, Denies, and a key's administrators.

Pure functions over statements that this project does not write and never changes. Not here: which those are (``documents``).

Source: the IAM JSON policy reference; "Blocking public access to your Amazon S3 storage" in the S3 user guide.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from crossaccount.policy.documents import (
    Document,
    Statement,
    account_of,
    condition,
    listed,
    principals,
    statements,
)


def is_public(statement: Mapping[str, Any]) -> bool:
    """True when S3 Block Public Access calls an Allow public: for anyone, and no condition names a fixed somebody.

    Source: 'The meaning of "public"' in the S3 user guide.
    """
    for_anyone = "*" in principals(statement) or "NotPrincipal" in statement
    if statement.get("Effect") != "Allow" or not for_anyone:
        return False
    for operator, keys in (statement.get("Condition") or {}).items():
        if re.fullmatch(r"(String|Arn)(Equals|Like)", operator):
            for key, values in keys.items():
                if key.lower() in _FIXED and not any(
                    re.search(r"[*?]", str(value)) for value in listed(values)
                ):
                    return False
        if operator == "IpAddress" and "aws:sourceip" in {key.lower() for key in keys}:
            return False
    return True


_FIXED = frozenset(
    key.lower()
    for key in (
        "aws:PrincipalArn",
        "aws:PrincipalAccount",
        "aws:PrincipalOrgID",
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
        and _covers(each.get("Action", []), "kms:PutKeyPolicy")
        for each in statements(document)
    )


def touches(statement: Mapping[str, Any], actions: Iterable[str]) -> bool:
    """True when a statement is about any of these actions."""
    if "NotAction" in statement:
        return any(not _covers(statement["NotAction"], action) for action in actions)
    return any(_covers(statement.get("Action", []), action) for action in actions)


def about_transport(statement: Mapping[str, Any]) -> bool:
    """True for the usual statements against plain HTTP and old TLS: they keep nobody out who speaks as AWS's clients do."""
    conditions = statement.get("Condition") or {}
    places = {(operator, key) for operator, keys in conditions.items() for key in keys}
    plain = {str(value).lower() for value in condition(statement, ("Bool", "aws:SecureTransport"))}
    return (
        bool(places)
        and places <= {("Bool", "aws:SecureTransport"), ("NumericLessThan", "s3:TlsVersion")}
        and plain <= {"false"}
    )


def _covers(patterns: Any, action: str) -> bool:
    escaped = (re.escape(str(each)).replace(r"\*", ".*").replace(r"\?", ".") for each in listed(patterns))
    return any(re.fullmatch(pattern, action, re.IGNORECASE) for pattern in escaped)


def kept_out(statement: Statement, named: Collection[str], actions: Sequence[str]) -> str:
    """Those of the named accounts that a Deny may keep from these actions, in a text; empty for nobody."""
    if not touches(statement, actions) or about_transport(statement):
        return ""
    if "NotPrincipal" in statement or "*" in principals(statement):
        return "everyone"
    accounts = {account_of(name) for name in principals(statement)}
    return ", ".join(sorted(set(named) & accounts))
