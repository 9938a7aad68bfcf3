"""The producer's flows: share a group's versions with the consumers of a config, and take a consumer's access back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from prefect import flow

from crossaccount import config as configuration
from crossaccount import gather as gathering
from crossaccount import render, sessions
from crossaccount import revoke as revoking
from crossaccount.apply import Receipt
from crossaccount.errors import Conflict
from crossaccount.plan import Plan
from crossaccount.release import Release
from tasks import producer as steps


@dataclass(frozen=True)
class Shared:
    """What a share did: each document's receipt, and the Releases that stand."""

    plan: Plan
    receipts: tuple[Receipt, ...]
    releases: tuple[Release, ...]

    def table(self) -> str:
        """The group's ARN and every version's, one on a line."""
        group = self.releases[0].model_package_group
        rows = [("ModelPackageGroupArn", group)]
        rows += [
            (f"ModelPackageArn of version {one.version}", one.model_package_arn) for one in self.releases
        ]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {arn}" for name, arn in rows)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "model_package_group_arn": self.releases[0].model_package_group,
            "model_package_arns": [release.model_package_arn for release in self.releases],
            "writes": self.plan.writes,
            "hash": self.plan.digest,
            "receipts": [asdict(receipt) for receipt in self.receipts],
            "findings": [asdict(finding) for finding in self.plan.findings],
        }


@dataclass(frozen=True)
class Revoked:
    """What a revoke did."""

    revoked: str
    plan: Plan
    receipts: tuple[Receipt, ...]

    def summary(self) -> str:
        """One line for each document."""
        done = [f"{receipt.verb}: policy of {receipt.resource}" for receipt in self.receipts]
        return "\n".join([*done, *render.lines(self.plan.findings)])

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "revoked": self.revoked,
            "writes": self.plan.writes,
            "receipts": [asdict(receipt) for receipt in self.receipts],
            "findings": [asdict(finding) for finding in self.plan.findings],
        }


@flow(name="share-models", persist_result=False)
def share_models(config: str, prune: bool = False, agreed: str | None = None) -> Shared:
    """Grant the consumers of a config what they need to deploy its versions, and publish the Releases.

    Args:
        config: path of the reviewed YAML file.
        prune: take out every account whom the config does not name, as far as this project's statements let it in.
        agreed: the hash of the plan that was agreed to; any other plan is refused.
    """
    sharing = configuration.load(config)
    with sessions.kept():
        found = steps.read_registry(sharing)
        plan = gathering.planned(sharing, found, prune)
        steps.show_plan(sharing, plan)
        refuse_other(plan, agreed)
        prepared = steps.prepare_releases(sharing, found, plan)
        receipts = steps.apply_plan(sharing, plan, exactly=agreed is not None)
        releases = steps.publish_releases(sharing, prepared)
    return Shared(plan, receipts, releases)


@flow(name="revoke-access", persist_result=False)
def revoke_access(
    config: str,
    consumer: str | None = None,
    account: str | None = None,
    version: int | None = None,
    everything: bool = False,
    force: bool = False,
    agreed: str | None = None,
) -> Revoked:
    """Take access back: a consumer's, an account's, a version's or everyone's; all else stays as it is.

    Args:
        config: path of the reviewed YAML file.
        consumer: name of the consumer in it.
        account: 12 digits of an account that the config need not name.
        version: a version that the config lists.
        everything: whatever was ever granted for the group, to whomever.
        force: also when live endpoints still use it.
        agreed: the hash of the plan that was agreed to; any other plan is refused.
    """
    sharing = configuration.load(config)
    revocation = revoking.chosen(sharing, consumer, account, version, everything)
    with sessions.kept():
        found = steps.read_registry_for_revoke(sharing)
        used = steps.look_for_users(sharing, revocation.leaving, revocation.version, force)
        plan = revoking.planned(sharing, found, revocation, used)
        steps.show_plan(sharing, plan)
        refuse_other(plan, agreed)
        receipts = steps.apply_plan(sharing, plan, exactly=agreed is not None)
    return Revoked(str(revocation), plan, receipts)


def refuse_other(plan: Plan, agreed: str | None) -> None:
    """Refuse a plan that is not the one agreed to; one that has nothing to do is no other: it was carried out already.

    Raises:
        Conflict: with both hashes.
    """
    if agreed is not None and plan.writes and plan.digest != agreed:
        raise Conflict(
            f"The plan is no longer the one that was agreed to: its hash is {plan.digest}, not {agreed}. Nothing was changed. Look at the "
            "plan again."
        )
