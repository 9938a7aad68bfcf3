"""The product in a browser, from nothing: an emulated AWS, a Prefect server, a worker for each side, and the deployments.

Each worker has only the AWS profiles of its own side. Everything stops at once. Not here: the processes (``processes``) and
the deployments (``deployments/prefect.yaml``).
"""

import configparser
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from crossaccount import shipped
from crossaccount.errors import Failed
from crossaccount.stage import processes

_DEPLOYMENTS = shipped.ROOT / "deployments" / "prefect.yaml"
_CONFIG = "sandbox-workers.yaml"  # that the forms open on
SIDES = {"crossaccount-producer": ("producer",), "crossaccount-consumer": ("staging", "production")}
_SECONDS = {  # a person is watching
    "PREFECT_WORKER_QUERY_SECONDS": "1",
    "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.5",
    "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "1",
}


@contextmanager
def serve(
    folder: Path,
    port: int,
    say: Any = print,
    settings: Mapping[str, str] | None = None,
    sandbox_arguments: Collection[str] = (),
) -> Iterator[dict[str, Any]]:
    """Serve everything, until the end of the context.

    Args:
        folder: for the database, the logs and each side's AWS profiles.
        port: of the Prefect server.
        say: prints a line before each start.
        settings: further settings of Prefect, for the server and the workers: another database, for one.
        sandbox_arguments: as for ``crossaccount sandbox``.

    Yields:
        ``ui`` and ``api`` (addresses), ``sandbox`` (its announcement), ``env`` (of each side's worker), ``logs`` (a folder).

    Raises:
        InputError: when the port is taken, or the sandbox is not installed.
        Failed: when a process does not start.
    """
    processes.sandbox_command()  # refused before anything is started
    processes.check_free(port)
    prefect = {**processes.prefect_settings(folder, port), **_SECONDS, **(settings or {})}
    prefect["CROSSACCOUNT_CONFIGS"] = os.environ.get("CROSSACCOUNT_CONFIGS") or str(shipped.ROOT / "configs")
    api = prefect["PREFECT_API_URL"]
    with ExitStack() as stack:
        say("Starting an emulated AWS and a Prefect server: usually 10 to 30 seconds ...")
        stack.enter_context(processes.prefect_server(folder, port, prefect))
        ready = stack.enter_context(processes.sandbox(*sandbox_arguments))
        say("The emulated AWS is up; the Prefect server makes its database ...")
        processes.wait_for(f"{api}/health", "The Prefect server")
        say("Starting a worker for each side: usually 10 seconds ...")
        env = {pool: {**prefect, **one_side(ready["env"], folder / pool, SIDES[pool])} for pool in SIDES}
        for pool in SIDES:
            stack.enter_context(worker(folder, pool, pool, env[pool]))
        for pool in SIDES:
            processes.wait_for(f"{api}/work_pools/{pool}", f"The worker of {pool}")
        say("Deploying deployments/prefect.yaml: usually 10 to 30 seconds ...")
        deploy(folder, prefect)
        automate(folder, prefect)
        address = api.removesuffix("/api")
        yield {"ui": address, "api": api, "sandbox": ready, "env": env, "logs": str(folder)}


@contextmanager
def worker(
    folder: Path, name: str, pool: str, env: Mapping[str, str], *arguments: str
) -> Iterator[subprocess.Popen[str]]:
    """A process worker of a pool, which is created if there is none; its log goes into the folder.

    Args:
        folder: for the log.
        name: of the worker, and of its log.
        pool: whose runs it takes.
        env: its settings and AWS profiles.
        arguments: further ones of ``prefect worker start``.
    """
    named = ["--type", "process", "--pool", pool, "--name", name]
    command = [sys.executable, "-m", "prefect", "worker", "start", *named, *arguments]
    with (
        (folder / f"{name}.log").open("w") as log,
        processes.tied(command, stdout=log, stderr=log, env={**_bare(), **env}, cwd=folder) as process,
    ):
        yield process


def deploy(folder: Path, env: Mapping[str, str]) -> None:
    """Deploy the deployments of ``deployments/prefect.yaml``; a second time changes nothing.

    Raises:
        Failed: with Prefect's output.
    """
    module = ["prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(_DEPLOYMENTS)]
    _run(module, folder, {"CROSSACCOUNT_CONFIG": _CONFIG, **env}, "The deployments were not made")


def automate(folder: Path, env: Mapping[str, str], *arguments: str) -> None:
    """Apply the automations of ``flows/automations.yaml``; arguments as for ``crossaccount automations``.

    Raises:
        Failed: when the server does not take them.
    """
    _run(["crossaccount", "automations", *arguments], folder, env, "The automations were not made")


def _run(module: Collection[str], folder: Path, env: Mapping[str, str], failure: str) -> None:
    command, variables = [sys.executable, "-m", *module], {**_bare(), **env}
    ended = subprocess.run(command, env=variables, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    if ended.returncode:
        raise Failed(f"{failure}:\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}")


def _bare() -> dict[str, str]:
    """The environment of this process without AWS credentials: a worker has those of its side."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def one_side(env: Mapping[str, str], folder: Path, profiles: Collection[str]) -> dict[str, str]:
    """The sandbox's AWS environment with some of its profiles.

    Args:
        env: the sandbox's.
        folder: for the files of these profiles; it is made.
        profiles: their names.
    """
    folder.mkdir()
    side = dict(env)
    for variable, title in (("AWS_CONFIG_FILE", "profile {}"), ("AWS_SHARED_CREDENTIALS_FILE", "{}")):
        whole, part = configparser.RawConfigParser(), configparser.RawConfigParser()
        whole.read(env[variable])
        sections = [title.format(profile) for profile in profiles]
        part.read_dict({section: dict(whole[section]) for section in sections})
        file = folder / Path(env[variable]).name
        file.touch(mode=0o600)
        with file.open("w") as opened:
            part.write(opened)
        side[variable] = str(file)
    return side


def show(port: int, as_json: bool) -> None:
    """Run everything until Ctrl-C or SIGTERM.

    Args:
        port: of the Prefect server; 0 picks a free one.
        as_json: announce it as one line of JSON on stdout, rather than to a person.
    """

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - for a person

    signal.signal(signal.SIGTERM, _interrupt)
    with tempfile.TemporaryDirectory(prefix="crossaccount-ui-") as folder:
        try:
            with serve(Path(folder), port or processes.free_port(), say) as stage:
                if as_json:
                    print(json.dumps(stage), flush=True)  # noqa: T201 - the command's result
                else:
                    say(_WELCOME.format(**stage, exports=exports(stage)))
                while True:
                    signal.pause()
        except KeyboardInterrupt:
            say("Stopping ...")


_WELCOME = """
Prefect is at {ui}

  Deployments, share-models/share, Run, Custom run: its tab Artifacts has the plan, and a link that applies exactly that.
  A share that publishes a Release starts deploy-published/hand-off by itself: see its proof.

For commands in another shell, paste there:
{exports}

Logs are in {logs}. Ctrl-C stops everything."""


def exports(stage: Mapping[str, Any]) -> str:
    """The lines that have commands of another shell use this Prefect server and this sandbox."""
    env = {"PREFECT_API_URL": stage["api"], **stage["sandbox"]["env"]}
    return "\n".join(f"  export {name}={shlex.quote(value)}" for name, value in env.items())


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt
