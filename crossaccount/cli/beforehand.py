"""What the config and this machine show to be wrong, said before a flow, and a Prefect server for it, is started.

Not here: the options' own bounds (``arguments``), and what only AWS can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from crossaccount.errors import InputError

if TYPE_CHECKING:
    from crossaccount.config.model import Sharing

PRODUCER = None  # among sides, which are consumers by their names otherwise


def require_profiles(
    sharing: Sharing, needed: Sequence[str | None], one_of: Sequence[str | None] = ()
) -> None:
    """See that this machine has the AWS profiles that a command cannot do without, and before that the project's own flows.

    Of several sides each is a result of its own, which a missing profile is a part of: only that all of them are missing is
    bad input.

    Args:
        sharing: the config.
        needed: the sides whose profile is needed.
        one_of: the sides of which one with a profile is needed.

    Raises:
        InputError: for the first profile that is missing, the others in its notes.
    """
    from crossaccount.cli import prefect_server

    prefect_server.check_flows()
    for side in needed:
        if fault := _fault(sharing, side):
            raise fault
    faults = {side: _fault(sharing, side) for side in dict.fromkeys(one_of)}
    missing = [fault for fault in faults.values() if fault is not None]
    if missing and len(missing) == len(faults):
        first, *others = missing
        if others:
            keys = ", ".join(_key(side) for side in list(faults)[1:])
            first.add_note(f"This machine has not the profiles of {keys} either.")
        raise first


def require_version(sharing: Sharing, version: int | None, consumers: Sequence[str]) -> None:
    """See that the config shares a version, and that the files are there which its consumers' questions name.

    Raises:
        InputError: otherwise.
    """
    from crossaccount.hosting.preflight import check_shared
    from crossaccount.proof.questions import check_files

    if version is not None:
        check_shared(sharing, version)
    check_files(sharing, consumers)


def done_here(sharing: Sharing) -> list[str]:
    """The consumers whose part of a promotion no deployment does elsewhere, with files and credentials of its own."""
    return [name for name, each in sharing.consumers.items() if each.run_deployment is None]


def _key(side: str | None) -> str:
    return "producer" if side is PRODUCER else f"consumers.{side}"


def _fault(sharing: Sharing, side: str | None) -> InputError | None:
    from crossaccount.aws import sessions

    profile = (sharing.producer if side is PRODUCER else sharing.consumers[side]).profile
    return sessions.profile_fault(f"{_key(side)}.profile", profile)
