"""The producer's flow for many groups: each is shared as `flows.producer.share_models` does it, several at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from prefect.task_runners import ThreadPoolTaskRunner

from crossaccount.aws import refusals, sessions
from crossaccount.errors import Failed, InputError
from flows import forms
from flows.operations import operation
from flows.producer import Shared, share
from tasks.steps import name_run, step

_AT_ONCE = 8
_RUNNER: Any = ThreadPoolTaskRunner(max_workers=_AT_ONCE)


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


@operation("share-groups", task_runner=_RUNNER)
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
    name_run(f"share {len(sharings)} groups")
    hashes = dict(zip(configs, agreed, strict=True)) if agreed else {}
    with sessions.reuse():
        for sharing in sharings.values():
            sessions.producer_session(sharing)  # assumed once, not by each group for itself
        futures = [
            share_group.submit(
                sharing.model_package_group,
                partial(share, sharing, dry_run=dry_run, agreed=hashes.get(config)),
            )
            for config, sharing in sharings.items()
        ]
        ended = [future.result(raise_on_failure=False) for future in futures]
    return SharedGroups(_all_shared(configs, ended))


@step("share {group}")
def share_group(group: str, call: Callable[[], Shared]) -> Shared:
    """Share one group, as the flow for one does.

    Args:
        group: the group's name, for the run's name.
        call: shares it. Prefect walks through every argument of a task, several times: of a config with many consumers for longer
            than its share takes, of a function not at all.
    """
    del group
    return call()


def _all_shared(configs: Sequence[str], ended: Sequence[object]) -> dict[str, Shared]:
    """The result of each share.

    Raises:
        Failed: when one or more did not come about; the others stand.
    """
    ends = dict(zip(configs, ended, strict=True))
    done = {config: end for config, end in ends.items() if isinstance(end, Shared)}
    lines = [f"{config}: {_reason(end)}" for config, end in ends.items() if config not in done]
    if lines:
        head = f"{len(lines)} of {len(ended)} groups were not shared; the others were."
        raise Failed("\n".join([head, *lines]))
    return done


def _reason(ended: object) -> str:
    explained = refusals.explain(ended) if isinstance(ended, Exception) else None
    return str(explained) if explained is not None else repr(ended)
