"""The decorator of every flow: a failure is one line of the run, and no result is kept. Not here: the flows."""

import gc
import inspect
import re
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar, get_origin

from prefect import Flow, flow, flow_engine
from pydantic_core import MISSING

from tasks.steps import reasoned

P = ParamSpec("P")
R = TypeVar("R")

# New objects before the next garbage collection, 700 in Python: a run of many consumers makes a million, and few form a circle.
_GARBAGE = 50_000

# Called as a run begins, in its thread, within Prefect's own handling of signals: by the command, which handles them itself.
AT_START: list[Callable[[], None]] = []

# The end of a flow waits for the thread of its heartbeats, which looks up once a second; the end of an async flow does not,
# and the thread ends by itself. Half a second of each run, on average; with a Prefect that has no such choice it stays so.
if "join_on_exit" in inspect.signature(flow_engine._send_heartbeats).parameters:
    flow_engine._send_heartbeats = partial(flow_engine._send_heartbeats, join_on_exit=False)


def operation(name: str, **options: Any) -> Callable[[Callable[P, R]], Flow[P, R]]:
    """A flow whose first argument is its config; results are not kept.

    An error made for a person goes into the log and, where AWS refused, into an artifact; the Failed state has its first line.

    Args:
        name: of the flow.
        options: as for `prefect.flow`.
    """

    def decorate(function: Callable[P, R]) -> Flow[P, R]:
        explained = reasoned(function, lambda config: _key(str(config)))
        # Prefect looks up the names of types where the function it is given lies: they are resolved here.
        signature = inspect.signature(function, eval_str=True)
        started = _rarely_collecting(explained)
        vars(started)["__signature__"] = signature
        decorated: Flow[P, R] = flow(name=name, persist_result=False, **options)(started)
        vars(decorated)["__signature__"] = _as_form(signature)
        return decorated

    return decorate


def _rarely_collecting(function: Callable[P, R]) -> Callable[P, R]:
    """The function, run with the garbage collector looking seldom: what was imported stays, and is not looked through again and again."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        gc.freeze()
        usual = gc.get_threshold()
        gc.set_threshold(max(usual[0], _GARBAGE), *usual[1:])
        try:
            for begin in AT_START:
                begin()
            return function(*args, **kwargs)
        finally:
            gc.set_threshold(*usual)

    return run


def _as_form(signature: inspect.Signature) -> inspect.Signature:
    """The signature that the form is made from: a field that may stay empty has no default there.

    A form sends each default, and the server refuses the null of a field whose type is written as plain (see `flows.forms`).
    """
    fields = [
        field.replace(default=MISSING)
        if field.default is None and get_origin(field.annotation) is Annotated
        else field
        for field in signature.parameters.values()
    ]
    return signature.replace(parameters=fields)


def _key(config: str) -> str:
    """The part of a config's name that the keys of its artifacts end in."""
    return re.sub(r"[^a-z0-9]+", "-", Path(config).stem.lower()).strip("-") or "config"
