"""Verified is what was expected and came: answers as data, held against what a config or a producer expects."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

sys.path.insert(0, str(Path(__file__).parent))

from tables import rows

from crossaccount.config.smoke import Smoke
from crossaccount.proof.asking import put_question
from crossaccount.proof.expectations import expectation
from crossaccount.proof.questions import Question, of_sample
from crossaccount.release.manifest import Sample


@dataclass(frozen=True)
class Row:
    """What was expected (``smoke``, or a recorded ``sample``), what came, and the verdict.

    ``answer_long`` is a JSON text of so many characters that ends in a word; ``error`` is AWS's code instead of an answer.
    """

    state: str
    verdict: str
    smoke: dict[str, Any] | None = None
    sample: Any = None
    answer: str = ""
    answer_long: tuple[str, int] | None = None
    type: str = "application/json"
    error: str = ""


TABLE = rows("answering.yaml", Row)


def question(row: Row) -> Question:
    if row.smoke is None:
        given = {"content_type": "text/csv", "body": "1", "accept": row.type, "expect": row.sample}
        return of_sample(Sample.model_validate(given))
    smoke = Smoke.model_validate({"content_type": "text/csv", "body": "1", "accept": row.type, **row.smoke})
    return Question("text/csv", b"1", row.type, "1", *expectation(smoke))


def body(row: Row) -> bytes:
    if row.answer_long is None:
        return row.answer.encode()
    word, length = row.answer_long
    return json.dumps("x" * (length - len(word) - 1) + " " + word).encode()


@pytest.mark.parametrize("row", TABLE, ids=[row.state for row in TABLE])
def test_an_answer_is_verified_only_where_it_is_right(row: Row) -> None:
    def invoke(**_: Any) -> Any:
        if row.error:
            response: Any = {"Error": {"Code": row.error, "Message": "no"}}
            raise ClientError(response, "InvokeEndpoint")
        return SimpleNamespace(body=BytesIO(body(row)), content_type=row.type)

    answer = put_question(invoke, question(row))
    assert ("verified" if answer.ok else "wrong") == row.verdict, f"{answer.expected} and {answer.got}"


def test_the_proof_of_a_wrong_answer_can_be_written_as_json() -> None:
    for row in TABLE:
        expected = question(row).expected
        json.loads(json.dumps(expected, allow_nan=False))
