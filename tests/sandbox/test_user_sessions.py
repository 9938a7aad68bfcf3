"""Sessions that a user has for itself or for a federated user, and what IAM and STS refuse them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

ACCOUNT = "111111111111"
ADMINISTRATOR = f"arn:aws:iam::{ACCOUNT}:user/administrator"


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


LIST_KEYS = {"Effect": "Allow", "Action": "kms:ListKeys", "Resource": "*"}


def refused(call: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as error:
        call()
    response = error.value.response
    return {**response["Error"], "Status": response["ResponseMetadata"]["HTTPStatusCode"]}


def keyed(inner: Any, answer: Any) -> Callable[[str], Any]:
    key = answer["Credentials"]
    return lambda service: inner.keyed(
        service, key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"]
    )


@pytest.fixture(scope="module")
def own(inner: Any) -> Callable[[str], Any]:
    return keyed(inner, inner.client("producer", "sts").get_session_token())


@pytest.fixture
def federated(inner: Any) -> Callable[..., Callable[[str], Any]]:
    sts = inner.client("producer", "sts")
    return lambda **given: keyed(inner, sts.get_federation_token(**{"Name": "guest", **given}))


@pytest.mark.parametrize(("given", "seconds"), [({}, 43_200), ({"DurationSeconds": 900}, 900)])
def test_a_user_s_session_is_the_user_for_a_while(inner: Any, given: dict[str, int], seconds: int) -> None:
    answer = inner.client("producer", "sts").get_session_token(**given)
    session = keyed(inner, answer)
    assert session("sts").get_caller_identity()["Arn"] == ADMINISTRATOR
    session("kms").list_keys()
    left = answer["Credentials"]["Expiration"] - datetime.now(UTC)
    assert 0 < seconds - left.total_seconds() < 10


@pytest.mark.parametrize("seconds", [129_601, 1_000_000])
def test_a_user_s_session_is_no_longer_than_a_day_and_a_half(inner: Any, seconds: int) -> None:
    said = refused(lambda: inner.client("producer", "sts").get_session_token(DurationSeconds=seconds))
    assert (said["Code"], said["Status"]) == ("ValidationError", 400)
    assert "less than or equal to 129600" in said["Message"]


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("iam", lambda c: c.list_roles(), "InvalidClientTokenId"),
        ("iam", lambda c: c.get_user(), "InvalidClientTokenId"),
        ("sts", lambda c: c.get_session_token(), "AccessDenied"),
        ("sts", lambda c: c.get_federation_token(Name="guest"), "AccessDenied"),
        ("sts", lambda c: c.get_access_key_info(AccessKeyId="AKIAIOSFODNN7EXAMPLE"), "AccessDenied"),
        ("sts", lambda c: c.decode_authorization_message(EncodedMessage="x"), "AccessDenied"),
    ],
)
def test_iam_and_sts_refuse_a_user_s_session_without_mfa(
    own: Any, service: str, call: Any, code: str
) -> None:
    said = refused(lambda: call(own(service)))
    assert (said["Code"], said["Status"]) == (code, 403)


def test_a_user_s_session_assumes_roles(inner: Any, own: Any) -> None:
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    made = inner.client("producer", "iam").create_role(
        RoleName="for-sessions", AssumeRolePolicyDocument=document(trust)
    )
    own("sts").assume_role(RoleArn=made["Role"]["Arn"], RoleSessionName="ab")


@pytest.mark.parametrize(
    ("condition", "may"),
    [
        ({"Bool": {"aws:MultiFactorAuthPresent": "false"}}, True),
        ({"Bool": {"aws:MultiFactorAuthPresent": "true"}}, False),
        ({"DateGreaterThan": {"aws:TokenIssueTime": "2020-01-01T00:00:00Z"}}, True),
        ({"DateLessThan": {"aws:TokenIssueTime": "2020-01-01T00:00:00Z"}}, False),
        ({"Null": {"aws:MultiFactorAuthPresent": "true"}}, False),
    ],
)
def test_conditions_see_that_a_session_is_one_and_has_no_mfa(
    inner: Any, condition: dict[str, Any], may: bool
) -> None:
    iam = inner.client("producer", "iam")
    iam.create_user(UserName="conditioned")
    key = iam.create_access_key(UserName="conditioned")["AccessKey"]
    iam.put_user_policy(
        UserName="conditioned", PolicyName="p", PolicyDocument=document({**LIST_KEYS, "Condition": condition})
    )
    lasting = (key["AccessKeyId"], key["SecretAccessKey"])
    try:
        session = keyed(inner, inner.keyed("sts", *lasting).get_session_token())
        if may:
            session("kms").list_keys()
            assert refused(inner.keyed("kms", *lasting).list_keys)["Code"] == "AccessDeniedException"
        else:
            assert refused(session("kms").list_keys)["Code"] == "AccessDeniedException"
    finally:
        iam.delete_user_policy(UserName="conditioned", PolicyName="p")
        iam.delete_access_key(UserName="conditioned", AccessKeyId=key["AccessKeyId"])
        iam.delete_user(UserName="conditioned")


@pytest.mark.parametrize(
    ("call", "given"),
    [
        ("get_session_token", {}),
        ("assume_role", {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/mfa", "RoleSessionName": "ab"}),
    ],
)
def test_nobody_has_an_mfa_device(inner: Any, call: str, given: dict[str, Any]) -> None:
    if call == "assume_role":
        trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
        inner.client("producer", "iam").create_role(RoleName="mfa", AssumeRolePolicyDocument=document(trust))
    code = {"SerialNumber": f"arn:aws:iam::{ACCOUNT}:mfa/x", "TokenCode": "123456"}
    said = refused(lambda: getattr(inner.client("producer", "sts"), call)(**given, **code))
    assert said["Code"] == "AccessDenied"
    assert "MultiFactorAuthentication failed" in said["Message"]


def test_a_federated_user_may_do_what_user_and_policy_allow(federated: Any) -> None:
    session = federated(Policy=document(LIST_KEYS))
    assert session("sts").get_caller_identity()["Arn"] == f"arn:aws:sts::{ACCOUNT}:federated-user/guest"
    session("kms").list_keys()
    assert refused(session("s3").list_buckets)["Code"] == "AccessDenied"


@pytest.mark.parametrize("service", ["iam", "kms", "s3"])
def test_a_federated_user_without_a_policy_may_do_nothing(federated: Any, service: str) -> None:
    calls = {
        "iam": lambda c: c.list_roles(),
        "kms": lambda c: c.list_keys(),
        "s3": lambda c: c.list_buckets(),
    }
    assert refused(lambda: calls[service](federated()(service)))["Status"] in (400, 403)


@pytest.mark.parametrize(
    ("key", "said"),
    [("own", ACCOUNT), ("AKIAIOSFODNN7EXAMPLE", "ValidationError")],
)
def test_the_account_of_a_key_is_told_where_it_is_known(inner: Any, key: str, said: str) -> None:
    sts = inner.client("producer", "sts")
    asked = inner.keys["producer"][0] if key == "own" else key
    if said == ACCOUNT:
        assert sts.get_access_key_info(AccessKeyId=asked)["Account"] == said
    else:
        assert refused(lambda: sts.get_access_key_info(AccessKeyId=asked))["Code"] == said


def test_a_session_s_key_is_told_to_who_writes_keys_down(inner: Any) -> None:
    answer = inner.client("producer", "sts").get_session_token()
    held = inner.server.world.keys.find(answer["Credentials"]["AccessKeyId"])
    assert held.secret == answer["Credentials"]["SecretAccessKey"]
    assert held.secret not in repr(held)
