"""``crossaccount doctor`` with a first config that was changed by hand, or whose stacks are not there: what it names is what mends it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crossaccount.cli import main as cli

Call = Callable[..., Any]
Answers = dict[tuple[str, str], dict[str, Any]]
CONSUMER = "consumers.bare-02"
ROLES = "arn:aws:iam::700000000002:role/crossaccount"


@pytest.fixture(scope="module")
def churn(world: Any) -> Any:
    """The group of a team, with its three versions."""
    team = world.team("bare-01", "churn")
    team.register_three(world.models)
    return team


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str], no_prefect: None) -> Callable[[Path], tuple[int, Answers]]:
    """Runs ``crossaccount doctor`` with a config: the exit code, and the answers by subject and question."""

    def look(config: Path) -> tuple[int, Answers]:
        with pytest.raises(SystemExit) as ended:
            cli.main(["doctor", str(config), "--json"])
        report = json.loads(capsys.readouterr().out)
        answers = report.get("answers") or report["error"]["report"]["answers"]
        return int(str(ended.value.code)), {(each["subject"], each["question"]): each for each in answers}

    return look


def said(answer: dict[str, Any]) -> str:
    return f"{answer['text']} {answer['way_out']}"


def wrong(answers: Answers) -> set[tuple[str, str]]:
    return {key for key, each in answers.items() if each["verdict"] == "no"}


@pytest.mark.parametrize("has_files", [True, False])
def test_before_its_stack_is_there_the_command_that_deploys_it_is_named(
    init: Call, given: Call, world: Any, doctor: Call, has_files: bool
) -> None:
    group = f"early-{has_files}".lower()
    world.team("bare-07", group).register(world.models[0], "early/1/")
    ended = init(*given(group, "bare-07", "bare-08"))
    for file in ended.folder.glob("*.parameters.json") if not has_files else ():
        file.unlink()
    code, answers = doctor(Path("config.yaml"))
    assert (code, wrong(answers)) == (3, {("producer", "role"), ("consumers.bare-08", "role")})
    for subject, number, command in zip(
        ("producer", "consumers.bare-08"), "78", ended.json["commands"][:2], strict=True
    ):
        text = said(answers[subject, "role"])
        assert f"there is no such role in account 70000000000{number}" in text
        assert (command if has_files else "crossaccount init config.yaml") in text
        assert "trust policy" not in text


@pytest.fixture(scope="module")
def deployed(world: Any, churn: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files of ``init`` once its stacks are deployed; filled by the first test that asks for `ready`."""
    return {}


@pytest.fixture
def ready(init: Call, given: Call, world: Any, deployed: dict[str, str], tmp_path: Path) -> Path:
    """A config whose stacks are deployed, in a folder of the test's own."""
    if not deployed:
        folder = init(*given("churn")).folder
        world.deploy("bare-01", "producer", folder / "config.producer.parameters.json")
        world.deploy("bare-02", "consumer", folder / "config.consumer-bare-02.parameters.json")
        deployed.update({file.name: file.read_text() for file in folder.iterdir()})
    for name, text in deployed.items():
        (tmp_path / name).write_text(text)
    init("--help")  # which leaves the profiles for the commands of the test
    return tmp_path / "config.yaml"


FROM_STACKS = "crossaccount init config.yaml --from-stacks"
# What is changed in the config, into what; the question that says no, words of it, and the command that mends it, if one does.
CHANGED: list[tuple[str, str, tuple[str, str], tuple[str, ...], str]] = [
    (
        *("external_id: .*", "external_id: a-wrong-one", ("producer", "role")),
        ("the role asks for an external id, another one than producer.external_id", FROM_STACKS),
        FROM_STACKS,
    ),
    (
        *("role: (.*)crossaccount-deployer", r"role: \1crossaccount-deplyer", (CONSUMER, "role")),
        (f"{CONSUMER}.role is {ROLES}-deplyer", f"made {ROLES}-deployer", FROM_STACKS),
        FROM_STACKS,
    ),
    (
        *("crossaccount-execution", "crossaccount-exectuion", (CONSUMER, "template")),
        (f"there is no role {ROLES}-exectuion", f"Correct {CONSUMER}.execution_role", FROM_STACKS),
        FROM_STACKS,
    ),
    (
        *("profile: bare-02", "profile: bare-03", (CONSUMER, "role")),
        (
            "'bare-03' is of account 700000000003",
            f"{CONSUMER}.account is 700000000002",
            f"Name a profile of 700000000002 in {CONSUMER}.profile",
        ),
        "",
    ),
    (
        *("profile: bare-01", "profile: bare-03", ("producer", "role")),
        ("'bare-03' is of account 700000000003", "producer.account is 700000000001", "in producer.profile"),
        "",
    ),
    (
        *("model_package_group: churn", "model_package_group: chrun", ("producer", "group")),
        ("Did you mean churn?", "model_package_group", "or region"),
        "",
    ),
]


CHANGED.append(
    (
        *("instance_type: .*", "instance_type: ml.m5.large", (CONSUMER, "instance type")),
        (
            f"{CONSUMER}.endpoint.instance_type: Version 2 does not support ml.m5.large",
            "it was registered for ml.c5.xlarge, ml.c5.large",
        ),
        "crossaccount init config.yaml --instance-type ml.c5.large",
    )
)


@pytest.mark.parametrize(
    ("before", "after", "question", "words", "mends"), CHANGED, ids=[each[1] for each in CHANGED]
)
def test_a_fault_of_the_config_is_told_by_its_key_and_with_what_mends_it(
    ready: Path,
    init: Call,
    doctor: Call,
    before: str,
    after: str,
    question: tuple[str, str],
    words: tuple[str, ...],
    mends: str,
) -> None:
    ready.write_text(re.sub(before, after, ready.read_text(), count=1))
    code, answers = doctor(Path("config.yaml"))
    assert (code, wrong(answers)) == (1 if question[1] == "instance type" else 3, {question})
    for each in words:
        assert each in said(answers[question])
    for command in re.findall(
        r"crossaccount init \S+ --from-stacks\S*|--capabilities \S+", said(answers[question])
    ):
        assert not command.endswith("."), "it can be pasted to the end of the line"
    if mends:
        assert init(*mends.split()[2:], "--yes").code == 0
        assert doctor(Path("config.yaml"))[0] == 0


def test_a_region_that_the_group_is_not_in_is_told_by_that_of_the_profile(
    ready: Path, doctor: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready.write_text(ready.read_text().replace("region: us-east-1", "region: us-west-2"))
    text = said(doctor(Path("config.yaml"))[1]["producer", "group"])
    assert "First compare model_package_group of the config, churn, and region, us-west-2," in text
    assert "It is in" not in text, "the profile's region, eu-west-1, has no such group either"
    profiles = ready.parent.parent / f"{ready.parent.name}.aws"
    profiles.write_text(profiles.read_text().replace("region = eu-west-1", "region = us-east-1"))
    text = said(doctor(Path("config.yaml"))[1]["producer", "group"])
    assert "It is in us-east-1, the region of the AWS profile 'bare-01'" in text
    assert "Write region: us-east-1" in text


def test_what_the_profile_may_not_read_is_not_concluded(
    ready: Path, doctor: Call, world: Any, init: Call
) -> None:
    world.user("bare-02", "blind", "iam:GetRole", "cloudformation:*")
    init("--help")
    changed = ready.read_text().replace("profile: bare-02", "profile: blind")
    ready.write_text(changed.replace("crossaccount-deployer", "crossaccount-deplyer"))
    text = said(doctor(Path("config.yaml"))[1][CONSUMER, "role"])
    for part in (
        "AWS says the same of a role that does not exist",
        f"{CONSUMER}.role",
        "may not ask iam:GetRole",
        FROM_STACKS,
        "aws cloudformation deploy --profile blind",
    ):
        assert part in text


def _role(iam: Any) -> str:
    """A role of the account that SageMaker may read models and images with."""
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    pull = {"Effect": "Allow", "Action": ["ecr:*", "s3:*"], "Resource": "*"}
    trusted, pulled = (json.dumps({"Version": "2012-10-17", "Statement": [each]}) for each in (trust, pull))
    arn = iam.create_role(RoleName="serving", AssumeRolePolicyDocument=trusted)["Role"]["Arn"]
    iam.put_role_policy(RoleName="serving", PolicyName="pull", PolicyDocument=pulled)
    return str(arn)


@pytest.fixture(scope="module")
def somebody_else_s(world: Any) -> Iterator[None]:
    """An endpoint in the consumer's account that the deployer role may not look at."""
    sagemaker = world.client("bare-02", "sagemaker")
    name = {"EndpointName": "somebody-else-s"}
    model = {"ModelName": "other", "ExecutionRoleArn": _role(world.client("bare-02", "iam"))}
    variant = {
        "VariantName": "all",
        "ModelName": "other",
        "InitialInstanceCount": 2,
        "InstanceType": "ml.c5.xlarge",
    }
    team = world.team("bare-02", "other")
    team.register(world.models[0], "other/1/")
    artifact = f"s3://{team.bucket}/other/1/output/model.tar.gz"
    sagemaker.create_model(**model, PrimaryContainer={"Image": team.image, "ModelDataUrl": artifact})
    sagemaker.create_endpoint_config(EndpointConfigName="other", ProductionVariants=[variant])
    sagemaker.create_endpoint(**name, EndpointConfigName="other")
    sagemaker.get_waiter("endpoint_in_service").wait(**name, WaiterConfig={"Delay": 1})
    yield
    sagemaker.delete_endpoint(**name)


# What the profile is denied, the verdict about quotas, and the permission that is named.
SEEN = [
    ((), "yes", ""),
    (
        ("sagemaker:DescribeEndpoint",),
        "cannot tell",
        "Allow sagemaker:DescribeEndpoint to the role or the profile",
    ),
    (("servicequotas:*",), "cannot tell", "SeesAllEndpoints=true"),
]


@pytest.mark.parametrize(("denied", "verdict", "words"), SEEN)
def test_what_the_role_may_not_count_the_profile_counts(
    ready: Path,
    doctor: Call,
    world: Any,
    init: Call,
    somebody_else_s: None,
    denied: tuple[str, ...],
    verdict: str,
    words: str,
) -> None:
    name = f"counting-{len(denied)}-{verdict[:3]}-{len(words)}"
    world.user("bare-02", name, *(denied or ("iam:CreateUser",)))
    init("--help")
    ready.write_text(ready.read_text().replace("profile: bare-02", f"profile: {name}"))
    found = doctor(Path("config.yaml"))[1][CONSUMER, "quotas"]
    assert found["verdict"] == verdict
    assert words in said(found)


def test_plan_warns_of_an_instance_type_that_the_version_to_be_deployed_does_not_support(
    ready: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {}
    for given in ("ml.c5.large", "ml.m5.large"):
        ready.write_text(re.sub("instance_type: .*", f"instance_type: {given}", ready.read_text()))
        with pytest.raises(SystemExit) as ended:
            cli.main(["plan", "config.yaml", "--json"])
        findings = json.loads(capsys.readouterr().out)["findings"]
        said[given] = (
            ended.value.code or 0,
            [each for each in findings if "does not support" in each["text"]],
        )
    assert said["ml.c5.large"] == (0, [])
    code, (finding,) = said["ml.m5.large"]
    assert (code, finding["severity"], finding["subject"]) == (
        0,
        "warning",
        f"{CONSUMER}.endpoint.instance_type",
    )
    assert "ml.c5.xlarge, ml.c5.large" in finding["text"]
