"""Environments beside the product's own, each of a lock in ``locks``: Prefect's servers with Redis, and an older Prefect.

Made anew when the lock has changed. Not here: what runs in them.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

LOCKS = Path(__file__).parent / "locks"
ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".growth"


def python_of(name: str, editable: bool = False) -> Path:
    """The interpreter of an environment, which is made when it is not there.

    Args:
        name: of its lock.
        editable: whether the product, as this checkout has it, is a package of it.

    Raises:
        CalledProcessError: pip could not.
    """
    folder, lock = ENVIRONMENTS / name, LOCKS / f"{name}.lock"
    python, mark = folder / "bin" / "python", folder / ".installed"
    digest = hashlib.sha256(sys.version.encode() + lock.read_bytes()).hexdigest()
    if mark.is_file() and mark.read_text() == digest:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", lock], check=True)
    if editable:
        subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--editable", ROOT], check=True)
    # A machine that may not write bytecode would otherwise compile every package at every start.
    subprocess.run([python, "-m", "compileall", "-qq", "-j", "0", folder / "lib"], check=False)
    mark.write_text(digest)
    return python


def version_of(python: Path, *packages: str) -> dict[str, str]:
    """The versions of packages in an environment."""
    program = "import sys, importlib.metadata as m; print(*map(m.version, sys.argv[1:]))"
    found = subprocess.run([python, "-c", program, *packages], check=True, capture_output=True, text=True)
    return dict(zip(packages, found.stdout.split(), strict=True))
