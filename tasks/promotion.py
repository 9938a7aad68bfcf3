"""The promotion's steps: each opens an account, calls the library, logs one line, returns plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from crossaccount import arns, packages, records
from crossaccount.aws.access import Target, open_target, producing
from crossaccount.config.model import Sharing
from crossaccount.errors import CrossAccountError, Failed
from crossaccount.hosting import guardrails, preflight, state
from crossaccount.promotion import history, moving
from crossaccount.promotion.history import Move
from crossaccount.promotion.outcome import ConsumerOutcome, Result, not_moved
from crossaccount.records import Record
from crossaccount.release import Release
from crossaccount.show import proofs
from tasks import locks, steps
from tasks.delegation import log_outcome, stop_of

_PINNED = "crossaccount.version"
_REMEMBERED = 200  # records that are looked through for rollbacks
_RECORD_COLUMNS = ("stage", "consumer", "account", "result", "before", "live", "seconds")


@steps.step("find the version of {sharing.model_package_group}")
def pin_version(sharing: Sharing, version: int | None) -> int:
    """The version of this run: the one asked for, or the newest approved one, found once and kept with the flow run.

    A run that is suspended for an approval begins anew when it is resumed; it goes on with the version that it had.
    """
    run = UUID(str(flow_run.get_id()))
    with get_client(sync_client=True) as client:
        kept = client.read_flow_run(run).labels.get(_PINNED)
        if kept is not None:
            return int(kept)
        pinned = version if version is not None else _newest(sharing)
        client.update_flow_run_labels(run, {_PINNED: pinned})
    get_run_logger().info("version %d of %s", pinned, sharing.model_package_group)
    return pinned


def _newest(sharing: Sharing) -> int:
    with producing(sharing) as producer:
        return packages.read_versions(producer.sagemaker, sharing)[-1].version


@steps.step("look who is held")
def find_held(sharing: Sharing, version: int, named: bool) -> dict[str, str]:
    """The consumers that were rolled back from the version and stay so, and why; nobody when the version was asked for."""
    if named:
        return {}
    with producing(sharing) as producer:
        reasons = history.rolled_back_from(records.read(producer, _REMEMBERED), version)
    for name, why in reasons.items():
        get_run_logger().warning("%s is held: %s", name, why)
    return reasons


@steps.step("look whether there is work for {names}")
def has_work(sharing: Sharing, names: Sequence[str], releases: Sequence[Release], version: int) -> bool:
    """Whether any of these consumers' endpoints does not serve the version yet; one that may not be looked at does not.

    One whose part is done by a deployment cannot be looked at from here: only its own worker has its credentials.
    """
    if any(sharing.consumers[name].run_deployment for name in names):
        return True
    release = next(release for release in releases if release.version == version)
    for name in names:
        consumer = sharing.consumers[name]
        try:
            target = open_target(sharing, name)
            with target.explained("sagemaker:DescribeEndpoint", consumer.endpoint.name):
                there = moving.serves_proven(state.look(target), consumer, release)
        except CrossAccountError as error:
            get_run_logger().warning(
                "%s: %s", name, error
            )  # its own promotion fails with it, and is reported
            there = False
        if not there:
            return True
    return False


@steps.step("promote {name} to version {version}")
def promote_consumer(sharing: Sharing, name: str, version: int, run: str) -> ConsumerOutcome:
    """Bring one consumer's endpoint to the version; what goes wrong is part of what it returns."""
    consumer, logger, stop = sharing.consumers[name], get_run_logger(), stop_of(run)
    progress = steps.Progress(f"{name} to version {version}")

    def report(line: str) -> None:
        stop.check()
        if progress.tell(line):
            logger.info("%s: %s", name, line)

    try:
        target = open_target(sharing, name)
        release = _release(target, version)
        arn = arns.endpoint_arn(sharing, consumer)
        with locks.writing([arn, f"{arn}-v{version}"]):  # its own, and the one that it is tried out on
            patience = guardrails.patience(consumer)
            outcome = moving.promote(target, release, patience, moving.Run(report, stop.check, run))
    except CrossAccountError as error:
        outcome = not_moved(sharing, name, version, Result.FAILED, str(error))
    log_outcome(outcome)
    progress.tell(str(outcome.result), 100.0)
    for proof in outcome.proofs:
        create_markdown_artifact(
            key=steps.key_of("proof", proof.endpoint),
            markdown=proofs.markdown(proof),
            description=f"Version {proof.version} in account {proof.account}",
        )
    return outcome


def _release(target: Target, version: int) -> Release:
    """The Release, as the consumer sees it, held against the registry and against the artifacts."""
    release = preflight.read_release(target, preflight.find_version(target, version))
    preflight.check_artifacts(target, release)
    return release


@steps.step("read what the history says of {name}")
def read_last_move(sharing: Sharing, name: str) -> Move | None:
    """How a consumer's endpoint came to where the history says that it is; None when that says nothing of it."""
    with producing(sharing) as producer:
        return history.last_move(records.read(producer, _REMEMBERED), name)


@steps.step("look whether the history says where {names} are")
def is_recorded(sharing: Sharing, names: Sequence[str], version: int) -> bool:
    """Whether the history says that all of these consumers' endpoints serve the version: a run may have died before it did."""
    with producing(sharing) as producer:
        known = records.read(producer, _REMEMBERED)
    moves = [history.last_move(known, name) for name in names]
    return all(move is not None and move.live == version for move in moves)


@steps.step("roll back {name}")
def roll_back_consumer(
    sharing: Sharing, name: str, version: int | None, last: Move | None = None, reason: str = ""
) -> ConsumerOutcome:
    """Move one consumer's endpoint back to the version before, or to an earlier one, and prove it.

    Args:
        sharing: the config.
        name: the consumer.
        version: the earlier version; None is the one before the live one.
        last: the last move on record; by it a rollback is known that a dead run has begun, or made.
        reason: why, as it will be on record.
    """
    consumer, logger = sharing.consumers[name], get_run_logger()
    target = open_target(sharing, name)
    with target.explained("sagemaker:ListEndpointConfigs", "*"):
        live = state.look(target)
        if last and live and history.is_rolled_back(live, last, version, reason):
            text = f"The endpoint {live.endpoint} was rolled back to version {last.live} for this reason already. To go further, name --version."
            logger.info("%s: %s", name, text)
            unchanged = not_moved(sharing, name, int(last.live or 0), Result.UNCHANGED, text)
            return replace(unchanged, before=last.live, live=last.live)
        configs = state.list_configs(target)
        before = history.unrecorded_rollback(live, configs, last)
        if before is not None and live is not None and version in (None, live.version):
            to = next(config for config in configs if config.config == live.config)
        else:
            before, to = None, _earlier_config(target, live, configs, version)
    release = _release(target, to.version)
    with locks.writing([arns.endpoint_arn(sharing, consumer)]):
        run = moving.Run(lambda line: logger.info("%s: %s", name, line))
        outcome = moving.go_back(target, to, release, guardrails.patience(consumer), run, before)
    log_outcome(outcome)
    return outcome


def _earlier_config(
    target: Target,
    live: state.LiveEndpoint | None,
    configs: Sequence[state.VersionConfig],
    version: int | None,
) -> state.VersionConfig:
    if version is None:
        earlier = state.previous_of(live, configs)
    else:
        earlier = next((config for config in configs if config.version == version and config.proven), None)
    if earlier is None:
        what = "earlier version" if version is None else f"version {version}"
        raise Failed(
            f"The endpoint {target.consumer.endpoint.name} of {target.name} has no {what} that proved itself and is still kept. Promote one: crossaccount "
            "promote CONFIG --version N."
        )
    return earlier


@steps.step("keep the record of version {record.version}")
def keep_record(sharing: Sharing, record: Record) -> str:
    """Write the record beside the Releases, and into an artifact of the run; where it lies."""
    with producing(sharing) as producer:
        where = records.write(producer, record)
    get_run_logger().info("record: %s", where)
    create_table_artifact(
        key=steps.key_of(record.kind, sharing.model_package_group),
        table=[
            {
                **{key: part[key] for key in _RECORD_COLUMNS},
                "because": part["text"],
            }
            for part in record.consumers
        ],
        description=f"{record.kind} of version {record.version}: {record.outcome}. {where}",
    )
    return where
