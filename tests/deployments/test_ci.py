"""The templates for CI: pinned, least permissions, scripts that a shell takes, commands that the parser takes, and runs of the essential ones."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from crossaccount.cli import arguments

ROOT = Path(__file__).parents[2]
CI = ROOT / "deployments" / "ci"
GITHUB: dict[str, Any] = yaml.load((CI / "github.yaml").read_text(), yaml.BaseLoader)  # noqa: S506 - `on` stays a word
GITLAB: dict[str, Any] = yaml.safe_load((CI / "gitlab.yaml").read_text())
STEPS = [(job, step) for job, body in GITHUB["jobs"].items() for step in body["steps"]]


def script_of(name: str, job: str = "") -> str:
    """The script of a step of the workflow, by the step's name."""
    return next(step["run"] for of, step in STEPS if step.get("name") == name and job in ("", of))


def scripts() -> Iterator[tuple[str, str]]:
    """Every script of both templates, with where it stands."""
    for job, step in STEPS:
        if "run" in step:
            yield f"github {job}: {step['name']}", step["run"]
    for job, body in GITLAB.items():
        for key in ("before_script", "script", "after_script"):
            if isinstance(body, dict) and key in body:
                yield f"gitlab {job}: {key}", "\n".join(body[key])


SCRIPTS = list(scripts())


@pytest.mark.parametrize(("place", "script"), SCRIPTS, ids=[place for place, _ in SCRIPTS])
def test_a_script_is_one_that_a_shell_takes(place: str, script: str) -> None:
    shell = Path(sys.executable).with_name("shellcheck")
    ended = subprocess.run(
        [shell, "--shell=bash", "--severity=style", "--exclude=SC2002", "-"],
        input=script,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "")


def commands(script: str) -> Iterator[list[str]]:
    for line in script.replace("\\\n", " ").splitlines():
        if found := re.search(r"(?:^|\s)(crossaccount (?:plan|share|deploy|check|promote)[^|;]*)", line):
            words = re.split(r"\s(?:2?>|\|\|)\s?", found[1])[0]
            yield shlex.split(words)[1:]


def test_every_command_in_them_is_one_that_the_parser_takes() -> None:
    found = [words for _, script in SCRIPTS for words in commands(script)]
    assert sorted(words[0] for words in found) == ["deploy", "deploy", "plan", "plan", "share", "share"]
    for words in found:
        assert arguments.parse(words).command == words[0]
    for words in found:
        assert ("--plan" in words) is (words[0] == "share"), "only the agreed plan is shared"
        assert {"--junit", "--summary"} <= set(words) or words[0] != "deploy"


def test_every_action_is_pinned_by_its_commit() -> None:
    used = [step["uses"] for _, step in STEPS if "uses" in step]
    assert len(used) >= 8
    for action in used:
        assert re.fullmatch(r"[a-z-]+/[a-z-]+@[0-9a-f]{40}", action), action


WRITES = {"plan": {"id-token", "pull-requests"}, "share": {"id-token"}, "smoke": {"id-token"}}


def test_a_job_may_write_no_more_than_it_needs() -> None:
    assert GITHUB["permissions"] == "{}" or GITHUB["permissions"] == {}
    for name, job in GITHUB["jobs"].items():
        written = {what for what, may in job["permissions"].items() if may == "write"}
        assert written == WRITES[name]
        assert job["environment"] == f"crossaccount-{name}"
        assert "timeout-minutes" in job
    for _, step in STEPS:
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] == "false"


def test_no_key_is_kept_and_no_expression_is_put_into_a_script() -> None:
    for _, script in SCRIPTS:
        assert "${{" not in script, "an expression in a script runs what others wrote"
    for path in CI.iterdir():
        text = path.read_text()
        assert not re.search(
            r"AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN)|aws-access-key-id|secrets\.", text
        )
    assert GITLAB[".crossaccount"]["id_tokens"]["CROSSACCOUNT_TOKEN"]["aud"] == "sts.amazonaws.com"
    assert GITLAB["crossaccount-share"]["rules"][0]["when"] == "manual", "a person agrees to the plan"


def test_an_environment_variable_of_a_script_is_one_that_its_job_has() -> None:
    given = set(GITHUB["env"]) | {
        "GITHUB_STEP_SUMMARY",
        "GITHUB_REPOSITORY",
        "GITHUB_SHA",
        "GITHUB_WORKFLOW_REF",
    }
    for _, step in STEPS:
        script = step.get("run", "")
        made = set(re.findall(r"^\s*([a-z]+)=", script, re.MULTILINE)) | set(step.get("env", {}))
        assert set(re.findall(r"\$\{?([A-Za-z_]+)", script)) <= given | made, script


def of_gitlab(job: str, key: str = "script") -> str:
    return "\n".join(GITLAB[job][key])


@pytest.fixture
def runner(aws: Any, tmp_path: Path, prefect_url: str) -> Iterator[Any]:
    """Runs a script as a runner does, with the project checked out and ambient variables: its exit code and all that it printed."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    config = tmp_path / "ours.yaml"
    shutil.copy(aws.config, config)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {
        **os.environ,
        "PATH": path,
        "PREFECT_API_URL": prefect_url,
        "GITHUB_STEP_SUMMARY": str(tmp_path / "step.md"),
    }
    env |= {
        "CONFIG": str(config),
        "CONSUMER": "staging",
        "CROSSACCOUNT_CONFIG": str(config),
        "CROSSACCOUNT_CONSUMER": "staging",
        "CI": "true",
    }

    def run(script: str) -> tuple[int, str]:
        # As GitHub calls it: bash -e with pipefail.
        ended = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            env=env, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
        )  # fmt: skip
        return ended.returncode, ended.stdout

    run.folder = tmp_path  # type: ignore[attr-defined]
    with aws.restored():
        yield run


@pytest.fixture(scope="module")
def prefect_url(
    tmp_path_factory: pytest.TempPathFactory, prefect_database: Path, one_authority: Path
) -> Iterator[str]:
    """A Prefect server for the commands of the scripts."""
    from crossaccount.stage import processes

    home, port = tmp_path_factory.mktemp("prefect"), processes.free_port()
    env = {**processes.prefect_settings(home, port), "PREFECT_API_SSL_CERT_FILE": str(one_authority)}
    (home / "prefect").mkdir()
    shutil.copy(prefect_database, home / "prefect" / "prefect.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_SERVER_DATABASE_MIGRATE_ON_START", "false")
        with processes.prefect_server(home, port, {**env, "PREFECT_SERVER_UI_ENABLED": "false"}):
            processes.wait_for(f"{env['PREFECT_API_URL']}/health", "The Prefect server")
            yield env["PREFECT_API_URL"]


def test_the_scripts_plan_share_that_plan_and_prove_it(runner: Any, aws: Any) -> None:
    folder = runner.folder
    assert runner(script_of("Plan"))[0] == 0
    comment = (folder / "comment.md").read_text()
    assert "4 of 4 policies would change." in comment
    assert "\n+" in comment, "the diff begins its lines with + and -, as GitHub colours it"
    assert comment.count("~~~~~~~~") == 2
    assert (folder / "step.md").read_text() == comment
    assert json.loads((folder / "plan.json").read_text())
    refused, printed = runner(script_of("Deploy and prove"))
    assert (refused, "refused, the registry door" in (folder / "step.md").read_text()) == (3, True), printed
    assert runner(script_of("Share"))[0] == 0
    code, printed = runner(of_gitlab("crossaccount-share"))
    assert (code, "is stale" in printed) == (1, True), "a plan is shared once"
    code, printed = runner(of_gitlab("crossaccount-smoke"))
    assert (code, (folder / "junit.xml").exists()) == (0, True), printed
    assert "## crossaccount deploy: done" in (folder / "summary.md").read_text()


def test_a_plan_that_fails_is_a_comment_too_and_keeps_its_exit_code(runner: Any) -> None:
    (runner.folder / "ours.yaml").write_text("region: mars-1\n")
    for script in (script_of("Plan"), of_gitlab("crossaccount-plan")):
        code, _ = runner(script)
        comment = (runner.folder / "comment.md").read_text()
        assert (code, "exit code 2" in comment, "is not a region" in comment) == (2, True, True)
