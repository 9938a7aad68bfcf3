"""What was opened before, as the Releases say it: also a key that an artifact has since left, and what no shared version needs.

It only reads. Not here: what the shared versions need now (``gather``), and who loses what (``plan``).

Source: UpdateObjectEncryption in the S3 API reference (an object's key changes in place); ListKeys in the AWS KMS API reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from botocore.exceptions import ClientError

from crossaccount import parallel
from crossaccount.arns import group_arn
from crossaccount.aws.access import Producer
from crossaccount.doors import door_named, is_missing, read_policy
from crossaccount.doors.base import Resource
from crossaccount.doors.key import KEY
from crossaccount.errors import Finding, Severity
from crossaccount.policy.documents import Document, expires, is_owned, statements
from crossaccount.release import store
from crossaccount.release.manifest import Release
from crossaccount.sharing.obstacles import ask, ask_all


@dataclass(frozen=True)
class Opened:
    """The Releases that can be read, by their versions' numbers, and the findings about those that cannot.

    ``keys`` are the ARNs of the KMS keys that the Releases themselves are encrypted under, of those that are. ``listed`` are the
    versions that have a Release, readable or not, and None where that could not be asked; ``region`` is that of their bucket, empty
    where S3 did not tell it.
    """

    releases: Mapping[int, Release]
    findings: tuple[Finding, ...] = ()
    keys: Mapping[int, str] = field(default_factory=dict)
    listed: frozenset[int] | None = None
    region: str = ""

    def resources(self, account: str) -> dict[Resource, list[int]]:
        """The resources of an account that they say were opened, each with the versions that it was opened for."""
        found: dict[Resource, list[int]] = {}
        for number, release in sorted(self.releases.items()):
            for grant in release.grants:
                if (door := door_named(grant.door)) is not None:
                    found.setdefault(Resource(door.kind, grant.resource, account), []).append(number)
            key = self.keys.get(number, "")
            if key.split(":")[4:5] == [account]:
                numbers = found.setdefault(Resource(KEY.kind, key, account), [])
                numbers += [] if number in numbers else [number]
        return found


def read_opened(producer: Producer) -> Opened:
    """Every Release of the group; a finding for each that cannot be read: what it opened cannot be told."""
    where = f"Releases at {producer.config.producer.releases}"
    try:
        listing = ask(where, partial(store.list_releases, producer))
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("AccessDenied", "403"):
            raise
        text = "They may not be listed, so what was opened before and is needed no more cannot be told."
        way_out = producer.way_out(error, "Allow s3:ListBucket there.")
        return Opened({}, (Finding(Severity.WARNING, where, text, way_out),))
    if isinstance(listing, Finding):
        return Opened({}, (_doubt(listing),))
    numbers, region = sorted(listing[0]), listing[1]
    questions = {
        number: (f"Release of version {number}", partial(store.read_stored, producer, number))
        for number in numbers
    }
    stored, findings = ask_all(questions, producer)
    releases = {number: each.release for number, each in stored.items()}
    keys = {number: each.key for number, each in stored.items() if each.key}
    return Opened(releases, tuple(map(_doubt, findings)), keys, frozenset(numbers), region)


def _doubt(finding: Finding) -> Finding:
    text = f"{finding.text} What it opened cannot be told."
    return Finding(Severity.WARNING, finding.subject, text, finding.way_out)


def find_stale(
    producer: Producer, opened: Opened, needed: Iterable[Resource], shared: Iterable[int], now: datetime
) -> tuple[dict[Resource, Document | None], list[Finding]]:
    """The policies of resources that were opened before, still have our statement, and that no shared version needs.

    Args:
        producer: the producer's account.
        opened: what the Releases say.
        needed: the resources that the shared versions need.
        shared: the numbers of those versions.
        now: a statement that has expired by then lets nobody in.

    Returns:
        The policies, and a finding about each: a warning where a version is shared that no longer needs it, a note where none is.
    """
    before = opened.resources(producer.account)
    left = [resource for resource in before if resource not in set(needed)]
    policies, findings = ask_all({each: (str(each), partial(_policy_of, producer, each)) for each in left})
    group, numbers = group_arn(producer.config), set(shared)
    stale: dict[Resource, Document | None] = {}
    for resource, policy in policies.items():
        if isinstance(policy, Finding):
            findings.append(policy)
        elif any(is_owned(each, group) and not _has_ended(each, now) for each in statements(policy)):
            stale[resource] = policy
            findings.append(_stale(resource, before[resource], numbers))
    return stale, findings


def _policy_of(producer: Producer, resource: Resource) -> Document | Finding | None:
    """The policy as it stands, None for a resource that is gone; a finding where the producer may not read it."""
    try:
        return read_policy(producer, resource)[0]
    except ClientError as error:
        if is_missing(error):
            return None
        if error.response["Error"]["Code"] not in ("AccessDenied", "AccessDeniedException", "403"):
            raise
        return Finding(
            Severity.WARNING,
            f"policy of {resource}",
            "It was opened before, and may not be read now: whether our statement is still in it cannot be told.",
            producer.way_out(error, "Allow its policy to be read, then run this again."),
        )


def _has_ended(statement: Mapping[str, object], now: datetime) -> bool:
    ends = expires(statement)
    return ends is not None and ends <= now


def _stale(resource: Resource, opened_for: list[int], shared: set[int]) -> Finding:
    versions = ", ".join(map(str, opened_for))
    return Finding(
        Severity.WARNING if set(opened_for) & shared else Severity.NOTE,
        f"policy of {resource}",
        f"It has our statement, and nothing that is shared needs it any more: it was opened for version {versions}.",
        "Once no endpoint needs it either: crossaccount share CONFIG --prune takes it out, and so does crossaccount revoke.",
    )


def find_between(
    producer: Producer, known: Iterable[Resource]
) -> tuple[dict[Resource, Document | None], list[Finding]]:
    """The policies of further keys of the producer that have our statement: of artifacts whose keys have changed more than once.

    Args:
        producer: the producer's account.
        known: the keys that were looked at already.
    """
    names = {resource.name for resource in known}
    unknown = Finding(
        Severity.WARNING,
        f"keys of account {producer.account}",
        "The keys of artifacts have changed since their versions were published. Keys that they had in between stand in no Release, and "
        "may not be looked for: whether our statement is still in one of them cannot be told.",
        "Allow kms:ListKeys and kms:GetKeyPolicy, then run this again.",
    )
    try:
        pages = producer.kms.get_paginator("list_keys").paginate()
        arns = [entry["KeyArn"] for page in pages for entry in page["Keys"]]
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        return {}, [replace(unknown, way_out=producer.way_out(error, unknown.way_out))]
    others = [Resource(KEY.kind, arn, producer.account) for arn in arns if arn not in names]
    policies = parallel.run_all(
        [partial(ask, str(each), partial(_policy_of, producer, each)) for each in others]
    )
    group, refused = group_arn(producer.config), False
    found: dict[Resource, Document | None] = {}
    for resource, policy in zip(others, policies, strict=True):
        if isinstance(policy, Finding):
            refused = True
        elif any(is_owned(each, group) for each in statements(policy)):
            found[resource] = policy
    return found, [unknown] if refused else []
