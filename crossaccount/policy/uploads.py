"""Denies of others, held against requests that the producer itself is about to make: uploads, and changes of policies.

Pure functions. Not here: which requests those are (``sharing.writes``), and whom a Deny keeps out of what is shared (``standing``).

Source: "Policy evaluation logic" in the IAM user guide; "Specifying server-side encryption with AWS KMS" and "Enforce conditional
writes" in the S3 user guide (a policy sees what the request says, before a bucket's default encryption is applied).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from crossaccount.policy.callers import Caller, callers_of, reaches
from crossaccount.policy.conditions import Known, Verdict, every, holds, negated, some
from crossaccount.policy.documents import Statement, listed
from crossaccount.policy.globs import Values, glob
from crossaccount.policy.standing import Clause, touches

ALGORITHM = "s3:x-amz-server-side-encryption"
KEY = "s3:x-amz-server-side-encryption-aws-kms-key-id"

_ABSENT: tuple[tuple[str, ...], ...] = ((),)
# What an upload of ours never says.
_UNSAID = (
    *(ALGORITHM, KEY, "s3:x-amz-server-side-encryption-customer-algorithm", "s3:if-match"),
    *("s3:x-amz-acl", "s3:x-amz-copy-source", "s3:x-amz-metadata-directive", "s3:x-amz-storage-class"),
    *("s3:x-amz-website-redirect-location", "s3:object-lock-mode", "s3:object-lock-legal-hold"),
    *(f"s3:x-amz-grant-{grant}" for grant in ("full-control", "read", "read-acp", "write-acp")),
    *(
        "s3:object-lock-retain-until-date",
        "s3:object-lock-remaining-retention-days",
        "s3:requestobjecttagkeys",
    ),
)


@dataclass(frozen=True)
class Request:
    """A request that is about to be made: its action, its resource (an ARN), and the condition keys that it has by itself.

    ``done`` is an action on the same resource that the same caller was just allowed; empty for none.
    """

    action: str
    resource: str
    keys: Mapping[str, str] = field(default_factory=dict)
    done: str = ""


@dataclass(frozen=True)
class Requester:
    """The account that asks, and the role that it asks in (its ARN, and the session's name); without a role nobody knows as whom."""

    account: str
    partition: str
    region: str
    role: str | None = None
    session: str = ""


def upload_of(resource: str, key: str | None) -> Request:
    """The upload of a new object, an ARN, encrypted under a key, or as the bucket's default says."""
    said = {} if key is None else {ALGORITHM: "aws:kms", KEY: key}
    return Request(
        "s3:PutObject", resource, {"s3:if-none-match": "*", "s3:objectcreationoperation": "true", **said}
    )


def refusing(
    clauses: Iterable[Clause], request: Request, requester: Requester, now: datetime
) -> Iterator[tuple[Clause, Verdict]]:
    """The Denies that refuse a request: each for sure, or, with None, perhaps."""
    for clause in clauses:
        if clause.body.get("Effect") != "Deny" or not touches(clause.body, request.action):
            continue
        callers = _callers(requester, clause.body)
        verdicts = [_denied(clause, request, caller, requester, now) for caller in callers or ()]
        verdict = None if callers is None or len(set(verdicts)) > 1 else verdicts[0]
        # What would have kept the requester from looking, and has not, does not apply to it.
        if verdict is not False and not _let_through(clause.body, request):
            yield clause, verdict


def _callers(requester: Requester, statement: Statement) -> Sequence[Caller] | None:
    if requester.role is not None:
        return [Caller(requester.account, requester.role, requester.session)]
    return callers_of(requester.account, [statement], requester.partition, (), "") or None


def _denied(clause: Clause, request: Request, caller: Caller, requester: Requester, now: datetime) -> Verdict:
    usual = {
        "aws:resourceaccount": requester.account,
        "s3:resourceaccount": requester.account,
        "aws:requestedregion": requester.region,
        "aws:securetransport": "true",
        "aws:viaawsservice": "false",
        "s3:authtype": "REST-HEADER",
        "s3:signatureversion": "AWS4-HMAC-SHA256",
        "kms:bypasspolicylockoutsafetycheck": "false",
        **{key.lower(): value for key, value in request.keys.items()},
    }
    keys = {
        **dict.fromkeys((*_UNSAID, "aws:calledvia", "kms:viaservice"), _ABSENT),
        **{key: ((value,),) for key, value in usual.items()},
        "s3:tlsversion": (("1.2",), ("1.3",)),
        **caller.keys(),
    }
    known = Known(keys, now, request.action.partition(":")[0])
    values = known.value if clause.variables else None
    verdict, _ = holds(clause.body.get("Condition") or {}, known, denies=True, variables=clause.variables)
    return every([reaches(clause.body, caller), _about(clause.body, request.resource, values), verdict])


def _about(statement: Statement, resource: str, values: Values | None) -> Verdict:
    """Whether a statement is about a resource; one without Resource is about the one that it is attached to."""
    for element in ("Resource", "NotResource"):
        if element in statement:
            verdict = some(glob(str(text), values).fits(resource) for text in listed(statement[element]))
            return verdict if element == "Resource" else negated(verdict)
    return True


def _let_through(statement: Statement, request: Request) -> bool:
    """Whether a statement, were it to refuse the request, would have refused what was just allowed: who asks alone decides in it."""
    keys = {key.lower() for keys in (statement.get("Condition") or {}).values() for key in keys}
    return (
        bool(request.done)
        and touches(statement, request.done)
        and all(key.startswith("aws:") for key in keys)
    )
