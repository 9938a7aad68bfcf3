"""The product as it is installed for production, away from its source: what it reads at run time is in the wheel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the project is installed in; its dependencies are this environment's."""
    source, target = tmp_path_factory.mktemp("source") / "project", tmp_path_factory.mktemp("site-packages")
    shutil.copytree(
        ROOT, source, ignore=shutil.ignore_patterns(".*", "tests", "build", "*.egg-info", "__pycache__")
    )
    offline = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--no-compile"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *offline, "--target", str(target), str(source)], check=True
    )
    return target


def run(installed: Path, folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the installed product in a folder that is not the project's."""
    bare = {name: value for name, value in os.environ.items() if name != "CROSSACCOUNT_CONFIGS"}
    return subprocess.run(
        [sys.executable, *arguments],
        env={**bare, "PYTHONPATH": str(installed), "PREFECT_API_URL": str(PREFECT_API_URL.value()), **env},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_automations_are_made_and_then_updated(installed: Path, tmp_path: Path) -> None:
    for outcome in ("made", "updated"):
        ended = run(installed, tmp_path, "-m", "crossaccount", "automations", "--json")
        assert ended.returncode == 0, ended.stderr
        assert json.loads(ended.stdout)["automations"] == {"crossaccount-lost-runs": outcome}


FORM = """
import sys
from tasks import reviewed
from flows import forms
from crossaccount.errors import InputError
assert reviewed.__file__.startswith(sys.argv[1]), reviewed.__file__
try:
    reviewed.require_folder()
    print(forms.loaded.__module__, *reviewed.configs())
except InputError as error:
    sys.exit(str(error))
"""


def test_the_forms_offer_the_configs_of_the_folder_that_the_environment_names(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "models.yaml").write_text("consumers: {staging: {}}\n")
    ended = run(installed, tmp_path, "-c", FORM, str(installed), CROSSACCOUNT_CONFIGS=str(tmp_path))
    assert ended.stdout.split() == ["flows.forms", "models.yaml"], ended.stderr


@pytest.mark.parametrize("named", [{}, {"CROSSACCOUNT_CONFIGS": "/nowhere"}])
def test_a_folder_that_does_not_exist_is_refused(
    installed: Path, tmp_path: Path, named: dict[str, Any]
) -> None:
    ended = run(installed, tmp_path, "-c", FORM, str(installed), **named)
    assert ended.returncode == 1
    folder = named.get("CROSSACCOUNT_CONFIGS", str(installed / "configs"))
    assert (
        f"The folder of reviewed configs, {folder}, does not exist. Set CROSSACCOUNT_CONFIGS" in ended.stderr
    )
    assert "Traceback" not in ended.stderr
