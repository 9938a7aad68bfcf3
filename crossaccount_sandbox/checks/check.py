"""One question to the judge, as the tables of the services put it.

Not here: which questions an operation raises (a file for each service) and their answer (``decisions``).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from crossaccount_sandbox.attached import PolicyKey
from crossaccount_sandbox.calls import Call
from crossaccount_sandbox.refusals import denied
from crossaccount_sandbox.wire import AwsError


@dataclass(frozen=True)
class Check:
    """One question to the judge: may the caller do ``action`` on ``resource``, which ``owner`` owns?

    Args:
        action: as it is written in policies.
        resource: an ARN, or ``*`` for actions without resources.
        owner: the account (12 digits) that owns the resource.
        policy: where the resource's own policy is kept; None for resources without one.
        role: for sts:AssumeRole the role whose trust policy is asked.
        context: condition keys that belong to this operation.
        either: other resources of the same owner on which the action would do as well; a Deny on one of them still wins.
    """

    action: str
    resource: str
    owner: str
    policy: PolicyKey | None = None
    role: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    either: tuple[str, ...] = ()


Rule = Callable[[Call], Iterable[Check]]


def unknown(call: Call) -> AwsError:
    """The refusal of an operation that no row describes."""
    text = (
        f"The sandbox does not know which permissions {call.service}:{call.operation} needs, so it refuses it. "
        "Its tables are in crossaccount_sandbox/checks/."
    )
    return denied(call.spoken, text)


def key_check(action: str, arn: str, context: Mapping[str, Any] | None = None) -> Check:
    """The question whether the caller may use a key."""
    return Check(action, arn, arn.split(":")[4], ("key", arn), context=dict(context or {}))


def own(action: str) -> Rule:
    """The rule of an operation that is checked on no resource, in the caller's own account."""

    def rule(call: Call) -> Iterator[Check]:
        yield Check(action, "*", call.account)

    return rule
