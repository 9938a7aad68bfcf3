"""All of a plan is written, or none of it; and writers who know nothing of each other lose nothing of each other's."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError, EndpointConnectionError

from crossaccount import doors
from crossaccount.aws.access import Producer
from crossaccount.errors import Conflict
from crossaccount.sharing import apply

ROOT = Path(__file__).parents[2]
OUTSIDER = "arn:aws:iam::444444444444:root"
KINDS = ("repository", "bucket", "key", "group")  # in the order they are written
PUTS = {
    "repository": "SetRepositoryPolicy",
    "bucket": "PutBucketPolicy",
    "key": "PutKeyPolicy",
    "group": "PutModelPackageGroupPolicy",
}
FOREIGN: dict[str, dict[str, Any]] = {
    "repository": {
        "Sid": "T",
        "Effect": "Allow",
        "Principal": {"AWS": OUTSIDER},
        "Action": "ecr:DescribeImages",
    },
    "bucket": {
        "Sid": "T",
        "Effect": "Allow",
        "Principal": {"AWS": OUTSIDER},
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::producer-models-111111111111/public/*",
    },
    "key": {
        "Sid": "T",
        "Effect": "Allow",
        "Principal": {"AWS": OUTSIDER},
        "Action": "kms:DescribeKey",
        "Resource": "*",
    },
    "group": {
        "Sid": "T",
        "Effect": "Allow",
        "Principal": {"AWS": OUTSIDER},
        "Action": "sagemaker:DescribeModelPackageGroup",
        "Resource": "arn:aws:sagemaker:us-east-1:111111111111:model-package-group/decision-trees-sample",
    },
}


def once(act: Callable[[], None]) -> Callable[[], None]:
    """Only the first time."""
    left = [1]

    def acting() -> None:
        if left:
            left.pop()
            act()

    return acting


def refuse() -> None:
    raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "Put")


def drop() -> None:
    raise EndpointConnectionError(endpoint_url="http://gone")


def add(aws: Any, kind: str) -> None:
    """Another writer adds its statement to a document as it stands."""
    document = aws.documents()[kind] or {"Version": "2012-10-17", "Statement": []}
    if FOREIGN[kind] not in document["Statement"]:
        aws.put(kind, {**document, "Statement": [*document["Statement"], FOREIGN[kind]]})


@pytest.mark.parametrize("when", ["before-call", "after-call"])
@pytest.mark.parametrize(
    "error", [refuse, drop, KeyboardInterrupt], ids=["refused", "dropped", "interrupted"]
)
@pytest.mark.parametrize("failing", KINDS)
def test_when_a_write_fails_everything_is_as_it_was(desk: Any, failing: str, error: Any, when: str) -> None:
    for kind in KINDS:
        add(desk.aws, kind)
    before = desk.aws.documents()

    def act() -> None:
        raise error if error is KeyboardInterrupt else error()

    desk.at_call(failing, once(act), when)
    with pytest.raises((ClientError, EndpointConnectionError, KeyboardInterrupt)) as caught:
        desk.apply(desk.plan())
    assert desk.aws.documents() == before
    notes = caught.value.__notes__
    # The documents whose writing had begun, the last one first.
    begun = [*KINDS[: KINDS.index(failing)], failing]
    assert len(notes) == len(begun)
    taken = len(begun) - (when == "before-call")
    assert sum("was taken back" in note for note in notes) == taken
    assert desk.apply(desk.plan())
    assert desk.plan().writes == 0


@pytest.mark.parametrize("kind", KINDS)
def test_taking_back_leaves_what_others_wrote_meanwhile(desk: Any, kind: str) -> None:
    """The first document gets a stranger's statement after our write; then a later write fails."""

    def strangers_write_then_refuse() -> None:
        add(desk.aws, "repository")
        refuse()

    desk.at_call("group", once(strangers_write_then_refuse))
    before = desk.aws.documents()
    with pytest.raises(ClientError):
        desk.apply(desk.plan())
    after = desk.aws.documents()
    assert after["repository"]["Statement"] == [FOREIGN["repository"]]
    assert {k: after[k] for k in KINDS if k != "repository"} == {
        k: before[k] for k in KINDS if k != "repository"
    }


def test_taking_back_looks_again_when_the_resource_was_busy(desk: Any) -> None:
    """Another writer makes the first attempt to take back wait, and has written by the second."""

    def busy() -> None:
        add(desk.aws, "key")
        raise ClientError({"Error": {"Code": "ConcurrentModificationException", "Message": "busy"}}, "Put")

    puts: list[int] = []

    def at_second_put() -> None:
        puts.append(1)
        if len(puts) == 2:  # the first one was the share's own
            busy()

    desk.at_call("key", at_second_put)
    desk.at_call("group", once(refuse))
    with pytest.raises(ClientError):
        desk.apply(desk.plan())
    assert FOREIGN["key"] in desk.aws.documents()["key"]["Statement"]
    assert "CrossAccount" not in json.dumps(desk.aws.documents()["key"])


def test_what_cannot_be_taken_back_is_said(desk: Any) -> None:
    def frozen() -> None:
        events = desk.producer.ecr.meta.events  # from now on the repository's policy cannot be removed
        events.register("before-call.ecr.DeleteRepositoryPolicy", lambda **_: refuse())
        refuse()

    desk.at_call("bucket", once(frozen))
    with pytest.raises(ClientError) as caught:
        desk.apply(desk.plan())
    said = [note for note in caught.value.__notes__ if "repository" in note]
    assert len(said) == 1
    assert "could not be put back" in said[0]
    assert desk.aws.documents()["repository"] is not None


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_by_another_just_before_the_write_is_merged_with(desk: Any, kind: str) -> None:
    plan = desk.plan()
    add(desk.aws, kind)
    desk.apply(plan)
    found = desk.aws.documents()[kind]["Statement"]
    assert FOREIGN[kind] in found
    assert desk.plan().writes == 0


def test_a_look_that_has_become_old_by_the_time_of_its_write_is_not_written_on(desk: Any) -> None:
    """All documents are looked at at once; the first write takes long, and meanwhile a stranger changes the last one."""

    def slow() -> None:
        add(desk.aws, "group")
        time.sleep(apply._FRESH_SECONDS)

    desk.at_call("repository", once(slow))
    desk.apply(desk.plan())
    assert FOREIGN["group"] in desk.aws.documents()["group"]["Statement"]
    assert desk.plan().writes == 0


@pytest.mark.parametrize("kind", KINDS)
def test_an_agreed_plan_is_not_merged_with_anything(desk: Any, kind: str) -> None:
    plan = desk.plan()
    add(desk.aws, kind)
    before = desk.aws.documents()
    with pytest.raises(Conflict, match="has changed since the plan was made"):
        desk.apply(plan, exactly=True)
    assert desk.aws.documents() == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_write_that_another_writer_overwrites_is_made_again(desk: Any, kind: str) -> None:
    """The other one read before our write and writes after it: ours is lost, unless it is looked for."""
    document = desk.aws.documents()[kind] or {"Version": "2012-10-17", "Statement": []}
    theirs = {**document, "Statement": [*document["Statement"], FOREIGN[kind]]}
    desk.at_call(kind, once(lambda: desk.aws.put(kind, theirs)), "after-call")
    desk.apply(desk.plan())
    assert [line for line in desk.told if "overwritten" in line]
    assert FOREIGN[kind] in desk.aws.documents()[kind]["Statement"]
    assert desk.plan().writes == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_writer_that_had_looked_and_writes_within_the_wait_is_met(
    desk: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """It read before our write and writes while we wait: who looked again at once would not see it."""
    document = desk.aws.documents()[kind] or {"Version": "2012-10-17", "Statement": []}
    theirs = {**document, "Statement": [*document["Statement"], FOREIGN[kind]]}
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            desk.aws.put(kind, theirs)

    monkeypatch.setattr(apply, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    desk.apply(desk.plan(), settle_seconds=7.0)
    assert FOREIGN[kind] in desk.aws.documents()[kind]["Statement"]
    assert desk.plan().writes == 0
    first, second = waits
    assert first == 7.0
    assert 7.0 <= second <= 14.0, "and longer by chance, so that two who met do not meet again"


def test_a_writer_that_never_gives_way_wins_and_is_named(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "_SHOWN_PAUSES", (0.01,) * 5)
    theirs = {"Version": "2012-10-17", "Statement": [FOREIGN["bucket"]]}
    desk.at_call("bucket", lambda: desk.aws.put("bucket", theirs), "after-call")
    with pytest.raises(Conflict, match=r"12 times .*It won; its statements are now: T\."):
        desk.apply(desk.plan())
    after = desk.aws.documents()
    assert after["bucket"] == theirs
    assert (after["repository"], after["group"]) == (None, None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_busy_resource_is_waited_for(desk: Any, kind: str) -> None:
    code = {"bucket": "OperationAborted", "group": "ConflictException"}.get(
        kind, "ConcurrentModificationException"
    )

    def busy() -> None:
        raise ClientError({"Error": {"Code": code, "Message": "try again"}}, "Put")

    desk.at_call(kind, once(busy))
    desk.apply(desk.plan())
    assert desk.plan().writes == 0


def test_a_document_that_grew_past_its_limit_meanwhile_is_left_alone(desk: Any) -> None:
    plan = desk.plan()
    padding = [
        {
            **FOREIGN["bucket"],
            "Sid": f"T{n}",
            "Resource": f"arn:aws:s3:::producer-models-111111111111/{'x' * 935}{n}/*",
        }
        for n in range(18)
    ]
    desk.aws.put("bucket", {"Version": "2012-10-17", "Statement": padding})
    before = desk.aws.documents()
    with pytest.raises(Conflict, match="has grown since the plan was made"):
        desk.apply(plan)
    assert desk.aws.documents() == before


@pytest.mark.parametrize("delay", [0, 3])
def test_a_policy_that_is_not_shown_at_once_is_waited_for(
    desk: Any, monkeypatch: pytest.MonkeyPatch, delay: int
) -> None:
    """A read may answer with what stood before, for a while ("eventual consistency" in the S3 user guide)."""
    plan, stale = desk.plan(), [delay]
    read = doors.read_policy

    def late(producer: Producer, resource: Any) -> Any:
        if resource.kind == "bucket" and desk.told and stale[0] > 0:
            stale[0] -= 1
            return None, None
        return read(producer, resource)

    monkeypatch.setattr(apply, "read_policy", late)
    monkeypatch.setattr(apply, "_SHOWN_PAUSES", (0.01,) * 5)
    desk.at_call("bucket", lambda: desk.told.append("written"), "after-call")
    with desk.aws.calls() as calls:
        desk.apply(plan)
    assert [one["operation"] for one in calls].count("PutBucketPolicy") == 1
    assert not [line for line in desk.told if "overwritten" in line]


def test_a_share_reads_each_document_once_and_one_that_changes_is_written_and_read_back_once(
    desk: Any,
) -> None:
    reads = {"GetRepositoryPolicy", "GetBucketPolicy", "GetKeyPolicy", "GetModelPackageGroupPolicy"}

    def counted(calls: list[dict[str, Any]], of: set[str]) -> list[int]:
        names = [one["operation"] for one in calls if one["operation"] in of]
        return sorted(names.count(name) for name in of)

    writes = set(PUTS.values())
    with desk.aws.calls() as calls:
        desk.apply(desk.plan())
    assert counted(calls, writes) == [1, 1, 1, 1]
    for kind, put in PUTS.items():
        names = [one["operation"] for one in calls]
        get = {"repository": "GetRepositoryPolicy", "group": "GetModelPackageGroupPolicy"}.get(
            kind, put.replace("Put", "Get")
        )
        assert names[names.index(put) :].count(get) == 1, "read back once"
    with desk.aws.calls() as calls:
        plan = desk.plan()
        desk.apply(plan)
    assert plan.writes == 0
    assert counted(calls, reads) == [1, 1, 1, 2], "a key may have two policies"
    assert counted(calls, writes) == [0, 0, 0, 0]


# `make race` has more of both, and the wait of the product's own writers: with so many, a look and its write are further apart.
WRITERS, ROUNDS = int(os.environ.get("RACE_WRITERS", "8")), int(os.environ.get("RACE_ROUNDS", "6"))
SETTLE_SECONDS = float(os.environ.get("RACE_SETTLE_SECONDS", "0.15"))


def test_eight_writers_at_once_lose_nothing_of_each_other_s(aws: Any, tmp_path: Path) -> None:
    """Eight processes with a consumer each, over the same four documents, with no lock in common; six rounds."""
    base = yaml.safe_load(aws.config.read_text())
    accounts = [f"5000000000{number:02}" for number in range(1, WRITERS + 1)]
    configs = [_config(base, number, account, tmp_path) for number, account in enumerate(accounts, 1)]
    writers = _writers(aws, configs)
    try:
        assert _line(writers) == ["ready"] * len(accounts)
        with aws.restored():
            before, met = aws.documents(), 0
            for number in range(ROUNDS):
                _say(writers, "share")
                overwritten = sum(int(times) for times in _line(writers))
                print(f"round {number + 1} of {ROUNDS}: {WRITERS} writers, {overwritten} writes made again")
                met += overwritten
                found = aws.documents()
                for kind in KINDS:
                    text = json.dumps(found[kind])
                    assert [one for one in accounts if one not in text] == [], kind
                for kind in KINDS:
                    aws.put(kind, copy.deepcopy(before[kind]))
            assert met, "the writers never met, so nothing was proved"
    finally:
        assert writers.stdin is not None
        writers.stdin.close()
        writers.wait(10)


def _config(base: dict[str, Any], number: int, account: str, folder: Path) -> str:
    name = f"consumer-{number:02}"
    one = {
        **base["consumers"]["staging"],
        "account": account,
        "role": f"arn:aws:iam::{account}:role/crossaccount-deployer",
        "execution_role": f"arn:aws:iam::{account}:role/crossaccount-execution",
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**base, "consumers": {name: one}}))
    return str(path)


def _writers(aws: Any, configs: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("writer.py")), str(SETTLE_SECONDS), *configs],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **aws.ready["env"], "PYTHONPATH": str(ROOT)},
    )


def _say(writers: subprocess.Popen[str], text: str) -> None:
    assert writers.stdin is not None
    writers.stdin.write(f"{text}\n")
    writers.stdin.flush()


def _line(writers: subprocess.Popen[str]) -> list[str]:
    assert writers.stdout is not None
    line = writers.stdout.readline()
    assert line, f"the writers ended with {writers.wait(10)}"
    return line.split()


def test_a_plan_of_nothing_makes_no_call(desk: Any) -> None:
    desk.apply(desk.plan())
    plan = replace(desk.plan())
    with desk.aws.calls() as calls:
        receipts = desk.apply(plan)
    assert calls == []
    assert {receipt.verb for receipt in receipts} == {"keep"}
