"""The producer's flows: share a group's versions with the consumers of a config, and take a consumer's access back."""

from dataclasses import asdict, dataclass
from typing import Any

from crossaccount.arns import group_arn
from crossaccount.aws import sessions
from crossaccount.config.model import Sharing
from crossaccount.errors import Conflict, InputError
from crossaccount.release.manifest import Release
from crossaccount.sharing import plan_file
from crossaccount.sharing import revoke as revoking
from crossaccount.sharing.apply import Receipt
from crossaccount.sharing.changes import Plan
from crossaccount.sharing.discovery import Discovery
from crossaccount.sharing.plan import plan_share
from crossaccount.show import plans
from flows import forms
from flows.operations import operation
from tasks import dashboard, ending, summaries
from tasks import producer as steps
from tasks.steps import name_run


@dataclass(frozen=True)
class Shared:
    """The result of a share: each document's receipt, and the Releases that stand; a dry run has neither.

    ``discovery`` is what AWS RAM says of the group, where it is to be discoverable.
    """

    group: str
    plan: Plan
    receipts: tuple[Receipt, ...]
    releases: tuple[Release, ...]
    discovery: Discovery | None = None

    def table(self) -> str:
        """The group's ARN and every version's, one on a line, and what else should be known."""
        rows = [("ModelPackageGroupArn", self.group)]
        rows += [
            (f"ModelPackageArn of version {release.version}", release.model_package_arn)
            for release in self.releases
        ]
        width = max(len(name) for name, _ in rows)
        lines = [f"{name:<{width}}  {arn}" for name, arn in rows]
        lines += [f"discoverable: {self.discovery.reason}"] if self.discovery else []
        return "\n".join([*lines, *plans.finding_lines(self.plan.findings)])

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "discoverable": self.discovery.is_on if self.discovery else None,
            "model_package_group_arn": self.group,
            "model_package_arns": [release.model_package_arn for release in self.releases],
            "writes": self.plan.writes,
            "hash": self.plan.digest,
            "receipts": [asdict(receipt) for receipt in self.receipts],
            "findings": [asdict(finding) for finding in self.plan.findings],
            "standing": plan_file.standing_json(self.plan.standing),
        }


@dataclass(frozen=True)
class Revoked:
    """The result of a revoke: each document's receipt; a dry run has none."""

    revoked: str
    plan: Plan
    receipts: tuple[Receipt, ...]

    def table(self) -> str:
        """One line for each document, with what becomes of those who lose statements of ours, and what else should be known."""
        left = {change.resource: self.plan.leaving(change) for change in self.plan.changes}
        done = [
            line
            for receipt in self.receipts
            for line in (
                f"{receipt.verb}: policy of {receipt.resource}",
                *(f"  {each.line}" for each in left[receipt.resource]),
            )
        ]
        return "\n".join([*done, *plans.finding_lines(self.plan.findings)])

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "revoked": self.revoked,
            "writes": self.plan.writes,
            "receipts": [asdict(receipt) for receipt in self.receipts],
            "findings": [asdict(finding) for finding in self.plan.findings],
            "standing": plan_file.standing_json(self.plan.standing),
        }


@operation("share-models")
def share_models(
    config: forms.ConfigFile,
    consumer: forms.OneConsumer = None,
    dry_run: bool = False,
    prune: bool = False,
    agreed: forms.PlanHash = None,
    force: bool = False,
) -> Shared:
    """Grant the consumers of a config what they need to deploy its versions, and publish the Releases.

    Args:
        config: The reviewed file that says who is given what.
        consumer: Only this consumer of the file gains anything. Leave it empty for all.
        dry_run: Show the plan and change nothing.
        prune: Take out every account that the file does not name, as far as this project's statements let it in.
        agreed: The hash of the plan that was agreed to (16 characters, see the plan's last line). Any other plan is refused.
        force: With prune, also when live endpoints still run on versions that are no longer shared.
    """
    sharing = forms.loaded(config)
    _check_only(sharing, consumer, prune)
    name_run(f"{_plan_of(dry_run)}share {sharing.model_package_group} with {_whom(sharing, consumer)}")
    with sessions.reuse():
        return share(sharing, consumer, dry_run, prune, agreed, force)


def share(
    sharing: Sharing,
    consumer: str | None = None,
    dry_run: bool = False,
    prune: bool = False,
    agreed: str | None = None,
    force: bool = False,
) -> Shared:
    """Share a group, step by step; arguments as those of `share_models`.

    Raises:
        PlanRefused: when something stands in the way.
        Conflict: for another plan than the one agreed to, or a version that was published as something else.
        Refused: when AWS refuses the producer.
        Failed: when the group is to be discoverable and is not; the access stands.
    """
    gathered = steps.read_registry(sharing)
    plan = (
        steps.plan_pruning(sharing, gathered, force)
        if prune
        else plan_share(sharing, gathered, only=consumer)
    )
    steps.show_plan(sharing, plan)
    refuse_other(plan, agreed)
    if dry_run:
        summaries.tell_plan(sharing, plan, "a share")
        return Shared(group_arn(sharing), plan, (), ())
    prepared = steps.prepare_releases(sharing, gathered, plan)
    receipts = steps.apply_plan(sharing, plan, exactly=agreed is not None)
    releases = steps.publish_releases(sharing, prepared, plan)
    ending.see(sharing, dashboard.of_share(sharing, plan, releases))
    summaries.tell_share(sharing, plan, releases, sum(is_new for _, is_new in prepared))
    found = steps.make_discoverable(sharing) if sharing.producer.discoverable else None
    return Shared(group_arn(sharing), plan, receipts, releases, found)


def _check_only(sharing: Sharing, consumer: str | None, prune: bool) -> None:
    """See that a share for one consumer can be made.

    Raises:
        InputError: when it cannot.
    """
    if consumer is None:
        return
    sharing.consumer(consumer)
    if prune:
        raise InputError(
            "consumer and prune: a share for one consumer takes nobody out. Leave one of them away."
        )
    if sharing.organization is not None:
        raise InputError(
            "consumer: the config lets in an organization, not consumers one by one. Leave consumer empty."
        )


def _plan_of(dry_run: bool) -> str:
    """The beginning of a dry run's name."""
    return "plan of: " if dry_run else ""


def _whom(sharing: Sharing, consumer: str | None) -> str:
    if consumer is not None:
        return f"{consumer} ({sharing.consumers[consumer].account})"
    return ", ".join(sorted({each.account for each in sharing.consumers.values()})[:3]) + (
        " and others" if len(sharing.consumers) > 3 else ""
    )


@operation("revoke-access")
def revoke_access(
    config: forms.ConfigFile,
    consumer: forms.OneConsumer = None,
    account: forms.AccountId = None,
    version: forms.Version = None,
    everything: bool = False,
    force: bool = False,
    dry_run: bool = False,
    agreed: forms.PlanHash = None,
) -> Revoked:
    """Take access back: a consumer's, an account's, a version's or everyone's; all else stays as it is.

    Args:
        config: The reviewed file of the group.
        consumer: Take back what this consumer has. Fill in exactly one of consumer, account, version and everything.
        account: Take back what this account has: 12 digits. The file need not name it.
        version: Take back this version, which the file lists.
        everything: Take back whatever was ever granted for the group, to whomever.
        force: Also when live endpoints still use it, or a part of what was granted may not be read.
        dry_run: Show the plan and change nothing.
        agreed: The hash of the plan that was agreed to (16 characters, see the plan's last line). Any other plan is refused.
    """
    sharing = forms.loaded(config)
    revocation = revoking.choose(sharing, consumer, account, version, everything)
    name_run(f"{_plan_of(dry_run)}revoke {revocation} from {sharing.model_package_group}")
    with sessions.reuse():
        gathered = steps.read_registry_for_revoke(sharing)
        users = steps.look_for_users(sharing, revocation.leaving, revocation.version, force)
        plan = revoking.plan_revocation(sharing, gathered, revocation, users, force)
        steps.show_plan(sharing, plan)
        refuse_other(plan, agreed)
        if dry_run:
            summaries.tell_plan(sharing, plan, f"a revoke of {revocation}")
            return Revoked(str(revocation), plan, ())
        receipts = steps.apply_plan(sharing, plan, exactly=agreed is not None)
        ending.see(sharing, dashboard.of_leaving(plan))
        summaries.tell_revoke(sharing, plan, str(revocation))
    return Revoked(str(revocation), plan, receipts)


def refuse_other(plan: Plan, agreed: str | None) -> None:
    """Refuse a plan that is not the one agreed to. A plan that has nothing to do is not refused: it was carried out already.

    Raises:
        Conflict: with both hashes.
    """
    if agreed is not None and plan.writes and plan.digest != agreed:
        raise Conflict(
            f"The plan is no longer the one that was agreed to: its hash is {plan.digest}, not {agreed}. Nothing was changed. Look at the "
            "plan again: crossaccount plan CONFIG."
        )
