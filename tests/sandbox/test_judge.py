"""The judge answers as AWS's documentation says it would: a table of facts, each with the page it comes from.

Not here: whether the sandbox asks the judge the right questions (``tests/sandbox``).
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from crossaccount_sandbox.judge import MalformedCase, main, read_case
from crossaccount_sandbox.judging.decision import Decision, PolicyType, Result, judge
from crossaccount_sandbox.judging.request import Policies, Request

ROOT = Path(__file__).parents[2]
FILES = sorted((Path(__file__).parent / "judge_cases").glob("*.json"))
CASES: list[dict[str, Any]] = [
    case for file in FILES for case in json.loads(file.read_text(encoding="utf-8"))
]
ALLOWED = [case for case in CASES if case["expected"]["response"] == "Allowed"]
# AWS answers these without asking any policy.
UNASKED = ("sts:GetCallerIdentity", "sts:GetSessionToken")
DENY = {"Sid": "No", "Effect": "Deny", "Action": "*", "Resource": "*"}
DENY_ANYONE = {**DENY, "Principal": "*"}


def decide(case: dict[str, Any]) -> Decision:
    _, request, policies, _ = read_case(case)
    return judge(request, policies)


def names(cases: list[dict[str, Any]]) -> list[str]:
    return [case["name"] for case in cases]


def is_foreign(case: dict[str, Any]) -> bool:
    parts = case["request"]["principal"].split(":")
    return len(parts) > 4 and parts[4] != case["request"]["resource"].get("accountId", parts[4])


@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_the_judge_answers_as_documented(case: dict[str, Any]) -> None:
    decision = decide(case)
    assert decision.result.value == case["expected"]["response"], decision.why


def test_there_are_enough_cases_and_most_are_denials() -> None:
    counted = Counter(case["expected"]["response"] for case in CASES)
    assert len(CASES) >= 140
    assert counted["ImplicitlyDenied"] + counted["ExplicitlyDenied"] > counted["Allowed"]
    assert set(counted) == {result.value for result in Result}


def test_every_case_has_a_name_of_its_own_and_a_source() -> None:
    assert len(set(names(CASES))) == len(CASES)
    assert [case["name"] for case in CASES if not case.get("source")] == []


@pytest.mark.parametrize("case", ALLOWED, ids=names(ALLOWED))
def test_a_deny_on_the_resources_side_turns_every_allow_into_an_explicit_deny(case: dict[str, Any]) -> None:
    changed = copy.deepcopy(case)
    document = changed.setdefault("resourcePolicy", {"Version": "2012-10-17", "Statement": []})
    document["Statement"].append(DENY_ANYONE)
    expected = Result.ALLOWED if case["request"]["action"] in UNASKED else Result.EXPLICITLY_DENIED
    assert decide(changed).result is expected


OWN = [case for case in ALLOWED if case["request"]["principal"].startswith("arn:")]


@pytest.mark.parametrize("case", OWN, ids=names(OWN))
def test_a_deny_on_the_callers_side_turns_every_allow_into_an_explicit_deny(case: dict[str, Any]) -> None:
    if "-provider/" in case["request"]["principal"] or case["request"]["action"] in UNASKED:
        return
    for field in ("identityPolicies", "permissionBoundaries"):
        changed = copy.deepcopy(case)
        changed[field] = [*changed.get(field, []), {"Version": "2012-10-17", "Statement": [DENY]}]
        assert decide(changed).result is Result.EXPLICITLY_DENIED


FOREIGN = [
    case for case in ALLOWED if is_foreign(case) and not case["request"]["principal"].endswith(":root")
]


@pytest.mark.parametrize("field", ["identityPolicies", "resourcePolicy"])
@pytest.mark.parametrize("case", FOREIGN, ids=names(FOREIGN))
def test_across_accounts_each_side_is_needed(case: dict[str, Any], field: str) -> None:
    changed = copy.deepcopy(case)
    del changed[field]
    assert decide(changed).result is Result.IMPLICITLY_DENIED


DOCUMENTS = ("identityPolicies", "permissionBoundaries")


def allow_statements(case: dict[str, Any]) -> list[dict[str, Any]]:
    documents = [case.get("resourcePolicy"), case.get("sessionPolicy")]
    documents += [document for field in DOCUMENTS for document in case.get(field, [])]
    found: list[dict[str, Any]] = []
    for document in documents:
        if document:
            statements = document["Statement"]
            found += statements if isinstance(statements, list) else [statements]
    return [
        statement for statement in found if isinstance(statement, dict) and statement["Effect"] == "Allow"
    ]


GRANTED = [case for case in ALLOWED if allow_statements(case) and case["request"]["action"] not in UNASKED]


@pytest.mark.parametrize(
    "change",
    [
        {"Condition": {"StringResembles": {"aws:SourceVpc": "vpc-1"}}},
        {"Condition": {"StringNotEquals": {"aws:NoSuchKey": "x"}}},
        {"Condition": {"StringEqualsIfExists": {"aws:NoSuchKey": "x"}}},
        {"Condition": "none"},
        {"Condition": {"Bool": None}},
        {"Conditions": {}},
        {"Effect": "allow"},
        {"Action": {"s3": "*"}},
        {"NotAction": "iam:*", "Action": "*"},
        {"Resource": [], "NotResource": []},
    ],
    ids=str,
)
@pytest.mark.parametrize("case", GRANTED, ids=names(GRANTED))
def test_what_nobody_can_read_allows_nothing(case: dict[str, Any], change: dict[str, Any]) -> None:
    changed = copy.deepcopy(case)
    for statement in allow_statements(changed):
        statement.update(change)
    root = case["request"]["principal"].endswith(":root") and not is_foreign(case)
    if root and ":kms:" not in case["request"]["resource"]["resource"]:
        return  # it needs no policy
    assert decide(changed).result is not Result.ALLOWED


JUNK: list[Any] = [
    None,
    True,
    7,
    -0.5,
    "",
    "*",
    "${",
    [],
    {},
    [None],
    [[]],
    {"": None},
    {"AWS": {}},
    {"a": {"b": {}}},
]


SOUND_STATEMENT = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}
JUNK_CONDITIONS: list[Any] = [
    *(junk for junk in JUNK if junk != {}),
    *({operator: junk} for operator in ("StringLike", "StringNotEquals", "Null") for junk in JUNK),
    *(
        {operator: {"aws:username": junk}}
        for operator in ("NumericNotEquals", "DateNotEquals")
        for junk in JUNK
    ),
    *({operator: {"aws:username": junk}} for operator in ("NotIpAddress", "Bool", "Null") for junk in JUNK),
    *({str(junk): {"aws:username": "ana"}} for junk in JUNK),
]
JUNK_DOCUMENTS: list[Any] = [
    *JUNK,
    *({"Statement": junk} for junk in JUNK),
    *({"Version": junk, "Statement": [SOUND_STATEMENT]} for junk in JUNK),
    *(
        {"Statement": [{**SOUND_STATEMENT, element: junk}]}
        for element in ("Effect", "Principal", "Action", "Resource")
        for junk in JUNK
        if junk != "*"
    ),
    *({"Statement": [{**SOUND_STATEMENT, "Condition": junk}]} for junk in JUNK_CONDITIONS),
]


@pytest.mark.parametrize("document", JUNK_DOCUMENTS, ids=str)
def test_no_document_makes_the_judge_stumble_or_allow(document: Any) -> None:
    request = Request(
        "arn:aws:iam::111111111111:user/ana", "s3:GetObject", "arn:aws:s3:::b/k", "111111111111"
    )
    fine = [{"Statement": [READ]}]
    denials = (Result.IMPLICITLY_DENIED, Result.EXPLICITLY_DENIED)
    assert judge(request, Policies(identity=[document], resource=document)).result in denials
    assert judge(request, Policies(identity=fine, boundaries=[document])).result in denials
    assert judge(request, Policies(identity=fine, scps=[[document]])).result in denials
    judge(request, Policies(identity=fine, session=document, rcps=[[document]]))


SESSION = "arn:aws:sts::111111111111:assumed-role/reader/monday"
ROLE = "arn:aws:iam::111111111111:role/reader"
READ = {"Sid": "Read", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
EC2 = {"Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}}
ASKED = Request(SESSION, "s3:GetObject", "arn:aws:s3:::models/a", "111111111111")
ABROAD = Request(SESSION, "s3:GetObject", "arn:aws:s3:::models/a", "222222222222")
OPEN = {"Statement": [{**READ, "Sid": "Open", "Principal": {"AWS": ROLE}}]}


@pytest.mark.parametrize(
    ("request_", "policies", "kind", "statement"),
    [
        (ASKED, Policies(identity=[{"Statement": [READ]}]), PolicyType.IDENTITY, "Read"),
        (ASKED, Policies(), PolicyType.IDENTITY, None),
        (ASKED, Policies(resource=OPEN), PolicyType.RESOURCE, "Open"),
        (ASKED, Policies(resource=OPEN, boundaries=[EC2]), PolicyType.BOUNDARY, None),
        (ASKED, Policies(resource=OPEN, boundaries=[]), PolicyType.BOUNDARY, None),
        (ASKED, Policies(identity=[{"Statement": [READ]}], session=EC2), PolicyType.SESSION, None),
        (ASKED, Policies(identity=[{"Statement": [READ]}], scps=[[EC2]]), PolicyType.SCP, None),
        (ASKED, Policies(rcps=[[{"Statement": [DENY_ANYONE]}]]), PolicyType.RCP, "No"),
        (ASKED, Policies(identity=[{"Statement": [READ, {**DENY, "Sid": ""}]}]), PolicyType.IDENTITY, 1),
        (ABROAD, Policies(identity=[{"Statement": [READ]}]), PolicyType.RESOURCE, None),
        (ABROAD, Policies(resource=OPEN), PolicyType.IDENTITY, None),
        (ABROAD, Policies(identity=[{"Statement": [READ]}], resource=OPEN), PolicyType.RESOURCE, "Open"),
    ],
)
def test_the_decision_names_the_policy_and_statement_that_decided(
    request_: Request, policies: Policies, kind: PolicyType, statement: str | int | None
) -> None:
    decision = judge(request_, policies)
    assert (decision.policy_type, decision.statement) == (kind, statement)
    assert decision.why.startswith(f"{SESSION} may ") or decision.why.startswith(f"{SESSION} may not ")


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "crossaccount_sandbox.judge", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_answers_every_case_with_one_line() -> None:
    done = run(*FILES)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (0, "")
    assert [line["name"] for line in lines] == names(CASES)
    assert all(set(line) == {"name", "got", "expected", "ok", "why"} for line in lines)
    assert all(line["ok"] is True and line["got"] == line["expected"] for line in lines)


def test_the_command_ends_with_1_when_an_answer_differs(tmp_path: Path) -> None:
    wrong = {**ALLOWED[0], "expected": {"response": "ImplicitlyDenied"}}
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps([CASES[1], wrong]), encoding="utf-8")
    done = run(file)
    assert done.returncode == 1
    assert [json.loads(line)["ok"] for line in done.stdout.splitlines()] == [True, False]


def test_the_command_tolerates_fields_that_it_does_not_know(tmp_path: Path) -> None:
    file = tmp_path / "more.json"
    file.write_text(
        json.dumps([{**CASES[1], "notes": ["x"], "serviceControlPolicies": None}]), encoding="utf-8"
    )
    assert run(file).returncode == 0


SOUND = CASES[1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ("{}", "must hold a list of cases"),
        ("[7]", "case 0: the case must be an object"),
        ('[{"name": "x"}]', "case 0: request must be an object"),
        (json.dumps([{**SOUND, "name": 7}]), "name must be a text"),
        (json.dumps([{**SOUND, "expected": "Allowed"}]), "expected must be an object"),
        (json.dumps([{**SOUND, "expected": {}}]), "expected.response must be a text"),
        (json.dumps([{**SOUND, "identityPolicies": {}}]), "identityPolicies must be a list"),
        (json.dumps([{**SOUND, "serviceControlPolicies": [[]]}]), "each level of serviceControlPolicies"),
        (
            json.dumps([{**SOUND, "request": {**SOUND["request"], "principal": {"type": "x"}}}]),
            "request.principal",
        ),
        (
            json.dumps([{**SOUND, "request": {**SOUND["request"], "resource": "*"}}]),
            "request.resource must be an",
        ),
        (
            json.dumps([{**SOUND, "request": {**SOUND["request"], "context": {"a:b": {}}}}]),
            "request.context['a:b']",
        ),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_case_that_cannot_be_read_ends_with_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, said: str
) -> None:
    file = tmp_path / "bad.json"
    file.write_text(content, encoding="utf-8")
    assert main([str(FILES[0]), str(file)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert str(file) in shown.err
    assert said in shown.err


def test_the_command_ends_with_2_for_garbage_and_for_a_file_that_is_not_there(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.json"
    garbage.write_bytes(b"\xff\xfe\x00garbage")
    for arguments in ([garbage], [tmp_path / "absent.json"], [tmp_path], []):
        done = run(*arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert "Traceback" not in done.stderr


def test_a_case_without_a_request_is_malformed() -> None:
    with pytest.raises(MalformedCase, match="request must be an object"):
        read_case({"name": "x", "expected": {"response": "Allowed"}})


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    pattern = "arn:aws:s3:::" + "*a" * 60 + "b"
    statement = {"Effect": "Allow", "Action": "*", "Resource": pattern, "Principal": "*"}
    asked = Request(SESSION, "s3:GetObject", "arn:aws:s3:::" + "a" * 2000, "111111111111")
    begun = time.perf_counter()
    assert judge(asked, Policies(resource={"Statement": statement})).result is Result.IMPLICITLY_DENIED
    assert time.perf_counter() - begun < 1
