"""Flows started by their entrypoints on the configured Prefect server, or on a temporary one.

The one module of the command that knows Prefect. Not here: a flow's arguments (``commands``).
"""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
from functools import cache
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, NoReturn

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
        flow = resolve_name(entrypoint)
    _watch_the_log()
    try:
        return flow(*arguments, **named)
    except RuntimeError as error:
        if not str(error).startswith("Failed to reach API"):
            raise
        raise Failed(
            f"The Prefect server does not answer: {error}. Check PREFECT_API_URL, or unset it."
        ) from None


def _watch_the_log() -> None:
    """Have log lines make room for the line that lives, and leave out what a terminal shows anyway; of Prefect's handlers at the root."""
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
    # Prefect cleans up on SIGTERM and then sends it again: the default handler would end this process before the
    # temporary server is stopped.
    signal.signal(signal.SIGTERM, _end)
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


def _is_for_a_person(record: logging.LogRecord) -> bool:
    """False for what a person at a terminal reads in the answer below, and for Prefect's own words about each step."""
    if record.levelno < logging.WARNING and getattr(record, "answered", False):
        return False
    return record.name.split(".")[:2] != ["prefect", "task_runs"] or not _OF_PREFECT.match(
        record.getMessage()
    )


def _end(signum: int, frame: object) -> NoReturn:
    raise SystemExit(128 + signum)


def _is_news(record: logging.LogRecord) -> bool:
    """False for an error made for a person: it is written once, at the end, and Prefect would log it too."""
    raised = record.exc_info[1] if record.exc_info else None
    return not (getattr(record, "explained", False) or isinstance(raised, CrossAccountError))
