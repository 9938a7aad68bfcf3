from __future__ import annotations

import socket

import pytest

from crossaccount.cli import main as cli
from crossaccount.errors import InputError
from crossaccount.stage import processes


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
