"""Sessions in, sessions out: the one place that assumes roles.

A session made here refreshes its own credentials, so a wait may outlast the hour that role chaining allows. Nothing else
in the library sees a credential. Not here: which client calls what.

Source: AssumeRole in the AWS STS API reference; "Roles terms and concepts" (role chaining) in the IAM user guide.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import boto3
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    DataNotFoundError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    UnknownServiceError,
)
from botocore.loaders import JSONFileLoader, Loader
from botocore.parsers import ResponseParserError, ResponseParserFactory
from botocore.session import Session as BotocoreSession

from crossaccount.errors import CrossAccountError, DoorName, Failed, InputError, redacted
from crossaccount.refusals import Attempt, NoAnswer, classify, unasked

if TYPE_CHECKING:
    from crossaccount.config import Consumer, Sharing

_Asked = tuple[str | None, str | None, str | None, str, str]
_KEPT: ContextVar[dict[_Asked, boto3.Session] | None] = ContextVar("kept sessions", default=None)
SESSION_NAME = "crossaccount-model-deployment"
_SESSION_SECONDS = 3600  # role chaining allows no more, and credentials refresh themselves


def producer_session(sharing: Sharing) -> boto3.Session:
    """A session in the producer account: in its role, or without one in the profile or the ambient credentials.

    Raises:
        Refused: when the role may not be assumed.
        InputError: for a profile that does not exist, or credentials of another account.
        Failed: without credentials, or without a reachable AWS.
    """
    producer = sharing.producer
    return _session(
        "producer", producer.profile, producer.role, producer.external_id, producer.account, sharing.region
    )


def consumer_session(sharing: Sharing, name: str, consumer: Consumer) -> boto3.Session:
    """A session in a consumer's deployer role; raises as `producer_session` does.

    Args:
        sharing: for the region.
        name: the consumer's name in the config, for messages.
        consumer: whose role, external id and profile.
    """
    key = f"consumers.{name}"
    return _session(
        key, consumer.profile, consumer.role, consumer.external_id, consumer.account, sharing.region
    )


def _session(
    key: str, profile: str | None, role: str | None, external_id: str | None, account: str, region: str
) -> boto3.Session:
    kept = _KEPT.get()
    asked = (profile, role, external_id, account, region)
    if kept is not None and asked in kept:
        return kept[asked]
    made = _made(key, *asked)
    if kept is not None:
        kept[asked] = made
    return made


@contextmanager
def kept() -> Iterator[None]:
    """Within this, a session that was made once is used again: a run assumes each role once."""
    token = _KEPT.set({})
    try:
        yield
    finally:
        _KEPT.reset(token)
        # It keeps its clients, and with them the sessions, for as long as the process lives.
        if (core := sys.modules.get("sagemaker.core.utils.utils")) is not None:
            core.SageMakerClient.reset()


def _made(
    key: str, profile: str | None, role: str | None, external_id: str | None, account: str, region: str
) -> boto3.Session:
    try:
        source = _source(key, profile, region)
        if role is None:
            return _of_account(source, key, account)
        return _assumed(source, role, external_id, region)
    except ClientError as error:
        caller = f"profile {profile}" if profile else "the ambient credentials"
        attempt = Attempt(
            caller, account, account, DoorName.ROLE_TRUST, "sts:AssumeRole", role or "the credentials", key
        )
        raise classify(error, attempt) from None
    except BotoCoreError as error:
        raise unreachable(error, key) from None


def _source(key: str, profile: str | None, region: str) -> boto3.Session:
    try:
        source = _Session(botocore_session=_botocore_session(profile), region_name=region)
        source.get_credentials()  # an AWS_PROFILE that does not exist is told apart here
        return source
    except ProfileNotFound:
        profile = profile or os.environ.get("AWS_PROFILE", "")
        known = ", ".join(BotocoreSession(profile="default").available_profiles) or "none"
        raise InputError(
            f"{key}.profile: this machine has no AWS profile {profile!r} (it has: {known}). Add it to the AWS config file, "
            "or leave profile out to use the ambient credentials."
        ) from None


def _assumed(source: boto3.Session, role: str, external_id: str | None, region: str) -> boto3.Session:
    arguments = {"RoleSessionName": SESSION_NAME, "DurationSeconds": _SESSION_SECONDS}
    if external_id is not None:
        arguments["ExternalId"] = external_id
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=source._session.create_client,
        source_credentials=_credentials(source),
        role_arn=role,
        extra_args=arguments,
    )
    credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    credentials.get_frozen_credentials()  # a role that may not be assumed is refused here, not at some later call
    inner = _botocore_session(None)
    inner._credentials = credentials  # type: ignore[attr-defined]  # botocore has no public way in for refreshing ones
    return _Session(botocore_session=inner, region_name=region)


# What AWS throttles is asked again; several groups may be shared at once, each asking several questions at once.
_CLIENTS = Config(retries={"mode": "standard", "total_max_attempts": 10}, max_pool_connections=64)
# Those that few runs need, and two that sagemaker-core makes with every client, for resources that are not used here.
_SELDOM = frozenset({"s3control", "kms", "sagemaker-featurestore-runtime", "sagemaker-metrics"})


class _Session(boto3.Session):
    """A session that makes one client of a service and region: each takes megabytes, and longer to make than most calls.

    Whatever Config is asked for, it has the one above. Clients may be used from many threads.
    """

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._made: dict[tuple[str, str | None], Any] = {}
        self._lock = Lock()

    def client(  # type: ignore[override]
        self, service_name: str, region_name: str | None = None, config: Config | None = None
    ) -> Any:
        """As boto3's, and the same one when asked for the same again."""
        asked = (service_name, region_name or self.region_name)
        return _Later(partial(self._client, asked)) if service_name in _SELDOM else self._client(asked)

    def _client(self, asked: tuple[str, str | None]) -> Any:
        with self._lock:
            if asked not in self._made:
                self._made[asked] = super().client(*asked, config=_CLIENTS)  # type: ignore[call-overload]
            return self._made[asked]


class _Later:
    """A client that is made when it is first used."""

    def __init__(self, find: Callable[[], Any]) -> None:
        self._find = find

    def __getattr__(self, name: str) -> Any:
        return getattr(self._find(), name)


class _JsonFiles(JSONFileLoader):
    """botocore's reader of its own files; makes plain dicts, which take half the time and memory of its ordered ones."""

    def _load_file(self, full_path: str, open_method: Callable[[str, str], Any]) -> Any:
        if not os.path.isfile(full_path):
            return None
        with open_method(full_path, "rb") as file:
            return json.loads(file.read())


class _Loader(Loader):
    """botocore's loader, which does not open the folders of all four hundred services to make a client of one."""

    def list_available_services(self, type_name: str) -> list[str]:
        """Every service that has a folder, whatever is in it."""
        folders = filter(os.path.isdir, self.search_paths)
        return sorted({name for folder in folders for name in os.listdir(folder) if "." not in name})

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        """As botocore's, which takes a service that has nothing of this type for an unknown one."""
        try:
            self.list_api_versions(service_name, type_name)
        except DataNotFoundError:
            known = ", ".join(super().list_available_services(type_name))
            raise UnknownServiceError(service_name=service_name, known_service_names=known) from None
        return super().load_service_model(service_name, type_name, api_version)


@cache
def _loader() -> Loader:
    """One loader for all sessions of the process: each would read SageMaker's megabytes of JSON anew."""
    paths = os.environ.get("AWS_DATA_PATH", "").split(os.pathsep)
    return _Loader([os.path.expanduser(os.path.expandvars(one)) for one in paths if one], _JsonFiles())


def _botocore_session(profile: str | None) -> BotocoreSession:
    made = BotocoreSession(profile=profile)
    made.register_component("data_loader", _loader())
    hidden: Any = _Hidden()
    made.register("before-sign", hidden.note)
    made.register("after-call", hidden.hide)
    made.register("after-call-error", hidden.hide_exception)
    made.register_component("response_parser_factory", _Parsers())
    return made


class _Parsers(ResponseParserFactory):
    """botocore's parsers, whose errors repeat what they could not read; half of an answer may be credentials."""

    def create_parser(self, protocol_name: str) -> Any:
        """As botocore's; what cannot be read is a `NoAnswer`, which says nothing of it."""
        made: Any = super().create_parser(protocol_name)
        parse = made.parse

        def careful(response: Any, shape: Any) -> Any:
            try:
                return parse(response, shape)
            except ResponseParserError:
                raise NoAnswer from None

        made.parse = careful
        return made


class _Hidden:
    """Takes what signs a session's requests out of what AWS says, before anybody reads it.

    An error may repeat the request that it is about, credentials included: as they are, quoted for an address, or in
    base64. Every client of a session takes over its session's event handlers.
    """

    def __init__(self) -> None:
        self._known: deque[tuple[str, ...]] = deque(
            maxlen=8
        )  # credentials are refreshed, and answers may be late

    def note(self, request_signer: Any, **_: Any) -> None:
        """Remember what a request is about to be signed with."""
        frozen = request_signer._credentials and request_signer._credentials.get_frozen_credentials()
        if (
            frozen
            and (written := _written(frozen.access_key, frozen.secret_key, frozen.token)) not in self._known
        ):
            self._known.append(written)

    def hide(self, parsed: dict[str, Any], **_: Any) -> None:
        """Take it out of an error, whatever part of it that is in; an answer that is none is left as it is."""
        said = parsed.get("Error")
        if isinstance(said, dict):
            parsed["Error"] = {key: self._without(value) for key, value in said.items()}

    def hide_exception(self, exception: Exception, **_: Any) -> None:
        """Cut an error of the connection from its causes, which repeat what came over it.

        Raises:
            NoAnswer: in place of one that repeats it itself, or may.
        """
        exception.__cause__ = exception.__context__ = None
        if type(exception) is HTTPClientError or self._without(str(exception)) != str(exception):
            raise NoAnswer from None

    def _without(self, value: Any) -> Any:
        if isinstance(value, str):
            for secret in (one for written in list(self._known) for one in written):
                value = value.replace(secret, "****")
            return redacted(value)
        return value


def _written(*values: str | None) -> tuple[str, ...]:
    """Secrets in every way that they are written, the longest first."""
    found = set[str]()
    for value in filter(None, values):
        encoded = base64.b64encode(value.encode()).decode().rstrip("=")  # credentials have no + or / in it
        found |= {value, quote(value, safe=""), quote(value), quote_plus(value), encoded}
        found |= {json.dumps(value)[1:-1].replace("/", "\\/")}
    return tuple(sorted(found, key=len, reverse=True))


def _credentials(source: boto3.Session) -> object:
    found = source.get_credentials()
    if found is None:
        raise NoCredentialsError
    return found


def _of_account(source: boto3.Session, key: str, account: str) -> boto3.Session:
    _credentials(source)
    actual = source.client("sts").get_caller_identity()["Account"]
    if actual != account:
        raise InputError(
            f"{key}.account is {account}, but the credentials belong to account {actual}. Name a profile or a role of "
            f"{account}."
        )
    return source


def unreachable(error: BotoCoreError, key: str) -> CrossAccountError:
    """What a person can do about an error that no AWS service sent."""
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return Failed(
            f"{key}: there are no AWS credentials. Name an AWS profile in {key}.profile, or run with ambient credentials."
        )
    if isinstance(error, EndpointConnectionError):
        return Failed(f"AWS does not answer: {error}. Check the network, and AWS_ENDPOINT_URL if it is set.")
    return unasked(error)
