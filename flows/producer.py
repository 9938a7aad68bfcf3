"""The producer's flows: share a group's versions with the consumers of a config, and take a consumer's access back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from prefect import flow

from crossaccount import config as configuration
from crossaccount import plan as planning
from crossaccount import sessions
from crossaccount.apply import Receipt
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
            "receipts": [asdict(receipt) for receipt in self.receipts],
        }


@dataclass(frozen=True)
class Revoked:
    """What a revoke did."""

    consumer: str
    plan: Plan
    receipts: tuple[Receipt, ...]

    def summary(self) -> str:
        """One line for each document."""
        done = [f"{receipt.verb}: policy of {receipt.resource}" for receipt in self.receipts]
        return "\n".join([*done, *(f"note: {note}" for note in self.plan.notes)])

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        receipts = [asdict(receipt) for receipt in self.receipts]
        notes = list(self.plan.notes)
        return {"consumer": self.consumer, "writes": self.plan.writes, "receipts": receipts, "notes": notes}


@flow(name="share-models", persist_result=False)
def share_models(config: str) -> Shared:
    """Grant the consumers of a config what they need to deploy its versions, and publish the Releases.

    Args:
        config: path of the reviewed YAML file.
    """
    sharing = configuration.load(config)
    with sessions.kept():
        found = steps.read_registry(sharing)
        plan = planning.share_plan(sharing, found.needs, found.existing)
        steps.show_plan(sharing, plan)
        receipts = steps.apply_plan(sharing, plan)
        releases = steps.publish_releases(sharing, found, plan)
    return Shared(plan, receipts, releases)


@flow(name="revoke-access", persist_result=False)
def revoke_access(config: str, consumer: str) -> Revoked:
    """Take back what a consumer of a config was given; everything else stays as it is.

    Args:
        config: path of the reviewed YAML file.
        consumer: name of the consumer in it.
    """
    sharing = configuration.load(config)
    configuration.consumer(sharing, consumer)
    with sessions.kept():
        found = steps.read_registry_for_revoke(sharing)
        plan = planning.revoke_plan(sharing, found.needs, found.existing, consumer)
        steps.show_plan(sharing, plan)
        receipts = steps.apply_plan(sharing, plan)
    return Revoked(consumer, plan, receipts)
