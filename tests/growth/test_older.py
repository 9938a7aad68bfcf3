"""The oldest Prefect that the project allows: what a run of the product needs of Prefect, tried on it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import beside

pytestmark = pytest.mark.growth  # makes an environment, and takes minutes

OLDEST = "prefect-3.8"
PART = (
    "tests/flows/test_commands.py",  # share, locks and leases between runs, promote, roll back
    "tests/flows/test_promotion.py",  # stages, approval, time-out of an approval
    "tests/flows/test_fan_out.py",  # parts by deployments, a cancelled promotion
    "tests/flows/test_runs.py",  # states, artifacts, parameters of runs
    "tests/growth/test_automations.py",
)


def test_the_product_runs_on_the_oldest_prefect_that_it_allows(capsys: pytest.CaptureFixture[str]) -> None:
    allowed = re.search(r'"prefect>=([\d.]+),', (beside.ROOT / "pyproject.toml").read_text())
    python = beside.python_of(OLDEST, editable=True)
    version = beside.version_of(python, "prefect")["prefect"]
    assert allowed
    assert version == allowed[1]
    command = [python, "-m", "pytest", "-q", *PART]
    ended = subprocess.run(command, cwd=beside.ROOT, capture_output=True, text=True, check=False)
    with capsys.disabled():
        print(f"\nPrefect {version}: {ended.stdout.strip().splitlines()[-1]}")
    assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr[-2000:]
