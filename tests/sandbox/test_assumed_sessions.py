"""The product's own sessions: refused with the door named, checked against the config, and refreshed before they end."""

from __future__ import annotations

from typing import Any

import pytest

from crossaccount.aws import sessions
from crossaccount.config.loading import load_config
from crossaccount.config.model import Sharing
from crossaccount.errors import DoorName, InputError, Refused


@pytest.fixture
def sharing(aws: Any) -> Sharing:
    return load_config(aws.config)


def test_a_session_brings_new_credentials_before_the_old_ones_end(
    sharing: Sharing, monkeypatch: pytest.MonkeyPatch
) -> None:
    # AWS's shortest session is as long as botocore's margin, so every call that begins brings new credentials.
    monkeypatch.setattr(sessions, "_SESSION_SECONDS", 900)
    session = sessions.consumer_session(sharing, "staging", sharing.consumers["staging"])
    sts, credentials = session.client("sts"), session.get_credentials()
    assert credentials is not None
    first = credentials.get_frozen_credentials().access_key
    arn = sts.get_caller_identity()["Arn"]
    assert arn.startswith("arn:aws:sts::222222222222:assumed-role/crossaccount-deployer/")
    assert credentials.get_frozen_credentials().access_key != first


def test_within_a_run_a_role_is_assumed_once(sharing: Sharing) -> None:
    with sessions.reuse():
        one, other = (sessions.producer_session(sharing) for _ in range(2))
        assert one is other
    assert sessions.producer_session(sharing) is not one


@pytest.mark.parametrize("external_id", ["a-wrong-one", None])
def test_a_wrong_external_id_is_the_role_s_trust(sharing: Sharing, external_id: str | None) -> None:
    consumer = sharing.consumers["staging"].model_copy(update={"external_id": external_id})
    with pytest.raises(Refused) as error:
        sessions.consumer_session(sharing, "staging", consumer)
    refusal = error.value.refusal
    assert (refusal.door, refusal.account, refusal.action) == (
        DoorName.ROLE_TRUST,
        "222222222222",
        "sts:AssumeRole",
    )
    assert "consumers.staging.external_id" in refusal.next_step


def test_an_operator_of_another_account_is_refused(sharing: Sharing) -> None:
    consumer = sharing.consumers["staging"].model_copy(update={"profile": "outsider"})
    with pytest.raises(Refused) as error:
        sessions.consumer_session(sharing, "staging", consumer)
    assert error.value.exit_code == 3


def test_credentials_of_another_account_than_the_config_says_are_refused(sharing: Sharing) -> None:
    producer = sharing.producer.model_copy(update={"role": None, "external_id": None, "profile": "staging"})
    with pytest.raises(
        InputError,
        match=r"producer\.account is 111111111111, but the credentials belong to account 222222222222",
    ):
        sessions.producer_session(sharing.model_copy(update={"producer": producer}))


def test_no_text_of_a_session_has_a_secret(sharing: Sharing) -> None:
    session = sessions.consumer_session(sharing, "staging", sharing.consumers["staging"])
    credentials = session.get_credentials()
    assert credentials is not None
    frozen = credentials.get_frozen_credentials()
    for text in (repr(session), str(session), repr(credentials)):
        assert frozen.secret_key not in text
        assert str(frozen.token) not in text


def test_an_aws_profile_that_does_not_exist_is_bad_input(
    sharing: Sharing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nope")
    producer = sharing.producer.model_copy(update={"profile": None})
    with pytest.raises(InputError, match="nope"):
        sessions.producer_session(sharing.model_copy(update={"producer": producer}))
    producer = sharing.producer.model_copy(update={"profile": "ghost"})
    with pytest.raises(InputError, match=r"'ghost' \(it has: .*staging"):
        sessions.producer_session(sharing.model_copy(update={"producer": producer}))
