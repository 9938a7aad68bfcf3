"""What is to be taken back: one consumer's access, one account's, one version, or everything; and the plan of it.

Not here: the documents without it (``plan``, ``policies``), and who still uses it (``usage``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crossaccount import gather, packages, plan, usage
from crossaccount.aws import sessions
from crossaccount.errors import Finding, InputError
from crossaccount.gather import Clients, Gathered

if TYPE_CHECKING:
    from crossaccount.config.model import Sharing
    from crossaccount.plan import Plan


@dataclass(frozen=True)
class Revocation:
    """``leaving`` are the accounts that lose access, None for everyone; ``version`` what they lose, None for all."""

    what: str
    leaving: frozenset[str] | None
    version: int | None = None

    def __str__(self) -> str:
        """For messages."""
        return self.what


def chosen(
    sharing: Sharing,
    consumer: str | None = None,
    account: str | None = None,
    version: int | None = None,
    everything: bool = False,
) -> Revocation:
    """What is meant, exactly one of these being given.

    Raises:
        InputError: for none or several, and for what the config does not have.
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


def planned(sharing: Sharing, found: Gathered, revocation: Revocation, used: Iterable[Finding] = ()) -> Plan:
    """The plan of it, from what was gathered; raises as `plan.revoke_plan` does."""
    findings = [*found.findings, *used]
    if revocation.version is None:
        return plan.revoke_plan(sharing, found.needs, found.existing, revocation.leaving, found.now, findings)
    left = plan.without_version(sharing, revocation.version)
    staying = [version for version in found.versions if version.version in left.versions]
    keys = {found.observed[a.uri].key for a in gather.artifacts_of(staying) if a.uri in found.observed}
    needs = packages.needs(left, staying)
    return plan.narrow_plan(left, gather.with_keys(needs, keys), found.existing, found.now, findings)


def make_plan(sharing: Sharing, revocation: Revocation, force: bool = False) -> Plan:
    """Read, then plan; raises as `gather.gather_for_revoke` and `planned` do, and `Refused` when AWS refuses to be read."""
    with gather.explained(sharing):
        found = gather.gather_for_revoke(
            Clients.of(sessions.producer_session(sharing), sharing.region), sharing
        )
    used = usage.findings(sharing, revocation.leaving, revocation.version, force)
    return planned(sharing, found, revocation, used)
