"""Several questions to AWS asked at once: each waits for its answer, and none for another's.

Not here: what is asked, and what must be done in an order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_AT_ONCE = 8  # a client keeps ten connections

_Result = TypeVar("_Result")
_Other = TypeVar("_Other")


def asked(calls: Sequence[Callable[[], _Result]]) -> list[_Result]:
    """What each call gives, in their order; made in threads, at most eight at once.

    All of them have ended when this ends. Where some raise, the first of these, in the order given, is what is raised: which
    one does not depend on which was faster.
    """
    if len(calls) < 2:
        return [call() for call in calls]
    with ThreadPoolExecutor(min(len(calls), _AT_ONCE), "crossaccount") as pool:
        futures = [pool.submit(call) for call in calls]
    return [future.result() for future in futures]


def both(first: Callable[[], _Result], second: Callable[[], _Other]) -> tuple[_Result, _Other]:
    """What two calls give, made at once; raises as `asked` does."""
    calls: list[Callable[[], Any]] = [first, second]
    one, other = asked(calls)
    return one, other
