"""The producer's steps: each opens the producer's account, calls the library, logs one line, returns plain data.

Not here: the order of the steps (``flows.producer``).
"""

from collections.abc import Collection, Iterable, Sequence

from prefect import get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.events import emit_event

from crossaccount.arns import group_arn
from crossaccount.aws.access import producing
from crossaccount.config.model import Sharing
from crossaccount.doors import door_of
from crossaccount.errors import CrossAccountError, Finding
from crossaccount.release import store
from crossaccount.release.manifest import Release
from crossaccount.sharing import apply as applying
from crossaccount.sharing import discovery, publish, revoke, usage
from crossaccount.sharing import gather as gathering
from crossaccount.sharing.apply import Receipt
from crossaccount.sharing.changes import Plan
from crossaccount.sharing.discovery import Discovery
from crossaccount.sharing.gather import Gathered
from crossaccount.show import plans
from crossaccount.text import first_line
from tasks import ending, locks, steps, summaries


@steps.step("read the registry of {sharing.model_package_group}")
def read_registry(sharing: Sharing) -> Gathered:
    """Read the versions to share, the resources that they need, the obstacles, and the policies as they stand."""
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
    """Look for endpoints that still run on the access that is about to be taken back."""
    findings = usage.find_users(sharing, leaving, version, force)
    for finding in findings:
        get_run_logger().warning("%s", finding)
    return findings


@steps.step("plan what {sharing.model_package_group} no longer needs")
def plan_pruning(sharing: Sharing, gathered: Gathered, force: bool) -> Plan:
    """Plan a share that prunes; the consumers' accounts are asked for endpoints that still need what it takes out."""
    return gathering.plan_with_users(sharing, gathered, True, force)


def show_plan(sharing: Sharing, plan: Plan) -> None:
    """Put the plan into the log and into an artifact of the run.

    Before anything else is asked of Prefect's server: on SQLite it answers the second of two writes at once with 503, and its client
    then waits for two seconds.
    """
    log_plan(sharing, plan)
    group = sharing.model_package_group
    steps.put_page(
        "plan",
        group,
        ending.in_form(plans.markdown(plan, summaries.names_of(sharing))),
        f"What changes for {group}",
    )


def log_plan(sharing: Sharing, plan: Plan) -> None:
    """Put the plan into the log."""
    get_run_logger().info("%s", plans.text(plan, names=plans.names_of(sharing)), extra={"answered": True})


def put_plans(planned: Sequence[tuple[Sharing, Plan]]) -> None:
    """Put the plans of several groups into one artifact of the run."""
    pages = [
        f"## {sharing.model_package_group}\n\n{plans.markdown(plan, summaries.names_of(sharing))}"
        for sharing, plan in planned
    ]
    steps.put_page("plan", "groups", "\n\n".join(pages), f"What changes for {len(planned)} groups")


def prepare_releases(sharing: Sharing, gathered: Gathered, plan: Plan) -> tuple[tuple[Release, bool], ...]:
    """Make the Release of every version that has none, and compare the other versions with theirs."""
    with producing(sharing) as producer:
        return tuple(publish.prepare(producer, version, gathered, plan) for version in gathered.versions)


@steps.step("apply the plan in account {sharing.producer.account}")
def apply_plan(sharing: Sharing, plan: Plan, exactly: bool) -> tuple[Receipt, ...]:
    """Make the plan's changes, all or none, and read every document back."""
    with locks.writing(written(sharing, plan)) as settle_seconds:
        return apply_locked(sharing, plan, exactly, settle_seconds)


def apply_locked(sharing: Sharing, plan: Plan, exactly: bool, settle_seconds: float) -> tuple[Receipt, ...]:
    """As `apply_plan`, for whoever has the locks; ``settle_seconds`` as they gave it."""
    logger = get_run_logger()
    with producing(sharing) as producer:
        receipts = applying.apply(producer, plan, logger.info, exactly, settle_seconds)
    written = sum(receipt.verb != "keep" for receipt in receipts)
    logger.info("%d of %d policies changed, each read back", written, len(receipts))
    return receipts


@steps.step("publish Releases of {sharing.model_package_group}")
def publish_releases(
    sharing: Sharing, prepared: Sequence[tuple[Release, bool]], plan: Plan, with_table: bool = True
) -> tuple[Release, ...]:
    """Publish the Release of every version that has none yet; where not one can be, what the plan has changed is taken back.

    With ``with_table`` the versions are put into an artifact of the run.
    """
    published: list[Release] = []
    try:
        with producing(sharing) as producer:
            for release, is_new in prepared:
                published.append(publish.publish(producer, release) if is_new else release)
    except CrossAccountError as error:
        _announce_new(sharing, prepared[: len(published)])
        for note in _after_failure(sharing, prepared, plan):
            error.add_note(note)
        raise
    _announce_new(sharing, prepared)
    new = sum(is_new for _, is_new in prepared)
    get_run_logger().info("%d of %d Releases are new, at %s", new, len(published), sharing.producer.releases)
    if with_table:
        put_shared(sharing.model_package_group, published, f"Shared versions of {group_arn(sharing)}")
    return tuple(published)


def put_shared(of: str, published: Iterable[Release], description: str) -> None:
    """Put the shared versions into a table among the run's artifacts; ``of`` is the end of its key."""
    table = [{"version": each.version, "model package": each.model_package_arn} for each in published]
    create_table_artifact(key=steps.key_of("shared", of), table=table, description=description)


@steps.step("make {sharing.model_package_group} discoverable")
def make_discoverable(sharing: Sharing) -> Discovery:
    """Have AWS RAM show the group to the accounts that it is shared with; raises as `discovery.make_discoverable` does."""
    with producing(sharing) as producer:
        found = discovery.make_discoverable(producer, get_run_logger().info)
    get_run_logger().info("%s is discoverable: %s", sharing.model_package_group, found.reason)
    return found


def _announce_new(sharing: Sharing, published: Sequence[tuple[Release, bool]]) -> None:
    for release, is_new in published:
        if is_new:
            announce(sharing, release)


def _after_failure(sharing: Sharing, prepared: Sequence[tuple[Release, bool]], plan: Plan) -> list[str]:
    """What stands once publishing has failed, in sentences; the policies are put back where no new Release relies on them."""
    new = {release.version for release, is_new in prepared if is_new}
    try:
        with producing(sharing) as producer:
            standing = new & store.list_published(producer)
            if not standing and any(change.lost for change in plan.changes):
                return [
                    "No Release was published. The policies stand as written: to put them back would grant again what they took away."
                ]
            if not standing:
                with locks.writing(written(sharing, plan)):
                    taken_back = applying.take_back(producer, plan)
                return ["No Release was published.", *taken_back]
    except CrossAccountError as error:
        return [
            f"Whether a Release was published cannot be told ({first_line(error)}). The policies stand as written."
        ]
    shown, missing = (", ".join(map(str, sorted(some))) for some in (standing, new - standing))
    return [
        f"The Release of version {shown} is published, so the policies stand as written; that of version {missing} is not. Once this is "
        "mended, share again."
    ]


def written(sharing: Sharing, plan: Plan) -> list[str]:
    """The ARNs of the resources whose policies a plan writes."""
    return [
        door_of(change.resource.kind).arn(sharing, change.resource.name)
        for change in plan.changes
        if change.verb != "keep"
    ]


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
                "release": f"s3://{sharing.producer.releases_bucket}/{store.release_key(sharing, release.version)}",
            }
        },
    )
