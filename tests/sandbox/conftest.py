"""A sandbox inside this process, with an administrator in each account and nothing else: quick to start, free to break."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.config import Config

from crossaccount_sandbox.accounts import ACCOUNTS, REGION, _administrator
from crossaccount_sandbox.server import Server

_EVERYTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)


def _trust(account: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclass
class Inner:
    """The server, the entries of its call log, and clients that ask once, each made once: making one is what takes time."""

    server: Server
    entries: list[dict[str, Any]]
    _keys: dict[str, tuple[str, str]]
    _session: Any = field(default_factory=boto3.session.Session)
    _clients: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    _sessions: dict[tuple[str, str], tuple[str, str, str]] = field(default_factory=dict)

    @property
    def keys(self) -> dict[str, tuple[str, str]]:
        """The access key and secret of each account's administrator."""
        return self._keys

    @property
    def url(self) -> str:
        return self.server.url

    def client(self, account: str, service: str, region: str = REGION) -> Any:
        """A client of the account's administrator."""
        return self.keyed(service, *self._keys[account], region=region)

    def fresh(self, account: str, service: str, region: str) -> Any:
        """A client of the account's administrator that remembers nothing of those before it."""
        self._clients.pop((service, *self._keys[account], None, region), None)
        return self.client(account, service, region)

    def session(self, account: str, service: str, policy: str) -> Any:
        """A client in a session that may do what the policy says and nothing else."""
        if (account, policy) not in self._sessions:
            iam, sts = self.client(account, "iam"), self.client(account, "sts")
            number = sts.get_caller_identity()["Account"]
            if not any(role["RoleName"] == "all" for role in iam.list_roles()["Roles"]):
                iam.create_role(RoleName="all", AssumeRolePolicyDocument=_trust(number))
                iam.put_role_policy(RoleName="all", PolicyName="all", PolicyDocument=_EVERYTHING)
            arn = f"arn:aws:iam::{number}:role/all"
            key = sts.assume_role(RoleArn=arn, RoleSessionName="narrow", Policy=policy)["Credentials"]
            self._sessions[account, policy] = (
                key["AccessKeyId"],
                key["SecretAccessKey"],
                key["SessionToken"],
            )
        return self.keyed(service, *self._sessions[account, policy])

    def keyed(
        self, service: str, key: str, secret: str, token: str | None = None, region: str = REGION
    ) -> Any:
        """A client with an access key of one's own."""
        made = (service, key, secret, token, region)
        if made not in self._clients:
            self._clients[made] = self._session.client(
                service,
                aws_access_key_id=key,
                aws_secret_access_key=secret,
                aws_session_token=token,
                region_name=region,
                endpoint_url=self.url,
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self._clients[made]


@pytest.fixture(scope="module")
def inner() -> Iterator[Inner]:
    entries: list[dict[str, Any]] = []
    server = Server(ACCOUNTS, log=entries.append)
    server.start()
    keys = {account.name: _administrator(account) for account in ACCOUNTS}
    yield Inner(
        server, entries, {name: (key.access_key_id, key.secret_access_key) for name, key in keys.items()}
    )
    server.stop()
