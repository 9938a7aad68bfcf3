"""The command starts the project's own sandbox, whatever lies in the folder that it is started in."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["sandbox.py", "crossaccount_sandbox.py"])
def test_a_user_s_file_in_the_working_folder_is_not_run(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("open('was-run', 'w').close()\n")
    command = [str(Path(sys.executable).with_name("crossaccount")), "sandbox", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert process.stdout is not None
    announced = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    assert announced["endpoint_url"].startswith("http://127.0.0.1:")
    assert not (tmp_path / "was-run").exists()
