"""The dashboard of a group: what its flows saw last of each consumer, each part with its time, and its page.

A part is one fact with the time at which a run saw it. Two boards are merged part by part, and of the same part the newer one
stays: so two runs that write at once lose nothing for good, and a part that a run cannot see stays as it was. The page carries
its parts in a comment, which no browser shows. Not here: who sees what, and where the page is kept (``tasks.dashboard``).
"""

import base64
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from crossaccount.arns import console_url
from crossaccount.show import charts
from crossaccount.show.markdown import cell, wrapped

_COMMENT = re.compile(r"<!-- crossaccount:([A-Za-z0-9+/=]+) -->")
_MOST_BYTES = 4_000_000  # of parts that are read from a page
_FORGOTTEN = timedelta(days=90)  # a part that no run has seen for so long
_MOST_MOVES = 40  # moves in the picture of latencies
_OUTDATED = "outdated"  # in place of a try at a door that was shut since
_SHOWN_MOVES = 10  # in the table below it
MARKS = {"yes": "yes", "no": "**no**", "granted": "granted, not tried", "cannot tell": "cannot tell"}


class Part(BaseModel):
    """One fact: ``seen`` is when, ``run`` the id of the flow run that saw it, ``facts`` plain data."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    seen: AwareDatetime
    run: str = Field("", pattern=r"^[a-f0-9-]{0,36}$")
    facts: dict[str, Any] = {}


# The parts of a group, by their place: SUBJECT/KIND or SUBJECT/KIND/DETAIL; see `tasks.dashboard`.
Board = Mapping[str, Part]


def key_of(group: str) -> str:
    """The key of a group's page: lower case letters, digits and dashes.

    Capitals of the name are told by a number whose bits are their places; it ends in a dash, which no group's name does. So two
    names never have one key.
    """
    capitals = sum(1 << place for place, letter in enumerate(group) if letter.isupper())
    return f"crossaccount-{group.lower()}" + (f"-{capitals:x}-" if capitals else "")


def merged(boards: Iterable[Board], now: datetime) -> dict[str, Part]:
    """The newest of each part; what no run has seen for 90 days is forgotten, and so is all but the last 40 moves.

    A try at a door that was seen shut since is outdated: once the door is opened again, it must be tried again.
    """
    newest: dict[str, Part] = {}
    for board in boards:
        for place, part in board.items():
            if place not in newest or part.seen > newest[place].seen:
                newest[place] = part
    kept = {place: part for place, part in newest.items() if part.seen > now - _FORGOTTEN}
    for place, part in kept.items():
        subject, _, door = place.partition("/door/")
        shut = kept.get(f"{subject.partition('@')[2]}/door/{door}") if "@" in subject else None
        if shut and shut.facts.get("verdict") == "no" and shut.seen > part.seen:
            kept[place] = Part(seen=shut.seen, run=shut.run, facts={"verdict": _OUTDATED})
    moves = sorted((place for place in kept if place.startswith("move/")), key=lambda place: kept[place].seen)
    return {place: part for place, part in kept.items() if place not in moves[:-_MOST_MOVES]}


def hidden(boards: Mapping[str, Board]) -> str:
    """Boards by the ARN of their group, as a comment that goes into a page."""
    data = {
        arn: {place: part.model_dump(mode="json") for place, part in board.items()}
        for arn, board in boards.items()
    }
    packed = base64.b64encode(zlib.compress(json.dumps(data).encode())).decode()
    return f"<!-- crossaccount:{packed} -->"


def read(page: str) -> dict[str, dict[str, Part]]:
    """The boards that a page carries, by the ARN of their group; none of a page that carries none, or that was tampered with."""
    found = _COMMENT.search(page)
    if found is None:
        return {}
    try:
        unpacking = zlib.decompressobj()
        text = unpacking.decompress(base64.b64decode(found[1], validate=True), _MOST_BYTES)
        data = json.loads(text) if unpacking.eof else {}
        return {
            str(arn): {str(place): Part.model_validate(part) for place, part in board.items()}
            for arn, board in data.items()
        }
    except (ValueError, AttributeError, RecursionError, zlib.error):
        return {}


def door_verdict(tried: Part | None, documents: Part | None) -> tuple[str, str]:
    """Whether a consumer passes a door, and why, from its own try and from what the policy was seen to say.

    The newer of the two counts. A policy alone is no yes: whoever has not tried since it was opened is granted it.
    """
    if tried is not None and tried.facts.get("verdict") == _OUTDATED:
        tried = None
    if tried is None and documents is None:
        return "cannot tell", "not looked at"
    newer = max((each for each in (tried, documents) if each), key=lambda each: each.seen)
    verdict, reason = str(newer.facts.get("verdict")), str(newer.facts.get("reason", ""))
    if newer is not tried and verdict in ("yes", "granted"):
        if tried is not None and tried.facts.get("verdict") == "yes":
            return "yes", str(tried.facts.get("reason", ""))
        return "granted", reason
    return (verdict, reason) if verdict in MARKS else ("cannot tell", reason)


class _Rows:
    """The parts of one group's board, for its page."""

    def __init__(self, arn: str, board: Board, now: datetime) -> None:
        self.arn, self.board, self.now = arn, board, now
        _, self.partition, _, self.region, *_ = [*arn.split(":"), "", "", "", ""]
        self.consumers = sorted(
            {subject for place in board for subject, _, _ in [place.partition("/")] if "@" in subject},
            key=lambda subject: (self.fact(subject, "config", "stage", 1), subject),
        )

    def fact(self, subject: str, kind: str, name: str, default: Any = None) -> Any:
        part = self.board.get(f"{subject}/{kind}")
        return default if part is None else part.facts.get(name, default)

    def doors(self, subject: str) -> dict[str, tuple[Part | None, Part | None]]:
        """By door and resource: the consumer's own try, and what the policy says to its account."""
        _, account = subject.split("@", 1)
        found: dict[str, tuple[Part | None, Part | None]] = {}
        for owner, at in ((subject, 0), (account, 1)):
            start = f"{owner}/door/"
            for place in sorted(each for each in self.board if each.startswith(start)):
                door = place.removeprefix(start)
                both = list(found.get(door, (None, None)))
                both[at] = self.board[place]
                found[door] = (both[0], both[1])
        return found

    def expires(self, subject: str) -> datetime | None:
        """When a consumer's grant expires, or has expired."""
        text = self.fact(subject, "config", "expires")
        return datetime.fromisoformat(str(text)) if text else None

    def has_expired(self, subject: str) -> bool:
        """Whether its grant has: whatever was seen of its doors before, they are shut."""
        moment = self.expires(subject)
        return moment is not None and moment <= self.now

    def access(self, subject: str) -> str:
        """The verdict over all doors, and what is shut."""
        if self.has_expired(subject):
            return f"{MARKS['no']}: the grant has expired"
        verdicts = {
            door: door_verdict(tried, documents)[0]
            for door, (tried, documents) in self.doors(subject).items()
        }
        for verdict in ("no", "cannot tell", "granted"):
            doors = [door.partition(" ")[0] for door, each in verdicts.items() if each == verdict]
            if doors and (verdict != "granted" or len(doors) == len(verdicts)):
                named = f": {', '.join(dict.fromkeys(doors))}" if verdict != "granted" else ""
                return f"{MARKS[verdict]}{named}"
        if "granted" in verdicts.values():
            return "yes, in part not tried"
        return "yes" if verdicts else "not known"


def when(moment: datetime) -> str:
    """An instant for a person, in UTC, to the minute."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")


def named(subject: str) -> str:
    """NAME (ACCOUNT), of a consumer's subject."""
    name, _, account = subject.partition("@")
    return f"{name} ({account})"


def run_link(text: str, run: str) -> str:
    """A link to a flow run, as seen from an artifact's or a run's page of Prefect's UI; the text alone without a run."""
    return f"[{text}](../../runs/flow-run/{run})" if run else text


def page(boards: Mapping[str, Board], now: datetime) -> str:
    """The page of all boards under one key, with their parts in a comment."""
    sections = [_section(_Rows(arn, board, now), now) for arn, board in sorted(boards.items())]
    return "\n\n".join([*sections, hidden(boards)])


def _section(rows: _Rows, now: datetime) -> str:
    group = rows.arn.rpartition("/")[2]
    head = [f"# {group}", f"`{rows.arn}`", f"Written {when(now)}. Each entry says when it was seen."]
    table = ["| consumer | live | proved | access |", "|---|---|---|---|"]
    table += [
        f"| {named(subject)} | {_live(rows, subject)} | {_proved(rows, subject)} | {rows.access(subject)}{_seen_access(rows, subject)} |"
        for subject in rows.consumers
    ]
    if not rows.consumers:
        table = ["No run has looked at a consumer yet."]
    blocks = [*head, "\n".join(table), *_facts(rows, now), *_doors(rows), *_moves(rows)]
    return "\n\n".join(blocks)


def _live(rows: _Rows, subject: str) -> str:
    lines = []
    if live := rows.board.get(f"{subject}/live"):
        version = live.facts.get("version")
        text = f"**version {version}**" if version is not None else "none of this group"
        name = str(live.facts.get("endpoint", ""))
        arn = f"arn:{rows.partition}:sagemaker:{rows.region}:{subject.partition('@')[2]}:endpoint/{name}"
        url = console_url(arn) if version is not None and name else None
        lines.append(f"{text}{f' ([endpoint]({url}))' if url else ''}")
        lines.append(run_link(when(live.seen), live.run))
    last = rows.board.get(f"{subject}/result")
    if last and last.facts.get("result") not in ("promoted", "unchanged"):
        what = f"{last.facts.get('result')}: version {last.facts.get('version')}"
        lines.append(f"**{what}**, {run_link(when(last.seen), last.run)}")
    for place in sorted(each for each in rows.board if each.startswith(f"{subject}/kept/")):
        kept = rows.board[place]
        lines.append(f"also kept: {wrapped(place.rpartition('/')[2])}, {run_link(when(kept.seen), kept.run)}")
    return "<br>".join(lines) or "not known"


def _proved(rows: _Rows, subject: str) -> str:
    proved = rows.board.get(f"{subject}/proved")
    if proved is None:
        return "not known"
    speed = f", median {proved.facts['median_ms']:.0f} ms" if "median_ms" in proved.facts else ""
    return f"version {proved.facts.get('version')}{speed}<br>{run_link(when(proved.seen), proved.run)}"


def _seen_access(rows: _Rows, subject: str) -> str:
    parts = [part for both in rows.doors(subject).values() for part in both if part]
    if not parts:
        return ""
    newest = max(parts, key=lambda part: part.seen)
    return f"<br>{run_link(when(newest.seen), newest.run)}"


def _facts(rows: _Rows, now: datetime) -> list[str]:
    lines = []
    if shared := rows.board.get("group/shared"):
        versions = ", ".join(map(str, shared.facts.get("versions", []))) or "none"
        lines.append(f"- **Shared versions:** {versions} ({run_link(when(shared.seen), shared.run)})")
    lines.append(f"- **Next expiry:** {_expiry(rows, now)}")
    if moved := rows.board.get("group/moved"):
        facts = moved.facts
        why = f" because {cell(str(facts['reason']), 300)}" if facts.get("reason") else ""
        what = f"{facts.get('kind')} of version {facts.get('version')}: {facts.get('outcome')}"
        lines.append(f"- **Last promotion:** {run_link(what, moved.run)}, {when(moved.seen)}{why}")
    else:
        lines.append("- **Last promotion:** not known")
    return ["\n".join(lines)]


def _expiry(rows: _Rows, now: datetime) -> str:
    known = [subject for subject in rows.consumers if f"{subject}/config" in rows.board]
    dated = [(moment, subject) for subject in known if (moment := rows.expires(subject)) is not None]
    ahead = sorted(each for each in dated if each[0] > now)
    past = sorted(each for each in dated if each[0] <= now)
    lines = [
        f"{named(subject)} on {when(moment)}, in {(moment - now).days} days" for moment, subject in ahead[:1]
    ]
    lines += [f"**{named(subject)} has expired** on {when(moment)}" for moment, subject in past]
    return "; ".join(lines) or ("no grant expires" if known else "not known")


def _doors(rows: _Rows) -> list[str]:
    blocks = ["## Access, door by door"] if rows.consumers else []
    for subject in rows.consumers:
        doors = rows.doors(subject)
        lines = ["| door | access | the consumer tried | the policy was seen |", "|---|---|---|---|"]
        for door, (tried, documents) in doors.items():
            kind, _, resource = door.partition(" ")
            verdict, reason = door_verdict(tried, documents)
            if rows.has_expired(subject):
                verdict, reason = "no", "the grant has expired"
            because = "" if verdict == "yes" else f"<br>{cell(reason, 300)}"
            lines.append(
                f"| {kind}<br>{wrapped(resource)} | {MARKS[verdict]}{because} | {_door_part(tried)} | {_door_part(documents)} |"
            )
        blocks += [f"### {named(subject)}", "\n".join(lines) if doors else "No run has looked yet."]
    return blocks


def _door_part(part: Part | None) -> str:
    if part is None:
        return "not yet"
    verdict = str(part.facts.get("verdict"))
    if verdict == _OUTDATED:
        return "not since it was shut"
    return f"{verdict if verdict in MARKS else 'cannot tell'}, {run_link(when(part.seen), part.run)}"


def _moves(rows: _Rows) -> list[str]:
    moves = sorted(
        (part for place, part in rows.board.items() if place.startswith("move/")), key=lambda part: part.seen
    )
    measured = [float(part.facts["median_ms"]) for part in moves if "median_ms" in part.facts]
    if not measured:
        return []
    lines = ["| when | consumer | version | median |", "|---|---|---|---|"]
    lines += [
        f"| {run_link(when(part.seen), part.run)} | {cell(str(part.facts.get('consumer')))} | {part.facts.get('version')} | {part.facts.get('median_ms', 0):.1f} ms |"
        for part in reversed(moves[-_SHOWN_MOVES:])
    ]
    return [
        "## Latency over the last promotions",
        "A column for each proof, the oldest first: the median of its answers.",
        charts.latencies(measured, {}, "proofs"),
        "\n".join(lines),
    ]
