"""The names ``flows`` and ``tasks`` are common: whoever else has them in an environment is named before a flow is started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = "from crossaccount.cli import main; main.main(['deploy', 'configs/sandbox.yaml', '--consumer', 'staging'])"


def deploy(path: Path) -> subprocess.CompletedProcess[str]:
    """A deployment, with a folder before all others on Python's path and no AWS to ask."""
    env = {**os.environ, "PYTHONPATH": str(path), "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    return subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM], env=env, cwd=ROOT, capture_output=True, text=True, check=False
    )


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("raise SystemExit('the wrong one was imported')\n")


@pytest.mark.parametrize("package", ["flows", "tasks"])
@pytest.mark.parametrize("file", ["{}.py", "{}/__init__.py"])
def test_a_folder_that_comes_before_is_named(tmp_path: Path, package: str, file: str) -> None:
    write(tmp_path, file.format(package))
    ended = deploy(tmp_path)
    assert ended.returncode == 2
    assert f"{tmp_path / file.format(package)} is imported in place of the package {package}" in ended.stderr
    assert "virtual environment of its own" in ended.stderr


@pytest.mark.parametrize("package", ["flows", "tasks"])
def test_another_distribution_is_named(tmp_path: Path, package: str) -> None:
    write(tmp_path, f"{package}/extra.py")
    record = tmp_path / "made_up-1.0.dist-info" / "RECORD"
    record.parent.mkdir()
    record.with_name("METADATA").write_text("Metadata-Version: 2.1\nName: made-up\nVersion: 1.0\n")
    record.write_text(f"made_up-1.0.dist-info/METADATA,,\n{package}/extra.py,,\n")
    ended = deploy(tmp_path)
    assert ended.returncode == 2
    assert "The distribution made-up too has a package flows or tasks" in ended.stderr
    assert "virtual environment of its own" in ended.stderr
