"""A plan as a person reads it: a diff for a terminal, Markdown for a Prefect artifact.

A dry run is nothing but one of these. Not here: the plan (``sharing.plan``), and its JSON (``sharing.plan_file``).
"""

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from crossaccount.config.model import Sharing
from crossaccount.errors import Finding, Severity
from crossaccount.sharing.changes import Change, Plan
from crossaccount.show.markdown import cell, wrapped
from crossaccount.show.summaries import named

_Paint = Callable[[str], str]
_COLOURS = {"+": "\033[32m", "-": "\033[31m", "@": "\033[36m"}
_SEVERITIES = {Severity.ERROR: "\033[31m", Severity.WARNING: "\033[33m", Severity.NOTE: "\033[36m"}
_PLAIN = "\033[0m"
_IDLE = "Nothing to do: every policy is as it should be."


def names_of(sharing: Sharing) -> dict[str, str]:
    """The names of the consumers in each account, for a plan that is shown."""
    names: dict[str, list[str]] = {}
    for name, consumer in sharing.consumers.items():
        names.setdefault(consumer.account, []).append(name)
    return {account: ", ".join(of) for account, of in names.items()}


def text(
    plan: Plan, colour: bool = False, names: Mapping[str, str] = MappingProxyType({}), idle: str = _IDLE
) -> str:
    """The plan for a terminal: a diff of every document that would change, and the findings.

    Args:
        plan: the plan.
        colour: whether to paint it.
        names: of the consumers in an account, beside its number.
        idle: what is said where no policy would change.
    """
    blocks = [_block(plan, change, colour, names) for change in plan.changes]
    total = idle
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


def markdown(plan: Plan, names: Mapping[str, str] = MappingProxyType({})) -> str:
    """The plan for a Prefect artifact.

    Args:
        plan: the plan.
        names: of accounts, by their ids.
    """
    rows = ["| policy of | change | gains access | loses access |", "|---|---|---|---|"]
    rows += [
        f"| {change.resource.kind} of {named([change.resource.account], names)}<br>{wrapped(change.resource.name)} | {change.verb} | {cell(named(change.gained, names))} | {cell(named(_shut_out(plan, change), names))} |"
        for change in plan.changes
    ]
    diffs = [
        f"\n**{change.resource}**\n\n```diff\n{chr(10).join(_diff(change))}\n```"
        for change in plan.changes
        if change.verb != "keep"
    ]
    staying = [
        f"\n> {cell(f'{change.resource}: {_named_in(each.line, each.member, names)}')}"
        for change in plan.changes
        for each in plan.leaving(change)
        if not each.is_shut_out
    ]
    findings = [f"\n> {line}" for line in finding_lines(plan.findings)]
    return "\n".join([*rows, *diffs, *staying, *findings, f"\nPlan `{plan.digest}`"])


def _shut_out(plan: Plan, change: Change) -> list[str]:
    return [each.member for each in plan.leaving(change) if each.is_shut_out]


def _named_in(line: str, member: str, names: Mapping[str, str]) -> str:
    """A line with the consumers' names beside the number of their account."""
    return line.replace(member, f"{member} ({names[member]})", 1) if member in names else line


def _block(plan: Plan, change: Change, colour: bool, names: Mapping[str, str]) -> str:
    paint = _paint if colour else str
    block = [f"{change.verb}: policy of {change.resource}"]
    if change.verb != "keep":
        block += [f"  {paint(line)}" for line in _diff(change)]
        block += [f"  gains access: {_named_in(name, name, names)}" for name in change.gained]
        block += [f"  {_named_in(each.line, each.member, names)}" for each in plan.leaving(change)]
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
