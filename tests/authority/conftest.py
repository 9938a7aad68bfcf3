"""A producer and one consumer on a sandbox in this process, a clock that can be turned, and a hand that acts as anyone.

The config names the consumer's two roles alone (``principals: roles``), and its access ends in five minutes.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError

from crossaccount.aws import loaders
from crossaccount.config.loading import parse_config
from crossaccount.config.model import Sharing
from crossaccount_sandbox import accounts
from crossaccount_sandbox.server import Server

TEMPLATES = Path(__file__).parents[2] / "deployments" / "iam"
NAME = "decision-trees-staging"
Identity = tuple[str, str, str | None]


def role_arn(account: str, name: str) -> str:
    return f"arn:aws:iam::{account}:role/{name}"


def document(principals: str = "roles", **changes: Any) -> str:
    """The config, with keys of the consumer changed, or with ``producer__`` before it of the producer."""
    producer = {
        "account": accounts.PRODUCER.id,
        "role": role_arn(accounts.PRODUCER.id, "crossaccount-producer"),
        "external_id": "sandbox-producer",
        "profile": "producer",
        "releases": f"s3://{accounts.BUCKET}/{accounts.RELEASES}",
    }
    alarmed = {"type": "all-at-once", "alarms": ["errors"]}
    staging = {
        "account": accounts.STAGING.id,
        "role": role_arn(accounts.STAGING.id, "crossaccount-deployer"),
        "external_id": "sandbox-staging",
        "profile": "staging",
        "execution_role": role_arn(accounts.STAGING.id, "crossaccount-execution"),
        "endpoint": {"name": NAME, "instance_type": "ml.m5.large", "deployment": alarmed},
        "expires": (datetime.now(UTC) + timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    for key, value in changes.items():
        side = producer if key.startswith("producer__") else staging
        side[key.removeprefix("producer__")] = value
    whole = {"model_package_group": accounts.GROUP, "region": accounts.REGION, "principals": principals}
    return json.dumps({**whole, "producer": producer, "consumers": {"staging": staging}})


class Clock:
    """The sandbox's time: the machine's, and a little ahead while a test says so."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    @contextmanager
    def later(self, minutes: int) -> Iterator[None]:
        self.ahead = timedelta(minutes=minutes)
        try:
            yield
        finally:
            self.ahead = timedelta()


class Hand:
    """One client of each service, whose requests are signed as whoever acts: a client takes longer to make than its call."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = botocore.session.Session()
        self._session.register_component("data_loader", loaders.shared_loader())
        self._session.set_credentials("nobody", "nobody")
        self._key: Any = self._session.get_credentials()
        self._clients: dict[str, Any] = {}

    def do(self, who: Identity, service: str, operation: str, params: Mapping[str, Any]) -> Any:
        """AWS's answer; raises its error."""
        if service not in self._clients:
            config = Config(retries={"total_max_attempts": 1}, inject_host_prefix=False)
            given: dict[str, Any] = {"region_name": accounts.REGION, "endpoint_url": self._url}
            self._clients[service] = self._session.create_client(service, config=config, **given)
        self._key.access_key, self._key.secret_key, self._key.token = who
        return getattr(self._clients[service], xform_name(operation))(**params)

    def attempt(
        self, who: Identity, service: str, operation: str, params: Mapping[str, Any]
    ) -> tuple[str, str]:
        """The code and message of AWS's error; ``done`` and nothing where it did it."""
        try:
            self.do(who, service, operation, params)
        except ClientError as error:
            said = error.response["Error"]
            return said["Code"], said.get("Message", "")
        return "done", ""


@dataclass
class Scene:
    """Who lives there, and what stands."""

    server: Server
    clock: Clock
    calls: list[dict[str, Any]]
    hand: Hand
    residents: accounts.Residents
    sharing: Sharing
    boundaries: dict[tuple[str, str], str] = field(default_factory=dict)
    _assumed: dict[str, Identity] = field(default_factory=dict)

    def administrator(self, account: str) -> Identity:
        key = self.residents.administrators[account]
        return key.access_key_id, key.secret_access_key, None

    def operator(self, account: str) -> Identity:
        key = self.residents.operators[account]
        return key.access_key_id, key.secret_access_key, None

    def admin(self, account: str, service: str, operation: str, **params: Any) -> Any:
        return self.hand.do(self.administrator(account), service, operation, params)

    def assumed(self, account: str, role: str, external_id: str | None = None, **more: Any) -> Identity:
        """A session of a role, in which its account's administrator acts; made once for the same."""
        asked = {"RoleArn": role, "RoleSessionName": "attempt", **more}
        if external_id is not None:
            asked["ExternalId"] = external_id
        known = json.dumps(asked, sort_keys=True)
        if known not in self._assumed:
            key = self.admin(account, "sts", "AssumeRole", **asked)["Credentials"]
            self._assumed[known] = key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"]
        return self._assumed[known]

    def variant(self, **changes: Any) -> Sharing:
        """The config with something else in it, see `document`."""
        return parse_config(document(**changes))

    def state(self) -> dict[str, str]:
        """What stands in every account: policies, objects, what SageMaker holds, endpoints and what they serve."""
        world = self.server.world
        registry = world.registry
        places = [(account.id, accounts.REGION) for account in accounts.ACCOUNTS]
        endpoints = [one for place in places for one in self.server.hosting.all(place)]
        return {
            "policies": repr(sorted(world.attached._stored.items())),
            "objects": repr(world.object_names(accounts.BUCKET)),
            "packages": repr((registry.groups, registry.packages)),
            "models": repr(registry.models),
            "configs": repr(registry.configs),
            "tags": repr(registry.tags),
            "endpoints": repr([(one["EndpointArn"], one["EndpointConfigName"]) for one in endpoints]),
            "components": repr(sorted((key, one["Statuses"]) for key, one in world.components.items())),
        }


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    clock, calls = Clock(), list[dict[str, Any]]()

    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        find = socket.getaddrinfo

        def found(host: Any, *more: Any, **named: Any) -> Any:
            """Clients of S3 Control put the account in front of the host, which is an address here."""
            return find("127.0.0.1" if str(host).endswith(".127.0.0.1") else host, *more, **named)

        patch.setattr(socket, "getaddrinfo", found)
        patch.setattr("crossaccount.hosting.gateway.FIRST_SECONDS", 0.02)
        three = [accounts.PRODUCER, accounts.STAGING, accounts.OUTSIDER]
        server = Server(three, endpoint_seconds=0.02, speed=5000, clock=clock, log=calls.append)
        server.start()
        residents = accounts.settle(server.url, TEMPLATES, three)
        keys = tmp_path_factory.mktemp("aws") / "credentials"
        keys.write_text(
            "".join(
                f"[{name}]\naws_access_key_id={key.access_key_id}\naws_secret_access_key={key.secret_access_key}\n"
                for name, key in residents.operators.items()
            )
        )
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
        hand = Hand(server.url)
        yield Scene(server, clock, calls, hand, residents, parse_config(document()))
        server.stop()
