"""The history of promotions and rollbacks, as the records tell it: where an endpoint came to, and who is held from a version.

Not here: reading and writing the records (``records``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crossaccount.promotion.outcome import Result

if TYPE_CHECKING:
    from crossaccount.hosting.state import LiveEndpoint, VersionConfig
    from crossaccount.records import Record


def rolled_back_from(records: Iterable[Record], version: int) -> dict[str, str]:
    """The consumers that were rolled back from this version and have not been promoted to any since, and why.

    A further rollback, from what the first one went back to, does not let this version in again.

    Args:
        records: of earlier promotions and rollbacks, the newest first.
        version: the version.
    """
    reasons: dict[str, str] = {}
    settled: set[str] = set()
    for record in records:
        for part in record.consumers:
            name = str(part.get("consumer"))
            if name in settled or not (
                part.get("result") == Result.PROMOTED
                or (record.version == version and _was_there(record, part))
            ):
                continue
            if record.kind == "promotion" or part.get("before") == version:
                settled.add(name)
            if record.kind == "rollback" and part.get("before") == version:
                when = record.started.strftime("%Y-%m-%d %H:%MZ")
                reasons[name] = (
                    f"It was rolled back from version {version} at {when}: {record.reason}. To promote it there again, name the version."
                )
    return reasons


def _was_there(record: Record, part: Mapping[str, Any]) -> bool:
    """Whether a promotion found the endpoint at its version: moved there by a run that died before it could say so."""
    unchanged = record.kind == "promotion" and part.get("result") == Result.UNCHANGED
    return unchanged and part.get("live") == record.version


@dataclass(frozen=True)
class Move:
    """The last move of a consumer's endpoint on record: ``live`` is the version, ``before`` the one before.

    ``kind`` and ``reason`` are the record's.
    """

    kind: str
    reason: str
    before: int | None
    live: int | None


def last_move(records: Iterable[Record], name: str) -> Move | None:
    """How a consumer's endpoint came to serve what the history says that it serves; None when that says nothing of it.

    Args:
        records: of earlier promotions and rollbacks, the newest first.
        name: the consumer.
    """
    for record in records:
        for part in record.consumers:
            came = part.get("result") == Result.PROMOTED or _was_there(record, part)
            if came and part.get("consumer") == name:
                return Move(record.kind, record.reason, part.get("before"), part.get("live"))
    return None


def is_rolled_back(live: LiveEndpoint | None, last: Move | None, version: int | None, reason: str) -> bool:
    """Whether a rollback has been made and put on record already: its run died after that, or somebody asks twice.

    Whoever gives another reason asks for another one.

    Args:
        live: the endpoint.
        last: the last move on record.
        version: where it shall go back to; None is the version before.
        reason: why.
    """
    if live is None or last is None or (last.kind, last.reason) != ("rollback", reason):
        return False
    at_rest = live.status == "InService" and live.proven is not None and live.version is not None
    return at_rest and live.version == last.live and version in (None, last.live)


def unrecorded_rollback(
    live: LiveEndpoint | None, configs: Sequence[VersionConfig], last: Move | None
) -> int | None:
    """The version that a rollback has moved the endpoint away from without putting it on record: its run died. Else None.

    The history says that version, and what it was served by has lost its proof: that is how a rollback begins.

    Args:
        live: the endpoint.
        configs: its endpoint configs.
        last: the last move on record.
    """
    if live is None or last is None or last.live in (None, live.version):
        return None
    proofs = [config.proven for config in configs if config.version == last.live]
    withdrawn = bool(proofs) and not any(proofs)
    return last.live if withdrawn and any(config.config == live.config for config in configs) else None
