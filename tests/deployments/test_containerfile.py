"""The image of a worker, as far as it can be told without a container engine: what it is made of, pinned, and who runs it.

`make check` lints it. No image is built here, and no base image is fetched.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Containerfile").read_text()
STEPS = re.findall(r"^([A-Z]+) ((?:.*\\\n)*.*)$", TEXT, re.MULTILINE)
COPIED = [words.split()[:-1] for step, words in STEPS if step == "COPY" and "--from" not in words]
SOURCES = [name for names in COPIED for name in names]


def test_the_wheel_of_what_is_copied_is_whole(tmp_path: Path) -> None:
    """Made as the image makes it, of what it copies and nothing else: the same files as of a checkout."""
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    wheel = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
    ]
    subprocess.run([*wheel, "--wheel-dir", "dist", "."], cwd=tmp_path, check=True)
    (made,) = (tmp_path / "dist").glob("*.whl")
    inside = set(zipfile.ZipFile(made).namelist())
    for package in ("crossaccount", "flows", "tasks"):
        modules = (path for path in (ROOT / package).rglob("*.py"))
        assert {path.relative_to(ROOT).as_posix() for path in modules} <= inside
    for folder in ("configs", "deployments"):
        files = (path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file())
        assert {f"crossaccount/_shipped/{name}" for name in files if "__pycache__" not in name} <= inside


def test_what_is_copied_is_let_into_the_context() -> None:
    let_in = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in let_in, "nothing else is: no .venv, no credentials of the folder"
    for name in SOURCES:
        pattern = "!requirements-*.lock" if name.endswith(".lock") else f"!{name}"
        assert pattern in let_in, name


def test_every_package_is_held_to_a_hash(tmp_path: Path) -> None:
    installs = re.findall(r"pip install ([^&\n]*)", TEXT)
    assert len(installs) == 3
    for words in installs:
        assert "--require-hashes" in words or "--no-index" in words, words
    program = re.search(r"awk '([^']*)' (\S+) >", TEXT)
    assert program
    build = subprocess.run(
        ["awk", program[1], ROOT / program[2]], capture_output=True, text=True, check=True
    ).stdout
    assert re.findall(r"^([a-z-]+)==", build, re.MULTILINE) == ["setuptools"]
    assert "--hash=sha256:" in build


def test_a_worker_is_started_by_a_user_that_is_not_root() -> None:
    last = STEPS[max(place for place, (step, _) in enumerate(STEPS) if step == "FROM") :]
    assert [words for step, words in last if step == "USER"] == ["10001"]
    assert last[-1] == ("ENTRYPOINT", '["prefect", "worker", "start", "--type", "process", "--pool"]')
    assert not [step for step, _ in STEPS if step == "ARG"], "an argument stands in the image's history"
