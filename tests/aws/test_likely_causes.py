"""What is likely comes first: a sandbox that has ended, a name that is misspelt, a role that is not there."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import pytest

from crossaccount.aws import access
from crossaccount.config.loading import load_config
from crossaccount.errors import Failed, InputError, Refused

SANDBOX = "start crossaccount sandbox, and paste the export lines"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A shell without exports, of someone without profiles."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return monkeypatch


def said_of(config: Path) -> str:
    with pytest.raises(InputError) as caught:
        access.open_producer(load_config(config))
    return str(caught.value)


def in_order(text: str, *words: str) -> bool:
    places = [text.find(each) for each in words]
    return -1 not in places and places == sorted(places)


def test_forgotten_exports_are_the_likely_cause_where_there_is_no_profile(
    sandbox: Any, bare: pytest.MonkeyPatch
) -> None:
    text = said_of(sandbox.config)
    assert in_order(
        text, "no AWS profile 'producer' (it has: none)", SANDBOX, "aws configure --profile producer"
    )
    assert "leave profile out" in text


def test_a_misspelt_profile_is_where_there_are_others(
    sandbox: Any, bare: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "credentials"
    file.write_text("[producers]\naws_access_key_id = a\naws_secret_access_key = b\n")
    bare.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    assert in_order(said_of(sandbox.config), "(it has: producers)", "Did you mean producers", SANDBOX)


@pytest.mark.parametrize("name", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
def test_a_sandbox_that_took_its_files_along_is_told(
    sandbox: Any, bare: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    bare.setenv(name, str(tmp_path / "gone"))
    assert in_order(said_of(sandbox.config), f"{name} names", "which is not there", SANDBOX, f"unset {name}")


def test_everything_that_a_sandbox_left_in_a_shell_is_unset_at_once(
    sandbox: Any, bare: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        bare.setenv(name, str(tmp_path / "gone"))
    bare.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    unset = "for AWS, unset AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE AWS_ENDPOINT_URL, or"
    assert unset in said_of(sandbox.config)


def test_a_profile_of_a_bare_account_is_of_a_sandbox_with_such(edited: Any, bare: pytest.MonkeyPatch) -> None:
    text = said_of(edited(producer__profile="bare-02"))
    assert "start crossaccount sandbox --bare N, and paste the export lines" in text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_where_a_sandbox_was_and_nothing_listens_it_has_ended(
    aws: Any, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    with pytest.raises(Failed) as caught:
        access.open_producer(load_config(aws.config))
    assert in_order(str(caught.value), "AWS does not answer", SANDBOX, "unset AWS_ENDPOINT_URL")


MISSPELT = [
    ("model_package_group", {"model_package_group": "decision-trees-sampel"}, "decision-trees-sampel"),
    (
        "producer.releases",
        {"producer__releases": "s3://producer-modles-111111111111/releases/"},
        "producer-modles-111111111111",
    ),
]


@pytest.mark.parametrize(("key", "change", "name"), MISSPELT)
def test_a_misspelt_name_comes_before_a_policy(
    aws: Any, edited: Any, key: str, change: dict[str, str], name: str
) -> None:
    producer = access.open_producer(load_config(edited(**change)))
    calls = {
        "model_package_group": lambda: producer.sagemaker.list_model_packages(ModelPackageGroupName=name),
        "producer.releases": lambda: producer.s3.list_objects_v2(Bucket=name),
    }
    with pytest.raises(Refused) as caught, producer.explained():
        calls[key]()
    step = caught.value.refusal.next_step
    assert in_order(
        step,
        f"First compare {key} of the config, {name},",
        "crossaccount doctor CONFIG",
        "crossaccount roles CONFIG --check",
        "must allow",
    )


def test_the_consumer_s_role_says_it_too(aws: Any, edited: Any) -> None:
    target = access.open_target(load_config(edited(model_package_group="decision-trees-sampel")), "staging")
    group = "arn:aws:sagemaker:us-east-1:111111111111:model-package-group/decision-trees-sampel"
    with (
        pytest.raises(Refused) as caught,
        target.explained("sagemaker:DescribeModelPackageGroup", group, "registry"),
    ):
        target.sagemaker.describe_model_package_group(ModelPackageGroupName=group)
    assert in_order(caught.value.refusal.next_step, "First compare model_package_group", "must allow")


def test_what_the_config_does_not_name_is_no_misspelt_name(aws: Any) -> None:
    producer = access.open_producer(load_config(aws.config))
    with pytest.raises(Refused) as caught, producer.explained():
        producer.s3.list_objects_v2(Bucket="somebody-elses-bucket")
    assert "First compare" not in caught.value.refusal.next_step


def test_a_policy_that_denies_is_no_misspelt_name(aws: Any) -> None:
    config = load_config(aws.config)
    with aws.denied("producer", "crossaccount-producer", "sagemaker:ListModelPackages"):
        producer = access.open_producer(config)
        with pytest.raises(Refused) as caught, producer.explained():
            producer.sagemaker.list_model_packages(ModelPackageGroupName=config.model_package_group)
    assert "First compare" not in caught.value.refusal.next_step


def test_a_role_that_is_not_let_in_is_told_once_and_may_not_exist(aws: Any, edited: Any) -> None:
    role = "arn:aws:iam::222222222222:role/crossacount-deployer"
    ended = aws.cli("deploy", edited(consumers__staging__role=role), "--consumer", "staging")
    assert ended.returncode == 3
    assert ended.stderr.count("AWS says the same of a role that does not exist") == 1
    assert re.search(r"crossaccount doctor \S+\.yaml tells which it is", ended.stderr)
    assert "Traceback" not in ended.stderr
    assert "Refreshing temporary credentials" not in ended.stderr
