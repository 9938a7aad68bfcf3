"""The kinds of a judgement: a judge gives the reason why an answer is wrong, in a few words, or an empty text for a right one.

Not here: any judge (``expectations``, ``shapes``, ``bodies``).
"""

from collections.abc import Callable
from typing import Any

Judge = Callable[[Any], str]
Expectation = tuple[Any, Judge]


def found_by(judge: Judge) -> Judge:
    """A judge for which a path that leads nowhere is what is wrong with the answer."""

    def judged(got: Any) -> str:
        try:
            return judge(got)
        except LookupError as error:
            return str(error.args[0])

    return judged
