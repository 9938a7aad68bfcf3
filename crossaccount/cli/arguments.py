"""The command's arguments: the options of each command, and their bounds. Not here: the commands (``commands``)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from crossaccount import called
from crossaccount.cli.examples import EXAMPLES
from crossaccount.errors import LAST_VERSION
from crossaccount.text import did_you_mean

DISTRIBUTION = "crossaccount-model-deployment"
SHELLS = ("bash", "zsh", "fish")


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command and its options; those of ``sandbox`` are the sandbox's own, and are unread in ``arguments``."""
    parser = make_parser()
    commands = _commands_of(parser)
    given = sys.argv[1:] if words is None else words
    if not given:
        parser.error(
            f"the following arguments are required: COMMAND. The commands: {', '.join(commands)}. COMMAND --help tells more."
        )
    if not given[0].startswith("-") and given[0] not in commands:
        near = did_you_mean(given[0], tuple(commands))
        parser.error(f"invalid choice: {given[0]!r}.{near} The commands: {', '.join(commands)}.")
    options, unread = parser.parse_known_args(given)
    if options.command != "sandbox" and unread:
        known = commands[options.command]._option_string_actions  # argparse has no public list of them
        near = did_you_mean(unread[0].partition("=")[0], tuple(known))
        commands[options.command].error(f"unrecognized arguments: {' '.join(unread)}.{near}")
    return argparse.Namespace(**{"json": False, **vars(options)}, arguments=unread)


def _commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parser of each command."""
    (found,) = (
        action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    )
    return dict(found)


def _whole_number(least: int, greatest: int, noun: str) -> Callable[[str], int]:
    """A reader of whole numbers within bounds; ``noun`` ends the message for any other text."""

    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= greatest:
            raise argparse.ArgumentTypeError(f"{text!r} is not {noun}")
        return int(text)

    return read


def _positive(limit: float) -> Callable[[str], float]:
    """A reader of numbers above 0 and below a limit."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = 0.0
        if not 0 < number < limit:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 and below {limit:g}")
        return number

    return read


_VERSION = _whole_number(1, LAST_VERSION, "a version: give its number, for example 2")
_MINUTES = _whole_number(0, 999_999, "a number of minutes: give 90 or more")
_PORT = _whole_number(0, 65_535, "a port: give 0 to 65535")
_SILENCE = _whole_number(
    31, 86_400, "a number of seconds: give 31 to 86400, and more than PREFECT_FLOWS_HEARTBEAT_FREQUENCY"
)


def _option(*names: str, **settings: Any) -> argparse.ArgumentParser:
    """An option that several commands have."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(*names, **settings)
    return parser


class _Help(argparse.HelpFormatter):
    """Help as wide as the terminal; the example stays in one line, so that it can be copied."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("example: ") else super()._fill_text(text, width, indent)


class _Version(argparse.Action):
    """Print the version of the installed distribution, which is looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"crossaccount {version(DISTRIBUTION)}")  # noqa: T201 - the result
        parser.exit()


def make_parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    about = "Share SageMaker model versions across AWS accounts."
    parser = argparse.ArgumentParser(prog="crossaccount", description=about)
    shown = "show the version and end"
    parser.add_argument("--version", action=_Version, nargs=0, default=argparse.SUPPRESS, help=shown)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    json = _option("--json", action="store_true", help="one JSON object on stdout, logs on stderr")
    reviewed = "a reviewed YAML file, see configs/example.yaml"
    config = _option("config", type=Path, metavar="CONFIG", help=reviewed)
    consumer = _option("--consumer", metavar="NAME", help="a consumer of the config; has to be named")
    any_consumer = _option("--consumer", metavar="NAME", help="only this consumer; all by default")
    newest = "a version; the newest approved one by default"
    version = _option("--version", type=_VERSION, metavar="N", help=newest)
    yes = _option("--yes", action="store_true", help="do not ask")
    cases = "also write a test case for each answer as JUnit XML, however it ends"
    page = "also append what came of it as Markdown, however it ends, for example to $GITHUB_STEP_SUMMARY"
    reports = (
        _option("--junit", type=Path, metavar="FILE", help=cases),
        _option("--summary", type=Path, metavar="FILE", help=page),
    )

    def command(name: str, text: str, *options: argparse.ArgumentParser) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=text,
            description=text,
            parents=[*options, json],
            epilog=f"example: {called.as_typed(EXAMPLES[name], tuple(EXAMPLES))}",
            formatter_class=_Help,
        )

    served = "Serve an emulated AWS that refuses, until SIGTERM or Ctrl-C."
    commands.add_parser("sandbox", help=served, add_help=False)

    begun = "Write a first config and the parameters of both stacks, of what the accounts show. Changes nothing in AWS."
    init = command("init", begun, yes)
    file = (
        "the file that is written (default GROUP.yaml); one that is there is changed once that is agreed to"
    )
    init.add_argument("config", type=Path, nargs="?", metavar="CONFIG", help=file)
    init.add_argument("--group", metavar="NAME", help="the model package group whose versions are shared")
    init.add_argument("--region", metavar="REGION", help="its region")
    init.add_argument("--producer", metavar="PROFILE", help="an AWS profile of the account that owns it")
    takers = "an AWS profile of an account that deploys, which it also names unless NAME does; once for each"
    init.add_argument("--consumer", action="append", metavar="[NAME=]PROFILE", help=takers)
    where = "where Releases are published (default: releases/ in the bucket of the artifacts)"
    init.add_argument("--releases", metavar="S3_URI", help=where)
    serves = "what serves the endpoints (default: one that all versions support)"
    init.add_argument("--instance-type", metavar="TYPE", help=serves)
    outputs = "take roles and external ids from the outputs of stacks that are deployed"
    init.add_argument("--from-stacks", action="store_true", help=outputs)

    plan = command("plan", "Show the plan of a share. Changes nothing.", config)
    plan.add_argument("--out", type=Path, metavar="FILE", help="also write it, for share --plan FILE")
    plan.add_argument("--prune", action="store_true", help="as for share")
    plan.add_argument("--force", action="store_true", help="as for share")

    share = command(
        "share", "Grant the access that the config names, and publish a Release of every version.", yes
    )
    files = f"{reviewed}, or several, one for each group; with --plan, the plan's by default"
    share.add_argument("config", type=Path, nargs="*", metavar="CONFIG", help=files)
    exactly = "apply exactly this plan, written by plan --out; does not ask"
    share.add_argument("--plan", type=Path, metavar="FILE", help=exactly)
    pruned = "take out every account that the config does not name from the statements of this project"
    share.add_argument("--prune", action="store_true", help=pruned)
    forced = "with --prune, also when live endpoints still run on versions that are no longer shared"
    share.add_argument("--force", action="store_true", help=forced)

    check = command(
        "check", "See whether the access that a config promises is there.", config, any_consumer, *reports
    )
    check.add_argument("--no-probe", action="store_true", help="create no model in the consumers' accounts")
    check.add_argument("--repair", action="store_true", help="show the plan that repairs it")

    proved = "Deploy a shared version in a consumer's account and prove it."
    deploy = command("deploy", proved, config, consumer, version, *reports)
    deploy.add_argument("--keep", action="store_true", help="leave the endpoint in service")
    foreseen = "see what would be made, and that nothing stands in its way, and change nothing"
    deploy.add_argument("--dry-run", action="store_true", help=foreseen)

    revoke = command("revoke", "Take access back. Changes only this project's statements.", config, yes)
    scope = revoke.add_mutually_exclusive_group(required=True)
    scope.add_argument("--consumer", metavar="NAME", help="a consumer of the config")
    scope.add_argument("--account", metavar="ID", help="an account, whether the config names it or not")
    scope.add_argument("--version", type=_VERSION, metavar="N", help="a version that the config lists")
    whole = "everything that was granted for the group, to anybody"
    scope.add_argument("--all", dest="everything", action="store_true", help=whole)
    revoke.add_argument(
        "--force",
        action="store_true",
        help="also when live endpoints still use it, or a part may not be read",
    )
    revoke.add_argument("--dry-run", action="store_true", help="show the plan, and change nothing")

    moved = "Bring every consumer's endpoint to a version, stage by stage."
    promote = command("promote", moved, config, version, yes, *reports)
    dry = "show the plan, the stages, and what the registry would be told, and change nothing"
    promote.add_argument("--dry-run", action="store_true", help=dry)

    unasked = _option(
        "--yes", action="store_true", help="do not ask on a terminal; elsewhere nothing is asked"
    )
    gone_back = "Move a consumer's endpoint back to the version before."
    rollback = command("rollback", gone_back, config, consumer, unasked)
    rollback.add_argument("--reason", required=True, metavar="TEXT", help="why, for the record")
    earlier = "an earlier version that is still kept"
    rollback.add_argument("--version", type=_VERSION, metavar="N", help=earlier)

    history = command("history", "List promotions and rollbacks, the newest first.", config)
    history.add_argument("--newest", type=_VERSION, default=20, metavar="N", help="how many (default 20)")

    packed = "Make the archive of samples that a version is registered with, of a folder of questions. Changes nothing in AWS."
    samples = command("samples", packed, config)
    questions = "a folder whose *.json and *.yaml have questions, in the keys of smoke"
    samples.add_argument("--from", dest="folder", type=Path, required=True, metavar="DIR", help=questions)
    archive = "the archive that is written (default samples.tar.gz)"
    samples.add_argument("--out", type=Path, default=Path("samples.tar.gz"), metavar="FILE", help=archive)
    put = "put each question to this consumer's live endpoint, and expect what it answers"
    samples.add_argument("--record", metavar="CONSUMER", help=put)
    samples.add_argument("--endpoint", metavar="NAME", help="with --record: another endpoint of that account")
    for name, what in (("absolute", "by how much"), ("relative", "by which part of itself")):
        near = f"with --record: {what} a number of an answer with fractions may differ later"
        samples.add_argument(f"--{name}", type=_positive(1e300), metavar="X", help=near)
    spared = "with --absolute or --relative: which part of the numbers may differ by more"
    samples.add_argument("--share", type=_positive(1), metavar="X", help=spared)

    ui = command("ui", "Serve the product in a browser, with a sandbox of its own, until SIGTERM or Ctrl-C.")
    ui.add_argument("--port", type=_PORT, default=4200, help="of Prefect (default 4200); 0 picks a free one")

    purpose = "Remove the leftovers of dead runs in the consumers' accounts."
    reap = command("reap", purpose, config, any_consumer, unasked)
    which = reap.add_mutually_exclusive_group()
    age = "90 or more (default 180)"
    which.add_argument("--older-than", type=_MINUTES, default=180, metavar="MINUTES", help=age)
    of_run = "those of this flow run, whatever their age; only once Prefect's server knows that it has ended"
    which.add_argument("--run", metavar="ID", help=of_run)
    reap.add_argument("--dry-run", action="store_true", help="only list what would be removed")

    where = "Say where the files are that are shipped beside the code: configs, deployments, templates."
    shipped = command("files", where)
    shipped.add_argument("--to", type=Path, metavar="DIR", help="copy them there; over no other file")

    stacks = "Show what the accounts' stacks of roles are told, or in what the deployed roles differ from it. Changes nothing."
    roles = command("roles", stacks, config, any_consumer)
    written = "also write parameters, templates, commands, a StackSet's files and a Terraform module"
    roles.add_argument("--out", type=Path, metavar="DIR", help=written)
    compared = "compare the deployed roles, statement by statement"
    roles.add_argument("--check", action="store_true", help=compared)
    told = "a parameter of the templates, of one side as SIDE.NAME=VALUE; several times for several"
    roles.add_argument("--parameter", action="append", metavar="NAME=VALUE", help=told)

    known = "See everything that can be known before a first share: yes, no, or cannot tell. Changes nothing."
    command("doctor", known, config, any_consumer)

    noticed = "Have the Prefect server notice runs that lost their host. A second time changes nothing."
    automations = command("automations", noticed)
    silence = "after so many seconds without a heartbeat (default 600, for a heartbeat of 180 s)"
    automations.add_argument("--silent-seconds", type=_SILENCE, metavar="N", help=silence)
    told = "also send notifications there (or CROSSACCOUNT_NOTIFY_URL); Prefect keeps it encrypted"
    automations.add_argument("--notify-url", metavar="URL", help=told)

    command("schema", "Print the JSON schema of a config (draft 2020-12), for editors.")

    completed = "Print what makes a shell complete commands, options, files and consumers."
    completion = command("completion", completed)
    completion.add_argument("shell", choices=SHELLS, metavar="SHELL", help=" or ".join(SHELLS))

    command("demo", "Tell the whole story against a sandbox of its own.")
    return parser
