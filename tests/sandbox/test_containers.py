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
import pytest
from sklearn.tree import DecisionTreeClassifier

from crossaccount_sandbox.sagemaker import containers, model_server
from crossaccount_sandbox.sagemaker.containers import Answer, Container, Containers, NoAnswer
from crossaccount_sandbox.training import CONTENT_TYPES, tar_gz, train

VERSIONS = (1, 2, 3)
SETOSA = b"5.1,3.5,1.4,0.2"
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


ROW = "5.1,3.5,1.4,0.2"
GOOD = [
    ("one line of CSV", "text/csv", "", ROW, "application/json", "[0]"),
    ("a last line end", "text/csv", "", f"{ROW}\n", "application/json", "[0]"),
    (
        "CRLF, blank lines and blanks",
        "text/csv",
        "",
        f"{ROW}\r\n\r\n 6.3, 3.3,6.0,2.5",
        "application/json",
        "[0, 2]",
    ),
    ("quoted cells", "text/csv", "", '"5.1","3.5","1.4","0.2"', "application/json", "[0]"),
    ("a byte order mark", "text/csv", "", f"\ufeff{ROW}", "application/json", "[0]"),
    ("a charset", "Text/CSV; charset=UTF-8", "", ROW, "application/json", "[0]"),
    ("instances", "application/json", "", f'{{"instances": [[{ROW}]]}}', "application/json", "[0]"),
    ("rows", "application/json", "", f"[[{ROW}], [6.3,3.3,6.0,2.5]]", "application/json", "[0, 2]"),
    ("one row", "application/json", "", f"[{ROW}]", "application/json", "[0]"),
    ("whole numbers", "application/json", "", "[5, 3, 1, 0]", "application/json", "[0]"),
    ("CSV answer", "text/csv", "text/csv", f"{ROW}\n{ROW}", "text/csv", "0\n0\n"),
    ("JSON in, CSV out", "application/json", "text/csv", f"[{ROW}]", "text/csv", "0\n"),
    ("any answer", "text/csv", "*/*", ROW, "application/json", "[0]"),
    ("any text", "text/csv", "text/*", ROW, "text/csv", "0\n"),
    ("weighed wishes", "text/csv", "application/json;q=0.1, text/csv", ROW, "text/csv", "0\n"),
    ("a wish refused", "text/csv", "application/json;q=0, text/csv;q=0.5", ROW, "text/csv", "0\n"),
    ("one wish can be met", "text/csv", "image/png, application/json", ROW, "application/json", "[0]"),
]


@pytest.mark.parametrize(
    ("content_type", "accept", "body", "answered", "text"), [c[1:] for c in GOOD], ids=[c[0] for c in GOOD]
)
def test_a_well_formed_request_is_answered(
    served: dict[int, Container], content_type: str, accept: str, body: str, answered: str, text: str
) -> None:
    assert served[2].invoke(body.encode(), content_type, accept) == Answer(200, answered, text.encode())


BAD = [
    ("no content type", "", "", ROW, 415),
    ("XML", "application/xml", "", ROW, 415),
    ("octets", "application/octet-stream", "", ROW, 415),
    ("another charset", "text/csv; charset=utf-16", "", ROW, 415),
    ("an image is wished", "text/csv", "image/png", ROW, 406),
    ("XML is wished", "text/csv", "application/xml", ROW, 406),
    ("everything is refused", "text/csv", "*/*;q=0", ROW, 406),
    ("a weight that is no number", "text/csv", "text/csv;q=much", ROW, 406),
    ("empty CSV", "text/csv", "", "", 400),
    ("blank CSV", "text/csv", "", "\n\n", 400),
    ("a word", "text/csv", "", "5.1,3.5,1.4,tiny", 400),
    ("a heading", "text/csv", "", f"a,b,c,d\n{ROW}", 400),
    ("an empty cell", "text/csv", "", "5.1,,1.4,0.2", 400),
    ("a number with underscores", "text/csv", "", "5_1,3.5,1.4,0.2", 400),
    ("three features", "text/csv", "", "5.1,3.5,1.4", 400),
    ("five features", "text/csv", "", f"{ROW},1", 400),
    ("a second row that is short", "text/csv", "", f"{ROW}\n5.1", 400),
    ("NaN in CSV", "text/csv", "", "5.1,3.5,1.4,nan", 400),
    ("infinity in CSV", "text/csv", "", "5.1,3.5,1.4,-inf", 400),
    ("beyond the tree's precision", "text/csv", "", "5.1,3.5,1.4,1e300", 400),
    ("not UTF-8", "text/csv", "", b"\xff\xfe5.1", 400),
    ("an open quote", "text/csv", "", '"5.1,3.5,1.4,0.2', 400),
    ("semicolons", "text/csv", "", "5.1;3.5;1.4;0.2", 400),
    ("empty JSON body", "application/json", "", "", 400),
    ("not JSON", "application/json", "", ROW, 400),
    ("an empty list", "application/json", "", "[]", 400),
    ("no instances", "application/json", "", '{"instances": []}', 400),
    ("another key", "application/json", "", f'{{"rows": [[{ROW}]]}}', 400),
    ("flat instances", "application/json", "", f'{{"instances": [{ROW}]}}', 400),
    ("null instances", "application/json", "", '{"instances": null}', 400),
    ("an empty row", "application/json", "", "[[]]", 400),
    ("rows and numbers mixed", "application/json", "", f"[[{ROW}], 5.1]", 400),
    ("text for a number", "application/json", "", '[5.1, 3.5, 1.4, "0.2"]', 400),
    ("true for a number", "application/json", "", "[5.1, 3.5, 1.4, true]", 400),
    ("null for a number", "application/json", "", "[5.1, 3.5, 1.4, null]", 400),
    ("NaN in JSON", "application/json", "", "[5.1, 3.5, 1.4, NaN]", 400),
    ("infinity in JSON", "application/json", "", "[5.1, 3.5, 1.4, 1e999]", 400),
    ("a huge whole number", "application/json", "", "[5.1, 3.5, 1.4, 1" + "0" * 400 + "]", 400),
    ("a row too deep", "application/json", "", f"[[[{ROW}]]]", 400),
    ("nested without end", "application/json", "", "[" * 100_000, 400),
    ("a number alone", "application/json", "", "5.1", 400),
    ("three features in JSON", "application/json", "", "[[5.1, 3.5, 1.4]]", 400),
    ("too large", "text/csv", "", b"1" * (model_server.BODY_LIMIT + 1), 413),
]


@pytest.mark.parametrize(
    ("content_type", "accept", "body", "status"), [c[1:] for c in BAD], ids=[c[0] for c in BAD]
)
def test_a_bad_request_gets_its_status_and_the_process_lives_on(
    served: dict[int, Container], content_type: str, accept: str, body: str | bytes, status: int
) -> None:
    content = body.encode() if isinstance(body, str) else body
    answer = served[1].invoke(content, content_type, accept)
    assert (answer.status, answer.content_type) == (status, "text/plain; charset=utf-8")
    assert 10 < len(answer.body) < 400
    assert served[1].invoke(SETOSA, "text/csv").body == b"[0]"


@pytest.mark.parametrize(
    ("predictions", "accept", "body"),
    [
        ([float("nan")], "", b"[NaN]"),
        ([float("inf"), -float("inf")], "application/json", b"[Infinity, -Infinity]"),
        ([[0.5, float("nan")]], "*/*", b"[[0.5, NaN]]"),
        ([float("nan")], "text/csv", b"nan\n"),
        ([True, "001"], "text/csv", b"True\n001\n"),
        ([10234567], "text/html, text/csv", b"10234567\n"),
    ],
)
def test_a_model_answers_as_it_does_on_aws_s_containers(
    predictions: list[Any], accept: str, body: bytes
) -> None:
    """NaN stands bare in JSON: what multi-model-server, TorchServe and AWS's scikit-learn container write."""
    model = SimpleNamespace(predict=lambda rows: SimpleNamespace(tolist=lambda: predictions))
    assert model_server.answer(model, "text/csv", accept, b"1")[1] == body


def test_a_body_of_just_the_limit_is_taken(served: dict[int, Container]) -> None:
    body = SETOSA + b"\n" * (model_server.BODY_LIMIT - len(SETOSA))
    assert served[1].invoke(body, "text/csv").body == b"[0]"


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
        connection.request("POST", "/invocations", SETOSA, {"Content-Type": content_type})
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
    connection.close()
    assert statuses == [200, 415, 200]


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
    assert container.invoke(SETOSA, "text/csv").status == 503
    assert container.wait(READY_SECONDS)
    assert container.ping()
    assert container.invoke(SETOSA, "text/csv").body == b"[0]"


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
    answer = container.invoke(SETOSA, "text/csv")
    assert answer.status == 500
    assert b"not a readable .tar.gz" in answer.body


def test_a_model_that_fails_gives_500_and_the_process_lives_on(started: Callable[[bytes], Container]) -> None:
    model = tree()
    model.tree_ = None
    container = started(packed(model))
    assert container.wait(READY_SECONDS)
    assert container.invoke(SETOSA, "text/csv").status == 500
    assert container.ping()


def test_a_process_that_dies_is_noticed(started: Callable[[bytes], Container]) -> None:
    container = started(packed(Calls(time.sleep, 30)))
    assert container.pid is not None
    os.kill(container.pid, signal.SIGKILL)
    assert not container.wait(GONE_SECONDS)
    assert not container.alive
    with pytest.raises(NoAnswer, match="has ended"):
        container.invoke(SETOSA, "text/csv")
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
        container.invoke(SETOSA, "text/csv", timeout=0.2)
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
        container.invoke(SETOSA, "text/csv")


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
            pool.map(lambda one: one.invoke(b"6.0,2.2,5.0,1.5", "text/csv").body, [first, second] * 40)
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
        assert container.invoke(SETOSA, "text/csv").body == b"[0]"
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
