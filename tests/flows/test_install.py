"""The product as it is installed for production, away from its source: what it reads at run time is in the wheel."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import PREFECT_API_URL

ROOT = Path(__file__).parents[2]


SHIPPED = ("configs", "deployments")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel is installed in that was built from the sdist; its dependencies are this environment's."""
    source, built = tmp_path_factory.mktemp("source") / "project", tmp_path_factory.mktemp("built")
    target = tmp_path_factory.mktemp("site-packages")
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__"))
    shutil.copy(ROOT / ".python-version", source)
    build = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, str(built)], cwd=source, check=True, capture_output=True)
    (sdist,) = built.glob("*.tar.gz")
    offline = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--no-compile"]
    install = [sys.executable, "-m", "pip", "install", *offline, "--target", str(target), str(sdist)]
    subprocess.run(install, check=True)
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


def shipped_in(folder: Path) -> dict[str, bytes]:
    found = (path for name in SHIPPED for path in (folder / name).rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in found
        if "__pycache__" not in path.parts
    }


def test_everything_that_is_shipped_is_installed_and_can_be_copied_out(
    installed: Path, tmp_path: Path
) -> None:
    inside, there = installed / "crossaccount" / "_shipped", tmp_path / "mine"
    assert shipped_in(inside) == shipped_in(ROOT)
    assert {"deployments/prefect.yaml", "deployments/iam/consumer.yaml"} < set(shipped_in(inside))
    for arguments, code, said in (
        ([], 0, f"{inside}\n"),
        (["--to", str(there)], 0, "files copied"),
        (["--to", str(there)], 0, "0 of "),
    ):
        ended = run(installed, tmp_path, "-m", "crossaccount", "files", *arguments)
        assert (ended.returncode, said in ended.stdout) == (code, True), ended.stdout + ended.stderr
        assert not arguments or shipped_in(there) == shipped_in(ROOT)
    (there / "configs" / "sandbox.yaml").write_text("mine\n")
    (there / "configs" / "example.yaml").unlink()
    ended = run(installed, tmp_path, "-m", "crossaccount", "files", "--to", str(there))
    assert ended.returncode == 2
    assert "configs/sandbox.yaml there differ" in ended.stderr
    assert not (there / "configs" / "example.yaml").exists(), "nothing was copied"


# The command, as it is where the named packages are not installed.
WITHOUT = """
import importlib.util, sys
find, missing = importlib.util.find_spec, sys.argv.pop(1).split(",")
importlib.util.find_spec = lambda name, *more: None if name in missing else find(name, *more)
from crossaccount.cli.main import main
main()
"""


@pytest.mark.parametrize("command", ["demo", "sandbox", "ui"])
@pytest.mark.parametrize("missing", ["moto", "moto,sklearn,flask"])
def test_what_needs_the_sandbox_names_the_extra(
    installed: Path, tmp_path: Path, command: str, missing: str
) -> None:
    ended = run(installed, tmp_path, "-c", WITHOUT, missing, command)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "pip install 'crossaccount-model-deployment[sandbox]'" in line


@pytest.fixture(scope="module")
def sandbox(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """What the installed sandbox says when it serves: with two accounts that hold nothing."""
    env, folder = {**os.environ, "PYTHONPATH": str(installed)}, tmp_path_factory.mktemp("served")
    command = [sys.executable, "-m", "crossaccount", "sandbox", "--bare", "2", "--json", "--exit-with-parent"]
    with subprocess.Popen(command, env=env, cwd=folder, stdout=subprocess.PIPE, text=True) as served:
        assert served.stdout is not None
        try:
            yield json.loads(served.stdout.readline())
        finally:
            served.terminate()


def test_the_sandbox_is_served_and_a_plan_made_from_another_folder(
    installed: Path, tmp_path: Path, sandbox: Any
) -> None:
    assert sandbox["config"] == str(installed / "crossaccount" / "_shipped" / "configs" / "sandbox.yaml")
    planned = run(
        installed, tmp_path, "-m", "crossaccount", "plan", sandbox["config"], "--json", **sandbox["env"]
    )
    assert json.loads(planned.stdout)["writes"] == 4, planned.stderr


def test_accounts_are_set_up_from_another_folder(installed: Path, tmp_path: Path, sandbox: Any) -> None:
    def crossaccount(*words: str) -> tuple[int, Any]:
        command = ("-m", "crossaccount", *words, "--json")
        ended = run(installed, tmp_path, *command, **sandbox["env"], PREFECT_API_URL="")
        assert ended.stdout, ended.stderr
        return ended.returncode, json.loads(ended.stdout)

    team = run(installed, tmp_path, str(ROOT / "tests/setup/team.py"), "bare-01", "churn", **sandbox["env"])
    assert team.returncode == 0, team.stderr
    given = ("--group", "churn", "--region", "us-east-1", "--producer", "bare-01", "--consumer", "bare-02")
    code, made = crossaccount("init", "churn.yaml", *given)
    assert (code, made["complete"]) == (0, True)
    for command in made["commands"][:2]:
        words = shlex.split(command)
        assert str(installed / "crossaccount" / "_shipped" / "deployments" / "iam") in command
        deployed = run(
            installed, tmp_path, str(ROOT / "tests/docs/aws_by_boto3.py"), *words[1:], **sandbox["env"]
        )
        assert deployed.returncode == 0, deployed.stderr
    code, looked = crossaccount("doctor", "churn.yaml")
    assert (code, {each["verdict"] for each in looked["answers"]}) == (0, {"yes"})
    code, wanted = crossaccount("roles", "churn.yaml", "--out", "stacks")
    assert (code, list(wanted["stacks"])) == (0, ["producer", "bare-02"])
    template = Path("deployments") / "iam" / "consumer.yaml"
    assert (tmp_path / "stacks" / "consumer.yaml").read_bytes() == (ROOT / template).read_bytes()
    code, compared = crossaccount("roles", "churn.yaml", "--check")
    assert (code, [each["contains_what_is_needed"] for each in compared["roles"]]) == (0, [True] * 3)


@pytest.mark.parametrize(
    ("names", "code", "said"),
    [
        (None, 1, "does not exist. Set CROSSACCOUNT_CONFIGS"),
        (["example.yaml"], 1, "has no config"),
        (["sandbox-workers.yaml"], 0, "deploy-model/deploy"),
    ],
)
def test_deployments_are_made_from_the_installed_file_and_not_without_configs(
    installed: Path, tmp_path: Path, names: list[str] | None, code: int, said: str
) -> None:
    folder = tmp_path / "reviewed"
    for name in names or ():
        folder.mkdir(exist_ok=True)
        (folder / name).write_text("consumers: {staging: {}}\n")
    with get_client(sync_client=True) as client:
        for side in ("producer", "consumer"):
            pool = WorkPoolCreate(name=f"crossaccount-{side}", type="process")
            client.create_work_pool(pool, overwrite=True)
    file = str(installed / "crossaccount" / "_shipped" / "deployments" / "prefect.yaml")
    ended = run(
        *(
            installed,
            tmp_path,
            "-m",
            "prefect",
            "--no-prompt",
            "deploy",
            "--name",
            "deploy",
            "--prefect-file",
            file,
        ),
        CROSSACCOUNT_CONFIGS=str(folder),
    )
    text = " ".join((ended.stdout + ended.stderr).split())
    assert (ended.returncode, said in text, "Traceback" in text) == (code, True, False), text
