"""What a command came to, for CI systems: test cases as JUnit XML, and the same as Markdown, what went wrong first.

Not here: which cases a command has (``cli.cases``), and the files (``cli.reports``).

Source: the part of the JUnit format that Jenkins, GitHub and GitLab read alike; Jenkins states it in junit-10.xsd of its plugin xunit.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from xml.etree import ElementTree

from crossaccount.show.markdown import cell
from crossaccount.text import first_line, harmless


class Outcome(StrEnum):
    """How a case ended; what cannot be told, or was not tried, is skipped."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Case:
    """One thing that was looked at: ``subject`` is whom or what it is about, mostly a consumer, ``reason`` the ground of its outcome."""

    subject: str
    name: str
    outcome: Outcome
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Report:
    """The cases of one command on one config: ``verdict`` says in a few words what it came to."""

    command: str
    config: str
    exit_code: int
    verdict: str
    cases: tuple[Case, ...]
    started: str
    seconds: float

    def count(self, outcome: Outcome) -> int:
        """How many cases ended so."""
        return sum(case.outcome is outcome for case in self.cases)


_ELEMENTS = {Outcome.FAILED: "failure", Outcome.ERROR: "error", Outcome.SKIPPED: "skipped"}


def junit(report: Report) -> str:
    """The report as JUnit XML."""
    counts = {
        "tests": str(len(report.cases)),
        "failures": str(report.count(Outcome.FAILED)),
        "errors": str(report.count(Outcome.ERROR)),
    }
    whole = ElementTree.Element("testsuites", {"name": "crossaccount", **counts})
    suite = ElementTree.SubElement(
        whole,
        "testsuite",
        {
            "name": _xml(f"{report.command} {report.config}"),
            **counts,
            "skipped": str(report.count(Outcome.SKIPPED)),
            "time": f"{report.seconds:.3f}",
            "timestamp": report.started,
        },
    )
    known = ElementTree.SubElement(suite, "properties")
    for name, value in (("exit code", str(report.exit_code)), ("verdict", report.verdict)):
        ElementTree.SubElement(known, "property", {"name": name, "value": _xml(value)})
    for case in report.cases:
        _add(suite, report, case)
    ElementTree.indent(whole)
    return ElementTree.tostring(whole, encoding="unicode", xml_declaration=True) + "\n"


def _add(suite: ElementTree.Element, report: Report, case: Case) -> None:
    named = {"classname": _xml(f"{report.command}.{case.subject}"), "name": _xml(case.name)}
    element = ElementTree.SubElement(suite, "testcase", {**named, "time": f"{case.seconds:.3f}"})
    if kind := _ELEMENTS.get(case.outcome):
        if case.outcome is Outcome.SKIPPED:
            ElementTree.SubElement(element, kind, {"message": _xml(first_line(case.reason))})
            return
        ended = ElementTree.SubElement(element, kind, {"message": _xml(_brief(case.reason))})
        ended.set("type", case.outcome)
        ended.text = _xml(case.reason)


_BRIEF = 200
_SENTENCES = re.compile(r"(?<=[.!?]) (?=[A-Z])")


def _brief(reason: str) -> str:
    """As many of a reason's first sentences as are read at a glance; the first one at least."""
    first, *others = _SENTENCES.split(first_line(reason))
    for sentence in others:
        if len(first) + 1 + len(sentence) > _BRIEF:
            break
        first = f"{first} {sentence}"
    return first


def _xml(text: str) -> str:
    """Text that XML may carry, without credentials and terminal controls."""
    return re.sub(
        r"[^\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\N{REPLACEMENT CHARACTER}", harmless(text)
    )


_MOST_ROWS = 200


def markdown(report: Report) -> str:
    """The report as Markdown: the verdict, then what went wrong or cannot be told, then what is well, folded."""
    bad = [case for case in report.cases if case.outcome in (Outcome.FAILED, Outcome.ERROR)]
    doubtful = [case for case in report.cases if case.outcome is Outcome.SKIPPED]
    good = [case for case in report.cases if case.outcome is Outcome.PASSED]
    counts = [f"{len(bad)} failed", f"{len(doubtful)} skipped or not to be told", f"{len(good)} passed"]
    head = f"## crossaccount {report.command}: {cell(report.verdict, 300)}"
    where = f"`{cell(report.config)}`, exit code {report.exit_code}: {', '.join(counts)}."
    lines = [head, "", where, *_table([*bad, *doubtful])]
    longer = [case.reason for case in (*bad, *doubtful)[:_MOST_ROWS] if _brief(case.reason) != case.reason]
    if longer:
        whole = [f"- {cell(reason, 2000)}" for reason in dict.fromkeys(longer)]
        lines += ["", "<details><summary>these reasons in full</summary>", "", *whole, "", "</details>"]
    if good:
        lines += ["", f"<details><summary>{len(good)} passed</summary>", *_table(good), "", "</details>"]
    return "\n".join([*lines, "", ""])


def _table(cases: Sequence[Case]) -> list[str]:
    if not cases:
        return []
    rows = [
        f"| {'**' + case.outcome + '**' if case.outcome in _ELEMENTS else case.outcome} | {cell(case.subject)} | {cell(case.name)} | {cell(_brief(case.reason), 600)} |"
        for case in cases[:_MOST_ROWS]
    ]
    more = ["", f"And {len(cases) - _MOST_ROWS} more."] if len(cases) > _MOST_ROWS else []
    return ["", "| outcome | of | what | because |", "|---|---|---|---|", *rows, *more]
