"""The Terraform modules are the templates: rendered from them, and with the same roles, word for word, whatever they are given."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crossaccount.setup import templates, terraform

sys.path.insert(0, str(Path(__file__).parent))

from hcl_locals import Module

SHARED = {
    "ModelPackageGroupName": "trees",
    "ArtifactBucket": "models",
    "ReleasesBucket": "released",
    "ReleasesPrefix": "releases/",
    "RepositoryName": "team/trees",
    "ExternalId": "an-external:id/2026",
}
KEY = "arn:aws:kms:us-east-1:111111111111:key/11111111-2222-3333-4444-555555555555"
PLACE = templates.Place("aws", "us-east-1", "222222222222")
CHINA = templates.Place("aws-cn", "cn-north-1", "222222222222")
# What each side may be told besides; each is tried alone, and all of it at once.
FURTHER = {
    "producer": {
        "KeyArn": KEY,
        "ReleasesKeyArn": KEY,
        "LifecycleStages": "Staging,Production",
        "LifecycleStatuses": "Approved,PendingApproval",
        "Discoverable": "true",
        "TrustedPrincipalArn": "arn:aws:iam::999999999999:role/deployer",
        "NamePrefix": "churn",
    },
    "consumer": {
        "ArtifactPrefix": "models/trees/",
        "KeyArn": KEY,
        "ReleasesKeyArn": KEY,
        "EndpointKeyArn": KEY,
        "CaptureLocation": "captured/trees/",
        "AnswersLocation": "answers/trees/",
        "FailuresLocation": "failures/trees/",
        "AnswersKeyArn": KEY,
        "AnswersTopics": "arn:aws:sns:us-east-1:222222222222:yes,arn:aws:sns:us-east-1:222222222222:no",
        "AwsRepositories": "arn:aws:ecr:us-east-1:683313688378:repository/sagemaker-scikit-learn",
        "ShadowBucket": "captured",
        "SmokeObjects": "questions/trees/",
        "InVpc": "true",
        "InferenceComponents": "true",
        "SeesAllEndpoints": "true",
        "TrustedPrincipalArn": "arn:aws:iam::999999999999:role/deployer",
        "NamePrefix": "churn",
    },
}
LEAST = {
    "producer": SHARED,
    "consumer": {**SHARED, "ProducerAccount": "111111111111", "EndpointName": "trees-1"},
}


def _cases() -> list[Any]:
    cases = []
    for side, further in FURTHER.items():
        sets = {
            "the least": {},
            "everything": further,
            **{name: {name: text} for name, text in further.items()},
        }
        cases += [
            pytest.param(side, LEAST[side] | given, PLACE, id=f"{side}: {name}")
            for name, given in sets.items()
        ]
        cases.append(pytest.param(side, LEAST[side] | further, CHINA, id=f"{side}: in China"))
    queued = {name: FURTHER["consumer"][name] for name in ("AnswersLocation", "SmokeObjects")}
    return [
        *cases,
        pytest.param("consumer", LEAST["consumer"] | queued, PLACE, id="consumer: queued objects"),
    ]


CASES = _cases()
MODULES = {side: Module(terraform.FOLDER / side) for side in templates.SIDES}
NAMES = ("roles", "policies", "managed_policies")


def by_template(side: str, given: dict[str, str], place: templates.Place) -> Any:
    made = templates.make(side, given, place)
    return {
        "roles": {
            each.name: [each.trust, each.session_seconds, {templates.EDITION: each.edition}]
            for each in made.roles
        },
        "policies": {
            f"{role.name} {policy.name}": policy.document for role in made.roles for policy in role.policies
        },
        "managed": {each.name: each.document for each in made.managed},
    }


def as_variables(side: str, given: dict[str, str]) -> dict[str, Any]:
    declared = templates.read(side)["Parameters"]
    return {terraform.variable(name): _value(declared[name], text) for name, text in given.items()}


def _value(declared: Any, text: str) -> Any:
    return text.split(",") if declared["Type"] == "CommaDelimitedList" else text


def by_module(found: dict[str, Any]) -> Any:
    """The same of the module's locals."""
    roles = found["roles"]
    return {
        "roles": {
            each["name"]: [json.loads(each["trust"]), each["max_session_duration"], each["tags"]]
            for each in roles.values()
        },
        "policies": {
            f"{roles[each['role']]['name']} {each['name']}": json.loads(each["document"])
            for each in found["policies"].values()
            if each["needed"]
        },
        "managed": {
            each["name"]: json.loads(each["document"]) for each in found["managed_policies"].values()
        },
    }


@pytest.mark.parametrize("side", templates.SIDES)
def test_the_modules_are_what_the_templates_render_to(side: str) -> None:
    there = {file.name: file.read_text(encoding="utf-8") for file in (terraform.FOLDER / side).iterdir()}
    assert there == terraform.files(side), "run python -m crossaccount.setup.terraform"


@pytest.mark.parametrize(("side", "given", "place"), CASES)
def test_a_module_s_roles_are_the_template_s(
    side: str, given: dict[str, str], place: templates.Place
) -> None:
    found = MODULES[side].evaluated(NAMES, as_variables(side, given), vars(place))
    assert by_module(found) == by_template(side, given, place)


def test_the_cases_turn_each_condition_both_ways() -> None:
    for side in templates.SIDES:
        made = {json.dumps(by_template(*case.values)["policies"]) for case in CASES if case.values[0] == side}
        named = {sid for text in made for sid in re.findall(r'"Sid": "(\w+)"', text)}
        text = (templates.FOLDER / f"{side}.yaml").read_text()
        operators = {"AssumeSharingRole", "AssumeDeployer"}
        assert named == set(re.findall(r"- Sid: (\w+)", text)) - operators
        assert set(FURTHER[side]) | set(LEAST[side]) == set(templates.read(side)["Parameters"])


ASKING = """
variable "place" { type = map(string) }
locals {
  partition = var.place["partition"]
  region    = var.place["region"]
  account   = var.place["account"]
}
output "made" { value = { roles = local.roles, policies = local.policies, managed_policies = local.managed_policies } }
"""
needs_terraform = pytest.mark.skipif(not shutil.which("terraform"), reason="needs terraform on PATH")


def terraform_of(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}
    return subprocess.run(
        ["terraform", *words], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


@needs_terraform
def test_terraform_itself_formats_the_modules_so() -> None:
    said = terraform_of(terraform.FOLDER, "fmt", "-check", "-recursive", "-diff")
    assert (said.returncode, said.stdout) == (0, "")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both modules without what asks AWS, which needs a provider."""
    folders = {}
    for side in templates.SIDES:
        folders[side] = folder = tmp_path_factory.mktemp(side)
        for name in ("variables.tf", "policies.tf"):
            shutil.copy(terraform.FOLDER / side / name, folder)
        (folder / "asking.tf").write_text(ASKING)
        assert terraform_of(folder, "init", "-input=false").returncode == 0
    return folders


@needs_terraform
@pytest.mark.parametrize(("side", "given", "place"), CASES)
def test_terraform_itself_comes_to_the_same(
    asked: dict[str, Path], side: str, given: dict[str, str], place: templates.Place
) -> None:
    folder = asked[side]
    (folder / "terraform.tfvars.json").write_text(
        json.dumps({**as_variables(side, given), "place": vars(place)})
    )
    applied = terraform_of(folder, "apply", "-auto-approve", "-input=false", "-no-color")
    assert applied.returncode == 0, applied.stderr
    found = json.loads(terraform_of(folder, "output", "-json", "made").stdout)
    assert by_module(found) == by_template(side, given, place)


BAD = {"ExternalId": ["x", "with space", "x" * 1225], "EndpointName": ["Trees", "-a"], "InVpc": ["yes"]}


@needs_terraform
@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in BAD.items() for text in texts])
def test_what_the_template_refuses_the_module_does(asked: dict[str, Path], name: str, text: str) -> None:
    from crossaccount.errors import InputError

    given = {**LEAST["consumer"], name: text}
    with pytest.raises(InputError):
        templates.make("consumer", given, PLACE)
    (asked["consumer"] / "terraform.tfvars.json").write_text(
        json.dumps({**as_variables("consumer", given), "place": vars(PLACE)})
    )
    planned = terraform_of(asked["consumer"], "plan", "-input=false", "-no-color")
    assert planned.returncode == 1
    assert "Invalid value for variable" in planned.stderr
