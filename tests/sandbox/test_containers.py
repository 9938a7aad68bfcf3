from __future__ import annotations

import base64
import gzip
import http.client
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from crossaccount_sandbox.sagemaker import containers, model_server
from crossaccount_sandbox.sagemaker.containers import Answer, Container, Containers, NoAnswer
from crossaccount_sandbox.training import CONTENT_TYPES, tar_gz, train

VERSIONS = (1, 2, 3)
FLOWERS = b"5.1,3.5,1.4,0.2\n4.9,3.0,1.4,0.2"
READY_SECONDS = 60.0
GONE_SECONDS = 5.0
ROOT = Path(containers.__file__).parents[2]


class Calls:
    """Pickles as a call of a function, which runs when the pickle is loaded."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


def tree() -> DecisionTreeClassifier:
    return joblib.load(io.BytesIO(member(train(1).archive, "model.joblib")))


def packed(model: object) -> bytes:
    pickled = io.BytesIO()
    joblib.dump(model, pickled)
    return tar_gz({"model.joblib": pickled.getvalue()})


def member(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        content = tar.extractfile(name)
        assert content is not None
        return content.read()


def recorded(version: int) -> list[dict[str, Any]]:
    samples: list[dict[str, Any]] = json.loads(member(train(version).samples, "samples.json"))
    return samples


def asked(container: Container, sample: dict[str, Any]) -> Answer:
    return container.invoke(sample["body"].encode(), sample["content_type"], sample["accept"])


def running(wanted: Callable[[int, int], bool]) -> set[int]:
    """The processes, by (pid, process group), that run; the dead that nobody has waited for do not count."""
    found = set()
    for line in listing():
        pid, group, state = line.split()[:3]
        if not state.startswith("Z") and wanted(int(pid), int(group)):
            found.add(int(pid))
    return found


def listing() -> list[str]:
    if not Path("/proc/self/stat").exists():
        command = ["ps", "-A", "-o", "pid=,pgid=,stat="]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    lines = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has ended meanwhile
            continue
        lines.append(f"{stat.parent.name} {group} {state}")
    return lines


def gone_within(seconds: float, wanted: Callable[[int, int], bool]) -> bool:
    return until(lambda: not running(wanted), seconds)


def until(happened: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture(scope="module")
def served() -> Iterator[dict[int, Container]]:
    containers.warm()
    registry = Containers()
    started = {
        version: registry.start(partial(Container.start, train(version).archive)) for version in VERSIONS
    }
    assert all(container.wait(READY_SECONDS) for container in started.values())
    yield started
    registry.stop_all()


@pytest.fixture
def started() -> Iterator[Callable[[bytes], Container]]:
    registry = Containers()
    yield lambda archive: registry.start(partial(Container.start, archive))
    registry.stop_all()


# Training


def test_training_a_version_again_gives_the_same_bytes_in_another_process() -> None:
    program = (
        "from hashlib import sha256; from crossaccount_sandbox.training import train; m = train(2); "
        "print(sha256(m.archive + m.samples).hexdigest())"
    )
    there = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True).stdout
    here = train(2)
    assert there.decode().strip() == sha256(here.archive + here.samples).hexdigest()
    assert train(2) == here
    assert here.archive[4:8] == here.samples[4:8] == bytes(4)  # gzip's time of making


def test_versions_differ_in_bytes_and_metadata() -> None:
    assert len({train(version).archive for version in VERSIONS}) == 3
    stated = [json.loads(member(train(version).archive, "metadata.json")) for version in VERSIONS]
    assert [metadata["version"] for metadata in stated] == [1, 2, 3]


@pytest.mark.parametrize("pair", [(1, 2), (2, 3), (1, 3)])
def test_any_two_versions_answer_some_recorded_sample_differently(pair: tuple[int, int]) -> None:
    first, second = (recorded(version) for version in pair)
    assert [sample["body"] for sample in first] == [sample["body"] for sample in second]
    assert [sample["expect"] for sample in first] != [sample["expect"] for sample in second]


def test_the_samples_use_each_content_type() -> None:
    assert {sample["content_type"] for sample in recorded(1)} == set(CONTENT_TYPES)
    assert train(1).content_types == CONTENT_TYPES


@pytest.mark.parametrize("version", [0, -1])
def test_a_version_below_one_is_refused(version: int) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        train(version)


# Answers


@pytest.mark.parametrize("version", VERSIONS)
def test_predictions_equal_the_recorded_samples(served: dict[int, Container], version: int) -> None:
    for sample in recorded(version):
        answer = asked(served[version], sample)
        assert (answer.status, answer.content_type) == (200, "application/json")
        assert json.loads(answer.body) == sample["expect"]


def test_a_version_does_not_give_the_answers_of_another(served: dict[int, Container]) -> None:
    answers = {
        version: [json.loads(asked(served[version], sample).body) for sample in recorded(1)]
        for version in VERSIONS
    }
    assert answers[1] != answers[2] != answers[3] != answers[1]


ROWS = "5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5"
JSON_ROWS = "[[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]]"
CSV, JSON, NPY = "text/csv", "application/json", "application/x-npy"
CSV_SENT = "text/csv; charset=utf-8"


def npy(values: Any) -> bytes:
    content = io.BytesIO()
    np.save(content, values)
    return content.getvalue()


GOOD = [
    ("CSV", CSV, "", ROWS, JSON, b"[0, 2]"),
    ("a last line end", CSV, "", f"{ROWS}\n", JSON, b"[0, 2]"),
    ("CRLF and blanks", CSV, "", "5.1,3.5,1.4,0.2\r\n 6.3, 3.3,6.0 ,2.5", JSON, b"[0, 2]"),
    ("quoted cells", CSV, "", '"5.1","3.5","1.4","0.2"\n6.3,3.3,6.0,2.5', JSON, b"[0, 2]"),
    ("rows of JSON", JSON, "", JSON_ROWS, JSON, b"[0, 2]"),
    ("one row of JSON that is a table", JSON, "", "[[5.1, 3.5, 1.4, 0.2]]", JSON, b"[0]"),
    ("whole numbers", JSON, "", "[[5, 3, 1, 0]]", JSON, b"[0]"),
    ("numbers as texts", JSON, "", '[["5.1", "3.5", "1.4", "0.2"]]', JSON, b"[0]"),
    ("truth values", JSON, "", "[[5.1, 3.5, true, false]]", JSON, b"[0]"),
    ("no content type is JSON", "", "", JSON_ROWS, JSON, b"[0, 2]"),
    ("NPY", NPY, "", npy([[5.1, 3.5, 1.4, 0.2]]), JSON, b"[0]"),
    ("CSV is wished", CSV, CSV, ROWS, CSV_SENT, b"0\n2\n"),
    ("JSON in, CSV out", JSON, CSV, JSON_ROWS, CSV_SENT, b"0\n2\n"),
    ("NPY is wished", CSV, NPY, ROWS, NPY, npy(np.array([0, 2]))),
    ("anything is wished", CSV, "*/*", ROWS, JSON, b"[0, 2]"),
]


@pytest.mark.parametrize(
    ("content_type", "accept", "body", "answered", "text"), [c[1:] for c in GOOD], ids=[c[0] for c in GOOD]
)
def test_a_well_formed_request_is_answered(
    served: dict[int, Container],
    content_type: str,
    accept: str,
    body: str | bytes,
    answered: str,
    text: bytes,
) -> None:
    content = body.encode() if isinstance(body, str) else body
    assert served[2].invoke(content, content_type, accept) == Answer(200, answered, text)


# Each is a 500 of AWS's scikit-learn container too, which was run for it.
FAILING = [
    ("one row of CSV", CSV, "", "5.1,3.5,1.4,0.2"),
    ("one row of CSV and a line end", CSV, "", "5.1,3.5,1.4,0.2\n"),
    ("one column of CSV", CSV, "", "5.1\n6.3"),
    ("one cell of CSV", CSV, "", "5.1"),
    ("a bare row of JSON", JSON, "", "[5.1, 3.5, 1.4, 0.2]"),
    ("instances", JSON, "", f'{{"instances": {JSON_ROWS}}}'),
    ("a charset", "text/csv; charset=utf-8", "", ROWS),
    ("a charset of JSON", "application/json; charset=utf-8", "", JSON_ROWS),
    ("capitals", "Text/CSV", "", ROWS),
    ("XML", "application/xml", "", ROWS),
    ("octets", "application/octet-stream", "", ROWS),
    ("two wishes", CSV, "application/json, text/csv", ROWS),
    ("a weighed wish", CSV, "application/json;q=0.9", ROWS),
    ("any text is wished", CSV, "text/*", ROWS),
    ("an image is wished", CSV, "image/png", ROWS),
    ("a charset is wished", CSV, "text/csv; charset=utf-8", ROWS),
    ("a byte order mark", CSV, "", f"\ufeff{ROWS}"),
    ("a blank line", CSV, "", f"5.1,3.5,1.4,0.2\n\n{ROWS}"),
    ("empty CSV", CSV, "", ""),
    ("blank CSV", CSV, "", "\n\n"),
    ("a word", CSV, "", f"{ROWS}\n5.1,3.5,1.4,tiny"),
    ("a heading", CSV, "", f"a,b,c,d\n{ROWS}"),
    ("an empty cell", CSV, "", f"{ROWS}\n5.1,,1.4,0.2"),
    ("three features", CSV, "", "5.1,3.5,1.4\n5.1,3.5,1.4"),
    ("a row that is short", CSV, "", f"{ROWS}\n5.1"),
    ("infinity in CSV", CSV, "", f"{ROWS}\n5.1,3.5,1.4,-inf"),
    ("beyond 32 bits", CSV, "", f"{ROWS}\n5.1,3.5,1.4,1e300"),
    ("not UTF-8", CSV, "", b"\xff\xfe5.1,3.5,1.4,0.2\n1,1,1,1"),
    ("an open quote", CSV, "", f'{ROWS}\n"5.1,3.5,1.4,0.2'),
    ("semicolons", CSV, "", ROWS.replace(",", ";")),
    ("empty JSON", JSON, "", ""),
    ("not JSON", JSON, "", ROWS),
    ("an empty list", JSON, "", "[]"),
    ("another key", JSON, "", f'{{"rows": {JSON_ROWS}}}'),
    ("an empty row", JSON, "", "[[]]"),
    ("rows and numbers mixed", JSON, "", "[[5.1, 3.5, 1.4, 0.2], 5.1]"),
    ("a text that is no number", JSON, "", '[["a", "b", "c", "d"]]'),
    ("infinity in JSON", JSON, "", "[[5.1, 3.5, 1.4, 1e999]]"),
    ("a row too deep", JSON, "", f"[{JSON_ROWS}]"),
    ("nested without end", JSON, "", "[" * 100_000),
    ("a number alone", JSON, "", "5.1"),
    ("no NPY", NPY, "", ROWS),
    ("a pickle in NPY", NPY, "", npy(np.array([[{}]], dtype=object))),
]


@pytest.mark.parametrize(
    ("content_type", "accept", "body"), [c[1:] for c in FAILING], ids=[c[0] for c in FAILING]
)
def test_a_request_that_aws_s_container_fails_on_is_a_500_and_the_process_lives_on(
    served: dict[int, Container], content_type: str, accept: str, body: str | bytes
) -> None:
    content = body.encode() if isinstance(body, str) else body
    answer = served[1].invoke(content, content_type, accept)
    assert (answer.status, answer.content_type) == (500, "text/html")
    assert b"<title>500 Internal Server Error</title>" in answer.body
    assert served[1].invoke(FLOWERS, CSV).body == b"[0, 0]"


def test_a_body_past_the_limit_is_413(served: dict[int, Container]) -> None:
    answer = served[1].invoke(b"1" * (model_server.BODY_LIMIT + 1), CSV)
    assert (answer.status, 10 < len(answer.body) < 400) == (413, True)


@pytest.mark.parametrize(
    ("predictions", "accept", "body"),
    [
        (np.array([np.nan]), JSON, b"[NaN]"),
        (np.array([np.inf, -np.inf]), JSON, b"[Infinity, -Infinity]"),
        (np.array([[0.5, np.nan]]), JSON, b"[[0.5, NaN]]"),
        ([0.5, 1], JSON, b"[0.5, 1]"),
        ({"scores": np.array([1])}, JSON, b'{"scores": [1]}'),
        (np.array([np.nan]), CSV, b"nan\n"),
        (np.array([0.5, 0.1]), CSV, b"0.5\n0.1\n"),
        (np.array([0.1], dtype=np.float32), CSV, b"0.1\n"),
        (np.array([[1, 2], [3, 4]]), CSV, b"1,2\n3,4\n"),
        (np.array(["001", "a,b"]), CSV, b'001\n"a,b"\n'),
        (np.array([True]), CSV, b"True\n"),
        ([10234567], CSV, b"10234567\n"),
    ],
)
def test_predictions_are_written_as_aws_s_container_writes_them(
    predictions: Any, accept: str, body: bytes
) -> None:
    model = SimpleNamespace(predict=lambda rows: predictions)
    assert model_server.answer(model, CSV, accept, ROWS.encode())[1] == body


def test_what_fails_is_told_to_the_log_alone(tmp_path: Path) -> None:
    output = tmp_path / "output.log"
    with Container.start(train(1).archive, output=output) as container:
        assert container.wait(READY_SECONDS)
        container.invoke(b"5.1,3.5,1.4,0.2", CSV)
        container.invoke(FLOWERS, CSV)
    text = output.read_text()
    assert "Expected 2D array, got 1D array instead" in text
    assert [line.split('"', 1)[1] for line in text.splitlines() if "POST" in line] == [
        'POST /invocations HTTP/1.1" 500 290 "-" "AHC/2.0"',
        'POST /invocations HTTP/1.1" 200 6 "-" "AHC/2.0"',
    ]


def test_a_body_of_just_the_limit_is_taken(served: dict[int, Container]) -> None:
    body = JSON_ROWS.encode() + b" " * (model_server.BODY_LIMIT - len(JSON_ROWS))
    assert served[1].invoke(body, JSON).body == b"[0, 1]"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/ping", {}, 200),
        ("POST", "/ping", {}, 405),
        ("GET", "/invocations", {}, 405),
        ("GET", "/", {}, 404),
        ("POST", "/execution-parameters", {}, 404),
        ("DELETE", "/ping", {}, 501),
        ("POST", "/invocations", {"Transfer-Encoding": "chunked"}, 411),
        ("POST", "/invocations", {"Content-Length": "-1"}, 400),
        ("POST", "/invocations", {"Content-Length": "many"}, 400),
    ],
)
def test_a_request_outside_the_contract_gets_its_status(
    served: dict[int, Container], method: str, path: str, headers: dict[str, str], status: int
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served[1].port, timeout=5)
    connection.putrequest(method, path)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == status
    connection.close()


def test_one_connection_carries_several_requests_errors_included(served: dict[int, Container]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served[1].port, timeout=5)
    statuses = []
    for content_type in ("text/csv", "image/png", "text/csv"):
        connection.request("POST", "/invocations", FLOWERS, {"Content-Type": content_type})
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
    connection.close()
    assert statuses == [200, 500, 200]


def test_the_server_cannot_be_reached_from_other_machines(served: dict[int, Container]) -> None:
    with model_server.ModelServer() as server:
        assert server.server_address[0] == "127.0.0.1"


# Life and death


def test_ping_is_false_while_the_model_loads_and_true_afterwards(
    started: Callable[[bytes], Container],
) -> None:
    model = tree()
    model.slow = Calls(time.sleep, 1.0)
    container = started(packed(model))
    assert container.alive
    assert not container.ping()
    assert container.invoke(FLOWERS, "text/csv").status == 503
    assert container.wait(READY_SECONDS)
    assert container.ping()
    assert container.invoke(FLOWERS, CSV).body == b"[0, 0]"


def test_waiting_ends_when_the_time_is_up(started: Callable[[bytes], Container]) -> None:
    container = started(packed(Calls(time.sleep, 30)))
    before = time.monotonic()
    assert not container.wait(0.2)
    assert time.monotonic() - before < 2


def tar_of(*members: tarfile.TarInfo) -> bytes:
    unpacked = io.BytesIO()
    with tarfile.open(fileobj=unpacked, mode="w") as tar:
        for each in members:
            tar.addfile(each)
    return gzip.compress(unpacked.getvalue())


def link(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


BROKEN: list[tuple[str, Callable[[], bytes], str]] = [
    ("nothing", lambda: b"", "not a readable"),
    ("not gzip", lambda: b"PK\x03\x04 something", "not a readable"),
    ("gzip of no tar", lambda: gzip.compress(b"x" * 2_000), "not a readable"),
    ("cut short", lambda: train(1).archive[:600], "not a readable"),
    ("no model", lambda: tar_gz({"other.joblib": b""}), "no member model.joblib"),
    ("the model in a folder", lambda: tar_gz({"code/model.joblib": b""}), "no member model.joblib"),
    ("a path upwards", lambda: tar_gz({"../model.joblib": b""}), "leads out"),
    ("an absolute path", lambda: tar_gz({"/etc/model.joblib": b""}), "leads out"),
    ("a link", lambda: tar_of(link("model.joblib", "/etc/passwd")), "neither a file nor a folder"),
    ("too many members", lambda: tar_gz({f"{n}": b"" for n in range(1_001)}), "more than 1000 members"),
    ("no pickle", lambda: tar_gz({"model.joblib": b"not a pickle"}), "cannot be loaded"),
    ("an empty model", lambda: tar_gz({"model.joblib": b""}), "cannot be loaded"),
    ("no model in the pickle", lambda: packed([1, 2, 3]), r"no predict\(\)"),
    ("a pickle that raises", lambda: packed(Calls(int, "x")), "cannot be loaded: ValueError"),
]


@pytest.mark.parametrize(("archive", "reason"), [c[1:] for c in BROKEN], ids=[c[0] for c in BROKEN])
def test_a_broken_archive_is_not_loaded_and_the_reason_is_given(
    archive: Callable[[], bytes], reason: str
) -> None:
    with pytest.raises(model_server.BrokenArchive, match=reason):
        model_server.load(archive())


def test_an_archive_that_unpacks_past_the_limit_is_not_loaded() -> None:
    archive = tar_gz({"padding": b"\0" * 1_000_000, "model.joblib": b""})
    assert len(archive) < 10_000
    with pytest.raises(model_server.BrokenArchive, match="more than 500000 bytes"):
        model_server.load(archive, limit=500_000)


def test_a_model_beside_other_members_is_found() -> None:
    archive = tar_gz({"code/inference.py": b"", "./model.joblib": member(train(1).archive, "model.joblib")})
    assert model_server.load(archive).predict([[5.1, 3.5, 1.4, 0.2]]).tolist() == [0]


def test_a_container_with_a_broken_archive_fails_its_ping_and_says_why(
    started: Callable[[bytes], Container],
) -> None:
    container = started(b"no archive")
    assert not container.wait(READY_SECONDS)
    assert container.alive
    assert not container.ping()
    answer = container.invoke(FLOWERS, "text/csv")
    assert answer.status == 500
    assert b"not a readable .tar.gz" in answer.body


def test_a_model_that_fails_gives_500_and_the_process_lives_on(started: Callable[[bytes], Container]) -> None:
    model = tree()
    model.tree_ = None
    container = started(packed(model))
    assert container.wait(READY_SECONDS)
    assert container.invoke(FLOWERS, "text/csv").status == 500
    assert container.ping()


def test_a_process_that_dies_is_noticed(started: Callable[[bytes], Container]) -> None:
    container = started(packed(Calls(time.sleep, 30)))
    assert container.pid is not None
    os.kill(container.pid, signal.SIGKILL)
    assert not container.wait(GONE_SECONDS)
    assert not container.alive
    with pytest.raises(NoAnswer, match="has ended"):
        container.invoke(FLOWERS, "text/csv")
    container.stop()


def test_a_model_that_ends_its_process_while_loading_fails_the_wait(
    started: Callable[[bytes], Container],
) -> None:
    container = started(packed(Calls(os._exit, 3)))
    assert not container.wait(GONE_SECONDS)
    assert not container.alive


def test_a_silent_process_is_given_up_in_time(started: Callable[[bytes], Container]) -> None:
    container = started(train(1).archive)
    assert container.wait(READY_SECONDS)
    assert container.pid is not None
    os.kill(container.pid, signal.SIGSTOP)
    with pytest.raises(NoAnswer, match=r"within 0\.2 s"):
        container.invoke(FLOWERS, "text/csv", timeout=0.2)
    assert not container.ping(0.2)
    container.stop()
    assert gone_within(GONE_SECONDS, lambda pid, _: pid == container.pid)


def test_stop_leaves_no_process_and_can_be_repeated(started: Callable[[bytes], Container]) -> None:
    container = started(train(1).archive)
    assert container.wait(READY_SECONDS)
    container.stop()
    assert not running(lambda pid, _: pid == container.pid)
    assert not container.alive
    assert not container.ping()
    container.stop()
    with pytest.raises(NoAnswer, match="has ended"):
        container.invoke(FLOWERS, "text/csv")


def test_a_container_is_a_context_that_stops_it() -> None:
    with Container.start(train(1).archive) as container:
        assert container.wait(READY_SECONDS)
    assert not running(lambda pid, _: pid == container.pid)


def test_interrupts_pass_the_process_by_and_a_termination_ends_it(
    started: Callable[[bytes], Container],
) -> None:
    container = started(train(1).archive)
    assert container.wait(READY_SECONDS)
    assert container.pid is not None
    os.kill(container.pid, signal.SIGINT)
    assert container.ping()
    os.kill(container.pid, signal.SIGTERM)
    assert until(lambda: not container.alive, GONE_SECONDS)
    assert gone_within(GONE_SECONDS, lambda pid, _: pid == container.pid)


def test_a_container_is_a_process_of_its_own(served: dict[int, Container]) -> None:
    pids = {container.pid for container in served.values()}
    ports = {container.port for container in served.values()}
    assert len(pids) == len(ports) == 3
    assert os.getpid() not in pids


def test_two_containers_answer_at_once_and_end_one_by_one() -> None:
    registry = Containers()
    first, second = (registry.start(partial(Container.start, train(version).archive)) for version in (1, 3))
    assert first.wait(READY_SECONDS)
    assert second.wait(READY_SECONDS)
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda one: one.invoke(b"[[6.0, 2.2, 5.0, 1.5]]", JSON).body, [first, second] * 40)
        )
    assert answers == [b"[1]", b"[2]"] * 40
    registry.stop(first)
    assert len(registry) == 1
    assert second.ping()
    registry.stop_all()
    assert len(registry) == 0
    assert not running(lambda pid, _: pid in (first.pid, second.pid))


def test_a_registry_takes_starts_and_stops_from_several_threads() -> None:
    registry = Containers()
    archive = train(1).archive

    def one_life(_: int) -> int | None:
        container = registry.start(partial(Container.start, archive))
        assert container.wait(READY_SECONDS)
        assert container.invoke(FLOWERS, CSV).body == b"[0, 0]"
        registry.stop(container)
        return container.pid

    with ThreadPoolExecutor(6) as pool:
        pids = set(pool.map(one_life, range(18)))
    assert len(pids) == 18
    assert len(registry) == 0
    assert not running(lambda pid, _: pid in pids)


def test_stopping_all_stops_those_that_are_just_starting() -> None:
    registry = Containers()
    archive = train(1).archive
    over = threading.Event()
    pids: list[int | None] = []

    def keep_starting() -> None:
        while not over.is_set():
            try:
                pids.append(registry.start(partial(Container.start, archive)).pid)
            except containers.NotStarted:
                continue

    threads = [threading.Thread(target=keep_starting) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    over.set()
    registry.stop_all()
    for thread in threads:
        thread.join()
    assert pids
    assert len(registry) == 0
    assert not running(lambda pid, _: pid in pids)


# The parent's end: each program below runs in a process group of its own, so what it leaves can be counted

PROGRAM = """
import base64, json, os, signal, socket, sys, time
from multiprocessing import forkserver, resource_tracker
from crossaccount_sandbox.sagemaker import containers

archive = base64.b64decode(sys.argv[1])

def tell(**facts):
    print(json.dumps(facts), flush=True)

def running():
    container = containers.Container.start(archive)
    assert container.wait(60)
    return container
"""

STARTS_TWO = "two = [running(), running()]; tell(pids=[each.pid for each in two]); time.sleep(600)"


@contextmanager
def launched(program: str, archive: bytes | None = None) -> Iterator[subprocess.Popen[str]]:
    encoded = base64.b64encode(train(1).archive if archive is None else archive).decode()
    with TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM + program, encoded],
            cwd=ROOT,
            env={
                **os.environ,
                "TMPDIR": folder,
            },  # a killed program leaves the socket of its fork server there
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # A shell that runs the tests in the background ignores Ctrl-C for all of them.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            yield process
        finally:
            for pid in running(lambda _, group: group == process.pid):  # only after a failure
                os.kill(pid, signal.SIGKILL)
            process.communicate()


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    facts: dict[str, Any] = json.loads(process.stdout.readline())
    return facts


def finished(program: str, archive: bytes | None = None) -> tuple[dict[str, Any], str]:
    with launched(program, archive) as process:
        stdout, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
        assert gone_within(GONE_SECONDS, lambda _, group: group == process.pid)
    facts: dict[str, Any] = json.loads(stdout)
    return facts, stderr


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_when_the_parent_is_killed_nothing_of_it_is_left(ending: signal.Signals) -> None:
    with launched(STARTS_TWO) as parent:
        pids = told(parent)["pids"]
        of_parent = running(lambda _, group: group == parent.pid)
        assert set(pids) < of_parent
        assert len(of_parent) >= 4  # itself, two containers, and the process that they are forked from
        parent.send_signal(ending)
        parent.wait(GONE_SECONDS)
        assert gone_within(GONE_SECONDS, lambda _, group: group == parent.pid)


def test_when_the_parent_is_killed_a_command_and_its_model_go_too(tmp_path: Path) -> None:
    output = tmp_path / "output.log"
    command = (
        "import os; print(os.getpid(), os.environ['SM_MODEL_DIR'], flush=True); os.read(os.pipe()[0], 1)"
    )
    program = f"""
from pathlib import Path
one = containers.Container.run((sys.executable, "-c", {command!r}), archive, output=Path({str(output)!r}))
tell(pid=one.pid)
time.sleep(600)
"""
    with launched(program) as parent:
        told(parent)
        assert until(lambda: output.read_text().count("\n") == 1, GONE_SECONDS)
        pid, folder = output.read_text().split()
        assert running(lambda each, _: each == int(pid))
        parent.kill()
        parent.wait(GONE_SECONDS)
        assert gone_within(GONE_SECONDS, lambda each, _: each == int(pid))
        assert until(lambda: not Path(folder).exists(), GONE_SECONDS)


def test_when_the_parent_is_killed_before_the_first_start_nothing_is_left() -> None:
    with launched("containers.warm(); tell(); time.sleep(600)") as parent:
        told(parent)
        parent.kill()
        parent.wait(GONE_SECONDS)
        assert gone_within(GONE_SECONDS, lambda _, group: group == parent.pid)


def test_a_parent_that_ends_without_stopping_its_containers_leaves_nothing() -> None:
    facts, stderr = finished("tell(pid=running().pid)")
    assert facts["pid"]
    assert stderr == ""


def test_an_interrupt_for_the_whole_group_is_left_to_the_parent() -> None:
    facts, stderr = finished("""
signal.signal(signal.SIGINT, lambda *_: None)
containers.warm()
time.sleep(0.3)
os.killpg(0, signal.SIGINT)
one = running()
os.killpg(0, signal.SIGINT)
time.sleep(0.2)
tell(ping=one.ping())
one.stop()
""")
    assert facts == {"ping": True}
    assert stderr == ""


def test_a_termination_reaches_the_process_of_a_parent_that_blocks_it() -> None:
    facts, _ = finished("""
resource_tracker.ensure_running()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
one = running()
os.kill(one.pid, signal.SIGTERM)
deadline = time.monotonic() + 5
while one.alive and time.monotonic() < deadline:
    time.sleep(0.02)
tell(alive=one.alive, blocked=signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, set()))
""")
    assert facts == {"alive": False, "blocked": True}


def test_no_process_holds_the_parents_listening_socket() -> None:
    facts, _ = finished("""
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
one = running()
listener.close()
with socket.socket() as client:
    refused = client.connect_ex(("127.0.0.1", port)) != 0
tell(refused=refused, ping=one.ping())
""")
    assert facts == {"refused": True, "ping": True}


def test_what_a_model_prints_stays_out_of_the_parents_standard_output() -> None:
    program = "tell(ready=containers.Container.start(archive).wait(60))"
    facts, stderr = finished(program, packed(Calls(print, "printed by the model")))
    assert facts == {"ready": False}
    assert "printed by the model" in stderr
    assert "no predict()" in stderr


def test_when_the_process_that_forks_is_killed_containers_can_still_be_stopped_and_started() -> None:
    program = """
one = running()
os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
time.sleep(0.2)
still = one.ping()
one.stop()
two = running()
tell(still=still, after=one.alive, again=two.ping(), stopped=one.pid, second=two.pid)
time.sleep(600)
"""
    with launched(program) as parent:
        facts = told(parent)
        assert (facts["still"], facts["after"], facts["again"]) == (True, False, True)
        assert gone_within(GONE_SECONDS, lambda pid, _: pid == facts["stopped"])
        assert running(lambda pid, _: pid == facts["second"])
        parent.kill()
        parent.wait(GONE_SECONDS)
        assert gone_within(GONE_SECONDS, lambda _, group: group == parent.pid)
