"""What a terminal is given and a pipe is not: colour, wrapped lines, and a line that lives while something waits."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from crossaccount import waiting
from crossaccount.cli import live
from crossaccount.waiting import Wait

ROOT = Path(__file__).parents[2]


def on_terminal(program: str, columns: int = 60, **env: str) -> str:
    """What a program writes to a terminal of so many columns, as stdin, stdout and stderr."""
    whole = {"PATH": os.environ["PATH"], "TERM": "xterm", **env}
    theirs, ours = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=ours, stdout=ours, stderr=ours, env=whole, cwd=ROOT
    )
    os.close(ours)
    written = b""
    while True:
        try:
            part = os.read(theirs, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        written += part
    os.close(theirs)
    assert process.wait(timeout=30) == 0, written
    return written.decode().replace("\r\n", "\n")


def piped(program: str, **env: str) -> str:
    whole = {"PATH": os.environ["PATH"], "TERM": "xterm", **env}
    return subprocess.run(
        [sys.executable, "-c", program], env=whole, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


COLOUR = "import sys; from crossaccount.cli import terminal; print(terminal.has_colour(sys.stdout))"


@pytest.mark.parametrize(
    ("env", "there", "in_pipe"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "", "TERM": "dumb"}, False, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
    ],
)
def test_colour_follows_the_conventions(env: dict[str, str], there: bool, in_pipe: bool) -> None:
    assert (on_terminal(COLOUR, **env).strip(), piped(COLOUR, **env).strip()) == (str(there), str(in_pipe))


LOG = (
    "import logging; from crossaccount.cli import prefect_server as server; server.prepare();"
    "import prefect.main; logging.getLogger('prefect').warning('Finished in state Completed()')"
)


@pytest.mark.parametrize(
    ("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_the_log_of_prefect_follows_them_too(env: dict[str, str], coloured: bool, tmp_path: Path) -> None:
    settings = {"PREFECT_HOME": str(tmp_path), "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    settings |= {"PREFECT_LOGGING_TO_API_ENABLED": "false"}
    shown = on_terminal(LOG, columns=200, **settings, **env)
    assert "Finished in state" in shown
    assert ("\x1b[" in shown) is coloured


LINES = [
    "short",
    "word " * 20,
    "    indented " + "word " * 20,
    "arn:aws:" + "x" * 90,
    "\x1b[31mred\x1b[0m " + "y" * 55,
]
PRINT = f"import sys; from crossaccount.cli import terminal; print(terminal.fitted({chr(10).join(LINES)!r}, sys.stdout))"


def test_lines_are_as_wide_as_the_terminal_and_a_long_word_stays_whole() -> None:
    shown = on_terminal(PRINT, columns=60).rstrip("\n").split("\n")
    plain = [line.replace("\x1b[31m", "").replace("\x1b[0m", "") for line in shown]
    assert [line for line in plain if len(line.rstrip()) > 60] == [LINES[3]]
    assert " ".join(" ".join(plain).split()) == " ".join(
        " ".join(LINES).replace("\x1b[31m", "").replace("\x1b[0m", "").split()
    )
    assert [line for line in plain if line.startswith("        word")], "what goes on is indented further"
    assert "red " + "y" * 55 in plain, "codes take no room"


def test_a_command_stays_on_one_line_so_that_it_can_be_pasted() -> None:
    command = "  aws cloudformation deploy --profile a --region us-east-1 --stack-name crossaccount --template-file t.yaml"
    lines = [
        "next: " + "word " * 20,
        command,
        "  .venv/bin/crossaccount plan " + "x " * 40 + "x",
        "the aws words " * 9,
    ]
    program = f"import sys; from crossaccount.cli import terminal; print(terminal.fitted({chr(10).join(lines)!r}, sys.stdout))"
    shown = on_terminal(program, columns=60).split("\n")
    assert lines[1] in shown
    assert lines[2] in shown
    assert sum(len(line.rstrip()) > 60 for line in shown) == 2, "all else is wrapped"


def test_what_is_piped_is_left_as_it_is() -> None:
    assert piped(PRINT, COLUMNS="60") == "\n".join(LINES) + "\n"
    assert on_terminal(PRINT, columns=20).rstrip("\n") == "\n".join(LINES), "too narrow to wrap"


# A line that lives


LIVE = (
    "import argparse, sys, time\nfrom crossaccount import waiting\nfrom crossaccount.cli import live, output\n"
    "options = argparse.Namespace(json={json})\n"
    "with live.line(options, 'reading'):\n"
    "    with waiting.on('wait for trees'):\n"
    "        waiting.say('endpoint trees', 'Creating')\n"
    "        time.sleep(1.3)\n"
    "output.write(argparse.Namespace(json=False), 'done')\n"
)


def test_a_terminal_shows_what_is_waited_for_and_takes_it_away() -> None:
    shown = on_terminal(LIVE.format(json=False))
    assert "\x1b[Kendpoint trees: Creating, 0 s" in shown
    assert shown.endswith("\r\x1b[Kdone\n")


@pytest.mark.parametrize(("json", "env"), [(True, {}), (False, {"CI": "true"}), (False, {"TERM": "dumb"})])
def test_nothing_lives_where_nobody_watches(json: bool, env: dict[str, str]) -> None:
    assert on_terminal(LIVE.format(json=json), **env) == "done\n"


def test_nothing_lives_in_a_pipe() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LIVE.format(json=False)],
        env={"PATH": os.environ["PATH"], "TERM": "xterm"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (ended.stdout, ended.stderr) == ("done\n", "")


@pytest.mark.parametrize(
    ("wait", "others", "seconds", "text"),
    [
        (Wait("endpoint x", "Creating", since=0), 0, 130, "endpoint x: Creating, 2 min 10 s"),
        (Wait("find the version", since=0), 0, 59.9, "find the version, 59 s"),
        (Wait("a", "Updating", since=0), 2, 60, "a: Updating, 1 min 0 s (and 2 more)"),
    ],
)
def test_the_line_says_what_how_long_and_in_whose_words(
    wait: Wait, others: int, seconds: float, text: str
) -> None:
    assert live.written(wait, others, seconds) == text


def test_of_waits_within_each_other_the_innermost_is_told() -> None:
    assert waiting.current() == (None, 0)
    with waiting.on("outer"), waiting.on("inner") as inner:
        assert waiting.current() == (inner, 0)
        waiting.say("inner", "Creating")
        assert inner.status == "Creating"
    waiting.say("nobody", "waits")
    assert waiting.current() == (None, 0)


def test_a_step_is_what_is_waited_for() -> None:
    from tasks import consumer

    seen: list[str] = []
    function = consumer.assume_deployer.fn

    class Sharing:
        """Looks at what is waited for when it is asked for anything."""

        def __getattr__(self, name: str) -> object:
            wait, _ = waiting.current()
            seen.append(wait.subject if wait else "")
            raise LookupError

    with pytest.raises(LookupError):
        function(Sharing(), "staging")  # type: ignore[arg-type]
    assert seen[0] == "assume the deployer role of staging"
