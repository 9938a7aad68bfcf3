"""What must hold after a kill, and after the same command was run again: facts written down here, not asked of the product.

Not here: how a command is killed (``runs``), and what stands (``world``).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from world import BUCKET, GROUP, KINDS, PRODUCER, REGION, State, canonical

Triple = tuple[str, str, str]  # principal, action, resource
_SAGEMAKER = f"arn:aws:sagemaker:{REGION}:{PRODUCER}"
# README, "What is granted": the preset least-privilege, with all versions in one folder of the group's name.
_GRANTED = {
    "group": [
        ("sagemaker:DescribeModelPackageGroup", f"{_SAGEMAKER}:model-package-group/{GROUP}"),
        ("sagemaker:ListModelPackages", f"{_SAGEMAKER}:model-package-group/{GROUP}"),
        ("sagemaker:CreateModel", f"{_SAGEMAKER}:model-package/{GROUP}/*"),
        ("sagemaker:DescribeModelPackage", f"{_SAGEMAKER}:model-package/{GROUP}/*"),
        ("sagemaker:ListModelPackages", f"{_SAGEMAKER}:model-package/{GROUP}/*"),
    ],
    "repository": [
        ("ecr:BatchCheckLayerAvailability", "itself"),
        ("ecr:BatchGetImage", "itself"),
        ("ecr:GetDownloadUrlForLayer", "itself"),
    ],
    "bucket": [
        ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/models/{GROUP}/*"),
        ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/releases/{GROUP}/*"),
        ("s3:ListBucket", f"arn:aws:s3:::{BUCKET}"),
    ],
    "key": [("kms:Decrypt", "*"), ("kms:DescribeKey", "*")],
}


@dataclass(frozen=True)
class Promise:
    """What a command promises.

    Args:
        accounts: that are granted everything when it is done; all others nothing.
        record: what the one new record says of ``staging``: kind, version, version before, version after; None for no record.
    """

    accounts: frozenset[str]
    record: tuple[str, int, int | None, int] | None = None


def granted(text: str | None, strangers: Mapping[str, Any] | None) -> set[Triple]:
    """Whom a policy lets in to what, what was there from the beginning apart."""
    before = {
        json.dumps(one, sort_keys=True) for one in _statements(canonical(strangers and dict(strangers)))
    }
    return {
        triple
        for one in _statements(text)
        if json.dumps(one, sort_keys=True) not in before
        for triple in _triples(one)
    }


def _statements(text: str | None) -> list[Any]:
    return json.loads(text) if text else []


def _triples(statement: Mapping[str, Any]) -> Iterator[Triple]:
    principal = statement["Principal"]
    named = (
        principal if isinstance(principal, str) else [one for of in principal.values() for one in _each(of)]
    )
    for who in _each(named):
        for action in _each(statement["Action"]):
            for resource in _each(statement.get("Resource", "itself")):
                yield who, action, resource


def _each(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def promised(kind: str, accounts: Collection[str]) -> set[Triple]:
    """Whom the policy of a kind lets in to what, when these accounts are served."""
    return {
        (f"arn:aws:iam::{account}:root", action, resource)
        for account in accounts
        for action, resource in _GRANTED[kind]
    }


def after_a_kill(
    documents: Mapping[str, str | None],
    start: State,
    end: State,
    strangers: Mapping[str, Any],
    named: Collection[str],
) -> Iterator[str]:
    """What is wrong right after a kill: each policy must be the old one or the new one, and let in whom the config names.

    Args:
        documents: the policies now.
        start: what stood before the command.
        end: what stands after an undisturbed one.
        strangers: the policies from before anything was shared, by kind.
        named: the accounts that the config names.
    """
    for kind in KINDS:
        if documents[kind] not in (start.documents[kind], end.documents[kind]):
            yield f"the {kind} policy is neither the old one nor the new one: {documents[kind]}"
        allowed = promised(kind, named)
        found = granted(documents[kind], strangers[kind])
        if too_much := {one for one in found if not any(_within(one, other) for other in allowed)}:
            yield f"the {kind} policy grants what the config does not: {sorted(too_much)}"
        yield from _lost(kind, documents[kind], strangers[kind])


def _within(one: Triple, other: Triple) -> bool:
    """Whether a grant is another one, or a part of it: of a resource that the other's pattern fits."""
    return one[:2] == other[:2] and fnmatchcase(one[2], other[2])


def _lost(kind: str, text: str | None, strangers: Mapping[str, Any]) -> Iterator[str]:
    now = [json.dumps(one, sort_keys=True) for one in _statements(text)]
    for one in _statements(canonical(dict(strangers))):
        if now.count(json.dumps(one, sort_keys=True)) != 1:
            yield f"the {kind} policy has lost a stranger's statement: {one}"


def at_the_end(
    now: State, start: State, end: State, strangers: Mapping[str, Any], promise: Promise
) -> Iterator[str]:
    """What is wrong once the command was run again; arguments as for `after_a_kill`, and what it promises."""
    yield from broken(now, start, strangers, promise)
    for kind in KINDS:
        if now.documents[kind] != end.documents[kind]:
            yield f"the {kind} policy is not what an undisturbed run leaves: {now.documents[kind]}"
    if now.releases != end.releases:
        yield f"the Releases are not those of an undisturbed run: {_versions(now)}, not {_versions(end)}"
    yield from _hosting(now, end)


def broken(now: State, start: State, strangers: Mapping[str, Any], promise: Promise) -> Iterator[str]:
    """What of a promise is broken, whatever an undisturbed run would have left; arguments as for `at_the_end`."""
    for kind in KINDS:
        found, wanted = (
            granted(now.documents[kind], strangers[kind]),
            promised(kind, promise.accounts),
        )
        if found != wanted:
            yield f"the {kind} policy grants {sorted(found - wanted)} too much, and lacks {sorted(wanted - found)}"
        yield from _lost(kind, now.documents[kind], strangers[kind])
    for key, count in _versions(now).items():
        if count != 1:
            yield f"{key} was written {count} times"
    yield from _records(now.records[len(start.records) :], promise)


def _versions(state: State) -> dict[str, int]:
    return {key: len(found) for key, found in state.releases.items()}


def _hosting(now: State, end: State) -> Iterator[str]:
    for account, kinds in end.hosted.items():
        for kind, wanted in kinds.items():
            found = now.hosted[account][kind]
            for name in sorted(found.keys() | wanted.keys()):
                if found.get(name) != wanted.get(name):
                    yield f"{account} has in {kind} {name}: {found.get(name)}, not {wanted.get(name)}"
    if now.processes != end.processes:
        yield f"{now.processes} inference processes run, not {end.processes}"


def _records(new: Sequence[Mapping[str, Any]], promise: Promise) -> Iterator[str]:
    told = [
        (
            record["kind"],
            record["outcome"],
            record["version"],
            one["consumer"],
            one["result"],
            one["before"],
            one["live"],
        )
        for record in new
        for one in record["consumers"]
    ]
    if promise.record is None:
        if new:
            yield f"there is a record, of {told}"
        return
    kind, version, before, after = promise.record
    moved = (kind, "succeeded", version, "staging", "promoted", before, after)
    # A run that found the work of a dead one done may say so: then it changed nothing itself.
    found = (kind, "succeeded", version, "staging", "unchanged", after, after)
    if told not in ([moved], [found] if kind == "promotion" else [moved]):
        yield f"the history says {told or 'nothing'}, not that one {kind} moved staging from {before} to {after}"
