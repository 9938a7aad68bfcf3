"""The keys of a question: what is refused, and what is meant."""

from __future__ import annotations

import base64
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from crossaccount.config.loading import load_config, parse_config
from crossaccount.config.model import Sharing
from crossaccount.config.smoke import Smoke
from crossaccount.errors import ConfigError, Fault

ASKED = {"content_type": "text/csv", "body": "5.1", "expect": [0]}


def document(*questions: dict[str, Any]) -> str:
    role = "arn:aws:iam::222222222222:role/"
    staging = {
        "account": "222222222222",
        "role": f"{role}deployer",
        "execution_role": f"{role}execution",
        "endpoint": {"name": "trees-staging", "instance_type": "ml.m5.large", "container_mode": "direct"},
        "smoke": list(questions),
    }
    producer = {"account": "111111111111", "releases": "s3://producer-models/releases/"}
    return yaml.safe_dump(
        {
            "model_package_group": "trees",
            "region": "us-east-1",
            "producer": producer,
            "consumers": {"staging": staging},
        }
    )


def question(**changes: Any) -> Smoke:
    given = {key: value for key, value in {**ASKED, **changes}.items() if value != "LEFT OUT"}
    return parse_config(document(given)).consumers["staging"].smoke[0]


def fault_of(**changes: Any) -> Fault:
    with pytest.raises(ConfigError) as caught:
        question(**changes)
    (fault,) = caught.value.faults
    return fault


@pytest.mark.parametrize("name", ["encoder", "Encoder-2", "a", "a" * 63, "1", "a--b"])
def test_a_container_is_named_by_its_dns_name(name: str) -> None:
    assert question(container=name).container == name


@pytest.mark.parametrize(
    "name", ["-a", "a-", "a_b", "a.b", "a b", "a" * 64, "\u00e4", "a\n", 7, True, ["a"], "-" * 60]
)
def test_what_names_no_container_is_refused(name: Any) -> None:
    fault = fault_of(container=name)
    assert fault.key == "consumers.staging.smoke[0].container"
    assert "Put it in quotes" in fault.message or "encoder" in fault.message


def test_neither_container_nor_stream_is_the_rule() -> None:
    for given in ({}, {"container": None}, {"container": "", "stream": False}):
        assert (question(**given).container, question(**given).stream) == ("", False)
        assert {"container", "stream"}.isdisjoint(question(**given).model_dump())
    assert question(stream=True, container="a").model_dump()["stream"] is True
    assert "Write true or false" in fault_of(stream="yes").message


# Bodies, content types


@pytest.mark.parametrize(
    "content_type",
    [
        "csv",
        "text",
        "text/libsvm",
        "x",
        "a!#$&+-.^_`|~'%",
        "csv; header=present",
        "text; charset=utf-8",
        "a/b;c",
    ],
)
def test_a_content_type_is_a_word_or_two(content_type: str) -> None:
    assert question(content_type=content_type).content_type == content_type


@pytest.mark.parametrize(
    "content_type",
    ["", " ", "text csv", "text/", "/csv", "a/b/c", "*/*", "*", "text/*", "a,b", "a\nb", "\u00e4", "csv;\u00e4", "a" * 1025, 7, ["a"], "a:b", "(a)", "a@b"],
)  # fmt: skip
def test_what_is_no_content_type_is_refused(content_type: Any) -> None:
    assert fault_of(content_type=content_type).key == "consumers.staging.smoke[0].content_type"


@pytest.mark.parametrize(("written", "kept"), [("AAE=", "AAE="), ("AA\nE=\n", "AAE="), (" AA E= ", "AAE=")])
def test_bytes_are_written_in_base64(written: str, kept: str) -> None:
    assert question(body="LEFT OUT", body_base64=written).body_base64 == kept


@pytest.mark.parametrize("written", ["AAE", "A", "AA-_", "\u00e4", "=", "AAE=AAE=", 7, ["AAE="], ""])
def test_what_is_no_base64_is_refused(written: Any) -> None:
    fault = fault_of(body="LEFT OUT", body_base64=written)
    assert fault.key == "consumers.staging.smoke[0].body_base64"
    assert len(fault.message) < 300


def test_more_bytes_than_an_endpoint_takes_are_refused() -> None:
    for size, right in ((6_291_456, True), (6_291_457, False)):
        given = {**ASKED, "body": None, "body_base64": base64.b64encode(bytes(size)).decode()}
        with nullcontext() if right else pytest.raises(ValidationError, match="has 6291457 bytes"):
            Smoke.model_validate(given)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "configs" / "payloads").mkdir(parents=True)
    (tmp_path / "payloads").mkdir()
    (tmp_path / "configs" / "away").symlink_to("/etc")
    (tmp_path / "configs" / "around").symlink_to(tmp_path / "payloads")
    (tmp_path / "configs" / "..data").mkdir()
    (tmp_path / "configs" / "1.npy").symlink_to(tmp_path / "configs" / "..data" / "1.npy")
    return tmp_path / "configs"


def loaded(folder: Path, path: Any) -> Smoke:
    (folder / "c.yaml").write_text(document({**ASKED, "body": None, "body_file": path}), encoding="utf-8")
    return load_config(folder / "c.yaml").consumers["staging"].smoke[0]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("payloads/1.npy", "configs/payloads/1.npy"),
        ("./1.csv", "configs/1.csv"),
        ("../payloads/1.npy", "payloads/1.npy"),
        ("a b/\u00e4.npy", "configs/a b/\u00e4.npy"),
        ("1.npy", "configs/1.npy"),
        ("payloads//1.npy", "configs/payloads/1.npy"),
    ],
)
def test_a_file_lies_beside_the_config_wherever_the_command_runs(
    folder: Path, path: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert loaded(folder, path).body_file == str(folder.parent / place)
    monkeypatch.chdir(folder)
    again = load_config("c.yaml")
    assert again.consumers["staging"].smoke[0].body_file == str(folder.parent / place)
    assert Sharing.model_validate(again.model_dump()) == again


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../../x", "../../etc/passwd", "away/passwd", "payloads/../../../x", ".aws/credentials", "../.aws/credentials",
     "payloads/.netrc", "around/1.npy", "..", ".", "../", "a\0b", "a\nb", "", " ", 7, ["a"], "..data/1.npy"],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused(folder: Path, path: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, path)
    (fault,) = caught.value.faults
    assert fault.key == "consumers.staging.smoke[0].body_file"
    assert fault.line


@pytest.mark.parametrize(
    "bodies", [("body", "body_base64"), ("body_base64", "body_s3_uri"), ("body_base64", "body_file")]
)
def test_a_question_has_one_body(bodies: tuple[str, str]) -> None:
    values = {"body": "1", "body_base64": "AAE=", "body_file": "1.csv", "body_s3_uri": "s3://bucket/1.csv"}
    fault = fault_of(**{"body": "LEFT OUT", **{key: values[key] for key in bodies}})
    assert fault.key == f"consumers.staging.smoke[0].{bodies[1]}"
    assert f"stands beside {bodies[0]}" in fault.message
    assert "or body_base64, body_file or body_s3_uri" in fault_of(body="LEFT OUT").message


# Expectations

HASH = "ab" * 32
GOOD: list[dict[str, Any]] = [
    {"expect_within": {"value": [1], "tolerance": {"absolute": 1, "share": 0.01}}},
    {"expect_label": {"path": "a[*].b", "labels": ["x"]}},
    {"expect_label": ["x"]},
    {"expect_array": {"shape": []}},
    {"expect_array": {"shape": [1, None], "dtype": "bfloat16", "path": "[*]", "minimum": -1, "maximum": 1.5}},
    {"expect_text": {"contains": "a"}},
    {"expect_text": {"contains": ["a", "b"], "matches": "^a", "path": "[0].text"}},
    {"expect_sha256": HASH},
    {"expect_sha256": HASH, "read_as": "bytes"},
    {"expect_length": 0},
    {"expect_length": {"least": 1}},
    {"expect_length": {"least": 1, "most": 1}},
    {"expect": [0], "read_as": "json"},
    {"expect": [0], "read_as": None},
]


@pytest.mark.parametrize("given", GOOD, ids=str)
def test_an_expectation_is_kept_and_written_again(given: dict[str, Any]) -> None:
    one = question(**{"expect": "LEFT OUT", **given})
    assert question(**{"expect": "LEFT OUT", **json.loads(one.model_dump_json())}) == one


S = "consumers.staging.smoke[0]."
BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"expect_within": {"value": 1, "tolerance": {"share": 0.1}}}, "expect_within.tolerance", "one measure"),
    ({"expect_within": {"value": 1, "tolerance": {"absolute": 1, "relative": 1, "share": 0.1}}}, "expect_within.tolerance", "one measure"),
    ({"expect_within": {"value": 1, "tolerance": {"absolute": 1, "share": 0}}}, "expect_within.tolerance.share", "above 0 and below 1"),
    ({"expect_within": {"value": 1, "tolerance": {"absolute": 1, "share": 1}}}, "expect_within.tolerance.share", "above 0 and below 1"),
    ({"expect_within": {"value": 1, "tolerance": {"absolute": 1, "share": "1%"}}}, "expect_within.tolerance.share", "without quotes"),
    ({"expect_json_path": {"path": "a[*]", "value": 1}}, "expect_json_path.path", "[*] leads to many places"),
    ({"expect_label": {"path": "a[*", "labels": ["x"]}}, "expect_label.path", "is not a path"),
    ({"expect_label": {"path": "a", "labels": []}}, "expect_label.labels", "has 0 labels"),
    ({"expect_label": {"path": "a", "labels": [["x"]]}}, "expect_label.labels", "a label is text"),
    ({"expect_label": {"path": "a", "labels": ["x"], "more": 1}}, "expect_label.more", "is not a key"),
    ({"expect_label": {"path": "a"}}, "expect_label.labels", "is missing"),
    ({"expect_label": "x"}, "expect_label", "Write a list"),
    ({"expect_array": {}}, "expect_array", "expects nothing. Add one of shape, dtype"),
    ({"expect_array": {"path": "a"}}, "expect_array", "expects nothing"),
    ({"expect_array": {"shape": 3}}, "expect_array.shape", "Write a list"),
    ({"expect_array": {"shape": [-1]}}, "expect_array.shape[0]", "out of bounds"),
    ({"expect_array": {"shape": ["n"]}}, "expect_array.shape[0]", "null for any"),
    ({"expect_array": {"shape": [1] * 33}}, "expect_array.shape", "32 lengths at most"),
    ({"expect_array": {"dtype": "float"}}, "expect_array.dtype", "Did you mean float"),
    ({"expect_array": {"dtype": "FP32"}}, "expect_array.dtype", "is not a type of items"),
    ({"expect_array": {"minimum": "0"}}, "expect_array.minimum", "Write a number"),
    ({"expect_array": {"minimum": float("nan")}}, "expect_array.minimum", "Write a number"),
    ({"expect_array": {"minimum": 2, "maximum": 1}}, "expect_array.minimum", "2 is more than the maximum of 1"),
    ({"expect_array": [1]}, "expect_array", "Write a mapping"),
    ({"expect_text": {}}, "expect_text", "expects nothing. Add one of contains, matches"),
    ({"expect_text": {"contains": []}}, "expect_text.contains", "1 to 100 texts"),
    ({"expect_text": {"contains": [1]}}, "expect_text.contains", "Put it in quotes"),
    ({"expect_text": {"matches": "(a"}}, "expect_text.matches", "is not a regular expression"),
    ({"expect_text": {"matches": "(" * 900}}, "expect_text.matches", "is not a regular expression"),
    ({"expect_text": {"matches": "a" * 1001}}, "expect_text.matches", "more than 1000"),
    ({"expect_text": "a"}, "expect_text", "Write a mapping"),
    ({"expect_sha256": "ab"}, "expect_sha256", "is not a SHA-256"),
    ({"expect_sha256": "g" * 64}, "expect_sha256", "64 hexadecimal digits"),
    ({"expect_sha256": 1}, "expect_sha256", "in quotes"),
    ({"expect_sha256": HASH, "read_as": "json"}, "read_as", "stands beside expect_sha256"),
    ({"expect_length": 1, "read_as": "npy"}, "read_as", "stands beside expect_length"),
    ({"expect_length": -1}, "expect_length", "from 0 to"),
    ({"expect_length": True}, "expect_length", "whole number"),
    ({"expect_length": "1"}, "expect_length", "whole number"),
    ({"expect_length": {"least": 2, "most": 1}}, "expect_length.least", "more than the most of 1"),
    ({"expect": [0], "read_as": "bytes"}, "read_as", "nothing that expect can judge"),
    ({"expect_text": {"contains": "a"}, "read_as": "bytes"}, "read_as", "nothing that expect_text can judge"),
    ({"expect": [0], "read_as": "xml"}, "read_as", "is not a reader of answers"),
    ({"expect": [0], "read_as": "jsonline"}, "read_as", "Did you mean jsonlines?"),
    ({"expect": [0], "expect_sha256": HASH}, "expect_sha256", "beside expect"),
    ({}, "expect", "expect_array, expect_text, expect_sha256, expect_length"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "key", "words"), BAD, ids=str)
def test_what_expects_nothing_sound_is_refused(given: dict[str, Any], key: str, words: str) -> None:
    fault = fault_of(**{"expect": "LEFT OUT", **given})
    assert (fault.key, words in fault.message) == (S + key, True), fault
