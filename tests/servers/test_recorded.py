"""What real model servers answered is judged right by the question a user would write for it, and wrong with one thing changed.

Each row of ``rows.yaml`` is such a question's expectation beside one answer of ``recordings``, which ``python tests/servers`` records.
"""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError

from crossaccount.config.loading import parse_config
from crossaccount.config.smoke import Smoke
from crossaccount.proof.asking import put_question
from crossaccount.proof.expectations import expectation, reader
from crossaccount.proof.questions import Question
from crossaccount.proof.reading import read_answer

sys.path.insert(0, str(Path(__file__).parent))

import mutations
import oracle

HERE = Path(__file__).parent

STRICT = {
    "expect",
    "expect_within",
    "expect_sha256",
}  # the others look at a part of an answer, or at what it is like
LONGEST = 60_000  # bytes of a recording
SERVERS = sorted(file.stem for file in (HERE / "recordings").glob("*.json"))


@dataclass(frozen=True)
class Row:
    """One answer of a server, and the question of a config that it answers."""

    server: str
    key: str
    question: dict[str, Any]
    status: int
    content_type: str
    raw: bytes

    def __str__(self) -> str:
        return f"{self.server}: {self.key}"


@cache
def recorded(server: str) -> dict[str, dict[str, Any]]:
    """The answers of a server by what was asked: the model's output, the body, the Accept."""
    answers = json.loads((HERE / "recordings" / f"{server}.json").read_text())["answers"]
    return {f"{one['output']} {one['asked']} {one['accept'] or '-'}": one for one in answers}


def raw_of(one: dict[str, Any], name: str) -> bytes:
    """The bytes of a body or an answer of a recording."""
    if name in one:
        return str(one[name]).encode()
    return base64.b64decode(one[f"{name}_base64"])


def row_of(server: str, key: str, expected: dict[str, Any]) -> Row:
    one = recorded(server)[key]
    body = {name: one[name] for name in ("body", "body_base64") if name in one}
    question = {"content_type": one["content_type"], "accept": one["accept"], **body, **expected}
    return Row(server, key, question, one["status"], one["answered"], raw_of(one, "answer"))


ROWS = [
    row_of(server, key, expected)
    for server, rows in yaml.safe_load((HERE / "rows.yaml").read_text()).items()
    for key, several in rows.items()
    for expected in several
]


def verdict(smoke: Smoke, raw: bytes, content_type: str) -> str:
    """Why the product finds an answer wrong; empty where it finds it right."""
    _, judge = expectation(smoke)
    try:
        return judge(read_answer(raw, content_type, reader(smoke)))
    except ValueError as error:
        return f"unreadable answer: {error}"


def without_reader(row: Row) -> bool:
    return "parquet" in row.content_type and "expect_sha256" not in row.question and not find_spec("pyarrow")


def test_there_are_so_many_servers_and_rows() -> None:
    assert len({row.server for row in ROWS}) >= 7
    assert len(ROWS) >= 80
    assert {row.server for row in ROWS} == set(SERVERS)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_right_answer_is_right_and_a_changed_one_is_wrong(row: Row) -> None:
    if without_reader(row):
        pytest.skip("Parquet is read with pyarrow, which is not installed")
    smoke = Smoke.model_validate(row.question)
    assert verdict(smoke, row.raw, row.content_type) == ""
    assert oracle.right(row.question, row.raw, row.content_type) is not False
    caught = Counter[str]()
    for what, changed in mutations.mutations(row.raw):
        is_right = oracle.right(row.question, changed, row.content_type)
        why = verdict(smoke, changed, row.content_type)
        if is_right is not None:
            assert (why == "") is is_right, (what, changed, why)
        caught[what] += why != ""
    assert caught["another answer"] >= len(mutations.ERRORS) - 1, caught
    if STRICT & row.question.keys():
        assert caught["cut off"], caught
        assert any(caught[what] for what in ("a digit", "a letter", "a byte")), caught
        assert any(caught[what] for what in ("another element", "a line less", "a digit less", "a byte")), (
            caught
        )


@pytest.mark.parametrize("server", SERVERS)
def test_every_other_answer_of_a_server_is_judged_as_it_is(server: str) -> None:
    """An expectation of one answer is put to all others of that server, its errors with them."""
    others = {(one["answered"], raw_of(one, "answer")) for one in recorded(server).values()}
    for row in (row for row in ROWS if row.server == server and not without_reader(row)):
        smoke = Smoke.model_validate(row.question)
        for content_type, raw in others:
            is_right = oracle.right(row.question, raw, content_type)
            if is_right is not None:
                assert (verdict(smoke, raw, content_type) == "") is is_right, (row, content_type, raw)


class Endpoint:
    """An endpoint that answers as a server did: what is no success, SageMaker calls a ModelError."""

    def __init__(self, one: dict[str, Any]) -> None:
        self._one = one
        self.content_type = one["answered"] or None
        self.body = io.BytesIO(raw_of(one, "answer"))

    def invoke(self, **_: Any) -> Endpoint:
        if self._one["status"] < 300:
            return self
        message = (
            f'Received server error ({self._one["status"]}) from primary with message "{self._one["answer"]}"'
        )
        raise ClientError({"Error": {"Code": "ModelError", "Message": message}}, "InvokeEndpoint")


def question_of(smoke: Smoke) -> Question:
    body = base64.b64decode(smoke.body_base64) if smoke.body_base64 else (smoke.body or "").encode()
    return Question(smoke.content_type, body, smoke.accept, "", *expectation(smoke), read_as=reader(smoke))


@pytest.mark.parametrize("server", SERVERS)
def test_an_endpoint_of_the_server_is_proved_by_its_right_answers_alone(server: str) -> None:
    answers = recorded(server).values()
    refused = [one for one in answers if one["status"] >= 300]
    assert refused
    for row in (row for row in ROWS if row.server == server and not without_reader(row)):
        question = question_of(Smoke.model_validate(row.question))
        one = recorded(server)[row.key]
        assert put_question(Endpoint(one).invoke, question).ok
        assert not put_question(Endpoint(refused[len(row.key) % len(refused)]).invoke, question).ok


@pytest.mark.parametrize("server", SERVERS)
def test_a_config_may_have_every_question(server: str) -> None:
    data = yaml.safe_load((HERE.parents[1] / "configs" / "example.yaml").read_text())
    questions = [row.question for row in ROWS if row.server == server]
    data["consumers"]["staging"]["smoke"] = questions
    assert len(parse_config(yaml.safe_dump(data)).consumers["staging"].smoke) == len(questions)


# The recordings.


@pytest.mark.parametrize("server", SERVERS)
def test_a_recording_is_small_and_says_nothing_of_a_machine(server: str) -> None:
    text = (HERE / "recordings" / f"{server}.json").read_text()
    assert len(text) < LONGEST
    found = re.search(
        r"Traceback|/(tmp|root|home|usr|work|opt|var)/|127\.0\.0\.1|localhost|20\d\d-\d\d-\d\d", text
    )
    assert found is None, text[max(found.start() - 80, 0) : found.end() + 80]
    assert all(re.fullmatch(r"\d+(\.\w+)+", version) for version in json.loads(text)["packages"].values())
