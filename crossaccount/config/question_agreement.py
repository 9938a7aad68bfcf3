"""Keys of a question against each other, as plain data that may be unsound.

Not here: single values (``smoke``, ``expectations``).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from crossaccount.config.smoke import Smoke
from crossaccount.config.values import Complaint, KeyPath, missing
from crossaccount.text import quote

BODIES = ("body", "body_base64", "body_file", "body_s3_uri")
EXPECTATIONS = (
    "expect",
    "expect_within",
    "expect_json_path",
    "expect_schema",
    "expect_label",
    "expect_array",
    "expect_text",
    "expect_sha256",
    "expect_length",
)
# They judge the bytes of an answer as they came; the others judge what was read of it.
OF_BYTES = ("expect_sha256", "expect_length")
AT_LEAST_ONE = {
    "expect_array": (("shape", "dtype", "minimum", "maximum"), "{shape: [1, null]} or {dtype: float32}"),
    "expect_text": (("contains", "matches"), "{contains: Paris}"),
}


def smoke_disagreements(path: KeyPath, consumer: Mapping[str, Any]) -> Iterator[Complaint]:
    """What contradicts something else in a consumer's questions, and in its limits on latency."""
    questions = consumer.get("smoke")
    for place, question in enumerate(questions if isinstance(questions, list | tuple) else ()):
        if isinstance(question, Mapping):
            yield from question_disagreements((*path, "smoke", place), question)
    latency = consumer.get("latency")
    if isinstance(latency, Mapping):
        limits = [latency.get(key) for key in ("p50_ms", "p95_ms")]
        if limits == [None, None]:
            yield (*path, "latency"), "", "limits nothing. Add p50_ms, p95_ms, or both, in milliseconds."
        p50, p95 = limits
        if isinstance(p50, int | float) and isinstance(p95, int | float) and p50 > p95:
            sentence = f"{p50} is more than the p95_ms of {p95}, which no measurement can meet. Write less."
            yield (*path, "latency", "p50_ms"), p50, sentence


def question_disagreements(path: KeyPath, question: Mapping[str, Any]) -> Iterator[Complaint]:
    """What contradicts something else in one question."""
    bodies = [key for key in BODIES if question.get(key) is not None]
    expected = [
        key for key in EXPECTATIONS if question.get(key) is not None or (key == "expect" and key in question)
    ]
    for keys, key, others in (
        (bodies, "body", "body_base64, body_file or body_s3_uri"),
        (expected, "expect", "one of " + ", ".join(EXPECTATIONS[1:])),
    ):
        if not keys:
            yield (*path, key), "", missing(Smoke, key, f", or {others}.")
        for extra in keys[1:]:
            sentence = f"stands beside {keys[0]}, and a question has one of them only. Keep one of the two."
            yield (*path, extra), "", sentence
    yield from _inner_disagreements(path, question)
    yield from _reader_disagreements(path, question, expected)


def _inner_disagreements(path: KeyPath, question: Mapping[str, Any]) -> Iterator[Complaint]:
    for key in ("expect_within", "expect_json_path"):
        inner = question.get(key)
        tolerance = inner.get("tolerance") if isinstance(inner, Mapping) else None
        if isinstance(tolerance, Mapping):
            measures = [name for name in ("absolute", "relative") if tolerance.get(name) is not None]
            if len(measures) != 1:
                sentence = "needs one measure, and one only. Write {absolute: 0.01} or {relative: 0.05}."
                yield (*path, key, "tolerance"), "", sentence
    for key, (names, example) in AT_LEAST_ONE.items():
        inner = question.get(key)
        if isinstance(inner, Mapping) and all(inner.get(name) is None for name in names):
            yield (*path, key), "", f"expects nothing. Add one of {', '.join(names)}, for example {example}."
    for key, least, most in (
        ("expect_array", "minimum", "maximum"),
        ("expect_length", "least", "most"),
    ):
        inner = question.get(key)
        low, high = (inner.get(least), inner.get(most)) if isinstance(inner, Mapping) else (None, None)
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            yield (
                (*path, key, least),
                low,
                f"{quote(low)} is more than the {most} of {quote(high)}. Write less.",
            )


def _reader_disagreements(
    path: KeyPath, question: Mapping[str, Any], expected: list[str]
) -> Iterator[Complaint]:
    reader = question.get("read_as")
    for key in expected:
        if key in OF_BYTES and reader not in (None, "bytes"):
            sentence = f"{quote(reader)} stands beside {key}, which judges the bytes as they came. Delete one of the two."
            yield (*path, "read_as"), reader, sentence
        if key not in OF_BYTES and reader == "bytes":
            sentence = f'"bytes" are nothing that {key} can judge. Write another reader, or {OF_BYTES[0]}.'
            yield (*path, "read_as"), reader, sentence
