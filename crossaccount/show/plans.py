"""A plan as a person reads it: a diff for a terminal, Markdown for a Prefect artifact.

A dry run is nothing but one of these. Not here: the plan (``sharing.plan``), and its JSON (``sharing.plan_file``).
"""

import difflib
import json
from collections.abc import Callable, Iterable, Mapping

from crossaccount.errors import Finding, Severity
from crossaccount.sharing.changes import Change, Plan
from crossaccount.show.markdown import cell, wrapped
from crossaccount.show.summaries import named

_Paint = Callable[[str], str]
_COLOURS = {"+": "\033[32m", "-": "\033[31m", "@": "\033[36m"}
_SEVERITIES = {Severity.ERROR: "\033[31m", Severity.WARNING: "\033[33m", Severity.NOTE: "\033[36m"}
_PLAIN = "\033[0m"


def text(plan: Plan, colour: bool = False) -> str:
    """The plan for a terminal: a diff of every document that would change, and the findings."""
    blocks = [_block(plan, change, colour) for change in plan.changes]
    total = "Nothing to do: every policy is as it should be."
    if plan.writes:
        total = f"{plan.writes} of {len(plan.changes)} policies would change."
    return "\n".join([*blocks, *finding_lines(plan.findings, colour), f"{total} (plan {plan.digest})"])


def finding_lines(findings: Iterable[Finding], colour: bool = False) -> list[str]:
    """Findings for a terminal, one in a line, the most severe first."""
    lines = []
    for finding in sorted(findings, key=lambda finding: list(Severity).index(finding.severity)):
        severity = (
            f"{_SEVERITIES[finding.severity]}{finding.severity}{_PLAIN}" if colour else finding.severity
        )
        lines.append(f"{severity}: {finding}")
    return lines


def markdown(plan: Plan, names: Mapping[str, str] | None = None) -> str:
    """The plan for a Prefect artifact.

    Args:
        plan: the plan.
        names: of accounts, by their ids.
    """
    known = dict(names or {})
    rows = ["| policy of | change | gains access | loses access |", "|---|---|---|---|"]
    rows += [
        f"| {change.resource.kind} of {named([change.resource.account], known)}<br>{wrapped(change.resource.name)} | {change.verb} | {cell(named(change.gained, known))} | {cell(named(_shut_out(plan, change), known))} |"
        for change in plan.changes
    ]
    diffs = [
        f"\n**{change.resource}**\n\n```diff\n{chr(10).join(_diff(change))}\n```"
        for change in plan.changes
        if change.verb != "keep"
    ]
    staying = [
        f"\n> {cell(f'{change.resource}: {each.line}')}"
        for change in plan.changes
        for each in plan.leaving(change)
        if not each.is_shut_out
    ]
    findings = [f"\n> {line}" for line in finding_lines(plan.findings)]
    return "\n".join([*rows, *diffs, *staying, *findings, f"\nPlan `{plan.digest}`"])


def _shut_out(plan: Plan, change: Change) -> list[str]:
    return [each.member for each in plan.leaving(change) if each.is_shut_out]


def _block(plan: Plan, change: Change, colour: bool) -> str:
    paint = _paint if colour else str
    block = [f"{change.verb}: policy of {change.resource}"]
    if change.verb != "keep":
        block += [f"  {paint(line)}" for line in _diff(change)]
        block += [f"  gains access: {name}" for name in change.gained]
        block += [f"  {each.line}" for each in plan.leaving(change)]
    return "\n".join(block)


def _paint(line: str) -> str:
    colour = _COLOURS.get(line[:1])
    return f"{colour}{line}{_PLAIN}" if colour else line


def _diff(change: Change) -> list[str]:
    before, after = (
        json.dumps(document, indent=2).splitlines() if document is not None else []
        for document in (change.existing, change.desired)
    )
    return list(difflib.unified_diff(before, after, lineterm="", n=2))[2:]
