"""Makes a plan's changes and looks again: all of them, each counted once it was read back, or none.

Two writers of one document are not held apart by AWS: no put of a policy takes a condition, the last one wins. So each write begins
with a fresh look, each is read back once all are made, and a write that another one has overwritten is made again on what stands
then. What we change is merged in; what others have changed meanwhile stays. Whoever has the lock that writers share looks at all
documents at once, before the first is written.

Not here: what the documents are (``plan``), and a lock that writers share (the flows have one where they share a server).

Source: "Amazon S3 data consistency model" in the S3 user guide (a change of a bucket's configuration is shown late).
"""

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from crossaccount import parallel
from crossaccount.aws.access import Producer
from crossaccount.aws.retries import passes
from crossaccount.doors import door_of, read_policy, write_policy
from crossaccount.doors.base import Resource, Token
from crossaccount.errors import Conflict, Failed
from crossaccount.policy import documents
from crossaccount.policy.documents import Document, Statement
from crossaccount.sharing.changes import Change, Plan, Verb

_BUSY_PAUSES = (0.5, 1.0, 2.0, 4.0)
# A policy may be written and not yet be shown.
_SHOWN_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
# How often a write is made again that another writer has overwritten.
_ATTEMPTS = 12
# How often a write may be without effect.
_UNSEEN = 3
# Writers without a lock in common wait as long before they look again as another may take from its look to its write.
SETTLE_SECONDS = 1.0
# How much longer than this writer another one may take from its look to its write.
_SLOWER = 4.0
# How old a look may be when its write begins, with a lock: less than that by a call's time, so that a writer without it sees the write.
_FRESH_SECONDS = 0.5

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Receipt:
    """A document that was read back as it should be, and what was done for it."""

    resource: Resource
    verb: Verb


def apply(
    producer: Producer,
    plan: Plan,
    tell: Callable[[str], None] = lambda text: None,
    exactly: bool = False,
    settle_seconds: float = 0.0,
) -> tuple[Receipt, ...]:
    """Make every change of the plan, in its order, or none; documents that are as they should be cost no call.

    Args:
        producer: the account that owns the resources.
        plan: the changes.
        tell: is given a line for each write, so that it is known what stands.
        exactly: refuse, rather than merge, when a document is no longer what the plan was made from.
        settle_seconds: how long to wait before looking again; 0 where no other writer can be at work.

    Raises:
        Conflict: when a document is no longer what the plan was made from, or other writers keep overwriting it.
        ClientError: AWS's refusal.
        BotoCoreError: when AWS cannot be asked.

    Whatever it raises, earlier writes are taken back; notes on the exception say what stands. One thing is not: access that was
    taken away is not granted again because an answer did not come.
    """
    writings = [_Writing(change) for change in plan.changes if change.verb != "keep"]
    try:
        if not settle_seconds:
            parallel.run_all([partial(_look, producer, writing) for writing in writings])
        # One after the other: after a refusal there is no more to take back than what came before it.
        for writing in writings:
            change = writing.change
            _while_busy(change.resource, partial(_write, producer, writing, exactly))
            tell(f"{change.verb}: policy of {change.resource}")
        _look_again(producer, writings, tell, settle_seconds)
    except BaseException as error:
        stays_taken = plan.takes_back and isinstance(error, Exception) and passes(error)
        for writing in reversed(writings):
            if writing.begun:
                change = writing.change
                error.add_note(_left_taken(change) if stays_taken else _take_back(producer, change))
        raise
    return tuple(Receipt(change.resource, change.verb) for change in plan.changes)


@dataclass
class _Writing:
    """A change, whether its writing has begun (from then on it may stand), and the document that the last write replaced.

    ``before`` and ``token`` are what the last look found, at the instant ``looked`` of the monotonic clock. ``took`` is how
    many seconds passed from it to the end of the write. ``unseen`` counts the writes after which that document still stood; ``overwritten`` is whether ever another one stood then.
    """

    change: Change
    begun: bool = False
    before: Document | None = None
    token: Token = None
    looked: float = -math.inf
    took: float = 0.0
    unseen: int = 0
    overwritten: bool = False


def _look(producer: Producer, writing: _Writing) -> None:
    asked = time.monotonic()
    writing.before, writing.token = read_policy(producer, writing.change.resource)
    writing.looked = asked


def _write(producer: Producer, writing: _Writing, exactly: bool) -> None:
    """Write on what the look found, which counts once: whoever was busy may have written meanwhile."""
    if time.monotonic() - writing.looked > _FRESH_SECONDS:
        _look(producer, writing)
    looked, writing.looked = writing.looked, -math.inf
    _write_on(producer, writing, exactly)
    writing.took = time.monotonic() - looked


def _write_on(producer: Producer, writing: _Writing, exactly: bool) -> None:
    change, token = writing.change, writing.token
    if documents.same(writing.before, change.existing):
        writing.begun = True
        write_policy(producer, change.resource, change.desired, token)
    elif exactly and not documents.same(writing.before, change.desired):
        raise Conflict(
            f"The policy of {change.resource} has changed since the plan was made ({documents.digest(change.existing)}, now "
            f"{documents.digest(writing.before)}). It was left as it is. Look at the plan again (crossaccount plan CONFIG), then run this again."
        )
    else:
        writing.begun = True
        _merge(producer, change.resource, (writing.before, token), change.added, change.removed)


def _merge(
    producer: Producer,
    resource: Resource,
    standing: tuple[Document | None, Token],
    added: tuple[Statement, ...],
    removed: tuple[Statement, ...],
) -> bool:
    """Make a change on a document as it stands now; False when it has it already.

    Raises:
        Conflict: when it no longer fits.
    """
    document, token = standing
    desired = documents.merged(document, added, removed)
    if documents.same(document, desired):
        return False
    limit = door_of(resource.kind).limit
    if desired is not None and (length := documents.size(desired)) > limit:
        raise Conflict(
            f"The policy of {resource} has grown since the plan was made: with this change it would have {length} bytes, "
            f"and AWS takes {limit}. Look at the plan again: crossaccount plan CONFIG."
        )
    write_policy(producer, resource, desired, token)
    return True


def _look_again(
    producer: Producer, writings: list[_Writing], tell: Callable[[str], None], settle_seconds: float
) -> None:
    """Read every written document back, and make again what others have overwritten.

    Raises:
        Conflict: when they keep doing it.
    """
    waiting = list(writings)
    for attempt in range(_ATTEMPTS):
        if not waiting:
            return
        if settle_seconds:
            # Where this writer was slow, others may be. The waits differ, so that writers who met once do not meet again.
            seconds = max(settle_seconds, _SLOWER * max(writing.took for writing in waiting))
            time.sleep(seconds * (1 + (random.random() if attempt else 0)))  # noqa: S311 - no secret
        standing = parallel.run_all([partial(_stands, producer, writing) for writing in waiting])
        waiting = [writing for writing, stands in zip(waiting, standing, strict=True) if not stands]
        for writing in waiting:
            if writing.unseen >= _UNSEEN and not writing.overwritten:
                raise Conflict(
                    f"The policy of {writing.change.resource} was written {writing.unseen} times and reads back as it was before each time: the "
                    "write has no effect, or a writer puts the old policy back at once. CloudTrail says which. Then run this again."
                )
            seen = (
                "was overwritten by another writer" if writing.overwritten else "reads back as it was before"
            )
            tell(f"the policy of {writing.change.resource} {seen}: merging again")
            _while_busy(writing.change.resource, partial(_write, producer, writing, exactly=False))
    for writing in waiting:
        if not _stands(producer, writing):
            now, _ = read_policy(producer, writing.change.resource)
            sids = ", ".join(str(each.get("Sid", "without a Sid")) for each in documents.statements(now))
            raise Conflict(
                f"The policy of {writing.change.resource} is being overwritten by another writer: {_ATTEMPTS} times what this run wrote was lost. "
                f"It won; its statements are now: {sids or 'none'}. CloudTrail says who writes it. Stop that writer, then run this again."
            )


def _stands(producer: Producer, writing: _Writing) -> bool:
    """Whether the change is in the document, once AWS shows it."""
    change = writing.change
    for pause in (0.0, *_SHOWN_PAUSES):
        if pause:
            time.sleep(pause)
        now, _ = read_policy(producer, change.resource)
        if documents.same(now, documents.merged(now, change.added, change.removed)):
            return True
        if not documents.same(now, writing.before):
            writing.overwritten = True
            return False
    writing.unseen += 1
    return False


def take_back(producer: Producer, plan: Plan) -> tuple[str, ...]:
    """Undo a plan that was carried out, the last change first, on the documents as they stand now; a sentence about each."""
    return tuple(_take_back(producer, change) for change in reversed(plan.changes) if change.verb != "keep")


def _left_taken(change: Change) -> str:
    return (
        f"The policy of {change.resource} was left as this run made it, or as it was before: whether AWS made the change is not known, "
        "and no access is granted again for that. Run this again."
    )


def _take_back(producer: Producer, change: Change) -> str:
    """Undo a change of ours on the document as it stands now, and say what stands."""
    resource = change.resource

    def undo() -> bool:
        # A fresh look each time: whoever was busy may have written meanwhile.
        return _merge(producer, resource, read_policy(producer, resource), change.removed, change.added)

    try:
        undone = _while_busy(resource, undo)
        now, _ = read_policy(producer, resource)
        if not documents.same(now, documents.merged(now, change.removed, change.added)):
            return f"The policy of {resource} does not read back as it was before. Look at it: crossaccount plan CONFIG."
    except (ClientError, BotoCoreError, Conflict, Failed) as error:
        return f"The policy of {resource} could not be put back ({error}). It has this run's change, or a part of it."
    return f"The policy of {resource} is as it was before{': what this run had written was taken back' if undone else ''}."


def _while_busy(resource: Resource, write: Callable[[], _Result]) -> _Result:
    """Write, and again after a pause as long as another writer is at work."""
    for pause in _BUSY_PAUSES:
        try:
            return write()
        except ClientError as error:
            if error.response["Error"]["Code"] not in door_of(resource.kind).busy_codes:
                raise
            time.sleep(pause)
    return write()
