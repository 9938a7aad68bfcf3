"""Samples of a Release: old ones are read as ever and written byte for byte; new ones are held to the rules of a config."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from crossaccount.proof.questions import of_sample
from crossaccount.proof.reading import read_answer
from crossaccount.release.manifest import Sample, first_fault
from crossaccount.strict_json import parse_json

ASK = {"content_type": "text/csv", "body": "1"}
HASH = "ab" * 32


@pytest.mark.parametrize(
    "written",
    [
        '{"accept": "application/json", "body": "1", "content_type": "text/csv", "expect": [0]}',
        '{"accept": "text/csv", "body": "", "content_type": "text/csv", "expect": null}',
        '{"accept": "", "body": " ", "content_type": "", "expect": {"a": [1.5, true]}}',
        '{"accept": "whatever it was", "body": "1", "content_type": "no type at all", "expect": "x"}',
        '{"accept": "application/json", "body": "1", "content_type": "text/csv", "expect_json": "[NaN]"}',
    ],
)
def test_an_old_sample_is_read_and_written_byte_for_byte(written: str) -> None:
    sample = Sample.model_validate(parse_json(written))
    assert json.dumps(sample.model_dump(), sort_keys=True) == written
    question = of_sample(sample)
    given = json.loads(written)
    assert (question.body.decode(), question.content_type, question.accept) == (
        given["body"],
        given["content_type"],
        given["accept"],
    )
    assert (question.read_as, question.container, question.stream) == ("", "", False)
    assert question.judge(sample.expect) == ""
    assert question.judge(["another"])


def test_a_sample_without_accept_wishes_for_json_as_ever() -> None:
    sample = Sample.model_validate({**ASK, "expect": [0]})
    assert sample.model_dump() == {**ASK, "accept": "application/json", "expect": [0]}


@pytest.mark.parametrize(
    ("more", "right", "wrong"),
    [
        ({"expect_within": {"value": [0.5], "tolerance": {"absolute": 0.1}}}, b"[0.55]", b"[0.7]"),
        ({"expect_json_path": {"path": "a", "value": 1}}, b'{"a": 1}', b'{"a": 2}'),
        ({"expect_schema": {"type": "array"}}, b"[]", b"{}"),
        ({"expect_label": ["a", "b"]}, b'["a"]', b'["c"]'),
        ({"expect_label": {"path": "[*].y", "labels": ["a"]}}, b'[{"y": "a"}]', b'[{"y": "b"}]'),
        ({"expect_array": {"shape": [None, 2]}}, b"[[1, 2]]", b"[[1]]"),
        ({"expect_text": {"contains": "Paris"}}, b'"Paris"', b'"Rome"'),
        (
            {"expect_sha256": "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"},
            b"[]",
            b"[0]",
        ),
        ({"expect_length": 2}, b"[]", b"[0]"),
        (
            {"expect_within_json": '{"value": [NaN, 1], "tolerance": {"absolute": 0.1}}'},
            b"[NaN, 1.05]",
            b"[1, 1]",
        ),
        ({"expect": "[0]", "read_as": "text"}, b"[0]", b"[1]"),
    ],
)
def test_a_new_sample_judges_as_a_config_does(more: dict[str, Any], right: bytes, wrong: bytes) -> None:
    sample = Sample.model_validate({**ASK, **more})
    written = json.dumps(sample.model_dump(), allow_nan=False)
    question = of_sample(Sample.model_validate(parse_json(written)))
    assert json.loads(written) == {**ASK, **more, "accept": "application/json"}
    for raw, is_right in ((right, True), (wrong, False)):
        assert (question.judge(read_answer(raw, "application/json", question.read_as)) == "") is is_right


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({**ASK}, "expect is missing"),
        ({"content_type": "a/b", "expect": 1}, "body is missing"),
        ({**ASK, "expect": 1, "body_base64": "AAE="}, "body_base64 stands beside body"),
        ({"content_type": "a/b", "body_base64": "AAE", "expect": 1}, "body_base64 'AAE' is not base64"),
        ({**ASK, "expect": 1, "body_file": "/etc/passwd"}, "body_file leads out of the sample"),
        ({**ASK, "expect": 1, "body_s3_uri": "s3://theirs/secret"}, "body_s3_uri leads out of the sample"),
        ({"content_type": "a/b", "expect": 1, "body_s3_uri": "s3://theirs/secret"}, "body_s3_uri leads out"),
        ({**ASK, "expect": 1, "expect_sha256": HASH}, "expect_sha256 stands beside expect"),
        ({**ASK, "expect_sha256": "x"}, "expect_sha256 'x' is not a SHA-256"),
        (
            {**ASK, "expect_within": {"value": 1, "tolerance": {}}},
            "expect_within.tolerance needs one measure",
        ),
        (
            {**ASK, "expect_within": 1},
            "expect_within 1 is a number. Write a mapping of these keys: value, tolerance",
        ),
        ({**ASK, "expect_schema": {"$ref": "https://evil.example/x"}}, "leads out of it"),
        ({**ASK, "expect_text": {"matches": "(" * 900}}, "is not a regular expression"),
        ({**ASK, "expect": 1, "read_as": "pickle"}, "read_as 'pickle' is not a reader"),
        ({**ASK, "expect": 1, "container": "a b"}, "container 'a b' is not the DNS name"),
        ({**ASK, "expect": 1, "stream": 1}, "stream: Input should be a valid boolean"),
        ({**ASK, "expect": 1, "more": 1}, "more: Extra inputs are not permitted"),
        (
            {**ASK, "content_type": "no type", "expect_length": 1},
            "content_type 'no type' is not a content type",
        ),
        ({**ASK, "expect_within": 1, "expect_within_json": "1"}, "expect_within_json: Extra inputs"),
        ({**ASK, "expect_within_json": "["}, "Expecting value"),
        ({**ASK, "expect_within_json": 1}, "expect_within_json: Extra inputs"),
    ],
)
def test_what_no_config_could_ask_is_no_sample(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate(given)
    assert words in first_fault(caught.value)
