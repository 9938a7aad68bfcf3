"""Reports for CI, dry runs, and what a promotion says before it is agreed to: of real runs against the sandbox."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import xmlschema

from flows.producer import share_models
from flows.promotion import promote_model

FORM = xmlschema.XMLSchema(Path(__file__).parents[1] / "cli" / "junit.xsd")
WRONG = [{"content_type": "text/csv", "body": "5.1,3.5,1.4,0.2\n4.9,3.0,1.4,0.2", "expect": [1, 1]}]


def cases(path: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """Each test case of a valid report, by whom it is of and its name: its outcome, empty for a pass, and the message of that."""
    FORM.validate(path)
    found = {}
    for case in ElementTree.parse(path).getroot().iter("testcase"):  # noqa: S314 - our own
        ended = next(iter(case), None)
        outcome = ("", "") if ended is None else (ended.tag, ended.get("message") or "")
        found[(case.get("classname") or "", case.get("name") or "")] = outcome
    return found


def test_a_check_is_a_case_for_each_consumer_and_door(aws: Any, run: Any, tmp_path: Path) -> None:
    junit, summary = tmp_path / "junit.xml", tmp_path / "summary.md"
    files = ("--junit", junit, "--summary", summary)
    with aws.restored():
        code, missing = run("check", aws.config, *files)
        found = cases(junit)
        assert code == 3
        shut = found["check.staging", "registry: decision-trees-sample"]
        assert shut[0] == "failure"
        answers = missing["error"]["audit"]["answers"]
        reasons = {
            (f"check.{each['consumer']}", f"{each['door']}: {each['resource']}"): each["reason"]
            for each in answers
        }
        for key, (outcome, message) in found.items():
            if outcome and key[0] != "check.findings":
                assert reasons[key].startswith(message), "the first sentences of it"
                assert len(message) <= 200, "which is read at a glance"
        assert "## crossaccount check: access is missing" in summary.read_text()
        share_models(str(aws.config))
        assert run("check", aws.config, *files)[0] == 0
        assert {outcome for outcome, _ in cases(junit).values()} == {""}
        assert summary.read_text().count("## crossaccount check") == 2


def test_a_refused_deployment_and_a_wrong_answer_are_cases(
    aws: Any, run: Any, edited: Any, tmp_path: Path
) -> None:
    junit = tmp_path / "junit.xml"
    wrong = edited(consumers__production__smoke=WRONG)
    with aws.restored():
        assert run("deploy", wrong, "--consumer", "production", "--junit", junit)[0] == 3
        ((place, (outcome, message)),) = cases(junit).items()
        assert (place[0], outcome) == ("deploy.access", "failure")
        assert message.startswith("The registry door of account 111111111111 is shut. ")
        share_models(str(aws.config))
        assert run("deploy", wrong, "--consumer", "production", "--junit", junit)[0] == 1
        asked = {name: ended for (_, name), ended in cases(junit).items() if "question" in name}
        (question,) = asked.values()
        assert question == ("failure", "expected [1, 1], got [0, 0] (at '[0]' it is 0, not 1)")
        assert cases(junit)["deploy.production", "endpoint decision-trees-production-v2"] == ("", "")
        assert not any(aws.hosted("production").values())


def test_a_dry_run_of_a_deployment_says_what_it_would_make_and_makes_nothing(
    aws: Any, run: Any, tmp_path: Path
) -> None:
    junit = tmp_path / "junit.xml"
    with aws.restored():
        code, refused = run("deploy", aws.config, "--consumer", "staging", "--dry-run")
        assert (code, refused["error"]["kind"]) == (3, "Refused"), "what stands in the way is found"
        share_models(str(aws.config))
        code, found = run("deploy", aws.config, "--consumer", "staging", "--dry-run", "--junit", junit)
        assert (code, found["dry_run"], found["version"]) == (0, True, 2)
        assert [(each["kind"], each["is_there"]) for each in found["resources"]] == [
            ("model", False),
            ("endpoint-config", False),
            ("endpoint", False),
        ]
        assert {outcome for outcome, _ in cases(junit).values()} == {"skipped"}
        assert not any(aws.hosted("staging").values())


@pytest.fixture
def promoted(aws: Any, edited: Any) -> Iterator[str]:
    """A config of staging alone, whose endpoint serves version 2."""
    path = edited(consumers__production=None)
    with aws.restored():
        promote_model(path, version=2)
        try:
            yield path
        finally:
            sm = aws.admin("staging", "sagemaker")
            sm.delete_endpoint(EndpointName="decision-trees-staging")
            while sm.list_endpoints()["Endpoints"]:
                time.sleep(0.05)
            for name in aws.hosted("staging")["configs"]:
                sm.delete_endpoint_config(EndpointConfigName=name)
            for name in aws.hosted("staging")["models"]:
                sm.delete_model(ModelName=name)


def test_a_promotion_says_where_it_goes_before_anybody_agrees(
    promoted: str, aws: Any, run: Any, answered: Any
) -> None:
    before = aws.hosted("staging")
    for version, move in (("1", "MOVES BACK from version 2 to version 1"), ("2", "stays at version 2")):
        code, foreseen = run("promote", promoted, "--version", version, "--dry-run")
        (part,) = foreseen["consumers"]
        assert (code, part["result"], part["before"]) == (0, "skipped", 2)
        assert move in part["text"]
    code, shown = answered("n", "promote", promoted, "--version", "1")
    asked = shown.index("make these changes? [y/N]")
    place = shown.index(
        "stage 1  staging (222222222222)  decision-trees-staging MOVES BACK from version 2 to version 1"
    )
    warned = shown.index("This moves staging BACK to an earlier version.")
    assert shown.index("No policy would change.") < place < warned < asked, "what matters stands last"
    assert "Nothing to do" not in shown
    assert (code, "Not agreed to: nothing was changed." in shown) == (1, True)
    assert aws.hosted("staging") == before


def test_a_version_that_does_not_exist_is_said_so_and_not_asked_about(
    promoted: str, aws: Any, answered: Any
) -> None:
    before = aws.hosted("staging")
    for words in (("promote", promoted), ("rollback", promoted, "--consumer", "staging", "--reason", "why")):
        code, shown = answered("y", *words, "--version", "99")
        said = " ".join(shown.split())
        assert (code, "[y/N]" in shown) == (1, False), shown
        assert "has no version 99. It has: 3 (PendingManualApproval), 2 (Approved), 1 (Approved)." in said
    assert aws.hosted("staging") == before


def test_a_rollback_says_where_it_goes_before_anybody_agrees(
    promoted: str, aws: Any, answered: Any, edited: Any
) -> None:
    back = ("rollback", promoted, "--consumer", "staging", "--reason", "it drifted")
    promote_model(promoted, version=1)
    before, says = aws.hosted("staging"), "decision-trees-staging goes from version 1 to version 2."
    code, shown = answered("n", *back)
    assert (code, "Not agreed to: nothing was changed." in shown) == (1, True), shown
    assert shown.index(says) < shown.index("rollback: make these changes? [y/N]")
    assert aws.hosted("staging") == before
    code, shown = answered("y", *back)
    assert (code, says in shown, "[y/N]" in shown) == (0, True, True), shown
    code, shown = answered(
        "n", *back
    )  # for the same reason: it is on record, and there is nothing to agree to
    assert (code, "stays at version 2: it was rolled back to it" in shown, "[y/N]" in shown) == (
        0,
        True,
        False,
    )
    elsewhere = edited(consumers__staging__run_deployment="move-endpoint/there")
    code, shown = answered("n", *(elsewhere if word == promoted else word for word in back))
    said = "goes to the version before the live one; move-endpoint/there does it, so from which version"
    assert (code, said in " ".join(shown.split()), "[y/N]" in shown) == (1, True, True), shown
    promote_model(promoted, version=1)
    code, shown = answered("n", *back, "--yes")
    assert (code, "[y/N]" in shown) == (0, False), shown
    assert aws.hosted("staging")["endpoints"] == before["endpoints"]


def test_a_version_that_is_approved_while_a_person_thinks_is_not_promoted(
    promoted: str, aws: Any, answered: Any
) -> None:
    before, registry = aws.hosted("staging"), aws.admin("producer", "sagemaker")
    third = "arn:aws:sagemaker:us-east-1:111111111111:model-package/decision-trees-sample/3"

    def approve(status: str) -> None:
        registry.update_model_package(ModelPackageArn=third, ModelApprovalStatus=status)

    try:
        code, shown = answered("y", "promote", promoted, meanwhile=lambda: approve("Approved"))
    finally:
        approve("PendingManualApproval")
    assert "stays at version 2" in shown
    assert code == 1, shown
    assert "The newest approved version is 3 now, and 2 was agreed to" in " ".join(shown.split()), shown
    assert aws.hosted("staging") == before


def test_a_promotion_is_a_case_for_each_consumer_and_question(
    promoted: str, run: Any, tmp_path: Path
) -> None:
    junit = tmp_path / "junit.xml"
    assert run("promote", promoted, "--version", "2", "--yes", "--junit", junit)[0] == 0
    assert cases(junit) == {("promote.staging", "stage 1: unchanged, version 2"): ("", "")}
    assert run("promote", promoted, "--version", "7", "--yes", "--junit", junit)[0] == 1
    assert [outcome for outcome, _ in cases(junit).values()] == ["failure"]
