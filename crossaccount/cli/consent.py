"""What a command shows and asks before it changes anything. Not here: making what it then does (``commands``)."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from crossaccount.cli import beforehand, live, output, terminal
from crossaccount.errors import Failed, InputError

_REMEMBERED = 200  # records that are looked through for a rollback, as the flow does

if TYPE_CHECKING:
    from crossaccount.config.model import Sharing
    from crossaccount.sharing.changes import Plan
    from crossaccount.sharing.gather import Gathered


def on_terminal(options: argparse.Namespace) -> bool:
    """Whether there is somebody to ask."""
    return not options.json and sys.stdin.isatty() and sys.stdout.isatty()


def require_terminal(options: argparse.Namespace) -> None:
    """See that there is somebody to ask, or nothing to be asked.

    Raises:
        InputError: otherwise, with the commands that show what would be changed.
    """
    if not options.yes and not on_terminal(options):
        raise InputError(
            f"{options.command} changes AWS, and there is no terminal to ask on. Look at the plan ({_looking(options)}), then add --yes."
        )


def agree(
    options: argparse.Namespace,
    sharings: Sequence[Sharing],
    make: Callable[[], list[Plan]],
    moves: Callable[[], str] | None = None,
) -> list[str] | None:
    """Show plans and ask; the hashes of the plans once agreed to, or None with --yes: then the flow may carry out any plan.

    ``sharings`` are the configs of the plans. ``moves``, for a command that changes more than policies, is what else it would change:
    that is shown last, and asked about also where no policy would change.

    Raises:
        InputError: without --yes, where there is no terminal to ask on; and where the producer's profile is missing.
        Failed: when it is not agreed to.
    """
    from crossaccount.show import plans

    require_terminal(options)
    for sharing in sharings:
        beforehand.require_profiles(sharing, [beforehand.PRODUCER])
    if options.yes:
        return None
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
    if moves is not None or any(plan.writes for plan in planned):
        ask(options)
    return [plan.digest for plan in planned]


def ask(options: argparse.Namespace) -> None:
    """Ask whether to do what was shown.

    Raises:
        Failed: for any other answer than yes.
    """
    try:
        answer = input(f"{options.command}: make these changes? [y/N] ").strip().lower()
    except EOFError:
        answer = ""
    if answer not in ("y", "yes"):
        raise Failed("Not agreed to: nothing was changed.")


def agree_to_promotion(options: argparse.Namespace, sharing: Sharing) -> tuple[list[str] | None, int | None]:
    """As `agree`, and the version that was shown where none was named.

    Where the promotion would take each endpoint is shown after the plan of the share that it begins with.
    """
    from crossaccount.aws.access import producing
    from crossaccount.promotion import foreseen, history, records
    from crossaccount.sharing import gather

    found: list[Gathered] = []

    def make() -> list[Plan]:
        with producing(sharing) as producer:
            found.append(gather.gather(producer))
        if options.version is not None:
            gather.require_version(sharing, found[0], options.version)
        return [gather.plan_with_users(sharing, found[0])]

    def moves() -> str:
        version, past = options.version, []
        if version is None:
            version = found[0].versions[-1].version
            with producing(sharing) as producer:
                past = list(records.read(producer, _REMEMBERED))
        of = foreseen.foresee(sharing, version, history.rolled_back_from(past, version))
        return foreseen.text(of, sharing.model_package_group)

    agreed = agree(options, [sharing], make, moves)
    return agreed, found[0].versions[-1].version if found and options.version is None else None


def agree_to_rollback(options: argparse.Namespace, sharing: Sharing) -> int | None:
    """On a terminal, show where the endpoint would go and ask, unless with --yes; the version to go back to.

    None is the version before the live one: nobody was asked, or it cannot be told from here.
    """
    version: int | None = options.version
    if options.yes or not on_terminal(options):
        return version
    consumer = sharing.consumers[options.consumer]
    who = f"Rollback of {sharing.model_package_group} in {options.consumer} ({consumer.account}): "
    if consumer.run_deployment is not None:
        to = f"version {version}" if version else "the version before the live one"
        output.write(
            options,
            f"{who}endpoint {consumer.endpoint.name} goes to {to}; {consumer.run_deployment} does it, so from which version cannot be told from here.",
        )
        ask(options)
        return version
    from crossaccount.aws.access import open_target, producing
    from crossaccount.promotion import back, history, records

    with live.reading(options, "looking at the endpoint"):
        with producing(sharing) as producer:
            last = history.last_move(records.read(producer, _REMEMBERED), options.consumer)
        way = back.find(open_target(sharing, options.consumer), version, last, options.reason)
    output.write(options, f"{who}endpoint {way.endpoint} {way.move}.")
    if way.to is None:
        return version
    ask(options)
    return way.to.version


def _looking(options: argparse.Namespace) -> str:
    """The commands that show what would be changed."""
    paths = options.config if isinstance(options.config, list) else [options.config]
    quoted = [shlex.quote(str(path)) for path in paths]
    if options.command == "revoke":
        scope = "--all" if options.everything else _scope(options)
        return f"crossaccount revoke {quoted[0]} {scope} --dry-run"
    shown = [f"crossaccount plan {path}" for path in quoted]
    if options.command == "promote":
        version = f" --version {options.version}" if options.version else ""
        shown.append(f"crossaccount promote {quoted[0]}{version} --dry-run")
    return ", ".join(shown)


def _scope(options: argparse.Namespace) -> str:
    given = {name: getattr(options, name) for name in ("consumer", "account", "version")}
    return " ".join(
        f"--{name} {shlex.quote(str(value))}" for name, value in given.items() if value is not None
    )
