"""A revocation: one consumer's access, one account's, one version, or everything; and the plan of it.

Not here: the documents without the access (``plan``), and who still uses it (``usage``).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from crossaccount import doors
from crossaccount.aws.access import Producer, producing
from crossaccount.config.choice import VersionRule
from crossaccount.config.model import Sharing
from crossaccount.errors import Failed, Finding, InputError, Severity, Unread
from crossaccount.registry.versions import ModelVersion, contents_of, describe_version, list_versions
from crossaccount.sharing import plan, usage
from crossaccount.sharing.artifacts import Observed, observe_all
from crossaccount.sharing.changes import Plan
from crossaccount.sharing.gather import Gathered, find_fault, read_policies
from crossaccount.sharing.obstacles import ask_all
from crossaccount.sharing.opened import Opened, find_between, read_opened
from crossaccount.sharing.specifications import narrowed


@dataclass(frozen=True)
class Revocation:
    """The accounts that lose access (``leaving``, None for everyone), and the version that they lose (None for all)."""

    subject: str
    leaving: frozenset[str] | None
    version: int | None = None

    def __str__(self) -> str:
        """For messages."""
        return self.subject


def choose(
    sharing: Sharing,
    consumer: str | None = None,
    account: str | None = None,
    version: int | None = None,
    everything: bool = False,
) -> Revocation:
    """The revocation of one consumer's, account's or version's access, or of everything.

    Raises:
        InputError: when it is not exactly one of them, or the config does not have it.
    """
    if [consumer is not None, account is not None, version is not None, everything].count(True) != 1:
        raise InputError(
            "Say what to take back: one of --consumer NAME, --account ID, --version N, --all (in a form: consumer, account, version, everything)."
        )
    if consumer is not None:
        sharing.consumer(consumer)
        return Revocation(f"consumer {consumer}", accounts_of(sharing, consumer))
    if account is not None:
        if not re.fullmatch(r"\d{12}", account):
            raise InputError(f"{account!r} is not an AWS account id. Write its 12 digits.")
        return Revocation(f"account {account}", frozenset({account}))
    if version is not None:
        without_version(sharing, version)
        return Revocation(f"version {version}", None, version)
    return Revocation("everything", None)


def gather(producer: Producer) -> Gathered:
    """Read everything that a revoke needs to know: whatever any version, approved or not, there now or once, may have opened.

    An artifact, a bucket or a repository that is gone is passed over: there is nothing to take back. One that AWS refuses to show
    is an error among the findings: whether something was opened there cannot be told.
    """
    config = producer.config
    arns = list_versions(producer.sagemaker, config.model_package_group)
    described, undescribed = ask_all(
        {arn: (arn, partial(_shareable, producer, arn)) for arn in arns}, producer
    )
    versions = tuple(version for version in described.values() if version is not None)
    observed, of_artifacts = observe_all(producer, contents_of(versions).artifacts)
    needs = doors.needs(
        config, contents_of(versions, [key for artifact in observed.values() for key in artifact.keys])
    )
    opened = read_opened(producer)
    released = opened.resources(producer.account)
    changed = _changed_keys(versions, observed, opened)
    for resource in released:  # some of them no version is known to need any more
        needs = {**needs, resource.kind: {resource.name: (), **needs[resource.kind]}}
    looked_at = doors.resources(config, needs)
    existing, of_policies = read_policies(producer, looked_at)
    between, of_between = find_between(producer, looked_at) if changed else ({}, [])
    existing |= between
    beside = doors.surroundings(producer, existing)
    # What stops a share need not stop a revoke: only what stops the writing does.
    notes = (
        each for found in beside.values() for each in found.findings if each.severity is not Severity.ERROR
    )
    unread = (each for each in (*undescribed, *of_artifacts, *of_policies) if isinstance(each, Unread))
    return Gathered(
        needs,
        existing,
        datetime.now(UTC),
        tuple(dict.fromkeys([*unread, *opened.findings, *of_between, *notes])),
        beside,
        versions=versions,
        observed=observed,
        digests={},
    )


def _changed_keys(versions: Iterable[ModelVersion], observed: Mapping[str, Observed], opened: Opened) -> bool:
    """Whether an artifact is under another key than those that its version's Release names: then there may have been further ones."""
    return any(
        key not in release.contents.keys
        for version in versions
        if (release := opened.releases.get(version.version)) is not None
        for artifact in contents_of([version]).artifacts
        if artifact.uri in observed
        for key in observed[artifact.uri].keys
    )


def _shareable(producer: Producer, arn: str) -> ModelVersion | None:
    """The version; None for one that a share would have refused: it opened nothing."""
    try:
        version = describe_version(producer.sagemaker, arn)
    except Failed:
        return None
    fault_of = partial(find_fault, producer.config)
    (version,) = narrowed([version], fault_of).versions
    return version if fault_of(version, contents_of([version])) is None else None


def plan_revocation(
    sharing: Sharing,
    gathered: Gathered,
    revocation: Revocation,
    users: Iterable[Finding] = (),
    force: bool = False,
) -> Plan:
    """The plan of a revocation, from what was gathered and found about users; raises as `plan.plan_revoke` does.

    What could not be read is an error. With ``force`` it is a warning, and the rest is taken back; not of one version, where what
    the others need must be known.
    """
    may_pass = revocation.version is None
    found = [
        _unread(each, may_pass, force) if isinstance(each, Unread) else each for each in gathered.findings
    ]
    basis = replace(gathered, findings=(*found, *users))
    if revocation.version is None:
        return replace(plan.plan_revoke(sharing, basis, revocation.leaving), takes_back=True)
    left = without_version(sharing, revocation.version)
    staying = [version for version in gathered.versions if version.version in (left.listed or ())]
    artifacts = contents_of(staying).artifacts
    keys = [
        key for each in artifacts if each.uri in gathered.observed for key in gathered.observed[each.uri].keys
    ]
    narrower = plan.plan_narrower(left, replace(basis, needs=doors.needs(left, contents_of(staying, keys))))
    return replace(narrower, takes_back=True)


def _unread(finding: Unread, may_pass: bool, force: bool) -> Unread:
    """The finding as a revoke says it, once ``force`` is given a warning where that ``may_pass``."""
    text = f"{finding.text} Whether a statement of ours stays in force there cannot be told."
    if may_pass and force:
        return replace(finding, severity=Severity.WARNING, text=text)
    more = " Or add --force (force in a form): the rest is then taken back." if may_pass else ""
    return replace(finding, text=text, way_out=f"{finding.way_out}{more}")


def make_plan(sharing: Sharing, revocation: Revocation, force: bool = False) -> Plan:
    """Read, then plan; raises as `gather` and `plan_revocation` do, and `Refused` when AWS refuses to be read."""
    with producing(sharing) as producer:
        gathered = gather(producer)
    users = usage.find_users(sharing, revocation.leaving, revocation.version, force)
    return plan_revocation(sharing, gathered, revocation, users, force)


def accounts_of(sharing: Sharing, consumer: str) -> frozenset[str]:
    """The accounts that lose access when a consumer does.

    Raises:
        InputError: when others lose it too: another consumer of the same account, or the whole organization.
    """
    if sharing.organization is not None:
        raise InputError(
            f"Access is given to the whole organization {sharing.organization.id}, not to {consumer} alone. Take back everything (--all), or "
            "change principals in the config, share, and revoke then."
        )
    account = sharing.consumers[consumer].account
    others = [
        name for name, other in sharing.consumers.items() if name != consumer and other.account == account
    ]
    if others:
        raise InputError(
            f"Account {account} of {consumer} is also that of {', '.join(others)}, and access is given to accounts. Take {consumer} out of "
            "the config instead: the others keep their access."
        )
    return frozenset({account})


def without_version(sharing: Sharing, version: int) -> Sharing:
    """The config as it is once a version is no longer shared.

    Raises:
        InputError: when the config does not list its versions, does not list this one, or lists no other.
    """
    group, listed = sharing.model_package_group, sharing.listed
    if sharing.rule != VersionRule():
        raise InputError(
            f"The config chooses the versions of {group} by what the registry says of them, so version {version} cannot be taken out of it alone. "
            "Reject it in the registry, or move its stage on there; then crossaccount share CONFIG --prune takes back what only it needs."
        )
    if listed is None or sharing.preset == "aws-docs":
        raise InputError(
            f"The config shares every version of {group} with one statement, so version {version} cannot be taken out of it. Reject "
            "the version in the registry (it can then not be deployed), or list the versions to share in the config."
        )
    if version not in listed:
        raise InputError(
            f"The config does not share version {version}: versions has {', '.join(map(str, listed))}."
        )
    left = tuple(number for number in listed if number != version)
    if not left:
        raise InputError(
            f"Version {version} is the only one that the config shares. Take back everything with --all instead."
        )
    return sharing.model_copy(update={"versions": left})
