"""One question to IAM: may a role, by its own policies, its boundary and its organization's, do an action on a resource?

Three answers: yes, no, cannot tell. Policies of resources play no part in it. Not here: what follows for a refusal (``diagnosis``).

Source: SimulatePrincipalPolicy, EvaluationResult and ResourceSpecificResult in the IAM API reference: one result for an action,
with the decision on each resource in ResourceSpecificResults (answers of earlier years: one result for each resource). A
condition key without a value decides nothing, and stands in MissingContextValues. "AWS global condition context keys" in the IAM
user guide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount.aws import ways_out
from crossaccount.errors import Denial

if TYPE_CHECKING:
    import boto3


@dataclass(frozen=True)
class Simulated:
    """IAM's answer: whether the role may, None for cannot tell.

    Args:
        allowed: the answer.
        doubt: why it cannot be told.
        denial: the policy that denies it.
        lacks: the kind of policy that has no Allow for it, where it is not the role's own.
    """

    allowed: bool | None
    doubt: str = ""
    denial: Denial | None = None
    lacks: str = ""

    @property
    def by_organization(self) -> bool:
        """Whether a policy of the organization forbids it."""
        return self.denial is not None and self.denial.kind == ways_out.SERVICE_CONTROL


@dataclass(frozen=True)
class Simulator:
    """A role to ask about.

    Args:
        session: of the role's account.
        role: the role's ARN.
        region: the region that the role's calls go to.
        owner: the account that owns resources whose ARNs name none: buckets and their objects.
    """

    session: boto3.Session
    role: str
    region: str
    owner: str

    @property
    def account(self) -> str:
        """The role's account."""
        return self.role.split(":")[4]

    def simulate(self, action: str, resource: str) -> Simulated:
        """Whether the role's own side allows an action on a resource, an ARN or ``*``."""
        entries: Any = [
            {"ContextKeyName": name, "ContextKeyType": kind, "ContextKeyValues": [value]}
            for name, (kind, value) in self._known(action, resource).items()
        ]
        try:
            answer = self._ask(action, resource, entries)
        except (ClientError, BotoCoreError):
            return Simulated(None, "it could not be asked (iam:SimulatePrincipalPolicy)")
        return read_answer(answer, resource)

    def _ask(self, action: str, resource: str, entries: Any) -> Any:
        """IAM's answer; without the condition keys when IAM takes one of them for invalid: which of them it takes is its own."""
        ask = partial(
            self.session.client("iam").simulate_principal_policy,
            PolicySourceArn=self.role,
            ActionNames=[action],
            ResourceArns=[resource],
        )
        try:
            return ask(ContextEntries=entries)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("InvalidInput", "ValidationError"):
                raise
            return ask()

    def _known(self, action: str, resource: str) -> dict[str, tuple[str, str]]:
        """The condition keys of the role's call whose values are certain, each with its type and value."""
        now = datetime.now(UTC)
        named = resource.split(":")[4] if resource.count(":") >= 5 else ""
        known = {
            "aws:RequestedRegion": ("string", self.region),
            "aws:ResourceAccount": ("string", named or (self.account if resource == "*" else self.owner)),
            "aws:PrincipalAccount": ("string", self.account),
            "aws:PrincipalArn": ("string", self.role),
            "aws:PrincipalType": ("string", "AssumedRole"),
            "aws:PrincipalIsAWSService": ("boolean", "false"),
            "aws:SecureTransport": ("boolean", "true"),
            "aws:CurrentTime": ("date", now.strftime("%Y-%m-%dT%H:%M:%SZ")),
            "aws:EpochTime": ("numeric", str(int(now.timestamp()))),
        }
        if action == "kms:Decrypt":  # which S3 asks for, for whoever reads
            known["kms:ViaService"] = ("string", f"s3.{self.region}.amazonaws.com")
            known["kms:CallerAccount"] = ("string", self.account)
        return known


def read_answer(answer: Mapping[str, Any], resource: str) -> Simulated:
    """The answer to one action on one resource, in either form that IAM gives it."""
    results = list(answer.get("EvaluationResults") or ())
    found = [each for result in results for each in _of_resource(result, resource)]
    if not found:
        return Simulated(None, "IAM gave no result")
    missing = sorted({key for each in found for key in each.get("MissingContextValues") or ()})
    if missing:
        return Simulated(None, f"a policy asks for {', '.join(missing)}, which is not known here")
    if any(_says(each, "OrganizationsDecisionDetail", "AllowedByOrganizations") is False for each in found):
        return Simulated(False, denial=Denial(ways_out.SERVICE_CONTROL))
    decisions = {_decision(each) for each in found}
    bounded = any(
        _says(each, "PermissionsBoundaryDecisionDetail", "AllowedByPermissionsBoundary") is False
        for each in found
    )
    if "explicitDeny" in decisions:
        return Simulated(False, denial=Denial(ways_out.BOUNDARY if bounded else ways_out.IDENTITY_BASED))
    if bounded:
        return Simulated(False, lacks=ways_out.BOUNDARY)
    return Simulated(decisions == {"allowed"})


def _of_resource(result: Mapping[str, Any], resource: str) -> Iterator[Mapping[str, Any]]:
    """The decisions of a result on the resource: its own where it has none for single resources."""
    single = result.get("ResourceSpecificResults") or ()
    ours = [each for each in single if each.get("EvalResourceName") == resource] or list(single)
    if not ours:
        yield result
    for each in ours:
        missing = {*(each.get("MissingContextValues") or ()), *(result.get("MissingContextValues") or ())}
        yield {**result, **each, "MissingContextValues": sorted(missing)}


def _says(result: Mapping[str, Any], detail: str, answer: str) -> bool | None:
    return (result.get(detail) or {}).get(answer)


def _decision(result: Mapping[str, Any]) -> str:
    """The decision on the role's own side: in a simulation across accounts the whole decision also counts the resource's policy."""
    sides = result.get("EvalDecisionDetails") or {}
    own = [decision for side, decision in sides.items() if "resource" not in side.lower()]
    for decision in ("explicitDeny", "implicitDeny"):
        if decision in own:
            return decision
    return "allowed" if own else str(result.get("EvalResourceDecision") or result.get("EvalDecision"))
