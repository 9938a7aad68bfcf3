"""Accounts share clients, and none ever signs a call with the credentials of another."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from crossaccount.aws import sessions
from crossaccount.aws.access import Account, Producer, open_producer, open_target
from crossaccount.aws.clients import AccountSession, Caller, SharedClients, botocore_session, settings_key
from crossaccount.aws.retries import Persistence
from crossaccount.config.loading import load_config

PRODUCER, BUCKET = "111111111111", "producer-models-111111111111"


def reads_the_bucket(one: Account) -> bool:
    pages = one.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    if isinstance(one, Producer):
        return bool(list(pages))
    with pytest.raises(ClientError, match="AccessDenied"):
        list(pages)
    return False


OWN_ACCOUNT: dict[str, Callable[[Account, str], bool]] = {
    "a call": lambda one, own: one.client("sts").get_caller_identity()["Account"] == own,
    "a paginator": lambda one, own: reads_the_bucket(one) == (own == PRODUCER),
    "a signed URL": lambda one, own: (
        one.session.caller.credentials.access_key  # type: ignore[attr-defined]
        in one.s3.generate_presigned_url("get_object", Params={"Bucket": "any", "Key": own})
    ),
}


@pytest.mark.parametrize("lasts", [900, 3600], ids=["refreshed before each call", "kept"])
def test_no_account_s_call_is_signed_with_another_s_credentials(
    aws: Any, lasts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # AWS's shortest session is as long as botocore's margin, so every call that begins brings new credentials.
    monkeypatch.setattr(sessions, "_SESSION_SECONDS", lasts)
    sharing = load_config(aws.config)
    with sessions.reuse(), ThreadPoolExecutor(16) as pool:
        accounts: list[Any] = [
            open_producer(sharing),
            *(open_target(sharing, name) for name in sharing.consumers),
        ]
        assert len({one.account for one in accounts}) == len(accounts) > 1
        assert len({id(one.session._shared) for one in accounts}) == 1
        asked = [
            pool.submit(ask, one, one.account)
            for _ in range(4)
            for name, ask in OWN_ACCOUNT.items()
            for one in accounts
            if lasts > 900 or name == "a call"  # each refreshes, and takes its time
        ]
        assert all(each.result() for each in asked)


def test_pages_and_waits_that_are_begun_by_one_thread_stay_the_account_s(aws: Any) -> None:
    sharing = load_config(aws.config)
    with sessions.reuse():
        mine, other = open_producer(sharing), open_target(sharing, "staging")
        pages = iter(mine.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET))
        assert other.client("sts").get_caller_identity()["Account"] == other.account
        assert [one["Key"] for page in pages for one in page["Contents"]]
        mine.s3.get_waiter("bucket_exists").wait(Bucket=BUCKET, WaiterConfig={"Delay": 1})


def test_a_call_for_no_account_is_never_made(aws: Any) -> None:
    shared = SharedClients(botocore_session(None), "us-east-1")
    with pytest.raises(RuntimeError, match="for none of them"):
        shared.client("sts", "us-east-1").get_caller_identity()
    with pytest.raises(RuntimeError, match="for none of them"):
        shared.session.get_credentials().get_frozen_credentials()


def test_within_a_call_another_account_s_call_is_its_own(aws: Any) -> None:
    """As the refreshing of credentials is: the caller is then the source of them, and afterwards the account again."""
    shared = SharedClients(botocore_session(None), "us-east-1")
    one, other = (
        AccountSession(shared, Caller(boto3.Session(profile_name=name).get_credentials(), Persistence()))
        for name in ("producer", "staging")
    )
    seen = []
    sts = one.client("sts")

    def nested() -> str:
        seen.append(other.client("sts").get_caller_identity()["Account"])
        return str(sts.get_caller_identity()["Account"])

    before = one.caller.calling(nested)()
    assert [before, *seen, sts.get_caller_identity()["Account"]] == [before, seen[0], before]
    assert before != seen[0]


@pytest.mark.parametrize(
    ("lines", "same"),
    [
        ("aws_access_key_id = AKIAOTHER\naws_secret_access_key = x\nregion = eu-west-1", True),
        ("role_arn = arn:aws:iam::222222222222:role/x\nsource_profile = default\nexternal_id = y", True),
        ("sso_session = z\nsso_account_id = 222222222222\nsso_role_name = r", True),
        ("endpoint_url = https://elsewhere.example", False),
        ("ca_bundle = /etc/other.pem", False),
        ("use_fips_endpoint = true", False),
        ("s3 =\n  addressing_style = path", False),
        ("a_setting_of_tomorrow = 1", False),
    ],
)
def test_profiles_share_clients_where_they_differ_in_credentials_alone(
    lines: str, same: bool, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config"
    file.write_text(
        f"[default]\naws_access_key_id = AKIAONE\naws_secret_access_key = a\n[profile other]\n{lines}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    keys = {settings_key(botocore_session(name)) for name in (None, "other")}
    assert (len(keys) == 1) is same
