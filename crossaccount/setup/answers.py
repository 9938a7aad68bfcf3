"""What a look at a setup comes to: one answer to each question, and an exit code for all of them.

Not here: the questions (``doctor``, and of Prefect ``tasks.readiness``).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from crossaccount.audit.answers import Verdict
from crossaccount.errors import Failed, NotReady
from crossaccount.text import harmless


@dataclass(frozen=True)
class Answer:
    """One answer.

    ``subject`` is what was asked about (``machine``, ``producer``, ``consumers.staging``, ``prefect``), ``question`` what in a word or
    two, ``way_out`` the next step; ``is_access`` where a ``no`` is access that is missing.
    """

    subject: str
    question: str
    verdict: Verdict
    text: str
    way_out: str = ""
    is_access: bool = False

    def __str__(self) -> str:
        """In a line."""
        line = f"{self.verdict}: {self.subject}: {self.question}: {self.text} {self.way_out}".rstrip()
        return " ".join(harmless(line).split())


def yes(subject: str, question: str, text: str) -> Answer:
    """An answer that all is well."""
    return Answer(subject, question, Verdict.YES, text)


def no(subject: str, question: str, text: str, way_out: str, is_access: bool = False) -> Answer:
    """An answer that something is not as it must be, with the way out."""
    return Answer(subject, question, Verdict.NO, text, way_out, is_access)


def untold(subject: str, question: str, text: str, way_out: str = "") -> Answer:
    """An answer that it cannot be told, and why."""
    return Answer(subject, question, Verdict.CANNOT_TELL, text, way_out)


def text(answers: Sequence[Answer]) -> str:
    """The answers for a person, a line each."""
    return "\n".join(map(str, answers))


def to_json(answers: Sequence[Answer]) -> dict[str, Any]:
    """The answers as plain data."""
    return {"answers": [asdict(answer) for answer in answers]}


def judge(answers: Sequence[Answer]) -> None:
    """Raise what the answers come to, where one is no, or none could be told.

    Raises:
        NotReady: where one is no: with exit code 3 where access is missing, else 1.
        Failed: where nothing could be told.
    """
    wrong = [answer for answer in answers if answer.verdict is Verdict.NO]
    if wrong:
        named = "; ".join(f"{answer.subject}: {answer.question}" for answer in wrong)
        code = 3 if any(answer.is_access for answer in wrong) else 1
        raise NotReady(f"Not ready: {named}.", text(answers), to_json(answers), code)
    if not any(answer.verdict is Verdict.YES for answer in answers):
        raise Failed(f"Nothing could be told from here.\n{text(answers)}")
