"""A revocation: one consumer's access, one account's, one version, or everything; and the plan of it.

Not here: the documents without it (``plan``, ``policies``), and who still uses it (``usage``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from crossaccount import doors, packages, parallel, plan, release, usage
from crossaccount.aws.access import producing
from crossaccount.doors import Needs
from crossaccount.doors.base import Resource
from crossaccount.errors import Failed, Finding, InputError, Severity
from crossaccount.gather import Gathered, existing_policies
from crossaccount.sharing.artifacts import observe_all
from crossaccount.sharing.obstacles import noting

if TYPE_CHECKING:
    from crossaccount.aws.access import Producer
    from crossaccount.config.model import Sharing
    from crossaccount.packages import ModelVersion
    from crossaccount.plan import Plan


@dataclass(frozen=True)
class Revocation:
    """``leaving`` are the accounts that lose access, None for everyone; ``version`` is the one that they lose, None for all."""

    subject: str
    leaving: frozenset[str] | None
    version: int | None = None

    def __str__(self) -> str:
        """For messages."""
        return self.subject


def chosen(
    sharing: Sharing,
    consumer: str | None = None,
    account: str | None = None,
    version: int | None = None,
    everything: bool = False,
) -> Revocation:
    """The revocation of the one thing that is given.

    Raises:
        InputError: when none or several are given, or the config does not have it.
    """
    given = [consumer is not None, account is not None, version is not None, everything]
    if sum(given) != 1:
        raise InputError("Say what to take back: one of --consumer NAME, --account ID, --version N, --all.")
    if consumer is not None:
        sharing.consumer(consumer)
        return Revocation(f"consumer {consumer}", plan.accounts_of(sharing, consumer))
    if account is not None:
        if not re.fullmatch(r"\d{12}", account):
            raise InputError(f"{account!r} is not an AWS account id. Write its 12 digits.")
        return Revocation(f"account {account}", frozenset({account}))
    if version is not None:
        plan.without_version(sharing, version)
        return Revocation(f"version {version}", None, version)
    return Revocation("everything", None)


def gather(producer: Producer) -> Gathered:
    """Read everything that a revoke needs to know: whatever any version, approved or not, there now or once, may have opened.

    An artifact, a bucket or a repository that is gone is passed over: there is nothing to take back.
    """
    config = producer.config
    arns = packages.list_versions(producer.sagemaker, config.model_package_group)
    described = parallel.run_all([partial(_shareable, producer, arn) for arn in arns])
    versions = tuple(version for shareable in described for version in shareable)
    passed: list[Finding] = []
    observed = observe_all(producer, packages.contents(versions).artifacts, passed)
    keys = [artifact.key for artifact in observed.values()]
    needs = doors.needs(config, packages.contents(versions, keys))
    known = [
        version.version
        for version in versions
        if all(artifact.uri in observed for artifact in packages.contents([version]).artifacts)
    ]
    unread: list[Finding] = []
    with noting(unread, f"Releases at {config.producer.releases}"):
        needs = _with(needs, release.opened(producer, known))
    doubts = tuple(replace(finding, severity=Severity.WARNING) for finding in unread)
    existing = existing_policies(producer, doors.resources(config, needs), passed)
    return Gathered(versions, needs, observed, {}, existing, doubts, datetime.now(UTC))


def _with(needs: Needs, opened: Iterable[Resource]) -> Needs:
    """The needs, and further resources that no version is known to need any more."""
    further: dict[str, dict[str, tuple[str, ...]]] = {kind: dict(names) for kind, names in needs.items()}
    for resource in opened:
        further[resource.kind].setdefault(resource.name, ())
    return further


def _shareable(producer: Producer, arn: str) -> tuple[ModelVersion, ...]:
    """The version, or nothing for one that a share would have refused: it opened nothing."""
    try:
        version = packages.describe_version(producer.sagemaker, arn)
        doors.needs(producer.config, packages.contents([version]))
    except Failed:
        return ()
    return (version,)


def planned(
    sharing: Sharing, gathered: Gathered, revocation: Revocation, used: Iterable[Finding] = ()
) -> Plan:
    """The plan of a revocation, from what was gathered; raises as `plan.revoke_plan` does."""
    findings = [*gathered.findings, *used]
    if revocation.version is None:
        return plan.revoke_plan(
            sharing, gathered.needs, gathered.existing, revocation.leaving, gathered.now, findings
        )
    left = plan.without_version(sharing, revocation.version)
    staying = [version for version in gathered.versions if version.version in left.versions]
    artifacts = packages.contents(staying).artifacts
    keys = [gathered.observed[each.uri].key for each in artifacts if each.uri in gathered.observed]
    needs = doors.needs(left, packages.contents(staying, keys))
    return plan.narrow_plan(left, needs, gathered.existing, gathered.now, findings)


def make_plan(sharing: Sharing, revocation: Revocation, force: bool = False) -> Plan:
    """Read, then plan; raises as `gather` and `planned` do, and `Refused` when AWS refuses to be read."""
    with producing(sharing) as producer:
        gathered = gather(producer)
    used = usage.findings(sharing, revocation.leaving, revocation.version, force)
    return planned(sharing, gathered, revocation, used)
