"""A step of a run, and how a run shows itself: its name, its artifacts, the line that it fails with, and the refusal behind it.

Not here: the steps themselves.
"""

import inspect
import logging
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast
from uuid import UUID

from prefect import State, Task, get_run_logger
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.context import TaskRunContext
from prefect.runtime import flow_run
from prefect.states import Completed, Running
from prefect.states import Failed as FailedState
from prefect.utilities.annotations import quote

from crossaccount import waiting
from crossaccount.aws import refusals
from crossaccount.config.model import Sharing
from crossaccount.errors import CrossAccountError, Refused
from crossaccount.show import markdown
from tasks import ending

logging.getLogger("sagemaker.config").setLevel(logging.WARNING)  # it reports every file that it does not find


def _in_one_line(record: logging.LogRecord) -> bool:
    """Take the traceback from an error made for a person: Prefect logs one with each error of a task."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, CrossAccountError):
        record.msg, record.args, record.exc_info, record.exc_text = "%s", (reason(error),), None, None
    return True


logging.getLogger("prefect.task_runs").addFilter(_in_one_line)

_LEAST_SECONDS, _WHOLE = 2.0, 100.0  # between two changes of a progress artifact; its end is put at once

P = ParamSpec("P")
R = TypeVar("R")


class _Step(Task[P, R]):
    """A task; within another task's run it is a part of that, and no run of its own.

    Prefect looks through all that a task is given for other tasks' results; a config has none, and as many parts as consumers.
    """

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:  # type: ignore[override]
        """Run it."""
        if TaskRunContext.get() is not None:
            return self.fn(*args, **kwargs)
        return super().__call__(*map(_unsearched, args), **_all_unsearched(kwargs))

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        """Run it beside others."""
        return super().submit(*map(_unsearched, args), **_all_unsearched(kwargs))


def _unsearched(given: Any) -> Any:
    return quote(given) if isinstance(given, Sharing) else given


def _all_unsearched(given: dict[str, Any]) -> dict[str, Any]:
    return {name: _unsearched(value) for name, value in given.items()}


def step(name: str | None = None) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task that asks or changes AWS: its result is neither cached nor kept.

    Args:
        name: of its runs, with the arguments in braces; the function's own when it is left out.
    """

    def decorate(function: Callable[P, R]) -> Task[P, R]:
        return _Step(
            _watched(function, name), task_run_name=name, cache_policy=NO_CACHE, persist_result=False
        )

    return decorate


def _watched(function: Callable[P, R], name: str | None) -> Callable[P, R]:
    """The function, known while it runs as what this process waits for."""
    signature = inspect.signature(function)

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs)
        with waiting.on((name or function.__name__.replace("_", " ")).format(**bound.arguments)):
            return function(*args, **kwargs)

    return run


def reasoned(function: Callable[P, R], shown_as: Callable[[Any], str]) -> Callable[P, R]:
    """The function of a flow, whose errors made for a person become a Failed state with their first line and no traceback.

    At its end, however it ends, its summary and the dashboards of its groups are written.

    A caller in the same process still gets the error raised. Not for tasks: a state that a task returns is a value like any
    other, and raises nothing.

    Args:
        function: of a flow.
        shown_as: from the first argument, the end of the key of the error's artifact.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        of = shown_as(next(iter([*args, *kwargs.values()])))
        explained: CrossAccountError | None = None
        try:
            result = function(*args, **kwargs)
            told = ending.headline()
            # A message alone: the result is the flow's own.
            return result if told is None else cast(R, Completed(message=told, data=result))
        except Exception as error:
            explained = refusals.explain(error)
            if explained is None:
                raise
            show_error(explained, of)
            return cast(R, FailedState(message=ending.in_form(reason(explained)), data=explained))
        finally:
            ending.close(key_of("summary", of), explained)

    return run


def reason(error: CrossAccountError) -> str:
    """The first line of an error, and how many more the log has."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0] if len(lines) == 1 else f"{lines[0]} (and {len(lines) - 1} more lines in the log)"


def run_id() -> UUID:
    """The id of this flow run."""
    return UUID(str(flow_run.get_id()))


def name_run(name: str) -> None:
    """Name this flow run after its work, as soon as that is known."""
    with get_client(sync_client=True) as client:
        client.update_flow_run(run_id(), name=name)


def go_on() -> None:
    """Set this flow run to Running: Prefect fails a run whose pause ran out, before it ends with its own reason."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run_id(), Running(), force=True)


def set_message(state: State[Any], message: str) -> None:
    """Put a message into the state that this flow run has come to."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run_id(), state.model_copy(update={"message": message}), force=True)


def show_error(error: CrossAccountError, of: str) -> None:
    """Put an error that needs a person into the log, and a refusal into an artifact of the run.

    Args:
        error: the end of the run.
        of: the end of the artifact's key, for a refusal.
    """
    text = "\n".join([str(error), *getattr(error, "__notes__", ())])
    get_run_logger().error("%s", text, extra={"explained": True})
    if isinstance(error, Refused):
        put_page(
            "refusal", of, ending.in_form(markdown.refusal(error.refusal)), error.refusal.shut.capitalize()
        )


class Progress:
    """A progress artifact of the run: the subject that is waited for, and its status in AWS's own words.

    A status that follows another at once is put into it with the next look, if it still stands then: each takes a request.
    """

    def __init__(self, subject: str) -> None:
        self._subject, self._last, self._put, self._since = subject, "", "waiting", 0.0
        self._artifact: Any = create_progress_artifact(0.0, description=f"{subject}: waiting")

    def show(self, status: str, percent: float = 50.0) -> bool:
        """Show a status; False when it is the one shown last."""
        waiting.say(self._subject, status)
        now, is_new = time.monotonic(), status != self._last
        self._last = status
        if status != self._put and (now >= self._since + _LEAST_SECONDS or percent >= _WHOLE):
            self._put, self._since = status, now
            update_progress_artifact(self._artifact, percent, description=f"{self._subject}: {status}")
        return is_new


def key_of(kind: str, of: str) -> str:
    """The key of an artifact: lower case letters, digits and dashes; the same for every run."""
    return f"{kind}-{of.lower()}"


def put_page(kind: str, of: str, text: str, description: str) -> None:
    """Put Markdown into an artifact of the run; kind and of make its key."""
    create_markdown_artifact(key=key_of(kind, of), markdown=text, description=description)
