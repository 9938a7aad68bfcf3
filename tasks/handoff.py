"""The hand-off's steps: find a new version, and see whether it was deployed already; a tag of the flow run remembers that it was.

Not here: the deployment (``tasks.consumer``).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags

from crossaccount import arns
from crossaccount.aws.access import open_target
from crossaccount.config.model import ConsumerConfig, Sharing
from crossaccount.hosting import preflight
from tasks import locks, steps

_WAIT_SECONDS = 7200.0  # another run's whole deployment of the same version


@steps.step("look for a published version of {sharing.model_package_group}")
def find_published(sharing: Sharing, name: str) -> int | None:
    """The newest approved version that has a Release, as the consumer sees both; None when there is none."""
    version = preflight.newest_published(open_target(sharing, name))
    get_run_logger().info("the newest published version is %s", version or "none")
    return version


@contextmanager
def claimed(sharing: Sharing, consumer: ConsumerConfig, version: int) -> Iterator[str | None]:
    """Within this, no other run on this server deploys the version in the account; the name of the run that already has, or None.

    Raises:
        Failed: when another run does not end in two hours.
    """
    tag = _tag(sharing, consumer, version)
    with locks.writing([f"hand-off {tag}"], _WAIT_SECONDS), get_client(sync_client=True) as client:
        wanted = FlowRunFilter(tags=FlowRunFilterTags(all_=[tag]))
        flow_runs = client.read_flow_runs(flow_run_filter=wanted, limit=1)
        if flow_runs:
            get_run_logger().info("%s was deployed by flow run %s", tag, flow_runs[0].name)
        yield flow_runs[0].name if flow_runs else None


def remember(sharing: Sharing, consumer: ConsumerConfig, version: int) -> None:
    """Note on this flow run that it has deployed the version in the consumer's account."""
    with get_client(sync_client=True) as client:
        tags = client.read_flow_run(steps.run_id()).tags
        client.update_flow_run(steps.run_id(), tags=[*tags, _tag(sharing, consumer, version)])


def _tag(sharing: Sharing, consumer: ConsumerConfig, version: int) -> str:
    return f"deployed {arns.package_arn(sharing, version)} in {consumer.account}"
