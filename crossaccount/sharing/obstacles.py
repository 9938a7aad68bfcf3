"""Reading on past obstacles: each becomes a finding, so that all are said at once.

Not here: the questions themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from botocore.exceptions import ClientError

from crossaccount import doors, parallel
from crossaccount.errors import Failed, Finding, Obstacle, Severity

_About = TypeVar("_About")
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
    findings: list[Finding], questions: Mapping[_About, tuple[str, Callable[[], _Answer]]]
) -> dict[_About, _Answer]:
    """The answers to questions, each with its subject, all asked at once; an obstacle becomes a finding instead of an answer."""

    def ask(
        about: _About, subject: str, question: Callable[[], _Answer]
    ) -> tuple[dict[_About, _Answer], list[Finding]]:
        obstacles: list[Finding] = []
        with noting(obstacles, subject):
            return {about: question()}, obstacles
        return {}, obstacles

    answered = parallel.run_all([partial(ask, about, *question) for about, question in questions.items()])
    findings += [finding for _, obstacles in answered for finding in obstacles]
    return {about: answer for pair, _ in answered for about, answer in pair.items()}
