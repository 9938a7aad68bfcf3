"""The events that tell a person of what a run saw: Prefect's automations send them on (``flows/automations.yaml``).

The hourly check sees the same again and again: an alert is emitted once a day, or at once when it says something else. The
dashboard remembers which was emitted. Not here: an approval's event (``flows.approval``), and those of Prefect's own.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from prefect.events import emit_event

from crossaccount.config.model import Sharing
from crossaccount.show.dashboard import Part, when

ACCESS_MISSING, GRANT_EXPIRES = "crossaccount.access.missing", "crossaccount.grant.expiring"
_AHEAD = timedelta(days=14)
_AGAIN = timedelta(hours=23)  # less than a day: the check that comes a day later is the one that tells it


@dataclass(frozen=True)
class Alert:
    """An event for a person: ``place`` is the dashboard's part that remembers it, ``about`` what makes it another one."""

    event: str
    place: str
    resource: str
    text: str
    about: str

    def is_due(self, board: Mapping[str, Part], now: datetime) -> bool:
        """Whether it was not emitted within a day, as far as the dashboard knows."""
        known = board.get(self.place)
        return known is None or known.facts.get("about") != self.about or known.seen < now - _AGAIN

    def emit(self) -> None:
        """Emit it."""
        resource = {"prefect.resource.id": self.resource, "prefect.resource.name": self.text[:200]}
        emit_event(self.event, resource=resource, payload={"text": self.text})


def of_missing(sharing: Sharing, missing: Iterable[str]) -> Iterator[Alert]:
    """The alert of access that is missing; none where none is."""
    lines = sorted(missing)
    if lines:
        group = sharing.model_package_group
        text = f"{group}: access that the config promises is missing: {'; '.join(lines)}."
        yield Alert(
            ACCESS_MISSING, "alert/missing", _resource("access", sharing), text[:1000], " ".join(lines)
        )


def of_expiring(sharing: Sharing, wanted: Iterable[str]) -> Iterator[Alert]:
    """The alerts of grants that expire within 14 days, or that have expired in the last 14."""
    now = datetime.now(UTC)
    for name in wanted:
        consumer = sharing.consumers[name]
        if consumer.expires is None or abs(consumer.expires - now) > _AHEAD:
            continue
        verb = "expires" if consumer.expires > now else "has expired:"
        text = f"{sharing.model_package_group}: the grant of {name} ({consumer.account}) {verb} {when(consumer.expires)}."
        resource = _resource("grant", sharing, f".{name}")
        about = f"{verb} {consumer.expires.isoformat()}"
        yield Alert(GRANT_EXPIRES, f"alert/expiry {name}@{consumer.account}", resource, text, about)


def _resource(kind: str, sharing: Sharing, end: str = "") -> str:
    return f"crossaccount.{kind}.{sharing.producer.account}.{sharing.model_package_group}{end}"
