"""The audit's answers: for each consumer, door and resource yes, no, or cannot tell, and how two sources make one answer.

Source: "Troubleshoot access denied error messages" in the IAM user guide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from crossaccount import doors, packages, planfile
from crossaccount.errors import DoorName, Finding, Severity
from crossaccount.show import plans

if TYPE_CHECKING:
    from crossaccount.config.model import Sharing
    from crossaccount.packages import ModelVersion
    from crossaccount.plan import Plan


class Verdict(StrEnum):
    """Three answers to whether a consumer has access."""

    YES = "yes"
    NO = "no"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class AccessAnswer:
    """Whether a consumer passes a door, and how that is known. ``resource`` is what lies behind the door."""

    consumer: str
    account: str
    door: str
    resource: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Audit:
    """Everything that was found out."""

    answers: tuple[AccessAnswer, ...]
    findings: tuple[Finding, ...]
    repair: Plan | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """The access that the config promises and that is not there, each in a few words."""
        shut = [
            f"{answer.consumer}: {answer.door} {answer.resource}"
            for answer in self.answers
            if answer.verdict is Verdict.NO
        ]
        return (*shut, *(finding.subject for finding in self.findings if finding.severity is Severity.ERROR))

    @property
    def is_conclusive(self) -> bool:
        """True when anything at all could be told."""
        return any(answer.verdict is not Verdict.CANNOT_TELL for answer in self.answers)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        data = {
            "answers": [asdict(answer) for answer in self.answers],
            "findings": [asdict(finding) for finding in self.findings],
            "missing": list(self.missing),
        }
        return data if self.repair is None else {**data, "repair": planfile.to_json(self.repair)}

    def text(self, colour: bool = False) -> str:
        """For a terminal: one line for each answer, the findings, and the plan that mends it."""
        width = max((len(answer.resource) for answer in self.answers), default=0)
        lines = [
            f"{answer.verdict:<11}  {answer.consumer:<12}  {answer.door:<14}  {answer.resource:<{width}}  {answer.reason}".rstrip()
            for answer in self.answers
        ]
        lines += plans.finding_lines(self.findings, colour)
        if self.repair is not None:
            lines += ["The plan that mends it (crossaccount share CONFIG):", plans.text(self.repair, colour)]
        return "\n".join(lines)

    def markdown(self) -> str:
        """For a Prefect artifact."""
        rows = ["| access | consumer | door | to | because |", "|---|---|---|---|---|"]
        rows += [
            f"| {'**no**' if answer.verdict is Verdict.NO else answer.verdict} | {answer.consumer} | {answer.door} | `{answer.resource}` | {answer.reason} |"
            for answer in self.answers
        ]
        notes = [f"\n> {line}" for line in plans.finding_lines(self.findings)]
        mended = [f"\n## The plan that mends it\n\n{plans.markdown(self.repair)}"] if self.repair else []
        return "\n".join([*rows, *notes, *mended])


@dataclass(frozen=True)
class Evidence:
    """The evidence of one source: answers, and what else it found. ``versions`` are those it knows of, newest last."""

    answers: tuple[AccessAnswer, ...] = ()
    findings: tuple[Finding, ...] = ()
    versions: tuple[ModelVersion, ...] = ()
    repair: Plan | None = None


def combine(
    sharing: Sharing,
    wanted: Sequence[str],
    producer: Evidence,
    consumers: Mapping[str, Evidence],
    repair: bool,
) -> Audit:
    """One answer for each consumer, door and resource: what the consumer met counts more than what the documents say.

    Args:
        sharing: the config.
        wanted: names of the consumers that are asked about.
        producer: the evidence of the documents.
        consumers: the evidence of each consumer that was asked.
        repair: whether to give the plan that mends it.
    """
    answers: list[AccessAnswer] = []
    findings = [
        *producer.findings,
        *(finding for evidence in consumers.values() for finding in evidence.findings),
    ]
    for name in wanted:
        said = {
            (answer.door, answer.resource): answer for answer in producer.answers if answer.consumer == name
        }
        met: dict[tuple[str, str], AccessAnswer] = {}
        for answer in consumers[name].answers if name in consumers else ():
            key = (answer.door, answer.resource)
            met[key] = answer if key not in met or answer.verdict is Verdict.NO else met[key]
        for key in [*said, *(key for key in met if key not in said)]:
            answers.append(met.get(key) or said[key])
            if (
                key in met
                and key in said
                and met[key].verdict is Verdict.YES
                and said[key].verdict is Verdict.NO
            ):
                text = f"{name} gets through by a statement that is not ours; ours is missing or says less."
                findings.append(
                    Finding(Severity.WARNING, f"{key[0]} {key[1]}", text, "crossaccount share CONFIG.")
                )
        answers += _unanswered(sharing, name, answers)
    mends = producer.repair if repair and producer.repair is not None and producer.repair.writes else None
    return Audit(tuple(answers), tuple(dict.fromkeys(findings)), mends)


def _unanswered(sharing: Sharing, name: str, answers: Sequence[AccessAnswer]) -> Iterator[AccessAnswer]:
    consumer = sharing.consumers[name]
    answered = {answer.door for answer in answers if answer.consumer == name}
    if consumer.expires is not None and consumer.expires <= datetime.now(UTC):
        return
    needed = doors.resources(sharing, doors.needs(sharing, packages.Contents()))  # by whatever version
    for door, resource in (
        *((doors.door_of(each.kind).name, each.name) for each in needed),
        (DoorName.EXECUTION_ROLE, consumer.execution_role),
        (DoorName.ROLE_TRUST, consumer.role),
    ):
        if door not in answered:
            yield AccessAnswer(
                name, consumer.account, door, resource, Verdict.CANNOT_TELL, "nothing here could ask"
            )


def unknown(subject: str, what: str, error: Exception) -> Evidence:
    """The evidence of a source that is out of reach: a finding alone, with the error's first line."""
    text = f"{what} cannot be told: {first_line(error)}"
    return Evidence(findings=(Finding(Severity.WARNING, subject, text),))


def first_line(error: Exception) -> str:
    """The first line of an error."""
    return str(error).partition("\n")[0]
