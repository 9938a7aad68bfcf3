"""Who wrote to what, and when, by the sandbox's log of calls: whether two writers ever met.

Not here: the log (``crossaccount_sandbox.guard``).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

_WRITES = ("Create", "Update", "Delete", "Put", "Set", "Add")
_DOCUMENTS = {  # the put of a policy, and the read that it is made from
    "SetRepositoryPolicy": "GetRepositoryPolicy",
    "PutBucketPolicy": "GetBucketPolicy",
    "PutKeyPolicy": "GetKeyPolicy",
    "PutModelPackageGroupPolicy": "GetModelPackageGroupPolicy",
}


@dataclass(frozen=True)
class Work:
    """What one session did to one thing, from its first call to its last, by the log's times."""

    of: str
    session: str
    first: str
    last: str


def read(log: Path) -> list[dict[str, str]]:
    """The calls that AWS answered, the oldest first."""
    found = [json.loads(line) for line in log.read_text().splitlines()]
    return sorted((one for one in found if one["status"] == 200), key=lambda one: str(one["time"]))


def on_endpoints(calls: list[dict[str, str]]) -> list[Work]:
    """The work of each run on the endpoint of its account, trial and all: from its first write to its last."""
    times: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in calls:
        deploys = one["service"] == "sagemaker" and "/crossaccount-deployer/" in one["caller"]
        if deploys and one["operation"].startswith(_WRITES):
            times[one["account"], one["session"]].append(one["time"])
    return [Work(account, session, min(found), max(found)) for (account, session), found in times.items()]


def on_documents(calls: list[dict[str, str]]) -> list[Work]:
    """The work on each policy that is shared: from the read that a put is made from to the put."""
    return list(_puts(calls))


def _puts(calls: list[dict[str, str]]) -> Iterator[Work]:
    reads: dict[tuple[str, str, str], str] = {}
    for one in calls:
        key = (one["operation"], one["session"], one["resource"])
        if one["operation"] in _DOCUMENTS.values():
            reads[key] = one["time"]
        elif read_by := _DOCUMENTS.get(one["operation"]):
            begun = reads.get((read_by, one["session"], one["resource"]), one["time"])
            yield Work(one["resource"], one["session"], begun, one["time"])


def overlaps(works: list[Work]) -> list[tuple[Work, Work]]:
    """Pairs of works on one thing by two sessions, of which the later began before the earlier had ended."""
    by_thing: dict[str, list[Work]] = defaultdict(list)
    for work in sorted(works, key=lambda one: one.first):
        by_thing[work.of].append(work)
    pairs = [pair for found in by_thing.values() for pair in pairwise(found)]
    return [(one, two) for one, two in pairs if one.session != two.session and two.first < one.last]
