"""The ``crossaccount`` command: reads arguments, shows plans, asks before it changes anything, starts the flows.

Exit codes: 0 done or nothing to do, 1 failed, 2 bad input, 3 refused by AWS, or access missing that a config promises. With ``--json`` stdout carries one object
and nothing else; logs go to stderr. Not here: any step of the work. Prefect is imported only by the commands that run a
flow, and only once their input holds.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from crossaccount.errors import (
    AccessMissing,
    ConfigError,
    CrossAccountError,
    Failed,
    InputError,
    PlanRefused,
    PromotionFailed,
    Refused,
)

if TYPE_CHECKING:
    from crossaccount.audit import Audit
    from crossaccount.config import Sharing
    from crossaccount.plan import Plan
    from flows.groups import SharedGroups
    from flows.producer import Revoked, Shared
    from flows.promotion import Promotion
    from flows.reaper import Reaped

ROOT = Path(__file__).resolve().parents[1]
_SERVER_START_SECONDS = (
    "120"  # Prefect's own 20 s are too short for a first start, which migrates a new database
)
# So many new objects, not Python's 700, before they are looked through for garbage: a start makes many and drops few.
_GARBAGE = 50_000


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and end the process with its exit code."""
    gc.set_threshold(_GARBAGE)
    options = _parser().parse_args(arguments)
    try:
        result = options.run(options)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception as error:
        from crossaccount import refusals

        told = refusals.told(error)
        if told is None:
            raise
        _end(options, told)
    if options.json and result is not None:
        print(json.dumps({"ok": True, **result}))  # noqa: T201 - the command's result
    raise SystemExit(0)


def _end(options: argparse.Namespace, error: CrossAccountError) -> NoReturn:
    if options.json:
        print(json.dumps({"ok": False, "exit_code": error.exit_code, "error": _error_json(error)}))  # noqa: T201
    else:
        _say("\n".join([f"error: {error}", *getattr(error, "__notes__", ())]))
    raise SystemExit(error.exit_code)


def _error_json(error: CrossAccountError) -> dict[str, Any]:
    known: dict[str, Any] = {"kind": type(error).__name__, "message": str(error)}
    if isinstance(error, Refused):
        known["refusal"] = asdict(error.refusal)
    if isinstance(error, ConfigError):
        known["faults"] = [asdict(fault) for fault in error.faults]
    if isinstance(error, PlanRefused):
        known["reasons"] = list(error.reasons)
        known["findings"] = [asdict(finding) for finding in error.findings]
    if isinstance(error, AccessMissing):
        known["audit"] = error.audit
    if isinstance(error, PromotionFailed):
        known["promotion"] = error.promotion
    if notes := getattr(error, "__notes__", ()):
        known["notes"] = list(notes)
    return known


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 - for a person, beside the result


def _out(options: argparse.Namespace, text: str) -> None:
    if not options.json:
        print(text)  # noqa: T201 - the command's result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="crossaccount", description="Share SageMaker model versions across AWS accounts."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], Any], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.add_argument("--json", action="store_true", help="one JSON object on stdout, logs on stderr")
        added.set_defaults(run=run)
        return added

    def takes_config(added: argparse.ArgumentParser) -> argparse.ArgumentParser:
        added.add_argument(
            "config", type=Path, metavar="CONFIG", help="a reviewed YAML file, see configs/example.yaml"
        )
        return added

    sandbox = command("sandbox", _sandbox, "Serve an emulated AWS that refuses, until SIGTERM or Ctrl-C.")
    sandbox.add_argument("--port", type=_port, default=0, help="0 picks a free one (default)")
    sandbox.add_argument(
        "--endpoint-seconds", type=_seconds, default=1.0, help="how long endpoints stay Creating"
    )
    sandbox.add_argument("--verbose", action="store_true", help="log every refusal to stderr")
    sandbox.add_argument(
        "--consumers", type=_count, default=0, metavar="N", help="N further consumer accounts (default 0)"
    )
    sandbox.add_argument(
        "--control", action="store_true", help="let faults and outcomes be arranged at /_sandbox/"
    )
    sandbox.add_argument(
        "--speed", type=_speed, default=1.0, help="how many of AWS's seconds a bake or wait passes in one"
    )
    sandbox.add_argument(
        "--faults",
        metavar="FILE",
        help="JSON: a list of faults that befall calls, see crossaccount_sandbox/faults.py",
    )
    sandbox.add_argument("--log", metavar="FILE", help="append one line of JSON for each request")
    sandbox.add_argument(
        "--credentials-log",
        metavar="FILE",
        help="append every access key that is handed out, secrets included: to search for them where none may be",
    )

    plan = takes_config(command("plan", _plan, "Show what share would change. Changes nothing."))
    plan.add_argument("--out", type=Path, metavar="FILE", help="also write it, for share --plan FILE")
    plan.add_argument("--prune", action="store_true", help="as for share")

    share = command("share", _share, "Grant what the config says, and publish a Release of every version.")
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

    check = takes_config(command("check", _check, "See whether the access that a config promises is there."))
    check.add_argument("--consumer", metavar="NAME", help="only this consumer; all by default")
    check.add_argument("--no-probe", action="store_true", help="create no model in the consumers' accounts")
    check.add_argument("--repair", action="store_true", help="show the plan that mends it")

    deploy = takes_config(
        command("deploy", _deploy, "Deploy a shared version in a consumer's account and prove it.")
    )
    deploy.add_argument("--consumer", required=True, metavar="NAME", help="a consumer of the config")
    deploy.add_argument(
        "--version", type=_version, metavar="N", help="a version; the newest approved one by default"
    )
    deploy.add_argument("--keep", action="store_true", help="leave the endpoint in service")

    revoke = takes_config(command("revoke", _revoke, "Take access back. Changes what is ours alone."))
    what = revoke.add_mutually_exclusive_group(required=True)
    what.add_argument("--consumer", metavar="NAME", help="a consumer of the config")
    what.add_argument("--account", metavar="ID", help="an account, whether the config names it or not")
    what.add_argument("--version", type=_version, metavar="N", help="a version that the config lists")
    what.add_argument("--all", action="store_true", help="whatever was granted for the group, to whomever")
    revoke.add_argument("--force", action="store_true", help="also when live endpoints still use it")
    revoke.add_argument("--yes", action="store_true", help="do not ask")

    promote = takes_config(
        command("promote", _promote, "Bring every consumer's endpoint to a version, stage by stage.")
    )
    promote.add_argument(
        "--version", type=_version, metavar="N", help="a version; the newest approved one by default"
    )
    promote.add_argument("--yes", action="store_true", help="do not ask")

    rollback = takes_config(
        command("rollback", _rollback, "Move a consumer's endpoint back to the version before.")
    )
    rollback.add_argument("--consumer", required=True, metavar="NAME", help="a consumer of the config")
    rollback.add_argument("--reason", required=True, metavar="TEXT", help="why, for the record")
    rollback.add_argument(
        "--version", type=_version, metavar="N", help="an earlier version that is still kept"
    )

    history = takes_config(command("history", _history, "List promotions and rollbacks, the newest first."))
    history.add_argument("--newest", type=_version, default=20, metavar="N", help="how many (default 20)")

    shown = command(
        "ui", _ui, "Serve the product in a browser, with a sandbox of its own, until SIGTERM or Ctrl-C."
    )
    shown.add_argument(
        "--port", type=_port, default=4200, help="of the Prefect server (default 4200); 0 picks a free one"
    )
    reap = takes_config(command("reap", _reap, "Remove what runs that died left in the consumers' accounts."))
    reap.add_argument("--consumer", metavar="NAME", help="only this consumer; all by default")
    reap.add_argument(
        "--older-than", type=_minutes, default=180, metavar="MINUTES", help="90 or more (default 180)"
    )
    reap.add_argument("--dry-run", action="store_true", help="only say what would be removed")

    automations = command(
        "automations",
        _automations,
        "Have the Prefect server notice runs whose host was lost. Again changes nothing.",
    )
    automations.add_argument(
        "--silent-seconds",
        type=_silence,
        metavar="N",
        help="after how long without a heartbeat (default 600, for a heartbeat of 180 s)",
    )

    command("demo", _demo, "Tell the whole story against a sandbox of its own.")
    return parser


def _version(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 999_999_999:
        raise argparse.ArgumentTypeError(f"{text!r} is not a version: give its number, for example 2")
    return int(text)


def _minutes(text: str) -> int:
    if not text.isdecimal() or int(text) > 999_999:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes: give 90 or more")
    return int(text)


def _silence(text: str) -> int:
    if not text.isdecimal() or not 31 <= int(text) <= 86_400:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds: give 31 to 86400, and more than PREFECT_FLOWS_HEARTBEAT_FREQUENCY"
        )
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: give 0 to 65535")
    return int(text)


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.001 <= speed <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a speed: give 0.001 to 1000000")
    return speed


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > 99:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of accounts: give 0 to 99")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds: give 0 to 3600")
    return seconds


def _sandbox(options: argparse.Namespace) -> None:
    _need_sandbox()
    arguments = [
        "--templates",
        str(ROOT / "deployments" / "iam"),
        "--config",
        str(ROOT / "configs" / "sandbox.yaml"),
    ]
    arguments += ["--port", str(options.port), "--endpoint-seconds", str(options.endpoint_seconds)]
    arguments += ["--consumers", str(options.consumers)] if options.consumers else []
    arguments += ["--control"] * options.control
    arguments += ["--speed", str(options.speed)] if options.speed != 1.0 else []
    arguments += ["--faults", options.faults] if options.faults else []
    arguments += ["--log", options.log] if options.log else []
    arguments += ["--credentials-log", options.credentials_log] if options.credentials_log else []
    arguments += ["--json"] * options.json + ["--verbose"] * options.verbose
    # In place of this process: inference processes look at their parent's main module, which must be a light one.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "crossaccount_sandbox", *arguments])  # noqa: S606 - no shell, our own module


def _need_sandbox() -> None:
    if find_spec("moto") is None or find_spec("sklearn") is None:
        raise InputError(
            "The sandbox is not installed here. It runs from a checkout of the project: make install."
        )


def _load(path: Path, consumer: str | None = None) -> Sharing:
    """The config; it must name the consumer, if one is given."""
    from crossaccount import config

    sharing = config.load(path)
    if consumer is not None:
        config.consumer(sharing, consumer)
    return sharing


def _plan(options: argparse.Namespace) -> dict[str, Any]:
    sharing = _load(options.config)
    from crossaccount import gather, planfile, render

    found = gather.share_plan(sharing, options.prune)
    _out(options, render.text(found, colour=sys.stdout.isatty()))
    if options.out is not None:
        planfile.write(options.out, options.config, found, options.prune)
    return render.to_json(found)


def _share(options: argparse.Namespace) -> dict[str, Any]:
    from crossaccount import gather, planfile

    if len(options.config) > 1:
        return _share_groups(options)
    given = options.config[0] if options.config else None
    if options.plan is not None:
        if options.prune:
            raise InputError("--prune belongs to the plan: crossaccount plan CONFIG --prune --out FILE.")
        planned = planfile.read(options.plan)
        path, prune = given or planned.config, planned.prune
        sharing = _load(path)
        agreed: str | None = planfile.confirmed(planned, gather.share_plan(sharing, prune))
    elif given is not None:
        path, prune = given, options.prune
        sharing = _load(path)
        agreed = _agree(options, "share", lambda: gather.share_plan(sharing, prune))
    else:
        raise InputError("Name the config, or a plan with --plan FILE: crossaccount share CONFIG.")
    _prepare_prefect()
    from flows.producer import share_models

    shared: Shared = _run(lambda: share_models(str(path), prune=prune, agreed=agreed))
    _out(options, shared.table())
    return shared.to_json()


def _share_groups(options: argparse.Namespace) -> dict[str, Any]:
    from crossaccount import gather

    for given, name in ((options.plan, "--plan"), (options.prune, "--prune")):
        if given:
            raise InputError(f"{name} is for one config: share the others with another command.")
    if len(set(options.config)) < len(options.config):
        raise InputError("CONFIG: a file is named twice. Name each once.")
    sharings = [_load(path) for path in options.config]
    agreed = _agree_all(options, "share", lambda: [gather.share_plan(sharing) for sharing in sharings])
    _prepare_prefect()
    from flows.groups import share_groups

    paths = [str(path) for path in options.config]
    done: SharedGroups = _run(lambda: share_groups(paths, agreed=agreed))
    _out(options, done.table())
    return done.to_json()


def _revoke(options: argparse.Namespace) -> dict[str, Any]:
    from crossaccount import revoke

    sharing = _load(options.config)
    what = {
        "consumer": options.consumer,
        "account": options.account,
        "version": options.version,
        "everything": options.all,
    }
    revocation = revoke.chosen(sharing, **what)
    agreed = _agree(options, "revoke", lambda: revoke.make_plan(sharing, revocation, options.force))
    _prepare_prefect()
    from flows.producer import revoke_access

    revoked: Revoked = _run(
        lambda: revoke_access(str(options.config), **what, force=options.force, agreed=agreed)
    )
    _out(options, revoked.summary())
    return revoked.to_json()


def _check(options: argparse.Namespace) -> dict[str, Any]:
    _load(options.config, options.consumer)
    _prepare_prefect()
    from flows.audit import check_access

    probe = not options.no_probe
    try:
        report: Audit = _run(
            lambda: check_access(str(options.config), options.consumer, probe, options.repair)
        )
    except AccessMissing as error:
        _out(options, error.table)
        raise
    _out(options, report.text(colour=sys.stdout.isatty()))
    return report.to_json()


def _deploy(options: argparse.Namespace) -> dict[str, Any]:
    _load(options.config, options.consumer)
    _prepare_prefect()
    from flows.consumer import deploy_model

    deployment = _run(
        lambda: deploy_model(str(options.config), options.consumer, options.version, options.keep)
    )
    _out(options, deployment.table())
    return deployment.to_json()


def _promote(options: argparse.Namespace) -> dict[str, Any]:
    from crossaccount import gather

    sharing = _load(options.config)
    agreed = _agree(options, "promote", lambda: gather.share_plan(sharing), always=True)
    _prepare_prefect()
    from flows.promotion import promote_model

    return _promoted(
        options, lambda: promote_model(str(options.config), version=options.version, agreed=agreed)
    )


def _rollback(options: argparse.Namespace) -> dict[str, Any]:
    _load(options.config, options.consumer)
    _prepare_prefect()
    from flows.promotion import rollback_model

    return _promoted(
        options,
        lambda: rollback_model(str(options.config), options.consumer, options.reason, options.version),
    )


def _promoted(options: argparse.Namespace, flow: Callable[[], Promotion]) -> dict[str, Any]:
    try:
        found: Promotion = _run(flow)
    except PromotionFailed as error:
        _out(options, error.table)
        raise
    _out(options, found.table())
    return found.to_json()


def _history(options: argparse.Namespace) -> dict[str, Any]:
    from crossaccount import gather, records, sessions

    sharing = _load(options.config)
    with gather.explained(sharing):
        clients = gather.Clients.of(sessions.producer_session(sharing), sharing.region)
        found = records.read(clients, sharing, options.newest)
    _out(options, "\n".join(record.line() for record in found) or "No promotion is on record.")
    return {"records": [record.model_dump(mode="json") for record in found]}


def _reap(options: argparse.Namespace) -> dict[str, Any]:
    from crossaccount import reaper

    reaper.age(options.older_than)
    _load(options.config, options.consumer)
    _prepare_prefect()
    from flows.reaper import reap_leftovers

    reaped: Reaped = _run(
        lambda: reap_leftovers(
            str(options.config), options.consumer, options.older_than, dry_run=options.dry_run
        )
    )
    _out(options, reaped.table())
    return reaped.to_json()


def _automations(options: argparse.Namespace) -> dict[str, Any]:
    from prefect.settings import PREFECT_API_URL

    if not PREFECT_API_URL.value():
        raise InputError("Automations are of a Prefect server: name it in PREFECT_API_URL.")
    from flows import automations

    found = _run(lambda: automations.apply(options.silent_seconds))
    _out(options, "\n".join(f"{what}: {name}" for name, what in found.items()))
    return {"automations": found}


def _demo(options: argparse.Namespace) -> dict[str, Any]:
    _need_sandbox()
    from crossaccount import demo

    return demo.tell(options.json)


def _ui(options: argparse.Namespace) -> None:
    _need_sandbox()
    from crossaccount import ui

    ui.show(options.port, options.json)


def _agree(
    options: argparse.Namespace, verb: str, make: Callable[[], Plan], always: bool = False
) -> str | None:
    """Show the plan and ask; the hash of what was agreed to, or None with --yes: then whatever the flow plans.

    ``always`` asks also where no policy would change: more than policies is at stake.
    """
    agreed = _agree_all(options, verb, lambda: [make()], always)
    return agreed[0] if agreed else None


def _agree_all(
    options: argparse.Namespace, verb: str, make: Callable[[], list[Plan]], always: bool = False
) -> list[str] | None:
    """As `_agree`, for several plans and one answer."""
    from crossaccount import render

    if options.yes:
        return None
    if options.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError(
            f"{verb} changes what stands in AWS, and there is no terminal to ask on. Look at the plan, then add --yes."
        )
    plans = make()
    print("\n\n".join(render.text(one, colour=True) for one in plans))  # noqa: T201 - a person is asked about it
    changes = always or any(one.writes for one in plans)
    if changes and _answer(f"{verb}: make these changes? [y/N] ") not in ("y", "yes"):
        raise Failed("Not agreed to: nothing was changed.")
    return [one.digest for one in plans]


def _answer(question: str) -> str:
    try:
        return input(question).strip().lower()
    except EOFError:
        return ""


def _prepare_prefect() -> None:
    """Have the flows run on the configured Prefect server, or say that a temporary one is started."""
    # Prefect cleans up on SIGTERM and then sends it again: left to the default it would end us before the temporary
    # server is stopped.
    signal.signal(signal.SIGTERM, _terminated)
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", _SERVER_START_SECONDS)
    from prefect.settings import PREFECT_API_URL

    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_not_told)

    if not PREFECT_API_URL.value():
        os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        _say("No Prefect server is configured (PREFECT_API_URL): starting a temporary one for this run.")


def _terminated(signum: int, frame: object) -> NoReturn:
    raise SystemExit(128 + signum)


_Result = TypeVar("_Result")


def _run(flow: Callable[[], _Result]) -> _Result:
    """Run a flow; a Prefect server that does not answer is said in one line."""
    try:
        return flow()
    except RuntimeError as error:
        if not str(error).startswith("Failed to reach API"):
            raise
        raise Failed(
            f"The Prefect server does not answer: {error}. Check PREFECT_API_URL, or unset it."
        ) from None


def _not_told(record: logging.LogRecord) -> bool:
    """An error made for a person is said once, at the end; Prefect would log it too."""
    raised = record.exc_info[1] if record.exc_info else None
    return not (getattr(record, "told", False) or isinstance(raised, CrossAccountError))
