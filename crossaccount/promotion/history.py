"""The history of promotions and rollbacks, from the records: the last move of an endpoint, and who is held from a version.

Not here: reading and writing the records (``records``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossaccount.hosting.state import LiveEndpoint, VersionConfig
from crossaccount.promotion.outcome import Result
from crossaccount.promotion.records import Record


def rolled_back_from(records: Iterable[Record], version: int) -> dict[str, str]:
    """The consumers that were rolled back from this version and have not been promoted to any since, and why.

    A further rollback, from the version that the first one went back to, does not let this version in again.

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
                or (record.version == version and _was_found(record, part))
            ):
                continue
            if record.kind == "promotion" or part.get("before") == version:
                settled.add(name)
            if record.kind == "rollback" and part.get("before") == version:
                when = record.started.strftime("%Y-%m-%d %H:%MZ")
                reasons[name] = (
                    f"It was rolled back from version {version} at {when}: {record.reason.rstrip('.')}. To promote it there again, name the version."
                )
    return reasons


def _was_found(record: Record, part: Mapping[str, Any]) -> bool:
    """Whether a promotion found the endpoint at its version: a run that died had moved it there, off the record."""
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
    """The last move of a consumer's endpoint on record; None when there is none.

    Args:
        records: of earlier promotions and rollbacks, the newest first.
        name: the consumer.
    """
    for record in records:
        for part in record.consumers:
            arrived = part.get("result") == Result.PROMOTED or _was_found(record, part)
            if arrived and part.get("consumer") == name:
                return Move(record.kind, record.reason, part.get("before"), part.get("live"))
    return None


def is_rolled_back(live: LiveEndpoint | None, last: Move | None, version: int | None, reason: str) -> bool:
    """Whether this rollback is on record already: its run died after that, or somebody asks twice.

    Another reason makes it another rollback.

    Args:
        live: the endpoint.
        last: the last move on record.
        version: the one to go back to; None is the version before.
        reason: of the rollback.
    """
    if live is None or last is None or (last.kind, last.reason) != ("rollback", reason):
        return False
    at_rest = live.status == "InService" and live.proven is not None and live.version is not None
    return at_rest and live.version == last.live and version in (None, last.live)


def unrecorded_rollback(
    live: LiveEndpoint | None, configs: Sequence[VersionConfig], last: Move | None
) -> int | None:
    """The version that a rollback whose run died has moved the endpoint away from, off the record; else None.

    It is the last version on record, and its endpoint configs have lost their proof: a rollback begins with that.

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
