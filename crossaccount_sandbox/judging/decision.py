"""Decides one request under IAM's rules: a caller, an action, a resource and policies in, one Decision out.

Not here, and not modelled: where policies are kept and who is calling (``guard``), VPC endpoint policies, S3
access control lists and object ownership, KMS grants, which services honour a resource control policy (those
given are applied to every resource), canonical user ids, the IAM user behind a federated session (its own ARN
is all that is seen), and the checks with which AWS refuses a malformed document
when it is stored. Such a document, like an operator or a global key that nobody knows, allows nothing here;
its Deny applies in doubt. What is open in the public record is answered against the caller, see ``conditions``.

Source: "Policy evaluation logic" and "IAM JSON policy elements" in the IAM user guide, "SCP evaluation" and
"RCP evaluation" in the Organizations user guide, "Key policies" in the KMS developer guide.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from crossaccount_sandbox.judging.request import (
    Document,
    Kind,
    Policies,
    Question,
    Request,
    account_in,
    is_service_linked,
    question_of,
)
from crossaccount_sandbox.judging.statements import SILENT, Grant, Verdict, scan


class Result(StrEnum):
    """What becomes of a request."""

    ALLOWED = "Allowed"
    IMPLICITLY_DENIED = "ImplicitlyDenied"
    EXPLICITLY_DENIED = "ExplicitlyDenied"


class PolicyType(StrEnum):
    """Which kind of policy decided; NONE when no policy was asked."""

    IDENTITY = "identity"
    RESOURCE = "resource"
    BOUNDARY = "boundary"
    SESSION = "session"
    SCP = "scp"
    RCP = "rcp"
    NONE = "none"


@dataclass(frozen=True)
class Decision:
    """The answer: the result, the kind of policy and statement (Sid or index) that decided, a sentence, the document."""

    result: Result
    policy_type: PolicyType
    statement: str | int | None
    why: str
    document: Document | None = field(default=None, compare=False, repr=False)


def judge(request: Request, policies: Policies) -> Decision:
    """Decide one request.

    Within an account the identity's policy or the resource's suffices; across accounts both must allow. A KMS
    key's policy and a role's trust policy must allow in every case. A Deny anywhere wins.

    Source: "Determining whether a request is allowed or denied within an account" and "Cross-account policy
    evaluation logic" in the IAM user guide.
    """
    question = question_of(request, policies.boundaries is not None)
    settled = _settled(question)
    if settled is not None:
        return settled
    scanned = _scan_all(question, policies)
    for kind, verdicts in scanned.items():
        for verdict in verdicts:
            if verdict.denied:
                denied = _decide(question, Result.EXPLICITLY_DENIED, kind, verdict.statement)
                return replace(denied, document=verdict.document)
    if any(level.grant is Grant.NONE for level in scanned[PolicyType.SCP]):
        return _decide(question, Result.IMPLICITLY_DENIED, PolicyType.SCP, None)
    # RCPFullAWSAccess cannot be detached: a resource control policy denies, it never lacks an Allow.
    attached = scanned[PolicyType.RESOURCE][0]
    if question.subject.kind in (Kind.SERVICE, Kind.PROVIDER):
        return _by_resource(question, attached)
    owner = request.resource_account or account_in(request.resource) or question.subject.account
    if owner != question.subject.account:
        lacking = _lacking(question, scanned)
        return _by_resource(question, attached) if lacking is None else _refuse(question, lacking)
    return _within_account(question, scanned, attached)


def _within_account(
    question: Question, scanned: dict[PolicyType, list[Verdict]], attached: Verdict
) -> Decision:
    if attached.grant is Grant.DIRECT:
        return _by_resource(question, attached)
    if attached.grant is Grant.ROLE:
        # A grant to the role's ARN needs no identity policy, and is limited by boundary and session policy.
        limit = _limit(question, scanned)
        return _by_resource(question, attached) if limit is None else _refuse(question, limit)
    if attached.grant is Grant.NONE and _must_be_named(question.action, question.resource):
        return _refuse(question, PolicyType.RESOURCE)
    lacking = _lacking(question, scanned)
    if lacking is not None:
        return _refuse(question, lacking)
    own = scanned[PolicyType.IDENTITY][0]
    return replace(
        _decide(question, Result.ALLOWED, PolicyType.IDENTITY, own.statement), document=own.document
    )


def _by_resource(question: Question, attached: Verdict) -> Decision:
    if attached.grant is Grant.NONE:
        return _refuse(question, PolicyType.RESOURCE)
    return _decide(question, Result.ALLOWED, PolicyType.RESOURCE, attached.statement)


def _lacking(question: Question, scanned: dict[PolicyType, list[Verdict]]) -> PolicyType | None:
    """The first kind of policy on the caller's side that does not allow."""
    if question.subject.kind is Kind.ROOT:  # the root user may do everything but what an SCP withholds
        return None
    if scanned[PolicyType.IDENTITY][0].grant is Grant.NONE:
        return PolicyType.IDENTITY
    return _limit(question, scanned)


def _limit(question: Question, scanned: dict[PolicyType, list[Verdict]]) -> PolicyType | None:
    boundaries = scanned[PolicyType.BOUNDARY]
    if question.bounded and (not boundaries or any(boundary.grant is Grant.NONE for boundary in boundaries)):
        return PolicyType.BOUNDARY
    session = scanned[PolicyType.SESSION]
    if session:
        return PolicyType.SESSION if session[0].grant is Grant.NONE else None
    # GetFederationToken without a policy makes a session that may do only what resource policies grant it.
    return PolicyType.SESSION if question.subject.kind is Kind.FEDERATED else None


def _scan_all(question: Question, policies: Policies) -> dict[PolicyType, list[Verdict]]:
    kind = question.subject.kind
    # Services and identity providers are principals of no account: only the resource's side applies.
    foreign = kind in (Kind.SERVICE, Kind.PROVIDER)
    linked = is_service_linked(question.subject)  # service-linked roles are exempt from SCPs and RCPs
    retires = question.action == "kms:retiregrant"  # which RCPs cannot restrict
    attached = (*(() if policies.resource is None else (policies.resource,)), *policies.further)
    scps = () if foreign or linked else policies.scps
    rcps = () if linked or retires else policies.rcps
    boundaries = () if foreign else policies.boundaries or ()
    return {
        PolicyType.SCP: [scan(level, question) for level in scps],
        PolicyType.RCP: [scan(level, question, control=True) for level in rcps],
        PolicyType.RESOURCE: [scan(attached, question, attached=True)],
        PolicyType.IDENTITY: [SILENT if foreign else scan(policies.identity, question)],
        PolicyType.BOUNDARY: [scan((document,), question) for document in boundaries],
        PolicyType.SESSION: []
        if foreign or policies.session is None
        else [scan(_session_documents(policies.session), question)],
    }


def _session_documents(session: object) -> Sequence[Any]:
    return session if isinstance(session, (list, tuple)) else (session,)


def _settled(question: Question) -> Decision | None:
    """The answer where no policy can change it."""
    subject, action = question.subject, question.action
    if subject.kind is Kind.UNKNOWN:
        return _none(question, Result.IMPLICITLY_DENIED, "it is no principal that can make a request")
    if action == "sts:getcalleridentity" and subject.account:
        return _none(question, Result.ALLOWED, "the operation needs no permission")
    if action == "sts:getsessiontoken" and subject.kind in (Kind.USER, Kind.ROOT):
        return _none(question, Result.ALLOWED, "the operation needs no permission")
    if subject.kind is Kind.ROOT and action == "sts:assumerole":
        return _none(question, Result.IMPLICITLY_DENIED, "an account's root user cannot assume roles")
    if (
        subject.partition
        and question.resource.startswith("arn:")
        and question.resource.split(":", 2)[1] != subject.partition
    ):
        return _none(question, Result.IMPLICITLY_DENIED, "permissions do not reach into another partition")
    return None


def _must_be_named(action: str, resource: str) -> bool:
    """True where the resource's own policy must allow: a KMS key, and a role that is to be assumed."""
    parts = resource.split(":", 5)
    if len(parts) < 6:
        return False
    if action.startswith("kms:"):  # "key/*" is no key: it stands for one that is about to be made
        return parts[2] == "kms" and parts[5].startswith("key/") and parts[5] != "key/*"
    return action.startswith("sts:") and parts[2] == "iam" and parts[5].startswith("role/")


def _refuse(question: Question, kind: PolicyType) -> Decision:
    return _decide(question, Result.IMPLICITLY_DENIED, kind, None)


_NAMES = {
    PolicyType.IDENTITY: "an identity-based policy",
    PolicyType.RESOURCE: "the resource-based policy",
    PolicyType.BOUNDARY: "the permissions boundary",
    PolicyType.SESSION: "the session policy",
    PolicyType.SCP: "a service control policy",
    PolicyType.RCP: "a resource control policy",
}
_LACKS = {
    PolicyType.IDENTITY: "no identity-based policy allows it",
    PolicyType.RESOURCE: "no resource-based policy allows it",
    PolicyType.BOUNDARY: "the permissions boundary does not allow it",
    PolicyType.SESSION: "no session policy allows it",
    PolicyType.SCP: "a level of the organization has no service control policy that allows it",
}


def _decide(question: Question, result: Result, kind: PolicyType, statement: str | int | None) -> Decision:
    where = "" if statement is None else f", statement {statement}"
    if kind is PolicyType.IDENTITY and question.subject.kind is Kind.ROOT and result is Result.ALLOWED:
        return _none(question, result, "an account's root user has every permission in it")
    if result is Result.ALLOWED:
        reason = f"{_NAMES[kind]} allows it{where}"
    elif result is Result.EXPLICITLY_DENIED:
        reason = f"{_NAMES[kind]} denies it{where}"
    else:
        reason = _LACKS[kind]
    return Decision(result, kind, statement, _sentence(question, result, reason))


def _none(question: Question, result: Result, reason: str) -> Decision:
    return Decision(result, PolicyType.NONE, None, _sentence(question, result, reason))


def _sentence(question: Question, result: Result, reason: str) -> str:
    may = "may" if result is Result.ALLOWED else "may not"
    return f"{question.subject.arn} {may} {question.operation} on {question.resource}: {reason}."
