"""Accounts that no config describes, and what a member of an organization may ask about it."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from crossaccount_sandbox.accounts import ACCOUNTS, bare, further
from crossaccount_sandbox.command import hints

ORGANIZATIONS = {"producer": "o-sandbox0001", "staging": "o-sandbox0001"}


@pytest.mark.parametrize("account", ORGANIZATIONS)
def test_a_member_sees_its_organization(inner: Any, account: str) -> None:
    found = inner.client(account, "organizations").describe_organization()["Organization"]
    assert (found["Id"], found["FeatureSet"]) == (ORGANIZATIONS[account], "ALL")
    assert found["MasterAccountId"] not in {each.id for each in inner.server.world.accounts.values()}


REFUSED = [
    ("outsider", "describe_organization", "AWSOrganizationsNotInUseException"),
    ("outsider", "list_accounts", "AWSOrganizationsNotInUseException"),
    ("producer", "list_accounts", "AccessDeniedException"),
    ("producer", "list_roots", "AccessDeniedException"),
]


@pytest.mark.parametrize(("account", "call", "code"), REFUSED)
def test_what_no_member_may_is_refused_to_its_administrator(
    inner: Any, account: str, call: str, code: str
) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(inner.client(account, "organizations"), call)()
    assert refused.value.response["Error"]["Code"] == code


def test_an_organization_is_shown_to_whoever_may_look(inner: Any) -> None:
    nothing = {"Effect": "Allow", "Action": "organizations:ListAccounts", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [nothing]})
    with pytest.raises(ClientError, match="not authorized to perform: organizations:DescribeOrganization"):
        inner.session("producer", "organizations", policy).describe_organization()


def test_bare_accounts_differ_from_all_others() -> None:
    accounts = bare(99)
    assert len({each.id for each in accounts}) == len({each.name for each in accounts}) == 99
    assert {each.organization for each in accounts}.isdisjoint(ORGANIZATIONS.values())


@pytest.mark.parametrize(
    ("consumers", "empty", "profiles", "ends"),
    [
        (0, 0, "outsider (444444444444)", []),
        (0, 1, "outsider (444444444444), bare-01 (700000000001)", ["bare-01,"]),
        (0, 2, "bare-01 (700000000001), bare-02 (700000000002)", ["bare-01 to bare-02,"]),
        (6, 3, "consumer-04 (500000000004), and 5 more", ["bare-01 to bare-03,"]),
    ],
)
def test_a_sandbox_says_which_profiles_it_has_and_what_comes_next(
    consumers: int, empty: int, profiles: str, ends: list[str]
) -> None:
    accounts = [*ACCOUNTS, *further(consumers), *bare(empty)]
    named, following, *others = hints(accounts, Path("a.yaml"), empty)
    assert named.startswith("# profiles: producer (111111111111), staging (")
    assert named.endswith(profiles)
    assert following == "# next: crossaccount plan a.yaml"
    assert [line.split(" with ")[1].split(" as ")[0] for line in others] == ends


def test_a_bare_account_holds_an_administrator_and_nothing_else(
    start_sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = start_sandbox("--bare", "2")
    try:
        assert [name for name in sandbox.ready["accounts"] if name.startswith("bare-")] == [
            "bare-01",
            "bare-02",
        ]
        assert set(sandbox.ready) == {"endpoint_url", "region", "accounts", "env", "config"}
        for name, value in sandbox.ready["env"].items():
            monkeypatch.setenv(name, value)
        for name in ("bare-01", "bare-02"):
            session = boto3.Session(profile_name=name)
            assert session.client("sts").get_caller_identity()["Account"] == sandbox.id(name)
            assert session.client("iam").list_roles()["Roles"] == []
            assert session.client("s3").list_buckets()["Buckets"] == []
            assert (
                session.client("sagemaker").list_model_package_groups()["ModelPackageGroupSummaryList"] == []
            )
            assert session.client("cloudformation").describe_stacks()["Stacks"] == []
    finally:
        sandbox.process.send_signal(signal.SIGTERM)
        sandbox.process.wait(timeout=30)
