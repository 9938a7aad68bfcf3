"""Reading on past obstacles: each becomes a finding, so that all are said at once.

Not here: the questions themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from botocore.exceptions import ClientError

from crossaccount import doors, together
from crossaccount.errors import Failed, Finding, Obstacle, Severity

_Answer = TypeVar("_Answer")


@contextmanager
def noting(findings: list[Finding], subject: str) -> Iterator[None]:
    """Within this, an obstacle becomes a finding about the subject, and the reading goes on."""
    try:
        yield
    except Obstacle as obstacle:
        findings.append(obstacle.finding)
    except Failed as failed:
        findings.append(Finding(Severity.ERROR, subject, str(failed)))
    except ClientError as error:
        if not doors.is_missing(error):
            raise
        way_out = "Create or restore it, or correct the config."
        findings.append(Finding(Severity.ERROR, subject, "It does not exist.", way_out))


def answers(
    findings: list[Finding], questions: Sequence[tuple[str, Callable[[], _Answer]]]
) -> list[tuple[_Answer] | None]:
    """The answers to questions, each with its subject, all asked at once; None for an obstacle, which becomes a finding."""

    def ask(subject: str, question: Callable[[], _Answer]) -> tuple[tuple[_Answer] | None, list[Finding]]:
        obstacles: list[Finding] = []
        with noting(obstacles, subject):
            return (question(),), obstacles
        return None, obstacles

    answered = together.asked([partial(ask, *question) for question in questions])
    findings += [finding for _, obstacles in answered for finding in obstacles]
    return [answer for answer, _ in answered]
