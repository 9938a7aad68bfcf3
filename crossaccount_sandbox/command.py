"""The sandbox as a command: start, say where it is, serve until SIGTERM, Ctrl-C, or the end of whoever started it.

The start is quick: the models train in a process of their own from the first moment on, and moto and boto3 are imported meanwhile.

Not here: what it serves (``server``) and who lives in it (``accounts``).
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossaccount_sandbox import training
from crossaccount_sandbox.sagemaker import containers

if TYPE_CHECKING:
    from crossaccount_sandbox.accounts import Credentials, Residents
    from crossaccount_sandbox.callers import Issued, Key
    from crossaccount_sandbox.faults import Rule
    from crossaccount_sandbox.guard import Log
    from crossaccount_sandbox.principals import Account
    from crossaccount_sandbox.sagemaker.image_commands import ImageCommand


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; returns when the sandbox was told to stop."""
    parser = _parser()
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, stream=sys.stderr)
    stopped = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stopped.set())
    log = _opened(parser, options.log)
    issued = _opened(parser, options.credentials_log)
    # Moto and AWS's service descriptions are half a million objects that stay. Python's default is to go through them again
    # and again for garbage, which took a third of the start.
    gc.set_threshold(50_000, 20, 100)
    containers.warm()
    trained = training.begin()
    _forget_machine()
    _share_descriptions()

    from crossaccount_sandbox.accounts import ACCOUNTS, bare, further, settle
    from crossaccount_sandbox.server import Server

    faults = _faults(parser, options.faults)
    commands = _image_commands(parser, options.image_commands)
    accounts = [*ACCOUNTS, *further(options.consumers)]
    empty = bare(options.bare)
    pace = {"endpoint_seconds": options.endpoint_seconds, "speed": options.speed}
    pace |= {"task_session_seconds": options.task_session_seconds}
    server = Server(
        [*accounts, *empty], options.port, **pace, log=log, control=options.control, issued=_issued(issued)
    )
    server.images.add(commands)
    server.start()
    try:
        with tempfile.TemporaryDirectory(prefix="crossaccount-sandbox-") as folder:
            residents = settle(server.url, options.templates, accounts, trained, server.stacks, empty)
            gc.freeze()
            server.faults.add(*faults)
            if issued is not None:
                _tell_residents(issued, residents)
            _announce(options, [*accounts, *empty], server.url, residents, Path(folder))
            while not stopped.wait(_LOOK_SECONDS):
                if options.exit_with_parent and os.getppid() != options.exit_with_parent:
                    break
    finally:
        server.stop()


_LOOK_SECONDS = 0.5
_BARE = 99
_CONSUMERS = 500  # as far as a start was tried


def _forget_machine() -> None:
    """Take the machine's own AWS out of this process's environment: its profiles and endpoints are nothing to the sandbox."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)


def _share_descriptions() -> None:
    """Let all sessions of boto3 in this process share one loader: each would read AWS's service descriptions anew."""
    import botocore.session

    loader = cache(botocore.session.create_loader)
    botocore.session.create_loader = loader


def _opened(parser: argparse.ArgumentParser, path: Path | None) -> Log | None:
    try:
        return call_log(path) if path else None
    except OSError as error:
        parser.error(f"cannot write the log {path}: {error.strerror}")


def _faults(parser: argparse.ArgumentParser, path: Path | None) -> list[Rule]:
    from crossaccount_sandbox.faults import rules

    try:
        return rules(json.loads(path.read_bytes())) if path else []
    except (OSError, ValueError, TypeError) as error:
        parser.error(f"--faults {path}: {error}")


def _image_commands(parser: argparse.ArgumentParser, path: Path | None) -> list[ImageCommand]:
    if path is None:
        return []
    from crossaccount_sandbox.sagemaker.image_commands import read_commands

    try:
        return read_commands(path.read_bytes())
    except OSError as error:
        parser.error(f"--image-commands {path}: {error.strerror}")
    except ValueError as error:
        parser.error(f"--image-commands {path}: {error}")


def _tell(write: Log, key_id: str, secret: str, token: str | None) -> None:
    write({"access_key_id": key_id, "secret_access_key": secret, "session_token": token})


def _issued(write: Log | None) -> Issued | None:
    """Writes down the key of each session; None when nobody wants to know."""
    if write is None:
        return None

    def tell(key_id: str, key: Key) -> None:
        _tell(write, key_id, key.secret, key.token)

    return tell


def _tell_residents(write: Log, residents: Residents) -> None:
    for key in [*residents.administrators.values(), *residents.operators.values()]:
        _tell(write, key.access_key_id, key.secret_access_key, None)


def _number(kind: type[int] | type[float], low: float, high: float, noun: str) -> Callable[[str], float]:
    def read(text: str) -> float:
        with suppress(ValueError):
            if low <= kind(text) <= high:
                return kind(text)
        raise argparse.ArgumentTypeError(f"{text!r} is not a {noun}: give {low} to {high}")

    return read


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="crossaccount sandbox", description="An emulated AWS that refuses.")
    option = parser.add_argument
    option("--json", action="store_true", help="print one line of JSON when ready")
    consumers = f"N further consumer accounts, consumer-01 and so on (default 0, {_CONSUMERS} at most)"
    number = _number(int, 0, _CONSUMERS, "number of accounts")
    option("--consumers", type=number, default=0, metavar="N", help=consumers)
    empty = f"N accounts with nothing but an administrator, bare-01 and so on, each with a profile (default 0, {_BARE} at most)"
    number = _number(int, 0, _BARE, "number of accounts")
    option("--bare", type=number, default=0, metavar="N", help=empty)
    option("--port", type=_number(int, 0, 65_535, "port"), default=0, help="0 picks a free one (default)")
    seconds = "how long endpoints stay Creating, at least"
    option("--endpoint-seconds", type=_number(float, 0, 3600, "number of seconds"), default=1.0, help=seconds)
    speed = "how many of AWS's seconds a bake or wait passes in one"
    option("--speed", type=_number(float, 0.001, 1_000_000, "speed"), default=1.0, help=speed)
    lasts = "how long a session of an ECS task's role lasts (default six hours, as on AWS)"
    seconds_of = _number(float, 60, 43_200, "number of seconds")
    option("--task-session-seconds", type=seconds_of, default=21_600.0, help=lasts)
    ends = "also stop when the program that started it ends, however it does; its process id, where it may end at once"
    parent: dict[str, Any] = {"nargs": "?", "const": os.getppid(), "type": int, "metavar": "PID"}
    option("--exit-with-parent", **parent, help=ends)
    option("--control", action="store_true", help="let faults and outcomes be arranged at /_sandbox/")
    faults = "JSON: a list of faults that befall calls, see crossaccount_sandbox/faults.py"
    option("--faults", type=Path, metavar="FILE", help=faults)
    images = "YAML or JSON: images that run commands of yours, see crossaccount_sandbox/sagemaker/image_commands.py"
    option("--image-commands", type=Path, metavar="FILE", help=images)
    option("--verbose", action="store_true", help="log every refusal to stderr")
    option("--log", type=Path, metavar="FILE", help="append one line of JSON for each request")
    keys = (
        "append every access key that is handed out, secrets included: to search for them where none may be"
    )
    option("--credentials-log", type=Path, metavar="FILE", help=keys)
    option("--templates", type=Path, required=True, help="folder of producer.yaml and consumer.yaml")
    option("--config", type=Path, required=True, help="the config that fits these accounts")
    option("--program", default="crossaccount", help=argparse.SUPPRESS)
    return parser


def call_log(path: Path) -> Log:
    """A log that appends one line of JSON for each entry to a file that only its owner may read.

    Args:
        path: the file; made when it is not there.

    Raises:
        OSError: when it cannot be written.
    """
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(entry: dict[str, Any]) -> None:
        # One write for a line: lines of requests that were answered at once never mix.
        os.write(file, json.dumps(entry).encode() + b"\n")

    return write


def environment(url: str, residents: Residents, folder: Path) -> dict[str, str]:
    """The variables with which any AWS client reaches the sandbox; writes the profiles they name.

    Args:
        url: where the sandbox serves.
        residents: operators become the profiles, named after their accounts; of a bare account its administrator does.
        folder: where the two profile files go, readable by their owner only.
    """
    from crossaccount_sandbox.accounts import REGION

    credentials, config = folder / "credentials", folder / "config"
    _write(credentials, residents.operators)
    config.write_text("".join(f"[profile {name}]\nregion = {REGION}\n\n" for name in residents.operators))
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _write(path: Path, keys: dict[str, Credentials]) -> None:
    lines = [
        f"[{name}]\naws_access_key_id = {key.access_key_id}\naws_secret_access_key = {key.secret_access_key}\n\n"
        for name, key in keys.items()
    ]
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.writelines(lines)


def _announce(
    options: argparse.Namespace, accounts: list[Account], url: str, residents: Residents, folder: Path
) -> None:
    env = environment(url, residents, folder)
    if options.json:
        keys = {
            account.name: {"id": account.id, **asdict(residents.administrators[account.name])}
            for account in accounts
        }
        ready = {"endpoint_url": url, "region": env["AWS_DEFAULT_REGION"], "accounts": keys, "env": env}
        ready["config"] = str(options.config)
        print(json.dumps(ready), flush=True)  # noqa: T201 - this line is the command's result
        return
    lines = [f"export {name}={value}" for name, value in env.items()]
    hint = f"# The sandbox serves at {url}. Ctrl-C stops it. In another shell:"
    lines = [hint, *lines, *hints(accounts, options.config, options.bare, options.program)]
    print("\n".join(lines), flush=True)  # noqa: T201 - this is the command's result


def hints(accounts: list[Account], config: Path, bare: int, program: str = "crossaccount") -> list[str]:
    """What to do with a sandbox, as a shell's comments: which profiles there are, and what comes next.

    Args:
        accounts: all of them, the bare ones last.
        config: the config that fits those that are not bare.
        bare: how many hold nothing.
        program: the product's command, as a person calls it.
    """
    shown = [f"{account.name} ({account.id})" for account in accounts[:_NAMED]]
    more = [f"and {len(accounts) - _NAMED} more"] if len(accounts) > _NAMED else []
    lines = ["# profiles: " + ", ".join(shown + more), f"# next: {program} plan {config}"]
    if bare:
        ends = " to ".join(dict.fromkeys(account.name for account in (accounts[-bare], accounts[-1])))
        lines.append(f"#   or: {program} init, with {ends}, as docs/first-day.md shows")
    return lines


_NAMED = 8
