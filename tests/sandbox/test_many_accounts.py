"""Hundreds of accounts: all but the first consumer are copies of it, made by no call, and as if calls had made them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from crossaccount_sandbox import accounts, training
from crossaccount_sandbox.accounts import PRODUCER, PRODUCTION, REGION, STAGING, Credentials, Residents
from crossaccount_sandbox.server import Server

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "deployments" / "iam"
STACK = "crossaccount"
_NUMBERS = (
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UUID"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?", "TIME"),
    (r"\bA(ROA|IDA|NPA|KIA)[A-Z0-9]{16,17}\b", r"A\1"),
    (r"\b(crossa-\w{4})-[A-Z0-9]{12,13}\b|\b(cross-\w{4})-\w{12,13}\b", "RANDOM"),
)


def begin(log: Path, *consumers: str) -> tuple[float, dict[str, Any], int]:
    """Start the command and end it: its processor seconds up to its line, that line, and the calls that it answered."""
    command = [sys.executable, "-m", "crossaccount", "sandbox", "--json", "--log", str(log), *consumers]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        ready = json.loads(process.stdout.readline())
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return seconds, ready, len(log.read_text().splitlines())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells a process's seconds so")
def test_two_hundred_accounts_start_within_three_times_the_four(tmp_path: Path) -> None:
    few, _, calls = begin(tmp_path / "few")
    many, ready, same_calls = begin(tmp_path / "many", "--consumers", "196")
    assert same_calls == calls
    assert many <= 3 * few
    assert len(ready["accounts"]) == 200
    last = ready["accounts"]["consumer-196"]
    assert last["id"] == "500000000196"
    keys = [account["access_key_id"] for account in ready["accounts"].values()]
    assert len(set(keys)) == 200


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("501", "'501' is not a number of accounts: give 0 to 500"),
        ("-1", "'-1' is not a number of accounts: give 0 to 500"),
        ("2.5", "'2.5' is not a number of accounts: give 0 to 500"),
    ],
)
def test_more_than_was_tried_is_refused(given: str, says: str) -> None:
    command = [sys.executable, "-m", "crossaccount", "sandbox", f"--consumers={given}"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert f"argument --consumers: {says}" in ended.stderr


@pytest.fixture(scope="module")
def trained() -> list[training.TrainedModel]:
    return training.train_all()


def client(server: Server, key: Credentials, service: str, token: str | None = None) -> Any:
    session: Any = boto3.session.Session()
    return session.client(
        service,
        region_name=REGION,
        endpoint_url=server.url,
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret_access_key,
        aws_session_token=token,
    )


def plain(value: Any) -> Any:
    """An answer without what differs from one creation to the next, the order of lists included."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items() if name != "ResponseMetadata"}
    if isinstance(value, list):
        return sorted((plain(each) for each in value), key=str)
    text = str(value)
    for pattern, said in _NUMBERS:
        text = re.sub(pattern, said, text)
    return text


def seen(server: Server, residents: Residents) -> dict[str, Any]:
    """All that CloudFormation and IAM tell the production account's administrator of it."""
    key = residents.administrators["production"]
    stacks, iam = client(server, key, "cloudformation"), client(server, key, "iam")
    sts = client(server, residents.operators["production"], "sts")
    told = {
        "roles": iam.list_roles(),
        "users": iam.list_users(),
        "policies": iam.list_policies(Scope="Local"),
        "versions": [
            iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])
            for policy in iam.list_policies(Scope="Local")["Policies"]
        ],
        "operator": iam.list_attached_user_policies(UserName="operator"),
        "user": iam.get_user(UserName="operator"),
        "keys": [
            len(iam.list_access_keys(UserName=user)["AccessKeyMetadata"])
            for user in ("operator", "administrator")
        ],
        "who": sts.get_caller_identity(),
        "stack": stacks.describe_stacks(StackName=STACK),
        "resources": stacks.list_stack_resources(StackName=STACK),
        "events": stacks.describe_stack_events(StackName=STACK),
        "template": stacks.get_template(StackName=STACK),
    }
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        told[name] = iam.get_role(RoleName=name)
        told[f"{name} has"] = {
            policy: iam.get_role_policy(RoleName=name, PolicyName=policy)
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
        }
    return plain(told)  # type: ignore[no-any-return]


def test_a_copy_tells_what_an_account_tells_whose_stack_was_deployed(
    trained: list[training.TrainedModel],
) -> None:
    told = []
    for copied in (False, True):
        server = Server([PRODUCER, STAGING, PRODUCTION])
        server.start()
        try:
            stacks = server.stacks if copied else None
            residents = accounts.settle(
                server.url, TEMPLATES, [PRODUCER, STAGING, PRODUCTION], lambda: trained, stacks
            )
            told.append(seen(server, residents))
        finally:
            server.stop()
    deployed, copy = told
    assert len(deployed["crossaccount-deployer has"]) > 0
    assert copy == deployed
    assert STAGING.id not in json.dumps(copy)


@pytest.fixture
def three(trained: list[training.TrainedModel]) -> Iterator[tuple[Server, Residents]]:
    server = Server([PRODUCER, STAGING, PRODUCTION])
    server.start()
    everyone = [PRODUCER, STAGING, PRODUCTION]
    yield server, accounts.settle(server.url, TEMPLATES, everyone, lambda: trained, server.stacks)
    server.stop()


def test_copies_share_no_id_and_change_apart(three: tuple[Server, Residents]) -> None:
    server, residents = three
    iam = {name: client(server, residents.administrators[name], "iam") for name in ("staging", "production")}
    ids = [
        {
            *(role["RoleId"] for role in each.list_roles()["Roles"]),
            *(user["UserId"] for user in each.list_users()["Users"]),
            *(policy["PolicyId"] for policy in each.list_policies(Scope="Local")["Policies"]),
        }
        for each in iam.values()
    ]
    assert len(ids[0]) == len(ids[1]) > 4
    assert not ids[0] & ids[1]
    for name in iam["production"].list_role_policies(RoleName="crossaccount-deployer")["PolicyNames"]:
        iam["production"].delete_role_policy(RoleName="crossaccount-deployer", PolicyName=name)
    assert iam["staging"].list_role_policies(RoleName="crossaccount-deployer")["PolicyNames"]


@pytest.mark.parametrize("role", ["crossaccount-deployer", "crossaccount-execution"])
def test_the_roles_of_a_copy_may_use_the_producer_s_key(three: tuple[Server, Residents], role: str) -> None:
    server, residents = three
    keys = client(server, residents.administrators["producer"], "kms").list_keys()["Keys"]
    named = {
        name: client(server, residents.administrators[name], "iam").get_role_policy(
            RoleName=role, PolicyName="key"
        )["PolicyDocument"]["Statement"][0]["Resource"]
        for name in ("staging", "production")
    }
    assert named["production"] == named["staging"]
    assert named["staging"] in {key["KeyArn"] for key in keys}


def test_a_copy_is_judged_under_its_own_names(three: tuple[Server, Residents]) -> None:
    server, residents = three
    sts = client(server, residents.operators["production"], "sts")

    def assume(account: str, external_id: str) -> Any:
        role = f"arn:aws:iam::{account}:role/crossaccount-deployer"
        return sts.assume_role(RoleArn=role, RoleSessionName="it", ExternalId=external_id)

    session = assume(PRODUCTION.id, "sandbox-production")["Credentials"]
    for account, external_id in ((PRODUCTION.id, "sandbox-staging"), (STAGING.id, "sandbox-staging")):
        with pytest.raises(ClientError, match="AccessDenied"):
            assume(account, external_id)
    key = Credentials(session["AccessKeyId"], session["SecretAccessKey"])
    sagemaker = client(server, key, "sagemaker", session["SessionToken"])
    with pytest.raises(ClientError, match="Could not find endpoint"):
        sagemaker.describe_endpoint(EndpointName="decision-trees-production")
    with pytest.raises(ClientError, match="AccessDenied"):
        sagemaker.describe_endpoint(EndpointName="decision-trees-staging")


def test_the_stack_of_a_copy_is_changed_and_removed_as_any(three: tuple[Server, Residents]) -> None:
    server, residents = three
    key = residents.administrators["production"]
    stacks, iam = client(server, key, "cloudformation"), client(server, key, "iam")
    held = stacks.describe_stacks(StackName=STACK)["Stacks"][0]["Parameters"]
    change: dict[str, Any] = {
        "StackName": STACK,
        "UsePreviousTemplate": True,
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
    }
    with pytest.raises(ClientError, match="No updates are to be performed"):
        stacks.update_stack(**change, Parameters=held)
    other = [
        {**each, "ParameterValue": "changed-id"} if each["ParameterKey"] == "ExternalId" else each
        for each in held
    ]
    stacks.update_stack(**change, Parameters=other)
    trust = iam.get_role(RoleName="crossaccount-deployer")["Role"]["AssumeRolePolicyDocument"]
    assert "changed-id" in json.dumps(trust)
    policy = f"arn:aws:iam::{PRODUCTION.id}:policy/crossaccount-consumer-operator"
    iam.detach_user_policy(UserName="operator", PolicyArn=policy)
    stacks.delete_stack(StackName=STACK)
    assert stacks.describe_stacks()["Stacks"] == []
    assert iam.list_roles()["Roles"] == []
    staging = client(server, residents.administrators["staging"], "iam")
    assert staging.list_roles()["Roles"]
