"""Every command of the README and of ``docs/`` that is marked as runnable does what its page says, against the sandbox."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path
from typing import Any


def _words(text: str) -> str:
    """A text with single blanks, without the times that differ from run to run, and without how the command was called."""
    text = re.sub(r"\S+/crossaccount (?=[a-z])", "crossaccount ", text)
    return " ".join(re.sub(r"\d+\.\d+ ms", "N ms", text).split())


def test_the_commands_of_a_page_end_as_it_says(
    runnable_page: Any,
    folder: Path,
    shell: Any,
    prefect_server: dict[str, str],
    forked: Path,
    start_sandbox: Any,
) -> None:
    """Those of the README as a reader starts them; those of the other pages are forked, which spares them their imports."""
    script, installed = runnable_page.script(), Path(sys.executable).with_name("crossaccount")
    if runnable_page.name != "README.md":
        # What was forked keeps the settings of Prefect that it began with.
        script = re.sub(rf"(?<!-u PREFECT_API_URL ){re.escape(str(installed))} ", f"{forked} ", script)
    for fence in runnable_page.fences:
        if fence.language == "json" and fence.mark:
            (folder / fence.mark).write_text("\n".join(fence.lines))
    sandbox = start_sandbox("--bare", "3", "--endpoint-seconds", "0.1", "--speed", "1000")
    try:
        ended = shell(script, **prefect_server, **sandbox.ready["env"])
    finally:
        sandbox.process.send_signal(signal.SIGTERM)
        sandbox.process.wait(timeout=30)
    assert ended.returncode == 0, ended.stdout
    printed = _words(ended.stdout)
    for fence in runnable_page.fences:
        if (fence.language, fence.mark) == ("text", "output"):
            for part in (part for line in fence.lines for part in line.split("...")):
                assert _words(part) in printed, f"{runnable_page.name}: not printed: {part!r}\n{ended.stdout}"


def test_the_readme_shows_a_refusal_and_then_a_success(readme: Any) -> None:
    refused, succeeded = readme.text.index("# exit code 3"), readme.text.index("\nverified: version 2")
    assert refused < readme.text.index("\nerror: ") < succeeded


def test_a_command_that_is_broken_is_found(made_up: Any, shell: Any) -> None:
    page = made_up(
        "Text.\n\n```sh runnable\ntrue\n.venv/bin/crossaccount \\\n  pln CONFIG    # no such command\n```\n"
    )
    ended = shell(page.script())
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (1, "made-up.md:5: exit code 2, not 0")


def test_a_command_that_should_fail_and_does_not_is_found(made_up: Any, shell: Any) -> None:
    page = made_up("```sh runnable\nfalse    # exit code 1\ntrue     # exit code 3: refused\n```\n")
    ended = shell(page.script())
    assert (ended.returncode, ended.stdout) == (1, "made-up.md:3: exit code 0, not 3\n")


def test_the_commands_of_a_page_share_one_shell(made_up: Any, shell: Any) -> None:
    page = made_up(
        "```sh runnable\nexport NAME=value\n```\n\n1. Then:\n\n   ```sh runnable\n   echo $NAME\n   ```\n"
    )
    assert shell(page.script()).stdout == "value\n"


def test_what_is_not_marked_as_runnable_is_not_run(made_up: Any) -> None:
    assert made_up("```sh not-run\nfalse\n```\n\n```text output\nfalse\n```\n").script() == ""


def test_every_command_is_marked_as_run_or_not(page: Any) -> None:
    for fence in page.fences:
        assert fence.language not in ("bash", "shell", "console"), f"{page.name}:{fence.line}: write sh"
        if fence.language == "sh":
            assert fence.mark in ("runnable", "not-run"), f"{page.name}:{fence.line} is not marked"
