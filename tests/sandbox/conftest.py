"""A sandbox inside this process, with an administrator in each account and nothing else: quick to start, free to break."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.config import Config

from sandbox.accounts import ACCOUNTS, REGION, _administrator
from sandbox.server import Server


@dataclass
class Inner:
    """The server, the entries of its call log, and clients that ask once."""

    server: Server
    entries: list[dict[str, Any]]
    _keys: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.server.url

    def client(self, account: str, service: str, region: str = REGION) -> Any:
        """A client of the account's administrator."""
        return self.keyed(service, *self._keys[account], region=region)

    def keyed(
        self, service: str, key: str, secret: str, token: str | None = None, region: str = REGION
    ) -> Any:
        """A client with an access key of one's own."""
        session: Any = boto3.session.Session(key, secret, token, region_name=region)
        once = Config(retries={"total_max_attempts": 1})
        return session.client(service, endpoint_url=self.url, config=once)


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
