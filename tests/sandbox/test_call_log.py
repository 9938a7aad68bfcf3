"""The call log has a line for every request, says who was answered what, and holds nothing that is secret."""

from __future__ import annotations

import contextlib
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crossaccount_sandbox.command import call_log, main

PRODUCER, STAGING = "111111111111", "222222222222"
ADMINISTRATOR = f"arn:aws:iam::{PRODUCER}:user/administrator"
BUCKET = "logged-bucket"
KEYS = [
    "time",
    "account",
    "caller",
    "session",
    "service",
    "operation",
    "resource",
    "request_id",
    "status",
    "code",
]


@pytest.fixture(scope="module", autouse=True)
def bucket(inner: Any) -> None:
    inner.client("producer", "s3").create_bucket(Bucket=BUCKET)


def last(inner: Any, call: Callable[[], Any]) -> dict[str, Any]:
    """The one entry that a call left."""
    inner.entries.clear()
    with contextlib.suppress(ClientError, urllib.error.HTTPError):
        call()
    assert len(inner.entries) == 1
    return dict(inner.entries[0])


BUCKET_ARN = f"arn:aws:s3:::{BUCKET}"
GHOST = "arn:aws:iam::222222222222:role/ghost"


@pytest.mark.parametrize(
    ("service", "call", "operation", "resource", "status", "code"),
    [
        ("sts", lambda c: c.get_caller_identity(), "GetCallerIdentity", None, 200, None),
        ("s3", lambda c: c.list_objects_v2(Bucket=BUCKET), "ListObjectsV2", BUCKET_ARN, 200, None),
        (
            "s3",
            lambda c: c.get_object(Bucket=BUCKET, Key="no"),
            "GetObject",
            f"{BUCKET_ARN}/no",
            404,
            "NoSuchKey",
        ),
        (
            "s3",
            lambda c: c.get_bucket_policy(Bucket=BUCKET),
            "GetBucketPolicy",
            BUCKET_ARN,
            404,
            "NoSuchBucketPolicy",
        ),
        (
            "sts",
            lambda c: c.assume_role(RoleArn=GHOST, RoleSessionName="ab"),
            "AssumeRole",
            GHOST,
            403,
            "AccessDenied",
        ),
        ("kms", lambda c: c.list_grants(KeyId="x"), "ListGrants", None, 400, "AccessDeniedException"),
        (
            "sagemaker",
            lambda c: c.describe_model(ModelName="ghost"),
            "DescribeModel",
            "arn:aws:sagemaker:us-east-1:111111111111:model/ghost",
            400,
            "ValidationException",
        ),
        ("dynamodb", lambda c: c.list_tables(), None, None, 400, "AccessDeniedException"),
    ],
)
def test_a_request_leaves_one_entry(
    inner: Any,
    service: str,
    call: Any,
    operation: str | None,
    resource: str | None,
    status: int,
    code: str | None,
) -> None:
    client = inner.client("producer", service)
    entry = last(inner, lambda: call(client))
    assert list(entry) == KEYS
    assert (entry["account"], entry["caller"]) == (PRODUCER, ADMINISTRATOR)
    said = (entry["service"], entry["operation"], entry["resource"], entry["status"], entry["code"])
    assert said == (service, operation, resource, status, code)


def test_a_refused_head_is_logged_with_the_reason_that_its_answer_cannot_carry(inner: Any) -> None:
    stranger = inner.client("staging", "s3")
    entry = last(inner, lambda: stranger.head_object(Bucket=BUCKET, Key="x"))
    assert (entry["account"], entry["status"], entry["code"]) == (STAGING, 403, "AccessDenied")


def test_who_was_not_authenticated_is_not_named(inner: Any) -> None:
    wrong = inner.keyed("s3", "AKIANOBODY", "secret")
    unsigned = last(inner, lambda: urllib.request.urlopen(f"{inner.url}/{BUCKET}"))
    unknown = last(inner, wrong.list_buckets)
    for entry, service, code in ((unsigned, None, "AccessDenied"), (unknown, "s3", "InvalidAccessKeyId")):
        assert (entry["account"], entry["caller"], entry["operation"]) == (None, None, None)
        assert (entry["service"], entry["status"], entry["code"]) == (service, 403, code)


def test_no_credential_no_body_and_no_policy_is_logged(inner: Any) -> None:
    entries = inner.entries
    trust = {"Effect": "Allow", "Principal": {"AWS": PRODUCER}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": "Grepable", **trust}]})
    iam, sts = inner.client("producer", "iam"), inner.client("producer", "sts")
    entries.clear()
    iam.create_role(RoleName="logged", AssumeRolePolicyDocument=document)
    made = iam.create_access_key(UserName="administrator")["AccessKey"]
    role = f"arn:aws:iam::{PRODUCER}:role/logged"
    session = sts.assume_role(RoleArn=role, RoleSessionName="seen", ExternalId="shibboleth")["Credentials"]
    temporary = inner.keyed("s3", session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
    with pytest.raises(ClientError):
        temporary.put_object(Bucket=BUCKET, Key="k", Body=b"Grepable")
    assert entries[-1]["caller"] == f"arn:aws:sts::{PRODUCER}:assumed-role/logged/seen"
    assert [entry["operation"] for entry in entries] == [
        "CreateRole",
        "CreateAccessKey",
        "AssumeRole",
        "PutObject",
    ]
    secrets = [made["AccessKeyId"], made["SecretAccessKey"], "Grepable", "shibboleth"]
    secrets += [session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"]]
    assert [secret for secret in secrets if secret in json.dumps(entries)] == []


def test_requests_of_one_session_have_its_digest_and_those_of_another_one_of_their_own(inner: Any) -> None:
    sts, trust = inner.client("producer", "sts"), {"Effect": "Allow", "Principal": {"AWS": PRODUCER}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [{**trust, "Action": "sts:AssumeRole"}]})
    inner.client("producer", "iam").create_role(RoleName="twice", AssumeRolePolicyDocument=document)
    role = {"RoleArn": f"arn:aws:iam::{PRODUCER}:role/twice", "RoleSessionName": "same"}
    sessions = [sts.assume_role(**role)["Credentials"] for _ in range(2)]
    seen = []
    for key in sessions:
        client = inner.keyed("sts", key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])
        seen += [last(inner, client.get_caller_identity) for _ in range(2)]
    assert len({entry["caller"] for entry in seen}) == 1
    first, again, second, once_more = [entry["session"] for entry in seen]
    assert (first, second) == (again, once_more)
    assert first != second


def test_a_file_gets_whole_lines_from_many_threads_at_once(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_text('{"before": true}\n')
    write = call_log(path)
    threads = [
        threading.Thread(target=lambda n=n: [write({"n": n, "text": "x" * 3000}) for _ in range(50)])
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0] == {"before": True}
    assert sorted(line["n"] for line in lines[1:]) == sorted(n for n in range(8) for _ in range(50))


def test_a_log_that_cannot_be_written_is_said_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "no" / "calls.jsonl"
    with pytest.raises(SystemExit) as ended:
        main(["--templates", "x", "--config", "x", "--log", str(path)])
    assert ended.value.code == 2
    assert f"cannot write the log {path}" in capsys.readouterr().err


def test_the_project_s_command_hands_the_file_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from crossaccount.cli import main as cli

    started: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _, arguments: started.append(arguments))
    for arguments in (["sandbox", "--log", "calls.jsonl"], ["sandbox"]):
        with pytest.raises(SystemExit):
            cli.main(arguments)
    assert started[0][started[0].index("--log") + 1] == "calls.jsonl"
    assert "--log" not in started[1]
