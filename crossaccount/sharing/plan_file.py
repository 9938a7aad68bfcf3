"""A plan as plain data, and as a file that people agree on: written by ``plan --out``, applied by ``share --plan``, refused once it is stale.

The file is compared and never obeyed: what is applied is made anew from the config and from what stands, and must be the
same. So a file changed by hand can refuse a share, and cannot grant anything.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crossaccount.doors import door_of
from crossaccount.errors import Conflict, InputError
from crossaccount.files import read_file
from crossaccount.policy import documents
from crossaccount.sharing.capacity import room
from crossaccount.sharing.changes import Change, Plan, Standing
from crossaccount.strict_json import parse_json

_FORMAT = "crossaccount-plan/1"
_MAX_BYTES = 20_000_000


@dataclass(frozen=True)
class PlanFile:
    """A plan as its file has it: the config that it is of, and the changes as they were planned."""

    source: Path
    config: Path
    prune: bool
    hash: str
    changes: tuple[dict[str, Any], ...]


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as plain data; plans of equal meaning have an equal ``hash``."""
    return {
        "changes": [_change_json(change, plan.group) for change in plan.changes],
        "writes": plan.writes,
        "findings": [asdict(finding) for finding in plan.findings],
        "standing": standing_json(plan.standing),
        "hash": plan.digest,
    }


def standing_json(standing: Iterable[Standing]) -> list[dict[str, Any]]:
    """What others' statements let each account do at each door, as plain data."""
    return [
        {
            "account": each.member,
            "door": str(door_of(each.resource.kind).name),
            "resource": each.resource.name,
            "answer": str(each.answer),
            "by": list(each.by),
            "reason": each.reason,
            "granted": each.granted,
        }
        for each in standing
    ]


def _change_json(change: Change, group: str) -> dict[str, Any]:
    return {
        "kind": change.resource.kind,
        "resource": change.resource.name,
        "account": change.resource.account,
        "verb": change.verb,
        "existing": change.existing,
        "existing_hash": documents.digest(change.existing),
        "desired": change.desired,
        "desired_hash": documents.digest(change.desired),
        "added": list(change.added),
        "changed": list(change.changed),
        "removed": list(change.removed),
        "gained": list(change.gained),
        "lost": list(change.lost),
        "bytes": documents.size(change.desired) if change.desired is not None else 0,
        "limit": door_of(change.resource.kind).limit,
        "room_for_consumers": room(change, group),
    }


def write(path: Path, config: Path, plan: Plan, prune: bool) -> None:
    """Write a plan as JSON.

    Raises:
        InputError: when the file cannot be written.
    """
    document = {"format": _FORMAT, "config": str(config), "prune": prune, **to_json(plan)}
    try:
        path.write_text(json.dumps(document, indent=2) + "\n")
    except OSError as error:
        raise InputError(
            f"--out {path}: cannot be written ({error.strerror}). Name a file that you may write."
        ) from None


def read(path: Path) -> PlanFile:
    """Read a plan.

    Raises:
        InputError: for a file that cannot be read, or is not a plan.
    """
    way_out = "Write one with crossaccount plan CONFIG --out FILE."
    try:
        raw = read_file(path, _MAX_BYTES)
        return _parsed(path, parse_json(raw) if len(raw) <= _MAX_BYTES else None)
    except OSError as error:
        raise InputError(f"--plan {path}: cannot be read ({error.strerror}). {way_out}") from None
    except (TypeError, KeyError, ValueError, AttributeError):
        raise InputError(f"--plan {path}: this is not a plan. {way_out}") from None


def _parsed(path: Path, loaded: Any) -> PlanFile:
    keys = ("kind", "resource", "account", "existing", "desired")
    changes = tuple({key: change[key] for key in keys} for change in loaded["changes"])
    texts = [loaded["config"], loaded["hash"], *(change[key] for change in changes for key in keys[:3])]
    named = {tuple(change[key] for key in keys[:3]) for change in changes}
    sound = all(isinstance(text, str) for text in texts) and isinstance(loaded["prune"], bool)
    # A document that is in it twice would show a reader one change and be compared with the other.
    if loaded["format"] != _FORMAT or not sound or len(named) != len(changes):
        raise ValueError
    return PlanFile(path, Path(loaded["config"]), loaded["prune"], loaded["hash"], changes)


def confirm(agreed: PlanFile, now: Plan) -> str:
    """The hash of the plan as it is now, which must be the same as the file's.

    Raises:
        Conflict: naming every document that has changed since, with its hashes, or that would be changed in another way.
        InputError: for a file whose documents are not policies.
    """
    in_file = {(each["kind"], each["resource"], each["account"]): each for each in agreed.changes}
    differences = []
    try:
        for change in now.changes:
            key = (change.resource.kind, change.resource.name, change.resource.account)
            was = in_file.pop(key, None)
            if was is None:
                differences.append(f"The policy of {change.resource} is not in it.")
            elif not documents.same(was["existing"], change.existing):
                differences.append(
                    f"The policy of {change.resource} has changed since: {documents.digest(was['existing'])} then, "
                    f"{documents.digest(change.existing)} now."
                )
            elif not documents.same(was["desired"], change.desired):
                differences.append(
                    f"The policy of {change.resource} would now become another ({documents.digest(change.desired)}, planned was "
                    f"{documents.digest(was['desired'])}): the config or the registry has changed."
                )
    except (TypeError, AttributeError, KeyError, ValueError):
        raise InputError(
            f"--plan {agreed.source}: its documents are not policies. Make a new plan."
        ) from None
    differences += [
        f"The policy of {kind} {name} is in it, and no longer needed." for kind, name, _ in in_file
    ]
    if differences:
        reasons = " ".join(differences)
        raise Conflict(f"The plan {agreed.source} is stale. {reasons} Nothing was changed. Make a new plan.")
    return now.digest
