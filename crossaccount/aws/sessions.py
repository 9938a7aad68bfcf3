"""Sessions of the accounts that a config names: the one place that assumes roles.

A session opened here refreshes its own credentials, so a wait may outlast the hour that role chaining allows. Nothing else
in the library sees a credential. Not here: the calls that clients make, and how credentials are hidden (``hiding``).

Source: AssumeRole in the AWS STS API reference; "Roles terms and concepts" (role chaining) in the IAM user guide.
"""

import ipaddress
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ProfileNotFound
from botocore.session import Session as BotocoreSession

from crossaccount.aws.credentials import FAULTS, explain_refreshes, fault_of, name_of
from crossaccount.aws.hiding import hide_credentials
from crossaccount.aws.loaders import shared_loader
from crossaccount.aws.operations import note_calls
from crossaccount.aws.refusals import Attempt, classify, unreachable
from crossaccount.aws.retries import CLIENTS, Persistence
from crossaccount.config.model import ConsumerConfig, ProducerConfig, Sharing
from crossaccount.errors import DoorName, InputError

_Identity = tuple[str | None, str | None, str | None, str, str]
_REUSED: ContextVar[dict[_Identity, boto3.Session] | None] = ContextVar("sessions used again", default=None)
SESSION_NAME = "crossaccount-model-deployment"
_SESSION_SECONDS = 3600  # role chaining allows no more, and credentials refresh themselves


def producer_session(sharing: Sharing) -> boto3.Session:
    """A session in the producer account: in its role, or without one in the profile or the ambient credentials.

    Raises:
        Refused: when the role may not be assumed.
        InputError: for a profile that does not exist, or credentials of another account.
        Failed: without credentials, or without a reachable AWS.
    """
    return _session("producer", sharing.producer, sharing.region)


def consumer_session(sharing: Sharing, name: str, consumer: ConsumerConfig) -> boto3.Session:
    """A session in a consumer's deployer role; raises as `producer_session` does.

    Args:
        sharing: has the region.
        name: the consumer's name in the config, for messages.
        consumer: has the role, the external id and the profile.
    """
    return _session(f"consumers.{name}", consumer, sharing.region)


def _session(key: str, side: ProducerConfig | ConsumerConfig, region: str) -> boto3.Session:
    reused = _REUSED.get()
    sessions = {} if reused is None else reused
    identity = (side.profile, side.role, side.external_id, side.account, region)
    if identity not in sessions:
        sessions[identity] = _open_session(key, side, region)
    return sessions[identity]


@contextmanager
def reuse() -> Iterator[None]:
    """Within this, a session that was opened once is used again: a run assumes each role once."""
    token = _REUSED.set({})
    try:
        yield
    finally:
        _REUSED.reset(token)
        # It keeps its clients, and with them the sessions, for as long as the process lives.
        if (core := sys.modules.get("sagemaker.core.utils.utils")) is not None:
            core.SageMakerClient.reset()


def _open_session(key: str, side: ProducerConfig | ConsumerConfig, region: str) -> boto3.Session:
    persistence = Persistence()
    try:
        source = _source_session(key, side, region, persistence)
        if side.role is None:
            return _check_account(source, key, side.account)
        return _assume(source, side.role, side.external_id, region, persistence)
    except ClientError as error:
        caller = f"profile {side.profile}" if side.profile else "the ambient credentials"
        action, resource = "sts:AssumeRole", side.role or "the credentials"
        attempt = Attempt(caller, side.account, side.account, DoorName.ROLE_TRUST, action, resource, key)
        raise classify(error, attempt) from None
    except BotoCoreError as error:
        raise unreachable(error, key) from None


def _source_session(
    key: str, side: ProducerConfig | ConsumerConfig, region: str, persistence: Persistence
) -> boto3.Session:
    """A session in the profile's credentials, or the ambient ones; they are fetched here, where a profile's faults are its own.

    Raises:
        InputError: for a profile that does not exist or cannot be used.
        Refused, Failed: when AWS refuses the role or the sign-in that the profile names.
        NoCredentialsError: without credentials.
    """
    profile = side.profile
    try:
        source = CachingSession(botocore_session=_botocore_session(profile, persistence), region_name=region)
        credentials = source.get_credentials()  # an AWS_PROFILE that does not exist is told apart here
        if credentials is None:
            raise NoCredentialsError
        explain_refreshes(credentials, key, profile)
        credentials.get_frozen_credentials()
        return source
    except ProfileNotFound:
        profile = profile or os.environ.get("AWS_PROFILE", "")
        known = ", ".join(BotocoreSession(profile="default").available_profiles) or "none"
        raise InputError(
            f"{key}.profile: this machine has no AWS profile {profile!r} (it has: {known}). Add it to the AWS config file, "
            "or leave profile out to use the ambient credentials."
        ) from None
    except ClientError as error:
        role = source._session.get_scoped_config().get("role_arn", "")
        owner, caller = (role.split(":") + [""] * 5)[4] or side.account, name_of(profile)
        action, door = f"sts:{error.operation_name}", DoorName.ROLE_TRUST
        attempt = Attempt(caller, owner, owner, door, action, role or caller, f"{key}.profile")
        raise classify(error, attempt) from None
    except FAULTS as error:
        fault = fault_of(error, key, profile)
        if fault is None:
            raise
        raise fault from None


def _assume(
    source: boto3.Session, role: str, external_id: str | None, region: str, persistence: Persistence
) -> boto3.Session:
    arguments = {"RoleSessionName": SESSION_NAME, "DurationSeconds": _SESSION_SECONDS}
    if external_id is not None:
        arguments["ExternalId"] = external_id
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=source._session.create_client,
        source_credentials=source.get_credentials(),
        role_arn=role,
        extra_args=arguments,
    )
    credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    credentials.get_frozen_credentials()  # a role that may not be assumed is refused here, not at some later call
    inner = _botocore_session(None, persistence)
    inner._credentials = credentials  # type: ignore[attr-defined]  # botocore has no public way in for refreshing ones
    return CachingSession(botocore_session=inner, region_name=region)


# Services that few runs need, and two whose clients sagemaker-core makes, for resources that are not used here.
_SELDOM = frozenset({"s3control", "kms", "ram", "sagemaker-featurestore-runtime", "sagemaker-metrics"})


class CachingSession(boto3.Session):
    """A session that makes one client of a service and region: each takes megabytes, and longer to make than most calls.

    Whatever Config is asked for, it has that of `retries`. Clients may be used from many threads.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._clients: dict[tuple[str, str | None], Any] = {}
        self._lock = Lock()

    def client(  # type: ignore[override]
        self, service_name: str, region_name: str | None = None, config: Config | None = None
    ) -> Any:
        """As boto3's, and the same one when asked for the same again."""
        service = (service_name, region_name or self.region_name)
        return (
            LazyClient(partial(self._client, service)) if service_name in _SELDOM else self._client(service)
        )

    def _client(self, service: tuple[str, str | None]) -> Any:
        with self._lock:
            if service not in self._clients:
                made = super().client(*service, config=CLIENTS)  # type: ignore[call-overload]
                made.meta.events.register("before-call.s3-control", _without_account_before_address)
                self._clients[service] = made
            return self._clients[service]


def _without_account_before_address(params: dict[str, Any], **_: Any) -> None:
    """Take the account out of S3 Control's host where that is no name but an address, before which nothing can stand.

    botocore puts it there whatever its Config says (``inject_host_prefix`` is not asked), before names of hosts and addresses alike;
    the request has it in a header too.
    """
    url = urlsplit(params["url"])
    _, _, host = url.netloc.partition(".")
    account = params["headers"].get("x-amz-account-id")
    if account and url.netloc == f"{account}.{host}" and _is_address(host):
        params["url"] = url._replace(netloc=host).geturl()


def _is_address(host: str) -> bool:
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return name == "localhost"
    return True


class LazyClient:
    """A client that is made when it is first used."""

    def __init__(self, client: Callable[[], Any]) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client(), name)


def _botocore_session(profile: str | None, persistence: Persistence | None = None) -> BotocoreSession:
    session = BotocoreSession(profile=profile)
    session.register_component("data_loader", shared_loader())
    hide_credentials(session)
    note_calls(session)
    (persistence or Persistence()).attach(session)
    return session


def _check_account(source: boto3.Session, key: str, account: str) -> boto3.Session:
    actual = source.client("sts").get_caller_identity()["Account"]
    if actual != account:
        raise InputError(
            f"{key}.account is {account}, but the credentials belong to account {actual}. Name a profile or a role of "
            f"{account}."
        )
    return source
