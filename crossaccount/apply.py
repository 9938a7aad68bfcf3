"""Makes a plan's changes, one document at a time, and looks again after each: a change counts once it was read back.

Not here: what the documents are (``plan``).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from crossaccount import policies
from crossaccount.errors import Conflict, Failed
from crossaccount.gather import read_policy
from crossaccount.plan import Kind, Verb
from crossaccount.resources import ecr, kms, model_package_group, s3

if TYPE_CHECKING:
    from crossaccount.gather import Clients
    from crossaccount.plan import Change, Plan, Resource

# Another writer is busy with the same resource: the one condition that passes by itself.
_BUSY = frozenset({"OperationAborted", "ConflictException", "ConcurrentModificationException"})
_BUSY_PAUSES = (0.5, 1.0, 2.0, 4.0)
# A policy may be written and not yet be shown ("eventual consistency" in the S3 user guide).
_SHOWN_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Receipt:
    """A document that was read back as it should be, and what was done for it."""

    resource: Resource
    verb: Verb


def apply(
    clients: Clients, plan: Plan, tell: Callable[[Receipt], None] = lambda receipt: None
) -> tuple[Receipt, ...]:
    """Make every change of the plan, in its order; documents that are as they should be cost no call.

    Args:
        clients: of the account that owns the resources.
        plan: what to change.
        tell: is given each receipt as soon as its document was read back, so that it is known what stands if a later
            change fails.

    Raises:
        Conflict: when a document is no longer what the plan was made from. It was left as it is.
        Failed: when a document does not read back as it was written.
        ClientError: AWS's refusal.
    """
    receipts = []
    for change in plan.changes:
        receipts.append(_make(clients, change))
        tell(receipts[-1])
    return tuple(receipts)


def _make(clients: Clients, change: Change) -> Receipt:
    if change.verb == "keep":
        return Receipt(change.resource, "keep")
    _while_busy(lambda: _write_unless_stale(clients, change))
    for pause in (*_SHOWN_PAUSES, None):
        if policies.same(read_policy(clients, change.resource), change.desired):
            return Receipt(change.resource, change.verb)
        if pause is not None:
            time.sleep(pause)
    raise Failed(
        f"The policy of {change.resource} was written and reads back otherwise: someone else is changing it. Look at the plan again."
    )


def _write_unless_stale(clients: Clients, change: Change) -> None:
    """Look, then write: also when trying again, since whoever was busy may have written meanwhile."""
    if not policies.same(read_policy(clients, change.resource), change.existing):
        raise Conflict(
            f"The policy of {change.resource} has changed since the plan was made. Nothing was written to it. Look at the plan again, then "
            "run this again."
        )
    _write(clients, change)


def _write(clients: Clients, change: Change) -> None:
    resource, desired = change.resource, change.desired
    match resource.kind:
        case Kind.GROUP if desired is None:
            model_package_group.clear(clients.sagemaker, resource.name, resource.account)
        case Kind.GROUP:
            model_package_group.write(clients.sagemaker, resource.name, _required(desired), resource.account)
        case Kind.REPOSITORY if desired is None:
            ecr.clear(clients.ecr, resource.name, resource.account)
        case Kind.REPOSITORY:
            ecr.write(clients.ecr, resource.name, _required(desired), resource.account)
        case Kind.BUCKET if desired is None:
            s3.clear(clients.s3, resource.name, resource.account)
        case Kind.BUCKET:
            s3.write(clients.s3, resource.name, _required(desired), resource.account)
        case Kind.KEY:
            kms.write(clients.kms, resource.name, _required(desired), resource.account)


def _required(document: policies.Document | None) -> policies.Document:
    assert document is not None  # a key's policy is never removed: the plan refuses it
    return document


def _while_busy(write: Callable[[], None]) -> None:
    for pause in (*_BUSY_PAUSES, None):
        try:
            return write()
        except ClientError as error:
            if pause is None or error.response["Error"]["Code"] not in _BUSY:
                raise
            time.sleep(pause)
    return None
