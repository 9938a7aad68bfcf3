"""The commands: each reads the config, shows plans, asks before it changes anything, and starts a flow.

Each is a function of the command's name, from its options to its result, which is the object that ``--json`` prints. A module is
imported by the command that needs it. Not here: the arguments, the output, and how a flow is started.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossaccount.cli import beforehand, consent, live, output, terminal
from crossaccount.cli.setup_commands import doctor as doctor
from crossaccount.cli.setup_commands import roles as roles
from crossaccount.errors import AccessMissing, Failed, InputError, PromotionFailed, VersionRecalled
from crossaccount.text import counted

if TYPE_CHECKING:
    from crossaccount.config.expectations import Tolerance
    from crossaccount.config.model import Sharing
    from crossaccount.sharing.revoke import Revocation


def sandbox(options: argparse.Namespace) -> None:
    """Become the sandbox: inference processes look at their parent's main module, which must be a light one."""
    from crossaccount.stage import processes

    command = processes.sandbox_command(*options.arguments)
    os.execv(command[0], command)  # noqa: S606 - no shell, our own module


def init(options: argparse.Namespace) -> dict[str, Any]:
    """Write a first config."""
    from crossaccount.cli import beginning

    return beginning.init(options)


def plan(options: argparse.Namespace) -> dict[str, Any]:
    """Show the plan of a share."""
    sharing = _load(options.config)
    from crossaccount.sharing import gather, plan_file
    from crossaccount.show import plans

    with live.reading(options, "reading the registry and every policy"):
        planned = gather.make_plan(sharing, options.prune, options.force)
    output.write(options, plans.text(planned, terminal.has_colour(sys.stdout), plans.names_of(sharing)))
    if options.out is not None:
        plan_file.write(options.out, options.config, planned, options.prune)
    return plan_file.to_json(planned)


def share(options: argparse.Namespace) -> dict[str, Any]:
    """Share one config, or several at once."""
    from crossaccount.sharing import gather, plan_file

    if len(options.config) > 1:
        return _share_groups(options)
    path = options.config[0] if options.config else None
    if options.plan is not None:
        if options.prune:
            raise InputError("--prune belongs to the plan: crossaccount plan CONFIG --prune --out FILE.")
        planned = plan_file.read(options.plan)
        path, prune = path or planned.config, planned.prune
        sharing = _load(path)
        again = gather.make_plan(sharing, prune, options.force)
        agreed: list[str] | None = [plan_file.confirm(planned, again)]
    elif path is not None:
        prune, sharing = options.prune, _load(path)
        agreed = consent.agree(options, [sharing], lambda: [gather.make_plan(sharing, prune, options.force)])
    else:
        raise InputError("Name the config, or a plan with --plan FILE: crossaccount share CONFIG.")
    agreement: dict[str, Any] = {"prune": prune, "force": options.force, "agreed": agreed and agreed[0]}
    return _run(options, "flows.producer:share_models", str(path), **agreement)


def _share_groups(options: argparse.Namespace) -> dict[str, Any]:
    from crossaccount.sharing import gather

    for value, name in ((options.plan, "--plan"), (options.prune, "--prune"), (options.force, "--force")):
        if value:
            raise InputError(f"{name} is for one config: share the others with another command.")
    if len(set(options.config)) < len(options.config):
        raise InputError("CONFIG: a file is named twice. Name each once.")
    sharings = [_load(path) for path in options.config]
    agreed = consent.agree(options, sharings, lambda: [gather.make_plan(sharing) for sharing in sharings])
    return _run(options, "flows.groups:share_groups", [str(path) for path in options.config], agreed=agreed)


def revoke(options: argparse.Namespace) -> dict[str, Any]:
    """Take access back."""
    from crossaccount.sharing import revoke as revoking

    sharing = _load(options.config)
    scope = {name: getattr(options, name) for name in ("consumer", "account", "version", "everything")}
    revocation = revoking.choose(sharing, **scope)
    if options.dry_run:
        return _show_revocation(options, sharing, revocation)
    agreed = consent.agree(
        options, [sharing], lambda: [revoking.make_plan(sharing, revocation, options.force)]
    )
    scope |= {"force": options.force, "agreed": agreed and agreed[0]}
    return _run(options, "flows.producer:revoke_access", str(options.config), **scope)


def _show_revocation(options: argparse.Namespace, sharing: Sharing, revocation: Revocation) -> dict[str, Any]:
    from crossaccount.sharing import plan_file
    from crossaccount.sharing import revoke as revoking
    from crossaccount.show import plans

    planned = revoking.make_plan(sharing, revocation, options.force)
    output.write(options, plans.text(planned, terminal.has_colour(sys.stdout), plans.names_of(sharing)))
    return {"revoked": str(revocation), "receipts": [], **plan_file.to_json(planned)}


def check(options: argparse.Namespace) -> dict[str, Any]:
    """See whether the access that a config promises is there."""
    sharing = _load(options.config, options.consumer)
    beforehand.require_profiles(sharing, [], [beforehand.PRODUCER, *sharing.select(options.consumer)])
    arguments = (str(options.config), options.consumer, not options.no_probe, options.repair)
    coloured = {"text": lambda audit: audit.text(colour=terminal.has_colour(sys.stdout))}
    return _run(options, "flows.audit:check_access", *arguments, **coloured)


def deploy(options: argparse.Namespace) -> dict[str, Any]:
    """Deploy a version in a consumer's account and prove it."""
    sharing = _load_of_one(options)
    beforehand.require_profiles(sharing, [options.consumer])
    beforehand.require_version(sharing, options.version, [options.consumer])
    arguments = (str(options.config), options.consumer, options.version, options.keep)
    return _run(options, "flows.consumer:deploy_model", *arguments, dry_run=options.dry_run)


def promote(options: argparse.Namespace) -> dict[str, Any]:
    """Bring every consumer's endpoint to a version."""
    sharing = _load(options.config)
    if not options.dry_run:
        consent.require_terminal(options)
    here = beforehand.done_here(sharing)
    # A dry run moves nobody: of an account that cannot be looked into from here it says that it cannot be told.
    beforehand.require_profiles(sharing, [beforehand.PRODUCER], () if options.dry_run else here)
    beforehand.require_version(sharing, options.version, here)
    if options.dry_run:
        dry = {"version": options.version, "dry_run": True}
        return _run(options, "flows.promotion:promote_model", str(options.config), **dry)
    agreed, newest = consent.agree_to_promotion(options, sharing)
    promotion = {"version": options.version, "agreed": agreed and agreed[0], "agreed_version": newest}
    return _run(options, "flows.promotion:promote_model", str(options.config), **promotion)


def rollback(options: argparse.Namespace) -> dict[str, Any]:
    """Move a consumer's endpoint back."""
    sharing = _load_of_one(options)
    if not options.reason.strip():
        raise InputError("--reason: say why the endpoint is rolled back. It goes into the record.")
    here = [options.consumer] if options.consumer in beforehand.done_here(sharing) else []
    beforehand.require_profiles(sharing, [beforehand.PRODUCER, *here])
    version = consent.agree_to_rollback(options, sharing)
    arguments = (str(options.config), options.consumer, options.reason, version)
    return _run(options, "flows.promotion:rollback_model", *arguments)


def history(options: argparse.Namespace) -> dict[str, Any]:
    """List promotions and rollbacks."""
    from crossaccount.aws.access import producing
    from crossaccount.promotion import records

    sharing = _load(options.config)
    with producing(sharing) as producer:
        listed = records.read(producer, options.newest)
    output.write(options, "\n".join(record.line() for record in listed) or "No promotion is on record.")
    return {"records": [record.model_dump(mode="json") for record in listed]}


def samples(options: argparse.Namespace) -> dict[str, Any]:
    """Make the archive of samples of a folder of questions, with the answers of a live endpoint or without."""
    import hashlib

    from crossaccount.sharing import sample_folder

    tolerance = _tolerance(options)
    sharing = _load(options.config, options.record)
    entries = sample_folder.read_folder(options.folder, unanswered=options.record is not None)
    recorded = sum(entry.is_open for entry in entries)
    if options.record is not None:
        from crossaccount.aws.access import open_target
        from crossaccount.proof import recording

        target = open_target(sharing, options.record)
        endpoint = options.endpoint or target.consumer.endpoint.name
        entries = recording.record(target, endpoint, entries, tolerance)
    archive = sample_folder.pack(options.folder, entries)
    try:
        options.out.write_bytes(archive)
    except OSError as error:
        raise InputError(f"--out {options.out}: it cannot be written: {error.strerror}.") from None
    digest = hashlib.sha256(archive).hexdigest()
    files = list(dict.fromkeys(entry.file for entry in entries))
    output.write(
        options,
        f"{options.out}: {counted(len(entries), 'sample')} of {counted(len(files), 'file')}, {recorded} of them recorded, {len(archive)} bytes, SHA-256 {digest}\n"
        "Put it into a bucket of the producer, and register the next version with its address as SamplePayloadUrl.",
    )
    numbers = {"samples": len(entries), "recorded": recorded, "bytes": len(archive)}
    return {"archive": str(options.out), "sha256": digest, "files": files, **numbers}


def _tolerance(options: argparse.Namespace) -> Tolerance | None:
    """The tolerance that answers are recorded with.

    Raises:
        InputError: for options that contradict each other.
    """
    from crossaccount.config.expectations import Tolerance

    given = {name: getattr(options, name) for name in ("absolute", "relative", "share")}
    present = [name for name, value in given.items() if value is not None]
    for name in ("endpoint", *present):
        if options.record is None and getattr(options, name) is not None:
            raise InputError(
                f"--{name} is for answers that are recorded: add --record CONSUMER, or leave it out."
            )
    if {"absolute", "relative"} <= set(present) or present == ["share"]:
        raise InputError(
            f"{', '.join(f'--{name}' for name in present)}: name one of --absolute and --relative."
        )
    return Tolerance.model_validate(given) if present else None


def reap(options: argparse.Namespace) -> dict[str, Any]:
    """Remove the leftovers of dead runs."""
    from crossaccount.hosting import leftovers

    leftovers.age(options.older_than)
    leftovers.check_run(options.run)
    sharing = _load(options.config, options.consumer)
    beforehand.require_profiles(sharing, [], sharing.select(options.consumer))
    arguments = (str(options.config), options.consumer, options.older_than)
    flow, given = "flows.reaper:reap_leftovers", {"dry_run": options.dry_run, "run": options.run}
    if not options.dry_run and not options.yes and consent.on_terminal(options):
        try:
            listed = _run(options, flow, *arguments, **{**given, "dry_run": True})
        except Failed as failed:
            failed.add_note(
                "Nothing was removed. With --yes what can be removed is, and the rest is named again."
            )
            raise
        fates = [fate for swept in listed["consumers"] for fate in swept["fates"]]
        if not any(fate["outcome"] == "would be removed" for fate in fates):
            return listed
        consent.ask(options)
    return _run(options, flow, *arguments, **given)


def files(options: argparse.Namespace) -> dict[str, Any]:
    """Say where the shipped files are, or copy them out."""
    from crossaccount import shipped

    names = shipped.files()
    if options.to is None:
        output.write(options, str(shipped.ROOT))
        return {"folder": str(shipped.ROOT), "files": list(names)}
    copied = shipped.copy_to(options.to)
    output.write(
        options, f"{options.to}: {len(copied)} of {len(names)} files copied, the others were there already"
    )
    return {"folder": str(options.to), "files": list(names), "copied": list(copied)}


def automations(options: argparse.Namespace) -> dict[str, Any]:
    """Have the Prefect server run the declared automations."""
    from crossaccount.cli import prefect_server

    prefect_server.require_server()
    given = options.notify_url or os.environ.get("CROSSACCOUNT_NOTIFY_URL") or None
    if given is not None and not re.fullmatch(r"https?://[^\s/@]+(/\S*)?", given):
        raise InputError(  # without it: it may hold a secret
            "--notify-url, or CROSSACCOUNT_NOTIFY_URL: that is no address. Write https://HOST/PATH, without a user name in it."
        )
    applied = prefect_server.run("flows.automations:apply", options.silent_seconds, given)
    output.write(options, "\n".join(f"{verb}: {name}" for name, verb in applied.items()))
    return {"automations": applied}


def schema(options: argparse.Namespace) -> dict[str, Any]:
    """Print the JSON schema of a config."""
    from crossaccount.config import schema as of_config

    output.write_as_it_is(options, of_config.text().rstrip("\n"))
    return {"schema": of_config.json_schema()} if options.json else {}


def completion(options: argparse.Namespace) -> dict[str, Any]:
    """Print what makes a shell complete the command."""
    from crossaccount.cli import completing

    script = completing.script(options.shell)
    output.write_as_it_is(options, script)
    return {"shell": options.shell, "script": script}


def demo(options: argparse.Namespace) -> dict[str, Any]:
    """Tell the whole story."""
    from crossaccount.cli import prefect_server
    from crossaccount.stage import demo as story

    return story.tell(prefect_server.run, options.json)


def ui(options: argparse.Namespace) -> None:
    """Serve the product in a browser."""
    from crossaccount.stage import ui as browser

    browser.show(options.port, options.json)


def _load(path: Path, consumer: str | None = None) -> Sharing:
    """The config, which must name the consumer."""
    from crossaccount.config.loading import load_config

    sharing = load_config(path)
    if consumer is not None:
        sharing.consumer(consumer)
    return sharing


def _load_of_one(options: argparse.Namespace) -> Sharing:
    """The config, of which one consumer is named."""
    sharing = _load(options.config, options.consumer)
    if options.consumer is None:
        raise InputError(
            f"--consumer is missing: name one of the consumers of {options.config}: {', '.join(sharing.consumers)}."
        )
    return sharing


def _run(
    options: argparse.Namespace,
    flow: str,
    *arguments: Any,
    text: Callable[[Any], str] = lambda outcome: str(outcome.table()),
    **named: Any,
) -> dict[str, Any]:
    """Run a flow and write its outcome, or that of its error; the outcome as plain data."""
    from crossaccount.cli import prefect_server

    try:
        with live.line(options, f"{options.command}: run of the flow"):
            outcome = prefect_server.run(flow, *arguments, **named)
    except (AccessMissing, PromotionFailed, VersionRecalled) as error:
        output.write(options, error.table)
        raise
    apart = "\n" if sys.stdout.isatty() and sys.stderr.isatty() else ""  # from the log above it
    output.write(options, f"{apart}{text(outcome)}")
    return dict(outcome.to_json())
