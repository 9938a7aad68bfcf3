"""The audit's answers: for each consumer, door and resource yes, no, or cannot tell, combined from two sources.

Not here: the sources (``documents``, ``probe``).

Source: "Troubleshoot access denied error messages" in the IAM user guide.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from crossaccount import doors
from crossaccount.audit.live import LiveVersion, told_by_producer
from crossaccount.config.model import Sharing
from crossaccount.errors import DoorName, Finding, Severity
from crossaccount.policy.standing import Answer
from crossaccount.registry.recall import Standing, words_of
from crossaccount.registry.versions import Contents, ModelVersion
from crossaccount.sharing import plan_file
from crossaccount.sharing.changes import Plan, Standings
from crossaccount.show import plans
from crossaccount.show.markdown import cell, wrapped
from crossaccount.text import first_line

DISCOVERY = "discovery"  # beside the doors: whether a consumer finds the group in its lists


class Verdict(StrEnum):
    """Whether a consumer has access, as far as it was observed."""

    YES = "yes"
    NO = "no"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class AccessAnswer:
    """Whether a consumer passes a door to the ``resource`` behind it, and the ground for the verdict.

    ``denied`` is whether a statement of others denies a part of what the door is for. ``containers`` are those that the resource is
    for, by name, of versions with several.
    """

    consumer: str
    account: str
    door: str
    resource: str
    verdict: Verdict
    reason: str
    denied: bool = False
    containers: tuple[str, ...] = ()

    @property
    def because(self) -> str:
        """The ground, and which containers are without the resource where the verdict is not yes."""
        if self.verdict is Verdict.YES or not self.containers:
            return self.reason
        return f"{self.reason.rstrip('.')}. It is for {' and '.join(self.containers)}."


@dataclass(frozen=True)
class Audit:
    """The answers and findings about a config's consumers, the plan that repairs their access, and what others' statements allow.

    ``live`` are the consumers' endpoints that serve versions of the group, ``versions`` the shared ones, where they could be read.
    """

    answers: tuple[AccessAnswer, ...]
    findings: tuple[Finding, ...]
    repair: Plan | None = None
    standing: Standings = field(default_factory=Standings)
    live: tuple[LiveVersion, ...] = ()
    versions: tuple[ModelVersion, ...] = ()

    @property
    def recalled(self) -> tuple[str, ...]:
        """The endpoints that serve a version which the registry has recalled, each in a few words."""
        return tuple(
            f"{each.consumer} ({each.account}): {each.endpoint} {each.part}, which {each.state.reason}"
            for each in self.live
            if each.state.standing is Standing.RECALLED
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """The access that the config promises and that is missing, each in a few words."""
        shut = [
            f"{answer.consumer}: {answer.door} {answer.resource}"
            + (f" for {' and '.join(answer.containers)}" if answer.containers else "")
            for answer in self.answers
            if answer.verdict is Verdict.NO
        ]
        return (*shut, *(finding.subject for finding in self.findings if finding.severity is Severity.ERROR))

    @property
    def is_conclusive(self) -> bool:
        """Whether any answer is a yes or a no."""
        return any(answer.verdict is not Verdict.CANNOT_TELL for answer in self.answers)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        data = {
            "answers": [asdict(answer) for answer in self.answers],
            "findings": [asdict(finding) for finding in self.findings],
            "missing": list(self.missing),
            "versions": [_version_json(each) for each in self.versions],
            "live": [each.to_json() for each in self.live],
            "recalled": list(self.recalled),
            "standing": plan_file.standing_json(self.standing),
        }
        return data if self.repair is None else {**data, "repair": plan_file.to_json(self.repair)}

    def _said(self) -> Iterator[tuple[ModelVersion, str]]:
        """The shared versions of which the registry says more than their approval, with its words."""
        for each in self.versions:
            if each.stage or each.card:
                yield each, words_of(each.approval, each.stage, each.stage_status, each.card)

    def text(self, colour: bool = False) -> str:
        """The audit for a terminal: one line for each answer, the findings, and the plan that repairs it."""
        shown = [*(answer.resource for answer in self.answers), *(each.endpoint for each in self.live)]
        width = max(map(len, shown), default=0)
        lines = [
            f"{answer.verdict:<11}  {answer.consumer:<12}  {answer.door:<14}  {answer.resource:<{width}}  {answer.because}".rstrip()
            for answer in self.answers
        ]
        lines += [
            f"{each.state.standing:<11}  {each.consumer:<12}  {'endpoint':<14}  {each.endpoint:<{width}}  {each.sentence}"
            for each in self.live
        ]
        lines += [f"version {each.version}: {words}" for each, words in self._said()]
        lines += plans.finding_lines(self.findings, colour)
        if self.repair is not None:
            lines += [
                "The plan that repairs it (crossaccount share CONFIG):",
                plans.text(self.repair, colour),
            ]
        return "\n".join(lines)

    def markdown(self) -> str:
        """The audit for a Prefect artifact."""
        consumers = dict.fromkeys(
            [
                *((each.consumer, each.account) for each in self.answers),
                *((each.consumer, each.account) for each in self.live),
            ]
        )
        rows = [line for name, account in consumers for line in self._rows(name, account)]
        rows += [f"\nVersion {each.version}: {words}" for each, words in self._said()]
        notes = [f"\n> {line}" for line in plans.finding_lines(self.findings)]
        repair = [f"\n## The plan that repairs it\n\n{plans.markdown(self.repair)}"] if self.repair else []
        return "\n".join([*rows, *notes, *repair])

    def _rows(self, name: str, account: str) -> Iterator[str]:
        """One consumer's answers as a table that is narrow enough for the page of an artifact."""
        yield from (f"\n### {name} ({account})\n", "| access | door | because |", "|---|---|---|")
        for answer in (each for each in self.answers if each.consumer == name):
            verdict = "**no**" if answer.verdict is Verdict.NO else answer.verdict
            yield f"| {verdict} | {answer.door}<br>{wrapped(answer.resource)} | {cell(answer.because)} |"
        for each in (each for each in self.live if each.consumer == name):
            standing = "**recalled**" if each.state.standing is Standing.RECALLED else each.state.standing
            yield f"| {standing} | endpoint<br>{wrapped(each.endpoint)} | {cell(each.sentence)} |"


def _version_json(version: ModelVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "approval": version.approval,
        "stage": version.stage,
        "stage_status": version.stage_status,
        "metadata": dict(version.metadata),
        "model_card": version.card,
    }


@dataclass(frozen=True)
class Evidence:
    """The answers and findings of one source, the versions that it knows, newest last, and its plan of a share.

    ``live`` are the endpoints that it sees, ``approvals`` those of all versions by their numbers, None where it cannot read them.
    """

    answers: tuple[AccessAnswer, ...] = ()
    findings: tuple[Finding, ...] = ()
    versions: tuple[ModelVersion, ...] = ()
    repair: Plan | None = None
    live: tuple[LiveVersion, ...] = ()
    approvals: Mapping[int, str] | None = None


def combine(
    sharing: Sharing,
    wanted: Sequence[str],
    producer: Evidence,
    consumers: Mapping[str, Evidence],
    repair: bool,
) -> Audit:
    """One answer for each consumer, door and resource: the consumer's own try counts more than the documents.

    Args:
        sharing: the config.
        wanted: names of consumers.
        producer: the evidence of the documents.
        consumers: the evidence of each consumer whose role was tried.
        repair: whether to include the plan that repairs it.
    """
    answers: list[AccessAnswer] = []
    findings = [finding for evidence in (producer, *consumers.values()) for finding in evidence.findings]
    for name in wanted:
        documented = _by_resource(answer for answer in producer.answers if answer.consumer == name)
        tried = _by_resource(consumers[name].answers if name in consumers else ())
        contested = {
            key: documented[key]
            for key, answer in tried.items()
            if key in documented and (documented[key].verdict, answer.verdict) == (Verdict.NO, Verdict.YES)
        }
        others = _opened_by_others(producer, name, sharing)
        doubts = {
            key: _partly(answer, tried[key])
            for key, answer in contested.items()
            if answer.denied or key not in others
        }
        answers += (documented | tried | doubts).values()
        for key, answer in contested.items():
            if not answer.denied:
                by = (
                    "gets through by a statement that is not ours"
                    if key in others
                    else "gets through in part"
                )
                text = f"{name} {by}; ours is missing or says less."
                findings.append(Finding(Severity.WARNING, " ".join(key), text, "crossaccount share CONFIG."))
        answers += _unanswered(sharing, name, answers)
    plan = producer.repair if repair and producer.repair is not None and producer.repair.writes else None
    standing = producer.repair.standing if producer.repair is not None else Standings()
    live = tuple(
        told_by_producer(each, sharing, producer.approvals)
        for name in wanted
        for each in (consumers[name].live if name in consumers else ())
    )
    return Audit(tuple(answers), tuple(dict.fromkeys(findings)), plan, standing, live, producer.versions)


def _opened_by_others(producer: Evidence, name: str, sharing: Sharing) -> set[tuple[str, str]]:
    """The doors, with their resources, that statements of others open to a consumer's account in every part."""
    account = sharing.consumers[name].account
    return {
        (doors.door_of(each.resource.kind).name, each.resource.name)
        for each in (producer.repair.standing if producer.repair is not None else ())
        if each.member == account and each.answer is Answer.OPEN and not each.terms
    }


def _partly(documented: AccessAnswer, tried: AccessAnswer) -> AccessAnswer:
    """The answer where the documents leave a part of what a door is for shut, and what was tried came through."""
    denied, rest = f"{documented.reason} a part that was not tried", f"{documented.reason}; not all was tried"
    reason = f"{tried.reason}, and {denied if documented.denied else rest}"
    return replace(documented, verdict=Verdict.CANNOT_TELL, reason=reason)


def _by_resource(answers: Iterable[AccessAnswer]) -> dict[tuple[str, str], AccessAnswer]:
    """The answers by door and resource; of two about the same, a no."""
    by_resource: dict[tuple[str, str], AccessAnswer] = {}
    for answer in answers:
        key = (answer.door, answer.resource)
        if key not in by_resource or answer.verdict is Verdict.NO:
            by_resource[key] = answer
    return by_resource


def _unanswered(sharing: Sharing, name: str, answers: Sequence[AccessAnswer]) -> Iterator[AccessAnswer]:
    consumer = sharing.consumers[name]
    answered = {answer.door for answer in answers if answer.consumer == name}
    if consumer.expires is not None and consumer.expires <= datetime.now(UTC):
        return
    needed = doors.resources(sharing, doors.needs(sharing, Contents()))  # by any version
    reason = "no session here could ask"
    for door, resource in (
        *((doors.door_of(need.kind).name, need.name) for need in needed),
        (DoorName.EXECUTION_ROLE, consumer.execution_role),
        (DoorName.ROLE_TRUST, consumer.role),
    ):
        if door not in answered:
            yield AccessAnswer(name, consumer.account, door, resource, Verdict.CANNOT_TELL, reason)


def unknown(subject: str, source: str, error: Exception) -> Evidence:
    """The evidence of a source that is out of reach: only a finding, with the error's first line."""
    text = f"{source} cannot be read: {first_line(error)}"
    return Evidence(findings=(Finding(Severity.WARNING, subject, text),))
