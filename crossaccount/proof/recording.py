"""The answers of a live endpoint as expectations: each question is put to it once, and what comes is what will be expected.

An answer that is an error is never recorded. Not here: the questions' files (``sharing.sample_folder``).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from crossaccount.aws.access import Target
from crossaccount.config.expectations import Tolerance
from crossaccount.config.loading import parse_question
from crossaccount.errors import Failed
from crossaccount.proof.asking import ask
from crossaccount.proof.expectations import expectation
from crossaccount.proof.questions import of_payload
from crossaccount.proof.reading import Bytes, plain
from crossaccount.sharing.sample_folder import Entry
from crossaccount.text import harmless

_MOST_TOLD = 500  # characters of what is wrong with an answer


def record(
    target: Target, endpoint: str, entries: Sequence[Entry], tolerance: Tolerance | None = None
) -> tuple[Entry, ...]:
    """The questions with the endpoint's answers as what they expect; one that expects something already must be answered so.

    Args:
        target: the account of the endpoint.
        endpoint: its name.
        entries: the questions.
        tolerance: how far the numbers of an answer with fractions may be from it; six digits when it is left out.

    Raises:
        Failed: for an answer that is an error, or is not what its question expects, with all of them.
        Refused: when AWS refuses the call.
    """
    recorded, faults = list[Entry](), list[str]()
    with target.explained("sagemaker:InvokeEndpoint", endpoint):
        for entry in entries:
            answered, fault = _answered(target, endpoint, entry, tolerance)
            recorded.append(answered)
            faults += [f"{entry}: {harmless(' '.join(fault.split()))[:_MOST_TOLD]}"] if fault else []
    if faults:
        lines = "\n".join(faults)
        raise Failed(f"{endpoint} gives answers that cannot be recorded: nothing was written.\n{lines}")
    return tuple(recorded)


def _answered(target: Target, endpoint: str, entry: Entry, tolerance: Tolerance | None) -> tuple[Entry, str]:
    """The question with its expectation, and what is wrong with the answer."""
    keys = dict(entry.keys)
    question = of_payload(entry.payload)
    heard: list[Any] = []

    def listen(got: Any) -> str:
        heard.append(got)
        return ""

    (answer,) = ask(target, endpoint, [replace(question, judge=listen) if entry.is_open else question])
    if not answer.ok:
        return entry, f"{answer.got}{answer.reason}"
    if not entry.is_open:
        return entry, ""
    keys |= expected(heard[-1], tolerance)
    _, judge = expectation(parse_question(keys))
    return replace(entry, keys=keys), judge(heard[-1])


def expected(got: Any, tolerance: Tolerance | None) -> dict[str, Any]:
    """The keys of a question that expects this answer, as `reading.read_answer` gives it.

    Bytes that have no reader are expected by their hash, everything else as data; with the tolerance where there are fractions.
    """
    if isinstance(got, Bytes):
        return {"expect_sha256": got.sha256}
    value = plain(got)
    if tolerance is None or not _has_fractions(value):
        return {"expect": value}
    measures = {key: part for key, part in tolerance.model_dump().items() if part is not None}
    return {"expect_within": {"value": value, "tolerance": measures}}


def _has_fractions(value: Any) -> bool:
    if isinstance(value, list | dict):
        return any(map(_has_fractions, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float)
