"""The audit's steps: each asks one side, logs what it says, returns plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact

from crossaccount import audit as auditing
from crossaccount.audit import Audit, Seen
from crossaccount.config.model import Sharing
from crossaccount.packages import ModelVersion
from tasks import runs


@runs.step("check the policies and Releases of {sharing.model_package_group}")
def check_documents(sharing: Sharing, wanted: Sequence[str]) -> Seen:
    """Read the producer's policies and Releases."""
    return _logged(auditing.of_producer(sharing, wanted))


@runs.step("check the doors of {name}")
def check_consumer(sharing: Sharing, name: str, known: Sequence[ModelVersion], probe: bool) -> Seen:
    """Try every door in the consumer's role."""
    return _logged(auditing.of_consumer(sharing, name, known, probe))


def _logged(seen: Seen) -> Seen:
    for answer in seen.answers:
        get_run_logger().info(
            "%s: %s, %s %s: %s", answer.verdict, answer.consumer, answer.door, answer.resource, answer.reason
        )
    for finding in seen.findings:
        get_run_logger().warning("%s: %s", finding.severity, finding)
    return seen


@runs.step("report on {sharing.model_package_group}")
def report(
    sharing: Sharing, wanted: Sequence[str], producer: Seen, consumers: Mapping[str, Seen], repair: bool
) -> Audit:
    """Put everything together, and into an artifact of the run."""
    audit = auditing.together(sharing, wanted, producer, consumers, repair)
    create_markdown_artifact(
        key=runs.key_of("access", sharing.model_package_group),
        markdown=audit.markdown(),
        description=f"Access to {sharing.model_package_group}",
    )
    return audit
