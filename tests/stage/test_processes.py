from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crossaccount.cli import main as cli
from crossaccount.errors import InputError
from crossaccount.stage import processes, ui


def test_a_port_that_somebody_listens_on_is_refused_before_anything_is_started(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"--port: {port} cannot be used"):
            processes.check_free(port)
        with pytest.raises(SystemExit) as ended:
            cli.main(["ui", "--port", str(port)])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "--port 0 picks a free one" in said
    assert "Starting" not in said


def test_a_free_port_is_free() -> None:
    processes.check_free(processes.free_port())


def test_the_exports_of_make_ui_give_a_shell_the_server_and_the_sandbox() -> None:
    env = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_CONFIG_FILE": "/tmp/a folder/it's config"}  # noqa: S108
    stage = {"api": "http://127.0.0.1:2/api", "sandbox": {"env": env}}
    program = (
        f'{ui.exports(stage)}\nprintf \'%s\\n\' "$PREFECT_API_URL" "$AWS_ENDPOINT_URL" "$AWS_CONFIG_FILE"'
    )
    printed = subprocess.run(["sh", "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == ["http://127.0.0.1:2/api", *env.values()]


def test_a_process_that_is_tied_ends_with_the_command_that_is_killed(tmp_path: Path) -> None:
    """The temporary Prefect server too: it is in a session of its own, which a signal to the group does not reach."""
    program = (
        "import os, time\n"
        "os.environ['PREFECT_API_URL'] = ''\n"
        "from crossaccount.cli import prefect_server\n"
        "prefect_server.prepare()\n"
        "from prefect.server.api.server import SubprocessASGIServer as Server\n"
        "server = Server(); server.port = server.find_available_port()\n"
        "print(server._run_uvicorn_command().pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    env = {**os.environ, "PREFECT_HOME": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", program], env=env, stdout=subprocess.PIPE, text=True
    ) as begun:
        assert begun.stdout is not None
        server = int(begun.stdout.readline())
        assert os.getsid(server) == server != os.getsid(0)
        begun.kill()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.kill(server, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.kill(server, 9)
    raise AssertionError("the server goes on without its command")
