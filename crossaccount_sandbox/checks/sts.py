"""What AWS checks for the operations of STS.

Source: the Service Authorization Reference.
"""

from __future__ import annotations

from collections.abc import Iterator

from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.checks.check import Check, Rule


def _assume_role(call: Call) -> Iterator[Check]:
    role = str(call.params.get("RoleArn", ""))
    owner = role.split(":")[4] if role.count(":") >= 5 else call.account
    context = {"sts:RoleSessionName": call.params.get("RoleSessionName", "")}
    if call.params.get("ExternalId"):
        context["sts:ExternalId"] = call.params["ExternalId"]
    yield Check("sts:AssumeRole", role, owner, role=role, context=context)


def _nothing(call: Call) -> Iterator[Check]:
    """GetCallerIdentity needs no permission."""
    return iter(())


RULES: dict[str, Rule] = {"AssumeRole": _assume_role, "GetCallerIdentity": _nothing}
