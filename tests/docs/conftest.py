"""The pages that a person reads, their fences, and what it takes to run the commands in them.

A fence's first word is its language, and all that a reader sees; the word after it is for the tests. ``sh runnable`` is run,
``sh not-run`` is not, ``text output`` is what the commands of its page print, and ``json NAME`` is a file that they read.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRINTED = ROOT / "docs" / "sandbox-operations.md"  # by a command, and as long as it comes out
PAGES = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").glob("*.md") if path != PRINTED)]
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n`]+)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_SERVICES = ("EVENT_PERSISTER", "TASK_RUN_RECORDER", "TRIGGERS", "SCHEDULER", "LATE_RUNS", "DB_VACUUM")


@dataclass(frozen=True)
class Fence:
    """A fenced block of a page: its language, its mark for the tests, its first line's number and its lines."""

    language: str
    mark: str
    line: int
    lines: list[str]


@dataclass(frozen=True)
class Page:
    """A text of Markdown and its name."""

    name: str
    text: str

    @property
    def fences(self) -> list[Fence]:
        """Every fence that has an info string."""
        fences = []
        for match in _FENCE.finditer(self.text):
            language, _, mark = match["info"].partition(" ")
            line = self.text.count("\n", 0, match.start()) + 2
            lines = [text.removeprefix(match["indent"]) for text in match["body"].splitlines()]
            fences.append(Fence(language, mark, line, lines))
        return fences

    def script(self) -> str:
        """The runnable commands in the page's order, for one shell, which ends at the first that ends otherwise than stated.

        A command ends with exit code 0, or with the one that its comment states: ``# exit code 3``.
        """
        binaries = Path(sys.executable).parent
        steps = []
        for fence in self.fences:
            if (fence.language, fence.mark) != ("sh", "runnable"):
                continue
            command, first = "", fence.line
            for number, line in enumerate(fence.lines, fence.line):
                first = first if command else number
                command += line + "\n"
                if line.endswith("\\") or not line.strip():
                    continue
                stated = re.search(r"#.*\bexit code (\d+)", line)
                expected = stated[1] if stated else "0"
                place = f"{self.name}:{first}"
                steps.append(
                    f'{command}code=$?; [ "$code" = {expected} ] || '
                    f'{{ echo "{place}: exit code $code, not {expected}"; exit 1; }}\n'
                )
                command = ""
        return "".join(steps).replace(".venv/bin/", f"{binaries}/")


def read_page(path: Path) -> Page:
    """The page in a file of the project."""
    return Page(str(path.relative_to(ROOT)), path.read_text())


@pytest.fixture(params=PAGES, ids=lambda path: path.name)
def page(request: pytest.FixtureRequest) -> Page:
    """Each page that a person reads."""
    return read_page(request.param)


@pytest.fixture(params=[path for path in PAGES if read_page(path).script()], ids=lambda path: path.name)
def runnable_page(request: pytest.FixtureRequest) -> Page:
    """Each page with commands that are marked as runnable."""
    return read_page(request.param)


@pytest.fixture
def made_up() -> Callable[[str], Page]:
    """Makes a page of a text."""
    return lambda text: Page("made-up.md", text)


@pytest.fixture
def readme() -> Page:
    return read_page(ROOT / "README.md")


@pytest.fixture
def guarantees() -> Page:
    return read_page(ROOT / "docs" / "guarantees.md")


@pytest.fixture(scope="session")
def aws_cli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a command ``aws``: that of ``make clients``, or else this machine's; without one, what boto3 does in its place."""
    pinned = ROOT / ".clients" / "aws-cli-1" / "bin" / "aws"
    if pinned.exists() or (found := shutil.which("aws")) is None:
        found = str(pinned)
    if Path(found).exists():
        return Path(found).parent
    program = tmp_path_factory.mktemp("aws") / "aws"
    program.write_text(f"#!{sys.executable}\n{Path(__file__).with_name('aws_by_boto3.py').read_text()}")
    program.chmod(0o700)
    return program.parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with the project's folders in it, where what a command writes does no harm."""
    for name in ("benchmarks", "configs", "deployments", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.fixture
def shell(folder: Path, aws_cli: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a script in the working folder: stdout and stderr as one text."""

    def run(script: str, **env: str) -> subprocess.CompletedProcess[str]:
        bare = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        path = os.pathsep.join([str(Path(sys.executable).parent), str(aws_cli), os.environ["PATH"]])
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-c", script],
            env={**bare, "PATH": path, **env},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def prefect_server(
    tmp_path_factory: pytest.TempPathFactory, prefect_database: Path, one_authority: Path
) -> Iterator[dict[str, str]]:
    """A Prefect server for the commands of all pages: the environment that names it."""
    from crossaccount.stage import processes

    home, port = tmp_path_factory.mktemp("prefect"), processes.free_port()
    env = {**processes.prefect_settings(home, port), "PREFECT_API_SSL_CERT_FILE": str(one_authority)}
    (home / "prefect").mkdir()
    shutil.copy(prefect_database, home / "prefect" / "prefect.db")
    unused = {f"PREFECT_SERVER_SERVICES_{service}_ENABLED": "false" for service in _SERVICES}
    more = {"PREFECT_SERVER_UI_ENABLED": "false", "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false"}
    with processes.prefect_server(home, port, {**env, **unused, **more}):
        processes.wait_for(f"{env['PREFECT_API_URL']}/health", "The Prefect server")
        quiet = {"PREFECT_LOGGING_LEVEL": "CRITICAL", "PREFECT_LOGGING_TO_API_ENABLED": "false"}
        yield {**env, **quiet}


# In the place of ``crossaccount``: asks for the command, in this folder and environment and with these open files.
_CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect({path!r})
    given = {{"arguments": sys.argv[1:], "folder": os.getcwd(), "env": dict(os.environ)}}
    socket.send_fds(asked, [b"+"], [0, 1, 2])
    asked.sendall(json.dumps(given).encode())
    asked.shutdown(socket.SHUT_WR)
    sys.exit(int(asked.recv(16) or b"70"))
"""


@pytest.fixture(scope="module")
def forked(prefect_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A program that does what ``crossaccount`` does, forked from a process that has imported it all."""
    where = tmp_path_factory.mktemp("forked")
    client = where / "crossaccount"
    client.write_text(_CLIENT.format(python=sys.executable, path=str(where / "socket")))
    client.chmod(0o700)
    bare = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    server = [sys.executable, "-P", str(Path(__file__).with_name("forked.py")), str(where / "socket")]
    with subprocess.Popen(server, stdin=subprocess.PIPE, env={**bare, **prefect_server}) as process:
        while not (where / "socket").exists():
            assert process.poll() is None
            time.sleep(0.1)
        yield client
