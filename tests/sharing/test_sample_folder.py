"""A folder of questions as an archive of samples: what is refused is what a share would leave out, and the bytes are always the same."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from crossaccount.cli import main as cli
from crossaccount.config.expectations import Tolerance
from crossaccount.errors import InputError
from crossaccount.proof.questions import of_sample
from crossaccount.proof.reading import Bytes
from crossaccount.proof.recording import expected
from crossaccount.sharing.sample_folder import pack, read_folder
from crossaccount.sharing.samples import parse_samples

CONFIG = str(Path(__file__).parents[2] / "configs" / "sandbox.yaml")
ONE = {"content_type": "text/csv", "body": "1", "expect": [0]}
ASK = {"content_type": "text/csv", "body": "1"}
HASH = "ab" * 32
NPY = b"\x93NUMPY\x01\xff"


def folder(tmp_path: Path, files: Mapping[str, Any]) -> Path:
    made = tmp_path / "questions"
    made.mkdir(exist_ok=True)
    for name, content in files.items():
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return made


def samples(tmp_path: Path, files: Mapping[str, Any]) -> list[dict[str, Any]]:
    made = folder(tmp_path, files)
    taken, left_out = parse_samples(pack(made, read_folder(made)))
    assert left_out == []
    return [sample.model_dump() for sample in taken]


EVERY: list[dict[str, Any]] = [
    {**ASK, "expect": None},
    {**ASK, "expect": [float("nan"), 1.5, {"a": "\u00e4"}]},
    {**ASK, "expect_within": {"value": [0.5, float("nan")], "tolerance": {"absolute": 0.1, "share": 0.5}}},
    {**ASK, "expect_json_path": {"path": "a[0]", "value": 1, "tolerance": {"relative": 0.1}}},
    {**ASK, "expect_schema": {"type": "array"}},
    {**ASK, "expect_label": ["a", 1, True]},
    {**ASK, "expect_label": {"path": "[*].y", "labels": ["a"]}},
    {**ASK, "expect_array": {"shape": [1, None], "dtype": "float32"}},
    {**ASK, "expect_text": {"contains": ["a"], "matches": "b+"}},
    {**ASK, "expect_sha256": HASH},
    {**ASK, "expect_length": {"least": 1}},
    {**ONE, "accept": "application/x-npy", "read_as": "npy", "container": "encoder", "stream": True},
    {"content_type": "csv", "body_base64": base64.b64encode(NPY).decode(), "expect": 1},
]


def test_a_sample_carries_all_that_a_question_may(tmp_path: Path) -> None:
    given = [{"accept": "application/json", **each} for each in EVERY]
    assert json.dumps(read_back(samples(tmp_path, {"a.json": EVERY})), sort_keys=True) == json.dumps(
        given, sort_keys=True
    )


@pytest.mark.parametrize(
    ("accept", "written"),
    [
        ("text/csv", "text/csv"),
        (["application/x-npy", "application/json"], "application/x-npy, application/json"),
        (["text/csv"], "text/csv"),
        ("text/csv, */*", "text/csv, */*"),
        ("*/*", "*/*"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_sample_asks_for_the_types_that_a_question_may_ask_for(
    tmp_path: Path, accept: Any, written: str
) -> None:
    for each in (ONE, {**ONE, "read_as": "json"}):
        (sample,) = samples(tmp_path, {"a.json": {**each, "accept": accept}})
        assert sample["accept"] == written


def read_back(dumped: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Samples with what JSON cannot carry as it is, which their bytes have as text."""
    json.dumps(dumped, allow_nan=False)
    return [
        {
            key.removesuffix("_json"): json.loads(value) if key.endswith("_json") else value
            for key, value in each.items()
        }
        for each in dumped
    ]


@pytest.mark.parametrize(
    ("files", "bodies"),
    [
        ({"a.yaml": "content_type: text/csv\nbody: '1'\nexpect: [0]\n"}, ["1"]),
        ({"a.yml": "- {content_type: text/csv, body: '1', expect: .nan}\n- {content_type: text/csv, body: '2', expect: 0}\n"}, ["1", "2"]),
        ({"b.json": ONE, "a.json": {**ONE, "body": "0"}}, ["0", "1"]),
        ({"z/a.json": ONE, "a/z.json": [{**ONE, "body": "0"}]}, ["0", "1"]),
        ({"a.json": {**ONE, "body": None, "body_file": "b.csv"}, "b.csv": "5.1\n"}, ["5.1\n"]),
        ({"s/a.json": {**ONE, "body": None, "body_file": "../b.csv"}, "b.csv": "5.1"}, ["5.1"]),
        ({"a.json": {**ONE, "body": None, "body_file": "request.json"}, "request.json": '{"inputs": 1}'}, ['{"inputs": 1}']),
        ({"a.json": {**ONE, "body": None, "body_file": "request.json"}, "request.json": "{no JSON"}, ["{no JSON"]),
        ({"a.json": ONE, "README.md": "hello", "x.npy": NPY, ".hidden.json": "{", ".git/a.json": "{"}, ["1"]),
        ({"a.json": ONE, "a.yaml": "content_type: text/csv\nbody: '2'\nexpect: 0\n"}, ["1", "2"]),
    ],
)  # fmt: skip
def test_the_questions_of_a_folder(tmp_path: Path, files: Mapping[str, Any], bodies: list[str]) -> None:
    assert [each["body"] for each in samples(tmp_path, files)] == bodies


def test_bytes_of_a_file_go_with_the_question(tmp_path: Path) -> None:
    files = {"a.json": {**ONE, "body": None, "body_file": "x.npy"}, "x.npy": NPY}
    made = folder(tmp_path, files)
    (sample,), _ = parse_samples(pack(made, read_folder(made)))
    assert of_sample(sample).body == NPY
    assert "body_file" not in sample.model_dump()


BAD: list[tuple[Mapping[str, Any], str]] = [
    ({}, "it has no *.json, *.yaml or *.yml with questions"),
    ({"README.md": "hello"}, "it has no *.json"),
    ({"a.json": "{"}, "a.json cannot be read: Expecting"),
    ({"a.json": '{"a": 1, "a": 2}'}, "a.json cannot be read: the key 'a' is written twice"),
    ({"a.json": b"\xff"}, "a.json cannot be read"),
    ({"a.yaml": "a: [1\n"}, "a.yaml cannot be read"),
    ({"a.yaml": "content_type: a/b\ncontent_type: a/b\nbody: x\nexpect: 1\n"}, "a.yaml cannot be read"),
    ({"a.yaml": "a: !!python/object:os.system x\n"}, "a.yaml cannot be read"),
    ({"a.json": 1}, "a.json[0] is no question: it is 1"),
    ({"a.json": [ONE, "x"]}, "a.json[1] is no question: it is 'x'"),
    ({"a.json": {"inputs": 1}}, "a.json[0] is no question: content_type is missing"),
    ({"a.json": {**ONE, "more": 1}}, "a.json[0] is no question: more is not a key"),
    ({"a.json": {**ONE, "boby": 1}}, "Did you mean body?"),
    ({"a.json": ASK}, "a.json[0] is no question: expect is missing"),
    ({"a.json": {"content_type": "a/b", "expect": 1}}, "body is missing"),
    ({"a.json": {**ONE, "body_base64": "AAE="}}, "body_base64 stands beside body"),
    ({"a.json": {**ONE, "expect_sha256": HASH}}, "expect_sha256 stands beside expect"),
    ({"a.json": {**ASK, "expect_within": {"value": 1, "tolerance": {"absolute": 1, "relative": 1}}}}, "expect_within.tolerance needs one measure"),
    ({"a.json": {**ASK, "expect_text": {"matches": "("}}}, "expect_text.matches '(' is not a regular expression"),
    ({"a.json": {**ONE, "content_type": "text csv"}}, "content_type 'text csv' is not a content type"),
    ({"a.json": {**ONE, "body": None, "body_s3_uri": "s3://bucket/a.csv"}}, "body_s3_uri leads out of the archive"),
    ({"a.json": {**ONE, "body": None, "body_file": "b.csv"}}, "b.csv cannot be read: No such file"),
    ({"a.json": {**ONE, "body": None, "body_file": "/etc/passwd"}}, "is no file beside the config"),
    ({"a.json": {**ONE, "body": None, "body_file": "../../x"}}, "is no file beside the config"),
    ({"a.json": {**ONE, "body": None, "body_file": "b"}, "b": b"\xff" * 1_000_001}, "larger than 1000000 bytes"),
    ({"a.json": json.dumps({**ONE, "body": "1" * 1_000_000})}, "a.json cannot be read: it is larger than 1000000 bytes"),
    ({"a.json": [ONE] * 101}, "1 of its 101 samples"),
    ({f"{at}.json": {**ONE, "body": "1" * 300_000} for at in range(4)}, "2 of its 4 samples"),
    ({"a.json": {**ONE, "body": None, "body_file": "b"}, "b": os.urandom(999_000)}, "body_base64: String should have at most 1000000"),
    ({"a.json": "{", "b.json": {**ONE, "more": 1}}, "b.json[0] is no question"),
    ({"\x1b[2J.json": "{"}, "cannot be read"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "words"), BAD, ids=[row[1][:60] for row in BAD])
def test_what_a_share_would_leave_out_is_refused(
    tmp_path: Path, files: Mapping[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made, out = folder(tmp_path, files), tmp_path / "out.tar.gz"
    with pytest.raises(SystemExit) as ended:
        cli.main(["samples", CONFIG, "--from", str(made), "--out", str(out), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert ended.value.code == told["exit_code"] == 2
    assert words in told["error"]["message"]
    assert "nothing was written" in told["error"]["message"]
    assert told["error"]["message"].replace("\n", "").isprintable()
    assert not out.exists()


def test_a_pipe_is_no_question(tmp_path: Path) -> None:
    made = folder(tmp_path, {"a.json": ONE})
    os.mkfifo(made / "b.json")
    with pytest.raises(InputError, match=r"b\.json cannot be read: .*pipe"):
        read_folder(made)


def test_the_same_folder_is_the_same_bytes(tmp_path: Path) -> None:
    files = {
        "b.json": ONE,
        "a.yaml": "content_type: a/b\nbody: '\u00e4'\nexpect: {b: 1, a: 2}\n",
        "s/c.json": ONE,
    }
    archives = []
    for number, names in enumerate((list(files), list(reversed(files)))):
        (tmp_path / str(number)).mkdir()
        made = folder(tmp_path / str(number), {})
        for name in names:
            folder(tmp_path / str(number), {name: files[name]})
            os.utime(made / name, (number, number))
        archives.append(pack(made, read_folder(made)))
    assert archives[0] == archives[1]
    assert archives[0][4:8] == bytes(4), "gzip's own time of writing"
    with tarfile.open(fileobj=io.BytesIO(archives[0])) as tar:
        assert tar.getnames() == ["a.yaml.json", "b.json", "s/c.json"]
        assert {(entry.mtime, entry.uid, entry.uname) for entry in tar} == {(0, 0, "")}


# The command


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    with pytest.raises(SystemExit) as ended:
        cli.main(["samples", CONFIG, *words])
    said = capsys.readouterr()
    return int(ended.value.code or 0), (
        json.loads(said.out) if "--json" in words and said.out else said.out + said.err
    )


def test_the_command_says_what_it_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")  # nothing there is asked
    monkeypatch.chdir(tmp_path)
    made = folder(tmp_path, {"a.json": ONE, "b.json": [ONE, ONE]})
    code, told = run(capsys, "--from", str(made), "--json")
    assert code == 0
    raw = Path("samples.tar.gz").read_bytes()
    assert told == {
        "ok": True,
        "archive": "samples.tar.gz",
        "sha256": hashlib.sha256(raw).hexdigest(),
        "files": ["a.json", "b.json"],
        "samples": 3,
        "recorded": 0,
        "bytes": len(raw),
    }
    code, text = run(capsys, "--from", str(made), "--out", "other.tar.gz")
    assert code == 0
    assert text.startswith("other.tar.gz: 3 samples of 2 files, 0 of them recorded, ")
    assert "SamplePayloadUrl" in text
    assert Path("other.tar.gz").read_bytes() == raw


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--from", "nowhere"), "there is no such folder"),
        (
            ("--from", "questions", "--out", "no/such/folder.tar.gz"),
            "--out no/such/folder.tar.gz: it cannot be written",
        ),
        (("--from", "questions", "--record", "nobody"), "'nobody' is not a consumer"),
        (("--from", "questions", "--endpoint", "e"), "--endpoint is for answers that are recorded"),
        (("--from", "questions", "--absolute", "0.1"), "--absolute is for answers that are recorded"),
        (
            ("--from", "questions", "--record", "staging", "--absolute", "1", "--relative", "1"),
            "name one of --absolute and --relative",
        ),
        (
            ("--from", "questions", "--record", "staging", "--share", "0.1"),
            "name one of --absolute and --relative",
        ),
    ],
)
def test_what_cannot_be_done_is_bad_input(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    told: str,
) -> None:
    folder(tmp_path, {"a.json": ONE})
    monkeypatch.chdir(tmp_path)
    code, said = run(capsys, *words, "--json")
    assert (code, said["exit_code"], said["ok"]) == (2, 2, False)
    assert told in said["error"]["message"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["questions"]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--from",),
        ("--from", "q", "--absolute", "0"),
        ("--from", "q", "--relative", "x"),
        ("--from", "q", "--share", "1"),
    ],
)
def test_what_is_no_option_is_bad_input(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    code, said = run(capsys, *words)
    assert code == 2
    assert "usage: crossaccount samples" in said


# Answers as expectations


@pytest.mark.parametrize(
    ("got", "near", "keys"),
    [
        ([0, 1], {}, {"expect": [0, 1]}),
        ([0, 1], {"absolute": 0.1}, {"expect": [0, 1]}),
        ([0.5, 1], {}, {"expect": [0.5, 1]}),
        ([0.5], {"absolute": 0.1}, {"expect_within": {"value": [0.5], "tolerance": {"absolute": 0.1}}}),
        ({"p": [{"s": 0.5}]}, {"relative": 0.1, "share": 0.5}, {"expect_within": {"value": {"p": [{"s": 0.5}]}, "tolerance": {"relative": 0.1, "share": 0.5}}}),
        ("a text", {"absolute": 0.1}, {"expect": "a text"}),
        (None, {}, {"expect": None}),
        (Bytes(b"", "image/png"), {"absolute": 0.1}, {"expect_sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}),
    ],
)  # fmt: skip
def test_an_answer_is_expected_as_what_it_is(got: Any, near: dict[str, float], keys: dict[str, Any]) -> None:
    assert expected(got, Tolerance.model_validate(near) if near else None) == keys
