"""Independent calls run at once: each waits for its answer, and none for another's.

Not here: calls that must be made in an order.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_AT_ONCE = 8  # a client keeps ten connections

_Result = TypeVar("_Result")
_Other = TypeVar("_Other")


def run_all(calls: Sequence[Callable[[], _Result]]) -> list[_Result]:
    """The result of each call, in their order; run in this thread and others, at most eight at once.

    All of them have ended when this ends. Where some raise, the first of these in the order given is raised, however fast the
    others were.
    """
    if len(calls) < 2:
        return [call() for call in calls]
    with ThreadPoolExecutor(min(len(calls), _AT_ONCE) - 1, "crossaccount") as pool:
        futures = [pool.submit(call) for call in calls[1:]]
        first = calls[0]()
    return [first, *(future.result() for future in futures)]


def run_both(first: Callable[[], _Result], second: Callable[[], _Other]) -> tuple[_Result, _Other]:
    """The results of two calls, run at once; raises as `run_all` does."""
    calls: list[Callable[[], Any]] = [first, second]
    result, other = run_all(calls)
    return result, other
