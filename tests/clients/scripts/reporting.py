"""A step of a script, told as one line of JSON: what was to be done, whether it was, and what the client showed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def tell(step: str, ok: bool, shown: object) -> None:
    """Print the line of a step, below whatever the client itself may have printed last."""
    print("\n" + json.dumps({"step": step, "ok": ok, "shown": str(shown)}), flush=True)


@contextmanager
def step(name: str) -> Iterator[Callable[[object], None]]:
    """A step that is done when what is within comes to its end; what is given to the function is shown."""
    shown: list[str] = []
    try:
        yield lambda value: shown.append(str(value))
    except Exception as error:
        tell(name, False, f"{type(error).__module__}.{type(error).__name__}: {error}")
    else:
        tell(name, True, " ".join(shown))


@contextmanager
def refused(name: str, kind: type[Exception]) -> Iterator[None]:
    """A step that AWS is to refuse; shows the client's own error, and is not ok when it is none of that kind or does not come."""
    try:
        yield
    except Exception as error:
        tell(name, isinstance(error, kind), f"{type(error).__module__}.{type(error).__name__}: {error}")
    else:
        tell(name, False, "was not refused")
