"""Statements of policies: whether one reaches a request, and how closely it names the caller.

Not here: conditions (``conditions``), and how the kinds of policy weigh against each other (``decision``).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Any, NamedTuple

from crossaccount_sandbox.judging.conditions import condition_holds
from crossaccount_sandbox.judging.patterns import glob, resolve, resource_like
from crossaccount_sandbox.judging.request import Document, Kind, Question


class Grant(IntEnum):
    """How closely a resource policy names the caller: the closer, the less do other policies limit it."""

    NONE = 0
    ACCOUNT = 1
    ROLE = 2
    DIRECT = 3


class Verdict(NamedTuple):
    """What documents of one kind say of a request, and the statement (Sid or index) and document that say it."""

    denied: bool
    grant: Grant
    statement: str | int | None
    document: Document | None = None


SILENT = Verdict(False, Grant.NONE, None)
# Of a statement; IAM writes them in one way alone.
ELEMENTS = frozenset(
    [
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    ]
)


def scan(
    documents: Iterable[Document], question: Question, *, attached: bool = False, control: bool = False
) -> Verdict:
    """What documents of one kind say: the first Deny that applies, else the closest Allow.

    Args:
        documents: the documents.
        question: the request.
        attached: they are resource policies: a statement names its principals, and may leave out the
            resource.
        control: they are resource control policies, which may name principals, in effect ``*``.
    """
    best = SILENT
    for document in documents:
        if not isinstance(document, Mapping):
            continue
        version = document.get("Version", "2008-10-17")
        for index, statement in enumerate(_statements(document)):
            effect = statement.get("Effect")
            deny = isinstance(effect, str) and effect.lower() == "deny"
            if not deny and (effect != "Allow" or version not in ("2012-10-17", "2008-10-17")):
                continue
            grant = _applies(statement, question, deny, version == "2012-10-17", attached, control)
            if grant <= best.grant and not (deny and grant):
                continue
            sid = statement.get("Sid")
            verdict = Verdict(deny, grant, sid if isinstance(sid, str) and sid else index, document)
            if deny:
                return verdict
            best = verdict
    return best


def context_keys(documents: Iterable[Document], question: Question) -> set[str]:
    """The condition keys, as they are written, that statements about the question's action and resource ask for."""
    keys: set[str] = set()
    for document in documents:
        variables = document.get("Version") == "2012-10-17"
        for statement in _statements(document):
            deny = statement.get("Effect") != "Allow"
            if not _action_matches(statement, question.action, deny):
                continue
            if not _resource_matches(statement, question, deny, variables, attached=False):
                continue
            condition = statement.get("Condition")
            for block in condition.values() if isinstance(condition, Mapping) else ():
                keys |= {str(key) for key in block} if isinstance(block, Mapping) else set()
    return keys


def _statements(document: Document) -> Iterator[Mapping[str, Any]]:
    element = document.get("Statement")
    for statement in element if isinstance(element, list) else (element,):
        # An unreadable statement has no effect that could be known; its place still counts.
        yield statement if isinstance(statement, Mapping) else {}


def _applies(
    statement: Mapping[str, Any],
    question: Question,
    deny: bool,
    variables: bool,
    attached: bool,
    control: bool,
) -> Grant:
    """How closely a statement reaches the request; or NONE. In doubt Deny does, Allow does not."""
    if not deny and not statement.keys() <= ELEMENTS:
        return Grant.NONE
    if not _action_matches(statement, question.action, deny):
        return Grant.NONE
    named = "Principal" in statement or "NotPrincipal" in statement
    if attached or (control and named):
        grant = _names_caller(statement, question, deny)
    else:
        # Only policies on a resource name principals.
        grant = Grant.NONE if named and not deny else Grant.DIRECT
    if grant is Grant.NONE or not _resource_matches(statement, question, deny, variables, attached):
        return Grant.NONE
    condition = statement.get("Condition")
    if condition is None and "Condition" not in statement:
        return grant
    return grant if condition_holds(condition, question, deny, variables) else Grant.NONE


def _pair(statement: Mapping[str, Any], positive: str, negative: str) -> tuple[Sequence[str] | None, bool]:
    """The texts of an element or its negation, and which it was; none when both stand or are malformed."""
    if positive in statement:
        return (None if negative in statement else _texts(statement[positive])), False
    return _texts(statement.get(negative)), True


def _texts(value: object) -> Sequence[str] | None:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return value
    return None


def _action_matches(statement: Mapping[str, Any], action: str, deny: bool) -> bool:
    patterns, negated = _pair(statement, "Action", "NotAction")
    if patterns is None:
        return deny
    # A malformed pattern counts against the caller: it widens what a statement denies or leaves out.
    strict = deny == negated
    return any(_action_like(pattern, action, strict) for pattern in patterns) != negated


@lru_cache(maxsize=65536)
def _action_like(pattern: str, action: str, strict: bool) -> bool:
    if strict and pattern not in ("*", "*:*"):
        service, colon, name = pattern.partition(":")
        if not colon or not name or "*" in service or "?" in service:
            return False
    return glob(pattern.lower())(action)


def _resource_matches(
    statement: Mapping[str, Any], question: Question, deny: bool, variables: bool, attached: bool
) -> bool:
    if attached and "Resource" not in statement and "NotResource" not in statement:
        return True  # the resource that the policy is attached to
    patterns, negated = _pair(statement, "Resource", "NotResource")
    if patterns is None:
        return deny
    hit = False
    for pattern in patterns:
        if variables and "${" in pattern:
            # Variables may stand only in the last part of an ARN.
            legal = pattern[: pattern.index("${")].count(":") >= 5
            resolved = resolve(pattern, question.context, escape=True) if legal or deny else None
            if resolved is None:
                if not deny:
                    return False
                continue
            pattern = resolved
        hit = hit or resource_like(pattern, question.resource)
    return hit != negated


def _names_caller(statement: Mapping[str, Any], question: Question, deny: bool) -> Grant:
    doubt = Grant.DIRECT if deny else Grant.NONE
    if "NotPrincipal" not in statement:
        # Without either element a statement names nobody.
        grant = _closest(statement["Principal"], question) if "Principal" in statement else Grant.NONE
        return doubt if grant is None else grant
    if "Principal" in statement or question.action.startswith("sts:"):  # trust policies take no NotPrincipal
        return doubt
    excepted = _closest(statement["NotPrincipal"], question)
    if excepted is None or _has_wildcard(statement["NotPrincipal"]):
        return doubt
    if not deny:
        # The grant is to nobody in particular, so boundary and session policy keep their say.
        return Grant.ROLE if excepted is Grant.NONE else Grant.NONE
    # With a permissions boundary the caller is denied whatever the exception says.
    spared = not question.bounded and _is_spared(statement["NotPrincipal"], question)
    return Grant.NONE if spared else Grant.DIRECT


def _is_spared(block: object, question: Question) -> bool:
    """True where a NotPrincipal of a Deny names a caller in each way in which it is a principal.

    A session must be named by its own ARN, its role's and its account's, a user by its own and its account's; AWS says of
    anything less that it may deny the caller.

    Source: "IAM JSON policy elements: NotPrincipal" in the IAM user guide.
    """
    subject = question.subject
    if block == "*" or not subject.account:
        return _closest(block, question) is Grant.DIRECT
    names = _texts(block.get("AWS")) or () if isinstance(block, Mapping) else ()
    if "*" in names:
        return True
    grants = [_aws_name(name, question) for name in names]
    if Grant.ACCOUNT not in grants:
        return False
    if subject.kind is Kind.SESSION:
        return Grant.ROLE in grants and Grant.DIRECT in grants
    return (
        subject.kind is Kind.ROOT
        or Grant.DIRECT in grants
        or (subject.kind is Kind.ROLE and Grant.ROLE in grants)
    )


def _has_wildcard(block: object) -> bool:
    """True for a wildcard within a name, which AWS does not know: ``*`` stands alone or not at all."""
    values = block.values() if isinstance(block, Mapping) else (block,)
    return any("*" in name and name != "*" for names in values for name in _texts(names) or ())


def _closest(block: object, question: Question) -> Grant | None:
    """The closest way in which a Principal element names the caller; None when it cannot be read."""
    if isinstance(block, str):
        return _aws_name(block, question)
    if not isinstance(block, Mapping) or not block:
        return None
    best = Grant.NONE
    for kind, value in block.items():
        names = _texts(value)
        if names is None or kind not in ("AWS", "Service", "Federated", "CanonicalUser"):
            return None
        for name in names:
            if kind == "AWS":
                grant = _aws_name(name, question)
            else:
                wanted = Kind.SERVICE if kind == "Service" else Kind.PROVIDER if kind == "Federated" else None
                same = question.subject.kind is wanted and question.subject.arn == name
                grant = Grant.DIRECT if same else Grant.NONE
            best = max(best, grant)
    return best


def _aws_name(name: str, question: Question) -> Grant:
    subject = question.subject
    if name == "*":
        return Grant.DIRECT
    if not subject.account:
        return Grant.NONE
    if name in (subject.account, f"arn:{subject.partition}:iam::{subject.account}:root"):
        return Grant.ACCOUNT
    if subject.role and name == question.role:
        return Grant.ROLE
    if name == subject.arn and subject.kind is not Kind.ROLE:
        return Grant.DIRECT
    if name[:4] in ("AROA", "AIDA"):
        # What is left in place of an ARN once its role or user is gone.
        user_id = question.context.get("aws:userid", ())
        if len(user_id) == 1 and user_id[0].split(":", 1)[0] == name:
            return Grant.ROLE if name.startswith("AROA") else Grant.DIRECT
    return Grant.NONE
