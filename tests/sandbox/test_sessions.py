"""Sessions end when their time is up, date conditions see the sandbox's clock, and chained sessions are short."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from crossaccount_sandbox.accounts import ACCOUNTS, _administrator
from crossaccount_sandbox.server import Server

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "222222222222"}, "Action": "sts:AssumeRole"},
    ],
}
ROLE = "arn:aws:iam::222222222222:role/worker"


class Clock:
    """A clock that a test can turn on by minutes; requests must stay within AWS's fifteen of it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture(scope="module")
def clocked() -> Iterator[tuple[Clock, Callable[..., Any]]]:
    clock = Clock()
    server = Server(ACCOUNTS, clock=clock)
    server.start()
    key = _administrator(ACCOUNTS[1])

    def client(service: str, *given: str) -> Any:
        session: Any = boto3.session.Session(
            *(given or (key.access_key_id, key.secret_access_key)), region_name="us-east-1"
        )
        return session.client(service, endpoint_url=server.url)

    client("iam").create_role(
        RoleName="worker", AssumeRolePolicyDocument=json.dumps(TRUST), MaxSessionDuration=7200
    )
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    client("iam").put_role_policy(RoleName="worker", PolicyName="all", PolicyDocument=json.dumps(everything))
    yield clock, client
    server.stop()


def assume(client: Callable[..., Any], sts: Any, **more: Any) -> Callable[[str], Any]:
    key = sts.assume_role(RoleArn=ROLE, RoleSessionName="work", **more)["Credentials"]
    given = (key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])
    return lambda service: client(service, *given)


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("sts", lambda c: c.get_caller_identity(), "ExpiredToken"),
        ("s3", lambda c: c.list_buckets(), "ExpiredToken"),
        ("sagemaker", lambda c: c.list_models(), "ExpiredTokenException"),
        ("ecr", lambda c: c.describe_repositories(), "ExpiredTokenException"),
    ],
)
def test_a_session_ends_when_its_time_is_up(
    clocked: tuple[Clock, Callable[..., Any]], service: str, call: Any, code: str
) -> None:
    clock, client = clocked
    clock.ahead = timedelta(minutes=-7)
    worker = assume(client, client("sts"), DurationSeconds=900)
    call(worker(service))
    clock.ahead = timedelta(minutes=9)
    with pytest.raises(ClientError) as error:
        call(worker(service))
    assert error.value.response["Error"]["Code"] == code


@pytest.mark.parametrize("minutes", [16, -16])
@pytest.mark.parametrize(
    ("service", "call", "code", "text"),
    [
        ("sts", lambda c: c.get_caller_identity(), "SignatureDoesNotMatch", "15 min.)"),
        ("cloudwatch", lambda c: c.describe_alarms(), "SignatureDoesNotMatch", "15 min.)"),
        ("sagemaker", lambda c: c.list_models(), "InvalidSignatureException", "15 min.)"),
        ("ec2", lambda c: c.describe_instances(), "RequestExpired", "has expired"),
        ("s3", lambda c: c.list_buckets(), "RequestTimeTooSkewed", "too large"),
    ],
)
def test_a_clock_that_is_wrong_is_told(
    clocked: tuple[Clock, Callable[..., Any]], minutes: int, service: str, call: Any, code: str, text: str
) -> None:
    clock, client = clocked
    clock.ahead = timedelta(minutes=minutes)
    with pytest.raises(ClientError) as error:
        call(client(service))
    said = error.value.response["Error"]
    assert said["Code"] == code
    assert text in said["Message"]
    if "min." in text:
        assert ("Signature expired" if minutes > 0 else "Signature not yet current") in said["Message"]


def test_a_chained_session_lasts_an_hour_at_most(clocked: tuple[Clock, Callable[..., Any]]) -> None:
    clock, client = clocked
    clock.ahead = timedelta()
    worker = assume(client, client("sts"), DurationSeconds=7200)
    with pytest.raises(ClientError) as error:
        assume(client, worker("sts"), DurationSeconds=3601)
    assert "1 hour session limit for roles assumed by role chaining" in str(error.value)
    assume(client, worker("sts"), DurationSeconds=3600)


def test_a_grant_with_a_date_ends_by_itself(clocked: tuple[Clock, Callable[..., Any]]) -> None:
    clock, client = clocked
    clock.ahead = timedelta()
    until = (datetime.now(UTC) + timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    statement = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
    dated = {**statement, "Condition": {"DateLessThan": {"aws:CurrentTime": until}}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [dated]})
    worker = assume(client, client("sts"), Policy=policy)
    worker("s3").list_buckets()
    clock.ahead = timedelta(minutes=6)
    with pytest.raises(ClientError) as error:
        worker("s3").list_buckets()
    assert error.value.response["Error"]["Code"] == "AccessDenied"
