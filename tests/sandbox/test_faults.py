"""What befalls a call, whether the call had its effect, and that nothing befalls the calls that no rule is about."""

from __future__ import annotations

import io
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from crossaccount_sandbox.command import main
from crossaccount_sandbox.control import Control
from crossaccount_sandbox.faults import Rule, rules

BUCKET, ROLE = "befallen", "reader"
PRODUCER, STAGING = "111111111111", "222222222222"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": STAGING}, "Action": "sts:AssumeRole"}],
    }
)


@pytest.fixture(scope="module", autouse=True)
def bucket(inner: Any) -> None:
    inner.client("producer", "s3").create_bucket(Bucket=BUCKET)
    inner.client("staging", "iam").create_role(RoleName=ROLE, AssumeRolePolicyDocument=TRUST)


@pytest.fixture(autouse=True)
def faults(inner: Any) -> Iterator[Any]:
    yield inner.server.faults
    inner.server.faults.clear()


def policy(principal: str = f"arn:aws:iam::{STAGING}:root") -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": "s3:ListBucket",
        "Resource": f"arn:aws:s3:::{BUCKET}",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def code(call: Callable[[], Any]) -> str | None:
    """AWS's error code, the name of the client's own error, or None when the call succeeds."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    except BotoCoreError as error:
        return type(error).__name__
    return None


CALLS: dict[str, Callable[[Any], Any]] = {
    "s3": lambda c: c.list_buckets(),
    "sts": lambda c: c.get_caller_identity(),
    "iam": lambda c: c.list_roles(),
    "ecr": lambda c: c.describe_repositories(),
    "kms": lambda c: c.list_keys(),
    "sagemaker": lambda c: c.list_models(),
}


@pytest.mark.parametrize(
    ("rule", "service", "expected"),
    [
        ({"kind": "throttle"}, "s3", "SlowDown"),
        ({"kind": "throttle"}, "sts", "Throttling"),
        ({"kind": "throttle"}, "iam", "Throttling"),
        ({"kind": "throttle"}, "ecr", "ThrottlingException"),
        ({"kind": "throttle"}, "kms", "ThrottlingException"),
        ({"kind": "throttle"}, "sagemaker", "ThrottlingException"),
        ({"kind": "error"}, "s3", "InternalError"),
        ({"kind": "error"}, "sts", "InternalFailure"),
        ({"kind": "error"}, "ecr", "ServerException"),
        ({"kind": "error"}, "kms", "KMSInternalException"),
        ({"kind": "error"}, "sagemaker", "InternalFailure"),
        ({"kind": "error", "status": 503}, "sagemaker", "ServiceUnavailable"),
        ({"kind": "error", "status": 503}, "s3", "ServiceUnavailable"),
        ({"kind": "drop"}, "s3", "ConnectionClosedError"),
        ({"kind": "drop"}, "sagemaker", "ConnectionClosedError"),
        ({"kind": "conflict"}, "s3", "OperationAborted"),
        ({"kind": "conflict"}, "sagemaker", "ConflictException"),
        ({"kind": "conflict"}, "ecr", None),
        ({"kind": "throttle", "service": "s3"}, "sagemaker", None),
        ({"kind": "throttle", "service": "sage*"}, "sagemaker", "ThrottlingException"),
        ({"kind": "throttle", "operation": "Get*"}, "sagemaker", None),
        ({"kind": "throttle", "operation": "List*"}, "sagemaker", "ThrottlingException"),
        ({"kind": "throttle", "account": STAGING}, "sagemaker", None),
        ({"kind": "throttle", "account": PRODUCER}, "sagemaker", "ThrottlingException"),
        ({"kind": "throttle", "rate": 0.0}, "sagemaker", None),
        ({"kind": "throttle", "skip": 1}, "sagemaker", None),
        ({"kind": "throttle", "times": 0}, "sagemaker", None),
    ],
)
def test_a_rule_befalls_the_calls_that_it_is_about(
    inner: Any, faults: Any, rule: dict[str, Any], service: str, expected: str | None
) -> None:
    faults.arrange(rule)
    assert code(lambda: CALLS[service](inner.client("producer", service))) == expected
    faults.clear()
    assert code(lambda: CALLS[service](inner.client("producer", service))) is None


@pytest.mark.parametrize(
    ("condition", "expected"),
    [({"IfNoneMatch": "*"}, "ConditionalRequestConflict"), ({}, "OperationAborted")],
)
def test_a_conflict_is_named_after_the_condition_of_the_write(
    inner: Any, faults: Any, condition: dict[str, str], expected: str
) -> None:
    s3 = inner.client("producer", "s3")
    faults.arrange({"kind": "conflict", "operation": "PutObject"})
    assert code(lambda: s3.put_object(Bucket=BUCKET, Key="conflict", Body=b"", **condition)) == expected


def test_skip_and_times_say_which_of_them(inner: Any, faults: Any) -> None:
    faults.add(Rule("throttle", operation="ListModels", skip=1, times=2))
    client = inner.client("producer", "sagemaker")
    found = [code(client.list_models) for _ in range(4)]
    assert found == [None, "ThrottlingException", "ThrottlingException", None]
    assert [(one["seen"], one["done"]) for one in faults.state()["faults"]] == [(4, 2)]


def test_a_rate_befalls_about_that_share(inner: Any, faults: Any) -> None:
    faults.add(Rule("throttle", rate=0.5))
    client = inner.client("producer", "sts")
    refused = sum(code(client.get_caller_identity) is not None for _ in range(60))
    assert 15 <= refused <= 45


@pytest.mark.parametrize("kind", ["throttle", "error", "drop", "conflict"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_before_has_no_effect_and_after_only_loses_the_answer(
    inner: Any, faults: Any, kind: str, when: str
) -> None:
    s3 = inner.client("producer", "s3")
    faults.add(Rule(kind, operation="PutBucketPolicy", when=when))
    assert code(lambda: s3.put_bucket_policy(Bucket=BUCKET, Policy=policy())) is not None
    there = code(lambda: s3.get_bucket_policy(Bucket=BUCKET)) is None
    assert there == (when == "after")
    s3.delete_bucket_policy(Bucket=BUCKET)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_held_call_waits_and_is_dropped_when_it_is_let_go(inner: Any, faults: Any, when: str) -> None:
    s3, found = inner.client("producer", "s3"), list[str | None]()
    faults.add(Rule("hold", operation="PutBucketPolicy", when=when))
    put = threading.Thread(
        target=lambda: found.append(code(lambda: s3.put_bucket_policy(Bucket=BUCKET, Policy=policy())))
    )
    put.start()
    assert faults.wait_held(10) == {"service": "s3", "operation": "PutBucketPolicy", "when": when}
    assert put.is_alive()
    assert (code(lambda: s3.get_bucket_policy(Bucket=BUCKET)) is None) == (when == "after")
    faults.clear()
    put.join(10)
    assert found == ["ConnectionClosedError"]
    assert (code(lambda: s3.get_bucket_policy(Bucket=BUCKET)) is None) == (when == "after")
    s3.delete_bucket_policy(Bucket=BUCKET)


def test_latency_is_added_to_each_call(inner: Any, faults: Any) -> None:
    client = inner.client("producer", "sts")
    faults.add(Rule("latency", seconds=0.2))
    start = time.monotonic()
    client.get_caller_identity()
    assert time.monotonic() - start >= 0.2


def test_a_slow_policy_reads_back_at_once_and_counts_later_both_ways(inner: Any, faults: Any) -> None:
    mine, theirs = inner.client("producer", "s3"), inner.client("staging", "s3")
    faults.add(Rule("slow-policy", seconds=0.5))
    mine.put_bucket_policy(Bucket=BUCKET, Policy=policy())
    assert mine.get_bucket_policy(Bucket=BUCKET)["Policy"]
    assert code(lambda: theirs.list_objects_v2(Bucket=BUCKET)) == "AccessDenied"
    time.sleep(0.6)
    assert code(lambda: theirs.list_objects_v2(Bucket=BUCKET)) is None
    mine.delete_bucket_policy(Bucket=BUCKET)
    assert code(lambda: mine.get_bucket_policy(Bucket=BUCKET)) == "NoSuchBucketPolicy"
    assert code(lambda: theirs.list_objects_v2(Bucket=BUCKET)) is None
    time.sleep(0.6)
    assert code(lambda: theirs.list_objects_v2(Bucket=BUCKET)) == "AccessDenied"


def test_ids_are_shown_for_a_moment_and_change_nothing_else(inner: Any, faults: Any) -> None:
    mine = inner.client("producer", "s3")
    arn = f"arn:aws:iam::{STAGING}:role/{ROLE}"
    faults.add(Rule("show-ids", seconds=0.4))
    mine.put_bucket_policy(Bucket=BUCKET, Policy=policy(arn))

    def shown() -> str:
        document = json.loads(mine.get_bucket_policy(Bucket=BUCKET)["Policy"])
        return str(document["Statement"][0]["Principal"]["AWS"])

    assert shown().startswith("AROA")
    time.sleep(0.5)
    assert shown() == arn
    mine.delete_bucket_policy(Bucket=BUCKET)


def test_a_session_that_expired_stays_so_and_no_other_does(inner: Any, faults: Any) -> None:
    everything = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    )
    session = inner.session("staging", "sagemaker", everything)
    other = inner.session("production", "sagemaker", everything)
    assert code(session.list_models) is None
    faults.add(Rule("expire-session", account=STAGING, times=1))
    assert code(session.list_models) == "ExpiredTokenException"
    assert code(session.list_models) == "ExpiredTokenException"
    assert code(other.list_models) is None
    assert code(inner.client("staging", "sagemaker").list_models) is None
    inner._sessions.clear()


def test_an_endpoint_finds_no_capacity(inner: Any, faults: Any) -> None:
    faults.add(Rule("no-capacity", account=STAGING))
    client = inner.client("staging", "sagemaker")
    refused = code(lambda: client.create_endpoint(EndpointName="full", EndpointConfigName="none"))
    assert refused == "ValidationException"  # there is no such config: the fault changed nothing of that
    assert inner.server.outcomes.take(STAGING, "full").kind == "no-capacity"
    assert inner.server.outcomes.take("333333333333", "full").kind == "healthy"


def test_a_model_is_not_loaded_yet(inner: Any, faults: Any) -> None:
    faults.add(Rule("model-not-ready", account=STAGING, times=1))
    runtime, hosting = inner.client("staging", "sagemaker-runtime"), inner.client("staging", "sagemaker")
    assert code(lambda: hosting.describe_endpoint(EndpointName="none")) == "ValidationException"
    with pytest.raises(runtime.exceptions.ModelNotReadyException) as refused:
        runtime.invoke_endpoint(EndpointName="none", Body=b"1")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert code(lambda: runtime.invoke_endpoint(EndpointName="none", Body=b"1")) == "ValidationError"


def test_a_dropped_call_is_in_the_log_without_a_status(inner: Any, faults: Any) -> None:
    faults.add(Rule("drop", when="after"))
    inner.entries.clear()
    assert code(inner.client("producer", "sts").get_caller_identity) == "ConnectionClosedError"
    assert [(one["operation"], one["status"]) for one in inner.entries] == [("GetCallerIdentity", None)]


REFUSED = [
    ([], None),
    ({}, "an object with a kind"),
    ("throttle", "an object with a kind"),
    ([{"kind": "throttle"}, 7], "an object with a kind"),
    ({"kind": "flood"}, "kind is one of throttle, error"),
    ({"kind": "throttle", "wen": "after"}, "a fault has no wen"),
    ({"kind": "throttle", "when": "during"}, "when is one of before, after"),
    ({"kind": "error", "status": 404}, "status is one of 500, 503"),
    ({"kind": "throttle", "rate": 1.5}, "rate is from 0 to 1"),
    ({"kind": "throttle", "rate": -0.1}, "rate is from 0 to 1"),
    ({"kind": "latency", "seconds": -1}, "not negative"),
    ({"kind": "throttle", "times": -1}, "not negative"),
    ({"kind": "throttle", "skip": -1}, "not negative"),
    ({"kind": "throttle", "rate": "half"}, "rate is a number"),
    ({"kind": "throttle", "seconds": None}, "seconds is a number"),
    ({"kind": "throttle", "service": 3}, "service is a text"),
]


@pytest.mark.parametrize(("given", "why"), REFUSED)
def test_what_is_no_rule_is_refused_by_name(given: Any, why: str | None) -> None:
    if why is None:
        assert rules(given) == []
        return
    with pytest.raises(ValueError, match=why):
        rules(given)


@pytest.mark.parametrize(("method", "body", "status"), [
    ("PUT", b'{"kind": "throttle"}', "204 No Content"),
    ("PUT", b'[{"kind": "throttle"}, {"kind": "latency", "seconds": 0.1}]', "204 No Content"),
    ("PUT", b'[{"kind": "throttle"}, {"kind": "flood"}]', "400 Bad Request"),
    ("PUT", b"no json", "400 Bad Request"),
    ("POST", b'{"kind": "throttle"}', "400 Bad Request"),
    ("DELETE", b"", "204 No Content"),
    ("GET", b"", "200 OK"),
])  # fmt: skip
def test_over_http(inner: Any, faults: Any, method: str, body: bytes, status: str) -> None:
    server = inner.server
    control = Control(server.world, server.outcomes, faults, server.images, lambda *_: [b"other"])
    said = list[str]()
    environ = {"PATH_INFO": "/_sandbox/faults", "REQUEST_METHOD": method, "CONTENT_LENGTH": str(len(body))}
    answer = b"".join(control({**environ, "wsgi.input": io.BytesIO(body)}, lambda line, _: said.append(line)))
    assert said == [status]
    count = len(faults.state()["faults"])
    assert count == (body.count(b"kind") if status == "204 No Content" else 0)
    if method == "GET":
        assert json.loads(answer) == {"faults": [], "held": []}


def test_without_control_the_path_is_an_unsigned_request_like_any_other(inner: Any) -> None:
    asked = urllib.request.Request(f"{inner.url}/_sandbox/faults", method="PUT", data=b'{"kind": "drop"}')
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(asked)
    assert refused.value.code == 403
    assert inner.server.faults.state()["faults"] == []


@pytest.mark.parametrize("text", ["no json", '[{"kind": "flood"}]', "7"])
def test_a_file_that_holds_no_faults_stops_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    file = tmp_path / "faults.json"
    file.write_text(text)
    arguments = ["--templates", str(tmp_path), "--config", "c.yaml", "--faults", str(file)]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert f"--faults {file}" in capsys.readouterr().err
