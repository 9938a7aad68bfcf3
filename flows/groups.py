"""The producer's flow for many groups: each is shared as `flows.producer.share_models` does it, several at once.

Prefect's server is told of forty groups together: one task run, one page of plans, one taking of the locks, one table of versions.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock
from typing import Any, TypeVar

from prefect import get_run_logger

from crossaccount import parallel
from crossaccount.arns import group_arn
from crossaccount.aws import refusals, sessions
from crossaccount.config.model import Sharing
from crossaccount.errors import CrossAccountError, Failed, InputError
from crossaccount.release.manifest import Release
from crossaccount.sharing.apply import Receipt
from crossaccount.sharing.changes import Plan
from crossaccount.sharing.gather import Gathered
from crossaccount.sharing.plan import plan_share
from flows import forms
from flows.operations import operation
from flows.producer import Shared, refuse_other
from tasks import dashboard, ending, locks, summaries
from tasks import producer as steps
from tasks.steps import name_run, step

_TOGETHER = 40

_Wanted = TypeVar("_Wanted")
# What became of each group, by its config: an error is the end of its share.
_Ended = Mapping[str, object]


@dataclass(frozen=True)
class SharedGroups:
    """The result of a share of many groups: for each config, its share's."""

    groups: dict[str, Shared]

    def table(self) -> str:
        """For each group its ARN and its versions'."""
        return "\n\n".join(group.table() for group in self.groups.values())

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        groups = {config: group.to_json() for config, group in self.groups.items()}
        return {"writes": sum(group.plan.writes for group in self.groups.values()), "groups": groups}


@operation("share-groups")
def share_groups(
    configs: forms.ConfigFiles,
    dry_run: bool = False,
    agreed: forms.PlanHashes = None,
) -> SharedGroups:
    """Share the groups of several configs, several at once. One that fails leaves the others as they are shared.

    Args:
        configs: The reviewed files, one for each group.
        dry_run: Show the plans and change nothing.
        agreed: The hashes of the plans that were agreed to, in the order of the files. Any other plan is refused.
    """
    if not configs or len(set(configs)) < len(configs):
        raise InputError("configs: name one file or more, each once.")
    if agreed is not None and len(agreed) != len(configs):
        raise InputError(
            f"agreed: {len(agreed)} hashes for {len(configs)} files. Give one for each, or none."
        )
    sharings = {config: forms.loaded(config) for config in configs}
    name_run(f"{'plan of: ' if dry_run else ''}share {len(sharings)} groups")
    hashes = dict(zip(configs, agreed, strict=True)) if agreed else {}
    ended: dict[str, object] = {}
    with sessions.reuse():
        for sharing in sharings.values():
            sessions.producer_session(sharing)  # assumed once, not by each group for itself
        for start in range(0, len(configs), _TOGETHER):
            some = {config: sharings[config] for config in configs[start : start + _TOGETHER]}
            ended |= share_together(_named(list(some.values())), partial(_shared, some, hashes, dry_run))
    done = _those(ended, Shared)
    summaries.tell_groups({name: (sharings[name], each.plan) for name, each in done.items()}, dry_run)
    for name, shared in done.items():
        if shared.plan.writes and not dry_run:
            facts = dashboard.of_share(sharings[name], shared.plan, shared.releases)
            ending.see(sharings[name], facts)
    return SharedGroups(_all_shared(ended))


def _named(sharings: Sequence[Sharing]) -> str:
    first, *others = (each.model_package_group for each in sharings)
    return f"{first} and {len(others)} more" if others else first


@step("share {groups}")
def share_together(groups: str, call: Callable[[], _Ended]) -> _Ended:
    """Share some groups, each as the flow for one does.

    Args:
        groups: the groups' names, for the run's name.
        call: shares them. Prefect walks through every argument of a task, several times: of a config with many consumers for longer
            than its share takes, of a function not at all.
    """
    del groups
    return call()


@dataclass(frozen=True)
class _Planned:
    """A group whose share is planned."""

    sharing: Sharing
    gathered: Gathered
    plan: Plan
    is_agreed: bool

    @property
    def written(self) -> list[str]:
        """The ARNs of the resources whose policies it writes."""
        return steps.written(self.sharing, self.plan)


@dataclass(frozen=True)
class _Opened:
    """A group whose policies are written, and its Releases, each with whether it is yet to be published."""

    planned: _Planned
    receipts: tuple[Receipt, ...]
    prepared: tuple[tuple[Release, bool], ...]


def _shared(sharings: Mapping[str, Sharing], hashes: Mapping[str, str], dry_run: bool) -> _Ended:
    """Share these groups, the steps of each as in `flows.producer.share`; a step of all of them before the next."""
    planned = _at_once({name: partial(_plan, each, hashes.get(name)) for name, each in sharings.items()})
    plans = _those(planned, _Planned)
    if plans:
        steps.put_plans([(each.sharing, each.plan) for each in plans.values()])
    if dry_run:
        return {**planned, **{name: _result(each) for name, each in plans.items()}}
    opened = _open(plans)
    shared = _at_once({name: partial(_publish, each) for name, each in _those(opened, _Opened).items()})
    done = _those(shared, Shared).values()
    if done:
        releases = [release for each in done for release in each.releases]
        steps.put_shared("groups", releases, f"Shared versions of {len(done)} groups")
    return {**planned, **opened, **shared}


def _plan(sharing: Sharing, agreed: str | None) -> _Planned:
    gathered = steps.read_registry(sharing)
    plan = plan_share(sharing, gathered)
    steps.log_plan(sharing, plan)
    refuse_other(plan, agreed)
    return _Planned(sharing, gathered, plan, agreed is not None)


def _open(plans: Mapping[str, _Planned]) -> _Ended:
    """Write the policies of these groups, with the locks of all of them; two groups write a document that both need one after the other."""
    hands = {arn: Lock() for each in plans.values() for arn in each.written}

    def write(planned: _Planned, settle_seconds: float) -> _Opened:
        prepared = steps.prepare_releases(planned.sharing, planned.gathered, planned.plan)
        with ExitStack() as held:
            for arn in sorted(planned.written):
                held.enter_context(hands[arn])
            receipts = steps.apply_locked(planned.sharing, planned.plan, planned.is_agreed, settle_seconds)
        return _Opened(planned, receipts, prepared)

    try:
        with locks.writing(sorted(hands)) as settle_seconds:
            return _at_once({name: partial(write, each, settle_seconds) for name, each in plans.items()})
    except CrossAccountError as error:  # the locks were not to be had
        return dict.fromkeys(plans, error)


def _publish(opened: _Opened) -> Shared:
    planned = opened.planned
    releases = steps.publish_releases(planned.sharing, opened.prepared, planned.plan, with_table=False)
    shared = _result(planned, opened.receipts, releases)
    if not planned.sharing.producer.discoverable:
        return shared
    return replace(shared, discovery=steps.make_discoverable(planned.sharing))


def _result(
    planned: _Planned, receipts: tuple[Receipt, ...] = (), releases: tuple[Release, ...] = ()
) -> Shared:
    return Shared(group_arn(planned.sharing), planned.plan, receipts, releases)


def _those(ended: _Ended, kind: type[_Wanted]) -> dict[str, _Wanted]:
    return {name: each for name, each in ended.items() if isinstance(each, kind)}


def _at_once(calls: Mapping[str, Callable[[], object]]) -> _Ended:
    """What each call gives, or the error that ended it; several at once, each as a part of this task run."""

    def ended(name: str, call: Callable[[], object]) -> object:
        try:
            return call()
        except Exception as error:
            get_run_logger().error("%s: %s", name, _reason(error))
            return error

    parts = [partial(copy_context().run, ended, name, call) for name, call in calls.items()]
    return dict(zip(calls, parallel.run_all(parts), strict=True))


def _all_shared(ended: _Ended) -> dict[str, Shared]:
    """The result of each share.

    Raises:
        Failed: when one or more did not come about; the others stand.
    """
    done = _those(ended, Shared)
    lines = [f"{config}: {_reason(end)}" for config, end in ended.items() if config not in done]
    if lines:
        head = f"{len(lines)} of {len(ended)} groups were not shared; the others were."
        raise Failed("\n".join([head, *lines]))
    return done


def _reason(ended: object) -> str:
    explained = refusals.explain(ended) if isinstance(ended, Exception) else None
    return str(explained) if explained is not None else repr(ended)
