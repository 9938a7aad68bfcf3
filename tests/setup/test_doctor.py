"""``crossaccount doctor`` on the sandbox: each question apart, and a way out for each no."""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from crossaccount.cli import main as cli
from crossaccount.setup import templates

STAGING = "arn:aws:iam::222222222222:role/crossaccount-deployer"
Answers = dict[tuple[str, str], dict[str, Any]]


pytestmark = pytest.mark.usefixtures("no_prefect")


def look(capsys: Any, config: Any, *words: str) -> tuple[int, Answers]:
    with pytest.raises(SystemExit) as ended:
        cli.main(["doctor", str(config), "--json", *words])
    report = json.loads(capsys.readouterr().out)
    answers = report.get("answers") or report["error"]["report"]["answers"]
    return int(str(ended.value.code)), {(each["subject"], each["question"]): each for each in answers}


def saying(answers: Answers, verdict: str) -> set[tuple[str, str]]:
    return {key for key, each in answers.items() if each["verdict"] == verdict}


def test_the_sandbox_is_ready_and_nothing_is_changed(aws: Any, capsys: Any) -> None:
    with aws.calls() as calls:
        code, answers = look(capsys, aws.config)
    assert (code, saying(answers, "no")) == (0, set())
    # The producer's operator and its role may not look at roles: the stack's owner may.
    assert saying(answers, "cannot tell") == {("producer", "template")}
    of_a_consumer = {
        *("credentials", "role", "wrong external id", "sessions", "region", "template", "quotas"),
        "instance type",
    }
    assert {question for subject, question in answers if subject == "consumers.staging"} == of_a_consumer
    of_the_producer = {
        "credentials",
        "role",
        "wrong external id",
        "sessions",
        "region",
        "group",
        "bucket",
        "template",
    }
    assert {question for subject, question in answers if subject == "producer"} == of_the_producer
    reads = re.compile("(Get|List|Describe|Head)[A-Z]|AssumeRole$")
    operations = {call["operation"] for call in calls if call.get("operation")}
    assert {name for name in operations if not reads.match(name)} == set()


def test_it_says_so_in_lines(aws: Any, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        cli.main(["doctor", str(aws.config), "--consumer", "staging"])
    lines = capsys.readouterr().out.strip().splitlines()
    assert all(re.match(r"(yes|no|cannot tell): [\w.]+: .+: .+", line) for line in lines), lines
    assert not any("production" in line for line in lines)
    assert lines[-1].startswith("yes: prefect: server: no server is configured (PREFECT_API_URL)")


# What is wrong in the config, the question that says no, words of its answer or its way out, and the exit code.
WRONG: list[tuple[dict[str, Any], tuple[str, str], str, int]] = [
    (
        {"consumers__staging__profile": "stagign"},
        ("consumers.staging", "credentials"),
        "Did you mean staging",
        1,
    ),
    (
        {"consumers__staging__external_id": "a-wrong-one"},
        ("consumers.staging", "role"),
        "consumers.staging.external_id",
        3,
    ),
    (
        {"consumers__staging__role": f"{STAGING}s"},
        ("consumers.staging", "role"),
        "a role that does not exist",
        3,
    ),
    (
        {"producer__releases": "s3://producer-modles-111111111111/releases/"},
        ("producer", "bucket"),
        "producer.releases",
        3,
    ),
    (
        {"model_package_group": "decision-trees-sampel"},
        ("producer", "group"),
        "First compare model_package_group",
        3,
    ),
    (
        {"producer__role": None, "producer__external_id": None, "producer__profile": "staging"},
        ("producer", "credentials"),
        "producer.account is 111111111111",
        1,
    ),
]


@pytest.mark.parametrize(
    ("change", "question", "words", "exit_code"),
    WRONG,
    ids=[f"{each[1][1]} {next(iter(each[0]))}" for each in WRONG],
)
def test_a_fault_is_said_with_the_way_out_and_hides_no_other_answer(
    aws: Any,
    edited: Any,
    capsys: Any,
    change: dict[str, Any],
    question: tuple[str, str],
    words: str,
    exit_code: int,
) -> None:
    code, answers = look(capsys, edited(**change))
    assert (code, saying(answers, "no")) == (exit_code, {question})
    said = f"{answers[question]['text']} {answers[question]['way_out']}"
    assert words in said
    if question[1] == "role":  # which refuses whatever it is given
        assert saying(answers, "cannot tell") >= {(question[0], "wrong external id")}
    # What the producer's versions support is read in the producer's role.
    others = [
        each
        for (subject, asked), each in answers.items()
        if subject == "consumers.production" and asked != "instance type"
    ]
    assert len(others) == 7
    assert {each["verdict"] for each in others} == {"yes"}


def test_several_faults_are_said_at_once(aws: Any, edited: Any, capsys: Any) -> None:
    changes = {key: value for change, *_ in (WRONG[0], WRONG[3]) for key, value in change.items()}
    code, answers = look(capsys, edited(consumers__production__external_id="a-wrong-one", **changes))
    wanted = {("consumers.staging", "credentials"), ("producer", "bucket"), ("consumers.production", "role")}
    assert (code, saying(answers, "no")) == (3, wanted)


def test_a_consumer_whose_part_is_done_elsewhere_needs_no_credentials_here(
    aws: Any, edited: Any, capsys: Any
) -> None:
    config = edited(
        consumers__staging__profile="elsewhere", consumers__staging__run_deployment="move-endpoint/move"
    )
    code, answers = look(capsys, config)
    found = answers["consumers.staging", "credentials"]
    assert (code, found["verdict"]) == (0, "cannot tell")
    assert "where its workers run" in found["way_out"]


@pytest.fixture
def role(aws: Any) -> Iterator[Any]:
    """The deployer role of staging, with its trust policy and its tags, which are put back."""
    iam, name = aws.admin("staging", "iam"), "crossaccount-deployer"
    before = iam.get_role(RoleName=name)["Role"]
    yield lambda change: change(iam, name, before["AssumeRolePolicyDocument"])
    iam.update_assume_role_policy(
        RoleName=name, PolicyDocument=json.dumps(before["AssumeRolePolicyDocument"])
    )
    iam.tag_role(RoleName=name, Tags=before["Tags"])


def _ask_for_nothing(iam: Any, name: str, trust: Any) -> None:
    open_to_all = {
        **trust,
        "Statement": [
            {key: value for key, value in one.items() if key != "Condition"} for one in trust["Statement"]
        ],
    }
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(open_to_all))


def test_a_role_that_takes_any_external_id_is_told(role: Any, aws: Any, capsys: Any) -> None:
    role(_ask_for_nothing)
    code, answers = look(capsys, aws.config, "--consumer", "staging")
    assert (code, saying(answers, "no")) == (1, {("consumers.staging", "wrong external id")})
    assert "does not ask for sts:ExternalId" in answers["consumers.staging", "wrong external id"]["text"]
    assert answers["consumers.staging", "role"]["verdict"] == "yes"


@pytest.mark.parametrize("edition", ["0", None])
def test_a_role_of_another_edition_of_its_template_is_told(
    role: Any, aws: Any, capsys: Any, edition: str | None
) -> None:
    def retag(iam: Any, name: str, trust: Any) -> None:
        if edition is None:
            iam.untag_role(RoleName=name, TagKeys=[templates.EDITION])
        else:
            iam.tag_role(RoleName=name, Tags=[{"Key": templates.EDITION, "Value": edition}])

    role(retag)
    with pytest.raises(SystemExit) as ended:
        cli.main(["doctor", str(aws.config), "--consumer", "staging"])
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("no: "))
    assert ended.value.code == 1
    assert f"{STAGING} was made by {'edition 0' if edition else 'none that says its edition'}" in line
    assert f"crossaccount roles {aws.config} --check" in line


class Stand:
    """A server where AWS would be, which answers anything alike, or nothing in time."""

    def __init__(self, status: int, date: str | None, seconds: float = 0.0) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                time.sleep(seconds)
                self.send_response_only(status)
                if date is not None:
                    self.send_header("Date", date)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_HEAD = do_GET

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"


CLOCKS = [(0, "yes"), (200, "yes"), (-200, "yes"), (400, "no"), (-86400, "no"), (None, "cannot tell")]


@pytest.mark.parametrize(("seconds", "verdict"), CLOCKS)
def test_the_clock_is_held_against_aws_s(
    aws: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any, seconds: int | None, verdict: str
) -> None:
    date = (
        None
        if seconds is None
        else format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", Stand(403, date).url)
    _, answers = look(capsys, aws.config, "--consumer", "staging")
    assert answers["machine", "clock"]["verdict"] == verdict
    if verdict == "no":
        assert ("behind" if seconds and seconds > 0 else "ahead of") in answers["machine", "clock"]["text"]


@pytest.mark.parametrize("what", ["nothing listens", "a proxy", "silence"])
def test_an_aws_that_does_not_answer_is_given_up_soon(
    aws: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any, what: str
) -> None:
    urls = {
        "nothing listens": lambda: "http://127.0.0.1:9",
        "a proxy": lambda: Stand(502, None).url,
        "silence": lambda: Stand(200, None, 30).url,
    }
    monkeypatch.setenv("AWS_ENDPOINT_URL", urls[what]())
    began = time.monotonic()
    code, answers = look(capsys, aws.config)
    assert time.monotonic() - began < 25
    (reached,) = (each for (_, question), each in answers.items() if question.startswith("reaches "))
    assert (code, reached["verdict"]) == (1, "no")
    assert "There the sandbox has ended, or not begun" in reached["way_out"]
    assert {
        each["verdict"] for (subject, _), each in answers.items() if subject not in ("machine", "prefect")
    } == {"cannot tell"}


@pytest.fixture
def quota(aws: Any) -> Iterator[Any]:
    """Gives staging another quota of its instance type; the sandbox's own comes back."""

    def put(value: float) -> None:
        given = {"account": aws.id("staging"), "quota": "ml.m5.large for endpoint usage", "value": value}
        body = json.dumps(given).encode()
        request = urllib.request.Request(f"{aws.url}/_sandbox/quotas", body, method="PUT")
        urllib.request.urlopen(request).close()

    before = aws.admin("staging", "service-quotas").get_paginator("list_service_quotas")
    every = [each for page in before.paginate(ServiceCode="sagemaker") for each in page["Quotas"]]
    (own,) = (each["Value"] for each in every if each["QuotaName"] == "ml.m5.large for endpoint usage")
    yield put
    put(own)


def test_a_quota_that_does_not_reach_is_told(quota: Any, aws: Any, capsys: Any) -> None:
    quota(0)
    code, answers = look(capsys, aws.config, "--consumer", "staging")
    found = answers["consumers.staging", "quotas"]
    assert (code, saying(answers, "no")) == (1, {("consumers.staging", "quotas")})
    assert "short by 1: ml.m5.large for endpoint usage is 0" in found["text"]
    assert "Service Quotas" in found["way_out"]


@pytest.mark.parametrize("words", [["--consumer", "nobody"], []])
def test_bad_input(aws: Any, tmp_path: Path, capsys: Any, words: list[str]) -> None:
    config = aws.config if words else tmp_path / "none.yaml"
    with pytest.raises(SystemExit) as ended:
        cli.main(["doctor", str(config), "--json", *words])
    assert (ended.value.code, json.loads(capsys.readouterr().out)["ok"]) == (2, False)


def test_no_credential_is_said(aws: Any, edited: Any, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        cli.main(["doctor", edited(consumers__staging__external_id="a-wrong-one")])
    said = "".join(capsys.readouterr())
    secrets = Path(aws.ready["env"]["AWS_SHARED_CREDENTIALS_FILE"]).read_text()
    for value in re.findall(r"= (\S+)", secrets):
        assert value not in said
