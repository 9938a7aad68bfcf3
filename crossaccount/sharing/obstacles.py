"""Reading on past obstacles: each becomes a finding, so that all are said at once.

Not here: the questions themselves.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from botocore.exceptions import ClientError

from crossaccount import doors, parallel
from crossaccount.aws.access import Producer
from crossaccount.errors import Failed, Finding, Gone, Obstacle, Refused, Severity, Unread

_Subject = TypeVar("_Subject")
_Answer = TypeVar("_Answer")


def ask(subject: str, question: Callable[[], _Answer], producer: Producer | None = None) -> _Answer | Finding:
    """The answer to a question about a subject; a finding where an obstacle stands in its way.

    Args:
        subject: what it is about, for messages.
        question: gives the answer.
        producer: whose refusal is a finding too; without it, a refusal ends the asking.

    Raises:
        ClientError: AWS's other errors.
    """
    try:
        return question()
    except Obstacle as obstacle:
        return obstacle.finding
    except Failed as failed:
        return Finding(Severity.ERROR, subject, str(failed))
    except ClientError as error:
        if doors.is_missing(error):
            way_out = "Create or restore it, or correct the config."
            return Gone(Severity.ERROR, subject, "It does not exist.", way_out)
        refused = None if producer is None else producer.explain(error)
        if not isinstance(refused, Refused):
            raise
        return Unread.of(subject, refused.refusal)


def ask_all(
    questions: Mapping[_Subject, tuple[str, Callable[[], _Answer]]], producer: Producer | None = None
) -> tuple[dict[_Subject, _Answer], list[Finding]]:
    """The answers to questions, each with its subject's name, all asked at once; and the findings of those without one, as `ask` has them."""
    results = parallel.run_all(
        [partial(ask, name, question, producer) for name, question in questions.values()]
    )
    answered = {
        subject: result
        for subject, result in zip(questions, results, strict=True)
        if not isinstance(result, Finding)
    }
    return answered, [result for result in results if isinstance(result, Finding)]
