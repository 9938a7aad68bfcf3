"""The command's arguments: what each command takes, and what bad ones are told. Not here: what a command does (``commands``)."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from crossaccount.errors import LAST_VERSION


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command and its options; those of ``sandbox`` are the sandbox's own, and stand unread in ``arguments``.

    Args:
        words: of the command line, after the program's name; the process's own by default.

    Raises:
        SystemExit: for bad ones (2), and after ``--help`` (0).
    """
    parser = _parser()
    options, unread = parser.parse_known_args(words)
    if options.command != "sandbox" and unread:
        parser.error(f"unrecognized arguments: {' '.join(unread)}")
    return argparse.Namespace(**{"json": False, **vars(options)}, arguments=unread)


def _whole(least: int, most: int, what: str) -> Callable[[str], int]:
    """The reader of a whole number within bounds; ``what`` ends the message that any other text is answered with."""

    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
        return int(text)

    return read


_VERSION = _whole(1, LAST_VERSION, "a version: give its number, for example 2")
_MINUTES = _whole(0, 999_999, "a number of minutes: give 90 or more")
_PORT = _whole(0, 65_535, "a port: give 0 to 65535")
_SILENCE = _whole(
    31, 86_400, "a number of seconds: give 31 to 86400, and more than PREFECT_FLOWS_HEARTBEAT_FREQUENCY"
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="crossaccount", description="Share SageMaker model versions across AWS accounts."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.add_argument("--json", action="store_true", help="one JSON object on stdout, logs on stderr")
        return added

    def with_config(name: str, text: str) -> argparse.ArgumentParser:
        added = command(name, text)
        added.add_argument(
            "config", type=Path, metavar="CONFIG", help="a reviewed YAML file, see configs/example.yaml"
        )
        return added

    commands.add_parser(
        "sandbox", help="Serve an emulated AWS that refuses, until SIGTERM or Ctrl-C.", add_help=False
    )

    plan = with_config("plan", "Show what share would change. Changes nothing.")
    plan.add_argument("--out", type=Path, metavar="FILE", help="also write it, for share --plan FILE")
    plan.add_argument("--prune", action="store_true", help="as for share")

    share = command("share", "Grant what the config says, and publish a Release of every version.")
    share.add_argument(
        "config",
        type=Path,
        nargs="*",
        metavar="CONFIG",
        help="a reviewed YAML file, or several, one for each group; with --plan, the plan's by default",
    )
    share.add_argument("--yes", action="store_true", help="do not ask")
    share.add_argument(
        "--plan",
        type=Path,
        metavar="FILE",
        help="apply exactly this plan, written by plan --out; does not ask",
    )
    share.add_argument(
        "--prune",
        action="store_true",
        help="take out every account that the config does not name from the statements of this project",
    )

    check = with_config("check", "See whether the access that a config promises is there.")
    check.add_argument("--consumer", metavar="NAME", help="only this consumer; all by default")
    check.add_argument("--no-probe", action="store_true", help="create no model in the consumers' accounts")
    check.add_argument("--repair", action="store_true", help="show the plan that mends it")

    deploy = with_config("deploy", "Deploy a shared version in a consumer's account and prove it.")
    deploy.add_argument("--consumer", required=True, metavar="NAME", help="a consumer of the config")
    deploy.add_argument(
        "--version", type=_VERSION, metavar="N", help="a version; the newest approved one by default"
    )
    deploy.add_argument("--keep", action="store_true", help="leave the endpoint in service")

    revoke = with_config("revoke", "Take access back. Changes what is ours alone.")
    scope = revoke.add_mutually_exclusive_group(required=True)
    scope.add_argument("--consumer", metavar="NAME", help="a consumer of the config")
    scope.add_argument("--account", metavar="ID", help="an account, whether the config names it or not")
    scope.add_argument("--version", type=_VERSION, metavar="N", help="a version that the config lists")
    scope.add_argument("--all", action="store_true", help="whatever was granted for the group, to whomever")
    revoke.add_argument("--force", action="store_true", help="also when live endpoints still use it")
    revoke.add_argument("--yes", action="store_true", help="do not ask")

    promote = with_config("promote", "Bring every consumer's endpoint to a version, stage by stage.")
    promote.add_argument(
        "--version", type=_VERSION, metavar="N", help="a version; the newest approved one by default"
    )
    promote.add_argument("--yes", action="store_true", help="do not ask")

    rollback = with_config("rollback", "Move a consumer's endpoint back to the version before.")
    rollback.add_argument("--consumer", required=True, metavar="NAME", help="a consumer of the config")
    rollback.add_argument("--reason", required=True, metavar="TEXT", help="why, for the record")
    rollback.add_argument(
        "--version", type=_VERSION, metavar="N", help="an earlier version that is still kept"
    )

    history = with_config("history", "List promotions and rollbacks, the newest first.")
    history.add_argument("--newest", type=_VERSION, default=20, metavar="N", help="how many (default 20)")

    ui = command("ui", "Serve the product in a browser, with a sandbox of its own, until SIGTERM or Ctrl-C.")
    ui.add_argument(
        "--port", type=_PORT, default=4200, help="of the Prefect server (default 4200); 0 picks a free one"
    )
    reap = with_config("reap", "Remove what runs that died left in the consumers' accounts.")
    reap.add_argument("--consumer", metavar="NAME", help="only this consumer; all by default")
    reap.add_argument(
        "--older-than", type=_MINUTES, default=180, metavar="MINUTES", help="90 or more (default 180)"
    )
    reap.add_argument("--dry-run", action="store_true", help="only say what would be removed")

    automations = command(
        "automations",
        "Have the Prefect server notice runs whose host was lost. Again changes nothing.",
    )
    automations.add_argument(
        "--silent-seconds",
        type=_SILENCE,
        metavar="N",
        help="after how long without a heartbeat (default 600, for a heartbeat of 180 s)",
    )

    command("demo", "Tell the whole story against a sandbox of its own.")
    return parser
