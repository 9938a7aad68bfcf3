"""Flows started by their entrypoints on the configured Prefect server, or on a temporary one.

The one module of the command that knows Prefect. Not here: a flow's arguments (``commands``).
"""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import threading
from functools import cache, partial
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from crossaccount import waiting
from crossaccount.cli import live, output, terminal
from crossaccount.cli.arguments import DISTRIBUTION
from crossaccount.errors import CrossAccountError, Failed, InputError

_OF_PREFECT = re.compile(r"Finished in state |Created task run |Task run encountered ")
_ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = "120"  # Prefect's own 20 s are too short for a first start, which migrates a new database


def run(entrypoint: str, *arguments: Any, **named: Any) -> Any:
    """Run a flow, or another function of the flows, on the Prefect server; its result.

    Args:
        entrypoint: for example ``flows.producer:share_models``.
        *arguments: of the flow.
        **named: further arguments of the flow.

    Raises:
        InputError: when another distribution or folder stands in the place of the project's flows.
        Failed: when the Prefect server does not answer.
    """
    check_flows()
    with waiting.on("start of Prefect"):
        prepare()
        at_start = resolve_name("flows.operations:AT_START")
        function = resolve_name(entrypoint)
    keep = partial(_keep_handler, signal.getsignal(signal.SIGTERM))
    at_start.append(keep)
    _watch_the_log()
    try:
        return function(*arguments, **named)
    except RuntimeError as error:
        if not str(error).startswith("Failed to reach API"):
            raise
        raise Failed(
            f"The Prefect server does not answer: {error}. Check PREFECT_API_URL, or unset it."
        ) from None
    finally:
        at_start.remove(keep)


def ask(entrypoint: str, *arguments: Any) -> Any:
    """Call a function of the flows or tasks that starts no flow, and no temporary server.

    Raises:
        InputError: when another distribution or folder stands in the place of the project's flows.
    """
    check_flows()
    return resolve_name(entrypoint)(*arguments)


def _watch_the_log() -> None:
    """Have log lines make room for the line that lives, and leave out what a terminal shows anyway; of Prefect's handlers at the root."""
    _say_reasons_once()
    for handler in logging.getLogger().handlers:
        handler.addFilter(live.make_room)
        if sys.stderr.isatty():
            handler.addFilter(_is_for_a_person)


def require_server() -> None:
    """See that a Prefect server is configured.

    Raises:
        InputError: when none is: a temporary server would forget its automations.
    """
    from prefect.settings import PREFECT_API_URL

    if not PREFECT_API_URL.value():
        raise InputError("Automations belong to a Prefect server: name it in PREFECT_API_URL.")


def prepare() -> None:
    """Have flows run on the configured Prefect server, or on a temporary one, and say so."""
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", _START_SECONDS)
    if not terminal.has_colour(sys.stderr):
        os.environ.setdefault("PREFECT_LOGGING_COLORS", "false")
    from prefect.settings import PREFECT_API_URL

    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_is_news)
    if not PREFECT_API_URL.value():
        os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        output.say(
            "No Prefect server is configured (PREFECT_API_URL): starting a temporary one for this run."
        )
        _keep_apart()


# The server that Prefect starts for a process, ended when that process is: then its standard input closes.
_SERVER = """
import os, signal, sys, threading, time

def end_with_parent():
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)
    os._exit(1)

threading.Thread(target=end_with_parent, daemon=True).start()
import uvicorn
from prefect.server.api.server import create_app
uvicorn.run(create_app(ephemeral=True, final=True), host="127.0.0.1", port=int(sys.argv[1]), log_level="error", lifespan="on")
"""


def _keep_apart() -> None:
    """Have Prefect's temporary server start in a session of its own: a signal to this process's group does not reach it.

    It is needed until this process has cleaned up. Prefect gives no choice: the command that starts its server is replaced.
    """
    from prefect.server.api.server import SubprocessASGIServer
    from prefect.settings import get_current_settings

    class Apart(SubprocessASGIServer):
        def _run_uvicorn_command(self) -> subprocess.Popen[Any]:
            settings = get_current_settings().to_environment_variables(exclude_unset=True)
            return subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-P", "-c", _SERVER, str(self.port)],
                env={**os.environ, "PREFECT_UI_ENABLED": "0", **settings},
                stdin=subprocess.PIPE,
                start_new_session=True,
            )

    Apart()  # whoever asks Prefect for the server of this process is given this one


def end_run(run: str) -> bool:
    """Tell the Prefect server that a flow run of this process has crashed, since the process is about to end; whether it knows."""
    from uuid import UUID

    from prefect.client.orchestration import get_client
    from prefect.states import Crashed

    try:
        with get_client(sync_client=True) as client:
            message = "The command was interrupted twice, and ended without taking down what the run made."
            client.set_flow_run_state(UUID(run), Crashed(message=message), force=True)
    except Exception as error:
        output.say(f"The Prefect server does not take in that flow run {run} is over: {error}")
        return False
    return True


def _keep_handler(handler: Any) -> None:
    """Have SIGTERM handled as before the run began: Prefect's own handler for it would begin every cleaning up anew."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


@cache
def check_flows() -> None:
    """See that the packages ``flows`` and ``tasks`` are the project's own: their names are common ones.

    Raises:
        InputError: when another distribution has a package of such a name, or a folder comes before ours on Python's path.
    """
    files = re.compile(r"^(flows|tasks)(/|\.py,)", re.MULTILINE)
    others = {other.name for other in distributions() if files.search(other.read_text("RECORD") or "")}
    others -= {DISTRIBUTION}
    faults = [f"The distribution {name} too has a package flows or tasks." for name in sorted(others)]
    for package in ("flows", "tasks"):
        origin = getattr(find_spec(package), "origin", None)
        if origin is None or Path(origin).resolve().parent != _ROOT / package:
            faults.append(f"{origin or 'Nothing'} is imported in place of the package {package}.")
    if faults:
        raise InputError(
            f"{' '.join(faults)} Install {DISTRIBUTION} in a virtual environment of its own, and run its command with PYTHONPATH unset."
        )


class _Brief(logging.Formatter):
    """On the terminal the end of a failed run is said without its reason, which is said once, by the command; the server keeps it."""

    def __init__(self, formatter: logging.Formatter | None) -> None:
        super().__init__()
        self._formatter = formatter or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """The line, up to the name of a state of failure."""
        return re.sub(r"(Finished in state \w+)\(.*", r"\1", self._formatter.format(record), flags=re.DOTALL)


def _say_reasons_once() -> None:
    """Have the terminal's lines be brief; Prefect has its handlers there once a flow is imported."""
    from prefect.logging.handlers import PrefectConsoleHandler

    for handler in logging.getLogger().handlers:
        if isinstance(handler, PrefectConsoleHandler) and not isinstance(handler.formatter, _Brief):
            handler.setFormatter(_Brief(handler.formatter))


def _is_for_a_person(record: logging.LogRecord) -> bool:
    """False for what a person at a terminal reads in the answer below, and for Prefect's own words about each step."""
    if record.levelno < logging.WARNING and getattr(record, "answered", False):
        return False
    return record.name.split(".")[:2] != ["prefect", "task_runs"] or not _OF_PREFECT.match(
        record.getMessage()
    )


def _is_news(record: logging.LogRecord) -> bool:
    """False for an error made for a person: it is written once, at the end, and Prefect would log it too."""
    raised = record.exc_info[1] if record.exc_info else None
    return not (getattr(record, "explained", False) or isinstance(raised, CrossAccountError))
