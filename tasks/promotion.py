"""The promotion's steps: each opens a session, calls the library, logs one line, returns plain data."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from crossaccount import gather as gathering
from crossaccount import names, packages, preflight, promotion, records, rollout, serving, sessions
from crossaccount.config import Sharing
from crossaccount.errors import CrossAccountError, Door, Failed
from crossaccount.gather import Clients
from crossaccount.promotion import Promoted, Result
from crossaccount.records import Record
from crossaccount.release import Release
from tasks import alone

LIVE: dict[str, Any] = {
    "cache_policy": NO_CACHE,
    "persist_result": False,
}  # what AWS says now is never cached
_PINNED = "crossaccount.version"
_REMEMBERED = 200  # records that are looked through for rollbacks


class Stopped(CrossAccountError):
    """A promotion was told to end."""


class Stop:
    """Tells the consumers that are being promoted in other threads to end, and to clean up."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """End."""
        self._event.set()

    def check(self) -> None:
        """End here, if it was set.

        Raises:
            Stopped: then.
        """
        if self._event.is_set():
            raise Stopped("The run was cancelled.")


_STOPS: dict[str, Stop] = {}


def stop_of(run: str) -> Stop:
    """The stop of a flow run, one for each."""
    return _STOPS.setdefault(run, Stop())


@task(**LIVE)
def pin_version(sharing: Sharing, version: int | None) -> int:
    """The version of this run: the one asked for, or the newest approved one, found once and kept with the flow run.

    A run that is suspended for an approval begins anew when it is resumed; it goes on with the version that it had.
    """
    run = UUID(str(flow_run.get_id()))
    with get_client(sync_client=True) as client:
        kept = client.read_flow_run(run).labels.get(_PINNED)
        if kept is not None:
            return int(kept)
        found = version if version is not None else _newest(sharing)
        client.update_flow_run_labels(run, {_PINNED: found})
    get_run_logger().info("version %d of %s", found, sharing.model_package_group)
    return found


def _newest(sharing: Sharing) -> int:
    with gathering.explained(sharing):
        clients = Clients.of(sessions.producer_session(sharing), sharing.region)
        return packages.read_versions(clients.sagemaker, sharing)[-1].version


@task(**LIVE)
def find_held(sharing: Sharing, version: int, named: bool) -> dict[str, str]:
    """The consumers that were rolled back from the version and stay so, and why; nobody when the version was asked for."""
    if named:
        return {}
    with gathering.explained(sharing):
        clients = Clients.of(sessions.producer_session(sharing), sharing.region)
        found = promotion.held(records.read(clients, sharing, _REMEMBERED), version)
    for name, why in found.items():
        get_run_logger().warning("%s is held: %s", name, why)
    return found


@task(**LIVE)
def has_work(sharing: Sharing, names: Sequence[str], releases: Sequence[Release], version: int) -> bool:
    """Whether any of these consumers' endpoints does not serve the version yet; one that may not be looked at does not."""
    release = next(one for one in releases if one.version == version)
    for name in names:
        consumer = sharing.consumers[name]
        asked = ("sagemaker:DescribeEndpoint", consumer.endpoint.name)
        try:
            session = sessions.consumer_session(sharing, name, consumer)
            with preflight.explained(session, sharing, name, consumer, Door.CALLER_POLICY, asked):
                there = promotion.stands(rollout.look(session, sharing, consumer), consumer, release)
        except CrossAccountError as error:
            get_run_logger().warning(
                "%s: %s", name, error
            )  # its own promotion fails with it, and is reported
            there = False
        if not there:
            return True
    return False


@task(**LIVE, task_run_name="promote {name} to version {version}")
def promote_consumer(sharing: Sharing, name: str, version: int, run: str) -> Promoted:
    """Bring one consumer's endpoint to the version; what goes wrong is part of what it returns."""
    consumer, logger, stop = sharing.consumers[name], get_run_logger(), stop_of(run)

    def tell(text: str) -> None:
        stop.check()
        if text:
            logger.info("%s: %s", name, text)

    try:
        session = sessions.consumer_session(sharing, name, consumer)
        release = _release(session, sharing, name, version)
        with alone.writing([names.endpoint_arn(sharing, consumer)]):
            found = promotion.promote(session, sharing, name, release, rollout.patience(consumer), tell, run)
    except CrossAccountError as error:
        found = Promoted(
            name, consumer.account, consumer.stage, Result.FAILED, version, None, None, str(error)
        )
    level = logger.error if found.result is Result.FAILED else logger.info
    level("%s: %s. %s", name, found.result, found.text)
    for proof in found.proofs:
        create_markdown_artifact(
            key=f"proof-{proof.endpoint.lower()}",
            markdown=serving.proof_markdown(proof),
            description=f"Version {proof.version} in account {proof.account}",
        )
    return found


def _release(session: Any, sharing: Sharing, name: str, version: int) -> Release:
    """The Release, as the consumer sees it, held against the registry and against the artifacts."""
    consumer = sharing.consumers[name]
    asked = ("sagemaker:DescribeModelPackage", sharing.model_package_group)
    with preflight.explained(session, sharing, name, consumer, Door.REGISTRY, asked):
        described = preflight.find_version(session, sharing, version)
    asked = preflight.reading_release(sharing, version)
    with preflight.explained(session, sharing, name, consumer, Door.BUCKET, asked):
        release = preflight.read_release(session, sharing, described)
    asked = preflight.reading_artifacts(sharing, release)
    with preflight.explained(session, sharing, name, consumer, Door.BUCKET, asked):
        preflight.check_artifacts(session, sharing, release)
    return release


@task(**LIVE)
def roll_back_consumer(sharing: Sharing, name: str, version: int | None) -> Promoted:
    """Move one consumer's endpoint back to the version before, or to an earlier one, and prove it."""
    consumer, logger = sharing.consumers[name], get_run_logger()
    session = sessions.consumer_session(sharing, name, consumer)
    asked = ("sagemaker:ListEndpointConfigs", "*")
    with preflight.explained(session, sharing, name, consumer, Door.CALLER_POLICY, asked):
        to = _earlier(session, sharing, name, version)
    release = _release(session, sharing, name, to.version)

    def tell(text: str) -> None:
        if text:
            logger.info("%s: %s", name, text)

    with alone.writing([names.endpoint_arn(sharing, consumer)]):
        found = promotion.go_back(session, sharing, name, to, release, rollout.patience(consumer), tell)
    (logger.error if found.result is Result.FAILED else logger.info)("%s: %s", name, found.text)
    return found


def _earlier(session: Any, sharing: Sharing, name: str, version: int | None) -> rollout.Earlier:
    consumer = sharing.consumers[name]
    if version is None:
        found = rollout.previous(session, sharing, consumer)
    else:
        known = rollout.earlier(session, sharing, consumer)
        found = next((one for one in known if one.version == version and one.proven), None)
    if found is None:
        what = "earlier version" if version is None else f"version {version}"
        raise Failed(
            f"The endpoint {consumer.endpoint.name} of {name} has no {what} that proved itself and is still kept. Promote one: crossaccount "
            "promote CONFIG --version N."
        )
    return found


@task(**LIVE)
def keep_record(sharing: Sharing, record: Record) -> str:
    """Write the record beside the Releases, and into an artifact of the run; where it lies."""
    with gathering.explained(sharing):
        where = records.write(Clients.of(sessions.producer_session(sharing), sharing.region), sharing, record)
    get_run_logger().info("record: %s", where)
    create_table_artifact(
        key=f"{record.kind}-{sharing.model_package_group.lower()}",
        table=[
            {
                "stage": one["stage"],
                "consumer": one["consumer"],
                "account": one["account"],
                "result": one["result"],
                "before": one["before"],
                "live": one["live"],
                "seconds": one["seconds"],
                "because": one["text"],
            }
            for one in record.consumers
        ],
        description=f"{record.kind} of version {record.version}: {record.outcome}. {where}",
    )
    return where
