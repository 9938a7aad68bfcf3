"""The commands: each reads the config, shows plans, asks before it changes anything, and starts a flow.

Each is a function of the command's name, from its options to its result, which is the object that ``--json`` prints. A module is
imported by the command that needs it. Not here: the arguments, the output, and how a flow is started.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossaccount.cli import live, output, terminal
from crossaccount.cli.setup_commands import doctor as doctor
from crossaccount.cli.setup_commands import roles as roles
from crossaccount.errors import AccessMissing, Failed, InputError, PromotionFailed, VersionRecalled

_REMEMBERED = 200  # records that are looked through for a rollback, as the flow does

if TYPE_CHECKING:
    from crossaccount.config.expectations import Tolerance
    from crossaccount.config.model import Sharing
    from crossaccount.sharing.changes import Plan
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
        agreed = _agree(options, [sharing], lambda: [gather.make_plan(sharing, prune, options.force)])
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
    agreed = _agree(options, sharings, lambda: [gather.make_plan(sharing) for sharing in sharings])
    return _run(options, "flows.groups:share_groups", [str(path) for path in options.config], agreed=agreed)


def revoke(options: argparse.Namespace) -> dict[str, Any]:
    """Take access back."""
    from crossaccount.sharing import revoke as revoking

    sharing = _load(options.config)
    scope = {name: getattr(options, name) for name in ("consumer", "account", "version", "everything")}
    revocation = revoking.choose(sharing, **scope)
    if options.dry_run:
        return _show_revocation(options, sharing, revocation)
    agreed = _agree(options, [sharing], lambda: [revoking.make_plan(sharing, revocation, options.force)])
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
    _load(options.config, options.consumer)
    arguments = (str(options.config), options.consumer, not options.no_probe, options.repair)
    coloured = {"text": lambda audit: audit.text(colour=terminal.has_colour(sys.stdout))}
    return _run(options, "flows.audit:check_access", *arguments, **coloured)


def deploy(options: argparse.Namespace) -> dict[str, Any]:
    """Deploy a version in a consumer's account and prove it."""
    _load(options.config, options.consumer)
    arguments = (str(options.config), options.consumer, options.version, options.keep)
    return _run(options, "flows.consumer:deploy_model", *arguments, dry_run=options.dry_run)


def promote(options: argparse.Namespace) -> dict[str, Any]:
    """Bring every consumer's endpoint to a version."""
    sharing = _load(options.config)
    if options.dry_run:
        dry = {"version": options.version, "dry_run": True}
        return _run(options, "flows.promotion:promote_model", str(options.config), **dry)
    agreed, newest = _agree_to_promotion(options, sharing)
    promotion = {"version": options.version, "agreed": agreed and agreed[0], "agreed_version": newest}
    return _run(options, "flows.promotion:promote_model", str(options.config), **promotion)


def _agree_to_promotion(options: argparse.Namespace, sharing: Sharing) -> tuple[list[str] | None, int | None]:
    """As `_agree`, and the version that was shown where none was named.

    Where the promotion would take each endpoint is shown after the plan of the share that it begins with.
    """
    from crossaccount.aws.access import producing
    from crossaccount.promotion import foreseen, history, records
    from crossaccount.sharing import gather

    found: list[gather.Gathered] = []

    def make() -> list[Plan]:
        with producing(sharing) as producer:
            found.append(gather.gather(producer))
        return [gather.plan_with_users(sharing, found[0])]

    def moves() -> str:
        version, past = options.version, []
        if version is None:
            version = found[0].versions[-1].version
            with producing(sharing) as producer:
                past = list(records.read(producer, _REMEMBERED))
        of = foreseen.foresee(sharing, version, history.rolled_back_from(past, version))
        return foreseen.text(of, sharing.model_package_group)

    agreed = _agree(options, [sharing], make, moves)
    return agreed, found[0].versions[-1].version if found and options.version is None else None


def rollback(options: argparse.Namespace) -> dict[str, Any]:
    """Move a consumer's endpoint back."""
    _load(options.config, options.consumer)
    arguments = (str(options.config), options.consumer, options.reason, options.version)
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
        f"{options.out}: {len(entries)} samples of {len(files)} files, {recorded} of them recorded, {len(archive)} bytes, SHA-256 {digest}\n"
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
    _load(options.config, options.consumer)
    arguments = (str(options.config), options.consumer, options.older_than)
    return _run(options, "flows.reaper:reap_leftovers", *arguments, dry_run=options.dry_run, run=options.run)


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

    output.write(options, of_config.text().rstrip("\n"))
    return {"schema": of_config.json_schema()} if options.json else {}


def completion(options: argparse.Namespace) -> dict[str, Any]:
    """Print what makes a shell complete the command."""
    from crossaccount.cli import completing

    script = completing.script(options.shell)
    output.write(options, script)
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


def _agree(
    options: argparse.Namespace,
    sharings: Sequence[Sharing],
    make: Callable[[], list[Plan]],
    moves: Callable[[], str] | None = None,
) -> list[str] | None:
    """Show plans and ask; the hashes of the plans once agreed to, or None with --yes: then the flow may carry out any plan.

    ``sharings`` are the configs of the plans. ``moves``, for a command that changes more than policies, is what else it would change:
    that is shown last, and asked about also where no policy would change.
    """
    from crossaccount.show import plans

    if options.yes:
        return None
    if options.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError(
            f"{options.command} changes AWS, and there is no terminal to ask on. Look at the plan, then add --yes."
        )
    with live.reading(options, "reading the registry and every policy"):
        planned = make()
        more = None if moves is None else moves()
    colour = terminal.has_colour(sys.stdout)
    idle = {} if moves is None else {"idle": "No policy would change."}
    shown = [
        plans.text(plan, colour, plans.names_of(sharing), **idle)
        for sharing, plan in zip(sharings, planned, strict=True)
    ]
    output.write(options, "\n\n".join([*shown, *([] if more is None else [more])]))
    changes = moves is not None or any(plan.writes for plan in planned)
    if changes and _answer(f"{options.command}: make these changes? [y/N] ") not in ("y", "yes"):
        raise Failed("Not agreed to: nothing was changed.")
    return [plan.digest for plan in planned]


def _answer(question: str) -> str:
    try:
        return input(question).strip().lower()
    except EOFError:
        return ""
