"""Where a rollback takes a consumer's endpoint, found before anything is changed.

Not here: the move itself (``moving``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crossaccount.aws.access import Target
from crossaccount.errors import Failed
from crossaccount.hosting import preflight, state
from crossaccount.promotion import history
from crossaccount.promotion.history import Move


@dataclass(frozen=True)
class Way:
    """The way of a rollback: ``live`` is the version that the endpoint serves, None for none or a mix.

    ``to`` is the endpoint config that it goes back to, None where the rollback was made already and is on record. ``before`` is the
    version that a run which died has moved it away from, off the record; else None.
    """

    endpoint: str
    live: int | None
    to: state.VersionConfig | None
    before: int | None = None

    @property
    def move(self) -> str:
        """What would happen to the endpoint, in a few words."""
        if self.to is None:
            return f"stays at version {self.live}: it was rolled back to it for this reason already"
        if self.before is not None:
            return f"stays at version {self.to.version}, to which a run that died has moved it from version {self.before}"
        if self.live is None:
            return f"goes to version {self.to.version}, from a mix or something else"
        return f"goes from version {self.live} to version {self.to.version}"


def find(target: Target, version: int | None, last: Move | None, reason: str) -> Way:
    """Where a rollback takes the consumer's endpoint.

    Args:
        target: the consumer's account.
        version: the earlier version; None is the one before the live one.
        last: the last move on record; it shows a rollback that a dead run has begun, or made.
        reason: for the rollback, as it is or will be on record.

    Raises:
        InputError: for a version that the config does not share.
        Failed: for one that does not exist, is not Approved, or is not kept; and when there is no earlier one.
        Refused: when AWS refuses.
    """
    name = target.consumer.endpoint.name
    with target.explained("sagemaker:ListEndpointConfigs", "*"):
        live = state.look(target)
        serving = live.version if live is not None else None
        if last and live and history.is_rolled_back(live, last, version, reason):
            return Way(name, last.live, None)
        configs = state.list_configs(target)
    before = history.unrecorded_rollback(live, configs, last)
    if before is not None and live is not None and version in (None, live.version):
        to = next(config for config in configs if config.config == live.own_config)
        return Way(name, serving, to, before)
    if version is None:
        earlier = state.previous_of(live, configs)
    else:
        earlier = next((config for config in configs if config.version == version and config.proven), None)
    if earlier is None:
        raise _none_kept(target, version, configs)
    return Way(name, serving, earlier)


def _none_kept(target: Target, version: int | None, configs: Sequence[state.VersionConfig]) -> Failed:
    if version is not None:
        preflight.find_version(target, version)  # what is the matter with the version itself comes first
    wanted = "earlier version" if version is None else f"version {version}"
    kept = ", ".join(map(str, sorted({config.version for config in configs if config.proven}, reverse=True)))
    return Failed(
        f"The endpoint {target.consumer.endpoint.name} of {target.name} has no {wanted} that proved itself and is still kept (kept: {kept or 'none'}). "
        "Promote one: crossaccount promote CONFIG --version N."
    )
