"""The errors that a person may meet, in one small tree; each says where, what, and what next.

Not here: turning an AWS error into a `Refusal` (``aws.refusals``).
Every error is rebuilt from its `args` alone, so it survives pickling on the way out of a Prefect worker.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from crossaccount.text import harmless

LAST_VERSION = 999_999_999  # of a model package group: whatever reads a version refuses a higher number


def _said(text: str) -> str:
    """A message as it may be shown; a sentence that was put into another does not end twice."""
    return re.sub(r"(?<![./])\.\.(?=\s|$)", ".", harmless(text))


class CrossAccountError(Exception):
    """Base of every error raised on purpose; `exit_code` is the one that the command ends with."""

    exit_code = 1

    def __str__(self) -> str:
        """The message, with nothing in it that is a secret or moves a terminal."""
        return _said(super().__str__())


@dataclass(frozen=True)
class Fault:
    """One fault of a configuration file.

    `key` is the dotted path (`consumers.staging.account`), `line` its 1-based line where it is known, `value` what
    stood there (cut to a readable length), and `message` one sentence that ends in the way out.
    """

    key: str
    line: int | None
    value: str
    message: str


class ConfigError(CrossAccountError):
    """A configuration file that cannot be used: every fault at once, in `faults`; `source` names the file."""

    exit_code = 2

    def __init__(self, faults: tuple[Fault, ...], source: str = "config") -> None:
        super().__init__(faults, source)
        self.faults = tuple(faults)
        self.source = source

    def __str__(self) -> str:
        """One line for each fault: `FILE:LINE: key: message`."""
        return "\n".join(_said(self._line(fault)) for fault in self.faults)

    def _line(self, fault: Fault) -> str:
        place = self.source if fault.line is None else f"{self.source}:{fault.line}"
        return ": ".join(part for part in (place, fault.key, fault.message) if part)


class InputError(CrossAccountError):
    """Any other bad input: a consumer that the configuration does not name, a version that is not a number, ..."""

    exit_code = 2


class DoorName(StrEnum):
    """The names of the places where access can be shut, as refusals say them; a further kind of resource brings its own."""

    REGISTRY = "registry"
    REPOSITORY = "repository"
    BUCKET = "bucket"
    KEY = "key"
    ROLE_TRUST = "role-trust"
    CALLER_POLICY = "caller-policy"
    EXECUTION_ROLE = "execution-role"
    UNKNOWN = "unknown"  # which of several it is cannot be told


@dataclass(frozen=True)
class Denial:
    """A policy that denies an action: its kind in AWS's words (`service control policy`), and its ARN where AWS names it."""

    kind: str
    arn: str = ""


@dataclass(frozen=True)
class Refusal:
    """An action that AWS refused, with the door that is shut and the account that opens it.

    `account` is the 12-digit id of the account that owns the shut door; `ruled_out` lists the causes of an ambiguous
    AWS message that were checked and found not to apply; `next_step` is a sentence or two; `denied_by` is the policy that
    denies it, None where none is known to: what then lacks is an Allow. ``containers`` are those that need the resource, by name, of
    a version with several.
    """

    door: str
    account: str
    action: str
    resource: str
    caller: str
    aws_code: str
    aws_message: str
    ruled_out: tuple[str, ...]
    next_step: str
    denied_by: Denial | None = None
    containers: tuple[str, ...] = ()

    @property
    def shut(self) -> str:
        """The shut door and its owner, in a few words."""
        if self.door == DoorName.UNKNOWN:
            return "which door is shut cannot be told"
        return f"the {self.door} door of account {self.account} is shut"


class Refused(CrossAccountError):
    """AWS said no; `refusal` holds the door, the account that owns it and the next step.

    `findings` are those of a plan in whose way it stands, this one and others.
    """

    exit_code = 3

    def __init__(self, refusal: Refusal, findings: tuple["Finding", ...] = ()) -> None:
        super().__init__(refusal, findings)
        self.refusal = refusal
        self.findings = tuple(findings)

    def __str__(self) -> str:
        """Where, what, what next; then AWS's own words; then what else stands in the way."""
        refusal = self.refusal
        lines = [
            f"{refusal.caller} may not {refusal.action} on {refusal.resource}: {refusal.shut}. {refusal.next_step}"
        ]
        if refusal.containers:
            lines.append(f"It is for {' and '.join(refusal.containers)}.")
        if refusal.ruled_out:
            lines.append("Ruled out: " + "; ".join(refusal.ruled_out) + ".")
        lines.append(f"AWS said {refusal.aws_code}: {refusal.aws_message}")
        lines += [
            str(finding)
            for finding in self.findings
            if finding.severity is Severity.ERROR and finding != Unread.of(finding.subject, refusal)
        ]
        return _said("\n".join(lines))


class AccessMissing(CrossAccountError):
    """Access that a configuration promises is not there: `missing` names it, `table` and `audit` have every answer."""

    exit_code = 3

    def __init__(self, missing: tuple[str, ...], table: str, audit: dict[str, Any]) -> None:
        super().__init__(missing, table, audit)
        self.missing = tuple(missing)
        self.table = table
        self.audit = audit

    def __str__(self) -> str:
        return _said(f"Access that the config promises is missing: {'; '.join(self.missing)}.")


class VersionRecalled(CrossAccountError):
    """Endpoints serve versions that the registry has recalled: `recalled` names them, `table` and `audit` have every answer.

    The access is there, so it is no `AccessMissing`; nobody should miss it, so it is an error.
    """

    def __init__(self, recalled: tuple[str, ...], table: str, audit: dict[str, Any]) -> None:
        super().__init__(recalled, table, audit)
        self.recalled = tuple(recalled)
        self.table = table
        self.audit = audit

    def __str__(self) -> str:
        return _said(f"Versions that are recalled are live: {'; '.join(self.recalled)}.")


class PromotionFailed(CrossAccountError):
    """A promotion or a rollback that did not reach every consumer: `reasons`, and `table` and `promotion` with every outcome."""

    def __init__(self, reasons: tuple[str, ...], table: str, promotion: dict[str, Any]) -> None:
        super().__init__(reasons, table, promotion)
        self.reasons = tuple(reasons)
        self.table = table
        self.promotion = promotion

    def __str__(self) -> str:
        return _said("\n".join(self.reasons))


class Severity(StrEnum):
    """The weight of a finding: an error stops a share, a warning wants a person's eye, a note is to be known."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """A fault, a risk or a fact: `subject` is the document or thing it concerns, `way_out` the next step."""

    severity: Severity
    subject: str
    text: str
    way_out: str = ""

    def __str__(self) -> str:
        """One line: `subject: text way out`. What others wrote in it (a Sid, for one) moves no terminal."""
        line = f"{self.subject}: {self.text} {self.way_out}".rstrip()
        return _said(line).replace("\n", "\\n").replace("\0", "\\x00")


@dataclass(frozen=True)
class Unread(Finding):
    """A finding that AWS refuses a read, for the reason in `refusal`: what it is about cannot be told."""

    refusal: Refusal | None = None

    @classmethod
    def of(cls, subject: str, refusal: Refusal) -> Self:
        """The finding, as an error, of a subject that is refused."""
        denied = "" if refusal.denied_by is None else f", by a Deny in its {refusal.denied_by.kind}"
        text = (
            f"It cannot be read: {refusal.caller} is refused {refusal.action} on {refusal.resource}{denied}."
        )
        return cls(Severity.ERROR, subject, text, refusal.next_step, refusal)


class Gone(Finding):
    """A finding that an artifact or an image is no longer there: the versions that are made of it can be deployed by nobody."""


class PlanRefused(CrossAccountError):
    """A plan with an error among its `findings`: it is never right, or cannot be carried out. Nothing was written."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__(findings)
        self.findings = tuple(findings)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Each objection in a line."""
        return tuple(str(finding) for finding in self.findings if finding.severity is Severity.ERROR)

    def __str__(self) -> str:
        return "\n".join(self.reasons)


class NotReady(CrossAccountError):
    """Something that a setup needs is not there, or differs: ``table`` and ``report`` have every answer.

    `exit_code` is 3 where access is missing or AWS refuses to be read, else 1, or 2 for bad input.
    """

    def __init__(self, summary: str, table: str, report: dict[str, Any], exit_code: int = 1) -> None:
        super().__init__(summary, table, report, exit_code)
        self.summary = summary
        self.table = table
        self.report = report
        self.exit_code = exit_code

    def __str__(self) -> str:
        return harmless(self.summary)


class Conflict(CrossAccountError):
    """The world is not as it was shown: a document changed since the plan, or a shared version's content did."""


class Failed(CrossAccountError):
    """Something needed is missing or did not come out as asked; the message names it and the way out.

    ``outcome`` is how far it came, as plain data, where that is more than the message says.
    """

    outcome: dict[str, Any] | None = None


class NotLive(Failed):
    """An endpoint did not come to serve what it was asked to.

    `ending` is how it ended instead, one of `hosting.outcome.Ending`; `endpoint` names it; `live_version` is the version that
    answers now, None where none does; `text` says it all in a sentence or two.
    """

    def __init__(self, ending: str, endpoint: str, live_version: int | None, text: str) -> None:
        super().__init__(ending, endpoint, live_version, text)
        self.ending = ending
        self.endpoint = endpoint
        self.live_version = live_version
        self.text = text

    def __str__(self) -> str:
        return _said(self.text)


class Obstacle(Failed):
    """An obstacle to a share or a deployment, as a finding."""

    def __init__(self, subject: str, text: str, way_out: str) -> None:
        super().__init__(subject, text, way_out)
        self.finding = Finding(Severity.ERROR, subject, text, way_out)

    def __str__(self) -> str:
        return str(self.finding)

    @classmethod
    def missing(cls, subject: str, text: str, way_out: str) -> Self:
        """An artifact, an image, or what it lay in, that is no longer there: the finding is a `Gone`."""
        obstacle = cls(subject, text, way_out)
        obstacle.finding = Gone(Severity.ERROR, subject, text, way_out)
        return obstacle
