"""A revocation: one consumer's access, one account's, one version, or everything; and the plan of it.

Not here: the documents without it (``plan``, ``policies``), and who still uses it (``usage``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crossaccount import config, doors, gather, packages, plan, usage
from crossaccount.aws.access import producing
from crossaccount.errors import Finding, InputError
from crossaccount.gather import Gathered

if TYPE_CHECKING:
    from crossaccount.config import Sharing
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
        config.consumer(sharing, consumer)
        return Revocation(f"consumer {consumer}", plan.accounts_of(sharing, consumer))
    if account is not None:
        if not re.fullmatch(r"\d{12}", account):
            raise InputError(f"{account!r} is not an AWS account id. Write its 12 digits.")
        return Revocation(f"account {account}", frozenset({account}))
    if version is not None:
        plan.without_version(sharing, version)
        return Revocation(f"version {version}", None, version)
    return Revocation("everything", None)


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
    """Read, then plan; raises as `gather.gather_for_revoke` and `planned` do, and `Refused` when AWS refuses to be read."""
    with producing(sharing) as producer:
        gathered = gather.gather_for_revoke(producer)
    used = usage.findings(sharing, revocation.leaving, revocation.version, force)
    return planned(sharing, gathered, revocation, used)
