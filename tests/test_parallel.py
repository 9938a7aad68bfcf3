"""Independent calls run at once: their results in order, and which error is raised."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest

from crossaccount.parallel import run_all, run_both


def fail(text: str, seconds: float = 0) -> None:
    time.sleep(seconds)
    raise ValueError(text)


def test_results_stand_in_the_order_of_the_calls_and_not_in_that_of_their_ends() -> None:
    first_may_end = threading.Event()

    def first() -> int:
        assert first_may_end.wait(10), "the second call did not run beside the first"
        return 1

    def second() -> int:
        first_may_end.set()
        return 2

    assert run_all([first, second]) == [1, 2]
    first_may_end.clear()
    assert run_both(first, second) == (1, 2)


@pytest.mark.parametrize("number", [0, 1, 30])
def test_any_number_of_calls_may_be_run(number: int) -> None:
    assert run_all([partial(int, place) for place in range(number)]) == list(range(number))


def test_the_first_error_in_the_order_of_the_calls_is_raised_once_all_have_ended() -> None:
    ended: list[int] = []

    def end_late() -> None:
        time.sleep(0.2)
        ended.append(3)

    with pytest.raises(ValueError, match="first"):
        run_all([partial(fail, "first", 0.1), partial(fail, "second"), end_late])
    assert ended == [3]
