"""Clients that accounts share: one of each service and region, whose every call is signed with its own account's credentials.

A client takes megabytes and longer to make than most calls, and its first calls longer than its later ones; nothing in it but
the credentials is an account's own. A call that is made for no account is not signed at all. Not here: where credentials come
from (``sessions``).

Source: the components ``credential_provider`` and ``data_loader`` of a botocore session, and its events.
"""

import copy
import inspect
import ipaddress
import json
import re
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache, wraps
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.hooks import HierarchicalEmitter
from botocore.session import Session as BotocoreSession

from crossaccount.aws.hiding import Redactor, SilentParsers
from crossaccount.aws.loaders import shared_loader
from crossaccount.aws.operations import note_calls
from crossaccount.aws.retries import CLIENTS, Persistence

# What a profile has for its credentials alone. Profiles that differ in nothing else may share their clients.
_OF_CREDENTIALS = re.compile(
    r"aws_(access_key_id|secret_access_key|session_token|security_token|account_id)|role_arn|source_profile|credential_source"
    r"|credential_process|external_id|mfa_serial|role_session_name|duration_seconds|web_identity_token_file|sso_\w+|login_session"
    r"|region"  # which every client is made for by name
)


class Caller:
    """An account's caller: its credentials, what takes them out of errors, and how long its calls are retried."""

    def __init__(self, credentials: Any, persistence: Persistence) -> None:
        self.credentials, self.persistence, self.redactor = credentials, persistence, Redactor()

    def calling(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, made by this caller."""

        @wraps(call)
        def called(*args: Any, **named: Any) -> Any:
            token = _CALLING.set(self)
            try:
                return call(*args, **named)
            finally:
                _CALLING.reset(token)

        return called


# A thread begins without one, so a call is never made by the caller of another.
_CALLING: ContextVar[Caller | None] = ContextVar("the caller of a call to AWS", default=None)


def _caller() -> Caller:
    caller = _CALLING.get()
    if caller is None:
        raise RuntimeError("A client that accounts share was called for none of them.")
    return caller


class _CallersCredentials:
    """Credentials as a client sees them: those of whoever makes the call."""

    method = "caller"

    def load_credentials(self) -> "_CallersCredentials":
        """As a botocore session asks its component ``credential_provider``."""
        return self

    def get_frozen_credentials(self) -> Any:
        """Those of this call, refreshed where it is time."""
        return _caller().credentials.get_frozen_credentials()

    def get_deferred_property(self, name: str) -> Callable[[], Any]:
        """One of them, looked up when it is needed."""
        return lambda: getattr(_caller().credentials, name, None)


class SharedClients:
    """The clients of all accounts whose settings are the same, apart from their credentials."""

    def __init__(self, settings: BotocoreSession, region: str) -> None:
        profile = settings.get_config_variable("profile")
        inner = botocore_session(profile)
        # A session with a directory bucket is kept by the bucket's name, whoever opened it.
        inner.set_config_variable("s3_disable_express_session_auth", True)
        inner.register_component("credential_provider", _CallersCredentials())
        inner.set_default_client_config(CLIENTS)
        inner.register_component("response_parser_factory", SilentParsers())
        events: dict[str, Any] = {
            "before-sign": lambda **event: _caller().redactor.remember(**event),
            "after-call": lambda **event: _caller().redactor.redact_error(**event),
            "after-call-error": lambda **event: _caller().redactor.redact_exception(**event),
            # The general name comes after botocore's own handlers, and the first answer counts.
            "needs-retry": lambda **event: _caller().persistence.pause(**event),
            "before-call.s3-control": _without_account_before_address,
        }
        for name, handler in events.items():
            inner.register(name, handler)
        note_calls(inner)
        self.session: Any = boto3.Session(botocore_session=inner, region_name=region)
        self._made: dict[tuple[str, str], Any] = {}
        self._lock = Lock()

    def client(self, service: str, region: str) -> Any:
        """The client of a service in a region, made when it is first asked for."""
        with self._lock:
            if (service, region) not in self._made:
                self._made[service, region] = self.session.client(service, region)
            return self._made[service, region]


class AccountSession(boto3.Session):
    """A session of one account, in whose credentials the calls of its clients are signed; they have the Config of `retries`."""

    def __init__(self, shared: SharedClients, caller: Caller) -> None:
        vars(self).update(vars(shared.session))
        self._shared, self.caller = shared, caller
        self._facades: dict[tuple[str, str], AccountClient] = {}

    def get_credentials(self) -> Any:
        """The account's, which refresh themselves."""
        return self.caller.credentials

    def client(  # type: ignore[override]
        self, service_name: str, region_name: str | None = None, config: Config | None = None
    ) -> Any:
        """As boto3's, and the same one when asked for the same again; it is made when it is first used."""
        service = (service_name, region_name or self.region_name)
        if service not in self._facades:
            self._facades[service] = AccountClient(lambda: self._shared.client(*service), self.caller)
        return self._facades[service]


class AccountClient:
    """A shared client in the hands of one account: each of its calls is that account's, also those of its paginators and waiters."""

    def __init__(self, client: Callable[[], Any], caller: Caller) -> None:
        self._shared_client, self._caller = client, caller
        self._paginators: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._shared_client(), name)
        if not inspect.ismethod(found):
            return found
        vars(self)[name] = called = self._caller.calling(found)
        return called

    def get_paginator(self, operation_name: str) -> Any:
        """As boto3's; its pages are fetched by this account."""
        if operation_name not in self._paginators:
            made = type(self._shared_client()).get_paginator(self, operation_name)
            self._paginators[operation_name] = made
        return self._paginators[operation_name]

    def get_waiter(self, waiter_name: str) -> Any:
        """As boto3's; it looks as this account."""
        return type(self._shared_client()).get_waiter(self, waiter_name)


def botocore_session(profile: str | None) -> BotocoreSession:
    """A botocore session of a profile, or the ambient one, with what is costly shared with the others of this process."""
    made = BotocoreSession(profile=profile, event_hooks=copy.copy(_hooks()), include_builtin_handlers=False)
    made.register_component("data_loader", shared_loader())
    return made


@cache
def _hooks() -> HierarchicalEmitter:
    """The handlers of events that botocore itself registers with each session, one by one."""
    hooks = HierarchicalEmitter()
    BotocoreSession(event_hooks=hooks)
    return hooks


def settings_key(session: BotocoreSession) -> str:
    """The settings of a session's profile, without those that its credentials come from."""
    settings = session.get_scoped_config().items()
    return json.dumps(
        {name: value for name, value in settings if not _OF_CREDENTIALS.fullmatch(name)}, sort_keys=True
    )


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
