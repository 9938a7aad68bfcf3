"""``crossaccount roles``: what the stacks are told, in every form, and what deployed roles differ in, on the sandbox's own roles."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

sys.path.insert(0, str(Path(__file__).parents[1] / "deployments"))

from crossaccount.cli import main as cli
from crossaccount.setup import templates, terraform

STAGING, PRODUCER = "222222222222", "111111111111"
# What the sandbox's stacks were told besides: see crossaccount_sandbox.accounts.
TOLD = ["--parameter", "InferenceComponents=true"]


def run(capsys: Any, *words: str) -> tuple[int, dict[str, Any]]:
    with pytest.raises(SystemExit) as ended:
        cli.main(["roles", *words, "--json"])
    return int(str(ended.value.code)), json.loads(capsys.readouterr().out)


@pytest.fixture
def administrators(aws: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The sandbox, with profiles that may read roles."""
    lines = [
        f"[{name}]\naws_access_key_id = {key['access_key_id']}\naws_secret_access_key = {key['secret_access_key']}\n"
        for name, key in aws.ready["accounts"].items()
    ]
    file = tmp_path / "administrators"
    file.write_text("".join(lines))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    return aws


def of_staging(report: dict[str, Any]) -> dict[str, Any]:
    """The verdicts on the roles of the consumer staging, by their names."""
    roles = report.get("roles") or report["error"]["report"]["roles"]
    return {each["role"].rpartition("/")[2]: each for each in roles if each["side"] == "staging"}


def test_the_roles_that_the_stacks_made_are_as_needed(administrators: Any, edited: Any, capsys: Any) -> None:
    """CloudFormation, as the sandbox has it, comes to the same roles as the comparison does."""
    stages = {stage: {"stage": "Production", "status": "Approved"} for stage in (1, 2)}
    config = edited(producer__discoverable=True, lifecycle=stages)
    iam = administrators.admin("producer", "iam")
    named = {"RoleName": "crossaccount-producer", "PolicyName": "lifecycle"}
    lifecycle = iam.get_role_policy(**named)["PolicyDocument"]["Statement"][0]["Condition"]["StringEquals"]
    given = [
        *TOLD,
        *("--parameter", f"LifecycleStages={','.join(lifecycle['sagemaker:ModelLifeCycle:stage'])}"),
        *("--parameter", f"LifecycleStatuses={','.join(lifecycle['sagemaker:ModelLifeCycle:stageStatus'])}"),
    ]
    code, report = run(capsys, config, "--check", *given)
    assert (code, report["ok"]) == (0, True), report
    assert len(report["roles"]) == 5
    assert {each["verdict"] for each in report["roles"]} == {"yes"}


@pytest.fixture
def broken(administrators: Any) -> Iterator[Any]:
    """The execution role of staging, whose policy is put back."""
    iam = administrators.admin("staging", "iam")
    named = {"RoleName": "crossaccount-execution", "PolicyName": "model"}
    before = iam.get_role_policy(**named)["PolicyDocument"]

    def put(document: Any) -> None:
        iam.put_role_policy(**named, PolicyDocument=json.dumps(document))

    yield lambda change: put(change(json.loads(json.dumps(before))))
    put(before)


def _lacking(document: Any) -> Any:
    document["Statement"] = [one for one in document["Statement"] if one["Sid"] != "PullImage"]
    return document


def _wider(document: Any) -> Any:
    for one in document["Statement"]:
        if one["Sid"] == "PullImage":
            one.update(Action="ecr:*", Resource="*")
    return document


@pytest.mark.parametrize(
    ("change", "kind", "contains"), [(_lacking, "missing", False), (_wider, "allows more", True)]
)
def test_a_deployed_role_that_differs_is_told_by_sid(
    broken: Any, aws: Any, capsys: Any, change: Any, kind: str, contains: bool
) -> None:
    broken(change)
    code, report = run(capsys, str(aws.config), "--check", "--consumer", "staging", *TOLD)
    found = of_staging(report)["crossaccount-execution"]
    assert (code, found["verdict"]) == (1, "no")
    assert [(each["sid"], each["kind"]) for each in found["differences"]] == [("PullImage", kind)]
    assert found["contains_what_is_needed"] is contains
    assert of_staging(report)["crossaccount-deployer"]["verdict"] == "yes"


def test_an_attached_policy_of_aws_counts(administrators: Any, capsys: Any) -> None:
    iam = administrators.admin("staging", "iam")
    attached = {
        "RoleName": "crossaccount-execution",
        "PolicyArn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess",
    }
    iam.attach_role_policy(**attached)
    try:
        code, report = run(capsys, str(administrators.config), "--check", "--consumer", "staging", *TOLD)
    finally:
        iam.detach_role_policy(**attached)
    found = of_staging(report)["crossaccount-execution"]
    assert (code, {each["kind"] for each in found["differences"]}) == (1, {"additional"})
    assert {each["policy"] for each in found["differences"]} == {f"policy {attached['PolicyArn']}"}


def test_a_role_that_is_not_there_is_missing(administrators: Any, edited: Any, capsys: Any) -> None:
    roles = {
        f"consumers__staging__{key}": f"arn:aws:iam::{STAGING}:role/other-{name}"
        for key, name in (("role", "deployer"), ("execution_role", "execution"))
    }
    code, report = run(capsys, edited(**roles), "--check", "--consumer", "staging")
    found = of_staging(report)
    assert (code, set(found)) == (1, {"other-deployer", "other-execution"})
    assert {each["verdict"] for each in found.values()} == {"no"}
    assert {each["contains_what_is_needed"] for each in found.values()} == {False}
    assert "There is no such role" in found["other-deployer"]["reason"]


def test_what_may_not_be_read_cannot_be_told(aws: Any, capsys: Any) -> None:
    """The sandbox's own profiles may assume roles and no more."""
    code, report = run(capsys, str(aws.config), "--check")
    roles = report["error"]["report"]["roles"]
    assert (code, {each["verdict"] for each in roles}) == (3, {"cannot tell"})
    assert all("iam:GetRole" in each["reason"] for each in roles)
    assert {each["contains_what_is_needed"] for each in roles} == {None}


def test_a_profile_of_another_account_compares_nothing(administrators: Any, edited: Any, capsys: Any) -> None:
    """Roles of the same names are in every account."""
    code, report = run(
        capsys, edited(consumers__staging__profile="production"), "--check", "--consumer", "staging"
    )
    found = of_staging(report)
    assert {each["verdict"] for each in found.values()} == {"cannot tell"}
    assert code == 1  # the producer's role, which allows more
    assert "333333333333" in found["crossaccount-deployer"]["reason"]


def test_the_parameters_come_in_every_form(aws: Any, capsys: Any, tmp_path: Path) -> None:
    folder = tmp_path / "stacks"
    code, report = run(capsys, str(aws.config), "--out", str(folder))
    written = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert (code, set(report["files"])) == (0, written)
    given = report["stacks"]["staging"]["parameters"]
    assert (given["EndpointName"], given["ExternalId"]) == ("decision-trees-staging", "sandbox-staging")
    listed = json.loads((folder / "consumer-staging.parameters.json").read_text())
    assert listed == [f"{name}={value}" for name, value in given.items()], (
        "as the deploy command takes a file"
    )
    for side in templates.SIDES:
        assert (folder / f"{side}.yaml").read_text() == (templates.FOLDER / f"{side}.yaml").read_text()
        for name, text in terraform.files(side).items():
            assert (folder / "terraform" / side / name).read_text() == text


def test_a_stack_set_with_its_overrides_is_each_consumer_s_stack(
    aws: Any, capsys: Any, tmp_path: Path
) -> None:
    """As CloudFormation would take them: checked by botocore's model of both operations."""
    _, report = run(capsys, str(aws.config), "--out", str(tmp_path))
    lines = [
        line[2:] for line in (tmp_path / "commands.sh").read_text().splitlines() if line.startswith("# aws")
    ]
    made, *instances = (shlex.split(line) for line in lines)
    shared = json.loads((tmp_path / "stack-set.json").read_text())
    client = boto3.session.Session().client("cloudformation", "us-east-1")
    check = ParamValidator()

    def options(words: list[str]) -> dict[str, str]:
        return {name: words[place + 1] for place, name in enumerate(words) if name.startswith("--")}

    creating = {"StackSetName": options(made)["--stack-set-name"], "Parameters": shared}
    shape = client.meta.service_model.operation_model("CreateStackSet").input_shape
    assert not check.validate(creating, shape).has_errors()
    found = {}
    for words in instances:
        given = options(words)
        file = given.get("--parameter-overrides", "").removeprefix("file://")
        own = json.loads((tmp_path / file).read_text()) if file else []
        instance = {
            "Accounts": [given["--accounts"]],
            "Regions": [given["--regions"]],
            "ParameterOverrides": own,
        }
        shape = client.meta.service_model.operation_model("CreateStackInstances").input_shape
        assert not check.validate({"StackSetName": "x", **instance}, shape).has_errors()
        found[given["--accounts"]] = {
            each["ParameterKey"]: each["ParameterValue"] for each in (*shared, *own)
        }
    stacks = {name: each for name, each in report["stacks"].items() if name != "producer"}
    assert found == {each["account"]: each["parameters"] for each in stacks.values()}


def test_the_root_module_gives_each_module_what_the_stack_is_told(
    aws: Any, capsys: Any, tmp_path: Path
) -> None:
    import hcl2

    _, report = run(capsys, str(aws.config), "--out", str(tmp_path))
    with (tmp_path / "terraform" / "main.tf").open() as file:
        read = hcl2.load(file)
    modules = {name.strip('"'): body for each in read["module"] for name, body in each.items()}
    assert set(modules) == {"producer", "consumer-staging", "consumer-production"}
    for name, stack in report["stacks"].items():
        body = modules[name if name == "producer" else f"consumer-{name}"]
        declared = templates.read("producer" if name == "producer" else "consumer")["Parameters"]
        for parameter, text in stack["parameters"].items():
            written = body[terraform.variable(parameter)]
            listed = [part for part in text.split(",") if part]
            wanted: Any = listed if declared[parameter]["Type"] == "CommaDelimitedList" else text
            assert (
                [each.strip('"') for each in written] if isinstance(written, list) else written.strip('"')
            ) == wanted
    own = {name.strip('"') for each in read["provider"] for name in each}
    assert own == {"aws"}


BAD = [
    ["--parameter", "ArtifactBucket"],
    ["--parameter", "Bucket=x"],
    ["--parameter", "nobody.ArtifactBucket=x"],
    ["--parameter", "producer.EndpointName=x"],
    ["--parameter", "staging.InVpc=perhaps"],
    ["--parameter", "ExternalId=with space"],
    ["--consumer", "nobody"],
    ["--check", "--out", "x"],
    ["--out", os.devnull],
]


@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_bad_input_is_said_and_changes_nothing(aws: Any, capsys: Any, words: list[str]) -> None:
    code, report = run(capsys, str(aws.config), *words)
    assert (code, report["error"]["kind"]) == (2, "InputError")
    assert not Path("x").exists()


def test_without_a_way_to_read_the_registry_it_is_given(aws: Any, edited: Any, capsys: Any) -> None:
    config = edited(producer__external_id="a-wrong-one")
    code, report = run(capsys, config)
    assert (code, report["error"]["kind"]) == (3, "Refused")
    assert "--parameter ArtifactBucket=BUCKET" in "".join(report["error"]["notes"])
    with aws.calls() as calls:
        code, report = run(
            capsys,
            config,
            "--parameter",
            "ArtifactBucket=b",
            "--parameter",
            "producer.RepositoryName=p",
            "--parameter",
            "RepositoryName=r",
        )
    assert (code, calls) == (0, [])
    assert report["stacks"]["staging"]["parameters"]["RepositoryName"] == "r"
    assert report["stacks"]["producer"]["parameters"]["RepositoryName"] == "p"
