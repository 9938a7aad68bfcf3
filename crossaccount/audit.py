"""Is the access that a config promises there? For each consumer and each door: yes, no, or cannot tell.

Three sources answer: the documents (what is missing, what is too much), a live probe in the consumer's role (the version
described, its Release and artifacts read, a model made from it and deleted), and the Releases (an image or an artifact
that was replaced since). Each may be out of reach from where this runs; what can be told is told, all at once.

Not here: mending it. The plan of that is the plan of a share.

Source: CreateModel in the SageMaker API reference; "Troubleshoot access denied error messages" in the IAM user guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from crossaccount import arns, doors, gather, packages, plan, planfile, preflight, serving
from crossaccount.aws import sessions
from crossaccount.aws.access import producing
from crossaccount.doors import DOORS, door_of
from crossaccount.errors import (
    Conflict,
    CrossAccountError,
    DoorName,
    Failed,
    Finding,
    PlanRefused,
    Refused,
    Severity,
)
from crossaccount.sharing import publish
from crossaccount.show import plans

if TYPE_CHECKING:
    import boto3

    from crossaccount.aws.access import Producer
    from crossaccount.config.model import ConsumerConfig, Sharing
    from crossaccount.gather import Gathered
    from crossaccount.packages import ModelVersion
    from crossaccount.plan import Plan
    from crossaccount.release import Release


class Verdict(StrEnum):
    """Three answers to whether a consumer has access."""

    YES = "yes"
    NO = "no"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Answer:
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

    answers: tuple[Answer, ...]
    findings: tuple[Finding, ...]
    repair: Plan | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """The access that the config promises and that is not there, each in a few words."""
        shut = [
            f"{one.consumer}: {one.door} {one.resource}" for one in self.answers if one.verdict is Verdict.NO
        ]
        return (*shut, *(one.subject for one in self.findings if one.severity is Severity.ERROR))

    @property
    def told(self) -> bool:
        """True when anything at all could be told."""
        return any(one.verdict is not Verdict.CANNOT_TELL for one in self.answers)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        found = {
            "answers": [asdict(one) for one in self.answers],
            "findings": [asdict(one) for one in self.findings],
            "missing": list(self.missing),
        }
        return found if self.repair is None else {**found, "repair": planfile.to_json(self.repair)}

    def text(self, colour: bool = False) -> str:
        """For a terminal: one line for each answer, the findings, and the plan that mends it."""
        width = max((len(one.resource) for one in self.answers), default=0)
        lines = [
            f"{one.verdict:<11}  {one.consumer:<12}  {one.door:<14}  {one.resource:<{width}}  {one.reason}".rstrip()
            for one in self.answers
        ]
        lines += plans.finding_lines(self.findings, colour)
        if self.repair is not None:
            lines += ["The plan that mends it (crossaccount share CONFIG):", plans.text(self.repair, colour)]
        return "\n".join(lines)

    def markdown(self) -> str:
        """For a Prefect artifact."""
        rows = ["| access | consumer | door | to | because |", "|---|---|---|---|---|"]
        rows += [
            f"| {'**no**' if one.verdict is Verdict.NO else one.verdict} | {one.consumer} | {one.door} | `{one.resource}` | {one.reason} |"
            for one in self.answers
        ]
        found = [f"\n> {line}" for line in plans.finding_lines(self.findings)]
        mended = [f"\n## The plan that mends it\n\n{plans.markdown(self.repair)}"] if self.repair else []
        return "\n".join([*rows, *found, *mended])


@dataclass(frozen=True)
class Seen:
    """What one source says: answers, and what else it found. ``versions`` are those it knows of, newest last."""

    answers: tuple[Answer, ...] = ()
    findings: tuple[Finding, ...] = ()
    versions: tuple[ModelVersion, ...] = ()
    repair: Plan | None = None


def of_producer(sharing: Sharing, wanted: Sequence[str]) -> Seen:
    """What the producer's documents and Releases say about these consumers; a finding where they are out of reach.

    Args:
        sharing: the config.
        wanted: names of consumers.
    """
    try:
        with producing(sharing) as producer:
            found = gather.gather(producer)
            proposal = plan.propose_share(sharing, found.needs, found.existing, found.now)
            replaced = list(_replaced(producer, found, proposal))
    except PlanRefused as refused:
        return Seen(findings=refused.findings)
    except CrossAccountError as error:
        text = f"What the producer's policies say cannot be told: {_first_line(error)}"
        return Seen(findings=(Finding(Severity.WARNING, "producer", text),))
    answers = [answer for name in wanted for answer in _by_documents(sharing, name, proposal, found.now)]
    findings = [*found.findings, *replaced, *_beyond(proposal), *_milder(proposal.findings)]
    return Seen(tuple(answers), tuple(findings), found.versions, proposal)


def _by_documents(sharing: Sharing, name: str, proposal: Plan, now: datetime) -> Iterator[Answer]:
    consumer = sharing.consumers[name]
    if consumer.expires is not None and consumer.expires <= now:
        return  # nothing is promised any more; a finding says so
    who = consumer.account if sharing.organization is None else f"organization {sharing.organization.id}"
    for change in proposal.changes:
        door = door_of(change.resource.kind).name
        lacking = who in change.gained
        yield Answer(
            name,
            consumer.account,
            door,
            change.resource.name,
            Verdict.NO if lacking else Verdict.YES,
            f"its policy has no statement of ours for {who}, or one that says less"
            if lacking
            else "its policy says so",
        )


def _beyond(proposal: Plan) -> Iterator[Finding]:
    """Statements of ours that say more than the config does."""
    for change in proposal.changes:
        if change.lost:
            yield Finding(
                Severity.WARNING,
                f"policy of {change.resource}",
                f"{', '.join(change.lost)} has more, or has it otherwise, than the config says.",
                "crossaccount share CONFIG puts it right.",
            )


def _milder(findings: Iterable[Finding]) -> list[Finding]:
    """What would stop a share stops no access that is there."""
    return [
        replace(one, severity=Severity.WARNING) if one.severity is Severity.ERROR else one for one in findings
    ]


def _replaced(producer: Producer, found: Gathered, proposal: Plan) -> Iterator[Finding]:
    for version in found.versions:
        try:
            _, unpublished = publish.prepare(producer, version, found, proposal)
        except (Conflict, Failed) as error:
            yield Finding(Severity.ERROR, version.arn, _first_line(error))
            continue
        if unpublished:
            text = "It has no Release, so it cannot be deployed."
            yield Finding(Severity.ERROR, version.arn, text, "crossaccount share CONFIG publishes it.")


def of_consumer(sharing: Sharing, name: str, known: Sequence[ModelVersion], probe: bool) -> Seen:
    """What the consumer's own role meets, door by door, going on past each one that is shut.

    Args:
        sharing: the config.
        name: the consumer.
        known: versions that the producer knows of, newest last, for when the registry refuses the consumer.
        probe: also make a model and delete it, which proves what the execution role may.
    """
    consumer = sharing.consumers[name]
    if consumer.expires is not None and consumer.expires <= datetime.now(UTC):
        return Seen()
    try:
        session = sessions.consumer_session(sharing, name, consumer)
    except Refused as refused:
        return Seen(tuple(shut(name, consumer, refused)))
    except CrossAccountError as error:
        text = f"What its role meets cannot be told: {_first_line(error)}"
        return Seen(findings=(Finding(Severity.WARNING, f"consumers.{name}", text),))
    answers = [_answer(name, consumer, DoorName.ROLE_TRUST, consumer.role, "assumed")]
    findings: list[Finding] = []
    version, published = _meets_registry(session, sharing, name, known, answers, findings)
    if version is not None:
        published = _meets_bucket(session, sharing, name, version, answers, findings)
    if published is not None and probe and version is not None:
        _meets_everything(session, sharing, name, published, answers, findings)
    return Seen(tuple(answers), tuple(findings))


_Met = tuple[list[Answer], list[Finding]]


def _meets_registry(
    session: boto3.Session,
    sharing: Sharing,
    name: str,
    known: Sequence[ModelVersion],
    answers: list[Answer],
    findings: list[Finding],
) -> tuple[ModelVersion | None, Release | None]:
    consumer = sharing.consumers[name]
    asked = ("sagemaker:DescribeModelPackage", arns.package_arn(sharing, "*"))
    try:
        with preflight.explained(session, sharing, name, consumer, DoorName.REGISTRY, asked):
            version = preflight.find_version(session, sharing, None)
    except Refused as refused:
        answers += shut(name, consumer, refused)
        return (known[-1] if known else None), None
    except CrossAccountError as error:
        findings.append(Finding(Severity.ERROR, f"consumers.{name}", _first_line(error)))
        return None, None
    answers.append(
        _answer(
            name,
            consumer,
            DoorName.REGISTRY,
            sharing.model_package_group,
            f"version {version.version} described",
        )
    )
    return version, None


def _meets_bucket(
    session: boto3.Session,
    sharing: Sharing,
    name: str,
    version: ModelVersion,
    answers: list[Answer],
    findings: list[Finding],
) -> Release | None:
    consumer = sharing.consumers[name]
    try:
        asked = preflight.reading_release(sharing, version.version)
        with preflight.explained(session, sharing, name, consumer, DoorName.BUCKET, asked):
            published = preflight.read_release(session, sharing, version)
        bucket = sharing.producer.releases_bucket
        answers.append(
            _answer(name, consumer, DoorName.BUCKET, bucket, f"Release of version {version.version} read")
        )
        asked = preflight.reading_artifacts(sharing, published)
        with preflight.explained(session, sharing, name, consumer, DoorName.BUCKET, asked):
            preflight.check_artifacts(session, sharing, published)
    except Refused as refused:
        answers += shut(name, consumer, refused)
        return None
    except CrossAccountError as error:
        findings.append(Finding(Severity.ERROR, f"consumers.{name}", _first_line(error)))
        return None
    for one in sorted({artifact.bucket for artifact in published.contents.artifacts}):
        answers.append(_answer(name, consumer, DoorName.BUCKET, one, "artifacts looked at"))
    return published


def _meets_everything(
    session: boto3.Session,
    sharing: Sharing,
    name: str,
    published: Release,
    answers: list[Answer],
    findings: list[Finding],
) -> None:
    consumer = sharing.consumers[name]
    try:
        with preflight.explained_creation(session, sharing, name, consumer, published):
            removal = serving.try_model(session, consumer, published)
    except Refused as refused:
        answers += shut(name, consumer, refused)
        return
    except CrossAccountError as error:
        findings.append(Finding(Severity.ERROR, f"consumers.{name}", _first_line(error)))
        return
    if removal.outcome == "left":
        text = f"The model {removal.name} of this check could not be deleted: {removal.reason}"
        findings.append(Finding(Severity.WARNING, f"consumers.{name}", text, "Delete it, or check again."))
    made = "a model was made from the package, and deleted"
    answers.append(_answer(name, consumer, DoorName.EXECUTION_ROLE, consumer.execution_role, made))
    for door in DOORS:
        if door.proved_by_model:
            passed = sorted(door.needed(sharing, published.contents))
            answers += [_answer(name, consumer, door.name, resource, made) for resource in passed]


def _answer(name: str, consumer: ConsumerConfig, door: str, resource: str, reason: str) -> Answer:
    return Answer(name, consumer.account, door, resource, Verdict.YES, reason)


def shut(name: str, consumer: ConsumerConfig, refused: Refused) -> Iterator[Answer]:
    """The answer that a refusal is, about the resource behind the door."""
    refusal = refused.refusal
    reason = f"{refusal.action} refused. {refusal.next_step}"
    yield Answer(name, consumer.account, refusal.door, doors.name_in(refusal.resource), Verdict.NO, reason)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def together(
    sharing: Sharing, wanted: Sequence[str], producer: Seen, consumers: Mapping[str, Seen], repair: bool
) -> Audit:
    """One answer for each consumer, door and resource: what the consumer met counts more than what the documents say.

    Args:
        sharing: the config.
        wanted: names of the consumers that are asked about.
        producer: what the documents say.
        consumers: what each consumer met.
        repair: whether to give the plan that mends it.
    """
    answers: list[Answer] = []
    findings = [*producer.findings, *(one for seen in consumers.values() for one in seen.findings)]
    for name in wanted:
        said = {(one.door, one.resource): one for one in producer.answers if one.consumer == name}
        met: dict[tuple[str, str], Answer] = {}
        for one in consumers[name].answers if name in consumers else ():
            key = (one.door, one.resource)
            met[key] = one if key not in met or one.verdict is Verdict.NO else met[key]
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
        answers += _untold(sharing, name, answers)
    mends = producer.repair if repair and producer.repair is not None and producer.repair.writes else None
    return Audit(tuple(answers), tuple(dict.fromkeys(findings)), mends)


def _untold(sharing: Sharing, name: str, answers: Sequence[Answer]) -> Iterator[Answer]:
    consumer = sharing.consumers[name]
    told = {one.door for one in answers if one.consumer == name}
    if consumer.expires is not None and consumer.expires <= datetime.now(UTC):
        return
    needed = doors.resources(sharing, doors.needs(sharing, packages.Contents()))  # by whatever version
    for door, resource in (
        *((door_of(each.kind).name, each.name) for each in needed),
        (DoorName.EXECUTION_ROLE, consumer.execution_role),
        (DoorName.ROLE_TRUST, consumer.role),
    ):
        if door not in told:
            yield Answer(
                name, consumer.account, door, resource, Verdict.CANNOT_TELL, "nothing here could ask"
            )
