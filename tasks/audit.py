"""The audit's steps: each asks one side, logs its answers, returns plain data. Not here: an answer's grounds (``crossaccount.audit``)."""

import logging
from collections.abc import Mapping, Sequence

from prefect import get_run_logger

from crossaccount.audit.answers import Audit, Evidence, combine
from crossaccount.audit.documents import read_documents
from crossaccount.audit.probe import try_doors
from crossaccount.config.model import Sharing
from crossaccount.registry.recall import Standing
from crossaccount.registry.versions import ModelVersion
from tasks import steps


@steps.step("check the policies and Releases of {sharing.model_package_group}")
def check_documents(sharing: Sharing, wanted: Sequence[str]) -> Evidence:
    """Read the producer's policies and Releases."""
    return _logged(read_documents(sharing, wanted))


@steps.step("check the doors of {name}")
def check_consumer(sharing: Sharing, name: str, known: Sequence[ModelVersion], probe: bool) -> Evidence:
    """Try every door in the consumer's role."""
    return _logged(try_doors(sharing, name, known, probe))


def _logged(evidence: Evidence) -> Evidence:
    for answer in evidence.answers:
        get_run_logger().info(
            "%s: %s, %s %s: %s",
            *(answer.verdict, answer.consumer, answer.door, answer.resource, answer.reason),
            extra={"answered": True},
        )
    for each in evidence.live:
        level = logging.WARNING if each.state.standing is Standing.RECALLED else logging.INFO
        get_run_logger().log(level, "%s: %s", each.state.standing, each)
    for finding in evidence.findings:
        get_run_logger().warning("%s: %s", finding.severity, finding)
    return evidence


@steps.step("report on {sharing.model_package_group}")
def report(
    sharing: Sharing,
    wanted: Sequence[str],
    producer: Evidence,
    consumers: Mapping[str, Evidence],
    repair: bool,
) -> Audit:
    """Combine the evidence, and put the audit into an artifact of the run."""
    audit, group = combine(sharing, wanted, producer, consumers, repair), sharing.model_package_group
    steps.put_page("access", group, audit.markdown(), f"Access to {group}")
    return audit
