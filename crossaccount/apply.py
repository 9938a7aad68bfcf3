"""Makes a plan's changes and looks again: all of them, each counted once it was read back, or none.

Two writers of one document are not held apart by AWS: no put takes a condition, the last one wins. So each write begins
with a fresh look, each is read back once all are made, and a write that another one has overwritten is made again on
what stands then. What we change is merged in; what others have changed meanwhile stays.

Not here: what the documents are (``plan``), and a lock that writers share (the flows have one where they share a server).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount import parallel, policies
from crossaccount.errors import Conflict, Failed
from crossaccount.gather import read_policy
from crossaccount.plan import LIMITS, Change, Kind, Verb
from crossaccount.policies import Document, Statement
from crossaccount.resources import ecr, kms, model_package_group, s3

if TYPE_CHECKING:
    from crossaccount.gather import Clients
    from crossaccount.plan import Plan, Resource

# Another writer is busy with the same resource: the one condition that passes by itself.
_BUSY = frozenset({"OperationAborted", "ConflictException", "ConcurrentModificationException"})
_BUSY_PAUSES = (0.5, 1.0, 2.0, 4.0)
# A policy may be written and not yet be shown ("eventual consistency" in the S3 user guide).
_SHOWN_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
# How often a write is made again that another writer has overwritten.
_ATTEMPTS = 12
# Writers without a lock in common wait as long before they look again as another may take from its look to its write.
SETTLE_SECONDS = 1.0


_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Receipt:
    """A document that was read back as it should be, and what was done for it."""

    resource: Resource
    verb: Verb


def apply(
    clients: Clients,
    plan: Plan,
    tell: Callable[[str], None] = lambda text: None,
    exactly: bool = False,
    settle_seconds: float = 0.0,
) -> tuple[Receipt, ...]:
    """Make every change of the plan, in its order, or none; documents that are as they should be cost no call.

    Args:
        clients: of the account that owns the resources.
        plan: what to change.
        tell: is given a line for whatever was written, so that it is known what stands.
        exactly: refuse, rather than merge, when a document is no longer what the plan was made from.
        settle_seconds: how long to wait before looking again; 0 where no other writer can be at work.

    Raises:
        Conflict: when a document is no longer what the plan was made from, or other writers keep overwriting it.
        ClientError: AWS's refusal.

    Whatever it raises, what was written before is taken back; notes on the exception say what stands.
    """
    made: list[_Made] = []
    try:
        # One after the other: after a refusal there is no more to take back than what came before it.
        for change in plan.changes:
            if change.verb != "keep":
                made.append(_Made(change))
                _while_busy(partial(_write, clients, made[-1], exactly))
                tell(f"{change.verb}: policy of {change.resource}")
        _look_again(clients, made, tell, settle_seconds)
    except BaseException as error:
        for one in reversed(made):
            if one.begun:
                error.add_note(_taken_back(clients, one.change))
        raise
    return tuple(Receipt(change.resource, change.verb) for change in plan.changes)


@dataclass
class _Made:
    """A change, whether its writing has begun (from then on it may stand), and the document that the last write replaced."""

    change: Change
    begun: bool = False
    before: Document | None = None


def _write(clients: Clients, made: _Made, exactly: bool) -> None:
    """Look, then write. Also when trying again: whoever was busy may have written meanwhile."""
    change = made.change
    made.before = before = read_policy(clients, change.resource)
    if policies.same(before, change.existing):
        made.begun = True
        _put(clients, change.resource, change.desired)
    elif exactly and not policies.same(before, change.desired):
        raise Conflict(
            f"The policy of {change.resource} has changed since the plan was made ({policies.digest(change.existing)}, now "
            f"{policies.digest(before)}). It was left as it is. Look at the plan again, then run this again."
        )
    else:
        made.begun = True
        _merge(clients, change.resource, before, change.added, change.removed)


def _merge(
    clients: Clients,
    resource: Resource,
    document: Document | None,
    added: tuple[Statement, ...],
    removed: tuple[Statement, ...],
) -> bool:
    """Make a change on a document as it stands now; False when it has it already.

    Raises:
        Conflict: when it no longer fits.
    """
    desired = policies.merged(document, added, removed)
    if policies.same(document, desired):
        return False
    if desired is None and resource.kind is Kind.KEY:
        raise Conflict(
            f"The policy of {resource} was emptied by another writer. A key is never left without one."
        )
    if desired is not None and policies.size(desired) > LIMITS[resource.kind]:
        raise Conflict(
            f"The policy of {resource} has grown since the plan was made: with this change it would have {policies.size(desired)} bytes, "
            f"and AWS takes {LIMITS[resource.kind]}. Look at the plan again."
        )
    _put(clients, resource, desired)
    return True


def _look_again(
    clients: Clients, made: list[_Made], tell: Callable[[str], None], settle_seconds: float
) -> None:
    """Read every written document back, and make again what others have overwritten.

    Raises:
        Conflict: when they keep doing it.
    """
    waiting = list(made)
    for attempt in range(_ATTEMPTS):
        if not waiting:
            return
        if settle_seconds:
            # The waits differ, so that writers who met once do not meet again.
            time.sleep(settle_seconds * (1 + (random.random() if attempt else 0)))  # noqa: S311 - no secret
        stand = parallel.run_all([partial(_stands, clients, one) for one in waiting])
        waiting = [one for one, stands in zip(waiting, stand, strict=True) if not stands]
        for one in waiting:
            tell(f"the policy of {one.change.resource} was overwritten by another writer: merging again")
            _while_busy(partial(_write, clients, one, exactly=False))
    for one in waiting:
        if not _stands(clients, one):
            now = read_policy(clients, one.change.resource)
            sids = (
                ", ".join(str(each.get("Sid", "without a Sid")) for each in policies.statements(now))
                or "none"
            )
            raise Conflict(
                f"The policy of {one.change.resource} is being overwritten by another writer: {_ATTEMPTS} times what this run wrote was lost. "
                f"It won; its statements are now: {sids}. CloudTrail says who writes it. Stop that writer, then run this again."
            )


def _stands(clients: Clients, made: _Made) -> bool:
    """Whether the change is in the document, once AWS shows it."""
    change = made.change
    for pause in (*_SHOWN_PAUSES, None):
        now = read_policy(clients, change.resource)
        if policies.same(now, policies.merged(now, change.added, change.removed)):
            return True
        if pause is None or not policies.same(now, made.before):
            return False
        time.sleep(pause)
    return False


def _taken_back(clients: Clients, change: Change) -> str:
    """Undo a change of ours on the document as it stands now, and say what stands."""
    resource = change.resource

    def undo() -> bool:
        # A fresh look each time: whoever was busy may have written meanwhile.
        return _merge(clients, resource, read_policy(clients, resource), change.removed, change.added)

    try:
        undone = _while_busy(undo)
        now = read_policy(clients, resource)
        if not policies.same(now, policies.merged(now, change.removed, change.added)):
            return f"The policy of {resource} does not read back as it was before. Look at it: crossaccount plan CONFIG."
    except (ClientError, BotoCoreError, Conflict, Failed) as error:
        return f"The policy of {resource} could not be put back ({error}). It has this run's change, or a part of it."
    return f"The policy of {resource} is as it was before{': what this run had written was taken back' if undone else ''}."


def _put(clients: Clients, resource: Resource, desired: Document | None) -> None:
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


def _required(document: Document | None) -> Document:
    assert document is not None  # a key's policy is never removed: the plan refuses it
    return document


def _while_busy(write: Callable[[], _Result]) -> _Result:
    for pause in _BUSY_PAUSES:
        try:
            return write()
        except ClientError as error:
            if error.response["Error"]["Code"] not in _BUSY:
                raise
            time.sleep(pause)
    return write()
