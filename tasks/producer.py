"""The producer's steps: each opens the producer's account, calls the library, logs one line, returns plain data."""

from collections.abc import Collection, Sequence

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.events import emit_event

from crossaccount.aws.access import producing
from crossaccount.config.model import Sharing
from crossaccount.doors import door_of
from crossaccount.errors import CrossAccountError, Finding
from crossaccount.release import store as releasing
from crossaccount.release.manifest import Release
from crossaccount.sharing import apply as applying
from crossaccount.sharing import gather as gathering
from crossaccount.sharing import publish, revoke, usage
from crossaccount.sharing.apply import Receipt
from crossaccount.sharing.changes import Plan
from crossaccount.sharing.gather import Gathered
from crossaccount.show import plans
from tasks import locks, steps


@steps.step("read the registry of {sharing.model_package_group}")
def read_registry(sharing: Sharing) -> Gathered:
    """Read the versions to share, what each needs, what stands in the way, and the policies as they stand."""
    with producing(sharing) as producer:
        gathered = gathering.gather(producer)
    versions = ", ".join(str(version.version) for version in gathered.versions)
    get_run_logger().info("%s: sharing version %s", sharing.model_package_group, versions)
    return gathered


@steps.step("read the registry of {sharing.model_package_group}")
def read_registry_for_revoke(sharing: Sharing) -> Gathered:
    """Read every version of the group, and the policies that may have been opened for them."""
    with producing(sharing) as producer:
        gathered = revoke.gather(producer)
    get_run_logger().info("%s: %d policies to look at", sharing.model_package_group, len(gathered.existing))
    return gathered


@steps.step("look for live endpoints")
def look_for_users(
    sharing: Sharing, leaving: Collection[str] | None, version: int | None, force: bool
) -> tuple[Finding, ...]:
    """Look for endpoints that still run on what is about to be taken back."""
    findings = usage.find_users(sharing, leaving, version, force)
    for finding in findings:
        get_run_logger().warning("%s", finding)
    return findings


@steps.step("plan for {sharing.model_package_group}")
def show_plan(sharing: Sharing, plan: Plan) -> None:
    """Put the plan into the log and into an artifact of the run."""
    get_run_logger().info("%s", plans.text(plan))
    create_markdown_artifact(
        key=steps.key_of("plan", sharing.model_package_group),
        markdown=plans.markdown(plan),
        description=f"What changes for {sharing.model_package_group}",
    )


@steps.step("prepare Releases of {sharing.model_package_group}")
def prepare_releases(sharing: Sharing, gathered: Gathered, plan: Plan) -> tuple[tuple[Release, bool], ...]:
    """Make the Release of every version that has none, and hold the others against what was published."""
    with producing(sharing) as producer:
        return tuple(publish.prepare(producer, version, gathered, plan) for version in gathered.versions)


@steps.step("apply the plan in account {sharing.producer.account}")
def apply_plan(sharing: Sharing, plan: Plan, exactly: bool) -> tuple[Receipt, ...]:
    """Make the plan's changes, all or none, and read every document back."""
    logger = get_run_logger()
    arns = [
        door_of(change.resource.kind).arn(sharing, change.resource.name)
        for change in plan.changes
        if change.verb != "keep"
    ]
    with producing(sharing) as producer, locks.writing(arns) as settle_seconds:
        receipts = applying.apply(producer, plan, logger.info, exactly, settle_seconds)
    written = sum(receipt.verb != "keep" for receipt in receipts)
    logger.info("%d of %d policies changed, each read back", written, len(receipts))
    return receipts


@steps.step("publish Releases of {sharing.model_package_group}")
def publish_releases(sharing: Sharing, prepared: Sequence[tuple[Release, bool]]) -> tuple[Release, ...]:
    """Publish the Release of every version that has none yet."""
    try:
        with producing(sharing) as producer:
            published = [
                publish.publish(producer, release) if is_new else release for release, is_new in prepared
            ]
    except CrossAccountError as error:
        error.add_note(
            "The policies were written before and stand; not every Release is published. Once this is mended, share again."
        )
        raise
    for release, is_new in prepared:
        if is_new:
            announce(sharing, release)
    new = sum(is_new for _, is_new in prepared)
    get_run_logger().info("%d of %d Releases are new, at %s", new, len(published), sharing.producer.releases)
    create_table_artifact(
        key=steps.key_of("shared", sharing.model_package_group),
        table=[{"version": each.version, "model package": each.model_package_arn} for each in published],
        description=f"Shared versions of {published[0].model_package_group}",
    )
    return tuple(published)


RELEASE_PUBLISHED = "crossaccount.release.published"


def announce(sharing: Sharing, release: Release) -> None:
    """Emit the event that a Release was published: automations hand it to the consumers' deployments.

    Its resource is ``crossaccount.release.ACCOUNT.GROUP.VERSION``; its payload has what `flows.forms.Published` takes.
    """
    group, owner = sharing.model_package_group, sharing.producer.account
    emit_event(
        RELEASE_PUBLISHED,
        resource={
            "prefect.resource.id": f"crossaccount.release.{owner}.{group}.{release.version}",
            "prefect.resource.name": f"{group} version {release.version}",
        },
        payload={
            "release": {
                "model_package_arn": release.model_package_arn,
                "release": f"s3://{sharing.producer.releases_bucket}/{releasing.release_key(sharing, release.version)}",
            }
        },
    )
