"""A minute's disturbance ends no call and no wait; what does not pass by itself is told at once."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, EndpointConnectionError

from crossaccount.aws import retries, sessions
from crossaccount.aws.access import open_producer, open_target
from crossaccount.config.loading import load_config
from crossaccount.errors import Failed
from crossaccount.hosting.gateway import Gateway, Patience
from crossaccount.hosting.removal import remove
from crossaccount.hosting.resources import HostedResource

Arrange = Callable[..., None]
GROUP = "decision-trees-sample"


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of every pause, none of which is waited for."""
    pauses: list[float] = []
    sleep = time.sleep

    def briefly(seconds: float) -> None:
        pauses.append(seconds)
        sleep(min(seconds, 0.005))

    monkeypatch.setattr("time.sleep", briefly)
    return pauses


@pytest.fixture
def befall(aws: Any) -> Iterator[Arrange]:
    """Arranges what befalls calls until the end of the test."""

    def ask(method: str, body: bytes | None = None) -> None:
        request = urllib.request.Request(f"{aws.url}/_sandbox/faults", method=method, data=body)
        urllib.request.urlopen(request).close()

    yield lambda *rules: ask("PUT", json.dumps(rules).encode())
    ask("DELETE")


DISTURBANCES: list[dict[str, Any]] = [
    {"kind": "error", "status": 503},
    {"kind": "error", "status": 500},
    {"kind": "error", "status": 500, "when": "after"},
    {"kind": "throttle"},
    {"kind": "drop"},
    {"kind": "drop", "when": "after"},
]
CALLS: dict[str, Callable[[Any], Any]] = {
    "GetRepositoryPolicy": lambda p: p.ecr.describe_repositories(),
    "ListModelPackages": lambda p: p.sagemaker.list_model_packages(ModelPackageGroupName=GROUP),
    "ListObjectsV2": lambda p: p.s3.list_objects_v2(Bucket=p.config.producer.releases_bucket),
}


@pytest.mark.parametrize("rule", DISTURBANCES, ids=lambda rule: "-".join(map(str, rule.values())))
@pytest.mark.parametrize("operation", ["ListModelPackages", "ListObjectsV2"])
def test_a_call_outlives_a_minute_of_disturbance(
    aws: Any, befall: Arrange, slept: list[float], rule: dict[str, Any], operation: str
) -> None:
    producer = open_producer(load_config(aws.config))
    befall({**rule, "operation": operation, "times": 20})
    slept.clear()
    CALLS[operation](producer)
    assert len(slept) == 20
    assert sum(slept[10:]) >= 60, "as long as that without what botocore leaves to chance"
    befall({**rule, "operation": operation})
    with pytest.raises((ClientError, BotoCoreError)) as caught:
        CALLS[operation](producer)
    assert retries.passes(caught.value)


def test_one_client_outlives_more_errors_than_botocore_s_budget(
    aws: Any, befall: Arrange, slept: list[float]
) -> None:
    producer = open_producer(load_config(aws.config))
    befall(*({"kind": "error", "operation": "ListModelPackages", "skip": 5 * number, "times": 4} for number in range(30)))  # fmt: skip
    for _ in range(30):
        CALLS["ListModelPackages"](producer)
    assert len(slept) >= 120


@pytest.mark.parametrize("rule", DISTURBANCES, ids=lambda rule: "-".join(map(str, rule.values())))
@pytest.mark.parametrize("calls", [3, 9, 20])
def test_a_role_is_assumed_as_patiently_as_anything_else_is_done(
    aws: Any, befall: Arrange, slept: list[float], rule: dict[str, Any], calls: int
) -> None:
    sharing = load_config(aws.config)
    befall({**rule, "operation": "AssumeRole", "times": calls})
    assert sessions.producer_session(sharing).client("sts").get_caller_identity()


def test_the_account_is_asked_as_patiently(
    aws: Any, befall: Arrange, slept: list[float], edited: Any
) -> None:
    config = edited(producer__role=None, producer__external_id=None)
    befall({"kind": "throttle", "operation": "GetCallerIdentity", "times": 9})
    assert sessions.producer_session(load_config(config))


def test_a_profile_s_own_role_is_assumed_as_patiently(
    aws: Any,
    befall: Arrange,
    slept: list[float],
    edited: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    role = load_config(aws.config).producer.role
    profile = f"[profile hub]\nrole_arn = {role}\nsource_profile = producer\nexternal_id = sandbox-producer\n"
    (tmp_path / "config").write_text(f"{Path(aws.ready['env']['AWS_CONFIG_FILE']).read_text()}\n{profile}")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    config = load_config(edited(producer__profile="hub", producer__role=None, producer__external_id=None))
    befall({"kind": "throttle", "operation": "AssumeRole", "times": 9})
    assert sessions.producer_session(config)


def test_a_role_is_assumed_as_patiently_when_its_session_ends(
    aws: Any, befall: Arrange, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_SESSION_SECONDS", 900)  # so short that each call assumes the role anew
    producer = open_producer(load_config(aws.config))
    befall({"kind": "error", "status": 503, "operation": "AssumeRole", "times": 20})
    CALLS["ListModelPackages"](producer)
    assert len(slept) >= 20


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("ListModels", lambda p: p.sagemaker.list_models()),
        ("DescribeModel", lambda p: p.sagemaker.describe_model(ModelName="none")),
        ("GetObject", lambda p: p.s3.get_object(Bucket=p.config.producer.releases_bucket, Key="none")),
        ("AssumeRole", lambda p: p.client("sts").assume_role(RoleArn=p.config.producer.role, RoleSessionName="me")),
    ],
)  # fmt: skip
def test_what_does_not_pass_is_told_at_once(
    aws: Any, slept: list[float], operation: str, call: Callable[[Any], Any]
) -> None:
    producer = open_producer(load_config(aws.config))
    with aws.calls() as log, pytest.raises(ClientError) as caught:
        call(producer)
    assert [each["operation"] for each in log] == [operation]
    assert slept == []
    assert not retries.passes(caught.value)


def test_a_host_that_was_never_reached_is_not_waited_for(
    aws: Any, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    with pytest.raises(Failed, match="AWS does not answer"):
        open_producer(load_config(aws.config))
    assert len(slept) == 9, "botocore's own"


def test_a_disturbance_that_outlasted_one_call_does_not_hold_up_the_next(
    aws: Any, befall: Arrange, slept: list[float]
) -> None:
    producer = open_producer(load_config(aws.config))
    befall({"kind": "error", "service": "sagemaker"})
    lengths = []
    for _ in range(3):
        slept.clear()
        with pytest.raises(ClientError):
            CALLS["ListModelPackages"](producer)
        lengths.append(len(slept))
    assert lengths[0] == 20
    assert max(lengths[1:]) < 10
    CALLS["ListObjectsV2"](producer)  # AWS answers again
    slept.clear()
    befall({"kind": "error", "operation": "ListModelPackages", "times": 20})
    urllib.request.urlopen(urllib.request.Request(f"{aws.url}/_sandbox/faults", method="DELETE")).close()
    befall({"kind": "error", "operation": "ListModelPackages", "times": 20})
    CALLS["ListModelPackages"](producer)
    assert len(slept) == 20


@pytest.mark.parametrize(
    "rule",
    [rule for rule in DISTURBANCES if "when" not in rule],
    ids=lambda rule: "-".join(map(str, rule.values())),
)
def test_a_wait_outlives_any_disturbance_that_its_patience_does(
    aws: Any, befall: Arrange, slept: list[float], rule: dict[str, Any]
) -> None:
    gateway = Gateway(open_target(load_config(aws.config), "staging").sagemaker)
    told: list[str] = []

    def progress(status: str, stages: tuple[str, ...], seconds: float) -> None:
        told.append(status)

    befall({**rule, "operation": "DescribeEndpoint", "times": 60})
    seen = next(gateway.watch("decision-trees-staging", Patience(60, 0.01, 0.05), progress))
    assert seen[0] is None
    assert told[-1] == "gone"
    assert len(told) > 1
    assert all(each.startswith("not seen, AWS cannot be asked") for each in told[:-1])
    befall({**rule, "operation": "DescribeEndpoint"})
    with pytest.raises((ClientError, BotoCoreError)):
        next(gateway.watch("decision-trees-staging", Patience(0.05, 0.01, 0.05)))


def test_a_wait_is_ended_by_a_refusal(aws: Any, slept: list[float]) -> None:
    gateway = Gateway(open_producer(load_config(aws.config)).sagemaker)
    with pytest.raises(ClientError, match="AccessDenied"):
        next(gateway.watch("nothing", Patience(60)))


def test_what_cannot_be_removed_for_a_disturbance_is_left_and_the_rest_goes(
    aws: Any, befall: Arrange, slept: list[float]
) -> None:
    target = open_target(load_config(aws.config), "staging")
    befall({"kind": "drop", "operation": "DeleteModel"})
    kinds = ("endpoint-config", "model")
    left = [HostedResource(kind, "decision-trees-staging-v9", "arn", False, False) for kind in kinds]
    fates = {each.kind: each for each in remove(target, left, Patience(1))}
    assert fates["model"].outcome == "left"
    assert "AWS cannot be asked" in str(fates["model"])
    assert fates["endpoint-config"].outcome == "gone"


def error(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Any")  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        *((error(code, 400), True) for code in ("ThrottlingException", "Throttling", "TooManyRequestsException")),
        *((error("Any", status), True) for status in (429, 500, 502, 503, 504)),
        (error("SlowDown", 503), True),
        (ConnectionClosedError(endpoint_url="x"), True),
        (EndpointConnectionError(endpoint_url="x"), True),
        *((error(code, 400), False) for code in ("ValidationException", "LimitExceededException", "ExpiredToken")),
        *((error(code, 403), False) for code in ("AccessDenied", "403")),
        *((error(code, 409), False) for code in ("OperationAborted", "ConditionalRequestConflict")),
        (ValueError(), False),
    ],
)  # fmt: skip
def test_what_passes_by_itself(raised: Exception, expected: bool) -> None:
    assert retries.passes(raised) is expected
