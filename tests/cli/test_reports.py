"""The files of --junit and --summary: their form, and that one which cannot be written is bad input before anything runs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import xmlschema

from crossaccount.cli import main as cli
from crossaccount.cli import reports as files
from crossaccount.errors import (
    AccessMissing,
    ConfigError,
    CrossAccountError,
    Failed,
    Fault,
    Finding,
    InputError,
    PlanRefused,
    PromotionFailed,
    Refusal,
    Refused,
    Severity,
    VersionRecalled,
)
from crossaccount.show import reports
from crossaccount.show.reports import Case, Outcome, Report

ROOT = Path(__file__).parents[2]
FORM = xmlschema.XMLSchema(Path(__file__).with_name("junit.xsd"))
SANDBOX = str(ROOT / "configs" / "sandbox.yaml")


def cases(path: Path) -> list[tuple[str, str, str, str]]:
    """Each test case of a valid report: whom it is of, its name, its outcome and the message of that."""
    FORM.validate(path)
    suite = ElementTree.parse(path).getroot()[0]  # noqa: S314 - our own
    found = []
    for case in suite.iter("testcase"):
        ended = [each for each in case if each.tag in ("failure", "error", "skipped")]
        outcome, message = (ended[0].tag, ended[0].get("message") or "") if ended else ("", "")
        found.append((case.get("classname") or "", case.get("name") or "", outcome, message))
    counts = {name: int(suite.get(name) or 0) for name in ("tests", "failures", "errors", "skipped")}
    ends = [outcome for *_, outcome, _ in found]
    assert counts == {
        "tests": len(found),
        "failures": ends.count("failure"),
        "errors": ends.count("error"),
        "skipped": ends.count("skipped"),
    }
    return found


def asked(folder: Path, command: str = "check") -> argparse.Namespace:
    return argparse.Namespace(
        command=command, config=Path("c.yaml"), junit=folder / "junit.xml", summary=folder / "summary.md"
    )


def ended(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    said = capsys.readouterr()
    return end.value.code or 0, said.out, said.err


REFUSAL = Refusal(
    "registry", "111111111111", "sagemaker:X", "arn:r", "arn:c", "AccessDenied", "no", (), "Ask."
)
ANSWER = {
    "consumer": "staging",
    "door": "bucket",
    "resource": "b",
    "reason": "no statement",
    "containers": [],
}
AUDIT: dict[str, Any] = {
    "answers": [
        {**ANSWER, "verdict": "yes"},
        {**ANSWER, "verdict": "no", "containers": ["encoder", "ranker"]},
        {**ANSWER, "verdict": "cannot tell", "reason": "no session here could ask"},
    ],
    "live": [{"consumer": "staging", "endpoint": "e", "standing": "recalled", "reason": "was Rejected"}],
    "findings": [
        {"severity": "error", "subject": "s", "text": "Wrong.", "way_out": "Mend it."},
        {"severity": "note", "subject": "n", "text": "Known.", "way_out": ""},
    ],
}
PART = {
    "consumer": "staging",
    "stage": 1,
    "version": 2,
    "left": [],
    "text": "t",
    "seconds": 1.5,
    "proofs": [],
}
PROMOTION: dict[str, Any] = {
    "consumers": [
        {**PART, "result": "promoted"},
        {**PART, "result": "failed", "text": "It did not answer."},
        {**PART, "result": "skipped", "text": "Stage 1 did not succeed."},
        {**PART, "result": "promoted", "left": ["model m"]},
    ],
    "lifecycle": [{"promotion_stage": 1, "result": "failed", "text": "Refused."}],
}
ERRORS: list[tuple[CrossAccountError, list[tuple[str, str]]]] = [
    (Refused(REFUSAL), [("failure", "The registry door of account 111111111111 is shut. Ask.")]),
    (InputError("consumer: no such one."), [("error", "consumer: no such one.")]),
    (
        ConfigError((Fault("region", 2, "x", "is wrong. Mend it."), Fault("", None, "", "is not YAML.")), "c.yaml"),
        [("error", "c.yaml:2: is wrong. Mend it."), ("error", "c.yaml: is not YAML.")],
    ),
    (PlanRefused((Finding(Severity.ERROR, "s", "Wrong.", "Mend it."), Finding(Severity.NOTE, "n", "Known."))), [("failure", "Wrong. Mend it.")]),
    (Failed("The Prefect server does not answer."), [("failure", "The Prefect server does not answer.")]),
    (
        AccessMissing(("x",), "", AUDIT),
        [
            ("", ""),
            ("failure", "no statement It is for encoder and ranker."),
            ("skipped", "no session here could ask"),
            ("failure", "was Rejected"),
            ("failure", "Wrong. Mend it."),
        ],
    ),
    (
        VersionRecalled(("x",), "", {**AUDIT, "answers": [], "findings": []}),
        [("failure", "was Rejected")],
    ),
    (
        PromotionFailed(("x",), "", PROMOTION),
        [
            ("", ""),
            ("failure", "It did not answer."),
            ("skipped", "Stage 1 did not succeed."),
            ("failure", "t Left behind: model m."),
            ("failure", "Refused."),
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("error", "meant"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_is_cases_with_their_reasons(
    error: CrossAccountError, meant: list[tuple[str, str]], tmp_path: Path
) -> None:
    options = asked(tmp_path)
    files.Files(options).failed(error)
    assert [case[2:] for case in cases(options.junit)] == meant
    head, *_ = options.summary.read_text().splitlines()
    assert head.startswith("## crossaccount check: ")
    assert f"exit code {error.exit_code}" in options.summary.read_text()
    for outcome, reason in meant:
        assert outcome == "" or reason in options.summary.read_text()


def test_a_note_on_an_error_is_a_case_too(tmp_path: Path) -> None:
    error, options = Failed("No version."), asked(tmp_path)
    error.add_note("A version that is recalled is live.")
    files.Files(options).failed(error)
    assert [case[3] for case in cases(options.junit)] == [
        "No version.",
        "A version that is recalled is live.",
    ]


HOSTILE = "\x1b[2J|</testcase>&\x00\ud83d\ufffe ```\n<img> AKIAIOSFODNN7EXAMPLE"


def test_what_others_wrote_does_no_harm(tmp_path: Path) -> None:
    report = Report(
        "check",
        "c|.yaml",
        1,
        HOSTILE,
        (Case(HOSTILE, HOSTILE, Outcome.FAILED, HOSTILE),),
        "2026-01-01T00:00:00",
        1.0,
    )
    path = tmp_path / "junit.xml"
    path.write_text(reports.junit(report), encoding="utf-8")
    assert len(cases(path)) == 1
    for text in (path.read_text(), reports.markdown(report)):
        assert "\x1b" not in text
        assert "AKIAIOSFODNN7EXAMPLE" not in text
    rows = [line for line in reports.markdown(report).splitlines() if line.startswith("| **failed**")]
    assert len(rows) == 1
    assert "\\|" in rows[0]


def test_what_went_wrong_stands_first_and_what_is_well_is_folded() -> None:
    found = (
        Case("a", "good", Outcome.PASSED),
        Case("b", "doubt", Outcome.SKIPPED, "?"),
        Case("c", "bad", Outcome.FAILED, "!"),
    )
    text = reports.markdown(Report("check", "c.yaml", 3, "access is missing", found, "", 1.0))
    assert text.index("bad") < text.index("doubt") < text.index("<details>") < text.index("good")
    assert "1 failed, 1 skipped or not to be told, 1 passed" in text


def test_a_summary_is_appended_to_and_a_report_is_written_anew(tmp_path: Path) -> None:
    options = asked(tmp_path)
    for _ in range(2):
        files.Files(options).failed(Failed("No."))
    assert options.summary.read_text().count("## crossaccount check") == 2
    assert len(cases(options.junit)) == 1


@pytest.mark.parametrize(
    "words",
    [
        ("check", SANDBOX),
        ("deploy", SANDBOX, "--consumer", "staging"),
        ("promote", SANDBOX, "--yes"),
    ],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("option", ["--junit", "--summary"])
@pytest.mark.parametrize("path", ["missing/file", "."])
def test_a_file_that_cannot_be_written_is_bad_input(
    words: tuple[str, ...],
    option: str,
    path: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    code, out, err = ended(capsys, *words, option, str(tmp_path / path))
    assert (code, out) == (2, "")
    assert f"{option} {tmp_path / path}: it cannot be written" in err
    code, out, _ = ended(capsys, *words, option, str(tmp_path / path), "--json")
    assert (code, json.loads(out)["error"]["kind"]) == (2, "InputError")


def test_a_file_that_can_be_written_is_left_as_it_was_until_the_end(tmp_path: Path) -> None:
    options = asked(tmp_path)
    options.summary.write_text("before\n")
    files.Files(options)
    assert not options.junit.exists()
    assert options.summary.read_text() == "before\n"


def test_a_bad_config_is_a_report_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, junit = tmp_path / "c.yaml", tmp_path / "junit.xml"
    config.write_text("region: mars-1\n")
    code, _, _ = ended(capsys, "check", str(config), "--junit", str(junit))
    assert code == 2
    assert {outcome for _, _, outcome, _ in cases(junit)} == {"error"}
    assert ("check.config", "region") in [case[:2] for case in cases(junit)]


def test_a_command_that_is_interrupted_writes_its_report_and_ends_with_130(tmp_path: Path) -> None:
    options = asked(tmp_path)
    files.Files(options).stopped(130, "It was interrupted.")
    assert [case[2:] for case in cases(options.junit)] == [("error", "It was interrupted.")]
    assert "exit code 130" in options.summary.read_text()
